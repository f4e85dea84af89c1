"""What training measures on dev for those who listen: where words begin and end, and how often they are right."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiornn.corpus.manifest import Utterance
from audiornn.features import FeatureExtractor, FeatureSettings
from audiornn.model_file import ModelCard
from audiornn.train.calibration import Heard, calibrate, fit_confidence, sounds
from audiornn.vocabulary import BLANK, Vocabulary
from tests.conftest import RATE, spoken

SETTINGS = FeatureSettings(sample_rate=8000, n_fft=256, win_length=200, hop_length=80, n_mels=20, kind="log_mel")
CARD = ModelCard("transcribe", SETTINGS, Vocabulary((BLANK, "do", "mi", "sol"), "word"))


def drawn(truth, seed):
    """Posteriors, and whether words were right, where the truth is a logistic curve of the log-odds."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(2.0, 2.0, 4000)
    right = rng.random(4000) < 1 / (1 + np.exp(-(truth[0] * odds + truth[1])))
    return (1 / (1 + np.exp(-odds))).tolist(), right.tolist()


@given(st.floats(0.3, 2.0), st.floats(-1.5, 1.5), st.integers(0, 99))
def test_the_curve_is_found_again(slope, intercept, seed):
    found = fit_confidence(*drawn((slope, intercept), seed))
    assert found == pytest.approx((slope, intercept), abs=0.25)


@pytest.mark.parametrize("right", [True, False])
def test_words_that_are_all_right_or_all_wrong_are_no_reason_to_be_certain(right):
    probabilities = np.linspace(0.6, 0.999, 200).tolist()
    slope, intercept = fit_confidence(probabilities, [right] * 200)
    told = [1 / (1 + math.exp(-(slope * math.log(p / (1 - p)) + intercept))) for p in probabilities]
    assert all(0 < p < 1 for p in told)
    assert np.mean(told) > 0.95 if right else np.mean(told) < 0.1


def test_few_words_tell_nothing():
    assert fit_confidence([0.9] * 49, [False] * 49) == (1.0, 0.0)
    assert fit_confidence([], []) == (1.0, 0.0)


def test_where_a_sound_begins_and_ends():
    samples = spoken(["do", "mi"])  # 0.08 s of quiet on either side, words of 0.12 s
    ((begin, end),) = sounds(FeatureExtractor(SETTINGS).log_mel(samples), 0.01)
    assert (begin, end) == pytest.approx((0.08, 0.40), abs=0.02)
    parted = np.concatenate([samples, np.zeros(RATE // 4, np.float32), samples])
    first, second = sounds(FeatureExtractor(SETTINGS).log_mel(parted), 0.01)
    assert first == pytest.approx((0.08, 0.40), abs=0.02)
    assert second == pytest.approx((0.81, 1.13), abs=0.02)
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    assert sounds(FeatureExtractor(SETTINGS).log_mel(noise), 0.01) == []


def late_and_short(words, frames_late):
    """A recording of words, and log-probabilities that show each in two frames, so many after it began."""
    samples = spoken(words)
    log_mel = FeatureExtractor(SETTINGS).log_mel(samples)
    rows = np.full((len(log_mel), 4), 0.01)
    rows[:, 0] = 0.97
    for i, word in enumerate(words):
        first = round(100 * (0.08 + 0.2 * i)) + frames_late
        rows[first : first + 2] = 0.01
        rows[first : first + 2, CARD.vocabulary.symbols.index(word)] = 0.97
    return log_mel, np.log(rows).astype(np.float32)


def heard(n, frames_late, *, told=None):
    for i in range(n):
        words = [["do", "mi", "sol"][(i + k) % 3] for k in range(1 + i % 3)]
        log_mel, log_probs = late_and_short(words, frames_late)
        yield Heard(Utterance(str(i), None, told or " ".join(words)), log_mel, log_probs)


@pytest.mark.parametrize("frames_late", [2, 5, 8])
def test_late_and_short_symbols_are_put_right(frames_late):
    card = calibrate(CARD, heard(12, frames_late))
    start, end = card.timing
    assert start == pytest.approx(-frames_late / 100, abs=0.025)
    assert end == pytest.approx(0.12 - (frames_late + 2) / 100, abs=0.025)


def test_what_one_recording_in_eight_has_wrong_moves_no_word():
    """A median: a mean would move all words by what a few are shown too late."""
    moved = [*heard(28, 4), *heard(4, 14)]
    assert calibrate(CARD, moved).timing[0] == pytest.approx(calibrate(CARD, heard(28, 4)).timing[0], abs=0.006)


def test_a_first_word_shown_in_the_silence_before_it_tells_nothing_of_the_others():
    def with_silence(n):
        for utterance in heard(n, 4):
            silence = np.full((60, 20), -100.0, np.float32)
            blanks = np.tile(np.log([0.97, 0.01, 0.01, 0.01]).astype(np.float32), (60, 1))
            log_probs = np.concatenate([blanks, utterance.log_probs])
            first = int(np.flatnonzero(log_probs.argmax(axis=1))[0])
            log_probs[[0, 1]] = log_probs[[first, first + 1]]
            log_probs[[first, first + 1]] = blanks[:2]
            yield Heard(utterance.utterance, np.concatenate([silence, utterance.log_mel]), log_probs)

    start, _ = calibrate(CARD, [*with_silence(30), *heard(6, 4), *single_words(12, 4)]).timing
    assert start == pytest.approx(-0.04, abs=0.03)


def single_words(n, frames_late):
    return (one for one in heard(3 * n, frames_late) if " " not in one.utterance.text)


def test_what_dev_cannot_tell_stays_as_it_is():
    card = calibrate(CARD, heard(8, 5))
    assert (card.timing, card.confidence) == ((0.0, 0.0), (1.0, 0.0))
    assert calibrate(CARD, []) == CARD


def test_words_that_were_not_said_tell_nothing_of_times():
    card = calibrate(CARD, heard(60, 5, told="do do do do"))
    assert card.timing == (0.0, 0.0)
    assert card.confidence != (1.0, 0.0)


def test_a_trained_model_has_measured_itself(recognizer):
    card = recognizer("transcribe").card
    assert card.confidence != (1.0, 0.0) or card.timing != (0.0, 0.0) or card.training["utterances"]["dev"] < 10


def test_a_pause_is_as_long_whatever_the_frames():
    log_mel = np.full((100, 3), -80.0, np.float32)
    log_mel[20:40] = log_mel[53:70] = 0.0
    assert len(sounds(log_mel, 0.02)) == 2
    assert len(sounds(log_mel, 0.01)) == 1
