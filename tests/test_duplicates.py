"""Copies are found whatever was done to them; the same word said again, by the same mouth, is none."""

import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from audiornn.corpus.duplicates import find_duplicates
from audiornn.corpus.manifest import Utterance
from audiornn.corpus.measure import measure_recordings

RATE = 16000


def voice(seed, seconds=1.2, rate=RATE):
    """A babble of its own: noise through wandering resonances, in syllables."""
    rng = np.random.default_rng(seed)
    n, pieces = round(seconds * rate), []
    while sum(map(len, pieces)) < n:
        length = int(rng.integers(900, 2400))
        frequencies = np.fft.rfftfreq(length, 1 / rate)
        shape = sum(1 / (1 + ((frequencies - f) / 120) ** 2) for f in rng.uniform(250, 3500, 3))
        sound = np.fft.irfft(np.fft.rfft(rng.standard_normal(length)) * shape, length)
        pieces.append(sound / np.abs(sound).max() * np.hanning(length) * rng.uniform(0.2, 0.6))
    return np.concatenate(pieces)[:n] + 1e-4 * rng.standard_normal(n)


class Folder:
    """Recordings written as they come, and what is found among them."""

    def __init__(self, path):
        self.path, self.utterances = path, []

    def add(self, samples, rate=RATE, *, subtype="PCM_16", form="WAV", **stretch):
        name = f"{len(self.utterances):04d}"
        file = self.path / f"{name}.{form.lower()}"
        soundfile.write(file, samples, rate, format=form, subtype=subtype)
        self.utterances.append(Utterance(name, file, **stretch))
        return len(self.utterances) - 1

    def found(self, utterances=None):
        utterances = self.utterances if utterances is None else utterances
        measured, problems = measure_recordings(utterances, n_jobs=1)
        assert not problems
        return find_duplicates(utterances, measured.rows["identity"], measured.keys, measured.owners)

    def pairs(self):
        return {(d.first, d.second) for d in self.found()}


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


# --- what is a copy ---

CHANGES = {
    "quieter": lambda x, rng: (0.2 * x, RATE),
    "poles turned": lambda x, rng: (-0.8 * x, RATE),
    "8000 Hz": lambda x, rng: (soxr.resample(x, RATE, 8000), 8000),
    "11025 Hz": lambda x, rng: (soxr.resample(x, RATE, 11025), 11025),
    "44100 Hz": lambda x, rng: (soxr.resample(x, RATE, 44100), 44100),
    "48000 Hz": lambda x, rng: (soxr.resample(x, RATE, 48000), 48000),
    "later by 137 ms": lambda x, rng: (np.concatenate([1e-4 * rng.standard_normal(2193), x]), RATE),
    "cut by 83 ms": lambda x, rng: (x[1333:], RATE),
    "noise of 25 dB": lambda x, rng: (x + 10 ** (-25 / 20) * x.std() * rng.standard_normal(len(x)), RATE),
    "stereo": lambda x, rng: (np.column_stack([x, 0.5 * x]), RATE),
    "an offset": lambda x, rng: (x + 0.05, RATE),
    "clipped": lambda x, rng: (np.clip(3 * x, -1, 1), RATE),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found(folder, change):
    rng = np.random.default_rng(0)
    originals = [folder.add(voice(seed)) for seed in range(12)]
    expected = {(i, folder.add(*CHANGES[change](voice(i), rng))) for i in originals}
    found = folder.found()
    pairs = {(d.first, d.second) for d in found}
    assert pairs <= expected
    assert len(pairs) >= 11
    assert all(0.75 <= d.similarity < 1 for d in found)
    assert all(0.9 < d.overlap < 1.3 for d in found)


@pytest.mark.parametrize(("form", "subtype"), [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")])
def test_a_copy_in_another_container_is_found(folder, form, subtype):
    originals = [folder.add(voice(seed)) for seed in range(8)]
    expected = {(i, folder.add(voice(i), form=form, subtype=subtype)) for i in originals}
    assert folder.pairs() == expected


def test_the_same_samples(folder):
    """Of three each but the first is told, with the first."""
    order = [folder.add(voice(seed)) for seed in (5, 6, 5, 7, 5)]
    found = folder.found()
    assert [(d.first, d.second) for d in found] == [(order[0], order[2]), (order[0], order[4])]
    assert all(d.similarity == 1 and np.isnan(d.overlap) for d in found)


def test_many_changed_copies_of_one_have_the_right_indices(folder):
    others = [folder.add(voice(seed)) for seed in range(20, 25)]
    copies = [folder.add(gain * voice(1)) for gain in (1.0, 0.7, 0.5, 0.3)]
    others.append(folder.add(voice(30)))
    pairs = folder.pairs()
    assert {i for pair in pairs for i in pair} == set(copies)
    assert len(pairs) >= 3
    assert all(a < b for a, b in pairs)


def test_more_copies_of_one_than_a_key_may_have_holders(folder):
    """Twenty of them: not every pair need be told, but each must be in one."""
    copies = [folder.add(gain * voice(1)) for gain in np.linspace(0.3, 1, 20)]
    for seed in range(2, 8):
        folder.add(voice(seed))
    pairs = folder.pairs()
    assert {i for pair in pairs for i in pair} == set(copies)


def test_the_order_of_the_utterances_does_not_matter(folder):
    for seed in range(6):
        folder.add(voice(seed))
    for seed in (1, 3, 3):
        folder.add(0.5 * voice(seed))
    names = {(folder.utterances[d.first].id, folder.utterances[d.second].id) for d in folder.found()}
    turned = folder.utterances[::-1]
    again = {(turned[d.second].id, turned[d.first].id) for d in folder.found(turned)}
    assert (
        {i for pair in names for i in pair}
        == {i for pair in again for i in pair}
        == {folder.utterances[i].id for i in (1, 3, 6, 7, 8)}
    )
    pairs = [(d.first, d.second) for d in folder.found()]
    assert pairs == sorted(set(pairs))


def test_what_has_no_identity_is_left_out(folder):
    for _ in range(3):
        folder.add(np.zeros(RATE))
    folder.add(voice(1))
    assert not folder.found()


def test_stretches_of_one_file_are_left_to_the_manifest(folder):
    folder.add(voice(1, 3.0), duration=2.0)
    first = folder.utterances[0]
    stretches = [first, Utterance("later", first.audio, start=0.5, duration=2.0)]
    assert not folder.found(stretches)


def test_what_is_shared_is_measured_by_the_whole_stretch_and_not_by_what_is_left_of_it(folder):
    """Two long stretches that have a second of jingle in common are not copies; a clip that is all in one is."""
    jingle = voice(3, 1.5)
    folder.add(np.concatenate([voice(1, 8.5), jingle]))
    folder.add(np.concatenate([jingle, voice(2, 8.5)]))
    folder.add(jingle)
    assert folder.pairs() == {(0, 2), (1, 2)}


@pytest.mark.parametrize("sound", ["tone", "hum", "white noise", "pulses"])
def test_a_steady_sound_is_no_copy_of_another_like_it(folder, sound):
    time_ = np.arange(RATE) / RATE
    for n in range(8):
        rng = np.random.default_rng(n)
        noise = rng.standard_normal(RATE)
        samples = {
            "tone": 0.3 * np.sin(2 * np.pi * 440 * time_ + n) + 1e-3 * noise,
            "hum": 0.3 * sum(np.sin(2 * np.pi * 50 * k * time_ + n * k) / k for k in range(1, 9)) + 1e-3 * noise,
            "white noise": 0.1 * noise,
            "pulses": 0.3 * (np.arange(RATE) % 133 == 17 * n) + 1e-3 * noise,
        }[sound]
        folder.add(samples)
    assert not folder.found()


def test_another_sound_over_the_same_hum_is_no_copy(folder):
    hum = 0.05 * np.sin(2 * np.pi * 50 * np.arange(round(1.2 * RATE)) / RATE)
    for seed in range(12):
        folder.add(voice(seed) + hum)
    assert not folder.found()


# --- real and spoken words ---


def unpacked(shared_data, corpus):
    import subprocess
    import sys

    build = Path(__file__).resolve().parents[1] / "build" / "corpora"
    subprocess.run([sys.executable, shared_data / "unpack", corpus, build], check=True)
    return build / corpus


def test_real_digits_said_again_are_no_copies(shared_data):
    files = sorted((unpacked(shared_data, "fsdd") / "recordings").glob("*_[0-9].wav"))
    assert len(files) == 600
    assert not Folder(None).found([Utterance(file.stem, file) for file in files])


def test_real_utterances_said_again_are_no_copies(shared_data):
    files = sorted((unpacked(shared_data, "an4") / "wav").rglob("an2*.sph"))
    assert len(files) > 100
    assert not Folder(None).found([Utterance(file.stem, file) for file in files])


@pytest.mark.slow
@pytest.mark.parametrize(("corpus", "pattern"), [("fsdd", "*.wav"), ("an4", "*.sph"), ("yesno", "*.wav")])
def test_whole_corpora_hold_no_copies(shared_data, corpus, pattern):
    files = sorted(unpacked(shared_data, corpus).rglob(pattern))
    assert len(files) >= 60
    assert not Folder(None).found([Utterance(str(file), file) for file in files])


def test_a_synthetic_voice_that_says_a_word_again_is_no_copy(folder):
    pytest.importorskip("espeakng_loader", reason="the voices of espeak-ng are not installed")
    from audiornn.corpus.synthesis import Voice, synthesise

    for word in ("seven", "yes", "one two three"):
        for n in range(16):
            samples, rate = synthesise(word, Voice("en-gb+m3", rate=150 + n, pitch=30 + 2 * n))
            folder.add(samples, rate)
    assert not folder.found()


# --- many ---


def test_many_recordings_are_quick():
    """Twenty thousand recordings of a hundred keys each, of which ten repeat another's samples."""
    n, rng = 20_000, np.random.default_rng(0)
    identities = rng.integers(1, 2**63, n, dtype=np.uint64)
    identities[[5, 500, 5000]] = identities[3]
    identities[n - 7 :] = identities[10]
    owners = np.repeat(np.arange(n), 100)
    keys = np.column_stack([rng.integers(0, 2**22, len(owners)), np.tile(np.arange(100), n)]).astype(np.uint32)
    utterances = [Utterance(str(i), Path(f"{i}.wav")) for i in range(n)]  # no such files: no candidate can be compared
    began = time.perf_counter()
    found = find_duplicates(utterances, identities, keys, owners)
    assert time.perf_counter() - began < 20
    expected = {(3, 5), (3, 500), (3, 5000)} | {(10, i) for i in range(n - 7, n)}
    assert {(d.first, d.second) for d in found} == expected
