"""Training that starts from what another run has learnt: few recordings need not teach a network what speech is.

Whatever has the same name and shape in both networks is taken over, normalisation included, since the weights rely on
it; what has not begins anew. Of the output, where it stands for other symbols, those are taken over that both know.
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
from audiornn.train.checkpoint import load_checkpoint, recipe_of_run, save_checkpoint
from audiornn.train.network import Network
from audiornn.vocabulary import Vocabulary

__all__ = ["Start", "read_start", "take_over", "write_start"]

_OUTPUT = ("output.weight", "output.bias")


@dataclass(frozen=True)
class Start:
    """What to start from.

    Attributes:
        source: a run's folder, or a file of `write_start`.
        recipe: what it was trained with.
        symbols: what its outputs stand for.
        tensors: its network's, by name.
    """

    source: Path
    recipe: Recipe
    symbols: tuple[str, ...]
    tensors: Mapping[str, Tensor]


def read_start(source: Path) -> Start:
    """The network that a run kept, or that `write_start` wrote.

    Raises:
        ModelFileError: the run is not finished.
        TrainingError: it is damaged, or neither.
    """
    if source.is_file():
        tensors, state = load_checkpoint(source)
        try:
            return Start(source, Recipe.from_json(state["recipe"]), tuple(state["symbols"]), tensors)
        except (KeyError, TypeError, ValueError) as error:
            raise TrainingError(
                f"{source}: no run, and no file of `audiornn export --start` to start from ({error!r})"
            ) from None
    if not source.exists():
        raise TrainingError(f"{source}: no such run or file to start from")
    recipe = recipe_of_run(source)
    tensors, _ = load_checkpoint(source / "best.safetensors")
    _, card = open_model_file(source / "model.onnx")
    return Start(source, recipe, card.vocabulary.symbols, tensors)


def write_start(path: Path, start: Start) -> None:
    """Write all that `take_over` needs as one file, in half precision: training goes on from there in any case."""
    halves = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in start.tensors.items()}
    save_checkpoint(path, halves, {"recipe": start.recipe.to_json(), "symbols": start.symbols})


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
            f"{start.source}: hears other features ({told}), which its weights are worth nothing without; "
            "set features as it has them, or start from nothing (training.start = '')"
        )
    state = network.state_dict()
    others = () if vocabulary.symbols == start.symbols else ("output.", "peaks.", "track_")
    fitting = {
        name: tensor
        for name, tensor in start.tensors.items()
        if name in state and state[name].shape == tensor.shape and not name.startswith(others)
    }
    has_width = state["output.weight"].shape[1] == start.tensors["output.weight"].shape[1]
    shared = _shared_symbols(recipe, vocabulary, start) if others and has_width else {}
    if not any(name.startswith("layers.") for name in fitting):
        raise TrainingError(
            f"{start.source}: none of its recurrent layers has the shape of these; its [model] has "
            + ", ".join(
                f"{name} = {value!r}"
                for name, value in vars(start.recipe.model).items()
                if value != getattr(recipe.model, name)
            )
        )
    outputs = {name: _with_rows(state[name], start.tensors[name], shared) for name in _OUTPUT if shared}
    network.load_state_dict({**state, **fitting, **outputs})
    parameters = dict(network.named_parameters())
    n_taken = sum(parameters[name].numel() for name in fitting if name in parameters)
    new = sorted(name for name in parameters if name not in fitting)
    known = f" but for {len(shared)} symbols that both know" if shared else ""
    return f"starts from {start.source}: {n_taken:,} of {network.n_parameters:,} parameters" + (
        f"; new are {', '.join(new)}{known}" if new else ""
    )


def _shared_symbols(recipe: Recipe, vocabulary: Vocabulary, start: Start) -> dict[int, int]:
    """Symbols that both networks know, in the same case or else in another: the number here, and the number there."""
    if recipe.task != start.recipe.task or recipe.task == "regress":
        return {}
    exact = {symbol: number for number, symbol in enumerate(start.symbols)}
    theirs = {symbol.casefold(): number for symbol, number in exact.items()}
    numbers = (
        (number, exact.get(symbol, theirs.get(symbol.casefold()))) for number, symbol in enumerate(vocabulary.symbols)
    )
    return {ours: found for ours, found in numbers if found is not None}


def _with_rows(ours: Tensor, theirs: Tensor, shared: Mapping[int, int]) -> Tensor:
    """A tensor of the output, (V, …), with rows of another, (V', …): `shared` says which becomes which."""
    mixed = ours.clone()
    mixed[list(shared)] = theirs[list(shared.values())].to(ours)
    return mixed
