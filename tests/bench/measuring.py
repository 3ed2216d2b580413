"""How the benches measure: CPU seconds and peak memory of one thread, each subject in a process of its own.

Nothing that one subject leaves behind (torchlens keeps ``torch`` wrapped, allocators keep what they got) is there for
the next. Subjects that are compared take turns, so that a machine that is busier for a while is so for all of them.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROUNDS = 3
REPEATS = 2
"""Counted calls in a round, after one that is not counted; only one call in one round if it takes over SLOW seconds."""
SLOW = 2.0
LIMIT = 120
"""CPU seconds after which a subject is given up."""
Prepare = Callable[[], Callable[[], object]]
"""Makes ready what is not counted, in the process of its own, and returns the call that is measured."""


@dataclass(frozen=True)
class Measured:
    """Median CPU seconds and median growth of the peak resident memory by the first call, or what went wrong."""

    seconds: float
    megabytes: float
    problem: str = ""


def median_seconds(run: Callable[[], object], repeats: int) -> float:
    """Return the median CPU seconds of one call, in this process, after one that is not counted."""
    run()
    times: list[float] = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return statistics.median(times)


def measured(subjects: Mapping[str, Prepare]) -> dict[str, Measured]:
    """Measure all subjects in turns, ``ROUNDS`` times, each in a forked process."""
    times: dict[str, list[float]] = {name: [] for name in subjects}
    growth: dict[str, list[float]] = {name: [] for name in subjects}
    problems: dict[str, str] = {}
    for _ in range(ROUNDS):
        for name, prepare in subjects.items():
            if name in problems or (times[name] and times[name][0] > SLOW):
                continue
            answer = _in_a_child(prepare)
            if isinstance(answer, str):
                problems[name] = answer
            else:
                times[name] += answer[0]
                growth[name].append(answer[1])
    return {
        name: Measured(float("nan"), float("nan"), problems[name])
        if name in problems
        else Measured(statistics.median(times[name]), statistics.median(growth[name]))
        for name in subjects
    }


def _in_a_child(prepare: Prepare) -> tuple[list[float], float] | str:
    """Return the counted times and the growth of the peak memory in MB, or why there are none."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with os.fdopen(writing, "w") as out:
            try:
                warnings.simplefilter("ignore")  # what other tools have to say
                resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT))
                json.dump(_measure(prepare()), out)
            except BaseException as error:  # whatever it is, the child must end here
                json.dump(f"{type(error).__name__}: {error}".splitlines()[0], out)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answers:
        answer = answers.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"over {LIMIT} s" if number in (signal.SIGXCPU, signal.SIGKILL) else signal.Signals(number).name
    return json.loads(answer)


def _measure(run: Callable[[], object]) -> tuple[list[float], float]:
    gc.collect()
    gc.freeze()  # else some subjects pay for a collection of all that is imported, and others happen not to
    before = _peak_megabytes()
    start = time.process_time()
    result = run()
    first = time.process_time() - start
    growth = _peak_megabytes() - before
    del result
    if first > SLOW:
        return [first], growth
    times: list[float] = []
    for _ in range(REPEATS):
        start = time.process_time()
        result = run()
        times.append(time.process_time() - start)
        del result
    return times, growth


def _peak_megabytes() -> float:
    """Return the highest resident memory of this process so far; a forked one begins with what it inherited."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kibibytes on Linux


# --- RESULTS.md --------------------------------------------------------------------------------------------------

RESULTS = Path(__file__).with_name("RESULTS.md")
TITLE = "# Results of `make bench`"


def write_section(heading: str, lines: list[str]) -> None:
    """Put ``lines`` under ``heading`` in RESULTS.md, in place of what stood there, and print them."""
    sections = dict[str, str]()
    if RESULTS.exists():
        for part in RESULTS.read_text(encoding="utf-8").split("\n## ")[1:]:
            name, _, body = part.partition("\n")
            sections[name] = body.strip("\n")
    sections[heading] = "\n".join(lines)
    text = "\n\n".join([TITLE, *(f"## {name}\n\n{sections[name]}" for name in sorted(sections))])
    RESULTS.write_text(text + "\n", encoding="utf-8")
    print(f"\n\n## {heading}\n", *lines, sep="\n")
