"""What the tab shows, saved as files: pictures, drawings, tables. In Chromium."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, expect

from serving import TensorBoard
from tab import Tab

pytestmark = pytest.mark.browser
STATE = "&p.layerscope.step=300&p.layerscope.layer=stage2.1.conv2"


def _saved(tab: Tab, panel: Locator, kind: str) -> tuple[str, bytes]:
    """Save a panel and return the file's name and bytes."""
    panel.locator(".downloads summary").first.click()
    with tab.page.expect_download() as download:
        panel.locator(".downloads-kinds button", has_text=kind).first.click()
    assert tab.complaints == []
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def test_panels_are_saved_as_pictures_drawings_and_tables(browser: Browser, tensorboard: TensorBoard) -> None:
    tab = Tab(browser, f"{tensorboard.url}#layerscope{STATE}", width=1440, height=900)
    tab.ready()
    curves = tab.frame.get_by_label("Statistics over steps")
    expect(curves.locator(".multiple").first).to_be_visible()
    name, table = _saved(tab, curves, "CSV")
    assert name == "digits-stage2.1.conv2-step-300-statistics.csv"
    rows = list(csv.DictReader(io.StringIO(table.decode())))
    norms = [row for row in rows if row["series"] == "gradients" and row["statistic"] == "norm"]
    assert [int(row["step"]) for row in norms] == list(range(301))
    tag = tensorboard.tag("digits", "series", "gradients")
    arrays = tensorboard.get("array", run="digits", tag=tag, layer="stage2.1.conv2").arrays()
    written = np.array([row["value"] for row in norms], dtype=np.float32)
    np.testing.assert_array_equal(written, arrays["values"][:, 0, 0])

    name, picture = _saved(tab, tab.part("heat-map"), "PNG")
    assert name == "digits-stage2.1.conv2-step-300-gradients.norm.png"
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    box = tab.part("heat-map").bounding_box()
    assert box is not None
    assert abs(image.width - 2 * box["width"]) <= 2
    colours = len(np.unique(np.asarray(image.resize((64, 64))).reshape(-1, 3), axis=0))
    assert colours > 100  # the cells are in it, not only paper

    name, drawing = _saved(tab, tab.part("structure"), "SVG")
    assert name.endswith("-structure.svg")
    root = ET.fromstring(drawing)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    texts = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"conv2", "BatchNorm2d"} <= texts
    assert not any("class" in element.attrib for element in root.iter())
    faces = [element.attrib["style"] for element in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert any("fill: rgb(" in style for style in faces)
    tab.close()
    assert tab.complaints == []
