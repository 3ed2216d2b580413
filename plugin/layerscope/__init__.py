"""Layerscope: what happens inside a PyTorch model while it trains, on a tab of TensorBoard.

The data's way is the directory listing::

    tracing/     model -> ModelGraph                     [torch, torchview]
    probing/     model + batch -> numbers per layer      [torch]
    writing/     messages -> event file                  [no torch]
    viewing/     event file -> HTTP                      [no torch]
    structure/   ModelGraph -> folds, DOT, differences   [no torch; tracing and viewing stand on it]
    findings/    series -> what is wrong, and where      [no torch; recording and viewing stand on it]

``scope.py`` holds ``Scope``, the object that users hold: it joins tracing and probing to writing; its other half, what
it records of samples that it is given, is in ``probe_scope.py``, with ``explaining.py`` for attributions and
``picturing.py`` for what is shown as pictures. ``watching.py`` hooks into optimizers for it, ``step_checks.py`` looks
whether those are the right ones, ``recorder.py`` writes what was measured when it has arrived. ``replaying/`` does the
same from the checkpoints of a training that is over. What passes between the rooms is defined in ``wire/``;
``naming.py`` makes the layer keys that they all share.

Public names are resolved when they are first used, so ``import layerscope`` needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from layerscope.errors import LayerscopeError, MissingExtraError

if TYPE_CHECKING:
    from layerscope.guarding import LayerscopeWarning
    from layerscope.probing.activations import activations
    from layerscope.probing.attention import attention
    from layerscope.probing.attributions import Attribution, Loss, attribute
    from layerscope.probing.channels import channels
    from layerscope.probing.embeddings import embeddings
    from layerscope.probing.gradients import gradients
    from layerscope.probing.linear_probes import linear_probes
    from layerscope.probing.maximizing import Maximization, maximize
    from layerscope.probing.maximizing.top_samples import top_samples
    from layerscope.probing.parameters import Reference, parameters
    from layerscope.probing.surrogates import surrogate
    from layerscope.probing.weights import weights
    from layerscope.replaying import replay
    from layerscope.scope import Scope
    from layerscope.structure.comparing import compare
    from layerscope.tracing import trace
    from layerscope.viewing.reader import read
    from layerscope.wire import Comparison, Edge, ModelGraph, Node, Run, Series, Statistics, Surrogate

__version__ = "0.1.0"

# Public name -> module that defines it. Torch is imported when a name that needs it is first used.
_HOMES = {
    "Attribution": "layerscope.probing.attributions",
    "Comparison": "layerscope.wire",
    "Edge": "layerscope.wire",
    "LayerscopeWarning": "layerscope.guarding",
    "Loss": "layerscope.probing.attributions",
    "Maximization": "layerscope.probing.maximizing",
    "ModelGraph": "layerscope.wire",
    "Node": "layerscope.wire",
    "Reference": "layerscope.probing.parameters",
    "Run": "layerscope.wire",
    "Scope": "layerscope.scope",
    "Series": "layerscope.wire",
    "Statistics": "layerscope.wire",
    "Surrogate": "layerscope.wire",
    "activations": "layerscope.probing.activations",
    "attention": "layerscope.probing.attention",
    "attribute": "layerscope.probing.attributions",
    "channels": "layerscope.probing.channels",
    "compare": "layerscope.structure.comparing",
    "embeddings": "layerscope.probing.embeddings",
    "gradients": "layerscope.probing.gradients",
    "linear_probes": "layerscope.probing.linear_probes",
    "maximize": "layerscope.probing.maximizing",
    "parameters": "layerscope.probing.parameters",
    "read": "layerscope.viewing.reader",
    "replay": "layerscope.replaying",
    "surrogate": "layerscope.probing.surrogates",
    "top_samples": "layerscope.probing.maximizing.top_samples",
    "trace": "layerscope.tracing",
    "weights": "layerscope.probing.weights",
}

__all__ = [
    "Attribution",
    "Comparison",
    "Edge",
    "LayerscopeError",
    "LayerscopeWarning",
    "Loss",
    "Maximization",
    "ModelGraph",
    "Node",
    "Reference",
    "Run",
    "Scope",
    "Series",
    "Statistics",
    "Surrogate",
    "activations",
    "attention",
    "attribute",
    "channels",
    "compare",
    "embeddings",
    "gradients",
    "linear_probes",
    "maximize",
    "parameters",
    "read",
    "replay",
    "surrogate",
    "top_samples",
    "trace",
    "weights",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        if error.name in ("torch", "torchview"):
            raise MissingExtraError(f"layerscope.{name}", "torch", error.name) from error
        raise
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
