"""How a spotter does on dev, and which threshold that gives."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiornn.corpus.manifest import Segment, Utterance
from audiornn.train import spot_score

pytest.importorskip("torch", reason="training needs torch")

from audiornn.evaluate.onsets import choose_onset, excursion, loudest_peaks
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


def test_false_alarms_that_tie_are_all_kept_out_or_all_counted():
    tied = choose_onset(np.array([1.0]), np.array([0.9, *[0.7] * 10, 0.2]), 10.0, 0.5)
    assert tied.threshold > 0.7
    assert tied.per_hour == 0.1
    sure = choose_onset(np.array([1.0]), np.ones(10), 10.0, 0.5)  # float32 says no more, and no threshold keeps out
    assert sure.per_hour == 1.0
    assert "expect up to 1 " in sure.warning("yes", 0.5, np.array([1.0]), np.ones(10), 10.0)


@given(
    seed=st.integers(0, 50),
    hours=st.sampled_from([0.1, 0.3, 1.0]),
    word=st.floats(0.5, 12.0),
    synthetic=st.sampled_from([0.0, 0.6, 1.0]),
)
def test_where_hours_are_few_the_threshold_lies_between_the_tail_and_the_words(seed, hours, word, synthetic):
    draw = np.random.default_rng(seed)
    alarms = np.sort(logistic(-4 + draw.exponential(1.0, draw.poisson(400 * hours))))[::-1]
    onset = choose_onset(np.full(7, logistic(word)), alarms, hours, 0.5, synthetic)
    place, loudest = np.log(onset.threshold / (1 - onset.threshold)), np.log(alarms[0] / (1 - alarms[0]))
    assert onset.threshold > alarms[0]
    assert not onset.is_counted
    if word > loudest + 0.1:
        # half-way (of synthetic voices ¾) from the tail's end, at the loudest or up to half-way to the word
        way = 0.5 + 0.25 * synthetic
        assert way - 0.01 < (place - loudest) / (word - loudest) < way + (1 - way) / 2 + 0.01
    else:
        assert place == pytest.approx(loudest, abs=0.1)


def test_a_lower_target_asks_for_no_lower_a_threshold():
    alarms = np.sort(logistic(-4 + np.random.default_rng(1).exponential(1.0, 120)))[::-1]
    words = np.full(7, logistic(5.0))
    thresholds = [choose_onset(words, alarms, 0.3, target).threshold for target in (5.0, 0.5, 0.05)]
    assert thresholds == sorted(thresholds)
    assert thresholds[0] < thresholds[-1]


def test_the_false_alarms_to_expect_are_right_on_average():
    ratios = []
    for seed in range(200):
        draw = np.random.default_rng(seed)
        alarms = np.sort(logistic(-4 + draw.exponential(1.0, draw.poisson(120))))[::-1]
        onset = choose_onset(np.array([logistic(2.0)]), alarms, 0.3, 0.5)
        truth = 400 * np.exp(-(np.log(onset.threshold / (1 - onset.threshold)) + 4))
        ratios.append(onset.per_hour / truth)
    assert 0.3 < np.median(ratios) < 3


def test_what_is_only_extrapolated_never_costs_half_of_the_words():
    alarms = logistic(np.linspace(-3, 3, 60))
    words = logistic(np.linspace(3.5, 6, 40))
    assert words.min() > alarms.max()
    found = answers(words, alarms, 0.1)
    onset = choose_onset(words, np.sort(alarms)[::-1], 0.1, 0.5)
    assert alarms.max() < onset.threshold
    assert (words < onset.threshold).sum() < 20
    assert not onset.is_counted
    _, results, lines = spotting_of(found, 0.5)
    assert results["errors"] < 20
    assert any("more than the 0.5 asked for" in line for line in lines)
    assert any("6 h would do" in line for line in lines)


def test_a_word_that_the_background_drowns_is_missed_and_that_is_said():
    alarms = logistic(-2 + np.random.default_rng(1).exponential(1.0, 60))
    spotting, results, lines = spotting_of(answers([0.3, 0.4, 0.5], alarms, 0.1), 0.5)
    assert results["errors"] == 3
    assert results["false_alarms"] == 0
    (told,) = [line for line in lines if "no threshold finds it" in line]
    half = float(re.search(r"at (\S+), which finds half, (\S+) false", told)[1])
    assert half <= 0.4 < half + 1e-5
    assert float(re.search(r"half, (\S+) false", told)[1]) == pytest.approx((alarms >= half).sum() / 0.1, rel=0.01)
    assert SpotSettings.from_json(spotting).threshold("hey")[0] > alarms.max()


@given(st.integers(0, 1000), st.sampled_from([0.01, 0.02, 0.03, 0.04, 0.08]))
def test_answers_are_smoothed_as_the_decision_layer_does(seed, output_seconds):
    draw = np.random.default_rng(seed)
    values = draw.random((40, 2)).astype(np.float32)
    decider = SpotDecider(SpotSettings(**DECISION), ["a", "b"], output_seconds)
    frames = np.zeros(values.shape, np.int64)
    assert np.allclose(smoothed(values, output_seconds), decider._smoothed(Scores(values, frames, frames).values))


def test_a_run_ends_where_it_has_sunk_to_the_share():
    values = np.array([0.4, 0.52, 1.0, 0.52, 0.5, 0.49, 0.9])
    assert excursion(values, 2, 0.5) == (1, 5)


def test_peaks_keep_apart():
    values = np.zeros(50)
    values[[10, 12, 30]] = 0.9, 0.8, 0.5
    assert loudest_peaks(values, 5) == [(10, 0.9), (30, 0.5)]
    assert loudest_peaks(np.empty(0), 5) == []


def test_a_peak_is_one_until_it_has_sunk():
    values = np.zeros(100)
    values[10:60], values[20], values[80] = 0.6, 0.9, 0.5
    values[40] = 0.3  # below half of 0.9, not below half of 0.6
    assert loudest_peaks(values, 5, over_below=0.5) == [(20, 0.9), (41, 0.6), (80, 0.5)]
    assert loudest_peaks(values, 5) == [(20, 0.9), (10, 0.6), (26, 0.6), (41, 0.6), (80, 0.5)]


def test_how_little_a_few_words_and_hours_show_is_said():
    _, _, lines = spotting_of(answers([0.9] * 7, [0.1], 0.1), 0.5)
    assert any("0 of 7 missed (95 %: 0–35 %)" in line for line in lines)
    assert any("0 false alarms in 0.1 h, which by themselves show under 30 an hour" in line for line in lines)
    _, _, lines = spotting_of(answers([], [0.1], 0.1), 0.5)
    assert any("dev never says it" in line for line in lines)


def test_dev_background_that_may_hold_the_word_is_named():
    told = SpotAnswers(
        {"hey": np.full(20, 0.9)},
        {"hey": np.array([0.95, 0.3])},
        0.1,
        {"hey": [(0.95, "a.wav", 3.2), (0.3, "b.wav", 1.0)]},
    )
    lines = [line for line in spotting_of(told, 0.5)[2] if "dev's background" in line]
    assert len(lines) == 1
    assert "a.wav at 3.20 s" in lines[0]


class Split(SimpleNamespace):
    def __len__(self):
        return len(self.utterances)


def split(*utterances):
    recipe = SimpleNamespace(features=SimpleNamespace(frame_seconds=0.01), model=SimpleNamespace(stride=2))
    return Split(
        recipe=recipe,
        vocabulary=SimpleNamespace(symbols=("_none_", "hey")),
        utterances=utterances,
        lengths=np.array([400] * len(utterances)),
    )


def heard(first, last):
    posteriors = np.zeros((200, 2), np.float32)
    posteriors[round(first * 50) : round(last * 50), 1] = 0.9
    return posteriors


def test_an_answer_may_come_a_moment_late_and_a_false_alarm_is_told_where_it_is(monkeypatch):
    said = Utterance("a", Path("a.wav"), "", None, 0.0, None, (Segment(1.0, 1.5, "hey"),))
    quiet = Utterance("b", Path("b.wav"), "", None, 10.0, None)
    monkeypatch.setattr(spot_score, "posteriors_of", lambda *_: [(0, heard(1.6, 1.8)), (1, heard(1.0, 1.2))])
    found = spot_score.answers_of(None, split(said, quiet), None, None)
    assert found.keywords["hey"] == pytest.approx([0.9])
    assert found.alarms["hey"] == pytest.approx([0.9])
    ((_, audio, seconds),) = found.loudest["hey"]
    assert (audio, seconds) == ("b.wav", pytest.approx(11.1, abs=0.1))
