"""DeepSHAP: DeepLIFT from many baselines, which approximates Shapley values."""

from __future__ import annotations

from dataclasses import dataclass

from layerscope.probing.attributions.attribution import Attribution
from layerscope.probing.attributions.baselines import Baselines, background_samples
from layerscope.probing.attributions.deep_lift import rescaled
from layerscope.probing.attributions.method import Method, Question


@dataclass(frozen=True)
class DeepShap(Method):
    """Mean of ``deep_lift`` over background samples, of the inputs and of every layer.

    Lundberg & Lee 2017, "A Unified Approach to Interpreting Model Predictions", section 4.2; Chen, Lundberg & Lee 2022,
    "Explaining a series of models by propagating Shapley values", for the mean over baselines. It adds up to the change
    of the target from its mean over the background. Nothing is random: every background sample counts once. Equals
    ``shap.DeepExplainer`` where that is complete.

    Args:
        baselines: background samples, a tensor [samples, ...] like the input, or one for each input tensor in a
            sequence or mapping. Required; 20 to 100 are usual.
        internal_batch_size: the most samples in a pass, each counted once for each of its baselines; None infers it
            from the size of the inputs.
    """

    baselines: Baselines = None
    internal_batch_size: int | None = None

    def attribute(self, name: str, question: Question) -> Attribution:
        """Return the attributions of the inputs and the layers.

        Raises:
            InvalidArgumentError: there are no background samples.
        """
        background = background_samples(name, self.baselines, question)
        return rescaled(name, question, background, self.internal_batch_size)
