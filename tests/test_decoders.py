"""The model file says how it is read; the command line may say otherwise; every reader takes its decoder's symbols."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiornn.errors import CorpusError, ModelFileError, SettingsError
from audiornn.features import FeatureSettings
from audiornn.listen.decoders import (
    HOT_WORD_BOOST,
    BeamDecoder,
    Decoding,
    choose_decoding,
    decoder_maker,
    decoding_of,
    graph_of,
    read_hot_word,
)
from audiornn.listen.decoding import GreedyDecoder
from audiornn.listen.formats import to_json, to_text
from audiornn.listen.language_model import build_language_model
from audiornn.listen.recognizer import Recognizer
from audiornn.listen.search_graph import DecodingSettings
from audiornn.model_file import ModelCard
from audiornn.vocabulary import BLANK, Vocabulary
from tests.conftest import RATE, spoken
from tests.test_decoding import log_probs_of, random_log_probs

LETTERS = Vocabulary((BLANK, " ", "a", "b"), "character")
FEATURES = FeatureSettings(sample_rate=8000, n_fft=256, win_length=200, hop_length=80, n_mels=20, n_mfcc=12)
MODEL = build_language_model(["ab a", "ab ab", "a ab"], 2)
TUNED = DecodingSettings("beam", beam_size=25, lm_weight=0.8, word_bonus=1.0, words="closed")


class Says:
    """A session that says the same of everything."""

    def __init__(self, log_probs):
        self.log_probs = np.asarray(log_probs, np.float32)

    def run(self, names, inputs):
        return [self.log_probs[None]]

    def get_inputs(self):
        return []


def card_of(decoding=None, vocabulary=LETTERS, task="transcribe"):
    return ModelCard(task, FEATURES, vocabulary, decoding=decoding.to_json() if decoding else {})


def transcript(log_probs, card, decoding=None):
    recognizer = Recognizer(Says(log_probs), card)
    if decoding is not None:
        recognizer = recognizer.decode_with(decoding)
    return recognizer.transcribe_features(np.zeros((len(log_probs), FEATURES.n_features), np.float32))


# --- the model file's own choice ---


def test_a_model_file_without_a_word_on_it_is_greedy():
    assert decoding_of(card_of()) == Decoding()
    assert isinstance(decoder_maker(card_of())(), GreedyDecoder)
    assert Decoding(language_model=MODEL).to_json() == {}


def test_what_was_tuned_travels_in_the_card():
    card = card_of(Decoding(TUNED, MODEL, {"ab": 1.0}))
    again = decoding_of(ModelCard.from_json(card.to_json(), "x"))
    assert again.settings == TUNED
    assert again.language_model.to_arpa() == MODEL.to_arpa()
    assert again.hot_words == {}  # they are the user's, not the model's
    assert isinstance(decoder_maker(card)(), BeamDecoder)


@pytest.mark.parametrize(
    "entry",
    [
        {"decoder": "beam", "width": 3},
        {"decoder": "beam", "beam_size": 0},
        {"decoder": "beam", "language_model": "!!"},
        {"decoder": "beam", "language_model": "00000"},
        {"decoder": "beam", "language_model": 3},
        {"decoder": "beam", "beam_size": "wide"},
    ],
)
def test_a_damaged_decoding(entry):
    with pytest.raises(ModelFileError, match="tune it again"):
        decoding_of(dataclasses.replace(card_of(), decoding=entry))


def test_the_recogniser_reads_as_its_file_says():
    log_probs = np.log(np.array([[0.01, 0.01, 0.9, 0.08], [0.55, 0.01, 0.04, 0.40], [0.97, 0.01, 0.01, 0.01]]))
    assert transcript(log_probs, card_of()).text == "a"
    card = card_of(Decoding(dataclasses.replace(TUNED, lm_weight=1.5), MODEL))
    assert transcript(log_probs, card).text == "ab"
    assert transcript(log_probs, card, Decoding()).text == "a"


# --- the command line's ---


def test_options_change_what_they_name():
    card = card_of(Decoding(TUNED, MODEL))
    assert choose_decoding(card) == decoding_of(card) or choose_decoding(card).settings == TUNED
    assert choose_decoding(card, greedy=True) == Decoding()
    chosen = choose_decoding(card, beam=7, word_bonus=-1.0, words="open", hot_words=["ab:2", "a b"], n_best=3)
    assert chosen.settings == dataclasses.replace(TUNED, beam_size=7, word_bonus=-1.0, words="open")
    assert chosen.hot_words == {"ab": 2.0, "a b": HOT_WORD_BOOST}
    assert chosen.n_best == 3
    assert chosen.language_model.order == 2


def test_an_option_of_the_search_asks_for_one(tmp_path):
    MODEL.write(tmp_path / "lm.arpa")
    for options in (
        {"beam": 9},
        {"n_best": 2},
        {"hot_words": ["a"]},
        {"lm": tmp_path / "lm.arpa"},
        {"word_bonus": 1.0},
    ):
        assert choose_decoding(card_of(), **options).settings.decoder == "beam"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"greedy": True, "beam": 3}, "--greedy"),
        ({"lm_weight": 1.0}, "name one with --lm"),
        ({"words": "closed"}, "name one with --lm"),
        ({"beam": 0}, "beam_size"),
        ({"n_best": 0}, "--n-best"),
        ({"hot_words": ["ab:hot"]}, "WORD:BOOST"),
        ({"hot_words": [":3"]}, "WORD:BOOST"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(SettingsError, match=message):
        choose_decoding(card_of(), **options)


def test_a_classifier_decodes_nothing():
    card = ModelCard("classify", FEATURES, Vocabulary(("a", "b"), "label"))
    with pytest.raises(SettingsError, match="classify"):
        choose_decoding(card, beam=3)
    assert choose_decoding(card) == Decoding()


def test_a_missing_language_model(tmp_path):
    with pytest.raises(CorpusError, match="none"):
        choose_decoding(card_of(), lm=tmp_path / "none.arpa")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("yes", ("yes", HOT_WORD_BOOST)), ("new york:2.5", ("new york", 2.5)), ("a:b:-1", ("a:b", -1.0))],
)
def test_hot_words(text, expected):
    assert read_hot_word(text) == expected


def test_words_with_the_phones_of_the_vocabularys_lexicon():
    lexicon = {"pea": ("p",), "peck": ("p q",), "ark": ("r q",), "quip": ("q p",)}
    vocabulary = Vocabulary((BLANK, "p", "q", "r"), "phone", lexicon=lexicon)
    model = build_language_model(["pea peck", "ark pea", "zoo ark"])
    graph = graph_of(vocabulary, Decoding(DecodingSettings("beam"), model, {"quip": 1.0}))
    assert set(graph.words) == {"pea", "peck", "ark", "quip"}  # the model's that can be said, and the hot one
    assert graph_of(vocabulary, Decoding(DecodingSettings("beam"))).arcs is None
    assert set(graph_of(vocabulary, Decoding(DecodingSettings("beam", words="closed"))).words) == set(lexicon)


def test_a_word_is_read_in_each_of_its_pronunciations():
    lexicon = {"pea": ("p", "r p"), "ark": ("r q", "q")}
    card = card_of(vocabulary=Vocabulary((BLANK, "p", "q", "r"), "phone", lexicon=lexicon))
    log_probs = log_probs_of([1, 0, 3, 1, 0, 2, 0, 3, 2], p=0.95)
    closed = Decoding(DecodingSettings("beam", words="closed"))
    assert transcript(log_probs, card, closed).text == "pea pea ark ark"


# --- decoders in a recogniser ---

LEXICON = {"pea": ("p",), "peck": ("p q",), "ark": ("r q", "r r p"), "quip": ("q p",)}
PHONES = Vocabulary((BLANK, "p", "q", "r"), "phone", lower_case=True, lexicon=LEXICON)
SAID = build_language_model(["pea peck ark", "peck pea", "ark quip pea"])


@pytest.mark.parametrize(
    ("decoding", "text"),
    [
        (Decoding(), "p q r q"),
        (Decoding(DecodingSettings("beam")), "p q r q"),
        (Decoding(DecodingSettings("beam", words="closed")), "peck ark"),
        (Decoding(DecodingSettings("beam"), SAID), "peck ark"),
    ],
)
def test_phones_that_are_searched_for_words_become_words(decoding, text):
    log_probs = log_probs_of([0, 1, 0, 2, 2, 0, 0, 3, 3, 2, 0], p=0.95)
    card = card_of(vocabulary=PHONES)
    model = Recognizer(Says(log_probs), card).decode_with(decoding)
    result = transcript(
        log_probs, card, dataclasses.replace(decoding, n_best=2 if decoding.settings.decoder != "greedy" else 1)
    )
    assert result.text == text == " ".join(word.label for word in result.words)
    assert model.written.reference("Peck  ARK") == (text if "peck" in text else "p q r q")
    if "peck" in text:
        hop = card.output_seconds
        assert [(word.start, word.end) for word in result.words] == [
            (pytest.approx(0.5 * hop), pytest.approx(4.5 * hop)),
            (pytest.approx(6.5 * hop), pytest.approx(9.5 * hop)),
        ]
        assert result.alternatives[0].text == text
        assert result.alternatives[0].words == result.words
        assert set(result.alternatives[1].text.split()) <= set(PHONES.lexicon)


@pytest.mark.parametrize(
    ("vocabulary", "decoding"),
    [
        (LETTERS, Decoding(TUNED, MODEL)),
        (LETTERS, Decoding(TUNED, MODEL, n_best=4)),
        (PHONES, Decoding(TUNED, SAID)),
        (PHONES, Decoding(dataclasses.replace(TUNED, horizon_frames=40), SAID, n_best=4)),
    ],
)
@settings(max_examples=10)
@given(seed=st.integers(0, 999), cuts=st.lists(st.integers(0, 200), max_size=5))
def test_a_decoder_in_pieces(vocabulary, decoding, seed, cuts):
    make = decoder_maker(card_of(vocabulary=vocabulary), decoding)
    log_probs = random_log_probs(200, 4, seed)
    whole, pieces = make(), make()
    expected = whole.push(log_probs) + whole.finish()
    found, settled = [], [0]
    for a, b in itertools.pairwise([0, *sorted(cuts), 200]):
        symbols = pieces.push(log_probs[a:b])
        assert all(symbol.first >= settled[-1] for symbol in symbols)
        found += symbols
        settled.append(pieces.settled)
    assert found + pieces.finish() == expected
    assert settled == sorted(settled)


def test_an_n_best_list_is_of_the_whole_recording():
    log_probs = np.concatenate([log_probs_of([2, 0, 1, 0, 3, 0, 1, 0] * 200, p=0.999), random_log_probs(6, 4, 3)])
    card = card_of()
    result = transcript(log_probs, card, Decoding(DecodingSettings("beam"), n_best=3))
    assert len(result.alternatives) == 3
    assert result.alternatives[0].text == result.text
    assert result.alternatives[0].words == result.words
    assert all(other.text.startswith("a b a b a b") for other in result.alternatives)
    assert len({other.text for other in result.alternatives}) == 3
    assert to_text(result).split("\n")[0] == f"{result.alternatives[0].score:.2f}\t{result.text}"
    entry = to_json(result, audio="x", task="transcribe")
    assert [other["text"] for other in json.loads(json.dumps(entry))["alternatives"]] == [
        other.text for other in result.alternatives
    ]
    assert "alternatives" not in to_json(transcript(log_probs, card), audio="x", task="transcribe")


def test_a_stream_reads_as_the_whole(recognizer):
    """A trained network, whose words are symbols."""
    model = recognizer("transcribe")
    arpa = build_language_model(["do mi sol", "mi mi", "sol do mi do"])
    decoded = model.decode_with(Decoding(DecodingSettings("beam", lm_weight=0.3), arpa))
    assert decoded.card is model.card
    samples = spoken(["do", "mi", "sol", "do", "mi", "do"], speaker="fay")
    whole = decoded.transcribe(samples, RATE, look_ahead=0.3).words
    assert [word.label for word in whole] == ["do", "mi", "sol", "do", "mi", "do"]
    stream = decoded.stream(RATE, look_ahead=0.3)
    words = [word for piece in np.array_split(samples, 7) for word in stream.push(piece)]
    assert (*words, *stream.finish()) == whole


def test_a_language_model_in_another_case_is_refused_and_the_case_named(tmp_path):
    upper = Vocabulary((BLANK, " ", "A", "B"), "character")
    MODEL.write(tmp_path / "lm.arpa")
    build_language_model(["'m a b"]).write(tmp_path / "marks.arpa")  # the first word, too, must not tell of all
    with pytest.raises(SettingsError, match=r"none of its 3 words \(\"'m\" …\); the model writes 'A'"):
        choose_decoding(card_of(vocabulary=upper), lm=tmp_path / "marks.arpa")
    with pytest.raises(SettingsError, match=r"can spell none of its 2 words \('a' …\); the model writes 'A'"):
        choose_decoding(card_of(vocabulary=upper), lm=tmp_path / "lm.arpa")
    assert choose_decoding(card_of(), lm=tmp_path / "lm.arpa").language_model is not None
