"""Recipes that fetch their corpus: the whole way from an archive to utterances, with archives made here."""

import csv
import io
import shutil
import tarfile
import zipfile

import numpy as np
import pytest
import soundfile

from audiornn.cli import main
from audiornn.corpus import download
from audiornn.corpus.preparation import prepare_corpus
from audiornn.errors import CorpusError
from audiornn.recipe import load_recipe, packaged_recipes

COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")


def wav(seconds=0.01, rate=16000, *, seed=0, container="WAV"):
    stream = io.BytesIO()
    noise = 0.01 * np.random.default_rng(seed).standard_normal(round(rate * seconds))
    soundfile.write(stream, noise, rate, format=container)
    return stream.getvalue()


def tar(files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def zipped(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.fixture
def published(monkeypatch, tmp_path):
    """Archives by their name in the cache, in place of the network; `published.asked` lists what was fetched."""

    class Published(dict):
        asked = ()

    archives = Published()

    def bring(archive, partial, report):
        archives.asked += (archive.name,)
        partial.path.write_bytes(archives[archive.name])

    monkeypatch.setattr(download, "_download", bring)
    monkeypatch.setenv("AUDIORNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return archives


def recipe(name, *overrides):
    return load_recipe(packaged_recipes() / name, overrides)


def prepared(name, tmp_path, *overrides):
    """The splits of a recipe's corpus, fetched."""
    loaded = recipe(name, *overrides)
    return loaded.prepare(loaded.obtain(tmp_path / "own", jobs=1))


def sizes(splits):
    return {split: len(utterances) for split, utterances in splits.items()}


# --- what is published ---

UNCHECKED = {"an4", "free-spoken-digit-dataset-1.0.10", "speech_commands_test_set_v0.01"}


@pytest.mark.parametrize("name", ["an4", "digits", "librispeech", "speechcommands", "yesno"])
def test_archives_have_a_checksum_unless_nobody_publishes_one(name):
    if not (packaged_recipes() / name).is_dir():
        pytest.skip(f"no recipe {name}")
    module = recipe(name)._function("prepare").__globals__
    archives = [value for value in module.values() if isinstance(value, download.Archive)]
    archives += [*module.get("ARCHIVES", {}).values(), *module.get("TEST_ARCHIVES", {}).values()]
    archives += [module["_archive"](part) for part in module.get("PARTS", {})]
    assert archives
    for archive in archives:
        assert bool(archive.checksum) != (archive.name in UNCHECKED)
        assert archive.checksum or archive.url.startswith("https://")


# --- yesno, digits ---


def yesno_archive():
    return tar({f"waves_yesno/{'_'.join(f'{n:08b}')}.wav": wav(0.5, 8000, seed=n) for n in range(60)})


def test_yesno(published, tmp_path):
    published["yesno"] = yesno_archive()
    assert sizes(prepared("yesno", tmp_path)) == {"train": 30, "dev": 0, "test": 30}
    prepared("yesno", tmp_path)
    assert published.asked == ("yesno",)


def test_prep_alone_is_enough(published, tmp_path, capsys):
    published["yesno"] = yesno_archive()
    assert main(["prep", str(packaged_recipes() / "yesno"), "--jobs", "1"]) == 0
    assert "data/yesno: prepared" in capsys.readouterr().out


def test_digits(published, tmp_path):
    names = [f"{d}_{speaker}_{take}.wav" for d in range(10) for speaker in "abcdef" for take in range(50)]
    name = "free-spoken-digit-dataset-1.0.10"
    published[name] = zipped({f"{name}/README.md": b"", **{f"{name}/recordings/{n}": b"RIFF" for n in names}})
    assert sizes(prepared("digits", tmp_path)) == {"train": 2520, "dev": 180, "test": 300}
    published[name] = zipped({f"{name}/recordings/{n}": b"RIFF" for n in names[1:]})
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(CorpusError, match="has 2999 recordings, expected 3000"):
        prepared("digits", tmp_path)


def test_an4(published, tmp_path):
    if not (packaged_recipes() / "an4").is_dir():
        pytest.skip("no recipe an4")
    files = {}
    for split, speakers in (("train", [f"s{n:02}" for n in range(18)]), ("test", ["other"])):
        names = [f"an4_clstk/{speaker}/an1-{speaker}-b" for speaker in speakers]
        files[f"an4/etc/an4_{split}.fileids"] = "\n".join(names).encode()
        files[f"an4/etc/an4_{split}.transcription"] = "".join(
            f"<s> YES </s> ({name.rpartition('/')[2]})\n" for name in names
        ).encode()
        files |= {f"an4/wav/{name}.sph": wav(container="NIST") for name in names}
    published["an4"] = tar(files)
    assert sizes(prepared("an4", tmp_path)) == {"train": 16, "dev": 2, "test": 1}


# --- Speech Commands ---


def commands_archive():
    """Ten recordings a word by ten speakers: six train, two dev, two test."""
    files, lists = {}, {"validation_list.txt": [], "testing_list.txt": []}
    for word in (*COMMANDS, "bed", "cat"):
        for n in range(10):
            name = f"{word}/{n:08x}_nohash_0.wav"
            files[f"./{name}"] = wav(seed=n)
            if n >= 6:
                lists["validation_list.txt" if n < 8 else "testing_list.txt"].append(name)
    files |= {f"./{name}": "\n".join(entries).encode() for name, entries in lists.items()}
    return tar({**files, "./_background_noise_/pink.wav": wav(20.0)})


def official_archive(*, n_each=4, speaker=8):
    files = {f"./{word}/{speaker:08x}_nohash_{n}.wav": wav(seed=n) for word in COMMANDS for n in range(n_each)}
    files |= {f"./_unknown_/bed_{speaker:08x}_nohash_{n}.wav.wav": wav(seed=n) for n in range(n_each)}
    return tar(files | {f"./_silence_/{n}.wav": wav(seed=n) for n in range(n_each)})


@pytest.fixture
def commands(published, monkeypatch):
    """Both versions, with test sets of 48 recordings in place of thousands."""
    for version in ("0.01", "0.02"):
        published[f"speech_commands_v{version}"] = commands_archive()
        published[f"speech_commands_test_set_v{version}"] = official_archive()
    return published


@pytest.fixture
def small_test_sets(monkeypatch):
    """The counts of the recipe's module are changed as it is read."""
    original = load_recipe.__globals__["_load_module"]

    def load(file):
        module = original(file)
        if hasattr(module, "N_TEST_RECORDINGS"):
            monkeypatch.setattr(module, "N_TEST_RECORDINGS", {"0.01": 48, "0.02": 48})
        return module

    monkeypatch.setitem(load_recipe.__globals__, "_load_module", load)


def test_speech_commands_in_both_versions(commands, tmp_path):
    splits = prepared("speechcommands", tmp_path)
    assert commands.asked == ("speech_commands_v0.02",)
    assert prepared("speechcommands", tmp_path, "corpus.version=0.01").keys() == splits.keys()
    assert commands.asked[1:] == ("speech_commands_v0.01",)


def test_the_official_test_set(commands, small_test_sets, tmp_path):
    lists = prepared("speechcommands", tmp_path)
    official = prepared("speechcommands", tmp_path, "corpus.test=official")
    assert (official["train"], official["dev"]) == (lists["train"], lists["dev"]), "training is unaffected"
    labels = [u.text for u in official["test"]]
    assert {label: labels.count(label) for label in labels} == dict.fromkeys((*COMMANDS, "_unknown_", "_silence_"), 4)
    assert {u.speaker for u in official["test"]} == {"00000008", None}
    assert len({u.id for u in official["test"]}) == 48
    assert all(u.audio.is_file() for u in official["test"])


def test_an_official_test_set_of_another_size_is_refused(commands, tmp_path):
    with pytest.raises(CorpusError, match="48 recordings, expected 4890"):
        prepared("speechcommands", tmp_path, "corpus.test=official")


def test_nobody_of_the_official_test_set_is_heard_in_training(commands, small_test_sets, tmp_path):
    for speaker in (3, 6):  # of training, of dev
        commands["speech_commands_test_set_v0.02"] = official_archive(speaker=speaker)
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        with pytest.raises(CorpusError, match=f"1 of its speakers are not in testing_list.txt.*0000000{speaker}"):
            prepared("speechcommands", tmp_path, "corpus.test=official")


def test_the_official_test_set_is_looked_for_beside_the_corpus(commands, small_test_sets, tmp_path):
    loaded = recipe("speechcommands", "corpus.test=official")
    corpora = loaded.obtain(tmp_path / "own", jobs=1).parent
    mine = shutil.copytree(corpora, tmp_path / "mine")
    assert len(loaded.prepare(mine / "speech_commands_v0.02")["test"]) == 48
    shutil.rmtree(mine / "speech_commands_test_set_v0.02")
    with pytest.raises(CorpusError, match=r"no recordings; the official test set belongs beside .*v0\.02"):
        loaded.prepare(mine / "speech_commands_v0.02")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["corpus.version=0.03"], "corpus.version = '0.03' must be '0.01' or '0.02'"),
        (["corpus.test=mine"], "corpus.test = 'mine' must be 'lists' or 'official'"),
        (["corpus.test=official", "corpus.words=all"], "twelve labels only"),
    ],
)
def test_choices_there_are_not(commands, tmp_path, overrides, said):
    with pytest.raises(CorpusError, match=said):
        prepared("speechcommands", tmp_path, *overrides)
    assert commands.asked == (), "nothing is fetched in vain"


# --- LibriSpeech ---


def librispeech_part(part, speakers, *, n=3):
    """Two chapters a speaker, `n` utterances each."""
    files = {"LibriSpeech/README.TXT": b"beside the part", "LibriSpeech/SPEAKERS.TXT": b""}
    for speaker in speakers:
        for chapter in (10, 11):
            stem = f"LibriSpeech/{part}/{speaker}/{chapter}/{speaker}-{chapter}"
            lines = [f"{speaker}-{chapter}-{i:04d} IT'S LINE {'ABC'[i]}\n" for i in range(n)]
            files[f"{stem}.trans.txt"] = "".join(lines).encode()
            files |= {
                f"{stem}-{i:04d}.flac": wav(1.0, seed=100 * speaker + 10 * chapter + i, container="FLAC")
                for i in range(n)
            }
    return tar(files)


@pytest.fixture
def librispeech(published):
    for part, speakers in {
        "train-clean-5": (1, 2),
        "dev-clean-2": (3,),
        "test-clean": (4,),
        "train-clean-100": (1, 2, 5),
        "train-other-500": (6,),
        "dev-other": (7,),
    }.items():
        published[f"LibriSpeech/{part}"] = librispeech_part(part, speakers)
    return published


def test_librispeech_as_it_comes(librispeech, tmp_path):
    splits = prepared("librispeech", tmp_path)
    assert sizes(splits) == {"train": 12, "dev": 6, "test": 6}
    first = splits["train"][0]
    assert (first.id, first.text, first.speaker) == ("1-10-0000", "IT'S LINE A", "1")
    assert first.audio == tmp_path / "cache/corpora/LibriSpeech/train-clean-5/1/10/1-10-0000.flac"
    assert librispeech.asked == ("LibriSpeech/train-clean-5", "LibriSpeech/dev-clean-2", "LibriSpeech/test-clean")
    assert recipe("librispeech").prepare(tmp_path / "cache/corpora") == splits, "or the folder above"


def test_librispeech_in_several_parts(librispeech, tmp_path):
    splits = prepared(
        "librispeech", tmp_path, "corpus.train=train-clean-100+train-other-500", "corpus.dev=dev-other", "corpus.test="
    )
    assert sizes(splits) == {"train": 24, "dev": 6, "test": 0}
    assert {u.speaker for u in splits["train"]} == {"1", "2", "5", "6"}
    assert len(librispeech.asked) == 3


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["corpus.train=train-clean-10"], "no part 'train-clean-10'; did you mean 'train-clean-100'"),
        (["corpus.train="], "names no part"),
        (["corpus.test=dev-clean-2"], "dev-clean-2 is asked for twice"),
        (["corpus.train=train-clean-5+train-clean-100"], "train-clean-5 is a piece of train-clean-100"),
        (["corpus.test=dev-clean"], "dev-clean-2 is a piece of dev-clean"),
    ],
)
def test_librispeech_parts_there_are_not(librispeech, tmp_path, overrides, said):
    with pytest.raises(CorpusError, match=said):
        prepared("librispeech", tmp_path, *overrides)
    assert librispeech.asked == ()


def test_librispeech_with_pieces_missing(librispeech, tmp_path):
    loaded = recipe("librispeech")
    folder = loaded.obtain(tmp_path, jobs=1)
    chapter = folder / "dev-clean-2/3/10"
    (chapter / "3-10-0001.flac").rename(tmp_path / "kept.flac")
    with pytest.raises(CorpusError, match="dev-clean-2: 1 transcripts have no recording, the first is 3-10-0001"):
        loaded.prepare(folder)
    (tmp_path / "kept.flac").rename(chapter / "3-10-0009.flac")
    (chapter / "3-10.trans.txt").write_text("3-10-0000 A\n3-10-0002 B\n")
    with pytest.raises(CorpusError, match="dev-clean-2: 1 recordings have no transcript, the first is 3-10-0009"):
        loaded.prepare(folder)
    (chapter / "3-10.trans.txt").write_text("3-10-0000 A\n3-10-0002\n")
    with pytest.raises(CorpusError, match=r"trans\.txt, line 2: not a name and a text"):
        loaded.prepare(folder)
    shutil.rmtree(folder / "test-clean")
    (chapter / "3-10.trans.txt").write_text("3-10-0000 A\n3-10-0002 B\n3-10-0009 C\n")
    with pytest.raises(CorpusError, match="is the folder given the one that holds the parts"):
        loaded.prepare(folder)


def test_prep_of_librispeech(librispeech, tmp_path):
    loaded = recipe("librispeech")
    made = prepare_corpus(loaded, loaded.obtain(tmp_path, jobs=1), tmp_path / "data")
    assert [(row.split, row.utterances, row.speakers) for row in made.summary] == [
        ("train", 12, 2),
        ("dev", 6, 1),
        ("test", 6, 1),
    ]
    assert set(made.vocabulary.symbols[1:]) == set("it's line abc")


def test_prep_of_real_librispeech(shared_data, tmp_path):
    """Fifty-eight utterances by two readers, one a split, in the layout of the corpus; every target fits its frames."""
    source = shared_data / "wake_word" / "background_speech"
    with open(source / "transcripts.tsv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for row in rows:
        audio = source / row["audio"]
        speaker, chapter, _ = audio.stem.split("-")
        folder = tmp_path / "LibriSpeech" / {"7312": "train-clean-5", "669": "dev-clean-2"}[speaker] / speaker / chapter
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(audio, folder / audio.name)
        with open(folder / f"{speaker}-{chapter}.trans.txt", "a", encoding="utf-8") as out:
            out.write(f"{audio.stem} {row['transcript']}\n")
    made = prepare_corpus(recipe("librispeech", "corpus.test="), tmp_path / "LibriSpeech", tmp_path / "data")
    assert sum(row.utterances for row in made.summary) == len(rows) == 58
    assert [row.speakers for row in made.summary] == [1, 1, 0]
    assert made.skipped == 0
    assert set(made.vocabulary.symbols[1:]) <= set("abcdefghijklmnopqrstuvwxyz' ")
