"""Replaying records at each checkpoint what a scope records, and leaves the model with its own weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.utils.tensorboard import SummaryWriter

import layerscope
import replayed_training as training
from layerscope import Run, Scope, wire
from layerscope.codec import decode_arrays
from layerscope.errors import InvalidArgumentError, NotFoundError
from layerscope.probing.attributions import Loss
from layerscope.replaying.checkpoints import in_order
from layerscope.replaying.shares import Question, joined, split
from layerscope.writing import MessageWriter
from layerscope.writing.message_log import MessageLog

FEW: dict[str, Any] = {"methods": [], "activations": False}
"""Options with which only parameters are recorded."""


@pytest.fixture(scope="module")
def by_scope(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """What a scope records of the same weights."""
    directory = tmp_path_factory.mktemp("scope")
    x, labels = training.probe()
    model = training.weighted(training.STEPS[0])
    options = training.options()
    maximize = options.pop("maximize")
    with Scope(model, directory, strict=True) as scope:
        scope.graph(x)
        scope.reference()
        for step in training.STEPS:
            model.load_state_dict(training.checkpoint(step))
            scope.parameters(step)
            scope.activations(x, step=step)
            scope.maximize(step=step, **maximize)
            scope.attributions(x, labels, step=step, **options)
    return layerscope.read(directory)["."]


def distances(logdir: Path) -> list[float]:
    """Return the recorded distance of the whole model from the first checkpoint, at each step."""
    series = layerscope.read(logdir)["."].series["parameters"]
    row = series.layers.index("4.weight")
    return series.values[:, row, series.statistics.index("distance")].tolist()


def distance(step: int) -> float:
    first, other = (training.checkpoint(s)["4.weight"].double() for s in (training.STEPS[0], step))
    return float((other - first).norm() / first.norm())


def test_a_replay_holds_what_a_scope_records(by_scope: Run, tmp_path: Path) -> None:
    x, labels = training.probe()
    checkpoints = training.saved(tmp_path / "ckpt")
    steps = layerscope.replay(training.build(), checkpoints, tmp_path / "log", x, labels, **training.options())
    assert steps == training.STEPS
    training.assert_same(layerscope.read(tmp_path / "log")["."], by_scope)
    assert len(list((tmp_path / "log").iterdir())) == 1  # one event file
    assert list(by_scope.attributions) == list(training.METHODS)
    assert list(by_scope.maximizations) == list(training.STEPS)


def test_samples_are_written_once(tmp_path: Path) -> None:
    given = {step: training.checkpoint(step) for step in training.STEPS}
    layerscope.replay(training.build(), given, tmp_path, training.inputs(), methods=["grad_cam"], trust=False)
    (file,) = tmp_path.iterdir()
    assert file.read_bytes().count(b'"kind":"samples"') == 1
    (samples,) = layerscope.read(tmp_path)["."].samples["probe"]
    np.testing.assert_allclose(samples, training.inputs(), atol=2e-3)  # float16


def test_findings_are_those_of_a_scope(tmp_path: Path) -> None:
    given = {step: training.checkpoint(step) for step in training.STEPS}
    given[20]["0.weight"][:2] = torch.nan
    given[100]["4.bias"][:] = torch.inf
    layerscope.replay(training.build(), given, tmp_path / "replay", training.inputs(), methods=[])
    model = training.weighted(training.STEPS[0])
    with Scope(model, tmp_path / "scope", strict=True) as scope:
        scope.graph(training.inputs())
        scope.reference()
        for step, weights in given.items():
            model.load_state_dict(weights)
            scope.parameters(step)
            scope.activations(training.inputs(), step=step)
    found, expected = (layerscope.read(tmp_path / name)["."] for name in ("replay", "scope"))
    training.assert_same(found, expected)
    assert {(finding.detector, finding.step) for finding in found.findings} >= {("nan", 20)}


def renamed(prefix: str) -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}": value for name, value in training.checkpoint(20).items()}


@pytest.mark.parametrize(
    "second",
    [
        training.checkpoint(20),
        renamed("module."),
        renamed("_orig_mod."),
        renamed("module._orig_mod."),
        {"state_dict": training.checkpoint(20), "epoch": 3},
        {"model": renamed("module."), "optimizer": {"state": {}}},
        {"model_state_dict": training.checkpoint(20)},
    ],
    ids=["plain", "ddp", "compiled", "both", "state_dict", "model", "model_state_dict"],
)
def test_every_form_of_a_checkpoint_is_understood(second: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "second.pt"
    torch.save(second, file)
    forms: list[Any] = [second, file, str(file)]
    if all(isinstance(value, torch.Tensor) for value in second.values()):
        save_file(second, tmp_path / "second.safetensors")
        forms.append(tmp_path / "second.safetensors")
    for i, form in enumerate(forms):
        given = {20: form, 5: training.checkpoint(5)}
        layerscope.replay(training.build(), given, tmp_path / f"log{i}", training.inputs(), **FEW)
        assert distances(tmp_path / f"log{i}") == pytest.approx([0.0, distance(20)], rel=1e-5)


def test_a_wrapped_or_compiled_model_takes_plain_checkpoints(tmp_path: Path) -> None:
    model = torch.compile(training.build(), backend="eager")
    given = {step: training.checkpoint(step) for step in training.STEPS[:2]}
    layerscope.replay(model, given, tmp_path, training.inputs(), **FEW)
    assert distances(tmp_path) == pytest.approx([0.0, distance(20)], rel=1e-5)


def test_files_are_found_and_come_in_order_of_step(tmp_path: Path) -> None:
    training.saved(tmp_path, (9, 10, 100))
    (tmp_path / "notes.txt").write_text("7")
    names = ["net-v2-step9.pt", "net-v2-step10.pt", "net-v2-step100.pt"]
    for given in (tmp_path, str(tmp_path / "*.pt"), reversed(list(tmp_path.glob("*.pt")))):
        found = in_order(given)
        assert [checkpoint.step for checkpoint in found] == [9, 10, 100]
        assert [Path(str(checkpoint.source)).name for checkpoint in found] == names
    assert [checkpoint.step for checkpoint in in_order(tmp_path / names[2])] == [100]


def refused(checkpoints: Any, tmp_path: Path, error: type[Exception] = InvalidArgumentError) -> str:
    """Replay what cannot be; check that the model keeps its weights; return what is said."""
    model = training.build()
    before = training.build().state_dict()
    with pytest.raises(error) as raised:
        layerscope.replay(model, checkpoints, tmp_path / "log", training.inputs(), **FEW)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    return str(raised.value)


class Foreign:
    """Something that a checkpoint must not hold, since loading it could run code."""


def test_what_is_no_checkpoint_is_said(tmp_path: Path) -> None:
    torch.save(Foreign(), tmp_path / "foreign1.pt")
    (tmp_path / "broken2.pt").write_bytes(b"nothing")
    (tmp_path / "broken3.safetensors").write_bytes(b"nothing")
    torch.save({"weights": 3, "epoch": 1}, tmp_path / "other4.pt")
    assert "anything else could run code" in refused([tmp_path / "foreign1.pt"], tmp_path)
    assert "cannot be read" in refused([tmp_path / "broken3.safetensors"], tmp_path)
    assert "broken2.pt'" in refused([tmp_path / "broken2.pt"], tmp_path)
    assert "cannot be read: [Errno 2]" in refused([tmp_path / "gone5.pt"], tmp_path)
    assert "it holds the keys 'weights', 'epoch'" in refused([tmp_path / "other4.pt"], tmp_path)
    assert "this is int" in refused({1: 3}, tmp_path)


def test_steps_that_cannot_be_told_are_said(tmp_path: Path) -> None:
    one, other = (training.saved(tmp_path / name, (5,)) / "net-v2-step5.pt" for name in ("a", "b"))
    said = refused([one, other], tmp_path)
    assert "are both of step 5" in said
    assert "Give a mapping from steps to files" in said
    assert "last number in its file's name, but 'final.pt' has none" in refused(["final.pt"], tmp_path)
    assert "one is 'last'" in refused({"last": one}, tmp_path)
    assert "no checkpoint" in refused(str(tmp_path / "*.ckpt"), tmp_path, NotFoundError)
    assert "no checkpoint" in refused({}, tmp_path, NotFoundError)


def test_names_and_shapes_that_differ_are_said_with_the_nearest(tmp_path: Path) -> None:
    other = training.checkpoint(5)
    other["head.weight"] = other.pop("6.weight")
    said = refused({5: training.checkpoint(5), 6: other}, tmp_path)
    assert "checkpoint of step 6" in said
    assert "it lacks '6.weight' (nearest: 'head.weight')" in said
    assert "the model does not have 'head.weight' (nearest: '6.weight')" in said
    smaller = training.checkpoint(5) | {"6.bias": torch.zeros(2)}
    assert "'6.bias' is [2] in it and [3] in the model" in refused({5: smaller}, tmp_path / "other")


def test_a_log_directory_with_an_event_file_is_refused(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path / "log")) as writer:
        writer.add_scalar("loss", 1.0, 0)
    said = refused({5: training.checkpoint(5)}, tmp_path)
    assert "directory of its own" in said
    assert "log/replay" in said.replace(os.sep, "/")


def test_what_fails_keeps_nothing_else_from_being_recorded_and_the_model_is_as_it_was(tmp_path: Path) -> None:
    model = training.build()
    model.train()
    model[4].weight.requires_grad_(False)
    model[6].weight.grad = torch.ones_like(model[6].weight)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()

    def failing(*_: Any) -> Any:
        raise RuntimeError("out of everything")

    methods = {"grad_cam": "grad_cam", "mine": failing}
    given = {step: training.checkpoint(step) for step in training.STEPS}
    with pytest.raises(RuntimeError, match="out of everything"):
        layerscope.replay(model, given, tmp_path, training.inputs(), methods=methods, trust=False)
    run = layerscope.read(tmp_path)["."]
    assert list(run.attributions) == ["grad_cam"]
    assert run.series["activations"].steps.tolist() == run.series["parameters"].steps.tolist() == [5]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert [name for name, parameter in model.named_parameters() if not parameter.requires_grad] == ["4.weight"]
    assert torch.equal(model[6].weight.grad, torch.ones(3, 6))
    assert torch.equal(torch.get_rng_state(), random)


def test_parts_can_be_left_out(tmp_path: Path) -> None:
    given = {5: training.checkpoint(5)}
    x = training.inputs()
    layerscope.replay(training.build(), given, tmp_path, x, parameters=False, methods=[], layers=["0", "6"])
    run = layerscope.read(tmp_path)["."]
    assert run.graph is not None
    assert list(run.series) == ["activations"]
    assert run.series["activations"].layers == ("0", "6")
    assert run.attributions == run.maximizations == {}


def test_samples_are_split_with_their_targets_and_tokens() -> None:
    inputs = {"ids": torch.arange(15).reshape(3, 5), "scale": torch.tensor(2.0)}  # three tokens of five samples
    tokens = [["a"] * 3, ["b"] * 3, ["c"] * 3, ["d"] * 3, ["e"] * 3]
    options = {"batch_dim": 1, "tokens": tokens, "trust": False}
    parts = split(Question(inputs, [0, 1, 2, 3, 4], options), 2)
    assert [part.inputs["ids"].tolist() for part in parts] == [
        [[0, 1], [5, 6], [10, 11]],
        [[2, 3, 4], [7, 8, 9], [12, 13, 14]],
    ]
    assert [part.target for part in parts] == [[0, 1], [2, 3, 4]]
    assert [part.options["tokens"] for part in parts] == [tokens[:2], tokens[2:]]
    assert all(part.inputs["scale"] == 2 and part.options["trust"] is False for part in parts)
    assert [part.target for part in split(Question(inputs, None, options), 9)] == [None] * 5
    vocabulary = ["zero", "one", "two", "three", "four"]
    assert split(Question(inputs, 1, options | {"tokens": vocabulary}), 2)[1].options["tokens"] == vocabulary


def _maps(samples: int) -> wire.AttributionMaps:
    layers = {"a": np.full((samples, 2), samples, np.float32)}
    zeros = np.zeros(samples)
    return wire.AttributionMaps("grad_cam", True, layers, zeros.astype(np.int64), zeros.astype(np.float32))


def test_only_what_is_of_samples_is_put_together() -> None:
    log = MessageLog()
    writer = MessageWriter(log)
    writer.findings([], step=3)
    writer.findings([], step=3)
    writer.samples("probe", [np.zeros((3, 3), np.float32)], step=3)  # of all, for what is not shared
    stored = writer.samples("probe", [np.ones((2, 3), np.float32)], step=3)
    writer.attribution(_maps(2), samples="probe", step=3, stored=stored)
    first = log.take()
    writer = MessageWriter(log)
    stored = writer.samples("probe", [np.full((1, 3), 1e-3, np.float32)], step=3)
    writer.attribution(_maps(1), samples="probe", step=3, stored=stored)
    whole = joined([first, log.take()])
    kinds = ["findings", "findings", "samples", "samples", "attribution"]
    assert [message.metadata.kind for message in whole] == kinds
    assert [message.metadata.name for message in whole[2:]] == ["probe", "probe/2", "grad_cam"]
    assert whole[-1].metadata.samples == "probe/2"
    assert decode_arrays(whole[-1].value[0])["layer:a"].tolist() == [[2, 2], [2, 2], [1, 1]]
    (array,) = decode_arrays(whole[-2].value[0]).values()
    assert array.dtype == np.float16  # as it would be of all three, though the third alone is kept in float32
    np.testing.assert_allclose(array, [[1] * 3] * 2 + [[1e-3] * 3], rtol=1e-3)


def test_labels_of_a_loss_are_split_and_a_function_is_not() -> None:
    x = training.inputs()
    loss = Loss(nn.CrossEntropyLoss(), torch.tensor([0, 1, 2, 0, 1]))
    halves = [part.target for part in split(Question(x, loss, {}), 2)]
    assert [half.labels.tolist() for half in halves if isinstance(half, Loss)] == [[0, 1], [2, 0, 1]]
    for whole in ((5, 2), lambda output: output[:, 0]):
        assert split(Question(x, whole, {}), 2) == [Question(x, whole, {})]
