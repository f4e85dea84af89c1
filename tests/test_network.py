"""Padding never leaks, and both directions are those of packed sequences."""

from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from audiornn.settings import NetworkSettings
from audiornn.train.network import BidirectionalLayer, Network, recurrent_cell, reverse_within_length

LENGTHS = torch.tensor([7, 1, 12, 5])
N_FEATURES, N_OUTPUTS = 5, 4

FRONTS = (
    {"front": "stack", "stride": 3},
    {"front": "conv", "stride": 2},
    {"front": "conv2d", "stride": 2, "front_channels": 3},
)
CELLS = {
    "lstm": {"cell": "lstm"},
    "gru": {"cell": "gru"},
    **{f"rnn_{activation}": {"cell": "rnn", "activation": activation} for activation in ("tanh", "relu", "logistic")},
}
#: Every cell in both directions behind every front; with HEADS, what padding and export are tested on.
SHAPES = [
    pytest.param(NetworkSettings(**CELLS[cell], bidirectional=both, n_units=6, dropout=0.0, **front), id=name)
    for cell in CELLS
    for both in (True, False)
    for front in ({}, *FRONTS)
    for name in [f"{cell}-{'both' if both else 'one'}-{front.get('front', 'none')}"]
]
POOLINGS = ("mean", "max", "last", "attention", "multihead")


class Head(NamedTuple):
    """What stands behind the recurrent layers: a task, how a classifier pools, what becomes of the outputs."""

    task: str
    pooling: str = "attention"
    output_kind: str = "softmax"
    bins: int = 0


HEADS = [
    Head("transcribe"),
    Head("label"),
    *(Head("classify", pooling) for pooling in POOLINGS),
    Head("label", output_kind="sigmoid"),
    Head("classify", output_kind="sigmoid"),
    Head("regress", output_kind="linear"),
    Head("regress", output_kind="linear", bins=9),
]


def matrix():
    """Every shape with every head; in a quick run every shape with two of them, and every head with eight shapes."""
    for i, shape in enumerate(SHAPES):
        for j, head in enumerate(HEADS):
            quick = (i + j) % (len(HEADS) // 2) == 0
            yield pytest.param(
                replace(shape.values[0], pooling=head.pooling, bins=head.bins),
                head,
                id="-".join([shape.id, *map(str, head)]),
                marks=() if quick else pytest.mark.slow,
            )


MATRIX = list(matrix())


def network_of(settings, task="transcribe", normalisation="global", output_kind="softmax"):
    torch.manual_seed(3)
    shape = {"n_features": N_FEATURES, "n_outputs": N_OUTPUTS}
    network = Network(settings, **shape, task=task, normalisation=normalisation, output_kind=output_kind).eval()
    network.mean.normal_()
    network.scale.uniform_(0.5, 2.0)
    if settings.bins:
        network.track_bins.copy_(torch.randn(N_OUTPUTS, 1) + torch.linspace(0, 2, settings.bins))
    elif output_kind == "linear":
        network.track_mean.normal_()
        network.track_scale.uniform_(0.5, 2.0)
    return network


def padded_batch(seed=0, filler=0.0):
    torch.manual_seed(seed)
    features = torch.randn(len(LENGTHS), int(LENGTHS.max()), N_FEATURES)
    for row, length in zip(features, LENGTHS, strict=True):
        row[length:] = filler
    return features


def outputs(network, features, lengths):
    """Real output frames only, an utterance each."""
    log_probs, output_lengths = network(features, lengths)
    if network.task == "classify":
        return list(log_probs)
    return [row[:n] for row, n in zip(log_probs, output_lengths.tolist(), strict=True)]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_bidirectional_layer_equals_packed_sequences_in_values_and_gradients(cell):
    torch.manual_seed(0)
    layer = BidirectionalLayer(NetworkSettings(cell=cell, n_units=6), N_FEATURES)
    packed = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[cell](N_FEATURES, 6, bidirectional=True)
    pairs = []
    for name, parameter in packed.named_parameters():
        source = layer.backwards if name.endswith("_reverse") else layer.forwards
        ours = getattr(source, name.removesuffix("_reverse"))
        parameter.data.copy_(ours.data)
        pairs.append((ours, parameter))
    x = padded_batch().transpose(0, 1)
    ours_in, theirs_in = x.clone().requires_grad_(), x.clone().requires_grad_()

    found = layer(ours_in, LENGTHS)
    expected, _ = pad_packed_sequence(packed(pack_padded_sequence(theirs_in, LENGTHS, enforce_sorted=False))[0])
    real = (torch.arange(x.shape[0]).unsqueeze(1) < LENGTHS).unsqueeze(2)
    torch.testing.assert_close(found * real, expected, rtol=0, atol=1e-5)

    weights = torch.randn_like(expected)
    (found * real * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours_in.grad, theirs_in.grad, rtol=0, atol=1e-5)
    for ours, theirs in pairs:
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("settings", "head"), MATRIX)
def test_alone_equals_padded_equals_any_batch_in_any_order(settings, head):
    network = network_of(settings, head.task, output_kind=head.output_kind)
    features = padded_batch()
    together = outputs(network, features, LENGTHS)
    for i, length in enumerate(LENGTHS.tolist()):
        alone = outputs(network, features[i : i + 1, :length], LENGTHS[i : i + 1])[0]
        torch.testing.assert_close(together[i], alone, rtol=0, atol=1e-5)
    order = torch.tensor([2, 0, 3, 1])
    for i, reordered in zip(order.tolist(), outputs(network, features[order], LENGTHS[order]), strict=True):
        torch.testing.assert_close(together[i], reordered, rtol=0, atol=1e-5)
    longer = torch.cat([features, torch.full((len(LENGTHS), 9, N_FEATURES), 77.0)], dim=1)
    for a, b in zip(together, outputs(network, longer, LENGTHS), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5)


def test_last_is_the_state_that_each_direction_ends_in():
    settings = NetworkSettings(n_units=6, n_layers=1, dropout=0.0, pooling="last")
    network = network_of(settings, "classify")
    layer = network.layers[0]
    x = padded_batch().transpose(0, 1)
    pooled = network._pooled(layer(x, LENGTHS), LENGTHS)
    for i, length in enumerate(LENGTHS.tolist()):
        ahead = layer.forwards(x[:length, i : i + 1])[0][-1, 0]
        behind = layer.backwards(x[:length, i : i + 1].flip(0))[0][-1, 0]
        torch.testing.assert_close(pooled[i], torch.cat([ahead, behind]), rtol=0, atol=1e-6)


def test_heads_ask_by_the_middle_frame_and_weigh_all_real_ones():
    settings = NetworkSettings(n_units=2, n_layers=1, pooling="multihead", pooling_heads=3)
    network = network_of(settings, "classify")
    x = torch.randn(int(LENGTHS.max()), len(LENGTHS), 4)
    pooled = network._pooled(x, LENGTHS)
    for i, length in enumerate(LENGTHS.tolist()):
        frames = x[:length, i]
        queries = network.queries(frames[length // 2]).reshape(3, 4)
        expected = [((frames @ query / 4**0.5).softmax(0)[:, None] * frames).sum(0) for query in queries]
        torch.testing.assert_close(pooled[i], torch.cat(expected), rtol=0, atol=1e-6)


def test_a_value_is_the_mean_of_its_distribution_around_the_mode():
    network = network_of(NetworkSettings(n_units=6, bins=21), "regress", output_kind="linear")
    bins = network.track_bins[0]
    one_peak = torch.full((N_OUTPUTS, 21), 1e-9)
    one_peak[:, 10], one_peak[:, 11] = 0.75, 0.25
    expected = 0.75 * bins[10] + 0.25 * bins[11]
    assert network.values(one_peak.log())[0].item() == pytest.approx(expected.item(), abs=1e-5)
    two_peaks = one_peak.clone()
    two_peaks[:, 2] = 0.5  # an octave away
    assert network.values(two_peaks.log())[0].item() == pytest.approx(expected.item(), abs=1e-5)
    reach = one_peak.clone()
    reach[:, 13], reach[:, 14] = 0.2, 0.4  # three bins from the most probable one counts, four does not
    expected = (0.75 * bins[10] + 0.25 * bins[11] + 0.2 * bins[13]) / 1.2
    assert network.values(reach.log())[0].item() == pytest.approx(expected.item(), abs=1e-5)
    plain = network_of(NetworkSettings(n_units=6), "regress", output_kind="linear")
    assert plain.values(bins) is bins


@pytest.mark.parametrize("filler", [1e3, float("nan"), float("inf")])
@pytest.mark.parametrize("normalisation", ["global", "utterance", "none"])
@pytest.mark.parametrize("front", [{}, *FRONTS])
def test_what_padding_holds_is_never_read(filler, normalisation, front):
    network = network_of(NetworkSettings(n_units=6, dropout=0.0, **front), normalisation=normalisation)
    clean = outputs(network, padded_batch(), LENGTHS)
    for a, b in zip(clean, outputs(network, padded_batch(filler=filler), LENGTHS), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


@pytest.mark.parametrize("head", HEADS)
def test_padding_gets_no_gradient(head):
    settings = NetworkSettings(n_units=6, dropout=0.0, pooling=head.pooling)
    network = network_of(settings, head.task, output_kind=head.output_kind)
    features = padded_batch().requires_grad_()
    sum(o.square().sum() for o in outputs(network, features, LENGTHS)).backward()
    for row, length in zip(features.grad, LENGTHS.tolist(), strict=True):
        assert (row[length:] == 0).all()
        assert (row[:length] != 0).any()


def test_open_gates_hold_what_they_have_for_as_long_as_was_asked():
    for cell in ("lstm", "gru"):
        torch.manual_seed(0)
        layer = recurrent_cell(NetworkSettings(cell=cell, n_units=400, memory=100), N_FEATURES)
        for parameter in (layer.weight_ih_l0, layer.weight_hh_l0):
            parameter.data.zero_()
        gates = (layer.bias_ih_l0 + layer.bias_hh_l0).detach().reshape(-1, 400).sigmoid()
        frames = 1 / (1 - gates[1])
        assert 2 <= frames.min() < 5
        assert 90 < frames.max() <= 100
        assert frames.median().item() == pytest.approx(50, rel=0.25)
        if cell == "lstm":
            torch.testing.assert_close(gates[0] + gates[1], torch.ones(400))
            held = layer(torch.zeros(20, 1, N_FEATURES), (torch.zeros(1, 1, 400), torch.ones(1, 1, 400)))[1][1]
            candidate = (layer.bias_ih_l0 + layer.bias_hh_l0).detach()[800:1200].tanh()
            decayed = gates[1] ** 20
            torch.testing.assert_close(held[0, 0], decayed + (1 - decayed) * candidate, rtol=0, atol=1e-4)


def test_reversal_is_its_own_inverse_and_leaves_padding_where_it_is():
    x = torch.arange(12.0).reshape(12, 1, 1).expand(12, len(LENGTHS), 1).contiguous()
    reversed_x = reverse_within_length(x, LENGTHS)
    assert reversed_x[:, 0, 0].tolist() == [6, 5, 4, 3, 2, 1, 0, 7, 8, 9, 10, 11]
    assert torch.equal(reverse_within_length(reversed_x, LENGTHS), x)


@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("front", ["stack", "conv", "conv2d"])
def test_output_lengths_are_those_the_settings_promise(front, stride):
    settings = NetworkSettings(n_units=4, n_layers=1, front=front, stride=stride)
    for n_frames in range(1, 12):
        log_probs, lengths = network_of(settings)(torch.randn(1, n_frames, N_FEATURES), torch.tensor([n_frames]))
        assert lengths.tolist() == [settings.output_length(n_frames)] == [log_probs.shape[1]]


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("front", ["none", "stack", "conv", "conv2d"])
def test_a_front_sees_as_far_as_its_settings_say_and_skips_no_frame(front, stride):
    if front == "none" and stride > 1:
        return
    settings = NetworkSettings(front=front, stride=stride, n_units=4, front_layers=4, front_channels=2)
    network = network_of(settings)
    features = torch.randn(1, 60 * stride, N_FEATURES, requires_grad=True)
    x, _ = network._front(features, torch.tensor([60 * stride]))
    first = 30 * stride
    x[0, 30].square().sum().backward()
    seen = features.grad[0].abs().sum(dim=1).nonzero()[:, 0]
    before, after = settings.front_context
    assert before % stride == 0
    assert first - before <= seen.min() <= first
    assert first + stride - 1 <= seen.max() <= first + stride - 1 + after
    assert len(seen) == seen.max() - seen.min() + 1 >= stride


def test_utterance_normalisation_forgets_level_and_scale():
    network = network_of(NetworkSettings(n_units=6, dropout=0.0), normalisation="utterance")
    features = padded_batch()
    for a, b in zip(outputs(network, features, LENGTHS), outputs(network, features * 3 + 40, LENGTHS), strict=True):
        if len(a) > 1:  # of a single frame nothing is left after its mean
            torch.testing.assert_close(a, b, rtol=0, atol=1e-3)


def test_outputs_are_log_probabilities():
    for task, pooling, output_kind, bins in HEADS:
        network = network_of(NetworkSettings(n_units=6, pooling=pooling, bins=bins), task, output_kind=output_kind)
        for o in outputs(network, padded_batch(), LENGTHS):
            if output_kind == "softmax" or bins:
                torch.testing.assert_close(o.exp().sum(dim=-1), torch.ones(o.shape[:-1]))
            elif output_kind == "sigmoid":
                assert (o <= 0).all()


def test_multiply_adds_are_those_of_every_weight_at_every_frame():
    plain = network_of(NetworkSettings(n_layers=1, n_units=6, bidirectional=False))
    assert plain.multiply_adds(10) == 10 * (4 * 6 * (N_FEATURES + 6) + 6 * N_OUTPUTS)
    settings = NetworkSettings(front="conv2d", stride=2, front_layers=2, front_channels=3, n_layers=1, n_units=6)
    first, second = 10 * 3 * 9 * 3, 5 * 2 * 9 * 9  # frames · bands · kernel · channels
    recurrent = 5 * 2 * 4 * 6 * (6 + 6)
    attention, output = 5 * (12 * 6 + 6), 12 * N_OUTPUTS
    found = network_of(settings, task="classify").multiply_adds(10)
    assert found == first + second + 5 * (2 * 3 * 6) + recurrent + attention + output


def test_dropout_lies_between_layers_and_before_the_output():
    network = Network(
        NetworkSettings(n_layers=3, n_units=6, dropout=0.5), n_features=5, n_outputs=4, task="label"
    ).train()
    seen = []
    network._dropout = lambda x, generator: seen.append(x.shape[2]) or x
    network(torch.zeros(2, 9, 5), torch.tensor([9, 4]))
    width = 6 * (1 + network.settings.bidirectional)
    assert seen == [width, width, width]
