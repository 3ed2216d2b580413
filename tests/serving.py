"""A real TensorBoard process, and synthetic runs for it, shared by the tests of viewing and of the browser."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from layerscope import codec, wire

DEADLINE = 60.0
LOADERS = ("true", "false")
"""Values of ``--load_fast``: the Rust loader and the Python loader."""


@dataclass
class Answer:
    """One HTTP answer."""

    code: int
    headers: dict[str, str]
    body: bytes

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Decode a safetensors body."""
        return codec.decode_arrays(self.body)


@dataclass
class TensorBoard:
    """A running TensorBoard."""

    url: str
    log: Path
    process: subprocess.Popen[bytes]

    def get(self, route: str, *pairs: tuple[str, object], **query: object) -> Answer:
        """Ask a route of the plugin."""
        arguments = urllib.parse.urlencode([*pairs, *query.items()])
        return self.fetch(f"data/plugin/layerscope/{route}?{arguments}")

    def fetch(self, path: str) -> Answer:
        """Ask any path of the server; error codes are answers too."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=DEADLINE) as response:
                return Answer(response.status, dict(response.headers), response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read())

    def tag(self, run: str, kind: str, name: str) -> str:
        """Return the tag of a kind and name."""
        listing = json.loads(self.get("tags", run=run).body)
        (tag,) = [
            entry["tag"] for entry in listing["tags"] if entry["kind"] == kind and entry["metadata"]["name"] == name
        ]
        return tag

    def wait(self, ready: Callable[[], bool]) -> None:
        """Wait until TensorBoard has loaded what ``ready`` asks for."""
        end = time.monotonic() + DEADLINE
        while not ready():
            if time.monotonic() > end or self.process.poll() is not None:
                raise AssertionError(f"TensorBoard did not load the data. Its log:\n{self.log.read_text()}")
            time.sleep(0.1)


@contextmanager
def serving(logdir: Path, log: Path, *arguments: str) -> Iterator[TensorBoard]:
    """Run TensorBoard on a free port, with its output in the file ``log``."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--port", "0", "--host", "127.0.0.1"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--reload_interval", "1", *arguments],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        try:
            server = TensorBoard("", log, process)
            server.wait(lambda: re.search(r"http://127\.0\.0\.1:\d+/", log.read_text()) is not None)
            found = re.search(r"http://127\.0\.0\.1:\d+/", log.read_text())
            assert found is not None
            server.url = found[0]
            yield server
        finally:
            process.terminate()
            process.wait(DEADLINE)


def wait_for_another_second() -> None:
    """Let the next event file of a run come after those that are there.

    Loaders read them in order of their names: the second, and then the number of the file in this process, where 10
    comes before 9.
    """
    time.sleep(1 - time.time() % 1)


def statistics(step: int, layers: tuple[str, ...] = ("a", "a.weight", "b"), session: int = 0) -> wire.Statistics:
    """Return statistics whose values tell all: session * 10,000 + step * 100 + layer * 10 + column."""
    rows = np.arange(len(layers))[:, None]
    return wire.Statistics(
        layers=layers,
        owners=tuple(layer.removesuffix(".weight") for layer in layers),
        statistics=("norm", "mean"),
        values=(session * 10_000 + step * 100 + rows * 10 + np.arange(2)).astype(np.float32),
        histogram=(step + rows + np.arange(3)).astype(np.float32),
        edges=(-2.0, -1.0, 1.0, 2.0),
    )


def graph() -> wire.ModelGraph:
    """Return the structure of a model with two layers."""
    nodes = (
        wire.Node("input/x", "input", output_shapes=((1, 4),), output_dtypes=("float32",)),
        wire.Node("a", "module", module="a", class_name="Linear", own_parameters=8, total_parameters=8, trainable=True),
        wire.Node("b", "module", module="b", class_name="ReLU"),
        wire.Node("output/0", "output"),
    )
    edges = (wire.Edge("input/x", "a", (1, 4)), wire.Edge("a", "b", (1, 2)), wire.Edge("b", "output/0", (1, 2)))
    return wire.ModelGraph({node.id: node for node in nodes}, edges, ("input/x",), ("output/0",), "Tiny")


def maps(step: int) -> wire.AttributionMaps:
    """Return Grad-CAM maps of two samples whose values tell the step."""
    return wire.AttributionMaps(
        method="grad_cam",
        signed=True,
        layers={"a": np.full((2, 3, 3), step, np.float16), "b": np.full((2, 4), -step, np.float16)},
        targets=np.array([1, 0]),
        probabilities=np.array([0.25, 0.75], np.float32),
        inputs={0: np.full((2, 4), step + 1, np.float16)},
        trust={"deletion": np.array([0.5, step], np.float32)},
        notes=("no rule for größer", f"written at step {step}"),
    )


DESCRIPTION = wire.SamplesBlob((wire.ProbeInput("x", "table", ("age", "size", "weight", "mass")),), ("no", "yes"))


def surrogate(step: int) -> wire.Surrogate:
    """Return a tree of three nodes whose score tells the step."""
    return wire.Surrogate(
        surrogate="decision_tree",
        of="inputs",
        feature_names=("age", "size"),
        output_names=("yes",),
        score=step / 100,
        training_score=0.9,
        score_name="r2",
        training_samples=10,
        held_out_samples=4,
        importances=((0.0, 1.0),),
        tree=(wire.TreeNode(10, (0.5,), 1, 2.5, 1, 2), wire.TreeNode(6, (0.0,)), wire.TreeNode(4, (1.0,))),
    )
