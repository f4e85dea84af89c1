"""The vanishing gradient, measured: what the loss at frame T says to the state of frame T − lag, in a recurrent layer.

A layer's own recurrence is followed back frame by frame in double precision, as back-propagation through time does it:
∂loss_T/∂h_t = Wᵀ diag(σ′) … Wᵀ diag(σ′) ∂loss_T/∂h_T, one factor a frame (docs/gradients.md). Where the loss is felt at
many frames (CTC, a pooled class), loss_T is the part of it that comes through the layer's output at frame T.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audiornn.corpus.preparation import Prepared
from audiornn.errors import TrainingError
from audiornn.evaluate.gradient_report import GradientCurve
from audiornn.recipe import Recipe
from audiornn.train.checkpoint import load_checkpoint
from audiornn.train.dataset import Batch, Dataset
from audiornn.train.loop import learning_rate, losses_and_gradients, train_and_dev, untrained_network
from audiornn.train.losses import utterance_losses
from audiornn.train.network import BidirectionalLayer, Network, reverse_within_length
from audiornn.train.parallel import Workers, n_workers

__all__ = ["cells_compared", "followed_back", "gradient_curve", "layer_curves", "longest_utterances", "run_curves"]

N_UTTERANCES = 16
_FELT = 0.01  # of what the loss asks of a frame at most: less may be rounding, once it asks for hardly anything


def cells_compared(
    prepared: Prepared, recipe: Recipe, n_steps: int, report: Callable[[str], None]
) -> Iterator[GradientCurve]:
    """Curves of the last layer of a recipe's network, one-directional, with each of the three cells.

    Args:
        prepared: the corpus.
        recipe: its shape, its training and its seed are taken; its cell and direction are not.
        n_steps: of training, by the recipe's settings; once with clipping, and once without.
        report: takes a line of text for each training.
    """
    train_set, dev_set = train_and_dev(prepared, recipe)
    batch = longest_utterances(dev_set, train_set)
    for cell in ("rnn", "lstm", "gru"):
        model = replace(
            recipe.model, cell=cell, bidirectional=False, memory=0 if cell == "rnn" else recipe.model.memory
        )
        name = f"rnn {model.activation}" if cell == "rnn" else cell
        tried = replace(recipe, model=model)
        network = untrained_network(tried, train_set, len(prepared.vocabulary))
        yield replace(layer_curves(network, batch, recipe)[-1], layer=name, training="before")
        for how, clip_norm in (("clipped", recipe.training.clip_norm), ("not clipped", math.inf)):
            network = untrained_network(tried, train_set, len(prepared.vocabulary))
            report(f"{name}: {n_steps} steps of training, {how}")
            loss, clipped, longest = _train(network, train_set, n_steps, clip_norm)
            curve = layer_curves(network, batch, recipe)[-1]
            training = f"{n_steps} steps, {how}"
            yield replace(curve, layer=name, training=training, loss=loss, clipped=clipped, longest=longest)


def run_curves(run: Path, prepared: Prepared, recipe: Recipe) -> list[GradientCurve]:
    """Curves of every layer and direction of a run's network, before training and trained.

    A run that started from another has none before: its weights of then are not kept.

    Raises:
        TrainingError: the run holds no weights, or those of another preparation.
    """
    weights = run / "best.safetensors"
    if not weights.exists():
        raise TrainingError(f"{run}: no epoch of its training is over, so there is no network to measure; let it go on")
    train_set, dev_set = train_and_dev(prepared, recipe)
    tensors, state = load_checkpoint(weights)
    if state["digests"] != dict(prepared.digests):
        raise TrainingError(f"{run}: was trained on another preparation of {recipe.name}; prepare it as before")
    network = untrained_network(recipe, train_set, len(prepared.vocabulary))
    batch = longest_utterances(dev_set, train_set)
    found = {} if recipe.training.start else {"before": layer_curves(network, batch, recipe)}
    network.load_state_dict(tensors)
    found["trained"] = layer_curves(network, batch, recipe)
    return [
        replace(curve, layer=f"{recipe.model.cell} {curve.layer}", training=training)
        for curves in zip(*found.values(), strict=True)
        for training, curve in zip(found, curves, strict=True)
    ]


def longest_utterances(*datasets: Dataset) -> Batch:
    """The longest utterances of the first split that has any: they reach furthest back."""
    dataset = next(dataset for dataset in datasets if len(dataset))
    return dataset.batch(np.argsort(dataset.lengths, kind="stable")[-N_UTTERANCES:])


def layer_curves(network: Network, batch: Batch, recipe: Recipe) -> list[GradientCurve]:
    """A curve for every recurrent layer and direction of a network, the last layer last.

    Args:
        network: as it is; dropout rests.
        batch: of real utterances with their targets.
        recipe: the network's.
    """
    network.eval()
    inputs: list[Tensor] = []
    hooks = [layer.register_forward_pre_hook(lambda _, given: inputs.append(given[0])) for layer in network.layers]
    try:
        outputs, lengths = network.layer_outputs(batch.features, batch.feature_lengths)
    finally:
        for hook in hooks:
            hook.remove()
    own = network.own_frames(batch.features, batch.feature_lengths)
    log_probs, pooling = network.head(outputs[-1], lengths, own=own), recipe.spotting.pooling
    losses = utterance_losses(log_probs, lengths, batch, recipe.task, units=network.track_units, pooling=pooling)
    asked = torch.autograd.grad(losses.sum(), outputs)
    curves = []
    for i, (layer, x, g) in enumerate(zip(network.layers, inputs, asked, strict=True), start=1):
        x, g = x.detach(), g.detach()
        if isinstance(layer, BidirectionalLayer):
            ahead, behind = g.chunk(2, dim=2)
            curves.append(_curve(f"{i} forwards", layer.forwards, x, ahead, lengths))
            reversed_x, reversed_g = reverse_within_length(x, lengths), reverse_within_length(behind, lengths)
            curves.append(_curve(f"{i} backwards", layer.backwards, reversed_x, reversed_g, lengths))
        else:
            curves.append(_curve(str(i), layer, x, g, lengths))
    return curves


def gradient_curve(layer: nn.RNNBase, x: Tensor, asked: Tensor, frames: Tensor) -> tuple[float, ...]:
    """The median over utterances of ‖∂loss_T/∂state_{T − lag}‖ relative to lag 0, for each lag that they all have.

    Args:
        layer: one direction.
        x: (T, B, n_inputs), what it reads.
        asked: (B, n_units), ∂loss_T/∂h_T.
        frames: (B,) int64, T of each utterance.
    """
    norms = followed_back(layer, x, asked, frames)
    n_lags = int(frames.min()) + 1
    by_lag = np.stack([norms[t - np.arange(n_lags), b] for b, t in enumerate(frames.tolist())])  # (B, lags)
    started = by_lag[:, 0] > 0  # an utterance without any loss says nothing
    if not started.any():
        return (0.0,) * n_lags
    return tuple(np.median(by_lag[started] / by_lag[started, :1], axis=0).tolist())


def followed_back(layer: nn.RNNBase, x: Tensor, asked: Tensor, frames: Tensor) -> NDArray[np.float64]:
    """‖∂loss_T/∂state_t‖ of every frame t, (T, B); the state is what is handed on: h_t, and an LSTM's c_t with it.

    Arguments as of `gradient_curve`; those of a norm beyond an utterance's own T are zero.
    """
    layer, state = copy.deepcopy(layer).double(), None
    states: list[tuple[Tensor, ...]] = []
    for frame in x.double().unbind(0):
        _, state = layer(frame.unsqueeze(0), state)  # one frame a call: each state becomes a node of the graph
        states.append(state if isinstance(state, tuple) else (state,))
    hidden = torch.cat([handed_on[0] for handed_on in states])  # (T, B, n_units)
    loss = (hidden[frames, torch.arange(len(frames))] * asked.double()).sum()
    every = [part for handed_on in states for part in handed_on]
    found = torch.autograd.grad(loss, every, allow_unused=True)
    nothing = torch.zeros_like(hidden[0])  # a frame after T, an LSTM's c_T
    gradients = torch.stack([nothing if g is None else g[0] for g in found])
    gradients = gradients.reshape(len(states), -1, *nothing.shape)  # (T, parts of the state, B, n_units)
    largest = gradients.abs().amax(dim=(1, 3), keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
    lengths = (gradients / largest).square().sum(dim=(1, 3)).sqrt() * largest[:, 0, :, 0]  # 1e-200 has a square of 0
    return lengths.detach().numpy()


def _curve(name: str, layer: nn.RNNBase, x: Tensor, asked: Tensor, lengths: Tensor) -> GradientCurve:
    """The curve from the last frame T of each utterance at which the loss asks something of the layer.

    It lies in the second half, read in the layer's direction. Until a network is sure of some frames the targets alone
    decide it, so that cells are compared over the same ones.
    """
    each = asked.norm(dim=2)  # (T, B)
    felt = each > _FELT * each.amax(dim=0)
    time = torch.arange(len(x)).unsqueeze(1)
    frames = time.masked_fill(~felt, 0).amax(dim=0).maximum(lengths // 2)
    return GradientCurve(name, "", gradient_curve(layer, x, asked[frames, torch.arange(len(frames))], frames))


def _train(network: Network, train_set: Dataset, n_steps: int, clip_norm: float) -> tuple[float, float, float]:
    """Some steps of the recipe's training: the final loss, the share of long gradients, the longest one's norm."""
    settings = train_set.recipe.training
    network.train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.0, weight_decay=settings.weight_decay)
    losses, lengths = [], []
    n_batches = len(train_set.order(seed=settings.seed, epoch=0))
    with Workers(n_workers(settings.threads, settings.batch_size, torch.device("cpu"))) as workers:
        for step in range(n_steps):
            indices = train_set.order(seed=settings.seed, epoch=step // n_batches)[step % n_batches]
            rng = np.random.default_rng([settings.seed, 1, step])
            batch = train_set.batch(indices, rng, progress=step / n_steps)
            loss = losses_and_gradients(workers, network, batch, train_set.recipe, step, step / n_steps).mean()
            lengths.append(float(nn.utils.clip_grad_norm_(network.parameters(), clip_norm)))
            if not math.isfinite(lengths[-1]):
                losses.append(math.inf)
                break  # nothing comes back from there, and that is the answer
            losses.append(float(loss))
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(step, n_steps, settings)
            optimiser.step()
    final = float(np.mean(losses[-max(1, n_steps // 10) :]))
    return final, float(np.mean(np.array(lengths) > settings.clip_norm)), float(np.max(lengths))
