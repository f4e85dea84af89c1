"""The recipes whose recordings have labels with times, on miniatures of their corpora."""

import shutil
import zlib

import numpy as np
import pytest
import soundfile

from audiornn.corpus.preparation import prepare_corpus
from audiornn.errors import CorpusError
from audiornn.recipe import load_recipe, packaged_recipes

RATE = 16_000
WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")


def recipe(name, *overrides):
    return load_recipe(packaged_recipes() / name, overrides)


def spoken(path, rate=RATE, **container):
    """A burst with quiet around it: 0.2 s quiet, 0.4 s that sound, 0.2 s quiet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    n = round(0.4 * rate)
    rng = np.random.default_rng(zlib.crc32(str(path).encode()))
    burst = 0.2 * np.hanning(n) ** 0.25 * rng.standard_normal(n)
    quiet = 1e-4 * rng.standard_normal(rate // 5)
    soundfile.write(path, np.concatenate([quiet, burst, quiet]), rate, **container)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """AN4 and Speech Commands side by side, two recordings and more a speaker."""
    folder = tmp_path_factory.mktemp("corpora")
    for split, wav, speakers in (
        ("train", "an4_clstk", [f"m{i:02d}" for i in range(18)]),
        ("test", "an4test_clstk", ["fxx", "fyy"]),
    ):
        names = [f"{wav}/{speaker}/an{take}-{speaker}-b" for speaker in speakers for take in range(5)]
        for name in names:
            spoken(folder / "an4" / "wav" / f"{name}.sph", format="NIST", subtype="PCM_16")
        (folder / "an4" / "etc").mkdir(exist_ok=True)
        (folder / "an4" / "etc" / f"an4_{split}.fileids").write_text("\n".join(names))
        lines = [f"YES ({name.rpartition('/')[2]})" for name in names]
        (folder / "an4" / "etc" / f"an4_{split}.transcription").write_text("\n".join(lines))
    (folder / "an4" / "etc" / "an4.dic").write_text("YES Y EH S\n")
    commands = folder / "speech_commands"
    lists = {"validation": [], "testing": []}
    for word in WORDS:
        for n in range(6):
            spoken(commands / word / f"{n:08x}_nohash_0.wav")
            if n >= 2:
                lists["validation" if n < 4 else "testing"].append(f"{word}/{n:08x}_nohash_0.wav")
    for name, entries in lists.items():
        (commands / f"{name}_list.txt").write_text("\n".join(entries))
    for noise in ("pink_noise", "exercise_bike", "doing_the_dishes"):
        spoken(commands / "_background_noise_" / f"{noise}.wav")
    return folder


FEW = ("corpus.scenes=12", "corpus.dev_scenes=4", "corpus.test_scenes=4")


def test_speech_activity(corpora, tmp_path):
    splits = recipe("speech_activity", *FEW).prepare(corpora, made_dir=tmp_path / "made", jobs=1)
    assert {split: len(utterances) for split, utterances in splits.items()} == {"train": 12, "dev": 12, "test": 8}
    speakers = {split: {u.speaker for u in utterances} for split, utterances in splits.items()}
    assert not speakers["train"] & (speakers["dev"] | speakers["test"])
    assert not speakers["dev"] & speakers["test"]
    kinds = {split: {u.id.split("/")[2].rpartition("_")[0] for u in splits[split]} for split in ("dev", "test")}
    assert kinds["test"] == {"siren", "engine", "babble", "doing_the_dishes"}
    assert kinds["dev"] == {"coloured", "rain", "babble", "exercise_bike"}
    assert {u.id.split("/")[1] for u in splits["test"]} == {"10dB", "0dB"}
    for utterance in splits["test"]:
        duration = soundfile.info(utterance.audio).duration
        assert utterance.segments
        assert all(s.label == "speech" and 0 <= s.start < s.end <= duration for s in utterance.segments)
    again = recipe("speech_activity", *FEW).prepare(corpora, made_dir=tmp_path / "made", jobs=1)
    assert again == splits
    shutil.rmtree(tmp_path / "made")
    with pytest.raises(CorpusError, match=r"corpus\.scenes = 0"):
        recipe("speech_activity", "corpus.scenes=0").prepare(corpora, made_dir=tmp_path / "made")
    with pytest.raises(CorpusError, match="holds no folder an4, none speech_commands or speechcommands"):
        recipe("speech_activity").prepare(tmp_path, made_dir=tmp_path / "made")


def test_spoken_segments(tmp_path):
    for speaker in ("george", "lucas", "nicolas", "theo"):
        for digit in range(10):
            for take in range(3):
                spoken(tmp_path / "fsdd" / "recordings" / f"{digit}_{speaker}_{take}.wav", 8000)
    few = ("corpus.strings=10", "corpus.dev_strings=4", "corpus.test_strings=4")
    prepared = prepare_corpus(recipe("spoken_segments", *few), tmp_path / "fsdd", tmp_path / "data")
    assert [row.utterances for row in prepared.summary] == [10, 4, 4]
    assert {u.speaker for u in prepared.utterances("train")} <= {"george", "theo"}
    assert {u.speaker for u in prepared.utterances("dev")} == {"lucas"}
    assert {u.speaker for u in prepared.utterances("test")} == {"nicolas"}
    first = prepared.utterances("test")[0]
    assert [s.end - s.start for s in first.segments] == pytest.approx([0.4] * len(first.segments), abs=0.06)
    with pytest.raises(CorpusError, match="must be two of"):
        recipe("spoken_segments", "corpus.test_speaker=lucas").prepare(tmp_path / "fsdd", made_dir=tmp_path / "made")


def test_phones(corpora, tmp_path):
    prepared = prepare_corpus(recipe("phones"), corpora / "an4", tmp_path)
    assert prepared.vocabulary.symbols == ("<blank>", "EH", "S", "Y")
    assert [row.utterances for row in prepared.summary] == [80, 10, 10]
