"""Statistics of the parameters themselves, and how far they have gone from a reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from os import PathLike, fspath
from typing import cast

import numpy as np
from torch import Tensor, nn

from layerscope import wire
from layerscope.containment import original
from layerscope.errors import InvalidArgumentError
from layerscope.probing.pairs import DIFFERENCE, PRODUCT, REFERENCE, SQUARES, Pairs
from layerscope.probing.parameter_rows import ParameterRows
from layerscope.probing.pending import Pending
from layerscope.probing.ranks import Ranks
from layerscope.probing.sharding import placed_like


class Reference:
    """Values that parameters are compared with: a copy of those of a model, or those of a checkpoint.

    Args:
        model: the model; a compiled one is looked at through its original.
        state_dict: qualified parameter names -> tensors, as ``model.state_dict()`` gives them; what is no parameter of
            the model, such as buffers, is passed over, and so is a tensor of another shape than the parameter of its
            name (see ``left_out``). None copies the parameters as they are now. Where these are in shards (FSDP2), the
            tensors may be, too, or every process gives them whole and keeps its part.

    Raises:
        InvalidArgumentError: ``state_dict`` is no mapping, or holds no parameter of the model in its shape.
    """

    def __init__(self, model: nn.Module, state_dict: Mapping[str, Tensor] | None = None) -> None:
        parameters = dict(original(model).named_parameters(remove_duplicate=False))
        given = parameters if state_dict is None else _checked(state_dict, parameters)
        self.left_out: tuple[str, ...] = ()
        """Of the parameters that ``state_dict`` has in another shape: name and both shapes, in words."""
        self._values: dict[int, tuple[nn.Parameter, Tensor]] = {}
        for name, value in given.items():
            parameter = parameters[name]
            if value.shape != parameter.shape:
                self.left_out += (f"{name!r} ({list(parameter.shape)}, there {list(value.shape)})",)
            elif id(parameter) not in self._values:
                self._values[id(parameter)] = parameter, placed_like(value, parameter)
        if self.left_out and not self._values:
            raise InvalidArgumentError(
                f"the reference must have parameters of the model in their shapes, but it has {_some(self.left_out)}. "
                "Give the checkpoint of this model."
            )

    def of(self, parameter: nn.Parameter) -> Tensor | None:
        """Return what ``parameter`` is compared with, or None."""
        return self._values.get(id(parameter), (None, None))[1]


def parameters(model: nn.Module, *, histogram: bool = True, reference: Reference | None = None) -> wire.Statistics:
    """Return statistics of the parameters as they are now.

    Args:
        model: the model; a compiled one is looked at through its original.
        histogram: count the elements of every row by sign and exponent too.
        reference: what ``distance`` and ``cosine`` are measured from.

    Returns:
        Rows as in ``ParameterRows``. Columns: ``wire.MOMENTS``; ``trainable``, the share of the elements that require
        a gradient; ``distance``, the norm of the difference from the reference over the norm of the reference; and
        ``cosine`` of the angle between both. The last two are NaN where there is no reference, or it is zero. Of
        parameters in shards (FSDP2) the statistics are of the whole; every process must call it, and gets them.
    """
    with closing(Ranks(everyone=True)) as ranks:
        rows = ParameterRows(original(model), ranks=ranks)
        return begin_parameters(rows, histogram=histogram, reference=reference).result()


def begin_parameters(rows: ParameterRows, *, histogram: bool, reference: Reference | None = None) -> Pending:
    """Begin what ``parameters`` does, for the parameters of ``rows``, without waiting for an accelerator."""
    measuring = rows.measuring(with_histogram=histogram)
    measuring.add(rows.counted(rows.parameters))
    pairs = Pairs(measuring, with_angle=True)
    compared: list[int] = []
    for i, parameter in enumerate(rows.parameters):
        value = None if reference is None else reference.of(parameter)
        if value is not None:
            compared.append(i)
            pairs.add(*rows.counted([parameter, value]))
    shares = [(parameter.numel(), parameter.numel() * parameter.requires_grad) for parameter in rows.parameters]

    def finish() -> wire.Statistics:
        found = rows.table(measuring.result(), range(len(rows.parameters)))
        sums = np.zeros((len(rows.parameters), 4))
        sums[compared] = pairs.sums()
        sums = rows.sums(sums)
        sizes = rows.sums(np.array(shares, np.float64).reshape(-1, 2))
        with np.errstate(divide="ignore", invalid="ignore"):
            trainable = sizes[:, 1] / sizes[:, 0]
            known = np.where(sums[:, REFERENCE] > 0, 1.0, np.nan)
            distance = np.sqrt(sums[:, DIFFERENCE] / sums[:, REFERENCE]) * known
            cosine = sums[:, PRODUCT] / np.sqrt(sums[:, REFERENCE] * sums[:, SQUARES]) * known
        more = np.stack([trainable, distance, np.clip(cosine, -1, 1)], axis=1).astype(np.float32)
        values = np.concatenate([found.values, more], axis=1)
        return replace(found, statistics=wire.SERIES["parameters"].statistics, values=values)

    return Pending(measuring, finish, rows.outline("parameters", histogram=histogram))


def left_out_told(left_out: Sequence[str]) -> str:
    """Return a sentence about what a reference has left out."""
    return (
        f"the reference has another shape of {_some(left_out)}, which therefore has no distance and no cosine; all "
        "other parameters that it holds are compared. That is as it should be if a head was replaced."
    )


def _checked(state_dict: object, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a state dict that go by the names of parameters; say what to give if there are none."""
    needs = "the reference must be a state_dict, parameter names -> tensors,"
    if isinstance(state_dict, nn.Module):
        raise InvalidArgumentError(f"{needs} but it is a {type(state_dict).__name__}. Give its .state_dict().")
    if isinstance(state_dict, (str, PathLike)):
        file = fspath(cast("str | PathLike[str]", state_dict))
        raise InvalidArgumentError(
            f"{needs} but it is a {type(state_dict).__name__}. Load the file: torch.load({file!r}, weights_only=True)."
        )
    if not isinstance(state_dict, Mapping):
        raise InvalidArgumentError(f"{needs} but it is a {type(state_dict).__name__}. Give model.state_dict().")
    held = cast("Mapping[str, object]", state_dict)
    given = {name: value for name in parameters if isinstance(value := held.get(name), Tensor)}
    if not given:
        raise InvalidArgumentError(
            f"the reference must hold parameters of the model under their names ({_some(map(repr, parameters))}), but "
            f"it holds {_some(map(repr, held)) or 'nothing'}. {_instead(held, parameters)}"
        )
    return given


def _instead(held: Mapping[str, object], parameters: Mapping[str, Tensor]) -> str:
    """Return which part of a checkpoint to give, or how to rename it, in words."""
    for key, part in held.items():
        if isinstance(part, Mapping) and any(name in part for name in parameters):
            return f"Give what it has under {key!r}: checkpoint[{key!r}]."
    for prefix in ("module.", "_orig_mod."):
        if any(prefix + name in held for name in parameters):
            renamed = f"{{name.removeprefix({prefix!r}): value for name, value in checkpoint.items()}}"
            return f"Take {prefix!r} off: {renamed}."
        if any(name.removeprefix(prefix) in held for name in parameters if name.startswith(prefix)):
            return f"Put {prefix!r} before them: {{{prefix!r} + name: value for name, value in checkpoint.items()}}."
    return "Give the state_dict of this model."


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
