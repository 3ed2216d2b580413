"""Attention weights: which key each query looks at, of every layer that attends, in every head."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from layerscope.containment import contained, original
from layerscope.errors import CaptureError, InvalidArgumentError
from layerscope.naming import LayerNames
from layerscope.probing.calls import copied_arguments, input_tensors, layer_unavailable, watched
from layerscope.probing.layer_choice import Chosen


def attention(
    model: nn.Module,
    inputs: Any,
    *,
    layers: str | Sequence[str] = "all",
    max_samples: int | None = 4,
    batch_dim: int = 0,
) -> dict[str, Tensor]:
    """Return the attention weights of every layer that attends, from one forward pass in evaluation mode.

    Vaswani et al. 2017, "Attention is all you need", equation 1: softmax(QKᵀ/√d), with the masks, before dropout and
    whatever else the model does to them. They can be had of

    - ``nn.MultiheadAttention``, and so ``nn.Transformer`` with its parts, whether or not it is asked for its weights;
    - any call of ``torch.nn.functional.scaled_dot_product_attention``, as in timm and, by default, in Transformers. It
      does not give its weights, so they are computed from its arguments, in float32;
    - a softmax over the last dimension of a four-dimensional tensor [samples, heads, queries, keys], as people write it
      by hand and Transformers does with ``attn_implementation="eager"``. Nothing tells that it is one: a softmax over
      the columns of images, over the channels of channels-last maps or over the features of a linear attention is
      taken for it, and of sparse attentions with an order of their own (Longformer) the dimensions are named wrongly.
      What has three dimensions is left out: [samples · heads, queries, keys] does not tell how many heads there are.

    FlexAttention, fused kernels that are called directly and scripted modules show no weights.

    Args:
        model: the model; it is left as it was found, and a compiled one is run through its original.
        inputs: a tensor, a tuple (positional arguments) or a mapping (keyword arguments) for the model.
        layers: ``"all"`` that attend, or a list of layer keys and patterns as in a shell, e.g. ``"blocks.*.attn"``.
        max_samples: of how many samples, from the first, weights are kept; None for all. The forward pass runs on all.
        batch_dim: dimension of the samples in the inputs.

    Returns:
        Layer key -> weights, float32 [samples, heads, queries, keys] on the CPU, in order of execution. The key is that
        of the innermost module call in which they are computed, other than of ``nn.Softmax``; the class in angle
        brackets (``<Model>``) where that is the model itself. Of several attentions in one call, the first is kept.
        Each row (over the keys) sums to 1; a query whose keys are all masked (by -inf) has no weights: its row is NaN.
        Keys that the model adds (``add_bias_kv``, attention sinks) come last. In a layer that attends within windows
        (Swin), or otherwise several times in a sample, each sample has as many entries, one behind the other.
        One layer takes 4 · samples · heads · queries · keys bytes: 7 MiB for 4 samples, 12 heads and 197 tokens.

    Raises:
        InvalidArgumentError: ``layers`` is neither ``"all"`` nor a list, or ``max_samples`` is less than 1.
        LayerNotFoundError: the model has no layer of that key.
        CaptureError: a layer that was asked for was not executed or shows no attention weights, or none at all does.
    """
    if max_samples is not None and max_samples < 1:
        raise InvalidArgumentError(f"max_samples must be 1 or more, or None for all, but it is {max_samples}.")
    if layers == "auto":
        raise InvalidArgumentError('layers must be "all" or a list of layer keys and patterns, but it is "auto".')
    model = original(model)
    chosen = Chosen.of(layers, model, inputs)
    running: list[tuple[nn.Module, str]] = []
    outside = LayerNames(model).name(model)

    def current() -> str:
        """Return the key of the layer that attends; a softmax that is a module (often made on the fly) is a part."""
        return next((key for module, key in reversed(running) if not isinstance(module, nn.Softmax)), outside)

    weights = _Weights(
        current=current,
        wanted=lambda key: key in chosen,
        entries=_entries(inputs, batch_dim, max_samples),
    )
    with contained(model, frozen=True), torch.no_grad():
        arguments = copied_arguments(inputs)
        with watched(model, lambda key, module, output: None, running) as executed, weights:
            model(*arguments.args, **arguments.kwargs)
    _require(chosen, weights, model, executed)
    return weights.found


Entries = Callable[[int], int]
"""How many there are along the dimension of the samples in a layer -> how many of them to keep, from the first."""


def _entries(inputs: Any, batch_dim: int, max_samples: int | None) -> Entries:
    samples = next((tensor.shape[batch_dim] for tensor in input_tensors(inputs) if tensor.ndim > batch_dim), 0)

    def entries(there: int) -> int:
        if max_samples is None:
            return there
        each = there // samples if samples and there % samples == 0 else 1
        return min(there, each * max_samples)

    return entries


class _Weights(TorchFunctionMode):
    """Keeps the weights that torch functions compute in it. While one runs, what it calls is not seen."""

    def __init__(self, current: Callable[[], str], wanted: Callable[[str], bool], entries: Entries) -> None:
        super().__init__()
        self._current = current
        self._wanted = wanted
        self._entries = entries
        self.found: dict[str, Tensor] = {}
        """Layer key -> weights."""
        self.attending: dict[str, None] = {}
        """Keys of all layers that attend, wanted or not."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func in _FUNCTIONS and _attends(func, result, args, kwargs):
            key = self._current()
            self.attending[key] = None
            if key not in self.found and self._wanted(key):
                weights = _FUNCTIONS[func](self._entries, result, *args, **kwargs)
                self.found[key] = weights.detach().to("cpu", torch.float32, copy=True)
        return result


def _attends(func: Any, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    if _FUNCTIONS[func] is _of_softmax:
        dim = args[1] if len(args) > 1 else kwargs.get("dim")
        return result.ndim == 4 and dim in (-1, 3)
    return not getattr(result, "is_nested", False)  # samples of different lengths fill no tensor


class _WeightsOf(Protocol):
    """Gives the attention weights [entries, heads, queries, keys] of a call of a torch function that gave result."""

    def __call__(self, entries: Entries, result: Any, /, *args: Any, **kwargs: Any) -> Tensor: ...


def _of_softmax(entries: Entries, result: Tensor, /, *_: Any, **__: Any) -> Tensor:
    return result[: entries(len(result))]


def _of_scaled_dot_product(
    entries: Entries,
    _: Tensor,
    /,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    # CausalBias holds no values. To import its module only to know it would load the compiler, a matter of seconds.
    materialize = getattr(attn_mask, "_materialize", None)
    if materialize is not None:
        attn_mask = materialize(query.device)
    dimensions = max(query.ndim, key.ndim)
    if dimensions > 2:
        kept = entries(max(tensor.shape[0] for tensor in (query, key) if tensor.ndim == dimensions))
        query, key = _first(query, kept, dimensions), _first(key, kept, dimensions)
        attn_mask = None if attn_mask is None else _first(attn_mask, kept, dimensions)
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], dim=-3)
    scores = query.float() @ key.float().mT * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -math.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
    weights = scores.softmax(-1)
    if weights.ndim < 4:  # one head
        return weights.unsqueeze(-3).reshape(-1, 1, *weights.shape[-2:])
    return weights.flatten(0, -4)


def _first(tensor: Tensor, kept: int, dimensions: int) -> Tensor:
    """Return the first entries of what has that many dimensions; what has fewer is the same for all entries."""
    return tensor[:kept] if tensor.ndim == dimensions else tensor


_MULTI_HEAD = inspect.signature(functional.multi_head_attention_forward)


def _of_multi_head(entries: Entries, _: Any, /, *args: Any, **kwargs: Any) -> Tensor:
    """Call it again for its weights, with the samples that are kept; it does not give them for each head unasked."""
    arguments: dict[str, Any] = _MULTI_HEAD.bind(*args, **kwargs).arguments
    query, heads = arguments["query"], arguments["num_heads"]
    if query.ndim == 3:  # [queries, samples, features]
        kept = entries(query.shape[1])
        for name in ("query", "key", "value"):
            arguments[name] = arguments[name][:, :kept]
        for name, each in (("key_padding_mask", 1), ("attn_mask", heads), ("static_k", heads), ("static_v", heads)):
            given = arguments.get(name)
            if given is not None and (name != "attn_mask" or given.ndim == 3):
                arguments[name] = given[: kept * each]
    arguments |= {"need_weights": True, "average_attn_weights": False, "training": False}
    weights = functional.multi_head_attention_forward(**arguments)[1]
    assert weights is not None
    return weights if query.ndim == 3 else weights.unsqueeze(0)


_FUNCTIONS: dict[Any, _WeightsOf] = {
    functional.multi_head_attention_forward: _of_multi_head,
    functional.scaled_dot_product_attention: _of_scaled_dot_product,
    functional.softmax: _of_softmax,
    torch.softmax: _of_softmax,
    torch.special.softmax: _of_softmax,
    torch.Tensor.softmax: _of_softmax,
}
"""Torch function -> what gives its attention weights."""


def _require(chosen: Chosen, weights: _Weights, model: nn.Module, executed: list[str]) -> None:
    """Raise if a layer that was asked for, or every layer, has no attention weights."""
    attending = ", ".join(map(repr, weights.attending))
    missing = [key for key in chosen.keys if key not in weights.found]
    for key in missing:
        if key not in executed:
            raise layer_unavailable(model, key, executed)
    chosen.require([*executed, *weights.found])
    if chosen.nothing or (weights.found and not missing):
        return
    if attending:
        what = ", ".join(map(repr, missing or chosen.patterns))
        raise CaptureError(
            f"attention weights of {what} were asked for, but none can be seen there: a layer has those that are "
            f"computed in itself, not in a module within it. Choose among {attending}."
        )
    raise CaptureError(
        "attention weights were asked for, but the forward pass computed none that can be seen. They are seen in "
        "nn.MultiheadAttention, in calls of torch.nn.functional.scaled_dot_product_attention, and where a softmax is "
        "taken over the last dimension of a tensor [samples, heads, queries, keys]; not in FlexAttention, in fused "
        "kernels that are called directly (flash_attn, xformers), or in scripted modules. Load a model of Transformers "
        'with attn_implementation="eager" or "sdpa".'
    )
