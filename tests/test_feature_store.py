"""The feature store: what is there is right, what is missing is computed, and nothing else is touched."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audiornn.audio import load_audio
from audiornn.corpus import feature_store
from audiornn.corpus.feature_store import FeatureStore, StoredUtterance, compute_features
from audiornn.corpus.manifest import Utterance
from audiornn.errors import CorpusError
from audiornn.features import FeatureExtractor, FeatureSettings
from audiornn.vocabulary import ctc_length

SETTINGS = FeatureSettings(sample_rate=8000, n_fft=256, win_length=200, hop_length=80, n_mels=20, n_mfcc=12)
N = 24


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(feature_store, "_SHARD_UTTERANCES", 4)


@pytest.fixture
def utterances(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "wavs").mkdir()
    made = []
    for i in range(N):
        audio = tmp_path / "wavs" / f"{i}.wav"
        soundfile.write(audio, 0.1 * rng.standard_normal(800 + 160 * i), 8000)
        made.append(Utterance(str(i), audio))
    return made


def compute(utterances, folder, settings=SETTINGS, n_jobs=1, **keywords):
    return compute_features(utterances, settings, folder, n_jobs=n_jobs, **keywords)


def store_of(folder, stored, targets=None):
    """The store that opens from the index of what was stored."""
    FeatureStore.save(folder.with_suffix(".npz"), stored, targets or [[]] * len(stored))
    return FeatureStore.open(folder.with_suffix(".npz"), folder)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def shards(stored):
    return {entry.shard for entry in stored}


def states(folder):
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_frames_are_those_of_the_recordings_in_order(tmp_path, utterances):
    stored = compute(utterances, tmp_path / "store")
    store = store_of(tmp_path / "store", stored)
    extractor = FeatureExtractor(SETTINGS)
    assert len(store) == N
    assert len(list((tmp_path / "store").glob("*.npy"))) > 2
    for i, utterance in enumerate(utterances):
        waveform = load_audio(utterance.audio)
        np.testing.assert_array_equal(store[i], extractor.log_mel(waveform))
        assert store.lengths[i] == SETTINGS.n_frames(len(waveform))
        assert stored[i].duration == len(waveform) / 8000
        assert not stored[i].problem


def test_frames_are_mapped_not_loaded(tmp_path, utterances):
    frames = store_of(tmp_path / "store", compute(utterances, tmp_path / "store"))[0]
    assert isinstance(frames, np.memmap)
    assert not frames.flags.writeable


def test_the_index_round_trip(tmp_path, utterances):
    stored = compute(utterances, tmp_path / "store")
    targets = [[1, 2], [], [3, 3, 3], [4], [4, 4], []]
    opened = store_of(tmp_path / "store", stored[3:9], targets)
    assert opened.lengths.tolist() == [entry.n_frames for entry in stored[3:9]]
    assert [opened.targets(i).tolist() for i in range(6)] == targets
    assert opened.target_lengths().tolist() == [2, 0, 3, 1, 2, 0]
    assert opened.ctc_lengths.tolist() == [ctc_length(ids) for ids in targets]
    np.testing.assert_array_equal(opened[0], store_of(tmp_path / "store", stored)[3])


@given(st.lists(st.lists(st.integers(1, 3), max_size=5), min_size=1, max_size=8))
def test_frames_that_ctc_needs(tmp_path, targets):
    entries = [StoredUtterance("a.npy", i, 0, 1, 1.0) for i in range(len(targets))]
    assert store_of(tmp_path / "store", entries, targets).ctc_lengths.tolist() == [ctc_length(ids) for ids in targets]


def test_an_empty_split_has_an_index_too(tmp_path):
    FeatureStore.save(tmp_path / "dev.npz", [], [])
    assert len(FeatureStore.open(tmp_path / "dev.npz", tmp_path)) == 0


def test_a_second_time_nothing_is_touched(tmp_path, utterances):
    stored = compute(utterances, tmp_path / "store")
    before = states(tmp_path / "store")
    assert compute(utterances, tmp_path / "store") == stored
    assert states(tmp_path / "store") == before


def test_names_follow_from_contents_alone(tmp_path, utterances):
    compute(utterances, tmp_path / "one")
    compute(list(reversed(utterances)), tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.parametrize(
    ("change", "recomputes"),
    [
        ({"n_mfcc": 10}, False),
        ({"kind": "log_mel"}, False),
        ({"deltas": 2}, False),
        ({"normalisation": "utterance"}, False),
        ({"n_mels": 15}, True),
        ({"hop_length": 100}, True),
        ({"fmax": 3000.0}, True),
    ],
)
def test_only_settings_of_the_spectrogram_count(tmp_path, utterances, change, recomputes):
    before = shards(compute(utterances, tmp_path / "store"))
    after = shards(compute(utterances, tmp_path / "store", FeatureSettings(**{**vars(SETTINGS), **change})))
    assert before.isdisjoint(after) if recomputes else before == after


def test_a_changed_recording_recomputes_its_shard_only(tmp_path, utterances):
    before = shards(compute(utterances, tmp_path / "store"))
    written = states(tmp_path / "store")
    soundfile.write(utterances[5].audio, np.zeros(4000), 8000)
    stored = compute(utterances, tmp_path / "store")
    assert len(shards(stored) - before) == len(before - shards(stored)) == 1
    kept = {name: state for name, state in written.items() if Path(name).with_suffix(".npy").name in shards(stored)}
    assert kept.items() <= states(tmp_path / "store").items()
    assert stored[5].n_frames == SETTINGS.n_frames(4000)


def test_a_touched_recording_is_read_again(tmp_path, utterances):
    before = shards(compute(utterances, tmp_path / "store"))
    os.utime(utterances[5].audio, ns=(0, 0))
    assert len(shards(compute(utterances, tmp_path / "store")) - before) == 1


def test_a_new_recording_changes_one_shard_only(tmp_path, utterances):
    """Or parts it, where it is full."""
    known = shards(compute(utterances[:7], tmp_path / "store"))
    for n in range(8, N + 1):
        now = shards(compute(utterances[:n], tmp_path / "store"))
        assert len(now - known) <= 2
        assert len(known - now) <= 1
        known = now


def test_a_name_in_no_unicode_has_its_place(tmp_path, utterances):
    audio = tmp_path / "wavs" / os.fsdecode(b"\xff.wav")
    try:
        audio.write_bytes(utterances[0].audio.read_bytes())
    except OSError as error:
        pytest.skip(f"this disk has Unicode names alone: {error}")
    (stored,) = compute([Utterance("odd", audio)], tmp_path / "store")
    assert stored.n_frames


@pytest.mark.parametrize("n_done", [0, 1, 3])
@pytest.mark.parametrize("place", ["between", "frames", "measures", "index"])
def test_killed_and_gone_on_is_the_same_byte_for_byte(tmp_path, utterances, monkeypatch, n_done, place):
    compute(utterances, tmp_path / "straight")
    n_written = 0
    write = feature_store.write_atomically

    def killed(path):
        nonlocal n_written
        if place == "between" or path.suffix == {"frames": ".npy", "measures": ".npz", "index": ".json"}[place]:
            if n_written == n_done:
                raise KeyboardInterrupt
            n_written += 1
        return write(path)

    with monkeypatch.context() as patch:
        patch.setattr(feature_store, "write_atomically", killed)
        with pytest.raises(KeyboardInterrupt):
            compute(utterances, tmp_path / "killed")
    before = states(tmp_path / "killed")
    compute(utterances, tmp_path / "killed")
    assert contents(tmp_path / "killed") == contents(tmp_path / "straight")
    after = states(tmp_path / "killed")
    whole = [name for name in before if name.endswith(".json")]
    assert all(after[name] == before[name] for name in whole)  # what was done is not done again


def test_a_shard_without_its_frames_is_computed_again(tmp_path, utterances):
    stored = compute(utterances, tmp_path / "store")
    before = contents(tmp_path / "store")
    (tmp_path / "store" / stored[0].shard).unlink()
    assert compute(utterances, tmp_path / "store") == stored
    assert contents(tmp_path / "store") == before


def test_workers_are_as_in_process(tmp_path, utterances, monkeypatch):
    monkeypatch.setattr(feature_store, "_WORTH_WORKERS", 0)
    utterances[7].audio.write_text("no audio")
    alone = compute(utterances, tmp_path / "alone")
    n_done = []
    several = compute(utterances, tmp_path / "several", n_jobs=2, progress=n_done.append)
    assert several == alone
    assert contents(tmp_path / "several") == contents(tmp_path / "alone")
    assert sum(n_done) == N


def test_progress_counts_every_utterance(tmp_path, utterances):
    for _ in range(2):
        n_done = []
        compute(utterances, tmp_path / "store", progress=n_done.append)
        assert sum(n_done) == N


def test_a_stretch_that_occurs_twice_is_computed_once(tmp_path, utterances):
    stored = compute([utterances[0], utterances[1], utterances[0]], tmp_path / "store")
    assert stored[0] == stored[2]
    frames = sum(len(np.load(path)) for path in (tmp_path / "store").glob("*.npy"))
    assert frames == stored[0].n_frames + stored[1].n_frames


def test_stretches_of_a_recording_are_told_apart(tmp_path, utterances):
    audio = utterances[20].audio
    parts = [Utterance(str(i), audio, start=0.1 * i, duration=0.1) for i in range(3)]
    stored = compute(parts, tmp_path / "store")
    store = store_of(tmp_path / "store", stored)
    whole = load_audio(audio)
    for i in range(3):
        expected = FeatureExtractor(SETTINGS).log_mel(whole[800 * i : 800 * (i + 1)])
        np.testing.assert_array_equal(store[i], expected)


def test_recordings_are_resampled(tmp_path):
    soundfile.write(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(16000), 16000)
    (stored,) = compute([Utterance("a", tmp_path / "a.wav")], tmp_path / "store")
    assert (stored.duration, stored.n_frames) == (1.0, 101)


def test_what_cannot_be_used_says_why_and_hinders_nobody(tmp_path, utterances):
    utterances[3].audio.write_text("no audio at all")
    utterances[4].audio.unlink()
    soundfile.write(utterances[5].audio, np.zeros(100), 8000)
    stored = compute(utterances, tmp_path / "store")
    problems = {i: entry.problem for i, entry in enumerate(stored) if entry.problem}
    assert set(problems) == {3, 4, 5}
    assert "not audio" in problems[3]
    assert "no such file" in problems[4]
    assert "100 samples" in problems[5]
    for i, problem in problems.items():
        assert str(utterances[i].audio) in problem
        assert stored[i].n_frames == 0
    np.testing.assert_array_equal(
        store_of(tmp_path / "store", stored)[6], FeatureExtractor(SETTINGS).log_mel(load_audio(utterances[6].audio))
    )


def test_a_recording_that_comes_back_is_noticed(tmp_path, utterances):
    content = utterances[4].audio.read_bytes()
    utterances[4].audio.unlink()
    assert compute(utterances, tmp_path / "store")[4].problem
    utterances[4].audio.write_bytes(content)
    assert not compute(utterances, tmp_path / "store")[4].problem


@pytest.mark.parametrize("damage", ["missing", "text", "cut", "empty"])
def test_a_damaged_index_says_so(tmp_path, utterances, damage):
    FeatureStore.save(tmp_path / "train.npz", compute(utterances, tmp_path / "store"), [[]] * N)
    content = (tmp_path / "train.npz").read_bytes()
    damaged = {"text": b"no index", "cut": content[: len(content) // 2], "empty": b""}
    if damage == "missing":
        (tmp_path / "train.npz").unlink()
    else:
        (tmp_path / "train.npz").write_bytes(damaged[damage])
    with pytest.raises(CorpusError, match=r"train\.npz.*audiornn prep"):
        FeatureStore.open(tmp_path / "train.npz", tmp_path / "store")


@pytest.mark.parametrize("damage", ["missing", "text", "cut", "empty"])
def test_a_damaged_shard_says_so(tmp_path, utterances, damage):
    stored = compute(utterances, tmp_path / "store")
    shard = tmp_path / "store" / stored[0].shard
    content = shard.read_bytes()
    damaged = {"text": b"no frames", "cut": content[: len(content) // 2], "empty": b""}
    if damage == "missing":
        shard.unlink()
    else:
        shard.write_bytes(damaged[damage])
    opened = store_of(tmp_path / "store", stored)
    with pytest.raises(CorpusError, match=rf"{stored[0].shard}.*audiornn prep"):
        opened[0]


def test_the_shards_index_is_plain_json(tmp_path, utterances):
    compute(utterances, tmp_path / "store")
    rows = [row for path in (tmp_path / "store").glob("*.json") for row in json.loads(path.read_text())]
    assert len(rows) == N


def test_more_shards_than_files_may_be_open(tmp_path, utterances, monkeypatch):
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    monkeypatch.setattr(feature_store, "_SHARD_UTTERANCES", 1)
    stored = compute(utterances, tmp_path / "store")
    store, other = (store_of(tmp_path / "store", stored) for _ in range(2))
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.open(os.devnull, os.O_RDONLY)
    os.close(probe)  # the lowest number that is free
    if most != resource.RLIM_INFINITY and most < probe + 64:
        pytest.skip("no more may be opened here")
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (probe + 8, most))
        with monkeypatch.context() as patched:
            patched.setattr(feature_store, "_allow_open_files", lambda: None)
            with pytest.raises(CorpusError, match="more files than may be open at once; `ulimit -n`"):
                other.hold()
        assert len(store.hold()[N - 1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (now, most))


def test_what_a_training_has_open_on_windows_hinders_no_prep(tmp_path, monkeypatch):
    (tmp_path / "old.npy").write_bytes(b"of a training")

    def refused(self, missing_ok=False):
        raise PermissionError(13, "The process cannot access the file", str(self))

    monkeypatch.setattr(Path, "unlink", refused)
    feature_store.remove_others(tmp_path, [])
