"""Without torch the viewer's side imports, and what needs torch says so; meta-tests show that the check can fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import layerscope

PACKAGE = Path(layerscope.__file__).parent
# Everything else belongs to the viewer's side, so a new module is checked from its first day.
TORCH_SIDE = (
    "containment",
    "demo",
    "explaining",
    "picturing",
    "probe_scope",
    "integrations",
    "module_state",
    "probing",
    "recorder",
    "replaying",
    "scope",
    "step_checks",
    "tracing",
    "watching",
)

IMPORT = """
import importlib, json, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

absent = ("torch", "torchview", "captum")
mode, *modules = sys.argv[1:]
if mode == "absent":
    sys.meta_path.insert(0, Absent())
failures = {}
for module in modules:
    try:
        importlib.import_module(module)
    except ImportError as error:
        failures[module] = str(error)
    for name in absent:
        if sys.modules.pop(name, None):
            failures[module] = f"imported {name}"
print(json.dumps(failures))
"""

USE = """
import sys
sys.modules.update(torch=None, torchview=None)  # importing them raises ModuleNotFoundError
import layerscope
getattr(layerscope, sys.argv[1])
"""


def _modules() -> list[str]:
    names = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] not in TORCH_SIDE:
            names.append(".".join(("layerscope", *parts)).removesuffix(".__init__"))
    return names


def _failures(mode: str, modules: list[str], *, path: Path | None = None) -> dict[str, str]:
    """Import the modules in a fresh process, with torch ``absent`` or ``present``; return what went wrong."""
    search = os.pathsep.join(filter(None, [str(path) if path else "", os.environ.get("PYTHONPATH", "")]))
    result = subprocess.run(
        [sys.executable, "-c", IMPORT, mode, *modules],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": search},
    )
    failures: dict[str, str] = json.loads(result.stdout)
    return failures


def test_the_viewers_side_is_what_is_checked() -> None:
    modules = _modules()
    assert {"layerscope", "layerscope.codec", "layerscope.loader", "layerscope.viewing.plugin"} < set(modules)
    assert "layerscope.writing" in modules
    assert not [name for name in modules if name.startswith(("layerscope.tracing", "layerscope.probing"))]


@pytest.mark.parametrize("mode", ["absent", "present"])
def test_the_viewers_side_imports_no_torch(mode: str) -> None:
    assert _failures(mode, _modules()) == {}


@pytest.mark.parametrize(
    ("mode", "body", "failure"),
    [
        ("absent", "import torch.nn", "No module named 'torch'"),
        ("absent", "import captum", "No module named 'captum'"),
        ("present", "try:\n    import torch\nexcept ImportError:\n    torch = None", "imported torch"),
    ],
)
def test_an_import_of_torch_would_be_noticed(mode: str, body: str, failure: str, tmp_path: Path) -> None:
    (tmp_path / "torch.py").touch()  # stands in for torch, which takes seconds to import
    (tmp_path / "careless.py").write_text(body, encoding="utf-8")
    assert _failures(mode, ["careless"], path=tmp_path) == {"careless": failure}


@pytest.mark.parametrize(
    "name", ["Scope", "activations", "attribute", "gradients", "linear_probes", "maximize", "surrogate", "trace"]
)
def test_what_needs_torch_names_the_extra(name: str) -> None:
    result = subprocess.run([sys.executable, "-c", USE, name], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        f"layerscope.errors.MissingExtraError: layerscope.{name} needs the package 'torch', which is not installed. "
        'Install the extra: pip install "layerscope[torch]"'
    )
