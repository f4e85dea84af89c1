"""Transcripts in files of their own: one beside each recording, lists of `id text` lines, and CMU's lists."""

from __future__ import annotations

import itertools
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from audiornn.corpus.label_files import TIMIT, holds_times
from audiornn.corpus.layouts.splits import MANY, refuse_broken, split_in_name, splits_in_paths
from audiornn.corpus.layouts.survey import Choices, Entry, Reading, Survey, read_text
from audiornn.errors import CorpusError

__all__ = ["read", "read_cmu", "read_id_lists", "unread"]

_ENDINGS = (".txt", ".lab", ".wav.trn")
#: Names of lists that lie in a folder `etc` beside that of their recordings, `wav`: VoxForge's and Festvox'.
_PROMPTS = ("prompts", "txt.done.data")
_FESTVOX = re.compile(r'\(\s*(?P<name>\S+)\s+"(?P<text>.*)"\s*\)')
#: A text of TIMIT's, from its first sample to its last.
_TIMIT = re.compile(r"\d+ \d+ (?P<text>\D.*)")
_LOOKED_AT = 300  # files, for transcripts that are not read
_LARGEST = 4_000_000  # bytes; an archive is no list
#: What lies beside recordings and is written by programs, or about them; who speaks when is no text either.
_NO_TEXTS = (
    *(".json", ".xml", ".md", ".sh", ".py", ".log", ".asd", ".cfg", ".ini", ".yaml", ".yml", ".toml", ".html"),
    *(".rttm", ".uem"),
)
_MICROPHONE = re.compile(r"[_-]mic\d+$")
_CMU = re.compile(r"(?:<s>)?(?P<text>.*?)(?:</s>)?\s*\((?P<name>[^()\s]+)\)")


def read(survey: Survey, choices: Choices, *, forced: bool = True) -> Reading | None:
    """A transcript beside each recording, `NAME.txt`, `.lab` or `.wav.trn`, in the same folder or in another one.

    Else lists of `id text` lines: LibriSpeech's, PROMPTS and txt.done.data in folders `etc`, a few of any name. They go
    before the transcripts of fewer than half of the recordings, unless the user asked for this layout.

    Args:
        survey: the folder.
        choices: the encoding; `text` may name a list, which then goes before any transcripts.
        forced: whether the user asked for this layout; otherwise None where there is no list, and fewer than half have
            a transcript.

    Raises:
        CorpusError: forced and there is none; a transcript holds times.
    """
    lists = survey.lists("trans.txt")
    if lists:
        return read_id_lists(survey, choices, lists)
    files = {_without_ending(key): path for key, path in survey.lists(*_ENDINGS).items()}
    beside, heard_twice = _beside(survey, files)
    are_few = 2 * len(beside) < len(survey.audio) - len(heard_twice)
    is_list_first = not beside or choices.text in survey.others or (are_few and not forced)
    if is_list_first and (found := _single_list(survey, choices)):
        name, of_list = found
        if beside and not forced:
            of_list.settings["text"] = name  # the layout alone means the texts beside the recordings
            of_list.guessed.append(
                f"{len(beside):,} recordings have a text beside them, too, which is not learnt: --layout transcripts "
                "learns these alone"
            )
        return of_list
    if are_few and not forced:
        if beside:
            survey.passed_over["transcripts"] = (
                f"{len(beside):,} of {len(survey.audio):,} recordings have a text beside them, too few to be what is "
                "learnt: --layout transcripts learns from them"
            )
            if choices.task == "transcribe":
                survey.last_resort["transcripts"] = len(beside)
        return None
    if not beside:
        if not forced:
            return None
        raise CorpusError(
            f"{survey.folder}: no recording has a transcript of its name ({', '.join(_ENDINGS)}) beside it, and no "
            "list of `id text` lines names any: *.trans.txt, PROMPTS or txt.done.data in a folder etc, or a .txt"
        )
    reading = _read_beside(survey, choices, beside, forced)
    if reading is not None:
        reading.left_out += [(key, "the same utterance by another microphone") for key in sorted(heard_twice)]
        without = [key for key in survey.audio if key not in beside and key not in heard_twice]
        reading.left_out += [(key, "has no transcript") for key in without]
    return reading


def _read_beside(survey: Survey, choices: Choices, beside: Mapping[str, Path], forced: bool) -> Reading | None:
    """Transcripts of recordings; None where most hold times.

    Raises:
        CorpusError: they do, and transcripts with times were not asked for; or all are empty.
    """
    reading = Reading(understood=[f"transcripts: {len(beside):,} recordings with a text of the same name"])
    n_apart = sum(posixpath.dirname(key) != posixpath.dirname(survey.key(path)) for key, path in beside.items())
    if n_apart:
        reading.understood.append(f"{n_apart:,} of the transcripts lie in another folder than their recording")
    is_timit = choices.task == "transcribe" and not choices.text and bool(survey.lists(*TIMIT))
    said = {key: _lines(path, choices, is_timit) for key, path in beside.items()}
    timed = {
        key: path
        for key, path in beside.items()
        if holds_times(path, choices.encoding) and not (is_timit and len(said[key]) == 1)
    }
    if 2 * len(timed) > len(beside):
        complaint = (
            f"{next(iter(timed.values()))}: holds labels with times, and a transcript has none: --task label learns "
            "when they hold, --layout stretches takes each stretch for an utterance"
            + (", --task transcribe the sentences of TIMIT" if survey.lists(*TIMIT) else "")
        )
        if forced or choices.task != "transcribe":
            raise CorpusError(complaint)
        survey.complaints.append(complaint)
        return None
    for key, path in beside.items():
        if key in timed:
            reading.left_out.append((key, "holds labels with times, where most others are transcripts"))
        elif said[key]:
            reading.entries.append(Entry(survey.audio[key], " ".join(said[key]), where=survey.key(path)))
        else:
            reading.left_out.append((key, "its transcript is empty"))
    if not reading.entries:
        raise CorpusError(f"{survey.folder}: all {len(beside)} transcripts are empty")
    return reading


def _without_ending(key: str) -> str:
    return key[: -next(len(ending) for ending in _ENDINGS if key.lower().endswith(ending))]


def _lines(path: Path, choices: Choices, is_timit: bool) -> list[str]:
    """What a transcript says; of TIMIT's what stands behind its first and last sample.

    Of THCHS-30's it is the words, before Pinyin and phones, or those of the file that it names.
    """
    lines = [line.strip() for line in read_text(path, choices.encoding).split("\n") if line.strip()]
    if is_timit and len(lines) == 1:
        return [_TIMIT.sub(r"\g<text>", lines[0])]
    if path.suffix.lower() != ".trn" or not lines:
        return lines
    named = path.parent / lines[0]
    return _lines(named, choices, False) if lines[0].endswith(".trn") and named.is_file() else lines[:1]


def _beside(survey: Survey, files: Mapping[str, Path]) -> tuple[dict[str, Path], set[str]]:
    """The transcript of each recording, beside it or the only one of its name; and what another microphone heard, too.

    VCTK has `p225_001_mic1.flac` and `p225_001_mic2.flac` of `p225_001.txt`.
    """
    by_name: dict[str, list[Path]] = defaultdict(list)
    for stem, path in files.items():
        by_name[posixpath.basename(stem)].append(path)

    def text_of(stem: str) -> Path | None:
        elsewhere = by_name.get(posixpath.basename(stem), [])
        return files.get(stem) or (elsewhere[0] if len(elsewhere) == 1 else None)

    stems = {key: posixpath.splitext(key)[0] for key in survey.audio}
    own = {key: text for key, stem in stems.items() if (text := text_of(stem))}
    beside: dict[str, Path] = {}
    heard = set(own.values())  # before any microphone's: x-mic1 comes before x
    heard_twice: set[str] = set()
    for key, stem in stems.items():
        if key in own:
            beside[key] = own[key]
        elif text := text_of(_MICROPHONE.sub("", stem)):
            if text in heard:
                heard_twice.add(key)
            else:
                beside[key] = text
                heard.add(text)
    return beside, heard_twice


def _single_list(survey: Survey, choices: Choices) -> tuple[str, Reading] | None:
    """VoxForge's or Festvox' lists; else one or a few .txt files whose lines begin with the name of a recording.

    Returns:
        The name of the first of them, and what they say; None where there is none.

    Raises:
        CorpusError: one that surely is such a list cannot be read.
    """
    in_etc = {key: path for key, path in survey.others.items() if _is_in_etc(path)}
    texts = survey.lists(".txt", ".text", ".transcription", ".trans")
    for candidates in (in_etc, texts if len(texts) <= MANY else {}):
        lists, broken, reading = {}, dict[str, CorpusError](), Reading()
        for key, path in candidates.items():
            try:
                lines = list(_named_texts(read_text(path, choices.encoding)))
            except CorpusError as error:
                broken[key] = error
                continue
            sample = lines[:20]
            n_found = sum(bool(text) and _recording(survey, name, path) is not None for _, name, text in sample)
            if sample and 2 * n_found > len(sample):
                lists[key] = path
        if lists:
            refuse_broken(broken, candidates, lists, choices, reading)
            found = read_id_lists(survey, choices, lists)
            found.left_out += reading.left_out
            return next(iter(lists)), found
    return None


def _named_texts(text: str) -> Iterator[tuple[int, str, str]]:
    """Of a list each line's number, its recording, and what is said in it, which may be nothing."""
    lines = [line.strip() for line in text.split("\n")]
    between = "\t" if all("\t" in line for line in lines if line) else None  # a name before a tab may hold spaces
    for number, line in enumerate(lines, start=1):
        if of_festvox := _FESTVOX.fullmatch(line):
            yield number, of_festvox["name"], of_festvox["text"].strip()
        elif line:
            name, spoken = [*line.split(between, 1), ""][:2]
            yield number, name, spoken.strip()


def _recording(survey: Survey, name: str, path: Path) -> Path | None:
    """The recording that a list names; of one in a folder `etc` only that of the same speaker, in `wav` beside it."""
    if _is_in_etc(path):
        return survey.as_written(posixpath.basename(name), path.parent.parent)
    return survey.resolve(name, path.parent)


def _is_in_etc(path: Path) -> bool:
    return path.parent.name == "etc" and path.name.lower() in _PROMPTS


def read_id_lists(survey: Survey, choices: Choices, lists: dict[str, Path]) -> Reading:
    """Lists of `id text` lines, as LibriSpeech's `*.trans.txt`, each beside its recordings.

    Raises:
        CorpusError: recordings are missing, or no line has a text.
    """
    survey.how.clear()
    n = len(lists)
    reading = Reading(understood=[f"transcripts: {n:,} list{'s' * (n > 1)} of `id text` lines ({next(iter(lists))} …)"])
    splits = splits_in_paths(lists)
    for key, path in lists.items():
        lines = list(_named_texts(read_text(path, choices.encoding)))
        reading.n_lines += len(lines)
        names = [name for _, name, _ in lines]
        resolved = (
            {name: _recording(survey, name, path) for name in names}
            if _is_in_etc(path)
            else survey.resolve_all(names, path.parent)
        )
        for number, name, text in lines:
            where = f"{key}, line {number}"
            audio = resolved[name]
            if audio is None:
                reading.missing.append((where, name))
            elif not text:
                reading.left_out.append((where, "its text is empty"))
            else:
                reading.entries.append(Entry(audio, text, split=splits.get(key), where=where))
    reading.refuse_missing(choices)
    if not reading.entries:
        raise CorpusError(f"{next(iter(lists.values()))}: no line has a text behind the name of a recording")
    found = {entry.split for entry in reading.entries}
    if None in found or not {"train"} < found:
        reading.entries = [replace(entry, split=None) for entry in reading.entries]
    reading.left_out += survey.unlabelled((e.audio for e in reading.entries), "no line of a transcript names it")
    return reading


def unread(survey: Survey, choices: Choices) -> list[str]:
    """Texts that are not read as transcripts and may be some: lists that name recordings, or texts of their names.

    The latter say different words: what a program writes beside each recording is often the same.
    """
    stems = {posixpath.splitext(posixpath.basename(key))[0] for key in survey.audio}
    found: list[str] = []
    own: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)  # by the ending, then by the file its words
    texts = ((key, path) for key, path in survey.others.items() if not key.lower().endswith(_NO_TEXTS))
    for key, path in itertools.islice(texts, _LOOKED_AT):
        try:
            if not path.is_file() or path.stat().st_size > _LARGEST:
                continue
            text = read_text(path, choices.encoding)
        except (CorpusError, OSError):
            continue  # no text
        lines = [line.split() for line in text.split("\n")[:20] if line.strip()]
        names = {_stem(word) for words in lines for word in words} & stems
        own_names = {posixpath.basename(key).split(".")[0], posixpath.splitext(posixpath.basename(key))[0]} & stems
        naming = [words for words in lines if any(_stem(word) in stems for word in words)]
        spoken = [[word for word in words if word.strip('".,?!').isalpha()] for words in naming or lines]
        if not any(len(words) > 1 for words in spoken):
            continue
        if 2 * len(naming) > len(lines) and not names <= own_names:
            found.append(key)
        elif own_names:
            said = tuple(word for words in spoken for word in words if word not in names)
            own[posixpath.splitext(key)[1].lower()][key] = said
    for files in own.values():
        if len(set(files.values())) > 1:
            found += files
    return found


def _stem(word: str) -> str:
    """The name of the recording that a word of a list may be."""
    return posixpath.splitext(posixpath.basename(word.strip('"():,;')))[0]


def read_cmu(survey: Survey, choices: Choices, *, forced: bool = True) -> Reading | None:
    """CMU Sphinx: `etc/NAME_{train,test}.fileids` and `.transcription`, audio below `wav/` with any extension.

    Raises:
        CorpusError: lists that are missing or contradict each other; recordings that are missing.
    """
    lists = survey.lists(".fileids")
    if not lists:
        if forced:
            raise CorpusError(f"{survey.folder}: holds no etc/*.fileids")
        return None
    reading = Reading(understood=[f"CMU Sphinx's lists: {', '.join(lists)}"], task="transcribe")
    for key, path in lists.items():
        texts = _cmu_texts(path.with_suffix(".transcription"), choices)
        ids = [line.strip() for line in read_text(path, choices.encoding).split("\n") if line.strip()]
        reading.n_lines += len(ids)
        for number, name in enumerate(ids, start=1):
            where = f"{key}, line {number}"
            text = texts.get(name, texts.get(posixpath.basename(name)))
            audio = survey.resolve(name, path.parent.parent / "wav") or survey.resolve(name, path.parent.parent)
            if text is None:
                raise CorpusError(f"{path}, line {number}: {name} has no line in {path.stem}.transcription")
            if audio is None:
                reading.missing.append((where, name))
            elif text:
                reading.entries.append(Entry(audio, text, split=split_in_name(path.stem), id=name, where=where))
            else:
                reading.left_out.append((where, "its text is empty"))
    reading.refuse_missing(choices)
    reading.left_out += survey.unlabelled((e.audio for e in reading.entries), "no .fileids names it")
    return reading


def _cmu_texts(path: Path, choices: Choices) -> dict[str, str]:
    """Texts by name: of `<s> YES </s> (an251-fash-b)`, the word."""
    texts: dict[str, str] = {}
    for number, line in enumerate(read_text(path, choices.encoding).split("\n"), start=1):
        if line.strip():
            parts = _CMU.fullmatch(line.strip())
            if parts is None:
                raise CorpusError(f"{path}, line {number}: not a text and its utterance in brackets: {line!r}")
            spoken = [word for word in parts["text"].split() if word.lower() not in ("<s>", "</s>", "<sil>")]
            text, name = " ".join(spoken), parts["name"]
            if texts.setdefault(name, text) != text:
                raise CorpusError(
                    f"{path}, line {number}: {name} says {text[:60]!r}, and {texts[name][:60]!r} before; delete one"
                )
    return texts
