"""Batches: every utterance once an epoch, like lengths together, the same order for the same seed and epoch."""

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from audiornn.corpus.manifest import Segment, Utterance
from audiornn.train.dataset import Dataset, _frame_targets, batch_order, looked_ahead

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


def test_labels_of_frames_move_with_the_sound(dataset):
    """Words are tones and loud, the rest is quiet: after any tempo and shift, labelled frames are the loud ones."""
    data = dataset("label", augment={"tempo": 0.2, "time_shift": 0.15, "easy_first": 0.0, "noise": 0.0, "gain": 0.0})
    moved = 0
    for seed in range(8):
        for index in range(4):
            varied = data._mixed(index, data.recipe.augment, np.random.default_rng(seed))
            labelled = data.target(index, varied.places) > 0
            moved += len(labelled) != data.lengths[index] or not np.array_equal(labelled, data.target(index) > 0)
            loud = varied.log_mel.max(axis=1) > varied.log_mel.max() - 15
            assert (labelled == loud).mean() > 0.9
    assert moved > 20


def test_balanced_frames_of_all_labels_count_alike(dataset):
    data = dataset("label", training={"balanced": True})
    targets = np.concatenate([data.target(i) for i in range(len(data))])
    sums = [data.label_weights[targets][targets == label].sum() for label in range(4)]
    np.testing.assert_allclose(sums, len(targets) / 4)
    batch = data.batch(range(5), np.random.default_rng(0))
    assert batch.frame_weights.shape == batch.targets.shape
    assert not batch.frame_weights[batch.targets < 0].any()
    assert torch.equal(batch.rows(1, 2).frame_weights, batch.frame_weights[1::2])
    assert data.batch(range(5)).frame_weights is None, "dev counts every frame once"
    assert dataset("label").batch(range(5), np.random.default_rng(0)).frame_weights is None


@pytest.mark.parametrize("task", ["transcribe", "classify", "label"])
def test_two_views_of_an_utterance_show_the_same_moments(task, dataset):
    """Words are tones and loud: whatever level and noise either view has, they are loud at the same frames."""
    moves = {"tempo": 0.2, "time_shift": 0.1, "easy_first": 0.0, "warp": 0.0, "time_masks": 0, "band_masks": 0}
    same = dataset(task, augment={**moves, "noise": 0.0, "gain": 0.0, "mixup": 0.0}, training={"consistency": 1.0})
    batch = same.batch(range(6), np.random.default_rng(0))
    assert torch.equal(batch.features, batch.other_view)  # nothing but their timing varies
    assert not torch.equal(batch.feature_lengths, torch.from_numpy(same.lengths[:6]))
    varied = dataset(task, augment={**moves, "noise": 1.0, "gain": 6.0}, training={"consistency": 1.0})
    batch = varied.batch(range(6), np.random.default_rng(0))
    assert not torch.equal(batch.features, batch.other_view)
    assert batch.features.shape == batch.other_view.shape
    both = batch.rows(1, 2).both_views()
    assert torch.equal(both.features[3:], batch.other_view[1::2, : both.features.shape[1]])
    assert torch.equal(both.targets[:3], both.targets[3:])
    assert both.ids == batch.ids[1::2] * 2
    assert dataset(task).batch(range(6), np.random.default_rng(0)).other_view is None
    assert varied.batch(range(6)).other_view is None


def test_two_views_of_noise_are_trimmed_alike(dataset):
    """What is trimmed depends on how loud each frame is; views of noise in two colours would differ in length."""
    data = dataset(augment={"trim": 1.0, "tempo": 0.2, "easy_first": 0.0}, training={"consistency": 1.0})
    data._is_noise = np.ones(len(data), bool)
    for index in range(10):
        one, other = data._two_views(index % len(data), data.recipe.augment, np.random.default_rng(index))
        np.testing.assert_array_equal(one.places, other.places)


def test_two_views_of_a_mixture_hold_the_same_two_recordings(dataset):
    data = dataset(augment={"mixup": 1.0, "easy_first": 0.0}, training={"consistency": 1.0})
    for index in range(4):
        one, other = data._two_views(index, data.recipe.augment, np.random.default_rng(index))
        assert (one.other, one.share) == (other.other, other.share)


def test_no_tempo_leaves_a_transcript_too_few_frames(dataset):
    data = dataset("transcribe", augment={"tempo": 0.6, "easy_first": 0.0, "time_shift": 0.0})
    data._needed = np.full(len(data), 9)  # frames after the stride
    for seed in range(20):
        batch = data.batch(range(8), np.random.default_rng(seed))
        assert (-(-batch.feature_lengths // data.recipe.model.stride) >= 9).all()


def test_recorded_noise_is_heard_in_what_is_trained_on(dataset):
    data = dataset(augment={"noise_label": "do", "noise": 1.0, "easy_first": 0.0})
    drawn = []
    data._noise_source = lambda rng: lambda: drawn.append(1) or np.asarray(data.store[0])
    data.batch(range(8), np.random.default_rng(0))
    assert drawn


def test_of_a_transcript_no_shift_cuts_anything(dataset):
    data = dataset("transcribe", augment={"tempo": 0.0, "time_shift": 0.15, "easy_first": 0.0})
    for index in range(8):
        places = data._mixed(index, data.recipe.augment, np.random.default_rng(index)).places
        assert set(range(data.lengths[index])) <= set(places.tolist())


def test_an_output_shows_its_first_frame(prepared):
    ready = prepared("label")
    recipe = replace(ready.recipe, model=replace(ready.recipe.model, front="stack", stride=4))
    strided, plain = (Dataset(ready, "train", r, ready.vocabulary) for r in (recipe, ready.recipe))
    for index in range(8):
        assert strided.target(index).tolist() == plain.target(index)[::4].tolist()


def test_a_frame_belongs_to_the_segment_that_begins_at_its_centre(prepared):
    vocabulary = prepared("label").vocabulary
    a, b = (s for s in vocabulary.symbols if s != "_none_" and s in ("do", "mi"))
    u = Utterance("u", Path("u.wav"), "", segments=(Segment(1.0, 2.0, a), Segment(2.0, 3.0, b)))
    found = [vocabulary.symbols[i] for i in _frame_targets(u, np.arange(20) / 4, vocabulary)]
    assert found == ["_none_"] * 4 + [a] * 4 + [b] * 4 + ["_none_"] * 8
    clicks = Utterance(
        "u", Path("u.wav"), "", segments=(Segment(0.3, 0.4, a), Segment(2.6, 2.9, b), Segment(5.6, 5.9, a))
    )
    found = [vocabulary.symbols[i] for i in _frame_targets(clicks, np.arange(5.0), vocabulary)]
    assert found == [a, a, b, b, b], "the last click lies beyond what is shown"


def test_a_label_that_never_occurs_does_not_scale_the_others(dataset):
    data = dataset("label", training={"balanced": True})
    target = data.target
    data.target = lambda index: np.where(target(index) == 3, 1, target(index))
    targets = np.concatenate([data.target(i) for i in range(len(data))])
    assert data.label_weights[targets].mean() == 1.0 or abs(data.label_weights[targets].mean() - 1) < 1e-9
