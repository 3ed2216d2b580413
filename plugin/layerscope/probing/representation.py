"""Where gradients and paths take hold in the inputs of a model.

An input of floating-point numbers is differentiated itself. An input of integers (token numbers) has no gradient: there
the output of the embedding that looks them up stands for it, be that a module or a function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from layerscope.errors import InvalidArgumentError
from layerscope.probing.calls import copied_arguments, input_tensors

Embed = Callable[[Tensor], Tensor]
"""Turns other values of an input into what would stand for them: an embedding's look-up, or nothing at all."""

Move = Callable[[int, Tensor, Embed], Tensor]
"""(position of the input, what stands for it, embed) -> what the model shall see instead, of the same shape."""


def batch_size(inputs: Any, batch_dim: int = 0) -> int:
    """Return the number of samples in ``inputs``: the size along ``batch_dim`` of the first tensor that has one.

    Raises:
        InvalidArgumentError: none has.
    """
    tensors = input_tensors(inputs)
    for tensor in tensors:
        if tensor.ndim > batch_dim:
            return tensor.shape[batch_dim]
    raise InvalidArgumentError(
        f"the inputs must hold a tensor with the samples along dimension {batch_dim} (batch_dim), but they hold "
        f"{[list(tensor.shape) for tensor in tensors] or 'none'}."
    )


class Representation:
    """The arguments for one call of a model, with a hold on each input; a context manager around the call.

    Every tensor is copied, so that a model that works in place spoils none of the caller's.

    Args:
        inputs: a tensor, a tuple (positional arguments) or a mapping (keyword arguments).
        differentiable: make leaves of the autograd graph, which ``leaves`` then holds.
        move: changes what stands for an input; None leaves it.
        times: how often the batch is repeated, sample by sample behind each other: [a, b, a, b, ...].
        batch_dim: dimension of the samples in the inputs; those with another size there are not repeated.
    """

    def __init__(
        self,
        inputs: Any,
        *,
        differentiable: bool = True,
        move: Move | None = None,
        times: int = 1,
        batch_dim: int = 0,
    ) -> None:
        self._differentiable = differentiable
        self._move = move
        self.times = times
        """How often the batch is repeated."""
        self._batch_dim = batch_dim
        tensors = any(tensor.ndim > batch_dim for tensor in input_tensors(inputs))
        self._samples = batch_size(inputs, batch_dim) if tensors or times > 1 else 0
        self._numbers: dict[int, tuple[int, Tensor]] = {}
        """id of a tensor of integers -> (position of the input that it comes from, itself, so that it stays alive)."""
        self.leaves: list[list[Tensor]] = []
        """For each input tensor its leaves: itself, or the looked-up embeddings. Empty where there is none."""
        self.arguments = copied_arguments(inputs, self._copy)
        held = differentiable or move is not None
        self._mode = _Embeddings(self) if self._numbers and held else None

    def __enter__(self) -> Representation:
        if self._mode is not None:
            self._mode.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._mode is not None:
            self._mode.__exit__(*exception)

    @property
    def samples(self) -> int:
        """How many samples the model sees; 0 if the inputs do not tell."""
        return self._samples * self.times

    def repeated(self, tensor: Tensor) -> Tensor:
        """Return one of the inputs (or its like) for the repeated batch."""
        if self.times == 1 or tensor.ndim <= self._batch_dim or tensor.shape[self._batch_dim] != self._samples:
            return tensor
        return torch.cat([tensor] * self.times, self._batch_dim)

    def _copy(self, tensor: Tensor) -> Tensor:
        place = len(self.leaves)
        self.leaves.append([])
        value = self.repeated(tensor.clone() if tensor.is_inference() else tensor.detach())
        if value.is_floating_point():
            return self.hold(place, value, lambda other: other)
        value = value.clone()
        if not value.is_complex():
            self._numbers[id(value)] = place, value
        return value

    def hold(self, place: int, value: Tensor, embed: Embed) -> Tensor:
        """Return what the model goes on with where ``value`` stands for input ``place``."""
        if self._move is not None:
            with torch.no_grad():
                value = self._move(place, value, embed)
        if not self._differentiable:
            return value.clone()
        leaf = value.detach().requires_grad_()
        self.leaves[place].append(leaf)
        return leaf.clone()  # a copy, so that an in-place operation may follow, which a leaf does not allow

    def follow(self, func: Any, source: Tensor, result: Any) -> None:
        """Note that ``result`` of an operation that keeps what it is given holds the integers of an input, as before.

        What is computed from them (positions from what is padding, types of tokens) is no longer them, though it has as
        many elements.
        """
        if getattr(func, "__name__", "") not in _KEEPING or not isinstance(result, Tensor):
            return
        if not (result.is_floating_point() or result.dtype == torch.bool) and result.numel() == source.numel():
            self._numbers[id(result)] = self._numbers[id(source)][0], result

    def source(self, arguments: Any) -> Tensor | None:
        """Return the argument of an operation that holds the integers of an input, or None."""
        return next((a for a in arguments if isinstance(a, Tensor) and id(a) in self._numbers), None)

    def place(self, source: Tensor) -> int:
        """Return the position of the input whose integers ``source`` holds."""
        return self._numbers[id(source)][0]


class _Embeddings(TorchFunctionMode):
    """Takes hold of what embeddings look up for inputs of integers."""

    def __init__(self, representation: Representation) -> None:
        super().__init__()
        self._representation = representation

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        source = self._representation.source((*args, *kwargs.values()))
        if source is None:
            return result
        if func in _LOOK_UPS and isinstance(result, Tensor) and not result.requires_grad:
            return self._representation.hold(
                self._representation.place(source), result, lambda other: _looked_up(func, args, kwargs, source, other)
            )
        self._representation.follow(func, source, result)
        return result


# Operations after which integers are still those of the input: moved, copied, offset, or some of them replaced.
# fmt: off
_KEEPING = frozenset({
    "__get__", "__getitem__", "add", "add_", "clamp", "clamp_", "clip", "clone", "contiguous", "cpu", "cuda", "detach",
    "expand", "expand_as", "flatten", "int", "long", "masked_fill", "masked_fill_", "movedim", "permute", "reshape",
    "reshape_as", "squeeze", "sub", "sub_", "swapaxes", "swapdims", "t", "to", "transpose", "type", "type_as",
    "unflatten", "unsqueeze", "view", "view_as", "where",
})
# fmt: on

_LOOK_UPS = (torch.nn.functional.embedding, torch.embedding)


def _looked_up(func: Any, args: Any, kwargs: Any, source: Tensor, other: Tensor) -> Tensor:
    """Return what an embedding gives for other integers than ``source``."""
    other = other.to(source.device, source.dtype)
    other = other.reshape(source.shape) if other.numel() == source.numel() else other.expand(source.shape)

    def exchange(argument: Any) -> Any:
        return other if argument is source else argument

    return func(*map(exchange, args), **{name: exchange(argument) for name, argument in kwargs.items()})
