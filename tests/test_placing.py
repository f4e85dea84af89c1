"""A spotter's examples: where the word stands in them, what is asked for there, and that chance is all of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiornn.train import placing
from audiornn.train.dataset import IGNORED
from audiornn.train.placing import HOLD, Mined, MinedPeak, _fragment, _level, _Sound, frame_targets

torch = pytest.importorskip("torch", reason="training needs torch")

from audiornn.errors import CorpusError, SettingsError  # noqa: E402
from audiornn.recipe import load_recipe  # noqa: E402
from audiornn.settings import AugmentSettings, SpottingSettings  # noqa: E402
from audiornn.train.augment import overlay  # noqa: E402
from audiornn.train.losses import _spotting_losses  # noqa: E402
from audiornn.train.placing import LEAD, PlacedWords  # noqa: E402

PLAIN = AugmentSettings(
    tempo=0.0, warp=0.0, gain=0.0, noise=0.0, time_shift=0.0, time_masks=0, band_masks=0, easy_first=0.0
)


@pytest.fixture(scope="module")
def placed(spotter_world):
    """The training split of a spotter for a tone; changes to its shares."""
    prepared, recipe = spotter_world.prepared, spotter_world.recipe

    def make(augment=PLAIN, consistency=0.0, **shares):
        training = replace(recipe.training, consistency=consistency)
        changed = replace(recipe, augment=augment, training=training, spotting=replace(recipe.spotting, **shares))
        return PlacedWords(prepared, "train", changed, prepared.vocabulary)

    return make


@given(
    first=st.integers(0, 150),
    length=st.integers(4, 80),
    stride=st.sampled_from([1, 2, 3]),
    label=st.integers(1, 3),
    delay=st.sampled_from([0, 10, 30]),
)
def test_a_word_is_asked_for_around_its_end_and_nowhere_else(first, length, stride, label, delay):
    last, n = first + length, 240 // stride
    targets = frame_targets(first, last, label, n, 0.01, stride, delay)
    centres = np.arange(n) * stride
    asked = (centres >= last + delay - round(100 * LEAD)) & (centres < last + delay + round(100 * HOLD))
    assert (targets[asked] == label).all()
    assert not (targets[~asked] > 0).any()
    assert (
        targets[centres < min(first + length // 2, last - round(100 * LEAD))] == 0
    ).all()  # half is not yet the word


@given(seed=st.integers(0, 10_000), delay=st.sampled_from([0.0, 0.1, 0.3]))
def test_every_keyword_example_holds_the_label_once(placed, seed, delay):
    dataset = placed(keywords=1.0, fragments=0.0, others=0.0, delay=delay)
    log_mel, targets, _ = dataset.example(np.random.default_rng(seed), PLAIN)
    assert log_mel.shape == (dataset.n_window, dataset.recipe.features.n_mels)
    assert len(targets) == dataset.n_window // dataset.recipe.model.stride
    asked = np.flatnonzero(targets > 0)
    assert len(asked) >= 2
    assert (np.diff(asked) == 1).all()


def test_many_windows_begin_with_the_word_as_recordings_of_words_do(placed, monkeypatch):
    def beginnings():
        dataset = placed(keywords=1.0, fragments=0.0, others=0.0)
        ends = [
            np.flatnonzero(dataset.example(np.random.default_rng(seed), PLAIN)[1] > 0)[0] * dataset.recipe.model.stride
            for seed in range(200)
        ]
        longest = max(word.last - word.first for word in dataset.words)
        return np.mean(np.array(ends) < longest + dataset._frames(placing._MARGIN))

    often = beginnings()
    monkeypatch.setattr(placing, "_AT_ONCE", 0.0)
    assert often > beginnings() + 0.1


def test_recorded_noise_is_heard_over_examples(placed):
    """Half of what noise there is comes from the recordings that carry its label."""
    noisy = replace(PLAIN, noise=1.0, least_snr=0.0, most_snr=0.0)
    drawn = []
    for label in ("", "noise"):
        dataset = placed(replace(noisy, noise_label=label), keywords=0.01, fragments=0.0, others=0.0)
        if label:
            dataset.noise = dataset.background[:1]
        source = dataset._noise_source
        dataset._noise_source = lambda rng, source=source: drawn.append(source(rng)) or source(rng)
        for seed in range(4):
            dataset.example(np.random.default_rng(seed), dataset.recipe.augment)
    assert [source is None for source in drawn] == [True] * 4 + [False] * 4
    assert drawn[-1]().shape[1] == dataset.recipe.features.n_mels


def test_two_views_are_of_one_scene_in_two_rooms(placed):
    plain = placed(consistency=1.0).batch(range(4), np.random.default_rng(0))
    assert torch.equal(plain.features, plain.other_view)
    rooms = placed(replace(PLAIN, gain=20.0), consistency=1.0).batch(range(4), np.random.default_rng(0))
    apart = rooms.features - rooms.other_view
    assert rooms.features.shape == rooms.other_view.shape
    assert apart.abs().max() > 0
    assert placed().batch(range(4), np.random.default_rng(0)).other_view is None


def test_fragments_and_other_sounds_are_not_the_word(placed):
    for shares in ({"fragments": 0.99, "others": 0.0}, {"fragments": 0.0, "others": 0.99}):
        dataset = placed(keywords=0.01, **shares)
        targets = [dataset.example(np.random.default_rng(seed), PLAIN)[1] for seed in range(30)]
        assert sum((t > 0).any() for t in targets) <= 3


def test_a_batch_is_a_function_of_its_chance(placed):
    one, two = placed(AugmentSettings()), placed(AugmentSettings())
    a, b, c = (d.batch(range(6), np.random.default_rng(seed)) for d, seed in ((one, 1), (two, 1), (one, 2)))
    assert torch.equal(a.features, b.features)
    assert torch.equal(a.targets, b.targets)
    assert a.ids == b.ids
    assert not torch.equal(a.features, c.features)
    assert torch.isfinite(a.features).all()


def test_mined_background_is_shown_and_what_may_hold_the_word_is_asked_nothing(placed):
    dataset = placed(keywords=0.01, fragments=0.0, others=0.0, mined=1.0)
    index = int(dataset.background[0])
    peaks = (MinedPeak(index, 60, 0.9),)
    dataset.mined = Mined(peaks)
    names = [dataset.example(np.random.default_rng(seed), PLAIN)[2] for seed in range(20)]
    assert sum(dataset.utterances[index].id in name for name in names) >= 18
    dataset.mined = Mined(peaks, doubtful=peaks)
    targets = [dataset.example(np.random.default_rng(seed), PLAIN)[1] for seed in range(20)]
    assert sum((t == IGNORED).any() for t in targets) >= 18


@pytest.mark.parametrize("kind", ["keywords", "fragments", "others"])
def test_what_may_hold_the_word_is_no_background_of_anything(placed, kind):
    """Wherever doubtful background is heard, nothing is asked, but for the word that is placed."""
    shares = {"keywords": 0.001, "fragments": 0.0, "others": 0.0} | {kind: 0.998}
    dataset = placed(**shares)
    examples = [dataset.example(np.random.default_rng(seed), PLAIN)[1] for seed in range(60)]
    everywhere = range(0, int(dataset.lengths[dataset.background].max()), 20)
    doubtful = tuple(MinedPeak(int(index), frame, 0.9) for index in dataset.background for frame in everywhere)
    dataset.mined = Mined(doubtful=doubtful)
    doubted = [dataset.example(np.random.default_rng(seed), PLAIN)[1] for seed in range(60)]
    n_silent = 0
    for before, now in zip(examples, doubted, strict=True):
        assert np.array_equal(before[before > 0], now[before > 0])
        n_silent += np.array_equal(before, now)  # the window's canvas is silence in about a third of all
    assert n_silent == 0 if kind == "others" else 5 < n_silent < 35


def test_overlaid_power_adds_and_what_reaches_beyond_is_cut():
    quiet, loud = np.full((10, 2), -100.0, np.float32), np.full((4, 2), -20.0, np.float32)
    assert np.allclose(overlay(quiet, loud, 8)[8:], -20.0, atol=1e-3)
    assert np.allclose(overlay(loud, loud, -2)[:2], -16.99, atol=0.01)
    assert np.array_equal(overlay(quiet, loud, 20), quiet)


def test_pooling_asks_all_frames_of_a_word_or_the_best():
    log_probs = torch.log(torch.tensor([[[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.5, 0.5]]]))
    targets = torch.tensor([[0, 1, 1, IGNORED]])
    quiet = -np.log(0.9) + -np.log(0.9) / 4
    mean = -(np.log(0.8) + np.log(0.4)) / 2
    assert _spotting_losses(log_probs, targets, "mean").item() == pytest.approx(quiet + mean, abs=1e-5)
    assert _spotting_losses(log_probs, targets, "max").item() == pytest.approx(quiet - np.log(0.8), abs=1e-5)
    nothing = torch.tensor([[0, 0, 0, 0]])
    assert torch.isfinite(_spotting_losses(log_probs, nothing, "max")).all()


def test_no_word_or_no_background_is_said(spotter_world, placed):
    class Half:
        def __init__(self, words):
            self.words = words

        def __getattr__(self, name):
            return getattr(spotter_world.prepared, name)

        def utterances(self, split):
            some = spotter_world.prepared.utterances(split)
            return (
                [u if bool(u.segments) == self.words else replace(u, segments=()) for u in some]
                if not (self.words)
                else [u if u.segments else replace(u, segments=some[0].segments) for u in some]
            )

    prepared, recipe = spotter_world.prepared, spotter_world.recipe
    with pytest.raises(CorpusError, match="holds no background"):
        PlacedWords(Half(True), "train", recipe, prepared.vocabulary)
    with pytest.raises(CorpusError, match="no keyword is said"):
        PlacedWords(Half(False), "train", recipe, prepared.vocabulary)


def test_settings_are_checked(tmp_path):
    with pytest.raises(SettingsError, match=r"spotting\.keywords"):
        SpottingSettings(keywords=0.9, others=0.2)
    with pytest.raises(SettingsError, match=r"spotting\.false_alarms_per_hour"):
        SpottingSettings(false_alarms_per_hour=0.0)
    (tmp_path / "prepare.py").write_text("def prepare(corpus_dir): ...")
    Path(tmp_path / "recipe.toml").write_text('task = "spot"\n[spotting]\nwindow = 3\n')
    with pytest.raises(SettingsError, match=r"spotting\.window'"):
        load_recipe(tmp_path)


def marked(n_before=10, n_word=20, n_after=6):
    log_mel = np.full((n_before + n_word + n_after, 16), -40.0, np.float32)
    log_mel[n_before : n_before + n_word] = 0.0
    return _Sound(log_mel, n_before, n_before + n_word)


def targets_of_a_sound(dataset, first, last):
    """What is asked of an example whose sound lies in those frames of silence."""
    silence, doubt = np.zeros((dataset.n_window, 16), np.float32), np.zeros(dataset.n_window, bool)
    dataset._placed = lambda *_: (silence, first, last, doubt)
    return dataset.example(np.random.default_rng(0), PLAIN)[1]


def test_after_another_sound_in_doubt_nothing_is_asked_for_a_moment(placed):
    dataset = placed(keywords=1e-9, fragments=0.0, others=1.0 - 1e-9)
    dataset._another = lambda *_: (marked(), True)
    targets = targets_of_a_sound(dataset, 20, 40)
    centres = np.arange(len(targets)) * dataset.recipe.model.stride
    assert (targets[(centres >= 20) & (centres < 80)] == IGNORED).all()
    targets = targets_of_a_sound(dataset, -20, 40)  # longer than the window
    assert (targets[centres < 80] == IGNORED).all()


def test_background_in_doubt_is_where_the_peak_is_and_mined_background_holds_it(placed):
    dataset = placed()
    index = int(dataset.background[0])
    counted = np.repeat(np.arange(2000, dtype=np.float32)[:, None] / 1000, 16, axis=1)
    dataset.store, dataset.lengths = (
        {int(i): counted for i in range(len(dataset.utterances))},
        np.full(len(dataset.utterances), 2000),
    )
    peaks = (MinedPeak(index, 1000, 0.9),)
    dataset.mined = Mined(peaks, doubtful=peaks)
    for seed in range(10):
        log_mel, doubt, _ = dataset._background(100, np.random.default_rng(seed), PLAIN, mined=True)
        frames = np.rint(1000 * log_mel[:, 0])
        (at,) = np.flatnonzero(frames == 1000)
        assert 35 <= at <= 98
        assert doubt.tolist() == ((frames >= 950) & (frames < 1050)).tolist()


def test_a_word_lies_where_it_is_said_to(placed, monkeypatch):
    monkeypatch.setattr(placing, "_WAYS", (1.0, 0.0, 0.0))
    for seed in range(5):
        log_mel, first, last, _ = placed()._placed(marked(), np.random.default_rng(seed), PLAIN)
        assert (log_mel[first:last] > -1).all()
        assert last - first == 20
        assert log_mel[max(0, first - 1)].max() < -20 or not first


def test_the_label_comes_later_by_the_delay(placed):
    dataset = placed(keywords=1.0, fragments=0.0, others=0.0, delay=0.3)
    targets = targets_of_a_sound(dataset, 20, 40)
    stride = dataset.recipe.model.stride
    assert targets.tolist() == frame_targets(20, 40, 1, dataset.n_window // stride, 0.01, stride, 30).tolist()


@pytest.mark.parametrize("snr", [0.0, 20.0])
def test_speech_under_a_word_is_so_much_softer(placed, snr, monkeypatch):
    monkeypatch.setattr(placing, "_WAYS", (0.0, 0.0, 1.0))
    dataset = placed(least_snr=snr, most_snr=snr)
    monkeypatch.setattr(placing, "overlay", lambda canvas, sound, first: canvas)
    for seed in range(5):
        canvas = dataset._placed(marked(), np.random.default_rng(seed), PLAIN)[0]
        assert _level(canvas) == pytest.approx(-snr, abs=0.1)


def test_synthetic_voices_get_their_share(placed, monkeypatch):
    dataset = placed()
    made = dataset.utterances[0].id
    monkeypatch.setattr(placing, "is_synthetic", lambda utterance: utterance.id == made)
    cumulated = dataset._chances(range(4), np.ones(4), 0.3)
    np.testing.assert_allclose(cumulated, [0.3, 0.3 + 0.7 / 3, 0.3 + 1.4 / 3, 1.0])


def test_a_part_that_is_another_keyword_is_no_background(placed, monkeypatch):
    labels = ("_none_", "happy", "happy up", "Hey-happy", "oh happy day", "go")
    parted = placing._parted(labels)
    assert {labels[i] for i in parted.early} == {"happy up", "oh happy day"}
    assert {labels[i] for i in parted.late} == {"Hey-happy", "oh happy day"}
    sound = marked()
    n = sound.last - sound.first
    for seed in range(20):
        no_begin, no_end, neither = (
            _fragment(sound, np.random.default_rng(seed), begins=begins, ends=ends)
            for begins, ends in ((False, True), (True, False), (False, False))
        )
        assert no_begin.first == 0 or no_begin.last - no_begin.first == n, "its end, or all of it backwards"
        assert no_end.first == sound.first or no_end.last - no_end.first == n
        assert neither.last - neither.first == n
    dataset = placed(keywords=1.0, fragments=0.0, others=0.0)
    targets = []
    for early in (frozenset(), {word.label for word in dataset.words}):
        dataset._parted = placing._Parted(frozenset(early), frozenset())
        targets.append(dataset.example(np.random.default_rng(1), PLAIN)[1])
    assert ((targets[1] == IGNORED) & (targets[0] == 0)).any(), "the part is said in its first half"
    assert ((targets[1] == targets[0]) | (targets[0] == 0)).all()
    asked = []
    monkeypatch.setattr(placing, "_fragment", lambda sound, rng, **sorts: asked.append(sorts) or sound)
    fragments = placed(keywords=0.001, fragments=0.998, others=0.0)
    fragments._parted = dataset._parted
    fragments.example(np.random.default_rng(1), PLAIN)
    assert asked == [{"begins": False, "ends": True}]


def test_a_fragment_knows_where_it_is():
    for seed in range(20):
        found = _fragment(marked(), np.random.default_rng(seed))
        assert 0 <= found.first < found.last <= len(found.log_mel)
        assert (found.log_mel[found.first : found.last] == 0).all()
