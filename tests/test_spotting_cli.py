"""spot and evaluate --keyword as a person types them; a microphone that is none."""

import contextlib
import dataclasses
import importlib.util
import io
import itertools
import json
import subprocess
import sys
import threading
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiornn.errors import AudioError, SettingsError
from audiornn.evaluate import explain
from audiornn.evaluate.chosen import write_card
from audiornn.listen import microphone
from audiornn.listen.hit_command import HitCommand
from audiornn.listen.keywords import Scores, SpotSettings, settings_of
from audiornn.listen.microphone import microphone_blocks
from audiornn.listen.recognizer import load_model
from audiornn.listen.results import KeywordSpot
from tests.conftest import RATE, spoken

pytestmark = [pytest.mark.usefixtures("here"), pytest.mark.filterwarnings("error::ResourceWarning")]

SAID = ["sol", "do", "mi", "mi"]


def said(words=SAID, pause=1.0):
    return np.concatenate([spoken(words, speaker="fay"), np.zeros(round(pause * RATE), np.float32)])


@pytest.fixture
def recording(here):
    soundfile.write("said.wav", said(), RATE)
    return here / "said.wav"


@pytest.fixture
def piped(through_a_pipe):
    """Gives standard input a WAV as a shell's pipe does."""

    def give(samples):
        out = io.BytesIO()
        soundfile.write(out, samples, RATE, format="WAV")
        through_a_pipe(out.getvalue())

    return give


# --- files and pipes ---


def test_hits_as_text_and_as_json(works, recording, heard_by):
    rows = [line.split("\t") for line in works("spot", recording, *heard_by(), "--keyword", "mi").splitlines()]
    assert [row[2] for row in rows] == ["mi", "mi"]
    out = works("spot", recording, *heard_by(), "--keyword", "mi", "--keyword", "do", "--format", "json")
    entries = [json.loads(line) for line in out.splitlines()]
    assert [entry["keyword"] for entry in entries] == ["do", "mi", "mi"]
    for entry in entries:
        assert set(entry) == {"audio", "keyword", "start", "end", "score", "model"}
        assert entry["audio"] == str(recording)
    of_mi = [entry for entry in entries if entry["keyword"] == "mi"]
    for entry, row in zip(of_mi, rows, strict=True):
        assert (f"{entry['start']:.2f}", f"{entry['end']:.2f}") == (row[0], row[1])


def test_several_recordings_are_named(run, recording, heard_by):
    soundfile.write("other.wav", said(["do"]), RATE)
    code, out, err = run("spot", "said.wav", "missing.wav", "other.wav", *heard_by(), "--keyword", "do")
    assert code == 1
    assert [line.split("\t")[0] for line in out.splitlines()] == ["said.wav", "other.wav"]
    assert err == "audiornn: missing.wav: no such file\n"


def test_a_labelling_model_spots_its_labels(works, recording, heard_by):
    out = works("spot", recording, *heard_by("label"))
    assert [line.split("\t")[2] for line in out.splitlines()][:3] == ["sol", "do", "mi"]


def test_a_pipe_is_spotted_in(works, heard_by, piped):
    piped(said())
    assert works("spot", "-", *heard_by(), "--keyword", "mi", "--look-ahead", "0.3").count("\tmi\t") == 2


def test_hits_come_while_the_pipe_is_open(model_file):
    command = [sys.executable, "-m", "audiornn", "spot", "-", "--model", str(model_file("transcribe"))]
    command += ["--keyword", "mi", "--look-ahead", "0.2"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        header = io.BytesIO()
        soundfile.write(header, np.zeros(0, np.float32), RATE, format="WAV", subtype="PCM_16")
        endless = bytearray(header.getvalue())
        endless[4:8] = endless[40:44] = (0xFFFFFFFF).to_bytes(4, "little")
        process.stdin.write(endless)
        for _ in range(2):
            process.stdin.write((said(["sol", "mi", "do"]) * 32767).astype("<i2").tobytes())
            process.stdin.flush()
            assert process.stdout.readline().split(b"\t")[2] == b"mi"
        process.stdin.close()
        assert process.wait(timeout=20) == 0


def test_a_threshold(works, recording, heard_by):
    few = works("spot", recording, *heard_by(), "--keyword", "sol", "--keyword", "do", "--threshold", "1")
    many = works("spot", recording, *heard_by(), "--keyword", "sol", "--keyword", "do", "--threshold", "0.05")
    assert len(few.splitlines()) < len(many.splitlines())


@pytest.mark.parametrize(
    ("words", "said_"),
    [
        ([], ["--keyword"]),
        (["--keyword", "MI"], ["it writes 'mi'"]),
        (["--keyword", "soll"], ["'soll'", "sol"]),
        (["--keyword", "mi", "--exec", "'"], ["--exec"]),
        (["--keyword", "mi", "--exec", " "], ["no program"]),
        (["--keyword", "mi", "--device", "USB"], ["--microphone"]),
        (["--keyword", "mi", "--microphone"], ["--microphone alone"]),
    ],
)
def test_what_cannot_be_spotted(fails, recording, heard_by, words, said_):
    fails("spot", recording, *heard_by(), *words, said=said_)


def test_a_classifier_spots_its_labels(works, heard_by, piped):
    pauses = np.concatenate([said([word], pause=0.6) for word in ["do", "mi", "do"]])
    soundfile.write("said.wav", pauses, RATE)
    rows = [line.split("\t") for line in works("spot", "said.wav", *heard_by("classify")).splitlines()]
    assert [row[2] for row in rows] == ["do", "mi", "do"]
    piped(pauses)
    assert [line.split("\t") for line in works("spot", "-", *heard_by("classify")).splitlines()] == rows


def test_options_that_would_do_nothing(fails, recording, heard_by):
    fails("spot", recording, *heard_by("label"), "--inside-words", said=["--inside-words", "spell"])
    fails("spot", "--microphone", *heard_by("label"), "--channel", "2", said=["--channel"])


def test_no_hit_of_a_classifier_ends_after_the_recording(works, heard_by, piped):
    sound = spoken(["sol", "do"], speaker="fay")
    for length in (len(sound), int(0.8 * len(sound)), int(0.6 * len(sound))):
        soundfile.write("cut.wav", sound[:length], RATE)
        out = works("spot", "cut.wav", *heard_by("classify"), "--threshold", "0.01")
        ends = [float(line.split("\t")[1]) for line in out.splitlines()]
        assert ends
        assert max(ends) <= length / RATE
        piped(sound[:length])
        assert works("spot", "-", *heard_by("classify"), "--threshold", "0.01") == out
        model = load_model(heard_by("classify")[1])
        stream = model.spotter(
            sample_rate=RATE, settings=model.spot_settings.with_onset(0.01, model.card.vocabulary.symbols)
        )
        blocks = np.array_split(soundfile.read("cut.wav", dtype="float32")[0], 23)
        spots = [spot for block in blocks for spot in stream.push(block)] + stream.finish()
        assert [f"{spot.end:.2f}" for spot in spots] == [line.split("\t")[1] for line in out.splitlines()]


def test_a_classifier_has_no_look_ahead(fails, recording, heard_by):
    fails("spot", recording, *heard_by("classify"), "--look-ahead", "0.3", said=["windows of", "look-ahead"])


def test_thresholds_are_numbers(run, recording, heard_by):
    for value in ("0", "1.5", "high"):
        code, _, err = run("spot", recording, *heard_by(), "--keyword", "mi", "--threshold", value)
        assert code == 2
        assert "must be a number above 0" in err


def test_explained(run, recording, heard_by, fails):
    pytest.importorskip("matplotlib")
    code, out, _ = run("spot", recording, *heard_by(), "--keyword", "mi", "--keyword", "do", "--explain", "why.png")
    assert code == 0
    assert len(out.splitlines()) == 3
    assert Path("why.png").read_bytes()[:4] == b"\x89PNG"
    fails("spot", recording, recording, *heard_by(), "--keyword", "mi", "--explain", "a.png", said=["one recording"])
    code, out, err = run("spot", recording, *heard_by(), "--keyword", "mi", "--explain", "no/where.png")
    assert (code, out) == (2, "")  # said before an hour is heard
    assert "there is no folder no" in err


@pytest.mark.parametrize(("seconds", "n_spots"), [(2, 3), (90, 30), (3600, 200)])
@pytest.mark.parametrize("keywords", [["computer"], ["computer", "happy"]])
def test_a_picture_of_many_hits_can_be_read(tmp_path, monkeypatch, seconds, n_spots, keywords):
    pytest.importorskip("matplotlib")
    figures = []
    monkeypatch.setattr(explain, "_save", lambda figure, path: figures.append(figure))
    values = np.full((100, len(keywords)), 0.97, np.float32)
    times = np.linspace(0, seconds - 0.1, n_spots)
    spots = [KeywordSpot(keywords[i % len(keywords)], t, t + 0.1, 0.97) for i, t in enumerate(times)]
    scores, waveform = Scores(values, values, values), np.ones(seconds * 50, np.float32)
    explain.draw_spots(tmp_path / "a.png", waveform, 50, scores, keywords, SpotSettings(), spots, seconds / 100)
    (figure,) = figures
    figure.draw_without_rendering()
    top, first = figure.axes[:2]
    peaks = {top: 1.0, first: values.max()}
    assert bool(top.texts) == (len(keywords) > 1), "one keyword is named by its axis"
    for axis, peak in peaks.items():
        own = [text for text in axis.texts if text.get_text() in ("0.97", *keywords)]
        assert own or axis is top
        frame, boxes = axis.get_window_extent(), [text.get_window_extent() for text in own]
        assert all(frame.x0 - 1 <= box.x0 and box.x1 <= frame.x1 + 1 for box in boxes), "within its axis"
        assert all(a.x1 < b.x0 for a, b in itertools.pairwise(sorted(boxes, key=lambda box: box.x0))), (
            "none over another"
        )
        assert all(box.y0 > axis.transData.transform((0, peak))[1] for box in boxes), "above what is drawn"


def test_a_picture_without_matplotlib_is_refused_before_listening(run, recording, heard_by, monkeypatch):
    spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else spec(name))
    code, out, err = run("spot", recording, *heard_by(), "--keyword", "mi", "--explain", "why.png")
    assert (code, out) == (2, "")
    assert "this needs matplotlib, which is not installed: pip install 'audiornn[evaluate]'" in err


# --- a program at a hit ---


SPOT = KeywordSpot("mi", 1.25, 1.5, 0.875)
TELL = (
    "import os, pathlib; names = ['KEYWORD', 'START', 'END', 'SCORE']; "
    "print(*(os.environ['AUDIORNN_' + n] for n in names), file=open('told.txt', 'a'))"
)


def test_a_program_at_each_hit(run, recording, heard_by):
    code, out, err = run("spot", recording, *heard_by(), "--keyword", "mi", "--exec", f'{sys.executable} -c "{TELL}"')
    assert (code, err) == (0, "")
    told = sorted(line.split() for line in Path("told.txt").read_text().splitlines())
    rows = sorted(line.split("\t") for line in out.splitlines())
    assert [(word, f"{float(start):.2f}") for word, start, _, _ in told] == [(row[2], row[0]) for row in rows]


def test_a_program_that_fails_is_told_and_listening_goes_on(run, recording, heard_by):
    code, out, err = run(
        "spot", recording, *heard_by(), "--keyword", "mi", "--exec", f'{sys.executable} -c "raise SystemExit(3)"'
    )
    assert code == 0
    assert len(out.splitlines()) == 2
    assert err.count("(exit code 3)") == 2
    code, out, err = run("spot", recording, *heard_by(), "--keyword", "mi", "--exec", "no-such-program --now")
    assert code == 0
    assert len(out.splitlines()) == 2
    assert err.count("no-such-program: cannot be run at 'mi' (No such file or directory); listening goes on") == 2


def test_no_shell():
    said_ = []
    command = HitCommand("echo hello > file; touch other", said_.append)
    command(SPOT)
    command.check(wait=True)
    assert not Path("file").exists()
    assert not Path("other").exists()
    with pytest.raises(SettingsError, match="cannot be split"):
        HitCommand("echo 'x", said_.append)


# --- a microphone ---


class FakePortAudioError(Exception):
    pass


class FakeMicrophone(types.ModuleType):
    """sounddevice as far as it is used: gives samples in blocks, and may have faults."""

    PortAudioError = FakePortAudioError

    def __init__(self, samples, rate=RATE, rates=None, fault="", then=""):
        super().__init__("sounddevice")
        self.samples, self.rate, self.rates = samples, rate, rates or [rate]
        self.fault, self.then = fault, then
        self.opened = []

    def query_devices(self, device=None, kind=None):
        if self.fault == "none":
            raise FakePortAudioError("Error querying device -1")
        if isinstance(device, str):
            raise ValueError(f"No input device matching {device!r}")
        return {"name": "fake", "default_samplerate": float(self.rate), "max_input_channels": 2}

    def check_input_settings(self, *, device, channels, dtype, samplerate):
        if samplerate not in self.rates:
            raise FakePortAudioError("Invalid sample rate", -9997)

    def InputStream(self, *, samplerate, device, channels, dtype, blocksize, callback, finished_callback):  # noqa: N802
        if self.fault == "busy":
            raise FakePortAudioError("Device unavailable", -9985)
        self.opened.append(samplerate)

        @contextlib.contextmanager
        def opened():
            def feed():
                for i in range(0, len(self.samples), blocksize):
                    block = self.samples[i : i + blocksize, None]
                    status = types.SimpleNamespace(input_overflow=self.fault == "slow")
                    callback(block, len(block), None, status)
                if self.then == "unplugged":
                    finished_callback()

            thread = threading.Thread(target=feed, daemon=True)
            thread.start()
            yield
            thread.join()

        return opened()


@pytest.fixture
def microphone_of(monkeypatch):
    monkeypatch.setattr(microphone, "SILENT_DEVICE", 0.2)

    def install(*args, **options):
        fake = FakeMicrophone(*args, **options)
        monkeypatch.setitem(sys.modules, "sounddevice", fake)
        return fake

    return install


@pytest.mark.parametrize("then", ["unplugged", "silent"])
def test_a_microphone_that_disappears(run, heard_by, microphone_of, then):
    microphone_of(said(), then=then)
    code, out, err = run("spot", "--microphone", *heard_by(), "--keyword", "mi", "--look-ahead", "0.2")
    assert code == 1
    assert out.count("\tmi\t") == 2  # what it heard last is told all the same
    assert "audiornn: the microphone stopped giving samples; was it unplugged?" in err


def test_a_rate_that_the_device_cannot_give(run, heard_by, microphone_of):
    samples = np.concatenate([spoken(SAID, speaker="fay", rate=44100), np.zeros(44100, np.float32)])
    fake = microphone_of(samples, rate=44100)
    code, out, _ = run("spot", "--microphone", *heard_by(), "--keyword", "do", "--look-ahead", "0.2")
    assert code == 1
    assert fake.opened == [44100]
    assert out.count("\tdo\t") == 1


def test_no_microphone(fails, run, heard_by, microphone_of, monkeypatch):
    words = ["spot", "--microphone", *heard_by(), "--keyword", "mi"]
    for fault, line in (("none", "there is no microphone (Error querying device -1)"), ("busy", "Device unavailable")):
        microphone_of(said(), fault=fault)
        code, out, err = run(*words)
        assert (code, out) == (2, "")
        assert line in err.splitlines()[-1]
    microphone_of(said())
    code, _, err = run(*words, "--device", "USB")
    assert code == 2
    assert "there is no microphone 'USB'" in err
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    code, _, err = run(*words)
    assert code == 2
    assert "pip install 'audiornn[mic]'" in err.splitlines()[-1]


def test_samples_that_are_lost_are_told(microphone_of):
    microphone_of(said(), fault="slow", then="unplugged")
    lines = []
    with pytest.raises(AudioError, match="unplugged"):
        list(microphone_blocks(RATE, report=lines.append))
    assert len(lines) == 1
    assert "lost" in lines[0]


# --- evaluate ---


def test_thresholds_are_chosen_on_dev_and_kept(works, fails, run, here, places, model_file):
    model = here / "model.onnx"
    model.write_bytes(model_file("transcribe").read_bytes())
    before = load_model(model).spot(said(), ["mi"], RATE)
    words = ["evaluate", model, *places, "--keyword", "mi", "--keyword", "do", "--false-alarms-per-hour", "20"]
    text = works(*words)
    assert "missed" in text
    assert "(95 %); to show 20, test 0.15 h" in text
    assert settings_of(load_model(model).card).thresholds == {}
    entry = json.loads(works(*words, "--tune", "--format", "json"))
    thresholds = settings_of(load_model(model).card).thresholds
    assert set(thresholds) == {"mi", "do"}
    assert {row["keyword"]: row["threshold"] for row in entry["keywords"]} == {k: v[0] for k, v in thresholds.items()}
    assert entry["keywords"][0]["det"]
    assert [spot.keyword for spot in load_model(model).spot(said(), None, RATE)] == ["do", "mi", "mi"]
    assert len(before) == 2
    assert f"mi from {thresholds['mi'][0]:g}" in works("info", model)
    again = json.loads(works("evaluate", model, *places, "--keyword", "mi", "--format", "json"))
    assert again["keywords"][0]["threshold"] == thresholds["mi"][0]
    fails("evaluate", model, *places, "--keyword", "mi", "--tune", said=["--false-alarms-per-hour"])


def test_a_curve_is_drawn(works, places, model_file):
    pytest.importorskip("matplotlib")
    words = ["evaluate", model_file("transcribe"), *places, "--keyword", "mi", "--keyword", "do"]
    works(*words, "--tolerance", "0.1", "--look-ahead", "0.3", "--det", "det.png")
    assert Path("det.png").read_bytes()[:4] == b"\x89PNG"


def test_latencies_that_no_stream_has_are_told(works, places, model_file):
    asked = ["evaluate", model_file("label"), *places, "--keyword", "mi"]
    assert "latencies are of a network that heard the whole recording; a stream adds its look-ahead, 3 s" in works(
        *asked
    )
    assert "whole recording" not in works(*asked, "--look-ahead", "0.3")
    asked[1] = model_file("classify")
    assert "whole recording" not in works(*asked), "a classifier hears windows, in a stream, too"


def test_a_labeller_is_evaluated_on_all_its_labels(works, places, model_file):
    entry = json.loads(
        works("evaluate", model_file("label"), *places, "--false-alarms-per-hour", "50", "--format", "json")
    )
    assert [row["keyword"] for row in entry["keywords"]] == ["do", "mi", "sol"]
    assert entry["timed"]


def test_a_labeller_whose_keywords_were_tuned_is_still_one(works, places, model_file, here):
    model = here / "model.onnx"
    model.write_bytes(model_file("label").read_bytes())
    works("evaluate", model, *places, "--keyword", "mi", "--false-alarms-per-hour", "20", "--tune")
    assert "frame_f1" in json.loads(works("evaluate", model, *places, "--format", "json"))["segments"]
    card = load_model(model).card
    write_card(
        model, dataclasses.replace(card, training={**card.training, "false_alarms_per_hour": 0.5})
    )  # as a spotter
    assert "keywords" in json.loads(works("evaluate", model, *places, "--format", "json"))


def test_evaluation_of_what_cannot_be_spotted(fails, run, places, model_file):
    fails("evaluate", model_file("transcribe"), *places, "--keyword", "re", said=["'re'"])
    fails("evaluate", model_file("classify"), *places, "--keyword", "re", said=["'re'"])
    asked = ["--keyword", "mi", "--beam", "20"]
    fails("evaluate", model_file("transcribe"), *places, *asked, said=["need no transcript", "--beam would do nothing"])
    fails("evaluate", model_file("label"), *places, "--false-alarms-per-hour", "0", said=["above 0"])
    code, _, err = run("evaluate", model_file("transcribe"), *places, "--false-alarms-per-hour", "few")
    assert code == 2
    assert "false alarms an hour" in err
