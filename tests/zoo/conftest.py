"""A line for each family of the zoo at the end of the tests."""

from __future__ import annotations

import summary
from zoo.registry import FAMILIES
from zoo.results import done


def pytest_sessionfinish() -> None:
    for family, cases in FAMILIES.items():
        outcomes = [done[case] for case in cases if case in done]
        if outcomes:
            finished = sum(outcome.graph is not None for outcome in outcomes)
            correct = sum(outcome.graph is not None and not outcome.faults for outcome in outcomes)
            untouched = sum(not outcome.changes for outcome in outcomes)
            judged = sum(outcome.truth.differentiable for outcome in outcomes)
            summary.lines.append(
                f"zoo {family}: finished {finished}/{len(outcomes)}, correct {correct}/{len(outcomes)}, "
                f"left as before {untouched}/{len(outcomes)}, judged by autograd {judged}/{len(outcomes)}"
            )
