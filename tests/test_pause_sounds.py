"""Sounds between words: as loud as asked for where they are loudest, never a step, and only where there is a pause."""

import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiornn.corpus import composition
from audiornn.corpus.composition import Composition, Word, compose, plan_strings, word_bounds
from audiornn.corpus.pause_sounds import PAUSE_SOUNDS, make_pause_sound

RATE = 8000


@pytest.mark.parametrize("kind", PAUSE_SOUNDS)
@pytest.mark.parametrize("n", [480, 4800])
def test_its_loudest_25_ms_have_unit_power_and_it_ends_in_nothing(kind, n):
    for seed in range(20):
        sound = make_pause_sound(kind, n, RATE, np.random.default_rng(seed))
        assert sound.shape == (n,)
        assert sound.dtype == np.float32
        power = np.convolve(np.square(sound, dtype=np.float64), np.ones(RATE // 40) / (RATE // 40), mode="valid")
        assert power.max() == pytest.approx(1, rel=1e-3)
        assert max(abs(sound[0]), abs(sound[-1])) < 0.05


def test_kinds_differ_in_what_they_are():
    def flatness(kind):  # of the power of 5 ms, over the whole
        power = np.square(make_pause_sound(kind, 4000, RATE, np.random.default_rng(3))).reshape(-1, 40).mean(axis=1)
        return np.median(power) / power.max()

    assert flatness("smack") < 1e-3 < flatness("breath")
    murmur = make_pause_sound("murmur", 4000, RATE, np.random.default_rng(3))
    breath = make_pause_sound("breath", 4000, RATE, np.random.default_rng(3))

    def periodicity(sound):
        middle = sound[1800:2200].astype(np.float64)
        lags = range(RATE // 400, RATE // 60)
        return max(np.corrcoef(middle[:-lag], middle[lag:])[0, 1] for lag in lags)

    assert periodicity(murmur) > 0.8 > periodicity(breath)


@pytest.fixture
def job(tmp_path):
    """Three tones, with half a second between them."""
    words = []
    for pitch in (400, 900, 1500):
        file = tmp_path / f"{pitch}.wav"
        tone = 0.1 * np.sin(2 * np.pi * pitch * np.arange(0.3 * RATE) / RATE)
        soundfile.write(file, np.pad(tone, round(0.05 * RATE)), RATE)
        words.append(Word(file, str(pitch)))
    return Composition(Path("string.flac"), "ann", tuple(words), (0.5, 0.5), RATE, before=0.5, after=0.5)


def test_sounds_lie_in_pauses_and_never_over_words(job):
    silent = compose(job)
    bounds = [(round(begin * RATE), round(end * RATE)) for begin, end in word_bounds(job)]
    pauses = [(0, bounds[0][0]), *((a[1], b[0]) for a, b in pairwise(bounds))]
    filled = 0
    for seed in range(40):
        made = compose(dataclasses.replace(job, sounds=1.0, seed=seed))
        added = np.abs(made - silent)
        assert all(added[begin:end].max() < 1e-6 for begin, end in bounds)
        assert added.max() < 1.0
        filled += sum(added[begin:end].max() > 1e-3 for begin, end in pauses)
    assert filled == 40 * len(pauses)


def test_a_share_of_pauses_has_one_and_the_seed_says_which(job):
    silent = compose(job)
    made = [compose(dataclasses.replace(job, sounds=0.3, seed=seed)) for seed in range(100)]
    first = round(word_bounds(job)[0][0] * RATE)
    n_filled = sum(np.abs(string - silent)[:first].max() > 1e-4 for string in made)
    assert 15 <= n_filled <= 45
    again = compose(dataclasses.replace(job, sounds=0.3, seed=7))
    np.testing.assert_array_equal(made[7], again)


def test_a_word_broken_off_dies_away_however_short_the_pause(job):
    placed, _ = composition._place(job)
    for longest in (300, 600, 5000):
        for seed in range(10):
            begun = composition._beginning(placed[2], longest, np.random.default_rng(seed))
            assert len(begun) <= min(longest, 0.35 * (placed[2].end - placed[2].begin) + 1)
            assert np.sqrt(np.mean(np.square(begun[-8:]))) < 0.2  # of unit power


def test_no_pause_no_sound(job):
    tight = dataclasses.replace(job, gaps=(0.02, -0.02), before=0.03, after=0.03)
    np.testing.assert_array_equal(compose(dataclasses.replace(tight, sounds=1.0)), compose(tight))


def test_plans_carry_the_share(job):
    planned = plan_strings({"ann": job.words}, 2, folder=Path("made"), name="a test", sample_rate=RATE, sounds=0.4)
    plain = plan_strings({"ann": job.words}, 2, folder=Path("made"), name="a test", sample_rate=RATE)
    assert [dataclasses.replace(string, sounds=0.0) for string in planned] == plain
    assert {string.sounds for string in planned} == {0.4}
