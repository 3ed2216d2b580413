"""Losses that jump up, and the layers whose gradients moved first."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from layerscope import wire
from layerscope.findings.detector import ERROR, WARNING, Detector, Sighting, also, finite, listed
from layerscope.findings.record import Floats, Record

Scalars = Mapping[str, tuple[NDArray[np.int64], NDArray[np.float64]]]


class LossSpike(Detector):
    """A scalar of the user that is called a loss jumps far above what it was, and stays there for some values.

    Single high values are noise: of a small batch, or of one hard sample of a converged network. So it takes several
    in a row, each above the median of the values before by many times their robust deviation (1.4826 times the median
    absolute deviation, which is the standard deviation if they are normal), and that undo a good part of what training
    had gained. A loss that never fell does not spike: it is a term that grows, or that of an adversary. One that is no
    longer finite counts, too. It is looked for where scalars are read, not beside the training, which hands them to the
    SummaryWriter.

    If all layers move in one record, none of them was first, and none is named. Gradients that are not finite do not
    count as moved: where NaN begins is for ``NonFinite`` to say.
    """

    DEVIATIONS = 10.0
    VALUES = 3
    WINDOW = 50
    LEAST_WINDOW = 20
    PART_OF_GAIN = 0.5
    LAYER_DEVIATIONS = 6.0
    RECORDS_BEFORE = 10
    LEAST_LOG_DEVIATION = 0.05

    series = ()
    needs: ClassVar[Mapping[str, int]] = {}
    rule = (
        f"A scalar that is called a loss, and had fallen, lies, {VALUES} values in a row, more than {DEVIATIONS:g} "
        f"robust standard deviations above the median of the {WINDOW} values before, and undoes {PART_OF_GAIN:.0%} of "
        "its fall since the beginning; or it is not finite. The layers named are those whose gradient norm was first "
        f"more than {LAYER_DEVIATIONS:g} robust standard deviations above its median, up to {RECORDS_BEFORE} records "
        "before, unless all were at once."
    )
    source = (
        "Chowdhery et al. 2022, PaLM, section 5.1, on loss spikes; Takase et al. 2023, Spike No More, on their "
        "gradients; Iglewicz and Hoaglin 1993, How to Detect and Handle Outliers, on the median absolute deviation."
    )

    def observe(self, record: Record) -> Sequence[Sighting]:
        """Return nothing: no series tells of the loss."""
        return ()

    def examine(self, scalars: Scalars, gradients: wire.Series | None) -> Sequence[Sighting]:
        """Return the first spike of each scalar that is called a loss.

        Args:
            scalars: tag -> (steps, values).
            gradients: the series of that name, to say which layers moved first.
        """
        found: list[Sighting] = []
        for tag, (steps, values) in scalars.items():
            if is_loss(tag) and (spike := self.spike(values)) is not None:
                found.append(self._sighting(tag, steps, values, spike, gradients))
        return found

    def spike(self, values: NDArray[np.float64]) -> int | None:
        """Return the index of the value with which the first spike begins, or None."""
        ends = np.flatnonzero(~np.isfinite(values))
        end = int(ends[0]) if len(ends) else len(values)
        usable = values[:end]
        if len(usable) > self.LEAST_WINDOW:
            start = float(np.median(usable[: self.VALUES * 2]))
            for i in self._candidates(usable):
                window = usable[max(0, i - self.WINDOW) : i]
                median, deviation = _robust(window)
                least = float(usable[i : i + self.VALUES].min())
                gained = start - median
                if gained <= deviation:  # it never fell: a term that grows, or the loss of an adversary
                    continue
                if least - median > self.DEVIATIONS * deviation and least - median > self.PART_OF_GAIN * gained:
                    return i
        return end if len(ends) else None

    def _candidates(self, values: Floats) -> list[int]:
        """Return where ``VALUES`` values begin that are above every one of the last ``LEAST_WINDOW`` before them."""
        windows = np.lib.stride_tricks.sliding_window_view(values, self.LEAST_WINDOW)
        tops = windows.max(axis=1)  # tops[j] is of values[j : j + LEAST_WINDOW]
        lows = np.lib.stride_tricks.sliding_window_view(values, self.VALUES).min(axis=1)
        first = self.LEAST_WINDOW
        count = len(lows) - first
        return (np.flatnonzero(lows[first:] > tops[:count]) + first).tolist() if count > 0 else []

    def _sighting(
        self, tag: str, steps: NDArray[np.int64], values: Floats, index: int, gradients: wire.Series | None
    ) -> Sighting:
        step, value = int(steps[index]), float(values[index])
        window = values[max(0, index - self.WINDOW) : index]
        median, deviation = _robust(window[np.isfinite(window)])
        first, later = self._movers(gradients, step)
        layer = first[0] if first else ""
        blame = f" The gradient of {layer!r} moved first.{also(first[1:])}" if first else ""
        blame += f" Then came {listed(later)}." if later else ""
        return Sighting(
            WARNING if np.isfinite(value) else ERROR,
            step,
            layer,
            layer,
            "gradients.norm",
            (
                f"The loss {tag!r} jumps from {median:.3g} to {value:.3g}."
                if np.isfinite(value)
                else f"The loss {tag!r} is not finite from here on."
            )
            + blame,
            finite(loss=value, median=median, deviations=(value - median) / deviation if deviation else np.inf),
            (*first[1:], *later),
        )

    def _movers(self, gradients: wire.Series | None, step: int) -> tuple[list[str], list[str]]:
        """Return the layers whose gradient norm left its usual range before or at ``step``: the first, and later ones.

        None at all if there is no telling which was first.
        """
        if gradients is None or "norm" not in gradients.statistics:
            return [], []
        until = int(np.searchsorted(gradients.steps, step, side="right"))
        begin = max(0, until - self.RECORDS_BEFORE)
        usual = gradients.values[max(0, begin - self.WINDOW) : begin, :, gradients.statistics.index("norm")]
        recent = gradients.values[begin:until, :, gradients.statistics.index("norm")].astype(np.float64)
        owners = gradients.owners or gradients.layers
        owning = {owner for layer, owner in zip(gradients.layers, owners, strict=True) if layer != owner}
        is_layer = np.array([layer in owning for layer in gradients.layers], np.bool_)
        known = np.flatnonzero((np.isfinite(usual) & (usual > 0)).all(axis=0) & is_layer)
        if len(usual) < self.RECORDS_BEFORE or not len(known):
            return [], []
        usual, recent = np.log(usual[:, known].astype(np.float64)), recent[:, known]
        median = np.median(usual, axis=0)
        deviation = 1.4826 * np.median(np.abs(usual - median), axis=0)
        with np.errstate(all="ignore"):
            high = (np.log(recent) - median) / np.maximum(deviation, self.LEAST_LOG_DEVIATION)
        moved = np.isfinite(recent) & (high > self.LAYER_DEVIATIONS)
        rows = np.flatnonzero(moved.any(axis=0)).tolist()
        first = moved.argmax(axis=0)
        rows.sort(key=lambda row: (first[row], -high[first[row], row]))
        earliest = [row for row in rows if first[row] == first[rows[0]]]
        if len(earliest) == len(known) > 1:
            return [], []
        names = [gradients.layers[known[row]] for row in rows]
        return names[: len(earliest)], names[len(earliest) :]


_OF_A_LOSS = frozenset(("scale", "weight", "coef", "coefficient", "factor", "lr", "rate", "ratio", "lambda", "beta"))
"""Words for what belongs to a loss and is none."""


def is_loss(tag: str) -> bool:
    """Return whether a scalar's tag says that it is a loss: ``val/loss``, ``trainLoss``, but not ``amp/loss_scale``."""
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", tag)]
    return any(word.endswith(("loss", "losses")) for word in words) and not _OF_A_LOSS.intersection(words)


def _robust(values: Floats) -> tuple[float, float]:
    """Return median and robust standard deviation; the latter at least a thousandth of the former."""
    if not len(values):
        return float("nan"), float("nan")
    median = float(np.median(values))
    return median, max(1.4826 * float(np.median(np.abs(values - median))), 1e-3 * abs(median))
