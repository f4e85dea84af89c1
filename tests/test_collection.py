"""Strangers' folders, in miniature: every layout, and what may be wrong with it."""

import gzip
import io
import json
import os
import re
import unicodedata
import zlib
from collections import Counter
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiornn.corpus.collection import LAYOUTS, read_collection, written_out
from audiornn.corpus.splitting import split
from audiornn.errors import AudiornnError, CorpusError, SettingsError


@lru_cache
def sound(container="WAV", rate=8000, seconds=0.1, channels=1, seed=0):
    content = io.BytesIO()
    samples = 0.1 * np.random.default_rng(seed).standard_normal((round(seconds * rate), channels))
    soundfile.write(content, samples, rate, format=container)
    return content.getvalue()


def record(folder, *names, **kind):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        seed = zlib.crc32(name.encode())  # no two recordings are copies
        path.write_bytes(sound("FLAC" if path.suffix == ".flac" else "WAV", seed=seed, **kind))
    return folder


def write(path, text, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def texts(collection):
    return {u.id: u.text for u in collection.utterances}


def said(collection):
    return "\n".join((*collection.understood, *collection.guessed))


# ----- folders


def test_a_folder_a_label(tmp_path):
    record(tmp_path, *(f"{word}/{i}.wav" for word in ("yes", "no") for i in range(4)))
    (tmp_path / "README.md").write_text("about")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    record(tmp_path, "__MACOSX/yes/0.wav", "yes/._0.wav")
    collection = read_collection(tmp_path)
    assert (collection.layout, collection.task) == ("folders", "classify")
    assert collection.labels == {"yes": 4, "no": 4}
    assert collection.left_out == ()
    assert "a folder a label" in said(collection)
    assert all(u.speaker is None for u in collection.utterances)


def test_a_folder_that_one_may_not_look_into_is_told(tmp_path, closed):
    record(tmp_path, *(f"{word}/{i}.wav" for word in ("yes", "no", "up") for i in range(4)))
    closed(tmp_path / "up")
    collection = read_collection(tmp_path)
    assert collection.labels == {"yes": 4, "no": 4}
    assert collection.left_out == (("up", "the folder cannot be looked into (Permission denied)"),)


def test_speech_commands_lists_and_speakers(tmp_path):
    names = [f"{word}/{speaker}_nohash_{i}.wav" for word in ("up", "go") for speaker in "abcdef" for i in range(2)]
    record(tmp_path, *names, "_background_noise_/hum.wav", "_background_noise_/rain.wav", "_background_noise_/pink.wav")
    write(tmp_path / "validation_list.txt", "".join(f"{n}\n" for n in names if "/e_" in n))
    write(tmp_path / "testing_list.txt", "".join(f"{n}\n" for n in names if "/f_" in n))
    collection = read_collection(tmp_path)
    splits = split(collection)
    assert {u.speaker for u in splits["dev"]} == {"e", None}
    assert {u.speaker for u in splits["test"]} == {"f", None}
    assert {u.speaker for u in splits["train"]} == {*"abcd", None}
    assert all("_background_noise_" in {u.text for u in own} for own in splits.values())
    assert "Speech Commands" in said(collection)
    assert "_background_noise_" in said(collection)


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (
            [f"{word}/{who}/{i}.wav" for word in ("yes", "no") for who in ("ann", "bob", "cyd") for i in "12"],
            {"yes", "no"},
        ),
        (
            [f"{who}/{word}/{i}.wav" for word in ("yes", "no") for who in ("ann", "bob", "cyd") for i in "12"],
            {"yes", "no"},
        ),
        (
            [f"{w}/{s}/{i}.wav" for w in ("kala", "vesi") for s in ("spk1", "spk2", "spk3") for i in "12"],
            {"kala", "vesi"},
        ),
        ([f"{s}/{w}/{i}.wav" for w in ("kala", "vesi") for s in ("p01", "p02", "p03") for i in "12"], {"kala", "vesi"}),
        ([f"{s}/{w}/{i}.wav" for w in ("kala", "vesi") for s in ("ann", "bob", "cyd") for i in "12"], {"kala", "vesi"}),
    ],
)
def test_speakers_and_labels_as_folders(tmp_path, names, labels):
    collection = read_collection(record(tmp_path, *names))
    assert set(collection.labels) == labels
    assert len({u.speaker for u in collection.utterances} - {None}) == 3
    assert "--label folder:" in said(collection)
    written = read_collection(tmp_path, **collection.settings)  # what is written down gives the same again
    assert written.utterances == collection.utterances


def test_the_level_of_labels_can_be_chosen(tmp_path):
    record(tmp_path, *(f"{a}/{b}/{i}.wav" for a in ("ann", "bob") for b in ("yes", "no") for i in "12"))
    assert set(read_collection(tmp_path, text="folder:1", speaker="folder:2").labels) == {"ann", "bob"}
    with pytest.raises(CorpusError, match="folder:7"):
        read_collection(tmp_path, text="folder:7")
    with pytest.raises(CorpusError, match="folder:N"):
        read_collection(tmp_path, layout="folders", text="words")


def test_folders_of_splits(tmp_path):
    record(tmp_path, *(f"{s}/{w}/{i}.wav" for s in ("train", "valid", "test") for w in ("yes", "no") for i in range(3)))
    collection = read_collection(tmp_path)
    assert set(collection.labels) == {"yes", "no"}
    assert {name: len(own) for name, own in split(collection).items()} == {"train": 6, "dev": 6, "test": 6}
    assert read_collection(tmp_path, **collection.settings).utterances == collection.utterances


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("data/{split}/{word}/{i}.wav", "data/extra/{word}/{i}.wav"),
        ("{split}/{word}/{i}.wav", "_background_noise_/{i}.wav"),
        ("{word}/{split}/{i}.wav", ""),
    ],
)
def test_folders_of_splits_are_no_labels_at_any_level(tmp_path, name, extra):
    words = ("kala", "vesi")
    names = [name.format(split=s, word=w, i=i) for s in ("train", "val", "test") for w in words for i in range(2)]
    others = {extra.format(word=w, i=i) for w in words for i in range(2)} - {""}
    collection = read_collection(record(tmp_path, *names, *others))
    background = {"_background_noise_"} if "noise" in extra else set()
    assert set(collection.labels) - background == set(words)
    assert Counter(collection.splits.values()) == {"train": 4, "dev": 4, "test": 4}
    left_out = {file for file, why in collection.left_out if "beside the splits" in why}
    assert left_out == (set() if background else others)
    assert read_collection(tmp_path, **collection.settings).utterances == collection.utterances


def test_one_folder_in_which_all_lies_is_descended_into(tmp_path):
    record(tmp_path, *(f"sc/{word}/{who}_nohash_0.wav" for word in ("up", "go") for who in "abcdef"))
    write(tmp_path / "sc" / "validation_list.txt", "up/e_nohash_0.wav\ngo/e_nohash_0.wav\n")
    write(tmp_path / "sc" / "testing_list.txt", "up/f_nohash_0.wav\ngo/f_nohash_0.wav\n")
    collection = read_collection(tmp_path)
    assert set(collection.labels) == {"up", "go"}
    assert Counter(collection.splits.values()) == {"train": 8, "dev": 2, "test": 2}


@pytest.mark.parametrize(
    ("name", "pattern", "labels"),
    [
        ("Actor_{k:02d}/03-{e:02d}-{k:02d}.wav", r"\^\[\^_\\-\]\+\[_\\-\]\(\?P<text>\[\^_\\-\]\+\)", "01, 02, 03"),
        ("wav/{k:02d}x{e:c}y.wav", r"\^\.\{3\}\(\?P<text>\.\)", "A, B, C"),
    ],
)
def test_speakers_and_one_label_point_to_the_files_names(tmp_path, name, pattern, labels):
    first = 1 if "03" in name else ord("A")
    record(tmp_path, *(name.format(k=k, e=first + e) for k in range(8) for e in range(3)))
    line = next(line for line in read_collection(tmp_path).guessed if "--label '" in line)
    assert re.search(f"--label '{pattern}' takes {labels}", line)


def test_one_label_is_the_folders_name(tmp_path):
    record(tmp_path, *(f"computer/{os.urandom(4).hex()}.wav" for _ in range(5)))
    assert set(read_collection(tmp_path / "computer").labels) == {"computer"}


def test_names_that_begin_with_the_label(tmp_path):
    record(
        tmp_path, *(f"{d}_{who}_{i}.wav" for d in range(4) for who in ("jackson", "theo", "lucas") for i in range(3))
    )
    collection = read_collection(tmp_path)
    assert (collection.layout, collection.task) == ("names", "classify")
    assert collection.labels == {str(d): 9 for d in range(4)}
    assert {u.speaker for u in collection.utterances} == {"jackson", "theo", "lucas"}
    assert read_collection(tmp_path, layout="names", **collection.settings).utterances == collection.utterances


def test_names_that_are_transcripts(tmp_path):
    record(tmp_path, *(f"waves/{'_'.join(f'{i:05b}')}.wav" for i in range(16)))
    collection = read_collection(tmp_path)
    assert collection.task == "transcribe"
    assert texts(collection)["waves/0_0_1_0_1"] == "0 0 1 0 1"


def test_a_label_by_a_regular_expression(tmp_path):
    record(tmp_path, "rec1-yes.wav", "rec2-no.wav", "rec3.wav")
    collection = read_collection(tmp_path, text=r"-(?P<text>\w+)$")
    assert set(collection.labels) == {"yes", "no"}
    assert [file for file, _ in collection.left_out] == ["rec3.wav"]
    with pytest.raises(CorpusError, match="no regular expression"):
        read_collection(tmp_path, text="(?P<text>[")
    with pytest.raises(CorpusError, match="no file's name"):
        read_collection(tmp_path, text="(?P<text>zebra)")


def test_links_are_followed_and_circles_end(tmp_path):
    record(tmp_path / "far", *(f"yes/{i}.wav" for i in range(3)))
    record(tmp_path / "here", *(f"no/{i}.wav" for i in range(3)))
    (tmp_path / "here" / "yes").symlink_to(tmp_path / "far" / "yes")
    (tmp_path / "here" / "no" / "loop").symlink_to(tmp_path / "here")
    (tmp_path / "here" / "no" / "lost.wav").symlink_to(tmp_path / "nowhere.wav")
    collection = read_collection(tmp_path / "here")
    assert collection.labels == {"yes": 3, "no": 3}
    assert dict(collection.left_out)["no/lost.wav"] == "a link to nowhere"


def test_ids_are_unique(tmp_path):
    record(tmp_path, "yes/a.wav", "yes/a.flac", "no/a.wav", "no/b.wav")
    collection = read_collection(tmp_path)
    assert set(texts(collection)) == {"yes/a.wav", "yes/a.flac", "no/a", "no/b"}


def test_what_cannot_be_read_is_named(tmp_path):
    record(tmp_path, "yes/a.wav", "no/a.wav")
    (tmp_path / "yes" / "phone.m4a").write_bytes(b"x")
    (tmp_path / "yes" / "empty.wav").write_bytes(b"")
    (tmp_path / "yes" / "broken.wav").write_bytes(b"RIFF nonsense")
    collection = read_collection(tmp_path)
    assert "ffmpeg" in dict(collection.left_out)["yes/phone.m4a"]
    assert {"yes/empty", "yes/broken"} <= set(texts(collection))  # prep names these


def test_names_in_no_unicode_are_named(tmp_path):
    record(tmp_path, "yes/a.wav", "no/a.wav")
    try:
        Path(os.fsdecode(os.fsencode(tmp_path / "yes") + b"/\xff.wav")).write_bytes(sound())
    except OSError:
        pytest.skip("this disk takes Unicode names only")
    assert [why for _, why in read_collection(tmp_path).left_out] == ["its name is not UTF-8; rename it"]


@pytest.mark.parametrize("what", ["empty", "no audio", "missing", "foreign"])
def test_nothing_to_learn_from(tmp_path, what):
    if what == "no audio":
        write(tmp_path / "notes.txt", "nothing here\n")
    if what == "foreign":
        write(tmp_path / "yes" / "a.m4a", "x")
    folder = tmp_path / "gone" if what == "missing" else tmp_path
    with pytest.raises(CorpusError, match="no such folder" if what == "missing" else "no recordings"):
        read_collection(folder)


# ----- transcripts


@pytest.mark.parametrize("ending", [".txt", ".lab"])
def test_a_transcript_beside_each_recording(tmp_path, ending):
    record(tmp_path, "a.wav", "b.wav", "c.wav", "d.wav")
    write(tmp_path / f"a{ending}", "\ufeffhello there\r\n")
    write(tmp_path / f"b{ending}", "good\n  morning\n")
    write(tmp_path / f"c{ending}", "\n")
    collection = read_collection(tmp_path)
    assert (collection.layout, collection.task) == ("transcripts", "transcribe")
    assert texts(collection) == {"a": "hello there", "b": "good morning"}
    assert dict(collection.left_out) == {"c.wav": "its transcript is empty", "d.wav": "has no transcript"}


def test_transcripts_in_a_folder_beside(tmp_path):
    record(tmp_path, "wav/a.wav", "wav/b.wav")
    write(tmp_path / "txt" / "a.txt", "one")
    write(tmp_path / "txt" / "b.txt", "two")
    assert texts(read_collection(tmp_path)) == {"wav/a": "one", "wav/b": "two"}


def test_labels_with_times_are_refused(tmp_path):
    record(tmp_path, "a.wav")
    write(tmp_path / "a.lab", "0 2500000 sil\n2500000 5000000 a\n")
    with pytest.raises(CorpusError, match="times"):
        read_collection(tmp_path)


def test_librispeech(tmp_path):
    for speaker in ("84", "174", "251"):
        record(tmp_path, *(f"{speaker}/1/{speaker}-1-{i:04d}.flac" for i in range(3)))
        lines = "".join(f"{speaker}-1-{i:04d} SAID {speaker} {i}\n" for i in range(3))
        write(tmp_path / speaker / "1" / f"{speaker}-1.trans.txt", lines)
    collection = read_collection(tmp_path)
    assert texts(collection)["84/1/84-1-0002"] == "SAID 84 2"
    assert {u.speaker for u in collection.utterances} == {"84", "174", "251"}


def test_one_list_of_ids_and_texts(tmp_path):
    record(tmp_path, *(f"wav/u{i}.wav" for i in range(4)))
    write(tmp_path / "prompts.txt", "".join(f"u{i} this is {i}\n" for i in range(4)))
    assert texts(read_collection(tmp_path))["wav/u3"] == "this is 3"


@pytest.mark.parametrize("text", ["", "\n\n", "a\nb\n", "\ufeff"])
def test_lists_of_ids_without_a_text_are_refused(tmp_path, text):
    record(tmp_path, "a.wav", "b.wav")
    write(tmp_path / "x.trans.txt", text)
    with pytest.raises(CorpusError, match=r"x\.trans\.txt: no line has a text"):
        read_collection(tmp_path)


@pytest.mark.parametrize(
    ("recording", "texts_of", "line"),
    [
        ("{who}-2009/wav/a{i}.wav", "{who}-2009/etc/PROMPTS", "{who}-2009/mfc/a{i} {said}\n"),
        ("us_{who}/wav/a{i}.wav", "us_{who}/etc/txt.done.data", '( a{i} "{said}" )\n'),
        ("flac/{who}/{who}_{i}_mic1.flac", "txt/{who}/{who}_{i}.txt", "{said}\n"),
        ("data/{who}_{i}.wav", "data/{who}_{i}.wav.trn", "{said}\npin1 yin1\np in\n"),
    ],
)
def test_transcripts_of_published_corpora(tmp_path, recording, texts_of, line):
    """VoxForge's, CMU Arctic's, VCTK's and THCHS-30's."""
    wanted = {}
    for who in ("ann", "bob"):
        for i in range(3):
            names = {"who": who, "i": i, "said": f"{who} said {('one', 'two', 'three')[i]}"}
            record(tmp_path, recording.format(**names))
            path = tmp_path / texts_of.format(**names)
            write(path, (path.read_text() if path.exists() else "") + line.format(**names))
            wanted[recording.format(**names)] = names["said"]
    record(tmp_path, *(name.replace("mic1", "mic2") for name in wanted))
    collection = read_collection(tmp_path)
    assert {u.audio.relative_to(tmp_path).as_posix(): u.text for u in collection.utterances} == wanted
    assert {why for _, why in collection.left_out} <= {"the same utterance by another microphone"}
    written = read_collection(tmp_path, layout=collection.layout, task=collection.task, **collection.settings)
    assert written.utterances == collection.utterances
    if "etc" in texts_of:  # not another speaker's of the same number
        (tmp_path / next(iter(wanted))).unlink()
        with pytest.raises(CorpusError, match=r"audio of 1 of 6 lines is missing"):
            read_collection(tmp_path)


def test_transcripts_that_are_not_read_are_named(tmp_path):
    record(tmp_path, *(f"{who}/{who}{i}.wav" for who in ("ann", "bob") for i in range(2)))
    write(tmp_path / "said.dat", "".join(f"<{who}{i}.wav> says one word\n" for who in ("ann", "bob") for i in range(2)))
    write(tmp_path / "said.dat", (tmp_path / "said.dat").read_text().replace("<", "").replace(">", ""))
    with pytest.raises(CorpusError, match=r"said\.dat may say what is heard"):
        read_collection(tmp_path, task="transcribe")
    assert read_collection(tmp_path).layout == "folders"


def test_cmu_lists(tmp_path):
    record(tmp_path, *(f"wav/{s}/utt{i}.wav" for s in ("ann", "bob", "cyd", "dan") for i in range(2)))
    for name, speakers in (("train", ("ann", "bob", "cyd")), ("test", ("dan",))):
        ids = [f"{s}/utt{i}" for s in speakers for i in range(2)]
        write(tmp_path / "etc" / f"db_{name}.fileids", "\n".join(ids))
        lines = "".join(f"<s> SAID {i} </s> ({i})\n" for i in ids)
        write(tmp_path / "etc" / f"db_{name}.transcription", lines)
    collection = read_collection(tmp_path)
    assert texts(collection)["ann/utt1"] == "SAID ann/utt1"
    splits = split(collection)
    assert {u.id[:3] for u in splits["test"]} == {"dan"}
    assert splits["dev"]
    write(tmp_path / "etc" / "db_train.transcription", lines + "<s> A </s> (ann/utt0)\n<s> B </s> (ann/utt0)\n")
    with pytest.raises(CorpusError, match="line 4: ann/utt0 says 'B', and 'A' before"):
        read_collection(tmp_path)
    write(tmp_path / "etc" / "db_train.transcription", "")
    write(tmp_path / "etc" / "db_test.transcription", "<s> X </s> (nobody)\n")
    with pytest.raises(CorpusError, match="has no line in"):
        read_collection(tmp_path)


def test_a_tab_within_the_text_parts_no_name_from_it(tmp_path):
    record(tmp_path, *(f"{i}.wav" for i in range(4)))
    write(tmp_path / "texts.txt", "0 hello\tyou\n1 go on\n2\tturn left\n3 stop here\n")
    found = texts(read_collection(tmp_path))
    assert {name: text.split() for name, text in found.items()} == {
        "0": ["hello", "you"],
        "1": ["go", "on"],
        "2": ["turn", "left"],
        "3": ["stop", "here"],
    }


def test_a_name_that_is_missing_gives_its_text_to_no_other(tmp_path):
    record(tmp_path, "a.wav", "c.wav", "d.wav")
    write(tmp_path / "x.trans.txt", "c\tfine day\nd\tok then\na b\thello you\n")
    with pytest.raises(CorpusError, match="line 3: a b"):
        read_collection(tmp_path)


# ----- lists


#: Of a list what is wrong with it, and what is said of it.
BAD = [
    ("train.tsv", "path\tsentence\na.wav\tgrün\n", "latin-1", r"train\.tsv, line 2: is not UTF-8"),
    ("train.tsv", "path\tsentence\tage\na.wav\tyes\t1\t2\n", "utf-8", r"train\.tsv, line 2: has 4 cells"),
    (
        "train.tsv",
        "path  sentence\na.wav  yes\nb.wav  no\n",
        "utf-8",
        r"parted as those of (dev|test)\.tsv\? --skip-bad",
    ),
    ("train.json", '{"path": "a.wav", "text": "yes"}\n{"path": "b.w', "utf-8", r"train\.json, line 2: is not JSON"),
    ("data/a/metadata.csv", "path,text\na.wav,grün\n", "latin-1", r"metadata\.csv, line 2"),
]


@pytest.mark.parametrize(("name", "content", "encoding", "message"), BAD)
def test_a_list_that_cannot_be_read_does_not_vanish(tmp_path, name, content, encoding, message):
    record(tmp_path, *(f"{letter}.wav" for letter in "abcdef"))
    good = "path\tsentence\n{0}.wav\tsaid {0}\n"
    if name.endswith("json"):
        good = '{{"path": "{0}.wav", "text": "said {0}"}}\n'
    for letter, split_name in zip("cd", ("dev", "test"), strict=True):
        other = name.replace("train", split_name).replace("/a/", f"/{letter}/")
        write(tmp_path / other, good.format(letter).replace("\t", "," if other.endswith("csv") else "\t"))
    write(tmp_path / "notes.txt", "taken in May, at noon\nby ann, bob, cyd, and by others\n")  # no list
    read = read_collection(tmp_path, task="transcribe")
    write(tmp_path / name, content, encoding)
    with pytest.raises(CorpusError, match=message):
        read_collection(tmp_path)
    skipping = read_collection(tmp_path, skip_bad=True, task="transcribe")
    assert skipping.utterances == read.utterances
    assert dict(skipping.left_out)[name].startswith("cannot be read: ")


def test_a_recording_that_is_missing_is_no_other_of_its_number(tmp_path):
    record(tmp_path, *(f"wav/{who}/{i}.wav" for who, i in (("ann", 1), ("ann", 2), ("bob", 3))))
    rows = "path\ttext\nwav/ann/1.wav\ta\nwav/ann/2.wav\tb\n"
    for lost in ("wav/ann/3.wav", "wav/cyd/3.wav", "/old/place/3.wav"):
        table = write(tmp_path / "t.tsv", f"{rows}{lost}\tc\n")
        with pytest.raises(CorpusError, match=f"line 4: {lost}"):
            read_collection(tmp_path)
    write(table, rows.replace("wav/ann", "/old/x") + "/old/x/3.wav\tc\n")  # all were moved
    assert len(read_collection(tmp_path).utterances) == 3


@pytest.mark.parametrize("split_names", [("train", "dev", "test"), ("train_nodup", "train_dev", "eval2000")])
def test_splits_of_lists_that_their_folders_name(tmp_path, split_names):
    record(tmp_path, "a.wav", "b.wav", "c.wav")
    for name, letter in zip(split_names, "abc", strict=True):
        write(tmp_path / "meta" / name / "list.tsv", f"path\ttext\n{letter}.wav\tsaid {letter}\n")
    assert read_collection(tmp_path).splits == {"a": "train", "b": "dev", "c": "test"}


def test_splits_of_folders_where_a_list_has_none(tmp_path):
    names = record(tmp_path, *(f"data/{s}/{i}{s}.wav" for s in ("train", "valid", "test") for i in range(2)))
    rows = "".join(f"data/{s}/{i}{s}.wav,said {i}{s}\n" for s in ("train", "valid", "test") for i in range(2))
    write(names / "metadata.csv", f"file_name,text\n{rows}")
    assert Counter(read_collection(tmp_path).splits.values()) == {"train": 2, "dev": 2, "test": 2}


def test_splits_of_lists_of_names(tmp_path):
    record(tmp_path, *(f"wav/{letter}.wav" for letter in "abcd"))
    for letter in "abcd":
        write(tmp_path / "wav" / f"{letter}.txt", f"said {letter}")
    for name, own in (("train", "ab"), ("development", "c"), ("test", "d")):
        write(tmp_path / "lists" / f"{name}.txt", "\n".join(own))
    collection = read_collection(tmp_path)
    assert Counter(collection.splits.values()) == {"train": 2, "dev": 1, "test": 1}
    write(tmp_path / "lists" / "test.txt", "")
    assert read_collection(tmp_path).splits == {}
    assert "name 3 of 4" in said(read_collection(tmp_path))


def test_speakers_that_splits_share_are_named(tmp_path):
    record(tmp_path, "a.wav", "b.wav")
    for name, letter in (("train", "a"), ("test", "b")):
        write(tmp_path / f"{name}.tsv", f"path\ttext\tspeaker\n{letter}.wav\tsaid {letter}\tann\n")
    assert "speakers that stand in several: ann" in said(read_collection(tmp_path))


# ----- tables


@pytest.mark.parametrize(
    ("delimiter", "name"), [("\t", "t.tsv"), (",", "t.csv"), (";", "t.csv"), ("|", "t.csv"), ("\t", "t.txt")]
)
def test_tables(tmp_path, delimiter, name):
    record(tmp_path, "a.wav", "b.wav", "sub/c.wav", "extra.wav")
    rows = [
        ("file", "speaker", "text"),
        ("a.wav", "ann", "yes, sir"),
        ("b", "bob", 'say "hi"'),
        ("sub/c.wav", "ann", "x"),
    ]
    quote = (lambda cell: '"' + cell.replace('"', '""') + '"') if delimiter in ",;" else str
    write(tmp_path / name, "\ufeff" + "\r\n".join(delimiter.join(map(quote, row)) for row in rows))
    collection = read_collection(tmp_path)
    assert collection.layout == "table"
    assert texts(collection) == {"a": "yes, sir", "b": 'say "hi"', "sub/c": "x"}
    assert [u.speaker for u in collection.utterances] == ["ann", "bob", "ann"]
    assert collection.left_out == (("extra.wav", "no line of a table that is read names it"),)


def test_ljspeech(tmp_path):
    record(tmp_path, *(f"wavs/LJ001-{i:04d}.wav" for i in range(4)))
    write(tmp_path / "metadata.csv", "".join(f'LJ001-{i:04d}|In {i}, "he|In the year {i}, he\n' for i in range(4)))
    collection = read_collection(tmp_path)
    assert texts(collection)["wavs/LJ001-0002"] == "In the year 2, he"
    assert all(u.speaker is None for u in collection.utterances)
    assert "LJSpeech" in said(collection)
    assert read_collection(tmp_path, text="2").utterances[1].text == 'In 1, "he'
    write(tmp_path / "metadata.csv", "".join(f"LJ001-{i:04d}|In {i} he went|spk{i % 2}\n" for i in range(4)))
    assert texts(read_collection(tmp_path))["wavs/LJ001-0002"] == "In 2 he went"  # column 3 says who speaks


def test_common_voice(tmp_path):
    record(tmp_path, *(f"clips/cv_{i}.wav" for i in range(12)))
    head = "client_id\tpath\tsentence\tup_votes\n"
    for name, numbers in (
        ("train", range(6)),
        ("dev", (6, 7)),
        ("test", (8, 9)),
        ("validated", range(10)),
        ("other", (10,)),
    ):
        write(tmp_path / f"{name}.tsv", head + "".join(f"c{i}\tcv_{i}.mp3\tSatz Nummer {i}.\t2\n" for i in numbers))
    write(tmp_path / "clip_durations.tsv", "clip\tduration[ms]\ncv_0.mp3\t1000\n")
    collection = read_collection(tmp_path)
    assert {name: len(own) for name, own in split(collection).items()} == {"train": 6, "dev": 2, "test": 2}
    assert collection.utterances[0].speaker == "c6"  # dev.tsv is the first in order
    assert "validated.tsv" in said(collection)
    assert "another extension" in said(collection)
    assert [file for file, _ in collection.left_out] == ["clips/cv_10.wav", "clips/cv_11.wav"]


@pytest.mark.parametrize("task", ["auto", "transcribe"])
def test_tables_of_fewer_than_half_of_one_folder_are_what_is_learnt(tmp_path, task):
    record(tmp_path, *(f"clips/cv_{i}.wav" for i in range(30)))
    head = "client_id\tpath\tsentence\n"
    for name, numbers in (("train", range(6)), ("dev", (6, 7)), ("test", (8, 9)), ("validated", range(20))):
        write(tmp_path / f"{name}.tsv", head + "".join(f"c{i}\tcv_{i}.mp3\tSatz {i} ist lang.\n" for i in numbers))
    collection = read_collection(tmp_path, task=task)
    assert collection.layout == "table"
    assert {u.text for u in collection.utterances} == {f"Satz {i} ist lang." for i in range(10)}
    assert len(collection.left_out) == 20


@pytest.mark.parametrize("task", ["auto", "classify", "transcribe"])
def test_a_small_table_beside_recordings_that_say_what_they_are_is_not_what_is_learnt(tmp_path, task):
    names = record(tmp_path / "names", *(f"{word}_{i}.wav" for word in ("yes", "no") for i in range(10)))
    write(names / "notes.csv", "file,label\nyes_1.wav,noisy\nno_2.wav,noisy\n")
    write(names / "old.csv", "file,label\nold/a.wav,x\nold/b.wav,y\n")
    collection = read_collection(names, task=task)
    assert {u.text for u in collection.utterances} == {"yes", "no"}
    assert len(collection.utterances) == 20
    if task == "classify":
        return
    notes = "file,text\n{0}u1.wav,a note\n{0}u2.wav,another\n"
    beside = record(tmp_path / "beside", *(f"u{i}.wav" for i in range(12)))
    for i in range(12):
        write(beside / f"u{i}.txt", f"he said number {i}")
    write(beside / "notes.csv", notes.format(""))
    chapter = record(tmp_path / "chapter", *(f"1/2/u{i}.wav" for i in range(12)))
    write(chapter / "1" / "2" / "1-2.trans.txt", "".join(f"u{i} HE SAID NUMBER {i}\n" for i in range(12)))
    write(chapter / "notes.csv", notes.format("1/2/"))
    prompts = record(tmp_path / "prompts", *(f"s{i % 2}/u{i}.wav" for i in range(12)))
    write(prompts / "prompts.txt", "".join(f"u{i} he said number {i}\n" for i in range(12)))
    write(prompts / "s0" / "u0.txt", "a note of the speaker")
    for folder in (beside, chapter, prompts):
        collection = read_collection(folder, task=task)
        assert (collection.layout, len(collection.utterances)) == ("transcripts", 12)


def test_tables_of_few_of_labelled_folders_are_passed_over_and_named(tmp_path):
    record(tmp_path, *(f"{word}/{i}.wav" for word in ("yes", "no") for i in range(6)))
    write(tmp_path / "notes.csv", "file,text\nyes/0.wav,said loudly by somebody\nno/1.wav,very quiet\n")
    collection = read_collection(tmp_path)
    assert {u.text for u in collection.utterances} == {"yes", "no"}
    assert "notes.csv: tables that name 2 of 12 recordings" in said(collection)
    asked = read_collection(tmp_path, task="transcribe")
    assert {u.text for u in asked.utterances} == {"said loudly by somebody", "very quiet"}


def test_a_table_whose_recordings_are_not_there_is_named(tmp_path):
    record(tmp_path, *(f"z{i}.wav" for i in range(10)))
    write(tmp_path / "meta.csv", "path,text\n" + "".join(f"clips/q{i}.wav,he said {i}\n" for i in range(10)))
    for task in ("auto", "transcribe"):
        with pytest.raises(CorpusError, match=r"audio of 10 of 10 lines is missing \(meta\.csv, line 2"):
            read_collection(tmp_path, task=task)


def test_of_what_says_little_that_which_says_most_is_learnt(tmp_path):
    record(tmp_path, *(f"s{i % 2}/{i}.wav" for i in range(10)))
    write(tmp_path / "m.csv", "path,text\ns0/0.wav,one line alone\n")
    for i in range(1, 5):
        write(tmp_path / f"s{i % 2}/{i}.txt", f"this is number {i}")
    collection = read_collection(tmp_path, task="transcribe")
    assert (collection.layout, len(collection.utterances)) == ("transcripts", 4)
    assert "m.csv: tables that name 1 of 10" in said(collection)
    write(tmp_path / "m.csv", "path,mood\n" + "".join(f"s{i % 2}/{i}.wav,{'ab'[i // 2]}\n" for i in range(4)))
    assert {u.text for u in read_collection(tmp_path, text="mood").utterances} == {"a", "b"}


def test_transcripts_of_a_few_are_those_that_were_asked_for(tmp_path):
    record(tmp_path, *(f"s{i % 2}/{i}.wav" for i in range(10)))
    for i in range(4):
        write(tmp_path / f"s{i % 2}/{i}.txt", f"this is number {i}")
    collection = read_collection(tmp_path, task="transcribe")
    assert {u.text for u in collection.utterances} == {f"this is number {i}" for i in range(4)}
    assert "4 of 10 recordings have a text beside them" in said(read_collection(tmp_path))


def test_a_quotation_mark_does_not_swallow_other_recordings(tmp_path):
    record(tmp_path, *(f"{i}.wav" for i in range(6)))
    rows = [f"{i}.wav,number {i} is said" for i in range(6)]
    swallowing = ['2.wav,"come here', rows[3], '4.wav,he said "no"']
    write(tmp_path / "t.csv", "\n".join(["file,text", *rows[:2], *swallowing, rows[5]]))
    with pytest.raises(CorpusError, match=r"t\.csv, line 4: a quotation mark opens here"):
        read_collection(tmp_path)
    spaced = [row.replace(",", ", ") for row in rows]
    write(tmp_path / "t.csv", "\n".join(["file, text", *spaced[:2], '2.wav, "come here', spaced[3], '4.wav, "no"']))
    with pytest.raises(CorpusError, match=r"t\.csv, line 4: a quotation mark opens here"):
        read_collection(tmp_path)
    quoted = [f'"{i}.wav","number {i} is said"' for i in range(6)]
    write(tmp_path / "t.csv", "\n".join(['"file","text"', *quoted[:2], '"2.wav","come here', *quoted[3:]]))
    with pytest.raises(CorpusError, match=r"t\.csv, line 4: a quotation mark opens here"):
        read_collection(tmp_path)
    write(tmp_path / "t.csv", "\n".join(["file,text", *rows[:5], '5.wav,"read from\nsource.wav, then stop"']))
    assert len(read_collection(tmp_path).utterances) == 6
    write(tmp_path / "t.csv", "\n".join(["file,text", *rows[:5], '5.wav,"two lines\nof one text"']))
    assert texts(read_collection(tmp_path))["5"].split() == ["two", "lines", "of", "one", "text"]


@pytest.mark.parametrize("cell", ["['dog', 'cat']", "\"['dog', 'cat']\"", "['dog' 'cat']", '"dog, cat"'])
def test_lists_of_labels_as_other_programs_print_them(tmp_path, cell):
    record(tmp_path, *(f"{i}.wav" for i in range(6)))
    rows = [f"{i}.wav,{cell if i % 2 else 'dog'}" for i in range(6)] + ["6.wav,cat"]
    record(tmp_path, "6.wav")
    write(tmp_path / "t.csv", "\n".join(["file,labels", *rows]))
    collection = read_collection(tmp_path)
    assert collection.several
    assert set(collection.labels) == {"dog", "cat"}


def test_a_comma_within_a_label_parts_none(tmp_path):
    record(tmp_path, *(f"{i}.wav" for i in range(6)))
    labels = ["Vroom, loud;Car", "Vroom, loud;Bus", "Car", "Bus", "Speech;Car", "Speech"]
    write(tmp_path / "t.tsv", "\n".join(["file\tlabels", *(f"{i}.wav\t{own}" for i, own in enumerate(labels))]))
    assert set(read_collection(tmp_path).labels) == {"Vroom loud", "Car", "Bus", "Speech"}


@pytest.mark.parametrize("separator", [";", "|", " ; "])
def test_labels_parted_otherwise_are_several_too(tmp_path, separator):
    record(tmp_path, *(f"{i}.wav" for i in range(8)))
    labels = ["dog", "dog cat", "dog cat rain", "rain", "cat rain", "cat", "dog rain"]
    rows = [f"{i}.wav\t{separator.join(own.split())}" for i, own in enumerate(labels)]
    write(tmp_path / "t.tsv", "\n".join(["file\tlabels", *rows, "7.wav\t"]))
    collection = read_collection(tmp_path)
    assert collection.several
    assert texts(collection)["2"] == "dog, cat, rain"
    assert texts(collection)["7"] == ""
    assert f"{separator.strip()!r} parts the labels" in said(collection)


def test_a_comma_in_a_number_stays(tmp_path):
    record(tmp_path, "a.wav", "b.wav")
    said = {"a": "I owe 1,000 dollars, you know", "b": "in 1914, 200 people and 100, 200, 300"}
    write(tmp_path / "t.csv", "file,text\n" + "".join(f"{name}.wav,{text}\n" for name, text in said.items()))
    assert texts(read_collection(tmp_path)) == said


def test_nemo_manifests(tmp_path):
    record(tmp_path, "a.wav", "b.wav", "c.wav", seconds=0.5)
    lines = {
        "train": [("a.wav", 0.0, 0.2, "one"), ("a.wav", 0.2, 0.2, "two"), (str(tmp_path / "b.wav"), 0, 0.5, "three")],
        "test": [("/other/machine/c.wav", 0, 0.5, "four")],
    }
    for name, rows in lines.items():
        keys = ("audio_filepath", "offset", "duration", "text")
        write(
            tmp_path / f"{name}_manifest.json",
            "".join(json.dumps(dict(zip(keys, r, strict=True))) + "\n" for r in rows),
        )
    collection = read_collection(tmp_path)
    found = {u.text: (u.audio.name, u.start, u.duration) for u in collection.utterances}
    assert found["two"] == ("a.wav", 0.2, 0.2)
    assert found["four"][0] == "c.wav"
    assert "another folder" in said(collection)
    assert [u.text for u in split(collection)["test"]] == ["four"]
    assert len(read_collection(tmp_path / "train_manifest.json").utterances) == 3


@pytest.mark.parametrize("variable", ["$data_root", "{data_root}"])
def test_speechbrain_s_lists(tmp_path, variable):
    record(tmp_path, "wav/a.wav", "wav/b.wav")
    rows = {f"u{letter}": {"wav": f"{variable}/wav/{letter}.wav", "wrd": f"said {letter}"} for letter in "ab"}
    if variable.startswith("$"):
        csv = "".join(f"{letter},{row['wav']},{row['wrd']}\n" for letter, row in rows.items())
        table = write(tmp_path / "lists" / "all.csv", f"ID,wav,wrd\n{csv}")
    else:
        table = write(tmp_path / "lists" / "all.json", json.dumps(rows))
    collection = read_collection(tmp_path)
    assert texts(collection) == {"wav/a": "said a", "wav/b": "said b"}
    assert f"calls {variable}" in said(collection)
    write(table, table.read_text().replace("/wav/", "/gone/x"))
    with pytest.raises(CorpusError, match=f"{re.escape(variable)} stands for a folder"):
        read_collection(tmp_path)


def test_times_of_the_recordings_that_these_were_cut_from(tmp_path):
    """UrbanSound8K's, whose folds are said, and AudioSet's, whose columns stand in a remark."""
    record(tmp_path, *(f"{i}.wav" for i in range(4)), seconds=0.5)
    rows = "".join(f"{i}.wav,{30 + i},{30.5 + i},{i % 2},{'ab'[i % 2]}\n" for i in range(4))
    table = write(tmp_path / "t.csv", f"file,start,end,fold,class\n{rows}")
    collection = read_collection(tmp_path)
    assert {(u.start, u.duration) for u in collection.utterances} == {(0.0, None)}
    assert "start, end go beyond the recordings" in said(collection)
    assert "--speaker column:fold keeps" in said(collection)
    assert {u.speaker for u in read_collection(tmp_path, speaker="column:fold").utterances} == {"0", "1"}
    rows = "".join(f'{i}, 30.0, 30.5, "{labels}"\n' for i, labels in enumerate(("/m/1", "/m/1,/m/2", "/m/2", "/m/2")))
    write(table, f"# made in 2017\n# n=4\n# YTID, start_seconds, end_seconds, positive_labels\n{rows}")
    collection = read_collection(tmp_path)
    assert collection.several
    assert collection.labels == {"/m/1": 2, "/m/2": 3}
    write(table, "file,start,end,class\n" + "".join(f"{i}.wav,{i / 10},{i / 10 + 0.5},a\n" for i in range(4)))
    assert {u.start for u in read_collection(tmp_path).utterances} == {0.0}  # the ends alone lie outside
    write(table, table.read_text().replace("0.1,0.6", "0.1,0.68"))  # one was cut short
    assert {u.start for u in read_collection(tmp_path).utterances} == {0.0}
    write(table, "file,start,end,class\n" + "".join(f"{i}.wav,{0.08 * (i == 0)},0.5,a\n" for i in range(4)))
    assert {u.start for u in read_collection(tmp_path).utterances} == {0.0, 0.08}  # what is cut off is meant


def test_dcase_s_weak_labels_are_several(tmp_path):
    record(tmp_path, *(f"{i}.wav" for i in range(4)))
    rows = "".join(f"{i}.wav\t{own}\n" for i, own in enumerate(("dog", "dog,cat", "cat", "cat,dog")))
    write(tmp_path / "weak.tsv", f"filename\tevent_labels\n{rows}")
    assert read_collection(tmp_path).several


def test_addresses_are_no_texts(tmp_path):
    record(tmp_path, "a.wav", "b.wav")
    write(tmp_path / "segments.txt", "a\thttp://x/a.mp3\t1.0\t2.0\nb\thttp://x/a.mp3\t1.0\t2.0\n")
    write(tmp_path / "transcripts.txt", "a\tsaid a\nb\tsaid b\n")
    assert texts(read_collection(tmp_path)) == {"a": "said a", "b": "said b"}


def test_columns_by_content_and_by_name(tmp_path):
    record(tmp_path, "a.wav", "b.wav")
    table = write(tmp_path / "t.csv", "nr,clip_name,emotion,gloss\n1,a.wav,sad,oh\n2,b.wav,glad,ah\n")
    with pytest.raises(CorpusError, match=r"t\.csv: has no column of texts .*--label.*'nr'.*gloss"):
        read_collection(table)
    assert texts(read_collection(table, text="gloss")) == {"a": "oh", "b": "ah"}
    with pytest.raises(CorpusError, match="did you mean 'gloss'"):
        read_collection(table, text="glos")
    with pytest.raises(CorpusError, match="did you mean 'clip_name'"):
        read_collection(table, text="gloss", audio="clipname")
    assert [u.speaker for u in read_collection(table, text="gloss", speaker="column:emotion").utterances] == [
        "sad",
        "glad",
    ]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("start_ms,end_ms", "100,350"),
        ("start_s,end_s", "0.1,0.35"),
        ("from,to", "0.1,0.35"),
        ("begin_time,end_time", "0.1,0.35"),
        ("Begin Time (s),Delta Time (s),Duration (s)", "0.1,9,0.25"),
        ("starttime,duration", "0:00:00.1,0.25"),
    ],
)
def test_a_table_says_from_when_to_when(tmp_path, header, row):
    record(tmp_path, "a.wav", "b.wav", seconds=1.0)
    table = write(tmp_path / "t.csv", f"filename,{header},text\na.wav,{row},eight\nb.wav,{row},nine\n")
    utterances = read_collection(table).utterances
    assert [(u.text, u.start, u.duration) for u in utterances] == [("eight", 0.1, 0.25), ("nine", 0.1, 0.25)]


@pytest.mark.parametrize(
    ("header", "row"),
    [("starttime,duration", "10:30:00,5"), ("from,to", "20,30"), ("xmin,ymin,xmax,ymax", "10,20,110,90")],
)
def test_clocks_ages_and_boxes_are_no_times_of_a_recording(tmp_path, header, row):
    record(tmp_path, "a.wav")
    table = write(tmp_path / "t.csv", f"filename,{header},text\na.wav,{row},eight\n")
    assert [(u.start, u.duration, u.text) for u in read_collection(table).utterances] == [(0.0, None, "eight")]


def test_an_end_in_another_unit_than_the_start(tmp_path):
    record(tmp_path, "a.wav", seconds=1.0)
    table = write(tmp_path / "t.csv", "filename,start,end_ms,text\na.wav,0.1,350,eight\n")
    assert [(u.start, u.duration) for u in read_collection(table).utterances] == [(0.1, 0.25)]


def test_what_only_looks_like_times_is_none(tmp_path):
    record(tmp_path, "a.wav")
    table = write(tmp_path / "t.csv", "filename,from,to,text\na.wav,ann@x,bob@y,eight\n")
    assert [(u.start, u.text) for u in read_collection(table).utterances] == [(0.0, "eight")]


def test_json_in_a_table_is_no_text(tmp_path):
    record(tmp_path, "a.wav")
    table = write(tmp_path / "t.csv", 'audio,id,label\na.wav,0,"[{""start"": 0.5, ""labels"": [""x""]}]"\n')
    with pytest.raises(CorpusError, match="has JSON in its column 'label', no text"):
        read_collection(table)


def test_a_table_names_splits(tmp_path):
    record(tmp_path, *(f"{i}.wav" for i in range(6)))
    rows = "".join(
        f"{i}.wav\t{'ab'[i % 2]}\t{('train', 'train', 'train', 'train', 'val', 'test')[i]}\n" for i in range(6)
    )
    write(tmp_path / "t.tsv", "file\tlabel\tsplit\n" + rows)
    assert {name: len(own) for name, own in split(read_collection(tmp_path)).items()} == {
        "train": 4,
        "dev": 1,
        "test": 1,
    }
    write(tmp_path / "t.tsv", ("file\tlabel\tsplit\n" + rows).replace("train", "fold1"))
    assert read_collection(tmp_path).splits == {}


def test_missing_audio_is_counted_and_named(tmp_path):
    record(tmp_path, "a.wav", "b.wav")
    write(tmp_path / "t.tsv", "path\ttext\na.wav\tx\ngone1.wav\ty\ngone2.wav\tz\nb.wav\tw\n")
    with pytest.raises(CorpusError, match=r"2 of 4 lines is missing \(t.tsv, line 3: gone1.wav; .*--skip-bad"):
        read_collection(tmp_path)
    collection = read_collection(tmp_path, skip_bad=True)
    assert len(collection.utterances) == 2
    assert len(collection.left_out) == 2


def test_repeated_lines(tmp_path):
    record(tmp_path, "a.wav", "b.wav", seconds=1.0)
    head = "path\tstart\tend\ttext\n"
    table = write(tmp_path / "t.tsv", head + "a.wav\t0\t0.5\tx\na.wav\t0.5\t1\ty\nb.wav\t\t\tz\nb.wav\t\t\tz\n")
    collection = read_collection(tmp_path)
    assert [(u.id, u.text) for u in collection.utterances] == [("a@0", "x"), ("a@0.5", "y"), ("b", "z")]
    assert collection.left_out == (("t.tsv, line 5 (as t.tsv, line 4)", "the same as another line"),)
    write(table, head + "a.wav\t0\t0.5\tx\na.wav\t0\t0.5\ty\n")
    with pytest.raises(CorpusError, match=r"line 2 and t\.tsv, line 3: the same recording"):
        read_collection(table)


@pytest.mark.parametrize(("start", "end"), [("x", "1"), ("-1", "1"), ("1", "0.5"), ("nan", "1")])
def test_times_that_are_none(tmp_path, start, end):
    record(tmp_path, "a.wav")
    table = write(tmp_path / "t.tsv", f"path\tstart\tend\ttext\na.wav\t{start}\t{end}\tx\n")
    with pytest.raises(CorpusError, match=r"t\.tsv, line 2"):
        read_collection(table)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-32", "utf-16-le", "utf-16-be"])
def test_encodings_that_can_be_told(tmp_path, encoding):
    record(tmp_path, "a.wav", "b.wav")
    write(tmp_path / "t.tsv", "path\ttext\na.wav\tgrün\nb.wav\tblau\n", encoding)
    assert read_collection(tmp_path).utterances[0].text == "grün"


@pytest.mark.parametrize("encoding", ["latin-1", "utf-32-le"])
def test_encodings_without_a_mark(tmp_path, encoding):
    record(tmp_path, "a.wav", "b.wav")
    write(tmp_path / "t.tsv", "path\ttext\na.wav\tblau\nb.wav\tgrün\n", encoding)
    with pytest.raises(CorpusError, match=r"t\.tsv, line .*--encoding"):
        read_collection(tmp_path)
    assert read_collection(tmp_path, encoding=encoding).utterances[1].text == "grün"
    with pytest.raises(CorpusError, match="no such encoding"):
        read_collection(tmp_path / "t.tsv", encoding="klingon")


def test_composed_and_decomposed_names_are_the_same(tmp_path):
    record(tmp_path, *(unicodedata.normalize("NFD", f"wavs/é{i} à.wav") for i in range(3)))
    write(
        tmp_path / "t.csv",
        "path,text\n" + "".join(unicodedata.normalize("NFC", f"é{i} à.wav,x {i}\n") for i in range(3)),
    )
    assert len(read_collection(tmp_path).utterances) == 3


def test_composed_and_decomposed_labels_are_the_same(tmp_path):
    record(tmp_path, "a.wav", "b.wav", seconds=1.0)
    nfd = unicodedata.normalize("NFD", "é")
    write(tmp_path / "t.csv", f"path,label\na.wav,é\nb.wav,{nfd}\n")
    assert read_collection(tmp_path, task="classify").labels == {"é": 2}
    (tmp_path / "t.csv").unlink()
    for name, label in (("a", "é"), ("b", nfd)):
        write(tmp_path / f"{name}.txt", f"0.1\t0.5\t{label}\n")
    assert read_collection(tmp_path, task="label").labels == {"é": 2}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ("path,text\na.wav,one,two,three,\n", None),
        ("path,text,speaker\na.wav,one, two,ann\n", "4 cells"),
        ('path,text\na.wav,"one\n' + "b.wav,two\n" * 30, "never closes"),
        ("{broken\n", "line 1: is not JSON"),
        ('{"path": "a.wav"}\n', "no column of texts"),
        ("[1, 2]", "no JSON object"),
    ],
)
def test_broken_tables(tmp_path, content, message):
    record(tmp_path, "a.wav", "b.wav")
    table = write(tmp_path / "t.csv", content)
    if message is None:
        assert texts(read_collection(table)) == {"a": "one,two,three"}
    else:
        with pytest.raises(CorpusError, match=message) as error:
            read_collection(table)
        assert "\n" not in str(error.value)


def test_a_table_of_few_of_the_recordings_does_not_hide_the_folders(tmp_path):
    record(tmp_path, *(f"{word}/{i}.wav" for word in ("yes", "no", "speech") for i in range(4)))
    write(tmp_path / "speech" / "transcripts.tsv", "audio\ttext\n0.wav\thello\n1.wav\tthere\n")
    assert read_collection(tmp_path).layout == "folders"


# ----- Kaldi


def kaldi(folder, *, source="{path}", segments=False):
    for split_name, speakers in (("train", ("ann", "bob")), ("test", ("cyd",))):
        data = folder / "data" / split_name
        data.mkdir(parents=True)
        ids = [f"{s}-{i}" for s in speakers for i in range(2)]
        record(folder, *(f"audio/{i}.wav" for i in ids), seconds=1.0)
        scp = (f"{i} {source.format(path=f'audio/{i}.wav', folder=folder)}\n" for i in ids)
        write(data / "wav.scp", "".join(scp))
        names = [f"{i}-a" for i in ids] if segments else ids
        write(data / "text", "".join(f"{name} said {name}\n" for name in names))
        write(data / "utt2spk", "".join(f"{name} {name.split('-')[0]}\n" for name in names))
        if segments:
            write(data / "segments", "".join(f"{i}-a {i} 0.25 0.75\n" for i in ids))
    return folder


@pytest.mark.parametrize("segments", [False, True])
def test_kaldi(tmp_path, segments):
    collection = read_collection(kaldi(tmp_path, segments=segments))
    assert collection.layout == "kaldi"
    assert {u.speaker for u in collection.utterances} == {"ann", "bob", "cyd"}
    assert {u.speaker for u in split(collection)["test"]} == {"cyd"}
    first = next(u for u in collection.utterances if u.speaker == "ann")
    assert (first.start, first.duration) == ((0.25, 0.5) if segments else (0.0, None))
    one = read_collection(tmp_path / "data" / "train")
    assert len(one.utterances) == 4


def data_folder(path, names, source="audio/{}.wav"):
    write(path / "wav.scp", "".join(f"{name} {source.format(name)}\n" for name in names))
    write(path / "text", "".join(f"{name} said {name}\n" for name in names))


def test_kaldi_s_names_of_splits(tmp_path):
    record(tmp_path, *(f"audio/{letter}.wav" for letter in "abcde"))
    data_folder(tmp_path / "data" / "train_si284", "ab")
    data_folder(tmp_path / "data" / "test_dev93", "c")
    data_folder(tmp_path / "data" / "test_eval92", "d")
    data_folder(tmp_path / "data" / "local", "e")
    data_folder(tmp_path / "data" / "train_si284_sp", "ab", "sox audio/{}.wav -t wav - speed 0.9 |")
    data_folder(tmp_path / "org" / "train_si284", "ab", "audio/e.wav")
    data_folder(tmp_path / "data" / "test_blind", "e")
    (tmp_path / "data" / "test_blind" / "text").unlink()
    collection = read_collection(tmp_path)
    assert collection.splits == {"a": "train", "b": "train", "c": "dev", "d": "test"}
    left_out = dict(collection.left_out)
    assert left_out["data/train_si284_sp"] == "the recordings of train_si284 at other speeds"
    assert left_out["org/train_si284"] == "the same utterances as data/train_si284"
    assert left_out["data/test_blind"] == "a data folder without `text`"
    assert left_out["data/local"].startswith("a data folder named after no split")


@pytest.mark.parametrize(
    "command",
    [
        "sph2pipe -f wav -p -c 1 {path} |",
        "sox {folder}/{path} -t wav - |",
        "sox {path} -t wav - remix 1 |",
        "cat '{path}' |",
        "sph2pipe -f wav {path}|sox -t wav - -r 16000 -t wav - |",
        "ffmpeg -i {path} -f wav - | sox -t wav - -r 16000 -t wav - |",
        "ffmpeg -i {path} -af aresample=16000,volume=2 -f wav - |",
    ],
)
def test_commands_of_kaldi_are_read_not_run(tmp_path, command):
    collection = read_collection(kaldi(tmp_path, source=command))
    assert len(collection.utterances) == 6
    assert "nothing is run" in said(collection)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("/x/raw.ark:123", "Kaldi archive"),
        ("sox {path} -t wav - speed 0.9 |", r"changes its audio \(speed\)"),
        ("ffmpeg -i {path} -ss 0.5 -t 0.3 -f wav - |", r"changes its audio \(-ss, -t\)"),
        ("ffmpeg -i {path} -filter:a atempo=1.2 -f wav - |", r"changes its audio \(-filter\)"),
        ("ffmpeg -i {path} -f wav - | sox -t wav - -t wav - trim 1 |", r"changes its audio \(trim\)"),
        ("sph2pipe -f wav -t 0:3 {path} |", r"changes its audio \(-t\)"),
        ("cat {path} 2>/dev/null|sox -t wav - -t wav - speed 1.1 |", r"changes its audio \(speed\)"),
        ("LC_ALL=C nice -n 5 sox {path} -t wav - trim 0 5 |", r"changes its audio \(trim\)"),
        ("(ffmpeg -i {path} -filter:a:0 atempo=2 -f wav -) |", r"changes its audio \(-filter\)"),
        ("flac -dcs --skip=1000 {path} |", r"changes its audio \(--skip\)"),
        ("sox audio/ann-0.wav audio/bob-0.wav -t wav - |", "names 2 recordings"),
        ("touch {folder}/ran; cat nothing |", "names no recording"),
        ("gone.wav", "is missing"),
    ],
)
def test_sources_of_kaldi_that_cannot_be_used(tmp_path, source, message):
    kaldi(tmp_path, source=source)
    with pytest.raises(CorpusError, match=message):
        read_collection(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("text", "ann-0-a other words"),
        ("segments", "ann-0-a bob-1 0.1 0.2"),
        ("utt2spk", "ann-0-a bob"),
    ],
)
def test_a_name_of_kaldis_with_two_contents_is_refused(tmp_path, file, line):
    path = kaldi(tmp_path, segments=True) / "data" / "train" / file
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(CorpusError, match=f"{file}, lines 1 and 5: ann-0-a is .*; delete one"):
        read_collection(tmp_path)
    same = {"text": "ann-0-a  said   ann-0-a", "segments": "ann-0-a ann-0 0.250  0.75", "utt2spk": "ann-0-a ann"}[file]
    path.write_text(path.read_text().replace(line, same))
    assert len(read_collection(tmp_path).utterances) == 6


@pytest.mark.parametrize(
    "source",
    [
        "sph2pipe -f wav -c 2 {path} |",
        "sox {path} -t wav - remix 2 |",
        "ffmpeg -i {path} -map_channel 0.0.1 -f wav - |",
    ],
)
def test_one_channel_of_several_is_refused(tmp_path, source):
    kaldi(tmp_path, source=source)
    record(tmp_path, "audio/ann-0.wav", channels=2)
    with pytest.raises(CorpusError, match="takes one channel"):
        read_collection(tmp_path)


# ----- lhotse


def recording_of(folder, name, source=None):
    sources = [{"type": "file", "channels": [0], "source": source or f"audio/{name}.wav"}]
    return {
        "id": name,
        "sources": sources,
        "sampling_rate": 8000,
        "num_samples": 8000,
        "duration": 1.0,
        "channel_ids": [0],
    }


def supervision_of(name, start, duration):
    return {
        "id": f"s-{name}", "recording_id": name, "start": start, "duration": duration, "channel": 0,
        "text": f"said {name}", "speaker": name[0],
    }  # fmt: skip


def lines_of(entries):
    return "".join(json.dumps(entry) + "\n" for entry in entries)


@pytest.mark.parametrize("packed", [False, True])
def test_lhotse(tmp_path, packed):
    record(tmp_path, *(f"audio/{n}.wav" for n in ("a1", "a2", "b1")), seconds=1.0)
    manifests = {
        "recordings": [recording_of(tmp_path, n) for n in ("a1", "a2", "b1")],
        "supervisions": [supervision_of("a1", 0, 1.0), supervision_of("a2", 0.5, 0.25), supervision_of("b1", 0, 1)],
    }
    folder = tmp_path / "manifests"
    folder.mkdir()
    for name, entries in manifests.items():
        content = lines_of(entries).encode()
        (folder / f"{name}.jsonl{'.gz' if packed else ''}").write_bytes(gzip.compress(content) if packed else content)
    for source in (tmp_path, folder / f"supervisions.jsonl{'.gz' if packed else ''}"):
        collection = read_collection(source)
        assert collection.layout == "lhotse"
        assert [(u.id, u.text, u.speaker, u.start, u.duration) for u in collection.utterances] == [
            ("s-a1", "said a1", "a", 0.0, None),
            ("s-a2", "said a2", "a", 0.5, 0.25),
            ("s-b1", "said b1", "b", 0.0, None),
        ]


def test_lhotse_cuts(tmp_path):
    record(tmp_path, "audio/a1.wav", "audio/b1.wav", seconds=1.0)
    cut = {"id": "c", "start": 0.25, "duration": 0.5, "channel": 0, "type": "MonoCut"}
    entries = [
        {**cut, "recording": recording_of(tmp_path, "a1"), "supervisions": [supervision_of("a1", 0.05, 0.2)]},
        {**cut, "id": "d", "recording": recording_of(tmp_path, "b1"), "supervisions": []},
        {"id": "m", "type": "MixedCut", "tracks": []},
    ]
    write(tmp_path / "cuts_train.jsonl", lines_of(entries))
    collection = read_collection(tmp_path)
    assert [(u.start, u.duration, u.speaker) for u in collection.utterances] == [(0.3, 0.2, "a")]
    assert any("MixedCut" in why for _, why in collection.left_out)
    write(tmp_path / "cuts_train.jsonl", "{broken")
    with pytest.raises(CorpusError, match="line 1"):
        read_collection(tmp_path)


# ----- Hugging Face


def hugging_face(folder, *, parquet=True, embedded=True, splits=("train", "test")):
    pyarrow = pytest.importorskip("pyarrow")
    parquet_files = pytest.importorskip("pyarrow.parquet")

    audio = {"_type": "Audio", "sampling_rate": 8000}
    noted = {"audio": audio, "label": {"_type": "ClassLabel", "names": ["no", "yes"]}}
    for n, split_name in enumerate(splits):
        rows = [
            {
                "audio": {
                    "bytes": sound() if embedded else None,
                    "path": f"{n}{i}.wav" if embedded else str(folder / f"{i}.wav"),
                },
                "label": i % 2 if i < 6 else -1,
                "client_id": f"{split_name}{i % 3}",
            }
            for i in range(7)
        ]
        kind = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
        schema = pyarrow.schema(
            [("audio", kind), ("label", pyarrow.int64()), ("client_id", pyarrow.string())],
            metadata={"huggingface": json.dumps({"info": {"features": noted}})},
        )
        table = pyarrow.Table.from_pylist(rows, schema=schema)
        if parquet:
            (folder / "data").mkdir(parents=True, exist_ok=True)
            parquet_files.write_table(table, folder / "data" / f"{split_name}-00000-of-00001.parquet")
        else:
            (folder / split_name).mkdir(parents=True, exist_ok=True)
            path = folder / split_name / "data-00000-of-00001.arrow"
            with pyarrow.OSFile(str(path), "wb") as file, pyarrow.ipc.new_stream(file, schema) as stream:
                stream.write_table(table)
    return folder


@pytest.mark.parametrize("parquet", [True, False])
def test_hugging_face(tmp_path, parquet):
    source = hugging_face(tmp_path / "set", parquet=parquet)
    collection = read_collection(source)
    assert (collection.layout, collection.task, collection.embedded) == ("huggingface", "classify", True)
    assert collection.labels == {"yes": 6, "no": 6}
    assert len(collection.left_out) == 2  # the rows of no label
    assert {u.speaker for u in split(collection)["test"]} == {"test0", "test1", "test2"}
    with pytest.raises(CorpusError, match="audiornn prep"):
        written_out(collection, source, None)
    made = written_out(collection, source, tmp_path / "made")
    assert all(u.audio.read_bytes() == sound() for u in made.utterances)
    made.utterances[0].audio.unlink()
    kept = made.utterances[1].audio.stat().st_mtime_ns
    written_out(collection, source, tmp_path / "made")  # goes on where it was stopped
    assert made.utterances[0].audio.is_file()
    assert made.utterances[1].audio.stat().st_mtime_ns == kept
    assert [p for p in source.rglob("*") if p.suffix == ".wav"] == []


def test_hugging_face_with_paths(tmp_path):
    record(tmp_path, *(f"{i}.wav" for i in range(7)))
    collection = read_collection(hugging_face(tmp_path, embedded=False, splits=("train",)))
    assert not collection.embedded
    assert texts(collection) == {str(i): ("no", "yes")[i % 2] for i in range(6)}


def test_an_audiofolder_is_a_table(tmp_path):
    for name, n in (("train", 4), ("test", 2)):
        record(tmp_path, *(f"{name}/{i}.wav" for i in range(n)))
        write(
            tmp_path / name / "metadata.csv",
            "file_name,transcription\n" + "".join(f"{i}.wav,say {i}\n" for i in range(n)),
        )
    for layout in ("auto", "huggingface"):
        collection = read_collection(tmp_path, layout=layout)
        assert len(collection.utterances) == 6
        assert len(split(collection)["test"]) == 2


def test_without_pyarrow_one_line_says_so(tmp_path, monkeypatch):
    source = hugging_face(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(AudiornnError, match="pip install pyarrow"):
        read_collection(source)


def test_a_damaged_parquet_file(tmp_path):
    pytest.importorskip("pyarrow")
    write(tmp_path / "train.parquet", "PAR1 nonsense")
    with pytest.raises(CorpusError, match="cannot be read"):
        read_collection(tmp_path)


# ----- arguments


def test_arguments_that_are_none_of_those_known(tmp_path):
    record(tmp_path, "yes/a.wav", "no/a.wav")
    with pytest.raises(SettingsError, match="did you mean 'folders'"):
        read_collection(tmp_path, layout="folder")
    with pytest.raises(SettingsError, match="classify"):
        read_collection(tmp_path, task="classification")
    for layout in set(LAYOUTS) - {"folders"}:
        with pytest.raises(CorpusError) as error:
            read_collection(tmp_path, layout=layout)
        assert "\n" not in str(error.value)


def test_the_task_is_guessed_and_can_be_changed(tmp_path):
    record(tmp_path, *(f"{i}.wav" for i in range(12)))
    write(
        tmp_path / "t.tsv",
        "path\ttext\n" + "".join(f"{i}.wav\t{('on', 'off', 'turn left')[i % 3]}\n" for i in range(12)),
    )
    collection = read_collection(tmp_path)
    assert collection.task == "classify"
    assert "--task transcribe" in said(collection)
    assert read_collection(tmp_path, task="transcribe").task == "transcribe"


# ----- speakers


@pytest.mark.parametrize(
    "name",
    [
        "{word}/clip_{i:03d}.wav",
        "{word}/2024-01-0{k}_{i}.wav",
        "{word}/20240103_10{i:04d}.wav",
        "{word}/{word}_{i}.wav",
        "{word}/part{k}/{i}.wav",
        "{word}/{k}/{i}.wav",
        "{word}/rec-{k}-{i}.wav",
        "{word}/take{k}_{i}.wav",
        "{word}/0386da8{k}-9db7-499c-b4f8-9{i:03d}10beec53c23.wav",
    ],
)
def test_what_is_no_speaker(tmp_path, name):
    record(tmp_path, *(name.format(word=w, i=i, k=i % 4) for w in ("kala", "vesi") for i in range(16)))
    collection = read_collection(tmp_path)
    assert {u.speaker for u in collection.utterances} == {None}
    assert "--speaker" in said(collection)


@pytest.mark.parametrize(
    "name",
    [
        "{word}/{who}_{i}.wav",
        "{word}/x_{who}_{i}.wav",
        "{word}/{i:02d}-{who}.wav",
        "{word}/s0{k}_{i}.wav",
        "{word}/{who}/{i}.wav",
    ],
)
def test_what_is_a_speaker(tmp_path, name):
    people = ("anna", "berta", "carla", "dora")
    record(
        tmp_path, *(name.format(word=w, i=i, k=i % 4, who=people[i % 4]) for w in ("kala", "vesi") for i in range(16))
    )
    collection = read_collection(tmp_path)
    assert len({u.speaker for u in collection.utterances}) == 4
    assert read_collection(tmp_path, **collection.settings).utterances == collection.utterances


def test_chapters_of_a_book_are_no_speakers(tmp_path):
    record(tmp_path, *(f"wavs/BK{i % 5:03d}-{i:04d}.wav" for i in range(20)))
    write(tmp_path / "metadata.csv", "".join(f"BK{i % 5:03d}-{i:04d}|sentence number {i}\n" for i in range(20)))
    assert {u.speaker for u in read_collection(tmp_path).utterances} == {None}


def test_speakers_can_be_chosen(tmp_path):
    record(tmp_path, *(f"room/{who}/{word}_{i}.wav" for who in "ab" for word in ("yes", "no") for i in range(3)))

    def speakers(rule):
        return {u.speaker for u in read_collection(tmp_path, text=r"^(?P<text>[^_]+)", speaker=rule).utterances}

    assert speakers("none") == {None}
    assert speakers("folder") == {"a", "b"}
    assert speakers("folder:1") == {"room"}
    assert speakers("/(?P<speaker>[ab])/") == {"a", "b"}
    assert speakers(r"_(?P<speaker>\d)$") == {"0", "1", "2"}
    for rule, message in (
        ("folder:9", "finds no"),
        ("column:x", "no such column"),
        ("who", "must be"),
        ("(?P<speaker>", "no reg"),
    ):
        with pytest.raises(CorpusError, match=message):
            speakers(rule)


# ----- real recordings


@pytest.mark.parametrize(
    ("name", "layout", "task", "n", "n_speakers", "n_labels"),
    [
        ("wake_word", "folders", "classify", 509, 0, 3),
        ("wake_word/computer", "folders", "classify", 411, 0, 1),
        ("connected_digits", "table", "transcribe", 77, 26, 77),
        ("speech_commands", "folders", "classify", 7120, 783, 36),
        ("an4", "cmu", "transcribe", 1078, 84, None),
        ("fsdd", "names", "classify", 3000, 6, 10),
        ("yesno", "names", "transcribe", 60, 0, 60),
    ],
)
def test_real_recordings(shared_data, name, layout, task, n, n_speakers, n_labels):
    collection = read_collection(shared_data / name)
    assert (collection.layout, collection.task, len(collection.utterances)) == (layout, task, n)
    assert len({u.speaker for u in collection.utterances} - {None}) == n_speakers
    assert n_labels is None or len(collection.labels) == n_labels
    assert collection.left_out == ()
    splits = split(collection)
    assert all(len(own) >= 0.05 * n for own in splits.values())


def test_kaleidoscope_s_table_of_bats(tmp_path):
    record(tmp_path, *(f"in/{i}.wav" for i in range(12)))
    header = "INDIR,FOLDER,IN FILE,CHANNEL,OFFSET,DATE-12,AUTO ID,ALTERNATE 1,MANUAL ID"
    rows = "".join(f"C:/x,in,{i}.wav,0,0,2024-05-11,NoID,,{'NYCNOC' if i % 2 else 'PIPPIP'}\n" for i in range(12))
    write(tmp_path / "id.csv", f"{header}\n{rows}")
    assert Counter(u.text for u in read_collection(tmp_path).utterances) == {"NYCNOC": 6, "PIPPIP": 6}
    other = read_collection(tmp_path, audio="IN FILE", text="AUTO ID")
    assert {u.text for u in other.utterances} == {"NoID"}


def test_labels_of_several_columns(tmp_path):
    record(tmp_path, *(f"{i}.wav" for i in range(12)))
    rows = "".join(f'{i}.wav,owl,"{["tit", "finch"][: i % 3]}"\n' for i in range(12))
    write(tmp_path / "train.csv", f"filename,primary_label,secondary_labels\n{rows}")
    found = read_collection(tmp_path, text="primary_label,secondary_labels")
    assert found.several
    assert Counter(u.text for u in found.utterances) == {"owl": 4, "owl, tit": 4, "owl, tit, finch": 4}
    assert {u.text for u in read_collection(tmp_path).utterances} == {"owl"}
    with pytest.raises(CorpusError, match="has no column 'primary'; did you mean 'primary_label'"):
        read_collection(tmp_path, text="primary")


def test_names_that_begin_with_a_hash_are_no_remarks(tmp_path):
    record(tmp_path, *(f"#x{i}.wav" for i in range(3)))
    write(tmp_path / "t.csv", "".join(f"#x{i}.wav|go {i}\n" for i in range(3)))
    assert len(read_collection(tmp_path).utterances) == 3


def test_a_class_called_test_is_no_split(tmp_path):
    for n, places in enumerate(("train test bus", "train_horn test_tone siren", "words/train words/stop words/test")):
        record(tmp_path / str(n), *(f"{place}/{i}.wav" for place in places.split() for i in range(4)))
        assert len(read_collection(tmp_path / str(n)).labels) == 3
    places = [
        f"{who}/{word}/{i}.wav" for who in ("anna", "bert", "carl") for word in ("train", "test", "stop") for i in "01"
    ]
    record(tmp_path / "people", *places)
    assert set(read_collection(tmp_path / "people").labels) == {"train", "test", "stop"}
    asked = read_collection(tmp_path / "2", text="folder:2")
    assert set(asked.labels) == {"train", "stop", "test"}


def test_a_split_of_one_class_is_none_of_the_others(tmp_path):
    record(tmp_path, *(f"{at}/{i}.wav" for at in ("speech/train", "speech/test", "music", "noise") for i in range(4)))
    assert not read_collection(tmp_path).splits


def test_lists_of_names_that_contradict_each_other_are_no_splits(tmp_path):
    record(tmp_path, *(f"{label}/{i}.wav" for label in "ab" for i in range(4)))
    write(tmp_path / "train.txt", "".join(f"{label}/{i}.wav\n" for label in "ab" for i in range(4)))
    write(tmp_path / "test.txt", "a/0.wav\nb/0.wav\n")
    collection = read_collection(tmp_path)
    assert not collection.splits
    assert "not taken for splits: a/0.wav stands in several" in said(collection)
    write(tmp_path / "train.txt", "".join(f"{label}/{i}.wav\n" for label in "ab" for i in range(1, 4)))
    assert read_collection(tmp_path).splits["a/0"] == "test"


def test_a_corpus_that_moved_is_found_at_its_root_and_below(tmp_path):
    record(tmp_path, "r0.wav", "r1.wav", "sub/s0.wav", "sub/s1.wav")
    names = ("r0.wav", "r1.wav", "sub/s0.wav", "sub/s1.wav")
    for beginning in ("/home/somebody/corpus/", "corpus/", "D:\\rec\\"):
        rows = "".join(f"{beginning}{name}\t{'ab'[i % 2]}\n" for i, name in enumerate(names))
        write(tmp_path / "list.tsv", f"path\tlabel\n{rows}")
        assert len(read_collection(tmp_path).utterances) == 4


@pytest.mark.parametrize("name", ["test_speakers.json", "train_losses.json", "train_log.jsonl"])
def test_what_is_merely_called_after_a_split_that_is_there_hinders_nobody(tmp_path, name):
    record(tmp_path, *(f"{i}.wav" for i in range(4)))
    for part, numbers in (("train", "012"), ("test", "3")):
        lines = "".join(f'{{"audio_filepath": "{i}.wav", "text": "go {i}"}}\n' for i in numbers)
        write(tmp_path / f"{part}_manifest.json", lines)
    write(tmp_path / name, '["s1", "s2"]' if name.endswith("json") else '{"epoch": 1}\n{"epoch"')
    assert set(read_collection(tmp_path).splits.values()) == {"train", "test"}
    write(tmp_path / "test_manifest.json", '{"audio_filepath": "3.wav", "text": "go 3"}\n{"audio_fi')
    with pytest.raises(CorpusError, match=r"test_manifest\.json, line 2"):
        read_collection(tmp_path)
    write(tmp_path / "test_manifest.json", '{"audio_filepath": "3.wav", "te')
    with pytest.raises(CorpusError, match=r"test_manifest\.json: is not JSON"):
        read_collection(tmp_path)


def test_transcripts_of_a_few_beside_a_list_of_all(tmp_path):
    record(tmp_path, *(f"a{i}.wav" for i in range(10)))
    write(tmp_path / "info.txt", "".join(f"a{i} bad quality\n" for i in range(10)))
    for i in range(3):
        write(tmp_path / f"a{i}.txt", f"this is number {i}")
    assert len(read_collection(tmp_path, layout="transcripts").utterances) == 3
    guessed = read_collection(tmp_path)
    assert {u.text for u in guessed.utterances} == {"bad quality"}
    assert "3 recordings have a text beside them, too" in said(guessed)
    written = read_collection(tmp_path, layout=guessed.layout, task=guessed.task, **guessed.settings)
    assert written.utterances == guessed.utterances


@pytest.mark.parametrize("microphone", ["_mic", "-mic"])
def test_other_microphones_beside_the_recording_of_the_transcript(tmp_path, microphone):
    for i in range(3):
        record(tmp_path, f"u{i}.wav", *(f"u{i}{microphone}{n}.wav" for n in (1, 2)))
        write(tmp_path / f"u{i}.txt", f"this is number {i}")
    collection = read_collection(tmp_path)
    assert [u.audio.name for u in collection.utterances] == ["u0.wav", "u1.wav", "u2.wav"]
    assert [why for _, why in collection.left_out] == ["the same utterance by another microphone"] * 6


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hey/r{i}.json", '{{"room": "the living room", "take": "{word} again"}}'),
        ("hey/r{i}.wav.reapeaks.log", "peaks of {word} made"),
        ("hey/r{i}.meta", "microphone phone living room"),
        ("hey/r{i}.info", "r{i}.wav recorded 2024-05-0{i} by phone"),
        ("cut.sh", "sox hey/r{i}.wav take {word} trim"),
        ("attribution.md", "r{i}.wav by {word} Meyer"),
    ],
)
def test_files_beside_recordings_that_are_no_transcripts(tmp_path, name, text):
    words = ("anna", "berta", "carla", "dora")
    record(tmp_path, *(f"hey/r{i}.wav" for i in range(4)))
    for i, word in enumerate(words):
        path = tmp_path / name.format(i=i)
        write(path, (path.read_text() if path.exists() else "") + text.format(i=i, word=word) + "\n")
    assert "may say" not in said(read_collection(tmp_path, task="classify"))
    record(tmp_path, *(f"you/q{i}.wav" for i in range(6)))  # words of which recordings have such files, too
    assert read_collection(tmp_path, task="transcribe").layout == "folders"


def test_texts_of_a_label_s_recordings_are_named(tmp_path):
    record(tmp_path, *(f"hey/r{i}.wav" for i in range(4)))
    for i, word in enumerate(("anna", "berta", "carla", "dora")):
        write(tmp_path / f"hey/r{i}.said", f"tell {word} é", "latin-1")
    assert "may say" not in said(read_collection(tmp_path))
    collection = read_collection(tmp_path, encoding="latin-1")
    assert (collection.layout, collection.task, len(collection.utterances)) == ("folders", "classify", 4)
    assert "hey/r0.said, hey/r1.said, hey/r2.said, … (4 in all) may say what is heard" in said(collection)
    assert "--task transcribe" in said(collection)
    with pytest.raises(CorpusError, match=r"hey/r0\.said.* may say what is heard, but not as it is read"):
        read_collection(tmp_path, task="transcribe", encoding="latin-1")


def test_prompts_beside_a_list_are_not_the_list(tmp_path):
    record(tmp_path, *(f"wav/a{i}.wav" for i in range(4)))
    write(tmp_path / "prompts", "say it\n" * 4)
    write(tmp_path / "etc" / "PROMPTS", "say it\n" * 4)
    write(tmp_path / "transcript.txt", "".join(f"a{i} hello you {i}\n" for i in range(4)))
    for layout in ("auto", "transcripts"):
        assert texts(read_collection(tmp_path, layout=layout))["wav/a2"] == "hello you 2"


def test_archives_beside_recordings_are_not_read(tmp_path, monkeypatch):
    record(tmp_path, *(f"hey/r{i}.wav" for i in range(4)))
    with (tmp_path / "hey.tar").open("wb") as archive:
        archive.truncate(1 << 32)
    asked = []
    read_bytes = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: asked.append(path.name) or read_bytes(path))
    assert read_collection(tmp_path, task="transcribe").layout == "folders"
    assert "hey.tar" not in asked


def test_what_transcripts_may_be_is_said(tmp_path):
    record(tmp_path, "a.wav")
    with pytest.raises(CorpusError, match=r"\.txt, \.lab, \.wav\.trn.*PROMPTS or txt\.done\.data in a folder etc"):
        read_collection(tmp_path, layout="transcripts")
