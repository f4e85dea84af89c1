"""How a spotter does on dev, and which threshold that gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="training needs torch")

from audiornn.evaluate.onsets import choose_onset, loudest_peaks
from audiornn.listen.keywords import Scores, SpotDecider, SpotSettings
from audiornn.train.spot_score import (
    DECISION,
    SpotAnswers,
    smoothed,
    spotting_of,
)


def answers(keywords, alarms, hours):
    return SpotAnswers({"hey": np.array(keywords)}, {"hey": np.sort(np.array(alarms))[::-1]}, hours)


def logistic(x):
    return 1 / (1 + np.exp(-np.asarray(x, float)))


def test_misses_are_counted_at_the_thresholds_that_allow_some_false_alarms():
    found = answers([0.9, 0.5, 0.1], [0.6, 0.4, 0.05], hours=1.0)
    # none allowed: above 0.6; one: above 0.4; two: above 0.05; four and eight: all
    assert found.misses == 2 + 1 + 0 + 0 + 0
    assert found.chances == 15
    assert answers([0.9], [], 1.0).misses == 0


def test_where_hours_are_many_the_allowed_false_alarms_are_counted():
    alarms = np.linspace(0.01, 0.99, 99)
    onset = choose_onset(np.array([1.0]), alarms[::-1], 10.0, 1.0).threshold
    assert (alarms >= onset).sum() == 10


@given(seed=st.integers(0, 50), hours=st.sampled_from([0.1, 0.3, 1.0]))
def test_where_hours_are_few_the_tail_is_carried_on_to_the_target(seed, hours):
    """Peaks whose log-odds thin out exponentially: the threshold lies about where one comes in two hours."""
    draw = np.random.default_rng(seed)
    n = draw.poisson(400 * hours)
    alarms = logistic(-4 + draw.exponential(1.0, n))
    onset = choose_onset(np.array([1.0]), np.sort(alarms)[::-1], hours, 0.5).threshold
    truth = -4 + np.log(400 / 0.5)
    assert onset >= alarms.max()
    assert abs(np.log(onset / (1 - onset)) - truth) < 5.0


def test_the_extrapolated_threshold_is_right_on_average():
    found = []
    for seed in range(200):
        draw = np.random.default_rng(seed)
        alarms = logistic(-4 + draw.exponential(1.0, draw.poisson(120)))
        onset = choose_onset(np.array([1.0]), np.sort(alarms)[::-1], 0.3, 0.5).threshold
        found.append(400 * np.exp(-(np.log(onset / (1 - onset)) + 4)))  # false alarms an hour it really has
    assert 0.1 < np.median(found) < 1.0


def test_what_is_only_extrapolated_costs_one_word_in_twenty_at_most():
    alarms = logistic(np.linspace(-3, 3, 60))
    words = logistic(np.linspace(3.5, 6, 40))
    assert words.min() > alarms.max()
    found = answers(words, alarms, 0.1)
    onset = choose_onset(words, np.sort(alarms)[::-1], 0.1, 0.5)
    assert alarms.max() < onset.threshold
    assert (words < onset.threshold).sum() <= 2
    assert not onset.is_counted
    _, results, lines = spotting_of(found, 0.5)
    assert results["errors"] <= 2
    assert any("more than the 0.5 asked for" in line for line in lines)
    assert any("6 h would do" in line for line in lines)


def test_a_word_that_the_background_drowns_is_missed_and_that_is_said():
    alarms = logistic(-2 + np.random.default_rng(1).exponential(1.0, 60))
    spotting, results, lines = spotting_of(answers([0.3, 0.4, 0.5], alarms, 0.1), 0.5)
    assert results["errors"] == 3
    assert results["false_alarms"] == 0
    assert any("best there is" in line for line in lines)
    assert SpotSettings.from_json(spotting).threshold("hey")[0] > alarms.max()


@given(st.integers(0, 1000), st.sampled_from([0.01, 0.02, 0.03, 0.04, 0.08]))
def test_answers_are_smoothed_as_the_decision_layer_does(seed, output_seconds):
    draw = np.random.default_rng(seed)
    values = draw.random((40, 2)).astype(np.float32)
    decider = SpotDecider(SpotSettings(**DECISION), ["a", "b"], output_seconds)
    frames = np.zeros(values.shape, np.int64)
    assert np.allclose(smoothed(values, output_seconds), decider._smoothed(Scores(values, frames, frames).values))


def test_peaks_keep_apart():
    values = np.zeros(50)
    values[[10, 12, 30]] = 0.9, 0.8, 0.5
    assert loudest_peaks(values, 5) == [(10, 0.9), (30, 0.5)]
    assert loudest_peaks(np.empty(0), 5) == []
