"""A spotter evaluated: it listens to a manifest once, and any number of thresholds are tried on its scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiornn.audio import Waveform
from audiornn.corpus.manifest import Utterance, is_synthetic
from audiornn.errors import AudioError, SettingsError
from audiornn.evaluate.chosen import write_card
from audiornn.evaluate.detection import (
    TOLERANCE,
    DetectionCount,
    DetPoint,
    KeywordRow,
    Span,
    choose_threshold,
    hours_needed,
    keyword_row,
    match_hits,
    poisson_upper,
)
from audiornn.evaluate.hearing import Progress, check_segments, hear_all, unseen
from audiornn.evaluate.onsets import APART, choose_onset, excursion, loudest_peaks
from audiornn.listen.keywords import (
    Decision,
    Scores,
    SpotDecider,
    SpotSettings,
    check_keywords,
    moving_mean,
    spot_of,
)
from audiornn.listen.recognizer import Recognizer
from audiornn.model_file import ModelCard
from audiornn.text import plain_words

__all__ = [
    "Heard",
    "SpotReport",
    "SpotTuning",
    "check_target",
    "evaluate_spotting",
    "hear",
    "tune_spotting",
    "write_spotting",
]

#: Onsets that are tried: by hundredths, and where scores crowd below 1 by tenths in their log-odds, up to 0.9999.
THRESHOLDS = (*(i / 100 for i in range(1, 100)), *(round(1 / (1 + math.exp(-i / 10)), 6) for i in range(47, 93)))


@dataclass(frozen=True)
class Heard:
    """A recording's scores, and where its keywords are said.

    Attributes:
        scores: a column a keyword.
        duration: seconds.
        spans: of each keyword, where it is said; None where only `said` is known.
        said: how often each keyword is said.
        synthetic: whether a synthetic voice speaks.
    """

    scores: Scores
    duration: float
    spans: Mapping[str, tuple[Span, ...]] | None
    said: Mapping[str, int]
    synthetic: bool = False


@dataclass(frozen=True)
class SpotReport:
    """How well keywords are spotted in a set of recordings.

    Attributes:
        split: what to call them.
        utterances: how many.
        hours: in all.
        timed: whether words had times; else the hits of a recording were only counted.
        tolerance: seconds, by which a hit may lie beside its word.
        target: false alarms an hour that the thresholds were chosen for, if they were.
        keywords: a row each.
        total: of all keywords together; its false alarms are those of any.
        notes: what there is to know.
        unreadable: recordings that could not be listened to, with the reason.
        synthetic_hours: of the hours those of synthetic voices.
    """

    split: str
    utterances: int
    hours: float
    timed: bool
    tolerance: float
    target: float | None
    keywords: tuple[KeywordRow, ...]
    total: KeywordRow
    notes: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    synthetic_hours: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return asdict(self)

    def to_text(self) -> str:
        """A page for people."""
        rows = [*self.keywords, self.total] if len(self.keywords) > 1 else list(self.keywords)
        head = ["keyword", "onset", "missed", "rate", "95 %", "false alarms", "an hour", "95 %"]
        if self.total.latency:
            head += ["latency", "95 %"]
        table = [head, *(_cells(row, timed=bool(self.total.latency)) for row in rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join([cells[0].ljust(widths[0]), *map(str.rjust, cells[1:], widths[1:])]).rstrip() for cells in table
        ]
        target = 0.5 if self.target is None else self.target
        shown = ", ".join(
            f"{row.false_alarms} in {self.hours:.3g} h show under {row.shows_under:.3g} an hour" for row in rows[-1:]
        )
        lines += ["", f"{shown} (95 %); to show {target:g}, test {hours_needed(target):.3g} h without one"]
        if not self.timed:
            lines.append("the words have no times: the hits of each recording were counted, not placed")
        return "\n".join([*lines, *self.notes])


@dataclass(frozen=True)
class SpotTuning:
    """Thresholds chosen on recordings.

    Attributes:
        settings: the decision layer with them.
        notes: of each keyword that does not reach the target, the best there is.
    """

    settings: SpotSettings
    notes: tuple[str, ...] = field(default=())


def hear(
    recognizer: Recognizer,
    utterances: Sequence[Utterance],
    keywords: Sequence[str],
    split: str,
    *,
    inside_words: bool = False,
    look_ahead: float | None = None,
    skip_bad: bool = False,
    progress: Progress = unseen,
) -> tuple[list[Heard], tuple[str, ...]]:
    """Listen to every utterance once.

    Args:
        recognizer: the model.
        utterances: their references are their `segments`, or if they have none the words of their `text`.
        keywords: as the vocabulary writes them.
        split: what to call the recordings.
        inside_words: whether a keyword may be a part of a longer word.
        look_ahead: seconds that a bidirectional network may see beyond what it says.
        skip_bad: name unreadable recordings instead of stopping at the first.
        progress: called after each utterance.

    Returns:
        What was heard, and the unreadable recordings, each with the reason.

    Raises:
        AudioError: a recording cannot be read.
        CorpusError: there is nothing to listen to.
        SettingsError: a keyword that the model cannot spot.
    """
    keywords = check_keywords(recognizer.card, keywords)
    rate = recognizer.card.features.sample_rate

    def listen(utterance: Utterance, waveform: Waveform) -> Heard:
        check_segments(utterance, len(waveform) / rate, recognizer.card, may_overlap=True)
        try:
            scores, duration = recognizer.keyword_scores(
                waveform, keywords, rate, inside_words=inside_words, look_ahead=look_ahead
            )
        except AudioError as error:
            raise AudioError(str(error).replace("the waveform", str(utterance.audio))) from None
        references = _references(recognizer.card, utterance, keywords, inside_words)
        return Heard(scores, duration, *references, is_synthetic(utterance))

    heard, unreadable = hear_all(utterances, split, rate, listen, skip_bad=skip_bad, progress=progress)
    return [one for _, one in heard], unreadable


def evaluate_spotting(
    card: ModelCard,
    heard: Sequence[Heard],
    keywords: Sequence[str],
    settings: SpotSettings,
    split: str,
    *,
    tolerance: float = TOLERANCE,
    target: float | None = None,
    delay: float = 0.0,
    notes: Sequence[str] = (),
    unreadable: Sequence[str] = (),
) -> SpotReport:
    """Count hits at a decision layer's thresholds, and at all others.

    Args:
        card: the model's.
        heard: what `hear` gave.
        keywords: the scores' columns.
        settings: the decision layer.
        split: what to call the recordings.
        tolerance: seconds by which the middle of a hit may lie beside its word.
        target: false alarms an hour that the thresholds were chosen for.
        delay: seconds by which the network's outputs come after the sound; a part of each latency.
        notes: to be handed on.
        unreadable: to be handed on.
    """
    keywords = check_keywords(card, keywords)
    hours = sum(one.duration for one in heard) / 3600
    of_people = [one for one in heard if not one.synthetic]
    synthetic_hours = sum(one.duration for one in heard if one.synthetic) / 3600
    rows, counts, all_latencies = [], [], []
    among_people = 0
    for k, keyword in enumerate(keywords):
        count, latencies = _count(card, heard, keyword, k, settings, tolerance)
        latencies = [delay + seconds for seconds in latencies]
        curve = det_curve(card, heard, keyword, k, settings, tolerance)
        rows.append(keyword_row(keyword, settings.threshold(keyword)[0], count, hours, latencies, curve))
        counts.append(count)
        all_latencies += latencies
        if synthetic_hours:
            among_people += _count(card, of_people, keyword, k, settings, tolerance)[0].false_alarms
    if synthetic_hours:
        notes = [*notes, _of_synthetic_voices(hours, synthetic_hours, among_people)]
    total = DetectionCount(
        *(sum(getattr(count, name) for count in counts) for name in ("said", "found", "false_alarms"))
    )
    return SpotReport(
        split=split,
        utterances=len(heard),
        hours=hours,
        timed=all(one.spans is not None for one in heard),
        tolerance=tolerance,
        target=target,
        keywords=tuple(rows),
        total=keyword_row("all", None, total, hours, all_latencies, _together(rows, hours)),
        notes=tuple(notes),
        unreadable=tuple(unreadable),
        synthetic_hours=synthetic_hours,
    )


def _of_synthetic_voices(hours: float, synthetic_hours: float, among_people: int) -> str:
    """What the hours say of people, where synthetic voices speak in some of them."""
    people = hours - synthetic_hours
    said = f"{synthetic_hours:.3g} of these {hours:.3g} h are synthetic voices, which say little of people"
    if people * 3600 < 1:
        return f"{said}; nobody else was heard"
    shown = poisson_upper(among_people) / people
    return f"{said}: {among_people} false alarms in the other {people:.3g} h show under {shown:.3g} an hour (95 %)"


def tune_spotting(
    card: ModelCard,
    heard: Sequence[Heard],
    keywords: Sequence[str],
    settings: SpotSettings,
    false_alarms_per_hour: float,
    *,
    tolerance: float = TOLERANCE,
) -> SpotTuning:
    """Choose each keyword's onset on recordings of dev; its offset stays in proportion.

    Where not one false alarm is allowed in so few hours, what they bring is extrapolated, as after a training.

    Raises:
        SettingsError: a target that is not above 0.
    """
    check_target(false_alarms_per_hour)
    hours = sum(one.duration for one in heard) / 3600
    synthetic = sum(one.duration for one in heard if one.synthetic) / 3600 / hours if hours else 0.0
    notes = []
    are_few = false_alarms_per_hour * hours < 1
    if are_few:
        notes.append(
            f"the thresholds were chosen on {hours:.3g} h, where one false alarm is {1 / hours:.3g} an hour; "
            f"what a target of {false_alarms_per_hour:g} asks for is extrapolated from the loudest sounds there"
        )
    for k, keyword in enumerate(check_keywords(card, keywords)):
        if not any(one.said[keyword] for one in heard):
            notes.append(f"{keyword}: is never said where its threshold was chosen, so its misses could not be weighed")
        if are_few:
            answers, alarms = _answers(card, heard, keyword, k, settings, tolerance)
            chosen = choose_onset(answers, alarms, hours, false_alarms_per_hour, synthetic)
            settings = settings.with_onset(chosen.threshold, [keyword])
            if warning := chosen.warning(keyword, false_alarms_per_hour, answers, alarms, hours):
                notes.append(warning)
            continue
        curve = det_curve(card, heard, keyword, k, settings, tolerance)
        point, reached = choose_threshold(curve, false_alarms_per_hour)
        settings = settings.with_onset(point.threshold, [keyword])
        if not reached:
            notes.append(
                f"{keyword}: no threshold reaches {false_alarms_per_hour:g} false alarms an hour; the best there is, "
                f"{point.threshold:g}, has {point.false_alarms_per_hour:.3g} ({point.false_alarms} in {hours:.3g} h)"
            )
    return SpotTuning(settings, tuple(notes))


def check_target(false_alarms_per_hour: float) -> None:
    """Raise a SettingsError for what is no number of false alarms an hour to choose a threshold for."""
    if not 0 < false_alarms_per_hour < math.inf:
        raise SettingsError(
            f"{false_alarms_per_hour:g} false alarms an hour are no target, no hours could show it; name one above 0"
        )


def _answers(
    card: ModelCard, heard: Sequence[Heard], keyword: str, column: int, settings: SpotSettings, tolerance: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The highest smoothed score each time that a keyword was said, and the peaks of all else, the highest first.

    As for the decision layer, a score that has not sunk below its offset is that of the same word: CTC's stays up until
    something else is said.
    """
    n_apart, answers, alarms = round(APART / card.output_seconds), list[float](), list[float]()
    onset, offset = settings.threshold(keyword)

    def peaks_of(values: NDArray[np.float64]) -> list[float]:
        return [score for _, score in loudest_peaks(values, n_apart, over_below=offset / onset)]

    for one in heard:
        values = moving_mean(one.scores.values[:, column : column + 1], settings.smoothing, card.output_seconds)[:, 0]
        if one.spans is None:
            peaks = peaks_of(values)
            n_said = one.said[keyword]
            answers += (peaks + [0.0] * n_said)[:n_said]
            alarms += peaks[n_said:]
            continue
        rest = values.copy()
        for start, end in one.spans[keyword]:
            first, last = (round(max(0.0, t) / card.output_seconds) for t in (start - tolerance, end + tolerance))
            answer = float(values[first : last + 1].max(initial=0.0))
            answers.append(answer)
            rest[first : last + n_apart] = 0.0
            if answer:
                begin, over = excursion(values, first + int(values[first : last + 1].argmax()), offset / onset)
                # It rises with the word and may creep up while it stays; what is far louder is something else.
                if begin >= first and values[begin:over].max() <= answer * onset / offset:
                    rest[begin:over] = 0.0
        alarms += peaks_of(rest)
    return np.array(answers), np.sort(np.array(alarms))[::-1]


def det_curve(
    card: ModelCard, heard: Sequence[Heard], keyword: str, column: int, settings: SpotSettings, tolerance: float
) -> tuple[DetPoint, ...]:
    """A keyword's misses and false alarms at every threshold there is to try."""
    hours = sum(one.duration for one in heard) / 3600
    points = []
    for threshold in THRESHOLDS:
        tried = settings.with_onset(threshold, [keyword])
        count, _ = _count(card, heard, keyword, column, tried, tolerance)
        points.append(
            DetPoint(
                threshold,
                count.missed,
                count.false_alarms,
                round(count.missed / count.said, 6) if count.said else 0.0,
                round(count.false_alarms / hours, 6),
            )
        )
    return tuple(points)


def write_spotting(path: Path, card: ModelCard, settings: SpotSettings) -> None:
    """Keep a decision layer in a model file; its network stays as it is.

    Raises:
        AudiornnError: it cannot be written; then it is as it was.
    """
    write_card(path, replace(card, spotting=settings.to_json()))


def _together(rows: Sequence[KeywordRow], hours: float) -> list[DetPoint]:
    """The curve of all keywords, at one threshold for all of them."""
    said = sum(row.said for row in rows)
    points = []
    for same in zip(*(row.det for row in rows), strict=True):
        missed, false_alarms = sum(point.missed for point in same), sum(point.false_alarms for point in same)
        rate = round(missed / said, 6) if said else 0.0
        points.append(DetPoint(same[0].threshold, missed, false_alarms, rate, round(false_alarms / hours, 6)))
    return points


def _cells(row: KeywordRow, *, timed: bool) -> list[str]:
    """A row of a report's table."""
    low, high = (100 * bound for bound in row.miss_interval)
    few, many = row.false_alarm_interval
    cells = [
        row.keyword,
        "" if row.threshold is None else f"{row.threshold:g}",
        f"{row.missed:,} of {row.said:,}",
        "" if row.miss_rate is None else f"{100 * row.miss_rate:.1f} %",
        "" if row.miss_rate is None else f"{low:.1f}–{high:.1f}",
        f"{row.false_alarms:,}",
        f"{row.false_alarms_per_hour:.2f}",
        f"{few:.2f}–{many:.2f}",
    ]
    if timed:
        cells += [f"{seconds:.2f} s" for seconds in row.latency] if row.latency else ["", ""]
    return cells


def _references(
    card: ModelCard, utterance: Utterance, keywords: Sequence[str], inside_words: bool
) -> tuple[Mapping[str, tuple[Span, ...]] | None, Mapping[str, int]]:
    # A label is a name, and transcripts write it as their language does: Computer, or "computer,".
    told_apart = {*map(plain_words, card.vocabulary.symbols)} - {""}
    is_name = card.vocabulary.unit == "label" and len(told_apart) == len(card.vocabulary.symbols)
    plain = plain_words if is_name else card.vocabulary.normalise
    names = {keyword: plain(keyword) for keyword in keywords}
    if utterance.segments or not utterance.text.strip():
        labelled = [(plain(segment.label), (segment.start, segment.end)) for segment in utterance.segments]
        spans = {keyword: tuple(span for label, span in labelled if label == name) for keyword, name in names.items()}
        return spans, {keyword: len(found) for keyword, found in spans.items()}
    text = plain(utterance.text)
    if inside_words:
        return None, {keyword: text.count(name) for keyword, name in names.items()}
    words = text.split()
    said = {}
    for keyword, name in names.items():
        parts = name.split()
        said[keyword] = sum(words[i : i + len(parts)] == parts for i in range(len(words) - len(parts) + 1))
    return None, said


def _count(
    card: ModelCard, heard: Sequence[Heard], keyword: str, column: int, settings: SpotSettings, tolerance: float
) -> tuple[DetectionCount, list[float]]:
    """A keyword's counts at a decision layer, and the latency of each word found, in seconds."""
    said = found = false_alarms = 0
    latencies: list[float] = []
    for one in heard:
        decisions = _decide(card, one, keyword, column, settings)
        said += one.said[keyword]
        if one.spans is None:
            n_right = min(len(decisions), one.said[keyword])
            found += n_right
            false_alarms += len(decisions) - n_right
            continue
        spots = [spot_of(card, decision, one.duration) for decision in decisions]
        references = one.spans[keyword]
        matches = match_hits([(spot.start, spot.end) for spot in spots], references, tolerance)
        found += len(matches.pairs)
        false_alarms += len(matches.false_alarms)
        for hit, reference in matches.pairs:
            latencies.append((decisions[hit].told + 1) * card.output_seconds - references[reference][1])
    return DetectionCount(said, found, false_alarms), latencies


def _decide(card: ModelCard, one: Heard, keyword: str, column: int, settings: SpotSettings) -> list[Decision]:
    values = one.scores.values[:, column : column + 1]
    if not len(values) or values.max() < settings.threshold(keyword)[0] - 1e-6:
        return []  # a mean is never above what it is of
    decider = SpotDecider(settings, [keyword], card.output_seconds)
    scores = Scores(values, *(part[:, column : column + 1] for part in one.scores[1:]))
    return decider.push(scores) + decider.finish()
