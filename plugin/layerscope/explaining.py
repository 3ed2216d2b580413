"""Writes what attribution methods say: what a scope does with their answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from layerscope import wire
from layerscope.errors import InvalidArgumentError
from layerscope.guarding import failing_last
from layerscope.picturing import array_of
from layerscope.probing.attributions import (
    Attribution,
    Method,
    Methods,
    by_name,
    chosen,
    families,
    require_told,
    resolved,
    with_note,
)
from layerscope.probing.attributions.method import Question
from layerscope.probing.attributions.trust import CHEAP, SCORES, score
from layerscope.probing.calls import input_tensors
from layerscope.writing import MessageWriter


def record_attributions(
    writer: MessageWriter,
    question: Question,
    methods: Methods,
    description: wire.SamplesBlob,
    *,
    samples: str,
    trust: bool | Sequence[str],
    step: int,
) -> None:
    """Ask methods and write their answers, with the inputs, at one step.

    Args:
        writer: where they go.
        question: what the methods are asked.
        methods: see ``attributions.Methods``.
        description: how to show the inputs.
        samples: name of the probe set.
        trust: which scores are taken; True for the cheap ones.
        step: training step.

    Raises:
        InvalidArgumentError: a score that does not exist.
        Exception: what kept one of the methods from answering; the others are written all the same.
    """
    which = _checked_scores(trust)
    question = resolved(question)
    with failing_last() as attempt:
        asked: dict[str, Method] = {}
        for name, given in by_name(methods).items():
            with attempt():
                asked[name] = chosen(name, given)
        found: dict[str, Attribution] = {}
        for members in families(asked):
            together: dict[str, Attribution] = {}
            if len(members) > 1:
                try:
                    together = next(iter(members.values())).together(members, question)
                except Exception:  # which one it is, they tell one by one
                    together = {}
            found |= together
            for name, method in members.items() if not together else ():
                with attempt():
                    found[name] = method.attribute(name, question)
        found = {name: with_note(attribution, question.inputs) for name, attribution in found.items()}
        with attempt():
            if which and found:
                found = score(question, asked, found, which)
        stored = samples
        if found:
            inputs = [_batch_first(tensor, question.batch_dim) for tensor in input_tensors(question.inputs)]
            stored = writer.samples(samples, inputs, step=step, description=description)
        for name, attribution in found.items():
            with attempt():
                writer.attribution(attribution_maps(name, attribution), samples=samples, step=step, stored=stored)
                require_told(name, attribution)  # behind it: what keeps it from telling is written with it


def attribution_maps(name: str, found: Attribution) -> wire.AttributionMaps:
    """Return an attribution as it is written."""
    return wire.AttributionMaps(
        method=name,
        signed=found.signed,
        layers=found.maps(),
        targets=array_of(found.targets).astype(np.int64),
        probabilities=array_of(found.probabilities).astype(np.float32),
        delta=None if found.delta is None else array_of(found.delta).astype(np.float32),
        inputs=found.input_maps(),
        trust={name: array_of(scores).astype(np.float32) for name, scores in found.trust.items()},
        notes=tuple(" ".join(note.split()) for note in found.notes),
    )


def _checked_scores(trust: bool | Sequence[str]) -> Sequence[str]:
    if isinstance(trust, bool):
        return CHEAP if trust else ()
    unknown = [name for name in trust if name not in SCORES]
    if isinstance(trust, str) or unknown:
        raise InvalidArgumentError(f"trust must be True, False or a list of {', '.join(SCORES)}, not {trust!r}.")
    return trust


def _batch_first(tensor: torch.Tensor, batch_dim: int) -> Any:
    return array_of(tensor.movedim(batch_dim, 0) if tensor.ndim > batch_dim else tensor)
