"""The ``layerscope`` command."""

from __future__ import annotations

import argparse
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import layerscope
from layerscope.errors import InvalidArgumentError, LayerscopeError, MissingExtraError, NotFoundError
from layerscope.wire import ModelGraph

if TYPE_CHECKING:
    _Commands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]  # pyright: ignore[reportPrivateUsage]


def main(argv: list[str] | None = None) -> int:
    """Run the command with ``argv`` (default: the process's arguments) and return its exit status.

    0: done. 1: it failed. 2: what was asked for cannot be: an argument breaks a rule, or what it names is not there.
    """
    parser = argparse.ArgumentParser(
        prog="layerscope", description="See inside a PyTorch model while it trains, on a tab of TensorBoard."
    )
    parser.add_argument("--version", action="version", version=f"layerscope {layerscope.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_demo(commands)
    _add_dot(commands)
    arguments = parser.parse_args(argv)
    try:
        return arguments.command(arguments)
    except LayerscopeError as error:
        print(f"layerscope: {error}", file=sys.stderr)
        return 2 if isinstance(error, (InvalidArgumentError, NotFoundError)) else 1


def _add_demo(commands: _Commands) -> None:
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


def _add_dot(commands: _Commands) -> None:
    parser = commands.add_parser(
        "dot",
        help="print the structure of a recorded model as Graphviz DOT",
        description="Prints the structure that scope.graph() recorded in a log directory as Graphviz DOT, or as JSON "
        "for Google's Model Explorer. Nodes are called as the layers are. Neither torch nor Graphviz is needed.",
        epilog="Example: layerscope dot runs --run digits --folded | dot -Tsvg > digits.svg",
    )
    parser.add_argument("logdir", type=Path, metavar="LOGDIR", help="log directory, as given to tensorboard --logdir")
    parser.add_argument("--run", help="the run to print; needed if several hold a structure")
    parser.add_argument(
        "--format", choices=("dot", "model-explorer"), default="dot", help="what to print (default: %(default)s)"
    )
    parser.add_argument(
        "--folded", action="store_true", help="dot: show what repeats once, in a box that says how often it does"
    )
    parser.add_argument(
        "--depth", type=int, metavar="N", help="dot: levels of modules to show; deeper ones are closed (default: all)"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write to FILE instead of standard output")
    parser.set_defaults(command=_dot)


def _dot(arguments: argparse.Namespace) -> int:
    graph = _recorded_graph(arguments.logdir, arguments.run)
    if arguments.format == "model-explorer":
        if arguments.folded or arguments.depth is not None:
            raise InvalidArgumentError(
                "--folded and --depth were given with --format model-explorer, but they shape DOT only: Model Explorer "
                "gets the whole structure and opens it layer by layer. Leave them out, or choose --format dot."
            )
        from layerscope.structure.model_explorer import to_model_explorer

        text = to_model_explorer(graph) + "\n"
    else:
        text = graph.to_dot(folded=arguments.folded, depth=arguments.depth)
    if arguments.output is None:
        sys.stdout.buffer.write(text.encode())  # DOT and JSON are UTF-8, whatever the terminal speaks
    else:
        try:
            arguments.output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InvalidArgumentError(
                f"--output {arguments.output} was asked for, but it cannot be written: {error.strerror}."
            ) from error
    return 0


def _recorded_graph(logdir: Path, run: str | None) -> ModelGraph:
    """Return the structure of ``run``, or of the only run that has one."""
    runs = layerscope.read(logdir)
    if run is not None and run not in runs:
        raise NotFoundError("run", run, sorted(runs), where=f"log directory {logdir}")
    asked = runs if run is None else {run: runs[run]}
    graphs = {name: found.graph for name, found in asked.items() if found.graph is not None}
    if not graphs:
        problems = "".join(f" {problem}" for found in asked.values() for problem in found.problems)
        raise InvalidArgumentError(
            f"a structure was asked for, but none is recorded in {', '.join(sorted(asked))} of {logdir}. "
            f"scope.graph() records one.{problems}"
        )
    if len(graphs) > 1:
        raise InvalidArgumentError(
            f"{len(graphs)} runs in {logdir} hold a structure, and one is printed at a time: choose it with --run. "
            f"They are: {', '.join(sorted(graphs))}."
        )
    return next(iter(graphs.values()))


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


if __name__ == "__main__":
    sys.exit(main())
