"""The manifest: what is written is read; what others write is read too; what is wrong is named with its line."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiornn.corpus.manifest import Segment, Utterance, digest, read_manifest, write_manifest
from audiornn.errors import AudiornnError, CorpusError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
seconds = st.floats(0, 1e6, allow_nan=False)
segments = st.lists(st.builds(Segment, seconds, seconds, texts), max_size=3).map(tuple)
utterances = st.builds(
    Utterance,
    id=texts.filter(bool),
    audio=st.sampled_from(["a.wav", "deep/er/b.flac", "with space & ümlaut.wav"]).map(Path),
    text=texts,
    speaker=st.none() | texts,
    start=seconds,
    duration=st.none() | seconds,
    segments=segments,
)


def manifest_of(path, *lines):
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def one(tmp_path, entry):
    (utterance,) = read_manifest(manifest_of(tmp_path / "m.jsonl", entry))
    return utterance


@given(st.lists(utterances, max_size=5))
def test_round_trip(tmp_path_factory, written):
    folder = tmp_path_factory.getbasetemp() / "manifest"
    written = [replace(u, audio=folder / u.audio) for u in written]
    write_manifest(folder / "m.jsonl", written)
    read = read_manifest(folder / "m.jsonl")
    assert [replace(u, audio=u.audio.resolve()) for u in read] == [replace(u, audio=u.audio.resolve()) for u in written]


def test_audio_paths_are_relative_to_the_manifest(tmp_path, monkeypatch):
    (tmp_path / "lists").mkdir()
    write_manifest(tmp_path / "lists" / "m.jsonl", [Utterance("a", tmp_path / "wavs" / "a.wav")])
    (line,) = (tmp_path / "lists" / "m.jsonl").read_text().splitlines()
    assert json.loads(line)["audio_filepath"] == str(Path("..") / "wavs" / "a.wav")
    monkeypatch.chdir(tmp_path)
    (utterance,) = read_manifest(Path("lists/m.jsonl"))
    assert utterance.audio.resolve() == (tmp_path / "wavs" / "a.wav").resolve()
    (tmp_path / "lists").rename(tmp_path / "moved")
    (utterance,) = read_manifest(tmp_path / "moved" / "m.jsonl")
    assert utterance.audio.resolve() == (tmp_path / "wavs" / "a.wav").resolve()


def test_absolute_paths_stay(tmp_path):
    assert one(tmp_path, {"audio_filepath": "/corpus/a.wav", "text": "x"}).audio == Path("/corpus/a.wav")


def test_nemos_own_lines(tmp_path):
    line = {"audio_filepath": "a.wav", "duration": 1.5, "offset": 0.25, "text": "go on", "lang": "en"}
    utterance = one(tmp_path, line)
    assert (utterance.start, utterance.duration, utterance.text, utterance.speaker) == (0.25, 1.5, "go on", None)
    assert utterance.audio == tmp_path / "a.wav"


@pytest.mark.parametrize("key", ["text", "label", "command"])
def test_the_names_a_label_goes_by(tmp_path, key):
    assert one(tmp_path, {"audio_filepath": "a.wav", key: "left"}).text == "left"


def test_a_label_in_a_list_holds_no_comma(tmp_path):
    with pytest.raises(CorpusError, match="'Meise, groß' holds a comma"):
        one(tmp_path, {"audio_filepath": "a.wav", "text": ["Meise, groß", "tit"]})


@pytest.mark.parametrize("key", ["duration", "offset", "start", "speaker", "segments"])
def test_null_is_not_known(tmp_path, key):
    assert one(tmp_path, {"audio_filepath": "a.wav", "text": "x", key: None}) == one(
        tmp_path, {"audio_filepath": "a.wav", "text": "x"}
    )


def test_a_null_text_is_not_the_word_none(tmp_path):
    path = manifest_of(tmp_path / "m.jsonl", {"audio_filepath": "a.wav", "text": None})
    try:
        (utterance,) = read_manifest(path)
    except CorpusError as error:
        assert "line 1" in str(error)  # noqa: PT017 - either is right, the word "None" is not
    else:
        assert utterance.text == ""


def test_numbers_serve_as_texts_and_speakers(tmp_path):
    utterance = one(tmp_path, {"audio_filepath": "a.wav", "text": 7, "speaker": 12})
    assert (utterance.text, utterance.speaker) == ("7", "12")


def test_ids_of_stretches_of_one_recording_differ(tmp_path):
    starts = [0, 0.5, 1234.5671, 1234.5672]
    lines = [{"audio_filepath": "a.wav", "text": "x", "offset": start} for start in starts]
    assert len({u.id for u in read_manifest(manifest_of(tmp_path / "m.jsonl", *lines))}) == len(starts)


def test_a_byte_order_mark_and_empty_lines_and_windows_line_ends(tmp_path):
    line = json.dumps({"audio_filepath": "a.wav", "text": "x"})
    (tmp_path / "m.jsonl").write_bytes(f"\ufeff{line}\r\n\r\n{line}\r\n".encode())
    assert len(read_manifest(tmp_path / "m.jsonl")) == 2


@pytest.mark.parametrize("text", ["next\u2028line", "next\u0085line", "tab\there", 'quote"s', "naïve \U0001f600"])
def test_a_line_is_a_line_whatever_it_says(tmp_path, text):
    write_manifest(tmp_path / "m.jsonl", [Utterance("a", tmp_path / "a.wav", text), Utterance("b", tmp_path / "b.wav")])
    assert read_manifest(tmp_path / "m.jsonl")[0].text == text


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("{", "line 2"),
        ("[1, 2]", "line 2"),
        ("7", "line 2"),
        ("null", "line 2"),
        ('{"text": "x"}', "audio_filepath"),
        ('{"audio_filepath": "a.wav", "text": "x", "duration": "long"}', "line 2"),
        ('{"audio_filepath": "a.wav", "text": "x", "duration": -1}', "duration"),
        ('{"audio_filepath": "a.wav", "text": "x", "duration": NaN}', "duration"),
        ('{"audio_filepath": "a.wav", "text": "x", "start": -0.5}', "start"),
        ('{"audio_filepath": "a.wav", "text": "x", "start": Infinity}', "start"),
        ('{"audio_filepath": "a.wav", "text": "x", "segments": [[0, 1]]}', "line 2"),
        ('{"audio_filepath": "a.wav", "text": "x", "segments": 3}', "line 2"),
        ('{"audio_filepath": "a.wav", "transcript": "x"}', "text"),
    ],
)
def test_a_bad_line_is_named_by_its_number(tmp_path, bad, said):
    path = manifest_of(tmp_path / "m.jsonl", {"audio_filepath": "a.wav", "text": "x"}, bad)
    with pytest.raises(CorpusError, match="line 2") as caught:
        read_manifest(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_manifest_that_is_none(tmp_path):
    with pytest.raises(CorpusError, match=r"none\.jsonl: no such manifest"):
        read_manifest(tmp_path / "none.jsonl")
    (tmp_path / "binary.jsonl").write_bytes(b"RIFF\xff\xfe\x00\x80WAVE")
    with pytest.raises(CorpusError, match=r"binary\.jsonl"):
        read_manifest(tmp_path / "binary.jsonl")
    with pytest.raises(CorpusError, match="cannot be read"):
        read_manifest(tmp_path)


def test_an_empty_manifest_is_an_empty_split(tmp_path):
    write_manifest(tmp_path / "m.jsonl", [])
    assert read_manifest(tmp_path / "m.jsonl") == []


def test_a_failed_write_leaves_the_old_manifest(tmp_path):
    write_manifest(tmp_path / "m.jsonl", [Utterance("a", tmp_path / "a.wav")])
    before = (tmp_path / "m.jsonl").read_bytes()

    def broken():
        yield Utterance("b", tmp_path / "b.wav")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_manifest(tmp_path / "m.jsonl", broken())
    assert (tmp_path / "m.jsonl").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["m.jsonl"]


def test_the_digest_knows_who_says_what_but_not_where():
    here = [Utterance("a", Path("/x/a.wav"), "one", "ada"), Utterance("b", Path("/x/b.wav"), "two", None)]
    there = [Utterance("b", Path("/y/b.wav"), "two", None, duration=3.0), Utterance("a", Path("a.wav"), "one", "ada")]
    assert digest(here) == digest(there)
    for change in ({"text": "three"}, {"speaker": "bob"}, {"id": "c"}):
        assert digest([replace(here[0], **change), here[1]]) != digest(here)
    assert digest(here[:1]) != digest(here)


def test_the_digest_knows_the_segments():
    def labelled(label):
        return [Utterance("a", Path("a.wav"), segments=(Segment(0.0, 1.0, label),))]

    assert digest(labelled("do")) != digest(labelled("mi"))


def test_segments_are_ordered_by_time():
    assert sorted([Segment(1.0, 2.0, "b"), Segment(0.0, 1.0, "z")])[0].label == "z"


def test_errors_have_one_root():
    assert issubclass(CorpusError, AudiornnError)
