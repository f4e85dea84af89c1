"""Recordings with values over time beside them: which file is of which, and the recipe that `new` writes for them."""

import json

import numpy as np
import pytest
import soundfile

from audiornn.cli import main
from audiornn.corpus.collection import read_collection
from audiornn.corpus.new_recipe import write_recipe
from audiornn.errors import CorpusError, SettingsError
from audiornn.recipe import load_recipe

RATE, HOP = 8000, 0.02


def recording(path, seconds=1.0, seed=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).normal(0, 0.1, round(RATE * seconds)), RATE)


def values(seconds=1.0):
    return np.linspace(0, 1, round(seconds / HOP))


def table(path, seconds=1.0, header="time,tilt"):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{i * HOP:.2f},{value:.4f}" for i, value in enumerate(values(seconds))]
    path.write_text("\n".join([header, *rows]) + "\n")


def array(path, seconds=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values(seconds))


def tracks_of(folder, **options):
    collection = read_collection(folder, task="regress", **options)
    assert collection.task == "regress"
    return collection, {
        u.audio.relative_to(folder).as_posix(): (u.track.relative_to(folder).as_posix(), u.track_hop)
        for u in collection.utterances
    }


def test_tables_beside_the_recordings_and_a_tree_of_arrays(tmp_path):
    recording(tmp_path / "ann" / "0.wav")
    table(tmp_path / "ann" / "0.csv")
    recording(tmp_path / "bob" / "0.wav")
    recording(tmp_path / "bob" / "1.wav", seconds=2.0)
    array(tmp_path / "tilt" / "bob" / "1.npy", seconds=2.0)
    collection, found = tracks_of(tmp_path)
    assert found == {"ann/0.wav": ("ann/0.csv", None), "bob/1.wav": ("tilt/bob/1.npy", HOP)}
    assert collection.left_out == (("bob/0.wav", "has no file of values over time"),)
    assert any("rows of .npy files lie 0.02 s apart" in line for line in collection.guessed)


def test_a_manifest_names_them_and_says_the_pace(tmp_path):
    recording(tmp_path / "wav" / "a.wav")
    array(tmp_path / "other" / "x.npy")
    line = {"audio_filepath": "wav/a.wav", "track_filepath": "other/x.npy", "track_hop": 0.02, "speaker": "ann"}
    (tmp_path / "all.jsonl").write_text(json.dumps(line) + "\n")
    collection, found = tracks_of(tmp_path)
    assert found == {"wav/a.wav": ("other/x.npy", 0.02)}
    assert collection.utterances[0].speaker == "ann"
    (tmp_path / "all.jsonl").write_text(json.dumps({"audio_filepath": "wav/a.wav", "text": "one"}) + "\n")
    with pytest.raises(CorpusError, match="none of its lines has a track_filepath"):
        read_collection(tmp_path / "all.jsonl", task="regress")


@pytest.mark.parametrize(
    ("spoil", "options", "error", "message"),
    [
        (lambda d: (d / "a.csv").unlink(), {}, CorpusError, r"no recording has a file of values .*\.csv, \.tsv, \.npy"),
        (lambda d: array(d / "a.npy"), {}, CorpusError, r"a\.wav: has 2 files of values over time, a\.csv, a\.npy"),
        (lambda d: table(d / "a.csv", header="start,end"), {}, CorpusError, r"a\.csv: cannot be read as tracks"),
        (lambda d: (d / "a.csv").write_text("time,tilt\n0,nan\n"), {}, CorpusError, r"line 2 holds NaN"),
        (lambda d: None, {"text": "tilt"}, SettingsError, "--label, --audio and --encoding are of lists"),
        (lambda d: None, {"layout": "folders"}, SettingsError, "layout 'folders' has no values over time"),
        (lambda d: None, {"layout": "labels"}, SettingsError, "'labels' has stretches with labels, and nothing else"),
    ],
)
def test_what_cannot_be(tmp_path, spoil, options, error, message):
    recording(tmp_path / "a.wav")
    table(tmp_path / "a.csv")
    assert len(tracks_of(tmp_path)[1]) == 1
    spoil(tmp_path)
    with pytest.raises(error, match=message) as raised:
        read_collection(tmp_path, task="regress", **options)
    assert "\n" not in str(raised.value)


def test_the_recipe_gives_the_same_splits_and_prep_takes_it(tmp_path, monkeypatch, capsys):
    for i, speaker in enumerate(("ann", "bob", "cy", "dee")):
        for take in range(5):
            recording(tmp_path / "mine" / speaker / f"{take}.wav", seed=10 * i + take)
            table(tmp_path / "mine" / speaker / f"{take}.csv")
    made = write_recipe("tilt", tmp_path / "mine", recipes=tmp_path / "recipes", task="regress")
    assert made.counts()["train"]["labels"] == 1
    recipe = load_recipe(made.folder)
    assert (recipe.task, recipe.model.dropout, recipe.augment.warp) == ("regress", 0.0, 0.0)
    splits = recipe.prepare(recipe.folder / recipe.corpus_dir)
    assert splits == {name: list(utterances) for name, utterances in made.splits.items()}
    speakers = [{u.speaker for u in utterances} for utterances in splits.values()]
    assert sum(map(len, speakers)) == len(set().union(*speakers)) == 4
    monkeypatch.chdir(tmp_path)
    assert main(["prep", "recipes/tilt", "--jobs", "1"]) == 0
    assert "prepared" in capsys.readouterr().out
    assert main(["new", "other", "--from", "mine", "--task", "regress", "--other", "mine"]) == 2
    assert "here each has values over time" in capsys.readouterr().err
