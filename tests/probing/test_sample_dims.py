"""Where the samples are in what a layer returns: by size, by what grows with the batch, settled where sizes tie."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from layerscope.probing.attributions import attribute, attribute_all
from layerscope.probing.capture import capture
from layerscope.probing.channels import channels
from layerscope.probing.pooling import pooled
from layerscope.probing.sample_dims import SampleDims, Seen, grown, settled


class TimeFirstInside(nn.Module):
    """Batch first outside, time first inside."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.lstm, self.out = nn.LSTM(4, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.lstm(x.transpose(0, 1))[0].mean(0))


class OfOneSize(TimeFirstInside):
    def forward(self, x: Tensor) -> Tensor:
        if len(x) != 5:
            raise ValueError("only 5 samples")
        return super().forward(x)


def series(time: int) -> Tensor:
    return torch.randn(5, time, 4, generator=torch.Generator().manual_seed(1))


def hidden(model: TimeFirstInside, x: Tensor) -> Tensor:
    return model.lstm(x.transpose(0, 1))[0].transpose(0, 1).detach()


@pytest.mark.parametrize(("time", "passes"), [(3, [5]), (5, [5, 10, 5])])
def test_as_many_steps_as_samples_are_told_apart_by_passes_that_only_then_are_made(
    time: int, passes: list[int]
) -> None:
    model, x = TimeFirstInside().eval(), series(time)
    sizes: list[int] = []
    model.out.register_forward_hook(lambda module, args, output: sizes.append(len(output)))
    found = attribute_all(model, x, 1, methods=["activation", "gradient_x_activation"])
    assert sizes == passes
    torch.testing.assert_close(found["activation"].layers["lstm"], hidden(model, x))
    one_by_one = [attribute(model, x[i : i + 1], 1, method="gradient_x_activation").layers["lstm"] for i in range(5)]
    torch.testing.assert_close(found["gradient_x_activation"].layers["lstm"], torch.cat(one_by_one))


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("layer_conductance", {"internal_batch_size": 5, "n_steps": 4}),
        ("layer_conductance", {"n_steps": 4}),
        ("layer_integrated_gradients", {"n_steps": 4}),
        ("deep_lift", {}),
        ("smooth_grad", {"n_samples": 2, "internal_batch_size": 5}),
    ],
)
def test_paths_settle_it_once(method: str, options: dict[str, Any]) -> None:
    model, x = TimeFirstInside().eval(), series(5)
    found = attribute(model, x, 1, method=method, **options).layers["lstm"]
    fewer = attribute(model, x[:3], 1, method=method, **options).layers["lstm"]  # 3 samples of 5 steps: no tie
    if method != "smooth_grad":  # whose noise depends on the size of the batch
        torch.testing.assert_close(found[:3], fewer)
    assert found.shape == (5, 5, 6)


def test_what_is_recorded_of_a_layer_is_of_its_samples() -> None:
    model, x = TimeFirstInside().eval(), series(5)
    expected = hidden(model, x)
    means = pooled(model, x, layers=["lstm"], at_end=lambda output: output).layers["lstm"]
    torch.testing.assert_close(torch.from_numpy(means), expected.mean(1))
    shown = channels(model, x, layers=["lstm"])["lstm"]
    values = torch.from_numpy(shown.values).float()
    torch.testing.assert_close(values, expected[:, :, shown.channels.tolist()].transpose(1, 2)[: len(values)])


def test_a_model_of_one_size_of_batch_keeps_the_guess() -> None:
    model, x = OfOneSize().eval(), series(5)
    found = attribute(model, x, 1, method="activation").layers["lstm"]
    torch.testing.assert_close(found, hidden(model, x).transpose(0, 1))


def test_images_with_as_many_channels_as_samples_take_no_other_pass() -> None:
    calls: list[torch.Size] = []
    model = nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))
    model[0].register_forward_hook(lambda module, args, output: calls.append(output.shape))
    capture(model, torch.randn(3, 3, 4, 4), at_output=lambda layer, output: None)
    assert calls == [(3, 3, 2, 2)]


def test_the_settled_dimension_is_the_one_that_grows() -> None:
    model, x = TimeFirstInside().eval(), series(5)
    seen = Seen({"lstm": torch.Size([5, 5, 6]), "out": torch.Size([5, 3])}, {"lstm": 0, "out": 0})
    assert settled(model, x, 0, seen).dims == {"lstm": 1, "out": 0}
    assert grown(torch.Size([5, 5, 6]), torch.Size([5, 10, 6]), 2) == 1
    assert grown(torch.Size([5, 5]), torch.Size([10, 10]), 2) is None
    assert grown(torch.Size([5]), torch.Size([10, 2]), 2) is None


def test_sizes_tell_where_nothing_else_does() -> None:
    dims = SampleDims(batch_dim=1, samples=4)
    assert dims.of("time first", torch.Size([7, 4, 2]), 2) == 1
    assert dims.of("batch first", torch.Size([4, 7, 2]), 2) == 0
    assert dims.of("flat", torch.Size([4, 7]), 1) == 0
    assert dims.of("neither", torch.Size([7, 2]), 1) == 0
    assert not dims.tied
    assert dims.of("either", torch.Size([4, 4, 2]), 2) == 1
    assert dims.tied
    again = SampleDims(batch_dim=1, once=dims.seen, samples=8, times=2)
    assert again.of("time first", torch.Size([7, 8, 2]), 2) == 1
    assert again.of("flat", torch.Size([4, 7]), 1) is None  # it has not grown
    assert again.of("new", torch.Size([8, 7]), 1) is None
