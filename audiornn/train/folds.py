"""Folds: a network for each speaker that has never heard that speaker; or, where nobody is known, for each recording.

How well strangers are understood is told by one held-out speaker no better than by the luck of the draw; so each
speaker of dev and test is held out in turn, and each training is repeated with several seeds.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
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

__all__ = ["Fold", "FoldScore", "fold_summary", "fold_table", "folds_of", "train_folds"]


@dataclass(frozen=True)
class Fold(Prepared):
    """A prepared corpus with one speaker held out: the test is all that this speaker says, and nothing else has any.

    Training takes what others say in train and test, dev what others say in dev. A recording is held out likewise.

    Attributes:
        held_out: the speaker; or the recording's file, below the folder that holds all of dev and test, if one does.
        by: "speaker" or "recording".
        source: the speaker, or the recording's path.
    """

    held_out: str = ""
    by: str = "speaker"
    source: str = ""

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
            theirs = np.array([_source(u, self.by) == self.source for u in super().utterances(name)], bool)
            members.append((name, np.flatnonzero(theirs if split == "test" else ~theirs)))
        return members


@dataclass(frozen=True)
class FoldScore:
    """One figure of a held-out speaker or recording, a tally for each seed."""

    held_out: str
    tallies: tuple[Tally, ...]
    by: str = "speaker"

    @property
    def values(self) -> list[float]:
        """The figure, a seed each."""
        return [tally.value for tally in self.tallies]

    def to_json(self) -> dict[str, Any]:
        """Plain types; None where nothing could be measured."""
        return {
            self.by: self.held_out,
            "measure": self.tallies[0].measure,
            "values": list(self.values),
            "errors": [sum(tally.errors) for tally in self.tallies],
            "reference_length": sum(self.tallies[0].lengths),
            "intervals": [list(tally.interval) for tally in self.tallies],
        }


def _source(utterance: Utterance, by: str) -> str | None:
    return utterance.speaker if by == "speaker" else utterance.audio.as_posix()


def _folder_of_all(files: Iterable[str]) -> Path | None:
    """The lowest folder that holds all files; None where they are on several drives."""
    try:
        return Path(os.path.commonpath([Path(file).parent for file in files]))
    except ValueError:
        return None


def folds_of(prepared: Prepared, by: str = "speaker") -> list[Fold]:
    """A fold for each speaker of dev and test, by name, or for each recording.

    Args:
        prepared: the corpus.
        by: "speaker" or "recording".

    Raises:
        CorpusError: fewer than two are known there; or recordings are asked for where two speakers are known, who would
            be heard in others' trainings.
    """
    heard = [u for split in ("dev", "test") for u in prepared.utterances(split)]
    sources = {source for u in heard if (source := _source(u, by)) is not None}
    if by == "recording" and len({u.speaker for u in heard} - {None}) > 1:
        raise CorpusError(
            f"{prepared.folder}: the speakers of a recording held out would be heard in others; take --folds speaker"
        )
    if len(sources) < 2:
        hint = "; --folds recording holds out one of these" if by == "speaker" else ""
        raise CorpusError(f"{prepared.folder}: dev and test name {len(sources)} {by}s; folds need two{hint}")
    fields = {field.name: getattr(prepared, field.name) for field in dataclasses.fields(Prepared)}
    folds = []
    above = _folder_of_all(sources) if by == "recording" else None
    for source in sorted(sources):
        name = Path(source).relative_to(above).as_posix() if above else source
        # A fold's network has learnt from the corpus' own test: its digests keep it from being scored there.
        fields["digests"] = {split: f"{whole} without {name}" for split, whole in prepared.digests.items()}
        folds.append(Fold(**fields, held_out=name, by=by, source=source))
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
        folds: of `folds_of`.
        recipe: the settings.
        folder: gets a run `<speaker>-<seed>` each, of a recording `<its name>-<seed>`.
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
        scores.append([FoldScore(fold.held_out, tallies, fold.by) for tallies in zip(*found, strict=True)])
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

    A speaker of whom nothing could be measured is left out; of fewer than two others there is no mean. Of recordings
    likewise.
    """
    by = scores[0].by
    measured = [score for score in scores if all(value == value for value in score.values)]
    if len(measured) < 2:
        return {"measure": scores[0].tallies[0].measure, f"{by}s": len(measured)}
    means = [statistics.fmean(values) for values in zip(*(score.values for score in measured), strict=True)]
    of_each = [statistics.fmean(score.values) for score in measured]
    return {
        "measure": scores[0].tallies[0].measure,
        f"{by}s": len(measured),
        "means": means,
        "mean": statistics.fmean(means),
        "interval": interval_of_mean(of_each, most=1.0 if scores[0].tallies[0].is_exact else math.inf),
        f"deviation_between_{by}s": statistics.stdev(of_each),
        "deviation_between_seeds": statistics.stdev(means) if len(means) > 1 else None,
    }


def fold_table(scores: Sequence[FoldScore], seeds: Sequence[int]) -> str:
    """A row a speaker or recording, then their mean of each seed, and how far seeds and they spread."""
    summary, tally, by = fold_summary(scores), scores[0].tallies[0], scores[0].by
    means = summary.get("means", [math.nan] * len(seeds))
    width = max(len(f"mean of {by}s"), *(len(score.held_out) for score in scores))
    lines = [f"{'held out':{width}}" + "".join(f"  seed {seed:4d}" for seed in seeds)]
    lines += [
        f"{name:{width}}" + "".join(f"  {tally.shown(value):>9}" for value in values)
        for name, values in [*((s.held_out, s.values) for s in scores), (f"mean of {by}s", means)]
    ]
    if "mean" not in summary:
        lines.append(f"{tally.measure}: fewer than two {by}s have anything to measure")
        return "\n".join(lines)
    low, high, between = (
        tally.shown(value).removesuffix(" %") for value in (*summary["interval"], summary[f"deviation_between_{by}s"])
    )
    between_seeds = summary["deviation_between_seeds"]
    lines.append(
        f"{tally.measure} {tally.shown(summary['mean'])} (95 %, Student's t over {by}s: {low}–{high}); "
        f"standard deviation {between} between {by}s"
        + (f", {tally.shown(between_seeds).removesuffix(' %')} between seeds" if between_seeds is not None else "")
    )
    return "\n".join(lines)
