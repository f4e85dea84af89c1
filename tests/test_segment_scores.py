"""Scores of segments against plain definitions, and a slow matching that tries everything."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiornn.corpus.manifest import Segment
from audiornn.errors import CorpusError
from audiornn.evaluate.error_rates import wilson_interval
from audiornn.evaluate.segment_tuning import HeardFrames, tune_segments
from audiornn.evaluate.segments import activity, compare_segments, frame_centres, macro_f1, score
from tests.test_segments import CARD

LABELS = ("a", "b")
CENTRES = 0.01 * np.arange(300)


def counts(reference, hypothesis):
    return compare_segments(reference, hypothesis, LABELS, CENTRES, 3.0)


def fits(true, said):
    """DCASE's rule for one pair."""
    tolerance = max(0.2, 0.2 * (true.end - true.start))
    return (
        true.label == said.label
        and round(abs(true.start - said.start), 4) <= 0.2
        and round(abs(true.end - said.end), 4) <= tolerance + 1e-9
    )


def most_matches(reference, hypothesis):
    """The most pairs that fit, each side used once; by trying every assignment."""
    short, long = sorted((reference, hypothesis), key=len)
    flipped = short is not reference
    best = 0
    for chosen in itertools.permutations(long, len(short)):
        pairs = zip(chosen, short, strict=True) if flipped else zip(short, chosen, strict=True)
        best = max(best, sum(fits(true, said) for true, said in pairs))
    return best


segments = st.lists(
    st.builds(
        lambda start, length, label: Segment(start / 20, (start + length) / 20, label),
        st.integers(0, 30),
        st.integers(1, 29),
        st.sampled_from(LABELS),
    ),
    max_size=4,
)


@given(reference=segments, hypothesis=segments)
def test_events_are_matched_as_well_as_can_be(reference, hypothesis):
    found = counts(reference, hypothesis).events
    assert found[:, 0].sum() == most_matches(reference, hypothesis)
    for i, label in enumerate(LABELS):
        assert found[i, 1] == sum(s.label == label for s in reference)
        assert found[i, 2] == sum(s.label == label for s in hypothesis)


@given(reference=segments, hypothesis=segments)
def test_frames_and_seconds_are_what_they_are_called(reference, hypothesis):
    found = counts(reference, hypothesis)
    for i, label in enumerate(LABELS):
        holds = [
            np.array([any(s.label == label and s.start <= t < s.end for s in side) for t in CENTRES])
            for side in (reference, hypothesis)
        ]
        assert found.frames[i].tolist() == [(holds[0] & holds[1]).sum(), holds[0].sum(), holds[1].sum()]
    fine = np.arange(0.0005, 3, 0.001)
    true, said = (np.array([any(s.start <= t < s.end for s in side) for t in fine]) for side in (reference, hypothesis))
    expected = [0.001 * x for x in ((true & ~said).sum(), (said & ~true).sum(), true.sum())]
    np.testing.assert_allclose(found.seconds, expected, atol=1e-6)


def test_an_end_of_the_recording_is_not_a_frames():
    active = activity([Segment(1.0, 3.0, "a")], LABELS, np.array([0.99, 1.0, 3.0]), 3.0)
    assert active[:, 0].tolist() == [False, True, True]


def test_a_report_holds_rates_with_intervals_and_a_row_a_label():
    reference = [Segment(0.5, 1.5, "a")]
    good, late = [Segment(0.5, 1.5, "a")], [Segment(0.8, 1.5, "a"), Segment(2.0, 2.5, "b")]
    report = score(CARD, [counts(reference, good)] * 6 + [counts(reference, late)] * 2)
    a, b = report.labels
    assert (a.events, a.found, a.right) == (8, 8, 6)
    assert a.event_f1 == pytest.approx(0.75)
    assert (b.events, b.found, b.right, b.event_f1) == (0, 2, 0, 0.0)
    assert report.event_f1.value == pytest.approx(0.375)
    assert report.event_f1_micro.value == pytest.approx(12 / 18)
    assert report.detection_error_rate.value == pytest.approx(2 * (0.3 + 0.5) / 8)
    assert report.missed == pytest.approx(0.6)
    low, high = report.frame_f1.interval
    assert low < report.frame_f1.value < high
    assert "6" in report.to_text()
    assert report.to_json()["labels"][0]["right"] == 6
    perfect = score(CARD, [counts(reference, good)] * 3)
    assert perfect.frame_f1.value == 0.5 + 0.5  # `b` occurs nowhere and does not count
    assert perfect.frame_f1.interval == perfect.event_f1_micro.interval == wilson_interval(3, 3)
    assert perfect.detection_error_rate.interval == wilson_interval(0, 3)
    silent = [counts([], [])] * 9
    assert score(CARD, [counts(reference, good), *silent]).frame_f1.interval == (0.0, 1.0)  # one says no spread


def test_labels_that_occur_nowhere_do_not_count():
    assert macro_f1(np.array([[3, 4, 4], [0, 0, 0]])) == 0.75
    assert macro_f1(np.zeros((2, 3))) == 1.0


def test_tuning_finds_what_flicker_and_a_low_posterior_want():
    rng = np.random.default_rng(0)
    heard = []
    for _ in range(12):
        truth = np.zeros(300, bool)
        truth[100:200] = True
        track = np.where(truth, 0.45, 0.1) + 0.05 * rng.standard_normal(300)
        track[rng.integers(0, 300, 12)] = 0.9
        posteriors = np.stack([1 - track - 0.01, track, np.full(300, 0.01)], axis=1).clip(1e-3, 1)
        heard.append(HeardFrames(np.log(posteriors).astype(np.float32), (Segment(1.0, 2.0, "a"),), 3.0))
    tuning = tune_segments(CARD, heard)
    assert tuning.plain.score < 0.5
    assert tuning.chosen.score > 0.97
    assert tuning.chosen.settings.median > 0
    assert tuning.chosen.settings.rule.onset < 0.5
    assert "chosen" in tuning.to_text()
    assert tuning.to_json()["trials"] == tuning.n_trials > 50
    with pytest.raises(CorpusError, match="no segments to tune on"):
        tune_segments(CARD, [HeardFrames(heard[0].log_probs, (), 3.0)])


def test_tuning_of_independent_labels_is_never_worse_than_training_left_them():
    """Each label has a threshold of its own there, and the search begins from these, too."""
    rng = np.random.default_rng(0)
    card = replace(CARD, vocabulary=replace(CARD.vocabulary, symbols=("a", "b"), several=True))
    heard = []
    for _ in range(8):
        truth = np.zeros((300, 2), bool)
        truth[100:200, 0] = truth[150:250, 1] = True
        low, high = np.array([0.02, 0.55]), np.array([0.12, 0.97])
        posteriors = np.where(truth, high, low) + 0.02 * rng.standard_normal((300, 2))
        segments = (Segment(1.0, 2.0, "a"), Segment(1.5, 2.5, "b"))
        heard.append(HeardFrames(np.log(posteriors.clip(1e-3, 1)).astype(np.float32), segments, 3.0))
    tuning = tune_segments(card, heard)
    rules = tuning.plain.settings.rules
    assert rules["a"].onset < 0.2 < 0.5 < rules["b"].onset
    assert tuning.chosen.score >= tuning.plain.score > 0.7
    assert "as trained" in tuning.to_text()


def test_where_nothing_is_labelled_there_is_no_rate():
    nothing = counts([], [Segment(0.5, 1.0, "a")])
    report = score(CARD, [nothing] * 3)
    assert report.detection_error_rate is None
    assert "detection error rate  none, for nothing is labelled" in report.to_text()
    a, b = report.labels
    assert (a.precision, a.recall, a.f1) == (0.0, None, 0.0)
    assert (b.precision, b.recall, b.f1, b.event_f1) == (None, None, None, None)
    said = score(CARD, [nothing, nothing, counts([Segment(0.5, 1.5, "a")], [])])
    assert said.detection_error_rate.value == pytest.approx((0.5 + 0.5 + 1.0) / 1.0)
    assert said.detection_error_rate.interval == (0.0, 2.0)  # but one holds a label, and one tells no spread


def test_frames_are_as_many_as_training_counts():
    assert len(frame_centres(CARD, 1.0)) == CARD.features.n_frames(8000)


def test_precision_is_of_what_is_said_and_recall_of_what_holds():
    row = score(CARD, [counts([Segment(0.5, 1.5, "a")], [Segment(1.0, 1.2, "a")])]).labels[0]
    assert (row.precision, row.recall) == (1.0, pytest.approx(0.2))


def test_frames_are_as_many_as_training_counts_with_any_stride():
    assert len(frame_centres(replace(CARD, stride=4), 1.0)) == -(-CARD.features.n_frames(8000) // 4) == 26
