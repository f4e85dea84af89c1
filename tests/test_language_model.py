"""Language models: probabilities that sum to one, the estimate by hand, and files that come back as they were."""

import gzip
import math
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiornn.errors import AudiornnError, CorpusError, SettingsError
from audiornn.listen.language_model import (
    BEGIN,
    END,
    UNKNOWN,
    LanguageModel,
    Perplexity,
    build_language_model,
    read_arpa,
    read_texts,
)

words = st.sampled_from(["a", "b", "c", "d", "e"])
texts = st.lists(st.lists(words, max_size=6).map(" ".join), min_size=1, max_size=30).filter(lambda t: any(t))


def total(model, state):
    vocabulary = [word for (word,) in model.ngrams[0] if word != BEGIN]
    assert UNKNOWN in vocabulary
    assert END in vocabulary
    return sum(math.exp(model.score(state, word)[0]) for word in vocabulary)


@settings(max_examples=60)
@given(texts, st.integers(1, 4), st.lists(st.sampled_from(["a", "b", "c", "never", BEGIN, UNKNOWN]), max_size=4))
def test_probabilities_sum_to_one_after_every_context(texts, order, context):
    model = build_language_model(texts, order)
    assert total(model, model.start) == pytest.approx(1)
    assert total(model, tuple(context)) == pytest.approx(1)
    for entries in model.ngrams[:-1]:
        for context in entries:
            if context[-1] != END:
                assert total(model, context) == pytest.approx(1)


@given(texts, st.integers(1, 4), st.lists(st.sampled_from(["a", "b", "c", "never"]), max_size=6))
def test_a_state_holds_all_that_matters(texts, order, sentence):
    """Scores by states are those of the whole history."""
    model = build_language_model(texts, order)
    state, history = model.start, (BEGIN,)
    for word in [*sentence, END]:
        score, state = model.score(state, word)
        assert score == pytest.approx(by_definition(model, history, word))
        history = (*history, word if word in model else UNKNOWN)
        assert len(state) < order or order == 1


def by_definition(model, history, word):
    """Katz' back-off: the longest n-gram there is, and the weights of the contexts that had to be given up."""
    history = history[len(history) - model.order + 1 :] if len(history) >= model.order else history
    history = () if model.order == 1 else history
    word = word if word in model else UNKNOWN
    if (*history, word) in model.ngrams[len(history)]:
        return model.ngrams[len(history)][(*history, word)][0]
    weight = model.ngrams[len(history) - 1].get(history, (0, 0))[1]
    return weight + by_definition(model, history[1:], word)


def test_the_estimate_by_hand():
    """Two texts, bigrams. The counts of counts are too few, so that the discounts are 0.5, 1 and 1.5."""
    model = build_language_model(["a b", "a c"], 2)
    # Unigrams count the words they follow: a 1 (<s>), b 1, c 1, </s> 2 (b, c); of these 5, discounts leave 0.5·3 + 1.
    uniform = 1 / 5  # a, b, c, </s>, <unk>
    freed = (3 * 0.5 + 1 * 1.0) / 5
    unigram = {"a": 0.5 / 5 + freed * uniform, END: 1 / 5 + freed * uniform, UNKNOWN: freed * uniform}
    assert {w: math.exp(model.score((), w)[0]) for w in unigram} == pytest.approx(unigram)
    # After <s> there was a, twice: (2 − 1) / 2, and half of what the unigrams say.
    assert math.exp(model.score((BEGIN,), "a")[0]) == pytest.approx(1 / 2 + 1 / 2 * unigram["a"])
    assert math.exp(model.score((BEGIN,), END)[0]) == pytest.approx(1 / 2 * unigram[END])
    # After a there were b and c, once each: (1 − 0.5) / 2, and half of the unigrams.
    assert math.exp(model.score(("a",), "b")[0]) == pytest.approx(1 / 4 + 1 / 2 * unigram["a"])
    assert math.exp(model.score(("a",), "zoo")[0]) == pytest.approx(1 / 2 * unigram[UNKNOWN])


def test_discounts_by_hand():
    """Chen and Goodman's formula where the counts of counts allow it."""
    # words seen (as bigram ends of one history) 1, 1, 1, 1, 2, 2, 3, 4 times
    counts = {"a": 1, "b": 1, "c": 1, "d": 1, "e": 2, "f": 2, "g": 3, "h": 4}
    model = build_language_model([word for word, n in counts.items() for _ in range(n)], 2)
    y = 4 / (4 + 2 * 2)
    first, second, third = 1 - 2 * y * 2 / 4, 2 - 3 * y * 1 / 2, 3 - 4 * y * 1 / 1
    kept = {1: 1 - first, 2: 2 - second, 3: 3 - third, 4: 4 - third}
    freed = 1 - sum(kept[n] for n in counts.values()) / 15
    for word, n in counts.items():
        expected = kept[n] / 15 + freed * math.exp(model.score((), word)[0])
        assert math.exp(model.score((BEGIN,), word)[0]) == pytest.approx(expected)


def test_perplexity():
    model = build_language_model(["a b", "a c"], 2)
    found = model.perplexity(["a b", "a zoo"])
    scores = []
    for text in (["a", "b", END], ["a", "zoo", END]):
        state = model.start
        for word in text:
            score, state = model.score(state, word)
            scores += [score] * (word != "zoo")
    assert found.perplexity == pytest.approx(math.exp(-sum(scores) / 5))
    assert (found.words, found.unknown) == (4, 1)
    assert model.perplexity([]).perplexity == math.inf
    without_ends = LanguageModel([{("a",): (-1.0, 0.0)}])
    assert without_ends.perplexity(["a", "a zoo"]) == Perplexity(pytest.approx(math.e), 3, 1)


def test_a_model_foresees_its_own_texts_better():
    own, others = ["one two three"] * 5 + ["one two four"], ["three one two", "four three one"]
    model = build_language_model(own, 3)
    assert model.perplexity(own).perplexity < model.perplexity(others).perplexity


@settings(max_examples=30)
@given(texts, st.integers(1, 4))
def test_arpa_and_back(texts, order):
    model = build_language_model(texts, order)
    again = LanguageModel.from_arpa(model.to_arpa(), "x.arpa")
    assert again.order == model.order
    for entries, others in zip(model.ngrams, again.ngrams, strict=True):
        assert entries.keys() == others.keys()
        for ngram, (score, back_off) in entries.items():
            assert others[ngram] == pytest.approx((score, back_off), abs=2e-5)
    assert again.to_arpa() == model.to_arpa()


@pytest.mark.parametrize("name", ["lm.arpa", "lm.arpa.gz"])
def test_files(tmp_path, name):
    model = build_language_model(["à la carte", "à la mode"], 3)
    model.write(tmp_path / name)
    assert read_arpa(tmp_path / name).to_arpa() == model.to_arpa()
    assert ((tmp_path / name).read_bytes()[:2] == b"\x1f\x8b") == name.endswith("gz")
    assert read_arpa(tmp_path / name).words == ("carte", "la", "mode", "à")


def test_as_other_programs_write_it():
    """A head of comments, blanks instead of tabs, no <unk>, no back-off where it is 0."""
    text = (
        "made by hand\n\n\\data\\\nngram 1=4\nngram 2=2\n\n"
        "\\1-grams:\n-99 <s> -0.5\n-1 </s>\n-0.5\ta\t-0.25\n-0.7 b\n\n"
        "\\2-grams:\n-0.1 <s> a\n-0.2 a b\n\n\\end\\\n"
    )
    model = LanguageModel.from_arpa(text, "x.arpa")
    ln10 = math.log(10)
    assert model.score(model.start, "a") == (pytest.approx(-0.1 * ln10), ("a",))
    assert model.score(("a",), "a") == (pytest.approx((-0.25 - 0.5) * ln10), ("a",))
    assert model.score(("b",), END)[0] == pytest.approx(-1 * ln10)
    assert model.score((), "zoo")[0] == pytest.approx(-0.7 * ln10), "as the rarest, b"
    assert model.score(("a",), "zoo")[0] == pytest.approx((-0.25 - 0.7) * ln10)
    assert model.words == ("a", "b")
    upper = LanguageModel.from_arpa(text.replace("\n-0.7 b", "\n-0.7 <UNK>").replace("a b\n", "a <UNK>\n"), "x.arpa")
    assert upper.score((), "zoo")[0] == pytest.approx(-0.7 * ln10)
    assert upper.words == ("a",)
    never = LanguageModel.from_arpa(text.replace("\ta\t-0.25", "\ta\t-inf"), "x.arpa")
    assert never.score(("a",), "a")[0] == pytest.approx((-100 - 0.5) * ln10), "one weight cannot end a search"


def test_only_blanks_and_tabs_part_words_in_a_file():
    odd = "à\u00a0la\u2028carte\u0085"  # no-break space, line separator, next line: letters to KenLM
    text = f"\\data\\\nngram 1=2\n\n\\1-grams:\n-1\t{odd}\t-0.5\r\n-1 <unk>\n\n\\end\\\n"
    assert LanguageModel.from_arpa(text, "x.arpa").words == (odd,)


GOOD = "\\data\\\nngram 1=2\nngram 2=1\n\n\\1-grams:\n-1\ta\t-0.5\n-1\tb\n\n\\2-grams:\n-0.3\ta b\n\n\\end\\\n"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\data\\\n", "", "no line"),
        ("\\end\\\n", "", "line 11: ends without"),
        ("ngram 1=2", "ngram 1=3", r"announces \[3, 1\] n-grams, it holds \[2, 1\]"),
        ("ngram 1=2", "ngrams: 2", "line 2: 'ngrams: 2' is not 'ngram 1=COUNT'"),
        ("ngram 2=1", "ngram 3=1", "line 3"),
        ("-1\tb\n", "minus\tb\n", "line 7: 'minus' or 'b' is not a number"),
        ("-1\tb\n", "1\tb\n", "line 7: log10 of a probability is at most 0"),
        ("-1\tb\n", "nan\tb\n", "line 7"),
        ("-1\tb\n", "-1\ta\n", "line 7: the n-gram 'a' stands there twice"),
        ("-1\ta\t-0.5\n", "-1\ta\tinf\n", "line 6: the back-off weight 'inf' is not finite"),
        ("-1\ta\t-0.5\n", "-1\tc\t-0.5\n", "line 10: the n-gram 'a b' stands there, but 'a' does not"),
        ("-1\tb\n", "-1\tc\n", "line 10: the n-gram 'a b' stands there, but 'b' does not"),
        ("-0.3\ta b\n", "-0.3\ta\n", "line 10: has 2 columns"),
        ("-0.3\ta b\n", "-0.3\ta b c d\n", "line 10: has 5 columns"),
        ("\\2-grams:", "\\3-grams:", r"line 9: '\\\\3-grams:' where \\2-grams: was expected"),
        ("ngram 2=1\n", "", r"line 8: '\\\\2-grams:' where \\end\\ was expected"),
        (GOOD, "", "not a language model"),
        (GOOD, "\\data\\\n\\end\\\n", "announces"),
    ],
)
def test_files_that_are_not_arpa(tmp_path, old, new, message):
    assert old in GOOD
    (tmp_path / "lm.arpa").write_text(GOOD.replace(old, new))
    with pytest.raises(CorpusError, match=message) as caught:
        read_arpa(tmp_path / "lm.arpa")
    assert str(tmp_path / "lm.arpa") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "lm.bin").write_bytes(b"mmap lm\xff\xfe\x00")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(GOOD.encode() * 99)[:-40])
    (tmp_path / "bad.gz").write_bytes(b"\x1f\x8bnothing of the kind")
    spoilt = bytearray(gzip.compress(os.urandom(99)))
    spoilt[12:40] = b"\xff" * 28
    (tmp_path / "spoilt.gz").write_bytes(spoilt)
    for name in ("lm.bin", "cut.gz", "bad.gz", "spoilt.gz", "missing.arpa", "."):
        with pytest.raises(CorpusError) as caught:
            read_arpa(tmp_path / name)
        assert str(tmp_path) in str(caught.value)
    for name in ("lm.bin", "cut.gz", "bad.gz", "spoilt.gz", "missing.txt"):
        with pytest.raises(CorpusError, match=name):
            read_texts(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(AudiornnError, match="may not be written"):
        build_language_model(["a"]).write(tmp_path / "lm.arpa")


def test_texts_that_make_no_model():
    with pytest.raises(CorpusError, match="no text holds a word"):
        build_language_model([])
    with pytest.raises(CorpusError, match="no text holds a word"):
        build_language_model(["", " "])
    with pytest.raises(CorpusError, match="'a <s> b'"):
        build_language_model(["a <s> b"])
    with pytest.raises(SettingsError, match="order = 0"):
        build_language_model(["a"], 0)


def test_an_order_longer_than_any_text():
    model = build_language_model(["a"], 7)
    assert model.order == 3  # <s> a </s>
    assert total(model, model.start) == pytest.approx(1)


def test_kenlm_agrees(tmp_path):
    kenlm = pytest.importorskip("kenlm", reason="kenlm is the other side here")
    sentences = ["a b c", "b c a a", "c", "a b", "b b c a", "a b c a"]
    model = build_language_model(sentences, 3)
    model.write(tmp_path / "lm.arpa")
    theirs = kenlm.Model(str(tmp_path / "lm.arpa"))
    for text in [*sentences, "a zoo b", "", "c c c c"]:
        state, ours = model.start, 0.0
        for word in [*text.split(), END]:
            score, state = model.score(state, word)
            ours += score
        assert theirs.score(text) == pytest.approx(ours / math.log(10), abs=1e-4)
