"""Weight noise is there for one step, the same for the same seed, and gone without a trace."""

import pytest
import torch

from audiornn.train.weight_noise import noisy_weights
from tests.test_parallel import network_of


def weights(network):
    return {name: parameter.detach().clone() for name, parameter in network.named_parameters()}


def seen(network, deviation, seed):
    with noisy_weights(network, deviation, seed):
        return weights(network)


def test_weights_come_back_bit_for_bit_even_from_an_error():
    network = network_of("transcribe")
    before = weights(network)
    with pytest.raises(RuntimeError), noisy_weights(network, 0.1, 7):
        network(torch.zeros(1, 2, 3), torch.tensor([2]))  # features of another width
    assert all(torch.equal(after, before[name]) for name, after in weights(network).items())


def test_noise_is_of_its_deviation_and_biases_have_none():
    network = network_of("transcribe")
    before, noisy = weights(network), seen(network, 0.1, 7)
    noise = torch.cat([(noisy[name] - w).flatten() for name, w in before.items() if w.ndim > 1])
    assert noise.mean().item() == pytest.approx(0, abs=0.02)
    assert noise.std().item() == pytest.approx(0.1, rel=0.1)
    assert all(torch.equal(noisy[name], w) for name, w in before.items() if w.ndim == 1)


def test_noise_depends_on_the_seed_alone_and_is_not_dropouts():
    network = network_of("transcribe")
    first, again, other = (seen(network, 0.1, seed)["output.weight"] for seed in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    name, first_weight = next(iter(network.named_parameters()))
    drawn = torch.randn(first_weight.shape, generator=torch.Generator().manual_seed(7))
    assert not torch.allclose(seen(network, 1.0, 7)[name] - first_weight, drawn, atol=1e-3)


def test_no_deviation_no_noise():
    network = network_of("transcribe")
    before = weights(network)
    assert all(torch.equal(after, before[name]) for name, after in seen(network, 0.0, 7).items())
