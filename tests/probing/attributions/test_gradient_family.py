"""Methods made of gradients, against Captum and against plain autograd written from the papers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from captum.attr import GuidedBackprop, InputXGradient, Saliency
from torch import Tensor, nn
from torch.nn import functional

from layerscope import demo
from layerscope.errors import InvalidArgumentError, LayerNotFoundError
from layerscope.probing.attributions import Loss, attribute, attribute_all
from probed_models import DigitsNet, Reusing, Tokens, twin

LABELS = torch.tensor([3, 0, 9])
IMAGES = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=[DigitsNet, Reusing, demo.DigitsNet], ids=["DigitsNet", "Reusing", "demo"])
def model(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = request.param()
    with torch.no_grad():
        model(torch.randn(32, 1, 8, 8))
    return model.eval()


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def chosen(logits: Tensor) -> Tensor:
    return logits.gather(1, LABELS[:, None])


def test_saliency(model: nn.Module) -> None:
    found = attribute(model, IMAGES, LABELS, method="saliency")
    assert not found.signed
    close(found.inputs[0], Saliency(model).attribute(IMAGES.clone().requires_grad_(), target=LABELS))
    _, gradients = twin(model, chosen, IMAGES)
    assert set(found.layers) == set(gradients)
    for key, gradient in gradients.items():
        close(found.layers[key], gradient.abs())
    signed = attribute(model, IMAGES, LABELS, method="saliency", signed_gradient=True)
    assert signed.signed
    close(signed.layers["fc"], gradients["fc"])


def test_input_x_gradient_is_of_the_inputs_alone(model: nn.Module) -> None:
    found = attribute(model, IMAGES, LABELS, method="input_x_gradient")
    assert found.layers == {}
    close(found.inputs[0], InputXGradient(model).attribute(IMAGES.clone().requires_grad_(), target=LABELS))


def test_output_sum_gradient_is_the_row_sum_of_the_jacobian(model: nn.Module) -> None:
    found = attribute(model, IMAGES, LABELS, method="output_sum_gradient")
    jacobian = torch.autograd.functional.jacobian(model, IMAGES)  # [batch, classes, batch, 1, 8, 8]
    assert isinstance(jacobian, Tensor)
    for i in range(len(IMAGES)):
        close(found.inputs[0][i], jacobian[i, :, i].sum(0))
    _, gradients = twin(model, lambda logits: logits, IMAGES)
    for key, gradient in gradients.items():
        close(found.layers[key], gradient)


def test_gradient_x_probability_weighs_each_sample(model: nn.Module) -> None:
    found = attribute(model, IMAGES, LABELS, method="gradient_x_probability")
    weights = chosen(model(IMAGES).softmax(1)).squeeze(1)
    close(found.probabilities, weights)
    _, gradients = twin(model, chosen, IMAGES)
    for key, gradient in gradients.items():
        close(found.layers[key], gradient * weights.view(-1, *[1] * (gradient.ndim - 1)))
    with pytest.raises(InvalidArgumentError, match=r"there is none: the target is a function.*Use saliency"):
        attribute(model, IMAGES, lambda logits: logits.sum(1), method="gradient_x_probability")


def test_guided_backprop_equals_captum() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 10))
    found = attribute(model, IMAGES, LABELS, method="guided_backprop")
    with pytest.warns(UserWarning, match="Setting backward hooks on ReLU"):
        expected = GuidedBackprop(model).attribute(IMAGES.clone().requires_grad_(), target=LABELS)
    close(found.inputs[0], expected)


class Functional(nn.Module):
    """The same rectifiers as functions, methods and in place."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.first, self.second, self.third = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.third(self.rectified(self.second(self.rectified(self.first(x)))))

    def rectified(self, x: Tensor) -> Tensor:
        ways: dict[str, Any] = {
            "module": nn.ReLU(),
            "in place": nn.ReLU(inplace=True),
            "function": functional.relu,
            "torch": torch.relu,
            "method": lambda x: x.relu_(),
        }
        return ways[self.how](x)


@pytest.mark.parametrize("how", ["module", "in place", "function", "torch", "method"])
def test_guided_backprop_from_the_paper(how: str) -> None:
    torch.manual_seed(0)
    model, x = Functional(how), torch.randn(5, 6)
    with torch.no_grad():
        first = model.first(x)
        second = model.second(first.relu())
        gradient = model.third.weight[1].expand(5, 8)
        gradient = (gradient * (gradient > 0) * (second > 0)) @ model.second.weight
        gradient = (gradient * (gradient > 0) * (first > 0)) @ model.first.weight
    close(attribute(model, x, 1, method="guided_backprop").inputs[0], gradient)


def test_relu6_is_guided_too() -> None:
    class Six(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return functional.hardtanh(nn.ReLU6()(x[:, :1]) - functional.relu6(x[:, 1:]), -9, 9)

    x = torch.tensor([[1.0, 2.0], [7.0, 7.0], [-1.0, -1.0]])
    assert attribute(Six(), x, 0, method="guided_backprop").inputs[0].tolist() == [[1, 0], [0, 0], [0, 0]]
    assert attribute(Six(), x, 0, method="saliency").inputs[0].tolist() == [[1, 1], [0, 0], [0, 0]]


def test_methods_of_a_linear_model_have_their_exact_answers() -> None:
    model, x = nn.Sequential(nn.Linear(5, 3)), torch.randn(4, 5)
    weight = model[0].weight.detach()
    expected = {
        "gradient_x_activation": x * weight[2],
        "input_x_gradient": x * weight[2],
        "saliency": weight[2].abs().expand(4, 5),
        "guided_backprop": weight[2].expand(4, 5),
        "output_sum_gradient": weight.sum(0).expand(4, 5),
        "gradient_x_probability": model(x).softmax(1)[:, 2:].detach() * weight[2],
    }
    found = attribute_all(model, x, 2, methods=tuple(expected))
    for method, values in expected.items():
        close(found[method].inputs[0], values)


def test_the_loss_is_a_target() -> None:
    torch.manual_seed(0)
    model = DigitsNet().eval()
    found = attribute(model, IMAGES, Loss(nn.CrossEntropyLoss(), LABELS), method="gradient_x_activation")
    _, gradients = twin(model, lambda logits: functional.cross_entropy(logits, LABELS, reduction="none"), IMAGES)
    activations, _ = twin(model, chosen, IMAGES)
    close(found.layers["fc"], activations["fc"] * gradients["fc"])
    assert found.targets.tolist() == [-1, -1, -1]
    with pytest.raises(InvalidArgumentError, match=r"the loss has 2 labels, but the model returned scores \[3, 10\]"):
        attribute(model, IMAGES, Loss(nn.CrossEntropyLoss(), LABELS[:2]), method="saliency")


def test_a_tuple_picks_one_of_many_scores() -> None:
    model, x = nn.LSTM(3, 4, batch_first=True), torch.randn(2, 5, 3)
    found = attribute(model, x, (-1, 2), method="saliency", signed_gradient=True)
    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(model(leaf)[0][:, -1, 2].sum(), leaf)
    close(found.inputs[0], expected)
    assert found.targets.tolist() == [2, 2]
    close(found.probabilities, model(x)[0].softmax(-1)[:, -1, 2].detach())
    with pytest.raises(InvalidArgumentError, match=r"target \(9, 2\) must pick one of the scores \[2, 5, 4\]"):
        attribute(model, x, (9, 2), method="saliency")


def test_samples_may_lie_along_another_dimension() -> None:
    torch.manual_seed(0)
    first, second = nn.LSTM(3, 4), nn.LSTM(3, 4, batch_first=True)
    second.load_state_dict(first.state_dict())

    class Last(nn.Module):
        def __init__(self, lstm: nn.LSTM) -> None:
            super().__init__()
            self.lstm, self.fc = lstm, nn.Linear(4, 2)
            nn.init.ones_(self.fc.weight)
            nn.init.zeros_(self.fc.bias)

        def forward(self, x: Tensor) -> Tensor:
            out = self.lstm(x)[0]
            return self.fc(out[:, -1] if self.lstm.batch_first else out[-1])

    x = torch.randn(2, 5, 3)
    methods = ("gradient_x_activation", "grad_cam", "activation")
    expected = attribute_all(Last(second), x, 1, methods=methods)
    found = attribute_all(Last(first), x.transpose(0, 1), 1, methods=methods, batch_dim=1)
    for method in methods:
        for key, tensor in expected[method].layers.items():
            close(found[method].layers[key], tensor)
        assert found[method].channels == expected[method].channels
        assert found[method].maps()["lstm"].shape == expected[method].maps()["lstm"].shape
    close(found["gradient_x_activation"].inputs[0], expected["gradient_x_activation"].inputs[0])


def test_token_numbers_are_attributed_at_their_embedding() -> None:
    torch.manual_seed(0)
    model, ids = Tokens().eval(), torch.tensor([[1, 5, 3], [2, 2, 0]])
    activations, gradients = twin(model, lambda out: out["logits"][[0, 1], [0, 2]], ids=ids)
    found = attribute_all(model, {"ids": ids}, [0, 2], methods=("saliency", "input_x_gradient"))
    close(found["saliency"].inputs[0], gradients["words"].abs().sum(2))
    close(found["input_x_gradient"].inputs[0], (activations["words"] * gradients["words"]).sum(2))


def test_layers_by_pattern_and_auto() -> None:
    torch.manual_seed(0)
    model = demo.DigitsNet()
    by_pattern = attribute(model, IMAGES, method="grad_cam", layers=["stage?.0.conv*", "fc"])
    keys = ["stage1.0.conv1", "stage1.0.conv2", "stage2.0.conv1", "stage2.0.conv2", "fc"]
    assert list(by_pattern.layers) == keys
    blocks = ["stage1.0", "stage1.1", "stage2.0", "stage2.1"]
    auto = list(attribute(model, IMAGES, method="grad_cam", layers="auto").layers)
    assert auto == ["stem.0", "stem.1", "stem.2", *blocks, "pool", "fc"]
    assert attribute(model, IMAGES, method="saliency", layers=[]).layers == {}
    with pytest.raises(LayerNotFoundError, match=r"stage9"):
        attribute(model, IMAGES, method="grad_cam", layers=["stage9*"])
    deep = nn.Sequential(*[nn.Linear(64, 64) for _ in range(30)])
    few = list(attribute(deep, IMAGES.flatten(1), method="grad_cam", layers="auto").layers)
    assert (len(few), few[-1]) == (12, "29")


def test_auto_looks_into_lists_of_blocks_and_not_into_a_layer_that_holds_the_parameters_itself() -> None:
    class Padding(nn.Conv2d):
        def __init__(self) -> None:
            super().__init__(1, 1, 3)
            self.pad = nn.ZeroPad2d(1)

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(self.pad(x))

    class Blocks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = Padding()
            self.blocks = nn.ModuleList(nn.Sequential(Padding(), nn.ReLU()) for _ in range(7))
            self.head = nn.Linear(64, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x)
            for block in self.blocks:
                x = block(x)
            return self.head(x.flatten(1))

    torch.manual_seed(0)
    auto = list(attribute(Blocks(), IMAGES, method="activation", layers="auto").layers)
    assert auto == ["stem", *(f"blocks.{i}" for i in range(7)), "head"]


def test_any_function_is_a_method() -> None:
    torch.manual_seed(0)
    model = DigitsNet()

    def of_inputs(model: nn.Module, inputs: Tensor, target: Tensor) -> Tensor:
        assert not model.training
        return Saliency(model).attribute(inputs.clone().requires_grad_(), target=target)

    def of_layers(model: nn.Module, inputs: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"fc": torch.ones(3, 10), "other": torch.zeros(3, 2)}

    found = attribute_all(model, IMAGES, LABELS, methods=[of_inputs, "saliency", of_layers])
    assert list(found) == ["of_inputs", "saliency", "of_layers"]
    close(found["of_inputs"].inputs[0], found["saliency"].inputs[0])
    assert found["of_inputs"].targets.tolist() == LABELS.tolist()
    assert list(found["of_layers"].layers) == ["fc", "other"]
    assert list(attribute(model, IMAGES, LABELS, method=of_layers, layers=["o*"]).layers) == ["other"]
    named = attribute_all(model, IMAGES, LABELS, methods={"mine": of_inputs, "grad_cam": {"relu": True}})
    assert [(name, one.signed) for name, one in named.items()] == [("mine", True), ("grad_cam", False)]
    assert model.training
    for wrong in (lambda *_: 3, lambda *_: {"fc": torch.ones(2, 10)}):
        with pytest.raises(InvalidArgumentError, match="must return a tensor of the shape of the first input, or a di"):
            attribute(model, IMAGES, LABELS, method=wrong)
    with pytest.raises(InvalidArgumentError, match=r"a method is a name, one of 'activation'.*but this is 3"):
        attribute_all(model, IMAGES, methods=[3])  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidArgumentError, match="options go with the name of a method"):
        attribute(model, IMAGES, method=of_inputs, relu=True)
