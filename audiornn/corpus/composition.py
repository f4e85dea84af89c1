"""Strings of words pasted from recordings of single ones: connected speech where only isolated words were recorded.

`plan_strings` draws who says what and how, `compose` makes one string's samples, `compose_files` writes many. A string
never mixes speakers. Between two words stands what the speaker's own recordings hold around them, cross-faded, and
noise lies under the whole string, so that neither silence nor a step of the noise floor gives a joint away. Pauses may
hold what is no word: a breath, a smack of the lips, a murmur, a word that is broken off.

All are functions of their arguments alone: the same plan gives the same files in any order, in any process, and a call
after a kill only adds what is missing.
"""

from __future__ import annotations

import io
import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiornn.audio import Waveform, load_audio
from audiornn.corpus.pause_sounds import PAUSE_SOUNDS, make_pause_sound
from audiornn.corpus.workers import run_in_workers
from audiornn.errors import AudiornnError
from audiornn.files import write_atomically

__all__ = [
    "VERSION",
    "Composition",
    "Word",
    "compose",
    "compose_files",
    "draw_gap",
    "plan_strings",
    "speech_bounds",
    "word_bounds",
]

#: Rises when `compose` makes other samples of the same plan, so that what an older one made is not taken for its work.
VERSION = 1

_FADE = 0.01  # seconds over which one recording gives way to the next
_HIGHEST_PEAK = 0.97  # of full scale; a string that would be louder is turned down as a whole
_VOCODER_WINDOW = 0.032  # seconds, about
_LOUDNESS = -23.0  # dB of full scale: the mean power of a word's speech, before its own level and the string's
_SHORTEST_SOUND, _LONGEST_SOUND = 0.06, 0.6  # seconds, of what is no word in a pause
_SOUND_LEVELS = (-30.0, -3.0)  # dB, such a sound against the words' loudness
_BROKEN_OFF = (0.15, 0.35)  # the share of a word that is said of one that is broken off

#: Fewer files than this are written sooner by one process than two are started.
_WORTH_A_PROCESS = 200


@dataclass(frozen=True)
class Word:
    """A recording, or a stretch of one, that holds one word, and nothing else that is spoken.

    Attributes:
        audio: its path.
        text: the word.
        level: dB above or below the others of its string.
        start: seconds at which the stretch begins.
        duration: of the stretch in seconds; None reaches to the recording's end.
    """

    audio: Path
    text: str
    level: float = 0.0
    start: float = 0.0
    duration: float | None = None


@dataclass(frozen=True)
class Composition:
    """One string to make.

    Attributes:
        path: where to write it: FLAC, 16 bit.
        speaker: who says all its words.
        words: in their order.
        gaps: seconds from each word's end to the next one's begin, one fewer than words; below zero they overlap.
        sample_rate: Hz.
        before: seconds before the first word.
        after: and after the last.
        level: dB by which the whole string is louder or softer.
        snr: dB from the noise up to the speech, as their mean power; None adds none.
        noise: a recording to take the noise from, repeated where it is too short; None makes some.
        tilt: dB an octave by which made noise falls off: 0 is white, 3 pink.
        seed: of the noise, and of the place it is taken from.
        voice: by which pitch and formants are multiplied: above 1, a smaller speaker's.
        slowness: by which the words' durations are.
        sounds: the share of its pauses, the room before and after it among them, that hold a sound which is no word.
    """

    path: Path
    speaker: str
    words: tuple[Word, ...]
    gaps: tuple[float, ...]
    sample_rate: int = 16_000
    before: float = 0.2
    after: float = 0.2
    level: float = 0.0
    snr: float | None = None
    noise: Path | None = None
    tilt: float = 3.0
    seed: int = 0
    voice: float = 1.0
    slowness: float = 1.0
    sounds: float = 0.0

    def __post_init__(self) -> None:
        if not self.words or len(self.gaps) != len(self.words) - 1:
            raise ValueError(f"{self.path}: {len(self.words)} words and {len(self.gaps)} gaps make no string")

    @property
    def text(self) -> str:
        """What the string says."""
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True)
class _Placed:
    """A word's recording and where its speech lies in it, in samples."""

    waveform: Waveform
    begin: int
    end: int
    at: int  # where its speech begins in the string


def plan_strings(
    recordings: Mapping[str, Sequence[Word]],
    n: int,
    *,
    folder: Path,
    name: str,
    lengths: tuple[int, int] = (3, 7),
    sample_rate: int = 16_000,
    snrs: tuple[float, float] = (15.0, 35.0),
    noises: Sequence[Path] = (),
    longest_edge: float = 0.6,
    pauses: tuple[float, float] = (0.12, 0.12),
    voices: tuple[float, float] = (1.0, 1.0),
    slowness: tuple[float, float] = (1.0, 1.0),
    sounds: float = 0.0,
) -> list[Composition]:
    """Draw `n` strings: who says which words, with which gaps and levels, over which noise.

    Words of which there are few recordings are drawn more often than these alone would be (each recording by one over
    the square root of its word's number), so that strings hold every word without repeating a few recordings for ever.
    No recording follows itself.

    Args:
        recordings: by speaker; one with a single recording is left out, for it makes no string.
        n: how many.
        folder: where they will lie, as `00042.flac`.
        name: seeds all that is drawn.
        lengths: the fewest and the most words, all lengths alike often.
        sample_rate: Hz.
        snrs: the least and the most dB of the speech above the noise.
        noises: recordings of noise, for half of the strings; the others' noise is made.
        longest_edge: seconds before the first word, and after the last, at most.
        pauses: seconds of a pause in the median, of the speaker who pauses least and of the one who pauses most.
        voices: the least and the most of a string's `voice`.
        slowness: and of its `slowness`.
        sounds: the share of pauses that hold a sound which is no word.
    """
    speakers = {
        speaker: sorted(words, key=str)
        for speaker, words in sorted(recordings.items())
        if len({(w.audio, w.start) for w in words}) > 1
    }
    if not speakers:
        raise AudiornnError(f"{folder}: no speaker has two recordings to make strings of")
    counts = Counter(word.text for words in speakers.values() for word in words)
    weights = {speaker: [counts[word.text] ** -0.5 for word in words] for speaker, words in speakers.items()}
    draw = random.Random(f"composition, {name}")
    planned = []
    for number in range(n):
        speaker = draw.choices(list(speakers), [sum(weights[s]) for s in speakers])[0]
        words = _draw_words(draw, speakers[speaker], weights[speaker], draw.randint(*lengths))
        tightness = draw.random()  # some speakers hurry, others dictate
        pause = _drawn(draw, pauses)
        planned.append(
            Composition(
                path=folder / f"{number:05d}.flac",
                speaker=speaker,
                words=tuple(words),
                gaps=tuple(draw_gap(draw, tightness, pause) for _ in words[1:]),
                sample_rate=sample_rate,
                before=round(draw.uniform(0.05, longest_edge), 3),
                after=round(draw.uniform(0.05, longest_edge), 3),
                level=round(draw.uniform(-9, 3), 1),
                snr=round(draw.uniform(*snrs), 1),
                noise=draw.choice(noises) if noises and draw.random() < 0.5 else None,
                tilt=round(draw.uniform(0, 5), 1),
                seed=draw.getrandbits(32),
                voice=round(_drawn(draw, voices), 3),
                slowness=round(_drawn(draw, slowness), 3),
                sounds=sounds,
            )
        )
    return planned


def _drawn(draw: random.Random, limits: tuple[float, float]) -> float:
    """A number within limits; without a choice nothing is drawn, so that plans without it stay as they are."""
    return limits[0] if limits[0] == limits[1] else draw.uniform(*limits)


def draw_gap(draw: random.Random, tightness: float, pause: float = 0.12) -> float:
    """Seconds between two words: near zero where they run into each other, and up to half a second or three pauses.

    Args:
        draw: the source of chance.
        tightness: the share of joints without a pause, 0 to 1.
        pause: seconds of a pause in the median.
    """
    if draw.random() < tightness:
        return round(draw.uniform(-0.03, 0.04), 3)
    return round(min(max(0.5, 3 * pause), draw.lognormvariate(math.log(pause), 0.7)), 3)


def _draw_words(draw: random.Random, words: Sequence[Word], weights: Sequence[float], n: int) -> list[Word]:
    drawn: list[Word] = []
    while len(drawn) < n:
        word = draw.choices(words, weights)[0]
        if not drawn or (word.audio, word.start) != (drawn[-1].audio, drawn[-1].start):
            # A string falls off towards its end, and no two words of it are equally loud.
            level = round(draw.gauss(-2 * len(drawn) / n, 1.5), 1)
            drawn.append(replace(word, level=level))
    return drawn


def compose(job: Composition) -> Waveform:
    """Make a string.

    Returns:
        float32 samples in −1…1, shape (samples,), at `job.sample_rate`.

    Raises:
        AudioError: a recording that cannot be read.
    """
    rate = job.sample_rate
    placed, length = _place(job)
    string = np.zeros(length, dtype=np.float32)
    limits = [0, *(_joint(left, right) for left, right in pairwise(placed)), len(string)]
    for word_placed, (first, last) in zip(placed, pairwise(limits), strict=True):
        _paste(string, word_placed, first, last, round(_FADE * rate))
    for at, sound in _pause_sounds(job, placed, length):
        string[at : at + len(sound)] += sound
    if job.snr is not None:
        string = string + np.float32(10 ** ((_LOUDNESS - job.snr) / 20)) * _noise(job, len(string))
    gain = min(10 ** (job.level / 20), _HIGHEST_PEAK / max(float(np.abs(string).max()), 1e-9))
    louder: Waveform = string * np.float32(gain)
    return louder


def word_bounds(job: Composition) -> list[tuple[float, float]]:
    """Where each word of a string is heard, from its first sample to one past its last, in seconds."""
    placed, _ = _place(job)
    return [(word.at / job.sample_rate, (word.at + word.end - word.begin) / job.sample_rate) for word in placed]


def _place(job: Composition) -> tuple[list[_Placed], int]:
    """The words of a string where they belong, each as loud as it shall be; and the string's samples in all."""
    rate = job.sample_rate
    placed = []
    at = round(job.before * rate)
    for word, gap in zip(job.words, (*job.gaps, job.after), strict=True):
        waveform = _said(word, job)
        waveform = waveform - waveform.mean()  # a constant offset would be a step at the joint
        begin, end = speech_bounds(waveform, rate)
        waveform = waveform * np.float32(10 ** ((_LOUDNESS + word.level) / 20) / _rms(waveform[begin:end]))
        placed.append(_Placed(waveform, begin, end, at))
        at = max(at + 1, at + end - begin + round(gap * rate))
    return placed, at


def _said(word: Word, job: Composition) -> Waveform:
    """A word's recording, by a smaller or larger speaker, faster or slower, (samples,).

    Played faster, a voice is higher and its vocal tract shorter; then a phase vocoder gives it the time it shall take.
    """
    waveform = load_audio(word.audio, round(job.sample_rate / job.voice), start=word.start, duration=word.duration)
    longer = job.voice * job.slowness
    if longer == 1.0:
        return waveform
    from librosa.effects import time_stretch  # takes seconds to import

    window = 2 ** round(math.log2(_VOCODER_WINDOW * job.sample_rate))
    stretched: Waveform = time_stretch(waveform, rate=1 / longer, n_fft=window)
    return stretched


def speech_bounds(waveform: Waveform, sample_rate: int) -> tuple[int, int]:
    """Where the one word of a recording begins and ends, in samples.

    A frame of 25 ms is active if its power, or that of its differences, lest fricatives be lost, is within 30 dB of the
    loudest and well above the noise floor. Active frames less than 0.2 s apart belong together (a stop's closure may be
    that long); the word is the run of them with the most energy above the floor, so that a click is none.

    Args:
        waveform: (samples,).
        sample_rate: Hz.

    Returns:
        First sample, and one past the last; the whole recording where nothing in it stands out.
    """
    hop = max(1, sample_rate // 100)
    starts = np.arange(0, len(waveform), hop)
    ends = np.minimum(starts + hop * 5 // 2, len(waveform))
    plain, active_plain = _activity(waveform, starts, ends)
    _, active_differences = _activity(np.diff(waveform, prepend=waveform[:1]), starts, ends)
    active = np.flatnonzero(active_plain | active_differences)
    if not len(active):
        return 0, len(waveform)
    runs = np.split(active, np.flatnonzero(np.diff(active) > 20) + 1)
    run = max(runs, key=lambda run: plain[run].sum())
    return int(starts[run[0]]), int(ends[run[-1]])


def _activity(
    waveform: Waveform, starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Each frame's mean power above the floor, and whether something sounds in it."""
    sums = np.concatenate([[0.0], np.cumsum(np.square(waveform, dtype=np.float64))])
    power = (sums[ends] - sums[starts]) / (ends - starts)
    floor, loudest = float(np.percentile(power, 10)), float(power.max())
    if loudest < 4 * floor or loudest < 1e-12:
        return np.zeros(len(power)), np.zeros(len(power), dtype=bool)
    # A recording cut close to its word has no floor to see: 18 dB below the loudest is speech whatever is below it.
    threshold = max(loudest * 1e-3, min(4 * floor, loudest * 10**-1.8))
    return np.maximum(power - floor, 0), power > threshold


def compose_files(jobs: Sequence[Composition], n_jobs: int = 1) -> int:
    """Write the strings that are not there yet, in `n_jobs` processes; a bar shows how far, on a terminal.

    A file gets its name once it is whole, so that a call after a kill only adds what is missing.

    Returns:
        How many files were written.

    Raises:
        AudioError: a recording that cannot be read.
        AudiornnError: a file cannot be written. What was written before stays.
        ValueError: two jobs for one file.
    """
    if len({job.path for job in jobs}) < len(jobs):
        raise ValueError("two jobs would write the same file")
    missing = [job for job in jobs if not job.path.exists()]
    n_processes = min(n_jobs, len(missing) // _WORTH_A_PROCESS)
    _with_bar(run_in_workers(_write, missing, n_processes, chunk=16), len(missing))
    return len(missing)


def _with_bar(done: Iterator[tuple[int, None]], n: int) -> None:
    if n:
        from tqdm import tqdm  # listening does without

        for _ in tqdm(done, "composing", total=n, unit="file", disable=None, leave=False):
            pass


def _write(job: Composition) -> None:
    # Encoded in memory: an error in writing then comes from the system, with its reason, not from libsndfile.
    encoded = io.BytesIO()
    soundfile.write(encoded, compose(job), job.sample_rate, format="FLAC", subtype="PCM_16")
    with write_atomically(job.path) as out:
        out.write(encoded.getbuffer())


def _joint(left: _Placed, right: _Placed) -> int:
    """Where one recording gives way to the next: in the middle of the gap, or of the overlap."""
    return (left.at + left.end - left.begin + right.at) // 2


def _paste(string: Waveform, word: _Placed, first: int, last: int, fade: int) -> None:
    """Add a word and what its recording holds around it, from joint to joint, faded at its ends."""
    shift = word.at - word.begin  # from a place in the recording to one in the string
    # Speech that reaches over a joint (an overlap) is kept whole; room around it ends half a fade past the joint.
    begin = max(shift, min(word.at, first - fade // 2), 0)
    end = min(shift + len(word.waveform), max(word.at + word.end - word.begin, last + fade // 2), len(string))
    piece = word.waveform[begin - shift : end - shift].copy()
    n = min(fade, len(piece) // 2)
    ramp = np.sin(np.linspace(0, np.pi / 2, n, dtype=np.float32))  # of equal power: rooms are uncorrelated
    piece[:n] *= ramp
    piece[len(piece) - n :] *= ramp[::-1]
    string[begin:end] += piece


def _pause_sounds(job: Composition, placed: Sequence[_Placed], length: int) -> Iterator[tuple[int, Waveform]]:
    """What is no word in a string's pauses, each with the sample it begins at; all is drawn from the job's seed."""
    if not job.sounds:
        return
    draw = np.random.default_rng((job.seed, 1))  # the noise has the seed alone
    ends = [word.at + word.end - word.begin for word in placed]
    shortest, longest = round(_SHORTEST_SOUND * job.sample_rate), round(_LONGEST_SOUND * job.sample_rate)
    for begin, end in zip([0, *ends], [*(word.at for word in placed), length], strict=True):
        if draw.random() >= job.sounds or end - begin < shortest:
            continue
        kind = str(draw.choice([*PAUSE_SOUNDS, "word broken off"]))
        if kind == "word broken off":
            sound = _beginning(placed[int(draw.integers(len(placed)))], end - begin, draw)
        else:
            sound = make_pause_sound(
                kind, int(draw.integers(shortest, min(longest, end - begin) + 1)), job.sample_rate, draw
            )
        level = np.float32(10 ** ((_LOUDNESS + draw.uniform(*_SOUND_LEVELS)) / 20))
        yield begin + int(draw.integers(end - begin - len(sound) + 1)), sound * level


def _beginning(word: _Placed, longest: int, draw: np.random.Generator) -> Waveform:
    """Somebody who begins a word and stops, (samples,), of unit power."""
    n = min(longest, round(draw.uniform(*_BROKEN_OFF) * (word.end - word.begin)))
    begun = word.waveform[word.begin : word.begin + n].copy()
    fade = n // 3
    begun[n - fade :] *= np.cos(np.linspace(0, np.pi / 2, fade, dtype=np.float32))
    return begun / np.float32(_rms(begun))


def _noise(job: Composition, n_samples: int) -> Waveform:
    """Noise of unit power, shape (n_samples,), from a random place of the job's recording or made."""
    draw = np.random.default_rng(job.seed)
    if job.noise is not None:
        whole = load_audio(job.noise, job.sample_rate)
        noise = np.resize(np.roll(whole, -int(draw.integers(len(whole)))), n_samples).astype(np.float32)
        return noise / np.float32(_rms(noise))
    spectrum = np.fft.rfft(draw.standard_normal(n_samples))
    octaves = np.log2(np.maximum(np.fft.rfftfreq(n_samples, 1 / job.sample_rate), 50.0) / 50.0)
    made = np.fft.irfft(spectrum * 10 ** (-job.tilt * octaves / 20), n_samples)
    return (made / _rms(made)).astype(np.float32)


def _rms(waveform: NDArray[np.floating]) -> float:
    return max(float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))), 1e-9)
