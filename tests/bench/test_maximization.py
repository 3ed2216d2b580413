"""What activation maximization reaches and takes, beside lucent where that is installed (make bench)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import nn

import layerscope
from bench import lucent_peer
from bench.architectures.resnet import ResNet
from bench.measuring import write_section
from layerscope import demo

pytestmark = pytest.mark.bench

HEADING = "Activation maximization"
CLASSES = {
    "goldfish": 1,
    "zebra": 340,
    "flamingo": 130,
    "daisy": 985,
    "espresso": 967,
    "missile": 657,
    "tabby": 281,
    "sports car": 817,
}
SIDE = 192
CAPTION = 22
SHEET = Path(__file__).parents[2] / "examples" / "screenshots" / "maximization.png"


@pytest.fixture(scope="module")
def rows() -> Iterator[list[str]]:
    found: list[str] = []
    yield found
    head = [
        f"{date.today()}, torch {torch.__version__}, one thread, CPU seconds, EfficientNet-Lite0 with its published",
        "weights. Objectives are measured again on the finished pictures at 224 px, in the same way for both. Targets:",
        "Fourier at least 1.5 times lucent's objective in at most half its time; MACO at 128 px and 64 steps at most",
        "2.5 s an image and at least 6 of 8 classes with p at least 0.7; `scope.maximize(step)` at most 10 s.",
        "",
    ]
    write_section(HEADING, head + found)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return lucent_peer.efficientnet_lite0()


def test_fourier_beside_lucent(model: nn.Module, rows: list[str]) -> None:
    pytest.importorskip("lucent")
    rows += [
        "| unit | lucent, 256 steps: objective | s | ours, 200 steps: objective | s | objectives | times |",
        "|---|---|---|---|---|---|---|",
    ]
    for layer, channels in (("_blocks.11", (1, 20)), ("_fc", (CLASSES["daisy"], CLASSES["espresso"]))):
        for channel in channels:
            _, theirs, peer_seconds = lucent_peer.lucent_images(model, layer, [channel])
            start = time.process_time()
            found = layerscope.maximize(
                model,
                layer=layer,
                channels=[channel],
                parameterization="fourier",
                input_shape=(3, 224, 224),
                value_range=lucent_peer.VALUE_RANGE,
                steps=200,
            )
            seconds = time.process_time() - start
            pictures = torch.from_numpy(found.images).permute(0, 3, 1, 2)
            ours = lucent_peer.objective_of(model, layer, [channel], pictures)
            assert float(ours[0]) == pytest.approx(float(found.reached[0]), rel=1e-3)
            rows.append(
                f"| `{layer}` {channel} | {float(theirs[0]):.1f} | {peer_seconds:.1f} | {float(ours[0]):.1f} | "
                f"{seconds:.1f} | {float(ours[0] / theirs[0]):.2f} | {seconds / peer_seconds:.2f} |"
            )


@pytest.mark.parametrize("steps", [64, 256])
def test_classes_are_recognized_by_the_network(model: nn.Module, rows: list[str], steps: int) -> None:
    units = list(CLASSES.values())
    start = time.process_time()
    found = layerscope.maximize(
        model,
        layer="_fc",
        channels=units,
        input_shape=(3, 128, 128),
        value_range=lucent_peer.VALUE_RANGE,
        steps=steps,
    )
    seconds = (time.process_time() - start) / len(units)
    assert found.parameterization == "maco"
    low, high = lucent_peer.VALUE_RANGE
    with torch.no_grad():
        scores = model(low + (high - low) * torch.from_numpy(found.images).permute(0, 3, 1, 2))
    sure = scores.softmax(1)[range(len(units)), units]
    told = ", ".join(f"{name} {p:.2f}" for name, p in zip(CLASSES, sure.tolist(), strict=True))
    passed = int((sure >= 0.7).sum())
    rows += ["", f"MACO, 128 px, {steps} steps: {seconds:.2f} s an image; p of {passed} of 8 classes >= 0.7: {told}."]
    if steps == 64:
        _contact_sheet(found.images)


def _contact_sheet(images: Any) -> None:
    """Write the pictures with their classes beneath."""
    sheet = Image.new("RGB", (4 * (SIDE + 8) + 8, 2 * (SIDE + CAPTION + 8) + 8), "#f4f4f4")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for i, (name, image) in enumerate(zip(CLASSES, images, strict=True)):
        left, top = 8 + i % 4 * (SIDE + 8), 8 + i // 4 * (SIDE + CAPTION + 8)
        picture = Image.fromarray((255 * np.asarray(image)).round().astype(np.uint8))
        sheet.paste(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC), (left, top))
        pen.text((left + SIDE / 2, top + SIDE + 3), name, fill="#222222", font=font, anchor="ma")
    sheet.quantize(256).save(SHEET, optimize=True)


def _digits() -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    return demo.DigitsNet(), demo.load_digits()[2]


def _resnet() -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    return ResNet((3, 4, 6, 3)).eval(), torch.rand(16, 3, 224, 224)


@pytest.mark.parametrize(("name", "make"), [("the demo's network", _digits), ("ResNet-50, 224 px", _resnet)])
def test_a_scope_keeps_to_its_time(name: str, make: Any, rows: list[str], tmp_path: Path) -> None:
    network, inputs = make()
    with layerscope.Scope(network, tmp_path, strict=True) as scope:
        scope.graph(inputs[:1])
        start = time.monotonic()
        scope.maximize(step=0)
        alone = time.monotonic() - start
        start = time.monotonic()
        scope.maximize(step=1, inputs=inputs)
        beside = time.monotonic() - start
    run = layerscope.read(tmp_path)["."]
    assert len(run.maximizations[0].units) == len(run.maximizations[1].units) == 24
    assert all(run.maximizations[1].top_samples)
    rows += [
        "",
        f"`scope.maximize(step=step)` on {name}: {alone:.1f} s of wall time; with the samples of a probe set of "
        f"{len(inputs)} beside, {beside:.1f} s.",
    ]
