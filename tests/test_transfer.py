"""Training from another run's weights: what fits is taken over, what does not is told, and resuming is as ever."""

from dataclasses import replace

import pytest
import torch

from audiornn.cli import main
from audiornn.errors import ModelFileError, TrainingError
from audiornn.listen.recognizer import load_model
from audiornn.train.checkpoint import load_checkpoint
from audiornn.train.loop import Interrupted, train
from audiornn.train.transfer import read_start
from tests.test_loop import assert_same_run, quiet, short, stopping_at  # noqa: F401 - a fixture


@pytest.fixture
def first(short, tmp_path):  # noqa: F811
    """A run that transcribes."""
    ready, recipe = short("transcribe")
    quiet(ready, recipe, tmp_path / "first")
    return tmp_path / "first"


def test_another_task_begins_with_the_layers_of_the_first(short, first, tmp_path):  # noqa: F811
    ready, recipe = short("classify")
    hardly = replace(recipe.training, epochs=1, learning_rate=1e-12, weight_decay=0.0)
    still = replace(recipe, training=hardly, model=read_start(first).recipe.model)
    lines = []
    train(ready, still, tmp_path / "second", start=read_start(first), report=lines.append)
    before, _ = load_checkpoint(first / "best.safetensors")
    after, _ = load_checkpoint(tmp_path / "second" / "best.safetensors")
    shared = [name for name in after if name.startswith("layers.")]
    assert shared
    for name in [*shared, "mean", "scale"]:
        torch.testing.assert_close(after[name], before[name], atol=1e-6, rtol=0)
    said = next(line for line in lines if line.startswith("starts from"))
    assert "new are attention" in said
    assert "output.weight" in said  # as many labels as it has, not as many as there were symbols
    card = load_model(tmp_path / "second" / "model.onnx").card
    assert card.training["started_from"]["recipe"] == read_start(first).recipe.name
    untouched, _ = load_checkpoint(first / "best.safetensors")
    assert all(torch.equal(untouched[name], before[name]) for name in before)


def test_an_output_of_other_symbols_begins_anew(short, first, tmp_path):  # noqa: F811
    ready, recipe = short("transcribe")
    start = read_start(first)
    once = replace(recipe, training=replace(recipe.training, epochs=1))
    said = {}
    for name, symbols in (("same", start.vocabulary.symbols), ("other", start.vocabulary.symbols[::-1])):
        lines = []
        begun = replace(start, vocabulary=replace(start.vocabulary, symbols=symbols))
        train(ready, once, tmp_path / name, start=begun, report=lines.append)
        said[name] = next(line for line in lines if line.startswith("starts from"))
    assert "new are" not in said["same"]
    assert said["other"].endswith("new are output.bias, output.weight")


def test_licences_of_both_are_in_the_card(short, first, tmp_path):  # noqa: F811
    ready, recipe = short("classify")
    recipe = replace(recipe, licence="CC0", training=replace(recipe.training, epochs=1))
    start = read_start(first)
    quiet(ready, recipe, tmp_path / "second", start=replace(start, recipe=replace(start.recipe, licence="CC BY 4.0")))
    assert load_model(tmp_path / "second" / "model.onnx").card.licence == (
        f"CC0; at the start, {start.recipe.name}: CC BY 4.0"
    )


def test_stopped_and_resumed_ends_the_same(short, first, tmp_path, monkeypatch):  # noqa: F811
    ready, recipe = short("classify")
    quiet(ready, recipe, tmp_path / "whole", start=read_start(first))
    with stopping_at(3, monkeypatch), pytest.raises(Interrupted):
        quiet(ready, recipe, tmp_path / "stopped", start=read_start(first))
    quiet(ready, recipe, tmp_path / "stopped", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


def test_what_cannot_be_started_from(short, first, tmp_path):  # noqa: F811
    ready, recipe = short("classify")
    start = read_start(first)
    wider = replace(recipe, model=replace(recipe.model, n_units=recipe.model.n_units + 1))
    with pytest.raises(TrainingError, match=f"none of its recurrent layers .* n_units = {recipe.model.n_units}"):
        quiet(ready, wider, tmp_path / "a", start=start)
    other = replace(start, recipe=replace(start.recipe, features=replace(recipe.features, fmin=300.0)))
    with pytest.raises(TrainingError, match=r"other features \(fmin = 300\.0"):
        quiet(ready, recipe, tmp_path / "b", start=other)
    with pytest.raises(TrainingError, match=r"nowhere.recipe\.json"):
        read_start(tmp_path / "nowhere")
    (first / "model.onnx").rename(first / "elsewhere.onnx")
    with pytest.raises(ModelFileError, match="no such model file"):
        read_start(first)
    (first / "best.safetensors").write_bytes(b"no")
    with pytest.raises(TrainingError, match="not a checkpoint"):
        read_start(first)
    assert not (tmp_path / "a").exists()


def test_resume_and_from_exclude_each_other(tmp_path, capsys):
    assert main(["train", "--resume", "--from", str(tmp_path), "--runs", str(tmp_path)]) == 2
    assert "--from begins a new one" in capsys.readouterr().err
