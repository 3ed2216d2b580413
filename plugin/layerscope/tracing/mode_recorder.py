"""Records modules, functions and flows with a function mode, a dispatch mode and forward hooks.

The function mode sees every torch function that Python calls, by the name that people know it by. The dispatch mode
sees the operators beneath: which memory they write, how many floating-point operations they need, and what no function
was called for (TorchScript, custom operators). No tensor of the model is replaced by another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch._ops import HigherOrderOperator
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from layerscope.tracing.call_record import CallRecord
from layerscope.tracing.data_flow import DataFlow, plain
from layerscope.tracing.forward import Arguments, surroundings
from layerscope.tracing.held_tensors import HeldTensors
from layerscope.tracing.operators import OPERATORS, Operator
from layerscope.tracing.passive_functions import EXITS, PASSIVE
from layerscope.tracing.recording import Call, End, Flow, Function, Held, Recording, Value, box_of, spec
from layerscope.tracing.values import address, attribute_tensors, found, tensors, unrecorded

_SET_DATA = torch.Tensor.data.__set__  # pyright: ignore[reportFunctionMemberAccess, reportAttributeAccessIssue]


def record_with_modes(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], *, grad: bool = False
) -> Recording:
    """Run one forward under the modes and return its module calls, functions and flows.

    If the forward raises, the recording holds what ran until then, and the exception in ``failure``. With ``grad``, it
    runs with gradients enabled.
    """
    recorder = _ModeRecorder(model)
    with surroundings(model, grad=grad), Arguments(model, args, kwargs) as arguments:
        result, failure = recorder.run(arguments)
        return recorder.recording(result, failure)


class _ModeRecorder:
    """One recorded forward pass."""

    def __init__(self, model: nn.Module) -> None:
        self.record = CallRecord(model, self._finished)
        self.flow: DataFlow[End] = DataFlow()
        self.flows: list[Flow] = []
        self.functions = _Functions(self)
        self.operators = _Operators(self)
        self.written: set[int] | None = None
        """While a torch function runs: the memory that it has written. Operators then belong to it."""
        self.flops = _Flops()
        self._model = model
        self.held = HeldTensors(model)
        for held in self.held.held.values():
            self.flow.made(held.tensor, held)
        self._inputs: list[Value] = []

    def run(self, arguments: Arguments) -> tuple[Any, Exception | None]:
        """Call the model and return its result, or the exception that its forward raised."""
        by_tensor: dict[int, tuple[torch.Tensor, list[Value]]] = {}
        for value, tensor in arguments.inputs:
            self._inputs.append(value)
            by_tensor.setdefault(id(tensor), (tensor, []))[1].append(value)
        for tensor, values in by_tensor.values():
            self.flow.made(tensor, *values)
        try:
            with self.held.values_restored(), self.record.recording(), self.operators, self.functions:
                return self._model(*arguments.args, **arguments.kwargs), None
        except Exception as error:
            return None, error

    # --- During the forward ---

    @contextmanager
    def running(self) -> Iterator[set[int]]:
        """Ascribe what happens in the block to one function; gives the memory that it writes."""
        around = self.written, self.flops.count, self.flops.known
        self.written, self.flops.count, self.flops.known = set(), None, True
        try:
            yield self.written
        except BaseException:
            self.written, self.flops.count, self.flops.known = around
            raise
        self.written = around[0]

    def outside(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call back into the model from within a function: what happens there is not the function's."""
        around = self.written, self.flops.count, self.flops.known
        self.written = None
        try:
            with self.functions:
                return call(*args, **kwargs)
        finally:
            self.written, self.flops.count, self.flops.known = around

    def read(self, tensors: list[torch.Tensor], sources: list[tuple[End, ...]], reader: Function | Call) -> None:
        """Note that ``reader`` used ``tensors``, which came from ``sources`` when it was called."""
        caller = reader.caller if isinstance(reader, Function) else None
        for tensor, ends in zip(tensors, sources, strict=True):
            for end in ends:
                self.flows.append(Flow(end, reader, spec(tensor).shape))
                if caller is not None and not caller.fed:
                    caller.fed = not isinstance(end, Held) and _is_outside(end, caller)

    def _finished(self, call: Call, arguments: Any, result: Any) -> Any:
        """Join a box by its arguments and results where its inside did not, and return what it is to return.

        It returns what it was given, or has computed in a way that no mode can see: NumPy, a library of its own.
        """
        if not call.is_box:
            return result
        with unrecorded():
            given = [tensor for _, tensor in tensors(arguments)]
            if not call.fed:
                self.read(given, [self.flow.makers(tensor) for tensor in given], call)
            with self.running():
                result = _apart(result, given)
            for _, tensor in tensors(result):
                makers = self.flow.makers(tensor)
                if all(_is_outside(end, call) for end in makers):
                    self.read([tensor], [makers], call)
                    self.flow.made(tensor, call)
        return result

    # --- After the forward ---

    def recording(self, result: Any, failure: Exception | None) -> Recording:
        """Return what was recorded; the model returned ``result``, or raised ``failure``."""
        outputs: list[Value] = []
        with unrecorded():
            for name, tensor in attribute_tensors(result):
                outputs.append(Value(name or "0", spec(tensor)))
                for end in self.flow.makers(tensor):
                    self.flows.append(Flow(end, outputs[-1], outputs[-1].spec.shape))
        self.flops.share(self.record.events)
        flows = list(self._drawn_flows())
        warnings = self.record.warnings()
        recording = Recording(self.record.events, flows, self._inputs, outputs, "modes", warnings, failure=failure)
        recording.written = self.held.written()
        return recording

    def _drawn_flows(self) -> Iterator[Flow]:
        """Yield the flows between what is drawn: functions inside boxes stand for the boxes."""
        known: set[Flow] = set()
        for source, target, shape in self.flows:
            head = target if isinstance(target, Value) else box_of(target)
            if isinstance(source, Held):
                tail = self.held.node(source, head)
            else:
                tail = source if isinstance(source, Value) else box_of(source)
            flow = Flow(tail, head, shape) if tail is not None and tail is not head else None
            if flow is not None and flow not in known:
                known.add(flow)
                yield flow


class _Functions(TorchFunctionMode):
    """Tells the recorder of each torch function that is called. While one runs, the mode is off."""

    def __init__(self, recorder: _ModeRecorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in PASSIVE:
            return func(*args, **kwargs)
        recorder = self._recorder
        given = [*found(args), *found(kwargs)] if kwargs else found(args)
        sources = [recorder.flow.makers(tensor) for tensor in given]
        shapes = tuple(map(spec, given))
        callbacks = _Callbacks(recorder)
        if any(map(callable, args)) or (kwargs and any(map(callable, kwargs.values()))):
            args, kwargs = callbacks.wrapped(func, args, kwargs)
        events = len(recorder.record.events)
        with recorder.running() as written:
            result = func(*args, **kwargs)
        returned = found(result)
        if func == _SET_DATA:
            recorder.flow.made(given[0], *sources[-1])
        if len(recorder.record.events) > events and not callbacks.called:
            return result
        # What returns its own argument (``x.to(dtype)``) did nothing; what takes values out of torch leads nowhere.
        idle = not written and all(any(tensor is other for other in given) for tensor in returned)
        if idle and getattr(func, "__name__", "") not in EXITS:
            return result
        function = recorder.record.function(_op(func))
        function.inputs, function.outputs = shapes, tuple(map(spec, returned))
        recorder.flops.give(function)
        if len(returned) == 1 and not written and address(plain(returned[0])):
            for index, tensor in enumerate(given):  # a view takes no more than it shows
                if address(plain(tensor)) == address(plain(returned[0])):
                    sources[index] = recorder.flow.makers(tensor, returned[0])
        recorder.read(given, sources, function)
        recorder.read(callbacks.results, callbacks.sources, function)
        for tensor in given if written else ():
            if address(plain(tensor)) in written:
                recorder.flow.written(tensor, function)
        for tensor in returned:
            recorder.flow.made(tensor, function)
        return result


class _Callbacks:
    """What a function is given to call: the modes see what it does, and what it returns goes into the function."""

    def __init__(self, recorder: _ModeRecorder) -> None:
        self.called = False
        self.results: list[torch.Tensor] = []
        self.sources: list[tuple[End, ...]] = []
        self._recorder = recorder

    def wrapped(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], Any]:
        """Return the arguments of ``func`` with its callbacks made visible."""
        if isinstance(func, HigherOrderOperator):  # looks into its callbacks itself
            return args, kwargs
        return tuple(map(self._wrapped, args)), {name: self._wrapped(value) for name, value in kwargs.items()}

    def _wrapped(self, callback: Any) -> Any:
        if not callable(callback) or isinstance(callback, (type, torch.Tensor)):
            return callback

        def visible(*args: Any, **kwargs: Any) -> Any:
            self.called = True
            result = self._recorder.outside(callback, *args, **kwargs)
            with unrecorded():
                self.results += found(result)
                self.sources += [self._recorder.flow.makers(tensor) for tensor in found(result)]
            return result

        return visible


class _Operators(TorchDispatchMode):
    """Tells the recorder of the operators beneath the functions."""

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keep torch from loading its compiler, a matter of seconds, in the middle of the forward."""
        return False

    def __init__(self, recorder: _ModeRecorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if isinstance(func, HigherOrderOperator):
            return self._higher_order(func, args, kwargs)
        recorder = self._recorder
        operator = OPERATORS[func]
        if operator.writes:
            with unrecorded():
                recorder.held.about_to_write(map(plain, operator.written(args, kwargs)))
        if recorder.written is not None:
            result = func(*args, **kwargs)
            recorder.written.update(address(plain(tensor)) for tensor in operator.written(args, kwargs))
            recorder.flops.add(operator, args, kwargs, result)
            return result
        with unrecorded():  # calling the operator would tell the function mode of it
            return self._without_function(func, operator, args, kwargs)

    def _without_function(self, func: Any, operator: Operator, args: Any, kwargs: Any) -> Any:
        """Run an operator that no torch function called: it stands for itself."""
        recorder = self._recorder
        given = [*found(args), *found(kwargs)]
        sources = [recorder.flow.makers(tensor) for tensor in given]
        shapes = tuple(map(spec, given))
        recorder.flops.count, recorder.flops.known = None, True
        result = func(*args, **kwargs)
        returned = found(result)
        if returned or operator.writes:
            function = recorder.record.function(operator.name)
            function.inputs, function.outputs = shapes, tuple(map(spec, returned))
            recorder.flops.add(operator, args, kwargs, result)
            recorder.flops.give(function)
            recorder.read(given, sources, function)
            for tensor in operator.written(args, kwargs):
                recorder.flow.written(tensor, function)
            for tensor in returned:
                recorder.flow.made(tensor, function)
        return result

    def _higher_order(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Run what ``torch.cond`` chooses as the model would run it itself; other such operators run unseen."""
        if func.name() != "cond":
            return func(*args, **kwargs)
        predicate, chosen, otherwise, operands = args
        with self:
            return self._recorder.outside(chosen if predicate else otherwise, *operands)


class _Flops:
    """Counts the floating-point operations of the function that runs, and adds up those of modules."""

    def __init__(self) -> None:
        self.count: int | None = None
        self.known = True

    def add(self, operator: Operator, args: Any, kwargs: Any, result: Any) -> None:
        """Count one operator."""
        if operator.flops is not None:
            try:
                self.count = (self.count or 0) + operator.flops(*args, **kwargs, out_val=result)
            except Exception:  # counting is for the reader's comfort: shapes that the formula does not expect
                self.known = False
        elif operator.uncounted:
            self.known = False

    def give(self, function: Function) -> None:
        """Give the count to ``function``."""
        function.flops, function.flops_known = self.count, self.known

    @staticmethod
    def share(events: list[Call | Function]) -> None:
        """Give each call the sum of what ran in it; events stand after the call in which they happened."""
        for event in reversed(events):
            if not event.flops_known:
                event.flops = None
            caller = event.caller
            if caller is not None:
                caller.flops_known &= event.flops_known
                if event.flops is not None:
                    caller.flops = (caller.flops or 0) + event.flops


def _apart(result: Any, given: list[torch.Tensor]) -> Any:
    """Return ``result`` with another tensor object, of the same memory, in the place of one of ``given``.

    A dropout in evaluation returns ``x`` itself; who uses ``x`` later would seem to use what the dropout returned. Only
    a bare tensor, or one in a tuple, is exchanged: nobody may have kept another reference to that.
    """
    if isinstance(result, torch.Tensor):
        return _alias(result) if any(result is tensor for tensor in given) else result
    if type(result) is tuple:
        return tuple(_apart(item, given) if isinstance(item, torch.Tensor) else item for item in result)
    return result


def _alias(tensor: torch.Tensor) -> torch.Tensor:
    """Return another object of the same memory; ``tensor`` itself where that would not be the same to the model."""
    special = type(tensor) is not torch.Tensor or vars(tensor) or (tensor.is_leaf and tensor.requires_grad)
    if special or tensor.layout is not torch.strided:
        return tensor
    return torch.ops.aten.alias.default(tensor)


def _is_outside(end: End, call: Call) -> bool:
    """Tell whether ``end`` is none of what happened in ``call``."""
    return isinstance(end, (Value, Held)) or end.began < call.began


def _op(function: Any) -> str:
    """Return the name of a function; a property of a tensor (``x.T``) goes by its own name, not by ``__get__``."""
    name = getattr(function, "__name__", None) or str(function)
    if name in ("__get__", "__set__"):
        return str(getattr(getattr(function, "__self__", None), "__name__", name))
    return str(name)
