"""A wheel and an sdist, built once for the tests from a copy of the tree as a clone would have it, with the bundle."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What git ignores, but for the bundle: if it is up to date it is not built again.
IGNORED = (".git", ".venv", ".*_cache", "__pycache__", "node_modules", "build", "dist", "runs", "*.egg-info", "shots")


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the two files that would be published."""
    folder = tmp_path_factory.mktemp("packaging")
    tree, out = folder / "tree", folder / "dist"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*IGNORED))
    # The sdist from the tree, then the wheel from the sdist. Without isolation: .venv has the build requirements.
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(tree)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert {path.suffix for path in out.iterdir()} == {".gz", ".whl"}
    return out
