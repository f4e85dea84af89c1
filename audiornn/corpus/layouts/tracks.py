"""Recordings with files of values over time: one beside each recording, or a manifest that names them."""

from __future__ import annotations

import os
import posixpath
from collections import Counter
from dataclasses import replace
from pathlib import Path

from audiornn.audio import audio_info
from audiornn.corpus.layouts.own_files import own_files
from audiornn.corpus.layouts.splits import splits_of_lists
from audiornn.corpus.layouts.survey import Choices, Entry, Reading, Survey, named
from audiornn.corpus.manifest import read_manifest
from audiornn.corpus.tracks import ENDINGS, SLACK, Tracks, may_be_tracks, read_tracks
from audiornn.errors import AudioError, CorpusError, SettingsError

__all__ = ["read"]

_ROUND, _ROUNDER = 5e-4, 5e-3  # seconds that a pace is most often a multiple of
_CLOSE = 1e-3  # seconds
_SLOW = 0.1  # seconds from row to row, above which values over time are rare


def read(survey: Survey, choices: Choices, *, forced: bool = True) -> Reading | None:
    """Track files of the recordings' own names, in the same folder or in another one; and manifests.

    Args:
        survey: the folder.
        choices: the pace of arrays, and whether what is bad is left out.
        forced: whether values over time were asked for; otherwise None.

    Raises:
        CorpusError: forced and there are none; one of them makes no sense, or has other tracks than most.
        SettingsError: a choice of columns, of which there are none.
    """
    if not forced:
        return None
    if choices.text or choices.audio or choices.encoding:
        raise SettingsError("--label, --audio and --encoding are of lists; values over time lie beside each recording")
    if survey.only is not None and survey.only.suffix.lower() != ".jsonl":
        raise CorpusError(f"{survey.only}: is one file; name the recordings' folder, or a manifest of them (.jsonl)")
    reading = Reading(task="regress")
    _read_manifests(survey, choices, reading)
    _read_own(survey, choices, reading)
    if not reading.entries:
        raise CorpusError(
            f"{survey.folder}: no recording has a file of values over time of its own name ({', '.join(ENDINGS)}), and "
            "no manifest names one, track_filepath; a table begins with a line such as time,pitch"
        )
    n_files = len({os.path.realpath(entry.track) for entry in reading.entries if entry.track is not None})
    reading.understood.append(f"{n_files:,} files of values over time, tracks: {named(reading.tracks)}")
    reading.left_out += survey.unlabelled((e.audio for e in reading.entries), "has no file of values over time")
    return reading


def _read_manifests(survey: Survey, choices: Choices, reading: Reading) -> None:
    """Manifests whose lines have `track_filepath`."""
    manifests = {}
    for key, path in survey.lists(".jsonl").items():
        try:
            utterances = [utterance for utterance in read_manifest(path) if utterance.track is not None]
        except CorpusError:
            if survey.only is not None:
                raise
            continue  # of something else
        if utterances:
            manifests[key] = utterances
        elif survey.only is not None:
            raise CorpusError(f"{path}: none of its lines has a track_filepath, values over time beside the recording")
    splits = splits_of_lists(manifests)
    for key, utterances in manifests.items():
        reading.understood.append(f"a manifest of values over time: {key}")
        reading.n_lines += len(utterances)
        for u in utterances:
            if not u.audio.is_file():
                reading.missing.append((key, u.audio.name))
                continue
            reading.entries.append(
                Entry(
                    *(u.audio, "", u.speaker, u.start, u.duration, splits.get(key), u.id, key, ()),
                    *(u.track, u.track_hop, u.track_start),
                )
            )
    reading.refuse_missing(choices)
    if reading.entries and (first := reading.entries[0].track) is not None:
        reading.tracks = read_tracks(first).names  # prep reads them all


def _read_own(survey: Survey, choices: Choices, reading: Reading) -> None:
    files = {key: path for key, path in survey.lists(*ENDINGS).items() if may_be_tracks(path)}
    known = {os.path.realpath(entry.audio) for entry in reading.entries}
    found: list[tuple[Entry, Tracks]] = []
    for key, own in own_files(survey.audio, files, lambda name: posixpath.splitext(name)[0]).items():
        audio = survey.audio[key]
        if os.path.realpath(audio) in known:
            continue
        if len(own) > 1:
            raise CorpusError(f"{audio}: has {len(own)} files of values over time, {', '.join(own)}; keep one")
        try:
            tracks = read_tracks(files[own[0]])
        except CorpusError as error:
            if not choices.skip_bad:
                raise
            reading.left_out.append((own[0], f"no values over time: {error}"))
            continue
        found.append((Entry(audio, "", where=own[0], track=files[own[0]]), tracks))
    if not found:
        return
    kinds = Counter(_ending(entry) for entry, _ in found)
    reading.understood.append("beside the recordings: " + ", ".join(f"{n:,} {kind}" for kind, n in kinds.items()))
    common = reading.tracks or Counter(tracks.names for _, tracks in found).most_common(1)[0][0]
    reading.tracks = common
    if odd := next(((entry, tracks) for entry, tracks in found if tracks.names != common), None):
        raise CorpusError(
            f"{odd[0].track}: its tracks are {', '.join(odd[1].names)}, those of most others {', '.join(common)}"
        )
    arrays = [(entry, len(tracks.values)) for entry, tracks in found if _ending(entry) == ".npy"]
    hop = choices.track_hop or _pace(arrays)
    if hop > _SLOW and not choices.track_hop and len(common) > max(n_rows for _, n_rows in arrays):
        raise CorpusError(
            f"{arrays[0][0].track}: is an array of {arrays[0][1]:,} rows and {len(common):,} tracks, a row every "
            f"{hop:.2g} s; is it transposed? Arrays are (rows, tracks); if they are right, a manifest with track_hop "
            "says so"
        )
    if hop and not choices.track_hop:
        reading.settings["track_hop"] = hop
        reading.guessed.append(
            f"the rows of .npy files lie {hop:g} s apart, as so many fill their recordings; corpus.track_hop, a table "
            "of time and values, or a manifest with track_hop says it otherwise"
        )
    reading.entries += [replace(entry, track_hop=hop) if _ending(entry) == ".npy" else entry for entry, _ in found]


def _ending(entry: Entry) -> str:
    return "" if entry.track is None else entry.track.suffix.lower()


def _pace(arrays: list[tuple[Entry, int]]) -> float:
    """Seconds from row to row of arrays, which do not say: with that many rows each must be as long as its recording.

    Raises:
        CorpusError: no one pace suits all.
    """
    known: list[tuple[float, int, Path]] = []
    for entry, n_rows in arrays:
        try:
            known.append((audio_info(entry.audio).duration, n_rows, entry.audio))
        except AudioError:
            continue  # prep names it
    if not known:
        return 0.0
    longest, n_most, _ = max(known)
    guess = longest / max(1.0, n_most - 0.5)  # there may be a row at either end, or at one

    def suits(hop: float, lost: float) -> bool:
        """Whether all arrays reach from end to end of their recordings, but for so many seconds that are lost."""
        return all((n - 1) * hop <= d + _CLOSE and (n + 1) * hop >= d - lost - _CLOSE for d, n, _ in known)

    for step, lost in ((_ROUND, 0.0), (_ROUNDER, SLACK)):  # who does not pad begins and ends half a window late
        nearest = round(guess / step)
        candidates = sorted((n * step for n in (nearest - 1, nearest, nearest + 1)), key=lambda hop: abs(hop - guess))
        for hop in candidates:
            if hop > 0 and suits(hop, lost):
                return round(hop, 4)
    if suits(guess, SLACK):
        return round(guess, 6)
    other = max(known, key=lambda one: abs(one[0] - guess * one[1]))
    raise CorpusError(
        f"{other[2]}: has {other[1]:,} rows of values in {other[0]:.2f} s, where others lie about {guess:.3g} s apart; "
        "a manifest with track_hop says it of each, tables say their times"
    )
