"""Which of the layers that ran enclose which others, and in which order they returned."""

from __future__ import annotations

from collections.abc import Set
from functools import cached_property

from layerscope import wire


class Nesting:
    """How the calls of one forward pass lie in one another.

    Args:
        names: layer keys in order of execution, a container before what it encloses.
        graph: the structure of the model; without it, what encloses what is read off the names.
    """

    def __init__(self, names: tuple[str, ...], graph: wire.ModelGraph | None) -> None:
        self._names = names
        self._graph = graph
        self.knows_edges = graph is not None
        """Whether it can be told what lies between layers."""
        self._row_of = {name: row for row, name in enumerate(names)}

    @cached_property
    def parents(self) -> list[int]:
        """For each row the row that encloses it directly; -1 at the top."""
        parents: list[int] = []
        open_rows: list[int] = []
        for row, name in enumerate(self._names):
            module = module_of(name)
            while open_rows and not module.startswith(f"{module_of(self._names[open_rows[-1]])}."):
                open_rows.pop()
            told = self._told_parent(name)
            parents.append(told if told is not None and told < row else open_rows[-1] if open_rows else -1)
            open_rows.append(row)
        return parents

    @cached_property
    def leaves(self) -> list[int]:
        """The rows that enclose no other, in order of execution."""
        enclosing = set(self.parents)
        return [row for row in range(len(self._names)) if row not in enclosing]

    @cached_property
    def completed(self) -> list[int]:
        """The rows in the order in which they returned: what a container encloses before the container."""
        last = list(range(len(self._names)))
        for row in reversed(last.copy()):
            if (parent := self.parents[row]) >= 0:
                last[parent] = max(last[parent], last[row])
        return sorted(range(len(self._names)), key=lambda row: (last[row], -row))

    def enclosing(self, row: int) -> list[int]:
        """Return the rows that enclose ``row``, the innermost first."""
        found: list[int] = []
        while (row := self.parents[row]) >= 0:
            found.append(row)
        return found

    def innermost(self, rows: list[int]) -> list[int]:
        """Return those of ``rows`` that enclose none of the others."""
        outer = {parent for row in rows for parent in self.enclosing(row)}
        return [row for row in rows if row not in outer]

    def feeding(self, row: int, *, backwards: bool = False) -> tuple[list[int], list[str]]:
        """Return the rows whose output feeds ``row``, and the functions on the way, by the structure's edges.

        Args:
            row: the row; one that encloses others has no edges of its own.
            backwards: go along the gradient: the rows that ``row`` feeds.
        """
        rows: list[int] = []
        functions: list[str] = []
        waiting, seen = [self._names[row]], {self._names[row]}
        while waiting:
            for node in self._neighbours[backwards].get(waiting.pop(), ()):
                if node in seen:
                    continue
                seen.add(node)
                if node in self._row_of:
                    rows.append(self._row_of[node])
                elif self._graph is not None and self._graph.nodes[node].kind == "function":
                    functions.append(self._graph.nodes[node].op)
                    waiting.append(node)
        return sorted(rows), list(dict.fromkeys(functions))

    @cached_property
    def at_output(self) -> set[int]:
        """The rows behind which no layer with parameters follows, by the structure; without it none are known."""
        if self._graph is None:
            return set()
        waiting, seen = list(self._graph.outputs), set(self._graph.outputs)
        while waiting:
            for node in self._neighbours[False].get(waiting.pop(), ()):
                if node not in seen:
                    seen.add(node)
                    if not self._graph.nodes[node].own_parameters:
                        waiting.append(node)
        found = {self._row_of[node] for node in seen if node in self._row_of}
        return found | {parent for row in found for parent in self.enclosing(row)}

    def behind(self, owners: Set[str]) -> list[int]:
        """Return the leaves that ran after the last leaf whose module is one of ``owners``; of none the last leaf."""
        last = max((row for row in self.leaves if module_of(self._names[row]) in owners), default=None)
        return self.leaves[-1:] if last is None else [row for row in self.leaves if row > last]

    @cached_property
    def _neighbours(self) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        sources: dict[str, list[str]] = {}
        targets: dict[str, list[str]] = {}
        for edge in () if self._graph is None else self._graph.edges:
            sources.setdefault(edge.target, []).append(edge.source)
            targets.setdefault(edge.source, []).append(edge.target)
        return sources, targets

    def _told_parent(self, name: str) -> int | None:
        """Return the row of the parent that the structure tells; -1 at the top; None if it does not know the layer."""
        if self._graph is None or name not in self._graph.nodes:
            return None
        parent, seen = self._graph.nodes[name].parent, {name}
        while parent is not None and parent not in self._row_of and parent not in seen:
            seen.add(parent)  # a log that was tampered with may go round in circles
            parent = self._graph.nodes[parent].parent
        return -1 if parent is None else self._row_of.get(parent, -1)


def module_of(key: str) -> str:
    """Return the module's name in a layer key: ``conv`` of ``conv#1``."""
    name, mark, call = key.rpartition("#")
    return name.rstrip("#") if mark and call.isdecimal() else key
