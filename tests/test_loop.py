"""Training: a stopped run ends bit for bit like one that was not, and says clearly what goes wrong."""

import itertools
import json
import math
import os
import shutil
import signal
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from audiornn.errors import TrainingError
from audiornn.files import locked
from audiornn.settings import AugmentSettings, SpottingSettings, TrainingSettings
from audiornn.train import dev_score, loop, parallel, run
from audiornn.train.checkpoint import load_checkpoint
from audiornn.train.loop import Interrupted, learning_rate, train
from audiornn.train.losses import utterance_losses
from audiornn.train.parallel import Workers
from audiornn.train.run import Run
from tests.conftest import OUTPUTS, TASKS
from tests.test_network import CELLS, FRONTS

EPOCHS = 3


@pytest.fixture
def short(prepared):
    """A task's corpus, and its recipe for a few epochs with all there is of chance: dropout and augmentation."""

    def make(task="transcribe", **training):
        ready = prepared(task)
        settings = replace(ready.recipe.training, epochs=EPOCHS, **training)
        return ready, replace(ready.recipe, training=settings, model=replace(ready.recipe.model, dropout=0.3))

    return make


@contextmanager
def stopping_at(step, monkeypatch):
    """Ctrl-C arrives while a step is computed."""
    seen = {"steps": 0}

    def counted(*arguments):
        seen["steps"] += 1
        return learning_rate(*arguments)

    @contextmanager
    def interruptible():
        yield lambda: seen["steps"] >= step

    with monkeypatch.context() as patch:
        patch.setattr(loop, "learning_rate", counted)
        patch.setattr(loop, "interruptible", interruptible)
        yield


def quiet(*arguments, **keywords):
    return train(*arguments, report=lambda line: None, **keywords)


def assert_same_run(a, b):
    assert (a / "model.onnx").read_bytes() == (b / "model.onnx").read_bytes()
    (tensors, state), (others, other_state) = (load_checkpoint(run / "last.safetensors") for run in (a, b))
    assert tensors.keys() == others.keys()
    assert all(torch.equal(tensors[name], others[name]) for name in tensors)
    assert {**state, "seconds": 0} == {**other_state, "seconds": 0}

    def metrics(run):
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        return [{k: v for k, v in line.items() if k not in ("seconds", "frames_per_second")} for line in lines]

    assert metrics(a) == metrics(b)


@pytest.mark.parametrize("task", TASKS)
def test_stopped_and_resumed_ends_bit_for_bit_the_same(task, short, tmp_path, monkeypatch):
    ready, recipe = short(task)
    quiet(ready, recipe, tmp_path / "whole")
    n_batches = -(-len(ready.utterances("train")) // recipe.training.batch_size)
    # in the middle of an epoch, and at its very end
    for name, step in (("middle", n_batches + n_batches // 2), ("end", n_batches)):
        with stopping_at(step, monkeypatch), pytest.raises(Interrupted, match="--resume"):
            quiet(ready, recipe, tmp_path / name)
        assert not (tmp_path / name / "model.onnx").exists()
        torch.manual_seed(99)  # whatever happened in between
        quiet(ready, recipe, tmp_path / name, resume=True)
        assert_same_run(tmp_path / "whole", tmp_path / name)


def combinations():
    """Every cell, direction, front and task; in a quick run each cell and direction once, with others of the rest."""
    fronts, tasks = [{}, *FRONTS], [*TASKS, *OUTPUTS]
    for i, (cell, both) in enumerate(itertools.product(CELLS, (True, False))):
        for front, task in itertools.product(fronts, tasks):
            quick = front is fronts[i % len(fronts)] and task == tasks[i % len(tasks)]
            name = f"{cell}-{'both' if both else 'one'}-{front.get('front', 'none')}-{task}"
            settings = {**CELLS[cell], "bidirectional": both, "front": "none", "stride": 1, **front}
            yield pytest.param(settings, task, id=name, marks=() if quick else pytest.mark.slow)


@pytest.mark.parametrize(("settings", "task"), list(combinations()))
def test_every_combination_is_resumed_bit_for_bit(settings, task, short, tmp_path, monkeypatch):
    ready, recipe = short(task)
    few_steps = replace(recipe.training, epochs=1, batch_size=16)
    recipe = replace(recipe, model=replace(recipe.model, n_units=6, **settings), training=few_steps)
    quiet(ready, recipe, tmp_path / "whole")
    with stopping_at(2, monkeypatch), pytest.raises(Interrupted):
        quiet(ready, recipe, tmp_path / "stopped")
    quiet(ready, recipe, tmp_path / "stopped", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


@pytest.mark.slow
def test_a_spotter_is_resumed_bit_for_bit(spotter_world, tmp_path, monkeypatch):
    few = replace(spotter_world.recipe.training, epochs=1)
    recipe = replace(spotter_world.recipe, training=few)
    quiet(spotter_world.prepared, recipe, tmp_path / "whole")
    with stopping_at(2, monkeypatch), pytest.raises(Interrupted):
        quiet(spotter_world.prepared, recipe, tmp_path / "stopped")
    quiet(spotter_world.prepared, recipe, tmp_path / "stopped", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


def test_all_that_varies_a_step_is_resumed_bit_for_bit(short, tmp_path, monkeypatch):
    ready, recipe = short(weight_noise=0.05, threads=2)
    two_layers = replace(recipe.model, n_layers=2, variational_dropout=True)
    recipe = replace(recipe, model=two_layers, training=replace(recipe.training, middle_ctc=0.3, consistency=0.2))
    quiet(ready, recipe, tmp_path / "whole")
    with stopping_at(5, monkeypatch), pytest.raises(Interrupted):
        quiet(ready, recipe, tmp_path / "stopped")
    quiet(ready, recipe, tmp_path / "stopped", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


@pytest.mark.parametrize("threads", [1, 2])
def test_killed_and_resumed_ends_bit_for_bit_the_same(threads, short, tmp_path, monkeypatch):
    ready, recipe = short(checkpoint_steps=3, batch_size=8, threads=threads)
    quiet(ready, recipe, tmp_path / "whole")
    copies = []
    save_checkpoint = run.save_checkpoint

    def save_and_copy(path, *rest):
        save_checkpoint(path, *rest)
        copies.append(tmp_path / f"copy{len(copies)}")
        shutil.copytree(path.parent, copies[-1])  # the disk as a kill right now would leave it

    with monkeypatch.context() as patch:
        patch.setattr(run, "save_checkpoint", save_and_copy)
        quiet(ready, recipe, tmp_path / "copied")
    assert len(copies) > EPOCHS
    for copy in copies[:: max(1, len(copies) // 6)]:
        quiet(ready, recipe, copy, resume=True)
        assert_same_run(tmp_path / "whole", copy)


def test_ctrl_c_is_heeded_between_two_steps(short, tmp_path, monkeypatch):
    ready, recipe = short()
    before = signal.getsignal(signal.SIGINT)  # a shell's background jobs have none

    def rate(step, *rest):
        if step == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return learning_rate(step, *rest)

    monkeypatch.setattr(loop, "learning_rate", rate)
    with pytest.raises(Interrupted, match="step 5"):
        quiet(ready, recipe, tmp_path / "run")
    assert load_checkpoint(tmp_path / "run" / "last.safetensors")[1]["step"] == 5
    assert signal.getsignal(signal.SIGINT) is before


def test_the_seed_is_the_only_source_of_chance(short, tmp_path):
    ready, recipe = short()
    quiet(ready, recipe, tmp_path / "a")
    torch.manual_seed(1234)
    np.random.seed(5)
    quiet(ready, recipe, tmp_path / "b")
    assert_same_run(tmp_path / "a", tmp_path / "b")
    quiet(ready, replace(recipe, training=replace(recipe.training, seed=2)), tmp_path / "c")
    assert (tmp_path / "a" / "model.onnx").read_bytes() != (tmp_path / "c" / "model.onnx").read_bytes()


def test_a_loss_that_is_not_finite_names_the_utterances(short, tmp_path, monkeypatch):
    ready, recipe = short()

    def one_bad(log_probs, lengths, batch, task, **rest):
        losses = utterance_losses(log_probs, lengths, batch, task)
        return losses.masked_fill(torch.tensor(["ada_3" in i for i in batch.ids]), math.inf)

    monkeypatch.setattr(parallel, "utterance_losses", one_bad)
    with pytest.raises(TrainingError, match=r"not finite at step \d+, for strings/ada_3_\S+: .*learning_rate"):
        quiet(ready, recipe, tmp_path / "run")


def test_another_preparation_is_not_resumed_on(short, tmp_path, monkeypatch):
    ready, recipe = short()
    with stopping_at(3, monkeypatch), pytest.raises(Interrupted):
        quiet(ready, recipe, tmp_path / "run")
    with pytest.raises(TrainingError, match="another preparation"):
        quiet(replace(ready, digests={"train": "other"}), recipe, tmp_path / "run", resume=True)
    mean, deviation = loop.train_and_dev(ready, recipe)[0].mean_and_deviation()  # other sounds of the same names
    monkeypatch.setattr(loop.Dataset, "mean_and_deviation", lambda self: (mean + 0.1, deviation))
    with pytest.raises(TrainingError, match="another preparation"):
        quiet(ready, recipe, tmp_path / "run", resume=True)


def test_two_trainings_do_not_meet_in_a_run(short, tmp_path, monkeypatch):
    ready, recipe = short()
    with stopping_at(3, monkeypatch), pytest.raises(Interrupted):
        quiet(ready, recipe, tmp_path / "run")
    before = {file: file.read_bytes() for file in (tmp_path / "run").glob("*.*") if file.is_file()}
    with locked(tmp_path / "run" / ".lock", int), pytest.raises(TrainingError, match=r"run: another `audiornn train`"):
        quiet(ready, recipe, tmp_path / "run", resume=True)
    assert before == {file: file.read_bytes() for file in (tmp_path / "run").glob("*.*") if file.is_file()}


def test_a_gradient_that_overflows_reaches_no_weight(short, tmp_path, monkeypatch):
    ready, recipe = short(checkpoint_steps=1)
    batches = []

    def overflowing(workers, network, batch, recipe, step, progress):
        losses = losses_and_gradients(workers, network, batch, recipe, step, progress)
        batches.append(batch.ids)
        if step == 2:
            next(network.parameters()).grad[0, 0] = math.inf
        return losses

    losses_and_gradients = loop.losses_and_gradients
    monkeypatch.setattr(loop, "losses_and_gradients", overflowing)
    with pytest.raises(TrainingError, match=r"gradient is not finite at step 3") as error:
        quiet(ready, recipe, tmp_path / "run")
    assert batches[-1][0] in str(error.value)
    tensors, state = load_checkpoint(tmp_path / "run" / "last.safetensors")
    assert state["step"] == 2
    assert all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values())


def test_a_gradient_too_long_for_a_number_is_clipped_to_nothing(short, tmp_path, monkeypatch):
    ready, recipe = short()

    def enormous(workers, network, batch, recipe, step, progress):
        losses = losses_and_gradients(workers, network, batch, recipe, step, progress)
        if step == 2:
            next(network.parameters()).grad[0, 0] = 1e20
        return losses

    losses_and_gradients = loop.losses_and_gradients
    monkeypatch.setattr(loop, "losses_and_gradients", enormous)
    assert quiet(ready, recipe, tmp_path / "run").is_file()


def test_prep_under_a_running_training_takes_nothing_away(short, tmp_path, monkeypatch):
    ready, recipe = short()
    folder = tmp_path / "data" / ready.folder.name
    shutil.copytree(ready.folder, folder)
    moved = replace(ready, folder=folder)

    def removing(*arguments):
        shutil.rmtree(folder / "features", ignore_errors=True)
        return learning_rate(*arguments)

    monkeypatch.setattr(loop, "learning_rate", removing)
    assert quiet(moved, recipe, tmp_path / "run").is_file()


def test_training_stops_early_and_keeps_the_best(short, tmp_path, monkeypatch):
    ready, recipe = short(patience=2)
    recipe = replace(recipe, training=replace(recipe.training, epochs=20))
    rates = iter([5, 3, 9, 9, 9, 9])
    score = dev_score.DevScore(0, 10, 1.0, 0.5)
    monkeypatch.setattr(loop, "dev_score", lambda *_: replace(score, errors=next(rates)))
    lines = []
    train(ready, recipe, tmp_path / "run", report=lines.append)
    assert "stopping" in lines[-1]
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 4
    assert load_checkpoint(tmp_path / "run" / "best.safetensors")[1]["best"][2] == 1


def test_a_handful_of_recordings_chooses_no_epoch(short, tmp_path, monkeypatch):
    """Of four clips of dev one epoch or another has all right, mostly an early one."""
    ready, recipe = short("classify")
    assert len(ready.utterances("dev")) > 0
    rates = iter(range(EPOCHS))
    monkeypatch.setattr(loop, "dev_score", lambda *_: dev_score.DevScore(next(rates), 100, 1.0, 0.0))
    monkeypatch.setattr(loop, "_ENOUGH", len(ready.utterances("dev")) + 1)
    lines = []
    train(ready, recipe, tmp_path / "run", report=lines.append)
    assert any("too few to choose an epoch by" in line for line in lines)
    assert load_checkpoint(tmp_path / "run" / "best.safetensors")[1]["best"][2] == EPOCHS - 1


def test_the_log_tells_a_blank_plateau_from_a_broken_start(short):
    _, recipe = short()
    stuck = dev_score.DevScore(100, 100, 3.0, 1.0)
    metrics = {"epoch": 1, "step": 10, "train_loss": 3.0, "frames_per_second": 1}
    line = loop.epoch_line(metrics, stuck, recipe, 1000, dev="dev")
    assert "blank 100 %" in line
    assert "normal until about step 500" in line
    assert "still on the blank plateau" in loop.epoch_line({**metrics, "step": 900}, stuck, recipe, 1000, dev="dev")
    assert "plateau" not in loop.epoch_line(metrics, dev_score.DevScore(5, 100, 0.1, 0.8), recipe, 1000, dev="dev")


def test_settings_that_do_nothing_are_told(short, tmp_path):
    ready, recipe = short("classify")
    recipe = replace(recipe, model=replace(recipe.model, activation="relu"))
    assert recipe.model.cell != "rnn"
    lines = []
    train(ready, replace(recipe, training=replace(recipe.training, epochs=1)), tmp_path / "run", report=lines.append)
    assert any("model.activation = 'relu' does nothing with model.cell = 'lstm'" in line for line in lines)


def test_a_label_of_noise_that_nothing_has_is_told(short, tmp_path):
    ready, recipe = short("classify")
    lines = []
    recipe = replace(recipe, augment=replace(recipe.augment, noise_label="hum"))
    train(ready, recipe, tmp_path / "run", report=lines.append)
    assert any("nothing is labelled 'hum'" in line for line in lines)


def test_what_is_kept_is_an_average_of_the_last_steps_weights():
    settings = TrainingSettings(average=2.0)
    shares = [loop.newest_share(step, 50, settings) for step in range(3000)]
    assert all(a >= b for a, b in itertools.pairwise(shares))
    assert shares[0] == pytest.approx(10 / 11)
    assert shares[-1] == 1 / 100, "over about two epochs"
    assert loop.newest_share(999, 50, TrainingSettings(average=0.0)) == 1.0
    a, b = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    expected = 0.75 * a.weight + 0.25 * b.weight
    Run(Path(), network=b, averaged=a, optimiser=torch.optim.SGD(b.parameters()), state={}).average(0.25)
    torch.testing.assert_close(a.weight, expected)


def test_every_epoch_is_on_disk_for_people_and_for_tensorboard(short, tmp_path):
    ready, recipe = short()
    quiet(ready, recipe, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert {"train_loss", "dev_loss", "dev_error_rate", "blank_share", "learning_rate"} <= lines[0].keys()
    assert list((tmp_path / "run" / "tensorboard").glob("events.*"))


def test_cuda_that_is_not_there_is_one_clear_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match="--device cpu"):
        loop.choose_device("cuda")
    assert loop.choose_device("auto").type == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_a_gpu_trains_too(short, tmp_path):
    ready, recipe = short(device="cuda")
    assert quiet(ready, recipe, tmp_path / "run").exists()


def test_the_learning_rate_rises_then_falls_and_depends_on_the_step_alone():
    settings = TrainingSettings(learning_rate=1.0, warmup=0.1)
    rates = [learning_rate(step, 1000, settings) for step in range(1000)]
    assert rates[0] == 0.01
    assert rates[99] == rates[100] == 1.0 == max(rates)
    assert all(a < b for a, b in itertools.pairwise(rates[:100]))
    assert all(a >= b for a, b in itertools.pairwise(rates[100:]))
    assert rates[-1] == pytest.approx(0.01, abs=1e-4)
    assert learning_rate(0, 1, TrainingSettings(warmup=0.0)) > 0


def test_a_final_rate_of_one_keeps_the_rate_where_it_is():
    settings = TrainingSettings(warmup=0.0, final_rate=1.0)
    assert {learning_rate(step, 50, settings) for step in range(1, 50)} == {settings.learning_rate}


def test_normalised_features_of_the_training_set_have_mean_0_and_deviation_1(short):
    ready, recipe = short("classify")
    train_set, _ = loop.train_and_dev(ready, recipe)
    network = loop.untrained_network(recipe, train_set, len(ready.vocabulary))
    x = torch.cat([(train_set.batch([i]).features[0] - network.mean) * network.scale for i in range(len(train_set))])
    torch.testing.assert_close(x.mean(dim=0), torch.zeros(12), rtol=0, atol=1e-3)
    torch.testing.assert_close(x.std(dim=0), torch.ones(12), rtol=1e-2, atol=0)


def test_a_step_heeds_its_settings():
    augment = AugmentSettings(easy_first=0.5)
    recipe = SimpleNamespace(
        task="spot",
        augment=augment,
        spotting=SpottingSettings(pooling="max"),
        training=TrainingSettings(label_smoothing=0.1, consistency=0.3),
    )
    workers = SimpleNamespace(losses_and_gradients=lambda *_, **settings: settings)
    found = loop.losses_and_gradients(workers, torch.nn.Linear(1, 1), None, recipe, 7, 0.1)
    assert 0 < augment.strength(0.1) < 1
    assert found == {
        "smoothing": 0.1,
        "middle_ctc": 0.0,
        "consistency": pytest.approx(0.3 * augment.strength(0.1)),
        "pooling": "max",
    }


def test_what_is_scored_and_kept_is_the_average(short, tmp_path, monkeypatch):
    ready, recipe = short("classify")
    errors, scored = itertools.count(9, -1), []

    def score(network, *_):
        scored.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return dev_score.DevScore(next(errors), 10, 1.0, 0.0)

    monkeypatch.setattr(loop, "dev_score", score)
    quiet(ready, recipe, tmp_path / "run")
    last, best = (load_checkpoint(tmp_path / "run" / f"{name}.safetensors")[0] for name in ("last", "best"))
    for name, tensor in best.items():
        assert torch.equal(tensor, last["averaged." + name])
        assert torch.equal(tensor, scored[-1][name])
    assert any(not torch.equal(tensor, last["network." + name]) for name, tensor in best.items())


def test_weights_decay_as_asked(short, tmp_path):
    for decay in (0.0, 0.5):
        quiet(*short("classify", weight_decay=decay), tmp_path / str(decay))
    sizes = [
        sum(
            float(t.square().sum())
            for n, t in load_checkpoint(tmp_path / str(d) / "last.safetensors")[0].items()
            if n.startswith("network.") and "weight" in n
        )
        for d in (0.0, 0.5)
    ]
    assert sizes[1] < 0.95 * sizes[0]


@pytest.mark.parametrize("task", ["transcribe", "classify", "label"])
def test_the_dev_score_is_of_utterances_whatever_the_batches(short, task):
    ready, recipe = short(task)
    train_set, dev_set = loop.train_and_dev(ready, recipe)
    network = loop.untrained_network(recipe, train_set, len(ready.vocabulary))
    with Workers(1) as workers:
        one, all_ = (dev_score.dev_score(network, dev_set, size, torch.device("cpu"), workers) for size in (1, 100))
    assert one.loss == pytest.approx(all_.loss, rel=1e-4)
    assert (one.errors, one.reference_length) == (all_.errors, all_.reference_length)


def test_each_epoch_has_its_order_and_each_step_its_progress(short, tmp_path, monkeypatch):
    ready, recipe = short("classify")
    epochs, shares = [], []
    order, batch = loop.Dataset.order, loop.Dataset.batch
    monkeypatch.setattr(
        loop.Dataset, "order", lambda self, *, seed, epoch: epochs.append(epoch) or order(self, seed=seed, epoch=epoch)
    )

    def spied(self, indices, rng=None, progress=1.0):
        if rng is not None:
            shares.append(progress)
        return batch(self, indices, rng, progress)

    monkeypatch.setattr(loop.Dataset, "batch", spied)
    quiet(ready, recipe, tmp_path / "run")
    assert epochs == [0, 0, 1, 2]
    assert shares == [step / len(shares) for step in range(len(shares))]


def test_the_optimiser_is_that_of_the_page(short, tmp_path, monkeypatch):
    """AdamW as docs/equations/optimiser.py has it (equal to torch's in test_equations.py), and with its numbers."""
    made, adamw = [], torch.optim.AdamW

    def spied(*arguments, **settings):
        made.append(adamw(*arguments, **settings))
        return made[0]

    monkeypatch.setattr(torch.optim, "AdamW", spied)
    quiet(*short("classify", weight_decay=0.25), tmp_path / "run")
    (group,) = made[0].param_groups
    assert (group["betas"], group["eps"], group["weight_decay"]) == ((0.9, 0.999), 1e-8, 0.25)
    assert not group["amsgrad"]


def test_gradients_are_clipped(short, tmp_path, monkeypatch):
    ready, recipe = short("classify", clip_norm=0.01)
    norms, average = [], Run.average

    def seen(run, share):
        norms.append(math.sqrt(sum(float(p.grad.square().sum()) for p in run.network.parameters())))
        average(run, share)

    monkeypatch.setattr(Run, "average", seen)
    quiet(ready, recipe, tmp_path / "run")
    assert max(norms) == pytest.approx(0.01, rel=1e-3)
