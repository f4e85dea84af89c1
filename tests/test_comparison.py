"""Two models on the same recordings."""

import json

import numpy as np
import pytest
from scipy.stats import binomtest

from audiornn.errors import SettingsError
from audiornn.evaluate import comparison
from audiornn.evaluate.bootstrap import resampled_totals
from audiornn.evaluate.comparison import Comparison, mcnemar
from audiornn.evaluate.tally import Tally
from audiornn.files import json_line


def tally(errors, lengths, **kind):
    return Tally("error rate", "words", tuple(errors), tuple(lengths), (0.0, 1.0), **kind)


def compare(first, second, lengths, *, exact=False, root=False, seed=0) -> Comparison:
    sides = (tally(errors, lengths, is_exact=exact, is_root=root) for errors in (first, second))
    return comparison.compare(*sides, seed=seed)


@pytest.mark.parametrize(("a", "b"), [(0, 0), (1, 0), (3, 12), (40, 40), (0, 9)])
def test_mcnemar_is_a_fair_coin_thrown_for_each_utterance_that_only_one_got_right(a, b):
    expected = binomtest(a, a + b).pvalue if a + b else 1.0
    assert mcnemar(a, b) == pytest.approx(expected)


@pytest.mark.parametrize("exact", [True, False])
def test_a_model_is_not_better_than_itself(exact):
    errors = np.random.default_rng(0).integers(0, 2, 300)
    found = compare(errors, errors, [1] * 300, exact=exact)
    assert found.difference == 0
    assert found.interval == (0, 0)
    assert found.p_value == 1
    assert found.first_alone == found.second_alone == 0


@pytest.mark.parametrize("exact", [True, False])
def test_a_large_difference_is_told_from_a_small_one(exact):
    rng = np.random.default_rng(1)
    worse = rng.random(1000) < 0.3
    much, hardly = worse & (rng.random(1000) < 0.5), worse & (rng.random(1000) < 0.99)
    clear = compare(much.astype(int), worse.astype(int), [1] * 1000, exact=exact)
    assert clear.p_value < 0.01
    assert clear.interval[1] < 0
    assert clear.difference == pytest.approx((much.sum() - worse.sum()) / 1000)
    assert clear.first_alone == worse.sum() - much.sum()
    luck = compare(hardly.astype(int), worse.astype(int), [1] * 1000, exact=exact)
    assert luck.p_value > 0.01
    assert "points" in luck.to_text()


def test_both_ways_round_are_mirror_images():
    rng = np.random.default_rng(2)
    a, b, lengths = rng.integers(0, 4, 80), rng.integers(0, 3, 80), rng.integers(3, 9, 80)
    there, back = compare(a, b, lengths, exact=False), compare(b, a, lengths, exact=False)
    assert there.difference == -back.difference
    assert there.interval == pytest.approx((-back.interval[1], -back.interval[0]))
    assert there.p_value == pytest.approx(back.p_value)


def test_a_bootstraps_p_is_this():
    draw = np.random.default_rng(3)
    first, second, lengths = draw.integers(0, 4, 30), draw.integers(0, 4, 30), draw.integers(4, 9, 30)
    drawn = resampled_totals(np.stack([first - second, lengths], axis=1), seed=5, n_resamples=10_000)
    tail = min((drawn[:, 0] <= 0).sum(), (drawn[:, 0] >= 0).sum())
    found = compare(first.tolist(), second.tolist(), lengths.tolist(), exact=False, seed=5)
    assert found.p_value == pytest.approx(2 * (1 + tail) / 10_001)
    assert 0.01 < found.p_value < 1
    assert compare([1] * 30, [0] * 30, [4] * 30, exact=False).p_value == pytest.approx(2 / 10_001)


def test_a_few_recordings_prove_no_more_than_as_many_coins():
    """All of a few may point one way by luck, and then all draws of them do."""
    for n in (1, 2, 5):
        assert compare([1] * n, [2] * n, [10] * n).p_value == mcnemar(n, 0) == 2.0 ** (1 - n)
        assert compare([1.0] * n, [2.0] * n, [10] * n, root=True).p_value == 2.0 ** (1 - n)
    alone = compare([1], [2], [10])
    assert np.isnan(alone.interval).all()
    assert "p = 1" in alone.to_text()


def test_roots_of_squared_errors_are_compared_in_the_tracks_unit():
    draw = np.random.default_rng(4)
    lengths = draw.integers(0, 50, 40)
    lengths[7] = 0
    squares = [(lengths * draw.uniform(0.7, 1.3, 40) * deviation**2).tolist() for deviation in (2.0, 3.0)]
    found = compare(*squares, lengths, root=True)
    rmse = [np.sqrt(sum(side) / lengths.sum()) for side in squares]
    assert found.difference == pytest.approx(rmse[0] - rmse[1])
    assert found.interval[0] < found.difference < found.interval[1] < 0
    assert found.p_value < 0.001
    assert found.first_alone == (lengths > 0).sum()
    assert f"{rmse[0]:.4g} against {rmse[1]:.4g}: {found.difference:+.4g}, 95 %" in found.to_text()


def test_what_nothing_defines_is_no_difference():
    found = compare([0.0, 0.0], [0.0, 0.0], [0, 0], root=True)
    entry = json.loads(json_line(found.to_json()))
    assert entry | {"difference": None, "interval": [None, None], "p_value": None} == entry


def test_mcnemar_of_many_is_as_quick_as_of_few():
    assert mcnemar(9, 1) == pytest.approx(22 / 1024)
    assert mcnemar(500_000, 500_000) == 1.0


def test_other_recordings_or_units_are_not_compared():
    for other in (tally([1, 0], [3, 4]), Tally("error rate", "phones", (1, 0), (3, 3), (0.0, 1.0))):
        with pytest.raises(SettingsError, match="nothing to compare"):
            comparison.compare(tally([1, 0], [3, 3]), other)
