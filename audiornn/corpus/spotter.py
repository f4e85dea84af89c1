"""What a spotter is trained on: recordings of its word, in other voices, too, and of all that is not it."""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from audiornn.audio import audio_info
from audiornn.corpus.altered_voices import in_other_voices
from audiornn.corpus.collection import Collection as Recordings
from audiornn.corpus.copies import find_copies
from audiornn.corpus.layouts.survey import Survey
from audiornn.corpus.manifest import SPLITS, Utterance
from audiornn.corpus.speakers import find_speakers
from audiornn.corpus.splitting import FEW_RECORDINGS, by_time, divide
from audiornn.corpus.spotter_folder import SpotterFolder, label_files_of, read_folder
from audiornn.corpus.stretches import LONGEST, STRETCH, equal_parts
from audiornn.corpus.synthetic_speech import near_misses, speak_talk, speak_words
from audiornn.corpus.word_bounds import with_word_bounds
from audiornn.errors import AudioError, CorpusError, CorpusWarning
from audiornn.text import plain_words

__all__ = ["FEWEST", "Splits", "as_background", "prepare_spotter", "split_folder", "with_synthetic_speech"]

#: Folders in which nobody speaks.
_NOISE = re.compile(r"_?(background[_\- ]?)?(noises?|ambien(t|ce)|silence|rauschen)([_\- ]?(only|files?))?_?", re.I)
_MUCH = 0.05  # hours of the user's own background in dev, beside which synthetic talk would only flatter
FEWEST = 10  # recordings of the word, one or two for each of dev and test among them

Splits = dict[str, list[Utterance]]


def split_folder(
    found: SpotterFolder,
    *,
    dev: float = 0.15,
    test: float = 0.1,
    seed: int = 1,
    copies: Mapping[str, str] | None = None,
    skip_bad: bool = False,
    jobs: int = 1,
) -> Splits:
    """Keywords, with the segment of the word still to be found, and background, by split.

    Neither a recording, a copy of one, nor a known speaker serves two splits; but fewer than eight recordings of
    background, of fewer than three known speakers, are divided by time.

    Args:
        found: of `read_folder`.
        dev: share for dev.
        test: share for test.
        seed: another seed draws others.
        copies: a common name by id of recordings that are copies of each other; None looks for them.
        skip_bad: leave out background that is a copy of a recording of the word.
        jobs: recordings read at a time for that.

    Raises:
        CorpusError: fewer than three recordings of a word; or background that is a copy of one.
    """
    for label, n in found.labels.items():
        if n < len(SPLITS):
            raise CorpusError(
                f"{found.folder}: {n} recordings of {label!r} are too few to train, choose a threshold and test; "
                f"record at least {FEWEST}, better 50, by as many people as you can"
            )
    background = [part for u in found.background for part in equal_parts(u, STRETCH, longest=LONGEST)]
    whole = Recordings(found.folder, "folders", "classify", (*found.keywords, *background))
    if copies is None:
        copies = find_copies(whole, jobs=jobs)
    background = _without_the_word(found.keywords, background, copies, skip_bad)
    splits: Splits = {name: [] for name in SPLITS}
    speakers = [{u.speaker for u in own} - {None} for own in (found.keywords, background)]
    groups = [[*found.keywords, *background]] if speakers[0] & speakers[1] else [found.keywords, background]
    for group in groups:
        if not group:
            continue
        is_few = len({u.audio for u in group}) < FEW_RECORDINGS and len(speakers[1]) < len(SPLITS)
        if group is background and is_few:
            recordings: dict[Path, list[Utterance]] = defaultdict(list)
            for utterance in group:
                recordings[utterance.audio].append(utterance)
            for name, own in by_time(recordings.values(), dev, test).items():
                splits[name] += own
            continue
        collection = replace(whole, utterances=tuple(group))
        drawn = divide(collection, dev=dev, test=test, seed=seed, together=copies).splits
        for name, own in drawn.items():
            splits[name] += own
    return splits


def _without_the_word(
    keywords: Sequence[Utterance], background: Sequence[Utterance], copies: Mapping[str, str], skip_bad: bool
) -> list[Utterance]:
    """The background without copies of the word's recordings.

    Raises:
        CorpusError: there are some, and nobody asked to leave them out.
    """
    of_words = {copies[u.id]: u for u in keywords if u.id in copies}
    same = [u for u in background if copies.get(u.id) in of_words]
    if same and not skip_bad:
        word = of_words[copies[same[0].id]]
        raise CorpusError(
            f"{same[0].audio}: is a copy of {word.audio}, which says the word, and lies among what is not the word "
            f"({len(same)} in all); delete one of the two, or leave such background out with --skip-bad"
        )
    if same:
        warnings.warn(
            f"{len(same)} recordings of what is not the word are copies of the word's and left out ({same[0].audio})",
            CorpusWarning,
            stacklevel=2,
        )
    return [u for u in background if copies.get(u.id) not in of_words]


def as_background(utterances: Sequence[Utterance]) -> list[Utterance]:
    """Utterances as examples of what is not meant, whatever is said in them."""
    return [replace(utterance, text="", segments=()) for utterance in utterances]


def prepare_spotter(
    corpus_dir: Path,
    *,
    word: str = "",
    speaker: str = "auto",
    more_background: str = "",
    synthetic: bool = True,
    synthetic_words: int = 200,
    talk_minutes: float = 120.0,
    other_voices: int = 0,
    skip_bad: bool = False,
    dev: float = 0.15,
    test: float = 0.1,
    seed: int = 1,
    made_dir: Path | None = None,
    jobs: int = 1,
) -> Splits:
    """The splits of a spotter: its word, where in each recording it is said, and all else.

    Args:
        corpus_dir: the folder, as of this module.
        word: the spelling.
        speaker: as of `read_folder`.
        more_background: another folder of recordings in which the word is not said.
        synthetic: whether synthetic voices say the word and words that are nearly it (in train), and talk.
        synthetic_words: recordings of the word by synthetic voices in train, where its spelling is known.
        talk_minutes: of synthetic talk in train; dev and test get a third of it each where they lack background.
        other_voices: recordings of each word in train that are altered into other voices, besides.
        skip_bad: leave out recordings of the word that hold nothing but silence, and copies of them elsewhere.
        dev: share for dev.
        test: share for test.
        seed: another seed draws others.
        made_dir: where altered and synthetic speech is written.
        jobs: processes.

    Warns:
        CorpusWarning: label files that are not read.

    Raises:
        CorpusError: as of `read_folder` and `split_folder`; or there is no background at all.
    """
    found = read_folder(corpus_dir, word=word, speaker=speaker)
    if more_background:
        other = corpus_dir / more_background
        survey = Survey(other) if other.is_dir() else None
        if survey is None or not survey.audio:
            raise CorpusError(f"{other}: holds no recordings; corpus.more_background names a folder of background")
        names = find_speakers(list(survey.audio), [], [None] * len(survey.audio), "auto").names
        known = {u.audio.resolve() for u in (*found.keywords, *found.background)}  # a folder may hold the other
        more = [
            Utterance(f"background/{key}", path, "", name)
            for (key, path), name in zip(survey.audio.items(), names, strict=True)
            if path.resolve() not in known
        ]
        label_files = (*found.label_files, *(f"{other / key}" for key in label_files_of(survey)))
        found = replace(found, background=(*found.background, *more), label_files=label_files)
    if found.unread:
        warnings.warn(found.unread, CorpusWarning, stacklevel=2)
    n_words = {label: _n_words(found.spellings.get(label, label)) for label in found.labels}
    bounded = with_word_bounds(found.keywords, jobs=jobs, skip_bad=skip_bad, n_words=n_words)
    placed = {u.id: u for u in bounded}
    # What cannot be listened to serves no split but that in which `prep` names it.
    usable = tuple(u for u in found.keywords if u.id in placed and _duration(u))
    splits = split_folder(replace(found, keywords=usable), dev=dev, test=test, seed=seed, skip_bad=skip_bad, jobs=jobs)
    for name, own in splits.items():
        splits[name] = [*(placed[u.id] for u in own if u.text), *(u for u in own if not u.text)]
    splits["train"] += [placed[u.id] for u in found.keywords if u.id in placed and not _duration(u)]
    if made_dir is None and (synthetic or other_voices):
        raise CorpusError("recordings are made by `audiornn prep`, which gives the folder for them")
    if made_dir is not None and other_voices:
        for label in found.labels:
            said = [u for u in splits["train"] if u.segments and u.segments[0].label == label and _duration(u)]
            splits["train"] += in_other_voices(said, other_voices, made_dir / "voices", seed=seed, jobs=jobs)
    if not synthetic:
        if not found.background:
            raise CorpusError(f"{corpus_dir}: holds no background, and corpus.synthetic = false makes none")
        return splits
    assert made_dir is not None, "asked for above"
    return with_synthetic_speech(
        splits, found.spellings, made_dir, n_words=synthetic_words, talk_minutes=talk_minutes, seed=seed, jobs=jobs
    )


def with_synthetic_speech(
    splits: Mapping[str, Sequence[Utterance]],
    spellings: Mapping[str, str],
    made_dir: Path,
    *,
    n_words: int,
    talk_minutes: float,
    seed: int = 1,
    jobs: int = 1,
) -> Splits:
    """The splits with what synthetic voices say: the word and near misses in train, talk where it is wanted."""
    joined = {name: list(own) for name, own in splits.items()}
    phrases = list(spellings.values())
    nearly = [near for phrase in phrases for near in near_misses(phrase, apart_from=phrases)]
    for label, phrase in spellings.items():
        spoken = speak_words([phrase], n_words, made_dir / "words", split="train", seed=seed, jobs=jobs, text=label)
        joined["train"] += with_word_bounds(spoken, jobs=jobs, n_words={label: _n_words(phrase)})
    for name in SPLITS:
        hours = sum(_duration(u) for u in joined[name] if not u.segments and not _is_noise(u)) / 3600
        if name != "train" and hours >= _MUCH:
            continue
        share = 1.0 if name == "train" else 1 / 3
        talk = speak_talk(share * talk_minutes, made_dir / "talk", split=name, without=phrases, seed=seed, jobs=jobs)
        joined[name] += talk
    # Nobody says near misses all day: where false alarms are counted by the hour there are none.
    joined["train"] += speak_words(nearly, n_words, made_dir / "near", split="train", seed=seed, jobs=jobs, text="")
    return joined


def _is_noise(utterance: Utterance) -> bool:
    return any(map(_NOISE.fullmatch, utterance.id.split("/")[:-1]))


def _n_words(phrase: str) -> int:
    return len(plain_words(phrase).split())


def _duration(utterance: Utterance) -> float:
    if utterance.duration is not None:
        return utterance.duration
    try:
        return audio_info(utterance.audio).duration
    except AudioError:
        return 0.0
