"""Several labels at once: of a recording, and of segments that overlap; counts against scikit-learn's."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics

from audiornn.errors import CorpusError, SettingsError
from audiornn.evaluate.error_rates import wilson_interval
from audiornn.evaluate.report import evaluate
from audiornn.evaluate.several import _report, average_precision, best_threshold, choose_thresholds, evaluate_several
from audiornn.features import FeatureSettings
from audiornn.listen.recognizer import load_model
from audiornn.model_file import ModelCard
from audiornn.recipe import load_recipe
from audiornn.vocabulary import Vocabulary

PLACES = st.integers(1, 30)


def card(task="classify", labels=("cat", "dog"), thresholds=None):
    vocabulary = Vocabulary(labels, "label", several=True)
    return ModelCard(task, FeatureSettings(), vocabulary, thresholds=thresholds or {})


@st.composite
def scored(draw):
    n = draw(PLACES)
    scores = draw(arrays.arrays(np.float64, n, elements=st.sampled_from([0.1, 0.2, 0.5, 0.7, 0.9])))
    truths = draw(arrays.arrays(bool, n))
    return scores, truths


@given(scored())
def test_average_precision_is_scikit_learns(drawn):
    scores, truths = drawn
    if truths.any():
        assert average_precision(scores, truths) == pytest.approx(metrics.average_precision_score(truths, scores))
    else:
        assert np.isnan(average_precision(scores, truths))


@given(scored())
def test_no_threshold_has_a_higher_f1(drawn):
    scores, truths = drawn
    best = metrics.f1_score(truths, scores >= best_threshold(scores, truths), zero_division=0)
    for other in [0.0, *scores, 1.1]:
        assert metrics.f1_score(truths, scores >= other, zero_division=0) <= best + 1e-12


def test_a_threshold_lies_between_what_it_parts():
    assert best_threshold(np.array([0.9, 0.8, 0.3]), np.array([True, True, False])) == pytest.approx(0.55)
    said = [(np.log([0.9, 0.2]), np.array([1.0, 0.0])), (np.log([0.3, 0.6]), np.array([0.0, 0.0]))]
    assert choose_thresholds(("cat", "dog"), said) == {"cat": 0.6, "dog": 0.5}  # of what never holds nothing is learnt


@settings(max_examples=5)
@given(st.integers(0, 1000))
def test_the_report_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    scores, truths = rng.uniform(size=(20, 3)), rng.random((20, 3)) < 0.4
    report = _report(card(labels=("a", "b", "c"), thresholds={"b": 0.3}), "test", scores, truths, ())
    said = scores >= [0.5, 0.3, 0.5]
    assert report.accuracy == pytest.approx(metrics.accuracy_score(truths, said))
    assert report.micro_f1 == pytest.approx(metrics.f1_score(truths, said, average="micro"))
    present = truths.any(axis=0)
    f1 = metrics.f1_score(truths, said, average=None, zero_division=0)
    assert report.macro_f1 == pytest.approx(f1[present].mean())
    ap = [metrics.average_precision_score(truths[:, i], scores[:, i]) for i in np.flatnonzero(present)]
    assert report.mean_average_precision == pytest.approx(np.mean(ap))
    for i, row in enumerate(report.labels):
        assert (row.positives, row.found) == (truths[:, i].sum(), (truths & said)[:, i].sum())
        if row.precision is not None:
            assert row.precision == pytest.approx(metrics.precision_score(truths[:, i], said[:, i], zero_division=0))
    assert report.micro_interval[0] <= report.micro_f1 <= report.micro_interval[1]
    assert report.errors == (said != truths).sum()
    json.dumps(report.to_json())


def test_nothing_that_holds_is_no_score():
    report = _report(card(), "test", np.full((3, 2), 0.1), np.zeros((3, 2), bool), ())
    assert (report.accuracy, report.micro_f1, report.macro_f1, report.mean_average_precision) == (1.0, None, None, None)
    assert "all labels right 100.00 %" in report.to_text()


def test_a_recording_has_the_labels_that_were_said_in_it(recognizer, prepared, world):
    model, utterances = recognizer("tags"), prepared("tags").utterances("test")
    assert model.card.vocabulary.symbols == ("do", "mi", "sol")
    assert set(model.card.thresholds) == {"do", "mi", "sol"}
    report = evaluate_several(model, utterances, "test")
    assert report.utterances == len(utterances)
    assert report.mean_average_precision > 0.9
    assert report.macro_f1 > 0.75
    for utterance in utterances:
        found = model.transcribe(utterance.audio)
        holding = {label for label, p in found.probabilities.items() if p >= model.card.thresholds[label]}
        assert set(found.labels) == holding
        assert [found.probabilities[label] for label in found.labels] == sorted(
            (found.probabilities[label] for label in holding), reverse=True
        )


def test_labels_of_frames_may_overlap(recognizer, prepared):
    model, utterances = recognizer("events"), prepared("events").utterances("test")
    assert "_none_" not in model.card.vocabulary.symbols
    assert set(model.card.segments["labels"]) == {"do", "mi", "sol"}
    report = evaluate(model, utterances, "test")
    assert report.accuracy > 0.8
    found = model.transcribe(utterances[-1].audio)
    said = [segment.label for segment in utterances[-1].segments]
    assert [s.label for s in found.segments if s.end - s.start > 0.05] == said


def test_one_label_is_one_unit(world, tmp_path):
    from audiornn.corpus.preparation import prepare_corpus
    from tests.conftest import write_recipe

    prepare = """
from audiornn.corpus.manifest import Utterance


def prepare(corpus_dir):
    files = sorted((corpus_dir / "single").glob("*.wav"))
    made = [Utterance(f.stem, f, "do" if f.stem.endswith("do") else "") for f in files]
    return {"train": made[::2], "dev": made[1::2]}
"""
    toml = (
        (world.recipe("tags") / "recipe.toml").read_text().replace('between = ", "', "").replace('kind = "strings"', "")
    )
    folder = write_recipe(tmp_path / "do_or_not", prepare=prepare, toml=toml)
    ready = prepare_corpus(load_recipe(folder), world.corpus, tmp_path)
    assert ready.vocabulary.symbols == ("do",)
    pytest.importorskip("torch")
    from audiornn.train.loop import train

    model = load_model(train(ready, ready.recipe, tmp_path / "run", report=lambda line: None))
    assert model.card.vocabulary.several
    report = evaluate_several(model, ready.utterances("dev"), "dev")
    assert report.accuracy > 0.9


def test_the_command_line_shows_them(works, world, heard_by, places):
    out = works("transcribe", world.recording(), *heard_by("tags"))
    assert all(len(line.split("\t")) == 2 for line in out.splitlines())
    entry = json.loads(works("transcribe", world.recording(), *heard_by("tags"), "--format", "json"))
    assert set(entry["probabilities"]) == {"do", "mi", "sol"}
    assert [line.split("\t")[0] for line in out.splitlines()] == entry["labels"]
    text = works("evaluate", world.runs / "tones_tags", *places)
    assert "macro F1" in text
    assert "threshold" in text
    report = json.loads(works("evaluate", world.runs / "tones_tags", *places, "--format", "json"))
    assert {row["label"] for row in report["labels"]} == {"do", "mi", "sol"}
    assert "any number at once" in works("info", world.runs / "tones_tags")
    events = works("label", world.recording(), *heard_by("events"), "--format", "textgrid")
    assert 'class = "IntervalTier"' in events
    assert "accuracy" in works("evaluate", world.runs / "tones_events", *places)


def test_labels_of_one_split_only(world, tmp_path, run):
    from tests.conftest import PREPARE, write_recipe

    lonely = PREPARE.replace(
        "text=between.join(words)", 'text=between.join(words) + (", la" if speaker == "fay" else "")'
    )
    folder = write_recipe(tmp_path / "lonely", prepare=lonely, toml=(world.recipe("tags") / "recipe.toml").read_text())
    code, _, said = run("prep", folder, "--corpus", world.corpus, "--data", tmp_path)
    assert code == 2
    assert "6 of 60 utterances cannot be used" in said
    assert "label 'la' is not among the 3" in said


def test_a_label_that_the_model_cannot_give(recognizer, prepared):
    utterance = replace(prepared("tags").utterances("test")[0], text="do, la")
    with pytest.raises(CorpusError, match="'la' is not among"):
        evaluate_several(recognizer("tags"), [utterance], "test")


def test_only_labels_can_be_several(world):
    with pytest.raises(SettingsError, match="several = true is for labels"):
        load_recipe(world.recipe("transcribe"), ["vocabulary.several=true"])


@given(st.lists(st.text("ab c", min_size=1).map(str.strip).filter(bool), max_size=4))
def test_labels_are_parted_by_commas(labels):
    vocabulary = Vocabulary((), "label", several=True)
    assert vocabulary.split(" , ".join(labels)) == list(dict.fromkeys(" ".join(label.split()) for label in labels))


def test_an_audit_of_what_was_prepared_knows_its_labels(works, prepared, tmp_path):
    for task in ("tags", "regress"):
        folder = prepared(task).folder
        report = json.loads(works("audit", folder, "--output", tmp_path / task, "--format", "json"))
        assert not [finding for finding in report["findings"] if finding["severity"] == "error"]


def test_a_label_that_no_recording_has_is_not_in_the_mean_and_each_mean_has_its_interval():
    truths = np.array([[1, 0, 0]] * 30 + [[1, 1, 0]] * 10, bool)
    scores = np.where(truths & ([True, False, False] | (np.arange(40) % 2 == 0)[:, None]), 0.9, 0.1)
    report = _report(card(labels=("a", "b", "c")), "test", scores, truths, ())
    assert report.macro_f1 == pytest.approx((1 + 2 * 5 / (10 + 5)) / 2)
    assert report.macro_interval[0] < report.micro_interval[0] - 0.05


def test_a_few_recordings_that_are_all_right_do_not_prove_that_all_are():
    truths = np.array([[1, 0, 0]] * 5 + [[0, 0, 0]] * 5, bool)
    report = _report(card(labels=("a", "b", "c")), "test", truths * 0.8, truths, ())
    assert report.micro_f1 == 1
    assert report.micro_interval == report.macro_interval == wilson_interval(5, 5)
    alone = _report(card(labels=("a", "b", "c")), "test", truths[:1] * 0.8, truths[:1], ())
    assert alone.micro_interval == (0.0, 1.0)
