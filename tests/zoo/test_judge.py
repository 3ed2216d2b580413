"""The judge of the zoo sees what is wrong: a judge that cannot fail would prove nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import layerscope
from layerscope.wire import Edge, ModelGraph, Node
from traced_models import ResidualNet
from zoo.case import given
from zoo.judge import judge, silent
from zoo.truth import Truth, truth


@pytest.fixture(scope="module")
def traced() -> tuple[ModelGraph, Truth]:
    x = torch.randn(2, 3, 8, 8)
    graph, right = layerscope.trace(ResidualNet(), x), truth(ResidualNet(), given(x))
    assert judge(graph, right) == []
    return graph, right


def with_nodes(graph: ModelGraph, *changed: Node, without: str = "") -> ModelGraph:
    """Return ``graph`` with these nodes in place of those with their ids, and without one of its nodes."""
    nodes = {**graph.nodes, **{node.id: node for node in changed}}
    nodes.pop(without, None)
    edges = [edge for edge in graph.edges if without not in (edge.source, edge.target)]
    return replace(graph, nodes=nodes, edges=tuple(edges))


def said(graph: ModelGraph, right: Truth) -> str:
    return "\n".join(map(str, judge(graph, right)))


def test_the_truth_is_what_one_reads_in_the_forward(traced: tuple[ModelGraph, Truth]) -> None:
    _, right = traced
    blocks = [f"layers.{index}" for index in range(2)]
    inside = ["conv1", "bn1", "relu", "conv2", "relu#1"]
    expected = ["stem", "layers"]
    for block in blocks:
        expected += [block, *(f"{block}.{name}" for name in inside)]
    assert [call.key for call in right.calls] == [*expected, "drop", "fc"]
    assert {call.key: call.parent for call in right.calls}["layers.1.relu#1"] == "layers.1"
    assert {name for parameter in right.parameters for name in parameter.names} == dict(
        ResidualNet().named_parameters()
    ).keys()
    assert [(input_.paths, input_.reaches) for input_ in right.inputs] == [(["x"], True)]
    assert ("layers.0.conv1", "layers.0.bn1") in right.passed
    assert ("fc", "output 0") in right.passed
    assert [tuple(output.shape) for output in right.outputs] == [(2, 2)]


def test_a_leaf_that_is_missing(traced: tuple[ModelGraph, Truth]) -> None:
    graph, right = traced
    assert "missing: 'layers.1.bn1' ran and is not shown" in said(with_nodes(graph, without="layers.1.bn1"), right)


def test_one_call_of_two_that_is_missing(traced: tuple[ModelGraph, Truth]) -> None:
    graph, right = traced
    assert "missing: 'layers.0.relu#1'" in said(with_nodes(graph, without="layers.0.relu#1"), right)


def test_a_container_that_is_missing(traced: tuple[ModelGraph, Truth]) -> None:
    graph, right = traced
    wrong = said(with_nodes(graph, without="layers.0"), right)
    assert "missing: 'layers.0' ran and is not shown" in wrong
    assert "malformed: 'layers.0.conv1' stands before its parent 'layers.0', or the parent is no node" in wrong


def test_a_wrong_parent(traced: tuple[ModelGraph, Truth]) -> None:
    graph, right = traced
    wrong = with_nodes(graph, replace(graph.nodes["layers.1.conv2"], parent="layers.0"))
    assert said(wrong, right) == "misplaced: 'layers.1.conv2' was called by 'layers.1', but stands in 'layers.0'"


def test_a_call_that_never_was(traced: tuple[ModelGraph, Truth]) -> None:
    graph, right = traced
    wrong = with_nodes(graph, replace(graph.nodes["fc"], id="fc#1"))
    assert said(wrong, right) == "extra: 'fc#1' is shown and did not run"


def test_an_edge_that_is_cut(traced: tuple[ModelGraph, Truth]) -> None:
    graph, right = traced
    for index, cut in enumerate(graph.edges):
        edges = graph.edges[:index] + graph.edges[index + 1 :]
        parallel = any((edge.source, edge.target) == (cut.source, cut.target) for edge in edges)
        shortcut = graph.nodes[cut.target].op == "add" or graph.nodes[cut.source].kind == "function"
        if not parallel and not shortcut:
            assert "cut: " in said(replace(graph, edges=edges), right), cut


def test_a_parameter_and_an_input_without_a_way_out(traced: tuple[ModelGraph, Truth]) -> None:
    graph, right = traced
    wrong = said(replace(graph, edges=()), right)
    assert "cut: parameter 'stem.weight' reaches an output, but no path leads from it" in wrong
    assert "cut: 'input/x' reaches an output, but no path leads from it" in wrong
    assert "cut: 'fc' gave a tensor to 'output/0', but no path leads there" in wrong


def test_shapes_classes_order_and_ends(traced: tuple[ModelGraph, Truth]) -> None:
    graph, right = traced
    fc = graph.nodes["fc"]
    assert "wrong: 'fc' returned (2, 2), the graph says ((2, 3),)" in said(
        with_nodes(graph, replace(fc, output_shapes=((2, 3),))), right
    )
    assert "wrong: 'fc' is a Linear, not a Conv2d" in said(with_nodes(graph, replace(fc, class_name="Conv2d")), right)
    backwards = replace(graph, nodes=dict(reversed(graph.nodes.items())))
    assert "wrong: the calls are not in the order in which they ran" in said(backwards, right)
    assert "missing: 'input/x' is not shown" in said(replace(graph, inputs=()), right)
    assert "wrong: the outputs have the shapes" in said(replace(graph, outputs=()), right)
    assert "malformed: an edge ends in 'nowhere', which is no node" in said(
        replace(graph, edges=(*graph.edges, Edge("fc", "nowhere"))), right
    )
    assert "malformed: an edge ends in 'layers', which has children" in said(
        replace(graph, edges=(*graph.edges, Edge("stem", "layers"))), right
    )


def test_what_a_case_says_of_paths(traced: tuple[ModelGraph, Truth]) -> None:
    graph, right = traced
    assert said(graph, replace(right, apart=(("stem", "fc"),))) == (
        "wrong: a path leads from 'stem' to 'fc', and nothing flows there"
    )
    assert said(graph, replace(right, reaches=("nothing",))) == (
        "cut: 'nothing' reaches an output, but no path leads from it"
    )


def test_a_fault_that_a_warning_names_is_not_silent(traced: tuple[ModelGraph, Truth]) -> None:
    graph, right = traced
    wrong = with_nodes(graph, replace(graph.nodes["layers.1.conv2"], parent="layers.0"))
    (fault,) = judge(wrong, right)
    assert silent(wrong, [fault]) == [fault]
    assert silent(replace(wrong, warnings=("Of 'layers.1.conv2' it is not known who called it.",)), [fault]) == []
    assert silent(replace(wrong, warnings=("Something is wrong.",)), [fault]) == [fault]
