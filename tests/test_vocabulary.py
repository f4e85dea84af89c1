"""Symbols and ids: a text goes in and comes out."""

import dataclasses
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiornn.errors import CorpusError, SettingsError
from audiornn.vocabulary import BLANK, NO_LABEL, Vocabulary, VocabularySettings

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
words = st.lists(st.sampled_from(["one", "two", "three", "wörld", "né"]), max_size=6).map(" ".join)


def test_ids_are_sorted_and_the_blank_is_zero():
    vocabulary = Vocabulary.build(["two one", "three one"], unit="word")
    assert vocabulary.symbols == (BLANK, "one", "three", "two")
    assert vocabulary.encode("two two one") == [3, 3, 1]
    assert vocabulary.join([3, 0, 0, 1]) == "two one"
    assert len(vocabulary) == 4


def test_characters_include_the_space():
    vocabulary = Vocabulary.build(["no yes"], unit="character")
    assert vocabulary.symbols == (BLANK, " ", "e", "n", "o", "s", "y")
    assert vocabulary.join(vocabulary.encode("yes no")) == "yes no"


def test_labels_have_no_blank_and_are_whole_texts():
    vocabulary = Vocabulary.build(["_silence_", "turn left", "go"], unit="label")
    assert vocabulary.symbols == ("_silence_", "go", "turn left")
    assert vocabulary.encode("turn   left") == [2]


def test_the_order_of_the_texts_does_not_matter():
    several = ["b a", "c", "a d"]
    assert Vocabulary.build(several, unit="word") == Vocabulary.build(reversed(several), unit="word")


@given(texts)
def test_normalising_twice_changes_nothing(text):
    for lower_case in (False, True):
        vocabulary = Vocabulary((), "word", lower_case)
        once = vocabulary.normalise(text)
        assert vocabulary.normalise(once) == once
        assert once == " ".join(once.split())


@given(texts)
def test_a_text_comes_back_normalised(text):
    for unit in ("character", "word", "label"):
        if not text.split() or BLANK in text:
            continue
        vocabulary = Vocabulary.build([text], unit=unit)
        assert vocabulary.join(vocabulary.encode(text)) == vocabulary.normalise(text)


@given(words)
def test_composed_and_decomposed_letters_are_the_same(text):
    vocabulary = Vocabulary.build(["one two three wörld né"], unit="character")
    assert vocabulary.encode(unicodedata.normalize("NFD", text)) == vocabulary.encode(text)


def test_what_stands_for_nothing_is_no_label_that_is_known():
    with pytest.raises(CorpusError, match=r"'xylophone' is not among the 2 the model knows$"):
        Vocabulary((NO_LABEL, "do", "mi"), "label").label_id("xylophone")


def test_lower_case_is_a_choice():
    assert Vocabulary.build(["Yes NO"], unit="word", lower_case=True).encode("yes No") == [2, 1]
    with pytest.raises(CorpusError):
        Vocabulary.build(["Yes NO"], unit="word").encode("yes")
    with pytest.raises(CorpusError, match="not among the 2 the model knows; it writes 'YES'"):
        Vocabulary.build(["YES NO"], unit="word").encode("yes")


def test_an_unknown_symbol_is_named_with_the_nearest():
    vocabulary = Vocabulary.build(["seven eight"], unit="word")
    with pytest.raises(CorpusError, match=r"word 'sevn' .*did you mean 'seven'\?.*'eight sevn'"):
        vocabulary.encode("eight sevn")


def test_the_blank_is_no_symbol_of_a_text():
    vocabulary = Vocabulary.build(["one two"], unit="word")
    with pytest.raises(CorpusError):
        vocabulary.encode(f"one {BLANK}")
    with pytest.raises(CorpusError, match=BLANK):
        Vocabulary.build([f"one {BLANK}"], unit="word")


@pytest.mark.parametrize("nothing", [[], [""], ["  ", "\t\n"]])
def test_a_vocabulary_of_nothing_is_an_error(nothing):
    with pytest.raises(CorpusError, match="no transcript"):
        Vocabulary.build(nothing, unit="word")


def test_a_symbol_twice_is_an_error():
    with pytest.raises(SettingsError, match="twice"):
        Vocabulary(("a", "a"), "word")


def test_empty_texts_encode_to_nothing():
    for unit in ("character", "word", "label"):
        assert Vocabulary.build(["a"], unit=unit).encode(" ") == []


def test_it_is_frozen_and_defaults_to_characters():
    assert VocabularySettings() == VocabularySettings(unit="character", lower_case=False)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Vocabulary(("a",), "label").symbols = ()
