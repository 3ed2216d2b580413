"""One process of a replay: python replaying.py DIRECTORY RANK. Leaves logs there, and what was raised as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

import layerscope
import replayed_training as training


def main() -> None:
    torch.set_num_threads(1)
    directory, rank = Path(sys.argv[1]), int(sys.argv[2])
    dist.init_process_group("gloo", init_method=f"file://{directory}/meeting", rank=rank, world_size=2)
    x, labels = training.probe()
    model = training.build()
    before = training.build().state_dict()
    said: dict[str, str] = {}

    def replay(name: str, checkpoints: Any, **options: Any) -> None:
        try:
            layerscope.replay(model, checkpoints, directory / name, x, labels, **(training.options() | options))
        except Exception as error:
            said[name] = f"{type(error).__name__}: {error}"

    given: dict[int, Any] = {step: training.checkpoint(step) for step in training.STEPS}
    replay("checkpoints", given)
    replay("samples", {5: given[5]})
    replay("broken", given | {20: {"other": torch.zeros(1)}}, methods=[], maximize=False)
    replay("taken", given, methods=[])  # rank 0 alone looks
    replay("again", given, methods=[], activations=False, maximize=False)
    said["weights"] = str(all(torch.equal(value, before[name]) for name, value in model.state_dict().items()))
    said["initialized"] = str(dist.is_initialized())
    (directory / f"{rank}.json").write_text(json.dumps(said))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
