"""Messages of ``wire`` to bytes and back, with limits on every size before anything is allocated.

JSON is decoded by msgspec straight into the frozen dataclasses, which checks every type; arrays travel as
safetensors, in files and over HTTP alike. A newer version is refused in words. Nothing here executes what it reads.
"""

from __future__ import annotations

import dataclasses
import io
import zlib
from collections.abc import Mapping
from typing import Any, TypeVar

import google_crc32c
import msgspec
import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from layerscope import wire
from layerscope.errors import MalformedError, NewerVersionError

MAX_METADATA_BYTES = 16 << 20
MAX_JSON_BYTES = 256 << 20
MAX_ARRAYS_BYTES = 256 << 20
MAX_IMAGE_BYTES = 32 << 20
MAX_FINDINGS_BYTES = 16 << 20
MAX_FINDINGS = 1000
MAX_SAMPLES_BYTES = 16 << 20
MAX_SURROGATE_BYTES = 32 << 20
MAX_MAXIMIZATION_BYTES = 16 << 20

T = TypeVar("T")
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


class _Header(msgspec.Struct):
    """The fields that every metadata has, read first, to know how to read the rest."""

    kind: str
    version: int


def to_json(message: Any) -> bytes:
    """Return a message of ``wire`` as UTF-8 JSON (non-finite floats become null)."""
    return msgspec.json.encode(message)


def from_json(message_type: type[T], data: bytes, *, what: str, limit: int = MAX_JSON_BYTES) -> T:
    """Decode UTF-8 JSON into a message of ``wire``; unknown fields are ignored.

    Raises:
        MalformedError: not JSON, larger than ``limit`` bytes, or a field has the wrong type.
    """
    if len(data) > limit:
        raise MalformedError(f"{what} has {len(data)} bytes, but at most {limit} are read.")
    try:
        return msgspec.json.decode(data, type=message_type)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedError(f"{what} is not a valid {message_type.__name__}: {error}") from error


def encode_metadata(metadata: wire.Metadata) -> bytes:
    """Return the metadata of a tag as the bytes of ``SummaryMetadata.plugin_data.content``."""
    return to_json(metadata)


def decode_metadata(content: bytes, *, what: str = "the tag's metadata") -> wire.Metadata:
    """Decode the metadata of a tag.

    Raises:
        NewerVersionError: written by a newer version of Layerscope.
        MalformedError: not the metadata of a known kind.
    """
    header = from_json(_Header, content, what=what, limit=MAX_METADATA_BYTES)
    if header.version > wire.VERSION:
        raise NewerVersionError(what, header.version, wire.VERSION)
    if header.kind not in wire.METADATA:
        raise MalformedError(f"{what} is of kind {header.kind!r}, but the kinds are {', '.join(wire.KINDS)}.")
    metadata: wire.Metadata = from_json(wire.METADATA[header.kind], content, what=what, limit=MAX_METADATA_BYTES)
    if isinstance(metadata, (wire.SeriesMetadata, wire.HistogramsMetadata)) and len(metadata.owners) != len(
        metadata.layers
    ):
        raise MalformedError(f"{what} has {len(metadata.layers)} layers but {len(metadata.owners)} owners.")
    return metadata


_SHARED_BY_GRAPH_AND_BLOB = tuple(field.name for field in dataclasses.fields(wire.GraphBlob) if field.name != "nodes")


def graph_json(graph: wire.ModelGraph) -> bytes:
    """Return a graph as JSON, a ``GraphBlob``."""
    shared = {name: getattr(graph, name) for name in _SHARED_BY_GRAPH_AND_BLOB}
    return to_json(wire.GraphBlob(tuple(graph.nodes.values()), **shared))


def encode_graph(graph: wire.ModelGraph) -> bytes:
    """Return a graph as gzipped JSON; equal graphs give equal bytes."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return compressor.compress(graph_json(graph)) + compressor.flush()


def decode_graph(data: bytes, *, what: str = "the graph") -> wire.ModelGraph:
    """Decode a graph from gzipped JSON.

    Raises:
        MalformedError: not gzip, larger than ``MAX_JSON_BYTES`` when unpacked, two nodes have one id, or something
            refers to a node that is not there.
    """
    blob = from_json(wire.GraphBlob, _gunzip(data, what), what=what)
    nodes = {node.id: node for node in blob.nodes}
    if len(nodes) < len(blob.nodes):
        raise MalformedError(f"{what} has {len(blob.nodes)} nodes, but only {len(nodes)} different ids.")
    ends = {end for edge in blob.edges for end in (edge.source, edge.target)}
    parents = {node.parent for node in nodes.values() if node.parent is not None}
    parents |= {fold.parent for fold in blob.folds if fold.parent is not None}
    stopped = set() if blob.stopped_in is None else {blob.stopped_in}
    unknown = (ends | parents | stopped | {*blob.inputs, *blob.outputs}) - nodes.keys()
    members = {item for fold in blob.folds for member in fold.members for item in member}
    unknown |= members - nodes.keys() - {fold.id for fold in blob.folds}
    if unknown:
        raise MalformedError(f"{what} refers to {len(unknown)} nodes that it does not hold, e.g. {min(unknown)!r}.")
    return wire.ModelGraph(nodes, **{name: getattr(blob, name) for name in _SHARED_BY_GRAPH_AND_BLOB})


def _gunzip(data: bytes, what: str) -> bytes:
    decompressor = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        out = decompressor.decompress(data, MAX_JSON_BYTES)
    except zlib.error as error:
        raise MalformedError(f"{what} is not valid gzip: {error}") from error
    if decompressor.unconsumed_tail:
        raise MalformedError(f"{what} unpacks to more than {MAX_JSON_BYTES} bytes, the most that is read.")
    if not decompressor.eof:
        raise MalformedError(f"{what} is truncated: its gzip stream does not end.")
    return out


def decode_findings(data: bytes, *, what: str = "the findings") -> wire.FindingsBlob:
    """Decode what detectors have found.

    Raises:
        MalformedError: not a ``FindingsBlob``, larger than ``MAX_FINDINGS_BYTES``, of more than ``MAX_FINDINGS``, or
            of a step that no event can have.
    """
    blob = from_json(wire.FindingsBlob, data, what=what, limit=MAX_FINDINGS_BYTES)
    if len(blob.findings) > MAX_FINDINGS:
        raise MalformedError(f"{what} are {len(blob.findings)}, but at most {MAX_FINDINGS} are read.")
    for finding in blob.findings:
        if not -(2**63) <= finding.step < 2**63:
            raise MalformedError(f"{what} hold one of step {finding.step}, but steps are integers of 64 bits.")
    return blob


def decode_samples(data: bytes, *, what: str = "the description of the samples") -> wire.SamplesBlob:
    """Decode how the inputs of a probe set are to be shown.

    Raises:
        MalformedError: not a ``SamplesBlob``, larger than ``MAX_SAMPLES_BYTES``, or of an unknown modality.
    """
    blob = from_json(wire.SamplesBlob, data, what=what, limit=MAX_SAMPLES_BYTES)
    for described in blob.inputs:
        if described.modality not in wire.MODALITIES:
            raise MalformedError(
                f"{what} says that input {described.name!r} is of modality {described.modality!r}, but there are "
                f"{', '.join(wire.MODALITIES)}."
            )
    return blob


def decode_surrogate(data: bytes, *, what: str = "the surrogate") -> wire.Surrogate:
    """Decode a surrogate.

    Raises:
        MalformedError: not a ``Surrogate``, larger than ``MAX_SURROGATE_BYTES``, not a number of importance for each
            feature, or a tree of which a node has a child that does not stand behind it or an unknown feature.
    """
    surrogate = from_json(wire.Surrogate, data, what=what, limit=MAX_SURROGATE_BYTES)
    features = len(surrogate.feature_names)
    if any(len(row) != features for row in surrogate.importances):
        raise MalformedError(f"{what} has {features} features, but other numbers of importances.")
    size = len(surrogate.tree)
    for place, node in enumerate(surrogate.tree):
        leaf = node.feature == -1
        ends = () if leaf else (node.left, node.right)
        if not -1 <= node.feature < features or not all(place < end < size for end in ends):
            raise MalformedError(f"{what} holds a tree whose node {place} refers to what is not there.")
    return surrogate


def decode_maximization(data: bytes, *, units: int, what: str = "the step") -> wire.MaximizationStep:
    """Decode what activation maximization reached.

    Raises:
        MalformedError: not a ``MaximizationStep``, larger than ``MAX_MAXIMIZATION_BYTES``, or not one entry for each of
            the ``units`` of the tag.
    """
    step = from_json(wire.MaximizationStep, data, what=what, limit=MAX_MAXIMIZATION_BYTES)
    for field in ("objectives", "top_samples", "tokens", "ascent_steps"):
        given = len(getattr(step, field))
        if given != units and (given or field == "objectives"):
            raise MalformedError(f"{what} has {given} {field} for {units} units.")
    return step


def encode_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return named arrays in the safetensors format."""
    return safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in arrays.items()})


def decode_arrays(data: bytes, *, what: str = "the arrays") -> dict[str, NDArray[Any]]:
    """Decode named arrays from the safetensors format.

    Raises:
        MalformedError: not safetensors, or larger than ``MAX_ARRAYS_BYTES``.
    """
    if len(data) > MAX_ARRAYS_BYTES:
        raise MalformedError(f"{what} have {len(data)} bytes, but at most {MAX_ARRAYS_BYTES} are read.")
    try:
        return safetensors.numpy.load(data)
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise MalformedError(f"{what} are not valid safetensors: {error}") from error


def encode_counts(counts: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the counts of histograms [rows, bins] as bytes: a bit for each, whether it is 0, then those that are not.

    Four in five are 0, so it takes a quarter of the bytes; packing and unpacking 84,000 counts takes 0.2 ms.
    """
    counts = np.asarray(counts, dtype="<f4")
    filled = counts != 0
    return np.concatenate([np.packbits(filled), counts[filled].view(np.uint8)])


def decode_counts(data: NDArray[np.uint8], shape: tuple[int, int], *, what: str = "the counts") -> NDArray[np.float32]:
    """Decode the counts of histograms, float32 [rows, bins].

    Raises:
        MalformedError: there are not as many as ``shape`` says.
    """
    size = shape[0] * shape[1]
    bits = -(-size // 8)
    filled = np.unpackbits(data[:bits], count=size).astype(bool) if len(data) >= bits else np.ones(size, bool)
    if len(data) != bits + 4 * np.count_nonzero(filled):
        raise MalformedError(f"{what} have {len(data)} bytes, which is not right for {list(shape)}.")
    counts = np.zeros(size, dtype=np.float32)
    counts[filled] = np.ascontiguousarray(data[bits:]).view("<f4")
    return counts.reshape(shape)


def encode_png(image: NDArray[Any]) -> bytes:
    """Return an image [height, width, 1 or 3 colours] with values 0 to 1 as PNG."""
    from PIL import Image  # a dependency of TensorBoard; only writers need it

    levels = np.round(np.clip(np.nan_to_num(image), 0.0, 1.0) * 255.0).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels).save(out, format="PNG")
    return out.getvalue()


def check_png(data: bytes, *, what: str = "the image") -> bytes:
    """Return ``data`` if it begins as a PNG file does and is not too large, so that it may be served as one.

    Raises:
        MalformedError: not a PNG, or larger than ``MAX_IMAGE_BYTES``.
    """
    if len(data) > MAX_IMAGE_BYTES:
        raise MalformedError(f"{what} has {len(data)} bytes, but at most {MAX_IMAGE_BYTES} are read.")
    if not data.startswith(_PNG_MAGIC):
        raise MalformedError(f"{what} is not a PNG file.")
    return data


def masked_crc32c(data: bytes) -> int:
    """Return the checksum of an event file's records: CRC-32C (RFC 3720, appendix B.4), masked as TensorFlow does.

    TensorBoard computes the same in Python, at 4 MB/s, and while it does, no other thread runs.
    """
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
