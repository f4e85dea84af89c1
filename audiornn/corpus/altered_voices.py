"""Recordings as other voices might have said them: pitch and vocal tract, each by itself.

A spectrogram can be warped while training, but that moves pitch and formants together, and in forty bands a voice's
harmonics stay where they were. A word of thirty people's needs other voices more than anything else: here its
recordings are altered in the waveform, before features, by a phase vocoder that holds the spectrum's envelope.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiornn.audio import Waveform, audio_info, load_audio
from audiornn.corpus.manifest import Utterance
from audiornn.corpus.workers import run_in_workers
from audiornn.files import write_atomically

__all__ = ["alter_voice", "in_other_voices"]

Floats = NDArray[np.floating]

_WINDOW = 0.064  # seconds, of a power of two of samples: harmonics of deep voices stay apart
_PERIODS = (0.0025, 0.0125)  # seconds, of voices from 80 to 400 Hz
_LIFTER = 0.6  # of a period: the cepstrum up to there is the envelope
_TIMES = 12  # that it is raised to the harmonics
_MOST_GAIN = 4.0  # nepers; what is hardly there is not blown up
#: Of pitch and of vocal tract: the deviation of what they share, as large people's do, and of each alone, and the most.
_PITCH = (0.25, 0.08, 0.5)
_TRACT = (0.08, 0.06, 0.2)


def alter_voice(waveform: Waveform, sample_rate: int, *, pitch: float, tract: float) -> Waveform:
    """A recording with another pitch and other formants, as long as before.

    Args:
        waveform: (samples,) at `sample_rate` Hz.
        sample_rate: Hz.
        pitch: the factor of the fundamental frequency.
        tract: of the formants; above 1 as of a shorter vocal tract.
    """
    import librosa
    from librosa.effects import pitch_shift

    n_fft = 1 << round(np.log2(_WINDOW * sample_rate))
    how = {"n_fft": n_fft, "hop_length": n_fft // 4}
    spectrum = librosa.stft(waveform, **how)
    log_size = np.log(np.abs(spectrum) + 1e-5)
    envelope = _envelope(log_size, sample_rate)
    bins = np.arange(len(spectrum))
    # What moves the pitch will move the envelope, too: it is put where that brings it to its place.
    sources = np.clip(bins * (pitch / tract), 0, len(bins) - 1)
    below = sources.astype(int)
    share = (sources - below)[:, None]
    moved = (1 - share) * envelope[below] + share * envelope[np.minimum(below + 1, len(bins) - 1)]
    gain = np.exp(np.clip(moved - envelope, -_MOST_GAIN, _MOST_GAIN))
    placed = librosa.istft(spectrum * gain, length=len(waveform), **how)
    altered = pitch_shift(placed, sr=sample_rate, n_steps=12 * float(np.log2(pitch)), **how)
    if pitch < 1:  # nothing was above half the rate to come down: what hisses there stays as it was
        own = librosa.stft(altered, **how)
        top = int(0.95 * pitch * len(bins))
        own[top:] = spectrum[top:]
        altered = librosa.istft(own, length=len(waveform), **how)
    loudness = np.sqrt(np.mean(np.square(waveform)) / max(float(np.mean(np.square(altered))), 1e-12))
    return np.clip(altered * loudness, -1, 1).astype(np.float32)


def _envelope(log_size: Floats, sample_rate: int) -> Floats:
    """What the harmonics of each frame touch from below (the "true envelope", Röbel & Rodet 2005).

    Args:
        log_size: (bins, frames) of a spectrum.
        sample_rate: Hz.
    """
    shortest, longest = (round(period * sample_rate) for period in _PERIODS)
    loud = log_size.mean(axis=0) >= np.median(log_size.mean(axis=0))
    period = shortest + int(np.fft.irfft(log_size, axis=0)[shortest:longest, loud].mean(axis=1).argmax())
    n_kept = round(_LIFTER * period)
    raised = log_size
    for _ in range(_TIMES):
        cepstrum = np.fft.irfft(raised, axis=0)
        cepstrum[n_kept : len(cepstrum) - n_kept + 1] = 0
        envelope: Floats = np.fft.rfft(cepstrum, axis=0).real
        raised = np.maximum(log_size, envelope)
    return envelope


@dataclass(frozen=True)
class _Job:
    utterance: Utterance
    file: Path
    pitch: float
    tract: float


def in_other_voices(
    utterances: Sequence[Utterance], n: int, folder: Path, *, seed: int = 1, jobs: int = 1
) -> list[Utterance]:
    """So many recordings in other voices, of each as many as of another; those of the same voices get the same names.

    Args:
        utterances: of people; a part of a recording is altered alone.
        n: recordings in all.
        folder: where they are written; what is there stays.
        seed: of the voices.
        jobs: processes.
    """
    rng = np.random.default_rng([seed, 5])
    planned = []
    for i in range(n if utterances else 0):
        utterance = utterances[i % len(utterances)]
        size, *own = rng.normal(size=3)  # a large person has a deep voice and a long tract
        pitch, tract = (
            float(np.exp(np.clip(shared * size + alone * z, -most, most)))
            for z, (shared, alone, most) in zip(own, (_PITCH, _TRACT), strict=True)
        )
        state = f"{utterance.id} {utterance.audio} {utterance.start} {utterance.duration} {pitch:.4f} {tract:.4f}"
        name = hashlib.sha256(os.fsencode(state)).hexdigest()[:16]
        planned.append(_Job(utterance, folder / f"{name}.wav", pitch, tract))
    missing = [job for job in planned if not job.file.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for _ in run_in_workers(_write, missing, jobs, chunk=16):
        pass
    return [replace(job.utterance, id=f"voices/{job.file.stem}", audio=job.file, start=0.0) for job in planned]


def _write(job: _Job) -> None:
    rate = audio_info(job.utterance.audio).sample_rate
    waveform = load_audio(job.utterance.audio, rate, start=job.utterance.start, duration=job.utterance.duration)
    altered = alter_voice(waveform, rate, pitch=job.pitch, tract=job.tract)
    with write_atomically(job.file) as out:
        soundfile.write(out, altered, rate, format="WAV", subtype="PCM_16")
