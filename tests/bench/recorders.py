"""What people record gradients with, each as a function that is called when the gradients are there.

Every maker takes a training and a directory, and is a context manager, so that nothing of it stays for the next.
"""

from __future__ import annotations

import os
import statistics
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import torch
from torch.utils.tensorboard import SummaryWriter

from bench.training_models import Training

Recorder = Callable[[Training, Path], AbstractContextManager[Callable[[], object]]]


@contextmanager
def sums(training: Training, directory: Path) -> Iterator[Callable[[], object]]:
    """``sum()`` of every gradient: each is read once, which is the least that a recorder can do."""
    gradients = training.gradients()
    yield lambda: [gradient.sum() for gradient in gradients]


@contextmanager
def norms(training: Training, directory: Path) -> Iterator[Callable[[], object]]:
    """``torch._foreach_norm``, as ``clip_grad_norm_`` computes them."""
    gradients = training.gradients()
    yield lambda: torch._foreach_norm(gradients)


@contextmanager
def gradient_histograms(training: Training, directory: Path) -> Iterator[Callable[[], object]]:
    """``SummaryWriter.add_histogram`` for the gradient of every parameter."""
    with SummaryWriter(str(directory)) as writer:

        def record() -> None:
            for name, parameter in training.model.named_parameters():
                writer.add_histogram(f"gradients/{name}", parameter.grad, 0)

        yield record


@contextmanager
def weight_histograms(training: Training, directory: Path) -> Iterator[Callable[[], object]]:
    """``SummaryWriter.add_histogram`` for every parameter."""
    with SummaryWriter(str(directory)) as writer:

        def record() -> None:
            for name, parameter in training.model.named_parameters():
                writer.add_histogram(f"parameters/{name}", parameter, 0)

        yield record


@contextmanager
def wandb_watch(training: Training, directory: Path) -> Iterator[Callable[[], object]]:
    """``wandb.watch(model, log="gradients", log_freq=1)``: what its hooks do in a backward, and the ``log`` of a step.

    Offline: it writes its file and reaches no network. What wandb's own process does besides is not counted.
    """
    os.environ["WANDB_ERROR_REPORTING"] = "false"  # is read when it is imported
    import wandb

    settings = wandb.Settings(console="off", silent=True, x_disable_meta=True, x_disable_stats=True)
    with wandb.init(mode="offline", project="bench", dir=directory, settings=settings) as run:
        run.watch(training.model, log="gradients", log_freq=1)

        def record() -> None:
            for parameter in training.model.parameters():
                for hook in (parameter._backward_hooks or {}).values():
                    hook(parameter.grad)
            run.log({"loss": 0.0})

        yield record
        run.unwatch(training.model)


PEERS: dict[str, tuple[Recorder, int]] = {
    "`sum()` of every gradient (the limit)": (sums, 9),
    "`torch._foreach_norm` of the gradients": (norms, 9),
    "`SummaryWriter.add_histogram` of every gradient": (gradient_histograms, 2),
    "`SummaryWriter.add_histogram` of every parameter besides": (weight_histograms, 1),
    '`wandb.watch(model, log="gradients", log_freq=1)`': (wandb_watch, 3),
}
"""What else is done with gradients -> how, and how many calls are counted after one that is not."""


def torchexplorer_adds(training: Training, plain: Training, options: dict[str, object]) -> tuple[float, float]:
    """Return the CPU seconds that TorchExplorer adds to a step that it logs, and to one that it only watches.

    It computes and lays out but writes nothing (``backend="none"``). Its hooks stay on the model of ``training``; steps
    of ``plain``, which is the same without them, are taken in turns.
    """
    import torchexplorer

    torchexplorer.watch(training.model, log_freq=2, backend="none", verbose=False, **options)
    for _ in range(2):  # the first of each sort: it extracts the structure
        training.step()
    added = [training.seconds() - plain.seconds() for _ in range(4)]
    return statistics.median(added[::2]), statistics.median(added[1::2])


@contextmanager
def quiet() -> Iterator[None]:
    """Let pass what others warn of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
