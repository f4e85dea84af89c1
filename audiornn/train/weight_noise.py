"""Weight noise: gradients are taken at a point near the weights, another one each step, and move the weights.

A network whose loss would rise with the last digits of its weights cannot rest there: it learns what can be said
roughly (Graves 2011, "Practical Variational Inference for Neural Networks").
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

__all__ = ["noisy_weights"]


@contextmanager
def noisy_weights(network: nn.Module, deviation: float, seed: int) -> Iterator[None]:
    """While inside, every weight (no bias, no normalisation) is off by a normal of this deviation.

    Args:
        network: whose weights come back bit for bit.
        deviation: of the noise; 0 does nothing.
        seed: of the step; the noise depends on nothing else.
    """
    if deviation == 0:
        yield
        return
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    clean = [weight.detach().clone() for weight in weights]
    device = weights[0].device
    generator = torch.Generator(device).manual_seed(~seed)  # dropout's seeds count upwards
    with torch.no_grad():
        for weight in weights:
            weight.add_(torch.randn(weight.shape, device=device, generator=generator), alpha=deviation)
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, before in zip(weights, clean, strict=True):
                weight.copy_(before)
