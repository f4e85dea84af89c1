"""Listening: one ladder from file to log-probabilities, the same answer at every rung."""

import copy
import io
import itertools
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

import audiornn
from audiornn.audio import load_audio
from audiornn.errors import AudioError, AudiornnError, CorpusError, ModelFileError, SettingsError
from audiornn.features import FeatureExtractor, FeatureSettings
from audiornn.listen.decoders import HOT_WORD_BOOST, Decoding, choose_decoding
from audiornn.listen.recognizer import Recognizer, load_model
from audiornn.listen.results import Classification, Labelling, Transcript
from audiornn.listen.segments import LabelRule, SegmentSettings
from audiornn.model_file import ModelCard
from audiornn.vocabulary import BLANK, Vocabulary
from tests.conftest import RATE, TASKS, spoken

tasks = pytest.mark.parametrize("task", TASKS)
KINDS = {"transcribe": Transcript, "classify": Classification, "label": Labelling}


class Said:
    """A session that says what a test wants said, whatever it hears."""

    def __init__(self, log_probs):
        self.log_probs = np.asarray(log_probs, np.float32)

    def get_inputs(self):
        return []

    def run(self, names, inputs):
        return [self.log_probs[None]]


def saying(path, symbols, *, unit="word", task="transcribe", stride=1, lower_case=False, p=0.9):
    """A recogniser whose network takes this path through its outputs."""
    features = FeatureSettings(sample_rate=8000, n_fft=256, win_length=200, hop_length=80, n_mels=20, n_mfcc=12)
    probabilities = np.full((len(path), len(symbols)), (1 - p) / max(1, len(symbols) - 1))
    probabilities[np.arange(len(path)), path] = p
    card = ModelCard(task, features, Vocabulary(tuple(symbols), unit, lower_case), stride)
    return Recognizer(Said(np.log(probabilities)), card)


def features_of(recognizer, n_frames):
    return np.zeros((n_frames, recognizer.card.features.n_features), np.float32)


# --- the ladder ---


@tasks
def test_every_rung_gives_the_same(recognizer, world, task):
    model = recognizer(task)
    path = world.recording("single" if task == "classify" else "strings")
    waveform = load_audio(path)
    from_file = model.transcribe(path)
    assert isinstance(from_file, KINDS[task])
    assert model.transcribe(str(path)) == from_file
    assert model.transcribe_waveform(waveform, RATE) == from_file
    features = FeatureExtractor(model.card.features)(waveform)
    assert model.transcribe_features(features, duration=len(waveform) / RATE) == from_file
    assert from_file.duration == len(waveform) / RATE


def test_it_hears_what_was_said(recognizer, prepared):
    right = 0
    utterances = prepared("transcribe").utterances("test")
    for utterance in utterances:
        right += recognizer("transcribe").transcribe(utterance.audio).text == utterance.text
    assert right >= len(utterances) - 1


def test_it_knows_one_word_from_another(recognizer, prepared):
    for utterance in prepared("classify").utterances("test"):
        heard = recognizer("classify").transcribe(utterance.audio)
        assert heard.label == utterance.text
        assert heard.probability > 0.5


def test_it_tells_when(recognizer, prepared):
    for utterance in prepared("label").utterances("test"):
        heard = recognizer("label").transcribe(utterance.audio)
        said = [
            segment for segment in heard.segments if segment.label != "_none_" and segment.end - segment.start > 0.05
        ]
        assert [segment.label for segment in said] == utterance.text.split()
        for segment, true in zip(said, utterance.segments, strict=True):
            assert abs(segment.start - true.start) < 0.06
            assert abs(segment.end - true.end) < 0.06


@tasks
def test_sources(recognizer, world, monkeypatch, task):
    model, path = recognizer(task), world.recording()
    expected = model.transcribe(path)
    with open(path, "rb") as file:
        assert model.transcribe(file) == expected
    assert model.transcribe(io.BytesIO(path.read_bytes())) == expected
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    assert model.transcribe("-") == expected


@pytest.mark.parametrize("rate", [11025, 16000, 22050, 44100, 48000])
def test_any_rate_is_heard_alike(recognizer, tmp_path, rate):
    words = ["sol", "do", "mi"]
    soundfile.write(tmp_path / "a.wav", spoken(words, speaker="fay", rate=rate), rate)
    heard = recognizer("transcribe").transcribe(tmp_path / "a.wav")
    assert heard.text == " ".join(words)
    assert heard.duration == pytest.approx(0.68, abs=0.001)
    samples = load_audio(tmp_path / "a.wav")
    assert recognizer("transcribe").transcribe_waveform(samples, rate) == heard


def test_channels(recognizer, tmp_path):
    left, right = spoken(["do", "mi"]), spoken(["sol", "sol"])
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), RATE)
    model = recognizer("transcribe")
    assert model.transcribe(tmp_path / "a.wav", channel=1).text == "do mi"
    assert model.transcribe(tmp_path / "a.wav", channel=2).text == "sol sol"
    mixed = model.transcribe(tmp_path / "a.wav")
    both = np.stack([load_audio(tmp_path / "a.wav", channel=c) for c in (1, 2)], axis=1)
    assert model.transcribe_waveform(both, RATE) == mixed
    with pytest.raises(AudioError, match=r"a\.wav.*channel 3"):
        model.transcribe(tmp_path / "a.wav", channel=3)


def test_integers_and_lists_are_heard(recognizer):
    waveform = spoken(["mi", "do"])
    model = recognizer("transcribe")
    assert model.transcribe_waveform((waveform * 32767).astype(np.int16), RATE).text == "mi do"
    assert model.transcribe_waveform(waveform.tolist(), RATE).text == "mi do"


def test_from_the_packages_front_door(model_file, world):
    heard = audiornn.load_model(model_file("transcribe")).transcribe(str(world.recording()))
    assert isinstance(heard.text, str)
    assert isinstance(audiornn.load_model(str(model_file("transcribe"))), audiornn.Recognizer)
    assert issubclass(ModelFileError, audiornn.AudiornnError)
    with pytest.raises(AttributeError):
        audiornn.no_such_name  # noqa: B018


@tasks
def test_threads_may_share_a_recogniser(recognizer, world, task):
    model = recognizer(task)
    files = sorted((world.corpus / "strings").glob("*.wav"))[:24]
    alone = [model.transcribe(file) for file in files]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(model.transcribe, files)) == alone


@tasks
def test_hearing_twice_is_hearing_the_same(recognizer, world, task):
    model, path = recognizer(task), world.recording()
    assert model.transcribe(path) == model.transcribe(path)


def test_log_probs_are_log_probabilities(recognizer, world):
    for task in TASKS:
        model = recognizer(task)
        features = FeatureExtractor(model.card.features)(load_audio(world.recording()))
        log_probs = model.log_probs(features)
        n_symbols = len(model.card.vocabulary)
        n_outputs = -(-len(features) // model.card.stride)
        assert log_probs.shape == ((n_symbols,) if task == "classify" else (n_outputs, n_symbols))
        np.testing.assert_allclose(np.exp(log_probs).sum(axis=-1), 1.0, rtol=0, atol=1e-5)


# --- what it makes of log-probabilities ---


def test_probabilities_are_of_every_label_and_sum_to_one(recognizer, world):
    heard = recognizer("classify").transcribe(world.recording("single"))
    assert set(heard.probabilities) == {"do", "mi", "sol"}
    assert sum(heard.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert heard.probability == max(heard.probabilities.values()) == heard.probabilities[heard.label]


@given(path=st.lists(st.integers(0, 3), min_size=1, max_size=12), stride=st.integers(1, 3))
def test_words_are_the_text_and_in_order(path, stride):
    model = saying(path, [BLANK, "one", "three", "two"], stride=stride)
    heard = model.transcribe_features(features_of(model, len(path) * stride))
    assert heard.text == " ".join(word.label for word in heard.words)
    times = [time for word in heard.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert all(0 <= time <= heard.duration for time in times)
    assert all(word.confidence == pytest.approx(0.9, rel=1e-4) for word in heard.words)


@given(path=st.lists(st.integers(0, 3), min_size=1, max_size=16))
def test_characters_make_words(path):
    model = saying(path, [BLANK, " ", "a", "b"], unit="character")
    heard = model.transcribe_features(features_of(model, len(path)))
    assert heard.text == " ".join(word.label for word in heard.words)
    assert "  " not in heard.text
    assert heard.text == heard.text.strip()


def test_a_frame_reaches_half_a_hop_to_either_side():
    model = saying([0, 1, 1, 0, 2], [BLANK, "a", "b"])
    heard = model.transcribe_features(features_of(model, 5), duration=0.05)
    assert [(word.label, word.start, word.end) for word in heard.words] == [("a", 0.005, 0.025), ("b", 0.035, 0.045)]


@given(
    path=st.lists(st.integers(0, 2), min_size=1, max_size=12),
    stride=st.integers(1, 4),
    extra=st.integers(0, 79),
    short=st.integers(0, 3),
)
def test_segments_reach_as_far_as_the_recording(path, stride, extra, short):
    """From its first to its last second, whatever the stride and however many samples the last frame is short of."""
    n_frames = max(1, len(path) * stride - min(short, stride - 1))
    duration = ((n_frames - 1) * 80 + extra) / 8000 or 1 / 8000
    model = saying(path, ["_none_", "a", "b"], unit="label", task="label", stride=stride)
    segments = model.transcribe_features(features_of(model, n_frames), duration=duration).segments
    runs = [("_none_", "a", "b")[symbol] for symbol, _ in itertools.groupby(path)]
    assert [segment.label for segment in segments] == [label for label in runs if label != "_none_"]
    if path[0]:
        assert segments[0].start == 0.0
    if path[-1]:
        assert segments[-1].end == pytest.approx(duration, abs=1e-6)
    assert all(a.end <= b.start for a, b in itertools.pairwise(segments))
    assert all(segment.start <= segment.end <= duration + 1e-6 for segment in segments)


def test_silence_is_an_empty_transcript():
    model = saying([0, 0, 0], [BLANK, "a"])
    heard = model.transcribe_features(features_of(model, 3))
    assert (heard.text, heard.words, heard.duration) == ("", (), 0.03)


# --- what cannot be heard ---


def test_too_short_names_the_file_and_the_length(recognizer, tmp_path):
    model = recognizer("transcribe")
    for n in (1, 199):
        soundfile.write(tmp_path / "short.wav", np.zeros(n), RATE)
        with pytest.raises(AudioError, match=r"short\.wav.*too short.*25 ms"):
            model.transcribe(tmp_path / "short.wav")
    soundfile.write(tmp_path / "just.wav", np.zeros(200), RATE)
    model.transcribe(tmp_path / "just.wav")


def test_one_sample_at_another_rate_is_too_short(recognizer, tmp_path):
    soundfile.write(tmp_path / "short.wav", np.zeros(1), 48000)
    with pytest.raises(AudioError, match=r"short\.wav.*too short"):
        recognizer("transcribe").transcribe(tmp_path / "short.wav")


@pytest.mark.parametrize("kind", [str, lambda path: path], ids=["str", "Path"])
def test_errors_name_the_whole_path(recognizer, tmp_path, kind):
    soundfile.write(tmp_path / "short.wav", np.zeros(5), RATE)
    (tmp_path / "text.wav").write_text("no audio")
    for name in ("short.wav", "text.wav", "none.wav"):
        with pytest.raises(AudioError) as caught:
            recognizer("transcribe").transcribe(kind(tmp_path / name))
        assert str(tmp_path / name) in str(caught.value)


def test_short_standard_input_is_called_so(recognizer, tmp_path, monkeypatch):
    soundfile.write(tmp_path / "short.wav", np.zeros(5), RATE)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((tmp_path / "short.wav").read_bytes())))
    with pytest.raises(AudioError, match="standard input"):
        recognizer("transcribe").transcribe("-")


@pytest.mark.parametrize("samples", [np.zeros(0), np.full(4000, np.nan), np.zeros((2, 2, 400))])
def test_samples_that_are_none(recognizer, samples):
    with pytest.raises(AudioError, match="the waveform"):
        recognizer("transcribe").transcribe_waveform(samples, RATE)


@pytest.mark.parametrize("rate", [0, -8000])
def test_a_rate_that_is_none(recognizer, rate):
    with pytest.raises(AudiornnError):
        recognizer("transcribe").transcribe_waveform(np.zeros(4000), rate)


@pytest.mark.parametrize("shape", [(10, 11), (10, 13), (0, 12), (12,), (1, 10, 12)])
def test_features_of_another_shape(recognizer, shape):
    with pytest.raises(ModelFileError, match="shape"):
        recognizer("transcribe").log_probs(np.zeros(shape, np.float32))


def test_a_librosa_model_listens_without_librosa():
    features = FeatureSettings(engine="librosa")
    model = Recognizer(Said(np.log([[0.1, 0.9]])), ModelCard("transcribe", features, Vocabulary((BLANK, "a"), "word")))
    assert model.transcribe_waveform(np.ones(16000), 16000).text == "a"


def test_the_model_file_is_needed_no_more_once_loaded(model_file, world, tmp_path):
    (tmp_path / "model.onnx").write_bytes(model_file("transcribe").read_bytes())
    model = load_model(tmp_path / "model.onnx")
    (tmp_path / "model.onnx").unlink()
    assert model.transcribe(world.recording()).duration > 0


# --- as programs give and take ---


def test_tensors_buffers_and_numbers_are_one_recording(recognizer, world):
    import array

    import torch

    model = recognizer("transcribe")
    waveform = load_audio(world.recording())
    wanted = model.transcribe(waveform, RATE)
    for samples in (torch.from_numpy(waveform), waveform.tolist(), array.array("f", waveform)):
        assert model.transcribe(samples, RATE) == wanted
    assert model.transcribe(torch.from_numpy(waveform)[:, None].expand(-1, 2), RATE) == wanted
    parts = (torch.from_numpy(waveform), torch.empty(0))
    assert model.transcribe((part for part in parts), np.array(RATE)) == wanted
    assert model.transcribe(np.tile(waveform[:, None], (1, 128)), RATE, channel=3) == wanted
    assert model.transcribe(waveform.astype(object), RATE) == wanted
    with pytest.raises(AudioError, match="no samples that NumPy can take"):
        model.transcribe(torch.from_numpy(waveform).requires_grad_(), RATE)
    with pytest.raises(AudioError, match="the blocks: too short"):
        model.transcribe([], RATE)
    with pytest.raises(AudioError, match="transpose it"):
        model.transcribe(torch.from_numpy(np.stack([waveform, waveform])), RATE)


@pytest.mark.parametrize("source", [None, 5, np.float32(1), b"a.wav"])
def test_what_is_no_source(recognizer, source):
    with pytest.raises(AudioError):
        recognizer("transcribe").transcribe(source, RATE)


def test_a_recogniser_goes_to_other_processes(recognizer, model_file, world):
    model = recognizer("transcribe")
    path = world.recording()
    again = pickle.loads(pickle.dumps(model))
    assert again.transcribe(path) == model.transcribe(path)
    beam = model.decode_with(choose_decoding(model.card, n_best=2))
    assert copy.deepcopy(beam).transcribe(path) == beam.transcribe(path)
    with pytest.raises(TypeError, match="load_model"):
        pickle.dumps(saying([1, 0], [BLANK, "a"]))
    assert copy.copy(beam).transcribe(path) == beam.transcribe(path)
    copy.copy(saying([1, 0], [BLANK, "a"]))
    with pytest.raises(SettingsError, match="threads = 0"):
        load_model(model_file("transcribe"), threads=0)


def test_options_that_would_do_nothing_are_refused(recognizer):
    transcriber, labeller, classifier = map(recognizer, ("transcribe", "label", "classify"))
    with pytest.raises(SettingsError, match="no segments to settle"):
        transcriber.stream(segments=SegmentSettings())
    with pytest.raises(SettingsError, match="inside a longer word"):
        labeller.spot(np.zeros(RATE), None, RATE, inside_words=True)
    with pytest.raises(SettingsError, match="only one that transcribes decodes"):
        classifier.decode_with(Decoding())
    with pytest.raises(SettingsError, match="no label 'nobody'"):
        labeller.label(np.zeros(RATE), RATE, settings=SegmentSettings(rules={"nobody": LabelRule(0.9, 0.8)}))


def test_arguments_in_the_wrong_places_are_named(recognizer):
    model = recognizer("transcribe")
    with pytest.raises(SettingsError, match="8000 is no keyword: spot"):
        model.spot(np.zeros(RATE), RATE)
    with pytest.raises(CorpusError, match=r"a string, not int: align"):
        model.align(np.zeros(RATE), RATE, "sol")


def test_the_decision_layer_is_the_model_files(recognizer, world):
    model = recognizer("label")
    path = world.recording()
    assert model.spot(path, settings=model.spot_settings) == model.spot(path)
    label = model.spot(path)[0].keyword
    assert model.spot(path, label, settings=model.spot_settings.with_onset(1.0, label)) == ()


def test_hot_words_in_any_form(recognizer):
    card = recognizer("transcribe").card
    assert choose_decoding(card, hot_words="sol").hot_words == {"sol": HOT_WORD_BOOST}
    assert choose_decoding(card, hot_words=["sol:3", "do"]).hot_words == {"sol": 3.0, "do": HOT_WORD_BOOST}
    assert choose_decoding(card, hot_words={"sol": 2, "do": "3"}).hot_words == {"sol": 2, "do": 3}
    for boost in (None, float("nan")):
        with pytest.raises(SettingsError, match="is not WORD or WORD:BOOST"):
            choose_decoding(card, hot_words={"sol": boost})


def test_the_packages_names_are_listed():
    assert {*audiornn.__all__} <= {*dir(audiornn)}


def test_a_terminal_is_no_recording(recognizer, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    with pytest.raises(AudioError, match=r"standard input: is a terminal; .*arecord"):
        recognizer("transcribe").transcribe("-")
