"""Over the frames of a recording x (T, width): one vector for all of them, and a common level."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["attention", "last_states", "multihead", "normalised", "standardised"]

Array = NDArray[np.float64]


def attention(x: Array, W: Array, b: Array, v: Array, c: float) -> Array:
    """Σ_t α_t x_t with α = softmax over time of vᵀ tanh(W x_t + b) + c (Bahdanau et al. 2015, with no query)."""
    return softmax(np.tanh(x @ W.T + b) @ v + c) @ x


def multihead(x: Array, W: Array, b: Array, n_heads: int) -> Array:
    """Heads side by side, each asking with a part of W x_m + b, m = ⌊T/2⌋ + 1 in the middle (Rybakov et al. 2020)."""
    queries = np.split(W @ x[len(x) // 2] + b, n_heads)
    return np.concatenate([softmax(x @ q / np.sqrt(x.shape[1])) @ x for q in queries])


def last_states(x: Array, n_units: int) -> Array:
    """Where each direction ends: the last frame's forward half, and the first frame's backward half."""
    return np.concatenate([x[-1, :n_units], x[0, n_units:]])


def softmax(scores: Array) -> Array:
    """Positive weights that sum to one, (T,)."""
    weights = np.exp(scores - scores.max())
    return np.asarray(weights / weights.sum())


def normalised(x: Array, floor: float) -> Array:
    """Each coefficient of one utterance less its mean, over the root of its variance and a floor."""
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + floor)


def standardised(x: Array, mean: Array, deviation: Array) -> Array:
    """Each coefficient less its mean over the training set, over its deviation there, of which the least is 10⁻³."""
    return (x - mean) / np.maximum(deviation, 1e-3)
