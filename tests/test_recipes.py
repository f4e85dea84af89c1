"""Every recipe: its settings load, and its `prepare` works on a miniature of the corpus, and on the corpus itself."""

import dataclasses
import shutil
import subprocess
import sys
import zlib
from collections import Counter

import numpy as np
import pytest
import soundfile

from audiornn.audio import audio_info
from audiornn.errors import CorpusError
from audiornn.recipe import load_recipe, packaged_recipes

DIGITS = range(10)


def write(path, *, rate=8000, seconds=0.5, **container):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = 0.01 * np.random.default_rng(zlib.crc32(str(path).encode())).standard_normal(round(rate * seconds))
    soundfile.write(path, noise, rate, **container)


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


AN4_TEXTS = ("YES", "ENTER FIVE", "U M N Y H SIX", "ONE TWO THREE", "FOUR OH FIVE")


@pytest.fixture(scope="session")
def an4(tmp_path_factory):
    """Nineteen training and two test speakers; half of the transcripts as the lists of another release have them."""
    folder = tmp_path_factory.mktemp("an4")
    speakers = {"train": [f"m{n:02d}" for n in range(19)], "test": ["fxx", "fyy"]}
    for split, wav in (("train", "an4_clstk"), ("test", "an4test_clstk")):
        ids, transcripts = [], []
        for speaker in speakers[split]:
            for take, text in enumerate(AN4_TEXTS):
                name = f"an{take}-{speaker}-b"
                ids.append(f"{wav}/{speaker}/{name}")
                transcripts.append(f"<s> {text} </s> ({name})" if take % 2 else f"{text} ({name})")
                file = folder / "wav" / wav / speaker / f"{name}.sph"
                write(file, rate=16000, seconds=1.0, format="NIST", subtype="PCM_16")
        (folder / "etc").mkdir(exist_ok=True)
        (folder / "etc" / f"an4_{split}.fileids").write_text("\n".join(ids) + "\n")
        (folder / "etc" / f"an4_{split}.transcription").write_text("\n".join(transcripts) + "\n")
    return folder


WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@pytest.fixture(scope="session")
def four_corpora(an4, digits, speech_commands, tmp_path_factory):
    """The folders side by side, some under their recipe's name; the strings as FLAC and as WAV."""
    folder = tmp_path_factory.mktemp("four_corpora")
    (folder / "an4").symlink_to(an4)
    (folder / "digits").symlink_to(digits)
    commands = shutil.copytree(speech_commands, folder / "speech_commands")
    for word in WORDS:
        for n in range(10):  # the lists say of 6 and 7 that they are for dev, of 8 and 9 for test
            write(commands / word / f"{n:08x}_nohash_0.wav", rate=16000, seconds=1.0)
    for name, held_out in (("validation_list.txt", (6, 7)), ("testing_list.txt", (8, 9))):
        with (commands / name).open("a") as out:
            out.writelines(f"\n{word}/{n:08x}_nohash_0.wav" for word in WORDS for n in held_out)
    strings = folder / "connected_digits"
    for speaker, kind in (("s1", "wav"), ("s2", "flac")):
        for take in range(3):
            write(strings / speaker / f"{take}.{kind}", rate=16000, seconds=2.0)
    rows = [f"{speaker}/{take}.flac\t{speaker}\tZERO  NINE FIVE" for speaker in ("s1", "s2") for take in range(3)]
    (strings / "transcripts.tsv").write_text("audio\tspeaker\ttranscript\n" + "\n".join(rows) + "\n")
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
        assert labels.count("_silence_") == n_each  # a tenth of ten commands
        assert labels.count("_unknown_") == (18 if split == "train" else n_each)  # in training, whatever there is
    assert recipe("speechcommands").prepare(speech_commands) == splits, "the choice never changes"
    for a, b in (("train", "dev"), ("dev", "test")):
        last = max(u.start + u.duration for u in splits[a] if u.text == "_silence_")
        assert last <= min(u.start for u in splits[b] if u.text == "_silence_")


def test_speechcommands_every_word(speech_commands):
    splits = recipe("speechcommands", "corpus.words=all").prepare(speech_commands)
    assert {len({u.text for u in utterances}) for utterances in splits.values()} == {13}
    assert sum(map(len, splits.values())) == 130


def test_speechcommands_as_a_spotter_is_tested_on_placed_clips_of_its_lists(speech_commands, tmp_path):
    splits = recipe("speechcommands_spotter", "corpus.minutes=1.0").prepare(speech_commands, made_dir=tmp_path)
    assert sum(bool(u.segments) for u in splits["train"]) == 60  # ten words of six speakers
    assert sum(not u.segments for u in splits["train"]) == 18 + 2 * 2  # other words, and two stretches of each noise
    for split in ("dev", "test"):
        (made,) = splits[split]
        assert len(made.segments) == 20
        assert len({segment.label for segment in made.segments}) == 10
    with pytest.raises(CorpusError, match="validation_list"):
        recipe("speechcommands_spotter").prepare(tmp_path, made_dir=tmp_path)


def test_a_wake_word_that_is_not_whole_is_refused(tmp_path):
    for n in range(3):
        write(tmp_path / "computer" / f"{n}.wav")
    with pytest.raises(CorpusError, match=r"'computer': 3.*is the corpus complete"):
        recipe("wake_word").prepare(tmp_path, made_dir=tmp_path)


@pytest.mark.slow
def test_the_wake_word_is_split_by_copy_and_by_reader(shared_data, tmp_path):
    pytest.importorskip("espeakng_loader")
    few = recipe("wake_word", "corpus.talk_minutes=1.0", "corpus.synthetic_words=5")
    splits = few.prepare(shared_data / "wake_word", made_dir=tmp_path)
    words = {name: [u for u in own if u.segments and "espeak" not in (u.speaker or "")] for name, own in splits.items()}
    assert sum(map(len, words.values())) == 411
    assert all(len(own) > 70 for own in words.values())
    readers = {name: {u.audio.parent.name for u in own} & {"669", "7312"} for name, own in splits.items()}
    assert readers == {"train": set(), "dev": {"669"}, "test": {"7312"}}


def test_an4(an4, tmp_path):
    splits = recipe("an4").prepare(an4)
    assert {split: len(utterances) for split, utterances in splits.items()} == {"train": 85, "dev": 10, "test": 10}
    speakers = {split: {u.speaker for u in utterances} for split, utterances in splits.items()}
    assert speakers["dev"] == {"m04", "m13"}, "each ninth"
    assert speakers["test"] == {"fxx", "fyy"}
    assert not speakers["train"] & speakers["dev"]
    assert [u.text for u in splits["test"][:5]] == list(AN4_TEXTS)
    assert splits["test"][0].id == "an4test_clstk/fxx/an0-fxx-b"
    assert soundfile.info(splits["test"][0].audio).format == "NIST"
    (tmp_path / "an4").symlink_to(an4)
    above = recipe("an4").prepare(tmp_path)
    assert [(u.id, u.text) for u in above["train"]] == [(u.id, u.text) for u in splits["train"]]


def test_an4_by_words(an4, tmp_path):
    from audiornn.corpus.preparation import prepare_corpus

    by_word = prepare_corpus(recipe("an4", "vocabulary.unit=word"), an4, tmp_path)
    assert set(by_word.vocabulary.symbols) >= {"ENTER", "FIVE", "U", "OH"}


def test_an4_transcripts_that_are_none_are_said(an4, tmp_path):
    corpus = shutil.copytree(an4, tmp_path / "corpus")
    file = corpus / "etc" / "an4_test.transcription"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:3], "YES an3-fxx-b", *lines[4:]]))
    with pytest.raises(CorpusError, match=r"an4_test\.transcription, line 4"):
        recipe("an4").prepare(corpus)
    file.write_text("\n".join(lines[:-1]))
    with pytest.raises(CorpusError, match=r"10 utterances .* 9, and not the same ones"):
        recipe("an4").prepare(corpus)


def connected_digits(corpus, made, *overrides):
    few = ("corpus.strings=20", "corpus.dev_strings=8", "corpus.held_out=ben", "corpus.an4_share=0")  # no such digits
    return recipe("connected_digits", *few, *overrides).prepare(corpus, made_dir=made)


def test_connected_digits(four_corpora, tmp_path):
    splits = connected_digits(four_corpora, tmp_path / "made")
    said = {"train": 19, "dev": 2}  # AN4's ONE TWO THREE; its OH is left out
    assert len(splits["train"]) == 20 + said["train"]
    assert len(splits["dev"]) == 8 + said["dev"]
    assert [(u.id, u.text, u.audio.suffix) for u in splits["test"][2:4]] == [
        ("s1/2", "ZERO NINE FIVE", ".wav"),
        ("s2/0", "ZERO NINE FIVE", ".flac"),
    ]
    for utterances in splits.values():
        assert all(u.audio.is_file() and set(u.text.split()) <= {word.upper() for word in WORDS} for u in utterances)
    speakers = {split: {u.speaker for u in utterances} for split, utterances in splits.items()}
    assert "fsdd/ann" in speakers["train"]
    assert {name for name in speakers["train"] if name.startswith("speech_commands")} <= {
        f"speech_commands/{n:08x}" for n in range(6)
    }
    assert {name for name in speakers["dev"] if not name.startswith("an4")} <= {
        "fsdd/ben",
        "speech_commands/00000006",
        "speech_commands/00000007",
    }
    assert not speakers["train"] & speakers["dev"]


def test_connected_digits_writes_only_where_it_may_and_the_same_again(four_corpora, tmp_path):
    made = tmp_path / "made"
    before = sorted(four_corpora.rglob("*"))
    splits = connected_digits(four_corpora, made)
    first = {u.audio: (u.audio.stat().st_mtime_ns, u.audio.read_bytes()) for u in splits["train"][:20]}
    lost = splits["train"][0].audio
    lost.unlink()
    assert connected_digits(four_corpora, made) == splits
    assert lost.read_bytes() == first[lost][1]
    assert all(audio.stat().st_mtime_ns == time for audio, (time, _) in first.items() if audio != lost)
    assert sorted(four_corpora.rglob("*")) == before
    other = connected_digits(four_corpora, made, "corpus.strings=10")
    assert len(list(made.iterdir())) == 1, "what an older plan made is dropped"
    assert all(u.audio.is_file() for u in other["train"])


def test_connected_digits_is_prepared_by_the_command(four_corpora, tmp_path):
    from audiornn.corpus.preparation import prepare_corpus

    few = ("corpus.strings=10", "corpus.dev_strings=2", "corpus.held_out=ben", "corpus.an4_share=0")
    loaded = recipe("connected_digits", *few)
    ready = prepare_corpus(loaded, four_corpora, tmp_path / "data")
    assert [row.utterances for row in ready.summary] == [29, 4, 6]
    assert ready.utterances("train")[0].audio.resolve().is_relative_to((tmp_path / "data").resolve())
    assert prepare_corpus(loaded, four_corpora, tmp_path / "data").unchanged


def test_connected_digits_takes_its_test_out_of_speechocean762(four_corpora, tmp_path):
    corpus = shutil.copytree(four_corpora, tmp_path / "corpus", symlinks=True)
    shutil.rmtree(corpus / "connected_digits")
    table = (packaged_recipes() / "connected_digits" / "strings.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in table[1:]]
    assert len(rows) == len({name for name, _, _ in rows}) == 77
    assert sum(len(text.split()) for _, _, text in rows) == 297
    for name, speaker, _ in rows:
        write(corpus / "speechocean762" / "WAVE" / f"SPEAKER{speaker}" / f"{name}.WAV", rate=16000, seconds=1.0)
    test = connected_digits(corpus, tmp_path / "made")["test"]
    assert [(u.id, u.speaker, u.text) for u in test] == [(f"so{s}/{n}", f"so{s}", text) for n, s, text in rows]
    assert all(u.audio.is_file() for u in test)
    test[-1].audio.unlink()
    with pytest.raises(CorpusError, match=r"1 of the 77 recordings in strings\.tsv are missing"):
        connected_digits(corpus, tmp_path / "made")


def test_connected_digits_of_ones_own_may_share_a_name(four_corpora, tmp_path):
    corpus = shutil.copytree(four_corpora, tmp_path / "corpus", symlinks=True)
    rows = "".join(f"s{i}/0.wav\tann\tONE TWO\n" for i in (1, 2))
    (corpus / "connected_digits" / "transcripts.tsv").write_text("audio\tspeaker\ttranscript\n" + rows)
    test = connected_digits(corpus, tmp_path / "made")["test"]
    assert [(u.id, u.speaker) for u in test] == [("s1/0", "ann"), ("s2/0", "ann")]


def test_connected_digits_names_what_is_missing(four_corpora, tmp_path):
    with pytest.raises(CorpusError, match=r"speech_commands or speechcommands, none fsdd or digits, none an4"):
        connected_digits(tmp_path, tmp_path / "made")
    with pytest.raises(CorpusError, match="made_dir"):
        recipe("connected_digits").prepare(four_corpora)
    corpus = shutil.copytree(four_corpora, tmp_path / "corpus", symlinks=True)
    (corpus / "connected_digits" / "s2" / "1.flac").unlink()
    with pytest.raises(CorpusError, match=r"1 of the 6 recordings in transcripts\.tsv are missing, .* s2/1"):
        connected_digits(corpus, tmp_path / "made")
    table = corpus / "connected_digits" / "transcripts.tsv"
    table.write_text(table.read_text().replace("NINE", "NIEN"))
    with pytest.raises(CorpusError, match=r"'NIEN' of s1/0\.flac"):
        connected_digits(corpus, tmp_path / "made")
    shutil.rmtree(corpus / "connected_digits")
    with pytest.raises(CorpusError, match="holds no folder connected_digits or speechocean762; this recipe"):
        connected_digits(corpus, tmp_path / "made")


def test_speech_or_noise(speech_commands, tmp_path):
    with pytest.raises(CorpusError, match="made_dir"):
        recipe("speech_or_noise").prepare(speech_commands)
    splits = recipe("speech_or_noise").prepare(speech_commands, made_dir=tmp_path / "made")
    assert {split: len(utterances) for split, utterances in splits.items()} == {"train": 156, "dev": 52, "test": 52}
    speakers = [{u.speaker for u in utterances if u.speaker} for utterances in splits.values()]
    assert not set.intersection(*speakers)
    levels = {"speech": [], "": []}
    for utterance in splits["train"]:
        samples, rate = soundfile.read(utterance.audio)
        assert (len(samples), rate) == (16000, 16000)
        levels[utterance.text].append(10 * np.log10(np.mean(samples**2)))
    for kind in levels.values():  # loudness tells nothing
        assert len(kind) == 78
        assert -36 < min(kind) < max(kind) < -14
    assert abs(np.mean(levels["speech"]) - np.mean(levels[""])) < 3
    files = {u.audio: u.audio.stat().st_mtime_ns for u in splits["train"]}
    again = recipe("speech_or_noise").prepare(speech_commands, made_dir=tmp_path / "made")
    assert again == splits
    assert {u.audio: u.audio.stat().st_mtime_ns for u in again["train"]} == files


def test_the_textbooks_network_is_a_file_of_settings():
    settings = packaged_recipes() / "speech_or_noise" / "classic.toml"
    loaded = recipe("speech_or_noise", str(settings))
    assert (loaded.model.cell, loaded.model.n_layers, loaded.model.n_units) == ("lstm", 1, 128)
    assert (loaded.model.bidirectional, loaded.model.pooling, loaded.output_kind) == (False, "last", "sigmoid")
    assert (loaded.training.epochs, loaded.training.batch_size, loaded.training.weight_decay) == (10, 32, 0.0)


def test_every_word_is_a_file_of_settings():
    loaded = recipe("speechcommands", str(packaged_recipes() / "speechcommands" / "words.toml"))
    assert dict(loaded.corpus) == {"words": "all"}
    assert (loaded.model.front, loaded.model.dropout, loaded.augment.noise_label) == ("conv2d", 0.3, "")


def test_digits_may_start_from_spelled_words():
    start, loaded = (recipe("spelled_words"), recipe("digits", str(packaged_recipes() / "digits" / "started.toml")))
    assert loaded.features == start.features
    assert dataclasses.replace(loaded.model, dropout=start.model.dropout) == start.model


def test_pitch(tmp_path):
    few = recipe("pitch", "corpus.voices=16")
    with pytest.raises(CorpusError, match="prepare without --corpus"):
        few.prepare(tmp_path)
    few.obtain(tmp_path, jobs=1)
    splits = few.prepare(tmp_path)
    assert {split: len(utterances) for split, utterances in splits.items()} == {"train": 16, "dev": 1, "test": 1}
    assert all(u.track.is_file() for utterances in splits.values() for u in utterances)
    with pytest.raises(CorpusError, match="at least 16"):
        recipe("pitch", "corpus.voices=3").obtain(tmp_path, jobs=1)


@pytest.mark.parametrize(
    ("name", "remove", "message"),
    [
        ("yesno", "waves_yesno/0_0_0_0_0_0_0_0.wav", "59 recordings"),
        ("digits", "recordings", "0 recordings"),
        ("an4", "etc", "holds no etc/"),
        ("an4", "etc/an4_test.fileids", "an4_test.fileids: missing"),
        ("an4", "wav/an4_clstk/m03/an2-m03-b.sph", "1 of the 95 recordings listed for train are missing"),
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
        ("an4", "an4", {"train": 848, "dev": 100, "test": 130}),
        ("speechcommands", "speech_commands", {"train": 5890, "dev": 675, "test": 610}),
    ],
)
def test_on_the_real_corpus(name, corpus, expected, shared_data):
    corpora = packaged_recipes().parent / "build" / "corpora"  # unpacked once
    subprocess.run([sys.executable, shared_data / "unpack", corpus, corpora], check=True, stdout=subprocess.DEVNULL)
    splits = recipe(name).prepare(corpora / corpus)
    assert {split: len(utterances) for split, utterances in splits.items()} == expected


def test_connected_digits_on_the_real_corpora(shared_data, tmp_path):
    corpora = packaged_recipes().parent / "build" / "corpora"
    for corpus in ("an4", "fsdd", "speech_commands", "connected_digits"):
        subprocess.run([sys.executable, shared_data / "unpack", corpus, corpora], check=True, stdout=subprocess.DEVNULL)
    few = recipe("connected_digits", "corpus.strings=20", "corpus.dev_strings=10")
    splits = few.prepare(corpora, made_dir=tmp_path)
    assert {split: len(utterances) for split, utterances in splits.items()} == {"train": 157, "dev": 28, "test": 77}
    sources = Counter(u.id.split("/")[1] for u in splits["train"] if u.id.startswith("train/"))
    assert sources == {"an4": 8, "fsdd": 6, "speech_commands": 6}


def test_words_of_two_corpora_are_spelled(four_corpora, an4, tmp_path):
    splits = recipe("spelled_words").prepare(four_corpora)
    texts = {utterance.text for utterances in splits.values() for utterance in utterances}
    assert {"U M N Y H SIX", "SEVEN"} <= texts
    assert all(text == text.upper() for text in texts)
    speakers = [{utterance.speaker for utterance in utterances} for utterances in splits.values()]
    assert not speakers[0] & speakers[1] | speakers[0] & speakers[2] | speakers[1] & speakers[2]
    corpora = {str(speaker).split("/")[0] for found in speakers for speaker in found}
    assert corpora == {"an4", "speechcommands"}
    (tmp_path / "an4").symlink_to(an4)
    with pytest.raises(CorpusError, match="holds no folder speech_commands or speechcommands"):
        recipe("spelled_words").prepare(tmp_path)


def test_digits_cut_out_of_an4(shared_data):
    corpora = packaged_recipes().parent / "build" / "corpora"
    subprocess.run([sys.executable, shared_data / "unpack", "an4", corpora], check=True, stdout=subprocess.DEVNULL)
    whole = {u.id: u.text for utterances in recipe("an4").prepare(corpora / "an4").values() for u in utterances}
    splits = recipe("an4", "corpus.digits=true").prepare(corpora / "an4")
    assert {split: len(utterances) for split, utterances in splits.items()} == {"train": 1460, "dev": 188, "test": 233}
    for utterance in (u for utterances in splits.values() for u in utterances):
        sentence, position = utterance.id.split("@")
        assert utterance.text == whole[sentence].split()[int(position)]
        assert utterance.text.lower() in WORDS
        assert 0.1 < utterance.duration < 2.0
        assert 0 <= utterance.start <= audio_info(utterance.audio).duration + 1e-3 - utterance.duration


def test_digits_learns_from_other_corpora(four_corpora, digits, tmp_path):
    more = recipe("digits", f"corpus.others={four_corpora}", "corpus.held_out=ben").prepare(digits)
    alone = recipe("digits", "corpus.held_out=ben").prepare(digits)
    assert more["test"] == alone["test"]
    assert {u.speaker for u in more["dev"]} == {f"speechcommands/{n:08x}" for n in (6, 7)}  # strangers, as the test is
    own = [u for u in more["train"] if "/" not in str(u.speaker)]
    assert {u.id for u in own} == {u.id for u in alone["train"] + alone["dev"]}
    added = [u for u in more["train"] if "/" in str(u.speaker)]
    official = recipe("digits", f"corpus.others={four_corpora}").prepare(digits)
    assert official["dev"] == recipe("digits").prepare(digits)["dev"]  # folds hold these speakers out
    assert {u.id.split("/")[0] for u in added} == {"speechcommands"}  # the made AN4 is not in the table of times
    assert {u.speaker for u in added} == {f"speechcommands/{n:08x}" for n in range(6)}
    assert {u.text for u in added} == set("0123456789")
    with pytest.raises(CorpusError, match="holds none of speech_commands, speechcommands, an4"):
        recipe("digits", f"corpus.others={tmp_path}").prepare(digits)
