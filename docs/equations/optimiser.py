"""What moves the weights: clipping, AdamW, the learning rate of a step, the moving average that is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["AdamW", "clipped", "learning_rate", "moving_average", "newest_share"]

Array = NDArray[np.float64]


def clipped(gradients: list[Array], clip_norm: float) -> list[Array]:
    """All gradients together shortened to a length (Pascanu et al. 2013); their direction stays."""
    length = math.sqrt(sum(float((g**2).sum()) for g in gradients))
    return [g * min(1.0, clip_norm / (length + 1e-6)) for g in gradients]


@dataclass
class AdamW:
    """Adam (Kingma & Ba 2015) with the weight decay apart from the gradient (Loshchilov & Hutter 2019)."""

    weights: Array
    weight_decay: float
    step: int = 0

    def __post_init__(self) -> None:
        self.mean, self.square = np.zeros_like(self.weights), np.zeros_like(self.weights)

    def move(self, gradient: Array, rate: float, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> None:
        """One step."""
        self.step += 1
        self.mean = beta1 * self.mean + (1 - beta1) * gradient
        self.square = beta2 * self.square + (1 - beta2) * gradient**2
        mean, square = self.mean / (1 - beta1**self.step), self.square / (1 - beta2**self.step)
        self.weights = self.weights - rate * self.weight_decay * self.weights - rate * mean / (np.sqrt(square) + eps)


def learning_rate(step: int, n_steps: int, peak: float, warmup: float, final: float) -> float:
    """Up along a line, then down along half a cosine to a share of the peak (Loshchilov & Hutter 2017); from step 0."""
    n_warmup = max(1, round(warmup * n_steps))
    if step < n_warmup:
        return peak * (step + 1) / n_warmup
    progress = (step - n_warmup) / max(1, n_steps - n_warmup)
    return peak * (final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2)


def moving_average(averaged: Array, newest: Array, share: float) -> Array:
    """θ̄ ← (1 − share) θ̄ + share θ (Polyak & Juditsky 1992)."""
    return (1 - share) * averaged + share * newest


def newest_share(step: int, n_batches: int, epochs: float) -> float:
    """The share of a step's weights in an average over so many epochs: of step 0 it is 10/11, until few enough."""
    return max(1 / max(1.0, epochs * n_batches), 10 / (step + 11))
