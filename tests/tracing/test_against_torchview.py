"""The nodes are those that torchview itself draws, without its auxiliary tensor nodes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch import nn
from torchview import draw_graph
from torchview.computation_node import ModuleNode, TensorNode

from layerscope.tracing import trace
from traced_models import ResidualNet, mlp


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


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (ResidualNet(), (2, 3, 8, 8)),
        (mlp(), (2, 3)),
        (nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0), 2), (2, 5, 8)),
    ],
    ids=["residual", "mlp", "transformer"],
)
def test_same_modules_and_functions_as_torchview(model: nn.Module, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    ours = Counter(
        (node.kind, node.class_name or node.op)
        for node in trace(model, x).nodes.values()
        if node.kind in ("module", "function")
    )
    theirs = drawn(model, x)
    assert ours == theirs
    assert ours.total() > 5
