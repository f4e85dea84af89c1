"""Transcripts in files of their own: one beside each recording, lists of `id text` lines, and CMU's lists."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from pathlib import Path

from audiornn.corpus.label_files import holds_times
from audiornn.corpus.layouts.survey import Choices, Entry, Reading, Survey, missing_audio, read_text, split_in_name
from audiornn.errors import CorpusError

__all__ = ["read", "read_cmu", "read_id_lists"]

_ENDINGS = (".txt", ".lab")
_CMU = re.compile(r"(?:<s>)?(?P<text>.*?)(?:</s>)?\s*\((?P<name>[^()\s]+)\)")


def read(survey: Survey, choices: Choices, *, forced: bool = True) -> Reading | None:
    """A transcript beside each recording, `NAME.txt` or `NAME.lab`, in the same folder or in a folder beside it.

    Args:
        survey: the folder.
        choices: the encoding.
        forced: whether the user asked for this layout; otherwise None where fewer than half have one.

    Raises:
        CorpusError: forced and there is none; a transcript holds times.
    """
    lists = survey.lists("trans.txt")
    if lists:
        return read_id_lists(survey, choices, lists)
    files = {posixpath.splitext(key)[0]: path for key, path in survey.lists(*_ENDINGS).items()}
    by_name: dict[str, list[Path]] = defaultdict(list)
    for stem, path in files.items():
        by_name[posixpath.basename(stem)].append(path)
    beside: dict[str, Path] = {}
    n_apart = 0
    for key in survey.audio:
        stem = posixpath.splitext(key)[0]
        elsewhere = by_name.get(posixpath.basename(stem), [])
        if stem in files:
            beside[key] = files[stem]
        elif len(elsewhere) == 1:
            beside[key] = elsewhere[0]
            n_apart += 1
    if not beside or (not forced and 2 * len(beside) < len(survey.audio)):
        if forced:
            raise CorpusError(f"{survey.folder}: no recording has a transcript NAME.txt or NAME.lab beside it")
        found = _single_list(survey, choices)
        if beside and found is None:
            survey.passed_over["transcripts"] = (
                f"{len(beside):,} of {len(survey.audio):,} recordings have a text beside them, too few to be what is "
                "learnt: --layout transcripts learns from them"
            )
            if choices.task == "transcribe":
                survey.last_resort["transcripts"] = len(beside)
        return found
    reading = Reading(understood=[f"transcripts: {len(beside):,} recordings with a .txt or .lab of the same name"])
    if n_apart:
        reading.understood.append(f"{n_apart:,} of the transcripts lie in another folder than their recording")
    timed = {key: path for key, path in beside.items() if holds_times(path, choices.encoding)}
    if 2 * len(timed) > len(beside):
        complaint = (
            f"{next(iter(timed.values()))}: holds labels with times, and a transcript has none: --task label learns "
            "when they hold, --layout stretches takes each stretch for an utterance"
        )
        if forced or choices.task != "transcribe":
            raise CorpusError(complaint)
        survey.complaints.append(complaint)
        return None
    for key, path in beside.items():
        lines = [line.strip() for line in read_text(path, choices.encoding).split("\n") if line.strip()]
        if key in timed:
            reading.left_out.append((key, "holds labels with times, where most others are transcripts"))
        elif lines:
            reading.entries.append(Entry(survey.audio[key], " ".join(lines), where=survey.key(path)))
        else:
            reading.left_out.append((key, "its transcript is empty"))
    reading.left_out += [(key, "has no transcript") for key in survey.audio if key not in beside]
    if not reading.entries:
        raise CorpusError(f"{survey.folder}: all {len(beside)} transcripts are empty")
    return reading


def _single_list(survey: Survey, choices: Choices) -> Reading | None:
    """One or a few .txt files whose lines begin with the name of a recording."""
    lists = {}
    candidates = survey.lists(".txt", ".text", ".transcription", ".trans")
    for key, path in candidates.items() if len(candidates) <= 50 else ():
        try:
            lines = [line.split(maxsplit=1) for line in read_text(path, choices.encoding).split("\n") if line.strip()]
        except CorpusError:
            continue
        sample = lines[:20]
        n_found = sum(len(line) == 2 and survey.resolve(line[0], path.parent) is not None for line in sample)
        if sample and 2 * n_found > len(sample):
            lists[key] = path
    return read_id_lists(survey, choices, lists) if lists else None


def read_id_lists(survey: Survey, choices: Choices, lists: dict[str, Path]) -> Reading:
    """Lists of `id text` lines, as LibriSpeech's `*.trans.txt`, each beside its recordings.

    Raises:
        CorpusError: recordings are missing.
    """
    survey.how.clear()
    n = len(lists)
    reading = Reading(understood=[f"transcripts: {n:,} list{'s' * (n > 1)} of `id text` lines ({next(iter(lists))} …)"])
    missing: list[tuple[str, str]] = []
    n_lines = 0
    for key, path in lists.items():
        split = next((s for part in key.split("/") if (s := split_in_name(part))), None)
        lines = [line.strip() for line in read_text(path, choices.encoding).split("\n")]
        between = "\t" if all("\t" in line for line in lines if line) else None  # a name before a tab may hold spaces
        for number, line in enumerate(lines, start=1):
            name, text = [*line.split(between, 1), "", ""][:2]
            where = f"{key}, line {number}"
            if not name:
                continue
            n_lines += 1
            audio = survey.resolve(name, path.parent)
            if audio is None:
                missing.append((where, name))
            elif not text.strip():
                reading.left_out.append((where, "its text is empty"))
            else:
                reading.entries.append(Entry(audio, text.strip(), split=split, where=where))
    missing_audio(missing, n_lines, choices, reading)
    found = {entry.split for entry in reading.entries}
    if None in found or "train" not in found or len(found) < 2:
        reading.entries = [Entry(e.audio, e.text, where=e.where) for e in reading.entries]
    reading.left_out += survey.unlabelled((e.audio for e in reading.entries), "no line of a transcript names it")
    return reading


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
    missing: list[tuple[str, str]] = []
    n_lines = 0
    for key, path in lists.items():
        texts = _cmu_texts(path.with_suffix(".transcription"), choices)
        ids = [line.strip() for line in read_text(path, choices.encoding).split("\n") if line.strip()]
        n_lines += len(ids)
        for number, name in enumerate(ids, start=1):
            where = f"{key}, line {number}"
            text = texts.get(name, texts.get(posixpath.basename(name)))
            audio = survey.resolve(name, path.parent.parent / "wav") or survey.resolve(name, path.parent.parent)
            if text is None:
                raise CorpusError(f"{path}, line {number}: {name} has no line in {path.stem}.transcription")
            if audio is None:
                missing.append((where, name))
            elif text:
                reading.entries.append(Entry(audio, text, split=split_in_name(path.stem), id=name, where=where))
            else:
                reading.left_out.append((where, "its text is empty"))
    missing_audio(missing, n_lines, choices, reading)
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
