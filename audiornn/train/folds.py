"""Folds: a network for each speaker that has never heard that speaker.

How well strangers are understood is told by one held-out speaker no better than by the luck of the draw; so each
speaker of dev and test is held out in turn, and each training is repeated with several seeds.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiornn.corpus.feature_store import FeatureStore
from audiornn.corpus.manifest import Utterance
from audiornn.corpus.preparation import Prepared
from audiornn.errors import CorpusError
from audiornn.evaluate.report import Report
from audiornn.recipe import Recipe

__all__ = ["Fold", "FoldScore", "fold_table", "speaker_folds", "train_folds"]


@dataclass(frozen=True)
class Fold(Prepared):
    """A prepared corpus with one speaker held out: the test is all that this speaker says, and nothing else has any.

    Training takes what others say in train and test, dev what others say in dev.

    Attributes:
        held_out: the speaker.
    """

    held_out: str = ""

    def utterances(self, split: str) -> Sequence[Utterance]:
        """The manifest of a split of the fold."""
        whole = {name: super(Fold, self).utterances(name) for name in ("train", "dev", "test")}
        return [whole[name][int(number)] for name, numbers in self._members(split) for number in numbers]

    def features(self, split: str) -> FeatureStore:
        """The frames of a split of the fold, in its manifest's order."""
        return FeatureStore.joined([(super(Fold, self).features(name), n) for name, n in self._members(split)])

    def _members(self, split: str) -> list[tuple[str, np.ndarray[tuple[int], np.dtype[np.int64]]]]:
        """Whose utterances a split of the fold has: the splits of the corpus, and numbers in each."""
        sources = {"train": ("train", "test"), "dev": ("dev",), "test": ("train", "dev", "test")}[split]
        members = []
        for name in sources:
            theirs = np.array([u.speaker == self.held_out for u in super().utterances(name)], bool)
            members.append((name, np.flatnonzero(theirs if split == "test" else ~theirs)))
        return members


@dataclass(frozen=True)
class FoldScore:
    """A held-out speaker's errors, a seed each."""

    speaker: str
    errors: tuple[int, ...]
    reference_length: int

    @property
    def rates(self) -> list[float]:
        """Errors a unit, a seed each."""
        return [errors / max(1, self.reference_length) for errors in self.errors]


def speaker_folds(prepared: Prepared) -> list[Fold]:
    """A fold for each speaker of dev and test, by name.

    Raises:
        CorpusError: fewer than two speakers are known there.
    """
    speakers = {u.speaker for split in ("dev", "test") for u in prepared.utterances(split) if u.speaker is not None}
    if len(speakers) < 2:
        raise CorpusError(f"{prepared.folder}: dev and test name {len(speakers)} speakers; folds need two")
    fields = {field.name: getattr(prepared, field.name) for field in dataclasses.fields(Prepared)}
    return [Fold(**fields, held_out=speaker) for speaker in sorted(speakers)]


def train_folds(
    folds: Sequence[Fold],
    recipe: Recipe,
    folder: Path,
    seeds: Sequence[int],
    *,
    train: Callable[[Prepared, Recipe, Path, bool], Path],
    score: Callable[[Path, Sequence[Utterance], str], Report],
    report: Callable[[str], None],
) -> list[FoldScore]:
    """Train and score every fold with every seed; what an earlier call finished is not trained again.

    Args:
        folds: of `speaker_folds`.
        recipe: the settings.
        folder: gets a run `<speaker>-<seed>` each.
        seeds: of the trainings.
        train: trains a prepared corpus by a recipe in a run's folder, or goes on with it; gives the model file.
        score: a model file's report on utterances, and what to call them.
        report: takes a line of text for each training.
    """
    scores = []
    for fold in folds:
        errors, length = [], 0
        for seed in seeds:
            run = folder / f"{fold.held_out}-{seed}"
            model = run / "model.onnx"
            if not model.exists():
                seeded = dataclasses.replace(recipe, training=dataclasses.replace(recipe.training, seed=seed))
                model = train(fold, seeded, run, (run / "last.safetensors").exists())
            found = score(model, fold.utterances("test"), fold.held_out)
            errors.append(found.errors)
            length = found.reference_length
            report(f"{fold.held_out}, seed {seed}: {100 * found.error_rate:.2f} % ({found.errors} of {length})")
        scores.append(FoldScore(fold.held_out, tuple(errors), length))
    return scores


def fold_table(scores: Sequence[FoldScore], seeds: Sequence[int]) -> str:
    """A row a speaker, then the mean over speakers of each seed, and how far seeds and speakers spread."""
    width = max(len("mean of speakers"), *(len(score.speaker) for score in scores))
    lines = [f"{'held out':{width}}" + "".join(f"  seed {seed:4d}" for seed in seeds)]
    lines += [
        f"{score.speaker:{width}}" + "".join(f"  {100 * rate:7.2f} %" for rate in score.rates) for score in scores
    ]
    means = [statistics.fmean(score.rates[i] for score in scores) for i in range(len(seeds))]
    lines.append(f"{'mean of speakers':{width}}" + "".join(f"  {100 * mean:7.2f} %" for mean in means))
    by_speaker = [statistics.fmean(score.rates) for score in scores]
    lines.append(
        f"error rate {100 * statistics.fmean(means):.2f} %; "
        f"standard deviation {100 * statistics.pstdev(by_speaker):.2f} between speakers"
        + (f", {100 * statistics.stdev(means):.2f} between seeds" if len(means) > 1 else "")
    )
    return "\n".join(lines)
