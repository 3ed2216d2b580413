"""What a dispatched operator tells of itself: its name, what it writes, how many floating-point operations it needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from layerscope.tracing.values import found

# Matrix products in disguise, for which there is no formula: a module that runs one has no known count.
_NO_FORMULA = re.compile(
    "_?(addbmm|addmv|addr|cdist|cholesky|cudnn_rnn|dot|fft|ger|grouped_mm|gru|inner|linalg|lstm|miopen_rnn|"
    "mkldnn_linear|mkldnn_rnn|mv|outer|rnn|sparse|thnn|triangular_solve|trilinear|vdot|weight_int)(_|$)"
)


def _attention_flops(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query.shape, key.shape, value.shape)


_FORMULAS: dict[Any, Callable[..., int]] = {
    # The registry has the kernels of GPUs only.
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
    torch.ops.aten._scaled_dot_product_fused_attention_overrideable: _attention_flops,
}


@dataclass(frozen=True)
class Operator:
    """One overload of one operator."""

    name: str
    """Without namespace and overload: ``addmm``."""
    writes: tuple[int | str, ...]
    """Positions, or names, of the arguments that it writes in place."""
    flops: Callable[..., int] | None
    """``flops(*args, **kwargs, out_val=result)``; None if it is not counted."""
    uncounted: bool
    """True if it multiplies matrices but cannot be counted."""

    def written(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[torch.Tensor]:
        """Yield the tensors that a call with these arguments wrote."""
        for place in self.writes:
            if isinstance(place, str):
                yield from found(kwargs.get(place))
            elif place < len(args):
                yield from found(args[place])


class _Operators(dict[Any, Operator]):
    """Operator overload -> ``Operator``, read from its schema when first asked for."""

    def __missing__(self, overload: Any) -> Operator:
        schema = overload._schema
        name = str(schema.name).rpartition("::")[2]
        writes: list[int | str] = []
        for place, argument in enumerate(schema.arguments):
            if argument.alias_info is not None and argument.alias_info.is_write:
                writes.append(argument.name if argument.kwarg_only else place)
        packet = overload._overloadpacket
        flops = flop_registry.get(packet) or _FORMULAS.get(packet)
        own = overload.namespace in ("aten", "prims", "prim")
        uncounted = flops is None and (not own or _NO_FORMULA.match(name) is not None)
        self[overload] = operator = Operator(name, tuple(writes), flops, uncounted)
        return operator


OPERATORS = _Operators()
