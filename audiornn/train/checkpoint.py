"""What a run's folder holds: checkpoints, one safetensors file of plain tensors and JSON each, and the recipe.

Loading one cannot run code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from audiornn.errors import TrainingError
from audiornn.files import write_atomically
from audiornn.recipe import Recipe

__all__ = ["load_checkpoint", "optimiser_tensors", "recipe_of_run", "restore_optimiser", "save_checkpoint"]


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write tensors and a JSON-able state as one file, all or nothing."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with write_atomically(path) as out:
        out.write(safetensors.torch.save(plain, metadata={"state": json.dumps(state)}))


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_checkpoint` wrote.

    Raises:
        TrainingError: missing or damaged.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            state = json.loads(file.metadata()["state"])
            # Copies: the file stays mapped as long as its tensors live, and Windows replaces no mapped file.
            return {name: file.get_tensor(name).clone() for name in file.keys()}, state  # noqa: SIM118 - not a dict
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise TrainingError(f"{path}: not a checkpoint that can be read ({error})") from None


def recipe_of_run(run: Path) -> Recipe:
    """The settings that a run was trained with.

    Raises:
        TrainingError: its recipe.json is missing or damaged.
    """
    try:
        return Recipe.from_json(json.loads((run / "recipe.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError) as error:
        raise TrainingError(f"{run}/recipe.json: cannot be read ({error})") from None


def optimiser_tensors(optimiser: torch.optim.Optimizer, names: Mapping[Tensor, str]) -> dict[str, Tensor]:
    """The optimiser's tensors, by parameter name: `optimiser.<parameter>.<what>`."""
    return {
        f"optimiser.{names[parameter]}.{what}": value
        for parameter, values in optimiser.state.items()
        for what, value in values.items()
    }


def restore_optimiser(
    optimiser: torch.optim.Optimizer, names: Mapping[Tensor, str], tensors: Mapping[str, Tensor]
) -> None:
    """Give an optimiser back the tensors of `optimiser_tensors`."""
    for parameter, name in names.items():
        prefix = f"optimiser.{name}."
        found = {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
        # AdamW's count of steps stays on the CPU, whatever the device.
        optimiser.state[parameter] = {
            what: value if what == "step" else value.to(parameter.device) for what, value in found.items()
        }
