"""Words placed at known times in background."""

import numpy as np
import pytest
import soundfile

from audiornn.audio import load_audio
from audiornn.corpus.manifest import Segment, Utterance
from audiornn.corpus.placed_recordings import place_words
from audiornn.errors import CorpusError

RATE = 16000


@pytest.fixture
def sounds(tmp_path):
    time = np.arange(RATE) / RATE
    words = []
    for n in range(6):
        word = np.where((time > 0.2) & (time < 0.7), 0.2 * np.sin(2 * np.pi * (300 + 50 * n) * time), 0)
        soundfile.write(tmp_path / f"w{n}.wav", word, RATE)
        segments = (Segment(0.2, 0.7, "yes"),) if n < 4 else ()
        words.append(Utterance(f"w{n}", tmp_path / f"w{n}.wav", segments=segments))
    soundfile.write(tmp_path / "noise.wav", 0.05 * np.random.default_rng(1).standard_normal(5 * RATE), RATE)
    return words, [Utterance("noise", tmp_path / "noise.wav")], tmp_path / "made"


def test_each_labelled_word_is_where_it_is_said_to_be_and_as_loud(sounds):
    words, noise, folder = sounds
    (made,) = place_words(words, noise, folder, minutes=0.5, snr=10.0)
    assert [s.label for s in made.segments] == ["yes"] * 4  # the two others are there, and nobody's reference
    waveform = load_audio(made.audio)
    assert len(waveform) == 30 * RATE
    background = np.mean(np.square(0.02))
    for segment in made.segments:
        inside = waveform[round(segment.start * RATE) : round(segment.end * RATE)]
        assert 10 * np.log10(np.mean(np.square(inside)) / background) == pytest.approx(10.4, abs=1.0)
    starts = np.array([s.start for s in made.segments])
    assert (np.diff(starts) > 1.0).all()  # no two at once


def test_the_seed_decides_all_of_it(sounds):
    words, noise, folder = sounds

    def samples(name, **options):
        (made,) = place_words(words, noise, folder / name, minutes=0.5, **options)
        return made.segments, load_audio(made.audio)

    first, again, other = samples("a", seed=1), samples("b", seed=1), samples("c", seed=2)
    assert first[0] == again[0]
    assert np.array_equal(first[1], again[1])
    assert first[0] != other[0]


def test_what_cannot_be_placed_is_said(sounds):
    words, noise, folder = sounds
    with pytest.raises(CorpusError, match="6 words fill 6 of 6 seconds"):
        place_words(words, noise, folder, minutes=0.1)
    with pytest.raises(CorpusError, match="no background"):
        place_words(words, [], folder, minutes=1)
    with pytest.raises(CorpusError, match="no words"):
        place_words([], noise, folder, minutes=1)


def test_what_is_there_is_taken_again_only_if_it_is_the_same(sounds):
    words, noise, folder = sounds
    (first,) = place_words(words, noise, folder, minutes=0.5)
    when = first.audio.stat().st_mtime_ns
    assert place_words(words, noise, folder, minutes=0.5)[0].audio.stat().st_mtime_ns == when
    (slow,) = place_words(words, noise, folder, minutes=0.5, sample_rate=8000)
    assert soundfile.info(slow.audio).samplerate == 8000
    samples, rate = soundfile.read(noise[0].audio)
    soundfile.write(noise[0].audio, samples[::-1], rate)  # under the same name
    assert place_words(words, noise, folder, minutes=0.5)[0].audio != first.audio
