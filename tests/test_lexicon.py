"""Pronunciations: read from the files people have, and used as the units of a vocabulary."""

import dataclasses
import json

import pytest

from audiornn.corpus.preparation import _lexicon, open_prepared, prepare_corpus
from audiornn.errors import CorpusError, SettingsError
from audiornn.lexicon import read_lexicon
from audiornn.recipe import load_recipe
from audiornn.vocabulary import BLANK, Vocabulary, VocabularySettings

LEXICON = {"do": ("D OW",), "mi": ("M IY",), "sol": ("S OW L",)}


def test_sphinx_kaldi_and_cmudict(tmp_path):
    file = tmp_path / "a.dic"
    lines = "A                    AH\nA(2)\tEY\nAND  AE1 N D\r\nSO 0.7 S OW\nSO 0.2 S AO\nSO 0.1 S OW\n"
    file.write_text(f";;; a comment\n# another\n\n{lines}")
    assert read_lexicon(file) == {"A": ("AH", "EY"), "AND": ("AE1 N D",), "SO": ("S OW", "S AO")}


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"a AH\nlonely\n", "line 2: 'lonely' has no phones"), (b"", "no word"), (b"caf\xe9 K AE\n", "UTF-8")],
)
def test_what_is_no_lexicon(tmp_path, content, said):
    (tmp_path / "a.dic").write_bytes(content)
    with pytest.raises(CorpusError, match=said):
        read_lexicon(tmp_path / "a.dic")
    with pytest.raises(CorpusError, match="cannot be read"):
        read_lexicon(tmp_path / "b.dic")


def test_phones_are_the_symbols():
    vocabulary = Vocabulary.build(["do mi", "sol"], unit="phone", lexicon=LEXICON)
    assert vocabulary.symbols == (BLANK, "D", "IY", "L", "M", "OW", "S")
    assert vocabulary.join(vocabulary.encode("sol do")) == vocabulary.reference("sol do") == "S OW L D OW"
    with pytest.raises(CorpusError, match=r"'soll' is not in the lexicon; did you mean 'sol'\?"):
        vocabulary.encode("soll")


def test_several_pronunciations_are_one_word():
    lexicon = {"a": ("AH", "EY"), "an": ("AE N", "AH N"), "sol": ("S OW L", "S AA L")}
    vocabulary = Vocabulary.build(["a an sol", "ey"], unit="phone", lexicon={**lexicon, "ey": ("EY",)})
    said = [vocabulary.join(ids) for ids in vocabulary.spellings("a an")]
    assert said == ["AH AE N", "AH AH N", "EY AE N", "EY AH N"]
    assert vocabulary.spellings("sol") == [vocabulary.encode("sol")]  # no text has AA, so no network hears it
    assert len(vocabulary.spellings("a " * 20)) == 64
    with pytest.raises(CorpusError, match="'soll' is not in the lexicon"):
        vocabulary.spellings("a soll")
    entry = json.loads(json.dumps(dataclasses.asdict(vocabulary)))
    assert Vocabulary.from_json(entry) == vocabulary
    with pytest.raises(TypeError, match="no list of pronunciations of 'a'"):
        Vocabulary.from_json({**entry, "lexicon": {"a": "AH"}})


def test_phones_and_a_lexicon_go_together():
    for settings in ({"unit": "phone"}, {"lexicon": "a.dic"}):
        with pytest.raises(SettingsError, match="go together"):
            VocabularySettings(**settings)


@pytest.mark.parametrize("place", ["recipe", "corpus"])
def test_a_corpus_in_phones_is_learnt_and_scored_in_phones(world, tmp_path, place):
    pytest.importorskip("torch", reason="training needs torch")
    from audiornn.evaluate.report import evaluate
    from audiornn.listen.decoders import Decoding
    from audiornn.listen.recognizer import load_model
    from audiornn.listen.search_graph import DecodingSettings
    from audiornn.train.loop import train

    copy = world.copy_to(tmp_path / "world")
    folder = copy.corpus if place == "corpus" else copy.recipe("transcribe")
    lines = [f"{word.upper()}. {phones}\n" for word, (phones,) in LEXICON.items()]
    (folder / "tones.dic").write_text("".join(lines))
    changes = [
        "vocabulary.punctuation=remove",
        "vocabulary.unit=phone",
        "vocabulary.lexicon=tones.dic",
        "vocabulary.lower_case=true",
    ]
    recipe = load_recipe(copy.recipe("transcribe"), [*changes, "training.epochs=1"])
    prepared = prepare_corpus(recipe, copy.corpus, tmp_path / "data")
    assert open_prepared(prepared.folder).vocabulary.lexicon == LEXICON
    model = train(prepared, recipe, tmp_path / "run", report=lambda line: None, show_progress=False)
    report = evaluate(load_model(model), prepared.utterances("test"), "test")
    said = sum(len(LEXICON[word][0].split()) for u in prepared.utterances("test") for word in u.text.split())
    assert (report.unit, report.reference_length) == ("phones", said)
    assert "phone error rate" in report.to_text()
    in_words = load_model(model).decode_with(Decoding(DecodingSettings("beam", words="closed")))
    report = evaluate(in_words, prepared.utterances("test"), "test")
    said = sum(len(u.text.split()) for u in prepared.utterances("test"))
    assert (report.unit, report.reference_length) == ("words", said)
    assert report.characters is not None


def test_a_lexicon_that_is_not_there(world, tmp_path):
    recipe = load_recipe(world.recipe("transcribe"), ["vocabulary.unit=phone", "vocabulary.lexicon=none.dic"])
    with pytest.raises(CorpusError, match=r"'none\.dic' is no file of the recipe's folder, nor of"):
        prepare_corpus(recipe, world.corpus, tmp_path / "data")


def test_of_two_words_that_are_one_without_marks_the_one_that_loses_none_is_meant(world, tmp_path):
    copy = world.copy_to(tmp_path / "world")
    lines = ["'CAUSE K AH Z", "CAUSE K AO Z", "'EM AH M", "EM EH M", "... SIL"]
    (copy.corpus / "cmu.dic").write_text("\n".join(lines))
    settings = ["unit=phone", "lexicon=cmu.dic", "lower_case=true", "punctuation=remove"]
    recipe = load_recipe(copy.recipe("transcribe"), [f"vocabulary.{setting}" for setting in settings])
    assert _lexicon(recipe, copy.corpus) == {"cause": ("K AO Z",), "em": ("EH M",)}
