"""Log-probabilities of a recording in stretches, in memory that does not grow with its length.

A network carries a state from frame to frame; given the state where a stretch begins, it says of the stretch just what
it would have said in a single pass. Forwards that state is there when it is needed. A bidirectional network's other
half comes from the recording's end, and two things can be done about that:

- The recording is there (`swept`): its states at every border are found first, a layer after the other, by a sweep from
  either end. The result is that of a single pass, to float error, at some times its cost.
- The recording is being made (`LookAheadStream`): the half that reads backwards begins a little after what is said now,
  as if the recording ended there (latency-controlled BLSTM, Zhang et al. 2016); the other one is exact.

A classifier has no state to carry: it is given windows as long as what it learnt from (`WindowStream`).

docs/long_recordings.md has the figures.
"""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from audiornn.errors import ModelFileError
from audiornn.features import VARIANCE_FLOOR, Features
from audiornn.files import writing_temporary_file
from audiornn.model_file import ModelCard

__all__ = [
    "LEAST_STEP",
    "LOOK_AHEAD",
    "CarriedStream",
    "LogProbStream",
    "LookAheadStream",
    "StretchNetwork",
    "WindowStream",
    "check_streams",
    "streams",
    "swept",
]

#: Seconds of a long recording that are computed at once.
STRETCH = 20.0
#: Seconds that a bidirectional network sees beyond what it says of a stream, if nobody wishes otherwise.
LOOK_AHEAD = 3.0
#: Seconds of a stream that it says at once, at least.
LEAST_STEP = 0.1
#: Seconds from one window of a classifier to the next.
HOP = 0.06

LogProbs = NDArray[np.float32]
State = NDArray[np.float32]
#: Layers, hidden (and an LSTM's cell) state, directions, batch of one, units.
Run = Callable[[list[str], dict[str, Any]], list[Any]]

_FORWARDS, _BACKWARDS = 0, 1


class StretchNetwork:
    """A network that is given a recording in stretches; `session` is the model file's."""

    def __init__(self, session: Any, card: ModelCard) -> None:
        self.card = card
        self._run: Run = session.run
        shape = next(value.shape for value in session.get_overridable_initializers() if value.name == "state")
        self.n_layers, _, self.n_directions = shape[:3]
        self.silence: State = np.zeros([1 if isinstance(n, str) else n for n in shape], np.float32)

    def __call__(
        self,
        features: Features,
        state: State,
        *,
        left: int = 0,
        right: int = 0,
        recording: dict[str, Any] | None = None,
    ) -> tuple[LogProbs, State]:
        """What is said of a stretch, and the state where each direction leaves it.

        Args:
            features: (left + frames + right, n_features).
            state: where each direction enters.
            left: frames before the stretch that its convolutions see, whole outputs' worth.
            right: and after it.
            recording: what the whole recording is normalised by, of a network that wants it.
        """
        inputs = {"features": features[None], "lengths": np.array([len(features)], np.int64), "state": state}
        if left or right:
            inputs["left_context"], inputs["right_context"] = np.array([left], np.int64), np.array([right], np.int64)
        if recording is not None:
            inputs |= recording
        log_probs, next_state = self._run(_OUTPUTS, inputs)
        return log_probs[0], next_state


_OUTPUTS = ["log_probs", "next_state"]


class LogProbStream(Protocol):
    """Features in, log-probabilities of their output frames out."""

    def push(self, features: Features) -> LogProbs:
        """Take frames (frames, n_features); returns the output frames now known, (output frames, symbols)."""

    def finish(self) -> LogProbs:
        """Say that no frames follow; returns the rest."""


class _Frames:
    """Feature frames that are still needed; they are named by their number in the recording."""

    def __init__(self, card: ModelCard) -> None:
        self._held = np.empty((0, card.features.n_features), np.float32)
        self._first = 0
        self._left, self._right = card.front_context

    @property
    def end(self) -> int:
        """Frames so far."""
        return self._first + len(self._held)

    def append(self, features: Features) -> None:
        """Take the next frames."""
        self._held = np.concatenate([self._held, features]) if len(self._held) else features

    def stretch(self, begin: int, end: int) -> tuple[Features, int, int]:
        """Frames `begin` to `end` with what a front sees to either side, and how many frames those are."""
        left, right = min(self._left, begin), min(self._right, self.end - end)
        return self._held[begin - left - self._first : end + right - self._first], left, right

    def forget(self, begin: int) -> None:
        """Drop what lies before a frame, and is not seen from there either."""
        first = max(0, begin - self._left)
        self._held = self._held[first - self._first :]
        self._first = first


class CarriedStream:
    """A network of one direction: the state after a stretch is what the next one starts from."""

    def __init__(self, network: StretchNetwork) -> None:
        self._network, self._card = network, network.card
        self._frames = _Frames(network.card)
        self._state = network.silence
        self._done = 0  # frames whose outputs are given
        self._nothing = np.empty((0, len(network.card.vocabulary)), np.float32)

    def push(self, features: Features) -> LogProbs:
        """Take frames (frames, n_features); returns the output frames now known, (output frames, symbols)."""
        stride, n_right = self._card.stride, self._card.front_context[1]
        if stride == 1 and not n_right:  # nothing to wait for
            log_probs, self._state = (
                self._network(features, self._state) if len(features) else (self._nothing, self._state)
            )
            return log_probs
        self._frames.append(features)
        return self._say((self._frames.end - self._done - n_right) // stride * stride)

    def finish(self) -> LogProbs:
        """Say that no frames follow; returns the rest."""
        return self._say(self._frames.end - self._done)

    def _say(self, n_frames: int) -> LogProbs:
        if n_frames <= 0:
            return self._nothing
        features, left, right = self._frames.stretch(self._done, self._done + n_frames)
        log_probs, self._state = self._network(features, self._state, left=left, right=right)
        self._done += n_frames
        self._frames.forget(self._done)
        return log_probs


class LookAheadStream:
    """A bidirectional network that says a step at a time and sees a little more.

    Args:
        network: of two directions.
        look_ahead: seconds that it sees beyond a step, at least; results come that much and a step later.
        step: seconds it says at once. Each costs twice its own length and the look-ahead.
    """

    def __init__(self, network: StretchNetwork, *, look_ahead: float, step: float) -> None:
        card = network.card
        self._network, self._card = network, card
        self._step = max(1, round(step / card.output_seconds)) * card.stride
        n_frames = int(np.ceil(look_ahead / card.features.frame_seconds - 1e-6))
        self._ahead = max(-(-n_frames // card.stride) * card.stride, card.front_context[1])
        self._frames = _Frames(card)
        self._state = network.silence
        self._done = 0

    @property
    def latency(self) -> int:
        """Feature frames from one that comes in to the latest at which its output is given."""
        return self._step + self._ahead

    def push(self, features: Features) -> LogProbs:
        """Take frames (frames, n_features); returns the output frames now known, (output frames, symbols)."""
        self._frames.append(features)
        said = [np.empty((0, len(self._card.vocabulary)), np.float32)]
        while self._frames.end >= self._done + self._step + self._ahead:
            said.append(self._say(self._done + self._step, self._done + self._step + self._ahead))
        return np.concatenate(said)

    def finish(self) -> LogProbs:
        """Say that no frames follow; returns the rest."""
        if self._frames.end <= self._done:
            return np.empty((0, len(self._card.vocabulary)), np.float32)
        return self._say(self._frames.end, self._frames.end)

    def _say(self, end: int, seen: int) -> LogProbs:
        """The step from `done` to `end`, the backward half of the network entering where `seen` ends."""
        features, left, right = self._frames.stretch(self._done, end)
        state = self._state.copy()
        if seen > end:
            # The forward half runs through the step, so that the backward one can come from beyond it to meet it.
            _, ahead = self._network(features, state, left=left, right=right)
            ahead[:, :, _BACKWARDS] = 0
            beyond, left_beyond, _ = self._frames.stretch(end, seen)
            beyond = beyond[: left_beyond + seen - end]
            _, back = self._network(beyond, ahead, left=left_beyond)
            state[:, :, _BACKWARDS] = back[:, :, _BACKWARDS]
        log_probs, state = self._network(features, state, left=left, right=right)
        state[:, :, _BACKWARDS] = 0
        self._state = state
        self._done = end
        self._frames.forget(end)
        return log_probs


class WindowStream:
    """A classifier that hears a recording in windows as long as what it learnt from, each a hop after the last.

    What it says of a window stands for the output frames in the middle of it, a hop's worth. At the recording's
    beginning and end there is less to hear, so windows are shorter there.

    Args:
        classify: log-probabilities (labels,) of features (frames, n_features).
        card: the model's.
    """

    def __init__(self, classify: Callable[[Features], LogProbs], card: ModelCard) -> None:
        self._classify = classify
        self._stride, self._n_labels = card.stride, len(card.vocabulary)
        self._outputs = max(1, round(HOP / card.output_seconds))
        self._hop = self._outputs * card.stride
        # from a hop's first frame back to its window's, and on to the window's end
        self._before = max(0, round(card.window_seconds / card.features.frame_seconds) - self._hop) // 2
        self._after = self._hop + self._before
        self._held = np.empty((0, card.features.n_features), np.float32)
        self._first = 0  # the number of the first frame held
        self._done = 0  # frames whose outputs are given

    @property
    def latency(self) -> int:
        """Feature frames from one that comes in to the latest at which its output is given."""
        return self._after

    def push(self, features: Features) -> LogProbs:
        """Take frames (frames, n_features); returns the output frames now known, (output frames, labels)."""
        self._held = np.concatenate([self._held, features])
        said = [np.empty((0, self._n_labels), np.float32)]
        while self._end >= self._done + self._after:
            said.append(self._say(self._outputs))
        return np.concatenate(said)

    def finish(self) -> LogProbs:
        """Say that no frames follow; returns the rest."""
        said = [np.empty((0, self._n_labels), np.float32)]
        while self._end > self._done:
            said.append(self._say(min(self._outputs, -(-(self._end - self._done) // self._stride))))
        return np.concatenate(said)

    @property
    def _end(self) -> int:
        return self._first + len(self._held)

    def _say(self, n_outputs: int) -> LogProbs:
        begin = max(0, self._done - self._before)
        window = self._held[begin - self._first : self._done + self._after - self._first]
        said = np.repeat(self._classify(window)[None], n_outputs, axis=0)
        self._done += self._hop
        needed = max(self._first, self._done - self._before)
        self._held, self._first = self._held[needed - self._first :], needed
        return said


def swept(
    network: StretchNetwork,
    blocks: Iterable[Features],
    n_threads: int,
    progress: Callable[[float], None] = lambda share: None,
) -> Iterator[LogProbs]:
    """A whole recording through a network as in a single pass, stretch by stretch.

    The first layer's states at the borders of stretches follow from the features alone: one sweep carries them
    forwards, another backwards. With them the next layer's inputs are exact, and so on; when every layer's are known,
    each stretch is said by itself. For L layers that is 2 L + 1 passes, in which stretches rest on disk.

    Args:
        network: of one or two directions.
        blocks: the recording's features, (frames, n_features) each.
        n_threads: that compute side by side.
        progress: called now and then with the share of the work that is done.
    """
    length = max(1, round(STRETCH / network.card.output_seconds)) * network.card.stride
    with _Spool(network.card) as spool, _threads(n_threads) as (pool, stopping):
        for block in blocks:
            spool.append(block)
        recording = spool.recording()
        borders = [*range(0, max(1, spool.n_frames), length), spool.n_frames]
        stretches = [_Stretch(begin, end) for begin, end in itertools.pairwise(borders)]
        states = np.stack([network.silence] * len(stretches))  # where each direction enters each stretch

        n_runs = itertools.count(1)
        n_all = len(stretches) + (len(stretches) - 1) * network.n_layers * network.n_directions

        def run(i: int) -> tuple[LogProbs, State]:
            if stopping.is_set():
                raise CancelledError
            features, left, right = spool.stretch(stretches[i])
            progress(next(n_runs) / n_all)
            return network(features, states[i], left=left, right=right, recording=recording)

        def sweep(layer: int, direction: int) -> None:
            order = range(len(stretches)) if direction == _FORWARDS else range(len(stretches) - 1, -1, -1)
            for i, following in itertools.pairwise(order):
                _, state = run(i)
                states[following, layer, :, direction] = state[layer, :, direction]

        for layer in range(network.n_layers):
            for done in [pool.submit(sweep, layer, direction) for direction in range(network.n_directions)]:
                done.result()
        waiting: deque[Future[tuple[LogProbs, State]]] = deque()
        for i in range(len(stretches)):
            waiting.append(pool.submit(run, i))
            if len(waiting) > 2 * n_threads:
                yield waiting.popleft().result()[0]
        for future in waiting:
            yield future.result()[0]


@contextmanager
def _threads(n_threads: int) -> Iterator[tuple[ThreadPoolExecutor, threading.Event]]:
    """Threads, and what tells them to give up: at the end nobody waits for a result that is not there yet."""
    pool, stopping = ThreadPoolExecutor(n_threads), threading.Event()
    try:
        yield pool, stopping
    finally:
        stopping.set()
        pool.shutdown(cancel_futures=True)


class _Stretch(NamedTuple):
    begin: int
    end: int


class _Spool:
    """A recording's features on disk, and what they are normalised by."""

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self._file: Any = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._width = card.features.n_features
        self._lock = threading.Lock()
        self.n_frames = 0
        self._sum = np.zeros(self._width)
        self._squares = np.zeros(self._width)

    def __enter__(self) -> _Spool:
        return self

    def __exit__(self, *reason: object) -> None:
        self._file.close()

    def append(self, features: Features) -> None:
        """Take the next frames."""
        with writing_temporary_file():
            self._file.write(np.ascontiguousarray(features, np.float32).data)
        self.n_frames += len(features)
        if self._card.features.normalisation == "utterance":
            wide = features.astype(np.float64)
            self._sum += wide.sum(axis=0)
            self._squares += np.square(wide).sum(axis=0)

    def recording(self) -> dict[str, Any] | None:
        """What a network that normalises each recording by itself wants to know of all of it."""
        if self._card.features.normalisation != "utterance":
            return None
        mean = self._sum / self.n_frames
        variance = np.maximum(self._squares / self.n_frames - np.square(mean), 0)
        scale = 1 / np.sqrt(variance + VARIANCE_FLOOR)
        return {"recording_mean": mean.astype(np.float32), "recording_scale": scale.astype(np.float32)}

    def stretch(self, stretch: _Stretch) -> tuple[Features, int, int]:
        """The frames of a stretch with what a front sees to either side, and how many frames those are."""
        before, after = self._card.front_context
        left, right = min(before, stretch.begin), min(after, self.n_frames - stretch.end)
        n_frames = left + stretch.end - stretch.begin + right
        with self._lock:  # a thread seeks, another reads
            self._file.seek((stretch.begin - left) * self._width * 4)
            content = self._file.read(n_frames * self._width * 4)
        return np.frombuffer(content, np.float32).reshape(n_frames, self._width), left, right


def streams(card: ModelCard) -> bool:
    """Whether a model's log-probabilities can be computed while the recording is being made."""
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
            "a classifier gives one label for a whole recording, so there is nothing to stream but keywords (`spot`); "
            "train with task = 'label' or 'transcribe'"
        )
    raise ModelFileError(
        "this model normalises each recording by its own mean, which is known at its end only; "
        "train with features.normalisation = 'global' to stream"
    )
