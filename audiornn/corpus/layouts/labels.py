"""Recordings with label files: one beside each recording, or lists (RTTM, CTM, a table, a manifest) that name many.

What the labels say is one of two things: what holds when, which a network is to find (`read`); or what is said from
when to when on a long tape, which is to be cut there (`read_stretches`).
"""

from __future__ import annotations

import itertools
import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from audiornn.audio import EXTENSIONS, AudioInfo, audio_info
from audiornn.corpus.label_files import ENDINGS, POINT, TIMIT, LabelFile, read_label_file, recording_stem
from audiornn.corpus.label_files.elan import media_of
from audiornn.corpus.layouts.folders import level, split_folders
from audiornn.corpus.layouts.own_files import own_files
from audiornn.corpus.layouts.survey import Choices, Entry, Reading, Survey, missing_audio, named, splits_of_lists
from audiornn.corpus.manifest import read_manifest
from audiornn.errors import AudioError, CorpusError

__all__ = ["may_be_labels", "read", "read_stretches"]

#: Of label files beside a recording in which people transcribe.
_TRANSCRIBING = tuple(ending for ending in ENDINGS if ending != ".rttm")  # which says who speaks
#: Of them those that can be nothing else: one that cannot be read is no other kind of text.
_ONLY_LABELS = (".textgrid", ".eaf", ".srt", ".vtt", ".ctm", ".rttm", ".stm", ".mlf", ".cha", *TIMIT)
_TEXTS = 50  # of no recording's name, that are looked into for lists
_LOOKED_AT = 5  # recordings, to tell labels from transcripts
_FEW = 1 / 3  # of the stretches; fewer texts than that are labels
_FAR = 20  # times a recording's length: no label file that is merely another's goes so far
_LEAST_WINDOW = 1.0  # seconds; BirdNET's have three
_ROUNDED = 0.05  # seconds by which two formats may round a label's times differently
_OR_WHOLE = "--layout folders takes the recordings whole"
_LISTS_OF_WORDS = (".ctm", ".stm", ".mlf")
_LISTS = (".rttm", ".ctm", ".stm", ".mlf", ".csv", ".tsv", ".selections.txt")
#: Label files of sorts that are not read.
_NOT_READ = (".trs", ".exb", ".svl", ".ann", ".collection")
#: Of their endings that many programs use for something else.
_OFTEN_OTHERS = (".json",)
_READ = tuple(ending for ending in ENDINGS if ending not in _OFTEN_OTHERS)
_NUMBERED = re.compile(r"\.Table\.\d+\.selections\.txt$", re.IGNORECASE)
_LANGUAGE = re.compile(r"\.[a-z]{2,3}(-[A-Za-z0-9]+)*")
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
    _read_manifests(survey, reading)
    files = survey.lists(*ENDINGS)
    broken: dict[Path, CorpusError] = {}  # recordings whose own label files are none, unless a list names them
    used = set[str]()
    sure = {key: path for key, path in files.items() if not key.lower().endswith(_OFTEN_OTHERS)}
    _take(_own_labels(survey, choices, sure, survey.audio, broken, used), survey, choices, reading)
    lists = _lists(survey, choices, {key: path for key, path in files.items() if key not in used})
    nameless = _read_lists(survey, choices, lists, reading)
    labelled = {entry.audio for entry in reading.entries}
    waiting = {key: audio for key, audio in survey.audio.items() if audio not in labelled}
    rest = {key: path for key, path in files.items() if key not in used and key not in lists}
    others = {key: path for key, path in rest.items() if key not in sure}
    found = _own_labels(survey, choices, others, waiting, {}, used)
    _take(found | _linked_labels(survey, choices, rest, waiting.keys() - found.keys(), used), survey, choices, reading)
    labelled = {entry.audio for entry in reading.entries}
    for audio, error in broken.items():
        if audio not in labelled:
            raise error
    if not any(entry.duration for entry in reading.entries):  # a manifest's lines are taken as they are
        _with_cut_windows(reading)
    if not reading.entries:
        there = f" (there are {named(files, 3)})" if files else ""
        why = [f"{key} {why}" for key, why in [*nameless, *_of_no_known_sort(survey, set())]]
        raise CorpusError(
            f"{survey.folder}: no recording has a label file of its own name ({', '.join(ENDINGS)}), and no list names "
            f"one{there}; {why[0] if why else 'is it the right folder?'}"
        )
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


def _lists(survey: Survey, choices: Choices, unused: dict[str, Path]) -> dict[str, Path]:
    """Of files that are no recording's own those that may be lists: by their names, a few texts by what they hold."""
    lists, n_texts = {}, 0
    for key, path in unused.items():
        is_list = key.lower().endswith(_LISTS)
        if not is_list and key.lower().endswith((".txt", ".json")) and n_texts < _TEXTS:
            n_texts += 1
            try:
                names = _read(path, choices, choices.audio).recordings
            except CorpusError:
                continue
            is_list = any(_recording_named(survey, name, path) for name in names)
        if is_list:
            lists[key] = path
    return lists


def _recording_named(survey: Survey, name: str, path: Path) -> Path | None:
    """The recording that a list means, as `Survey.resolve` finds it, of a file that may be no list."""
    how = survey.how.copy()
    found = survey.resolve(name, path.parent) if name else None
    survey.how = how
    return found


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


class _Hints:
    """Of label files of no recording's name the recordings that may be meant."""

    def __init__(self, survey: Survey, labelled: Iterable[str]) -> None:
        done = set(labelled)
        stems = ((posixpath.splitext(posixpath.basename(key))[0], key) for key in survey.audio)
        self._stems = {stem: key for stem, key in stems if stem not in done}

    def __call__(self, key: str) -> str:
        stem = recording_stem(posixpath.basename(key))
        meant = next((self._stems[stem[:n]] for n in range(len(stem), 0, -1) if stem[:n] in self._stems), None)
        return "" if meant is None else f"; did you mean {meant}?"


def _strays(survey: Survey, choices: Choices, files: dict[str, Path], used: Collection[str]) -> list[tuple[str, str]]:
    """Label files of sorts that are in use, but of no recording's name; with the recording that may be meant."""
    endings = {PurePath(key).suffix.lower() for key in used}
    hint = _Hints(survey, (recording_stem(posixpath.basename(key)) for key in used))
    found = []
    for key, path in files.items():
        if key in used or PurePath(key).suffix.lower() not in endings:
            continue
        try:
            _read(path, choices)
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


def _stretches(entry: Entry) -> list[Entry]:
    """An entry for each of its segments."""
    said: dict[tuple[float, float], str] = {}
    for s in entry.segments:
        if said.setdefault((s.start, s.end), s.label) != s.label:
            raise CorpusError(
                f"{entry.where}: from {s.start:g} to {s.end:g} s it says {said[s.start, s.end][:60]!r} and "
                f"{s.label[:60]!r}; --label names the tier that is to be learnt, or one of the two is to be deleted"
            )
    return [
        replace(entry, text=text, start=round(entry.start + start, 4), duration=round(end - start, 4), segments=())
        for (start, end), text in said.items()
    ]


def _are_transcribed(survey: Survey, choices: Choices) -> bool:
    """Whether most recordings have files beside them, and nothing but label files.

    Raises:
        CorpusError: transcripts were asked for, and one that can be nothing but a label file cannot be read.
    """
    files = survey.lists(*_TRANSCRIBING)
    beside = own_files(survey.audio, files, _stem_of(survey)) if files else {}
    if not beside and choices.task == "transcribe" and not any("/" in key for key in survey.audio):
        named = {key: path for key, path in files.items() if key.lower().endswith(_LISTS_OF_WORDS)}
        return any(_names_most(survey, choices, path) for path in named.values())
    if not beside or 2 * len(beside) < len(survey.audio):
        return False
    for name in itertools.chain.from_iterable(itertools.islice(beside.values(), _LOOKED_AT)):
        try:
            _read(files[name], choices)
        except CorpusError as error:
            is_label_file = name.lower().endswith(_ONLY_LABELS)
            if is_label_file and choices.task == "transcribe":
                raise
            if is_label_file or choices.task == "transcribe":
                survey.complaints.append(f"{error}; {_OR_WHOLE}")
            return False
    return True


def _names_most(survey: Survey, choices: Choices, path: Path) -> bool:
    """Whether a list names at least half of the recordings."""
    try:
        names = _read(path, choices).recordings
    except CorpusError:
        return False
    found = {audio for name in names if (audio := _recording_named(survey, name, path))}
    return 2 * len(found) >= len(survey.audio)


def _read_manifests(survey: Survey, reading: Reading) -> None:
    """Manifests as `prep` writes them, whose lines have `segments`; a missing recording is named by `prep`."""
    manifests = {}
    for key, path in survey.lists(".jsonl").items():
        try:
            utterances = read_manifest(path)
        except CorpusError:
            if survey.only is not None:
                raise
            continue  # of something else
        if any(utterance.segments for utterance in utterances):
            manifests[key] = utterances
        elif survey.only is not None:
            raise CorpusError(f"{path}: none of its lines has segments, [[start, end, label], …] in seconds")
    splits = splits_of_lists(manifests)
    for key, utterances in manifests.items():
        reading.understood.append(f"a manifest of segments: {key}")
        reading.entries += [
            Entry(u.audio, "", u.speaker, u.start, u.duration, splits.get(key), u.id, key, u.segments)
            for u in utterances
        ]


def _take(found: Mapping[str, Mapping[str, LabelFile]], survey: Survey, choices: Choices, reading: Reading) -> None:
    """Make an entry of each recording with label files of its own, of which there must be one."""
    splits, kinds, n_unlabelled, n_moved = split_folders(survey), Counter[str](), 0, 0
    for audio, own in _in_own_times({survey.audio[key]: dict(own) for key, own in found.items()}).items():
        if len(own) > 1 and _say_the_same(list(own.values())):
            own = dict([next(iter(own.items()))])  # one program's, in several formats
        if len(own) > 1 and all(_NUMBERED.search(name) for name in own):
            own = {next(iter(own)): _joined(list(own.values()))}
        if len(own) > 1:
            raise CorpusError(f"{audio}: has {len(own)} label files, {', '.join(own)}; keep the one that is right")
        for other, labels in own.items():
            kinds[labels.path.suffix] += 1
            n_unlabelled += _n_unlabelled(labels)
            n_moved += labels.span is not None and labels.span != found[survey.key(audio)][other].span
            _tell_guess(labels, choices, reading)
            split = splits.get(level(survey.key(audio), 1))
            reading.entries.append(_entry(audio, labels, None, choices, split, where=survey.key(labels.path)))
    if kinds:
        counted = ", ".join(f"{n:,} {ending}" for ending, n in kinds.items())
        reading.understood.append(f"label files with times: {counted}")
        if n_moved:
            reading.understood.append(
                f"of {n_moved:,} the times begin later than their recordings, which are as long: a part's, in the "
                "whole's times (Praat's \"preserve times\"); they are moved to begin at 0"
            )
        if splits:
            reading.understood.append(f"splits: the folders {named(splits)}")
    _tell_unlabelled(n_unlabelled, reading)


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


def _own_labels(
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
        for key, candidates in own_files(waiting, rest, _stem_of(survey)).items():
            audio = survey.audio[key]
            tried[key] += candidates
            for alike in _exact_first(key, candidates):
                read = dict[str, LabelFile]()
                for other in alike:
                    try:
                        read[other] = _read(files[other], choices, recording=audio)
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


def _linked_labels(
    survey: Survey, choices: Choices, files: dict[str, Path], recordings: Container[str], used: set[str]
) -> dict[str, dict[str, LabelFile]]:
    """Of some recordings ELAN's files of other names that are linked to them."""
    found: dict[str, dict[str, LabelFile]] = defaultdict(dict)
    for other, audio in _linked(survey, files):
        if (key := survey.key(audio)) in recordings:
            found[key][other] = _read(files[other], choices, recording=audio)
            used.add(other)
    return found


def _linked(survey: Survey, files: dict[str, Path]) -> Iterator[tuple[str, Path]]:
    """ELAN's files of other names than their recordings', with the recording that each is linked to."""
    for key, path in files.items():
        if key.lower().endswith(".eaf"):
            try:
                found = {audio for name in media_of(path) if (audio := _recording_named(survey, name, path))}
            except CorpusError:
                continue
            if len(found) == 1:
                yield key, found.pop()


def _stem_of(survey: Survey) -> Callable[[str], str]:
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
    named = {found for name in labels.recordings if (found := _recording_named(survey, name, labels.path))}
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


_SHARED = "is one label, whatever its tier"


def _tell_guess(labels: LabelFile, choices: Choices, reading: Reading) -> None:
    if labels.band:
        reading.bands.append(labels.band)
    if labels.notes and labels.notes not in reading.guessed:
        reading.guessed.append(labels.notes)
    if any(_SHARED in line for line in reading.guessed):
        return
    if shared := labels.shared_by_tiers(choices.text):
        label, tiers = next(iter(shared.items()))
        reading.guessed.append(
            f"{label!r} of {' and '.join(map(repr, tiers))} {_SHARED} (first in {labels.path.name}); --label names one"
        )


def _read(path: Path, choices: Choices, audio: str = "", recording: Path | None = None) -> LabelFile:
    return read_label_file(path, encoding=choices.encoding, label=choices.text, audio=audio, recording=recording)


def _in_own_times(found: dict[Path, dict[str, LabelFile]]) -> dict[Path, dict[str, LabelFile]]:
    """Label files of recordings in these recordings' own times: from 0 on, and in seconds."""
    sorts: dict[str, list[tuple[Path, LabelFile]]] = defaultdict(list)
    for audio, own in found.items():
        for labels in own.values():
            sorts[labels.path.suffix.lower()].append((audio, labels))
    units = {
        sort: _unit([(labels.last(), audio) for audio, labels in own]) for sort, own in sorts.items() if _whole(own)
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


def _unit(latest: Iterable[tuple[float, Path]]) -> str:
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


def _info(audio: Path) -> AudioInfo | None:
    try:
        return audio_info(audio)
    except AudioError:  # prep names it
        return None


def _entry(
    audio: Path, labels: LabelFile, name: str | None, choices: Choices, split: str | None, *, where: str
) -> Entry:
    tier = choices.text if any(labels.tiers) else ""
    return Entry(audio, "", split=split, where=where, segments=labels.segments(name, tier))


def _with_cut_windows(reading: Reading) -> None:
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


def _read_lists(survey: Survey, choices: Choices, lists: dict[str, Path], reading: Reading) -> list[tuple[str, str]]:
    """Lists that name their recordings; of recordings with label files of their own, those are right.

    Returns:
        Label files that name none, and why they are not used.
    """
    known = {entry.audio for entry in reading.entries}
    missing: list[tuple[str, str]] = []
    not_lists: list[tuple[str, CorpusError]] = []
    nameless: list[tuple[str, str]] = []
    hint = _Hints(survey, (audio.stem for audio in known))
    splits = splits_of_lists(lists)
    n_named = n_unlabelled = 0
    for key, path in lists.items():
        try:
            labels = _read(path, choices, choices.audio if path.suffix.lower() in (".csv", ".tsv", ".txt") else "")
        except CorpusError as error:
            not_lists.append((key, error))
            continue
        names = [name for name in labels.recordings if name]
        resolved = _told_apart({name: survey.resolve(name, path.parent) for name in names})
        if labels.are_whole:
            unit = _unit((labels.last(name), audio) for name, audio in resolved.items() if audio is not None)
            labels = labels.divided(1000, unit) if unit == "milliseconds" else labels  # rates may differ
        for name, audio in resolved.items():
            n_named += 1
            if audio is None:
                missing.append((key, name))
            elif audio not in known:
                reading.entries.append(_entry(audio, labels, name, choices, splits.get(key), where=key))
        if not names:
            nameless.append((key, f"is no recording's by its name, and no column names one (--audio){hint(key)}"))
        if names:
            n_unlabelled += _n_unlabelled(labels)
            _tell_guess(labels, choices, reading)
            reading.understood.append(f"a list of segments with times: {key}")
    if splits and n_named:
        reading.understood.append(f"splits: the lists {named(lists)}")
    if not_lists and not reading.entries:
        raise not_lists[0][1]
    reading.left_out += [(key, f"is no list of segments: {error}") for key, error in not_lists]
    _tell_unlabelled(n_unlabelled, reading)
    missing_audio(missing, n_named, choices, reading)
    return nameless


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


def _n_unlabelled(labels: LabelFile) -> int:
    """Stretches without a label, of a file whose format does not need them: TextGrids are all of their silence, too."""
    is_full = labels.path.suffix.lower() in (".textgrid", ".eaf")
    return 0 if is_full else sum(not label.label.strip() and label.end > label.start for label in labels.labels)


def _tell_unlabelled(n: int, reading: Reading) -> None:
    if n:
        reading.understood.append(f"{n:,} stretches without a label, which count as nothing")
