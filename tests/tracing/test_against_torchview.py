"""The nodes are those that torchview itself draws, without its auxiliary tensor nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torchview import draw_graph
from torchview.computation_node import ModuleNode, TensorNode

from layerscope.tracing import trace
from layerscope.tracing.assemble import assemble
from layerscope.tracing.torchview_recorder import record_with_torchview
from layerscope.wire import ModelGraph
from traced_models import ResidualNet, UNet, mlp


def drawn(model: nn.Module, x: torch.Tensor) -> Counter[tuple[str, str]]:
    """Return (kind, name) of each box and each cluster of torchview's picture."""
    graph = draw_graph(model, [x], depth=100, expand_nested=True, device="cpu")
    found: Counter[tuple[str, str]] = Counter()

    def walk(items: Any) -> None:
        for item in items:
            node, inside = next(iter(item.items())) if isinstance(item, dict) else (item, ())
            is_cluster = isinstance(node, ModuleNode) and not node.is_container  # its name is inverted
            if (is_cluster and node.depth >= 1) or (id(node) in graph.node_set and not isinstance(node, TensorNode)):
                found["module" if isinstance(node, ModuleNode) else "function", node.name] += 1
            if is_cluster:
                walk(inside)

    for inside in graph.node_hierarchy.values():
        walk(inside)
    return found


MODELS = [
    pytest.param(ResidualNet(), (2, 3, 8, 8), id="residual"),
    pytest.param(mlp(), (2, 3), id="mlp"),
    pytest.param(UNet(), (1, 1, 16, 16), id="unet"),
]


def through_torchview(model: nn.Module, x: torch.Tensor) -> ModelGraph:
    return assemble(model, record_with_torchview(model, (x,), {}))


@pytest.mark.parametrize("traced", [trace, through_torchview])
@pytest.mark.parametrize(("model", "shape"), MODELS)
def test_same_modules_and_functions_as_torchview(
    model: nn.Module, shape: tuple[int, ...], traced: Callable[..., ModelGraph]
) -> None:
    x = torch.randn(shape)
    ours = Counter(
        (node.kind, node.class_name or node.op)
        for node in traced(model, x).nodes.values()
        if node.kind in ("module", "function")
    )
    theirs = drawn(model, x)
    assert ours == theirs
    assert ours.total() > 5


@pytest.mark.parametrize(("model", "shape"), MODELS)
def test_modes_and_torchview_give_the_same_nodes_and_edges(model: nn.Module, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    modes, torchview = trace(model, x), through_torchview(model, x)
    assert (modes.recorder, torchview.recorder) == ("modes", "torchview")
    counted = {name: replace(node, flops=None) for name, node in modes.nodes.items()}  # torchview counts none
    assert counted == torchview.nodes
    assert [*counted] == [*torchview.nodes]
    assert modes.edges == torchview.edges


def test_torchview_traces_where_the_modes_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise RuntimeError("a mode of the model's own\nin the way")

    model, x = ResidualNet(), torch.randn(2, 3, 8, 8)
    expected = through_torchview(model, x)
    monkeypatch.setattr("layerscope.tracing.tracer.record_with_modes", fails)
    graph = trace(model, x)
    assert graph.recorder == "torchview"
    assert (graph.nodes, graph.edges) == (expected.nodes, expected.edges)
    assert graph.warnings == (
        "Recorded with torchview: function modes cannot follow this model (RuntimeError: a mode of the model's own).",
    )
