"""Prefix beam search is exact where nothing is pruned, whatever the chunks, with words and hot words or without."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiornn.errors import CorpusError, ModelFileError, SettingsError
from audiornn.listen.beam_search import BeamSearch, beam_search
from audiornn.listen.decoding import greedy_ctc
from audiornn.listen.language_model import END, LanguageModel, build_language_model
from audiornn.listen.search_graph import DecodingSettings, PhraseAutomaton, SearchGraph, spell_words
from audiornn.listen.viterbi import align_symbols
from audiornn.vocabulary import BLANK, Vocabulary
from tests.reference import best_texts, read_path
from tests.test_decoding import log_probs_of, random_log_probs

EXACT = DecodingSettings("beam", beam_size=100_000, beam_threshold=math.inf, symbol_threshold=-math.inf)
LETTERS = Vocabulary((BLANK, " ", "a", "b"), "character")
WORDS = Vocabulary((BLANK, "a", "ab", "b"), "word")
PHONES = Vocabulary((BLANK, "p", "q", "r"), "phone")
MODEL = build_language_model(["a b ab", "ab a", "b a b a", "ba ab b"], 2)
LEXICON = {"a": [(2,)], "ab": [(2, 3)], "ba": [(3, 2)], "aa": [(2, 2)]}
SAID = {"pea": [(1,)], "pee": [(1,)], "peck": [(1, 2)], "ark": [(3, 2), (3, 3)]}  # homophones, and ways to say a word
frames = st.integers(1, 6)
seeds = st.integers(0, 9999)


def exact(**changes):
    return dataclasses.replace(EXACT, **changes)


def text_of(graph, hypothesis):
    return tuple(symbol.id for symbol in hypothesis.symbols)


def spelled(text, space=1):
    return [
        "".join("?? ab"[i + 1] for i in word)
        for is_space, word in itertools.groupby(text, lambda s: s == space)
        if not is_space
    ]


def model_gain(words, weight, bonus=0.0, unknown=0.0, model=MODEL):
    state, total = model.start, 0.0
    for word in words:
        score, state = model.score(state, word)
        total += weight * score + bonus - (0 if word in model else unknown)
    return total + weight * model.score(state, END)[0]


def occurrences(words, phrase):
    return sum(words[i : i + len(phrase)] == phrase for i in range(len(words)))


def compare(found, expected, n=5):
    """The same texts in the same order with the same scores, as far as scores can tell them apart."""
    assert [h.score for h in found] == pytest.approx([score for score, _ in expected[: len(found)]], abs=1e-6)
    assert len(found) == min(n, len(expected))
    by_text = {text: score for score, text in expected}
    for hypothesis in found:
        text = tuple(symbol.id for symbol in hypothesis.symbols)
        assert by_text[text] == pytest.approx(hypothesis.score, abs=1e-6)


# --- exact against the sum over all paths ---


@given(frames, seeds)
def test_without_words(n_frames, seed):
    log_probs = random_log_probs(n_frames, 4, seed)
    compare(beam_search(log_probs, SearchGraph(PHONES, EXACT), n_best=5).n_best, best_texts(log_probs.tolist()))


@given(frames, seeds)
def test_letters_part_words_by_one_space(n_frames, seed):
    log_probs = random_log_probs(n_frames, 4, seed)
    found = beam_search(log_probs, SearchGraph(LETTERS, EXACT), n_best=5).n_best
    compare(found, best_texts(log_probs.tolist(), space=1))
    assert [[w.word for w in h.words] for h in found] == [spelled(text_of(LETTERS, h)) for h in found]


@given(frames, seeds, st.sampled_from([0.0, 0.4, 1.5]), st.sampled_from([0.0, 1.0, -0.7]))
def test_letters_with_a_language_model(n_frames, seed, weight, bonus):
    log_probs = random_log_probs(n_frames, 4, seed)
    graph = SearchGraph(LETTERS, exact(lm_weight=weight, word_bonus=bonus, unknown_word=2.0), language_model=MODEL)
    unknown = 2.0 if weight else 0.0
    expected = best_texts(log_probs.tolist(), lambda text: model_gain(spelled(text), weight, bonus, unknown), space=1)
    compare(beam_search(log_probs, graph, n_best=5).n_best, expected)


@given(frames, seeds, st.sampled_from([0.0, 0.8]))
def test_letters_with_a_lexicon(n_frames, seed, weight):
    log_probs = random_log_probs(n_frames, 4, seed)
    graph = SearchGraph(LETTERS, exact(lm_weight=weight, word_bonus=0.3), language_model=MODEL, lexicon=LEXICON)

    def gain(text):
        words = spelled(text)
        return model_gain(words, weight, 0.3) if set(words) <= set(LEXICON) else None

    compare(beam_search(log_probs, graph, n_best=5).n_best, best_texts(log_probs.tolist(), gain, space=1))


@given(frames, seeds, st.sampled_from([0.0, 1.2]))
def test_symbols_that_are_words(n_frames, seed, weight):
    log_probs = random_log_probs(n_frames, 4, seed)
    graph = SearchGraph(WORDS, exact(lm_weight=weight, word_bonus=0.5), language_model=MODEL)
    names = WORDS.symbols
    expected = best_texts(log_probs.tolist(), lambda text: model_gain([names[i] for i in text], weight, 0.5))
    found = beam_search(log_probs, graph, n_best=5).n_best
    compare(found, expected)
    assert [[names[s.id] for s in h.symbols] for h in found] == [[w.word for w in h.words] for h in found]


def readings(text, lexicon=SAID):
    """All the words that a sequence of phones may be."""
    if not text:
        yield []
    for word, ways in lexicon.items():
        for way in ways:
            if text[: len(way)] == way:
                yield from ([word, *rest] for rest in readings(text[len(way) :], lexicon))


@given(frames, seeds, st.sampled_from([0.0, 0.6]))
def test_phones_with_a_lexicon(n_frames, seed, weight):
    """Homophones, words that begin others, and several ways to say one."""
    model = build_language_model(["pea peck ark", "pee ark", "ark peck pee", "pea"], 2)
    log_probs = random_log_probs(n_frames, 4, seed)
    graph = SearchGraph(PHONES, exact(lm_weight=weight, word_bonus=0.2), language_model=model, lexicon=SAID)
    scores = {}
    for score, text in best_texts(log_probs.tolist()):
        for words in readings(text):
            total = score + model_gain(words, weight, 0.2, model=model)
            scores[tuple(words)] = max(total, scores.get(tuple(words), -math.inf))
    found = beam_search(log_probs, graph, n_best=8).n_best
    assert len(found) == min(8, len(scores))
    assert [h.score for h in found] == pytest.approx(sorted(scores.values(), reverse=True)[: len(found)], abs=1e-6)
    for hypothesis in found:
        words = tuple(word.word for word in hypothesis.words)
        assert scores[words] == pytest.approx(hypothesis.score, abs=1e-6)
        assert list(words) in list(readings(text_of(graph, hypothesis)))


@given(frames, seeds)
def test_hot_phrases_gain_their_boost_exactly(n_frames, seed):
    log_probs = random_log_probs(n_frames, 4, seed)
    hot = {"ab": 2.0, "a b": 1.5, "b": -1.0, "ab ab": 0.7}

    def gain(text):
        words = spelled(text)
        return sum(boost * occurrences(words, phrase.split()) for phrase, boost in hot.items())

    graph = SearchGraph(LETTERS, EXACT, hot_words=hot)
    compare(beam_search(log_probs, graph, n_best=5).n_best, best_texts(log_probs.tolist(), gain, space=1))


@given(frames, seeds)
def test_hot_words_where_symbols_are_words(n_frames, seed):
    log_probs = random_log_probs(n_frames, 4, seed)
    hot = {"ab b": 2.0, "a": 0.5}
    names = WORDS.symbols

    def gain(text):
        words = [names[i] for i in text]
        return sum(boost * occurrences(words, phrase.split()) for phrase, boost in hot.items())

    compare(
        beam_search(log_probs, SearchGraph(WORDS, EXACT, hot_words=hot), n_best=5).n_best,
        best_texts(log_probs.tolist(), gain),
    )


@given(frames, seeds)
def test_hot_words_of_a_lexicon_of_phones(n_frames, seed):
    log_probs = random_log_probs(n_frames, 4, seed)
    hot = {"pee ark": 2.0, "peck": 1.0}
    scores = {}
    for score, text in best_texts(log_probs.tolist()):
        for words in readings(text):
            total = score + sum(boost * occurrences(words, phrase.split()) for phrase, boost in hot.items())
            scores[tuple(words)] = max(total, scores.get(tuple(words), -math.inf))
    found = beam_search(log_probs, SearchGraph(PHONES, EXACT, lexicon=SAID, hot_words=hot), n_best=4).n_best
    assert [h.score for h in found] == pytest.approx(sorted(scores.values(), reverse=True)[: len(found)], abs=1e-6)


@given(seeds)
def test_a_wide_beam_is_as_good_as_none(seed):
    log_probs = random_log_probs(6, 4, seed)
    wide = exact(beam_size=400)
    assert beam_search(log_probs, SearchGraph(LETTERS, wide)).score == pytest.approx(
        best_texts(log_probs.tolist(), space=1)[0][0]
    )


# --- chunks ---

GRAPHS = {
    "letters": lambda s: SearchGraph(LETTERS, s),
    "letters, model": lambda s: SearchGraph(LETTERS, s, language_model=MODEL, hot_words={"ab": 1.0}),
    "letters, lexicon": lambda s: SearchGraph(LETTERS, s, language_model=MODEL, lexicon=LEXICON),
    "words": lambda s: SearchGraph(WORDS, s, language_model=MODEL),
    "phones": lambda s: SearchGraph(PHONES, s),
    "phones, lexicon": lambda s: SearchGraph(PHONES, s, lexicon=SAID, hot_words={"peck": 1.0}),
}
graphs = pytest.mark.parametrize("graph", GRAPHS)


@graphs
@settings(max_examples=8)
@given(
    seed=seeds,
    cuts=st.lists(st.integers(0, 300), max_size=8),
    sharpness=st.sampled_from([1.0, 4.0, 12.0]),
    horizon=st.sampled_from([40, 3000]),
)
def test_chunks_do_not_matter(graph, seed, cuts, sharpness, horizon):
    made = GRAPHS[graph](DecodingSettings("beam", beam_size=8, horizon_frames=horizon))
    logits = sharpness * np.random.default_rng(seed).standard_normal((300, 4)) + [4 * (sharpness > 1), 0, 0, 0]
    log_probs = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)
    whole, cut = BeamSearch(made), BeamSearch(made)
    expected = whole.push(log_probs)
    edges = [0, *sorted(cuts), 300]
    found = [s for a, b in itertools.pairwise(edges) for s in cut.push(log_probs[a:b])]
    assert found == expected
    assert cut.take_words() == whole.take_words()
    assert cut.finish(3) == whole.finish(3)
    everything = [*expected, *whole.finish().symbols]
    assert all(a.last < b.first for a, b in itertools.pairwise(everything))
    assert all(0 <= s.first <= s.last < 300 for s in everything)


def test_what_is_decided_in_between_changes_nothing():
    """The same search with and without tidying finds the same text and score."""
    import audiornn.listen.beam_search as module

    log_probs = random_log_probs(700, 4, 5)
    graph = SearchGraph(LETTERS, DecodingSettings("beam", beam_size=30), language_model=MODEL, hot_words={"ab": 1.0})
    often = beam_search(log_probs, graph)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_TIDY_FRAMES", 10_000)
        never = beam_search(log_probs, graph)
    assert often.score == pytest.approx(never.score)
    assert [s.id for s in often.symbols] == [s.id for s in never.symbols]
    assert [w.word for w in often.words] == [w.word for w in never.words]


@graphs
def test_memory_is_flat(graph):
    search = BeamSearch(GRAPHS[graph](DecodingSettings("beam", beam_size=8, horizon_frames=300)))
    tree, sizes = search._tree, []
    random = [random_log_probs(250, 4, seed) for seed in range(12)]
    silence = [np.tile(np.log([0.97, 0.01, 0.01, 0.01]), (250, 1))] * 6  # a long one, not quite a sure one
    for chunk in (*random, *silence):
        search.push(chunk)
        search.take_words()
        sizes.append((tree._size, len(tree._children), sum(len(window) for window in search._window)))
    nodes, children, frames = map(max, zip(*sizes, strict=True))
    assert max(nodes, children) < 1500, "a node a frame would be 4500"
    assert frames < 600


def test_an_old_doubt_is_settled_at_the_horizon():
    """Two texts that part in the first frame and never again; memory must not wait for a decision that never comes."""
    first = np.log([[0.01, 0.01, 0.5, 0.48]])
    later = log_probs_of([0, 2, 0, 3] * 200, p=0.999)
    search = BeamSearch(SearchGraph(LETTERS, DecodingSettings("beam", horizon_frames=300)))
    decided = [*search.push(first), *search.push(later)]
    assert len(decided) > 200
    assert decided[0].id == 2


# --- times ---


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_a_sure_network_is_read_where_it_says(path):
    log_probs = log_probs_of(path, p=0.99)
    found = beam_search(log_probs, SearchGraph(PHONES, DecodingSettings("beam"))).symbols
    assert [(s.id, s.first, s.last) for s in found] == [(s.id, s.first, s.last) for s in greedy_ctc(log_probs)]
    assert [s.posterior for s in found] == pytest.approx([s.posterior for s in greedy_ctc(log_probs)])


@given(st.integers(1, 6), seeds, st.lists(st.integers(1, 3), max_size=4), st.sampled_from([-1, 1]))
def test_symbols_are_aligned_on_their_best_path(n_frames, seed, ids, space):
    log_probs = random_log_probs(n_frames, 4, seed)
    text = read_path(ids, space=1) if space == 1 else tuple(ids)
    paths = [
        path
        for path in itertools.product(range(4), repeat=n_frames)
        if read_path(path, space=None if space < 0 else space) == text
    ]
    spans = align_symbols(log_probs, text, space=space)
    assert len(spans) == len(text)
    if paths and text:
        best = max(sum(log_probs[t][s] for t, s in enumerate(path)) for path in paths)
        inside = {t: symbol for symbol, (a, b) in zip(text, spans, strict=True) for t in range(a, b + 1)}
        score = sum(
            log_probs[t][inside[t]] if t in inside else max(log_probs[t][0], log_probs[t][1] if space == 1 else -99)
            for t in range(n_frames)
        )
        assert score >= best - 1e-4
        assert all(a <= b < c for (a, b), (c, _) in itertools.pairwise(spans))


def test_words_have_their_letters_times():
    log_probs = log_probs_of([1, 2, 2, 0, 3, 1, 1, 0, 1, 3, 0], p=0.99)
    (ab, b) = beam_search(log_probs, SearchGraph(LETTERS, DecodingSettings("beam"))).words
    assert (ab.word, ab.first, ab.last) == ("ab", 1, 4)
    assert (b.word, b.first, b.last) == ("b", 9, 9)
    assert ab.posterior == pytest.approx(0.99)


# --- what words and hot words are for ---


def test_a_lexicon_corrects_a_spelling():
    log_probs = np.log(np.array([[0.01, 0.01, 0.9, 0.08], [0.02, 0.01, 0.51, 0.46], [0.97, 0.01, 0.01, 0.01]]))
    settings = DecodingSettings("beam")
    assert [w.word for w in beam_search(log_probs, SearchGraph(LETTERS, settings)).words] == ["a"]
    assert [w.word for w in beam_search(log_probs, SearchGraph(LETTERS, settings, lexicon={"ab": [(2, 3)]})).words] == [
        "ab"
    ]


def test_a_hot_word_is_heard_in_doubt():
    log_probs = np.log(np.array([[0.01, 0.01, 0.9, 0.08], [0.55, 0.01, 0.04, 0.40]]))
    settings = DecodingSettings("beam")
    cold = beam_search(log_probs, SearchGraph(LETTERS, settings))
    hot = beam_search(log_probs, SearchGraph(LETTERS, settings, hot_words={"ab": 2.0}))
    assert [w.word for w in cold.words] == ["a"]
    assert [w.word for w in hot.words] == ["ab"]


def test_a_hot_word_joins_the_lexicon():
    log_probs = log_probs_of([3, 0, 3], p=0.97)
    graph = SearchGraph(LETTERS, DecodingSettings("beam"), lexicon=LEXICON, hot_words={"bb": 1.0})
    assert [w.word for w in beam_search(log_probs, graph).words] == ["bb"]


def test_the_vocabulary_is_closed():
    """Whatever is heard, only words of the lexicon are read; with letters and with phones."""
    for seed in range(20):
        letters = beam_search(random_log_probs(30, 4, seed), GRAPHS["letters, lexicon"](DecodingSettings("beam")))
        phones = beam_search(random_log_probs(30, 4, seed), GRAPHS["phones, lexicon"](DecodingSettings("beam")))
        assert {w.word for w in letters.words} <= set(LEXICON)
        assert {w.word for w in phones.words} <= set(SAID)


def test_a_word_that_is_cut_off_is_left_out():
    graph = SearchGraph(LETTERS, DecodingSettings("beam"), lexicon={"ab": [(2, 3)]})
    found = beam_search(log_probs_of([2, 3, 1, 2, 2], p=0.9999), graph)
    assert [w.word for w in found.words] == ["ab"]
    assert [s.id for s in found.symbols] == [2, 3]


def test_an_open_vocabulary_pays_for_unknown_words():
    log_probs = log_probs_of([3, 0, 3], p=0.9)
    for penalty, word in ((0.0, "bb"), (30.0, "b")):
        graph = SearchGraph(LETTERS, DecodingSettings("beam", unknown_word=penalty), language_model=MODEL)
        assert [w.word for w in beam_search(log_probs, graph).words] == [word]


def test_symbols_that_are_words_pay_and_are_closed_as_spelled_ones_are():
    log_probs = log_probs_of([3, 0, 2, 0, 1], p=0.999)  # b ab a
    model = build_language_model(["a b", "b a"], 2)  # knows no ab
    free = SearchGraph(WORDS, DecodingSettings("beam", unknown_word=0.0), language_model=model)
    assert [w.word for w in beam_search(log_probs, free).words] == ["b", "ab", "a"]
    closed = SearchGraph(WORDS, DecodingSettings("beam", words="closed"), language_model=model)
    assert "ab" not in [w.word for w in beam_search(log_probs, closed).words]
    dear = SearchGraph(WORDS, DecodingSettings("beam", unknown_word=30.0), language_model=model)
    assert "ab" not in [w.word for w in beam_search(log_probs, dear).words]
    hot = SearchGraph(WORDS, DecodingSettings("beam", words="closed"), language_model=model, hot_words={"ab": 1.0})
    assert "ab" in [w.word for w in beam_search(log_probs, hot).words]


def test_of_words_that_are_spelled_alike_the_likelier_counts():
    """Whatever comes first in the alphabet: a language model with capitals knows The and the."""
    lower = dataclasses.replace(LETTERS, lower_case=True)
    lines = ["\\data\\", "ngram 1=4", "", "\\1-grams:", "-99\t<s>", "-1\t</s>", "-5\tAb", "-0.3\tab", "", "\\end\\", ""]
    both = LanguageModel.from_arpa("\n".join(lines), "x.arpa")
    alone = LanguageModel.from_arpa("\n".join(line.replace("=4", "=3") for line in lines if "Ab" not in line), "x.arpa")
    log_probs = log_probs_of([2, 3], p=0.9)
    scores = [beam_search(log_probs, SearchGraph(lower, exact(), language_model=m)).score for m in (both, alone)]
    assert scores[0] == pytest.approx(scores[1])


def test_a_hot_word_of_a_phone_model_may_be_a_word_of_its_lexicon():
    spelled_out = dataclasses.replace(PHONES, lexicon={"PQ": ("p q",)})
    assert SearchGraph(spelled_out, hot_words={"PQ": 2.0}).hot is not None
    log_probs = log_probs_of([1, 3], n_symbols=4, p=0.6)
    plain = beam_search(log_probs, SearchGraph(spelled_out))
    hot = beam_search(log_probs, SearchGraph(spelled_out, hot_words={"PQ": 9.0}))
    assert [s.id for s in plain.symbols] == [1, 3]
    assert [s.id for s in hot.symbols] == [1, 2]
    with pytest.raises(CorpusError, match="NO"):
        SearchGraph(spelled_out, hot_words={"NO": 2.0})


# --- n-best ---


@graphs
@given(seed=seeds)
def test_n_best_are_sorted_and_no_text_stands_there_twice(graph, seed):
    found = beam_search(random_log_probs(12, 4, seed), GRAPHS[graph](DecodingSettings("beam")), n_best=10)
    assert found.n_best[0].symbols == found.symbols
    assert found.n_best[0].score == found.score
    scores = [h.score for h in found.n_best]
    assert scores == sorted(scores, reverse=True)
    texts = [tuple(w.word for w in h.words) or tuple(s.id for s in h.symbols) for h in found.n_best]
    assert len(set(texts)) == len(texts) > 1


def test_the_hypothesis_so_far():
    search = BeamSearch(SearchGraph(LETTERS, DecodingSettings("beam")))
    search.push(log_probs_of([2, 1, 3], p=0.99))
    assert [w.word for w in search.hypothesis().words] == ["a", "b"]
    search.push(log_probs_of([2, 0], p=0.99))
    assert [w.word for w in search.hypothesis().words] == ["a", "ba"]
    assert [w.word for w in search.finish().words] == ["a", "ba"]


# --- edges ---


@graphs
def test_no_frames_and_nothing_but_blanks(graph):
    made = GRAPHS[graph](DecodingSettings("beam"))
    for log_probs in (np.zeros((0, 4)), log_probs_of([0] * 50, p=0.999), log_probs_of([0], p=0.9)):
        found = beam_search(log_probs, made, n_best=3)
        assert (found.symbols, found.words) == ((), ())


@graphs
@pytest.mark.filterwarnings("error")
def test_minus_infinity(graph):
    made = GRAPHS[graph](DecodingSettings("beam"))
    certain = np.full((6, 4), -np.inf)
    certain[range(6), [0, 2, 0, 2, 3, 0]] = 0
    assert math.isfinite(beam_search(certain, made).score)
    for column in range(4):
        log_probs = random_log_probs(40, 4, 1)
        log_probs[:, column] = -np.inf
        assert math.isfinite(beam_search(log_probs, made).score)
    mute = np.full((5, 4), -np.inf)  # frames that say nothing are passed over
    assert beam_search(mute, made).symbols == ()


def test_symbols_beyond_the_threshold_are_not_looked_at():
    log_probs = log_probs_of([0, 2, 0, 0, 3], p=0.99)
    exactly = beam_search(log_probs, SearchGraph(PHONES, EXACT))
    pruned = beam_search(log_probs, SearchGraph(PHONES, DecodingSettings("beam", symbol_threshold=-2.0)))
    assert [s.id for s in pruned.symbols] == [s.id for s in exactly.symbols]
    assert pruned.score < exactly.score  # the paths of rare symbols are not in it


def test_many_symbols_none_of_them_likely():
    """All below the symbol threshold; the best of each frame is looked at all the same."""
    log_probs = random_log_probs(20, 3000, 0) - 0.0
    log_probs[:, 0] = -20
    vocabulary = Vocabulary((BLANK, *(f"w{i}" for i in range(2999))), "word")
    found = beam_search(log_probs, SearchGraph(vocabulary, DecodingSettings("beam")))
    assert [s.id for s in found.symbols] == [s.id for s in greedy_ctc(log_probs)]


def test_a_vocabulary_of_one_symbol():
    vocabulary = Vocabulary((BLANK, "a"), "character")
    log_probs = log_probs_of([1, 1, 0, 1], n_symbols=2)
    graph = SearchGraph(vocabulary, DecodingSettings("beam"), language_model=MODEL, hot_words={"a": 0.5})
    assert [w.word for w in beam_search(log_probs, SearchGraph(vocabulary, DecodingSettings("beam"))).words] == ["aa"]
    assert [w.word for w in beam_search(log_probs, graph).words] == ["a"]
    only_blank = Vocabulary((BLANK,), "word")
    assert beam_search(np.zeros((4, 1)), SearchGraph(only_blank, DecodingSettings("beam"))).symbols == ()


@given(st.lists(st.integers(0, 3), max_size=30))
def test_a_beam_of_one_reads_what_is_sure(path):
    log_probs = log_probs_of(path, p=0.999) if path else np.zeros((0, 4))
    found = beam_search(log_probs, SearchGraph(PHONES, DecodingSettings("beam", beam_size=1)))
    assert [s.id for s in found.symbols] == [s.id for s in greedy_ctc(log_probs)]


@pytest.mark.parametrize("shape", [(3, 5), (3,), (1, 3, 4)])
def test_log_probs_of_another_shape(shape):
    with pytest.raises(ModelFileError, match="shape"):
        BeamSearch(SearchGraph(LETTERS)).push(np.zeros(shape))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"beam_size": 0}, "beam_size = 0 must be in 1…100,000"),
        ({"beam_size": 100_001}, "beam_size = 100001 must be in 1…100,000"),
        ({"beam_threshold": 0.0}, "beam_threshold"),
        ({"symbol_threshold": 1.0}, "symbol_threshold"),
        ({"lm_weight": -1.0}, "lm_weight"),
        ({"lm_weight": math.nan}, "lm_weight"),
        ({"word_bonus": math.inf}, "word_bonus"),
        ({"unknown_word": -1.0}, "unknown_word"),
        ({"words": "some"}, "words"),
        ({"decoder": "best"}, "decoder"),
        ({"horizon_frames": 0}, "horizon_frames"),
    ],
)
def test_settings_out_of_range(changes, message):
    with pytest.raises(SettingsError, match=message):
        DecodingSettings(**changes)


def test_words_that_cannot_be_spelled():
    assert spell_words(["a", "cab", "ba"], LETTERS) == ({"a": [(2,)], "ba": [(3, 2)]}, ["cab"])
    with pytest.raises(SettingsError, match="no word"):
        SearchGraph(LETTERS, lexicon={})
    with pytest.raises(CorpusError, match="'c'"):
        SearchGraph(LETTERS, hot_words={"cab": 1.0})
    with pytest.raises(CorpusError, match="'perk' is not in the lexicon; did you mean 'peck'"):
        SearchGraph(PHONES, lexicon=SAID, hot_words={"perk": 1.0})
    with pytest.raises(SettingsError, match="empty"):
        SearchGraph(LETTERS, hot_words={" ": 1.0})
    with pytest.raises(SettingsError, match="finite"):
        SearchGraph(LETTERS, hot_words={"a": math.inf})
    with pytest.raises(SettingsError, match="needs a lexicon"):
        SearchGraph(PHONES, language_model=MODEL)


@given(
    st.lists(st.sampled_from("ab "), max_size=14),
    st.dictionaries(st.text("ab", min_size=1, max_size=3), st.sampled_from([0.5, 1.0, -2.0]), min_size=1, max_size=4),
)
def test_the_automaton_counts_every_occurrence(text, phrases):
    automaton = PhraseAutomaton({tuple(f" {p} "): boost for p, boost in phrases.items()}, "ab ", start=" ")
    state, total = automaton.start, 0.0
    for symbol in text:
        index = automaton.index[symbol]
        total += automaton.gain[state, index]
        state = automaton.next[state, index]
    words = "".join(text).split()
    expected = sum(boost * words.count(phrase) for phrase, boost in phrases.items())
    assert total + automaton.final_unclosed[state] == pytest.approx(expected)
