"""Recordings with label files: one beside each recording, or lists (RTTM, CTM, a table, a manifest) that name many.

What the labels say is one of two things: what holds when, which a network is to find (`read`); or what is said from
when to when on a long tape, which is to be cut there (`read_stretches`).
"""

from __future__ import annotations

import itertools
import posixpath
from collections import Counter
from collections.abc import Collection, Container
from dataclasses import replace
from pathlib import Path, PurePath

from audiornn.corpus.label_files import ENDINGS, POINT, TIMIT, recording_stem
from audiornn.corpus.layouts.label_entries import Hints, read_labels, tell_unnameable
from audiornn.corpus.layouts.label_files_beside import add_own_labels, linked_labels, own_labels, stem_of
from audiornn.corpus.layouts.label_lists import find_lists, name_most, read_lists
from audiornn.corpus.layouts.label_times import with_cut_windows
from audiornn.corpus.layouts.own_files import own_files
from audiornn.corpus.layouts.splits import refuse_broken, splits_of_lists
from audiornn.corpus.layouts.survey import Choices, Entry, Reading, Survey, named
from audiornn.corpus.manifest import read_manifest
from audiornn.errors import CorpusError

__all__ = ["may_be_labels", "read", "read_stretches"]

#: Of label files beside a recording in which people transcribe.
_TRANSCRIBING = tuple(ending for ending in ENDINGS if ending != ".rttm")  # which says who speaks
#: Of them those that can be nothing else: one that cannot be read is no other kind of text.
_ONLY_LABELS = (".textgrid", ".eaf", ".srt", ".vtt", ".ctm", ".rttm", ".stm", ".mlf", ".cha", *TIMIT)
_LOOKED_AT = 5  # recordings, to tell labels from transcripts
_FEW = 1 / 3  # of the stretches; fewer texts than that are labels
_OR_WHOLE = "--layout folders takes the recordings whole"
_LISTS_OF_WORDS = (".ctm", ".stm", ".mlf")
#: Label files of sorts that are not read.
_NOT_READ = (".trs", ".exb", ".svl", ".ann", ".collection")
#: Of their endings that many programs use for something else.
_OFTEN_OTHERS = (".json",)
_READ = tuple(ending for ending in ENDINGS if ending not in _OFTEN_OTHERS)
#: Of other files that share a recording's name: pictures, papers and what programs keep for themselves.
_NO_LABELS = (".png", ".jpg", ".jpeg", ".gif", ".pdf", ".md", ".xml", ".pfsx", ".asd", ".npy", ".pitch", ".html")


def read(survey: Survey, choices: Choices, *, forced: bool = True) -> Reading | None:
    """Label files of the recordings' own names, in the same folder or in another one; else lists.

    Args:
        survey: the folder.
        choices: `text` names the tier, of a table the column of labels; and the encoding.
        forced: whether labels of stretches were asked for; otherwise None.

    Raises:
        CorpusError: forced and there are none, or none holds a label; a label file that makes no sense, or lacks the
            tier.
    """
    if not forced:
        return None
    reading = Reading(task="label")
    _read_manifests(survey, choices, reading)
    files = survey.lists(*ENDINGS)
    broken: dict[Path, CorpusError] = {}  # recordings whose own label files are none, unless a list names them
    used = set[str]()
    sure = {key: path for key, path in files.items() if not key.lower().endswith(_OFTEN_OTHERS)}
    add_own_labels(own_labels(survey, choices, sure, survey.audio, broken, used), survey, choices, reading)
    lists = find_lists(survey, choices, {key: path for key, path in files.items() if key not in used})
    nameless = read_lists(survey, choices, lists, reading)
    labelled = {entry.audio for entry in reading.entries}
    waiting = {key: audio for key, audio in survey.audio.items() if audio not in labelled}
    rest = {key: path for key, path in files.items() if key not in used and key not in lists}
    others = {key: path for key, path in rest.items() if key not in sure}
    found = own_labels(survey, choices, others, waiting, {}, used)
    found |= linked_labels(survey, choices, rest, waiting.keys() - found.keys(), used)
    add_own_labels(found, survey, choices, reading)
    labelled = {entry.audio for entry in reading.entries}
    for audio, error in broken.items():
        if audio not in labelled:
            raise error
    if not any(entry.duration for entry in reading.entries):  # a manifest's lines are taken as they are
        with_cut_windows(reading)
    if not reading.entries:
        there = f" (there are {named(files, 3)})" if files else ""
        why = [f"{key} {why}" for key, why in [*nameless, *_of_no_known_sort(survey, set())]]
        raise CorpusError(
            f"{survey.folder}: no recording has a label file of its own name ({', '.join(ENDINGS)}), and no list names "
            f"one{there}; {why[0] if why else 'is it the right folder?'}"
        )
    tell_unnameable(choices, reading)
    counts = Counter(segment.label for entry in reading.entries for segment in entry.segments)
    if not counts:
        where = f" in {choices.text!r}" if choices.text else ""
        raise CorpusError(
            f"{survey.folder}: the label files of {len(reading.entries):,} recordings hold no label{where}; is it "
            "another tier that was filled in?"
        )
    labels_heard = named(label for label, _ in counts.most_common())
    reading.understood.append(f"{sum(counts.values()):,} segments of {len(counts):,} labels: {labels_heard}")
    labelled = {entry.audio for entry in reading.entries}
    reading.left_out += _of_no_known_sort(survey, labelled)
    reading.left_out += survey.unlabelled(labelled, "has no label file")
    reading.left_out += [*nameless, *_strays(survey, choices, files, used | lists.keys())]
    return reading


def _of_no_known_sort(survey: Survey, labelled: Container[Path]) -> list[tuple[str, str]]:
    """Files that share the name of a recording without labels and may be labels, but of a sort that is not read."""
    without = {posixpath.splitext(key)[0]: path for key, path in survey.audio.items() if path not in labelled}
    return [
        (key, "is of a sort that is not read; save it as a TextGrid, ELAN's .eaf, or a table of start, end and label")
        for key in survey.others
        if posixpath.splitext(key)[0] in without and not key.lower().endswith((*_READ, *_NO_LABELS))
    ]


def may_be_labels(survey: Survey) -> list[str]:
    """Files that can be nothing but labels, in a folder without any others."""
    if any("/" in key for key in survey.audio):
        return []
    return [key for key in survey.others if key.lower().endswith((*_ONLY_LABELS, *_NOT_READ, ".selections.txt"))]


def _strays(survey: Survey, choices: Choices, files: dict[str, Path], used: Collection[str]) -> list[tuple[str, str]]:
    """Label files of sorts that are in use, but of no recording's name; with the recording that may be meant."""
    endings = {PurePath(key).suffix.lower() for key in used}
    hint = Hints(survey, (recording_stem(posixpath.basename(key)) for key in used))
    found = []
    for key, path in files.items():
        if key in used or PurePath(key).suffix.lower() not in endings:
            continue
        try:
            read_labels(path, choices)
        except CorpusError:
            continue  # a text of another kind
        found.append((key, f"a label file of no recording's name{hint(key)}"))
    return found


def read_stretches(survey: Survey, choices: Choices, *, forced: bool = True) -> Reading | None:
    """Label files that say what is said from when to when: each stretch with a text is an utterance of its own.

    Args:
        survey: the folder.
        choices: as `read` takes them.
        forced: whether the user asked for this layout; otherwise None where fewer than half of the recordings have
            label files beside them. Where nobody asks for transcripts either, also None for recordings in folders, and
            where a few labels come again and again, which `survey.complaints` then says.

    Raises:
        CorpusError: as of `read`; or two stretches from and to the same seconds say different things.
    """
    asked = forced or choices.task == "transcribe"
    if not forced and not _are_transcribed(survey, choices):
        return None
    if not asked and any("/" in key for key in survey.audio):
        return None  # a folder is what its recordings are called
    try:
        reading = read(survey, choices)
    except CorpusError as error:
        if asked:
            raise
        survey.complaints.append(f"{error}; {_OR_WHOLE}")
        return None
    assert reading is not None, "it was forced"
    texts = Counter(segment.label for entry in reading.entries for segment in entry.segments)
    if not asked and len(texts) < _FEW * texts.total():
        survey.complaints.insert(  # before those of tables: these are none
            0,
            f"{survey.folder}: the label files beside the recordings hold a few labels again and again: --task label "
            f"learns when they hold, --layout stretches takes each stretch for a recording of its own, {_OR_WHOLE}",
        )
        return None
    reading.task = None
    silent = [entry for entry in reading.entries if not entry.segments]
    reading.left_out += [(entry.where, "nothing is labelled") for entry in silent]
    _drop_roles(reading)
    n = len(reading.entries) - len(silent)
    reading.understood[-1] = f"{texts.total():,} labelled stretches, in {n:,} of the recordings: each is an utterance"
    reading.entries = [stretch for entry in reading.entries for stretch in _stretches(entry)]
    points = [entry for entry in reading.entries if entry.duration is not None and entry.duration <= POINT]
    if points:
        reading.guessed.append(
            f"{len(points):,} stretches last no more than {POINT:g} s, as points do ({points[0].where}, at "
            f"{points[0].start:g} s): nobody says a word in these; --label names another tier"
        )
    return reading


def _drop_roles(reading: Reading) -> None:
    """Take no participant of ELAN for a speaker where one recording has them all: then they are roles, or too few."""
    of_elan = [entry for entry in reading.entries if entry.where.lower().endswith(".eaf")]
    own = [{speaker for *_, speaker in entry.voices} for entry in of_elan]
    everyone = set[str]().union(*own)
    if len(own) > 1 and everyone and everyone in own:
        reading.entries = [replace(e, voices=()) if e in of_elan else e for e in reading.entries]
        reading.guessed.append(
            f"the participants {named(sorted(everyone), 4)} are all in one recording, and may be others in the next: "
            "they are not taken for speakers"
        )


def _stretches(entry: Entry) -> list[Entry]:
    """An entry for each of its segments."""
    said: dict[tuple[float, float], str] = {}
    for s in entry.segments:
        if said.setdefault((s.start, s.end), s.label) != s.label:
            raise CorpusError(
                f"{entry.where}: from {s.start:g} to {s.end:g} s it says {said[s.start, s.end][:60]!r} and "
                f"{s.label[:60]!r}; --label names the tier that is to be learnt, or one of the two is to be deleted"
            )
    voices = {(start, end): speaker for start, end, speaker in entry.voices}
    whole = replace(entry, segments=(), voices=())
    return [
        replace(
            whole,
            text=text,
            speaker=voices.get((start, end)) or entry.speaker,
            start=round(entry.start + start, 4),
            duration=round(end - start, 4),
        )
        for (start, end), text in said.items()
    ]


def _are_transcribed(survey: Survey, choices: Choices) -> bool:
    """Whether most recordings have files beside them, and nothing but label files.

    Raises:
        CorpusError: transcripts were asked for, and one that can be nothing but a label file cannot be read.
    """
    files = survey.lists(*_TRANSCRIBING)
    beside = own_files(survey.audio, files, stem_of(survey)) if files else {}
    if not beside and choices.task == "transcribe":
        named = [path for key, path in files.items() if key.lower().endswith(_LISTS_OF_WORDS)]
        return name_most(survey, choices, named)
    if not beside or 2 * len(beside) < len(survey.audio):
        return False
    for name in itertools.chain.from_iterable(itertools.islice(beside.values(), _LOOKED_AT)):
        try:
            read_labels(files[name], choices)
        except CorpusError as error:
            is_label_file = name.lower().endswith(_ONLY_LABELS)
            if is_label_file and choices.task == "transcribe":
                raise
            if is_label_file or choices.task == "transcribe":
                survey.complaints.append(f"{error}; {_OR_WHOLE}")
            return False
    return True


def _read_manifests(survey: Survey, choices: Choices, reading: Reading) -> None:
    """Manifests as `prep` writes them, whose lines have `segments`; a missing recording is named by `prep`."""
    manifests, broken, lists = {}, dict[str, CorpusError](), survey.lists(".jsonl")
    for key, path in lists.items():
        try:
            utterances = read_manifest(path)
        except CorpusError as error:
            if survey.only is not None:
                raise
            broken[key] = error
            continue
        if any(utterance.segments for utterance in utterances):
            manifests[key] = utterances
        elif survey.only is not None:
            raise CorpusError(f"{path}: none of its lines has segments, [[start, end, label], …] in seconds")
    refuse_broken(broken, lists, manifests, choices, reading)
    splits = splits_of_lists(manifests)
    for key, utterances in manifests.items():
        reading.understood.append(f"a manifest of segments: {key}")
        reading.nameable[lists[key]] = False
        reading.entries += [
            Entry(u.audio, "", u.speaker, u.start, u.duration, splits.get(key), u.id, key, u.segments)
            for u in utterances
        ]
