"""The truth about a forward, by means that have nothing to do with the tracer: plain forward hooks and autograd.

Hooks tell every call of a module, who called it and which tensor objects went in and out. Autograd tells which
parameters and inputs reach an output. Autograd gives a lower bound: what is not differentiable, it does not see.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as module_hooks

from layerscope.naming import CallCounter, LayerNames
from zoo.case import Arguments, seed


@dataclasses.dataclass
class Call:
    """One call of a module; the root, the model itself, is none."""

    key: str
    parent: str | None
    class_name: str
    leaf: bool = True
    """It called no other module."""
    output_shape: tuple[int, ...] | None = None
    """Shape of what it returned, where that is one tensor."""


@dataclasses.dataclass
class Input:
    """A tensor among the arguments."""

    paths: list[str]
    """Where it stands: ``x``, ``batch.image``, ...; several places if it was given more than once."""
    reaches: bool = False
    """Autograd says that an output depends on it."""


@dataclasses.dataclass
class Parameter:
    """A parameter that reaches an output, as autograd says."""

    names: tuple[str, ...]
    """Its qualified names; none if its module is registered nowhere."""
    boxes: tuple[str, ...]
    """Calls of leaf modules that hold it, themselves or somewhere in them."""


@dataclasses.dataclass
class Truth:
    """What one forward did."""

    root: str
    """Layer key of the call of the model itself."""
    root_is_leaf: bool
    calls: list[Call]
    """In the order in which they began."""
    inputs: list[Input]
    parameters: list[Parameter]
    passed: set[tuple[str, str]]
    """(from, to): the tensor object that one leaf call, or an input, gave was used by another, or is an output."""
    outputs: list[Tensor]
    differentiable: bool
    """A backward pass ran."""
    reaches: tuple[str, ...] = ()
    apart: tuple[tuple[str, str], ...] = ()
    """As the case tells them."""

    def same_run(self, other: Truth) -> bool:
        """Whether both runs made the same calls and gave the same bits."""
        return self.calls == other.calls and list(map(bits, self.outputs)) == list(map(bits, other.outputs))


def truth(model: nn.Module, arguments: Arguments, gradients: bool = True) -> Truth:
    """Run ``model`` once in evaluation mode and tell what it did. The model is not as before."""
    model = getattr(model, "_orig_mod", model)
    kwargs = dict(arguments.kwargs)
    if "use_cache" in inspect.signature(model.forward).parameters:
        kwargs["use_cache"] = False
    for module in model.modules():
        module.training = False
    named = list(model.named_parameters(remove_duplicate=False))
    leaves = _Leaves()
    args, kwargs = leaves.exchanged(arguments.args), leaves.exchanged(kwargs)
    inputs = _inputs(model, args, kwargs)
    record = _Record(model, inputs)
    seed(2)
    with calm(), record.recording(), torch.set_grad_enabled(gradients):
        result = model(*args, **kwargs)
    outputs = list(tensors(result))
    record.hand_to_outputs([tensor for _, tensor in outputs])
    for _, parameter in named:
        parameter.grad = None
    differentiable = _backward([tensor for _, tensor in outputs])
    for input_, tensor in inputs:
        leaf = leaves.of(tensor)
        input_.reaches = leaf is not None and leaf.grad is not None
    root, calls = record.root, record.calls
    return Truth(
        root.key,
        root.leaf,
        calls,
        [input_ for input_, _ in inputs],
        list(_reaching(named, record)),
        record.passed,
        [tensor.detach() for _, tensor in outputs],
        differentiable,
    )


@contextmanager
def calm() -> Iterator[None]:
    """Nothing compiled, no fused attention: every module is called. Whatever the forward changes is restored."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with ExitStack() as stack:
            stack.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", r"Using `torch.compile\(module\)` when there are global hooks")  # ours
            if "torch._dynamo" in sys.modules:  # slow to load; where it is not, nothing is compiled
                stack.enter_context(torch.compiler.set_stance("force_eager"))
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


# --- Tensors in nested values ---


def tensors(value: Any, path: str = "", around: tuple[int, ...] = ()) -> Iterator[tuple[str, Tensor]]:
    """Yield (path, tensor) of all in ``value``; private attributes of objects leave no trace in the path."""
    if isinstance(value, Tensor):
        yield path, value
    elif id(value) not in around:
        for key, item in _items(value):
            name = "" if str(key).startswith("_") else str(key)
            yield from tensors(item, ".".join(filter(None, (path, name))), (*around, id(value)))


def _items(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    return list(vars(value).items()) if is_plain_object(value) else []


def is_plain_object(value: Any) -> bool:
    """Whether ``value`` is an instance whose attributes may hold tensors: no tensor, module, class or function."""
    return hasattr(value, "__dict__") and not isinstance(value, (Tensor, nn.Module, type)) and not callable(value)


class _Leaves:
    """Gives the model copies of the tensors, made from leaves of autograd that wait for gradients."""

    def __init__(self) -> None:
        self._leaves: dict[int, tuple[Tensor, Tensor]] = {}
        self._copies: dict[int, tuple[Tensor, Tensor]] = {}

    def of(self, copy: Tensor) -> Tensor | None:
        return self._leaves.get(id(copy), (None, None))[1]

    def exchanged(self, value: Any) -> Any:
        """Return ``value`` with a copy of each tensor, the same copy for the same tensor."""
        if isinstance(value, Tensor):
            if id(value) not in self._copies:
                self._copies[id(value)] = value, self._copy(value)
            return self._copies[id(value)][1]
        if inspect.isgenerator(value):
            return iter([self.exchanged(item) for item in value])
        items = {key: self.exchanged(item) for key, item in _items(value)}
        if isinstance(value, tuple):
            return type(value)(*items.values()) if hasattr(value, "_fields") else type(value)(items.values())
        if isinstance(value, list):
            return list(items.values())
        if isinstance(value, dict):
            value = type(value)(value)
            value.update(items)
            return value
        if items:
            copy = object.__new__(type(value))
            copy.__dict__.update(vars(value) | items)
            return copy
        return value

    def _copy(self, tensor: Tensor) -> Tensor:
        leaf = tensor.detach().clone()
        if not (leaf.is_floating_point() or leaf.is_complex()):
            return leaf
        leaf.requires_grad_()
        copy = leaf.clone()  # a leaf itself could not be written in place
        self._leaves[id(copy)] = copy, leaf
        return copy


def _inputs(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[Input, Tensor]]:
    """Return the tensors among the arguments, named after the parameters of ``forward``."""
    try:
        signature = inspect.signature(model.forward)
        bound = signature.bind(*args, **kwargs)
    except (TypeError, ValueError):
        values: dict[str, Any] = {**{str(index): arg for index, arg in enumerate(args)}, **kwargs}
    else:
        values = {}
        for name, value in bound.arguments.items():
            variadic = signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD
            values.update(value if variadic else {name: value})
    inputs: dict[int, tuple[Input, Tensor]] = {}
    for path, tensor in tensors(values):
        inputs.setdefault(id(tensor), (Input([]), tensor))[0].paths.append(path)
    return list(inputs.values())


# --- What ran ---


class _Record:
    """Every call of a module while ``recording()`` is open."""

    def __init__(self, model: nn.Module, inputs: list[tuple[Input, Tensor]]) -> None:
        self.calls: list[Call] = []
        self.modules: dict[str, nn.Module] = {}
        self.passed: set[tuple[str, str]] = set()
        self.root = Call("", None, "")
        self._counter = CallCounter(LayerNames(model))
        self._started = False
        self._stacks: dict[int, list[tuple[nn.Module, Call]]] = {}
        self._main = threading.get_ident()
        held = [*model.parameters(), *model.buffers()]
        # An id tells apart only what lives; a forward may replace modules, too.
        self._alive: list[Any] = [*held, *model.modules(), *(tensor for _, tensor in inputs)]
        self._held = set(map(id, held))
        self._versions: dict[int, int] = {}
        self._givers = {id(tensor): f"input/{input_.paths[0]}" for input_, tensor in inputs}

    @contextmanager
    def recording(self) -> Iterator[None]:
        handles = [
            module_hooks.register_module_forward_pre_hook(self._before),
            module_hooks.register_module_forward_hook(self._after, with_kwargs=True, always_call=True),
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            module_hooks._global_forward_hooks_with_kwargs.clear()  # torch forgets this one

    def hand_to_outputs(self, outputs: list[Tensor]) -> None:
        for index, tensor in enumerate(outputs):
            self._hand(tensor, f"output {index}")

    def _stack(self) -> list[tuple[nn.Module, Call]]:
        """The calls that run on this thread; a new thread begins in the call that runs on the main one."""
        return self._stacks.setdefault(threading.get_ident(), list(self._stacks.get(self._main, [])))

    def _before(self, module: nn.Module, args: Any) -> None:
        self._versions.update({id(tensor): _version(tensor) for _, tensor in tensors(args)})
        stack, key = self._stack(), self._counter.next(module).key
        call = Call(key, None, type(module).__name__)
        if stack:
            stack[-1][1].leaf = False
            call.parent = None if stack[-1][1] is self.root else stack[-1][1].key
        self.modules[key] = module
        if self._started:
            self.calls.append(call)
        else:
            self.root, self._started = call, True
        stack.append((module, call))

    def _after(self, module: nn.Module, args: Any, *kwargs_and_result: Any) -> None:
        stack = self._stack()
        while stack[-1][0] is not module:  # those that raised something that their caller caught
            stack.pop()
        call = stack.pop()[1]
        if len(kwargs_and_result) < 2 or call is self.root:
            return
        kwargs, result = kwargs_and_result
        if isinstance(result, Tensor) and not result.is_nested:
            call.output_shape = tuple(result.shape)
        self._alive.append((args, kwargs, result))
        if call.leaf:
            given = [tensor for _, tensor in tensors((args, kwargs))]
            returned = [tensor for _, tensor in tensors(result)]
            for tensor in _used(module, given, returned):
                self._hand(tensor, call.key)
            # Of what comes back as it went in, nobody can tell whether a later user has it from before or from here.
            unchanged = {id(tensor) for tensor in given if self._versions.get(id(tensor)) == _version(tensor)}
            passed_on = self._held | unchanged
            self._givers.update({id(tensor): call.key for tensor in returned if id(tensor) not in passed_on})

    def _hand(self, tensor: Tensor, taker: str) -> None:
        if id(tensor) in self._givers:
            self.passed.add((self._givers[id(tensor)], taker))


def _version(tensor: Tensor) -> int:
    """Return how often ``tensor`` was written in place; 0 if that is not counted."""
    return 0 if tensor.is_inference() else tensor._version


def _used(module: nn.Module, given: list[Tensor], returned: list[Tensor]) -> list[Tensor]:
    """Return those of ``given`` that ``returned`` depends on for certain; a module may only have read their shape.

    The layers of torch read all that they are given. Of others autograd tells.
    """
    if type(module).__module__.startswith("torch.nn.modules."):
        return given
    waiting = [tensor.grad_fn for tensor in returned]
    ends = {tensor.grad_fn for tensor in given}
    reached: set[Any] = set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in reached:
            reached.add(node)
            waiting += [] if node in ends else [following for following, _ in node.next_functions]
    return [tensor for tensor in given if tensor.grad_fn in reached]


def _backward(outputs: list[Tensor]) -> bool:
    """Fill the gradients of the sum of ``outputs``; return False where that is not possible."""
    sums = [(output.abs() if output.is_complex() else output).sum() for output in outputs if output.requires_grad]
    if not sums:
        return False
    try:
        with calm():
            torch.autograd.backward(sums)
    except (RuntimeError, NotImplementedError):  # written in place, or without a derivative
        return False
    return True


def _reaching(named: list[tuple[str, nn.Parameter]], record: _Record) -> Iterator[Parameter]:
    names: dict[int, list[str]] = {}
    every = {id(parameter): parameter for _, parameter in named}
    boxes: dict[int, list[str]] = {}
    for name, parameter in named:
        names.setdefault(id(parameter), []).append(name)
    for call in [record.root, *record.calls]:
        for parameter in record.modules[call.key].parameters() if call.leaf else ():
            every.setdefault(id(parameter), parameter)
            boxes.setdefault(id(parameter), []).append(call.key)
    for key, parameter in every.items():
        if parameter.grad is not None:
            yield Parameter(tuple(names.get(key, ())), tuple(boxes.get(key, ())))


def bits(tensor: Tensor) -> tuple[Any, ...]:
    """What tells two tensors apart: type, dtype, shape and every bit."""
    shape = () if tensor.is_nested else tuple(tensor.shape)
    kind = type(tensor), tensor.dtype, shape, tensor.device, tensor.layout
    if tensor.is_meta:
        return kind
    plain = tensor.detach()
    if plain.is_nested:
        plain = plain.values() if plain.layout is torch.jagged else torch.cat([t.flatten() for t in plain.unbind()])
    if plain.layout is not torch.strided:
        plain = plain.to_dense()
    if plain.is_quantized:
        plain = plain.int_repr()
    plain = plain.resolve_conj().resolve_neg().contiguous()
    return (*kind, plain.flatten().view(torch.uint8).numpy().tobytes())
