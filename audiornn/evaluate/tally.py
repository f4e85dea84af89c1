"""Tallies: what a report counts of each recording, whatever the task.

A figure that is made of sums over recordings can be compared between two models recording by recording, drawn anew for
an interval, and averaged over folds. Error rates are such figures, and so is a root mean square error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tally"]


@dataclass(frozen=True)
class Tally:
    """One figure of a report, and what each recording adds to it.

    Attributes:
        measure: the figure's name, for people.
        unit: what is counted; of a root the track.
        errors: of each recording, (recordings,): wrong units, or squared errors summed up.
        lengths: units in each recording's reference, (recordings,).
        interval: 95 % of the value.
        is_root: whether the value is √(Σ errors / Σ lengths), in the track's own unit, and not a share.
        is_exact: whether a recording is right or wrong, not more or less so.
    """

    measure: str
    unit: str
    errors: tuple[float, ...]
    lengths: tuple[int, ...]
    interval: tuple[float, float]
    is_root: bool = False
    is_exact: bool = False

    @property
    def value(self) -> float:
        """The figure of all recordings together; of nothing it is NaN."""
        return float(self.values_of(np.sum(self.errors), np.sum(self.lengths)))

    def values_of(self, errors: NDArray[np.float64], units: NDArray[np.float64]) -> NDArray[np.float64]:
        """The figure that sums over recordings come to, of any shape."""
        with np.errstate(invalid="ignore", divide="ignore"):
            shares: NDArray[np.float64] = np.where(units > 0, errors / units, np.nan)
        return np.sqrt(shares) if self.is_root else shares

    def shown(self, value: float, *, sign: str = "") -> str:
        """A value of this figure, or a difference of two, for people."""
        if value != value:
            return "–"
        return f"{value:{sign}.4g}" if self.is_root else f"{100 * value:{sign}.2f} %"
