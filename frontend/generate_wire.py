"""Writes src/wire.ts, the TypeScript mirror of layerscope.wire; with --check, fails if it is out of date."""

from __future__ import annotations

import dataclasses
import json
import sys
import types
import typing
from pathlib import Path

from layerscope import wire

TARGET = Path(__file__).parent / "src" / "wire.ts"
# read() results and arrays stay in Python; these are the messages that reach the browser.
MESSAGES = (
    wire.Node,
    wire.Edge,
    wire.Fold,
    wire.GraphBlob,
    wire.Statistic,
    *dict.fromkeys(wire.METADATA.values()),
    wire.Unit,
    wire.TopSample,
    wire.MaximizationStep,
    wire.ProbeInput,
    wire.SamplesBlob,
    wire.TrustScore,
    wire.TreeNode,
    wire.Surrogate,
    wire.RunListing,
    wire.TagEntry,
    wire.TagListing,
    wire.Finding,
    wire.Unjudged,
    wire.FindingsListing,
    wire.NodeComparison,
    wire.ComparisonListing,
)
SCALARS = {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}


def typescript(hint: typing.Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in SCALARS:
        return SCALARS[hint]
    if origin is tuple:
        item = typescript(arguments[0])
        return f"({item})[]" if "|" in item else f"{item}[]"
    if origin is dict:
        return f"Record<string, {typescript(arguments[1])}>"
    if origin in (types.UnionType, typing.Union):
        return " | ".join(typescript(argument) for argument in arguments)
    return hint.__name__


def interface(message: type) -> str:
    hints = typing.get_type_hints(message)
    kinds = " | ".join(f'"{kind}"' for kind, metadata in wire.METADATA.items() if metadata is message)
    fields = [
        f"  {f.name}: {kinds if f.name == 'kind' and kinds else typescript(hints[f.name])};"
        for f in dataclasses.fields(message)
    ]
    return "\n".join([f"export interface {message.__name__} {{", *fields, "}"])


def generate() -> str:
    union = " | ".join(metadata.__name__ for metadata in dict.fromkeys(wire.METADATA.values()))
    trust = [f"  [{json.dumps(name)}, {json.dumps(dataclasses.asdict(score))}]," for name, score in wire.TRUST.items()]
    series = [f"  [{json.dumps(name)}, {json.dumps(measured.help)}]," for name, measured in wire.SERIES.items()]
    parts = [
        "// Generated from plugin/layerscope/wire/ by frontend/generate_wire.py (make wire). Do not edit.",
        f"export const VERSION = {wire.VERSION};",
        "\n".join(["export const SERIES: ReadonlyMap<string, string> = new Map([", *series, "]);"]),
        *map(interface, MESSAGES),
        "\n".join(["export const TRUST: ReadonlyMap<string, TrustScore> = new Map([", *trust, "]);"]),
        f"export type Metadata = {union};",
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    if "--check" not in sys.argv:
        TARGET.write_text(generate(), encoding="utf-8")
    elif TARGET.read_text(encoding="utf-8") != generate():
        sys.exit(f"{TARGET.name} is out of date with wire/: run `make wire` and commit the result.")
