"""TypeScript's mirror of the messages is what layerscope.wire says; a meta-test shows that drift is noticed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FRONTEND = Path(__file__).parents[1] / "frontend"


def _check(frontend: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(frontend / "generate_wire.py"), "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_mirror_is_up_to_date() -> None:
    result = _check(FRONTEND)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("old", "new"), [("shape: ", "shapes: "), ("export const VERSION = ", "export const VERSION = 1")]
)
def test_drift_would_be_noticed(old: str, new: str, tmp_path: Path) -> None:
    shutil.copy(FRONTEND / "generate_wire.py", tmp_path)
    mirror = (FRONTEND / "src" / "wire.ts").read_text(encoding="utf-8")
    assert old in mirror
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "wire.ts").write_text(mirror.replace(old, new), encoding="utf-8")
    result = _check(tmp_path)
    assert result.returncode == 1
    assert "make wire" in result.stderr
