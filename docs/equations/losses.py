"""What training minimises, with its gradient: each function returns the loss and ∂loss/∂(its first argument).

Logits are what the output layer gives before the softmax or the logistic function. Everything is float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["binary_cross_entropy", "cross_entropy", "ctc", "log_softmax", "mean_squared_error"]

Array = NDArray[np.float64]

BLANK = 0


def log_softmax(logits: Array) -> Array:
    """The log of e^a_k / Σ_j e^a_j along the last axis; the largest is taken out first, so that nothing overflows."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def cross_entropy(logits: Array, target: int, smoothing: float = 0.0) -> tuple[float, Array]:
    """−Σ_k q_k log p_k of one class among (V,); q is one-hot, or a share of it is spread (Szegedy et al. 2016)."""
    q = np.full(len(logits), smoothing / len(logits))
    q[target] += 1 - smoothing
    log_p = log_softmax(logits)
    return float(-(q * log_p).sum()), np.exp(log_p) - q


def binary_cross_entropy(logits: Array, targets: Array) -> tuple[float, Array]:
    """−Σ y log p + (1 − y) log(1 − p), p = σ(a), the mean over labels that are independent of each other, (V,)."""
    softplus = np.logaddexp(0.0, logits)  # −log(1 − p)
    p = np.exp(logits - softplus)
    return float((softplus - targets * logits).mean()), (p - targets) / len(logits)


def mean_squared_error(values: Array, targets: Array) -> tuple[float, Array]:
    """L = (1/T) Σ_t (y_t − ŷ_t)² over the T frames of one track, (T,)."""
    errors = values - targets
    return float((errors**2).mean()), 2 * errors / len(errors)


def ctc(logits: Array, target: Sequence[int]) -> tuple[float, Array]:
    """CTC's loss by forward and backward variables (Graves et al. 2006), in the log domain.

    Args:
        logits: (T, V), symbol 0 is the blank.
        target: ids of the transcript, none of them the blank.

    Returns:
        −log p(target), infinite where the target does not fit into T frames; and its gradient (T, V).

    A path stands at one place of blank t_1 blank t_2 … blank at every frame; it may stay, go on by one, or skip a blank
    between two symbols that differ. α_t(s) is the log-probability of all beginnings that are at s at frame t, β_t(s)
    that of all ways on from there. Together they say how probable it is that the path is at s at t: the gradient is
    what the network says less what the transcript says.
    """
    log_p = log_softmax(logits)
    places = [BLANK]
    for symbol in target:
        places += [symbol, BLANK]
    T, S = len(log_p), len(places)

    def may_skip(s: int) -> bool:
        """Whether a path may come to s from s − 2."""
        return s >= 2 and places[s] != BLANK and places[s] != places[s - 2]

    alpha = np.full((T, S), -np.inf)
    alpha[0, :2] = log_p[0, places[:2]]
    for t in range(1, T):
        for s in range(S):
            ways = [
                alpha[t - 1, s],
                alpha[t - 1, s - 1] if s else -np.inf,
                alpha[t - 1, s - 2] if may_skip(s) else -np.inf,
            ]
            alpha[t, s] = np.logaddexp.reduce(ways) + log_p[t, places[s]]

    beta = np.full((T, S), -np.inf)
    beta[-1, -2:] = 0.0
    for t in reversed(range(T - 1)):
        on = beta[t + 1] + log_p[t + 1, places]
        for s in range(S):
            ways = [on[s], on[s + 1] if s + 1 < S else -np.inf, on[s + 2] if s + 2 < S and may_skip(s + 2) else -np.inf]
            beta[t, s] = np.logaddexp.reduce(ways)

    log_total = np.logaddexp.reduce(alpha[-1, -2:])
    if np.isneginf(log_total):
        return np.inf, np.zeros_like(logits)
    posterior = np.zeros_like(log_p)
    for s, symbol in enumerate(places):
        posterior[:, symbol] += np.exp(alpha[:, s] + beta[:, s] - log_total)
    return float(-log_total), np.exp(log_p) - posterior
