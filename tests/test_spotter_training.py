"""A wake word from a folder of recordings to hits: new, prep, train, evaluate, spot; stopped and resumed; mined."""

import itertools
import json
import re
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="training needs torch")

from audiornn.corpus.manifest import Segment  # noqa: E402
from audiornn.evaluate.spotting import evaluate_spotting, hear  # noqa: E402
from audiornn.listen.keywords import settings_of  # noqa: E402
from audiornn.listen.recognizer import load_model  # noqa: E402
from audiornn.train import loop, mining  # noqa: E402
from audiornn.train.checkpoint import load_checkpoint  # noqa: E402
from audiornn.train.dataset import Dataset  # noqa: E402
from audiornn.train.dev_score import DevScore  # noqa: E402
from audiornn.train.loop import Interrupted, train  # noqa: E402
from audiornn.train.mining import list_doubtful, mine  # noqa: E402
from audiornn.train.parallel import Workers  # noqa: E402
from audiornn.train.placing import Mined, PlacedWords  # noqa: E402
from audiornn.train.spot_score import answers_of  # noqa: E402
from tests.conftest import RATE, spoken  # noqa: E402


def test_the_folder_becomes_a_recipe_with_reasons(works, here, spotter_world):
    out = works("new", "hey_mi", "--from", spotter_world.source, "--task", "spot", "--word", "mi", "--format", "json")
    made = json.loads(out)
    assert made["task"] == "spot"
    assert made["splits"]["train"]["utterances"] > made["splits"]["test"]["utterances"] > 0
    assert 'word = "mi"' in (here / "recipes/hey_mi/recipe.toml").read_text()
    assert 'task = "spot"' in (here / "recipes/hey_mi/recipe.toml").read_text()
    assert "| train |" in (here / "recipes/hey_mi/README.md").read_text()


def test_it_spots_on_test_what_it_never_heard(spotter_world):
    model = load_model(spotter_world.model)
    assert model.card.task == "label"
    onset, offset = settings_of(model.card).threshold("mi")
    assert 0 < offset < onset < 1
    test = list(spotter_world.prepared.utterances("test"))
    heard, _ = hear(model, test, ["mi"], "test")
    report = evaluate_spotting(model.card, heard, ["mi"], settings_of(model.card), "test")
    (row,) = report.keywords
    assert row.said >= 2
    assert row.missed == 0
    assert row.false_alarms == 0
    assert row.latency is not None
    assert row.latency[0] < 0.3


def test_int8_of_a_spotter_is_told_by_misses_and_false_alarms(spotter_world, works, tmp_path):
    places = ["--data", spotter_world.root / "data", "--runs", spotter_world.root / "runs"]
    out = works("export", spotter_world.model, "--quantize", "int8", "--output", tmp_path / "small.onnx", *places)
    n_said = sum(len(utterance.segments) for utterance in spotter_world.prepared.utterances("dev"))
    for line, name in zip(out.splitlines()[-2:], ("float32", "int8"), strict=True):
        assert re.fullmatch(rf"  {name} +\d+ of {n_said} missed, \d+ false alarms in 0\.\d+ h", line)


def test_the_card_is_used_without_naming_the_word(works, here, spotter_world):
    pause = np.zeros(RATE // 2, np.float32)
    words = (spoken(said, speaker="fay") for said in (["do", "sol"], ["mi"], ["do"]))
    waveform = np.concatenate([part for word in words for part in (word, pause)])
    soundfile.write("said.wav", waveform, RATE)
    (line,) = works("spot", "said.wav", "--model", spotter_world.model).splitlines()
    start, end, word, _ = line.split("\t")
    assert word == "mi"
    assert 1.0 < float(start) <= float(end) < 1.4
    places = ["--data", spotter_world.root / "data"]
    out = json.loads(works("evaluate", spotter_world.model, *places, "--format", "json"))
    assert out["keywords"][0]["keyword"] == "mi"
    assert out["target"] == 0.5
    assert "missed" in works("evaluate", spotter_world.model, *places)
    assert "false alarms in" in works("info", spotter_world.model)


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=12))
def test_hits_are_the_same_whatever_the_blocks(spotter_world, sizes):
    model = load_model(spotter_world.model)
    waveform = np.concatenate([spoken(["do", "mi", "sol", "mi", "mi"], speaker="eva"), np.zeros(RATE, np.float32)])
    whole = model.spot(waveform, sample_rate=RATE)
    assert whole
    stream, told, begin = model.spotter(sample_rate=RATE), [], 0
    for size in itertools.cycle(sizes):
        told += stream.push(waveform[begin : begin + size])
        begin += size
        if begin >= len(waveform):
            break
    told += stream.finish()
    assert [(spot.keyword, spot.start, spot.end) for spot in told] == [(s.keyword, s.start, s.end) for s in whole]
    assert [spot.score for spot in told] == pytest.approx([s.score for s in whole], abs=1e-5)  # blocks round otherwise


def test_a_stopped_training_ends_like_one_that_was_not(spotter_world, tmp_path, monkeypatch):
    prepared = spotter_world.prepared
    recipe = replace(
        spotter_world.recipe,
        training=replace(spotter_world.recipe.training, epochs=3),
        spotting=replace(spotter_world.recipe.spotting, windows=80),
    )

    def quiet(run, **options):
        return train(prepared, recipe, run, report=lambda line: None, **options)

    quiet(tmp_path / "whole")
    seen = {"steps": 0}
    learning_rate = loop.learning_rate

    def counted(*arguments):
        seen["steps"] += 1
        return learning_rate(*arguments)

    @contextmanager
    def interruptible():
        yield lambda: seen["steps"] >= 8  # in the second epoch, where mined examples are shown

    with monkeypatch.context() as patch:
        patch.setattr(loop, "learning_rate", counted)
        patch.setattr(loop, "interruptible", interruptible)
        with pytest.raises(Interrupted):
            quiet(tmp_path / "parts")
    quiet(tmp_path / "parts", resume=True)
    for name in ("best", "last"):
        (a, state_a), (b, state_b) = (
            load_checkpoint(tmp_path / run / f"{name}.safetensors") for run in ("whole", "parts")
        )
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) for key in a)
        assert state_a["studied"] == state_b["studied"]


class _AsBackground:
    """A corpus in whose background the word is said, three times."""

    def __init__(self, prepared):
        self._prepared = prepared
        utterances = list(prepared.utterances("train"))
        words = [i for i, u in enumerate(utterances) if u.segments]
        self.hidden = words[:3]
        self._train = [replace(u, segments=()) if i in self.hidden else u for i, u in enumerate(utterances)]

    def __getattr__(self, name):
        return getattr(self._prepared, name)

    def utterances(self, split):
        return self._train if split == "train" else self._prepared.utterances(split)


def test_an_epochs_misses_are_no_miss_rate(spotter_world):
    metrics = {"epoch": 1, "step": 10, "train_loss": 3.0, "frames_per_second": 1}
    line = loop.epoch_line(metrics, DevScore(9, 410, 0.1, 0.0), spotter_world.recipe, 1000, dev="dev")
    assert "dev misses at 0–8 false alarms   2.20 % (9/410)" in line
    assert "error rate" not in line


def test_background_that_holds_the_word_is_found_and_listed(spotter_world, tmp_path):
    corpus, recipe = _AsBackground(spotter_world.prepared), spotter_world.recipe
    said = []
    train(corpus, recipe, tmp_path / "run", report=said.append)
    doubtful = load_checkpoint(tmp_path / "run" / "last.safetensors")[1]["studied"]["doubtful"]
    assert {peak["index"] for peak in doubtful} <= set(corpus.hidden)
    assert doubtful
    assert any("may hold the word" in line for line in said)
    listed = (tmp_path / "run" / "may_hold_the_word.tsv").read_text().splitlines()
    audio, seconds, _ = listed[0].split("\t")
    segment = next(u.segments[0] for u in spotter_world.prepared.utterances("train") if str(u.audio) == audio)
    assert segment.start - 0.1 < float(seconds) < segment.end + 0.5
    assert all(isinstance(u.segments, tuple) and all(isinstance(s, Segment) for s in u.segments) for u in corpus._train)


def test_the_loudest_of_dev_is_placed(spotter_world):
    corpus, recipe = spotter_world.prepared, spotter_world.recipe
    dataset = Dataset(corpus, "dev", recipe, corpus.vocabulary)
    words = [i for i, u in enumerate(dataset.utterances) if u.segments]
    hidden = dataset.utterances[words[0]]
    dataset.utterances = [replace(u, segments=()) if i == words[0] else u for i, u in enumerate(dataset.utterances)]
    network = loop.Network(recipe.model, n_features=recipe.features.n_features, n_outputs=2, task="spot")
    network.load_state_dict(load_checkpoint(spotter_world.model.parent / "best.safetensors")[0])
    with Workers(1) as workers:
        found = answers_of(network, dataset, workers, torch.device("cpu"))
    score, audio, seconds = found.loudest["mi"][0]
    assert score > 0.5
    assert audio == str(hidden.audio)
    assert hidden.segments[0].start < seconds < hidden.segments[0].end + 0.5


def test_mining_finds_what_is_loudest(spotter_world):
    dataset = PlacedWords(spotter_world.prepared, "train", spotter_world.recipe, spotter_world.prepared.vocabulary)
    network = loop.Network(
        spotter_world.recipe.model, n_features=dataset.recipe.features.n_features, n_outputs=2, task="spot"
    )
    with Workers(1) as workers:
        options = (np.random.default_rng(1), workers, torch.device("cpu"))
        found = mine(network, dataset, Mined(), *options)
    assert found.peaks  # a network that knows nothing answers everywhere
    scores = [peak.score for peak in found.peaks]
    assert scores == sorted(scores, reverse=True)
    assert {peak.index for peak in found.peaks} <= set(dataset.background.tolist())
    assert Mined.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize("speaker", ["anna", "espeak en-gb"])
def test_several_places_of_a_recording_are_doubted_at_once(spotter_world, monkeypatch, tmp_path, speaker):
    """Of a person's hour with the word in it all places are found together; what a voice was made to say is no news."""
    dataset = PlacedWords(spotter_world.prepared, "train", spotter_world.recipe, spotter_world.prepared.vocabulary)
    longest = int(dataset.background[dataset.lengths[dataset.background].argmax()])
    dataset.utterances = [replace(u, speaker=speaker) for u in dataset.utterances]
    stride = spotter_world.recipe.model.stride

    def answers(network, dataset, indices, workers, device):
        for index in indices:
            posteriors = np.zeros((int(dataset.lengths[index]) // stride, 2), np.float32)
            posteriors[: 1 + len(posteriors) // 2, 1] = 1.0 if index in (longest, dataset.words[0].index) else 0.0
            posteriors[-8:, 1] = posteriors[0, 1]
            yield index, posteriors

    monkeypatch.setattr(mining, "posteriors_of", answers)
    monkeypatch.setattr(mining, "_SECONDS", 1e6)
    monkeypatch.setattr(mining, "QUIETER_WORDS", 1.0)
    mined, said = Mined(), []
    for n_minings in range(1, 7):
        mined = mine(None, dataset, mined, np.random.default_rng(n_minings), None, torch.device("cpu"))
        assert (len(mined.doubtful) >= 2) == (n_minings >= 5)
        assert {peak.index for peak in (*mined.peaks, *mined.doubtful)} == {longest}
    list_doubtful(dataset, mined, tmp_path, said.append)
    assert (tmp_path / "may_hold_the_word.tsv").is_file() == bool(said) == (speaker == "anna")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--task", "spot", "--layout", "kaldi"], "--layout is not for --task spot"),
        (["--task", "spot", "--label", "folder:2"], "--label is not for --task spot"),
        (["--word", "mi"], "add --task spot"),
    ],
)
@pytest.mark.usefixtures("here")
def test_options_that_do_not_fit_are_said(fails, spotter_world, options, said):
    fails("new", "other", "--from", spotter_world.source, *options, said=[said])


def test_a_folder_without_the_word_is_said(fails, here):
    for name in ("background", "not_it"):
        (here / name).mkdir()
        soundfile.write(here / name / "a.wav", spoken(["do"]), RATE)
    fails("new", "hey", "--from", here, "--task", "spot", said=["no recordings of the word", "`positive`"])
