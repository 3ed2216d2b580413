"""One process of a distributed training: python process.py SCENARIO DIRECTORY RANK, or SCENARIO DIRECTORY by torchrun.

What the tests look at is left in the directory: logs, and for each rank a JSON file of what the scenario returned.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.tensorboard import SummaryWriter

import layerscope
import split_training as training
from layerscope import Scope
from layerscope.probing import gathering, ranks
from layerscope.probing.ranks import ShardMeasuring
from layerscope.probing.sharding import counted

Notes = dict[str, Any]
RANKS = 2


class CountingGroup(dist.ProcessGroupGloo):
    """Counts what Layerscope asks of its own connections, whatever it is."""

    called: ClassVar[Counter[str]] = Counter()

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_"):
            CountingGroup.called[name] += 1
        return super().__getattribute__(name)


class CountingMode(TorchDispatchMode):
    """Counts the collectives of all other process groups."""

    collectives = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.collectives += "c10d" in function.namespace
        return function(*args, **(kwargs or {}))


@contextmanager
def counting() -> Iterator[tuple[CountingMode, Counter[str]]]:
    group, dist.ProcessGroupGloo = dist.ProcessGroupGloo, CountingGroup
    CountingGroup.called.clear()
    try:
        with CountingMode() as mode:
            yield mode, CountingGroup.called
    finally:
        dist.ProcessGroupGloo = group


def sharded(mesh: Any = None) -> nn.Module:
    model = training.model()
    for layer in model:
        if list(layer.parameters()):
            fully_shard(layer, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def train(model: nn.Module, rank: int, *, steps: int = training.STEPS, scope: Scope | None = None, **watch: Any) -> Any:
    optimizer = training.optimizer(model)
    if scope is not None:
        scope.watch(optimizer, **({"every": training.EVERY} | watch))
    for step in range(steps):
        training.loss(model, *training.part(step, rank, RANKS)).backward()
        optimizer.step()
        optimizer.zero_grad()
    return [parameter.detach() for parameter in model.parameters()]


def counts(rank: int) -> dict[str, float]:
    """Return the sum of what counts on this rank of a tensor of 7 x 3, placed in every way."""
    mesh = init_device_mesh("cpu", (RANKS,))
    whole = torch.arange(21.0).reshape(7, 3)
    placed = {
        "whole": whole,
        "rows": distribute_tensor(whole, mesh, [Shard(0)]),
        "columns": distribute_tensor(whole, mesh, [Shard(1)]),
        "replicas": distribute_tensor(whole, mesh, [Replicate()]),
        "partial sums": DTensor.from_local(whole * (rank + 1) / 3, mesh, [Partial()]),
    }
    return {name: float(counted(tensor).sum()) for name, tensor in placed.items()}


def equal(directory: Path, rank: int) -> Notes:
    """Record each kind of training."""
    notes: Notes = {"counts": counts(rank)}
    with counting() as (unobserved, _):
        before = train(sharded(), rank)
    model = sharded()
    with counting() as (observed, ours), Scope(model, directory / "fsdp", strict=True) as scope:
        scope.reference()
        after = train(model, rank, scope=scope)
    notes["ours"] = dict(ours)
    notes["training's own"] = [unobserved.collectives, observed.collectives]
    notes["same bits"] = [torch.equal(a.to_local(), b.to_local()) for a, b in zip(before, after, strict=True)]

    queries = iter(range(1_000_000))
    arrived = ShardMeasuring.arrived_here
    ShardMeasuring.arrived_here = property(lambda _: next(queries) // 7 % 2 == rank)  # at some time
    with Scope(model := sharded(), directory / "late", strict=True) as scope:
        scope.reference()
        train(model, rank, scope=scope)
    ShardMeasuring.arrived_here = arrived

    model = sharded(init_device_mesh("cpu", (2, 1), mesh_dim_names=("replicate", "shard")))
    with Scope(model, directory / "hsdp", strict=True) as scope:
        scope.reference(training.checkpoint())
        train(model, rank, scope=scope)

    model = sharded()
    optimizer = training.optimizer(model)
    with Scope(model, directory / "calls", strict=True) as scope:
        scope.reference(training.checkpoint())
        for step in range(3):
            training.loss(model, *training.part(step, rank, RANKS)).backward()
            with scope.step(optimizer, step):
                optimizer.step()
            found = layerscope.gradients(model), layerscope.parameters(model)
            optimizer.zero_grad()
    notes["functions"] = [statistics.values.tolist() for statistics in found]
    model.set_reshard_after_backward(False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scope = Scope(model, directory / "gathered")
        scope.parameters(0)
        scope.watch(optimizer, step=10, every={"training_activations": 0, "activation_gradients": 0})
        training.loss(model, *training.part(3, rank, RANKS)).backward()
        scope.parameters(1)
        optimizer.step()
        model.set_reshard_after_backward(True)
        training.loss(model, *training.part(4, rank, RANKS)).backward()
        optimizer.step()
        scope.close()
    notes["gathered"] = [str(warning.message) for warning in caught]

    ddp = DistributedDataParallel(training.model())
    with Scope(ddp.module, directory / "ddp" if rank == 0 else None, strict=True) as scope:
        scope.reference()
        train(ddp, rank, scope=scope)

    ddp = DistributedDataParallel(training.model())
    optimizer = training.optimizer(ddp)
    with SummaryWriter(directory / f"user {rank}") as user, Scope(ddp, user, strict=True) as scope:
        scope.watch(optimizer, every=training.EVERY)
        for step in range(training.STEPS):
            x, y = training.part(step, rank, RANKS)
            for i in range(2):  # two accumulated passes, of which only the last exchanges gradients
                with ddp.no_sync() if i == 0 else nullcontext():
                    (training.loss(ddp, x[i::2], y[i::2]) / 2).backward()
            optimizer.step()
            optimizer.zero_grad()

    model = sharded()
    with counting() as (_, ours), Scope(model, directory / "thinned", strict=True) as scope:
        train(model, rank, steps=120, scope=scope, every=1, max_bytes=400_000)
    notes["thinned"] = dict(ours)
    return notes


def apart(directory: Path, rank: int) -> Notes:
    """Let ranks come apart in every way, and train on; at last without any process group."""
    notes: Notes = {}

    def record(name: str, scope: Scope, model: nn.Module, **watch: Any) -> None:
        begun = time.monotonic()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            train(model, rank, scope=scope, **watch)
            scope.close()
        notes[name] = {"said": [str(warning.message) for warning in caught], "seconds": time.monotonic() - begun}

    add, calls = ShardMeasuring.add, iter(range(1000))

    def failing(self: ShardMeasuring, tensors: Any) -> Any:
        if next(calls) == 3 and rank == 1:
            raise RuntimeError("out of everything")
        return add(self, tensors)

    ShardMeasuring.add = failing
    model = sharded()
    record("fails", Scope(model, directory / "fails"), model, every={"parameters": 0, "updates": 0})
    ShardMeasuring.add = add

    model = sharded()
    other = {"gradients": 1, "parameters": 5 if rank else 0, "updates": 0, "histograms": 0}
    record("differs", Scope(model, directory / "differs"), model, every=other)

    ranks.WAIT_SECONDS = gathering.CONNECT_SECONDS = 1
    model = sharded()
    fewer = {"parameters": 0, "updates": 0, "gradients": 1 if rank else 2, "histograms": 0}
    record("fewer", Scope(model, directory / "fewer"), model, every=fewer)

    model = sharded()
    if rank == 0:
        record("alone", Scope(model, directory / "alone"), model)
    else:
        train(model, rank)

    model = sharded()
    scope = Scope(model, directory / "destroyed", strict=True)
    train(model, rank, scope=scope)
    dist.destroy_process_group()
    scope.close()
    return notes


def killed(directory: Path, rank: int) -> Notes:
    """End one rank in the middle, between a backward pass and the step."""
    model = sharded()
    optimizer = training.optimizer(model)
    begun, failure = time.monotonic(), ""
    try:
        with Scope(model, directory / "killed", strict=False) as scope:
            scope.watch(optimizer, every=training.EVERY)
            for step in range(training.STEPS):
                training.loss(model, *training.part(step, rank, RANKS)).backward()
                if step == 6:
                    begun = time.monotonic()
                    if str(rank) == os.environ["VICTIM"]:
                        os.kill(os.getpid(), signal.SIGKILL)
                optimizer.step()
                optimizer.zero_grad()
    except RuntimeError as error:
        failure = str(error)
    return {"failure": failure, "seconds": time.monotonic() - begun}


SCENARIOS = {scenario.__name__: scenario for scenario in (equal, apart, killed)}


def main() -> None:
    torch.set_num_threads(1)
    directory = Path(sys.argv[2])
    if len(sys.argv) > 3:
        rank = int(sys.argv[3])
        dist.init_process_group("gloo", init_method=f"file://{directory}/meeting", rank=rank, world_size=RANKS)
    else:
        dist.init_process_group("gloo")
        rank = dist.get_rank()
    notes = SCENARIOS[sys.argv[1]](directory, rank)
    (directory / f"{rank}.json").write_text(json.dumps(notes))
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
