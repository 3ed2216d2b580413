"""``layerscope demo``: trains a small network, records everything and shows it."""

from __future__ import annotations

import argparse
import socket
import threading
from pathlib import Path

from layerscope.cli.commands import Commands
from layerscope.errors import InvalidArgumentError, MissingExtraError


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "demo",
        help="train a small network on handwritten digits, record everything, and show it",
        description="Trains a small residual CNN on scikit-learn's handwritten digits (under a minute on one core), "
        "records structure, gradients, activations, attributions and activation-maximization images beside the loss, "
        "then starts TensorBoard and prints the address of the tab.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--logdir", type=Path, default=Path("runs"), help="log directory; the run is LOGDIR/digits")
    parser.add_argument("--port", type=int, default=None, help="port of TensorBoard; the first free one from 6006 on")
    parser.add_argument("--no-serve", action="store_true", help="only train and record; do not start TensorBoard")
    parser.set_defaults(command=_demo)


def _demo(arguments: argparse.Namespace) -> int:
    try:
        from layerscope import demo
    except ModuleNotFoundError as error:
        if error.name in ("torch", "torchview"):
            raise MissingExtraError("layerscope demo", "demo", error.name) from error
        raise
    if arguments.port and not arguments.no_serve:
        _require_free(arguments.port)  # before the training, not after it
    run = _fresh(arguments.logdir / "digits")
    print(f"Training a residual CNN on handwritten digits; recording into {run}")
    accuracy = demo.train(run)
    print(f"test accuracy {accuracy:.1%}")
    if arguments.no_serve:
        print(f"Show it with: tensorboard --logdir {arguments.logdir}")
    else:
        _serve(arguments.logdir, arguments.port)
    return 0


def _fresh(run: Path) -> Path:
    """Return ``run``, or ``run-2``, ``run-3``, ... if there is one already: nothing is overwritten."""
    taken, number = run, 1
    while taken.exists():
        number += 1
        taken = run.with_name(f"{run.name}-{number}")
    return taken


def _require_free(port: int) -> None:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("localhost", port))
        except OSError as error:
            raise InvalidArgumentError(
                f"port {port} was asked for, but it cannot be used: {error.strerror}. Choose another --port, or leave "
                "it out: the first free one from 6006 on is taken."
            ) from error


def _serve(logdir: Path, port: int | None) -> None:
    from tensorboard import program

    tensorboard = program.TensorBoard()
    tensorboard.configure(argv=[None, "--logdir", str(logdir), *([] if port is None else ["--port", str(port)])])
    address = tensorboard.launch()
    print(f"TensorBoard is serving the Layerscope tab at {address}#layerscope   (Ctrl+C ends it)", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print()
