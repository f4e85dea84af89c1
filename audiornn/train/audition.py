"""Augmented training examples as audio, to hear what a network is asked to learn from.

Augmentation works on log-mel frames, so that there is no waveform to listen to; one is made that has these frames
(Griffin and Lim 1984). It rings a little: each example is written as it was too, made the same way, to compare.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from audiornn.audio import Waveform
from audiornn.corpus.preparation import Prepared
from audiornn.features import Features, FeatureSettings
from audiornn.recipe import Recipe
from audiornn.train.dataset import Dataset

__all__ = ["to_waveform", "write_examples"]

_ITERATIONS = 32  # of Griffin-Lim: more are not heard


def write_examples(prepared: Prepared, recipe: Recipe, folder: Path, n: int) -> list[Path]:
    """Write `n` training utterances as an epoch would hear them, and as they are.

    Args:
        prepared: the corpus.
        recipe: the settings.
        folder: gets `<number>_<text>_varied.wav` and `<number>_<text>_plain.wav` of each.
        n: how many; fewer if there are fewer.

    Returns:
        The files of the varied ones.
    """
    import soundfile

    dataset = Dataset(prepared, "train", recipe, prepared.vocabulary)
    rng = np.random.default_rng([recipe.training.seed, 3])
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, index in enumerate(rng.permutation(len(dataset))[:n].tolist(), start=1):
        text = "".join(c if c.isalnum() else "-" for c in dataset.utterances[index].text)[:40]
        for state, log_mel in (("plain", dataset.log_mel(index)), ("varied", dataset.log_mel(index, rng))):
            file = folder / f"{number:03d}_{text}_{state}.wav"
            soundfile.write(file, to_waveform(log_mel, recipe.features), recipe.features.sample_rate)
        files.append(file)
    return files


def to_waveform(log_mel: Features, settings: FeatureSettings) -> Waveform:
    """A waveform with about these log-mel frames, (frames, n_mels) in decibels; never louder than full scale."""
    import librosa

    spectrum = librosa.feature.inverse.mel_to_stft(
        librosa.db_to_power(log_mel.T),
        sr=settings.sample_rate,
        n_fft=settings.n_fft,
        fmin=settings.fmin,
        fmax=settings.fmax,
    )
    waveform = librosa.griffinlim(
        spectrum,
        n_iter=_ITERATIONS,
        hop_length=settings.hop_length,
        win_length=settings.win_length,
        n_fft=settings.n_fft,
        random_state=0,
    )
    return np.asarray(waveform / max(1.0, float(np.abs(waveform).max(initial=0.0))), np.float32)
