"""Workers: the parts of a batch give together what the batch gives, and the same every time."""

from dataclasses import replace

import pytest
import torch

from audiornn.settings import NetworkSettings
from audiornn.train.dataset import IGNORED, Batch
from audiornn.train.losses import disagreement, utterance_losses
from audiornn.train.network import Network
from audiornn.train.parallel import Workers, fast_in_bf16, n_workers

TASKS = ("transcribe", "classify", "label")


def batch_of(task, n=7):
    torch.manual_seed(1)
    lengths = torch.tensor([12, 9, 15, 4, 11, 8, 15][:n])
    targets = {
        "transcribe": torch.randint(1, 4, (n, 2)),
        "classify": torch.randint(0, 4, (n,)),
        "label": torch.randint(0, 4, (n, 15)),
    }[task]
    if task == "label":
        targets[torch.arange(15) >= lengths.unsqueeze(1)] = IGNORED
    return Batch(torch.randn(n, 15, 5), lengths, targets, torch.full((n,), 2), tuple(map(str, range(n))))


def network_of(task, dropout=0.0):
    torch.manual_seed(2)
    return Network(NetworkSettings(n_units=6, dropout=dropout), n_features=5, n_outputs=4, task=task).train()


def gradients(network):
    return [parameter.grad.clone() for parameter in network.parameters()]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("n", [1, 2, 3, 16])
def test_parts_sum_to_the_whole(task, n):
    network, batch = network_of(task), batch_of(task)
    losses = utterance_losses(*network(batch.features, batch.feature_lengths), batch, task)
    losses.mean().backward()
    expected = gradients(network)
    with Workers(n) as workers:
        found = workers.losses_and_gradients(network, batch, task, seed=0)
    torch.testing.assert_close(found, losses.detach(), rtol=1e-5, atol=1e-6)
    for a, b in zip(gradients(network), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("task", TASKS)
def test_bfloat16_is_nearly_the_same_and_nothing_it_leaves_behind_is_bfloat16(task):
    if not fast_in_bf16(torch.device("cpu")):
        pytest.skip("this CPU has no bfloat16, and training falls back to float32")
    network, batch = network_of(task), batch_of(task)
    results = []
    for bf16 in (False, True):
        with Workers(2, bf16=bf16) as workers:
            losses = workers.losses_and_gradients(network, batch, task, seed=0)
        results.append([losses, *gradients(network)])
    for exact, rough in zip(*results, strict=True):
        assert rough.dtype == torch.float32
        assert not torch.equal(exact, rough)
        torch.testing.assert_close(rough, exact, rtol=0.05, atol=0.02)


@pytest.mark.parametrize("n", [1, 3])
def test_dropout_depends_on_the_seed_alone(n):
    network, batch = network_of("transcribe", dropout=0.5), batch_of("transcribe")

    def run(seed):
        with Workers(n) as workers:
            losses = workers.losses_and_gradients(network, batch, "transcribe", seed)
        return losses, gradients(network)

    (a, first), (b, second), (c, _) = run(1), run(1), run(2)
    assert torch.equal(a, b)
    assert all(torch.equal(x, y) for x, y in zip(first, second, strict=True))
    assert not torch.equal(a, c)


def test_dropout_keeps_the_mean_and_rests_outside_training():
    network = network_of("transcribe", dropout=0.25)
    x = torch.ones(100, 100, 10)
    dropped = network._dropout(x, torch.Generator().manual_seed(0))
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert network.eval()._dropout(x, None) is x


def test_variational_dropout_leaves_out_the_same_units_at_every_frame_and_others_in_each_utterance():
    settings = NetworkSettings(dropout=0.25, variational_dropout=True)
    network = Network(settings, n_features=5, n_outputs=4, task="transcribe").train()
    dropped = network._dropout(torch.ones(100, 50, 40), torch.Generator().manual_seed(0))
    assert torch.equal(dropped, dropped[:1].expand_as(dropped))
    assert not torch.equal(dropped[:, 0], dropped[:, 1])
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("n", [1, 3])
def test_the_middle_layer_counts_for_its_share(n):
    torch.manual_seed(2)
    settings = NetworkSettings(n_units=6, n_layers=3, dropout=0.0)
    network, batch = Network(settings, n_features=5, n_outputs=4, task="transcribe"), batch_of("transcribe")
    layers, lengths = network.layer_outputs(batch.features, batch.feature_lengths)
    last, first = (utterance_losses(network.head(x, lengths), lengths, batch, "transcribe") for x in layers[::-2])
    (0.7 * last + 0.3 * first).mean().backward()
    expected = gradients(network)
    with Workers(n) as workers:
        losses = workers.losses_and_gradients(network, batch, "transcribe", seed=0, middle_ctc=0.3)
    torch.testing.assert_close(losses, (0.7 * last + 0.3 * first).detach(), rtol=1e-5, atol=1e-6)
    for a, b in zip(gradients(network), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("n", [1, 3])
def test_two_views_count_alike_and_so_does_what_they_disagree_on(task, n):
    network, batch = network_of(task), batch_of(task)
    batch = replace(batch, other_view=batch.features + torch.randn(batch.features.shape))
    views = [network(features, batch.feature_lengths) for features in (batch.features, batch.other_view)]
    own = torch.stack([utterance_losses(*view, batch, task) for view in views]).mean(dim=0)
    expected = own + 0.5 * disagreement(views[0][0], views[1][0], views[0][1], batch, task)
    expected.mean().backward()
    wanted = gradients(network)
    with Workers(n) as workers:
        found = workers.losses_and_gradients(network, batch, task, seed=0, consistency=0.5)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-5, atol=1e-6)
    for a, b in zip(gradients(network), wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_errors_come_through_and_torch_gets_its_threads_back():
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError), Workers(2) as workers:
        workers.losses_and_gradients(network_of("transcribe"), batch_of("classify"), "transcribe", seed=0)
    assert torch.get_num_threads() == before


def test_how_many_workers():
    cpu = torch.device("cpu")
    assert n_workers(3, 32, cpu) == 3
    assert n_workers(0, 3, cpu) == 1
    assert 1 <= n_workers(0, 64, cpu) <= 16
    assert n_workers(0, 64, torch.device("cuda")) == 1
