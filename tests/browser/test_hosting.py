"""The tab wherever TensorBoard runs: below a path, behind a proxy, in a notebook, out of sight, during a training."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

import pytest
from playwright.sync_api import Browser, FrameLocator, expect
from torch.utils.tensorboard import SummaryWriter
from werkzeug.middleware.http_proxy import ProxyMiddleware
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

import serving
from layerscope import demo
from layerscope.writing import MessageWriter
from tab import Tab

pytestmark = pytest.mark.browser

LAYER = "#layerscope&p.layerscope.layer=fc"
DATA = "/data/plugin/layerscope/"


def _asked(tab: Tab) -> list[str]:
    """Return the paths of what the tab asks TensorBoard from now on; the list grows."""
    paths: list[str] = []

    def listen(url: str) -> None:
        if DATA in url:
            paths.append(urlparse(url).path)

    tab.page.on("request", lambda request: listen(request.url))
    return paths


def _shows_the_classifier(tab: Tab) -> None:
    """Everything is there: the structure that a worker laid out, numbers, maps, images, and what a click does."""
    expect(tab.part("run-picker")).to_have_value("digits")
    expect(tab.box("fc")).to_have_attribute("aria-pressed", "true")
    expect(tab.frame.locator(".structure-note")).to_have_text("")  # there it would be told that Graphviz did not answer
    expect(tab.part("step-slider")).to_have_attribute("aria-valuenow", str(demo.STEPS))
    panel = tab.part("layer-panel")
    expect(panel.get_by_role("heading", name="fc", exact=True)).to_be_visible()
    expect(panel.get_by_test_id("attribution-map").first).to_be_visible()
    images = panel.get_by_test_id("maximization-image")
    expect(images).to_have_count(6)
    widths = images.evaluate_all("all => Promise.all(all.map((i) => i.decode().then(() => i.naturalWidth)))")
    assert widths == [8] * 6
    panel.get_by_role("button", name="Show the model").click()
    expect(panel.get_by_role("heading", name="DigitsNet", exact=True)).to_be_visible()


# What TensorBoard's own page asks in vain, and says of it: its fonts at the root, whatever it runs behind; and of an
# experiment everything, because it names that twice.
ITS_OWN = ("/font-roboto/", "/experiment/defaultExperimentId/experiment/", "/index.js?_file_hash=")


def _complaints(tab: Tab) -> list[str]:
    """Return what went wrong, but for what TensorBoard's own page asks in vain."""
    return [complaint for complaint in tab.complaints if not any(path in complaint for path in ITS_OWN)]


@contextmanager
def _web(application: Callable[..., object]) -> Iterator[str]:
    """Serve a WSGI application on a port of its own."""
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_below_a_path(browser: Browser, demo_logdir: Path, tmp_path: Path) -> None:
    with serving.serving(demo_logdir, tmp_path / "log", "--path_prefix", "/team/anna") as server:
        server.url += "team/anna/"
        server.wait(lambda: b"maximization" in server.get("tags", run="digits").body)
        tab = Tab(browser, server.url + LAYER)
        asked = _asked(tab)
        _shows_the_classifier(tab)
        tab.box("fc").click()
        tab.page.wait_for_url(re.compile(r"/team/anna/#layerscope.*layer=fc"))
        tab.close()
    assert asked != []
    assert {path.split(DATA)[0] for path in asked} == {"/team/anna"}
    assert _complaints(tab) == []


def test_behind_a_proxy_that_takes_its_prefix_away(browser: Browser, tensorboard: serving.TensorBoard) -> None:
    prefix = "/user/anna/proxy/6006/"
    nothing = Response("Nothing is served beside TensorBoard.", 404)
    proxy = ProxyMiddleware(nothing, {prefix: {"target": tensorboard.url, "remove_prefix": True}})
    with _web(proxy) as url:
        tab = Tab(browser, url + prefix.lstrip("/") + LAYER)
        asked = _asked(tab)
        _shows_the_classifier(tab)
        tab.close()
    assert {path.split(DATA)[0] for path in asked} == {prefix.rstrip("/")}
    assert _complaints(tab) == []


def test_of_an_experiment(browser: Browser, tensorboard: serving.TensorBoard) -> None:
    tab = Tab(browser, f"{tensorboard.url}experiment/defaultExperimentId/{LAYER}")
    asked = _asked(tab)
    _shows_the_classifier(tab)
    tab.close()
    assert {path.split(DATA)[0] for path in asked} == {"/experiment/defaultExperimentId"}
    assert _complaints(tab) == []


class NotebookTab(Tab):
    """TensorBoard in an output cell: its page is a frame in one of another origin, as ``%tensorboard`` makes it."""

    def __init__(self, browser: Browser, notebook: str, tensorboard: str) -> None:
        self.hosts = {urlparse(notebook).netloc, urlparse(tensorboard).netloc}
        super().__init__(browser, notebook)

    def _on_request(self, asked: str, host: str) -> None:
        super()._on_request(asked, urlparse(asked).netloc if urlparse(asked).netloc in self.hosts else host)

    @property
    def frame(self) -> FrameLocator:
        return self.page.frame_locator("#tensorboard-frame-1").frame_locator('iframe[src*="name=layerscope"]')


def test_in_a_notebook(browser: Browser, tensorboard: serving.TensorBoard) -> None:
    cell = f'<iframe id="tensorboard-frame-1" width="100%" height="800" src="{tensorboard.url}{LAYER}"></iframe>'
    page = Response(f"<!doctype html><title>Notebook</title><link rel=icon href=data:,>{cell}", mimetype="text/html")
    with _web(page) as notebook:
        tab = NotebookTab(browser, notebook, tensorboard.url)
        _shows_the_classifier(tab)
        tab.box("fc").click()
        expect(tab.part("layer-panel").get_by_role("heading", name="fc", exact=True)).to_be_visible()
        (inside,) = tab.page.main_frame.child_frames
        inside.wait_for_url(re.compile("layer=fc"))
        assert tab.page.url == notebook  # the notebook's own address is not touched
        tab.part("copy-link").click()
        expect(tab.part("copy-link")).to_have_text("Copied")
        tab.close()
    assert tab.complaints == []


# The tab looks for new data every five seconds: here twenty times as often.
IMPATIENT = "const every = setInterval; window.setInterval = (call, ms, ...given) => every(call, ms / 20, ...given);"


def _until(tab: Tab, holds: Callable[[], bool]) -> None:
    for _ in range(300):
        if holds():
            return
        tab.page.wait_for_timeout(100)
    raise AssertionError("It did not come to it in half a minute.")


def test_nothing_is_asked_while_it_is_hidden(browser: Browser, tensorboard: serving.TensorBoard) -> None:
    tab = Tab(browser, tensorboard.url + LAYER, scripts=(IMPATIENT,))
    asked = _asked(tab)

    def looks() -> int:
        return sum(path.endswith("/runs") for path in asked)

    expect(tab.box("fc")).to_have_attribute("aria-pressed", "true")
    _until(tab, lambda: looks() >= 3)
    tab.page.get_by_role("tab", name="Scalars").click()
    expect(tab.page.locator('iframe[src*="name=layerscope"]')).to_have_css("visibility", "hidden")
    tab.page.wait_for_timeout(1000)  # for what was asked before
    before = len(asked)
    tab.page.wait_for_timeout(3000)  # twelve looks, if it looked
    assert asked[before:] == []
    tab.page.get_by_role("tab", name="Layerscope").click()
    _until(tab, lambda: looks() >= 3 + 3)
    expect(tab.box("fc")).to_be_visible()
    expect(tab.box("fc")).to_have_attribute("aria-pressed", "true")
    tab.close()
    assert tab.complaints == []


WATCH_FOR_FLICKER = """() => {
  window.flickers = [];
  const parts = "section, canvas, svg, [data-node], [data-row], h2, h3";
  const note = (what, nodes) => nodes
    .filter((node) => node instanceof Element && (node.matches(parts) || node.querySelector(parts)))
    .forEach((node) => window.flickers.push(`${what} ${node.outerHTML.slice(0, 120)}`));
  new MutationObserver((all) => all.forEach(({addedNodes, removedNodes}) => {
    note("came", [...addedNodes]);
    note("went", [...removedNodes]);
  })).observe(document.body, {childList: true, subtree: true});
}"""


def _write(summary: SummaryWriter, step: int) -> None:
    writer = MessageWriter(summary)
    if step == 0:
        writer.graph(serving.graph())
    writer.series("gradients", serving.statistics(step, ("a", "b")), step=step)
    summary.add_scalar("loss", 1 / (1 + step), step)
    summary.flush()


def test_a_run_that_is_still_written_is_followed(browser: Browser, tmp_path: Path) -> None:
    logdir = tmp_path / "runs"
    with SummaryWriter(str(logdir / "live")) as summary, serving.serving(logdir, tmp_path / "log") as server:
        for step in (0, 10, 20):
            _write(summary, step)
        server.wait(lambda: b'"max_step":20' in server.get("tags", run="live").body)
        tab = Tab(browser, f"{server.url}#layerscope", scripts=(IMPATIENT,))
        slider, box = tab.part("step-slider"), tab.box("a")
        expect(slider).to_have_attribute("aria-valuenow", "20")
        expect(box).to_have_attribute("aria-label", "a, Linear, 2000")
        expect(tab.part("findings-badge")).to_be_visible()  # the last that comes when the tab opens
        tab.frame.locator("html").evaluate(WATCH_FOR_FLICKER)
        _write(summary, 30)
        expect(slider).to_have_attribute("aria-valuenow", "30")
        expect(box).to_have_attribute("aria-label", "a, Linear, 3000")
        slider.press("Home")
        expect(slider).to_have_attribute("aria-valuenow", "0")
        _write(summary, 40)
        expect(slider).to_have_attribute("aria-valuemax", "40")
        expect(slider).to_have_attribute("aria-valuenow", "0")
        expect(box).to_have_attribute("aria-label", "a, Linear, 0")
        slider.press("End")
        _write(summary, 50)
        expect(slider).to_have_attribute("aria-valuenow", "50")
        expect(box).to_have_attribute("aria-label", "a, Linear, 5000")
        assert tab.frame.locator("html").evaluate("() => window.flickers") == []
        tab.close()
    assert tab.complaints == []
