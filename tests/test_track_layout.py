"""Recordings with values over time beside them: which file is of which, and the recipe that `new` writes for them."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiornn.cli import main
from audiornn.corpus.collection import read_collection
from audiornn.corpus.new_recipe import write_recipe
from audiornn.corpus.tracks import read_tracks
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


def odd(folder):
    for name, header in (("b", "time,roll"), ("c", "time,tilt")):
        recording(folder / f"{name}.wav")
        table(folder / f"{name}.csv", header=header)


def tracks_of(folder, **options):
    collection = read_collection(folder, task="regress", **options)
    assert collection.task == "regress"
    return collection, {
        u.audio.relative_to(folder).as_posix(): (u.track.relative_to(folder).as_posix(), u.track_hop)
        for u in collection.utterances
    }


def test_arrays_beside_a_recording_and_in_a_tree_like_the_recordings(tmp_path):
    recording(tmp_path / "ann" / "0.wav")
    array(tmp_path / "ann" / "0.npy")
    recording(tmp_path / "bob" / "0.wav")
    recording(tmp_path / "bob" / "1.wav", seconds=2.0)
    array(tmp_path / "tilt" / "bob" / "1.npy", seconds=2.0)
    collection, found = tracks_of(tmp_path)
    assert found == {"ann/0.wav": ("ann/0.npy", HOP), "bob/1.wav": ("tilt/bob/1.npy", HOP)}
    assert collection.left_out == (("bob/0.wav", "has no file of values over time"),)
    assert any("rows of .npy files lie 0.02 s apart" in line for line in collection.guessed)
    assert read_collection(tmp_path, task="regress", **collection.settings).utterances == collection.utterances


@pytest.mark.parametrize("ends", [0, 1])
@pytest.mark.parametrize("hop", [0.005, 0.01, 512 / 22050])
def test_the_pace_of_arrays_is_found_whether_or_not_there_is_a_row_at_either_end(tmp_path, hop, ends):
    for i, seconds in enumerate((1.0, 1.3, 9.0)):
        recording(tmp_path / f"{i}.wav", seconds=seconds)
        np.save(tmp_path / f"{i}.npy", np.zeros(int(seconds / hop) + ends))
    collection, _ = tracks_of(tmp_path)
    assert collection.settings["track_hop"] == pytest.approx(hop, rel=4e-3)
    assert (collection.settings["track_hop"] == hop) == (hop <= 0.01)
    for i, seconds in enumerate((1.0, 1.3, 9.0)):  # of a tracker that does not pad
        np.save(tmp_path / f"{i}.npy", np.zeros(int((seconds - 0.04) / hop) + 1))
    assert tracks_of(tmp_path)[0].settings["track_hop"] == pytest.approx(hop, rel=6e-3 if hop > 0.01 else 0)
    np.save(tmp_path / "1.npy", np.zeros(int(1.3 / hop / 2)))
    with pytest.raises(CorpusError, match=r"1\.wav: has \d+ rows of values in 1\.30 s"):
        tracks_of(tmp_path)
    assert len(tracks_of(tmp_path, track_hop=0.7)[1]) == 3  # prep will say what is wrong


def test_arrays_of_tracks_and_rows_are_not_learnt_transposed(tmp_path):
    for i in range(3):
        recording(tmp_path / f"{i}.wav")
        np.save(tmp_path / f"{i}.npy", np.random.default_rng(i).random((2, 100)))
    with pytest.raises(CorpusError, match=r"2 rows and 100 tracks.* is it transposed"):
        tracks_of(tmp_path)


def test_a_pitch_of_0_is_told_to_be_learnt(tmp_path):
    for i in range(3):
        recording(tmp_path / f"{i}.wav")
        rows = [f"{n * HOP:.2f},{150 + i if 10 <= n < 30 else 0}" for n in range(50)]
        (tmp_path / f"{i}.csv").write_text("\n".join(["time,f0", *rows]))
    made = write_recipe("mine", tmp_path, recipes=tmp_path / "recipes", task="regress")
    assert any("f0 is 0 or below in 60 % of the rows" in line for line in made.guessed)


def test_texts_are_tables_where_they_begin_so(tmp_path):
    for name in "abcd":
        recording(tmp_path / f"{name}.wav")
        table(tmp_path / f"{name}{'.txt' if name < 'c' else '.csv'}")
    (tmp_path / "c.txt").write_text("Time flies\n")  # what is said in it
    (tmp_path / "d.txt").write_bytes(b"\xff\x00g\xe4lt")
    recording(tmp_path / "e.wav")
    (tmp_path / "e.txt").write_text("")
    collection, found = tracks_of(tmp_path)
    assert found == {f"{k}.wav": (f"{k}{'.txt' if k < 'c' else '.csv'}", None) for k in "abcd"}
    assert collection.left_out == (("e.wav", "has no file of values over time"),)


def test_a_manifest_and_the_files_beside_are_one_however_the_folder_is_named(tmp_path, monkeypatch):
    for split in ("train", "dev"):
        for i in range(3):
            recording(tmp_path / "real" / split / f"{i}.wav")
            table(tmp_path / "real" / split / f"{i}.csv")
    line = {"audio_filepath": "train/0.wav", "track_filepath": "train/0.csv"}
    (tmp_path / "real" / "some.jsonl").write_text(json.dumps(line) + "\n")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path)
    for folder in ("real", "link", tmp_path / "real"):
        collection = read_collection(Path(folder), task="regress")
        assert len(collection.utterances) == 6
        assert sorted(collection.splits.values()) == ["dev"] * 3 + ["train"] * 3
        assert any("6 files of values over time, tracks: tilt" in line for line in collection.understood)


def test_another_speakers_file_is_nobodys(tmp_path):
    for speaker in ("ann", "bob", "cy"):
        for i in range(3):
            recording(tmp_path / speaker / "wav" / f"{i}.wav")
            if (speaker, i) != ("ann", 0):
                table(tmp_path / speaker / "csv" / f"{i}.csv")
    (tmp_path / "bob" / "wav" / "0.wav").unlink()
    _, found = tracks_of(tmp_path)
    assert found == {key: (key.replace("wav/", "csv/").replace(".wav", ".csv"), None) for key in found}
    assert len(found) == 7


def test_case_tells_files_apart_where_names_are_alike_otherwise(tmp_path):
    for name in ("A", "a"):
        recording(tmp_path / f"{name}.wav")
        table(tmp_path / f"{name}.csv")
    assert tracks_of(tmp_path)[1] == {"A.wav": ("A.csv", None), "a.wav": ("a.csv", None)}


def test_what_is_bad_is_left_out_where_that_is_asked_for(tmp_path):
    for name in "abc":
        recording(tmp_path / f"{name}.wav")
        table(tmp_path / f"{name}.csv")
    (tmp_path / "b.csv").write_text("time,tilt\n0,nan\n")
    collection, found = tracks_of(tmp_path, skip_bad=True)
    assert sorted(found) == ["a.wav", "c.wav"]
    assert any(name == "b.csv" and "NaN" in why for name, why in collection.left_out)
    lines = [{"audio_filepath": f"{name}.wav", "track_filepath": f"{name}.csv"} for name in "ax"]
    (tmp_path / "all.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(CorpusError, match=r"audio of 1 of 2 lines is missing \(all\.jsonl: x\.wav\)"):
        read_collection(tmp_path / "all.jsonl", task="regress")
    assert len(read_collection(tmp_path / "all.jsonl", task="regress", skip_bad=True).utterances) == 1


def test_decimal_commas(tmp_path):
    recording(tmp_path / "a.wav")
    rows = "".join(f"{i * HOP:.2f};{value:.4f}\n" for i, value in enumerate(values())).replace(".", ",")
    (tmp_path / "a.csv").write_text("time;tilt\n" + rows)
    assert read_tracks(tmp_path / "a.csv").values[-1, 0] == 1.0


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
    table(tmp_path / "wav" / "a.csv")
    with pytest.raises(CorpusError, match="is one file; name the recordings' folder"):
        read_collection(tmp_path / "wav" / "a.csv", task="regress")


@pytest.mark.parametrize(
    ("spoil", "options", "error", "message"),
    [
        (
            lambda d: (d / "a.csv").unlink(),
            {},
            CorpusError,
            r"no recording has a file of values .*\.csv, \.tsv, \.txt, \.npy",
        ),
        (lambda d: array(d / "a.npy"), {}, CorpusError, r"a\.wav: has 2 files of values over time, a\.csv, a\.npy"),
        (lambda d: table(d / "a.csv", header="start,end"), {}, CorpusError, r"a\.csv: cannot be read as tracks"),
        (lambda d: (d / "a.csv").write_text("time,tilt\n0,nan\n"), {}, CorpusError, r"line 2 holds NaN"),
        (lambda d: (d / "a.csv").write_text("time,tilt,\n0,1,\n"), {}, CorpusError, r"a track has no name"),
        (lambda d: (d / "a.csv").write_text("time,tilt\n0,1\n", "utf-16"), {}, CorpusError, r"a\.csv: is not UTF-8"),
        (lambda d: np.save(d / "b.npy", np.zeros((0, 1))) or recording(d / "b.wav"), {}, CorpusError, "holds no rows"),
        (lambda d: odd(d), {}, CorpusError, r"b\.csv: its tracks are roll, those of most others tilt"),
        (lambda d: None, {"text": "tilt"}, SettingsError, "--label, --audio and --encoding are of lists"),
        (
            lambda d: None,
            {"layout": "folders"},
            SettingsError,
            "reads values over time, and has the layout 'tracks', not 'folders'",
        ),
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


def pitches(folder, name, low, high, *, n=12, voiceless=""):
    """Tables of a pitch that rises, every second value of no voice."""
    for i in range(n):
        recording(folder / f"{i}.wav", seed=i)
        rows = np.linspace(low, high, round(1.0 / HOP))
        lines = [f"{r * HOP:.2f},{voiceless if r % 2 else round(value, 4)}" for r, value in enumerate(rows)]
        (folder / f"{i}.csv").write_text("\n".join([f"time,{name}", *lines]) + "\n")


@pytest.mark.parametrize(
    ("name", "low", "high", "voiceless"),
    [("log2_f0", 6.5, 8.5, ""), ("F0 (Hz)", 80, 300, "0"), ("pitch", 80, 300, ""), ("f0_hz", 80.0, 300.0, "0")],
)
def test_a_voice_s_pitch_is_looked_for_where_it_stands_as_a_peak(tmp_path, name, low, high, voiceless):
    pitches(tmp_path / "own", name, low, high, voiceless=voiceless)
    made = write_recipe("pitch", tmp_path / "own", recipes=tmp_path / "recipes", task="regress")
    written, recipe = load_recipe(made.folder), load_recipe(Path("recipes/pitch"))
    assert written.features == recipe.features
    assert written.model.bins == recipe.model.bins
    assert any("is a voice's pitch" in line for line in made.guessed)
    assert any("in cents" in line for line in made.guessed) == (name != "log2_f0")


def test_features_reach_as_far_as_the_voices_do(tmp_path):
    pitches(tmp_path / "own", "f0", 45, 800)
    made = write_recipe("sung", tmp_path / "own", recipes=tmp_path / "recipes", task="regress")
    features = load_recipe(made.folder).features
    assert features.lowest_pitch < 50
    assert features.highest_pitch > 800
    assert features.fmax > 2 * 750


@pytest.mark.parametrize(
    ("name", "low", "high"), [("f0", 2000, 5000), ("tilt", 80, 300), ("f0", -2, 2), ("midi_pitch", 45, 65)]
)
def test_what_is_no_voice_s_pitch_has_the_features_of_all_else(tmp_path, name, low, high):
    pitches(tmp_path / "own", name, low, high)
    made = write_recipe("other", tmp_path / "own", recipes=tmp_path / "recipes", task="regress")
    assert load_recipe(made.folder).features.kind == "log_mel"


def test_whistles_are_heard_up_to_where_they_reach(tmp_path):
    (tmp_path / "own").mkdir()
    for i in range(3):
        soundfile.write(tmp_path / "own" / f"{i}.wav", np.random.default_rng(i).normal(0, 0.1, 48000), 48000)
        (tmp_path / "own" / f"{i}.txt").write_text("Time_s F0_Hz\n0 4000\n0.5 12000\n0.95 11000\n")
    made = write_recipe("whistles", tmp_path / "own", recipes=tmp_path / "recipes", task="regress")
    assert load_recipe(made.folder).features.sample_rate == 32000
    assert any("the pitches reach up to 12,000 Hz" in line for line in made.guessed)
