"""Surrogates with their scores, importances and tree, and accuracy of linear probes against depth. In Chromium."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, expect
from torch.utils.tensorboard import SummaryWriter

import serving
from layerscope import wire
from layerscope.writing import MessageWriter
from tab import Tab

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=console.error('ran')>"
FEATURES = ("mean radius", "\u202eworst area", HOSTILE)
CLASSES = ("benign", "<i>malignant</i>")
STEPS = (0, 50, 100)
DEPTH = 5


def _grown(depth: int) -> tuple[wire.TreeNode, ...]:
    """Return a full tree: a no halves what is left, and doubles the share of the second class."""
    nodes: list[wire.TreeNode] = []

    def grow(level: int, samples: int, share: float) -> int:
        place = len(nodes)
        leaf = wire.TreeNode(samples, (1 - share, share))
        nodes.append(leaf)
        if level < depth:
            left = grow(level + 1, samples - samples // 2, share / 2)
            right = grow(level + 1, samples // 2, (1 + share) / 2)
            nodes[place] = wire.TreeNode(samples, leaf.value, level % 3, 14.2 + level, left, right)
        return place

    grow(0, 320, 0.25)
    return tuple(nodes)


def _surrogates(step: int) -> tuple[wire.Surrogate, ...]:
    held_out = 0.5 + step / 250
    tree = wire.Surrogate(
        surrogate="decision_tree",
        of="inputs",
        feature_names=FEATURES,
        output_names=CLASSES,
        score=held_out,
        training_score=0.95,
        score_name="r2",
        training_samples=320,
        held_out_samples=80,
        importances=((0.75, 0.25, 0.0),),
        tree=_grown(DEPTH if step else 1),
    )
    regression = wire.Surrogate(
        surrogate="logistic_regression",
        of="inputs",
        feature_names=FEATURES,
        output_names=CLASSES,
        score=0.75,
        training_score=0.8,
        score_name="agreement",
        training_samples=320,
        held_out_samples=80,
        importances=((-1.5, 0.5, 0.0), (1.5, -0.5, 0.0)),
    )
    return tree, regression


def _write(folder: Path) -> None:
    """Write a run with nothing but a structure, surrogates and linear probes."""
    with SummaryWriter(str(folder)) as summary:
        writer = MessageWriter(summary)
        writer.graph(serving.graph())
        for step in STEPS:
            for surrogate in _surrogates(step):
                writer.surrogate(surrogate, step=step)
            accuracy = [[0.625, 0.5], [0.75 + step / 500, 0.5]]
            probes = wire.Statistics(("a", "b"), ("a", "b"), ("accuracy", "majority"), np.array(accuracy, np.float32))
            writer.series("linear_probes", probes, step=step)


@pytest.fixture(scope="module")
def imitated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.TensorBoard]:
    logdir = tmp_path_factory.mktemp("imitated")
    _write(logdir / "imitated")
    log = tmp_path_factory.mktemp("log") / "tensorboard.log"
    with serving.serving(logdir, log) as server:
        server.wait(lambda: b"linear_probes" in server.get("tags", run="imitated").body)
        server.wait(lambda: b"logistic_regression" in server.get("tags", run="imitated").body)
        yield server


@pytest.fixture
def opened(browser: Browser, imitated: serving.TensorBoard) -> Iterator[_Opening]:
    opening = _Opening(browser, imitated.url)
    yield opening
    for tab in opening.tabs:
        tab.close()
        assert tab.complaints == []
    assert "Traceback" not in imitated.log.read_text()


class _Opening:
    """Opens tabs; what they complain of fails the test."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser, self.url = browser, url
        self.tabs: list[Tab] = []

    def __call__(self, *, width: int = 1280, **state: object) -> Tab:
        chosen = "".join(f"&p.layerscope.{k}={quote(str(v))}" for k, v in state.items())
        return self.at(f"{self.url}#layerscope{chosen}", width)

    def at(self, address: str, width: int = 1280) -> Tab:
        tab = Tab(self.browser, address, width=width)
        self.tabs.append(tab)
        if "tree=1" in address:
            expect(_nodes(tab).first).to_be_visible()
        else:
            tab.ready()
        return tab


def _rows(tab: Tab) -> Locator:
    return tab.part("surrogates").locator(".scores tbody tr")


def _nodes(tab: Tab) -> Locator:
    return tab.part("tree").get_by_role("treeitem")


def _node(tab: Tab, way: str) -> Locator:
    return tab.part("tree").locator(f'[data-branch="{way}"]')


def test_scores_on_samples_held_out_stand_beside_those_on_training_samples(opened: _Opening) -> None:
    tab = opened()
    expect(_rows(tab)).to_have_count(2)
    for row, cells in enumerate(
        (
            ("decision tree of the inputs · R²", "0.9", "0.95"),
            ("logistic regression of the inputs · agreement", "75 %", "80 %"),
        )
    ):
        for column, text in enumerate(cells):
            cell = _rows(tab).nth(row).locator("th, td").nth(column)
            expect(cell).to_have_text(text, use_inner_text=True)
    panel = tab.part("surrogates")
    expect(panel).to_contain_text("Of 80 samples held out it explains 90 % of the variance.")
    expect(_rows(tab).first.get_by_role("img", name="at 3 steps, 0.9 at the last")).to_be_visible()
    tab.part("layer-panel").get_by_role("button", name="Surrogates").click()
    _rows(tab).nth(1).get_by_role("button").click()
    expect(panel.get_by_role("note")).to_contain_text("imitates the network badly")
    tab.page.wait_for_url(re.compile("surrogate=inputs"))


def test_importances_are_signed_bars_of_the_chosen_output(opened: _Opening) -> None:
    tab = opened(surrogate="inputs/logistic_regression")
    bars = tab.part("importances").locator("tr")
    foremost = bars.nth(0).locator("th, td:visible")
    expect(foremost).to_have_text(["mean radius", "", "-1.5"], use_inner_text=True)
    zero, bar = (bars.nth(0).locator(f".bar-{part}").bounding_box() for part in ("zero", "length"))
    assert zero
    assert bar
    assert bar["x"] + bar["width"] == pytest.approx(zero["x"], abs=1.5)
    tab.part("output-picker").select_option(label=CLASSES[1])
    expect(foremost).to_have_text(["mean radius", "", "+1.5"], use_inner_text=True)
    tab.page.wait_for_url(re.compile("output=1"))


def test_the_tree_is_drawn_by_graphviz_and_walked_by_keyboard(opened: _Opening) -> None:
    tab = opened(tree=1)
    expect(_nodes(tab)).to_have_count(15)  # three levels of questions fit beside each other
    assert _node(tab, ".").locator("text").all_text_contents()[:4] == [
        "mean radius",
        "≤ 14.2",
        "benign 75 %",
        "320 samples",
    ]
    boxes = {way: _node(tab, way).locator(".tree-box").bounding_box() for way in (".", ".y", ".n", ".yn", ".ny")}
    assert all(boxes.values())
    assert boxes[".y"]["y"] == pytest.approx(boxes[".n"]["y"], abs=1)
    assert boxes[".yn"]["x"] + boxes[".yn"]["width"] < boxes[".ny"]["x"]
    assert boxes["."]["y"] + boxes["."]["height"] < boxes[".y"]["y"]
    _node(tab, ".").focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowDown"):
        tab.page.keyboard.press(key)
    expect(_node(tab, ".yny")).to_be_focused()
    readout = tab.part("tree").locator(".tree-readout")
    expect(readout).to_contain_text("mean radius ≤ 14.2, \u2039U+202E\u203aworst area > 15.2, <img src=x")
    expect(tab.part("tree").locator(".tree-edge.lit")).to_have_count(3)
    tab.page.keyboard.press("Enter")
    expect(_node(tab, ".yny")).to_have_attribute("aria-expanded", "true")
    expect(_node(tab, ".yny")).to_be_focused()
    expect(_nodes(tab)).to_have_count(17)
    tab.page.wait_for_url(re.compile("branches="))  # written a moment later
    again = opened.at(tab.page.url)
    expect(_nodes(again)).to_have_count(17)


def test_a_deep_tree_opens_as_a_whole_and_scrolls(opened: _Opening) -> None:
    tab = opened(tree=1)
    tab.part("tree").get_by_role("button", name="Open all").click()
    expect(_nodes(tab)).to_have_count(2 ** (DEPTH + 1) - 1)
    scroll = tab.part("tree").get_by_role("tree")
    assert scroll.evaluate("pane => pane.scrollWidth > pane.clientWidth")
    root = _node(tab, ".").bounding_box()
    pane = scroll.bounding_box()
    assert root
    assert pane
    assert pane["x"] < root["x"] < pane["x"] + pane["width"]
    fit, legible = (tab.part("tree").get_by_role("button", name=name) for name in ("Fit", "Legible"))
    fit.click()
    expect(legible).to_be_visible()
    assert scroll.evaluate("pane => pane.scrollWidth <= pane.clientWidth")
    legible.click()
    expect(fit).to_be_visible()
    letters = _node(tab, ".").locator("text").last.evaluate("text => text.getBoundingClientRect().height")
    assert letters > 8.5
    tab.part("tree-pane").get_by_role("button", name="Show the structure").click()
    tab.ready()


def test_another_step_has_another_tree(opened: _Opening) -> None:
    tab = opened(step=0, tree=1)
    expect(_nodes(tab)).to_have_count(3)
    expect(_node(tab, ".y")).not_to_have_attribute("aria-expanded", re.compile("."))
    expect(_rows(tab).first.locator("td").first).to_have_text("0.5")


def test_hostile_names_are_text(opened: _Opening) -> None:
    tab = opened(allFeatures=1)
    expect(tab.part("importances").get_by_role("rowheader", name=HOSTILE)).to_be_visible()
    expect(tab.part("surrogates").locator("img:not([role]), i")).to_have_count(0)
    expect(tab.part("tree")).to_contain_text("<i>malignant</i>")


def test_accuracy_against_depth_names_the_layer_and_selects_it(opened: _Opening) -> None:
    tab = opened()
    probes = tab.part("linear-probes")
    layers = probes.get_by_role("option")
    expect(layers).to_have_count(2)
    expect(layers.nth(0)).to_have_attribute("aria-label", "a: 62.5 %, step 0 62.5 %, commonest class 50 %")
    expect(layers.nth(1)).to_have_attribute("aria-label", "b: 95 %, step 0 75 %, commonest class 50 %")
    expect(probes).to_contain_text("highest in b: 95 %")
    layers.nth(0).hover()
    expect(probes.locator(".depth-readout")).to_contain_text("a: 62.5 % step 0 62.5 %")
    layers.nth(0).focus()
    tab.page.keyboard.press("ArrowRight")
    expect(layers.nth(1)).to_be_focused()
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_url(re.compile("layer=b"))
    expect(layers.nth(1)).to_have_attribute("aria-selected", "true")
    expect(tab.part("surrogates")).to_have_count(0)  # none is of this layer


@pytest.mark.parametrize("state", [{}, {"surrogate": "inputs/logistic_regression"}, {"layer": "b"}])
def test_nothing_reaches_beyond_a_narrow_panel(opened: _Opening, state: dict[str, str]) -> None:
    tab = opened(width=900, **state)
    expect(tab.part("linear-probes").get_by_role("option").first).to_be_visible()
    wider = tab.part("layer-panel").locator(".measured").evaluate("panel => panel.scrollWidth - panel.clientWidth")
    assert wider <= 0
