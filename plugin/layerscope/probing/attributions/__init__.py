"""Attributions: what each element of the inputs and of every layer contributes to what the model says about a batch.

One method, one file: a dataclass whose fields are its options, and one row in ``METHODS``. Methods of one family that
are asked for together share their passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, cast

import torch
from torch import nn

from layerscope.containment import original
from layerscope.errors import CaptureError, InvalidArgumentError
from layerscope.given_names import nearest
from layerscope.probing.attributions.activation import Activation
from layerscope.probing.attributions.attribution import Attribution
from layerscope.probing.attributions.deep_lift import DeepLift
from layerscope.probing.attributions.deep_shap import DeepShap
from layerscope.probing.attributions.foreign import Foreign
from layerscope.probing.attributions.grad_cam import GradCam
from layerscope.probing.attributions.gradient_shap import GradientShap
from layerscope.probing.attributions.gradient_x_activation import GradientXActivation
from layerscope.probing.attributions.gradient_x_probability import GradientXProbability
from layerscope.probing.attributions.guided_backprop import GuidedBackprop
from layerscope.probing.attributions.input_x_gradient import InputXGradient
from layerscope.probing.attributions.integrated_gradients import IntegratedGradients
from layerscope.probing.attributions.kernel_shap import KernelShap
from layerscope.probing.attributions.layer_conductance import LayerConductance
from layerscope.probing.attributions.layer_integrated_gradients import LayerIntegratedGradients
from layerscope.probing.attributions.lime import Lime
from layerscope.probing.attributions.method import Method, Question
from layerscope.probing.attributions.occlusion import Occlusion
from layerscope.probing.attributions.output_sum_gradient import OutputSumGradient
from layerscope.probing.attributions.saliency import Saliency
from layerscope.probing.attributions.shapley_sampling import ShapleySampling
from layerscope.probing.attributions.smooth_grad import SmoothGrad
from layerscope.probing.attributions.target import Loss, Target
from layerscope.probing.calls import input_tensors
from layerscope.probing.layer_choice import Chosen

__all__ = ["METHODS", "Attribution", "Loss", "Method", "Target", "attribute", "attribute_all"]

METHODS: dict[str, type[Method]] = {
    "activation": Activation,
    "gradient_x_activation": GradientXActivation,
    "grad_cam": GradCam,
    "saliency": Saliency,
    "input_x_gradient": InputXGradient,
    "guided_backprop": GuidedBackprop,
    "output_sum_gradient": OutputSumGradient,
    "gradient_x_probability": GradientXProbability,
    "smooth_grad": SmoothGrad,
    "integrated_gradients": IntegratedGradients,
    "layer_conductance": LayerConductance,
    "layer_integrated_gradients": LayerIntegratedGradients,
    "gradient_shap": GradientShap,
    "deep_lift": DeepLift,
    "deep_shap": DeepShap,
    "occlusion": Occlusion,
    "lime": Lime,
    "kernel_shap": KernelShap,
    "shapley_sampling": ShapleySampling,
}
"""Method name -> its class, a dataclass whose fields are the method's options."""

Asked = str | Method | Callable[..., Any]
"""A name in ``METHODS``, a method with its options, or a function ``(model, inputs, target) -> tensor or {layer:
tensor}``."""

Methods = Iterable[Asked] | Mapping[str, Asked | Mapping[str, Any]]
"""Each a name in ``METHODS``, a method with its options, or a function. Or a mapping from names to them, or from a name
in ``METHODS`` to its options: ``{"integrated_gradients": {"n_steps": 64}, "mine": f}``."""


def attribute(
    model: nn.Module,
    inputs: Any,
    target: Target = None,
    *,
    method: Asked,
    layers: str | Sequence[str] = "all",
    batch_dim: int = 0,
    **options: Any,
) -> Attribution:
    """Return what ``method`` says about every layer and about the inputs, in evaluation mode.

    Args:
        model: the model; it is left as it was found, and a compiled one is run through its original.
        inputs: a tensor, a tuple (positional arguments) or a mapping (keyword arguments) for the model.
        target: which score is explained: a class, a class for each sample (list or tensor [batch]), None for the
            predicted class of each sample, a function that takes what the model returned and returns one number for
            each sample [batch], or the ``Loss``. Scores are ``logits`` of what the model returned if it has them, else
            its first floating-point tensor, [batch, classes]; of [batch] or [batch, 1] the one score is explained, and
            of more dimensions the one whose place a tuple gives.
        method: name in ``METHODS``, or a function ``(model, inputs, target) -> tensor or {layer key: tensor}``, e.g.
            around an object of Captum.
        layers: ``"all"`` for every module call but the model's own; ``"auto"`` for about a dozen that tell the most;
            or a list of layer keys and patterns (``"blocks.*.attn"``). Of all layers those without a floating-point
            output, or on which the target does not depend, are left out and noted in ``skipped``.
        batch_dim: dimension of the samples in the inputs. Attributions are batch first all the same.
        options: of the method, see its class.

    Raises:
        InvalidArgumentError: no such method or option, or the target does not fit what the model returned.
        LayerNotFoundError: the model has no layer of that key.
        CaptureError: a layer that was asked for by its key was not executed, has no floating-point output, or the
            target does not depend on it; or on no layer at all.
    """
    asked = named([method])
    ((name, _),) = asked.items()
    if options:
        if not isinstance(method, str):
            raise InvalidArgumentError(f"options go with the name of a method, but {name!r} was given as an object.")
        asked = {name: made(name, options)}
    return _attribute(asked, model, inputs, target, layers, batch_dim)[name]


def attribute_all(
    model: nn.Module,
    inputs: Any,
    target: Target = None,
    *,
    methods: Methods,
    layers: str | Sequence[str] = "all",
    batch_dim: int = 0,
) -> dict[str, Attribution]:
    """Return name -> what that method says; methods of one family share their passes.

    Args:
        model: as in ``attribute``.
        inputs: as in ``attribute``.
        target: as in ``attribute``.
        methods: see ``Methods``.
        layers: as in ``attribute``.
        batch_dim: as in ``attribute``.

    Raises:
        InvalidArgumentError: as in ``attribute``, or ``methods`` is a single name or empty.
        LayerNotFoundError: as in ``attribute``.
        CaptureError: as in ``attribute``.
    """
    return _attribute(named(methods), model, inputs, target, layers, batch_dim)


def made(name: str, options: Mapping[str, Any]) -> Method:
    """Return the method of a name in ``METHODS``.

    Raises:
        InvalidArgumentError: no such method or option.
    """
    if name not in METHODS:
        raise InvalidArgumentError(
            f"method {name!r} was asked for, but the methods are {_known()}.{nearest(name, METHODS)}"
        )
    known = [f.name for f in fields(cast(Any, METHODS[name]))]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise InvalidArgumentError(
            f"option {unknown[0]!r} was given, but the options of {name!r} are: {', '.join(known) or 'none'}."
        )
    return METHODS[name](**options)


def named(methods: Methods) -> dict[str, Method]:
    """Return name -> method.

    Raises:
        InvalidArgumentError: as ``made``, or something is no method at all.
    """
    return {name: chosen(name, given) for name, given in by_name(methods).items()}


def by_name(methods: Methods) -> dict[str, object]:
    """Return name -> what was given for it, which ``chosen`` makes a method of.

    Raises:
        InvalidArgumentError: it is a single name, or empty.
    """
    given: Any = methods
    if isinstance(given, Mapping):
        found = dict(cast("Mapping[str, object]", given))
    elif isinstance(given, str) or not isinstance(given, Iterable):
        found = {}
    else:
        listed = list(cast("Iterable[object]", given))
        found = {name_of(method): method for method in listed}
        if len(found) < len(listed):
            names = [name_of(method) for method in listed]
            twice = next(name for name in names if names.count(name) > 1)
            raise InvalidArgumentError(
                f"methods must have different names, but {twice!r} stands there {names.count(twice)} times. Give a "
                f"mapping from names of your own to methods, e.g. {{{twice + '_1'!r}: ..., {twice + '_2'!r}: ...}}."
            )
    if not found:
        instead = ""
        if isinstance(given, str):
            instead = f" Give [{given!r}]." if given in METHODS else nearest(given, METHODS)
        raise InvalidArgumentError(f"methods must be a list of one or more of {_known()}, not {methods!r}.{instead}")
    return found


def chosen(name: str, given: object) -> Method:
    """Return the method that was given under a name.

    Raises:
        InvalidArgumentError: as ``made``, or it is no method at all.
    """
    if isinstance(given, str):
        return made(given, {})
    if isinstance(given, Mapping):
        return made(name, cast("Mapping[str, Any]", given))
    if isinstance(given, Method):
        return given
    if callable(given):
        return Foreign(cast(Any, given))
    raise InvalidArgumentError(f"a method is a name, one of {_known()}, or a function, but this is {given!r}.")


def name_of(method: object) -> str:
    """Return the name under which a method is recorded that was given without one."""
    if isinstance(method, str):
        return method
    if isinstance(method, Method):
        return next((name for name, known in METHODS.items() if type(method) is known), type(method).__name__)
    return str(getattr(method, "__name__", type(method).__name__))


def _known() -> str:
    return ", ".join(map(repr, METHODS))


def _attribute(
    methods: Mapping[str, Method],
    model: nn.Module,
    inputs: Any,
    target: Target,
    layers: str | Sequence[str],
    batch_dim: int,
) -> dict[str, Attribution]:
    question = resolved(Question(original(model), inputs, target, layers, batch_dim))
    found: dict[str, Attribution] = {}
    for members in families(methods):
        found |= next(iter(members.values())).together(members, question)
    told = {name: with_note(found[name], inputs) for name in methods}
    for name, attribution in told.items():
        require_told(name, attribution)
    return told


def resolved(question: Question) -> Question:
    """Return the question with the layers that ``"auto"`` stands for, which takes a forward pass to see."""
    if question.layers != "auto":
        return question
    return replace(question, layers=Chosen.of("auto", question.model, question.inputs))


NOT_LOOKED_UP = (
    "No gradient reaches the inputs: they are integers, and no embedding looks them up in a way that is seen "
    "(torch.nn.functional.embedding). kernel_shap, lime and occlusion need no gradient."
)


def with_note(found: Attribution, inputs: Any) -> Attribution:
    """Return the attribution, with a note where all inputs are integers of which nothing is known."""
    unknown = bool(found.inputs) and all(tensor.isnan().all() for tensor in found.inputs)
    numbers = not any(tensor.is_floating_point() for tensor in input_tensors(inputs))
    if not (unknown and numbers) or found.notes:
        return found
    return replace(found, notes=(NOT_LOOKED_UP,), delta=None)


def require_told(name: str, found: Attribution) -> None:
    """Raise if the method says nothing of anything, 0 of padding apart, because the model gave no numbers.

    Integers that nothing looks up have a note alone: of other inputs and of layers the same method tells.

    Raises:
        CaptureError: so it is.
    """
    said = torch.cat([torch.empty(0), *(tensor.flatten().cpu() for tensor in found.inputs)])
    nothing = bool(said.isnan().any()) and not bool((said[~said.isnan()] != 0).any())
    if nothing and found.notes not in ((), (NOT_LOOKED_UP,)) and not found.layers:
        raise CaptureError(f"{name} was asked for, but it tells nothing. {' '.join(found.notes)}")


def families(methods: Mapping[str, Method]) -> list[dict[str, Method]]:
    """Return the methods by family: those of one are run together."""
    found: dict[Any, dict[str, Method]] = {}
    for name, method in methods.items():
        found.setdefault(method.together, {})[name] = method
    return list(found.values())
