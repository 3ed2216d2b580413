"""The model and the probe batch of a replay by name: a function that makes them, or a file that holds them."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from layerscope.errors import InvalidArgumentError, NotFoundError


def device_named(name: str) -> torch.device:
    """Return a device; ``cuda`` under ``torchrun`` is the one of this process.

    Raises:
        InvalidArgumentError: there is no such device.
    """
    try:
        device = torch.device(name)
        if name == "cuda":
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise InvalidArgumentError(f"--device {name!r} cannot be used: {str(error).partition(chr(10))[0]}") from error
    return device


def model_of(name: str, device: torch.device) -> nn.Module:
    """Return what the function ``package.module:function`` returns, on a device.

    Raises:
        InvalidArgumentError: there is no such function, or it returns no module.
    """
    model = _function("--model", name)()
    if not isinstance(model, nn.Module):
        raise InvalidArgumentError(f"--model {name} must return a torch.nn.Module, but it returned {type(model)}.")
    return model.to(device)


def batch_of(name: str, model: nn.Module, device: torch.device) -> tuple[Any, Any]:
    """Return inputs and target, on a device; the target is None where there is none.

    Args:
        name: ``package.module:function``, which returns (inputs, target), or inputs that are no tuple. Or a safetensors
            file: a tensor ``target`` is the target; the others are keyword arguments if the model's forward has all
            their names, else positional ones in order of name, numbers as numbers.
        model: the model that they are for.
        device: where tensors go.

    Raises:
        InvalidArgumentError: there is no such function, it returns something else, or the file cannot be read.
        NotFoundError: there is no such file.
    """
    if name.endswith(".safetensors"):
        inputs, target = _held(Path(name), model)
    else:
        made = _function("--inputs", name)()
        if isinstance(made, tuple) and len(made) != 2:
            raise InvalidArgumentError(
                f"--inputs {name} must return (inputs, target), but it returned {len(made)} things. Several inputs are "
                "a tuple of their own: ((x, mask), target)."
            )
        inputs, target = made if isinstance(made, tuple) else (made, None)
    return pytree.tree_map_only(Tensor, lambda tensor: tensor.to(device), (inputs, target))


def _held(file: Path, model: nn.Module) -> tuple[Any, Any]:
    if not file.is_file():
        raise NotFoundError("file", str(file), sorted(map(str, file.parent.glob("*.safetensors"))), where="--inputs")
    try:
        tensors = load_file(file)
    except SafetensorError as error:
        raise InvalidArgumentError(f"--inputs {file} cannot be read as safetensors: {error}.") from error
    keywords = inspect.signature(model.forward).parameters
    target = None if "target" in keywords else tensors.pop("target", None)
    if not tensors:
        raise InvalidArgumentError(f"--inputs {file} must hold the inputs of the model, but it holds none.")
    if all(name in keywords for name in tensors):
        return tensors, target
    names = sorted(tensors, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name))
    return tuple(tensors[name] for name in names), target


def _function(option: str, name: str) -> Callable[[], Any]:
    """Return the function of a name; modules in the working directory count, as they do for ``python -m``."""
    module, _, function = name.partition(":")
    if not module or not function:
        raise InvalidArgumentError(f"{option} must be package.module:function, but it is {name!r}.")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # one that theirs imports
        raise InvalidArgumentError(
            f"{option} {name} was asked for, but there is no module {error.name!r} here or among what is installed."
        ) from error
    except AttributeError as error:
        raise InvalidArgumentError(f"{option} {name} was asked for, but {error}.") from error
    if not callable(found):
        raise InvalidArgumentError(f"{option} {name} must be a function without arguments, but it is {found!r}.")
    return found
