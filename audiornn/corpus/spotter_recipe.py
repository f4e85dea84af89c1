"""`audiornn new --task spot`: a recipe for a wake word of the user's own."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audiornn.audio import audio_info
from audiornn.corpus.layouts.survey import Survey, named
from audiornn.corpus.manifest import SPLITS
from audiornn.corpus.recipe_settings import Setting, feature_settings
from audiornn.corpus.spotter import FEWEST, Splits, split_folder
from audiornn.corpus.spotter_folder import SpotterFolder, label_files_of, read_folder
from audiornn.errors import AudioError, CorpusError
from audiornn.features import FeatureSettings
from audiornn.text import word_places

__all__ = ["NewSpotter", "read_spotter", "spotter_prepare", "spotter_readme"]

_HEADERS = 50  # of recordings that are read
_OTHER_VOICES = 200  # as the written `prepare` has it

_PREPARE = '''\
"""A spotter for {what}: written by `audiornn new`, and yours to change."""

from pathlib import Path

from audiornn.corpus.manifest import Utterance
from audiornn.corpus.spotter import prepare_spotter


def prepare(
    corpus_dir: Path,
    *,
    word: str = "",
    speaker: str = "auto",
    more_background: str = "",
    synthetic: bool = True,
    synthetic_words: int = 200,
    talk_minutes: float = 120.0,
    other_voices: int = {other_voices},
    skip_bad: bool = False,
    dev: float = 0.15,
    test: float = 0.1,
    seed: int = 1,
    made_dir: Path | None = None,
    jobs: int = 1,
) -> dict[str, list[Utterance]]:
    """Read the recordings, find the word in each, and split them.

    Args:
        corpus_dir: where they lie.
        word: its spelling, which is also what its hits are called; empty takes the folders' names.
        speaker: none, folder:N, or a regular expression with a group `speaker`.
        more_background: a folder of recordings in which the word is not said.
        synthetic: whether synthetic voices say the word, others nearly like it, and talk, to train on.
        synthetic_words: how often they say the word.
        talk_minutes: how long they talk in train; in dev and test a third of it, where there is no background of yours.
        other_voices: recordings of the word in train that are altered into other voices, each in several.
        skip_bad: leave out recordings of the word that hold only silence.
        dev: share for dev, which the threshold is chosen on.
        test: share for test.
        seed: another seed draws others.
        made_dir: where what is made is written.
        jobs: processes.
    """
    return prepare_spotter(
        corpus_dir,
        word=word,
        speaker=speaker,
        more_background=more_background,
        synthetic=synthetic,
        synthetic_words=synthetic_words,
        talk_minutes=talk_minutes,
        other_voices=other_voices,
        skip_bad=skip_bad,
        dev=dev,
        test=test,
        seed=seed,
        made_dir=made_dir,
        jobs=jobs,
    )
'''


@dataclass(frozen=True)
class NewSpotter:
    """What was understood of a folder.

    Attributes:
        found: the recordings.
        splits: of them, before synthetic speech is added.
        settings: of recipe.toml.
        understood: lines that say what was read.
        guessed: lines that say what was guessed, each with how to change it.
        warnings: lines that say what the spotter will not be good at, and the remedy.
    """

    found: SpotterFolder
    splits: Splits
    settings: tuple[Setting, ...]
    understood: tuple[str, ...]
    guessed: tuple[str, ...]
    warnings: tuple[str, ...]


def read_spotter(
    source: Path,
    *,
    name: str,
    word: str = "",
    speaker: str = "auto",
    background: Path | None = None,
    skip_bad: bool = False,
) -> NewSpotter:
    """Read a folder for `new --task spot`; headers only.

    Args:
        source: as of `corpus.spotter`.
        name: the recipe's, after which the word is called where no folder is.
        word: the keyword's spelling.
        speaker: as of `read_folder`.
        background: another folder of background.
        skip_bad: whether prep leaves out what it cannot use.

    Raises:
        CorpusError: no positives, too few of them, or no such folder.
    """
    beside = Survey(background) if background is not None and background.is_dir() else None
    if background is not None and not (beside and beside.audio):
        raise CorpusError(f"{background}: holds no recordings; --other names a folder of background")
    found = read_folder(source, word=word, speaker=speaker, recipe=name)
    if background is not None and beside:
        more = (f"{background / key}" for key in label_files_of(beside))
        found = replace(found, label_files=(*found.label_files, *more))
    reason = "as asked for" if word else "after the recipe's name"
    splits = split_folder(found, copies={})
    n_elsewhere = len(beside.audio) if beside else 0
    also = f", and {n_elsewhere:,} of {background}, which prep adds and the table below leaves out"
    understood = (
        f"the word: {_labels(found)}",
        f"not the word: {len(found.background):,} recordings{also if n_elsewhere else ''}",
    )
    is_spelled = bool(word) or not re.search(r"\d", found.word)
    is_said = bool(found.spellings) and is_spelled
    rate = _lowest_rate(found)
    warnings = _warnings(found, is_said=is_said, has_background=bool(found.background or beside))
    corpus: list[tuple[str, Any, str]] = [("word", found.word, reason), ("speaker", speaker, "as asked for")]
    if not is_spelled:
        corpus.append(("synthetic_words", 0, "who knows how it is said"))
    if skip_bad:
        corpus.append(("skip_bad", True, "as asked for: recordings of the word that hold only silence are left out"))
    if background is not None:
        corpus.append(("more_background", str(background.resolve()), "recordings in which the word is not said"))
    settings = (
        Setting("", "task", "spot"),
        Setting("", "licence", "", "of the recordings; the model file carries it"),
        Setting("", "corpus_dir", str(source.resolve())),
        *(Setting("corpus", *row) for row in corpus if row[:2] not in (("word", ""), ("speaker", "auto"))),
        *spotter_settings(rate),
    )
    guessed = _guessed(found, rate, reason=reason, is_said=is_said, is_asked=bool(word), speaker=speaker)
    return NewSpotter(found, splits, settings, understood, guessed, warnings)


def _labels(found: SpotterFolder) -> str:
    return named(f"{label} ({n:,})" for label, n in found.labels.most_common())


def _guessed(
    found: SpotterFolder, rate: int, *, reason: str, is_said: bool, is_asked: bool, speaker: str
) -> tuple[str, ...]:
    """Lines that say what was guessed, each with how to change it.

    Args:
        found: the recordings.
        rate: Hz at which they are heard.
        reason: for the word.
        is_said: whether synthetic voices can say it.
        is_asked: whether it was asked for by its spelling.
        speaker: as it was asked for.
    """
    lines = list(found.speakers)
    if is_said:
        by_name = "each is its folder's name"
        otherwise = by_name if len(found.labels) > 1 else "--word 'hey computer' spells it otherwise"
        lines.append(
            f"spelled {named(map(repr, found.spellings.values()))}{' ' + reason if found.word else ''}: synthetic "
            f"voices say it, in train only; {otherwise}, corpus.synthetic_words = 0 leaves them out"
        )
    lines.append(
        f"{_OTHER_VOICES} copies of the word's recordings in train have other voices; corpus.other_voices changes it"
    )
    if found.word and not is_asked and found.depth > 1 and speaker != "folder:1":
        lines.append(
            f"each folder at the top holds one of {found.word!r}, as the recipe is called: that is the word, and they "
            "are speakers' or the like; under another name of the recipe each of them is a word"
        )
    if found.beside:
        lines.append(
            f"{found.beside} recordings at the top, beside the folders, are taken for what is not the word; those that "
            "say it belong into its folder"
        )
    if rate < FeatureSettings().sample_rate:
        lines.append(
            f"all is heard at {rate:,} Hz, the lowest rate of recordings looked at, so that bandwidth does not tell "
            "the word; features.sample_rate changes it"
        )
    return tuple(lines)


def _warnings(found: SpotterFolder, *, is_said: bool, has_background: bool) -> tuple[str, ...]:
    """Lines that say what the spotter will not be good at, and the remedy."""
    lines = [
        f"{n} recordings of {label!r} are few: expect strangers to be missed; 50 by ten people are a good start"
        for label, n in found.labels.items()
        if n < 3 * FEWEST
    ]
    if len(found.labels) > 1:
        lines.append(
            f"{len(found.labels)} keywords, one a folder: {_labels(found)}; if only one of them is meant, --word names "
            "it and the others are what it is told from"
        )
    lines += [
        f"{part!r} is a part of {whole!r}: who says the whole says the part, too, which cannot be told before the rest "
        "comes, and counts as a false alarm; keywords without common words are told apart better"
        for whole, part in itertools.permutations(found.labels, 2)
        if word_places(whole, part) and not word_places(part, whole)
    ]
    if not is_said:
        lines.append(
            "no synthetic voice says the word, for its spelling is not known: --word 'hey computer'; where people have "
            "said it a few dozen times only, that is worth most"
        )
    if not has_background:
        lines.append(
            "no background: synthetic voices talk instead, in train, dev and test. They are no people: how often the "
            "spotter fires at real speech, the numbers of `evaluate` do not say. Better are hours of speech and noise "
            "as they will be heard: a folder `background` beside the word's, or --other DIR"
        )
    if found.unread:
        lines.append(found.unread)
    if found.unusable:
        file, reason = found.unusable[0]
        lines.append(f"{len(found.unusable)} files are left out: {file}: {reason}")
    return tuple(lines)


def _lowest_rate(found: SpotterFolder) -> int:
    """Hz, of some recordings: what is missing above half of it must not tell the word from the rest."""
    rates = []
    for group in (found.keywords, found.background):
        for utterance in group[:: max(1, len(group) // _HEADERS)]:
            with contextlib.suppress(AudioError):  # prep names it
                rates.append(audio_info(utterance.audio).sample_rate)
    return min(16000, max(8000, min(rates, default=16000)))


def spotter_settings(rate: int) -> tuple[Setting, ...]:
    """What did best with the words tried (docs/ablation.md); `rate` in Hz."""
    return (
        *feature_settings(rate, log_mel=True),
        Setting("model", "bidirectional", False, "it answers as the word ends, and streams"),
        Setting("model", "front", "conv2d"),
        Setting("model", "front_layers", 4),
        Setting("model", "front_channels", 24, "small: it listens all day"),
        Setting("model", "stride", 3, "an output every 30 ms"),
        Setting("augment", "channel", 10.0, "other microphones"),
        Setting("augment", "reverb", 0.3, "other rooms"),
        Setting("augment", "band_limit", 0.1, "and telephones"),
        Setting("augment", "noise", 0.3),
        Setting("spotting", "synthetic", 0.6, "share of synthetic voices; with hours of real talk as background, 0.3"),
        Setting("training", "consistency", 1.0, "twice the work, and far fewer words missed at as few false alarms"),
        Setting("training", "epochs", 32),
        Setting("training", "final_rate", 0.4, "steps stay long, and the mean of ten epochs' weights is kept:"),
        Setting("training", "average", 10.0, "steadier than where any of them ends"),
    )


def spotter_prepare(found: SpotterFolder) -> str:
    """prepare.py."""
    return _PREPARE.format(
        other_voices=_OTHER_VOICES, what=" and ".join(json.dumps(label, ensure_ascii=False) for label in found.labels)
    )


def spotter_readme(name: str, made: NewSpotter, commands: Sequence[str]) -> str:
    """README.md."""
    counts = [
        f"| {split} | {sum(bool(u.text) for u in made.splits[split])} | {sum(not u.text for u in made.splits[split])} |"
        for split in SPLITS
    ]
    parts = [
        f"# {name}",
        "",
        f"A spotter for {named(map(repr, made.found.labels))}, from `{made.found.folder.resolve()}`.",
        "",
        *(f"    {command}" for command in commands),
        "",
        "| split | the word | not the word |",
        "|---|---|---|",
        *counts,
        "",
        "Training ends with a threshold for `spotting.false_alarms_per_hour` (0.5), chosen on dev; `evaluate` says",
        "what it misses on test, how often it fires by mistake, and what the hours tested can show.",
        "",
        *(f"- {line}" for line in (*made.understood, *made.guessed, *made.warnings)),
    ]
    return "\n".join(parts) + "\n"
