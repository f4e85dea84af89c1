"""Whole processes side by side: from Enter to the end, and their peak memory.

`audiornn --help`, and `audiornn transcribe` of two seconds with a 2 × 128 bidirectional LSTM of random weights, against
a plain script that does the same work with torch and librosa: load, MFCC, LSTM, greedy CTC.
"""

from __future__ import annotations

import string
import sys
import tempfile
from pathlib import Path

import numpy as np
from measure import Report, arguments, processes_in_turns, run_process

SAMPLE_RATE, SECONDS = 16000, 2
HEAVY = ("numpy", "scipy", "soundfile", "soxr", "onnxruntime", "torch", "torchaudio", "librosa", "numba", "matplotlib")
NEVER = {"--help": ("numpy", "torch"), "transcribe": ("torch", "librosa", "matplotlib")}
LIMITS = {"--help": (0.15, None), "transcribe": (0.7, 160)}  # seconds, MiB

USUAL_SCRIPT = """
import sys

import librosa
import torch
from torch import nn

class Recogniser(nn.Module):
    def __init__(self, n_symbols):
        super().__init__()
        self.lstm = nn.LSTM(40, 128, 2, bidirectional=True, batch_first=True)
        self.output = nn.Linear(256, n_symbols)

    def forward(self, features):
        return self.output(self.lstm(features)[0]).log_softmax(-1)

checkpoint = torch.load(sys.argv[1])
network = Recogniser(len(checkpoint["symbols"]))
network.load_state_dict(checkpoint["weights"])
network.eval()
samples, rate = librosa.load(sys.argv[2], sr=16000)
features = librosa.feature.mfcc(y=samples, sr=rate, n_mfcc=40, n_mels=40, n_fft=400, hop_length=160)
with torch.inference_mode():
    best = network(torch.from_numpy(features.T)[None])[0].argmax(-1).unique_consecutive()
print("".join(checkpoint["symbols"][i] for i in best.tolist() if i != 0))
"""

# Run as `audiornn` would be, then say what was imported.
LIST_IMPORTS = """
import sys
from audiornn.cli import main
try:
    main(sys.argv[2:])
except SystemExit:
    pass
print("imported:", *(name for name in sys.argv[1].split(",") if name in sys.modules))
"""


def main() -> None:
    parser = arguments(__doc__, rounds=9)
    options = parser.parse_args()
    report = Report("startup", options.json)
    with tempfile.TemporaryDirectory() as folder:
        model, checkpoint, recording, script = write_files(Path(folder))
        audiornn = Path(sys.executable).with_name("audiornn")
        verbs = {"--help": ["--help"], "transcribe": ["transcribe", recording, "--model", model]}
        usual = [sys.executable, script, checkpoint, recording]
        timings = processes_in_turns(
            {
                "torch + librosa script": usual,
                **{f"audiornn {verb}": [audiornn, *arguments_] for verb, arguments_ in verbs.items()},
                "python -c pass, for comparison": [sys.executable, "-c", "pass"],
            },
            rounds=options.rounds,
        )
        report.table(f"Whole processes; the recording has {SECONDS} s", timings)
        print()
        measured = {timing.name: timing for timing in timings}
        for verb, arguments_ in verbs.items():
            listed = run_process([sys.executable, "-c", LIST_IMPORTS, ",".join(HEAVY), *arguments_])
            imported = listed.output.rsplit("imported:", 1)[1].split()
            never = [name for name in NEVER[verb] if name in imported]
            timing, (seconds, mebibytes) = measured[f"audiornn {verb}"], LIMITS[verb]
            within = timing.median <= seconds and (mebibytes is None or (timing.mebibytes or 0) <= mebibytes)
            report.note(
                f"audiornn {verb} imports {', '.join(imported) or 'none'} of {', '.join(HEAVY)}"
                + (f", and BREAKS its promise never to import {', '.join(never)}" if never else ""),
                imported=imported,
                promised=not never,
            )
            promise = f"{seconds:g} s" + (f" and {mebibytes} MiB" if mebibytes else "")
            report.note(f"audiornn {verb} {'keeps' if within else 'BREAKS'} its promise of {promise}", within=within)
    report.finish()


def write_files(folder: Path) -> tuple[Path, Path, Path, Path]:
    """A model file, a checkpoint of the same shape, a recording, and the plain script."""
    import soundfile
    import torch

    from audiornn.features import FeatureSettings
    from audiornn.model_file import ModelCard
    from audiornn.settings import NetworkSettings
    from audiornn.train.export import write_model_file
    from audiornn.train.network import Network
    from audiornn.vocabulary import BLANK, Vocabulary

    symbols = (BLANK, *sorted(" '." + string.ascii_lowercase))
    torch.manual_seed(0)
    network = Network(
        NetworkSettings(n_layers=2, n_units=128), n_features=40, n_outputs=len(symbols), task="transcribe"
    ).eval()
    features = FeatureSettings(n_fft=400, win_length=400, hop_length=160, n_mels=40, n_mfcc=40)
    card = ModelCard("transcribe", features, Vocabulary(symbols, "character"))
    write_model_file(folder / "model.onnx", network, card)

    lstm = torch.nn.LSTM(40, 128, 2, bidirectional=True)
    weights = {f"lstm.{name}": weight for name, weight in lstm.state_dict().items()}
    weights |= {f"output.{name}": weight for name, weight in network.output.state_dict().items()}
    torch.save({"weights": weights, "symbols": list(symbols)}, folder / "checkpoint.pt")

    rng = np.random.default_rng(0)
    samples = 0.1 * rng.standard_normal(SECONDS * SAMPLE_RATE)
    soundfile.write(folder / "recording.wav", samples, SAMPLE_RATE)
    (folder / "script.py").write_text(USUAL_SCRIPT, encoding="utf-8")
    return folder / "model.onnx", folder / "checkpoint.pt", folder / "recording.wav", folder / "script.py"


if __name__ == "__main__":
    main()
