"""Tuning finds what dev wants, keeps it in the model file, and the model file then listens so."""

import dataclasses
import gzip
import json
import os
import shutil

import numpy as np
import pytest

from audiornn.cli import main
from audiornn.errors import CorpusError, ModelFileError, SettingsError
from audiornn.evaluate.chosen import write_card
from audiornn.evaluate.tuning import Spoken, hear, tune
from audiornn.listen.decoders import Decoding, decoding_of
from audiornn.listen.language_model import build_language_model, read_arpa
from audiornn.listen.recognizer import load_model
from audiornn.listen.search_graph import DecodingSettings
from tests.test_decoders import LETTERS, MODEL, PHONES, SAID, card_of
from tests.test_decoding import log_probs_of


def doubtful(text, letter, other):
    """A network that reads `text` but takes every other `letter` for the other one."""
    path = [p for symbol in text for p in (LETTERS.symbols.index(symbol), 0)]
    log_probs = log_probs_of(path, p=0.98)
    wrong, right = LETTERS.symbols.index(other), LETTERS.symbols.index(letter)
    for t in [t for t, symbol in enumerate(path) if symbol == right][1::2]:
        log_probs[t] = np.log([0.02, 0.02, 0.02, 0.02])
        log_probs[t, wrong], log_probs[t, right] = np.log(0.55), np.log(0.39)
    return Spoken(log_probs, tuple(text.split()))


@pytest.fixture(scope="module")
def tuning():
    spoken = [doubtful(text, "b", "a") for text in ("ab ab a", "a ab ab", "ab a ab ab")]
    return tune(card_of(), spoken, Decoding(language_model=MODEL))


def test_the_first_trial_is_greedy_and_the_chosen_one_errs_least(tuning):
    assert tuning.trials[0].settings.decoder == "greedy"
    assert tuning.trials[0].errors > 0
    assert tuning.chosen.errors == min(trial.errors for trial in tuning.trials) == 0
    assert tuning.decoding.settings == tuning.chosen.settings
    assert tuning.decoding.language_model is MODEL
    assert len({trial.settings for trial in tuning.trials}) == len(tuning.trials)


def test_the_table(tuning):
    lines = tuning.to_text().split("\n")
    assert len(lines) == 1 + len(tuning.trials)
    assert [line.endswith("← chosen") for line in lines].count(True) == 1
    entry = json.loads(json.dumps(tuning.to_json()))
    assert entry["chosen"]["errors"] == 0
    assert len(entry["trials"]) == len(tuning.trials)


def test_nothing_won_is_greedy():
    spoken = [Spoken(log_probs_of([2, 3, 1, 2], p=0.99), ("ab", "a"))]
    tuning = tune(card_of(), spoken, Decoding(language_model=MODEL))
    assert tuning.chosen.settings.decoder == "greedy"
    assert tuning.decoding.to_json() == {}


def test_phones_are_tuned_by_the_words_that_they_make():
    """Greedily read phones are no words, so that there is nothing to compare with."""
    log_probs = log_probs_of([0, 1, 0, 2, 2, 0, 0, 3, 3, 2, 0], p=0.95)
    spoken = [Spoken(log_probs, ("peck", "ark")), Spoken(log_probs[:6], ("pea",))]
    tuning = tune(card_of(vocabulary=PHONES), spoken, Decoding(language_model=SAID))
    assert {trial.settings.decoder for trial in tuning.trials} == {"beam"}
    assert {trial.reference_length for trial in tuning.trials} == {3}
    assert tuning.chosen.errors == 1


def test_what_cannot_be_tuned(recognizer):
    with pytest.raises(CorpusError, match="no words"):
        tune(card_of(), [], Decoding(language_model=MODEL))
    with pytest.raises(SettingsError, match="--lm"):
        tune(card_of(), [Spoken(log_probs_of([2]), ("a",))], Decoding())
    with pytest.raises(ModelFileError, match="classify"):
        hear(recognizer("classify"), [])


def test_a_model_file_gets_another_card(model_file, tmp_path):
    pytest.importorskip("onnx")
    path = tmp_path / "model.onnx"
    shutil.copy(model_file("transcribe"), path)
    before = load_model(path)
    decoding = Decoding(DecodingSettings("beam", lm_weight=0.7), build_language_model(["do mi", "sol"]))
    write_card(path, dataclasses.replace(before.card, decoding=decoding.to_json()))
    after = load_model(path)
    assert decoding_of(after.card).settings == decoding.settings
    assert dataclasses.replace(after.card, decoding={}) == before.card
    features = np.zeros((40, before.card.features.n_features), np.float32)
    assert np.array_equal(before.log_probs(features), after.log_probs(features))
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


# --- the command line ---


@pytest.fixture
def own_model(model_file, tmp_path):
    pytest.importorskip("onnx")
    shutil.copy(model_file("transcribe"), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_a_card_leaves_the_time_of_training(own_model):
    os.utime(own_model, (1e9, 1e9))
    write_card(own_model, load_model(own_model).card)
    assert own_model.stat().st_mtime == 1e9


def test_tune_then_listen(own_model, world, capsys):
    places = ["--data", str(world.data), "--runs", str(world.runs)]
    assert main(["evaluate", str(own_model), "--tune", "--format", "json", *places]) == 0
    entry = json.loads(capsys.readouterr().out)
    assert entry["split"] == "dev"
    assert entry["chosen"]["errors"] <= entry["trials"][0]["errors"]
    assert main(["info", str(own_model)]) == 0
    assert f"({entry['chosen']['errors']} of {entry['chosen']['reference_length']})" in next(
        line for line in capsys.readouterr().out.splitlines() if line.startswith("result on dev, words, as tuned")
    )
    assert main(["evaluate", str(own_model), "--split", "dev", "--format", "json", *places]) == 0
    assert json.loads(capsys.readouterr().out)["errors"] == entry["chosen"]["errors"]


def test_listening_with_options(own_model, world, capsys, tmp_path):
    arguments = ["transcribe", str(world.recording()), "--model", str(own_model)]
    assert main(["lm", "tones_transcribe", "--data", str(world.data), "--output", str(tmp_path / "x.arpa")]) == 0
    assert "dev transcripts of tones_transcribe: perplexity" in capsys.readouterr().out
    assert main([*arguments, "--lm", str(tmp_path / "x.arpa"), "--lm-weight", "0.1", "--n-best", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert 1 <= len(lines) <= 2
    assert main([*arguments, "--greedy"]) == 0
    greedy = capsys.readouterr().out.strip()
    assert lines[0].split("\t")[1] == greedy
    assert main([*arguments, "--hot-word", "do", "--hot-word", "mi:1", "--beam", "5"]) == 0
    assert main([*arguments, "--greedy", "--beam", "5"]) == 2
    assert main([*arguments, "--hot-word", "fa"]) == 2
    assert "'fa' is not among" in capsys.readouterr().err


def test_words_that_cannot_be_spelled_are_told(own_model, world, prepared, capsys, tmp_path):
    prepared("transcribe")
    (tmp_path / "x.txt").write_text("do mi\nsol fa\nxyz do\n", encoding="utf-8")
    said = "x.arpa: 2 of 5 words will never be read, for the recipe's words cannot spell them: fa, xyz\n"
    assert main(["lm", str(tmp_path / "x.txt"), "--recipe", "tones_transcribe", "--data", str(world.data)]) == 0
    assert capsys.readouterr().err.endswith(said)
    assert (
        main(["transcribe", str(world.recording()), "--model", str(own_model), "--lm", str(tmp_path / "x.arpa")]) == 0
    )
    assert capsys.readouterr().err.endswith(said)


def test_lm_of_texts(tmp_path, capsys, world, prepared):
    prepared("transcribe")
    (tmp_path / "more.txt").write_text("do do mi\n\nsol\n", encoding="utf-8")
    data = ["--data", str(world.data)]
    assert main(["lm", str(tmp_path / "more.txt"), "--order", "2", "--format", "json"]) == 0
    entry = json.loads(capsys.readouterr().out)
    assert (entry["sentences"], entry["words"], len(entry["ngrams"])) == (2, 4, 2)
    assert "dev" not in entry
    assert read_arpa(tmp_path / "more.arpa").words == ("do", "mi", "sol")
    (tmp_path / "packed.txt.gz").write_bytes(gzip.compress((tmp_path / "more.txt").read_bytes()))
    assert main(["lm", str(tmp_path / "packed.txt.gz"), "--order", "2"]) == 0
    capsys.readouterr()
    assert (tmp_path / "packed.arpa").read_text() == (tmp_path / "more.arpa").read_text()
    both = ["lm", "tones_transcribe", str(tmp_path / "more.txt"), "--output", str(tmp_path / "both.arpa.gz"), *data]
    assert main([*both, "--format", "json"]) == 0
    entry = json.loads(capsys.readouterr().out)
    assert entry["dev"]["unknown"] == 0
    assert entry["sentences"] > 40
    rules = ["lm", str(tmp_path / "more.txt"), "--recipe", "tones_transcribe", *data]
    assert main([*rules, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["dev"]["perplexity"] > 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["one.txt", "two.txt"], "one.txt: no such text file"),
        (["nothing_prepared"], "nothing_prepared"),
        (["more.arpa"], "would write over"),
        (["empty.txt"], "no text holds a word"),
    ],
)
def test_lm_of_nothing(tmp_path, capsys, arguments, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "more.arpa").write_text("a b\n")
    (tmp_path / "empty.txt").write_text("\n")
    assert main(["lm", *arguments]) == 2
    assert message in capsys.readouterr().err
