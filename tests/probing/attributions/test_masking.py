"""The values of coalitions, against the model run on inputs that are masked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from layerscope.errors import InvalidArgumentError
from layerscope.probing.attributions import Loss, Question
from layerscope.probing.attributions.features import features_of
from layerscope.probing.attributions.masking import Masking
from layerscope.probing.attributions.perturbation import all_coalitions
from layerscope.probing.attributions.target import select
from probed_models import DigitsNet, Tokens


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def masking(model: nn.Module, inputs: Any, target: Any = 0, *, batch_dim: int = 0, **options: Any) -> Masking:
    question = Question(model.eval(), inputs, target, batch_dim=batch_dim)
    features = features_of(question, options.pop("features", "auto"), 4, options.get("padding_id"))
    return Masking(question, features, **options)


class Pair(nn.Module):
    """Two inputs, the second by keyword, a dict out; counts how large its batches are."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(2, 3), nn.Linear(2, 3)
        self.batches: list[int] = []

    def forward(self, x: Tensor, *, other: Tensor) -> dict[str, Tensor]:
        self.batches.append(len(x))
        return {"logits": torch.tanh(self.a(x)) * self.b(other)}


def test_values_are_those_of_inputs_masked_by_hand() -> None:
    torch.manual_seed(0)
    model, x, other = Pair(), random(3, 2), random(3, 2, seed=1)
    found = masking(model, {"x": x, "other": other}, [0, 2, 1], baselines={"x": 0.5, "other": random(2, seed=2)})
    coalitions = all_coalitions(4)
    values = found.values([coalitions, coalitions[:5], coalitions[3:4]])
    assert [len(row) for row in values] == [16, 5, 1]
    for sample, (asked, label) in enumerate(zip([coalitions, coalitions[:5], coalitions[3:4]], [0, 2, 1], strict=True)):
        for coalition, value in zip(asked, values[sample], strict=True):
            keep = torch.from_numpy(coalition)
            own = torch.where(keep[:2], x[sample], torch.tensor(0.5))
            others = torch.where(keep[2:], other[sample], random(2, seed=2))
            with torch.no_grad():
                expected = model(own[None], other=others[None])["logits"][0, label]
            assert value == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.parametrize(("limit", "batches"), [(None, [3, 48]), (12, [3, 12, 12, 12, 12]), (1, [3] * 17)])
def test_passes_are_bounded(limit: int | None, batches: list[int]) -> None:
    torch.manual_seed(0)
    inputs = {"x": random(3, 2), "other": random(3, 2)}
    model = Pair()
    found = masking(model, inputs, internal_batch_size=limit)
    seen: list[int] = []
    model.register_forward_hook(lambda module, args, kwargs, out: seen.append(len(kwargs["x"])), with_kwargs=True)
    values = found.values([all_coalitions(4)] * 3)
    assert seen == batches[1:]
    torch.testing.assert_close(np.stack(values), np.stack(masking(model, inputs).values([all_coalitions(4)] * 3)))


def test_a_function_as_target_sees_the_batch_it_was_given() -> None:
    torch.manual_seed(0)
    model, x = nn.Linear(3, 2), random(2, 3)
    sizes: list[int] = []

    def target(output: Tensor) -> Tensor:
        sizes.append(len(output))
        return output[:, 0] * torch.tensor([1.0, -2.0])

    (first, second) = masking(model, x, target).values([all_coalitions(3)] * 2)
    assert set(sizes) == {2}
    plain = masking(model, x, 0).values([all_coalitions(3)] * 2)
    np.testing.assert_allclose(first, plain[0], atol=1e-6)
    np.testing.assert_allclose(second, -2 * plain[1], atol=1e-6)


def test_losses_and_predicted_classes_are_held_fixed() -> None:
    torch.manual_seed(0)
    model, x, labels = nn.Linear(3, 4), random(2, 3), torch.tensor([3, 1])
    empty = np.zeros((1, 3), bool)
    values = masking(model, x, Loss(functional.cross_entropy, labels)).values([empty] * 2)
    with torch.no_grad():
        zero = model(torch.zeros(2, 3))
        np.testing.assert_allclose(np.concatenate(values), functional.cross_entropy(zero, labels, reduction="none"))
        predicted = model(x).argmax(1)
    found = masking(model, x, None)
    assert torch.equal(found.targets, predicted)
    np.testing.assert_allclose(np.concatenate(found.values([empty] * 2)), zero.gather(1, predicted[:, None])[:, 0])


def test_missing_tokens_are_the_padding() -> None:
    torch.manual_seed(0)
    model, ids = Tokens(), torch.tensor([[1, 5, 3, 19], [2, 4, 9, 7]])
    coalition = np.array([[True, False, False, True]])
    for options, token in (({}, 0), ({"padding_id": 6}, 6), ({"baselines": 11}, 11), ({"baselines": [12]}, 12)):
        values = masking(model, {"ids": ids}, [1, 2], **options).values([coalition] * 2)
        masked = torch.where(torch.from_numpy(coalition), ids, token)
        with torch.no_grad():
            expected = select(model(ids=masked), [1, 2])
        np.testing.assert_allclose(np.concatenate(values), expected, atol=1e-6)


def test_values_over_background_samples_are_their_mean() -> None:
    torch.manual_seed(0)
    model, x, background = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), random(2, 3), random(5, 3)
    coalitions = [all_coalitions(3)] * 2
    found = masking(model, x, background=background).values(coalitions)
    each = [masking(model, x, baselines=sample).values(coalitions) for sample in background]
    np.testing.assert_allclose(np.stack(found), np.mean(each, 0), atol=1e-6)


def test_a_blurred_image_keeps_its_mean_colour_and_nothing_else() -> None:
    image = torch.zeros(2, 3, 20, 20)
    image[0, 0], image[1, 1] = 0.75, (torch.arange(20) % 2)[:, None] * 1.0
    model = nn.Flatten(1)
    question = Question(model, image, 0)
    found = Masking(question, features_of(question, "patches", 4, None), baselines="blur")
    (missing,) = found._backgrounds[0]
    torch.testing.assert_close(missing[0], image[0])
    assert (missing[1, 1] - 0.5).abs().max() < 0.1  # at the border, where half of what is near lies outside
    assert (missing[1, 1, 6:-6] - 0.5).abs().max() < 0.01
    torch.testing.assert_close(missing[1, 1], missing[1, 1, :, :1].expand(20, 20))


def test_samples_in_another_dimension() -> None:
    class Columns(nn.Module):
        def forward(self, x: Tensor) -> Tensor:  # [columns, batch]
            return (x * torch.tensor([1.0, 10.0, 100.0])[:, None]).sum(0)

    x = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    values = masking(Columns(), x, batch_dim=1).values([all_coalitions(3)] * 2)
    assert values[0].tolist() == [0, 1, 30, 31, 500, 501, 530, 531]
    assert values[1].tolist() == [0, 2, 40, 42, 600, 602, 640, 642]


def test_inputs_and_buffers_stay_as_they_are() -> None:
    torch.manual_seed(0)
    model, x = DigitsNet().train(), random(2, 1, 8, 8)
    before, copied = {k: v.clone() for k, v in model.state_dict().items()}, x.clone()
    question = Question(model, x, None)
    Masking(question, features_of(question, "auto", 4, None)).values([all_coalitions(4)] * 2)
    assert torch.equal(x, copied)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


class Fixed(nn.Module):
    """Returns as many scores as it was made for."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum() * torch.ones(2, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baselines": random(5, 3)}, r"shape of its input, \[2, 3\], .* but it has \[5, 3\]"),
        ({"baselines": "noise"}, "a baseline is a number, a tensor, or 'blur' for images .* but 'noise' was given"),
        ({"baselines": ["blur"]}, r"'blur' for images .* was given for an input torch.float32 \[2, 3\]"),
        ({"baselines": 0.0, "background": random(5, 3)}, "but both were given"),
        ({"background": 0.0}, "background needs background samples"),
        ({"internal_batch_size": 0}, "internal_batch_size must be at least 1, but it is 0"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        masking(nn.Linear(3, 2), random(2, 3), **options)


def test_a_model_with_a_fixed_batch_is_told_the_option() -> None:
    found = masking(Fixed(), random(2, 3))
    with pytest.raises(
        InvalidArgumentError, match="If the model takes batches of one size only, give internal_batch_size=2"
    ):
        found.values([all_coalitions(3)] * 2)
    assert len(masking(Fixed(), random(2, 3), internal_batch_size=2).values([all_coalitions(3)] * 2)[0]) == 8
