"""Label files as other programs write them: which label holds when, in seconds.

    read_segments(Path("a.TextGrid"), tier="words")                 # of the recording beside it
    read_segments(Path("all.rttm"), recording="meeting_1")          # of one of many

Praat (TextGrid), ELAN (.eaf), CHAT, Audacity's labels, HTK's, ESPS', TIMIT's, NIST's RTTM, CTM and STM, subtitles
(SubRip, WebVTT), JSON (Whisper's, Label Studio's), and tables (CSV, TSV, DCASE's, Raven's, Sonic Visualiser's). The
readers are our own: the libraries trip over what annotators leave behind, such as ELAN's slots without a time.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import chain, pairwise
from pathlib import Path, PurePath

from audiornn.corpus.label_files.elan import read_elan
from audiornn.corpus.label_files.lines import band_of_audacity, read_audacity, read_ctm, read_rttm
from audiornn.corpus.label_files.subtitles import TIMES, read_subtitles
from audiornn.corpus.label_files.tables import WHETHER, read_table
from audiornn.corpus.label_files.textgrid import BINARY, STARTS, read_textgrid
from audiornn.corpus.label_files.timed import ALL_TIERS, TIER_NAMES, Timed
from audiornn.corpus.label_files.timit import TIMIT, read_timit
from audiornn.corpus.label_files.transcribing import is_esps, read_chat, read_esps, read_json, read_mlf, read_stm
from audiornn.corpus.manifest import Segment
from audiornn.corpus.text_files import read_text
from audiornn.errors import CorpusError, nearest

__all__ = [
    "ALL_TIERS",
    "ENDINGS",
    "POINT",
    "TIMIT",
    "LabelFile",
    "holds_times",
    "read_label_file",
    "read_segments",
    "recording_stem",
]

#: Seconds that a point of a point tier is taken to last, half of them before it.
POINT = 0.05
_OF_ENDINGS: dict[str, Callable[[str, Path], list[Timed]]] = {
    ".rttm": read_rttm,
    ".ctm": read_ctm,
    ".stm": read_stm,
    ".mlf": read_mlf,
    ".cha": read_chat,
    ".json": read_json,
}
#: What tiers of one kind have in common, where each speaker has one.
_BEGINNING, _END = re.compile(r"^[^@]+@"), re.compile(r"[ _\-][^ _\-]+$")
_SLACK = 0.05  # seconds by which two lengths of one recording differ at most
#: What label files are called, lower case.
ENDINGS = (
    *(".textgrid", ".eaf", ".rttm", ".ctm", ".stm", ".mlf", ".cha", ".txt", ".lab", ".csv", ".tsv", ".srt", ".vtt"),
    *(".json", *TIMIT),
)
#: What times look like in a text that may as well be a transcript: tabs, fractions, clocks, HTK's 100 ns.
_TIMES_LIKE = re.compile(r"\t|\d\.\d|\d:\d\d|\d{5}")
_TWO_TIMES = re.compile(r"\s*\d+\.\d+\s+\d+\.\d+\s+[^\d\s].*|\d+[.,]\d+\t\d+[.,]\d+(\t.*)?")
#: Lines of two whole numbers and a word, as people write labels by hand.
_WHOLE_TIMES = re.compile(r"\s*\d+\s+\d+\s+[^\W\d].*")
#: What Raven and BirdNET put between a recording's name and the ending.
_OF_RAVEN = re.compile(
    r"(\.table\.\d+)?\.selections$|\.birdnet\.(selection\.table|results(\.r|\.kaleidoscope)?)$", re.IGNORECASE
)


def _by_recording(labels: Iterable[Timed]) -> dict[str, list[Timed]]:
    found: dict[str, list[Timed]] = {}
    for label in labels:
        found.setdefault(label.recording, []).append(label)
    return found


@dataclass(frozen=True)
class LabelFile:
    """What a file says.

    Attributes:
        path: of it.
        labels: in its order.
        span: the seconds from and to which it says that it goes; of a TextGrid.
        notes: on what was guessed of it, with how to change it; of a table.
        band: the lowest and the highest Hz of its labels; of Raven's tables and Audacity's labels.
        column: the name of a table's column of labels; empty where it has none.
    """

    path: Path
    labels: tuple[Timed, ...]
    span: tuple[float, float] | None = None
    notes: str = ""
    band: tuple[float, float] | None = None
    column: str = ""

    @property
    def tiers(self) -> tuple[str, ...]:
        """The tiers' names, in their order."""
        return tuple(dict.fromkeys(label.tier for label in self.labels))

    @property
    def recordings(self) -> tuple[str, ...]:
        """The recordings that it names, in their order; of a file for the recording beside it only the empty name."""
        return tuple(dict.fromkeys(label.recording for label in self.labels))

    @property
    def are_whole(self) -> bool:
        """Whether all times are whole numbers, as milliseconds without their unit are."""
        return self.span is None and all(t.start.is_integer() and t.end.is_integer() for t in self.labels)

    def segments(self, recording: str | None = None, tier: str = "", point: float = POINT) -> tuple[Segment, ...]:
        """The segments of a recording, in order of start; empty labels are none.

        Args:
            recording: as the file names it; None where it speaks of one only.
            tier: its name, `*` for all, `tx@*` for all that begin so; empty where there is one only. After `tiers:` the
                labels are the tiers' own names.
            point: seconds that a label without length lasts; closer ones meet half-way.

        Raises:
            CorpusError: a tier or a recording that is not there, several and none is named, or times that cannot be.
        """
        chosen = self._chosen(recording, tier)
        for label in chosen:
            _check_times(label, self.path)
        named = [replace(label, label=text) for label in chosen if (text := label.label.strip())]
        lasting = [Segment(label.start, label.end, label.label) for label in named if label.end > label.start]
        points = [label for label in named if label.end == label.start]
        # The same twice (two channels, a selection's two views, two tiers) is one.
        return tuple(sorted({*lasting, *_widened(points, point)}))

    def voices(self, recording: str | None = None, tier: str = "") -> tuple[tuple[float, float, str], ...]:
        """From when to when who speaks, where the file says so beside the labels; of what `segments` takes."""
        own = self._chosen(recording, tier)
        return tuple((label.start, label.end, label.speaker) for label in own if label.speaker)

    def _chosen(self, recording: str | None, tier: str) -> list[Timed]:
        if tier not in self._by_tier:
            self._by_tier[tier] = _by_recording(self._of_tier(tier))
        found = self._by_tier[tier]
        if recording is None and len(found) > 1:
            raise CorpusError(
                f"{self.path}: speaks of {len(found):,} recordings, {', '.join([*found][:3])} …; name one"
            )
        return found.get(recording, []) if recording is not None else [*chain(*found.values())]

    @cached_property
    def _of_recording(self) -> dict[str, list[Timed]]:
        return _by_recording(self.labels)

    @cached_property
    def _by_tier(self) -> dict[str, dict[str, list[Timed]]]:
        """Of each tier that was asked for the labels by recording: lists name thousands."""
        return {}

    def shared_by_tiers(self, tier: str) -> dict[str, tuple[str, ...]]:
        """Labels that stand in more than one of the tiers that `*` joins, with these."""
        tiers: dict[str, dict[str, None]] = {}
        for label in self._of_tier(tier) if ALL_TIERS in tier else ():
            if text := label.label.strip():
                tiers.setdefault(text, {})[label.tier] = None
        return {label: tuple(names) for label, names in tiers.items() if len(names) > 1}

    def last(self, recording: str | None = None) -> float:
        """The latest time of a recording, or of all."""
        own = self.labels if recording is None else self._of_recording.get(recording, [])
        return max((label.end for label in own), default=0.0)

    def named_by_column(self) -> LabelFile:
        """The same, whose labels say whether its column's name holds."""
        named = (
            replace(label, label=self.column if WHETHER.get(label.label.lower(), False) else "")
            for label in self.labels
        )
        return replace(self, labels=tuple(named))

    def divided(self, rate: float, unit: str) -> LabelFile:
        """The same, whose times were so many of a unit a second."""
        moved = tuple(
            replace(label, start=round(label.start / rate, 6), end=round(label.end / rate, 6)) for label in self.labels
        )
        note = f"times are whole numbers far beyond their recordings' ends, and taken as {unit}"
        return replace(self, labels=moved, notes="; ".join(filter(None, (self.notes, note))))

    def begun_at_zero(self, duration: float) -> LabelFile:
        """The same, moved to begin at 0 where it begins later and is as long as a recording of so many seconds.

        Praat keeps the whole's times in a part's TextGrid ("preserve times"); in the part's sound file they are lost.
        """
        begin, end = self.span or (0.0, duration)
        is_part = begin > _SLACK and abs(end - begin - duration) <= _SLACK
        if not is_part or any(label.start < begin - _SLACK for label in self.labels):
            return self
        moved = tuple(replace(label, start=label.start - begin, end=label.end - begin) for label in self.labels)
        return replace(self, labels=moved, span=(0.0, end - begin))

    def _of_tier(self, tier: str) -> list[Timed]:
        if tier.startswith(TIER_NAMES):
            own = self._of_tier(tier.removeprefix(TIER_NAMES))
            return [replace(label, label=label.tier if label.label.strip() else "") for label in own]
        tiers = self.tiers
        if tier == ALL_TIERS or (not tier and len(tiers) <= 1):
            return list(self.labels)
        listed = ", ".join(map(repr, tiers))
        if not tier:
            raise CorpusError(
                f"{self.path}: holds {len(tiers)} tiers, {listed}; --label names one{_several(tiers)}, or all "
                f"({ALL_TIERS!r})"
            )
        matched = {name for name in tiers if fnmatchcase(name, tier)} if ALL_TIERS in tier else {tier} & set(tiers)
        if not matched:
            raise CorpusError(f"{self.path}: has no tier {tier!r}{nearest(tier, tiers)} (there are {listed or 'none'})")
        return [label for label in self.labels if label.tier in matched]


def read_label_file(
    path: Path, *, encoding: str = "", label: str = "", audio: str = "", recording: Path | None = None
) -> LabelFile:
    """Read a label file of any of the formats, told by its name, or by what stands in it.

    Args:
        path: of the file.
        encoding: empty is UTF-8, or what a byte-order mark says.
        label: of a table, the column of labels, or one of its tiers; empty finds the column.
        audio: of a table, the column of recordings; empty finds it.
        recording: that the file is of, which samples need; None looks beside it.

    Raises:
        CorpusError: it cannot be read, is of another format, or a line of it makes no sense.
    """
    _refuse_others(path)
    text = read_text(path, encoding) if path.suffix.lower() != ".eaf" else ""
    ending, span, column, notes, band = path.suffix.lower(), None, "", "", None
    if ending == ".eaf":
        labels = read_elan(path)
    elif ending == ".textgrid" or text.startswith(STARTS):
        labels, span = read_textgrid(text, path)
    elif ending in TIMIT:
        labels = read_timit(text, path, recording)
    elif ending in _OF_ENDINGS:
        labels = _OF_ENDINGS[ending](text, path)
    elif is_esps(text):
        labels = read_esps(text, path)
    elif ending in (".srt", ".vtt") or any(map(TIMES.fullmatch, text.split("\n", 4)[:4])):
        labels = read_subtitles(text, path)
    elif ending not in (".csv", ".tsv") and _is_audacity(text):
        labels, band = read_audacity(text, path), band_of_audacity(text)
    else:
        labels, column, notes, band = read_table(text, path, label, audio)
    return LabelFile(path, tuple(labels), span, notes, band, column)


def holds_times(path: Path, encoding: str = "") -> bool:
    """Whether a text, which may as well be a transcript, is a label file; what somebody counts is none.

    Raises:
        CorpusError: it is no text.
    """
    text = read_text(path, encoding)
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith("\\")]
    if not lines:
        return False
    if all(map(_TWO_TIMES.fullmatch, lines)) or all(map(_WHOLE_TIMES.fullmatch, lines)):
        return True
    is_prose = "\t" not in text and not text.startswith(STARTS) and bool(re.match(r"[\d.:]+(, | )", text))
    if is_prose or not (text.startswith(STARTS) or _TIMES_LIKE.search(text)):
        return False
    try:
        return bool(read_label_file(path, encoding=encoding).labels)
    except CorpusError:
        return False


def recording_stem(name: str) -> str:
    """The name, without ending, of the recording that a label file of this name stands beside.

    >>> recording_stem("a.TextGrid"), recording_stem("a.b.Table.1.selections.txt")
    ('a', 'a.b')
    """
    return _OF_RAVEN.sub("", PurePath(name).stem)


def read_segments(
    path: Path, *, recording: str | None = None, tier: str = "", encoding: str = "", point: float = POINT
) -> tuple[Segment, ...]:
    """The segments of a label file; see `LabelFile.segments` and `read_label_file`."""
    return read_label_file(path, encoding=encoding).segments(recording, tier, point)


def _several(tiers: Sequence[str]) -> str:
    """How to name tiers that begin or end alike, as `tx@ANN` or `ann phones`, in a message's words; else empty."""
    for part, pattern in ((_BEGINNING, "{}*"), (_END, "*{}")):
        counts = Counter(found[0] for tier in tiers if (found := part.search(tier)))
        alike = [text for text, n in counts.items() if n > 1]
        if alike:
            return f", those of a kind ({pattern.format(alike[0])!r})"
    return ""


def _refuse_others(path: Path) -> None:
    """Refuse what is no label file whatever its name, before it is decoded.

    Raises:
        CorpusError: Praat's binary format, or a web page.
    """
    try:
        with path.open("rb") as file:
            start = file.read(1024)
    except OSError:
        return  # who reads it says why
    if start.startswith(BINARY):
        raise CorpusError(f"{path}: in Praat's binary format; open it in Praat and choose Save as text file")
    if start.removeprefix(b"\xef\xbb\xbf").lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        raise CorpusError(f"{path}: a web page (HTML), no labels; did its download fail? fetch it again")


def _is_audacity(text: str) -> bool:
    """Whether the first line begins with two times, and has no more columns (tabs) than Audacity writes."""
    first = next((line for line in text.split("\n") if line.strip() and not line.startswith("\\")), "")
    cells = first.replace(",", ".").split()
    if first.count("\t") > 2:
        return False
    if "\t" not in first and len(cells) > 3 and all(cell.isdigit() for cell in cells):
        return False  # what somebody counts, or dials
    try:
        return len(cells) >= 2 and math.isfinite(float(cells[0]) + float(cells[1]))
    except ValueError:
        return not first


def _check_times(label: Timed, path: Path) -> None:
    where = f"{path}, {label.where}" if label.where else str(path)
    if not (math.isfinite(label.start) and math.isfinite(label.end)):
        raise CorpusError(f"{where}: {label.label!r} has a time that is no number; write it in seconds")
    if label.start < 0:
        raise CorpusError(
            f"{where}: {label.label!r} begins at {label.start:g} s, before the recording; move or drop it"
        )
    if label.end < label.start:
        raise CorpusError(
            f"{where}: {label.label!r} ends at {label.end:g} s, before it begins at {label.start:g} s; are its times "
            "the wrong way round?"
        )


def _widened(points: Sequence[Timed], width: float) -> list[Segment]:
    """Points as segments so wide; between two times of one tier both end half-way."""
    times_of: dict[str, set[float]] = defaultdict(set)
    for label in points:
        times_of[label.tier].add(label.start)
    spans = {}
    for tier, times in times_of.items():
        ordered = sorted(times)
        borders = [-math.inf, *((a + b) / 2 for a, b in pairwise(ordered)), math.inf]
        for time, (low, high) in zip(ordered, pairwise(borders), strict=True):
            spans[tier, time] = (max(0.0, time - width / 2, low), min(time + width / 2, high))
    return [Segment(*spans[label.tier, label.start], label.label) for label in points]
