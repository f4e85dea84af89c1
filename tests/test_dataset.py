"""Batches: every utterance once an epoch, like lengths together, the same order for the same seed and epoch."""

import time

import numpy as np
import pytest

from audiornn.train.dataset import batch_order, looked_ahead

LENGTHS = np.random.default_rng(0).integers(10, 600, 1000)


@pytest.mark.parametrize("batch_size", [1, 7, 32, 5000])
def test_every_utterance_comes_once_an_epoch(batch_size):
    batches = batch_order(LENGTHS, batch_size, seed=1, epoch=0)
    assert sorted(np.concatenate(batches).tolist()) == list(range(1000))
    assert len(batches) == -(-1000 // batch_size)
    assert max(map(len, batches)) <= batch_size


def test_the_order_is_a_function_of_seed_and_epoch():
    def order(seed, epoch):
        return np.concatenate(batch_order(LENGTHS, 32, seed=seed, epoch=epoch)).tolist()

    assert order(1, 3) == order(1, 3)
    assert order(1, 3) != order(1, 4)
    assert order(1, 3) != order(2, 3)


def test_batches_hold_little_padding():
    def padding(batches):
        padded = sum(len(batch) * LENGTHS[batch].max() for batch in batches)
        return 1 - LENGTHS.sum() / padded

    shuffled = np.random.default_rng(0).permutation(1000)
    random_batches = [shuffled[i : i + 32] for i in range(0, 1000, 32)]
    assert padding(batch_order(LENGTHS, 32, seed=1, epoch=0)) < 0.06
    assert padding(random_batches) > 0.4


def test_looking_ahead_changes_nothing_and_passes_errors_on():
    assert list(looked_ahead(iter(range(5)))) == list(range(5))
    assert list(looked_ahead(iter([]))) == []

    def failing():
        yield 1
        raise ValueError("in the maker")

    items = looked_ahead(failing())
    assert next(items) == 1
    with pytest.raises(ValueError, match="in the maker"):
        next(items)


def test_the_next_item_is_made_while_one_is_used():
    made = []

    def items():
        for i in range(3):
            made.append(i)
            yield i

    ahead = looked_ahead(items())
    next(ahead)
    deadline = time.monotonic() + 10
    while len(made) < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert made[:2] == [0, 1]
    ahead.close()
