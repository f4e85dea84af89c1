"""Segments: from what a network says of each frame to which label holds when.

log-probabilities → a track a label (0…1) → median filter → hysteresis → gaps filled, short runs dropped → seconds

A track is compared with thresholds of its own label, so that the same decoder serves labels that exclude each other
and labels that may hold at once. How the frames are cut into blocks makes no difference, and memory does not grow with
them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiornn.errors import ModelFileError, SettingsError, nearest
from audiornn.listen.decoding import DecodedSymbol, LogProbs
from audiornn.listen.results import Alternative, TimedLabel
from audiornn.listen.words import symbol_times
from audiornn.model_file import ModelCard, frames_lasting
from audiornn.vocabulary import NO_LABEL

__all__ = [
    "LabelRule",
    "SegmentDecoder",
    "SegmentReader",
    "SegmentSettings",
    "label_tracks",
    "labels_of",
    "settings_of",
]

Tracks = NDArray[np.float64]


@dataclass(frozen=True)
class LabelRule:
    """When a label holds.

    Attributes:
        onset: what its track must reach for a segment to begin, 0…1.
        offset: below which the segment ends; at most `onset`.
        least_segment: seconds; shorter segments are dropped.
        least_gap: seconds; shorter gaps between two segments of the label are filled, before any is dropped.
    """

    onset: float = 0.5
    offset: float = 0.5
    least_segment: float = 0.0
    least_gap: float = 0.0

    def __post_init__(self) -> None:
        for key, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
                raise SettingsError(f"{key} = {value!r} must be a number, at least 0")
        if not 0 < self.offset <= self.onset <= 1:
            raise SettingsError(
                f"onset = {self.onset:g} and offset = {self.offset:g} must be above 0 and at most 1, "
                "the offset no higher than the onset"
            )


@dataclass(frozen=True)
class SegmentSettings:
    """How tracks become segments; the defaults take in each frame the most probable label.

    Attributes:
        median: seconds of the median filter, centred; less than three frames is none.
        rule: of labels that have none of their own.
        rules: by label.
    """

    median: float = 0.0
    rule: LabelRule = field(default_factory=LabelRule)
    rules: Mapping[str, LabelRule] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.median, bool) or not isinstance(self.median, int | float) or not 0 <= self.median <= 60:
            raise SettingsError(f"median = {self.median!r} must be a number of seconds in 0…60")

    def to_json(self) -> dict[str, Any]:
        """What `ModelCard.segments` holds."""
        return {
            "median": self.median,
            **asdict(self.rule),
            "labels": {label: asdict(rule) for label, rule in self.rules.items()},
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any], labels: Sequence[str]) -> SegmentSettings:
        """The inverse of `to_json`; keys that are not there keep their default.

        Raises:
            SettingsError: an unknown key or label, or a value out of range.
        """
        own = dict(entry)
        median, given = own.pop("median", 0.0), own.pop("labels", {})
        known = ("median", "labels", *vars(LabelRule()))
        for key in own:
            if key not in known:
                raise SettingsError(f"unknown key {key!r}{nearest(key, known)}")
        for label in given:
            if label not in labels:
                raise SettingsError(f"a rule for the label {label!r}, which the model lacks{nearest(label, labels)}")
        try:
            return cls(median, LabelRule(**own), {label: LabelRule(**{**own, **rule}) for label, rule in given.items()})
        except TypeError as error:
            raise SettingsError(str(error)) from None

    def changed(self, median: float | None = None, **rule: float | None) -> SegmentSettings:
        """The same with what is given in place of the filter's length, and of every label's rule.

        A lower onset takes the offset with it.

        Raises:
            SettingsError: a value out of range.
        """
        given = {key: value for key, value in rule.items() if value is not None}

        def change(old: LabelRule) -> LabelRule:
            entry = {**asdict(old), **given}
            if "offset" not in given:
                entry["offset"] = min(entry["offset"], entry["onset"])
            return LabelRule(**entry)

        return SegmentSettings(
            self.median if median is None else median,
            change(self.rule),
            {label: change(old) for label, old in self.rules.items()},
        )

    def rule_of(self, label: str) -> LabelRule:
        """The rule that a label goes by."""
        return self.rules.get(label, self.rule)


def labels_of(card: ModelCard) -> tuple[str, ...]:
    """The labels that a model marks; `_none_` is none."""
    return tuple(symbol for symbol in card.vocabulary.symbols if symbol != NO_LABEL)


def settings_of(card: ModelCard) -> SegmentSettings:
    """How a model file wants its tracks read.

    Raises:
        ModelFileError: what it says is no `SegmentSettings`.
    """
    try:
        return SegmentSettings.from_json(card.segments, labels_of(card))
    except SettingsError as error:
        raise ModelFileError(f"how the model file reads segments is not understood: {error}; tune it again") from None


def label_tracks(card: ModelCard, log_probs: LogProbs) -> Tracks:
    """How much speaks for each label in each frame, (frames, labels), 0…1.

    Of labels that are independent their own probability. Of labels that exclude each other (`_none_` is one of them)
    a label's probability as a share of its own and its strongest rival's: a half is where it is as probable, so that
    the label above a half is the most probable one, and of two labels the share is the probability itself.

    Args:
        card: of the model.
        log_probs: (frames, symbols).
    """
    symbols = card.vocabulary.symbols
    if NO_LABEL not in symbols:
        return np.exp(log_probs.astype(np.float64))
    scores = log_probs.astype(np.float64)
    best = scores.argmax(axis=1)[:, None]
    strongest = np.take_along_axis(scores, best, axis=1)
    others = scores.copy()
    np.put_along_axis(others, best, -np.inf, axis=1)
    rival = np.where(np.arange(len(symbols)) == best, others.max(axis=1, keepdims=True), strongest)
    shares = 1 / (1 + np.exp(np.clip(rival - scores, -500, 500)))
    tracks: Tracks = np.delete(shares, symbols.index(NO_LABEL), axis=1)
    return tracks


@dataclass
class _Run:
    """Frames `first` to `end` (exclusive) in which a label holds; its track's sum over `n` of them."""

    label: int
    first: int
    end: int
    total: float
    n: int


class SegmentDecoder:
    """Tracks in, segments out, each as soon as nothing can change it.

    Where labels overlap, that is in order of their ends, each with the `least_gap` of its label added.

    Args:
        settings: how.
        labels: the columns of the tracks.
        output_seconds: from a frame to the next.
        exclusive: whether one label may hold at a time: where several do, the one whose track is highest.
    """

    def __init__(
        self, settings: SegmentSettings, labels: Sequence[str], output_seconds: float, *, exclusive: bool
    ) -> None:
        rules = [settings.rule_of(label) for label in labels]
        self._onsets = np.array([rule.onset for rule in rules])
        self._offsets = np.array([rule.offset for rule in rules])
        self._least = [frames_lasting(rule.least_segment, output_seconds) for rule in rules]
        self._gaps = [frames_lasting(rule.least_gap, output_seconds) for rule in rules]
        self._exclusive = exclusive
        self._half = max(0, math.floor(settings.median / output_seconds + 1e-6) - 1) // 2  # frames to either side
        self._recent = np.empty((0, len(labels)))  # that the median filter still looks at
        self._active = np.zeros(len(labels), bool)
        self._open: list[_Run | None] = [None] * len(labels)  # may go on
        self._closed: list[_Run | None] = [None] * len(labels)  # may be joined to the next
        self._done: list[_Run] = []
        self._n_frames = 0  # that the median filter has let through

    @property
    def settled(self) -> int:
        """Frames whose segments are all given; no later one begins before."""
        return min([self._n_frames, *(run.first for run in (*self._open, *self._closed) if run is not None)])

    def push(self, tracks: Tracks) -> list[DecodedSymbol]:
        """Take frames (frames, labels), any number; returns the segments that are settled now."""
        return self._decide(self._filtered(tracks, last=False))

    def finish(self) -> list[DecodedSymbol]:
        """Say that no frames follow; returns the rest."""
        found = self._decide(self._filtered(self._recent[:0], last=True))
        for label in range(len(self._open)):
            self._close(label)
            self._settle(label)
        return found + self._given()

    def _filtered(self, tracks: Tracks, *, last: bool) -> Tracks:
        """The median over each frame's neighbours; beyond both ends the outermost frame goes on."""
        half = self._half
        if not half:
            return tracks
        if not len(self._recent) and len(tracks):
            tracks = np.concatenate([np.repeat(tracks[:1], half, axis=0), tracks])
        known = np.concatenate([self._recent, tracks])
        if last and len(known):
            known = np.concatenate([known, np.repeat(known[-1:], half, axis=0)])
        self._recent = known[max(0, len(known) - 2 * half) :]
        if len(known) <= 2 * half:
            return known[:0]
        windows = np.lib.stride_tricks.sliding_window_view(known, 2 * half + 1, axis=0)
        filtered: Tracks = np.median(windows, axis=-1)
        return filtered

    def _decide(self, tracks: Tracks) -> list[DecodedSymbol]:
        if len(tracks):
            active = self._hysteresis(tracks)
            for label, first, end in self._runs(active):
                part = tracks[first:end, label]
                self._extend(label, self._n_frames + first, self._n_frames + end, float(part.sum()))
            self._n_frames += len(tracks)
            for label, run in enumerate(self._open):
                if run is not None and run.end < self._n_frames:
                    self._close(label)
            for label, (run, following) in enumerate(zip(self._closed, self._open, strict=True)):
                silent_until = self._n_frames if following is None else following.first
                if run is not None and silent_until - run.end >= self._gaps[label]:
                    self._settle(label)
        return self._given()

    def _hysteresis(self, tracks: Tracks) -> NDArray[np.bool_]:
        """Which labels hold in which frames: from an onset on, until the track falls below its offset."""
        turns = np.where(tracks >= self._onsets, 1, np.where(tracks < self._offsets, 0, -1))
        turns = np.concatenate([self._active[None].astype(turns.dtype), turns])
        latest = np.maximum.accumulate(np.where(turns >= 0, np.arange(len(turns))[:, None], 0), axis=0)
        active = np.take_along_axis(turns, latest, axis=0)[1:] == 1
        self._active = active[-1]
        if self._exclusive and active.shape[1] > 1:
            highest = np.where(active, tracks, -1.0).argmax(axis=1)[:, None]
            active = active & (np.arange(active.shape[1]) == highest)
        return active

    @staticmethod
    def _runs(active: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
        """Label, first frame and one past the last of each run, in order of the first frame."""
        edges = np.diff(active.astype(np.int8), axis=0, prepend=0, append=0)
        labels, firsts = np.nonzero(edges.T == 1)
        _, ends = np.nonzero(edges.T == -1)
        order = np.lexsort((labels, firsts))
        return list(zip(labels[order].tolist(), firsts[order].tolist(), ends[order].tolist(), strict=True))

    def _extend(self, label: int, first: int, end: int, total: float) -> None:
        """A run of a block: it goes on with an open one, or begins."""
        run = self._open[label]
        if run is not None and run.end == first:
            run.end, run.total, run.n = end, run.total + total, run.n + end - first
            return
        self._close(label)
        if self._exclusive:  # no gap is filled across another label
            for other in range(len(self._open)):
                if other != label:
                    self._close(other)
                    self._settle(other)
        self._open[label] = _Run(label, first, end, total, end - first)

    def _close(self, label: int) -> None:
        """A run has ended: it is joined to the one before, if the gap is short."""
        run, before = self._open[label], self._closed[label]
        if run is None:
            return
        self._open[label] = None
        if before is not None and run.first - before.end < self._gaps[label]:
            run = _Run(label, before.first, run.end, before.total + run.total, before.n + run.n)
        else:
            self._settle(label)
        self._closed[label] = run

    def _settle(self, label: int) -> None:
        """No later run is joined to this one any more."""
        run, self._closed[label] = self._closed[label], None
        if run is not None and run.end - run.first >= self._least[label]:
            self._done.append(run)

    def _given(self) -> list[DecodedSymbol]:
        """Take those that are settled, in the order in which they are, whatever the blocks."""
        given, self._done = self._done, []
        # Of labels that exclude each other the next one's beginning settles a segment, otherwise the end of its gap,
        # or the frame after it where it has none.
        waits = [0 if self._exclusive else max(1, gap) for gap in self._gaps]
        given.sort(key=lambda run: (run.end + waits[run.label], run.first, run.label))
        return [DecodedSymbol(run.label, run.first, run.end - 1, run.total / run.n) for run in given]


class SegmentReader:
    """A recording's log-probabilities in, its labelled segments in seconds out."""

    def __init__(self, card: ModelCard, settings: SegmentSettings | None = None) -> None:
        self._card = card
        self._labels = labels_of(card)
        settings = settings_of(card) if settings is None else settings
        if unknown := [label for label in settings.rules if label not in self._labels]:
            raise SettingsError(f"the model has no label {unknown[0]!r}{nearest(unknown[0], self._labels)}")
        self._decoder = SegmentDecoder(
            settings,
            self._labels,
            card.output_seconds,
            exclusive=NO_LABEL in card.vocabulary.symbols,
        )
        self._n_frames = 0

    partial = ""

    @property
    def settled(self) -> float:
        """Seconds up to which all segments are given."""
        return (self._decoder.settled - 0.5) * self._card.output_seconds

    def alternatives(self, duration: float) -> tuple[Alternative, ...]:
        """None: what is not heard is not guessed."""
        return ()

    def push(self, log_probs: LogProbs) -> list[TimedLabel]:
        """Take frames (output frames, symbols), any number; returns what is settled now."""
        self._n_frames += len(log_probs)
        return [self._timed(found) for found in self._decoder.push(label_tracks(self._card, log_probs))]

    def finish(self, duration: float) -> list[TimedLabel]:
        """Say that the recording ends here, after so many seconds; returns the rest."""
        return [self._timed(found, duration) for found in self._decoder.finish()]

    def _timed(self, found: DecodedSymbol, duration: float = math.inf) -> TimedLabel:
        start, end = symbol_times(self._card, found)
        if found.last == self._n_frames - 1:  # the recording's end is not a frame's
            end = max(end, duration) if math.isfinite(duration) else end
        start, end = max(0.0, min(start, duration)), min(end, duration)
        return TimedLabel(self._labels[found.id], round(start, 6), round(end, 6), round(found.posterior, 6))
