"""Keywords: scores against an oracle that tries every path, decisions, and the same hits however frames come."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiornn.errors import ModelFileError, SettingsError
from audiornn.features import FeatureSettings
from audiornn.listen import keywords as keywords_module
from audiornn.listen.keywords import (
    CtcScorer,
    Decision,
    LabelScorer,
    Scores,
    SpotDecider,
    SpotSettings,
    Spotter,
    check_keywords,
    default_keywords,
    scorer_of,
    settings_of,
    spot_of,
)
from audiornn.listen.results import KeywordSpot
from audiornn.model_file import ModelCard
from audiornn.settings import NetworkSettings
from audiornn.vocabulary import BLANK, NO_LABEL, Vocabulary
from tests.conftest import RATE, spoken
from tests.test_streaming import cuts, listener

SETTINGS = FeatureSettings(sample_rate=8000, n_fft=256, win_length=200, hop_length=80, n_mels=20, n_mfcc=12)
FRAME = SETTINGS.frame_seconds


def card_of(*symbols, unit="word", task="transcribe", **other):
    symbols = symbols if task == "label" else (BLANK, *symbols)
    return ModelCard(task, SETTINGS, Vocabulary(tuple(symbols), unit), **other)


def random_log_probs(n_frames, n_symbols, seed=0, sharpness=2.0):
    logits = sharpness * np.random.default_rng(seed).standard_normal((n_frames, n_symbols))
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


def sharp(card, path, sure=0.999):
    """Log-probabilities of a path given as symbols, `-` for the blank."""
    symbols = card.vocabulary.symbols
    p = np.full((len(path), len(symbols)), (1 - sure) / (len(symbols) - 1))
    for t, symbol in enumerate(path):
        p[t, symbols.index(BLANK if symbol == "-" else symbol)] = sure
    return np.log(p).astype(np.float32)


def scored(scorer, log_probs, sizes=(1000,)):
    parts = [scorer.push(log_probs[a:b]) for a, b in cuts(len(log_probs), sizes)]
    return Scores(*(np.concatenate(columns) for columns in zip(*parts, scorer.finish(), strict=True)))


# --- the oracle ---


def symbols_of(path):
    """The symbols of a path, by the definition of CTC: (symbol, first frame, last frame)."""
    said = []
    for t, symbol in enumerate(path):
        if symbol and said and said[-1][0] == symbol and said[-1][2] == t - 1:
            said[-1][2] = t
        elif symbol:
            said.append([symbol, t, t])
    return said


def said_last(path, n, space, gap):
    """The last n symbols of a path; of whole words, if a word begins there and one has just ended."""
    said = symbols_of(path)
    if space is None:
        return said[-n:] if said and len(path) - 1 - said[-1][2] < gap else []
    over = bool(said) and said[-1][0] == space
    while said and said[-1][0] == space:
        said.pop()
    begins = len(said) - n
    if not said or begins < 0 or not (over or len(path) - 1 - said[-1][2] >= gap):
        return []
    before = said[begins - 1] if begins else None
    starts = before is None or before[0] == space or said[begins][1] - before[2] - 1 >= gap
    return said[begins:] if starts else []


def expected_scores(log_probs, keyword, space, gap):
    """Every path there is, and whether the keyword was said last: (probability, times its first and last) a frame."""
    p = np.exp(log_probs.astype(np.float64))
    n_frames, n_symbols = p.shape
    found = np.zeros((n_frames, 3))
    for t in range(n_frames):
        for path in itertools.product(range(n_symbols), repeat=t + 1):
            said = said_last(path, len(keyword), space, gap)
            if [symbol for symbol, _, _ in said] == keyword:
                probability = np.prod([p[i, symbol] for i, symbol in enumerate(path)])
                found[t] += probability * np.array([1, said[0][1], said[-1][2]])
    return found


@pytest.mark.parametrize("keyword", ["a", "a b", "a a", "b a b"])
@pytest.mark.parametrize(("seed", "linger"), [(0, 1), (1, 2), (2, 9)])
def test_the_score_is_the_sum_over_all_paths(keyword, seed, linger, monkeypatch):
    monkeypatch.setattr(keywords_module, "LINGER", linger * FRAME)
    card = card_of("a", "b")
    log_probs = random_log_probs(7, 3, seed)
    scores = CtcScorer(card, [keyword]).push(log_probs)
    ids = card.vocabulary.encode(keyword)
    expected = expected_scores(log_probs, ids, None, linger)
    np.testing.assert_allclose(scores.values[:, 0] ** len(ids), expected[:, 0], rtol=1e-5, atol=1e-9)
    some = expected[:, 0] > 1e-12
    for column, found in ((1, scores.first), (2, scores.last)):
        mean = expected[some, column] / expected[some, 0]
        assert np.abs(found[some, 0] - mean).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("keyword", ["a", "ab", "aa", "aba", "a b"])
@pytest.mark.parametrize("gap", [1, 2, 3])
@pytest.mark.parametrize("seed", range(2))
def test_the_score_of_a_whole_word_is_too(keyword, gap, seed, monkeypatch):
    monkeypatch.setattr(keywords_module, "WORD_GAP", gap * FRAME)
    card = card_of(" ", "a", "b", unit="character")
    log_probs = random_log_probs(6, 4, seed, 1.0)
    ids = card.vocabulary.encode(keyword)
    scores = CtcScorer(card, [keyword]).push(log_probs)
    expected = expected_scores(log_probs, ids, space=1, gap=gap)
    np.testing.assert_allclose(scores.values[:, 0] ** len(ids), expected[:, 0], rtol=1e-5, atol=1e-8)
    some = expected[:, 0] > 1e-8
    for column, found in ((1, scores.first), (2, scores.last)):
        mean = expected[some, column] / expected[some, 0]
        assert np.abs(found[some, 0] - mean).max(initial=0) <= 0.5 + 1e-4


def test_several_keywords_are_scored_as_each_alone():
    card = card_of(" ", *"abc", unit="character")
    log_probs = random_log_probs(60, 5)
    names = ["a", "cab", "bb", "abacab", "a b"]
    for inside in (True, False):
        together = scored(CtcScorer(card, names, inside_words=inside), log_probs)
        for k, name in enumerate(names):
            alone = scored(CtcScorer(card, [name], inside_words=inside), log_probs)
            for left, right in zip(together, alone, strict=True):
                np.testing.assert_array_equal(left[:, k], right[:, 0])


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(0, 100), st.sampled_from(["word", "character"])
)
def test_blocks_make_no_difference(sizes, seed, unit):
    names = ["a", "b a"] if unit == "word" else ["a", "ba", "a b"]
    card = card_of(*([] if unit == "word" else [" "]), "a", "b", unit=unit)
    log_probs = random_log_probs(80, len(card.vocabulary), seed, 4.0)
    whole, parts = scored(CtcScorer(card, names), log_probs), scored(CtcScorer(card, names), log_probs, sizes)
    for left, right in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(left, right)
    settings = SpotSettings(smoothing=0.03, onset=0.3, offset=0.2, refractory=0.05, least_duration=0.01, settle=0.04)
    every = {"one": [], "many": []}
    for spots, cut in ((every["one"], [80]), (every["many"], sizes)):
        spotter = Spotter(card, CtcScorer(card, names), settings)
        for a, b in cuts(len(log_probs), cut):
            spots += spotter.push(log_probs[a:b])
        spots += spotter.finish(0.8)
    assert every["one"] == every["many"]


def test_an_hour_in_flat_state():
    """What is carried does not grow, and small probabilities do not spoil the arithmetic."""
    card = card_of(" ", *"abc", unit="character")
    scorer = CtcScorer(card, ["abcabcabcabcabcabc"])
    with np.errstate(all="raise", under="ignore"):
        for seed in range(3):
            scores = scorer.push(random_log_probs(4000, 5, seed, 8.0))
            assert np.isfinite(scores.values).all()
            assert (scores.values >= 0).all()
            assert (scores.values <= 1).all()
    assert len(scorer._gap) == scorer._n_gap


# --- words ---


CATS = card_of(" ", *"acenots", unit="character")
GAP = "-" * 30


def hits(card, keywords, path, settings=None, **options):
    spotter = Spotter(card, scorer_of(card, keywords, **options), settings or SpotSettings())
    return spotter.push(sharp(card, path)) + spotter.finish(len(path) * FRAME)


@pytest.mark.parametrize(
    ("path", "whole", "inside"),
    [
        (f"{GAP}c-a-t{GAP}", 1, 1),
        ("c-a-t", 1, 1),
        ("a- -ccaat- -a", 1, 1),
        ("con-cat-en-at-e", 0, 1),
        ("con- cat -en-at-e", 1, 1),
        (f"con{GAP}cat{GAP}en", 1, 1),
        ("cats", 0, 1),
        ("s-cat", 0, 1),
        ("c-a-a-t", 0, 0),
        ("cat cat", 2, 2),
        (f"cat{GAP}cat", 2, 2),
        ("c---a---t", 1, 1),
        ("cat-------cat", 0, 2),
        ("", 0, 0),
    ],
)
def test_a_keyword_is_a_whole_word_unless_asked(path, whole, inside):
    path = path or "-"
    assert len(hits(CATS, ["cat"], path)) == whole
    assert len(hits(CATS, ["cat"], path, inside_words=True)) == inside


def test_where_a_hit_is():
    (hit,) = hits(CATS, ["cat"], f"{GAP}c-a-tt{GAP}")
    assert (hit.keyword, hit.start, hit.end) == ("cat", pytest.approx(29.5 * FRAME), pytest.approx(35.5 * FRAME))
    assert 0.9 < hit.score <= 1
    corrected = replace(CATS, timing=(-0.05, 0.02))
    (moved,) = hits(corrected, ["cat"], f"{GAP}c-a-tt{GAP}")
    assert (moved.start, moved.end) == (pytest.approx(hit.start - 0.05), pytest.approx(hit.end + 0.02))


def test_several_words_and_spaces():
    (hit,) = hits(CATS, ["a cat"], f"{GAP}a- c-a-t{GAP}")
    assert hit.keyword == "a cat"
    assert hits(CATS, ["a cat"], f"{GAP}a{GAP}s cat{GAP}") == []


def test_a_label_is_its_own_score():
    card = card_of(NO_LABEL, "do", "mi", unit="label", task="label")
    log_probs = random_log_probs(30, 3, 1)
    scorer = scorer_of(card, ["mi", "do"])
    assert isinstance(scorer, LabelScorer)
    scores = scored(scorer, log_probs, [7])
    np.testing.assert_array_equal(scores.values, np.exp(log_probs[:, [2, 1]]))
    np.testing.assert_array_equal(scores.first[:, 0], np.arange(30))


# --- the decision layer ---


def decided(values, settings, sizes=(1000,)):
    values = np.asarray(values, np.float32)[:, None]
    where = np.arange(len(values))[:, None]
    decider = SpotDecider(settings, ["x"], 0.01)
    found = []
    for a, b in cuts(len(values), sizes):
        found += decider.push(Scores(values[a:b], where[a:b], where[a:b]))
    return found + decider.finish()


TRACKS = st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0]), min_size=1, max_size=60)
LAYERS = st.builds(
    lambda smoothing, onset, share, refractory, least, more: SpotSettings(
        smoothing, onset, onset * share, refractory, least, least + more
    ),
    st.sampled_from([0.0, 0.02, 0.05]),
    st.sampled_from([0.25, 0.5, 0.75]),
    st.sampled_from([0.5, 1.0]),
    st.sampled_from([0.0, 0.05, 0.2]),
    st.sampled_from([0.0, 0.01, 0.03]),
    st.sampled_from([0.0, 0.02, 0.1]),
)


@given(TRACKS, LAYERS, st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_decisions_keep_to_the_settings(values, settings, sizes):
    whole = decided(values, settings)
    assert decided(values, settings, sizes) == whole
    smooth = np.array(
        [sum(values[max(0, t - n + 1) : t + 1]) / n for t in range(len(values))]
        if (n := max(1, round(settings.smoothing * 100)))
        else []
    )
    for hit in whole:
        assert hit.score >= settings.onset - 1e-6
        assert hit.score <= smooth.max() + 1e-5
        assert hit.told - hit.last <= round(settings.settle * 100)
        assert 0 <= hit.first <= hit.last <= hit.told
    for before, after in itertools.pairwise(whole):
        assert after.told - before.told >= settings.refractory * 100 - 1e-6
        # hysteresis: between two hits the score fell below the offset
        assert smooth[before.last : after.last].min() < settings.offset + 1e-6
    if not settings.refractory and not settings.least_duration:
        above = smooth >= settings.offset - 1e-6
        runs = [list(g) for key, g in itertools.groupby(range(len(smooth)), lambda t: above[t]) if key]
        crossing = [run for run in runs if smooth[run].max() >= settings.onset + 1e-6]
        assert len(whole) >= len(crossing) - sum(abs(smooth - settings.offset) < 1e-6)


def test_hysteresis_refractory_and_least_duration():
    track = [0, 0.6, 0.4, 0.6, 0, 0, 0.6, 0, 0, 0, 0, 0, 0, 0.9, 0.9, 0]
    plain = SpotSettings(onset=0.5, offset=0.3, settle=0.1)
    assert [hit.told for hit in decided(track, plain)] == [4, 7, 15]
    assert [hit.told for hit in decided(track, replace(plain, offset=0.5))] == [2, 4, 7, 15]
    assert [hit.told for hit in decided(track, replace(plain, refractory=0.05))] == [4, 15]
    assert [hit.told for hit in decided(track, replace(plain, least_duration=0.02))] == [4, 15]
    assert [hit.told for hit in decided(track, replace(plain, settle=0.01))] == [1, 6, 13]
    assert [hit.told for hit in decided([0.9] * 5, replace(plain, settle=0.2))] == [5]  # at the recording's end


def test_the_highest_score_until_it_is_told():
    (hit,) = decided([0, 0.5, 0.7, 0.9, 1.0, 0], SpotSettings(onset=0.5, settle=0.03))
    assert (hit.score, hit.first, hit.last, hit.told) == (pytest.approx(0.9), 1, 3, 3)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"onset": 1.5}, "onset 1.5"),
        ({"offset": 0.6}, "offset ≤ onset"),
        ({"offset": 0.0}, "0 < offset"),
        ({"onset": "high"}, "numbers"),
        ({"smoothing": -1}, "smoothing"),
        ({"refractory": float("nan")}, "refractory"),
        ({"least_duration": 0.2}, "settle"),
        ({"treshold": 0.5}, "spotting.treshold is no setting"),
        ({"thresholds": {"x": [0.2, 0.9]}}, "thresholds['x']"),
        ({"thresholds": {"x": 0.2}}, "an onset and an offset"),
        ({"thresholds": [1]}, "an onset and an offset"),
    ],
)
def test_settings_out_of_range(entry, said):
    with pytest.raises(SettingsError) as error:
        SpotSettings.from_json(entry)
    assert said in str(error.value)
    with pytest.raises(ModelFileError, match="tune it again"):
        settings_of(card_of("a", spotting=entry))


@given(st.floats(0.01, 1), st.floats(0.01, 1))
def test_an_offset_at_the_onset_stays_there(before, onset):
    moved = SpotSettings(onset=before, offset=before).with_onset(onset, "do").threshold("do")
    assert moved == (onset, pytest.approx(onset))
    assert moved[1] <= onset


def test_settings_travel_in_the_model_file():
    settings = SpotSettings(smoothing=0.2, settle=0.3).with_onset(0.8, ["a"])
    assert settings.threshold("a") == (0.8, 0.4)
    assert settings.threshold("b") == (0.5, 0.25)
    card = ModelCard.from_json(card_of("a", spotting=settings.to_json()).to_json(), "x")
    assert settings_of(card) == settings
    assert default_keywords(card) == ("a",)
    assert settings_of(card_of("a", unit="label", task="label")).smoothing > 0


def test_what_is_not_meant_is_spotted_only_if_asked_for():
    """A user's folder `background` is what the words are told from, not a command of its own."""
    labels = {"unit": "label", "task": "label"}
    assert default_keywords(card_of("left", "background", "_unknown_", "stop", **labels)) == ("left", "stop")
    assert default_keywords(card_of("noise", "silence", **labels)) == ("noise", "silence")  # else there is nothing
    tuned = SpotSettings().with_onset(0.8, ["noise"]).to_json()
    assert default_keywords(card_of("left", "noise", spotting=tuned, **labels)) == ("left", "noise")


# --- what cannot be spotted ---


@pytest.mark.parametrize(
    ("card", "keyword", "said"),
    [
        (CATS, "CAT", "it writes 'cat'"),
        (CATS, "dog", "has no 'd', 'g', only acenost"),
        (card_of(*"ACEF", unit="character"), "café", "has no 'É', only ACEF; it writes 'CAFE'"),
        (card_of("seven", "nine"), "sevne", "nearest of its 2: seven"),
        (card_of("seven", "nine"), "  ", "has no symbol"),
        (card_of(NO_LABEL, "mi", unit="label", task="label"), "me", "did you mean 'mi'"),
        (card_of(NO_LABEL, "mi", unit="label", task="label"), NO_LABEL, "it spots mi"),
    ],
)
def test_keywords_that_cannot_be_spotted(card, keyword, said):
    with pytest.raises(SettingsError) as error:
        scorer_of(card, [keyword])
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_of_several_pronunciations_the_likeliest_is_spotted():
    lexicon = {"a": ("AH", "EY T"), "cat": ("K AE T",)}
    vocabulary = Vocabulary((BLANK, "AE", "AH", "EY", "K", "T"), "phone", lexicon=lexicon)
    card = ModelCard("transcribe", SETTINGS, vocabulary)
    heard = ["-", "AH", "-", "-", "-", "K", "AE", "T", "-", "-", "-", "-", "-", "EY", "T", "-"]
    found = [(hit.keyword, round(hit.start / card.output_seconds)) for hit in hits(card, ["cat", "a"], heard)]
    assert [keyword for keyword, _ in found] == ["a", "cat", "a"]
    only = [hit.keyword for hit in hits(card, ["AH", "cat", "EY T"], heard)]  # as keywords of their own
    assert only == ["AH", "cat", "EY T"]


def test_phones_come_from_the_lexicon():
    vocabulary = Vocabulary((BLANK, "K", "AE", "T"), "phone", lexicon={"cat": ("K AE T",)})
    card = ModelCard("transcribe", SETTINGS, vocabulary)
    (hit,) = hits(card, ["cat"], ["-", "K", "-", "AE", "T", "-"])
    assert hit.keyword == "cat"
    with pytest.raises(SettingsError, match=r"'cats' is not in the lexicon; did you mean 'cat'.; a keyword may be"):
        scorer_of(card, ["cats"])
    with pytest.raises(SettingsError, match="cannot say 'K AE Q': phone 'Q' is not among the 3 the model knows"):
        scorer_of(card, ["K AE Q"])
    with pytest.raises(SettingsError, match="'K' is not in the lexicon"):  # one of two is no sign that phones are meant
        scorer_of(card, ["K Q"])
    with pytest.raises(SettingsError, match="phone 't' is not among the 3 the model knows; it writes 'T'"):
        scorer_of(card, ["K AE t"])


def test_who_says_nothing():
    with pytest.raises(SettingsError, match="no keyword"):
        scorer_of(CATS, [])
    with pytest.raises(SettingsError, match="--keyword"):
        default_keywords(CATS)
    with pytest.raises(ModelFileError, match="values over time"):
        scorer_of(replace(CATS, task="regress"), ["cat"])
    assert check_keywords(CATS, ["cat", "cat", " cat "]) == ("cat",)


# --- through the recogniser ---


def assert_same_spots(found, expected):
    for spot, true in zip(found, expected, strict=True):
        assert (spot.keyword, spot.start, spot.end) == (true.keyword, true.start, true.end)
        assert spot.score == pytest.approx(true.score, abs=2e-3)


@pytest.mark.parametrize("task", ["transcribe", "label", "classify"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_stream_spots_what_the_whole_recording_does(tmp_path, task, bidirectional):
    network = NetworkSettings(bidirectional=bidirectional, n_units=8, front="conv", stride=2)
    samples = spoken(["do", "mi", "sol"] * 3, seed=5)
    model = listener(tmp_path, network, task, hears=samples)
    look_ahead = 0.1 if bidirectional and task != "classify" else None
    model.card.training["window_seconds"] = 0.15  # of a classifier
    settings = SpotSettings(onset=0.3, offset=0.15, settle=0.06)
    names = ["a", "b", "c"]
    expected = model.spot(samples, names, RATE, settings=settings, look_ahead=look_ahead)
    assert len(expected) > 2

    @given(st.lists(st.integers(1, 6000), min_size=1, max_size=5))
    def equal(sizes):
        stream = model.spotter(names, RATE, settings=settings, look_ahead=look_ahead)
        spots = [spot for a, b in cuts(len(samples), sizes) for spot in stream.push(samples[a:b])]
        assert_same_spots([*spots, *stream.finish()], expected)

    equal()


def test_words_are_spotted(recognizer):
    samples = np.concatenate([spoken(["sol", "do", "mi", "mi"], speaker="fay"), np.zeros(RATE, np.float32)])
    model = recognizer("transcribe")
    spots = model.spot(samples, ["mi", "do"], RATE)
    assert [spot.keyword for spot in spots] == ["do", "mi", "mi"]
    for spot, start in zip(spots, (0.28, 0.48, 0.68), strict=True):
        assert isinstance(spot, KeywordSpot)
        assert abs(spot.start - start) < 0.08
        assert abs(spot.end - start - 0.12) < 0.08
    stream = model.spotter(["mi"], RATE, look_ahead=0.2)
    early = [spot for a, b in cuts(len(samples), [400]) for spot in stream.push(samples[a:b])]
    assert len(early) == 2  # told while the recording goes on
    assert stream.finish() == []
    of_labels = recognizer("label")
    assert [spot.keyword for spot in of_labels.spot(samples, None, RATE)].count("mi") == 1  # the refractory time
    spots = of_labels.spot(samples, None, RATE, settings=SpotSettings(smoothing=0.02))
    assert [spot.keyword for spot in spots] == ["sol", "do", "mi", "mi"]


def test_a_threshold_of_no_label_is_an_error(recognizer):
    model = recognizer("label")
    settings = SpotSettings(thresholds={"doo": (0.9, 0.5)})
    with pytest.raises(SettingsError, match="no label 'doo'; did you mean 'do'"):
        model.spot(spoken(["do"]), ["do"], RATE, settings=settings)


def test_the_least_duration_counts_from_the_onset():
    settings = SpotSettings(onset=0.5, offset=0.3, least_duration=0.02, settle=0.1)
    assert decided([0, 0.4, 0.4, 0.6, 0], settings) == []
    assert len(decided([0, 0.6, 0.4, 0], settings)) == 1


def test_a_classifiers_hit_lies_where_its_windows_say():
    card = card_of("mi", task="classify", training={"window_seconds": 0.8})
    spot = spot_of(card, Decision("mi", 100, 119, 0.9, 130))
    assert (spot.start, spot.end) == (pytest.approx(0.995 + 0.2), pytest.approx(1.195 + 0.4))
    assert spot_of(card, Decision("mi", 100, 119, 0.9, 130), 1.5).end == 1.5
