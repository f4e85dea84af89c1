"""What is not meant: recordings a classifier can tell its labels from.

With one label only, a classifier says it of everything. `contrast` makes recordings of `_other_` from the user's own:
what has their voice, their microphone and their sounds, but not their order. It is no other speech, and a model that
knows no other still takes some of it for its word; recordings of other speech are better, and `other_recordings` cuts
those to the length of the word.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile

from audiornn.audio import Waveform, audio_info, load_audio
from audiornn.corpus.collection import Collection
from audiornn.corpus.layouts.survey import Survey
from audiornn.corpus.manifest import SPLITS, Utterance
from audiornn.corpus.speakers import find_speakers
from audiornn.corpus.splitting import FEW_RECORDINGS, by_time, split
from audiornn.corpus.stretches import equal_parts
from audiornn.errors import AudioError, CorpusError
from audiornn.files import write_atomically
from audiornn.vocabulary import is_background

__all__ = ["N_CONTRASTS", "OTHER", "contrast", "cut_background", "make_contrast", "other_recordings"]

OTHER = "_other_"

_PIECE_SECONDS = (0.1, 0.3)
_FADE_SECONDS = 0.01
_SHORTEST_SECONDS = 0.03
_MOST_ENERGY = 0.2  # of a recording's, in one of its pieces
_TRIES = 100  # permutations
_SOME = 10  # stretches, of which a recording is divided by time where recordings are few
_MOST = 5  # times as many stretches as recordings of the most frequent other label: more would only drown it

Splits = Mapping[str, Sequence[Utterance]]


def contrast(splits: Splits, folder: Path | None, *, jobs: int = 1) -> dict[str, list[Utterance]]:
    """The splits with `_other_` recordings made from each of their own, in the same split and by the same speaker.

    Args:
        splits: utterances of one label.
        folder: where they are written, as FLAC; those that are there and not older than their source stay.
        jobs: files at a time.

    Raises:
        CorpusError: no folder is given.
        AudiornnError: the disk is full or read-only.
    """
    if folder is None:
        raise CorpusError(f"the {OTHER} recordings are made by `audiornn prep`, which gives the folder for them")
    everything = [u for utterances in splits.values() for u in utterances]
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        made = dict(
            zip((u.id for u in everything), pool.map(lambda u: make_contrast(u, folder), everything), strict=True)
        )
    return {
        name: [*utterances, *(other for utterance in utterances for other in made[utterance.id])]
        for name, utterances in splits.items()
    }


def make_contrast(utterance: Utterance, folder: Path) -> list[Utterance]:
    """Write an utterance backwards, in shuffled pieces, and as noise of its spectrum; the same every time.

    Returns:
        The three; none where the recording cannot be read, which `prep` says of the recording itself.
    """
    stem = "/".join(part.replace("..", "__") for part in utterance.id.split("/"))
    made = [
        Utterance(f"{OTHER}/{stem}.{kind}", folder / OTHER / f"{stem}.{kind}.flac", OTHER, utterance.speaker)
        for kind in _KINDS
    ]
    try:
        changed = utterance.audio.stat().st_mtime
        if all(other.audio.is_file() and other.audio.stat().st_mtime >= changed for other in made):
            return made
        rate = audio_info(utterance.audio).sample_rate
        waveform = load_audio(utterance.audio, start=utterance.start, duration=utterance.duration)
    except (AudioError, OSError):
        return []
    for other, make in zip(made, _KINDS.values(), strict=True):
        seed = int.from_bytes(hashlib.sha256(other.id.encode()).digest()[:8], "big")
        content = io.BytesIO()
        samples = make(waveform, rate, np.random.default_rng(seed))
        peak = float(np.abs(samples).max(initial=0.0))
        soundfile.write(content, samples / max(1.0, peak / 0.99), rate, format="FLAC", subtype="PCM_16")
        with write_atomically(other.audio) as out:
            out.write(content.getvalue())
    return made


def _backwards(waveform: Waveform, rate: int, draw: np.random.Generator) -> Waveform:
    return np.ascontiguousarray(waveform[::-1])


def _shuffled(waveform: Waveform, rate: int, draw: np.random.Generator) -> Waveform:
    """Pieces in another order, none after the one it followed, each faded into the next; about as long as the whole."""
    fade = max(1, round(_FADE_SECONDS * rate))
    bounds = _cuts(waveform, rate, draw)
    pieces = [waveform[a : b + fade] for a, b in pairwise(bounds)]  # the fade is what two neighbours share
    order = list(range(len(pieces)))[::-1]
    for _ in range(_TRIES):
        drawn = draw.permutation(len(pieces)).tolist()
        if all(b != a + 1 for a, b in pairwise(drawn)):
            order = drawn
            break
    shuffled = pieces[order[0]].copy()
    for i in order[1:]:
        piece = pieces[i]
        n = min(fade, len(piece), len(shuffled))
        rise = np.linspace(0, 1, n, dtype=np.float32)
        shuffled[-n:] = shuffled[-n:] * (1 - rise) + piece[:n] * rise
        shuffled = np.concatenate([shuffled, piece[n:]])
    return shuffled


def _cuts(waveform: Waveform, rate: int, draw: np.random.Generator) -> list[int]:
    """Where to cut: every 0.1 to 0.3 s, and again where a piece holds so much of the sound that it is still it."""
    low, high = (round(seconds * rate) for seconds in _PIECE_SECONDS)
    bounds = [0]
    while len(waveform) - bounds[-1] > high:
        bounds.append(bounds[-1] + max(1, round(float(draw.uniform(low, high)))))
    bounds.append(len(waveform))
    energy = np.concatenate([[0.0], np.cumsum(np.square(waveform, dtype=np.float64))])
    shortest = _SHORTEST_SECONDS * rate
    while True:
        halves = []
        for a, b in pairwise(bounds):
            middle = int(np.searchsorted(energy, (energy[a] + energy[b]) / 2))
            is_much = energy[b] - energy[a] > _MOST_ENERGY * energy[-1]
            if is_much and min(middle - a, b - middle) >= shortest:
                halves.append(middle)
        if not halves:
            return bounds
        bounds = sorted([*bounds, *halves])


def _noise(waveform: Waveform, rate: int, draw: np.random.Generator) -> Waveform:
    """The same spectrum with other phases: the recording's colour and level without its course."""
    spectrum = np.fft.rfft(waveform)
    phases = draw.uniform(0, 2 * np.pi, len(spectrum))
    return np.fft.irfft(np.abs(spectrum) * np.exp(1j * phases), len(waveform)).astype(np.float32)


_KINDS = {"backwards": _backwards, "shuffled": _shuffled, "noise": _noise}
#: Recordings made of one.
N_CONTRASTS = len(_KINDS)


def other_recordings(
    splits: Splits, folder: Path, seconds: float, *, dev: float = 0.1, test: float = 0.1, seed: int = 1
) -> dict[str, list[Utterance]]:
    """The splits with the recordings below `folder` as `_other_`, cut to about `seconds`.

    No recording, no speaker and, where there are three or more, no folder of them serves two splits.

    Args:
        splits: utterances of the user's labels.
        folder: recordings in which these are not said.
        seconds: the length of a stretch; longer recordings are cut into several.
        dev: share for dev.
        test: share for test.
        seed: as of `split`.

    Raises:
        CorpusError: there are no recordings, or the user's own are among them.
    """
    if not folder.is_dir():
        raise CorpusError(f"{folder}: no such folder")
    survey = Survey(folder)
    if not survey.audio:
        raise CorpusError(f"{folder}: holds no recordings")
    own = {u.audio.resolve() for utterances in splits.values() for u in utterances}
    inside = [key for key, path in survey.audio.items() if path.resolve() in own]
    if inside:
        raise CorpusError(
            f"{folder}: holds {len(inside):,} of the labelled recordings, too ({inside[0]}); --other names a folder in "
            "which the labels are not said"
        )
    keys = list(survey.audio)
    names = find_speakers(keys, [], [None] * len(keys), "auto").names
    folders = [key.rpartition("/")[0] for key in keys]
    if not any(names) and len(set(folders)) >= 3:
        names = tuple(folders)
    whole = [
        Utterance(f"{OTHER}/{key}", path, OTHER, f"{OTHER}/{name}" if name else None)
        for (key, path), name in zip(survey.audio.items(), names, strict=True)
    ]
    drawn = split(Collection(folder, "folders", "classify", tuple(whole)), dev=dev, test=test, seed=seed)
    joined = {name: [*utterances, *drawn[name]] for name, utterances in splits.items()}
    return cut_background(joined, seconds, labels={OTHER})


def cut_background(
    splits: Splits, seconds: float, *, labels: Iterable[str] = (), dev: float = 0.0, test: float = 0.0
) -> dict[str, list[Utterance]]:
    """The splits with long recordings of all that is not meant cut into stretches as long as the words are.

    Else a classifier learns from the length which label is the background. Of train at most five times as many
    stretches are kept as the most frequent other label has recordings, of dev and test as many, spread over all.

    Args:
        splits: utterances by split.
        seconds: the length of a stretch; zero cuts nothing.
        labels: which labels are cut; none given, those that are named like background, noise or unknown.
        dev: where fewer than eight recordings are cut, the share of each that is for dev: a split that has but one of
            them would measure that one. Zero, with that of test, leaves them in their splits.
        test: likewise; each recording's beginning is for train, its end for test.
    """
    if not seconds:
        return {name: list(utterances) for name, utterances in splits.items()}
    everywhere = {u.text for utterances in splits.values() for u in utterances}
    cut = set(labels) or {label for label in everywhere if is_background(label)}
    if dev or test:
        splits = _by_time(splits, seconds, cut, dev, test)
    return {
        name: _cut(utterances, seconds, cut, _MOST if name == "train" else 1) for name, utterances in splits.items()
    }


def _by_time(splits: Splits, seconds: float, labels: set[str], dev: float, test: float) -> Splits:
    """The splits with each of a few long recordings divided among them; as they are where these are many, or known."""
    long = {}
    for utterance in (u for own in splits.values() for u in own if u.text in labels):
        if len(parts := equal_parts(utterance, seconds)) >= _SOME:
            long[utterance.id] = parts
    speakers = {parts[0].speaker for parts in long.values()} - {None}
    if len(long) >= FEW_RECORDINGS or len(speakers) >= len(SPLITS):
        return splits
    divided = by_time(long.values(), dev, test)
    return {name: [*(u for u in own if u.id not in long), *divided[name]] for name, own in splits.items()}


def _cut(utterances: Sequence[Utterance], seconds: float, labels: set[str], times: int) -> list[Utterance]:
    counts = Counter(u.text for u in utterances if u.text not in labels)
    most = times * max(counts.values(), default=len(utterances))
    kept = [u for u in utterances if u.text not in labels]
    stretches: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        if utterance.text in labels:
            stretches[utterance.text] += equal_parts(utterance, seconds)
    for own in stretches.values():
        kept += [own[i * len(own) // most] for i in range(most)] if len(own) > most else own
    return kept
