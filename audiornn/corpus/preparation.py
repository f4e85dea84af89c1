"""`prep`: a corpus becomes manifests and features, checked, in a folder that `train` needs nothing else of.

data/<recipe>/
  train.jsonl  dev.jsonl  test.jsonl      manifests
  train.npz    dev.npz    test.npz        where each utterance's frames are
  train.tracks.npy  …                     values at each frame, where a network is to regress them
  features/                               shards of frames
  made/                                   recordings that the recipe makes out of the corpus, if it does
  audit.json  audit.html                  what would spoil a result, to read and to hear
  prepared.json                           the settings, the vocabulary, the summary; written last
  .lock                                   held by the process that prepares here
"""

from __future__ import annotations

import dataclasses
import io
import json
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiornn import __version__
from audiornn.corpus.audit import Audit, audit, write_audit
from audiornn.corpus.feature_store import (
    FeatureStore,
    StoredUtterance,
    compute_features,
    read_measures,
    remove_others,
)
from audiornn.corpus.findings import Corpus
from audiornn.corpus.fingerprint import fingerprint, folders_read, is_as_noted, note_files_elsewhere, places_named
from audiornn.corpus.manifest import SPLITS, Manifest, Segment, Utterance, digest, write_manifest
from audiornn.corpus.measure import Measured
from audiornn.corpus.segment_checks import segment_problem
from audiornn.corpus.tracks import tracks_at_frames
from audiornn.errors import CorpusError, CorpusWarning, SettingsError
from audiornn.files import encode_json, locked, remove_partials, write_atomically
from audiornn.lexicon import read_lexicon
from audiornn.recipe import Recipe
from audiornn.vocabulary import NO_LABEL, Vocabulary, ctc_length

__all__ = ["Prepared", "SplitSummary", "last_prepared", "open_prepared", "prepare_corpus"]

_UNFINISHED = "unfinished.json"  # beside what an earlier prep made, while another runs or where it failed
_LISTED = 20  # cases of an error in a message; bad.txt names them all


@dataclass(frozen=True)
class SplitSummary:
    """A row of the table that `prep` prints; and how many utterances it left out."""

    split: str
    utterances: int
    hours: float
    speakers: int
    labels: int
    left_out: int = 0


@dataclass(frozen=True)
class Prepared:
    """A corpus that is ready for training.

    Attributes:
        folder: where it lies.
        recipe: the settings it was prepared with.
        recipe_folder: where those were read.
        overrides: the `--set`s of `prep`.
        vocabulary: of the training split.
        summary: a row a split.
        skipped: how many bad utterances `--skip-bad` left out.
        notes: what else is to be known: what the recipe itself left out, tracks that a split does not hold.
        text_changes: how many texts the rules of `[vocabulary]` changed, by what they changed.
        audit: the audit's table, as text.
        digests: a fingerprint of who says what, a split.
        unchanged: whether this `prep` found nothing to do.
    """

    folder: Path
    recipe: Recipe
    recipe_folder: Path
    overrides: tuple[str, ...]
    vocabulary: Vocabulary
    summary: tuple[SplitSummary, ...]
    skipped: int
    text_changes: Mapping[str, int]
    audit: str
    digests: Mapping[str, str]
    notes: tuple[str, ...] = ()
    unchanged: bool = False

    @property
    def is_outdated(self) -> bool:
        """Whether a later `prep` of the same recipe failed, or was stopped."""
        return (self.folder / _UNFINISHED).exists()

    def utterances(self, split: str) -> Sequence[Utterance]:
        """The manifest of a split, read line by line as it is asked for."""
        return Manifest(self.folder / f"{split}.jsonl")

    def features(self, split: str) -> FeatureStore:
        """The log-mel frames of a split, in its manifest's order."""
        return FeatureStore.open(self.folder / f"{split}.npz", self.folder / "features")

    def tracks(self, split: str) -> Sequence[NDArray[np.float32]]:
        """The targets of a network that regresses, (frames, tracks) of each utterance; NaN where not defined."""
        file = self.folder / f"{split}.tracks.npy"
        try:
            rows = np.load(file, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise CorpusError(f"{file}: cannot be read ({error}); run `audiornn prep` again") from None
        lengths = Prepared.features(self, split).lengths  # as the file has them, whatever part of it a fold takes
        return np.split(rows, np.cumsum(lengths)[:-1])


def prepare_corpus(
    recipe: Recipe,
    corpus_dir: Path,
    data_dir: Path,
    *,
    overrides: Sequence[str] = (),
    n_jobs: int = 1,
    skip_bad: bool = False,
    progress: Callable[[int, int], None] = lambda n_done, n_all: None,
) -> Prepared:
    """Prepare a corpus; quick where nothing has changed since the last time.

    Args:
        recipe: with its folder.
        corpus_dir: the corpus in its published layout.
        data_dir: gets a folder of the recipe's name.
        overrides: the `--set`s the recipe was loaded with, to be remembered.
        n_jobs: worker processes.
        skip_bad: leave out, and count, what would otherwise be an error.
        progress: called with utterances done and utterances in all.

    Raises:
        CorpusError: the corpus is incomplete, recordings are unreadable, splits leak, targets are impossible, or
            another process is preparing the same recipe.
    """
    if not corpus_dir.is_dir():
        raise CorpusError(f"{corpus_dir}: no such corpus folder")
    folder = data_dir / recipe.name
    if folder.resolve() == corpus_dir.resolve():
        raise CorpusError(
            f"{folder}: prep would write among the recordings, which lie in just this folder; --data DIR names another"
        )

    def refuse() -> None:
        raise CorpusError(f"{folder}: another `audiornn prep` is at work there; run this one when that has ended")

    with locked(folder / ".lock", refuse):  # each would remove what the other is writing
        closed: list[str] = []
        state = fingerprint(recipe, corpus_dir, data_dir, skip_bad, closed.append)
        if closed and not skip_bad:
            raise CorpusError(f"{closed[0]}; ask its owner, or leave it out with --skip-bad")
        known = _read_json(folder / "prepared.json")
        if known is not None and known.get("fingerprint") == state and _is_whole(folder, recipe.task):
            # Written anew: the recipe prepared last is what `train` takes, and with the overrides given last.
            _write_json(folder / "prepared.json", {**known, **_recipe_entry(recipe, overrides)})
            (folder / _UNFINISHED).unlink(missing_ok=True)
            return dataclasses.replace(open_prepared(folder), unchanged=True)

        if known is not None:  # until all is well `train` says that what it trains is of an earlier prep
            _write_json(folder / _UNFINISHED, {})
        made, notes = _made(recipe, corpus_dir, folder / "made", n_jobs, skip_bad)
        notes += [f"left out by --skip-bad: {line}" for line in closed]
        splits = _checked_splits(made, recipe)
        heard = _hear(splits, recipe, folder / "features", n_jobs, progress)
        vocabulary, report, dropped = _audited(heard, recipe, corpus_dir, folder, skip_bad)
        kept = {split: [u for u in heard.splits[split] if u.id not in dropped] for split in SPLITS}
        for split in SPLITS:
            if splits[split] and not kept[split]:
                raise CorpusError(f"split {split}: none of its {len(splits[split])} utterances can be used")

        (folder / "prepared.json").unlink(missing_ok=True)  # from here to the end the folder is not whole
        for split, utterances in kept.items():
            notes += _write_split(folder, split, utterances, heard, vocabulary, recipe)
        _note_files(recipe, corpus_dir, folder, splits)
        entry = {
            "audiornn": __version__,
            "fingerprint": state,
            **_recipe_entry(recipe, overrides),
            "vocabulary": dataclasses.asdict(vocabulary),
            "summary": [
                dataclasses.asdict(_summary(split, own, len(splits[split]), vocabulary, recipe))
                for split, own in kept.items()
            ],
            "skipped": len(dropped),
            "notes": notes,
            "text_changes": _text_changes(kept, vocabulary),
            "audit": report.to_text(),
            "digests": {split: heard.digest(utterances) for split, utterances in kept.items()},
        }
        _write_json(folder / "prepared.json", entry)
        (folder / _UNFINISHED).unlink(missing_ok=True)
        remove_others(folder / "features", list(heard.stored.values()))  # a prep that fails leaves the last one whole
        remove_partials(folder)
        return open_prepared(folder)


def _note_files(recipe: Recipe, corpus_dir: Path, folder: Path, splits: Mapping[str, Sequence[Utterance]]) -> None:
    """Note the state of all files that were read and lie outside the folders that the fingerprint is of."""
    files = [file for own in splits.values() for u in own for file in (u.audio, u.track) if file is not None]
    named = [place for place in places_named(recipe, corpus_dir) if place.is_file()]
    lexicon = [_lexicon_file(recipe, corpus_dir)] if recipe.vocabulary.lexicon else []
    note_files_elsewhere(folder, [*files, *named, *lexicon], folders_read(recipe, corpus_dir))


def _text_changes(kept: Mapping[str, Sequence[Utterance]], vocabulary: Vocabulary) -> dict[str, int]:
    """How many texts the vocabulary's rules change, by what they change, the commonest first."""
    changes = Counter(change for own in kept.values() for u in own for change in vocabulary.changes(u.text))
    return dict(sorted(changes.items(), key=lambda item: (-item[1], item[0])))


@dataclass(frozen=True)
class _Heard:
    """What was learnt of recordings by reading them all once, each by its utterance's id.

    Attributes:
        splits: the utterances, with how long each is.
        stored: where their frames are, or why there are none.
        track_names: of what a network is to regress.
        tracks: its values at every feature frame.
        track_problems: why a recording has none.
        measured: what the audit wants to know.
    """

    splits: Mapping[str, Sequence[Utterance]]
    stored: Mapping[str, StoredUtterance]
    track_names: tuple[str, ...]
    tracks: Mapping[str, NDArray[np.float32]]
    track_problems: Mapping[str, str]
    measured: Measured

    def digest(self, utterances: Sequence[Utterance]) -> str:
        """A fingerprint of who says what, and of the tracks."""
        return digest(utterances, [self.tracks[u.id].tobytes() for u in utterances] if self.tracks else ())


def _hear(
    splits: Mapping[str, Sequence[Utterance]],
    recipe: Recipe,
    features_dir: Path,
    n_jobs: int,
    progress: Callable[[int, int], None],
) -> _Heard:
    """Compute the features of all recordings, and read their tracks."""
    everything = [utterance for split in SPLITS for utterance in splits[split]]
    n_done = 0

    def advance(n: int) -> None:
        nonlocal n_done
        n_done += n
        progress(n_done, len(everything))

    found = compute_features(everything, recipe.features, features_dir, n_jobs=n_jobs, progress=advance)
    stored = dict(zip((utterance.id for utterance in everything), found, strict=True))
    return _Heard(
        {split: [_with_duration(u, stored[u.id]) for u in splits[split]] for split in SPLITS},
        stored,
        *_tracks(everything, stored, recipe),
        read_measures(features_dir, found),
    )


def _audited(
    heard: _Heard, recipe: Recipe, corpus_dir: Path, folder: Path, skip_bad: bool
) -> tuple[Vocabulary, Audit, dict[str, str]]:
    """The vocabulary, the audit's report, and why utterances are left out, by id.

    Raises:
        CorpusError: some cannot be used and are not to be skipped, or none of train can.
    """
    lexicon = _lexicon(recipe, corpus_dir)
    train = heard.splits["train"]
    everything = [utterance for split in SPLITS for utterance in heard.splits[split]]
    # For the report by all of train: a recording that cannot be read must not make its words unknown to the others.
    vocabulary = _vocabulary(recipe, train, lexicon, heard.track_names)
    corpus = Corpus(
        splits=heard.splits,
        measured=heard.measured,
        problems={**_problems(everything, heard.stored, recipe, vocabulary), **heard.track_problems},
        task="label" if recipe.labels_frames else recipe.task,
        several=recipe.vocabulary.several,
        symbols=lambda text: [] if recipe.vocabulary.unit == "phone" else vocabulary.split(text),
        normalise=vocabulary.normalise,
        sample_rate=recipe.features.sample_rate,
        shared_speakers=recipe.shared_speakers,
        made_dir=folder / "made",
    )
    report = audit(corpus)
    write_audit(report, corpus, folder)
    dropped = report.dropped
    _report_bad(report, dropped, len(everything), folder, skip_bad)
    if dropped:
        kept = [utterance for utterance in train if utterance.id not in dropped]
        if not kept:
            raise CorpusError(f"split train: none of its {len(train)} utterances can be used")
        vocabulary = _vocabulary(recipe, kept, lexicon, heard.track_names)
        left = [utterance for utterance in everything if utterance.id not in dropped]
        dropped |= _problems(left, heard.stored, recipe, vocabulary)  # what only the dropped ones could have taught
        _write_bad(dropped, folder)
    return vocabulary, report, dropped


def _write_split(
    folder: Path, split: str, utterances: Sequence[Utterance], heard: _Heard, vocabulary: Vocabulary, recipe: Recipe
) -> list[str]:
    """Write a split's manifest, where its frames are, and its tracks; returns what is to be said of these."""
    write_manifest(folder / f"{split}.jsonl", utterances)
    of_frames = recipe.labels_frames or recipe.task == "regress"
    targets = [[] if of_frames else vocabulary.encode(u.text) for u in utterances]
    FeatureStore.save(folder / f"{split}.npz", [heard.stored[u.id] for u in utterances], targets)
    if recipe.task != "regress":
        return []
    values = [heard.tracks[u.id] for u in utterances]
    _write_array(folder / f"{split}.tracks.npy", values, len(vocabulary))
    return _undefined_tracks(split, values, vocabulary)


def _made(
    recipe: Recipe, corpus_dir: Path, made_dir: Path, n_jobs: int, skip_bad: bool
) -> tuple[dict[str, list[Any]], list[str]]:
    """What the recipe's `prepare` gives, and what is to be said of it: its warnings, and what it left out."""
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always", CorpusWarning)
        left_out = []
        try:
            made = recipe.prepare(corpus_dir, made_dir=made_dir, jobs=n_jobs)
        except CorpusError as error:
            if not skip_bad:
                raise
            raised.clear()
            made = recipe.prepare(corpus_dir, made_dir=made_dir, jobs=n_jobs, skip_bad=True)
            why = str(error).rpartition("; ")[0] or str(error)  # without its remedy
            left_out = [f"left out by --skip-bad: {why}"]
    for other in raised:
        if not issubclass(other.category, CorpusWarning):
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
    return made, left_out + [str(own.message) for own in raised if issubclass(own.category, CorpusWarning)]


def _undefined_tracks(split: str, values: Sequence[NDArray[np.float32]], vocabulary: Vocabulary) -> list[str]:
    """That a split which holds anything has no value of a track."""
    is_defined = np.concatenate([~np.isnan(own) for own in values] or [np.ones((1, len(vocabulary)), bool)])
    lacking = [name for name, column in zip(vocabulary.symbols, is_defined.T, strict=True) if not column.any()]
    return [f"{split} holds no defined value of {', '.join(lacking)}"] if lacking else []


def _recipe_entry(recipe: Recipe, overrides: Sequence[str]) -> dict[str, Any]:
    """What `prepared.json` says of the recipe; it may change without any feature changing."""
    return {
        "recipe": recipe.to_json(),
        "recipe_folder": str(recipe.folder.resolve()) if recipe.folder else "",
        "overrides": list(overrides),
    }


def _is_whole(folder: Path, task: str) -> bool:
    """Whether every file that `prepared.json` stands for is there, and what lies outside the corpus as it was."""
    try:
        open_prepared(folder)
        return is_as_noted(folder) and all(
            (folder / f"{split}.jsonl").is_file()
            and FeatureStore.open(folder / f"{split}.npz", folder / "features").is_whole()
            and (task != "regress" or (folder / f"{split}.tracks.npy").is_file())
            for split in SPLITS
        )
    except CorpusError:
        return False


def open_prepared(folder: Path) -> Prepared:
    """Open what `prep` made.

    Raises:
        CorpusError: there is nothing, or it was made by a version that cannot be read.
    """
    entry = _read_json(folder / "prepared.json")
    if entry is None:
        raise CorpusError(
            f"{folder}: nothing is prepared here; run `audiornn prep recipes/{folder.name}` first, "
            "or say with --data DIR where it was prepared"
        )
    try:
        return Prepared(
            folder=folder,
            recipe=Recipe.from_json(entry["recipe"]),
            recipe_folder=Path(entry["recipe_folder"]),
            overrides=tuple(entry["overrides"]),
            vocabulary=Vocabulary.from_json(entry["vocabulary"]),
            summary=tuple(SplitSummary(**row) for row in entry["summary"]),
            skipped=entry["skipped"],
            notes=tuple(entry.get("notes", ())),
            text_changes=entry["text_changes"],
            audit=entry["audit"],
            digests=entry["digests"],
        )
    except (KeyError, TypeError, SettingsError) as error:
        raise CorpusError(
            f"{folder}: prepared by another version of audiornn ({error}); run `audiornn prep` again"
        ) from None


def last_prepared(data_dir: Path) -> Path:
    """The folder of the recipe prepared last.

    Raises:
        CorpusError: none is prepared.
    """
    made = sorted(data_dir.glob("*/prepared.json"), key=lambda path: path.stat().st_mtime_ns)
    if not made:
        raise CorpusError(f"{data_dir}: no recipe is prepared here; run `audiornn prep RECIPE` first")
    return made[-1].parent


def _checked_splits(splits: Any, recipe: Recipe) -> dict[str, list[Utterance]]:
    """What `prepare` returned, if it can be trained on."""
    where = f"{recipe.folder}/prepare.py"
    if not isinstance(splits, dict) or set(splits) - set(SPLITS):
        raise CorpusError(f"{where}: prepare() must return a dict of {', '.join(SPLITS)}")
    splits = {split: list(splits[split]) if splits.get(split) is not None else [] for split in SPLITS}
    if not splits["train"]:
        raise CorpusError(f"{where}: the training split is empty; is the corpus folder the right one?")
    for utterance in (u for split in SPLITS for u in splits[split]):
        if not isinstance(utterance, Utterance):
            raise CorpusError(f"{where}: prepare() must return Utterances, not {type(utterance).__name__}")
        kinds: tuple[tuple[str, Any, str], ...] = (
            *(("id", str, "str"), ("audio", Path, "Path"), ("text", str, "str"), ("speaker", str | None, "str")),
            *(("start", Real, "number"), ("duration", Real | None, "number"), ("track", Path | None, "Path")),
        )
        for key, kind, wanted in kinds:
            if not isinstance(getattr(utterance, key), kind):
                got = type(getattr(utterance, key)).__name__
                raise CorpusError(f"{where}: {utterance.id!r}: its {key} must be a {wanted}, not {got}")
        if not all(isinstance(segment, Segment) for segment in utterance.segments):
            raise CorpusError(f"{where}: {utterance.id!r}: its segments must be Segments")
        for segment in utterance.segments:
            are_numbers = all(isinstance(time, Real) for time in (segment.start, segment.end))
            if not (are_numbers and isinstance(segment.label, str)):
                raise CorpusError(
                    f"{where}: {utterance.id!r}: {segment} must have numbers of seconds and a label that is a text"
                )
    counts = Counter(utterance.id for split in SPLITS for utterance in splits[split])
    twice = [identifier for identifier, count in counts.items() if count > 1]
    if twice:
        raise CorpusError(f"{where}: {len(twice)} utterance ids occur more than once, the first is {twice[0]!r}")
    return splits


def _lexicon(recipe: Recipe, corpus_dir: Path) -> dict[str, tuple[str, ...]]:
    """The recipe's lexicon, in its own folder or in the corpus, by the rules that its texts are written by."""
    if not recipe.vocabulary.lexicon:
        return {}
    path = _lexicon_file(recipe, corpus_dir)
    settings = recipe.vocabulary
    rules = Vocabulary((), "word", settings.lower_case, settings.punctuation, settings.language)
    words = read_lexicon(path)
    found: dict[str, tuple[str, ...]] = {}
    # CMU's 'CAUSE stands before CAUSE, and both are "cause" without marks: the word that loses none is meant.
    for word in sorted(words, key=lambda word: "punctuation" in rules.changes(word)):
        if plain := rules.normalise(word):
            found.setdefault(plain, words[word])
    return found


def _lexicon_file(recipe: Recipe, corpus_dir: Path) -> Path:
    places = [folder / recipe.vocabulary.lexicon for folder in (recipe.folder, corpus_dir) if folder is not None]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise CorpusError(
            f"vocabulary.lexicon = {recipe.vocabulary.lexicon!r} is no file of the recipe's folder, nor of {corpus_dir}"
        )
    return path


def _tracks(
    utterances: Sequence[Utterance], found: Mapping[str, StoredUtterance], recipe: Recipe
) -> tuple[tuple[str, ...], dict[str, NDArray[np.float32]], dict[str, str]]:
    """What a network is to regress: the tracks' names, their values at every feature frame, and faults, by id."""
    tracks: dict[str, NDArray[np.float32]] = {}
    names: dict[str, tuple[str, ...]] = {}
    problems: dict[str, str] = {}
    of_track = {u.id: u.track for u in utterances}
    for utterance in utterances if recipe.task == "regress" else ():
        try:
            if not found[utterance.id].problem:
                values, own = tracks_at_frames(utterance, found[utterance.id].n_frames, recipe.features)
                tracks[utterance.id], names[utterance.id] = values, own
        except CorpusError as error:
            problems[utterance.id] = str(error)
    common = Counter(names.values()).most_common(1)[0][0] if names else ()
    for identifier, own in names.items():
        if own != common:
            problems[identifier] = (
                f"{of_track[identifier]}: its tracks are {', '.join(own)}, those of most others {', '.join(common)}"
            )
            del tracks[identifier]
    return common, tracks, problems


def _write_array(path: Path, tracks: Sequence[NDArray[np.float32]], n_tracks: int) -> None:
    content = io.BytesIO()
    np.save(content, np.concatenate([np.empty((0, n_tracks), np.float32), *tracks]))
    with write_atomically(path) as out:
        out.write(content.getbuffer())


def _vocabulary(
    recipe: Recipe,
    utterances: Sequence[Utterance],
    lexicon: Mapping[str, tuple[str, ...]],
    track_names: tuple[str, ...],
) -> Vocabulary:
    settings = recipe.vocabulary
    if recipe.task == "regress":
        return Vocabulary(track_names, unit="track")
    if recipe.labels_frames:
        labels = {segment.label for utterance in utterances for segment in utterance.segments}
        found = Vocabulary.build(  # a segment has one label, and a comma is part of its name
            labels, unit="label", lower_case=settings.lower_case, language=settings.language
        )
        if settings.several:
            return dataclasses.replace(found, several=True)
        return dataclasses.replace(found, symbols=(NO_LABEL, *(s for s in found.symbols if s != NO_LABEL)))
    return Vocabulary.build(
        (u.text for u in utterances),
        unit="label" if recipe.task == "classify" else settings.unit,
        lower_case=settings.lower_case,
        punctuation=settings.punctuation,
        language=settings.language,
        lexicon=lexicon,
        several=settings.several,
    )


def _problems(
    utterances: Sequence[Utterance], found: Mapping[str, StoredUtterance], recipe: Recipe, vocabulary: Vocabulary
) -> dict[str, str]:
    """Why utterances cannot be used, by id."""
    return {
        u.id: problem
        for u in utterances
        if (problem := found[u.id].problem or _target_problem(u, found[u.id], recipe, vocabulary))
    }


def _with_duration(utterance: Utterance, stored: StoredUtterance) -> Utterance:
    return utterance if stored.problem else dataclasses.replace(utterance, duration=round(stored.duration, 6))


def _target_problem(utterance: Utterance, stored: StoredUtterance, recipe: Recipe, vocabulary: Vocabulary) -> str:
    """Why an utterance cannot be a training target; empty where it can."""
    try:
        if recipe.task == "regress":
            return ""
        if recipe.labels_frames:
            for segment in utterance.segments:
                if not vocabulary.normalise(segment.label):
                    return f"segment {segment.start:g}–{segment.end:g} s has no label"
                vocabulary.label_id(segment.label)
            exclusive = not vocabulary.several and NO_LABEL in vocabulary.symbols
            frame_seconds = recipe.features.frame_seconds
            problem = segment_problem(utterance.segments, stored.duration, frame_seconds, exclusive=exclusive)
            of_stretch = f" (times of the stretch from {utterance.start:g} s on)" if problem and utterance.start else ""
            return problem + of_stretch
        ids = vocabulary.encode(utterance.text)
    except CorpusError as error:  # of phones, perhaps a word that the lexicon lacks
        return str(error) if vocabulary.unit == "phone" else f"train lacks a {vocabulary.unit}: {error}"
    if recipe.task == "classify":
        return "" if ids or vocabulary.several else "its label is empty"
    n_available = recipe.model.output_length(stored.n_frames)
    n_needed = ctc_length(ids)
    if n_needed > n_available:
        return (
            f"{len(ids)} symbols need {n_needed} frames by CTC (repeats need one between), {n_available} are there; "
            "is the transcript another recording's, or model.stride too large?"
        )
    return ""


def _report_bad(report: Audit, dropped: Mapping[str, str], n_all: int, folder: Path, skip_bad: bool) -> None:
    _write_bad(dropped, folder)
    if dropped and not skip_bad:
        raise CorpusError(
            f"{len(dropped)} of {n_all} utterances cannot be used; mend them, or leave them out with --skip-bad "
            f"({folder / 'bad.txt'} names them all, {folder / 'audit.html'} shows them):\n"
            + dataclasses.replace(report, findings=report.errors, figures={}).to_text(cases=_LISTED)
        )


def _write_bad(dropped: Mapping[str, str], folder: Path) -> None:
    bad_file = folder / "bad.txt"
    if not dropped:
        bad_file.unlink(missing_ok=True)
        return
    with write_atomically(bad_file) as out:
        out.write(
            "".join(f"{identifier}: {problem}\n" for identifier, problem in dropped.items()).encode(errors="replace")
        )


def _summary(
    split: str, utterances: Sequence[Utterance], n_all: int, vocabulary: Vocabulary, recipe: Recipe
) -> SplitSummary:
    """Of a split the utterances that are kept of so many."""
    if recipe.labels_frames:
        labels = {segment.label for utterance in utterances for segment in utterance.segments}
    elif recipe.task == "regress":
        labels = set(vocabulary.symbols)
    else:
        labels = {symbol for text in {u.text for u in utterances} for symbol in vocabulary.split(text)}
    return SplitSummary(
        split=split,
        utterances=len(utterances),
        hours=sum(u.duration or 0.0 for u in utterances) / 3600,
        speakers=len({u.speaker for u in utterances if u.speaker is not None}),
        labels=len(labels),
        left_out=n_all - len(utterances),
    )


def _write_json(path: Path, entry: Mapping[str, Any]) -> None:
    with write_atomically(path) as out:
        out.write(encode_json(entry, indent=1))


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read ({error.strerror or error})") from None
    return entry if isinstance(entry, dict) else None
