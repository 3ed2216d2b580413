"""Tracing: a model and its inputs -> ``ModelGraph``.

::

    tracer               trace(), the entry: tries the recorders in turn
    torchview_recorder   forward -> Recording, with functions and flows
    module_recorder      forward -> Recording, modules only
    forward              what all recorders do around a forward: copies of the inputs, containment, errors
    call_record          forward hooks: the truth about module calls
    values               tensors in nested arguments and results
    recording            Recording: what a forward did
    assemble             Recording -> ModelGraph
    checks               ModelGraph -> warnings
"""

from __future__ import annotations

from layerscope.tracing.tracer import trace

__all__ = ["trace"]
