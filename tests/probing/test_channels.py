"""channels(): the strongest channels of each layer, against a slow twin that averages areas pixel by pixel."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from layerscope.errors import CaptureError, InvalidArgumentError, LayerNotFoundError
from layerscope.probing.channels import MAX_FLAT, MAX_POSITIONS, LayerChannels, channels
from observed_trainings import as_bytes
from probed_models import DigitsNet, Plain, Recurrent, Reusing, Spectral, Tokens, twin


def areas(size: int, reduced: int) -> list[range]:
    """Return the positions whose mean each reduced position is: as many as it covers, those it cuts included."""
    return [range(i * size // reduced, math.ceil((i + 1) * size / reduced)) for i in range(reduced)]


def slow(output: Tensor, *, count: int, max_samples: int, max_side: int) -> LayerChannels:
    """Return the channels of an output [samples, channels, *positions], element by element."""
    values = output.double().numpy()
    size = values.shape[1:]
    if math.prod(size[1:]) == 1:
        values, count = values.reshape(len(values), -1), MAX_FLAT
    strength = np.array([math.sqrt((values[:, channel] ** 2).mean()) for channel in range(size[0])])
    order = sorted(range(size[0]), key=lambda channel: -strength[channel])[:count]
    kept = values[:max_samples][:, order]
    while kept.ndim > 4:
        kept = kept.mean(2)
    sizes = kept.shape[2:]
    if len(sizes) == 1:
        sizes = [min(sizes[0], MAX_POSITIONS)]
    elif len(sizes) == 2:
        sizes = [max(1, round(side * min(1, max_side / max(sizes)))) for side in sizes]
    reduced = np.empty((*kept.shape[:2], *sizes), np.float32)
    for place in np.ndindex(*reduced.shape):
        area = [areas(size, less)[i] for size, less, i in zip(kept.shape[2:], sizes, place[2:], strict=True)]
        reduced[place] = kept[place[0], place[1]][np.ix_(*area)].mean()
    return LayerChannels(
        reduced, np.array(order, np.int32), strength[order].astype(np.float32), size, bool((reduced < 0).any())
    )


def assert_same(found: LayerChannels, expected: LayerChannels, what: str = "") -> None:
    np.testing.assert_array_equal(found.channels, expected.channels, err_msg=what)
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-5, atol=1e-6, err_msg=what)
    np.testing.assert_allclose(found.strength, expected.strength, rtol=1e-5, err_msg=what)
    assert (found.size, found.signed) == (expected.size, expected.signed), what
    assert [array.dtype for array in (found.values, found.channels, found.strength)] == [
        np.float32,
        np.int32,
        np.float32,
    ]


class Returning(nn.Module):
    """Returns a tensor of its own whatever it is given."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output

    def forward(self, x: Tensor) -> Tensor:
        return self.output.clone()


def of(output: Tensor, **options: Any) -> LayerChannels:
    """Return the channels of a layer with that output [samples, ...]."""
    return channels(nn.Sequential(Returning(output)), torch.zeros(len(output), 1), layers=["0"], **options)["0"]


@pytest.mark.parametrize("make", [DigitsNet, Reusing, Recurrent, Spectral])
def test_every_layer_is_what_the_slow_twin_makes_of_its_output(make: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model, x = make(), torch.randn(5, 1, 8, 8)
    found = channels(model, x, layers="all", count=3, max_samples=2, max_side=3)
    outputs, _ = twin(model.eval(), lambda logits: logits, x)
    assert set(found) == {key for key in outputs if ".parametrizations." not in key}  # theirs are weights
    for layer, channels_found in found.items():
        output = outputs[layer].movedim(-1, 1) if layer == "lstm" else outputs[layer]
        assert_same(channels_found, slow(output, count=3, max_samples=2, max_side=3), layer)
    for layer in {"block1", "block2", "twice", "twice#1", "relu#1", "conv"} & set(found):
        assert found[layer].values.shape == (2, 3, 3, 3)


def test_tokens_have_positions_of_one_dimension_and_what_has_no_samples_is_left_out() -> None:
    torch.manual_seed(0)
    model, ids = Tokens(), torch.randint(20, (3, 5))
    found = channels(model, {"ids": ids}, layers="all", count=4)
    outputs, _ = twin(model.eval(), lambda output: output["logits"], ids=ids)
    assert "positions" not in found
    for layer in ("words", "encoder", "encoder.linear1"):
        assert found[layer].values.shape == (3, 4, 5)
        assert_same(found[layer], slow(outputs[layer].mT, count=4, max_samples=4, max_side=32), layer)
    assert_same(found["head"], slow(outputs["head"], count=4, max_samples=4, max_side=32))
    with pytest.raises(CaptureError, match=r"'positions' was asked for, but its output \[5, 8\] has no .* 3 samples"):
        channels(model, {"ids": ids}, layers=["positions"])


def test_the_samples_may_stand_in_another_dimension() -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(3, 6), nn.Tanh()), torch.randn(7, 4, 3)
    found = channels(model, x, layers="all", batch_dim=1)
    expected = slow(model(x).detach().permute(1, 2, 0), count=16, max_samples=4, max_side=32)
    assert_same(found["1"], expected)
    assert found["1"].values.shape == (4, 6, 7)


@pytest.mark.parametrize(
    ("shape", "kept"),
    [
        ((5, 4, 40, 20), (3, 4, 32, 16)),  # the sides keep their ratio
        ((2, 4, 3, 100), (2, 4, 1, 32)),
        ((2, 1, 200, 1), (2, 1, 32, 1)),
        ((2, 4, 3, 8, 6), (2, 4, 8, 6)),  # a volume: the mean over its depth
        ((4, 3, 1, 1), (3, 3)),  # one position is none
        ((4, 3, 1, 1, 1), (3, 3)),
    ],
)
def test_images_of_any_size_are_reduced_by_areas(shape: tuple[int, ...], kept: tuple[int, ...]) -> None:
    output = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = of(output, max_samples=3)
    assert found.values.shape == kept
    assert found.size == shape[1:]
    assert_same(found, slow(output, count=16, max_samples=3, max_side=32))


def test_a_long_signal_is_reduced_to_areas_and_a_wide_layer_to_its_strongest() -> None:
    signal = torch.randn(2, 1000, 3, generator=torch.Generator().manual_seed(0))
    found = of(signal, count=2)
    assert found.values.shape == (2, 2, MAX_POSITIONS)
    assert_same(found, slow(signal.mT, count=2, max_samples=4, max_side=32))
    wide = torch.arange(-1000.0, 1000.0).repeat(2, 1)
    found = of(wide, count=2)
    assert found.channels.tolist()[:4] == [0, 1, 1999, 2]  # -1000, then -999 before 999
    assert found.values.shape == (2, MAX_FLAT)
    assert_same(found, slow(wide, count=2, max_samples=4, max_side=32))


def test_strength_is_of_the_whole_batch_and_not_of_the_samples_that_are_kept() -> None:
    output = torch.zeros(6, 3, 2, 2)
    output[0, 0], output[5, 2] = 1.0, -3.0
    found = of(output, max_samples=1, count=2)
    assert found.channels.tolist() == [2, 0]
    assert found.strength.tolist() == pytest.approx([3 / math.sqrt(6), 1 / math.sqrt(6)])
    assert found.values.tolist() == [[[[0, 0], [0, 0]], [[1, 1], [1, 1]]]]
    assert not found.signed
    assert of(output, max_samples=6).signed


def test_a_constant_layer_keeps_the_order_of_its_channels() -> None:
    found = of(torch.full((2, 40, 3, 3), 0.5))
    assert found.channels.tolist() == list(range(16))
    assert found.strength.tolist() == [0.5] * 16
    assert (found.values == 0.5).all()


def test_nan_and_infinity_are_kept_and_come_first() -> None:
    output = torch.ones(2, 4, 2, 2)
    output[0, 2, 0, 1], output[1, 3, 1, 1] = torch.nan, -torch.inf
    found = of(output)
    assert found.channels.tolist() == [2, 3, 0, 1]
    np.testing.assert_array_equal(found.strength, [np.nan, np.inf, 1, 1])
    expected = np.ones((2, 4, 2, 2), np.float32)
    expected[0, 0, 0, 1], expected[1, 1, 1, 1] = np.nan, -np.inf
    np.testing.assert_array_equal(found.values, expected)
    assert found.signed
    reduced = of(output, max_side=1).values[0, :, 0, 0]
    np.testing.assert_array_equal(reduced, [np.nan, 1, 1, 1])


def test_an_output_without_channels_is_one() -> None:
    found = of(torch.tensor([3.0, -4.0]))
    assert (found.values.tolist(), found.channels.tolist(), found.size) == ([[3], [-4]], [0], (1, 1))
    assert found.strength.tolist() == pytest.approx([math.sqrt(12.5)])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_come_as_float32_and_are_summed_in_it(dtype: torch.dtype) -> None:
    output = torch.full((2, 1, 64, 64), 3072.0, dtype=dtype)  # its norm is beyond float16
    found = of(output)
    assert found.strength.tolist() == pytest.approx([3072], rel=1e-6)
    assert (found.values == np.full((2, 1, 32, 32), 3072, np.float32)).all()


def test_an_output_modified_in_place_later_is_kept_as_the_layer_returned_it() -> None:
    model = nn.Sequential(nn.Flatten(), nn.ReLU(inplace=True))
    found = channels(model, torch.tensor([[-3.0, 4.0]]), layers="all")
    assert found["0"].values.tolist() == [[4, -3]]
    assert found["1"].values.tolist() == [[4, 0]]


def test_layers_can_be_chosen_and_auto_takes_a_few() -> None:
    model, x = DigitsNet(), torch.randn(2, 1, 8, 8)
    assert list(channels(model, x)) == ["stem", "block1", "block2", "pool", "fc"]
    assert list(channels(model, x, layers=["fc", "block?"])) == ["block1", "block2", "fc"]
    with pytest.raises(LayerNotFoundError, match="'fc2' was asked for"):
        channels(model, x, layers=["fc2"])
    with pytest.raises(InvalidArgumentError, match='layers must be "all", "auto" or a list'):
        channels(model, x, layers="fc")


def test_an_output_without_elements_is_left_out_unless_it_was_named() -> None:
    model, x = nn.Sequential(Returning(torch.ones(2, 3, 0))), torch.ones(2, 2)
    assert channels(model, x, layers="all") == {}
    with pytest.raises(CaptureError, match=r"layer '0' was asked for, but its output \[2, 3, 0\] has no elements"):
        channels(model, x, layers=["0"])


def everything(model: nn.Module) -> list[object]:
    """Return what an observer could change, as values that compare exactly."""
    tensors = [*model.parameters(), *model.buffers()]
    grads: list[Any] = [None if p.grad is None else as_bytes(p.grad) for p in model.parameters()]
    return [
        [(as_bytes(tensor), tensor.requires_grad, tensor._version) for tensor in tensors],
        grads,
        [(module.training, len(module._forward_hooks), len(module._forward_pre_hooks)) for module in model.modules()],
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),
        random.getstate(),
    ]


@pytest.mark.parametrize("make", [DigitsNet, Reusing, Recurrent, Spectral, Plain])
@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_found(make: type[nn.Module], fails: bool) -> None:
    model, x = make().train(), torch.randn(4, 1, 8, 8, requires_grad=True)
    model(x).sum().backward()
    waiting = model(x).sum()
    given, before = as_bytes(x), everything(model)
    if fails:
        with pytest.raises(CaptureError):
            channels(model, x, layers=["fc", "fc#9"])
    else:
        assert channels(model, x, layers="all")
    assert everything(model) == before
    assert as_bytes(x) == given
    waiting.backward()


@pytest.mark.parametrize("name", ["count", "max_samples", "max_side"])
def test_numbers_are_one_or_more(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"{name} must be 1 or more, but it is 0"):
        channels(nn.Linear(2, 2), torch.ones(1, 2), **{name: 0})


def test_the_inputs_must_tell_how_many_samples_there_are() -> None:
    with pytest.raises(InvalidArgumentError, match="must hold a tensor with the samples along dimension 0"):
        channels(nn.Linear(2, 2), {})
