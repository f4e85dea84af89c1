"""What training minimises, with its gradient: each function returns the loss and ∂loss/∂(its first argument).

Logits are what the output layer gives before the softmax or the logistic function. Everything is float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "binary_cross_entropy",
    "binned_cross_entropy",
    "cross_entropy",
    "ctc",
    "disagreement",
    "frame_cross_entropy",
    "label_weights",
    "log_softmax",
    "mean_squared_error",
    "spotting",
]

Array = NDArray[np.float64]

BLANK = 0


def log_softmax(logits: Array) -> Array:
    """The log of e^a_k / Σ_j e^a_j along the last axis; the largest is taken out first, so that nothing overflows."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def cross_entropy(
    logits: Array, target: int, smoothing: float = 0.0, other: int | None = None, share: float = 1.0
) -> tuple[float, Array]:
    """−Σ_k q_k log p_k of one class among (V,), of which q is one-hot.

    Of a mixture of two recordings (Zhang et al. 2018) q has `share` at the target and the rest at the `other` class; a
    part of it is spread over all classes (Szegedy et al. 2016).
    """
    q = np.zeros(len(logits))
    q[target] += share
    q[target if other is None else other] += 1 - share
    q = (1 - smoothing) * q + smoothing / len(logits)
    log_p = log_softmax(logits)
    return float(-(q * log_p).sum()), np.exp(log_p) - q


def frame_cross_entropy(logits: Array, labels: NDArray[np.int64], weights: Array) -> tuple[float, Array]:
    """Σ_t w_t ℓ_t, where ℓ_t is the cross-entropy of frame t: logits (T, V), labels and weights (T,)."""
    each = [cross_entropy(a, label) for a, label in zip(logits, labels, strict=True)]
    losses, gradients = (np.array(part) for part in zip(*each, strict=True))
    return float(weights @ losses), weights[:, None] * gradients


def label_weights(counts: Array) -> Array:
    """What a frame of each label counts, N / (K n_k): K labels alike, and a frame 1 on average (King & Zeng 2001)."""
    return np.asarray(counts.sum() / (len(counts) * counts))


def spotting(logits: Array, labels: NDArray[np.int64], pooling: str) -> tuple[float, Array]:
    """A window's loss: labels (T,) are 0 where no keyword ends, −1 where any answer will do.

    Of frames without a keyword the mean counts, and again a quarter of the four that cost most. Of a keyword's frames
    it is the mean, or with "max" the cheapest alone (Sun et al. 2016).
    """
    losses = -log_softmax(logits)[np.arange(len(labels)), labels]
    quiet, keyword = labels == 0, labels > 0
    weights = quiet / max(1, quiet.sum())
    hardest = np.argsort(np.where(quiet, losses, 0.0))[-4:]
    weights[hardest] += quiet[hardest] / len(hardest)
    if keyword.any() and pooling == "max":
        weights[np.where(keyword, losses, np.inf).argmin()] += 1.0
    elif keyword.any():
        weights += keyword / keyword.sum()
    return frame_cross_entropy(logits, labels, weights)


def binary_cross_entropy(logits: Array, targets: Array, smoothing: float = 0.0) -> tuple[float, Array]:
    """−(y log p + (1 − y) log(1 − p)), p = σ(a), the mean over labels that are independent of each other, (V,).

    Smoothing draws each y towards ½: yes and no are the two labels over which it is spread.
    """
    targets = (1 - smoothing) * targets + smoothing / 2
    softplus = np.logaddexp(0.0, logits)  # −log(1 − p)
    p = np.exp(logits - softplus)
    return float((softplus - targets * logits).mean()), (p - targets) / len(logits)


def disagreement(logits: Array, others: Array) -> tuple[float, Array]:
    """½ Σ_k (q_k log q_k/p_k + p_k log p_k/q_k): how far apart two answers p and q to the same sound lie, (V,).

    Each is the other's target as it stands (Yao et al. 2025), so that the gradient is what only the first term gives,
    ½ (p − q): a cross-entropy's, whose target is the other answer.
    """
    log_p, log_q = log_softmax(logits), log_softmax(others)
    p, q = np.exp(log_p), np.exp(log_q)
    return float(((p - q) * (log_p - log_q)).sum() / 2), (p - q) / 2


def mean_squared_error(values: Array, targets: Array) -> tuple[float, Array]:
    """L = (1/T) Σ_t (y_t − ŷ_t)² over the T frames of one track, (T,)."""
    errors = values - targets
    return float((errors**2).mean()), 2 * errors / len(errors)


def binned_cross_entropy(logits: Array, bins: Array, value: float) -> tuple[float, Array]:
    """−Σ_k q_k log p_k of a value among evenly spaced bins, (K,), of which q has the two next to it.

    They share it so that Σ_k q_k b_k is the value; one beyond the last bin is the last.
    """
    place = min(max((value - bins[0]) / (bins[1] - bins[0]), 0.0), len(bins) - 1.0)
    lower = min(int(place), len(bins) - 2)
    q = np.zeros(len(bins))
    q[lower], q[lower + 1] = 1 - (place - lower), place - lower
    log_p = log_softmax(logits)
    return float(-(q * log_p).sum()), np.exp(log_p) - q


def ctc(logits: Array, target: Sequence[int]) -> tuple[float, Array]:
    """CTC's loss by forward and backward variables (Graves et al. 2006), in the log domain.

    Args:
        logits: (T, V), symbol 0 is the blank.
        target: ids of the transcript, none of them the blank.

    Returns:
        −log p(target), infinite where the target does not fit into T frames; and its gradient (T, V). What is trained
        is both divided by the number of symbols.

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
