"""Evaluation: a model listens to a manifest, and the report says how well, in counts and intervals."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise, zip_longest
from typing import Any

import numpy as np

from audiornn.audio import Waveform
from audiornn.corpus.manifest import Utterance
from audiornn.errors import CorpusError, nearest
from audiornn.evaluate.error_rates import (
    EditCounts,
    ErrorRate,
    costliest,
    count_edits,
    error_rate,
    right_words,
    wilson_interval,
)
from audiornn.evaluate.hearing import Progress, check_segments, hear_all, unseen
from audiornn.evaluate.segments import SegmentReport, activity, compare_segments, frame_centres, score
from audiornn.evaluate.tally import Tally
from audiornn.listen.recognizer import Recognizer
from audiornn.listen.results import Classification, Labelling, Recognition, TimedLabel, Transcript
from audiornn.listen.segments import labels_of
from audiornn.model_file import ModelCard
from audiornn.vocabulary import NO_LABEL

__all__ = ["ClassRow", "ConfidenceRow", "RecordingRow", "Report", "SpeakerRow", "evaluate"]


@dataclass(frozen=True)
class SpeakerRow:
    """One speaker's share of the errors."""

    speaker: str
    utterances: int
    errors: int
    reference_length: int
    error_rate: float


@dataclass(frozen=True)
class ClassRow:
    """One label of a classifier.

    Attributes:
        label: its name.
        recordings: that have it.
        right: of these, how many were heard as it.
        heard: of all, how many were heard as it.
        recall: the share of its recordings that were right; None where there are none.
        precision: the share of what was heard as it that was right; None where nothing was.
    """

    label: str
    recordings: int
    right: int
    heard: int
    recall: float | None
    precision: float | None


@dataclass(frozen=True)
class RecordingRow:
    """One utterance: what any other program needs to count for itself.

    Attributes:
        id: its name in the manifest.
        audio: the recording.
        speaker: None where unknown.
        reference: what was said, by the vocabulary's rules; None of labelled frames.
        heard: what the model gave; likewise.
        substitutions: edits from the one to the other; of a label or frames, wrong ones.
        deletions: likewise.
        insertions: likewise.
        reference_length: units in the reference.
    """

    id: str
    audio: str
    speaker: str | None
    reference: str | None
    heard: str | None
    substitutions: int
    deletions: int
    insertions: int
    reference_length: int


@dataclass(frozen=True)
class ConfidenceRow:
    """Words whose confidence lies in a range, and how many of them were right.

    Attributes:
        least: the range's lower end.
        words: in it.
        confidence: their mean, which is how many should be right if it is calibrated.
        right: the share that was.
    """

    least: float
    words: int
    confidence: float
    right: float


#: The lower ends of the ranges of `ConfidenceRow`; most words are sure.
_CONFIDENCES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)


@dataclass(frozen=True)
class Report:
    """What an evaluation found.

    Attributes:
        task: the model's.
        split: the split's name, or the manifest's.
        unit: what is counted: words, phones, recordings, or frames.
        utterances: how many were listened to.
        errors: substitutions, deletions and insertions; for labels, wrong ones.
        reference_length: units in the references.
        error_rate: errors / reference_length.
        interval: 95 %: Wilson's for labels, a bootstrap over utterances for all else.
        accuracy: 1 − error_rate where every unit is right or wrong; None for transcripts.
        characters: the same for characters, of a transcript.
        confusions: (reference, hypothesis, count), the costliest first.
        speakers: a row each, the worst first.
        classes: of a classifier, a row a label, the one that is missed most first.
        confidences: of a transcript's words, against how many were right.
        unreadable: recordings that could not be listened to, with the reason.
        segments: of labelled frames, how well they fit by frames, events and seconds.
        unwritable: words or phones of a transcript's references that the model has no symbols for, each with how often
            it is said, the commonest first: errors, whatever is heard.
        tallies: one, the same of each utterance that was listened to, in their order.
        recordings: a row each, likewise.
    """

    task: str
    split: str
    unit: str
    utterances: int
    errors: int
    reference_length: int
    error_rate: float
    interval: tuple[float, float]
    accuracy: float | None
    characters: ErrorRate | None
    confusions: tuple[tuple[str, str, int], ...]
    speakers: tuple[SpeakerRow, ...]
    classes: tuple[ClassRow, ...] = ()
    confidences: tuple[ConfidenceRow, ...] = ()
    unreadable: tuple[str, ...] = ()
    segments: SegmentReport | None = None
    unwritable: tuple[tuple[str, int], ...] = ()
    tallies: tuple[Tally, ...] = ()
    recordings: tuple[RecordingRow, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain types; `accuracy` only where it has a meaning, and no row an utterance."""
        whole = asdict(replace(self, tallies=(), recordings=()))
        entry = {k: value for k, value in whole.items() if value is not None and k not in ("tallies", "recordings")}
        for rates in (entry, entry.get("characters") or {}, *entry["speakers"]):
            for key in ("error_rate", "rate"):
                if math.isinf(rates.get(key, 0.0)):
                    rates[key] = None  # errors where nothing was said: no rate, and JSON knows no infinity
        return entry

    @property
    def headline(self) -> str:
        """The error rate in a few words."""
        return f"{_percent(self.error_rate)}  ({self.errors:,} of {self.reference_length:,} {self.unit})"

    def to_text(self) -> str:
        """A page for people."""
        low, high = (100 * bound for bound in self.interval)
        counted = f"{self.reference_length:,} {self.unit}"
        lines = []
        if self.accuracy is not None:
            right = self.reference_length - self.errors
            lines.append(
                f"accuracy {100 * self.accuracy:.2f} %  ({right:,} of {counted}; "
                f"95 % interval {100 - high:.2f}–{100 - low:.2f})"
            )
        elif not self.reference_length:
            lines.append(f"no error rate: the references say nothing, and {self.errors:,} {self.unit} were heard")
        else:
            lines.append(
                f"{self.unit.removesuffix('s')} error rate {100 * self.error_rate:.2f} %  "
                f"({self.errors:,} of {counted}; 95 % interval {low:.2f}–{high:.2f})"
            )
        if self.characters is not None and self.characters.reference_length:
            low, high = (100 * bound for bound in self.characters.interval)
            lines.append(
                f"character error rate {100 * self.characters.rate:.2f} %  ({self.characters.errors:,} of "
                f"{self.characters.reference_length:,}; 95 % interval {low:.2f}–{high:.2f})"
            )
        if self.unwritable:
            shown = ", ".join(repr(word) for word, _ in self.unwritable[:5]) + ", …" * (len(self.unwritable) > 5)
            n = sum(count for _, count in self.unwritable)
            lines.append(f"{n:,} of the {counted} are errors whatever is heard: the model cannot write {shown}")
        if self.segments is not None:
            lines.append(self.segments.to_text())
        if self.confusions:
            lines += ["", "costliest confusions      reference → heard"]
            lines += [
                f"  {count:5d} ×   {left or '(nothing)'} → {right or '(nothing)'}"
                for left, right, count in self.confusions
            ]
        if self.classes:
            lines += ["", *_class_table(self.classes)]
        if self.confidences:
            lines += ["", "confidence of words    words   mean   right"]
            ends = [*(row.least for row in self.confidences[1:]), 1.0]
            lines += [
                f"  {row.least:.2f}–{end:.2f}          {row.words:6,}  {row.confidence:5.3f}  {row.right:6.3f}"
                for row, end in zip(self.confidences, ends, strict=True)
            ]
        if len(self.speakers) > 1:
            width = max(len(row.speaker) for row in self.speakers)
            lines += ["", f"{'speaker':{width}}  utterances   errors   error rate"]
            lines += [
                f"{row.speaker:{width}}  {row.utterances:10,} {row.errors:4,} of {row.reference_length:<5,} "
                f"{_percent(row.error_rate)}"
                for row in self.speakers[:20]
            ]
            if len(self.speakers) > 20:
                lines.append(f"… and {len(self.speakers) - 20} more speakers")
        return "\n".join(lines)


def _percent(rate: float) -> str:
    """Of errors where nothing was said there is none."""
    return f"{100 * rate:6.2f} %" if math.isfinite(rate) else f"{'–':>8}"


def evaluate(
    recognizer: Recognizer,
    utterances: Sequence[Utterance],
    split: str,
    *,
    look_ahead: float | None = None,
    skip_bad: bool = False,
    progress: Progress = unseen,
) -> Report:
    """Listen to every utterance and count.

    Args:
        recognizer: the model.
        utterances: with their references.
        split: what to call them.
        look_ahead: seconds of what follows that a bidirectional network may see; None lets it see all.
        skip_bad: count unreadable recordings instead of stopping at the first.
        progress: called after each utterance.

    Raises:
        AudioError: a recording cannot be read.
        CorpusError: there is nothing to listen to, a label that the model cannot give, or segments that cannot be.
    """
    _check_references(recognizer, utterances)
    rate = recognizer.card.features.sample_rate

    def listen(utterance: Utterance, waveform: Waveform) -> Recognition:
        if recognizer.card.task == "label":
            check_segments(utterance, len(waveform) / rate, recognizer.card)
        return recognizer.transcribe_waveform(waveform, rate, look_ahead=look_ahead, name=str(utterance.audio))

    heard, unreadable = hear_all(utterances, split, rate, listen, skip_bad=skip_bad, progress=progress)
    scored = [(utterance, *_score(recognizer, utterance, result)) for utterance, result in heard]
    words = [count for _, count, _ in scored]
    total = error_rate(words)
    task = recognizer.card.task
    exact = task != "transcribe"
    interval = total.interval if task != "classify" else wilson_interval(total.errors, total.reference_length)
    letters = [count for _, _, count in scored if count is not None]
    return Report(
        task=task,
        split=split,
        unit=_unit(recognizer),
        utterances=len(heard),
        errors=total.errors,
        reference_length=total.reference_length,
        error_rate=total.rate,
        interval=interval,
        accuracy=1 - total.rate if exact else None,
        characters=error_rate(letters) if letters else None,
        confusions=tuple(costliest([pair for count in words for pair in count.confusions])),
        speakers=_speakers([(utterance, count) for utterance, count, _ in scored]),
        classes=_classes(recognizer.card, heard),
        confidences=_confidences(recognizer, heard),
        unreadable=unreadable,
        segments=_score_segments(recognizer.card, heard),
        unwritable=_unwritable(recognizer, [utterance for utterance, _ in heard]),
        recordings=tuple(
            _recording(recognizer, utterance, result, count)
            for (utterance, result), count in zip(heard, words, strict=True)
        ),
        tallies=(
            Tally(
                "error rate",
                _unit(recognizer),
                tuple(count.errors for count in words),
                tuple(count.reference_length for count in words),
                interval,
                is_exact=task == "classify",
            ),
        ),
    )


def _recording(recognizer: Recognizer, utterance: Utterance, result: Recognition, count: EditCounts) -> RecordingRow:
    reference = heard = None
    if isinstance(result, Transcript):
        reference, heard = recognizer.written.reference(utterance.text), result.text
    elif isinstance(result, Classification):
        reference, heard = recognizer.card.vocabulary.normalise(utterance.text), result.label
    return RecordingRow(
        utterance.id,
        str(utterance.audio),
        utterance.speaker,
        reference,
        heard,
        count.substitutions,
        count.deletions,
        count.insertions,
        count.reference_length,
    )


def _unwritable(recognizer: Recognizer, utterances: Sequence[Utterance]) -> tuple[tuple[str, int], ...]:
    """What the references of transcripts hold that the model's symbols cannot spell, the commonest first."""
    if recognizer.card.task != "transcribe":
        return ()
    written = recognizer.written
    symbols = frozenset(written.symbols)
    said = Counter(word for utterance in utterances for word in written.reference(utterance.text).split())
    by_letters = written.unit == "character"
    unknown = [
        (word, n) for word, n in said.items() if not (symbols.issuperset(word) if by_letters else word in symbols)
    ]
    return tuple(sorted(unknown, key=lambda item: (-item[1], item[0])))


def _class_table(rows: Sequence[ClassRow]) -> list[str]:
    """A line a label, for people; of many the twenty that are missed most."""
    width = max(len("label"), *(len(row.label) for row in rows))

    def share(value: float | None) -> str:
        return f"{'–':>8}" if value is None else f"{100 * value:6.2f} %"

    lines = [f"{'label':{width}}  recordings  right   recall  precision"]
    lines += [
        f"{row.label:{width}}  {row.recordings:10,} {row.right:6,} {share(row.recall)}   {share(row.precision)}"
        for row in rows[:20]
    ]
    return [*lines, f"… and {len(rows) - 20} more labels"] if len(rows) > 20 else lines


def _unit(recognizer: Recognizer) -> str:
    if recognizer.card.task == "transcribe":
        return "phones" if recognizer.written.unit == "phone" else "words"
    return {"classify": "recordings", "label": "frames"}[recognizer.card.task]


def _classes(card: ModelCard, heard: Sequence[tuple[Utterance, Recognition]]) -> tuple[ClassRow, ...]:
    """How each label fares, of a classifier."""
    pairs = [(card.vocabulary.normalise(u.text), r.label) for u, r in heard if isinstance(r, Classification)]
    said, given = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    right = Counter(a for a, b in pairs if a == b)
    rows = [
        ClassRow(
            label,
            recordings=said[label],
            right=right[label],
            heard=given[label],
            recall=right[label] / said[label] if said[label] else None,
            precision=right[label] / given[label] if given[label] else None,
        )
        for label in sorted(said | given)
    ]
    return tuple(sorted(rows, key=lambda row: math.inf if row.recall is None else row.recall))


def _confidences(recognizer: Recognizer, heard: Sequence[tuple[Utterance, Recognition]]) -> tuple[ConfidenceRow, ...]:
    """Whether words are as often right as they say; those of each range together."""
    told: list[tuple[float, bool]] = []
    for utterance, result in heard:
        if isinstance(result, Transcript):
            said = recognizer.written.reference(utterance.text).split()
            right = right_words(said, [word.label for word in result.words])
            told += zip((word.confidence for word in result.words), right, strict=True)
    rows = []
    for least, end in pairwise([*_CONFIDENCES, math.inf]):
        inside = [(confidence, right) for confidence, right in told if least <= confidence < end]
        if inside:
            n = len(inside)
            rows.append(ConfidenceRow(least, n, sum(c for c, _ in inside) / n, sum(r for _, r in inside) / n))
    return tuple(rows)


def _check_references(recognizer: Recognizer, utterances: Sequence[Utterance]) -> None:
    """A model can only be right about labels it knows; transcripts may hold anything, and cost what they cost."""
    vocabulary = recognizer.card.vocabulary
    if recognizer.card.task == "label":
        if any(u.text.strip() for u in utterances) and not any(u.segments for u in utterances):
            raise CorpusError("no utterance has segments, all have texts: this model labels frames, and needs times")
        for utterance in utterances:
            for segment in utterance.segments:
                if vocabulary.normalise(segment.label) not in vocabulary.symbols:
                    known = labels_of(recognizer.card)
                    raise CorpusError(
                        f"{utterance.id}: the model has no label {segment.label!r}{nearest(segment.label, known)}; "
                        f"it knows {', '.join(known[:10])}"
                    )
    if recognizer.card.task == "classify":
        for utterance in utterances:
            try:
                ids = vocabulary.encode(utterance.text)
            except CorpusError as error:
                raise CorpusError(f"{utterance.id}: {error}") from None
            if not ids:
                raise CorpusError(f"{utterance.id}: has no label to compare with")


def _score(recognizer: Recognizer, utterance: Utterance, result: Recognition) -> tuple[EditCounts, EditCounts | None]:
    """Errors in words, labels or frames, and in characters for a transcript."""
    normalise = recognizer.card.vocabulary.normalise
    if isinstance(result, Classification):
        return _compare([normalise(utterance.text)], [result.label]), None
    if isinstance(result, Transcript):
        reference, hypothesis = recognizer.written.reference(utterance.text), result.text
        if recognizer.written.unit == "phone":
            return count_edits(reference.split(), hypothesis.split()), None
        return count_edits(reference.split(), hypothesis.split()), count_edits(list(reference), list(hypothesis))
    assert isinstance(result, Labelling)
    return _compare(*(_frame_labels(recognizer.card, side, result.duration) for side in (utterance, result))), None


def _compare(reference: Sequence[str], hypothesis: Sequence[str]) -> EditCounts:
    wrong = tuple((a, b) for a, b in zip(reference, hypothesis, strict=True) if a != b)
    return EditCounts(len(wrong), 0, 0, len(reference), wrong)


def _frame_labels(card: ModelCard, labelled: Utterance | Labelling, duration: float) -> list[str]:
    """What holds at the centre of every output frame of a recording: a label, several, or none."""
    labels = labels_of(card)
    active = activity(_normalised(card, labelled), labels, frame_centres(card, duration), duration)
    names = {row.tobytes(): "+".join(np.array(labels)[row]) or NO_LABEL for row in np.unique(active, axis=0)}
    return [names[row.tobytes()] for row in active]


def _score_segments(card: ModelCard, heard: Sequence[tuple[Utterance, Recognition]]) -> SegmentReport | None:
    counts = [
        compare_segments(
            _normalised(card, utterance),
            result.segments,
            labels_of(card),
            frame_centres(card, result.duration),
            result.duration,
        )
        for utterance, result in heard
        if isinstance(result, Labelling)
    ]
    return score(card, counts) if counts else None


def _normalised(card: ModelCard, labelled: Utterance | Labelling) -> list[TimedLabel]:
    """Segments with their labels by the vocabulary's rules; where a frame has one label, the earlier gives way."""
    labels = [TimedLabel(card.vocabulary.normalise(s.label), s.start, s.end, 1.0) for s in labelled.segments]
    if NO_LABEL not in card.vocabulary.symbols:
        return labels
    cut = [
        before if after is None or after.label == before.label else replace(before, end=min(before.end, after.start))
        for before, after in zip_longest(labels, labels[1:])
    ]
    return [label for label in cut if label.end > label.start]


def _speakers(scored: Sequence[tuple[Utterance, EditCounts]]) -> tuple[SpeakerRow, ...]:
    groups: dict[str, list[EditCounts]] = defaultdict(list)
    for utterance, count in scored:
        if utterance.speaker is not None:
            groups[utterance.speaker].append(count)
    rows = []
    for speaker, counts in groups.items():
        errors, length = sum(c.errors for c in counts), sum(c.reference_length for c in counts)
        rate = errors / length if length else math.inf if errors else 0.0
        rows.append(SpeakerRow(speaker, len(counts), errors, length, rate))
    return tuple(sorted(rows, key=lambda row: (-row.error_rate, row.speaker)))
