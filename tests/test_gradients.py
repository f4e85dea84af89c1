"""A gradient followed back is the gradient; the reach of a cell before training tells what it can learn to remember."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from audiornn.errors import SettingsError
from audiornn.evaluate.gradient_report import GradientCurve, GradientReport, MemoryRow, MemoryScore, reach
from audiornn.features import FeatureSettings
from audiornn.recipe import Recipe
from audiornn.settings import NetworkSettings
from audiornn.train import memory_task
from audiornn.train.gradients import _curve, cells_compared, followed_back, gradient_curve, layer_curves, run_curves
from audiornn.train.memory_task import N_ASKED, N_TONES, TONE_FRAMES, Sounds, memory_rows, recalls
from audiornn.train.network import Network, recurrent_cell
from audiornn.verbs.terminal import check_drawable
from tests.conftest import OUTPUTS, TASKS
from tests.test_network import CELLS
from tests.test_parallel import batch_of
from tests.test_parallel import network_of as trained_network_of

PNG = b"\x89PNG"
SETTINGS = FeatureSettings(sample_rate=8000, n_fft=256, win_length=200, hop_length=80, n_mels=20, n_mfcc=12)
VANILLA = NetworkSettings(cell="rnn", bidirectional=False, n_layers=1, n_units=32, dropout=0.0)
OPEN_LSTM = NetworkSettings(cell="lstm", bidirectional=False, n_layers=1, n_units=32, dropout=0.0, memory=60)


@pytest.fixture(scope="module")
def sounds():
    return Sounds(SETTINGS)


def layer_of(cell, seed=0):
    torch.manual_seed(seed)
    return recurrent_cell(NetworkSettings(**CELLS[cell], n_units=5), 3)


@pytest.mark.parametrize("cell", CELLS)
def test_what_comes_back_to_a_state_is_the_gradient_of_the_frames_from_there_on(cell):
    layer, frames = layer_of(cell), torch.tensor([11, 7])
    x, asked = torch.randn(12, 2, 3), torch.randn(2, 5)
    norms = followed_back(layer, x, asked, frames)
    double = layer_of(cell).double()
    for b, T in enumerate(frames.tolist()):
        assert norms[T, b] == pytest.approx(asked[b].norm().item())
        assert (norms[T + 1 :, b] == 0).all()
        for t in (0, 3, T - 1):
            with torch.no_grad():
                _, state = double(x[: t + 1, b : b + 1].double())
            parts = [p.requires_grad_() for p in (state if isinstance(state, tuple) else (state,))]
            out, _ = double(x[t + 1 : T + 1, b : b + 1].double(), tuple(parts) if len(parts) > 1 else parts[0])
            (out[-1, 0] * asked[b]).sum().backward()
            expected = sum(p.grad.square().sum() for p in parts).sqrt().item()
            assert norms[t, b] == pytest.approx(expected, rel=1e-9)


def test_a_vanilla_cells_gradient_is_the_product_of_its_jacobians():
    layer = layer_of("rnn_tanh").double()
    x, g = torch.randn(9, 1, 3).double(), torch.randn(1, 5).double()
    h = layer(x)[0].detach()[:, 0]
    expected, back = [1.0], g[0]
    for t in range(8, 0, -1):
        back = layer.weight_hh_l0.detach().T @ ((1 - h[t] ** 2) * back)
        expected.append((back.norm() / g.norm()).item())
    assert gradient_curve(layer, x, g, torch.tensor([8])) == pytest.approx(expected)


def test_a_curve_is_as_long_as_the_shortest_utterance_reaches_back_and_silence_has_no_say():
    layer, x, frames = layer_of("gru"), torch.randn(12, 3, 3), torch.tensor([11, 4, 9])
    asked = torch.randn(3, 5)
    curve = gradient_curve(layer, x, asked, frames)
    assert len(curve) == 5
    assert curve[0] == 1.0
    silent = torch.cat([asked, torch.zeros(1, 5)])
    with_silence = gradient_curve(layer, torch.cat([x, x[:, :1]], dim=1), silent, torch.tensor([11, 4, 9, 11]))
    assert with_silence == pytest.approx(curve)
    assert gradient_curve(layer, x, torch.zeros(3, 5), frames) == (0.0,) * 5


@pytest.mark.parametrize("task", TASKS)
def test_every_layer_and_direction_has_a_curve(task):
    network = trained_network_of(task)
    curves = layer_curves(network, batch_of(task), Recipe("any", task=task))
    assert [curve.layer for curve in curves] == ["1 forwards", "1 backwards", "2 forwards", "2 backwards"]
    for curve in curves:
        assert curve.norms[0] == 1.0
        assert len(curve.norms) >= 2
        assert 0 < curve.factor < 1


@pytest.mark.parametrize("task", TASKS)
def test_networks_that_learn_the_same_are_followed_back_over_the_same_frames(task):
    recipe, batch = Recipe("any", task=task), batch_of(task)
    for cell in CELLS.values():
        torch.manual_seed(3)
        settings = NetworkSettings(**cell, n_units=6, dropout=0.0)
        network = Network(settings, n_features=5, n_outputs=4, task=task)
        curves = layer_curves(network, batch, recipe)
        assert {len(curve.norms) for curve in curves} == {int(batch.feature_lengths.min())}, "T is the last frame"


def test_the_loss_is_followed_back_from_where_it_last_asks_something():
    layer, x, lengths = layer_of("gru"), torch.randn(12, 2, 3), torch.tensor([12, 10])
    asked = torch.zeros(12, 2, 5)
    asked[[3, 8], 0] = torch.randn(2, 5)
    asked[11, 0] = 1e-7  # rounding
    asked[2, 1] = 1.0  # in the first half; the second utterance is not felt from its middle on
    curve = _curve("any", layer, x, asked, lengths).norms
    assert curve == pytest.approx(gradient_curve(layer, x[:, :1], asked[8, :1], torch.tensor([8]))[:6])


@given(st.lists(st.floats(0, 2), max_size=20), st.floats(1e-3, 1))
def test_reach_is_the_last_lag_before_the_first_that_is_below(norms, level):
    norms = [2.0, *norms]
    found = reach(norms, level)
    assert all(norm >= level for norm in norms[: found + 1])
    assert found == len(norms) - 1 or norms[found + 1] < level


# --- the memory task ---


def test_a_tone_comes_first_and_only_noise_after_it(sounds):
    features, tones = sounds.batch(40, 200, np.random.default_rng(0))
    assert features.shape == (200, TONE_FRAMES + 40, 12)
    assert sorted(set(tones.tolist())) == list(range(N_TONES))
    means = torch.stack([features[tones == tone, :TONE_FRAMES].mean(dim=(0, 1)) for tone in range(N_TONES)])
    nearest = torch.cdist(features[:, :TONE_FRAMES].mean(dim=1), means).argmin(dim=1)
    assert torch.equal(nearest, tones), "each tone is told from its ten frames"
    noise = torch.from_numpy(sounds.noise)
    spread = noise.std(dim=0)
    for tone in range(N_TONES):  # what follows says nothing of it
        after = features[tones == tone, TONE_FRAMES:]
        assert ((after.mean(dim=(0, 1)) - noise.mean(dim=0)).abs() < spread / 4).all()


def test_the_vanilla_cell_forgets_what_an_open_gate_holds(sounds):
    near, far = (recalls(VANILLA, sounds, lag, n_steps=60, seed=1) for lag in (2, 60))
    held = recalls(OPEN_LSTM, sounds, 60, n_steps=120, seed=1)
    assert near.right > 0.95 * N_ASKED
    assert far.right < 0.5 * N_ASKED
    assert held.right > 0.95 * N_ASKED
    assert held.steps < 120, "it stops once the task is solved"
    assert recalls(VANILLA, sounds, 2, n_steps=60, seed=1) == near, "the seed is the only source of chance"


def test_what_the_gradient_before_training_predicts(monkeypatch):
    def untrained(model, sounds, lag, n_steps, seed):
        return MemoryScore(lag, seed, n_steps, N_ASKED // N_TONES, N_ASKED)

    monkeypatch.setattr(memory_task, "recalls", untrained)
    lines = []
    rows = {row.cell: row for row in memory_rows(SETTINGS, [2, 60], 400, [1], lines.append)}
    assert len(lines) == 2 * len(rows) == 14
    assert rows["rnn logistic"].predicted < rows["rnn tanh"].predicted < 20
    assert rows["lstm, gates half open"].predicted < 20
    for cell in ("lstm, gates open", "gru, gates open"):
        assert rows[cell].predicted >= 60
    factors = {name: row.norms[20] ** (1 / 20) for name, row in rows.items()}  # a frame, as docs/gradients.md derives
    assert factors["rnn relu"] == pytest.approx((1 / 6) ** 0.5, rel=0.1)
    assert 0.8 < factors["rnn tanh"] / (1 / 3) ** 0.5 < 1
    assert 0.8 < factors["rnn logistic"] / (1 / 48) ** 0.5 < 1
    with pytest.raises(SettingsError, match="--lags 100000"):
        memory_rows(SETTINGS, [100_000], 3, [1], lines.append)


def test_the_lags_are_enough_noise_away_whatever_a_frame_is():
    coarse = FeatureSettings(sample_rate=1000, n_fft=64, win_length=40, hop_length=40, n_mels=8, n_mfcc=4)  # of 40 ms
    features, _ = Sounds(coarse).batch(1500, 2, np.random.default_rng(0))
    assert features.shape == (2, TONE_FRAMES + 1500, 4)


# --- the report and the verb ---


def test_a_report_shows_what_was_counted(tmp_path):
    curve = GradientCurve("lstm", "before", (1.0, 0.5, 0.25))
    trained = GradientCurve("lstm", "9 steps, clipped", (1.0, 0.9), loss=1.5, clipped=0.25, longest=7.0)
    scores = (MemoryScore(10, 1, 400, 250, 256), MemoryScore(10, 2, 400, 200, 256), MemoryScore(20, 1, 9, 64, 256))
    row = MemoryRow("gru", (1.0, 0.1), 12, scores)
    report = GradientReport("title", 0.01, (curve, trained), (row,), "which tone", 0.25)
    assert curve.factor == pytest.approx(0.5)
    assert row.counts(10) == (450, 512)
    text = report.text()
    for word in ("0.500", "5.0e-01", "25.0 %", "1.500", "450/512", "87.9 %", "25.0 %", "64/256", "which tone"):
        assert word in text
    first, second, third = report.json_objects()
    assert first["gradient"]["norms"] == (1.0, 0.5, 0.25)
    assert second["gradient"]["clipped"] == 0.25
    assert third["memory"]["scores"][0]["right"] == 250
    report.draw(tmp_path / "a.png")
    report.draw(tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == PNG
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_cells_that_remember_alike_are_both_seen_and_a_prediction_of_nothing_is_not_drawn():
    scores = tuple(MemoryScore(lag, 1, 9, 256, 256) for lag in (5, 10))
    rows = tuple(MemoryRow(cell, (1.0, 0.1), predicted, scores) for cell, predicted in (("lstm", 0), ("gru", 7)))
    axes = Figure().subplots()
    GradientReport("title", 0.01, (), rows, "which tone", 0.25)._draw_memory(axes)
    below, above = (container.lines[0] for container in axes.containers)
    assert below.get_xydata().tolist() == above.get_xydata().tolist()
    assert (below.get_linestyle(), above.get_linestyle()) == ("-", "--")
    assert above.get_markerfacecolor() == "none"
    assert above.get_zorder() > below.get_zorder()
    assert [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"] == [7]


@pytest.mark.parametrize(
    "task", [TASKS[0], *(pytest.param(task, marks=pytest.mark.slow) for task in (*TASKS[1:], *OUTPUTS))]
)
def test_a_recipe_is_measured_with_every_cell(prepared, works, world, tmp_path, task):
    prepared(task)
    picture = tmp_path / "picture.png"
    command = ["gradients", f"tones_{task}", "--data", world.data, "--lags", "3", "--steps", "2", "--output", picture]
    entries = [json.loads(line) for line in works(*command, "--format", "json").splitlines()]
    curves = [entry["gradient"] for entry in entries if "gradient" in entry]
    assert [curve["layer"] for curve in curves] == [cell for cell in ("rnn tanh", "lstm", "gru") for _ in range(3)]
    assert {curve["training"] for curve in curves} == {"before", "2 steps, clipped", "2 steps, not clipped"}
    assert len([entry for entry in entries if "memory" in entry]) == 7
    assert picture.read_bytes()[:4] == PNG


def test_a_spotters_run_and_recipe_are_measured(spotter_world):
    world = spotter_world
    curves = run_curves(world.model.parent, world.prepared, world.recipe)
    assert {curve.training for curve in curves} == {"before", "trained"}
    assert all(curve.norms[0] == 1.0 for curve in curves)
    compared = list(cells_compared(world.prepared, world.recipe, 1, lambda line: None))
    assert len(compared) == 9
    assert all(curve.loss > 0 for curve in compared if curve.training != "before")


def test_a_picture_is_a_png_by_its_name(fails, tmp_path):
    for name in ("run_0.5", "det.v2", "plain", "a.png"):
        check_drawable(tmp_path / name)
    fails("gradients", "--output", tmp_path / "g.jpg", said=["g.jpg: pictures are written as PNG; call it g.png"])


def test_a_run_is_measured_as_it_is(model_file, run, world, works, fails, tmp_path):
    run_dir = model_file("label").parent
    picture = tmp_path / "picture.png"
    out = works("gradients", run_dir, "--data", world.data, "--output", picture)
    for curve in ("1 forwards   before", "1 forwards   trained", "1 backwards  before", "1 backwards  trained"):
        assert f"lstm {curve}" in out
    assert picture.read_bytes()[:4] == PNG
    fails("gradients", run_dir, "--data", world.data, "--set", "model.n_units=3", said=["--set", run_dir])
    fails("gradients", run_dir, "--data", world.data, "--lags", "7", "--steps", "3", said=["--lags, --steps is for"])
    code, _, err = run("gradients", run_dir, "--lags", "5,5")
    assert code == 2
    assert "names a number twice" in err
    code, _, err = run("gradients", "--seeds", f"{1 << 32}")
    assert code == 2
    assert "0…4,294,967,295" in err
    fails("gradients", "nothing", "--data", world.data, said=["nothing", "prep"])


def test_what_cannot_be_measured_is_told_before_anything_is(prepared, fails, world, tmp_path):
    ready = prepared("label")
    name = ready.folder.name
    fails("gradients", name, "--data", world.data, "--lags", "5,100000", said=["--lags 100000"])
    mistyped = tmp_path / "runs" / name  # no run, and not the recipe of its name either
    fails("gradients", mistyped, "--data", world.data, said=["neither a run", "nor a recipe", f"name alone: {name}"])
    mistyped.mkdir(parents=True)
    (mistyped / "recipe.json").write_text(json.dumps(ready.recipe.to_json()))
    fails("gradients", mistyped, "--data", world.data, said=[mistyped, "no epoch of its training is over"])


def test_a_run_that_started_from_another_has_no_weights_of_its_own_before(model_file, world, prepared):
    ready, run_dir = prepared("label"), model_file("label").parent
    started = replace(ready.recipe, training=replace(ready.recipe.training, start="another"))
    assert {curve.training for curve in run_curves(run_dir, ready, started)} == {"trained"}
