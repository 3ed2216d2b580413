"""Random trees of modules with random wiring trace right: views, writes in place, shared modules, tuples and dicts."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import Phase, given, settings
from torch import nn

from zoo.case import Case, two_vectors
from zoo.random_models import models
from zoo.results import traced


@settings(
    max_examples=100,
    derandomize=True,
    phases=(Phase.generate, Phase.shrink),
)
@given(models)
def test_any_model_traces_right_and_stays_as_it_was(build: Callable[[], nn.Module]) -> None:
    outcome = traced(Case("random", build, two_vectors))
    assert outcome.error is None, repr(outcome.error)
    assert [*map(str, outcome.faults)] == []
    assert outcome.changes == []
