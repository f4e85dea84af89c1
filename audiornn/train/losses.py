"""What training minimises: CTC for transcripts, cross-entropy for labels of recordings and of frames."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from audiornn.recipe import Task
from audiornn.train.dataset import IGNORED, Batch

__all__ = ["utterance_losses"]


def utterance_losses(
    log_probs: Tensor, output_lengths: Tensor, batch: Batch, task: Task, *, smoothing: float = 0.0
) -> Tensor:
    """The loss of each utterance, (B,): in nats a symbol for CTC, a label, or a frame.

    Args:
        log_probs: the network's output.
        output_lengths: its second output.
        batch: with targets on the same device.
        task: the network's.
        smoothing: share of a class' target that goes to all labels alike (Szegedy et al. 2016).

    CTC (Graves et al. 2006) is never clipped: a target longer than its audio is infinite and shows as such.
    """
    if task == "classify":
        losses = F.nll_loss(log_probs, batch.targets, reduction="none")
        if batch.mixed_targets is not None and batch.shares is not None:
            mixed = F.nll_loss(log_probs, batch.mixed_targets, reduction="none")
            losses = batch.shares * losses + (1 - batch.shares) * mixed
        return losses if smoothing == 0 else (1 - smoothing) * losses - smoothing * log_probs.mean(dim=1)
    if task == "label":
        targets = batch.targets[:, : log_probs.shape[1]]
        losses = F.nll_loss(log_probs.transpose(1, 2), targets, ignore_index=IGNORED, reduction="none")
        if batch.frame_weights is not None:
            losses = losses * batch.frame_weights[:, : log_probs.shape[1]]
        return losses.sum(dim=1) / output_lengths
    losses = F.ctc_loss(
        log_probs.transpose(0, 1), batch.targets, output_lengths, batch.target_lengths, blank=0, reduction="none"
    )
    return losses / batch.target_lengths.clamp(min=1)
