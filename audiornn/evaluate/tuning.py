"""Decoding settings chosen on dev: the log-probabilities are computed once, then every trial only searches them.

The grid is small and the same for every model. Of trials with as few word errors the one is taken whose neighbours on
the grid do best too: on a hundred utterances the very best cell is often luck, the middle of a plateau is not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from audiornn.audio import Waveform
from audiornn.corpus.manifest import Utterance
from audiornn.errors import CorpusError, SettingsError
from audiornn.evaluate.error_rates import count_edits
from audiornn.evaluate.hearing import Progress, hear_all, unseen
from audiornn.listen.beam_search import beam_search
from audiornn.listen.decoders import Decoding, graph_of
from audiornn.listen.decoding import greedy_ctc
from audiornn.listen.recognizer import Recognizer
from audiornn.listen.search_graph import DecodingSettings
from audiornn.model_file import ModelCard

__all__ = ["Spoken", "Trial", "Tuning", "hear", "tune"]

LM_WEIGHTS = (0.0, 0.2, 0.4, 0.7, 1.0, 1.5)
WORD_BONUSES = (-1.0, 0.0, 1.5, 3.0, 4.5, 6.0)
UNKNOWN_WORDS = (0.0, 3.0, 10.0)
BEAM_SIZES = (25, 50, 100)  # no smaller: dev is small, and another speaker may be in more doubt
SYMBOL_THRESHOLDS = (-5.0, -6.0, -9.0)


@dataclass(frozen=True)
class Spoken:
    """An utterance as the network heard it: log_probs (frames, symbols), and the words that were said."""

    log_probs: NDArray[np.float32]
    words: tuple[str, ...]


@dataclass(frozen=True)
class Trial:
    """Settings and what they cost: word errors of so many reference words, and seconds of searching."""

    settings: DecodingSettings
    errors: int
    reference_length: int
    seconds: float

    @property
    def error_rate(self) -> float:
        """Word errors a reference word."""
        return self.errors / max(1, self.reference_length)


@dataclass(frozen=True)
class Tuning:
    """All trials in their order, of letters and words the greedy one first; and the decoding that was chosen."""

    trials: tuple[Trial, ...]
    chosen: Trial
    decoding: Decoding

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return {"trials": [asdict(trial) for trial in self.trials], "chosen": asdict(self.chosen)}

    def to_text(self) -> str:
        """A table, a row a trial; the chosen one is marked."""
        rows = [
            f"{'decoder':8} {'words':7} {'lm weight':>9} {'word bonus':>10} {'unknown':>8} {'beam':>5} {'symbols':>8} "
            f"{'errors':>14} {'rate':>8} {'seconds':>8}"
        ]
        for trial in self.trials:
            s = trial.settings
            searched = (
                f"{s.decoder:8} {s.words:7} {s.lm_weight:9g} {s.word_bonus:10g} {s.unknown_word:8g} {s.beam_size:5} "
                f"{s.symbol_threshold:8g}"
                if s.decoder == "beam"
                else f"{s.decoder:8}{'':53}"
            )
            rows.append(
                f"{searched} {trial.errors:5,} of {trial.reference_length:<5,} {100 * trial.error_rate:6.2f} % "
                f"{trial.seconds:8.2f}{'  ← chosen' if trial == self.chosen else ''}"
            )
        return "\n".join(rows)


def hear(recognizer: Recognizer, utterances: Sequence[Utterance], progress: Progress = unseen) -> list[Spoken]:
    """The log-probabilities of utterances, once for all trials.

    Raises:
        AudioError: a recording cannot be read.
        CorpusError: there is nothing to listen to.
        ModelFileError: the model does not transcribe.
    """
    card = recognizer.card
    card.check_task("transcribe", "has a decoding to tune")

    def listen(utterance: Utterance, waveform: Waveform) -> Spoken:
        words = card.vocabulary.normalise(utterance.text).split()
        return Spoken(recognizer.log_probs(recognizer.features(waveform)), tuple(words))

    heard, _ = hear_all(utterances, "dev", card.features.sample_rate, listen, progress=progress)
    return [spoken for _, spoken in heard]


def tune(
    card: ModelCard,
    spoken: Sequence[Spoken],
    decoding: Decoding,
    *,
    progress: Progress = unseen,
) -> Tuning:
    """Try settings on dev and choose by the word error rate.

    First the language model's weight and the word bonus, with an open and a closed vocabulary; then, from the best of
    these, the price of an unknown word, the symbol threshold, and the smallest beam that errs no more.

    Args:
        card: of the model.
        spoken: the dev split, from `hear`.
        decoding: the language model to tune with, hot words, and the settings that are not tuned.
        progress: called after each trial; how many there will be, none knows.

    Raises:
        CorpusError: nothing to tune on.
        SettingsError: no language model.
    """
    if not spoken or not sum(len(utterance.words) for utterance in spoken):
        raise CorpusError("there are no words to tune on; the dev split is empty")
    if decoding.language_model is None:
        raise SettingsError("tuning weighs a language model, and there is none; name one with --lm FILE.arpa")
    tried: dict[DecodingSettings, Trial] = {}

    def attempt(settings: DecodingSettings) -> Trial:
        if settings not in tried:
            tried[settings] = _attempt(card, spoken, replace(decoding, settings=settings))
            progress(len(tried), len(tried))
        return tried[settings]

    phones = card.vocabulary.unit == "phone"
    greedy = None if phones else attempt(replace(decoding.settings, decoder="greedy"))
    base = replace(decoding.settings, decoder="beam", beam_size=50)
    kinds: tuple[Literal["open", "closed"], ...] = ("open", "closed")
    if phones:
        kinds = ("closed",)  # only a lexicon tells which words they are
    found = [_best_cell(replace(base, words=kind), attempt) for kind in kinds]
    chosen = attempt(min(found, key=lambda cell: cell[1])[0])
    finer = [("symbol_threshold", SYMBOL_THRESHOLDS), ("beam_size", BEAM_SIZES)]
    if chosen.settings.words == "open":
        finer.insert(0, ("unknown_word", UNKNOWN_WORDS))
    for key, values in finer:
        for value in values:
            trial = attempt(replace(chosen.settings, **{key: value}))  # type: ignore[arg-type]
            # A beam or a threshold that errs no more and looks at less is the better one; a price must earn its place.
            cheaper = key == "beam_size" and value < chosen.settings.beam_size
            cheaper |= key == "symbol_threshold" and value > chosen.settings.symbol_threshold
            if trial.errors < chosen.errors or (cheaper and trial.errors == chosen.errors):
                chosen = trial
    if greedy is not None and greedy.errors <= chosen.errors:
        chosen = greedy  # nothing was won, and it is the fastest
    return Tuning(tuple(tried.values()), chosen, replace(decoding, settings=chosen.settings))


def _best_cell(
    base: DecodingSettings, attempt: Callable[[DecodingSettings], Trial]
) -> tuple[DecodingSettings, tuple[float, ...]]:
    """The settings whose weight of the language model and word bonus do best, and their rank: less is better."""
    grid = [[replace(base, lm_weight=weight, word_bonus=bonus) for bonus in WORD_BONUSES] for weight in LM_WEIGHTS]
    errors = np.array([[attempt(settings).errors for settings in row] for row in grid], np.float64)
    padded = np.pad(errors, 1, mode="reflect")  # beyond an edge as before it, lest an edge seem a plateau
    cells = [
        (s, (errors[i, j], float(padded[i : i + 3, j : j + 3].mean()), s.lm_weight, abs(s.word_bonus)))
        for i, row in enumerate(grid)
        for j, s in enumerate(row)
    ]
    return min(cells, key=lambda cell: cell[1])


def _attempt(card: ModelCard, spoken: Sequence[Spoken], decoding: Decoding) -> Trial:
    begun = time.perf_counter()
    if decoding.settings.decoder == "greedy":
        best = [greedy_ctc(utterance.log_probs) for utterance in spoken]
        read = [card.vocabulary.join(symbol.id for symbol in symbols).split() for symbols in best]
    else:
        graph = graph_of(card.vocabulary, decoding)
        read = [[word.word for word in beam_search(utterance.log_probs, graph).words] for utterance in spoken]
    seconds = time.perf_counter() - begun
    errors = sum(count_edits(said.words, words).errors for said, words in zip(spoken, read, strict=True))
    return Trial(decoding.settings, errors, sum(len(utterance.words) for utterance in spoken), round(seconds, 3))
