"""Reads the messages of a log directory through a TensorBoard data provider, and through nothing else.

Going through the provider makes both of TensorBoard's loaders, remote log directories and hosted experiments work.
Values are read one run and tag at a time, and never more than ``MAX_READ_BYTES`` of them: one answer of the Rust loader
over 256 MiB fails. The writer begins another tag long before that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorboard import errors as tensorboard_errors
from tensorboard.context import RequestContext
from tensorboard.data.provider import DataProvider, RunTagFilter

from layerscope import codec, wire
from layerscope.errors import LayerNotFoundError, MalformedError, NotFoundError, WireError

_ALL_STEPS = 10**9
"""How many steps to ask a provider for: as many as TensorBoard kept."""

MAX_READ_BYTES = 224 << 20
"""Of a tag that holds more, as many steps are read as fit, the last among them."""


class Arrays:
    """The numbers of one tag: steps ascending, each once."""

    def __init__(self, data: Iterable[tuple[int, float, NDArray[Any]]], shape: tuple[int, int] | None = None) -> None:
        """Order by step; where a restarted run wrote a step again, the value with the last wall time counts.

        Args:
            data: (step, wall time, value) of each.
            shape: of one value; only needed where there may be none.
        """
        latest: dict[int, tuple[float, NDArray[Any]]] = {}
        for step, wall_time, value in data:
            if step not in latest or wall_time >= latest[step][0]:
                latest[step] = (wall_time, value)
        steps = sorted(latest)
        self.steps = np.array(steps, dtype=np.int64)
        self.wall_times = np.array([latest[step][0] for step in steps], dtype=np.float64)
        values = [latest[step][1] for step in steps]
        self.values = np.stack(values).astype(np.float32) if values else np.zeros((0, *(shape or ())), np.float32)


class Store:
    """What one experiment holds, as messages of ``wire``.

    Args:
        provider: TensorBoard's data provider.
        context: of the request that is being answered.
        experiment_id: "" unless TensorBoard hosts several experiments.
        known_runs: runs that were seen to hold anything of ours; kept by the caller from request to request.
    """

    def __init__(
        self,
        provider: DataProvider,
        context: RequestContext,
        experiment_id: str = "",
        known_runs: set[tuple[str, str, float | None]] | None = None,
    ) -> None:
        self._provider = provider
        self._context = context
        self.experiment_id = experiment_id
        self._known_runs: set[tuple[str, str, float | None]] = set() if known_runs is None else known_runs

    def runs(self) -> list[str]:
        """Return the names of the runs that hold anything of ours, sorted."""
        listed: Any = self._provider.list_runs(self._context, experiment_id=self.experiment_id)
        # With its start: a run that was deleted and made again is another one.
        keys = {run.run_name: (self.experiment_id, run.run_name, run.start_time) for run in listed}
        unknown = [run for run, key in keys.items() if key not in self._known_runs]
        if unknown:  # what a provider lists of each tag holds its metadata: 24 MB for 100 runs
            self._known_runs |= {keys[run] for _, by_run in self._listings(unknown) for run in by_run if run in keys}
        return sorted(run for run, key in keys.items() if key in self._known_runs)

    def tags(self, run: str) -> wire.TagListing:
        """Return everything that ``run`` holds.

        Raises:
            NotFoundError: there is no such run.
        """
        entries = [
            self._entry(run, tag, way, listed)
            for way, by_run in self._listings([run])
            for tag, listed in by_run.get(run, {}).items()
        ]
        if not entries:
            raise NotFoundError("run", run, self.runs())
        scalars = self._call(self._provider.list_scalars, "scalars", [run]).get(run, {})
        return wire.TagListing(run, tuple(sorted(entries, key=lambda entry: entry.tag)), tuple(sorted(scalars)))

    def metadata(self, run: str, tag: str) -> wire.Metadata:
        """Return the metadata of a tag.

        Raises:
            NotFoundError: there is no such run or tag.
            WireError: the metadata is malformed or of a newer version.
        """
        for _, by_run in self._listings([run], tag):
            if tag in by_run.get(run, {}):
                return codec.decode_metadata(by_run[run][tag].plugin_content, what=f"the metadata of tag {tag!r}")
        raise NotFoundError("tag", tag, [entry.tag for entry in self.tags(run).tags], where=f"run {run!r}")

    def array(self, run: str, tag: str, *, layers: Collection[str] = (), after: int | None = None) -> Arrays:
        """Return the numbers of a tag of kind ``series`` or ``histograms``: values [steps, layers, columns].

        Args:
            run: name of the run.
            tag: the tag.
            layers: only their rows, in the order of the metadata; none means all.
            after: only later steps than this, possibly none; None means all.

        Raises:
            NotFoundError: there is no such run or tag.
            LayerNotFoundError: the tag has no such layer.
            WireError: metadata or a value is malformed.
        """
        metadata = self.metadata(run, tag)
        if isinstance(metadata, wire.SeriesMetadata):
            columns = len(metadata.statistics)
        elif isinstance(metadata, wire.HistogramsMetadata):
            columns = len(metadata.edges) - 1
        else:
            raise MalformedError(f"tag {tag!r} is of kind {metadata.kind!r}: it holds blobs, not an array.")
        for layer in layers:
            if layer not in metadata.layers:
                raise LayerNotFoundError(layer, metadata.layers)
        rows = [row for row, layer in enumerate(metadata.layers) if layer in layers] if layers else slice(None)
        shape = (len(metadata.layers), columns)
        steps = max(1, MAX_READ_BYTES // max(1, 4 * shape[0] * shape[1]))
        plugin_name = wire.KINDS[metadata.kind].plugin_name
        data = self._read(self._provider.read_tensors, plugin_name, run, tag, steps=min(steps, _ALL_STEPS))
        wanted = (datum for datum in data if after is None or datum.step > after)
        return Arrays(
            ((datum.step, datum.wall_time, _array_of(tag, datum, shape)[rows]) for datum in wanted),
            shape=(len(rows) if isinstance(rows, list) else shape[0], columns),
        )

    def scalar(self, run: str, tag: str) -> Arrays:
        """Return one scalar tag of the user: values [steps, 1, 1].

        Raises:
            NotFoundError: there is no such run or scalar.
        """
        known = self._call(self._provider.list_scalars, "scalars", [run]).get(run, {})
        if tag not in known:
            raise NotFoundError("scalar", tag, known, where=f"run {run!r}")
        data = self._read(self._provider.read_scalars, "scalars", run, tag)
        return Arrays((datum.step, datum.wall_time, np.full((1, 1), datum.value)) for datum in data)

    def steps(self, run: str, tag: str) -> list[int]:
        """Return the steps of a tag of blobs, ascending."""
        return sorted(self._blobs(run, tag, self.metadata(run, tag)))

    def blob(self, run: str, tag: str, step: int, index: int = 0) -> bytes:
        """Return one blob of a tag that is no array.

        Raises:
            NotFoundError: there is no such run, tag, step or index.
            WireError: the metadata is malformed, or the tag is an array.
        """
        blobs = self._blobs(run, tag, self.metadata(run, tag))
        if step not in blobs:
            raise NotFoundError("step", step, sorted(blobs), where=f"tag {tag!r}")
        if not 0 <= index < len(blobs[step]):
            raise NotFoundError("index", index, range(len(blobs[step])), where=f"tag {tag!r} at step {step}")
        blob: Any = self._provider.read_blob(self._context, blob_key=blobs[step][index].blob_key)
        if not isinstance(blob, bytes):
            raise MalformedError(f"tag {tag!r} at step {step} holds {type(blob).__name__}, not bytes.")
        return blob

    def _entry(self, run: str, tag: str, way: tuple[str, bool], listed: Any) -> wire.TagEntry:
        extent: dict[str, Any] = {"max_step": listed.max_step, "max_wall_time": listed.max_wall_time}
        try:
            metadata = codec.decode_metadata(listed.plugin_content, what=f"the metadata of tag {tag!r}")
            kind = wire.KINDS[metadata.kind]
            if (kind.plugin_name, kind.tensor) != way:
                raise MalformedError(f"tag {tag!r} of kind {kind.name!r} is stored as another kind of data.")
            steps = () if kind.tensor else tuple(sorted(self._blobs(run, tag, metadata)))
            return wire.TagEntry(tag, metadata.kind, metadata, steps, **extent)
        except WireError as error:
            return wire.TagEntry(tag, "", None, problem=str(error), **extent)

    def _blobs(self, run: str, tag: str, metadata: wire.Metadata) -> dict[int, Sequence[Any]]:
        kind = wire.KINDS[metadata.kind]
        if kind.tensor:
            raise MalformedError(f"tag {tag!r} is of kind {kind.name!r}: it holds an array, not blobs.")
        data = self._read(self._provider.read_blob_sequences, kind.plugin_name, run, tag)
        return {datum.step: datum.values for datum in data}

    def _listings(
        self, runs: Sequence[str], tag: str | None = None
    ) -> list[tuple[tuple[str, bool], dict[str, dict[str, Any]]]]:
        """Return ((plugin name, is tensor), run -> tag -> what the provider lists) for each way we store data."""
        ways = sorted({(kind.plugin_name, kind.tensor) for kind in wire.KINDS.values()})
        return [
            (
                (plugin_name, is_tensor),
                self._call(
                    self._provider.list_tensors if is_tensor else self._provider.list_blob_sequences,
                    plugin_name,
                    runs,
                    tag,
                ),
            )
            for plugin_name, is_tensor in ways
        ]

    def _read(
        self, method: Callable[..., Any], plugin_name: str, run: str, tag: str, *, steps: int = _ALL_STEPS
    ) -> Sequence[Any]:
        try:
            result = self._call(method, plugin_name, [run], tag, downsample=steps)
        except tensorboard_errors.PublicError:
            raise
        except Exception as error:  # each provider has its own for a malformed tensor, or for an answer too large
            words = str(error).partition("\n")[0]
            raise MalformedError(f"tag {tag!r} of run {run!r} holds a value that cannot be read: {words}") from error
        data = result.get(run, {}).get(tag, [])
        if not data:
            raise NotFoundError("tag", tag, [], where=f"run {run!r}")
        return data

    def _call(
        self, method: Callable[..., Any], plugin_name: str, runs: Sequence[str], tag: str | None = None, **options: Any
    ) -> dict[str, dict[str, Any]]:
        return method(
            self._context,
            experiment_id=self.experiment_id,
            plugin_name=plugin_name,
            run_tag_filter=RunTagFilter(runs=runs, tags=None if tag is None else [tag]),
            **options,
        )


def _array_of(tag: str, datum: Any, shape: tuple[int, int]) -> NDArray[np.float32]:
    array: NDArray[Any] = datum.numpy
    if array.dtype == np.uint8 and array.ndim == 1:
        return codec.decode_counts(array, shape, what=f"the counts of tag {tag!r} at step {datum.step}")
    if array.shape != shape or array.dtype.kind != "f":
        raise MalformedError(
            f"tag {tag!r} at step {datum.step} is {array.dtype}{list(array.shape)}, "
            f"but its metadata says float32{list(shape)}."
        )
    return array
