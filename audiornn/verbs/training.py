"""train, demo: from a prepared corpus to a model file."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiornn.errors import SettingsError, TrainingError
from audiornn.verbs.evaluating import evaluate
from audiornn.verbs.models import last_model
from audiornn.verbs.preparing import prep, prepared_of, recipe_to_train
from audiornn.verbs.terminal import INTERRUPTED, say

if TYPE_CHECKING:
    from audiornn.recipe import Recipe

__all__ = ["demo", "train"]


def train(
    recipe: str | None,
    data: Path,
    run: Path | None,
    runs: Path,
    resume: bool,
    start: Path | None,
    device: str | None,
    overrides: list[str],
) -> int:
    """`audiornn train`: a prepared corpus becomes a model file."""
    from audiornn.corpus.preparation import open_prepared

    if resume and start is not None:
        raise SettingsError("--resume goes on with a run as it began; --from begins a new one")
    if resume:
        from audiornn.recipe import recipe_fingerprint

        name = None if recipe is None else Path(recipe).resolve().name
        run = run or _unfinished_run(runs, name)
        trained = _resumed_recipe(run, overrides)
        if name not in (None, trained.name):
            raise TrainingError(f"{run}: trains {trained.name}, not {name}")
        prepared = open_prepared(data / trained.name)
        if recipe_fingerprint(trained) != recipe_fingerprint(prepared.recipe):
            raise TrainingError(f"{run}: was trained on another preparation of {trained.name}; prepare it as before")
    else:
        prepared = prepared_of(recipe, data)
        if recipe is None:
            say(f"training {prepared.recipe.name}, prepared last, from {prepared.folder}")
        trained = recipe_to_train(prepared, overrides)
        run = _new_run(runs, trained.name) if run is None else _empty_run(run)
    if prepared.is_outdated:
        say(f"note: the last prep of {prepared.recipe.name} did not end well; this trains what was prepared before it")
    given = {"device": device, "start": None if start is None else str(start)}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    trained = replace(trained, training=replace(trained.training, **options))

    from audiornn.train.loop import Interrupted
    from audiornn.train.loop import train as run_training

    try:
        model = run_training(
            prepared,
            trained,
            run,
            resume=resume,
            report=say,
            show_progress=sys.stderr.isatty(),
        )
    except Interrupted as stop:
        say(f"audiornn: {stop} (run {run})")
        return INTERRUPTED
    finally:
        with contextlib.suppress(OSError):
            run.rmdir()  # of a training that did not begin: only an empty folder can be removed
    use = {"spot": "spot", "label": "label", "regress": "track"}.get(trained.task, "transcribe")
    print(f"{model}: the model file; `audiornn evaluate` scores it, `audiornn {use} FILE` uses it")
    return 0


def demo(data: Path, runs: Path) -> int:
    """`audiornn demo`: the whole road on speech it synthesises itself."""
    from audiornn.corpus.preparation import open_prepared
    from audiornn.listen.recognizer import load_model
    from audiornn.verbs.options import Evaluating

    recipe = "recipes/spoken_digits"
    steps: list[tuple[str, Callable[[], int]]] = [
        (
            f"audiornn prep {recipe}",
            lambda: prep(recipe, corpus=None, data=data, jobs=None, skip_bad=False, listen=None, overrides=[]),
        ),
        (
            "audiornn train",
            lambda: train(recipe, data=data, run=None, runs=runs, resume=False, start=None, device=None, overrides=[]),
        ),
        ("audiornn evaluate", lambda: evaluate(Evaluating(None, data, runs))),
    ]
    for command, step in steps:
        print(f"\n$ {command}", flush=True)
        code = step()
        if code:
            return code
    model = last_model(runs)
    recognizer = load_model(model)
    utterances = open_prepared(data / "spoken_digits").utterances("test")
    print("\n$ audiornn transcribe …   five recordings whose voices and strings it never heard in training\n")
    for utterance in utterances[:: max(1, len(utterances) // 5)][:5]:
        heard = recognizer.transcribe(utterance.audio)
        print(f"  said   {utterance.text}\n  heard  {getattr(heard, 'text', '')}\n")
    print(
        f"The model lies in {model} ({model.stat().st_size / 1e6:.1f} MB) and needs neither PyTorch nor this folder.\n"
        "Next: audiornn transcribe FILE                         a recording of yours, digits in English\n"
        "      audiornn info                                    what the model file says of itself\n"
        "      audiornn new NAME --from DIR                     recordings of your own\n"
        "      audiornn prep recipes/speechcommands && audiornn train     real speech, fetched from its publisher"
    )
    return 0


def _new_run(runs: Path, name: str) -> Path:
    """runs/NAME, or the next number, which is made at once: nothing that is there, or begun, is ever written over."""
    number = 1
    while not _made(run := runs / (name if number == 1 else f"{name}-{number}")):
        number += 1
    before = runs / (name if number == 2 else f"{name}-{number - 1}")
    if number > 1 and not (before / "model.onnx").exists() and (before / "last.safetensors").exists():
        say(f"{before} was stopped before its end; `audiornn train --resume` would go on with it")
    return run


def _made(run: Path) -> bool:
    try:
        run.mkdir(parents=True)
    except FileExistsError:
        if not run.parent.is_dir():
            raise TrainingError(f"{run.parent}: is a file; --runs names a folder") from None
        return False
    except NotADirectoryError:
        raise TrainingError(f"{run.parent}: is a file, or lies in one; --runs names a folder") from None
    return True


def _empty_run(run: Path) -> Path:
    if run.is_file():
        raise TrainingError(f"{run}: is a file; a run is a folder")
    if run.exists() and any(run.iterdir()):
        raise TrainingError(f"{run}: holds a run already; name another folder, or go on with it by --resume")
    return run


def _unfinished_run(runs: Path, recipe: str | None) -> Path:
    """The run that was stopped last, of a recipe by its name where one is asked for."""
    stopped = [path for path in runs.glob("*/last.safetensors") if not (path.parent / "model.onnx").exists()]
    if recipe is not None:
        of_recipe = re.compile(rf"{re.escape(recipe)}(-\d+)?")
        stopped = [path for path in stopped if of_recipe.fullmatch(path.parent.name)]
    if not stopped:
        raise TrainingError(f"{runs}: no run was stopped before its end; name one with --run to go on with it")
    run = max(stopped, key=lambda path: path.stat().st_mtime_ns).parent
    say(f"going on with {run}")
    return run


def _resumed_recipe(run: Path, overrides: list[str]) -> Recipe:
    if overrides:
        raise SettingsError("--resume goes on with the run's own settings; --set starts a new run")
    if not (run / "last.safetensors").exists():
        raise TrainingError(f"{run}: holds no checkpoint to go on from")
    if (run / "model.onnx").exists():
        raise TrainingError(f"{run}: is finished, and its model file is there; nothing is left to go on with")
    from audiornn.train.checkpoint import recipe_of_run

    return recipe_of_run(run)
