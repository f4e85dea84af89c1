"""Where in its recording a word is said: the loudest sound, with what belongs to it, and no silence around it.

Of a keyword of several words all are looked for, with the pauses that people make between them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiornn.audio import load_audio
from audiornn.corpus.manifest import Segment, Utterance
from audiornn.errors import AudioError, CorpusError, CorpusWarning
from audiornn.features import FeatureExtractor, Features, FeatureSettings

__all__ = ["with_word_bounds", "word_bounds"]

_SMOOTHING = 3  # frames
_BELOW_PEAK = 25.0  # dB; a word's quietest sound
_ABOVE_NOISE = 6.0  # dB
_RANGE = 70.0  # dB; what is further below the loudest frame is digital silence
_LEAST_RANGE = 8.0  # dB from the noise up to the loudest frames; with less, nothing stands out
_PAUSE = 0.25  # seconds; a stop's closure and a gap between two words are shorter
_BETWEEN_WORDS = 0.7  # seconds; a pause of somebody who says a keyword of several words is shorter
_A_WORD = 0.4  # seconds; with less for each word some of a keyword's words are still to be found
_HEARD = 20.0  # dB below the loudest part; a softer one is none of a keyword's words
_SHORTEST = 0.1  # seconds; a click is no word
_CLICK = 0.03  # seconds that one lasts at most, of which a frame is most, until it has fallen …
_CLICK_FALLS = 15.0  # … by so many dB
_CLICK_AS_LOUD = 15.0  # dB below the word's loudest frames; a softer one may be the burst of a stop
_CLICK_UNEVEN = 7.0  # dB, standard deviation over its bands: a click is heard in all of them, and a burst in some
_CLICK_ENDS = 0.04, 0.08  # seconds after its loudest frame between which it is over, and the breath of a burst is not
_CLICK_APART = 0.03  # seconds from other sound; what is nearer is a part of it, and moves no bound by much
_EDGE = 0.02  # seconds that a word begins before it is heard to
_AS_LOUD, _AS_LONG = 12.0, 0.5  # dB below the word's louder frames, and share of its length: may be the word again
_LISTED = 5


def word_bounds(log_mel: Features, frame_seconds: float, n_words: int = 1) -> tuple[float, float] | None:
    """Begin and end of what is said in a recording, in seconds; all of it where noise hides them; None in silence.

    Args:
        log_mel: (frames, n_mels) in decibels.
        frame_seconds: from a frame to the next.
        n_words: of what is said: no more parts than that, of those near the loudest, belong together.
    """
    power, level = _levels(log_mel)
    noise = float(np.percentile(np.maximum(level, level.max() - _RANGE), 10))
    loudest = float(np.sort(level)[-min(len(level), 8)])
    if level.max() <= -95:
        return None
    whole = (0.0, len(level) * frame_seconds)
    if loudest - noise < _LEAST_RANGE:
        return whole
    loud = np.flatnonzero(level > max(loudest - _BELOW_PEAK, noise + min(_ABOVE_NOISE, (loudest - noise) / 2)))
    loud = _without_clicks(loud, log_mel, loudest, noise, frame_seconds)
    if not len(loud):
        return whole
    parts = np.split(loud, np.flatnonzero(np.diff(loud) > round(_PAUSE / frame_seconds)) + 1)
    parts = [part for part in parts if part[-1] - part[0] + 1 >= round(_SHORTEST / frame_seconds)]
    if not parts:
        return whole
    loudness = [float(power[part].sum()) for part in parts]
    first = last = int(np.argmax(loudness))
    enough = n_words * _A_WORD / frame_seconds
    # The louder neighbour, while words are missing and there is one near enough.
    while last - first + 1 < n_words and parts[last][-1] - parts[first][0] < enough:
        beside = [
            i
            for i, inner in ((first - 1, first), (last + 1, last))
            if 0 <= i < len(parts)
            and loudness[i] > max(loudness) * 10 ** (-_HEARD / 10)
            and _gap(parts[i], parts[inner]) <= _BETWEEN_WORDS / frame_seconds
        ]
        if not beside:
            break
        nearest = max(beside, key=loudness.__getitem__)
        first, last = min(first, nearest), max(last, nearest)
    start = max(0.0, float(parts[first][0]) * frame_seconds - _EDGE)
    return round(start, 3), round(min(whole[1], float(parts[last][-1] + 1) * frame_seconds + _EDGE), 3)


def _without_clicks(
    loud: NDArray[np.int64], log_mel: Features, loudest: float, noise: float, frame_seconds: float
) -> NDArray[np.int64]:
    """The loud frames but for those of clicks beside the word, which would be joined to it.

    The burst of a stop, p, t or k, stands alone after its closure, too. But its breath goes on for longer than a click,
    it is far softer than its vowel, or it has a pitch of its own, where a click is alike at all frequencies. What does
    not stand out of the noise enough to be heard to fall counts as a burst, and a burst without breath, as loud as a
    click and as even, as a click.

    Args:
        loud: numbers of the frames.
        log_mel: (frames, n_mels) in decibels.
        loudest: level of the word's loudest frames, in decibels.
        noise: level of the noise, likewise.
        frame_seconds: from a frame to the next.
    """
    _, level = _levels(log_mel, smoothed=False)
    # Of a recording at a lower rate the upper bands are empty, and say nothing of how even a sound is.
    heard = log_mel[:, log_mel.max(axis=0) > log_mel.max() - _RANGE]
    near, far = (round(seconds / frame_seconds) for seconds in _CLICK_ENDS)

    def are_clicks(sounds: Sequence[NDArray[np.int64]]) -> bool:
        peaks = [int(sound[level[sound].argmax()]) for sound in sounds]
        before = level[max(0, peaks[0] - far) : max(0, peaks[0] - near)]
        after = level[peaks[-1] + near + 1 : peaks[-1] + far + 1]
        quiet = max(noise, float(np.median(before))) if len(before) else noise
        is_over = not len(after) or float(np.median(after)) < quiet + _ABOVE_NOISE
        return is_over and all(
            level[peak] > max(loudest - _CLICK_AS_LOUD, noise + _CLICK_FALLS)
            and np.count_nonzero(level[sound] > level[peak] - _CLICK_FALLS) <= round(_CLICK / frame_seconds)
            and heard[peak].std() < _CLICK_UNEVEN
            for peak, sound in zip(peaks, sounds, strict=True)
        )

    # One click may follow another; what is near a sound of another kind is a part of that.
    groups = np.split(loud, np.flatnonzero(np.diff(loud) > round(_CLICK_APART / frame_seconds)) + 1)
    kept = [own for own in groups if not are_clicks(np.split(own, np.flatnonzero(np.diff(own) > 1) + 1))]
    return np.concatenate([*kept, loud[:0]])


def _levels(log_mel: Features, *, smoothed: bool = True) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Power of each frame, smoothed or as it is, and the same in decibels."""
    power = np.power(10.0, log_mel.astype(np.float64) / 10).mean(axis=1)
    if smoothed:
        power = np.convolve(np.pad(power, _SMOOTHING // 2, mode="edge"), np.full(_SMOOTHING, 1 / _SMOOTHING), "valid")
    return power, 10 * np.log10(np.maximum(power, 1e-10))


def _said_again(log_mel: Features, found: tuple[float, float], frame_seconds: float) -> bool:
    """Whether a sound beside the one that was found is about as loud and as long, so that it may be the word, too.

    Args:
        log_mel: (frames, n_mels) in decibels.
        found: begin and end of the word, in seconds.
        frame_seconds: from a frame to the next.
    """
    _, level = _levels(log_mel)
    first, last = (round(seconds / frame_seconds) for seconds in found)
    if first >= min(last, len(level)):
        return False
    loud = level > float(np.percentile(level[first:last], 75)) - _AS_LOUD
    loud[max(0, first - round(_PAUSE / frame_seconds)) : last + round(_PAUSE / frame_seconds)] = False
    places = np.flatnonzero(loud)
    parts = np.split(places, np.flatnonzero(np.diff(places) > round(_PAUSE / frame_seconds)) + 1)
    return any(len(part) and part[-1] - part[0] + 1 >= _AS_LONG * (last - first) for part in parts)


def _gap(one: NDArray[np.int64], other: NDArray[np.int64]) -> int:
    """Frames from the end of the earlier of two parts to the begin of the later."""
    return int(max(one[0], other[0]) - min(one[-1], other[-1]))


def with_word_bounds(
    utterances: Sequence[Utterance],
    *,
    jobs: int = 1,
    skip_bad: bool = False,
    n_words: Mapping[str, int] | None = None,
) -> list[Utterance]:
    """Recordings of one word each, their `text`, with the segment in which it is said; the text is dropped.

    Args:
        utterances: of keywords. One that cannot be read stays as it is, so that `prep` says why.
        jobs: recordings read at a time.
        skip_bad: leave out recordings that hold nothing but silence.
        n_words: how many words a text is said in; one, where it is not known.

    Warns:
        CorpusWarning: recordings in which the word may be said more than once; only the loudest counts.

    Raises:
        CorpusError: recordings of silence.
    """
    settings = FeatureSettings(kind="log_mel")
    extractor = FeatureExtractor(settings)
    known = n_words or {}

    again: list[Path] = []

    def bounds(utterance: Utterance) -> tuple[float, float] | AudioError | None:
        try:
            waveform = load_audio(
                utterance.audio, settings.sample_rate, start=utterance.start, duration=utterance.duration
            )
            log_mel = extractor.log_mel(waveform)
        except AudioError as error:
            return error
        found = word_bounds(log_mel, settings.frame_seconds, known.get(utterance.text, 1))
        if found and _said_again(log_mel, found, settings.frame_seconds):
            again.append(utterance.audio)
        return found and (found[0], min(found[1], len(waveform) / settings.sample_rate))

    with ThreadPoolExecutor(max(1, jobs)) as pool:
        found = list(pool.map(bounds, utterances))
    silent = [u for u, place in zip(utterances, found, strict=True) if place is None]
    if silent and not skip_bad:
        raise CorpusError(
            f"{len(silent)} recordings of the word hold nothing but silence: "
            f"{', '.join(str(u.audio) for u in silent[:_LISTED])}{' …' if len(silent) > _LISTED else ''}; delete them, "
            "or leave them out with --set corpus.skip_bad=true"
        )
    if again:
        warnings.warn(
            f"{len(again)} recordings of the word may say it more than once, and only the loudest counts: "
            f"{', '.join(map(str, sorted(again)[:_LISTED]))}{' …' if len(again) > _LISTED else ''}; cut them apart, "
            "or what is left of them passes for something else",
            CorpusWarning,
            stacklevel=2,
        )
    placed = []
    for utterance, place in zip(utterances, found, strict=True):
        if isinstance(place, AudioError):
            placed.append(replace(utterance, segments=(Segment(0.0, 0.01, utterance.text),), text=""))
        elif place is not None:
            placed.append(replace(utterance, segments=(Segment(*place, utterance.text),), text=""))
    return placed
