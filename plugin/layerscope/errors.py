"""The exceptions that Layerscope raises on purpose.

::

    LayerscopeError
    ├── MissingExtraError (ImportError)   a feature needs an extra that is not installed
    ├── LayerNotFoundError (KeyError)     no layer of that name; the nearest names are in the message
    ├── NotFoundError (LookupError)       a run, tag, step or file is not in the log directory
    │   └── NothingRecordedError          nothing at all is
    ├── TraceError                        the model's forward raised while it was traced
    ├── CaptureError                      a layer's activation or gradient could not be captured
    ├── RankError                         another process of a distributed training is gone, or records something else
    ├── InvalidArgumentError (ValueError) an argument breaks a rule; the message states the rule
    └── WireError (ValueError)            a message cannot be encoded or decoded
        ├── MalformedError                its bytes do not follow the format, or exceed a limit
        └── NewerVersionError             it was written by a newer version than this one

Every message says what was asked, the rule, what was given and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LayerscopeError(Exception):
    """Base of every exception that Layerscope raises on purpose."""


class MissingExtraError(LayerscopeError, ImportError):
    """A feature needs packages of an extra that is not installed."""

    def __init__(self, feature: str, extra: str, missing: str) -> None:
        super().__init__(
            f"{feature} needs the package {missing!r}, which is not installed. "
            f'Install the extra: pip install "layerscope[{extra}]"'
        )


class LayerNotFoundError(LayerscopeError, KeyError):
    """No layer has that key; the message lists the nearest ones."""

    def __init__(self, layer: str, known: Iterable[str]) -> None:
        known = list(known)
        near = difflib.get_close_matches(layer, known, n=3, cutoff=0.3) or known[:3]
        super().__init__(
            f"layer {layer!r} was asked for, but the model has no layer of that name. "
            f"Nearest of its {len(known)} layers: {', '.join(map(repr, near))}."
        )

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show the repr, with the quotes doubled


class NotFoundError(LayerscopeError, LookupError):
    """A log directory does not hold what was asked for; the message lists what it holds instead, if it holds any."""

    def __init__(self, what: str, asked: object, known: Iterable[object], *, where: str = "this log directory") -> None:
        known = [str(item) for item in known]
        listed = ", ".join(known[:8]) + (f", ... ({len(known)} in all)" if len(known) > 8 else "")
        others = f"; it has: {listed}" if known else ""
        super().__init__(f"{where} has no {what} {str(asked)!r}{others}.")


class NothingRecordedError(NotFoundError):
    """A log directory holds nothing that Layerscope wrote."""

    def __init__(self, logdir: str) -> None:
        LayerscopeError.__init__(
            self,
            f"nothing that Layerscope wrote lies in the log directory {logdir!r} or below it. A training records with "
            "layerscope.Scope(model, writer); what it writes is there once the writer is flushed or closed.",
        )


class TraceError(LayerscopeError):
    """The forward of the model raised while it was traced for a log directory."""


class CaptureError(LayerscopeError):
    """A layer's activation or gradient could not be captured."""


class RankError(LayerscopeError):
    """Another process of a distributed training is gone, or records something else."""


class InvalidArgumentError(LayerscopeError, ValueError):
    """An argument breaks a rule; the message states the rule."""


class WireError(LayerscopeError, ValueError):
    """A message cannot be encoded or decoded."""


class MalformedError(WireError):
    """The bytes do not follow the format, or exceed a limit."""


class NewerVersionError(WireError):
    """The message was written by a newer version than this one."""

    def __init__(self, what: str, version: int, supported: int) -> None:
        super().__init__(
            f"{what} was written in version {version} of the Layerscope format, but this viewer reads up to "
            f"version {supported}. Upgrade the viewer: pip install --upgrade layerscope"
        )
