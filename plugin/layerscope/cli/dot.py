"""``layerscope dot``: prints a recorded structure."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import layerscope
from layerscope.cli.commands import Commands
from layerscope.errors import InvalidArgumentError, NotFoundError
from layerscope.wire import ModelGraph


def add(commands: Commands) -> None:
    """Add the command."""
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
