"""What onnxruntime computes from a model file is what torch computes."""

import numpy as np
import onnxruntime
import pytest
import torch

from audiornn.features import FeatureSettings
from audiornn.model_file import ModelCard, open_model_file
from audiornn.settings import NetworkSettings
from audiornn.train.export import write_model_file
from audiornn.vocabulary import Vocabulary
from tests.test_network import LENGTHS, MATRIX, N_FEATURES, N_OUTPUTS, network_of, outputs, padded_batch


def card_of(network):
    return ModelCard(
        task=network.task,
        features=FeatureSettings(n_mfcc=N_FEATURES),
        vocabulary=Vocabulary(tuple("abcd"), "label"),
        stride=network.settings.stride,
    )


def run(path, features, lengths, task):
    session, _ = open_model_file(path)
    inputs = {"features": features.numpy(), "lengths": lengths.numpy()}
    log_probs, output_lengths = session.run(["log_probs", "output_lengths"], inputs)
    return [row if task == "classify" else row[:n] for row, n in zip(log_probs, output_lengths, strict=True)]


@pytest.mark.parametrize(("settings", "head"), MATRIX)
def test_torch_equals_onnxruntime(settings, head, tmp_path):
    task = head.task
    network = network_of(settings, task, output_kind=head.output_kind)
    write_model_file(tmp_path / "model.onnx", network, card_of(network))
    features = padded_batch(filler=5.0)
    with torch.no_grad():
        expected = [network.values(rows) for rows in outputs(network, features, LENGTHS)]
    for a, b in zip(run(tmp_path / "model.onnx", features, LENGTHS, task), expected, strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=0, atol=1e-4)
    # and an utterance alone is the same as in its batch, there too
    for i, length in enumerate(LENGTHS.tolist()):
        alone = run(tmp_path / "model.onnx", features[i : i + 1, :length], LENGTHS[i : i + 1], task)[0]
        np.testing.assert_allclose(alone, expected[i].numpy(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("task", ["classify", "label"])
def test_a_probability_near_one_keeps_its_distance_from_it(task, tmp_path):
    network = network_of(NetworkSettings(n_units=6), task, output_kind="sigmoid")
    with torch.no_grad():
        network.output.weight.mul_(100)
        expected = outputs(network, padded_batch(), LENGTHS)
    write_model_file(tmp_path / "model.onnx", network, card_of(network))
    for a, b in zip(run(tmp_path / "model.onnx", padded_batch(filler=5.0), LENGTHS, task), expected, strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-3, atol=1e-30)


@pytest.mark.parametrize("normalisation", ["global", "utterance", "none"])
def test_normalisation_is_in_the_graph(normalisation, tmp_path):
    network = network_of(NetworkSettings(n_units=6), normalisation=normalisation)
    write_model_file(tmp_path / "model.onnx", network, card_of(network))
    features = padded_batch(filler=float("nan"))
    with torch.no_grad():
        expected = outputs(network, features, LENGTHS)
    for a, b in zip(run(tmp_path / "model.onnx", features, LENGTHS, "transcribe"), expected, strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=0, atol=1e-4)


def test_the_card_comes_back_as_it_was(tmp_path):
    network = network_of(NetworkSettings(n_units=6))
    card = card_of(network)
    write_model_file(tmp_path / "model.onnx", network, card)
    session, found = open_model_file(tmp_path / "model.onnx")
    assert found == card
    assert isinstance(session, onnxruntime.InferenceSession)
    assert session.get_inputs()[0].shape == ["batch", "frames", N_FEATURES]
    assert session.get_outputs()[0].shape[-1] == N_OUTPUTS


def test_the_same_network_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        network = network_of(NetworkSettings(n_units=6))
        write_model_file(tmp_path / name, network, card_of(network))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
