"""Of a label file the entry of its recording and what is to be told of it, be it a recording's own or a list."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from pathlib import Path

from audiornn.corpus.label_files import ALL_TIERS, LabelFile, read_label_file, recording_stem
from audiornn.corpus.layouts.survey import Choices, Entry, Reading, Survey, named
from audiornn.errors import CorpusError

__all__ = [
    "Hints",
    "count_unlabelled",
    "labelled_entry",
    "read_labels",
    "recording_named",
    "tell_guess",
    "tell_unlabelled",
    "tell_unnameable",
]

_SHARED = "is one label, whatever its tier"


def read_labels(path: Path, choices: Choices, audio: str = "", recording: Path | None = None) -> LabelFile:
    """A label file as the user asked for: its encoding, its tier or column of labels, its column of recordings."""
    return read_label_file(path, encoding=choices.encoding, label=choices.text, audio=audio, recording=recording)


def recording_named(survey: Survey, name: str, path: Path) -> Path | None:
    """The recording that a list means, as `Survey.resolve` finds it, of a file that may be no list."""
    how = survey.how.copy()
    found = survey.resolve(name, path.parent) if name else None
    survey.how = how
    return found


def labelled_entry(
    audio: Path, labels: LabelFile, name: str | None, choices: Choices, split: str | None, *, where: str
) -> Entry:
    """Of the recording the stretches that a label file has of it, of `name` where it is a list."""
    tier = choices.text if any(labels.tiers) else ""
    segments, voices = labels.segments(name, tier), labels.voices(name, tier)
    return Entry(audio, "", split=split, where=where, segments=segments, voices=voices)


def count_unlabelled(labels: LabelFile) -> int:
    """Stretches without a label, of a file whose format does not need them: TextGrids are all of their silence, too."""
    is_full = labels.path.suffix.lower() in (".textgrid", ".eaf")
    return 0 if is_full else sum(not label.label.strip() and label.end > label.start for label in labels.labels)


def tell_unlabelled(n: int, reading: Reading) -> None:
    """Say how many stretches have no label."""
    if n:
        reading.understood.append(f"{n:,} stretches without a label, which count as nothing")


def tell_guess(labels: LabelFile, choices: Choices, reading: Reading) -> None:
    """Say once what had to be guessed of a label file; note its band, and whether `--label` can name anything in it."""
    if labels.labels:
        reading.nameable[labels.path] = any(labels.tiers) or bool(labels.column)
    if labels.band:
        reading.bands.append(labels.band)
    if labels.notes and labels.notes not in reading.guessed:
        reading.guessed.append(labels.notes)
    if choices.task == "transcribe" or any(_SHARED in line for line in reading.guessed):
        return  # two people may say the same
    if any(labels.tiers) and (shared := labels.shared_by_tiers(choices.text)):
        label, tiers = next(iter(shared.items()))
        reading.guessed.append(
            f"{label!r} of {' and '.join(map(repr, tiers))} {_SHARED} (first in {labels.path.name}); --label names one"
        )


def tell_unnameable(choices: Choices, reading: Reading) -> None:
    """Say in which files `--label` could name nothing, so that all of their labels are taken.

    Raises:
        CorpusError: in none it could.
    """
    without = [path for path, is_nameable in reading.nameable.items() if not is_nameable]
    if choices.text in ("", ALL_TIERS) or not without:
        return
    if len(without) == len(reading.nameable):
        raise CorpusError(
            f"{without[0]}: has no tiers, and no columns with names, of which --label {choices.text!r} could be one"
            f"{', nor has any other label file' if len(without) > 1 else ''}; leave --label out"
        )
    reading.guessed.append(
        f"no tiers in {named(path.name for path in without)}, so that --label names nothing there and all of their "
        "labels are taken"
    )


class Hints:
    """Of label files of no recording's name the recordings that may be meant."""

    def __init__(self, survey: Survey, labelled: Iterable[str]) -> None:
        done = set(labelled)
        stems = ((posixpath.splitext(posixpath.basename(key))[0], key) for key in survey.audio)
        self._stems = {stem: key for stem, key in stems if stem not in done}

    def __call__(self, key: str) -> str:
        """The end of a message about a label file."""
        stem = recording_stem(posixpath.basename(key))
        meant = next((self._stems[stem[:n]] for n in range(len(stem), 0, -1) if stem[:n] in self._stems), None)
        return "" if meant is None else f"; did you mean {meant}?"
