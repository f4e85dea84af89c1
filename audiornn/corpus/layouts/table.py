"""Tables that name recordings and what is said in them (LJSpeech, Common Voice, NeMo, …)."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from audiornn.corpus.label_files.timed import seconds
from audiornn.corpus.layouts.splits import MANY, refuse_broken, split_in_name, splits_in_paths
from audiornn.corpus.layouts.survey import Choices, Entry, Reading, Survey, named
from audiornn.corpus.layouts.table_roles import Roles, audio_column, find_roles
from audiornn.corpus.layouts.table_rows import (
    LABEL_COLUMNS,
    TEXT_COLUMNS,
    Table,
    joined_labels,
    parse_table,
    plain_name,
)
from audiornn.errors import CorpusError

__all__ = ["read"]

_ENDINGS = (".tsv", ".csv", ".jsonl", ".ndjson", ".json", ".txt")
_SET_ASIDE = ("invalidated", "other", "reported", "unvalidated")  # Common Voice: not fit to learn from


def read(survey: Survey, choices: Choices, *, forced: bool = True) -> Reading | None:
    """The tables of a folder, or the one that the user named.

    Args:
        survey: the folder.
        choices: columns and encoding.
        forced: whether the user asked for this layout; otherwise None where no table fits, or where tables name less
            than half of the recordings.

    Raises:
        CorpusError: forced and there is none, or a line is wrong.
    """
    reading = Reading()
    found, complaints = _find(survey, choices, reading)
    if not found and (forced or survey.only):
        why = "; ".join(complaints[:3]) or f"{survey.folder}: holds no table (.tsv, .csv, .jsonl)"
        raise CorpusError(why)
    if not found:
        survey.complaints += complaints  # told if no other layout fits either
        return None
    survey.how.clear()
    splits = splits_in_paths(map(survey.key, found))
    taken = _with_splits(found, splits, survey, reading)
    reading.several = any(_are_joined(choices, table.columns[:-1]) for table, _ in taken.values())
    for path, (table, roles) in taken.items():
        _read_rows(table, roles, splits.get(survey.key(path)), survey, choices, reading)
    reading.n_lines = sum(len(table.rows) for table, _ in taken.values())
    covered = {survey.key(entry.audio) for entry in (*reading.entries, *reading.without_text)}
    if not forced and survey.only is None and 2 * len(covered) < len(survey.audio):
        columns = {plain_name(table.columns[roles.text]) for table, roles in taken.values()}
        if covered or reading.missing:
            survey.passed_over["table"] = (
                f"{named(survey.key(path) for path in taken)}: tables that name {len(covered):,} of "
                f"{len(survey.audio):,} recordings, too few to be what is learnt: --layout table learns from them"
            )
            are_texts = choices.task == "transcribe" and not columns & {*LABEL_COLUMNS}
            are_named = choices.task != "transcribe" and columns <= {*TEXT_COLUMNS}
            if are_texts or are_named or choices.text or choices.audio:
                survey.last_resort["table"] = len(covered)
        return None
    if not reading.entries and not reading.missing:
        raise CorpusError(f"{next(iter(taken))}: no line has both a recording and a text")
    reading.refuse_missing(choices)
    reading.left_out += survey.unlabelled(
        (e.audio for e in (*reading.entries, *reading.without_text)), "no line of a table that is read names it"
    )
    return reading


def _find(survey: Survey, choices: Choices, reading: Reading) -> tuple[dict[Path, tuple[Table, Roles]], list[str]]:
    """The tables that name recordings, and why the others do not."""
    found, complaints = {}, []
    broken: dict[str, CorpusError] = {}
    stems = {posixpath.splitext(key)[0] for key in survey.audio}
    lists = survey.lists(*_ENDINGS)
    for ending in (".txt", ".json"):
        of_kind = [key for key in lists if key.lower().endswith(ending)]
        if survey.only is None and len(of_kind) > MANY:
            lists = {key: path for key, path in lists.items() if key not in of_kind}
    if survey.only is not None and not lists:
        lists = {survey.only.name: survey.only}
    for key, path in lists.items():
        if survey.only is None and (posixpath.splitext(key)[0] in stems or path.stem.lower() in ("readme", "license")):
            continue
        try:
            table = _with_joined(_headed(parse_table(path, choices.encoding), survey, choices), choices)
            _check_spans(table, survey)
        except CorpusError as error:
            complaints.append(str(error))
            broken[key] = error
            continue
        roles = find_roles(table, survey, choices)
        if isinstance(roles, str):
            complaints.append(f"{path}: {roles}; its columns are {named(map(repr, table.columns))}")
            if table.rows and len(table.columns) == 1:
                broken[key] = CorpusError(complaints[-1])
        else:
            found[path] = (table, roles)
    refuse_broken(broken, lists, [key for key, path in lists.items() if path in found], choices, reading)
    return found, complaints


def _check_spans(table: Table, survey: Survey) -> None:
    """Raise a CorpusError where a quotation mark that was not closed has swallowed the rows of other recordings."""
    for first, (last, names) in table.spans.items():
        if any(survey.resolve(name, table.path.parent) for name in names):
            raise CorpusError(
                f"{table.path}, line {first}: a quotation mark opens here, and what follows up to line {last} names "
                "other recordings; close it, or write it twice within quotation marks"
            )


def _with_joined(table: Table, choices: Choices) -> Table:
    """The table with a column of all labels that the columns `a,b` hold, where these were asked for."""
    if not _are_joined(choices, table.columns):
        return table
    places = [table.columns.index(name.strip()) for name in choices.text.split(",")]
    rows = tuple(
        (line, (*cells, joined_labels(label for i in places for label in re.split("[,;|]", cells[i]))))
        for line, cells in table.rows
    )
    return replace(table, columns=(*table.columns, choices.text), rows=rows)


def _are_joined(choices: Choices, columns: Sequence[str]) -> bool:
    """Whether the labels that were asked for are of several of the columns."""
    asked = [name.strip() for name in choices.text.split(",")]
    return choices.text not in columns and len(asked) > 1 and set(asked) <= set(columns)


def _headed(table: Table, survey: Survey, choices: Choices) -> Table:
    """The table with its first row as header, where that is named, or holds words and names no recording."""
    if table.headed or len(table.rows) < 2:
        return table
    header = table.rows[0][1]
    if {choices.audio, *choices.text.split(",")} & set(header) - {""}:
        return replace(table, columns=header, rows=table.rows[1:], headed=True)
    audio = audio_column(table, survey, table.columns)
    is_named = audio is not None and survey.resolve(header[audio], table.path.parent) is not None
    # A name of a recording that is missing has a digit or an extension, a column's name hardly ever.
    if audio is None or is_named or not all(re.fullmatch(r"[^\W\d][^\d./\\]*", cell) for cell in header):
        return table
    return replace(table, columns=header, rows=table.rows[1:], headed=True)


def _with_splits(
    found: dict[Path, tuple[Table, Roles]], splits: Mapping[str, str], survey: Survey, reading: Reading
) -> dict[Path, tuple[Table, Roles]]:
    """The tables that are read: those named after splits, if these are at least two; else all fit to learn from."""
    if {"train"} < set(splits.values()):
        taken = {path: found[path] for path in found if survey.key(path) in splits}
    else:
        aside = {path for path in found if path.stem.lower() in _SET_ASIDE}
        taken = {path: found[path] for path in found if path not in aside or len(aside) == len(found)}
    rest = [path.name for path in found if path not in taken]
    names = named(f"{survey.key(path)} ({len(table.rows):,} lines)" for path, (table, _) in taken.items())
    reading.understood.append(f"table {names}" if len(taken) == 1 else f"tables {names}")
    if rest:
        reading.understood.append(f"not read beside {'them' if len(taken) > 1 else 'it'}: {named(rest)}")
    for table, roles in list(taken.values())[:1]:
        used = {
            what: table.columns[i]
            for what in ("audio", "text", "speaker", "start", "end", "split")
            if (i := getattr(roles, what)) is not None and (what != "split" or _split_column(table, roles))
        }
        columns = ", ".join(f"{what} = {name!r}" for what, name in used.items())
        reading.understood.append(f"columns: {columns}")
        reading.guessed += roles.guessed
        fold = table.columns[roles.split] if roles.split is not None else ""
        if plain_name(fold) == "fold" and "split" not in used and roles.speaker != roles.split:
            reading.guessed.append(
                f"column {fold!r} says no split, so that a fold may stand in several; --speaker column:{fold} keeps "
                "each in one"
            )
        if plain_name(table.columns[roles.text]) in LABEL_COLUMNS:
            reading.settings["label_column"] = table.columns[roles.text]
    return taken


def _read_rows(
    table: Table,
    roles: Roles,
    split: str | None,
    survey: Survey,
    choices: Choices,
    reading: Reading,
) -> None:
    splits = _split_column(table, roles)
    # A duration is a stretch only where a start says so, or in a NeMo manifest; else it may be in any unit.
    timed = roles.start is not None or plain_name(table.columns[roles.audio]) == "audio_filepath"
    name = survey.key(table.path)
    resolved = survey.resolve_all((cells[roles.audio] for _, cells in table.rows), table.path.parent)
    for line, cells in table.rows:
        where = f"{name}, line {line}"
        if not cells[roles.audio]:
            reading.left_out.append((where, "names no recording"))
            continue
        audio = resolved[cells[roles.audio]]
        if audio is None and not cells[roles.text]:
            reading.left_out.append((where, "its text is empty"))
            continue
        if audio is None:
            reading.missing.append((where, cells[roles.audio]))
            continue
        start, duration = _times(cells, roles, timed, where)
        speaker = cells[roles.speaker] if roles.speaker is not None else ""
        (reading.entries if cells[roles.text] else reading.without_text).append(
            Entry(
                audio=audio,
                text=cells[roles.text],
                speaker=speaker or None,
                start=start,
                duration=duration,
                split=splits.get(line, split),
                where=where,
            )
        )


def _split_column(table: Table, roles: Roles) -> dict[int, str]:
    """Splits by line; empty unless every value of the column names one."""
    if roles.split is None:
        return {}
    found = {line: split_in_name(cells[roles.split]) for line, cells in table.rows if cells[roles.split]}
    known = {line: split for line, split in found.items() if split}
    return known if len(known) == len(found) else {}


def _times(cells: Sequence[str], roles: Roles, timed: bool, where: str) -> tuple[float, float | None]:
    """Start and duration of a row in seconds."""

    def time(i: int | None) -> float | None:
        if i is None or not cells[i]:
            return None
        value = seconds(cells[i], where) * roles.units.get(i, 1.0)
        if not math.isfinite(value) or value < 0:
            raise CorpusError(f"{where}: {cells[i]!r} is no time in seconds")
        return round(value, 6)

    start = time(roles.start)
    end = time(roles.end) if start is not None else None
    duration = time(roles.duration) if timed else None
    if start is not None and end is not None:
        if end <= start:
            raise CorpusError(f"{where}: ends at {end:g} s, before it starts at {start:g} s")
        duration = round(end - start, 6)
    return start or 0.0, duration or None
