"""A spotter's examples: words placed in background, so that it learns where a word ends, not what a clip holds.

Each example is a window of background, made when it is asked for. In some a keyword is placed: alone in silence, in a
gap that other speech leaves, or over it. In others a part of the keyword, or another sound of a word's length, is
placed in just the same ways, so that neither half a word nor the seams of the placing are taken for it. The rest is
background as it is, for a good part where the network answered too loudly an epoch ago (`train.mining`).

All of it happens on log-mel frames, where levels add and powers mix. An example is a function of its source of chance
and of what was mined, and nothing else.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from audiornn.corpus.manifest import is_synthetic
from audiornn.corpus.preparation import Prepared
from audiornn.errors import CorpusError
from audiornn.features import LOG_MEL_FLOOR, Features
from audiornn.recipe import Recipe
from audiornn.settings import AugmentSettings
from audiornn.text import plain_words, word_places
from audiornn.train.augment import augment, overlay
from audiornn.train.dataset import IGNORED, Batch, Dataset
from audiornn.vocabulary import Vocabulary

__all__ = ["HOLD", "LEAD", "Mined", "MinedPeak", "PlacedWords", "Word", "frame_targets"]

Floats = NDArray[np.float64]

#: Seconds before a word's end from which its label is asked for, and after it until which.
LEAD, HOLD = 0.06, 0.15
_AFTERGLOW = 0.25  # seconds after that, in which either answer will do
_MARGIN = 0.25  # seconds of its own recording that a word brings along, at most
_AT_ONCE = 0.3  # share of what is placed that begins its window, as recordings of single words do
_PAUSE = 0.4  # seconds between a word and other speech beside it, at most
_GAP_DEPTH = (25.0, 60.0)  # dB that speech sinks where it leaves a gap
_BESIDE = (-10.0, 10.0)  # dB from speech beside a word up to the word
_QUIET = (25.0, 60.0)  # dB from a silent room's noise up to the word
_SCATTER = 2.0  # dB of that noise, from one frame and band to the next
_ROOM = 1.6  # a window is so many times as long as nine in ten words are
_WAYS = (0.35, 0.35, 0.3)  # alone, in a gap, over


@dataclass(frozen=True)
class Word:
    """Where a keyword is in its recording: index of the utterance, first frame and frame after the last, label's id."""

    index: int
    first: int
    last: int
    label: int


@dataclass(frozen=True)
class MinedPeak:
    """Where a network answered loudly in background.

    Attributes:
        index: of the utterance.
        frame: the feature frame of the peak.
        score: the posterior there.
        times: minings in a row in which it was as loud as the keyword itself is.
    """

    index: int
    frame: int
    score: float
    times: int = 0


@dataclass(frozen=True)
class Mined:
    """What minings have found so far: places to learn from, and places that may hold the word."""

    peaks: tuple[MinedPeak, ...] = ()
    doubtful: tuple[MinedPeak, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain types, for the checkpoint."""
        return {name: [asdict(peak) for peak in getattr(self, name)] for name in ("peaks", "doubtful")}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Mined:
        """The inverse of `to_json`; before the first mining there is nothing."""
        return cls(*(tuple(MinedPeak(**peak) for peak in entry.get(name, ())) for name in ("peaks", "doubtful")))


@dataclass(frozen=True)
class _Sound:
    """Frames to be placed, (frames, n_mels), with the first of the word in them and the one after its last."""

    log_mel: Features
    first: int
    last: int


@dataclass(frozen=True)
class _Parted:
    """Labels of which a part is another keyword, so that it is no example of background.

    Attributes:
        early: those in which its words stand before the end: of "happy up" is "happy" the beginning.
        late: those in which they stand after the beginning.
    """

    early: frozenset[int]
    late: frozenset[int]


class PlacedWords(Dataset):
    """Examples of one split, made of its words and its background.

    Attributes:
        words: the keywords' recordings.
        background: indices of all else.
        mined: where an epoch's network was loudest (`train.mining`), and what is no example of background.

    Raises:
        CorpusError: there is no word, or no background.
    """

    def __init__(self, prepared: Prepared, split: str, recipe: Recipe, vocabulary: Vocabulary) -> None:
        super().__init__(prepared, split, recipe, vocabulary)
        self.words: list[Word] = []
        others = []
        to_frames = 1 / recipe.features.frame_seconds
        for index in range(len(self)):
            utterance = self.utterances[index]
            for segment in utterance.segments:
                first, last = round(segment.start * to_frames), round(segment.end * to_frames)
                self.words.append(Word(index, first, max(first + 1, last), vocabulary.label_id(segment.label)))
            if not utterance.segments:
                others.append(index)
        self.background = np.array(others, np.int64)
        synthetic = recipe.spotting.synthetic
        by_label: dict[int, list[Word]] = defaultdict(list)
        for word in self.words:
            by_label[word.label].append(word)
        self._by_label = [
            (words, self._chances([word.index for word in words], np.ones(len(words)), synthetic))
            for _, words in sorted(by_label.items())
        ]
        self._by_length = self._chances(self.background, self.lengths[self.background], synthetic)
        self._by_recording = self._chances(self.background, np.ones(len(self.background)), synthetic)
        self._parted = _parted(vocabulary.symbols)
        self.mined = Mined()
        if split == "train" and not self.words:
            raise CorpusError(f"{prepared.folder}: no keyword is said in train; a spotter needs recordings of its word")
        if split == "train" and not len(self.background):
            raise CorpusError(
                f"{prepared.folder}: train holds no background, so that all there is would be the word; add recordings "
                "in which it is not said"
            )
        longest = np.percentile([word.last - word.first for word in self.words], 90) if self.words else 0
        stride = recipe.model.stride
        wanted = max(recipe.spotting.window_seconds * to_frames, _ROOM * longest)
        self.n_window = -(-round(wanted) // stride) * stride

    def order(self, *, seed: int, epoch: int) -> list[NDArray[np.int64]]:
        """The batches of an epoch as numbers of examples; what they hold, chance decides."""
        size = self.recipe.training.batch_size
        n_batches = max(1, self.recipe.spotting.windows // size)
        return [np.arange(i * size, (i + 1) * size) for i in range(n_batches)]

    def batch(
        self,
        indices: Sequence[int] | NDArray[np.int64],
        rng: np.random.Generator | None = None,
        progress: float = 1.0,
    ) -> Batch:
        """As many examples as there are indices; without a source of chance, the utterances of these indices."""
        if rng is None:
            return super().batch(indices)
        settings = self.recipe.augment.at(progress)
        views, targets, names = [], [], []
        for _ in indices:
            scene, target, name = self._scene(rng, settings)
            n_views = 2 if self.recipe.training.consistency else 1
            views.append([self.extractor.from_log_mel(self._in_a_room(scene, settings, rng)) for _ in range(n_views)])
            targets.append(target)
            names.append(name)
        features, *other = (torch.from_numpy(np.stack(view)) for view in zip(*views, strict=True))
        return Batch(
            features,
            torch.full((len(names),), self.n_window, dtype=torch.int64),
            torch.from_numpy(np.stack(targets)),
            torch.full((len(names),), len(targets[0]), dtype=torch.int64),
            tuple(names),
            other_view=other[0] if other else None,
        )

    def log_mel(self, index: int, rng: np.random.Generator | None = None) -> Features:
        """An utterance as it is; or, where there is a source of chance, an example, whichever."""
        return super().log_mel(index) if rng is None else self.example(rng, self.recipe.augment)[0]

    def example(self, rng: np.random.Generator, settings: AugmentSettings) -> tuple[Features, NDArray[np.int64], str]:
        """A window of log-mel frames, (frames, n_mels), the target of each output frame, and what it is made of."""
        scene, targets, name = self._scene(rng, settings)
        return self._in_a_room(scene, settings, rng), targets, name

    def _scene(self, rng: np.random.Generator, settings: AugmentSettings) -> tuple[Features, NDArray[np.int64], str]:
        """An example before it is heard in a room and through a microphone."""
        shares, own = self.recipe.spotting, _of_a_voice(settings)
        n_outputs = self.n_window // self.recipe.model.stride
        targets = np.zeros(n_outputs, np.int64)
        kind = rng.random() - shares.keywords
        if kind < 0:
            word = self._draw_word(rng)
            log_mel, first, last, in_doubt = self._placed(self._spoken(word, rng, own), rng, own)
            if word.label in self._parted.early:
                in_doubt[max(0, first) : last] = True
            delay = self._frames(shares.delay)
            targets = frame_targets(
                first, last, word.label, n_outputs, self._seconds_a_frame, self.recipe.model.stride, delay
            )
            name = self.utterances[word.index].id
        elif kind < shares.fragments:
            word = self._draw_word(rng)
            parted = self._parted
            part = _fragment(
                self._spoken(word, rng, own),
                rng,
                begins=word.label not in parted.early,
                ends=word.label not in parted.late,
            )
            log_mel, _, _, in_doubt = self._placed(part, rng, own)
            name = f"a part of {self.utterances[word.index].id}"
        elif kind < shares.fragments + shares.others:
            word = self._draw_word(rng)
            sound, may_be_it = self._another(word.last - word.first, rng, own)
            log_mel, first, last, in_doubt = self._placed(sound, rng, own)
            if may_be_it:
                in_doubt[max(0, first) : last + self._frames(HOLD + _AFTERGLOW)] = True
            name = "another sound"
        else:
            log_mel, in_doubt, name = self._background(self.n_window, rng, own, mined=rng.random() < shares.mined)
        targets[in_doubt[:: self.recipe.model.stride] & (targets == 0)] = IGNORED
        return log_mel, targets, name

    def _in_a_room(self, scene: Features, settings: AugmentSettings, rng: np.random.Generator) -> Features:
        log_mel, _ = augment(
            scene,
            _unmoved(_of_a_room(settings)),
            frame_seconds=self._seconds_a_frame,
            rng=rng,
            may_cut=False,
            draw_noise=self._noise_source(rng),
        )
        return log_mel

    @property
    def _seconds_a_frame(self) -> float:
        return self.recipe.features.frame_seconds

    def _frames(self, seconds: float) -> int:
        return round(seconds / self._seconds_a_frame)

    def _draw_word(self, rng: np.random.Generator) -> Word:
        """Each keyword as often as another, however many recordings it has."""
        words, chances = self._by_label[int(rng.integers(len(self._by_label)))]
        return words[_drawn(chances, rng)]

    def _chances(self, indices: Sequence[int] | NDArray[np.int64], weights: NDArray[Any], synthetic: float) -> Floats:
        """Cumulated chances of utterances to be drawn; synthetic voices get their share where people speak, too."""
        chances = np.asarray(weights, np.float64)
        made = np.array([is_synthetic(self.utterances[int(index)]) for index in indices], bool)
        if made.any() and not made.all():
            chances = np.where(
                made, chances * synthetic / chances[made].sum(), chances * (1 - synthetic) / chances[~made].sum()
            )
        return np.cumsum(chances)

    def _spoken(self, word: Word, rng: np.random.Generator, own: AugmentSettings) -> _Sound:
        """A keyword as another voice might say it, with a little of what is around it."""
        before, after = (int(rng.integers(self._frames(_MARGIN) + 1)) for _ in range(2))
        begin = max(0, word.first - before)
        log_mel = np.asarray(self.store[word.index])[begin : word.last + after]
        return self._sound(log_mel, word.first - begin, word.last - begin, rng, own)

    def _another(self, n_frames: int, rng: np.random.Generator, own: AugmentSettings) -> tuple[_Sound, bool]:
        """About so many frames out of the background, and whether it is in doubt that they are."""
        n_frames = max(8, round(n_frames * rng.uniform(0.6, 1.4)))
        index = int(self.background[_drawn(self._by_recording, rng)])  # short recordings as often as long ones
        log_mel = np.asarray(self.store[index])
        n_frames = min(n_frames, len(log_mel))
        begin = int(rng.integers(len(log_mel) - n_frames + 1))
        sound = self._sound(log_mel[begin : begin + n_frames], 0, n_frames, rng, own)
        return sound, bool(self._doubt(index, begin, n_frames).any())

    def _sound(
        self, log_mel: Features, first: int, last: int, rng: np.random.Generator, own: AugmentSettings
    ) -> _Sound:
        varied = self._varied_sound(log_mel, own, rng)
        scale = len(varied) / len(log_mel)
        first = min(round(first * scale), len(varied) - 1)
        return _Sound(varied, first, max(first + 1, min(round(last * scale), len(varied))))

    def _varied_sound(self, log_mel: Features, own: AugmentSettings, rng: np.random.Generator) -> Features:
        varied, _ = augment(
            log_mel,
            own,
            frame_seconds=self._seconds_a_frame,
            rng=rng,
            may_cut=False,
            least_frames=8,
            middles=self.middles,
        )
        return varied

    def _placed(
        self, sound: _Sound, rng: np.random.Generator, own: AugmentSettings
    ) -> tuple[Features, int, int, NDArray[np.bool_]]:
        """A window with the sound in it; its word's first frame, the one after its last, and where doubt is left."""
        n_word, n_window = sound.last - sound.first, self.n_window
        n_lead = self._frames(LEAD)
        latest = n_window - n_lead - self._frames(self.recipe.spotting.delay)
        earliest = min(n_word, latest)
        if rng.random() < _AT_ONCE:
            latest = min(latest, earliest + self._frames(_MARGIN))
        end = int(rng.integers(earliest, latest + 1)) + n_lead // 2
        first, last = end - n_word, end
        level = _level(sound.log_mel[sound.first : sound.last])
        in_doubt = np.zeros(n_window, bool)
        way = rng.choice(len(_WAYS), p=_WAYS)
        if way == 0:
            canvas = self._silence(level, rng)
        else:
            canvas, in_doubt, _ = self._background(n_window, rng, own)
            shares = self.recipe.spotting
            above = rng.uniform(*_BESIDE) if way == 1 else rng.uniform(shares.least_snr, shares.most_snr)
            canvas = _raised(canvas, level - above - _level(canvas))
            if way == 1:
                before, after = (int(rng.integers(self._frames(_PAUSE) + 1)) for _ in range(2))
                gap = slice(max(0, first - before), last + after)
                canvas[gap] = _raised(canvas[gap], -rng.uniform(*_GAP_DEPTH))
        return overlay(canvas, sound.log_mel, first - sound.first), first, last, in_doubt

    def _silence(self, level: float, rng: np.random.Generator) -> Features:
        """Digital silence, or a quiet room's, below a word's level."""
        canvas = np.full((self.n_window, self.recipe.features.n_mels), LOG_MEL_FLOOR, np.float32)
        if rng.random() < 0.3:
            return canvas
        room = level - rng.uniform(*_QUIET) + _SCATTER * rng.standard_normal(canvas.shape)
        return np.maximum(canvas, room.astype(np.float32))

    def _background(
        self, n_frames: int, rng: np.random.Generator, own: AugmentSettings, *, mined: bool = False
    ) -> tuple[Features, NDArray[np.bool_], str]:
        """So many frames of background, where it is in doubt, and whose it is; one recording after the other."""
        pieces, doubts, names = [], [], []
        n_left = n_frames
        while n_left > 0:
            factor = 1 + rng.uniform(-own.tempo, own.tempo)
            n_wanted = max(8, round(n_left * factor))
            if mined and self.mined.peaks:
                peak = self.mined.peaks[int(rng.integers(len(self.mined.peaks)))]
                index, begin = peak.index, peak.frame - round(n_wanted * rng.uniform(0.4, 0.97))
            else:
                index = int(self.background[_drawn(self._by_length, rng)])
                begin = int(rng.integers(-n_wanted // 4, max(1, int(self.lengths[index]) - n_wanted // 4)))
            begin = max(0, min(begin, int(self.lengths[index]) - n_wanted))
            log_mel = np.asarray(self.store[index])[begin : begin + n_wanted]
            n = min(n_left, max(1, round(len(log_mel) / factor)))
            varied = self._varied_sound(log_mel, _unmoved(own), rng)
            taken = np.linspace(0, len(varied) - 1, n).round().astype(np.int64)
            pieces.append(varied[taken])
            doubts.append(self._doubt(index, begin, len(log_mel))[taken])
            names.append(self.utterances[index].id)
            n_left -= n
            mined = False
        return np.concatenate(pieces), np.concatenate(doubts), ", ".join(names)

    def _doubt(self, index: int, begin: int, n_frames: int) -> NDArray[np.bool_]:
        """Which frames of a stretch may hold the word."""
        doubt = np.zeros(n_frames, bool)
        around = self._frames(0.5)
        for peak in self.mined.doubtful:
            if peak.index == index:
                doubt[max(0, peak.frame - around - begin) : max(0, peak.frame + around - begin)] = True
        return doubt


def frame_targets(
    first: int, last: int, label: int, n_outputs: int, frame_seconds: float, stride: int, delay: int = 0
) -> NDArray[np.int64]:
    """The target of each output frame, (n_outputs,), of a word from frame `first` to before frame `last`.

    Its label around its end, or `delay` frames later; whichever answer in its second half before that, and for a moment
    after; none elsewhere.
    """
    lead, hold, glow = (round(seconds / frame_seconds) for seconds in (LEAD, HOLD, _AFTERGLOW))
    centres = np.arange(n_outputs) * stride
    targets = np.zeros(n_outputs, np.int64)
    targets[(centres >= (first + last) // 2) & (centres < last + delay + hold + glow)] = IGNORED
    targets[(centres >= last + delay - lead) & (centres < last + delay + hold)] = label
    return targets


def _drawn(chances: Floats, rng: np.random.Generator) -> int:
    """A number, by cumulated chances."""
    return min(len(chances) - 1, int(np.searchsorted(chances, rng.uniform(0, chances[-1]), side="right")))


def _parted(symbols: Sequence[str]) -> _Parted:
    """Which of a vocabulary's labels hold others' words, and where; its first symbol stands for none."""
    early, late = set(), set()
    for (label, phrase), (_, part) in itertools.permutations(list(enumerate(symbols))[1:], 2):
        n_words, n_part = (len(plain_words(text).split()) for text in (phrase, part))
        for place in word_places(phrase, part):
            if place + n_part < n_words:
                early.add(label)
            if place > 0:
                late.add(label)
    return _Parted(frozenset(early), frozenset(late))


def _fragment(sound: _Sound, rng: np.random.Generator, *, begins: bool = True, ends: bool = True) -> _Sound:
    """The beginning of a word without its end, its end without its beginning, or all of it backwards.

    Args:
        sound: the word.
        rng: the source of chance.
        begins: whether its beginning may be taken.
        ends: whether its end may be.
    """
    first, last, n = sound.first, sound.last, sound.last - sound.first
    part = rng.random()
    if part < 0.45 and begins:
        last = first + max(2, round(n * rng.uniform(0.3, 0.65)))
        return _Sound(sound.log_mel[:last], first, last)
    if part < 0.85 and ends:
        first = last - max(2, round(n * rng.uniform(0.3, 0.55)))
        return _Sound(sound.log_mel[first:], 0, last - first)
    n_after = len(sound.log_mel) - last
    return _Sound(sound.log_mel[::-1], n_after, n_after + n)


def _of_a_voice(settings: AugmentSettings) -> AugmentSettings:
    """What varies from one voice to another, and so for each sound by itself."""
    return replace(
        settings, gain=0.0, band_limit=0.0, reverb=0.0, noise=0.0, time_shift=0.0, time_masks=0, band_masks=0
    )


def _of_a_room(settings: AugmentSettings) -> AugmentSettings:
    """What is heard of all sounds at once."""
    return replace(settings, speed=0.0, tempo=0.0, vocal_tract=0.0, warp=0.0, wobble=0.0, time_shift=0.0)


def _unmoved(settings: AugmentSettings) -> AugmentSettings:
    """The same, but every frame stays where it is."""
    return replace(settings, speed=0.0, tempo=0.0, time_shift=0.0)


def _level(log_mel: Features) -> float:
    """Mean power, in decibels."""
    return float(10 * np.log10(np.mean(np.power(10.0, log_mel.astype(np.float64) / 10))))


def _raised(log_mel: Features, decibels: float) -> Features:
    """The same louder or quieter; digital silence stays silent."""
    floor = np.float32(LOG_MEL_FLOOR)
    return np.where(log_mel > floor, np.maximum(log_mel + np.float32(decibels), floor), floor)
