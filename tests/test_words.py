"""Symbols become words: joined, placed, corrected, and given when nothing can change them."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiornn.features import FeatureSettings
from audiornn.listen.decoding import DecodedSymbol
from audiornn.listen.words import PAUSE, WordStream, calibrated, join_words, reader_of, word_times
from audiornn.model_file import ModelCard
from audiornn.vocabulary import BLANK, Vocabulary

SETTINGS = FeatureSettings(sample_rate=8000, n_fft=256, win_length=200, hop_length=80, n_mels=20, n_mfcc=12)
LETTERS = Vocabulary((BLANK, " ", "a", "b"), "character")
WORDS = Vocabulary((BLANK, "one", "two", "three"), "word")
TIMINGS = st.tuples(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2))


def card_of(vocabulary, timing=(0.0, 0.0), stride=1):
    return ModelCard("transcribe", SETTINGS, vocabulary, stride, timing=timing)


def symbols_of(path):
    """Runs of a path, blanks dropped."""
    runs, first = [], 0
    for symbol, group in itertools.groupby(path):
        n = len(list(group))
        if symbol:
            runs.append(DecodedSymbol(symbol, first, first + n - 1, 0.9))
        first += n
    return runs


@given(
    st.lists(st.integers(0, 3), max_size=60),
    st.sampled_from([LETTERS, WORDS]),
    TIMINGS,
    st.lists(st.integers(1, 20), min_size=1, max_size=5),
)
def test_words_are_the_same_however_they_come(path, vocabulary, timing, sizes):
    card = card_of(vocabulary, timing)
    log_probs = np.log(np.full((len(path), 4), 0.02) + 0.92 * np.eye(4)[path] if path else np.zeros((0, 4)))
    duration = len(path) / 100
    expected = join_words(card, symbols_of(path), duration)
    reader = reader_of(card)
    borders = [0, *itertools.accumulate(itertools.islice(itertools.cycle(sizes), len(path))), len(path)]
    found = [
        word
        for a, b in itertools.pairwise(borders)
        if a < len(path)
        for word in reader.push(log_probs[a : min(b, len(path))])
    ]
    found += reader.finish(duration)
    assert [(w.label, w.start, w.end) for w in found] == [(w.label, w.start, w.end) for w in expected]


@given(st.lists(st.integers(0, 3), max_size=60), st.sampled_from([LETTERS, WORDS]), TIMINGS)
def test_corrected_words_stay_in_order_and_inside(path, vocabulary, timing):
    duration = len(path) / 100
    words = join_words(card_of(vocabulary, timing), symbols_of(path), duration)
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert all(0 <= time <= duration for time in times)
    plain = join_words(card_of(vocabulary), symbols_of(path), duration)
    assert [word.label for word in words] == [word.label for word in plain]


@given(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=3), max_size=5), TIMINGS)
def test_given_words_are_placed_like_heard_ones(words, timing):
    """`word_times`, which alignment uses, and the stream's own rule agree."""
    path = [0]
    spans = []
    for word in words:
        spans.append((len(path), len(path) + len(word)))
        path += [*word, 0, 0]
    symbols = [[DecodedSymbol(2, first, last - 1, 0.9)] for first, last in spans]
    card, duration = card_of(WORDS, timing), len(path) / 100
    times = word_times(card, symbols, duration)
    joined = join_words(card, [s for word in symbols for s in word], duration)
    np.testing.assert_allclose(times, [(w.start, w.end) for w in joined] or np.zeros((0,)), rtol=0, atol=1e-6)


def test_two_words_moved_into_each_other_meet_half_way():
    card = card_of(WORDS, (-0.05, 0.05))
    one, two = join_words(card, symbols_of([0] * 10 + [1, 1, 0, 2, 2] + [0] * 20), 0.4)
    assert (one.start, one.end) == (0.045, 0.12)
    assert (two.start, two.end) == (0.12, 0.195)


def test_a_pause_ends_a_word_that_no_space_does():
    card = card_of(LETTERS)
    pause = round(PAUSE * 100)
    near, far = [2] + [0] * (pause - 1) + [3], [2] + [0] * (pause + 1) + [3]
    assert [w.label for w in join_words(card, symbols_of(near), 3)] == ["ab"]
    assert [w.label for w in join_words(card, symbols_of(far), 3)] == ["a", "b"]


def test_a_word_is_given_as_soon_as_nothing_can_change_it():
    stream = WordStream(card_of(WORDS, (-0.03, 0.04)))
    one = DecodedSymbol(1, 10, 11, 0.9)
    assert stream.push([one], 12) == []
    assert stream.push([], 19) == []  # one more could begin at 19 and be moved to 16
    (word,) = stream.push([], 21)
    assert (word.label, word.end) == ("one", 0.155)
    assert stream.finish(1.0) == []


def test_what_is_not_over_yet_is_told():
    reader = reader_of(card_of(LETTERS))
    path = [0, 2, 0, 3, 0]
    reader.push(np.log(0.02 + 0.92 * np.eye(4)[path]))
    assert reader.partial == "ab"
    assert reader.settled == pytest.approx(0.005)
    (word,) = reader.push(np.log(0.02 + 0.92 * np.eye(4)[[1, 0, 0, 0]]))
    assert (word.label, reader.partial) == ("ab", "")


@given(st.floats(0, 1), st.floats(0, 1))
def test_confidence_is_a_probability_and_keeps_the_order(a, b):
    card = ModelCard("transcribe", SETTINGS, WORDS, confidence=(0.8, -0.5))
    low, high = sorted((calibrated(card, a), calibrated(card, b)))
    assert 0 <= low <= high <= 1
    assert (calibrated(card, min(a, b)), calibrated(card, max(a, b))) == (low, high)


def test_what_is_settled_allows_for_words_that_are_moved_forward():
    reader = reader_of(card_of(LETTERS, (-0.05, 0.0)))
    reader.push(np.log(0.02 + 0.92 * np.eye(4)[[0] * 20]))
    assert reader.settled == pytest.approx(0.195 - 0.05)


def test_a_words_probability_is_the_mean_of_its_symbols():
    symbols = [DecodedSymbol(2, 0, 1, 0.9), DecodedSymbol(3, 3, 3, 0.5), DecodedSymbol(2, 5, 5, 0.7)]
    ((word),) = join_words(card_of(LETTERS), symbols, 1.0)
    assert word.label == "aba"
    assert word.confidence == pytest.approx(0.7, abs=1e-6)
