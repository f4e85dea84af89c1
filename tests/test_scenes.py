"""Scenes: speech where the segments say, noise as loud as drawn, the same every time; noises of unit power."""

import runpy
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from audiornn.corpus.made_recordings import corpora_in, folder_of_plan, some_corpora_in
from audiornn.corpus.noises import KINDS, make_noise
from audiornn.corpus.scenes import Scene, clean_recordings, compose_scene, compose_scenes, speech_stretches
from audiornn.errors import CorpusError
from audiornn.recipe import packaged_recipes

RATE = 16_000


def burst(seconds, seed=0):
    """Noise that swells and ebbs, as a word does."""
    n = round(seconds * RATE)
    return (0.2 * np.hanning(n) ** 0.25 * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """Three clean recordings: quiet, a burst, quiet; of two there is a pause in the burst."""
    folder = tmp_path_factory.mktemp("speech")
    paths = []
    for i in range(3):
        quiet = 1e-5 * np.random.default_rng(i).standard_normal(RATE // 2)
        middle = [burst(0.5, i), np.zeros(RATE // 2), burst(0.4, i)] if i else [burst(0.6)]
        paths.append(folder / f"{i}.wav")
        soundfile.write(paths[-1], np.concatenate([quiet, *middle, quiet]), RATE)
    return paths


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [8000, 16_000])
def test_every_noise_is_of_unit_power_and_its_seeds(kind, rate):
    noise = make_noise(kind, 2 * rate, rate, np.random.default_rng(1))
    assert noise.dtype == np.float32
    assert len(noise) == 2 * rate
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(1.0, rel=1e-3)
    np.testing.assert_array_equal(noise, make_noise(kind, 2 * rate, rate, np.random.default_rng(1)))
    assert not np.array_equal(noise, make_noise(kind, 2 * rate, rate, np.random.default_rng(2)))
    assert len(make_noise(kind, 50, rate, np.random.default_rng(1))) == 50


def test_speech_is_found_where_it_is(speech):
    waveform, _ = soundfile.read(speech[1], dtype="float32")
    found = [(a / RATE, b / RATE) for a, b in speech_stretches(waveform, RATE)]
    np.testing.assert_allclose(found, [(0.5, 1.0), (1.5, 1.9)], atol=0.03)
    assert speech_stretches(np.zeros(RATE, np.float32), RATE) == []


def test_only_clean_recordings_are_taken(speech, tmp_path):
    rng = np.random.default_rng(0)
    noisy = np.concatenate([burst(0.5), np.zeros(RATE)]) + 0.01 * rng.standard_normal(RATE + RATE // 2)
    soundfile.write(tmp_path / "noisy.wav", noisy, RATE)
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    everything = [*speech, tmp_path / "noisy.wav", tmp_path / "silent.wav"]
    assert clean_recordings(everything, RATE) == speech


@pytest.mark.parametrize("snr", [0.0, 10.0])
def test_a_scene_holds_its_speech_at_its_times_over_noise_as_loud_as_asked_for(speech, snr):
    scene = Scene(speech[0], tuple(speech), (0.5, 0.7, 0.3, 0.6), noise="coloured", snr=snr, seed=3)
    waveform, segments = compose_scene(scene)
    assert round(segments[0].start, 1) == 0.5
    assert len(segments) == 5
    gaps = [b.start - a.end for a, b in pairwise(segments)]
    np.testing.assert_allclose([gaps[0], gaps[2]], [0.7, 0.3], atol=0.01)
    assert segments[-1].end + 0.6 == pytest.approx(len(waveform) / RATE, abs=0.01)
    quiet, _ = compose_scene(replace(scene, snr=60.0))
    inside = np.zeros(len(waveform), bool)
    for s in segments:
        inside[round(s.start * RATE) : round(s.end * RATE)] = True
    assert np.mean(quiet[~inside] ** 2) < 1e-3 * np.mean(quiet[inside] ** 2), "all speech is labelled"
    power = np.mean(waveform[inside] ** 2), np.mean(waveform[~inside] ** 2)
    assert 10 * np.log10((power[0] - power[1]) / power[1]) == pytest.approx(snr, abs=1.0)


def test_recorded_noise_babble_and_noise_alone(speech):
    alone, segments = compose_scene(Scene(speech[0], (), (2.0,), recorded=(speech[1],), seed=1))
    assert (len(alone), segments) == (2 * RATE, ())
    babble, _ = compose_scene(Scene(speech[0], (), (2.0,), recorded=tuple(speech), seed=1))
    assert not np.array_equal(alone, babble)
    with pytest.raises(ValueError, match="made or recorded"):
        Scene(speech[0], (), (2.0,))
    with pytest.raises(ValueError, match="1 recordings of speech and 1 gaps"):
        Scene(speech[0], (speech[0],), (2.0,), noise="hum")


def test_files_are_made_once_and_are_the_same_in_any_process(speech, tmp_path):
    scenes = [Scene(tmp_path / f"{i}.flac", (speech[i],), (0.2, 0.3), noise="hum", seed=i) for i in range(3)]
    first = compose_scenes(scenes)
    assert first == [compose_scene(scene)[1] for scene in scenes]
    before = [scene.path.stat().st_mtime_ns for scene in scenes]
    content = scenes[1].path.read_bytes()
    scenes[1].path.unlink()
    assert compose_scenes(scenes) == first
    assert scenes[1].path.read_bytes() == content
    assert scenes[0].path.stat().st_mtime_ns == before[0]
    with pytest.raises(ValueError, match="same file"):
        compose_scenes([scenes[0], scenes[0]])


def test_corpora_side_by_side_and_a_folder_a_plan(tmp_path):
    (tmp_path / "digits").mkdir()
    assert corpora_in(tmp_path, ("digits",)) == {"digits": tmp_path / "digits"}
    with pytest.raises(CorpusError, match=r"holds no folder an4; .* of the recipes digits, an4 lie side by side"):
        corpora_in(tmp_path, ("digits", "an4"))
    assert some_corpora_in(tmp_path, ("digits", "an4")) == {"digits": tmp_path / "digits"}


@pytest.mark.parametrize("version", ["0.01", "0.02"])
def test_corpora_are_found_as_the_cache_keeps_them(tmp_path, version):
    recipes = {name: runpy.run_path(str(packaged_recipes() / name / "prepare.py")) for name in ("an4", "digits")}
    archives = {name: recipe["ARCHIVE"] for name, recipe in recipes.items()}
    commands = runpy.run_path(str(packaged_recipes() / "speechcommands" / "prepare.py"))
    archives["speechcommands"] = commands["ARCHIVES"][version]
    for archive in (*archives.values(), commands["TEST_ARCHIVES"][version]):
        (tmp_path / archive.name).mkdir()
    assert corpora_in(tmp_path, tuple(archives)) == {name: tmp_path / a.name for name, a in archives.items()}


def test_a_folder_a_plan(tmp_path):
    one = folder_of_plan(tmp_path / "made", "a", "r")
    assert folder_of_plan(tmp_path / "made", "a", "r") == one
    other = folder_of_plan(tmp_path / "made", "b", "r")
    assert (one.exists(), other.exists()) == (False, True)
    with pytest.raises(CorpusError, match="made_dir"):
        folder_of_plan(None, "a", "r")


def stretches(*pieces):
    quiet = np.zeros(RATE // 2, np.float32)
    return [
        (a / RATE, b / RATE)
        for a, b in speech_stretches(np.concatenate([quiet, *pieces, quiet]).astype(np.float32), RATE)
    ]


def test_a_fricative_is_speech():
    time = np.arange(RATE // 2) / RATE
    low, high = 0.3 * np.sin(2 * np.pi * 200 * time), 0.01 * np.sin(2 * np.pi * 7000 * time)
    np.testing.assert_allclose(stretches(low, high), [(0.5, 1.5)], atol=0.03)


def test_a_stops_closure_ends_no_stretch():
    np.testing.assert_allclose(stretches(burst(0.3), np.zeros(RATE // 7), burst(0.3)), [(0.5, 1.243)], atol=0.03)


def test_a_scenes_level_is_heeded(speech):
    scene = Scene(speech[0], (speech[0],), (0.5, 0.5), noise="coloured", seed=3)
    (loud, _), (soft, _) = compose_scene(scene), compose_scene(replace(scene, level=-10.0))
    np.testing.assert_allclose(soft, loud * 10**-0.5, rtol=1e-4, atol=1e-7)


def test_speech_without_a_gap_is_one_segment(speech):
    _, segments = compose_scene(Scene(speech[0], (speech[0], speech[0]), (0.5, 0.0, 0.5), noise="hum"))
    assert len(segments) == 1


def test_a_click_is_no_speech():
    np.testing.assert_allclose(stretches(burst(0.3), np.zeros(RATE // 2), np.full(100, 0.4)), [(0.5, 0.8)], atol=0.03)


def test_a_breath_is_no_speech():
    np.testing.assert_allclose(stretches(burst(0.6), np.zeros(RATE // 2), 0.08 * burst(0.3)), [(0.5, 1.1)], atol=0.03)
