"""Every message that crosses a file or HTTP: what it is called, what it holds, which version it has.

The rooms of the package meet here and nowhere else. Only the standard library is imported, so each side of the wire
(exporter with torch, viewer without) can load it. ``frontend/src/wire.ts`` is generated from this module
(``make wire``); ``codec.py`` turns each message into bytes and back.

A log directory holds *tags*, one per (kind, name), never one per layer. What is constant for a tag is its metadata,
small JSON in ``SummaryMetadata.plugin_data.content``; what changes with the step is the tag's value at that step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from layerscope.wire.explanation import MODALITIES as MODALITIES
from layerscope.wire.explanation import TRUST as TRUST
from layerscope.wire.explanation import AttributionMaps as AttributionMaps
from layerscope.wire.explanation import ProbeInput as ProbeInput
from layerscope.wire.explanation import SamplesBlob as SamplesBlob
from layerscope.wire.explanation import Surrogate as Surrogate
from layerscope.wire.explanation import TreeNode as TreeNode
from layerscope.wire.explanation import TrustScore as TrustScore
from layerscope.wire.finding import Finding as Finding
from layerscope.wire.finding import FindingsBlob as FindingsBlob
from layerscope.wire.finding import Unjudged as Unjudged
from layerscope.wire.graph import Comparison as Comparison
from layerscope.wire.graph import Edge as Edge
from layerscope.wire.graph import Fold as Fold
from layerscope.wire.graph import GraphBlob as GraphBlob
from layerscope.wire.graph import ModelGraph as ModelGraph
from layerscope.wire.graph import Node as Node
from layerscope.wire.graph import NodeComparison as NodeComparison
from layerscope.wire.numbers import MOMENTS as MOMENTS
from layerscope.wire.numbers import SERIES as SERIES
from layerscope.wire.numbers import STATISTICS as STATISTICS
from layerscope.wire.numbers import Measured as Measured
from layerscope.wire.numbers import Statistic as Statistic
from layerscope.wire.numbers import Statistics as Statistics
from layerscope.wire.units import LAYER_ARRAYS as LAYER_ARRAYS
from layerscope.wire.units import MaximizationImages as MaximizationImages
from layerscope.wire.units import MaximizationStep as MaximizationStep
from layerscope.wire.units import MaximizedUnit as MaximizedUnit
from layerscope.wire.units import TopSample as TopSample
from layerscope.wire.units import Unit as Unit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VERSION = 1
"""Version of this wire format. A reader shows what it can of a newer one and says so in words."""

PLUGIN = "layerscope"
"""Plugin name of small data (series, graph, samples), of which every step is kept; also the name in the URL."""

PLUGIN_BLOBS = "layerscope_blobs"
"""Plugin name of heavy data (attribution maps, images), of which TensorBoard keeps a bounded number of steps."""


@dataclass(frozen=True)
class Kind:
    """One kind of summary: under which plugin name and as which TensorBoard data class it is stored."""

    name: str
    plugin_name: str
    tensor: bool
    """True: one array a step (``DATA_CLASS_TENSOR``). False: byte strings (``DATA_CLASS_BLOB_SEQUENCE``)."""


KINDS: dict[str, Kind] = {
    "graph": Kind("graph", PLUGIN, tensor=False),
    "series": Kind("series", PLUGIN, tensor=True),
    "histograms": Kind("histograms", PLUGIN, tensor=True),
    "samples": Kind("samples", PLUGIN, tensor=False),
    "attribution": Kind("attribution", PLUGIN_BLOBS, tensor=False),
    "maximization": Kind("maximization", PLUGIN_BLOBS, tensor=False),
    "surrogate": Kind("surrogate", PLUGIN_BLOBS, tensor=False),
    "findings": Kind("findings", PLUGIN, tensor=False),
    **{kind: Kind(kind, PLUGIN_BLOBS, tensor=False) for kind in LAYER_ARRAYS},
}


# --- Metadata of a tag (constant for the tag) ----------------------------------------------------------------------


@dataclass(frozen=True)
class GraphMetadata:
    """Metadata of kind ``graph``. Values: [gzipped JSON of a GraphBlob, DOT as UTF-8]."""

    kind: str
    name: str
    version: int = VERSION


@dataclass(frozen=True)
class SeriesMetadata:
    """Metadata of kind ``series``. Values: float32 [layers, statistics]."""

    kind: str
    name: str
    layers: tuple[str, ...]
    owners: tuple[str, ...]
    statistics: tuple[Statistic, ...]
    version: int = VERSION


@dataclass(frozen=True)
class HistogramsMetadata:
    """Metadata of kind ``histograms``. Values: the number of elements in each bin, float32 [layers, bins].

    As most are 0, they are stored as uint8 [n]: [bits, one for each count, whether it is not 0; then those float32].
    """

    kind: str
    name: str
    layers: tuple[str, ...]
    owners: tuple[str, ...]
    edges: tuple[float, ...]
    version: int = VERSION


@dataclass(frozen=True)
class SamplesMetadata:
    """Metadata of kind ``samples``: the probe inputs. Values: [safetensors, JSON of a SamplesBlob].

    The tensors are ``0``, ``1``, ... batch first. The second blob may be missing. Written once for each probe set and
    again only when its content changes.
    """

    kind: str
    name: str
    version: int = VERSION


@dataclass(frozen=True)
class AttributionMetadata:
    """Metadata of kind ``attribution``; its name is the method, after ``<samples>/`` unless samples is ``probe``.

    Values: [safetensors]. Tensor ``layer:<key>`` is float16, or float32 where float16 would lose digits, [samples, ...]
    at the layer's own resolution with the channels summed away; tensors ``targets`` int64 [samples], ``probabilities``
    float32 [samples] (softmax of the target) and, where the method defines it, ``delta`` float32 [samples]
    (completeness gap). Tensor ``input:<i>`` is the attribution of the i-th input tensor, in the same form, and
    ``trust:<name>`` float32 [samples] a score of ``TRUST``; only where there are any. Tensor ``notes`` uint8 is what to
    know before trusting it, as UTF-8, a line for each.
    """

    kind: str
    name: str
    method: str
    samples: str
    """Name of the tag of kind ``samples`` that holds the inputs."""
    signed: bool
    """True: red supports, blue opposes, neutral at 0. False: magnitudes."""
    layers: tuple[str, ...]
    inputs: tuple[int, ...] = ()
    """Which input tensors have attributions."""
    version: int = VERSION


@dataclass(frozen=True)
class MaximizationMetadata:
    """Metadata of kind ``maximization``. Values: [JSON of a MaximizationStep, then one PNG for each unit].

    Where the inputs are no images, there is one more blob instead of the PNGs, safetensors: the arrays ``0``, ``1``,
    ... one for each unit, [time, variables] or [features], as the model is given them. Of tokens there is none.
    """

    kind: str
    name: str
    units: tuple[Unit, ...]
    modality: str = "image"
    """A key of ``MODALITIES``."""
    samples: str = ""
    """Name of the tag of kind ``samples`` to which top samples belong; "" where there are none."""
    version: int = VERSION


@dataclass(frozen=True)
class LayerArraysMetadata:
    """Metadata of the kinds in ``LAYER_ARRAYS``, which says what there is of each layer. Values: [safetensors]."""

    kind: str
    name: str
    """Of the probe set; ``parameters`` for the kind ``weight``."""
    layers: tuple[str, ...]
    """Layer keys; for the kind ``weight`` qualified parameter names."""
    owners: tuple[str, ...]
    """[layers]: the layer key to which each belongs."""
    samples: str = ""
    """Name of the tag of kind ``samples`` that holds the inputs, "" for the kind ``weight``."""
    version: int = VERSION


@dataclass(frozen=True)
class SurrogateMetadata:
    """Metadata of kind ``surrogate``; its name is ``<what it sees>/<surrogate>``. Values: [JSON of a Surrogate]."""

    kind: str
    name: str
    version: int = VERSION


@dataclass(frozen=True)
class FindingsMetadata:
    """Metadata of kind ``findings``. Values: [JSON of a FindingsBlob].

    A value holds what was found since the one before (in logs of older versions everything since the writer began), so
    all of them together are what was found. An empty one says that the detectors run.
    """

    kind: str
    name: str
    version: int = VERSION


Metadata = (
    GraphMetadata
    | SeriesMetadata
    | HistogramsMetadata
    | SamplesMetadata
    | AttributionMetadata
    | MaximizationMetadata
    | SurrogateMetadata
    | FindingsMetadata
    | LayerArraysMetadata
)

METADATA: dict[str, Any] = {
    "graph": GraphMetadata,
    "series": SeriesMetadata,
    "histograms": HistogramsMetadata,
    "samples": SamplesMetadata,
    "attribution": AttributionMetadata,
    "maximization": MaximizationMetadata,
    "surrogate": SurrogateMetadata,
    "findings": FindingsMetadata,
    **dict.fromkeys(LAYER_ARRAYS, LayerArraysMetadata),
}


# --- HTTP answers (see viewing/http_api.md) ------------------------------------------------------------------------


@dataclass(frozen=True)
class RunListing:
    """Answer of ``/runs``: the names of the runs that hold anything of ours, sorted."""

    runs: tuple[str, ...]
    version: int = VERSION


@dataclass(frozen=True)
class TagEntry:
    """One tag of a run: what it is and, for blobs, at which steps it can be read."""

    tag: str
    kind: str
    metadata: Metadata | None
    """None if it cannot be read; then ``problem`` says why."""
    steps: tuple[int, ...] = ()
    """Steps that are there, ascending; empty for kinds that are arrays (their steps come with the array)."""
    problem: str = ""
    max_step: int | None = None
    """The largest step; None where there is none. With ``max_wall_time`` it tells whether the tag has grown."""
    max_wall_time: float | None = None
    """When the last value was written, in seconds since 1970; None where there is none."""


@dataclass(frozen=True)
class TagListing:
    """Answer of ``/tags``: everything one run holds."""

    run: str
    tags: tuple[TagEntry, ...]
    scalars: tuple[str, ...]
    """Tags of the user's own scalars in this run (loss, accuracy, ...)."""
    version: int = VERSION


@dataclass(frozen=True)
class FindingsListing:
    """Answer of ``/findings``: what is wrong in one run, in order of step."""

    run: str
    findings: tuple[Finding, ...]
    examined: bool
    """Whether anything was recorded that detectors look at; False: nothing is known, not even that all is well."""
    unjudged: tuple[Unjudged, ...] = ()
    """What no detector could judge, and why."""
    version: int = VERSION


@dataclass(frozen=True)
class ComparisonListing:
    """Answer of ``/comparison``: the structure of one run and that of another, node by node."""

    run: str
    other: str
    nodes: tuple[NodeComparison, ...]
    """``a`` is a node of ``run``, ``b`` one of ``other``."""
    version: int = VERSION


HTTP_MESSAGES = (RunListing, TagListing, FindingsListing, ComparisonListing)

# --- What layerscope.read() returns --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Series:
    """A series as it was recorded: one array per step, stacked.

    ``values[:, layers.index("conv1"), statistics.index("norm")]`` is one curve over ``steps``.
    """

    steps: NDArray[np.int64]
    """[steps]: the steps at which it was recorded, ascending."""
    layers: tuple[str, ...]
    """Row names: layer keys, and, in series of parameters, qualified parameter names (``conv1.weight``)."""
    statistics: tuple[str, ...]
    """Column names, keys of ``STATISTICS``, which tells what each is."""
    values: NDArray[np.float32]
    """[steps, layers, statistics]; NaN where there was nothing to measure."""
    histogram: NDArray[np.float32] | None = None
    """[histogram_steps, layers, bins], or None."""
    histogram_steps: NDArray[np.int64] | None = None
    edges: tuple[float, ...] = ()
    owners: tuple[str, ...] = ()
    """[layers]: the layer key that each row belongs to."""


LayerArrays = dict[str, dict[int, dict[str, "dict[str, NDArray[Any]]"]]]
"""Name of the tag -> step -> layer (or parameter) -> array name in ``LAYER_ARRAYS`` -> array."""


@dataclass(frozen=True)
class Run:
    """Everything that one run of a log directory holds of ours, and the user's scalars."""

    name: str
    """The directory below the log directory; "." if that is itself the run."""
    graph: ModelGraph | None = None
    """The structure; None if it was not recorded."""
    series: dict[str, Series] = field(default_factory=dict)
    """Name, mostly one in ``SERIES`` (``gradients``, ``updates``, ...) -> what was recorded."""
    samples: dict[str, tuple[NDArray[Any], ...]] = field(default_factory=dict)
    """Probe set -> its inputs, batch first."""
    descriptions: dict[str, SamplesBlob] = field(default_factory=dict)
    """Probe set -> how to read its inputs."""
    attributions: dict[str, dict[int, AttributionMaps]] = field(default_factory=dict)
    """Method (after ``<samples>/`` for a probe set that is not called ``probe``) -> step -> maps."""
    maximizations: dict[int, MaximizationImages] = field(default_factory=dict)
    """Step -> images."""
    activations: LayerArrays = field(default_factory=dict)
    """Probe set -> step -> layer -> ``values``, ``channels``, ``strength`` and ``size``, see ``LAYER_ARRAYS``."""
    weights: LayerArrays = field(default_factory=dict)
    """``parameters`` -> step -> qualified parameter name -> ``values`` and ``shape``."""
    attention: LayerArrays = field(default_factory=dict)
    """Probe set -> step -> layer -> ``values``."""
    embeddings: LayerArrays = field(default_factory=dict)
    """Probe set -> step -> layer -> ``values`` and ``explained``."""
    surrogates: dict[str, dict[int, Surrogate]] = field(default_factory=dict)
    """``<what it sees>/<surrogate>`` -> step -> surrogate."""
    scalars: dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]] = field(default_factory=dict)
    """Tag -> (steps, values)."""
    findings: tuple[Finding, ...] = ()
    """What is wrong, in order of step, as the detectors of the exporter wrote it. Jumps of a loss are not among it:
    they are looked for when a log is read, by ``layerscope inspect`` and the tab."""
    examined: bool = False
    """Whether the detectors of the exporter have looked: then no findings say that they found nothing."""
    problems: tuple[str, ...] = ()
    """What could not be read, in words."""
