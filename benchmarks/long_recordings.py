"""An hour of audio: speed, memory, and whether it is heard as in a single pass.

The recordings of a folder are strung together (`--audio DIR`, real speech by choice; else speech-like noise), and
`audiornn transcribe` hears ten minutes and an hour of them, each in a process of its own, with a 2 × 128 bidirectional
LSTM of random weights or with `--model`. Then twenty minutes are compared with a single pass, frame by frame and word
by word: the sweeps that `transcribe` makes, windows with context (the usual way), and streams with a look-ahead.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import soundfile
from measure import Report, arguments, processes_in_turns, run_process

from audiornn.audio import EXTENSIONS, Waveform, load_audio
from audiornn.errors import AudioError
from audiornn.features import FeatureExtractor, Features, FeatureSettings
from audiornn.listen.recognizer import Recognizer, load_model
from audiornn.listen.results import TimedLabel
from audiornn.listen.streaming import swept
from audiornn.listen.words import reader_of

START_UP_MEBIBYTES, LEAST_SPEED, MOST_GROWTH = 250, 100, 1.10


def main() -> None:
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--audio", type=Path, metavar="DIR", help="recordings to string together")
    parser.add_argument("--model", type=Path, metavar="FILE", help="a bidirectional model that transcribes")
    parser.add_argument("--minutes", type=float, default=20, help="to compare with a single pass (20; 0: none)")
    options = parser.parse_args()
    report = Report("long_recordings", options.json)
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or random_model(Path(folder))
        recognizer = load_model(model)
        rate = recognizer.card.features.sample_rate
        recordings = {}
        for name, minutes in (("2 s", 1 / 30), ("10 minutes", 10), ("an hour", 60)):
            path = Path(folder) / f"{name}.wav"
            with soundfile.SoundFile(path, "w", rate, 1, "PCM_16") as out:
                for samples in speech(options.audio, rate, minutes * 60):
                    out.write(samples)
            recordings[name] = path
        audiornn = Path(sys.executable).with_name("audiornn")
        timings = processes_in_turns(
            {name: [audiornn, "transcribe", path, "--model", model] for name, path in recordings.items()},
            rounds=options.rounds,
        )
        report.table("Whole processes, all cores", timings)
        _, ten, hour = timings
        base = run_process([audiornn, "info", model]).mebibytes
        added = [(timing.mebibytes or 0) - base for timing in (ten, hour)]
        speed = 3600 / hour.median
        growth = (hour.mebibytes or 0) / (ten.mebibytes or 1)
        report.note(
            f"{speed:.0f} times real time; {added[1]:.0f} MiB above start-up ({base:.0f}); an hour takes {growth:.2f} "
            f"times the memory of ten minutes",
            speed=speed,
            mebibytes_above_start=added[1],
            growth=growth,
            within=speed >= LEAST_SPEED and added[1] <= START_UP_MEBIBYTES and growth <= MOST_GROWTH,
        )
        if options.minutes > 0:
            compare(report, recognizer, options.audio, options.minutes)
    report.finish()


def compare(report: Report, recognizer: Recognizer, audio: Path | None, minutes: float) -> None:
    """Each way of hearing a recording in pieces against the single pass."""
    card = recognizer.card
    waveform = np.concatenate(list(speech(audio, card.features.sample_rate, minutes * 60)))
    features = FeatureExtractor(card.features)(waveform)
    duration = len(waveform) / card.features.sample_rate

    def read(blocks: Iterable[Features]) -> tuple[list[TimedLabel], Features, float]:
        reader, words, said = reader_of(card), [], []
        began = time.perf_counter()
        for block in blocks:
            words += reader.push(block)
            said.append(block)
        return words + reader.finish(duration), np.concatenate(said), time.perf_counter() - began

    whole, log_probs, seconds = read(recognizer.log_probs(f) for f in [features])
    heading = f"{minutes:g} minutes against a single pass ({len(whole):,} words, {seconds:.1f} s)"
    print(f"\n{heading}\n  {'':34}  {'frames differ':>14}  {'words differ':>12}  {'seconds':>8}")
    ways: dict[str, Iterable[Features]] = {"swept, one thread": swept(recognizer._hearing.network, [features], 1)}
    for context in (0, 1, 2, 5, 10):
        ways[f"windows of 20 s, context {context} s"] = windows(recognizer, features, context)
    for look_ahead in (0.1, 0.3, 1, 3, 5):
        ways[f"stream, look-ahead {look_ahead:g} s"] = streamed(recognizer, features, look_ahead)
    rows = []
    for name, blocks in ways.items():
        words, found, seconds = read(blocks)
        n_frames = int((found.argmax(axis=1) != log_probs.argmax(axis=1)).sum())
        n_words = word_edits([word.label for word in whole], [word.label for word in words])
        print(
            f"  {name:34}  {n_frames:6,} {100 * n_frames / len(found):5.2f} %  {n_words:12,}  {seconds:8.1f}",
            flush=True,
        )
        rows.append({"name": name, "frames": n_frames, "words": n_words, "seconds": seconds})
    report.tables.append({"title": heading, "words": len(whole), "rows": rows})


def windows(recognizer: Recognizer, features: Features, context: float) -> Iterator[Features]:
    """The usual way: windows that overlap, of which the middle is kept."""
    card = recognizer.card
    step, margin = (round(seconds / card.output_seconds) * card.stride for seconds in (20.0, context))
    for begin in range(0, len(features), step):
        first = max(0, begin - margin)
        said = recognizer.log_probs(features[first : begin + step + margin])
        n_kept = -(-min(step, len(features) - begin) // card.stride)
        yield said[(begin - first) // card.stride :][:n_kept]


def streamed(recognizer: Recognizer, features: Features, look_ahead: float) -> Iterator[Features]:
    stream = recognizer._hearing.stream(look_ahead)
    for begin in range(0, len(features), 100):
        yield stream.push(features[begin : begin + 100])
    yield stream.finish()


def word_edits(reference: list[str], hypothesis: list[str]) -> int:
    """Words that differ, in the stretches that do."""
    codes = SequenceMatcher(None, reference, hypothesis, autojunk=False).get_opcodes()
    return sum(max(b - a, d - c) for kind, a, b, c, d in codes if kind != "equal")


def speech(folder: Path | None, rate: int, seconds: float) -> Iterator[Waveform]:
    """Recordings one after the other, in an order of chance, again and again until there is enough."""
    n_left = round(seconds * rate)
    rng = np.random.default_rng(1)
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in EXTENSIONS) if folder else []
    if folder and not files:
        raise SystemExit(f"{folder}: holds no recordings")
    while n_left > 0:
        if not files:
            level = 0.05 * np.repeat(rng.random(100), rate // 10)
            waveform = (level * rng.standard_normal(len(level))).astype(np.float32)
            yield waveform[:n_left]
            n_left -= len(waveform)
            continue
        for i in rng.permutation(len(files)):
            try:
                waveform = load_audio(files[i], rate)
            except AudioError:
                continue  # a corpus may hold a broken file; the strings do without
            yield waveform[:n_left]
            n_left -= len(waveform)
            if n_left <= 0:
                return


def random_model(folder: Path) -> Path:
    """A 2 × 128 bidirectional LSTM of random weights, an output a frame: the most work there is for a recording."""
    import torch

    from audiornn.model_file import ModelCard
    from audiornn.settings import NetworkSettings
    from audiornn.train.export import write_model_file
    from audiornn.train.network import Network
    from audiornn.vocabulary import BLANK, Vocabulary

    torch.manual_seed(0)
    symbols = (BLANK, *" ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    settings, features = NetworkSettings(n_layers=2, n_units=128), FeatureSettings(n_mfcc=40)
    network = Network(settings, n_features=40, n_outputs=len(symbols), task="transcribe").eval()
    write_model_file(
        folder / "model.onnx", network, ModelCard("transcribe", features, Vocabulary(symbols, "character"))
    )
    return folder / "model.onnx"


if __name__ == "__main__":
    main()
