"""Numbers for structures: two nodes have the same number if, and only if, their structure is the same."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from layerscope.structure.nesting import Nesting
from layerscope.wire import ModelGraph, Node


@dataclass(frozen=True, slots=True)
class Item:
    """A node, or a fold that took the place of several."""

    id: str
    exact: int
    """The same for exactly equal items."""
    alike: int
    """The same for items of one structure, whatever their widths and numbers of repetitions."""
    loose: int
    """Compares members of runs: the same for functions that are alike, containers that are alike, calls of one module,
    and other boxes that are exactly equal."""
    drawn: int
    """Boxes it takes when open, folds showing their first member."""
    encloses: bool
    """Whether any container lies in it."""
    modules: bool
    """Whether any module lies in it."""
    nodes: tuple[str, ...]
    """The siblings that it stands for."""


class Wire(NamedTuple):
    """An edge as seen in the container where its ends meet: two siblings, and the ends in them."""

    source: str
    source_end: str
    target: str
    target_end: str


class Signatures:
    """Nodes, where their edges run, and what has been found out about them, from the innermost containers outwards."""

    def __init__(self, graph: ModelGraph) -> None:
        self.nodes = graph.nodes
        self.nesting = Nesting(graph.nodes)
        self.items: dict[str, Item] = {}
        self.slots: dict[str, int] = {}
        """Node -> its place among its siblings, where what repeats counts once."""
        self.wires: dict[str | None, list[Wire]] = {}
        """Container -> the edges that join its children."""
        self.outside: dict[str | None, list[tuple[str, str, bool]]] = {}
        """Container -> for each edge that leaves it: (its child, the other end, whether the edge comes in)."""
        self._numbers: dict[Hashable, int] = {}
        self._places = {node: place for place, node in enumerate(self.nesting.parent)}
        self._called_again = {node.module for node in graph.nodes.values() if node.call}
        for edge in graph.edges:
            if edge.source in self._places and edge.target in self._places:
                self._add_edge(edge.source, edge.target)

    def _add_edge(self, source: str, target: str) -> None:
        if self.nesting.parent[source] == self.nesting.parent[target]:
            ups, downs = [source], [target]  # as most are
        else:
            ups, downs = self.nesting.climb(source, target)
        for child in ups[:-1]:
            self.outside.setdefault(self.nodes[child].parent, []).append((child, target, False))
        for child in downs[:-1]:
            self.outside.setdefault(self.nodes[child].parent, []).append((child, source, True))
        if ups[-1] != downs[-1]:
            meeting = self.nodes[ups[-1]].parent
            self.wires.setdefault(meeting, []).append(Wire(ups[-1], source, downs[-1], target))

    def number(self, *structure: Hashable) -> int:
        """Return a number that is the same for equal structures."""
        return self._numbers.setdefault(structure, len(self._numbers))

    def path(self, end: str, sibling: str) -> tuple[int, ...]:
        """Return where in ``sibling`` the node ``end`` lies: the slots on the way, from the inside out."""
        way: list[int] = []
        while end != sibling:
            way.append(self.slots[end])
            end = self.nodes[end].parent or ""
        return tuple(way)

    def box(self, node: Node) -> Item:
        """Return the item of a node without children."""
        what = (node.kind, node.class_name, node.op)
        # An input or output of the model equals nothing.
        exact = self.number("box", what, node.id if node.kind in ("input", "output") else _measures(node))
        alike = self.number("like box", what)
        loose = alike if node.kind == "function" else exact
        if node.module in self._called_again:
            loose = self.number("call", node.module)
        return Item(node.id, exact, alike, loose, 1, False, node.kind == "module", (node.id,))

    def container(self, node: Node, items: Sequence[Item], wires: Sequence[Wire]) -> Item:
        """Return the item of a container.

        Args:
            node: the container.
            items: what it encloses, folded; the slots of its children must be known.
            wires: those of its wires that do not run between members of one fold.
        """
        first, flat = self._places[node.id], dict[int, int]()
        children = [self.items[child] for child in self.nesting.children[node.id]]
        for child in children:
            flat.setdefault(self.slots[child.id], child.alike)
        exact = self.number(
            node.class_name,
            _measures(node),
            tuple(child.exact for child in children),
            frozenset(
                (self._places[wire.source_end] - first, self._places[wire.target_end] - first)
                for wire in self.wires.get(node.id, ())
            ),
        )
        joined = frozenset(
            (
                (*self.path(w.source_end, w.source), self.slots[w.source]),
                (*self.path(w.target_end, w.target), self.slots[w.target]),
            )
            for w in wires
        )
        alike = self.number("like", node.class_name, tuple(flat[slot] for slot in sorted(flat)), joined)
        return Item(node.id, exact, alike, alike, sum(item.drawn for item in items), True, True, (node.id,))

    def fold(self, fold_id: str, members: Sequence[Sequence[Item]]) -> Item:
        """Return the item of a fold."""
        first = members[0]
        return Item(
            fold_id,
            self.number("fold", len(members), tuple(item.exact for item in first)),
            self.number("alike fold", tuple(item.alike for item in first)),
            self.number("loose fold", tuple(item.loose for item in first)),
            sum(item.drawn for item in first),
            any(item.encloses for item in first),
            any(item.modules for item in first),
            tuple(node for member in members for item in member for node in item.nodes),
        )


def _measures(node: Node) -> Hashable:
    sizes = node.input_shapes, node.output_shapes, node.output_dtypes
    return sizes, node.own_parameters, node.total_parameters, node.trainable, node.extra_repr
