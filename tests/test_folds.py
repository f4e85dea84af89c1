"""A speaker held out: nobody learns from that speaker, and the table tells speakers and seeds apart."""

import json
import ntpath
import shutil
from dataclasses import replace
from pathlib import PureWindowsPath

import pytest

from audiornn import cli
from audiornn.corpus.preparation import Prepared
from audiornn.errors import CorpusError
from audiornn.evaluate.chosen import write_card
from audiornn.evaluate.tally import Tally
from audiornn.files import json_line
from audiornn.model_file import open_model_file
from audiornn.train import loop
from audiornn.train.folds import FoldScore, fold_table, folds_of


@pytest.mark.parametrize("task", ["classify", "transcribe"])
def test_a_fold_holds_one_speaker_out_and_nothing_else(task, prepared):
    ready = prepared(task)
    everything = {u.id: u for split in ("train", "dev", "test") for u in ready.utterances(split)}
    folds = folds_of(ready)
    assert [fold.held_out for fold in folds] == ["eva", "fay"], "the speakers of dev and test"
    for fold in folds:
        splits = {split: fold.utterances(split) for split in ("train", "dev", "test")}
        assert {u.speaker for u in splits["test"]} == {fold.held_out}
        assert fold.held_out not in {u.speaker for split in ("train", "dev") for u in splits[split]}
        assert {u.id for utterances in splits.values() for u in utterances} == everything.keys()
        assert sum(map(len, splits.values())) == len(everything)
        for split, utterances in splits.items():
            store = fold.features(split)
            assert len(store) == len(utterances)
            for i, utterance in enumerate(utterances):
                assert store.targets(i).tolist() == list(ready.vocabulary.encode(utterance.text))
                assert len(store[i]) == store.lengths[i]
    whole, fold = ready.features("test"), folds[1].features("test")
    assert [whole[i].tobytes() for i in range(len(whole))] == [fold[i].tobytes() for i in range(len(fold))]


def test_folds_need_speakers(prepared, monkeypatch):
    ready = prepared("classify")
    nobody = [replace(u, speaker=None) for u in ready.utterances("test")]
    monkeypatch.setattr(type(ready), "utterances", lambda self, split: nobody)
    with pytest.raises(CorpusError, match="name 0 speakers; folds need two"):
        folds_of(ready)


def test_where_nobody_is_known_a_recording_is_held_out(prepared, monkeypatch):
    ready = prepared("label")
    with pytest.raises(CorpusError, match="would be heard in others; take --folds speaker"):
        folds_of(ready, "recording")
    told = {split: [replace(u, speaker=None) for u in ready.utterances(split)] for split in ("train", "dev", "test")}
    monkeypatch.setattr(Prepared, "utterances", lambda self, split: told[split])
    folds = folds_of(ready, "recording")
    held_out = {u.audio for split in ("dev", "test") for u in told[split]}
    assert len(folds) == len(held_out)
    for fold in folds:
        ((audio,), name) = {u.audio for u in fold.utterances("test")}, fold.held_out
        assert audio in held_out
        assert audio.as_posix().endswith(f"/{name}")
        assert name != audio.as_posix()
        assert audio not in {u.audio for split in ("train", "dev") for u in fold.utterances(split)}
        assert len(fold.features("test")) == len(fold.utterances("test"))
    told["dev"] = [replace(u, audio=PureWindowsPath(f"{'CD'[i % 2]}:/a/{i}.wav")) for i, u in enumerate(told["dev"])]
    told["test"] = []
    with monkeypatch.context() as on_windows:
        on_windows.setattr("os.path.commonpath", ntpath.commonpath)  # which drives have none of
        folds = folds_of(ready, "recording")
    assert [fold.held_out for fold in folds][:2] == ["C:/a/0.wav", "C:/a/2.wav"]
    row = FoldScore("a.wav", (Tally("error rate", "frames", (1,), (4,), (0.0, 1.0)),), "recording")
    assert row.to_json()["recording"] == "a.wav"
    assert "mean of recordings" in (table := fold_table([row, replace(row, held_out="b.wav")], [1]))
    assert "between recordings" in table


def test_the_table_has_a_row_a_speaker_and_a_column_a_seed():
    def score(name, errors, length):
        return FoldScore(name, tuple(Tally("error rate", "words", (e,), (length,), (0.0, 1.0)) for e in errors))

    text = fold_table([score("ann", (1, 3), 10), score("ben", (0, 0), 20)], [1, 2])
    rows = text.splitlines()
    assert rows[1].split() == ["ann", "10.00", "%", "30.00", "%"]
    assert rows[3].split() == ["mean", "of", "speakers", "5.00", "%", "15.00", "%"]
    assert "error rate 10.00 % (95 %, Student's t over speakers: 0.00–137.06)" in rows[4], "two tell next to nothing"
    assert "14.14 between speakers, 7.07 between seeds" in rows[4]


def test_a_track_that_one_speaker_defines_alone_has_no_mean():
    def score(name, frames):
        return FoldScore(name, (Tally("RMSE of x", "x", (4.0 * frames,), (frames,), (0.0, 1.0), is_root=True),))

    scores = [score("ann", 5), score("ben", 0)]
    assert "2" in fold_table(scores, [1]).splitlines()[1]
    assert "fewer than two speakers" in fold_table(scores, [1])
    assert json.loads(json_line(scores[1].to_json()))["values"] == [None]


def test_the_command_trains_what_is_missing_and_prints_the_table(world, tmp_path, capsys):
    arguments = ["--data", str(tmp_path / "data"), "--runs", str(tmp_path / "runs")]
    recipe = str(world.recipe("classify"))
    assert cli.main(["prep", recipe, "--corpus", str(world.corpus), *arguments[:2]]) == 0
    command = ["evaluate", recipe, "--folds", "speaker", "--seeds", "1,2", "--set", "training.epochs=1", *arguments]
    assert cli.main(command) == 0
    assert "mean of speakers" in capsys.readouterr().out
    models = sorted((tmp_path / "runs").glob("*/*/model.onnx"))
    assert [m.parent.name for m in models] == ["eva-1", "eva-2", "fay-1", "fay-2"]
    times = [m.stat().st_mtime_ns for m in models]
    assert cli.main([*command, "--format", "json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    *rows, summary = rows
    assert [row["speaker"] for row in rows] == ["eva", "fay"]
    assert summary["speakers"] == 2
    rates = [sum(row["errors"]) / row["reference_length"] / 2 for row in rows]
    assert summary["mean"] == pytest.approx(sum(rates) / 2)
    assert summary["interval"][0] <= summary["mean"] <= summary["interval"][1]
    assert times == [m.stat().st_mtime_ns for m in models]
    assert all(0 <= low <= high <= 1 for row in rows for low, high in row["intervals"])
    for seeds in ("one", "1,1"):
        with pytest.raises(SystemExit):
            cli.main(["evaluate", recipe, "--folds", "speaker", "--seeds", seeds])

    for changed in (["training.epochs=2"], ["training.epochs=1", "model.n_units=8"]):  # no old figure for new settings
        options = [word for setting in changed for word in ("--set", setting)]
        assert cli.main([*command[:6], *options, *arguments]) == 2
        assert f"({changed[-1].replace('=', ' = ').split(' = ')[0]} = " in capsys.readouterr().err
    assert cli.main(["prep", recipe, "--corpus", str(world.corpus), *arguments[:2], "--set", "features.n_mels=30"]) == 0
    assert cli.main(command) == 2
    assert "features.n_mels = " in capsys.readouterr().err
    assert times == [m.stat().st_mtime_ns for m in models]

    assert cli.main(["prep", recipe, "--corpus", str(world.corpus), *arguments[:2]]) == 0
    fold = str(models[0])
    assert cli.main(["evaluate", fold, *arguments]) == 2, "it has learnt from the corpus' test"
    assert "may hold what the model learnt from" in capsys.readouterr().err
    assert cli.main(["train", "--resume", "--run", str(models[0].parent), *arguments]) == 2
    assert "is finished" in capsys.readouterr().err
    models[0].unlink()
    assert cli.main(["train", "--resume", "--run", str(models[0].parent), *arguments]) == 2
    assert "another preparation" in capsys.readouterr().err


@pytest.mark.parametrize(("kind", "measure"), [("tags", "wrong decisions"), ("regress", "RMSE of ")])
def test_several_labels_and_values_over_time_have_folds_too(kind, measure, world, tmp_path, capsys):
    arguments = ["--data", str(tmp_path / "data"), "--runs", str(tmp_path / "runs")]
    recipe = str(world.recipe(kind))
    assert cli.main(["prep", recipe, "--corpus", str(world.corpus), *arguments[:2]]) == 0
    command = ["evaluate", recipe, "--folds", "speaker", "--set", "training.epochs=1", *arguments]
    assert cli.main(command) == 0
    told = capsys.readouterr()
    assert f"eva, seed 1: {measure}" in told.err
    assert f"\n{measure}" in told.out
    assert cli.main([*command, "--format", "json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    shown = {
        row["speaker"]: row["values"][0] for row in rows if "speaker" in row and row["measure"] == rows[0]["measure"]
    }
    assert shown.keys() == {"eva", "fay"}
    summary = next(row for row in rows if "speakers" in row)
    assert summary["mean"] == pytest.approx(sum(shown.values()) / 2)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--folds", "speaker", "--tune"], "--tune"),
        (["--folds", "speaker", "--against", "nowhere", "--split", "train"], "--split, --against"),
        (["--folds", "speaker", "--keyword", "yes"], "options of keywords"),
        (["--seeds", "1,2"], "--seeds"),
        (["--set", "training.epochs=1"], "--set"),
        (["--tune", "--manifest", "nofile"], "--manifest"),
        (["--tune", "--rows", "rows.jsonl"], "--rows"),
    ],
)
def test_options_that_would_do_nothing_are_refused(options, named, capsys):
    assert cli.main(["evaluate", "nowhere", *options]) == 2
    assert f"{named} would do nothing" in capsys.readouterr().err


def test_a_fold_that_is_stopped_says_how_it_goes_on(world, tmp_path, capsys, monkeypatch):
    arguments = ["--data", str(tmp_path / "data"), "--runs", str(tmp_path / "runs")]
    recipe = str(world.recipe("classify"))
    assert cli.main(["prep", recipe, "--corpus", str(world.corpus), *arguments[:2]]) == 0

    def stop(*args, **settings):
        raise loop.Interrupted("stopped")

    monkeypatch.setattr(loop, "train", stop)
    assert cli.main(["evaluate", recipe, "--folds", "speaker", *arguments]) == 130
    assert "the same command goes on where it was" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "same"), [("classify", "+0.00 points"), ("tags", "+0.00 points"), ("regress", ": +0,")]
)
def test_two_models_are_compared_on_the_same_recordings(kind, same, model_file, world, capsys):
    model = str(model_file(kind))
    arguments = ["evaluate", model, "--against", model, "--data", str(world.data)]
    assert cli.main(arguments) == 0
    assert same in capsys.readouterr().out
    assert cli.main([*arguments, "--format", "json"]) == 0
    assert {one["p_value"] for one in json.loads(capsys.readouterr().out)["against"]["measures"]} == {1.0}


def test_rows_are_written_for_other_programs(model_file, world, tmp_path, capsys):
    rows, arguments = tmp_path / "rows.jsonl", ["--data", str(world.data), "--format", "json"]
    assert cli.main(["evaluate", str(model_file("classify")), "--rows", str(rows), *arguments]) == 0
    report = json.loads(capsys.readouterr().out)
    told = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
    assert len(told) == report["utterances"]
    assert sum(row["reference"] != row["heard"] for row in told) == report["errors"]
    for model, where, message in (("regress", rows, "no error rate"), ("classify", rows / "no" / "x", "no folder")):
        assert cli.main(["evaluate", str(model_file(model)), "--rows", str(where), *arguments]) == 2
        assert message in capsys.readouterr().err


def test_a_model_that_may_know_the_recordings_is_not_compared(model_file, world, tmp_path, capsys):
    model = model_file("classify")
    path, card = tmp_path / "other.onnx", open_model_file(model)[1]
    shutil.copy(model, path)
    for recipe, code, said in ((card.recipe, 2, "another preparation or fold"), ("elsewhere", 0, "note: ")):
        write_card(path, replace(card, recipe=recipe, training={**card.training, "digests": {"train": "else"}}))
        assert cli.main(["evaluate", str(model), "--against", str(path), "--data", str(world.data)]) == code
        assert said in capsys.readouterr().err
    other = str(model_file("transcribe"))
    assert cli.main(["evaluate", str(model), "--against", other, "--data", str(world.data)]) == 2
    assert "nothing to compare" in capsys.readouterr().err
