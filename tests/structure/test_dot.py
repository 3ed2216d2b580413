r"""to_dot(): the DOT is read back by an independent reader, so that what Graphviz sees is what the graph says.

The reader below follows the grammar's rules for quoted names (only ``\"`` is an escape); where the dot program is
installed, the same is checked with it.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_made_graphs import HOSTILE, block, chain, function, graph_of, graphs, module
from layerscope.errors import InvalidArgumentError
from layerscope.structure.dot import to_dot
from layerscope.tracing import trace
from layerscope.wire import Edge, ModelGraph, Node
from traced_models import ResidualNet, mlp

ODD_NAMES = (
    "a:b", "a:b:c", 'say "hi"', "back\\slash", "ends\\", 'both\\"', "two\\\\", "<Linear>", "<b>bold</b>", "<", ">",
    "a<b", "a&lt;b", "&amp;", "node", "graph", "1", "-1.5", "", " ", "a b", "new\nline", "tab\t", "nul\x00", "\\n",
    "\\u000a", "\x1b[0m", "\ud800", "é", "層", "😀", "{a|b}", "\\N", "a->b", "a;b", "[x]",
    "%", "%a", "%3", "/* c */", "// c", "# c", "a\\\nb",
)  # fmt: skip

# As Graphviz's own scanner: in quotes, two backslashes belong together, and a backslash before a quote escapes it.
TOKEN = re.compile(r'\s*("(?:\\.|[^"\\])*"|->|[\[\]{}=;,]|[^\s"\[\]{}=;,]+)', re.DOTALL)


@dataclass
class Read:
    """What stands in DOT source."""

    nodes: dict[str, dict[str, str]] = field(default_factory=dict)
    parents: dict[str, str | None] = field(default_factory=dict)
    clusters: dict[str, str | None] = field(default_factory=dict)
    labels: dict[str | None, str] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)


def name_of(token: str) -> str:
    if not token.startswith('"'):
        return token
    return re.sub(r'\\(["\\])', lambda match: '"' if match[1] == '"' else match[0], token[1:-1])


def read_dot(source: str) -> Read:
    """Read the subset of DOT that consists of node, edge, attribute and subgraph statements."""
    tokens = [match[1] for match in TOKEN.finditer(source)]
    read, inside, position = Read(), [None], tokens.index("{") + 1

    def attributes() -> dict[str, str]:
        nonlocal position
        if position >= len(tokens) or tokens[position] != "[":
            return {}
        start, position = position + 1, tokens.index("]", position) + 1
        inner = tokens[start : position - 1]
        return {inner[i]: name_of(inner[i + 2]) for i in range(0, len(inner), 3)}

    while position < len(tokens):
        token, following = tokens[position], tokens[position + 1 : position + 3]
        position += 1
        if token == "}":
            inside.pop()
        elif token == "subgraph":
            cluster = name_of(following[0])
            read.clusters[cluster] = inside[-1]
            inside.append(cluster)
            position += 2
        elif following[0] == "=":
            position += 2
            if token == "label":
                read.labels[inside[-1]] = name_of(following[1])
        elif following[0] == "->":
            position += 2
            read.edges.append((name_of(token), name_of(following[1])))
            attributes()
        else:
            found = attributes()
            if token not in ("graph", "node", "edge"):
                read.nodes[name_of(token)] = found
                read.parents[name_of(token)] = inside[-1]
    return read


def original(name: str) -> str:
    """Undo what the docstring of dot.py says: doubled backslashes and control characters as \\u000a."""
    return re.sub(r"\\(?:\\|u([0-9a-f]{4}))", lambda match: chr(int(match[1], 16)) if match[1] else "\\", name)


def odd_graph() -> ModelGraph:
    nodes = {"box": Node("box", "module", class_name="Box")}
    nodes |= {name: Node(name, "module", parent="box", class_name=f"C {name}") for name in ODD_NAMES}
    inner = {f"{name}/f": Node(f"{name}/f", "function", parent=name, op="f") for name in ODD_NAMES[::2]}
    leaves = [name for name in ODD_NAMES if f"{name}/f" not in inner] + [*inner]
    edges = tuple(Edge(a, b, (1,)) for a, b in pairwise(leaves))
    return ModelGraph(nodes | inner, edges, (), (), class_name='M "<x>"')


def expected(graph: ModelGraph) -> tuple[dict[str, str | None], dict[str, str | None], list[tuple[str, str]]]:
    enclosing = {node.parent for node in graph.nodes.values()}

    def cluster(parent: str | None) -> str | None:
        return None if parent is None else f"cluster_{parent}"

    boxes = {node.id: cluster(node.parent) for node in graph.nodes.values() if node.id not in enclosing}
    clusters = {f"cluster_{node.id}": cluster(node.parent) for node in graph.nodes.values() if node.id in enclosing}
    return boxes, clusters, [(edge.source, edge.target) for edge in graph.edges]


@pytest.mark.parametrize(
    "graph",
    [
        odd_graph(),
        trace(ResidualNet(), torch.randn(2, 3, 8, 8)),
        trace(mlp(), torch.randn(2, 3)),
        ModelGraph({}, (), (), ()),
    ],
    ids=["odd names", "residual", "mlp", "empty"],
)
def test_source_holds_every_node_cluster_and_edge(graph: ModelGraph) -> None:
    read = read_dot(to_dot(graph))
    boxes, clusters, edges = expected(graph)

    def back(name: str | None) -> str | None:
        return None if name is None else original(name)

    assert {back(name): back(parent) for name, parent in read.parents.items()} == boxes
    assert {back(name): back(parent) for name, parent in read.clusters.items()} == clusters
    assert [(original(a), original(b)) for a, b in read.edges] == edges


def test_boxes_have_torchviews_colours_and_labels_say_name_class_or_op_and_shape() -> None:
    nodes = read_dot(trace(ResidualNet(), torch.randn(2, 3, 8, 8)).to_dot()).nodes
    shown = {
        name: (nodes[name]["fillcolor"], nodes[name]["label"]) for name in ("input/x", "stem", "/mean", "output/0")
    }
    assert shown == {
        "input/x": ("lightyellow", "input/x\\n(2, 3, 8, 8)"),
        "stem": ("darkseagreen1", "stem\\nConv2d\\n(2, 4, 6, 6)"),
        "/mean": ("aliceblue", "/mean\\nmean\\n(2, 4)"),
        "output/0": ("lightyellow", "output/0\\n(2, 2)"),
    }


def test_a_cluster_is_labelled_with_name_and_class() -> None:
    assert read_dot(trace(mlp(), torch.randn(2, 3)).to_dot()).labels == {"cluster_2": "2\\nSequential"}


def shown(label: str) -> list[str]:
    """Return the lines that Graphviz shows for a label: it knows backslash escapes and HTML entities."""
    broken = re.sub(r"\\(.)", lambda match: {"n": "\n", "\\": "\\"}[match[1]], label)
    return html.unescape(broken).split("\n")


def test_labels_show_names_literally() -> None:
    """No escape of Graphviz (``\\N`` is the name of the node) and no HTML comes from the name of a module."""
    nodes = read_dot(to_dot(odd_graph())).nodes
    for name in ODD_NAMES[1::2]:
        (label,) = (shown(found["label"]) for key, found in nodes.items() if original(key) == name)
        visible = re.sub("[\x00-\x1f\ud800]", lambda match: f"\\u{ord(match[0]):04x}", name)
        assert label == [visible, f"C {visible}"]


def test_equal_graphs_give_equal_source() -> None:
    x = torch.randn(2, 3)
    assert to_dot(trace(mlp(), x)) == to_dot(trace(mlp(), x))


def graphviz_reads(source: str) -> tuple[set[str], list[tuple[str, str]]]:
    # stderr is kept apart: dot warns of fonts.
    done = subprocess.run(["dot", "-Tjson0"], input=source.encode(), capture_output=True, check=True, timeout=60)
    assert b"rror" not in done.stderr, done.stderr.decode()
    objects = json.loads(done.stdout, strict=False)
    names = [item["name"] for item in objects.get("objects", [])]
    edges = [(names[edge["tail"]], names[edge["head"]]) for edge in objects.get("edges", [])]
    return {name for name in names if not name.startswith("cluster_")}, edges


def test_graphviz_reads_what_our_reader_reads() -> None:
    """The reader of this file is checked against Graphviz itself wherever that is installed."""
    source = to_dot(odd_graph())
    read = read_dot(source)
    if shutil.which("dot") is None:
        assert len(read.nodes) == len(expected(odd_graph())[0])  # the reader alone has to do
        return
    names, edges = graphviz_reads(source)
    assert names == set(read.nodes)
    assert sorted(edges) == sorted(read.edges)


@given(graphs(HOSTILE), st.booleans(), st.none() | st.integers(1, 3))
@settings(max_examples=60)
def test_names_of_any_kind_come_back_from_graphviz(graph: ModelGraph, folded: bool, depth: int | None) -> None:
    source = to_dot(graph, folded=folded, depth=depth)
    read = read_dot(source)
    names = {original(name) for name in read.nodes}
    assert names <= graph.nodes.keys()
    if not folded and depth is None:
        assert names == expected(graph)[0].keys()
        assert [(original(a), original(b)) for a, b in read.edges] == expected(graph)[2]
    clusters = {original(name).removeprefix("cluster_") for name in read.clusters}
    assert clusters <= graph.nodes.keys() | {fold.id for fold in graph.folds}
    if shutil.which("dot") is not None:
        seen, edges = graphviz_reads(source)
        assert seen == set(read.nodes)
        assert sorted(edges) == sorted(read.edges)


def two_levels() -> ModelGraph:
    """stem -> body (three blocks in a chain) -> head."""
    blocks = [node for i in range(3) for node in block(f"body.{i}", "Linear", "ReLU", parent="body")]
    return chain(module("stem"), module("body", "Body"), *blocks, module("head"))


def test_folded_shows_the_first_member_with_the_edges_of_all() -> None:
    read = read_dot(to_dot(two_levels(), folded=True))
    assert set(read.nodes) == {"stem", "body.0.0", "body.0.1", "head"}
    fold = "cluster_body.0…body.2"
    assert read.clusters == {"cluster_body": None, fold: "cluster_body", "cluster_body.0": fold}
    assert read.labels[fold] == "0…2 (3)"
    assert read.edges == [
        ("stem", "body.0.0"),
        ("body.0.0", "body.0.1"),
        ("body.0.1", "body.0.0"),
        ("body.0.1", "head"),
    ]


def test_edges_from_one_member_to_the_next_are_dashed() -> None:
    lines = to_dot(two_levels(), folded=True).splitlines()
    dashed = [line.strip() for line in lines if "style=dashed constraint=false" in line]
    assert dashed == ['"body.0.1" -> "body.0.0" [label="(1, 8)" style=dashed constraint=false]']


def test_what_lies_deeper_is_closed_and_its_edges_are_lifted() -> None:
    top = read_dot(two_levels().to_dot(depth=1))
    assert (list(top.nodes), top.clusters) == (["stem", "body", "head"], {})
    assert top.edges == [("stem", "body"), ("body", "head")]
    second = read_dot(two_levels().to_dot(depth=2))
    assert list(second.clusters) == ["cluster_body"]
    assert second.edges == [("stem", "body.0"), ("body.0", "body.1"), ("body.1", "body.2"), ("body.2", "head")]
    assert to_dot(two_levels(), depth=9) == to_dot(two_levels())


def test_folded_to_a_depth() -> None:
    read = read_dot(to_dot(two_levels(), folded=True, depth=2))
    assert set(read.nodes) == {"stem", "body.0", "head"}
    assert read.edges == [("stem", "body.0"), ("body.0", "body.0"), ("body.0", "head")]


def test_a_depth_of_none_is_refused_in_words() -> None:
    with pytest.raises(InvalidArgumentError, match=r"depth must be 1 \(top level only\) or more.*it is 0"):
        two_levels().to_dot(depth=0)


def test_parameters_frozen_and_tied_layers_and_where_the_forward_stopped_are_seen() -> None:
    weight = Node("scale", "parameter", class_name="Parameter", output_shapes=((8,),))
    frozen = replace(module("encoder"), trainable=False, tied=("head.weight",))
    graph = graph_of([weight, frozen, function("/mul", "mul")], [Edge("scale", "/mul"), Edge("encoder", "/mul")])
    nodes = read_dot(to_dot(replace(graph, stopped_in="/mul"))).nodes
    assert nodes["scale"]["shape"] == "ellipse"
    assert nodes["encoder"]["color"] == "gray60"
    assert shown(nodes["encoder"]["label"]) == ["encoder", "Linear", "(1, 8)", "tied to head.weight", "frozen"]
    assert nodes["/mul"]["color"] == "red"
    assert shown(nodes["/mul"]["label"])[-1] == "the forward stopped here"


def test_a_forward_that_stopped_in_a_closed_module_marks_that_module() -> None:
    graph = replace(two_levels(), stopped_in="body.1.1")
    nodes = read_dot(to_dot(graph, depth=1)).nodes
    assert [name for name, found in nodes.items() if found.get("color") == "red"] == ["body"]
