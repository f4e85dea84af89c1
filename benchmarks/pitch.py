"""Pitch side by side: librosa.pyin, and a network trained on synthetic voices, on real digits.

The reference is what pyin says of the frames that it calls voiced. It errs too: Praat's tracker is a third opinion.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import librosa
import numpy as np
from measure import Report, arguments, in_turns, optional
from threadpoolctl import threadpool_limits

from audiornn.audio import load_audio
from audiornn.corpus.tracks import PITCH, VOICING
from audiornn.evaluate.regression import PitchScore, pitch_score
from audiornn.listen.recognizer import Recognizer, load_model

RATE, HOP = 8000, 80
LOWEST, HIGHEST = 65.0, 520.0  # Hz: C2 to C5, where voices speak
FRAME = 320  # of pyin: 40 ms, with which it agrees best with Praat on AN4; its default of 2048 is a quarter of a second
USUAL = "librosa.pyin"


def main() -> None:
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("model", type=Path, help="a run of recipes/pitch, or its model file")
    parser.add_argument("recordings", type=Path, help="the folder of FSDD's recordings, or any other with short ones")
    parser.add_argument("--takes", default="0,1,2,3,4", help="FSDD's takes to listen to (its test: 0,1,2,3,4)")
    parser.add_argument("--frame-length", type=int, default=FRAME, metavar="N", help=f"pyin's, in samples ({FRAME})")
    options = parser.parse_args()
    model = load_model(options.model / "model.onnx" if options.model.is_dir() else options.model)
    files = chosen(options.recordings, options.takes.split(","))
    waveforms = [load_audio(file, RATE) for file in files]
    seconds = sum(map(len, waveforms)) / RATE
    report = Report("pitch", options.json)
    report.note(f"{len(files)} recordings, {seconds:.0f} s; pyin with frames of {options.frame_length} samples")

    by_pyin = [pyin(waveform, options.frame_length) for waveform in waveforms]
    tracks = [by_network(model, waveform) for waveform in waveforms]
    found, voiced = [octaves for octaves, _ in tracks], [heard for _, heard in tracks]
    show(report, "the network against pyin's voiced frames", pitch_score(by_pyin, found, voiced))
    for speaker in sorted({file.stem.split("_")[1] for file in files if file.stem.count("_") == 2}):
        own = [i for i, file in enumerate(files) if f"_{speaker}_" in file.name]
        show(report, f"  {speaker}", pitch_score([by_pyin[i] for i in own], [found[i] for i in own]))
    with optional("Praat"):
        by_praat = [praat(waveform) for waveform in waveforms]
        both = [agreed(a, b) for a, b in zip(by_pyin, by_praat, strict=True)]
        third = [np.where(np.isnan(octaves), 0.0, octaves) for octaves in by_praat]
        show(report, "Praat against pyin's voiced frames, where Praat hears a voice too", pitch_score(
            [np.where(np.isnan(b), np.nan, a) for a, b in zip(by_pyin, by_praat, strict=True)], third
        ))  # fmt: skip
        show(report, "the network where pyin and Praat agree within 50 cents", pitch_score(both, found))

    contenders = {
        USUAL: lambda: [pyin(waveform, options.frame_length) for waveform in waveforms],
        "audiornn track": lambda: [model.transcribe_waveform(waveform, RATE) for waveform in waveforms],
    }
    with threadpool_limits(1):
        timings = in_turns(contenders, rounds=options.rounds, work=dict.fromkeys(contenders, seconds))
    report.table("all recordings, samples in memory, one thread", timings, unit="seconds of audio")
    for timing in timings:
        report.note(f"real-time factor of {timing.name}: {timing.median / seconds:.5f}")
    report.finish()


def chosen(folder: Path, takes: Sequence[str]) -> list[Path]:
    """FSDD's recordings of some takes; all of another corpus."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".wav", ".flac", ".sph"))
    of_takes = [file for file in files if file.stem.count("_") == 2 and file.stem.split("_")[2] in takes]
    return of_takes or files


def pyin(waveform: np.ndarray, frame_length: int) -> np.ndarray:
    """log₂ of Hz every 10 ms, NaN where it hears no voice."""
    f0, voiced, _ = librosa.pyin(
        waveform, fmin=LOWEST, fmax=HIGHEST, sr=RATE, frame_length=frame_length, hop_length=HOP
    )
    return np.where(voiced, np.log2(np.where(voiced, f0, 1.0)), np.nan)


def by_network(model: Recognizer, waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log₂ of Hz every 10 ms, and where there is a voice."""
    tracks = model.track(waveform, RATE)
    times = [point.time for point in tracks.points]
    values = np.array([point.values for point in tracks.points])
    wanted = np.arange(1 + len(waveform) // HOP) * HOP / RATE
    octaves, voicing = (np.interp(wanted, times, values[:, tracks.names.index(name)]) for name in (PITCH, VOICING))
    return octaves, voicing >= 0.5


def praat(waveform: np.ndarray) -> np.ndarray:
    """log₂ of Hz every 10 ms by Praat's autocorrelation, NaN where it hears no voice."""
    import parselmouth

    sound = parselmouth.Sound(waveform.astype(float), RATE)
    pitch = sound.to_pitch_ac(time_step=HOP / RATE, pitch_floor=LOWEST, pitch_ceiling=HIGHEST)
    hertz = np.array([pitch.get_value_at_time(t * HOP / RATE) for t in range(1 + len(waveform) // HOP)])
    return np.log2(hertz)


def agreed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The first where the second is within 50 cents, else NaN."""
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(a - b) < 50 / 1200, a, np.nan)


def show(report: Report, what: str, score: PitchScore | None) -> None:
    if score is None:
        report.note(f"{what}: no voiced frame")
        return
    low, high = score.raw_pitch_interval
    report.note(
        f"{what}: raw pitch accuracy {100 * score.raw_pitch_accuracy:.2f} % ({100 * low:.2f}–{100 * high:.2f}) of "
        f"{score.voiced_frames:,} frames, octaves forgiven {100 * score.raw_chroma_accuracy:.2f} %"
        + (
            f", voicing recall {100 * score.voicing_recall:.1f} %, false alarm {100 * score.voicing_false_alarm:.1f} %"
            if score.voicing_recall is not None and score.voicing_false_alarm is not None
            else ""
        ),
        **vars(score),
    )


if __name__ == "__main__":
    main()
