"""What one forward pass did, in the form that every recorder fills and ``assemble`` turns into a ``ModelGraph``.

A recorder is a function ``(model, args, kwargs) -> Recording``: ``torchview_recorder`` gives modules, functions and
flows; ``module_recorder`` gives modules and the flows between them, for models that torchview cannot follow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import torch
from torch import nn


class TensorSpec(NamedTuple):
    """Shape and dtype of a tensor; it outlives the tensor."""

    shape: tuple[int, ...]
    dtype: str
    """As in torch, without the prefix: ``float32``, ``int64``, ..."""


def spec(tensor: torch.Tensor) -> TensorSpec:
    """Return shape and dtype of ``tensor``."""
    return TensorSpec(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))


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
    calls: list[Call] = field(default_factory=list["Call"])
    """Module calls made directly by this one."""
    functions: int = 0
    """Number of functions called directly by this one."""

    @property
    def is_box(self) -> bool:
        """True if it is shown closed, as one box: torchview's rule, but judged by what ran.

        A module without submodules hides its functions; one that called neither modules nor functions has nothing
        to show. The model itself is a box only if it has no submodules at all.
        """
        if self.calls:
            return False
        has_submodules = any(True for _ in self.module.children())
        return not has_submodules if self.is_model else not (has_submodules and self.functions)


@dataclass(eq=False)
class Function:
    """One call of a torch function."""

    op: str
    caller: Call | None
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()


End: TypeAlias = Call | Function | Value
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
    warnings: list[str] = field(default_factory=list[str])
    """What this recorder could not do, in words."""


def box_of(end: Call | Function) -> Call | Function:
    """Return what is drawn for ``end``: a function inside a closed module is drawn as that module."""
    if isinstance(end, Function) and end.caller is not None and end.caller.is_box:
        return end.caller
    return end
