import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("espeakng_loader")

from audiornn.corpus import synthesis
from audiornn.corpus.synthesis import SynthesisJob, Voice, list_voices, render, synthesise, synthesise_files, variants
from audiornn.errors import AudiornnError, CorpusError

RECIPE = Path(__file__).parents[1] / "recipes" / "spoken_digits" / "prepare.py"

# klatt3 and f3 keep a phase from one text to the next, Annie and Reed breathe at random: each would betray a state.
VOICES = [Voice("en-us+klatt3"), Voice("en-gb+f3", rate=140), Voice("en-us+Annie", pitch=70), Voice("en-029+Reed")]


def fingerprint(waveform):
    return hashlib.sha256(waveform.tobytes()).hexdigest()


def speak(order):
    return {index: fingerprint(synthesise("seven zero", VOICES[index])[0]) for index in order}


# --- one text ---


def test_a_waveform_is_speech_and_nothing_around_it():
    waveform, sample_rate = synthesise("three five one", Voice("en-us"))
    assert (waveform.dtype, waveform.ndim, sample_rate) == (np.float32, 1, 22050)
    assert 0.6 < len(waveform) / sample_rate < 1.2
    assert 0.2 < np.abs(waveform).max() <= 1
    assert waveform[0]
    assert waveform[-1]
    spectrum = np.abs(np.fft.rfft(waveform)) ** 2
    frequencies = np.fft.rfftfreq(len(waveform), 1 / sample_rate)
    assert spectrum[(frequencies > 80) & (frequencies < 4000)].sum() > 0.9 * spectrum.sum()


def test_the_same_samples_in_any_order_and_any_process():
    here = speak([0, 1, 2, 3])
    assert len(set(here.values())) == 4
    assert speak([3, 3, 1, 0, 2]) == here
    there = subprocess.run(
        [sys.executable, "-c", "import test_synthesis; print(test_synthesis.speak([2, 0, 3, 1]))"],
        cwd=Path(__file__).parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(RECIPE.parents[2]), *sys.path])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert eval(there.stdout) == here


def test_every_setting_of_a_voice_is_heard_and_forgotten():
    plain = fingerprint(synthesise("four two", Voice("en-gb"))[0])
    changed = [
        Voice("en-gb", rate=120),
        Voice("en-gb", pitch=80),
        Voice("en-gb", pitch_range=90),
        Voice("en-gb", word_gap=10),
        Voice("en-gb-scotland"),
        Voice("en-gb+f2"),
    ]
    heard = {fingerprint(synthesise("four two", voice)[0]) for voice in changed}
    assert len(heard | {plain}) == 7
    assert fingerprint(synthesise("four two", Voice("en-gb"))[0]) == plain


def test_voices_and_variants_are_listed():
    assert {"en-gb", "en-us", "en-gb-scotland"} <= set(list_voices())
    assert "fr-fr" in list_voices("fr")
    assert not list_voices("xx")
    assert {"f1", "m3", "Annie"} <= set(variants())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("en-uss", "no voice 'en-uss'; did you mean 'en-us'"),
        ("en-us+f33", "no variant 'f33'; did you mean 'f3'"),
        ("en-us+", "no variant ''"),
        ("f3", "no voice 'f3'"),
        ("", "no voice ''"),
    ],
)
def test_an_unknown_voice_is_an_error_not_another_voice(name, message):
    with pytest.raises(AudiornnError, match=message):
        synthesise("one", Voice(name))


def test_what_cannot_be_spoken_is_an_error():
    for text in ("", " ", "...", "one\0two"):
        with pytest.raises(AudiornnError, match=r"spoken|nothing"):
            synthesise(text, Voice("en-us"))
    with pytest.raises(AudiornnError, match="rate is 20, but must lie in 80…450"):
        Voice("en-us", rate=20)


def test_a_missing_library_names_the_remedy(monkeypatch):
    for cached in (synthesis._data_folder, synthesis._languages, variants):
        cached.cache_clear()
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(AudiornnError, match=r"pip install 'audiornn\[train\]'"):
        synthesise("one", Voice("en-us"))


# --- recordings ---


@pytest.mark.parametrize("colour", ["white", "pink"])
def test_a_recording_has_the_level_silence_and_noise_asked_for(colour):
    spoken = {"leading_silence": 0.25, "trailing_silence": 0.1, "peak": 0.5}
    clean = render(SynthesisJob("six", VOICES[1], Path("x.flac"), **spoken))
    noisy = render(SynthesisJob("six", VOICES[1], Path("x.flac"), **spoken, snr=20, noise=colour, seed=3))
    assert clean.dtype == noisy.dtype == np.float32
    assert np.abs(clean).max() == pytest.approx(0.5)
    assert not clean[:4000].any()
    assert not clean[-1600:].any()
    assert np.abs(clean[4000:4160]).max() > 0.001
    speech, noise = clean[4000:-1600], noisy - clean
    assert 10 * np.log10(np.mean(speech**2) / np.mean(noise**2)) == pytest.approx(20, abs=0.01)
    low, high = np.array_split(np.abs(np.fft.rfft(noise)) ** 2, 2)
    assert low.sum() / high.sum() == pytest.approx(1, abs=0.2) if colour == "white" else low.sum() > 5 * high.sum()


def test_processes_write_what_one_writes(tmp_path, monkeypatch):
    def make(folder, n_jobs):
        jobs = [
            SynthesisJob(
                f"number {n}", VOICES[n % 4], tmp_path / folder / f"{n}.{('flac', 'wav')[n % 2]}", snr=30, seed=n
            )
            for n in range(24)
        ]
        return synthesise_files(jobs, n_jobs)

    assert make("one", 1) == 24
    monkeypatch.setattr(synthesis, "_WORTH_A_PROCESS", 1)
    assert make("two", 2) == 24
    assert make("two", 2) == 0
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    information = soundfile.info(str(tmp_path / "one" / "0.flac"))
    assert (information.samplerate, information.channels, information.subtype) == (16000, 1, "PCM_16")


def test_an_error_in_a_process_is_the_same_error(tmp_path, monkeypatch):
    monkeypatch.setattr(synthesis, "_WORTH_A_PROCESS", 1)
    jobs = [SynthesisJob("one", Voice(name), tmp_path / f"{name}.wav") for name in ("en-us", "en-us+nobody")]
    for n_jobs in (1, 2):
        with pytest.raises(AudiornnError, match="no variant 'nobody'"):
            synthesise_files(jobs, n_jobs)
    with pytest.raises(AudiornnError, match=r"\.flac"):
        synthesise_files([SynthesisJob("one", Voice("en-us"), tmp_path / "one.mp3")])
    with pytest.raises(ValueError, match="same file"):
        synthesise_files([jobs[0], jobs[0]])


# --- the recipe ---


@pytest.fixture
def recipe(monkeypatch):
    spec = importlib.util.spec_from_file_location("spoken_digits_prepare", RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "COUNTS", {"train": 40, "dev": 8, "test": 12})
    return module


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_killed_run_ends_like_one_that_was_not(recipe, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    recipe.obtain(whole, jobs=1)
    shutil.copytree(whole, killed)
    recordings = sorted(killed.rglob("*.flac"))
    assert len(recordings) == 60
    for path in recordings[::3]:
        path.unlink()
    half = recordings[0].with_name(f".{recordings[0].name}.4711.partial")
    half.write_bytes(b"fLaC")
    os.utime(half, (time.time() - 60, time.time() - 60))
    recipe.obtain(killed, jobs=1)
    assert contents(killed) == contents(whole)


def test_a_corpus_that_is_there_is_left_alone(recipe, tmp_path):
    recipe.obtain(tmp_path, jobs=1)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    began = time.perf_counter()
    recipe.obtain(tmp_path, jobs=1)
    assert time.perf_counter() - began < 0.5
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_the_splits_share_neither_variants_nor_strings(recipe, tmp_path):
    recipe.obtain(tmp_path, jobs=1)
    splits = recipe.prepare(tmp_path)
    assert {split: len(utterances) for split, utterances in splits.items()} == recipe.COUNTS
    everything = [utterance for utterances in splits.values() for utterance in utterances]
    assert len({utterance.id for utterance in everything}) == 60
    for utterance in everything:
        assert str(tmp_path) not in utterance.id
        assert utterance.audio.is_file()
        assert set(utterance.text.split()) <= set(recipe.DIGITS)
        assert 1 <= len(utterance.text.split()) <= 6
    spoken = {
        split: ({u.speaker.split("+")[1] for u in utterances}, {u.text for u in utterances if " " in u.text})
        for split, utterances in splits.items()
    }
    for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        assert not spoken[one][0] & spoken[other][0]
        assert not spoken[one][1] & spoken[other][1]


def test_the_whole_plan_keeps_its_promises(recipe, tmp_path, monkeypatch):
    monkeypatch.undo()
    planned = recipe.plan(tmp_path)
    assert len(planned) == sum(recipe.COUNTS.values())
    names = [set(recipe.VARIANTS[split]) for split in ("train", "dev", "test")]
    assert len(set.union(*names)) == sum(map(len, names))
    assert set.union(*names) <= set(variants())
    assert set(recipe.ACCENTS) <= set(list_voices())
    strings = {}
    for job in planned:
        strings.setdefault(job.path.parent.name, set()).add(job.text)
    assert not {text for text in strings["test"] & strings["train"] if " " in text}
    assert recipe.plan(tmp_path) == planned


def test_a_corpus_with_something_missing_is_refused(recipe, tmp_path):
    with pytest.raises(CorpusError, match="no such manifest"):
        recipe.prepare(tmp_path)
    recipe.obtain(tmp_path, jobs=1)
    index = tmp_path / recipe.INDEX
    lines = index.read_text().splitlines(keepends=True)

    next(tmp_path.glob("dev/*.flac")).unlink()
    with pytest.raises(CorpusError, match="is missing"):
        recipe.prepare(tmp_path)

    index.write_text("".join(lines[:-1]))
    with pytest.raises(CorpusError, match=r"lists .*39"):
        recipe.prepare(tmp_path)
    with pytest.raises(CorpusError, match="another version"):
        recipe.obtain(tmp_path, jobs=1)


def test_a_variant_in_two_splits_is_refused(recipe, tmp_path):
    recipe.obtain(tmp_path, jobs=1)
    splits = recipe.prepare(tmp_path)
    index = tmp_path / recipe.INDEX
    index.write_text(index.read_text().replace(splits["dev"][0].speaker, splits["test"][0].speaker))
    with pytest.raises(CorpusError, match=r"the variant '\w+' is in both dev and test"):
        recipe.prepare(tmp_path)
