"""Recordings as other voices might have said them: pitch and vocal tract, each by itself.

A spectrogram can be warped while training, but that moves pitch and formants together, and in forty bands a voice's
harmonics stay where they were. A word of thirty people's needs other voices more than anything else: here its
recordings are altered in the waveform, before features, by Praat, period by period (overlap-add in step with the
pitch, Moulines & Charpentier 1990), which leaves bursts and hisses their times.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from audiornn.audio import Waveform, audio_info, load_audio
from audiornn.corpus.manifest import Utterance
from audiornn.corpus.workers import run_in_workers
from audiornn.errors import CorpusError
from audiornn.files import write_atomically

__all__ = ["alter_voice", "in_other_voices"]

_PITCHES = (75.0, 600.0)  # Hz, between which voices are looked for
_SHORTEST = 0.1  # seconds; in less there is no voice to be found
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

    What has no voice gets other formants only; silence, and less than 0.1 s, stay as they are.
    """
    if len(waveform) < _SHORTEST * sample_rate or not waveform.any():
        return waveform
    import parselmouth
    from parselmouth.praat import call

    sound = parselmouth.Sound(waveform.astype(float), sample_rate)
    found = sound.to_pitch(pitch_floor=_PITCHES[0], pitch_ceiling=_PITCHES[1]).selected_array["frequency"]
    voiced = found[found > 0]
    median = pitch * float(np.median(voiced)) if len(voiced) else 0.0  # 0 leaves what is whispered as it is
    same_range, same_duration = 1.0, 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what has no voice
        changed = call(sound, "Change gender", *_PITCHES, tract, median, same_range, same_duration).values[0]
    altered = np.zeros(len(waveform))
    altered[: len(changed)] = changed[: len(waveform)]
    loudness = np.sqrt(np.mean(np.square(waveform)) / max(float(np.mean(np.square(altered))), 1e-12))
    return np.clip(altered * loudness, -1, 1).astype(np.float32)


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

    Raises:
        CorpusError: praat-parselmouth is not installed.
    """
    rng = np.random.default_rng([seed, 5])
    planned = []
    for i in range(n if utterances else 0):
        turn, place = divmod(i, len(utterances))
        utterance = utterances[place]
        size, *own = rng.normal(size=3)  # a large person has a deep voice and a long tract
        pitch, tract = (
            float(np.exp(np.clip(shared * size + alone * z, -most, most)))
            for z, (shared, alone, most) in zip(own, (_PITCH, _TRACT), strict=True)
        )
        voice = f"{turn} {pitch:.4f} {tract:.4f}"  # the farthest voices are all the same, and yet copies of their own
        state = f"{utterance.id} {utterance.audio} {utterance.start} {utterance.duration} {voice}"
        name = hashlib.sha256(os.fsencode(state)).hexdigest()[:16]
        planned.append(_Job(utterance, folder / f"{name}.wav", pitch, tract))
    missing = [job for job in planned if not job.file.exists()]
    if missing and importlib.util.find_spec("parselmouth") is None:
        raise CorpusError(
            "other voices are made by Praat, which is not installed: pip install 'audiornn[train]', or leave them out: "
            "corpus.other_voices = 0"
        )
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
