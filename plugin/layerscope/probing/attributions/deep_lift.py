"""DeepLIFT: what each element contributes to the change of the target from a baseline, in one backward pass."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from layerscope.probing.attributions.attribution import Attribution
from layerscope.probing.attributions.baselines import Baselines
from layerscope.probing.attributions.integrated_gradients import completeness_gap
from layerscope.probing.attributions.method import Method, Question
from layerscope.probing.attributions.path import Path, Points, added, chunked
from layerscope.probing.attributions.rescale import BaselinePass, RescaledPass
from layerscope.probing.capture import Layer

_NOTED_GAP = 0.01
"""Share of the change of the target from which on a completeness gap is put into words."""


@dataclass(frozen=True)
class DeepLift(Method):
    """Difference from the baseline x multiplier, by the rescale rule, of the inputs and of every layer.

    Shrikumar et al. 2017, "Learning Important Features Through Propagating Activation Differences", section 3.5.1, for
    each operation (see ``rescale.py`` and ``rescale_rules.py``). The attributions add up to the change of the target
    from the baseline, at the inputs and at every cut through the network; ``delta`` is what is missing at the inputs:
    rounding, unless the model has operations without a rule (norms, sorting, packed sequences), which ``notes`` then
    names. Inputs of integers: at their embedding. Equals ``shap.DeepExplainer`` and Captum's ``DeepLift`` where these
    are complete, but also with functions, operations in place and modules called again.

    Args:
        baselines: what the inputs are compared with, see ``baselines.Baselines``; None is zeros.
    """

    baselines: Baselines = None

    def attribute(self, name: str, question: Question) -> Attribution:
        """Return the attributions of the inputs and the layers."""
        return rescaled(name, question, [self.baselines], None)


def rescaled(name: str, question: Question, baselines: list[Baselines], internal_batch_size: int | None) -> Attribution:
    """Return the mean over baselines of difference x multiplier.

    Args:
        name: what the method was called.
        question: what is asked.
        baselines: each for the whole batch.
        internal_batch_size: the most samples in a pass; None infers it from the size of the inputs.

    Raises:
        CaptureError: the model runs other operations for the inputs than for the baselines.
    """
    path, means = Path(question), _Means(len(baselines))
    for points in chunked(path.question, torch.ones(len(baselines)), baselines, internal_batch_size):
        means.add(path, points)
    inputs = path.inputs(means.inputs)
    change = path.value - means.start
    delta = completeness_gap(inputs, change)
    return Attribution(
        method=name,
        signed=True,
        layers=path.in_order(means.layers),
        inputs=inputs,
        targets=path.targets,
        probabilities=path.probabilities,
        delta=delta,
        skipped=means.skipped,
        channels={key: means.channels[key] for key in means.layers},
        notes=_notes(name, delta, change, path.value, list(means.without_rule)),
    )


@dataclass
class _Means:
    """Means over the baselines, as far as they have been run."""

    count: int
    """How many baselines there are in all."""
    inputs: list[list[Tensor]] = field(default_factory=list[list[Tensor]])
    """For each input, of what stands for it: difference x multiplier."""
    layers: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    channels: dict[str, int | None] = field(default_factory=dict[str, "int | None"])
    skipped: dict[str, str] = field(default_factory=dict[str, str])
    start: Tensor | float = 0.0
    """The target at the baselines [batch]."""
    without_rule: dict[str, None] = field(default_factory=dict[str, None])

    def add(self, path: Path, points: Points) -> None:
        """Run some baselines, each with the whole batch, and then the inputs as often."""
        baseline_pass, passes = BaselinePass(), list[RescaledPass]()
        at_baseline: dict[str, Tensor] = {}
        layers: dict[str, Tensor] = {}

        def at_output(layer: Layer, output: Tensor) -> None:
            at_baseline[layer.key] = output.clone()

        def around() -> RescaledPass:  # called again where the pass must be run again
            passes.append(RescaledPass(baseline_pass))
            return passes[-1]

        def at_gradient(layer: Layer, output: Tensor, gradient: Tensor) -> None:
            difference = output - at_baseline[layer.key].reshape(output.shape)
            layers[layer.key] = (difference * gradient).sum(0) / self.count
            self.channels[layer.key] = layer.channels

        starts = Points(torch.zeros_like(points.alphas), points.baselines)
        self.start = self.start + path.values(starts, at_output, around=lambda: baseline_pass).sum(0) / self.count
        parts = [
            [(difference * gradient).sum(0) / self.count for difference, gradient in held]
            for held in path.gradients(points, at_gradient, around=around)
        ]
        self.inputs = added(self.inputs, parts)
        known = self.layers or layers  # less those that one of the passes left out
        self.layers = {
            key: self.layers[key] + found if key in self.layers else found
            for key, found in layers.items()
            if key in known
        }
        self.skipped |= path.skipped
        self.without_rule |= passes[-1].without_rule


def _notes(name: str, delta: Tensor, change: Tensor, value: Tensor, without_rule: list[str]) -> tuple[str, ...]:
    noise = 1e-4 * torch.maximum(value.abs(), change.abs()).max()
    if not bool((delta.abs() > _NOTED_GAP * change.abs() + noise).any()):
        return ()
    worst = int((delta.abs() / change.abs().clamp(min=1e-12)).argmax())
    kept = f": {', '.join(without_rule)} kept their derivative, having no rule" if without_rule else ""
    return (
        f"{name} misses {float(delta[worst].abs()):.3g} of a change of the target by {float(change[worst]):.3g} in "
        f"sample {worst}{kept}. integrated_gradients adds up for any model.",
    )
