"""Losses against plain definitions."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from audiornn.train.dataset import IGNORED, Batch
from audiornn.train.losses import disagreement, utterance_losses
from tests.reference import ctc_loss


def batch_of(targets, target_lengths):
    return Batch(
        features=torch.zeros(len(targets), 1, 1),
        feature_lengths=torch.ones(len(targets), dtype=torch.int64),
        targets=torch.tensor(targets),
        target_lengths=torch.tensor(target_lengths),
        ids=tuple(map(str, range(len(targets)))),
    )


def log_probs_of(*shape):
    torch.manual_seed(0)
    return torch.randn(*shape).log_softmax(dim=-1)


def test_ctc_sums_over_all_paths():
    log_probs = log_probs_of(4, 5, 3)
    targets, lengths, n_frames = [[1, 2], [1, 1], [2, 0], [1, 2]], [2, 2, 1, 2], [5, 3, 4, 2]
    found = utterance_losses(log_probs, torch.tensor(n_frames), batch_of(targets, lengths), "transcribe")
    for row, target, length, n, loss in zip(log_probs, targets, lengths, n_frames, found.tolist(), strict=True):
        assert loss * length == pytest.approx(ctc_loss(row[:n].numpy(), target[:length]), abs=1e-5)


def test_an_impossible_target_is_infinite_and_not_hidden():
    losses = utterance_losses(log_probs_of(1, 2, 3), torch.tensor([2]), batch_of([[1, 1]], [2]), "transcribe")
    assert math.isinf(losses.item())


def test_a_silent_utterance_has_an_empty_target():
    losses = utterance_losses(log_probs_of(1, 3, 3), torch.tensor([3]), batch_of([[0]], [0]), "transcribe")
    assert losses.item() == pytest.approx(-log_probs_of(1, 3, 3)[0, :, 0].sum().item(), abs=1e-5)


def test_a_class_costs_minus_its_log_probability():
    log_probs = log_probs_of(2, 4)
    losses = utterance_losses(log_probs, torch.tensor([5, 7]), batch_of([3, 0], [1, 1]), "classify")
    assert losses.tolist() == [-log_probs[0, 3].item(), -log_probs[1, 0].item()]


def test_a_mixture_costs_what_its_labels_do_and_smoothing_asks_a_little_of_each():
    log_probs = log_probs_of(2, 4)
    batch = replace(batch_of([3, 0], [1, 1]), mixed_targets=torch.tensor([1, 0]), shares=torch.tensor([0.75, 1.0]))
    losses = utterance_losses(log_probs, torch.tensor([5, 7]), batch, "classify")
    expected = [-(0.75 * log_probs[0, 3] + 0.25 * log_probs[0, 1]).item(), -log_probs[1, 0].item()]
    assert losses.tolist() == pytest.approx(expected)
    smoothed = utterance_losses(log_probs, torch.tensor([5, 7]), batch, "classify", smoothing=0.2)
    means = log_probs.mean(dim=1)
    assert smoothed.tolist() == pytest.approx([0.8 * e - 0.2 * m.item() for e, m in zip(expected, means, strict=True)])


def test_frames_are_averaged_over_the_real_ones():
    log_probs = log_probs_of(1, 4, 3)
    losses = utterance_losses(log_probs, torch.tensor([2]), batch_of([[2, 1, IGNORED, IGNORED]], [2]), "label")
    assert losses.item() == pytest.approx(-(log_probs[0, 0, 2] + log_probs[0, 1, 1]).item() / 2)


def test_independent_labels_cost_binary_cross_entropy():
    torch.manual_seed(0)
    logits = torch.tensor([[0.5, -3.0, 60.0], [-60.0, 20.0, 0.0]], requires_grad=True)
    targets = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    batch = replace(batch_of([[0], [0]], [3, 3]), targets=targets)
    losses = utterance_losses(logsigmoid(logits), torch.tensor([5, 7]), batch, "classify")
    expected = binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(dim=1)
    torch.testing.assert_close(losses, expected)
    found, wanted = (torch.autograd.grad(loss.sum(), logits)[0] for loss in (losses, expected))
    torch.testing.assert_close(found, wanted)
    smoothed = utterance_losses(logsigmoid(logits), torch.tensor([5, 7]), batch, "classify", smoothing=0.2)
    torch.testing.assert_close(
        smoothed, binary_cross_entropy_with_logits(logits, 0.8 * targets + 0.1, reduction="none").mean(dim=1)
    )
    mixed = replace(batch, mixed_targets=1 - targets, shares=torch.tensor([0.75, 1.0]))
    soft = torch.stack([0.75 * targets[0] + 0.25 * (1 - targets[0]), targets[1]])
    torch.testing.assert_close(
        utterance_losses(logsigmoid(logits), torch.tensor([5, 7]), mixed, "classify"),
        binary_cross_entropy_with_logits(logits, soft, reduction="none").mean(dim=1),
    )


def test_independent_labels_of_frames_are_averaged_over_the_real_ones():
    logits = torch.tensor([[[1.0, -1.0], [2.0, 0.5], [9.0, 9.0]]])
    targets = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [IGNORED, IGNORED]]])
    batch = replace(batch_of([[0]], [2]), targets=targets)
    losses = utterance_losses(logsigmoid(logits), torch.tensor([2]), batch, "label")
    torch.testing.assert_close(losses[0], binary_cross_entropy_with_logits(logits[:, :2], targets[:, :2]))


def test_squared_errors_are_averaged_over_the_frames_where_there_is_a_target():
    nan = float("nan")
    values = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [50.0, 60.0]]], requires_grad=True)
    targets = torch.tensor([[[0.0, nan], [1.0, 2.0], [nan, nan]]])
    batch = replace(batch_of([[0]], [2]), targets=targets)
    scale = torch.tensor([1.0, 2.0])
    losses = utterance_losses(values, torch.tensor([2]), batch, "regress", units=scale)
    assert losses.item() == pytest.approx(((1**2 + 2**2) / 2 + (2 / 2) ** 2) / 2)
    gradient = torch.autograd.grad(losses.sum(), values)[0]
    torch.testing.assert_close(gradient, torch.tensor([[[0.5, 0.0], [1.0, 0.5], [0.0, 0.0]]]))


def test_a_track_that_a_recording_lacks_does_not_thin_out_the_others():
    values, targets = torch.tensor([[[1.0, 2.0]], [[1.0, 2.0]]]), torch.tensor([[[0.0, float("nan")]]] * 2)
    targets[1] = float("nan")
    batch = replace(batch_of([[0], [0]], [1, 1]), targets=targets)
    losses = utterance_losses(values, torch.tensor([1, 1]), batch, "regress", units=torch.tensor([1.0, 2.0]))
    assert losses.tolist() == [1.0, 0.0]


def test_a_value_between_two_bins_is_both_in_shares():
    nan = float("nan")
    bins = torch.tensor([[0.0, 1.0, 2.0, 3.0], [10.0, 20.0, 30.0, 40.0]])
    log_probs = torch.randn(1, 3, 2, 4, generator=torch.Generator().manual_seed(1)).log_softmax(-1).requires_grad_()
    targets = torch.tensor([[[1.25, nan], [9.0, 10.0], [nan, nan]]])  # beyond the last bin is the last
    batch = replace(batch_of([[0]], [2]), targets=targets)
    losses = utterance_losses(log_probs, torch.tensor([2]), batch, "regress", units=bins)
    first = -(0.75 * log_probs[0, 0, 0, 1] + 0.25 * log_probs[0, 0, 0, 2] + log_probs[0, 1, 0, 3]) / 2
    torch.testing.assert_close(losses[0], (first - log_probs[0, 1, 1, 0]) / 2)
    gradient = torch.autograd.grad(losses.sum(), log_probs)[0]
    assert gradient.isfinite().all()
    assert not gradient[0, 2].any()


def test_weights_of_frames_weigh_their_losses():
    log_probs, targets = log_probs_of(1, 4, 3), [[0, 1, 2, IGNORED]]
    weights = torch.tensor([[0.5, 2.0, 1.0, 0.0]])
    batch = replace(batch_of(targets, [3]), frame_weights=weights)
    found = utterance_losses(log_probs, torch.tensor([3]), batch, "label")
    each = [-float(log_probs[0, t, label]) for t, label in enumerate(targets[0][:3])]
    assert found.item() == pytest.approx(sum(w * loss for w, loss in zip([0.5, 2.0, 1.0], each, strict=True)) / 3)


@pytest.mark.parametrize(("task", "share"), [("transcribe", 2), ("label", 3), ("spot", 3)])
def test_two_answers_disagree_on_real_frames_alone(task, share):
    log_probs, others = log_probs_of(4, 5, 3).chunk(2)
    batch, lengths = batch_of([[2, 1], [1, 2]], [2, 2]), torch.tensor([3, 3])
    apart = disagreement(log_probs, others, lengths, batch, task)
    pairs = (log_probs[:, :3], others[:, :3])
    expected = ((pairs[0].exp() - pairs[1].exp()) * (pairs[0] - pairs[1])).sum(dim=(1, 2)) / 2
    torch.testing.assert_close(apart, expected / share)
    assert disagreement(others, others, lengths, batch, task).abs().max() < 1e-6


def test_two_answers_of_independent_labels_disagree_by_each():
    torch.manual_seed(0)
    logits, others = torch.randn(2, 3), torch.randn(2, 3)
    batch = replace(batch_of([[0], [0]], [3, 3]), targets=torch.zeros(2, 3))
    apart = disagreement(logsigmoid(logits), logsigmoid(others), torch.tensor([1, 1]), batch, "classify")
    expected = (logits.sigmoid() - others.sigmoid()) * (logits - others) / 2  # as of two classes, yes and no
    torch.testing.assert_close(apart, expected.mean(dim=1))


def test_each_answer_learns_from_the_other_as_it_stands():
    logits = torch.tensor([[0.5, -1.0]], requires_grad=True)
    others = torch.tensor([[-0.5, 2.0]], requires_grad=True)
    views = logits.log_softmax(-1), others.log_softmax(-1)
    disagreement(*views, torch.tensor([1]), batch_of([0], [1]), "classify").sum().backward()
    expected = (logits.softmax(-1) - others.softmax(-1)).detach() / 2
    torch.testing.assert_close(logits.grad, expected)
    torch.testing.assert_close(others.grad, -expected)
