"""Lhotse's manifests: recordings and supervisions, or cuts, as JSON lines. Lhotse itself is not needed."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from audiornn.corpus.layouts.kaldi import audio_of_command
from audiornn.corpus.layouts.splits import split_in_name
from audiornn.corpus.layouts.survey import Choices, Entry, Reading, Survey
from audiornn.errors import CorpusError

__all__ = ["read"]

_ENDINGS = (".jsonl", ".jsonl.gz")
_SAME = 0.02  # seconds: a supervision as long as its recording is the whole of it


def read(survey: Survey, choices: Choices, *, forced: bool = True) -> Reading | None:
    """`recordings*.jsonl(.gz)` with `supervisions*.jsonl(.gz)`, or `cuts*.jsonl(.gz)`; splits by the files' names.

    Raises:
        CorpusError: forced and there are none; a line is wrong; recordings are missing.
    """
    lists = survey.lists(*_ENDINGS)
    if survey.only is not None:  # of a pair, either file may be named
        lists = {
            p.name: p for p in survey.only.parent.iterdir() if p.name == survey.only.name or _is_pair(survey.only, p)
        }
    cuts = {key: path for key, path in lists.items() if "cuts" in path.name}
    supervisions = {key: path for key, path in lists.items() if "supervisions" in path.name}
    pairs = {
        key: (path, path.with_name(path.name.replace("supervisions", "recordings")))
        for key, path in supervisions.items()
        if path.with_name(path.name.replace("supervisions", "recordings")).is_file()
    }
    if pairs:  # cuts of the same would say everything twice
        cuts = {}
    if not cuts and not pairs:
        if forced:
            raise CorpusError(
                f"{survey.folder}: holds no cuts*.jsonl(.gz), nor recordings* and supervisions* of one name"
            )
        return None
    reading = Reading(understood=[f"lhotse's manifests: {', '.join(cuts or pairs)}"])
    splits = {key: split_in_name(re.sub(r"\W|_", " ", key)) for key in (*cuts, *pairs)}
    if "train" not in splits.values() or len(set(splits.values())) < 2:
        splits = {}
    for key, path in cuts.items():
        for number, entry in _lines(path):
            reading.n_lines += 1
            _read_cut(entry, f"{key}, line {number}", path, splits.get(key), survey, reading)
    for key, (path, recordings_path) in pairs.items():
        recordings = {str(entry.get("id")): entry for _, entry in _lines(recordings_path)}
        for number, entry in _lines(path):
            reading.n_lines += 1
            where = f"{key}, line {number}"
            recording = recordings.get(str(entry.get("recording_id")))
            if recording is None:
                reading.missing.append((where, str(entry.get("recording_id"))))
            else:
                _add(entry, recording, 0.0, where, path, splits.get(key), survey, reading)
    reading.refuse_missing(choices)
    reading.left_out += survey.unlabelled((e.audio for e in reading.entries), "no supervision names it")
    if not reading.entries:
        raise CorpusError(f"{next(iter(cuts or pairs))}: no line has a text")
    return reading


def _is_pair(one: Path, other: Path) -> bool:
    return other.name in (
        one.name.replace("supervisions", "recordings"),
        one.name.replace("recordings", "supervisions"),
    )


def _lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    open_text: Callable[..., IO[str]] = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with open_text(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    entry = json.loads(line)
                    if not isinstance(entry, dict):
                        raise ValueError("no JSON object")
                    yield number, entry
    except (OSError, EOFError, ValueError) as error:
        raise CorpusError(f"{path}, line {number}: cannot be read ({error})") from None


def _read_cut(
    cut: Mapping[str, Any],
    where: str,
    path: Path,
    split: str | None,
    survey: Survey,
    reading: Reading,
) -> None:
    kind = cut.get("type", "MonoCut")
    if kind not in ("MonoCut", "MultiCut") or not isinstance(cut.get("recording"), dict):
        reading.left_out.append((where, f"a {kind} is no stretch of one recording"))
        return
    if not cut.get("supervisions"):
        reading.left_out.append((where, "a cut without a supervision"))
    for supervision in cut.get("supervisions") or ():
        _add(supervision, cut["recording"], _number(cut, "start", where), where, path, split, survey, reading)


def _add(
    supervision: Mapping[str, Any],
    recording: Mapping[str, Any],
    offset: float,
    where: str,
    path: Path,
    split: str | None,
    survey: Survey,
    reading: Reading,
) -> None:
    text = str(supervision.get("text") or "").strip()
    if not text:
        reading.left_out.append((where, "its text is empty"))
        return
    changes = [str(t.get("name", t)) for t in recording.get("transforms") or () if isinstance(t, dict)]
    if changes and set(changes) != {"Resample"}:
        reading.left_out.append((where, f"the recording is changed on the fly ({', '.join(changes)})"))
        return
    audio = _audio(recording, survey, path, where)
    if audio is None:
        reading.missing.append((where, str(_source(recording).get("source", "no source"))[:80]))
        return
    start, duration = offset + _number(supervision, "start", where), _number(supervision, "duration", where)
    whole = float(recording.get("duration") or 0.0)
    is_whole = start <= _SAME and duration + start >= whole - _SAME
    n_channels = len(_source(recording).get("channels") or (0,))
    note = f"channels are mixed down: `prep` cannot take one of several (first in {where})"
    if n_channels > 1 and not any(line.startswith("channels are") for line in reading.guessed):
        reading.guessed.append(note)
    reading.entries.append(
        Entry(
            audio,
            text,
            str(supervision["speaker"]) if supervision.get("speaker") else None,
            0.0 if is_whole else round(max(0.0, start), 6),
            None if is_whole else duration,
            split,
            str(supervision.get("id", "")),
            where,
        )
    )


def _number(entry: Mapping[str, Any], key: str, where: str) -> float:
    try:
        return float(entry[key])
    except (KeyError, TypeError, ValueError):
        raise CorpusError(f"{where}: {key} is missing or no number") from None


def _source(recording: Mapping[str, Any]) -> Mapping[str, Any]:
    sources = recording.get("sources") or [{}]
    return sources[0] if isinstance(sources[0], dict) else {}


def _audio(recording: Mapping[str, Any], survey: Survey, path: Path, where: str) -> Path | None:
    """The recording's file; lhotse's relative paths start wherever it ran, so folders above are tried, too."""
    source = _source(recording)
    name = str(source.get("source", ""))
    if source.get("type") == "command":
        return audio_of_command(name, survey, path.parent, where)
    if source.get("type", "file") != "file" or len(recording.get("sources") or ()) != 1:
        return None
    for base in (path.parent, *list(path.parent.resolve().parents)[:3]):
        if (base / name).is_file():
            return base / name
    return survey.resolve(name, path.parent)
