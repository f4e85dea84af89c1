"""Timing side by side: the contenders take turns, so that whatever else the machine does falls on all of them alike.

Every round runs each contender once, in a new order; the table shows the median of the rounds and, against the first
contender (the usual way), the median of the ratios taken round by round. One process, everything warmed up first.
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
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Timing:
    """One contender's rounds, in seconds, and the same of the usual way in the same rounds."""

    name: str
    seconds: tuple[float, ...]
    usual: tuple[float, ...]
    megabytes: float | None = None
    work: float | None = None  # units of work a round, where the table shows a rate

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def fastest(self) -> float:
        return min(self.seconds)

    @property
    def ratio(self) -> float:
        """How many times as fast as the usual way."""
        return statistics.median(usual / own for usual, own in zip(self.usual, self.seconds, strict=True))

    def to_json(self) -> dict[str, object]:
        entry: dict[str, object] = {"name": self.name, "median_seconds": self.median, "fastest_seconds": self.fastest}
        entry |= {"ratio": self.ratio, "rounds": len(self.seconds)}
        if self.work is not None:
            entry["work_per_second"] = self.work / self.median
        if self.megabytes is not None:
            entry["mebibytes"] = self.megabytes
        return entry


def in_turns(contenders: Mapping[str, Callable[[], object]], *, rounds: int, warm_up: int = 1) -> list[Timing]:
    """Run each contender once a round and time it.

    Args:
        contenders: by name, the usual way first.
        rounds: that count.
        warm_up: rounds before, that do not: caches fill, kernels compile, pages are mapped.
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
    usual = tuple(next(iter(seconds.values())))
    return [Timing(name, tuple(spent), usual) for name, spent in seconds.items()]


@dataclass(frozen=True)
class ProcessRun:
    """A whole process: seconds from start to end, its peak memory in MiB, and what it printed."""

    seconds: float
    megabytes: float
    output: str


def run_process(command: Sequence[str], *, threads: int | None = None, cwd: Path | None = None) -> ProcessRun:
    """Run a command to its end.

    Raises:
        RuntimeError: it failed; with the end of what it said.
    """
    environment = dict(os.environ)
    if threads is not None:
        environment |= {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=cwd
    )
    assert process.stdout is not None
    output = process.stdout.read()
    # wait4 gives this child's own peak; RUSAGE_CHILDREN would give the largest of all children so far.
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)[:200]} exited {process.returncode}:\n{output[-2000:]}")
    return ProcessRun(seconds, _mebibytes(usage), output)


def processes_in_turns(
    commands: Mapping[str, Sequence[str]], *, rounds: int, threads: int | None = None, cwd: Path | None = None
) -> list[Timing]:
    """`in_turns` for whole processes, with their peak memory; a first round fills the disk cache and is not counted."""
    runs: dict[str, list[ProcessRun]] = {name: [] for name in commands}

    def runner(name: str) -> Callable[[], None]:
        return lambda: runs[name].append(run_process(commands[name], threads=threads, cwd=cwd))

    timings = in_turns({name: runner(name) for name in commands}, rounds=rounds)
    usual = timings[0].seconds
    return [
        Timing(t.name, t.seconds, usual, megabytes=statistics.median(run.megabytes for run in runs[t.name]))
        for t in timings
    ]


def peak_mebibytes() -> float:
    """Peak memory of this process so far."""
    return _mebibytes(resource.getrusage(resource.RUSAGE_SELF))


def _mebibytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, KiB elsewhere


@dataclass
class Report:
    """Prints the tables as they come, and keeps them for `--json`."""

    benchmark: str
    json_file: Path | None = None
    tables: list[dict[str, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.machine = {
            "processor": _processor(),
            "cores": _cores(),
            "load_before": round(os.getloadavg()[0], 2),
            "python": platform.python_version(),
        }
        print(f"{self.benchmark} on {self.machine['processor']}, {self.machine['cores']} cores")
        if os.getloadavg()[0] > 0.5:
            print(f"  the machine is busy (load {os.getloadavg()[0]:.1f}): read the ratios, not the times")

    def table(self, title: str, timings: Sequence[Timing], *, work: float | None = None, unit: str = "") -> None:
        """Print one table, and remember it.

        Args:
            title: what is done.
            timings: the usual way first.
            work: units of work a round, to show a rate.
            unit: of that work.
        """
        timings = [Timing(t.name, t.seconds, t.usual, t.megabytes, t.work or work) for t in timings]
        width = max(40, *(len(t.name) for t in timings))
        rate_head = f"  {unit + '/s':>14}" if work else ""
        memory_head = f"  {'peak MiB':>9}" if timings[0].megabytes is not None else ""
        print(f"\n{title}\n  {'':{width}}  {'median':>10}  {'fastest':>10}{rate_head}{memory_head}  {'ratio':>7}")
        for t in timings:
            rate = f"  {t.work / t.median:>14,.0f}" if t.work else ""
            memory = f"  {t.megabytes:>9,.0f}" if t.megabytes is not None else ""
            print(f"  {t.name:{width}}  {_time(t.median)}  {_time(t.fastest)}{rate}{memory}  {t.ratio:>6.2f}×", flush=True)
        self.tables.append({"title": title, "unit": unit, "rows": [t.to_json() for t in timings]})

    def note(self, key: str, value: object, text: str) -> None:
        """Print one line, and remember what it says."""
        print(f"  {text}", flush=True)
        self.tables.append({"title": key, "value": value})

    def finish(self) -> None:
        """Write the JSON file, if one was asked for."""
        if self.json_file:
            entry = {"benchmark": self.benchmark, "machine": self.machine, "tables": self.tables}
            self.json_file.write_text(json.dumps(entry, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def arguments(description: str, *, rounds: int) -> argparse.ArgumentParser:
    """The options that all benchmarks share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds, metavar="N", help=f"rounds that count ({rounds})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the tables to this file too")
    return parser


def skipped(what: str, error: Exception) -> None:
    """Say that a contender could not take part."""
    print(f"  {what} takes no part: {' '.join(str(error).split())[:100]}")


def _time(seconds: float) -> str:
    return f"{seconds:8.3f} s" if seconds >= 1 else f"{1000 * seconds:7.1f} ms"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
