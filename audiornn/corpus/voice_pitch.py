"""Whether values over time are a pitch, and one of voices: by their name, and by what they reach.

A network finds a pitch in other features than what it is named for elsewhere: a log-mel spectrogram hardly shows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiornn.corpus.manifest import Utterance
from audiornn.corpus.tracks import read_tracks
from audiornn.errors import CorpusError

__all__ = ["VoicePitch", "pitch_band", "voice_pitch"]

_NAME = re.compile(r"(?<![a-z])(f0|pitch|fundamental)(?![a-z])")
_NO_HERTZ = re.compile(r"midi|semi|cent|(?<![a-z])st(?![a-z])")
_LOGARITHM = re.compile(r"log_?2")
_LEAST, _MOST = 40.0, 1000.0  # Hz: below a creak, above what is sung high
_LOOKED_AT = 200  # files
_ODD = 1.0  # percent of the values at either end that a tracker may have got wrong
_ROOM = 1.1  # beyond the lowest and the highest of the others


@dataclass(frozen=True)
class VoicePitch:
    """A track that is the pitch of voices.

    Attributes:
        name: of the track.
        lowest: Hz, a little below nearly all of it.
        highest: Hz, a little above.
        no_voice: the share of the rows that say "no voice" with a 0 or a number below it, which is none of these.
    """

    name: str
    lowest: float
    highest: float
    no_voice: float = 0.0


def voice_pitch(utterances: Sequence[Utterance], names: Sequence[str]) -> VoicePitch | None:
    """The first track that is called a pitch, and whose values voices have.

    Args:
        utterances: with their track files.
        names: of the tracks, in their order.

    Returns:
        None if there is none. A value of 0 is taken for "no voice", as pitch trackers write it.

    Raises:
        CorpusError: none of the files looked at can be read.
    """
    for name, hertz, no_voice in _pitches(utterances, names):
        lowest, highest = np.percentile(hertz, [_ODD, 100 - _ODD])
        if lowest >= _LEAST and highest <= _MOST:
            return VoicePitch(name, float(round(lowest / _ROOM)), float(round(highest * _ROOM)), no_voice)
    return None


def pitch_band(utterances: Sequence[Utterance], names: Sequence[str]) -> tuple[float, float] | None:
    """The Hz from and to which tracks that are called a pitch reach, as a whistle's; arguments as of `voice_pitch`."""
    bands = [(hertz.min(), hertz.max()) for _, hertz, _ in _pitches(utterances, names)]
    return (float(min(low for low, _ in bands)), float(max(high for _, high in bands))) if bands else None


def _pitches(utterances: Sequence[Utterance], names: Sequence[str]) -> Iterator[tuple[str, NDArray[np.float64], float]]:
    """Of each track that is called a pitch its name, its values in Hz, and the share of those that are 0 or below."""
    for column, name in enumerate(names):
        if not _NAME.search(name.lower()) or _NO_HERTZ.search(name.lower()):
            continue
        values = _values(utterances, column)
        voiced = values[values > 0]
        if len(voiced):
            hertz = np.exp2(np.minimum(voiced, 30.0)) if _LOGARITHM.search(name.lower()) else voiced
            yield name, hertz, 1 - len(voiced) / len(values)


def _values(utterances: Sequence[Utterance], column: int) -> NDArray[np.float64]:
    """A track's defined values in the files that are looked at."""
    step = -(-len(utterances) // _LOOKED_AT)
    found, unreadable = [], None
    for utterance in utterances[::step]:
        if utterance.track is None:
            continue
        try:
            values = read_tracks(utterance.track).values
        except CorpusError as error:  # prep names each
            unreadable = error
            continue
        if column < values.shape[1]:
            found.append(values[:, column])
    if not found and unreadable is not None:
        raise unreadable
    values = np.concatenate(found) if found else np.empty(0)
    return values[np.isfinite(values)]
