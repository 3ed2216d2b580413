"""A case of the zoo: how to build a model and what to call it with, the same every time."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn


class Arguments(NamedTuple):
    """What a model is called with."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def given(*args: Any, **kwargs: Any) -> Arguments:
    """The arguments of a call, as one writes them in the call."""
    return Arguments(args, kwargs)


@dataclass(frozen=True)
class Case:
    """One model of the zoo. Each ``model()`` is a new, equal one; so are the ``arguments()``."""

    name: str
    build: Callable[[], nn.Module]
    inputs: Callable[[], Arguments]
    reaches: tuple[str, ...] = ()
    """Ids of nodes from which, as one reads in the forward, a path leads to an output: where autograd cannot tell."""
    gradients: bool = True
    """False if the forward cannot run with gradients."""
    apart: tuple[tuple[str, str], ...] = ()
    """(from, to): ids of nodes between which, as one reads in the forward, no path leads."""

    def model(self) -> nn.Module:
        seed(0)
        return self.build()

    def arguments(self) -> Arguments:
        seed(1)
        return self.inputs()


def seed(number: int) -> None:
    """Seed every generator that a model may draw from."""
    torch.manual_seed(number)
    np.random.seed(number)
    random.seed(number)


def net(forward: Callable[..., Any], **children: Any) -> nn.Module:
    """A module with these attributes and this forward, whose first parameter is the module.

    Its class bears the forward's name, so that a failure tells which one it is.
    """
    module = type(forward.__name__, (nn.Module,), {"forward": forward, "__module__": forward.__module__})()
    for name, child in children.items():
        setattr(module, name, child)
    return module


def vector() -> Arguments:
    """Two rows of four numbers: what most cases take."""
    return given(torch.randn(2, 4))


def two_vectors() -> Arguments:
    return given(torch.randn(2, 4), torch.randn(2, 4))


def sequence() -> Arguments:
    """A batch of two, five steps, four features."""
    return given(torch.randn(2, 5, 4))


def image() -> Arguments:
    return given(torch.randn(2, 3, 16, 16))


def tokens() -> Arguments:
    return given(torch.randint(0, 10, (2, 5)))
