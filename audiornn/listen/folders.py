"""Many recordings: found in folders, listened to side by side, written each to a file of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeVar

from audiornn.audio import EXTENSIONS
from audiornn.errors import SettingsError
from audiornn.files import write_atomically

__all__ = ["Recording", "find_recordings", "in_order", "output_files"]

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


def find_recordings(files: Sequence[str]) -> tuple[list[Recording], list[str]]:
    """The files named, and for each folder the recordings below it, in order; and the folders that hold none."""
    recordings, empty = [], []
    for file in files:
        path = Path(file)
        if file == "-" or not path.is_dir():
            recordings.append(Recording(file, PurePath("standard_input" if file == "-" else path.name)))
            continue
        found = sorted(
            p for p in path.rglob("*") if p.suffix.lower() in EXTENSIONS and p.is_file() and _is_shown(p, path)
        )
        if not found:
            empty.append(file)
        recordings += [Recording(str(p), p.relative_to(path)) for p in found]
    return recordings, empty


def _is_shown(file: Path, folder: Path) -> bool:
    """Whether neither a file's name nor its folders' begins with a dot, as what systems leave behind does."""
    return not any(part.startswith(".") for part in file.relative_to(folder).parts)


def output_files(
    recordings: Sequence[Recording], folder: Path | None, suffix: str, *, overwrite: bool = False
) -> list[Path]:
    """A file for each recording in an output folder, below it as the recording lay below its own; the folder is made.

    Without a folder the list is empty.

    Raises:
        SettingsError: two recordings would share a file; or one is there already, perhaps made by hand.
        AudiornnError: the folder cannot be written to.
    """
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
    with write_atomically(folder / ".audiornn"):  # better now than after an hour's listening
        pass
    (folder / ".audiornn").unlink()
    return list(taken)


def in_order(function: Callable[[T], R], items: Sequence[T], n_threads: int) -> Iterator[R]:
    """A function of each item, several at a time, given in their order; a few wait, never all."""
    with ThreadPoolExecutor(n_threads) as pool:
        running: deque[Future[R]] = deque()
        try:
            for item in items:
                running.append(pool.submit(function, item))
                if len(running) > 4 * n_threads:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for waiting in running:
                waiting.cancel()
