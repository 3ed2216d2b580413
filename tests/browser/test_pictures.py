"""What units respond to and what layers hold: images with their yardstick, channels, weights, heads, points."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from playwright.sync_api import Browser, expect
from torch.utils.tensorboard import SummaryWriter

import serving
from layerscope import wire
from layerscope.writing import MessageWriter
from tab import CHROMIUM, FLAGS, Tab

pytestmark = pytest.mark.browser

STEPS = (0, 50, 100)
SAMPLES = 6
CLASSES = ("<img src=x onerror=console.error('ran')>", "toxic")
# In one look, since what stands above may still grow; of the picture's own height.
BOX_WITHIN_PICTURE = """sample => {
  const [picture, box] = ["canvas", ".top-sample-box"].map((part) => sample.querySelector(part))
    .map((part) => part.getBoundingClientRect());
  return {top: (box.top - picture.top) / picture.height, height: box.height / picture.height};
}"""
WITH_WEBGL = [flag for flag in FLAGS if flag != "--disable-gpu"]
WITH_WEBGL += ["--enable-unsafe-swiftshader", "--use-gl=angle", "--use-angle=swiftshader"]


def _write(folder: Path) -> None:
    random = np.random.default_rng(0)
    inputs = random.random((SAMPLES, 3, 16, 16)).astype(np.float32)
    points = random.normal(size=(SAMPLES, 3)).astype(np.float32)
    with SummaryWriter(str(folder)) as summary:
        writer = MessageWriter(summary)
        writer.graph(serving.graph())
        for step in STEPS:
            described = wire.SamplesBlob((wire.ProbeInput("x", "image"),), CLASSES)
            writer.samples("probe", [inputs], step=step, description=described)
            tops = (wire.TopSample(4, 0.5, (0.25, 0.75, 0.0, 0.5)), wire.TopSample(2, 0.25, None))
            found = [
                wire.MaximizedUnit(wire.Unit("a", channel), step + channel, np.full((8, 8, 3), 0.5), (), tops, 3)
                for channel in (0, 5)
            ]
            writer.maximization(found, step=step, samples="probe")
            values = random.normal(size=(2, 3, 4, 4)).astype(np.float32)
            channels = {"values": values, "channels": np.array([7, 2, 9], np.int32), "strength": np.ones(3, np.float32)}
            writer.layer_arrays("activation", {"a": channels}, name="probe", step=step, samples="probe")
            heads = np.full((2, 4, 5, 5), 0.2, np.float32)
            writer.layer_arrays("attention", {"a": {"values": heads}}, name="probe", step=step, samples="probe")
            weights = {"a.weight": {"values": random.normal(size=(6, 9)).astype(np.float32)}}
            writer.layer_arrays("weight", weights, name="parameters", step=step, owners=("a",))
            embedded = {"a": {"values": points * (1 + step / 50), "explained": np.array([0.5, 0.25, 0.1], np.float32)}}
            labels = {"labels": np.arange(SAMPLES, dtype=np.int32) % 2}
            writer.layer_arrays("embedding", embedded, name="probe", step=step, samples="probe", shared=labels)
            summary.add_embedding(points, metadata=list(range(SAMPLES)), global_step=step, tag="a")
        summary.add_embedding(np.ones((40, 2), np.float32), metadata=list(range(40)), tag="larger, so shown first")


@pytest.fixture(scope="module")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.TensorBoard]:
    logdir = tmp_path_factory.mktemp("pictured")
    _write(logdir / "run")
    log = tmp_path_factory.mktemp("log") / "tensorboard.log"
    with serving.serving(logdir, log) as server:
        server.wait(lambda: b"layerscope/embedding" in server.get("tags", run="run").body)
        yield server
    assert "Traceback" not in log.read_text()


def _address(server: serving.TensorBoard, **state: object) -> str:
    chosen = {"run": "run", "layer": "a", **state}
    return server.url + "#layerscope" + "".join(f"&p.layerscope.{k}={quote(str(v))}" for k, v in chosen.items())


@pytest.fixture
def tab(browser: Browser, pictured: serving.TensorBoard) -> Iterator[Tab]:
    opened = Tab(browser, _address(pictured), width=1440, height=900)
    expect(opened.part("maximization-image").first).to_be_visible()
    yield opened
    opened.close()
    assert opened.complaints == []


def test_an_image_stands_beside_what_real_samples_reach(tab: Tab) -> None:
    images = tab.part("maximization-image")
    expect(images).to_have_count(2)
    assert images.first.evaluate("image => image.decode().then(() => image.naturalWidth)") == 8
    unit = tab.frame.get_by_role("button", name="ch 5 105 / real 0.5")
    unit.click()
    expect(unit).to_have_attribute("aria-pressed", "true")
    tops = tab.part("top-samples").get_by_role("button")
    expect(tops).to_have_count(2)
    box = tops.first.evaluate(BOX_WITHIN_PICTURE)
    assert box == {"top": pytest.approx(1 / 4, abs=0.05), "height": pytest.approx(1 / 2, abs=0.05)}
    tab.page.wait_for_url(re.compile("unit=1"))
    tab.frame.get_by_label("Activation maximization").get_by_role("button", name="Go to step 50").click()
    expect(tab.frame.get_by_role("button", name="ch 5 55 / real 0.5")).to_be_visible()


def test_channels_weights_and_heads_are_pictures(tab: Tab) -> None:
    expect(tab.part("activation-channels").locator("figcaption")).to_have_text(["input", "ch 7", "ch 2", "ch 9"])
    heads = tab.part("attention-heads").get_by_role("button")
    expect(heads).to_have_count(4)
    heads.nth(2).click()
    tab.page.wait_for_url(re.compile("head=2"))
    attention = tab.frame.get_by_role("img", name=re.compile("attention of head 2"))
    attention.focus()
    tab.page.keyboard.press("ArrowDown")
    expect(tab.frame.get_by_label("Attention", exact=True)).to_contain_text("query 0 → key 0 0.2")
    weights = tab.frame.get_by_label("Weights", exact=True)
    expect(weights).to_contain_text("6×9")
    drawn = weights.locator(".matrix-drawn")
    before = drawn.bounding_box()
    weights.get_by_role("button", name="4×").click()
    expect(weights.get_by_role("button", name="4×")).to_have_attribute("aria-pressed", "true")
    after = drawn.bounding_box()
    assert before
    assert after
    assert after["width"] == pytest.approx(4 * before["width"], rel=0.02)


def test_points_are_chosen_and_named_by_their_class(tab: Tab) -> None:
    embedding = tab.frame.get_by_label("Embedding", exact=True)
    expect(embedding).to_contain_text("6 samples; principal components 1 and 2, 50 % and 25 % of the variance")
    expect(embedding.locator(".scatter-groups li")).to_have_text([CLASSES[0], CLASSES[1]])
    points = embedding.get_by_role("slider")
    points.focus()
    tab.page.keyboard.press("ArrowRight")
    expect(points).to_have_attribute("aria-valuetext", "sample 1 · toxic")
    tab.page.wait_for_url(re.compile("sample=1"))


def test_the_projector_opens_on_the_tensor_of_the_layer(browser: Browser, pictured: serving.TensorBoard) -> None:
    drawing = browser.browser_type.launch(executable_path=CHROMIUM, args=WITH_WEBGL)
    tab = Tab(drawing, _address(pictured, step=50))
    with tab.context.expect_page() as opening:
        tab.frame.get_by_role("button", name="Open in the Projector").click()
    panel = opening.value.locator("vz-projector-data-panel#data-panel")
    expect(panel).to_be_attached()
    shown = "panel => panel.selectedRun === 'run' && panel.selectedTensor === 'a:00050'"
    opening.value.wait_for_function(shown, arg=panel.element_handle())
    drawing.close()
    assert tab.complaints == []
