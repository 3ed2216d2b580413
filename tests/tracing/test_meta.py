"""A model of any size is traced without its weights, and is not touched for that."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

from layerscope.errors import TraceError
from layerscope.tracing import trace
from layerscope.tracing.meta import empty_copy
from traced_models import PositionEmbedding, ResidualNet


def test_meta_inputs_trace_an_empty_copy_and_leave_the_model_alone() -> None:
    model, x = ResidualNet(), torch.randn(2, 3, 8, 8)
    before = {name: (id(tensor), tensor.clone()) for name, tensor in model.state_dict(keep_vars=True).items()}
    graph, expected = trace(model, x.to("meta")), trace(model, x)
    assert (graph.nodes, graph.edges, graph.warnings) == (expected.nodes, expected.edges, expected.warnings)
    for name, tensor in model.state_dict(keep_vars=True).items():
        assert id(tensor) == before[name][0]
        assert torch.equal(tensor, before[name][1])


def test_a_meta_model_takes_inputs_with_values() -> None:
    with torch.device("meta"):
        model = PositionEmbedding()
    graph = trace(model, torch.zeros(2, 5, dtype=torch.int64))
    assert graph.nodes["output/0"].output_shapes == ((2, 5, 4),)
    assert graph.failure == ""


def test_the_copy_keeps_ties_and_flags_and_takes_no_memory() -> None:
    model = nn.ModuleDict({"embed": nn.Embedding(7, 3), "head": nn.Linear(3, 7, bias=False)})
    model["head"].weight = model["embed"].weight.requires_grad_(False)
    model["head"].table = torch.ones(1000)
    copied = empty_copy(model)
    assert copied["head"].weight is copied["embed"].weight
    assert not copied["head"].weight.requires_grad
    assert all(tensor.is_meta for tensor in (copied["head"].weight, copied["head"].table))
    assert not model["head"].table.is_meta


def test_tensors_in_containers_and_modules_in_lists_are_copied_too() -> None:
    class Keeps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = {"shift": torch.ones(3)}
            self.layers = [nn.Linear(3, 3)]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layers[0](x) + self.table["shift"]

    model = Keeps()
    assert trace(model, torch.empty(2, 3, device="meta")).failure == ""
    assert not model.table["shift"].is_meta


def test_a_model_that_cannot_be_copied_is_refused_in_words() -> None:
    model = nn.Linear(3, 3)
    model.lock = threading.Lock()
    with pytest.raises(TraceError, match=r"inputs on the meta device .* but Linear cannot be copied .*pickle"):
        trace(model, torch.empty(2, 3, device="meta"))


def test_shapes_that_no_machine_could_hold_are_traced() -> None:
    with torch.device("meta"):
        model = nn.Sequential(*(nn.Linear(1 << 20, 1 << 20, bias=False) for _ in range(4)))
    nodes = trace(model, torch.empty(1, 1 << 20, device="meta")).nodes
    assert nodes["3"].total_bytes == 4 << 40
    assert nodes["3"].flops == 2 << 40
