"""What is seen of a graph that is not shown whole: folds by their first member, modules closed below a depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from layerscope.structure.nesting import Nesting
from layerscope.wire import Fold, ModelGraph


class SeenEdge(NamedTuple):
    """An edge, or several that are seen as one, between two boxes of a view."""

    source: str
    target: str
    shape: tuple[int, ...] | None
    recurs: bool
    """Whether it leads from one member of a fold to another, so that it is seen to lead back, or to the same box."""


class View:
    """A graph with some of its nodes closed or folded away. No node is lost: ``box`` tells where each is seen."""

    def __init__(self, graph: ModelGraph, *, folded: bool = False, depth: int | None = None) -> None:
        """Look at ``graph``; ``folded`` and ``depth`` are those of ``to_dot``."""
        self._graph = graph
        self._nesting = Nesting(graph.nodes)
        self._depth = depth
        self.folds: dict[str, Fold] = {fold.id: fold for fold in graph.folds} if folded else {}
        self._within: dict[str, tuple[str, int]] = {
            item: (fold.id, number)
            for fold in self.folds.values()
            for number, member in enumerate(fold.members)
            for item in member
        }
        """Node or fold -> the fold that it is an item of, and in which member."""
        self._seen: dict[str | None, dict[str, int]] = {}
        self.contents: dict[str | None, list[str]] = {None: self._items(None)}
        """Open container, fold or None for the top -> the nodes and folds that are seen in it."""
        pending = [*self.contents[None]]
        while pending:
            item = pending.pop()
            if item in self.folds:
                self.contents[item] = list(self.folds[item].members[0])
            elif self._is_open(item):
                self.contents[item] = self._items(item)
            pending.extend(self.contents.get(item, ()))
        self.box: dict[str, str] = {}
        """Node -> the box (or open container) that stands for it."""
        self._place_nodes()

    def boxes(self) -> Iterator[str]:
        """Yield the nodes that are seen as boxes."""
        for items in self.contents.values():
            yield from (item for item in items if item not in self.contents)

    def edges(self) -> list[SeenEdge]:
        """Return the edges between boxes, each once, in the order of the graph's."""
        seen: dict[SeenEdge, None] = {}
        for edge in self._graph.edges:
            if edge.source in self.box and edge.target in self.box:
                source, target = self.box[edge.source], self.box[edge.target]
                recurs = bool(self.folds) and self._in_different_members(edge.source, edge.target)
                if source != target or recurs or edge.source == edge.target:
                    seen[SeenEdge(source, target, edge.shape, recurs)] = None
        return list(seen)

    def _is_open(self, node: str) -> bool:
        below = self._depth is None or self._nesting.depth[node] < self._depth - 1
        return below and node in self._nesting.children

    def _items(self, container: str | None) -> list[str]:
        """Return the children of ``container``, each outermost fold once in the place of its nodes."""
        items: dict[str, None] = {}
        for child in self._nesting.children.get(container, ()):
            while child in self._within:
                child = self._within[child][0]
            items[child] = None
        return list(items)

    def _nodes(self, item: str) -> list[str]:
        """Return the nodes that are seen of a node or fold: the first member's."""
        if item not in self.folds:
            return [item]
        return [node for inner in self.folds[item].members[0] for node in self._nodes(inner)]

    def _place_nodes(self) -> None:
        """Find the box of every node, containers before what they enclose."""
        siblings = {node: node for node in self._nesting.parent}  # -> the sibling that stands for it in a fold
        for fold in reversed(self.folds.values()):  # inner folds come after the outer ones that hold them
            first = [node for item in fold.members[0] for node in self._nodes(item)]
            for member in fold.members[1:]:
                other = [node for item in member for node in self._nodes(item)]
                siblings.update(zip(other, first, strict=False))
        for node, stands in siblings.items():
            while siblings[stands] != stands:
                stands = siblings[stands]
            siblings[node] = stands
        for node, container in self._nesting.parent.items():
            seen_in = None if container is None else self.box[container]
            if seen_in is not None and seen_in not in self.contents:
                self.box[node] = seen_in  # closed
            elif seen_in == container:
                self.box[node] = siblings[node]
            else:
                self.box[node] = self._counterpart(siblings[node], container, seen_in)

    def _counterpart(self, node: str, container: str | None, seen_in: str | None) -> str:
        """Return the node in ``seen_in`` that stands where ``node`` stands in the folded-away ``container``."""
        place, theirs = self._seen_places(container)[node], self._seen_places(seen_in)
        return list(theirs)[min(place, len(theirs) - 1)]

    def _seen_places(self, container: str | None) -> dict[str, int]:
        """Return the children of ``container`` that a view of it shows, each with its place among them."""
        if container not in self._seen:
            nodes = (node for item in self._items(container) for node in self._nodes(item))
            self._seen[container] = {node: place for place, node in enumerate(nodes)}
        return self._seen[container]

    def _in_different_members(self, one: str, other: str) -> bool:
        ups, downs = self._nesting.climb(one, other)
        if ups[-1] not in self._within or downs[-1] not in self._within:
            return False
        members = dict(self._members(ups[-1]))
        return any(members.get(fold, number) != number for fold, number in self._members(downs[-1]))

    def _members(self, item: str) -> Iterator[tuple[str, int]]:
        """Yield the folds in which ``item`` lies, each with the number of the member."""
        while item in self._within:
            item, number = self._within[item]
            yield item, number
