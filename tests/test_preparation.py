"""`prep`: what is right is summed up; what is wrong is counted, named and stops it; what was there is never lost."""

import dataclasses
import json
import os
import shutil
import time
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from audiornn.corpus import feature_store, preparation
from audiornn.corpus.fingerprint import folders_read
from audiornn.corpus.preparation import NO_LABEL, last_prepared, open_prepared, prepare_corpus
from audiornn.errors import CorpusError, TrainingError
from audiornn.files import locked
from audiornn.recipe import load_recipe
from audiornn.verbs.models import split_of_model
from audiornn.verbs.preparing import prepared_of, recipe_to_train
from tests.conftest import PITCHES, RATE, spoken, write_recipe

# A recipe whose corpus says itself what is in it: [name, text, speaker, segments] by split.
PREPARE = """\
import json

from audiornn.corpus.manifest import Segment, Utterance


def prepare(corpus_dir):
    splits = json.loads((corpus_dir / "splits.json").read_text())
    return {
        split: [
            Utterance(name, corpus_dir / f"{name}.wav", text, speaker, segments=tuple(Segment(*s) for s in segments))
            for name, text, speaker, segments in lines
        ]
        for split, lines in splits.items()
    }
"""

TOML = """\
task = "{task}"
[features]
sample_rate = 8000
n_fft = 256
win_length = 200
hop_length = 80
n_mels = 20
n_mfcc = 12
[vocabulary]
unit = "word"
"""

SPLITS = {
    "train": [["a1", "do sol", "ada", []], ["a2", "mi do", "ada", []], ["b1", "sol", "bob", []]],
    "dev": [["c1", "mi", "cyd", []]],
    "test": [["d1", "do sol", "dan", []], ["d2", "do", "dan", []]],
}


class Corpus:
    """A corpus of some words, and a recipe for it."""

    def __init__(self, root, task="transcribe"):
        self.root = root
        self.folder = root / "corpus"
        self.data = root / "data"
        self.recipe_folder = write_recipe(root / "mine", prepare=PREPARE, toml=TOML.format(task=task))
        self.folder.mkdir()
        self.splits = json.loads(json.dumps(SPLITS))
        for lines in self.splits.values():
            for name, text, _, segments in lines:
                self.record(name, text)
                if task == "label":
                    segments += [[0.08 + 0.2 * i, 0.2 + 0.2 * i, word] for i, word in enumerate(text.split())]
                if task == "classify":
                    lines[[line[0] for line in lines].index(name)][1] = text.split()[0]

    def record(self, name, text):
        words = [word for word in text.split() if word in PITCHES]
        soundfile.write(self.folder / f"{name}.wav", spoken(words, seed=zlib.crc32(name.encode())), RATE)

    def prepare(self, *overrides, **keywords):
        said, file = json.dumps(self.splits), self.folder / "splits.json"
        if not file.exists() or file.read_text() != said:
            file.write_text(said)
        recipe = load_recipe(self.recipe_folder, overrides)
        return prepare_corpus(recipe, self.folder, self.data, overrides=overrides, **keywords)

    def refused(self, *said, overrides=(), **keywords):
        with pytest.raises(CorpusError) as caught:
            self.prepare(*overrides, **keywords)
        for word in said:
            assert word in str(caught.value), str(caught.value)
        return str(caught.value)


@pytest.fixture
def corpus(tmp_path):
    return Corpus(tmp_path)


@pytest.fixture
def corpus_of(tmp_path):
    return lambda task: Corpus(tmp_path / task, task) if (tmp_path / task).mkdir() is None else None


# --- what prep makes ---


def test_the_summary_counts(corpus):
    prepared = corpus.prepare()
    rows = {row.split: row for row in prepared.summary}
    assert {split: (row.utterances, row.speakers, row.labels) for split, row in rows.items()} == {
        "train": (3, 2, 3),
        "dev": (1, 1, 1),
        "test": (2, 1, 2),
    }
    seconds = sum(soundfile.info(corpus.folder / f"{name}.wav").duration for name in ("a1", "a2", "b1"))
    assert rows["train"].hours == pytest.approx(seconds / 3600)
    assert (prepared.skipped, prepared.unchanged) == (0, False)


def test_what_is_prepared_can_be_opened(corpus):
    prepared = corpus.prepare()
    opened = open_prepared(corpus.data / "mine")
    assert opened == dataclasses.replace(prepared, folder=opened.folder)
    assert opened.vocabulary.symbols == ("<blank>", "do", "mi", "sol")
    for split in ("train", "dev", "test"):
        utterances, features = opened.utterances(split), opened.features(split)
        assert [u.id for u in utterances] == [line[0] for line in SPLITS[split]]
        assert len(features) == len(utterances)
        for utterance, n_frames in zip(utterances, features.lengths, strict=True):
            info = soundfile.info(utterance.audio)
            assert utterance.duration == pytest.approx(info.duration, abs=1e-6)
            assert n_frames == opened.recipe.features.n_frames(info.frames)


def test_a_split_may_be_missing(corpus):
    del corpus.splits["dev"]
    prepared = corpus.prepare()
    assert (list(prepared.utterances("dev")), len(prepared.features("dev"))) == ([], 0)


def test_a_classifiers_vocabulary_is_its_labels(corpus_of):
    prepared = corpus_of("classify").prepare()
    assert prepared.vocabulary.symbols == ("do", "mi", "sol")


def test_a_labellers_vocabulary_begins_with_no_label(corpus_of):
    prepared = corpus_of("label").prepare()
    assert prepared.vocabulary.symbols == (NO_LABEL, "do", "mi", "sol")
    assert prepared.summary[0].labels == 3


def test_where_it_was_run_from_does_not_matter(corpus, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    corpus.folder, corpus.data = corpus.folder.relative_to(tmp_path), corpus.data.relative_to(tmp_path)
    corpus.prepare()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    prepared = open_prepared(tmp_path / "data" / "mine")
    assert all(u.audio.is_file() for u in prepared.utterances("train"))
    assert prepared.recipe_folder.is_dir()
    assert prepared.features("train")[0].shape[1] == 20


# --- nothing changed, something changed ---


def test_a_second_prep_finds_nothing_to_do(corpus, monkeypatch):
    corpus.prepare()
    before = {path: path.read_bytes() for path in corpus.data.rglob("*") if path.is_file()}

    def forbidden(*arguments, **keywords):
        raise AssertionError("computed again")

    monkeypatch.setattr(preparation, "compute_features", forbidden)
    assert prepare_corpus(load_recipe(corpus.recipe_folder), corpus.folder, corpus.data).unchanged
    assert {path: path.read_bytes() for path in corpus.data.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "change",
    ["new file", "touched file", "removed file", "prepare.py", "corpus setting", "feature setting", "skip_bad", "unit"],
)
def test_a_change_is_noticed(corpus, change):
    corpus.prepare()
    recipe, skip_bad = load_recipe(corpus.recipe_folder), False
    if change == "new file":
        (corpus.folder / "new.wav").write_bytes((corpus.folder / "a1.wav").read_bytes())
    elif change == "touched file":
        os.utime(corpus.folder / "a1.wav", ns=(0, 0))
    elif change == "removed file":
        (corpus.folder / "d2.wav").unlink()
        skip_bad = True
    elif change == "prepare.py":
        (corpus.recipe_folder / "prepare.py").write_text(PREPARE + "\n# another\n")
    elif change == "corpus setting":
        (corpus.recipe_folder / "prepare.py").write_text(PREPARE.replace("(corpus_dir)", "(corpus_dir, n: int = 1)"))
        recipe = load_recipe(corpus.recipe_folder, ["corpus.n=2"])
    elif change == "feature setting":
        recipe = load_recipe(corpus.recipe_folder, ["features.n_mels=18"])
    elif change == "unit":
        recipe = load_recipe(corpus.recipe_folder, ["vocabulary.unit=character"])
    else:
        skip_bad = True
    assert not prepare_corpus(recipe, corpus.folder, corpus.data, skip_bad=skip_bad).unchanged


@pytest.mark.parametrize("named", ["absolute", "beside the corpus", "from here", "a list"])
def test_a_change_in_a_folder_that_a_setting_names_is_noticed(corpus, named, monkeypatch):
    other = corpus.root / "others" / "other"
    other.mkdir(parents=True)
    monkeypatch.chdir(corpus.root)
    corpus.record("a1", "do sol")
    (corpus.recipe_folder / "prepare.py").write_text(PREPARE.replace("(corpus_dir)", "(corpus_dir, more=None)"))
    texts = {"absolute": other, "beside the corpus": "../others/other", "from here": "others/other"}
    override = f'corpus.more=["{other}"]' if named == "a list" else f"corpus.more={texts[named]}"
    assert not corpus.prepare(override).unchanged
    assert corpus.prepare(override).unchanged
    (other / "new.wav").write_bytes((corpus.folder / "a1.wav").read_bytes())
    assert not corpus.prepare(override).unchanged


def test_a_change_of_a_file_that_a_setting_names_is_noticed(corpus):
    table = corpus.root / "table.txt"
    table.write_text("ja")
    (corpus.recipe_folder / "prepare.py").write_text(PREPARE.replace("(corpus_dir)", '(corpus_dir, table: str = "")'))
    corpus.prepare(f"corpus.table={table}")
    table.write_text("no no")
    assert not corpus.prepare(f"corpus.table={table}").unchanged
    assert corpus.prepare(f"corpus.table={table}").unchanged
    table.unlink()
    assert not corpus.prepare().unchanged
    assert not (corpus.data / "mine" / "elsewhere.json").exists(), "what is not read any more does not matter"


def test_a_change_of_a_lexicon_elsewhere_is_noticed(corpus):
    lexicon = corpus.root / "lex.dic"
    lexicon.write_text("do D O\nmi M I\nsol S O L\n")
    how = ["vocabulary.unit=phone", "vocabulary.lexicon=../lex.dic"]
    corpus.prepare(*how)
    assert corpus.prepare(*how).unchanged
    lexicon.write_text("do D U\nmi M I\nsol S O L\n")
    assert "U" in corpus.prepare(*how).vocabulary.symbols


@pytest.mark.parametrize("text", ["~nobody-of-this-name", "x" * 300, "a\0b", ".", "", "~", "corpus"])
def test_a_setting_that_is_no_folder_hinders_nobody(corpus, text, monkeypatch):
    monkeypatch.chdir(corpus.root)  # where a folder is called corpus
    recipe = load_recipe(corpus.recipe_folder)
    assert folders_read(dataclasses.replace(recipe, corpus={"speaker": text}), corpus.folder) == [corpus.folder]


@pytest.mark.parametrize("skip_bad", [False, True])
def test_a_change_of_a_recording_that_lies_elsewhere_is_noticed(corpus, skip_bad):
    """Kaldi's lists name recordings anywhere; also one that was left out, and is mended."""
    elsewhere = corpus.root / "a1.wav"
    (corpus.folder / "a1.wav").rename(elsewhere)
    (corpus.recipe_folder / "prepare.py").write_text(
        PREPARE.replace('f"{name}.wav"', 'f"../{name}.wav" if name == "a1" else corpus_dir / f"{name}.wav"')
    )
    good = elsewhere.read_bytes()
    if skip_bad:
        elsewhere.write_bytes(b"no sound")
    corpus.prepare(skip_bad=skip_bad)
    assert corpus.prepare(skip_bad=skip_bad).unchanged
    elsewhere.write_bytes(good) if skip_bad else soundfile.write(elsewhere, np.zeros(3 * RATE), RATE)
    prepared = corpus.prepare(skip_bad=skip_bad)
    assert not prepared.unchanged
    assert not prepared.skipped


@pytest.mark.parametrize("override", ["training.epochs=3", "augment.gain=0"])
def test_a_setting_of_training_needs_no_prep(corpus, override):
    corpus.prepare()
    assert corpus.prepare(override).unchanged


def test_the_overrides_remembered_are_the_last_ones(corpus):
    """`prep --set model.cell=gru` after a plain `prep` must not be forgotten because no feature changes."""
    assert corpus.prepare("training.epochs=3").recipe.training.epochs == 3
    prepared = corpus.prepare("model.cell=gru")
    assert prepared.overrides == ("model.cell=gru",)
    assert (prepared.recipe.model.cell, prepared.recipe.training.epochs) == ("gru", 40)
    assert open_prepared(corpus.data / "mine").overrides == ("model.cell=gru",)
    assert corpus.prepare().overrides == ()


def test_a_recipe_that_moved_is_found_where_it_is(corpus):
    corpus.prepare()
    (corpus.root / "new").mkdir()
    corpus.recipe_folder = corpus.recipe_folder.rename(corpus.root / "new" / "mine")
    corpus.prepare()
    assert open_prepared(corpus.data / "mine").recipe_folder == corpus.recipe_folder.resolve()


def test_a_recipe_that_is_trained_is_the_one_that_is_named(corpus, monkeypatch):
    """Another folder of that name may say something else; one that was moved says what it says now."""
    corpus.prepare()
    other = corpus.root / "other" / "mine"
    other.mkdir(parents=True)
    for file in corpus.recipe_folder.glob("*.*"):
        (other / file.name).write_text(file.read_text())
    (other / "recipe.toml").write_text((other / "recipe.toml").read_text() + "\n[training]\nepochs = 7\n")
    for recipe in (corpus.recipe_folder, "mine", None):
        assert recipe_to_train(prepared_of(recipe, corpus.data), []).training.epochs == 40
    with monkeypatch.context() as inside:
        inside.chdir(corpus.recipe_folder)
        assert prepared_of(".", corpus.data.resolve()).folder.name == "mine"
    with pytest.raises(TrainingError, match=r"was prepared from .*, and not from .*; run `audiornn prep .*other/mine`"):
        prepared_of(other, corpus.data)
    shutil.rmtree(corpus.recipe_folder)
    assert recipe_to_train(prepared_of(other, corpus.data), []).training.epochs == 7


def test_recordings_behind_a_linked_folder_are_watched(corpus):
    real = corpus.root / "disk"
    real.mkdir()
    for file in corpus.folder.glob("*.wav"):
        file.rename(real / file.name)
    (corpus.folder / "wavs").symlink_to(real, target_is_directory=True)
    (corpus.recipe_folder / "prepare.py").write_text(PREPARE.replace('f"{name}.wav"', '"wavs" / f"{name}.wav"'))
    corpus.prepare()
    soundfile.write(real / "a1.wav", np.zeros(3 * RATE), RATE)
    prepared = corpus.prepare()
    assert not prepared.unchanged
    assert prepared.utterances("train")[0].duration == 3.0


def test_a_dangling_link_in_the_corpus_hinders_nobody(corpus):
    (corpus.folder / "dangling.wav").symlink_to(corpus.folder / "nowhere.wav")
    assert not corpus.prepare().unchanged


def test_a_folder_that_one_may_not_look_into_is_told(corpus, closed):
    (corpus.folder / "more").mkdir()
    closed(corpus.folder / "more")
    corpus.refused("more: the folder cannot be looked into (Permission denied)", "--skip-bad")
    assert any("more: the folder cannot" in note for note in corpus.prepare(skip_bad=True).notes)
    (corpus.folder / "more").rename(corpus.folder / "lost+found")
    closed(corpus.folder / "lost+found")
    corpus.prepare()
    (corpus.folder / ".snapshots" / "1").mkdir(parents=True)
    closed(corpus.folder / ".snapshots" / "1")
    corpus.prepare()


def test_two_preps_at_once_do_not_meet(corpus):
    with locked(corpus.data / "mine" / ".lock", int):
        corpus.refused("mine: another `audiornn prep` is at work there")
    corpus.prepare()


def test_the_corpus_may_lie_above_the_data(corpus):
    """`cd corpus; audiornn prep RECIPE --corpus .` writes data/ into it."""
    corpus.data = corpus.folder / "data"
    corpus.prepare()
    assert corpus.prepare().unchanged


@pytest.mark.parametrize("damage", ["shard", "index", "manifest"])
def test_prep_again_mends_what_is_damaged(corpus, damage):
    """It is what every message about damage tells the user to do."""
    prepared = corpus.prepare()
    pattern = {"shard": "features/*.npy", "index": "train.npz", "manifest": "train.jsonl"}[damage]
    for file in prepared.folder.glob(pattern):
        file.unlink()
    corpus.prepare()
    mended = open_prepared(prepared.folder)
    assert len(mended.utterances("train")) == 3
    assert len(mended.features("train")[0]) > 0


# --- a prep that fails ---


def whole(prepared):
    return [len(prepared.features(split)[0]) for split in ("train", "dev", "test")]


@pytest.mark.parametrize("failure", ["unreadable", "unknown symbol", "killed", "prepare raises"])
def test_a_failed_prep_leaves_the_last_one_whole(corpus, monkeypatch, failure):
    before = whole(corpus.prepare())
    if failure == "unreadable":
        (corpus.folder / "b1.wav").write_text("no audio")
    elif failure == "unknown symbol":
        corpus.splits["test"][0][1] = "fa"
        os.utime(corpus.folder / "d1.wav", ns=(0, 0))
    elif failure == "prepare raises":
        (corpus.recipe_folder / "prepare.py").write_text("def prepare(corpus_dir):\n    raise ValueError('off')\n")
    else:
        os.utime(corpus.folder / "b1.wav", ns=(0, 0))

        def killed(*arguments):
            raise KeyboardInterrupt

        monkeypatch.setattr(preparation, "_vocabulary", killed)
    with pytest.raises((CorpusError, KeyboardInterrupt)):
        corpus.prepare()
    assert whole(open_prepared(corpus.data / "mine")) == before


def test_a_prep_killed_while_writing_is_not_taken_for_whole(corpus, monkeypatch):
    corpus.prepare()
    os.utime(corpus.folder / "b1.wav", ns=(0, 0))
    write = preparation.write_manifest

    def killed(path, utterances):
        if path.name == "dev.jsonl":
            raise KeyboardInterrupt
        write(path, utterances)

    with monkeypatch.context() as patch:
        patch.setattr(preparation, "write_manifest", killed)
        with pytest.raises(KeyboardInterrupt):
            corpus.prepare()
    with pytest.raises(CorpusError, match="audiornn prep"):
        open_prepared(corpus.data / "mine")
    assert not corpus.prepare().unchanged
    assert whole(open_prepared(corpus.data / "mine"))


def test_a_prep_that_can_use_nothing_of_a_split_leaves_the_last_one_whole(corpus):
    corpus.prepare()
    before = {path: path.read_bytes() for path in (corpus.data / "mine").glob("*.*") if "audit" not in path.name}
    for name in ("d1", "d2"):
        (corpus.folder / f"{name}.wav").write_bytes(b"no sound")
    corpus.refused("split test: none of its 2 utterances can be used", skip_bad=True)
    opened = open_prepared(corpus.data / "mine")
    assert opened.is_outdated
    assert {path: path.read_bytes() for path in before} == before
    assert all(len(opened.features(split)[0]) for split in ("train", "dev", "test"))


def test_shards_that_nobody_needs_and_what_a_kill_left_are_swept_away(corpus):
    folder = corpus.prepare().folder / "features"
    before = {file.name for file in folder.iterdir()}
    (folder / ".abc.npy.123.partial").write_bytes(b"half")
    os.utime(corpus.folder / "b1.wav", ns=(0, 0))
    corpus.prepare()
    after = {file.name for file in folder.iterdir()}
    assert len(after) == len(before) == 3
    assert before.isdisjoint(after)


def test_unreadable_recordings_are_listed(corpus):
    (corpus.folder / "b1.wav").write_text("no audio")
    (corpus.folder / "d1.wav").unlink()
    message = corpus.refused("2 of 6 utterances", "--skip-bad")
    assert message.index("b1.wav") < message.index("d1.wav")
    assert "not audio" in message
    assert "no such file" in message
    assert len((corpus.data / "mine" / "bad.txt").read_text().splitlines()) == 2


def test_skip_bad_leaves_out_and_counts(corpus, capsys):
    (corpus.folder / "b1.wav").write_text("no audio")
    (corpus.folder / "d1.wav").unlink()
    prepared = corpus.prepare(skip_bad=True)
    assert prepared.skipped == 2
    assert prepared.vocabulary.symbols == ("<blank>", "do", "mi", "sol")
    assert [(row.utterances, row.left_out) for row in prepared.summary] == [(2, 1), (1, 0), (1, 1)]
    card = SimpleNamespace(recipe="mine", training={"digests": prepared.digests})
    assert [u.id for u in split_of_model(SimpleNamespace(card=card), "test", corpus.data)] == ["d2"]
    assert "of 2 utterances of test prep left 1 out" in capsys.readouterr().err
    assert [u.id for u in prepared.utterances("test")] == ["d2"]
    corpus.splits["train"][0][1] = "do"
    assert corpus.prepare(skip_bad=True).vocabulary.symbols == ("<blank>", "do", "mi")  # nobody who is heard says sol
    assert "b1" in (prepared.folder / "bad.txt").read_text()


def test_a_list_of_bad_ones_goes_when_they_are_mended(corpus):
    content = (corpus.folder / "b1.wav").read_bytes()
    (corpus.folder / "b1.wav").write_text("no audio")
    corpus.refused("1 of 6")
    (corpus.folder / "b1.wav").write_bytes(content)
    assert not (corpus.prepare().folder / "bad.txt").exists()


def test_a_long_list_is_cut_and_kept_in_a_file(corpus):
    corpus.splits["test"] = [[f"x{i}", "do", "dan", []] for i in range(50)]
    message = corpus.refused("50 of 54", "and 30 more", "bad.txt")
    assert len(message.splitlines()) == 24  # the sentence, the finding, twenty cases, the rest, the remedy
    assert len((corpus.data / "mine" / "bad.txt").read_text().splitlines()) == 50


def test_a_damaged_flac_is_reported(corpus, shared_data):
    (corpus.folder / "b1.wav").write_bytes((shared_data / "broken" / "truncated_32.flac").read_bytes())
    corpus.refused("1 of 6", "b1", "damaged or truncated")


def test_a_recording_shorter_than_a_window_is_reported(corpus):
    soundfile.write(corpus.folder / "b1.wav", np.zeros(199), RATE)
    corpus.refused("1 of 6", "b1", "199 samples")


def test_a_training_split_that_nobody_can_hear_is_called_unreadable(corpus):
    for name, *_ in corpus.splits["train"]:
        (corpus.folder / f"{name}.wav").write_text("no audio")
    corpus.refused("a1", "not audio")
    corpus.refused("train", skip_bad=True)


def test_a_split_of_bad_ones_only_is_an_error_even_so(corpus):
    (corpus.folder / "c1.wav").write_text("no audio")
    corpus.refused("dev", "none of its 1", skip_bad=True)


def test_a_transcript_too_long_for_its_audio(corpus):
    corpus.splits["train"][0][1] = "do " * 100
    corpus.refused("1 of 6", "a1", "100 symbols need 199 frames")
    assert corpus.prepare(skip_bad=True).skipped == 1


def test_the_stride_decides_what_is_too_long(corpus):
    corpus.splits["train"][0][1] = "do mi sol do mi"
    corpus.prepare()
    corpus.refused("a1", "5 symbols need 5 frames", overrides=["model.front=stack", "model.stride=13"])


def test_a_repeat_needs_a_blank_between(corpus):
    n_frames = int(corpus.prepare().features("train").lengths[0])
    corpus.splits["train"][0][1] = "do mi " * (n_frames // 2)
    corpus.prepare()
    corpus.splits["train"][0][1] += "mi mi"
    corpus.refused("a1")


@pytest.mark.parametrize("split", ["dev", "test"])
def test_a_symbol_that_training_lacks(corpus, split):
    corpus.splits[split][0][1] = "soll"
    corpus.refused("1 of 6", "'soll'", "did you mean 'sol'?")
    if split == "test":
        assert corpus.prepare(skip_bad=True).skipped == 1
    else:
        corpus.refused("split dev: none of its 1", skip_bad=True)


def test_a_class_that_training_lacks(corpus_of):
    corpus = corpus_of("classify")
    corpus.splits["test"][0][1] = "fa"
    corpus.refused("d1", "label 'fa'")


def test_a_class_without_a_name(corpus_of):
    corpus = corpus_of("classify")
    corpus.splits["train"][0][1] = " "
    corpus.refused("a1", "empty")


@pytest.mark.parametrize(("start", "end"), [(0.2, 9.0), (-0.1, 0.1), (0.2, 0.1), (0.1, 0.1)])
def test_a_segment_outside_its_utterance(corpus_of, start, end):
    corpus = corpus_of("label")
    corpus.splits["dev"][0][3] = [[start, end, "do"]]
    corpus.refused("1 of 6", "c1")


@pytest.mark.parametrize("label", ["fa", " "])
def test_a_segment_of_a_label_that_is_none(corpus_of, label):
    corpus = corpus_of("label")
    corpus.splits["dev"][0][3] = [[0.0, 0.1, label]]
    corpus.refused("1 of 6", "c1")


def test_a_segment_without_a_name_in_training(corpus_of):
    corpus = corpus_of("label")
    corpus.splits["train"][0][3].append([0.21, 0.25, ""])
    corpus.refused("1 of 6", "a1")


# --- leaks ---


def test_a_speaker_in_two_splits(corpus):
    corpus.splits["test"][0][2] = "ada"
    corpus.refused("1 × a speaker", "'ada' has 2 utterances in train and 1 utterances in test", "shared_speakers")
    assert corpus.prepare("shared_speakers=true").summary


def test_unknown_speakers_do_not_leak(corpus):
    for split in ("train", "test"):
        corpus.splits[split][0][2] = None
    corpus.prepare()


@pytest.mark.parametrize("spelling", ["{here}/a1.wav", "{here}/../corpus/a1.wav", "link.wav"])
def test_a_recording_in_two_splits(corpus, spelling):
    (corpus.folder / "link.wav").symlink_to(corpus.folder / "a1.wav")
    prepare = PREPARE.replace(
        "    return", f'    again = corpus_dir / "{spelling.format(here=corpus.folder)}"\n    made ='
    )
    prepare += '    made["test"].append(Utterance("again", again, "do", "dan"))\n    return made\n'
    (corpus.recipe_folder / "prepare.py").write_text(prepare)
    corpus.refused("1 × the same sound", "a1.wav", "(test", overrides=["shared_speakers=true"])


@pytest.mark.parametrize("split", ["train", "test"])
def test_an_id_twice(corpus, split):
    corpus.splits[split].append(corpus.splits["train"][0])
    corpus.refused("'a1'", "more than once")


# --- what prepare() may return ---


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("None", "dict"),
        ("[]", "dict"),
        ("{'training': []}", "dict of train, dev, test"),
        ("{}", "training split is empty"),
        ("{'train': []}", "training split is empty"),
        ("{'train': None}", "prepare.py"),
        ("{'train': ['a.wav']}", "Utterances, not str"),
        ("{'train': [Utterance('a', str(corpus_dir / 'a1.wav'), 'do')]}", "prepare.py"),
        ("{'train': [Utterance('a', corpus_dir / 'a1.wav', 'do', segments=((0.0, 0.1, 'do'),))]}", "prepare.py"),
        ("{'train': [Utterance('a', corpus_dir / 'a1.wav', '', segments=(Segment('0', '1', 'do'),))]}", "numbers"),
        ("{'train': [Utterance('a', corpus_dir / 'a1.wav', '', segments=(Segment(0.0, 0.1, 5),))]}", "label that is"),
        ("{'train': [Utterance('a', corpus_dir / 'a1.wav', None)]}", "prepare.py"),
        ("{'train': [Utterance('a', corpus_dir / 'a1.wav', 'do', speaker=3)]}", "speaker must be a str"),
        ("{'train': [Utterance('a', corpus_dir / 'a1.wav', 'do', start='0.05')]}", "start must be a number"),
        ("{'train': (1 / 0 for _ in range(2))}", "ZeroDivisionError"),
    ],
)
def test_what_prepare_may_not_return(corpus, returned, said):
    (corpus.recipe_folder / "prepare.py").write_text(
        "from audiornn.corpus.manifest import Segment, Utterance\n\n\n"
        f"def prepare(corpus_dir):\n    return {returned}\n"
    )
    message = corpus.refused(said, "prepare.py", overrides=["task=label"] if "segments" in returned else [])
    assert "\n" not in message


def test_a_corpus_that_is_no_folder(corpus):
    for wrong in (corpus.root / "nowhere", corpus.folder / "a1.wav"):
        with pytest.raises(CorpusError, match="no such corpus folder"):
            prepare_corpus(load_recipe(corpus.recipe_folder), wrong, corpus.data)


def test_recordings_where_prep_would_write(corpus):
    recipe = load_recipe(corpus.recipe_folder)
    (corpus.data / recipe.name).mkdir(parents=True)
    with pytest.raises(CorpusError, match="prep would write among the recordings"):
        prepare_corpus(recipe, corpus.data / recipe.name, corpus.data)


# --- opening ---


def test_nothing_prepared_says_what_to_do(tmp_path):
    with pytest.raises(CorpusError, match=r"nothing is prepared here; run `audiornn prep recipes/mine`"):
        open_prepared(tmp_path / "mine")
    with pytest.raises(CorpusError, match=r"no recipe is prepared here"):
        last_prepared(tmp_path)


@pytest.mark.parametrize("damage", ["{", "[]", "{}", '{"recipe": {}}', ""])
def test_a_damaged_preparation_says_what_to_do(corpus, damage):
    folder = corpus.prepare().folder
    (folder / "prepared.json").write_text(damage)
    with pytest.raises(CorpusError, match="audiornn prep"):
        open_prepared(folder)
    corpus.prepare()
    assert open_prepared(folder).summary


def test_settings_of_another_version_are_called_so(corpus):
    folder = corpus.prepare().folder
    entry = json.loads((folder / "prepared.json").read_text())
    entry["recipe"]["features"]["n_wavelets"] = 3
    (folder / "prepared.json").write_text(json.dumps(entry))
    with pytest.raises(CorpusError, match="another version"):
        open_prepared(folder)


def test_the_recipe_prepared_last_is_the_last_even_if_unchanged(tmp_path):
    several = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        corpus = Corpus(tmp_path / name)
        corpus.recipe_folder = corpus.recipe_folder.rename(tmp_path / name / name)
        corpus.data = tmp_path / "data"
        several.append(corpus)
    for corpus in several:
        corpus.prepare()
        time.sleep(0.01)
    assert last_prepared(tmp_path / "data").name == "two"
    assert several[0].prepare().unchanged
    assert last_prepared(tmp_path / "data").name == "one"


def test_workers_prepare_the_same(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(feature_store, "_WORTH_WORKERS", 0)
    n_done = []
    several = corpus.prepare(n_jobs=2, progress=lambda n, n_all: n_done.append((n, n_all)))
    assert n_done[-1] == (6, 6)
    corpus.data = tmp_path / "other"
    assert corpus.prepare().summary == several.summary


def test_what_a_recipe_warns_of_is_kept_with_the_corpus(world, tmp_path):
    copy = world.copy_to(tmp_path / "world")
    code = copy.recipe("classify") / "prepare.py"
    code.write_text(
        code.read_text()
        + """
import functools, warnings
from audiornn.errors import CorpusWarning
own = prepare
@functools.wraps(own)
def prepare(*args, **kwargs):
    warnings.warn("seven are odd", CorpusWarning)
    warnings.warn("old", DeprecationWarning)
    return own(*args, **kwargs)
"""
    )
    with pytest.warns(DeprecationWarning, match="old"):
        prepared = prepare_corpus(load_recipe(copy.recipe("classify")), copy.corpus, tmp_path / "data")
    assert prepared.notes == open_prepared(prepared.folder).notes == ("seven are odd",)


def test_a_table_beside_the_recipe_s_code_is_part_of_what_is_prepared(world, tmp_path):
    copy = world.copy_to(tmp_path / "world")
    folder = copy.recipe("classify")
    table = folder / "speakers.tsv"
    table.write_text("a")

    def prepared():
        return prepare_corpus(load_recipe(folder), copy.corpus, tmp_path / "data").unchanged

    assert [prepared(), prepared()] == [False, True]
    (folder / "README.md").write_text("words")
    assert prepared()
    table.write_text("b")
    assert not prepared()


def test_a_damaged_shard_is_made_anew(world, tmp_path):
    copy = world.copy_to(tmp_path / "world")
    recipe = load_recipe(copy.recipe("classify"))
    prepared = prepare_corpus(recipe, copy.corpus, tmp_path / "data")
    before = {shard.name: shard.read_bytes() for shard in (prepared.folder / "features").glob("*.npy")}
    for name in before:
        (prepared.folder / "features" / name).write_bytes(before[name][:100])
    assert not prepare_corpus(recipe, copy.corpus, tmp_path / "data").unchanged
    assert {shard.name: shard.read_bytes() for shard in (prepared.folder / "features").glob("*.npy")} == before
