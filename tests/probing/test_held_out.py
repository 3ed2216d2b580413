"""split(): who is fitted to and who judges; r2() and agreement() by their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from layerscope.errors import InvalidArgumentError
from layerscope.probing.held_out import agreement, r2, split


def test_each_class_has_its_share_among_those_held_out_and_the_seed_draws_them() -> None:
    classes = np.repeat([0, 1, 2], [100, 40, 20])
    training, judging = split(classes, 0.25, 0)
    assert np.bincount(classes[judging]).tolist() == [25, 10, 5]
    assert sorted([*training, *judging]) == list(range(160))
    assert judging.tolist() == split(classes, 0.25, 0)[1].tolist()
    assert judging.tolist() != split(classes, 0.25, 1)[1].tolist()


@pytest.mark.parametrize(("samples", "share", "count"), [(4, 0.5, 2), (11, 0.25, 3), (1000, 0.998, 998)])
def test_as_many_are_held_out_as_were_asked_for(samples: int, share: float, count: int) -> None:
    training, judging = split(np.arange(samples), share, 0)  # a class of its own for each sample
    assert (len(judging), len(training)) == (count, samples - count)


@pytest.mark.parametrize("share", [-1, 0, 0.01, 0.99, 1, np.nan])
def test_too_few_on_one_side_are_refused(share: float) -> None:
    with pytest.raises(InvalidArgumentError, match=f"leaves 2 or more to fit to .* but it is {share} of 100 samples"):
        split(np.zeros(100, np.int64), share, 0)


def test_r2_is_the_share_of_the_variance_of_all_outputs_together() -> None:
    actual = np.array([[0.0, 0.0], [10.0, 1.0]])
    assert r2(actual, actual) == 1
    assert r2(actual, np.array([[5.0, 0.5], [5.0, 0.5]])) == 0
    assert r2(actual, np.array([[0.0, 1.0], [10.0, 0.0]])) == pytest.approx(1 - 2 / 50.5)


def test_agreement_is_the_share_of_the_same() -> None:
    assert agreement(np.array([0, 1, 2, -1]), np.array([0, 1, 1, 0])) == 0.5
