"""The beam search finds what flashlight's decoders find, on random posteriors, where both look at everything."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiornn.listen.beam_search import beam_search
from audiornn.listen.search_graph import SearchGraph
from tests.reference import collapse
from tests.test_beam_search import LETTERS, LEXICON, MODEL, PHONES, exact
from tests.test_decoding import random_log_probs

flashlight = pytest.importorskip("flashlight.lib.text.decoder", reason="flashlight-text is the other side here")

WIDE, FAR = 3000, 1e4  # hypotheses and nats: nothing is pruned
SILENCE = 4  # flashlight wants a symbol of silence; the network never gives it


class WordModel(flashlight.LM):
    """Our language model as flashlight asks for one; a state of theirs is a history of words."""

    def __init__(self, words):
        super().__init__()
        self.words, self.states = words, {}

    def start(self, start_with_nothing):
        state = flashlight.LMState()
        self.states[state] = MODEL.start
        return state

    def score(self, state, word):
        after = state.child(word)
        score, self.states[after] = MODEL.score(self.states[state], self.words[word])
        return after, score

    def finish(self, state):
        return state.child(-1), MODEL.score(self.states[state], "</s>")[0]


def emissions(n_frames, seed):
    log_probs = np.full((n_frames, SILENCE + 1), -1000, np.float32)
    log_probs[:, :SILENCE] = random_log_probs(n_frames, SILENCE, seed)
    return log_probs


def summed(results, key):
    """Theirs part the paths that end in a blank from the others; ours are summed."""
    totals = {}
    for result in results:
        totals[key(result)] = np.logaddexp(totals.get(key(result), -math.inf), result.score)
    return sorted(totals.items(), key=lambda item: -item[1])


@settings(max_examples=40)
@given(n_frames=st.integers(1, 9), seed=st.integers(0, 9999))
def test_without_a_lexicon(n_frames, seed):
    log_probs = emissions(n_frames, seed)
    options = flashlight.LexiconFreeDecoderOptions(WIDE, 9, FAR, 0.0, 0.0, True, flashlight.CriterionType.CTC)
    decoder = flashlight.LexiconFreeDecoder(options, flashlight.ZeroLM(), SILENCE, 0, [])
    results = decoder.decode(log_probs.ctypes.data, *log_probs.shape)
    theirs = summed(results, lambda result: collapse(t for t in result.tokens if t not in (-1, SILENCE)))
    ours = beam_search(log_probs[:, :SILENCE], SearchGraph(PHONES, exact(beam_size=WIDE)), n_best=3).n_best
    assert [h.score for h in ours] == pytest.approx([score for _, score in theirs[: len(ours)]], abs=1e-3)
    assert tuple(s.id for s in ours[0].symbols) == theirs[0][0] or math.isclose(
        theirs[0][1], theirs[1][1], abs_tol=1e-3
    )


@settings(max_examples=40)
@given(
    n_frames=st.integers(2, 8),
    seed=st.integers(0, 9999),
    weight=st.sampled_from([0.0, 0.7]),
    bonus=st.sampled_from([0.0, 0.5]),
)
def test_with_a_lexicon_and_a_language_model(n_frames, seed, weight, bonus):
    """Flashlight ends a word by a symbol of its spelling alone, so the last frame is a space for certain."""
    log_probs = random_log_probs(n_frames, 4, seed)
    log_probs[-1] = [-1000, 0, -1000, -1000]
    words, space = [*LEXICON, "<unk>"], LETTERS.symbols.index(" ")
    trie = flashlight.Trie(len(LETTERS), space)
    for number, word in enumerate(LEXICON):
        trie.insert([*LEXICON[word][0], space], number, 0.0)
    options = flashlight.LexiconDecoderOptions(
        WIDE, 9, FAR, weight, bonus, -math.inf, 0.0, True, flashlight.CriterionType.CTC
    )
    model = WordModel(words)
    decoder = flashlight.LexiconDecoder(options, trie, model, space, 0, len(words) - 1, [], False)
    results = decoder.decode(log_probs.ctypes.data, *log_probs.shape)
    theirs = summed(results, lambda result: tuple(words[w] for w in result.words if w >= 0))
    settings = exact(beam_size=WIDE, lm_weight=weight, word_bonus=bonus)
    ours = beam_search(log_probs, SearchGraph(LETTERS, settings, language_model=MODEL, lexicon=LEXICON), n_best=3)
    by_words = dict(theirs)
    for hypothesis in (h for h in ours.n_best if h.score > -900):
        said = tuple(word.word for word in hypothesis.words)
        assert by_words[said] == pytest.approx(hypothesis.score, abs=2e-3)
    assert ours.score == pytest.approx(theirs[0][1], abs=2e-3)
