"""``ModelGraph`` -> JSON that Google's Model Explorer opens (its *graph collection* format).

Each box is a node under its own id; the modules around it are its namespace, one part for each. A part is the whole
layer key (``model/model.layers.0``), so that data keyed by qualified names can be joined, which the last attribute
alone would not allow. Model Explorer splits namespaces at ``/`` and ``;`` and drops empty parts: in a part a look-alike
stands for each of the two characters (division slash, full-width semicolon), and ``<>`` for an empty name.
"""

from __future__ import annotations

import json
from typing import Any

from layerscope.structure.nesting import Nesting
from layerscope.wire import ModelGraph, Node

_PART = str.maketrans({"/": "\N{DIVISION SLASH}", ";": "\N{FULLWIDTH SEMICOLON}"})


def to_model_explorer(graph: ModelGraph) -> str:
    """Return ``graph`` as JSON: a graph collection that holds one graph.

    Shapes and dtypes stand at the outputs of each node; what else is known of it, and of modules that enclose others,
    stands in the attributes. Folds are left out: Model Explorer has none.
    """
    nesting = Nesting(graph.nodes)
    parts = _parts(nesting)
    namespaces = {
        node: "/".join(reversed([parts[container] for container in nesting.containers(node)]))
        for node in nesting.parent
    }
    incoming: dict[str, list[dict[str, str]]] = {}
    for edge in graph.edges:
        ends = incoming.setdefault(edge.target, [])
        output = _output(graph.nodes[edge.source], edge.shape)
        ends.append(
            {"sourceNodeId": edge.source, "sourceNodeOutputId": str(output), "targetNodeInputId": str(len(ends))}
        )
    groups = {
        "/".join(filter(None, (namespaces[node], parts[node]))): _attributes(graph.nodes[node], graph)
        for node in nesting.parent
        if node in nesting.children
    }
    whole = {"class": graph.class_name, "recorder": graph.recorder, "warnings": "\n".join(graph.warnings)}
    nodes = [
        {
            "id": node,
            "label": graph.nodes[node].class_name or graph.nodes[node].op or node,
            "namespace": namespaces[node],
            "attrs": [{"key": key, "value": value} for key, value in _attributes(graph.nodes[node], graph).items()],
            "incomingEdges": incoming.get(node, []),
            "outputsMetadata": _outputs(graph.nodes[node]),
            **({"style": {"borderColor": "#d00000"}} if node == graph.stopped_in else {}),
        }
        for node in nesting.parent
        if node not in nesting.children
    ]
    attributes = {"": {key: value for key, value in whole.items() if value}, **groups}
    label = graph.class_name or "model"
    found = {"id": label, "nodes": nodes, "groupNodeAttributes": attributes}
    return json.dumps({"label": label, "graphs": [found]})


def _parts(nesting: Nesting) -> dict[str, str]:
    """Return the part of a namespace that stands for each container; different containers get different ones."""
    parts: dict[str, str] = {}
    taken: set[str] = set()
    for node in nesting.parent:
        if node in nesting.children:
            part = node.translate(_PART) or "<>"
            while part in taken:
                part += "_"
            taken.add(part)
            parts[node] = part
    return parts


def _attributes(node: Node, graph: ModelGraph) -> dict[str, str]:
    trainable = {True: "trainable", False: "frozen", None: ""}[node.trainable]
    found = {
        "layer": node.id,
        "kind": node.kind,
        "class": node.class_name,
        "settings": node.extra_repr,
        "parameters": f"{node.total_parameters:,} {trainable}".strip() if node.total_parameters else "",
        "own parameters": f"{node.own_parameters:,}" if node.own_parameters else "",
        "tied to": ", ".join(node.tied),
        "FLOPs": "" if node.flops is None else f"{node.flops:,}",
        "activation bytes": f"{node.activation_bytes:,}" if node.activation_bytes else "",
        "source": node.source,
        "doc": node.doc,
        "stopped": "the forward raised in it" if node.id == graph.stopped_in else "",
    }
    return {key: value for key, value in found.items() if value}


def _outputs(node: Node) -> list[dict[str, Any]]:
    dtypes = (*node.output_dtypes, *[""] * len(node.output_shapes))
    return [
        {"id": str(number), "attrs": [{"key": "shape", "value": f"{dtype}[{', '.join(map(str, shape))}]"}]}
        for number, (shape, dtype) in enumerate(zip(node.output_shapes, dtypes, strict=False))
    ]


def _output(node: Node, shape: tuple[int, ...] | None) -> int:
    """Return the first output of that shape; an edge tells no more."""
    return node.output_shapes.index(shape) if shape in node.output_shapes else 0
