"""Track files: values over time beside a recording, the targets of a network that regresses.

    pitch.csv                 pitch.npy
      time,log2_f0,voicing      (rows,) or (rows, tracks), finite; the manifest's `track_hop` says how many
      0.00,,0                   seconds lie between rows, of which the first is at the recording's beginning;
      0.01,6.91,1               without it there must be a row for each feature frame
      0.02,6.93,1

A table says its times (seconds from the utterance's beginning, or from the manifest's `track_start` in the recording,
of which the utterance is then a stretch; rising, at any pace) and its tracks' names; tabs and semicolons part its
columns as well, and in a `.txt` spaces, as in Praat's listings. An empty cell is a value that is not defined there, as
the pitch of a voiceless sound: it is no target. NaN is an error, since it is mostly the trace of another one.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiornn.audio import audio_info
from audiornn.corpus.manifest import Utterance
from audiornn.corpus.text_files import read_text
from audiornn.errors import CorpusError
from audiornn.features import FeatureSettings

__all__ = ["ENDINGS", "PITCH", "SLACK", "VOICING", "Tracks", "may_be_tracks", "read_tracks", "tracks_at_frames"]

#: Names of tracks that mean something: log₂ of Hz, and 0 or 1.
PITCH, VOICING = "log2_f0", "voicing"

#: Of track files.
ENDINGS = (".csv", ".tsv", ".txt", ".npy")

#: Seconds that a track may lack at either end: trackers that do not pad begin half a window late.
SLACK = 0.1
_BESIDE = 3  # gaps on either side that tell the pace
_GAP = 1.5  # hops; over a wider one nothing is interpolated


@dataclass(frozen=True)
class Tracks:
    """What a track file holds.

    Attributes:
        names: of the tracks.
        values: (rows, tracks) float64; NaN where a value is not defined.
        times: (rows,) in seconds, rising; None where the file does not say.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    times: NDArray[np.float64] | None


def read_tracks(path: Path) -> Tracks:
    """Read a track file, `.npy` or a table.

    Raises:
        CorpusError: it is missing, is no such file, or holds NaN, an infinity, or times that do not rise.
    """
    try:
        tracks = _read_array(path) if path.suffix.lower() == ".npy" else _read_table(path)
    except FileNotFoundError:
        raise CorpusError(f"{path}: no such track file") from None
    except (OSError, ValueError, EOFError, csv.Error) as error:
        raise CorpusError(
            f"{path}: cannot be read as tracks ({error}); a table has a first line such as time,pitch and numbers below"
        ) from None
    if not len(tracks.values):
        raise CorpusError(f"{path}: holds no rows")
    if tracks.times is not None and not (np.diff(tracks.times) > 0).all():
        row = int(np.flatnonzero(np.diff(tracks.times) <= 0)[0])
        raise CorpusError(
            f"{path}: its times must rise, but {tracks.times[row + 1]:g} s follows {tracks.times[row]:g} s"
        )
    return tracks


def may_be_tracks(path: Path) -> bool:
    """Whether a file may be one of values over time; a `.txt`, often a transcript, by its columns' names and a row."""
    if path.suffix.lower() != ".txt":
        return True
    try:
        names, rows, _ = _parted(read_text(path), path)
        return bool(_TIME.fullmatch(names[0])) and any(rows)  # "Time flies" is a text
    except (CorpusError, csv.Error):
        return False


def tracks_at_frames(
    utterance: Utterance, n_frames: int, settings: FeatureSettings
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """The values of an utterance's tracks at its feature frames.

    Between rows they are interpolated; where a neighbour is not defined, or far, they are not defined.

    Args:
        utterance: with its `track`.
        n_frames: feature frames of the utterance.
        settings: of the features.

    Returns:
        (n_frames, tracks) with NaN where a value is not defined, and the tracks' names.

    Raises:
        CorpusError: as `read_tracks`; or the track is of another rate, or shorter or longer than the recording.
        AudioError: the track is of a whole recording, whose header cannot be read.
    """
    if utterance.track is None:
        raise CorpusError("has no track; each line of the manifest names one, track_filepath")
    path = utterance.track
    tracks = _read_once(path, path.stat().st_mtime_ns) if path.is_file() else read_tracks(path)
    frame_times = np.array([settings.frames_to_seconds(t) for t in range(n_frames)])
    if tracks.times is None and utterance.track_hop is None and utterance.track_start is None:
        if len(tracks.values) != n_frames:
            likely = frame_times[-1] / max(1, len(tracks.values) - 1)
            raise CorpusError(
                f"{path}: has {len(tracks.values):,} rows, the recording {n_frames:,} frames of "
                f"{1000 * settings.frame_seconds:g} ms; if it is of another frame rate, say the seconds from row to "
                f"row, track_hop (about {likely:.2g} by these numbers)"
            )
        return tracks.values.astype(np.float32), tracks.names
    evenly = np.arange(len(tracks.values), dtype=np.float64) * (utterance.track_hop or settings.frame_seconds)
    times: NDArray[np.float64] = evenly if tracks.times is None else tracks.times
    hop = float(np.median(np.diff(times))) if len(times) > 1 else settings.frame_seconds
    last = float(frame_times[-1])
    if utterance.track_start is not None:
        frame_times += utterance.start - utterance.track_start
        last = audio_info(utterance.audio).duration - utterance.track_start
    _check_extent(path, times, hop, (float(frame_times[0]), float(frame_times[-1])), last)
    return _interpolated(times, tracks.values, frame_times, hop).astype(np.float32), tracks.names


@lru_cache(maxsize=2)
def _read_once(path: Path, changed: int) -> Tracks:
    """A track file as of a time of change: of a long recording its stretches ask one after the other."""
    return read_tracks(path)


def _check_extent(path: Path, times: NDArray[np.float64], hop: float, wanted: tuple[float, float], last: float) -> None:
    """That rows reach over the seconds that are wanted, and no further than to the `last` that is heard."""
    slack = SLACK + hop
    if times[0] > wanted[0] + slack or times[-1] < wanted[1] - slack:
        raise CorpusError(
            f"{path}: reaches from {times[0]:.2f} to {times[-1]:.2f} s, the recording from {wanted[0]:.2f} to "
            f"{wanted[1]:.2f} s; is it too short, or of another frame rate? (a value that is not defined is an empty "
            "cell, not a missing row)"
        )
    if times[0] < -slack:
        raise CorpusError(
            f"{path}: begins at {times[0]:.2f} s, before the recording; times count from its start (in a manifest "
            "track_start says where they do)"
        )
    if times[-1] > last + slack:
        raise CorpusError(
            f"{path}: reaches to {times[-1]:.2f} s, the recording to {last:.2f} s; is it another recording's, or of "
            "another frame rate?"
        )


def _interpolated(
    times: NDArray[np.float64], values: NDArray[np.float64], wanted: NDArray[np.float64], hop: float
) -> NDArray[np.float64]:
    """Values (rows, tracks) at other times; at an end the nearest row's, half a hop beyond it.

    Rows are missing in a gap that is wider than those on both sides of it: a pace may change. What lies there
    within half a row's distance of one has its value, as at an end.
    """
    left = np.clip(np.searchsorted(times, wanted + 1e-9, side="right") - 1, 0, len(times) - 1)
    right = np.minimum(left + 1, len(times) - 1)
    gap = times[right] - times[left]
    around = _gaps_around(times, hop)[left]
    share = np.clip((wanted - times[left]) / np.where(gap > 0, gap, np.inf), 0.0, 1.0)
    share[share < 1e-6] = 0.0  # a row's own time: what its neighbour is does not matter
    is_wide = gap > _GAP * around
    share[is_wide] = np.rint(share[is_wide])
    share = share[:, None]
    with np.errstate(invalid="ignore"):
        between = (1 - share) * values[left] + share * values[right]
    found = np.where(share == 0, values[left], np.where(share == 1, values[right], between))
    nearest = np.minimum(np.abs(wanted - times[left]), np.abs(wanted - times[right]))
    in_gap = is_wide & (nearest > around / 2)
    beyond = ((wanted < times[0]) | (wanted > times[-1])) & (nearest > hop / 2 + 1e-9)
    found[in_gap | beyond] = np.nan
    return found


def _gaps_around(times: NDArray[np.float64], hop: float) -> NDArray[np.float64]:
    """The pace beside the gap after each row, on the slower side, and the usual one at least, (rows,).

    The median of a few gaps: a row that stands alone between two wide ones makes neither a pace.
    """
    gaps = np.diff(times)
    found = np.full(len(times), hop)
    if len(gaps) > _BESIDE:
        paces = np.median(np.lib.stride_tricks.sliding_window_view(gaps, _BESIDE), axis=1)
        before, after = found[_BESIDE : len(gaps)], found[: len(gaps) - _BESIDE]
        np.maximum(before, paces[:-1], out=before)
        np.maximum(after, paces[1:], out=after)
    return found


def _read_array(path: Path) -> Tracks:
    values = np.load(path, allow_pickle=False)
    if values.dtype.kind not in "fiub" or values.ndim not in (1, 2):
        raise ValueError(f"an array of {values.dtype} of shape {values.shape}, not numbers of (rows, tracks)")
    values = np.asarray(values, np.float64).reshape(len(values), -1 if len(values) else 1)
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise CorpusError(f"{path}: row {row + 1} holds {_unusable(values[row])}; {_UNDEFINED}")
    names = ("track",) if values.shape[1] == 1 else tuple(f"track_{i + 1}" for i in range(values.shape[1]))
    return Tracks(names, values, None)


def _read_table(path: Path) -> Tracks:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise CorpusError(f"{path}: is not UTF-8, as tables of values over time are read; save it so") from None
    header = text.partition("\n")[0]
    names, rows, delimiter = _parted(text, path)
    if len(names) < 2 or not _TIME.fullmatch(names[0]):
        raise ValueError(f"its first line is {header.strip()[:60]!r}")
    if len(set(names)) < len(names):
        raise ValueError("two tracks have one name")
    if "" in names:
        raise ValueError(f"a track has no name in its first line {header.strip()[:60]!r}")
    has_points = "." in text.partition("\n")[2]
    times, values = [], []
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        if len(row) != len(names):
            raise ValueError(f"line {number} has {len(row)} columns, the first {len(names)}")
        if delimiter != ",":
            if has_points and (held := next((cell for cell in row if "," in cell), None)) is not None:
                raise ValueError(f"line {number} holds {held!r}, where others have a decimal point; what is its comma?")
            row = [cell.replace(",", ".") for cell in row]  # a decimal comma
        row = ["" if cell.strip() in _NOT_DEFINED else cell for cell in row]
        numbers = [math.nan if not cell else float(cell) for cell in row]
        if any(not math.isfinite(value) and cell for cell, value in zip(row, numbers, strict=True)):
            raise CorpusError(f"{path}: line {number} holds {_unusable(np.array(numbers))}; {_UNDEFINED}")
        if math.isnan(numbers[0]):
            raise ValueError(f"line {number} has no time")
        times.append(numbers[0])
        values.append(numbers[1:])
    return Tracks(tuple(names[1:]), np.array(values).reshape(-1, len(names) - 1), np.array(times))


def _parted(text: str, path: Path) -> tuple[list[str], Iterator[list[str]], str]:
    """The columns' names, of which there is one at least, the rows below, and what parts them."""
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    if path.suffix.lower() == ".txt" and delimiter not in header:  # Praat's listings
        delimiter = "\t"
        text = "\n".join(delimiter.join(line.split()) for line in text.split("\n"))
    rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    return [name.strip() for name in next(rows, [""]) or [""]], rows, delimiter


_UNDEFINED = "a value that is not defined is an empty cell of a table"
_NOT_DEFINED = ("", "--undefined--", "NA")  # Praat's word for it, and R's
_TIME = re.compile(r"time|time[ _]?[(\[]?s(ec|econds)?[)\]]?|seconds", re.I)  # time, Time (s), time_s


def _unusable(values: NDArray[np.float64]) -> str:
    return "an infinity" if np.isinf(values).any() else "NaN"
