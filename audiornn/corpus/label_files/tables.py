"""Tables of labels: a row a label, with or without a header, parted by commas, semicolons or tabs."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from audiornn.corpus.label_files.timed import Timed, seconds
from audiornn.errors import CorpusError, nearest

__all__ = ["read_table"]

#: Names of columns, without case, spaces and signs; units are read off what stands behind them.
_NAMES = {
    "start": "start starttime begin begintime onset from tmin xmin",
    "end": "end endtime stop stoptime offset to tmax xmax",
    "duration": "duration dur length",
    "label": "label labels eventlabel event class text annotation category word name species type sound speaker",
    "recording": "file filename audio audiofilepath audiofile path recording wav beginfile uri",
}
_UNITS = {"ms": 1e-3, "msec": 1e-3, "milliseconds": 1e-3, "s": 1.0, "sec": 1.0, "seconds": 1.0}


def read_table(text: str, path: Path, label: str = "") -> list[Timed]:
    """A table's labels.

    Without a header its columns are start, end, label, or recording, start, end, label.

    Args:
        text: of the table.
        path: for errors.
        label: the column of labels; empty finds it.

    Raises:
        CorpusError: no columns of times, or a row without them.
    """
    delimiter = _delimiter(text)
    rows = [
        (number, [cell.strip() for cell in row])
        for number, row in enumerate(csv.reader(text.split("\n"), delimiter=delimiter), start=1)
        if any(cell.strip() for cell in row) and not row[0].startswith("#")
    ]
    if not rows:
        return []
    columns, scales = _columns(rows[0][1], path, label)
    if columns is None:
        columns = {"start": 0, "end": 1, "label": 2} if _is_time(rows[0][1][0]) else _WITH_RECORDING
    else:
        rows = rows[1:]
    labels = []
    for number, row in rows:
        where = f"{path}, line {number}"
        cells = {name: row[i] for name, i in columns.items() if i < len(row)}
        if "start" not in cells or not ({"end", "duration"} & set(cells)):
            raise CorpusError(f"{where}: {len(row)} columns hold no start and end: {row!r}")
        start = scales.get("start", 1.0) * seconds(cells["start"], where)
        if cells.get("end"):
            end = scales.get("end", 1.0) * seconds(cells["end"], where)
        else:
            end = start + scales.get("duration", 1.0) * seconds(cells.get("duration", "0"), where)
        recording = PurePosixPath(cells.get("recording", "").replace("\\", "/")).as_posix()
        labels.append(
            Timed(round(start, 6), round(end, 6), cells.get("label", ""), "", "" if recording == "." else recording,
                  f"line {number}")
        )  # fmt: skip
    return labels


_WITH_RECORDING = {"recording": 0, "start": 1, "end": 2, "label": 3}


def _delimiter(text: str) -> str:
    """What parts the first line most; a tab before a semicolon before a comma, which may stand in numbers."""
    first = next((line for line in text.split("\n") if line.strip() and not line.startswith("#")), "")
    return next((mark for mark in ("\t", ";") if mark in first), ",")


def _columns(header: Sequence[str], path: Path, label: str) -> tuple[dict[str, int] | None, dict[str, float]]:
    """Where each column is, and what its times are multiplied by; None where the first row is no header."""
    if any(_is_time(cell) for cell in header):
        return None, {}
    found: dict[str, int] = {}
    scales: dict[str, float] = {}
    plain = [_plain(cell) for cell in header]
    for name, known in _NAMES.items():
        for wanted in known.split():
            at = next((i for i, (word, _) in enumerate(plain) if word == wanted), None)
            if at is not None and at not in found.values():
                found[name], scales[name] = at, plain[at][1]
                break
    if label:
        if label not in header:
            raise CorpusError(
                f"{path}: has no column {label!r}{nearest(label, header)} (there are {', '.join(header)})"
            )
        found["label"] = list(header).index(label)
    if "start" not in found or not ({"end", "duration"} & set(found)):
        raise CorpusError(
            f"{path}: no columns of start and end among {', '.join(map(repr, header))}; call them start and end, "
            "or start and duration"
        )
    return found, scales


def _plain(name: str) -> tuple[str, float]:
    """A column's name without its unit, and the unit in seconds: of `Begin Time (ms)`, begintime and 0.001."""
    words = re.findall(r"[a-z]+", name.lower())
    if len(words) > 1 and words[-1] in _UNITS:
        return "".join(words[:-1]), _UNITS[words[-1]]
    return "".join(words), 1.0


def _is_time(cell: str) -> bool:
    try:
        seconds(cell, "")
    except CorpusError:
        return False
    return True
