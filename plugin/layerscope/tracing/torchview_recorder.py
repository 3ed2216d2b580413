"""Records modules, functions and flows with torchview: the only file that knows torchview's inside.

Torchview's recorder tensors tell which function made and used which tensor. Where a call stands in the module tree
is not asked of torchview, which infers it from the first tensor argument, but of the forward hooks.
"""

from __future__ import annotations

import collections
import math
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import graphviz
import torch
from torch import nn
from torchview import recorder_tensor
from torchview import torchview as torchview_main
from torchview.computation_graph import ComputationGraph
from torchview.computation_node import FunctionNode, ModuleNode, NodeContainer, TensorNode
from torchview.recorder_tensor import RecorderTensor

from layerscope.tracing.call_record import CallRecord
from layerscope.tracing.forward import Arguments, surroundings
from layerscope.tracing.recording import Call, End, Flow, Function, Recording, Value, box_of, spec
from layerscope.tracing.values import replaced, tensors, unrecorded

_lock = threading.RLock()  # torchview patches nn.Module and torch for the whole process

# A function node that torchview makes for its own bookkeeping: the tensor that goes in is the one that comes out.
_PASS = "empty-pass"


def record_with_torchview(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Recording:
    """Run one forward under torchview and return its module calls, functions and flows.

    Raises:
        Exception: torchview or the forward itself raised; a forward without torchview tells which.
    """
    tracer = _Tracer(model)
    with _lock, surroundings(model), tracer.patches():
        try:
            result = tracer.run(model, args, kwargs)
            return tracer.recording(result)
        finally:
            tracer.release()


class _Tracer:
    """One traced forward pass."""

    def __init__(self, model: nn.Module) -> None:
        self.record = CallRecord(model, self._finished)
        self.seen: list[weakref.ref[torch.Tensor]] = []
        """Every recorder tensor."""
        self.modules: list[tuple[ModuleNode, int]] = []
        """Torchview's node of a module call, and the index in the call record of the call that follows it."""
        self.functions: dict[FunctionNode, Function] = {}
        self.makers: dict[TensorNode, Value | Call] = {}
        """Makers of tensors that no torchview node made."""
        self._inputs: list[Value] = []
        self._thread = threading.get_ident()
        self._calls: dict[ModuleNode, Call] = {}

    # --- During the forward ---

    @contextmanager
    def patches(self) -> Iterator[None]:
        """Let torchview build nodes that report here, and honour what other tools have patched.

        Torchview restores ``nn.Module.__call__`` and ``torch.*`` to what they were when it was imported; here it
        calls, and puts back, what is there now.
        """
        module_call = nn.Module.__call__
        creation_ops = [getattr(torch, name) for name in recorder_tensor.orig_name_list]
        tensor_node, module_node, function_node = _reporting_nodes(self)
        with ExitStack() as stack:
            for module, attributes in {
                recorder_tensor: {
                    "TensorNode": tensor_node,
                    "ModuleNode": module_node,
                    "FunctionNode": function_node,
                    "collect_shape": _collect_spec,
                    "creation_ops_wrapper": self._creating,
                    # Torchview walks whatever is iterable, which consumes generators and unpacks caches.
                    "Iterable": (list, tuple, set, frozenset, collections.deque, NodeContainer),
                    "_orig_module_forward": module_call,
                    "_orig_op_list": creation_ops,
                },
                torchview_main: {"TensorNode": tensor_node, "_orig_module_forward": module_call},
            }.items():
                for name, value in attributes.items():
                    stack.callback(setattr, module, name, getattr(module, name))
                    setattr(module, name, value)
            yield

    def run(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the model as ``model(*args, **kwargs)`` with recorder tensors and return its result."""
        with Arguments(model, args, kwargs, self._as_recorder) as arguments:
            roots: NodeContainer[TensorNode] = NodeContainer()
            for value, tensor in arguments.inputs:
                self._inputs.append(value)
                for node in getattr(tensor, "tensor_nodes", []):
                    self.makers[node] = value
                    roots.add(node)
            forward = _Forward(model, arguments, self.record)
            graph = ComputationGraph(graphviz.Digraph(), roots, roll=False, depth=math.inf)
            torchview_main.forward_prop(forward, [], "", graph, "eval")  # pyright: ignore[reportArgumentType]
            return forward.result

    def _as_recorder(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return ``tensor`` as torchview's recorder tensor; sparse tensors and foreign subclasses stay as they are."""
        if type(tensor) not in (torch.Tensor, nn.Parameter) or tensor.layout is not torch.strided:
            return tensor
        return torchview_main.get_recorder_tensor(tensor)

    def _creating(self, create: Callable[..., Any], _: ComputationGraph) -> Callable[..., Any]:
        """Return ``torch.zeros`` and the like, made to give recorder tensors.

        In torchview's own wrapper those that take tensors (``torch.complex``) cut the flow, and those on other threads
        record, too.
        """

        def creating(*args: Any, **kwargs: Any) -> Any:
            tensor = create(*args, **kwargs)
            if isinstance(tensor, RecorderTensor) or threading.get_ident() != self._thread:
                return tensor
            return self._as_recorder(tensor)

        return creating

    def _finished(self, call: Call, arguments: Any, result: Any) -> Any:
        """Give tensors that torchview lost a new beginning: the call that returned them.

        Torchview passes over modules that are fed by buffers or parameters only (position embeddings), and follows
        nothing into TorchScript.
        """

        def found_again(tensor: torch.Tensor) -> torch.Tensor:
            if isinstance(tensor, RecorderTensor):
                return tensor
            recorder = self._as_recorder(tensor)
            for node in getattr(recorder, "tensor_nodes", []):
                self.makers[node] = call
            return recorder

        return replaced(result, found_again)

    # --- After the forward ---

    def recording(self, result: Any) -> Recording:
        """Return what was recorded; the model returned ``result``."""
        flows: list[Flow] = []

        def join(nodes: Any, target: End) -> None:
            for node in nodes:
                maker = self._maker(node)
                if maker is not None and maker is not target:
                    flows.append(Flow(maker, target, node.tensor_shape))

        self._calls = dict(self._matched_calls())
        for node, call in self._calls.items():
            if call.is_box:
                join(node.parents, call)
        for node, function in self.functions.items():
            join(node.parents, box_of(function))
        outputs: list[Value] = []
        with unrecorded():
            for name, tensor in tensors(result):
                outputs.append(Value(name or "0", spec(tensor)))
                join(getattr(tensor, "tensor_nodes", [])[-1:], outputs[-1])
        return Recording(self.record.events, flows, self._inputs, outputs, "torchview", self.record.warnings())

    def _matched_calls(self) -> Iterator[tuple[ModuleNode, Call]]:
        """Yield torchview's module nodes with the calls that they stand for."""
        calls = self.record.calls
        for node, index in self.modules:
            if index < len(calls) and id(calls[index].module) == node.compute_unit_id:
                yield node, calls[index]

    def _maker(self, node: Any) -> End | None:
        """Return what made the tensor of ``node``; None if it began in the forward (``torch.zeros``) or was lost."""
        while True:
            node = node.main_node
            if node in self.makers:
                maker = self.makers[node]
                return None if isinstance(maker, Call) and not maker.is_box else maker
            if not node.parents:
                return None
            (made_by,) = node.parents
            if made_by.name != _PASS:
                return box_of(self.functions[made_by])
            (node,) = made_by.parents
            if node.is_aux:  # the tensor went through a module unchanged
                (passed,) = node.parents
                if passed in self._calls and self._calls[passed].is_box:
                    return self._calls[passed]

    def release(self) -> None:
        """Turn every recorder tensor that is still alive back into a plain tensor, wherever the model keeps it."""
        with unrecorded():
            for reference in self.seen:
                tensor = reference()
                if isinstance(tensor, RecorderTensor):
                    vars(tensor).pop("tensor_nodes", None)
                    tensor.__class__ = torch.Tensor  # pyright: ignore[reportAttributeAccessIssue]


class _Forward:
    """What torchview's ``forward_prop`` takes for the model: it may neither move it nor set its mode."""

    training = False

    def __init__(self, model: nn.Module, arguments: Arguments, record: CallRecord) -> None:
        self._model = model
        self._arguments = arguments
        self._record = record
        self.result: Any = None

    def train(self, mode: bool = True) -> None:
        """Leave the mode: ``surroundings`` has set it."""

    def eval(self) -> None:
        """Leave the mode: ``surroundings`` has set it."""

    def to(self, device: object) -> _Forward:
        """Leave the device."""
        return self

    def __call__(self) -> None:
        with self._record.recording():
            self.result = self._model(*self._arguments.args, **self._arguments.kwargs)


def _reporting_nodes(tracer: _Tracer) -> tuple[type[TensorNode], type[ModuleNode], type[FunctionNode]]:
    """Return torchview's node classes, extended to tell ``tracer`` when they are made."""

    class ReportingTensorNode(TensorNode):
        def __init__(self, tensor: torch.Tensor, *args: Any, **kwargs: Any) -> None:
            super().__init__(tensor, *args, **kwargs)
            tracer.seen.append(weakref.ref(tensor))

    class ReportingModuleNode(ModuleNode):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            tracer.modules.append((self, len(tracer.record.calls)))

    class ReportingFunctionNode(FunctionNode):
        def __init__(self, function_unit: Any, *args: Any, name: str, **kwargs: Any) -> None:
            super().__init__(function_unit, *args, name=name, **kwargs)
            self.function: Function | None = None
            if name != _PASS:
                self.function = tracer.record.function(_op(function_unit, name))
                tracer.functions[self] = self.function

        def set_input_shape(self, input_shape: list[Any]) -> None:
            super().set_input_shape(input_shape)
            if self.function is not None:
                self.function.inputs = tuple(input_shape)

        def set_output_shape(self, output_shape: list[Any]) -> None:
            super().set_output_shape(output_shape)
            if self.function is not None:
                self.function.outputs = tuple(output_shape)

    return ReportingTensorNode, ReportingModuleNode, ReportingFunctionNode


def _op(function: Any, name: str) -> str:
    """Return the name of a function; a property of a tensor (``x.T``) goes by its own name, not by ``__get__``."""
    return str(getattr(getattr(function, "__self__", None), "__name__", name)) if name == "__get__" else name


def _collect_spec(tensor: torch.Tensor, collected: list[Any], **_: Any) -> None:
    """Stand in for torchview's ``collect_shape``: the dtype, too."""
    with unrecorded():
        collected.append(spec(tensor))
