"""Training on several CPU cores: each computes the gradients of its own part of a batch.

PyTorch's own threads split every small matrix product of every time step, meet after each, and now and then stall for
seconds; here each core runs whole utterances on one thread and they meet once a step. Parts and the order of their sum
are fixed, so a run is the same every time with the same number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

import torch
from torch import Tensor, nn

from audiornn.cores import n_cores
from audiornn.recipe import Task
from audiornn.train.dataset import Batch
from audiornn.train.losses import disagreement, utterance_losses
from audiornn.train.network import Network

__all__ = ["Workers", "fast_in_bf16", "n_workers"]

_LEAST_PART = 4  # utterances; smaller parts waste more than another core brings

T = TypeVar("T")
R = TypeVar("R")


def n_workers(threads: int, batch_size: int, device: torch.device) -> int:
    """How many workers share a batch: `threads`, or one a core where that is 0; one on a GPU."""
    if device.type != "cpu":
        return 1
    return threads or max(1, min(n_cores(), batch_size // _LEAST_PART))


def fast_in_bf16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 rather than imitating it."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())


class Workers:
    """Threads of one core each, for the time of a `with`; PyTorch's own threads rest meanwhile.

    Args:
        n: how many.
        bf16: whether networks compute in bfloat16; weights, losses and their sums stay float32.
    """

    def __init__(self, n: int, *, bf16: bool = False) -> None:
        self.n = n
        self.bf16 = bf16
        self._pool = ThreadPoolExecutor(n, initializer=torch.set_num_threads, initargs=(1,))

    def __enter__(self) -> Workers:
        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        torch.set_num_threads(self._threads_before)

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Apply a function to all items, results in their order."""
        return list(self._pool.map(function, items))

    def losses_and_gradients(
        self,
        network: Network,
        batch: Batch,
        task: Task,
        seed: int,
        *,
        smoothing: float = 0.0,
        middle_ctc: float = 0.0,
        consistency: float = 0.0,
        pooling: str = "mean",
    ) -> Tensor:
        """Compute a batch's losses, and put the gradients of their mean into the network's parameters.

        Args:
            network: in training mode.
            batch: on the network's device.
            task: the network's.
            seed: of dropout.
            smoothing: of a class' target.
            middle_ctc: share of the loss that the middle layer's output counts for.
            consistency: what the distance between the answers to a batch's two views counts, where it has two.
            pooling: of a keyword's frames.

        Returns:
            The loss of each utterance, (B,), detached, in the batch's order.
        """
        parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        n_utterances = len(batch.ids)
        n_parts = min(self.n, n_utterances)

        def compute(part: int) -> tuple[Tensor, Sequence[Tensor]]:
            one_view = batch.rows(part, n_parts)
            rows = one_view if one_view.other_view is None else one_view.both_views()
            generator = torch.Generator(rows.features.device).manual_seed(seed * n_parts + part)
            with torch.autocast(rows.features.device.type, torch.bfloat16, enabled=self.bf16):
                layers, output_lengths = network.layer_outputs(rows.features, rows.feature_lengths, generator)
                own = network.own_frames(rows.features, rows.feature_lengths)
                log_probs = network.head(layers[-1], output_lengths, generator, own)
                early = network.head(layers[len(layers) // 2 - 1], output_lengths, generator) if middle_ctc else None
            units = network.track_units
            losses = utterance_losses(
                log_probs, output_lengths, rows, task, smoothing=smoothing, units=units, pooling=pooling
            )
            if early is not None:
                losses = torch.lerp(losses, utterance_losses(early, output_lengths, rows, task), middle_ctc)
            if rows is not one_view:
                one, other = log_probs.chunk(2)
                apart = disagreement(one, other, output_lengths[: len(one)], one_view, task)
                losses = torch.stack(losses.chunk(2)).mean(dim=0) + consistency * apart
            gradients = torch.autograd.grad(losses.sum() / n_utterances, parameters)
            return losses.detach(), gradients

        parts = self.map(compute, range(n_parts))
        losses = torch.empty(n_utterances, device=batch.features.device)
        for part, (part_losses, _) in enumerate(parts):
            losses[part::n_parts] = part_losses
        for parameter, *gradients in zip(parameters, *(gradients for _, gradients in parts), strict=True):
            _set_gradient(parameter, gradients)
        return losses


def _set_gradient(parameter: nn.Parameter, gradients: Sequence[Tensor]) -> None:
    total = gradients[0]
    for gradient in gradients[1:]:
        total = total + gradient
    parameter.grad = total
