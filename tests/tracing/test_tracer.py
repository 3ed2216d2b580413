"""trace(): ids, parents, edges, shapes, dtypes and counts of graphs that are known."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from layerscope.errors import InvalidArgumentError
from layerscope.tracing import trace
from layerscope.wire import Edge, ModelGraph
from traced_models import PlainList, PositionEmbedding, ResidualNet, mlp


def joined(graph: ModelGraph) -> list[tuple[str, str]]:
    return [(edge.source, edge.target) for edge in graph.edges]


def test_residual_net_has_exactly_these_nodes_in_order_of_execution() -> None:
    graph = trace(ResidualNet(), torch.randn(2, 3, 8, 8))
    block = ("conv1", "bn1", "relu", "conv2", "/add", "relu#1")
    expected = [("input/x", None), ("stem", None), ("layers", None)]
    for name in ("layers.0", "layers.1"):
        expected.append((name, "layers"))
        expected += [(f"{name}{part}" if part[0] == "/" else f"{name}.{part}", name) for part in block]
    expected += [("/mean", None), ("drop", None), ("fc", None), ("output/0", None)]
    assert [(node.id, node.parent) for node in graph.nodes.values()] == expected
    assert [*graph.nodes] == [node.id for node in graph.nodes.values()]
    assert (graph.inputs, graph.outputs, graph.class_name) == (("input/x",), ("output/0",), "ResidualNet")
    assert graph.warnings == ()


def test_residual_net_has_exactly_these_edges() -> None:
    graph = trace(ResidualNet(), torch.randn(2, 3, 8, 8))
    inside, start = (2, 4, 6, 6), "stem"
    expected = {Edge("input/x", "stem", (2, 3, 8, 8))}
    for block in ("layers.0", "layers.1"):
        chain = [start, *(f"{block}.{part}" for part in ("conv1", "bn1", "relu", "conv2")), f"{block}/add"]
        chain.append(f"{block}.relu#1")
        expected |= {Edge(a, b, inside) for a, b in pairwise(chain)}
        expected.add(Edge(start, f"{block}/add", inside))  # the skip connection
        start = f"{block}.relu#1"
    expected |= {Edge(start, "/mean", inside), Edge("/mean", "drop", (2, 4)), Edge("drop", "fc", (2, 4))}
    expected.add(Edge("fc", "output/0", (2, 2)))
    assert len(graph.edges) == len(expected)
    assert set(graph.edges) == expected


def test_every_node_has_kind_name_call_shapes_and_dtypes() -> None:
    graph = trace(ResidualNet(), torch.randn(2, 3, 8, 8))
    relu = graph.nodes["layers.0.relu#1"]
    assert (relu.kind, relu.module, relu.call, relu.class_name, relu.op) == ("module", "layers.0.relu", 1, "ReLU", "")
    add = graph.nodes["layers.1/add"]
    assert (add.kind, add.module, add.class_name, add.op) == ("function", "", "", "add")
    assert add.input_shapes == ((2, 4, 6, 6), (2, 4, 6, 6))
    assert add.input_dtypes == ("float32", "float32")
    assert add.output_shapes == ((2, 4, 6, 6),)
    stem = graph.nodes["stem"]
    assert (stem.input_shapes, stem.output_shapes) == (((2, 3, 8, 8),), ((2, 4, 6, 6),))
    for node in graph.nodes.values():
        assert set(node.input_dtypes) == set(node.output_dtypes) == {"float32"}
        assert len(node.input_shapes) == len(node.input_dtypes)
        assert len(node.output_shapes) == len(node.output_dtypes)


def test_dtypes_are_those_of_the_tensors() -> None:
    graph = trace(nn.Sequential(nn.Embedding(10, 4)).double(), torch.zeros(2, 3, dtype=torch.int64))
    assert graph.nodes["0"].input_dtypes == ("int64",)
    assert graph.nodes["0"].output_dtypes == ("float64",)
    assert graph.nodes["input/input"].output_dtypes == ("int64",)
    assert graph.nodes["output/0"].input_dtypes == ("float64",)


def test_parameter_counts_and_trainable() -> None:
    model = ResidualNet()
    model.layers[0].requires_grad_(False)
    model.layers[1].conv1.requires_grad_(False)
    nodes = trace(model, torch.randn(2, 3, 8, 8)).nodes
    for node in nodes.values():
        if node.kind == "module":
            module = model.get_submodule(node.module)
            assert node.own_parameters == sum(p.numel() for p in module.parameters(recurse=False))
            assert node.total_parameters == sum(p.numel() for p in module.parameters())
    assert (nodes["layers"].own_parameters, nodes["layers"].total_parameters) == (0, 2 * (144 + 8 + 148))
    flags = {name: nodes[name].trainable for name in ("stem", "layers", "layers.0", "layers.1", "layers.1.conv1")}
    assert flags == {"stem": True, "layers": True, "layers.0": False, "layers.1": True, "layers.1.conv1": False}
    assert nodes["layers.1.relu"].trainable is None


def test_a_tied_weight_counts_once_in_the_total() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pair = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
            self.pair[1].weight = self.pair[0].weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.pair(x)

    nodes = trace(Tied(), torch.randn(1, 3)).nodes
    assert [nodes[name].total_parameters for name in ("pair", "pair.0", "pair.1")] == [9, 9, 9]


def test_single_module_is_one_node() -> None:
    graph = trace(nn.Linear(3, 2), torch.randn(4, 3))
    assert [*graph.nodes] == ["input/input", "<Linear>", "output/0"]
    node = graph.nodes["<Linear>"]
    assert (node.module, node.parent, node.class_name, node.total_parameters) == ("", None, "Linear", 8)
    assert joined(graph) == [("input/input", "<Linear>"), ("<Linear>", "output/0")]


@pytest.mark.parametrize("grad", [True, False])
def test_stock_transformer_encoder_keeps_its_layers_in_evaluation_mode(grad: bool) -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.TransformerEncoder(layer, 2).eval()
    with torch.set_grad_enabled(grad):
        graph = trace(model, torch.randn(2, 5, 8))
    for index in (0, 1):
        inside = [node.id for node in graph.nodes.values() if node.parent == f"layers.{index}"]
        parts = [".self_attn", ".dropout1", "/add", ".norm1", ".linear1", "/relu", ".dropout", ".linear2", ".dropout2"]
        assert inside == [f"layers.{index}{part}" for part in (*parts, "/add#1", ".norm2")]
        assert not [node.id for node in graph.nodes.values() if node.parent == f"layers.{index}.self_attn"]
    assert ("layers.0.norm2", "layers.1/add") in joined(graph)
    assert ("layers.0.norm2", "layers.1.self_attn") in joined(graph)
    assert ("input/src", "layers.0/add") in joined(graph)
    assert graph.nodes["layers.0"].parent is None
    assert graph.warnings == ()


def test_one_dict_in_and_a_dict_out() -> None:
    class DictModel(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.image = nn.Linear(3, 4)
            self.text = nn.Embedding(7, 4)

        def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
            image, text = self.image(batch["image"]), self.text(batch["text"]["ids"])
            return {"logits": image + text, "parts": [image, text]}

    graph = trace(DictModel(), {"image": torch.randn(2, 3), "text": {"ids": torch.tensor([1, 2])}})
    assert graph.inputs == ("input/batch.image", "input/batch.text.ids")
    assert graph.outputs == ("output/logits", "output/parts.0", "output/parts.1")
    assert set(joined(graph)) == {
        ("input/batch.image", "image"),
        ("input/batch.text.ids", "text"),
        ("image", "/add"),
        ("text", "/add"),
        ("/add", "output/logits"),
        ("image", "output/parts.0"),
        ("text", "output/parts.1"),
    }


def test_keyword_arguments_may_have_any_name() -> None:
    class Keywords(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(3, 3)
            self.second = nn.Linear(3, 3)

        def forward(self, *, depth: Any, device: Any, mode: str, model: Any, **rest: Any) -> Any:
            assert mode == "sum"
            return self.first(depth) + self.second(device) + model + rest["x"]

    x = torch.randn(2, 3)
    graph = trace(Keywords(), depth=x.clone(), device=x.clone(), mode="sum", model=x.clone(), x=x.clone())
    assert graph.inputs == ("input/depth", "input/device", "input/model", "input/x")
    assert joined(graph)[:2] == [("input/depth", "first"), ("input/device", "second")]
    assert graph.nodes["first"].input_shapes == ((2, 3),)
    assert ("input/x", "/add#2") in joined(graph)


def test_extra_positional_arguments_and_one_tensor_given_twice() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Linear(3, 3)

        def forward(self, first: Any, *others: Any) -> Any:
            return self.scale(first) + others[0] + others[1]

    x, y = torch.randn(2, 3), torch.randn(2, 3)
    graph = trace(Sum(), x, y, x)
    assert graph.inputs == ("input/first", "input/others.0", "input/others.1")
    assert set(joined(graph)) == {
        ("input/first", "scale"),
        ("input/others.1", "scale"),  # the same object as first: which of the two it is cannot be told
        ("scale", "/add"),
        ("input/others.0", "/add"),
        ("/add", "/add#1"),
        ("input/first", "/add#1"),
        ("input/others.1", "/add#1"),
        ("/add#1", "output/0"),
    }


def test_module_called_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(3, 3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(self.inner(x))

    graph = trace(Twice(), torch.randn(2, 3))
    assert [(n.id, n.module, n.call, n.parent) for n in graph.nodes.values() if n.kind == "module"] == [
        ("inner", "inner", 0, None),
        ("inner.0", "inner.0", 0, "inner"),
        ("inner#1", "inner", 1, None),
        ("inner.0#1", "inner.0", 1, "inner#1"),
    ]
    assert joined(graph) == [("input/x", "inner.0"), ("inner.0", "inner.0#1"), ("inner.0#1", "output/0")]


def test_module_under_two_names_goes_by_the_first() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(3, 3)
            self.second = self.first

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(self.first(x))

    graph = trace(Shared(), torch.randn(2, 3))
    assert joined(graph) == [("input/x", "first"), ("first", "first#1"), ("first#1", "output/0")]


def test_modules_in_a_plain_list_are_named_after_their_class() -> None:
    graph = trace(PlainList(), torch.randn(2, 3))
    assert [*graph.nodes] == ["input/x", "<Linear>", "<ReLU>", "<Linear>#1", "head", "output/0"]
    assert [graph.nodes[name].module for name in ("<Linear>", "<Linear>#1", "head")] == ["", "", "head"]
    assert len(graph.edges) == 5
    assert graph.warnings == ()


def test_containers_without_functions_of_their_own_pass_tensors_on() -> None:
    model = nn.Sequential(nn.Identity(), nn.Sequential(), nn.Sequential(nn.Sequential(nn.Linear(3, 3))))
    graph = trace(model, torch.randn(2, 3))
    assert {node.id: node.parent for node in graph.nodes.values() if node.kind == "module"} == {
        "0": None,
        "1": None,
        "2": None,
        "2.0": "2",
        "2.0.0": "2.0",
    }
    assert joined(graph) == [("input/input", "0"), ("0", "1"), ("1", "2.0.0"), ("2.0.0", "output/0")]


def test_lstm_is_one_node_with_all_its_outputs() -> None:
    graph = trace(nn.Sequential(nn.LSTM(3, 4, batch_first=True)), torch.randn(2, 5, 3))
    assert graph.nodes["0"].output_shapes == ((2, 5, 4), (1, 2, 4), (1, 2, 4))
    assert graph.outputs == ("output/0", "output/1.0", "output/1.1")
    assert joined(graph) == [("input/input", "0"), *(("0", output) for output in graph.outputs)]


def test_embedding_fed_by_a_buffer_is_there_and_connected_to_what_uses_it() -> None:
    graph = trace(PositionEmbedding(), torch.zeros(2, 5, dtype=torch.int64))
    assert [*graph.nodes] == ["input/ids", "tokens", "position_ids", "positions", "/add", "output/0"]
    assert (graph.nodes["position_ids"].kind, graph.nodes["position_ids"].class_name) == ("parameter", "Buffer")
    assert Edge("position_ids", "positions", (5,)) in graph.edges
    assert Edge("positions", "/add", (5, 4)) in graph.edges
    assert (graph.nodes["positions"].input_shapes, graph.nodes["positions"].input_dtypes) == (((5,),), ("int64",))
    assert graph.warnings == ()


def test_creation_functions_that_take_tensors_do_not_cut_the_flow() -> None:
    class Complex(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.real = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.complex(self.real(x), torch.zeros_like(x)).abs()

    graph = trace(Complex(), torch.randn(2, 3))
    assert set(joined(graph)) == {
        ("input/x", "real"),
        ("input/x", "/zeros_like"),
        ("real", "/complex"),
        ("/zeros_like", "/complex"),
        ("/complex", "/abs"),
        ("/abs", "output/0"),
    }


def test_assignment_to_a_slice_keeps_the_flow() -> None:
    class Assigns(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(3, 3)
            self.second = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = torch.zeros(2, 3)
            out[:, :] = self.first(x)
            return self.second(out)

    graph = trace(Assigns(), torch.randn(2, 3))
    assert set(joined(graph)) == {
        ("input/x", "first"),
        ("/zeros", "/__setitem__"),
        ("first", "/__setitem__"),
        ("/__setitem__", "second"),
        ("second", "output/0"),
    }
    assert graph.warnings == ()


def test_nesting_comes_from_the_calls_not_from_the_tensors() -> None:
    class Box:  # an object into which torchview does not look
        def __init__(self, tensor: torch.Tensor) -> None:
            self.tensor = tensor

    class Wrap(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> Box:
            return Box(self.inner(x))

    class Unwrap(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(3, 3)

        def forward(self, box: Box) -> torch.Tensor:
            return self.inner(box.tensor) * 2

    graph = trace(nn.Sequential(Wrap(), Unwrap()), torch.randn(2, 3))
    assert {node.id: node.parent for node in graph.nodes.values() if node.parent} == {
        "0.inner": "0",
        "1.inner": "1",
        "1/mul": "1",
    }
    assert joined(graph) == [
        ("input/input", "0.inner"),
        ("0.inner", "1.inner"),
        ("1.inner", "1/mul"),
        ("1/mul", "output/0"),
    ]


def test_ids_are_unique_whatever_the_modules_are_called() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name in ("input/x", "output/0", "/add", "conv", "conv#1", "conv##1", "<Linear>"):
                self.add_module(name, nn.Linear(3, 3))
            self.unregistered = [nn.Linear(3, 3)]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for module in [*self.children(), self.conv, self.unregistered[0]]:
                x = module(x) + 1
            return x

    graph = trace(Odd(), torch.randn(2, 3))
    modules = [node.id for node in graph.nodes.values() if node.kind == "module"]
    named = ["input/x", "output/0", "/add", "conv", "conv#1", "conv##1", "<Linear>"]
    assert modules == [*named, "conv###1", "<Linear>#1"]
    assert (graph.inputs, graph.outputs) == (("input/x#1",), ("output/0#1",))
    assert len(graph.nodes) == 1 + 9 + 9 + 1
    assert graph.warnings == ()


def test_a_compiled_model_is_traced_as_its_original() -> None:
    model = mlp()
    x = torch.randn(2, 3)
    assert trace(torch.compile(model, backend="eager"), x) == trace(model, x)


def test_property_of_a_tensor_goes_by_its_name() -> None:
    class Transposes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(x).T

    assert trace(Transposes(), torch.randn(2, 3)).nodes["/T"].output_shapes == ((3, 2),)


def test_only_modules_can_be_traced() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^trace\(\) needs a torch.nn.Module, but was given function\.$"):
        trace(mlp, torch.randn(2, 3))  # type: ignore[arg-type]
