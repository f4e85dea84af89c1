"""Timing side by side: the contenders take turns, so that whatever else the machine does falls on all of them alike.

Every round runs each contender once, in a new order. The table shows the median of the rounds and, against the first
contender (the usual way), the median of the ratios taken round by round.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Timing:
    """The rounds of one contender.

    Attributes:
        name: as the table shows it.
        seconds: of each round.
        work: units of work in a round.
        mebibytes: peak memory, where it was measured.
    """

    name: str
    seconds: tuple[float, ...]
    work: float = 1.0
    mebibytes: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def ratio(self, usual: Timing) -> float:
        """How many times as fast as the usual way, in work a second."""
        rounds = zip(usual.seconds, self.seconds, strict=True)
        return statistics.median(theirs / ours for theirs, ours in rounds) * self.work / usual.work


def in_turns(
    contenders: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    warm_up: int = 1,
    work: Mapping[str, float] | None = None,
) -> list[Timing]:
    """Run each contender once a round and time it.

    Args:
        contenders: by name, the usual way first.
        rounds: that count.
        warm_up: rounds before, that do not: caches fill, kernels are compiled, pages are mapped.
        work: units of work of a contender's round, where they differ; else 1.
    """
    order = list(contenders)
    chance = random.Random(0)
    seconds: dict[str, list[float]] = {name: [] for name in order}
    for number in range(-warm_up, rounds):
        chance.shuffle(order)  # else one contender would always find the caches its neighbour left
        for name in order:
            began = time.perf_counter()
            contenders[name]()
            spent = time.perf_counter() - began
            if number >= 0:
                seconds[name].append(spent)
    return [Timing(name, tuple(spent), (work or {}).get(name, 1.0)) for name, spent in seconds.items()]


@dataclass(frozen=True)
class Finished:
    """A process from start to end: seconds, its peak memory in MiB, and what it printed."""

    seconds: float
    mebibytes: float
    output: str


# A process inherits the peak memory of the one that started it (Linux folds it in on exec), so children are started by
# this small one. Their output goes to its own; what it measured, to the file it is given.
_STARTER = """
import json, os, resource, sys, time
began = time.perf_counter()
child = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
measured = [time.perf_counter() - began, usage.ru_maxrss, os.waitstatus_to_exitcode(status)]
open(sys.argv[1], "w", encoding="utf-8").write(json.dumps(measured))
"""


def run_process(command: Sequence[str | Path], *, threads: int | None = None) -> Finished:
    """Run a command, given by its full path, to its end, with its numeric libraries held to some threads.

    Raises:
        RuntimeError: it failed; with the end of what it said.
    """
    environment = dict(os.environ)
    if threads is not None:
        environment |= {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "OPENBLAS", "MKL")}
    with tempfile.TemporaryDirectory() as folder:
        measured = Path(folder) / "measured.json"
        starter = [sys.executable, "-I", "-S", "-c", _STARTER, str(measured), *map(str, command)]
        run = subprocess.run(
            starter, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, check=True
        )
        seconds, peak, code = json.loads(measured.read_text(encoding="utf-8"))
    if code:
        raise RuntimeError(f"{' '.join(map(str, command))[:200]} exited {code}:\n{run.stdout[-2000:]}")
    return Finished(seconds, _mebibytes(peak), run.stdout)


def processes_in_turns(
    commands: Mapping[str, Sequence[str | Path]], *, rounds: int, threads: int | None = None
) -> list[Timing]:
    """`in_turns` for whole processes, with the median of their peak memory."""
    runs: dict[str, list[Finished]] = {name: [] for name in commands}

    def runner(name: str) -> Callable[[], None]:
        return lambda: runs[name].append(run_process(commands[name], threads=threads))

    timings = in_turns({name: runner(name) for name in commands}, rounds=rounds)
    peaks = {name: statistics.median(run.mebibytes for run in finished) for name, finished in runs.items()}
    return [Timing(t.name, t.seconds, mebibytes=peaks[t.name]) for t in timings]


def peak_mebibytes() -> float:
    """Peak memory of this process so far."""
    return _mebibytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


class Report:
    """Prints tables as they come, and keeps them for `--json`."""

    def __init__(self, benchmark: str, json_file: Path | None) -> None:
        self.json_file = json_file
        load = os.getloadavg()[0]
        self.content: dict[str, object] = {
            "benchmark": benchmark,
            "processor": processor(),
            "cores": n_cores(),
            "load_before": load,
            "python": platform.python_version(),
        }
        self.tables: list[dict[str, object]] = []
        print(f"{benchmark}: {processor()}, {n_cores()} cores, Python {platform.python_version()}")
        if load > 0.5:
            print(f"  the machine is busy (load {load:.1f}): repeat this when it is not")

    def table(self, title: str, timings: Sequence[Timing], *, unit: str = "", memory: str = "peak MiB") -> None:
        """Print a table, and remember it.

        Args:
            title: what is done.
            timings: the usual way first.
            unit: of the work, which is then shown a second; without it, the time of a round is shown.
            memory: what the column of memory shows, where it was measured.
        """
        usual = timings[0]
        with_memory = any(t.mebibytes is not None for t in timings)
        width = max(46, *(len(t.name) for t in timings))
        print(f"\n{title}")
        memory_head = f"  {memory:>14}" if with_memory else ""
        print(f"  {'':{width}}  {unit + '/s' if unit else 'median':>12}{memory_head}  {'ratio':>7}")
        rows = []
        for t in timings:
            value = f"{t.work / t.median:,.0f}" if unit else _time(t.median)
            room = "" if t.mebibytes is None else f"{t.mebibytes:,.0f}"
            memory_cell = f"  {room:>14}" if with_memory else ""
            print(f"  {t.name:{width}}  {value:>12}{memory_cell}  {t.ratio(usual):6.2f}×", flush=True)
            row = {"name": t.name, "median_seconds": t.median, "rounds": len(t.seconds), "ratio": t.ratio(usual)}
            row |= {"work": t.work, "unit": unit} if unit else {}
            row |= {} if t.mebibytes is None else {"mebibytes": t.mebibytes}
            rows.append(row)
        self.tables.append({"title": title, "rows": rows})

    def note(self, text: str, **values: object) -> None:
        """Print a line, and remember its values."""
        print(f"  {text}", flush=True)
        self.tables.append({"title": text, **values})

    def finish(self) -> None:
        """Write the JSON file, if one was asked for."""
        if self.json_file is not None:
            text = json.dumps({**self.content, "tables": self.tables}, indent=1, ensure_ascii=False)
            self.json_file.write_text(text + "\n", encoding="utf-8")


def arguments(description: str | None, *, rounds: int) -> argparse.ArgumentParser:
    """The options that all benchmarks share."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=rounds, metavar="N", help=f"rounds that count ({rounds})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the tables to this file too")
    return parser


@contextmanager
def optional(peer: str) -> Iterator[None]:
    """A peer that cannot be imported, or fails, takes no part; a line says so."""
    try:
        yield
    except (ImportError, RuntimeError, OSError) as error:
        print(f"  {peer} takes no part: {' '.join(str(error).split())[:100]}")


def n_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _mebibytes(ru_maxrss: int) -> float:
    return ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, KiB elsewhere


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"
