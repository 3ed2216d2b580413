"""Inputs of every kind that a scope maximizes: colours, large images, signals, rows of a table, tokens."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import layerscope
from event_files import read, written
from layerscope import Scope, wire
from layerscope.picturing import side_by_side


@pytest.mark.parametrize(("colours", "width"), [(1, 8), (2, 16), (3, 8), (4, 32)])
def test_colours_that_are_none_stand_side_by_side(colours: int, width: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(colours, 2, 3))
    with Scope(model, tmp_path, strict=True) as scope:
        scope.maximize(step=0, layers=["0"], channels=[1], steps=5, input_shape=(colours, 10, 8))
    (png,) = read(tmp_path).maximizations[0].images
    assert isinstance(png, bytes)
    shown = np.asarray(Image.open(io.BytesIO(png)))
    assert shown.shape[:2] == (10, width)
    alone = layerscope.maximize(model, layer="0", channels=[1], steps=5, input_shape=(colours, 10, 8)).images[0]
    planes = [alone] if colours == 3 else [alone[:, :, colour] for colour in range(colours)]
    expected = np.concatenate(planes, 1)
    np.testing.assert_allclose(shown / 255, expected, atol=0.51 / 255)
    np.testing.assert_array_equal(side_by_side(alone).squeeze(), expected)


class OfOneSize(nn.Module):
    """Takes images of 160 x 144 pixels alone, or any."""

    def __init__(self, *, strict: bool) -> None:
        super().__init__()
        self.conv, self.strict = nn.Conv2d(1, 2, 9, stride=8), strict

    def forward(self, x: Tensor) -> Tensor:
        if self.strict and x.shape[2:] != (160, 144):
            raise ValueError("of one size")
        return self.conv(x)


@pytest.mark.parametrize(("strict", "shape"), [(False, (128, 115)), (True, (160, 144))])
def test_large_images_are_made_smaller_where_the_model_takes_them(
    strict: bool, shape: tuple[int, int], tmp_path: Path
) -> None:
    with Scope(OfOneSize(strict=strict), tmp_path, strict=True) as scope:
        scope.activations(torch.rand(2, 1, 160, 144), step=0)
        for step in (0, 1):
            scope.maximize(step=step, channels=1, steps=1)
        scope.maximize(step=2, channels=1, steps=1, input_shape=(1, 160, 144))
    sizes: list[tuple[int, ...]] = []
    for found in read(tmp_path).maximizations.values():
        (png,) = found.images
        assert isinstance(png, bytes)
        sizes.append(np.asarray(Image.open(io.BytesIO(png))).shape)
    assert sizes == [shape, shape, (160, 144)]


class Sequences(nn.Module):
    """An LSTM over [batch, time, features]."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.fc = nn.LSTM(2, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.lstm(x)[0][:, -1])


@pytest.mark.parametrize("first", [True, False])
def test_signals_are_written_as_they_are_given(first: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    convolutions = nn.Sequential(nn.Conv1d(2, 4, 5), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3))
    model = Sequences() if first else convolutions
    layer = "fc" if first else "3"
    signals = torch.randn(6, *((30, 2) if first else (2, 30)), generator=torch.Generator().manual_seed(0)) * 10
    with Scope(model, tmp_path, strict=True) as scope:
        scope.activations(signals, step=0)
        scope.maximize(step=0, channels=2, steps=5, seconds=None)
    found = read(tmp_path).maximizations[0]
    ((_, metadata, _),) = [m for m in written(tmp_path) if isinstance(m[1], wire.MaximizationMetadata)]
    assert isinstance(metadata, wire.MaximizationMetadata)
    assert metadata.modality == "time_series"
    units = [wire.Unit(layer, 0), wire.Unit(layer, 1)]
    assert list(found.units[-2:]) == units
    low, high = float(signals.min()), float(signals.max())
    shape = tuple(signals.shape[1:])
    alone = layerscope.maximize(model, layer=layer, channels=2, steps=5, input_shape=shape, value_range=(low, high))
    for image, picture in zip(found.images[-2:], alone.images, strict=True):
        assert isinstance(image, np.ndarray)
        assert image.shape == (30, 2)
        np.testing.assert_allclose(image, low + (high - low) * picture, atol=0.05)
    # What was written, given to the model, reaches what was written beside it.
    given = torch.from_numpy(np.stack([np.asarray(image) for image in found.images[-2:]]))
    with torch.no_grad():
        reached = model(given if first else given.mT).diagonal()
    np.testing.assert_allclose(reached, found.objectives[-2:], rtol=1e-2, atol=1e-2)


def test_rows_of_a_table(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2))
    rows = torch.randn(9, 5, generator=torch.Generator().manual_seed(0)) * 3 + 1
    with Scope(model, tmp_path, strict=True) as scope:
        scope.maximize(step=0, layers=["2"], channels=2, inputs=rows, steps=20)
    found = read(tmp_path).maximizations[0]
    given = torch.from_numpy(np.stack([np.asarray(image) for image in found.images]))
    assert given.shape == (2, 5)
    assert float(rows.min()) <= given.min() < given.max() <= float(rows.max())
    with torch.no_grad():
        np.testing.assert_allclose(model(given).diagonal(), found.objectives, rtol=1e-4)
        most = model(rows).max(0).values
    np.testing.assert_allclose([best[0].objective for best in found.top_samples], most, rtol=1e-5)
    assert {one.box for best in found.top_samples for one in best} == {None}


class Words(nn.Module):
    """Integers and a mask in, a dict out."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.head = nn.Embedding(12, 4, padding_idx=0), nn.Linear(4, 3)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        mask = attention_mask[..., None]
        return {"logits": self.head((self.words(input_ids) * mask).sum(1) / mask.sum(1))}


WORDS = {
    "input_ids": torch.tensor([[5, 3, 9, 0], [2, 2, 0, 0], [11, 7, 7, 1]]),
    "attention_mask": torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]]),
}
VOCABULARY = ["", *"abcdefghijk"]


@pytest.mark.parametrize(
    ("tokens", "spelled"),
    [(None, "#{}".format), (VOCABULARY, VOCABULARY.__getitem__), (lambda n: f"<{n}>", "<{}>".format)],
)
def test_tokens_are_written_as_words(tokens: Any, spelled: Any, tmp_path: Path) -> None:
    model = Words()
    with Scope(model, tmp_path, strict=True) as scope:
        scope.maximize(step=0, layers=["head"], channels=3, inputs=WORDS, tokens=tokens, steps=60)
    found = read(tmp_path).maximizations[0]
    scores = (model.words.weight[1:] @ model.head.weight.T).argmax(0) + 1
    assert found.tokens == tuple((*[spelled(int(best))] * 3, spelled(0)) for best in scores)  # padding stays
    assert all(np.asarray(image).size == 0 for image in found.images)
    with torch.no_grad():
        logits = model.eval()(**WORDS)["logits"]
    assert [[one.sample for one in best] for best in found.top_samples] == logits.argsort(0, descending=True).T.tolist()
    alone = model.head(model.words.weight[scores]).diagonal().tolist()
    np.testing.assert_allclose(found.objectives, alone, rtol=1e-5)


def test_what_the_graph_was_given_tells_what_tokens_are_like(tmp_path: Path) -> None:
    model = Words()
    with Scope(model, tmp_path, strict=True) as scope:
        scope.graph(WORDS["input_ids"], attention_mask=WORDS["attention_mask"])
        scope.maximize(step=0, layers=["head"], channels=3, tokens=VOCABULARY, steps=60)
    found = read(tmp_path).maximizations[0]
    scores = (model.words.weight[1:] @ model.head.weight.T).argmax(0) + 1
    assert found.tokens == tuple((*[VOCABULARY[int(best)]] * 3, "") for best in scores)
    assert found.top_samples == ((), (), ())  # nothing was probed


@pytest.mark.parametrize("told_first", [True, False])
def test_samples_that_were_told_in_words_stand_beside_units_whatever_was_called_in_between(
    told_first: bool, tmp_path: Path
) -> None:
    others = {name: tensor.repeat(4, 1) for name, tensor in WORDS.items()}
    names = ["good", "bad", "neither"]

    def tell(scope: Scope, step: int) -> None:
        scope.attributions(
            WORDS, step=step, methods=("saliency",), tokens=VOCABULARY, trust=False, samples="told", class_names=names
        )

    with Scope(Words(), tmp_path, strict=True) as scope:
        for step in (0, 1):
            if told_first:
                tell(scope, step)
            scope.embeddings(others, step=step, layers=["head"], samples="many")
            if not told_first:
                tell(scope, step)
            scope.maximize(step=step, layers=["head"], channels=3, steps=1, seconds=None)
    run = read(tmp_path)
    for step in (0, 1):
        assert {one.sample for best in run.maximizations[step].top_samples for one in best} == {0, 1, 2}
    (data,) = {m[1] for m in written(tmp_path) if isinstance(m[1], wire.MaximizationMetadata)}
    assert data.samples == "told"
    assert run.descriptions["told"].inputs[0].tokens[1] == ("b", "b", "", "")
    assert run.descriptions["told"].class_names == tuple(names)


def test_tokens_of_the_attributions_before_make_words_and_ascent_goes_on(tmp_path: Path) -> None:
    with Scope(Words(), tmp_path, strict=True) as scope:
        scope.attributions(WORDS, step=0, methods=("saliency",), tokens=VOCABULARY, trust=False)
        for step in (0, 1):
            scope.maximize(step=step, layers=["head"], channels=3, steps=1, seconds=None)
    run = read(tmp_path)
    assert {word for words in run.maximizations[0].tokens for word in words} <= set(VOCABULARY)
    assert run.maximizations[1].tokens == run.maximizations[0].tokens  # the first step is there where it was
    assert run.maximizations[1].objectives == pytest.approx(run.maximizations[0].objectives)
