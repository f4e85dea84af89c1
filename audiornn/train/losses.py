"""What training minimises.

CTC for transcripts, cross-entropy for labels of recordings, of frames and of keywords, squared errors for values over
time.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from audiornn.recipe import Task
from audiornn.train.dataset import IGNORED, Batch

__all__ = ["disagreement", "utterance_losses"]


def utterance_losses(
    log_probs: Tensor,
    output_lengths: Tensor,
    batch: Batch,
    task: Task,
    *,
    smoothing: float = 0.0,
    units: Tensor | None = None,
    pooling: str = "mean",
) -> Tensor:
    """The loss of each utterance, (B,): in nats a symbol for CTC, a label, a frame, or a value in bins; else squared.

    Args:
        log_probs: the network's output; of "regress" the values, or log-probabilities of bins.
        output_lengths: its second output.
        batch: with targets on the same device.
        task: the network's.
        smoothing: share of a class' target that goes to all labels alike (Szegedy et al. 2016); of labels that are
            independent, to yes and no alike.
        units: of "regress" what a deviation of 1 is in each track, (tracks,), so that all weigh alike; or the bins'
            values, (tracks, bins).
        pooling: of a spotter, how the frames of a keyword count.

    Targets of labels that are independent of each other are floats, 0…1 for each label: their cross-entropy is binary.
    CTC (Graves et al. 2006) is never clipped: a target longer than its audio is infinite and shows as such.
    """
    if task == "regress":
        assert units is not None
        targets = batch.targets[:, : log_probs.shape[1]]
        return (_mean_squared_errors if units.dim() == 1 else _binned_cross_entropy)(log_probs, targets, units)
    if batch.targets.is_floating_point():
        if task == "label":
            targets = batch.targets[:, : log_probs.shape[1]]
            losses = _binary_cross_entropy(log_probs, targets.clamp(min=0)) * (targets[..., 0] != IGNORED)
            return losses.sum(dim=1) / output_lengths
        targets = batch.targets
        if batch.mixed_targets is not None and batch.shares is not None:
            targets = torch.lerp(batch.mixed_targets, targets, batch.shares[:, None])
        return _binary_cross_entropy(log_probs, torch.lerp(targets, torch.full_like(targets, 0.5), smoothing))
    if task == "classify":
        losses = F.nll_loss(log_probs, batch.targets, reduction="none")
        if batch.mixed_targets is not None and batch.shares is not None:
            mixed = F.nll_loss(log_probs, batch.mixed_targets, reduction="none")
            losses = batch.shares * losses + (1 - batch.shares) * mixed
        return losses if smoothing == 0 else (1 - smoothing) * losses - smoothing * log_probs.mean(dim=1)
    if task == "spot":
        return _spotting_losses(log_probs, batch.targets[:, : log_probs.shape[1]], pooling)
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


def disagreement(log_probs: Tensor, others: Tensor, output_lengths: Tensor, batch: Batch, task: Task) -> Tensor:
    """How far apart two answers to each utterance lie, (B,): in nats a symbol for CTC, a label, or a frame.

    The mean of both Kullback-Leibler divergences; each answer learns from the other as it stands, as from a target
    (Yao et al. 2025, "CR-CTC: Consistency Regularization on CTC for Improved Speech Recognition").

    Args:
        log_probs: one answer, (B, T', V), or (B, V) of classes.
        others: the other, the same shape.
        output_lengths: (B,).
        batch: with their targets.
        task: the network's.
    """
    divergence = _binary_divergence if batch.targets.is_floating_point() else _divergence
    apart = (divergence(log_probs, others.detach()) + divergence(others, log_probs.detach())) / 2
    if task == "classify":
        return apart
    inside = torch.arange(apart.shape[1], device=apart.device) < output_lengths[:, None]
    total = apart.masked_fill(~inside, 0.0).sum(dim=1)
    return total / (batch.target_lengths.clamp(min=1) if task == "transcribe" else output_lengths)


def _divergence(log_probs: Tensor, target: Tensor) -> Tensor:
    """Kullback-Leibler divergence of log-probabilities (…, V) from those of a target."""
    return F.kl_div(log_probs, target, reduction="none", log_target=True).sum(dim=-1)


def _binary_divergence(log_probs: Tensor, target: Tensor) -> Tensor:
    """The same where each of (…, V) is a yes or no of its own, the mean over V."""
    wanted = target.exp()
    return _binary_cross_entropy(log_probs, wanted) - _binary_cross_entropy(target, wanted)


def _binary_cross_entropy(log_probs: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy, the mean over labels, of log-probabilities (…, labels) against 0…1 for each.

    log(1 − p) comes from log p without loss: near p = 1 log p is small, and floats are finest there.
    """
    log_not = torch.log(-torch.expm1(log_probs.clamp(max=-torch.finfo(log_probs.dtype).tiny)))
    return -(targets * log_probs + (1 - targets) * log_not).mean(dim=-1)


def _mean_squared_errors(values: Tensor, targets: Tensor, scale: Tensor) -> Tensor:
    """(1/T) Σ (y − ŷ)² over the T frames where a track is defined, the mean over tracks that are there at all, (B,).

    Args:
        values: (B, T', tracks).
        targets: the same shape, NaN where a track is not defined, and at padding.
        scale: (tracks,), what errors are measured in.
    """
    defined = ~targets.isnan()
    errors = (values - targets.masked_fill(~defined, 0.0)) / scale
    squares = errors.square().masked_fill(~defined, 0.0)
    return _over_tracks(squares, defined)


def _binned_cross_entropy(log_probs: Tensor, targets: Tensor, bins: Tensor) -> Tensor:
    """Cross-entropy with the two bins next to each target, which share it so that their mean is the target, (B,).

    The mean over the frames where a track is defined, and over tracks that are there at all. A distribution learns
    values better than their squared error does (Imani & White 2018; Farebrother et al. 2024): it may say "this or an
    octave higher".

    Args:
        log_probs: (B, T', tracks, bins).
        targets: (B, T', tracks), NaN where a track is not defined, and at padding.
        bins: (tracks, bins), evenly spaced.
    """
    defined = ~targets.isnan()
    n_bins = bins.shape[1]
    place = (targets - bins[:, 0]) / (bins[:, 1] - bins[:, 0])
    place = place.masked_fill(~defined, 0.0).clamp(0, n_bins - 1)
    lower = place.floor().clamp(max=n_bins - 2)
    share = place - lower
    index = lower.long().unsqueeze(-1)
    at_lower, at_upper = (log_probs.gather(-1, index + i).squeeze(-1) for i in (0, 1))
    losses = -torch.lerp(at_lower, at_upper, share).masked_fill(~defined, 0.0)
    return _over_tracks(losses, defined)


def _over_tracks(losses: Tensor, defined: Tensor) -> Tensor:
    """The mean over tracks of each one's mean over its defined frames, (B,); 0 where no track is defined."""
    n_frames = defined.sum(dim=1)
    n_tracks = (n_frames > 0).sum(dim=1)
    return (losses.sum(dim=1) / n_frames.clamp(min=1)).sum(dim=1) / n_tracks.clamp(min=1)


#: Frames of an example that count for themselves: a second of false alarm hides in two of silence.
_HARDEST = 4


def _spotting_losses(log_probs: Tensor, targets: Tensor, pooling: str) -> Tensor:
    """The loss of each window, (B,): of the frames where nothing is said, and of those where a keyword ends.

    Of the former the mean counts, and again the mean of the worst; of the latter the mean, or with "max" pooling the
    best alone (Sun et al. 2016, "Max-pooling loss training of long short-term memory networks for small-footprint
    keyword spotting").
    """
    losses = F.nll_loss(log_probs.transpose(1, 2), targets, ignore_index=IGNORED, reduction="none")  # (B, T')
    quiet, keyword = targets == 0, targets > 0
    of_quiet = losses.masked_fill(~quiet, 0.0)
    total = of_quiet.sum(dim=1) / quiet.sum(dim=1).clamp(min=1)
    total = total + of_quiet.topk(min(_HARDEST, of_quiet.shape[1]), dim=1).values.mean(dim=1)
    if pooling == "max":
        best = losses.masked_fill(~keyword, torch.inf).amin(dim=1)
        return total + best.masked_fill(~keyword.any(dim=1), 0.0)
    return total + losses.masked_fill(~keyword, 0.0).sum(dim=1) / keyword.sum(dim=1).clamp(min=1)
