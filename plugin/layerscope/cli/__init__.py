"""The ``layerscope`` command; each of its commands is one file."""

from __future__ import annotations

import argparse
import sys

import layerscope
from layerscope.cli import demo, dot, inspect, replay
from layerscope.cli.terminal import printable
from layerscope.errors import InvalidArgumentError, LayerscopeError, NotFoundError


def main(argv: list[str] | None = None) -> int:
    """Run the command with ``argv`` (default: the process's arguments) and return its exit status.

    0: done. 1: it failed. 2: what was asked for cannot be: an argument breaks a rule, or what it names is not there.
    3: ``inspect`` has found something wrong.
    """
    parser = argparse.ArgumentParser(
        prog="layerscope", description="See inside a PyTorch model while it trains, on a tab of TensorBoard."
    )
    parser.add_argument("--version", action="version", version=f"layerscope {layerscope.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    demo.add(commands)
    dot.add(commands)
    inspect.add(commands)
    replay.add(commands)
    arguments = parser.parse_args(argv)
    try:
        return arguments.command(arguments)
    except LayerscopeError as error:
        lines = map(printable, str(error).split("\n"))
        print("layerscope:", "\n".join(lines), file=sys.stderr)
        return 2 if isinstance(error, (InvalidArgumentError, NotFoundError)) else 1
