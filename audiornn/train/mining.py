"""Hard negatives: where in its own training background a network answers as if the word were said.

After each epoch it listens to some of the background, and the next epoch's examples show it what it took for the word.
What goes on being as loud as the word itself, though it was served as background epoch after epoch, may well be the
word: such places are listed and no longer trained as background. Of what synthetic voices say, which is known, they are
what a network cannot tell from the word: not listed, and not trained either, or it would learn to miss the word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audiornn.corpus.manifest import is_synthetic
from audiornn.evaluate.onsets import APART, loudest_peaks
from audiornn.files import write_atomically
from audiornn.train.network import Network
from audiornn.train.parallel import Workers
from audiornn.train.placing import Mined, MinedPeak, PlacedWords
from audiornn.train.spot_score import LOUD, QUIETER_WORDS, posteriors_of, smoothed

__all__ = ["MinedWords", "list_doubtful", "mine"]

_SECONDS = 1200.0  # of background an epoch
_MOST = 256  # peaks that are kept
_LEAST = 0.02  # a quieter one is no mistake
_AN_UTTERANCE = 3
_LISTED = 10
_TIMES = 5  # minings in a row as loud as the word: the first ones, the network knows nothing yet


class MinedWords(PlacedWords):
    """Examples of a spotter that are made of its mistakes, too."""

    def recall(self, studied: Mapping[str, Any]) -> None:
        """Show what the network took for the word, and no longer what may well be it."""
        self.mined = Mined.from_json(studied)

    def study(self, network: Network, epoch: int, workers: Workers, device: torch.device) -> dict[str, Any]:
        """Where the network answers loudly in background."""
        draw = np.random.default_rng([self.recipe.training.seed, 4, epoch])
        return mine(network, self, self.mined, draw, workers, device).to_json()

    def tell(self, studied: Mapping[str, Any], run_dir: Path, report: Callable[[str], None]) -> None:
        """What may hold the word."""
        list_doubtful(self, Mined.from_json(studied), run_dir, report)


def mine(
    network: Network,
    dataset: PlacedWords,
    before: Mined,
    rng: np.random.Generator,
    workers: Workers,
    device: torch.device,
) -> Mined:
    """Listen to some of the background: what was loudest there, with what is still loud of what was before.

    Args:
        network: as it is now.
        dataset: of the training split.
        before: what the last mining gave.
        rng: what draws the background that is listened to.
        workers: that share the work.
        device: the network's.
    """
    recipe = dataset.recipe
    output_seconds = recipe.features.frame_seconds * recipe.model.stride
    words = sorted({word.index for word in dataset.words})
    words = [words[i] for i in rng.permutation(len(words))[:100]]
    answers = [
        smoothed(p, output_seconds)[:, 1:].max() for _, p in posteriors_of(network, dataset, words, workers, device)
    ]
    as_loud = max(LOUD, float(np.quantile(answers, QUIETER_WORDS)))
    again = {peak.index for peak in before.peaks}
    indices = sorted({*again, *_some(dataset, rng)})
    n_apart = round(APART / output_seconds)
    reach = n_apart * recipe.model.stride
    found: list[MinedPeak] = []
    doubtful = list(before.doubtful)
    for index, posteriors in posteriors_of(network, dataset, indices, workers, device):
        values = smoothed(posteriors, output_seconds)[:, 1:].max(axis=1)
        for place, score in loudest_peaks(values, n_apart, _LEAST)[:_AN_UTTERANCE]:
            frame = place * recipe.model.stride
            if _near(doubtful, index, frame, reach):
                continue
            times = 0
            if score >= as_loud:
                times = 1 + max((peak.times for peak in _near(before.peaks, index, frame, reach)), default=0)
            peak = MinedPeak(index, frame, round(score, 4), times)
            (doubtful if times >= _TIMES else found).append(peak)
    found.sort(key=lambda peak: (-peak.score, peak.index, peak.frame))
    return Mined(tuple(found[:_MOST]), tuple(doubtful))


def list_doubtful(dataset: PlacedWords, mined: Mined, run_dir: Path, report: Callable[[str], None]) -> None:
    """Say which background may hold the word, and list all in `may_hold_the_word.tsv`: recording, seconds, score."""
    rows = [
        (str(utterance.audio), utterance.start + dataset.recipe.features.frames_to_seconds(peak.frame), peak.score)
        for peak in mined.doubtful
        for utterance in [dataset.utterances[peak.index]]
        if not is_synthetic(utterance)  # what a voice was made to say is known
    ]
    if not rows:
        return
    table = run_dir / "may_hold_the_word.tsv"
    with write_atomically(table) as out:
        out.write("".join(f"{audio}\t{seconds:.2f}\t{score:.4f}\n" for audio, seconds, score in rows).encode())
    report(
        f"{len(rows)} places in the background may hold the word, and were not trained as background; listen to them "
        f"({table} lists all):"
    )
    for audio, seconds, _ in rows[:_LISTED]:
        report(f"  {audio} at {seconds:.2f} s")


def _some(dataset: PlacedWords, rng: np.random.Generator) -> Sequence[int]:
    """Recordings of background, drawn until there is enough of it."""
    order = dataset.background[rng.permutation(len(dataset.background))]
    seconds = np.cumsum(dataset.lengths[order]) * dataset.recipe.features.frame_seconds
    return [int(index) for index in order[: int(np.searchsorted(seconds, _SECONDS)) + 1]]


def _near(peaks: Sequence[MinedPeak], index: int, frame: int, reach: int) -> list[MinedPeak]:
    """Those of a recording that lie no more than so many frames from one."""
    return [peak for peak in peaks if peak.index == index and abs(peak.frame - frame) <= reach]
