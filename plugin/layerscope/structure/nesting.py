"""Who encloses whom in a graph: children, depths, and the container in which the two ends of an edge meet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from layerscope.wire import Node


class Nesting:
    """The tree of a graph's nodes. What hangs on no top-level node (its parents form a ring) is left out."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self.children: dict[str | None, list[str]] = {}
        """Container, or None for the top -> its nodes in order of execution; boxes are no keys."""
        for node in nodes.values():
            self.children.setdefault(node.parent, []).append(node.id)
        self.parent: dict[str, str | None] = {}
        """Node -> its container, or None; each container stands before what it encloses."""
        self.depth: dict[str, int] = {}
        """Node -> number of containers around it."""
        pending = list(reversed(self.children.get(None, [])))
        while pending:
            node = pending.pop()
            parent = nodes[node].parent
            self.parent[node] = parent
            self.depth[node] = 0 if parent is None else self.depth[parent] + 1
            pending.extend(reversed(self.children.get(node, [])))

    def containers(self, node: str) -> Iterator[str]:
        """Yield the containers around ``node``, the innermost first."""
        parent = self.parent[node]
        while parent is not None:
            yield parent
            parent = self.parent[parent]

    def climb(self, source: str, target: str) -> tuple[list[str], list[str]]:
        """Return both ends, each followed by its containers below the one in which the two ends meet.

        The last of each list are siblings; they are one and the same node if one end encloses the other.
        """
        ups, downs = [source], [target]
        while self.parent[ups[-1]] != self.parent[downs[-1]]:
            above, below = self.parent[ups[-1]], self.parent[downs[-1]]
            # The depths differ or neither parent is None: two nodes of depth 0 have the same parent.
            if above is not None and self.depth[ups[-1]] >= self.depth[downs[-1]]:
                ups.append(above)
            elif below is not None:
                downs.append(below)
        return ups, downs
