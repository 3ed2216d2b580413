"""The tracers that ``test_trace.py`` compares, each as a function of a model and its arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import graphviz
import torch
from torch import nn
from torch.utils.tensorboard import _pytorch_graph
from torchview import draw_graph
from torchview.computation_graph import ComputationGraph
from torchview.torchview import forward_prop, process_input

import layerscope

Tracer = Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], object]
DEPTH = 1000  # everything


def _forward(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    with torch.no_grad():
        return model(*args, **kwargs)


def _layerscope(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    return layerscope.trace(model, *args, **kwargs)


def _torchview(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    device = args[0].device  # any other would move the model
    return draw_graph(model, input_data=args, depth=DEPTH, expand_nested=True, device=device, **kwargs)


def _torchview_undrawn(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    device = args[0].device
    inputs, keywords, nodes = process_input(args, None, kwargs, device)
    graph = ComputationGraph(graphviz.Digraph(), nodes, expand_nested=True, roll=False, depth=DEPTH)
    forward_prop(model, inputs, device, graph, "eval", **keywords)
    return graph


def _torchlens(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    import torchlens  # wraps torch from its first trace on, and may not be there when a child is forked

    metadata_only = torchlens.options.CaptureOptions(layers_to_save="none")
    return torchlens.trace(model, list(args), kwargs, capture=metadata_only)


class _Positional(nn.Module):
    """A model with its keyword arguments bound, that returns tensors only, as ``torch.jit.trace`` wants it."""

    def __init__(self, model: nn.Module, kwargs: dict[str, Any]) -> None:
        super().__init__()
        self.model = model
        self.kwargs = kwargs

    def forward(self, *args: Any) -> Any:
        result = self.model(*args, **self.kwargs)
        return result if isinstance(result, torch.Tensor) else result["logits"]


def _add_graph(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    return _pytorch_graph.graph(_Positional(model, kwargs), args, use_strict_trace=False)


TRACERS: dict[str, Tracer] = {
    "forward": _forward,
    "layerscope": _layerscope,
    "torchview": _torchview,
    "torchview, not drawn": _torchview_undrawn,
    "torchlens": _torchlens,
    "add_graph": _add_graph,
}
