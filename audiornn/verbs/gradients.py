"""gradients: how far back a gradient reaches, and a cell remembers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from audiornn.errors import TrainingError
from audiornn.files import encode_json
from audiornn.verbs.preparing import prepared_of, recipe_to_train
from audiornn.verbs.terminal import check_drawable, say

if TYPE_CHECKING:
    from audiornn.corpus.preparation import Prepared
    from audiornn.evaluate.gradient_report import GradientReport
    from audiornn.recipe import Recipe

__all__ = ["gradients"]

LAGS, STEPS = (5, 10, 20, 40, 100, 1000), 200  # of the memory task: frames, and of each training


def gradients(
    source: str | None,
    data: Path,
    lags: list[int] | None,
    steps: int | None,
    seeds: list[int] | None,
    output: Path | None,
    output_format: str,
    overrides: list[str],
) -> int:
    """`audiornn gradients`: of a run its network, of a recipe its network with each of the three cells.

    Raises:
        TrainingError: the source is neither, or options of a recipe are given with a run.
        SettingsError: a lag is too long, or a setting wrong.
    """
    if output is not None:
        check_drawable(output)
    if source is not None and (Path(source) / "recipe.json").exists():
        unused = {"--lags": lags, "--steps": steps, "--seeds": seeds, "--set": overrides}
        if given := [option for option, value in unused.items() if value]:
            raise TrainingError(f"{source}: a run's network is measured as it is; {', '.join(given)} is for a recipe")
        report = _of_run(Path(source), data)
        picture = output or Path(source) / "gradients.png"
    else:
        if source is not None:
            _check_recipe(Path(source))
        prepared = prepared_of(source, data)
        report = _of_recipe(prepared, lags or LAGS, steps or STEPS, seeds or [1], overrides)
        picture = output or prepared.folder / "gradients.png"
    report.draw(picture)
    if output_format == "json":
        for entry in report.json_objects():
            print(encode_json(entry).decode())
    else:
        print(report.text())
    say(f"{picture}: the picture")
    return 0


def _check_recipe(path: Path) -> None:
    """That a path which is no run's may be a recipe's: else a mistyped run would be taken for the recipe of its name.

    Raises:
        TrainingError: it is neither.
    """
    if len(path.parts) > 1 and path.parent.name != "recipes" and not (path / "recipe.toml").is_file():
        raise TrainingError(
            f"{path}: neither a run (recipe.json) nor a recipe (recipe.toml) is here; "
            f"a prepared recipe is found by its name alone: {path.name}"
        )


def _of_run(run: Path, data: Path) -> GradientReport:
    """The curve of every layer and direction of a trained network."""
    from audiornn.corpus.preparation import open_prepared
    from audiornn.evaluate.gradient_report import GradientReport
    from audiornn.train.checkpoint import recipe_of_run

    recipe = recipe_of_run(run)
    prepared = open_prepared(data / recipe.name)

    from audiornn.train.gradients import run_curves

    curves = tuple(run_curves(run, prepared, recipe))
    return GradientReport(_title(f"{run}: {recipe.model.cell}"), _frame_seconds(recipe), curves)


def _of_recipe(
    prepared: Prepared, lags: Sequence[int], steps: int, seeds: Sequence[int], overrides: list[str]
) -> GradientReport:
    """The three cells in the recipe's shape, and at the memory task."""
    from audiornn.evaluate.gradient_report import GradientReport

    recipe = recipe_to_train(prepared, overrides)

    from audiornn.train.gradients import cells_compared
    from audiornn.train.memory_task import BATCH_SIZE, N_TONES, memory_rows

    rows = memory_rows(recipe.features, lags, steps, seeds, say)  # checks the lags before minutes are spent on curves
    curves = tuple(cells_compared(prepared, recipe, steps, say))
    task = (
        f"which of {N_TONES} tones was heard, asked after so many frames of noise: tones told rightly, after {steps} "
        f"steps of {BATCH_SIZE} or fewer (chance {100 / N_TONES:.0f} %, seed {', '.join(map(str, seeds))})"
    )
    shape = f"{recipe.name}: last of {recipe.model.n_layers} layers of {recipe.model.n_units} units, one direction"
    return GradientReport(_title(shape), _frame_seconds(recipe), curves, tuple(rows), task, 1 / N_TONES)


def _title(what: str) -> str:
    return f"{what}: the norm of ∂loss_T/∂state_t at a lag T − t, relative to lag 0 (median of the longest utterances)"


def _frame_seconds(recipe: Recipe) -> float:
    """From an output frame to the next."""
    return recipe.features.frame_seconds * recipe.model.stride
