"""Start-up is a feature: a verb imports what it needs and nothing else. What is imported is checked, not the time."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import TASKS

TRAINING = {
    "torch",
    "torchaudio",
    "librosa",
    "matplotlib",
    "onnx",
    "safetensors",
    "jiwer",
    "tensorboard",
    "tqdm",
    "joblib",
}

# Runs a command in a fresh interpreter, and says which modules it has loaded by its end.
COUNTING = """
import json, sys
from audiornn.cli import main
try:
    code = main(sys.argv[2:])
except SystemExit as stop:
    code = stop.code
with open(sys.argv[1], "w") as out:
    json.dump({"code": code, "modules": sorted(name for name in sys.modules)}, out)
"""


@pytest.fixture
def modules_of(tmp_path):
    """The modules that a command loads: whole names, and their first parts."""

    def run(*words, preamble="", cwd=tmp_path):
        out = tmp_path / "modules.json"
        command = [sys.executable, "-c", preamble + COUNTING, str(out), *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=cwd)
        assert done.returncode == 0, done.stderr
        said = json.loads(out.read_text())
        assert said["code"] in (0, None), done.stderr
        return set(said["modules"]), {name.partition(".")[0] for name in said["modules"]}

    return run


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["transcribe", "--help"], ["train", "--help"]])
def test_help_loads_nearly_nothing(modules_of, words):
    whole, first = modules_of(*words)
    assert not first & ({"numpy", "scipy", "soundfile", "soxr", "onnxruntime", "asyncio", "multiprocessing"} | TRAINING)
    ours = {name for name in whole if name.startswith("audiornn")}
    assert {name for name in ours if not name.startswith("audiornn.verbs")} <= {
        "audiornn",
        "audiornn.cli",
        "audiornn.cores",
        "audiornn.errors",
        "audiornn.files",
    }


def test_the_package_loads_nothing():
    code = "import sys; before = set(sys.modules); import audiornn; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded - set(sys.stdlib_module_names) == {"audiornn"}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("form", ["text", "json"])
def test_transcribe_never_meets_training(modules_of, world, model_file, task, form):
    whole, first = modules_of("transcribe", world.recording(), "--model", model_file(task), "--format", form)
    assert not first & (TRAINING | {"scipy", "soxr", "numba", "pandas", "requests", "sympy"})
    assert "http.client" not in whole
    ours = {name for name in whole if name.startswith("audiornn.")}
    assert not [name for name in ours if name.startswith(("audiornn.train", "audiornn.corpus", "audiornn.evaluate"))]
    assert {"numpy", "soundfile", "onnxruntime"} <= first


def test_listening_writes_nothing_into_the_home_and_reports_to_nobody(tmp_path, world, model_file):
    command = [sys.executable, "-m", "audiornn", "transcribe", world.recording(), "--model", model_file("transcribe")]
    without = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    (tmp_path / "home").mkdir()
    done = subprocess.run(
        [*map(str, command)],
        capture_output=True,
        check=True,
        timeout=60,
        env={**without, "HOME": str(tmp_path / "home")},
    )
    assert done.stdout
    assert not done.stderr
    assert not list((tmp_path / "home").rglob("*"))


def test_progress_needs_no_library(tmp_path, monkeypatch):
    from audiornn.verbs.terminal import progress_bar

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with progress_bar("listening", "recording") as progress:
        progress(1, 2)


def test_a_model_s_name_may_be_no_unicode(tmp_path, model_file, world):
    from audiornn.listen.recognizer import load_model

    odd = tmp_path / "m\udcf6del.onnx"
    try:
        shutil.copy(model_file("transcribe"), odd)
    except (OSError, UnicodeError):
        pytest.skip("the disk takes no such name")
    assert load_model(odd).transcribe(world.recording()) == load_model(model_file("transcribe")).transcribe(
        world.recording()
    )


def test_transcribe_at_another_rate_loads_the_resampler_only(modules_of, tmp_path, model_file):
    import numpy as np
    import soundfile

    soundfile.write(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(16000), 16000)
    _, first = modules_of("transcribe", tmp_path / "a.wav", "--model", model_file("transcribe"))
    assert not first & (TRAINING | {"scipy"})
    assert "soxr" in first


@pytest.mark.parametrize("task", ["transcribe", "label"])
def test_spotting_never_meets_training(modules_of, world, model_file, task):
    whole, first = modules_of("spot", world.recording(), "--model", model_file(task), "--keyword", "mi")
    assert not first & (TRAINING | {"scipy", "soxr", "sounddevice"})
    assert not [name for name in whole if name.startswith(("audiornn.train", "audiornn.corpus", "audiornn.evaluate"))]


def test_info_never_meets_training(modules_of, model_file):
    _, first = modules_of("info", model_file("classify"))
    assert not first & (TRAINING | {"scipy"})


def test_evaluating_a_classifier_never_meets_torch(modules_of, world, model_file, prepared):
    _, first = modules_of("evaluate", model_file("classify"), "--data", world.data)
    assert not first & {"torch", "torchaudio", "librosa", "matplotlib", "onnx", "tensorboard"}


def test_prep_never_meets_torch(modules_of, world, tmp_path):
    _, first = modules_of("prep", world.recipe("classify"), "--corpus", world.corpus, "--data", tmp_path / "data")
    assert not first & {"torch", "torchaudio", "librosa", "onnx", "tensorboard", "onnxruntime"}


def test_listening_works_where_nothing_else_is_installed(modules_of, world, model_file):
    """The base install: every module of the training half is forbidden, and so is what the base does not list."""
    forbidden = sorted(TRAINING | {"hypothesis", "pytest", "threadpoolctl", "numba", "tomli"})
    preamble = f"import sys\nfor name in {forbidden!r}: sys.modules[name] = None\n"
    out = model_file("transcribe")
    code = preamble + "from audiornn.cli import main\nraise SystemExit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "transcribe", str(world.recording()), "--model", str(out)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


def test_a_message_reaches_the_user_whole(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "audiornn", "transcribe", "none.wav", "--model", "none.onnx"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "20"},
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("audiornn: none.onnx: no such model file")
    assert len(done.stderr.splitlines()) == 1
