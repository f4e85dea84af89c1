"""Error counts against the recursion, intervals against what is known."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from audiornn.evaluate.error_rates import (
    EditCounts,
    bootstrap_interval,
    costliest,
    count_edits,
    error_rate,
    interval_of_mean,
    wilson_interval,
)
from tests.reference import edit_distance

pytest.importorskip("jiwer", reason="the alignment is jiwer's")

symbols = st.lists(st.sampled_from(["a", "b", "c", " ", "", "ü", "one", "a b", "\U000f0000"]), max_size=8)


# --- edits ---


@given(symbols, symbols)
def test_edits_are_as_few_as_the_recursion_says(reference, hypothesis):
    counts = count_edits(reference, hypothesis)
    assert counts.errors == edit_distance(reference, hypothesis)
    assert counts.reference_length == len(reference)
    assert len(hypothesis) == len(reference) - counts.deletions + counts.insertions
    assert min(counts.substitutions, counts.deletions, counts.insertions) >= 0


@given(symbols, symbols)
def test_every_edit_is_told(reference, hypothesis):
    counts = count_edits(reference, hypothesis)
    assert len(counts.confusions) == counts.errors
    assert all(a != b or a == b == "" for a, b in counts.confusions)
    missing = [a for a, b in counts.confusions if a]
    assert not [symbol for symbol in missing if symbol not in reference]


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("one two three", "one two three", (0, 0, 0)),
        ("one two three", "one too three", (1, 0, 0)),
        ("one two three", "one three", (0, 1, 0)),
        ("one three", "one two three", (0, 0, 1)),
        ("", "one two", (0, 0, 2)),
        ("one two", "", (0, 2, 0)),
        ("", "", (0, 0, 0)),
    ],
)
def test_edits_of_words(reference, hypothesis, expected):
    counts = count_edits(reference.split(), hypothesis.split())
    assert (counts.substitutions, counts.deletions, counts.insertions) == expected


def test_confusions_are_named():
    counts = count_edits(["yes", "no", "yes"], ["yes", "yes", "yes", "up"])
    assert set(counts.confusions) == {("no", "yes"), ("", "up")}


def test_swapping_swaps_deletions_and_insertions():
    there, back = count_edits("abcd", "bd"), count_edits("bd", "abcd")
    assert (there.deletions, there.insertions) == (back.insertions, back.deletions) == (2, 0)


def test_long_sequences_are_counted_fast():
    reference = [str(i % 7) for i in range(3000)]
    assert count_edits(reference, reference[:1500] + reference[1501:]).errors == 1


# --- rates ---


def counts_of(*pairs):
    return [EditCounts(errors, 0, 0, length) for errors, length in pairs]


def test_rates_pool_errors_and_lengths():
    total = error_rate(counts_of((1, 10), (3, 2)))
    assert (total.errors, total.reference_length, total.rate) == (4, 12, 4 / 12)
    assert error_rate(counts_of((5, 2))).rate == 2.5


def test_empty_references():
    assert error_rate(counts_of((0, 0))).rate == 0.0
    assert error_rate([]).rate == 0.0
    assert error_rate(counts_of((2, 0), (1, 4))).rate == 0.75  # insertions into silence count
    assert error_rate(counts_of((2, 0))).errors == 2


# --- Wilson ---


@pytest.mark.parametrize(
    ("successes", "n", "expected"),
    [
        (0, 10, (0.0, 0.2775)),  # Newcombe 1998 and Brown, Cai and DasGupta 2001
        (5, 10, (0.2366, 0.7634)),
        (10, 10, (0.7225, 1.0)),
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
        (3, 300, (0.0034, 0.0290)),
    ],
)
def test_wilson_as_published(successes, n, expected):
    assert wilson_interval(successes, n) == pytest.approx(expected, abs=6e-5)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_wilson_holds_the_share_and_is_symmetrical(n, share):
    k = round(share * n)
    low, high = wilson_interval(k, n)
    assert 0 <= low <= k / n <= high <= 1
    assert low < high
    mirrored = wilson_interval(n - k, n)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), abs=1e-12)


def test_wilson_of_nothing_knows_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)


# --- bootstrap ---


def test_bootstrap_repeats_itself_and_holds_the_rate():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, 60).tolist()
    errors = [int(rng.binomial(n, 0.2)) for n in lengths]
    low, high = bootstrap_interval(errors, lengths)
    assert bootstrap_interval(errors, lengths) == (low, high)
    assert bootstrap_interval(errors, lengths, seed=1) != (low, high)
    assert 0 <= low < sum(errors) / sum(lengths) < high


def test_bootstrap_agrees_with_wilson_where_both_hold():
    errors = [1] * 60 + [0] * 240
    expected = wilson_interval(60, 300)
    assert bootstrap_interval(errors, [1] * 300) == pytest.approx(expected, abs=0.01)


def test_bootstrap_is_wider_where_errors_cluster():
    spread = bootstrap_interval([1] * 20 + [0] * 20, [10] * 40)
    clustered = bootstrap_interval([10] * 2 + [0] * 38, [10] * 40)
    assert clustered[1] - clustered[0] > 2 * (spread[1] - spread[0])


def test_bootstrap_without_an_error_is_wilsons_bound():
    assert bootstrap_interval([0] * 40, [8] * 40) == wilson_interval(0, 40)  # frames of one recording are no witnesses
    assert bootstrap_interval([0, 0, 0], [8, 0, 8]) == wilson_interval(0, 2)


def test_a_draw_without_a_word_has_no_rate():
    assert bootstrap_interval([3, 3, 0], [3, 3, 0]) == wilson_interval(2, 2)
    assert bootstrap_interval([2, 0], [13, 0]) == (0.0, 1.0)  # one alone knows no spread


def test_recordings_that_are_all_alike_show_no_spread_and_are_counted_as_witnesses():
    assert bootstrap_interval([8] * 40, [8] * 40) == wilson_interval(40, 40)  # a network that never says a word
    assert bootstrap_interval([4] * 40, [8] * 40) == wilson_interval(20, 40)
    assert bootstrap_interval([9] * 40, [3] * 40) == (3.0, 3.0)  # no share
    assert bootstrap_interval([3, 3], [6, 6]) == wilson_interval(1, 2)


def test_bootstrap_of_one_utterance_and_of_none():
    assert bootstrap_interval([2], [4]) == (0.0, 1.0)  # who knows how another one fares
    assert bootstrap_interval([], []) == (0.0, 1.0)


def test_bootstrap_of_insertions_into_silence_is_finite():
    low, high = bootstrap_interval([1, 0, 2, 0], [0, 0, 0, 5])
    assert 0 <= low <= high < math.inf


@pytest.mark.parametrize("n", [2, 4, 8])
def test_the_interval_of_a_few_recordings_holds_the_rate_of_all_as_often_as_it_says(n):
    rng = np.random.default_rng(n)
    lengths = rng.integers(10, 80, (400, n))
    errors = rng.binomial(lengths, rng.beta(2.4, 17.6, (400, n)))  # of many whose rate is 0.12
    intervals = [bootstrap_interval(*drawn) for drawn in zip(errors.tolist(), lengths.tolist(), strict=True)]
    assert 0.88 <= np.mean([low <= 0.12 <= high for low, high in intervals]) <= 0.99


# --- confusions ---


def test_the_interval_of_a_few_speakers_holds_the_mean_of_all_as_often_as_it_says():
    rng = np.random.default_rng(1)
    crowd = rng.beta(2.4, 17.6, (400, 4))  # four at a time, of many whose mean is 0.12
    intervals = [interval_of_mean(drawn.tolist()) for drawn in crowd]
    assert 0.9 <= np.mean([low <= 0.12 <= high for low, high in intervals]) <= 0.98
    expected = scipy.stats.ttest_1samp([0.1, 0.2, 0.4], 0).confidence_interval()
    assert interval_of_mean([0.1, 0.2, 0.4]) == pytest.approx((max(0, expected.low), expected.high))
    assert interval_of_mean([0.3, 0.9], most=1.0) == (0.0, 1.0)
    assert interval_of_mean([0.0, 0.0]) == wilson_interval(0, 2)
    assert interval_of_mean([0.25, 0.25]) == wilson_interval(0.5, 2)  # that two are alike does not say that all are


def test_costliest_first_then_alphabetical():
    several = [("b", "x"), ("a", "y"), ("b", "x"), ("a", "x")]
    assert costliest(several) == [("b", "x", 2), ("a", "x", 1), ("a", "y", 1)]
    assert costliest(several, n=1) == [("b", "x", 2)]
    assert costliest([]) == []
