"""Results as text: for people, as JSON, as subtitles, and as phoneticians and evaluations read them.

Every writer is a pure function of a result. Everything the text shows, the JSON holds; of the other formats each shows
what its readers can hold. A line break or a control character in a label becomes a space everywhere but in JSON, which
can write it.
"""

from __future__ import annotations

import csv
import io
import math
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from itertools import accumulate, pairwise, zip_longest
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from audiornn.errors import SettingsError, nearest
from audiornn.files import json_line, relative_to
from audiornn.listen.results import (
    AlignedWord,
    Alignment,
    Classification,
    Labelling,
    Result,
    TimedLabel,
    Tracks,
    Transcript,
)
from audiornn.listen.tracks import track_lines
from audiornn.vocabulary import NO_LABEL

__all__ = [
    "FORMATS",
    "PAUSE",
    "Phrase",
    "format_result",
    "phrases",
    "to_audacity",
    "to_csv",
    "to_ctm",
    "to_elan",
    "to_json",
    "to_raven",
    "to_rttm",
    "to_srt",
    "to_text",
    "to_textgrid",
    "to_vtt",
]

#: The formats by name, and what their files are called.
FORMATS = {
    "text": ".txt",
    "json": ".json",
    "srt": ".srt",
    "vtt": ".vtt",
    "ctm": ".ctm",
    "textgrid": ".TextGrid",
    "rttm": ".rttm",
    "audacity": ".txt",
    "elan": ".eaf",
    "raven": ".selections.txt",
    "csv": ".csv",
}

#: Seconds of silence that end a phrase.
PAUSE = 0.6

_LINE = 42  # characters of a subtitle's line, of which there are two: the broadcasters' usual measure
_LEAST_CUE = 1000  # milliseconds; shorter cues flash by unread
_NARROWEST = 1000  # microseconds of a TextGrid's interval, where there is room
_BREAKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_SURROGATES = re.compile("[\ud800-\udfff]")
_NO_XML = re.compile("[\ufffe\uffff]")


@dataclass(frozen=True)
class Phrase:
    """Words said in one go.

    Attributes:
        text: the words, parted by spaces.
        start: seconds.
        end: seconds; never after the start of the next phrase.
        words: in order of time.
    """

    text: str
    start: float
    end: float
    words: tuple[TimedLabel, ...]


def format_result(
    result: Result,
    output_format: str,
    *,
    audio: str,
    task: str,
    model: str | PurePath | None = None,
    folder: PurePath | None = None,
    channel: int = 1,
    highest: float = 8000.0,
) -> str:
    r"""A result in one of `FORMATS`, as it stands in a file.

    Args:
        result: what listening gave.
        output_format: a name of `FORMATS`.
        audio: the recording's path; JSON holds it, CTM and RTTM its stem.
        task: the model's; JSON holds it.
        model: the model file; JSON holds it where it is given.
        folder: that it will lie in, from which ELAN finds the recording; None is the recording's own.
        channel: of the recording, as CTM, RTTM and Raven's tables say it.
        highest: Hz up to which the model hears, as high as the boxes in Raven's tables are.

    Returns:
        Text that ends in one newline, JSON in a single line. Where there is nothing to say, SRT, CTM, RTTM and
        Audacity's labels are the empty string: their readers trip over an empty line.

    Raises:
        SettingsError: no such format.

    >>> format_result(Transcript("", (), 1.0), "vtt", audio="a.wav", task="transcribe")
    'WEBVTT\n'
    """
    writers: dict[str, Callable[[], str]] = {
        "text": lambda: to_text(result) + "\n",
        "json": lambda: json_line(to_json(result, audio=audio, task=task, model=model)) + "\n",
        "srt": lambda: to_srt(result),
        "vtt": lambda: to_vtt(result),
        "ctm": lambda: to_ctm(result, audio=audio, channel=channel),
        "textgrid": lambda: to_textgrid(result),
        "rttm": lambda: to_rttm(result, audio=audio, channel=channel),
        "audacity": lambda: to_audacity(result),
        "elan": lambda: to_elan(result, audio=audio, folder=folder),
        "raven": lambda: to_raven(result, channel=channel, highest=highest),
        "csv": lambda: to_csv(result),
    }
    if output_format not in writers:
        raise SettingsError(
            f"format {output_format!r}: there is no such format{nearest(output_format, FORMATS)} "
            f"(there are {', '.join(FORMATS)})"
        )
    return writers[output_format]()


def to_text(result: Result) -> str:
    """A result for people, without a newline at its end; times in seconds, columns parted by tabs.

    The transcript, or its n-best list, each with its score in nats; label and probability; start, end and label of each
    segment; or of each aligned word start, end, word and confidence, and `heard: …` or `not heard` where the audio does
    not fit. What is heard beyond the text has a line of its own, without a word, marked `extra: …`.
    """
    if isinstance(result, Transcript):
        if result.alternatives:
            return "\n".join(f"{other.score:.2f}\t{_clean(other.text)}" for other in result.alternatives)
        return _clean(result.text)
    if isinstance(result, Tracks):
        return "".join(track_lines(result.names, result.points)).removesuffix("\n")
    if isinstance(result, Classification) and result.labels is not None:
        return "\n".join(f"{_clean(label)}\t{result.probabilities[label]:.3f}" for label in result.labels)
    if isinstance(result, Classification):
        return f"{_clean(result.label)}\t{result.probability:.3f}"
    if isinstance(result, Labelling):
        return "\n".join(f"{s.start:.2f}\t{s.end:.2f}\t{_clean(s.label)}" for s in result.segments)
    rows = [(word.start, word.end, _clean(word.label), word.confidence, _misfit(word)) for word in result.words]
    rows += [(e.start, e.end, "", e.confidence, f"\textra: {_clean(e.label)}") for e in result.extra]
    rows.sort(key=lambda row: row[0])
    return "\n".join(f"{start:.2f}\t{end:.2f}\t{word}\t{sure:.3f}{mark}" for start, end, word, sure, mark in rows)


def to_json(result: Result, *, audio: str, task: str, model: str | PurePath | None = None) -> dict[str, Any]:
    """A result as plain types, everything in it; times in seconds. The model file is named last, where it is given."""
    of_model = {} if model is None else {"model": str(model)}
    if isinstance(result, Tracks):
        columns = list(zip(*(point.values for point in result.points), strict=True)) or [()] * len(result.names)
        return {
            "audio": audio,
            "task": task,
            "times": [point.time for point in result.points],
            "tracks": dict(zip(result.names, map(list, columns), strict=True)),
            "duration": result.duration,
            **of_model,
        }
    entry = asdict(result)
    if entry.get("labels", ()) is None:
        del entry["labels"]  # one holds, and is named
    if not entry.get("alternatives", True):
        del entry["alternatives"]  # nobody asked for them
    return {"audio": audio, "task": task, **entry, **of_model}


def to_srt(result: Result) -> str:
    """A result as SubRip subtitles, UTF-8: a cue a phrase or segment, of two lines of 42 characters at most.

    The format has no escapes: an arrow `-->` is written `→`; a tag such as `<i>` stays and a player may obey it.
    """
    return "\n".join(
        f"{i}\n{_clock(start, ',')} --> {_clock(end, ',')}\n"
        + "".join(f"{line.replace('-->', '→')}\n" for line in lines)
        for i, (start, end, lines) in enumerate(_cues(result), 1)
    )


def to_vtt(result: Result) -> str:
    """A result as WebVTT subtitles (W3C), cues as in SRT; `&`, `<` and `>` are escaped, and with them any arrow."""
    blocks = ["WEBVTT\n"]
    for start, end, lines in _cues(result):
        text = "\n".join(lines).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        blocks.append(f"{_clock(start, '.')} --> {_clock(end, '.')}\n{text}\n")
    return "\n".join(blocks)


def to_ctm(result: Result, *, audio: str, channel: int = 1) -> str:
    """A result as NIST's time-marked conversation: a line a word, sorted by start.

    `<file> <channel> <start> <duration> <word> <confidence>`, times in seconds. The file is the recording's stem, its
    spaces percent-encoded. Spaces within a label become `_`, and an empty one is `<eps>`, Kaldi's
    word for nothing.
    """
    file, lines = _file_id(audio), []
    for word in _labels(result):
        start, end = _milliseconds(word.start), _milliseconds(word.end)
        confidence = min(1.0, max(0.0, word.confidence))
        said = _token(word.label) or "<eps>"
        if said.upper().startswith("<ALT"):  # would begin alternatives
            said = f"_{said}"
        lines.append(f"{file} {channel} {_span(start, end)} {said} {confidence:.3f}\n")
    return "".join(lines)


def to_rttm(result: Result, *, audio: str, channel: int = 1) -> str:
    """A result as NIST's rich transcription time marks: a SPEAKER line a segment, sorted by start, times in seconds.

    The speaker's name is the label, with `_` for spaces. Words are joined to stretches of speech that pauses of 0.6
    seconds part, and the name is `speech`. A segment that rounds to no milliseconds is left out: scorers refuse it.
    """
    file, lines = _file_id(audio), []
    for name, start, end in _stretches(result):
        first, last = _milliseconds(start), _milliseconds(end)
        if first < last:
            lines.append(f"SPEAKER {file} {channel} {_span(first, last)} <NA> <NA> {name} <NA> <NA>\n")
    return "".join(lines)


def to_audacity(result: Result) -> str:
    """A result as a label track of Audacity: a line a label, `<start> <end> <label>` with tabs between, in seconds."""
    return "".join(
        f"{max(0.0, label.start):.6f}\t{max(0.0, label.start, label.end):.6f}\t{_clean(label.label)}\n"
        for label in _labels(result)
    )


def to_raven(result: Result, *, channel: int = 1, highest: float = 8000.0) -> str:
    """A result as a selection table of Raven: a row a label, columns parted by tabs, times in seconds.

    Its readers want a box around each sound; these reach from 0 to the `highest` Hz that the model hears.
    """
    rows = [
        f"{n}\tSpectrogram 1\t{channel}\t{max(0.0, label.start):.6f}\t{max(0.0, label.start, label.end):.6f}\t"
        f"0.0\t{highest:.1f}\t{_clean(label.label)}\n"
        for n, label in enumerate(_labels(result), start=1)
    ]
    columns = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation\n"
    return "".join([columns, *rows])


def to_csv(result: Result) -> str:
    """A result as comma-separated values (RFC 4180, but for its line ends): start, end, label, confidence.

    Values over time: their time and a column a track.
    """
    if isinstance(result, Tracks):
        return "".join(track_lines(result.names, result.points))
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(("start", "end", "label", "confidence"))
    for label in _labels(result):
        table.writerow((f"{label.start:.3f}", f"{label.end:.3f}", _clean(label.label), f"{label.confidence:.3f}"))
    return out.getvalue()


def to_elan(result: Result, *, audio: str, folder: PurePath | None = None) -> str:
    """A result as an annotation file of ELAN (EAF 3.0), times in milliseconds, beside its recording or in a folder.

    Tiers as in a TextGrid, and as there the earlier of two that overlap ends where the next begins. What rounds to no
    milliseconds gets one: ELAN shows nothing shorter.
    """
    name = PurePath(audio).name
    mime = "audio/x-wav" if name.lower().endswith(".wav") else "unknown"
    slots: list[str] = []
    tiers: list[str] = []
    n = 0
    for tier, labels in _tiers(result).items():
        tiers.append(f'    <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID={_attribute(_xml_text(tier))}>')
        end = 0
        for label, following in zip_longest(labels, labels[1:]):
            start = max(end, _milliseconds(label.start))
            latest = math.inf if following is None else _milliseconds(following.start)
            end = max(start + 1, int(min(latest, _milliseconds(label.end))))
            n += 1
            for i, time in ((2 * n - 1, start), (2 * n, end)):
                slots.append(f'        <TIME_SLOT TIME_SLOT_ID="ts{i}" TIME_VALUE="{time}"/>')
            tiers += [
                f'        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{n}" TIME_SLOT_REF1="ts{2 * n - 1}" '
                f'TIME_SLOT_REF2="ts{2 * n}">',
                f"            <ANNOTATION_VALUE>{_escaped(_xml_text(label.label))}</ANNOTATION_VALUE>",
                "        </ALIGNABLE_ANNOTATION></ANNOTATION>",
            ]
        tiers.append("    </TIER>")
    place = name if folder is None else relative_to(Path(audio), Path(folder))
    base = "file:///" if PurePath(place).is_absolute() else "" if place.startswith("../") else "./"
    url = _attribute(base + quote(place, safe="/:" if base == "file:///" else "/", errors="surrogateescape"))
    media = f'MEDIA_URL={url} MIME_TYPE="{mime}" RELATIVE_MEDIA_URL={url}'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<ANNOTATION_DOCUMENT AUTHOR="" DATE="1970-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">',
        '    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">',
        f"        <MEDIA_DESCRIPTOR {media}/>",
        "    </HEADER>",
        "    <TIME_ORDER>",
        *slots,
        "    </TIME_ORDER>",
        *tiers,
        '    <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt" TIME_ALIGNABLE="true"/>',
        "</ANNOTATION_DOCUMENT>",
    ]
    return "\n".join(lines) + "\n"


def to_textgrid(result: Result) -> str:
    """A result as a TextGrid of Praat, the long text format, UTF-8.

    Tiers of intervals: `words`, of an alignment also `symbols`; or `labels`, and where labels overlap a tier for each,
    named after it. Each tiles the recording, with empty
    intervals where nothing is said. Praat refuses intervals that overlap or have no length: of words that overlap, the
    earlier ends where the next begins; a word without length gets a millisecond; a smaller gap is closed.
    """
    tiers = _tiers(result)
    # Microseconds, as listening rounds its times; the recording's own end is written to its last digit.
    exact = max(1, round(1e6 * result.duration))
    end = max(exact, *map(len, tiers.values()))
    xmax = format(Decimal(repr(float(result.duration))), "f") if end == exact and result.duration > 0 else _micro(end)
    lines = [
        'File type = "ooTextFile"\nObject class = "TextGrid"\n',
        f"xmin = 0\nxmax = {xmax}\ntiers? <exists>\nsize = {len(tiers)}\nitem []:",
    ]
    for t, (name, labels) in enumerate(tiers.items(), 1):
        intervals = _tile(labels, end)
        quoted = _clean(name).replace('"', '""')
        lines += [
            f'    item [{t}]:\n        class = "IntervalTier"\n        name = "{quoted}"',
            f"        xmin = 0\n        xmax = {xmax}\n        intervals: size = {len(intervals)}",
        ]
        for i, (start, stop, text) in enumerate(intervals, 1):
            quoted = text.replace('"', '""')
            lines += [
                f"        intervals [{i}]:\n            xmin = {_micro(start)}",
                f'            xmax = {xmax if stop == end else _micro(stop)}\n            text = "{quoted}"',
            ]
    return "\n".join(lines) + "\n"


def phrases(
    words: Iterable[TimedLabel], *, pause: float = PAUSE, longest: float = 7.0, most_characters: int = 84
) -> list[Phrase]:
    """Group words into phrases that do not overlap, as a subtitle shows them.

    A phrase ends before a pause, and before the word that would make it too long to show. A word longer than
    `most_characters` (a script without spaces, read as one word) is cut between characters, and its time shared out by
    them; a word longer than `longest` stays whole.

    Args:
        words: in any order; those without a visible character are left out.
        pause: seconds of silence that end a phrase.
        longest: seconds from its first word to the end of its last.
        most_characters: of its text, in two lines of half as many, parted at a space. A wide character (Chinese, …)
            counts as two.

    Returns:
        Phrases in order of time. Their times are those of their words, so that they may be short; where words overlap,
        a phrase ends where the next begins.
    """
    line = max(1, most_characters // 2)
    groups: list[list[tuple[str, TimedLabel]]] = []
    start = end = 0.0
    n_lines, used, total = 1, 0, 0  # of the phrase so far, its lines filled greedily: no way of parting takes fewer
    for word in sorted(words, key=lambda word: word.start):
        for i, (text, piece) in enumerate(_pieces(word, line)):
            width = _width(text)
            in_time = piece.start - end < pause and max(end, piece.end) - start <= longest
            goes_on = groups and i == 0 and in_time and total + 1 + width <= most_characters
            if goes_on and used + 1 + width <= line:
                used += 1 + width
            elif goes_on and n_lines == 1 and width <= line:
                n_lines, used = 2, width
            else:
                groups.append([])
                start = end = piece.start
                n_lines, used = (1, width) if width <= line else (2, line)
                total = -1
            total += 1 + width
            groups[-1].append((text, piece))
            end = max(end, piece.end)
    starts = [
        *accumulate((group[0][1].start for group in groups), max),
        math.inf,
    ]  # a cut word may lie in another's way
    return [
        Phrase(
            " ".join(text for text, _ in group),
            first,
            max(first, min(following, max(piece.end for _, piece in group))),
            tuple(piece for _, piece in group),
        )
        for group, (first, following) in zip(groups, pairwise(starts), strict=True)
    ]


def _labels(result: Result) -> list[TimedLabel]:
    """What holds when, sorted by start; of a classification, its label from beginning to end."""
    found: Iterable[TimedLabel]
    if isinstance(result, Tracks):
        raise SettingsError("values over time have no labels to write; their formats are text, csv and json")
    if isinstance(result, Classification):
        holding = (result.label,) if result.labels is None else result.labels
        found = [TimedLabel(label, 0.0, result.duration, result.probabilities[label]) for label in holding]
    else:
        found = result.segments if isinstance(result, Labelling) else result.words
    return sorted((label for label in found if label.label != NO_LABEL), key=lambda label: label.start)


def _tiers(result: Result) -> dict[str, list[TimedLabel]]:
    """What stands side by side, by the tier's name; in none of a labelling's tiers two labels overlap."""
    labels = _labels(result)
    if isinstance(result, Alignment):
        return {"words": labels, "symbols": [symbol for word in result.words for symbol in word.symbols]}
    if isinstance(result, Transcript):
        return {"words": labels}
    if all(before.end <= after.start for before, after in pairwise(labels)):
        return {"labels": labels}
    return {name: [label for label in labels if label.label == name] for name in dict.fromkeys(x.label for x in labels)}


def _xml_text(label: str) -> str:
    """A label as XML 1.0 can hold it."""
    return _NO_XML.sub("\ufffd", _clean(label))


def _stretches(result: Result) -> list[tuple[str, float, float]]:
    """Names with their start and end in seconds: the labels, or where there is speech."""
    labels = _labels(result)
    if isinstance(result, Classification | Labelling):
        return [(_token(label.label) or "<NA>", label.start, label.end) for label in labels]
    speech = phrases(labels, longest=math.inf, most_characters=sys.maxsize)
    return [("speech", phrase.start, phrase.end) for phrase in speech]


def _cues(result: Result) -> list[tuple[int, int, list[str]]]:
    """Start and end in milliseconds, and lines, of each subtitle.

    What is to be read lasts a second where the next leaves room, and gives way to it; labels are measurements, which
    last as long as they do, and may overlap.
    """
    labels = _labels(result)
    if isinstance(result, Labelling):
        return [  # a name of more than two lines has several, side by side
            (start := _milliseconds(label.start), max(_milliseconds(label.end), start + 1), _lines(phrase.text))
            for label in labels
            for phrase in phrases([label], most_characters=2 * _LINE)
        ]
    if isinstance(result, Classification) and len(labels) > 1:  # they hold together
        labels = [TimedLabel(", ".join(label.label for label in labels), 0.0, result.duration, result.probability)]
    found = phrases(labels, most_characters=2 * _LINE)
    if not found:
        return []
    starts: list[int] = []
    for phrase in found:
        start = _milliseconds(phrase.start)
        starts.append(max(start, starts[-1] + 1) if starts else start)
    last = max(_milliseconds(result.duration), _milliseconds(found[-1].end), starts[-1] + 1)
    return [
        (start, min(max(_milliseconds(phrase.end), start + _LEAST_CUE), following), _lines(phrase.text))
        for phrase, (start, following) in zip(found, pairwise([*starts, last]), strict=True)
    ]


def _lines(text: str) -> list[str]:
    """A cue's text in one line, or in two of like length."""
    spans = _wrap(text, _LINE)
    if len(spans) == 1:
        return [text]
    widths = [(_width(text[:i]), _width(text[i + 1 :]), i) for i, c in enumerate(text) if c == " "]
    longer, at = min(((max(left, right), i) for left, right, i in widths), default=(_LINE + 1, 0))
    if longer <= _LINE:
        return [text[:at], text[at + 1 :]]
    return [text[first:last] for first, last in spans]


def _pieces(word: TimedLabel, line: int) -> list[tuple[str, TimedLabel]]:
    """A word's text and the word; if it fills more than two lines, its parts, each with its share of the time."""
    text = _clean(word.label)
    parts: list[tuple[int, int]] = []
    second = False
    for first, last in _wrap(text, line):
        second = bool(parts) and not second and _width(text[parts[-1][0] : last]) <= 2 * line
        if second:
            parts[-1] = (parts[-1][0], last)
        else:
            parts.append((first, last))
    if len(parts) <= 1:
        return [(text, word)] if text else []
    pieces = []
    for first, last in parts:
        start, end = (word.start + (word.end - word.start) * at / len(text) for at in (first, last))
        pieces.append((text[first:last], TimedLabel(text[first:last], start, end, word.confidence)))
    return pieces


def _wrap(text: str, line: int) -> list[tuple[int, int]]:
    """Where the lines of a cleaned text begin and end: cut at its spaces, within a word only if it must be."""
    spans, first = [], 0
    while first < len(text):
        last, used = first, 0
        while last < len(text) and (used := used + _cells(text[last])) <= line:
            last += 1
        if last < len(text):
            space = text.rfind(" ", first, last + 1)
            last = space if space > first else _between_characters(text, first, max(last, first + 1))
        spans.append((first, last))
        first = last + text.startswith(" ", last)
    return spans


def _between_characters(text: str, first: int, last: int) -> int:
    """The last place up to `last` that does not part a letter from its marks, or `last` if there is none."""
    cut = last
    while first < cut < len(text) and (
        unicodedata.category(text[cut])[0] == "M" or "\u200d" in text[cut - 1 : cut + 1]
    ):
        cut -= 1
    return cut if cut > first else last


def _width(text: str) -> int:
    return len(text) if text.isascii() else sum(map(_cells, text))


def _cells(character: str) -> int:
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _tile(labels: Sequence[TimedLabel], end: int) -> list[tuple[int, int, str]]:
    """Intervals (start, end, text) in microseconds that follow each other from 0 to `end`, each longer than nothing.

    Args:
        labels: no more of them than `end` has microseconds.
        end: microseconds.
    """
    kept = sorted(
        (round(1e6 * label.start), round(1e6 * label.end), text)
        for label in labels
        if label.label != NO_LABEL and (text := _clean(label.label))
    )
    if not kept:
        return [(0, end, "")]
    step = min(_NARROWEST, end // len(kept))
    starts, room = [], 0
    for start, _, _ in kept:  # none before the one before it has its step …
        starts.append(max(start, room))
        room = starts[-1] + step
    room = end
    for i in reversed(range(len(starts))):  # … and all of them before the end
        room = starts[i] = min(starts[i], room - step)
    intervals = []
    at = 0
    for (_, stop, text), (start, following) in zip(kept, pairwise([*starts, end]), strict=True):
        if start - at >= _NARROWEST:
            intervals.append((at, start, ""))
            at = start
        stop = min(max(stop, start + step), following)
        at_end = following if following - stop < _NARROWEST else stop
        intervals.append((at, at_end, text))
        at = at_end
    if at < end:
        intervals.append((at, end, ""))
    return intervals


def _misfit(word: AlignedWord) -> str:
    if word.fits:
        return ""
    heard = _clean(word.heard)
    return f"\theard: {heard}" if heard else "\tnot heard"


def _clean(label: str) -> str:
    """A label in one line: single spaces for whatever breaks or steers a line, and nothing that UTF-8 cannot hold."""
    return _SURROGATES.sub("\ufffd", _BREAKS.sub(" ", label).strip())


def _escaped(text: str) -> str:
    """Text between XML's tags; written here, for the standard library's escape brings an HTTP client along."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _attribute(text: str) -> str:
    """The value of an attribute of XML, with its quotation marks."""
    marks = {'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
    return '"' + "".join(marks.get(character, character) for character in _escaped(text)) + '"'


def _token(label: str) -> str:
    return _clean(label).replace(" ", "_")


def _file_id(audio: str) -> str:
    """A recording's stem as one word that no other stem gives, and no reader takes for a comment."""
    stem = "stdin" if audio == "-" else PurePath(audio).stem or "recording"
    return "".join(
        quote(c, safe="", errors="surrogatepass") if c in "%;" or not c.isprintable() or c.isspace() else c
        for c in stem
    )


def _milliseconds(seconds: float) -> int:
    return round(1000 * max(0.0, seconds))


def _clock(milliseconds: int, mark: str) -> str:
    """`hh:mm:ss,mmm`, from whole milliseconds, so that no rounding shows 60 seconds."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{mark}{rest:03}"


def _span(start: int, end: int) -> str:
    """Start and duration in seconds, of milliseconds, so that their sum is the end."""
    return f"{start / 1000:.3f} {max(0, end - start) / 1000:.3f}"


def _micro(microseconds: int) -> str:
    return f"{microseconds / 1e6:.6f}".rstrip("0").rstrip(".")
