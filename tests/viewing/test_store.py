"""What is asked of the data provider, and how often."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from torch.utils.tensorboard import SummaryWriter

import serving
from layerscope.viewing.store import Store
from layerscope.writing import MessageWriter


class _Asked(MultiplexerDataProvider):
    """Notes of which runs the tags are listed."""

    def __init__(self, logdir: Path) -> None:
        self.multiplexer = EventMultiplexer()
        super().__init__(self.multiplexer, str(logdir))
        self.logdir = logdir
        self.listed: list[list[str]] = []

    def reload(self) -> None:
        self.multiplexer.AddRunsFromDirectory(str(self.logdir))
        self.multiplexer.Reload()

    def list_tensors(self, ctx: Any = None, *, run_tag_filter: Any = None, **others: Any) -> Any:
        self.listed.append(sorted(run_tag_filter.runs))
        return super().list_tensors(ctx, run_tag_filter=run_tag_filter, **others)


def test_tags_are_listed_only_of_runs_that_are_not_known_to_hold_any(tmp_path: Path) -> None:
    for run in ("ours", "later", "theirs"):
        with SummaryWriter(str(tmp_path / run)) as user:
            user.add_scalar("loss", 1.0)
            if run == "ours":
                MessageWriter(user).series("gradients", serving.statistics(0), step=0)
    provider, known = _Asked(tmp_path), set[tuple[str, str, "float | None"]]()

    def runs() -> list[str]:
        provider.reload()
        return Store(provider, RequestContext(), "", known).runs()

    assert runs() == ["ours"]
    with SummaryWriter(str(tmp_path / "later")) as user:
        MessageWriter(user).series("gradients", serving.statistics(0), step=0)
    assert runs() == ["later", "ours"]
    assert runs() == ["later", "ours"]
    assert provider.listed == [["later", "ours", "theirs"], ["later", "theirs"], ["theirs"]]
