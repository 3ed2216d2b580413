"""What remains where no recorder can follow: the module tree, joined where modules hand on the very same tensor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from layerscope.tracing import trace
from layerscope.tracing.assemble import assemble
from layerscope.tracing.module_recorder import record_modules
from layerscope.wire import Edge
from traced_models import ResidualNet, mlp


class ReadsItsInput(nn.Module):
    """Chooses an expert by the text of a tensor, which a recorder tensor changes."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleDict({"expert_1": nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True))})
        self.fc = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor, expert: torch.Tensor) -> torch.Tensor:
        return self.fc(self.experts[f"expert_{expert}".replace("tensor(1)", "1")](x))


def test_a_model_that_no_recorder_can_follow_shows_its_modules_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise RuntimeError("a mode of its own")

    monkeypatch.setattr("layerscope.tracing.tracer.record_with_modes", fails)
    graph = trace(ReadsItsInput(), torch.randn(2, 3), torch.tensor(1))
    assert [(node.id, node.parent) for node in graph.nodes.values()] == [
        ("input/x", None),
        ("input/expert", None),
        ("experts.expert_1", None),
        ("experts.expert_1.0", "experts.expert_1"),
        ("experts.expert_1.1", "experts.expert_1"),
        ("fc", None),
        ("output/0", None),
    ]
    assert graph.edges == (
        Edge("input/x", "experts.expert_1.0", (2, 3)),
        Edge("experts.expert_1.0", "experts.expert_1.1", (2, 3)),
        Edge("experts.expert_1.1", "fc", (2, 3)),
        Edge("fc", "output/0", (2, 2)),
    )
    assert graph.recorder == "modules"
    assert graph.warnings == (
        "Only modules are shown, without the functions between them: neither function modes (RuntimeError: a mode of "
        "its own) nor torchview (KeyError: 'expert_RecorderTensor(1)') can follow this model.",
        "Not connected: no recorded way leads from 'input/expert' to an output.",
    )


@pytest.mark.parametrize(("model", "shape"), [(mlp(), (2, 3)), (ResidualNet(), (2, 3, 8, 8))])
def test_agrees_with_torchview_on_modules_and_the_edges_between_them(model: nn.Module, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    full, modules = trace(model, x), assemble(model, record_modules(model, (x,), {}))
    assert [*modules.nodes.values()] == [
        replace(node, flops=None) for node in full.nodes.values() if node.kind != "function"
    ]
    assert modules.edges == tuple(
        edge for edge in full.edges if "function" not in (full.nodes[edge.source].kind, full.nodes[edge.target].kind)
    )
