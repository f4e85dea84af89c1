"""However a recording arrives, it is the same recording: blocks, streams and windows give what one pass gives."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from audiornn.audio import load_audio
from audiornn.errors import AudioError, ModelFileError, SettingsError
from audiornn.features import FeatureExtractor, FeatureSettings
from audiornn.listen import hearing, streaming
from audiornn.listen.recognizer import Recognizer
from audiornn.listen.streaming import swept
from audiornn.model_file import ModelCard, open_model_file
from audiornn.settings import NetworkSettings
from audiornn.train.export import write_model_file
from audiornn.vocabulary import BLANK, Vocabulary
from tests.conftest import RATE, spoken
from tests.test_network import N_FEATURES, SHAPES, network_of

SETTINGS = FeatureSettings(sample_rate=8000, n_fft=256, win_length=200, hop_length=80, n_mels=20, n_mfcc=N_FEATURES)
ONE_DIRECTION = [shape for shape in SHAPES if not shape.values[0].bidirectional]
BOTH_DIRECTIONS = [shape for shape in SHAPES if shape.values[0].bidirectional]


#: Of a property that every shape of a network must have: the shapes are many, and their examples together, too.
few_each = hypothesis_settings(max_examples=8)


def listener(folder, settings, task="transcribe", normalisation="global", threads=1, hears=None):
    """A recogniser with an untrained network of these settings, which has an opinion on what it `hears`."""
    network = network_of(settings, task, normalisation)
    if hears is not None:
        features = torch.from_numpy(FeatureExtractor(SETTINGS)(hears))
        network.mean.copy_(features.mean(dim=0))
        network.scale.copy_(3 / features.std(dim=0))
        with torch.no_grad():
            network.output.weight *= 30
            network.output.bias.zero_()
    path = folder / f"{task}.onnx"
    card = ModelCard(
        task=task,
        features=FeatureSettings(**{**vars(SETTINGS), "normalisation": normalisation}),
        vocabulary=Vocabulary((BLANK, "a", "b", "c"), "word"),
        stride=settings.stride,
        front_context=settings.front_context,
    )
    write_model_file(path, network, card)
    return Recognizer(*open_model_file(path), threads=threads)


def assert_same(found, expected):
    for label, true in zip(found, expected, strict=True):
        assert (label.label, label.start, label.end) == (true.label, true.start, true.end)
        assert label.confidence == pytest.approx(true.confidence, abs=1e-3)


def cuts(n, sizes):
    """`n` things cut into pieces of these sizes, again and again."""
    borders = [0, *(b for b in itertools.accumulate(itertools.islice(itertools.cycle(sizes), n)) if b < n), n]
    return itertools.pairwise(borders)


def streamed(stream, features, sizes):
    parts = [stream.push(features[a:b]) for a, b in cuts(len(features), sizes)]
    return np.concatenate([*parts, stream.finish()])


@pytest.mark.parametrize("settings", ONE_DIRECTION)
def test_one_direction_carries_its_state(settings, tmp_path):
    model = listener(tmp_path, settings)
    features = np.random.default_rng(0).standard_normal((61, N_FEATURES)).astype(np.float32)
    whole = model.log_probs(features)

    @few_each
    @given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(1, 61))
    def equal(sizes, n):
        found = streamed(model._hearing.stream(None, 0.1), features[:n], sizes)
        np.testing.assert_allclose(found, model.log_probs(features[:n]), rtol=0, atol=2e-5)

    equal()
    assert len(whole) == -(-61 // settings.stride)


@pytest.mark.parametrize("normalisation", ["global", "utterance"])
@pytest.mark.parametrize("settings", SHAPES)
def test_sweeps_are_one_pass(settings, normalisation, tmp_path, monkeypatch):
    model = listener(tmp_path, settings, normalisation=normalisation)
    features = np.random.default_rng(0).standard_normal((97, N_FEATURES)).astype(np.float32)

    @few_each
    @given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.floats(0.01, 0.5), st.integers(1, 97))
    def equal(sizes, stretch, n):
        monkeypatch.setattr(streaming, "STRETCH", stretch)
        blocks = [features[a:b] for a, b in cuts(n, sizes)]
        for n_threads in (1, 3):
            found = np.concatenate(list(swept(model._hearing.network, blocks, n_threads)))
            np.testing.assert_allclose(found, model.log_probs(features[:n]), rtol=0, atol=3e-5)

    equal()


@pytest.mark.parametrize("settings", BOTH_DIRECTIONS)
def test_a_look_ahead_that_sees_everything_is_one_pass(settings, tmp_path):
    model = listener(tmp_path, NetworkSettings(**{**vars(settings), "n_layers": 2}))
    features = np.random.default_rng(0).standard_normal((61, N_FEATURES)).astype(np.float32)
    found = streamed(model._hearing.stream(1.0, 0.1), features, [7])
    np.testing.assert_allclose(found, model.log_probs(features), rtol=0, atol=2e-5)


@pytest.mark.parametrize("settings", BOTH_DIRECTIONS)
def test_steps_depend_on_their_sizes_and_never_on_the_blocks(settings, tmp_path):
    model = listener(tmp_path, settings)
    features = np.random.default_rng(1).standard_normal((90, N_FEATURES)).astype(np.float32)

    @few_each
    @given(st.lists(st.integers(1, 40), min_size=1, max_size=6))
    def equal(sizes):
        found = streamed(model._hearing.stream(0.05, 0.1), features, sizes)
        np.testing.assert_array_equal(found, streamed(model._hearing.stream(0.05, 0.1), features, [90]))

    equal()


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_one_layer_with_a_look_ahead_is_the_recording_cut_there(cell, tmp_path):
    """By definition: what is said of a step is what would be said if the recording ended where its view does."""
    model = listener(tmp_path, NetworkSettings(cell=cell, n_units=6, n_layers=1, dropout=0.0))
    features = np.random.default_rng(2).standard_normal((60, N_FEATURES)).astype(np.float32)
    found = streamed(model._hearing.stream(0.1, 0.1), features, [13])
    for begin in range(0, 60, 10):
        expected = model.log_probs(features[: begin + 20])[begin : begin + 10]
        np.testing.assert_allclose(found[begin : begin + 10], expected, rtol=0, atol=2e-5)


def test_a_step_sees_its_look_ahead_and_no_more(tmp_path):
    model = listener(tmp_path, NetworkSettings(n_units=6, dropout=0.0))
    features = np.random.default_rng(2).standard_normal((100, N_FEATURES)).astype(np.float32)
    changed = features.copy()
    changed[60:] += 5.0
    before, after = (streamed(model._hearing.stream(0.2, 0.1), f, [7]) for f in (features, changed))
    differ = np.flatnonzero(np.abs(before - after).max(axis=1) > 0)
    # steps of 10 frames that see 20 more: the step 30…39 ends its view at frame 60
    assert differ[0] == 40
    assert model._hearing.stream(0.2, 0.1).latency == 30


@pytest.mark.parametrize("task", ["transcribe", "label"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_words_are_the_same_however_samples_come(tmp_path, task, cell, bidirectional):
    settings = NetworkSettings(cell=cell, bidirectional=bidirectional, n_units=8, front="conv", stride=2)
    samples = spoken(["do", "mi", "sol"] * 3, seed=5)
    model = listener(tmp_path, settings, task, hears=samples)
    look_ahead = 0.1 if bidirectional else None
    whole = model.transcribe(samples, RATE, look_ahead=look_ahead)
    expected = whole.words if task == "transcribe" else whole.segments
    assert len(expected) > 2

    @few_each
    @given(st.lists(st.integers(1, 6000), min_size=1, max_size=5))
    def equal(sizes):
        stream = model.stream(RATE, look_ahead=look_ahead)
        given_so_far = [label for a, b in cuts(len(samples), sizes) for label in stream.push(samples[a:b])]
        found = [*given_so_far, *stream.finish()]
        if task == "label":  # they overlap, and come as they are over
            found.sort(key=lambda segment: (segment.start, model.card.vocabulary.symbols.index(segment.label)))
        assert_same(found, expected)
        assert stream.duration == whole.duration

    equal()
    blocks = (samples[a:b] for a, b in cuts(len(samples), [999]))
    found = model.transcribe(blocks, RATE, look_ahead=look_ahead)
    assert_same(found.words if task == "transcribe" else found.segments, expected)


def test_a_long_recording_is_heard_as_in_one_pass(recognizer, monkeypatch):
    model = recognizer("transcribe")
    words = [["do", "mi", "sol"][i] for i in np.random.default_rng(3).integers(0, 3, 400)]
    samples = spoken(words, speaker="fay")
    assert len(samples) / RATE > hearing.LONGEST_PASS
    in_windows = model.transcribe(samples, RATE)
    monkeypatch.setattr(hearing, "LONGEST_PASS", 1e9)
    whole = model.transcribe(samples, RATE)
    assert in_windows.text == whole.text
    assert [(w.start, w.end) for w in in_windows.words] == [(w.start, w.end) for w in whole.words]
    assert whole.text.split() == words


def test_streams_at_another_rate(recognizer):
    model = recognizer("transcribe")
    samples = spoken(["sol", "do", "mi"], speaker="fay", rate=44100)
    stream = model.stream(44100)
    words = [word for a, b in cuts(len(samples), [4410]) for word in stream.push(samples[a:b])]
    assert tuple(words + stream.finish()) == model.transcribe(samples, 44100).words


def test_a_word_comes_before_the_recording_ends(recognizer):
    """As soon as it is settled, not when all has been heard."""
    model = recognizer("transcribe")
    samples = np.concatenate([spoken(["sol", "do"], speaker="fay"), np.zeros(2 * RATE, np.float32)])
    stream = model.stream(look_ahead=0.3)
    words = [word.label for a, b in cuts(len(samples), [800]) for word in stream.push(samples[a:b])]
    assert words == ["sol", "do"]
    assert stream.finish() == []
    for _ in range(2):  # at the model's rate and at any other
        with pytest.raises(AudioError, match="is finished; begin another"):
            stream.push(samples)
        with pytest.raises(AudioError, match="is finished already"):
            stream.finish()
        stream = model.stream(44100)
        stream.push(samples)
        stream.finish()


def test_streams_in_several_threads(recognizer, world):
    model = recognizer("transcribe")
    recordings = [load_audio(file) for file in sorted((world.corpus / "strings").glob("*.wav"))[:12]]

    def listen(samples):
        stream = model.stream(look_ahead=0.2)
        words = [word for a, b in cuts(len(samples), [700]) for word in stream.push(samples[a:b])]
        return words + stream.finish()

    alone = [listen(samples) for samples in recordings]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(listen, recordings)) == alone


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("seconds", [0.2, 1.0])
def test_a_classifier_hears_windows(stride, seconds, tmp_path):
    model = listener(tmp_path, NetworkSettings(n_units=6, front="stack", stride=stride), "classify")
    model.card.training["window_seconds"] = seconds
    features = np.random.default_rng(0).standard_normal((400, N_FEATURES)).astype(np.float32)
    hop = 6  # frames: HOP, in whole outputs
    n_frames = round(100 * seconds)

    @given(st.lists(st.integers(1, 300), min_size=1, max_size=6), st.integers(1, 400))
    def said_of_the_window_around_each_output(sizes, n):
        found = streamed(model._hearing.spotting_stream(None), features[:n], sizes)
        assert len(found) == -(-n // stride)
        for i, row in enumerate(found):
            begin = i * stride // hop * hop - (n_frames - hop) // 2
            window = features[max(0, begin) : min(n, begin + 2 * ((n_frames - hop) // 2) + hop)]
            assert row.tolist() == model.log_probs(window).tolist()

    said_of_the_window_around_each_output()
    stream = model._hearing.spotting_stream(None)
    given_at = [len(stream.push(frame[None])) for frame in features]
    assert given_at.index(hop // stride) + 1 == stream.latency
    assert model.delay(None) == pytest.approx(stream.latency / 100)


@pytest.mark.parametrize("settings", ONE_DIRECTION)
def test_an_output_comes_as_late_as_its_delay_says(settings, tmp_path):
    model = listener(tmp_path, settings)
    extract, stream = FeatureExtractor(SETTINGS).stream(), model._hearing.spotting_stream(None)
    samples = np.random.default_rng(1).normal(0, 0.1, 4000).astype(np.float32)
    n_outputs, late = 0, []
    for n in range(0, 4000, 8):  # a millisecond at a time
        for _ in stream.push(extract.push(samples[n : n + 8])):
            n_outputs += 1
            late.append((n + 8) / SETTINGS.sample_rate - n_outputs * model.card.output_seconds)
    assert n_outputs > 3
    assert min(late) == pytest.approx(model.delay(None), abs=0.0011)
    assert max(late) == pytest.approx(model.delay(None), abs=0.0011)


def test_what_cannot_stream_says_why(recognizer, tmp_path):
    with pytest.raises(ModelFileError, match="classifier"):
        recognizer("classify").stream()
    model = listener(tmp_path, NetworkSettings(n_units=6), normalisation="utterance")
    with pytest.raises(ModelFileError, match=r"normalisation = 'global'"):
        model.stream()
    with pytest.raises(ModelFileError, match="normalisation"):
        model.transcribe(spoken(["do"]), RATE, look_ahead=0.1)


@pytest.mark.parametrize("look_ahead", [-1, float("nan"), float("inf")])
def test_a_look_ahead_that_is_none(recognizer, look_ahead):
    with pytest.raises(SettingsError, match="look-ahead"):
        recognizer("transcribe").stream(look_ahead=look_ahead)


@pytest.mark.parametrize("step", [0.0, -1.0, float("nan"), float("inf")])
def test_a_step_that_is_none(recognizer, step):
    with pytest.raises(SettingsError, match="step"):
        recognizer("transcribe").stream(step=step)


def test_a_stream_that_is_too_short_or_no_sound(recognizer):
    model = recognizer("transcribe")
    with pytest.raises(AudioError, match="too short"):
        model.stream().finish()
    stream = model.stream()
    stream.push(np.zeros(10, np.float32))
    with pytest.raises(AudioError, match="too short"):
        stream.finish()
    with pytest.raises(AudioError, match="not finite"):
        model.stream().push(np.full(100, np.nan))
    with pytest.raises(AudioError, match="divide by 32768"):
        model.stream().push(np.full(100, 12_000.0))
    with pytest.raises(AudioError, match="rate"):
        model.transcribe(np.zeros(8000, np.float32))
    with pytest.raises(AudioError, match="-1 Hz"):
        model.stream(-1)
    assert model.stream().push(np.zeros(0)) == []


def test_the_state_is_optional_and_in_batches(tmp_path):
    """The same graph listens whole, in a batch, without any of the stream's inputs."""
    settings = NetworkSettings(bidirectional=False, n_units=6, n_layers=2, dropout=0.0, front="conv", stride=2)
    network = network_of(settings)
    card = ModelCard("transcribe", SETTINGS, Vocabulary((BLANK, "a", "b", "c"), "word"), stride=2)
    write_model_file(tmp_path / "model.onnx", network, card)
    session, _ = open_model_file(tmp_path / "model.onnx")
    features = torch.randn(3, 20, N_FEATURES)
    lengths = torch.tensor([20, 7, 12])
    with torch.no_grad():
        expected, _ = network(features, lengths)
    found, state = session.run(["log_probs", "next_state"], {"features": features.numpy(), "lengths": lengths.numpy()})
    assert state.shape == (2, 2, 1, 3, 6)
    for row, true, n in zip(found, expected.numpy(), (10, 4, 6), strict=True):
        np.testing.assert_allclose(row[:n], true[:n], rtol=0, atol=1e-4)


def test_a_look_ahead_is_no_less_than_the_fronts_view(tmp_path):
    settings = NetworkSettings(n_units=6, n_layers=1, dropout=0.0, front="conv", stride=2)
    model = listener(tmp_path, settings)
    features = np.random.default_rng(2).standard_normal((60, N_FEATURES)).astype(np.float32)
    found, seen = streamed(model._hearing.stream(0.0, 0.1), features, [13]), settings.front_context[1]
    for begin in range(0, 60, 10):
        expected = model.log_probs(features[: begin + 10 + seen])[begin // 2 : begin // 2 + 5]
        np.testing.assert_allclose(found[begin // 2 : begin // 2 + 5], expected, rtol=0, atol=2e-5)
