"""Tables as rows of text: TSV, CSV, JSON lines, and what people make of them."""

from __future__ import annotations

import ast
import contextlib
import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audiornn.audio import EXTENSIONS
from audiornn.corpus.layouts.survey import named, read_text
from audiornn.errors import CorpusError

__all__ = [
    "AUDIO_COLUMNS",
    "LABEL_COLUMNS",
    "LOOKED_AT",
    "SPEAKER_COLUMNS",
    "SPLIT_COLUMNS",
    "TEXT_COLUMNS",
    "Table",
    "joined_labels",
    "parse_table",
    "plain_name",
]

#: What columns of recordings are called, of what is said in them, of who says it; a likelier name before another.
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
SPLIT_COLUMNS = ("split", "set", "subset", "partition", "fold")
_KNOWN = {*AUDIO_COLUMNS, *TEXT_COLUMNS, *SPEAKER_COLUMNS, *SPLIT_COLUMNS}

#: So many rows tell what a table holds.
LOOKED_AT = 20
_DELIMITERS = "\t|;,"
_NAMED = re.compile(r"\s*\"?([^,;\"]+(?:" + "|".join(re.escape(e) for e in EXTENSIONS) + r"))\"?\s*[,;]", re.I)


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
    if sum(plain_name(cell) in _KNOWN for cell in header) >= min(2, len(header)):
        return Table(path, tuple(header), _fitted(path, header, rows[1:], delimiter, every), True, spans)
    columns = [str(i) for i in range(1, max(len(cells) for _, cells in rows[:LOOKED_AT]) + 1)]
    return Table(path, tuple(columns), _fitted(path, columns, rows, delimiter, every), False, spans)


def _without_remarks(text: str) -> str:
    """A table without the lines above it that begin with "# ", but for the last one where it names the columns."""
    lines = text.split("\n")
    n = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith("# ")), 0)
    if not n or not lines[n - 1].startswith("# "):
        return text
    header = lines[n - 1].lstrip("# ")
    is_header = any(plain_name(cell) in _KNOWN for cell in re.split(f"[{_DELIMITERS}]", header))
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
            if any(cells[n:]) and plain_name(columns[-1]) not in (*TEXT_COLUMNS, str(n)):
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


def plain_name(column: str) -> str:
    """A column's name as the lists above have it: in lower case, with "_" for spaces and hyphens."""
    return re.sub(r"[\s\-]+", "_", column.strip().lower())
