"""prep, audit, new: from recordings to a prepared corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiornn.cores import n_cores
from audiornn.errors import SettingsError, TrainingError
from audiornn.files import check_writable, json_line
from audiornn.verbs.terminal import PARTIAL_FAILURE, progress_bar, say

if TYPE_CHECKING:
    from audiornn.corpus.preparation import Prepared
    from audiornn.recipe import Recipe

__all__ = ["audit", "new", "prep", "prepared_of", "recipe_to_train"]


def prep(
    recipe: str,
    corpus: Path | None,
    data: Path,
    jobs: int | None,
    skip_bad: bool,
    listen: int | None,
    overrides: list[str],
) -> int:
    """`audiornn prep`: a corpus becomes manifests and features."""
    from audiornn.corpus.preparation import prepare_corpus
    from audiornn.recipe import expand_overrides, find_recipe, load_recipe

    overrides = expand_overrides(overrides)  # remembered as they were, whatever becomes of a file
    folder, packaged = find_recipe(recipe)
    if packaged:
        say(f"{recipe}: no such folder here; taking the recipe that comes with audiornn")
    loaded = load_recipe(folder, overrides)
    n_jobs = jobs or n_cores()
    if corpus is None and loaded.corpus_dir:
        corpus = folder / loaded.corpus_dir
    if corpus is None:
        if not loaded.makes_corpus:
            raise SettingsError(
                f"recipe {loaded.name} needs its corpus: name its folder with --corpus DIR; "
                f"where to get it stands in {folder}/README.md"
            )
        corpus = loaded.obtain(data / loaded.name / "corpus", jobs=n_jobs)
    with progress_bar("features", "utterance") as progress:
        prepared = prepare_corpus(
            loaded, corpus, data, overrides=overrides, n_jobs=n_jobs, skip_bad=skip_bad, progress=progress
        )
    _print_summary(prepared)
    if listen is not None:
        from audiornn.train.audition import write_examples

        examples = write_examples(prepared, loaded, prepared.folder / "listen", listen)
        print(f"{prepared.folder / 'listen'}: {len(examples)} training utterances as augmentation varies them, to hear")
    return 0


def audit(source: Path, output: Path | None, data: Path, jobs: int | None, output_format: str) -> int:
    """`audiornn audit`: what would spoil a result, in recordings that no recipe knows yet."""
    from audiornn.corpus.audit import audit_source, write_audit

    folder = output or data / f"audit_{source.resolve().stem or 'recordings'}"
    check_writable(folder)
    with progress_bar("listening", "recording") as progress:
        report, corpus, left_out = audit_source(source, n_jobs=jobs or n_cores(), progress=progress)
    write_audit(report, corpus, folder)
    for file, why in left_out:
        say(f"audiornn: {file}: not audited: {why}")
    if output_format == "json":
        print(json_line({"source": str(source), **report.to_json()}))
    else:
        print(report.to_text())
        print(f"{folder}: audit.html shows and plays what is odd, audit.json has all figures")
    return PARTIAL_FAILURE if report.errors else 0


def new(name: str, source: Path, output_format: str, **asked: Any) -> int:
    """`audiornn new`: a recipe for recordings of one's own; what else is asked goes to `write_recipe`."""
    from audiornn.corpus.layouts.survey import named
    from audiornn.corpus.new_recipe import write_recipe

    made = write_recipe(name, source, **asked)
    if output_format == "json":
        print(json_line(made.to_json()))
        return 0
    print(f"{made.folder}: a recipe to {made.collection.task} {source} (layout {made.collection.layout})")
    left_out: dict[str, list[str]] = {}
    for file, why in made.collection.left_out:
        left_out.setdefault(why, []).append(file)
    for title, lines in (
        ("understood", made.understood),
        ("guessed", made.guessed),
        ("left out", [f"{len(files):,} × {why}: {named(files, 3)}" for why, files in left_out.items()]),
        ("know", made.warnings),
    ):
        if lines:
            print("\n".join([f"\n{title}", *(f"  {line}" for line in lines)]))
    kind = {"transcribe": "texts", "regress": "tracks"}.get(made.collection.task, "labels")
    print(f"\n{'split':6} {'utterances':>10} {'speakers':>9} {kind:>7}")
    for split, row in made.counts().items():
        print(f"{split:6} {row['utterances']:10,} {row['speakers']:9,} {row['labels']:7,}")
    print("\nnext\n" + "\n".join(f"  {command}" for command in made.commands))
    return 0


def _print_summary(prepared: Prepared) -> None:
    print(f"{'split':6} {'utterances':>10} {'hours':>8} {'speakers':>9} {'labels':>7}")
    for row in prepared.summary:
        print(f"{row.split:6} {row.utterances:10,} {row.hours:8.3f} {row.speakers:9,} {row.labels:7,}")
    if prepared.text_changes:
        changes = ", ".join(f"{what} in {n:,}" for what, n in prepared.text_changes.items())
        print(f"texts changed by the rules of [vocabulary]: {changes}")
    print(prepared.audit)
    for note in prepared.notes:
        print(note)
    if prepared.skipped:
        print(f"{prepared.skipped} bad utterances left out; {prepared.folder}/bad.txt names them")
    state = "nothing has changed" if prepared.unchanged else "prepared"
    print(f"{prepared.folder}: {state}, audit.html shows and plays what is odd; `audiornn train` comes next")


def prepared_of(recipe: str | Path | None, data: Path) -> Prepared:
    """What `prep` made of a recipe, given by its folder or its name; where none is given, of the one prepared last.

    Raises:
        CorpusError: nothing is prepared.
        TrainingError: what is prepared under this name came from another recipe's folder.
    """
    from audiornn.corpus.preparation import last_prepared, open_prepared

    if recipe is None:
        return open_prepared(last_prepared(data))
    folder = Path(recipe)
    prepared = open_prepared(data / folder.resolve().name)
    if not (folder / "recipe.toml").is_file() or folder.resolve() == prepared.recipe_folder:
        return prepared
    if prepared.recipe_folder.is_dir():
        raise TrainingError(
            f"{prepared.folder}: was prepared from {prepared.recipe_folder}, and not from {folder}; "
            f"run `audiornn prep {folder}` first"
        )
    return replace(prepared, recipe_folder=folder)  # it was moved


def recipe_to_train(prepared: Prepared, overrides: Sequence[str]) -> Recipe:
    """The recipe as it stands now, with prep's overrides and then train's; its features must be the prepared ones."""
    from audiornn.recipe import load_recipe, recipe_fingerprint

    if not prepared.recipe_folder.is_dir():
        if overrides:
            raise SettingsError(
                f"{prepared.recipe_folder}: the recipe is gone, so --set cannot be checked; prepare it again"
            )
        return prepared.recipe
    recipe = load_recipe(prepared.recipe_folder, [*prepared.overrides, *overrides])
    if recipe_fingerprint(recipe) != recipe_fingerprint(prepared.recipe):
        changed = _difference(prepared.recipe.to_json(), recipe.to_json())
        raise TrainingError(
            f"{prepared.folder}: the corpus was prepared with other settings ({changed}); "
            "run `audiornn prep` again with the new ones"
        )
    return recipe


def _difference(before: dict[str, Any], after: dict[str, Any]) -> str:
    changes = []
    for section in ("task", "shared_speakers", "corpus", "features", "vocabulary", "model"):
        old, new = before[section], after[section]
        if not isinstance(old, dict):
            old, new = {"": old}, {"": new}
        for key in sorted({*old, *new}):
            if old.get(key) != new.get(key) and (section != "model" or key == "stride"):
                changes.append(f"{section}.{key} was {old.get(key)!r}, is {new.get(key)!r}".replace(". ", " "))
    return "; ".join(changes)
