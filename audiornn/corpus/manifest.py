"""The manifest: one utterance a line, as JSON, with the keys the field shares.

`audio_filepath`, `duration` and `text` are NeMo's, so that a NeMo manifest can be used as it is; `speaker`, `start`
(NeMo: `offset`), `segments`, `track_filepath` with `track_hop` and `track_start`, and `id` are added where known. Paths
are relative to the manifest's own folder. A text that is a list, as of several labels, is joined with commas.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from audiornn.errors import CorpusError
from audiornn.files import encode_json, relative_to, write_atomically

__all__ = [
    "SPLITS",
    "SYNTHETIC_SPEAKER",
    "Manifest",
    "Segment",
    "Utterance",
    "digest",
    "is_synthetic",
    "read_manifest",
    "write_manifest",
]

SPLITS = ("train", "dev", "test")
#: What the names of synthetic voices begin with.
SYNTHETIC_SPEAKER = "espeak "

_BLOCK = 1 << 24  # bytes searched for line ends at once


@dataclass(frozen=True, order=True, slots=True)
class Segment:
    """A labelled stretch of a recording; `start` and `end` in seconds from the utterance's own start."""

    start: float
    end: float
    label: str


@dataclass(frozen=True, slots=True)
class Utterance:
    """One line of a manifest: a recording, or a part of one, and what is said in it.

    Attributes:
        id: unique in its corpus, and the same wherever the corpus lies.
        audio: the recording's path.
        text: the transcript, or the label of a classified recording, or its labels with commas between.
        speaker: who speaks; None where nobody knows.
        start: where the utterance begins in the recording, in seconds.
        duration: its length in seconds; None until somebody has looked: to the recording's end.
        segments: labelled stretches, in seconds from `start`.
        track: a file of values over time that `corpus.tracks` reads.
        track_hop: seconds from one of its rows to the next, of a file that does not say.
        track_start: where its time is zero, in seconds of the recording, if it reaches beyond the utterance; None:
            it is of this utterance alone, from `start` on.
    """

    id: str
    audio: Path
    text: str = ""
    speaker: str | None = None
    start: float = 0.0
    duration: float | None = None
    segments: tuple[Segment, ...] = field(default=())
    track: Path | None = None
    track_hop: float | None = None
    track_start: float | None = None


def is_synthetic(utterance: Utterance) -> bool:
    """Whether a synthetic voice speaks in it."""
    return (utterance.speaker or "").startswith(SYNTHETIC_SPEAKER)


def write_manifest(path: Path, utterances: Iterable[Utterance]) -> None:
    """Write utterances as JSON lines, audio paths relative to the manifest's folder; all or nothing."""
    folder = path.resolve().parent
    with write_atomically(path) as out:
        for utterance in utterances:
            out.write(encode_json(_to_json(utterance, folder)) + b"\n")


def read_manifest(path: Path) -> list[Utterance]:
    """Read a manifest, ours or NeMo's.

    Raises:
        CorpusError: a file that is missing or a line that is no utterance, named with its number.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # splitlines() would part at U+2028, too
    except FileNotFoundError:
        raise CorpusError(f"{path}: no such manifest") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: cannot be read as a manifest ({error})") from None
    folder = path.resolve().parent
    utterances = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                utterances.append(_from_json(json.loads(line), folder))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise CorpusError(
                    f"{path}, line {number}: not an utterance ({_explain(error)}); each line is a JSON object with "
                    'at least "audio_filepath" and "text"'
                ) from None
    return utterances


class Manifest(Sequence[Utterance]):
    """The utterances of a manifest that `prep` wrote, each read when it is asked for.

    A million lines take a second to open and eight megabytes: only where each begins is kept in memory.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._folder = path, path.resolve().parent
        try:
            with open(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                self._bytes: Any = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        except FileNotFoundError:
            raise CorpusError(f"{path}: no such manifest; run `audiornn prep` again") from None
        ends = [np.empty(0, np.int64)]
        for begin in range(0, len(self._bytes), _BLOCK):
            block = np.frombuffer(self._bytes[begin : begin + _BLOCK], np.uint8)
            ends.append(np.flatnonzero(block == ord("\n")) + begin)
        self._ends: NDArray[np.int64] = np.concatenate(ends)

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> Utterance: ...
    @overload
    def __getitem__(self, index: slice) -> list[Utterance]: ...
    def __getitem__(self, index: int | slice) -> Utterance | list[Utterance]:
        """An utterance, or a list of them."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        begin = int(self._ends[index - 1]) + 1 if index else 0
        try:
            return _from_json(json.loads(self._bytes[begin : int(self._ends[index])]), self._folder)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorpusError(
                f"{self._path}, line {index + 1}: not an utterance ({_explain(error)}); run `audiornn prep` again"
            ) from None


def digest(utterances: Sequence[Utterance], tracks: Iterable[bytes] = ()) -> str:
    """A fingerprint of who says what in a split, the same wherever the corpus lies; and of the values of `tracks`."""
    lines = sorted(f"{u.id}\t{u.text}\t{u.speaker or ''}" + "".join(f"\t{s}" for s in u.segments) for u in utterances)
    content = hashlib.sha256("\n".join(lines).encode(errors="surrogateescape"))
    for values in tracks:
        content.update(values)
    return content.hexdigest()[:16]


def _to_json(utterance: Utterance, folder: Path) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": utterance.id,
        "audio_filepath": relative_to(utterance.audio.resolve(), folder),
        "duration": utterance.duration,
        "text": utterance.text,
    }
    if utterance.speaker is not None:
        entry["speaker"] = utterance.speaker
    if utterance.start:
        entry["start"] = utterance.start
    if utterance.segments:
        entry["segments"] = [[s.start, s.end, s.label] for s in utterance.segments]
    if utterance.track is not None:
        entry["track_filepath"] = relative_to(utterance.track.resolve(), folder)
    if utterance.track_hop is not None:
        entry["track_hop"] = utterance.track_hop
    if utterance.track_start is not None:
        entry["track_start"] = utterance.track_start
    return entry


def _from_json(entry: dict[str, Any], folder: Path) -> Utterance:
    audio = str(entry["audio_filepath"])
    start = float(entry.get("start", entry.get("offset", 0.0)) or 0.0)
    duration = entry.get("duration")
    if start < 0 or not math.isfinite(start):
        raise ValueError(f"start is {start}")
    if duration is not None and not (math.isfinite(float(duration)) and float(duration) >= 0):
        raise ValueError(f"duration is {duration}")
    segments = entry.get("segments") or ()
    text = next((entry[key] for key in ("text", "label", "command") if entry.get(key) is not None), None)
    if isinstance(text, list):
        if held := next((label for label in map(str, text) if "," in label), None):
            raise ValueError(f"label {held!r} holds a comma, which parts one label from the next")
        text = ", ".join(map(str, text))
    track, track_hop, track_start = (entry.get(key) for key in ("track_filepath", "track_hop", "track_start"))
    if text is None and "segments" not in entry and track is None:  # no segment at all is a label, too: nothing
        raise KeyError("text")
    if track_hop is not None and not 0 < float(track_hop) < math.inf:
        raise ValueError(f"track_hop is {track_hop}")
    if track_start is not None and not 0 <= float(track_start) <= start:
        raise ValueError(f"track_start is {track_start}, where the utterance starts at {start}")
    speaker = entry.get("speaker")
    return Utterance(
        id=str(entry.get("id", f"{audio}@{start!r}" if start else audio)),
        audio=_path(folder, audio),
        text="" if text is None else str(text),
        speaker=None if speaker is None else str(speaker),
        start=start,
        duration=None if duration is None else float(duration),
        segments=tuple(Segment(float(a), float(b), str(label)) for a, b, label in segments),
        track=None if track is None else _path(folder, str(track)),
        track_hop=None if track_hop is None else float(track_hop),
        track_start=None if track_start is None else float(track_start),
    )


def _path(folder: Path, name: str) -> Path:
    return Path(os.path.normpath(folder / name)) if name.startswith("..") else folder / name


def _explain(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
