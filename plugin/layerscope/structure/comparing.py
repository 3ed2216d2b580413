"""Two graphs -> which nodes are the same, renamed, changed, inserted or removed.

Nodes are matched by path first, then by structure:

1. modules, parameters, inputs and outputs of equal id and class;
2. containers that enclose the same, and are called otherwise (``layers`` now ``blocks``, ``backbone`` now
   ``model.backbone``), first such of equal shapes, then such of any; the whole model counts as a container;
3. siblings in matched containers, by the longest common part of their sequences of classes and operations (functions
   have no path of their own: their numbers shift when one is inserted);
4. what is left of equal id and kind: its class has changed.

Sequences are aligned by a longest common subsequence, in bits: ``difflib.SequenceMatcher`` is cubic where many are
alike (16 s for 1,000 functions against 1,000). Tree edit distance (packages ``zss``, ``apted``) is cubic, knows
no names and no wiring, and would call a renamed subtree removed and inserted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Hashable, Sequence

from layerscope.structure.nesting import Nesting
from layerscope.wire import Comparison, ModelGraph, Node, NodeComparison

_LARGEST_ALIGNMENT = 1 << 26
"""Product of the lengths of two sequences up to which they are aligned: as many bits are held."""


def compare(graph_a: ModelGraph, graph_b: ModelGraph) -> Comparison:
    """Return what became of each node of ``graph_a`` in ``graph_b``.

    A node is ``changed`` if its class, shapes, number of parameters, whether it can be trained, or where its inputs
    come from differ; nodes that were inserted or removed on the way do not change those behind them. The answer is the
    same the other way round, with *inserted* and *removed* exchanged. The time is linear in
    nodes and edges, but for siblings that are called otherwise: for each pair of those it takes a bit.
    """
    if _order(graph_a) > _order(graph_b):  # one direction, so that both ways give the same pairs
        matched = {a: b for b, a in _Matching(graph_b, graph_a).matched.items()}
    else:
        matched = _Matching(graph_a, graph_b).matched
    back = {b: a for a, b in matched.items()}
    sources_a, sources_b = _sources(graph_a, matched.keys()), _sources(graph_b, back.keys())
    found: list[NodeComparison] = []
    for a, node in graph_a.nodes.items():
        if a not in matched:
            found.append(NodeComparison(a, None, "removed"))
            continue
        b = matched[a]
        changes = _changes(node, graph_b.nodes[b])
        if a in sources_a and b in sources_b and {matched[source] for source in sources_a[a]} != sources_b[b]:
            changes += ("wiring",)
        found.append(NodeComparison(a, b, "changed" if changes else "same" if a == b else "renamed", changes))
    found += [NodeComparison(None, b, "inserted") for b in graph_b.nodes if b not in back]
    return Comparison(tuple(found))


def _order(graph: ModelGraph) -> tuple[int, list[str], list[str]]:
    return len(graph.nodes), list(graph.nodes), [repr(node) for node in graph.nodes.values()]


def _changes(a: Node, b: Node) -> tuple[str, ...]:
    differs = {
        "class": a.class_name != b.class_name,
        "settings": a.extra_repr != b.extra_repr,
        "shapes": (a.input_shapes, a.output_shapes) != (b.input_shapes, b.output_shapes),
        "dtypes": (a.input_dtypes, a.output_dtypes) != (b.input_dtypes, b.output_dtypes),
        "parameters": (a.own_parameters, a.total_parameters) != (b.own_parameters, b.total_parameters),
        "trainable": a.trainable != b.trainable,
    }
    return tuple(what for what, is_so in differs.items() if is_so)


def _sources(graph: ModelGraph, matched: Collection[str]) -> dict[str, set[str]]:
    """Return for each box the matched nodes that its inputs come from, directly or through unmatched nodes."""
    before: dict[str, list[str]] = {}
    for edge in graph.edges:
        before.setdefault(edge.target, []).append(edge.source)
    enclosing = {node.parent for node in graph.nodes.values()}
    sources: dict[str, set[str]] = {}
    for node in graph.nodes:  # in order of execution: what a node gets stands before it
        if node not in enclosing:
            sources[node] = set()
            for source in before.get(node, ()):
                sources[node] |= {source} if source in matched else sources.get(source, set())
    return sources


class _Side:
    """One of the two graphs: its nesting, and numbers for what its nodes enclose."""

    def __init__(self, graph: ModelGraph, numbers: dict[Hashable, int]) -> None:
        self.nodes = graph.nodes
        self.nesting = Nesting(graph.nodes)
        self.exact: dict[str | None, int] = {}
        """Container, or None for the model -> a number for what it encloses, the same for both graphs."""
        self.loose: dict[str | None, int] = {}
        """As ``exact``, whatever the shapes and numbers of parameters."""
        for container in (*reversed(self.nesting.parent), None):
            if container in self.nesting.children:
                children = [self.nodes[child] for child in self.children(container)]
                loose = tuple((_what(child), self.loose.get(child.id)) for child in children)
                exact = tuple((_what(child), _measures(child), self.exact.get(child.id)) for child in children)
                self.loose[container] = numbers.setdefault(("loose", loose), len(numbers))
                self.exact[container] = numbers.setdefault(("exact", exact), len(numbers))

    def children(self, container: str | None) -> list[str]:
        """Return what ``container`` encloses, without the model's inputs and outputs."""
        children = self.nesting.children.get(container, [])
        return [child for child in children if self.nodes[child].kind not in ("input", "output")]


def _what(node: Node) -> tuple[str, str, str]:
    return node.kind, node.class_name, node.op


def _measures(node: Node) -> Hashable:
    return node.input_shapes, node.output_shapes, node.total_parameters


class _Matching:
    """Finds the pairs, step by step; a node is in one pair at most."""

    def __init__(self, graph_a: ModelGraph, graph_b: ModelGraph) -> None:
        numbers: dict[Hashable, int] = {}
        self._a, self._b = _Side(graph_a, numbers), _Side(graph_b, numbers)
        self.matched: dict[str, str] = {}
        """Node of the first graph -> node of the second."""
        self._taken: set[str] = set()
        for node in self._a.nodes:
            if self._same_id(node) and self._a.nodes[node].kind != "function" and self._equal(node, node):
                self._match(node, node)
        self._match_containers(self._a.exact, self._b.exact)
        self._match_containers(self._a.loose, self._b.loose)
        self._align_siblings()
        for node in self._a.nodes:
            if self._same_id(node) and self._a.nodes[node].kind == self._b.nodes[node].kind:
                self._match(node, node)

    def _same_id(self, node: str) -> bool:
        return node in self._b.nodes and node not in self.matched and node not in self._taken

    def _equal(self, a: str, b: str) -> bool:
        return _what(self._a.nodes[a]) == _what(self._b.nodes[b])

    def _match(self, a: str, b: str) -> None:
        self.matched[a] = b
        self._taken.add(b)

    def _match_containers(self, inside_a: dict[str | None, int], inside_b: dict[str | None, int]) -> None:
        """Match containers that enclose the same, outer ones first, in order of execution; with all they enclose."""
        candidates: dict[Hashable, deque[str | None]] = {}
        for b in (None, *self._b.nesting.parent):
            if b in inside_b and b not in self._taken:
                candidates.setdefault(inside_b[b], deque()).append(b)
        for a in (None, *self._a.nesting.parent):
            waiting = candidates.get(inside_a.get(a), deque()) if a not in self.matched else deque[str | None]()
            while waiting and waiting[0] in self._taken:
                waiting.popleft()
            if waiting and a in inside_a:
                self._match_within(a, waiting.popleft())

    def _match_within(self, a: str | None, b: str | None) -> None:
        """Match two containers that enclose the same, and pair by pair what is in them."""
        pending = [(a, b)]
        while pending:
            a, b = pending.pop()
            if a is not None and b is not None:
                self._match(a, b)
            pairs = zip(self._a.children(a), self._b.children(b), strict=True)
            pending += [(a, b) for a, b in pairs if a not in self.matched and b not in self._taken]

    def _align_siblings(self) -> None:
        pending: deque[tuple[str | None, str | None]] = deque([(None, None)])
        pending.extend((a, b) for a, b in self.matched.items() if a in self._a.nesting.children)
        while pending:
            a, b = pending.popleft()
            for pair in self._aligned(self._a.nesting.children.get(a, []), self._b.nesting.children.get(b, [])):
                self._match(*pair)
                pending.append(pair)

    def _aligned(self, a: Sequence[str], b: Sequence[str]) -> list[tuple[str, str]]:
        """Return the pairs among unmatched siblings; those that are matched already part the sequences."""
        place = {node: number for number, node in enumerate(b)}
        found: list[tuple[str, str]] = []
        begin_a = begin_b = 0
        for number, node in enumerate([*a, None]):
            here = len(b) if node is None else place.get(self.matched.get(node, ""), -1)
            if here >= begin_b:
                found += self._aligned_part(a[begin_a:number], b[begin_b:here])
                begin_a, begin_b = number + 1, here + 1
        return found

    def _aligned_part(self, a: Sequence[str], b: Sequence[str]) -> list[tuple[str, str]]:
        a = [node for node in a if node not in self.matched]
        b = [node for node in b if node not in self._taken]
        tokens_a, tokens_b = [_what(self._a.nodes[node]) for node in a], [_what(self._b.nodes[node]) for node in b]
        if len(a) * len(b) > _LARGEST_ALIGNMENT:
            pairs = zip(a, b, strict=False)  # in order, as far as they agree
            return [pair for pair in pairs if self._equal(*pair)]
        return [(a[i], b[j]) for i, j in common_subsequence(tokens_a, tokens_b)]


def common_subsequence(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return the places (in ``a``, in ``b``) of a longest common subsequence, of several the first.

    Hyyrö 2004, "Bit-parallel LCS-length computation revisited": a row of the table of lengths is one integer, whose bit
    is 0 where the length grows.
    """
    everything = (1 << len(b)) - 1
    where: dict[Hashable, int] = {}
    for place, token in enumerate(b):
        where[token] = where.get(token, 0) | 1 << place
    rows = [everything]
    for token in a:
        alike = rows[-1] & where.get(token, 0)
        rows.append(((rows[-1] + alike) | (rows[-1] - alike)) & everything)

    def length(i: int, j: int) -> int:
        return j - (rows[i] & ((1 << j) - 1)).bit_count()

    found: list[tuple[int, int]] = []
    i, j = len(a), len(b)
    while i and j:
        if rows[i] >> (j - 1) & 1:
            j -= 1
        elif length(i - 1, j) == length(i, j):
            i -= 1
        else:
            i, j = i - 1, j - 1
            found.append((i, j))
    return found[::-1]
