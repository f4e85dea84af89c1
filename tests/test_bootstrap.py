"""Recordings drawn anew."""

import numpy as np
import pytest

from audiornn.evaluate.bootstrap import percentile_interval, resampled_totals


def test_the_interval_holds_95_of_100_draws():
    assert percentile_interval(np.arange(1001.0)) == (25.0, 975.0)
    assert percentile_interval([float("nan")]) is None
    low, high = percentile_interval(resampled_totals(np.repeat([0, 1], 200)) / 400)
    assert (low, high) == pytest.approx((0.5 - 1.96 * 0.025, 0.5 + 1.96 * 0.025), abs=0.006)
