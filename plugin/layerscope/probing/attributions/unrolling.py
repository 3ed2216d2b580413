"""Recurrent operations written out step by step, so that what they are made of is seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_Step = Callable[..., tuple[Tensor, ...]]
"""(what the input gives, what the hidden state gives, the state) -> the next state, whose first part is the output."""


def _lstm(by_input: Tensor, by_state: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, ...]:
    enter, forget, candidate, leave = (by_input + by_state).chunk(4, -1)
    cell = forget.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
    return leave.sigmoid() * cell.tanh(), cell


def _gru(by_input: Tensor, by_state: Tensor, hidden: Tensor) -> tuple[Tensor, ...]:
    reset_input, keep_input, candidate_input = by_input.chunk(3, -1)
    reset_state, keep_state, candidate_state = by_state.chunk(3, -1)
    candidate = (candidate_input + (reset_input + reset_state).sigmoid() * candidate_state).tanh()
    return (candidate + (keep_input + keep_state).sigmoid() * (hidden - candidate),)


def _rnn_tanh(by_input: Tensor, by_state: Tensor, hidden: Tensor) -> tuple[Tensor, ...]:
    return ((by_input + by_state).tanh(),)


def _rnn_relu(by_input: Tensor, by_state: Tensor, hidden: Tensor) -> tuple[Tensor, ...]:
    return ((by_input + by_state).relu(),)


_STEPS: dict[str, _Step] = {"lstm": _lstm, "gru": _gru, "rnn_tanh": _rnn_tanh, "rnn_relu": _rnn_relu}


def unrolled(name: str, args: Sequence[Any]) -> tuple[Tensor, ...] | None:
    """Return what a recurrent operation returns, all its tensors, made of elementary operations.

    Args:
        name: ``lstm``, ``gru``, ``rnn_tanh``, ``rnn_relu``, or one of these with ``_cell``.
        args: what it is given by ``nn.LSTM`` and its like.

    Returns:
        None for packed sequences and for projected states, which are not written out here.
    """
    if name.endswith("_cell"):
        x, state, w_input, w_state, b_input, b_state = args
        before = _parts(state)
        by_state = functional.linear(before[0], w_state, b_state)
        return _STEPS[name.removesuffix("_cell")](functional.linear(x, w_input, b_input), by_state, *before)
    if isinstance(args[2], Tensor) or not isinstance(args[2], (list, tuple)) or isinstance(args[3], (list, tuple)):
        return None
    x, state, weights, has_biases, layers, _, _, bidirectional, batch_first = args
    directions, each = 1 + bool(bidirectional), 4 if has_biases else 2
    if len(weights) != layers * directions * each:
        return None
    x = x.transpose(0, 1) if batch_first else x
    last: list[tuple[Tensor, ...]] = []
    for layer in range(layers):
        outputs: list[Tensor] = []
        for direction in range(directions):
            place = layer * directions + direction
            before = tuple(part[place] for part in _parts(state))
            output, after = _walked(_STEPS[name], x, before, weights[place * each :][:each], backwards=direction == 1)
            outputs.append(output)
            last.append(after)
        x = torch.cat(outputs, -1)
    return x.transpose(0, 1) if batch_first else x, *(torch.stack(parts) for parts in zip(*last, strict=True))


def _walked(
    step: _Step, x: Tensor, state: tuple[Tensor, ...], weights: Sequence[Tensor], *, backwards: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return the output of one layer in one direction [time, batch, features], and its last state."""
    w_input, w_state, *biases = weights
    b_input, b_state = biases or (None, None)
    by_input = functional.linear(x, w_input, b_input)
    outputs: dict[int, Tensor] = {}
    for t in reversed(range(len(x))) if backwards else range(len(x)):
        state = step(by_input[t], functional.linear(state[0], w_state, b_state), *state)
        outputs[t] = state[0]
    return torch.stack([outputs[t] for t in range(len(x))]), state


def _parts(state: Any) -> tuple[Tensor, ...]:
    return (state,) if isinstance(state, Tensor) else tuple(state)
