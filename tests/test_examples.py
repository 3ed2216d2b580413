"""Every example runs and leaves what it promises; the README's code is the first example, word for word."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import layerscope

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_example_runs(example: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, example], cwd=tmp_path, capture_output=True, check=False, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    assert "LayerscopeWarning" not in result.stderr
    (run,) = layerscope.read(tmp_path / "runs").values()
    assert run.problems == ()
    assert run.graph is not None
    assert {"gradients", "activations"} <= run.series.keys()
    assert set(run.attributions) == {"grad_cam", "gradient_x_activation"}
    assert run.maximizations
    _, loss = run.scalars["loss"]
    assert loss[-1] < loss[0] / 2


def test_the_readme_shows_the_first_example() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert (ROOT / "examples" / "first_steps.py").read_text(encoding="utf-8") in blocks
