"""GradientSHAP: integrated gradients from many baselines, the expected gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from layerscope.probing.attributions.attribution import Attribution
from layerscope.probing.attributions.baselines import Baselines, background_samples
from layerscope.probing.attributions.integrated_gradients import completeness_gap, weighted_gradients
from layerscope.probing.attributions.method import Method, Question
from layerscope.probing.attributions.path import Path, checked_count, chunked


@dataclass(frozen=True)
class GradientShap(Method):
    """Mean, over background samples and the straight lines from them, of difference x gradient.

    Lundberg & Lee 2017 and Erion et al. 2021, "Improving performance of deep learning models with axiomatic attribution
    priors and expected gradients", eq. 3. Instead of drawing pairs of a background sample and a point on the line it
    takes every background sample with the midpoints of equal stretches: nothing is random, and from 200 points on the
    error is a third of what drawing gives (measured). It adds up to the change of the target from its mean over the
    background; ``delta`` is what is missing. Of the inputs alone; inputs of integers: at their embedding.

    Args:
        baselines: background samples, a tensor [samples, ...] like the input, or one for each input tensor in a
            sequence or mapping. Required. If they are more than ``n_samples``, each gets one point.
        n_samples: about how many points in all.
        internal_batch_size: the most samples in a pass; None infers it from the size of the inputs.
    """

    baselines: Baselines = None
    n_samples: int = 200
    internal_batch_size: int | None = None

    def attribute(self, name: str, question: Question) -> Attribution:
        """Return the attributions of the inputs."""
        background = background_samples(name, self.baselines, question)
        path = Path(question)
        stretches = math.ceil(checked_count("n_samples", self.n_samples) / len(background))
        midpoints = (torch.arange(stretches, dtype=torch.float64) + 0.5) / stretches
        count = len(background) * stretches
        starts = [baseline for baseline in background for _ in range(stretches)]
        parts = weighted_gradients(
            path,
            midpoints.repeat(len(background)),
            torch.full((count,), 1 / count, dtype=torch.float64),
            starts,
            self.internal_batch_size,
        )
        values = [
            path.values(points).sum(0)
            for points in chunked(path.question, torch.zeros(len(background)), background, self.internal_batch_size)
        ]
        inputs = path.inputs(parts)
        return Attribution(
            method=name,
            signed=True,
            layers={},
            inputs=inputs,
            targets=path.targets,
            probabilities=path.probabilities,
            delta=completeness_gap(inputs, path.value - torch.stack(values).sum(0) / len(background)),
        )
