"""Attributions of the inputs by kind of data: tokens, named columns, time series, classes by name. In Chromium."""

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

HOSTILE = ("<img src=x onerror=console.error('ran')>", "\u202egnp.exe", "\u200f", "&lt;b&gt;")
WORDS = ("so", "un", "##believ", "##ably", "dumb", "!")
LENGTH = 12
STEPS = (0, 50, 100)
CLASSES = ("<i>fine</i>", "toxic")
COLUMNS = (*(f"column {i}" for i in range(16)), HOSTILE[0])
VARIABLES = ("pressure", "flow", "<b>heat</b>")


def _padded(tokens: tuple[str, ...]) -> tuple[str, ...]:
    return (*tokens, *[""] * (LENGTH - len(tokens)))


def _write(folder: Path, described: wire.ProbeInput, inputs: np.ndarray, attributions: np.ndarray) -> None:
    """Write a run of one probe set whose attributions grow with the steps and are not to be trusted."""
    samples = len(inputs)
    with SummaryWriter(str(folder)) as summary:
        writer = MessageWriter(summary)
        writer.graph(serving.graph())
        for step in STEPS:
            writer.samples("probe", [inputs], step=step, description=wire.SamplesBlob((described,), CLASSES))
            maps = wire.AttributionMaps(
                method="integrated_gradients",
                signed=True,
                layers={},
                targets=np.arange(samples) % 2,
                probabilities=np.full(samples, 0.75, np.float32),
                inputs={0: (attributions * (1 + step) / (1 + STEPS[-1])).astype(np.float32)},
                trust={
                    "deletion": np.full(samples, 0.6, np.float32),
                    "deletion_random": np.full(samples, 0.5, np.float32),
                    "completeness": np.full(samples, 0.25, np.float32),
                },
            )
            writer.attribution(maps, samples="probe", step=step)


def _write_all(logdir: Path) -> None:
    texts = (_padded(WORDS), _padded(HOSTILE))
    scores = np.zeros((2, LENGTH), np.float32)
    scores[0, :6] = (0, 0.25, 0.5, -0.25, 1, np.nan)
    scores[1, :4] = (0.5, -1, 0.25, 0)
    scores[:, 6:] = 99  # of padding: neither seen nor on the scale
    ids = np.arange(2 * LENGTH).reshape(2, LENGTH)
    _write(logdir / "text", wire.ProbeInput("ids", "text", tokens=texts), ids, scores)
    table = np.arange(34, dtype=np.float32).reshape(2, 17)
    columns = np.where(np.arange(17) % 2, -1, 1) * np.arange(17) / 10 * np.array([[1], [0.5]])
    _write(logdir / "table", wire.ProbeInput("x", "table", COLUMNS), table, columns)
    time = np.arange(60)[None, :, None]
    curves = np.sin(time / (3 + np.arange(3))) * np.ones((2, 1, 1))
    bump = np.where(abs(time - 30) < 5, 1, 0) * np.array([1, -1, 0.5]) * np.ones((2, 1, 1))
    series = wire.ProbeInput("signal", "time_series", VARIABLES)
    _write(logdir / "series", series, curves.astype(np.float32), bump)


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.TensorBoard]:
    logdir = tmp_path_factory.mktemp("explained")
    _write_all(logdir)
    log = tmp_path_factory.mktemp("log") / "tensorboard.log"
    with serving.serving(logdir, log) as server:
        for run in ("text", "table", "series"):
            server.wait(lambda run=run: b"integrated_gradients" in server.get("tags", run=run).body)
        yield server


@pytest.fixture
def opened(browser: Browser, explained: serving.TensorBoard) -> Iterator[_Opening]:
    opening = _Opening(browser, explained.url)
    yield opening
    for tab in opening.tabs:
        tab.close()
        assert tab.complaints == []
    assert "Traceback" not in explained.log.read_text()


class _Opening:
    """Opens tabs on a run; what they complain of fails the test."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser, self.url = browser, url
        self.tabs: list[Tab] = []

    def __call__(self, run: str, *, width: int = 1280, **state: object) -> Tab:
        chosen = {"run": run, **state}
        return self.at(
            self.url + "#layerscope" + "".join(f"&p.layerscope.{k}={quote(str(v))}" for k, v in chosen.items()), width
        )

    def at(self, address: str, width: int = 1280) -> Tab:
        tab = Tab(self.browser, address, width=width)
        self.tabs.append(tab)
        expect(tab.part("attribution-map").first).to_be_visible()
        return tab


def _captions(tab: Tab) -> Locator:
    return tab.part("layer-panel").locator("button[aria-label^='Sample ']")


def _texts(tab: Tab) -> Locator:
    return tab.part("attribution-map").get_by_role("listbox")


def test_texts_flow_as_tokens_whose_numbers_are_told_by_mouse_and_keyboard(opened: _Opening) -> None:
    tab = opened("text")
    told = ["<i>fine</i> · p 0.75 · gap 25 %", "toxic · p 0.75 · gap 25 %"]
    expect(_captions(tab)).to_have_text(told, use_inner_text=True)
    expect(_texts(tab).nth(0)).to_have_text("so unbelievably dumb !")
    tokens = _texts(tab).nth(0).get_by_role("option")
    expect(tokens).to_have_count(6)
    named = [token.get_attribute("aria-label") for token in tokens.all()]
    assert named[1:5] == ["un: 0.25 supports", "believ: 0.5 supports", "ably: -0.25 opposes", "dumb: 1 supports"]
    assert named[5] == "!: NaN"
    readout = tab.part("attribution-map").nth(0).locator(".tokens-readout")
    tokens.nth(4).hover()
    expect(readout).to_contain_text("dumb 1 supports")
    tokens.nth(0).focus()
    tab.page.keyboard.press("ArrowRight")
    tab.page.keyboard.press("ArrowRight")
    tab.page.keyboard.press("ArrowRight")
    expect(tokens.nth(3)).to_be_focused()
    expect(readout).to_contain_text("ably -0.25 opposes")
    lines = tokens.evaluate_all("all => all.map((t) => getComputedStyle(t).borderBottomStyle)")
    assert lines[3] == "dashed"
    assert lines[4] == "solid"


def test_hostile_names_are_text(opened: _Opening) -> None:
    tab = opened("text")
    expect(_texts(tab).nth(1)).to_have_text(f"{HOSTILE[0]} \u2039U+202E\u203agnp.exe U+200F &lt;b&gt;")
    panel = tab.part("layer-panel")
    expect(panel.locator("img, i, b:not(.number)")).to_have_count(0)
    tab = opened("table", allFeatures=1)
    expect(tab.part("attribution-map").nth(0).get_by_role("rowheader", name=HOSTILE[0])).to_be_visible()
    expect(tab.part("layer-panel").locator("img")).to_have_count(0)


def test_columns_are_signed_bars_the_foremost_first(opened: _Opening) -> None:
    tab = opened("table")
    rows = tab.part("attribution-map").nth(0).locator("tr")
    expect(rows).to_have_count(12)
    expect(rows.nth(1).locator("th, td")).to_have_text(["column 15", "15", "", "-1.5"], use_inner_text=True)
    zero = rows.nth(1).locator(".bar-zero").bounding_box()
    against, towards = (rows.nth(i).locator(".bar-length").bounding_box() for i in (1, 0))
    assert zero
    assert against
    assert towards
    assert against["x"] + against["width"] == pytest.approx(zero["x"], abs=1.5)
    assert towards["x"] == pytest.approx(zero["x"], abs=1.5)
    assert towards["width"] / against["width"] == pytest.approx(1.6 / 1.5, rel=0.05)
    tab.part("all-features").press("Enter")
    expect(rows).to_have_count(17)
    tab.page.wait_for_url(re.compile("allFeatures=1"))  # written a moment later
    again = opened.at(tab.page.url)
    expect(again.part("attribution-map").nth(0).locator("tr")).to_have_count(17)


def test_time_series_are_curves_over_strips(opened: _Opening) -> None:
    tab = opened("series")
    series = tab.part("attribution-map").nth(0).get_by_role("slider")
    expect(series.locator("bdi")).to_have_text(list(VARIABLES), use_inner_text=True)
    expect(series.locator("path.curve")).to_have_count(3)
    series.focus()
    tab.page.keyboard.press("End")
    expect(series).to_have_attribute("aria-valuenow", "59")
    box = series.bounding_box()
    assert box
    tab.page.mouse.move(box["x"] + box["width"] / 2 + 1, box["y"] + 30)
    expect(series).to_have_attribute("aria-valuetext", re.compile(r"^time 30: .*attribution 1 supports.*-1 opposes"))


@pytest.mark.parametrize("run", ["text", "table", "series"])
def test_steps_are_gone_to_and_what_speaks_against_is_said(opened: _Opening, run: str) -> None:
    tab = opened(run)
    trust = tab.part("trust")
    expect(trust.get_by_role("note")).to_contain_text("2 of 2 checks speak against this attribution")
    expect(trust).to_contain_text("no better than a random order")
    expect(trust).to_contain_text("above 0.1")
    tab.part("layer-panel").get_by_label("Go to step 50").click()
    expect(tab.part("layer-panel").get_by_text("at step 50")).to_be_visible()
    tab.page.wait_for_url(re.compile("step=50"))


@pytest.mark.parametrize("run", ["text", "table", "series"])
def test_nothing_reaches_beyond_a_narrow_panel(opened: _Opening, run: str) -> None:
    tab = opened(run, width=900)
    panel = tab.part("layer-panel")
    wider = panel.locator(".measured").evaluate("panel => panel.scrollWidth - panel.clientWidth")
    assert wider <= 0
