"""Where there is speech: a model of the recipe `speech_activity` beside silero-vad, on the same recordings.

    audiornn prep recipes/speech_activity --corpus DIR && audiornn train && audiornn evaluate --tune
    python benchmarks/speech_activity.py --model runs/speech_activity/model.onnx

silero-vad (pip install silero-vad; its network comes with it) is heard twice: as `get_speech_timestamps` gives it, with
its own settings, and as a track of probabilities that becomes segments with what dev preferred, as ours did. All are
scored on the same frames of 10 ms. Times are of one thread, from samples in memory to segments; each network has heard
one recording before.
"""

# ruff: noqa: E402 - one thread, before anything loads numpy
from __future__ import annotations

import argparse
import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from audiornn.audio import EXTENSIONS, load_audio
from audiornn.corpus.manifest import Segment, Utterance, read_manifest
from audiornn.corpus.scenes import SPEECH, clean_recordings, speech_stretches
from audiornn.evaluate.segment_tuning import HeardFrames, tune_segments
from audiornn.evaluate.segments import SegmentCounts, compare_segments, score
from audiornn.features import FeatureSettings
from audiornn.listen.recognizer import load_model
from audiornn.listen.segments import SegmentReader, SegmentSettings
from audiornn.model_file import ModelCard
from audiornn.vocabulary import NO_LABEL, Vocabulary

RATE = 16_000
WINDOW = 512  # samples of one of silero's frames
SILERO = ModelCard(
    task="label",
    features=FeatureSettings(sample_rate=RATE, n_fft=WINDOW, win_length=WINDOW, hop_length=WINDOW),
    vocabulary=Vocabulary((NO_LABEL, SPEECH), "label"),
)
HALF = WINDOW / 2 / RATE  # seconds: its frames begin where ours are centred

System = Callable[[np.ndarray], Sequence[Segment]]


class Silero:
    """The package's own network, on onnxruntime with one thread."""

    def __init__(self) -> None:
        import torch
        from silero_vad import get_speech_timestamps, load_silero_vad

        torch.set_num_threads(1)
        self._tensor, self._timestamps = torch.from_numpy, get_speech_timestamps
        self._network = load_silero_vad(onnx=True)

    def timestamps(self, waveform: np.ndarray) -> list[Segment]:
        found = self._timestamps(self._tensor(waveform), self._network, sampling_rate=RATE)
        return [Segment(span["start"] / RATE, span["end"] / RATE, SPEECH) for span in found]

    def log_probs(self, waveform: np.ndarray) -> np.ndarray:
        self._network.reset_states()
        padded = np.pad(waveform, (0, -len(waveform) % WINDOW))
        speech = np.array([float(self._network(self._tensor(x), RATE)) for x in padded.reshape(-1, WINDOW)])
        return np.log(np.stack([1 - speech, speech], axis=1).clip(1e-6, 1)).astype(np.float32)

    def tuned(self, settings: SegmentSettings) -> System:
        def segments(waveform: np.ndarray) -> list[Segment]:
            reader = SegmentReader(SILERO, settings)
            found = [*reader.push(self.log_probs(waveform)), *reader.finish(len(waveform) / RATE)]
            return [Segment(s.start + HALF, s.end + HALF, SPEECH) for s in found]

        return segments


def tune_silero(silero: Silero, dev: Sequence[Utterance]) -> SegmentSettings:
    heard = []
    for utterance in dev:
        waveform = load_audio(utterance.audio, RATE)
        shifted = tuple(Segment(max(0.0, s.start - HALF), s.end - HALF, s.label) for s in utterance.segments)
        heard.append(HeardFrames(silero.log_probs(waveform), shifted, len(waveform) / RATE))
    return tune_segments(SILERO, heard).chosen.settings


def from_clean(folder: Path) -> list[Utterance]:
    """The clean recordings below a folder, with their own energy for the truth."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS)
    found = []
    for path in clean_recordings(paths, RATE):
        spans = speech_stretches(load_audio(path, RATE), RATE)
        found.append(Utterance(str(path), path, segments=tuple(Segment(a / RATE, b / RATE, SPEECH) for a, b in spans)))
    return found


@dataclass(frozen=True)
class Heard:
    """Counts of a recording, and seconds of listening and of sound."""

    counts: SegmentCounts
    listening: float
    sound: float


def hear(system: System, utterance: Utterance) -> Heard:
    waveform = load_audio(utterance.audio, RATE)
    begun = time.perf_counter()
    found = system(waveform)
    listening = time.perf_counter() - begun
    duration = len(waveform) / RATE
    centres = np.arange(0, duration, 0.01)
    counts = compare_segments(utterance.segments, found, (SPEECH,), centres, duration)
    return Heard(counts, listening, duration)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=Path("runs/speech_activity/model.onnx"))
    parser.add_argument("--data", type=Path, default=Path("data/speech_activity"), help="what prep made")
    parser.add_argument("--split", default="test")
    parser.add_argument("--untuned", action="store_true", help="silero-vad with its own settings only")
    parser.add_argument(
        "--recordings", type=Path, action="append", default=[], help="also clean recordings as they are"
    )
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    if model.card.features.sample_rate != RATE:
        raise SystemExit(
            f"{arguments.model}: takes {model.card.features.sample_rate} Hz; silero-vad is compared at {RATE}"
        )
    silero = Silero()
    systems: dict[str, System] = {
        "audiornn": lambda waveform: model.label(waveform, RATE).segments,
        "silero-vad": silero.timestamps,
    }
    if not arguments.untuned:
        tuned = tune_silero(silero, read_manifest(arguments.data / "dev.jsonl"))
        print(f"silero-vad, tuned on dev: {tuned.to_json()}")
        systems["silero-vad, tuned"] = silero.tuned(tuned)
    groups: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in read_manifest(arguments.data / f"{arguments.split}.jsonl"):
        _, snr, name = utterance.id.split("/")
        groups[snr].append(utterance)
        groups[f"{snr} {name.rpartition('_')[0]}"].append(utterance)
    for folder in arguments.recordings:
        groups[str(folder)] = from_clean(folder)
    card = replace(model.card, vocabulary=SILERO.vocabulary)
    print(f"{'':32} {'system':18} recordings  frame F1 (95 %)         event F1   detection error   real-time factor")
    everything = {u.id: u for utterances in groups.values() for u in utterances}
    heard: dict[str, dict[str, Heard]] = {}
    for name, system in systems.items():
        system(load_audio(next(iter(everything.values())).audio, RATE))
        heard[name] = {identifier: hear(system, utterance) for identifier, utterance in everything.items()}
    for group, utterances in groups.items():
        for name, by_id in heard.items():
            own = [by_id[utterance.id] for utterance in utterances]
            found = score(card, [each.counts for each in own])
            low, high = found.frame_f1.interval
            wrong = "–" if found.detection_error_rate is None else f"{found.detection_error_rate.value:.4f}"
            factor = sum(each.listening for each in own) / sum(each.sound for each in own)
            print(
                f"{group[-32:]:32} {name:18} {len(utterances):10,}  {found.frame_f1.value:.4f} ({low:.4f}–{high:.4f})  "
                f"{found.event_f1.value:8.4f}  {wrong:>16}  {factor:17.5f}"
            )


if __name__ == "__main__":
    main()
