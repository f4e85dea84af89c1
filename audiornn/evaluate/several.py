"""Several labels of a recording: precision, recall and F1 of each, and what they come to together.

Conventions: a label is said to hold where its probability reaches its threshold. Of n recordings that have it tp are
found, and fp others are said to: precision = tp / (tp + fp), recall = tp / n, F1 = 2 tp / (2 tp + fp + fn). Micro F1
pools the counts of all labels, macro F1 is the mean of their F1. Average precision asks nothing of a threshold: the
mean, over the recordings that have the label in the order of their probability, of the precision there; its mean over
labels is mAP. A label that no recording has gets neither F1 nor average precision, and does not count in the means.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiornn.audio import Waveform
from audiornn.corpus.manifest import Utterance
from audiornn.errors import CorpusError
from audiornn.evaluate.error_rates import bootstrap_interval, interval_of_counts, wilson_interval
from audiornn.evaluate.hearing import Progress, hear_all, unseen
from audiornn.evaluate.tally import Tally
from audiornn.listen.recognizer import Recognizer
from audiornn.model_file import ModelCard

__all__ = [
    "PresenceRow",
    "SeveralReport",
    "average_precision",
    "best_threshold",
    "choose_thresholds",
    "evaluate_several",
]


@dataclass(frozen=True)
class PresenceRow:
    """One label.

    Attributes:
        label: its name.
        threshold: the probability from which it is said to hold.
        positives: recordings that have it.
        found: of those, the ones said to have it.
        wrong: others that are said to have it.
        precision: None where it is never said to hold.
        recall: None where it never holds.
        f1: likewise.
        average_precision: likewise.
    """

    label: str
    threshold: float
    positives: int
    found: int
    wrong: int
    precision: float | None
    recall: float | None
    f1: float | None
    average_precision: float | None


@dataclass(frozen=True)
class SeveralReport:
    """What an evaluation found.

    Attributes:
        task: the model's.
        split: the split's name, or the manifest's.
        utterances: how many were listened to.
        right: recordings whose labels are all right.
        accuracy: right / utterances.
        interval: of the accuracy, 95 %, Wilson's.
        micro_f1: over all labels together; None where none ever holds.
        micro_interval: 95 %, a bootstrap over recordings.
        macro_f1: the mean over labels.
        macro_interval: likewise.
        mean_average_precision: the mean over labels.
        labels: a row each.
        errors: wrong decisions; each label of each recording is one.
        reference_length: decisions.
        unreadable: recordings that could not be listened to, with the reason.
        tallies: one, wrong decisions of each recording, in their order.
    """

    task: str
    split: str
    utterances: int
    right: int
    accuracy: float
    interval: tuple[float, float]
    micro_f1: float | None
    micro_interval: tuple[float, float] | None
    macro_f1: float | None
    macro_interval: tuple[float, float] | None
    mean_average_precision: float | None
    labels: tuple[PresenceRow, ...]
    errors: int
    reference_length: int
    unreadable: tuple[str, ...] = ()
    tallies: tuple[Tally, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain types; None where there is nothing to measure."""
        return {key: value for key, value in asdict(self).items() if key != "tallies"}

    @property
    def headline(self) -> str:
        """The share of wrong decisions in a few words."""
        rate = 100 * self.errors / max(1, self.reference_length)
        return f"{rate:6.2f} %  ({self.errors:,} of {self.reference_length:,} decisions)"

    def to_text(self) -> str:
        """A page for people."""
        low, high = (100 * bound for bound in self.interval)
        lines = [
            f"all labels right {100 * self.accuracy:.2f} %  ({self.right:,} of {self.utterances:,} recordings; "
            f"95 % interval {low:.2f}–{high:.2f})"
        ]
        for name, value, interval in (
            ("micro F1", self.micro_f1, self.micro_interval),
            ("macro F1", self.macro_f1, self.macro_interval),
        ):
            if value is not None and interval is not None:
                lines.append(f"{name} {value:.4f}  (95 % interval {interval[0]:.4f}–{interval[1]:.4f})")
        if self.mean_average_precision is not None:
            lines.append(f"mean average precision {self.mean_average_precision:.4f}")
        width = max(5, *(len(row.label) for row in self.labels))
        lines += ["", f"{'label':{width}}  threshold  holds  found  wrong  precision  recall      F1      AP"]
        for row in self.labels:
            shown = (row.precision, row.recall, row.f1, row.average_precision)
            cells = ["     –" if value is None else f"{value:6.4f}" for value in shown]
            lines.append(
                f"{row.label:{width}}  {row.threshold:9.3f} {row.positives:6,} {row.found:6,} {row.wrong:6,}  "
                f"   {cells[0]}  {cells[1]}  {cells[2]}  {cells[3]}"
            )
        return "\n".join(lines)


def evaluate_several(
    recognizer: Recognizer,
    utterances: Sequence[Utterance],
    split: str,
    *,
    skip_bad: bool = False,
    progress: Progress = unseen,
) -> SeveralReport:
    """Listen to every utterance, and compare what holds with what is said to hold.

    Args:
        recognizer: a classifier whose labels are independent of each other.
        utterances: with their references.
        split: what to call them.
        skip_bad: count unreadable recordings instead of stopping at the first.
        progress: called after each utterance.

    Raises:
        AudioError: a recording cannot be read.
        CorpusError: there is nothing to listen to, or a label that the model cannot give.
    """
    card = recognizer.card

    def listen(utterance: Utterance, waveform: Waveform) -> tuple[NDArray[Any], NDArray[Any]]:
        return np.exp(recognizer.log_probs(recognizer.features(waveform))), _truths(card, utterance)

    heard, unreadable = hear_all(
        utterances, split, card.features.sample_rate, listen, skip_bad=skip_bad, progress=progress
    )
    scores = np.stack([scores for _, (scores, _) in heard])
    truths = np.stack([truths for _, (_, truths) in heard])
    return _report(card, split, scores, truths, unreadable)


def average_precision(scores: NDArray[Any], truths: NDArray[np.bool_]) -> float:
    """Σ (recall step) · precision over the thresholds there are, both (n,); NaN where nothing is true."""
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(truths[order])
    last_of_ties = np.flatnonzero(np.diff(scores[order], append=-np.inf))
    precision = found[last_of_ties] / (last_of_ties + 1)
    steps = np.diff(found[last_of_ties], prepend=0)
    return float((steps * precision).sum() / found[-1]) if len(found) and found[-1] else math.nan


def best_threshold(scores: NDArray[Any], truths: NDArray[np.bool_]) -> float:
    """The threshold of the highest F1, half-way to the next score below; a half where nothing is true."""
    if not truths.any():
        return 0.5
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order].astype(np.float64)
    found = np.cumsum(truths[order])
    f1 = 2 * found / (np.arange(1, len(ranked) + 1) + truths.sum())
    f1[:-1][ranked[1:] == ranked[:-1]] = -1.0  # no threshold parts what is equal
    best = int(f1.argmax())
    below = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    return float((ranked[best] + below) / 2)


def choose_thresholds(
    labels: Sequence[str], said: Iterable[tuple[NDArray[np.float32], NDArray[Any]]]
) -> dict[str, float]:
    """The threshold of each label that does best by F1.

    Args:
        labels: the vocabulary's.
        said: log-probabilities and targets of each utterance, both (labels,) or (frames, labels).
    """
    pairs = [(np.atleast_2d(log_probs), np.atleast_2d(targets)) for log_probs, targets in said]
    scores = np.exp(np.concatenate([log_probs for log_probs, _ in pairs]))
    truths = np.concatenate([targets for _, targets in pairs]) > 0.5
    best = (best_threshold(scores[:, i], truths[:, i]) for i in range(len(labels)))
    return {label: min(1.0, max(1e-12, float(f"{least:.6g}"))) for label, least in zip(labels, best, strict=True)}


def _truths(card: ModelCard, utterance: Utterance) -> NDArray[np.bool_]:
    """Which labels a recording has, (labels,)."""
    try:
        return np.isin(np.arange(len(card.vocabulary)), card.vocabulary.encode(utterance.text))
    except CorpusError as error:
        raise CorpusError(f"{utterance.id}: {error}") from None


def _report(
    card: ModelCard, split: str, scores: NDArray[Any], truths: NDArray[np.bool_], unreadable: tuple[str, ...]
) -> SeveralReport:
    """The report on scores and truths, both (recordings, labels)."""
    symbols = card.vocabulary.symbols
    thresholds = np.array([card.thresholds.get(label, 0.5) for label in symbols])
    said = scores >= thresholds
    counts = np.stack([truths, said & truths, said & ~truths], axis=1).astype(np.int64)  # (recordings, 3, labels)
    total = counts.sum(axis=0)
    precisions = [average_precision(scores[:, i], truths[:, i]) for i in range(len(symbols))]
    rows = tuple(
        PresenceRow(
            label,
            float(thresholds[i]),
            int(true),
            int(found),
            int(wrong),
            _ratio(found, found + wrong),
            _ratio(found, true),
            _ratio(2 * found, true + found + wrong) if true else None,
            None if math.isnan(precisions[i]) else precisions[i],
        )
        for i, label in enumerate(symbols)
        for true, found, wrong in [total[:, i]]
    )
    micro, macro = _f1s(total)
    known = [p for p in precisions if not math.isnan(p)]
    n, n_right = len(truths), int((said == truths).all(axis=1).sum())
    wrong_of_each = tuple((said != truths).sum(axis=1).tolist())
    decisions = (len(symbols),) * n
    return SeveralReport(
        task=card.task,
        split=split,
        utterances=n,
        right=n_right,
        accuracy=n_right / n,
        interval=wilson_interval(n_right, n),
        micro_f1=None if math.isnan(micro) else micro,
        micro_interval=None if math.isnan(micro) else interval_of_counts(counts, lambda c: _f1s(c)[0]),
        macro_f1=None if math.isnan(macro) else macro,
        macro_interval=None if math.isnan(macro) else interval_of_counts(counts, lambda c: _f1s(c)[1]),
        mean_average_precision=sum(known) / len(known) if known else None,
        labels=rows,
        errors=sum(wrong_of_each),
        reference_length=truths.size,
        unreadable=unreadable,
        tallies=(
            Tally(
                "wrong decisions", "decisions", wrong_of_each, decisions, bootstrap_interval(wrong_of_each, decisions)
            ),
        ),
    )


def _f1s(total: NDArray[Any]) -> tuple[float, float]:
    """Micro and macro F1 of counts (3, labels); NaN where no label holds."""
    true, found, wrong = total
    present = true > 0
    if not present.any():
        return math.nan, math.nan
    micro = 2 * found.sum() / (true.sum() + found.sum() + wrong.sum())
    return float(micro), float((2 * found[present] / (true + found + wrong)[present]).mean())


def _ratio(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None
