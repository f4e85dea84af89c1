"""Over the frames of a recording x (T, width): one vector for all of them, and a common level."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["attention", "normalised"]

Array = NDArray[np.float64]


def attention(x: Array, W: Array, b: Array, v: Array, c: float) -> Array:
    """Σ_t α_t x_t with α = softmax over time of vᵀ tanh(W x_t + b) + c (Bahdanau et al. 2015, with no query)."""
    scores = np.tanh(x @ W.T + b) @ v + c
    weights = np.exp(scores - scores.max())
    return (weights / weights.sum()) @ x


def normalised(x: Array, floor: float) -> Array:
    """Each coefficient of one utterance less its mean, over the root of its variance and a floor."""
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + floor)
