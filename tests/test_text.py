"""Text rules: case, marks and Unicode, by language and by category, never by an English list."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiornn.text import CHANGES, apply_rules, lower, plain_words, removed_marks, text_changes, word_places

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
rules = st.fixed_dictionaries(
    {
        "lower_case": st.booleans(),
        "punctuation": st.sampled_from(["keep", "remove"]),
        "language": st.sampled_from(["", "tr", "de", "az-Latn"]),
    }
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Well, well — “yes”!", "Well well yes"),
        ("it's rock 'n' roll, y'all.", "it's rock n roll y'all"),
        ("l’homme et l'an", "l'homme et l'an"),  # one apostrophe, however it was typed
        ("so-so – e-mail -", "so-so e-mail"),
        ("3.5 and 10:30, 1,000.", "3.5 and 10:30 1,000"),  # numbers as they stand
        ("50% AT&T @home #1", "50% AT&T @home #1"),  # marks that are read aloud
        ("¿Qué? ¡Sí!", "Qué Sí"),
        ("col·lecció", "col·lecció"),
        ("「はい」、いいえ。", "はい いいえ"),
        ("नमस्ते। दुनिया", "नमस्ते दुनिया"),
        ("مرحبا، كيف؟", "مرحبا كيف"),
        ("צה״ל ג׳ירפה", "צה״ל ג׳ירפה"),
        ("no,yes.no", "no yes no"),
        ("...", ""),
    ],
)
def test_punctuation_goes_where_it_is_not_part_of_a_word_or_number(text, expected):
    assert apply_rules(text, punctuation="remove") == expected


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("IŞIK İzmir", "tr", "ışık izmir"),
        ("IŞIK İzmir", "tr-TR", "ışık izmir"),
        ("ISIK", "", "isik"),
        ("STRASSE Straße", "de", "strasse straße"),
        ("ΟΔΟΣ", "el", "οδος"[:-1] + "ς"),
        ("ÉCOLE", "fr", "école"),
    ],
)
def test_lower_case_follows_the_language(text, language, expected):
    assert lower(text, language) == expected


def test_what_nobody_sees_goes_and_what_spells_a_word_stays():
    assert apply_rules("\ufeffso\u00adft \u200ertl\u200f") == "soft rtl"
    assert apply_rules("می\u200cخواهم") == "می\u200cخواهم"


@given(texts, rules)
def test_once_is_enough(text, rule):
    once = apply_rules(text, **rule)
    assert apply_rules(once, **rule) == once
    assert unicodedata.is_normalized("NFC", once)
    assert once == " ".join(once.split())


@given(texts, rules)
def test_what_changed_is_counted(text, rule):
    changes = text_changes(text, **rule)
    assert changes <= set(CHANGES)
    assert bool(changes) == (apply_rules(text, **rule) != text)


@given(texts)
def test_letters_and_digits_are_never_removed(text):
    kept = apply_rules(text, punctuation="remove")
    composed = unicodedata.normalize("NFC", text)
    for wanted in "LN":
        assert [c for c in kept if unicodedata.category(c)[0] == wanted] == [
            c for c in composed if unicodedata.category(c)[0] == wanted
        ]


def test_removed_marks_are_named():
    assert removed_marks("it's, 3.5!") == [",", "!"]
    assert text_changes("Yes,  no", lower_case=True, punctuation="remove") == {"case", "punctuation", "spaces"}
    assert text_changes("cafe\u0301") == {"unicode"}


def test_words_are_compared_with_their_marks_however_these_are_written():
    assert word_places("नमस्ते", "नमस") == []
    assert word_places("नमस्ते_दुनिया", "दुनिया") == [1]
    assert word_places("café bar", unicodedata.normalize("NFD", "Café")) == [0]
    assert plain_words("İzmir-می\u200cخواهم") == "i\u0307zmir می\u200cخواهم"
