"""Whether `prep` would make anything else than it made: the state of what it reads."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from audiornn import __version__
from audiornn.corpus.feature_store import file_state
from audiornn.files import encode_json, is_systems_own, write_atomically
from audiornn.recipe import Recipe, recipe_fingerprint

__all__ = ["fingerprint", "folders_read", "is_as_noted", "note_files_elsewhere", "places_named"]

#: What may lie in a recipe's folder and is nothing that its `prepare` reads.
_NOT_READ_BY_PREPARE = (".md", ".png", ".jpg", ".svg", ".onnx", ".safetensors", ".toml", ".pyc")
_ELSEWHERE = "elsewhere.json"


def places_named(recipe: Recipe, corpus_dir: Path) -> list[Path]:
    """Folders and files that settings of `[corpus]` name: in the corpus, or by a path from the root or from here."""
    found: list[Path] = []
    for value in recipe.corpus.values():
        for text in value if isinstance(value, (list, tuple)) else [value]:
            if not isinstance(text, str) or not text.strip("./\\"):
                continue
            with contextlib.suppress(OSError, RuntimeError, ValueError):  # a text that can be no path
                places = [corpus_dir / text]
                if len(Path(text).parts) > 1:  # a mere word may be a folder's name here by chance
                    places.append(Path(text).expanduser())
                found += [place for place in places if place.exists()]
    return list(dict.fromkeys(found))


def folders_read(recipe: Recipe, corpus_dir: Path) -> list[Path]:
    """The corpus' folder, and those that settings of `[corpus]` name."""
    return [corpus_dir, *(place for place in places_named(recipe, corpus_dir) if place.is_dir())]


def fingerprint(
    recipe: Recipe, corpus_dir: Path, data_dir: Path, skip_bad: bool, cannot_enter: Callable[[str], object]
) -> str:
    """Changes with a setting, the recipe's code, and any file of the folders that are read.

    `cannot_enter` is told of a folder that this user may not look into, which a recipe's search would pass in silence.
    """

    def tell(error: OSError) -> None:
        if not any(map(is_systems_own, Path(error.filename).relative_to(root).parts)):  # a search passes over these
            cannot_enter(f"{error.filename}: the folder cannot be looked into ({error.strerror or error})")

    state = hashlib.sha256(f"{__version__} {skip_bad} {recipe_fingerprint(recipe)} {corpus_dir.resolve()}".encode())
    if recipe.folder is not None:
        for file in sorted(recipe.folder.iterdir()):  # the code, and tables and lexicons that it reads
            if file.is_file() and file.suffix.lower() not in _NOT_READ_BY_PREPARE:
                state.update(file.name.encode(errors="surrogateescape") + file.read_bytes())
    made, seen = os.path.realpath(data_dir), set()
    for root in folders_read(recipe, corpus_dir):
        for parent, folders, names in os.walk(root, onerror=tell, followlinks=True):
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


def note_files_elsewhere(folder: Path, files: Iterable[Path], roots: Sequence[Path]) -> None:
    """Keep in a prepared folder the state of files that lie in none of the roots, as lists and settings may name."""
    inside = tuple(f"{os.path.normpath(root.absolute())}{os.sep}" for root in (*roots, folder))
    elsewhere = {str(file) for file in set(files) if not os.path.normpath(file.absolute()).startswith(inside)}
    if not elsewhere:
        (folder / _ELSEWHERE).unlink(missing_ok=True)
        return
    with write_atomically(folder / _ELSEWHERE) as out:
        out.write(encode_json({file: file_state(Path(file)) for file in sorted(elsewhere)}))


def is_as_noted(folder: Path) -> bool:
    """Whether all files that `note_files_elsewhere` kept the state of are as they were."""
    try:
        noted = json.loads((folder / _ELSEWHERE).read_text(encoding="utf-8"))
    except OSError:
        return True
    except ValueError:
        return False
    return all(list(file_state(Path(file))) == state for file, state in noted.items())
