"""MFCCs side by side: librosa, torchaudio, kaldi-native-fbank and audiornn.

40 coefficients of 40 mel bands, windows of 25 ms every 10 ms, 16 kHz. The usual way is `librosa.feature.mfcc`, a clip
at a time.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from measure import Report, Timing, arguments, in_turns, optional, peak_mebibytes, processes_in_turns, run_process

SAMPLE_RATE, WINDOW, HOP, N_MELS, N_MFCC = 16000, 400, 160, 40, 40
USUAL = "librosa.feature.mfcc, a clip at a time"
TOLERANCE = 1e-4  # absolute and relative, as the tests hold audiornn to librosa


def main() -> None:
    parser = arguments(__doc__, rounds=7)
    parser.add_argument("--clips", type=int, default=1000, metavar="N", help="clips of one second (1000)")
    parser.add_argument("--minutes", type=float, default=10.0, metavar="M", help="length of the long file (10)")
    parser.add_argument("--n-fft", type=int, nargs="+", default=[400, 512], metavar="N", help="transforms (400 512)")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)  # what a fresh process is to do
    options = parser.parse_args()
    if options.child:
        work, peer, *rest = options.child
        print(json.dumps({"long": long_file, "first": first_clip}[work](peer, *map(float, rest))))
        return
    report = Report("features", options.json)
    clips = make_clips(options.clips)
    for n_fft in options.n_fft:
        many_clips(report, clips, n_fft, options.rounds)
    same_numbers(report, clips[:50], options.n_fft)
    long_recording(report, options.minutes, max(3, options.rounds // 2))
    from_cold(report, max(3, options.rounds // 2))
    report.finish()


def many_clips(report: Report, clips: list[np.ndarray], n_fft: int, rounds: int) -> None:
    """The clips on one core, then on two, in one run, against the same usual way."""
    from threadpoolctl import threadpool_limits

    one_core, two_cores = {}, {}
    for peer, make in PEERS.items():
        with optional(peer):
            compute = make(n_fft)
            one_core[USUAL if peer == "librosa" else f"{peer}, a clip at a time"] = partial(each, compute, clips)
    with optional("torchaudio in batches"):
        import torch

        compute_batch = torchaudio_batches(n_fft)
        one_core["torchaudio, batches of 50"] = partial(compute_batch, clips)

        def on_two_cores() -> None:
            torch.set_num_threads(2)
            compute_batch(clips)
            torch.set_num_threads(1)

        two_cores["torchaudio, batches of 50, 2 threads"] = on_two_cores
        torch.set_num_threads(1)
    extractor = audiornn_extractor(n_fft)
    one_core["audiornn, all in one call"] = partial(extractor.batch, clips)

    with (
        threadpool_limits(1, "blas"),  # a core each: more threads of BLAS would only get in each other's way
        ThreadPoolExecutor(2) as threads,
        ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), start_worker, (len(clips), n_fft)) as processes,
    ):
        halves = [clips[::2], clips[1::2]]
        two_cores["audiornn, 2 threads"] = lambda: list(threads.map(extractor.batch, halves))
        # The clips are there already, and the features stay there; `prep` shares out recordings it has yet to read.
        parts = [range(begin, min(begin + 50, len(clips))) for begin in range(0, len(clips), 50)]
        two_cores["audiornn, 2 processes"] = lambda: list(processes.map(compute_in_worker, parts))
        timings = in_turns({**one_core, **two_cores}, rounds=rounds)
    title = f"MFCCs of {len(clips):,} one-second clips, n_fft = {n_fft}"
    report.table(f"{title}, one core", [t for t in timings if t.name in one_core])
    report.table(f"{title}, two cores", [timings[0], *(t for t in timings if t.name in two_cores)])


def same_numbers(report: Report, clips: list[np.ndarray], transforms: list[int]) -> None:
    """How far audiornn is from librosa, of which the dynamic range is not clipped."""
    import librosa

    time_axis = np.arange(SAMPLE_RATE, dtype=np.float32) / SAMPLE_RATE
    tones = [0.5 * np.sin(2 * np.pi * hertz * time_axis, dtype=np.float32) for hertz in (100, 440, 1000, 3000, 7000)]
    print("\nAgainst librosa with top_db=None")
    for n_fft in transforms:
        extractor = audiornn_extractor(n_fft)
        for kind, waveforms in (("speech-like clips", clips), ("pure tones", tones)):
            largest, share = 0.0, 0.0
            for waveform in waveforms:
                power = librosa.feature.melspectrogram(
                    y=waveform, sr=SAMPLE_RATE, n_fft=n_fft, win_length=WINDOW, hop_length=HOP, n_mels=N_MELS
                )
                expected = librosa.feature.mfcc(S=librosa.power_to_db(power, top_db=None), n_mfcc=N_MFCC).T
                difference = np.abs(extractor(waveform) - expected)
                largest = max(largest, float(difference.max()))
                share = max(share, float((difference / (TOLERANCE + TOLERANCE * np.abs(expected))).max()))
            report.note(
                f"n_fft = {n_fft}, {kind:18} largest difference {largest:.1e}, {100 * share:5.1f} % of the tolerance",
                n_fft=n_fft,
                waveforms=kind,
                largest_difference=largest,
                share_of_tolerance=share,
            )


def long_recording(report: Report, minutes: float, rounds: int) -> None:
    """One long recording, each time in a new process, which has seen a short one before and times itself."""
    commands = children("long", minutes)
    runs: dict[str, list[dict[str, float]]] = {peer: [] for peer in commands}
    for _ in range(rounds):
        for peer, command in commands.items():
            runs[peer].append(json.loads(run_process(command, threads=1).output.splitlines()[-1]))
    timings = [
        Timing(
            peer,
            tuple(run["seconds"] for run in own),
            mebibytes=statistics.median(run["added_mebibytes"] for run in own),
        )
        for peer, own in runs.items()
    ]
    report.table(f"A recording of {minutes:g} minutes (audiornn: two threads)", timings, memory="added peak MiB")


def from_cold(report: Report, rounds: int) -> None:
    """The first MFCCs of a new process: mostly imports."""
    commands = children("first")
    report.table(
        "From the start of a process to its first MFCCs", processes_in_turns(commands, rounds=rounds, threads=1)
    )


def children(work: str, *numbers: float) -> dict[str, list[str]]:
    """The commands that have each peer do some work in a process of its own, where it can."""
    commands = {}
    for peer in ("librosa", "torchaudio", "audiornn"):
        command = [sys.executable, __file__, "--child", work, peer, *map(str, numbers)]
        with optional(peer):
            run_process(command, threads=1)
            commands[peer] = command
    return commands


def long_file(peer: str, minutes: float) -> dict[str, float]:
    """Child: a long recording."""
    compute = PEERS[peer](WINDOW)
    # Written in place: a temporary of the recording's size would hide what the features take.
    waveform = np.empty(int(60 * minutes) * SAMPLE_RATE, np.float32)
    seconds = waveform.reshape(-1, SAMPLE_RATE)
    for i, clip in enumerate(make_clips(min(20, len(seconds)))):
        seconds[i::20] = clip
    compute(waveform[:SAMPLE_RATE])
    before, began = peak_mebibytes(), time.perf_counter()
    compute(waveform)
    return {"seconds": time.perf_counter() - began, "added_mebibytes": peak_mebibytes() - before}


def first_clip(peer: str) -> dict[str, int]:
    """Child: one clip."""
    return {"frames": len(PEERS[peer](WINDOW)(make_clips(1)[0]))}


def librosa_mfcc(n_fft: int) -> Callable[[np.ndarray], Any]:
    import librosa

    return partial(
        lambda waveform, **settings: librosa.feature.mfcc(y=waveform, **settings),
        sr=SAMPLE_RATE,
        n_mfcc=N_MFCC,
        n_mels=N_MELS,
        n_fft=n_fft,
        win_length=WINDOW,
        hop_length=HOP,
    )


def torchaudio_transform(n_fft: int) -> Callable[[Any], Any]:
    import torch

    # torchaudio refuses a torch built for another CUDA; on the CPU, where this runs, that does not matter.
    cuda, torch.version.cuda = torch.version.cuda, None
    try:
        from torchaudio.transforms import MFCC
    finally:
        torch.version.cuda = cuda
    mels = {"n_fft": n_fft, "win_length": WINDOW, "hop_length": HOP, "n_mels": N_MELS}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MFCC(SAMPLE_RATE, N_MFCC, melkwargs={**mels, "norm": "slaney", "mel_scale": "slaney"})


def torchaudio_mfcc(n_fft: int) -> Callable[[np.ndarray], Any]:
    transform = torchaudio_transform(n_fft)
    import torch

    torch.set_num_threads(1)
    return lambda waveform: transform(torch.from_numpy(waveform))


def torchaudio_batches(n_fft: int) -> Callable[[list[np.ndarray]], None]:
    transform = torchaudio_transform(n_fft)
    import torch

    def compute(clips: list[np.ndarray]) -> None:
        for begin in range(0, len(clips), 50):
            transform(torch.from_numpy(np.stack(clips[begin : begin + 50])))

    return compute


def kaldi_mfcc(n_fft: int) -> Callable[[np.ndarray], Any]:
    import kaldi_native_fbank

    options = kaldi_native_fbank.MfccOptions()  # a power of two is its transform, whatever n_fft is
    options.frame_opts.dither = 0.0
    options.frame_opts.snip_edges = False
    options.mel_opts.num_bins = N_MELS
    options.num_ceps = N_MFCC

    def compute(waveform: np.ndarray) -> np.ndarray:
        extractor = kaldi_native_fbank.OnlineMfcc(options)
        extractor.accept_waveform(SAMPLE_RATE, waveform)
        extractor.input_finished()
        return np.stack([extractor.get_frame(i) for i in range(extractor.num_frames_ready)])

    return compute


def audiornn_extractor(n_fft: int) -> Any:
    from audiornn.features import FeatureExtractor, FeatureSettings

    return FeatureExtractor(
        FeatureSettings(
            sample_rate=SAMPLE_RATE, n_fft=n_fft, win_length=WINDOW, hop_length=HOP, n_mels=N_MELS, n_mfcc=N_MFCC
        )
    )


PEERS: dict[str, Callable[[int], Callable[[np.ndarray], Any]]] = {
    "librosa": librosa_mfcc,
    "torchaudio": torchaudio_mfcc,
    "kaldi-native-fbank": kaldi_mfcc,
    "audiornn": audiornn_extractor,
}


def each(compute: Callable[[np.ndarray], Any], clips: list[np.ndarray]) -> list[Any]:
    return [compute(clip) for clip in clips]


_worker: dict[str, Any] = {}


def start_worker(n_clips: int, n_fft: int) -> None:
    from threadpoolctl import threadpool_limits

    threadpool_limits(1, "blas")
    _worker.update(clips=make_clips(n_clips), extractor=audiornn_extractor(n_fft))


def compute_in_worker(indices: range) -> int:
    clips = _worker["clips"][indices.start : indices.stop]
    return sum(len(features) for features in _worker["extractor"].batch(clips))


def make_clips(n_clips: int) -> list[np.ndarray]:
    """Clips of one second that are like speech to a spectrum: a gliding buzz in syllables, over faint noise."""
    rng = np.random.default_rng(0)
    time_axis = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    clips = []
    for _ in range(n_clips):
        pitch = rng.uniform(90, 250) * (1 + 0.2 * np.sin(2 * np.pi * rng.uniform(0.5, 2) * time_axis))
        buzz = 2 * (np.cumsum(pitch / SAMPLE_RATE) % 1) - 1  # a sawtooth: every harmonic, 6 dB an octave down
        loudness = np.square(np.sin(np.pi * rng.uniform(2, 5) * time_axis + rng.uniform(0, np.pi)))
        clip = rng.uniform(0.05, 0.5) * buzz * loudness + 0.001 * rng.standard_normal(SAMPLE_RATE)
        clips.append(clip.astype(np.float32))
    return clips


if __name__ == "__main__":
    main()
