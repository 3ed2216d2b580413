"""Names, order and callers agree with an independent record: forward hooks on every module of the model."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from layerscope.tracing import trace
from traced_models import PositionEmbedding, ResidualNet, mlp


def executed(model: nn.Module, x: torch.Tensor) -> list[tuple[str, str | None, int]]:
    """Return (qualified name, qualified name of the caller, call) of every module call but that of the model."""
    stack: list[str] = []
    calls: list[tuple[str, str | None, int]] = []
    for name, module in model.named_modules():

        def before(_: nn.Module, __: object, name: str = name) -> None:
            call = sum(called == name for called, *_ in calls)
            calls.append((name, stack[-1] if stack and stack[-1] else None, call))
            stack.append(name)

        def after(*_: object) -> None:
            stack.pop()

        module.register_forward_pre_hook(before)
        module.register_forward_hook(after)
    model.eval()(x)
    return calls[1:]


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (ResidualNet(), torch.randn(2, 3, 8, 8)),
        (mlp(), torch.randn(2, 3)),
        (PositionEmbedding(), torch.zeros(2, 5, dtype=torch.int64)),
        (nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2), torch.randn(2, 5, 8)),
        (nn.Transformer(8, 2, 1, 1, 16, batch_first=True), None),
    ],
    ids=["residual", "mlp", "positions", "encoder", "transformer"],
)
def test_module_calls_are_those_that_hooks_see(model: nn.Module, x: torch.Tensor | None) -> None:
    if x is None:
        model, x = nn.Sequential(OrderedPair(model)), torch.randn(2, 5, 8)
    graph = trace(model, x)
    traced = [
        (node.module, graph.nodes[node.parent].module if node.parent else None, node.call)
        for node in graph.nodes.values()
        if node.kind == "module"
    ]
    assert traced == executed(model, x)
    assert len(traced) > 1


class OrderedPair(nn.Module):
    """Gives one tensor to a model that takes two."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x, x * 2)


def test_a_module_whose_exception_its_caller_catches() -> None:
    class Exit(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise StopIteration(x)

    class Early(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(3, 3), Exit(), nn.Linear(3, 3))
            self.head = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            try:
                x = self.body(x)
            except StopIteration as stop:
                x = stop.value
            return self.head(x)

    graph = trace(Early(), torch.randn(2, 3))
    assert {node.id: node.parent for node in graph.nodes.values() if node.kind == "module"} == {
        "body": None,
        "body.0": "body",
        "body.1": "body",
        "head": None,
    }
    assert ("body.0", "head") in [(edge.source, edge.target) for edge in graph.edges]
