"""Greedy CTC is the best path, collapsed; and what it collapsed is told."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiornn.listen.decoding import GreedyDecoder, greedy_ctc, label_runs
from tests.reference import best_path, collapse, ctc_loss


def log_probs_of(path, n_symbols=4, p=0.9):
    rows = np.full((len(path), n_symbols), (1 - p) / (n_symbols - 1), np.float32)
    rows[np.arange(len(path)), path] = p
    return np.log(rows)


def random_log_probs(n_frames, n_symbols, seed):
    logits = np.random.default_rng(seed).standard_normal((n_frames, n_symbols)) * 2
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


paths = st.lists(st.integers(0, 3), min_size=1, max_size=20)


@given(n_frames=st.integers(1, 30), n_symbols=st.integers(2, 5), seed=st.integers(0, 999))
def test_greedy_is_the_collapsed_best_path(n_frames, n_symbols, seed):
    log_probs = random_log_probs(n_frames, n_symbols, seed)
    assert tuple(symbol.id for symbol in greedy_ctc(log_probs)) == best_path(log_probs.tolist())


@given(paths)
def test_repeats_merge_and_blanks_part(path):
    assert tuple(symbol.id for symbol in greedy_ctc(log_probs_of(path))) == collapse(path)


@given(paths)
def test_runs_tile_the_frames(path):
    log_probs = log_probs_of(path)
    runs = label_runs(log_probs)
    assert [run.id for run in runs for _ in range(run.first, run.last + 1)] == path
    assert (runs[0].first, runs[-1].last) == (0, len(path) - 1)
    assert all(a.last + 1 == b.first and a.id != b.id for a, b in itertools.pairwise(runs))
    assert all(math.isclose(run.posterior, 0.9, rel_tol=1e-5) for run in runs)


@given(paths)
def test_symbols_are_runs_without_the_blanks(path):
    log_probs = log_probs_of(path)
    assert greedy_ctc(log_probs) == [run for run in label_runs(log_probs) if run.id]


def test_a_symbols_posterior_is_its_peak_and_a_labels_its_mean():
    log_probs = np.log(np.array([[0.2, 0.8], [0.4, 0.6], [0.9, 0.1]], np.float32))
    (symbol,) = greedy_ctc(log_probs)
    assert (symbol.id, symbol.first, symbol.last) == (1, 0, 1)
    assert symbol.posterior == pytest.approx(0.8)
    label, _ = label_runs(log_probs)
    assert (label.id, label.first, label.last) == (1, 0, 1)
    assert label.posterior == pytest.approx(0.7)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8))
def test_blocks_change_nothing(sizes):
    log_probs = np.log(np.random.default_rng(len(sizes)).dirichlet(np.ones(3), 30)).astype(np.float32)
    for ctc, whole in ((True, greedy_ctc(log_probs)), (False, label_runs(log_probs))):
        decoder = GreedyDecoder(ctc=ctc)
        borders = [0, *np.minimum(np.cumsum(sizes), 30).tolist(), 30]
        found = [run for a, b in itertools.pairwise(borders) for run in decoder.push(log_probs[a:b])]
        for run, true in zip([*found, *decoder.finish()], whole, strict=True):
            assert (run.id, run.first, run.last) == (true.id, true.first, true.last)
            assert run.posterior == pytest.approx(true.posterior)


@pytest.mark.parametrize("path", [[0], [0, 0, 0]])
def test_nothing_but_blanks_is_nothing(path):
    assert greedy_ctc(log_probs_of(path)) == []


def test_no_frames_are_nothing():
    assert greedy_ctc(np.zeros((0, 4), np.float32)) == []
    assert label_runs(np.zeros((0, 4), np.float32)) == []


# --- the oracles themselves, against what is known by hand ---


def test_the_oracles():
    assert collapse([0, 1, 1, 0, 1, 2, 2]) == (1, 1, 2)
    uniform = [[math.log(0.5)] * 2] * 3
    # of eight paths of three frames, six give one symbol: 100 010 001 110 011 111; and 101 gives two
    assert ctc_loss(uniform, [1]) == pytest.approx(-math.log(6 / 8))
    assert ctc_loss(uniform, [1, 1]) == pytest.approx(-math.log(1 / 8))
    assert ctc_loss(uniform, [1, 1, 1]) == math.inf


def test_the_loss_oracle_is_torchs():
    torch = pytest.importorskip("torch", reason="torch is the other side here")
    torch.set_num_threads(1)
    for seed, target in enumerate([[1], [1, 2], [2, 2], []]):
        log_probs = random_log_probs(5, 3, seed)
        loss = torch.nn.functional.ctc_loss(
            torch.from_numpy(log_probs)[:, None],
            torch.tensor([target], dtype=torch.int64).reshape(1, -1),
            torch.tensor([5]),
            torch.tensor([len(target)]),
            reduction="none",
        )
        assert loss.item() == pytest.approx(ctc_loss(log_probs.tolist(), target), rel=1e-4)
