"""The card of a trained network: what it is, what it learnt from, how it did on dev, and what dev chose for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch

from audiornn.corpus.preparation import Prepared
from audiornn.evaluate.several import choose_thresholds
from audiornn.model_file import ModelCard
from audiornn.recipe import Recipe
from audiornn.train.calibration import Heard, calibrate
from audiornn.train.dataset import Dataset
from audiornn.train.network import Network
from audiornn.train.parallel import Workers, n_workers
from audiornn.train.spot_score import answers_of, spotting_of

__all__ = ["finished_card"]


def finished_card(
    network: Network,
    prepared: Prepared,
    recipe: Recipe,
    state: Mapping[str, Any],
    best: Mapping[str, Any],
    train_set: Dataset,
    dev_set: Dataset,
    report: Callable[[str], None],
) -> ModelCard:
    """The card of a network that has learnt; it is moved to the CPU where dev has something to choose.

    Args:
        network: with the weights that are kept.
        prepared: the corpus.
        recipe: the settings.
        state: of the run at its end, as its checkpoint has it.
        best: the state at the epoch that is kept, with its score on dev (`dev`).
        train_set: what it learnt from; a spotter without dev chooses its thresholds there.
        dev_set: what calibrates times and confidences, and chooses thresholds; may be empty.
        report: takes lines for people.
    """
    card = ModelCard(
        task="label" if recipe.task == "spot" else recipe.task,
        features=recipe.features,
        vocabulary=prepared.vocabulary,
        stride=recipe.model.stride,
        front_context=recipe.model.front_context,
        recipe=recipe.name,
        licence=_joined_licence(recipe.licence, state.get("start")),
        network={
            **asdict(recipe.model),
            "n_parameters": network.n_parameters,
            "multiply_adds_a_second": network.eval().multiply_adds(round(1 / recipe.features.frame_seconds)),
        },
        training={
            "seed": recipe.training.seed,
            "steps": state["step"],
            "epoch_kept": best["best"][2] + 1,
            "utterances": {row.split: row.utterances for row in prepared.summary}
            | {"train": len(train_set), "dev": len(dev_set)},  # a fold has others
            "digests": dict(prepared.digests),
            "window_seconds": recipe.features.frames_to_seconds(int(np.median(train_set.lengths))),
            **({"started_from": state["start"]} if state.get("start") else {}),
        },
        results={"dev" if len(dev_set) else "train": {k: v for k, v in best["dev"].items() if k != "blank_share"}},
    )
    if recipe.task == "spot":
        return _with_keyword_thresholds(card, network, dev_set if len(dev_set) else train_set, report)
    if recipe.task == "transcribe" and len(dev_set):
        card = calibrate(card, _heard(network.cpu(), dev_set))
    if recipe.vocabulary.several and len(dev_set):
        card = _with_label_thresholds(card, network.cpu(), dev_set)
    return card


def _with_label_thresholds(card: ModelCard, network: Network, dev_set: Dataset) -> ModelCard:
    """Of independent labels the probability from which each is said to hold, chosen on dev."""
    said = ((each.log_probs, dev_set.target(i)) for i, each in enumerate(_heard(network, dev_set)))
    thresholds = choose_thresholds(card.vocabulary.symbols, said)
    if card.task != "label":
        return replace(card, thresholds=thresholds)
    rules = {label: {"onset": least, "offset": least} for label, least in thresholds.items()}
    return replace(card, segments={"labels": rules})


def _with_keyword_thresholds(
    card: ModelCard, network: Network, dev_set: Dataset, report: Callable[[str], None]
) -> ModelCard:
    """A spotter's card with its decision layer, the thresholds chosen on dev."""
    settings = dev_set.recipe.training
    device, target = next(network.parameters()).device, dev_set.recipe.spotting.false_alarms_per_hour
    with Workers(n_workers(settings.threads, settings.batch_size, device)) as workers:
        answers = answers_of(network, dev_set, workers, device)
    spotting, results, lines = spotting_of(answers, target)
    for line in lines:
        report(line)
    return replace(
        card,
        spotting=spotting,
        results={next(iter(card.results)): results},
        training={**card.training, "false_alarms_per_hour": target},
    )


def _joined_licence(licence: str, start: Mapping[str, str] | None) -> str:
    """The licences of all that the network heard."""
    if start is None or not start["licence"]:
        return licence
    return f"{licence or 'not stated'}; at the start, {start['recipe']}: {start['licence']}"


@torch.no_grad()
def _heard(network: Network, dataset: Dataset) -> Iterator[Heard]:
    """A split's utterances, each with what the network says of it; on the CPU."""
    network.eval()
    for index in range(len(dataset)):
        batch = dataset.batch([index])
        log_probs, _ = network(batch.features, batch.feature_lengths)
        yield Heard(dataset.utterances[index], np.asarray(dataset.store[index]), log_probs[0].numpy())
