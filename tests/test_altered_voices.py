"""Other voices of a recording: the pitch is what was asked for, the formants are, and nothing else changes."""

import numpy as np
import pytest
import scipy.signal
import soundfile

from audiornn.corpus import altered_voices
from audiornn.corpus.altered_voices import alter_voice, in_other_voices
from audiornn.corpus.manifest import Segment, Utterance

pytest.importorskip("parselmouth", reason="voices are altered by Praat")

RATE, PITCH, FORMANT = 16000, 110.0, 1500.0


def vowel(seconds=0.5):
    """Pulses through one resonance."""
    pulses = np.zeros(int(seconds * RATE))
    pulses[(np.arange(0, seconds, 1 / PITCH) * RATE).astype(int)] = 1.0
    radius = np.exp(-np.pi * 150 / RATE)
    sound = scipy.signal.lfilter([1], [1, -2 * radius * np.cos(2 * np.pi * FORMANT / RATE), radius**2], pulses)
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def pitch_and_formant(sound):
    """By the autocorrelation, and by the strongest partials."""
    middle = sound[len(sound) // 4 : 3 * len(sound) // 4].astype(np.float64)
    products = np.correlate(middle, middle, "full")[len(middle) - 1 :]
    lags = slice(RATE // 400, RATE // 60)
    power = np.abs(np.fft.rfft(middle * np.hanning(len(middle)))) ** 2
    frequencies = np.fft.rfftfreq(len(middle), 1 / RATE)
    near = power > 0.3 * power.max()
    return RATE / (lags.start + products[lags].argmax()), np.average(frequencies[near], weights=power[near])


@pytest.mark.parametrize(("pitch", "tract"), [(1.0, 1.0), (1.3, 1.0), (0.75, 1.0), (1.0, 1.15), (1.25, 0.9)])
def test_pitch_and_formants_move_each_by_itself(pitch, tract):
    sound = vowel()
    altered = alter_voice(sound, RATE, pitch=pitch, tract=tract)
    assert altered.shape == sound.shape
    assert altered.dtype == np.float32
    assert np.sqrt(np.mean(altered**2)) == pytest.approx(np.sqrt(np.mean(sound**2)), rel=0.05)
    found = pitch_and_formant(altered)
    assert found[0] == pytest.approx(pitch * PITCH, rel=0.02)
    assert found[1] == pytest.approx(tract * FORMANT, rel=0.05)


def test_silence_and_a_moment_are_altered_too():
    assert not alter_voice(np.zeros(4000, np.float32), RATE, pitch=1.2, tract=1.0).any()
    assert len(alter_voice(vowel(0.05), RATE, pitch=0.8, tract=1.1)) == RATE // 20


def test_each_recording_gets_as_many_voices_and_what_is_there_stays(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.concatenate([np.zeros(4000, np.float32), vowel()]), RATE)
    soundfile.write(tmp_path / "b.wav", vowel(), RATE)
    word = (Segment(0.1, 0.4, "computer"),)
    people = [
        Utterance("a", tmp_path / "a.wav", speaker="ada", start=0.25, duration=0.5, segments=word),
        Utterance("b", tmp_path / "b.wav", speaker="ben", segments=word),
    ]
    made = in_other_voices(people, 5, tmp_path / "voices")
    assert [(u.speaker, u.segments) for u in made] == [(u.speaker, word) for u in (*people, *people, people[0])]
    assert len({u.id for u in made}) == len({u.audio for u in made}) == 5
    assert {round(soundfile.info(u.audio).duration, 3) for u in made} == {0.5}
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "voices").iterdir()}
    assert in_other_voices(people, 5, tmp_path / "voices") == made
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "voices").iterdir()} == before
    assert in_other_voices([], 5, tmp_path / "voices") == []


def test_voices_that_are_all_the_same_are_recordings_of_their_own(tmp_path, monkeypatch):
    """As the farthest ones are, where many are asked for."""
    monkeypatch.setattr(altered_voices, "_PITCH", (0.0, 0.0, 0.5))
    monkeypatch.setattr(altered_voices, "_TRACT", (0.0, 0.0, 0.2))
    soundfile.write(tmp_path / "a.wav", vowel(0.2), RATE)
    made = in_other_voices([Utterance("a", tmp_path / "a.wav")], 3, tmp_path / "voices")
    assert len({u.id for u in made}) == 3
