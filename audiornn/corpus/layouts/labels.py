"""Recordings with label files: one beside each recording, or lists (RTTM, CTM, a table) that name many recordings."""

from __future__ import annotations

import posixpath
from collections import Counter, defaultdict
from pathlib import Path

from audiornn.corpus.label_files import ENDINGS, LabelFile, read_label_file
from audiornn.corpus.layouts.survey import Choices, Entry, Reading, Survey, missing_audio, named
from audiornn.errors import CorpusError

__all__ = ["read"]

_LISTS = (".rttm", ".ctm", ".csv", ".tsv")


def read(survey: Survey, choices: Choices, *, forced: bool = True) -> Reading | None:
    """Label files of the recordings' own names, in the same folder or in another one; else lists.

    Args:
        survey: the folder.
        choices: `text` names the tier, of a table the column of labels; and the encoding.
        forced: whether labels of stretches were asked for; otherwise None.

    Raises:
        CorpusError: forced and there are none; a label file that makes no sense, or lacks the tier.
    """
    if not forced:
        return None
    reading = Reading(task="label")
    files, used = survey.lists(*ENDINGS), set[str]()
    by_stem: dict[str, list[str]] = defaultdict(list)
    for key in files:
        by_stem[posixpath.splitext(posixpath.basename(key))[0].casefold()].append(key)
    kinds: Counter[str] = Counter()
    for key, audio in survey.audio.items():
        found = _beside(key, by_stem)
        if not found:
            continue
        if len(found) > 1:
            raise CorpusError(f"{audio}: has {len(found)} label files, {', '.join(found)}; keep the one that is right")
        path = files[found[0]]
        labels = _read(path, choices)
        if len(labels.recordings) > 1:
            continue  # a list that happens to have this recording's name
        used.add(found[0])
        kinds[path.suffix] += 1
        tier = choices.text if any(labels.tiers) else ""
        reading.entries.append(Entry(audio, "", where=survey.key(path), segments=labels.segments(tier=tier)))
    lists = {key: path for key, path in files.items() if key not in used and path.suffix.lower() in _LISTS}
    _read_lists(survey, choices, lists, reading)
    if not reading.entries:
        raise CorpusError(
            f"{survey.folder}: no recording has a label file of its own name ({', '.join(ENDINGS)}), and no list names "
            "one; is it the right folder?"
        )
    listed = ", ".join(f"{n:,} {ending}" for ending, n in kinds.items())
    if listed:
        reading.understood.append(f"label files with times: {listed}")
    counts = Counter(segment.label for entry in reading.entries for segment in entry.segments)
    labels_heard = named(label for label, _ in counts.most_common())
    reading.understood.append(f"{sum(counts.values()):,} segments of {len(counts):,} labels: {labels_heard}")
    reading.left_out += survey.unlabelled((e.audio for e in reading.entries), "has no label file")
    return reading


def _beside(key: str, by_stem: dict[str, list[str]]) -> list[str]:
    """The label files of a recording's name: those in its own folder, else those elsewhere."""
    found = by_stem.get(posixpath.splitext(posixpath.basename(key))[0].casefold(), [])
    return [other for other in found if posixpath.dirname(other) == posixpath.dirname(key)] or found


def _read(path: Path, choices: Choices) -> LabelFile:
    is_table = path.suffix.lower() in (".csv", ".tsv")
    return read_label_file(path, encoding=choices.encoding, label=choices.text if is_table else "")


def _read_lists(survey: Survey, choices: Choices, lists: dict[str, Path], reading: Reading) -> None:
    """Lists that name their recordings."""
    missing: list[tuple[str, str]] = []
    n_named = 0
    for key, path in lists.items():
        labels = _read(path, choices)
        tier = choices.text if any(labels.tiers) else ""
        names = [name for name in labels.recordings if name]
        for name in names:
            n_named += 1
            audio = survey.resolve(name, path.parent)
            if audio is None:
                missing.append((key, name))
            else:
                reading.entries.append(Entry(audio, "", where=key, segments=labels.segments(name, tier)))
        if names:
            reading.understood.append(f"a list of segments with times: {key}")
    missing_audio(missing, n_named, choices, reading)
