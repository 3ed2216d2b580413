"""The rescale rule, operation by operation: a difference of outputs is shared out by the differences of inputs.

DeepLIFT (Shrikumar et al. 2017, "Learning Important Features Through Propagating Activation Differences", section
3.5.1) replaces the derivative of a nonlinear operation by the slope between a baseline and the input, so that the
contributions add up to the difference of the output (its eqs. 1 and 2). Ancona et al. 2018 ("Towards better
understanding of gradient-based attribution methods", table 1) compute it as a backward pass with other derivatives.

Here the operations are changed, not the modules: functions, methods, in-place forms and modules called again are the
same to it. The model runs twice, first with the baselines, then with the inputs; the k-th operation of one run belongs
to the k-th of the other. Nothing is assumed about where the samples are, since no batch is put together of both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from layerscope.errors import CaptureError
from layerscope.probing.attributions.rescale_composed import (
    attention,
    cross_entropy,
    gated,
    group_norm,
    layer_norm,
    log_softmax,
    log_sum_exp,
    rms_norm,
    softmax,
)
from layerscope.probing.attributions.rescale_rules import (
    Operation,
    added,
    bilinear,
    chosen,
    divided,
    elementwise,
    extreme,
    multiplied,
    paired,
    pooled,
)
from layerscope.probing.attributions.unrolling import unrolled

# fmt: off
_ELEMENTWISE = [
    "abs", "absolute", "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "asin", "asinh",
    "atan", "atanh", "ceil", "celu", "clamp", "clamp_max", "clamp_min", "clip", "cos", "cosh", "elu", "erf", "erfc",
    "erfinv", "exp", "exp2", "expit", "expm1", "float_power", "floor", "gelu", "hardshrink", "hardsigmoid", "hardswish",
    "hardtanh", "leaky_relu", "lgamma", "log", "log10", "log1p", "log2", "log_sigmoid", "logit", "logsigmoid", "mish",
    "nan_to_num", "pow", "prelu", "rdiv", "reciprocal", "relu", "relu6", "round", "rpow", "rrelu", "rsqrt", "rtruediv",
    "selu", "sigmoid", "sign", "silu", "sin", "sinc", "sinh", "softplus", "softshrink", "softsign", "sqrt", "square",
    "tan", "tanh", "tanhshrink", "threshold", "trunc",
]
# fmt: on

RULES: dict[str, Callable[[Operation], Tensor | None]] = {
    **dict.fromkeys(_ELEMENTWISE, elementwise),
    **dict.fromkeys(["bmm", "dot", "einsum", "inner", "matmul", "mm", "mv", "outer", "rmatmul"], bilinear),
    **dict.fromkeys(["addbmm", "addcmul", "addmm", "addmv", "baddbmm"], added),
    "bilinear": paired,
    **dict.fromkeys(["mul", "multiply", "rmul"], multiplied),
    **dict.fromkeys(["div", "divide", "true_divide", "truediv"], divided),
    **dict.fromkeys(["masked_fill", "where"], chosen),
    **{f"max_pool{n}d{form}": pooled(n) for n in (1, 2, 3) for form in ("", "_with_indices")},
    **{f"adaptive_max_pool{n}d{form}": pooled(n, adaptive=True) for n in (1, 2, 3) for form in ("", "_with_indices")},
    **dict.fromkeys(["amax", "fmax", "max", "maximum"], extreme(1)),
    **dict.fromkeys(["amin", "fmin", "min", "minimum"], extreme(-1)),
    "softmax": softmax,
    "log_softmax": log_softmax,
    "logsumexp": log_sum_exp,
    "cross_entropy": cross_entropy,
    "glu": gated,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "group_norm": group_norm,
    "scaled_dot_product_attention": attention,
}
"""Name of an operation, of all its forms -> its rule, which returns the surrogate, or None if it has none for this."""

# fmt: off
NO_RULE = frozenset([
    "addcdiv", "aminmax", "atan2", "binary_cross_entropy", "binary_cross_entropy_with_logits", "cdist",
    "cosine_similarity", "cummax", "cummin", "cumprod", "huber_loss", "hypot", "instance_norm", "kl_div", "kthvalue",
    "l1_loss", "lerp", "linalg_norm", "linalg_vector_norm", "logaddexp", "logaddexp2", "logcumsumexp", "median",
    "mse_loss", "norm", "normalize", "pairwise_distance", "prod", "quantile", "renorm", "smooth_l1_loss", "sort", "std",
    "std_mean", "topk", "var", "var_mean", "xlog1py", "xlogy",
])
# fmt: on
"""Nonlinear operations that keep their derivative: no rule is known for them, or none is built."""


class BaselinePass(TorchFunctionMode):
    """Notes what the operations that have a rule are given while a model runs with the baselines."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[tuple[str, list[Any]]] = []
        """Of each operation, in order of execution, its name and its arguments, flat."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and note what it is given."""
        name = _operation_name(func)
        if name in _COMPOSED:
            with self:
                return _opened(func)(*args, **(kwargs or {}))
        if name in _RECURRENT:
            with self:
                unrolled(name, args)
        if name in RULES:
            leaves = pytree.tree_leaves((args, kwargs or {}))
            self.noted.append((name, [_kept(leaf) for leaf in leaves]))
        return func(*args, **(kwargs or {}))


class RescaledPass(TorchFunctionMode):
    """Gives every operation that has a rule the backward of the rule while a model runs with the inputs.

    What the operations return, or write into their arguments in place, stays what it is, bit by bit.

    Args:
        baseline_pass: has seen the same model run with the baselines, of the shapes of the inputs.
    """

    def __init__(self, baseline_pass: BaselinePass) -> None:
        super().__init__()
        self._noted = baseline_pass.noted
        self._met = 0
        self.without_rule: dict[str, None] = {}
        """Names of the nonlinear operations that were met and kept their derivative, in order of execution."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, with another backward where it has a rule."""
        kwargs = kwargs or {}
        name = _operation_name(func)
        if name in _COMPOSED:
            with self:
                return _opened(func)(*args, **kwargs)
        if name in _RECURRENT:
            with self:
                surrogates = unrolled(name, args)
            if surrogates is not None:
                return _with_gradients_of(surrogates, func, args)
        if name not in RULES:
            if (name in NO_RULE or name in _RECURRENT) and _differentiable(pytree.tree_leaves((args, kwargs))):
                self.without_rule[name] = None
            return func(*args, **kwargs)
        leaves, spec = pytree.tree_flatten((args, kwargs))
        if torch.is_grad_enabled() or self._met < len(self._noted):  # else it is one of the backward pass
            baselines = self._next(name, leaves)
            if _differentiable(leaves):
                _require_kept(name)
                return self._replaced(func, name, leaves, baselines, spec)
        return func(*args, **kwargs)

    def _next(self, name: str, leaves: Sequence[Any]) -> list[Any]:
        noted, baselines = self._noted[self._met] if self._met < len(self._noted) else ("", [])
        self._met += 1
        if noted != name or [_shape(leaf) for leaf in leaves] != [_shape(leaf) for leaf in baselines]:
            raise CaptureError(
                "the rescale rule (deep_lift, deep_shap) needs the same operations for the inputs as for the baselines,"
                f" but the model ran {_described(name, leaves)} for the inputs where it ran "
                f"{_described(noted, baselines)} for the baselines. Choose other baselines, or integrated_gradients."
            )
        return baselines

    def _replaced(self, func: Any, name: str, leaves: list[Any], baselines: list[Any], spec: Any) -> Any:
        copies = [_kept(leaf) for leaf in leaves]
        versions = [_version(copy) for copy in copies]
        with torch.no_grad():
            returned = _call(func, copies, spec)
        modified = [i for i, copy in enumerate(copies) if _version(copy) != versions[i]]
        value = _first_tensor(returned)

        def run(others: list[Any]) -> Tensor:
            spared = [other.clone() if i in modified else other for i, other in enumerate(others)]
            return _first_tensor(_call(func, spared, spec))

        operation = Operation(run, leaves, baselines, lambda: pytree.tree_unflatten(leaves, spec), value)
        surrogate = RULES[name](operation)
        if surrogate is None:
            self.without_rule[name] = None
            return _call(func, leaves, spec)
        result = cast(Tensor, _WithGradientOf.apply([value], surrogate.to(value.dtype)))
        if modified:
            return leaves[modified[0]].copy_(result)
        if returned is value:
            return result
        return type(returned)((result, *returned[1:]))  # (values, indices) of a maximum


class _WithGradientOf(torch.autograd.Function):
    """The value of one tensor with the gradient of another."""

    @staticmethod
    def forward(ctx: Any, value: list[Tensor], surrogate: Tensor) -> Tensor:
        return value.pop()  # in a list: a tensor given directly would come back as a view, which in-place forms refuse

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, gradients[0]


def _with_gradients_of(surrogates: Sequence[Tensor], func: Any, args: Any) -> Any:
    with torch.no_grad():
        values = func(*args)
    if isinstance(values, Tensor):
        return _WithGradientOf.apply([values], surrogates[0])
    pairs = zip(values, surrogates, strict=True)
    return tuple(_WithGradientOf.apply([value], surrogate) for value, surrogate in pairs)


def _require_kept(name: str) -> None:
    """Raise if what runs now is forgotten and run again in the backward pass, where no rule can be given to it."""
    hooks: Any = torch._C._autograd._top_saved_tensors_default_hooks(False)  # pyright: ignore[reportAttributeAccessIssue, reportPrivateUsage]
    if hooks is not None and hooks[0].__module__ == "torch.utils.checkpoint":
        raise CaptureError(
            f"the rescale rule (deep_lift, deep_shap) goes through each operation once, but {name} is computed again "
            "in the backward pass, by torch.utils.checkpoint. Switch checkpointing off in evaluation mode, or use "
            "integrated_gradients."
        )


def _operation_name(func: Any) -> str:
    """Return the name of an operation, the same for all its forms: ``F.relu``, ``torch.relu_``, ``Tensor.relu``."""
    return cast(str, getattr(func, "__name__", "")).strip("_").removeprefix("special_")


def _first_tensor(returned: Any) -> Tensor:
    """Return what an operation returned, or the first of several."""
    return returned if isinstance(returned, Tensor) else returned[0]


def _call(func: Any, leaves: list[Any], spec: Any) -> Any:
    args, kwargs = pytree.tree_unflatten(leaves, spec)
    return func(*args, **kwargs)


def _kept(leaf: Any) -> Any:
    if not isinstance(leaf, Tensor) or isinstance(leaf, nn.Parameter):
        return leaf
    return leaf.detach().clone()  # it may be modified in place later


def _differentiable(leaves: Sequence[Any]) -> bool:
    if not torch.is_grad_enabled():
        return False
    return any(isinstance(leaf, Tensor) and leaf.requires_grad for leaf in leaves)


def _shape(leaf: Any) -> Any:
    return leaf.shape if isinstance(leaf, Tensor) else None


def _version(leaf: Any) -> int:
    return leaf._version if isinstance(leaf, Tensor) else 0


def _described(name: str, leaves: Sequence[Any]) -> str:
    shapes = [list(leaf.shape) for leaf in leaves if isinstance(leaf, Tensor)]
    return f"{name} of {', '.join(map(str, shapes))}" if name else "nothing more"


_COMPOSED = frozenset(
    {"multi_head_attention_forward", "local_response_norm", "lp_pool1d", "lp_pool2d", "lp_pool3d", "softmin"}
)
"""Functions of torch that are made of operations which have rules."""


_RECURRENT = frozenset(f"{name}{form}" for name in ("gru", "lstm", "rnn_relu", "rnn_tanh") for form in ("", "_cell"))


def _opened(func: Any) -> Callable[..., Any]:
    """Return a function of ``torch.nn.functional`` whose inner operations a mode sees.

    Such a function asks at its beginning whether a mode is there, and hands itself over to it if so, as a whole.
    """
    asking = [name for name in func.__code__.co_names if name.startswith("has_torch_function")]
    names = func.__globals__ | dict.fromkeys(asking, lambda *_: False)
    opened = FunctionType(func.__code__, names, func.__name__, func.__defaults__, func.__closure__)
    opened.__kwdefaults__ = func.__kwdefaults__
    return opened
