"""A tiny world to test in: every word is a tone of its own pitch, every speaker a detuning of all pitches.

    corpus/strings/<speaker>_<n>_<word>-<word>….wav      one to four words, silence around each
    corpus/single/<speaker>_<n>_<word>.wav               one word

The times of the words follow from their number, so that a recipe can tell the segments without any annotation file.
"""

# ruff: noqa: E402
import os

# Before anything loads numpy or torch: tests compare single-threaded numbers, and share the machine with others.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import contextlib
import errno
import io
import shutil
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, settings

settings.register_profile(
    "tests",
    max_examples=25,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("thorough", settings.get_profile("tests"), max_examples=1000, derandomize=False)
settings.load_profile("tests")  # pytest --hypothesis-profile thorough: many more examples, other ones each time

PITCHES = {"do": 440.0, "mi": 800.0, "sol": 1500.0}
RATE = 8000
WORD_SECONDS, GAP_SECONDS = 0.12, 0.08
SPEAKERS = {"ada": 0.97, "bob": 0.99, "cyd": 1.01, "dan": 1.03, "eva": 1.02, "fay": 0.98}
TRAINING_SPEAKERS = ("ada", "bob", "cyd", "dan")
TASKS = ("transcribe", "classify", "label")
#: Recipes of other outputs, and their tasks: several labels a recording, overlapping segments, values over time.
OUTPUTS = {"tags": "classify", "events": "label", "regress": "regress"}

PREPARE = '''\
"""Words that are tones: <speaker>_<n>_<word>-<word>….wav."""

from audiornn.corpus.manifest import Segment, Utterance

SPLITS = {"eva": "dev", "fay": "test"}


def prepare(corpus_dir, *, kind: str = "strings", between: str = " "):
    splits = {"train": [], "dev": [], "test": []}
    for file in sorted((corpus_dir / kind).glob("*.wav")):
        speaker, _, name = file.stem.split("_")
        words = name.split("-")
        starts = [0.08 + 0.2 * i for i in range(len(words))]
        utterance = Utterance(
            id=f"{kind}/{file.stem}",
            audio=file,
            text=between.join(words),
            speaker=speaker,
            segments=tuple(Segment(start, start + 0.12, word) for start, word in zip(starts, words)),
            track=corpus_dir.parent / "tracks" / f"{file.stem}.csv" if kind == "strings" else None,
        )
        splits[SPLITS.get(speaker, "train")].append(utterance)
    return splits
'''

RECIPE = """\
task = "{task}"
licence = "made for a test"

[corpus]
kind = "{kind}"
{corpus}

[features]
sample_rate = 8000
n_fft = 256
win_length = 200
hop_length = 80
n_mels = 20
n_mfcc = 12

[vocabulary]
unit = "word"
{vocabulary}

[model]
n_layers = 1
n_units = 16
dropout = 0.0
{model}

[augment]
gain = 3.0
time_shift = 0.02
time_masks = 0
band_masks = 0

[training]
epochs = {epochs}
batch_size = 4
learning_rate = 2e-2
device = "cpu"
threads = 1
"""


def spoken(words, *, speaker="ada", rate=RATE, seed=0):
    """The waveform of a string of words."""
    gap = round(GAP_SECONDS * rate)
    time = np.arange(round(WORD_SECONDS * rate)) / rate
    envelope = np.sin(np.pi * np.arange(len(time)) / len(time)) ** 0.5
    pieces = [np.zeros(gap)]
    for word in words:
        pieces += [0.3 * envelope * np.sin(2 * np.pi * PITCHES[word] * SPEAKERS[speaker] * time), np.zeros(gap)]
    waveform = np.concatenate(pieces)
    waveform += 0.003 * np.random.default_rng(seed).standard_normal(len(waveform))
    return waveform.astype(np.float32)


def write_corpus(folder, *, n_train=12, n_held_out=6):
    """Write the corpus, `n_train` strings and as many single words a training speaker."""
    rng = np.random.default_rng(7)
    words = list(PITCHES)
    for kind in ("strings", "single"):
        (folder / kind).mkdir(parents=True)
        for speaker in SPEAKERS:
            for n in range(n_train if speaker in TRAINING_SPEAKERS else n_held_out):
                said = [words[n % 3]] if kind == "single" else [words[i] for i in rng.integers(0, 3, 1 + n % 4)]
                file = folder / kind / f"{speaker}_{n}_{'-'.join(said)}.wav"
                soundfile.write(file, spoken(said, speaker=speaker, seed=n), RATE)
                if kind == "strings":
                    write_track(folder.parent / "tracks" / f"{file.stem}.csv", said, speaker)
    return folder


def write_track(file, words, speaker):
    """The pitch of a string's words every 10 ms, and where there is one."""
    n_rows = round((len(words) * (WORD_SECONDS + GAP_SECONDS) + GAP_SECONDS) / 0.01) + 1
    rows = ["time,log2_f0,voicing"]
    for t in range(n_rows):
        place, inside = divmod(t * 0.01 - GAP_SECONDS + 1e-9, WORD_SECONDS + GAP_SECONDS)
        is_voiced = 0 <= place < len(words) and inside < WORD_SECONDS
        pitch = f"{np.log2(PITCHES[words[int(place)]] * SPEAKERS[speaker]):.5f}" if is_voiced else ""
        rows.append(f"{t * 0.01:.2f},{pitch},{int(is_voiced)}")
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join(rows) + "\n")


def write_recipe(folder, task="transcribe", *, prepare=PREPARE, toml=None):
    """Write a recipe folder for the corpus."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prepare.py").write_text(prepare, encoding="utf-8")
    if toml is None:
        toml = RECIPE.format(
            task=OUTPUTS.get(task, task),
            kind="single" if task == "classify" else "strings",
            corpus='between = ", "' if task == "tags" else "",
            vocabulary="several = true" if task in ("tags", "events") else "",
            model='front = "stack"\nstride = 4' if task == "transcribe" else "",
            epochs={"transcribe": 8, "classify": 3, "label": 3, "tags": 8, "events": 4, "regress": 8}[task],
        )
    (folder / "recipe.toml").write_text(toml, encoding="utf-8")
    return folder


@dataclass(frozen=True)
class World:
    """Folders of a corpus, its recipes, what prep made, and what train made."""

    root: Path

    @property
    def corpus(self):
        return self.root / "corpus"

    @property
    def data(self):
        return self.root / "data"

    @property
    def runs(self):
        return self.root / "runs"

    def recipe(self, task):
        return self.root / "recipes" / f"tones_{task}"

    def recording(self, kind="strings", speaker="fay"):
        return sorted((self.corpus / kind).glob(f"{speaker}_*.wav"))[-1]

    def copy_to(self, root):
        """A copy that a test may damage; what was prepared there remembers the folders of the original."""
        shutil.copytree(self.root, root, dirs_exist_ok=True)
        return World(root)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Torch on one thread, wherever a test loads it; the environment above holds for a torch loaded later."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(autouse=True)
def audits_without_plots(monkeypatch):
    """Most tests prepare a corpus for what comes after; the plots of its audit take longer than all the rest of it.

    Modules that read the page, or go the whole road, replace this fixture by one that does nothing.
    """
    monkeypatch.setattr("audiornn.corpus.audit_page._plots", lambda corpus: "")


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """The corpus and a recipe a task; nothing is prepared yet. Shared: do not write to it."""
    root = tmp_path_factory.mktemp("world")
    write_corpus(root / "corpus")
    for task in (*TASKS, *OUTPUTS):
        write_recipe(root / "recipes" / f"tones_{task}", task)
    return World(root)


@pytest.fixture(scope="session")
def prepared(world):
    """Prepares a task's recipe, once: `prepared("label")`."""
    from audiornn.corpus.preparation import prepare_corpus
    from audiornn.recipe import load_recipe

    made = {}

    def prepare(task):
        if task not in made:
            made[task] = prepare_corpus(load_recipe(world.recipe(task)), world.corpus, world.data)
        return made[task]

    return prepare


@pytest.fixture(scope="session")
def model_file(world, prepared):
    """Trains a task's model, once, and gives its file: `model_file("label")`."""
    made = {}

    def train(task):
        if task not in made:
            pytest.importorskip("torch", reason="training needs torch")
            from audiornn.train.loop import train as run_training

            ready = prepared(task)
            made[task] = run_training(
                ready, ready.recipe, world.runs / f"tones_{task}", report=lambda line: None, show_progress=False
            )
        return made[task]

    return train


@pytest.fixture(scope="session")
def recognizer(model_file):
    """Loads a task's trained model, once: `recognizer("label")`."""
    from audiornn.listen.recognizer import load_model

    made = {}

    def load(task):
        if task not in made:
            made[task] = load_model(model_file(task))
        return made[task]

    return load


@dataclass(frozen=True)
class SpotterWorld:
    """A wake word's recordings, what prep made of them, and the model."""

    root: Path
    source: Path
    prepared: object
    recipe: object
    model: Path


SPOTTER = """\
task = "spot"
licence = "made for a test"

[corpus]
word = "mi"
synthetic = false
other_voices = 0

[features]
kind = "log_mel"
sample_rate = 8000
n_fft = 256
win_length = 200
hop_length = 80
n_mels = 16
n_mfcc = 12

[model]
bidirectional = false
n_layers = 1
n_units = 24
dropout = 0.0
front = "stack"
stride = 3

[augment]
gain = 3.0
warp = 0.02
time_masks = 0
band_masks = 0
noise = 0.2

[spotting]
window_seconds = 1.2
windows = 128

[training]
epochs = 12
batch_size = 16
learning_rate = 1e-2
threads = 1
device = "cpu"
"""


@pytest.fixture(scope="session")
def spotter_world(tmp_path_factory):
    """A spotter for the tone "mi", trained once: positives of one word, background of strings of the others."""
    pytest.importorskip("torch", reason="training needs torch")
    from audiornn.corpus.new_recipe import write_recipe as new_recipe
    from audiornn.corpus.preparation import prepare_corpus
    from audiornn.recipe import load_recipe
    from audiornn.train.loop import train as run_training

    root = tmp_path_factory.mktemp("spotter")
    source = root / "source"
    rng = np.random.default_rng(3)
    for n in range(36):
        speaker = list(SPEAKERS)[n % len(SPEAKERS)]
        (source / "mi").mkdir(parents=True, exist_ok=True)
        (source / "background").mkdir(exist_ok=True)
        (source / "not_mi").mkdir(exist_ok=True)
        word = np.concatenate([np.zeros(RATE // 2), spoken(["mi"], speaker=speaker, seed=n), np.zeros(RATE // 2)])
        soundfile.write(source / "mi" / f"{n:02d}.wav", word + 0.001 * rng.standard_normal(len(word)), RATE)
        talk = spoken([("do", "sol")[i] for i in rng.integers(0, 2, 15)], speaker=speaker, seed=100 + n)
        soundfile.write(source / "background" / f"{n:02d}.wav", talk, RATE)
        soundfile.write(source / "not_mi" / f"{n:02d}.wav", spoken(["do"], speaker=speaker, seed=200 + n), RATE)
    new_recipe("mi", source, recipes=root / "recipes", task="spot", word="mi")
    (root / "recipes" / "mi" / "recipe.toml").write_text(SPOTTER)
    recipe = load_recipe(root / "recipes" / "mi")
    prepared = prepare_corpus(recipe, source, root / "data")
    model = run_training(prepared, recipe, root / "runs" / "mi", report=lambda line: None)
    return SpotterWorld(root, source, prepared, recipe, model)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder that the test works in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capfd):
    """Runs a command of the command line; gives its exit code, standard output and standard error."""
    from audiornn import cli

    def run_command(*words):
        capfd.readouterr()
        try:
            code = cli.main([str(word) for word in words])
        except SystemExit as stop:  # argparse
            code = stop.code
        out, err = capfd.readouterr()
        return code, out, err

    return run_command


@pytest.fixture
def fails(run):
    """Runs a command that must fail in one line that says certain things."""

    def run_command(*words, said=(), code=2, n_lines=1):
        got, out, err = run(*words)
        assert got == code, err
        assert "Traceback" not in err
        assert out == ""
        lines = err.splitlines()
        assert len(lines) == n_lines, err
        assert lines[-1].startswith("audiornn: "), err
        for word in said:
            assert str(word) in err, err
        return err

    return run_command


@pytest.fixture
def works(run):
    """Runs a command that must do; gives its standard output."""

    def run_command(*words):
        code, out, err = run(*words)
        assert code == 0, err
        return out

    return run_command


@pytest.fixture
def heard_by(world, model_file):
    """The arguments that name a task's model."""
    return lambda task="transcribe": ["--model", model_file(task)]


@pytest.fixture
def places(world):
    """The arguments that name where everything is."""
    return ["--data", world.data, "--runs", world.runs]


@pytest.fixture
def closed(monkeypatch):
    """Makes a folder one that this user may not look into, which to root is none."""

    def close(folder):
        real = os.scandir

        def scandir(path="."):
            if os.fspath(path) == str(folder):
                raise PermissionError(errno.EACCES, "Permission denied", str(folder))
            return real(path)

        monkeypatch.setattr(os, "scandir", scandir)

    return close


@pytest.fixture
def through_a_pipe(monkeypatch):
    """Gives standard input some bytes as a shell's pipe does."""
    streams = []

    def give(content):
        reader, writer = os.pipe()

        def feed():
            with contextlib.suppress(BrokenPipeError), os.fdopen(writer, "wb") as out:
                out.write(content)

        threading.Thread(target=feed, daemon=True).start()
        streams.append(io.TextIOWrapper(os.fdopen(reader, "rb")))
        monkeypatch.setattr(sys, "stdin", streams[-1])

    yield give
    for stream in streams:
        stream.close()


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real recordings that lies beside the repository on some machines."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("../shared/data, the real recordings, is not on this machine")
    return folder
