"""``layerscope inspect``: prints what is wrong in recorded trainings."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from pathlib import Path

import layerscope
from layerscope import codec, wire
from layerscope.cli.commands import Commands
from layerscope.cli.terminal import printable
from layerscope.errors import InvalidArgumentError, NotFoundError
from layerscope.findings import EXAMINED, examine, is_loss, unjudged

FOUND = 3
"""Exit status if anything was found."""

_WIDTH = 100


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "inspect",
        help="print what is wrong in a recorded training, in which layer, from which step on",
        description="Prints the findings of each run in a log directory: vanishing and exploding gradients, dead and "
        "saturated units, layers that do not learn, the first layer that makes NaN, jumps of the loss and more, each "
        "with step, layer and evidence; what could not be judged yet, and why; and the rules of what was found, with "
        "their sources. The step is the one at which the evidence was complete. Torch is not needed.",
        epilog="Exit status: 0 if nothing was found, 3 if something was, 2 if no run holds anything that could be "
        "examined or what was asked for is not there. Example: layerscope inspect runs --run digits",
    )
    parser.add_argument("logdir", type=Path, metavar="LOGDIR", help="log directory, as given to tensorboard --logdir")
    parser.add_argument("--run", help="only this run (default: all)")
    parser.add_argument(
        "--json", action="store_true", help="print one FindingsListing for each run, in JSON, a line for each"
    )
    parser.set_defaults(command=_inspect)


def _inspect(arguments: argparse.Namespace) -> int:
    runs = layerscope.read(arguments.logdir)
    if arguments.run is not None and arguments.run not in runs:
        raise NotFoundError("run", arguments.run, sorted(runs), where=f"log directory {arguments.logdir}")
    chosen = sorted(runs) if arguments.run is None else [arguments.run]
    listings = [_listing(runs[name]) for name in chosen]
    for listing in listings:
        if arguments.json:
            print(codec.to_json(listing).decode())
        else:
            print("\n".join(_described(listing, runs[listing.run])))
    if not arguments.json:
        print("\n".join(_rules(listings)), end="")
    if not any(listing.examined for listing in listings):
        raise InvalidArgumentError(
            f"findings were asked for, but nothing that could be examined is recorded in {', '.join(chosen)} of "
            f"{arguments.logdir}. scope.watch(optimizer) or scope.gradients(step) record it."
        )
    return FOUND if any(listing.findings for listing in listings) else 0


def _listing(run: wire.Run) -> wire.FindingsListing:
    findings = examine(run)
    examined = run.examined or bool(findings) or not EXAMINED.isdisjoint(run.series) or any(map(is_loss, run.scalars))
    records = {name: len(series.steps) for name, series in run.series.items()}
    return wire.FindingsListing(run.name, findings, examined, unjudged(records, run.scalars, findings))


def _described(listing: wire.FindingsListing, run: wire.Run) -> list[str]:
    lines = [f"run {printable(listing.run)}"]
    if listing.findings:
        for finding in listing.findings:
            lines += ["", *_finding(finding)]
        lines.append("")
    elif listing.examined:
        lines.append("  no findings")
    else:
        lines.append("  nothing was recorded that could be examined")
    if listing.examined:
        lines += _unjudged(listing)
    lines += [f"  not read: {printable(problem)}" for problem in run.problems]
    return [*lines, ""] if lines[-1] else lines


def _unjudged(listing: wire.FindingsListing) -> list[str]:
    """Return a line for each reason for which detectors could not find anything."""
    lines = (f"not judged: {', '.join(one.detectors)} ({one.reason})" for one in listing.unjudged)
    return [part for line in lines for part in _wrapped(line, "  ")]


def _rules(listings: Sequence[wire.FindingsListing]) -> list[str]:
    """Return the rules of all that was found, each once."""
    told = {(found.detector, found.rule, found.source): None for listing in listings for found in listing.findings}
    lines = ["rules"] if told else []
    for detector, rule, source in told:
        lines += _wrapped(f"{detector}: {rule}", "  ") + _wrapped(f"source: {source}", " " * 6)
    return [*lines, ""] if told else []


def _finding(finding: wire.Finding) -> list[str]:
    place = printable(finding.layer) or "the model"
    if finding.row not in ("", finding.layer):
        place += f" ({printable(finding.row)})"
    evidence = ", ".join(f"{printable(name)} {_number(value)}" for name, value in finding.evidence.items())
    parts = (
        ("", finding.message),
        ("evidence: ", evidence),
        ("others: ", ", ".join(finding.others)),
    )
    head = f"  step {finding.step:<8} {printable(finding.severity).upper():8} {printable(finding.detector)}  {place}"
    return [head, *(line for name, text in parts if text for line in _wrapped(f"{name}{text}", " " * 6))]


def _number(value: float) -> str:
    """Return a number of an evidence: counts and steps in full."""
    return f"{value:.0f}" if value.is_integer() and abs(value) < 2**53 else f"{value:.4g}"


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        printable(text), _WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False
    )
