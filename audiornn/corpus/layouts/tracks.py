"""Recordings with files of values over time: one beside each recording, or a manifest that names them."""

from __future__ import annotations

import contextlib
import posixpath
from collections import Counter
from dataclasses import replace

import numpy as np

from audiornn.audio import audio_info
from audiornn.corpus.layouts.folders import level, split_folders
from audiornn.corpus.layouts.own_files import own_files
from audiornn.corpus.layouts.survey import Choices, Entry, Reading, Survey, named, splits_of_lists
from audiornn.corpus.manifest import read_manifest
from audiornn.corpus.tracks import ENDINGS, read_tracks
from audiornn.errors import AudioError, CorpusError, SettingsError

__all__ = ["read"]

_HOP_DIGITS = 4  # seconds between rows are said to a tenth of a millisecond


def read(survey: Survey, choices: Choices, *, forced: bool = True) -> Reading | None:
    """Track files of the recordings' own names, in the same folder or in another one; and manifests.

    Args:
        survey: the folder.
        choices: the speaker alone.
        forced: whether values over time were asked for; otherwise None.

    Raises:
        CorpusError: forced and there are none; or one of them makes no sense.
        SettingsError: a choice of columns, of which there are none.
    """
    if not forced:
        return None
    if choices.text or choices.audio or choices.encoding:
        raise SettingsError("--label, --audio and --encoding are of lists; values over time lie beside each recording")
    reading = Reading(task="regress")
    _read_manifests(survey, reading)
    _read_own(survey, reading)
    if not reading.entries:
        raise CorpusError(
            f"{survey.folder}: no recording has a file of values over time of its own name ({', '.join(ENDINGS)}), and "
            "no manifest names one, track_filepath; a table begins with a line such as time,pitch"
        )
    tables = [entry.track for entry in reading.entries if entry.track is not None]
    names = dict.fromkeys(name for path in tables[:1] for name in read_tracks(path).names)
    reading.understood.append(f"{len(tables):,} files of values over time, tracks: {named(names)}")
    reading.left_out += survey.unlabelled((e.audio for e in reading.entries), "has no file of values over time")
    return reading


def _read_manifests(survey: Survey, reading: Reading) -> None:
    """Manifests whose lines have `track_filepath`; a missing recording is named by `prep`."""
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
        reading.entries += [
            Entry(
                u.audio,
                "",
                u.speaker,
                u.start,
                u.duration,
                splits.get(key),
                u.id,
                key,
                track=u.track,
                track_hop=u.track_hop,
            )
            for u in utterances
        ]


def _read_own(survey: Survey, reading: Reading) -> None:
    files = survey.lists(*ENDINGS)
    known = {entry.audio for entry in reading.entries}
    splits = split_folders(survey)
    kinds: Counter[str] = Counter()
    entries = []
    for key, own in own_files(survey.audio, files, lambda name: posixpath.splitext(name)[0]).items():
        audio = survey.audio[key]
        if audio in known:
            continue
        if len(own) > 1:
            raise CorpusError(f"{audio}: has {len(own)} files of values over time, {', '.join(own)}; keep one")
        track = files[own[0]]
        read_tracks(track)  # what is wrong with it is said now, not by prep
        kinds[track.suffix.lower()] += 1
        entries.append(Entry(audio, "", split=splits.get(level(key, 1)), where=own[0], track=track))
    if kinds:
        reading.understood.append("beside the recordings: " + ", ".join(f"{n:,} {kind}" for kind, n in kinds.items()))
    if splits and entries:
        reading.understood.append(f"splits: the folders {named(splits)}")
    reading.entries += _with_hops(entries, reading)


def _with_hops(entries: list[Entry], reading: Reading) -> list[Entry]:
    """Arrays do not say how far their rows lie apart: as all of them are as long as their recordings, they do."""
    arrays = {entry.audio: entry.track for entry in entries if entry.track and entry.track.suffix.lower() == ".npy"}
    paces = []
    for audio, track in arrays.items():
        with contextlib.suppress(AudioError):  # prep names it
            paces.append(audio_info(audio).duration / len(read_tracks(track).values))
    if not paces:
        return entries
    hop = round(float(np.median(paces)), _HOP_DIGITS)
    reading.guessed.append(
        f"the rows of .npy files lie {hop:g} s apart, as so many fill their recordings; a table of time and values, or "
        "a manifest with track_hop, says it otherwise"
    )
    return [replace(entry, track_hop=hop) if entry.audio in arrays else entry for entry in entries]
