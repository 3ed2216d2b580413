"""Answers requests with what ``Store`` reads. Few routes, by verb; http_api.md lists them.

A new kind of summary needs no new route, but its blobs need a row in ``_BLOBS``.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import werkzeug.utils
from tensorboard import errors as tensorboard_errors
from tensorboard import plugin_util
from tensorboard.backend import http_util
from tensorboard.data.provider import DataProvider
from werkzeug.wrappers import Request, Response

from layerscope import codec, wire
from layerscope.errors import InvalidArgumentError, LayerNotFoundError, LayerscopeError, NotFoundError
from layerscope.structure.comparing import compare
from layerscope.viewing.examining import Examiner
from layerscope.viewing.store import Store

STATIC = Path(__file__).parent / "static"
_YEAR = 365 * 24 * 3600
# Spelled out: on some machines the system's table of MIME types is wrong.
_MIME = {".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm", ".svg": "image/svg+xml"}

Answer = tuple[bytes, str]
"""Body and MIME type."""


def _graph_blob(blob: bytes, index: int, metadata: wire.Metadata) -> Answer:
    if index == 0:
        return codec.graph_json(codec.decode_graph(blob)), "application/json"
    return blob, "text/plain"


def _samples_blob(blob: bytes, index: int, metadata: wire.Metadata) -> Answer:
    if index == 0:
        return _arrays_blob(blob, index, metadata)
    return codec.to_json(codec.decode_samples(blob)), "application/json"


def _arrays_blob(blob: bytes, index: int, metadata: wire.Metadata) -> Answer:
    codec.decode_arrays(blob)
    return blob, "application/octet-stream"


def _maximization_blob(blob: bytes, index: int, metadata: wire.Metadata) -> Answer:
    assert isinstance(metadata, wire.MaximizationMetadata)
    if index == 0:
        return codec.to_json(codec.decode_maximization(blob, units=len(metadata.units))), "application/json"
    if metadata.modality != "image":
        return _arrays_blob(blob, index, metadata)
    return codec.check_png(blob), "image/png"


def _surrogate_blob(blob: bytes, index: int, metadata: wire.Metadata) -> Answer:
    return codec.to_json(codec.decode_surrogate(blob)), "application/json"


def _findings_blob(blob: bytes, index: int, metadata: wire.Metadata) -> Answer:
    return codec.to_json(codec.decode_findings(blob)), "application/json"


# Kind -> what checks one of its blobs and says how it is served. The type never comes from the request or the log.
_BLOBS: dict[str, Callable[[bytes, int, wire.Metadata], Answer]] = {
    "graph": _graph_blob,
    "samples": _samples_blob,
    "attribution": _arrays_blob,
    "maximization": _maximization_blob,
    "surrogate": _surrogate_blob,
    "findings": _findings_blob,
    **dict.fromkeys(wire.LAYER_ARRAYS, _arrays_blob),
}


class Routes:
    """The WSGI applications of the plugin, by path."""

    def __init__(self, provider: DataProvider) -> None:
        self._provider = provider
        self._known_runs: set[tuple[str, str, float | None]] = set()
        self._examiner = Examiner()

    def apps(self) -> dict[str, Callable[..., Any]]:
        """Return route -> WSGI application, as TensorBoard wants them."""
        return {
            "/runs": self._answering(_runs),
            "/tags": self._answering(_tags),
            "/array": self._answering(_array),
            "/blob": self._answering(_blob),
            "/findings": self._answering(self._findings),
            "/comparison": self._answering(_comparison),
            "/static/*": self._application(_static),
        }

    def _findings(self, store: Store, request: Request) -> Answer:
        return codec.to_json(self._examiner.listing(store, _argument(request, "run"))), "application/json"

    def _answering(self, answer: Callable[[Store, Request], Answer]) -> Callable[..., Any]:
        def respond(request: Request) -> Response:
            store = Store(
                self._provider,
                plugin_util.context(request.environ),
                plugin_util.experiment_id(request.environ),
                self._known_runs,
            )
            body, mime = answer(store, request)
            return http_util.Respond(request, body, mime)

        return self._application(respond)

    def _application(self, respond: Callable[[Request], Response]) -> Callable[..., Any]:
        @Request.application
        def application(request: Request) -> Response:
            if request.method not in ("GET", "HEAD"):
                return _refuse(request, 405, f"{request.method} was sent; all routes of Layerscope are GET.")
            try:
                return respond(request)
            except (NotFoundError, LayerNotFoundError, tensorboard_errors.NotFoundError) as error:
                return _refuse(request, 404, str(error))
            except LayerscopeError as error:
                return _refuse(request, 400, str(error))

        return application


def _refuse(request: Request, code: int, words: str) -> Response:
    return http_util.Respond(request, words, "text/plain", code=code)


def _argument(request: Request, name: str) -> str:
    value = request.args.get(name)
    if value is None:
        raise InvalidArgumentError(f"{request.path} needs the query argument {name!r}, but {_given(request)}.")
    return value


def _given(request: Request) -> str:
    names = [repr(name) for name in request.args]
    if not names:
        return "none is given"
    return f"what is given {'is' if len(names) == 1 else 'are'} {' and '.join(names)}"


def _integer(request: Request, name: str, default: str | None = None) -> int:
    text = request.args.get(name, default) if default is not None else _argument(request, name)
    try:
        return int(str(text))
    except ValueError:
        raise InvalidArgumentError(f"query argument {name!r} must be an integer, but is {text!r}.") from None


def _runs(store: Store, request: Request) -> Answer:
    return codec.to_json(wire.RunListing(tuple(store.runs()))), "application/json"


def _tags(store: Store, request: Request) -> Answer:
    return codec.to_json(store.tags(_argument(request, "run"))), "application/json"


def _array(store: Store, request: Request) -> Answer:
    run = _argument(request, "run")
    if ("tag" in request.args) == ("scalar" in request.args):
        raise InvalidArgumentError(f"{request.path} needs either 'tag' or 'scalar', but {_given(request)}.")
    if "scalar" in request.args:
        arrays = store.scalar(run, request.args["scalar"])
    else:
        after = _integer(request, "after") if "after" in request.args else None
        arrays = store.array(run, request.args["tag"], layers=request.args.getlist("layer"), after=after)
    body = codec.encode_arrays(
        {
            "steps": arrays.steps.astype(np.float64),  # JavaScript numbers: exact up to 2**53
            "wall_times": arrays.wall_times,
            "values": arrays.values,
        }
    )
    return body, "application/octet-stream"


def _blob(store: Store, request: Request) -> Answer:
    run, tag = _argument(request, "run"), _argument(request, "tag")
    step, index = _integer(request, "step"), _integer(request, "index", "0")
    metadata = store.metadata(run, tag)
    blob = store.blob(run, tag, step, index)
    return _BLOBS[metadata.kind](blob, index, metadata)


def _comparison(store: Store, request: Request) -> Answer:
    run, other = _argument(request, "run"), _argument(request, "other")
    compared = compare(_latest_graph(store, run), _latest_graph(store, other))
    return codec.to_json(wire.ComparisonListing(run, other, compared.nodes)), "application/json"


def _latest_graph(store: Store, run: str) -> wire.ModelGraph:
    """Return the graph that the tab shows of a run: the last one of its last tag."""
    listing = store.tags(run)
    held = [entry for entry in listing.tags if entry.kind == "graph" and entry.steps]
    if not held:
        kinds = sorted({entry.kind for entry in listing.tags})
        raise NotFoundError("tag of kind", "graph", kinds, where=f"run {run!r}")
    return codec.decode_graph(store.blob(run, held[-1].tag, held[-1].steps[-1]))


def _static(request: Request) -> Response:
    name = request.path.partition("/static/")[2]
    path = werkzeug.utils.safe_join(str(STATIC), name)
    if path is None or not Path(path).is_file():
        raise NotFoundError("file", name, [], where="the front end of Layerscope")
    suffix = Path(path).suffix
    mime = _MIME.get(suffix) or mimetypes.guess_type(path)[0] or "application/octet-stream"
    # Only index.js keeps its name from build to build; every other file carries a hash of its content.
    return http_util.Respond(request, Path(path).read_bytes(), mime, expires=0 if name == "index.js" else _YEAR)
