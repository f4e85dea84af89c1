"""How well labelled segments fit: frame by frame, event by event, and in seconds.

Conventions: the reference is what holds, the hypothesis what the model says; labels may overlap in either. A frame is
the model's output frame, and a label holds in it where it holds at its centre.

Metrics
- frames: precision, recall and F1 of each label, over the frames of all recordings together; macro is the labels' mean.
- events: an event is right if its label is, its onset lies within 0.2 s of the reference's, and its offset within
  0.2 s or a fifth of the reference's length, whichever is more (DCASE's measure; Mesaros et al. 2016, "Metrics for
  Polyphonic Sound Event Detection"). Each is matched once, by `mir_eval`'s maximum matching.
- detection error rate: seconds missed and seconds falsely marked, over the seconds that are marked in the reference,
  all labels taken for one, by `pyannote.metrics`, without a collar.

Intervals are 95 % percentile bootstraps over recordings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from audiornn.evaluate.error_rates import interval_of_counts
from audiornn.listen.segments import labels_of
from audiornn.model_file import ModelCard

__all__ = [
    "OFFSET_SHARE",
    "TOLERANCE",
    "LabelRow",
    "Rate",
    "SegmentCounts",
    "SegmentReport",
    "activity",
    "compare_segments",
    "frame_centres",
    "macro_f1",
    "score",
]

#: Seconds by which an onset or an offset may be off.
TOLERANCE = 0.2
#: And an offset by so much of the event's length.
OFFSET_SHARE = 0.2

Counts = NDArray[np.float64]


class _Timed(Protocol):
    """A manifest's segment or a result's."""

    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...
    @property
    def label(self) -> str: ...


@dataclass(frozen=True)
class Rate:
    """A figure with its 95 % interval."""

    value: float
    interval: tuple[float, float]

    def to_text(self) -> str:
        """In per cent."""
        low, high = self.interval
        return f"{100 * self.value:6.2f} %  (95 % interval {100 * low:.2f}–{100 * high:.2f})"


@dataclass(frozen=True)
class LabelRow:
    """One label's frames and events.

    Attributes:
        label: its name.
        frames: that it holds in, by the reference.
        precision: of frames; None where it is never heard.
        recall: of frames; None where it never holds.
        f1: of frames; None where it does neither.
        events: of the reference.
        found: events of the hypothesis.
        right: of both.
        event_f1: 2 · right / (events + found); None where there is none of either.
    """

    label: str
    frames: int
    precision: float | None
    recall: float | None
    f1: float | None
    events: int
    found: int
    right: int
    event_f1: float | None


@dataclass(frozen=True)
class SegmentReport:
    """What a labelling is worth.

    Attributes:
        frame_f1: macro, over the labels that occur in the reference or the hypothesis.
        event_f1: macro, likewise.
        event_f1_micro: over the events of all labels together.
        detection_error_rate: missed and falsely marked seconds, over the reference's; None where it has none.
        missed: seconds.
        false_alarm: seconds.
        marked: seconds of the reference.
        labels: a row each.
    """

    frame_f1: Rate
    event_f1: Rate
    event_f1_micro: Rate
    detection_error_rate: Rate | None
    missed: float
    false_alarm: float
    marked: float
    labels: tuple[LabelRow, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return asdict(self)

    def to_text(self) -> str:
        """Lines for people."""
        width = max([5, *(len(row.label) for row in self.labels)])
        detection = "none, for nothing is labelled"
        if self.detection_error_rate is not None:
            detection = self.detection_error_rate.to_text()

        def share(value: float | None) -> str:
            return "–" if value is None else f"{value:.3f}"

        lines = [
            f"frame F1 (macro)      {self.frame_f1.to_text()}",
            f"event F1 (macro)      {self.event_f1.to_text()}",
            f"event F1 (micro)      {self.event_f1_micro.to_text()}",
            f"detection error rate  {detection}: of {self.marked:,.1f} s "
            f"{self.missed:,.1f} s missed, {self.false_alarm:,.1f} s false",
            "",
            f"{'label':{width}}     frames  precision  recall     F1    events   found   right  event F1",
        ]
        lines += [
            f"{row.label:{width}}  {row.frames:9,}     {share(row.precision):>6}  {share(row.recall):>6}  "
            f"{share(row.f1):>5}  {row.events:8,} {row.found:7,} {row.right:7,}     {share(row.event_f1):>5}"
            for row in self.labels
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class SegmentCounts:
    """Counts of one recording: frames and events, (labels, 3) each, and seconds.

    Attributes:
        frames: of each label, right, in the reference, in the hypothesis.
        events: likewise.
        seconds: missed, false, in the reference; None if they were not asked for.
    """

    frames: Counts
    events: Counts
    seconds: Counts | None


def frame_centres(card: ModelCard, duration: float) -> Counts:
    """The centres of a recording's output frames, in seconds, as many as training counts."""
    n_frames = card.features.n_frames(round(duration * card.features.sample_rate))
    return np.arange(-(-n_frames // card.stride)) * np.float64(card.output_seconds)


def activity(segments: Iterable[_Timed], labels: Sequence[str], centres: Counts, duration: float) -> NDArray[np.bool_]:
    """Which labels hold in which frames, (frames, labels).

    Args:
        segments: their labels written as `labels` are; other labels count nowhere.
        labels: the columns.
        centres: of the frames, seconds, in order.
        duration: a segment that ends there holds in all frames that are left.
    """
    columns = {label: i for i, label in enumerate(labels)}
    active = np.zeros((len(centres), len(labels)), bool)
    for segment in segments:
        if segment.label in columns:
            first = np.searchsorted(centres, segment.start, "left")
            end = len(centres) if segment.end >= duration else np.searchsorted(centres, segment.end, "left")
            active[first:end, columns[segment.label]] = True
    return active


def compare_segments(
    reference: Sequence[_Timed],
    hypothesis: Sequence[_Timed],
    labels: Sequence[str],
    centres: Counts,
    duration: float,
    *,
    with_seconds: bool = True,
) -> SegmentCounts:
    """Compare the segments of one recording; arguments as of `activity`."""
    true, said = (activity(segments, labels, centres, duration) for segments in (reference, hypothesis))
    frames = np.stack([(true & said).sum(axis=0), true.sum(axis=0), said.sum(axis=0)], axis=1).astype(np.float64)
    seconds = _detection(reference, hypothesis, duration) if with_seconds else None
    return SegmentCounts(frames, _events(reference, hypothesis, labels), seconds)


def _events(reference: Sequence[_Timed], hypothesis: Sequence[_Timed], labels: Sequence[str]) -> Counts:
    """Of each label the events that are right, of the reference, and of the hypothesis, (labels, 3)."""
    from mir_eval.transcription import match_notes

    columns = {label: i for i, label in enumerate(labels)}
    sides = [[s for s in side if s.label in columns and s.end > s.start] for side in (reference, hypothesis)]
    counts = np.zeros((len(labels), 3))
    for i, side in enumerate(sides, start=1):
        for segment in side:
            counts[columns[segment.label], i] += 1
    if not all(sides):
        return counts
    # A label is to mir_eval the pitch of a note; these lie two semitones apart, and half a one is its tolerance.
    (true, true_pitches), (said, said_pitches) = (
        (
            np.array([(s.start, s.end) for s in side]),
            100.0 * 2.0 ** (np.array([columns[s.label] for s in side], np.float64) / 6),
        )
        for side in sides
    )
    matched = match_notes(
        true,
        true_pitches,
        said,
        said_pitches,
        onset_tolerance=TOLERANCE,
        offset_ratio=OFFSET_SHARE,
        offset_min_tolerance=TOLERANCE,
    )
    for i, _ in matched:
        counts[columns[sides[0][i].label], 0] += 1
    return counts


def _detection(reference: Sequence[_Timed], hypothesis: Sequence[_Timed], duration: float) -> Counts:
    """Seconds missed, seconds falsely marked, and seconds of the reference."""
    from pyannote.core import Annotation, Segment, Timeline
    from pyannote.metrics.detection import DetectionErrorRate

    def annotation(segments: Sequence[_Timed]) -> Any:
        made = Annotation()
        for i, segment in enumerate(segments):
            if segment.end > segment.start:
                made[Segment(segment.start, segment.end), i] = segment.label
        return made

    whole = Timeline([Segment(0, max(duration, 1e-3))])
    found = DetectionErrorRate()(annotation(reference), annotation(hypothesis), uem=whole, detailed=True)
    return np.array([found["miss"], found["false alarm"], found["total"]])


def score(card: ModelCard, counts: Sequence[SegmentCounts], *, seed: int = 0) -> SegmentReport:
    """Pool the counts of recordings; intervals are of `interval_of_counts`."""
    frames = np.stack([each.frames for each in counts])
    events = np.stack([each.events for each in counts])
    seconds = np.stack([np.zeros(3) if each.seconds is None else each.seconds for each in counts])

    def rate(per_recording: Counts, figure: Callable[[Counts], float]) -> Rate:
        value = figure(per_recording.sum(axis=0))
        # Of nothing there is no figure.
        return Rate(value, interval_of_counts(per_recording, lambda c: figure(c) if c.any() else math.nan, seed=seed))

    missed, false_alarm, marked = seconds.sum(axis=0).tolist()
    rows = []
    for label, (right, true, said), (event_right, events_true, events_said) in zip(
        labels_of(card), frames.sum(axis=0), events.sum(axis=0), strict=True
    ):
        rows.append(
            LabelRow(
                label,
                int(true),
                right / said if said else None,
                right / true if true else None,
                _f1(right, true, said) if true + said else None,
                int(events_true),
                int(events_said),
                int(event_right),
                _f1(event_right, events_true, events_said) if events_true + events_said else None,
            )
        )
    return SegmentReport(
        frame_f1=rate(frames, macro_f1),
        event_f1=rate(events, macro_f1),
        event_f1_micro=rate(events.sum(axis=1), lambda total: _f1(*total)),
        detection_error_rate=rate(seconds, _detection_error_rate) if marked > 0 else None,
        missed=missed,
        false_alarm=false_alarm,
        marked=marked,
        labels=tuple(rows),
    )


def _detection_error_rate(seconds: Counts) -> float:
    """Of seconds missed, falsely marked, and in the reference; NaN without a reference."""
    missed, false_alarm, marked = seconds.tolist()
    return (missed + false_alarm) / marked if marked > 0 else math.nan


def macro_f1(counts: Counts) -> float:
    """The mean F1 of the labels that occur; counts are (labels, 3): right, in the reference, in the hypothesis."""
    present = counts[(counts[:, 1] + counts[:, 2]) > 0]
    if not len(present):
        return 1.0
    return float((2 * present[:, 0] / (present[:, 1] + present[:, 2])).mean())


def _f1(right: float, true: float, said: float) -> float:
    return float(2 * right / max(true + said, 1e-9)) if true + said else 1.0
