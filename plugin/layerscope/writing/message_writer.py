"""Writes messages of ``wire`` into the event file of the user's SummaryWriter.

Never into a file of our own: a second event file in one run directory freezes the user's curves in TensorBoard's
Python loader.
"""

# pyright: reportAttributeAccessIssue=false
# Generated protobuf modules have no attributes that a type checker could see.

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto import event_pb2, summary_pb2, types_pb2

from layerscope import codec, wire
from layerscope.errors import InvalidArgumentError
from layerscope.writing.checksum import quicken
from layerscope.writing.message_log import Message

TAG_BYTES = 64 << 20

RECORD_FRAME_BYTES = 16
"""What an event file adds to each record: its length and two checksums."""

Admit = Callable[[str, int], bool]
"""Told the kind and size in bytes of what is about to be written, says whether it may be: ``Schedules.admit``."""


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
        self.messages = 0
        """How many were written."""
        self._closed = False
        self._tags: dict[wire.Metadata, tuple[str, bytes]] = {}
        self._described: set[str] = set()
        self._written: Counter[str] = Counter()
        self._samples: dict[str, tuple[int, tuple[str, str]]] = {}
        """Name -> (step at which they were used last, digests of the arrays and of all)."""
        self._findings: list[int] = []
        """Of each tag of findings the last step."""

    def close(self) -> None:
        """Write nothing more; the SummaryWriter stays open."""
        self._closed = True

    def graph(self, graph: wire.ModelGraph, *, step: int = 0, name: str = "model") -> None:
        """Write a structure with its DOT."""
        blobs = [codec.encode_graph(graph), graph.to_dot().encode("utf-8", "replace")]
        self._write(wire.GraphMetadata("graph", name), blobs, step)

    def series(self, name: str, statistics: wire.Statistics, *, step: int, admit: Admit | None = None) -> None:
        """Write statistics of many layers at one step, and their histograms if there are any.

        Args:
            name: of the series, a key of ``wire.SERIES``.
            statistics: the numbers.
            step: training step.
            admit: asked before anything is written, for the values (kind ``series``) and for the ``histograms``.
        """
        columns = tuple(wire.STATISTICS[statistic] for statistic in statistics.statistics)
        metadata = wire.SeriesMetadata("series", name, statistics.layers, statistics.owners, columns)
        self._write(metadata, statistics.values, step, admit)
        if statistics.histogram is not None:
            self.histograms(name, statistics, step=step, admit=admit)

    def histograms(self, name: str, statistics: wire.Statistics, *, step: int, admit: Admit | None = None) -> None:
        """Write the histograms alone, which ``statistics`` must hold; arguments as for ``series``."""
        assert statistics.histogram is not None
        metadata = wire.HistogramsMetadata("histograms", name, statistics.layers, statistics.owners, statistics.edges)
        self._write(metadata, statistics.histogram, step, admit)

    def samples(
        self,
        name: str,
        inputs: Sequence[NDArray[Any]],
        *,
        step: int,
        description: wire.SamplesBlob | None = None,
        named: bool = True,
    ) -> str:
        """Write the inputs of a probe set, batch first, unless they are what was written last under that name.

        Args:
            name: of the probe set.
            inputs: its arrays.
            step: training step.
            description: how to show them.
            named: that inputs written with another description are others. If not, those with this very one are
                taken first all the same.

        Returns:
            The name under which they are: ``name``, or ``name/2``, ... where others were written under it at this step.
        """
        arrays = codec.encode_arrays({str(i): compact(array) for i, array in enumerate(inputs)})
        blobs = [arrays] if description is None else [arrays, codec.to_json(description)]
        digests = hashlib.sha256(arrays).hexdigest(), hashlib.sha256(b"".join(blobs)).hexdigest()
        names = [name, *(f"{name}/{i}" for i in range(2, 2 + len(self._samples)))]
        known = [one for one in names if one in self._samples]
        places = (1,) if named else (1, 0)
        alike = (one for place in places for one in known if self._samples[one][1][place] == digests[place])
        same = next(alike, None)
        if same is not None:
            self._samples[same] = step, self._samples[same][1]
            return same
        free = next(one for one in names if one not in self._samples or self._samples[one][0] != step)
        self._write(wire.SamplesMetadata("samples", free), blobs, step)
        self._samples[free] = step, digests
        return free

    def attribution(self, maps: wire.AttributionMaps, *, samples: str, step: int, stored: str | None = None) -> None:
        """Write the maps of one method at one step.

        Args:
            maps: the maps.
            samples: name of the probe set.
            step: training step.
            stored: what ``samples`` returned for its inputs; None is the same name.
        """
        name = maps.method if samples == "probe" else f"{samples}/{maps.method}"
        metadata = wire.AttributionMetadata(
            "attribution",
            name,
            maps.method,
            samples if stored is None else stored,
            signed=maps.signed,
            layers=tuple(maps.layers),
            inputs=tuple(maps.inputs),
        )
        arrays: dict[str, NDArray[Any]] = {f"layer:{layer}": array for layer, array in maps.layers.items()}
        arrays |= {f"input:{i}": array for i, array in maps.inputs.items()}
        arrays |= {f"trust:{score}": array for score, array in maps.trust.items()}
        arrays |= {"targets": maps.targets, "probabilities": maps.probabilities}
        if maps.delta is not None:
            arrays["delta"] = maps.delta
        if maps.notes:
            arrays["notes"] = np.frombuffer("\n".join(maps.notes).encode(), np.uint8)
        self._write(metadata, [codec.encode_arrays(arrays)], step)

    def surrogate(self, surrogate: wire.Surrogate, *, step: int) -> None:
        """Write a surrogate at one step."""
        metadata = wire.SurrogateMetadata("surrogate", f"{surrogate.of}/{surrogate.surrogate}")
        self._write(metadata, [codec.to_json(surrogate)], step)

    def maximization(
        self, found: Sequence[wire.MaximizedUnit], *, step: int, modality: str = "image", samples: str = ""
    ) -> None:
        """Write what activation maximization found for some units at one step.

        Args:
            found: one for each unit.
            step: training step.
            modality: of all of them, a key of ``wire.MODALITIES``.
            samples: name of the probe set that their top samples are of.
        """
        header = wire.MaximizationStep(
            tuple(one.objective for one in found),
            tuple(one.top_samples for one in found) if any(one.top_samples for one in found) else (),
            tuple(one.tokens for one in found) if modality == "text" else (),
            tuple(one.ascent_steps for one in found),
        )
        blobs = [codec.to_json(header)]
        if modality == "image":
            blobs += [codec.encode_png(one.image) for one in found]
        elif modality != "text":
            blobs.append(codec.encode_arrays({str(i): one.image for i, one in enumerate(found)}))
        units = tuple(one.unit for one in found)
        metadata = wire.MaximizationMetadata("maximization", "units", units, modality, samples)
        self._write(metadata, blobs, step)

    def layer_arrays(
        self, kind: str, arrays: Mapping[str, Mapping[str, NDArray[Any]]], *, name: str, step: int, **metadata: Any
    ) -> None:
        """Write what is shown of some layers at one step.

        Args:
            kind: a key of ``wire.LAYER_ARRAYS``, which says what there is of each layer.
            arrays: layer -> array name -> array.
            name: of the tag: the probe set, or ``parameters``.
            step: training step.
            metadata: ``owners`` (the layers themselves if not given) and ``samples``; and ``shared``, arrays of no
                layer.
        """
        layers = tuple(arrays)
        owners = metadata.pop("owners", layers)
        tensors = {f"{what}:{layer}": array for layer, held in arrays.items() for what, array in held.items()}
        tensors |= metadata.pop("shared", None) or {}
        described = wire.LayerArraysMetadata(kind, name, layers, tuple(owners), **metadata)
        self._write(described, [codec.encode_arrays(tensors)], step)

    def findings(self, findings: Sequence[wire.Finding], *, step: int) -> None:
        """Write what was found since the last time, at the step that training has come to.

        Nothing says that detectors look. Each finding is written once: all of them anew whenever there is another
        one took 80 times the bytes.

        Loaders give one blob of a tag at a step: where one was written at that step already, another tag is taken.
        """
        blob = codec.to_json(wire.FindingsBlob(tuple(findings)))
        part = next((part for part, last in enumerate(self._findings) if last < step), len(self._findings))
        self._findings[part : part + 1] = [step]
        self._write(wire.FindingsMetadata("findings", "training"), [blob], step, part=part)

    def projector(self, features: NDArray[np.float32], *, metadata: Sequence[Any] | None, tag: str, step: int) -> None:
        """Write [samples, channels] for TensorBoard's Projector, as files beside the event file.

        Args:
            features: a row for each sample.
            metadata: a label for each sample, or None.
            tag: what it is called there.
            step: training step.

        Raises:
            InvalidArgumentError: the writer knows no ``add_embedding``.
        """
        self.require_open()
        add: Any = getattr(self._summary_writer, "add_embedding", None)
        if add is None:
            raise InvalidArgumentError(
                f"projector was asked for, but a {type(self._summary_writer).__name__} has no add_embedding. Give a "
                "torch.utils.tensorboard.SummaryWriter."
            )
        labels = None if metadata is None else [_of_one_line(str(label)) for label in metadata]
        add(features, metadata=labels, global_step=step, tag=tag)

    def forward(self, message: Message) -> None:
        """Write a message that another writer gave to a ``MessageLog``."""
        self._write(message.metadata, message.value, message.step)

    def require_open(self) -> None:
        """Raise if it was closed, or the SummaryWriter was, which would begin a second event file.

        Raises:
            InvalidArgumentError: one of them was.
        """
        if self._closed:
            raise InvalidArgumentError("the scope was closed. Record before close(), or make another Scope.")
        if getattr(self._summary_writer, "all_writers", self) is None:  # how torch's SummaryWriter knows it
            raise InvalidArgumentError(
                "the SummaryWriter was closed, and a second event file in its directory would freeze its curves in "
                "TensorBoard. Close it after the scope, or make another SummaryWriter and Scope."
            )

    def _write(
        self,
        metadata: wire.Metadata,
        value: NDArray[np.float32] | Sequence[bytes],
        step: int,
        admit: Admit | None = None,
        *,
        part: int = 0,
    ) -> None:
        self.require_open()
        kind = wire.KINDS[metadata.kind]
        tag, content = self._tag(metadata)
        event = event_pb2.Event(wall_time=time.time(), step=step)
        summary = event.summary.value.add()
        array_bytes = 0
        if isinstance(value, np.ndarray):
            array_bytes = value.nbytes
            filled = self._written[tag] // TAG_BYTES
            summary.tag = f"{tag}/{filled}" if filled else tag
            if kind.name == "histograms":
                _fill_tensor(summary.tensor, codec.encode_counts(value), types_pb2.DT_UINT8)
            else:
                _fill_tensor(summary.tensor, np.asarray(value, dtype="<f4"), types_pb2.DT_FLOAT)
        else:
            summary.tag = f"{tag}/{part}" if part else tag
            _fill_blob_sequence(summary.tensor, value)
        new = summary.tag not in self._described
        if new:
            _fill_metadata(summary.metadata, kind, content)
        if admit is not None and not admit(kind.name, event.ByteSize() + RECORD_FRAME_BYTES):
            return
        if new:
            self._described.add(summary.tag)
        self._written[tag] += array_bytes
        self.messages += 1
        # Private in torch, but the only way into the user's own event file.
        file_writer = self._summary_writer._get_file_writer()  # pyright: ignore[reportPrivateUsage]
        quicken(file_writer)
        file_writer.add_event(event, step, event.wall_time)

    def _tag(self, metadata: wire.Metadata) -> tuple[str, bytes]:
        """Return the tag of a message and its metadata as bytes; the same layers come again at each step."""
        if metadata not in self._tags:
            content = codec.encode_metadata(metadata)
            digest = hashlib.sha256(content).hexdigest()[:8]
            self._tags[metadata] = (f"layerscope/{metadata.kind}/{metadata.name}/{digest}", content)
        return self._tags[metadata]


def _of_one_line(label: str) -> str:
    """Return a label as TensorBoard's Projector reads it: a line of a file each, none of them empty."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in label).strip() or repr(label)


def _fill_tensor(tensor: Any, array: NDArray[Any], dtype: int) -> None:
    # What tensor_util.make_tensor_proto would make, at a tenth of its time.
    tensor.dtype = dtype
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = array.tobytes()


def _fill_blob_sequence(tensor: Any, blobs: Sequence[bytes]) -> None:
    # Not make_tensor_proto: it goes through a numpy string array, which drops NUL bytes at the end of a blob.
    tensor.dtype = types_pb2.DT_STRING
    tensor.tensor_shape.dim.add(size=len(blobs))
    tensor.string_val.extend(blobs)


def _fill_metadata(metadata: Any, kind: wire.Kind, content: bytes) -> None:
    metadata.plugin_data.plugin_name = kind.plugin_name
    metadata.plugin_data.content = content
    # Without a data class neither of TensorBoard's loaders shows the tag.
    metadata.data_class = summary_pb2.DATA_CLASS_TENSOR if kind.tensor else summary_pb2.DATA_CLASS_BLOB_SEQUENCE


def compact(array: NDArray[Any]) -> NDArray[Any]:
    """Return floats as float16, which is enough to show, or float32 where float16 would lose digits."""
    if array.dtype.kind != "f":
        return array
    largest = np.max(np.abs(array), initial=0.0, where=np.isfinite(array))
    return array.astype(np.float16 if 2**-4 <= largest < np.finfo(np.float16).max else np.float32)
