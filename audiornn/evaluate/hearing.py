"""Listening to a manifest: every recording once, side by side, and those that cannot be read by name."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from audiornn.audio import Waveform, load_audio
from audiornn.cores import n_cores
from audiornn.corpus.manifest import Utterance
from audiornn.corpus.segment_checks import segment_problem
from audiornn.errors import AudioError, CorpusError
from audiornn.model_file import ModelCard
from audiornn.vocabulary import NO_LABEL

__all__ = ["Progress", "check_segments", "hear_all", "unseen"]

T = TypeVar("T")
#: Called with what is done and what is to be done in all.
Progress = Callable[[int, int], None]


def unseen(n_done: int, n_all: int) -> None:
    """Progress that nobody watches."""


def hear_all(
    utterances: Sequence[Utterance],
    split: str,
    sample_rate: int,
    listen: Callable[[Utterance, Waveform], T],
    *,
    skip_bad: bool = False,
    progress: Progress = unseen,
) -> tuple[list[tuple[Utterance, T]], tuple[str, ...]]:
    """What is heard in each utterance that can be read, and why the others cannot.

    Args:
        utterances: of a split.
        split: what to call it.
        sample_rate: Hz.
        listen: takes an utterance and its samples.
        skip_bad: go on after a recording that cannot be read.
        progress: called after each utterance.

    Raises:
        AudioError: a recording cannot be read.
        CorpusError: there is nothing to listen to.
    """
    if not utterances:
        raise CorpusError(f"{split}: holds no utterances to evaluate on")

    done = itertools.count(1)  # each thread takes the next

    def hear(utterance: Utterance) -> T | AudioError:
        try:
            return listen(
                utterance,
                load_audio(utterance.audio, sample_rate, start=utterance.start, duration=utterance.duration),
            )
        except AudioError as error:
            if not skip_bad:
                raise
            return error
        finally:
            progress(next(done), len(utterances))

    with ThreadPoolExecutor(n_cores()) as pool:  # onnxruntime and numpy let go of Python's lock
        results = list(pool.map(hear, utterances))
    heard = [(u, r) for u, r in zip(utterances, results, strict=True) if not isinstance(r, AudioError)]
    if not heard:
        raise CorpusError(f"{split}: none of its {len(utterances)} recordings can be read")
    return heard, tuple(str(result) for result in results if isinstance(result, AudioError))


def check_segments(utterance: Utterance, duration: float, card: ModelCard, *, may_overlap: bool = False) -> None:
    """Raise a CorpusError if an utterance's segments are no reference to compare with.

    Args:
        utterance: with its segments.
        duration: of its sound, in seconds.
        card: the model's.
        may_overlap: whether they may, though the model gives a frame one label.
    """
    exclusive = NO_LABEL in card.vocabulary.symbols and not may_overlap
    problem = segment_problem(utterance.segments, duration, card.features.frame_seconds, exclusive=exclusive)
    if problem:
        raise CorpusError(f"{utterance.id}: {problem}")
