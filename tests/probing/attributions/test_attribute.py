from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import layerscope
from layerscope.errors import CaptureError, InvalidArgumentError
from layerscope.probing.attributions import METHODS, Attribution, attribute, attribute_all, named
from layerscope.probing.attributions.method import Question
from probed_models import DigitsNet, Recurrent, Tokens, twin

IMAGES = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model() -> DigitsNet:
    torch.manual_seed(0)
    return DigitsNet()


def logits_of(model: nn.Module, *args: Tensor) -> Tensor:
    model.eval()
    try:
        return model(*args).detach()
    finally:
        model.train()


def test_methods_share_one_pass_and_equal_single_calls(model: DigitsNet) -> None:
    calls: list[int] = []
    model.fc.register_forward_hook(lambda *_: calls.append(1))
    methods = ("activation", "gradient_x_activation", "grad_cam", "saliency", "input_x_gradient")
    together = attribute_all(model, IMAGES, methods=methods)
    assert len(calls) == 2  # the second because of operations in place
    assert list(together) == list(methods)
    for method, attribution in together.items():
        alone = attribute(model, IMAGES, method=method)
        assert attribution.method == method
        assert list(attribution.layers) == list(alone.layers)
        assert all(torch.equal(tensor, alone.layers[key]) for key, tensor in attribution.layers.items())


def test_a_class_a_label_each_the_predicted_class_and_a_function_agree(model: DigitsNet) -> None:
    predicted = logits_of(model, IMAGES).argmax(1)
    by_default = attribute(model, IMAGES, method="grad_cam")
    for target in (predicted, predicted.tolist(), predicted.int(), predicted.numpy(), lambda out: out.max(1).values):
        found = attribute(model, IMAGES, target, method="grad_cam")
        for key, tensor in found.layers.items():
            torch.testing.assert_close(tensor, by_default.layers[key])
    assert by_default.targets.tolist() == predicted.tolist()
    assert by_default.targets.dtype == torch.int64
    assert attribute(model, IMAGES, 4, method="grad_cam").targets.tolist() == [4, 4, 4]


def test_probabilities_are_the_softmax_of_the_target(model: DigitsNet) -> None:
    found = attribute(model, IMAGES, [1, 2, 3], method="activation")
    expected = logits_of(model, IMAGES).softmax(1)[[0, 1, 2], [1, 2, 3]]
    assert found.probabilities.dtype == torch.float32
    torch.testing.assert_close(found.probabilities, expected)


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_a_model_with_one_score_is_explained_by_it_and_has_no_probability(shape: tuple[int, ...]) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 1), nn.Unflatten(0, shape[:1]) if len(shape) == 2 else Squeeze())
    found = attribute(model, IMAGES, method="gradient_x_activation")
    torch.testing.assert_close(found.inputs[0].flatten(1), IMAGES.flatten(1) * model[1].weight)
    assert found.targets.tolist() == [0, 0, 0]
    assert found.probabilities.isnan().all()
    cam = attribute(model, IMAGES, method="grad_cam").layers["2"]
    torch.testing.assert_close(cam, model(IMAGES).detach())  # each output is its own score: gradient 1
    assert {key: value.shape for key, value in found.maps().items()} == {"0": (3, 64), "1": (3, 1), "2": shape}


class Squeeze(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.squeeze(1)


def test_a_function_has_neither_class_nor_probability(model: DigitsNet) -> None:
    found = attribute(model, IMAGES, lambda out: out.square().sum(1), method="activation")
    assert found.targets.tolist() == [-1, -1, -1]
    assert found.probabilities.isnan().all()


def test_a_linear_models_attribution_is_weight_times_input() -> None:
    model = nn.Sequential(nn.Linear(5, 3))
    x = torch.randn(4, 5)
    found = attribute(model, x, 2, method="gradient_x_activation")
    torch.testing.assert_close(found.inputs[0], x * model[0].weight[2])
    torch.testing.assert_close(found.layers["0"], model(x) * torch.tensor([0.0, 0, 1]))
    torch.testing.assert_close(found.inputs[0].sum(1) + model[0].bias[2], model(x)[:, 2])


def test_tokens_dict_outputs_and_keywords() -> None:
    torch.manual_seed(0)
    model, ids = Tokens(), torch.tensor([[1, 5, 3], [2, 2, 0]])
    found = attribute_all(model, {"ids": ids}, [0, 2], methods=("gradient_x_activation", "grad_cam"))
    activations, gradients = twin(model.eval(), lambda out: out["logits"][[0, 1], [0, 2]], ids=ids)
    product, cam = found["gradient_x_activation"], found["grad_cam"]
    torch.testing.assert_close(product.layers["words"], activations["words"] * gradients["words"])
    # Channels are the features: weighted by their gradient's mean over the tokens, added up for each token.
    expected = (gradients["words"].mean(1, keepdim=True) * activations["words"]).sum(2, keepdim=True)
    torch.testing.assert_close(cam.layers["words"], expected)
    assert product.maps()["words"].shape == cam.maps()["words"].shape == (2, 3)
    np.testing.assert_allclose(product.maps()["words"], product.layers["words"].sum(2), rtol=2e-3, atol=1e-4)
    assert product.inputs[0].shape == ids.shape
    torch.testing.assert_close(product.inputs[0], product.layers["words"].sum(2))
    assert cam.inputs == []


def test_several_inputs_and_one_that_is_not_used() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(2, 2)

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return self.fc(a)

    model, a = Two(), torch.ones(1, 2)
    found = attribute(model, (a, a), 0, method="gradient_x_activation")
    torch.testing.assert_close(found.inputs[0], model.fc.weight[:1].detach())
    assert found.inputs[1].tolist() == [[0, 0]]


def test_maps_sum_the_channels_away(model: DigitsNet) -> None:
    found = attribute(model, IMAGES, 0, method="gradient_x_activation")
    maps = found.maps()
    assert maps["block1.conv1"].shape == (3, 8, 8)
    np.testing.assert_allclose(maps["block1.conv1"], found.layers["block1.conv1"].sum(1), rtol=1e-3, atol=1e-6)
    assert maps["pool"].shape == (3, 1, 1)
    assert maps["fc"].shape == (3, 10)
    np.testing.assert_allclose(maps["fc"], found.layers["fc"], rtol=1e-3, atol=1e-6)


def test_maps_of_windows_folded_into_the_batch_are_by_sample() -> None:
    class Windows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.head = nn.Linear(4, 6), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.inner(x.unflatten(1, (3, 2)).flatten(0, 1)).tanh().unflatten(0, (-1, 3)).mean((1, 2)))

    torch.manual_seed(0)
    model, x = Windows(), torch.randn(5, 6, 4)
    maps = attribute(model, x, 1, method="gradient_x_activation").maps()
    alone = [attribute(model, sample[None], 1, method="gradient_x_activation").maps()["inner"] for sample in x]
    assert maps["inner"].shape == (5, 6)
    np.testing.assert_allclose(maps["inner"], np.concatenate(alone), atol=1e-3)


@pytest.mark.parametrize("make", [DigitsNet, Recurrent, Tokens])
def test_maps_alone_are_those_of_the_whole(make: Callable[[], nn.Module]) -> None:
    model, inputs = make(), {"ids": torch.tensor([[1, 5, 3], [2, 2, 0]])} if make is Tokens else IMAGES
    methods = named(("activation", "gradient_x_activation", "grad_cam"))
    question = Question(model, inputs, 0)
    whole, alone = (methods["grad_cam"].together(methods, replace(question, maps_only=only)) for only in (False, True))
    for method, found in whole.items():
        maps = found.maps()
        assert maps.keys() == alone[method].maps().keys()
        # Of positions that all samples share nothing tells which are of which sample.
        assert alone[method].layers.keys() - maps.keys() == ({"positions"} if make is Tokens else set())
        for key, values in alone[method].maps().items():
            np.testing.assert_allclose(values, maps[key], rtol=1e-3, atol=1e-6, err_msg=f"{method}, {key}")
            assert alone[method].layers[key].shape == values.shape


def test_maps_of_a_1d_convolution_keep_the_length() -> None:
    model = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 2))
    maps = attribute(model, torch.randn(3, 2, 9), method="activation").maps()
    assert {key: value.shape for key, value in maps.items()} == {
        "0": (3, 7), "1": (3, 7), "2": (3, 1), "3": (3, 4), "4": (3, 2),
    }  # fmt: skip


def as_map(*values: float) -> NDArray[np.floating[Any]]:
    tensor = torch.tensor([values], dtype=torch.float64)
    found = Attribution("activation", True, {"fc": tensor}, [], torch.zeros(1), torch.zeros(1), channels={"fc": 1})
    return found.maps()["fc"][0]


@pytest.mark.parametrize(
    ("scale", "dtype"), [(1e-30, "f4"), (1e-7, "f4"), (0.06, "f4"), (0.07, "f2"), (1, "f2"), (65e3, "f2"), (1e9, "f4")]
)
def test_maps_of_any_scale_keep_their_digits(scale: float, dtype: str) -> None:
    values = np.linspace(-1, 1, 1001) ** 3 * scale
    found = as_map(*values)
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_allclose(found.astype(float), values, rtol=2**-11, atol=2**-21 * scale)
    if scale == 1e-7:
        np.testing.assert_allclose(found[values != 0], values[values != 0], rtol=1e-3)


def test_maps_keep_nan_infinity_and_zeros_and_stay_finite() -> None:
    nan, inf = np.nan, np.inf
    for largest, dtype, kept in ((0.25, np.float16, 0.25), (1e300, np.float32, np.finfo(np.float32).max)):
        found = as_map(largest, -largest, nan, inf, -inf, 0)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, np.array([kept, -kept, nan, inf, -inf, 0], dtype))
    assert as_map(0, 0, nan).dtype == np.float16
    np.testing.assert_array_equal(as_map(nan, inf), np.array([nan, inf], np.float16))
    assert as_map().shape == (0,)


def test_the_result_is_independent_of_the_model(model: DigitsNet) -> None:
    class Weight(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1, 64))

        def forward(self) -> Tensor:
            return self.weight

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = Weight()

        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1) * self.scale()

    scaled = Scaled()
    found = attribute(scaled, IMAGES, 0, method="activation")
    with torch.no_grad():
        scaled.scale.weight.fill_(7)
    assert (found.layers["scale"] == 1).all()
    background = {"gradient_shap": {"baselines": IMAGES}, "deep_shap": {"baselines": IMAGES}}
    few = {"n_samples": 20, "n_features": 4}
    methods = {
        name: background.get(name, {}) | {n: few[n] for n in few if n in method.__dataclass_fields__}
        for name, method in METHODS.items()
    }
    for attribution in attribute_all(model, IMAGES, methods=methods).values():
        tensors = [*attribution.layers.values(), *attribution.inputs, attribution.targets, attribution.probabilities]
        assert not any(tensor.requires_grad for tensor in tensors)
        assert attribution.delta is None or not attribution.delta.requires_grad


def test_layers_without_a_gradient_are_noted(model: DigitsNet) -> None:
    class Side(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main, self.side = nn.Linear(64, 3), nn.Linear(64, 3)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.main(x.flatten(1)), self.side(x.flatten(1))

    found = attribute_all(Side(), IMAGES, methods=("activation", "grad_cam"))
    assert list(found["activation"].layers) == ["main", "side"]
    assert found["activation"].skipped == {}
    assert list(found["grad_cam"].layers) == ["main"]
    assert found["grad_cam"].skipped == {"side": "the target does not depend on its output"}
    with pytest.raises(CaptureError, match="layer 'side' was asked for, but the target does not depend"):
        attribute(Side(), IMAGES, method="grad_cam", layers=["side"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"method": "magic"},
            "method 'magic' was asked for, but the methods are 'activation', 'gradient_x_activation', ",
        ),
        ({"method": "grad_cam", "steps": 3}, "option 'steps' was given, but the options of 'grad_cam' are: relu"),
        ({"method": "activation", "relu": True}, "the options of 'activation' are: none"),
        ({"target": 10}, r"classes from 0 to 9, since the model returns 10 scores .* they go from 10 to 10"),
        ({"target": [0, -1, 3]}, r"they go from -1 to 3"),
        ({"target": [0, 1]}, r"one for each of the 3 samples, but they have shape \[2\]"),
        ({"target": torch.ones(3)}, r"must be classes, integers, but they are torch.float32"),
        ({"target": lambda out: out}, r"one floating-point number for each sample.* returned torch.float32 \[3, 10\]"),
        ({"target": lambda out: 3.0}, r"but it returned float"),
        ({"method": "gradcam"}, r"Do you mean 'grad_cam'\?"),
        ({"layers": "fc"}, r'layers must be "all", "auto" or a list of layer keys'),
    ],
)
def test_arguments_that_break_a_rule(model: DigitsNet, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        attribute(model, IMAGES, **({"method": "grad_cam"} | options))


def test_one_score_has_one_class() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
    with pytest.raises(InvalidArgumentError, match="classes from 0 to 0, since the model returns 1 scores"):
        attribute(model, IMAGES, 1, method="grad_cam")


def test_an_output_of_many_dimensions_needs_a_function() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3))
    with pytest.raises(InvalidArgumentError, match=r"returned a tensor \[3, 2, 6, 6\]. Give a tuple of 3 numbers, "):
        attribute(model, IMAGES, method="grad_cam")
    found = attribute(model, IMAGES, lambda out: out[:, 1].mean((1, 2)), method="gradient_x_activation")
    assert (found.layers["0"][:, 0] == 0).all()
    torch.testing.assert_close(found.layers["0"][:, 1], model(IMAGES)[:, 1].detach() / 36)


@pytest.mark.parametrize("methods", ["grad_cam", ()])
def test_methods_must_be_a_list(model: DigitsNet, methods: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="methods must be a list of one or more of 'activation', "):
        attribute_all(model, IMAGES, methods=methods)


def test_they_are_public() -> None:
    assert layerscope.attribute is attribute
    assert layerscope.Attribution is Attribution
