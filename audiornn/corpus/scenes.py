"""Scenes: recordings of speech placed at known times over noise, and the segments that say where the speech is.

    scene = Scene(Path("00001.flac"), speech=(a, b), gaps=(0.5, 1.0, 0.3), noise="rain", snr=10.0, seed=1)
    waveform, segments = compose_scene(scene)

Where a recording is speech is measured on it alone, before anything is mixed (`speech_stretches`), so that the truth
owes nothing to the noise. As with `composition`, the same plan gives the same samples in any process.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiornn.audio import Waveform, load_audio
from audiornn.corpus.manifest import Segment
from audiornn.corpus.noises import make_noise
from audiornn.corpus.workers import run_in_workers
from audiornn.files import write_atomically

__all__ = ["SPEECH", "Scene", "clean_recordings", "compose_scene", "compose_scenes", "speech_stretches"]

SPEECH = "speech"

Power = NDArray[np.float64]

_MARGIN = 0.05  # seconds of a recording kept before and after its speech, faded
_LOUDNESS = -26.0  # dB of full scale: the mean power of a scene's speech where its level is 0
_LEAST_STRETCH = 0.06  # seconds; less is a click
_LEAST_SHARE = 0.01  # of the energy of a recording's loudest stretch: less is a breath or somebody next door
_DEPTH = 10**-2.5  # of the power of a recording's loudest frame: what is 25 dB below it is no more speech
_CLEAN = 35.0  # dB from a recording's floor up to its loudest frame, lest the floor be taken for speech


@dataclass(frozen=True)
class Scene:
    """One recording to make.

    Attributes:
        path: where to write it: FLAC, 16 bit.
        speech: recordings of speech in their order; none for noise alone.
        gaps: seconds before the first, between two, and after the last: one more than there are recordings.
        noise: a kind of `noises.KINDS`, or "" where `recorded` says it.
        recorded: recordings of noise: the first stretch of one, or the sum of several (babble), each from a place of
            its own and repeated where it is too short.
        snr: dB from the noise up to the speech, as their mean power, the speech's over its segments alone.
        level: dB by which the whole is louder or softer.
        sample_rate: Hz.
        seed: of the noise, and of where recordings of it begin.
    """

    path: Path
    speech: tuple[Path, ...]
    gaps: tuple[float, ...]
    noise: str = ""
    recorded: tuple[Path, ...] = ()
    snr: float = 20.0
    level: float = 0.0
    sample_rate: int = 16_000
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.gaps) != len(self.speech) + 1:
            raise ValueError(f"{self.path}: {len(self.speech)} recordings of speech and {len(self.gaps)} gaps")
        if bool(self.noise) == bool(self.recorded):
            raise ValueError(f"{self.path}: noise is either made or recorded")


def speech_stretches(waveform: Waveform, sample_rate: int) -> list[tuple[int, int]]:
    """Where a clean recording is speech, as first sample and one past the last of each stretch.

    A frame of 25 ms is active if its power, or that of its differences, lest fricatives be lost, is within 25 dB of the
    loudest; active frames less than 0.2 s apart belong together, for a stop's closure may be that long. Runs that are
    too short or too weak to be speech are left out.
    """
    starts, ends, power, of_differences = _frames(waveform, sample_rate)
    is_active = (power > power.max() * _DEPTH) | (of_differences > of_differences.max() * _DEPTH)
    active = np.flatnonzero(is_active)
    if not len(active):
        return []
    runs = np.split(active, np.flatnonzero(np.diff(active) > 20) + 1)
    energies = [float(power[run].sum()) for run in runs]
    spans = [(int(starts[run[0]]), int(ends[run[-1]])) for run in runs]
    return [
        (begin, end)
        for (begin, end), energy in zip(spans, energies, strict=True)
        if end - begin >= _LEAST_STRETCH * sample_rate and energy >= _LEAST_SHARE * max(energies)
    ]


def _frames(waveform: Waveform, sample_rate: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Power, Power]:
    """First sample and one past the last of frames of 25 ms every 10 ms; their power, and that of the differences."""
    hop = max(1, sample_rate // 100)
    starts = np.arange(0, len(waveform), hop)
    ends = np.minimum(starts + hop * 5 // 2, len(waveform))

    def power(samples: Waveform) -> Power:
        sums = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
        return (sums[ends] - sums[starts]) / (ends - starts)

    return starts, ends, power(waveform), power(np.diff(waveform, prepend=waveform[:1]))


def clean_recordings(paths: Sequence[Path], sample_rate: int, n_jobs: int = 1) -> list[Path]:
    """Those recordings that are clean enough to say where their speech is: 35 dB from floor to loudest frame."""
    jobs = [(path, sample_rate) for path in paths]
    clean = dict(run_in_workers(_is_clean, jobs, n_jobs, chunk=64))
    return [path for i, path in enumerate(paths) if clean[i]]


def _is_clean(job: tuple[Path, int]) -> bool:
    path, sample_rate = job
    waveform = load_audio(path, sample_rate)
    _, _, power, _ = _frames(waveform - waveform.mean(), sample_rate)
    heard = power.max() > max(np.percentile(power, 10), 1e-12) * 10 ** (_CLEAN / 10)
    return bool(heard) and bool(speech_stretches(waveform, sample_rate))


def compose_scene(scene: Scene) -> tuple[Waveform, tuple[Segment, ...]]:
    """Make a scene.

    Returns:
        float32 samples in −1…1, (samples,), and the segments of speech in seconds, in order.

    Raises:
        AudioError: a recording that cannot be read.
    """
    clean, segments = _speech(scene)
    noise = np.float32(10 ** (-scene.snr / 20)) * _noise(scene, len(clean))
    mixed = (clean + noise) * np.float32(10 ** ((_LOUDNESS + scene.level) / 20))
    peak = float(np.abs(mixed).max(initial=0.0))
    return (mixed * np.float32(min(1.0, 0.97 / max(peak, 1e-9)))).astype(np.float32), segments


def _speech(scene: Scene) -> tuple[Waveform, tuple[Segment, ...]]:
    """The speech alone, of unit power over its segments, and those."""
    rate = scene.sample_rate
    placed: list[tuple[int, Waveform]] = []
    spans: list[tuple[int, int]] = []
    at = round(scene.gaps[0] * rate)
    for path, gap in zip(scene.speech, scene.gaps[1:], strict=True):
        waveform = load_audio(path, rate)
        waveform = waveform - waveform.mean()
        stretches = speech_stretches(waveform, rate) or [(0, len(waveform))]
        power = np.mean([np.mean(np.square(waveform[a:b], dtype=np.float64)) for a, b in stretches])
        first, last = stretches[0][0], stretches[-1][1]
        begin, end = max(0, first - round(_MARGIN * rate)), min(len(waveform), last + round(_MARGIN * rate))
        piece = waveform[begin:end] / np.float32(max(np.sqrt(power), 1e-9))
        placed.append((max(0, at - (first - begin)), _faded(piece, round(_MARGIN * rate / 2))))
        origin = placed[-1][0] - begin
        spans += [(a + origin, b + origin) for a, b in stretches]
        at = spans[-1][1] + round(gap * rate)
    mixed = np.zeros(max(at, 1), np.float32)
    for start, piece in placed:
        part = piece[: len(mixed) - start]
        mixed[start : start + len(part)] += part
    return mixed, tuple(Segment(round(a / rate, 6), round(b / rate, 6), SPEECH) for a, b in _joined(spans, len(mixed)))


def _joined(spans: Sequence[tuple[int, int]], end: int) -> list[tuple[int, int]]:
    """Spans in order, those that touch as one, none beyond `end`."""
    joined: list[tuple[int, int]] = []
    for first, last in spans:
        if joined and first <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], min(last, end))
        else:
            joined.append((first, min(last, end)))
    return joined


def _faded(piece: Waveform, n: int) -> Waveform:
    n = min(n, len(piece) // 2)
    ramp = np.linspace(0, 1, n, dtype=np.float32)
    faded = piece.copy()
    faded[:n] *= ramp
    faded[len(faded) - n :] *= ramp[::-1]
    return faded


def _noise(scene: Scene, n_samples: int) -> Waveform:
    """Noise of unit power, (n_samples,)."""
    rng = np.random.default_rng(scene.seed)
    if scene.noise:
        return make_noise(scene.noise, n_samples, scene.sample_rate, rng)
    total = np.zeros(n_samples, np.float32)
    for path in scene.recorded:
        whole = load_audio(path, scene.sample_rate)
        part = np.resize(np.roll(whole, -int(rng.integers(len(whole)))), n_samples)
        total += part / np.float32(max(float(np.sqrt(np.mean(np.square(part, dtype=np.float64)))), 1e-9))
    return total / np.float32(max(float(np.sqrt(np.mean(np.square(total, dtype=np.float64)))), 1e-9))


def compose_scenes(scenes: Sequence[Scene], n_jobs: int = 1) -> list[tuple[Segment, ...]]:
    """Write the scenes that are not there yet, in `n_jobs` processes, and give the segments of all, in their order.

    Raises:
        AudioError: a recording that cannot be read.
        AudiornnError: a file cannot be written; what was written before stays.
        ValueError: two scenes for one file.
    """
    if len({scene.path for scene in scenes}) < len(scenes):
        raise ValueError("two scenes would write the same file")
    made = dict(run_in_workers(_write, scenes, n_jobs, chunk=16))
    return [made[i] for i in range(len(scenes))]


def _write(scene: Scene) -> tuple[Segment, ...]:
    if scene.path.exists():
        return _speech(scene)[1]
    waveform, segments = compose_scene(scene)
    encoded = io.BytesIO()  # as in composition: an error in writing then comes from the system, with its reason
    soundfile.write(encoded, waveform, scene.sample_rate, format="FLAC", subtype="PCM_16")
    with write_atomically(scene.path) as out:
        out.write(encoded.getbuffer())
    return segments
