"""What the tracer makes of each case: run once, then looked at by several tests."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass, field
from typing import Any

import torch
import torch._dynamo  # loading it changes functions of torch; here it happens before anything is compared
from torch import nn

import layerscope
from layerscope.wire import ModelGraph
from zoo.case import Arguments, Case
from zoo.judge import Fault, judge
from zoo.state import State
from zoo.truth import Truth, truth


class StopError(Exception):
    """Raised on purpose in the middle of a forward."""


@dataclass
class Result:
    """One traced case."""

    truth: Truth
    graph: ModelGraph | None = None
    error: Exception | None = None
    faults: list[Fault] = field(default_factory=list[Fault])
    changes: list[str] = field(default_factory=list[str])
    """What the trace did not leave as it was."""


@dataclass
class Stopped:
    """One case that was traced while one of its modules raises."""

    expected: list[str]
    """Layer keys of the calls that began until then."""
    graph: ModelGraph | None = None
    error: Exception | None = None
    changes: list[str] = field(default_factory=list[str])


done: dict[Case, Result] = {}
"""The cases that were traced, for the report at the end."""


def result(case: Case) -> Result:
    """Return what the tracer makes of ``case``, traced at the first call."""
    if case not in done:
        done[case] = traced(case)
    return done[case]


def traced(case: Case) -> Result:
    """Trace ``case``, judge the graph, and look at what the trace left behind.

    The model is traced before its first forward, in training mode with its odd modules frozen; afterwards it must
    give the very bits that an equal model gives that was never traced.
    """
    outcome = Result(truth(case.model(), case.arguments(), case.gradients))
    outcome.truth.reaches, outcome.truth.apart = case.reaches, case.apart
    model, arguments = case.model(), case.arguments()
    for index, module in enumerate(model.modules()):
        module.training = index % 2 == 0
    outcome.graph, outcome.error, outcome.changes = _trace(model, arguments)
    if outcome.graph is not None:
        outcome.faults = judge(outcome.graph, outcome.truth)
    if _copies(case.model()) and not _copies(model):
        outcome.changes.append("copy.deepcopy() of the model fails")
    if not truth(model, case.arguments(), case.gradients).same_run(outcome.truth):
        outcome.changes.append("the outputs of the model, or the calls that it makes")
    return outcome


@functools.cache
def stopped(case: Case) -> Stopped | None:
    """Trace ``case`` while a leaf module in the middle raises when it is first called; None if it has none."""
    calls = result(case).truth.calls
    model, arguments = case.model(), case.arguments()
    named = dict(getattr(model, "_orig_mod", model).named_modules())
    first = [index for index, call in enumerate(calls) if call.leaf and _can_raise(named.get(call.key))]
    if not first:
        return None
    index = first[len(first) // 2]
    outcome = Stopped([call.key for call in calls[: index + 1]])

    def raising(*_: Any, **__: Any) -> None:
        raise StopError("on purpose")

    vars(named[calls[index].key])["forward"] = raising
    outcome.graph, outcome.error, outcome.changes = _trace(model, arguments)
    return outcome


def _can_raise(module: nn.Module | None) -> bool:
    return module is not None and not isinstance(module, (torch.jit.ScriptModule, torch.fx.GraphModule))


def _trace(model: nn.Module, arguments: Arguments) -> tuple[ModelGraph | None, Exception | None, list[str]]:
    before = State(model, arguments)
    graph = error = None
    try:
        graph = layerscope.trace(model, *arguments.args, **arguments.kwargs)
    except Exception as raised:
        error = raised.with_traceback(None)
    return graph, error, before.changes(State(model, arguments))


def _copies(model: nn.Module) -> bool:
    try:
        copy.deepcopy(model)
    except Exception:
        return False
    return True
