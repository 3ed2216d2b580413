"""A forward that raises gives the part that ran, and says where it stopped and why."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from layerscope.tracing import trace
from layerscope.wire import Edge
from traced_models import ResidualNet


class Raises(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise ValueError("on purpose\nand at length")


def test_the_part_that_ran_is_there_with_the_node_where_it_stopped() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.ReLU(), Raises()), nn.Linear(4, 2))
    graph = trace(model, torch.randn(2, 3))
    assert [*graph.nodes] == ["input/input", "0", "1", "1.0", "1.1"]
    assert graph.edges == (Edge("input/input", "0", (2, 3)), Edge("0", "1.0", (2, 4)))
    assert (graph.recorder, graph.stopped_in, graph.outputs) == ("modes", "1.1", ())
    assert graph.failure == "The forward stopped in layer '1.1' (Raises) with ValueError: on purpose."
    assert graph.warnings[0] == f"{graph.failure} The graph shows the part that ran until then."


def test_a_module_that_raises_and_is_caught_does_not_stop_the_forward() -> None:
    class Tries(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.broken = Raises()
            self.fc = nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            try:
                x = self.broken(x)
            except ValueError:
                x = torch.relu(x)
            return self.fc(x)

    graph = trace(Tries(), torch.randn(2, 3))
    assert (graph.stopped_in, graph.failure) == (None, "")
    assert Edge("/relu", "fc", (2, 3)) in graph.edges


def test_where_nothing_ran_the_registered_modules_are_shown() -> None:
    model = ResidualNet()
    graph = trace(model, nonsense=torch.randn(2, 3))
    assert graph.recorder == "static"
    assert [*graph.nodes] == [name for name, _ in model.named_modules() if name]
    assert {node.id: node.parent for node in graph.nodes.values()} == {
        name: name.rpartition(".")[0] or None for name, _ in model.named_modules() if name
    }
    assert graph.edges == ()
    assert "stopped in the model itself (ResidualNet) with TypeError" in graph.failure
    assert "Nothing ran before: the graph shows the registered modules" in graph.warnings[0]


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (
            {"x": torch.ones(2, 3), "mask": torch.ones(2, 3)},
            " The mapping was given as one argument; with ** ",
        ),
        ((torch.ones(2, 3), torch.ones(2, 3)), " The tuple was given as one argument; with * before it"),
        (torch.ones(2, 3), ""),
    ],
)
def test_arguments_given_as_one_are_told_how_to_be_several(given: Any, hint: str) -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return self.fc(x * mask)

    graph = trace(Masked(), given)
    assert "missing 1 required positional argument: 'mask'" in graph.failure
    assert graph.failure.partition("'mask'.")[2].startswith(hint)
    assert graph.failure.endswith("'mask'.") == (hint == "")
