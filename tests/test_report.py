"""Evaluation: what the model hears is counted, and the report says so in text and in JSON alike."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest
import soundfile

from audiornn.corpus.manifest import Segment, Utterance
from audiornn.errors import AudioError, CorpusError
from audiornn.evaluate.error_rates import wilson_interval
from audiornn.evaluate.report import Report, evaluate
from audiornn.features import FeatureSettings
from audiornn.listen.recognizer import Recognizer
from audiornn.model_file import ModelCard
from audiornn.vocabulary import BLANK, Vocabulary
from tests.conftest import RATE, TASKS

pytest.importorskip("jiwer", reason="the alignment is jiwer's")
SETTINGS = FeatureSettings(sample_rate=8000, n_fft=256, win_length=200, hop_length=80, n_mels=20, n_mfcc=12)


class Ear(Recognizer):
    """A recogniser that takes what it hears from a list of outputs, by the recording's length in frames."""

    def __init__(self, task, symbols, outputs, *, unit="word", lower_case=False):
        card = ModelCard(task, SETTINGS, Vocabulary(tuple(symbols), unit, lower_case), recipe="mine")
        super().__init__(None, card)
        self.outputs = outputs
        self._hearing.log_probs = self.log_probs

    def log_probs(self, features):
        path = self.outputs[len(features)]
        rows = np.full((len(path), len(self.card.vocabulary)), 1e-3)
        rows[np.arange(len(path)), path] = 1.0
        log_probs = np.log(rows / rows.sum(axis=1, keepdims=True))
        return log_probs[0] if self.card.task == "classify" else log_probs


@pytest.fixture
def said(tmp_path):
    """Makes utterances of so many frames each, with their references."""

    def make(*references, speakers=None, segments=None):
        made = []
        for i, text in enumerate(references):
            audio = tmp_path / f"{i}.wav"
            soundfile.write(audio, np.zeros(80 * (9 + i)), RATE)
            speaker = None if speakers is None else speakers[i]
            made.append(Utterance(str(i), audio, text, speaker, segments=() if segments is None else segments[i]))
        return made

    return make


def words(*heard):
    """An ear that hears these strings of one, two, three in recordings of 10, 11, … frames."""
    ids = {"one": 1, "two": 2, "three": 3}
    outputs = {10 + i: [s for word in text.split() for s in (ids[word], 0)] or [0] for i, text in enumerate(heard)}
    return Ear("transcribe", [BLANK, "one", "two", "three"], outputs)


def labels(*heard):
    names = ["no", "yes"]
    return Ear("classify", names, {10 + i: [names.index(name)] for i, name in enumerate(heard)}, unit="label")


# --- counting ---


def test_words_and_characters_are_counted(said):
    report = evaluate(words("one two", "three", ""), said("one two", "one", "two"), "test")
    assert (report.task, report.split, report.unit, report.utterances) == ("transcribe", "test", "words", 3)
    assert (report.errors, report.reference_length, report.error_rate) == (2, 4, 0.5)
    assert report.accuracy is None
    assert report.characters.reference_length == len("one two") + len("one") + len("two")
    assert report.characters.errors == 4 + 3  # one → three takes four letters
    assert 0 <= report.interval[0] <= 0.5 <= report.interval[1] <= 1
    assert set(report.confusions) == {("one", "three", 1), ("two", "", 1)}


def test_labels_are_right_or_wrong(said):
    report = evaluate(labels("no", "yes", "yes"), said("no", "no", "yes"), "dev")
    assert (report.errors, report.reference_length, report.unit) == (1, 3, "recordings")
    assert report.accuracy == pytest.approx(2 / 3)
    assert report.interval == wilson_interval(1, 3)
    assert report.characters is None
    assert report.confusions == (("no", "yes", 1),)
    assert [(row.label, row.recordings, row.right, row.heard) for row in report.classes] == [
        ("no", 2, 1, 1),
        ("yes", 1, 1, 2),
    ]
    assert [(row.recall, row.precision) for row in report.classes] == [(0.5, 1.0), (1.0, 0.5)]
    never = evaluate(labels("yes"), said("no"), "dev")
    assert [(row.label, row.recall, row.precision) for row in never.classes] == [("no", 0.0, None), ("yes", None, 0.0)]
    assert re.search(r"^yes +0 +0 +– +0\.00 %$", never.to_text(), re.MULTILINE)


def test_frames_are_counted(said):
    ear = Ear("label", ["_none_", "do"], {10: [0, 0, 0, 1, 1, 1, 0, 0, 0, 0]}, unit="label")
    right = [(Segment(0.025, 0.055, "do"),)]
    report = evaluate(ear, said("", segments=right), "test")
    assert (report.unit, report.errors, report.reference_length, report.accuracy) == ("frames", 0, 10, 1.0)
    late = [(Segment(0.035, 0.055, "do"),)]
    report = evaluate(ear, said("", segments=late), "test")
    assert (report.errors, report.confusions) == (1, (("_none_", "do", 1),))


def test_where_labels_overlap_by_a_slip_the_later_counts_as_in_training(said):
    ear = Ear("label", ["_none_", "do", "mi"], {10: [0, 1, 1, 1, 2, 2, 2, 0, 0, 0]}, unit="label")
    slip = [(Segment(0.005, 0.065, "do"), Segment(0.035, 0.065, "mi"))]
    assert evaluate(ear, said("", segments=slip), "test").errors == 0


@pytest.mark.parametrize("spelling", ["DO", " do ", "Do"])
def test_references_of_segments_are_normalised_as_in_training(said, spelling):
    ear = Ear("label", ["_none_", "do"], {10: [0, 0, 0, 1, 1, 1, 0, 0, 0, 0]}, unit="label", lower_case=True)
    segments = [(Segment(0.025, 0.055, spelling),)]
    assert evaluate(ear, said("", segments=segments), "test").errors == 0


def test_references_are_normalised_as_in_training(said):
    ear = Ear("transcribe", [BLANK, "né"], {10: [1]}, lower_case=True)
    assert evaluate(ear, said("  Ne\u0301 "), "test").errors == 0


def test_words_unknown_to_a_transcriber_cost_what_they_cost(said):
    report = evaluate(words("one", "one one"), said("seventeen", "Two seventeen"), "test")
    assert report.errors == 3
    assert report.unwritable == (("seventeen", 2), ("Two", 1))
    assert (
        "3 of the 3 words are errors whatever is heard: the model cannot write 'seventeen', 'Two'" in report.to_text()
    )
    letters = Ear("transcribe", [BLANK, " ", "o", "n"], {10: [2, 3]}, unit="character")
    assert evaluate(letters, said("no one on"), "test").unwritable == (("one", 1),)
    assert "whatever" not in evaluate(words("one"), said("two"), "test").to_text()


def test_each_recording_has_a_row_from_which_the_rate_can_be_counted_again(said):
    report = evaluate(words("one two", "three"), said("one", "one two", speakers=["ada", None]), "test")
    first, second = report.recordings
    assert (first.id, first.speaker, first.reference, first.heard) == ("0", "ada", "one", "one two")
    assert (second.substitutions, second.deletions, second.insertions, second.reference_length) == (1, 1, 0, 2)
    assert sum(r.substitutions + r.deletions + r.insertions for r in report.recordings) == report.errors
    assert "recordings" not in report.to_json()
    (row,) = evaluate(labels("no"), said("yes"), "test").recordings
    assert (row.reference, row.heard, row.substitutions, row.reference_length) == ("yes", "no", 1, 1)
    ear = Ear("label", ["_none_", "do"], {10: [0, 0, 0, 1, 1, 1, 0, 0, 0, 0]}, unit="label")
    (row,) = evaluate(ear, said("", segments=[(Segment(0.035, 0.055, "do"),)]), "test").recordings
    assert (row.reference, row.heard, row.substitutions, row.reference_length) == (None, None, 1, 10)


def test_silence_heard_as_words_costs(said):
    report = evaluate(words("one two", "one"), said("", "one"), "test")
    assert (report.errors, report.reference_length) == (2, 1)
    assert report.error_rate == 2.0


@pytest.mark.parametrize("heard", ["", "one two"])
def test_no_reference_at_all_is_still_valid_json(said, heard):
    report = evaluate(words(heard, "one", heard), said("", "one", "", speakers=["ada", "steinfeld", "ada"]), "test")
    assert "steinfeld" in report.to_text()
    assert {row.speaker: row.error_rate for row in report.speakers}["ada"] == (math.inf if heard else 0.0)
    assert re.search(r"^ada +2 +4 of 0 +–$" if heard else r"^ada +2 +0 of 0 +0.00 %$", report.to_text(), re.MULTILINE)
    report_of_nothing = evaluate(words(heard), said(""), "test")

    def none_of_that(name):
        raise AssertionError(f"{name} is not JSON")

    for told in (report, report_of_nothing):
        json.loads(json.dumps(told.to_json()), parse_constant=none_of_that)
        assert " inf " not in told.to_text() + told.headline


def test_speakers_have_a_row_each_the_worst_first(said):
    assert evaluate(words("one"), said("one"), "test").speakers == ()
    speakers = ["ada", "bob", "ada", None]
    report = evaluate(words("one", "two", "one", "two"), said("one", "one", "one", "two", speakers=speakers), "test")
    assert [(row.speaker, row.utterances, row.errors) for row in report.speakers] == [("bob", 1, 1), ("ada", 2, 0)]


def test_the_text_tells_every_speaker_there_is(said):
    speakers = [f"speaker{i:02d}" for i in range(30)]
    report = evaluate(words(*["one"] * 30), said(*["one"] * 30, speakers=speakers), "test")
    assert len(report.speakers) == len(report.to_json()["speakers"]) == 30
    assert "10 more" in report.to_text()


# --- what cannot be counted ---


def test_nothing_to_listen_to():
    with pytest.raises(CorpusError, match="dev: holds no utterances"):
        evaluate(words(), [], "dev")


def test_a_label_the_model_cannot_give(said):
    with pytest.raises(CorpusError, match=r"1: .*'maybe'"):
        evaluate(labels("no", "no"), said("no", "maybe"), "test")


def test_an_utterance_without_its_label(said):
    """It could only be counted as wrong, and the model may be right."""
    with pytest.raises(CorpusError, match="1: "):
        evaluate(labels("no", "no"), said("no", ""), "test")


def test_an_unreadable_recording_stops_it_or_is_counted(said):
    utterances = said("one", "two", "three")
    utterances[1].audio.write_text("no audio")
    ear = words("one", "two", "three")
    with pytest.raises(AudioError, match=r"1\.wav"):
        evaluate(ear, utterances, "test")
    report = evaluate(ear, utterances, "test", skip_bad=True)
    assert (report.utterances, report.errors, len(report.unreadable)) == (2, 0, 1)
    assert str(utterances[1].audio) in report.unreadable[0]
    assert list(report.to_json()["unreadable"]) == list(report.unreadable)


def test_all_unreadable_is_an_error(said):
    utterances = said("one")
    utterances[0].audio.unlink()
    with pytest.raises(CorpusError, match="none of its 1"):
        evaluate(words("one"), utterances, "test", skip_bad=True)


def test_progress_counts_every_utterance(said):
    seen = []
    evaluate(words("one", "two"), said("one", "two"), "test", progress=lambda *counts: seen.append(counts))
    assert sorted(seen) == [(1, 2), (2, 2)]


# --- how it is told ---


@pytest.mark.parametrize("task", TASKS)
def test_trained_models_are_evaluated(recognizer, prepared, task):
    report = evaluate(recognizer(task), prepared(task).utterances("test"), "test")
    assert report.utterances == 6
    assert report.error_rate <= 0.15
    assert (report.accuracy is None) == (task == "transcribe")
    assert [row.speaker for row in report.speakers] == ["fay"]
    assert report == evaluate(recognizer(task), prepared(task).utterances("test"), "test")


def test_stretches_of_recordings_are_evaluated(recognizer, prepared):
    ready = prepared("classify")
    utterance = ready.utterances("test")[0]
    part = dataclasses.replace(utterance, start=0.04, duration=0.2)
    assert evaluate(recognizer("classify"), [part], "test").utterances == 1
    with pytest.raises(AudioError, match="manifest"):
        evaluate(recognizer("classify"), [dataclasses.replace(utterance, duration=60.0)], "test")


def test_json_has_the_keys_that_were_promised(said):
    entry = evaluate(labels("no", "yes"), said("no", "no"), "test").to_json()
    assert {"task", "split", "utterances", "errors", "reference_length", "error_rate", "interval", "accuracy"} <= set(
        entry
    )
    entry = json.loads(json.dumps(evaluate(words("one"), said("two"), "test").to_json()))
    assert "accuracy" not in entry
    assert entry["characters"]["errors"] >= 1
    assert len(entry["interval"]) == 2


@pytest.mark.parametrize("kind", ["transcribe", "classify"])
def test_every_number_of_the_text_is_in_the_json(said, kind):
    speakers = ["ada", "bob", "ada"]
    if kind == "transcribe":
        report = evaluate(words("one two", "three", "one"), said("one two", "one", "two", speakers=speakers), "test")
    else:
        report = evaluate(labels("no", "yes", "no"), said("no", "no", "yes", speakers=speakers), "test")
    held = set()
    for number in _numbers(report.to_json()):
        held |= {f"{number:g}", f"{number:.2f}", f"{number:.3f}", f"{100 * number:.2f}", f"{100 - 100 * number:.2f}"}
    length, errors = report.reference_length, report.errors
    # What is right follows from what is wrong; the level is the convention, and the last range ends at 1.
    held |= {f"{length - errors}", "95", "1.00"}
    shown = report.to_text().replace("–", " ").replace("%", " ").replace("(", " ").replace(")", " ").replace(";", " ")
    for word in shown.split():
        if word[0].isdigit():
            assert word in held, word


def _numbers(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [number for inner in value for number in _numbers(inner)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def test_accuracy_and_its_interval_are_told_the_right_way_round(said):
    report = evaluate(labels("no", "no", "no"), said("no", "no", "no"), "test")
    low, high = wilson_interval(0, 3)
    assert f"{100 - 100 * high:.2f}–{100 - 100 * low:.2f}" in report.to_text()
    assert "accuracy 100.00 %" in report.to_text()
    assert "3 of 3" in report.to_text()


def test_it_is_frozen():
    fields = {field.name: None for field in dataclasses.fields(Report)}
    with pytest.raises(dataclasses.FrozenInstanceError):
        Report(**fields).errors = 3
