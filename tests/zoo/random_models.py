"""Random models: a tree of modules, wired at random, with the same wiring at every forward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

WIDTH = 4

LEAVES: tuple[Callable[[], nn.Module], ...] = (
    lambda: nn.Linear(WIDTH, WIDTH),
    nn.ReLU,
    lambda: nn.ReLU(inplace=True),
    nn.Identity,
    lambda: nn.Dropout(0.5),
    lambda: nn.BatchNorm1d(WIDTH),
    lambda: nn.LayerNorm(WIDTH),
    lambda: nn.GRUCell(WIDTH, WIDTH),
)

Registers = list[Tensor]
Step = Callable[["Wired", Registers], None]
"""Reads some registers and appends to them, or writes one in place."""


class Wired(nn.Module):
    """Runs its steps over a list of tensors of one shape and returns one of them, or several."""

    def __init__(self, children: list[nn.Module], steps: list[Step], packed: str, results: list[int]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(children)
        self.scale = nn.Parameter(torch.rand(WIDTH) + 0.5)
        self.register_buffer("shift", torch.rand(WIDTH))
        self._steps, self._packed, self._results = steps, packed, results

    def forward(self, x: Tensor, y: Tensor) -> Any:
        registers = [x, y]
        for step in self._steps:
            step(self, registers)
        results = [registers[-1 - index % len(registers)] for index in self._results]
        if self._packed == "dict":
            return {f"r{index}": result for index, result in enumerate(results)}
        return tuple(results) if self._packed == "tuple" else results[0]


def _read(registers: Registers, index: int) -> Tensor:
    return registers[index % len(registers)]


def _calls_child(index: int, one: int, two: int) -> Step:
    def step(model: Wired, registers: Registers) -> None:
        child = model.parts[index % len(model.parts)]
        x, y = _read(registers, one), _read(registers, two)
        if isinstance(child, nn.ReLU) and child.inplace:
            x = x.clone()  # autograd forbids some of these writes
        result = child(x, y) if isinstance(child, (Wired, nn.GRUCell)) else child(x)
        registers.extend(_tensors(result))

    return step


def _tensors(result: Any) -> list[Tensor]:
    if isinstance(result, dict):
        return list(result.values())
    return list(result) if isinstance(result, tuple) else [result]


FUNCTIONS: tuple[Callable[[Wired, Tensor, Tensor], Tensor], ...] = (
    lambda model, x, y: x + y,
    lambda model, x, y: x * model.scale,
    lambda model, x, y: torch.sub(x, model.shift, alpha=0.5),
    lambda model, x, y: torch.cat([x, y], -1)[:, ::2],
    lambda model, x, y: torch.stack([x, y]).mean(0),
    lambda model, x, y: x.t().reshape(WIDTH, -1).t(),
    lambda model, x, y: x[:, torch.tensor([3, 1, 2, 0])],
    lambda model, x, y: torch.where(x > 0, x, y),
    lambda model, x, y: x.clone().add_(y),
    lambda model, x, y: x.softmax(-1) @ torch.eye(WIDTH) + y.detach(),
    lambda model, x, y: torch.einsum("bi,bi->b", x, y)[:, None].expand(-1, WIDTH) * 2,
)


def _applies(index: int, one: int, two: int) -> Step:
    function = FUNCTIONS[index % len(FUNCTIONS)]

    def step(model: Wired, registers: Registers) -> None:
        registers.append(function(model, _read(registers, one), _read(registers, two)))

    return step


def _slice_assignment(copy: Tensor, y: Tensor) -> None:
    copy[:, 1:3] = y[:, :2]


def _view_written(copy: Tensor, y: Tensor) -> None:
    copy.view(-1)[:WIDTH].copy_(y[0])


def _transposed(copy: Tensor, y: Tensor) -> None:
    copy.t()[0].mul_(y[:, 1])


def _masked(copy: Tensor, y: Tensor) -> None:
    copy[y > 0] = y.sum()


WRITES: tuple[Callable[[Tensor, Tensor], None], ...] = (
    _slice_assignment,
    _view_written,
    _transposed,
    _masked,
    lambda copy, y: copy.index_add_(0, torch.tensor([0]), y[:1]),
)


def _writes(index: int, one: int, two: int) -> Step:
    write = WRITES[index % len(WRITES)]

    def step(model: Wired, registers: Registers) -> None:
        copy, y = _read(registers, one).clone(), _read(registers, two)
        registers.append(copy[:])  # a view that was there before
        write(copy, y)
        registers.append(copy)

    return step


_numbers = st.integers(0, 63)
_steps = st.lists(
    st.builds(
        lambda make, numbers: make(*numbers),
        st.sampled_from((_calls_child, _calls_child, _applies, _writes)),
        st.tuples(_numbers, _numbers, _numbers),
    ),
    min_size=1,
    max_size=6,
)


def _leaf(index: int) -> Callable[[], nn.Module]:
    return LEAVES[index]


def _container(
    children: list[Callable[[], nn.Module]], shared: bool, steps: list[Step], packed: str, results: list[int]
) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        modules = [child() for child in children]
        return Wired(modules + modules[:1] if shared else modules, steps, packed, results)

    return build


def _containers(children: st.SearchStrategy[Callable[[], nn.Module]]) -> st.SearchStrategy[Callable[[], nn.Module]]:
    return st.builds(
        _container,
        st.lists(children, min_size=1, max_size=3),
        st.booleans(),
        _steps,
        st.sampled_from(("one", "tuple", "dict")),
        st.lists(_numbers, min_size=1, max_size=3),
    )


_leaves = st.integers(0, len(LEAVES) - 1).map(_leaf)
models: st.SearchStrategy[Callable[[], nn.Module]] = _containers(st.recursive(_leaves, _containers, max_leaves=6))
"""Builders of models; each builds equal models if torch is seeded equally."""
