"""What is wrong in a training, where, and by which evidence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Unjudged:
    """Detectors that could not have found anything in a run: that they found nothing is not to be taken for health."""

    detectors: tuple[str, ...]
    reason: str
    """What they lack, in words: ``no gradients recorded``."""


@dataclass(frozen=True)
class Finding:
    """Something that a detector found."""

    detector: str
    """Name of the rule, a key of ``findings.DETECTORS``: ``vanishing``, ``dead``, ``nan``, ..."""
    severity: str
    """``error``: training cannot go on well. ``warning``: worth a look."""
    step: int
    """The step at which the evidence was complete. Where that took several records, ``evidence["since_step"]`` is the
    step of the first of them, since which it holds in every one."""
    layer: str
    """Layer key of the place, or "" if it is the model as a whole."""
    row: str
    """The row of the series that shows it: the layer itself or one of its parameters; "" if it is the model."""
    measure: str
    """What to colour by to see it: ``<series>.<statistic>``, for example ``gradients.norm``."""
    message: str
    """One or two sentences: what happened, where, and what it means."""
    evidence: dict[str, float]
    """The numbers that the rule was applied to, by name. Never NaN or infinite: such a number is left out."""
    rule: str
    """The rule in words, with its thresholds."""
    source: str
    """Where the rule comes from: a paper or an author, with the place."""
    others: tuple[str, ...] = ()
    """Rows of other layers where the same holds at this step, worst first, or from the place on; at most 20."""


@dataclass(frozen=True)
class FindingsBlob:
    """What detectors have found since the blob before."""

    findings: tuple[Finding, ...]
