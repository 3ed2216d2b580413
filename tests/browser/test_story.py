"""The main story over the demo's log directory: open, expand, scrub, look at a layer, share the address."""

from __future__ import annotations

import re
from collections import Counter

import pytest
import torch
from playwright.sync_api import Browser, expect
from torch import nn

import serving
from layerscope import demo
from serving import TensorBoard
from tab import Tab

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("tensorboard", serving.LOADERS, ids=["rust", "python"], indirect=True, scope="session"),
]


def _executed() -> dict[str, nn.Module]:
    """Return layer key -> module for every module call of the demo's network, recorded by plain forward hooks."""
    model = demo.DigitsNet().eval()
    calls: Counter[str] = Counter()
    keys: dict[str, nn.Module] = {}

    def record(name: str, module: nn.Module) -> None:
        keys[f"{name}#{calls[name]}" if calls[name] else name] = module
        calls[name] += 1

    for name, module in model.named_modules():
        if name:
            module.register_forward_hook(lambda m, _inputs, _output, name=name: record(name, m))
    model(torch.zeros(1, 1, 8, 8))
    return keys


def test_every_executed_layer_has_a_box(tab: Tab) -> None:
    executed = _executed()
    assert len(executed) == 39
    assert "stage1.0.relu#1" in executed
    for layer, module in executed.items():  # in order of execution, so a container comes after what it holds
        if any(True for _ in module.children()):
            _open(tab, layer)
    expect(tab.box("stage2.1.conv2")).to_be_visible()
    assert executed.keys() <= tab.boxes()


def _open(tab: Tab, layer: str) -> None:
    parts = layer.split(".")
    for ancestor in (".".join(parts[: i + 1]) for i in range(len(parts))):
        expect(tab.box(ancestor)).to_be_visible()
        if tab.box(ancestor).get_attribute("data-expanded") != "true":
            tab.expand(ancestor)


def test_expanding_a_module_shows_its_children(tab: Tab) -> None:
    _open(tab, "stage2")
    if tab.box("stage2.1").get_attribute("data-expanded") == "true":
        _toggle(tab, "stage2.1")
    expect(tab.box("stage2.1.conv1")).to_have_count(0)
    tab.expand("stage2.1")
    for child in ("conv1", "bn1", "relu", "conv2", "bn2", "relu#1"):
        expect(tab.box(f"stage2.1.{child}")).to_be_visible()
    _toggle(tab, "stage2.1")
    expect(tab.box("stage2.1.conv1")).to_have_count(0)


def _toggle(tab: Tab, layer: str) -> None:
    tab.box(layer).first.focus()
    tab.page.keyboard.press("Space")


def test_another_step_changes_the_colours(tab: Tab) -> None:
    expect(tab.part("step-slider")).to_be_visible()
    slider = tab.part("step-slider")
    slider.focus()
    tab.page.keyboard.press("Home")
    expect(slider).to_have_attribute("aria-valuenow", "0")
    first = {layer: tab.fill(layer) for layer in ("stem.0", "stage1.0.conv1", "fc")}
    tab.page.keyboard.press("End")
    expect(slider).to_have_attribute("aria-valuenow", str(demo.STEPS))
    last = {layer: tab.fill(layer) for layer in ("stem.0", "stage1.0.conv1", "fc")}
    assert all(colour.startswith("rgb") for colour in (*first.values(), *last.values()))
    assert len(set(first.values())) > 1  # layers differ at one step,
    assert sum(first[layer] != last[layer] for layer in first) >= 2  # and steps differ for a layer


def test_clicking_a_layer_shows_its_maps_and_images(tab: Tab) -> None:
    tab.box("stem").first.focus()
    if tab.box("stem").get_attribute("data-expanded") != "true":
        tab.page.keyboard.press("Space")
    tab.box("stem.0").click()
    panel = tab.part("layer-panel")
    expect(panel).to_contain_text("stem.0")
    expect(panel).to_contain_text("Conv2d")
    maps = panel.get_by_test_id("attribution-map")
    expect(maps.nth(7)).to_be_visible()
    images = panel.get_by_test_id("maximization-image")
    expect(images).to_have_count(6)
    widths = images.evaluate_all("all => Promise.all(all.map((i) => i.decode().then(() => i.naturalWidth)))")
    assert widths == [8] * 6


def test_without_a_layer_the_inputs_have_their_attributions_and_how_far_to_trust_them(tab: Tab) -> None:
    panel = tab.part("layer-panel")
    expect(panel.get_by_role("heading", name="Attribution of the inputs")).to_be_visible()
    panel.get_by_test_id("method-picker").select_option("integrated_gradients")
    expect(panel.get_by_test_id("attribution-map")).to_have_count(10)
    expect(panel.get_by_test_id("trust")).to_contain_text("completeness gap")
    expect(panel.get_by_test_id("trust")).to_contain_text("deletion")
    offered = panel.get_by_test_id("method-picker").locator("option").all_inner_texts()
    assert "grad cam" not in offered  # it says nothing of inputs


def test_the_address_opens_the_same_state_in_a_new_window(tab: Tab, browser: Browser, tensorboard: TensorBoard) -> None:
    _open(tab, "stage2.0")
    tab.box("stage2.0.conv2").focus()  # brings it into view
    tab.box("stage2.0.conv2").click()
    tab.part("step-slider").focus()
    tab.page.keyboard.press("Home")
    for _ in range(3):
        tab.page.keyboard.press("ArrowRight")
    step = tab.part("step-slider").get_attribute("aria-valuenow")
    assert step not in (None, "0")
    expect(tab.part("layer-panel")).to_contain_text("stage2.0.conv2")
    tab.page.wait_for_url(re.compile(rf"step={step}&.*layer=stage2\.0\.conv2"))  # written a moment later
    again = Tab(browser, tab.page.url)
    again.ready()
    expect(again.part("step-slider")).to_have_attribute("aria-valuenow", str(step))
    expect(again.part("layer-panel")).to_contain_text("stage2.0.conv2")
    expect(again.box("stage2.0.conv2")).to_be_visible()
    assert again.boxes() == tab.boxes()
    assert again.fill("stage2.0.conv2") == tab.fill("stage2.0.conv2")
    again.close()
    assert again.complaints == []


def test_the_users_scalars_are_still_there(tab: Tab, tensorboard: TensorBoard) -> None:
    points = tensorboard.fetch("data/plugin/scalars/scalars?run=digits&tag=loss").body
    assert points.count(b"[") == demo.STEPS + 2
    expect(tab.part("step-slider")).to_have_attribute("aria-valuemax", str(demo.STEPS))


def test_dark_mode_follows_tensorboard(tab: Tab) -> None:
    root = tab.frame.locator("html")
    light = root.evaluate("html => getComputedStyle(html).getPropertyValue('--surface')")
    tab.page.evaluate("document.body.classList.add('dark-mode')")
    expect(root).to_have_class(re.compile("dark"))
    assert root.evaluate("html => getComputedStyle(html).getPropertyValue('--surface')") != light


def test_anything_wrong_would_be_noticed(browser: Browser, tensorboard: TensorBoard) -> None:
    """The meta-test: each kind of complaint is recorded when it is provoked."""
    tab = Tab(browser, f"{tensorboard.url}#layerscope")
    tab.ready()
    assert tab.complaints == []
    tab.frame.locator("html").evaluate(
        """html => {
             console.error("provoked");
             setTimeout(() => { throw new Error("thrown"); });
             const script = document.createElement("script");
             script.textContent = "1";
             html.append(script);
             fetch("https://example.invalid/").catch(() => {});
             fetch("plugin/layerscope/nothing").catch(() => {});
           }"""
    )
    tab.page.wait_for_timeout(500)
    found = "\n".join(tab.complaints)
    for sign in ("console: provoked", "uncaught: thrown", "content policy: script-src", "404"):
        assert sign in found, found
    assert "example.invalid" in found, found
    tab.close()
