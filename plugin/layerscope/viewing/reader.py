"""``layerscope.read``: a log directory as Python objects, without torch and without a TensorBoard process."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.compat.tensorflow_stub import pywrap_tensorflow
from tensorboard.context import RequestContext

from layerscope import codec, wire
from layerscope.errors import LayerscopeError, MalformedError, NotFoundError, NothingRecordedError
from layerscope.findings import in_order
from layerscope.viewing.joining import Part, check_size, join
from layerscope.viewing.store import Store

# Steps kept by plugin name; 0 keeps all.
_KEEP_ALL = {wire.PLUGIN: 0, wire.PLUGIN_BLOBS: 0, "scalars": 0}


def read(logdir: str | PathLike[str]) -> dict[str, wire.Run]:
    """Return what Layerscope wrote into a log directory, with the user's scalars: run name -> ``Run``.

    Every step is kept. What cannot be read is named in ``Run.problems``; the rest is there. For example the update
    ratios of a layer, over ``updates.steps``::

        updates = layerscope.read("runs")["digits"].series["updates"]
        updates.values[:, updates.layers.index("conv1"), updates.statistics.index("update_ratio")]

    Args:
        logdir: the directory given to ``tensorboard --logdir``; runs are its sub-directories ("." for itself).

    Raises:
        NotFoundError: there is no such directory.
        NothingRecordedError: no run below it holds anything of ours.
    """
    if not fspath(logdir).partition("://")[1] and not Path(logdir).is_dir():
        raise NotFoundError("directory", fspath(logdir), [], where="this machine")
    multiplexer = EventMultiplexer(tensor_size_guidance=_KEEP_ALL)
    multiplexer.AddRunsFromDirectory(fspath(logdir))
    with _quick_checksums():
        multiplexer.Reload()
    store = Store(MultiplexerDataProvider(multiplexer, fspath(logdir)), RequestContext())
    runs = store.runs()
    if not runs:
        raise NothingRecordedError(fspath(logdir))
    return {run: read_run(store, run) for run in runs}


@contextmanager
def _quick_checksums() -> Iterator[None]:
    """Have TensorBoard check in C what it reads: its own check, in Python, takes 60 times as long as all the rest."""
    theirs = pywrap_tensorflow.masked_crc32c
    pywrap_tensorflow.masked_crc32c = codec.masked_crc32c
    try:
        yield
    finally:
        pywrap_tensorflow.masked_crc32c = theirs


def read_run(store: Store, name: str, wanted: Callable[[wire.TagEntry], bool] = lambda entry: True) -> wire.Run:
    """Return what one run holds, and the user's scalars.

    Args:
        store: what reads.
        name: of the run.
        wanted: says of which tags of ours; the others stay unread.

    Raises:
        NotFoundError: there is no such run.
    """
    listing = store.tags(name)
    found: dict[str, Any] = {kind: {} for kind in wire.KINDS}
    owners: dict[str, dict[str, str]] = {}
    scalars: dict[str, Any] = {}
    problems: list[str] = []
    for entry in listing.tags:
        if entry.metadata is None:
            problems.append(entry.problem)
            continue
        if not wanted(entry):
            continue
        with _noting(problems):
            _READERS[entry.kind](store, name, entry, found[entry.kind])
        if isinstance(entry.metadata, wire.SeriesMetadata):
            owner_of = zip(entry.metadata.layers, entry.metadata.owners, strict=True)
            owners.setdefault(entry.metadata.name, {}).update(owner_of)
    for tag in listing.scalars:
        with _noting(problems):
            arrays = store.scalar(name, tag)
            scalars[tag] = (arrays.steps, arrays.values[:, 0, 0].astype(np.float64))
    series: dict[str, wire.Series] = {}
    for which, parts in found["series"].items():
        with _noting(problems):
            series[which] = _series(parts, found["histograms"].get(which), owners[which])
    return wire.Run(
        name=name,
        graph=found["graph"].get("model"),
        series=series,
        samples={name: arrays for name, (arrays, _) in found["samples"].items()},
        descriptions={name: described for name, (_, described) in found["samples"].items() if described is not None},
        attributions=found["attribution"],
        maximizations=found["maximization"],
        activations=found["activation"],
        weights=found["weight"],
        attention=found["attention"],
        embeddings=found["embedding"],
        surrogates=found["surrogate"],
        scalars=scalars,
        findings=in_order(found["findings"].get("training", ())),
        examined="training" in found["findings"],
        problems=tuple(problems),
    )


@contextmanager
def _noting(problems: list[str]) -> Iterator[None]:
    """Add to ``problems`` what cannot be read; the rest is read all the same."""
    try:
        yield
    except LayerscopeError as error:
        problems.append(str(error))


def _read_graph(store: Store, run: str, entry: wire.TagEntry, found: dict[str, Any]) -> None:
    assert entry.metadata is not None
    found[entry.metadata.name] = codec.decode_graph(store.blob(run, entry.tag, entry.steps[-1]))


def _read_series(store: Store, run: str, entry: wire.TagEntry, found: dict[str, list[Part]]) -> None:
    metadata = entry.metadata
    assert isinstance(metadata, wire.SeriesMetadata)
    names = tuple(statistic.name for statistic in metadata.statistics)
    part = Part(metadata.layers, names, store.array(run, entry.tag))
    found.setdefault(metadata.name, []).append(part)


def _read_histograms(store: Store, run: str, entry: wire.TagEntry, found: dict[str, list[Part]]) -> None:
    metadata = entry.metadata
    assert isinstance(metadata, wire.HistogramsMetadata)
    bins = tuple(itertools.pairwise(metadata.edges))
    part = Part(metadata.layers, bins, store.array(run, entry.tag))
    found.setdefault(metadata.name, []).append(part)


def _series(parts: list[Part], histograms: list[Part] | None, owner_of: dict[str, str]) -> wire.Series:
    joined = join(parts)
    owners = tuple(owner_of[layer] for layer in joined.layers)
    series = wire.Series(joined.steps, joined.layers, tuple(map(str, joined.columns)), joined.values, owners=owners)
    if not histograms:
        return series
    last = max(histograms, key=lambda part: float(part.arrays.wall_times[-1]))
    # Counts of other bins cannot stand in one array with these.
    counts = join([part for part in histograms if part.columns == last.columns])
    rows = [counts.layers.index(layer) if layer in counts.layers else -1 for layer in joined.layers]
    check_size(len(counts.steps), len(rows), len(counts.columns), counts.values.size)
    histogram = counts.values[:, rows]
    histogram[:, np.array(rows) == -1] = np.nan
    bins: Any = last.columns
    edges = (*(low for low, _ in bins), *(high for _, high in bins[-1:]))
    return replace(series, histogram=histogram, histogram_steps=counts.steps, edges=edges)


def _read_samples(store: Store, run: str, entry: wire.TagEntry, found: dict[str, Any]) -> None:
    assert entry.metadata is not None
    arrays = codec.decode_arrays(store.blob(run, entry.tag, entry.steps[-1]))
    inputs = tuple(arrays[str(i)] for i in range(len(arrays)) if str(i) in arrays)
    try:
        described = codec.decode_samples(store.blob(run, entry.tag, entry.steps[-1], 1))
    except NotFoundError:  # written without
        described = None
    found[entry.metadata.name] = inputs, described


def _read_attribution(store: Store, run: str, entry: wire.TagEntry, found: dict[str, Any]) -> None:
    metadata = entry.metadata
    assert isinstance(metadata, wire.AttributionMetadata)
    for step in entry.steps:
        arrays = codec.decode_arrays(store.blob(run, entry.tag, step))
        needed = {"targets", "probabilities", *(f"layer:{layer}" for layer in metadata.layers)}
        needed |= {f"input:{i}" for i in metadata.inputs}
        if not needed <= arrays.keys():
            raise MalformedError(f"tag {entry.tag!r} at step {step} lacks {min(needed - arrays.keys())!r}.")
        found.setdefault(metadata.name, {})[step] = wire.AttributionMaps(
            method=metadata.method,
            signed=metadata.signed,
            layers={layer: arrays[f"layer:{layer}"] for layer in metadata.layers},
            targets=arrays["targets"],
            probabilities=arrays["probabilities"],
            delta=arrays.get("delta"),
            inputs={i: arrays[f"input:{i}"] for i in metadata.inputs},
            trust={score: arrays[f"trust:{score}"] for score in wire.TRUST if f"trust:{score}" in arrays},
            notes=tuple(arrays["notes"].tobytes().decode(errors="replace").split("\n")) if "notes" in arrays else (),
        )


def _read_maximization(store: Store, run: str, entry: wire.TagEntry, found: dict[Any, Any]) -> None:
    metadata = entry.metadata
    assert isinstance(metadata, wire.MaximizationMetadata)
    count = len(metadata.units)
    for step in entry.steps:
        header = codec.decode_maximization(store.blob(run, entry.tag, step), units=count)
        images: list[Any] = [np.zeros(0, np.float32)] * count
        if metadata.modality == "image":
            images = [codec.check_png(store.blob(run, entry.tag, step, i + 1)) for i in range(count)]
        elif metadata.modality != "text":
            arrays = codec.decode_arrays(store.blob(run, entry.tag, step, 1))
            images = [_held(arrays, str(i), entry.tag, step) for i in range(count)]
        before = found.get(step, wire.MaximizationImages())  # that of another tag, with other units
        found[step] = wire.MaximizationImages(
            before.units + metadata.units,
            before.images + tuple(images),
            before.objectives + header.objectives,
            before.top_samples + (header.top_samples or ((),) * count),
            before.tokens + (header.tokens or ((),) * count),
        )


def _read_layer_arrays(store: Store, run: str, entry: wire.TagEntry, found: dict[str, Any]) -> None:
    metadata = entry.metadata
    assert isinstance(metadata, wire.LayerArraysMetadata)
    for step in entry.steps:
        layers: dict[str, dict[str, Any]] = {layer: {} for layer in metadata.layers}
        for name, array in sorted(codec.decode_arrays(store.blob(run, entry.tag, step)).items()):
            what, _, layer = name.partition(":")
            if layer in layers:
                layers[layer][what] = array
        for layer, arrays in layers.items():
            _held(arrays, "values", f"{entry.tag}:{layer}", step)
        found.setdefault(metadata.name, {}).setdefault(step, {}).update(layers)


def _held(arrays: dict[str, Any], name: str, where: str, step: int) -> Any:
    if name not in arrays:
        raise MalformedError(f"tag {where!r} at step {step} lacks {name!r}.")
    return arrays[name]


def _read_surrogate(store: Store, run: str, entry: wire.TagEntry, found: dict[str, Any]) -> None:
    assert entry.metadata is not None
    for step in entry.steps:
        found.setdefault(entry.metadata.name, {})[step] = codec.decode_surrogate(store.blob(run, entry.tag, step))


def _read_findings(store: Store, run: str, entry: wire.TagEntry, found: dict[str, list[wire.Finding]]) -> None:
    assert entry.metadata is not None
    for step in entry.steps:  # each writer begins anew, so what a restarted training wrote does not hold all
        blob = codec.decode_findings(store.blob(run, entry.tag, step))
        found.setdefault(entry.metadata.name, []).extend(blob.findings)


_READERS = {
    "graph": _read_graph,
    "series": _read_series,
    "histograms": _read_histograms,
    "samples": _read_samples,
    "attribution": _read_attribution,
    "maximization": _read_maximization,
    "surrogate": _read_surrogate,
    "findings": _read_findings,
    **dict.fromkeys(wire.LAYER_ARRAYS, _read_layer_arrays),
}
