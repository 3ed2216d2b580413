"""Jumps of the user's loss, and the layers whose gradients moved first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from layerscope.findings import Examination, in_order, is_loss
from layerscope.wire import Finding, Series


def examine(values: np.ndarray, gradients: Series | None = None, tag: str = "train/Loss") -> tuple[Finding, ...]:
    return Examination().observe_scalars({tag: (10 * np.arange(len(values)), values.astype(np.float64))}, gradients)


def falling(length: int = 200) -> np.ndarray:
    """Return a loss that falls from 2 to 1 with noise of 0.01."""
    return 1 + np.exp(-np.arange(length) / 20) + np.random.default_rng(0).normal(0, 0.01, length)


def test_a_jump_is_named_where_it_begins() -> None:
    values = falling()
    values[150:] += 1.5
    (found,) = examine(values)
    assert (found.detector, found.severity, found.step, found.layer) == ("loss_spike", "warning", 1500, "")
    assert found.evidence["loss"] == pytest.approx(values[150])
    assert found.evidence["median"] == pytest.approx(np.median(values[100:150]))
    assert found.message == f"The loss 'train/Loss' jumps from {np.median(values[100:150]):.3g} to {values[150]:.3g}."


@pytest.mark.parametrize(("length", "expected"), [(2, 0), (3, 1)])
def test_a_jump_must_last(length: int, expected: int) -> None:
    values = falling()
    values[150 : 150 + length] += 1.5
    assert len(examine(values)) == expected


@pytest.mark.parametrize(("height", "expected"), [(0.40, 0), (0.65, 1)])
def test_a_jump_must_undo_half_of_what_was_gained(height: float, expected: int) -> None:
    values = falling()
    values[150:160] += height  # far above the noise in either case
    assert len(examine(values)) == expected


def test_noise_of_small_batches_is_none() -> None:
    values = np.random.default_rng(0).lognormal(-5, 2, 5000)  # a converged network: heavy tails
    values[:20] = 2.3
    assert examine(values) == ()


def test_a_loss_that_rises_as_it_began_or_falls_is_none() -> None:
    assert examine(falling()) == ()
    assert examine(np.linspace(1, 3, 300)) == ()
    assert examine(np.array([5.0, 4.0, 3.0])) == ()
    assert examine(np.array([])) == ()


def test_a_loss_that_is_not_finite_is_an_error() -> None:
    values = falling()
    values[120:] = np.nan
    (found,) = examine(values)
    assert (found.severity, found.step) == ("error", 1200)
    assert "loss" not in found.evidence


def test_other_scalars_are_none_of_its_business() -> None:
    values = falling()
    values[150:] += 1.5
    assert examine(values, tag="accuracy") == ()
    tags = ("loss", "val_loss", "Loss/train", "lr")
    assert [is_loss(tag) for tag in tags] == [True, True, True, False]


def gradients() -> Series:
    """Gradients of two layers and their container: of ``net.b`` they grow at step 1480, of ``net.a`` at step 1490."""
    steps = 10 * np.arange(200)
    norms = np.ones((200, 5)) * np.random.default_rng(0).lognormal(0, 0.1, (200, 1))
    norms[149:, 1:3] *= 50
    norms[148:, 3:] *= 80
    norms[148:, 0] *= 80
    layers = ("net", "net.a", "net.a.weight", "net.b", "net.b.weight")
    owners = ("net", "net.a", "net.a", "net.b", "net.b")
    return Series(steps, layers, ("norm",), norms[:, :, None].astype(np.float32), owners=owners)


def test_the_layers_that_moved_first_are_named() -> None:
    values = falling()
    values[150:] += 1.5
    (found,) = examine(values, gradients())
    assert (found.layer, found.others) == ("net.b", ("net.a",))
    assert found.message.endswith("The gradient of 'net.b' moved first. Then came 'net.a'.")


def test_layers_that_move_together_are_not_told_apart() -> None:
    values, series = falling(), gradients()
    values[150:] += 1.5
    series.values[148:, 1:3] = 50
    (found,) = examine(values, series)
    assert (found.layer, found.others) == ("", ())
    assert found.message == f"The loss 'train/Loss' jumps from {np.median(values[100:150]):.3g} to {values[150]:.3g}."
    alone = replace(series, layers=("net.a", "net.a.weight"), values=series.values[:, 1:3], owners=("net.a",) * 2)
    assert [f.layer for f in examine(values, alone)] == ["net.a"]


def test_gradients_that_are_not_finite_are_not_what_moved_first() -> None:
    values, series = falling(), gradients()
    values[150:] = np.nan
    series.values[148:] = 1
    series.values[150:, 3:] = np.nan
    (found,) = examine(values, series)
    assert (found.step, found.layer, found.message) == (
        1500,
        "",
        "The loss 'train/Loss' is not finite from here on.",
    )
    series.values[149:, 1:3] *= 50  # finite, and before
    assert [f.layer for f in examine(values, series)] == ["net.a"]


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("loss", True),
        ("val/kl_loss", True),
        ("trainLoss", True),
        ("trainloss", True),
        ("Losses/all", True),
        ("amp/loss_scale", False),
        ("kl_loss_weight", False),
        ("glossary", False),
        ("accuracy", False),
    ],
)
def test_what_is_called_a_loss(tag: str, expected: bool) -> None:
    assert is_loss(tag) is expected


def test_terms_that_grow_and_losses_of_adversaries_are_healthy() -> None:
    rising = np.concatenate([np.full(60, 0.01), np.linspace(0.01, 3, 140)])  # the KL term of an autoencoder
    assert examine(rising, tag="train/kl_loss") == ()
    noise = np.random.default_rng(0).normal(0, 0.02, 200)
    adversary = np.concatenate([np.full(100, 0.7), np.full(100, 1.5)]) + noise
    assert examine(adversary, tag="G_loss") == ()


def test_each_loss_has_its_own_spike() -> None:
    early, late = falling(1000), falling(1000)
    early[100:] += 3
    late[900:] += 3
    steps = np.arange(1000)
    examination = Examination()
    found = examination.observe_scalars({"z_loss": (steps, early), "a_loss": (steps, late)})
    assert [(one.step, one.message.split("'")[1]) for one in found] == [(100, "z_loss"), (900, "a_loss")]
    assert [one.step for one in in_order(found)] == [100, 900]
