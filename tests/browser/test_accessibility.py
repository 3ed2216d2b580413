"""Every view in both themes is checked by axe-core, and each control is a stop of the Tab key. In Chromium."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from playwright.sync_api import Browser, Frame, expect
from torch.utils.tensorboard import SummaryWriter

import faulty_run
import serving
import tuned_run
from layerscope import wire
from layerscope.writing import MessageWriter
from tab import Tab

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
# In the drawings a name is the first text of a box, and more stands below it: class, number, shape; and names are cut
# to their room. axe takes all of it, as it is cut, for the label; so there the label is checked here (`MISNAMED`).
CONFIGURE = """axe.configure({rules: [
  {id: "label-content-name-mismatch", selector: "[aria-label]:not([data-node], [data-branch], [data-row])"},
]})"""
RUN = """() => axe.run(document, {resultTypes: ["violations"]}).then(({passes, violations}) => ({
  checked: passes.length,
  violations: violations.flatMap(({id, nodes}) => nodes.map(
    ({target, failureSummary}) => `${id} at ${target.join(" ")}: ${failureSummary}`)),
}))"""
# Resolves when half a second has passed without a change to the document.
STILL = """() => new Promise((resolve) => {
  let waiting = setTimeout(resolve, 500);
  new MutationObserver(() => {
    clearTimeout(waiting);
    waiting = setTimeout(resolve, 500);
  }).observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
})"""
MISNAMED = """() => {
  const words = (text) => text.toLowerCase().replace(/\\s+/g, " ").trim();
  const labelOf = (box) => box.dataset.row === undefined ? box.querySelector("text")?.textContent : box.textContent;
  return [...document.querySelectorAll("[data-node], [data-branch], [data-row]")]
    .map((box) => [box.getAttribute("aria-label"), labelOf(box) ?? ""])
    .filter(([name, label]) => !label.split("…").every((part) => words(name).includes(words(part))));
}"""

TOKENS = ("so", "un", "##believ", "##ably", "dumb", "!")
SAMPLES = 2
STEPS = (0, 50, 100)


def _write_text(folder: Path) -> None:
    """Write a run of a text model: attributions of tokens, attention, embeddings, weights, units, and a surrogate."""
    random = np.random.default_rng(0)
    ids = np.arange(SAMPLES * len(TOKENS)).reshape(SAMPLES, -1)
    described = wire.SamplesBlob((wire.ProbeInput("ids", "text", tokens=(TOKENS,) * SAMPLES),), ("fine", "toxic"))
    with SummaryWriter(str(folder)) as summary:
        writer = MessageWriter(summary)
        writer.graph(serving.graph())
        for step in STEPS:
            summary.add_scalar("loss", 1 / (1 + step), step)
            writer.series("gradients", serving.statistics(step), step=step)
            writer.samples("probe", [ids], step=step, description=described)
            shares = np.linspace(-1, 1, ids.size, dtype=np.float32).reshape(ids.shape)
            maps = wire.AttributionMaps(
                method="integrated_gradients",
                signed=True,
                layers={"a": shares[..., None]},
                targets=np.arange(SAMPLES),
                probabilities=np.full(SAMPLES, 0.75, np.float32),
                inputs={0: shares},
                trust={"completeness": np.full(SAMPLES, 0.25, np.float32)},
            )
            writer.attribution(maps, samples="probe", step=step)
            _write_arrays(writer, random, step)
            writer.surrogate(serving.surrogate(step), step=step)
            units = [
                wire.MaximizedUnit(wire.Unit("a", channel), 4.0, np.full((8, 8, 3), 0.5), ()) for channel in (0, 5)
            ]
            writer.maximization(units, step=step, samples="probe")


def _write_arrays(writer: MessageWriter, random: np.random.Generator, step: int) -> None:
    channels = {
        "values": random.normal(size=(SAMPLES, 3, 4, 4)).astype(np.float32),
        "channels": np.arange(3, dtype=np.int32),
        "strength": np.ones(3, np.float32),
    }
    writer.layer_arrays("activation", {"a": channels}, name="probe", step=step, samples="probe")
    heads = np.full((SAMPLES, 4, len(TOKENS), len(TOKENS)), 1 / len(TOKENS), np.float32)
    writer.layer_arrays("attention", {"a": {"values": heads}}, name="probe", step=step, samples="probe")
    weights = {"a.weight": {"values": random.normal(size=(6, 9)).astype(np.float32)}}
    writer.layer_arrays("weight", weights, name="parameters", step=step, owners=("a",))
    points = random.normal(size=(SAMPLES, 3)).astype(np.float32)
    embedded = {"a": {"values": points, "explained": np.array([0.5, 0.25, 0.1], np.float32)}}
    labels = {"labels": np.arange(SAMPLES, dtype=np.int32)}
    writer.layer_arrays("embedding", embedded, name="probe", step=step, samples="probe", shared=labels)


@pytest.fixture(scope="module")
def everything(demo_logdir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.TensorBoard]:
    """Runs that hold, together, whatever the tab can show."""
    logdir = tmp_path_factory.mktemp("everything")
    shutil.copytree(demo_logdir / "digits", logdir / "digits")
    _write_text(logdir / "text")
    faulty_run.train(logdir / "faulty")
    tuned_run.train(logdir)
    log = tmp_path_factory.mktemp("log") / "tensorboard.log"
    with serving.serving(logdir, log) as server:
        for run, last in (
            ("digits", b"maximization"),
            ("text", b"layerscope/surrogate"),
            ("faulty", b"gradients"),
            (tuned_run.AFTER, b"attribution"),
            (tuned_run.BEFORE, b"attribution"),
        ):
            server.wait(lambda run=run, last=last: last in server.get("tags", run=run).body)
        yield server


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.TensorBoard]:
    """An empty log directory."""
    with serving.serving(tmp_path_factory.mktemp("nothing"), tmp_path_factory.mktemp("log") / "log") as server:
        yield server


def _open(browser: Browser, server: serving.TensorBoard, **state: str) -> Tab:
    chosen = "".join(f"&p.layerscope.{key}={quote(value)}" for key, value in state.items())
    return Tab(browser, f"{server.url}#layerscope{chosen}", width=1440, height=900)


# View -> (state of the tab, what is on the page when it is there).
VIEWS: dict[str, tuple[dict[str, str], str]] = {
    "overview": ({"run": "digits"}, '[data-testid="attribution-map"]'),
    "convolution": ({"run": "digits", "layer": "stage2.1.conv2", "step": "75"}, '[data-testid="maximization-image"]'),
    "classifier": ({"run": "digits", "layer": "fc", "step": "300"}, '[data-testid="maximization-image"]'),
    "outline": ({"run": "digits", "layer": "stage1", "outline": "1", "flow": "up"}, '[data-testid="outline"]'),
    "wide": ({"run": "digits", "wide": "1", "expanded": "*"}, '[data-node="stage2.1.conv2"], .structure .far'),
    "findings": ({"run": "faulty", "layer": faulty_run.SOURCE, "findings": "1"}, ".finding-head"),
    "text": ({"run": "text"}, '[role="listbox"] [role="option"]'),
    "layer of a text model": ({"run": "text", "layer": "a", "head": "2", "unit": "5"}, ".scatter-groups"),
    "tree": (
        {"run": "text", "surrogate": "inputs/decision_tree", "tree": "1"},
        '[data-testid="tree-pane"] [data-branch]',
    ),
    "difference": (
        {"run": tuned_run.AFTER, "compareRun": tuned_run.BEFORE, "layer": "classifier", "step": "20"},
        '[data-testid="counterpart"]',
    ),
    "side by side": (
        {"run": tuned_run.AFTER, "compareRun": tuned_run.BEFORE, "compareAs": "side", "layer": "blocks.0.linear"},
        '[data-testid="structure"] [data-testid="side-b"] [data-node]',
    ),
}


@functools.cache
def _axe() -> str:
    return AXE.read_text(encoding="utf-8")


def _plugin(tab: Tab) -> Frame:
    frame = tab.page.query_selector('iframe[src*="name=layerscope"]')
    assert frame is not None
    document = frame.content_frame()
    assert document is not None
    return document


def _violations(tab: Tab) -> list[str]:
    """Return what axe-core, and the check that stands for one of its rules, have to say against the tab."""
    document = _plugin(tab)
    document.evaluate(_axe())
    document.evaluate(CONFIGURE)
    told = document.evaluate(RUN)
    assert told["checked"] > 10  # it did look
    return told["violations"] + [f"{name} is drawn as {label}" for name, label in document.evaluate(MISNAMED)]


def _violations_by_theme(tab: Tab) -> dict[str, list[str]]:
    expect(tab.frame.get_by_text("Loading…")).to_have_count(0)
    _plugin(tab).evaluate(STILL)
    light = _violations(tab)
    tab.page.evaluate("document.body.classList.add('dark-mode')")
    expect(tab.frame.locator("html")).to_have_class("dark")
    return {"light": light, "dark": _violations(tab)}


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_against(browser: Browser, everything: serving.TensorBoard, view: str) -> None:
    state, there = VIEWS[view]
    tab = _open(browser, everything, **state)
    expect(tab.frame.locator(there).first).to_be_visible()
    assert _violations_by_theme(tab) == {"light": [], "dark": []}
    tab.close()
    assert tab.complaints == []


def test_axe_finds_nothing_against_an_empty_log_directory(browser: Browser, nothing: serving.TensorBoard) -> None:
    tab = _open(browser, nothing)
    expect(tab.frame.get_by_role("heading", name="Nothing recorded yet")).to_be_visible()
    assert _violations_by_theme(tab) == {"light": [], "dark": []}
    tab.close()
    assert tab.complaints == []


def test_axe_would_find_something(browser: Browser, nothing: serving.TensorBoard) -> None:
    """The meta-test: what is wrong is found, in the page and in a drawing."""
    tab = _open(browser, nothing)
    expect(tab.frame.get_by_role("heading", name="Nothing recorded yet")).to_be_visible()
    _plugin(tab).evaluate(
        """() => {
             const button = document.createElement("button");
             document.querySelector("main").append(button);
             const box = '<g data-node="x" role="button" tabindex="0" aria-label="y"><text>conv1</text></g>';
             document.querySelector("main").insertAdjacentHTML("beforeend", `<svg>${box}</svg>`);
           }"""
    )
    found = _violations(tab)
    assert [line.split(" at ")[0] for line in found] == ["button-name", "y is drawn as conv1"]
    tab.close()


def test_the_structure_is_one_stop_of_the_tab_key(browser: Browser, everything: serving.TensorBoard) -> None:
    tab = _open(browser, everything, run="digits", layer="fc")
    focused = tab.frame.locator(":focus")
    tab.ready()
    tab.frame.locator("summary", has_text="?").focus()
    tab.page.keyboard.press("Tab")
    expect(focused).to_have_attribute("data-node", "fc")
    tab.page.keyboard.press("ArrowUp")
    expect(focused).not_to_have_attribute("data-node", "fc")
    tab.page.keyboard.press("Tab")
    assert tab.part("structure").locator("[data-node]:focus").count() == 0
    tab.page.keyboard.press("Shift+Tab")
    assert tab.part("structure").locator("[data-node]:focus").count() == 1
    tab.close()
    assert tab.complaints == []


def test_a_part_of_the_panel_is_gone_to_with_the_focus(browser: Browser, everything: serving.TensorBoard) -> None:
    tab = _open(browser, everything, run="digits", layer="fc")
    tab.part("layer-panel").get_by_role("button", name="Maximization", exact=True).press("Enter")
    expect(tab.frame.locator("#maximization")).to_be_focused()
    tab.page.keyboard.press("Tab")
    expect(tab.frame.locator("#maximization :focus")).to_have_count(1)
    tab.close()
    assert tab.complaints == []


def test_the_nodes_of_a_tree_are_reached_by_keys(browser: Browser, everything: serving.TensorBoard) -> None:
    tab = _open(browser, everything, run="text", surrogate="inputs/decision_tree", tree="1")
    tree = tab.part("tree-pane")
    expect(tree.locator("[data-branch]")).to_have_count(3)
    tree.get_by_role("button", name="Open all").focus()
    tab.page.keyboard.press("Tab")
    expect(tree.locator(":focus")).to_have_attribute("data-branch", ".")
    tab.page.keyboard.press("ArrowDown")
    expect(tree.locator(":focus")).to_have_attribute("data-branch", ".y")
    tab.close()
    assert tab.complaints == []
