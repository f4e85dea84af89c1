"""Voices of known pitch: speech-like recordings by the source-filter model, whose fundamental frequency is exact.

A voice is a sum of harmonics of a drawn frequency contour, weighed by a glottal slope and by the resonances of a vocal
tract that moves from target to target (Fant 1960; Klatt 1980), with breath and the noise of consonants besides. What
pitch a recording has is drawn, not measured, so that a network can learn it from the truth. Nothing is said in it: the
targets are drawn from the space of all vowels. Everything is a function of the seed alone.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiornn.audio import Waveform
from audiornn.corpus.workers import run_in_workers
from audiornn.files import write_atomically

__all__ = ["Sung", "VoiceJob", "render_voice", "render_voices"]

SAMPLE_RATE = 8000  # Hz; the harmonics that tell a pitch lie below 4 kHz
HOP = 40  # samples from one point of all that moves to the next: 5 ms
_LOWEST, _HIGHEST = math.log2(55.0), math.log2(520.0)
#: Hz, lowest and highest, of the first four resonances; speakers' own lengths stretch them.
_FORMANTS = np.array([[250.0, 850.0], [750.0, 2500.0], [2000.0, 3100.0], [3100.0, 4000.0]])
_AUDIBLE = 0.015  # of a voice's level; below, or below the noise, its pitch is nobody's to tell

Track = NDArray[np.float64]


@dataclass(frozen=True)
class Sung:
    """A recording and its truth.

    Attributes:
        waveform: at `SAMPLE_RATE`.
        log2_f0: (points,) at every `HOP` samples; NaN where no voice is heard.
    """

    waveform: Waveform
    log2_f0: Track


@dataclass(frozen=True)
class VoiceJob:
    """A recording to make, and beside it `<stem>.csv` with its pitch: everything is drawn from the seed."""

    path: Path
    seed: int


def render_voices(jobs: Sequence[VoiceJob], n_jobs: int = 1) -> None:
    """Write the recordings that are not there yet, in `n_jobs` processes."""
    missing = [job for job in jobs if not job.path.exists()]
    for _ in run_in_workers(_write, missing, n_jobs if len(missing) > 100 else 1, chunk=16):
        pass


def render_voice(seed: int) -> Sung:
    """One utterance of one voice, a quarter of a second to three seconds, with noise over it.

    Most are short, and all begin and end with sound: a pitch is hardest to tell where half of a window holds nothing.
    """
    rng = np.random.default_rng(seed)
    seconds = rng.uniform(0.25, 0.9) if rng.random() < 0.7 else rng.uniform(0.9, 3.0)
    n_points = round(seconds * SAMPLE_RATE / HOP)
    voicing, friction, formants, stress = _gestures(n_points, rng)
    stress = stress * _rise_and_fall(n_points, rng)
    octaves = _intonation(n_points, rng)
    shimmer = 1 + rng.uniform(0, 0.1) * _smooth(n_points, 0.01, rng)
    voice = _harmonics(octaves, voicing * stress * shimmer, formants, rng)
    breath = rng.uniform(0.0, 0.25) * _level(voice)
    noise = _shaped_noise(voicing * breath, _resonance(_noise_bins(), formants), rng)
    hiss = _shaped_noise(friction * rng.uniform(0.1, 0.6) * _level(voice), _hiss_shape(n_points, rng), rng)
    mixed = _in_a_room(voice + noise + hiss, rng)
    snr = rng.uniform(8, 20) if rng.random() < 0.2 else rng.uniform(20, 50)
    waveform = _recorded(mixed, snr, rng)
    heard = voicing * stress > max(_AUDIBLE, 10 ** (-snr / 20))
    return Sung(waveform, np.where(heard, octaves, np.nan))


def _gestures(n_points: int, rng: np.random.Generator) -> tuple[Track, Track, Track, Track]:
    """How much is voice, how much the noise of a consonant, the resonances (points, 4), and the syllables' stress."""
    voicing, friction, formants, stress = [], [], [], []
    length = rng.uniform(0.85, 1.2)  # shorter vocal tracts resonate higher
    pace = rng.uniform(0.7, 1.4)
    total, last = 0, "pause"
    while total < n_points:
        kinds, shares = zip(*_FOLLOWS[last].items(), strict=True)
        last = str(rng.choice(kinds, p=shares))
        shortest, longest, voiced, noisy = _KINDS[last]
        n = max(2, round(pace * rng.uniform(shortest, longest) * SAMPLE_RATE / HOP))
        total += n
        voicing.append(np.full(n, voiced * rng.uniform(0.6, 1.0)))
        friction.append(np.full(n, noisy * rng.uniform(0.5, 1.0)))
        target = length * np.sort(rng.uniform(_FORMANTS[:, 0], _FORMANTS[:, 1]))
        formants.append(np.tile(target, (n, 1)))
        stress.append(np.full(n, 10 ** (rng.uniform(-14, 0) / 20)))
    tracks = [np.concatenate(parts)[:n_points] for parts in (voicing, friction, formants, stress)]
    glide, onset = rng.uniform(0.02, 0.06), rng.uniform(0.006, 0.025)
    widths = (onset, 0.008, glide, glide)
    smoothed = [_smoothed(track, width) for track, width in zip(tracks, widths, strict=True)]
    return smoothed[0], smoothed[1], smoothed[2], smoothed[3]


def _rise_and_fall(n_points: int, rng: np.random.Generator) -> Track:
    """How an utterance begins and dies away, (points,): at full strength where it was cut out of others."""
    place = np.arange(n_points) * HOP / SAMPLE_RATE
    rise, fall = (rng.uniform(0.02, longest) * (rng.random() < 0.7) for longest in (0.12, 0.3))
    begun, left = np.clip(place / max(rise, 1e-6), 0, 1), np.clip((place[-1] - place) / max(fall, 1e-6), 0, 1)
    return np.asarray(10 ** (-(rng.uniform(10, 25) * (1 - begun) + rng.uniform(10, 40) * (1 - left)) / 20))


#: Shortest and longest, in seconds; how much voice, and how much noise.
_KINDS = {
    "vowel": (0.06, 0.25, 1.0, 0.0),
    "sonorant": (0.04, 0.10, 0.5, 0.0),
    "voiced fricative": (0.05, 0.10, 0.35, 0.5),
    "fricative": (0.06, 0.16, 0.0, 1.0),
    "stop": (0.04, 0.09, 0.0, 0.0),
    "burst": (0.01, 0.03, 0.0, 1.0),
    "pause": (0.05, 0.35, 0.0, 0.0),
}
_FOLLOWS = {
    "vowel": {"sonorant": 0.35, "voiced fricative": 0.1, "fricative": 0.15, "stop": 0.2, "vowel": 0.1, "pause": 0.1},
    "sonorant": {"vowel": 0.9, "pause": 0.1},
    "voiced fricative": {"vowel": 0.9, "pause": 0.1},
    "fricative": {"vowel": 0.75, "stop": 0.1, "pause": 0.15},
    "stop": {"burst": 1.0},
    "burst": {"vowel": 0.8, "sonorant": 0.1, "pause": 0.1},
    "pause": {"vowel": 0.4, "sonorant": 0.2, "voiced fricative": 0.1, "fricative": 0.15, "stop": 0.15},
}


def _intonation(n_points: int, rng: np.random.Generator) -> Track:
    """log₂ of the pitch in Hz: a speaker's own, falling along the phrase, with accents, and a little unsteady."""
    own = rng.uniform(math.log2(75), math.log2(330))
    time = np.arange(n_points) * HOP / SAMPLE_RATE
    falling = -rng.uniform(0, 0.25) * time
    accents = rng.uniform(0.05, 0.3) * _smooth(n_points, rng.uniform(0.05, 0.15), rng)
    unsteady = rng.uniform(0.001, 0.008) * _smooth(n_points, 0.01, rng)
    ends = _turn_at_end(time, 0.12, rng) + _turn_at_end(time[-1] - time, 0.3, rng)
    return np.asarray(np.clip(own + falling + accents + unsteady + ends, _LOWEST, _HIGHEST))


def _turn_at_end(distance: Track, longest: float, rng: np.random.Generator) -> Track:
    """Octaves by which the pitch comes from elsewhere, or goes there, at an end so many seconds away."""
    reach = rng.uniform(0.04, longest)
    return rng.normal(-0.08, 0.2) * np.square(np.clip(1 - distance / reach, 0, 1))


def _harmonics(octaves: Track, amplitude: Track, formants: Track, rng: np.random.Generator) -> Track:
    """Σ_k a_k cos(k φ + arg), φ the integral of the pitch; harmonics near half the sample rate fade away."""
    n_samples = len(octaves) * HOP
    f0 = 2.0**octaves
    phase = 2 * np.pi * np.cumsum(_at_samples(f0, n_samples)) / SAMPLE_RATE + rng.uniform(0, 2 * np.pi)
    slope = rng.uniform(0.6, 2.0)  # of the glottal pulse with the lips: a_k ~ k^−slope, 4 to 12 dB an octave
    first = 10 ** (rng.uniform(-22, 3) / 20)  # of a pressed voice the fundamental is weaker than that
    sharpness = rng.uniform(0.3, 1.2)
    voice = np.zeros(n_samples)
    for k in range(1, int(SAMPLE_RATE / 2 / f0.min()) + 1):
        place = k * f0
        fade = np.clip((SAMPLE_RATE / 2 - place) / 200.0, 0, 1)
        if not fade.any():
            continue
        response = _resonance(place[:, None], formants, sharpness)[:, 0] * k**-slope * amplitude * fade
        response *= first if k == 1 else 1.0
        real, imaginary = _at_samples(response.real, n_samples), _at_samples(response.imag, n_samples)
        voice += real * np.cos(k * phase) - imaginary * np.sin(k * phase)
    return voice / max(float(np.sqrt(np.mean(voice**2))), 1e-9)


def _resonance(hertz: Track, formants: Track, sharpness: float = 1.0) -> NDArray[np.complex128]:
    """The vocal tract's response at frequencies (points or 1, n), of resonances (points, 4): (points, n).

    Resonances of speech are some 50 Hz wide and more (Fant 1960), and narrower by `sharpness` below 1.
    """
    response = np.ones((len(formants), hertz.shape[-1]), np.complex128)
    for i in range(formants.shape[1]):
        centre = formants[:, i : i + 1]
        width = sharpness * (50.0 + 0.06 * centre)
        response *= centre**2 / (centre**2 - hertz**2 + 1j * hertz * width)
    return response


def _noise_bins() -> Track:
    return np.asarray(np.fft.rfftfreq(4 * HOP, 1 / SAMPLE_RATE)[None])


def _shaped_noise(level: Track, shape: NDArray[np.complex128] | Track, rng: np.random.Generator) -> Track:
    """White noise, its spectrum (points, bins) and level (points,) moving."""
    window = np.hanning(4 * HOP + 1)[:-1]
    n_points = len(level)
    white = rng.standard_normal((n_points + 3) * HOP)
    frames = np.lib.stride_tricks.sliding_window_view(white, 4 * HOP)[::HOP][:n_points] * window
    spectra = np.abs(shape)
    spectra = spectra / np.maximum(np.sqrt(np.mean(spectra**2, axis=1, keepdims=True)), 1e-9)
    shaped = np.fft.irfft(np.fft.rfft(frames) * spectra, 4 * HOP) * level[:, None]
    noise = np.zeros((n_points + 3) * HOP)
    for i, frame in enumerate(shaped):
        noise[i * HOP : (i + 4) * HOP] += frame
    return noise[2 * HOP : (n_points + 2) * HOP]


def _hiss_shape(n_points: int, rng: np.random.Generator) -> Track:
    """Where in the spectrum the noise of a consonant lies, (points, bins)."""
    bins = _noise_bins()
    centre = 800.0 * 2 ** (1.1 + 1.1 * _smooth(n_points, 0.08, rng)[:, None])
    return np.exp(-0.5 * np.square(np.log2(np.maximum(bins, 40.0) / np.clip(centre, 400, 4000)) / 0.6))


def _in_a_room(waveform: Track, rng: np.random.Generator) -> Track:
    """With the echoes of a room, of a fifth of all recordings."""
    if rng.random() > 0.2:
        return waveform
    seconds, level = rng.uniform(0.1, 0.4), 10 ** (rng.uniform(-25, -12) / 20)
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    echoes = rng.standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    echoes *= level / np.sqrt(np.sum(echoes**2))
    echoes[0] = 1.0
    n = len(waveform) + len(echoes)
    return np.fft.irfft(np.fft.rfft(waveform, n) * np.fft.rfft(echoes, n), n)[: len(waveform)]


def _recorded(waveform: Track, snr: float, rng: np.random.Generator) -> Waveform:
    """Through a microphone that loses the low, tilts the rest, and hums; with noise `snr` dB below, at some level."""
    n = len(waveform)
    hertz = np.fft.rfftfreq(n, 1 / SAMPLE_RATE)
    cut = rng.uniform(20, 120) if rng.random() < 0.6 else rng.uniform(120, 350)  # a telephone has no fundamental
    response = 1 / np.sqrt(1 + (cut / np.maximum(hertz, 1.0)) ** (2 * rng.integers(1, 4)))
    response *= (np.maximum(hertz, 50.0) / 1000) ** rng.uniform(-0.5, 0.5)
    picked = np.fft.irfft(np.fft.rfft(waveform) * response, n)
    colour = np.maximum(hertz, 50.0) ** -rng.uniform(0, 1)
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * colour, n)
    noise *= _level(picked) * 10 ** (-snr / 20) / _level(noise)
    if rng.random() < 0.2:
        hum = 2 * np.pi * rng.choice([50.0, 60.0]) * np.arange(n) / SAMPLE_RATE
        parts = (rng.uniform(0, 1) * np.cos(k * hum + rng.uniform(0, 6)) for k in range(1, 4))
        noise += 0.5 * _level(noise) * sum(parts, np.zeros(n))
    recorded = picked + noise
    recorded *= 10 ** (rng.uniform(-40, -1) / 20) / np.abs(recorded).max()
    return np.asarray(recorded, np.float32)


def _smooth(n_points: int, seconds: float, rng: np.random.Generator) -> Track:
    """A random course of unit variance that changes about every so many seconds."""
    rate = HOP / SAMPLE_RATE / seconds
    course = _smoothed(rng.standard_normal(n_points + 200), seconds)[100 : 100 + n_points]
    return course * math.sqrt(2 * math.sqrt(math.pi) / rate)


def _smoothed(track: Track, seconds: float) -> Track:
    """A track (points, …) under a Gaussian of so many seconds."""
    points = seconds * SAMPLE_RATE / HOP
    reach = max(1, math.ceil(3 * points))
    kernel = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / max(points, 1e-3)))
    kernel /= kernel.sum()
    padded = np.pad(track, [(reach, reach)] + [(0, 0)] * (track.ndim - 1), mode="edge")
    return np.apply_along_axis(np.convolve, 0, padded, kernel, mode="valid")


def _at_samples(track: Track, n_samples: int) -> Track:
    """A track at points, interpolated to samples."""
    return np.interp(np.arange(n_samples), HOP * np.arange(len(track)), track)


def _level(waveform: Track) -> float:
    return max(float(np.sqrt(np.mean(np.square(waveform)))), 1e-9)


def _write(job: VoiceJob) -> None:
    sung = render_voice(job.seed)
    rows = ["time,log2_f0,voicing"]
    for i in range(0, len(sung.log2_f0), 2):  # every 10 ms
        value = sung.log2_f0[i]
        rows.append(f"{i * HOP / SAMPLE_RATE:.3f}," + (",0" if np.isnan(value) else f"{value:.5f},1"))
    with write_atomically(job.path.with_suffix(".csv")) as out:
        out.write(("\n".join(rows) + "\n").encode())
    encoded = io.BytesIO()
    soundfile.write(encoded, sung.waveform, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    with write_atomically(job.path) as out:  # last: what is there is whole
        out.write(encoded.getbuffer())
