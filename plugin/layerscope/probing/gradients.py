"""Statistics of the gradients that are in ``.grad`` now."""

from __future__ import annotations

from contextlib import closing

from torch import Tensor, nn

from layerscope import wire
from layerscope.containment import original
from layerscope.probing.parameter_rows import ParameterRows
from layerscope.probing.pending import Pending
from layerscope.probing.ranks import Ranks


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
        ``probing/histogram.py``. Of gradients in shards (FSDP2) the statistics are of the whole; every process must
        call it, and gets them.
    """
    with closing(Ranks(everyone=True)) as ranks:
        return begin_gradients(ParameterRows(original(model), ranks=ranks), histogram=histogram).result()


def begin_gradients(rows: ParameterRows, *, histogram: bool, scale: Tensor | None = None) -> Pending:
    """Begin what ``gradients`` does, for the parameters of ``rows``, without waiting for an accelerator.

    Args:
        rows: which parameters, and how they are united.
        histogram: count the elements of every row by sign and exponent too.
        scale: what the gradients are to be divided by, one number; None leaves them as they are.
    """
    found = [parameter.grad for parameter in rows.parameters]
    measuring = rows.measuring(with_histogram=histogram)
    there = rows.counted([gradient for gradient in found if gradient is not None])
    measuring.add(there if scale is None else [gradient / scale.to(gradient.device) for gradient in there])
    taken = iter(range(len(there)))
    places = [None if gradient is None else next(taken) for gradient in found]
    outline = rows.outline("gradients", histogram=histogram)
    return Pending(measuring, lambda: rows.table(measuring.result(), places), outline)
