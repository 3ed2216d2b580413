"""Finding one's way around the structure by outline, search, keyboard and address, in the tab in Chromium."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Locator, expect

from serving import TensorBoard
from tab import Tab

pytestmark = pytest.mark.browser


def _row(tab: Tab, layer: str) -> Locator:
    return tab.frame.locator(f'[data-outline="{layer}"]')


def _selected(tab: Tab) -> Locator:
    return tab.frame.locator(".box.selected")


def test_the_outline_selects_and_reveals(tab: Tab) -> None:
    tab.part("outline-toggle").click()
    outline = tab.part("outline")
    outline.focus()
    tab.page.keyboard.press("Home")
    for _ in range(40):  # no more rows than that at the top of the demo's model
        if _row(tab, "stage2").get_attribute("class").split()[-1] == "active":
            break
        tab.page.keyboard.press("ArrowDown")
    if _row(tab, "stage2").get_attribute("aria-expanded") == "false":
        tab.page.keyboard.press("ArrowRight")
    _row(tab, "stage2").locator("xpath=following-sibling::*[1]").click()
    layer = _selected(tab).get_attribute("data-node")
    assert layer is not None
    expect(tab.part("layer-panel").get_by_role("heading", name=layer, exact=True)).to_be_visible()


def test_the_search_goes_from_match_to_match_and_opens_what_hides_them(tab: Tab) -> None:
    tab.page.locator("body").press("Escape")
    tab.part("search").fill("/^stage2\\.[01]\\.conv2$/")
    expect(tab.part("search-found")).to_have_text("2")
    tab.part("search").press("Enter")
    expect(tab.part("search-found")).to_have_text("1 of 2")
    expect(tab.box("stage2.0.conv2")).to_be_visible()
    tab.part("search").press("Enter")
    expect(_selected(tab)).to_have_attribute("data-node", "stage2.1.conv2")
    tab.part("search").fill("/conv(/")
    expect(tab.part("search-found")).to_have_text("missing closing )")


def test_arrow_keys_walk_along_the_edges_and_out_of_modules(tab: Tab) -> None:
    for layer in ("stage1", "stage1.0"):
        if tab.box(layer).get_attribute("data-expanded") != "true":
            tab.expand(layer)
    tab.box("stage1.0.conv1").focus()
    tab.page.keyboard.press("ArrowDown")
    expect(_selected(tab)).to_have_attribute("data-node", "stage1.0.bn1")
    expect(tab.box("stage1.0.bn1")).to_be_focused()
    tab.page.keyboard.press("ArrowUp")
    expect(_selected(tab)).to_have_attribute("data-node", "stage1.0.conv1")
    tab.page.keyboard.press("Escape")
    expect(_selected(tab)).to_have_attribute("data-node", "stage1.0")
    tab.page.keyboard.press("Enter")
    expect(tab.box("stage1.0")).to_have_attribute("data-expanded", "false")


def test_what_is_upstream_stays_bright_and_the_address_keeps_it(
    tab: Tab, browser: Browser, tensorboard: TensorBoard
) -> None:
    tab.box("stage1").focus()
    tab.page.keyboard.press("Enter")
    tab.page.keyboard.press("u")
    tab.page.keyboard.press("o")
    expect(tab.part("flow-up")).to_have_attribute("aria-pressed", "true")
    expect(tab.frame.locator(".box.dim")).not_to_have_count(0)
    expect(tab.part("outline")).to_be_visible()
    expect(tab.page).to_have_url(re.compile(r"layer=stage1&.*outline=1&.*flow=up"))
    again = Tab(browser, tab.page.url)
    again.ready()
    expect(again.part("flow-up")).to_have_attribute("aria-pressed", "true")
    expect(_row(again, "stage1")).to_have_attribute("aria-selected", "true")
    assert again.complaints == []
    again.close()
