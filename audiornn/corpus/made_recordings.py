"""What recipes that make their recordings share: corpora side by side in one folder, and a folder a plan."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from audiornn.errors import CorpusError

__all__ = ["corpora_in", "folder_of_plan"]


def corpora_in(corpus_dir: Path, names: Mapping[str, Sequence[str]]) -> dict[str, Path]:
    """Where each corpus lies below a folder that holds several.

    Args:
        corpus_dir: the folder.
        names: of each corpus the names that its folder may have.

    Raises:
        CorpusError: one is missing.
    """
    found = {}
    for corpus, folders in names.items():
        folder = next((corpus_dir / name for name in folders if (corpus_dir / name).is_dir()), None)
        if folder is not None:
            found[corpus] = folder
    if missing := [" or ".join(folders) for corpus, folders in names.items() if corpus not in found]:
        raise CorpusError(
            f"{corpus_dir}: holds no folder {', none '.join(missing)}; this recipe takes the folder in which "
            f"{', '.join(names)} lie side by side"
        )
    return found


def folder_of_plan(made_dir: Path | None, plan: str, recipe: str) -> Path:
    """A folder named after a plan, so that recordings of another plan are never taken for its own; those are dropped.

    Args:
        made_dir: the recipe's, as `prepare` gets it.
        plan: everything that says what will be made.
        recipe: what the error calls the recipe.

    Raises:
        CorpusError: there is no `made_dir`.
    """
    if made_dir is None:
        raise CorpusError(f"{recipe}: its recordings must be written somewhere; call prepare with a made_dir")
    folder = made_dir / hashlib.sha256(plan.encode()).hexdigest()[:12]
    for other in made_dir.iterdir() if made_dir.is_dir() else ():
        if other.is_dir() and other != folder:
            shutil.rmtree(other)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
