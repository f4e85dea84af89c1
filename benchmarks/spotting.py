"""A spotter that listens for an hour: the share of one core that it takes, and whether its memory stays flat.

The network is a spotter's default (log-mel, four convolutions, 2 × 128 LSTM of one direction, an output every 30 ms)
with random weights, or any model of yours. Samples come in steps of 80 ms, as from a microphone. Time is the process's
own on the CPU, so that a busy machine changes little.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import Report, arguments

from audiornn.features import FeatureSettings
from audiornn.listen.recognizer import Recognizer, load_model

STEP_SECONDS = 0.08
MOST_SHARE = 0.01  # of one core
MOST_GROWTH = 2.0  # MiB from the first minute to the last


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--model", type=Path, help="a spotter of yours")
    parser.add_argument("--minutes", type=float, default=60.0, help="of audio (60)")
    options = parser.parse_args()
    report = Report("spotting", options.json)
    with tempfile.TemporaryDirectory() as folder:
        model = load_model(options.model or default_spotter(Path(folder)))
    share, growth = listen(model, options.minutes)
    print(
        f"\n  {options.minutes:g} minutes in steps of {1000 * STEP_SECONDS:g} ms: {100 * share:.2f} % of one core "
        f"(at most {100 * MOST_SHARE:g}), {growth:+.1f} MiB from the first minute to the last"
    )
    report.tables.append(
        {
            "title": f"spotting, {options.minutes:g} minutes",
            "share_of_a_core": share,
            "growth_mebibytes": growth,
            "within": bool(share <= MOST_SHARE and growth <= MOST_GROWTH),
        }
    )
    report.finish()


def listen(model: Recognizer, minutes: float) -> tuple[float, float]:
    """CPU seconds a second of audio, and growth of the process in MiB after the first minute."""
    rate = model.card.features.sample_rate
    draw = np.random.default_rng(0)
    minute = (0.1 * draw.standard_normal(60 * rate)).astype(np.float32)  # of noise: every step has work to do
    step = round(STEP_SECONDS * rate)
    stream = model.spotter()
    seconds, before = 0.0, 0.0
    for number in range(max(2, round(minutes))):
        began = time.process_time()
        for first in range(0, len(minute), step):
            stream.push(minute[first : first + step])
        seconds += time.process_time() - began
        if number == 0:
            before = resident()
    return seconds / (60 * max(2, round(minutes))), resident() - before


def resident() -> float:
    """MiB that the process holds now, where the system says; else the most it ever held."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text(encoding="utf-8").split()[1]) * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on macOS


def default_spotter(folder: Path) -> Path:
    """The network of `audiornn new --task spot`, of random weights."""
    import torch

    from audiornn.model_file import ModelCard
    from audiornn.settings import NetworkSettings
    from audiornn.train.export import write_model_file
    from audiornn.train.network import Network
    from audiornn.vocabulary import NO_LABEL, Vocabulary

    torch.manual_seed(0)
    settings = NetworkSettings(bidirectional=False, front="conv2d", front_layers=4, front_channels=24, stride=3)
    features = FeatureSettings(kind="log_mel")
    network = Network(settings, n_features=features.n_features, n_outputs=2, task="spot").eval()
    card = ModelCard(
        "label",
        features,
        Vocabulary((NO_LABEL, "computer"), "label"),
        stride=settings.stride,
        front_context=settings.front_context,
        spotting={"smoothing": 0.09, "thresholds": {"computer": [0.9, 0.45]}},
    )
    write_model_file(folder / "model.onnx", network, card)
    return folder / "model.onnx"


if __name__ == "__main__":
    main()
