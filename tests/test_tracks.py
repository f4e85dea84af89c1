"""Track files: tables and arrays, at the frames of a recording; and every way in which they can be wrong."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiornn.corpus.manifest import Utterance, read_manifest, write_manifest
from audiornn.corpus.preparation import _tracks
from audiornn.corpus.tracks import read_tracks, tracks_at_frames
from audiornn.errors import CorpusError
from audiornn.features import FeatureSettings
from audiornn.recipe import Recipe

SETTINGS = FeatureSettings()  # 10 ms
N_FRAMES = 101


def table(folder, text, name="a.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def at_frames(path, hop=None, n_frames=N_FRAMES):
    return tracks_at_frames(Utterance("a", path, track=path, track_hop=hop), n_frames, SETTINGS)


def line(times, values):
    return "time,pitch\n" + "".join(f"{t:.6f},{v}\n" for t, v in zip(times, values, strict=True))


def test_a_recording_without_a_track_is_named_by_who_tells_it():
    with pytest.raises(CorpusError, match=r"^has no track; each line"):
        tracks_at_frames(Utterance("a", Path("a.wav")), N_FRAMES, SETTINGS)


def test_a_table_at_its_own_frames(tmp_path):
    path = table(tmp_path, "time,log2_f0,voicing\n0,,0\n0.01,6.5,1\n0.02,7.5,1\n0.03,,0\n")
    values, names = at_frames(path, n_frames=4)
    assert names == ("log2_f0", "voicing")
    np.testing.assert_array_equal(values, np.array([[np.nan, 0], [6.5, 1], [7.5, 1], [np.nan, 0]], np.float32))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_tables_as_other_programs_write_them(tmp_path, delimiter, ending):
    rows = [["\ufeffTime", "f 0"], ["0.00", " 100.5 "], ["0.01", ""], []]
    path = tmp_path / "a.tsv"
    path.write_bytes(ending.join(delimiter.join(row) for row in rows).encode())
    tracks = read_tracks(path)
    assert tracks.names == ("f 0",)
    np.testing.assert_array_equal(tracks.values, [[100.5], [np.nan]])


@given(st.sampled_from([0.004, 0.005, 0.01, 0.0125, 0.02, 0.05]), st.floats(-3, 3), st.floats(-3, 3))
def test_a_line_stays_a_line_at_any_rate(tmp_path_factory, hop, slope, start):
    folder = tmp_path_factory.mktemp("line")
    times = np.arange(round(1.0 / hop) + 1) * hop
    expected = start + slope * 0.01 * np.arange(N_FRAMES)
    values, _ = at_frames(table(folder, line(times, start + slope * times)))
    np.testing.assert_allclose(values[:, 0], expected, atol=1e-4)
    np.save(folder / "a.npy", start + slope * times)
    values, names = at_frames(folder / "a.npy", hop=hop)
    np.testing.assert_allclose(values[:, 0], expected, atol=1e-4)
    assert names == ("track",)


@pytest.mark.parametrize("time", ["time", "Time (s)", "time_s", "Time[sec]", "seconds"])
def test_praats_and_rs_word_for_a_value_that_is_not_defined(tmp_path, time):
    path = table(tmp_path, f"{time},f0\n0,--undefined--\n0.02, NA\n0.04,\n0.06,120\n")
    np.testing.assert_array_equal(read_tracks(path).values[:, 0], [np.nan, np.nan, np.nan, 120])
    with pytest.raises(CorpusError, match="first line"):
        read_tracks(table(tmp_path, "time_ms,f0\n0,1\n10,2\n"))


def test_a_listing_of_praat_is_parted_by_spaces(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("Time_s   F0_Hz\n0.02   --undefined--\n 0.03   120.5 \n\n")
    tracks = read_tracks(path)
    assert tracks.names == ("F0_Hz",)
    np.testing.assert_array_equal(tracks.values[:, 0], [np.nan, 120.5])
    path.write_text("time flies\n")
    with pytest.raises(CorpusError, match="holds no rows"):
        read_tracks(path)


def test_what_is_not_defined_stays_so_between_rows(tmp_path):
    path = table(tmp_path, "time,x\n0,1\n0.02,\n0.04,3\n0.06,4\n")
    np.testing.assert_array_equal(at_frames(path, n_frames=7)[0][:, 0], [1, *[np.nan] * 3, 3, 3.5, 4])


def test_nothing_is_invented_in_a_gap_nor_beyond_the_end(tmp_path):
    times = [*np.arange(0, 0.3, 0.01), *np.arange(0.6, 0.95, 0.01)]
    values = at_frames(table(tmp_path, line(times, [1.0] * len(times))))[0][:, 0]
    assert np.isnan(values[31:59]).all()
    assert np.isnan(values[96:]).all()
    assert (values[:30] == 1).all()


def test_beside_a_gap_the_nearest_row_holds_and_not_what_lies_beyond(tmp_path):
    times = [*np.arange(0, 0.3, 0.016), *np.arange(0.6, 0.95, 0.016)]
    said = [100 if t < 0.5 else 200 for t in times]
    values = at_frames(table(tmp_path, line(times, said)))[0][:, 0]
    assert set(values[~np.isnan(values)]) == {100, 200}
    last = max(t for t in times if t < 0.5)
    assert values[int(np.ceil(last / 0.01))] == 100  # within half a row of it


def test_an_array_of_a_row_a_frame_needs_no_rate(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(2 * N_FRAMES).reshape(N_FRAMES, 2))
    values, names = at_frames(tmp_path / "a.npy")
    assert names == ("track_1", "track_2")
    np.testing.assert_array_equal(values[-1], [200, 201])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("time,x\n0,1\n0.01,nan\n", ["line 3 holds NaN", "empty cell"]),
        ("time,x\n0,1\n0.01,inf\n", ["line 3 holds an infinity"]),
        ("time,x\n0,1\n0.01,2\n0.01,3\n", ["must rise", "0.01 s follows 0.01 s"]),
        ("time,x\n0,1\n0.01,two\n", ["cannot be read", "two"]),
        ("time,x\n0,1\n0.01,2,3\n", ["line 3 has 3 columns"]),
        ("0,1\n0.01,2\n", ["first line"]),
        ("time,x,x\n0,1,2\n", ["one name"]),
        ("time,x\n", ["no rows"]),
        ("", ["first line"]),
        ("time,x\n,1\n", ["no time"]),
        ("time;x\n0.00;999\n0.01;1,000\n", ["line 3 holds '1,000'", "decimal point"]),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, content, said):
    with pytest.raises(CorpusError) as caught:
        at_frames(table(tmp_path, content))
    for word in (str(tmp_path / "a.csv"), *said):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_arrays_that_cannot_be_used(tmp_path):
    for name, array, said in (
        ("nan", [1.0, np.nan], "row 2 holds NaN"),
        ("words", ["a"], "not numbers"),
        ("cube", np.zeros((2, 2, 2)), "shape"),
    ):
        np.save(tmp_path / f"{name}.npy", np.array(array))
        with pytest.raises(CorpusError, match=said):
            read_tracks(tmp_path / f"{name}.npy")
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(CorpusError, match="cannot be read"):
        read_tracks(tmp_path / "cut.npy")
    with pytest.raises(CorpusError, match="no such track file"):
        read_tracks(tmp_path / "none.csv")


def test_another_frame_rate_is_an_error_until_it_is_said(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(51.0))
    with pytest.raises(CorpusError, match=r"51 rows, the recording 101 frames of 10 ms.*track_hop \(about 0.02"):
        at_frames(tmp_path / "a.npy")
    np.testing.assert_allclose(at_frames(tmp_path / "a.npy", hop=0.02)[0][:, 0], np.arange(101) / 2)
    with pytest.raises(CorpusError, match="too short, or of another frame rate"):
        at_frames(tmp_path / "a.npy", hop=0.01)
    (tmp_path / "b.csv").write_text("time,x\n" + "".join(f"{t / 100:g},1\n" for t in range(-100, 101)))
    with pytest.raises(CorpusError, match=r"b\.csv: begins at -1\.00 s, before the recording"):
        at_frames(tmp_path / "b.csv")


@pytest.mark.parametrize(("seconds", "said"), [(0.5, "too short"), (1.5, "another recording's")])
def test_a_track_of_another_length(tmp_path, seconds, said):
    times = np.arange(0, seconds, 0.01)
    with pytest.raises(CorpusError, match=said):
        at_frames(table(tmp_path, line(times, times)))


def test_the_manifest_carries_tracks(tmp_path):
    utterances = [Utterance("a", tmp_path / "a.wav", track=tmp_path / "t" / "a.npy", track_hop=0.005)]
    write_manifest(tmp_path / "m.jsonl", utterances)
    assert '"track_filepath": "t/a.npy"' in (tmp_path / "m.jsonl").read_text()
    assert read_manifest(tmp_path / "m.jsonl") == utterances
    (tmp_path / "n.jsonl").write_text('{"audio_filepath": "a.wav", "track_filepath": "a.csv", "track_hop": -1}')
    with pytest.raises(CorpusError, match="track_hop"):
        read_manifest(tmp_path / "n.jsonl")


def test_a_list_of_labels_is_a_text(tmp_path):
    (tmp_path / "m.jsonl").write_text('{"audio_filepath": "a.wav", "text": ["dog", "rain"]}')
    assert read_manifest(tmp_path / "m.jsonl")[0].text == "dog, rain"


def test_the_one_with_other_tracks_is_named_and_not_all_the_others(tmp_path):
    files = [tmp_path / f"r{i}.csv" for i in range(4)]
    for i, file in enumerate(files):
        rows = "".join(f"{t / 100:.2f},1.0\n" for t in range(12))
        file.write_text(f"time,{'wrong' if i == 0 else 'pitch'}\n{rows}")
    utterances = [Utterance(file.stem, tmp_path / f"{file.stem}.wav", track=file) for file in files]
    stored = {u.id: SimpleNamespace(problem="", n_frames=11) for u in utterances}
    names, tracks, problems = _tracks(utterances, stored, Recipe("r", task="regress"))
    assert names == ("pitch",)
    assert list(tracks) == ["r1", "r2", "r3"]
    assert list(problems) == ["r0"]
    assert "its tracks are wrong, those of most others pitch" in problems["r0"]


def test_a_pace_that_changes_is_no_gap(tmp_path):
    times = np.concatenate([np.arange(0, 0.5, 0.01), np.arange(0.5, 1.001, 0.02)])
    values, _ = at_frames(table(tmp_path, line(times, 2 * times)))
    np.testing.assert_allclose(values[:, 0], 0.02 * np.arange(N_FRAMES), atol=1e-4)
    kept = np.delete(times, slice(20, 25))  # five rows are missing
    values, _ = at_frames(table(tmp_path, line(kept, 2 * kept)))
    assert np.isnan(values[21:24]).all()
    assert not np.isnan(values[26:]).any()


def test_a_row_alone_between_two_gaps_makes_no_pace(tmp_path):
    times = np.concatenate([np.arange(0, 0.26, 0.01), [0.5], np.arange(0.75, 1.001, 0.01)])
    values, _ = at_frames(table(tmp_path, line(times, times)))
    assert np.isnan(values[27:49]).all()
    assert np.isnan(values[52:74]).all()
    assert values[50] == pytest.approx(0.5, abs=1e-3)
