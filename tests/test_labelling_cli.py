"""Labelled recordings through the command line: new → prep → train → evaluate --tune → label, and what goes wrong."""

import json

import numpy as np
import pytest
import soundfile

from audiornn.corpus.collection import read_collection
from audiornn.corpus.label_files import read_segments
from audiornn.corpus.manifest import Segment
from audiornn.errors import CorpusError
from audiornn.listen.formats import FORMATS
from tests.conftest import PITCHES, RATE, spoken, write_recipe

WORDS = list(PITCHES)


def write_strings(folder, n=12, write_labels=None):
    """Recordings `<speaker>_<n>.wav` of three words, and label files beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for speaker in ("ada", "bob", "cyd", "dan", "eva", "fay"):
        for i in range(n // 3):
            words = [WORDS[(i + j) % 3] for j in range(3)]
            soundfile.write(folder / f"{speaker}_{i}.wav", spoken(words, speaker=speaker, seed=i), RATE)
            rows = [(0.08 + 0.2 * j, 0.2 + 0.2 * j, word) for j, word in enumerate(words)]
            (write_labels or write_audacity)(folder, f"{speaker}_{i}", rows)
    return folder


def write_audacity(folder, name, rows):
    (folder / f"{name}.txt").write_text("".join(f"{a:.6f}\t{b:.6f}\t{label}\n" for a, b, label in rows))


def write_textgrid(folder, name, rows):
    lines = ['File type = "ooTextFile"', '"TextGrid"', "", "0", "0.7", "<exists>", "2"]
    for tier in ("words", "notes"):
        own = rows if tier == "words" else [(0.0, 0.1, "breath")]
        lines += ['"IntervalTier"', f'"{tier}"', "0", "0.7", str(len(own))]
        lines += [f'{a}\n{b}\n"{label}"' for a, b, label in own]
    (folder / f"{name}.TextGrid").write_text("\n".join(lines), encoding="utf-16")


def test_the_whole_road_from_label_files_to_labels(works, run, here):
    write_strings(here / "mine", write_labels=write_textgrid)
    speaker = "(?P<speaker>[a-z]+)_"
    out = works("new", "tones", "--from", here / "mine", "--task", "label", "--label", "words", "--speaker", speaker)
    assert "segments of 3 labels: " in out
    assert "split by speaker" in out
    quick = ["--set", "training.epochs=3", "--set", "training.threads=1", "--set", "model.n_units=16"]
    out = works("prep", "recipes/tones", "--jobs", "1")
    assert "16" in out
    code, _, err = run("train", "tones", "--device", "cpu", *quick, "--set", "training.batch_size=4")
    assert code == 0, err
    report = json.loads(works("evaluate", "--split", "dev", "--format", "json"))
    segments = report["segments"]
    assert {row["label"] for row in segments["labels"]} == set(WORDS)
    assert 0 <= segments["frame_f1"]["interval"][0] <= segments["frame_f1"]["value"] <= 1
    tuned = works("evaluate", "--tune")
    assert "labels so from now on" in tuned
    assert "median" in works("info")
    better = json.loads(works("evaluate", "--split", "dev", "--format", "json"))["segments"]
    mean = [s["frame_f1"]["value"] + s["event_f1"]["value"] for s in (segments, better)]
    assert mean[1] >= mean[0] - 1e-9
    assert "event F1 (macro)" in works("evaluate", "--split", "dev")


def test_labels_in_a_list_that_names_its_recordings(here):
    lines = []
    write_strings(here / "mine", write_labels=lambda folder, name, rows: lines.extend(
        f"SPEAKER {name} 1 {a:.3f} {b - a:.3f} <NA> <NA> {label} <NA> <NA>\n" for a, b, label in rows
    ))  # fmt: skip
    (here / "mine" / "all.rttm").write_text("".join(lines))
    collection = read_collection(here / "mine", task="label")
    assert collection.layout == "labels"
    assert len(collection.utterances) == 24
    assert collection.utterances[0].segments[0] == Segment(0.08, 0.2, "do")
    (here / "mine" / "all.rttm").rename(here / "mine" / "ada_0.rttm")
    assert read_collection(here / "mine", task="label").utterances == collection.utterances
    (here / "mine" / "more.rttm").write_text("SPEAKER ada_0 1 0.1 0.1 <NA> <NA> mi <NA> <NA>\n")
    with pytest.raises(CorpusError, match=r"ada_0\.wav\) with other segments"):
        read_collection(here / "mine", task="label")


def test_labels_that_elan_exported_of_all_documents_into_one_text(here):
    lines = []

    def remember(folder, name, rows):
        for a, b, label in rows:
            times = (f"{t}\t{1000 * t:.0f}" for t in (a, b, b - a))
            lines.append("\t".join(["notes", "", *times, label, f"C:\\t\\{name}.eaf\n"]))

    write_strings(here / "mine", write_labels=remember)
    (here / "mine" / "all.txt").write_text("".join(lines))
    (here / "mine" / "readme.txt").write_text("recorded in June\n")
    collection = read_collection(here / "mine", task="label")
    assert len(collection.utterances) == 24
    assert collection.utterances[0].segments[0] == Segment(0.08, 0.2, "do")


def test_what_new_says_of_label_files_that_will_not_do(fails, here):
    write_strings(here / "mine", write_labels=write_textgrid)
    fails("new", "a", "--from", here / "mine", "--task", "label", said=["holds 2 tiers", "'words', 'notes'"])
    fails("new", "a", "--from", here / "mine", "--task", "label", "--label", "word", said=["did you mean 'words'"])
    (here / "mine" / "ada_0.csv").write_text("0,1,x\n")
    fails("new", "a", "--from", here / "mine", "--task", "label", "--label", "words", said=["has 2 label files"])
    (here / "bare").mkdir()
    soundfile.write(here / "bare" / "a.wav", np.zeros(800), RATE)
    fails("new", "a", "--from", here / "bare", "--task", "label", said=["no recording has a label file"])
    assert fails("new", "a", "--from", write_strings(here / "timed"), said=["--task label"])


# --- bad segments ---

PREPARE = """\
from audiornn.corpus.manifest import Segment, Utterance

def prepare(corpus_dir):
    files = sorted((corpus_dir / "strings").glob("*.wav"))[:6]
    good = [Utterance(f.stem, f, segments=(Segment(0.08, 0.2, "do"),)) for f in files]
    bad = Utterance("bad", files[0], segments=({segments}))
    return {{"train": good[:4] + {train}, "dev": good[4:5] + {dev}, "test": good[5:]}}
"""


@pytest.mark.parametrize(
    ("segments", "said"),
    [
        ('Segment(0.0, 0.1, "do"), Segment(0.04, 0.2, "mi"),', ["'do' 0–0.1 s and 'mi' 0.04–0.2 s overlap"]),
        ('Segment(-0.1, 0.1, "do"),', ["'do' -0.1–0.1 s begins before the recording"]),
        ('Segment(0.1, 0.2, "do"), Segment(0.0, 0.05, "do"),', ["not in order", "sort them"]),
        ('Segment(0.1, 99.0, "do"),', ["'do' 0.1–99 s lies outside its", "milliseconds?"]),
        ('Segment(0.2, 0.1, "do"),', ["ends before it begins"]),
        ('Segment(0.1, float("nan"), "do"),', ["a time that is no number"]),
        ('Segment(0.1, 0.2, " "),', ["has no label"]),
    ],
)
def test_segments_that_cannot_be_are_named(run, world, here, segments, said):
    prepare = PREPARE.format(
        segments=segments, train='[Utterance("m", files[1], segments=(Segment(0.1, 0.2, "mi"),)), bad]', dev="[]"
    )
    folder = write_recipe(
        here / "r",
        "label",
        prepare=prepare,
        toml='task = "label"\n[features]\nsample_rate = 8000\nn_fft = 256\nwin_length = 200\nhop_length = 80\n',
    )
    code, _, err = run("prep", folder, "--corpus", world.corpus, "--data", here / "data", "--jobs", "1")
    assert code == 2
    assert "Traceback" not in err
    for word in ("bad", *said):
        assert word in err
    assert sum("bad" in line for line in err.splitlines()) >= 1


def test_a_label_in_one_split_only_is_an_error_in_dev_and_a_warning_in_train(run, works, world, here):
    toml = 'task = "label"\n[features]\nsample_rate = 8000\nn_fft = 256\nwin_length = 200\nhop_length = 80\n'
    segments = 'Segment(0.1, 0.2, "doo"),'
    folder = write_recipe(
        here / "r", "label", prepare=PREPARE.format(segments=segments, train="[]", dev="[bad]"), toml=toml
    )
    code, _, err = run("prep", folder, "--corpus", world.corpus, "--data", here / "data", "--jobs", "1")
    assert code == 2
    assert "train lacks a label: label 'doo' is not among the 1 the model knows; did you mean 'do'?" in err
    folder = write_recipe(
        here / "s", "label", prepare=PREPARE.format(segments=segments, train="[bad]", dev="[]"), toml=toml
    )
    out = works("prep", folder, "--corpus", world.corpus, "--data", here / "data", "--jobs", "1")
    assert "dev lacks 1 of 2 classes: 'doo'" in out


# --- label ---


def test_labels_of_a_file_in_every_format(works, world, heard_by, here):
    file = world.recording()
    found = json.loads(works("label", file, *heard_by("label"), "--format", "json"))
    assert found["segments"]
    assert {s["label"] for s in found["segments"]} <= set(WORDS)
    lines = works("label", file, *heard_by("label")).splitlines()
    assert [line.split("\t")[2] for line in lines] == [s["label"] for s in found["segments"]]
    for name in ("textgrid", "audacity", "rttm", "ctm", "elan", "csv"):
        works("label", file, *heard_by("label"), "--format", name, "--output-dir", here / name)
        read = read_segments(here / name / f"{file.stem}{FORMATS[name]}")
        assert [(round(s.start, 2), s.label) for s in read] == [
            (round(s["start"], 2), s["label"]) for s in found["segments"]
        ]


def test_settings_of_the_command_line_replace_the_models(works, world, heard_by):
    file = world.recording()
    whole = works("label", file, *heard_by("label")).splitlines()
    assert whole
    assert works("label", file, *heard_by("label"), "--least-segment", "5") == ("\n")
    joined = works("label", file, *heard_by("label"), "--onset", "0.01", "--median", "0.05", "--least-gap", "0.5")
    assert joined != "\n"


def test_a_folder_is_labelled_file_by_file_and_bad_ones_are_counted(run, world, heard_by, here):
    (here / "all").mkdir()
    for name in ("a", "b"):
        (here / "all" / f"{name}.wav").write_bytes(world.recording().read_bytes())
    (here / "all" / "c.wav").write_bytes(b"no audio")
    code, out, err = run("label", here / "all", *heard_by("label"), "--format", "rttm")
    assert code == 1
    assert {line.split()[1] for line in out.splitlines()} == {"a", "b"}
    assert "1 of 3 recordings could not be labelled" in err


def test_standard_input_is_labelled_as_it_comes(works, world, heard_by, through_a_pipe):
    file = world.recording()
    through_a_pipe(file.read_bytes())
    live = works("label", "-", *heard_by("label"))
    assert live == works("label", file, *heard_by("label"), "--look-ahead", "3")
    through_a_pipe(file.read_bytes())
    lines = works("label", "-", *heard_by("label"), "--format", "json").splitlines()
    assert [json.loads(line)["label"] for line in lines] == [line.split("\t")[2] for line in live.splitlines()]


def test_label_says_what_it_cannot_do(fails, run, world, heard_by):
    fails("label", world.recording(), *heard_by("transcribe"), said=["'transcribe'", "audiornn transcribe"])
    fails("label", world.recording(), *heard_by("label"), "--onset", "0.3", "--offset", "0.5", said=["no higher"])
    code, _, err = run("label", world.recording(), *heard_by("label"), "--onset", "2")
    assert code == 2
    assert "--onset" in err


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"segments": [[-0.1, 0.1, "do"]]}, ["bad", "begins before the recording"]),
        ({"segments": [[0.0, 0.1, "do"], [0.04, 0.2, "mi"]]}, ["bad", "overlap"]),
        ({"segments": [[0.1, 99.0, "do"]]}, ["bad", "lies outside its"]),
        ({"segments": [[0.1, "nan", "do"]]}, ["bad", "no number"]),
        ({"segments": [[0.1, 0.2, "doo"]]}, ["bad", "the model has no label 'doo'", "'do'"]),
        ({"text": "do mi"}, ["no utterance has segments", "needs times"]),
    ],
)
def test_a_manifest_whose_segments_cannot_be_is_no_reference(fails, world, heard_by, here, entry, said):
    manifest = here / "mine.jsonl"
    manifest.write_text(json.dumps({"id": "bad", "audio_filepath": str(world.recording()), **entry}) + "\n")
    fails("evaluate", heard_by("label")[1], "--manifest", manifest, said=said)
    if "segments" in entry and not {"overlap", "'do'"} & set(said):  # keywords may overlap, and others may be said
        fails("evaluate", heard_by("label")[1], "--manifest", manifest, "--keyword", "do", said=["bad"])


def test_a_manifest_may_say_that_nothing_holds(works, world, heard_by, here):
    manifest = here / "mine.jsonl"
    manifest.write_text(json.dumps({"audio_filepath": str(world.recording()), "segments": []}) + "\n")
    assert "frame F1" in works("evaluate", heard_by("label")[1], "--manifest", manifest)
