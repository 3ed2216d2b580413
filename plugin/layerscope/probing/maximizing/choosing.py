"""What activation maximization takes where nobody chose: which layers, and images like those the model gets."""

from __future__ import annotations

import fnmatch
import inspect
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import torch
from torch import nn

from layerscope import wire
from layerscope.errors import InvalidArgumentError, LayerNotFoundError
from layerscope.probing.calls import input_tensors
from layerscope.probing.describing import Tokens, describe_inputs, spelling

_LONGEST_SIDE = 128
"""Of the images that climb where nobody chose, in pixels; probed ones may be larger."""


class Probed:
    """What the model was last given: size and range of its images, and the samples to measure made-up ones by."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}
        """For ``maximize``; empty until an image (or a signal, or the rows of a table) was seen."""
        self.inputs: Any = None
        """The samples that were probed last; None until some were. Text whose tokens were told stays, until other text
        is told or samples of another kind are probed: a sample is shown by its words, whatever was called in between.
        """
        self.samples = "probe"
        """The name of their probe set."""
        self.description: wire.SamplesBlob | None = None
        """How to show them, where their tokens were told."""
        self.smaller: tuple[int, ...] | None = None
        """A shape of less pixels than the images have, for models that take any; None if they are small."""
        self._traced: Any = None
        self._probed = False
        self._spelling: Callable[[int], str] = "#{}".format

    @property
    def tokens(self) -> Any:
        """Arguments whose first tensor is tokens, integers [samples, length]: those probed, or else those traced."""
        known = self._traced if self.inputs is None else self.inputs
        return known if known is not None and _are_tokens(known) else None

    def spell(self, tokens: Tokens) -> None:
        """Note how to make words of the numbers of tokens; see ``describing.Tokens``."""
        numbers = [] if self.tokens is None else input_tensors(self.tokens)[0].tolist()
        self._spelling = spelling(tokens, numbers)
        if self.description is None and self.inputs is not None and self.tokens is not None:
            self.description = describe_inputs(self.inputs, tokens=tokens)

    def words(self, numbers: Sequence[int]) -> tuple[str, ...]:
        """Return the words of some numbers."""
        return tuple(map(self._spelling, numbers))

    def trace(self, model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Note what is told by the arguments of a call of the model; samples that were probed tell more."""
        if kwargs and args:
            called: Any = dict(zip(inspect.signature(model.forward).parameters, args, strict=False)) | dict(kwargs)
        else:
            called = dict(kwargs) or args
        self._traced = called if _are_tokens(called) else None
        self._measure(called, probed=False)

    def remember(
        self, inputs: Any, *, samples: str = "probe", description: wire.SamplesBlob | None = None, chosen: bool = False
    ) -> None:
        """Note what is told by samples that were probed.

        Args:
            inputs: arguments of the model.
            samples: the name of the probe set.
            description: how to show them, if anybody said so.
            chosen: that these are wanted, whatever else was told.
        """
        told = description is not None and any(one.tokens for one in description.inputs)
        if told or chosen or self.description is None or not _are_tokens(inputs):
            self.inputs, self.samples = inputs, samples
            self.description = description if told else None
        self._measure(inputs, probed=True)

    def _measure(self, inputs: Any, *, probed: bool) -> None:
        """Note shape and range of the first input, if they are not known as well already."""
        if "value_range" in self.options and (self._probed or not probed):
            return
        tensors = input_tensors(inputs)
        if not tensors or not tensors[0].is_floating_point() or not 2 <= tensors[0].ndim <= 4:
            return
        tensor = tensors[0]
        self.options["input_shape"] = tuple(tensor.shape[1:])
        self.smaller = _smaller(tuple(tensor.shape[1:]))
        finite = tensor.detach()[torch.isfinite(tensor)]
        low, high = (float(finite.min()), float(finite.max())) if finite.numel() else (0.0, 0.0)
        if low < high:
            self.options["value_range"] = (low, high)
            self._probed = probed


def _are_tokens(inputs: Any) -> bool:
    """Return whether the first tensor is integers [samples, length]."""
    tensors = input_tensors(inputs)
    return bool(tensors) and tensors[0].ndim == 2 and not tensors[0].is_floating_point()


def _smaller(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    if len(shape) != 3 or max(shape[1:]) <= _LONGEST_SIDE:
        return None
    factor = _LONGEST_SIDE / max(shape[1:])
    return shape[0], *(max(1, round(side * factor)) for side in shape[1:])


def telling_layers(model: nn.Module, executed: Set[str]) -> list[str]:
    """Return the first, the middle and the last convolution (or else linear layer), and the last linear layer.

    Args:
        model: the model.
        executed: qualified names of the modules that a forward pass called; empty if that is not known.

    Raises:
        InvalidArgumentError: there are none.
    """
    named = [(name, m) for name, m in model.named_modules() if name and (not executed or name in executed)]
    convolutions = [name for name, m in named if isinstance(m, (nn.Conv1d, nn.Conv2d, nn.Conv3d))]
    linears = [name for name, m in named if isinstance(m, nn.Linear)]
    first = convolutions or linears
    chosen = [first[i] for i in (0, len(first) // 2, -1)] if first else []
    layers = list(dict.fromkeys([*chosen, *linears[-1:]]))
    if not layers:
        raise InvalidArgumentError(
            "layers were left to be chosen among convolutions and linear layers, but the model calls none. "
            "Name some: maximize(step=step, layers=[...])."
        )
    return layers


def named_layers(model: nn.Module, executed: Set[str], layers: Sequence[str]) -> list[str]:
    """Return layer keys, and of each pattern those that match it.

    Args:
        model: the model.
        executed: qualified names of the modules that a forward pass called, of which patterns choose; empty if that is
            not known, and all modules are chosen of.
        layers: keys and patterns.

    Raises:
        LayerNotFoundError: a pattern that nothing matches.
    """
    names = [name for name, _ in model.named_modules() if name]
    known = [name for name in names if name in executed] or names
    found: list[str] = []
    for layer in layers:
        pattern = layer not in names and any(sign in layer for sign in "*?[")
        matching = fnmatch.filter(known, layer) if pattern else [layer]
        if not matching:
            raise LayerNotFoundError(layer, known)
        found += [name for name in matching if name not in found]
    return found
