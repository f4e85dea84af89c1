"""Subtitles, SubRip's (.srt) and WebVTT's (.vtt): blocks of a line of times and lines of text."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from audiornn.corpus.label_files.timed import Timed, refuse_nameless, seconds
from audiornn.errors import CorpusError

__all__ = ["TIMES", "read_subtitles"]

#: A block's line of times; of WebVTT settings may follow.
TIMES = re.compile(r"[ \t]*((?:\d+:)?\d+:\d+(?:[.,]\d+)?)[ \t]*-->[ \t]*((?:\d+:)?\d+:\d+(?:[.,]\d+)?)(?:[ \t].*)?")
#: The time within a block from which a word is shown; where there are some, blocks repeat the line before (YouTube).
_WORD_TIME = re.compile(r"<(?:\d+:)?\d+:\d+\.\d+>")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]+)>")
_MARKUP = re.compile(r"</?[a-zA-Z0-9.:][^<>]*>|\{\\[^{}]*\}")


def read_subtitles(text: str, path: Path) -> list[Timed]:
    """Each block is a label, its lines joined by spaces, without markup.

    WebVTT's voice (`<v Ann>`) is its tier, where every block has one. Captions that roll up, as YouTube makes them,
    show a line again above the next: it is said once.
    Sources: the WebVTT specification (W3C); SubRip has none, and is read as players do: the number above the times
    may be missing.

    Raises:
        CorpusError: it holds no block with times, or no text.
    """
    labels = []
    lines = text.split("\n")
    starts = [i for i, line in enumerate(lines) if TIMES.fullmatch(line)]
    if not starts and text.strip() and text.strip() != "WEBVTT":
        raise CorpusError(f"{path}: holds no line of times such as 00:00:01,000 --> 00:00:02,500; is it no subtitles?")
    are_numbered = bool(starts) and all(i and lines[i - 1].strip().isdigit() for i in starts)
    rolls_up = text.startswith("WEBVTT") and _WORD_TIME.search(text) is not None
    shown: list[str] = []
    for i, following in pairwise([*starts, len(lines)]):
        where = f"{path}, line {i + 1}"
        times = TIMES.fullmatch(lines[i])
        assert times is not None, "it matched before"
        said = []
        for line in lines[i + 1 : following]:
            if not (line if rolls_up else line.strip()):  # there a line of a space is one of the screen's two
                break  # what stands before the next block is its number or a remark
            said.append(line)
        if are_numbered and following < len(lines) and i + 1 + len(said) == following and said:
            del said[-1]  # no empty line parts the blocks: the next one's number
        if rolls_up:
            plain = [" ".join(_MARKUP.sub("", line).split()) for line in said]
            new = [line for line, bare in zip(said, plain, strict=True) if bare and bare not in shown]
            shown, said = [bare for bare in plain if bare], new
        spoken = " ".join(said)
        voice = _VOICE.search(spoken)
        label = " ".join(html.unescape(_MARKUP.sub("", spoken)).split())
        tier = html.unescape(voice[1]).strip() if voice else ""
        if label or not rolls_up:
            labels.append(Timed(seconds(times[1], where), seconds(times[2], where), label, tier, where=f"line {i + 1}"))
    refuse_nameless(labels, path)
    if not all(label.tier for label in labels):  # who speaks is said of some blocks only
        labels = [replace(label, tier="") for label in labels]
    return labels
