"""transcribe, align, export and evaluate as a person types them: formats, folders, pipes, look-ahead."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiornn.listen.formats import FORMATS
from tests.conftest import RATE, spoken

pytestmark = [pytest.mark.usefixtures("here"), pytest.mark.filterwarnings("error::ResourceWarning")]

SUBTITLES = ("srt", "vtt", "textgrid")


@pytest.fixture
def folder(here, world):
    """Three recordings, one of them in a folder of its own."""
    (here / "in" / "deep").mkdir(parents=True)
    files = sorted((world.corpus / "strings").glob("fay_*.wav"))
    for file, name in zip(files, ("a.wav", "b.wav", "deep/a.wav"), strict=False):
        shutil.copy(file, here / "in" / name)
    return here / "in"


def wav(samples, **options):
    """The bytes of a WAV."""
    out = io.BytesIO()
    soundfile.write(out, samples, RATE, format="WAV", **options)
    return out.getvalue()


# --- formats and folders ---


def test_several_texts_of_a_recording_want_a_format_that_holds_them(works, fails, folder, heard_by, through_a_pipe):
    several = [*heard_by(), "--n-best", "2"]
    fails("transcribe", "in/a.wav", *several, "--format", "srt", said=["--n-best 2: srt holds one text a recording"])
    through_a_pipe(Path("in/a.wav").read_bytes())
    assert len(works("transcribe", "-", *several).splitlines()) == 2


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_for_each_recording(run, folder, heard_by, form):
    code, out, err = run("transcribe", "in", *heard_by(), "--format", form, "--output-dir", "out")
    assert (code, out, err) == (0, "", "out: 3 files written\n")
    suffix = FORMATS[form]
    assert sorted(str(p.relative_to("out")) for p in Path("out").rglob("*") if p.is_file()) == [
        f"a{suffix}",
        f"b{suffix}",
        f"deep/a{suffix}",
    ]


@pytest.mark.parametrize("form", [form for form in FORMATS if form not in ("text", "json")])
def test_one_recording_in_any_format_is_what_its_file_holds(works, run, folder, heard_by, form):
    shown = works("transcribe", "in/a.wav", *heard_by(), "--format", form)
    run("transcribe", "in/a.wav", *heard_by(), "--format", form, "--output-dir", "out")
    written = (Path("out") / f"a{FORMATS[form]}").read_text(encoding="utf-8")
    assert written.replace('"../in/', '"./in/') == shown  # ELAN's recording, seen from the file
    assert "do" in shown or "mi" in shown or "sol" in shown or form == "rttm"


def test_what_systems_leave_behind_is_not_listened_to(works, folder, heard_by):
    shown = works("transcribe", "in", *heard_by())
    (folder / "._a.wav").write_bytes(b"no sound, but what macOS lays beside one")
    (folder / ".trash").mkdir()
    shutil.copy(folder / "a.wav", folder / ".trash" / "a.wav")
    assert works("transcribe", "in", *heard_by()) == shown


def test_several_subtitles_want_a_folder(fails, folder, heard_by):
    for form in SUBTITLES:
        fails("transcribe", "in", *heard_by(), "--format", form, said=["--output-dir", form])


def test_several_in_one_ctm(works, fails, folder, heard_by):
    lines = works("transcribe", "in/a.wav", "in/b.wav", *heard_by(), "--format", "ctm").splitlines()
    assert {line.split()[0] for line in lines} == {"a", "b"}
    for form in ("ctm", "rttm"):  # which know a recording by its name alone
        said = ["in/a.wav and in/deep/a.wav: are both 'a' in", "--output-dir"]
        fails("transcribe", "in", *heard_by(), "--format", form, said=said)


def test_a_master_and_a_copy_of_it_have_one_name(fails, folder, heard_by):
    shutil.copy(folder / "a.wav", folder / "a.flac")  # whatever is in it
    for options in (["--format", "ctm"], ["--output-dir", "out"]):
        fails("transcribe", "in", *heard_by(), *options, said=["in/a.flac and in/a.wav", "; rename one of them"])


def test_one_name_twice_in_one_folder(fails, folder, heard_by):
    said = ["out/a.srt", "in/a.wav", "in/deep/a.wav", "the folder that holds both"]
    fails("transcribe", "in/a.wav", "in/deep/a.wav", *heard_by(), "--format", "srt", "--output-dir", "out", said=said)
    assert not Path("out").exists()


def test_what_is_there_is_replaced_only_if_asked_for(works, fails, folder, heard_by):
    beside = ["transcribe", "in", *heard_by(), "--format", "textgrid", "--output-dir", "in"]
    (folder / "b.TextGrid").write_text("made by hand")
    fails(*beside, said=["in/b.TextGrid", "--overwrite"])
    assert (folder / "b.TextGrid").read_text() == "made by hand"
    assert not (folder / "a.TextGrid").exists()  # nothing is listened to
    works(*beside, "--missing")
    assert (folder / "b.TextGrid").read_text() == "made by hand"
    assert "ooTextFile" in (folder / "a.TextGrid").read_text()
    works(*beside, "--overwrite")
    assert "ooTextFile" in (folder / "b.TextGrid").read_text()
    fails(*beside, said=["in/a.TextGrid and 2 more"])


def test_in_a_folder_nothing_is_skipped_in_silence(run, folder, heard_by):
    (folder / "call.m4a").write_bytes(b"not ours")
    (folder / "gone.wav").symlink_to(folder / "nowhere.wav")
    (folder / "linked").symlink_to(folder / "deep")
    (folder / "deep" / "circle").symlink_to(folder)
    (folder / ".hidden.wav").write_bytes(b"what a system left behind")
    code, out, err = run("transcribe", "in", *heard_by())
    assert code == 0
    names = [line.split("\t")[0] for line in out.splitlines()]
    assert names[:2] == ["in/a.wav", "in/b.wav"]
    assert len(names) == 3  # the folder that is there twice is heard once
    assert "in/call.m4a: is not looked for in folders" in err
    assert "in/gone.wav: a link to nowhere" in err


def test_a_folder_that_one_may_not_look_into_is_told(run, fails, folder, heard_by, closed):
    closed("in/deep")
    code, out, err = run("transcribe", "in", *heard_by())
    assert (code, len(out.splitlines())) == (1, 2)
    assert "in/deep: the folder cannot be looked into (Permission denied)" in err
    fails("spot", "in/deep", *heard_by(), "--keyword", "do", said=["in/deep: the folder cannot be looked into"])


def test_names_and_options_that_mean_nothing(fails, folder, heard_by):
    fails("transcribe", "", *heard_by(), said=["an empty name"])
    fails("transcribe", "in", *heard_by(), "--overwrite", said=["--output-dir DIR"])
    Path("file").write_text("here")
    fails("transcribe", "in", *heard_by(), "--output-dir", "file", said=["file: is a file"])


def test_a_name_of_several_lines_is_shown_in_one(works, folder, heard_by):
    (folder / "b.wav").rename(folder / "b\n\t.wav")
    assert len(works("transcribe", "in", *heard_by()).splitlines()) == 3


def test_an_output_folder_that_is_none(fails, folder, heard_by):
    Path("out").write_text("a file")
    fails("transcribe", "in/a.wav", *heard_by(), "--output-dir", "out", said=["out"])
    assert Path("out").read_text() == "a file"


def test_an_output_folder_that_cannot_be_written(fails, folder, heard_by, monkeypatch):
    """Said before an hour is listened to."""
    import audiornn.files

    def refuse(path, *arguments, **options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(audiornn.files.Path, "mkdir", refuse)
    fails("transcribe", "in/a.wav", *heard_by(), "--output-dir", "out", said=["out", "may not be written"])


def test_many_recordings_of_which_some_are_bad(run, here, world, heard_by):
    """The rest is done, each bad one is named, in order, and the code says that something is missing."""
    Path("many").mkdir()
    good = world.recording().read_bytes()
    for i in range(60):
        (here / "many" / f"{i:03}.wav").write_bytes(b"no sound" if i % 20 == 7 else good[:900] if i == 30 else good)
    code, out, err = run("transcribe", "many", *heard_by(), "--format", "json", "--threads", 4)
    assert code == 1
    entries = [json.loads(line) for line in out.splitlines()]
    assert [entry["audio"] for entry in entries] == [f"many/{i:03}.wav" for i in range(60) if i % 20 != 7 and i != 30]
    assert len({entry["text"] for entry in entries}) == 1
    lines = err.splitlines()
    assert [line.split(":")[1].strip() for line in lines[:4]] == [f"many/{i:03}.wav" for i in (7, 27, 30, 47)]
    assert lines[4:] == ["audiornn: 4 of 60 recordings could not be read"]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_change_nothing(works, world, heard_by, threads):
    one = works("transcribe", world.corpus / "single", *heard_by(), "--format", "json", "--threads", 1)
    assert works("transcribe", world.corpus / "single", *heard_by(), "--format", "json", "--threads", threads) == one


def test_labels_as_rttm_and_textgrid(works, world, heard_by):
    path = world.recording()
    rttm = works("transcribe", path, *heard_by("label"), "--format", "rttm")
    assert all(line.startswith("SPEAKER ") for line in rttm.splitlines())
    assert 'name = "labels"' in works("transcribe", path, *heard_by("label"), "--format", "textgrid")


def test_a_hot_word_that_cannot_be_spelled_is_said_once(fails, folder, heard_by):
    fails("transcribe", "in", *heard_by(), "--hot-word", "qqq", said=["'qqq'"])


# --- standard input, as it comes ---


def test_phrases_come_while_the_pipe_is_open(model_file, tmp_path):
    """What was said is printed when a pause shows that it is over, and not when the recording ends."""
    said = [["sol", "do"], ["mi"]]
    samples = [np.concatenate([spoken(words, speaker="fay"), np.zeros(2 * RATE, np.float32)]) for words in said]
    command = [sys.executable, "-m", "audiornn", "transcribe", "-", "--model", str(model_file("transcribe"))]
    command += ["--look-ahead", "0.2"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False) as process:
        header = bytearray(wav(np.zeros(0, np.float32)))
        header[4:8] = header[40:44] = (0xFFFFFFFF).to_bytes(4, "little")  # as ffmpeg writes into a pipe
        process.stdin.write(header)
        for words, part in zip(said, samples, strict=True):
            process.stdin.write((part * 32767).astype("<i2").tobytes())
            process.stdin.flush()
            assert process.stdout.readline().decode() == " ".join(words) + "\n"
        process.stdin.close()
        assert process.wait(timeout=20) == 0
        assert process.stdout.read() == b""


@pytest.mark.parametrize("coding", ["PCM_16", "PCM_24", "PCM_32", "PCM_U8", "FLOAT", "DOUBLE"])
def test_any_wav_comes_through_a_pipe(works, heard_by, through_a_pipe, coding):
    through_a_pipe(wav(spoken(["sol", "do"], speaker="fay"), subtype=coding))
    assert works("transcribe", "-", *heard_by()) == "sol do\n"


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_json_is_a_line_whatever_a_file_is_called(works, heard_by, world, here):
    for name in (b"caf\xe9.wav", "a\u2028b.wav".encode()):
        shutil.copy(world.recording(), os.fsdecode(name))
    works("transcribe", ".", *heard_by(), "--format", "json", "--output-dir", "out")
    files = list(Path("out").iterdir())
    assert len(files) == 2
    for file in files:
        (line,) = file.read_text(encoding="utf-8").splitlines()
        assert Path(json.loads(line)["audio"]).exists()


def test_phrases_in_json(works, heard_by, through_a_pipe):
    pause = np.zeros(RATE, np.float32)
    samples = np.concatenate([spoken(["sol", "do"], speaker="fay"), pause, spoken(["mi"], speaker="fay")])
    through_a_pipe(wav(samples))
    entries = [json.loads(line) for line in works("transcribe", "-", *heard_by(), "--format", "json").splitlines()]
    assert [entry["text"] for entry in entries] == ["sol do", "mi"]
    for entry in entries:
        assert entry["audio"] == "-"
        assert (entry["start"], entry["end"]) == (entry["words"][0]["start"], entry["words"][-1]["end"])


def test_a_stream_that_stops_gives_what_it_had(run, heard_by, through_a_pipe):
    content = wav(np.concatenate([spoken(["sol", "do"], speaker="fay"), np.zeros(3 * RATE, np.float32)]))
    through_a_pipe(content[: len(content) // 2])
    code, out, err = run("transcribe", "-", *heard_by())
    assert (code, out) == (1, "sol do\n")
    assert "standard input: is truncated: its header promises 3.48 s" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(("command", "task"), [("transcribe", "transcribe"), ("label", "label"), ("spot", "label")])
def test_a_stream_that_stops_was_heard_though_nothing_was_said(run, heard_by, through_a_pipe, command, task):
    through_a_pipe(wav(np.zeros(8000, np.float32))[:-4000])
    code, out, err = run(command, "-", *heard_by(task))
    assert (code, out) == (1, "")
    assert err.startswith("audiornn: standard input")
    assert err.count("\n") == 1


def test_tracks_of_a_stream_that_stops(run, works, heard_by, through_a_pipe):
    content = wav(np.concatenate([spoken(["sol", "do"], speaker="fay"), np.zeros(RATE, np.float32)]))
    Path("whole.wav").write_bytes(content)
    through_a_pipe(content)
    whole = works("track", "whole.wav", *heard_by("regress"))
    assert works("track", "-", *heard_by("regress")) == whole
    through_a_pipe(content[: len(content) // 2])
    code, out, err = run("track", "-", *heard_by("regress"))
    assert code == 1
    assert "is truncated" in err
    assert 0.4 < len(out.splitlines()) / len(whole.splitlines()) < 0.6
    through_a_pipe(b"")
    code, out, err = run("track", "-", *heard_by("regress"))
    assert (code, out) == (2, "")


def test_standard_input_that_is_closed(fails, heard_by, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    for form in ("text", "srt"):
        fails("transcribe", "-", *heard_by(), "--format", form, said=["standard input: is closed"])


def test_a_stream_of_nothing(fails, heard_by, through_a_pipe):
    through_a_pipe(wav(np.zeros(0, np.float32)))
    fails("transcribe", "-", *heard_by(), said=["standard input", "no samples"])
    through_a_pipe(wav(np.zeros(20, np.float32)))
    fails("transcribe", "-", *heard_by(), said=["standard input", "too short"])


def test_standard_input_in_other_formats_and_tasks(works, heard_by, through_a_pipe):
    content = wav(spoken(["sol", "do"], speaker="fay"))
    through_a_pipe(content)
    assert "sol do" in works("transcribe", "-", *heard_by(), "--format", "srt")
    through_a_pipe(content)
    assert works("transcribe", "-", *heard_by("label")).splitlines()[0].endswith("\tsol")
    through_a_pipe(content)
    assert works("transcribe", "-", *heard_by("classify")).split("\t")[0] in ("do", "mi", "sol")


# --- look-ahead ---


def test_a_look_ahead(works, fails, world, heard_by):
    assert works("transcribe", world.recording(), *heard_by(), "--look-ahead", "0.3")
    fails("transcribe", world.recording(), *heard_by("classify"), "--look-ahead", "0.3", said=["classifier"])


@pytest.mark.parametrize("given", ["-1", "soon", "nan", "inf"])
def test_a_look_ahead_that_is_none(run, world, heard_by, given):
    code, _, err = run("transcribe", world.recording(), *heard_by(), f"--look-ahead={given}")
    assert code == 2
    assert "must be a number of seconds" in err


def test_the_table_of_look_aheads(works, world, heard_by, places):
    model = heard_by()[1]
    text = works("evaluate", model, *places, "--look-ahead", "0,0.1,1")
    rows = [line.split() for line in text.splitlines()[-4:]]
    assert [row[0] for row in rows] == ["0", "0.1", "1", "all"]
    entry = json.loads(works("evaluate", model, *places, "--look-ahead", "0,0.1,1", "--format", "json"))
    assert [row["seconds"] for row in entry["look_ahead"]] == [0, 0.1, 1]
    for row, shown in zip([*entry["look_ahead"], entry], rows, strict=True):
        assert row["errors"] == int(shown[1 if shown[0] == "all" else 2])


# --- align ---


def test_a_text_is_aligned(works, world, heard_by):
    path = world.recording()
    text = path.stem.split("_")[2].replace("-", " ")
    rows = [line.split("\t") for line in works("align", path, "--text", text, *heard_by()).splitlines()]
    assert [row[2] for row in rows] == text.split()
    for i, (start, end, *_) in enumerate(rows):
        assert abs(float(start) - (0.08 + 0.2 * i)) < 0.08
        assert abs(float(end) - (0.2 + 0.2 * i)) < 0.08


def test_where_text_and_audio_do_not_fit(works, here, heard_by):
    soundfile.write("a.wav", spoken(["sol", "do", "mi"], speaker="fay"), RATE)
    entry = json.loads(works("align", "a.wav", "--text", "sol mi mi", *heard_by(), "--format", "json"))
    assert [(word["label"], word["fits"], word["heard"]) for word in entry["words"]] == [
        ("sol", True, "sol"),
        ("mi", False, "do"),
        ("mi", True, "mi"),
    ]


def test_a_manifest_is_aligned(works, run, here, world, heard_by):
    files = sorted((world.corpus / "strings").glob("fay_*.wav"))[:3]
    lines = [
        {"audio_filepath": str(f), "text": f.stem.split("_")[2].replace("-", " "), "duration": None} for f in files
    ]
    Path("list.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    entries = [
        json.loads(line)
        for line in works("align", "--manifest", "list.jsonl", *heard_by(), "--format", "json").splitlines()
    ]
    assert [entry["text"] for entry in entries] == [line["text"] for line in lines]
    lines[1]["text"] = "sol do la"
    Path("list.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, _, err = run("align", "--manifest", "list.jsonl", *heard_by(), "--format", "textgrid", "--output-dir", "out")
    assert code == 1
    assert err.splitlines()[0].startswith(f"audiornn: {files[1]}: ")
    assert "'la'" in err
    assert len(list(Path("out").glob("*.TextGrid"))) == 2


def test_the_beginning_of_a_recording_is_not_the_whole_of_it(fails, here, world, heard_by):
    entry = {"audio_filepath": str(world.recording()), "offset": 0, "duration": 0.2, "text": "do"}
    Path("list.jsonl").write_text(json.dumps(entry) + "\n")
    fails("align", "--manifest", "list.jsonl", *heard_by(), said=["a part of its recording"])


@pytest.mark.parametrize(
    ("text", "said"),
    [("sol la", "'la'"), ("", "no symbol"), ("do " * 500, "output frames"), ("sole", "did you mean 'sol'")],
)
def test_texts_that_cannot_be_aligned(fails, world, heard_by, text, said):
    fails("align", world.recording(), "--text", text, *heard_by(), said=[said, world.recording()])


def test_align_wants_one_recording_and_its_text(fails, world, heard_by):
    fails("align", world.recording(), *heard_by(), said=["--text"])
    fails("align", world.recording(), "--text", "do", "--manifest", "m", *heard_by(), said=["--manifest"])
    fails("align", world.recording(), "--text", "do", *heard_by("classify"), said=["classify"])


# --- export ---


def test_int8_is_offered_with_what_it_costs(works, here, places, model_file):
    out = works("export", model_file("transcribe"), "--quantize", "int8", "--output", "small.onnx", *places)
    assert "times smaller" in out.splitlines()[0]
    float_row, int8_row = (line.split() for line in out.splitlines()[-2:])
    assert (float_row[0], int8_row[0]) == ("float32", "int8")
    assert float_row[3] == int8_row[3]  # errors
    assert Path("small.onnx").stat().st_size < model_file("transcribe").stat().st_size


def test_int8_without_the_corpus_says_so(run, here, model_file):
    code, _, err = run("export", model_file("transcribe"), "--quantize", "int8", "--output", "small.onnx")
    assert code == 0
    assert "was not measured" in err


def test_samples_as_input(works, fails, here, world, places, model_file):
    out = works("export", model_file("transcribe"), "--waveform-input", "--output", "w.onnx", *places)
    assert "8,000 Hz" in out
    fails("transcribe", world.recording(), "--model", "w.onnx", said=["w.onnx", "takes samples"])
    works(
        "export", model_file("transcribe"), "--waveform-input", "--quantize", "int8", "--output", "both.onnx", *places
    )
    assert not list(model_file("transcribe").parent.glob("*.int8.onnx"))


def test_export_wants_a_form_and_another_name(fails, model_file):
    fails("export", model_file("transcribe"), said=["--quantize", "--waveform-input"])
    path = model_file("transcribe")
    fails("export", path, "--quantize", "int8", "--output", path, said=["is the model itself"])


def test_a_long_recording_says_how_far_it_is(model_file, tmp_path, monkeypatch):
    """On a terminal only, and without tqdm, which is not in the base install."""
    from audiornn.verbs.terminal import SecondsHeard

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    clock = iter(range(100))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(sys, "stderr", Terminal())
    progress = SecondsHeard()
    for seconds in (10.0, 3661.0):
        progress(seconds)
    progress.clear()
    shown = sys.stderr.getvalue()
    assert "0:00:10 heard" in shown
    assert "1:01:01 heard" in shown
    assert shown.endswith(" \r")


def test_an_alignment_is_drawn(run, works, fails, world, heard_by, here):
    file = world.recording()
    text = file.stem.split("_")[2].replace("-", " ")
    code, _, err = run("align", file, "--text", text, *heard_by(), "--explain", "why.png")
    assert code == 0
    assert "why.png" in err
    assert (here / "why.png").read_bytes().startswith(b"\x89PNG")
    aligning = "align", file, "--text", text, *heard_by()
    fails(*aligning, "--explain", "no/where.png", said=["there is no folder no"])  # before it listens
    soundfile.write("long.wav", np.zeros(61 * RATE), RATE)
    fails("align", "long.wav", "--text", text, *heard_by(), "--explain", "a.png", said=["lasts 61 s, and --explain"])
    fails("align", "-", "--text", text, *heard_by(), "--explain", "a.png", said=["standard input can be read once"])
    fails("align", file.parent, "--text", text, *heard_by(), said=["is a folder; --text is what one recording says"])
    fails("align", "--manifest", "m.jsonl", *heard_by(), "--explain", "a.png", said=["one recording"])
