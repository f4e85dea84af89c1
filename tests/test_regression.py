"""Values over time: trained, exported, listened to in every way, and measured."""

import io
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from sklearn import metrics

from audiornn.corpus.tracks import read_tracks, tracks_at_frames
from audiornn.errors import AudioError, CorpusError, ModelFileError
from audiornn.evaluate.error_rates import wilson_interval
from audiornn.evaluate.regression import RegressionReport, _pitch_of, _scored_track, evaluate_tracks, pitch_score
from audiornn.listen.recognizer import load_model
from tests.conftest import RATE, write_recipe


@pytest.fixture
def model(recognizer):
    return recognizer("regress")


def test_it_tells_the_pitch_of_every_word(model, prepared):
    report = evaluate_tracks(model, prepared("regress").utterances("test"), "test")
    assert [row.track for row in report.tracks] == ["log2_f0", "voicing"]
    pitch, voicing = report.tracks
    assert pitch.rmse < 0.15
    assert pitch.r2 > 0.95
    assert voicing.mae < 0.15
    assert pitch.rmse_interval[0] <= pitch.rmse <= pitch.rmse_interval[1]
    assert report.pitch.voicing_recall > 0.9
    assert report.pitch.voicing_false_alarm < 0.1
    assert "raw pitch accuracy" in report.to_text()
    json.dumps(report.to_json())


def test_a_recording_alone_in_blocks_and_as_a_stream(model, world):
    samples, rate = soundfile.read(world.recording(), dtype="float32")
    whole = model.track(world.recording())
    assert whole.names == ("log2_f0", "voicing")
    assert whole.duration == len(samples) / rate
    assert [point.time for point in whole.points] == pytest.approx(0.01 * np.arange(len(whole.points)))
    assert model.transcribe(samples, rate) == whole
    expected = np.array([point.values for point in whole.points])
    stream = model.tracker(rate)  # sees three seconds ahead: all of it
    found = [p for i in range(0, len(samples), 700) for p in stream.push(samples[i : i + 700])] + stream.finish()
    np.testing.assert_allclose([p.values for p in found], expected, atol=1e-4)
    assert [p.time for p in found] == [p.time for p in whole.points]


def test_a_long_recording_is_that_of_a_single_pass(model, monkeypatch, world):
    from audiornn.listen import hearing, streaming

    samples, rate = soundfile.read(world.recording(), dtype="float32")
    long = np.concatenate([samples] * 5)
    expected = np.array([p.values for p in model.track_points(long, rate)])
    monkeypatch.setattr(hearing, "LONGEST_PASS", 0.5)
    monkeypatch.setattr(streaming, "STRETCH", 0.4)
    found = np.array(
        [p.values for p in model.track_points([long[i : i + 999] for i in range(0, len(long), 999)], rate)]
    )
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_only_such_a_model_tracks(recognizer, model, world):
    with pytest.raises(ModelFileError, match="task is 'label'"):
        recognizer("label").track(world.recording())
    with pytest.raises(ModelFileError, match="tracker"):
        model.stream(RATE)
    with pytest.raises(ModelFileError, match="no words to spot"):
        model.spot(world.recording(), ["do"])


def test_the_command_line(run, works, fails, world, heard_by, places, tmp_path):
    recording, heard = world.recording(), heard_by("regress")
    out = works("track", recording, *heard)
    (tmp_path / "a.csv").write_text(out)
    tracks = read_tracks(tmp_path / "a.csv")  # what it writes is what it reads
    assert tracks.names == ("log2_f0", "voicing")
    entry = json.loads(works("track", recording, *heard, "--format", "json"))
    np.testing.assert_allclose(np.array(list(entry["tracks"].values())).T, tracks.values, rtol=1e-5)
    assert entry["times"] == pytest.approx(tracks.times.tolist())
    works("track", recording, world.recording(speaker="eva"), *heard, "--output-dir", tmp_path / "out")
    assert (tmp_path / "out" / f"{recording.stem}.csv").read_text() == out
    fails("track", recording, world.recording(speaker="eva"), *heard, said=["--output-dir"])
    fails("track", tmp_path / "none.wav", *heard, said=["none.wav"])
    fails("track", recording, *heard_by("label"), said=["only one of task 'regress'"])
    fails("transcribe", recording, *heard, said=["audiornn track FILE"])
    fails("evaluate", world.runs / "tones_regress", *places, "--look-ahead", "1", said=["--look-ahead"])
    text = works("evaluate", world.runs / "tones_regress", *places)
    assert "RMSE" in text
    assert "raw pitch accuracy" in text
    assert "mean squared error" in works("info", world.runs / "tones_regress")
    assert "RMSE of log2_f0" in works(
        "export", world.runs / "tones_regress", "--quantize", "int8", "--output", tmp_path / "b.onnx", *places
    )


def test_standard_input_is_tracked_as_it_comes(works, through_a_pipe, world, heard_by):
    buffer = io.BytesIO()
    samples, rate = soundfile.read(world.recording(), dtype="float32")
    soundfile.write(buffer, samples, rate, format="WAV")
    through_a_pipe(buffer.getvalue())
    found = works("track", "-", *heard_by("regress"))
    expected = works("track", world.recording(), *heard_by("regress"))
    columns = [np.genfromtxt(io.StringIO(text), delimiter=",", skip_header=1) for text in (found, expected)]
    np.testing.assert_allclose(*columns, atol=1e-3)


def test_measures_are_scikit_learns():
    rng = np.random.default_rng(0)
    wanted, found = rng.standard_normal((2, 4, 50))
    wanted[0, :20] = np.nan
    row, tally = _scored_track("x", list(zip(found, wanted, strict=True)))
    y, z = wanted[~np.isnan(wanted)], found[~np.isnan(wanted)]
    assert row.frames == 180
    assert tally.value == pytest.approx(row.rmse)
    assert row.rmse == pytest.approx(metrics.root_mean_squared_error(y, z))
    assert row.mae == pytest.approx(metrics.mean_absolute_error(y, z))
    assert row.r2 == pytest.approx(metrics.r2_score(y, z))


def test_what_hardly_varies_has_no_r2_and_one_recording_no_interval():
    constant = np.full(500, 0.1, np.float32)  # whose sums of squares rounding keeps apart
    row, _ = _scored_track("x", [(constant + np.float32(0.01), constant)] * 3)
    assert row.r2 is None
    wanted = np.random.default_rng(0).standard_normal(500)
    row, tally = _scored_track("x", [(wanted + 0.01, wanted), (wanted, np.full(500, np.nan))])
    assert row.r2 > 0.99
    assert np.isnan([row.rmse_interval, row.mae_interval, row.r2_interval, tally.interval]).all()
    report = RegressionReport("test", 2, (row,), None)
    assert "nan" not in report.to_text()
    assert pitch_score([wanted + 9], [wanted + 9]).raw_pitch_interval == (0.0, 1.0)


def test_pitch_is_right_within_fifty_cents():
    wanted = np.log2([100.0, 100.0, 100.0, 100.0, np.nan])
    found = wanted[0] + np.array([49, -51, 1200, 0, 0]) / 1200
    score = pitch_score([wanted], [found], [np.array([True, True, False, True, True])])
    assert (score.voiced_frames, score.raw_pitch_accuracy, score.raw_chroma_accuracy) == (4, 0.5, 0.75)
    assert (score.voicing_recall, score.voicing_false_alarm) == (0.75, 1.0)
    assert pitch_score([wanted[4:]], [found[4:]]) is None


def test_bad_targets_are_named_in_one_line(world, tmp_path, run):
    spoiled = {
        "dan_9": ("time,log2_f0,voicing\n0,nan,1\n", "line 2 holds NaN"),
        "cyd_9": ("time,log2_f0,voicing\n0,8,1\n0.01,8,1\n", "too short"),
        "bob_9": (
            "time,pitch\n" + "".join(f"{t / 100},1\n" for t in range(45)),
            "are pitch, those of most others log2_f0, voicing",
        ),
    }
    for folder in ("tracks", "corpus"):
        shutil.copytree(world.root / folder, tmp_path / folder)
    for name, (content, _) in spoiled.items():
        next((tmp_path / "tracks").glob(f"{name}_*.csv")).write_text(content)
    command = "prep", world.recipe("regress"), "--corpus", tmp_path / "corpus", "--data", tmp_path / "data"
    code, _, err = run(*command)
    assert code == 2
    for name, (_, said) in spoiled.items():
        (line,) = [line for line in err.splitlines() if f"{name}_" in line]
        assert said in line
    code, _, err = run(*command, "--skip-bad")
    assert code == 0, err


def test_a_track_file_that_does_not_fit_is_left_out_of_an_evaluation_that_skips(model, prepared, tmp_path):
    good, other = prepared("regress").utterances("test")[:2]
    (tmp_path / "short.csv").write_text("time,log2_f0,voicing\n0,8,1\n0.01,8,1\n")
    both = [good, replace(other, track=tmp_path / "short.csv")]
    with pytest.raises(AudioError, match=f"{other.id}: .*short"):
        evaluate_tracks(model, both, "test")
    report = evaluate_tracks(model, both, "test", skip_bad=True)
    assert report.utterances == 1
    assert len(report.unreadable) == 1


def test_a_track_that_never_changes_teaches_nothing(world, tmp_path):
    from audiornn.corpus.preparation import prepare_corpus
    from audiornn.recipe import load_recipe
    from audiornn.train.dataset import Dataset

    folder = write_recipe(tmp_path / "flat", "regress")
    shutil.copytree(world.corpus, tmp_path / "corpus")
    (tmp_path / "tracks").mkdir()
    for file in (world.root / "tracks").glob("*.csv"):
        rows = file.read_text().splitlines()
        (tmp_path / "tracks" / file.name).write_text("time,x\n" + "".join(f"{r.split(',')[0]},5\n" for r in rows[1:]))
    ready = prepare_corpus(load_recipe(folder), tmp_path / "corpus", tmp_path / "data")
    with pytest.raises(CorpusError, match="'x': is the same at all frames"):
        Dataset(ready, "train", ready.recipe, ready.vocabulary).track_mean_and_deviation()


def test_a_split_without_a_value_of_a_track_is_told(world, tmp_path):
    from audiornn.corpus.preparation import open_prepared, prepare_corpus
    from audiornn.recipe import load_recipe

    for folder in ("tracks", "corpus"):
        shutil.copytree(world.root / folder, tmp_path / folder)
    ready = prepare_corpus(load_recipe(world.recipe("regress")), tmp_path / "corpus", tmp_path / "data")
    assert ready.notes == ()
    for utterance in ready.utterances("dev"):
        rows = [row.split(",") for row in utterance.track.read_text().splitlines()]
        text = "\n".join(
            ",".join([time, pitch if i == 0 else "", voicing]) for i, (time, pitch, voicing) in enumerate(rows)
        )
        utterance.track.write_text(text + "\n")
    again = prepare_corpus(load_recipe(world.recipe("regress")), tmp_path / "corpus", tmp_path / "again")
    assert open_prepared(again.folder).notes == ("dev holds no defined value of log2_f0",)


def test_int8_tracks_too(model_file, model, world, tmp_path):
    from audiornn.train.quantize import quantize_int8

    quantize_int8(model_file("regress"), tmp_path / "int8.onnx")
    found = [p.values for p in load_model(tmp_path / "int8.onnx").track(world.recording()).points]
    expected = [p.values for p in model.track(world.recording()).points]
    assert np.abs(np.array(found) - expected).mean() < 0.1


def test_values_in_bins_from_training_to_a_stream(works, world, prepared, places, through_a_pipe, tmp_path):
    """Trained, scored, told, exported and listened to as they come: a distribution's values are values like others."""
    prepared("regress")
    run = tmp_path / "binned"
    works("train", world.recipe("regress"), "--run", run, "--set", "model.bins=60", *places)
    report = json.loads(works("evaluate", run, *places, "--format", "json"))
    pitch = next(track for track in report["tracks"] if track["track"] == "log2_f0")
    assert pitch["r2"] > 0.9
    assert "cross-entropy" in works("info", run)
    works("gradients", run, *places[:2], "--output", tmp_path / "gradients.png")

    whole = works("track", world.recording(), "--model", run)
    through_a_pipe(world.recording().read_bytes())
    columns = [
        np.genfromtxt(io.StringIO(text), delimiter=",", skip_header=1)
        for text in (works("track", "-", "--model", run), whole)
    ]
    np.testing.assert_allclose(*columns, atol=1e-3)
    works("export", run, "--quantize", "int8", "--waveform-input", "--output", tmp_path / "b.onnx", *places)


def test_with_a_stride_references_are_those_of_the_outputs_frames(model, prepared):
    utterances, truths = prepared("regress").utterances("test")[:1], []

    def features(waveform):
        found = model.features(waveform)
        truths.append(tracks_at_frames(utterances[0], len(found), model.card.features)[0][::2])
        return found

    heard = SimpleNamespace(card=replace(model.card, stride=2), features=features, log_probs=lambda _: truths[-1])
    report = evaluate_tracks(heard, utterances, "test")
    assert [row.rmse for row in report.tracks] == [0.0, 0.0]
    assert report.tracks[0].frames > 0


def test_a_false_alarm_is_a_voiceless_frame_said_to_be_voiced():
    wanted, found = np.log2([100.0, 100.0, np.nan, np.nan, np.nan]), np.log2(np.full(5, 100.0))
    score = pitch_score([wanted], [found], [np.array([True, True, True, False, False])])
    assert (score.voicing_recall, score.voicing_false_alarm) == (1.0, pytest.approx(1 / 3))


def test_whether_there_is_a_voice_is_what_its_track_says():
    """CREPE and most others write a pitch in every row, and beside it whether there is one."""
    octaves, voiced = np.log2(np.full(4, 100.0)), np.array([1.0, 1.0, 0.0, 0.0])
    wanted = np.stack([octaves, voiced], axis=1)
    said = np.stack([octaves + np.array([0, 1, 0, 0]), [0.9, 0.9, 0.9, 0.1]], axis=1)
    score = _pitch_of(("log2_f0", "voicing"), [(said, wanted)])
    assert (score.voiced_frames, score.raw_pitch_accuracy) == (2, 0.5)
    assert (score.voicing_recall, score.voicing_false_alarm) == (1.0, 0.5)
    wanted = np.concatenate([wanted, np.full((6, 2), np.nan)])  # where nobody says whether there is a voice
    said = np.concatenate([said, np.tile(said[:1], (6, 1))])
    assert _pitch_of(("log2_f0", "voicing"), [(said, wanted)]).voicing_false_alarm == 0.5
    nowhere = RegressionReport("test", 1, (_scored_track("x", [(np.ones(3), np.full(3, np.nan))])[0],), score)
    assert json.loads(json.dumps(nowhere.to_json(), allow_nan=False))["tracks"][0]["rmse"] is None
    assert "nan" not in nowhere.to_text()
    assert "voicing recall 100.00 %, false alarm 50.00 %" in nowhere.to_text()


def test_the_interval_of_pitch_is_that_of_raw_pitch():
    wanted = np.log2(np.full(4, 100.0))
    score = pitch_score([wanted] * 6, [wanted + np.array([0, 0, 1, 1])] * 6)
    assert (score.raw_pitch_accuracy, score.raw_chroma_accuracy, score.raw_pitch_interval) == (
        0.5,
        1.0,
        wilson_interval(3, 6),
    )
