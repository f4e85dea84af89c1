"""What recipes that make their recordings share: corpora side by side in one folder, and a folder a plan."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from audiornn.errors import CorpusError

__all__ = ["FOLDERS", "corpora_in", "folder_of_plan", "some_corpora_in"]


#: What the folder of each recipe's corpus may be called: as published, as the recipe, or as `prep` keeps a fetched one.
FOLDERS = {
    "an4": ("an4",),
    "connected_digits": ("connected_digits", "speechocean762"),
    "digits": ("fsdd", "digits", "free-spoken-digit-dataset-1.0.10"),
    "speechcommands": ("speech_commands", "speechcommands", "speech_commands_v0.02", "speech_commands_v0.01"),
}


def corpora_in(corpus_dir: Path, recipes: Sequence[str]) -> dict[str, Path]:
    """Where each recipe's corpus lies below a folder that holds several.

    Args:
        corpus_dir: the folder; the cache's `corpora` is one.
        recipes: names of those in `FOLDERS`.

    Raises:
        CorpusError: one is missing.
    """
    found = some_corpora_in(corpus_dir, recipes)
    if missing := [" or ".join(FOLDERS[recipe][:2]) for recipe in recipes if recipe not in found]:
        raise CorpusError(
            f"{corpus_dir}: holds no folder {', none '.join(missing)}; this recipe takes the folder in which the "
            f"corpora of the recipes {', '.join(recipes)} lie side by side"
        )
    return found


def some_corpora_in(corpus_dir: Path, recipes: Sequence[str]) -> dict[str, Path]:
    """The same, of those that are there."""
    folders = {
        recipe: next((corpus_dir / name for name in FOLDERS[recipe] if (corpus_dir / name).is_dir()), None)
        for recipe in recipes
    }
    return {recipe: folder for recipe, folder in folders.items() if folder is not None}


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
