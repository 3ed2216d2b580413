"""Where paths begin and what stands for what is missing: zeros, a number, a tensor, or background samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from layerscope.errors import InvalidArgumentError
from layerscope.probing.attributions.method import Question
from layerscope.probing.calls import input_tensors

Baselines = None | float | Tensor | Sequence[Any] | Mapping[str, Any]
"""Where a path begins: None for zeros (of an input of integers: an embedding of zeros), a number for every element (of
an input of integers: that number's embedding), a tensor like the input (its first dimension may be 1), or one of these
for each input tensor, in a sequence or a mapping as the inputs are."""


def baselines_by_input(baselines: Baselines, inputs: Any) -> list[Any]:
    """Return the baseline of each input tensor.

    Raises:
        InvalidArgumentError: there are several, but not one for each.
    """
    tensors = input_tensors(inputs)
    if baselines is None or isinstance(baselines, (int, float)):
        return [baselines] * len(tensors)
    if isinstance(baselines, Tensor):
        given: list[Any] = [baselines]
    else:
        given = list(baselines.values() if isinstance(baselines, Mapping) else baselines)
    if len(given) != len(tensors):
        raise InvalidArgumentError(
            f"there must be one baseline for each of the {len(tensors)} input tensors, but {len(given)} were given. "
            "Use None for those that keep zeros."
        )
    return given


def background_samples(method: str, baselines: Baselines, question: Question) -> list[Baselines]:
    """Return background samples one by one, each a baseline for the whole batch.

    Args:
        method: what needs them.
        baselines: a tensor [samples, ...] like the input, or one for each input tensor.
        question: what is asked.

    Raises:
        InvalidArgumentError: there are none, or their numbers differ from input to input.
    """
    given: list[Any] = baselines_by_input(baselines, question.inputs)
    tensors = [baseline for baseline in given if isinstance(baseline, Tensor) and baseline.ndim > question.batch_dim]
    sizes = {tensor.shape[question.batch_dim] for tensor in tensors}
    if len(sizes) != 1 or 0 in sizes:
        raise InvalidArgumentError(
            f"{method} needs background samples: baselines=tensor [samples, ...] like the input, e.g. 20 of the "
            f"training data; given: {[list(t.shape) for t in tensors] if tensors else baselines}."
        )

    def sample(baseline: Any, i: int) -> Any:
        chosen = any(baseline is tensor for tensor in tensors)
        return baseline.narrow(question.batch_dim, i, 1) if chosen else baseline

    return [[sample(baseline, i) for baseline in given] for i in range(sizes.pop())]


def expanded(tensor: Tensor, baseline: Any) -> Tensor | None:
    """Return a baseline of the shape of the input ``tensor``, in its own values: numbers, not embeddings."""
    if baseline is None:
        return torch.zeros_like(tensor) if tensor.is_floating_point() else None
    given = torch.as_tensor(baseline, device=tensor.device)
    if given.is_floating_point() and not tensor.is_floating_point():
        raise InvalidArgumentError(f"the baseline of an input of integers must be integers, but it is {given.dtype}.")
    try:
        return given.to(tensor.dtype).expand(tensor.shape)
    except RuntimeError:
        raise InvalidArgumentError(
            f"a baseline must have the shape of its input, {list(tensor.shape)}, or one that broadcasts to it, but it "
            f"has {list(given.shape)}."
        ) from None
