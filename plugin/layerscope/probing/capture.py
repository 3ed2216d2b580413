"""The one-pass engine: one forward and one backward reach every layer, whose tensors are reduced where they are found.

How it differs from a call per layer: forward hooks see every call of every module; the gradient of a layer's output
comes from a tensor hook on that output, which also survives an in-place operation that follows; and each pair of
activation and gradient is reduced inside that hook, so that no gradient is kept. ``torch.autograd.grad`` with respect
to the inputs leaves every ``.grad`` alone and computes no gradients of parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar
from weakref import WeakKeyDictionary, ref

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from layerscope.containment import contained, original
from layerscope.errors import CaptureError
from layerscope.probing.calls import first_float_tensor, layer_unavailable, watched
from layerscope.probing.layer_choice import Chosen
from layerscope.probing.layout import Layouts
from layerscope.probing.representation import Representation
from layerscope.probing.sample_dims import SampleDims, Seen, settled

O = TypeVar("O")  # noqa: E741
G = TypeVar("G")


_BOUND: WeakKeyDictionary[nn.Module, set[str]] = WeakKeyDictionary()
"""Model -> keys of the layers that return a view which must not be parted from the memory that it lies in."""
_MODIFIED: WeakKeyDictionary[nn.Module, set[str]] = WeakKeyDictionary()
"""Model -> keys of the layers whose output was once found to be modified in place later."""


class Layer(NamedTuple):
    """A layer whose output is being reduced."""

    key: str
    channels: int | None
    """The dimension of its output that is the channels, None if there is none (see ``layout.py``)."""
    module: nn.Module


@dataclass(frozen=True)
class Captured(Generic[O, G]):
    """What one pass found."""

    layers: dict[str, Layer]
    """Layer key -> layer, in order of execution; those that have a floating-point output and were asked for."""
    outputs: dict[str, O]
    """Layer key -> what ``at_output`` made of the output."""
    gradients: dict[str, G]
    """Layer key -> what ``at_gradient`` made of output and gradient."""
    inputs: list[list[tuple[Tensor, Tensor]]]
    """For each input tensor (value, gradient) of what stands for it (see ``representation.py``): itself, or, for one of
    integers, what embeddings looked up, none if nothing was. The gradient is zeros where the objective does not depend
    on it. Empty without a backward pass."""
    seen: Seen
    """Shape of every layer's output, and where the samples are in it."""
    output: Any
    """What the model returned."""
    objective: Tensor | None
    """The objective for each sample [batch], detached."""
    skipped: dict[str, str]
    """Layer key -> why there is nothing for this layer, in words."""


def capture(
    model: nn.Module,
    inputs: Any,
    *,
    layers: str | Sequence[str] | Chosen = "all",
    at_output: Callable[[Layer, Tensor], O] | None = None,
    at_gradient: Callable[[Layer, Tensor, Tensor], G] | None = None,
    objective: Callable[[Any], Tensor] | None = None,
    represent: Callable[[], Representation] | None = None,
    around: Callable[[], AbstractContextManager[Any]] = nullcontext,
    batch_dim: int = 0,
    once: Seen | None = None,
    shared: bool = False,
    settle: bool = True,
) -> Captured[O, G]:
    """Run one forward pass and, if ``at_gradient`` is given, one backward pass, and reduce every layer in them.

    The model runs in evaluation mode and is left as it was found. A module that returns several tensors is seen by
    its first floating-point tensor. If a layer's output is modified in place after the layer (an in-place ReLU
    behind it), the forward pass is run again with copies of just these outputs; which ones is remembered, so that
    later passes of this model copy them at once.

    A gradient is that of the tensor which the layer returned, wherever that tensor is used. A layer that returns its
    input itself (``nn.Identity``, dropout in evaluation mode) therefore has the gradient of its input: if that one
    also goes around the layer, as in a shortcut, with that way's share. Captum's layer gradients agree.

    Args:
        model: the model; a compiled one is run through its original. In ``DistributedDataParallel`` or
            ``DataParallel`` every layer key begins with ``module``; give ``model.module`` for those of the model.
        inputs: a tensor, a tuple (positional arguments) or a mapping (keyword arguments). Never modified.
        layers: which layers, as ``Chosen`` says.
        at_output: called with a layer and its output, detached. It must not keep the tensor itself.
        at_gradient: called with a layer, its output and the gradient of the summed objective with respect to it. It
            may keep the output, but not the gradient.
        objective: turns what the model returned into one number for each sample [batch].
        represent: makes the arguments; None takes ``inputs`` as they are.
        around: makes what is entered around the forward and the backward pass, e.g. to change operations.
        batch_dim: dimension of the samples in the inputs. ``SampleDims`` tells that of a layer; the callbacks get
            tensors whose samples are in dimension 0. An output without such a dimension comes as it is.
        once: what a pass of the batch by itself showed (``seen``), so that nothing is guessed. If ``represent`` repeats
            the batch, layers whose output does not grow with it are left out and noted.
        settle: where both dimension 0 and 1 of an output have the size of the batch, look which one grows with it, in
            one more pass, and begin again: ``at_output`` is called again then. False where it does not matter.
        shared: layers that return one and the same tensor (a block and its last module) share what the callbacks make
            of it, which are called for the first of them.

    Raises:
        InvalidArgumentError: ``layers`` is neither a list nor a word that ``Chosen`` knows.
        LayerNotFoundError: the model has no layer of that key.
        CaptureError: a layer that was asked for by its key was not executed, has no floating-point output, or is not
            connected to the objective; or no layer at all is.
    """
    model = original(model)
    chosen = Chosen.of(layers, model, inputs)
    copied = _MODIFIED.setdefault(model, set())
    bound = _BOUND.setdefault(model, set())
    backward = at_gradient is not None

    def as_given() -> Representation:
        return Representation(inputs, differentiable=backward, batch_dim=batch_dim)

    before: Tensor | None = None
    while True:
        dims = SampleDims(batch_dim, once)
        recording = _Recording(chosen, at_output, at_gradient, copied, dims, shared=shared, bound=bound, settle=settle)
        captured = _run(recording, model, represent or as_given, objective, around)
        if recording.unsettled:
            once = settled(model, inputs, batch_dim, dims.seen)
        elif captured is None:
            before = recording.values
            copied |= recording.modified()
        elif recording.parted and not _equal(before, recording.values):
            bound |= recording.parted  # the model goes on with what such a view lies in, so they must stay one
        else:
            return captured


def _equal(before: Tensor | None, after: Tensor | None) -> bool:
    return before is None or after is None or torch.equal(before, after)


def _run(
    recording: _Recording[O, G],
    model: nn.Module,
    represent: Callable[[], Representation],
    objective: Callable[[Any], Tensor] | None,
    around: Callable[[], AbstractContextManager[Any]],
) -> Captured[O, G] | None:
    """Run one pass; None if it must be run again.

    That is where what the backward pass would need was modified in place, or where the samples are was but guessed.
    """
    backward = recording.at_gradient is not None
    with contained(model, frozen=True), recording.cleaned(), around():
        tracked = nullcontext() if backward else torch.no_grad()
        with tracked, represent() as inputs, watched(model, recording.on_output) as executed:
            recording.dims.samples, recording.dims.times = inputs.samples, inputs.times
            output = model(*inputs.arguments.args, **inputs.arguments.kwargs)
        values = None if objective is None else objective(output)
        recording.values = None if values is None else values.detach()
        recording.require(model, executed)
        if recording.unsettled or recording.modified():
            return None
        gradients: list[list[tuple[Tensor, Tensor]]] = []
        if backward and values is not None:
            gradients = recording.backward(values, inputs.leaves)
            recording.require_gradients()
    return Captured(
        layers={key: recording.layers[key] for key in executed if key in recording.layers},
        outputs={key: recording.outputs[key] for key in executed if key in recording.outputs},
        gradients={key: recording.gradients[key] for key in executed if key in recording.gradients},
        inputs=gradients,
        seen=recording.dims.seen,
        output=output,
        objective=None if values is None else values.detach(),
        skipped=recording.skipped,
    )


class _Returned(NamedTuple):
    """A tensor that a layer returned."""

    tensor: ref[Tensor]
    version: int
    layers: list[Layer]
    """Those that returned it in this version."""


@dataclass
class _Recording(Generic[O, G]):
    """What one forward pass has found so far."""

    chosen: Chosen
    at_output: Callable[[Layer, Tensor], O] | None
    at_gradient: Callable[[Layer, Tensor, Tensor], G] | None
    copied: set[str]
    """Keys of the layers whose output must be copied, because it is modified in place later."""
    dims: SampleDims
    settle: bool
    shared: bool = False
    bound: set[str] = field(default_factory=set)
    """Keys of the layers that return a view which must stay one."""
    parted: set[str] = field(default_factory=set)
    """Keys of the layers that returned a view, instead of which the model goes on with a copy."""
    values: Tensor | None = None
    """The objective, detached."""
    layers: dict[str, Layer] = field(default_factory=dict)
    outputs: dict[str, O] = field(default_factory=dict)
    gradients: dict[str, G] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    _returned: dict[int, _Returned] = field(default_factory=dict)
    """Identity of a tensor -> what was returned, if results are shared."""
    _held: dict[str, tuple[Tensor, int]] = field(default_factory=dict)
    """Layer key -> its output, until its gradient comes, and the version that it had."""
    _sources: list[Tensor] = field(default_factory=list)
    """Leaves of the autograd graph other than the inputs, one for each output that depends on no leaf before it."""
    _borrowed: list[Tensor] = field(default_factory=list)
    """Tensors of the model that require a gradient for the time of the pass."""
    _hooks: list[RemovableHandle] = field(default_factory=list[RemovableHandle])
    _layouts: Layouts = field(default_factory=Layouts)

    def on_output(self, key: str, module: nn.Module, output: Any) -> Any:
        tensor = first_float_tensor(output)
        channels = None if tensor is None else self._layouts.channel_dim(module, tensor.shape)
        if key not in self.chosen:
            return None
        if tensor is None:
            self.skipped[key] = "its output holds no floating-point tensor"
            return None
        batch = self.dims.of(key, tensor.shape, channels)
        if batch is None:
            self.skipped[key] = f"its output {list(tensor.shape)} does not grow with the batch"
            return None
        if batch and channels is not None:  # where they are once the samples have moved to the front
            channels = 0 if channels == batch else channels + (channels < batch)
        layer = self.layers[key] = Layer(key, channels or None, module)
        versioned = not tensor.is_inference()  # what inference mode made knows no version, and no gradient reaches it
        if self.shared and versioned and self._shares(layer, tensor):
            return None
        if self.at_output is not None:
            with torch.no_grad():
                self.outputs[key] = self.at_output(layer, _batch_first(tensor.detach(), batch))
        replacement, sharing = None, [layer]
        if self.at_gradient is not None and versioned:
            replacement = self._source(tensor, output) if tensor.is_leaf else self._apart(key, tensor, output)
            tensor = tensor if replacement is None else replacement
            self._hook(tensor, sharing)
        if self.shared and versioned:
            self._returned[id(tensor)] = _Returned(ref(tensor), tensor._version, sharing)
        return replacement

    def _shares(self, layer: Layer, tensor: Tensor) -> bool:
        """Tell whether a layer before returned the same tensor, so that what was made of it serves for this one too."""
        known = self._returned.get(id(tensor))
        if known is None or known.tensor() is not tensor or known.version != tensor._version:
            return False
        first = known.layers[0]
        if (first.channels, self.dims.seen.dims[first.key]) != (layer.channels, self.dims.seen.dims[layer.key]):
            return False
        known.layers.append(layer)
        if first.key in self.outputs:
            self.outputs[layer.key] = self.outputs[first.key]
        return True

    @property
    def unsettled(self) -> bool:
        """Whether the pass must be run again with what is known then of where the samples are."""
        return self.settle and self.dims.tied

    def _apart(self, key: str, tensor: Tensor, output: Any) -> Tensor | None:
        """Return a copy to go on with where a view is modified later, which would cut its gradient off; else None."""
        if key not in self.copied or key in self.bound or tensor is not output or not tensor._is_view():
            return None
        self.parted.add(key)
        return tensor.clone()

    def _source(self, tensor: Tensor, output: Any) -> Tensor | None:
        """Make ``tensor`` require a gradient; return what to go on with instead of ``output``, if anything."""
        if tensor is not output:  # inside a structure: the tensor itself must do
            if not tensor.requires_grad:
                self._borrowed.append(tensor.requires_grad_())
            self._sources.append(tensor)
            return None
        with torch.enable_grad():  # a copy, so that an in-place operation may follow, which a leaf does not allow
            leaf = tensor.detach().requires_grad_()
            self._sources.append(leaf)
            return leaf.clone()

    def _hook(self, tensor: Tensor, layers: list[Layer]) -> None:
        """Reduce the gradient of ``tensor`` for those that return it, of whom the first is known and more may come."""
        layer = layers[0]
        activation = tensor.detach()  # shares memory and version
        if layer.key in self.copied:
            activation = activation.clone()
        self._held[layer.key] = activation, activation._version
        at_gradient = self.at_gradient
        assert at_gradient is not None
        batch = self.dims.seen.dims[layer.key]

        def on_gradient(gradient: Tensor) -> None:
            # Let go of, so that what is made of it and of the next ones finds memory that was in use already.
            output, _ = self._held.pop(layer.key)
            found = at_gradient(layer, _batch_first(output, batch), _batch_first(gradient, batch))
            self.gradients |= dict.fromkeys((sharing.key for sharing in layers), found)

        self._hooks.append(tensor.register_hook(on_gradient))

    def modified(self) -> set[str]:
        """Return the keys of the layers whose output was modified in place after they returned it."""
        return {key for key, (tensor, version) in self._held.items() if tensor._version != version}

    def backward(self, values: Tensor, leaves: Iterable[Sequence[Tensor]]) -> list[list[tuple[Tensor, Tensor]]]:
        """Differentiate the summed objective; return (value, gradient) of the leaves of each input."""
        leaves = list(leaves)
        sources = [leaf for held in leaves for leaf in held] + self._sources
        found: Sequence[Tensor | None] = [None] * len(sources)
        if values.requires_grad and sources:
            try:
                found = torch.autograd.grad(values.sum(), sources, allow_unused=True)
            except RuntimeError as error:
                if "use_reentrant=True" not in str(error):
                    raise
                raise CaptureError(
                    "gradients with respect to layers and inputs were asked for, but the model runs a part by "
                    "torch.utils.checkpoint(use_reentrant=True), which gives those of parameters only. Give it "
                    "use_reentrant=False, or choose a method without gradients, e.g. occlusion."
                ) from error
        gradients = iter(found)
        return [[_with_gradient(leaf, next(gradients)) for leaf in held] for held in leaves]

    @contextmanager
    def cleaned(self) -> Iterator[None]:
        """Take back, at the end of a block, what was set on tensors that may be the model's own and stay."""
        try:
            yield
        finally:
            for hook in self._hooks:
                hook.remove()
            for tensor in self._borrowed:
                if tensor.is_leaf:  # no longer one if the model wrote into it in place; then it is not the model's
                    tensor.requires_grad_(False)

    def require(self, model: nn.Module, executed: list[str]) -> None:
        """Raise if a layer that was asked for by its key was not executed, or nothing was found at all."""
        for key in self.chosen.keys:
            if key in self.skipped:
                raise CaptureError(f"layer {key!r} was asked for, but {self.skipped[key]}. Choose another layer.")
            if key not in self.layers:
                raise layer_unavailable(model, key, executed)
        self.chosen.require(executed)
        if not self.layers and not self.chosen.keys and not self.chosen.nothing:
            raise CaptureError(
                "every layer was asked for, but the forward pass called no module whose output holds a floating-point "
                "tensor. A scripted or exported model hides its modules: give the original one."
            )

    def require_gradients(self) -> None:
        """Raise if a layer that was asked for by its key, or every layer, got no gradient; note those skipped."""
        missing = [key for key in self.layers if key not in self.gradients]
        for key in missing:
            self.skipped[key] = "the target does not depend on its output"
        named = [key for key in missing if key in self.chosen.keys]
        if named or (missing and not self.gradients):
            what = f"layer {named[0]!r}" if named else "every layer"
            raise CaptureError(
                f"a gradient of the target with respect to {what} was asked for, but the target does not depend on its "
                "output: the forward pass detaches it, runs it under no_grad or does not use it. Choose another layer "
                "or target, or a method without gradients."
            )


def _batch_first(tensor: Tensor, batch: int) -> Tensor:
    return tensor.movedim(batch, 0) if batch else tensor


def _with_gradient(leaf: Tensor, gradient: Tensor | None) -> tuple[Tensor, Tensor]:
    value = leaf.detach()
    return value, torch.zeros_like(value) if gradient is None else gradient
