"""The equations in plain numpy are those of PyTorch and of the package, in values and in every gradient; and the page
that lists them names only what there is.
"""

import ast
import math
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch import nn
from torch.nn import functional as F

from audiornn.evaluate import detection, segments
from audiornn.evaluate.bootstrap import resampled_totals
from audiornn.features import VARIANCE_FLOOR, FeatureSettings
from audiornn.listen import keywords
from audiornn.listen.alignment import align_text
from audiornn.listen.words import calibrated
from audiornn.model_file import ModelCard
from audiornn.settings import NetworkSettings, TrainingSettings
from audiornn.train import loop, placing, spot_score
from audiornn.train.calibration import fit_confidence
from audiornn.train.dataset import IGNORED, Batch, Dataset
from audiornn.train.losses import disagreement, utterance_losses
from audiornn.train.network import BidirectionalLayer, Network, real_frames, recurrent_cell
from audiornn.train.run import Run
from audiornn.train.spot_score import SpotAnswers, spotting_of
from audiornn.vocabulary import BLANK, Vocabulary
from docs.equations import decisions, losses, optimiser, pooling, recurrent
from tests.reference import best_path_for_target, ctc_loss

ROOT = Path(__file__).parent.parent
NEAR = {"rtol": 0, "atol": 1e-6}  # in double precision; differences of sums in another order are near 1e-15
WORDS = Vocabulary((BLANK, "do", "mi"), "word")
CELLS = {
    "tanh": NetworkSettings(cell="rnn", activation="tanh", n_units=4),
    "relu": NetworkSettings(cell="rnn", activation="relu", n_units=4),
    "logistic": NetworkSettings(cell="rnn", activation="logistic", n_units=4),
    "lstm": NetworkSettings(cell="lstm", n_units=4),
    "gru": NetworkSettings(cell="gru", n_units=4),
}
shapes = st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(1, 6), st.integers(0, 2**31))


def drawn(seed, *shape):
    return np.random.default_rng([seed, len(shape)]).standard_normal(shape)


def torch_layer(kind, n_inputs, n_units, seed):
    """The package's cell in double precision, with weights large enough to matter."""
    torch.manual_seed(seed % 1000)
    layer = recurrent_cell(NetworkSettings(**{**vars(CELLS[kind]), "n_units": n_units}), n_inputs).double()
    for parameter in layer.parameters():
        parameter.data.normal_(0, 0.7)
    return layer


def array(tensor):
    return tensor.detach().numpy()


def weights_of(layer, kind):
    """A layer's weights as the reference takes them."""
    W, U, b, b_state = (array(p) for p in layer.parameters())
    return (W, U, b, b_state) if kind == "gru" else (np.concatenate([U, W], axis=1), b + b_state)


def run_reference(kind, x, starts, weights, dh):
    """The states, and all gradients by name."""
    if kind == "gru":
        h, gates = recurrent.gru_forward(x, *starts, *weights)
        found = recurrent.gru_backward(x, h, gates, *weights[:2], dh)
        return h[1:], dict(zip(("x", "h_0", "W", "U", "b", "b_state"), found, strict=True))
    if kind == "lstm":
        h, c, gates = recurrent.lstm_forward(x, *starts, *weights)
        dx, dh_0, dc_0, dW, db = recurrent.lstm_backward(x, h, c, gates, weights[0], dh)
    else:
        h = recurrent.vanilla_forward(x, *starts, *weights, kind)
        dx, dh_0, dW, db = recurrent.vanilla_backward(x, h, weights[0], kind, dh)
        dc_0 = None
    dU, dW = np.split(dW, [h.shape[1]], axis=1)
    return h[1:], {"x": dx, "h_0": dh_0, "c_0": dc_0, "W": dW, "U": dU, "b": db, "b_state": db}


@pytest.mark.parametrize("kind", CELLS)
@given(shapes)
def test_cells_equal_torch_in_states_and_in_every_gradient(kind, shape):
    T, n_inputs, n_units, seed = shape
    layer = torch_layer(kind, n_inputs, n_units, seed)
    x, dh = drawn(seed, T, n_inputs), drawn(seed + 1, T, n_units)
    starts = [drawn(seed + 2 + i, n_units) for i in range(2 if kind == "lstm" else 1)]
    x_torch = torch.from_numpy(x).unsqueeze(1).requires_grad_()
    starts_torch = [torch.from_numpy(s).reshape(1, 1, -1).requires_grad_() for s in starts]

    out, _ = layer(x_torch, tuple(starts_torch) if kind == "lstm" else starts_torch[0])
    (out[:, 0] * torch.from_numpy(dh)).sum().backward()
    h, gradients = run_reference(kind, x, starts, weights_of(layer, kind), dh)

    np.testing.assert_allclose(h, array(out[:, 0]), **NEAR)
    expected = {
        "x": x_torch.grad[:, 0],
        "W": layer.weight_ih_l0.grad,
        "U": layer.weight_hh_l0.grad,
        "b": layer.bias_ih_l0.grad,
        "b_state": layer.bias_hh_l0.grad,
        **{name: s.grad.flatten() for name, s in zip(("h_0", "c_0"), starts_torch, strict=False)},
    }
    for name, gradient in expected.items():
        np.testing.assert_allclose(gradients[name], array(gradient), **NEAR, err_msg=name)


@pytest.mark.parametrize("kind", CELLS)
def test_every_gradient_of_a_cell_is_the_slope_of_its_loss(kind):
    x, dh, starts = drawn(1, 6, 3), drawn(2, 6, 4), [drawn(3 + i, 4) for i in range(2 if kind == "lstm" else 1)]
    weights = [w.copy() for w in weights_of(torch_layer(kind, 3, 4, 0), kind)]
    _, gradients = run_reference(kind, x, starts, weights, dh)
    if kind == "gru":
        gradients_of_weights = [gradients[name] for name in ("W", "U", "b", "b_state")]
    else:
        gradients_of_weights = [np.concatenate([gradients["U"], gradients["W"]], axis=1), gradients["b"]]
    pairs = [(x, gradients["x"]), (starts[0], gradients["h_0"]), *zip(weights, gradients_of_weights, strict=True)]
    if kind == "lstm":
        pairs.append((starts[1], gradients["c_0"]))
    for values, gradient in pairs:
        slopes = slopes_of(lambda: float((run_reference(kind, x, starts, weights, dh)[0] * dh).sum()), values)
        np.testing.assert_allclose(gradient, slopes, **NEAR)


def slopes_of(loss, values, step=1e-5):
    """∂loss/∂values by central differences; the values are changed in place, and put back."""
    slopes = np.zeros_like(values)
    for index in np.ndindex(values.shape):
        before = values[index]
        values[index] = before + step
        above = loss()
        values[index] = before - step
        slopes[index] = (above - loss()) / (2 * step)
        values[index] = before
    return slopes


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_the_first_weights_are_drawn_as_the_page_says(cell):
    torch.manual_seed(0)
    settings = NetworkSettings(cell=cell, n_units=48, front="conv", stride=2)
    network = Network(settings, n_features=20, n_outputs=40, task="classify")
    layers = [part for part in network.modules() if list(part.parameters(recurse=False))]
    assert len(layers) == 1 + 4 + 2 + 1  # the convolution, two layers of two directions, attention, the output
    for layer in layers:
        n = layer.hidden_size if isinstance(layer, nn.RNNBase) else layer.weight[0].numel()
        drawn_here = torch.cat([parameter.flatten() for parameter in layer.parameters()]).detach()
        assert drawn_here.abs().max() <= n**-0.5
        if len(drawn_here) > 500:
            assert drawn_here.std().item() == pytest.approx((3 * n) ** -0.5, rel=0.05)


@pytest.mark.parametrize("kind", CELLS)
@given(st.lists(st.integers(1, 8), min_size=1, max_size=4))
def test_both_directions_equal_the_packages_layer_on_padded_batches(kind, lengths):
    layer = BidirectionalLayer(CELLS[kind], 3).double()
    layer.forwards, layer.backwards = torch_layer(kind, 3, 4, 1), torch_layer(kind, 3, 4, 2)
    x = torch.from_numpy(drawn(0, max(lengths), len(lengths), 3))
    found = array(layer(x, torch.tensor(lengths)))

    def states(one_way):
        starts = [np.zeros(4)] * (2 if kind == "lstm" else 1)
        weights = weights_of(one_way, kind)
        first = starts[0][None]
        return lambda read: np.concatenate(
            [first, run_reference(kind, read, starts, weights, np.zeros((len(read), 4)))[0]]
        )

    for b, length in enumerate(lengths):
        expected = recurrent.bidirectional(states(layer.forwards), states(layer.backwards), array(x[:length, b]))
        np.testing.assert_allclose(found[:length, b], expected, **NEAR)


# --- what stands before and after the cells ---


@given(st.integers(1, 8), st.integers(0, 2**31))
def test_normalisation_is_that_of_the_network(T, seed):
    x = drawn(seed, T, 3)
    padded = torch.from_numpy(np.concatenate([x, np.full((4, 3), 9.0)])).unsqueeze(0)
    mean, deviation = drawn(seed + 1, 3), np.array([0.5, 2.0, 1e-3])
    expected = {
        "utterance": pooling.normalised(x, VARIANCE_FLOOR),
        "global": pooling.standardised(x, mean, deviation),
        "none": x,
    }
    for kind, reference in expected.items():
        network = Network(NetworkSettings(), n_features=3, n_outputs=2, task="label", normalisation=kind).double()
        if kind == "global":
            network.mean.copy_(torch.from_numpy(mean))
            network.scale.copy_(torch.from_numpy(1 / deviation))
        found = network._normalised(padded, real_frames(torch.tensor([T]), T + 4))
        np.testing.assert_allclose(array(found[0, :T]), reference, **NEAR, err_msg=kind)
        assert not found[0, T:].any(), "padding is nothing"


@pytest.mark.parametrize("is_constant", [False, True])
def test_global_normalisation_is_that_of_the_training_set(is_constant, prepared, monkeypatch):
    ready = prepared("classify")
    recipe = replace(ready.recipe, features=replace(ready.recipe.features, normalisation="global"))
    data = Dataset(ready, "train", recipe, ready.vocabulary)
    frames = np.concatenate([array(data.batch([i]).features[0]) for i in range(len(data))]).astype(np.float64)
    mean, deviation = frames.mean(axis=0), frames.std(axis=0)
    if is_constant:  # a coefficient that never varies is not divided by nothing
        deviation = np.zeros_like(deviation)
        monkeypatch.setattr(Dataset, "mean_and_deviation", lambda self: (mean, deviation))
    network = loop.untrained_network(recipe, data, n_outputs=2)
    batch = data.batch([0])
    found = network._normalised(batch.features, real_frames(batch.feature_lengths, batch.features.shape[1]))
    expected = pooling.standardised(array(batch.features[0]).astype(np.float64), mean, deviation)
    np.testing.assert_allclose(array(found[0]), expected, rtol=1e-3, atol=1e-4)  # in single precision


@given(st.integers(1, 8), st.integers(0, 2**31))
def test_pooling_is_that_of_the_network(T, seed):
    x = drawn(seed, T, 8)
    padded = torch.from_numpy(np.concatenate([x, np.full((4, 8), 9.0)])).unsqueeze(1)  # (T', 1, width)
    expected = {
        "mean": lambda network: x.mean(axis=0),
        "max": lambda network: x.max(axis=0),
        "last": lambda network: pooling.last_states(x, 4),
        "attention": lambda network: pooling.attention(x, *attention_of(network)),
        "multihead": lambda network: pooling.multihead(
            x, array(network.queries.weight), array(network.queries.bias), 3
        ),
    }
    for kind, reference in expected.items():
        settings = NetworkSettings(n_units=4, pooling=kind, pooling_heads=3)
        network = Network(settings, n_features=3, n_outputs=2, task="classify").double()
        found = network._pooled(padded, torch.tensor([T]))
        np.testing.assert_allclose(array(found)[0], reference(network), **NEAR, err_msg=kind)


def attention_of(network):
    inner, _, outer = network.attention
    return array(inner.weight), array(inner.bias), array(outer.weight)[0], outer.bias.item()


# --- losses ---


@given(st.integers(1, 9), st.lists(st.integers(1, 3), max_size=5), st.integers(0, 2**31))
def test_ctc_equals_torch_in_loss_and_gradient(T, target, seed):
    logits = torch.from_numpy(drawn(seed, T, 4)).requires_grad_()
    log_probs = F.log_softmax(logits, dim=-1).unsqueeze(1)
    targets = torch.tensor([target], dtype=torch.int64).reshape(1, -1)
    expected = F.ctc_loss(log_probs, targets, torch.tensor([T]), torch.tensor([len(target)]), reduction="sum")
    loss, gradient = losses.ctc(array(logits), target)
    if math.isinf(loss):
        assert math.isinf(expected.item())
        return
    expected.backward()
    assert loss == pytest.approx(expected.item(), abs=1e-6)
    np.testing.assert_allclose(gradient, array(logits.grad), **NEAR)


def test_ctc_is_the_sum_over_all_paths_and_its_gradient_the_slope():
    logits, target = drawn(5, 5, 3), [1, 1]
    loss, gradient = losses.ctc(logits, target)
    assert loss == pytest.approx(ctc_loss(losses.log_softmax(logits), target), abs=1e-9)
    np.testing.assert_allclose(gradient, slopes_of(lambda: losses.ctc(logits, target)[0], logits), **NEAR)


@given(st.integers(1, 6), st.integers(0, 2**31), st.sampled_from([0.0, 0.1]))
def test_cross_entropies_and_squared_error_equal_torch_and_are_slopes(n, seed, smoothing):
    logits, targets = drawn(seed, n), (drawn(seed + 1, n) > 0).astype(float)
    values = drawn(seed + 2, n)
    cases = (
        (
            lambda a: losses.cross_entropy(a, n // 2, smoothing),
            lambda a: F.cross_entropy(a, torch.tensor(n // 2), label_smoothing=smoothing),
        ),
        (
            lambda a: losses.binary_cross_entropy(a, targets, smoothing),
            lambda a: F.binary_cross_entropy_with_logits(
                a, torch.lerp(torch.from_numpy(targets), torch.tensor(0.5).double(), smoothing)
            ),
        ),
        (
            lambda a: losses.mean_squared_error(a, values),
            lambda a: F.mse_loss(a, torch.from_numpy(values)),
        ),
    )
    for ours, theirs in cases:
        loss, gradient = ours(logits)
        a = torch.from_numpy(logits.copy()).requires_grad_()
        expected = theirs(a)
        expected.backward()
        assert loss == pytest.approx(expected.item(), abs=1e-6)
        np.testing.assert_allclose(gradient, array(a.grad), **NEAR)
        np.testing.assert_allclose(gradient, slopes_of(lambda f=ours: f(logits)[0], logits), **NEAR)


def trained(logits, targets, task, outputs=lambda a: a.log_softmax(-1), n_targets=1, extras=None, **settings):
    """The loss that training takes of one utterance, and its gradient to the logits."""
    a = torch.from_numpy(logits.copy()).requires_grad_()
    lengths = torch.tensor([len(logits)])
    batch = Batch(
        features=torch.zeros(1, len(logits), 1),
        feature_lengths=lengths,
        targets=torch.from_numpy(np.asarray(targets))[None],
        target_lengths=torch.tensor([n_targets]),
        ids=("a",),
        **{name: torch.from_numpy(np.asarray(value))[None] for name, value in (extras or {}).items()},
    )
    (loss,) = utterance_losses(outputs(a)[None], lengths, batch, task, **settings)
    loss.backward()
    return loss.item(), array(a.grad)


def assert_equal(found, expected):
    """Both are a loss and its gradient."""
    assert found[0] == pytest.approx(expected[0], abs=1e-6)
    np.testing.assert_allclose(found[1], expected[1], **NEAR)


def over_frames(pairs):
    """The mean of the frames' losses, and its gradient."""
    each, gradients = (np.array(part) for part in zip(*pairs, strict=True))
    return each.mean(), gradients / len(each)


@given(st.integers(1, 6), st.integers(0, 2**31))
def test_the_losses_of_training_are_these(T, seed):
    logits, rows = drawn(seed, T, 3), range(T)
    labels = np.arange(T) % 3
    weights = np.abs(drawn(seed + 3, T))
    assert_equal(trained(logits, labels, "label"), losses.frame_cross_entropy(logits, labels, np.full(T, 1 / T)))
    assert_equal(
        trained(logits, labels, "label", extras={"frame_weights": weights}),
        losses.frame_cross_entropy(logits, labels, weights / T),
    )

    several = (drawn(seed + 1, T, 3) > 0).astype(float)
    expected = over_frames([losses.binary_cross_entropy(logits[t], several[t]) for t in rows])
    assert_equal(trained(logits, several, "label", outputs=F.logsigmoid), expected)

    values, scale = drawn(seed + 2, T, 3), np.array([0.5, 1.0, 2.0])
    tracks = [losses.mean_squared_error(logits[:, k] / scale[k], values[:, k] / scale[k]) for k in range(3)]
    gradient = np.stack([gradient for _, gradient in tracks], axis=1) / scale / 3
    expected = np.mean([loss for loss, _ in tracks]), gradient
    assert_equal(trained(logits, values, "regress", outputs=torch.clone, units=torch.from_numpy(scale)), expected)

    bins, rows_of_bins = np.linspace(-1.5, 1.5, 5), drawn(seed + 4, T, 5)
    expected = over_frames([losses.binned_cross_entropy(rows_of_bins[t], bins, values[t, 0]) for t in rows])
    found = trained(
        rows_of_bins,
        values[:, :1],
        "regress",
        outputs=lambda a: F.log_softmax(a, dim=-1).unsqueeze(1),
        units=torch.from_numpy(bins)[None],
    )
    assert_equal(found, expected)


@given(st.integers(1, 6), st.integers(0, 2**31))
def test_how_far_two_answers_lie_apart_is_this(T, seed):
    logits, others = drawn(seed, T, 3), drawn(seed + 1, T, 3)
    pairs = [losses.disagreement(a, b) for a, b in zip(logits, others, strict=True)]
    each, gradients = (np.array(part) for part in zip(*pairs, strict=True))
    for task, n, n_targets in (("transcribe", 2, 2), ("label", T, 1), ("spot", T, 1)):
        a = torch.from_numpy(logits.copy()).requires_grad_()
        batch = Batch(
            features=torch.zeros(1, T, 1),
            feature_lengths=torch.tensor([T]),
            targets=torch.ones(1, n_targets, dtype=torch.int64),
            target_lengths=torch.tensor([n_targets]),
            ids=("a",),
        )
        views = a.log_softmax(-1)[None], torch.from_numpy(others).log_softmax(-1)[None]
        (loss,) = disagreement(*views, torch.tensor([T]), batch, task)
        loss.backward()
        assert_equal((loss.item(), array(a.grad)), (each.sum() / n, gradients / n))


@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.1]), st.floats(0.5, 1.0))
def test_the_loss_of_a_class_is_this_smoothed_and_mixed(seed, smoothing, share):
    logits, (target, other) = drawn(seed, 4), np.random.default_rng(seed).integers(0, 4, 2)
    found = trained(logits, target, "classify", smoothing=smoothing)
    assert_equal(found, losses.cross_entropy(logits, target, smoothing))
    extras = {"mixed_targets": other, "shares": share}
    found = trained(logits, target, "classify", smoothing=smoothing, extras=extras)
    assert_equal(found, losses.cross_entropy(logits, target, smoothing, other, share))

    several, others = (drawn(seed + i, 4) > 0 for i in (1, 2))
    found = trained(logits, several.astype(float), "classify", outputs=F.logsigmoid, smoothing=smoothing)
    assert_equal(found, losses.binary_cross_entropy(logits, several, smoothing))
    extras = {"mixed_targets": others.astype(float), "shares": share}
    found = trained(logits, several.astype(float), "classify", outputs=F.logsigmoid, smoothing=smoothing, extras=extras)
    assert_equal(found, losses.binary_cross_entropy(logits, share * several + (1 - share) * others, smoothing))


@given(st.integers(1, 9), st.lists(st.integers(1, 3), max_size=5), st.integers(0, 2**31))
def test_the_loss_of_a_transcript_is_that_of_a_symbol(T, target, seed):
    logits, n = drawn(seed, T, 4), max(1, len(target))
    loss, gradient = losses.ctc(logits, target)
    found = trained(logits, target or [0], "transcribe", n_targets=len(target))  # an empty target is padded, too
    if math.isinf(loss):
        assert math.isinf(found[0])
    else:
        assert_equal(found, (loss / n, gradient / n))


@given(st.lists(st.sampled_from([IGNORED, 0, 0, 1, 2]), min_size=1, max_size=12), st.integers(0, 2**31))
def test_the_loss_of_a_spotter_is_this_and_its_gradient_the_slope(labels, seed):
    logits, labels = drawn(seed, len(labels), 3), np.array(labels)
    asked = np.maximum(labels, -1)
    for kind in ("mean", "max"):
        expected = losses.spotting(logits, asked, kind)
        assert_equal(trained(logits, labels, "spot", pooling=kind), expected)
        slopes = slopes_of(lambda k=kind: losses.spotting(logits, asked, k)[0], logits)
        np.testing.assert_allclose(expected[1], slopes, **NEAR)


def test_balanced_frames_are_weighed_as_the_training_set_has_their_labels(prepared):
    ready = prepared("label")
    recipe = replace(ready.recipe, training=replace(ready.recipe.training, balanced=True))
    data = Dataset(ready, "train", recipe, ready.vocabulary)
    labels = [data.target(i) for i in range(len(data))]
    weights = losses.label_weights(np.bincount(np.concatenate(labels)).astype(float))
    np.testing.assert_allclose(data.label_weights, weights, **NEAR)
    batch = data.batch([0], np.random.default_rng(0))
    frames = array(batch.targets[0])
    np.testing.assert_allclose(array(batch.frame_weights[0]), weights[frames], rtol=1e-6)
    logits = drawn(0, len(frames), len(weights))
    found = trained(logits, frames, "label", extras={"frame_weights": weights[frames]})
    assert_equal(found, losses.frame_cross_entropy(logits, frames, weights[frames] / len(frames)))


# --- the optimiser ---


def test_adamw_and_clipping_equal_torch():
    weights = nn.Parameter(torch.from_numpy(drawn(0, 3, 4)))
    theirs = torch.optim.AdamW([weights], lr=0.01, weight_decay=0.1)
    ours = optimiser.AdamW(array(weights).copy(), weight_decay=0.1)
    for step in range(5):
        gradient = 10.0 ** (step - 2) * drawn(step + 1, 3, 4)
        weights.grad = torch.from_numpy(gradient.copy())
        nn.utils.clip_grad_norm_([weights], 1.0)
        (shortened,) = optimiser.clipped([gradient], 1.0)
        np.testing.assert_allclose(shortened, array(weights.grad), **NEAR)
        theirs.step()
        ours.move(shortened, rate=0.01)
        np.testing.assert_allclose(ours.weights, array(weights), **NEAR)


@given(st.integers(1, 500), st.floats(0, 0.5), st.floats(0, 1), st.data())
def test_the_learning_rate_of_a_step_is_that_of_training(n_steps, warmup, final, data):
    step = data.draw(st.integers(0, n_steps - 1))
    settings = TrainingSettings(learning_rate=0.5, warmup=warmup, final_rate=final)
    found = optimiser.learning_rate(step, n_steps, 0.5, warmup, final)
    assert found == pytest.approx(loop.learning_rate(step, n_steps, settings))


@given(st.integers(1, 200), st.floats(0, 5))
def test_the_average_that_is_kept_is_that_of_training(n_batches, epochs):
    averaged, newest = nn.Linear(2, 2).double(), nn.Linear(2, 2).double()
    run = Run(Path(), newest, averaged, torch.optim.SGD(newest.parameters()), {})
    expected = array(averaged.weight).copy()
    for step in (0, 1, 50, 10_000):
        share = loop.newest_share(step, n_batches, TrainingSettings(average=epochs))
        assert share == pytest.approx(optimiser.newest_share(step, n_batches, epochs))
        newest.weight.data.normal_()
        expected = optimiser.moving_average(expected, array(newest.weight), share)
        run.average(share)
        np.testing.assert_allclose(array(averaged.weight), expected, **NEAR)


# --- decisions ---


@given(
    n_peaks=st.integers(0, 60),
    n_words=st.integers(1, 40),
    hours=st.sampled_from([0.1, 1.0, 7.3]),
    per_hour=st.sampled_from([0.1, 0.5, 4.0]),
    synthetic=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 2**31),
)
def test_a_keywords_threshold_is_this(n_peaks, n_words, hours, per_hour, synthetic, seed):
    alarms, words = (1 / (1 + np.exp(-drawn(seed + i, n))) for i, n in enumerate((n_peaks, n_words)))
    words = words ** (1 / 4)  # louder than most
    answers = SpotAnswers({"hey": words}, {"hey": np.sort(alarms)[::-1]}, hours, synthetic=synthetic)
    found = spotting_of(answers, per_hour)[0]["thresholds"]["hey"][0]
    expected = decisions.onset(words, alarms, hours, per_hour, synthetic)
    assert expected - 1e-9 <= found <= expected + 3.5e-6  # a hair above the loudest peak, and rounded up


@given(st.integers(50, 200), st.floats(0.1, 3.0), st.integers(0, 2**31))
def test_a_words_confidence_is_the_least_of_this_loss_and_its_gradient_the_slope(n_words, truth, seed):
    odds = 2 * drawn(seed, n_words) + 1
    p = 1 / (1 + np.exp(-odds))
    right = np.random.default_rng(seed).random(n_words) < 1 / (1 + np.exp(-truth * odds))
    found = fit_confidence(p.tolist(), right.tolist())
    best = minimize(decisions.confidence_loss, [1.0, 0.0], (p, right.astype(float)), jac=True, options={"gtol": 1e-8})
    assert found == pytest.approx(best.x, abs=2e-6)
    curve = drawn(seed + 1, 2)
    slopes = slopes_of(lambda: decisions.confidence_loss(curve, p, right.astype(float))[0], curve)
    np.testing.assert_allclose(
        decisions.confidence_loss(curve, p, right.astype(float))[1], slopes, rtol=1e-6, atol=1e-6
    )
    told = calibrated(ModelCard("transcribe", FeatureSettings(), WORDS, confidence=found), p[0])
    assert told == pytest.approx(1 / (1 + math.exp(-(found[0] * odds[0] + found[1]))), abs=1e-6)


@given(st.integers(0, 3), st.integers(5, 6), st.integers(0, 2**31))
def test_an_aligned_words_confidence_is_what_its_path_loses(first, second, seed):
    logits = drawn(seed, 8, len(WORDS))
    logits[:, 0] += 9  # silence, but where the words are, or others
    for frame in (first, second):
        logits[frame] = [0, *(3 * drawn(seed + frame, 2))]
    log_y = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    path = np.array(best_path_for_target(log_y.tolist(), [1, 2])[0])
    assume(path.nonzero()[0].tolist() == [first, second])  # else something is heard where the text has nothing
    middle = (first + 1 + second) // 2
    aligned = align_text(ModelCard("transcribe", FeatureSettings(), WORDS, 3), log_y.astype(np.float32), "do mi", 0.24)
    for word, stretch in zip(aligned.words, [(0, middle), (middle, 8)], strict=True):
        assert word.confidence == pytest.approx(decisions.aligned_confidence(log_y, path, stretch, 1), abs=1e-5)


# --- the page ---


@cache
def names_in(file):
    """Functions, classes and methods of a module: `f`, `C`, `C.f`."""
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
    return found


def test_the_epoch_that_is_kept_misses_least():
    """Misses where 0, 1, 2, 4 and 8 false alarms are allowed; an answer that is no louder than the next is missed."""
    draw = np.random.default_rng(1)
    alarms, answers = np.sort(draw.random(12))[::-1].round(2), draw.random(30).round(2)
    answers[:3] = alarms[[0, 2, 4]]
    expected = [(answers <= alarms[n]).sum() for n in (0, 1, 2, 4, 8)]
    found = SpotAnswers({"go": answers}, {"go": alarms}, 1.0)
    assert found.misses == sum(expected)
    assert found.chances == 5 * 30


@pytest.mark.parametrize(
    ("says", "number", "expected"),
    [
        ("from 0.06 s before its end to 0.15 s after it", (placing.LEAD, placing.HOLD), (0.06, 0.15)),
        ("and for 0.25 s after them", placing._AFTERGLOW, 0.25),
        ("$G$ are the frames of 0.06 s", keywords.LINGER, 0.06),
        ("0.3 s of blanks", keywords.WORD_GAP, 0.3),
        ("at most 0.5 s beside it", detection.TOLERANCE, 0.5),
        ("its onset lies within 0.2 s", segments.TOLERANCE, 0.2),
        ("\\theta_\\mathrm{off} = \\theta_\\mathrm{on} / 2", spot_score.OFFSET, 0.5),
        ("$\\bar s_t$ a second apart", spot_score.APART, 1.0),
        ("$\\epsilon = 10^{-5}$", VARIANCE_FLOOR, 1e-5),
    ],
)
def test_the_pages_numbers_are_those_of_the_code(says, number, expected):
    page = (ROOT / "docs" / "equations.md").read_text(encoding="utf-8")
    assert says in " ".join(page.split())
    assert number == expected


def test_the_bootstrap_draws_as_often_as_the_page_says():
    assert len(resampled_totals([[1.0, 2.0]])) == 2000


def test_the_page_names_what_there_is():
    page = (ROOT / "docs" / "equations.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+\.py): ([\w.]+)`", page)
    assert len(named) > 70
    for file, name in named:
        assert name in names_in(ROOT / file), f"docs/equations.md names `{file}: {name}`, which is not there"
    for link in re.findall(r"\]\(([\w/]+\.\w+)\)", page):
        assert (ROOT / "docs" / link).exists(), link
    listed = {name for file, name in named if file.startswith("docs/equations/")}
    for file in (ROOT / "docs" / "equations").glob("*.py"):
        public = {name for name in names_in(file) if "." not in name and not name.startswith("_")}
        assert public - listed <= {"log_odds", "logistic", "relu", "softmax"}, (
            f"{file.name}: the page does not name these"
        )
    for part in re.split(r"\n## ", page)[1:]:
        assert "- Proved by:" in part, part.splitlines()[0]
        assert part.rindex("- Proved by:") > part.rfind("```"), (
            f"{part.splitlines()[0]}: an equation after the last proof"
        )
    for paragraph in page.split("\n\n"):
        if "- Computed by:" in paragraph:
            assert "- Proved by:" in paragraph, paragraph


def test_every_source_has_its_title():
    docs = ROOT / "docs"
    files = [docs / "equations.md", docs / "gradients.md", *(docs / "equations").glob("*.py")]
    text = " ".join(" ".join(file.read_text(encoding="utf-8").split()) for file in files)
    cited = set(re.findall(r"[A-Z]\w+(?:, [A-Z]\w+)*(?: & [A-Z]\w+| et al\.)? (?:19|20)\d\d", text))
    listed = re.findall(r"^- (.+? \d{4}): \S", (docs / "equations" / "sources.md").read_text(encoding="utf-8"), re.M)
    assert len(set(listed)) == len(listed)
    assert cited == set(listed)
