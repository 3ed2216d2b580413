"""What people need to read the inputs of a probe set: what kind they are, and what their parts are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from torch import Tensor

from layerscope.errors import InvalidArgumentError
from layerscope.probing.calls import input_tensors
from layerscope.wire import MODALITIES, ProbeInput, SamplesBlob

Tokens = Any
"""A tokenizer (``convert_ids_to_tokens``, as in Transformers, or ``decode``), a function from a number to a string, a
vocabulary (list or mapping from numbers to strings), or the tokens themselves: a list of strings for each sample."""


def describe_inputs(
    inputs: Any,
    *,
    modality: str | None = None,
    tokens: Tokens = None,
    feature_names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    batch_dim: int = 0,
) -> SamplesBlob:
    """Return how to show a probe set.

    Args:
        inputs: a tensor, a tuple (positional arguments) or a mapping (keyword arguments) for the model.
        modality: a key of ``wire.MODALITIES`` for the first input; None infers it from the form of each: integers
            [samples, tokens] are text if tokens are given, floating-point numbers [samples, 1, 3 or 4, height, width]
            an image, [samples, features] a table, [samples, time, features] a time series.
        tokens: what makes text of numbers, for the first input of integers.
        feature_names: names along the last dimension of the first table or time series.
        class_names: names of the classes in the order of the scores.
        batch_dim: dimension of the samples in the inputs.

    Raises:
        InvalidArgumentError: an unknown modality, names that do not fit, or tokens that make no text.
    """
    if modality is not None and modality not in MODALITIES:
        raise InvalidArgumentError(f"modality {modality!r} was given, but there are {', '.join(MODALITIES)}.")
    found: list[ProbeInput] = []
    waiting_tokens, waiting_names = tokens, feature_names
    for place, (name, tensor) in enumerate(_named(inputs)):
        first = tensor.movedim(batch_dim, 0) if tensor.ndim > batch_dim else tensor
        kind = modality if modality is not None and place == 0 else _modality(first, waiting_tokens is not None)
        texts: tuple[tuple[str, ...], ...] = ()
        names: tuple[str, ...] = ()
        if kind == "text" and waiting_tokens is not None:
            texts, waiting_tokens = _texts(first, waiting_tokens), None
        if kind in ("table", "time_series") and waiting_names is not None and first.is_floating_point():
            names, waiting_names = _checked_names(waiting_names, first), None
        found.append(ProbeInput(name, kind, names, texts))
    for given, what in ((waiting_tokens, "tokens"), (waiting_names, "feature_names")):
        if given is not None:
            raise InvalidArgumentError(
                f"{what} were given, but no input can use them: {[p.modality for p in found]}. Text is integers "
                "[samples, tokens]; a table is floating-point numbers [samples, features]."
            )
    return SamplesBlob(tuple(found), tuple(map(str, class_names or ())))


def _named(inputs: Any) -> list[tuple[str, Tensor]]:
    """Return (name, tensor) of every input tensor in order; the name is the argument's or its position."""
    if isinstance(inputs, Mapping):
        items = [(str(name), value) for name, value in cast("Mapping[Any, Any]", inputs).items()]
    elif isinstance(inputs, tuple):
        items = [(str(i), value) for i, value in enumerate(cast("tuple[Any, ...]", inputs))]
    else:
        items = [("0", inputs)]
    named: list[tuple[str, Tensor]] = []
    for name, value in items:
        tensors = input_tensors((value,))
        named += [(name if len(tensors) == 1 else f"{name}[{i}]", tensor) for i, tensor in enumerate(tensors)]
    return named


def _modality(tensor: Tensor, has_tokens: bool) -> str:
    if not tensor.is_floating_point():
        return "text" if has_tokens and tensor.ndim == 2 else "tensor"
    if tensor.ndim == 4 and tensor.shape[1] in (1, 3, 4):
        return "image"
    return {2: "table", 3: "time_series"}.get(tensor.ndim, "tensor")


def _checked_names(names: Sequence[str], tensor: Tensor) -> tuple[str, ...]:
    if isinstance(names, str) or len(names) != tensor.shape[-1]:
        raise InvalidArgumentError(
            f"feature_names must be {tensor.shape[-1]} strings, one for each feature of the input "
            f"{list(tensor.shape)}, but they are {names!r}."
        )
    return tuple(map(str, names))


def _texts(numbers: Tensor, tokens: Tokens) -> tuple[tuple[str, ...], ...]:
    rows: list[list[int]] = numbers.tolist()
    if _are_texts(tokens):
        texts = cast("Sequence[Sequence[str]]", tokens)
        if len(texts) != len(rows) or any(len(text) > len(row) for text, row in zip(texts, rows, strict=False)):
            raise InvalidArgumentError(
                f"tokens must be a list of at most {numbers.shape[1]} strings for each of the {len(rows)} samples, but "
                f"they are lists of {[len(text) for text in texts]}."
            )
        return tuple((*map(str, text), *[""] * (len(row) - len(text))) for text, row in zip(texts, rows, strict=True))
    spell = spelling(tokens)
    padding = getattr(tokens, "pad_token_id", None)
    return tuple(tuple("" if number == padding else spell(number) for number in row) for row in rows)


def _are_texts(tokens: Tokens) -> bool:
    """Return whether these are the tokens of each sample: a list of lists of strings."""
    return isinstance(tokens, (list, tuple)) and all(isinstance(text, (list, tuple)) for text in cast("Any", tokens))


def spelling(tokens: Tokens, numbers: Sequence[Sequence[int]] = ()) -> Callable[[int], str]:
    """Return what turns a number into a string.

    Args:
        tokens: what makes text of numbers.
        numbers: of each sample, if ``tokens`` are the tokens of the samples themselves.

    Raises:
        InvalidArgumentError: ``tokens`` make no text.
    """
    if _are_texts(tokens):
        pairs = zip(numbers, cast("Sequence[Sequence[str]]", tokens), strict=False)
        tokens = {number: token for row, text in pairs for number, token in zip(row, text, strict=False)}
    convert = getattr(tokens, "convert_ids_to_tokens", None)
    if callable(convert):
        return lambda number: str(convert(number))
    decode = getattr(tokens, "decode", None)
    if callable(decode):
        return lambda number: str(decode([number]))
    if callable(tokens):
        return lambda number: str(tokens(number))
    if isinstance(tokens, (Mapping, list, tuple)) and not isinstance(tokens, str):
        known = cast("Any", tokens if isinstance(tokens, Mapping) else dict(enumerate(cast("Any", tokens))))
        return lambda number: str(known.get(number, f"#{number}"))
    raise InvalidArgumentError(
        "tokens must be a tokenizer (with convert_ids_to_tokens or decode), a function or a list or dict from numbers "
        f"to strings, or a list of strings for each sample, but they are {tokens!r}."
    )
