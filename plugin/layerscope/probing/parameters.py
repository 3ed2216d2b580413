"""Statistics of the parameters themselves, and how far they have gone from a reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import replace

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
            the model, such as buffers, is passed over. None copies the parameters as they are now. Where these are in
            shards (FSDP2), the tensors may be, too, or every process gives them whole and keeps its part.

    Raises:
        InvalidArgumentError: a tensor has another shape than the parameter of its name, or no parameter of the
            model is in ``state_dict``.
    """

    def __init__(self, model: nn.Module, state_dict: Mapping[str, Tensor] | None = None) -> None:
        parameters = dict(original(model).named_parameters(remove_duplicate=False))
        given = (
            parameters if state_dict is None else {name: state_dict[name] for name in parameters if name in state_dict}
        )
        if state_dict and not given:
            raise InvalidArgumentError(
                f"the reference must hold parameters of the model under their names ({_first(parameters)}), but it "
                f"holds {_first(state_dict)}. Give the state_dict of this model."
            )
        self._values: dict[int, tuple[nn.Parameter, Tensor]] = {}
        for name, value in given.items():
            parameter = parameters[name]
            if value.shape != parameter.shape:
                raise InvalidArgumentError(
                    f"the reference of {name!r} must have its shape {list(parameter.shape)}, but it has "
                    f"{list(value.shape)}. Give the checkpoint of this model."
                )
            if id(parameter) not in self._values:
                self._values[id(parameter)] = parameter, placed_like(value, parameter)

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


def _first(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(map(repr, names[:3])) + (", ..." if len(names) > 3 else "")
