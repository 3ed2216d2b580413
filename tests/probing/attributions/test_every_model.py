"""Every method on every kind of network: a checked result, or an error that names the reason and a method that works.

What comes out is written into methods.md beside the methods, for people; this test fails if that is out of date
(``LAYERSCOPE_WRITE_METHODS=1`` writes it).
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import layerscope
from attributed_models import CASES, TARGET, Case
from layerscope.errors import LayerscopeError
from layerscope.probing.attributions import METHODS, Attribution, attribute
from probed_models import twin

TABLE = Path(layerscope.__file__).parent / "probing" / "attributions" / "methods.md"


def gradient_of_the_inputs(case: Case, model: nn.Module) -> tuple[Tensor, Tensor]:
    """Return what stands for the first input, and the gradient there, by plain autograd."""
    if not case.embedding:
        leaf = case.first.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(case.scores(model, case.exchanged(leaf)).sum(), leaf)
        return case.first, gradient
    activations, gradients = layers_of(case, model)
    return activations[case.embedding], gradients[case.embedding]


def layers_of(case: Case, model: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    def objective(output: Any) -> Tensor:
        scores = output if isinstance(output, Tensor) else output.logits
        return scores.gather(1, TARGET[:, None])

    arguments = case.inputs if isinstance(case.inputs, dict) else {}
    positional = () if arguments else (case.inputs,)
    return twin(model, objective, *positional, **arguments)


def seen(case: Case, tensor: Tensor) -> Tensor:
    """Sum the features of an embedding away, as attributions of integers do."""
    return tensor.sum(-1) if case.embedding else tensor


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    size = float(expected.detach().abs().max())
    torch.testing.assert_close(found, expected.detach(), rtol=tolerance, atol=tolerance * max(size, 1e-3))


def check_activation(case: Case, model: nn.Module, found: Attribution) -> None:
    activations, _ = layers_of(case, model)
    for key, tensor in found.layers.items():
        close(tensor, activations[key])


def check_gradient(weigh: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Case, nn.Module, Attribution], None]:
    def check(case: Case, model: nn.Module, found: Attribution) -> None:
        activations, gradients = layers_of(case, model)
        # A layer may return what nobody uses from its hands, as a ModelOutput of which only another part is used.
        seen_by_both = [key for key in found.layers if key in gradients]
        assert len(seen_by_both) >= len(found.layers) - 1
        for key in seen_by_both:
            close(found.layers[key], weigh(activations[key], gradients[key]))
        if found.inputs:
            close(found.inputs[0], seen(case, weigh(*gradient_of_the_inputs(case, model))))

    return check


def check_grad_cam(case: Case, model: nn.Module, found: Attribution) -> None:
    activations, gradients = layers_of(case, model)
    for key, tensor in found.layers.items():
        if key not in gradients:
            continue
        channels = found.channels[key]
        positions = [dim for dim in range(1, activations[key].ndim) if dim != channels]
        weights = gradients[key].mean(positions, keepdim=True) if positions else gradients[key]
        close(tensor, (weights * activations[key]).sum(channels, keepdim=True))


def check_output_sum(case: Case, model: nn.Module, found: Attribution) -> None:
    leaf, gradient = by_scores(case, model, lambda scores: scores.sum(1))
    close(found.inputs[0], seen(case, gradient))
    assert leaf.shape[0] == 2


def check_probability(case: Case, model: nn.Module, found: Attribution) -> None:
    def weighed(scores: Tensor) -> Tensor:
        return (scores * scores.softmax(1).detach()).gather(1, TARGET[:, None]).squeeze(1)

    close(found.inputs[0], seen(case, by_scores(case, model, weighed)[1]))


def by_scores(case: Case, model: nn.Module, objective: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Return what stands for the first input, and the gradient of an objective there, by a hook on the embedding."""
    held: list[Tensor] = []

    def hold(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        held.append(output.detach().requires_grad_())
        return held[0].clone()

    inputs = case.inputs
    if case.embedding:
        handle = model.get_submodule(case.embedding).register_forward_hook(hold)
    else:
        held.append(case.first.clone().requires_grad_())
        inputs = case.exchanged(held[0].clone())
    output = model(**inputs) if isinstance(inputs, dict) else model(inputs)
    if case.embedding:
        handle.remove()
    scores = output if isinstance(output, Tensor) else output.logits
    return held[0], torch.autograd.grad(objective(scores).sum(), held[0])[0]


def check_guided(case: Case, model: nn.Module, found: Attribution) -> None:
    class Guided(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, x: Tensor) -> Tensor:
            context.save_for_backward(x)
            return x.clamp(min=0)

        @staticmethod
        def backward(context: Any, *gradients: Tensor) -> Tensor:
            (x,) = context.saved_tensors
            return gradients[0].clamp(min=0) * (x > 0)

    theirs = functional.relu
    functional.relu = lambda x, inplace=False: Guided.apply(x)
    try:
        _, gradient = by_scores(case, model, lambda scores: scores.gather(1, TARGET[:, None]))
    finally:
        functional.relu = theirs
    close(found.inputs[0], seen(case, gradient))


def check_smooth(case: Case, model: nn.Module, found: Attribution) -> None:
    close(found.inputs[0], seen(case, gradient_of_the_inputs(case, model)[1]), 0.02)  # the noise is small here


def check_complete(case: Case, model: nn.Module, found: Attribution) -> None:
    """What is attributed adds up to the change of the target from its mean over the baselines."""
    starts = [case.exchanged(baseline) for baseline in baselines_of(case, found.method)]
    with torch.no_grad():
        change = case.scores(model, case.inputs) - torch.stack([case.scores(model, s) for s in starts]).mean(0)
    total = found.inputs[0].flatten(1).sum(1)
    assert found.delta is not None
    torch.testing.assert_close(total - found.delta, change, rtol=1e-3, atol=1e-4)
    assert (found.delta.abs() <= 0.05 * change.abs() + 0.01).all(), found.delta


def baselines_of(case: Case, method: str) -> list[Tensor]:
    if method in ("gradient_shap", "deep_shap"):
        background = next(iter(case.background.values())) if isinstance(case.background, dict) else case.background
        return [sample.expand_as(case.first) for sample in background]
    return [torch.zeros_like(case.first)]


def check_conductance(case: Case, model: nn.Module, found: Attribution) -> None:
    """Through the scores themselves goes all of the change of the target."""
    with torch.no_grad():
        change = case.scores(model, case.inputs) - case.scores(model, case.exchanged(torch.zeros_like(case.first)))
    tolerance = 0.03 if found.method == "layer_conductance" else 1e-4  # a walk begins and ends just inside the path
    torch.testing.assert_close(found.layers[case.head].flatten(1).sum(1), change, rtol=tolerance, atol=tolerance)


def values_of(case: Case, model: nn.Module) -> tuple[list[dict[tuple[bool, ...], float]], Tensor]:
    """Return what the model says of every coalition of each sample, and the feature of each element [samples, ...]."""
    if isinstance(case.features, Tensor):
        numbers = case.features.expand_as(case.first)
    else:
        numbers = torch.arange(case.first.shape[1]).expand_as(case.first)
    count = int(numbers.max()) + 1
    games: list[dict[tuple[bool, ...], float]] = [{} for _ in case.first]
    for coalition in itertools.product((False, True), repeat=count):
        keep = torch.tensor(coalition)[numbers]
        with torch.no_grad():
            values = case.scores(model, case.exchanged(torch.where(keep, case.first, torch.zeros_like(case.first))))
        for game, value in zip(games, values.tolist(), strict=True):
            game[coalition] = value
    return games, numbers


def shapley(game: dict[tuple[bool, ...], float]) -> list[float]:
    """Return the exact Shapley values (Shapley 1953), as the mean over all orders."""
    count = len(next(iter(game)))
    found = [0.0] * count
    for coalition, value in game.items():
        size = sum(coalition)
        for player in range(count):
            share = 1 if coalition[player] else -1
            others = size - coalition[player]
            weight = math.factorial(others) * math.factorial(count - others - 1) / math.factorial(count)
            found[player] += share * weight * value
    return found


def by_feature(case: Case, found: Attribution, numbers: Tensor) -> Tensor:
    count = int(numbers.max()) + 1
    return torch.stack([(found.inputs[0] * (numbers == feature)).flatten(1).sum(1) for feature in range(count)], 1)


def check_shapley(case: Case, model: nn.Module, found: Attribution) -> None:
    games, numbers = values_of(case, model)
    expected = torch.tensor([shapley(game) for game in games])
    exact = found.method == "kernel_shap"
    size = float(expected.abs().max())
    tolerance = 1e-4 * size if exact else 0.1 * size
    torch.testing.assert_close(by_feature(case, found, numbers).float(), expected, rtol=0, atol=tolerance)


def check_occlusion(case: Case, model: nn.Module, found: Attribution) -> None:
    games, numbers = values_of(case, model)
    count = int(numbers.max()) + 1
    full = (True,) * count
    expected = [
        [game[full] - game[tuple(i != feature for i in range(count))] for feature in range(count)] for game in games
    ]
    close(by_feature(case, found, numbers).float(), torch.tensor(expected), 1e-4)


def check_lime(case: Case, model: nn.Module, found: Attribution) -> None:
    """Weighted least squares on all coalitions, with LIME's weights and hardly any penalty."""
    games, numbers = values_of(case, model)
    for game, effects in zip(games, by_feature(case, found, numbers), strict=True):
        rows = torch.tensor([[*map(float, coalition), 1.0] for coalition in game], dtype=torch.float64)
        values = torch.tensor(list(game.values()), dtype=torch.float64)
        weights = torch.exp(-((1 - rows[:, :-1].mean(1).sqrt()) ** 2) / (2 * 0.25**2)).sqrt()
        solution = torch.linalg.lstsq(rows * weights[:, None], (values * weights)[:, None]).solution[:-1, 0]
        close(effects.double(), solution, 0.02)


Check = Callable[[Case, nn.Module, Attribution], None]


CHECKS: dict[str, tuple[dict[str, Any], Check, str]] = {
    "activation": ({}, check_activation, "equal to plain hooks"),
    "gradient_x_activation": ({}, check_gradient(lambda a, g: a * g), "equal to autograd"),
    "grad_cam": ({}, check_grad_cam, "equal to autograd"),
    "saliency": ({}, check_gradient(lambda _, g: g.abs()), "equal to autograd"),
    "input_x_gradient": ({}, check_gradient(lambda a, g: a * g), "equal to autograd"),
    "guided_backprop": ({}, check_guided, "equal to a guided autograd function"),
    "output_sum_gradient": ({}, check_output_sum, "equal to autograd"),
    "gradient_x_probability": ({}, check_probability, "equal to autograd"),
    "smooth_grad": ({"noise_level": 1e-6, "n_samples": 3}, check_smooth, "autograd, as the noise goes to 0"),
    "integrated_gradients": ({"n_steps": 64}, check_complete, "adds up to the change of the target"),
    "layer_conductance": ({"n_steps": 64}, check_conductance, "adds up at the last layer"),
    "layer_integrated_gradients": ({"n_steps": 8}, check_conductance, "adds up at the last layer"),
    "gradient_shap": ({"n_samples": 192}, check_complete, "adds up to the change of the target"),
    "deep_lift": ({}, check_complete, "adds up to the change of the target"),
    "deep_shap": ({}, check_complete, "adds up to the change of the target"),
    "occlusion": ({}, check_occlusion, "equal to covering by hand"),
    "lime": ({"ridge": 1e-9}, check_lime, "least squares on all coalitions"),
    "kernel_shap": ({}, check_shapley, "equal to exact Shapley values"),
    "shapley_sampling": ({"n_samples": 2000}, check_shapley, "exact Shapley values, within noise"),
}
"""Method -> (options, what checks it, in words)."""


def options_for(method: str, case: Case) -> dict[str, Any]:
    options = dict(CHECKS[method][0])
    names = METHODS[method].__dataclass_fields__
    if method in ("gradient_shap", "deep_shap"):
        options["baselines"] = case.background
    elif "features" in names:
        options["features"] = case.features
    elif "baselines" in names and case.embedding:
        # From token 0, which perturbation methods put in place of a missing one, too.
        options["baselines"] = {"input_ids": 0, "attention_mask": None} if isinstance(case.inputs, dict) else 0
    return options


def result(method: str, name: str) -> str:
    """Return what becomes of a method on a network, for the table; it is checked."""
    case = CASES[name]
    model = case.model()
    try:
        found = attribute(model, case.inputs, TARGET, method=method, **options_for(method, case))
    except LayerscopeError as refusal:
        error = str(refusal)
    else:
        CHECKS[method][1](case, model, found)
        assert found.layers or found.inputs
        return "✓"
    assert any(other in error for other in METHODS if other != method), error
    return f"error: {error}"


def test_every_method_has_a_check() -> None:
    assert list(CHECKS) == list(METHODS)


RESULTS: dict[tuple[str, str], str] = {}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("method", CHECKS)
def test_a_checked_result_or_a_clear_error(method: str, name: str) -> None:
    RESULTS[method, name] = result(method, name)


def table() -> str:
    lines = [
        "# Attribution methods",
        "",
        "Written by `tests/probing/attributions/test_every_model.py`, which runs every method on every kind of network "
        "and checks what comes out as the last column says. ✓ is a checked result.",
        "",
        "| method | what it is | attributes | " + " | ".join(CASES) + " | checked |",
        "|---" * (len(CASES) + 4) + "|",
    ]
    for method, cls in METHODS.items():
        what = (cls.__doc__ or "").strip().splitlines()[0]
        case = CASES["MLP, table"]
        found = attribute(case.model(), case.inputs, TARGET, method=method, **options_for(method, case))
        of = " and ".join(kind for kind, given in (("layers", found.layers), ("inputs", found.inputs)) if given)
        cells = [RESULTS.get((method, name)) or result(method, name) for name in CASES]
        lines.append(" | ".join([f"| `{method}`", what, of, *cells, CHECKS[method][2]]) + " |")
    return "\n".join(lines) + "\n"


def test_the_table_of_methods_says_so() -> None:
    made = table()
    if os.environ.get("LAYERSCOPE_WRITE_METHODS"):
        TABLE.write_text(made, encoding="utf-8")
    assert TABLE.read_text(encoding="utf-8") == made
