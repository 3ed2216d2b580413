"""The parameters themselves, for pictures: filters, matrices as heat maps, biases and norm scales as bars."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from layerscope.containment import contained, original
from layerscope.errors import InvalidArgumentError
from layerscope.naming import LayerNames
from layerscope.probing.sharding import is_sharded

MAX_BARS = 4096
"""Most elements of a vector (a bias, a norm's scale) that ``"auto"`` takes; and most rows that have a norm each."""
_CHUNK = 1 << 20
"""About how many elements of a large parameter are looked at at once: as many are copied."""
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class Weight:
    """One parameter, small enough for a picture."""

    values: NDArray[np.float32]
    """The parameter; each dimension as long as its own divided by its factor in ``reduced``, rounded up."""
    shape: tuple[int, ...]
    """The parameter's own shape."""
    layer: str
    """Layer key of the module that owns it."""
    reduced: tuple[int, ...]
    """For each dimension, how many neighbouring elements became one; 1 where it is as it was."""
    filters: bool
    """Whether it is the kernel of a convolution from or to at most four channels, whose filters make pictures. Of these
    every ``reduced[0]``-th is there as it is, rather than blocks of several."""
    norms: NDArray[np.float32] | None = None
    """Of a parameter of two or more dimensions, filters aside, the Euclidean norm of each entry of the first (of each
    row of a matrix), of the whole parameter; None if there are more than ``MAX_BARS``."""


def weights(
    model: nn.Module,
    *,
    parameters: str | Sequence[str] = "auto",
    max_elements: int = 65_536,
    max_total: int = 262_144,
) -> dict[str, Weight]:
    """Return parameters as they are now, the large ones reduced to what a picture can show.

    Of a parameter with more than ``max_elements`` elements, those dimensions are divided into blocks that are the
    longest, until it is small enough. A block becomes its element of the largest magnitude, with its sign (of a and -a,
    the positive one; NaN if it holds one), so that no spike is averaged away. Filters that make pictures would not
    after that: of them some are left out instead (see ``Weight.filters``).

    A parametrized parameter (``torch.nn.utils.parametrize``: weight and spectral norm, ...) is shown under its plain
    name (``conv.weight``) as the layer uses it in evaluation mode. What it is made of goes by its own names
    (``conv.parametrizations.weight.original0``), which ``"auto"`` leaves out. Of what hooks compute before each forward
    pass (``torch.nn.utils.prune``) only that which it is made of is a parameter, and shown.

    Args:
        model: the model, which does not run; a compiled one is looked at through its original.
        parameters: qualified names, and patterns as in a shell (``"blocks.*.weight"``), in a list. Or ``"auto"``: the
            filters of the first convolution, and the last parameter of two or more dimensions; then matrices (of
            linear, embedding and recurrent layers, attention in-projections) and vectors of up to ``MAX_BARS`` elements
            (biases, scales of norms); then all others of more dimensions. Of these each time the first and the last of
            the model come first, those in the middle last, while they fit into ``max_total``.
        max_elements: most elements of one parameter.
        max_total: most elements of all that ``"auto"`` takes: by default 512 KiB in float16, and 1 MiB in float32, in
            which parameters are stored whose elements are all below 1/16. A list is not limited.

    Returns:
        Parameter name -> weight, on the CPU, in the order in which the model registered them. A parameter that goes by
        several names is there once, under the first that was asked for. Of ``"auto"`` and patterns those are left out
        that have no values here: lazy ones and those on the meta device, those in shards (DTensor: FSDP2, tensor
        parallelism) or otherwise made of other tensors (torchao), sparse ones, and numbers that are not real (codes of
        packed quantized weights; what PyTorch itself quantizes is shown).

    Raises:
        InvalidArgumentError: ``parameters`` is neither ``"auto"`` nor a list of strings, one of it matches no parameter
            or only such as would be left out, or a number is less than 1.
    """
    for what, number in {"max_elements": max_elements, "max_total": max_total}.items():
        if number < 1:
            raise InvalidArgumentError(f"{what} must be 1 or more, but it is {number}.")
    known = list(_parameters(original(model)))
    if parameters == "auto":
        return _auto(known, max_elements, max_total)
    return {parameter.name: _weight(parameter, max_elements) for parameter in _once(_asked(known, parameters))}


@dataclass(frozen=True, eq=False)
class _Parameter:
    """A parameter, or what a parametrization makes of some."""

    name: str
    layer: str
    owner: nn.Module
    sources: tuple[Tensor, ...]
    """The parameter itself, or what it is made of."""
    made_by: parametrize.ParametrizationList | None = None

    @property
    def source(self) -> Tensor:
        """The largest of the sources, whose shape is in all likelihood its own."""
        return max(self.sources, key=Tensor.numel)

    @property
    def convolution(self) -> bool:
        """Whether it is the kernel of a convolution, transposed ones aside."""
        return isinstance(self.owner, _CONVOLUTIONS) and self.name.rpartition(".")[2] == "weight"

    def filters(self, shape: Sequence[int]) -> bool:
        """Return whether these are filters that make pictures."""
        kernel = isinstance(self.owner, (*_CONVOLUTIONS, *_TRANSPOSED)) and len(shape) > 2
        return kernel and shape[1] <= 4

    def unavailable(self) -> str | None:
        """Return why it cannot be shown, in words, or None if it can."""
        return next((reason for reason in map(_unavailable, self.sources) if reason), None)

    def value(self) -> Tensor:
        """Return the values as they are now, not to be written to."""
        value = self.sources[0]
        if self.made_by is not None:  # by itself, for the layer's attribute may be cached, with the graph of a backward
            with contained(self.owner), torch.no_grad():
                value = self.made_by()
        return value.dequantize() if value.is_quantized else value.detach()


def _unavailable(tensor: Tensor) -> str | None:
    if is_lazy(tensor):
        return "it is lazy, without a shape until the model runs. Run it once on a batch first"
    if tensor.is_meta:
        return "it lies on the meta device, without values. Load them first"
    if is_sharded(tensor):
        return "it is a DTensor, in shards on several processes. Gather the model first"
    if is_traceable_wrapper_subclass(tensor):  # quantized by torchao, ...
        return f"it is a {type(tensor).__name__}, whose values lie in other tensors. Choose another one"
    if tensor.layout != torch.strided:
        return f"its layout is {tensor.layout}. Choose a dense one"
    if not (tensor.is_floating_point() or tensor.is_quantized):
        return f"it holds {tensor.dtype}, no real numbers. Choose another one"
    return None if tensor.numel() else "it has no elements. Choose another one"


def _parameters(model: nn.Module) -> Iterator[_Parameter]:
    """Yield every parameter under each of its names, and where it is parametrized before them what the layer uses."""
    names = LayerNames(model)
    around: dict[int, str] = {}  # id of a module that belongs to a parametrization -> layer key of the parametrized one
    for prefix, module in model.named_modules(remove_duplicate=False):
        layer = around.get(id(module), names.name(module))
        start = f"{prefix}." if prefix else ""
        if parametrize.is_parametrized(module):
            parametrizations = module.parametrizations
            assert isinstance(parametrizations, nn.ModuleDict)
            around |= {id(inner): layer for inner in parametrizations.modules()}
            for key, made_by in parametrizations.items():
                sources = tuple(made_by.parameters(recurse=False))
                if sources and isinstance(made_by, parametrize.ParametrizationList):  # else it is a buffer
                    yield _Parameter(start + key, layer, module, sources, made_by)
        for key, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            yield _Parameter(start + key, layer, module, (parameter,))


def _once(parameters: Sequence[_Parameter]) -> list[_Parameter]:
    """Return each parameter under the first of its names."""
    found: dict[int, _Parameter] = {}
    for parameter in parameters:
        found.setdefault(id(parameter.sources[0] if parameter.made_by is None else parameter.made_by), parameter)
    return list(found.values())


def _asked(known: Sequence[_Parameter], asked: str | Sequence[str]) -> list[_Parameter]:
    """Return the parameters of a list of names and patterns, in the order of ``known``."""
    if isinstance(asked, str):
        raise InvalidArgumentError(
            f'parameters must be "auto" or a list of parameter names and patterns, not {asked!r}; give [{asked!r}].'
        )
    names = {parameter.name for parameter in known}
    found: set[_Parameter] = set()
    for name in asked:
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgumentError(
                f"parameters must be a list of parameter names, as model.named_parameters() gives them, but it has a "
                f"{type(name).__name__}."
            )
        matching = [p for p in known if (p.name == name if name in names else fnmatchcase(p.name, name))]
        if not matching:
            near = difflib.get_close_matches(name, names, n=3, cutoff=0.3) or sorted(names)[:3]
            raise InvalidArgumentError(
                f"each of parameters must be a parameter's name or a pattern that matches some, but {name!r} is not. "
                f"Nearest of the model's {len(names)}: {', '.join(map(repr, near)) or 'none'}."
            )
        reasons = [parameter.unavailable() for parameter in matching]
        if all(reasons):
            raise InvalidArgumentError(f"parameter {matching[0].name!r} was asked for, but {reasons[0]}.")
        found.update(parameter for parameter, reason in zip(matching, reasons, strict=True) if not reason)
    return [parameter for parameter in known if parameter in found]


def _auto(known: Sequence[_Parameter], max_elements: int, max_total: int) -> dict[str, Weight]:
    """Return the parameters that tell the most, as many as fit into ``max_total``."""
    shown = [p for p in _once(known) if not isinstance(p.owner, parametrize.ParametrizationList)]
    shown = [parameter for parameter in shown if not parameter.unavailable()]
    dims = {parameter: parameter.source.ndim for parameter in shown}
    flat = [p for p in shown if dims[p] == 2 or (dims[p] < 2 and p.source.numel() <= MAX_BARS)]
    first = [parameter for parameter in shown if parameter.convolution][:1]
    last = [parameter for parameter in shown if dims[parameter] > 1][-1:]
    order = [*first, *last, *_from_both_ends(flat), *_from_both_ends([p for p in shown if dims[p] > 2])]
    found: dict[_Parameter, Weight] = {}
    left = max_total
    for parameter in dict.fromkeys(order):
        shape = parameter.source.shape
        factors = _factors(shape, max_elements, filters=parameter.filters(shape))
        if math.prod(_reduced(shape, factors)) > left:
            continue
        weight = _weight(parameter, max_elements)
        if weight.values.size <= left:  # what a parametrization makes may be larger than what it is made of
            found[parameter] = weight
            left -= weight.values.size
    return {parameter.name: found[parameter] for parameter in shown if parameter in found}


def _from_both_ends(parameters: Sequence[_Parameter]) -> list[_Parameter]:
    """Return the first, the last, the second, the last but one, ..."""
    count = len(parameters)
    return [parameters[i // 2 if i % 2 == 0 else count - 1 - i // 2] for i in range(count)]


def _weight(parameter: _Parameter, max_elements: int) -> Weight:
    value = parameter.value()
    shape, filters = tuple(value.shape), parameter.filters(value.shape)
    factors = _factors(shape, max_elements, filters=filters)
    norms: NDArray[np.float32] | None = None
    if len(shape) > 1 and not filters and len(value) <= MAX_BARS:
        norms = _norms(value)
    blocks = factors
    if filters:
        value, blocks = value[:: factors[0]], (1, *factors[1:])
    if max(blocks, default=1) > 1:
        value = _largest(value, blocks)
    return Weight(value.to("cpu", torch.float32, copy=True).numpy(), shape, parameter.layer, factors, filters, norms)


def _norms(value: Tensor) -> NDArray[np.float32]:
    """Return the Euclidean norm of each entry of the first dimension."""
    rows = max(1, _CHUNK * len(value) // max(1, value.numel()))
    parts = [torch.linalg.vector_norm(part.float().flatten(1), dim=1) for part in value.split(rows)]
    return torch.cat(parts).cpu().numpy()


def _factors(shape: Sequence[int], max_elements: int, *, filters: bool) -> tuple[int, ...]:
    """Return how many elements become one along each dimension, of filters along the first as far as that goes."""
    factors, sizes = [1] * len(shape), list(shape)
    while math.prod(sizes) > max_elements:
        dim = 0 if filters and sizes[0] > 1 else sizes.index(max(sizes))
        factors[dim] = -(-shape[dim] // (sizes[dim] - 1))  # the smallest that makes it shorter
        sizes[dim] = -(-shape[dim] // factors[dim])
    return tuple(factors)


def _reduced(shape: Sequence[int], factors: Sequence[int]) -> list[int]:
    return [-(-size // factor) for size, factor in zip(shape, factors, strict=True)]


def _largest(value: Tensor, factors: Sequence[int]) -> Tensor:
    """Return the element of the largest magnitude in each block, float32; the last blocks may be smaller."""
    longest = max(range(value.ndim), key=lambda dim: value.shape[dim])
    moved = value.movedim(longest, 0)
    factors = [factors[longest], *factors[:longest], *factors[longest + 1 :]]
    rows = factors[0] * max(1, _CHUNK * len(moved) // moved.numel() // factors[0])
    parts = [_largest_of_chunk(moved[start : start + rows].float(), factors) for start in range(0, len(moved), rows)]
    return torch.cat(parts).movedim(0, longest)


def _largest_of_chunk(value: Tensor, factors: Sequence[int]) -> Tensor:
    missing = [-size % factor for size, factor in zip(value.shape, factors, strict=True)]
    if any(missing):  # zeros, which are never larger
        value = functional.pad(value, [after for size in reversed(missing) for after in (0, size)])
    sizes = [part for size, factor in zip(value.shape, factors, strict=True) for part in (size // factor, factor)]
    within = list(range(1, len(sizes), 2))
    blocks = value.reshape(sizes)
    highest, lowest = blocks.amax(within), blocks.amin(within)
    return torch.where(highest >= -lowest, highest, lowest)
