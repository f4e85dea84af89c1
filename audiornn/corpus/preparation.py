"""`prep`: a corpus becomes manifests and features, checked, in a folder that `train` needs nothing else of.

data/<recipe>/
  train.jsonl  dev.jsonl  test.jsonl      manifests
  train.npz    dev.npz    test.npz        where each utterance's frames are
  features/                               shards of frames
  prepared.json                           the settings, the vocabulary, the summary; written last
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiornn import __version__
from audiornn.corpus.feature_store import FeatureStore, StoredUtterance, compute_features, file_state, remove_others
from audiornn.corpus.manifest import SPLITS, Segment, Utterance, digest, read_manifest, write_manifest
from audiornn.errors import CorpusError, SettingsError
from audiornn.files import write_atomically
from audiornn.recipe import Recipe, recipe_fingerprint
from audiornn.vocabulary import Vocabulary, ctc_length

__all__ = ["NO_LABEL", "Prepared", "SplitSummary", "last_prepared", "open_prepared", "prepare_corpus"]

#: The label of frames that no segment covers.
NO_LABEL = "_none_"

_LISTED = 20  # bad utterances named in a message; bad.txt names them all


@dataclass(frozen=True)
class SplitSummary:
    """A row of the table that `prep` prints."""

    split: str
    utterances: int
    hours: float
    speakers: int
    labels: int


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
    digests: Mapping[str, str]
    unchanged: bool = False

    def utterances(self, split: str) -> list[Utterance]:
        """The manifest of a split."""
        return read_manifest(self.folder / f"{split}.jsonl")

    def features(self, split: str) -> FeatureStore:
        """The log-mel frames of a split, in its manifest's order."""
        return FeatureStore.open(self.folder / f"{split}.npz", self.folder / "features")


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
        CorpusError: the corpus is incomplete, recordings are unreadable, splits leak, or targets are impossible.
    """
    if not corpus_dir.is_dir():
        raise CorpusError(f"{corpus_dir}: no such corpus folder")
    folder = data_dir / recipe.name
    fingerprint = _fingerprint(recipe, corpus_dir, data_dir, skip_bad)
    known = _read_json(folder / "prepared.json")
    if known is not None and known.get("fingerprint") == fingerprint and _is_whole(folder):
        # Written anew: the recipe prepared last is what `train` takes, and with the overrides given last.
        _write_json(folder / "prepared.json", {**known, **_recipe_entry(recipe, overrides)})
        return dataclasses.replace(open_prepared(folder), unchanged=True)

    splits = _checked_splits(recipe.prepare(corpus_dir), recipe)
    everything = [utterance for split in SPLITS for utterance in splits[split]]
    n_done = 0

    def advance(n: int) -> None:
        nonlocal n_done
        n_done += n
        progress(n_done, len(everything))

    stored = compute_features(everything, recipe.features, folder / "features", n_jobs=n_jobs, progress=advance)
    found = dict(zip((utterance.id for utterance in everything), stored, strict=True))
    heard = [u for u in splits["train"] if not found[u.id].problem]
    if not heard:
        _report_bad({u.id: p for u in everything if (p := found[u.id].problem)}, len(everything), folder, skip_bad)
        raise CorpusError(f"split train: none of its {len(splits['train'])} utterances can be used")
    vocabulary = _vocabulary(recipe, heard)
    bad = {
        u.id: p for u in everything if (p := found[u.id].problem or _target_problem(u, found[u.id], recipe, vocabulary))
    }
    _report_bad(bad, len(everything), folder, skip_bad)

    (folder / "prepared.json").unlink(missing_ok=True)  # from here to the end the folder is not whole
    summary, digests = [], {}
    for split in SPLITS:
        good = [
            dataclasses.replace(u, duration=round(found[u.id].duration, 6)) for u in splits[split] if u.id not in bad
        ]
        if not good and splits[split]:
            raise CorpusError(f"split {split}: none of its {len(splits[split])} utterances can be used")
        write_manifest(folder / f"{split}.jsonl", good)
        FeatureStore(folder / "features", [found[u.id] for u in good]).save(folder / f"{split}.npz")
        summary.append(_summary(split, good, vocabulary, recipe))
        digests[split] = digest(good)
    entry = {
        "audiornn": __version__,
        "fingerprint": fingerprint,
        **_recipe_entry(recipe, overrides),
        "vocabulary": dataclasses.asdict(vocabulary),
        "summary": [dataclasses.asdict(row) for row in summary],
        "skipped": len(bad),
        "digests": digests,
    }
    _write_json(folder / "prepared.json", entry)
    remove_others(folder / "features", stored)  # only now: a prep that fails leaves the last one whole
    return open_prepared(folder)


def _recipe_entry(recipe: Recipe, overrides: Sequence[str]) -> dict[str, Any]:
    """What `prepared.json` says of the recipe; it may change without any feature changing."""
    return {
        "recipe": recipe.to_json(),
        "recipe_folder": str(recipe.folder.resolve()) if recipe.folder else "",
        "overrides": list(overrides),
    }


def _is_whole(folder: Path) -> bool:
    """Whether every file that `prepared.json` stands for is there."""
    try:
        return all(
            (folder / f"{split}.jsonl").is_file()
            and FeatureStore.open(folder / f"{split}.npz", folder / "features").is_whole()
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
        raise CorpusError(f"{folder}: nothing is prepared here; run `audiornn prep recipes/{folder.name}` first")
    try:
        return Prepared(
            folder=folder,
            recipe=Recipe.from_json(entry["recipe"]),
            recipe_folder=Path(entry["recipe_folder"]),
            overrides=tuple(entry["overrides"]),
            vocabulary=Vocabulary(tuple(entry["vocabulary"].pop("symbols")), **entry["vocabulary"]),
            summary=tuple(SplitSummary(**row) for row in entry["summary"]),
            skipped=entry["skipped"],
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
    splits = {split: list(splits.get(split) or ()) for split in SPLITS}
    if not splits["train"]:
        raise CorpusError(f"{where}: the training split is empty; is the corpus folder the right one?")
    for utterance in (u for split in SPLITS for u in splits[split]):
        if not isinstance(utterance, Utterance):
            raise CorpusError(f"{where}: prepare() must return Utterances, not {type(utterance).__name__}")
        for key, kind in (("id", str), ("audio", Path), ("text", str)):
            if not isinstance(getattr(utterance, key), kind):
                got = type(getattr(utterance, key)).__name__
                raise CorpusError(f"{where}: {utterance.id!r}: its {key} must be a {kind.__name__}, not {got}")
        if not all(isinstance(segment, Segment) for segment in utterance.segments):
            raise CorpusError(f"{where}: {utterance.id!r}: its segments must be Segments")
    counts = Counter(utterance.id for split in SPLITS for utterance in splits[split])
    twice = [identifier for identifier, count in counts.items() if count > 1]
    if twice:
        raise CorpusError(f"{where}: {len(twice)} utterance ids occur more than once, the first is {twice[0]!r}")
    _check_leaks(splits, recipe)
    return splits


def _check_leaks(splits: Mapping[str, Sequence[Utterance]], recipe: Recipe) -> None:
    """The same recording in two splits is never right; the same speaker only where the recipe says so."""
    places: dict[tuple[str, float], set[str]] = defaultdict(set)
    speakers: dict[str, set[str]] = defaultdict(set)
    for split in SPLITS:
        for utterance in splits[split]:
            places[os.path.realpath(utterance.audio), utterance.start].add(split)
            if utterance.speaker is not None:
                speakers[utterance.speaker].add(split)
    shared = sorted(f"{audio} ({' and '.join(sorted(s))})" for (audio, _), s in places.items() if len(s) > 1)
    if shared:
        raise CorpusError(f"{len(shared)} recordings stand in more than one split, the first is {shared[0]}")
    leaking = sorted(f"{name} ({' and '.join(sorted(s))})" for name, s in speakers.items() if len(s) > 1)
    if leaking and not recipe.shared_speakers:
        raise CorpusError(
            f"{len(leaking)} speakers stand in more than one split, the first is {leaking[0]}: the test would not show "
            "how strangers fare; split by speaker, or write shared_speakers = true into recipe.toml if that is meant"
        )


def _vocabulary(recipe: Recipe, utterances: Sequence[Utterance]) -> Vocabulary:
    settings = recipe.vocabulary
    if recipe.task == "label":
        labels = {segment.label for utterance in utterances for segment in utterance.segments}
        found = Vocabulary.build(labels, unit="label", lower_case=settings.lower_case)
        return dataclasses.replace(found, symbols=(NO_LABEL, *(s for s in found.symbols if s != NO_LABEL)))
    unit = "label" if recipe.task == "classify" else settings.unit
    return Vocabulary.build((u.text for u in utterances), unit=unit, lower_case=settings.lower_case)


def _target_problem(utterance: Utterance, stored: StoredUtterance, recipe: Recipe, vocabulary: Vocabulary) -> str:
    """Why an utterance cannot be a training target; empty where it can."""
    try:
        if recipe.task == "label":
            for segment in utterance.segments:
                if not vocabulary.encode(segment.label):
                    return f"segment {segment.start:g}–{segment.end:g} s has no label"
                if not 0 <= segment.start < segment.end <= stored.duration + recipe.features.frame_seconds:
                    return f"segment {segment.start:g}–{segment.end:g} s lies outside its {stored.duration:.2f} s"
            return ""
        ids = vocabulary.encode(utterance.text)
    except CorpusError as error:
        return str(error)
    if recipe.task == "classify":
        return "" if ids else "its label is empty"
    n_available = recipe.model.output_length(stored.n_frames)
    n_needed = ctc_length(ids)
    if n_needed > n_available:
        return (
            f"{len(ids)} symbols need {n_needed} frames by CTC (repeats need one between), {n_available} are there; "
            "is the transcript another recording's, or model.stride too large?"
        )
    return ""


def _report_bad(bad: Mapping[str, str], n_all: int, folder: Path, skip_bad: bool) -> None:
    bad_file = folder / "bad.txt"
    if not bad:
        bad_file.unlink(missing_ok=True)
        return
    lines = [f"{identifier}: {problem}" for identifier, problem in bad.items()]
    with write_atomically(bad_file) as out:
        out.write(("\n".join(lines) + "\n").encode())
    if not skip_bad:
        listed = [f"  {line}" for line in lines[:_LISTED]]
        if len(lines) > _LISTED:
            listed.append(f"  … and {len(lines) - _LISTED} more, see {bad_file}")
        raise CorpusError(
            f"{len(bad)} of {n_all} utterances cannot be used; mend them, or leave them out with --skip-bad:\n"
            + "\n".join(listed)
        )


def _summary(split: str, utterances: Sequence[Utterance], vocabulary: Vocabulary, recipe: Recipe) -> SplitSummary:
    if recipe.task == "label":
        labels = {segment.label for utterance in utterances for segment in utterance.segments}
    else:
        labels = {symbol for utterance in utterances for symbol in vocabulary.split(utterance.text)}
    return SplitSummary(
        split=split,
        utterances=len(utterances),
        hours=sum(u.duration or 0.0 for u in utterances) / 3600,
        speakers=len({u.speaker for u in utterances if u.speaker is not None}),
        labels=len(labels),
    )


def _fingerprint(recipe: Recipe, corpus_dir: Path, data_dir: Path, skip_bad: bool) -> str:
    """Changes whenever `prep` would make something else: a setting, the recipe's code, or any file of the corpus."""
    state = hashlib.sha256(f"{__version__} {skip_bad} {recipe_fingerprint(recipe)} {corpus_dir.resolve()}".encode())
    if recipe.folder is not None:
        state.update((recipe.folder / "prepare.py").read_bytes())
    made, seen = os.path.realpath(data_dir), set()
    for parent, folders, names in os.walk(corpus_dir, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen or real == made:  # a circle of links, or what prep itself writes
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        for name in sorted(names):
            size, changed = file_state(Path(parent, name))  # -1 of a dangling link
            state.update(f"{parent}/{name} {size} {changed}\n".encode(errors="surrogateescape"))
    return state.hexdigest()


def _write_json(path: Path, entry: Mapping[str, Any]) -> None:
    with write_atomically(path) as out:
        out.write(json.dumps(entry, ensure_ascii=False, indent=1).encode())


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return entry if isinstance(entry, dict) else None
