"""How far to trust attributions: against scores by hand, and planted truths."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from layerscope.probing.attributions import attribute, attribute_all, named
from layerscope.probing.attributions.method import Question
from layerscope.probing.attributions.trust import CHEAP, SCORES, STEPS, score
from probed_models import DigitsNet, Tokens

WEIGHTS = torch.tensor([[8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]])


class Weighing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 1, bias=False)
        self.fc.weight = nn.Parameter(WEIGHTS.clone())

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x)


def scored(model: nn.Module, inputs: Any, target: Any, methods: Any, which: Any = CHEAP, **question: Any) -> Any:
    found = attribute_all(model, inputs, target, methods=methods, **question)
    return score(Question(model, inputs, target, **question), named(methods), found, which)


def area(values: list[float]) -> float:
    return sum((a + b) / 2 for a, b in itertools.pairwise(values)) / STEPS


def test_deletion_and_insertion_by_hand() -> None:
    (found,) = scored(Weighing(), torch.ones(2, 8), None, ["input_x_gradient"]).values()
    # The largest first: 36 - 8 - 7 - ...; eight features in eight parts.
    left = [36 - sum(range(9 - k, 9)) for k in range(9)]
    assert found.trust["deletion"].tolist() == pytest.approx([area([value / 36 for value in left])] * 2)
    assert found.trust["insertion"].tolist() == pytest.approx([1 - area([value / 36 for value in left])] * 2)
    assert found.trust["deletion"].dtype == torch.float32
    # All inputs are equal, so their magnitude orders them as they stand: here as their weights do.
    assert found.trust["deletion_input"].tolist() == pytest.approx(found.trust["deletion"].tolist())
    assert found.trust["deletion"][0] < found.trust["deletion_random"][0]
    assert found.trust["insertion"][0] > found.trust["insertion_random"][0]
    worst = replace(found, inputs=[-found.inputs[0]])
    other = score(Question(Weighing(), torch.ones(2, 8), None), {}, {"worst": worst}, ["deletion"])["worst"]
    assert other.trust["deletion"].tolist() == pytest.approx([1 - area([value / 36 for value in left])] * 2)


class Patch(nn.Module):
    """Class 1 says how bright the four pixels in the corner are."""

    def forward(self, x: Tensor) -> Tensor:
        bright = 12 * x[:, :, :2, :2].mean((1, 2, 3)) - 4
        return torch.stack([-bright, bright], 1)


def test_the_random_map_of_an_image_is_its_own_moved_elsewhere() -> None:
    def perfect(model: nn.Module, x: Tensor, target: Any) -> Tensor:
        found = torch.zeros_like(x)
        found[:, :, :2, :2] = 1.0
        return found

    images = torch.ones(3, 1, 8, 8)
    (found,) = scored(Patch(), images, 1, {"perfect": perfect}).values()
    # The corner goes in the first eighth; elsewhere four pixels go, then the others as they stand, the corner's first.
    full, empty = (torch.sigmoid(torch.tensor(2 * logit)).item() for logit in (8.0, -4.0))
    assert found.trust["deletion"].tolist() == pytest.approx([area([full, *[empty] * 8])] * 3, abs=1e-5)
    first = torch.sigmoid(torch.tensor(2 * 2.0)).item()  # two of the four in the first row
    assert found.trust["deletion_random"].tolist() == pytest.approx([area([full, first, *[empty] * 7])] * 3, abs=1e-5)


def test_a_planted_patch_is_found_and_chance_is_not() -> None:
    images = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)) + 0.5
    methods = ["integrated_gradients", "saliency"]
    for found in scored(Patch(), images, 1, methods).values():
        assert (found.trust["deletion"] < 0.1).all()
        assert (found.trust["deletion"] < found.trust["deletion_random"] - 0.1).all()
        assert (found.trust["insertion"] > 0.9).all()


def test_tokens_are_removed_at_their_embedding() -> None:
    torch.manual_seed(0)
    model, ids = Tokens().eval(), torch.tensor([[1, 5, 3], [2, 2, 0]])
    (found,) = scored(model, {"ids": ids}, [0, 2], ["integrated_gradients"]).values()
    assert set(found.trust) == {"completeness", "deletion", "insertion", "deletion_random", "insertion_random"}
    order = found.inputs[0].argsort(1, descending=True)

    def probabilities(kept: Tensor) -> Tensor:
        handle = model.words.register_forward_hook(lambda _, __, out: out * kept[:, :, None])
        try:
            return model(ids=ids)["logits"].softmax(1)[[0, 1], [0, 2]].detach()
        finally:
            handle.remove()

    values = []
    for part in range(STEPS + 1):
        kept = torch.ones(2, 3)
        for sample in range(2):
            kept[sample, order[sample, : round(3 * part / STEPS)]] = 0
        values.append(probabilities(kept))
    ways = torch.stack(values)
    torch.testing.assert_close(found.trust["deletion"], ((ways[1:] + ways[:-1]) / 2).mean(0), rtol=1e-4, atol=1e-4)


def test_a_function_as_target_is_scored_by_its_value() -> None:
    (by_class,) = scored(Weighing(), torch.ones(2, 8), None, ["input_x_gradient"]).values()
    (by_function,) = scored(Weighing(), torch.ones(2, 8), lambda out: out[:, 0], ["input_x_gradient"]).values()
    for name, values in by_class.trust.items():
        torch.testing.assert_close(by_function.trust[name], values)


def test_completeness_is_the_gap_over_the_change() -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), torch.randn(5, 4)
    (found,) = scored(model, x, 1, {"integrated_gradients": {"n_steps": 3}}, ["completeness"]).values()
    change = (model(x) - model(torch.zeros_like(x)))[:, 1].detach()
    assert set(found.trust) == {"completeness"}
    expected = (found.inputs[0].sum(1) - change).abs() / change.abs()
    torch.testing.assert_close(found.trust["completeness"], expected, rtol=1e-3, atol=1e-5)


def test_randomization_tells_maps_that_see_the_network_from_those_that_do_not() -> None:
    torch.manual_seed(0)
    model = DigitsNet().eval()
    x = torch.randn(4, 1, 8, 8)
    before = {name: value.clone() for name, value in model.state_dict().items()}

    def blind(model: nn.Module, inputs: Tensor, target: Any) -> Tensor:
        return inputs.square()

    found = scored(model, x, None, {"saliency": {}, "blind": blind}, ["randomization"])
    torch.testing.assert_close(found["blind"].trust["randomization"], torch.ones(4))
    assert (found["saliency"].trust["randomization"] < 0.5).all()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    again = scored(model, x, None, {"saliency": {}, "blind": blind}, ["randomization"])
    assert torch.equal(again["saliency"].trust["randomization"], found["saliency"].trust["randomization"])


def test_equal_values_share_their_rank() -> None:
    """Spearman's correlation of (1, 2, 2, 3) and (2, 1, 4, 3): ranks 1, 2.5, 2.5, 4 and 2, 1, 4, 3."""
    model = nn.Linear(4, 2)
    question = Question(model, torch.ones(1, 4), 0)
    ours = replace(
        attribute(model, torch.ones(1, 4), 0, method="input_x_gradient"), inputs=[torch.tensor([[1.0, 2, 2, 3]])]
    )

    def theirs(*_: Any) -> Tensor:
        return torch.tensor([[2.0, 1, 4, 3]])

    found = score(question, named({"m": theirs}), {"m": ours}, ["randomization"])["m"]
    expected = torch.corrcoef(torch.tensor([[1, 2.5, 2.5, 4], [2, 1, 4, 3]]))[0, 1]
    torch.testing.assert_close(found.trust["randomization"], expected[None])


def test_what_says_nothing_of_inputs_has_no_scores() -> None:
    assert scored(DigitsNet(), torch.randn(2, 1, 8, 8), 0, ["grad_cam"], SCORES)["grad_cam"].trust == {}


def test_samples_along_another_dimension() -> None:
    class Last(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x * WEIGHTS.reshape(4, 1, 2)).sum((0, 2))

    class First(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return Last()(x.transpose(0, 1))

    x = torch.rand(3, 4, 2)
    (first,) = scored(First(), x, None, ["input_x_gradient"]).values()
    (last,) = scored(Last(), x.transpose(0, 1), None, ["input_x_gradient"], batch_dim=1).values()
    for name, values in first.trust.items():
        torch.testing.assert_close(last.trust[name], values)
