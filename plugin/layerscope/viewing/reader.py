"""``layerscope.read``: a log directory as Python objects, without torch and without a TensorBoard process."""

from __future__ import annotations

from os import PathLike, fspath
from typing import Any

import numpy as np
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext

from layerscope import codec, wire
from layerscope.errors import LayerscopeError, MalformedError, NotFoundError
from layerscope.viewing.store import Store

# Steps kept by plugin name; 0 keeps all.
_KEEP_ALL = {wire.PLUGIN: 0, wire.PLUGIN_BLOBS: 0, "scalars": 0}


def read(logdir: str | PathLike[str]) -> dict[str, wire.Run]:
    """Return what Layerscope wrote into a log directory, with the user's scalars: run name -> ``Run``.

    Every step is kept. What cannot be read is named in ``Run.problems``; the rest is there.

    Args:
        logdir: the directory given to ``tensorboard --logdir``; runs are its sub-directories ("." for itself).

    Raises:
        NotFoundError: no run below ``logdir`` holds anything of ours.
    """
    multiplexer = EventMultiplexer(tensor_size_guidance=_KEEP_ALL)
    multiplexer.AddRunsFromDirectory(fspath(logdir))
    multiplexer.Reload()
    store = Store(MultiplexerDataProvider(multiplexer, fspath(logdir)), RequestContext())
    runs = store.runs()
    if not runs:
        raise NotFoundError("run", "with data of Layerscope", [], where=f"log directory {fspath(logdir)!r}")
    return {run: _run(store, run) for run in runs}


def _run(store: Store, name: str) -> wire.Run:
    listing = store.tags(name)
    found: dict[str, Any] = {kind: {} for kind in wire.KINDS}
    problems: list[str] = []
    for entry in listing.tags:
        if entry.metadata is None:
            problems.append(entry.problem)
            continue
        try:
            _READERS[entry.kind](store, name, entry, found[entry.kind])
        except LayerscopeError as error:
            problems.append(str(error))
    return wire.Run(
        name=name,
        graph=found["graph"].get("model"),
        series=_with_histograms(found["series"], found["histograms"]),
        samples=found["samples"],
        attributions=found["attribution"],
        maximizations=found["maximization"],
        scalars={tag: _scalar(store, name, tag) for tag in listing.scalars},
        problems=tuple(problems),
    )


def _scalar(store: Store, run: str, tag: str) -> tuple[Any, Any]:
    arrays = store.scalar(run, tag)
    return arrays.steps, arrays.values[:, 0, 0].astype(np.float64)


def _read_graph(store: Store, run: str, entry: wire.TagEntry, found: dict[str, Any]) -> None:
    assert entry.metadata is not None
    found[entry.metadata.name] = codec.decode_graph(store.blob(run, entry.tag, entry.steps[-1]))


def _read_series(store: Store, run: str, entry: wire.TagEntry, found: dict[str, Any]) -> None:
    metadata = entry.metadata
    assert isinstance(metadata, wire.SeriesMetadata)
    arrays = store.array(run, entry.tag)
    names = tuple(statistic.name for statistic in metadata.statistics)
    series = wire.Series(arrays.steps, metadata.layers, names, arrays.values)
    found[metadata.name] = _joined(found[metadata.name], series) if metadata.name in found else series


def _joined(first: wire.Series, second: wire.Series) -> wire.Series:
    """Join two tags of one series, between which the set of layers changed; NaN where a layer was not there."""
    layers = tuple(dict.fromkeys((*first.layers, *second.layers)))
    statistics = tuple(dict.fromkeys((*first.statistics, *second.statistics)))
    steps = np.union1d(first.steps, second.steps)
    values = np.full((len(steps), len(layers), len(statistics)), np.nan, dtype=np.float32)
    for part in (first, second):
        at = np.ix_(
            np.searchsorted(steps, part.steps).tolist(),
            [layers.index(layer) for layer in part.layers],
            [statistics.index(statistic) for statistic in part.statistics],
        )
        values[at] = part.values
    return wire.Series(steps, layers, statistics, values)


def _read_histograms(store: Store, run: str, entry: wire.TagEntry, found: dict[str, Any]) -> None:
    assert isinstance(entry.metadata, wire.HistogramsMetadata)
    arrays = store.array(run, entry.tag)
    # Of a series whose set of layers changed, the histograms of the last set are kept.
    known = found.get(entry.metadata.name)
    if known is None or arrays.steps[-1] > known[1].steps[-1]:
        found[entry.metadata.name] = (entry.metadata, arrays)


def _with_histograms(series: dict[str, wire.Series], histograms: dict[str, Any]) -> dict[str, wire.Series]:
    out = dict(series)
    for name, (metadata, arrays) in histograms.items():
        if name not in out:
            continue
        rows = [metadata.layers.index(layer) if layer in metadata.layers else -1 for layer in out[name].layers]
        absent = np.array(rows) == -1
        counts = arrays.values[:, rows]
        counts[:, absent] = np.nan
        out[name] = wire.Series(
            out[name].steps,
            out[name].layers,
            out[name].statistics,
            out[name].values,
            histogram=counts,
            histogram_steps=arrays.steps,
            edges=metadata.edges,
        )
    return out


def _read_samples(store: Store, run: str, entry: wire.TagEntry, found: dict[str, Any]) -> None:
    assert entry.metadata is not None
    arrays = codec.decode_arrays(store.blob(run, entry.tag, entry.steps[-1]))
    found[entry.metadata.name] = tuple(arrays[str(i)] for i in range(len(arrays)) if str(i) in arrays)


def _read_attribution(store: Store, run: str, entry: wire.TagEntry, found: dict[str, Any]) -> None:
    metadata = entry.metadata
    assert isinstance(metadata, wire.AttributionMetadata)
    for step in entry.steps:
        arrays = codec.decode_arrays(store.blob(run, entry.tag, step))
        needed = {"targets", "probabilities", *(f"layer:{layer}" for layer in metadata.layers)}
        if not needed <= arrays.keys():
            raise MalformedError(f"tag {entry.tag!r} at step {step} lacks {min(needed - arrays.keys())!r}.")
        found.setdefault(metadata.name, {})[step] = wire.AttributionMaps(
            method=metadata.method,
            signed=metadata.signed,
            layers={layer: arrays[f"layer:{layer}"] for layer in metadata.layers},
            targets=arrays["targets"],
            probabilities=arrays["probabilities"],
            delta=arrays.get("delta"),
        )


def _read_maximization(store: Store, run: str, entry: wire.TagEntry, found: dict[Any, Any]) -> None:
    metadata = entry.metadata
    assert isinstance(metadata, wire.MaximizationMetadata)
    for step in entry.steps:
        header = codec.from_json(wire.MaximizationStep, store.blob(run, entry.tag, step), what="the step")
        images = [codec.check_png(store.blob(run, entry.tag, step, i + 1)) for i in range(len(metadata.units))]
        found[step] = wire.MaximizationImages(metadata.units, tuple(images), header.objectives)


_READERS = {
    "graph": _read_graph,
    "series": _read_series,
    "histograms": _read_histograms,
    "samples": _read_samples,
    "attribution": _read_attribution,
    "maximization": _read_maximization,
}
