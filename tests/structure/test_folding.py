"""fold(): what is folded, what is not, and that nothing is lost; drawn() counts what is then seen."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_made_graphs import block, chain, function, graph_of, graphs, module
from layerscope.structure.folding import drawn, fold
from layerscope.wire import Edge, Fold, ModelGraph, Node


def only(graph: ModelGraph) -> Fold:
    (found,) = graph.folds
    return found


def test_equal_blocks_with_weights_of_their_own_are_one_fold() -> None:
    graph = chain(*(node for i in range(12) for node in block(f"layers.{i}", "Linear", "ReLU")))
    assert only(graph) == Fold(
        "layers.0…layers.11",
        None,
        tuple((f"layers.{i}",) for i in range(12)),
        "layers.0…11 (12)",
        shared=False,
        uniform=True,
    )
    assert drawn(graph) == 2


def test_calls_of_the_same_weights_are_told_apart() -> None:
    cells = [n for i in range(5) for n in (function(f"/getitem#{i}", "getitem"), module("cell", "LSTMCell", call=i))]
    graph = chain(*cells, module("head"))
    found = only(graph)
    assert (found.label, found.shared, found.uniform) == ("cell ×5", True, True)
    assert found.members[1] == ("/getitem#1", "cell#1")
    assert drawn(graph) == 3


def test_pairs_are_found() -> None:
    """Swin's plain and shifted blocks take turns."""
    blocks = [block(f"blocks.{i}", "Norm", *(["Roll"] if i % 2 else []), "Linear") for i in range(8)]
    graph = chain(*(node for nodes in blocks for node in nodes))
    found = only(graph)
    assert found.members == tuple((f"blocks.{i}", f"blocks.{i + 1}") for i in range(0, 8, 2))
    assert found.label == "blocks.0…7 (4 × 2)"


@pytest.mark.parametrize(
    "nodes",
    [
        [
            module("0", width=784),
            module("1", "ReLU"),
            module("2", width=256),
            module("3", "ReLU"),
            module("4", width=64),
        ],
        [module(str(i), ("Conv2d", "ReLU")[i % 2]) for i in range(8)],
        [node for i in range(2) for node in block(f"layers.{i}", "Linear", "ReLU")],
        [node for i in range(4) for node in block(f"layers.{i}", "Linear", "ReLU", width=8 << i)],
        [function(f"view#{i}", "view", width=i + 1) for i in range(9)],
    ],
    ids=[
        "growing mlp",
        "four convolutions",
        "two blocks",
        "four blocks of growing widths",
        "functions of other shapes",
    ],
)
def test_small_models_keep_their_boxes(nodes: list[Node]) -> None:
    assert chain(*nodes).folds == ()


def test_five_equal_pairs_of_leaves_are_folded() -> None:
    assert only(chain(*(module(str(i), ("Linear", "ReLU")[i % 2]) for i in range(10)))).label == "0…9 (5 × 2)"


def dense(layers: int, to_output: list[str]) -> ModelGraph:
    """Dense layers: each takes the outputs of all before it, and is wider."""
    nodes, edges = [function("stem", "stem")], []
    for i in range(layers):
        nodes += block(f"layer{i}", "Conv2d", width=8 + i)
        edges += [Edge(source, f"layer{i}.0") for source in ("stem", *(f"layer{j}.0" for j in range(i)))]
    nodes += [function(target, "cat") for target in dict.fromkeys(to_output)]
    return graph_of(nodes, edges + [Edge(f"layer{i}.0", target) for i, target in enumerate(to_output)])


def test_containers_of_growing_widths_are_folded_and_are_not_uniform() -> None:
    found = only(dense(6, ["cat"] * 6))
    assert (found.label, found.uniform, len(found.members)) == ("layer0…5 (6)", False, 6)


def test_stages_that_each_lead_elsewhere_are_not_folded() -> None:
    """Else a U-Net would hide its U."""
    (cats,) = dense(6, [f"cat{i}" for i in range(6)]).folds
    assert cats.label == "cat ×6"


def test_members_must_be_joined_equally() -> None:
    """Six blocks in a chain, but the fourth skips the third."""
    nodes = [node for i in range(6) for node in block(f"b{i}", "Linear")]
    joined = [(0, 1), (1, 2), (1, 3), (3, 4), (4, 5)]
    folds = graph_of(nodes, [Edge(f"b{a}.0", f"b{b}.0") for a, b in joined]).folds
    assert [fold.members for fold in folds] == [(("b0",), ("b1",), ("b2",)), (("b3",), ("b4",), ("b5",))]


def test_folds_lie_in_folds() -> None:
    one = [*["A"] * 5, "B"]
    graph = chain(*(module(str(i), one[i % 6]) for i in range(30)))
    outer, *inner = graph.folds
    assert [fold.id for fold in inner] == [member[0] for member in outer.members]
    assert [member[1] for member in outer.members] == ["5", "11", "17", "23", "29"]
    assert inner[1].members == tuple((str(i),) for i in range(6, 11))
    assert drawn(graph) == 2


def test_a_stage_is_like_a_longer_stage_if_it_fills_the_screen() -> None:
    def stage(name: str, blocks: int, leaves: int) -> list[Node]:
        classes = [f"C{i}" for i in range(leaves)]
        inner = [node for i in range(blocks) for node in block(f"{name}.{i}", *classes, parent=name)]
        return [module(name, "Stage"), *inner]

    small = chain(*stage("s0", 3, 4), *stage("s1", 9, 4), *stage("s2", 3, 4))
    assert [fold.parent for fold in small.folds] == ["s0", "s1", "s2"]
    large = chain(*stage("s0", 3, 40), *stage("s1", 9, 40), *stage("s2", 3, 40))
    assert (large.folds[0].label, large.folds[0].uniform) == ("s0…2 (3)", False)
    assert [fold.parent for fold in large.folds] == [None, "s0", "s1", "s2"]


def test_calls_of_one_module_repeat_though_what_they_take_grows() -> None:
    nodes, edges = [], []
    for i in range(6):
        grown = replace(module("mean", "Mean", call=i), input_shapes=((1, 8),) * (i + 1))
        nodes += [grown, module("linear", call=i)]
        edges += [Edge(nodes[2 * j + 1].id, grown.id) for j in range(i)] + [Edge(grown.id, nodes[-1].id)]
    found = only(graph_of(nodes, edges))
    assert (found.label, found.shared, found.uniform) == ("mean, linear ×6", True, False)


def test_a_loop_whose_first_round_differs_begins_with_a_whole_round() -> None:
    ops = ["getitem", "linear", "tanh"] + ["getitem", "linear", "hidden", "add", "tanh"] * 6
    nodes = [function(f"{i}", op) for i, op in enumerate(ops)]
    edges, last, state = [], None, None
    for node in nodes:
        if node.op in ("linear", "add"):
            edges.append(Edge(last or "", node.id))
        elif node.op == "hidden":
            edges.append(Edge(state or "", node.id))
        elif node.op == "tanh":
            edges.append(Edge(last or "", node.id))
            state = node.id
        last = node.id
    found = only(graph_of(nodes, edges))
    assert [nodes[int(node)].op for node in found.members[0]] == ["getitem", "linear", "hidden", "add", "tanh"]
    assert len(found.members) == 6


def test_what_the_forward_did_not_end_is_not_folded_with_the_rest() -> None:
    nodes = [node for i in range(5) for node in block(f"b{i}", "Linear", "ReLU")]
    assert only(chain(*nodes[:-1])).members == tuple((f"b{i}",) for i in range(4))


def test_frozen_and_trainable_layers_are_told_apart() -> None:
    nodes = [node for i in range(8) for node in block(f"b{i}", "Linear", "ReLU")]
    frozen = [replace(node, trainable=False) if i < 12 else node for i, node in enumerate(nodes)]
    assert [fold.label for fold in chain(*frozen).folds] == ["b0…3 (4)", "b4…7 (4)"]


def test_ids_of_folds_are_new() -> None:
    taken = module("0…4", "Other")
    assert only(chain(taken, *(module(str(i)) for i in range(5)))).id == "0…4…"


def signature(graph: ModelGraph, item: str) -> object:
    """An independent reading of what an item is: class or operation and, of all inside, the same."""
    folds = {fold.id: fold for fold in graph.folds}
    if item in folds:
        return [[signature(graph, inner) for inner in member] for member in folds[item].members]
    node = graph.nodes[item]
    inside = [signature(graph, child.id) for child in graph.nodes.values() if child.parent == item]
    return (node.kind, node.class_name, node.op, node.output_shapes, inside)


@given(graphs())
@settings(max_examples=60)
def test_folds_lose_nothing_and_hold_equal_members(graph: ModelGraph) -> None:
    folds = {fold.id: fold for fold in graph.folds}
    assert len(folds) == len(graph.folds)
    assert not folds.keys() & graph.nodes.keys()
    items = [item for fold in graph.folds for member in fold.members for item in member]
    assert len(items) == len(set(items))
    assert set(items) <= graph.nodes.keys() | folds.keys()
    for found in graph.folds:
        assert len(found.members) >= 2
        assert len({len(member) for member in found.members}) == 1
        parents = {folds[i].parent if i in folds else graph.nodes[i].parent for m in found.members for i in m}
        assert parents == {found.parent}
        if found.uniform:
            first, *others = [[signature(graph, item) for item in member] for member in found.members]
            assert all(other == first for other in others)

    def unfolded(item: str) -> list[str]:
        return [n for m in folds[item].members for i in m for n in unfolded(i)] if item in folds else [item]

    order = list(graph.nodes)
    for found in graph.folds:
        nodes = unfolded(found.id)
        siblings = [node for node in order if graph.nodes[node].parent == found.parent]
        start = siblings.index(nodes[0])
        assert nodes == siblings[start : start + len(nodes)]  # all of a stretch of siblings, in order
    boxes = len(graph.nodes) - len({node.parent for node in graph.nodes.values()} - {None})
    assert 1 <= drawn(graph) <= boxes == drawn(replace(graph, folds=()))


@given(st.integers(5, 30), st.lists(st.sampled_from("ABCDEF"), min_size=1, unique=True), st.integers(0, 3))
@settings(max_examples=60)
def test_repetition_is_found(times: int, pattern: list[str], before: int) -> None:
    nodes = [module(f"x{i}", f"X{i}") for i in range(before)]
    nodes += [module(str(i), each) for i, each in enumerate(pattern * times)]
    assert drawn(chain(*nodes)) <= before + len(pattern)


def test_twenty_thousand_nodes_take_well_under_a_second() -> None:
    blocks = [node for i in range(800) for node in block(f"b{i}", *(f"C{j}" for j in range(24)))]
    flat = [module(str(i)) for i in range(20_000)]
    for nodes, boxes in ((blocks, 24), (flat, 1)):
        enclosing = {node.parent for node in nodes}
        boxes_in_order = [node.id for node in nodes if node.id not in enclosing]
        edges = tuple(Edge(a, b) for a, b in pairwise(boxes_in_order))
        bare = ModelGraph({node.id: node for node in nodes}, edges, (), ())
        began = time.process_time()
        folds = fold(bare)
        assert time.process_time() - began < 2  # 0.3 s to 0.6 s, measured; a quadratic way would take minutes
        assert drawn(replace(bare, folds=folds)) == boxes
