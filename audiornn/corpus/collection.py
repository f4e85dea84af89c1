"""A user's own recordings as they lie there: what they are, what was guessed, and how to change each guess.

    collection = read_collection(Path("my recordings"))
    splits = split(collection)                          # audiornn.corpus.splitting

Nothing is decoded, and nothing is printed: `audiornn new` shows what stands in a `Collection`.
"""

from __future__ import annotations

import os
import posixpath
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from audiornn.audio import AudioInfo
from audiornn.corpus.layouts import LAYOUTS, Choices, Entry, Reading, Survey, read_layout
from audiornn.corpus.layouts.huggingface import sample_headers, write_audio
from audiornn.corpus.layouts.survey import named, nfc
from audiornn.corpus.layouts.table_rows import joined_labels
from audiornn.corpus.manifest import SPLITS, Utterance
from audiornn.corpus.speakers import find_speakers
from audiornn.errors import CorpusError, SettingsError, nearest

__all__ = ["LAYOUTS", "Collection", "embedded_headers", "read_collection", "speakers_in_several", "written_out"]

#: Tasks whose targets lie in files of their own: the layout that finds these, and what they are.
_LAYOUT_OF_TASK = {"label": ("labels", "stretches with labels"), "regress": ("tracks", "values over time")}
_LEAST_WITHOUT = 0.1  # of the recordings that have the one label; fewer empty texts are forgotten ones
_MOST_LABEL_WORDS = 3  # a label is a word or a short command; a longer text that repeats is a prompt


@dataclass(frozen=True)
class Collection:
    """Recordings with their labels or transcripts.

    Attributes:
        folder: that the ids are relative to.
        layout: the name of the layout that was read.
        task: classify where each text is one of few labels, label where stretches are labelled, regress where values
            over time are beside the recordings, else transcribe; spot if that was asked for.
        utterances: in the order of the source.
        splits: train, dev or test by utterance id, where the source says; those that it lacks are still to be drawn.
        understood: lines that say what was read.
        guessed: lines that say what was guessed, each with how to change it.
        left_out: files and lines that are not used, and why.
        settings: arguments of `read_collection` that write the guesses down.
        embedded: the audio lies inside the source's own files, and its paths are where `written_out` would have it.
        several: whether each recording has any number of labels, parted by commas, or none.
        tracks: names of the values over time.
        band: the lowest and the highest Hz of the labels, where their files say so.
    """

    folder: Path
    layout: str
    task: Literal["classify", "transcribe", "label", "regress", "spot"]
    utterances: tuple[Utterance, ...]
    splits: Mapping[str, str] = field(default_factory=dict)
    understood: tuple[str, ...] = ()
    guessed: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    settings: Mapping[str, str | float] = field(default_factory=dict)
    embedded: bool = False
    several: bool = False
    tracks: tuple[str, ...] = ()
    band: tuple[float, float] | None = None

    @property
    def labels(self) -> Counter[str]:
        """Utterances by text; where they have several labels, by label; of stretches, these by label."""
        if self.task == "label":
            return Counter(segment.label for utterance in self.utterances for segment in utterance.segments)
        if self.several:
            return Counter(label for utterance in self.utterances for label in set(_parts(utterance.text)))
        return Counter(utterance.text for utterance in self.utterances)

    @property
    def shared_speakers(self) -> tuple[str, ...]:
        """Speakers that the source's own splits share."""
        return speakers_in_several(self.utterances, self.splits)


def speakers_in_several(utterances: Iterable[Utterance], splits: Mapping[str, str]) -> tuple[str, ...]:
    """Speakers that stand in more than one split, by name; `splits` by the utterances' ids."""
    found: dict[str, set[str]] = defaultdict(set)
    for utterance in utterances:
        if utterance.speaker is not None and utterance.id in splits:
            found[utterance.speaker].add(splits[utterance.id])
    return tuple(sorted(speaker for speaker, own in found.items() if len(own) > 1))


def written_out(
    collection: Collection, source: Path, folder: Path | None, *, text: str = "", audio: str = ""
) -> Collection:
    """The collection with the audio that lay inside its source's files as files below `folder`; those there stay.

    Args:
        collection: of `read_collection`.
        source: what it was read from.
        folder: to write to.
        text: the column, as `read_collection` was given it.
        audio: likewise.

    Raises:
        CorpusError: no folder is given, or the source cannot be read.
        AudiornnError: the disk is full or read-only.
    """
    if not collection.embedded:
        return collection
    if folder is None:
        raise CorpusError(f"{source}: its audio is written out by `audiornn prep`, which gives the folder for it")
    survey = Survey(collection.folder, None if source.is_dir() else source)
    write_audio(survey, Choices(text, audio), folder)
    moved = (replace(u, audio=folder / u.audio.relative_to(collection.folder)) for u in collection.utterances)
    return replace(collection, utterances=tuple(moved), embedded=False)


def embedded_headers(
    collection: Collection, source: Path, n: int, *, text: str = "", audio: str = ""
) -> list[tuple[Utterance, AudioInfo]]:
    """The first utterances whose audio lies inside the source's files, with the audio's header; arguments as above."""
    survey = Survey(collection.folder, None if source.is_dir() else source)
    headers = sample_headers(survey, Choices(text, audio), n)
    by_path = {survey.key(u.audio): u for u in collection.utterances}
    return [(by_path[key], header) for key, header in headers.items() if key in by_path]


def read_collection(
    source: Path,
    *,
    layout: str = "auto",
    text: str = "",
    audio: str = "",
    speaker: str = "auto",
    task: str = "auto",
    encoding: str = "",
    skip_bad: bool = False,
    track_hop: float = 0.0,
    yes_or_no: bool | None = False,
) -> Collection:
    """Understand a folder of recordings, or a list of them.

    Args:
        source: the folder; or a table, a manifest, or a file of rows.
        layout: one of `LAYOUTS`, or "auto".
        text: the column of texts or labels; the tier; `folder:N`; or a regular expression with a group `text`.
        audio: the column of paths.
        speaker: auto, none, folder, folder:N, column:NAME, or a regular expression with a group `speaker`.
        task: classify, transcribe, label, regress, or "auto".
        encoding: of tables and transcripts; empty is UTF-8, or what a byte-order mark says.
        skip_bad: leave out lines whose audio is missing, and lists that cannot be read beside others that are.
        track_hop: seconds from row to row of arrays of values over time; 0 finds out.
        yes_or_no: whether each text is one label, and recordings with an empty one are those in which it does not hold;
            None finds out, which a recipe must not, or a line more would change what it learns.

    Raises:
        CorpusError: nothing is there, nothing is labelled, a line is wrong, or its audio is missing.
        SettingsError: an argument that is none of those above.
    """
    task, layout = _agreed(task, layout)
    if not source.exists():
        raise CorpusError(f"{source}: no such folder or file")
    folder = source if source.is_dir() else source.parent
    survey = Survey(folder, None if source.is_dir() else source)
    choices = Choices(text, audio, speaker, encoding, skip_bad, track_hop, task)
    found, reading = read_layout(survey, layout, choices)
    reading.entries = [_composed(entry) for entry in reading.entries]
    chosen, several = _read_as(reading, task, yes_or_no)
    entries = _without_repeats(reading)
    labels = [entry.text for entry in entries] if chosen == "classify" else []
    keys = [survey.key(entry.audio) for entry in entries]
    speakers = find_speakers(keys, labels, [entry.speaker for entry in entries], speaker)
    utterances = tuple(
        Utterance(
            identifier,
            entry.audio,
            entry.text,
            name,
            entry.start,
            entry.duration,
            entry.segments,
            entry.track,
            entry.track_hop,
            entry.track_start,
        )
        for identifier, entry, name in zip(_ids(entries, keys), entries, speakers.names, strict=True)
    )
    settings = {key: value for key, value in reading.settings.items() if key != "label_column"}
    if speakers.rule not in ("", speaker):
        settings["speaker"] = speakers.rule
    splits, split_lines = _splits(utterances, entries)
    return Collection(
        folder=folder,
        layout=found,
        task=chosen,  # type: ignore[arg-type]
        utterances=utterances,
        splits=splits,
        understood=tuple(filter(None, (*reading.understood, speakers.understood, *split_lines))),
        guessed=tuple(
            filter(None, (*reading.guessed, _task_line(chosen, entries, reading, task, several), speakers.guessed))
        ),
        left_out=tuple(reading.left_out),
        settings=settings,
        embedded=reading.embedded,
        several=several,
        tracks=reading.tracks,
        band=(min(low for low, _ in reading.bands), max(high for _, high in reading.bands)) if reading.bands else None,
    )


def _agreed(task: str, layout: str) -> tuple[str, str]:
    """Task and layout, where one of them says the other.

    Raises:
        SettingsError: there is no such task, or the two do not go together.
    """
    tasks = ("auto", "classify", "transcribe", *_LAYOUT_OF_TASK)
    if task not in tasks:
        raise SettingsError(f"task {task!r} must be one of {', '.join(tasks)}{nearest(task, tasks)}")
    for own_task, (own_layout, what) in _LAYOUT_OF_TASK.items():
        if (task == own_task) != (layout == own_layout):
            if layout not in ("auto", own_layout):
                raise SettingsError(
                    f"task {own_task!r} reads {what}, and has the layout {own_layout!r}, not {layout!r}"
                )
            if task not in ("auto", own_task):
                hint = "; layout 'stretches' takes each for a recording" if layout == "labels" else ""
                raise SettingsError(f"layout {layout!r} has {what}, and nothing else to {task}{hint}")
            task, layout = own_task, own_layout
    return task, layout


def _read_as(reading: Reading, task: str, yes_or_no: bool | None) -> tuple[str, bool]:
    """What the texts are for: the task, and whether each is any number of labels; the entries are written so."""
    separator = "," if reading.several else "" if yes_or_no else _separator([entry.text for entry in reading.entries])
    several = bool(separator)
    chosen = _task(reading.entries, reading, several) if task == "auto" else task
    several = several and chosen == "classify"
    if several and separator != ",":
        reading.entries = [replace(e, text=joined_labels(_parts(e.text, separator))) for e in reading.entries]
        reading.guessed.append(
            f"{separator!r} parts the labels of a recording; the manifests write a comma, and none within"
        )
    if chosen == "classify" and not several and (_is_yes_or_no(reading) if yes_or_no is None else yes_or_no):
        several = True
        reading.settings["yes_or_no"] = True
        reading.entries = [replace(entry, text=joined_labels([entry.text])) for entry in reading.entries]
    if several:
        reading.entries += reading.without_text
    else:
        reading.left_out += [(entry.where, "its text is empty") for entry in reading.without_text]
    return chosen, several


def _composed(entry: Entry) -> Entry:
    """The entry with its letters composed, as prep takes them: an é that is written as two characters is the same."""
    if all(unicodedata.is_normalized("NFC", text) for text in (entry.text, *(s.label for s in entry.segments))):
        return entry
    segments = tuple(replace(segment, label=nfc(segment.label)) for segment in entry.segments)
    return replace(entry, text=nfc(entry.text), segments=segments)


def _without_repeats(reading: Reading) -> list[Entry]:
    """Entries, each stretch of a recording once.

    Raises:
        CorpusError: the same stretch has two texts, or stands in two splits.
    """
    first: dict[tuple[str, float, float | None], Entry] = {}
    for entry in reading.entries:
        place = (
            os.path.realpath(entry.audio) if not reading.embedded else str(entry.audio),
            entry.start,
            entry.duration,
        )
        before = first.setdefault(place, entry)
        if before is entry:
            continue
        if before.text != entry.text:
            raise CorpusError(
                f"{before.where} and {entry.where}: the same recording ({entry.audio.name}) with two texts, "
                f"{before.text[:60]!r} and {entry.text[:60]!r}; delete the wrong one, or, "
                "if both labels hold, write them into one line"
            )
        if before.segments != entry.segments:
            raise CorpusError(
                f"{before.where} and {entry.where}: the same recording ({entry.audio.name}) with other segments; "
                "delete the wrong ones"
            )
        if _track_of(before) != _track_of(entry):
            raise CorpusError(
                f"{before.where} and {entry.where}: the same recording ({entry.audio.name}) with other values over "
                "time; delete the wrong ones"
            )
        if before.split != entry.split:
            raise CorpusError(
                f"{before.where} and {entry.where}: the same recording ({entry.audio.name}) in {before.split} and "
                f"{entry.split}; delete one"
            )
        reading.left_out.append((f"{entry.where} (as {before.where})", "the same as another line"))
    return list(first.values())


def _track_of(entry: Entry) -> tuple[str, float | None, float | None] | None:
    return None if entry.track is None else (os.path.realpath(entry.track), entry.track_hop, entry.track_start)


def _ids(entries: Sequence[Entry], keys: Sequence[str]) -> list[str]:
    """Unique ids: the source's own, or the relative path without its extension, and with what parts it from others."""
    stems = [entry.id or posixpath.splitext(key)[0] for entry, key in zip(entries, keys, strict=True)]
    files: dict[str, set[str]] = defaultdict(set)
    for stem, key in zip(stems, keys, strict=True):
        files[stem].add(key)
    ids = []
    for stem, key, entry in zip(stems, keys, entries, strict=True):
        own = (key if not entry.id else f"{entry.id} {key}") if len(files[stem]) > 1 else stem
        ids.append(own if entry.id or not (entry.start or entry.duration) else f"{own}@{entry.start:g}")
    counts, seen = Counter(ids), Counter[str]()
    for i, identifier in enumerate(ids):
        if counts[identifier] > 1:
            seen[identifier] += 1
            ids[i] = f"{identifier}#{seen[identifier]}"
    return ids


def _parts(text: str, separator: str = ",") -> list[str]:
    """The labels of a text, if they are parted so."""
    return [part.strip() for part in text.split(separator) if part.strip()]


def _separator(texts: Sequence[str]) -> str:
    """What parts labels, if most texts that hold it are made of parts that others have, too; else nothing."""
    for separator in ",;|":
        parts = [_parts(text, separator) for text in set(texts)]
        counts = Counter(part for own in parts for part in set(own))
        joined = [own for own in parts if len(own) > 1]
        known = sum(all(counts[part] > 1 and len(part.split()) <= _MOST_LABEL_WORDS for part in own) for own in joined)
        if 2 * known > len(joined):
            return separator
    return ""


def _is_yes_or_no(reading: Reading) -> bool:
    """Whether there is one label, and so many recordings without one that they are those in which it does not hold."""
    n_without = len(reading.without_text)
    return len({entry.text for entry in reading.entries}) == 1 and n_without >= _LEAST_WITHOUT * len(reading.entries)


def _task(entries: Sequence[Entry], reading: Reading, several: bool) -> str:
    """Classify where the layout says so, or where each text is one of few short ones that repeat."""
    if reading.task:
        return reading.task
    if reading.several or (several and "label_column" in reading.settings):
        return "classify"
    counts = Counter(entry.text for entry in entries)
    n = len(entries)
    if "label_column" in reading.settings and len(counts) <= n / 2:
        return "classify"
    is_short = sum(len(text.split()) for text in counts) <= _MOST_LABEL_WORDS * len(counts)
    return "classify" if is_short and (len(counts) <= n / 3 or len(counts) == 1) else "transcribe"


def _task_line(task: str, entries: Sequence[Entry], reading: Reading, asked: str, several: bool) -> str:
    if several:
        counts = Counter(entry.text for entry in entries)
        n_none = counts.pop("", 0)
        n_joined = sum(n for text, n in counts.items() if "," in text)
        if len(counts) == 1 and not n_joined:
            ((label, n),) = counts.items()
            return (
                f"classify, yes or no: {label!r} holds in {n:,} recordings, and not in the {n_none:,} whose text is "
                "empty; if nobody has listened to them, delete their lines before `new`"
            )
        return (
            f"classify, several labels: {n_joined:,} recordings have more than one, parted by commas, {n_none:,} none, "
            "and each label is judged by itself; vocabulary.several = false takes each text for one label"
        )
    if asked != "auto" or reading.task:
        return ""
    counts = Counter(entry.text for entry in entries)
    if task == "classify":
        few = f"{len(counts):,} texts ({named(text for text, _ in counts.most_common())})"
        return f"classify: {len(entries):,} recordings have {few}, so each is a label; --task transcribe changes it"
    return f"transcribe: {len(counts):,} different texts; --task classify takes each for a label"


def _splits(utterances: Sequence[Utterance], entries: Sequence[Entry]) -> tuple[dict[str, str], list[str]]:
    found = {u.id: entry.split for u, entry in zip(utterances, entries, strict=True)}
    counts = Counter(split or "train" for split in found.values() if split != "")
    if "train" not in counts or len(counts) < 2:
        return {}, []
    line = "splits, as the source has them: " + ", ".join(f"{s} {counts[s]:,}" for s in SPLITS if s in counts)
    splits = {identifier: split or "train" for identifier, split in found.items() if split != ""}
    shared = speakers_in_several(utterances, splits)
    return splits, [line + (f"; speakers that stand in several: {named(shared)}" if shared else "")]
