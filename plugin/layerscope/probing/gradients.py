"""Statistics of the gradients that are in ``.grad`` now."""

from __future__ import annotations

from torch import nn

from layerscope import wire
from layerscope.containment import original
from layerscope.naming import LayerNames
from layerscope.probing.statistics import Moments, measure, table, united


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
        A row for each module that holds parameters, itself or in what it encloses, in the order of
        ``named_modules()``, of all these parameters together, each counted once; directly after it a row for each
        parameter that it owns (``conv1.weight``). The model itself has a row (``<Class>``) if it owns parameters or
        has no submodules. Columns: ``wire.STATISTICS``, accumulated in float64, given as float32. A row is NaN where
        no parameter has a gradient. Of a sparse gradient the implicit zeros count too. ``histogram``: see
        ``probing/histogram.py``.
    """
    model = original(model)
    names = LayerNames(model)
    measured: dict[int, Moments] = {
        id(parameter): measure(parameter.grad, with_histogram=histogram)
        for parameter in model.parameters()
        if parameter.grad is not None
    }
    rows: list[tuple[str, str, Moments | None]] = []
    for name, module in model.named_modules():
        own = list(module.named_parameters(recurse=False, remove_duplicate=False))
        if module is model and not own:
            continue  # it would only repeat what its modules say
        owner = names.name(module)
        enclosed = list(module.parameters())
        if enclosed:
            moments = [measured[id(parameter)] for parameter in enclosed if id(parameter) in measured]
            rows.append((owner, owner, united(moments) if moments else None))
        rows.extend((f"{name}.{key}" if name else key, owner, measured.get(id(parameter))) for key, parameter in own)
    return table(rows, with_histogram=histogram)
