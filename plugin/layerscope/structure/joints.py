"""How siblings are joined to each other, and which runs of them are joined equally."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple, TypeAlias

from layerscope.structure.signatures import Item, Signatures

_Joint: TypeAlias = tuple[int, int, Hashable, int, Hashable]
"""An edge that reaches a member of a run from the same or an earlier member: how many members earlier; which item of
that member, and where in it; which item of this member, and where in it."""


class Run(NamedTuple):
    """Members that follow each other: ``times`` times ``period`` items of a level."""

    start: int
    period: int
    times: int

    @property
    def stop(self) -> int:
        """The place behind the last item."""
        return self.start + self.period * self.times


class Joints:
    """How the items of a level are joined to each other and to the rest of the graph."""

    def __init__(
        self,
        signatures: Signatures,
        container: str | None,
        items: Sequence[Item],
        inner: Mapping[str, tuple[int, ...]],
    ) -> None:
        """Look at the ``items`` in ``container``; ``inner`` tells where in its item each node lies."""
        self._signatures = signatures
        self._container = container
        self._items = items
        self._inner = inner

    @cached_property
    def _into(self) -> dict[int, list[tuple[int, Hashable, Hashable]]]:
        """Place of an item -> what comes into it: (the place that it comes from, the end there, the end here)."""
        place = {node: place for place, item in enumerate(self._items) for node in item.nodes}
        found: dict[int, list[tuple[int, Hashable, Hashable]]] = {}
        for wire in self._signatures.wires.get(self._container, ()):
            source, target = place[wire.source], place[wire.target]
            if source != target:
                source_end = (self._inner[wire.source], self._signatures.path(wire.source_end, wire.source))
                target_end = (self._inner[wire.target], self._signatures.path(wire.target_end, wire.target))
                found.setdefault(target, []).append((source, source_end, target_end))
        return found

    def equally_joined(self, start: int, stop: int, period: int, least: int) -> Iterator[Run]:
        """Yield the runs of at least ``least`` equally joined members in a stretch of items."""
        if (stop - start) // period < least:
            return
        start = self._phase(start, stop, period)
        begin, before = start, self._joints(start, start, period)
        for here in range(start + period, stop + 1, period):
            times = (here - begin) // period
            joints = self._joints(here, begin, period) if here + period <= stop else None
            if joints is None or before != {joint for joint in joints if joint[0] < times}:
                if times >= least:
                    yield Run(begin, period, times)
                begin, joints = here, {joint for joint in joints or () if joint[0] == 0}
            before = joints

    def _phase(self, start: int, stop: int, period: int) -> int:
        """Return where the first member begins, as the stretch may begin or end within one.

        A loop is complete at one end of the stretch at least. Where it begins anew, the fewest values are handed on;
        if that does not tell, it is complete at the end, for it is the first round that differs more often.
        """
        other = start + (stop - start) % period
        return min((other, start), key=lambda begin: self._handed_on(begin, period))

    def _handed_on(self, begin: int, period: int) -> int:
        joints = self._joints(begin + period, begin, period)
        return len({joint[1:3] for joint in joints if joint[0] == 1})

    def _joints(self, member: int, begin: int, period: int) -> set[_Joint]:
        """Return what reaches the member that starts at item ``member`` from it and those from ``begin`` on."""
        found: set[_Joint] = set()
        for place in range(member, member + period):
            for source, source_end, target_end in self._into.get(place, ()):
                if begin <= source < member + period:
                    distance, index = divmod(member + period - 1 - source, period)
                    found.add((distance, period - 1 - index, source_end, place - member, target_end))
        return found

    @cached_property
    def _neighbours(self) -> dict[str, list[tuple[str | None, str, bool]]]:
        """Node of the level -> its edges: (the sibling at the other end, if any; that end; whether it comes in)."""
        found = dict[str, list[tuple[str | None, str, bool]]]()
        for wire in self._signatures.wires.get(self._container, []):
            found.setdefault(wire.source, []).append((wire.target, wire.target_end, False))
            found.setdefault(wire.target, []).append((wire.source, wire.source_end, True))
        for node, end, comes_in in self._signatures.outside.get(self._container, []):
            found.setdefault(node, []).append((None, end, comes_in))
        return found

    def same_outside(self, run: Run) -> bool:
        """Tell whether the members have the same neighbours outside, but for what the chain begins and ends with."""
        neighbours = self._neighbours
        within = {node for item in self._items[run.start : run.stop] for node in item.nodes}
        members = [
            [node for item in self._items[start : start + run.period] for node in item.nodes]
            for start in range(run.start, run.stop, run.period)
        ]

        def ends(member: list[str], incoming: bool) -> set[str]:
            return {
                end
                for node in member
                for sibling, end, comes_in in neighbours.get(node, ())
                if comes_in is incoming and sibling not in within
            }

        sources = [ends(member, True) for member in members[1:]]
        targets = [ends(member, False) for member in members[:-1]]
        return all(same == one[0] for one in (sources, targets) for same in one)
