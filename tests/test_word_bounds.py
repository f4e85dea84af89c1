"""Where a word is said in its recording."""

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audiornn.corpus.manifest import Utterance
from audiornn.corpus.word_bounds import with_word_bounds, word_bounds
from audiornn.errors import CorpusError, CorpusWarning
from audiornn.features import FeatureExtractor, FeatureSettings

SETTINGS = FeatureSettings(kind="log_mel")
RATE = SETTINGS.sample_rate


def tone(seconds, level=0.3, pitch=700.0):
    time = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * pitch * time)).astype(np.float32)


def silence(seconds, level=0.0, seed=1):
    return (level * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def bounds(*pieces, n_words=1):
    waveform = np.concatenate(pieces)
    return word_bounds(FeatureExtractor(SETTINGS).log_mel(waveform), SETTINGS.frame_seconds, n_words)


@given(
    before=st.floats(0.1, 5.0), after=st.floats(0.1, 5.0), length=st.floats(0.3, 1.0), noise=st.sampled_from([0, 1e-3])
)
def test_silence_around_a_word_is_left_out(before, after, length, noise):
    waveform = np.concatenate([silence(before), tone(length), silence(after)])
    start, end = bounds(waveform + silence(len(waveform) / RATE, noise)[: len(waveform)])
    assert start == pytest.approx(before, abs=0.06)
    assert end == pytest.approx(before + length, abs=0.06)


def test_a_click_is_no_word_and_a_short_pause_no_end():
    click, first, second = tone(0.03, 0.9), tone(0.3), tone(0.3, 0.2, 500.0)
    start, end = bounds(silence(1), click, silence(1), first, silence(0.15), second, silence(2))
    assert start == pytest.approx(2.03, abs=0.06)
    assert end == pytest.approx(2.78, abs=0.06)


def noise_that_decays(seconds, level, fades):
    time = np.arange(round(seconds * RATE)) / RATE
    return (level * np.random.default_rng(1).choice([-1, 1], len(time)) * np.exp(-time / fades)).astype(np.float32)


@pytest.mark.parametrize("gap", [0.08, 0.15, 0.2])
def test_a_click_beside_a_word_is_none_of_it_and_the_burst_of_a_stop_is(gap):
    word, click = tone(0.4), noise_that_decays(0.005, 0.5, 0.0012)
    start, end = bounds(silence(1), click, silence(gap), word, silence(gap), click, silence(1))
    assert (start, end) == pytest.approx((1.005 + gap, 1.405 + gap), abs=0.06)
    with_breath, soft = noise_that_decays(0.06, 0.1, 0.03), noise_that_decays(0.02, 0.08, 0.006)
    for burst in (with_breath, soft, tone(0.02, 0.3, 2500.0)):
        _, end = bounds(silence(1), word, silence(gap), burst, silence(1))
        assert end == pytest.approx(1.4 + gap + len(burst) / RATE, abs=0.05)
    assert bounds(silence(1), click, silence(1))[1] == pytest.approx(2.0, abs=0.02), "nothing but a click is no word"


@pytest.mark.parametrize("rate", [8000, 11025, 16000])
@pytest.mark.parametrize("apart", [None, 0.05])
def test_clicks_are_told_at_lower_rates_and_where_two_follow_one_another(tmp_path, rate, apart):
    click = np.random.default_rng(1).choice([-0.5, 0.5], rate // 200) * np.exp(
        -np.arange(rate // 200) / (0.0012 * rate)
    )
    time = np.arange(round(0.4 * rate)) / rate
    clicks = [click] if apart is None else [click, np.zeros(round(apart * rate)), click]
    pieces = (np.zeros(rate), 0.3 * np.sin(2 * np.pi * 700 * time), np.zeros(round(0.15 * rate)), *clicks)
    soundfile.write(tmp_path / "a.wav", np.concatenate([*pieces, np.zeros(rate)]), rate)
    (found,) = with_word_bounds([Utterance("a", tmp_path / "a.wav", "word")])
    assert found.segments[0].end == pytest.approx(1.4, abs=0.05)


def test_a_stop_that_falls_to_its_breath_or_hardly_leaves_the_noise_is_no_click():
    word, burst = tone(0.4), noise_that_decays(0.005, 0.5, 0.0012)
    with_breath = (silence(1), word, silence(0.1), burst, silence(0.08, 0.005), silence(1))
    assert bounds(*with_breath)[1] == pytest.approx(1.505, abs=0.05)
    in_noise = np.concatenate([silence(1), word, silence(0.1), burst, silence(1)])
    assert bounds(in_noise + silence(len(in_noise) / RATE, 0.025))[1] == pytest.approx(1.505, abs=0.05)


@pytest.mark.parametrize("pause", [0.3, 0.5, 0.65])
def test_a_keyword_of_two_words_keeps_both_and_nothing_else(pause):
    hey, you, cough = tone(0.3, 0.1), tone(0.4, 0.3, 500.0), tone(0.2, 0.05, 300.0)
    whole = (silence(1), hey, silence(pause), you, silence(1))
    assert bounds(*whole, n_words=2) == pytest.approx((1.0, 1.7 + pause), abs=0.06)
    assert bounds(*whole) == pytest.approx((1.3 + pause, 1.7 + pause), abs=0.06), "of one word it is the louder part"
    assert bounds(cough, *whole, n_words=2) == pytest.approx((1.2, 1.9 + pause), abs=0.06), "a second away"
    near = bounds(cough, silence(0.3), hey, silence(pause), you, silence(1), n_words=2)
    assert near == pytest.approx((0.5, 1.2 + pause), abs=0.06), "no more parts than words"


def test_noise_hides_all_and_silence_holds_nothing():
    assert bounds(silence(1.0, 0.1)) == (0.0, pytest.approx(1.0, abs=0.02))
    assert bounds(silence(1.0)) is None


def test_recordings_of_silence_are_named_or_left_out(tmp_path):
    for name, samples in (("good", np.concatenate([silence(5), tone(0.5), silence(5)])), ("mute", silence(1))):
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE)
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    given_ones = [Utterance(name, tmp_path / f"{name}.wav", "word") for name in ("good", "mute", "broken")]
    with pytest.raises(CorpusError, match=r"1 recordings of the word hold nothing but silence: .*mute\.wav"):
        with_word_bounds(given_ones)
    good, broken = with_word_bounds(given_ones, skip_bad=True)
    assert [(s.label, round(s.start), round(s.end, 1)) for s in good.segments] == [("word", 5, 5.5)]
    assert good.text == ""
    assert broken.audio.name == "broken.wav"  # prep says why it cannot be read


def test_a_loud_click_is_no_word():
    assert bounds(silence(1), tone(0.03, 0.9), silence(1), tone(0.3, 0.1), silence(1)) == pytest.approx(
        (2.03, 2.33), abs=0.06
    )


def test_what_is_20_db_softer_is_none_of_the_words():
    assert bounds(silence(1), tone(0.3, 0.025), silence(0.4), tone(0.3), silence(1), n_words=2) == pytest.approx(
        (1.7, 2.0), abs=0.06
    )


def test_words_that_run_into_each_other_leave_none_to_find():
    assert bounds(silence(1), tone(1.0), silence(0.4), tone(0.2, 0.1), silence(1), n_words=2) == pytest.approx(
        (1.0, 2.0), abs=0.06
    )


def test_short_words_are_no_more_than_were_asked_for():
    word = tone(0.14)
    assert bounds(
        silence(1), word, silence(0.3), word, silence(0.32), tone(0.14, 0.2), silence(1), n_words=2
    ) == pytest.approx((1.0, 1.58), abs=0.06)


def test_bounds_are_within_the_utterance(tmp_path):
    pieces = (tone(0.5, 0.9), silence(1.5), tone(0.3, 0.1), silence(0.5), tone(0.4, 0.3, 500.0))
    soundfile.write(tmp_path / "a.wav", np.concatenate([*pieces, silence(1), tone(0.5, 0.9)]), RATE)
    u = Utterance("a", tmp_path / "a.wav", "hey you", start=1.0, duration=2.203)
    (found,) = with_word_bounds([u], n_words={"hey you": 2})
    assert (found.segments[0].start, found.segments[0].end) == (
        pytest.approx(1.0, abs=0.06),
        pytest.approx(2.2, abs=0.06),
    )
    assert found.segments[0].end <= 2.203


def test_a_word_begins_no_earlier_than_its_recording():
    assert bounds(tone(0.5), silence(1))[0] == 0.0


def test_of_two_neighbours_the_louder_is_the_other_word():
    pieces = (silence(1), tone(0.2, 0.05), silence(0.4), tone(0.2), silence(0.4), tone(0.2, 0.15), silence(1))
    assert bounds(*pieces, n_words=2) == pytest.approx((1.6, 2.4), abs=0.06)


def test_a_word_said_again_is_told(tmp_path):
    """Only the loudest is found, and what is left would pass for something else."""
    word = tone(0.5)
    said = {
        "once": [silence(1), word, silence(1)],
        "thrice": [silence(1), word, silence(0.8), 0.7 * word, silence(0.8), word],
        "softly": [silence(1), word, silence(1), 0.05 * word, silence(1)],
        "click": [silence(1), word, silence(1), word[:400], silence(1)],
    }
    for name, pieces in said.items():
        soundfile.write(tmp_path / f"{name}.wav", np.concatenate(pieces), RATE)
    utterances = [Utterance(name, tmp_path / f"{name}.wav", "word") for name in said]
    with pytest.warns(CorpusWarning, match=r"^1 recordings of the word may say it more than once.*thrice\.wav; cut"):
        with_word_bounds(utterances)
