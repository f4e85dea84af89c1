"""Transcripts with times: CHAT, NIST's STM, HTK's MLF, ESPS', and the JSON of Whisper and of Label Studio."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from audiornn.corpus.label_files.lines import read_audacity
from audiornn.corpus.label_files.timed import Timed, refuse_nameless, seconds
from audiornn.errors import CorpusError

__all__ = ["is_esps", "read_chat", "read_esps", "read_json", "read_mlf", "read_stm"]

_BULLET = re.compile(r"\x15_?(\d+)_(\d+)\x15")
_CHAT_LINE = re.compile(r"\*([^\s:]+):\s*(.*)", re.DOTALL)
#: Of CHAT's main line what is no word.
_CHAT_CODES = re.compile(
    r"\[[^\]]*\]"  # codes
    r"|\(\.+\)|\(\d*\.\d*\)"  # pauses
    r"|&[=+*~]\S*|(?<!\S)0\S*|\b(?:xxx|yyy|www)\b"  # events, fragments, words left out, words not understood
    r"|(?<!\S)\+\S*|(?<!\S)[.?!,;:](?!\S)"  # how an utterance begins and ends
    r"|[‡„<>↑↓≠∬⌈⌉⌊⌋]"
)
#: What stands on a word: its part of speech or language after @, a filler's & or &-, omitted sounds in brackets.
_CHAT_MARKS = re.compile(r"@\S*|(?<!\S)&-?|[()]|(?<=\w)[:^]")


def read_chat(text: str, path: Path) -> list[Timed]:
    """CHAT's transcripts (CHILDES, TalkBank): each main line with a time bullet is a label, its speaker the tier.

    Codes are left out, and words are written as they are said to be: `(be)cause [*] &-uh .` is *because uh*. Dependent
    tiers (`%mor`) are not read. Source: the CHAT manual (MacWhinney), its chapters on main lines and on linking.

    Raises:
        CorpusError: no line has a time.
    """
    labels, main, begun = [], "", 0
    for number, line in [*enumerate(text.split("\n"), start=1), (0, "")]:
        if line.startswith("\t") and main:
            main += " " + line.strip()
            continue
        if (spoken := _CHAT_LINE.fullmatch(main)) is not None:
            bullets = _BULLET.findall(spoken[2])
            if bullets:
                words = " ".join(_CHAT_MARKS.sub("", _CHAT_CODES.sub(" ", _BULLET.sub(" ", spoken[2]))).split())
                start, end = int(bullets[0][0]) / 1000, int(bullets[-1][1]) / 1000
                labels.append(Timed(start, end, words, spoken[1], where=f"line {begun}"))
        main, begun = (line, number) if line.startswith("*") else ("", 0)
    if not labels:
        raise CorpusError(f"{path}: no line of a speaker has a time (a bullet); link it to its recording in CLAN first")
    return labels


def read_stm(text: str, path: Path) -> list[Timed]:
    """NIST's segment time marks: `file channel speaker start end [<labels>] words`; `;;` begins a remark.

    Segments that are to be left out of scores (`ignore_time_segment_in_scoring`) say nothing; of alternatives
    (`{ a / b }`) the first is taken.

    Raises:
        CorpusError: a line has no times.
    """
    labels = []
    for number, line in enumerate(text.split("\n"), start=1):
        fields = line.split(None, 5)
        if not fields or line.startswith(";;"):
            continue
        where = f"{path}, line {number}"
        if len(fields) < 5:
            raise CorpusError(f"{where}: {len(fields)} fields, STM has at least 5: {line!r}")
        words = re.sub(r"^<[^>]*>\s*", "", fields[5]).strip() if len(fields) > 5 else ""
        words = " ".join(re.sub(r"\{([^/}]*)(/[^}]*)?\}", r" \1 ", words).replace(" @ ", " ").split())
        words = "" if words.lower() == "ignore_time_segment_in_scoring" else words
        start, end = seconds(fields[3], where), seconds(fields[4], where)
        labels.append(Timed(start, end, words, "", fields[0], f"line {number}", fields[2]))
    return labels


def read_mlf(text: str, path: Path) -> list[Timed]:
    """HTK's master label file: `#!MLF!#`, then of each recording `"*/name.lab"`, labels as in a `.lab`, and a point.

    Raises:
        CorpusError: it does not begin so, or as of a `.lab`.
    """
    lines = text.split("\n")
    if lines[0].strip() != "#!MLF!#":
        raise CorpusError(f"{path}: no master label file of HTK, its first line is {lines[0][:60]!r}, not #!MLF!#")
    labels: list[Timed] = []
    name, own, begun = "", list[str](), 0
    for number, line in enumerate([*lines[1:], "."], start=2):
        if line.strip().startswith('"') and not any(map(str.strip, own)):
            named = PurePosixPath(line.strip().strip('"').replace("\\", "/").removeprefix("*/"))
            name, begun = (named.with_suffix("").as_posix() if named.name else ""), number
        elif line.strip() == ".":
            text_of_one = "\n" * begun + "\n".join(own)  # so that errors name the file's own lines
            labels += [replace(label, recording=name) for label in read_audacity(text_of_one, path, is_htk=True)]
            own = []
        else:
            own.append(line)
    return labels


def is_esps(text: str) -> bool:
    """Whether a text is a label file as ESPS' xlabel and Festival write it: a line of `#`, then ends and labels."""
    _, mark, labels = text.partition("\n#\n") if not text.startswith("#\n") else ("", "#", text[2:])
    lines = [line.split(None, 2) for line in labels.split("\n") if line.strip()]
    return bool(mark and lines) and all(
        len(cells) >= 2 and re.fullmatch(r"\d+\.\d+", cells[0]) and re.fullmatch(r"-?\d+", cells[1]) for cells in lines
    )


def read_esps(text: str, path: Path) -> list[Timed]:
    """ESPS' labels: end, a colour's number and label; each begins where the one before it ends.

    Of labels of several fields, between which the head's `separator` stands, the first is taken.

    Raises:
        CorpusError: no label has a name.
    """
    labels, start, begun = [], 0.0, text.startswith("#\n")
    separator = re.search(r"^separator\s+(\S)$", text, re.MULTILINE)
    for number, line in enumerate(text.split("\n"), start=1):
        cells = line.split(None, 2)
        if begun and len(cells) >= 2:
            end = float(cells[0])
            label = cells[2] if len(cells) > 2 else ""
            label = label.split(separator[1])[0] if separator else label
            labels.append(Timed(start, end, label.strip(), where=f"line {number}"))
            start = end
        begun = begun or line.strip() == "#"
    refuse_nameless(labels, path)
    return labels


def read_json(text: str, path: Path) -> list[Timed]:
    """What Whisper and its like write: an object whose `segments` have `start`, `end`, `text`; or Label Studio's.

    A speaker is Whisper's tier, the name of a control Label Studio's, whose tasks name their recordings.

    Raises:
        CorpusError: it is neither.
    """
    try:
        entry = json.loads(text)
        if isinstance(entry, list) and entry:
            return [label for task in entry for label in _of_label_studio(task)]
        segments = entry["segments"]
        labels = [
            Timed(float(s["start"]), float(s["end"]), " ".join(str(s["text"] or "").split()), where=f"segment {i}")
            for i, s in enumerate(segments, start=1)
        ]
        speakers = [str(s.get("speaker") or "") for s in segments]
    except (ValueError, TypeError, KeyError, AttributeError, StopIteration, RecursionError, OverflowError):
        raise CorpusError(
            f"{path}: no JSON with segments of start, end and text, as Whisper's, nor Label Studio's export"
        ) from None
    if speakers and all(speakers):
        labels = [replace(label, tier=speaker) for label, speaker in zip(labels, speakers, strict=True)]
    return labels


def _of_label_studio(task: Mapping[str, Any]) -> list[Timed]:
    """The regions of a task of Label Studio, in its full export or the short one (JSON-MIN); of annotations the first.

    Source: its documentation on export formats. Files that were uploaded begin with eight hexadecimal digits.
    """
    data = task.get("data", task)
    url = next(data[key] for key in ("audio", "audio_url", "url", "wav") if isinstance(data.get(key), str))
    name = PurePosixPath(unquote(url).partition("?d=")[2] or unquote(url)).name
    recording = PurePosixPath(re.sub(r"^[0-9a-f]{8}-", "", name)).as_posix()
    if "annotations" in task:
        done = [annotation["result"] for annotation in task["annotations"] if not annotation.get("was_cancelled")]
        results: list[Mapping[str, Any]] = done[0] if done else []
        regions = [(str(r.get("from_name", "")), r["value"]) for r in results if "start" in r.get("value", {})]
    else:
        regions = [(key, region) for key, found in task.items() if isinstance(found, list) for region in found]
    labels = []
    for tier, region in regions:
        said = region.get("labels") or region.get("text") or [""]
        for label in [said] if isinstance(said, str) else said:
            labels.append(
                Timed(float(region["start"]), float(region["end"]), str(label), tier, recording, f"task {name}")
            )
    return labels or [Timed(0.0, 0.0, "", next((tier for tier, _ in regions), ""), recording)]
