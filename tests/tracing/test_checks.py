"""A graph says in words what it could not follow."""

from __future__ import annotations

import torch
from torch import nn

from layerscope.tracing import trace


def test_a_cut_flow_is_said_in_words() -> None:
    class LeavesTorch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(3, 3)
            self.second = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(torch.tensor(self.first(x).tolist()))

    warnings = trace(LeavesTorch(), torch.randn(2, 3)).warnings
    assert [warning.partition(". ")[0].removesuffix(".") for warning in warnings] == [
        "Not connected: no recorded way leads from 'first' to an output",
        "Values left torch by '/tolist', from 'first': what was computed from them outside of torch is not connected",
        "Not connected: no recorded way leads from 'input/x' to an output",
        "Not connected: no recorded way leads from an input to 'output/0'",
    ]
