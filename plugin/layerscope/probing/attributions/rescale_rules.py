"""The rules of the rescale rule: for each nonlinear operation an expression whose gradient are its multipliers.

A rule returns a *surrogate*, a differentiable tensor of which only the gradient counts. With x and x0 what the
operation is given, and y and y0 what it returns, for the inputs and for the baselines, the gradient m of the surrogate
obeys m · (x - x0) = y - y0 (summation to delta: Shrikumar et al. 2017, eq. 1), exactly but for rounding:

- **elementwise** f: m = (y - y0) / (x - x0), and f'(x) where the difference is but rounding (section 3.5.1);
- **products** (of elements and of matrices): half of what depends on both goes to each factor, a·b - a0·b0 =
  (a - a0)·b̄ + ā·(b - b0) with the means ā and b̄, which are the Shapley values of two factors (Lundberg & Lee 2017,
  "A Unified Approach to Interpreting Model Predictions", section 4.2); ``product`` says where not;
- **maxima**: what y has more than y0 goes to the element that is the largest of x, what it has less to the element that
  was the largest of x0 (as ``shap`` does);
- what is made of these (softmax, normalization, attention, recurrent cells) goes by the rules of its parts, as the
  products of attention do in Achtibat et al. 2024 ("AttnLRP").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Operation:
    """One operation of a model, met with inputs and with baselines."""

    run: Callable[[list[Any]], Tensor]
    """Run it with other arguments, flat, none of which is modified; what it returns first."""
    leaves: list[Any]
    """Its arguments, flat: those of the inputs."""
    baselines: list[Any]
    """Those of the baselines."""
    arguments: Callable[[], tuple[tuple[Any, ...], dict[str, Any]]]
    """The arguments of the inputs as they were given."""
    value: Tensor
    """What it returned first for the inputs, detached."""

    def baseline_value(self) -> Tensor:
        """Return what it returns first for the baselines."""
        with torch.no_grad():
            return self.run(self.baselines)

    def tensors(self) -> list[int]:
        """Return which arguments are tensors."""
        return [i for i, leaf in enumerate(self.leaves) if isinstance(leaf, Tensor)]

    def active(self) -> list[int]:
        """Return which arguments depend on the inputs."""
        return [i for i in self.tensors() if self.leaves[i].requires_grad]

    def constant(self, index: int) -> bool:
        """Return whether an argument is the same for the baselines."""
        return torch.equal(self.leaves[index], self.baselines[index])

    def varying(self, index: int) -> Varying:
        """Return an argument with its baseline."""
        leaf = self.leaves[index]
        return Varying(leaf, leaf.detach(), self.baselines[index].detach())

    def argument(self, place: int, name: str, default: Any = None) -> Any:
        """Return an argument by its place or name."""
        args, kwargs = self.arguments()
        return kwargs.get(name, args[place] if place < len(args) else default)

    def as_it_is(self) -> Tensor:
        """Return what it returns, with its own gradient: it is linear in what varies."""
        return self.run(list(self.leaves))


class Varying(NamedTuple):
    """A quantity for the inputs and for the baselines."""

    surrogate: Tensor
    """Has the gradient; its values mean nothing."""
    value: Tensor
    """For the inputs, detached."""
    baseline: Tensor
    """For the baselines."""

    @property
    def mean(self) -> Tensor:
        """Of the two values."""
        return (self.value + self.baseline) / 2

    def linear(self, function: Callable[[Tensor], Tensor]) -> Varying:
        """Return what a linear function makes of it."""
        return Varying(*map(function, self))

    def mapped(self, function: Callable[[Tensor], Tensor], derivative: Callable[[Tensor], Tensor]) -> Varying:
        """Return what an elementwise function makes of it."""
        value, baseline = function(self.value), function(self.baseline)
        multiplier = slope(self.value, self.baseline, value, baseline, lambda: derivative(self.value))
        return Varying(self.surrogate * multiplier, value, baseline)


def slope(x: Tensor, x0: Tensor, y: Tensor, y0: Tensor, derivative: Callable[[], Tensor]) -> Tensor:
    """Return (y - y0) / (x - x0); where x - x0 is within the rounding of x, the derivative, or 0 if not finite."""
    difference = x - x0
    rounding = 8 * torch.finfo(x.dtype).eps * torch.maximum(x.abs(), x0.abs())
    steep = (y - y0) / difference
    known = (difference.abs() > rounding) & steep.isfinite()
    return steep if bool(known.all()) else steep.where(known, derivative().nan_to_num(0, 0, 0))


_CANCELLING = 10
"""How many times the products themselves the shares of two factors may be."""


def product(a: Varying, b: Varying) -> Tensor:
    """Return the surrogate of the product of elements, to which each factor contributes half of what depends on both.

    Where one factor changes by orders of magnitude, as the 1 / deviation of a normalization does from a constant
    baseline, the two halves would all but cancel. There (a - a0)·b + a0·(b - b0) or (a - a0)·b0 + a·(b - b0) is taken,
    whichever cancels less.
    """
    from_a, from_b = a.value - a.baseline, b.value - b.baseline
    of_a, of_b = b.mean, a.mean
    extent = (a.value * b.value).abs() + (a.baseline * b.baseline).abs()
    cancelling = (from_a * of_a).abs() + (from_b * of_b).abs() > _CANCELLING * extent
    if bool(cancelling.any()):
        one_way = (from_a * b.value).abs() + (from_b * a.baseline).abs()
        other_way = (from_a * b.baseline).abs() + (from_b * a.value).abs()
        first = one_way <= other_way
        of_a = torch.where(cancelling, torch.where(first, b.value, b.baseline), of_a)
        of_b = torch.where(cancelling, torch.where(first, a.baseline, a.value), of_b)
    return a.surrogate * of_a + b.surrogate * of_b


def matrix_product(a: Varying, b: Varying) -> Varying:
    """Return the product of matrices, to which each factor contributes half of what depends on both."""
    return Varying(a.surrogate @ b.mean + a.mean @ b.surrogate, a.value @ b.value, a.baseline @ b.baseline)


def elementwise(operation: Operation) -> Tensor | None:
    """Rule of an operation each of whose results depends on one element of its only argument that varies."""
    active = operation.active()
    if len(active) > 1:
        return None
    index, value = active[0], operation.value
    x = operation.leaves[index].expand(value.shape)

    def derivative() -> Tensor:
        with torch.enable_grad():
            leaf = x.detach().clone().requires_grad_()
            others = list(operation.leaves)
            others[index] = leaf
            return torch.autograd.grad(operation.run(others).sum(), leaf)[0]

    x0 = operation.baselines[index].expand(value.shape)
    return x * slope(x.detach(), x0, value, operation.baseline_value(), derivative)


def multiplied(operation: Operation) -> Tensor | None:
    """Rule of a product of elements."""
    active = operation.active()
    if len(active) == 1:
        return _scaled(operation, active[0])
    return product(*map(operation.varying, active))


def divided(operation: Operation) -> Tensor | None:
    """Rule of a quotient."""
    active = operation.active()
    if operation.argument(2, "rounding_mode") is not None or active == [1]:
        return elementwise(operation)
    if active == [0]:
        return _scaled(operation, 0)
    a, b = (operation.varying(index) for index in active)
    return product(a, b.mapped(torch.reciprocal, lambda x: -1 / x**2))


def _scaled(operation: Operation, active: int) -> Tensor | None:
    """Rule of an operation linear in one argument, where the others do not depend on the inputs by a gradient.

    They may still differ from those of the baselines: ``x * (x > 0)``.
    """
    others = [i for i in operation.tensors() if i != active]
    return operation.as_it_is() if all(map(operation.constant, others)) else elementwise(operation)


def chosen(operation: Operation) -> Tensor | None:
    """Rule of ``where`` and ``masked_fill``.

    Where what is chosen is not what was chosen for the baselines, and both vary, the change is shared out to them by
    the squares of their own changes: the smallest multipliers that add up. Of ``where(h > 0, h, 0.1 * h)`` that is the
    slope of the whole. There is no rule where neither changes and the condition depends on something else.
    """
    active = operation.active()
    others = [i for i in operation.tensors() if i not in active]
    if all(map(operation.constant, others)):
        return operation.as_it_is()
    if len(active) == 1:
        return elementwise(operation)
    condition = next(i for i in others if operation.leaves[i].dtype == torch.bool)
    crossed = operation.leaves[condition] != operation.baselines[condition]
    a, b = (operation.varying(i) for i in active)
    from_a, from_b = a.value - a.baseline, b.value - b.baseline
    squares = from_a**2 + from_b**2
    extent = torch.stack(torch.broadcast_tensors(*a[1:], *b[1:])).abs().amax(0)
    rounding = 8 * torch.finfo(squares.dtype).eps * extent
    known = squares.sqrt() > rounding
    change = operation.value - operation.baseline_value()
    if bool((crossed & ~known & (change.abs() > rounding)).any()):
        return None
    share = torch.where(known, change / squares, 0.0)
    shared = a.surrogate * (share * from_a) + b.surrogate * (share * from_b)
    return torch.where(crossed, shared, operation.as_it_is())


def bilinear(operation: Operation) -> Tensor | None:
    """Rule of a product of two, of elements or of matrices."""
    return _bilinear(operation, operation.tensors())


def paired(operation: Operation) -> Tensor | None:
    """Rule of a product of two by weights: ``bilinear``."""
    return _bilinear(operation, operation.tensors()[:2])


def added(operation: Operation) -> Tensor | None:
    """Rule of a product of two that is added to a first argument."""
    return _bilinear(operation, operation.tensors()[1:])


def _bilinear(operation: Operation, factors: list[int]) -> Tensor | None:
    varying = [i for i in factors if operation.leaves[i].requires_grad]
    if len(varying) < 2:
        others = [i for i in factors if i not in varying]
        return operation.as_it_is() if all(map(operation.constant, others)) else None
    if len(factors) > 2:
        return None
    first, second = factors
    a, b = operation.varying(first), operation.varying(second)
    once, again = list(operation.leaves), [_detached(leaf) for leaf in operation.leaves]
    once[second], again[first], again[second] = b.mean, a.mean, b.surrogate
    return operation.run(once) + operation.run(again)  # the gradient of what is added is in the first only


def _detached(leaf: Any) -> Any:
    return leaf.detach() if isinstance(leaf, Tensor) else leaf


def _largest(x: Varying, at: Tensor, at_baseline: Tensor, dim: int) -> Tensor:
    """Return the surrogate of maxima over elements ``at`` (of x) and ``at_baseline`` (of x0) along ``dim``."""

    def slopes(place: Tensor, gained: Tensor, otherwise: float) -> Tensor:
        value, baseline = x.value.gather(dim, place), x.baseline.gather(dim, place)
        return slope(value, baseline, gained, torch.zeros_like(gained), lambda: torch.full_like(gained, otherwise))

    y, y0 = x.value.gather(dim, at), x.baseline.gather(dim, at_baseline)
    gained = slopes(at, (y - y0).clamp(min=0), 1.0)
    lost = slopes(at_baseline, (y - y0).clamp(max=0), 0.0)
    return x.surrogate.gather(dim, at) * gained + x.surrogate.gather(dim, at_baseline) * lost


def pooled(dimensions: int, adaptive: bool = False) -> Callable[[Operation], Tensor | None]:
    """Return the rule of max pooling over the last ``dimensions`` dimensions; windows may overlap."""
    pool = getattr(functional, f"{'adaptive_' * adaptive}max_pool{dimensions}d_with_indices")

    def rule(operation: Operation) -> Tensor | None:
        args, kwargs = operation.arguments()
        kwargs.pop("input", None)
        index = operation.active()[0]
        x = operation.varying(index).linear(lambda tensor: tensor.flatten(-dimensions))
        with torch.no_grad():
            at, at_baseline = (
                pool(tensor, *args[1:], **kwargs)[1].flatten(-dimensions)
                for tensor in (operation.leaves[index], operation.baselines[index])
            )
        return _largest(x, at, at_baseline, -1).reshape(operation.value.shape)

    return rule


def extreme(sign: int) -> Callable[[Operation], Tensor | None]:
    """Return the rule of maxima (``sign`` 1) or minima (-1): of all elements, along a dimension, or of two tensors."""

    def rule(operation: Operation) -> Tensor | None:
        active, tensors = operation.active(), operation.tensors()
        if len(tensors) == 2:
            if len(active) == 1 and operation.constant(next(i for i in tensors if i not in active)):
                return elementwise(operation)
            x = Varying(*map(_stacked, *(operation.varying(i) for i in tensors)))
            dim: Any = -1
        else:
            x, dim = operation.varying(active[0]), operation.argument(1, "dim")
        if isinstance(dim, (tuple, list)):
            dim = dim[0] if len(dim) == 1 else dim or None
        if isinstance(dim, tuple):
            return None
        if dim is None:
            x, dim = x.linear(torch.flatten), 0
        x = x.linear(lambda tensor: sign * tensor)
        at, at_baseline = x.value.argmax(dim, keepdim=True), x.baseline.argmax(dim, keepdim=True)
        return sign * _largest(x, at, at_baseline, dim).reshape(operation.value.shape)

    return rule


def _stacked(a: Tensor, b: Tensor) -> Tensor:
    return torch.stack(torch.broadcast_tensors(a, b), -1)
