"""The rules of operations that are made of others: softmax, normalization, gates and attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from layerscope.probing.attributions.rescale_rules import Operation, Varying, matrix_product, product


def _log_softmax(x: Varying, dim: Any) -> Varying:
    """Return the logarithm of softmax, in double precision: x less the logarithm of the sum of exponentials.

    Of each exponential and of the logarithm the slopes are positive: nothing large cancels.
    """
    x = x.linear(torch.Tensor.double)
    total = _log_total(x, dim)
    return Varying(*(a - b for a, b in zip(x, total, strict=True)))


def _log_total(x: Varying, dim: Any) -> Varying:
    """Return the logarithm of the sum of exponentials along ``dim``, which stays with size 1."""
    shift = (x.value.amax(dim, keepdim=True) + x.baseline.amax(dim, keepdim=True)) / 2
    shift = shift.nan_to_num(0, 0, 0)  # rows that are masked altogether
    exponentials = Varying(x.surrogate, x.value - shift, x.baseline - shift).mapped(torch.exp, torch.exp)
    total = exponentials.linear(lambda tensor: tensor.sum(dim, keepdim=True)).mapped(torch.log, torch.reciprocal)
    return Varying(total.surrogate, total.value + shift, total.baseline + shift)


def _softmax(x: Varying, dim: Any) -> Varying:
    found = _log_softmax(x, dim).mapped(torch.exp, torch.exp)
    return found.linear(lambda tensor: tensor.to(x.value.dtype))


def softmax(operation: Operation) -> Tensor | None:
    """Rule of softmax: of its logarithm and the exponential."""
    dim = operation.argument(1, "dim")
    return None if dim is None else _softmax(operation.varying(operation.active()[0]), dim).surrogate


def log_softmax(operation: Operation) -> Tensor | None:
    """Rule of the logarithm of softmax."""
    dim = operation.argument(1, "dim")
    return None if dim is None else _log_softmax(operation.varying(operation.active()[0]), dim).surrogate


def log_sum_exp(operation: Operation) -> Tensor | None:
    """Rule of the logarithm of the sum of exponentials."""
    x = operation.varying(operation.active()[0]).linear(torch.Tensor.double)
    return _log_total(x, operation.argument(1, "dim")).surrogate.reshape(operation.value.shape)


def cross_entropy(operation: Operation) -> Tensor | None:
    """Rule of the cross entropy with classes as labels: of the logarithm of softmax."""
    scores, labels = operation.argument(0, "input"), operation.argument(1, "target")
    if labels.is_floating_point() or not scores.requires_grad or operation.argument(7, "label_smoothing", 0.0):
        return None
    x, dim = operation.varying(operation.active()[0]), 0 if scores.ndim == 1 else 1
    return functional.nll_loss(
        _log_softmax(x, dim).surrogate.to(scores.dtype),
        labels,
        operation.argument(2, "weight"),
        ignore_index=operation.argument(4, "ignore_index", -100),
        reduction=operation.argument(6, "reduction", "mean"),
    )


def gated(operation: Operation) -> Tensor | None:
    """Rule of ``glu``: one half times the sigmoid of the other."""
    dim = operation.argument(1, "dim", -1)
    x = operation.varying(operation.active()[0])
    a, b = (x.linear(lambda tensor, half=half: tensor.chunk(2, dim)[half]) for half in (0, 1))
    gate = b.mapped(torch.sigmoid, lambda tensor: tensor.sigmoid() * (1 - tensor.sigmoid()))
    return product(a, gate)


def _normalized(x: Varying, dims: list[int], eps: float, *, centred: bool = True) -> Tensor:
    """Return the surrogate of x over its standard deviation (``centred``) or root mean square along ``dims``.

    With r = 1 / deviation, x·r - x0·r0 is (x - x0)·r + x0·(r - r0) and as well (x - x0)·r0 + x·(r - r0). Taken is the
    way with the smaller r: a constant, such as a baseline of zeros, has an r of 1 / sqrt(eps) that means nothing.
    """
    if centred:
        x = x.linear(lambda tensor: tensor - tensor.mean(dims, keepdim=True))
    square = Varying(x.surrogate * (x.value + x.baseline), x.value**2, x.baseline**2)
    variance = square.linear(lambda tensor: tensor.mean(dims, keepdim=True))
    shifted = Varying(variance.surrogate, variance.value + eps, variance.baseline + eps)
    r = shifted.mapped(torch.rsqrt, lambda tensor: -0.5 * tensor**-1.5)
    other = torch.where(r.value <= r.baseline, x.baseline, x.value)
    return x.surrogate * torch.minimum(r.value, r.baseline) + other * r.surrogate


def layer_norm(operation: Operation) -> Tensor | None:
    """Rule of layer normalization."""
    return _over_last(operation, operation.argument(2, "weight"), operation.argument(4, "eps", 1e-5), centred=True)


def rms_norm(operation: Operation) -> Tensor | None:
    """Rule of root-mean-square normalization."""
    eps = operation.argument(3, "eps")
    eps = torch.finfo(operation.value.dtype).eps if eps is None else eps
    return _over_last(operation, operation.argument(2, "weight"), eps, centred=False)


def _over_last(operation: Operation, weight: Tensor | None, eps: float, *, centred: bool) -> Tensor | None:
    active = operation.active()
    if len(active) > 1 or not operation.argument(0, "input").requires_grad:
        return None
    dims = list(range(-len(operation.argument(1, "normalized_shape")), 0))
    found = _normalized(operation.varying(active[0]), dims, eps, centred=centred)
    return found if weight is None else found * weight


def group_norm(operation: Operation) -> Tensor | None:
    """Rule of group normalization."""
    active = operation.active()
    if len(active) > 1 or not operation.argument(0, "input").requires_grad:
        return None
    x, groups = operation.varying(active[0]), operation.argument(1, "num_groups")
    shape, weight = operation.value.shape, operation.argument(2, "weight")
    grouped = x.linear(lambda tensor: tensor.reshape(shape[0], groups, -1))
    found = _normalized(grouped, [-1], operation.argument(4, "eps", 1e-5)).reshape(shape)
    return found if weight is None else found * weight.reshape(-1, *[1] * (len(shape) - 2))


def attention(operation: Operation) -> Tensor | None:
    """Rule of scaled dot-product attention: of both products and the softmax between them."""
    query, key, value = (operation.argument(i, name) for i, name in enumerate(("query", "key", "value")))
    places = [next(i for i, leaf in enumerate(operation.leaves) if leaf is tensor) for tensor in (query, key, value)]
    q, k, v = map(operation.varying, places)
    if operation.argument(7, "enable_gqa", False):
        times = query.shape[-3] // key.shape[-3]
        k, v = (x.linear(lambda tensor: tensor.repeat_interleave(times, -3)) for x in (k, v))
    scale = operation.argument(6, "scale")
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    scores = matrix_product(q, k.linear(lambda tensor: tensor.mT * scale))
    mask = operation.argument(3, "attn_mask")
    if operation.argument(5, "is_causal", False):
        mask = torch.ones(scores.value.shape[-2:], dtype=torch.bool, device=query.device).tril()
    if mask is not None:
        hidden = mask if mask.is_floating_point() else torch.zeros_like(mask, dtype=query.dtype)
        hidden = hidden if mask.is_floating_point() else hidden.masked_fill(~mask, -torch.inf)
        scores = Varying(scores.surrogate, scores.value + hidden, scores.baseline + hidden)
    return matrix_product(_softmax(scores, -1), v).surrogate
