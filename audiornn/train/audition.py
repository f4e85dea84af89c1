"""Augmented training examples as audio, to hear what a network is asked to learn from.

Augmentation works on log-mel frames, so that there is no waveform to listen to; one is made that has these frames
(Griffin and Lim 1984). It rings a little: each example is written as it was too, made the same way, to compare.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from audiornn.audio import Waveform
from audiornn.corpus.preparation import Prepared
from audiornn.features import Features, FeatureSettings
from audiornn.recipe import Recipe
from audiornn.train.dataset import Dataset
from audiornn.train.placing import PlacedWords

__all__ = ["to_waveform", "write_examples"]

_ITERATIONS = 32  # of Griffin-Lim: more are not heard


def write_examples(prepared: Prepared, recipe: Recipe, folder: Path, n: int) -> list[Path]:
    """Write `n` training examples as an epoch would hear them, and the utterances as they are.

    A spotter's examples are windows made of several recordings; there is nothing plain to compare them with.

    Args:
        prepared: the corpus.
        recipe: the settings.
        folder: gets `<number>_<text>_varied.wav` and `<number>_<text>_plain.wav` of each; what an earlier call wrote
            there goes.
        n: how many; fewer if there are fewer utterances.

    Returns:
        The files of the varied ones.
    """
    import soundfile

    rng = np.random.default_rng([recipe.training.seed, 3])
    folder.mkdir(parents=True, exist_ok=True)
    for state in ("plain", "varied"):
        for old in folder.glob(f"[0-9][0-9][0-9]_*_{state}.wav"):
            old.unlink()
    examples = _placed_examples if recipe.task == "spot" else _varied_utterances
    files = []
    for number, (text, versions) in enumerate(examples(prepared, recipe, n, rng), start=1):
        name = "".join(c if c.isalnum() else "-" for c in text)[:40]
        for state, log_mel in versions.items():
            file = folder / f"{number:03d}_{name}_{state}.wav"
            soundfile.write(file, to_waveform(log_mel, recipe.features), recipe.features.sample_rate)
        files.append(file)
    return files


def _varied_utterances(
    prepared: Prepared, recipe: Recipe, n: int, rng: np.random.Generator
) -> Iterator[tuple[str, dict[str, Features]]]:
    """Text and log-mel frames of utterances, as they are and varied."""
    dataset = Dataset(prepared, "train", recipe, prepared.vocabulary)
    for index in rng.permutation(len(dataset))[:n].tolist():
        versions = {"plain": dataset.log_mel(index), "varied": dataset.log_mel(index, rng)}
        yield dataset.utterances[index].text, versions


def _placed_examples(
    prepared: Prepared, recipe: Recipe, n: int, rng: np.random.Generator
) -> Iterator[tuple[str, dict[str, Features]]]:
    """What is asked for and log-mel frames of a spotter's examples."""
    dataset = PlacedWords(prepared, "train", recipe, prepared.vocabulary)
    for _ in range(n):
        log_mel, targets, name = dataset.example(rng, recipe.augment)
        label = prepared.vocabulary.symbols[int(targets.max(initial=0))] if (targets > 0).any() else "not it"
        yield f"{label} {name}", {"varied": log_mel}


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
