"""Writes what several processes have recorded into one event file, as one scope would have written it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from os import PathLike, fspath
from typing import Any

from layerscope import wire
from layerscope.probing.ranks import Ranks
from layerscope.recorder import Recorder
from layerscope.writing import MessageWriter
from layerscope.writing.message_log import Message

Write = Callable[[Iterable[Message]], None]


@contextmanager
def merging(logdir: str | PathLike[str] | None, graph: wire.ModelGraph | None) -> Iterator[Write]:
    """Yield what writes messages, in order of step, into an event file; nowhere if ``logdir`` is None.

    Args:
        logdir: where to.
        graph: the structure, for the detectors.
    """
    if logdir is None:
        yield lambda messages: None
        return
    with closing(_Merge(logdir, graph)) as merge:
        yield merge.write


class _Merge:
    """Writes samples once, and findings of its own: detectors must see all series, in the order of their steps."""

    def __init__(self, logdir: str | PathLike[str], graph: wire.ModelGraph | None) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._summary_writer = SummaryWriter(fspath(logdir))
        self._writer = MessageWriter(self._summary_writer)
        self._recorder = Recorder(self._writer, Ranks(), writes=True)
        self._recorder.examination.graph = graph
        self._samples: dict[wire.Metadata, Any] = {}

    def write(self, messages: Iterable[Message]) -> None:
        for message in messages:
            metadata = message.metadata
            if isinstance(metadata, wire.SeriesMetadata):
                names = tuple(statistic.name for statistic in metadata.statistics)
                values: Any = message.value
                statistics = wire.Statistics(metadata.layers, metadata.owners, names, values)
                self._recorder.write(metadata.name, statistics, message.step)
            elif isinstance(metadata, wire.SamplesMetadata):
                if self._samples.get(metadata) != message.value:
                    self._writer.forward(message)
                self._samples[metadata] = message.value
            elif not isinstance(metadata, wire.FindingsMetadata):
                self._writer.forward(message)

    def close(self) -> None:
        self._recorder.conclude()
        self._writer.close()
        self._summary_writer.close()
