"""Statistics of the gradients that are in ``.grad`` now."""

from __future__ import annotations

from torch import nn

from layerscope import wire
from layerscope.containment import original
from layerscope.probing.measuring import measure
from layerscope.probing.parameter_rows import ParameterRows


def gradients(model: nn.Module, *, histogram: bool = True) -> wire.Statistics:
    """Return statistics of the gradients that are in ``.grad`` now: after ``backward()``, before ``zero_grad()``.

    Only ``.grad`` is read: nothing runs, nothing is copied for longer than a moment, nothing is modified. With a
    ``torch.amp.GradScaler`` the gradients there are those of the scaled loss, larger by its factor, until
    ``scaler.unscale_(optimizer)`` has been called: call it first, for numbers that can be compared over steps.

    Args:
        model: the model; a compiled one is looked at through its original. In ``DistributedDataParallel`` or
            ``DataParallel`` every name begins with ``module``; give ``model.module`` for those of the model.
        histogram: count the elements of every row by sign and exponent too.

    Returns:
        Rows as in ``ParameterRows``. Columns: ``wire.MOMENTS``, as exact as ``measuring.measure`` says. A row is NaN
        where no parameter has a gradient. Of a sparse gradient the implicit zeros count too. ``histogram``: see
        ``probing/histogram.py``.
    """
    rows = ParameterRows(original(model))
    found = [parameter.grad for parameter in rows.parameters]
    present = [gradient for gradient in found if gradient is not None]
    measured = measure(present, with_histogram=histogram)
    moments = measured.united(_positions([gradient is not None for gradient in found]))
    return rows.table(moments, [gradient is not None for gradient in found])


def _positions(there: list[bool]) -> list[list[int]]:
    """Return for each place the position among those that are there, or nothing."""
    taken = iter(range(len(there)))
    return [[next(taken)] if one else [] for one in there]
