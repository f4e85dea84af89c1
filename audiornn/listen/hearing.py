"""What a network says of features: all at once, in stretches, or as a stream.

A short recording goes through in one pass; a long one in stretches whose seams do not show, in memory that does not
grow; a stream says what it knows of what has come.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiornn.errors import ModelFileError, SettingsError
from audiornn.features import Features
from audiornn.listen.feature_blocks import FeatureBlocks, through
from audiornn.listen.streaming import (
    LEAST_STEP,
    LOOK_AHEAD,
    CarriedStream,
    LookAheadStream,
    StretchNetwork,
    WindowStream,
    check_streams,
    streams,
    swept,
)
from audiornn.model_file import ModelCard

__all__ = ["LONGEST_PASS", "Hearing", "untold"]

#: Seconds up to which a recording goes through a bidirectional network in one pass.
LONGEST_PASS = 60.0


def untold(seconds: float) -> None:
    """Progress that nobody follows."""


class Hearing:
    """A network of a model file, and the ways that features go through it.

    Args:
        session: onnxruntime's, of the model file.
        card: what the file says of itself.
        threads: that may share one long recording.
    """

    def __init__(self, session: Any, card: ModelCard, threads: int) -> None:
        self.card = card
        self._session = session
        self._threads = threads

    def log_probs(self, features: Features) -> NDArray[np.float32]:
        """The network's log-probabilities in one pass: (output frames, symbols), or (labels,) of a classifier.

        Raises:
            ModelFileError: features of another shape than the model's.
        """
        expected = self.card.features.n_features
        if features.ndim != 2 or features.shape[1] != expected or not len(features):
            raise ModelFileError(f"features have shape {features.shape}, the model wants (frames, {expected})")
        inputs = {
            "features": np.ascontiguousarray(features[None], np.float32),
            "lengths": np.array([len(features)], np.int64),
        }
        log_probs: NDArray[np.float32] = self._session.run(["log_probs"], inputs)[0][0]
        return log_probs

    @cached_property
    def network(self) -> StretchNetwork:
        """The network, stretch by stretch."""
        return StretchNetwork(self._session, self.card)

    def stream(self, look_ahead: float | None, step: float | None = None) -> CarriedStream | LookAheadStream:
        """A stream of features.

        Args:
            look_ahead: seconds that a network of both directions sees beyond what it says; None takes three.
            step: seconds that it says at once; None takes a fifth of the look-ahead, at least 0.1.

        Raises:
            ModelFileError: the model cannot stream.
            SettingsError: one of the two is no such number.
        """
        check_streams(self.card)
        if look_ahead is not None and not 0 <= look_ahead < float("inf"):
            raise SettingsError(f"a look-ahead of {look_ahead} s is none; it is a number of seconds, at least 0")
        if step is not None and not 0 < step < float("inf"):
            raise SettingsError(f"a step of {step} s is none; it is a number of seconds above 0")
        if self.network.n_directions == 1:
            return CarriedStream(self.network)
        look_ahead = LOOK_AHEAD if look_ahead is None else look_ahead
        step = max(LEAST_STEP, look_ahead / 5) if step is None else step
        return LookAheadStream(self.network, look_ahead=look_ahead, step=step)

    def spotting_stream(
        self, look_ahead: float | None, step: float | None = None
    ) -> CarriedStream | LookAheadStream | WindowStream:
        """The same for spotting, where a classifier hears windows.

        Raises:
            ModelFileError: the model cannot stream.
            SettingsError: as of `stream`; or a classifier, which takes neither.
        """
        if self.card.task != "classify":
            return self.stream(look_ahead, step)
        if look_ahead is not None or step is not None:
            raise SettingsError(
                f"a classifier spots in windows of {self.card.window_seconds:.3g} s, half of which lies ahead: "
                "look-ahead is for networks that label frames"
            )
        return WindowStream(self.log_probs, self.card)

    def blocks(
        self,
        features: FeatureBlocks,
        look_ahead: float | None,
        progress: Callable[[float], None] = untold,
    ) -> Iterator[NDArray[np.float32]]:
        """Log-probabilities of all frames in order: of a short recording at once, of a long one in stretches."""
        if look_ahead is not None:
            yield from through(self.stream(look_ahead), features, features, progress)
            return
        beginning = features.first(LONGEST_PASS)
        if features.ended or self.card.task == "classify":
            yield self.log_probs(np.concatenate([beginning, *features]))
            return
        blocks = itertools.chain([beginning], features)
        if self.network.n_directions == 1 and streams(self.card):
            yield from through(CarriedStream(self.network), blocks, features, progress)
            return
        yield from swept(self.network, blocks, self._threads, lambda share: progress(share * features.duration))

    def spotting_blocks(
        self,
        features: FeatureBlocks,
        look_ahead: float | None,
        progress: Callable[[float], None] = untold,
    ) -> Iterator[NDArray[np.float32]]:
        """The same for spotting, where a classifier, too, says something of every frame."""
        if self.card.task != "classify":
            return self.blocks(features, look_ahead, progress)
        return through(self.spotting_stream(look_ahead), features, features, progress)

    def delay(self, look_ahead: float | None) -> float:
        """Seconds from a sound to the network's output for it, at most: of a stream that sees so far ahead.

        An output frame waits for the feature frames that its convolutions see beyond it, the last of them for the
        second half of its window. A network that hears whole recordings only, or is given no look-ahead, has no delay.
        """
        features = self.card.features
        hears_whole = not streams(self.card) or self.network.n_directions > 1
        if self.card.task != "classify" and look_ahead is None and hears_whole:
            return 0.0
        stream = self.spotting_stream(look_ahead)
        if isinstance(stream, CarriedStream):
            n_beyond = self.card.front_context[1] - 1
            return n_beyond * features.frame_seconds + features.n_fft / 2 / features.sample_rate
        return stream.latency * features.frame_seconds
