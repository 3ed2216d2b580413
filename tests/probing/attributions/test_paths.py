"""Methods that follow a path, against Captum, against sums written from the papers, and against exact answers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from captum.attr import IntegratedGradients, LayerConductance, LayerIntegratedGradients
from torch import Tensor, nn

from layerscope import demo
from layerscope.errors import CaptureError, InvalidArgumentError
from layerscope.probing.attributions import attribute
from layerscope.probing.attributions.path import gauss_legendre
from probed_models import DigitsNet, Reusing, Tokens

LABELS = torch.tensor([3, 0, 9])
IMAGES = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))
BASELINE = 0.1 * torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(2))
SIZES = [None, 3, 12, 1000]


@pytest.fixture(params=[DigitsNet, Reusing, demo.DigitsNet], ids=["DigitsNet", "Reusing", "demo"])
def model(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = request.param()
    with torch.no_grad():
        model(torch.randn(32, 1, 8, 8))
    return model.eval()


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance * float(expected.detach().abs().max()))


@pytest.mark.parametrize("size", SIZES)
def test_integrated_gradients_equal_captum(model: nn.Module, size: int | None) -> None:
    found = attribute(
        model, IMAGES, LABELS, method="integrated_gradients", baselines=BASELINE, n_steps=9, internal_batch_size=size
    )
    oracle = IntegratedGradients(model)
    expected, delta = oracle.attribute(
        IMAGES, BASELINE, target=LABELS, n_steps=9, return_convergence_delta=True, internal_batch_size=None
    )
    close(found.inputs[0], expected)
    assert found.delta is not None
    torch.testing.assert_close(found.delta, delta, rtol=0, atol=1e-5)
    assert found.layers == {}


def test_integrated_gradients_are_complete(model: nn.Module) -> None:
    found = attribute(model, IMAGES, LABELS, method="integrated_gradients", n_steps=200)
    with torch.no_grad():
        change = (model(IMAGES) - model(torch.zeros_like(IMAGES))).gather(1, LABELS[:, None]).squeeze(1)
    assert found.delta is not None
    torch.testing.assert_close(found.inputs[0].flatten(1).sum(1) - found.delta, change, rtol=1e-4, atol=1e-5)
    assert (found.delta.abs() < 0.02 * change.abs() + 1e-3).all()


@pytest.mark.parametrize("size", SIZES)
def test_conductance_of_all_layers_equals_captum_one_by_one(model: nn.Module, size: int | None) -> None:
    options: dict[str, Any] = {"baselines": BASELINE, "n_steps": 7}
    found = attribute(model, IMAGES, LABELS, method="layer_conductance", internal_batch_size=size, **options).layers
    last_calls = {key.partition("#")[0]: key for key in found}  # Captum sees the last call of a module
    assert set(last_calls) == {name for name, _ in model.named_modules() if name}
    for name, key in last_calls.items():
        oracle = LayerConductance(model, model.get_submodule(name))
        expected = oracle.attribute(IMAGES.clone(), BASELINE, target=LABELS, n_steps=7)
        close(found[key], expected)
    assert list(found) == list(attribute(model, IMAGES, LABELS, method="activation").layers)


def test_conductance_of_a_cut_is_complete() -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3)), torch.randn(5, 4)
    found = attribute(model, x, 1, method="layer_conductance", n_steps=300)
    change = (model(x) - model(torch.zeros_like(x)))[:, 1].detach()
    for key in ("0", "1"):
        torch.testing.assert_close(found.layers[key].sum(1), change, rtol=0.02, atol=0.01)


@pytest.mark.parametrize("size", SIZES)
def test_layer_integrated_gradients_equal_captum(size: int | None) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(144, 8), nn.ReLU(), nn.Linear(8, 10))
    found = attribute(
        model, IMAGES, LABELS, method="layer_integrated_gradients", n_steps=6, internal_batch_size=size, layers="all"
    ).layers
    assert list(found) == ["0", "1", "2", "3", "4", "5"]
    for key, tensor in found.items():
        oracle = LayerIntegratedGradients(model, model.get_submodule(key))
        close(tensor, oracle.attribute(IMAGES.clone(), torch.zeros_like(IMAGES), target=LABELS, n_steps=6))


def test_layer_integrated_gradients_where_captum_fails(model: nn.Module) -> None:
    keys = {DigitsNet: ["block1.relu#1"], Reusing: ["relu", "relu#2"], demo.DigitsNet: ["stem.1", "stage1.1.relu#1"]}
    layers = keys[type(model)]
    found = attribute(model, IMAGES, LABELS, method="layer_integrated_gradients", n_steps=5, layers=layers)
    ends = attribute(model, IMAGES, LABELS, method="activation", layers=layers).layers
    starts = attribute(model, torch.zeros_like(IMAGES), LABELS, method="activation", layers=layers).layers
    points, weights = gauss_legendre(5)
    for key in layers:
        expected = torch.zeros_like(ends[key])
        for alpha, weight in zip(points.tolist(), weights.tolist(), strict=True):
            leaf = (starts[key] + alpha * (ends[key] - starts[key])).requires_grad_()
            (gradient,) = torch.autograd.grad(go_on_from(model, key, leaf).gather(1, LABELS[:, None]).sum(), leaf)
            expected += weight * gradient * (ends[key] - starts[key])
        close(found.layers[key], expected)


def go_on_from(model: nn.Module, key: str, leaf: Tensor) -> Tensor:
    name, _, call = key.partition("#")
    calls: list[None] = []

    def replace(*_: Any) -> Tensor | None:
        calls.append(None)
        return leaf.clone() if len(calls) == int(call or 0) + 1 else None

    handle = model.get_submodule(name).register_forward_hook(replace)
    try:
        return model(IMAGES.clone())
    finally:
        handle.remove()


def test_a_named_layer_that_does_not_count_is_an_error() -> None:
    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            self.unused(x)
            return self.used(x)

    found = attribute(Unused(), torch.ones(1, 2), 0, method="layer_integrated_gradients", layers="all")
    assert (list(found.layers), found.skipped) == (["used"], {"unused": "the target does not depend on its output"})
    for method in ("layer_integrated_gradients", "layer_conductance"):
        with pytest.raises(
            CaptureError, match=r"'unused' was asked for, but the target does not depend|to layer 'unused'"
        ):
            attribute(Unused(), torch.ones(1, 2), 0, method=method, layers=["unused"])


def test_token_numbers_go_from_an_embedding_to_another() -> None:
    torch.manual_seed(0)
    model, ids = Tokens().eval(), torch.tensor([[1, 5, 3], [2, 2, 0]])

    def scores(words: Tensor) -> Tensor:
        handle = model.words.register_forward_hook(lambda *_: words.clone())
        try:
            return model(ids=ids)["logits"][[0, 1], [0, 2]]
        finally:
            handle.remove()

    start, end = model.words.weight[4].detach().expand(2, 3, -1), model.words(ids).detach()
    expected = torch.zeros_like(end)
    for alpha, weight in zip(*(numbers.tolist() for numbers in gauss_legendre(9)), strict=True):
        leaf = (start + alpha * (end - start)).requires_grad_()
        expected += weight * torch.autograd.grad(scores(leaf).sum(), leaf)[0] * (end - start)
    for baseline in (4, torch.tensor([[4, 4, 4]]), torch.full((2, 3), 4)):
        for size in SIZES:
            options: dict[str, Any] = {"baselines": baseline, "n_steps": 9, "internal_batch_size": size}
            found = attribute(model, {"ids": ids}, [0, 2], method="integrated_gradients", **options)
            close(found.inputs[0], expected.sum(2))
            assert found.delta is not None
            change = (scores(end) - scores(start)).detach()
            torch.testing.assert_close(found.inputs[0].sum(1) - found.delta, change)


def test_a_flattened_look_up_follows_the_path_too() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.fc = nn.Embedding(9, 4), nn.Linear(4, 2)

        def forward(self, ids: Tensor) -> Tensor:
            words = self.words(ids.reshape(-1)).reshape(*ids.shape, 4)
            return self.fc(words.tanh().sum(1))

    torch.manual_seed(0)
    model, ids = Flat(), torch.tensor([[1, 5, 3], [2, 2, 0]])
    found = attribute(model, ids, 1, method="integrated_gradients", baselines=torch.tensor([[7, 7, 7]]), n_steps=40)
    worth = (model.words.weight.tanh() @ model.fc.weight[1]).detach()
    torch.testing.assert_close(found.inputs[0], worth[ids] - worth[7])


def test_a_function_as_target_keeps_the_batch_as_it_is() -> None:
    torch.manual_seed(0)
    model, sizes = DigitsNet().eval(), []

    def chosen(logits: Tensor) -> Tensor:
        sizes.append(len(logits))
        return logits.gather(1, LABELS[:, None]).squeeze(1)

    for method in ("integrated_gradients", "layer_conductance"):
        found = attribute(model, IMAGES, chosen, method=method, n_steps=4)
        expected = attribute(model, IMAGES, LABELS, method=method, n_steps=4)
        for key, tensor in expected.layers.items():
            close(found.layers[key], tensor)
        for tensor, other in zip(found.inputs, expected.inputs, strict=True):
            close(tensor, other)
    assert set(sizes) == {3}


def test_the_predicted_class_stays_that_of_the_inputs() -> None:
    torch.manual_seed(0)
    model = DigitsNet().eval()
    predicted = model(IMAGES).argmax(1)
    close(
        attribute(model, IMAGES, method="integrated_gradients").inputs[0],
        attribute(model, IMAGES, predicted, method="integrated_gradients").inputs[0],
    )


def test_samples_may_lie_along_another_dimension() -> None:
    torch.manual_seed(0)

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.fc = nn.LSTM(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.lstm(x)[0][-1])

    model, x = Last().eval(), torch.randn(5, 2, 3)

    class First(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x.transpose(0, 1))

    for method in ("integrated_gradients", "smooth_grad", "layer_conductance", "layer_integrated_gradients"):
        options: dict[str, Any] = {"noise_level": 0.0} if method == "smooth_grad" else {"n_steps": 5}
        found = attribute(model, x, 1, method=method, batch_dim=1, **options)
        expected = attribute(First(), x.transpose(0, 1), 1, method=method, **options)
        for tensor, other in zip(found.inputs, expected.inputs, strict=True):
            close(tensor, other)
        for key, tensor in found.layers.items():
            close(tensor, expected.layers[f"inner.{key}"])
    assert found.layers["lstm"].shape == (2, 5, 4)


def test_smooth_grad_is_the_mean_gradient_over_its_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model, seen = DigitsNet().eval(), []
    model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach().clone()))
    found = attribute(model, IMAGES, LABELS, method="smooth_grad", n_samples=5, internal_batch_size=3, noise_level=0.3)
    noisy = [x for x in seen if not torch.equal(x, IMAGES)]
    assert len(noisy) in (5, 6)  # the first again because of operations in place
    expected = torch.zeros_like(IMAGES)
    for x in noisy[-5:]:
        leaf = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(model(leaf).gather(1, LABELS[:, None]).sum(), leaf)
        expected += gradient / 5
    close(found.inputs[0], expected)
    noise = torch.stack(noisy[-5:]) - IMAGES
    spread = IMAGES.flatten(1).amax(1) - IMAGES.flatten(1).amin(1)
    assert noise.flatten(2).std((0, 2)).tolist() == pytest.approx((0.3 * spread).tolist(), rel=0.15)
    together = attribute(model, IMAGES, LABELS, method="smooth_grad", n_samples=5, noise_level=0.3)
    close(together.inputs[0], found.inputs[0])
    for key, tensor in found.layers.items():
        close(together.layers[key], tensor)
    plain = attribute(model, IMAGES, LABELS, method="saliency", signed_gradient=True)
    still = attribute(model, IMAGES, LABELS, method="smooth_grad", n_samples=2, noise_level=0.0)
    for key, tensor in plain.layers.items():
        close(still.layers[key], tensor)


def test_gradient_shap_is_the_expectation_over_baselines_and_lines() -> None:
    torch.manual_seed(0)
    model, x, background = (
        nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3)),
        torch.randn(5, 4),
        torch.randn(7, 4),
    )
    found = attribute(
        model, x, 2, method="gradient_shap", baselines=background, n_samples=7 * 64, internal_batch_size=33
    )
    expected = torch.zeros_like(x)
    for sample in background:
        start = sample.expand(5, 4)
        expected += attribute(model, x, 2, method="integrated_gradients", baselines=start, n_steps=50).inputs[0] / 7
    torch.testing.assert_close(found.inputs[0], expected, rtol=1e-3, atol=1e-4)
    change = (model(x)[:, 2] - model(background)[:, 2].mean()).detach()
    assert found.delta is not None
    torch.testing.assert_close(found.inputs[0].sum(1) - found.delta, change)
    assert found.delta.abs().max() < 1e-3
    with pytest.raises(InvalidArgumentError, match=r"needs background samples: baselines=tensor \[samples, ...\]"):
        attribute(model, x, 2, method="gradient_shap")


@pytest.mark.parametrize("method", ["integrated_gradients", "gradient_shap"])
def test_a_linear_model_has_weight_times_difference(method: str) -> None:
    model, x, start = nn.Linear(5, 3), torch.randn(4, 5), torch.randn(1, 5)
    found = attribute(model, x, 2, method=method, baselines=start)
    torch.testing.assert_close(found.inputs[0], ((x - start) * model.weight[2]).detach())
    assert found.delta is not None
    assert found.delta.abs().max() < 1e-5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_steps": 0}, "n_steps must be at least 1, but it is 0"),
        ({"baselines": torch.ones(2, 2)}, r"the shape of its input, \[3, 1, 8, 8\], or one that broadcasts.*\[2, 2\]"),
        ({"baselines": (0, 0)}, "one baseline for each of the 1 input tensors, but 2 were given"),
    ],
)
def test_arguments_that_break_a_rule(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        attribute(DigitsNet(), IMAGES, method="integrated_gradients", **options)
    with pytest.raises(InvalidArgumentError, match="baseline of an input of integers must be integers"):
        attribute(Tokens(), {"ids": torch.tensor([[1]])}, method="integrated_gradients", baselines=0.5)


def test_several_inputs_have_a_baseline_each() -> None:
    class Two(nn.Module):
        def forward(self, a: Tensor, b: Tensor, scale: float) -> Tensor:
            return (a * b * scale).sum(1, keepdim=True)

    a, b = torch.randn(3, 2), torch.randn(3, 2)
    found = attribute(
        Two(), {"a": a, "b": b, "scale": 2.0}, method="integrated_gradients", baselines={"a": 1.0, "b": None}
    )
    # Of a product, each factor has its own change times the mean of the other.
    torch.testing.assert_close(found.inputs[0], 2 * (a - 1) * b / 2)
    torch.testing.assert_close(found.inputs[1], 2 * b * (a + 1) / 2)


def test_layers_that_do_not_grow_with_the_batch() -> None:
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.positions, self.fc = nn.Linear(3, 4), nn.Embedding(6, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc((self.words(x) * self.positions(torch.arange(x.shape[1]))).tanh().sum(1))

    torch.manual_seed(0)
    model, x = Positions().eval(), torch.randn(3, 6, 3)  # 6 positions: also the size of 2 points of 3 samples
    found = attribute(model, x, 1, method="layer_conductance", n_steps=5, internal_batch_size=6)
    assert list(found.layers) == ["words", "fc"]
    assert found.skipped == {"positions": "its output [6, 4] does not grow with the batch"}
    options: dict[str, Any] = {"n_steps": 5, "layers": ["positions"]}
    same = attribute(model, x, 1, method="layer_integrated_gradients", **options)  # its baseline is what it is
    assert torch.equal(same.layers["positions"], torch.zeros(6, 4))
