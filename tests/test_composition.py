"""Strings pasted from words: who says what, how loud, how long, and the same whenever and wherever they are made."""

import dataclasses
import itertools
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiornn.audio import load_audio
from audiornn.corpus import composition
from audiornn.corpus.composition import Composition, Word, compose, compose_files, draw_gap, plan_strings, speech_bounds
from audiornn.errors import AudioError, AudiornnError

RATE = 8000
PITCHES = {"ONE": 400.0, "TWO": 900.0, "SIX": 1500.0}
SECONDS, ROOM = 0.3, 0.25  # of each word, and of the room before it and after


def tone(pitch, *, loudness=0.1, room=ROOM, floor=1e-4, seed=0):
    """A word: a tone with room around it."""
    time = np.arange(round(SECONDS * RATE)) / RATE
    padded = np.pad(loudness * np.sqrt(2) * np.sin(2 * np.pi * pitch * time), round(room * RATE))
    return (padded + floor * np.random.default_rng(seed).standard_normal(len(padded))).astype(np.float32)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Words by speaker; each speaker is as loud as she is."""
    folder = tmp_path_factory.mktemp("words")
    found = {}
    for speaker, loudness in (("ann", 0.02), ("ben", 0.3)):
        found[speaker] = []
        for take, (text, pitch) in itertools.product(range(2), PITCHES.items()):
            file = folder / f"{text}_{speaker}_{take}.wav"
            soundfile.write(file, tone(pitch, loudness=loudness, seed=take), RATE)
            found[speaker].append(Word(file, text))
    return found


@pytest.fixture(scope="module")
def planned(recordings, tmp_path_factory):
    return plan_strings(recordings, 40, folder=tmp_path_factory.mktemp("made"), name="a test", sample_rate=RATE)


def level(waveform):
    return 10 * np.log10(np.mean(np.square(waveform, dtype=np.float64)))


def loudest_tone(waveform):
    spectrum = np.abs(np.fft.rfft(waveform))
    pitch = np.fft.rfftfreq(len(waveform), 1 / RATE)[spectrum.argmax()]
    return min(PITCHES, key=lambda text: abs(PITCHES[text] - pitch))


# --- the plan ---


def test_a_string_has_one_speaker_and_says_its_words_in_order(planned, recordings):
    assert {job.speaker for job in planned} == {"ann", "ben"}
    assert {len(job.words) for job in planned} == {3, 4, 5, 6, 7}
    for job in planned:
        assert all(word.audio.stem.split("_")[1] == job.speaker for word in job.words)
        assert job.text.split() == [word.audio.stem.split("_")[0] for word in job.words]
        assert all(a.audio != b.audio for a, b in itertools.pairwise(job.words)), "no recording follows itself"


def test_the_plan_is_a_function_of_its_arguments(planned, recordings):
    folder = planned[0].path.parent
    shuffled = {speaker: recordings[speaker][::-1] for speaker in reversed(recordings)}
    assert plan_strings(shuffled, 40, folder=folder, name="a test", sample_rate=RATE) == planned
    assert plan_strings(recordings, 40, folder=folder, name="another", sample_rate=RATE) != planned


def test_a_rare_word_is_said_more_often_than_its_recordings_alone_would_be(tmp_path):
    words = [Word(Path(f"one_{n}.wav"), "ONE") for n in range(90)] + [
        Word(Path(f"two_{n}.wav"), "TWO") for n in range(10)
    ]
    strings = plan_strings({"ann": words}, 200, folder=tmp_path, name="rare")
    counts = Counter(word for job in strings for word in job.text.split())
    assert 0.2 < counts["TWO"] / counts.total() < 0.3  # √10 of √10 + √90


def test_gaps_reach_from_an_overlap_to_half_a_second():
    draw = random.Random(1)
    gaps = np.array([draw_gap(draw, tightness) for tightness in np.linspace(0, 1, 2000)])
    assert gaps.min() >= -0.03
    assert gaps.max() == 0.5
    assert 0.3 < np.mean(gaps < 0.05) < 0.7


def test_no_speaker_with_two_recordings_is_an_error(tmp_path):
    with pytest.raises(AudiornnError, match="two recordings"):
        plan_strings({"ann": [Word(Path("one.wav"), "ONE")]}, 1, folder=tmp_path, name="few")


def test_words_and_gaps_must_fit(tmp_path):
    with pytest.raises(ValueError, match="2 words and 0 gaps"):
        Composition(tmp_path / "a.flac", "ann", (Word(Path("a"), "ONE"), Word(Path("b"), "TWO")), ())


# --- one string ---


def string(recordings, texts, gaps, **settings):
    words = tuple(next(w for w in recordings[settings.get("speaker", "ann")] if w.text == text) for text in texts)
    return Composition(
        Path("string.flac"), **{"speaker": "ann", "words": words, "gaps": gaps, "sample_rate": RATE, **settings}
    )


@pytest.mark.parametrize("speaker", ["ann", "ben"])
def test_words_stand_where_they_should_and_equally_loud(recordings, speaker):
    texts, gaps = ("SIX", "ONE", "TWO"), (0.3, 0.1)
    made = compose(string(recordings, texts, gaps, speaker=speaker, before=0.2, after=0.4))
    assert made.dtype == np.float32
    assert abs(len(made) / RATE - (0.2 + 3 * SECONDS + 0.4 + 0.4)) < 0.16  # each bound is found within 25 ms
    for text, begin in zip(texts, (0.2, 0.8, 1.2), strict=True):
        word = made[round((begin + 0.06) * RATE) : round((begin + 0.22) * RATE)]
        assert loudest_tone(word) == text
        assert abs(level(word) - -23) < 1.5
    assert level(made[: round(0.1 * RATE)]) < -50
    assert level(made[round(0.62 * RATE) : round(0.7 * RATE)]) < -50


def test_levels_of_words_and_of_the_string(recordings):
    plain = string(recordings, ("ONE", "TWO"), (0.2,))
    louder = dataclasses.replace(plain, words=(plain.words[0], dataclasses.replace(plain.words[1], level=6.0)))
    first, second = slice(2000, 3600), slice(6000, 7600)
    a, b, softer = compose(plain), compose(louder), compose(dataclasses.replace(louder, level=-10.0))
    assert level(b[first]) == pytest.approx(level(a[first]), abs=0.01)
    assert level(b[second]) == pytest.approx(level(a[second]) + 6, abs=0.01)
    np.testing.assert_allclose(softer, b * 10**-0.5, rtol=1e-4, atol=1e-7)


def test_a_higher_voice_and_a_slower_word(recordings):
    plain = string(recordings, ("ONE", "SIX"), (0.3,))
    (begin, end), (later, _) = composition.word_bounds(plain)
    for voice, slowness in ((1.4, 1.0), (1.0, 1.5), (1.25, 0.8), (0.9, 1.3)):
        job = dataclasses.replace(plain, voice=voice, slowness=slowness)
        made, bounds = compose(job), composition.word_bounds(job)
        assert bounds[0][1] - bounds[0][0] == pytest.approx(slowness * (end - begin), abs=0.04)
        assert bounds[1][0] - bounds[0][1] == pytest.approx(later - end, abs=1e-3), "a gap stays as long"
        word = made[round((bounds[0][0] + 0.05) * RATE) : round((bounds[0][1] - 0.05) * RATE)]
        spectrum = np.abs(np.fft.rfft(word * np.hanning(len(word)), 2**15))
        assert spectrum.argmax() * RATE / 2**15 == pytest.approx(voice * PITCHES["ONE"], rel=0.02)


def test_a_word_may_be_a_stretch_of_a_recording(recordings, tmp_path):
    file = tmp_path / "both.wav"
    one, two = (tone(PITCHES[text]) for text in ("ONE", "TWO"))
    soundfile.write(file, np.concatenate([one, two]), RATE)
    cut = [Word(file, "ONE", duration=len(one) / RATE), Word(file, "TWO", start=len(one) / RATE)]
    job = Composition(Path("string.flac"), "ann", (cut[1], cut[0]), (0.3,), RATE)
    made = compose(job)
    (begin, _), (later, _) = composition.word_bounds(job)
    for text, at in (("TWO", begin), ("ONE", later)):
        assert loudest_tone(made[round((at + 0.06) * RATE) : round((at + 0.22) * RATE)]) == text
    planned = plan_strings({"ann": cut}, 3, folder=tmp_path, name="cut", sample_rate=RATE)
    assert {word.text for job in planned for word in job.words} == {"ONE", "TWO"}
    assert all(a.start != b.start for job in planned for a, b in itertools.pairwise(job.words))


def test_voices_are_drawn_and_plans_without_them_stay(planned, recordings):
    drawn = plan_strings(
        recordings, 40, folder=planned[0].path.parent, name="a test", sample_rate=RATE, voices=(0.9, 1.4)
    )
    assert min(job.voice for job in drawn) < 1.0 < 1.3 < max(job.voice for job in drawn)
    assert {(job.voice, job.slowness) for job in planned} == {(1.0, 1.0)}
    assert dataclasses.replace(drawn[0], voice=1.0) == planned[0]


def test_overlapping_words_are_both_heard_and_the_string_is_shorter(recordings):
    apart = compose(string(recordings, ("ONE", "TWO"), (0.1,)))
    over = compose(string(recordings, ("ONE", "TWO"), (-0.03,)))
    assert len(apart) - len(over) == round(0.13 * RATE)
    assert loudest_tone(over[round(0.25 * RATE) : round(0.4 * RATE)]) == "ONE"
    assert loudest_tone(over[round(0.6 * RATE) : round(0.7 * RATE)]) == "TWO"


def test_a_loud_string_is_turned_down_rather_than_clipped(recordings):
    made = compose(string(recordings, ("ONE", "TWO"), (-0.03,), level=40.0, snr=20.0))
    assert 0.9 < np.abs(made).max() <= 0.98


@pytest.mark.parametrize("tilt", [0.0, 3.0])
def test_noise_lies_evenly_under_the_whole_string(recordings, tilt):
    job = string(recordings, ("ONE", "TWO"), (0.5,), before=0.5, after=0.5, snr=20.0, tilt=tilt)
    made = compose(job)
    rooms = [made[round(at * RATE) : round((at + 0.4) * RATE)] for at in (0.05, 0.87, 1.67)]
    assert all(abs(level(room) - (-23 - 20)) < 2.5 for room in rooms)
    assert not np.array_equal(compose(dataclasses.replace(job, seed=1)), made)


def test_recorded_noise_is_repeated_where_it_is_short(recordings, tmp_path):
    noise = tmp_path / "noise.wav"
    soundfile.write(noise, 0.001 * np.sin(2 * np.pi * 3000 * np.arange(RATE // 10) / RATE), RATE)
    made = compose(string(recordings, ("ONE",), (), before=1.0, snr=10.0, noise=noise))
    assert abs(level(made[: RATE // 2]) - (-23 - 10)) < 1
    assert np.abs(np.fft.rfft(made[: RATE // 2])).argmax() == 1500


def test_no_joint_is_a_step(recordings):
    """A recording's room goes over into the next one's: the loudest edge is no sharper than the tones themselves."""
    made = compose(string(recordings, ("ONE", "ONE"), (0.15,)))
    steepest = 2 * np.pi * PITCHES["ONE"] / RATE * np.sqrt(2) * 10 ** (-23 / 20)
    assert np.abs(np.diff(made)).max() < 1.2 * steepest


def test_another_rate_is_resampled(recordings):
    at_8, at_16 = (compose(string(recordings, ("SIX", "TWO"), (0.2,), sample_rate=rate)) for rate in (RATE, 2 * RATE))
    assert abs(len(at_16) - 2 * len(at_8)) < 0.05 * 2 * RATE


def test_bounds_of_a_word():
    waveform = tone(900.0, floor=1e-3)
    begin, end = speech_bounds(waveform, RATE)
    assert abs(begin / RATE - ROOM) < 0.03
    assert abs(end / RATE - ROOM - SECONDS) < 0.03
    clicked = waveform.copy()
    clicked[10:14] = 0.9  # louder than the word, but short
    assert speech_bounds(clicked, RATE) == (begin, end)
    closure = waveform.copy()
    closure[round(0.35 * RATE) : round(0.45 * RATE)] = 0.0  # the middle of an “eight”
    assert speech_bounds(closure, RATE) == (begin, end)
    silence = np.zeros(RATE, dtype=np.float32)
    assert speech_bounds(silence, RATE) == (0, RATE)
    tight = tone(900.0, room=0.0)
    assert speech_bounds(tight, RATE) == (0, len(tight))


# --- files ---


def contents(jobs):
    return {job.path.name: job.path.read_bytes() for job in jobs}


def moved(jobs, folder):
    return [dataclasses.replace(job, path=folder / job.path.name) for job in jobs]


def test_files_are_flac_of_16_bit_and_the_same_in_any_process(planned, tmp_path, monkeypatch):
    assert compose_files(planned) == 40
    info = soundfile.info(planned[0].path)
    assert (info.format, info.subtype, info.samplerate, info.channels) == ("FLAC", "PCM_16", RATE, 1)
    for job in planned[:10]:
        assert np.abs(load_audio(job.path)).max() < 0.98
    monkeypatch.setattr(composition, "_WORTH_A_PROCESS", 20)
    elsewhere = moved(planned, tmp_path)
    assert compose_files(elsewhere, 2) == 40
    assert contents(elsewhere) == contents(planned)


def test_a_killed_call_goes_on_where_it_was(planned, tmp_path, monkeypatch):
    whole = moved(planned, tmp_path / "whole")
    compose_files(whole)
    killed = moved(planned, tmp_path / "killed")
    real, n_written = composition.compose, 0

    def compose_some(job):
        nonlocal n_written
        n_written += 1
        if n_written > 25:
            raise KeyboardInterrupt
        return real(job)

    monkeypatch.setattr(composition, "compose", compose_some)
    with pytest.raises(KeyboardInterrupt):
        compose_files(killed)
    monkeypatch.setattr(composition, "compose", real)
    assert len(list((tmp_path / "killed").iterdir())) == 25
    assert compose_files(killed) == 15
    assert contents(killed) == contents(whole)
    assert compose_files(killed) == 0


def test_what_cannot_be_made_is_named(planned, tmp_path):
    with pytest.raises(ValueError, match="same file"):
        compose_files([planned[0], planned[0]])
    gone = dataclasses.replace(
        planned[0], path=tmp_path / "a.flac", words=(Word(tmp_path / "gone.wav", "ONE"),), gaps=()
    )
    with pytest.raises(AudioError, match=r"gone\.wav"):
        compose_files([gone])
    assert not (tmp_path / "a.flac").exists()


def test_a_recordings_room_fades_out(recordings, tmp_path):
    hum = np.sin(2 * np.pi * 3000 * np.arange(round((SECONDS + 2 * ROOM) * RATE)) / RATE)
    soundfile.write(tmp_path / "a.wav", tone(400.0) + 0.001 * hum, RATE)
    job = dataclasses.replace(string(recordings, ("ONE",), (), after=0.6), words=(Word(tmp_path / "a.wav", "ONE"),))
    sound = np.flatnonzero(compose(job))
    made = compose(job)[: sound[-1] + 1]
    assert np.abs(made[-8:]).max() < 0.3 * np.abs(made[-400:-200]).max()


def test_the_word_is_the_loudest_run_not_the_longest():
    time = np.arange(RATE) / RATE
    waveform = np.concatenate([tone(900.0), 0.015 * np.sin(2 * np.pi * 300 * time), np.zeros(4000)]).astype(np.float32)
    assert speech_bounds(waveform, RATE)[1] / RATE == pytest.approx(ROOM + SECONDS, abs=0.03)


def test_speech_that_reaches_over_a_joint_is_kept_whole(recordings):
    job = string(recordings, ("ONE", "SIX"), (-0.2,))
    made, (_, (at, _)) = compose(job), composition.word_bounds(job)
    part = made[round(at * RATE) + 200 : round(at * RATE) + 600]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(400)))
    assert spectrum[75] > 0.5 * spectrum[20]  # 1500 and 400 Hz


def test_the_median_of_pauses_is_as_asked():
    draw = random.Random(1)
    for pause in (0.1, 0.3):
        assert np.median([draw_gap(draw, 0.0, pause) for _ in range(2000)]) == pytest.approx(pause, rel=0.1)


def test_made_noise_falls_off_by_its_tilt(recordings):
    made = compose(string(recordings, ("ONE",), (), before=3.0, snr=0.0, tilt=6.0))[: 3 * RATE - 2000]
    power = np.abs(np.fft.rfft(made)) ** 2
    at = np.fft.rfftfreq(len(made), 1 / RATE)
    low, high = (10 * np.log10(power[(at > f) & (at < 1.2 * f)].mean()) for f in (500, 2000))
    assert low - high == pytest.approx(12, abs=1)  # two octaves
