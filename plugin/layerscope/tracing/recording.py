"""What one forward pass did, in the form that every recorder fills and ``assemble`` turns into a ``ModelGraph``.

A recorder is a function ``(model, args, kwargs) -> Recording``: ``mode_recorder`` and ``torchview_recorder`` give
modules, functions and flows; ``module_recorder`` gives modules and the flows between them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias, TypeVar

import torch
from torch import nn


class TensorSpec(NamedTuple):
    """Shape and dtype of a tensor; it outlives the tensor."""

    shape: tuple[int, ...]
    """A size that differs within the tensor (a jagged one) is -1."""
    dtype: str
    """As in torch, without the prefix: ``float32``, ``int64``, ..."""


def spec(tensor: torch.Tensor) -> TensorSpec:
    """Return shape and dtype of ``tensor``."""
    shape = tuple(tensor.shape)
    if not all(type(size) is int for size in shape):  # symbolic: that of a jagged nested tensor
        shape = tuple(size if type(size) is int else -1 for size in shape)
    return TensorSpec(shape, _DTYPES[tensor.dtype])


class _DtypeNames(dict[torch.dtype, str]):
    def __missing__(self, dtype: torch.dtype) -> str:
        self[dtype] = name = str(dtype).removeprefix("torch.")
        return name


_DTYPES = _DtypeNames()


@dataclass(eq=False)
class Value:
    """A tensor that enters or leaves the model."""

    name: str
    """Where it stands in the arguments or in the result: ``x``, ``batch.image``, ``0``, ..."""
    spec: TensorSpec


@dataclass(eq=False)
class Call:
    """One executed call of one module, as the forward hooks saw it."""

    module: nn.Module
    name: str
    """Qualified name; "" for the model itself and for modules that are registered nowhere."""
    call: int
    key: str
    """The layer key."""
    caller: Call | None
    is_model: bool = False
    """True for the outermost call: the model that is traced."""
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    began: int = 0
    """Place among the events."""
    calls: list[Call] = field(default_factory=list["Call"])
    """Module calls made directly by this one."""
    functions: int = 0
    """Number of functions called directly by this one."""
    fed: bool = False
    """True if a function called directly by this one used a tensor from outside."""
    raised: bool = False
    """True if it ended by an exception."""
    flops: int | None = None
    """Floating-point operations in it; None if none is counted."""
    flops_known: bool = True
    """False if something ran in it whose floating-point operations cannot be counted."""

    @property
    def is_box(self) -> bool:
        """True if it is shown closed, as one box: it called no other module.

        The model itself is a box only if it is a module of ``torch.nn``, or has no submodules and calls but one
        function: of a model that is written in functions, these are the structure.
        """
        if self.calls:
            return False
        if not self.is_model:
            return True
        if type(self.module).__module__.startswith("torch.nn."):
            return True
        return self.functions < 2 and not any(True for _ in self.module.children())


@dataclass(eq=False)
class Function:
    """One call of a torch function."""

    op: str
    caller: Call | None
    began: int = 0
    """Place among the events."""
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    flops: int | None = None
    """Floating-point operations in it; None if none is counted."""
    flops_known: bool = True
    """False if something ran in it whose floating-point operations cannot be counted."""


@dataclass(eq=False)
class Held:
    """A tensor that the model holds, where something uses it that does not hold it itself."""

    name: str
    """Qualified name."""
    class_name: str
    """``Parameter``, ``Buffer``, or ``Tensor`` for one that is kept as a plain attribute."""
    tensor: torch.Tensor
    spec: TensorSpec
    caller: Call | None = None
    """The call in which it is used."""


End: TypeAlias = Call | Function | Value | Held
E = TypeVar("E", bound=End)
"""What a tensor can flow from and to."""


class Flow(NamedTuple):
    """A tensor that flows from one end to another. A call that is no box is never an end."""

    source: End
    target: End
    shape: tuple[int, ...]


@dataclass
class Recording:
    """One forward pass."""

    events: list[Call | Function]
    """Calls and functions in the order in which they began; the call of the model itself is among them."""
    flows: list[Flow]
    inputs: list[Value]
    outputs: list[Value]
    recorder: str
    """Name of the recorder, as in ``ModelGraph.recorder``."""
    warnings: list[str] = field(default_factory=list[str])
    """What this recorder could not do, in words."""
    failure: Exception | None = None
    """What the forward raised; then this is the part that ran. None if it ended."""
    written: list[torch.Tensor] = field(default_factory=list[torch.Tensor])
    """Tensors of the model that the forward wrote in place; their values have been put back."""
    stopped: str = ""
    """The failure in words: where, and what."""


def box_of(end: E) -> E | Call:
    """Return what is drawn for ``end``: a function inside a closed module is drawn as that module."""
    if isinstance(end, Function) and end.caller is not None and end.caller.is_box:
        return end.caller
    return end
