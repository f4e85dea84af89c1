"""`audiornn new`: a recipe for a user's own recordings, that `prep` and `train` run as it is.

What was guessed stands in its recipe.toml, each with the reason, so that all of it is changed there or by `--set`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from audiornn.audio import EXTENSIONS, AudioInfo, audio_info
from audiornn.corpus.collection import Collection, embedded_headers, read_collection
from audiornn.corpus.contrast import N_CONTRASTS, OTHER, cut_background, other_recordings
from audiornn.corpus.copies import MOST
from audiornn.corpus.layouts.survey import named
from audiornn.corpus.manifest import SPLITS, Utterance
from audiornn.corpus.recipe_files import NewRecipe, recipe_prepare, recipe_readme, write_files
from audiornn.corpus.recipe_settings import LEFT_OUT, Setting, heard_seconds, model_settings, unlearnable
from audiornn.corpus.splitting import Division, divide
from audiornn.corpus.spotter_recipe import NewSpotter, read_spotter, spotter_prepare, spotter_readme
from audiornn.corpus.stretches import LONGEST, STRETCH, cut_few, cut_long
from audiornn.errors import AudioError, SettingsError
from audiornn.vocabulary import is_background

__all__ = ["write_recipe"]

_HELD_OUT_FROM, _TOLD_FROM = 8, 60  # recordings of a label, and of all; fewer are all learnt from
_FEW = 10  # recordings of a label
_FEW_IN_ALL = 500  # recordings to learn words from
#: Settings that let training start from a network that has heard words.
_START = "recipes/spelled_words/words.toml"
_RATES = (100, 384_000)  # Hz
_HEADERS = 200  # recordings whose header is read
_SHARE = 0.1  # of dev and of test, as `divide` has them
_LONG = 2.0  # background this many times as long as the words is cut


def write_recipe(
    name: str,
    source: Path,
    *,
    recipes: Path = Path("recipes"),
    layout: str = "auto",
    text: str = "",
    audio: str = "",
    speaker: str = "auto",
    task: str = "auto",
    encoding: str = "",
    skip_bad: bool = False,
    other: Path | None = None,
    word: str = "",
    sample_rate: int | None = None,
) -> NewRecipe:
    """Write `recipes/NAME` for a folder of recordings, or for a table of them.

    Args:
        name: letters, digits, - and _.
        source: as of `read_collection`, and the arguments up to `skip_bad`, too.
        recipes: the folder of recipes.
        layout: one of `LAYOUTS`, or "auto".
        text: the column of texts or labels; the tier; `folder:N`; or a regular expression with a group `text`.
        audio: the column of paths.
        speaker: auto, none, folder, folder:N, column:NAME, or a regular expression with a group `speaker`.
        task: classify, transcribe, label, regress, spot, or "auto".
        encoding: of tables and transcripts.
        skip_bad: leave out lines whose audio is missing.
        other: recordings in which none of the labels is said.
        word: of a spotter, the spelling of its word.
        sample_rate: Hz at which all is heard; None finds one.

    Raises:
        SettingsError: the name will not do, or is taken; arguments that contradict each other.
        CorpusError: as of `read_collection`.
    """
    folder = recipes / _checked_name(name, recipes)
    asked: dict[str, Any] = {"layout": layout, "text": text, "audio": audio, "speaker": speaker, "encoding": encoding}
    _refuse_contradictions(task, asked, word, sample_rate)
    if task == "spot":
        spotter = read_spotter(
            source, name=folder.name, word=word, speaker=speaker, background=other, skip_bad=skip_bad
        )
        return _write_spotter(folder, source, spotter)
    collection = read_collection(source, task=task, skip_bad=skip_bad, yes_or_no=None, **asked)
    if other is not None and collection.task != "classify":
        has = {"transcribe": "a transcript", "label": "stretches with labels", "regress": "values over time"}
        raise SettingsError(f"--other is for recordings with labels; here each has {has[collection.task]}")
    stretches = cut_few(collection)
    are_all_needed = _are_all_needed(collection)
    share = 0.0 if are_all_needed else _SHARE
    division = divide(stretches, dev=share, test=share)
    by_recording = division.by_recording and len(collection.utterances) <= MOST
    lines = ["prep looks for copies and keeps them in one split, so its counts may differ"] if by_recording else []
    is_lonely = collection.task == "classify" and len(collection.labels) == 1 and not collection.several
    headers = _headers(stretches, source, text, audio)
    corpus = _corpus_settings(collection, source, asked, skip_bad)
    if are_all_needed:
        reason = (
            f"fewer than {_HELD_OUT_FROM} recordings a label are all for training: a few held out would tell nothing"
        )
        corpus += [Setting("corpus", "dev", 0.0, reason), Setting("corpus", "test", 0.0, "likewise")]
    splits, contrast_settings, warnings = _with_others(stretches, division, headers, other, is_lonely, source, share)
    task_settings, guessed = model_settings(collection, splits, headers, sample_rate=sample_rate)
    settings = [*_top_settings(collection, division), *corpus, *contrast_settings, *task_settings]
    warnings += [
        *unlearnable(splits, settings),
        *_too_few(collection, splits),
        *_start(collection, splits, settings, folder),
    ]
    prep = f"audiornn prep {folder.as_posix()}"
    if any(LEFT_OUT in line for line in (*warnings, *guessed)):
        prep += " --skip-bad"
    made = NewRecipe(
        folder=folder,
        collection=collection,
        splits=splits,
        understood=(*collection.understood, *division.lines, *lines),
        guessed=(*collection.guessed, *_stretch_line(collection.task, contrast_settings), *guessed),
        warnings=tuple(warnings),
        by_recording=by_recording,
        commands=(prep, "audiornn train", "audiornn evaluate"),
    )
    others = "other" if other is not None else "contrast" if is_lonely else ""
    write_files(folder, readme=recipe_readme(made, source), prepare=recipe_prepare(made, others), settings=settings)
    return made


def _write_spotter(folder: Path, source: Path, spotter: NewSpotter) -> NewRecipe:
    found = spotter.found
    commands = (f"audiornn prep {folder.as_posix()}", "audiornn train", "audiornn evaluate", "audiornn spot FILE")
    made = NewRecipe(
        folder=folder,
        collection=Collection(source, "folders", "spot", (*found.keywords, *found.background)),
        splits=spotter.splits,
        understood=spotter.understood,
        guessed=spotter.guessed,
        warnings=spotter.warnings,
        by_recording=True,
        commands=commands,
    )
    readme = spotter_readme(folder.name, spotter, commands)
    write_files(folder, readme=readme, prepare=spotter_prepare(found), settings=spotter.settings)
    return made


def _checked_name(name: str, recipes: Path) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_\-]*", name):
        meant = re.sub(r"[^A-Za-z0-9_\-]+", "_", Path(name).name).strip("_-") or "my_words"
        raise SettingsError(
            f"{name!r}: a recipe's name is of letters, digits, - and _ only, for instance {meant!r}; "
            "the folder of recipes is named with --recipes, that of the recordings with --from"
        )
    if (recipes / name).exists():
        raise SettingsError(f"{recipes / name}: is there already; choose another name, or delete it first")
    return name


def _refuse_contradictions(task: str, asked: Mapping[str, Any], word: str, sample_rate: int | None) -> None:
    """Raise what is wrong with the arguments whatever the recordings are."""
    if task == "spot":
        if sample_rate is not None:
            raise SettingsError("--sample-rate is not for --task spot: words are heard at 16,000 Hz or less")
        for option, value in asked.items():
            if option != "speaker" and value not in ("", "auto"):
                named_so = "label" if option == "text" else option
                raise SettingsError(
                    f"--{named_so} is not for --task spot, which reads a folder a label; see new --help"
                )
        return
    if word:
        raise SettingsError("--word spells the word of a spotter: add --task spot")
    if sample_rate is not None and not _RATES[0] <= sample_rate <= _RATES[1]:
        low, high = _RATES
        raise SettingsError(f"--sample-rate {sample_rate}: recordings are heard at {low:,} to {high:,} Hz")


def _top_settings(collection: Collection, division: Division) -> list[Setting]:
    top = [
        Setting("", "task", collection.task),
        Setting("", "licence", "", "of the recordings; the model file carries it"),
        Setting("", "corpus_dir", str(collection.folder.resolve())),
    ]
    if division.shared_speakers:
        top.append(Setting("", "shared_speakers", True, "the splits share speakers; strangers may fare worse"))
    return top


def _headers(collection: Collection, source: Path, text: str, audio: str) -> list[tuple[Utterance, AudioInfo]]:
    """Headers of some utterances, spread over all, and rather of those that are not background."""
    if collection.embedded:
        return embedded_headers(collection, source, _HEADERS, text=text, audio=audio)
    all_of_them = collection.utterances
    found = []
    for i in range(min(_HEADERS, len(all_of_them))):
        utterance = all_of_them[i * len(all_of_them) // min(_HEADERS, len(all_of_them))]
        try:
            found.append((utterance, audio_info(utterance.audio)))
        except AudioError:
            continue  # prep names it
    return found


def _corpus_settings(collection: Collection, source: Path, asked: Mapping[str, Any], skip_bad: bool) -> list[Setting]:
    """The arguments of `prepare` that write down what was guessed or asked for."""
    found: dict[str, tuple[Any, str]] = {"layout": (collection.layout, "guessed; README.md names the others")}
    if not source.is_dir():
        found["list_file"] = (source.name, "of all below corpus_dir only what it lists")
    for key, value in asked.items():
        if value not in ("", "auto"):
            found[key] = (value, "as asked for")
    reasons = {
        "text": "where the label stands",
        "speaker": "none, folder:N, column:NAME or a regular expression",
        "track_hop": "seconds from row to row of .npy files",
        "yes_or_no": "an empty text says that the one label does not hold",
    }
    for key, value in collection.settings.items():
        found.setdefault(key, (value, f"guessed: {reasons[key]}"))
    if skip_bad:
        found["skip_bad"] = (True, "some lines name recordings that are not there, or some lists cannot be read")
    return [Setting("corpus", key, value, reason) for key, (value, reason) in found.items()]


def _with_others(
    collection: Collection,
    division: Division,
    headers: Sequence[tuple[Utterance, AudioInfo]],
    other: Path | None,
    is_lonely: bool,
    source: Path,
    share: float,
) -> tuple[dict[str, list[Utterance]], list[Setting], list[str]]:
    """The splits with what the labels are told from; the settings for it, and what to say of it."""
    splits = {name: list(utterances) for name, utterances in division.splits.items()}
    if collection.task in ("label", "regress"):
        if all(heard_seconds(u, header) <= LONGEST for u, header in headers):
            return splits, [], []
        reason = "seconds: longer recordings are cut for training and dev, tested whole; 0 leaves them whole"
        return cut_long(splits, STRETCH), [Setting("corpus", "stretch", STRETCH, reason)], []
    if collection.task != "classify":
        return splits, [], []
    words = [heard_seconds(u, header) for u, header in headers if is_lonely or not is_background(u.text)]
    seconds = round(median(words), 2) if words else 1.0
    if other is not None:
        splits = other_recordings(splits, other, seconds, dev=share, test=share)
        where = Setting("corpus", "other", str(other.resolve()), f"recordings that become {OTHER}")
        return splits, [where, Setting("corpus", "stretch", seconds, "seconds, as long as a labelled recording")], []
    if is_lonely:
        label = next(iter(collection.labels))
        made = {
            name: own + [replace(u, text=OTHER) for u in own for _ in range(N_CONTRASTS)]
            for name, own in splits.items()
        }
        return made, [], [_lonely_line(collection, label, source)]
    long = [heard_seconds(u, header) for u, header in headers if is_background(u.text)]
    if not any(length >= _LONG * seconds for length in long):
        return splits, [], []
    reason = "seconds: longer recordings of what is not meant are cut so, or their length would tell them"
    share = 0.0 if collection.splits else share
    return cut_background(splits, seconds, dev=share, test=share), [Setting("corpus", "stretch", seconds, reason)], []


def _stretch_line(task: str, settings: Sequence[Setting]) -> list[str]:
    seconds = next((setting.value for setting in settings if setting.key == "stretch"), None)
    if seconds is None:
        return []
    if task != "classify":
        return [f"recordings are trained on in stretches of {seconds} s; corpus.stretch changes it"]
    return [
        f"longer recordings of what is not meant are cut into stretches of {seconds} s, as long as the words are; "
        "corpus.stretch changes it, 0 leaves them whole"
    ]


def _are_all_needed(collection: Collection) -> bool:
    """Whether recordings are too few to hold any out: of five of a word three would be left, and one be the test."""
    if collection.task != "classify" or collection.splits:
        return False
    labels = collection.labels
    counts = [n for label, n in labels.items() if not is_background(label)] or list(labels.values())
    return max(counts, default=0) < _HELD_OUT_FROM and sum(counts) < _TOLD_FROM


def _too_few(collection: Collection, splits: Mapping[str, Sequence[Utterance]]) -> list[str]:
    """What small numbers will not do."""
    lines = []
    labels = collection.labels.most_common() if collection.task == "classify" else []
    if few := [label for label, n in labels if n < _FEW and not is_background(label)]:
        lines.append(
            f"fewer than {_FEW} recordings of {named(map(repr, few))}: expect strangers to be mistaken; 50 by ten "
            "people are a good start, and `train --from` one that knows other words does with fewer"
        )
    if empty := [name for name in SPLITS[1:] if not splits[name]]:
        lines.append(
            f"{' and '.join(empty)} hold{'s' * (len(empty) == 1)} nothing, so how well it hears cannot be told: record "
            "more, or others for `evaluate --manifest`"
        )
    return lines


def _start(
    collection: Collection, splits: Mapping[str, Sequence[Utterance]], settings: Sequence[Setting], folder: Path
) -> list[str]:
    """Of a classifier of few recordings, at the rate of the network that we bring: that it may start from it."""
    has_own_rate = any((setting.section, setting.key) == ("features", "sample_rate") for setting in settings)
    if collection.task != "classify" or has_own_rate or not 0 < len(splits["train"]) < _FEW_IN_ALL:
        return []
    return [
        f"if these are words that people say, `audiornn prep {folder.as_posix()} --set {_START}` lets training start "
        "from what 593 people say: of words that none of them said 96 % are right with 50 recordings each, and 88 % "
        "without it (docs/transfer.md); for all other sounds it is worse"
    ]


def _lonely_line(collection: Collection, label: str, source: Path) -> str:
    parent = source.resolve().parent
    beside = sorted(p.name for p in parent.iterdir() if p.is_dir() and p != source.resolve() and _holds_audio(p))
    hint = f", or give the parent folder, which holds {named(beside, 3)}, too: --from {parent}" if beside else ""
    return (
        f"one label only, {label!r}: as {OTHER}, prep makes recordings of yours played backwards, in shuffled pieces "
        f"and as noise; the model will take much other speech for {label!r}. Better is other speech by other people: "
        f"--other DIR{hint}"
    )


def _holds_audio(folder: Path) -> bool:
    """A look at the first files only: the parent may be a whole disk."""
    files = itertools.islice(itertools.chain(folder.glob("*"), folder.glob("*/*")), 500)
    return not folder.name.startswith(".") and any(file.suffix.lower() in EXTENSIONS for file in files)
