"""Log-probabilities of a recording that comes in pieces, in memory that does not grow with its length.

A network of one direction carries its state from stretch to stretch: the frames are those of a single pass. A
bidirectional one has no state to carry, since its second half begins at the end; it reads overlapping windows, and what
it says near a window's edge, where it could not see far enough, is left out (latency-controlled BLSTM, Zhang et al.
2016). docs/long_recordings.md has the table of how much it must see.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from audiornn.errors import ModelFileError
from audiornn.features import Features
from audiornn.model_file import ModelCard

__all__ = [
    "CONTEXT",
    "LEAST_STEP",
    "WINDOW",
    "CarriedStream",
    "Frames",
    "LogProbStream",
    "WindowedStream",
    "Windows",
    "check_streams",
    "log_prob_blocks",
    "streams",
]

#: Seconds that a bidirectional network sees to either side of what it says of a long recording.
CONTEXT = 5.0
#: Seconds of a long recording that it says at once, between its contexts.
WINDOW = 20.0
#: Seconds that a stream of it says at once, at least.
LEAST_STEP = 0.1

LogProbs = NDArray[np.float32]
Run = Callable[[list[str], dict[str, Any]], list[Any]]


class LogProbStream(Protocol):
    """Features in, log-probabilities of their output frames out."""

    def push(self, features: Features) -> LogProbs:
        """Take frames (frames, n_features); returns the output frames now known, (output frames, symbols)."""

    def finish(self) -> LogProbs:
        """Say that no frames follow; returns the rest."""


class Frames:
    """Feature frames that are still needed, and how many there were before them."""

    def __init__(self, n_features: int) -> None:
        self._held = np.empty((0, n_features), np.float32)
        self.first = 0

    @property
    def end(self) -> int:
        """Frames so far."""
        return self.first + len(self._held)

    def append(self, features: Features) -> None:
        """Take the next frames."""
        self._held = np.concatenate([self._held, features]) if len(self._held) else np.asarray(features, np.float32)

    def take(self, begin: int, end: int) -> Features:
        """Frames `begin` to `end` of the recording."""
        return self._held[begin - self.first : end - self.first]

    def forget(self, begin: int) -> None:
        """Drop what lies before a frame."""
        self._held = self._held[begin - self.first :].copy()
        self.first = begin


class CarriedStream:
    """A network of one direction: its state after one stretch is what the next one starts from."""

    def __init__(self, run: Run, card: ModelCard) -> None:
        self._run, self._card = run, card
        self._frames = Frames(card.features.n_features)
        self._done = 0  # frames whose outputs are given
        self._state: NDArray[np.float32] | None = None

    def push(self, features: Features) -> LogProbs:
        """Take frames (frames, n_features); returns the output frames now known, (output frames, symbols)."""
        self._frames.append(features)
        stride, n_right = self._card.stride, self._card.front_context[1]
        n_new = (self._frames.end - self._done - n_right) // stride * stride
        return self._outputs(n_new, n_right)

    def finish(self) -> LogProbs:
        """Say that no frames follow; returns the rest."""
        return self._outputs(self._frames.end - self._done, 0)

    def _outputs(self, n_new: int, n_right: int) -> LogProbs:
        if n_new <= 0:
            return np.empty((0, len(self._card.vocabulary)), np.float32)
        begin, end = self._frames.first, self._done + n_new
        inputs = {
            "features": self._frames.take(begin, end + n_right)[None],
            "lengths": np.array([end + n_right - begin], np.int64),
            "left_context": np.array([self._done - begin], np.int64),
            "right_context": np.array([n_right], np.int64),
        }
        if self._state is not None:
            inputs["state"] = self._state
        log_probs, self._state = self._run(["log_probs", "next_state"], inputs)
        self._done = end
        self._frames.forget(max(0, end - self._card.front_context[0]))
        outputs: LogProbs = log_probs[0]
        return outputs


@dataclass(frozen=True)
class Window:
    """Frames to run at once, and which of their outputs, from `keep.start` to `keep.stop`, are to be kept."""

    features: Features
    keep: slice


class Windows:
    """Cuts a recording into windows with context to either side; every length is in feature frames.

    Args:
        card: of the model.
        step: seconds that a window says, at least one output frame.
        before: seconds that it sees before them.
        after: and after them.
    """

    def __init__(self, card: ModelCard, *, step: float, before: float, after: float) -> None:
        self._stride = card.stride
        per_output = card.output_seconds
        self._step = max(1, round(step / per_output)) * self._stride
        self._before = int(np.ceil(before / per_output)) * self._stride
        self._after = max(int(np.ceil(after / card.features.frame_seconds)), card.front_context[1])
        self._frames = Frames(card.features.n_features)
        self._done = 0

    @property
    def latency(self) -> int:
        """Feature frames from one that comes in to the latest at which its output is given."""
        return self._step + self._after

    def push(self, features: Features) -> Iterator[Window]:
        """Take frames; gives the windows that are now complete."""
        self._frames.append(features)
        while self._frames.end >= self._done + self._step + self._after:
            yield self._window(self._done + self._step, self._done + self._step + self._after)

    def finish(self) -> Iterator[Window]:
        """Say that no frames follow; gives the last window, if any frame is left."""
        if self._frames.end > self._done:
            yield self._window(self._frames.end, self._frames.end)

    def _window(self, done: int, end: int) -> Window:
        begin = max(0, self._done - self._before)
        first, last = ((frame - begin + self._stride - 1) // self._stride for frame in (self._done, done))
        window = Window(self._frames.take(begin, end).copy(), slice(first, last))
        self._done = done
        self._frames.forget(max(0, done - self._before))
        return window


class WindowedStream:
    """A bidirectional network, as its frames come."""

    def __init__(self, log_probs: Callable[[Features], LogProbs], windows: Windows, n_symbols: int) -> None:
        self._log_probs, self._windows = log_probs, windows
        self._nothing = np.empty((0, n_symbols), np.float32)

    def push(self, features: Features) -> LogProbs:
        """Take frames (frames, n_features); returns the output frames now known, (output frames, symbols)."""
        return self._outputs(self._windows.push(features))

    def finish(self) -> LogProbs:
        """Say that no frames follow; returns the rest."""
        return self._outputs(self._windows.finish())

    def _outputs(self, windows: Iterable[Window]) -> LogProbs:
        return np.concatenate([self._nothing, *(self._log_probs(w.features)[w.keep] for w in windows)])


def log_prob_blocks(
    log_probs: Callable[[Features], LogProbs], windows: Windows, blocks: Iterable[Features], n_threads: int
) -> Iterator[LogProbs]:
    """The same for a recording whose end is there already: windows are computed side by side, given in their order."""

    def all_windows() -> Iterator[Window]:
        for block in blocks:
            yield from windows.push(block)
        yield from windows.finish()

    if n_threads == 1:
        for window in all_windows():
            yield log_probs(window.features)[window.keep]
        return
    with ThreadPoolExecutor(n_threads) as pool:
        running: deque[tuple[Future[LogProbs], slice]] = deque()
        for window in all_windows():
            running.append((pool.submit(log_probs, window.features), window.keep))
            if len(running) > 2 * n_threads:  # no more lie in memory than keep every thread at work
                done, keep = running.popleft()
                yield done.result()[keep]
        for done, keep in running:
            yield done.result()[keep]


def streams(card: ModelCard) -> bool:
    """Whether a model's log-probabilities can be computed piece by piece."""
    return card.task != "classify" and card.features.normalisation != "utterance"


def check_streams(card: ModelCard) -> None:
    """Raise if they cannot.

    Raises:
        ModelFileError: why.
    """
    if streams(card):
        return
    if card.task == "classify":
        raise ModelFileError(
            "a classifier gives one label for a whole recording, so there is nothing to stream; "
            "train with task = 'label' or 'transcribe'"
        )
    raise ModelFileError(
        "this model normalises each recording by its own mean, which is known at its end only; "
        "train with features.normalisation = 'global' to stream"
    )
