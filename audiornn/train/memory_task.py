"""A memory task: a tone is heard, then noise for a while, then the question: which of the tones was it?

It is the latching problem of Bengio et al. 1994 and Hochreiter & Schmidhuber 1997 as something one can hear. All that
tells the tones apart lies in the first ten frames; every frame after them is noise, which is as loud and must be
ignored. What a cell can learn here is as far back as its gradient stands out of the noise.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audiornn.errors import SettingsError
from audiornn.evaluate.gradient_report import MemoryRow, MemoryScore, reach
from audiornn.features import FeatureExtractor, FeatureSettings
from audiornn.settings import NetworkSettings
from audiornn.train.gradients import gradient_curve
from audiornn.train.network import Network

__all__ = ["BATCH_SIZE", "N_TONES", "Sounds", "memory_rows", "recalls"]

N_TONES = 4
TONE_FRAMES = 10
N_UNITS = 64
BATCH_SIZE = 32
LEARNING_RATE = 3e-3
CLIP_NORM = 1.0
N_ASKED = 256  # tones, afresh, once training is over
_N_FRAMES = 3000  # of each sound
_LONGEST_LAG = _N_FRAMES // 2  # so that another stretch of noise can be cut each time
_SOLVED = 10  # batches in a row without an error


class Sounds:
    """Frames of tones and of noise, cut afresh from 3,000 of each: half a minute, where a frame is 10 ms.

    Args:
        settings: of the features; every coefficient is brought to mean 0 and deviation 1.
        seed: of the noise, which lies under the tones too.
    """

    def __init__(self, settings: FeatureSettings, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        time = np.arange(_N_FRAMES * settings.hop_length) / settings.sample_rate
        pitches = settings.sample_rate / 2 * np.geomspace(0.05, 0.4, N_TONES)
        extract = FeatureExtractor(settings)

        def frames(tone: NDArray[np.float64] | float) -> NDArray[np.float32]:
            return extract((tone + 0.1 * rng.standard_normal(len(time))).astype(np.float32))

        noise = frames(0.0)
        tones = np.stack([frames(0.3 * np.sin(2 * np.pi * pitch * time)) for pitch in pitches])
        heard = np.concatenate([noise, *tones])
        mean, deviation = heard.mean(axis=0), np.maximum(heard.std(axis=0), 1e-3)
        self.noise = (noise - mean) / deviation  # (frames, n_features)
        self.tones = (tones - mean) / deviation  # (tones, frames, n_features)

    def batch(self, lag: int, n: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """(n, TONE_FRAMES + lag, n_features) and which tone each begins with, (n,)."""
        tones = rng.integers(N_TONES, size=n)
        begins = rng.integers(self.tones.shape[1] - TONE_FRAMES, size=n)
        noises = rng.integers(len(self.noise) - lag, size=n)
        features = np.stack(
            [
                np.concatenate([self.tones[tone, i : i + TONE_FRAMES], self.noise[j : j + lag]])
                for tone, i, j in zip(tones, begins, noises, strict=True)
            ]
        )
        return torch.from_numpy(features), torch.from_numpy(tones)


def memory_rows(
    settings: FeatureSettings,
    lags: Sequence[int],
    n_steps: int,
    seeds: Sequence[int],
    report: Callable[[str], None],
) -> Iterator[MemoryRow]:
    """Train every kind of cell at every lag, from the beginning each time, as rows are asked for.

    Args:
        settings: of the features.
        lags: frames of noise, one or more.
        n_steps: of training a lag, at most.
        seeds: of weights and sounds.
        report: takes a line of text for each training.

    Raises:
        SettingsError: at once, for a lag longer than there is noise.
    """
    if max(lags) > _LONGEST_LAG:
        raise SettingsError(f"--lags {max(lags)}: at most {_LONGEST_LAG:,} frames of noise are made; ask for fewer")
    sounds, longest = Sounds(settings), max(lags)
    kinds: list[tuple[str, dict[str, object]]] = [
        (f"rnn {activation}", {"cell": "rnn", "activation": activation}) for activation in ("tanh", "relu", "logistic")
    ]
    kinds += [(f"{cell}, gates half open", {"cell": cell}) for cell in ("lstm", "gru")]
    kinds += [(f"{cell}, gates open", {"cell": cell, "memory": max(3, longest)}) for cell in ("lstm", "gru")]

    def row(name: str, kind: dict[str, object]) -> MemoryRow:
        model = NetworkSettings(bidirectional=False, n_layers=1, n_units=N_UNITS, dropout=0.0, **kind)  # type: ignore[arg-type]
        norms = _before_training(model, sounds, longest, seeds[0])
        scores = []
        for lag in lags:
            for seed in seeds:
                scores.append(recalls(model, sounds, lag, n_steps, seed))
                report(f"{name}, lag {lag:,}, seed {seed}: {scores[-1].right}/{N_ASKED} after {scores[-1].steps} steps")
        return MemoryRow(name, norms, reach(norms, (n_steps * BATCH_SIZE) ** -0.5), tuple(scores))

    return itertools.starmap(row, kinds)


def recalls(model: NetworkSettings, sounds: Sounds, lag: int, n_steps: int, seed: int) -> MemoryScore:
    """Train a network at one lag until it has solved it, or for `n_steps`; then ask it N_ASKED times."""
    network, rng = _network(model, sounds, seed), np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    right_in_a_row = step = 0
    while step < n_steps:
        features, tones = sounds.batch(lag, BATCH_SIZE, rng)
        log_probs = _answers(network, features)
        right_in_a_row = right_in_a_row + 1 if bool((log_probs.argmax(dim=1) == tones).all()) else 0
        if right_in_a_row == _SOLVED:
            break  # before the step that might undo it: over a thousand frames a small one moves much
        optimiser.zero_grad()
        nn.functional.nll_loss(log_probs, tones).backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
        optimiser.step()
        step += 1
    with torch.no_grad():
        features, tones = sounds.batch(lag, N_ASKED, rng)
        right = int((_answers(network, features).argmax(dim=1) == tones).sum())
    return MemoryScore(lag, seed, step, right, N_ASKED)


def _network(model: NetworkSettings, sounds: Sounds, seed: int) -> Network:
    torch.manual_seed(seed)
    n_features = sounds.noise.shape[1]
    return Network(model, n_features=n_features, n_outputs=N_TONES, task="label", normalisation="none")


def _answers(network: Network, features: Tensor) -> Tensor:
    """Log-probabilities of the tones at the last frame, (B, N_TONES)."""
    layers, lengths = network.layer_outputs(features, torch.full((len(features),), features.shape[1]))
    return network.head(layers[-1][-1:], lengths.clamp(max=1))[:, 0]


def _before_training(model: NetworkSettings, sounds: Sounds, lag: int, seed: int) -> tuple[float, ...]:
    """The gradient's norms over the tone and `lag` frames of noise."""
    network = _network(model, sounds, seed)
    features, tones = sounds.batch(lag, 16, np.random.default_rng(seed))
    layers, _ = network.layer_outputs(features, torch.full((len(features),), features.shape[1]))
    last = layers[-1][-1:].detach().requires_grad_()
    log_probs = network.head(last, torch.ones(len(features), dtype=torch.int64))[:, 0]
    (asked,) = torch.autograd.grad(nn.functional.nll_loss(log_probs, tones, reduction="sum"), last)
    frames = torch.full((len(features),), features.shape[1] - 1)
    return gradient_curve(network.layers[0], features.transpose(0, 1), asked[0], frames)
