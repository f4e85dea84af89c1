"""Long recordings in stretches: nothing is lost, and one tape can be divided."""

import itertools

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audiornn.cli import main
from audiornn.corpus.collection import Collection, read_collection
from audiornn.corpus.manifest import Segment, Utterance, read_manifest, write_manifest
from audiornn.corpus.splitting import divide
from audiornn.corpus.stretches import LONGEST, STRETCH, cut_few, cut_long
from audiornn.corpus.tracks import tracks_at_frames
from audiornn.errors import CorpusError
from audiornn.features import FeatureSettings

RATE = 8000


def tape(path, seconds):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(1).normal(0, 0.1, round(RATE * seconds)), RATE)
    return path


def said(utterances):
    """Each label's seconds, by when they are in the recording."""
    return [(round(u.start + s.start, 3), round(u.start + s.end, 3), s.label) for u in utterances for s in u.segments]


def test_cuts_lie_in_pauses_and_every_labelled_second_is_kept(tmp_path):
    segments = (Segment(1.0, 2.0, "a"), Segment(15.0, 33.0, "b"), Segment(34.0, 49.0, "a"), Segment(49.0, 51.0, "out"))
    utterance = Utterance("a", tape(tmp_path / "a.wav", 50), segments=segments)
    cut = cut_long({"train": [utterance], "test": [utterance]}, 20.0)
    assert cut["test"] == [utterance]
    assert len({u.id for u in cut["train"]}) == 3
    assert said(cut["train"]) == [
        *((1.0, 2.0, "a"), (15.0, 16.667, "b"), (16.667, 33.0, "b")),  # no pause is near
        *((34.0, 49.0, "a"), (49.0, 51.0, "out")),
    ]
    assert cut["train"][2].start == 33.5
    assert cut_long({"train": [utterance]}, 0.0) == {"train": [utterance]}


def test_labels_that_meet_are_parted_without_a_crumb():
    """0.3 i + 0.3 is not always 0.3 (i + 1): what one begins before another's end is no part of a stretch."""
    segments = tuple(Segment(i * 0.3, i * 0.3 + 0.3, "ab"[i % 2]) for i in range(200))
    stretches = cut_long({"train": [Utterance("a", "a.wav", duration=60.0, segments=segments)]}, 20.0)["train"]
    assert len(stretches) == 3
    assert all(s.end - s.start > 0.2 for u in stretches for s in u.segments)
    assert sum(len(u.segments) for u in stretches) == 200


@given(st.floats(1.0, 300.0), st.lists(st.tuples(st.floats(0, 300), st.floats(0.01, 40)), max_size=40))
def test_stretches_lie_end_to_end_and_none_is_too_long(duration, spans):
    segments = tuple(Segment(start, start + length, "x") for start, length in spans)
    utterance = Utterance("a", "a.wav", duration=duration, segments=segments)
    stretches = cut_long({"train": [utterance]}, STRETCH)["train"]
    ends = [u.start + u.duration for u in stretches]
    assert stretches[0].start == 0
    assert ends[-1] == pytest.approx(duration)
    assert all(a == pytest.approx(b.start, abs=1e-5) for a, b in zip(ends, stretches[1:], strict=False))
    assert all(0 < u.duration <= LONGEST + 1e-5 for u in stretches)
    assert sum(s.end - s.start for u in stretches for s in u.segments) == pytest.approx(
        sum(s.end - s.start for s in segments), abs=1e-3
    )


def one_tape(folder, seconds=200, labels="abc"):
    tape(folder / "tape.wav", seconds)
    kinds = itertools.cycle(labels)
    rows = [f"{t:.1f}\t{t + 0.6:.1f}\t{next(kinds)}\n" for t in range(seconds - 1)]
    (folder / "tape.txt").write_text("".join(rows))
    return folder


def test_one_labelled_tape_is_divided_and_no_second_of_it_is_in_two_splits(tmp_path):
    collection = read_collection(one_tape(tmp_path), task="label")
    division = divide(cut_few(collection))
    for own in division.splits.values():
        assert {segment.label for u in own for segment in u.segments} == {"a", "b", "c"}
    everything = sorted(said([u for own in division.splits.values() for u in own]))
    assert everything == sorted(said(collection.utterances))  # no segment is cut in two, either
    assert len(division.splits["dev"]) > 3
    assert division.shared_speakers
    assert any("one recording is too few to hold any out" in line for line in division.lines)


def test_tapes_with_a_label_each_are_divided_too(tmp_path):
    """A species a tape: held out whole, any would be a label that is never learnt."""
    rows = [(t, t + 0.6) for t in range(0, 59, 2)]
    utterances = tuple(
        Utterance(
            name, tape(tmp_path / f"{name}.wav", 60), segments=tuple(Segment(a, b, f"species {name}") for a, b in rows)
        )
        for name in "abcdefghi"
    )
    division = divide(cut_few(Collection(tmp_path, "labels", "label", utterances)))
    assert {s.label for u in division.splits["train"] for s in u.segments} == {
        f"species {name}" for name in "abcdefghi"
    }
    assert len(division.splits["dev"]) > 3
    assert len(division.splits["test"]) > 3
    assert any("of 9 recordings nearly each has what no other has" in line for line in division.lines)


@pytest.mark.parametrize("names", ["abcdefgh", "abc"])
def test_recordings_that_can_be_held_out_stay_whole(tmp_path, names):
    speakers = dict.fromkeys("abcdefgh") | ({} if len(names) > 3 else dict(zip(names, names, strict=True)))
    utterances = tuple(
        Utterance(name, tape(tmp_path / f"{name}.wav", 60), speaker=speakers[name], segments=(Segment(0, 1, "x"),))
        for name in names
    )
    collection = Collection(tmp_path, "labels", "label", utterances)
    assert cut_few(collection) is collection


def test_a_tape_of_the_source_s_own_split_stays_there(tmp_path):
    utterances = tuple(
        Utterance(n, tape(tmp_path / f"{n}.wav", 90), segments=(Segment(0, 1, "x"),)) for n in ("a", "b")
    )
    collection = Collection(tmp_path, "labels", "label", utterances, splits={"a": "train", "b": "test"})
    assert cut_few(collection) is collection


def test_short_recordings_stay_whole(tmp_path):
    utterances = tuple(
        Utterance(name, tape(tmp_path / f"{name}.wav", 6), segments=(Segment(0, 1, "x"),)) for name in "abcdefg"
    )
    collection = Collection(tmp_path, "labels", "label", utterances)
    assert cut_few(collection) is collection


def test_what_cannot_be_read_stays_whole_for_prep_to_name(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"no sound")
    utterance = Utterance("a", tmp_path / "a.wav", segments=(Segment(0, 1, "x"),))
    collection = Collection(tmp_path, "labels", "label", (utterance,))
    assert cut_few(collection) == collection
    assert cut_long({"train": [utterance]}, 20.0) == {"train": [utterance]}


# --- values over time ---


def with_values(folder, seconds=200, rows=None):
    tape(folder / "tape.wav", seconds)
    times = np.arange(0, seconds, 0.05) if rows is None else rows
    (folder / "tape.csv").write_text("time,tilt\n" + "".join(f"{t:.2f},{t:.2f}\n" for t in times))
    return folder


def test_a_stretch_has_the_values_of_its_own_time(tmp_path):
    collection = cut_few(read_collection(with_values(tmp_path), task="regress"))
    assert len(collection.utterances) > 30
    settings = FeatureSettings(sample_rate=RATE, n_fft=256, win_length=200, hop_length=80)
    write_manifest(tmp_path / "cut.jsonl", collection.utterances)
    for utterance in read_manifest(tmp_path / "cut.jsonl"):  # it knows of its place in the track
        values, _ = tracks_at_frames(utterance, 200, settings)
        times = utterance.start + np.array([settings.frames_to_seconds(i) for i in range(200)])
        np.testing.assert_allclose(values[:, 0], times, atol=0.03)
    assert read_collection(tmp_path / "cut.jsonl", task="regress").utterances[5].track_start == 0


@pytest.mark.parametrize(("seconds", "which"), [(150, -1), (260, 0)])
def test_a_track_of_another_length_than_its_tape_is_an_error(tmp_path, seconds, which):
    """A short one of the stretches that it does not reach, a long one of all: it is another recording's."""
    rows = np.arange(0, seconds, 0.05)
    stretches = cut_few(read_collection(with_values(tmp_path, rows=rows), task="regress")).utterances
    with pytest.raises(CorpusError, match="the recording"):
        tracks_at_frames(stretches[which], 100, FeatureSettings())


def test_a_row_a_frame_has_its_place_in_every_stretch(tmp_path):
    settings = FeatureSettings()
    tape(tmp_path / "tape.wav", 90)
    np.save(tmp_path / "tape.npy", np.arange(9001) / 100)
    whole = Utterance("tape", tmp_path / "tape.wav", track=tmp_path / "tape.npy")
    for utterance in cut_long({"train": [whole]}, 20.0)["train"]:
        values, _ = tracks_at_frames(utterance, 100, settings)
        np.testing.assert_allclose(values[:, 0], utterance.start + np.arange(100) / 100, atol=1e-3)


def test_parts_of_a_recording_with_tracks_of_their_own_are_cut_too(tmp_path):
    tape(tmp_path / "tape.wav", 300)
    (tmp_path / "part.csv").write_text("time,tilt\n" + "".join(f"{t:.2f},{t:.2f}\n" for t in np.arange(0, 60, 0.05)))
    part = Utterance("part", tmp_path / "tape.wav", start=100.0, duration=60.0, track=tmp_path / "part.csv")
    stretches = cut_long({"train": [part]}, 20.0)["train"]
    assert [u.start for u in stretches] == [100, 120, 140]
    values, _ = tracks_at_frames(stretches[1], 100, FeatureSettings())
    np.testing.assert_allclose(values[:, 0], 20 + np.arange(100) / 100, atol=0.03)


def test_a_place_in_a_track_that_cannot_be_is_an_error(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"audio_filepath": "a.wav", "track_filepath": "a.csv", "track_start": 3}\n')
    with pytest.raises(CorpusError, match="track_start is 3, where the utterance starts at 0"):
        read_manifest(tmp_path / "a.jsonl")


@pytest.mark.parametrize(("task", "make"), [("label", one_tape), ("regress", with_values)])
def test_new_and_prep_divide_one_tape(tmp_path, monkeypatch, capsys, task, make):
    folder = make(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert main(["new", "tape", "--from", str(folder), "--task", task]) == 0
    assert "one recording is too few to hold any out" in capsys.readouterr().out
    assert main(["prep", "recipes/tape"]) == 0
    assert "cut-off" not in capsys.readouterr().out
    splits = [read_manifest(tmp_path / "data" / "tape" / f"{name}.jsonl") for name in ("train", "dev", "test")]
    assert all(len(split) > 3 for split in splits)
    assert sum(u.duration for split in splits for u in split) == pytest.approx(200, abs=0.1)
