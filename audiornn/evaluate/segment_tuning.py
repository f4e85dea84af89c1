"""How labels of frames become segments, chosen on dev: the tracks are computed once, every trial only reads them.

First what all labels share (median filter, thresholds, least durations), one setting after the other; then each label's
own thresholds and durations. Of trials as good the simpler one is kept, and a label's own setting must earn its place.
Labels that are independent of each other are also tried from the thresholds that training gives them, each its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiornn.audio import Waveform
from audiornn.corpus.manifest import Segment, Utterance
from audiornn.errors import CorpusError
from audiornn.evaluate.hearing import Progress, check_segments, hear_all, unseen
from audiornn.evaluate.segments import activity, compare_segments, frame_centres, macro_f1
from audiornn.evaluate.several import choose_thresholds
from audiornn.listen.recognizer import Recognizer
from audiornn.listen.segments import LabelRule, SegmentReader, SegmentSettings, labels_of
from audiornn.model_file import ModelCard

__all__ = ["HeardFrames", "SegmentTrial", "SegmentTuning", "hear_frames", "tune_segments"]

MEDIANS = (0.0, 0.06, 0.1, 0.2, 0.3, 0.5)  # seconds
#: What a rule may be changed to, one after the other.
_CHANGES: tuple[dict[str, float], ...] = (
    *(
        {"onset": onset, "offset": round(share * onset, 3)}
        for onset in (0.5, 0.3, 0.4, 0.6, 0.7, 0.8)
        for share in (1.0, 0.8, 0.6)
    ),
    *({"least_gap": seconds} for seconds in (0.0, 0.05, 0.1, 0.15, 0.2, 0.3)),
    *({"least_segment": seconds} for seconds in (0.0, 0.05, 0.1, 0.15, 0.25)),
)
_MOST_OWN = 20  # labels; with more of them dev is too small to choose for each
_GAIN = 0.002  # by which a label's own setting must be better


@dataclass(frozen=True)
class HeardFrames:
    """A recording as the network heard it: log_probs (frames, symbols), its true segments, and its seconds."""

    log_probs: NDArray[np.float32]
    segments: tuple[Segment, ...]
    duration: float


@dataclass(frozen=True)
class SegmentTrial:
    """Settings, and the macro F1 of frames and of events with them."""

    settings: SegmentSettings
    frame_f1: float
    event_f1: float

    @property
    def score(self) -> float:
        """Their mean, which is what tuning looks for."""
        return (self.frame_f1 + self.event_f1) / 2


@dataclass(frozen=True)
class SegmentTuning:
    """Labels as training leaves them, the best trial, and how many were made.

    Attributes:
        plain: the most probable label of each frame; of independent labels, those above their thresholds.
        chosen: the best.
        n_trials: in all.
    """

    plain: SegmentTrial
    chosen: SegmentTrial
    n_trials: int

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return {"plain": asdict(self.plain), "chosen": asdict(self.chosen), "trials": self.n_trials}

    def to_text(self) -> str:
        """Lines for people."""
        settings = self.chosen.settings
        rows = {"all labels": settings.rule, **settings.rules}
        width = max(map(len, rows))
        lines = [
            f"{'':{14}}  frame F1  event F1",
            f"{'as trained':{14}}  {self.plain.frame_f1:8.4f}  {self.plain.event_f1:8.4f}",
            f"{'chosen':{14}}  {self.chosen.frame_f1:8.4f}  {self.chosen.event_f1:8.4f}   of {self.n_trials:,} trials",
            f"median filter {settings.median:g} s",
            f"{'':{width}}  onset  offset  least segment  least gap",
        ]
        lines += [
            f"{label:{width}}  {rule.onset:5g}  {rule.offset:6g}  {rule.least_segment:11g} s  {rule.least_gap:7g} s"
            for label, rule in rows.items()
        ]
        return "\n".join(lines)


def hear_frames(
    recognizer: Recognizer, utterances: Sequence[Utterance], progress: Progress = unseen
) -> list[HeardFrames]:
    """The log-probabilities of recordings, once for all trials.

    Raises:
        AudioError: a recording cannot be read.
        CorpusError: there is nothing to listen to, or segments that cannot be.
        ModelFileError: the model does not label frames.
    """
    card = recognizer.card
    card.check_task("label", "has segments to tune")
    rate = card.features.sample_rate

    def listen(utterance: Utterance, waveform: Waveform) -> HeardFrames:
        duration = len(waveform) / rate
        check_segments(utterance, duration, card)
        segments = tuple(replace(s, label=card.vocabulary.normalise(s.label)) for s in utterance.segments)
        return HeardFrames(recognizer.log_probs(recognizer.features(waveform)), segments, duration)

    heard, _ = hear_all(utterances, "dev", rate, listen, progress=progress)
    return [frames for _, frames in heard]


def tune_segments(card: ModelCard, heard: Sequence[HeardFrames], progress: Progress = unseen) -> SegmentTuning:
    """Try settings on dev and choose by the mean of frame F1 and event F1.

    Args:
        card: of the model.
        heard: the dev split, from `hear_frames`.
        progress: called after each trial; how many there will be, none knows.

    Raises:
        CorpusError: no label holds anywhere on dev.
    """
    if not any(recording.segments for recording in heard):
        raise CorpusError("there are no segments to tune on; the dev split is empty, or nothing is labelled in it")
    tried: dict[str, SegmentTrial] = {}

    def attempt(settings: SegmentSettings) -> SegmentTrial:
        key = repr(settings)
        if key not in tried:
            tried[key] = _attempt(card, heard, settings)
            progress(len(tried), len(tried))
        return tried[key]

    starts = [SegmentSettings()]
    if card.vocabulary.several:
        starts.append(_as_trained(card, heard))
    found = [_climb(labels_of(card), attempt(start), attempt) for start in starts]
    return SegmentTuning(attempt(starts[-1]), max(found, key=_score), len(tried))


def _climb(
    labels: Sequence[str], best: SegmentTrial, attempt: Callable[[SegmentSettings], SegmentTrial]
) -> SegmentTrial:
    """From a first trial to one that no single change makes better."""
    for _ in range(2):  # the second time round each setting meets the others as they were chosen
        for median in MEDIANS:
            best = max(best, attempt(replace(best.settings, median=median)), key=_score)
        for change in _CHANGES:
            best = max(best, attempt(_changed(best.settings, change)), key=_score)
    for label in labels if 1 < len(labels) <= _MOST_OWN else ():
        for change in _CHANGES:
            rules = {**best.settings.rules, label: replace(best.settings.rule_of(label), **change)}
            trial = attempt(replace(best.settings, rules=rules))
            if trial.score > best.score + _GAIN:
                best = trial
    return best


def _changed(settings: SegmentSettings, change: Mapping[str, float]) -> SegmentSettings:
    """Settings with another rule; labels that have their own keep their thresholds, and share the rest."""
    shared = {key: value for key, value in change.items() if key not in ("onset", "offset")}
    rules = {label: replace(rule, **shared) for label, rule in settings.rules.items()}
    return replace(settings, rule=replace(settings.rule, **change), rules=rules)


def _as_trained(card: ModelCard, heard: Sequence[HeardFrames]) -> SegmentSettings:
    """The threshold of each independent label that training would choose on these recordings, by F1 of frames."""
    labels = labels_of(card)
    truths = (activity(one.segments, labels, frame_centres(card, one.duration), one.duration) for one in heard)
    chosen = choose_thresholds(labels, zip((one.log_probs for one in heard), truths, strict=True))
    return SegmentSettings(rules={label: LabelRule(onset=least, offset=least) for label, least in chosen.items()})


def _score(trial: SegmentTrial) -> float:
    return trial.score


def _attempt(card: ModelCard, heard: Sequence[HeardFrames], settings: SegmentSettings) -> SegmentTrial:
    labels = labels_of(card)
    frames, events = np.zeros((len(labels), 3)), np.zeros((len(labels), 3))
    for recording in heard:
        reader = SegmentReader(card, settings)
        found = reader.push(recording.log_probs) + reader.finish(recording.duration)
        centres = frame_centres(card, recording.duration)
        counts = compare_segments(recording.segments, found, labels, centres, recording.duration, with_seconds=False)
        frames += counts.frames
        events += counts.events
    return SegmentTrial(settings, round(macro_f1(frames), 6), round(macro_f1(events), 6))
