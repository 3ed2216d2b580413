"""Training with and without each probing feature gives the same bits, also when the feature fails midway."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from layerscope.probing.activations import activations
from layerscope.probing.attention import attention
from layerscope.probing.attributions import METHODS, attribute, attribute_all, layer_integrated_gradients
from layerscope.probing.attributions.activation import Activation
from layerscope.probing.attributions.grad_cam import GradCam
from layerscope.probing.attributions.gradient_x_activation import GradientXActivation
from layerscope.probing.attributions.guided_backprop import GuidedBackprop
from layerscope.probing.attributions.layer_conductance import _Walk
from layerscope.probing.attributions.masking import Masking
from layerscope.probing.attributions.path import Path
from layerscope.probing.attributions.perturbation import Perturbation
from layerscope.probing.attributions.saliency import Saliency
from layerscope.probing.attributions.smooth_grad import SmoothGrad
from layerscope.probing.calls import input_tensors
from layerscope.probing.capture import capture
from layerscope.probing.channels import channels
from layerscope.probing.gradients import gradients
from layerscope.probing.layer_rows import LayerRows
from layerscope.probing.maximizing import maximize, token_ascent, views
from layerscope.probing.maximizing.top_samples import top_samples
from layerscope.probing.measuring import Measuring
from layerscope.probing.weights import weights
from probed_models import DigitsNet, Plain, Recurrent, Reusing, Spectral, Tokens

STEPS = 20
EVERY = 7
PROBE = torch.linspace(-2, 2, 2 * 64).cos().reshape(2, 1, 8, 8)
WORDS = torch.tensor([[1, 5, 3, 19], [2, 2, 0, 7]])


class Dropping(nn.Module):
    """BatchNorm and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.drop = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)
        self.fc = nn.Linear(144, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.drop(self.bn(self.conv(x)).relu()).flatten(1))


class Counting(Dropping):
    """Counts its calls in an attribute and in a buffer, keeps what it saw, and limits its weight: state of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("average", torch.zeros(4))
        self.calls, self.seen = 0, [0.0]

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.seen.append(x.mean().item())
        self.average.lerp_(x.detach().mean().expand(4), 0.1)
        self.fc.weight.data = torch.renorm(self.fc.weight.data, 2, 0, 0.5 + 0.01 * self.calls)
        return super().forward(x) * (1 + 0.01 * self.calls)


def frozen_batchnorm() -> nn.Module:
    model = DigitsNet()
    model.train()
    model.block1.bn1.eval().requires_grad_(False)
    return model


MODELS: dict[str, Callable[[], nn.Module]] = {
    "batchnorm and dropout": Dropping,
    "spectral norm": Spectral,
    "frozen batchnorm": frozen_batchnorm,
    "in place and reused": Reusing,
    "recurrent": Recurrent,
    "unregistered": Plain,
    "own state": Counting,
    "tokens": Tokens,
}


def maximize_some(model: nn.Module, probe: Any, **options: Any) -> None:
    settled = {"layer": "fc", "channels": 2, "input_shape": (1, 8, 8), "steps": 3, "transforms": True}
    maximize(model, **(settled | options))


def maximize_tokens(model: nn.Module, probe: Any) -> None:
    maximize(model, layer="head", channels=2, inputs=probe, steps=3)


def strongest_samples(model: nn.Module, probe: Any) -> None:
    layers = {"head": [0, 2], "encoder": [1]} if isinstance(model, Tokens) else {"": [0], "fc": [1, 2]}
    top_samples(model, probe, layers)


def options(method: str, probe: Any) -> dict[str, Any]:
    """Return what a method needs, and few passes."""
    few = {"n_steps": 3, "n_samples": 3}
    if issubclass(METHODS[method], Perturbation):  # of each feature it must tell something
        few = {"n_features": 4, "n_samples": 12}
    needed = {"baselines": list(input_tensors(probe))} if method in ("gradient_shap", "deep_shap") else {}
    return needed | {name: few[name] for name in METHODS[method].__dataclass_fields__ if name in few}


FEATURES: dict[str, Callable[[nn.Module, Any], object]] = {
    "gradients": lambda model, probe: gradients(model),
    "activations": activations,
    **{
        method: lambda model, probe, method=method: attribute(
            model, probe, [1, 2], method=method, **options(method, probe)
        )
        for method in METHODS
    },
    "all methods": lambda model, probe: attribute_all(
        model, probe, methods={method: options(method, probe) for method in METHODS}
    ),
    "maximize": maximize_some,
    "maximize classes": lambda model, probe: maximize_some(
        model, probe, layer="", parameterization="maco", channels=[1, 1], diversity=0.5
    ),
    "maximize tokens": maximize_tokens,
    "top samples": strongest_samples,
    "attention": attention,
    "channels": channels,
    "weights": lambda model, probe: weights(model),
}

OF_IMAGES, OF_TOKENS = {"maximize", "maximize classes"}, {"maximize tokens", "attention"}
CASES = [
    (name, feature)
    for name in MODELS
    for feature in FEATURES
    if feature not in (OF_IMAGES if name == "tokens" else OF_TOKENS)
]

INSIDE: dict[str, list[tuple[object, str]]] = {
    "gradients": [(Measuring, "add")],
    "activations": [(LayerRows, "add")],
    **{method: [(capture, "watched")] for method in METHODS},
    "activation": [(Activation, "at_layer")],
    "gradient_x_activation": [(GradientXActivation, "at_layer")],
    "grad_cam": [(GradCam, "at_layer")],
    "saliency": [(Saliency, "at_input")],
    "guided_backprop": [(GuidedBackprop, "at_layer")],
    "smooth_grad": [(SmoothGrad, "_noise")],
    "layer_conductance": [(_Walk, "at_gradient")],
    "layer_integrated_gradients": [(layer_integrated_gradients, "_gradient")],
    "integrated_gradients": [(Path, "_started")],
    "gradient_shap": [(Path, "_started")],
    **{method: [(Masking, "_pass")] for method in ("occlusion", "lime", "kernel_shap", "shapley_sampling")},
    "all methods": [(GradientXActivation, "at_layer")],
    "maximize": [(views.Views, "show")],
    "maximize classes": [(views.Views, "show")],
    "maximize tokens": [(token_ascent.TokenAscent, "_arguments")],
    "top samples": [(top_samples, "_seen")],
    "attention": [(attention, "_attends")],
    "channels": [(channels, "_strongest")],
    "weights": [(weights, "_weight")],
}
"""What each feature calls midway, where the test makes it fail."""


def state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return everything that a probe could change, as values that compare exactly."""
    modules = list(model.modules()) + list(getattr(model, "kept", []))
    parameters = [*model.named_parameters()] + [
        (f"kept.{name}", p) for m in getattr(model, "kept", []) for name, p in m.named_parameters()
    ]
    buffers = [(f"{type(m).__name__}.{name}", b) for m in modules for name, b in m.named_buffers(recurse=False)]
    return {
        "parameters": [(name, id(p), p.detach().numpy().tobytes(), p.requires_grad) for name, p in parameters],
        "versions": [p._version for _, p in parameters] + [b._version for _, b in buffers],
        "buffers": [(name, id(b), b.numpy().tobytes(), b.requires_grad) for name, b in buffers],
        "grads": [None if p.grad is None else (id(p.grad), p.grad.numpy().tobytes()) for _, p in parameters],
        "optimizer": [
            [v.numpy().tobytes() if isinstance(v, Tensor) else v for v in s.values()] for s in optimizer.state.values()
        ],
        "random": (torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()),
        "training": [module.training for module in modules],
        "hooks": [(list(m._forward_hooks), list(m._forward_pre_hooks), list(m._backward_hooks)) for m in modules],
        "global hooks": (len(hooks._global_forward_hooks), len(hooks._global_forward_pre_hooks)),
        "attributes": [list(vars(module)) for module in modules],
        "plain": [[v for v in vars(m).values() if isinstance(v, (int, float))] for m in modules],
        "seen": list(getattr(model, "seen", [])),
        "modes": (torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"), torch.backends.mha.get_fastpath_enabled()),
    }


def train(make: Callable[[], nn.Module], probe: Callable[[nn.Module], object]) -> list[tuple[float, dict[str, Any]]]:
    """Train and return (loss, state without identities) of every step; check that the probe changes nothing."""
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    model = make()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    history: list[tuple[float, dict[str, Any]]] = []
    for step in range(STEPS):
        labels = torch.randint(3, (4,))
        if isinstance(model, Tokens):
            logits = model(ids=torch.randint(20, (4, 5)))["logits"]
        else:
            logits = model(torch.randn(4, 1, 8, 8))
        loss = nn.functional.cross_entropy(logits, labels)
        if step % EVERY == 0:  # while a backward waits
            before = state(model, optimizer)
            probe(model)
            assert state(model, optimizer) == before
        optimizer.zero_grad()
        loss.backward()
        if step % EVERY == 1:
            before = state(model, optimizer)
            probe(model)
            assert state(model, optimizer) == before
        optimizer.step()
        after = state(model, optimizer)
        del after["versions"]
        after["parameters"] = [(name, values, flag) for name, _, values, flag in after["parameters"]]
        after["buffers"] = [(name, values, flag) for name, _, values, flag in after["buffers"]]
        after["grads"] = [grad if grad is None else grad[1] for grad in after["grads"]]
        history.append((loss.item(), after))
    return history


def probe_of(model: nn.Module) -> Any:
    return {"ids": WORDS} if isinstance(model, Tokens) else PROBE


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, list[tuple[float, dict[str, Any]]]]:
    return {name: train(make, lambda model: None) for name, make in MODELS.items()}


@pytest.mark.parametrize(("name", "feature"), CASES)
def test_training_is_the_same_bit_by_bit(
    name: str, feature: str, undisturbed: dict[str, list[tuple[float, dict[str, Any]]]]
) -> None:
    observed = train(MODELS[name], lambda model: FEATURES[feature](model, probe_of(model)))
    assert observed == undisturbed[name]


class FailureError(Exception):
    pass


@pytest.mark.parametrize(("name", "feature"), CASES)
def test_training_is_the_same_when_the_feature_fails_midway(
    name: str,
    feature: str,
    undisturbed: dict[str, list[tuple[float, dict[str, Any]]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = 0

    def failing(inside: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls % 2 == 0:
                raise FailureError
            return inside(*args, **kwargs)

        return call

    for owner, attribute_name in INSIDE[feature]:
        if callable(owner) and not isinstance(owner, type):  # a function: what it calls stands in its module
            monkeypatch.setitem(owner.__globals__, attribute_name, failing(owner.__globals__[attribute_name]))
        else:
            monkeypatch.setattr(owner, attribute_name, failing(getattr(owner, attribute_name)))

    def twice(model: nn.Module) -> None:
        FEATURES[feature](model, probe_of(model))
        FEATURES[feature](model, probe_of(model))

    def probe(model: nn.Module) -> None:
        if feature == "gradients" and all(parameter.grad is None for parameter in model.parameters()):
            return  # nothing to measure before the first backward
        with pytest.raises(FailureError):
            twice(model)

    assert train(MODELS[name], probe) == undisturbed[name]
    assert calls > 1
