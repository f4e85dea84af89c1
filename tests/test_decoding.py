"""Greedy CTC is the best path, collapsed; and what it collapsed is told."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiornn.listen.decoding import GreedyDecoder, greedy_ctc
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
def test_symbols_are_runs_without_the_blanks(path):
    runs, first = [], 0
    for symbol, frames in itertools.groupby(path):
        n = len(list(frames))
        runs += [(symbol, first, first + n - 1)] if symbol else []
        first += n
    found = greedy_ctc(log_probs_of(path))
    assert [(symbol.id, symbol.first, symbol.last) for symbol in found] == runs
    assert all(math.isclose(symbol.posterior, 0.9, rel_tol=1e-5) for symbol in found)


def test_a_symbols_posterior_is_its_peak():
    log_probs = np.log(np.array([[0.2, 0.8], [0.4, 0.6], [0.9, 0.1]], np.float32))
    (symbol,) = greedy_ctc(log_probs)
    assert (symbol.id, symbol.first, symbol.last) == (1, 0, 1)
    assert symbol.posterior == pytest.approx(0.8)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8))
def test_blocks_change_nothing(sizes):
    log_probs = np.log(np.random.default_rng(len(sizes)).dirichlet(np.ones(3), 30)).astype(np.float32)
    decoder = GreedyDecoder()
    borders = [0, *np.minimum(np.cumsum(sizes), 30).tolist(), 30]
    found = [symbol for a, b in itertools.pairwise(borders) for symbol in decoder.push(log_probs[a:b])]
    assert [*found, *decoder.finish()] == greedy_ctc(log_probs)


@pytest.mark.parametrize("path", [[0], [0, 0, 0]])
def test_nothing_but_blanks_is_nothing(path):
    assert greedy_ctc(log_probs_of(path)) == []


def test_no_frames_are_nothing():
    assert greedy_ctc(np.zeros((0, 4), np.float32)) == []


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


def test_what_may_still_go_on_is_not_settled():
    decoder = GreedyDecoder()
    best = np.array([0, 0, 2, 2])
    assert decoder.push(np.log(np.eye(3, dtype=np.float32)[best] + 1e-6)) == []
    assert decoder.settled == 2
    decoder.push(np.log(np.eye(3, dtype=np.float32)[[0]] + 1e-6))
    assert decoder.settled == 5
