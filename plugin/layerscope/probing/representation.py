"""Where gradients and paths take hold in the inputs of a model.

An input of floating-point numbers is differentiated itself. An input of integers (token numbers) has no gradient: there
the output of the embedding that looks them up stands for it, be that a module or a function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

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


class _Numbers(NamedTuple):
    """A tensor that holds the integers of an input."""

    place: int
    """Position of the input."""
    tensor: Tensor
    """Itself, so that it stays alive."""
    order: Tensor | None
    """[elements] which element of the input each of its own is; None where they are in order."""
    shape: torch.Size
    """That of the input."""


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
        self._numbers: dict[int, _Numbers] = {}
        """id of a tensor -> the integers of an input that it holds."""
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
            self._numbers[id(value)] = _Numbers(place, value, None, value.shape)
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

    def follow(self, func: Any, args: Any, kwargs: Any, source: Tensor, result: Any) -> None:
        """Note that ``result`` of an operation holds the integers of an input as ``source`` does, if it keeps them.

        What is computed from them (positions from what is padding, types of tokens) is no longer them, though it has as
        many elements; nor is what merely takes their shape.
        """
        name = getattr(func, "__name__", "")
        kept = name in _OF_EITHER or source is next(iter((*args, *kwargs.values())))
        if not kept or not isinstance(result, Tensor) or result.numel() != source.numel():
            return
        if result.is_floating_point() or result.dtype == torch.bool:
            return
        numbers = self._numbers[id(source)]
        if name in _MOVING:
            whole = torch.arange(source.numel(), device=source.device)
            before = whole if numbers.order is None else numbers.order
            order = func(before.reshape(source.shape), *args[1:], **kwargs).flatten()
            if torch.equal(order.sort().values, whole):
                unmoved = torch.equal(order, whole)
                self._numbers[id(result)] = numbers._replace(tensor=result, order=None if unmoved else order)
        elif name in _KEEPING:
            self._numbers[id(result)] = numbers._replace(tensor=result)

    def source(self, arguments: Any) -> Tensor | None:
        """Return the argument of an operation that holds the integers of an input, or None."""
        return next((a for a in arguments if isinstance(a, Tensor) and id(a) in self._numbers), None)

    def look_up(self, source: Tensor, result: Tensor, embed: Embed) -> Tensor:
        """Return what the model goes on with instead of ``result``, what an embedding gives for ``source``.

        What stands for the input has the order of the input's elements, also where the model moved them first.
        """
        place, _, order, shape = self._numbers[id(source)]
        if order is None:
            return self.hold(place, result, embed)
        back = order.argsort()

        def as_given(looked_up: Tensor) -> Tensor:
            return looked_up.reshape(len(back), -1)[back].reshape(*shape, -1)

        def embed_moved(other: Tensor) -> Tensor:
            return as_given(embed(other.flatten()[order.to(other.device)] if other.numel() == len(back) else other))

        held = self.hold(place, as_given(result), embed_moved)
        return held.reshape(len(order), -1)[order].reshape(result.shape)


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
            return self._representation.look_up(
                source, result, lambda other: _looked_up(func, args, kwargs, source, other)
            )
        self._representation.follow(func, args, kwargs, source, result)
        return result


# fmt: off
_KEEPING = frozenset({
    "add", "add_", "clamp", "clamp_", "clip", "clone", "contiguous", "cpu", "cuda", "detach", "expand", "expand_as",
    "flatten", "int", "long", "masked_fill", "masked_fill_", "mul", "mul_", "ravel", "remainder", "reshape",
    "reshape_as", "squeeze", "sub", "sub_", "to", "type", "type_as", "unflatten", "unsqueeze", "view", "view_as",
    "where",
})
# fmt: on
"""Operations after which integers are still those of the input: copied, offset, hashed, or some of them replaced."""

_MOVING = frozenset({"__get__", "__getitem__", "flip", "movedim", "permute", "roll", "swapaxes", "t", "transpose"})
"""Operations after which they are, too, but may stand in other places. ``__get__`` is that of ``.T`` and its like."""

_OF_EITHER = frozenset({"add", "where"})
"""Operations that keep what any of their arguments holds, not the first one's alone."""

_LOOK_UPS = (torch.nn.functional.embedding, torch.embedding)


def _looked_up(func: Any, args: Any, kwargs: Any, source: Tensor, other: Tensor) -> Tensor:
    """Return what an embedding gives for other integers than ``source``."""
    other = other.to(source.device, source.dtype)
    other = other.reshape(source.shape) if other.numel() == source.numel() else other.expand(source.shape)

    def exchange(argument: Any) -> Any:
        return other if argument is source else argument

    return func(*map(exchange, args), **{name: exchange(argument) for name, argument in kwargs.items()})
