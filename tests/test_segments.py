"""Segments: the decoder against a slow one, block by block or at once; settings; the recogniser's `label`."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import example, given
from hypothesis import strategies as st

from audiornn.errors import ModelFileError, SettingsError
from audiornn.features import FeatureSettings
from audiornn.listen.segments import (
    LabelRule,
    SegmentDecoder,
    SegmentReader,
    SegmentSettings,
    label_tracks,
    labels_of,
    settings_of,
)
from audiornn.model_file import ModelCard
from audiornn.vocabulary import NO_LABEL, Vocabulary

CARD = ModelCard(
    task="label",
    features=FeatureSettings(sample_rate=8000, n_fft=256, win_length=200, hop_length=80),
    vocabulary=Vocabulary((NO_LABEL, "a", "b"), "label"),
)
INDEPENDENT = replace(CARD, vocabulary=Vocabulary(("a", "b"), "label"))


def decoded(tracks, settings, *, exclusive=False, cuts=()):
    decoder = SegmentDecoder(settings, ("a", "b")[: tracks.shape[1]], 0.01, exclusive=exclusive)
    found = []
    for block in np.split(tracks, sorted(cuts)):
        found += decoder.push(block)
    return [(s.id, s.first, s.last, round(s.posterior, 9)) for s in found + decoder.finish()]


def one(values, settings):
    return [(first, last) for _, first, last, _ in decoded(np.array(values)[:, None], settings)]


def slow(track, rule, half):
    """One label by the words of the documentation: filter, thresholds, gaps, least lengths."""
    padded = [track[0]] * half + list(track) + [track[-1]] * half
    track = [float(np.median(padded[t : t + 2 * half + 1])) for t in range(len(track))]
    active, on = [], False
    for value in track:
        on = value >= rule.onset or (on and value >= rule.offset)
        active.append(on)
    runs = [[t for t, _ in group] for on, group in itertools.groupby(enumerate(active), lambda x: x[1]) if on]
    joined = []
    for run in runs:
        if joined and run[0] - joined[-1][-1] - 1 < round(100 * rule.least_gap):
            joined[-1] = joined[-1] + run
        else:
            joined.append(run)
    return [(run[0], run[-1]) for run in joined if run[-1] - run[0] + 1 >= round(100 * rule.least_segment)]


tracks_of = st.lists(st.sampled_from([0.0, 0.2, 0.35, 0.5, 0.65, 0.9, 1.0]), min_size=1, max_size=60)
rules = st.builds(
    lambda onset, share, least, gap: LabelRule(onset, max(0.05, onset * share), least, gap),
    st.sampled_from([0.4, 0.5, 0.7]),
    st.sampled_from([1.0, 0.6]),
    st.sampled_from([0.0, 0.02, 0.05]),
    st.sampled_from([0.0, 0.02, 0.06]),
)


@given(track=tracks_of, rule=rules, n_median=st.integers(0, 8))
@example(track=[0.9, 0.2, 0.9], rule=LabelRule(), n_median=2)
@example(track=[0.0, 0.0, 1.0, 1.0, 0.0, 0.0], rule=LabelRule(), n_median=4)
def test_one_label_is_decoded_as_the_documentation_says(track, rule, n_median):
    """A filter of an even number of frames has one less; of less than three there is none."""
    assert one(track, SegmentSettings(0.01 * n_median, rule)) == slow(track, rule, max(0, n_median - 1) // 2)


@given(
    pairs=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=60),
    rule=rules,
    other=rules,
    median=st.sampled_from([0.0, 0.03, 0.05]),
    exclusive=st.booleans(),
    cuts=st.lists(st.integers(0, 60), max_size=5),
)
@example(
    pairs=[(0.9 * (t == 0 or 3 <= t < 35), 0.9 * (t in (5, 15))) for t in range(40)],
    rule=LabelRule(),
    other=LabelRule(least_gap=0.04),
    median=0.0,
    exclusive=False,
    cuts=[10, 20, 30],
)
@example(  # at a gap of nothing a run settles a frame after its end, as it does at one of a frame
    pairs=[(0.9 * (1 <= t < 3), 0.9 * (t < 4)) for t in range(8)],
    rule=LabelRule(least_gap=0.01),
    other=LabelRule(),
    median=0.0,
    exclusive=False,
    cuts=range(1, 8),
)
def test_blocks_make_no_difference_and_exclusive_labels_come_in_order(pairs, rule, other, median, exclusive, cuts):
    tracks = np.array(pairs)
    settings = SegmentSettings(median, rule, {"b": other})
    whole = decoded(tracks, settings, exclusive=exclusive)
    assert decoded(tracks, settings, exclusive=exclusive, cuts=cuts) == whole
    if exclusive:
        assert whole == sorted(whole, key=lambda s: (s[1], s[0]))
        assert all(a[2] < b[1] for a, b in itertools.pairwise(whole))


def test_independent_labels_may_overlap_and_exclusive_ones_may_not():
    tracks = np.array([[0.9, 0.0], [0.9, 0.8], [0.6, 0.8], [0.0, 0.8]])
    assert [s[:3] for s in decoded(tracks, SegmentSettings())] == [(0, 0, 2), (1, 1, 3)]
    assert [s[:3] for s in decoded(tracks, SegmentSettings(), exclusive=True)] == [(0, 0, 1), (1, 2, 3)]


def test_no_gap_is_filled_across_another_label():
    settings = SegmentSettings(rule=LabelRule(least_gap=0.1))
    tracks = np.array([[0.9, 0.0], [0.0, 0.9], [0.9, 0.0]])
    assert [s[:3] for s in decoded(tracks, settings, exclusive=True)] == [(0, 0, 0), (1, 1, 1), (0, 2, 2)]
    assert sorted(s[:3] for s in decoded(tracks, settings)) == [(0, 0, 2), (1, 1, 1)]


def test_a_label_that_goes_on_and_on_holds_no_other_back():
    decoder = SegmentDecoder(SegmentSettings(), ("rain", "bark"), 0.01, exclusive=False)
    tracks = np.tile(np.array([[0.9, 0.9], [0.9, 0.1]]), (20, 1))
    assert [(s.id, s.first, s.last) for s in decoder.push(tracks)] == [(1, 2 * i, 2 * i) for i in range(20)]
    assert [(s.id, s.first, s.last) for s in decoder.finish()] == [(0, 0, 39)]


@given(st.lists(st.lists(st.floats(-8, 0), min_size=3, max_size=3), min_size=1, max_size=30))
def test_the_defaults_take_the_most_probable_label(rows):
    scores = np.array(rows, np.float32)
    scores += 1e-3 * np.arange(3, dtype=np.float32)[::-1]  # ties are nobody's
    log_probs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    reader = SegmentReader(CARD)
    duration = 0.01 * len(rows)
    found = reader.push(log_probs) + reader.finish(duration)
    names = [""] * len(rows)
    for segment in found:
        for t in range(len(rows)):
            if segment.start <= 0.01 * t < segment.end:
                names[t] = segment.label
    best = np.sort(log_probs, axis=1)
    sure = best[:, -1] - best[:, -2] > 1e-5
    expected = [("", "a", "b")[i] for i in log_probs.argmax(axis=1)]
    assert [n for n, s in zip(names, sure, strict=True) if s] == [n for n, s in zip(expected, sure, strict=True) if s]


def test_tracks_are_shares_against_the_strongest_rival_or_probabilities():
    log_probs = np.log(np.array([[0.2, 0.6, 0.2], [0.5, 0.3, 0.2]], np.float32))
    np.testing.assert_allclose(label_tracks(CARD, log_probs), [[0.75, 0.25], [0.375, 0.2 / 0.7]], rtol=1e-6)
    np.testing.assert_allclose(label_tracks(INDEPENDENT, log_probs[:, :2]), [[0.2, 0.6], [0.5, 0.3]], rtol=1e-6)
    impossible = np.array([[0.0, -np.inf, -1000.0]], np.float32)
    assert label_tracks(CARD, impossible).max() < 1e-9


def test_the_last_segment_ends_where_the_recording_does():
    reader = SegmentReader(CARD)
    found = reader.push(np.log(np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]], np.float32))) + reader.finish(0.0187)
    assert [(s.label, s.start, s.end) for s in found] == [("a", 0.005, 0.0187)]


def test_settings_travel_in_the_card_and_say_what_is_wrong():
    settings = SegmentSettings(0.1, LabelRule(0.7, 0.4, 0.1, 0.2), {"b": LabelRule(0.3, 0.3)})
    assert settings_of(replace(CARD, segments=settings.to_json())) == settings
    assert settings_of(CARD) == SegmentSettings()
    card = ModelCard.from_json(replace(CARD, segments=settings.to_json()).to_json(), "m.onnx")
    assert settings_of(card) == settings
    for entry, said in (
        ({"onsets": 0.5}, "did you mean 'onset'"),
        ({"labels": {"c": {}}}, "label 'c'"),
        ({"onset": 0.3, "offset": 0.4}, "the offset no higher"),
        ({"median": -1}, "median = -1"),
        ({"least_gap": "x"}, "least_gap"),
    ):
        with pytest.raises(ModelFileError, match=said):
            settings_of(replace(CARD, segments=entry))
    with pytest.raises(SettingsError):
        SegmentSettings.from_json({"labels": {"b": {"onsett": 1}}}, labels_of(CARD))


def test_changing_an_onset_takes_the_offset_along():
    settings = SegmentSettings(0.1, LabelRule(0.7, 0.6), {"b": LabelRule(0.9, 0.2)})
    changed = settings.changed(onset=0.4, least_gap=None)
    assert changed == SegmentSettings(0.1, LabelRule(0.4, 0.4), {"b": LabelRule(0.4, 0.2)})
    assert settings.changed() == settings
    with pytest.raises(SettingsError, match="offset"):
        settings.changed(onset=0.3, offset=0.5)


def test_a_long_recording_is_labelled_as_its_blocks_and_as_a_stream(recognizer, world, tmp_path):
    model = recognizer("label")
    samples, rate = soundfile.read(world.recording(), dtype="float32")
    long = np.tile(samples, 80)
    settings = SegmentSettings(0.05, LabelRule(0.6, 0.4, 0.05, 0.05))
    whole = model.label(long, rate, settings=settings)
    assert len(whole.segments) > 40
    assert model.label(iter(np.array_split(long, 37)), rate, settings=settings) == whole
    stream = model.stream(rate, look_ahead=1.0, segments=settings)
    found = [s for block in np.array_split(long[: 4 * len(samples)], 11) for s in stream.push(block)] + stream.finish()
    assert tuple(found) == model.label(long[: 4 * len(samples)], rate, settings=settings, look_ahead=1.0).segments


def test_only_a_model_that_labels_labels(recognizer, world):
    with pytest.raises(ModelFileError, match="'transcribe'"):
        recognizer("transcribe").label(world.recording())


def test_a_gap_of_just_the_least_stays():
    settings = SegmentSettings(rule=LabelRule(least_gap=0.02))
    assert one([1, 0, 0, 1], settings) == [(0, 0), (3, 3)]
    assert one([1, 0, 1], settings) == [(0, 2)]


def test_a_filled_gap_does_not_lower_the_confidence():
    ((_, first, last, posterior),) = decoded(
        np.array([[0.9], [0.1], [0.1], [0.9]]), SegmentSettings(rule=LabelRule(least_gap=0.05))
    )
    assert (first, last, posterior) == (0, 3, 0.9)


def test_a_segment_of_just_the_least_length_stays():
    settings = SegmentSettings(rule=LabelRule(least_segment=0.02))
    assert one([0, 1, 1, 0, 1, 0], settings) == [(1, 2)]


def test_a_labels_rule_keeps_what_it_does_not_say_from_the_common_one():
    settings = SegmentSettings.from_json({"onset": 0.7, "least_gap": 0.2, "labels": {"b": {"onset": 0.9}}}, ("a", "b"))
    assert settings.rule_of("b") == LabelRule(0.9, 0.5, 0.0, 0.2)


def test_what_is_settled_ends_where_the_next_frame_begins():
    reader = SegmentReader(CARD)
    reader.push(np.log(np.full((10, 3), 1 / 3, np.float32) + np.array([0.1, 0, 0], np.float32)))
    assert reader.settled == pytest.approx(0.095)
