"""With torch unimportable the plugin loads and serves every route; a meta-test shows that this test can fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
for name in ("torch", "torchview", "captum"):
    sys.modules[name] = None  # importing it raises ModuleNotFoundError

import argparse, json
import tensorboard.plugins.base_plugin as base_plugin
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from werkzeug.test import Client
from layerscope.loader import Loader

logdir = sys.argv[1]
loader, flags = Loader(), argparse.ArgumentParser()
loader.define_flags(flags)
flags = flags.parse_args([])
loader.fix_flags(flags)
multiplexer = EventMultiplexer(tensor_size_guidance=flags.samples_per_plugin)
multiplexer.AddRunsFromDirectory(logdir)
multiplexer.Reload()
provider = MultiplexerDataProvider(multiplexer, logdir)
apps = loader.load(base_plugin.TBContext(data_provider=provider, logdir=logdir)).get_plugin_apps()

def get(route, **query):
    answer = Client(apps["/" + route]).get("/" + route, query_string=query)
    assert answer.status_code == 200, (route, query, answer.data)
    return answer.data

served = {"runs"}
assert "full" in json.loads(get("runs"))["runs"]
entries = json.loads(get("tags", run="full"))["tags"]
served.add("tags")
get("array", run="full", scalar="loss")
assert json.loads(get("findings", run="full"))["examined"]
served.add("findings")
assert json.loads(get("comparison", run="full", other="full"))["nodes"]
served.add("comparison")
for entry in entries:
    if entry["kind"] in ("series", "histograms"):
        get("array", run="full", tag=entry["tag"])
        served.add("array")
    else:
        get("blob", run="full", tag=entry["tag"], step=entry["steps"][-1])
        served.add("blob")
assert b"render" in Client(apps["/static/*"]).get("/static/index.js").data
served.add("static")
assert served == {route.strip("/*") for route in apps}, set(apps) - served
assert {entry["kind"] for entry in entries} == set(__import__("layerscope.wire").wire.KINDS)
"""


def _run(script: str, logdir: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, str(logdir)], capture_output=True, check=False, text=True, timeout=120
    )


def test_every_route_is_served_without_torch(logdir: Path) -> None:
    result = _run(SCRIPT, logdir)
    assert result.returncode == 0, result.stderr


def test_a_route_that_imports_torch_would_be_noticed(logdir: Path) -> None:
    spoiled = (
        "import layerscope.viewing.routes as routes\n"
        "tags = routes._tags\n"
        "routes._tags = lambda store, request: __import__('torch') and tags(store, request)\n"
    )
    result = _run(SCRIPT.replace("logdir = sys.argv[1]", f"{spoiled}logdir = sys.argv[1]"), logdir)
    assert result.returncode != 0
    assert "import of torch halted" in result.stderr


def test_what_needs_torch_names_the_extra(logdir: Path) -> None:
    result = _run(SCRIPT + "\nimport layerscope; layerscope.Scope", logdir)
    assert result.returncode != 0
    assert 'pip install "layerscope[torch]"' in result.stderr
