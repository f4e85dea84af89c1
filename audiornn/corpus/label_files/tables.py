"""Tables of labels: a row a label, with or without a header, parted by commas, semicolons or tabs."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import zip_longest
from pathlib import Path, PurePosixPath

from audiornn.corpus.label_files.timed import ALL_TIERS, TIER_NAMES, Timed, refuse_nameless, seconds
from audiornn.errors import CorpusError, nearest

__all__ = ["WHETHER", "read_table", "says_whether", "time_columns"]

#: Names of columns, without case, spaces and signs, the likeliest first; units are read off what stands behind them.
_NAMES = {
    "start": "start starttime begin begintime onset from tmin xmin time",
    "end": "end endtime stop stoptime offset to tmax xmax",
    "duration": "duration dur length",
    "label": "label labels eventlabel event class text annotation category word species name type sound tag tags "
    "annotations classname transcription transcript phone phoneme commonname scientificname calltype manualid topmatch "
    "speaker",
    "recording": "file filename filepath audio audiofilepath audiofile path recording wav beginpath beginfile uri "
    "infile soundfile filenames recordingid audiofilename",
    "tier": "tier tiername",
    "fileoffset": "fileoffset",
    "selection": "selection",
    "view": "view",
}
_UNITS = {"ms": 1e-3, "msec": 1e-3, "milliseconds": 1e-3, "s": 1.0, "sec": 1.0, "seconds": 1.0}
_HERTZ = {"": 1.0, "hz": 1.0, "khz": 1000.0}  # behind the name of a column of frequencies
#: The header of the Montreal Forced Aligner; its `Type` is words or phones. Elsewhere a type may be anything.
_ALIGNER = ["begin", "end", "label", "type", "speaker"]

#: How ELAN's names of columns end: `Begin Time - hh:mm:ss.ms` and `Begin Time - ss.msec` are both in seconds.
_OF_ELAN = re.compile(r"\s-\s(h+:m+:)?s+\.m+(sec|s)?$", re.IGNORECASE)

#: ELAN's line above its table about a medium that does not begin when the annotations' time does.
_OFFSET = re.compile(r"^[^\w\n]*#.*-- offset: (?!0\s*\W*$)(\S+?)\W*$", re.MULTILINE)

_BREAK = re.compile(r"\s*\n\s*")

#: Names that only a column of labels has: an empty one says that nothing holds.
_SURE = ("label", "labels", "eventlabel")
#: What a column holds that says of its name whether it holds.
WHETHER = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}
_LOOKED_AT = 100  # rows, for other columns of words

_Row = tuple[int, list[str]]


@dataclass(frozen=True)
class _Layout:
    """Where each column is, by what its times are multiplied to be seconds, and what is to be said of the choice."""

    at: Mapping[str, int]
    scales: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    def cells(self, row: Sequence[str]) -> dict[str, str]:
        """A row's cells by their columns' names; empty where the row is too short."""
        return {name: row[i] if i < len(row) else "" for name, i in self.at.items()}

    def seconds(self, cells: Mapping[str, str], name: str, where: str) -> float:
        return self.scales.get(name, 1.0) * seconds(cells[name], where)


def read_table(
    text: str, path: Path, label: str = "", audio: str = ""
) -> tuple[list[Timed], str, str, tuple[float, float] | None]:
    """A table's labels, their column's name, what was guessed and how to change it, and the Hz that the labels span.

    Without a header its columns are start, end, label, or recording, start, end, label, or Sonic Visualiser's time,
    value, duration, label, or ELAN's tier, participant, start, end and duration, each in one unit or several, label. Of
    Raven's rows of a selection, one a view, the first is taken. A row that names a recording and nothing else says that
    nothing is heard in it, as DCASE's lists do.

    Args:
        text: of the table.
        path: for errors.
        label: the column of labels, or of a table with a column of tiers one of them; empty or `*` finds the column.
        audio: the column of recordings; empty finds one.

    Raises:
        CorpusError: no columns of times or labels, columns that may mean several things, or a row without a time.
    """
    rows = list(_rows(text, path))
    if not rows:
        return [], "", "", None
    header = rows[0][1]
    if is_behind_mark := _is_remark(header[0]):
        header[0] = header[0].lstrip("# ") or "#"
    has_header = not any(map(_is_time, header))
    if not has_header:
        layout = _without_header([row for _, row in rows], path)
        _refuse_labels_behind(rows, layout, path)
    else:
        rows = rows[1:]
        layout = _with_header(header, [row for _, row in rows], path, label, audio, takes_any=is_behind_mark)
    if rows and "label" not in layout.at:
        raise CorpusError(
            f"{path}: no column of labels among {_listed(header)}; call it label (tag, class, species, "
            "text … will do), or name it with --label"
        )
    if has_header:
        _refuse_unquoted(rows, header, layout, path, _delimiter(text))
    labels = list(_labels(rows, layout, path))
    _refuse_running_times(header, labels, layout, path)
    refuse_nameless([label for label in labels if label.end or label.label], path)
    offset = _OFFSET.search(text)
    late = "ELAN's line about the medium names an offset; the times are taken as they are" if offset else ""
    return (
        labels,
        header[layout.at["label"]] if has_header and "label" in layout.at else "",
        "; ".join(filter(None, (layout.note, late))),
        _band(header, [row for _, row in rows]) if has_header else None,
    )


def _rows(text: str, path: Path) -> Iterator[_Row]:
    """The rows that hold something and are no remark, each with its first line's number."""
    delimiter = _delimiter(text)
    is_quoted = delimiter != "\t"  # tab-separated files carry quotation marks as they are
    try:
        rows = _parted(text, delimiter, is_quoted, skips_spaces=is_quoted)
    except _BadRow:  # then a quotation mark behind a comma and a space is a label's own
        try:
            rows = _parted(text, delimiter, is_quoted, skips_spaces=False)
        except _BadRow as error:
            raise CorpusError(
                f"{path}, line {error.line}: cannot be read as a table ({error}); is a quotation mark not closed?"
            ) from None
    may_remark = is_first = True
    row_below = next((row for _, row in rows if not _is_remark(row[0])), [])
    for number, row in rows:
        cells = [_clean(cell, is_quoted) for cell in row]
        is_header = is_first and _names_columns(cells, row_below)
        if not is_header and _is_remark(row[0]) and (may_remark or not any(map(_is_time, row[1:]))):
            continue
        yield number, cells
        if is_first:  # where the header's first column is that of labels, one may begin with #
            may_remark, is_first = _plain(cells[0])[0] not in _NAMES["label"].split(), False


class _BadRow(Exception):  # noqa: N818 - of `_parted` alone
    line = 1


def _parted(text: str, delimiter: str, is_quoted: bool, *, skips_spaces: bool) -> list[_Row]:
    """Rows that hold something, each with its first line's number.

    Raises:
        _BadRow: a quotation mark that opens or closes nothing.
    """
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if is_quoted else csv.QUOTE_NONE,
        skipinitialspace=skips_spaces,  # a quotation mark after a comma and a space is one
        strict=True,
    )
    rows, first = [], 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((first, row))
            first = reader.line_num + 1
    except csv.Error as error:
        bad = _BadRow(str(error))
        bad.line = first
        raise bad from None
    return rows


def _refuse_unquoted(rows: Sequence[_Row], header: Sequence[str], layout: _Layout, path: Path, delimiter: str) -> None:
    """Refuse rows in which a label, the last column of all, seems to hold what parts columns.

    Raises:
        CorpusError: as said.
    """
    wider = [(number, row) for number, row in rows if any(row[len(header) :])]
    if not wider or layout.at["label"] != len(header) - 1 or delimiter == "\t":
        return
    number, row = wider[0]
    if len(wider) == len(rows):  # notes behind the last column that has a name, or times such as 1,5
        places = [layout.at[name] for name in ("start", "end", "duration") if name in layout.at]
        are_cut = all(row[i].isdigit() for _, row in rows for i in (*places, len(header) - 1))
        if delimiter == "," and are_cut and not any(_is_time(row[-1]) for _, row in rows):
            raise CorpusError(
                f"{path}, line {number}: has {len(row)} columns, its first line {len(header)}; are the times written "
                "with decimal commas? part the columns by semicolons or tabs, or put the times into quotation marks"
            )
        return
    raise CorpusError(
        f"{path}, line {number}: has {len(row)} columns, its first line {len(header)}; does a label hold "
        f"{delimiter!r}? put it into quotation marks"
    )


def _refuse_labels_behind(rows: Sequence[_Row], layout: _Layout, path: Path) -> None:
    """Refuse a table without names of columns in which more than one holds labels, as ELAN's with a column a tier.

    Raises:
        CorpusError: as said.
    """
    last = layout.at.get("label", -1)
    if last <= 0:
        return
    lines = []
    for number, row in rows:
        more = [i for i in range(last + 1, len(row)) if row[i] and i not in layout.at.values() and not _is_time(row[i])]
        if more and row[last]:
            return  # notes beside the labels
        if more:
            lines.append((number, more[0]))
    if lines:
        number, other = lines[0]
        raise CorpusError(
            f"{path}, line {number}: columns {last + 1} and {other + 1}, which have no names, may both hold labels; "
            "name the columns in a first line (ELAN: export with column names), and choose one with --label"
        )


def _is_remark(line: str) -> bool:
    """ELAN's lines about the media file, which it quotes; and Excel's, which says what parts columns."""
    return line.lstrip('"').startswith("#") or line.strip().lower() in ("sep=,", "sep=;", "sep=", "sep=\t")


def _names_columns(remark: Sequence[str], row_below: Sequence[str]) -> bool:
    """Whether what begins with # is a header, as numpy's `savetxt` writes one, and Reaper, whose column # counts."""
    if any(row_below[len(remark) :]) or not any(map(_is_time, row_below)):
        return False
    words = {_plain(cell)[0] for cell in remark}
    starts, ends, durations = (words & {*_NAMES[name].split()} for name in ("start", "end", "duration"))
    return bool(starts and (ends or durations))


def _clean(cell: str, is_quoted: bool) -> str:
    cell = _BREAK.sub(" ", cell.strip())
    if not is_quoted and len(cell) > 1 and cell[0] == cell[-1] == '"':  # a spreadsheet wraps a cell that holds one
        return cell[1:-1].replace('""', '"')
    return cell


def _labels(rows: Sequence[_Row], layout: _Layout, path: Path) -> Iterator[Timed]:
    seen = set()
    tiers = [tier for _, row in rows if (tier := layout.cells(row).get("tier"))]
    for number, row in rows:
        cells = layout.cells(row)
        if _is_without_events(cells):  # DCASE's way to name a recording in which nothing happens
            start = end = 0.0
            cells["tier"] = cells.get("tier") or next(iter(tiers), "")
        else:
            start, end = _times(cells, row, layout, f"{path}, line {number}")
        recording = PurePosixPath(cells.get("recording", "").replace("\\", "/")).as_posix()
        recording = "" if recording == "." else recording.removesuffix(".eaf")  # ELAN's document, named as its medium
        if "selection" in cells:
            # Not by the number alone: tables joined to one number from 1 again.
            shown = (cells["selection"], recording, start, end, cells["label"])
            if shown in seen:
                continue
            seen.add(shown)
        yield Timed(round(start, 6), round(end, 6), cells["label"], cells.get("tier", ""), recording, f"line {number}")


def _band(header: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[float, float] | None:
    """The lowest and the highest frequency of the boxes that Raven draws around sounds, in Hz; None without any.

    Boxes from 0 Hz on are as high as the view, or as what BirdNET hears: they say nothing of how high a sound reaches.
    """
    letters = [_letters(cell) for cell in header]
    places, scales = [], []
    for name in ("lowfreq", "highfreq"):
        found = [i for i, cell in enumerate(letters) if cell.startswith(name) and cell.removeprefix(name) in _HERTZ]
        if not found:
            return None
        places.append(found[0])
        scales.append(_HERTZ[letters[found[0]].removeprefix(name)])
    cells = [[row[i] for i in places] for row in rows if max(places) < len(row)]
    boxes = [[seconds(cell, "") for cell in pair] for pair in cells if all(map(_is_time, pair))]
    boxes = [pair for pair in boxes if all(map(math.isfinite, pair))]
    drawn = [high for low, high in boxes if low > 0]
    return (scales[0] * min(low for low, _ in boxes), scales[1] * max(drawn)) if drawn else None


def _is_without_events(cells: Mapping[str, str]) -> bool:
    return bool(cells.get("recording")) and not any(cells.get(name) for name in ("start", "end", "duration", "label"))


def _times(cells: Mapping[str, str], row: Sequence[str], layout: _Layout, where: str) -> tuple[float, float]:
    start = layout.seconds(cells, "start", where)
    if cells.get("end"):
        end = layout.seconds(cells, "end", where)
    elif cells.get("duration"):
        end = start + layout.seconds(cells, "duration", where)
    else:
        raise CorpusError(
            f"{where}: a start without an end ({', '.join(row)!r}); write one, of a point the start again"
        )
    if "fileoffset" not in cells:
        return start, end
    in_file = layout.seconds(cells, "fileoffset", where)  # Raven's other times run over all files of its list
    return in_file, in_file + (end - start)


def _refuse_running_times(header: Sequence[str], labels: Sequence[Timed], layout: _Layout, path: Path) -> None:
    """Refuse Raven's table of many files whose times count from the first file's start.

    Raises:
        CorpusError: as said.
    """
    if "fileoffset" in layout.at or "recording" not in layout.at or len({label.recording for label in labels}) < 2:
        return
    name = header[layout.at["recording"]]
    if _plain(name)[0] in ("beginfile", "beginpath"):
        raise CorpusError(
            f"{path}: has several files under {name!r} but no column 'File Offset (s)', and Raven's times run over all "
            "of them; add that measurement in Raven, or call the column file if times count from each file's start"
        )


def _delimiter(text: str) -> str:
    """What parts the first line most; a tab before a semicolon before a comma, which may stand in numbers."""
    first = next((line for line in text.split("\n") if line.strip() and not _is_remark(line)), "")
    return next((mark for mark in ("\t", ";") if mark in first), ",")


# --- with a header ---


def time_columns(header: Sequence[str]) -> dict[str, tuple[int, float]]:
    """Of a header the columns of start, end and duration that surely are: places, and what a unit is in seconds.

    Empty unless there are a start and one of the others; a `time` may be the clock's, a `length` anything's.
    """
    plain = [_plain(cell) for cell in header]
    words = [word for word, _ in plain]
    found: dict[str, tuple[int, float]] = {}
    for name in ("start", "end", "duration"):
        known = [word for word in _NAMES[name].split() if word in words and word not in ("time", "length")]
        if known and (at := words.index(known[0])) not in [i for i, _ in found.values()]:
            found[name] = (at, plain[at][1])
    return found if "start" in found and len(found) > 1 else {}


def _with_header(
    header: Sequence[str], rows: Sequence[Sequence[str]], path: Path, label: str, audio: str, *, takes_any: bool
) -> _Layout:
    """The columns, told by their names; `takes_any` that is left over for that of labels, one of words before others.

    Raises:
        CorpusError: there is none of those that were asked for, or of start and end.
    """
    at: dict[str, int] = {}
    plain = [_plain(cell) for cell in header]
    words = [word for word, _ in plain]
    if audio and audio not in header:
        raise CorpusError(f"{path}: has no column {audio!r}{nearest(audio, header)} (there are {', '.join(header)})")
    for name, known in _NAMES.items():
        found = [words.index(wanted) for wanted in known.split() if wanted in words]
        found = [i for i in found if i not in at.values()]
        if name == "label" and len(found) > 1 and words[found[0]] not in _SURE:
            found.sort(key=lambda i: _holds_no_words([row[i] for row in rows if i < len(row)], words[i]))
        if name == "recording" and audio:
            found = [list(header).index(audio)]
        if found:
            at[name] = found[0]
    _of_the_day(at, words, rows)
    if words == _ALIGNER:
        at["tier"] = words.index("type")
    if label and label != ALL_TIERS:
        _choose(label, at, header, rows, path)
    if "start" not in at and "frame" in words:
        raise CorpusError(
            f"{path}: its times are samples (column {header[words.index('frame')]!r}); export it again with times in "
            "seconds"
        )
    if "start" not in at or not ({"end", "duration"} & set(at)):
        raise CorpusError(
            f"{path}: no columns of start and end among {_listed(header)}; call them start and end, or start and "
            "duration"
        )
    if takes_any and "label" not in at:
        left = [i for i in range(len(header)) if i not in at.values()]
        left.sort(key=lambda i: all(_is_time(row[i]) for row in rows if i < len(row)))
        at |= {"label": left[0]} if left else {}
    note = "" if label or words == _ALIGNER else _other_labels(at, header, rows)
    return _Layout(at, {name: plain[i][1] for name, i in at.items()}, note)


def says_whether(column: str, cells: Iterable[str]) -> bool:
    """Whether a column, unless it is called as those of labels are, says of its own name whether that holds."""
    said = {cell.lower() for cell in cells} - {""}
    return bool(said) and said <= WHETHER.keys() and _plain(column)[0] not in _NAMES["label"].split()


def _holds_no_words(cells: Sequence[str], name: str) -> bool:
    """Whether a column that may be that of labels is empty, or one of events that are numbered."""
    return not any(cells) or (name == "event" and all(map(_is_time, filter(None, cells))))


def _of_the_day(at: dict[str, int], words: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Correct what `offset` means, and a `time` beside a date, which is the clock's: as Kaleidoscope has them."""
    begins_by_offset = "duration" in at and "end" in at and words[at["end"]] == "offset"
    if "date" in words and "start" in at and words[at["start"]] == "time":
        cells = [row[at["start"]] for row in rows if at["start"] < len(row)]
        if begins_by_offset or any(":" in cell for cell in cells):
            del at["start"]
    if "start" not in at and begins_by_offset:
        at["start"] = at.pop("end")


def _other_labels(at: Mapping[str, int], header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Which column was taken for that of labels, where others hold words, too."""
    if "label" not in at:
        return ""
    others = [
        name
        for i, name in enumerate(header)
        if i not in at.values() and any(i < len(row) and row[i] and not _is_time(row[i]) for row in rows[:_LOOKED_AT])
    ]
    return f"labels are the column {header[at['label']]!r}; --label takes another ({_listed(others)})" if others else ""


def _choose(label: str, at: dict[str, int], header: Sequence[str], rows: Sequence[Sequence[str]], path: Path) -> None:
    """Make a column the one of labels, unless what is chosen is one of the table's tiers.

    Raises:
        CorpusError: it is neither.
    """
    column = at.get("tier", len(header))
    tiers = list(dict.fromkeys(row[column] for row in rows if column < len(row)))
    wanted = label.removeprefix(TIER_NAMES)
    if wanted in tiers or (ALL_TIERS in wanted and any(fnmatchcase(tier, wanted) for tier in tiers)):
        return
    if label not in header:
        known = [*header, *tiers]
        also = f", or tier: {_listed(tiers)}" if tiers else ""
        raise CorpusError(
            f"{path}: has no column {label!r}{nearest(label, known)} (there are {', '.join(header)}{also})"
        )
    at["label"] = list(header).index(label)
    if len(tiers) == 1 or at.get("tier") == at["label"]:
        at.pop("tier", None)  # nothing is left to choose


def _plain(name: str) -> tuple[str, float]:
    """A column's name without its unit, and the unit in seconds: of `Begin Time (ms)`, begintime and 0.001."""
    words = re.findall("[a-z]+", _OF_ELAN.sub("", name).lower())
    if len(words) > 1 and words[-1] in _UNITS:
        return "".join(words[:-1]), _UNITS[words[-1]]
    return "".join(words), 1.0


def _letters(name: str) -> str:
    return "".join(re.findall("[a-z]", name.lower()))


# --- without one ---


def _without_header(rows: Sequence[Sequence[str]], path: Path) -> _Layout:
    """The columns, told by which of them hold numbers.

    Raises:
        CorpusError: they may mean several things, or are points in time.
    """
    columns = list(zip_longest(*rows, fillvalue=""))
    kinds = "".join(map(_kind, columns))
    if of_elan := _of_elan(columns, kinds):
        return of_elan
    if re.match("[wm]wnnw", kinds) and PurePosixPath(columns[0][0]).suffix:  # TUT's: of a recording, its scene
        note = f"without a header: the recording, {columns[1][0]!r} (not used), start, end and label"
        return _Layout({"recording": 0, "start": 2, "end": 3, "label": 4}, note=note)
    if not _is_time(rows[0][0]):
        return _Layout({"recording": 0, "start": 1, "end": 2, **({"label": 3} if len(rows[0]) > 3 else {})})
    if kinds.startswith("nw") or kinds == "n":
        raise CorpusError(
            f"{path}: holds a time and no end a row; write start, end and label (of a point the start again as end)"
        )
    if shape := re.match("nnnn?[wm]", kinds):  # four numbers of a note, which has a level
        if not _is_of_sonic_visualiser(columns):
            raise CorpusError(
                f"{path}: {len(columns)} columns without names may be start, end, a number and label, or a count, "
                "start, end and label, or Sonic Visualiser's time, value, duration and label; name them in a first "
                "line"
            )
        return _Layout({"start": 0, "duration": 2, "label": shape.end() - 1})
    if kinds.startswith("nnn") and not all(seconds(cell, "").is_integer() for cell in columns[2] if cell):
        raise CorpusError(
            f"{path}: the third column, which has no name, holds fractions and so no labels; name the columns in a "
            "first line, such as start,end,label"
        )
    return _Layout({"start": 0, "end": 1, **({"label": 2} if len(columns) > 2 else {})})


def _of_elan(columns: Sequence[Sequence[str]], kinds: str) -> _Layout | None:
    """The layout of ELAN's tab-delimited export, or None.

    A tier, perhaps its participant, then starts, ends and durations, each in all units that were asked for, and the
    label; of several files their names follow. One name before one start, end and duration may as well be a
    recording's, and is taken for that unless it has no suffix and the times are written as a clock's. Seconds have a
    fraction there; whole numbers are milliseconds.
    """
    if re.match("[wm][wm-]nn[wm]", kinds) and not PurePosixPath(columns[0][0]).suffix:  # durations were not asked for
        are_seconds = any(_has_fraction(cell) for i in (2, 3) for cell in columns[i])
        units = {} if are_seconds else {"start": 1e-3, "end": 1e-3}
        return _Layout({"tier": 0, "start": 2, "end": 3, "label": 4}, units)
    shape = re.match("[wm][wm-]?((?:nnn)+).", kinds)
    if shape is None:
        return None
    first, n_units = shape.start(1), len(shape[1]) // 3
    start, end, duration = (first + i * n_units for i in range(3))
    try:
        times = [[seconds(cell, "") for cell in columns[i]] for i in (start, end, duration)]
    except CorpusError:  # a cell is empty
        return None
    if any(abs(begin + length - stop) > 2e-3 for begin, stop, length in zip(*times, strict=True)):
        return None
    label = shape.end() - 1
    at = {"start": start, "end": end, "label": label}
    if first + n_units == 2 and (":" not in columns[start][0] or PurePosixPath(columns[0][0]).suffix):
        return _Layout({"recording": 0, **at})
    at["tier"] = 0
    for column in range(label + 1, len(columns)):
        if all(cell.lower().endswith(".eaf") for cell in columns[column]):
            at["recording"] = column
    are_seconds = any(_has_fraction(cell) for i in (start, end) for cell in columns[i])
    return _Layout(at, {} if are_seconds else {"start": 1e-3, "end": 1e-3})


def _kind(column: Sequence[str]) -> str:
    """`n` of numbers, `w` of words, `m` of both, `-` of neither."""
    filled = {_is_time(cell) for cell in column if cell}
    return {(True,): "n", (False,): "w", (): "-"}.get(tuple(filled), "m")


def _is_of_sonic_visualiser(columns: Sequence[Sequence[str]]) -> bool:
    """Whether three columns of numbers before one of labels can only be time, value and duration.

    Sonic Visualiser writes seconds with a fraction; a count of rows has none. And its values are no ends: some are no
    later than the time, or all are whole numbers (of one row that says nothing).
    """
    try:
        times, values, durations = ([seconds(cell, "") for cell in column] for column in columns[:3])
    except CorpusError:  # a cell is empty
        return False
    if all(abs(t + d - v) < 2e-3 for t, v, d in zip(times, values, durations, strict=True)):
        return True  # start, end, duration: either way the same
    if not any(map(_has_fraction, columns[0])):
        return False
    are_later = all(v > t for t, v in zip(times, values, strict=True))
    are_counts = len(values) > 1 and not any(map(_has_fraction, columns[1]))
    return not are_later or are_counts


def _has_fraction(cell: str) -> bool:
    return not cell.removeprefix("-").isdigit()


def _is_time(cell: str) -> bool:
    try:
        seconds(cell, "")
    except CorpusError:
        return False
    return True


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
