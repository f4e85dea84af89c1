"""Lists of labelled stretches, each of which names many recordings: RTTM, CTM, STM, MLF, tables."""

from __future__ import annotations

import itertools
import posixpath
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from audiornn.corpus.label_files import LabelFile
from audiornn.corpus.label_files.tables import says_whether
from audiornn.corpus.layouts.label_entries import (
    Hints,
    count_unlabelled,
    labelled_entry,
    read_labels,
    recording_named,
    tell_guess,
    tell_unlabelled,
)
from audiornn.corpus.layouts.label_times import unit_of
from audiornn.corpus.layouts.splits import are_alike, refuse_broken, splits_of_lists
from audiornn.corpus.layouts.survey import Choices, Reading, Survey, named
from audiornn.errors import CorpusError

__all__ = ["find_lists", "name_most", "read_lists"]

_TEXTS = 50  # of no recording's name, that are looked into for lists
_LISTS = (".rttm", ".ctm", ".stm", ".mlf", ".csv", ".tsv", ".selections.txt")


def find_lists(survey: Survey, choices: Choices, unused: dict[str, Path]) -> dict[str, Path]:
    """Of files that are no recording's own those that may be lists: by their names, a few texts by what they hold."""
    lists, broken, n_texts = {}, [], 0
    for key, path in unused.items():
        is_list = key.lower().endswith(_LISTS)
        if not is_list and key.lower().endswith((".txt", ".json")) and n_texts < _TEXTS:
            n_texts += 1
            try:
                names = read_labels(path, choices, choices.audio).recordings
            except CorpusError:
                broken.append(key)
                continue
            is_list = any(recording_named(survey, name, path) for name in names)
        if is_list:
            lists[key] = path
    return lists | {key: unused[key] for key in broken if any(are_alike(key, other) for other in lists)}


def name_most(survey: Survey, choices: Choices, paths: Iterable[Path]) -> bool:
    """Whether lists name at least half of the recordings; one that cannot be read may name any."""
    found: set[Path] = set()
    for path in paths:
        try:
            names = read_labels(path, choices).recordings
        except CorpusError:
            return True
        found |= {audio for name in names if (audio := recording_named(survey, name, path))}
    return bool(found) and 2 * len(found) >= len(survey.audio)


def read_lists(survey: Survey, choices: Choices, lists: dict[str, Path], reading: Reading) -> list[tuple[str, str]]:
    """Lists that name their recordings; of recordings with label files of their own, those are right.

    Returns:
        Label files that name none, and why they are not used.
    """
    known = {entry.audio for entry in reading.entries}
    broken: dict[str, CorpusError] = {}
    nameless: list[tuple[str, str]] = []
    hint = Hints(survey, (audio.stem for audio in known))
    read: dict[str, LabelFile] = {}
    for key, path in lists.items():
        try:
            column = choices.audio if path.suffix.lower() in (".csv", ".tsv", ".txt") else ""
            labels = read_labels(path, choices, column)
        except CorpusError as error:
            broken[key] = error
            continue
        if any(labels.recordings):
            read[key] = labels
        else:
            nameless.append((key, f"is no recording's by its name, and no column names one (--audio){hint(key)}"))
    read |= _named_by_columns(read, choices, reading)
    splits = splits_of_lists(read)
    n_unlabelled = 0
    for key, labels in read.items():
        names = [name for name in labels.recordings if name]
        resolved = _told_apart(survey.resolve_all(names, labels.path.parent))
        if labels.are_whole:
            unit = unit_of((labels.last(name), audio) for name, audio in resolved.items() if audio is not None)
            labels = labels.divided(1000, unit) if unit == "milliseconds" else labels  # rates may differ
        reading.n_lines += len(resolved)
        reading.missing += [(key, name) for name, audio in resolved.items() if audio is None]
        reading.entries += [
            labelled_entry(audio, labels, name, choices, splits.get(key), where=key)
            for name, audio in resolved.items()
            if audio is not None and audio not in known
        ]
        n_unlabelled += count_unlabelled(labels)
        tell_guess(labels, choices, reading)
        reading.understood.append(f"a list of segments with times: {key}")
    if splits and reading.n_lines:
        reading.understood.append(f"splits: the lists {named(read)}")
    if broken and not reading.entries:
        raise next(iter(broken.values()))
    refuse_broken(broken, lists, read, choices, reading)
    told = dict(reading.left_out)
    reading.left_out += [(key, f"is no list of segments: {e}") for key, e in broken.items() if key not in told]
    tell_unlabelled(n_unlabelled, reading)
    reading.refuse_missing(choices)
    return nameless


def _named_by_columns(read: Mapping[str, LabelFile], choices: Choices, reading: Reading) -> dict[str, LabelFile]:
    """The tables whose column that was asked for says of its own name whether it holds, as if they named it.

    All of them together, as one may hold no digits but 0 and 1 by chance.
    """
    tables = {key: labels for key, labels in read.items() if labels.column == choices.text != ""}
    if not tables or not says_whether(choices.text, (label.label for own in tables.values() for label in own.labels)):
        return {}
    reading.guessed.append(
        f"the column {choices.text!r} says whether {choices.text} holds; called label, it would be of two labels"
    )
    return {key: labels.named_by_column() for key, labels in tables.items()}


def _told_apart(resolved: Mapping[str, Path | None]) -> dict[str, Path | None]:
    """Of several names that seem to mean one recording the one that is most like it; the others are missing.

    Recorders in different places call their recordings alike, and a list names the folders of all. Where several fit
    equally well, they stay what they were.
    """
    names_of: dict[Path, list[str]] = defaultdict(list)
    for name, audio in resolved.items():
        if audio is not None:
            names_of[audio].append(name)
    told: dict[str, Path | None] = dict(resolved)
    for audio, names in names_of.items():
        folders = [posixpath.dirname(name) for name in names]
        if len(names) > 1 and len(set(folders)) == len(names):
            alike = {name: _n_alike(name, audio) for name in names}
            best = max(alike.values())
            # A name without its folders means what one with them does.
            others = [name for name in names if alike[name] < min(best, name.count("/") + 1)]
            if len(others) < len(names):
                told.update(dict.fromkeys(others))
    return told


def _n_alike(name: str, audio: Path) -> int:
    """How many of the last parts of two paths are the same, but for the file's ending."""
    ours, theirs = (posixpath.splitext(path)[0].casefold().split("/")[::-1] for path in (name, audio.as_posix()))
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(ours, theirs, strict=False)))
