"""What a model gets wrong, as its task asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from audiornn.corpus.manifest import Utterance
from audiornn.evaluate.regression import evaluate_tracks
from audiornn.evaluate.report import evaluate
from audiornn.evaluate.several import evaluate_several
from audiornn.evaluate.tally import Tally
from audiornn.listen.recognizer import Recognizer

__all__ = ["ErrorReport", "look_ahead_table", "report_on"]


class ErrorReport(Protocol):
    """What the report of every task has; a spotter's misses and false alarms are in a `SpotReport`, which has not."""

    @property
    def utterances(self) -> int:
        """How many were listened to."""

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Recordings that could not be listened to, with the reason."""

    @property
    def tallies(self) -> tuple[Tally, ...]:
        """The errors of each utterance, in their order: what models are compared by."""

    @property
    def headline(self) -> str:
        """The errors in a few words."""

    def to_json(self) -> dict[str, Any]:
        """Plain types."""

    def to_text(self) -> str:
        """A page for people."""


def report_on(recognizer: Recognizer, utterances: Sequence[Utterance], split: str, **options: Any) -> ErrorReport:
    """Evaluate a model on utterances; arguments and errors are those of its task's own function."""
    if recognizer.card.task == "regress":
        return evaluate_tracks(recognizer, utterances, split, **options)
    if recognizer.card.task == "classify" and recognizer.card.vocabulary.several:
        return evaluate_several(recognizer, utterances, split, **options)
    return evaluate(recognizer, utterances, split, **options)


def look_ahead_table(whole: ErrorReport, with_look_ahead: Sequence[tuple[float, ErrorReport]]) -> str:
    """Look-ahead against error rate, for people; the last row sees each recording whole."""
    lines = [f"{'look-ahead':>12}  {'errors':>7}  {'error rate':>10}  95 % interval"]
    for name, report in [*((f"{seconds:g} s", report) for seconds, report in with_look_ahead), ("all", whole)]:
        (tally,) = report.tallies
        low, high = (100 * bound for bound in tally.interval)
        lines.append(f"{name:>12}  {sum(tally.errors):7,}  {tally.shown(tally.value):>10}  {low:.2f}–{high:.2f}")
    return "\n".join(lines)
