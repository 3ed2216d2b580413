"""Which elements of an input go together, for each kind of data."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from layerscope.errors import InvalidArgumentError
from layerscope.probing.attributions import Question
from layerscope.probing.attributions.features import FeatureChoice, Features, features_of, grid

MODEL = nn.Identity()


def found(
    inputs: Any,
    choice: FeatureChoice = "auto",
    *,
    model: nn.Module = MODEL,
    n_features: int = 4,
    padding_id: int | None = None,
    batch_dim: int = 0,
) -> Features:
    return features_of(Question(model, inputs, None, batch_dim=batch_dim), choice, n_features, padding_id)


def only(features: Features) -> Tensor:
    (numbers,) = features.numbers
    assert numbers is not None
    return numbers


def test_a_column_a_token_and_a_time_step_are_one_feature_each() -> None:
    columns = found(torch.rand(2, 3))
    assert only(columns).tolist() == [[0, 1, 2]] * 2
    assert columns.counts == [3, 3]
    assert only(found(torch.ones(2, 3, dtype=torch.long))).tolist() == [[0, 1, 2]] * 2
    steps = only(found(torch.rand(2, 3, 5)))
    assert steps.expand(2, 3, 5).tolist() == [[[step] * 5 for step in range(3)]] * 2


def test_a_model_of_convolutions_over_positions_has_its_channels_first() -> None:
    positions = only(found(torch.rand(2, 3, 5), model=nn.Sequential(nn.Conv1d(3, 4, 2))))
    assert positions.expand(2, 3, 5).tolist() == [[[0, 1, 2, 3, 4]] * 3] * 2


def test_padding_is_no_feature() -> None:
    ids = torch.tensor([[5, 6, 0, 0], [7, 0, 8, 9]])
    padded = found(ids, padding_id=0)
    assert only(padded).tolist() == [[0, 1, -1, -1], [0, -1, 1, 2]]
    assert padded.counts == [2, 3]
    masked = found({"input_ids": ids, "attention_mask": (ids != 0).long(), "token_type_ids": ids * 0})
    assert masked.numbers[0] is not None
    assert masked.numbers[0].tolist() == [[0, 1, -1, -1], [0, -1, 1, 2]]
    assert masked.numbers[1:] == [None, None]


def test_the_features_of_several_inputs_form_one_game() -> None:
    features = found((torch.rand(1, 2), torch.rand(1, 3, 5), torch.tensor(2.0)))
    first, second, third = features.numbers
    assert first is not None
    assert second is not None
    assert (first.tolist(), second.flatten().tolist(), third) == ([[0, 1]], [2, 3, 4], None)
    assert features.counts == [5]


def test_the_samples_may_be_in_another_dimension() -> None:
    assert only(found(torch.rand(3, 2), batch_dim=1)).tolist() == [[0, 1, 2]] * 2


def test_given_numbers_are_renumbered_and_broadcast() -> None:
    given = torch.tensor([[7, -1, 7, 3]])
    features = found(torch.rand(2, 4), given)
    assert only(features).tolist() == [[1, -1, 1, 0]] * 2
    assert features.counts == [2, 2]
    inputs = (torch.rand(2, 4), torch.rand(2, 3))
    both = found(inputs, [given, None])
    assert both.counts == [2, 2]
    assert both.numbers[1] is None


def test_patches_cut_an_image_evenly() -> None:
    assert grid(4, 4, 4).tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]
    assert grid(2, 8, 4).unique(return_counts=True)[1].tolist() == [4, 4, 4, 4]
    assert len(grid(3, 3, 100).unique()) == 9
    patches = only(found(torch.rand(2, 3, 4, 4)))
    assert patches.shape == (2, 1, 4, 4)
    assert torch.equal(patches[1, 0], grid(4, 4, 4))


def test_without_scikit_image_superpixels_are_patches_and_a_note_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    features = found(torch.rand(1, 3, 32, 32))
    assert torch.equal(only(features)[0, 0], grid(32, 32, 4))
    assert features.notes == ("features are patches, since scikit-image, which finds superpixels, is not installed",)


def test_superpixels_follow_the_borders_of_each_image() -> None:
    pytest.importorskip("skimage")
    images = torch.zeros(2, 3, 40, 40)
    images[0, :, :, 13:] = 1.0
    images[1, :, 27:] = 1.0
    features = found(images, n_features=8)
    for image, numbers, count in zip(images, only(features), features.counts, strict=True):
        assert sorted(set(numbers.flatten().tolist())) == list(range(count))
        for number in range(count):
            values = image[0][numbers[0] == number]
            assert values.mean().item() in (0.0, 1.0)  # no superpixel lies on both sides
    assert features.notes == ()


@pytest.mark.parametrize(
    ("inputs", "choice", "message"),
    [
        (torch.rand(2, 3), "words", "features must be one of 'auto', 'superpixels', .* not 'words'"),
        (torch.rand(2, 3), None, "not None"),
        (torch.rand(2, 3), "patches", r"takes an input of 4 dimensions, .* but this one has shape \[2, 3\]"),
        (torch.rand(1, 2, 2, 2, 2), "auto", r"takes an input of 1 or 2 dimensions"),
        (torch.rand(2, 3), torch.rand(3), "must be numbered by integers, but they are torch.float32"),
        (torch.rand(2, 3), torch.tensor([1, 2]), r"shape of their input, \[2, 3\], .* but they have \[2\]"),
        (torch.rand(2, 3), ["auto", "auto"], "each of the 1 input tensors, but 2 were given"),
        (torch.rand(2, 3), [None], "sample 0 has none"),
        (torch.rand(2, 3), torch.tensor([[1, 2, 3], [-1, -1, -1]]), "sample 1 has none"),
    ],
)
def test_features_that_do_not_fit(inputs: Any, choice: FeatureChoice, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        found(inputs, choice)
