"""Findings: what is wrong in a training, in which layer, from which step on, by which evidence.

``Examination`` runs beside a training and is handed each record as it is written; ``examine`` does the same for a run
that was read. A detector is one file and one row in ``DETECTORS``. Only numpy is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from layerscope import wire
from layerscope.findings.dead import Dead
from layerscope.findings.detector import Detector as Detector
from layerscope.findings.detector import Sighting
from layerscope.findings.exploding import Exploding
from layerscope.findings.frozen import Frozen
from layerscope.findings.loss_spike import LossSpike, Scalars
from layerscope.findings.loss_spike import is_loss as is_loss
from layerscope.findings.no_gradient import NoGradient
from layerscope.findings.non_finite import NonFinite
from layerscope.findings.record import Known, Record, RowIds, Rows
from layerscope.findings.saturated import Saturated
from layerscope.findings.unfrozen import Unfrozen
from layerscope.findings.update_ratio import UpdateRatio
from layerscope.findings.vanishing import Vanishing

DETECTORS: dict[str, type[Detector]] = {
    "nan": NonFinite,
    "exploding": Exploding,
    "vanishing": Vanishing,
    "dead": Dead,
    "saturated": Saturated,
    "no_gradient": NoGradient,
    "frozen": Frozen,
    "unfrozen": Unfrozen,
    "update_ratio": UpdateRatio,
    "loss_spike": LossSpike,
}
"""Name of a detector -> what finds it; its attributes ``rule`` and ``source`` tell how."""

EXAMINED = frozenset(series for detector in DETECTORS.values() for series in detector.series)
"""The series that some detector looks at."""

MAX_FINDINGS = 200
MAX_OTHERS = 20
_LAYOUTS = 256


class Examination:
    """Looks at the records of a training, one after the other, and keeps what the detectors find.

    It costs a tenth or two of a millisecond a record. Of one step, updates come last and parameters before them.

    Args:
        graph: the structure of the model, if it is known: with it, layers are ordered as they ran.
    """

    def __init__(self, graph: wire.ModelGraph | None = None) -> None:
        self._detectors = {name: detector() for name, detector in DETECTORS.items()}
        self._interested = {
            series: [(name, detector) for name, detector in self._detectors.items() if series in detector.series]
            for series in EXAMINED
        }
        self._findings: list[wire.Finding] = []
        self._found: set[tuple[str, str, str]] = set()
        self._ids = RowIds()
        self._layouts: dict[tuple[tuple[str, ...], tuple[str, ...]], Rows] = {}
        self._known = Known.nothing()
        self._graph = graph
        self.examined = False
        """Whether any record was there to be looked at."""

    @property
    def graph(self) -> wire.ModelGraph | None:
        """The structure of the model; set it as soon as it is known."""
        return self._graph

    @graph.setter
    def graph(self, graph: wire.ModelGraph | None) -> None:
        self._graph = graph
        self._layouts.clear()

    @property
    def findings(self) -> tuple[wire.Finding, ...]:
        """Everything that was found, in order of step; at most ``MAX_FINDINGS``, of which the last says that it is."""
        return in_order(self._findings)

    def observe(self, series: str, statistics: wire.Statistics, step: int) -> tuple[wire.Finding, ...]:
        """Look at one record and return what is new with it.

        Args:
            series: name of the series; of others than ``EXAMINED`` nothing is found.
            statistics: the record, as it is written.
            step: training step.
        """
        interested = self._interested.get(series)
        if not interested or not statistics.layers or len(self._findings) >= MAX_FINDINGS:
            return ()
        self.examined = True
        rows = self._rows(statistics)
        with np.errstate(all="ignore"):  # NaN and infinity are what some detectors look for
            record = Record(series, step, rows, statistics.statistics, statistics.values, self._known)
            return self._keep((name, sighting) for name, found in interested for sighting in found.observe(record))

    def observe_scalars(self, scalars: Scalars, gradients: wire.Series | None = None) -> tuple[wire.Finding, ...]:
        """Look at the user's scalars and return what is new with them.

        Args:
            scalars: tag -> (steps, values), all of them.
            gradients: the series ``gradients``, to say which layers moved before a loss did.
        """
        detector = self._detectors["loss_spike"]
        assert isinstance(detector, LossSpike)
        self.examined |= any(is_loss(tag) and len(steps) for tag, (steps, _) in scalars.items())
        return self._keep(("loss_spike", sighting) for sighting in detector.examine(scalars, gradients))

    def conclude(self) -> tuple[wire.Finding, ...]:
        """Return what can be said now that no more records come: the training has ended, or broken off."""
        return self._keep(
            (name, sighting) for name, detector in self._detectors.items() for sighting in detector.conclude()
        )

    def _rows(self, statistics: wire.Statistics) -> Rows:
        key = statistics.layers, statistics.owners
        rows = self._layouts.get(key)
        if rows is None:
            if len(self._layouts) >= _LAYOUTS:
                self._layouts.clear()
            rows = Rows(*key, self._ids.of(statistics.layers), self._graph)
            self._layouts[key] = rows
            self._known.owners.update(owner for name, owner in zip(*key, strict=True) if name != owner)
        return rows

    def _keep(self, sightings: Iterable[tuple[str, Sighting]]) -> tuple[wire.Finding, ...]:
        new: list[wire.Finding] = []
        for name, sighting in sightings:
            if len(self._findings) == MAX_FINDINGS:
                break
            finding = _finding(name, sighting)
            if _subject(finding) in self._found:
                continue
            self._found.add(_subject(finding))
            if len(self._findings) == MAX_FINDINGS - 1:
                told = f"{finding.message} This is the last of {MAX_FINDINGS} findings: the detectors look no further."
                finding = replace(finding, message=told)
            self._findings.append(finding)
            new.append(finding)
        return tuple(new)


def _finding(name: str, sighting: Sighting) -> wire.Finding:
    detector = DETECTORS[name]
    message, evidence = sighting.message, sighting.evidence
    if sighting.since is not None and sighting.since < sighting.step:
        message += f" It holds in every record since step {sighting.since}."
        evidence = {**evidence, "since_step": float(sighting.since)}
    return wire.Finding(
        detector=name,
        severity=sighting.severity,
        step=sighting.step,
        layer=sighting.layer,
        row=sighting.row,
        measure=sighting.measure,
        message=message,
        evidence=evidence,
        rule=detector.rule,
        source=detector.source,
        others=sighting.others[:MAX_OTHERS],
    )


def _subject(finding: wire.Finding) -> tuple[str, str, str]:
    """Return what a finding is about; of findings about one thing the first counts."""
    # Which loss it is, only the message tells.
    loss = finding.message.partition(" jumps ")[0] if finding.detector == "loss_spike" else ""
    return finding.detector, finding.layer, loss


def in_order(*groups: Iterable[wire.Finding]) -> tuple[wire.Finding, ...]:
    """Return findings of several groups in order of step; of those of one detector and layer the first step's."""
    first: dict[tuple[str, str, str], wire.Finding] = {}
    for finding in sorted((finding for group in groups for finding in group), key=lambda finding: finding.step):
        first.setdefault(_subject(finding), finding)
    return tuple(first.values())


def examine(run: wire.Run) -> tuple[wire.Finding, ...]:
    """Return the findings of a run that was read, in order of step.

    Those that were written, or, if the exporter did not look, those that the same detectors find in its series now; and
    those that need the user's scalars, which are never written.
    """
    examination = Examination(run.graph)
    if not run.examined:
        replay(examination, run.series)
    examination.observe_scalars(run.scalars, run.series.get("gradients"))
    return in_order(run.findings, examination.findings)


def unjudged(
    records: Mapping[str, int], scalars: Iterable[str], found: Iterable[wire.Finding] = ()
) -> tuple[wire.Unjudged, ...]:
    """Return the detectors that could not have found anything in a run yet, and what they lack.

    Args:
        records: name of a series -> number of steps at which it was recorded.
        scalars: tags of the user's scalars.
        found: what was found all the same.
    """
    lacking = {
        name: _lacking(detector.needs, records)
        for name, detector in DETECTORS.items()
        if detector.needs and all(records.get(series, 0) < least for series, least in detector.needs.items())
    }
    if not any(map(is_loss, scalars)):
        lacking["loss_spike"] = "no scalar has loss in its name"
    detectors: dict[str, list[str]] = {}
    known = {finding.detector for finding in found}
    for name, reason in lacking.items():
        if name not in known:
            detectors.setdefault(reason, []).append(name)
    return tuple(wire.Unjudged(tuple(names), reason) for reason, names in detectors.items())


def _lacking(needs: Mapping[str, int], records: Mapping[str, int]) -> str:
    """Return what is missing of the series of which most is there."""
    series = max(needs, key=lambda name: records.get(name, 0))
    count, least = records.get(series, 0), needs[series]
    if not count:
        return f"no {' or '.join(needs)} recorded"
    return f"it takes {least} records of {series}, and there {'is' if count == 1 else 'are'} {count}"


def replay(examination: Examination, series: dict[str, wire.Series]) -> None:
    """Hand every record of ``series`` to an examination, in the order in which a training writes them."""
    for step, name, statistics in _records(series):
        examination.observe(name, statistics, step)
    examination.conclude()


_ORDER: Sequence[str] = (
    "activations",
    "gradients",
    "training_activations",
    "activation_gradients",
    "parameters",
    "updates",
)


def _records(series: dict[str, wire.Series]) -> Iterator[tuple[int, str, wire.Statistics]]:
    places = sorted(
        (int(step), order, index)
        for order, name in enumerate(_ORDER)
        if name in series
        for index, step in enumerate(series[name].steps)
    )
    for step, order, index in places:
        read = series[_ORDER[order]]
        yield step, _ORDER[order], wire.Statistics(read.layers, read.owners, read.statistics, read.values[index])
