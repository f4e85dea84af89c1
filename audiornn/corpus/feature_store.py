"""The feature store: log-mel frames of a corpus in memory-mapped shards.

A shard holds the frames of a few hundred utterances and is named by a hash of all that they depend on: the settings of
the spectrogram and, of each utterance, the file, its size and time of change, and the stretch. So a shard that is there
is right; one that is missing is computed; a killed run goes on where it was; and a change recomputes what it touched.

Kept are log-mel frames, not MFCCs: augmentation masks bands and changes levels there, and the cosine transform that
follows costs next to nothing. Beside them lies what the audit wants to know of the recordings, measured in the same
reading.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from audiornn.audio import load_audio
from audiornn.corpus.manifest import Utterance
from audiornn.corpus.measure import MEASURES, UTTERANCES_IN_FULL, Measured, Meter, thinned
from audiornn.corpus.workers import run_in_workers
from audiornn.errors import AudioError, CorpusError
from audiornn.features import FeatureExtractor, Features, FeatureSettings
from audiornn.files import explain_write_error, write_atomically
from audiornn.vocabulary import ctc_length

__all__ = ["FeatureStore", "StoredUtterance", "compute_features", "file_state", "read_measures", "remove_others"]

_SHARD_UTTERANCES = 256
_SUFFIXES = (".npy", ".npz", ".json")
_MOST_OPEN_FILES = 1 << 16  # of a process that asks for more than it may open
_WORTH_WORKERS = 400  # below this many utterances starting worker processes costs more than it saves


@dataclass(frozen=True, slots=True)
class StoredUtterance:
    """Where an utterance's frames are, or why there are none.

    Attributes:
        shard: file name in the store's folder.
        place: the utterance's number in the shard.
        first: the utterance's first frame in the shard.
        n_frames: how many it has.
        duration: seconds of audio.
        problem: why the recording cannot be used; empty where it can.
    """

    shard: str
    place: int
    first: int
    n_frames: int
    duration: float
    problem: str = ""


class FeatureStore:
    """The frames of one split, in its manifest's order, with the ids of its targets."""

    def __init__(self, folder: Path, index: Mapping[str, NDArray[Any]]) -> None:
        self._folder = folder
        self._names = [str(name) for name in index["shards"]]
        self._shard, self._first = index["shard"], index["first"]
        self._targets, self._ends = index["targets"], index["ends"]
        self._shards: dict[int, Features] = {}
        self.lengths: NDArray[np.int64] = index["n_frames"]
        #: Frames that CTC needs for each utterance's target, (utterances,).
        self.ctc_lengths: NDArray[np.int64] = index["ctc_lengths"]

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> Features:
        """Log-mel frames of an utterance, (frames, n_mels), as a view into its shard."""
        first = int(self._first[index])
        return self._opened(int(self._shard[index]))[first : first + int(self.lengths[index])]

    def _opened(self, number: int) -> Features:
        if number not in self._shards:
            file = self._folder / self._names[number]
            try:
                self._shards[number] = np.load(file, mmap_mode="r")
            except (OSError, ValueError, EOFError) as error:
                if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
                    remedy = "more files than may be open at once; `ulimit -n` raises how many"
                    raise CorpusError(f"{file}: cannot be read: {remedy}") from None
                raise CorpusError(f"{file}: cannot be read ({error}); run `audiornn prep` again") from None
        return self._shards[number]

    def hold(self) -> FeatureStore:
        """Open every shard now, so that what removes some of them later takes nothing away; returns itself."""
        _allow_open_files()
        for number in np.unique(self._shard).tolist():
            self._opened(number)
        return self

    def targets(self, index: int) -> NDArray[np.int64]:
        """Ids of an utterance's symbols, (symbols,); empty where the targets are frames."""
        begin = int(self._ends[index - 1]) if index else 0
        return self._targets[begin : int(self._ends[index])].astype(np.int64)

    @classmethod
    def joined(cls, parts: Sequence[tuple[FeatureStore, NDArray[np.int64]]]) -> FeatureStore:
        """The utterances of some numbers of each of several stores in one folder, one store after the other."""
        names: list[str] = []
        columns = []
        for store, numbers in parts:
            targets = [store.targets(int(number)) for number in numbers]
            columns.append(
                {
                    "shard": store._shard[numbers] + len(names),
                    "first": store._first[numbers],
                    "n_frames": store.lengths[numbers],
                    "ctc_lengths": store.ctc_lengths[numbers],
                    "targets": np.concatenate([*targets, np.empty(0, np.int64)]),
                    "ends": np.array([len(ids) for ids in targets], np.int64),
                }
            )
            names += store._names
        index = {name: np.concatenate([column[name] for column in columns]) for name in columns[0]}
        return cls(parts[0][0]._folder, {**index, "shards": np.array(names), "ends": np.cumsum(index["ends"])})

    def target_lengths(self) -> NDArray[np.int64]:
        """Symbols an utterance, (utterances,)."""
        return np.diff(self._ends, prepend=0)

    def is_whole(self) -> bool:
        """Whether every shard is there, and whole."""
        return all(_is_readable(self._folder / name) for name in self._names)

    @staticmethod
    def save(path: Path, entries: Sequence[StoredUtterance], targets: Sequence[Sequence[int]]) -> None:
        """Write the index that `open` reads: of utterances in their manifest's order, with the ids of their targets."""
        names = sorted({entry.shard for entry in entries})
        number = {name: i for i, name in enumerate(names)}
        with write_atomically(path) as out:
            np.savez(
                out,
                shards=np.array(names, np.str_),
                shard=np.array([number[entry.shard] for entry in entries], np.int32),
                first=np.array([entry.first for entry in entries], np.int64),
                n_frames=np.array([entry.n_frames for entry in entries], np.int64),
                targets=_smallest(np.fromiter((i for ids in targets for i in ids), np.int32)),
                ends=np.cumsum(np.fromiter((len(ids) for ids in targets), np.int64, len(targets))),
                ctc_lengths=np.fromiter(map(ctc_length, targets), np.int64, len(targets)),
            )

    @classmethod
    def open(cls, path: Path, folder: Path) -> FeatureStore:
        """Open a split by its index.

        Raises:
            CorpusError: the index is missing or damaged.
        """
        names = ("shards", "shard", "first", "n_frames", "targets", "ends", "ctc_lengths")
        try:
            with np.load(path) as index:
                return cls(folder, {name: index[name] for name in names})
        except (OSError, ValueError, KeyError, EOFError, NotImplementedError, zipfile.BadZipFile) as error:
            raise CorpusError(f"{path}: cannot be read ({error}); run `audiornn prep` again") from None


def _allow_open_files() -> None:
    """Let this process open as many files as the system lets it ask for: a shard is one, and may be one of thousands.

    By default macOS allows 256, many a Linux 1,024.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_OPEN_FILES if most == resource.RLIM_INFINITY else min(most, _MOST_OPEN_FILES)
    if now != resource.RLIM_INFINITY and now < wanted:
        with contextlib.suppress(ValueError, OSError):  # macOS promises more than it gives
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _smallest(ids: NDArray[np.int32]) -> NDArray[Any]:
    """Sixty million symbols are sixty megabytes, not four times that."""
    return ids.astype(np.min_scalar_type(int(ids.max()))) if len(ids) else ids


def compute_features(
    utterances: Sequence[Utterance],
    settings: FeatureSettings,
    folder: Path,
    *,
    n_jobs: int,
    progress: Callable[[int], None] = lambda n_done: None,
) -> list[StoredUtterance]:
    """Compute what is missing of a corpus's log-mel frames.

    Args:
        utterances: of all splits; one that occurs twice is computed once.
        settings: of the features.
        folder: where the shards lie.
        n_jobs: worker processes.
        progress: called with the number of utterances just done.

    Returns:
        For each utterance where its frames are, or why there are none.
    """
    jobs = _plan(utterances, settings, folder)
    missing = []
    for job in jobs:
        if (job.index_file.exists() and _is_readable(job.file)) and job.file.exists() and job.measures_file.exists():
            progress(len(job.utterances))
        else:
            missing.append(job)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain_write_error(error, folder) from None
    n_missing = sum(len(job.utterances) for job in missing)
    for i, _ in run_in_workers(_compute_shard, missing, 1 if n_missing < _WORTH_WORKERS else n_jobs):
        progress(len(missing[i].utterances))
    stored: dict[tuple[str, float, float | None], StoredUtterance] = {}
    for job in jobs:
        rows = json.loads(job.index_file.read_text(encoding="utf-8"))
        stored.update(
            zip(
                map(_stretch, job.utterances),
                (StoredUtterance(job.file.name, place, *row) for place, row in enumerate(rows)),
                strict=True,
            )
        )
    return [stored[_stretch(utterance)] for utterance in utterances]


def read_measures(folder: Path, stored: Sequence[StoredUtterance]) -> Measured:
    """What was measured of the recordings while their features were computed."""
    in_shard: dict[str, list[int]] = {}
    for i, entry in enumerate(stored):
        in_shard.setdefault(entry.shard, []).append(i)
    rows = np.zeros(len(stored), MEASURES)
    keys, owners = [np.empty((0, 2), np.uint32)], [np.empty(0, np.int64)]
    for shard, members in in_shard.items():
        with np.load((folder / shard).with_suffix(".npz")) as file:
            measures, shard_keys, ends = file["measures"], file["keys"], file["ends"]
        places = np.array([stored[i].place for i in members])
        rows[members] = measures[places]
        owner = np.full(len(measures), -1, np.int64)
        owner[places] = members
        owner = np.repeat(owner, np.diff(ends, prepend=0))
        own = np.column_stack([shard_keys, owner.astype(np.uint32)])[owner >= 0]
        own = thinned(own, len(stored) // UTTERANCES_IN_FULL)
        keys.append(own[:, :2])
        owners.append(own[:, 2].astype(np.int64))
    return Measured(rows, np.concatenate(keys), np.concatenate(owners))


@dataclass(frozen=True)
class _ShardJob:
    utterances: tuple[Utterance, ...]
    settings: FeatureSettings
    file: Path

    @property
    def index_file(self) -> Path:
        """Written last: where it stands the shard is whole."""
        return self.file.with_suffix(".json")

    @property
    def measures_file(self) -> Path:
        """What was measured of the recordings."""
        return self.file.with_suffix(".npz")


def _is_readable(shard: Path) -> bool:
    """Whether a shard is an array with all of its frames, by its header and its size."""
    try:
        np.load(shard, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return False
    return True


def _stretch(utterance: Utterance) -> tuple[str, float, float | None]:
    return str(utterance.audio), utterance.start, utterance.duration


def _plan(utterances: Sequence[Utterance], settings: FeatureSettings, folder: Path) -> list[_ShardJob]:
    """Put utterances into shards by a hash of their names, so that a new one changes one shard only, or parts it."""
    unique = {_stretch(utterance): utterance for utterance in utterances}
    hashed = [(zlib.crc32(os.fsencode(f"{u.audio.name}@{u.start:g}")), u) for u in unique.values()]
    salt = json.dumps(_spectrogram_settings(settings), sort_keys=True)
    jobs = []
    for group in _groups(hashed):
        group.sort(key=lambda u: (str(u.audio), u.start, u.duration or 0.0))
        key = hashlib.sha256(salt.encode())
        for utterance in group:
            key.update(json.dumps([*_stretch(utterance), *file_state(utterance.audio)]).encode())
        jobs.append(_ShardJob(tuple(group), settings, folder / f"{key.hexdigest()[:20]}.npy"))
    return jobs


def _groups(hashed: Sequence[tuple[int, Utterance]], bit: int = 31) -> list[list[Utterance]]:
    """Groups of utterances of the same leading bits of their hashes: one that is too large parts at the next bit."""
    if len(hashed) <= _SHARD_UTTERANCES or bit < 0:
        return [[utterance for _, utterance in hashed]] if hashed else []
    halves: tuple[list[tuple[int, Utterance]], ...] = ([], [])
    for number, utterance in hashed:
        halves[number >> bit & 1].append((number, utterance))
    return [group for half in halves for group in _groups(half, bit - 1)]


def _spectrogram_settings(settings: FeatureSettings) -> dict[str, Any]:
    later = {"kind", "n_mfcc", "n_lags", "lowest_pitch", "highest_pitch", "deltas", "normalisation"}  # of stored frames
    return {key: value for key, value in asdict(settings).items() if key not in later}


def file_state(path: Path) -> tuple[int, int]:
    """Size and time of change of a file, in bytes and nanoseconds; −1 of one that is not there."""
    try:
        state = path.stat()
    except OSError:
        return -1, -1
    return state.st_size, state.st_mtime_ns


def _compute_shard(job: _ShardJob) -> None:
    extractor = FeatureExtractor(job.settings)
    rows, measures, keys, first = [], [], [], 0
    with write_atomically(job.file) as out:  # each recording as it comes: together they may be days
        _write_header(out, 0, job.settings.n_mels)
        for utterance in job.utterances:
            log_mel, meter, problem = _log_mel(utterance, extractor)
            measured, fingerprint = meter.finish()
            rows.append([first, len(log_mel), float(measured["duration"]), problem])
            out.write(np.ascontiguousarray(log_mel, np.float32).data)
            measures.append(measured)
            keys.append(fingerprint)
            first += len(log_mel)
        out.seek(0)
        _write_header(out, first, job.settings.n_mels)
    with write_atomically(job.measures_file) as out:
        ends = np.cumsum([len(fingerprint) for fingerprint in keys])
        np.savez(out, measures=np.array(measures, MEASURES), keys=np.concatenate(keys), ends=ends)
    with write_atomically(job.index_file) as out:
        out.write(json.dumps(rows).encode())


def _write_header(out: IO[bytes], n_frames: int, n_mels: int) -> None:
    """The header of an array of log-mel frames; numpy leaves room in it for any number of them."""
    entry = {"descr": "<f4", "fortran_order": False, "shape": (n_frames, n_mels)}
    np.lib.format.write_array_header_1_0(out, entry)


def _log_mel(utterance: Utterance, extractor: FeatureExtractor) -> tuple[Features, Meter, str]:
    settings, meter = extractor.settings, Meter()
    try:
        waveform = load_audio(
            utterance.audio,
            settings.sample_rate,
            start=utterance.start,
            duration=utterance.duration,
            observe=meter.add,
        )
        if len(waveform) < settings.win_length:
            raise AudioError(
                f"{utterance.audio}: {len(waveform)} samples are less than one window of {settings.win_length}"
            )
        return extractor.log_mel(waveform), meter, ""
    except AudioError as error:
        return np.empty((0, settings.n_mels), np.float32), Meter(), str(error)


def remove_others(folder: Path, stored: Sequence[StoredUtterance]) -> None:
    """Remove the shards that no utterance needs any more, and what a kill left behind."""
    needed = {str(Path(name).with_suffix(suffix)) for name in {s.shard for s in stored} for suffix in _SUFFIXES}
    for file in folder.iterdir():
        if file.name not in needed:
            with contextlib.suppress(PermissionError):  # a training has it open on Windows; the next prep removes it
                file.unlink(missing_ok=True)
