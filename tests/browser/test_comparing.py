"""The story of a fine-tuning: open, go to what went wrong, scrub, compare with before, hand the view on."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

import serving
import tuned_run
from tab import Tab

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.TensorBoard]:
    logdir = tmp_path_factory.mktemp("tuned")
    tuned_run.train(logdir)
    with serving.serving(logdir, tmp_path_factory.mktemp("log") / "tensorboard.log") as server:
        for run in (tuned_run.BEFORE, tuned_run.AFTER):
            server.wait(lambda run=run: b"attribution" in server.get("tags", run=run).body)
        server.wait(lambda: tuned_run.SOURCE.encode() in server.get("findings", run=tuned_run.AFTER).body)
        yield server


def _open(browser: Browser, url: str) -> Tab:
    tab = Tab(browser, url, width=1440, height=900)
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.ready()
    return tab


def _close(tab: Tab, server: serving.TensorBoard) -> None:
    tab.close()
    assert tab.complaints == []
    assert "Traceback" not in server.log.read_text()


DIFFERENCE = "A \N{MINUS SIGN} B"
BOXES = ("blocks", "blocks.0", "blocks.1", "blocks.2", "classifier")


def _seen(tab: Tab) -> dict[str, object]:
    """Return what the tab shows, in words: choices, steps, numbers, colours."""
    part = tab.part
    return {
        "run": part("run-picker").input_value(),
        "compared with": part("compare-picker").input_value(),
        "measure": part("measure-picker").input_value(),
        "step": part("step-slider").get_attribute("aria-valuenow"),
        "b": tab.frame.locator(".scrubber-other").inner_text(),
        "counterpart": part("counterpart").inner_text(),
        "cell": part("heat-map").locator(".heat-value").text_content(),
        "maps": [part("attribution-map").nth(index).inner_text() for index in range(2)],
        "values": {box: tab.box(box).first.get_attribute("aria-label") for box in BOXES},
    }


def test_the_story_of_a_fine_tuning(browser: Browser, tuned: serving.TensorBoard) -> None:
    tab = _open(browser, f"{tuned.url}#layerscope")
    assert tab.part("run-picker").input_value() == tuned_run.AFTER
    finding = tab.part("findings").locator(".finding-head").filter(has_text=tuned_run.SOURCE).first
    finding.click()
    expect(tab.part("step-slider")).to_have_attribute("aria-valuenow", str(tuned_run.BROKEN))
    expect(tab.box(tuned_run.SOURCE)).to_have_attribute("aria-pressed", "true")
    tab.part("step-slider").focus()
    for _ in range(5):
        tab.page.keyboard.press("ArrowLeft")
    expect(tab.part("step-slider")).to_have_attribute("aria-valuenow", "20")
    tab.part("measure-picker").select_option("gradients.norm")  # the finding had chosen its own
    tab.part("compare-picker").select_option(f"run:{tuned_run.BEFORE}")
    expect(tab.part("heat-map").locator(".heat-value")).to_have_text(re.compile(r"^×"))
    tab.box("classifier").click()
    expect(tab.part("counterpart")).to_contain_text(f"head in {tuned_run.BEFORE} at step 20")
    expect(tab.part("attribution-map").first).to_contain_text(DIFFERENCE)
    seen = _seen(tab)
    tab.part("copy-link").click()
    expect(tab.part("copy-link")).to_have_text("Copied")
    link = tab.page.evaluate("navigator.clipboard.readText()")
    again = _open(browser, link)
    expect(again.part("attribution-map").first).to_contain_text(DIFFERENCE)
    expect(again.part("heat-map").locator(".heat-value")).to_have_text(str(seen["cell"]))
    assert _seen(again) == seen
    _close(again, tuned)
    _close(tab, tuned)


def test_the_same_story_by_keyboard_alone(browser: Browser, tuned: serving.TensorBoard) -> None:
    tab = _open(browser, f"{tuned.url}#layerscope")
    keys = tab.page.keyboard
    tab.part("step-slider").focus()  # the tab has the focus; from here on nothing but keys
    keys.press("n")
    expect(tab.part("step-slider")).to_have_attribute("aria-valuenow", str(tuned_run.BROKEN))
    for _ in range(5):
        keys.press("[")
    expect(tab.part("step-slider")).to_have_attribute("aria-valuenow", "20")
    keys.press("c")
    expect(tab.part("compare-picker")).to_have_value(f"run:{tuned_run.BEFORE}")
    keys.press("/")
    keys.type("classifier")
    keys.press("Enter")
    keys.press("Escape")
    expect(tab.part("counterpart")).to_contain_text(f"head in {tuned_run.BEFORE} at step 20")
    while tab.frame.locator(":focus").get_attribute("data-testid") != "copy-link":
        keys.press("Tab")
    keys.press("Enter")
    expect(tab.part("copy-link")).to_have_text("Copied")
    again = _open(browser, tab.page.evaluate("navigator.clipboard.readText()"))
    expect(again.part("counterpart")).to_contain_text(f"head in {tuned_run.BEFORE} at step 20")
    _close(again, tuned)
    _close(tab, tuned)


def test_back_returns_to_the_choice_before(browser: Browser, tuned: serving.TensorBoard) -> None:
    tab = _open(browser, f"{tuned.url}#layerscope")
    tab.box("classifier").click()
    tab.page.wait_for_url(re.compile("layer=classifier"))
    tab.part("compare-picker").select_option(f"run:{tuned_run.BEFORE}")
    tab.page.wait_for_url(re.compile("compareRun=pretrained"))
    tab.page.go_back()
    expect(tab.part("compare-picker")).to_have_value("")
    expect(tab.box("classifier")).to_have_attribute("aria-pressed", "true")
    tab.page.go_back()
    expect(tab.box("classifier")).to_have_attribute("aria-pressed", "false")
    tab.page.go_forward()
    expect(tab.box("classifier")).to_have_attribute("aria-pressed", "true")
    _close(tab, tuned)


def test_sides_stand_over_each_other_and_one_alone_while_its_key_is_held(
    browser: Browser, tuned: serving.TensorBoard
) -> None:
    run = f"{tuned.url}#layerscope&p.layerscope.run={tuned_run.AFTER}&p.layerscope.compareRun={tuned_run.BEFORE}"
    tab = _open(browser, f"{run}&p.layerscope.step=20&p.layerscope.layer=classifier")
    classifier = tab.box("classifier").first
    expect(classifier).to_have_attribute("aria-label", re.compile("×"))
    tab.part("step-slider").focus()
    tab.page.keyboard.down("b")
    expect(classifier).not_to_have_attribute("aria-label", re.compile("×"))
    alone = classifier.get_attribute("aria-label")
    tab.page.keyboard.up("b")
    expect(classifier).to_have_attribute("aria-label", re.compile("×"))
    tab.part("compare-side").click()
    sides = tab.part("structure")
    there = sides.get_by_test_id("side-b").locator('[data-node="head"]').first
    expect(there).to_be_visible()
    value = re.compile(r"Linear, ([\d.e-]+)")
    found, shown = value.search(alone or ""), value.search(there.get_attribute("aria-label") or "")
    assert found is not None
    assert shown is not None
    assert found[1] == shown[1]
    _close(tab, tuned)


TRANSFORM = """svg => {
  const {a, e, f} = svg.querySelector(":scope > g").transform.baseVal.consolidate().matrix;
  return [a, e, f];
}"""


def test_both_structures_are_moved_by_one_gesture(browser: Browser, tuned: serving.TensorBoard) -> None:
    state = f"&p.layerscope.compareRun={tuned_run.BEFORE}&p.layerscope.compareAs=side"
    tab = _open(browser, f"{tuned.url}#layerscope{state}")
    sides = [tab.part("structure").get_by_test_id(side).locator("svg.canvas") for side in ("side-a", "side-b")]
    for side in sides:
        expect(side.locator("[data-node]").first).to_be_visible()
    before = [side.evaluate(TRANSFORM) for side in sides]
    pane = sides[0].bounding_box()
    assert pane
    x, y = pane["x"] + 12, pane["y"] + pane["height"] - 12  # where no box is
    tab.page.mouse.move(x, y)
    tab.page.mouse.down()
    tab.page.mouse.move(x + 50, y - 30, steps=5)
    tab.page.mouse.up()
    moved = [side.evaluate(TRANSFORM) for side in sides]
    for (k, e, f), after in zip(before, moved, strict=True):
        assert after == pytest.approx([k, e + 50, f - 30], abs=1)
    tab.page.mouse.wheel(0, -200)
    tab.page.wait_for_timeout(300)
    zoomed = [side.evaluate(TRANSFORM) for side in sides]
    factors = [after[0] / was[0] for was, after in zip(moved, zoomed, strict=True)]
    assert factors[0] > 1.1
    assert factors[1] == pytest.approx(factors[0], rel=1e-3)
    curves = tab.frame.locator(".track .curve")
    dashes = curves.evaluate_all("all => all.map((curve) => getComputedStyle(curve).strokeDasharray)")
    assert dashes[0] != "none"  # that of B
    assert dashes[1:] == ["none"]
    _close(tab, tuned)
