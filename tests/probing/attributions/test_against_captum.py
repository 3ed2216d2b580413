"""All layers in one pass equal Captum, called layer by layer; calls that Captum does not see equal plain autograd."""

from __future__ import annotations

import pytest
import torch
from captum.attr import InputXGradient, LayerActivation, LayerGradCam, LayerGradientXActivation
from torch import Tensor, nn

from layerscope import demo
from layerscope.probing.attributions import attribute, attribute_all
from probed_models import DigitsNet, Reusing, twin

LABELS = torch.tensor([3, 0, 9])
ORACLES = {
    "activation": LayerActivation,
    "gradient_x_activation": LayerGradientXActivation,
    "grad_cam": LayerGradCam,
}


@pytest.fixture(params=[DigitsNet, Reusing, demo.DigitsNet], ids=["DigitsNet", "Reusing", "demo"])
def model(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = request.param()
    with torch.no_grad():
        model(torch.randn(32, 1, 8, 8))  # running statistics of BatchNorm that are not 0 and 1
    return model.eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def captum(method: str, model: nn.Module, layer: nn.Module, images: Tensor) -> Tensor:
    oracle = ORACLES[method](model, layer)
    target = {} if method == "activation" else {"target": LABELS}
    return oracle.attribute(images.clone(), **target).detach()


@pytest.mark.parametrize("method", ORACLES)
def test_equals_captum_layer_by_layer(method: str, model: nn.Module, images: Tensor) -> None:
    found = attribute(model, images, LABELS, method=method).layers
    modules = dict(model.named_modules())
    last_calls = {key.partition("#")[0]: key for key in found}  # Captum sees the last call of a module
    assert set(last_calls) == set(modules) - {""}
    for name, key in last_calls.items():
        expected = captum(method, model, modules[name], images)
        torch.testing.assert_close(found[key], expected, rtol=0, atol=1e-6, msg=lambda text, key=key: key + text)


def test_every_call_equals_plain_autograd(model: nn.Module, images: Tensor) -> None:
    found = attribute_all(model, images, LABELS, methods=tuple(ORACLES))
    activations, gradients = twin(model, lambda logits: logits.gather(1, LABELS[:, None]), images)
    assert len(activations) == {DigitsNet: 22, Reusing: 8, demo.DigitsNet: 39}[type(model)]
    for key, activation in activations.items():
        product = activation * gradients[key]
        cam = gradients[key]
        if cam.ndim == 4:
            cam = cam.flatten(2).mean(2)[:, :, None, None]
        expected = {
            "activation": activation,
            "gradient_x_activation": product,
            "grad_cam": (cam * activation).sum(1, keepdim=True),
        }
        for method, tensor in expected.items():
            torch.testing.assert_close(found[method].layers[key], tensor, rtol=0, atol=1e-6)


def test_gradient_x_input_equals_captum(model: nn.Module, images: Tensor) -> None:
    (found,) = attribute(model, images, LABELS, method="gradient_x_activation").inputs
    expected = InputXGradient(model).attribute(images.clone().requires_grad_(), target=LABELS)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_grad_cam_with_relu_equals_captum(model: nn.Module, images: Tensor) -> None:
    layer = {DigitsNet: "block1.conv1", Reusing: "first", demo.DigitsNet: "stage1.0.conv1"}[type(model)]
    found = attribute(model, images, LABELS, method="grad_cam", layers=[layer], relu=True)
    oracle = LayerGradCam(model, model.get_submodule(layer))
    expected = oracle.attribute(images.clone(), target=LABELS, relu_attributions=True)
    torch.testing.assert_close(found.layers[layer], expected, rtol=0, atol=1e-6)
    assert (found.layers[layer] == 0).any()
    assert not found.signed


@pytest.mark.parametrize("make", [nn.Identity, nn.Dropout])
def test_a_layer_that_returns_its_input_has_the_gradient_of_its_input_as_in_captum(make: type[nn.Module]) -> None:
    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.passing = nn.Linear(64, 4), make()
            self.fc, self.shortcut = nn.Linear(4, 10), nn.Linear(4, 10)

        def forward(self, x: Tensor) -> Tensor:
            x = self.body(x.flatten(1))
            return self.fc(self.passing(x)) + self.shortcut(x)

    torch.manual_seed(0)
    model, x = Around().eval(), torch.randn(3, 1, 8, 8)
    found = attribute(model, x, LABELS, method="gradient_x_activation").layers
    activation = model.body(x.flatten(1))
    both = activation * (model.fc.weight + model.shortcut.weight)[LABELS]
    for expected in (captum("gradient_x_activation", model, model.passing, x), both, found["body"]):
        torch.testing.assert_close(found["passing"], expected, rtol=0, atol=1e-6)
