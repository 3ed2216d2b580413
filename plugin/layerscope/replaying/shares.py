"""Splits the samples of a probe batch among processes, and puts together what they recorded of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from layerscope import codec, wire
from layerscope.errors import LayerscopeError
from layerscope.probing.attributions import Loss, Target
from layerscope.probing.pooling import chunks
from layerscope.probing.representation import batch_size
from layerscope.writing.message_log import Message
from layerscope.writing.message_writer import compact


@dataclass(frozen=True)
class Question:
    """What attributions are recorded of: some of the samples, or all."""

    inputs: Any
    target: Target
    options: Mapping[str, Any]


def split(question: Question, parts: int) -> list[Question]:
    """Return a question in at most as many parts, with nearly as many samples each.

    It stays whole where the samples cannot be told apart: the target is a function or a tuple.
    """
    batch_dim = question.options.get("batch_dim", 0)
    samples = batch_size(question.inputs, batch_dim)
    if parts < 2 or samples < 2 or not _may_split(question.target):
        return [question]
    found: list[Question] = []
    start = 0
    for inputs in chunks(question.inputs, -(-samples // parts), batch_dim):
        end = start + batch_size(inputs, batch_dim)
        options = dict(question.options)
        tokens = options.get("tokens")
        if isinstance(tokens, Sequence) and len(tokens) == samples and not isinstance(tokens[0], str):
            options["tokens"] = tokens[start:end]
        found.append(Question(inputs, _target(question.target, start, end), options))
        start = end
    return found


def joined(parts: Iterable[Sequence[Message]]) -> list[Message]:
    """Return what was recorded of all samples, given what was recorded of each part, in order.

    Raises:
        LayerscopeError: they do not fit together, since a layer could be attributed for some of the samples only.
    """
    others: list[Message] = []
    shared: dict[tuple[str, str], list[Message]] = {}
    stored = ""
    for part in parts:
        # Where a rank wrote all samples before those of its share, the share has another name than elsewhere.
        own = {message.metadata.samples for message in part if isinstance(message.metadata, wire.AttributionMetadata)}
        stored = stored or next(iter(own), "")
        for message in part:
            metadata = message.metadata
            if isinstance(metadata, wire.AttributionMetadata):
                renamed = replace(message, metadata=replace(metadata, samples=stored))
                shared.setdefault((metadata.kind, metadata.name), []).append(renamed)
            elif isinstance(metadata, wire.SamplesMetadata) and metadata.name in own:
                renamed = replace(message, metadata=replace(metadata, name=stored))
                shared.setdefault((metadata.kind, stored), []).append(renamed)
            else:
                others.append(message)
    return others + [messages[0] if len(messages) == 1 else _joined(messages) for messages in shared.values()]


def _joined(messages: Sequence[Message]) -> Message:
    first = messages[0]
    arrays = [codec.decode_arrays(message.value[0]) for message in messages]
    if any(message.metadata != first.metadata for message in messages) or any(
        a.keys() != arrays[0].keys() for a in arrays
    ):
        raise LayerscopeError(
            f"the samples of {first.metadata.name!r} were shared among processes, but not the same layers could be "
            "attributed for all of them. Choose layers that run for every sample, or use no more processes than there "
            "are checkpoints."
        )
    blobs = [codec.encode_arrays({name: _whole([part[name] for part in arrays]) for name in arrays[0]})]
    if len(first.value) > 1:
        blobs.append(codec.to_json(_described([codec.decode_samples(message.value[1]) for message in messages])))
    return replace(first, value=tuple(blobs))


def _whole(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return the array of all samples, in the precision that it would have had as one: a part may be smaller alone."""
    whole = np.concatenate(parts)
    return whole if len({part.dtype for part in parts}) == 1 else compact(whole)


def _described(parts: Sequence[wire.SamplesBlob]) -> wire.SamplesBlob:
    inputs = [
        replace(shown[0], tokens=tuple(tokens for part in shown for tokens in part.tokens))
        for shown in zip(*(part.inputs for part in parts), strict=True)
    ]
    return replace(parts[0], inputs=tuple(inputs))


def _may_split(target: Target) -> bool:
    return isinstance(target, (Loss, Tensor, list, int)) or target is None


def _target(target: Target, start: int, end: int) -> Target:
    if isinstance(target, Loss):
        return Loss(target.criterion, target.labels[start:end])
    if isinstance(target, list) or (isinstance(target, Tensor) and target.ndim):
        return target[start:end]
    return target
