"""Every recipe: its settings load, and its `prepare` works on a miniature of the corpus, and on the corpus itself."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from audiornn.errors import CorpusError
from audiornn.recipe import load_recipe, packaged_recipes

DIGITS = range(10)


def write(path, *, rate=8000, seconds=0.5):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = 0.01 * np.random.default_rng(len(path.name)).standard_normal(round(rate * seconds))
    soundfile.write(path, noise, rate)


def recipe(name, *overrides):
    return load_recipe(packaged_recipes() / name, overrides)


@pytest.fixture(scope="session")
def yesno(tmp_path_factory):
    folder = tmp_path_factory.mktemp("yesno")
    for n in range(60):
        write(folder / "waves_yesno" / ("_".join(f"{n:08b}") + ".wav"))
    return folder


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    for speaker in ("ann", "ben"):
        for digit in DIGITS:
            for take in range(10):
                write(folder / "recordings" / f"{digit}_{speaker}_{take}.wav")
    return folder


@pytest.fixture(scope="session")
def speech_commands(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech_commands")
    words = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go", "bed", "cat", "happy")
    lists = {"validation_list.txt": [], "testing_list.txt": []}
    for word in words:
        for n in range(10):
            name = f"{word}/{n:08x}_nohash_0.wav"
            write(folder / name, rate=16000, seconds=1.0)
            if n >= 6:
                lists["validation_list.txt" if n < 8 else "testing_list.txt"].append(name)
    for name, entries in lists.items():
        (folder / name).write_text("\n".join(entries))
    for noise in ("pink_noise", "white_noise"):
        write(folder / "_background_noise_" / f"{noise}.wav", rate=16000, seconds=20.0)
    return folder


def test_yesno(yesno):
    splits = recipe("yesno").prepare(yesno)
    assert {split: len(utterances) for split, utterances in splits.items()} == {"train": 30, "dev": 0, "test": 30}
    first = splits["train"][0]
    assert (first.id, first.text) == ("0_0_0_0_0_0_0_0", " ".join(["NO"] * 8))
    assert splits["test"][0].text == " ".join(["NO"] * 7 + ["YES"])
    assert recipe("yesno").prepare(yesno / "waves_yesno") == splits


def test_digits_official_split_and_a_speaker_held_out(digits):
    splits = recipe("digits").prepare(digits)
    assert {split: len(utterances) for split, utterances in splits.items()} == {"train": 40, "dev": 60, "test": 100}
    assert all(int(u.id.split("_")[2]) < 5 for u in splits["test"])
    held_out = recipe("digits", "corpus.held_out=ben").prepare(digits)
    assert {u.speaker for u in held_out["test"]} == {"ben"}
    assert len(held_out["test"]) == 100
    assert {u.speaker for u in held_out["train"] + held_out["dev"]} == {"ann"}
    with pytest.raises(CorpusError, match="did you mean 'ben'"):
        recipe("digits", "corpus.held_out=bem").prepare(digits)


def test_speechcommands_twelve_labels(speech_commands):
    splits = recipe("speechcommands").prepare(speech_commands)
    speakers = {split: {u.speaker for u in utterances if u.speaker} for split, utterances in splits.items()}
    assert not speakers["train"] & speakers["test"]
    assert not speakers["dev"] & speakers["test"]
    for split, n_each in (("train", 6), ("dev", 2), ("test", 2)):
        labels = [u.text for u in splits[split]]
        assert len(set(labels)) == 12
        assert labels.count("go") == n_each
        assert labels.count("_unknown_") == labels.count("_silence_") == n_each  # a tenth of ten commands
    assert recipe("speechcommands").prepare(speech_commands) == splits, "the choice never changes"
    for a, b in (("train", "dev"), ("dev", "test")):
        last = max(u.start + u.duration for u in splits[a] if u.text == "_silence_")
        assert last <= min(u.start for u in splits[b] if u.text == "_silence_")


def test_speechcommands_every_word(speech_commands):
    splits = recipe("speechcommands", "corpus.words=all").prepare(speech_commands)
    assert {len({u.text for u in utterances}) for utterances in splits.values()} == {13}
    assert sum(map(len, splits.values())) == 130


@pytest.mark.parametrize(
    ("name", "remove", "message"),
    [
        ("yesno", "waves_yesno/0_0_0_0_0_0_0_0.wav", "59 recordings"),
        ("digits", "recordings", "0 recordings"),
        ("speechcommands", "testing_list.txt", "testing_list.txt: missing"),
        ("speechcommands", "go/00000009_nohash_0.wav", "1 of the 26 recordings listed for test are missing"),
        ("speechcommands", "_background_noise_", "holds no noise"),
    ],
)
def test_a_corpus_with_too_few_files_is_refused(name, remove, message, request, tmp_path):
    source = request.getfixturevalue({"speechcommands": "speech_commands"}.get(name, name))
    corpus = shutil.copytree(source, tmp_path / "corpus")
    target = corpus / remove
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    with pytest.raises(CorpusError, match=message):
        recipe(name).prepare(corpus)


def test_names_that_are_not_the_corpus_are_said(digits, tmp_path):
    corpus = shutil.copytree(digits, tmp_path / "corpus")
    write(corpus / "recordings" / "seven.wav")
    with pytest.raises(CorpusError, match=r"seven\.wav: not named"):
        recipe("digits").prepare(corpus)


@pytest.mark.parametrize(
    ("name", "corpus", "expected"),
    [
        ("yesno", "yesno", {"train": 30, "dev": 0, "test": 30}),
        ("digits", "fsdd", {"train": 2520, "dev": 180, "test": 300}),
        ("speechcommands", "speech_commands", {"train": 4372, "dev": 675, "test": 610}),
    ],
)
def test_on_the_real_corpus(name, corpus, expected, shared_data):
    corpora = packaged_recipes().parent / "build" / "corpora"  # unpacked once
    subprocess.run([sys.executable, shared_data / "unpack", corpus, corpora], check=True, stdout=subprocess.DEVNULL)
    splits = recipe(name).prepare(corpora / corpus)
    assert {split: len(utterances) for split, utterances in splits.items()} == expected
