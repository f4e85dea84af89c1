"""Label files that are a recording's own: of its name, beside it or in another folder, or linked to it."""

from __future__ import annotations

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from audiornn.audio import EXTENSIONS
from audiornn.corpus.label_files import TIMIT, LabelFile, recording_stem
from audiornn.corpus.label_files.elan import media_of
from audiornn.corpus.layouts.label_entries import (
    count_unlabelled,
    labelled_entry,
    read_labels,
    recording_named,
    tell_guess,
    tell_unlabelled,
)
from audiornn.corpus.layouts.label_times import in_own_times
from audiornn.corpus.layouts.own_files import own_files
from audiornn.corpus.layouts.survey import Choices, Reading, Survey
from audiornn.errors import CorpusError

__all__ = ["add_own_labels", "linked_labels", "own_labels", "stem_of"]

_ROUNDED = 0.05  # seconds by which two formats may round a label's times differently
_NUMBERED = re.compile(r"\.Table\.\d+\.selections\.txt$", re.IGNORECASE)
_LANGUAGE = re.compile(r"\.[a-z]{2,3}(-[A-Za-z0-9]+)*")


def own_labels(
    survey: Survey,
    choices: Choices,
    files: dict[str, Path],
    recordings: Mapping[str, Path],
    broken: dict[Path, CorpusError],
    used: set[str],
) -> dict[str, dict[str, LabelFile]]:
    """Of each of some recordings the label files of its name: those beside it, else those in other folders.

    `broken` gets the recordings whose files are none, `used` the files of the others, whether they are or not.
    """
    found: dict[str, dict[str, LabelFile]] = {}
    tried: dict[str, list[str]] = defaultdict(list)
    waiting = recordings
    for _ in range(2):
        looked_at = {other for others in tried.values() for other in others}
        rest = [key for key in files if key not in looked_at]
        for key, candidates in own_files(waiting, rest, stem_of(survey)).items():
            audio = survey.audio[key]
            tried[key] += candidates
            for alike in _exact_first(key, candidates):
                read = dict[str, LabelFile]()
                for other in alike:
                    try:
                        read[other] = read_labels(files[other], choices, recording=audio)
                    except CorpusError as error:  # a transcript, or measurements: unless there is nothing else
                        broken.setdefault(audio, error)
                ours = {other: own for other, labels in read.items() if (own := _of_this(labels, audio, survey))}
                if ours:
                    found[key] = _of_timit(ours)
                    broken.pop(audio, None)
                    used.update(tried[key])
                    break
        waiting = {key: audio for key, audio in recordings.items() if key not in found and key in tried}
        if not waiting:
            break
    return {key: found[key] for key in recordings if key in found}


def _exact_first(recording: str, files: Sequence[str]) -> Iterator[list[str]]:
    """Files of a recording's name, and then those that add something to it, as a language (`a.en.vtt`)."""
    name = posixpath.basename(recording)
    names = {name.casefold(), posixpath.splitext(name)[0].casefold()}
    exact = [file for file in files if recording_stem(posixpath.basename(file)).casefold() in names]
    yield exact
    yield [file for file in files if file not in exact]


def linked_labels(
    survey: Survey, choices: Choices, files: dict[str, Path], recordings: Container[str], used: set[str]
) -> dict[str, dict[str, LabelFile]]:
    """Of some recordings ELAN's files of other names that are linked to them."""
    found: dict[str, dict[str, LabelFile]] = defaultdict(dict)
    for other, audio in _linked(survey, files):
        if (key := survey.key(audio)) in recordings:
            found[key][other] = read_labels(files[other], choices, recording=audio)
            used.add(other)
    return found


def _linked(survey: Survey, files: dict[str, Path]) -> Iterator[tuple[str, Path]]:
    """ELAN's files of other names than their recordings', with the recording that each is linked to."""
    for key, path in files.items():
        if key.lower().endswith(".eaf"):
            try:
                found = {audio for name in media_of(path) if (audio := recording_named(survey, name, path))}
            except CorpusError:
                continue
            if len(found) == 1:
                yield key, found.pop()


def stem_of(survey: Survey) -> Callable[[str], str]:
    """What a label file's name says that its recording is called: of `a.wav.csv` a, unless there is an `a.wav.wav`.

    And of subtitles such as `a.en.vtt`.
    """
    stems = {posixpath.splitext(posixpath.basename(key))[0].casefold() for key in survey.audio}

    def stem_of(name: str) -> str:
        stem = recording_stem(name)
        shorter, ending = posixpath.splitext(stem)
        is_added = ending.lower() in EXTENSIONS or (
            name.lower().endswith((".srt", ".vtt")) and _LANGUAGE.fullmatch(ending) and shorter.casefold() in stems
        )
        return shorter if is_added and stem.casefold() not in stems else stem

    return stem_of


def _of_this(labels: LabelFile, audio: Path, survey: Survey) -> LabelFile | None:
    """A label file of a recording's own name as that recording's; None where it is a list, or speaks of another one.

    Names that are no recording's here, such as numbers, are passed over.
    """
    named = {found for name in labels.recordings if (found := recording_named(survey, name, labels.path))}
    if named - {audio} or (named and len(labels.recordings) > 1):
        return None
    if len(labels.recordings) <= 1:
        return labels
    return replace(labels, labels=tuple(replace(label, recording="") for label in labels.labels))


def _of_timit(found: dict[str, LabelFile]) -> dict[str, LabelFile]:
    """TIMIT's phones and words of a recording as the tiers of one file; its text is no label file."""
    timit = [name for name in found if name.lower().endswith(TIMIT)]
    if not timit:
        return found
    labels = tuple(label for name in timit for label in found[name].labels)
    others = {name: own for name, own in found.items() if name not in timit and not name.lower().endswith(".txt")}
    return {timit[0]: replace(found[timit[0]], labels=labels), **others}


def add_own_labels(
    found: Mapping[str, Mapping[str, LabelFile]], survey: Survey, choices: Choices, reading: Reading
) -> None:
    """Make an entry of each recording with label files of its own, of which there must be one."""
    kinds, n_unlabelled, n_moved = Counter[str](), 0, 0
    for audio, own in in_own_times({survey.audio[key]: dict(own) for key, own in found.items()}).items():
        if len(own) > 1 and _say_the_same(list(own.values())):
            own = dict([next(iter(own.items()))])  # one program's, in several formats
        if len(own) > 1 and all(_NUMBERED.search(name) for name in own):
            own = {next(iter(own)): _joined(list(own.values()))}
        if len(own) > 1:
            raise CorpusError(f"{audio}: has {len(own)} label files, {', '.join(own)}; keep the one that is right")
        for other, labels in own.items():
            kinds[labels.path.suffix] += 1
            n_unlabelled += count_unlabelled(labels)
            n_moved += labels.span is not None and labels.span != found[survey.key(audio)][other].span
            tell_guess(labels, choices, reading)
            reading.entries.append(labelled_entry(audio, labels, None, choices, None, where=survey.key(labels.path)))
    if kinds:
        counted = ", ".join(f"{n:,} {ending}" for ending, n in kinds.items())
        reading.understood.append(f"label files with times: {counted}")
        if n_moved:
            reading.understood.append(
                f"of {n_moved:,} the times begin later than their recordings, which are as long: a part's, in the "
                "whole's times (Praat's \"preserve times\"); they are moved to begin at 0"
            )
    tell_unlabelled(n_unlabelled, reading)


def _joined(tables: Sequence[LabelFile]) -> LabelFile:
    """Raven's tables of a recording, each a part of what is said of it, as one."""
    bands = [one.band for one in tables if one.band]
    return replace(
        tables[0],
        labels=tuple(label for one in tables for label in one.labels),
        band=(min(low for low, _ in bands), max(high for _, high in bands)) if bands else None,
    )


def _say_the_same(files: Sequence[LabelFile]) -> bool:
    """Whether label files have the same labels at the same times, but for rounding."""
    first, *others = ([(t.start, t.end, t.label) for t in file.labels if t.label.strip()] for file in files)
    return all(
        len(first) == len(other)
        and all(
            a[2] == b[2] and abs(a[0] - b[0]) + abs(a[1] - b[1]) < _ROUNDED for a, b in zip(first, other, strict=True)
        )
        for other in others
    )
