"""Which label file is of which recording: beside it, in a tree like its own, or in lists of a split each."""

import json

import numpy as np
import pytest
import soundfile

from audiornn.corpus.collection import read_collection
from audiornn.corpus.label_files import read_segments
from audiornn.corpus.preparation import open_prepared
from audiornn.corpus.splitting import divide
from audiornn.errors import CorpusError


def recording(path, seconds=2.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(1).normal(0, 0.1, round(8000 * seconds)), 8000)


def labelled(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{start}\t{end}\t{label}\n" for start, end, label in rows))


def segments_of(folder, **options):
    collection = read_collection(folder, task="label", **options)
    return collection, {
        u.audio.relative_to(folder).as_posix(): [(s.start, s.end, s.label) for s in u.segments]
        for u in collection.utterances
    }


def test_a_tree_of_labels_beside_the_tree_of_recordings(tmp_path):
    for speaker in ("s0", "s1", "s2"):
        recording(tmp_path / "wav" / speaker / "u0.wav")
    labelled(tmp_path / "lab" / "s0" / "u0.txt", (0.5, 1.0, "bird"))
    labelled(tmp_path / "lab" / "s1" / "u0.txt", (0.2, 0.4, "frog"))
    collection, found = segments_of(tmp_path)
    assert found == {"wav/s0/u0.wav": [(0.5, 1.0, "bird")], "wav/s1/u0.wav": [(0.2, 0.4, "frog")]}
    assert any("s2/u0.wav" in str(where) for where, _ in collection.left_out)  # and not another one's labels


def test_labels_that_may_be_of_several_recordings_are_refused(tmp_path):
    for speaker in ("s0", "s1"):
        recording(tmp_path / speaker / "u0.wav")
    labelled(tmp_path / "labels" / "u0.txt", (0.5, 1.0, "bird"))
    with pytest.raises(CorpusError, match="2 recordings have its name"):
        read_collection(tmp_path, task="label")


def test_label_files_of_no_recording_s_name_are_named(tmp_path):
    for name in ("r1", "r2"):
        recording(tmp_path / f"{name}.wav")
    for name in ("r1", "r2_final", "r1_old", "zzz"):
        labelled(tmp_path / f"{name}.txt", (0.5, 1.0, "bird"))
    (tmp_path / "README.txt").write_text("these are my recordings\n")
    left_out = dict(read_collection(tmp_path, task="label").left_out)
    assert left_out["r2_final.txt"].endswith("did you mean r2.wav?")
    assert left_out["r1_old.txt"] == left_out["zzz.txt"] == "a label file of no recording's name"
    assert "README.txt" not in left_out
    (tmp_path / "r1.txt").rename(tmp_path / "Label Track.txt")
    with pytest.raises(CorpusError, match=r"there are Label Track\.txt"):
        read_collection(tmp_path, task="label")


def test_what_is_beside_and_holds_no_labels_is_passed_over(tmp_path):
    for name in ("a", "b"):
        recording(tmp_path / f"{name}.wav")
        labelled(tmp_path / f"{name}.tsv", ("start", "end", "label"), (0.5, 1.0, "bird"))
        (tmp_path / f"{name}.txt").write_text("what was said in it\n")
    (tmp_path / "metadata.csv").write_text("file,place\na.wav,north\n")
    collection, found = segments_of(tmp_path)
    assert found == {"a.wav": [(0.5, 1.0, "bird")], "b.wav": [(0.5, 1.0, "bird")]}
    assert any("metadata.csv" in str(where) for where, _ in collection.left_out)
    (tmp_path / "a.tsv").unlink()
    with pytest.raises(CorpusError, match=r"a\.txt"):  # now it is all that there is
        read_collection(tmp_path, task="label")


def test_two_label_files_of_a_recording_are_refused(tmp_path):
    recording(tmp_path / "a.wav")
    labelled(tmp_path / "a.txt", (0.5, 1.0, "bird"))
    labelled(tmp_path / "a.lab", (0.5, 1.2, "bird"))
    with pytest.raises(CorpusError, match="has 2 label files"):
        read_collection(tmp_path, task="label")


def test_label_files_without_a_label_are_told(tmp_path):
    for name in "abc":
        recording(tmp_path / f"{name}.wav")
        (tmp_path / f"{name}.TextGrid").write_text(
            'File type = "ooTextFile"\nObject class = "TextGrid"\n0 2 <exists> 1 "IntervalTier" "notes" 0 2 1 0 2 ""\n'
        )
    with pytest.raises(CorpusError, match="label files of 3 recordings hold no label; is it another tier"):
        read_collection(tmp_path, task="label")


def test_a_list_a_split_keeps_the_splits(tmp_path):
    for i in range(6):
        recording(tmp_path / f"r{i}.wav")
    for split, numbers in (("train", (0, 1, 2)), ("dev", (3,)), ("test", (4, 5))):
        rows = [f"SPEAKER r{i} 1 0.5 0.4 <NA> <NA> anna <NA> <NA>\n" for i in numbers]
        (tmp_path / f"{split}.rttm").write_text("".join(rows))
    collection, found = segments_of(tmp_path)
    assert len(found) == 6
    assert sorted(collection.splits.values()) == ["dev", "test", "test", "train", "train", "train"]
    by_name = {u.audio.stem: collection.splits[u.id] for u in collection.utterances}
    assert (by_name["r3"], by_name["r5"]) == ("dev", "test")


@pytest.mark.parametrize(
    ("form", "bad", "message"),
    [
        ("rttm", "SPEAKER r0 1 x 1.0 <NA> <NA> anna <NA> <NA>\n", r"train\.rttm, line 1: 'x' is no time"),
        ("txt", "r0.wav\t0.5\t0.9\tanna\nr0.wav\t1.0\tx\tanna\n", r"train\.txt, line 2: 'x' is no time"),
        ("tsv", "filename onset offset event_label\nr0.wav 0.1 0.2 anna\n", r"parted as those of (dev|test)\.tsv\?"),
        ("tsv", "filename\tonset\toffset\tevent_label\nr0.wav\t0.1\n", r"train\.tsv, line 2: a start without an end"),
    ],
)
def test_a_list_that_cannot_be_read_does_not_vanish(tmp_path, form, bad, message):
    for i in range(3):
        recording(tmp_path / f"r{i}.wav")
    row = "SPEAKER {} 1 0.5 0.4 <NA> <NA> anna <NA> <NA>\n" if form == "rttm" else "{}.wav\t0.5\t0.9\tanna\n"
    head = "" if form != "tsv" else "filename\tonset\toffset\tevent_label\n"
    for split, name in (("train", "r0"), ("dev", "r1"), ("test", "r2")):
        (tmp_path / f"{split}.{form}").write_text(head + row.format(name))
    (tmp_path / "classes.csv").write_text("index,class\n0,anna\n")  # no list, and no reason to lose the splits
    (tmp_path / "test_durations.tsv").write_text("filename\tduration\nr2.wav\t2.0\n")
    collection, _ = segments_of(tmp_path)
    assert sorted(collection.splits.values()) == ["dev", "test", "train"]
    (tmp_path / f"train.{form}").write_text(bad)
    with pytest.raises(CorpusError, match=message):
        segments_of(tmp_path)
    collection, found = segments_of(tmp_path, skip_bad=True)
    assert found.keys() == {"r1.wav", "r2.wav"}
    assert dict(collection.left_out)[f"train.{form}"].startswith("cannot be read")


def test_lists_of_what_is_said_and_by_whom(tmp_path):
    rows = ""
    for i in range(2):
        recording(tmp_path / "audio" / f"m{i}.wav")
        rows += "".join(
            f"m{i} 1 {who} {t} {t + 0.5} <o,f0,male> {who} said {t}\n" for who, t in (("ann", 0.1), ("bob", 1))
        )
    (tmp_path / "all.stm").write_text(rows)
    collection = read_collection(tmp_path, task="transcribe")
    assert collection.layout == "stretches"
    assert {(u.text.split()[0], u.speaker) for u in collection.utterances} == {("ann", "ann"), ("bob", "bob")}
    (tmp_path / "all.stm").write_text(rows + "m1 1 x 1.0\n")
    with pytest.raises(CorpusError, match=r"all\.stm, line 5"):
        read_collection(tmp_path, task="transcribe")


def test_timit_s_sentences_are_transcripts_where_no_tier_is_named(tmp_path):
    for name in ("TRAIN/DR1/FASH/SX1", "TRAIN/DR1/FBBH/SX2", "TEST/DR1/FCLC/SX3"):
        recording(tmp_path / f"{name}.WAV")
        (tmp_path / f"{name}.PHN").write_text("0 1000 h#\n1000 9000 sh\n")
        (tmp_path / f"{name}.WRD").write_text("1000 9000 she\n")
        (tmp_path / f"{name}.TXT").write_text("0 16000 She had it.\n")
    collection = read_collection(tmp_path, task="transcribe")
    assert {u.text for u in collection.utterances} == {"She had it."}
    assert sorted(collection.splits.values()) == ["test", "train", "train"]
    words = read_collection(tmp_path, task="transcribe", text="wrd")
    assert {u.text for u in words.utterances} == {"she"}
    assert [s.label for s in read_segments(tmp_path / "TEST/DR1/FCLC/SX3.PHN")] == ["h#", "sh"]  # the rate of a .WAV


def test_folders_of_splits_are_kept(tmp_path):
    for split in ("train", "dev", "test"):
        for i in range(2):
            recording(tmp_path / split / f"{split}{i}.wav")
            labelled(tmp_path / split / f"{split}{i}.txt", (0.5, 1.0, "bird"))
    collection, _ = segments_of(tmp_path)
    assert all(u.id.split("/")[0] == collection.splits[u.id] for u in collection.utterances)


def test_labels_of_its_own_go_before_a_list(tmp_path):
    for name in ("a", "b"):
        recording(tmp_path / f"{name}.wav")
    labelled(tmp_path / "a.txt", (0.5, 1.0, "bird"))
    rows = [f"SPEAKER {name} 1 0.1 0.2 <NA> <NA> frog <NA> <NA>\n" for name in ("a", "b")]
    (tmp_path / "all.rttm").write_text("".join(rows))
    assert {n: [s[2] for s in found] for n, found in segments_of(tmp_path)[1].items()} == {
        "a.wav": ["bird"],
        "b.wav": ["frog"],
    }


def test_stretches_without_a_label_are_counted(tmp_path):
    recording(tmp_path / "a.wav")
    labelled(tmp_path / "a.txt", (0.1, 0.3, "bird"), (0.5, 1.0, ""), (1.1, 1.2, "frog"))
    collection, found = segments_of(tmp_path)
    assert len(found["a.wav"]) == 2
    assert any("1 stretches without a label" in line for line in collection.understood)


# --- several labels at once ---


@pytest.mark.parametrize("as_lists", [False, True, "in a table"])
def test_labels_parted_by_commas_are_several_and_none_is_one_of_them(works, run, here, as_lists):
    draw, rows = np.random.default_rng(1), []
    for i in range(32):
        recording(here / "mine" / f"r{i}.wav", 0.5)
        rows.append((f"r{i}.wav", [label for label in ("dog", "cat", "rain") if draw.random() < 0.4]))
    if as_lists == "in a table":  # as Python prints them
        lines = ["file,labels", *(f'{name},"{labels}"' for name, labels in rows)]
        (here / "mine" / "meta.csv").write_text("\n".join(lines))
    elif as_lists:
        lines = [json.dumps({"audio_filepath": name, "labels": labels}) for name, labels in rows]
        (here / "mine" / "meta.jsonl").write_text("\n".join(lines))
    else:
        lines = ["file,labels", *(f'{name},"{", ".join(labels)}"' for name, labels in rows)]
        (here / "mine" / "meta.csv").write_text("\n".join(lines))
    n_none = sum(not labels for _, labels in rows)
    assert n_none
    out = works("new", "tags", "--from", here / "mine")
    assert f"classify, several labels: {sum(len(labels) > 1 for _, labels in rows)} recordings" in out
    assert f"{n_none} none" in out
    assert "that train lacks" not in out  # of labels, not of what stands together
    assert "cat, rain" not in out.partition("know")[2]
    assert "several = true" in (here / "recipes/tags/recipe.toml").read_text()
    out = works("prep", "recipes/tags", "--jobs", "1")
    manifests = [(here / f"data/tags/{split}.jsonl").read_text() for split in ("train", "dev", "test")]
    prepared = [json.loads(line) for manifest in manifests for line in manifest.splitlines()]
    assert sorted(u["text"] for u in prepared) == sorted(", ".join(labels) for _, labels in rows)
    quick = ["training.epochs=1", "training.threads=1", "model.n_units=8", "model.front_channels=4"]
    code, _, err = run("train", "tags", "--device", "cpu", *(word for s in quick for word in ("--set", s)))
    assert code == 0, err
    assert set(json.loads(works("transcribe", here / "mine" / "r0.wav", "--format", "json"))["probabilities"]) == {
        "dog",
        "cat",
        "rain",
    }


def test_commas_of_transcripts_are_no_labels(tmp_path):
    texts = ["yes, please", "no, thank you", "well, go on", "stop"]
    for i, _ in enumerate(texts):
        recording(tmp_path / f"r{i}.wav")
    (tmp_path / "meta.csv").write_text("file,text\n" + "".join(f'r{i}.wav,"{t}"\n' for i, t in enumerate(texts)))
    collection = read_collection(tmp_path)
    assert not collection.several
    assert collection.task == "transcribe"


def test_segments_that_overlap_are_several_labels(works, here):
    for i in range(12):
        recording(here / "mine" / f"r{i}.wav")
        labelled(here / "mine" / f"r{i}.txt", (0.2, 1.0, "anna"), (0.8, 1.5, "bob"))
    out = works("new", "talk", "--from", here / "mine", "--task", "label")
    assert "labels overlap in 12 recordings" in out
    toml = (here / "recipes/talk/recipe.toml").read_text()
    assert "several = true" in toml
    assert "balanced" not in toml
    works("prep", "recipes/talk", "--jobs", "1")


def test_a_comma_is_part_of_a_segments_label_even_where_labels_overlap(works, here):
    for i in range(12):
        recording(here / "mine" / f"r{i}.wav")
        labelled(here / "mine" / f"r{i}.txt", (0.2, 1.0, "yes, please"), (0.8, 1.5, "cough"))
    works("new", "talk", "--from", here / "mine", "--task", "label")
    works("prep", "recipes/talk", "--jobs", "1")
    prepared = open_prepared(here / "data/talk")
    assert prepared.vocabulary.symbols == ("cough", "yes, please")
    assert prepared.vocabulary.label_id("yes, please") == 1
    with pytest.raises(CorpusError, match="did you mean 'yes, please'"):
        prepared.vocabulary.label_id("yes, pleas")


def test_labels_of_one_name_in_two_tiers_are_told(tmp_path):
    rows = ["start,end,label,tier", "0.2,0.8,a,words", "0.2,0.4,a,phones", "1.1,1.6,car,words"]
    for i in range(2):
        recording(tmp_path / f"r{i}.wav")
        (tmp_path / f"r{i}.csv").write_text("\n".join(rows))
    guessed = read_collection(tmp_path, task="label", text="*").guessed
    assert sum("'a' of 'words' and 'phones' is one label, whatever its tier" in line for line in guessed) == 1
    assert not any("whatever" in line for line in read_collection(tmp_path, task="label", text="words").guessed)


def test_a_tier_is_not_asked_of_files_that_have_none(tmp_path):
    for name in ("a", "b"):
        recording(tmp_path / f"{name}.wav")
    labelled(tmp_path / "a.txt", (0.5, 1.0, "bird"))
    (tmp_path / "b.lab").write_text("5000000 10000000 bird\n")
    with pytest.raises(
        CorpusError, match=r"a\.txt: has no tiers.*--label 'nope'.*nor has any other.*leave --label out"
    ):
        read_collection(tmp_path, task="label", text="nope")
    assert len(read_collection(tmp_path, task="label", text="*").utterances) == 2
    (tmp_path / "b.lab").unlink()
    (tmp_path / "b.csv").write_text("start,end,label,call\n0.5,1,x,bird\n")
    collection = read_collection(tmp_path, task="label", text="call")
    assert collection.labels == {"bird": 2}
    assert any("no tiers in a.txt, so that --label names nothing there" in line for line in collection.guessed)


def test_a_column_of_a_list_may_say_whether_its_label_holds(tmp_path):
    for name in ("a", "b"):
        recording(tmp_path / f"{name}.wav")
    rows = "a.wav,0,1,1,2\na.wav,1,2,0,1\nb.wav,0,1,False,0\n"
    (tmp_path / "clips.csv").write_text(f"file,start_time,end_time,bird,n\n{rows}")
    collection, found = segments_of(tmp_path, text="bird")
    assert found == {"a.wav": [(0.0, 1.0, "bird")], "b.wav": []}
    assert any("'bird' says whether bird holds" in line for line in collection.guessed)
    assert read_collection(tmp_path, task="label", text="n").labels == {"0": 1, "1": 1, "2": 1}
    (tmp_path / "clips.csv").write_text(f"file,start_time,end_time,label,n\n{rows}")
    assert read_collection(tmp_path, task="label", text="label").labels == {"0": 1, "1": 1, "False": 1}


def test_whether_a_column_says_that_its_label_holds_is_of_all_lists(tmp_path):
    for name in ("a", "b"):
        recording(tmp_path / f"{name}.wav")
    (tmp_path / "train.csv").write_text("file,start,end,n\na.wav,0,1,1\na.wav,1,2,0\n")
    (tmp_path / "test.csv").write_text("file,start,end,n\nb.wav,0,1,0\nb.wav,1,2,0\n")  # it never holds
    collection, found = segments_of(tmp_path, text="n")
    assert found == {"a.wav": [(0.0, 1.0, "n")], "b.wav": []}
    assert sum("'n' says whether n holds" in line for line in collection.guessed) == 1
    (tmp_path / "train.csv").write_text("file,start,end,n\na.wav,0,1,1\na.wav,1,2,2\n")
    assert read_collection(tmp_path, task="label", text="n").labels == {"0": 2, "1": 1, "2": 1}


def test_tiers_that_begin_so_beside_files_without_any(tmp_path):
    for name in ("a", "b"):
        recording(tmp_path / f"{name}.wav")
    labelled(tmp_path / "a.txt", (0.5, 1.0, "bird"))
    with pytest.raises(CorpusError, match=r"a\.txt: has no tiers.*leave --label out"):
        read_collection(tmp_path, task="label", text="tx@*")
    (tmp_path / "b.csv").write_text("start,end,label,tier\n0.5,1,bird,tx@ann\n")
    collection = read_collection(tmp_path, task="label", text="tx@*")
    assert collection.labels == {"bird": 2}
    assert any("no tiers in a.txt" in line for line in collection.guessed)


def test_a_manifest_of_segments_is_a_source(works, fails, here):
    lines = []
    for i in range(12):
        recording(here / "mine" / f"r{i}.wav")
        segments = [[0.2, 1.0, "bird"]] if i % 4 else []
        lines.append(json.dumps({"audio_filepath": f"r{i}.wav", "segments": segments}))
    manifest = here / "mine" / "all.jsonl"
    manifest.write_text("\n".join(lines) + "\n")
    out = works("new", "calls", "--from", manifest, "--task", "label")
    assert "a manifest of segments: all.jsonl" in out
    assert "9 segments of 1 labels: bird" in out
    works("prep", "recipes/calls", "--jobs", "1")
    manifest.write_text("\n".join(json.dumps({"audio_filepath": f"r{i}.wav", "text": "a"}) for i in range(12)))
    fails("new", "texts", "--from", manifest, "--task", "label", said=["none of its lines has segments"])


def grid(begin, end, *intervals):
    """A TextGrid in the short text format, of one tier."""
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        begin,
        end,
        "<exists>",
        1,
        '"IntervalTier"',
        '"x"',
    ]
    lines += [begin, end, len(intervals), *(cell for a, b, label in intervals for cell in (a, b, f'"{label}"'))]
    return "\n".join(map(str, lines)) + "\n"


def test_the_times_of_a_part_of_a_longer_recording_are_moved(tmp_path):
    for name in ("part", "whole", "late"):
        recording(tmp_path / f"{name}.wav")
    (tmp_path / "part.TextGrid").write_text(grid(12.5, 14.5, (12.5, 13, ""), (13, 13.5, "bird"), (13.5, 14.5, "")))
    (tmp_path / "whole.TextGrid").write_text(grid(0, 2, (0, 1, ""), (1, 2, "frog")))
    (tmp_path / "late.TextGrid").write_text(grid(0.5, 2, (0.5, 1, "frog"), (1, 2, "")))  # as its labels begin
    collection, found = segments_of(tmp_path)
    recording(tmp_path / "odd.wav")  # its tier begins at 0, whatever the file's head says
    (tmp_path / "odd.TextGrid").write_text(
        grid(0, 2, (0, 1, "frog"), (1, 2, "")).replace("\n0\n2\n<", "\n12.5\n14.5\n<")
    )
    assert segments_of(tmp_path)[1]["odd.wav"] == [(0, 1, "frog")]
    (tmp_path / "odd.TextGrid").write_text(grid(-1, 1, (-1, 0, "frog"), (0, 1, "")))
    with pytest.raises(CorpusError, match="begins at -1 s, before the recording"):
        segments_of(tmp_path)
    (tmp_path / "odd.wav").unlink()
    assert found == {"part.wav": [(0.5, 1, "bird")], "whole.wav": [(1, 2, "frog")], "late.wav": [(0.5, 1, "frog")]}
    assert sum("of 1 the times begin later" in line for line in collection.understood) == 1


def test_a_part_that_praat_extracts_with_its_times_preserved(tmp_path):
    praat = pytest.importorskip("parselmouth.praat", reason="praat-parselmouth is not installed")
    whole = praat.call("Create TextGrid", 0.0, 10.0, "speech empty", "")
    for time in (4.5, 5.25):
        praat.call(whole, "Insert boundary", 1, time)
    praat.call(whole, "Set interval text", 1, 2, "bird")
    part = praat.call(whole, "Extract part", 4.0, 6.0, True)
    praat.call(part, "Save as text file", str(tmp_path / "part.TextGrid"))
    recording(tmp_path / "part.wav")
    _, found = segments_of(tmp_path, text="speech")
    assert found == {"part.wav": [(0.5, 1.25, "bird")]}


ONE, TWO, THREE = ("the", "a", "no"), ("cat", "dog", "hen", "fox"), ("sat", "ran", "ate", "hid", "fed")


def said_on(folder, *names, n=40, ending="txt"):
    """Tapes of n sentences each, a second apart."""
    for name in names:
        recording(folder / f"{name}.wav", seconds=n)
        labelled(
            folder / f"{name}.{ending}",
            *((i, i + 0.8, f"{ONE[i % 3]} {TWO[i // 3 % 4]} {THREE[i // 12 % 5]}") for i in range(n)),
        )


def test_stretches_with_texts_are_utterances(tmp_path):
    said_on(tmp_path, "a", "b")
    collection = read_collection(tmp_path, task="transcribe")
    assert (collection.layout, collection.task, len(collection.utterances)) == ("stretches", "transcribe", 80)
    first = collection.utterances[1]
    assert (first.id, first.text, first.start, first.duration) == ("a@1", "a cat sat", 1.0, 0.8)
    assert not first.segments
    again = read_collection(tmp_path, layout="stretches", task="transcribe")
    assert again.utterances == collection.utterances


def test_a_tier_is_named_and_silence_is_none(tmp_path):
    recording(tmp_path / "a.wav", 9.0)
    (tmp_path / "a.csv").write_text(
        "tier,start,end,label\nsaid,0,1,oh no\nsaid,2,3,\ngloss,0,1,dear me\nsaid,4,5,yes\n"
    )
    collection = read_collection(tmp_path, task="transcribe", layout="stretches", text="said")
    assert [(u.text, u.start) for u in collection.utterances] == [("oh no", 0.0), ("yes", 4.0)]
    with pytest.raises(CorpusError, match="--label names one"):
        read_collection(tmp_path, task="transcribe", layout="stretches")


def eaf_of(tiers):
    """An ELAN file of tiers with one annotation each: (start, end, text), the participant after a tier's @."""
    slots, annotated = [], []
    for i, (tier, (start, end, text)) in enumerate(tiers.items()):
        for side, time in (("a", start), ("b", end)):
            slots.append(f'<TIME_SLOT TIME_SLOT_ID="{side}{i}" TIME_VALUE="{1000 * time}"/>')
        annotated.append(
            f'<TIER TIER_ID="{tier}" PARTICIPANT="{tier.partition("@")[2]}"><ANNOTATION><ALIGNABLE_ANNOTATION '
            f'ANNOTATION_ID="x{i}" TIME_SLOT_REF1="a{i}" TIME_SLOT_REF2="b{i}"><ANNOTATION_VALUE>{text}'
            "</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>"
        )
    return f"<ANNOTATION_DOCUMENT><TIME_ORDER>{''.join(slots)}</TIME_ORDER>{''.join(annotated)}</ANNOTATION_DOCUMENT>"


def test_tiers_that_begin_alike_are_a_speaker_each(tmp_path):
    recording(tmp_path / "a.wav", 9.0)
    (tmp_path / "a.eaf").write_text(
        eaf_of({"tx@ann": (0, 1, "oh no"), "gl@ann": (0, 1, "dear me"), "tx@bob": (4, 5, "yes")})
    )
    collection = read_collection(tmp_path, task="transcribe", text="tx@*")
    assert [(u.text, u.start) for u in collection.utterances] == [("oh no", 0.0), ("yes", 4.0)]
    with pytest.raises(CorpusError, match=r"no tier 'sp\*'"):
        read_collection(tmp_path, task="transcribe", text="sp*")
    with pytest.raises(CorpusError, match=r"those of a kind \('tx@\*'\), or all"):
        read_collection(tmp_path, task="transcribe")
    assert segments_of(tmp_path, text="tiers:tx@*")[1] == {"a.wav": [(0.0, 1.0, "tx@ann"), (4.0, 5.0, "tx@bob")]}


@pytest.mark.parametrize("second", [("cid", "dan"), ("ann", "bob")])
def test_elan_s_participants_speak_unless_one_recording_has_them_all(tmp_path, second):
    for name, people in (("a", ("ann", "bob")), ("b", second)):
        recording(tmp_path / f"{name}.wav", 9.0)
        tiers = {f"tx@{who}": (start, start + 1, "oh no") for start, who in zip((0, 4), people, strict=True)}
        (tmp_path / f"{name}.eaf").write_text(eaf_of(tiers))
    collection = read_collection(tmp_path, task="transcribe", text="tx@*")
    are_roles = second == ("ann", "bob")
    assert {u.speaker for u in collection.utterances} == ({None} if are_roles else {"ann", "bob", "cid", "dan"})
    assert any("not taken for speakers" in line for line in collection.guessed) == are_roles
    assert not any("is one label" in line for line in collection.guessed), "two may say the same"


@pytest.mark.parametrize("ending", [".txt", ".lab", "trans.txt"])
def test_transcripts_go_before_what_was_aligned_to_them(tmp_path, ending):
    for name in ("a", "b", "c"):
        recording(tmp_path / f"{name}.wav")
        labelled(tmp_path / f"{name}.tsv", ("start", "end", "label"), (0.5, 1.0, "w"), (1.0, 1.5, "ow"))
        if ending[0] == ".":
            (tmp_path / f"{name}{ending}").write_text(f"what was said in {name}\n")
    if ending[0] != ".":
        (tmp_path / "all.trans.txt").write_text("".join(f"{name} what was said in {name}\n" for name in "abc"))
    assert {u.text for u in read_collection(tmp_path, task="transcribe").utterances} == {
        f"what was said in {name}" for name in "abc"
    }


def test_a_folder_of_one_word_stays_that_word_where_it_was_aligned(tmp_path):
    for i in range(6):
        recording(tmp_path / "yes" / f"{i}.wav")
        labelled(tmp_path / "yes" / f"{i}.tsv", ("start", "end", "label"), (0.5, 1.0, "yes"))
    assert set(read_collection(tmp_path).labels) == {"yes"}


def test_what_two_tiers_say_of_one_stretch_is_refused(tmp_path):
    recording(tmp_path / "a.wav", 9.0)
    (tmp_path / "a.csv").write_text("tier,start,end,label\ntx,0,1,oh no\ngl,0,1,dear me\ntx,4,5,yes\n")
    with pytest.raises(CorpusError, match=r"from 0 to 1 s it says 'dear me' and 'oh no'; --label names the tier"):
        read_collection(tmp_path, task="transcribe", text="*")
    assert len(read_collection(tmp_path, task="transcribe", text="t*").utterances) == 2


def test_words_in_folders_stay_words_where_they_were_aligned(tmp_path):
    for i in range(6):
        word = ("yes", "no")[i % 2]
        recording(tmp_path / word / f"{i}.wav")
        labelled(tmp_path / word / f"{i}.csv", ("start", "end", "label"), (0.5, 1.0, word))
    collection = read_collection(tmp_path)
    assert (collection.layout, collection.task) == ("folders", "classify")


def test_labels_that_repeat_are_a_question_not_one_class(tmp_path):
    for name in ("a", "b"):
        recording(tmp_path / f"{name}.wav", 20.0)
        labelled(tmp_path / f"{name}.tsv", ("start", "end", "label"), *((i, i + 0.5, "chirp") for i in range(9)))
    with pytest.raises(CorpusError, match="--task label"):
        read_collection(tmp_path)
    assert read_collection(tmp_path, layout="stretches").task == "classify"


@pytest.mark.parametrize("n_tapes", [1, 3])
def test_stretches_of_a_few_tapes_are_in_all_splits(tmp_path, n_tapes):
    said_on(tmp_path, *"abc"[:n_tapes], n=60)
    collection = read_collection(tmp_path, task="transcribe")
    division = divide(collection)
    n = len(collection.utterances)
    assert division.shared_speakers
    assert sum(map(len, division.splits.values())) == n
    for name in ("dev", "test"):
        assert 0.05 * n < len(division.splits[name]) < 0.2 * n
    assert any("too few to hold any out" in line for line in division.lines)


def test_two_who_speak_at_once_and_copies_stay_together(tmp_path):
    recording(tmp_path / "a.wav", 80.0)
    rows = [
        (2 * i + at, 2 * i + at + 1.2, f"the {who} {ONE[i % 3]}")
        for i in range(40)
        for at, who in ((0, "a"), (0.5, "b"))
    ]
    labelled(tmp_path / "a.txt", *rows)
    collection = read_collection(tmp_path, task="transcribe")
    first = {u.start: u.id for u in collection.utterances}
    copies = {first[2.0 * i]: f"copy {i // 2}" for i in range(20)}
    for together in ({}, copies):
        splits = divide(collection, together=together).splits
        where = {u.start: name for name, own in splits.items() for u in own}
        assert all(where[2.0 * i] == where[2 * i + 0.5] for i in range(40))
        assert len(set(where.values())) == 3
        assert not together or all(where[4.0 * i] == where[4.0 * i + 2] for i in range(10))


@pytest.mark.parametrize("length", [1.0, 1.2])
def test_a_talk_is_divided_where_turns_touch_and_where_they_overlap(tmp_path, length):
    recording(tmp_path / "a.wav", 120.0)
    labelled(tmp_path / "a.txt", *((i, i + length, f"{ONE[i % 3]} {TWO[i // 3 % 4]}") for i in range(100)))
    splits = divide(read_collection(tmp_path, task="transcribe")).splits
    assert 5 <= len(splits["test"]) <= 20
    assert 5 <= len(splits["dev"]) <= 20


def test_where_nothing_can_be_held_out_it_is_said(tmp_path):
    recording(tmp_path / "a.wav", 120.0)
    labelled(tmp_path / "a.txt", *((i, i + 1, f"{'abcdefghij'[i // 10]}{'klmnopqrst'[i % 10]}") for i in range(100)))
    division = divide(read_collection(tmp_path, task="classify", layout="stretches"))
    assert not division.splits["test"]
    assert any("all are for training" in line for line in division.lines)


def test_many_recordings_are_held_out_whole(tmp_path):
    said_on(tmp_path, *"abcdefghij", n=8)
    splits = divide(read_collection(tmp_path, task="transcribe")).splits
    tapes = {name: {u.audio.name for u in own} for name, own in splits.items()}
    assert not tapes["train"] & tapes["test"]
    assert tapes["test"]


def test_a_table_beside_a_recording_that_names_another_is_the_other_s(tmp_path):
    for name in ("a", "b"):
        recording(tmp_path / f"{name}.wav")
    (tmp_path / "a.csv").write_text("file,start,end,label\nb.wav,0.5,1,tit\n")
    assert segments_of(tmp_path)[1] == {"b.wav": [(0.5, 1.0, "tit")]}
    (tmp_path / "a.csv").write_text("file,start,end,label\nsite 7,0.5,1,tit\n")  # a name of nothing that is here
    assert segments_of(tmp_path)[1] == {"a.wav": [(0.5, 1.0, "tit")]}


def test_lists_in_texts_and_lists_that_name_nothing(tmp_path):
    for name in ("a", "b"):
        recording(tmp_path / f"{name}.wav")
    rows = "a.wav\t0.5\t1\tdog\nb.wav\t0.5\t1\tcat\n"
    (tmp_path / "meta.txt").write_text(rows)
    assert segments_of(tmp_path)[1] == {"a.wav": [(0.5, 1.0, "dog")], "b.wav": [(0.5, 1.0, "cat")]}
    (tmp_path / "meta.txt").unlink()
    header = "site,start,end,label\n"
    (tmp_path / "all.csv").write_text(header + rows.replace("\t", ","))
    with pytest.raises(CorpusError, match=r"all\.csv is no recording's by its name, and no column names one"):
        read_collection(tmp_path, task="label")
    assert len(segments_of(tmp_path, audio="site")[1]) == 2
    (tmp_path / "a.csv").write_text("start,end,label\n0,1,dog\n")
    (tmp_path / "b_new.csv").write_text("start,end,label\n0,1,dog\n")
    collection, found = segments_of(tmp_path)
    assert list(found) == ["a.wav"]
    assert dict(collection.left_out)["b_new.csv"].endswith("did you mean b.wav?")


def test_label_files_that_are_not_read_are_named(tmp_path):
    for name in ("a", "b"):
        recording(tmp_path / f"{name}.wav")
    (tmp_path / "a.trs").write_text("<Trans>")
    with pytest.raises(CorpusError, match=r"a\.trs is of a sort that is not read; save it as a TextGrid"):
        read_collection(tmp_path, task="label")
    labelled(tmp_path / "b.txt", (0.5, 1.0, "bird"))
    assert "not read" in dict(read_collection(tmp_path, task="label").left_out)["a.trs"]


def test_timit_s_phones_and_words_are_tiers_of_a_recording(tmp_path):
    recording(tmp_path / "dr1" / "sa1.wav")
    for ending, label in (("phn", "sh"), ("wrd", "she"), ("txt", "She had your suit")):
        (tmp_path / "dr1" / f"sa1.{ending}").write_text(f"800 8000 {label}\n")
    for tier, label in (("phn", "sh"), ("wrd", "she")):
        assert segments_of(tmp_path, text=tier)[1] == {"dr1/sa1.wav": [(0.1, 1.0, label)]}
    with pytest.raises(CorpusError, match="holds 2 tiers, 'phn', 'wrd'"):
        read_collection(tmp_path, task="label")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.TextGrid", "lé".encode("latin-1"), "is not UTF-8"),
        ("a.TextGrid", b"ooBinaryFile", "Praat's binary format"),
        ("a.eaf", b"<ANNOTATION_DOCUMENT>", "not well-formed XML"),
        ("a.csv", b"start,end,gloss,ipa\n0,1,x,y\n", "no column of labels"),
        ("a.cha", b"@UTF8\n*ANN:\tno time .\n", "no line of a speaker has a time"),
        ("a.trs", b"<Trans>", r"no transcripts were found \(there are a\.trs\)"),
        (
            "all.rttm",
            b"SPEAKER a 1 0 1 <NA> <NA> ann <NA> <NA>\n",
            r"no transcripts were found \(there are all\.rttm\)",
        ),
    ],
)
def test_transcripts_that_cannot_be_read_are_no_folder_s_name(tmp_path, name, content, said):
    recording(tmp_path / "a.wav")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=said):
        read_collection(tmp_path, task="transcribe")


def test_subtitles_are_what_is_said_and_when(tmp_path):
    recording(tmp_path / "a.wav")
    (tmp_path / "a.srt").write_text("1\n00:00:00,500 --> 00:00:01,000\nhello\n")
    (utterance,) = read_collection(tmp_path, task="transcribe").utterances
    assert (utterance.text, utterance.start, utterance.duration) == ("hello", 0.5, 0.5)
    (tmp_path / "a.srt").rename(tmp_path / "a.txt")
    (utterance,) = read_collection(tmp_path, task="transcribe").utterances
    assert (utterance.text, utterance.start, utterance.duration) == ("hello", 0.5, 0.5)


def test_names_that_are_no_recordings_are_passed_over_in_a_recording_s_own_table(tmp_path):
    for name in ("a", "b", "a.mp3"):
        recording(tmp_path / f"{name}.wav")
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("recording_id,start,end,label\n17,0,1,dog\n18,1,2,cat\n")
    labelled(tmp_path / "a.mp3.txt", (0.5, 1.0, "bird"))
    found = segments_of(tmp_path)[1]
    assert [label for *_, label in found["a.wav"]] == ["dog", "cat"]
    assert [label for *_, label in found["a.mp3.wav"]] == ["bird"]
    (tmp_path / "c.wav.csv").write_text("start,end,label\n0,1,frog\n")
    recording(tmp_path / "c.wav")
    assert segments_of(tmp_path)[1]["c.wav"] == [(0.0, 1.0, "frog")]


def test_a_list_of_clock_times_without_a_header(tmp_path):
    for name in ("a", "b"):
        recording(tmp_path / f"{name}.wav")
    (tmp_path / "all.csv").write_text("a,0:00:00.5,0:00:01.5,dog\nb,0:00:00.5,0:00:01.5,cat\n")
    assert segments_of(tmp_path)[1] == {"a.wav": [(0.5, 1.5, "dog")], "b.wav": [(0.5, 1.5, "cat")]}


def test_timit_s_phones_beside_other_labels_or_a_damaged_recording(tmp_path):
    for name in ("a", "b"):
        recording(tmp_path / "wav" / f"{name}.wav")
        (tmp_path / "lab").mkdir(exist_ok=True)
        (tmp_path / "lab" / f"{name}.phn").write_text("0 8000 sh\n")  # a tree of its own has its recording's rate, too
    assert segments_of(tmp_path)[1]["wav/a.wav"] == [(0.0, 1.0, "sh")]
    (tmp_path / "wav" / "b.wav").write_bytes(b"RIFF of nothing")
    with pytest.raises(CorpusError, match=r"b\.phn: its times are samples, and the rate is not known"):
        read_collection(tmp_path, task="label")
    labelled(tmp_path / "lab" / "a.csv", (0.5, 1.0, "bird"))
    (tmp_path / "lab" / "a.csv").write_text("start,end,label\n0,1,frog\n")
    with pytest.raises(CorpusError, match="has 2 label files"):
        read_collection(tmp_path, task="label")


# --- texts that may be transcripts, and label files that look like them ---


@pytest.mark.parametrize(
    "text",
    [
        "0,500000\t0,984600\tthree\n1,5\t1,9\tseven\n",
        "0.5\t0.98\tthree\n\\\t1200.000000\t3400.500000\n1.5\t1.9\tseven\n",
        "0.5\t0.98\t\n0.5\t0.98\tthree\n1.5\t1.9\tseven\n",
        "words\tSP1\t0.500\t0.985\t0.485\tthree\nwords\tSP1\t1.500\t1.900\t0.400\tseven\n",
        "tmin\ttier\ttext\ttmax\n0.5\twords\tthree\t0.98\n1.5\twords\tseven\t1.9\n",
        "signal a\nnfields 1\n#\n  0.50000  125 _\n  0.98000  125 three\n  1.90000  125 seven\n",
    ],
)
def test_labels_with_times_are_no_transcript(tmp_path, text):
    for name in ("a", "b", "c"):
        recording(tmp_path / f"{name}.wav")
        (tmp_path / f"{name}.txt").write_text(text)
    utterances = read_collection(tmp_path, task="transcribe").utterances
    assert {u.text for u in utterances} >= {"three", "seven"}
    assert all(u.start > 0 and u.duration < 1.5 for u in utterances if u.text != "_")


@pytest.mark.parametrize(
    "text",
    [
        *("2 5 7 7 1\n", "8 7 0 0 8 4\n", "1, 2, 3\n", "20 30\n", "4\n", "0.5 4.2\n", "3,5 2,5 Liter\n"),
        *("1.5, 2.5, three\n", "10:30, 11:30, lunch\n"),
    ],
)
def test_digits_are_a_transcript(tmp_path, text):
    for name in ("a", "b"):
        recording(tmp_path / f"{name}.wav")
        (tmp_path / f"{name}.txt").write_text(text)
    utterances = read_collection(tmp_path, task="transcribe").utterances
    assert {(u.text, u.start) for u in utterances} == {(text.strip(), 0.0)}


def test_one_label_file_among_transcripts_is_left_out(tmp_path):
    for name, text in (("a", "one two"), ("b", "three"), ("c", "0.5\t0.9\tfour\n")):
        recording(tmp_path / f"{name}.wav")
        (tmp_path / f"{name}.txt").write_text(text)
    collection = read_collection(tmp_path, task="transcribe")
    assert {u.text for u in collection.utterances} == {"one two", "three"}
    assert "holds labels with times" in dict(collection.left_out)["c.wav"]


@pytest.mark.parametrize("ending", ["lab", "txt", "csv"])
def test_label_files_elsewhere_are_found_behind_transcripts_beside_the_recordings(tmp_path, ending):
    """As the Montreal Forced Aligner lays them."""
    for name in ("a", "b"):
        recording(tmp_path / f"{name}.wav")
        (tmp_path / f"{name}.{ending}").write_text("one two\n")
        (tmp_path / "aligned").mkdir(exist_ok=True)
        (tmp_path / "aligned" / f"{name}.srt").write_text("00:00:00,500 --> 00:00:01,000\none\n")
    assert segments_of(tmp_path)[1] == {f"{name}.wav": [(0.5, 1.0, "one")] for name in ("a", "b")}


def test_whole_numbers_far_beyond_a_recording_are_milliseconds_or_samples(tmp_path):
    recording(tmp_path / "a.wav")
    (tmp_path / "a.tsv").write_text("start\tend\ttext\n500\t985\tthree\n1000\t1500\tfour\n")
    collection = read_collection(tmp_path, task="transcribe")
    assert [(u.start, u.duration, u.text) for u in collection.utterances] == [(0.5, 0.485, "three"), (1.0, 0.5, "four")]
    assert "taken as milliseconds" in " ".join(collection.guessed)
    (tmp_path / "a.tsv").unlink()
    (tmp_path / "a.txt").write_text("0 16000 She had your suit\n")
    collection = read_collection(tmp_path, task="transcribe")
    assert [(u.start, u.duration, u.text) for u in collection.utterances] == [(0.0, 2.0, "She had your suit")]
    assert "taken as samples" in " ".join(collection.guessed)
    (tmp_path / "a.txt").unlink()
    (tmp_path / "a.csv").write_text("start,end,label\n3,9,call\n")  # another recording's: prep says so
    assert segments_of(tmp_path)[1] == {"a.wav": [(3.0, 9.0, "call")]}


@pytest.mark.parametrize("name", ["all.rttm", "a.trs"])
def test_label_files_are_not_passed_over_in_silence(tmp_path, name):
    for audio in ("a", "b"):
        recording(tmp_path / f"{audio}.wav")
    (tmp_path / name).write_text("SPEAKER a 1 0 1 <NA> <NA> ann <NA> <NA>\n")
    with pytest.raises(CorpusError, match=rf"{name} may say what holds when: --task label learns that"):
        read_collection(tmp_path)


def test_a_file_of_elan_is_of_the_recording_that_it_is_linked_to(tmp_path):
    recording(tmp_path / "a.wav")
    (tmp_path / "a_jd.eaf").write_text(
        '<ANNOTATION_DOCUMENT><HEADER><MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/tapes/a.wav"/></HEADER><TIME_ORDER>'
        '<TIME_SLOT TIME_SLOT_ID="t1" TIME_VALUE="500"/><TIME_SLOT TIME_SLOT_ID="t2" TIME_VALUE="900"/></TIME_ORDER>'
        '<TIER TIER_ID="x"><ANNOTATION>'
        '<ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="t1" TIME_SLOT_REF2="t2">'
        "<ANNOTATION_VALUE>call</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER></ANNOTATION_DOCUMENT>"
    )
    assert segments_of(tmp_path)[1] == {"a.wav": [(0.5, 0.9, "call")]}


def test_subtitles_named_by_their_language(tmp_path):
    for name in ("a", "b.en"):
        recording(tmp_path / f"{name}.wav")
    for name in ("a.en.vtt", "b.en.srt"):
        (tmp_path / name).write_text("00:00:00.500 --> 00:00:01.000\nhello\n")
    utterances = read_collection(tmp_path, task="transcribe").utterances
    assert [(u.audio.name, u.text) for u in utterances] == [("a.wav", "hello"), ("b.en.wav", "hello")]


def test_what_one_program_wrote_in_all_its_formats_is_read_once(tmp_path):
    recording(tmp_path / "a.wav")
    (tmp_path / "a.json").write_text('{"segments": [{"start": 0.5, "end": 1.0004, "text": " hello"}]}')
    (tmp_path / "a.srt").write_text("1\n00:00:00,500 --> 00:00:01,000\nhello\n")
    (tmp_path / "a.tsv").write_text("start\tend\ttext\n500\t1000\thello\n")
    (tmp_path / "a.vtt").write_text("WEBVTT\n\n00:00.500 --> 00:01.000\nhello\n")
    assert [label for _, _, label in segments_of(tmp_path)[1]["a.wav"]] == ["hello"]
    (tmp_path / "a.srt").write_text("1\n00:00:00,500 --> 00:00:01,000\nhallo\n")
    with pytest.raises(CorpusError, match="has 3 label files"):
        read_collection(tmp_path, task="label")


def test_points_are_no_utterances(tmp_path):
    recording(tmp_path / "a.wav")
    labelled(tmp_path / "a.txt", (0.5, 0.5, "click"), (0.8, 1.2, "hello"))
    assert "1 stretches last no more than 0.05 s, as points do" in " ".join(
        read_collection(tmp_path, task="transcribe", layout="stretches").guessed
    )


def test_lists_of_what_is_said(tmp_path):
    recording(tmp_path / "a.wav")
    (tmp_path / "all.stm").write_text(";; remark\na 1 ann 0.5 1.0 <o,f0,female> hello there\n")
    (utterance,) = read_collection(tmp_path, task="transcribe").utterances
    assert (utterance.text, utterance.start, utterance.duration) == ("hello there", 0.5, 0.5)


def test_json_and_linked_files_count_where_nothing_else_labels_a_recording(tmp_path):
    for name in ("a", "b", "c"):
        recording(tmp_path / f"{name}.wav")
        (tmp_path / f"{name}.json").write_text('{"segments": [{"start": 0.1, "end": 0.2, "text": "hi"}]}')
    (tmp_path / "labels.csv").write_text("file,start,end,label\na.wav,0.5,1.5,call\n")
    labelled(tmp_path / "b.txt", (0.5, 1.0, "song"))
    assert segments_of(tmp_path)[1] == {
        "a.wav": [(0.5, 1.5, "call")],
        "b.wav": [(0.5, 1.0, "song")],
        "c.wav": [(0.1, 0.2, "hi")],
    }


def test_of_subtitles_in_several_languages_the_recording_s_own_name_comes_first(tmp_path):
    recording(tmp_path / "a.wav")
    for name, said in (("a", "hello"), ("a.de", "hallo")):
        (tmp_path / f"{name}.srt").write_text(f"00:00:00,500 --> 00:00:01,000\n{said}\n")
    assert segments_of(tmp_path)[1] == {"a.wav": [(0.5, 1.0, "hello")]}


def test_one_word_with_measurements_beside_is_still_one_word(tmp_path):
    for i in range(12):
        recording(tmp_path / f"{i}.wav", 0.5)
        (tmp_path / f"{i}.f0").write_text("100\n")
        (tmp_path / f"{i}.json").write_text("{}")
    assert set(read_collection(tmp_path).labels) == {tmp_path.name}


def test_milliseconds_are_those_of_all_files_of_a_sort_and_of_lists(tmp_path):
    for name in ("a", "b"):
        recording(tmp_path / f"{name}.wav")
    (tmp_path / "a.csv").write_text("start,end,label\n500,985,x\n")
    (tmp_path / "b.csv").write_text("start,end,label\n5,25,y\n")  # by itself it might be seconds of another recording
    assert segments_of(tmp_path)[1] == {"a.wav": [(0.5, 0.985, "x")], "b.wav": [(0.005, 0.025, "y")]}
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").unlink()
    (tmp_path / "all.csv").write_text("file,start,end,label\na.wav,500,985,x\nb.wav,5,25,y\n")
    collection, found = segments_of(tmp_path)
    assert found == {"a.wav": [(0.5, 0.985, "x")], "b.wav": [(0.005, 0.025, "y")]}
    assert "taken as milliseconds" in " ".join(collection.guessed)


_RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)"


def selections(path, *rows, columns=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ("\t".join((str(n), "Spectrogram 1", "1", *map(str, row))) for n, row in enumerate(rows, start=1))
    path.write_text("\n".join((f"{_RAVEN}\t{columns or 'Annotation'}", *lines)) + "\n")


def test_recorders_in_two_places_call_their_recordings_alike(tmp_path):
    days = [f"2024051{n}_053000" for n in range(4)]
    rows = []
    for site, species in (("A01", "tit"), ("A02", "owl")):
        for day in days:
            recording(tmp_path / site / f"{day}.wav")
            rows.append((9.0, 9.5, 100, 900, f"D:\\field\\{site}\\{day}.WAV", f"{day}.WAV", 0.5, species))
    columns = "Begin Path\tBegin File\tFile Offset (s)\tSpecies"
    selections(tmp_path / "A01" / f"{days[0]}.Table.1.selections.txt", *rows, columns=columns)  # where Raven puts it
    _, found = segments_of(tmp_path)
    expected = {f"{site}/{day}.wav": [(0.5, 1.0, of)] for site, of in (("A01", "tit"), ("A02", "owl")) for day in days}
    assert found == expected

    for day in days:
        (tmp_path / "A02" / f"{day}.wav").unlink()
    with pytest.raises(CorpusError, match="the audio of 4 of 8 lines is missing"):
        segments_of(tmp_path)
    _, found = segments_of(tmp_path, skip_bad=True)
    assert found == {place: labels for place, labels in expected.items() if place.startswith("A01")}


def test_several_of_raven_s_tables_are_parts_of_one(tmp_path):
    recording(tmp_path / "a.wav")
    selections(tmp_path / "a.Table.1.selections.txt", (0.1, 0.4, 1200, 1500, "tit"))
    selections(tmp_path / "a.Table.2.selections.txt", (0.9, 1.2, 200, 3100, "owl"))
    collection, found = segments_of(tmp_path)
    assert found == {"a.wav": [(0.1, 0.4, "tit"), (0.9, 1.2, "owl")]}
    assert collection.band == (200.0, 3100.0)


def test_a_list_may_name_one_recording_in_two_ways(tmp_path):
    recording(tmp_path / "wav" / "x.wav")
    rows = "file,start,end,label\nwav/x.wav,0.1,0.4,tit\nx.wav,0.6,0.9,owl\n"
    (tmp_path / "all.csv").write_text(rows)
    with pytest.raises(CorpusError, match=r"the same recording .* with other segments"):
        segments_of(tmp_path)
    (tmp_path / "wav" / "x.wav").rename(tmp_path / "x.wav")
    (tmp_path / "all.csv").write_text(rows.replace("wav/", "A/").replace("\nx.wav", "\nB/x.wav"))
    with pytest.raises(CorpusError, match=r"the same recording .* with other segments"):
        segments_of(tmp_path)


@pytest.mark.parametrize(
    "table",
    ["0.1,0.4,tit\n0.5,0.9,owl\n", ",start,end,label\n0,0.1,0.4,tit\n", "start,end,label,Hz\n0.1,0.4,tit,3000\n"],
)
def test_columns_that_are_no_frequencies(table, tmp_path):
    recording(tmp_path / "a.wav")
    (tmp_path / "a.csv").write_text(table)
    assert segments_of(tmp_path)[0].band is None


def test_days_are_no_labels(tmp_path):
    for n in range(12):
        name = f"2024051{n % 2}_0{n // 2}3000"
        recording(tmp_path / f"{name}.wav")
        selections(tmp_path / f"{name}.Table.1.selections.txt", (0.1, 0.4, 1200, 1500, "tit"))
    with pytest.raises(CorpusError, match=f"^{tmp_path}: .* --task label learns when they hold"):
        read_collection(tmp_path)
    assert len(segments_of(tmp_path)[1]) == 12


def test_what_prep_wrote_beside_recordings_says_nothing_of_them(tmp_path):
    recording(tmp_path / "a.wav")
    labelled(tmp_path / "a.txt", (0.1, 0.4, "tit"))
    line = {"audio_filepath": "../a.wav", "segments": [[0.1, 0.4, "owl"]], "duration": 2.0}
    for name in ("train.jsonl", "prepared.json"):
        (tmp_path / "data" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_text(json.dumps(line) + "\n")
    recording(tmp_path / "data" / "listen" / "a.wav")
    assert segments_of(tmp_path)[1] == {"a.wav": [(0.1, 0.4, "tit")]}


def test_windows_that_reach_beyond_their_recordings(tmp_path):
    for n in range(3):
        recording(tmp_path / f"{n}.wav", seconds=5.0)
        labelled(tmp_path / f"{n}.txt", (0.0, 3.0, "tit"), (3.0, 6.0, "owl"))
    collection, found = segments_of(tmp_path)
    assert found["0.wav"] == [(0.0, 3.0, "tit"), (3.0, 5.0, "owl")]
    assert "windows of 3 s; those that reach beyond 3 recordings are cut there" in " ".join(collection.understood)
    labelled(tmp_path / "0.txt", (3.0, 6.0, "owl"))
    assert segments_of(tmp_path)[1]["0.wav"] == [(3.0, 5.0, "owl")]
    labelled(tmp_path / "0.txt", (0.0, 2.0, "tit"), (3.0, 6.0, "owl"))
    assert segments_of(tmp_path)[1]["0.wav"][1] == (3.0, 6.0, "owl"), "prep refuses what may be a mistake"
