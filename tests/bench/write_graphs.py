"""Traces the large models and writes their graphs: ``python tests/bench/write_graphs.py DIRECTORY [NAME ...]``.

``DIRECTORY/<name>.json`` is a GraphBlob as the front end reads it; ``DIRECTORY/runs`` is a log directory with one run
for each model, for ``tensorboard --logdir DIRECTORY/runs``.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from torch.utils.tensorboard import SummaryWriter

import layerscope
from bench.large_models import LARGE_MODELS
from layerscope import codec, wire
from layerscope.writing import MessageWriter


def write_graph(name: str, directory: Path) -> wire.ModelGraph:
    """Trace one model on the meta device and write its graph, as JSON and as a run."""
    model, args, kwargs = LARGE_MODELS[name].on_meta()
    graph = layerscope.trace(model, *args, **kwargs)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{name}.json").write_bytes(codec.graph_json(graph))
    run = directory / "runs" / name
    shutil.rmtree(run, ignore_errors=True)
    with SummaryWriter(str(run)) as writer:
        message_writer = MessageWriter(writer)
        message_writer.graph(graph)
        message_writer.close()
    return graph


def main() -> None:
    parser = argparse.ArgumentParser(description="Trace the large models and write their graphs.")
    parser.add_argument("directory", type=Path)
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"which models; all by default: {', '.join(LARGE_MODELS)}"
    )
    arguments = parser.parse_args()
    for name in arguments.names or LARGE_MODELS:
        start = time.process_time()
        graph = write_graph(name, arguments.directory)
        print(
            f"{name}: {len(graph.nodes)} nodes, {len(graph.edges)} edges, {len(graph.folds)} folds, "
            f"{graph.recorder or 'unknown recorder'}, {time.process_time() - start:.1f} s; {'; '.join(graph.warnings)}"
        )


if __name__ == "__main__":
    main()
