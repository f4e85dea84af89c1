"""Many recordings: found in folders, listened to side by side, written each to a file of its own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeVar

from audiornn.audio import EXTENSIONS, FOREIGN
from audiornn.errors import SettingsError
from audiornn.files import files_below, write_atomically

__all__ = ["Recording", "find_recordings", "in_order", "output_files", "refuse_same_names"]

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Recording:
    """A recording to listen to.

    Attributes:
        path: of the file, or `-`.
        name: its place below the folder that was named; its file name where itself was.
    """

    path: str
    name: PurePath


def find_recordings(files: Sequence[str]) -> tuple[list[Recording], list[tuple[str, str]], list[str]]:
    """The files named, and for each folder the recordings below it, in order.

    Links are followed; what is hidden is not looked at, as what systems leave behind begins with a dot.

    Returns:
        The recordings; what seems to be one in a folder and is not taken, with why; and the folders that hold none.

    Raises:
        SettingsError: an empty name.
    """
    recordings, strange, empty = [], [], []
    for file in files:
        path = Path(file)
        if not file:
            raise SettingsError("an empty name of a file; is a variable of the shell not set?")
        if file == "-" or not path.is_dir():
            recordings.append(Recording(file, PurePath("standard_input" if file == "-" else path.name)))
            continue
        below = sorted(Path(parent, name) for parent, name in files_below(path, lambda name: name.startswith(".")))
        found = [p for p in below if p.suffix.lower() in EXTENSIONS and p.is_file()]
        strange += [(str(p), "a link to nowhere") for p in below if p.suffix.lower() in EXTENSIONS and not p.exists()]
        strange += [(str(p), "is not looked for in folders") for p in below if p.suffix.lower() in FOREIGN]
        if not found:
            empty.append(file)
        recordings += [Recording(str(p), p.relative_to(path)) for p in found]
    return recordings, strange, empty


def output_files(
    recordings: Sequence[Recording], folder: Path | None, suffix: str, *, overwrite: bool = False
) -> list[Path]:
    """A file for each recording in an output folder, below it as the recording lay below its own; the folder is made.

    Without a folder the list is empty.

    Raises:
        SettingsError: two recordings would share a file; one is there already, perhaps made by hand; the folder is a
            file, or there is none to overwrite files in.
        AudiornnError: the folder cannot be written to.
    """
    if folder is None and overwrite:
        raise SettingsError("--overwrite replaces files in a folder: name it, --output-dir DIR")
    if folder is None:
        return []
    taken: dict[Path, Recording] = {}
    for recording in recordings:
        file = folder / recording.name.with_suffix(suffix)
        other = taken.setdefault(file, recording)
        if other is not recording:
            raise SettingsError(
                f"{file}: would be written for both {other.path} and {recording.path}; name the folder that "
                "holds both, which keeps their folders apart, or rename one of them"
            )
    if there := [file for file in taken if not overwrite and file.exists()]:
        more = f" and {len(there) - 1:,} more" if len(there) > 1 else ""
        raise SettingsError(
            f"{there[0]}{more}: already there, and perhaps made by hand; another --output-dir leaves it, --overwrite "
            "replaces it"
        )
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"{folder}: is a file; --output-dir names a folder")
    with write_atomically(folder / ".audiornn"):  # better now than after an hour's listening
        pass
    (folder / ".audiornn").unlink()
    return list(taken)


def refuse_same_names(recordings: Sequence[Recording], form: str) -> None:
    """Refuse recordings of one name in a format that knows them by it.

    Raises:
        SettingsError: as said.
    """
    seen: dict[str, str] = {}
    for recording in recordings:
        stem = recording.name.stem
        if (other := seen.setdefault(stem, recording.path)) != recording.path:
            raise SettingsError(
                f"{other} and {recording.path}: are both {stem!r} in {form.upper()}; rename one of them, or name "
                "the folder that holds both, and --output-dir DIR for a file each"
            )


def in_order(function: Callable[[T], R], items: Sequence[T], n_threads: int, stopping: threading.Event) -> Iterator[R]:
    """A function of each item, several at a time, given in their order; a few wait, never all.

    Args:
        function: of one item.
        items: in their order.
        n_threads: that compute side by side.
        stopping: is set when nobody waits for what is computed any more, so that the function may give up.
    """
    pool = ThreadPoolExecutor(n_threads)
    running: deque[Future[R]] = deque()
    try:
        for item in items:
            running.append(pool.submit(function, item))
            if len(running) > 4 * n_threads:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        stopping.set()
        pool.shutdown(wait=False, cancel_futures=True)
