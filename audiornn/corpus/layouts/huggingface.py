"""Hugging Face's data sets: Arrow files of `save_to_disk`, and Parquet, with the audio inside. Needs pyarrow."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from audiornn.audio import EXTENSIONS, AudioInfo, audio_info
from audiornn.corpus.layouts.splits import split_in_name
from audiornn.corpus.layouts.survey import Choices, Entry, Reading, Survey, named
from audiornn.corpus.layouts.table import read as read_table
from audiornn.corpus.layouts.table_rows import AUDIO_COLUMNS, LABEL_COLUMNS, SPEAKER_COLUMNS, TEXT_COLUMNS
from audiornn.errors import AudioError, AudiornnError, CorpusError, nearest
from audiornn.files import write_atomically

__all__ = ["is_dataset", "read", "sample_headers", "write_audio"]

_ROWS = 64  # a batch; a minute of 16 kHz audio each is 120 MB
_ENDINGS = (".parquet", ".arrow")


@dataclass(frozen=True)
class _Shard:
    """A file of rows and the split it belongs to."""

    path: Path
    split: str | None


@dataclass(frozen=True)
class _Columns:
    audio: str
    text: str
    speaker: str
    names: tuple[str, ...]  # of a ClassLabel, whose values are numbers


def is_dataset(survey: Survey) -> bool:
    """Whether there are Arrow or Parquet files."""
    return bool(_shards(survey))


def read(survey: Survey, choices: Choices, *, forced: bool = True) -> Reading | None:
    """Rows with audio and text; recordings inside get the path that `write_audio` would give them.

    A folder with `metadata.csv` or `metadata.jsonl` (an "audiofolder") is read as a table.

    Raises:
        CorpusError: pyarrow is missing; no column of audio or text; audio stored as numbers.
    """
    shards = _shards(survey)
    if not shards:  # an "audiofolder" is a table beside its audio, and is found as one
        return read_table(survey, choices) if forced else None
    reading = Reading(understood=[f"Hugging Face's data set: {named(survey.key(s.path) for s in shards)}"])
    splits = {shard.split for shard in shards}
    has_splits = None not in splits and "train" in splits and len(splits) > 1
    for shard, number, row in _rows(shards, choices, reading, with_bytes=False):
        where = f"{survey.key(shard.path)}, row {number}"
        reading.n_lines += 1
        audio, text = row["audio"], row["text"]
        if not text:
            reading.left_out.append((where, "its text is empty"))
            continue
        path = survey.resolve(audio, shard.path.parent) if audio and not row["embedded"] else None
        if row["embedded"]:
            reading.embedded = True
            path = survey.folder / _name(shard, number, audio)
        elif path is None:
            reading.missing.append((where, audio or "no path"))
            continue
        split = shard.split if has_splits else None
        reading.entries.append(Entry(path, text, row["speaker"] or None, split=split, where=where))
    reading.refuse_missing(choices)
    if not reading.entries:
        raise CorpusError(f"{shards[0].path}: no row has audio and a text")
    return reading


def write_audio(survey: Survey, choices: Choices, folder: Path) -> None:
    """Write the recordings inside a data set as files below `folder`, a few rows at a time; those that are there stay.

    Each gets the path below `folder` that its entry by `read` has below the data set's folder.

    Raises:
        CorpusError: as `read`.
        AudiornnError: the disk is full or read-only.
    """
    reading = read(survey, choices)
    if reading is None or not reading.embedded:
        return
    wanted = {entry.where: folder / entry.audio.relative_to(survey.folder) for entry in reading.entries}
    todo = {where: path for where, path in wanted.items() if not path.is_file()}
    shards = [shard for shard in _shards(survey) if any(where.startswith(survey.key(shard.path)) for where in todo)]
    for shard, number, row in _rows(shards, choices, Reading(), with_bytes=True):
        path = todo.get(f"{survey.key(shard.path)}, row {number}")
        if path is not None and row["bytes"]:
            with write_atomically(path) as out:
                out.write(row["bytes"])


def sample_headers(survey: Survey, choices: Choices, n: int) -> dict[str, AudioInfo]:
    """Headers of the first recordings inside, by the path below the folder that `read` gives them."""
    found: dict[str, AudioInfo] = {}
    for shard, number, row in _rows(_shards(survey), choices, Reading(), with_bytes=True):
        if len(found) >= n:
            break
        try:
            found[_name(shard, number, row["audio"])] = audio_info(BytesIO(row["bytes"]))
        except AudioError:
            continue  # prep names it
    return found


def _name(shard: _Shard, number: int, audio: str) -> str:
    """Where a recording inside is written: by its row, and with its own name, which may tell the speaker."""
    own = posixpath.basename((audio or "").replace("\\", "/"))
    stem, suffix = posixpath.splitext(own)
    suffix = suffix.lower() if suffix.lower() in EXTENSIONS else ".wav"  # libsndfile looks inside, not at the name
    stem = re.sub(r"[^\w.\-]", "_", stem)[:80]
    origin = re.sub(r"[^\w.\-]", "_", shard.path.stem)
    return f"{shard.split or 'all'}/{origin}/{number:07d}{'_' + stem if stem else ''}{suffix}"


def _shards(survey: Survey) -> list[_Shard]:
    files = [path for path in survey.lists(*_ENDINGS).values() if not path.name.startswith(("cache-", "tmp"))]
    found = []
    for path in sorted(files):
        parts = [path.stem, *reversed(survey.key(path).split("/")[:-1])]
        found.append(_Shard(path, next((split for part in parts if (split := split_in_name(part))), None)))
    return found


def _rows(
    shards: list[_Shard], choices: Choices, reading: Reading, *, with_bytes: bool
) -> Iterator[tuple[_Shard, int, Mapping[str, Any]]]:
    """Rows of all shards by number: path, text, speaker, whether the audio is embedded, and its bytes if asked for."""
    for shard in shards:
        schema, batches = _open(shard.path)
        columns = _columns(shard.path, schema, choices, reading if shard is shards[0] else Reading())
        number = 0
        for batch in batches([columns.audio, columns.text, *([columns.speaker] if columns.speaker else [])]):
            audio = batch.column(columns.audio)
            is_struct = _is_struct(audio.type)
            names = audio.field("path").to_pylist() if is_struct and audio.type.get_field_index("path") >= 0 else None
            content = audio.field("bytes") if is_struct and audio.type.get_field_index("bytes") >= 0 else None
            texts = batch.column(columns.text).to_pylist()
            speakers = batch.column(columns.speaker).to_pylist() if columns.speaker else [None] * len(texts)
            for i, text in enumerate(texts):
                embedded = content is not None and content[i].is_valid
                yield (
                    shard,
                    number,
                    {
                        "audio": (names[i] if names else None if is_struct else audio[i].as_py()) or "",
                        "embedded": embedded,
                        "bytes": content[i].as_py() if embedded and with_bytes and content is not None else b"",
                        "text": _text(text, columns.names),
                        "speaker": "" if speakers[i] is None else str(speakers[i]),
                    },
                )
                number += 1


def _text(value: Any, names: tuple[str, ...]) -> str:
    if value is None:
        return ""
    if names and isinstance(value, int):
        return names[value] if 0 <= value < len(names) else ""  # −1 is "no label" there
    return str(value).strip()


def _is_struct(kind: Any) -> bool:
    return hasattr(kind, "get_field_index")


def _open(path: Path) -> tuple[Any, Any]:
    """The schema of a file of rows, and a function from columns to batches."""
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise AudiornnError(f"{path}: reading it needs pyarrow, which is not installed: pip install pyarrow") from None
    try:
        if path.suffix.lower() == ".parquet":
            file = pyarrow.parquet.ParquetFile(path)
            return file.schema_arrow, lambda names: file.iter_batches(batch_size=_ROWS, columns=names)
        source = pyarrow.memory_map(str(path))
        try:
            reader = pyarrow.ipc.open_stream(source)
        except pyarrow.ArrowInvalid:
            opened = pyarrow.ipc.open_file(source)
            return opened.schema, lambda names: (
                opened.get_batch(i).select(names) for i in range(opened.num_record_batches)
            )
        return reader.schema, lambda names: (batch.select(names) for batch in reader)
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise CorpusError(f"{path}: cannot be read ({' '.join(str(error).split())}); copy or fetch it again") from None


def _columns(path: Path, schema: Any, choices: Choices, reading: Reading) -> _Columns:
    names = list(schema.names)

    def chosen(name: str, known: tuple[str, ...]) -> str:
        if name and name not in names:
            raise CorpusError(f"{path}: has no column {name!r}{nearest(name, names)}; it has {named(names, 20)}")
        return name or next((n for k in known for n in names if n.lower() == k), "")

    features = _features(schema)
    typed = next((name for name, kind in features.items() if kind.get("_type") == "Audio"), "")
    structs = [
        n for n in names if _is_struct(schema.field(n).type) and schema.field(n).type.get_field_index("bytes") >= 0
    ]
    audio = choices.audio or typed or (structs[0] if structs else "")
    audio = chosen(audio, AUDIO_COLUMNS)
    labels = tuple(name for name, kind in features.items() if kind.get("_type") == "ClassLabel")
    text = chosen(choices.text, (*TEXT_COLUMNS, *(name.lower() for name in labels)))
    if not audio or not text:
        what = "audio" if not audio else "texts or labels"
        option = "--audio" if not audio else "--label"
        raise CorpusError(f"{path}: has no column of {what} (it has {named(names, 20)}); name it with {option} COLUMN")
    asked = choices.speaker.removeprefix("column:") if choices.speaker.startswith("column:") else ""
    speaker = chosen(asked, SPEAKER_COLUMNS)
    classes = features.get(text, {}).get("names") or ()
    kind = schema.field(audio).type
    if _is_struct(kind) and kind.get_field_index("bytes") < 0 and kind.get_field_index("path") < 0:
        raise CorpusError(
            f"{path}: column {audio!r} holds samples as numbers; cast it to datasets.Audio() and save again"
        )
    if not _is_struct(kind) and str(kind) not in ("string", "large_string"):
        raise CorpusError(
            f"{path}: column {audio!r} holds {kind}, not audio; cast it to datasets.Audio() and save again"
        )
    columns = [f"audio = {audio!r}", f"text = {text!r}", *([f"speaker = {speaker!r}"] if speaker else [])]
    reading.understood.append(f"columns: {', '.join(columns)}")
    if text.lower() in LABEL_COLUMNS or classes:
        reading.settings["label_column"] = text
    return _Columns(audio, text, speaker, tuple(map(str, classes)))


def _features(schema: Any) -> dict[str, dict[str, Any]]:
    """The types that `datasets` notes in the schema."""
    try:
        noted = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    return {name: kind for name, kind in noted.items() if isinstance(kind, dict)}
