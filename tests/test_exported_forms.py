"""A model file in another form says what the model says: in eight bits, with samples as its input, in JavaScript."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audiornn.errors import ModelFileError
from audiornn.features import FeatureExtractor, FeatureSettings
from audiornn.listen.recognizer import load_model
from audiornn.model_file import ModelCard, open_model_file
from audiornn.settings import NetworkSettings
from audiornn.train.export import write_model_file
from audiornn.train.network import Network
from audiornn.train.quantize import quantize_int8
from audiornn.train.waveform_graph import write_waveform_model
from audiornn.vocabulary import BLANK, Vocabulary
from tests.conftest import RATE, TASKS, spoken
from tests.test_network import SHAPES

EXAMPLE = Path(__file__).parent.parent / "examples" / "javascript"


def untrained(folder, features, settings=None, task="transcribe"):
    settings = settings or NetworkSettings(n_units=6, n_layers=1, front="conv", stride=2)
    network = Network(settings, n_features=features.n_features, n_outputs=4, task=task).eval()
    symbols = Vocabulary((BLANK, " ", "ä", "日"), "character")
    card = ModelCard(task, features, symbols, settings.stride, front_context=settings.front_context)
    write_model_file(folder / "model.onnx", network, card)
    return folder / "model.onnx"


FEATURES = [
    pytest.param(
        FeatureSettings(**{"n_mels": 20, "n_mfcc": 12, **given}), id="-".join(f"{k}={v}" for k, v in given.items())
    )
    for given in (
        {},
        {"kind": "log_mel"},
        {"deltas": 1},
        {"deltas": 2, "kind": "log_mel"},
        {"n_fft": 512},
        {"n_fft": 401, "win_length": 401},
        {"sample_rate": 8000, "n_fft": 256, "win_length": 200, "hop_length": 80},
        {"fmin": 100.0, "fmax": 4000.0},
        {"kind": "autocorrelation", "n_fft": 1024, "win_length": 1024, "n_lags": 24},
    )
]


@pytest.mark.parametrize("features", FEATURES)
def test_a_graph_that_takes_samples_says_the_same(features, tmp_path):
    path = untrained(tmp_path, features)
    write_waveform_model(path, tmp_path / "waveform.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "waveform.onnx")
    model, extract = load_model(path), FeatureExtractor(features)
    rng = np.random.default_rng(0)
    for n_samples in (1, 160, 399, 400, 401, 1279, 1280, 1281, 9 * 160, 16000):
        waveform = (0.1 * rng.standard_normal(n_samples)).astype(np.float32)
        waveform[n_samples // 2 :] *= 1e-3
        found, rate, step = session.run(["log_probs", "sample_rate", "seconds_per_frame"], {"waveform": waveform})
        np.testing.assert_allclose(found, model.log_probs(extract(waveform)), rtol=0, atol=1e-4)
    assert (rate[0], step[0]) == (features.sample_rate, np.float32(model.card.output_seconds))
    assert session.run(["symbols"], {"waveform": waveform})[0].tolist() == [BLANK, " ", "ä", "日"]
    with pytest.raises(ModelFileError, match="takes samples"):
        open_model_file(tmp_path / "waveform.onnx")


@pytest.mark.parametrize("task", TASKS)
def test_a_trained_model_that_takes_samples(model_file, recognizer, world, tmp_path, task):
    write_waveform_model(model_file(task), tmp_path / "waveform.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "waveform.onnx")
    samples = spoken(["do", "sol"], speaker="fay")
    expected = recognizer(task).log_probs(FeatureExtractor(recognizer(task).card.features)(samples))
    np.testing.assert_allclose(session.run(["log_probs"], {"waveform": samples})[0], expected, rtol=0, atol=1e-3)


def test_a_stream_that_takes_samples_begins_at_its_beginning(tmp_path):
    settings = NetworkSettings(bidirectional=False, n_units=6, n_layers=2, front="conv", stride=3)
    path = untrained(tmp_path, FeatureSettings(), settings)
    write_waveform_model(path, tmp_path / "waveform.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "waveform.onnx")
    assert [value.name for value in session.get_inputs()] == ["waveform"]
    samples = 0.1 * np.random.default_rng(1).standard_normal(8000).astype(np.float32)
    expected = load_model(path).log_probs(FeatureExtractor(FeatureSettings())(samples))
    np.testing.assert_allclose(session.run(["log_probs"], {"waveform": samples})[0], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("settings", SHAPES)
def test_int8_is_near_and_smaller(settings, tmp_path):
    larger = NetworkSettings(**{**vars(settings), "n_units": 192, "n_layers": 2})
    path = untrained(tmp_path, FeatureSettings(n_mfcc=20), larger)
    quantize_int8(path, tmp_path / "int8.onnx")
    assert path.stat().st_size > 2.5 * (tmp_path / "int8.onnx").stat().st_size
    float_model, int_model = load_model(path), load_model(tmp_path / "int8.onnx")
    assert int_model.card == float_model.card
    with pytest.raises(ModelFileError, match="int8 already"):
        quantize_int8(tmp_path / "int8.onnx", tmp_path / "again.onnx")
    features = np.random.default_rng(0).standard_normal((50, 20)).astype(np.float32)
    expected = float_model.log_probs(features)
    assert 0 < np.abs(int_model.log_probs(features) - expected).max() < 0.1
    if not settings.bidirectional:  # it streams, too
        stream = int_model._hearing.stream(None)
        found = np.concatenate([stream.push(features[:30]), stream.push(features[30:]), stream.finish()])
        np.testing.assert_allclose(found, expected, rtol=0, atol=0.1)


def test_int8_hears_what_the_model_hears(model_file, recognizer, prepared, tmp_path):
    quantize_int8(model_file("transcribe"), tmp_path / "int8.onnx")
    small = load_model(tmp_path / "int8.onnx")
    for utterance in prepared("transcribe").utterances("test"):
        assert small.transcribe(utterance.audio).text == recognizer("transcribe").transcribe(utterance.audio).text


@given(st.integers(1, 3), st.integers(1, 40), st.floats(1e-6, 1e3))
def test_rows_in_int8_are_within_half_a_step(n_rows, width, scale):
    from audiornn.train.quantize import _rows_in_int8

    rows = (scale * np.random.default_rng(n_rows * width).standard_normal((n_rows, width))).astype(np.float32)
    packed, scales = _rows_in_int8(rows)
    assert np.all(np.abs(packed * scales[:, None] - rows) <= scales[:, None] * 0.501)


@pytest.fixture(scope="session")
def javascript():
    """The folder of the example with its packages, which npm brings."""
    if not EXAMPLE.is_dir() or not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("Node.js is not on this machine")
    if not (EXAMPLE / "node_modules" / "onnxruntime-web").is_dir():
        command = ["npm", "install", "--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=EXAMPLE, capture_output=True, text=True, timeout=200)
        if done.returncode:
            pytest.skip(f"npm cannot install onnxruntime-web here: {done.stderr.strip()[-200:]}")
    return EXAMPLE


@pytest.mark.parametrize("form", ["float32", "int8"])
def test_javascript_hears_the_same(javascript, model_file, recognizer, world, tmp_path, form):
    source = model_file("transcribe")
    if form == "int8":
        quantize_int8(source, tmp_path / "int8.onnx")
        source = tmp_path / "int8.onnx"
    write_waveform_model(source, tmp_path / "waveform.onnx")
    model = load_model(source)
    samples, rate = soundfile.read(world.recording(), dtype="float32")
    assert rate == RATE
    command = ["node", "transcribe.mjs", str(tmp_path / "waveform.onnx"), str(world.recording())]
    done = subprocess.run([*command, "--log-probs"], cwd=javascript, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    heard = json.loads(done.stdout.splitlines()[-1])
    expected = model.log_probs(FeatureExtractor(model.card.features)(samples))
    found = np.array(heard["log_probs"]).reshape(heard["dims"])
    # Eight-bit products saturate on CPUs without VNNI, and WebAssembly's do not.
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.2 if form == "int8" else 1e-3)
    assert heard["text"] == model.transcribe(world.recording()).text
    if form == "float32":  # as a user calls it, who wants the text alone
        plain = subprocess.run(command, cwd=javascript, capture_output=True, text=True, timeout=60)
        assert plain.stdout.strip() == heard["text"]


def test_the_metadata_travels_with_the_forms(model_file, tmp_path):
    quantize_int8(model_file("label"), tmp_path / "int8.onnx")
    before, after = (onnx.load(path) for path in (model_file("label"), tmp_path / "int8.onnx"))
    kept = {p.key: p.value for p in after.metadata_props}
    assert all(kept[p.key] == p.value for p in before.metadata_props)
