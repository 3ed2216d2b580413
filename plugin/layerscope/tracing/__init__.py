"""Tracing: a model and its inputs -> ``ModelGraph``.

::

    tracer               trace(), the entry: tries the recorders in turn
    mode_recorder        forward -> Recording: function and dispatch modes, forward hooks
    torchview_recorder   forward -> Recording: torchview's recorder tensors, forward hooks
    module_recorder      forward -> Recording, modules only
    static_recorder      no forward -> Recording: the registered modules
    forward              what all recorders do around a forward: copies of the inputs, containment, errors
    meta                 empty copies of models, for a forward that computes nothing
    call_record          forward hooks: the truth about module calls
    data_flow            who made the tensor that is read here
    region               which elements of its storage a tensor shows
    held_tensors         parameters and buffers, where something else than their module uses them
    operators            what an operator writes and how much it computes
    passive_functions    functions that are no part of the flow
    values               tensors in nested arguments and results
    recording            Recording: what a forward did
    assemble             Recording -> ModelGraph
    module_facts         what a node tells of its module
    checks               ModelGraph -> warnings
"""

from __future__ import annotations

from layerscope.tracing.tracer import trace

__all__ = ["trace"]
