"""Sounds people make between words, made: what a network must not take for a word when it has heard only pasted ones.

Breath, the smack of lips and the hum of somebody who hesitates are noise or pulses of a voice (the source), shaped by
the resonances of a vocal tract (the filter; Fant 1960), that swell and die away. Each is a function of a source of
chance, a length and a rate alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from audiornn.audio import Waveform

__all__ = ["PAUSE_SOUNDS", "make_pause_sound"]

#: Hz, least and most, of the tract's first three resonances; the third as high as the hiss of a breath.
_RESONANCES = ((300.0, 900.0), (900.0, 2000.0), (2000.0, 6000.0))


def make_pause_sound(kind: str, n_samples: int, sample_rate: int, rng: np.random.Generator) -> Waveform:
    """A sound of a kind of `PAUSE_SOUNDS`, (n_samples,), whose loudest 25 ms have unit power.

    Raises:
        KeyError: no such kind.
    """
    sound = PAUSE_SOUNDS[kind](rng, n_samples, sample_rate)
    window = max(1, min(n_samples, sample_rate // 40))
    sums = np.cumsum(np.concatenate([[0.0], np.square(sound)]))
    loudest = float((sums[window:] - sums[:-window]).max()) / window
    return (sound / max(np.sqrt(loudest), 1e-9)).astype(np.float32)


def _breath(rng: np.random.Generator, n: int, rate: int) -> NDArray[np.float64]:
    """Air through an open tract: in or out, so that it swells sooner or later."""
    time = np.linspace(0, 1, n) ** rng.uniform(0.5, 2)
    return _through_tract(rng.standard_normal(n), rate, rng, widths=(200, 900)) * np.sin(np.pi * time) ** 2


def _smack(rng: np.random.Generator, n: int, rate: int) -> NDArray[np.float64]:
    """Lips or a tongue that part: one to three bursts of some milliseconds, somewhere in the time there is."""
    sound = np.zeros(n)
    for _ in range(int(rng.integers(1, 4))):
        length = min(n, round(rng.uniform(0.003, 0.02) * rate))
        burst = rng.standard_normal(length) * np.exp(-np.linspace(0, rng.uniform(3, 8), length))
        at = int(rng.integers(0, n - length + 1))
        sound[at : at + length] += rng.uniform(0.3, 1) * burst
    return _through_tract(sound, rate, rng, widths=(200, 900)) * np.sin(np.linspace(0, np.pi, n)) ** 0.2


def _murmur(rng: np.random.Generator, n: int, rate: int) -> NDArray[np.float64]:
    """Somebody who hesitates: pulses of a steady or falling pitch through a tract that does not move."""
    pitch = 2 ** rng.uniform(np.log2(80), np.log2(380)) * np.linspace(1, rng.uniform(0.8, 1.05), n)
    half_turns = np.pi * np.cumsum(pitch * (1 + 0.005 * rng.standard_normal(n))) / rate + 1e-3
    n_harmonics = int(rate / 2 / pitch.max())
    pulses = np.sin((2 * n_harmonics + 1) * half_turns) / np.sin(half_turns)  # Dirichlet's kernel: all equally strong
    edge = rng.uniform(0.1, 0.5)  # of the time, to swell and to die away
    place = np.minimum(np.arange(n), np.arange(n)[::-1]) / n
    return _through_tract(pulses, rate, rng, widths=(60, 250)) * np.sin(np.pi / 2 * np.minimum(place / edge, 1)) ** 2


def _through_tract(
    source: NDArray[np.float64], rate: int, rng: np.random.Generator, *, widths: tuple[float, float]
) -> NDArray[np.float64]:
    """A source (n,), its spectrum shaped by resonances whose widths lie within these Hz, and falling."""
    hertz = np.fft.rfftfreq(len(source), 1 / rate)
    response = np.maximum(hertz, 100.0) ** -rng.uniform(0, 1) * (hertz > 50)
    for lowest, highest in _RESONANCES:
        centre, width = rng.uniform(lowest, highest), rng.uniform(*widths)
        response = response * (0.05 + 1 / (1 + np.square((hertz - centre) / width)))
    return np.fft.irfft(np.fft.rfft(source) * response, len(source))


#: Kinds of sounds, each a function of a source of chance, samples and a rate in Hz.
PAUSE_SOUNDS: dict[str, Callable[[np.random.Generator, int, int], NDArray[np.float64]]] = {
    "breath": _breath,
    "smack": _smack,
    "murmur": _murmur,
}
