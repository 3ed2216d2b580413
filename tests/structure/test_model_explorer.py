"""to_model_explorer(): the fields that Model Explorer reads, with names that would break its namespaces."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings

from hand_made_graphs import HOSTILE, block, chain, graphs, module
from layerscope.structure.model_explorer import to_model_explorer
from layerscope.wire import ModelGraph


def opened(graph: ModelGraph) -> dict[str, Any]:
    collection = json.loads(to_model_explorer(graph))
    assert set(collection) == {"label", "graphs"}  # a single collection is what the viewer takes from a file
    (only,) = collection["graphs"]
    return only


def test_a_block_is_a_namespace_of_whole_layer_keys() -> None:
    graph = chain(module("model", "Net"), *block("model.layers.0", "Linear", "ReLU", parent="model"), module("head"))
    found = opened(graph)
    first, second, head = found["nodes"]
    assert (first["id"], first["label"], first["namespace"]) == ("model.layers.0.0", "Linear", "model/model.layers.0")
    assert {"key": "parameters", "value": "8 trainable"} in first["attrs"]
    assert second["incomingEdges"] == [
        {"sourceNodeId": "model.layers.0.0", "sourceNodeOutputId": "0", "targetNodeInputId": "0"}
    ]
    assert second["outputsMetadata"] == [{"id": "0", "attrs": [{"key": "shape", "value": "[1, 8]"}]}]
    assert (head["id"], head["namespace"]) == ("head", "")
    assert found["groupNodeAttributes"]["model/model.layers.0"]["class"] == "Block"
    assert found["groupNodeAttributes"][""] == {"class": "Net"}


def test_separators_in_names_do_not_break_namespaces() -> None:
    graph = chain(*block("a/b;c", "Linear"), *block("", "Linear"), *block("<>", "Linear"))
    assert [node["namespace"] for node in opened(graph)["nodes"]] == [
        "a\N{DIVISION SLASH}b\N{FULLWIDTH SEMICOLON}c",
        "<>",
        "<>_",
    ]


@given(graphs(HOSTILE))
@settings(max_examples=60)
def test_every_box_and_edge_is_there_under_its_own_name(graph: ModelGraph) -> None:
    enclosing = {node.parent for node in graph.nodes.values()}
    found = opened(graph)
    depth = {None: 0}
    for node in graph.nodes.values():
        depth[node.id] = depth[node.parent] + 1
    assert {node["id"]: len([part for part in node["namespace"].split("/") if part]) for node in found["nodes"]} == {
        node.id: depth[node.parent] for node in graph.nodes.values() if node.id not in enclosing
    }
    edges = [(edge["sourceNodeId"], node["id"]) for node in found["nodes"] for edge in node["incomingEdges"]]
    assert sorted(edges) == sorted((edge.source, edge.target) for edge in graph.edges)
    assert len(found["groupNodeAttributes"]) == 1 + len(enclosing - {None})
