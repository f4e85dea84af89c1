"""A streaming step: 80 ms of samples through `Stream.push`, against a bare onnxruntime call on the same graph.

The models are networks of one direction with random weights that mostly say blank, on one thread. A push computes the
features, runs the network with its state carried, decodes, and joins words; the bare call has its inputs ready and
throws away what it gets. By turns, so that either finds the other's data in the processor's cache.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from measure import Report, arguments

from audiornn.features import FeatureSettings
from audiornn.listen.recognizer import load_model

STEP_SECONDS = 0.08
MOST_RATIO, MOST_TAIL = 1.5, 3.0


def main() -> None:
    parser = arguments(__doc__, rounds=3000)
    options = parser.parse_args()
    report = Report("streaming", options.json)
    print(f"\n  {'':14}  {'bare call p50':>14}  {'push p50':>10}  {'ratio':>7}  {'push p99':>10}  {'p99/p50':>8}")
    for cell, n_layers, n_units in (("lstm", 2, 128), ("gru", 2, 128), ("lstm", 3, 256)):
        with tempfile.TemporaryDirectory() as folder:
            model = load_model(one_direction(Path(folder), cell, n_layers, n_units))
        bare, pushed = race(model, options.rounds)
        name = f"{cell} {n_layers} × {n_units}"
        p50, p99 = np.percentile(pushed, [50, 99])
        ratio, tail = p50 / np.median(bare), p99 / p50
        print(
            f"  {name:14}  {1e6 * np.median(bare):11.0f} µs  {1e6 * p50:7.0f} µs  {ratio:6.2f}×  {1e6 * p99:7.0f} µs  "
            f"{tail:7.2f}×"
        )
        report.tables.append(
            {
                "title": f"{name}: {STEP_SECONDS} s a step",
                "bare_p50": float(np.median(bare)),
                "push_p50": float(p50),
                "push_p99": float(p99),
                "within": bool(ratio <= MOST_RATIO and tail <= MOST_TAIL),
            }
        )
    report.finish()


def race(model: object, rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of each bare call and of each push, by turns."""
    settings = model.card.features  # type: ignore[attr-defined]
    samples = (0.1 * np.random.default_rng(0).standard_normal(round(STEP_SECONDS * settings.sample_rate))).astype(
        np.float32
    )
    n_frames = len(samples) // settings.hop_length
    session = model._session  # type: ignore[attr-defined]
    inputs = {
        "features": np.zeros((1, n_frames, settings.n_features), np.float32),
        "lengths": np.array([n_frames], np.int64),
        "state": model._hearing.network.silence,  # type: ignore[attr-defined]
    }
    stream = model.stream()  # type: ignore[attr-defined]
    bare, pushed = np.empty(rounds), np.empty(rounds)
    for i in range(-100, rounds):
        began = time.perf_counter()
        session.run(["log_probs", "next_state"], inputs)
        middle = time.perf_counter()
        stream.push(samples)
        ended = time.perf_counter()
        if i >= 0:
            bare[i], pushed[i] = middle - began, ended - middle
    return bare, pushed


def one_direction(folder: Path, cell: str, n_layers: int, n_units: int) -> Path:
    """A network of one direction, an output a frame."""
    import torch

    from audiornn.model_file import ModelCard
    from audiornn.settings import NetworkSettings
    from audiornn.train.export import write_model_file
    from audiornn.train.network import Network
    from audiornn.vocabulary import BLANK, Vocabulary

    torch.manual_seed(0)
    symbols = (BLANK, *" ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    settings = NetworkSettings(cell=cell, bidirectional=False, n_layers=n_layers, n_units=n_units)  # type: ignore[arg-type]
    network = Network(settings, n_features=20, n_outputs=len(symbols), task="transcribe").eval()
    with torch.no_grad():
        network.output.bias[0] += 1.0  # a trained network says blank most of the time
    write_model_file(
        folder / "model.onnx", network, ModelCard("transcribe", FeatureSettings(), Vocabulary(symbols, "character"))
    )
    return folder / "model.onnx"


if __name__ == "__main__":
    main()
