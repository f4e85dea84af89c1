"""Training that starts from what another run has learnt: few recordings need not teach a network what speech is.

Whatever has the same name and shape in both networks is taken over, normalisation included, since the weights rely on
it; what has not begins anew, and so does the output where it stands for other symbols.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from audiornn.errors import TrainingError
from audiornn.model_file import open_model_file
from audiornn.recipe import Recipe
from audiornn.train.checkpoint import load_checkpoint, recipe_of_run
from audiornn.train.network import Network
from audiornn.vocabulary import Vocabulary

__all__ = ["Start", "read_start", "take_over"]


@dataclass(frozen=True)
class Start:
    """A run to start from.

    Attributes:
        run: its folder.
        recipe: what it was trained with.
        vocabulary: what its outputs stand for.
        tensors: its network's, by name.
    """

    run: Path
    recipe: Recipe
    vocabulary: Vocabulary
    tensors: Mapping[str, Tensor]


def read_start(run: Path) -> Start:
    """The network that a run kept.

    Raises:
        ModelFileError: the run is not finished.
        TrainingError: it is damaged, or no run.
    """
    recipe = recipe_of_run(run)
    tensors, _ = load_checkpoint(run / "best.safetensors")
    _, card = open_model_file(run / "model.onnx")
    return Start(run, recipe, card.vocabulary, tensors)


@torch.no_grad()
def take_over(network: Network, recipe: Recipe, vocabulary: Vocabulary, start: Start) -> str:
    """Give a network all of another run's tensors that fit, and say in a line which do not.

    Raises:
        TrainingError: the features differ, or no recurrent layer fits.
    """
    ours, theirs = ({**asdict(one.features), "engine": ""} for one in (recipe, start.recipe))
    if differing := [name for name, value in ours.items() if theirs[name] != value]:
        told = ", ".join(f"{name} = {theirs[name]!r} and not {ours[name]!r}" for name in differing)
        raise TrainingError(
            f"{start.run}: hears other features ({told}), which its weights are worth nothing without; "
            "set features as it has them"
        )
    state = network.state_dict()
    others = () if vocabulary.symbols == start.vocabulary.symbols else ("output.", "peaks.", "track_")
    fitting = {
        name: tensor
        for name, tensor in start.tensors.items()
        if name in state and state[name].shape == tensor.shape and not name.startswith(others)
    }
    if not any(name.startswith("layers.") for name in fitting):
        raise TrainingError(
            f"{start.run}: none of its recurrent layers has the shape of these; its [model] has "
            + ", ".join(
                f"{name} = {value!r}"
                for name, value in vars(start.recipe.model).items()
                if value != getattr(recipe.model, name)
            )
        )
    network.load_state_dict({**state, **fitting})
    parameters = dict(network.named_parameters())
    n_taken = sum(parameters[name].numel() for name in fitting if name in parameters)
    new = sorted(name for name in parameters if name not in fitting)
    return f"starts from {start.run}: {n_taken:,} of {network.n_parameters:,} parameters" + (
        f"; new are {', '.join(new)}" if new else ""
    )
