"""Data flow through everything that hides it: memory written in place, views, scripts, operators, transforms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from layerscope.tracing import trace
from layerscope.wire import ModelGraph


class Between(nn.Module):
    """Two layers, and between them what a test wants to know about."""

    def __init__(self, between: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.last = nn.Linear(4, 4)
        self.between = between

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.between(self.first(x)))


def joined(graph: ModelGraph) -> set[tuple[str, str]]:
    return {(edge.source, edge.target) for edge in graph.edges}


def flow(between: Callable[[torch.Tensor], torch.Tensor]) -> set[tuple[str, str]]:
    """Return the edges between the two layers of ``Between``."""
    graph = trace(Between(between), torch.randn(2, 4))
    assert graph.recorder == "modes"
    assert graph.warnings == ()
    return joined(graph) - {("input/x", "first"), ("last", "output/0")}


def assigned(x: torch.Tensor) -> torch.Tensor:
    out = torch.zeros(2, 4)
    out[0] = x[1]
    out[1] = x[0]
    return out


def test_assignments_form_a_chain() -> None:
    assert flow(assigned) == {
        ("/zeros", "/__setitem__"),
        ("first", "/__getitem__"),
        ("/__getitem__", "/__setitem__"),
        ("/__setitem__", "/__setitem__#1"),
        ("first", "/__getitem__#1"),
        ("/__getitem__#1", "/__setitem__#1"),
        ("/__setitem__#1", "last"),
    }


def test_writing_one_view_leaves_the_other_alone() -> None:
    def chunked(x: torch.Tensor) -> torch.Tensor:
        one, other = x.chunk(2)
        one.mul_(2)
        return torch.cat([other, other])

    assert flow(chunked) == {("first", "/chunk"), ("/chunk", "/mul_"), ("/chunk", "/cat"), ("/cat", "last")}


def test_writing_a_view_reaches_what_it_is_a_view_of() -> None:
    def through_a_view(x: torch.Tensor) -> torch.Tensor:
        x[0].add_(1)
        return x

    assert flow(through_a_view) == {
        ("first", "/__getitem__"),
        ("/__getitem__", "/add_"),
        ("/add_", "last"),
        ("first", "last"),  # the other row
    }


def test_out_is_what_a_function_makes() -> None:
    def given_out(x: torch.Tensor) -> torch.Tensor:
        out = torch.empty(2, 4)
        torch.sin(x, out=out)
        return out

    assert flow(given_out) == {("first", "/sin"), ("/empty", "/sin"), ("/sin", "last")}


def test_data_and_detach_share_the_memory() -> None:
    def detached(x: torch.Tensor) -> torch.Tensor:
        x.detach().data.zero_()
        return x

    assert flow(detached) == {("first", "/detach"), ("/detach", "/data"), ("/data", "/zero_"), ("/zero_", "last")}


def doubled(x: torch.Tensor) -> torch.Tensor:
    return (x * 2).relu()


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_operators_of_a_scripted_function_are_seen() -> None:
    assert flow(torch.jit.script(doubled)) == {("first", "/mul"), ("/mul", "/relu"), ("/relu", "last")}


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_a_scripted_module_is_one_box() -> None:
    model = nn.Sequential(nn.Linear(4, 4), torch.jit.script(nn.Sequential(nn.Linear(4, 4), nn.ReLU())))
    graph = trace(model, torch.randn(2, 4))
    assert [*graph.nodes] == ["input/input", "0", "1", "output/0"]
    assert joined(graph) == {("input/input", "0"), ("0", "1"), ("1", "output/0")}


def test_custom_autograd_functions_and_transforms_keep_the_flow() -> None:
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x * x

        @staticmethod
        def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
            return grad

    assert flow(Square.apply) == {("first", "/mul"), ("/mul", "last")}
    assert flow(torch.vmap(lambda row: row.sin() + 1)) == {("first", "/sin"), ("/sin", "/add"), ("/add", "last")}


def test_the_branch_of_cond_that_ran_is_shown() -> None:
    def branches(x: torch.Tensor) -> torch.Tensor:
        return torch.cond(torch.tensor(True), torch.sin, torch.cos, (x,))

    assert ("first", "/sin") in flow(branches)
    assert ("/sin", "last") in flow(branches)


def test_a_box_that_leaves_torch_is_fed_by_its_arguments() -> None:
    class ByNumPy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(np.sin(x.numpy()))

    model = nn.Sequential(nn.Linear(4, 4), ByNumPy(), nn.Identity())
    graph = trace(model, torch.randn(2, 4))
    assert joined(graph) == {("input/input", "0"), ("0", "1"), ("1", "2"), ("2", "output/0")}
    assert graph.warnings == ()


def test_what_a_box_returns_comes_from_the_box_also_where_it_is_an_argument() -> None:
    class Second(nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            self.seen = x.abs().max()
            return y

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.second = Second()
            self.fc = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return self.fc(self.second(x, y))

    graph = trace(Both(), torch.randn(2, 4), torch.randn(2, 4))
    assert joined(graph) == {("input/x", "second"), ("input/y", "second"), ("second", "fc"), ("fc", "output/0")}


def test_who_uses_a_tensor_does_not_use_what_a_function_or_a_box_returned_unchanged() -> None:
    class Norm(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = x.to(torch.float32)  # x itself
            return y - y.mean()

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)
            self.norm, self.drop = Norm(), nn.Dropout(0.5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.fc(x)
            return x + self.norm(x) * self.drop(x) - x.contiguous()

    graph = trace(Residual(), torch.randn(2, 4))
    assert joined(graph) == {
        ("input/x", "fc"),
        ("fc", "norm"),
        ("fc", "drop"),
        ("norm", "/mul"),
        ("drop", "/mul"),
        ("fc", "/add"),
        ("/mul", "/add"),
        ("/add", "/sub"),
        ("fc", "/sub"),  # contiguous() had nothing to do
        ("/sub", "output/0"),
    }


def test_what_a_box_returns_unchanged_in_a_container_stays_that_container() -> None:
    class Caches(nn.Module):
        def forward(self, x: torch.Tensor, cache: dict[str, torch.Tensor]) -> tuple[torch.Tensor, Any]:
            cache["k"] = x
            return x * 2, cache

    class Shares(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
            self.caches = Caches()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            cache: dict[str, torch.Tensor] = {}
            y, returned = self.caches(self.first(x), cache)
            returned["v"] = self.second(y)
            return self.last(cache.get("v", x))

    assert ("second", "last") in joined(trace(Shares(), torch.randn(2, 4)))


def test_functions_that_return_their_argument_are_the_argument_also_by_identity() -> None:
    class Compares(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.same, self.other = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.same(x) if x.to(torch.float32) is x else self.other(x)

    assert [node.id for node in trace(Compares(), torch.randn(2, 4)).nodes.values() if node.module] == ["same"]


def test_assigning_data_makes_the_tensor_what_was_assigned() -> None:
    class Assigns(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h, k = self.a(x), self.b(x)
            h.data = k
            return self.c(h) * k

    assert ("b", "c") in joined(trace(Assigns(), torch.randn(2, 4)))


def test_values_that_leave_torch_are_told_also_where_the_tensor_goes_on() -> None:
    def leaves(x: torch.Tensor) -> torch.Tensor:
        return x + torch.tensor(x.tolist())

    graph = trace(Between(leaves), torch.randn(2, 4))
    assert ("first", "/tolist") in joined(graph)
    assert graph.warnings[0].startswith("Values left torch by '/tolist', from 'first'")


def test_a_forward_that_differentiates_its_input_is_traced() -> None:
    class Slope(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.autograd.grad(self.fc(x).sum(), x)[0]

    graph = trace(Slope(), torch.randn(2, 4, requires_grad=True))
    assert graph.failure == ""
    assert {("input/x", "fc"), ("/grad", "output/0")} <= joined(graph)


def test_gradients_inside_the_forward_pass_through_what_is_returned_unchanged() -> None:
    class Force(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.enable_grad():
                x = x.requires_grad_()
                energy = self.fc(x.to(torch.float32).contiguous()).square().sum()
                return torch.autograd.grad(energy, x)[0]

    model, x = Force(), torch.randn(2, 4)
    graph = trace(model, x)
    assert graph.failure == ""
    assert ("/grad", "output/0") in joined(graph)


def test_functions_that_only_look_are_not_shown() -> None:
    def looks(x: torch.Tensor) -> torch.Tensor:
        assert x.shape == (2, 4)
        assert x.dim() == x.ndim == 2
        assert x.dtype is torch.float32
        return x if len(x) == x.size(0) and x.is_contiguous() else -x

    assert flow(looks) == {("first", "last")}


def test_parameters_and_buffers_used_by_functions_are_nodes_once_a_place() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)
            self.scale = nn.Parameter(torch.ones(4))
            self.register_buffer("shift", torch.zeros(4))
            self.table = torch.ones(4)
            self.scale.requires_grad_(False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (self.fc(x) * self.scale + self.shift) * self.scale + self.table

    graph = trace(Scaled(), torch.randn(2, 4))
    held = [node for node in graph.nodes.values() if node.kind == "parameter"]
    assert [(node.id, node.class_name, node.trainable, node.own_parameters) for node in held] == [
        ("scale", "Parameter", False, 4),
        ("shift", "Buffer", None, 0),
        ("table", "Tensor", None, 0),
    ]
    assert joined(graph) >= {("scale", "/mul"), ("shift", "/add"), ("scale", "/mul#1"), ("table", "/add#1")}
    assert [*graph.nodes].index("scale") == [*graph.nodes].index("/mul") - 1


def test_a_model_written_in_functions_shows_them() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x @ self.weight).relu()

    graph = trace(Functional(), torch.randn(2, 4))
    assert joined(graph) == {
        ("input/x", "/matmul"),
        ("weight", "/matmul"),
        ("/matmul", "/relu"),
        ("/relu", "output/0"),
    }


def test_no_tensor_outlives_the_trace() -> None:
    import weakref

    kept: list[weakref.ref[torch.Tensor]] = []

    def remembered(x: torch.Tensor) -> torch.Tensor:
        y = x.sin()
        kept.append(weakref.ref(y))
        z = y + 1
        del y
        assert kept[0]() is None
        return z

    flow(remembered)


def test_modes_are_off_again_when_the_forward_raises() -> None:
    def raises(x: torch.Tensor) -> torch.Tensor:
        raise ValueError("on purpose")

    trace(Between(raises), torch.randn(2, 4))
    assert torch._C._len_torch_function_stack() == 0
    assert torch._C._len_torch_dispatch_stack() == 0


@pytest.mark.parametrize("steps", [50, 100])
def test_edges_of_a_recurrence_grow_with_the_steps(steps: int) -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = torch.zeros(steps, 2, 4)
            for step in range(steps):
                x = self.cell(x)
                out[step] = x
            return out

    # each step: cell -> next cell, cell -> assignment, assignment -> next assignment
    assert len(trace(Recurrent(), torch.randn(2, 4)).edges) == 3 * steps + 1
