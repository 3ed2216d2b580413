"""The first layer that makes NaN or infinity, told from those that merely pass it on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from layerscope.findings.detector import ERROR, WARNING, Detector, Sighting, finite, listed
from layerscope.findings.record import Mask, Record, Rows


@dataclass
class _Step:
    """What is known of one step: where it is not finite."""

    step: int
    forward: Sighting | None = None
    infinite: frozenset[str] = frozenset()
    """The layers whose outputs are infinite, which may be meant."""
    backward: Sighting | None = None
    gradients: Sighting | None = None
    rows: Rows | None = None
    """Those of the gradients."""

    @property
    def place(self) -> Sighting | None:
        """Where it began, by the best evidence that there is."""
        return self.forward or self.backward or self.gradients


class NonFinite(Detector):
    """Names the layer where NaN or infinity begins: forward, backward or in the weights.

    Forward, the layer that returned first with something that is not finite makes it: all that returned before it is
    finite (a container returns after what it encloses, so the innermost is named). Backward, it is the layer whose
    output gradient is finite while that of the layer before it is not. If neither was recorded at that step, the
    gradients of the parameters tell at most between which layers it begins; the message says so.

    NaN in an output is told at once. An infinite output may be meant (a mask), and gradients that are not finite are a
    matter of course while a GradScaler looks for its scale. So both count when they have reached the weights or the
    updates, or when the gradients stay so for longer than a GradScaler needs to come down from its first scale. The
    step named is the one where it began. After the first one everything follows from it, and nothing more is said.
    """

    SCALER_STEPS = 16
    """A GradScaler begins at 65536 and halves that with each step that it skips: after so many, the scale is 1."""

    series = ("training_activations", "activation_gradients", "gradients", "parameters", "updates", "activations")
    needs: ClassVar[Mapping[str, int]] = dict.fromkeys(series, 1)
    rule = (
        "The first layer in the order in which they return whose output holds NaN; or infinity, if the gradients are "
        "not finite either. Backward, the layer whose output gradient is finite while that of the layer before it is "
        "not. Gradients count when the updates or parameters are not finite, or when they stay so over more than "
        f"{SCALER_STEPS} steps."
    )
    source = (
        "torch.autograd.detect_anomaly, for layers instead of operations; torch.amp.GradScaler (init_scale 2**16, "
        "backoff_factor 0.5) for what is skipped."
    )

    def __init__(self) -> None:
        self._done = False
        self._current = _Step(-1)
        self._suspected: _Step | None = None
        """A step whose gradients are not finite, and which may yet be harmless: a GradScaler skips such steps."""
        self._meant: frozenset[str] = frozenset()
        """Layers whose outputs are infinite while gradients are finite."""

    def observe(self, record: Record) -> Sequence[Sighting]:  # noqa: D102
        if self._done:
            return ()
        if record.series in _OF_THE_PASS and record.step != self._current.step:
            self._current = _Step(record.step)
        if record.series == "gradients":
            return self._gradients(record)
        if not record.any_not_finite:
            return self._tell(self._suspected) if self._suspected is not None and _moved_to_nan(record) else ()
        if record.series in ("training_activations", "activations"):
            return self._forward(record)
        if record.series == "activation_gradients":
            self._current.backward = _backward(record, record.not_finite)
            return ()
        return self._tell(self._suspected) or self._tell(_parameters(record, record.not_finite & ~_meant_so(record)))

    def conclude(self) -> Sequence[Sighting]:  # noqa: D102
        # A training that ends there more likely broke off, but it may be a step that a GradScaler skipped.
        unclear = " The records end before it is clear whether it stays so: a GradScaler skips such steps."
        return [
            replace(found, severity=WARNING, message=found.message + unclear)
            for found in (() if self._done else self._tell(self._suspected))
        ]

    def _same_rows(self, rows: Rows) -> bool:
        """Return whether these are the rows whose gradients were suspected; made anew, they are equal in name."""
        suspected = None if self._suspected is None else self._suspected.rows
        return suspected is rows or (suspected is not None and suspected.names == rows.names)

    def _tell(self, found: _Step | Sighting | None) -> Sequence[Sighting]:
        place = found.place if isinstance(found, _Step) else found
        if place is None:
            return ()
        self._done = True
        return (place,)

    def _forward(self, record: Record) -> Sequence[Sighting]:
        has_nan = _has_nan(record)
        if self._suspected is not None and self._suspected.step < record.step:  # the weights may be hit already
            return self._tell(self._suspected) if has_nan else ()
        bad = record.not_finite & ~np.array([name in self._meant for name in record.rows.names], np.bool_)
        if not bad.any():
            return ()
        place = _first_forward(record, bad)
        if has_nan:
            return self._tell(place)
        if record.series == "training_activations":
            infinite = frozenset(record.rows.names[row] for row in np.flatnonzero(bad))
            if record.known.finite_gradients == record.step:
                self._meant |= infinite
            else:
                self._current.forward, self._current.infinite = place, infinite
        return ()

    def _gradients(self, record: Record) -> Sequence[Sighting]:
        current = self._current
        if not record.any_not_finite:
            self._meant |= current.infinite
            self._current = _Step(record.step)  # what was not finite is not part of the loss
            if self._suspected is not None and self._same_rows(record.rows):
                self._suspected = None
            return ()
        current.gradients, current.rows = _by_gradients(record, record.not_finite), record.rows
        if self._suspected is None:
            self._suspected = current
        elif record.step - self._suspected.step > self.SCALER_STEPS:
            return self._tell(self._suspected)
        return ()


_OF_THE_PASS = ("gradients", "training_activations", "activation_gradients")


def _moved_to_nan(record: Record) -> bool:
    """Return whether an update is NaN; that is, too, what is not recorded, so it counts with other evidence only."""
    norm = record.column("norm") if record.series == "updates" else None
    return norm is not None and bool(np.isnan(norm[record.rows.parameters]).any())


def _has_nan(record: Record) -> bool:
    nans = record.column("nan_count")
    return nans is not None and bool((nans > 0).any())


def _numbers(record: Record, row: int) -> dict[str, float]:
    names = ("nan_count", "inf_count")
    columns = ((name, record.column(name)) for name in names)
    return finite(**{name: float(column[row]) for name, column in columns if column is not None})


def _what(record: Record, row: int) -> str:
    numbers = _numbers(record, row)
    parts = [
        f"{numbers[name]:.0f} {word}"
        for name, word in (("nan_count", "NaN"), ("inf_count", "infinite"))
        if numbers.get(name)
    ]
    return " and ".join(parts) or "NaN or infinity"


def _sighting(record: Record, row: int, message: str, others: list[str]) -> Sighting:
    rows = record.rows
    statistic = "nan_count" if _numbers(record, row).get("nan_count") else "inf_count"
    return Sighting(
        ERROR,
        record.step,
        rows.owners[row],
        rows.names[row],
        f"{record.series}.{statistic}",
        message,
        _numbers(record, row) | {"rows": float(np.count_nonzero(record.not_finite))},
        tuple(others),
    )


def _first_forward(record: Record, bad: Mask) -> Sighting:
    nesting, names = record.rows.nesting, record.rows.names
    infected = [row for row in nesting.completed if bad[row]]
    row = infected[0]
    others = [names[other] for other in nesting.innermost(infected[1:]) if other not in nesting.enclosing(row)]
    feeding, functions = nesting.feeding(row)
    several = [names[other] for other in feeding if _returns_several(record.rows, other)]
    if row == nesting.completed[0]:
        before = " No layer returned before it, so what came in may not have been finite either."
    elif functions:
        before = (
            " All that was recorded before it is finite, so it makes them, or a function that feeds it does "
            f"({', '.join(functions[:5])})."
        )
    else:
        certain = nesting.knows_edges and (feeding or row not in nesting.leaves)
        between = "" if certain else ", or a function does that is between them"
        before = f" All that was recorded before it is finite, so it makes them{between}."
    if several:
        before += f" Of what {listed(several)} returns only the first tensor was recorded: look at the others, too."
    when = "in the training pass" if record.series == "training_activations" else "on the probe batch"
    passed = f" {listed(others)} merely pass them on." if others else ""
    message = (
        f"{names[row]!r} is the first layer whose output is not finite {when}: {_what(record, row)}.{before}{passed}"
    )
    return _sighting(record, row, message, others)


def _returns_several(rows: Rows, row: int) -> bool:
    node = None if rows.graph is None else rows.graph.nodes.get(rows.names[row])
    return node is not None and len(node.output_shapes) > 1


def _backward(record: Record, bad: Mask) -> Sighting:
    """Return where gradients of outputs stop being finite on the way from the loss to the input."""
    nesting, names = record.rows.nesting, record.rows.names
    leaves = [row for row in nesting.leaves if bad[row]]
    last = leaves[-1] if leaves else int(np.flatnonzero(bad)[-1])
    others = [names[row] for row in reversed(leaves) if row != last]
    fed, functions = nesting.feeding(last, backwards=True)
    own_container = next((row for row in nesting.enclosing(last) if not bad[row]), None)
    after = [row for row in nesting.leaves if row > last]
    consumer = next((row for row in fed if not bad[row]), None)
    if own_container is not None and (not after or own_container not in nesting.enclosing(after[0])):
        maker = own_container  # what it does with the last layer in it
    elif consumer is not None:
        maker = consumer
    elif after:
        maker = after[0]
    else:
        message = (
            f"The gradient that arrives at {names[last]!r}, behind which no layer was recorded, is not finite "
            f"({_what(record, last)}): the loss, or what is between it and the model, makes it."
        )
        return _sighting(record, last, message, others)
    through = (
        f" Between the two are functions ({', '.join(functions[:5])}), which may make them as well."
        if functions
        else ""
    )
    message = (
        f"The backward pass of {names[maker]!r} makes gradients that are not finite: the gradient of its output is "
        f"finite, that of the output of {names[last]!r} before it is not ({_what(record, last)}).{through}"
    )
    return replace(
        _sighting(record, last, message, [names[last], *others]),
        layer=record.rows.owners[maker],
        row=names[maker],
    )


def _by_gradients(record: Record, bad: Mask) -> Sighting:
    """Return what the gradients of the parameters alone tell."""
    rows = record.rows
    infected = [place for place, hit in zip(rows.places, _by_place(rows, bad), strict=True) if hit]
    clean = [place for place, hit in zip(rows.places, _by_place(rows, bad), strict=True) if not hit]
    ask = (
        "To see which layer makes them, record outputs at every step: scope.watch(optimizer, "
        'every={"training_activations": 1, "activation_gradients": 1}).'
    )
    if not infected:
        row = int(np.flatnonzero(bad)[0])
        return _sighting(
            record, row, f"The gradient of {rows.names[row]!r} is not finite ({_what(record, row)}). {ask}", []
        )
    last = infected[-1]
    row = next(int(i) for i in rows.parameters if rows.owners[i] == last and bad[i])
    others = infected[-2::-1]
    if not clean:
        message = (
            f"The gradients of all {len(infected)} layers are not finite, so they become so in the forward pass or in "
            f"the loss; which layer makes them cannot be told from gradients. {ask}"
        )
        found = _sighting(record, row, message, infected)
        return replace(found, layer="", row="")
    after = rows.places[rows.places.index(last) + 1 :]
    if after:
        message = (
            f"Gradients become not finite on the way back from {after[0]!r}, whose gradient is finite, to {last!r}, "
            f"whose gradient is not ({_what(record, row)}): what lies between the two, or one of them. {ask}"
        )
    else:
        message = f"The gradient of {last!r} is not finite ({_what(record, row)}), that of {listed(clean)} is. {ask}"
    return _sighting(record, row, message, others)


def _by_place(rows: Rows, bad: Mask) -> list[bool]:
    if not len(rows.parameters):
        return []
    return np.logical_or.reduceat(bad[rows.parameters], rows.starts).tolist()


def _meant_so(record: Record) -> Mask:
    """Return which parameters are infinite on purpose: frozen, as the mask of an attention, and without NaN."""
    trainable, nans = record.column("trainable"), record.column("nan_count")
    if trainable is None or nans is None:
        return np.zeros(len(record.rows.names), np.bool_)
    return np.asarray((trainable == 0) & (nans == 0), np.bool_)


def _parameters(record: Record, bad: Mask) -> Sighting | None:
    if not bad[record.rows.parameters].any() and record.series == "parameters":
        return None
    rows = record.rows
    hit = [int(i) for i in rows.parameters if bad[i]] or [int(np.flatnonzero(bad)[0])]
    others = [rows.names[i] for i in hit[1:]]
    what = "The update of" if record.series == "updates" else "The parameter"
    message = (
        f"{what} {rows.names[hit[0]]!r} is not finite ({_what(record, hit[0])}), and no gradient showed it before."
    )
    return _sighting(record, hit[0], message, others)
