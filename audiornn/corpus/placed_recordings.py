"""Long recordings to test a spotter on: words placed at known times in background, at a known level.

What is said where is known to the sample, so that hits can be matched, and the background is as long as is wanted. A
function of its arguments alone: the same words, background and seed give the same samples.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile

from audiornn.audio import Waveform, load_audio
from audiornn.corpus.manifest import Segment, Utterance
from audiornn.errors import CorpusError
from audiornn.files import write_atomically

__all__ = ["place_words"]

_RECORDING_MINUTES = 5.0
_GAPS = (0.5, 1.5)  # of the mean gap
_FADE_SECONDS = 0.01


def place_words(
    words: Sequence[Utterance],
    background: Sequence[Utterance],
    folder: Path,
    *,
    minutes: float,
    snr: float = 10.0,
    seed: int = 1,
    sample_rate: int = 16_000,
) -> list[Utterance]:
    """Write recordings with each word once, spread over all of them.

    Args:
        words: one a recording, each with the segment in which it is said (`with_word_bounds`); those without one are
            placed, too, and are nobody's reference.
        background: what it is placed in, one after the other in an order drawn, again and again.
        folder: where they are written, as FLAC; those that are there stay.
        minutes: in all.
        snr: dB from the background up to each word, as mean power while it lasts.
        seed: of the order, the times and the background.
        sample_rate: Hz.

    Returns:
        The recordings, their segments the words with a label.

    Raises:
        CorpusError: nothing to place, or more words than the minutes have room for.
        AudioError: a recording cannot be read.
    """
    if not words or not background:
        raise CorpusError("there are no words to place" if not words else "there is no background to place words in")
    n_recordings = max(1, round(minutes / _RECORDING_MINUTES))
    n_samples = round(60 * minutes * sample_rate) // n_recordings
    draw = np.random.default_rng([seed, 5])
    order = draw.permutation(len(words))
    behind = _endless(background, sample_rate, draw)
    made = []
    for number in range(n_recordings):
        own = [words[i] for i in order[number::n_recordings]]
        canvas = _take(behind, n_samples)
        segments = _place(canvas, own, snr, sample_rate, draw)
        content_hash = hashlib.sha256(canvas.tobytes() + str(sample_rate).encode()).hexdigest()
        name = f"placed_{number + 1:02d}_{content_hash[:8]}"
        path = folder / f"{name}.flac"
        if not path.exists():
            content = io.BytesIO()
            peak = float(np.abs(canvas).max(initial=0.0))
            soundfile.write(content, canvas / max(1.0, peak / 0.99), sample_rate, format="FLAC", subtype="PCM_16")
            with write_atomically(path) as out:
                out.write(content.getbuffer())
        made.append(Utterance(f"{folder.name}/{name}", path, segments=tuple(segments)))
    return made


def _place(
    canvas: Waveform, words: Sequence[Utterance], snr: float, rate: int, draw: np.random.Generator
) -> list[Segment]:
    """Add words to a background, in place; where each of those with a label is."""
    spoken = [load_audio(u.audio, rate, start=u.start, duration=u.duration) for u in words]
    free = len(canvas) - sum(map(len, spoken))
    if free < 0.1 * len(canvas):
        raise CorpusError(
            f"{len(words)} words fill {sum(map(len, spoken)) / rate:.0f} of {len(canvas) / rate:.0f} seconds and need "
            "room: more minutes, or fewer words"
        )
    gaps = draw.uniform(*_GAPS, len(words) + 1)
    starts = np.floor(np.cumsum(gaps / gaps.sum() * free)).astype(np.int64)
    segments, before = [], 0
    for utterance, samples, gap in zip(words, spoken, starts[:-1].tolist(), strict=True):
        begin = before + gap
        segment = utterance.segments[0] if utterance.segments else Segment(0.0, len(samples) / rate, "")
        first, last = round(segment.start * rate), max(round(segment.start * rate) + 1, round(segment.end * rate))
        power = float(np.mean(np.square(samples[first:last], dtype=np.float64)))
        behind = float(np.mean(np.square(canvas[begin + first : begin + last], dtype=np.float64)))
        if power > 0 and behind > 0:
            samples = samples * np.float32(np.sqrt(behind / power * 10 ** (snr / 10)))
        canvas[begin : begin + len(samples)] += _faded(samples, rate)
        if segment.label:
            begins = begin / rate
            segments.append(Segment(round(begins + segment.start, 4), round(begins + segment.end, 4), segment.label))
        before += len(samples)
    return segments


def _faded(samples: Waveform, rate: int) -> Waveform:
    n = min(round(_FADE_SECONDS * rate), len(samples) // 2)
    faded = samples.copy()
    ramp = np.linspace(0, 1, n, dtype=np.float32)
    faded[:n] *= ramp
    faded[len(faded) - n :] *= ramp[::-1]
    return faded


def _endless(background: Sequence[Utterance], rate: int, draw: np.random.Generator) -> Iterator[Waveform]:
    """The background's recordings, brought to one level, each time in another order."""
    while True:
        for i in draw.permutation(len(background)):
            u = background[int(i)]
            samples = load_audio(u.audio, rate, start=u.start, duration=u.duration)
            level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
            yield samples * np.float32(0.02 / max(level, 1e-6))


def _take(pieces: Iterator[Waveform], n_samples: int) -> Waveform:
    taken: list[Waveform] = []
    n = 0
    while n < n_samples:
        taken.append(next(pieces))
        n += len(taken[-1])
    return np.concatenate(taken)[:n_samples]
