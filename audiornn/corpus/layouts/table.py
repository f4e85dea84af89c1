"""Tables: TSV, CSV and JSON lines that name recordings and what is said in them (LJSpeech, Common Voice, NeMo, …)."""

from __future__ import annotations

import ast
import contextlib
import csv
import io
import json
import math
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from audiornn.audio import EXTENSIONS, audio_info
from audiornn.corpus.label_files.tables import time_columns
from audiornn.corpus.label_files.timed import seconds
from audiornn.corpus.layouts.splits import MANY, refuse_broken, split_in_name, splits_in_paths
from audiornn.corpus.layouts.survey import Choices, Entry, Reading, Survey, named, read_text
from audiornn.errors import AudioError, CorpusError, nearest

__all__ = [
    "AUDIO_COLUMNS",
    "LABEL_COLUMNS",
    "SPEAKER_COLUMNS",
    "TEXT_COLUMNS",
    "Table",
    "fits",
    "joined_labels",
    "parse_table",
    "read",
]

AUDIO_COLUMNS = (
    "audio_filepath", "path", "file", "filename", "file_name", "filepath", "file_path", "audio", "audio_path",
    "audio_file", "audio_name", "wav", "wav_path", "wav_file", "wavfile", "wav_filename", "recording", "clip",
    "in_file", "fname", "ytid", "id",
)  # fmt: skip
LABEL_COLUMNS = (
    "label", "labels", "class", "class_name", "category", "word", "command", "keyword", "intent", "target",
    "event_labels", "positive_labels", "primary_label", "species", "species_code", "manual_id", "common_name",
    "scientific_name",
)  # fmt: skip
TEXT_COLUMNS = (
    "text", "transcript", "transcription", "sentence", "normalized_text", "normalised_text", "raw_transcription",
    *LABEL_COLUMNS, "phrase", "prompt", "utterance", "wrd", "words",
)  # fmt: skip
SPEAKER_COLUMNS = ("speaker", "speaker_id", "client_id", "spk", "spk_id", "spkid", "user", "user_id", "participant")
START_COLUMNS = ("start", "offset", "begin", "start_time", "onset", "tmin")
END_COLUMNS = ("end", "stop", "end_time", "tmax")
SPLIT_COLUMNS = ("split", "set", "subset", "partition", "fold")
_THE_SAME = 0.05  # seconds
_MUCH_THE_SAME = 0.2  # of a duration, by which a cut may differ from what was asked for
_KNOWN = {*AUDIO_COLUMNS, *TEXT_COLUMNS, *SPEAKER_COLUMNS, *SPLIT_COLUMNS}

_ENDINGS = (".tsv", ".csv", ".jsonl", ".ndjson", ".json", ".txt")
_DELIMITERS = "\t|;,"
_FITTED = 200  # rows whose times are compared with their recordings
_LOOKED_AT = 20  # rows from which the audio's column is found
_NAMED = re.compile(r"\s*\"?([^,;\"]+(?:" + "|".join(re.escape(e) for e in EXTENSIONS) + r"))\"?\s*[,;]", re.I)
_SET_ASIDE = ("invalidated", "other", "reported", "unvalidated")  # Common Voice: not fit to learn from


@dataclass(frozen=True)
class Table:
    """Rows of text, each with its line number.

    Attributes:
        path: the file.
        columns: the header, or "1", "2", … where there is none.
        rows: line number and cells; a JSON line lacks none, it has empty cells.
        headed: whether there was a header.
        spans: rows of several lines by their first, with their last, and what looks like recordings in between.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    headed: bool
    spans: Mapping[int, tuple[int, tuple[str, ...]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Roles:
    """Which column (by its position) holds what; None is none. Of times also the unit, in seconds."""

    audio: int
    text: int
    speaker: int | None
    start: int | None
    end: int | None
    duration: int | None
    split: int | None
    guessed: tuple[str, ...] = ()
    units: Mapping[int, float] = field(default_factory=dict)


def parse_table(path: Path, encoding: str = "") -> Table:
    """Read a table; JSON by its look, else the delimiter is found: tab, pipe, semicolon or comma.

    Raises:
        CorpusError: not text, no JSON, or rows that do not fit the header.
    """
    text = read_text(path, encoding)
    if text.lstrip()[:1] in ("{", "["):
        return _parse_json(path, text)
    text = _without_remarks(text)
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines:
        raise CorpusError(f"{path}: the table is empty")
    delimiter = _delimiter(lines)
    quoted = delimiter in ",;"
    every = text.split("\n")
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        skipinitialspace=quoted,
    )
    csv.field_size_limit(1 << 24)
    rows: list[tuple[int, list[str]]] = []
    spans: dict[int, tuple[int, tuple[str, ...]]] = {}
    before = 0
    try:
        for cells in reader:
            if reader.line_num - before > 20:
                raise CorpusError(f"{path}, line {before + 1}: a quotation mark opens here that never closes")
            if reader.line_num - before > 1:
                named_in = (_NAMED.match(line) for line in every[before + 1 : reader.line_num])
                spans[before + 1] = reader.line_num, tuple(found[1] for found in named_in if found)
            if any(cell.strip() for cell in cells):
                rows.append((before + 1, [_clean(cell, quoted) for cell in cells]))
            before = reader.line_num
    except csv.Error as error:
        raise CorpusError(f"{path}, line {reader.line_num}: cannot be read as a table ({error})") from None
    header = rows[0][1]
    if sum(_plain(cell) in _KNOWN for cell in header) >= min(2, len(header)):
        return Table(path, tuple(header), _fitted(path, header, rows[1:], delimiter, every), True, spans)
    columns = [str(i) for i in range(1, max(len(cells) for _, cells in rows[:_LOOKED_AT]) + 1)]
    return Table(path, tuple(columns), _fitted(path, columns, rows, delimiter, every), False, spans)


def _without_remarks(text: str) -> str:
    """A table without the lines above it that begin with "# ", but for the last one where it names the columns."""
    lines = text.split("\n")
    n = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith("# ")), 0)
    if not n or not lines[n - 1].startswith("# "):
        return text
    header = lines[n - 1].lstrip("# ")
    is_header = any(_plain(cell) in _KNOWN for cell in re.split(f"[{_DELIMITERS}]", header))
    return "\n".join(["" for _ in lines[: n - 1]] + [header if is_header else ""] + lines[n:])


def _clean(cell: str, quoted: bool) -> str:
    cell = cell.strip()
    if cell[:1] == "[":
        return _listed(cell)
    # Tab-separated files carry quotation marks as they are, but a spreadsheet wraps a cell that holds one.
    if not quoted and len(cell) >= 2 and cell[0] == cell[-1] == '"' and '"' not in cell[1:-1].replace('""', ""):
        return cell[1:-1].replace('""', '"')
    return cell


def _listed(cell: str) -> str:
    """A list of labels, as Python, numpy or JSON print it, with commas between them; anything else as it is."""
    if not re.fullmatch(r"\[\s*['\"].*['\"]\s*\]|\[\s*\]", cell, re.S):
        return cell
    printed = cell if "," in cell else re.sub(r"(['\"])\s+(['\"])", r"\1, \2", cell)  # numpy has no commas
    with contextlib.suppress(ValueError, SyntaxError):
        labels = ast.literal_eval(printed)
        if all(isinstance(label, str) for label in labels):
            return joined_labels(labels)
    return cell


def _delimiter(lines: Sequence[str]) -> str:
    def fit(delimiter: str) -> tuple[float, int]:
        counts = [line.count(delimiter) for line in lines[:50]]
        return sum(count == counts[0] for count in counts) / len(counts) if counts[0] else 0.0, counts[0]

    if "\t" in lines[0]:
        return "\t"
    return max(_DELIMITERS, key=fit)


def _fitted(
    path: Path, columns: Sequence[str], rows: Sequence[tuple[int, list[str]]], delimiter: str, lines: Sequence[str]
) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Rows as long as the header: short ones lack empty cells, a long one has its delimiter in the last column.

    What stands there is as it was written in its line, of the file's `lines`: "1,000" is one number, "1, 000" two.
    """
    n, fitted = len(columns), []
    for line, cells in rows:
        if len(cells) > n > 1:
            if any(cells[n:]) and _plain(columns[-1]) not in (*TEXT_COLUMNS, str(n)):
                raise CorpusError(
                    f"{path}, line {line}: has {len(cells)} cells, the header has {n} ({named(columns)}); put a text "
                    f"that holds {delimiter!r} in quotation marks"
                )
            space = " " if delimiter == "," else ""
            last = f"{delimiter}{space}".join(cells[n - 1 :])
            *before, rest = lines[line - 1].split(delimiter, n - 1)
            if '"' not in "".join(before) and ('"' not in rest or rest.lstrip().startswith("[")):
                last = rest.strip()
            cells = [*cells[: n - 1], _listed(last.rstrip(delimiter + " "))]
        fitted.append((line, tuple(cells[:n]) + ("",) * (n - len(cells))))
    return tuple(fitted)


def _parse_json(path: Path, text: str) -> Table:
    numbered: list[tuple[int, Any]] = []
    if text.lstrip().startswith("[") or (path.suffix.lower() == ".json" and not _is_json(text.lstrip().split("\n")[0])):
        try:
            whole = json.loads(text)
        except ValueError as error:
            raise CorpusError(f"{path}: is not JSON ({error})") from None
        if isinstance(whole, dict):  # {"data": [{…}, …]}
            whole = next((value for value in whole.values() if isinstance(value, list)), [whole])
        numbered = list(enumerate(whole, start=1))
    else:
        for line, content in enumerate(text.split("\n"), start=1):
            if content.strip():
                try:
                    numbered.append((line, json.loads(content)))
                except ValueError as error:
                    raise CorpusError(f"{path}, line {line}: is not JSON ({error}); is the file cut off?") from None
    for line, entry in numbered:
        if not isinstance(entry, dict):
            raise CorpusError(f"{path}, line {line}: is no JSON object, each line must be one")
    if len(numbered) == 1 and _are_objects(numbered[0][1]):  # {"id": {…}, …}, as SpeechBrain has them
        numbered = list(enumerate(({"id": key, **value} for key, value in numbered[0][1].items()), start=1))
    columns = tuple(dict.fromkeys(key for _, entry in numbered for key in entry))
    rows = tuple((line, tuple(_cell(entry.get(key)) for key in columns)) for line, entry in numbered)
    return Table(path, columns, rows, True)


def _are_objects(entry: Mapping[str, Any]) -> bool:
    """Whether all that an object holds, and more than one, are objects."""
    return len(entry) > 1 and all(isinstance(value, dict) for value in entry.values())


def _is_json(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, dict):
        return _cell(value.get("path"))
    if isinstance(value, list):  # several labels; anything else is no cell
        return joined_labels(value) if all(isinstance(item, str) for item in value) else ""
    return "" if value is None else str(value)


def joined_labels(labels: Iterable[str]) -> str:
    """Labels as one text; a comma parts them, and so none stands in one."""
    return ", ".join(plain for label in labels if (plain := " ".join(label.replace(",", " ").split())))


def _plain(column: str) -> str:
    return re.sub(r"[\s\-]+", "_", column.strip().lower())


def fits(table: Table, survey: Survey, choices: Choices) -> Roles | str:
    """Which column holds what, or why this is no table of recordings."""
    plain = [_plain(column) for column in table.columns]
    if not table.rows:
        return "holds no rows"
    if choices.audio and choices.audio not in table.columns:
        return f"has no column {choices.audio!r}{nearest(choices.audio, table.columns)}"
    if choices.audio:
        audio: int | None = table.columns.index(choices.audio)
    else:
        audio = _audio_column(table, survey, plain)
    if audio is None:
        return "has no column of paths of recordings that are there; name it with --audio COLUMN"
    text, guessed = _text_column(table, plain, audio, choices)
    if text is None:
        return guessed
    if any(cells[text].startswith(('[{"', '{"')) for _, cells in table.rows[:_LOOKED_AT]):
        return f"has JSON in its column {table.columns[text]!r}, no text; --label COLUMN takes another"
    if all(re.match(r"\w+://", cells[text]) for _, cells in table.rows[:_LOOKED_AT]):
        return f"has addresses in its column {table.columns[text]!r}, no text; --label COLUMN takes another"
    speaker = _first(plain, SPEAKER_COLUMNS)
    if choices.speaker.startswith("column:"):
        name = choices.speaker.removeprefix("column:")
        if name not in table.columns:
            return f"has no column {name!r}{nearest(name, table.columns)}"
        speaker = table.columns.index(name)
    start, end, duration = _time_roles(table, plain, audio, survey)
    notes = [guessed] if guessed else []
    if (at := time_columns(table.columns)) and _are_of_others(table, at, audio, survey):
        start = end = duration = None
        names = named(table.columns[i] for i, _ in at.values())
        notes.append(f"{names} go beyond the recordings, as of others that they were cut from, and are not used")
    return Roles(
        audio=audio,
        text=text,
        speaker=speaker if speaker not in (audio, text) or choices.speaker.startswith("column:") else None,
        start=start,
        end=end,
        duration=duration,
        split=_first(plain, SPLIT_COLUMNS),
        guessed=tuple(notes),
        units=dict(time_columns(table.columns).values()),
    )


def _time_roles(
    table: Table, plain: Sequence[str], audio: int, survey: Survey
) -> tuple[int | None, int | None, int | None]:
    """Columns of start, end and duration: of the usual names, or as label files call them where their times fit."""
    end = _first(plain, END_COLUMNS)
    if end is None and "onset" in plain and "offset" in plain:
        end = plain.index("offset")
    start = plain.index("onset") if "onset" in plain else _first(plain, START_COLUMNS)
    duration = _first(plain, ("duration", "length", "dur"))
    found = time_columns(table.columns)
    given = {"start": start, "end": end, "duration": duration}
    if not found or all(given.get(name) == i for name, (i, _) in found.items()):
        return start, end, duration
    rows = [cells for _, cells in table.rows[:_FITTED]]
    if not all(_fits(cells, found, survey.resolve(cells[audio], table.path.parent)) for cells in rows):
        return start, end, duration
    given |= {name: i for name, (i, _) in found.items()}
    return given["start"], given["end"], given["duration"]


def _are_of_others(table: Table, columns: Mapping[str, tuple[int, float]], audio: int, survey: Survey) -> bool:
    """Whether each row is a recording of its own, as long as from start to end, and yet some go beyond them.

    Where lengths are much the same, some begin after their ends; where most are the same, one of these later than at 0.
    """
    if not {"start", "end"} <= columns.keys() or len({cells[audio] for _, cells in table.rows}) < len(table.rows):
        return False
    rows = [cells for _, cells in table.rows[:: max(1, len(table.rows) // _LOOKED_AT)][:_LOOKED_AT]]
    is_after, exact = [], []
    for cells in rows:
        recording = survey.resolve(cells[audio], table.path.parent)
        try:
            start, end = (seconds(cells[i], "") * unit for i, unit in (columns["start"], columns["end"]))
            if recording is None:
                continue
            duration = audio_info(recording).duration
        except (CorpusError, AudioError):
            return False
        if abs(end - start - duration) > _MUCH_THE_SAME * duration:
            return False
        is_after.append(start >= duration)
        if abs(end - start - duration) <= _THE_SAME:
            exact.append(start)
    return any(is_after) or (2 * len(exact) > len(is_after) and max(exact) > _THE_SAME)


def _fits(cells: Sequence[str], columns: Mapping[str, tuple[int, float]], audio: Path | None) -> bool:
    """Whether a row's times are some, and lie within its recording, if that can be read."""
    try:
        times = {name: seconds(cells[i], "") * unit for name, (i, unit) in columns.items() if cells[i]}
        duration = audio_info(audio).duration if audio is not None and times else 0.0
    except CorpusError:
        return False
    except AudioError:
        return True  # prep names it
    start = times.get("start", 0.0)
    end = times.get("end", start + times.get("duration", 0.0))
    return not times or audio is None or (0 <= start < duration and start <= end <= duration + 1)


def _first(plain: Sequence[str], known: Sequence[str]) -> int | None:
    return next((plain.index(name) for name in known if name in plain), None)


def _audio_column(table: Table, survey: Survey, plain: Sequence[str]) -> int | None:
    """By its content, and among several by its name; by its name alone where nothing is there."""
    rows = table.rows[:: max(1, len(table.rows) // _LOOKED_AT)][:_LOOKED_AT]
    rank = {name: i for i, name in enumerate(AUDIO_COLUMNS)}
    found = []
    for i, name in enumerate(plain):
        n = sum(survey.resolve(cells[i], table.path.parent) is not None for _, cells in rows if cells[i])
        if n and (name in rank or 2 * n >= len(rows)):
            found.append((rank.get(name, len(rank)), -n, i))
    if found:
        return min(found)[2]
    return _first(plain, [name for name in AUDIO_COLUMNS if name != "id"]) if table.headed else None


def _text_column(table: Table, plain: Sequence[str], audio: int, choices: Choices) -> tuple[int | None, str]:
    """The text's column and what was guessed about it, or None and why there is none."""
    others = [i for i in range(len(plain)) if i != audio]
    if choices.text:
        if choices.text in table.columns:
            return table.columns.index(choices.text), ""
        return None, f"has no column {choices.text!r}{nearest(choices.text, table.columns)}"
    if table.headed:
        found = [i for name in TEXT_COLUMNS for i in others if plain[i] == name]
        if found and plain[found[0]] == "words" and all(cells[found[0]].isdecimal() for _, cells in table.rows):
            found.clear()  # how many there are
        if found:
            chosen, rest = repr(table.columns[found[0]]), named(repr(table.columns[i]) for i in found[1:])
            return found[0], f"the text is column {chosen}, not {rest}; --label NAME takes another" if rest else ""
        if len(others) == 1:
            return others[0], f"the text is column {table.columns[others[0]]!r}"
        return None, "has no column of texts or labels; name it with --label COLUMN"
    if not others:
        return None, "has one column only; a table needs one of recordings and one of texts"
    first = [cells for _, cells in table.rows[:_LOOKED_AT]]
    if (
        len(plain) == 3
        and audio == 0
        and all(cells[2] for cells in first)
        and _are_sentences(cells[1:3] for cells in first)
    ):
        return 2, "no header: the text is column 3, as in LJSpeech; --label 2 takes the text before normalisation"
    text = max(others, key=lambda i: (sum(len(cells[i]) for _, cells in table.rows[:_LOOKED_AT]), -i))
    return text, f"no header: the audio is column {audio + 1}, the text column {text + 1}; --label N takes another"


def _are_sentences(pairs: Iterable[Sequence[str]]) -> bool:
    """Whether most pairs may be a sentence before and after its numbers were spelled out."""
    are_sentences = [" " in raw and " " in normal for raw, normal in pairs]
    return 2 * sum(are_sentences) > len(are_sentences)


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
        columns = {_plain(table.columns[roles.text]) for table, roles in taken.values()}
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
        roles = fits(table, survey, choices)
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
    audio = _audio_column(table, survey, table.columns)
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
        if _plain(fold) == "fold" and "split" not in used and roles.speaker != roles.split:
            reading.guessed.append(
                f"column {fold!r} says no split, so that a fold may stand in several; --speaker column:{fold} keeps "
                "each in one"
            )
        if _plain(table.columns[roles.text]) in LABEL_COLUMNS:
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
    timed = roles.start is not None or _plain(table.columns[roles.audio]) == "audio_filepath"
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
