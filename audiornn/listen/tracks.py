"""Values over time: a network's outputs as points of tracks, and points as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from audiornn.listen.results import TrackPoint
from audiornn.model_file import ModelCard

__all__ = ["TrackReader", "track_lines"]


class TrackReader:
    """The outputs of a network that regresses, block by block, as points in time."""

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self._n_frames = 0

    def push(self, values: NDArray[np.float32]) -> list[TrackPoint]:
        """Take frames (output frames, tracks), any number; returns their points."""
        begin, stride = self._n_frames, self._card.stride
        self._n_frames += len(values)
        times = (self._card.features.frames_to_seconds(t * stride) for t in range(begin, self._n_frames))
        return [
            TrackPoint(round(time, 6), tuple(float(f"{value:.6g}") for value in row))
            for time, row in zip(times, values.tolist(), strict=True)
        ]

    def finish(self, duration: float) -> list[TrackPoint]:
        """Say that no frames follow; nothing was held back."""
        return []


def track_lines(names: Sequence[str], points: Iterable[TrackPoint]) -> Iterator[str]:
    """Points as lines of CSV, each as it comes; the table is one that `corpus.tracks` reads."""
    quoted = ('"' + name.replace('"', '""') + '"' if set(name) & set(',"\n') else name for name in names)
    yield ",".join(["time", *quoted]) + "\n"
    for point in points:
        yield ",".join([f"{point.time:.6g}", *(f"{value:.6g}" for value in point.values)]) + "\n"
