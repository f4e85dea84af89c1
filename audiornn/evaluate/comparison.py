"""Comparison: whether one model is better than another on the same recordings, or was lucky.

Both are scored utterance by utterance. Labels are compared by McNemar's exact test (Dietterich 1998), transcripts by a
paired bootstrap over utterances (Bisani and Ney 2004).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audiornn.evaluate.bootstrap import percentile_interval, resampled_totals

__all__ = ["Comparison", "compare", "mcnemar"]

_RESAMPLES = 10_000  # a p-value lies in the tail


@dataclass(frozen=True)
class Comparison:
    """One model against another, on the same utterances.

    Attributes:
        first_errors: of the first model.
        second_errors: of the second.
        reference_length: units in the references.
        first_alone: utterances on which only the first makes fewer errors.
        second_alone: on which only the second does.
        difference: the first's error rate less the second's; below 0 the first is better.
        interval: 95 % of the difference, a bootstrap over utterances.
        p_value: how probable so large a difference is between two models that are equally good.
    """

    first_errors: int
    second_errors: int
    reference_length: int
    first_alone: int
    second_alone: int
    difference: float
    interval: tuple[float, float]
    p_value: float

    def to_text(self) -> str:
        """Two lines for people."""
        low, high = (100 * bound for bound in self.interval)
        n = max(1, self.reference_length)
        return (
            f"{self.first_errors:,} errors ({100 * self.first_errors / n:.2f} %) against {self.second_errors:,} "
            f"({100 * self.second_errors / n:.2f} %): {100 * self.difference:+.2f} points, 95 % interval "
            f"{low:+.2f} to {high:+.2f}, p = {self.p_value:.3g}\n"
            f"better on {self.first_alone:,} utterances, worse on {self.second_alone:,}"
        )


def compare(
    first: Sequence[int], second: Sequence[int], lengths: Sequence[int], *, exact: bool, seed: int = 0
) -> Comparison:
    """Compare two models' errors, utterance by utterance.

    Args:
        first: errors of the first model, (utterances,).
        second: of the second, on the same utterances in the same order.
        lengths: units in each reference.
        exact: whether an utterance is right or wrong (McNemar's test), not more or less so (bootstrap).
        seed: of the bootstrap.
    """
    errors = np.array([first, second], np.float64)
    units = np.asarray(lengths, np.float64)
    total = max(1.0, float(units.sum()))
    drawn = resampled_totals(np.stack([errors[0] - errors[1], units], axis=1), seed=seed, n_resamples=_RESAMPLES)
    differences = drawn[:, 0] / np.maximum(1.0, drawn[:, 1])
    interval = percentile_interval(differences)
    assert interval is not None  # no draw is without a difference
    first_alone, second_alone = int((errors[0] < errors[1]).sum()), int((errors[1] < errors[0]).sum())
    if exact:
        p_value = mcnemar(first_alone, second_alone)
    else:
        # Both tails, and never 0 of so many resamples.
        tail = 1 + min(int((differences <= 0).sum()), int((differences >= 0).sum()))
        p_value = min(1.0, 2 * tail / (_RESAMPLES + 1))
    return Comparison(
        int(errors[0].sum()),
        int(errors[1].sum()),
        int(units.sum()),
        first_alone,
        second_alone,
        float((errors[0] - errors[1]).sum() / total),
        interval,
        p_value,
    )


def mcnemar(first_alone: int, second_alone: int) -> float:
    """The two-sided p-value of McNemar's exact test: the utterances that only one of two models got right, as coins."""
    n, fewer = first_alone + second_alone, min(first_alone, second_alone)
    tail = sum(math.comb(n, k) for k in range(fewer + 1))
    return min(1.0, 2 * tail / 2**n)
