"""Findings in the tab: the list, the way to the place, the glyphs; and what trains, over time. In Chromium."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

import faulty_run
import serving
from tab import Tab

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.TensorBoard]:
    logdir = tmp_path_factory.mktemp("faulty")
    faulty_run.train(logdir / "faulty")
    with serving.serving(logdir, tmp_path_factory.mktemp("log") / "tensorboard.log") as server:
        server.wait(lambda: faulty_run.SOURCE.encode() in server.get("findings", run="faulty").body)
        yield server


@pytest.fixture
def open_tab(browser: Browser, faulty: serving.TensorBoard) -> Iterator[Tab]:
    tab = Tab(browser, f"{faulty.url}#layerscope")
    tab.ready()
    yield tab
    tab.close()
    assert tab.complaints == []
    assert "Traceback" not in faulty.log.read_text()


def _finding(tab: Tab, title: str) -> Locator:
    heads = tab.part("findings").locator(".finding-head")
    return heads.filter(has=tab.frame.locator(".finding-title", has_text=re.compile(f"^{title}$")))


def test_the_findings_are_listed_and_counted_where_one_looks_first(open_tab: Tab, faulty: serving.TensorBoard) -> None:
    listed = json.loads(faulty.get("findings", run="faulty").body)["findings"]
    assert {(one["detector"], one["layer"], one["step"]) for one in listed} >= {
        ("nan", faulty_run.SOURCE, faulty_run.BROKEN)
    }
    expect(open_tab.part("findings").locator(".finding-head")).to_have_count(len(listed))
    expect(open_tab.part("findings").locator(".finding-layer").first).to_have_text(faulty_run.SOURCE)
    errors = sum(one["severity"] == "error" for one in listed)
    badge = open_tab.part("findings-badge")
    expect(badge).to_have_attribute("aria-label", re.compile(rf"^Findings: {errors} error"))
    badge.click()
    expect(open_tab.part("findings").locator(".finding-head")).to_have_count(0)


def test_a_finding_goes_to_its_place_and_the_address_keeps_it(
    open_tab: Tab, browser: Browser, faulty: serving.TensorBoard
) -> None:
    _finding(open_tab, "NaN").click()
    _shows_the_nan(open_tab)
    open_tab.page.wait_for_url(re.compile(r"finding="))  # written a moment later
    again = Tab(browser, open_tab.page.url)
    again.ready()
    _shows_the_nan(again)
    again.close()
    assert again.complaints == []


def _shows_the_nan(tab: Tab) -> None:
    expect(tab.frame.locator(".box.selected")).to_have_attribute("data-node", faulty_run.SOURCE)
    expect(tab.part("step-slider")).to_have_attribute("aria-valuenow", str(faulty_run.BROKEN))
    expect(tab.part("measure-picker")).to_have_value("training_activations.nan_count")
    expect(_finding(tab, "NaN")).to_have_attribute("aria-expanded", "true")
    expect(tab.part("findings").locator(".finding-body")).to_contain_text("Rule: ")
    expect(tab.part("layer-panel").get_by_role("heading", name=faulty_run.SOURCE, exact=True)).to_be_visible()


def test_glyphs_stand_on_boxes_rows_and_outline_also_of_what_is_closed(open_tab: Tab) -> None:
    row = open_tab.part("heat-map").locator(".heat-label.flagged", has_text="odd")
    expect(row).to_have_attribute("aria-label", f"{faulty_run.SOURCE}, NaN at step {faulty_run.BROKEN}")
    open_tab.part("outline-toggle").click()
    holder = open_tab.frame.locator('[data-outline="blocks"] .outline-flag')
    expect(holder).to_have_attribute("aria-label", re.compile(r"^inside: NaN at step"))
    if open_tab.box("blocks").get_attribute("data-expanded") == "true":
        open_tab.box("blocks").focus()
        open_tab.page.keyboard.press("Space")
    expect(open_tab.box("blocks")).to_have_attribute("aria-label", re.compile(r"inside: NaN at step"))
    expect(open_tab.frame.locator('[data-flag="blocks"] .flag.error.inside')).to_be_visible()
    _finding(open_tab, "NaN").click()
    expect(open_tab.box(faulty_run.SOURCE)).to_have_attribute(
        "aria-label", re.compile(rf"NaN at step {faulty_run.BROKEN}$")
    )
    own = open_tab.frame.locator(f'[data-flag="{faulty_run.SOURCE}"] .flag.error')
    expect(own).to_have_class(re.compile(r"^flag error mark$"))
    open_tab.part("step-slider").focus()
    open_tab.page.keyboard.press("Home")
    expect(own).to_have_class(re.compile(r"later"))


def test_keys_open_the_list_and_go_from_finding_to_finding(open_tab: Tab) -> None:
    open_tab.part("step-slider").focus()
    open_tab.page.keyboard.press("!")
    heads = open_tab.part("findings").locator(".finding-head")
    expect(heads).to_have_count(0)
    open_tab.page.keyboard.press("n")
    expect(heads.nth(0)).to_have_attribute("aria-expanded", "true")
    open_tab.page.keyboard.press("n")
    expect(heads.nth(1)).to_have_attribute("aria-expanded", "true")
    expect(heads.nth(0)).to_have_attribute("aria-expanded", "false")
    open_tab.page.keyboard.press("p")
    expect(heads.nth(0)).to_have_attribute("aria-expanded", "true")
    heads.nth(0).focus()
    open_tab.page.keyboard.press("ArrowDown")
    expect(heads.nth(1)).to_be_focused()


def test_what_is_frozen_is_striped_and_says_so_until_it_thaws(open_tab: Tab) -> None:
    open_tab.part("measure-picker").select_option("parameters.trainable")
    layer = open_tab.box("blocks.2.linear")
    open_tab.part("step-slider").focus()
    open_tab.page.keyboard.press("Home")
    expect(layer).to_have_class(re.compile(r"\bfrozen\b"))
    expect(layer).to_have_attribute("aria-label", re.compile(r"linear, Linear, frozen"))
    open_tab.page.keyboard.press("End")
    expect(layer).to_have_class(re.compile(r"\bpainted\b"))
    expect(layer).to_have_attribute("aria-label", re.compile(r"linear, Linear, 100 %"))
    # Where there is a gradient, only the finding, which is about the start, says frozen.
    open_tab.part("measure-picker").select_option("gradients.norm")
    expect(layer).to_have_attribute("aria-label", "linear, Linear, NaN, frozen at step 0")
    open_tab.part("step-slider").focus()
    open_tab.page.keyboard.press("Home")
    expect(layer).to_have_attribute("aria-label", "linear, Linear, no value, frozen, frozen at step 0")


def test_steps_are_spaced_by_their_magnitude_in_every_chart(open_tab: Tab) -> None:
    rule = open_tab.part("heat-map").locator(".heat-cross > line")
    slider = open_tab.part("step-slider")
    slider.focus()
    last = rule.get_attribute("x1") or ""
    open_tab.page.keyboard.press("Home")
    for _ in range(5):
        open_tab.page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuenow", "5")
    expect(rule).not_to_have_attribute("x1", last)
    even = float(rule.get_attribute("x1") or 0)
    open_tab.part("log-steps").check()
    expect(rule).not_to_have_attribute("x1", str(even))
    assert float(rule.get_attribute("x1") or 0) > 2 * even
    expect(open_tab.page).to_have_url(re.compile("axis=log"))


def test_a_run_in_which_nothing_was_found_says_that_it_was_examined(tab: Tab) -> None:
    badge = tab.part("findings-badge")
    expect(badge.locator("summary")).to_have_text("nothing found")
    badge.locator("summary").click()
    expect(badge.locator("p")).to_have_text(re.compile("nothing wrong was found"))
    expect(tab.part("findings")).to_have_count(0)


def test_without_news_no_numbers_are_asked_for(tab: Tab) -> None:
    expect(tab.part("heat-map").locator("canvas")).to_be_visible()
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.page.wait_for_timeout(11_000)  # two looks
    assert sum("/tags?" in url for url in asked) >= 2
    assert [url for url in asked if "/array?" in url and "scalar=" not in url] == []
