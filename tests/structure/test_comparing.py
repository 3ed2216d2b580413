"""compare(): what is the same, renamed, changed, inserted and removed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings, strategies

import layerscope
from hand_made_graphs import block, chain, function, graph_of, graphs, module
from layerscope.structure.comparing import common_subsequence
from layerscope.wire import Comparison, Edge, ModelGraph, Node, NodeComparison


def renamed(graph: ModelGraph, name: Callable[[str], str]) -> ModelGraph:
    def moved(node: Node) -> Node:
        parent = None if node.parent is None else name(node.parent)
        return replace(node, id=name(node.id), module=node.module and name(node.module), parent=parent)

    nodes = [moved(node) for node in graph.nodes.values()]
    return graph_of(nodes, [replace(edge, source=name(edge.source), target=name(edge.target)) for edge in graph.edges])


def not_the_same(comparison: Comparison) -> list[NodeComparison]:
    return [node for node in comparison.nodes if node.state != "same"]


def network(layers: str = "layers", *, width: int = 8) -> list[Node]:
    blocks = [n for i in range(3) for n in block(f"{layers}.{i}", "Linear", "ReLU", width=width)]
    return [module("stem", width=width), *blocks, module("head", "Head")]


@given(graphs())
@settings(max_examples=60)
def test_a_graph_is_the_same_as_itself(graph: ModelGraph) -> None:
    assert layerscope.compare(graph, graph).nodes == tuple(NodeComparison(i, i, "same") for i in graph.nodes)


@given(graphs())
@settings(max_examples=60)
def test_other_prefixes_are_renames(graph: ModelGraph) -> None:
    found = layerscope.compare(graph, renamed(graph, lambda name: f"model.{name}"))
    assert found.nodes == tuple(NodeComparison(i, f"model.{i}", "renamed") for i in graph.nodes)


@given(graphs(), graphs())
@settings(max_examples=60)
def test_the_other_way_round_it_is_mirrored(a: ModelGraph, b: ModelGraph) -> None:
    mirror = {"inserted": "removed", "removed": "inserted"}
    there = {(n.a, n.b, n.state, n.changes) for n in layerscope.compare(a, b).nodes}
    back = {(n.b, n.a, mirror.get(n.state, n.state), n.changes) for n in layerscope.compare(b, a).nodes}
    assert there == back


@given(graphs(), graphs())
@settings(max_examples=60)
def test_every_node_is_told_of_once(a: ModelGraph, b: ModelGraph) -> None:
    nodes = layerscope.compare(a, b).nodes
    assert Counter(n.a for n in nodes if n.a is not None) == Counter(list(a.nodes))
    assert Counter(n.b for n in nodes if n.b is not None) == Counter(list(b.nodes))
    assert all((n.a is None) == (n.state == "inserted") for n in nodes)
    assert all((n.b is None) == (n.state == "removed") for n in nodes)


def test_a_model_that_was_wrapped_is_renamed_and_its_wrapper_inserted() -> None:
    plain = chain(*network())
    inside = [replace(n, parent="model" if n.parent is None else f"model.{n.parent}") for n in network()]
    wrapped = chain(module("model", "Net"), *(replace(n, id=f"model.{n.id}", module=f"model.{n.id}") for n in inside))
    found = layerscope.compare(plain, wrapped).nodes
    assert found[:-1] == tuple(NodeComparison(i, f"model.{i}", "renamed") for i in plain.nodes)
    assert found[-1] == NodeComparison(None, "model", "inserted")


def test_layers_that_are_called_blocks_now() -> None:
    found = layerscope.compare(chain(*network()), chain(*network("blocks")))
    assert {(n.a, n.b, n.state) for n in not_the_same(found)} == {
        (f"layers.{i}", f"blocks.{i}", "renamed") for i in ("0", "0.0", "0.1", "1", "1.0", "1.1", "2", "2.0", "2.1")
    }


def test_renamed_and_wider_is_changed() -> None:
    found = layerscope.compare(chain(*network()), chain(*network("blocks", width=16)))
    assert {(n.a, n.b): n.changes for n in not_the_same(found)}[("layers.1.0", "blocks.1.0")] == (
        "shapes",
        "parameters",
    )
    assert {n.state for n in found.nodes} == {"same", "changed"}


def test_a_function_that_was_inserted_shifts_the_numbers_of_others_only() -> None:
    before = chain(module("a"), function("/add", "add"), module("b"), function("/add#1", "add"))
    after = chain(
        module("a"), function("/add", "add"), module("b"), function("/relu", "relu"), function("/add#1", "add")
    )
    assert not_the_same(layerscope.compare(before, after)) == [NodeComparison(None, "/relu", "inserted")]


def test_a_layer_inserted_into_a_sequential_moves_those_behind_it() -> None:
    before = chain(module("0"), module("1", "ReLU"), module("2"))
    after = chain(module("0"), module("1", "Dropout"), module("2", "ReLU"), module("3"))
    assert layerscope.compare(before, after).nodes == (
        NodeComparison("0", "0", "same"),
        NodeComparison("1", "2", "renamed"),
        NodeComparison("2", "3", "renamed"),
        NodeComparison(None, "1", "inserted"),
    )


def test_what_changed_is_named() -> None:
    before = chain(module("a"), module("act", "ReLU"), module("c"))
    after = chain(module("a", width=16), module("act", "GELU"), replace(module("c"), trainable=False))
    assert layerscope.compare(before, after).nodes == (
        NodeComparison("a", "a", "changed", ("shapes", "parameters")),
        NodeComparison("act", "act", "changed", ("class",)),
        NodeComparison("c", "c", "changed", ("trainable",)),
    )


def test_a_new_skip_connection_is_a_change_of_wiring() -> None:
    nodes = [module("a"), module("b"), function("/add", "add")]
    straight = [Edge("a", "b"), Edge("b", "/add")]
    found = layerscope.compare(graph_of(nodes, straight), graph_of(nodes, [*straight, Edge("a", "/add")]))
    assert not_the_same(found) == [NodeComparison("/add", "/add", "changed", ("wiring",))]


def test_graphs_of_nothing() -> None:
    empty = ModelGraph({}, (), (), ())
    assert layerscope.compare(empty, empty).nodes == ()
    assert layerscope.compare(empty, chain(module("a"))).nodes == (NodeComparison(None, "a", "inserted"),)


def slow_length(a: Sequence[str], b: Sequence[str]) -> int:
    """Return the length of a longest common subsequence, by the table of Wagner and Fischer 1974."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, one in enumerate(a):
        for j, other in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if one == other else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


SEQUENCES = strategies.lists(strategies.sampled_from("abc"), max_size=12)


@given(SEQUENCES, SEQUENCES)
def test_a_common_subsequence_is_common_in_order_and_the_longest(a: list[str], b: list[str]) -> None:
    found = common_subsequence(a, b)
    assert all(a[i] == b[j] for i, j in found)
    assert all(i < later_i and j < later_j for (i, j), (later_i, later_j) in pairwise(found))
    assert len(found) == slow_length(a, b)


def test_of_several_the_first_is_taken() -> None:
    assert common_subsequence(["add"], ["add", "add"]) == [(0, 0)]
    assert common_subsequence(["add", "add"], ["mul", "add"]) == [(0, 1)]


def test_a_thousand_functions_that_are_nearly_all_alike_are_aligned() -> None:
    def graph(operations: Sequence[str]) -> ModelGraph:
        nodes = {f"{op}/{i}": Node(f"{op}/{i}", "function", op=op) for i, op in enumerate(operations)}
        edges = tuple(Edge(a, b, (1,)) for a, b in pairwise(nodes))
        return ModelGraph(nodes, edges, (), (), "Model")

    found = layerscope.compare(graph(["add", "mul"] * 500), graph(["add"] * 1000)).nodes
    assert [node.a for node in found if node.a] == [f"{op}/{i}" for i, op in enumerate(["add", "mul"] * 500)]
    assert len({node.b for node in found if node.b}) == 1000
    pairs = [node for node in found if node.a and node.b]
    assert len(pairs) == 500
    assert all(node.a is not None and node.a.startswith("add") for node in pairs)
