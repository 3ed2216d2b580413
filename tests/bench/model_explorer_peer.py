"""Google's Model Explorer, which our graphs open in too: what the tab is measured beside (make bench).

Its wheel carries the app. It is in no extra, since it brings a web server and IPython along; to measure beside it:
``pip install --no-deps --target DIRECTORY ai-edge-model-explorer ai-edge-model-explorer-adapter flask blinker click
itsdangerous dacite portpicker psutil requests urllib3 idna certifi charset-normalizer termcolor watchdog``, and
``PYTHONPATH=DIRECTORY``.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser

from layerscope.structure.model_explorer import to_model_explorer
from layerscope.wire import ModelGraph
from tab import CHROMIUM, FLAGS

DEADLINE = 60.0
# It would ask PyPI and GitHub for a newer version of itself.
_SERVE = """
import sys
from model_explorer import server
server._check_new_version = lambda *args, **kwargs: {}
server.start(port=int(sys.argv[1]), no_open_in_browser=True)
"""
_DRAWN = """() => new Promise((done) => {
  const look = () => {
    const told = document.querySelector("info-panel")?.textContent.includes("op node count");
    if (told && document.querySelector("webgl-renderer canvas.main")) setTimeout(() => done(performance.now()));
    else requestAnimationFrame(look);
  };
  look();
})"""


def installed() -> bool:
    """Return whether it can be measured."""
    return all(find_spec(name) is not None for name in ("model_explorer", "flask", "portpicker", "watchdog"))


@contextmanager
def serving(log: Path) -> Iterator[str]:
    """Run its server, with its output in the file ``log``, and yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(port)], stdout=out, stderr=subprocess.STDOUT, cwd=log.parent
        )
        try:
            _wait(f"http://localhost:{port}/", process, log)
            yield f"http://localhost:{port}/"
        finally:
            process.terminate()
            process.wait(DEADLINE)


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + DEADLINE
    while not _answers(address):
        if time.monotonic() > end or process.poll() is not None:
            raise AssertionError(f"Model Explorer did not start. Its log:\n{log.read_text()}")
        time.sleep(0.1)


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=DEADLINE).close()
    except urllib.error.URLError:
        return False
    return True


@contextmanager
def chromium(browser: Browser) -> Iterator[Browser]:
    """Run another of the same browser: this app draws by WebGL, here in software, and asks for fonts of other hosts."""
    flags = [flag for flag in FLAGS if flag != "--disable-gpu"]
    webgl = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    at_home = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost"
    running = browser.browser_type.launch(executable_path=CHROMIUM, args=[*flags, *webgl, at_home])
    try:
        yield running
    finally:
        running.close()


def write(graph: ModelGraph, path: Path) -> None:
    """Write a graph as the app reads it."""
    path.write_text(to_model_explorer(graph), encoding="utf-8")


def opening(browser: Browser, address: str, graph: Path) -> float:
    """Open a graph in a fresh window; return the milliseconds until it is there.

    That is told by the panel beside the picture, which counts the nodes; the picture may come a little later.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    try:
        page = context.new_page()
        page.goto(f"{address}?data={quote(json.dumps({'models': [{'url': str(graph)}]}))}")
        return page.evaluate(_DRAWN)
    finally:
        context.close()
