"""The command line: answers go to standard output, all else to standard error, and a failure is one line."""

import builtins
import errno
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiornn import __version__, cli
from audiornn.errors import TrainingError
from audiornn.verbs.terminal import say
from tests.conftest import RATE, TASKS, spoken, write_recipe

pytestmark = pytest.mark.filterwarnings("error::ResourceWarning")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(here):
    """Every test."""


@pytest.fixture
def own_world(here, prepared, model_file, world):
    """A copy of the world to damage, with one prepared and trained recipe."""
    model_file("classify")
    shutil.copytree(world.data / "tones_classify", here / "data" / "tones_classify", symlinks=True)
    shutil.copytree(world.runs / "tones_classify", here / "runs" / "tones_classify")
    # manifests are relative to their folder: give them the corpus they point at
    shutil.copytree(world.corpus, here / "corpus")
    return here


# --- the whole road ---


def test_the_road(here, world, works, run):
    pytest.importorskip("torch", reason="training needs torch")
    recipe = write_recipe(here / "recipes" / "mine", "classify")
    out = works("prep", recipe, "--corpus", world.corpus, "--set", "training.epochs=1")
    assert [line.split()[0] for line in out.splitlines()[:4]] == ["split", "train", "dev", "test"]
    assert out.splitlines()[1].split() == ["train", "48", out.splitlines()[1].split()[2], "4", "3"]
    assert "prepared" in out
    assert "nothing has changed" in works("prep", recipe, "--corpus", world.corpus, "--set", "training.epochs=1")
    code, out, err = run("train")
    assert code == 0
    assert out.startswith("runs/mine/model.onnx")
    assert "training mine, prepared last" in err
    assert "did not end well" not in err
    assert "epoch   1/1" in err
    code, out, err = run("transcribe", world.recording("single"))
    assert code == 0
    assert "runs/mine/model.onnx, trained last" in err
    assert len(out.splitlines()) == 1
    code, out, err = run("evaluate", "--format", "json")
    assert code == 0
    assert json.loads(out)["utterances"] == 6
    assert works("info").splitlines()[0].startswith("model file")
    # a finished run is never written over
    before = Path("runs/mine/model.onnx").read_bytes()
    assert works("train", "mine").startswith("runs/mine-2/model.onnx")
    assert Path("runs/mine/model.onnx").read_bytes() == before


def test_training_says_where_the_last_prep_failed(here, world, works, run, tmp_path):
    pytest.importorskip("torch", reason="training needs torch")
    recipe = write_recipe(here / "recipes" / "mine", "classify")
    copy = world.copy_to(tmp_path / "world")
    works("prep", recipe, "--corpus", copy.corpus, "--set", "training.epochs=1")
    copy.recording("single", "ada").write_bytes(b"RIFF, and no more")
    assert run("prep", recipe, "--corpus", copy.corpus, "--set", "training.epochs=1")[0] == 2
    code, _, err = run("train")
    assert code == 0
    assert "note: the last prep of mine did not end well; this trains what was prepared before it" in err


def test_help_and_version(run):
    code, out, _ = run("--version")
    assert (code, out) == (0, f"audiornn {__version__}\n")
    code, out, _ = run("--help")
    assert code == 0
    for verb in ("prep", "train", "evaluate", "transcribe", "info", "demo"):
        assert verb in out
        assert run(verb, "--help")[0] == 0


@pytest.mark.parametrize("words", [[], ["dance"], ["transcribe"], ["prep"], ["transcribe", "a.wav", "--format", "xml"]])
def test_a_command_that_is_none(run, words):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert "usage: audiornn" in err


@pytest.mark.parametrize("number", ["0", "-1", "two"])
def test_a_number_that_is_none(run, number):
    code, _, err = run("transcribe", "a.wav", "--channel", number)
    assert code == 2
    assert number in err
    assert "_count" not in err  # a function of ours says nothing to a user


# --- prep ---


def test_prep_without_its_corpus(here, fails):
    recipe = write_recipe(here / "mine")
    fails("prep", recipe, said=["mine", "--corpus DIR"])
    fails("prep", recipe, "--corpus", "nowhere", said=["nowhere: no such corpus folder"])


def test_a_corpus_with_too_few_files(here, run):
    (here / "corpus").mkdir()
    for name in ("yesno", "digits"):
        code, out, err = run("prep", name, "--corpus", "corpus")
        assert (code, out) == (2, "")
        assert err.splitlines()[-1].startswith("audiornn: corpus: 0 recordings")


def test_a_packaged_recipe_is_said_to_be_one(here, run):
    (here / "corpus").mkdir()
    assert "taking the recipe that comes with audiornn" in run("prep", "recipes/yesno", "--corpus", "corpus")[2]


def test_an_unknown_recipe(fails):
    fails("prep", "recipes/yesnoo", said=["recipes/yesnoo", "did you mean 'yesno'?"])


def test_an_empty_recipe_folder(here, fails):
    (here / "mine").mkdir()
    fails("prep", "mine", "--corpus", ".", said=["mine/prepare.py: missing"])


def test_a_prepare_that_raises(here, fails, world):
    recipe = write_recipe(
        here / "mine", prepare="def prepare(corpus_dir):\n    raise ValueError('60 wanted')\n", toml=""
    )
    fails("prep", recipe.name, "--corpus", world.corpus, said=["mine/prepare.py, line 2: ValueError: 60 wanted"])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.epoch=3", ["training.epoch", "epochs"]),
        ("training.epochs=many", ["training.epochs", "int"]),
        ("corpus.kin=single", ["corpus.kin", "kind"]),
    ],
)
def test_a_mistyped_setting(here, fails, world, override, said):
    recipe = write_recipe(here / "mine")
    fails("prep", recipe, "--corpus", world.corpus, "--set", override, said=said)


def bad_corpus(here, n_bad=2):
    """Single words, some of them no audio at all."""
    from tests.conftest import write_corpus

    write_corpus(here / "corpus", n_train=3, n_held_out=3)
    for file in sorted((here / "corpus" / "single").glob("ada_*.wav"))[:n_bad]:
        file.write_text("no audio")
    return write_recipe(here / "mine", "classify")


def test_unreadable_recordings_are_counted_and_named(here, run):
    recipe = bad_corpus(here)
    code, out, err = run("prep", recipe, "--corpus", "corpus")
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    assert err.startswith("audiornn: 2 of 18 utterances cannot be used")
    assert err.count("ada_") >= 2
    code, out, err = run("prep", recipe, "--corpus", "corpus", "--skip-bad")
    assert code == 0
    assert "2 bad utterances left out; data/mine/bad.txt names them" in out + err


def test_a_label_outside_the_vocabulary(here, run):
    recipe = bad_corpus(here, n_bad=0)
    file = next((here / "corpus" / "single").glob("fay_0_*.wav"))
    file.rename(file.with_name("fay_0_fa.wav"))
    code, _, err = run("prep", recipe, "--corpus", "corpus")
    assert code == 2
    assert "label 'fa'" in err


def test_data_that_is_a_file(here, fails, world):
    Path("data").write_text("")
    fails("prep", write_recipe(here / "mine"), "--corpus", world.corpus, said=["data"])


# --- train ---


def test_train_before_prep(fails):
    fails("train", said=["data: no recipe is prepared here", "audiornn prep"])
    fails("train", "recipes/digits", said=["data/digits", "audiornn prep recipes/digits"])


def test_features_made_with_other_settings(here, run, world, prepared, fails):
    recipe = write_recipe(here / "recipes" / "mine", "classify")
    assert run("prep", recipe, "--corpus", world.corpus)[0] == 0
    fails("train", "mine", "--set", "features.n_mels=18", said=["data/mine", "n_mels", "20", "18", "audiornn prep"])
    toml = (recipe / "recipe.toml").read_text()
    (recipe / "recipe.toml").write_text(toml.replace("n_mfcc = 12", "n_mfcc = 10"))
    fails("train", "mine", said=["n_mfcc was 12, is 10", "audiornn prep"])


def test_a_run_is_never_written_over(own_world, fails):
    fails("train", "tones_classify", "--run", "runs/tones_classify", said=["runs/tones_classify", "--resume"])


def test_a_run_that_is_a_file(own_world, fails):
    Path("file").write_text("")
    fails("train", "tones_classify", "--run", "file", said=["file"])


def test_nothing_to_resume(own_world, fails):
    fails("train", "--resume", said=["runs", "no run was stopped"])
    fails("train", "--resume", "--run", "runs/none", said=["runs/none", "no checkpoint"])


def test_resuming_takes_the_run_of_that_recipe(own_world, run):
    """Not one whose name begins alike."""
    Path("runs/tones_classify_loud").mkdir()
    Path("runs/tones_classify_loud/last.safetensors").write_bytes(b"")
    assert "going on with" not in run("train", "tones_classify", "--resume")[2]


# --- transcribe ---


def test_a_transcript(works, world, heard_by):
    path = next((world.corpus / "strings").glob("fay_1_*.wav"))
    assert works("transcribe", path, *heard_by()) == path.stem.split("_")[2].replace("-", " ") + "\n"


def test_several_recordings_are_told_apart(works, world, heard_by):
    files = sorted((world.corpus / "strings").glob("fay_*.wav"))[:3]
    lines = works("transcribe", *files, *heard_by()).splitlines()
    assert [line.split("\t")[0] for line in lines] == [str(file) for file in files]


@pytest.mark.parametrize("task", TASKS)
def test_a_folder_in_json(works, world, heard_by, task):
    folder = world.corpus / "single"
    entries = [
        json.loads(line) for line in works("transcribe", folder, *heard_by(task), "--format", "json").splitlines()
    ]
    assert [entry["audio"] for entry in entries] == sorted(str(file) for file in folder.glob("*.wav"))
    key = {"transcribe": "words", "classify": "probabilities", "label": "segments"}[task]
    assert all(entry["task"] == task and entry["duration"] > 0 and key in entry for entry in entries)


def test_a_folder_of_folders_and_other_files(here, works, world, heard_by):
    (here / "in" / "deep" / "er").mkdir(parents=True)
    shutil.copy(world.recording(), here / "in" / "deep" / "er" / "b.WAV")
    shutil.copy(world.recording(), here / "in" / "a.wav")
    (here / "in" / "notes.txt").write_text("not a recording")
    lines = works("transcribe", "in", *heard_by()).splitlines()
    assert [line.split("\t")[0] for line in lines] == ["in/a.wav", "in/deep/er/b.WAV"]


def test_a_folder_of_one_still_names_it(here, works, world, heard_by):
    (here / "in").mkdir()
    shutil.copy(world.recording(), here / "in" / "a.wav")
    assert works("transcribe", "in", *heard_by()).startswith("in/a.wav\t")


def test_standard_input(works, world, heard_by, monkeypatch):
    path = world.recording()
    expected = works("transcribe", path, *heard_by())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    assert works("transcribe", "-", *heard_by()) == expected


def test_a_channel(here, works, fails, heard_by):
    soundfile.write("a.wav", np.stack([spoken(["do"]), spoken(["sol"])], axis=1), RATE)
    for channel, word in ((1, "do"), (2, "sol")):
        assert works("transcribe", "a.wav", "--channel", channel, *heard_by()) == f"{word}\n"
    fails("transcribe", "a.wav", "--channel", 3, *heard_by(), said=["a.wav", "channel 3", "2"])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.wav", None, "no such file"),
        ("empty.wav", b"", "empty"),
        ("text.wav", b"this is no audio " * 99, "not audio"),
        ("cut.wav", "cut", "truncated"),
        ("nan.wav", "nan", "not finite"),
        ("one.wav", "one", "too short"),
    ],
)
def test_a_bad_recording_is_one_line(here, fails, world, heard_by, name, content, said):
    if content == "cut":
        content = world.recording().read_bytes()[:-1000]
    if content == "nan":
        soundfile.write(name, np.full(8000, np.nan), RATE, subtype="FLOAT")
    elif content == "one":
        soundfile.write(name, np.zeros(1), RATE)
    elif content is not None:
        Path(name).write_bytes(content)
    fails("transcribe", name, *heard_by(), said=[name, said])


def test_damaged_flacs(here, fails, heard_by, shared_data):
    for file in sorted((shared_data / "broken").glob("*.flac"))[:3]:
        fails("transcribe", file, *heard_by(), said=[file.name, "damaged"])


def test_partial_failure_does_the_rest_and_exits_1(here, run, world, heard_by):
    Path("bad.wav").write_text("no audio")
    good = sorted((world.corpus / "strings").glob("fay_*.wav"))[:2]
    code, out, err = run("transcribe", good[0], "bad.wav", good[1], *heard_by())
    assert code == 1
    assert len(out.splitlines()) == 2
    assert err.splitlines()[0].startswith("audiornn: bad.wav: not audio")
    assert err.splitlines()[1] == "audiornn: 1 of 3 recordings could not be read"


def test_nothing_readable_exits_2(here, run, heard_by):
    for name in ("a.wav", "b.wav"):
        Path(name).write_text("no audio")
    code, out, err = run("transcribe", "a.wav", "b.wav", *heard_by())
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == "audiornn: 2 of 2 recordings could not be read"


def test_an_empty_folder(here, fails, run, world, heard_by):
    (here / "in").mkdir()
    fails("transcribe", "in", *heard_by(), said=["in: the folder holds no recordings"])
    code, out, err = run("transcribe", "in", world.recording(), *heard_by())
    assert code == 1  # the rest is done
    assert len(out.splitlines()) == 1
    assert "in: the folder holds no recordings" in err


def test_no_model_yet(world, fails):
    fails("transcribe", world.recording(), said=["no model yet in runs", "audiornn train"])
    fails("info", said=["no model yet in runs"])
    fails("evaluate", said=["no model yet in runs"])


def test_a_model_file_that_is_none(here, world, fails):
    Path("model.onnx").write_text("no model")
    for verb in (["transcribe", world.recording(), "--model"], ["info"], ["evaluate"]):
        fails(*verb, "model.onnx", said=["model.onnx", "not a model file"])
        fails(*verb, "none.onnx", said=["none.onnx", "no such model file"])
        fails(*verb, ".", said=["model.onnx"])


def test_a_model_from_a_newer_version(here, world, fails, model_file):
    onnx = pytest.importorskip("onnx", reason="the file is changed with onnx")
    model = onnx.load(model_file("classify"))
    for entry in model.metadata_props:
        entry.value = entry.value.replace('"format": 2', '"format": 3')
    onnx.save(model, "newer.onnx")
    fails("transcribe", world.recording(), "--model", "newer.onnx", said=["newer.onnx", "format 3", "upgrade"])


def test_a_run_serves_as_a_model(works, world, model_file):
    path = world.recording("single")
    expected = works("transcribe", path, "--model", model_file("classify"))
    assert works("transcribe", path, "--model", model_file("classify").parent) == expected


def test_the_model_trained_last_is_taken_and_named(own_world, run, world):
    code, out, err = run("transcribe", world.recording("single"))
    assert (code, err) == (0, "model runs/tones_classify/model.onnx, trained last\n")
    word, probability = out.split()
    assert word in ("do", "mi", "sol")
    assert 0 < float(probability) <= 1


@pytest.mark.skipif(os.name == "nt", reason="file names are Unicode there")
def test_a_file_name_that_is_no_unicode(here, run, world, heard_by):
    name = os.fsdecode(b"h\xf6r.wav")
    shutil.copy(world.recording(), name)
    for form in ("text", "json"):
        code, out, err = run("transcribe", ".", "--format", form, *heard_by())
        assert code == 0, err
        assert len(out.splitlines()) == 1


# --- info ---


@pytest.mark.parametrize("task", TASKS)
def test_info_tells_what_the_file_says(works, model_file, task):
    text = works("info", model_file(task))
    network = re.search(r"^network +(.*)$", text, re.MULTILINE)[1]
    assert re.search(r"\b1 × 16 bidirectional lstm( → attention)?, .*, 0\.\d+ M multiply-adds a second", network), (
        network
    )
    assert ("attention" in network) == (task == "classify")
    for said in (task, f"tones_{task}", "made for a test", "8,000 Hz", "1 × 16", "bidirectional lstm", "'do'", "'sol'"):
        assert said in text
    entry = json.loads(works("info", model_file(task), "--format", "json"))
    assert (entry["task"], entry["licence"], entry["features"]["sample_rate"]) == (task, "made for a test", 8000)
    assert entry["results"]["dev"]["errors"] >= 0
    assert "results" in entry
    assert f"{entry['network']['n_parameters']:,} parameters" in text


# --- evaluate ---


@pytest.mark.parametrize("task", TASKS)
def test_evaluate_in_json(works, prepared, model_file, places, task):
    entry = json.loads(works("evaluate", model_file(task), *places, "--format", "json"))
    assert {"task", "split", "utterances", "errors", "reference_length", "error_rate", "interval"} <= set(entry)
    assert (entry["task"], entry["split"], entry["utterances"]) == (task, "test", 6)
    assert entry["error_rate"] == entry["errors"] / entry["reference_length"]
    assert entry["interval"][0] <= entry["error_rate"] <= entry["interval"][1]
    assert ("accuracy" in entry) == (task != "transcribe")


def test_evaluate_in_text_and_on_any_split(works, model_file, places):
    text = works("evaluate", model_file("classify").parent, *places, "--split", "dev")
    assert "on dev: 6 utterances" in text
    assert "accuracy 100.00 %  (6 of 6 recordings; 95 % interval 60.97–100.00)" in text


def test_evaluate_on_a_manifest_beside_its_audio(here, works, world, model_file):
    (here / "lists" / "wavs").mkdir(parents=True)
    lines = []
    for file in sorted((world.corpus / "single").glob("eva_*.wav")):
        shutil.copy(file, here / "lists" / "wavs")
        lines.append(json.dumps({"audio_filepath": f"wavs/{file.name}", "text": file.stem.split("_")[2]}))
    Path("lists/m.jsonl").write_text("\n".join(lines))
    entry = json.loads(works("evaluate", model_file("classify"), "--manifest", "lists/m.jsonl", "--format", "json"))
    assert (entry["split"], entry["utterances"], entry["accuracy"]) == ("lists/m.jsonl", 6, 1.0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"audio_filepath": "none.wav", "text": "do"}, ["none.wav", "no such file"]),
        ({"audio_filepath": "a.wav", "text": "fa"}, ["'fa'"]),
        ({"audio_filepath": "a.wav"}, ["a.wav"]),
        ({"text": "do"}, ["m.jsonl, line 1", "audio_filepath"]),
        ({"audio_filepath": "a.wav", "text": "do", "duration": 99}, ["a.wav", "manifest"]),
    ],
)
def test_a_bad_manifest(here, fails, world, model_file, line, said):
    shutil.copy(world.recording("single"), "a.wav")
    if "text" not in line:
        said = ["text"]
    Path("m.jsonl").write_text(json.dumps(line))
    fails("evaluate", model_file("classify"), "--manifest", "m.jsonl", said=said)


def test_a_missing_manifest(fails, model_file):
    fails("evaluate", model_file("classify"), "--manifest", "none.jsonl", said=["none.jsonl: no such manifest"])
    Path("empty.jsonl").write_text("\n")
    fails("evaluate", model_file("classify"), "--manifest", "empty.jsonl", said=["empty.jsonl", "no utterances"])


def test_evaluate_counts_unreadable_recordings_if_asked(here, run, world, model_file):
    shutil.copy(world.recording("single"), "a.wav")
    Path("bad.wav").write_text("no audio")
    word = world.recording("single").stem.split("_")[2]
    lines = [{"audio_filepath": name, "text": word} for name in ("a.wav", "bad.wav")]
    Path("m.jsonl").write_text("\n".join(map(json.dumps, lines)))
    arguments = ["evaluate", model_file("classify"), "--manifest", "m.jsonl", "--format", "json"]
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    code, out, err = run(*arguments, "--skip-bad")
    assert code == 1
    assert (json.loads(out)["utterances"], len(json.loads(out)["unreadable"])) == (1, 1)
    assert err.startswith("audiornn: ")
    assert "bad.wav" in err


def test_evaluate_refuses_a_split_that_was_prepared_differently(here, own_world, run, fails):
    write_recipe(here / "tones_classify", "classify")
    assert run("prep", "tones_classify", "--corpus", "corpus")[0] == 0
    assert run("evaluate")[0] == 0  # the same utterances, only elsewhere
    next((here / "corpus" / "single").glob("ada_*.wav")).unlink()
    assert run("prep", "tones_classify", "--corpus", "corpus")[0] == 0
    fails("evaluate", said=["data/tones_classify", "prepared differently", "--manifest"], n_lines=2)


def test_evaluate_refuses_speakers_the_model_was_trained_on(here, own_world, run, fails):
    """A speaker who moved from training to the test, the training split being otherwise another one."""
    recipe = write_recipe(here / "tones_classify", "classify")
    prepare = (recipe / "prepare.py").read_text().replace('"fay": "test"', '"fay": "train", "ada": "test"')
    (recipe / "prepare.py").write_text(prepare)
    assert run("prep", "tones_classify", "--corpus", "corpus")[0] == 0
    fails("evaluate", said=["prepared differently"], n_lines=2)


def test_evaluate_without_its_corpus(here, fails, model_file):
    fails("evaluate", model_file("classify"), said=["data/tones_classify", "audiornn prep"])


def test_an_empty_split_is_called_so(here, run, world, works, fails):
    recipe = write_recipe(here / "mine", "classify", prepare=(world.recipe("classify") / "prepare.py").read_text())
    (recipe / "prepare.py").write_text((recipe / "prepare.py").read_text().replace('"eva": "dev", ', ""))
    works("prep", recipe, "--corpus", world.corpus, "--set", "training.epochs=1")
    pytest.importorskip("torch", reason="training needs torch")
    assert run("train")[0] == 0
    fails("evaluate", "runs/mine", "--split", "dev", said=["dev", "no utterances"])
    works("evaluate", "runs/mine", "--split", "test")


# --- read-only and full disks ---


@pytest.fixture
def disk(monkeypatch):
    """Makes every opening for writing below the working folder fail as a disk does."""

    def fail(number):
        opened = builtins.open

        def guarded(file, mode="r", *arguments, **keywords):
            inside = isinstance(file, str | Path) and Path.cwd() in [*Path(file).resolve().parents]
            if inside and set(mode) & set("wax+"):
                raise OSError(number, os.strerror(number), str(file))
            return opened(file, mode, *arguments, **keywords)

        monkeypatch.setattr(builtins, "open", guarded)
        monkeypatch.setattr(io, "open", guarded)

    return fail


@pytest.mark.parametrize(
    ("number", "said"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only"), (errno.EACCES, "read-only")]
)
@pytest.mark.parametrize("verb", ["prep", "train"])
def test_a_disk_that_cannot_be_written(own_world, run, world, disk, verb, number, said):
    recipe = write_recipe(own_world / "recipes" / "tones_classify", "classify")
    if verb == "prep":
        arguments = ["prep", recipe, "--corpus", world.corpus, "--data", own_world / "elsewhere"]
    else:
        pytest.importorskip("torch", reason="training needs torch")
        arguments = ["train", "tones_classify"]
    before = {path: path.read_bytes() for path in own_world.rglob("*") if path.is_file()}
    disk(number)
    code, out, err = run(*arguments)
    assert (code, out) == (2, ""), err
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("audiornn: ")
    assert said in err.splitlines()[-1]
    after = {path: path.read_bytes() for path in own_world.rglob("*") if path.is_file()}
    assert before.items() <= after.items()  # nothing is lost


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(here, fails, world):
    recipe = write_recipe(here / "mine", "classify")
    (here / "data").mkdir(mode=0o500)
    fails("prep", recipe, "--corpus", world.corpus, said=["data", "read-only"])


def python(*words, **keywords):
    return subprocess.run(
        [sys.executable, "-m", "audiornn", *map(str, words)], capture_output=True, text=True, timeout=60, **keywords
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("verb", ["transcribe", "info"])
def test_a_full_disk_under_the_output(world, model_file, verb):
    words = ["transcribe", world.recording(), "--model"] if verb == "transcribe" else ["info"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "audiornn", *map(str, words), str(model_file("transcribe"))],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.returncode == 2
    assert [line for line in done.stderr.splitlines() if line] == [done.stderr.strip()], done.stderr
    assert "disk is full" in done.stderr


def test_a_reader_that_has_seen_enough(world, model_file):
    files = " ".join(f"'{file}'" for file in sorted((world.corpus / "strings").glob("*.wav"))[:20])
    command = f"'{sys.executable}' -m audiornn transcribe {files} --model '{model_file('transcribe')}' | head -1"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def test_output_in_a_poor_locale(world, model_file):
    """A log file in Latin-1 has no arrow, and must not end in a traceback."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = python("info", model_file("transcribe"), env=environment)
    assert (done.returncode, done.stderr) == (0, "")


def test_letters_that_the_output_cannot_hold_are_told(world, here, model_file):
    shutil.copy(world.recording(), here / "ï.wav")
    environment = {**os.environ, "PYTHONIOENCODING": "cp1250"}  # which has no ï
    done = python("transcribe", "ï.wav", "b.wav", "--model", model_file("transcribe"), env=environment, cwd=here)
    assert done.returncode == 1
    assert "standard output is CP1250, which lacks letters" in done.stderr
    assert "PYTHONUTF8=1" in done.stderr


@pytest.mark.parametrize(
    ("number", "file", "said"),
    [
        (errno.EACCES, "a.wav", "a.wav: permission denied; it is another user's"),
        (errno.EMFILE, b"a.wav", "a.wav: more files than may be open"),
        (errno.EIO, 3, "standard output: cannot be written (I/O error)"),
    ],
)
def test_what_a_machine_refuses_is_one_line(fails, monkeypatch, number, file, said):
    def refused(*arguments):
        raise OSError(number, "I/O error", file)

    monkeypatch.setattr("audiornn.verbs.models.last_model", refused)
    fails("info", said=[said])


def test_windows_refuses_what_another_program_has_open(fails, monkeypatch):
    def refused(*arguments):
        raise PermissionError(errno.EACCES, "Permission denied", "a.wav")

    monkeypatch.setattr("audiornn.verbs.models.last_model", refused)
    monkeypatch.setattr("audiornn.verbs.failures._WINDOWS", True)
    fails("info", said=["a.wav: permission denied; ", "or it is open in another program"])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "out of memory"),
        (MemoryError(), "out of memory"),
        (RuntimeError("cannot cache function '__o_fold': no locator available for file"), "NUMBA_CACHE_DIR"),
    ],
)
def test_what_a_machine_lacks_is_one_line(fails, monkeypatch, error, said):
    def lacking(*arguments):
        raise error

    monkeypatch.setattr("audiornn.verbs.models.last_model", lacking)
    fails("info", said=[said])
    error.args = ("a bug",)
    if isinstance(error, RuntimeError):
        with pytest.raises(RuntimeError, match="a bug"):
            cli.main(["info"])


def test_a_log_that_cannot_be_written_stops_no_work(monkeypatch):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "stderr", Full())
    say("epoch 1")


def test_json_is_utf_8_in_any_locale(world, model_file):
    audio = world.corpus / "strings"
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    model = model_file("transcribe")
    named = model.parent.parent / "né→.wav"
    shutil.copy(sorted(audio.glob("*.wav"))[0], named)
    arguments = [sys.executable, "-m", "audiornn", "transcribe", named, "--model", model, "--format", "json"]
    done = subprocess.run(arguments, env=environment, capture_output=True, timeout=60, check=True)
    assert json.loads(done.stdout.decode("utf-8"))["audio"] == str(named)


def test_nothing_is_lost_where_standard_error_is_closed(world, model_file):
    audio, model = sorted((world.corpus / "strings").glob("*.wav"))[0], model_file("transcribe")
    command = f"'{sys.executable}' -m audiornn transcribe '{audio}' nowhere.wav --model '{model}'"
    done = [
        subprocess.run(["/bin/sh", "-c", f"{command} {end}"], capture_output=True, timeout=60, check=False)
        for end in ("2>/dev/null", "2>&-")
    ]
    assert done[0].stdout
    assert (done[0].returncode, done[0].stdout) == (done[1].returncode, done[1].stdout)


# --- bugs keep their traceback, Ctrl-C does not ---


def test_a_bug_keeps_its_traceback(monkeypatch, model_file, world):
    from audiornn.listen.recognizer import Recognizer

    def broken(self, *arguments, **keywords):
        raise RuntimeError("a bug")

    monkeypatch.setattr(Recognizer, "transcribe", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        cli.main(["transcribe", str(world.recording()), "--model", str(model_file("transcribe"))])


def test_ctrl_c_is_one_line(monkeypatch, run, model_file, world):
    from audiornn.listen.recognizer import Recognizer

    def stopped(self, *arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(Recognizer, "transcribe", stopped)
    code, _, err = run("transcribe", world.recording(), "--model", model_file("transcribe"))
    assert (code, err) == (130, "audiornn: stopped\n")


@pytest.mark.parametrize("module", ["torch", "safetensors"])
def test_a_missing_training_half_is_named_with_its_remedy(own_world, fails, monkeypatch, module):
    for name in [name for name in sys.modules if name.startswith("audiornn.train")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    fails("train", "tones_classify", said=[module, "pip install 'audiornn[train]'"])


def test_evaluate_without_jiwer_names_its_remedy(here, fails, world, model_file, monkeypatch):
    shutil.copy(world.recording(), "a.wav")
    Path("m.jsonl").write_text(json.dumps({"audio_filepath": "a.wav", "text": "do do do do do do do"}))
    monkeypatch.setitem(sys.modules, "jiwer", None)
    fails(
        "evaluate",
        model_file("transcribe"),
        "--manifest",
        "m.jsonl",
        said=["jiwer", "pip install 'audiornn[evaluate]'"],
    )


def test_a_run_is_gone_on_with_by_its_own_preparation_alone(world, works, fails, tmp_path):
    data, runs = tmp_path / "data", tmp_path / "runs"
    places = ["--data", data, "--runs", runs]
    works("prep", world.recipe("classify"), "--corpus", world.corpus, "--data", data, "--jobs", "1")
    works("train", "tones_classify", *places, "--set", "training.epochs=1", "--set", "training.threads=1")
    (runs / "tones_classify" / "model.onnx").unlink()
    works(
        *("prep", world.recipe("classify"), "--corpus", world.corpus, "--data", data, "--jobs", "1"),
        *("--set", "features.hop_length=100"),
    )
    fails("train", "--resume", *places, said=["another preparation"], n_lines=2)
    run = ["--resume", "--run", runs / "tones_classify", *places]
    fails("train", "another", *run, said=["trains tones_classify, not another"])
    (tmp_path / "linked").symlink_to(world.recipe("classify"), target_is_directory=True)
    fails("train", tmp_path / "linked", *run, said=["another preparation"], n_lines=1)


def test_runs_that_begin_at_once_have_folders_of_their_own(tmp_path):
    from audiornn.verbs.training import _new_run

    assert [_new_run(tmp_path, "x").name for _ in range(3)] == ["x", "x-2", "x-3"]
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="is a file"):
        _new_run(tmp_path / "file", "x")


def test_a_training_that_does_not_begin_leaves_no_folder(world, fails, tmp_path):
    places = ["--data", world.data, "--runs", tmp_path / "runs"]
    fails("train", "tones_classify", *places, "--from", tmp_path / "nothing", said=["nothing"])
    assert not list((tmp_path / "runs").glob("*"))
    fails("train", "tones_classify", *places, "--set", f"training.seed={1 << 40}", said=["training.seed"])
