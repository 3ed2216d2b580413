"""DeepLIFT against multipliers worked out by hand, against Captum where it is right, and by what must add up."""

from __future__ import annotations

import warnings
from typing import Any

import captum.attr
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import layerscope
import probed_models
from layerscope.errors import CaptureError
from layerscope.probing.attributions import Question
from layerscope.probing.attributions.attribution import Attribution
from layerscope.probing.attributions.deep_lift import DeepLift


def lift(model: nn.Module, inputs: Any, target: Any = None, *, baselines: Any = None, **asked: Any) -> Attribution:
    return DeepLift(baselines).attribute("deep_lift", Question(model.eval(), inputs, target, **asked))


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def change(model: nn.Module, inputs: Any, baselines: Any, labels: Tensor) -> Tensor:
    """Return how much the scores of classes change, [batch]."""
    with torch.no_grad():
        return (model(inputs) - model(baselines)).gather(1, labels[:, None])[:, 0]


def test_multipliers_follow_the_paper_layer_by_layer() -> None:
    torch.manual_seed(0)
    first, second, third = (layer.double() for layer in (nn.Linear(4, 5), nn.Linear(5, 3), nn.Linear(3, 2)))
    model = nn.Sequential(first, nn.ReLU(), second, nn.Sigmoid(), third)
    x, x0 = random(2, 4).double(), random(2, 4, seed=1).double()
    found = lift(model, x, [0, 1], baselines=x0)
    for sample, target in enumerate((0, 1)):
        values = [{"x": x[sample]}, {"x": x0[sample]}]
        for value in values:
            value["h1"] = first(value["x"]).detach()
            value["a1"] = value["h1"].clamp(min=0)
            value["h2"] = second(value["a1"]).detach()
            value["a2"] = 1 / (1 + (-value["h2"]).exp())
        difference = {key: values[0][key] - values[1][key] for key in values[0]}
        # The chain rule for multipliers (eq. 3): linear rule (3.5.1), rescale rule (3.5.2), from the output down.
        a2 = third.weight[target].detach()
        h2 = torch.tensor([float(a2[j] * difference["a2"][j] / difference["h2"][j]) for j in range(3)]).double()
        a1 = torch.stack([sum(h2[j] * second.weight[j, i].detach() for j in range(3)) for i in range(5)])
        h1 = torch.stack([a1[i] * difference["a1"][i] / difference["h1"][i] for i in range(5)])
        inputs = torch.stack([sum(h1[i] * first.weight[i, k].detach() for i in range(5)) for k in range(4)])
        torch.testing.assert_close(found.inputs[0][sample], inputs * difference["x"])
        expected = {"0": h1 * difference["h1"], "1": a1 * difference["a1"]}
        expected |= {"2": h2 * difference["h2"], "3": a2 * difference["a2"]}
        for key, contributions in expected.items():
            torch.testing.assert_close(found.layers[key][sample], contributions, rtol=1e-6, atol=1e-8)


def test_a_linear_model_gives_weight_times_difference() -> None:
    model = nn.Linear(3, 2)
    x, x0 = random(2, 3), random(2, 3, seed=1)
    torch.testing.assert_close(lift(model, x, 1, baselines=x0).inputs[0], (x - x0) * model.weight[1].detach())


class Functional(nn.Module):
    """Nonlinear functions one behind the other, without modules."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3)
        self.fc = nn.Linear(6 * 9, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.conv(x)), 2)
        return self.fc(torch.tanh(x.flatten(1)).sigmoid() * 2)


class InvertedResiduals(nn.Module):
    """One ReLU6 used everywhere, overlapping max pooling, additions in place: EfficientNet-Lite's and ResNet's ways."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.expand = nn.Conv2d(8, 16, 1)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.project = nn.Conv2d(16, 8, 1)
        self.relu = nn.ReLU6(inplace=True)
        self.fc = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu(self.norm(self.stem(x))))
        for _ in range(2):
            out = self.project(self.relu(self.depthwise(self.relu(self.expand(x)))))
            out += x
            x = self.relu(out)
        return self.fc(x.mean((2, 3)))


MODELS = [Functional, InvertedResiduals, probed_models.DigitsNet, probed_models.Reusing, probed_models.Recurrent]


@pytest.mark.parametrize("kind", MODELS)
def test_it_adds_up_at_the_inputs_and_at_cuts(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model, x, x0 = kind().eval(), 4 * random(3, 1, 8, 8), random(3, 1, 8, 8, seed=1)
    found = lift(model, x, baselines=x0)
    expected = change(model, x, x0, model(x).argmax(1))
    assert found.delta is not None
    assert expected.abs().min() > 1e-3
    torch.testing.assert_close(found.inputs[0].flatten(1).sum(1), expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.delta, torch.zeros(3), rtol=0, atol=float(1e-4 * expected.abs().max()))
    for key in (next(iter(found.layers)), "fc"):  # the first and the last module: everything goes through
        torch.testing.assert_close(found.layers[key].flatten(1).sum(1), expected, rtol=1e-4, atol=1e-6)
    assert found.notes == ()


def test_modules_called_again_have_an_attribution_for_each_call() -> None:
    torch.manual_seed(0)
    found = lift(InvertedResiduals(), random(2, 1, 8, 8))
    assert [key for key in found.layers if key.startswith("relu")] == ["relu", *(f"relu#{i}" for i in range(1, 7))]
    total = found.layers["fc"].sum(1)
    torch.testing.assert_close(found.layers["relu#6"].flatten(1).sum(1), total, rtol=1e-4, atol=1e-6)
    assert not torch.allclose(found.layers["relu#6"], found.layers["relu#3"])


def test_it_equals_captum_where_no_two_nonlinear_modules_touch() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(54, 20), nn.Softplus()),
        *(nn.Linear(20, 20), nn.Sigmoid(), nn.Linear(20, 10)),
    ).eval()
    x, x0 = random(3, 1, 8, 8), random(3, 1, 8, 8, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Captum tells of its hooks
        expected = captum.attr.DeepLift(model).attribute(x, x0, target=torch.tensor([1, 2, 3]))
    found = lift(model, x, [1, 2, 3], baselines=x0)
    torch.testing.assert_close(found.inputs[0], expected.detach(), rtol=1e-5, atol=1e-6)


def test_several_inputs_by_keyword_and_a_dict_output() -> None:
    class Joined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Linear(3, 4), nn.Linear(2, 4)

        def forward(self, *, left: Tensor, right: Tensor) -> dict[str, Tensor]:
            joint = self.left(left).tanh() * self.right(right).relu()
            return {"states": joint, "logits": joint.softmax(1)}

    torch.manual_seed(0)
    model, inputs = Joined(), {"left": random(2, 3), "right": random(2, 2, seed=1)}
    baselines = {"left": random(1, 3, seed=2), "right": None}
    found = lift(model, inputs, 2, baselines=baselines)
    with torch.no_grad():
        at_baseline = model(left=baselines["left"].expand(2, 3), right=torch.zeros(2, 2))["logits"][:, 2]
        expected = model(**inputs)["logits"][:, 2] - at_baseline
    assert [tuple(tensor.shape) for tensor in found.inputs] == [(2, 3), (2, 2)]
    torch.testing.assert_close(found.inputs[0].sum(1) + found.inputs[1].sum(1), expected, rtol=1e-4, atol=1e-6)


def test_one_baseline_for_all_is_that_for_each() -> None:
    torch.manual_seed(0)
    model, x, x0 = InvertedResiduals(), random(3, 1, 8, 8), random(1, 1, 8, 8, seed=1)
    one, each = lift(model, x, baselines=x0), lift(model, x, baselines=x0.expand(3, -1, -1, -1))
    assert torch.equal(one.inputs[0], each.inputs[0])


def test_inputs_of_integers_are_attributed_at_their_embedding() -> None:
    torch.manual_seed(0)
    model = probed_models.Tokens().eval()
    ids, baseline = torch.tensor([[1, 2, 3, 4, 5, 6], [7, 8, 9, 9, 8, 7]]), torch.full((1, 6), 19)
    found = lift(model, {"ids": ids}, 1, baselines={"ids": baseline})
    with torch.no_grad():
        expected = (model(ids=ids)["logits"] - model(ids=baseline)["logits"])[:, 1]
    assert found.inputs[0].shape == (2, 6)
    torch.testing.assert_close(found.inputs[0].sum(1), expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.layers["encoder"].flatten(1).sum(1), expected, rtol=1e-4, atol=1e-6)
    same = lift(model, {"ids": ids}, 1, baselines={"ids": torch.where(ids == 9, 19, ids)})
    assert (same.inputs[0].abs() > 1e-4).tolist() == (ids == 9).tolist()


def test_samples_may_lie_along_another_dimension_and_targets_be_functions() -> None:
    torch.manual_seed(0)
    model, x = nn.TransformerEncoderLayer(8, 2, 16).eval(), random(5, 2, 8)

    def target(output: Tensor) -> Tensor:
        return output[-1].square().sum(1)

    found = lift(model, x, target, batch_dim=1)
    with torch.no_grad():
        expected = target(model(x)) - target(model(torch.zeros_like(x)))
    assert found.inputs[0].shape == (2, 5, 8)
    torch.testing.assert_close(found.inputs[0].flatten(1).sum(1), expected, rtol=1e-4, atol=1e-5)


def test_where_an_operation_has_no_rule_the_gap_is_told_in_words() -> None:
    class Norm(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([x.norm(dim=1), x.sum(1)], 1)

    found = lift(Norm(), torch.tensor([[3.0, 4.0]]), 0, baselines=torch.tensor([[3.0, 0.0]]))
    assert found.delta is not None
    assert found.delta.tolist() == pytest.approx([4 * 4 / 5 - 2])  # derivative x difference, less the change
    assert found.notes == (
        "deep_lift misses 1.2 of a change of the target by 2 in sample 0: norm kept their derivative, having no rule. "
        "integrated_gradients adds up for any model.",
    )


class Checkpointed(nn.Module):
    def __init__(self, *, reentrant: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.block, self.out = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 5)), nn.Linear(5, 3)
        self.reentrant = reentrant

    def forward(self, x: Tensor) -> Tensor:
        return self.out(checkpoint(self.block, x, use_reentrant=self.reentrant))


@pytest.mark.parametrize(
    ("method", "reentrant", "message"),
    [
        ("deep_lift", False, r"but relu is computed again in the backward pass.*or use integrated_gradients"),
        ("layer_integrated_gradients", False, r"output of 'block.0', but that is computed.*or use layer_conductance"),
        ("saliency", True, r"use_reentrant=True\), which gives those of parameters only\. Give it use_reentrant=False"),
    ],
)
def test_what_is_computed_again_in_the_backward_pass_is_told(method: str, reentrant: bool, message: str) -> None:
    with pytest.raises(CaptureError, match=message):
        layerscope.attribute(Checkpointed(reentrant=reentrant), random(2, 4), 0, method=method)


def test_what_else_is_offered_takes_checkpoints() -> None:
    model, x = Checkpointed(reentrant=False), random(2, 4)
    plain = nn.Sequential(model.block, model.out)
    for method in ("saliency", "integrated_gradients"):
        found, expected = (layerscope.attribute(m, x, 0, method=method).inputs[0] for m in (model, plain))
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kind", [InvertedResiduals, probed_models.DigitsNet, probed_models.Spectral])
@pytest.mark.parametrize("failing", [False, True])
def test_the_model_is_left_as_it_was(kind: type[nn.Module], failing: bool) -> None:
    torch.manual_seed(0)
    model, x = kind().train(), random(2, 1, 8, 8)
    kept = x.clone()
    functional.cross_entropy(model(x), torch.tensor([1, 2])).backward()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    gradients = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    state = torch.get_rng_state()

    def target(output: Tensor) -> Tensor:
        if failing and output.requires_grad:
            raise RuntimeError("on purpose")
        return output[:, 0]

    method, question = DeepLift(), Question(model, x, target)
    if failing:
        with pytest.raises(RuntimeError, match="on purpose"):
            method.attribute("deep_lift", question)
    else:
        method.attribute("deep_lift", question)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(x, kept)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        assert parameter.requires_grad
        assert gradient is None or (parameter.grad is not None and torch.equal(parameter.grad, gradient))
    for module in model.modules():
        assert module.training
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks
