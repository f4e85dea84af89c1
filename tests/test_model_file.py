"""The model file: it says everything of itself, and what is none of ours is refused in one line."""

import dataclasses
import json

import numpy as np
import pytest

from audiornn.errors import ModelFileError
from audiornn.features import FeatureSettings
from audiornn.listen.recognizer import load_model
from audiornn.model_file import FORMAT, METADATA_KEY, ModelCard, open_model_file
from audiornn.vocabulary import Vocabulary
from tests.conftest import TASKS

onnx = pytest.importorskip("onnx", reason="foreign and damaged model files are made with onnx")

CARD = ModelCard(
    task="classify",
    features=FeatureSettings(sample_rate=8000, n_fft=256, win_length=200, fmax=3800.0, deltas=1),
    vocabulary=Vocabulary(("nein", "ja", "größer"), "label", lower_case=True),
    stride=2,
    recipe="words",
    licence="CC BY 4.0",
    network={"cell": "gru"},
    training={"seed": 1, "digests": {"train": "abc"}},
    results={"dev": {"errors": 3, "reference_length": 70}},
)


def with_metadata(source, target, entries):
    """A model file with other metadata."""
    model = onnx.load(source)
    del model.metadata_props[:]
    for key, value in entries.items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, target)
    return target


def changed_card(model_file, tmp_path, change):
    """A model file whose card's JSON was changed."""
    _, card = open_model_file(model_file("classify"))
    entry = json.loads(card.to_json())
    change(entry)
    return with_metadata(model_file("classify"), tmp_path / "changed.onnx", {METADATA_KEY: json.dumps(entry)})


def refused(path, *said):
    with pytest.raises(ModelFileError) as caught:
        load_model(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    for word in said:
        assert word in message, message


def test_the_card_round_trip():
    assert ModelCard.from_json(CARD.to_json(), "here") == CARD


def test_output_seconds():
    assert CARD.output_seconds == pytest.approx(2 * 160 / 8000)


@pytest.mark.parametrize("task", TASKS)
def test_a_trained_file_says_everything(model_file, prepared, task):
    _, card = open_model_file(model_file(task))
    ready = prepared(task)
    assert (card.task, card.features, card.vocabulary) == (task, ready.recipe.features, ready.vocabulary)
    assert (card.recipe, card.licence, card.stride) == (f"tones_{task}", "made for a test", ready.recipe.model.stride)
    assert card.training["digests"] == dict(ready.digests)
    assert card.network["n_units"] == 16
    assert card.network["n_parameters"] > 0
    assert card.results["dev"]["reference_length"] > 0


def test_the_session_takes_features_and_lengths(model_file):
    session, card = open_model_file(model_file("transcribe"))
    assert [i.name for i in session.get_inputs()] == ["features", "lengths"]
    features = np.zeros((2, 30, card.features.n_features), np.float32)
    log_probs, lengths = session.run(
        ["log_probs", "output_lengths"], {"features": features, "lengths": np.array([30, 11], np.int64)}
    )
    assert (log_probs.shape[0], lengths.tolist()) == (2, [8, 3])


def test_missing_and_folder(tmp_path):
    refused(tmp_path / "none.onnx", "no such model file", "audiornn train")
    refused(tmp_path, "folder")


@pytest.mark.parametrize("content", [b"", b"this is no model\n" * 100, bytes(1000), b"\x08\x07"])
def test_what_is_no_onnx_file(tmp_path, content, capfd):
    (tmp_path / "model.onnx").write_bytes(content)
    refused(tmp_path / "model.onnx")
    assert capfd.readouterr() == ("", "")  # onnxruntime itself says nothing besides


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, 0.999])
def test_a_cut_file(model_file, tmp_path, share):
    content = model_file("classify").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(content[: int(share * len(content))])
    refused(tmp_path / "cut.onnx", "damaged")


@pytest.mark.parametrize("found", [b'"licence"', b"log_probs"])
def test_damaged_text_in_a_file(model_file, tmp_path, capfd, found):
    content = model_file("classify").read_bytes()
    assert found in content
    (tmp_path / "damaged.onnx").write_bytes(content.replace(found, b"\xff" + found[1:]))
    refused(tmp_path / "damaged.onnx")
    assert capfd.readouterr() == ("", "")


def test_a_foreign_onnx_file(model_file, tmp_path):
    path = with_metadata(model_file("classify"), tmp_path / "foreign.onnx", {"author": "somebody"})
    refused(path, "not one that audiornn wrote")


def test_a_newer_format_asks_for_an_upgrade(model_file, tmp_path):
    def newer(entry):
        entry["format"] = FORMAT + 1
        entry["features"]["n_wavelets"] = 3  # whatever else a newer version says must not be stumbled over

    refused(changed_card(model_file, tmp_path, newer), f"format {FORMAT + 1}", "upgrade")


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry.pop("format"),
        lambda entry: entry.update(format="new"),
        lambda entry: entry.update(format=None),
        lambda entry: entry.pop("features"),
        lambda entry: entry.pop("vocabulary"),
        lambda entry: entry["vocabulary"].pop("symbols"),
        lambda entry: entry["features"].update(n_wavelets=3),
        lambda entry: entry["features"].update(n_mfcc=99),
        lambda entry: entry["features"].update(n_mfcc="many"),
        lambda entry: entry["features"].update(n_mfcc=11),
        lambda entry: entry["vocabulary"].update(symbols=["a", "a"]),
        lambda entry: entry["vocabulary"]["symbols"].append("one more than the network gives"),
        lambda entry: entry.update(task="dance"),
        lambda entry: entry.update(stride=0),
        lambda entry: entry.update(surprise=1),
        lambda entry: entry.update(features=[1]),
        lambda entry: entry.update(stride="3"),
        lambda entry: entry.update(timing=[1]),
        lambda entry: entry.update(training=None),
        lambda entry: entry.update(network=[]),
        lambda entry: entry.update(licence=5),
        lambda entry: entry.update(task="transcribe" if entry["task"] == "classify" else "classify"),
        lambda entry: entry["vocabulary"].update(symbols=[*range(len(entry["vocabulary"]["symbols"]))]),
    ],
)
def test_a_card_that_cannot_be(model_file, tmp_path, change):
    refused(changed_card(model_file, tmp_path, change))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '"text"'])
def test_metadata_that_is_no_card(model_file, tmp_path, text):
    refused(with_metadata(model_file("classify"), tmp_path / "model.onnx", {METADATA_KEY: text}), "metadata")


def test_the_card_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CARD.task = "label"


def test_a_file_that_one_may_not_read(model_file, monkeypatch):
    def refused(*arguments, **options):
        raise RuntimeError("Load model failed: system error number 13")

    monkeypatch.setattr("onnxruntime.InferenceSession", refused)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ModelFileError, match="this user may not read it"):
        open_model_file(model_file("classify"))
