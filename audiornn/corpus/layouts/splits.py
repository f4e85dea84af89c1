"""Which split a name, a list or a folder speaks of."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from audiornn.corpus.layouts.survey import Choices, Reading, Survey, level, named, nfc
from audiornn.corpus.text_files import read_text
from audiornn.errors import CorpusError
from audiornn.vocabulary import is_background

__all__ = [
    "MANY",
    "add_splits",
    "are_alike",
    "refuse_broken",
    "split_folders",
    "split_in_name",
    "splits_in_names",
    "splits_in_paths",
    "splits_of_lists",
]

_SPLITS = {
    "train": "train",
    "training": "train",
    "tr": "train",
    "dev": "dev",
    "devel": "dev",
    "development": "dev",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
    "testing": "test",
    "tst": "test",
    "evaluation": "test",
    "eval": "test",
}
MANY = 50  # more texts than this are one a recording, no lists


def _split_words(name: str) -> list[str]:
    return [_SPLITS[word] for word in re.split(r"[^a-z]+", name.lower()) if word in _SPLITS]


def split_in_name(name: str) -> str | None:
    """The split that a file's or folder's name speaks of (`train_manifest.json`, `dev-clean`), or None."""
    found = set(_split_words(name))
    return found.pop() if len(found) == 1 else None


def splits_in_names(names: Iterable[str]) -> dict[str, str]:
    """The splits that names side by side speak of; beside a `train`, `train_dev` and `test_dev93` are dev."""
    names = list(names)
    found = {name: split for name in names if (split := split_in_name(name))}
    if "train" in found.values():
        found |= {name: "dev" for name in names if len(words := _split_words(name)) == 2 and words[-1] == "dev"}
    return found


def splits_in_paths(keys: Iterable[str]) -> dict[str, str]:
    """The splits that lists are named after; of the others those that their folders are, the nearest first."""
    parts = {key: key.split("/")[::-1] for key in keys}
    found: dict[str, str] = {}
    for n in range(max(map(len, parts.values()), default=0)):
        waiting = {key: own[n] for key, own in parts.items() if n < len(own) and key not in found}
        splits = splits_in_names(waiting.values())
        found |= {key: splits[name] for key, name in waiting.items() if name in splits}
    return found


def splits_of_lists(lists: Collection[str]) -> dict[str, str]:
    """The splits that lists or their folders are named after, if all are after one, train among them."""
    splits = splits_in_paths(lists)
    return splits if len(splits) == len(lists) and {"train"} < set(splits.values()) else {}


def split_folders(keys: Iterable[str]) -> tuple[int, dict[str, str]]:
    """Which folder of recordings' paths is their split, from 1, and the splits by its names; 0 where none is.

    All folders there are named after one, train among them. One may be of something else beside `train` and `test` just
    so called: of noise, or of more recordings where in each of these lie folders of the same names. Otherwise the word
    is one of the labels: a bus, a train and a test drive.
    """
    keys = list(keys)
    for n in range(1, 1 + max((key.count("/") for key in keys), default=0)):
        names = {level(key, n) for key in keys}
        splits = splits_in_names(sorted(names))
        others = names - splits.keys()
        if not {"train"} < set(splits.values()) or len(others) > 1 or "" in others:
            continue
        if not others or (
            all(name.lower() in _SPLITS for name in splits)
            and (is_background(min(others)) or _share_folders(keys, n, splits))
        ):
            return n, splits
    return 0, {}


def _share_folders(keys: Iterable[str], n: int, names: Collection[str]) -> bool:
    """Whether folders at a level hold folders of two common names or more."""
    below: dict[str, set[str]] = {name: set() for name in names}
    for key in keys:
        if (own := level(key, n)) in below:
            below[own].add(level(key, n + 1))
    return len(set.intersection(*below.values()) - {""}) > 1


def add_splits(survey: Survey, choices: Choices, reading: Reading) -> None:
    """Where the source names no split: those of the folders that the recordings lie in, or of lists of their names."""
    if reading.embedded or not reading.entries or any(entry.split is not None for entry in reading.entries):
        return
    keys = [survey.key(entry.audio) for entry in reading.entries]
    n, folders = split_folders(keys)
    if any(entry.text in folders for entry in reading.entries):
        n, folders = 0, {}  # they are its labels
    # THCHS-30's folders of splits hold links to recordings of another folder.
    files = [os.path.realpath(entry.audio) for entry in reading.entries] if folders else []
    of_files = {
        file: folders[level(key, n)] for file, key in zip(files, keys, strict=False) if level(key, n) in folders
    }
    splits = [of_files.get(file) for file in files]
    what = f"the folders {named(sorted(folders))}"
    if not splits or None in splits:
        lists, listed, clash = _lists_of_names(survey, choices)
        if clash:
            reading.guessed.append(f"the lists {named(lists)} are not taken for splits: {clash} stands in several")
            return
        splits = [listed.get(key) for key in keys]
        what = f"the lists {named(lists)}"
    if None not in splits and {"train"} < set(splits):
        reading.entries = [replace(entry, split=s) for entry, s in zip(reading.entries, splits, strict=True)]
        reading.understood.append(f"splits: {what}")
    elif any(splits):
        n_listed = sum(split is not None for split in splits)
        reading.guessed.append(f"{what} name {n_listed:,} of {len(splits):,}, so that they are not taken for splits")


def _lists_of_names(survey: Survey, choices: Choices) -> tuple[list[str], dict[str, str], str]:
    """Texts named after splits that hold nothing but names of recordings, the split of each, and one that is in two."""
    texts = survey.lists(".txt", ".lst")
    names = splits_in_names(posixpath.basename(key) for key in texts)
    lists, found, clash = [], dict[str, str](), ""
    for key, path in texts.items() if len(texts) <= MANY and {"train"} < set(names.values()) else ():
        split = names.get(posixpath.basename(key))
        try:
            lines = [line.strip() for line in read_text(path, choices.encoding).split("\n") if line.strip()]
        except CorpusError:
            continue  # of something else
        if split and not any(" " in line for line in lines):
            resolved = survey.resolve_all(lines, path.parent).values()
            recordings = [survey.key(audio) for audio in resolved if audio is not None]
            clash = clash or next((own for own in recordings if found.get(own, split) != split), "")
            found |= dict.fromkeys(recordings, split)
            lists += [key] if recordings else []
    return lists, found, clash


def refuse_broken(
    broken: Mapping[str, CorpusError],
    lists: Mapping[str, Path],
    read: Iterable[str],
    choices: Choices,
    reading: Reading,
) -> None:
    """Refuse lists that cannot be read and surely belong to those that are read: a split must not vanish.

    They have the ending of one, and are called like it but for a number, or after a split that no other is; and a line
    of theirs is bad, or the first one has the same words, otherwise parted.

    Args:
        broken: by the list, what is wrong with it.
        lists: the files of these and of those that are read.
        read: the lists that are read.
        choices: whether bad ones are left out.
        reading: gets what is left out.

    Raises:
        CorpusError: there is one, and nobody asked to leave it out.
    """
    read = list(read)
    splits = splits_in_paths([*broken, *read])
    there = {splits.get(other) for other in read}
    for key, error in broken.items():
        like = next((other for other in read if are_alike(key, other)), None)
        if like is None or (splits.get(key) in there and not any(_is_numbered_like(key, other) for other in read)):
            continue
        if not str(error).startswith((f"{lists[key]}, line ", f"{lists[key]}: is not JSON")):
            if _first_words(lists[key], choices) != _first_words(lists[like], choices):
                continue
            error = CorpusError(f"{error}; are its columns parted as those of {like}?")
        if not choices.skip_bad:
            raise CorpusError(f"{error}{'' if str(error).endswith('?') else ';'} --skip-bad goes on without this file")
        reading.left_out.append((key, f"cannot be read: {error}"))


def are_alike(key: str, other: str) -> bool:
    """Whether two lists have one ending, and one name, or names after splits."""
    a, b = (posixpath.basename(path) for path in (key, other))
    same_ending = posixpath.splitext(a)[1].lower() == posixpath.splitext(b)[1].lower()
    return same_ending and (a == b or bool(_split_words(a) and _split_words(b)))


def _is_numbered_like(key: str, other: str) -> bool:
    a, b = (re.sub(r"\d+", "", posixpath.basename(path)) for path in (key, other))
    return a == b


def _first_words(path: Path, choices: Choices) -> list[str]:
    return re.findall(r"\w+", nfc(read_text(path, choices.encoding).lstrip().split("\n", 1)[0]))
