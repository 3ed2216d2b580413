"""What a feature is: the superpixels of an image, the tokens of a text, the columns of a table, the steps of a series.

Perturbation methods take features out of the inputs and put them back. Each feature is a set of elements that go
together; the features of all inputs of one sample are the players of one game.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from layerscope.containment import contained
from layerscope.errors import InvalidArgumentError
from layerscope.probing.attributions.method import Question
from layerscope.probing.calls import input_tensors
from layerscope.probing.representation import Representation, batch_size

FeatureChoice = str | Tensor | Sequence[Any] | Mapping[str, Any] | None
"""What the features are: a word, a tensor of integers that broadcasts to the input (elements of one number are one
feature, those of -1 belong to none and always stay), or one of these for each input tensor, in a sequence or a mapping
as the inputs are; there None leaves an input as it is."""

WORDS = ("auto", "superpixels", "patches", "tokens", "columns", "time_steps", "positions")
"""``superpixels`` and ``patches`` of images [batch, colours, height, width]; ``tokens`` of integers [batch, tokens] or
[batch]; ``columns`` of tables [batch, columns] or [batch]; ``time_steps`` of series [batch, time, variables];
``positions`` of [batch, channels, length]. ``auto`` infers it from the input: of images superpixels where each side has
at least 32 pixels, else patches; of three dimensions positions if the model's first ``nn.Conv1d`` takes that many
channels, else time steps; where several inputs are integers and some are looked up in an embedding, the others (a mask,
lengths) stay as they are."""

_SIDE_OF_SUPERPIXELS = 32
_NO_TOKENS = ("attention_mask", "token_type_ids", "position_ids")
_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


@dataclass(frozen=True)
class Features:
    """The features of each sample of a batch."""

    numbers: list[Tensor | None]
    """For each input tensor the feature of each element, int64 [batch, ...], batch first, broadcasts to the input: 0 to
    ``counts`` - 1, or -1 where it belongs to none; None if the input has no features. On the CPU."""
    counts: list[int]
    """How many features each sample has."""
    notes: tuple[str, ...] = ()
    """What to know about them, in words."""

    def sizes(self, sample: int, tensors: list[Tensor], batch_dim: int) -> NDArray[np.float64]:
        """Return how many elements of the input tensors each feature of a sample has, [features]."""
        found = torch.zeros(self.counts[sample], dtype=torch.float64)
        for numbers, tensor in zip(self.numbers, tensors, strict=True):
            if numbers is not None:
                own = numbers[sample].expand(tensor.movedim(batch_dim, 0).shape[1:]).flatten()
                found += torch.bincount(own[own >= 0], minlength=len(found))
        return found.numpy()


def features_of(question: Question, choice: FeatureChoice, n_features: int, padding_id: int | None) -> Features:
    """Return the features of the inputs.

    Args:
        question: what is asked.
        choice: what the features are.
        n_features: about how many superpixels or patches an image has.
        padding_id: the integer of tokens that are no features. Where the inputs are a mapping, those of which
            ``attention_mask`` is 0 are none, either.

    Raises:
        InvalidArgumentError: a word that is not in ``WORDS`` or does not fit its input, a tensor that does not
            broadcast to it, or a sample without any feature.
    """
    tensors = input_tensors(question.inputs)
    batch = batch_size(question.inputs, question.batch_dim)
    choices = _by_input(choice, question, len(tensors))
    notes: list[str] = []
    numbers: list[Tensor | None] = []
    beside = _beside_tokens(question, choices)
    for i, (tensor, chosen) in enumerate(zip(tensors, choices, strict=True)):
        has_samples = tensor.ndim > question.batch_dim and tensor.shape[question.batch_dim] == batch
        if chosen is None or i in beside or not has_samples:
            numbers.append(None)
            continue
        values = tensor.detach().movedim(question.batch_dim, 0).cpu()
        if isinstance(chosen, str):
            numbers.append(_by_word(chosen, values, question.model, n_features, padding_id, notes))
        else:
            numbers.append(_given(chosen, tensor, question.batch_dim))
    _leave_out_masked(numbers, question, tensors)
    return _renumbered(numbers, batch, tuple(dict.fromkeys(notes)))


def grid(height: int, width: int, count: int) -> Tensor:
    """Return about ``count`` patches of an image, as square as they can be, int64 [height, width]."""
    side = (height * width / count) ** 0.5
    rows, columns = (max(1, min(size, round(size / side))) for size in (height, width))
    row = torch.arange(height) * rows // height
    column = torch.arange(width) * columns // width
    return row[:, None] * columns + column


def _by_input(choice: FeatureChoice, question: Question, count: int) -> list[Any]:
    if choice is None:
        raise InvalidArgumentError(f"features must be one of {', '.join(map(repr, WORDS))} or a tensor, not None.")
    if isinstance(choice, str):
        choices: list[Any] = [choice] * count
    elif isinstance(choice, Tensor):
        choices = [choice]
    else:
        choices = list(choice.values() if isinstance(choice, Mapping) else choice)
    if len(choices) != count:
        raise InvalidArgumentError(
            f"features must be given for each of the {count} input tensors, but {len(choices)} were given. "
            "Use None for those that stay as they are."
        )
    asked = zip(_names(question, count), choices, strict=True)
    return [None if name in _NO_TOKENS and isinstance(c, str) else c for name, c in asked]


def _names(question: Question, count: int) -> list[Any]:
    """Return the name of each of the input tensors; None where they were given without."""
    names: list[Any] = list(question.inputs) if isinstance(question.inputs, Mapping) else []
    return names if len(names) == count else [None] * count  # where they are not one tensor each


def _by_word(
    word: str, values: Tensor, model: nn.Module, n_features: int, padding_id: int | None, notes: list[str]
) -> Tensor | None:
    """Return the features of an input [batch, ...] before they are renumbered."""
    if word not in WORDS:
        raise InvalidArgumentError(f"features must be one of {', '.join(map(repr, WORDS))} or a tensor, not {word!r}.")
    if word == "auto":
        if values.dtype == torch.bool or values.is_complex():
            return None
        word = _inferred(values, model)
    dimensions = {"superpixels": (4,), "patches": (4,), "tokens": (1, 2), "columns": (1, 2)}.get(word, (3,))
    if values.ndim not in dimensions:
        raise InvalidArgumentError(
            f"features={word!r} takes an input of {' or '.join(map(str, dimensions))} dimensions, the batch among "
            f"them, but this one has shape {list(values.shape)}. Give a tensor of integers that numbers its features."
        )
    shape = values.shape
    if word in ("tokens", "columns"):
        numbers = torch.arange(shape[1:].numel()).expand(shape) if values.ndim == 2 else torch.zeros(shape).long()
        return numbers if padding_id is None or word == "columns" else numbers.where(values != padding_id, -1)
    if word == "time_steps":
        return torch.arange(shape[1])[None, :, None].expand(shape[0], -1, 1)
    if word == "positions":
        return torch.arange(shape[2])[None, None].expand(shape[0], 1, -1)
    if word == "superpixels" and importlib.util.find_spec("skimage") is not None:
        return torch.stack([_superpixels(image, n_features) for image in values])[:, None]
    if word == "superpixels":
        notes.append("features are patches, since scikit-image, which finds superpixels, is not installed")
    return grid(shape[2], shape[3], n_features).expand(shape[0], 1, -1, -1)


def _beside_tokens(question: Question, choices: list[Any]) -> set[int]:
    """Return which inputs of integers go with tokens, as a mask or lengths do: others are looked up, and they are not.

    Where one input alone is in question, it is tokens; where there are more, one forward pass shows what is looked up.
    """
    tensors = input_tensors(question.inputs)
    integers = {
        i
        for i, (tensor, choice) in enumerate(zip(tensors, choices, strict=True))
        if isinstance(choice, str) and choice == "auto" and tensor.dtype in _INTEGERS
    }
    if len(integers) < 2:
        return set()
    held = Representation(question.inputs, batch_dim=question.batch_dim)
    with contained(question.model, frozen=True), held:
        question.model(*held.arguments.args, **held.arguments.kwargs)
    looked_up = {i for i in integers if held.leaves[i]}
    return integers - looked_up if looked_up else set()


def _inferred(values: Tensor, model: nn.Module) -> str:
    if not values.is_floating_point():
        return "tokens"
    if values.ndim == 4:
        return "superpixels" if min(values.shape[2:]) >= _SIDE_OF_SUPERPIXELS else "patches"
    if values.ndim == 3:
        first = next((module for module in model.modules() if isinstance(module, nn.Conv1d)), None)
        return "positions" if first is not None and first.in_channels == values.shape[1] else "time_steps"
    return "columns"


def _superpixels(image: Tensor, count: int) -> Tensor:
    """Return the superpixels of an image [colours, height, width]: SLIC, Achanta et al. 2012. int64 [height, width]."""
    slic: Any = importlib.import_module("skimage.segmentation").slic
    pixels = image.double()
    pixels = (pixels - pixels.min()) / (pixels.max() - pixels.min()).clamp(min=1e-12)  # SLIC's colours are 0 to 1
    if pixels.shape[0] == 1:
        return torch.from_numpy(slic(pixels[0].numpy(), count, compactness=0.1, channel_axis=None)).long()
    return torch.from_numpy(slic(pixels.numpy(), count, compactness=10, channel_axis=0)).long()


def _given(chosen: object, tensor: Tensor, batch_dim: int) -> Tensor:
    numbers = torch.as_tensor(chosen).cpu()
    if numbers.is_floating_point() or numbers.is_complex() or numbers.dtype == torch.bool:
        raise InvalidArgumentError(f"features must be numbered by integers, but they are {numbers.dtype}.")
    try:
        return numbers.long().expand(tensor.shape).movedim(batch_dim, 0)
    except RuntimeError:
        raise InvalidArgumentError(
            f"features must have the shape of their input, {list(tensor.shape)}, or one that broadcasts to it, but "
            f"they have {list(numbers.shape)}."
        ) from None


def _leave_out_masked(numbers: list[Tensor | None], question: Question, tensors: list[Tensor]) -> None:
    """Take the tokens that the attention mask hides out of the features."""
    hidden = _masked(question)
    for i, (number, tensor) in enumerate(zip(numbers, tensors, strict=True)):
        if (
            number is not None
            and hidden is not None
            and number.shape == hidden.shape
            and not _is_mask(tensor, question)
        ):
            numbers[i] = number.where(~hidden, -1)


def padding_of(question: Question) -> list[Tensor | None]:
    """Return, of each input tensor, which elements are padding, bool [batch, tokens]; None where nothing tells.

    Tokens are padding where ``attention_mask`` is 0, or that are the ``padding_idx`` of the model's embeddings.
    """
    padded = {m.padding_idx for m in question.model.modules() if isinstance(m, nn.Embedding)} - {None}
    token = next(iter(padded)) if len(padded) == 1 else None
    hidden = _masked(question)
    found: list[Tensor | None] = []
    tensors = input_tensors(question.inputs)
    for tensor, name in zip(tensors, _names(question, len(tensors)), strict=True):
        values = tensor.detach().cpu()
        values = values.movedim(question.batch_dim, 0) if values.ndim > question.batch_dim else values
        if values.ndim != 2 or values.is_floating_point() or _is_mask(tensor, question):
            found.append(None)
        elif hidden is not None and hidden.shape == values.shape:
            found.append(hidden)
        else:
            found.append(None if token is None or name in _NO_TOKENS else values == token)
    return found


def _masked(question: Question) -> Tensor | None:
    """Return which tokens ``attention_mask`` hides, bool [batch, tokens]; None where there is no such mask."""
    mask = question.inputs.get("attention_mask") if isinstance(question.inputs, Mapping) else None
    if not isinstance(mask, Tensor) or mask.ndim != 2:  # of more dimensions, it does not say which tokens are padding
        return None
    return mask.detach().movedim(question.batch_dim, 0).cpu() == 0


def _is_mask(tensor: Tensor, question: Question) -> bool:
    return isinstance(question.inputs, Mapping) and tensor is question.inputs.get("attention_mask")


def _renumbered(numbers: list[Tensor | None], batch: int, notes: tuple[str, ...]) -> Features:
    """Return the features with the numbers of each sample going from 0 on, through all inputs, without a gap."""
    renumbered = [None if number is None else torch.full(number.shape, -1) for number in numbers]
    counts: list[int] = []
    for sample in range(batch):
        count = 0
        for number, target in zip(numbers, renumbered, strict=True):
            if number is None or target is None:
                continue
            present, places = torch.unique(number[sample], return_inverse=True)
            missing = int((present < 0).sum())  # negative numbers come first
            target[sample] = torch.where(places >= missing, places - missing + count, -1)
            count += len(present) - missing
        if count == 0:
            raise InvalidArgumentError(
                f"each sample must have at least one feature, but sample {sample} has none: all of it is padding, or "
                "no input is a tensor with features. Give features=."
            )
        counts.append(count)
    return Features(renumbered, counts, notes)
