"""A run under way: what changes from step to step, and its folder, from which it can go on.

runs/<recipe>/
  recipe.json         the settings
  metrics.jsonl       a line an epoch; tensorboard/ holds the same
  last.safetensors    to go on from: weights, their moving average, optimiser, where we are
  best.safetensors    the averaged weights that did best on dev
  .lock               held by the process that trains here
"""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audiornn.errors import TrainingError
from audiornn.files import json_line, locked, write_atomically
from audiornn.recipe import Recipe
from audiornn.train.checkpoint import load_checkpoint, optimiser_tensors, restore_optimiser, save_checkpoint
from audiornn.train.dev_score import DevScore
from audiornn.train.network import Network

__all__ = ["Run"]


@dataclass
class Run:
    """A network that learns, and all that decides how it goes on.

    Attributes:
        folder: where it is kept.
        network: as the last step left it.
        averaged: the moving average of its weights.
        optimiser: of the network.
        state: plain types, for the checkpoint: the step, what the epoch has summed up so far, the best epoch, and what
            a resumed run must find as it was.
    """

    folder: Path
    network: Network
    averaged: Network
    optimiser: torch.optim.Optimizer
    state: dict[str, Any]

    @classmethod
    def begin(cls, folder: Path, network: Network, *, weight_decay: float, **state: Any) -> Run:
        """A run before its first step; `state` is what a resumed run must find as it was."""
        optimiser = torch.optim.AdamW(network.parameters(), lr=0.0, weight_decay=weight_decay)
        state |= {"step": 0, "best": None, "finished": False, "studied": {}}  # best: [error rate, loss, epoch]
        run = cls(folder, network, copy.deepcopy(network), optimiser, state)
        run.begin_epoch()
        return run

    def begin_epoch(self) -> None:
        """Nothing is summed up of the epoch that comes."""
        self.state |= {"loss_sum": 0.0, "frames": 0, "seconds": 0.0}

    def go_on(self, recipe: Recipe) -> None:
        """Take up the folder's last checkpoint.

        Raises:
            TrainingError: it is damaged, or of a corpus that was prepared otherwise.
        """
        tensors, found = load_checkpoint(self.folder / "last.safetensors")
        sounds = found.get("sounds", self.state["sounds"])
        if found["digests"] != self.state["digests"] or not _alike(sounds, self.state["sounds"]):
            raise TrainingError(
                f"{self.folder}: was trained on another preparation of {recipe.name}; prepare it as before"
            )
        found.setdefault("studied", found.pop("mined", {}))  # as it was called once
        self.state |= found
        self.network.load_state_dict(_under("network.", tensors))
        self.averaged.load_state_dict(_under("averaged.", tensors))
        restore_optimiser(self.optimiser, self._names, tensors)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Make the folder, and keep every other process from training in it.

        Raises:
            TrainingError: another one does.
        """

        def refuse() -> None:
            raise TrainingError(f"{self.folder}: another `audiornn train` is at work on this run; wait for its end")

        with locked(self.folder / ".lock", refuse):
            yield

    def write_recipe(self, recipe: Recipe) -> None:
        """Write down the settings."""
        with write_atomically(self.folder / "recipe.json") as out:
            out.write(json.dumps(recipe.to_json(), indent=1, ensure_ascii=False).encode())

    @torch.no_grad()
    def average(self, share: float) -> None:
        """Move the averaged weights towards the network's by a share of the way."""
        torch._foreach_lerp_(list(self.averaged.parameters()), list(self.network.parameters()), share)

    def save(self) -> None:
        """Write the checkpoint to go on from."""
        weights = {"network.": self.network.state_dict(), "averaged.": self.averaged.state_dict()}
        tensors = {prefix + name: tensor for prefix, some in weights.items() for name, tensor in some.items()}
        tensors |= optimiser_tensors(self.optimiser, self._names)
        save_checkpoint(self.folder / "last.safetensors", tensors, self.state)

    def keep_if_best(self, epoch: int, score: DevScore, *, can_choose: bool) -> None:
        """Keep the averaged weights where no epoch did better on dev; where dev cannot choose, those of the last."""
        ranking = [score.error_rate, score.loss, epoch] if can_choose else [0.0, 0.0, epoch]
        if self.state["best"] is None or ranking[:2] <= self.state["best"][:2]:
            self.state["best"] = ranking
            kept = {**self.state, "dev": asdict(score)}
            save_checkpoint(self.folder / "best.safetensors", self.averaged.state_dict(), kept)

    def take_best(self) -> dict[str, Any]:
        """Give the network the weights that were kept; returns the state of then, with the score on dev (`dev`).

        Raises:
            TrainingError: they are not finite.
        """
        tensors, best = load_checkpoint(self.folder / "best.safetensors")
        self.network.load_state_dict(tensors)
        if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values() if tensor.is_floating_point()):
            raise TrainingError(f"{self.folder}: its weights are not finite; lower training.learning_rate")
        return best

    @contextlib.contextmanager
    def log(self) -> Iterator[Callable[[Mapping[str, Any]], None]]:
        """Writes an epoch's numbers to metrics.jsonl and for TensorBoard; what a killed run wrote beyond goes."""
        from torch.utils.tensorboard import SummaryWriter

        path = self.folder / "metrics.jsonl"
        if path.exists():
            whole = [line for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
            lines = [line for line in whole if json.loads(line)["step"] <= self.state["step"]]
            with write_atomically(path) as kept:
                kept.write("".join(line + "\n" for line in lines).encode())
        with (
            SummaryWriter(str(self.folder / "tensorboard"), purge_step=self.state["step"] + 1) as board,
            open(path, "a", encoding="utf-8") as out,
        ):

            def write(metrics: Mapping[str, Any]) -> None:
                out.write(json_line(metrics) + "\n")
                out.flush()
                for key, value in metrics.items():
                    if key not in ("epoch", "step"):
                        board.add_scalar(key, value, metrics["step"])

            yield write

    @property
    def _names(self) -> dict[torch.Tensor, str]:
        return {parameter: name for name, parameter in self.network.named_parameters()}


def _alike(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether two lots of recordings have the same means and deviations, as the same recordings do."""
    return before.keys() == now.keys() and all(
        np.allclose(before[name], now[name], rtol=1e-3, atol=1e-3) for name in now
    )


def _under(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors whose name begins with a prefix, without it."""
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
