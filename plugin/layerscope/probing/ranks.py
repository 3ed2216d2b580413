"""Measures tensors that lie in shards on the processes of a distributed training, as FSDP2 makes them.

Each rank measures what counts there (see ``sharding.py``). What all have found in a step, for all series, goes to rank
0 in one gather (see ``gathering.py``) and is united there: moments of shards are united like those of chunks, and sums
add up. The tensors themselves stay where they are.
"""

from __future__ import annotations

import time
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from torch import nn

from layerscope.errors import InvalidArgumentError, RankError
from layerscope.probing.gathering import Connections, Gathering
from layerscope.probing.histogram import BINS
from layerscope.probing.measuring import Measuring
from layerscope.probing.moments import FIELDS, Moments, joined

WAIT_SECONDS = 30
"""How long the end of a recording waits for the other ranks."""

_MOMENTS = len(FIELDS)
_EVERYTHING = 2 * (len(FIELDS) + BINS) + 2 * 4
"""Numbers for each parameter, which make the two sizes of frames: of moments alone, as most steps have them; and of
gradients and parameters with histograms and all sums, more than which no step has."""


class ShardMeasuring(Measuring):
    """A ``Measuring`` on every rank, whose results are those of all of them together.

    Args:
        ranks: what gathers.
        with_histogram: count the elements of each bin too.
    """

    def __init__(self, ranks: Ranks, *, with_histogram: bool) -> None:
        super().__init__(with_histogram=with_histogram)
        self._ranks = ranks
        self._batch: Batch | None = None
        self._columns = len(FIELDS) + (BINS if with_histogram else 0)

    @property
    def size(self) -> int:
        """How many numbers go to rank 0."""
        return self._sets * self._columns + len(self._numbers)

    def send(self) -> None:
        """Begin to copy what lies on an accelerator, and take part in the next gather."""
        super().send()
        if self._batch is None:
            self._batch = self._ranks.enrol(self)

    @property
    def arrived(self) -> bool:
        """Whether the numbers of all ranks are here."""
        return self._batch is not None and self._batch.done

    @property
    def arrived_here(self) -> bool:
        """Whether the numbers of this rank are here."""
        return super().arrived

    def own(self) -> NDArray[np.float64]:
        """Return the numbers of this rank, in one dimension."""
        moments = super().result()
        rows = [moments.numbers]
        if self._columns > len(FIELDS):
            assert moments.histogram is not None
            rows.append(moments.histogram.astype(np.float64))
        return np.concatenate([np.concatenate(rows, axis=1).ravel(), np.array(super().numbers(), np.float64)])

    def result(self) -> Moments:
        """Return the moments of every set over all ranks."""
        parts: list[Moments] = []
        for numbers in self._gathered():
            rows = numbers[: self._sets * self._columns].reshape(self._sets, self._columns)
            counts = rows[:, len(FIELDS) :].astype(np.int64) if self._columns > len(FIELDS) else None
            parts.append(Moments(rows[:, : len(FIELDS)], counts))
        return joined(parts).united([range(i, len(parts) * self._sets, self._sets) for i in range(self._sets)])

    def numbers(self) -> list[float]:
        """Return the single numbers, which are sums, over all ranks."""
        return np.sum([numbers[self._sets * self._columns :] for numbers in self._gathered()], axis=0).tolist()

    def _gathered(self) -> list[NDArray[np.float64]]:
        self.send()
        assert self._batch is not None
        if not self._batch.done:
            self._ranks.settle()
        return self._batch.of(self)


class Batch:
    """What goes from all ranks to rank 0 in one gather."""

    def __init__(self) -> None:
        self.size = 0
        """How many numbers it is."""
        self.connections: Connections | None = None
        """Over which it goes."""
        self.failure: RankError | None = None
        """Why there will be none."""
        self.contents: list[str] = []
        """What it is of, which must be the same on all ranks."""
        self._measurings: dict[ShardMeasuring, slice] = {}
        self._gathering: Gathering | None = None
        self._arrays: list[NDArray[np.float64]] | None = None

    def add(self, measuring: ShardMeasuring) -> None:
        """Let a measuring, to which nothing is added afterwards, go along."""
        self._measurings[measuring] = slice(self.size, self.size + measuring.size)
        self.size += measuring.size

    def begin(self) -> bool:
        """Begin to gather if everything has arrived on this rank; return whether it is begun."""
        assert self.connections is not None
        if self._gathering is None and all(measuring.arrived_here for measuring in self._measurings):
            numbers = np.concatenate([measuring.own() for measuring in self._measurings])
            what = str([*self.contents, *((part.start, part.stop) for part in self._measurings.values())])
            self._gathering = self.connections.gather(numbers, what)
        return self._gathering is not None

    def finished(self) -> bool:
        """Take what has been gathered; return False if it is still under way.

        Raises:
            RankError: what ``Gathering.result`` says.
        """
        if self._gathering is None or not self._gathering.done:
            return False
        self._arrays = self._gathering.result()
        return True

    @property
    def done(self) -> bool:
        """Whether it is known what ``of`` gives, or that it gives nothing."""
        return self._arrays is not None or self.failure is not None

    def of(self, measuring: ShardMeasuring) -> list[NDArray[np.float64]]:
        """Return the numbers of one measuring, as every rank found them."""
        if self.failure is not None:
            raise self.failure
        assert self._arrays is not None
        return [array[self._measurings[measuring]] for array in self._arrays]


class Ranks:
    """The processes of a distributed training, and what goes from them to rank 0.

    Whatever happens to one of them, none waits for it, but for ``WAIT_SECONDS`` at the end. Where one fails, all stop
    to record what is sharded, and each says so.

    Args:
        everyone: it goes to all of them.
    """

    def __init__(self, *, everyone: bool = False) -> None:
        self._everyone = everyone
        self._failure: RankError | None = None
        self._connections: list[Connections] = []
        """The last are in use; those before are given up as soon as nothing is under way there."""
        self._parameters = 0
        self._description = ""
        self._batch = Batch()
        self._begun: deque[Batch] = deque()
        """Batches to which nothing is added any more, the oldest first."""

    def describe(self, model: nn.Module) -> None:
        """Take note of which parameters there are to record from now on."""
        shapes = [(name, tuple(parameter.shape)) for name, parameter in model.named_parameters()]
        self._description = str(zlib.crc32(str(shapes).encode()))
        self._parameters = len(shapes)

    @contextmanager
    def alike(self) -> Iterator[None]:
        """Run what all ranks do alike; if it fails on this one, the others are told that it does not go on.

        What is wrong with arguments is wrong on all of them, and recording goes on.
        """
        try:
            yield
        except Exception as error:
            if self._parameters and not isinstance(error, InvalidArgumentError):
                self._fail(RankError(f"recording failed on this rank: {error}"))
            raise

    def measuring(self, *, with_histogram: bool) -> ShardMeasuring:
        """Return what measures shards.

        Raises:
            RankError: something has failed before.
        """
        if self._failure is not None:
            raise self._failure
        return ShardMeasuring(self, with_histogram=with_histogram)

    def enrol(self, measuring: ShardMeasuring) -> Batch:
        """Let what was measured go along with the next gather."""
        if self._batch.size + measuring.size > _EVERYTHING * self._parameters:
            self.send()
        self._batch.add(measuring)
        return self._batch

    def note(self, content: str) -> None:
        """Say what was measured last, so that nothing else is taken for it."""
        self._batch.contents.append(content)

    def send(self) -> None:
        """Begin to gather what was measured since the last time; every rank must come here alike. Nothing waits.

        Only the first time all ranks wait for each other, to connect.

        Raises:
            RankError: another rank is gone, does not record, or records something else. From then on nothing is
                gathered any more.
        """
        if not self._begun and not self._batch.size:
            self._give_up_unused()
            return
        try:
            if self._batch.size:
                # Here, where all ranks come at one time, and not when the numbers have arrived from an accelerator.
                self._batch.connections = self._connected(self._batch.size)
                self._begun.append(self._batch)
                self._batch = Batch()
            while self._begun and self._begun[0].finished():
                self._begun.popleft()
            for batch in self._begun:
                if not batch.begin():
                    break
        except RankError as error:
            raise self._fail(error) from error

    def settle(self) -> None:
        """Wait until everything that was measured is there, but not for longer than ``WAIT_SECONDS``.

        Raises:
            RankError: as ``send``, or it takes too long.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        self.send()
        while self._begun:
            if time.monotonic() > deadline:
                raise self._fail(RankError(f"another rank has not answered for {WAIT_SECONDS} s"))
            time.sleep(0.0005)
            self.send()

    def close(self) -> None:
        """Give up the connections; nothing is gathered any more."""
        self._failure = self._failure or RankError("the scope was closed")
        self._give_up_unused()

    def _connected(self, size: int) -> Connections:
        if not self._connections or self._connections[-1].largest < size:
            sizes = (_MOMENTS * self._parameters, _EVERYTHING * self._parameters)
            self._connections.append(Connections(sizes, self._description, everyone=self._everyone))
        return self._connections[-1]

    def _fail(self, error: RankError) -> RankError:
        """Stop to gather; return what says so."""
        if self._failure is not None:
            return self._failure
        self._failure = RankError(f"{str(error).rstrip('.')}. From here on sharded parameters are not recorded")
        for batch in (*self._begun, self._batch):
            batch.failure = self._failure
        self._begun.clear()
        self._batch = Batch()
        if self._connections:
            self._connections[-1].leave()
        self._give_up_unused()
        return self._failure

    def _give_up_unused(self) -> None:
        unused = self._connections if self._failure is not None else self._connections[:-1]
        for connections in list(unused):
            if connections.close():
                self._connections.remove(connections)
