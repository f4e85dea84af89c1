"""Batches: every utterance once an epoch, like lengths together, the same order for the same seed and epoch."""

import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from audiornn.train.dataset import Dataset, batch_order, looked_ahead

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


@pytest.fixture
def dataset(prepared):
    """The training split of recordings of single words, under changed settings."""

    def make(task="classify", augment=None, training=None):
        ready = prepared(task)
        recipe = replace(
            ready.recipe,
            augment=replace(ready.recipe.augment, **(augment or {})),
            training=replace(ready.recipe.training, **(training or {})),
        )
        return Dataset(ready, "train", recipe, ready.vocabulary)

    return make


def test_of_the_commonest_label_come_as_many_as_of_the_next_and_all_in_turn(dataset):
    data = dataset(training={"balanced": True})
    labels = [u.text for u in data.utterances]
    common, *rarer = sorted(set(labels))
    kept = [i for i, label in enumerate(labels) if label == common]
    for label, n in zip(rarer, (5, 3), strict=True):
        kept += [i for i, other in enumerate(labels) if other == label][:n]
    store = data.store
    data.lengths, data.utterances = data.lengths[kept], [data.utterances[i] for i in kept]
    data.store = type("Store", (), {"targets": staticmethod(lambda i: store.targets(kept[i]))})()
    seen = set()
    for epoch in range(20):
        order = np.concatenate(data.order(seed=1, epoch=epoch))
        assert len(set(order.tolist())) == len(order)
        taken = Counter(data.utterances[i].text for i in order)
        assert taken == dict(zip([common, *rarer], (5, 5, 3), strict=True))
        seen |= set(order.tolist())
    assert seen == set(range(len(kept)))
    assert [o.tolist() for o in data.order(seed=1, epoch=3)] == [o.tolist() for o in data.order(seed=1, epoch=3)]


def test_mixup_tells_both_labels_and_their_shares(dataset):
    data = dataset(augment={"mixup": 1.0, "easy_first": 0.0})
    batch = data.batch(range(8), np.random.default_rng(0))
    assert batch.mixed_targets.shape == batch.shares.shape == (8,)
    assert (batch.shares >= 0.5).all()
    assert (batch.shares < 1.0).all()
    assert torch.equal(batch.rows(1, 2).shares, batch.shares[1::2])
    for plain in (data.batch(range(8)), dataset().batch(range(8), np.random.default_rng(0))):
        assert plain.mixed_targets is plain.shares is None
    untouched = dataset(augment={"mixup": 0.0}).batch(range(8))
    assert torch.equal(data.batch(range(8)).features, untouched.features)


def test_early_batches_vary_less(dataset):
    data = dataset(augment={"easy_first": 0.5})
    clean = data.batch(range(4)).features

    def distance(progress):
        features = data.batch(range(4), np.random.default_rng(1), progress).features
        return float((features - clean).abs().mean()) if features.shape == clean.shape else np.inf

    assert distance(0.0) == 0.0
    assert 0 < distance(0.05) < distance(1.0)


def test_recordings_of_a_label_serve_as_noise(dataset):
    data = dataset(augment={"noise_label": "do"})
    assert {data.utterances[int(i)].text for i in data.noise} == {"do"}
    assert not len(dataset(augment={"noise_label": "hum"}).noise)
