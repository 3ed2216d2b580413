"""ModelGraph -> folds: repeated siblings that can be shown as one box.

**What is equal.** Two nodes are *exactly* equal if class or operation, shapes, numbers of parameters and trainability
agree, and, of containers, all that they enclose and how it is joined. Two containers are *alike* if their classes, what
they enclose and how it is joined agree, whatever the widths, and however often something repeats in them: a stage of
two blocks is like a stage of eighteen. Functions between modules are alike if their operations are, and so are calls of
one module (what they take may grow). Different modules without calls inside are never merely alike: an MLP of growing
widths keeps its boxes.

**What repeats.** Siblings are read in order of execution. A run of equal groups is a fold; a group is one node or
several (Swin's plain and shifted block; an unrolled cell and the functions around it). Short periods are found first
and become items of the longer ones, so folds lie in folds. The members of a fold must be joined equally: what runs
within a member and from the earlier members to it is the same for each. Members that are merely alike must besides
have the same neighbours outside (not so the stages of a U-Net, each of which leads to another decoder stage: folded,
they would hide the U).

**What is worth it.** ``_least`` says how many repetitions it takes: five of boxes, three of containers, five of
members that are merely alike; and fewer where one member alone would fill the screen.

The time is near linear in nodes and edges: equality is a comparison of numbers, which are given to structures from the
leaves upwards (hash consing); an edge is looked at once for each container between its ends.
"""

from __future__ import annotations

from collections.abc import Sequence

from layerscope.structure.joints import Joints, Run
from layerscope.structure.labels import fold_label
from layerscope.structure.repeats import repeats
from layerscope.structure.signatures import Item, Signatures, Wire
from layerscope.structure.view import View
from layerscope.wire import Fold, ModelGraph

_SCREEN = 40
"""Number of boxes that fill a screen: a picture opens with 15 to 40 of them."""


def _least(items: Sequence[Item], exact: bool) -> int:
    """Return the least number of repetitions of ``items`` that are folded."""
    if not any(item.encloses for item in items):
        return 5
    large = sum(item.drawn for item in items) >= _SCREEN
    if exact:
        return 2 if large else 3
    return 3 if large else 5


def fold(graph: ModelGraph) -> tuple[Fold, ...]:
    """Return what can be folded in ``graph``: outer folds before those that lie in them, in order of execution.

    Only ``graph.nodes`` and ``graph.edges`` are looked at; nodes that the forward never closed (it raised) are like
    any other, and equal none that ended.
    """
    signatures = Signatures(graph)
    nesting, taken = signatures.nesting, set(graph.nodes)
    found: dict[str | None, list[Fold]] = {}
    for node in (*reversed(nesting.parent), None):
        if node is not None and node not in nesting.children:
            signatures.items[node] = signatures.box(graph.nodes[node])
            continue
        level = _Level(signatures, node, taken)
        found[node] = level.fold()
        signatures.slots.update(level.slots())
        if node is not None:
            signatures.items[node] = signatures.container(graph.nodes[node], level.items, level.wires())
    return tuple(fold for container in (None, *nesting.parent) for fold in found.get(container, ()))


def drawn(graph: ModelGraph) -> int:
    """Return how many boxes are seen when all containers are open and each fold shows its first member only.

    Modules without calls inside, functions, parameters, inputs and outputs are boxes; frames of open containers are
    not.
    """
    return sum(1 for _ in View(graph, folded=True).boxes())


class _Level:
    """The siblings in one container while they are being folded."""

    def __init__(self, signatures: Signatures, container: str | None, taken: set[str]) -> None:
        """Begin with the nodes in ``container``; ``taken`` are the ids that no new fold may have."""
        self._signatures = signatures
        self._container = container
        self._taken = taken
        self._children = signatures.nesting.children.get(container, [])
        self.items = [signatures.items[child] for child in self._children]
        self._inner: dict[str, tuple[int, ...]] = dict.fromkeys(self._children, ())
        """Node -> where in its item it lies: which item of a member, from the outermost fold inwards."""
        self._member: dict[str, tuple[tuple[str, int], ...]] = dict.fromkeys(self._children, ())
        """Node -> in which members of which folds it lies, the outermost first."""
        self._folds: list[Fold] = []

    def fold(self) -> list[Fold]:
        """Fold all that repeats; return the folds, outer ones first."""
        while self._fold_shortest(exact=True):
            pass
        while self._fold_shortest(exact=False):
            pass
        order = {node: place for place, node in enumerate(self._children)}
        for fold in self._folds:  # made from the inside out, so the first item of each is known
            order[fold.id] = order[fold.members[0][0]]
        self._folds.reverse()
        return sorted(self._folds, key=lambda fold: order[fold.id])  # stable: outer ones stay first

    def slots(self) -> dict[str, int]:
        """Return each node's place among its siblings when what repeats counts once."""
        ways = {node: (place, *self._inner[node]) for place, item in enumerate(self.items) for node in item.nodes}
        slot = {way: number for number, way in enumerate(sorted(set(ways.values())))}
        return {node: slot[way] for node, way in ways.items()}

    def wires(self) -> list[Wire]:
        """Return the wires that do not run between different members of one fold."""

        def apart(one: str, other: str) -> bool:
            folds = zip(self._member[one], self._member[other], strict=False)
            return any(a != b and a[0] == b[0] for a, b in folds)

        wires = self._signatures.wires.get(self._container, [])
        return [wire for wire in wires if not apart(wire.source, wire.target)]

    def _fold_shortest(self, *, exact: bool) -> bool:
        """Fold all runs of the shortest period that has any worth folding; tell whether there was one."""
        tokens = [item.exact if exact else item.loose for item in self.items]
        joints = Joints(self._signatures, self._container, self.items, self._inner)
        runs: list[Run] = []
        for start, stop, period in repeats(tokens):
            if runs and runs[0].period < period:
                break
            if not exact and not any(item.modules for item in self.items[start : start + period]):
                continue  # functions alone are equal only if their shapes are
            least = _least(self.items[start : start + period], exact)
            for run in joints.equally_joined(start, stop, period, least):
                if (not runs or runs[-1].stop <= run.start) and (exact or joints.same_outside(run)):
                    runs.append(run)
        for run in reversed(runs):
            self._replace(run, exact)
        return bool(runs)

    def _replace(self, run: Run, exact: bool) -> None:
        nodes, container = self._signatures.nodes, self._container
        members = [self.items[start : start + run.period] for start in range(run.start, run.stop, run.period)]
        siblings = [[node for item in member for node in item.nodes] for member in members]
        fold_id = self._new_id(siblings[0][0], siblings[-1][-1])
        label, shared = fold_label(
            [[nodes[node] for node in member] for member in siblings], None if container is None else nodes[container]
        )
        ids = tuple(tuple(item.id for item in member) for member in members)
        self._folds.append(Fold(fold_id, container, ids, label, shared, uniform=exact))
        for number, member in enumerate(members):
            for place, item in enumerate(member):
                for node in item.nodes:
                    self._inner[node] = (place, *self._inner[node])
                    self._member[node] = ((fold_id, number), *self._member[node])
        self.items[run.start : run.stop] = [self._signatures.fold(fold_id, members)]

    def _new_id(self, first: str, last: str) -> str:
        made = f"{first}…{last}"
        while made in self._taken:
            made += "…"
        self._taken.add(made)
        return made
