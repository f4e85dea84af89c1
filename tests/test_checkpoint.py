"""Checkpoints: plain tensors and JSON, whole or not at all."""

import pickle

import pytest
import torch

from audiornn.errors import TrainingError
from audiornn.train.checkpoint import load_checkpoint, optimiser_tensors, restore_optimiser, save_checkpoint


def stepped_network(seed=0):
    torch.manual_seed(seed)
    network = torch.nn.Linear(3, 2)
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        network(torch.randn(4, 3)).square().sum().backward()
        optimiser.step()
    return network, optimiser, {parameter: name for name, parameter in network.named_parameters()}


def test_tensors_and_state_come_back_exactly(tmp_path):
    tensors = {"a": torch.randn(3), "b": torch.arange(4)}
    state = {"step": 7, "best": [0.1 + 0.2, 1e-300], "name": "ä"}
    save_checkpoint(tmp_path / "c.safetensors", tensors, state)
    found, found_state = load_checkpoint(tmp_path / "c.safetensors")
    assert found_state == state
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


def test_an_optimiser_goes_on_bit_for_bit(tmp_path):
    network, optimiser, names = stepped_network()
    save_checkpoint(tmp_path / "c.safetensors", {**network.state_dict(), **optimiser_tensors(optimiser, names)}, {})
    tensors, _ = load_checkpoint(tmp_path / "c.safetensors")
    other = torch.nn.Linear(3, 2)
    other_optimiser = torch.optim.AdamW(other.parameters(), lr=0.1)
    other.load_state_dict({name: value for name, value in tensors.items() if not name.startswith("optimiser.")})
    restore_optimiser(other_optimiser, {p: name for name, p in other.named_parameters()}, tensors)
    for net, opt in ((network, optimiser), (other, other_optimiser)):
        torch.manual_seed(5)
        opt.zero_grad()
        net(torch.randn(4, 3)).square().sum().backward()
        opt.step()
    assert torch.equal(network.weight, other.weight)
    assert torch.equal(network.bias, other.bias)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", pickle.dumps({"step": 1})])
def test_anything_else_is_refused_without_running_it(content, tmp_path):
    (tmp_path / "c.safetensors").write_bytes(content)
    with pytest.raises(TrainingError, match=r"c\.safetensors"):
        load_checkpoint(tmp_path / "c.safetensors")


def test_a_missing_one_is_named(tmp_path):
    with pytest.raises(TrainingError, match="absent"):
        load_checkpoint(tmp_path / "absent.safetensors")
