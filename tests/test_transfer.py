"""Training from another run's weights: what fits is taken over, what does not is told, and resuming is as ever."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from audiornn.cli import main
from audiornn.errors import ModelFileError, TrainingError
from audiornn.listen.recognizer import load_model
from audiornn.recipe import packaged_recipes
from audiornn.train import loop
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


@pytest.fixture
def started(monkeypatch):
    """Gives a recipe that starts from what a test has read, and maybe changed."""

    def name(recipe, start):
        monkeypatch.setattr(loop, "read_start", lambda path: start)
        return replace(recipe, training=replace(recipe.training, start="given"))

    return name


def test_another_task_begins_with_the_layers_of_the_first(short, first, started, tmp_path):  # noqa: F811
    ready, recipe = short("classify")
    hardly = replace(recipe.training, epochs=1, learning_rate=1e-12, weight_decay=0.0)
    still = replace(recipe, training=hardly, model=read_start(first).recipe.model)
    lines = []
    train(ready, started(still, read_start(first)), tmp_path / "second", report=lines.append)
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


def test_of_an_output_of_other_symbols_the_shared_ones_are_taken_over(short, first, started, tmp_path):  # noqa: F811
    ready, recipe = short("transcribe")
    start = read_start(first)
    hardly = replace(recipe.training, epochs=1, learning_rate=1e-12, weight_decay=0.0)
    once = replace(recipe, training=hardly)
    turned = start.symbols[::-1]
    said, after = {}, {}
    for name, symbols in (
        ("same", start.symbols),
        ("turned", turned),
        ("one", (start.symbols[0], *("?" * n for n in range(1, len(start.symbols))))),
        ("none", tuple("?" * n for n in range(1, len(start.symbols) + 1))),
    ):
        lines = []
        train(ready, started(once, replace(start, symbols=symbols)), tmp_path / name, report=lines.append)
        said[name] = next(line for line in lines if line.startswith("starts from"))
        after[name] = load_checkpoint(tmp_path / name / "best.safetensors")[0]["output.weight"]
    weight = start.tensors["output.weight"]
    assert "new are" not in said["same"]
    assert said["turned"].endswith(f"new are output.bias, output.weight but for {len(turned)} symbols that both know")
    assert said["none"].endswith("new are output.bias, output.weight")
    torch.testing.assert_close(after["turned"], weight.flip(0), atol=1e-6, rtol=0)
    torch.testing.assert_close(after["one"][0], weight[0], atol=1e-6, rtol=0)
    assert not torch.allclose(after["one"][1:], weight[1:], atol=1e-3)
    assert not torch.allclose(after["none"][0], weight[0], atol=1e-3)


def test_licences_of_both_are_in_the_card(short, first, started, tmp_path):  # noqa: F811
    ready, recipe = short("classify")
    recipe = replace(recipe, licence="CC0", training=replace(recipe.training, epochs=1))
    start = read_start(first)
    recipe = started(recipe, replace(start, recipe=replace(start.recipe, licence="CC BY 4.0")))
    quiet(ready, recipe, tmp_path / "second")
    assert load_model(tmp_path / "second" / "model.onnx").card.licence == (
        f"CC0; at the start, {start.recipe.name}: CC BY 4.0"
    )


def test_stopped_and_resumed_ends_the_same(short, first, started, tmp_path, monkeypatch):  # noqa: F811
    ready, recipe = short("classify")
    start = read_start(first)
    start = replace(start, tensors={**start.tensors, "mean": start.tensors["mean"] + 1})  # as of another corpus
    recipe = started(recipe, start)
    quiet(ready, recipe, tmp_path / "whole")
    with stopping_at(3, monkeypatch), pytest.raises(Interrupted):
        quiet(ready, recipe, tmp_path / "stopped")
    quiet(ready, recipe, tmp_path / "stopped", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


def test_what_cannot_be_started_from(short, first, started, tmp_path):  # noqa: F811
    ready, recipe = short("classify")
    start = read_start(first)
    wider = replace(recipe, model=replace(recipe.model, n_units=recipe.model.n_units + 1))
    with pytest.raises(TrainingError, match=f"none of its recurrent layers .* n_units = {recipe.model.n_units}"):
        quiet(ready, started(wider, start), tmp_path / "a")
    other = replace(start, recipe=replace(start.recipe, features=replace(recipe.features, fmin=300.0)))
    with pytest.raises(TrainingError, match=r"other features \(fmin = 300\.0"):
        quiet(ready, started(recipe, other), tmp_path / "b")
    with pytest.raises(TrainingError, match=r"nowhere: no such run"):
        read_start(tmp_path / "nowhere")
    (first / "model.onnx").rename(first / "elsewhere.onnx")
    with pytest.raises(ModelFileError, match="no such model file"):
        read_start(first)
    (first / "best.safetensors").write_bytes(b"no")
    with pytest.raises(TrainingError, match="not a checkpoint"):
        read_start(first)
    assert not (tmp_path / "a").exists()


def test_a_file_to_start_from_is_half_as_large_and_starts_the_same(short, first, tmp_path, capsys):  # noqa: F811
    file = tmp_path / "start.safetensors"
    assert main(["export", str(first), "--start", str(file)]) == 0
    assert str(file) in capsys.readouterr().out
    assert file.stat().st_size < 0.8 * (first / "best.safetensors").stat().st_size
    ready, recipe = short("classify")
    hardly = replace(recipe.training, epochs=1, learning_rate=1e-12, weight_decay=0.0)
    still = replace(recipe, training=replace(hardly, start=str(file)), model=read_start(first).recipe.model)
    train(ready, still, tmp_path / "second", report=lambda line: None)
    before, _ = load_checkpoint(first / "best.safetensors")
    after, _ = load_checkpoint(tmp_path / "second" / "best.safetensors")
    for name in [name for name in after if name.startswith("layers.")]:
        torch.testing.assert_close(after[name], before[name], atol=1e-3, rtol=1e-3)
    assert load_model(tmp_path / "second" / "model.onnx").card.training["started_from"]["recipe"]
    assert main(["export", str(first), "--start", str(file)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["export", str(first), "--start", str(tmp_path / "other"), "--quantize", "int8"]) == 2
    assert "leave out" in capsys.readouterr().err


def test_a_recipe_may_name_its_start_and_resumes_without_it(short, first, tmp_path, monkeypatch):  # noqa: F811
    ready, recipe = short("classify")
    named = replace(recipe, training=replace(recipe.training, start=str(first)))
    quiet(ready, named, tmp_path / "given")
    with stopping_at(3, monkeypatch), pytest.raises(Interrupted):
        quiet(ready, named, tmp_path / "named")
    first.rename(tmp_path / "elsewhere")
    quiet(ready, named, tmp_path / "named", resume=True)
    tensors = [load_checkpoint(tmp_path / run / "best.safetensors")[0] for run in ("given", "named")]
    assert all(torch.equal(tensors[0][name], tensors[1][name]) for name in tensors[0])
    with pytest.raises(TrainingError, match="no run, and no file"):
        read_start(tmp_path / "named" / "last.safetensors")
    with pytest.raises(TrainingError, match="no such run"):
        quiet(ready, named, tmp_path / "third")


def test_words_of_few_recordings_start_from_what_the_package_brings(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(1)
    for label in ("ja", "nej"):
        (tmp_path / "words" / label).mkdir(parents=True)
        for i in range(6):
            soundfile.write(tmp_path / "words" / label / f"{i}.wav", 0.1 * draw.standard_normal(8000), 16000)
    assert main(["new", "mine", "--from", "words"]) == 0
    hint = next(line for line in capsys.readouterr().out.splitlines() if "if these are words" in line)
    command = hint.split("`")[1].split()
    assert main([*command[1:], "--jobs", "1"]) == 0
    once = ["--set", "training.epochs=1", "--set", "training.threads=1"]
    assert main(["train", *once]) == 0
    assert "starts from recipes/spelled_words/wideband.safetensors: 701,440 of" in capsys.readouterr().err.replace(
        str(packaged_recipes().parent) + "/", ""
    )
    card = load_model(tmp_path / "runs" / "mine" / "model.onnx").card
    assert card.training["started_from"]["recipe"] == "spelled_words"
    assert "Speech Commands" in card.licence
    assert main(["train", *once, "--set", "training.start="]) == 0
    assert "starts from" not in capsys.readouterr().err
    assert main(["train", *once, "--set", "training.start=nowhere"]) == 2
    assert "nowhere: no such run or file to start from" in capsys.readouterr().err


def test_resume_and_from_exclude_each_other(tmp_path, capsys):
    assert main(["train", "--resume", "--from", str(tmp_path), "--runs", str(tmp_path)]) == 2
    assert "--from begins a new one" in capsys.readouterr().err
