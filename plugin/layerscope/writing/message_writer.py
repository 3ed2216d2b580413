"""Writes messages of ``wire`` into the event file of the user's SummaryWriter.

Never into a file of our own: a second event file in one run directory freezes the user's curves in TensorBoard's
Python loader.
"""

# pyright: reportAttributeAccessIssue=false
# Generated protobuf modules have no attributes that a type checker could see.

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto import summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
from tensorboard.util import tensor_util

from layerscope import codec, wire
from layerscope.errors import InvalidArgumentError

TAG_BYTES = 64 << 20


class SummaryWriter(Protocol):
    """What is needed of ``torch.utils.tensorboard.SummaryWriter``."""

    def _get_file_writer(self) -> Any: ...


class MessageWriter:
    """Writes graph, series, maps and images as summaries.

    The tag of a message is ``layerscope/<kind>/<name>/<digest of its metadata>``: TensorBoard keeps only the first
    metadata of a tag, so when the set of layers changes, also between restarts, another tag begins. So it does, with
    ``/1``, ``/2``, ... at the end, after every ``TAG_BYTES`` of arrays: readers get the values of a tag in one answer,
    whose size is limited.

    Args:
        summary_writer: the user's SummaryWriter.

    Raises:
        InvalidArgumentError: it gives no access to its event file.
    """

    def __init__(self, summary_writer: SummaryWriter) -> None:
        if not hasattr(summary_writer, "_get_file_writer"):
            raise InvalidArgumentError(
                "writer must be a torch.utils.tensorboard.SummaryWriter (or a log directory), because Layerscope "
                f"writes into the same event file; given: {type(summary_writer).__name__}."
            )
        self._summary_writer = summary_writer
        self._closed = False
        self._described: set[str] = set()
        self._written: Counter[str] = Counter()
        self._samples: dict[str, str] = {}

    def close(self) -> None:
        """Write nothing more; the SummaryWriter stays open."""
        self._closed = True

    def graph(self, graph: wire.ModelGraph, *, step: int = 0, name: str = "model") -> None:
        """Write a structure with its DOT."""
        blobs = [codec.encode_graph(graph), graph.to_dot().encode("utf-8", "replace")]
        self._write(wire.GraphMetadata("graph", name), blobs, step)

    def series(self, name: str, statistics: wire.Statistics, *, step: int) -> None:
        """Write statistics of many layers at one step, and their histograms if there are any."""
        columns = tuple(wire.STATISTICS[statistic] for statistic in statistics.statistics)
        metadata = wire.SeriesMetadata("series", name, statistics.layers, statistics.owners, columns)
        self._write(metadata, statistics.values, step)
        if statistics.histogram is not None:
            histograms = wire.HistogramsMetadata(
                "histograms", name, statistics.layers, statistics.owners, statistics.edges
            )
            self._write(histograms, statistics.histogram, step)

    def samples(self, name: str, inputs: Sequence[NDArray[Any]], *, step: int) -> None:
        """Write the inputs of a probe set, batch first, unless they are what was written last under that name."""
        blob = codec.encode_arrays({str(i): _compact(array) for i, array in enumerate(inputs)})
        digest = hashlib.sha256(blob).hexdigest()
        if self._samples.get(name) != digest:
            self._write(wire.SamplesMetadata("samples", name), [blob], step)
            self._samples[name] = digest

    def attribution(self, maps: wire.AttributionMaps, *, samples: str, step: int) -> None:
        """Write the maps of one method at one step; ``samples`` names the probe set."""
        name = maps.method if samples == "probe" else f"{samples}/{maps.method}"
        metadata = wire.AttributionMetadata(
            "attribution", name, maps.method, samples, signed=maps.signed, layers=tuple(maps.layers)
        )
        arrays: dict[str, NDArray[Any]] = {f"layer:{layer}": array for layer, array in maps.layers.items()}
        arrays |= {"targets": maps.targets, "probabilities": maps.probabilities}
        if maps.delta is not None:
            arrays["delta"] = maps.delta
        self._write(metadata, [codec.encode_arrays(arrays)], step)

    def maximization(self, images: Mapping[wire.Unit, tuple[NDArray[np.float32], float]], *, step: int) -> None:
        """Write one image [height, width, colours] in 0 to 1, with the objective it reached, for each unit."""
        header = wire.MaximizationStep(tuple(objective for _, objective in images.values()))
        blobs = [codec.to_json(header), *(codec.encode_png(image) for image, _ in images.values())]
        self._write(wire.MaximizationMetadata("maximization", "units", tuple(images)), blobs, step)

    def _write(self, metadata: wire.Metadata, value: NDArray[np.float32] | Sequence[bytes], step: int) -> None:
        if self._closed:  # a closed SummaryWriter would begin a second event file
            raise InvalidArgumentError("the scope was closed. Record before close(), or make another Scope.")
        kind = wire.KINDS[metadata.kind]
        content = codec.encode_metadata(metadata)
        tag = f"layerscope/{kind.name}/{metadata.name}/{hashlib.sha256(content).hexdigest()[:8]}"
        if kind.tensor:
            array = np.asarray(value, dtype=np.float32)
            tensor = tensor_util.make_tensor_proto(array)
            filled = self._written[tag] // TAG_BYTES
            self._written[tag] += array.nbytes
            tag = f"{tag}/{filled}" if filled else tag
        else:
            tensor = _blob_sequence(list(value))
        summary = summary_pb2.Summary.Value(tag=tag, tensor=tensor)
        if tag not in self._described:
            summary.metadata.CopyFrom(_summary_metadata(kind, content))
            self._described.add(tag)
        # Private in torch, but the only way into the user's own event file.
        self._summary_writer._get_file_writer().add_summary(  # pyright: ignore[reportPrivateUsage]
            summary_pb2.Summary(value=[summary]), step
        )


def _blob_sequence(blobs: Sequence[bytes]) -> Any:
    # Not make_tensor_proto: it goes through a numpy string array, which drops NUL bytes at the end of a blob.
    shape = tensor_shape_pb2.TensorShapeProto(dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=len(blobs))])
    return tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, tensor_shape=shape, string_val=blobs)


def _summary_metadata(kind: wire.Kind, content: bytes) -> Any:
    return summary_pb2.SummaryMetadata(
        plugin_data=summary_pb2.SummaryMetadata.PluginData(plugin_name=kind.plugin_name, content=content),
        # Without a data class neither of TensorBoard's loaders shows the tag.
        data_class=summary_pb2.DATA_CLASS_TENSOR if kind.tensor else summary_pb2.DATA_CLASS_BLOB_SEQUENCE,
    )


def _compact(array: NDArray[Any]) -> NDArray[Any]:
    """Return floats as float16, which is enough to show, or float32 where float16 would lose digits."""
    if array.dtype.kind != "f":
        return array
    largest = np.max(np.abs(array), initial=0.0, where=np.isfinite(array))
    return array.astype(np.float16 if 2**-4 <= largest < np.finfo(np.float16).max else np.float32)
