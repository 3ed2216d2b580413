"""What is written is complete, once, and in pieces that a reader can take in one answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

import layerscope
import serving
from layerscope import wire
from layerscope.errors import InvalidArgumentError
from layerscope.viewing import store
from layerscope.writing import MessageWriter, message_writer


def test_a_large_series_goes_on_in_another_tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    statistics = serving.statistics(0)
    monkeypatch.setattr(message_writer, "TAG_BYTES", 10 * statistics.values.nbytes)
    monkeypatch.setattr(store, "MAX_READ_BYTES", 20 * statistics.values.nbytes)  # all 35 steps fit into no answer
    with SummaryWriter(str(tmp_path)) as user:
        writer = MessageWriter(user)
        for step in range(35):
            writer.series("gradients", serving.statistics(step), step=step)
    series = layerscope.read(tmp_path)["."].series["gradients"]
    np.testing.assert_array_equal(series.steps, range(35))
    np.testing.assert_array_equal(series.values[:, 0, 0], np.arange(35) * 100)
    assert series.histogram is not None
    np.testing.assert_array_equal(series.histogram[:, 0, 0], range(35))


def test_of_a_tag_too_large_for_one_answer_some_steps_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_READ_BYTES", 10 * serving.statistics(0).values.nbytes)
    with SummaryWriter(str(tmp_path)) as user:
        writer = MessageWriter(user)
        for step in range(35):
            writer.series("gradients", serving.statistics(step), step=step)
    series = layerscope.read(tmp_path)["."].series["gradients"]
    assert len(series.steps) == 10
    assert series.steps[-1] == 34
    np.testing.assert_array_equal(series.values[:, 0, 0], series.steps * 100)


def test_blobs_keep_every_byte(tmp_path: Path) -> None:
    image = np.zeros((2, 2, 1), np.float32)
    with SummaryWriter(str(tmp_path)) as user:
        MessageWriter(user).maximization([wire.MaximizedUnit(wire.Unit("a", 0), 1.5, image)], step=0)
        # The last bytes of these safetensors are zeros, which a numpy string would drop.
        MessageWriter(user).samples("probe", [np.zeros((1, 4))], step=0)
    run = layerscope.read(tmp_path)["."]
    assert run.problems == ()
    assert run.maximizations[0].objectives == (1.5,)
    np.testing.assert_array_equal(run.samples["probe"][0], np.zeros((1, 4)))


@pytest.mark.parametrize(("scale", "dtype"), [(1.0, np.float16), (1e-7, np.float32), (1e6, np.float32)])
def test_samples_lose_no_digits_that_show(tmp_path: Path, scale: float, dtype: type[np.floating]) -> None:
    samples = np.linspace(-1, 1, 50).reshape(2, 25) * scale
    with SummaryWriter(str(tmp_path)) as user:
        MessageWriter(user).samples("probe", [samples, np.array([True, False])], step=0)
    read, flags = layerscope.read(tmp_path)["."].samples["probe"]
    assert read.dtype == dtype
    np.testing.assert_allclose(read, samples, rtol=1e-3, atol=1e-4 * scale)
    np.testing.assert_array_equal(flags, [True, False])


def test_a_writer_without_an_event_file_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"or a log directory\), because .*; given: object"):
        MessageWriter(object())  # pyright: ignore[reportArgumentType]


def test_the_size_that_is_asked_for_is_what_the_file_grows_by(tmp_path: Path) -> None:
    asked: list[tuple[str, int]] = []

    def admit(kind: str, size: int) -> bool:
        asked.append((kind, size))
        return True

    with SummaryWriter(str(tmp_path)) as user:
        user.flush()
        (file,) = tmp_path.iterdir()
        before = file.stat().st_size
        writer = MessageWriter(user)
        for step in (0, 1, 10**9):
            writer.series("gradients", serving.statistics(step), step=step, admit=admit)
        user.flush()
        assert file.stat().st_size - before == sum(size for _, size in asked)
    assert [kind for kind, _ in asked] == ["series", "histograms"] * 3
    assert asked[0][1] > asked[2][1]  # the metadata comes once


def test_what_is_not_admitted_is_not_written(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as user:
        writer = MessageWriter(user)
        for step in range(4):
            writer.series("gradients", serving.statistics(step), step=step, admit=lambda kind, size: False)
        writer.series("gradients", serving.statistics(5), step=5, admit=lambda kind, size: kind == "series")
        writer.histograms("gradients", serving.statistics(6), step=6)
    series = layerscope.read(tmp_path)["."].series["gradients"]
    assert series.histogram_steps is not None
    assert (series.steps.tolist(), series.histogram_steps.tolist()) == ([5], [6])
    assert series.histogram is not None
    np.testing.assert_array_equal(series.histogram[0], serving.statistics(6).histogram)


def test_a_closed_summary_writer_begins_no_second_event_file(tmp_path: Path) -> None:
    user = SummaryWriter(str(tmp_path))
    writer = MessageWriter(user)
    writer.series("gradients", serving.statistics(0), step=0)
    user.close()
    with pytest.raises(InvalidArgumentError, match="the SummaryWriter was closed, and a second event file"):
        writer.series("gradients", serving.statistics(1), step=1)
    assert len(list(tmp_path.iterdir())) == 1
    np.testing.assert_array_equal(layerscope.read(tmp_path)["."].series["gradients"].steps, [0])
