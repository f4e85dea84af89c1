"""Comparison: whether one model is better than another on the same recordings, or was lucky.

Both are scored recording by recording. Labels are compared by McNemar's exact test (Dietterich 1998), all else by a
paired bootstrap over recordings (Bisani and Ney 2004).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import bdtr

from audiornn.errors import SettingsError
from audiornn.evaluate.bootstrap import percentile_interval, resampled_totals
from audiornn.evaluate.tally import Tally

__all__ = ["Comparison", "compare", "mcnemar"]

_RESAMPLES = 10_000  # a p-value lies in the tail


@dataclass(frozen=True)
class Comparison:
    """One model against another, on the same recordings.

    Attributes:
        first: the first model's tally.
        second: the second's.
        first_alone: recordings on which only the first makes fewer errors.
        second_alone: on which only the second does.
        difference: the first's figure less the second's; below 0 the first is better.
        interval: 95 % of the difference, a bootstrap over recordings; NaN of a single one.
        p_value: how probable so large a difference is between two models that are equally good.
    """

    first: Tally
    second: Tally
    first_alone: int
    second_alone: int
    difference: float
    interval: tuple[float, float]
    p_value: float

    def to_json(self) -> dict[str, Any]:
        """Plain types, and no row a recording."""
        entry = {key: value for key, value in asdict(self).items() if key not in ("first", "second")}
        sums = {"first_errors": sum(self.first.errors), "second_errors": sum(self.second.errors)}
        return {"measure": self.first.measure, **sums, "reference_length": sum(self.first.lengths), **entry}

    def to_text(self) -> str:
        """Two lines for people."""
        tally = self.first
        sides = [tally.shown(side.value) for side in (self.first, self.second)]
        if not tally.is_root:
            counts = [f"{sum(side.errors):,}" for side in (self.first, self.second)]
            sides = [f"{counts[0]} errors ({sides[0]})", f"{counts[1]} ({sides[1]})"]
        low, high, moved = (
            tally.shown(value, sign="+").removesuffix(" %") for value in (*self.interval, self.difference)
        )
        name = f"{tally.measure}: " if tally.is_root else ""
        p_value = "–" if math.isnan(self.p_value) else f"{self.p_value:.3g}"
        return (
            f"{name}{sides[0]} against {sides[1]}: {moved}{'' if tally.is_root else ' points'}, 95 % interval "
            f"{low} to {high}, p = {p_value}\n"
            f"better on {self.first_alone:,} recordings, worse on {self.second_alone:,}"
        )


def compare(first: Tally, second: Tally, *, seed: int = 0) -> Comparison:
    """Compare what two models' tallies say of the same recordings in the same order.

    Args:
        first: of the first model.
        second: of the second.
        seed: of the bootstrap.

    Raises:
        SettingsError: they count something else, or other recordings.
    """
    if (first.measure, first.unit, first.lengths) != (second.measure, second.unit, second.lengths):
        raise SettingsError(
            f"counts other units ({second.unit}) than the first ({first.unit}) or other recordings; nothing to compare"
        )
    errors = np.array([first.errors, second.errors], np.float64)
    units = np.asarray(first.lengths, np.float64)
    drawn = resampled_totals(np.stack([*errors, units], axis=1), seed=seed, n_resamples=_RESAMPLES)
    differences = first.values_of(drawn[:, 0], drawn[:, 2]) - first.values_of(drawn[:, 1], drawn[:, 2])
    several = (units > 0).sum() > 1  # one recording says nothing of how another fares
    interval = (percentile_interval(differences) if several else None) or (math.nan, math.nan)
    first_alone, second_alone = int((errors[0] < errors[1]).sum()), int((errors[1] < errors[0]).sum())
    if first.is_exact:
        p_value = mcnemar(first_alone, second_alone)
    else:
        # Both tails, and never 0 of so many resamples; nor rarer than that so many coins fall alike, by which a few
        # recordings that all point one way are told from many.
        known = differences[np.isfinite(differences)]
        tail = 1 + min(int((known <= 0).sum()), int((known >= 0).sum()))
        p_value = max(2 * tail / (len(known) + 1), 2.0 ** (1 - first_alone - second_alone))
        p_value = min(1.0, p_value) if len(known) else math.nan
    return Comparison(first, second, first_alone, second_alone, first.value - second.value, interval, p_value)


def mcnemar(first_alone: int, second_alone: int) -> float:
    """The two-sided p-value of McNemar's exact test: the utterances that only one of two models got right, as coins."""
    fewer = min(first_alone, second_alone)
    return min(1.0, 2 * float(bdtr(fewer, first_alone + second_alone, 0.5)))
