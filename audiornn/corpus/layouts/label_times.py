"""Times of label files in their recordings' own: from 0 on, in seconds, and no later than their ends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from audiornn.audio import AudioInfo, audio_info
from audiornn.corpus.label_files import LabelFile
from audiornn.corpus.layouts.survey import Reading
from audiornn.errors import AudioError

__all__ = ["in_own_times", "unit_of", "with_cut_windows"]

_FAR = 20  # times a recording's length: no label file that is merely another's goes so far
_LEAST_WINDOW = 1.0  # seconds; BirdNET's have three


def in_own_times(found: dict[Path, dict[str, LabelFile]]) -> dict[Path, dict[str, LabelFile]]:
    """Label files of recordings in these recordings' own times: from 0 on, and in seconds."""
    sorts: dict[str, list[tuple[Path, LabelFile]]] = defaultdict(list)
    for audio, own in found.items():
        for labels in own.values():
            sorts[labels.path.suffix.lower()].append((audio, labels))
    units = {
        sort: unit_of([(labels.last(), audio) for audio, labels in own]) for sort, own in sorts.items() if _whole(own)
    }
    made: dict[Path, dict[str, LabelFile]] = {}
    for audio, own in found.items():
        made[audio] = {}
        for other, labels in own.items():
            unit = units.get(labels.path.suffix.lower())
            info = _info(audio) if unit or (labels.span is not None and labels.span[0] != 0) else None
            if info is not None and unit:
                labels = labels.divided(1000 if unit == "milliseconds" else info.sample_rate, unit)
            elif info is not None:
                labels = labels.begun_at_zero(info.duration)
            made[audio][other] = labels
    return made


def _whole(own: Iterable[tuple[Path, LabelFile]]) -> bool:
    return all(labels.are_whole for _, labels in own)


def unit_of(latest: Iterable[tuple[float, Path]]) -> str:
    """What times in whole numbers are: milliseconds, samples, or seconds, for which it says nothing.

    Args:
        latest: time of each recording.
    """
    known = [(last, info) for last, audio in latest if last and (info := _info(audio))]
    if not any(last > _FAR * (info.duration + 1) for last, info in known):
        return ""
    if all(last <= 1000 * (info.duration + 1) for last, info in known):
        return "milliseconds"
    return "samples" if all(last <= info.sample_rate * (info.duration + 1) for last, info in known) else ""


def with_cut_windows(reading: Reading) -> None:
    """Let windows end with their recordings: labels of one length, as programs make them that look through all.

    Args:
        reading: whose entries are of label files; changed.
    """
    lengths = {round(segment.end - segment.start, 2) for entry in reading.entries for segment in entry.segments}
    are_windows = len(lengths) == 1 and min(lengths) >= _LEAST_WINDOW
    if not are_windows or not any(len(entry.segments) > 1 for entry in reading.entries):
        return
    n_cut = 0
    for i, entry in enumerate(reading.entries):
        info = _info(entry.audio) if entry.segments else None
        if info is None or max(segment.end for segment in entry.segments) <= info.duration:
            continue
        cut = tuple(
            replace(segment, end=min(segment.end, info.duration)) if segment.start < info.duration else segment
            for segment in entry.segments
        )
        reading.entries[i] = replace(entry, segments=cut)
        n_cut += 1
    if n_cut:
        reading.understood.append(
            f"labels are windows of {min(lengths):g} s; those that reach beyond {n_cut:,} recordings are cut there"
        )


def _info(audio: Path) -> AudioInfo | None:
    try:
        return audio_info(audio)
    except AudioError:  # prep names it
        return None
