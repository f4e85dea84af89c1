"""Folds: a network for each speaker that has never heard that speaker.

How well strangers are understood is told by one held-out speaker no better than by the luck of the draw; so each
speaker of dev and test is held out in turn, and each training is repeated with several seeds.
"""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from audiornn.corpus.feature_store import FeatureStore
from audiornn.corpus.manifest import Utterance
from audiornn.corpus.preparation import Prepared
from audiornn.errors import CorpusError, TrainingError
from audiornn.evaluate.error_rates import interval_of_mean
from audiornn.evaluate.tally import Tally
from audiornn.model_file import open_model_file
from audiornn.recipe import Recipe
from audiornn.train.checkpoint import recipe_of_run

__all__ = ["Fold", "FoldScore", "fold_summary", "fold_table", "speaker_folds", "train_folds"]


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

    def tracks(self, split: str) -> Sequence[np.ndarray[tuple[int, int], np.dtype[np.float32]]]:
        """The targets over time of a split of the fold, likewise."""
        whole = {name: super(Fold, self).tracks(name) for name, _ in self._members(split)}
        return [whole[name][int(number)] for name, numbers in self._members(split) for number in numbers]

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
    """One figure of a held-out speaker, a tally for each seed."""

    speaker: str
    tallies: tuple[Tally, ...]

    @property
    def values(self) -> list[float]:
        """The figure, a seed each."""
        return [tally.value for tally in self.tallies]

    def to_json(self) -> dict[str, Any]:
        """Plain types; None where nothing could be measured."""
        return {
            "speaker": self.speaker,
            "measure": self.tallies[0].measure,
            "values": list(self.values),
            "errors": [sum(tally.errors) for tally in self.tallies],
            "reference_length": sum(self.tallies[0].lengths),
            "intervals": [list(tally.interval) for tally in self.tallies],
        }


def speaker_folds(prepared: Prepared) -> list[Fold]:
    """A fold for each speaker of dev and test, by name.

    Raises:
        CorpusError: fewer than two speakers are known there.
    """
    speakers = {u.speaker for split in ("dev", "test") for u in prepared.utterances(split) if u.speaker is not None}
    if len(speakers) < 2:
        raise CorpusError(f"{prepared.folder}: dev and test name {len(speakers)} speakers; folds need two")
    fields = {field.name: getattr(prepared, field.name) for field in dataclasses.fields(Prepared)}
    folds = []
    for speaker in sorted(speakers):
        # A fold's network has learnt from the corpus' own test: its digests keep it from being scored there.
        fields["digests"] = {split: f"{whole} without {speaker}" for split, whole in prepared.digests.items()}
        folds.append(Fold(**fields, held_out=speaker))
    return folds


def train_folds(
    folds: Sequence[Fold],
    recipe: Recipe,
    folder: Path,
    seeds: Sequence[int],
    *,
    train: Callable[[Prepared, Recipe, Path, bool], Path],
    score: Callable[[Path, Sequence[Utterance], str], Sequence[Tally]],
    report: Callable[[str], None],
) -> list[list[FoldScore]]:
    """Train and score every fold with every seed; what an earlier call finished is not trained again.

    Args:
        folds: of `speaker_folds`.
        recipe: the settings.
        folder: gets a run `<speaker>-<seed>` each.
        seeds: of the trainings.
        train: trains a prepared corpus by a recipe in a run's folder, or goes on with it; gives the model file.
        score: a model file's tallies of utterances, and what to call them.
        report: takes a line of text for each training.

    Returns:
        For each of the tallies a score of every fold.

    Raises:
        TrainingError: what an earlier call left there has other settings, or is of another preparation.
    """
    scores = []
    for fold in folds:
        found = []
        for seed in seeds:
            run = folder / f"{quote(fold.held_out, safe=' ')}-{seed}"  # a name may hold a slash
            model = run / "model.onnx"
            seeded = dataclasses.replace(recipe, training=dataclasses.replace(recipe.training, seed=seed))
            _check_is_same(run, fold, seeded)
            if not model.exists():
                model = train(fold, seeded, run, (run / "last.safetensors").exists())
            found.append(score(model, fold.utterances("test"), fold.held_out))
            report(f"{fold.held_out}, seed {seed}: {'; '.join(map(_told, found[-1]))}")
        scores.append([FoldScore(fold.held_out, tallies) for tallies in zip(*found, strict=True)])
    return [list(of_one_measure) for of_one_measure in zip(*scores, strict=True)]


def _told(tally: Tally) -> str:
    low, high = (tally.shown(bound).removesuffix(" %") for bound in tally.interval)
    if tally.is_root:
        return f"{tally.measure} {tally.shown(tally.value)} (95 %: {low}–{high})"
    counted = f"{sum(tally.errors)} of {sum(tally.lengths)}"
    return f"{tally.measure} {tally.shown(tally.value)} ({counted}; 95 %: {low}–{high})"


def _check_is_same(run: Path, fold: Fold, recipe: Recipe) -> None:
    """Raise a TrainingError where a run of an earlier call is not what would be trained now."""
    if not (run / "recipe.json").exists():
        return
    differing = _differing(recipe_of_run(run).to_json(), recipe.to_json())
    if not differing and (run / "model.onnx").exists():
        _, card = open_model_file(run / "model.onnx")
        differing = "" if card.training.get("digests") == dict(fold.digests) else "the recordings it learnt from"
    if differing:
        raise TrainingError(
            f"{run}: an earlier call trained it otherwise ({differing}); move or delete {run.parent} to train anew, or "
            "name another folder with --runs"
        )


def _differing(before: Mapping[str, Any], now: Mapping[str, Any], place: str = "") -> str:
    """The first setting that two recipes do not share, with both values; empty where they are alike."""
    for key in [*before, *(key for key in now if key not in before)]:
        old, new = before.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            if found := _differing(old, new, f"{place}{key}."):
                return found
        elif json.dumps(old) != json.dumps(new):
            return f"{place}{key} = {json.dumps(old)}, now {json.dumps(new)}"
    return ""


def fold_summary(scores: Sequence[FoldScore]) -> dict[str, Any]:
    """What all folds give of a figure: its mean over speakers, of each seed and of all, its interval and its spread.

    A speaker of whom nothing could be measured is left out; of fewer than two others there is no mean.
    """
    measured = [score for score in scores if all(value == value for value in score.values)]
    if len(measured) < 2:
        return {"measure": scores[0].tallies[0].measure, "speakers": len(measured)}
    means = [statistics.fmean(values) for values in zip(*(score.values for score in measured), strict=True)]
    by_speaker = [statistics.fmean(score.values) for score in measured]
    return {
        "measure": scores[0].tallies[0].measure,
        "speakers": len(measured),
        "means": means,
        "mean": statistics.fmean(means),
        "interval": interval_of_mean(by_speaker, most=1.0 if scores[0].tallies[0].is_exact else math.inf),
        "deviation_between_speakers": statistics.stdev(by_speaker),
        "deviation_between_seeds": statistics.stdev(means) if len(means) > 1 else None,
    }


def fold_table(scores: Sequence[FoldScore], seeds: Sequence[int]) -> str:
    """A row a speaker, then the mean over speakers of each seed, and how far seeds and speakers spread."""
    summary, tally = fold_summary(scores), scores[0].tallies[0]
    means = summary.get("means", [math.nan] * len(seeds))
    width = max(len("mean of speakers"), *(len(score.speaker) for score in scores))
    lines = [f"{'held out':{width}}" + "".join(f"  seed {seed:4d}" for seed in seeds)]
    lines += [
        f"{name:{width}}" + "".join(f"  {tally.shown(value):>9}" for value in values)
        for name, values in [*((s.speaker, s.values) for s in scores), ("mean of speakers", means)]
    ]
    if "mean" not in summary:
        lines.append(f"{tally.measure}: fewer than two speakers have anything to measure")
        return "\n".join(lines)
    low, high, between_speakers = (
        tally.shown(value).removesuffix(" %") for value in (*summary["interval"], summary["deviation_between_speakers"])
    )
    between_seeds = summary["deviation_between_seeds"]
    lines.append(
        f"{tally.measure} {tally.shown(summary['mean'])} (95 %, Student's t over speakers: {low}–{high}); "
        f"standard deviation {between_speakers} between speakers"
        + (f", {tally.shown(between_seeds).removesuffix(' %')} between seeds" if between_seeds is not None else "")
    )
    return "\n".join(lines)
