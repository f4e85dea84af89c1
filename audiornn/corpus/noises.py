"""Noise of several kinds, made: what a network must not take for speech when no recordings of noise are at hand.

Each kind is a function of a source of chance, a length and a rate alone, and gives unit power.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from audiornn.audio import Waveform

__all__ = ["KINDS", "make_noise"]

_LOWEST = 50.0  # Hz, below which a coloured noise rises no further


def make_noise(kind: str, n_samples: int, sample_rate: int, rng: np.random.Generator) -> Waveform:
    """Noise of a kind of `KINDS`, (n_samples,), of unit power.

    Raises:
        KeyError: no such kind.
    """
    noise = KINDS[kind](rng, n_samples, sample_rate)
    return (noise / max(float(np.sqrt(np.mean(np.square(noise)))), 1e-9)).astype(np.float32)


def _coloured(rng: np.random.Generator, n: int, rate: int) -> NDArray[np.float64]:
    """Steady noise that falls by 0 to 6 dB an octave: white, pink, brown and between."""
    return _shaped(rng.standard_normal(n), rate, rng.uniform(0, 6))


def _hum(rng: np.random.Generator, n: int, rate: int) -> NDArray[np.float64]:
    """Mains hum, 50 or 60 Hz with its harmonics, over a little hiss."""
    time = np.arange(n) / rate
    pitch = rng.choice([50.0, 60.0]) * rng.uniform(0.99, 1.01)
    tones = [
        rng.uniform(0, 1) / k**0.7 * np.sin(2 * np.pi * (k * pitch * time + rng.uniform()))
        for k in range(1, int(min(30, rate / 2 / pitch)))
    ]
    return np.sum(tones, axis=0) + 0.05 * _shaped(rng.standard_normal(n), rate, 3)


def _clicks(rng: np.random.Generator, n: int, rate: int) -> NDArray[np.float64]:
    """Knocks and key strokes: short decaying bursts at any time, each of its own ring."""
    noise = 0.01 * rng.standard_normal(n)
    for _ in range(max(1, round(rng.uniform(2, 12) * n / rate))):
        length = min(n, round(rng.uniform(0.003, 0.06) * rate))
        time = np.arange(length) / rate
        ring = np.sin(2 * np.pi * rng.uniform(200, 0.4 * rate) * time) + rng.standard_normal(length)
        at = int(rng.integers(0, n - length + 1))
        noise[at : at + length] += rng.uniform(0.1, 1) * ring * np.exp(-time * rng.uniform(50, 500))
    return noise


def _clatter(rng: np.random.Generator, n: int, rate: int) -> NDArray[np.float64]:
    """Dishes, tools and keys: things that ring in a few modes of their own where they are struck, several at a time."""
    noise = 0.01 * _shaped(rng.standard_normal(n), rate, 3)
    things = [(rng.uniform(300, 0.4 * rate, 5), rng.uniform(8, 120)) for _ in range(int(rng.integers(2, 6)))]
    for _ in range(max(1, round(rng.uniform(1.5, 8) * n / rate))):
        modes, decay = things[int(rng.integers(len(things)))]
        length = min(n, round(5 / decay * rate))
        time = np.arange(length) / rate
        rings = [rng.uniform(0.1, 1) * np.sin(2 * np.pi * (mode * time + rng.uniform())) for mode in modes]
        at = int(rng.integers(0, n - length + 1))
        noise[at : at + length] += rng.uniform(0.1, 1) * np.sum(rings, axis=0) * np.exp(-decay * time)
    return noise


def _gusts(rng: np.random.Generator, n: int, rate: int) -> NDArray[np.float64]:
    """Noise of a band and a level that waver: wind, traffic, a machine at work, water from a tap."""
    tilted = _shaped(rng.standard_normal(n), rate, rng.uniform(0, 9))
    pace, depth = rng.uniform(0.5, 12), rng.uniform(3, 12)
    turns = max(2, round(pace * n / rate))
    level = np.interp(np.arange(n), np.linspace(0, n, turns), rng.normal(0, depth, turns))
    hertz = np.fft.rfftfreq(n, 1 / rate)
    octaves = np.log2(np.maximum(hertz, _LOWEST) / rng.uniform(100, 0.4 * rate))
    banded = np.fft.irfft(np.fft.rfft(tilted) * np.exp(-0.5 * np.square(octaves / rng.uniform(0.5, 3))), n)
    return banded * 10 ** (level / 20) + 0.02 * banded.std() * rng.standard_normal(n)


def _music(rng: np.random.Generator, n: int, rate: int) -> NDArray[np.float64]:
    """Notes with harmonics, several at once, that begin sharply and fade."""
    noise = np.zeros(n)
    beat = rng.uniform(0.12, 0.5)
    for start in np.arange(0, n / rate, beat):
        for _ in range(int(rng.integers(1, 4))):
            first = int(start * rate)
            length = min(n - first, round(beat * rng.uniform(1, 4) * rate))
            time = np.arange(length) / rate
            pitch = 55.0 * 2 ** (rng.integers(0, 48) / 12)
            harmonics = range(1, int(min(8, 0.45 * rate / pitch)) + 1)
            note = sum(rng.uniform(0, 1) / k * np.sin(2 * np.pi * k * pitch * time) for k in harmonics)
            noise[first : first + length] += rng.uniform(0.3, 1) * note * np.exp(-time * rng.uniform(1, 8))
    return noise


def _rain(rng: np.random.Generator, n: int, rate: int) -> NDArray[np.float64]:
    """Drops without number over a hiss that swells and ebbs."""
    drops = rng.standard_normal(n) * (rng.random(n) < rng.uniform(0.002, 0.02)) * rng.exponential(1.0, n)
    return _swell(rng, n, rate) * (_shaped(rng.standard_normal(n), rate, 1) + 3 * _shaped(drops, rate, 0.5))


def _siren(rng: np.random.Generator, n: int, rate: int) -> NDArray[np.float64]:
    """A tone with harmonics that sweeps up and down."""
    time = np.arange(n) / rate
    sweep = 0.5 - 0.5 * np.cos(2 * np.pi * (rng.uniform(0.2, 3) * time + rng.uniform()))
    pitch = rng.uniform(300, 700) * (1 + rng.uniform(0.3, 1.2) * sweep)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    return np.sin(phase) + 0.4 * np.sin(2 * phase) + 0.2 * np.sin(3 * phase) + 0.02 * rng.standard_normal(n)


def _engine(rng: np.random.Generator, n: int, rate: int) -> NDArray[np.float64]:
    """Bursts of low noise at the pace of a motor whose speed drifts."""
    speed = rng.uniform(15, 60) * (1 + 0.2 * np.interp(np.arange(n), np.linspace(0, n, 8), rng.standard_normal(8)))
    firing = np.maximum(0, np.cos(2 * np.pi * np.cumsum(np.maximum(speed, 5)) / rate)) ** 6
    return _shaped(firing * rng.standard_normal(n), rate, 4) + 0.3 * _shaped(rng.standard_normal(n), rate, 6)


#: By name.
KINDS: dict[str, Callable[[np.random.Generator, int, int], NDArray[np.float64]]] = {
    "coloured": _coloured,
    "hum": _hum,
    "clicks": _clicks,
    "clatter": _clatter,
    "gusts": _gusts,
    "music": _music,
    "rain": _rain,
    "siren": _siren,
    "engine": _engine,
}


def _shaped(noise: NDArray[np.float64], rate: int, tilt: float) -> NDArray[np.float64]:
    """Noise that falls by `tilt` dB an octave, of unit power."""
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(noise), 1 / rate), _LOWEST) / _LOWEST)
    shaped = np.fft.irfft(np.fft.rfft(noise) * 10 ** (-tilt * octaves / 20), len(noise))
    return np.asarray(shaped / max(float(np.sqrt(np.mean(np.square(shaped)))), 1e-9))


def _swell(rng: np.random.Generator, n: int, rate: int) -> NDArray[np.float64]:
    """A level that wanders by some 6 dB, a new turn each second or so."""
    turns = max(2, round(n / rate))
    return 10 ** (np.interp(np.arange(n), np.linspace(0, n, turns), rng.normal(0, 4, turns)) / 20)
