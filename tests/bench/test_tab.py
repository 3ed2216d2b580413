"""How fast the tab is: in a real Chromium, under a real TensorBoard, with runs of the sizes it is to keep up with.

Times are written to RESULTS.md beside what they should be. Asserted is what does not depend on the machine: that what
was timed did happen, and that nothing was complained of.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

import serving
from bench import model_explorer_peer, tab_runs
from bench.measuring import write_section
from layerscope import wire
from tab import Tab, chromium

pytestmark = pytest.mark.bench
ROUNDS = 5
SCRIPTS = [Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("stopwatch.js", "tab_stopwatch.js")]
SIZES = {"nodes_1000": 1500, "nodes_10000": 3000}
"""Run -> milliseconds in which the first useful screen should be there."""
REPAINTED = {
    "colours": ".structure svg.canvas",
    "cursor of the heat map": ".heat-cross",
    "charts": '[aria-label="Statistics over steps"], [aria-label="Distributions over steps"]',
    "maps": "#attributions",
}


@dataclass(frozen=True)
class Figure:
    """What was measured of one thing, several times."""

    what: str
    on: str
    values: list[float]
    limit: str = ""
    unit: str = "ms"

    def row(self) -> str:
        """Return it as a row of the table."""
        numbers = [statistics.median(self.values), self.values[0], min(self.values), max(self.values)]
        told = " | ".join(f"{number:.0f}" for number in numbers)
        return f"| {self.what} | {self.on} | {self.limit} | {told} | {self.unit} |"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def graphs() -> dict[str, wire.ModelGraph]:
    """The structures of the large models; filled by ``tensorboard``."""
    return {}


@pytest.fixture(scope="module")
def tensorboard(
    tmp_path_factory: pytest.TempPathFactory, graphs: dict[str, wire.ModelGraph]
) -> Iterator[serving.TensorBoard]:
    logdir = tmp_path_factory.mktemp("large")
    for name in SIZES:
        graphs[name] = tab_runs.write_model(name, logdir / name)
    tab_runs.write_long_run(logdir / "layers_1000")
    last = {"nodes_1000": 99, "nodes_10000": 99, "layers_1000": 999}
    with serving.serving(logdir, tmp_path_factory.mktemp("log") / "log") as server:
        server.wait(lambda: all(_last_step(server, name) == step for name, step in last.items()))
        yield server


def _last_step(server: serving.TensorBoard, run: str) -> int | None:
    """Return the last step that TensorBoard has loaded of a run."""
    tags = json.loads(server.get("tags", run=run).body).get("tags", [])
    return max((tag["max_step"] for tag in tags if tag["max_step"] is not None), default=None)


@pytest.fixture(scope="module")
def figures() -> Iterator[list[Figure]]:
    found: list[Figure] = []
    before = os.getloadavg()[0]
    yield found
    write_section(
        "The tab",
        [
            f"{date.today()}, a window of 1280×800 in Chromium without a GPU, TensorBoard on the same machine, medians "
            f"of {ROUNDS}. `since the tab` counts from the opening of the plugin's page within TensorBoard, `since the "
            "address` from that of TensorBoard, which takes its own time first. Each window is opened afresh, with an "
            "empty cache; the first of them also pays what the server then remembers (findings). The machine's load "
            f"average was {before:.1f} at the beginning and {os.getloadavg()[0]:.1f} at the end, on {os.cpu_count()} "
            "cores.",
            "",
            "`nodes_1000` and `nodes_10000` are residual networks with so many nodes, and gradients of all layers at "
            "100 steps; `layers_1000` has gradients and updates of 1,000 layers at 1,000 steps; `wide` has 200 "
            "children, no two neighbours alike. A scrub step is a press of a key, until the frame is painted in "
            "which the last of what it changes is there. Model Explorer's time ends when it tells how many nodes there "
            "are, a little before it has drawn them.",
            "",
            "| what | on | should be | median | first | least | most | |",
            "|---|---|---|---|---|---|---|---|",
            *(figure.row() for figure in found),
        ],
    )


def _open(browser: Browser, server: serving.TensorBoard, run: str, **choices: object) -> Tab:
    chosen = "".join(f"&p.layerscope.{key}={value}" for key, value in {"run": run, **choices}.items())
    tab = Tab(browser, f"{server.url}#layerscope{chosen}", scripts=SCRIPTS)
    tab.part("structure").wait_for()
    _ask(tab, "opened()")
    return tab


def _ask(tab: Tab, call: str) -> Any:
    return tab.frame.locator("html").evaluate(f"() => stopwatch.{call}")


def _openings(browser: Browser, server: serving.TensorBoard, run: str) -> tuple[list[float], list[float]]:
    """Return how long each of ``ROUNDS`` fresh windows takes: since the tab was opened, and since TensorBoard was."""
    times: list[dict[str, float]] = []
    for _ in range(ROUNDS):
        tab = _open(browser, server, run)
        times.append(_ask(tab, "opened()"))
        assert tab.complaints == []
        tab.close()
    return [time["tab"] for time in times], [time["whole"] for time in times]


@pytest.mark.parametrize("run", SIZES)
def test_first_useful_screen(
    run: str, browser: Browser, tensorboard: serving.TensorBoard, figures: list[Figure]
) -> None:
    tab, whole = _openings(browser, tensorboard, run)
    figures.append(Figure("first useful screen, since the tab", f"`{run}`", tab, f"≤ {SIZES[run]}"))
    figures.append(Figure("since the address", f"`{run}`", whole))


def test_many_runs(browser: Browser, tmp_path_factory: pytest.TempPathFactory, figures: list[Figure]) -> None:
    logdir = tmp_path_factory.mktemp("many")
    tab_runs.write_many_runs(logdir)
    with serving.serving(logdir, tmp_path_factory.mktemp("log") / "log") as server:
        server.wait(lambda: server.get("runs").body.count(b"run_") == 100)
        tab, whole = _openings(browser, server, "run_050")
    figures.append(Figure("opening a log directory, since the tab", "100 runs", tab, "≤ 2000"))
    figures.append(Figure("since the address", "100 runs", whole))


@pytest.mark.parametrize("run", SIZES)
def test_expanding(run: str, browser: Browser, tensorboard: serving.TensorBoard, figures: list[Figure]) -> None:
    tab = _open(browser, tensorboard, run, expanded="stages")
    first, *times = [_ask(tab, f"toggling({tab_runs.WIDE!r})") for _ in range(2 * ROUNDS)]
    closing, opening = times[::2], [first, *times[1::2]]
    inside = tab.frame.locator(f'[data-node^="{tab_runs.WIDE}."]')
    assert inside.count() == 0
    _ask(tab, f"toggling({tab_runs.WIDE!r})")
    assert inside.count() == tab_runs.CHILDREN
    assert tab.complaints == []
    tab.close()
    name = f"`{tab_runs.WIDE}` of `{run}`"
    figures.append(Figure("expanding 200 children, after the first", name, opening[1:], "≤ 150"))
    figures.append(Figure("the first", name, opening[:1]))
    figures.append(Figure("closing them", name, closing))


@pytest.mark.parametrize(("run", "visible"), [("nodes_10000", 2000)])
def test_everything_open(
    run: str, visible: int, browser: Browser, tensorboard: serving.TensorBoard, figures: list[Figure]
) -> None:
    times: list[float] = []
    frames: list[float] = []
    slowest: list[float] = []
    for _ in range(ROUNDS):
        tab = _open(browser, tensorboard, run)
        times.append(_ask(tab, "unfolding('Unfold all')"))
        assert _ask(tab, "visible()") > 9000
        x, y = _zoom_until(tab, visible)
        began = _drag(tab, x, y)
        gaps = [after - before for before, after in pairwise(began)]
        frames.append(1000 / statistics.mean(gaps))
        slowest.append(max(gaps))
        assert tab.complaints == []
        tab.close()
    figures.append(Figure("unfolding everything", f"`{run}`", times))
    figures.append(Figure(f"panning with {visible} boxes on view", f"`{run}`", frames, "≥ 30", "frames a second"))
    figures.append(Figure("the slowest frame of it", f"`{run}`", slowest))


def _zoom_until(tab: Tab, visible: int) -> tuple[float, float]:
    """Zoom in with the wheel as far as leaves so many boxes on view; return where the pointer is then."""
    pane = tab.frame.locator(".structure svg.canvas").bounding_box()
    assert pane is not None
    x, y = pane["x"] + pane["width"] / 2, pane["y"] + pane["height"] / 2
    tab.page.mouse.move(x, y)
    while _ask(tab, "visible()") > visible * 1.1:
        tab.page.mouse.wheel(0, -50)
        _ask(tab, "painted()")
    assert _ask(tab, "visible()") > visible * 0.8
    return x, y


def _drag(tab: Tab, x: float, y: float) -> list[float]:
    """Drag the picture to and fro by 200 pixels, 8 at a time; return when each frame began meanwhile."""
    before = _ask(tab, "transform()")
    tab.page.mouse.down()
    _ask(tab, "count()")
    for far in (-200, 0, 200, 0, -200, 50):
        tab.page.mouse.move(x + far, y + far, steps=25)
    began = _ask(tab, "counted()")
    tab.page.mouse.up()
    assert _ask(tab, "transform()") != before
    return began


def test_scrubbing_a_long_run(browser: Browser, tensorboard: serving.TensorBoard, figures: list[Figure]) -> None:
    for told, expanded in ({"": None, ", everything unfolded": "**"}).items():
        chosen = {"layer": "stages.0.0.up", "step": 900} | ({"expanded": expanded} if expanded else {})
        tab = _open(browser, tensorboard, "layers_1000", **chosen)
        tab.frame.locator('[aria-label="Distributions over steps"] canvas').first.wait_for()
        times = _scrub(tab, "ArrowLeft", presses=ROUNDS)
        for part in ("colours", "cursor of the heat map", "charts"):
            assert len(times[part]) == ROUNDS
            figures.append(Figure(f"scrub step: {part}", f"`layers_1000`{told}", times[part], "≤ 50"))
        tab.close()


def test_scrubbing_what_is_compared_with(
    browser: Browser, tensorboard: serving.TensorBoard, figures: list[Figure]
) -> None:
    tab = _open(browser, tensorboard, "layers_1000", layer="stages.0.0.up", step=900, compareStep=500)
    tab.frame.locator('[aria-label^="Distributions over steps"] canvas').first.wait_for()
    times = _scrub(tab, "ArrowLeft", presses=ROUNDS, slider="compare-slider")
    for part in ("colours", "cursor of the heat map"):
        assert len(times[part]) == ROUNDS
        figures.append(Figure(f"step of what is compared with: {part}", "`layers_1000`", times[part]))
    tab.close()


def test_scrubbing_the_demo(
    browser: Browser, demo_logdir: Path, tmp_path_factory: pytest.TempPathFactory, figures: list[Figure]
) -> None:
    with serving.serving(demo_logdir, tmp_path_factory.mktemp("log") / "log") as server:
        server.wait(lambda: b"maximization" in server.get("tags", run="digits").body)
        tab = _open(browser, server, "digits", layer="stage1.0.conv1")
        tab.frame.locator("#attributions canvas").first.wait_for()
        times = _scrub(tab, "PageDown", presses=4 * ROUNDS)  # ten saved steps on, so that there are other maps
        tab.close()
    for part, limit in (("colours", 50), ("cursor of the heat map", 50), ("charts", 50), ("maps", 150)):
        assert len(times[part]) >= ROUNDS
        figures.append(Figure(f"scrub step: {part}", "the demo", times[part], f"≤ {limit}"))


def _scrub(tab: Tab, key: str, presses: int, slider: str = "step-slider") -> dict[str, list[float]]:
    """Press a key on the step; return for each part how long those presses took that changed it."""
    found: dict[str, list[float]] = {part: [] for part in REPAINTED}
    tab.part(slider).focus()
    tab.page.wait_for_timeout(1000)  # what the opening still brings is no answer to a key
    for _ in range(presses):
        _ask(tab, f"awaitKey({REPAINTED!r})")
        tab.page.keyboard.press(key)
        for part, time in _ask(tab, "repainted()").items():
            found[part].append(time)
    assert tab.complaints == []
    return found


def test_the_graphs_tab(browser: Browser, tmp_path_factory: pytest.TempPathFactory, figures: list[Figure]) -> None:
    logdir = tmp_path_factory.mktemp("graph_def")
    tab_runs.write_graph_def("nodes_1000", logdir / "run")
    times: list[float] = []
    with serving.serving(logdir, tmp_path_factory.mktemp("log") / "log") as server:
        server.wait(lambda: b"run" in server.fetch("data/plugin/graphs/info").body)
        for _ in range(ROUNDS):
            context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
            for script in SCRIPTS:
                context.add_init_script(script)
            page = context.new_page()
            page.goto(f"{server.url}#graphs")
            times.append(page.evaluate("() => stopwatch.graphsTab()"))
            context.close()
    figures.append(Figure("TensorBoard's Graphs tab, since the address", "`nodes_1000`, by `add_graph`", times))


@pytest.mark.skipif(not model_explorer_peer.installed(), reason="Model Explorer is not installed; see its module here")
@pytest.mark.parametrize("run", SIZES)
def test_model_explorer(
    run: str,
    browser: Browser,
    tensorboard: serving.TensorBoard,
    graphs: dict[str, wire.ModelGraph],
    tmp_path: Path,
    figures: list[Figure],
) -> None:
    path = tmp_path / f"{run}.json"
    model_explorer_peer.write(graphs[run], path)
    with model_explorer_peer.serving(tmp_path / "log") as address, model_explorer_peer.chromium(browser) as webgl:
        times = [model_explorer_peer.opening(webgl, address, path) for _ in range(ROUNDS)]
    figures.append(Figure("Model Explorer, since the address", f"`{run}`", times))
