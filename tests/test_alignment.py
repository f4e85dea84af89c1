"""Forced alignment is the best path that collapses to the text; and what does not fit the text is told."""

import itertools
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from audiornn.errors import CorpusError, ModelFileError
from audiornn.features import FeatureSettings
from audiornn.listen import viterbi
from audiornn.listen.alignment import _stretches, align_text
from audiornn.listen.decoding import DecodedSymbol
from audiornn.listen.viterbi import force_align
from audiornn.model_file import ModelCard
from audiornn.vocabulary import BLANK, Vocabulary, ctc_length
from tests.reference import best_path_for_target, collapse

LETTERS = Vocabulary((BLANK, " ", *"efghinorstuvwx"), "character", lower_case=True)


@pytest.fixture
def in_blocks(monkeypatch):
    """Even the shortest recordings are long ones."""
    monkeypatch.setattr(viterbi, "_WHOLE_BYTES", 0)


def random_log_probs(n_frames, n_symbols, seed, *, scale=2.0):
    logits = np.random.default_rng(seed).standard_normal((n_frames, n_symbols)) * scale
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


def path_of(symbols, n_frames):
    path = np.zeros(n_frames, np.int64)
    for symbol in symbols:
        assert not path[symbol.first : symbol.last + 1].any()
        path[symbol.first : symbol.last + 1] = symbol.id
    return path


def score_of(log_probs, path):
    return float(log_probs[np.arange(len(path)), np.asarray(path)].astype(np.float64).sum())


def torchaudio_path(log_probs, ids):
    torch = pytest.importorskip("torch", reason="torchaudio is the other side here")
    # torchaudio refuses a torch built for another CUDA; on the CPU, where this runs, that does not matter.
    cuda, torch.version.cuda = torch.version.cuda, None
    try:
        pytest.importorskip("torchaudio", reason="torchaudio is the other side here", exc_type=ImportError)
        from torchaudio.functional import forced_align
    finally:
        torch.version.cuda = cuda
    targets = torch.tensor([list(ids)], dtype=torch.int64)
    path, _ = forced_align(torch.from_numpy(np.ascontiguousarray(log_probs))[None], targets)
    return path[0].numpy()


@st.composite
def cases(draw, *, most_frames=60):
    """Log-probabilities and a target that has frames enough."""
    n_symbols = draw(st.integers(2, 5))
    ids = draw(st.lists(st.integers(1, n_symbols - 1), min_size=1, max_size=12))
    n_frames = ctc_length(ids) + draw(st.sampled_from([0, 1, 2, 7, 40]))
    assume(n_frames <= most_frames)
    return random_log_probs(
        n_frames, n_symbols, draw(st.integers(0, 999)), scale=draw(st.sampled_from([0.3, 3.0]))
    ), ids


# --- the best path ---


@pytest.mark.parametrize("target", [[1], [1, 1], [1, 2], [2, 1, 2], [1, 1, 1], [1, 2, 2]])
def test_it_is_the_best_of_all_paths(target, in_blocks):
    for seed, n_frames in itertools.product(range(8), range(ctc_length(target), 7)):
        log_probs = random_log_probs(n_frames, 3, seed)
        path, score = best_path_for_target(log_probs.tolist(), target)
        found = path_of(force_align(log_probs, target), n_frames)
        assert tuple(found) == path
        assert score_of(log_probs, found) == pytest.approx(score)


def test_it_is_torchaudios(monkeypatch):
    rng = np.random.default_rng(0)
    for case in range(300):
        n_symbols = int(rng.integers(2, 7))
        ids = rng.integers(1, n_symbols, rng.integers(1, 25)).tolist()
        n_frames = ctc_length(ids) + int(rng.choice([0, 1, 3, 30, 150]))
        log_probs = random_log_probs(n_frames, n_symbols, case, scale=rng.choice([0.5, 2, 6]))
        if case % 4 == 0:  # many ties
            log_probs = np.round(log_probs)
        elif case % 3 == 0:
            log_probs[rng.random(log_probs.shape) < 0.05] = -np.inf
        monkeypatch.setattr(viterbi, "_WHOLE_BYTES", 0 if case % 2 else 2**25)
        ours = path_of(force_align(log_probs, ids), n_frames)
        if score_of(log_probs, ours) == -np.inf:  # no path is possible, and torchaudio's is none
            continue
        theirs = torchaudio_path(log_probs, ids)
        if case % 4:
            assert ours.tolist() == theirs.tolist()
        else:  # where two steps tie and beat the third, it takes the third: into nowhere, were that −inf
            assert score_of(log_probs, ours) >= score_of(log_probs, theirs) - 1e-3


@given(cases())
def test_it_collapses_to_the_target(case):
    log_probs, ids = case
    symbols = force_align(log_probs, ids)
    assert [symbol.id for symbol in symbols] == ids
    assert all(0 <= s.first <= s.last < len(log_probs) for s in symbols)
    assert all(a.last < b.first for a, b in itertools.pairwise(symbols))
    assert collapse(path_of(symbols, len(log_probs)).tolist()) == tuple(ids)
    for s in symbols:
        assert s.posterior == pytest.approx(np.exp(log_probs[s.first : s.last + 1, s.id]).mean(), rel=1e-5)


@given(cases())
def test_blocks_make_no_difference(case):
    log_probs, ids = case
    whole = force_align(log_probs, ids)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(viterbi, "_WHOLE_BYTES", 0)
        for first_loss in (0.25, 1e-9, 1e9):  # as it is; never enough at first; never too little
            patch.setattr(viterbi, "_FIRST_LOSS", first_loss)
            assert force_align(log_probs, ids) == whole


def test_an_impossible_text_is_laid_where_it_is_least_so():
    log_probs = np.full((5, 3), -np.inf, np.float32)
    log_probs[:, 0] = 0.0
    log_probs[3, 2] = -1.0
    log_probs[1, 1] = -2.0
    (symbol,) = force_align(log_probs, [2])
    assert (symbol.first, symbol.last, symbol.posterior) == (3, 3, pytest.approx(np.exp(-1)))
    log_probs[3, 2] = -np.inf
    assert [s.id for s in force_align(log_probs, [1, 2, 1])] == [1, 2, 1]
    assert len(force_align(np.full((4, 3), -np.inf, np.float32), [1, 1])) == 2


def said(ids, n_frames, n_symbols, seed):
    """Log-probabilities of a target that is said, a frame a symbol."""
    rng = np.random.default_rng(seed)
    path = np.zeros(n_frames, np.int64)
    path[2 * np.sort(rng.choice(n_frames // 2, len(ids), replace=False))] = ids
    logits = rng.standard_normal((n_frames, n_symbols)).astype(np.float32)
    logits[np.arange(n_frames), path] += 6
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("fits", [True, False])
def test_memory_is_bounded(fits):
    """12,000 frames × 4,000 symbols, four minutes: 768 MB of scores, were they all kept."""
    ids = np.random.default_rng(1).integers(1, 20, 4000)
    log_probs = said(ids if fits else ids[::-1], 12_000, 20, 2)
    tracemalloc.start()
    try:
        force_align(log_probs, ids.tolist())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**24


def test_ten_seconds_take_milliseconds():
    ids = np.random.default_rng(1).integers(1, 30, 150)
    log_probs = said(ids, 1000, 30, 2)
    seconds = []
    for _ in range(9):
        start = time.process_time()
        force_align(log_probs, ids.tolist())
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.05  # 6 ms where nothing else runs


def test_an_empty_target_is_an_error():
    with pytest.raises(CorpusError, match="no symbol; is it empty"):
        force_align(random_log_probs(5, 3, 0), [])


def test_a_target_too_long_is_an_error():
    log_probs = random_log_probs(3, 3, 0)
    assert len(force_align(log_probs, [1, 1])) == 2
    with pytest.raises(CorpusError, match=r"needs 4 output frames .*the recording has 3; is it the text of another"):
        force_align(log_probs, [1, 1, 2])
    with pytest.raises(CorpusError, match="has 0"):
        force_align(np.zeros((0, 3), np.float32), [1])


# --- words ---


def card_of(vocabulary=LETTERS, *, task="transcribe", stride=3):
    return ModelCard(task, FeatureSettings(), vocabulary, stride)  # 30 ms an output


def heard(spelling, vocabulary=LETTERS, p=0.97):
    """Log-probabilities of frames spelled out, `_` for blanks."""
    symbols = spelling.split() if vocabulary.unit != "character" else spelling
    path = [0 if symbol == "_" else vocabulary.symbols.index(symbol) for symbol in symbols]
    rows = np.full((len(path), len(vocabulary)), (1 - p) / (len(vocabulary) - 1), np.float32)
    rows[np.arange(len(path)), path] = p
    return np.log(rows)


def align(spelling, text, *, vocabulary=LETTERS):
    log_probs = heard(spelling, vocabulary)
    return align_text(card_of(vocabulary), log_probs, text, 0.03 * (len(log_probs) - 1))


def test_words_have_their_times():
    found = align("__oonn_e___ _t_w_o____", "One  TWO")
    assert found.text == "one two"
    assert found.duration == pytest.approx(0.63)
    one, two = found.words
    assert (one.label, one.start, one.end) == ("one", 0.045, 0.225)
    assert (two.label, two.start, two.end) == ("two", 0.375, 0.525)
    assert [(s.label, s.start, s.end) for s in one.symbols] == [
        ("o", 0.045, 0.105),
        ("n", 0.105, 0.18),
        ("e", 0.18, 0.225),
    ]
    assert all(s.confidence == pytest.approx(0.97) for s in one.symbols)
    assert [(w.fits, w.heard) for w in found.words] == [(True, "one"), (True, "two")]
    assert all(0.9 < w.confidence <= 1 for w in found.words)
    assert found.extra == ()


def test_a_word_reaches_to_the_middle_of_a_gap_and_half_way_to_what_is_extra():
    words = [[DecodedSymbol(2, first, first + 1, 1.0)] for first in (4, 20)]
    card = card_of(Vocabulary((BLANK, "a", "do"), "word"), stride=1)
    assert _stretches(card, words, [*words[0], *words[1]], 30) == ([], [(0, 13), (13, 30)])
    extra = DecodedSymbol(1, 10, 11, 1.0)
    assert _stretches(card, words, [*words[0], extra, *words[1]], 30) == ([[extra]], [(0, 8), (16, 30)])


def test_times_lie_in_the_recording():
    log_probs = heard("o_n_e")
    (word,) = align_text(card_of(), log_probs, "one", 0.12).words
    assert (word.start, word.end) == (0.0, 0.12)


@pytest.mark.parametrize("text", ["one seven three", "seven two three", "one two six"])
def test_a_word_that_was_not_said_does_not_fit(text):
    found = align("__o_n_e__ __t_w_o__ __t_h_r_e_e__", text)
    assert found.text == text
    for word, really in zip(found.words, ("one", "two", "three"), strict=True):
        assert word.fits == (word.label == really)
        assert word.fits == (word.confidence >= 0.5)
        assert word.heard == really
    assert found.extra == ()


def test_a_word_too_many_does_not_fit():
    found = align("__o_n_e_____ _____t_w_o__", "one seven two")
    assert [(w.label, w.fits) for w in found.words] == [("one", True), ("seven", False), ("two", True)]


@pytest.mark.parametrize(
    ("text", "label"), [("two three", "one"), ("one three", "two"), ("one two", "three"), ("two", "one three")]
)
def test_what_the_text_lacks_is_extra(text, label):
    found = align("__o_n_e__ __t_w_o__ __t_h_r_e_e__", text)
    assert " ".join(extra.label for extra in found.extra) == label
    assert all(w.fits and w.heard == w.label for w in found.words)
    places = sorted([*found.words, *found.extra], key=lambda place: place.start)
    assert [place.label for place in places] == ["one", "two", "three"]
    assert all(a.end <= b.start for a, b in itertools.pairwise(places))
    assert all(0.9 < extra.confidence <= 1 for extra in found.extra)


def test_what_is_extra_parts_at_a_pause():
    long, short = "_" * 40, "_" * 10
    assert [e.label for e in align(f"s_i_x{short} {short}s_i_x{short} _o_n_e", "one").extra] == ["six six"]
    assert [e.label for e in align(f"s_i_x{long} _s_i_x_ _o_n_e", "one").extra] == ["six", "six"]
    assert [e.label for e in align(f"s_i_x{long}_s_i_x{long}_o_n_e", "one").extra] == ["six", "six"]


def test_a_word_laid_along_its_neighbours_letters_is_put_right():
    """The e of "five" for that of "one" loses least; but "one" is heard, and "five" is extra."""
    found = align("_o_n_e_ _f_i_v_e_ _t_w_o", "one two")
    assert [(w.label, w.fits, w.heard) for w in found.words] == [("one", True, "one"), ("two", True, "two")]
    assert [e.label for e in found.extra] == ["five"]


def test_a_long_pause_tires_no_word():
    """A letter is suspected now and then in a minute of noise, which has to do with no word."""
    log_probs = heard("_" * 2000 + "o_n_e" + "_" * 1000 + " " + "_" * 1000 + "t_w_o" + "_" * 2000)
    for start, end in ((0, 1900), (2100, 2900), (3100, 3900), (4100, 6000)):
        log_probs[start:end:20] = np.log((1 - 0.5 - 0.45) / (len(LETTERS) - 2))
        log_probs[start:end:20, [0, LETTERS.symbols.index("x")]] = np.log([0.45, 0.5])
    found = align_text(card_of(), log_probs, "one two", 0.03 * len(log_probs))
    assert [(w.label, w.fits, w.heard) for w in found.words] == [("one", True, "one"), ("two", True, "two")]
    assert all(w.end - w.start < 1 for w in found.words)


@pytest.mark.parametrize("after", [False, True])
def test_what_is_far_away_costs_no_word(after):
    phones = Vocabulary((BLANK, "AH", "N", "T", "W"), "phone", lexicon={"one": ("W AH N",)})
    pause, word, click = ["_"] * 40, ["W", "AH", "N"], ["T", *["_"] * 40]
    frames = pause + word + pause + click * 6 if after else click * 6 + pause + word + pause
    found = align(" ".join(frames), "one", vocabulary=phones)
    assert [(w.fits, w.heard) for w in found.words] == [(True, "W AH N")]
    assert found.extra == ()


def test_a_space_left_out_in_a_pause_costs_no_word():
    found = align("_o_n_e______t_w_o_", "one two")
    assert [(w.label, w.fits) for w in found.words] == [("one", True), ("two", True)]
    assert all(w.confidence > 0.9 for w in found.words)


def test_symbols_that_are_words():
    words = Vocabulary((BLANK, "no", "yes"), "word")
    found = align("_ _ yes yes _ _ no _ _ yes _", "yes yes", vocabulary=words)
    assert [(w.label, w.fits, w.heard) for w in found.words] == [("yes", True, "yes")] * 2
    assert [[s.label for s in w.symbols] for w in found.words] == [["yes"], ["yes"]]
    assert [(e.label, e.start) for e in found.extra] == [("no", pytest.approx(0.165))]
    (wrong,) = align("_ _ yes yes _ _", "no", vocabulary=words).words
    assert (wrong.fits, wrong.heard) == (False, "yes")


def test_symbols_that_are_phones():
    lexicon = {"one": ("W AH N",), "two": ("T UW",), "too": ("T UW",)}
    phones = Vocabulary((BLANK, "AH", "N", "T", "UW", "W"), "phone", lexicon=lexicon)
    found = align("_ W _ AH N _ _ T UW UW _", "one two", vocabulary=phones)
    assert [(w.label, w.fits, w.heard) for w in found.words] == [("one", True, "W AH N"), ("two", True, "T UW")]
    assert [s.label for s in found.words[0].symbols] == ["W", "AH", "N"]
    found = align("_ W _ AH N _ _ T UW UW _", "one", vocabulary=phones)
    assert [e.label for e in found.extra] == ["T UW"]
    assert align("_ W _ AH N _ _ T _", "one", vocabulary=phones).extra == ()  # one phone is not yet a word
    with pytest.raises(CorpusError, match="'tow' is not in the lexicon; did you mean 'two'"):
        align("_ W _", "tow", vocabulary=phones)


def test_the_pronunciation_that_is_said_is_laid():
    lexicon = {"a": ("AH", "EY"), "an": ("AE N", "AH N"), "net": ("N EH T",)}
    phones = Vocabulary((BLANK, "AE", "AH", "EH", "EY", "N", "T"), "phone", lexicon=lexicon)
    found = align("_ EY _ _ AH N _ N EH _ T _ AH _", "a an net a", vocabulary=phones)
    assert [[s.label for s in w.symbols] for w in found.words] == [["EY"], ["AH", "N"], ["N", "EH", "T"], ["AH"]]
    assert all(w.fits for w in found.words)
    assert not found.extra
    found = align("_ AE _ N EH _ T _", "a net", vocabulary=phones)  # neither is
    assert [(w.label, w.fits) for w in found.words] == [("a", False), ("net", True)]


def test_two_longer_pronunciations_do_not_share_a_pause():
    lexicon = {"a": ("AH", "AH N"), "too": ("UW", "T UW")}
    phones = Vocabulary((BLANK, "AH", "N", "T", "UW"), "phone", lexicon=lexicon)
    log_probs = np.log(np.array([[1, 96, 1, 1, 1], [6, 2, 45, 45, 2], [1, 1, 1, 1, 96]], np.float32) / 100)
    found = align_text(card_of(phones), log_probs, "a too", 0.09)  # each has room for its longer one, both have not
    assert [[s.label for s in w.symbols] for w in found.words] == [["AH"], ["UW"]]


def test_letters_without_a_space_among_them():
    letters = Vocabulary((BLANK, *"ab"), "character")
    found = align("_a_b__b_a_", "ab ba", vocabulary=letters)
    assert [(w.label, w.fits, w.heard) for w in found.words] == [("ab", True, "ab"), ("ba", True, "ba")]


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_text_is_an_error(text):
    with pytest.raises(CorpusError, match="empty"):
        align("_o_n_e_", text)


def test_a_text_with_an_unknown_symbol_is_an_error():
    with pytest.raises(CorpusError, match=r"character 'z' is not among .*'zero'"):
        align("_o_n_e_", "one zero")


def test_the_text_of_another_recording_is_an_error():
    with pytest.raises(CorpusError, match="is it the text of another recording"):
        align("_o_n_e_", "one two three four five")


@pytest.mark.parametrize("task", ["classify", "label"])
def test_a_model_that_does_not_transcribe_is_an_error(task):
    card = card_of(Vocabulary(("no", "yes"), "label"), task=task)
    with pytest.raises(ModelFileError, match=f"task is {task!r}; only one of task .transcribe. can align"):
        align_text(card, np.zeros((4, 2), np.float32), "yes", 1.0)


@given(
    spelling=st.lists(st.sampled_from("___ onetwsi"), min_size=25, max_size=60).map("".join),
    words=st.lists(st.sampled_from(["one", "two", "six", "seven", "no"]), min_size=1, max_size=4),
)
def test_words_and_extras_never_overlap(spelling, words):
    found = align(spelling, " ".join(words))
    assert [w.label for w in found.words] == words
    places = sorted([*found.words, *found.extra], key=lambda place: (place.start, place.end))
    assert all(0 <= place.start < place.end <= found.duration for place in places)
    assert all(a.end <= b.start + 1e-6 for a, b in itertools.pairwise(places))
    for word in found.words:
        assert "".join(s.label for s in word.symbols) == word.label
        assert (word.symbols[0].start, word.symbols[-1].end) == (word.start, word.end)
        assert word.fits == (word.confidence >= 0.5)
