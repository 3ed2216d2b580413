"""The rows of the series that are about parameters: every module that holds some, and every parameter itself."""

# pyright: reportPrivateUsage=false
# The dicts of a module are compared as they are: going through its methods every step would cost ten times as much.

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from layerscope import wire
from layerscope.naming import LayerNames
from layerscope.probing.histogram import BINS, EDGES
from layerscope.probing.measuring import Measuring
from layerscope.probing.moments import Moments, table
from layerscope.probing.ranks import Ranks
from layerscope.probing.sharding import counted, is_sharded


class ParameterRows:
    """Which rows there are for the parameters of a model, and which parameters each row unites.

    A row for each module that holds parameters, itself or in what it encloses, in the order of ``named_modules()``, of
    all these parameters together, each counted once; directly after it a row for each parameter that it owns
    (``conv1.weight``). The model itself has a row (``<Class>``) if it owns parameters or has no submodules.

    Args:
        model: the model.
        only: parameters that have rows; a module has one only if all its parameters are among them. None: all.
        ranks: what gathers from all processes where parameters are sharded. None: these are measured as if alone.
    """

    def __init__(
        self, model: nn.Module, only: Collection[nn.Parameter] | None = None, *, ranks: Ranks | None = None
    ) -> None:
        self._entries: list[tuple[Mapping[str, object], str, object]] = []
        """(a module's dict of parameters or modules, name in it, what was there)."""
        self._sizes: list[tuple[Mapping[str, object], int]] = []
        names = LayerNames(model)
        chosen = None if only is None else {id(parameter) for parameter in only}
        self.parameters: list[nn.Parameter] = [
            parameter for parameter in model.parameters() if chosen is None or id(parameter) in chosen
        ]
        """The parameters that are measured, each once."""
        index = {id(parameter): i for i, parameter in enumerate(self.parameters)}
        rows: list[tuple[str, str, list[int]]] = []
        for name, module in model.named_modules():
            self._note(module)
            own = [(key, p) for key, p in module._parameters.items() if p is not None]
            if module is model and not own:
                continue  # it would only repeat what its modules say
            owner = names.name(module)
            enclosed = [index.get(id(parameter)) for parameter in module.parameters()]
            held = [i for i in enclosed if i is not None]
            if held and len(held) == len(enclosed):
                rows.append((owner, owner, held))
            rows += [(f"{name}.{key}" if name else key, owner, [index[id(p)]]) for key, p in own if id(p) in index]
        self.names = tuple(name for name, _, _ in rows)
        self.owners = tuple(owner for _, owner, _ in rows)
        self.members = tuple(tuple(members) for _, _, members in rows)
        """For each row, which of ``parameters`` it unites."""
        self._ranks = ranks if any(is_sharded(parameter) for parameter in self.parameters) else None
        if self._ranks is not None:
            self._ranks.describe(model)

    def current(self) -> bool:
        """Return whether the model still has the same modules and parameters; far cheaper than to begin anew."""
        return all(len(store) == size for store, size in self._sizes) and all(
            store.get(key) is value for store, key, value in self._entries
        )

    @property
    def sharded(self) -> bool:
        """Whether parameters lie in shards on several processes, all of which must measure them."""
        return self._ranks is not None

    def measuring(self, *, with_histogram: bool) -> Measuring:
        """Return what measures the parameters or what belongs to them, on all processes where they are sharded.

        Raises:
            RankError: processes have come apart before.
        """
        if self._ranks is None:
            return Measuring(with_histogram=with_histogram)
        return self._ranks.measuring(with_histogram=with_histogram)

    def counted(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return what of each tensor counts on this process: all of it where nothing is sharded."""
        return tensors if self._ranks is None else [counted(tensor) for tensor in tensors]

    def outline(self, series: str, *, histogram: bool) -> wire.Statistics | None:
        """Return statistics without numbers in them, if parameters are sharded: what every rank can foresee.

        One in four counts is filled, as is usual.
        """
        if self._ranks is None:
            return None
        columns = wire.SERIES[series].statistics
        counts = np.zeros((len(self.names), BINS), np.float32)
        counts[:, ::4] = 1
        return wire.Statistics(
            self.names,
            self.owners,
            columns,
            np.zeros((len(self.names), len(columns)), np.float32),
            counts if histogram else None,
            EDGES if histogram else (),
        )

    def table(self, moments: Moments, places: Sequence[int | None]) -> wire.Statistics:
        """Return the moments of each parameter as rows; one is NaN where none of its parameters was measured.

        Args:
            moments: the sets that were measured.
            places: for each of ``parameters`` its set, or None if it was not measured: it then counts for nothing.
        """
        groups = [[place for i in members if (place := places[i]) is not None] for members in self.members]
        some = np.array([bool(group) for group in groups], np.bool_)
        return table(self.names, self.owners, moments.united(groups), measured=some)

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return [rows, columns]: the sum of each row's parameters' values [parameters, columns]."""
        members = np.fromiter((i for members in self.members for i in members), np.int64)
        lengths = np.array([len(members) for members in self.members], np.int64)
        if not len(members):
            return np.zeros((0, values.shape[1]))
        return np.add.reduceat(values[members], np.cumsum(lengths) - lengths)

    def _note(self, module: nn.Module) -> None:
        stores: tuple[Mapping[str, object], ...] = module._parameters, module._modules
        for store in stores:
            self._sizes.append((store, len(store)))
            self._entries += [(store, key, value) for key, value in store.items()]
