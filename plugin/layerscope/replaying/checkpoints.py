"""Finds the checkpoints of a training, in order of step, and loads them into its model."""

from __future__ import annotations

import copy
import difflib
import glob
import pickle
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeAlias, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from layerscope.errors import InvalidArgumentError, NotFoundError

SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")
"""What a file must end with to be taken for a checkpoint where a directory is given."""

NESTED = ("state_dict", "model_state_dict", "model")
"""Under which key a checkpoint that holds more than the model's weights has them; the first that is there counts."""

File: TypeAlias = str | PathLike[str]
Checkpoints: TypeAlias = Mapping[int, File | Mapping[str, Any]] | Iterable[File] | File
"""Step -> file or state dict; or files, or a directory or a pattern of them, with the step in each file's name."""


@dataclass(frozen=True)
class Checkpoint:
    """The weights of a model at one step."""

    step: int
    source: Path | Mapping[str, Any]

    def __str__(self) -> str:
        return f"{fspath(self.source)!r}" if isinstance(self.source, Path) else f"of step {self.step}"


def in_order(checkpoints: Checkpoints) -> list[Checkpoint]:
    """Return checkpoints in order of step.

    Raises:
        InvalidArgumentError: a file's name holds no number, two are of one step, or it is nothing of the kind.
        NotFoundError: there is none.
    """
    if isinstance(checkpoints, Mapping):
        given = cast("Mapping[Any, Any]", checkpoints)
        found = [Checkpoint(_checked_step(step), _source(source)) for step, source in given.items()]
    else:
        files = _files(checkpoints) if isinstance(checkpoints, (str, PathLike)) else map(_source, checkpoints)
        found = [Checkpoint(_step_of(cast(Path, file)), file) for file in files]
    if not found:
        asked = fspath(checkpoints) if isinstance(checkpoints, (str, PathLike)) else "of any step"
        raise NotFoundError("checkpoint", asked, [], where="what was given to be replayed")
    found.sort(key=lambda checkpoint: checkpoint.step)
    for one, other in pairwise(found):
        if one.step == other.step:
            raise InvalidArgumentError(
                f"checkpoints must be of different steps, but {one} and {other} are both of step {one.step}: the last "
                "number in a file's name is its step. Give a mapping from steps to files."
            )
    return found


def load(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the state dict of a checkpoint, on the CPU; nothing that a file holds is run.

    Raises:
        InvalidArgumentError: the file cannot be read, holds more than tensors and plain values, or no state dict.
    """
    held: Any = checkpoint.source
    if isinstance(held, Path):
        held = _read(held)
    for key in NESTED:
        if isinstance(held, Mapping) and isinstance(held.get(key), Mapping):
            held = held[key]
            break
    if not isinstance(held, Mapping) or not any(isinstance(value, Tensor) for value in held.values()):
        raise InvalidArgumentError(
            f"checkpoint {checkpoint} must hold a state dict, names -> tensors, at the top or under one of "
            f"{', '.join(map(repr, NESTED))}, but it holds {_outline(held)}. Load it yourself and give {{step: state "
            "dict}."
        )
    return dict(held)


def apart(checkpoint: Checkpoint, model: nn.Module) -> Checkpoint:
    """Return the checkpoint with copies of the tensors that are the model's own: loading another one changes those."""
    if isinstance(checkpoint.source, Path):
        return checkpoint
    own = {_storage(tensor) for tensor in model.state_dict().values() if isinstance(tensor, Tensor)}
    return Checkpoint(checkpoint.step, _copied(checkpoint.source, own))


def _copied(held: Any, own: set[int]) -> Any:
    if isinstance(held, Mapping):
        return {key: _copied(value, own) for key, value in cast("Mapping[Any, Any]", held).items()}
    return held.detach().clone() if isinstance(held, Tensor) and _storage(held) in own else held


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr() if not tensor.is_meta else 0


def load_into(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Load a checkpoint into a model; the names may have been changed by DistributedDataParallel or ``torch.compile``.

    Raises:
        InvalidArgumentError: as ``load``, or names or shapes are not those of the model.
    """
    own = model.state_dict()
    by_plain_name = {_plain(name): name for name in own}
    given = {by_plain_name.get(_plain(name), name): value for name, value in load(checkpoint).items()}
    for name, value in given.items():
        expected = own.get(name)
        if isinstance(value, Tensor) and isinstance(expected, Tensor) and value.shape != expected.shape:
            raise InvalidArgumentError(
                f"checkpoint {checkpoint} must have the shapes of the model, but {name!r} is {list(value.shape)} in "
                f"it and {list(expected.shape)} in the model. Build the model as it was when it was trained."
            )
    unmatched = model.load_state_dict(given, strict=False)  # says what differs, after the model's own renaming
    missing, unexpected = list(unmatched.missing_keys), list(unmatched.unexpected_keys)
    if missing or unexpected:
        lacks = _told(missing, "it lacks", unexpected or given)
        has = _told(unexpected, "the model does not have", missing or own)
        raise InvalidArgumentError(
            f"checkpoint {checkpoint} must have the names of the model, but {' and '.join(filter(None, (lacks, has)))}."
            " Build the model as it was when it was trained, or rename and give {step: state dict}."
        )


@contextmanager
def weights_put_back(model: nn.Module) -> Iterator[None]:
    """Run a block and put the weights of a model back afterwards, also when the block raises."""
    kept = {
        name: value.detach().clone() if isinstance(value, Tensor) else copy.deepcopy(value)
        for name, value in model.state_dict().items()
    }
    try:
        yield
    finally:
        model.load_state_dict(kept)


def _checked_step(step: object) -> int:
    if isinstance(step, bool) or not isinstance(step, int):
        raise InvalidArgumentError(f"checkpoints must be a mapping from steps, whole numbers, but one is {step!r}.")
    return step


def _source(source: object) -> Path | Mapping[str, Any]:
    if isinstance(source, Mapping):
        return cast("Mapping[str, Any]", source)
    if isinstance(source, (str, PathLike)):
        return Path(fspath(cast(File, source)))
    raise InvalidArgumentError(f"a checkpoint is a file or a state dict, but this is {type(source).__name__}.")


def _files(where: File) -> list[Path]:
    """Return the files in a directory, of a pattern, or the one file."""
    if Path(where).is_dir():
        return sorted(path for path in Path(where).iterdir() if path.suffix in SUFFIXES and path.is_file())
    if Path(where).is_file():
        return [Path(where)]
    return sorted(map(Path, glob.glob(fspath(where), recursive=True)))  # noqa: PTH207  (Path.glob takes no absolute ones)


def _step_of(file: object) -> int:
    numbers = re.findall(r"\d+", file.stem) if isinstance(file, Path) else []
    if not numbers:
        named = f"{fspath(file)!r} has none" if isinstance(file, Path) else "a state dict was given without one"
        raise InvalidArgumentError(
            f"the step of a checkpoint is the last number in its file's name, but {named}. Give a mapping from steps "
            "to files: {1000: 'final.pt'}."
        )
    return int(numbers[-1])


def _read(file: Path) -> Any:
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InvalidArgumentError(
            f"checkpoint {fspath(file)!r} must hold nothing but tensors and plain values, since anything else could "
            "run code when it is loaded, but it does not. If you trust it, load it yourself and give {step: state "
            "dict}."
        ) from error
    except (OSError, EOFError, RuntimeError, ValueError, SafetensorError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise InvalidArgumentError(f"checkpoint {fspath(file)!r} cannot be read: {reason}.") from error


def _plain(name: str) -> str:
    return name.replace("_orig_mod.", "").removeprefix("module.")


def _told(names: list[str], what: str, others: Iterable[str]) -> str:
    if not names:
        return ""
    near = difflib.get_close_matches(names[0], list(others), n=1, cutoff=0.3)
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{what} {names[0]!r}{more}" + (f" (nearest: {near[0]!r})" if near else "")


def _outline(held: Any) -> str:
    return (
        f"the keys {', '.join(map(repr, list(held)[:5])) or 'none'}" if isinstance(held, Mapping) else repr(type(held))
    )
