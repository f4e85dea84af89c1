"""Many recordings: found in folders, listened to side by side, written each to a file of its own."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal, TypeVar

from audiornn.audio import EXTENSIONS, FOREIGN
from audiornn.errors import SettingsError
from audiornn.files import files_below, write_atomically

__all__ = ["Existing", "Recording", "find_recordings", "in_order", "output_files", "refuse_same_names"]

_IGNORES_CASE = sys.platform in ("darwin", "win32")  # the file systems there mostly do

#: What to do where a file is there already.
Existing = Literal["refuse", "replace", "keep"]

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


def find_recordings(files: Sequence[str]) -> tuple[list[Recording], list[tuple[str, str]], list[tuple[str, str]]]:
    """The files named, and for each folder the recordings below it, in order.

    Links are followed; what is hidden is not looked at, nor what systems leave behind.

    Returns:
        The recordings; what seems to be one in a folder and is not taken, with why; and the folders of which nothing is
        heard, with why: they hold none, or this user may not look into them.

    Raises:
        SettingsError: an empty name.
    """
    recordings, strange = [], []
    unheard: list[tuple[str, str]] = []

    def leave_out(folder: Path, why: str) -> None:
        unheard.append((str(folder), why))

    for file in files:
        path = Path(file)
        if not file:
            raise SettingsError("an empty name of a file; is a variable of the shell not set?")
        if file == "-" or not path.is_dir():
            recordings.append(Recording(file, PurePath("standard_input" if file == "-" else path.name)))
            continue
        n_unheard = len(unheard)
        below = sorted(Path(parent, name) for parent, name in files_below(path, leave_out))
        found = [p for p in below if p.suffix.lower() in EXTENSIONS and p.is_file()]
        strange += [(str(p), "a link to nowhere") for p in below if p.suffix.lower() in EXTENSIONS and not p.exists()]
        strange += [(str(p), "is not looked for in folders") for p in below if p.suffix.lower() in FOREIGN]
        if not found and len(unheard) == n_unheard:
            unheard.append((file, "the folder holds no recordings"))
        recordings += [Recording(str(p), p.relative_to(path)) for p in found]
    return recordings, strange, unheard


def output_files(
    recordings: Sequence[Recording], folder: Path | None, suffix: str, *, existing: Existing = "refuse"
) -> tuple[list[Recording], list[Path]]:
    """A file for each recording in an output folder, below it as the recording lay below its own; the folder is made.

    Args:
        recordings: to be listened to.
        folder: for the files.
        suffix: of them.
        existing: files that are there already: refuse or replace them, or keep them and leave out their recordings.

    Returns:
        The recordings that are left, and the file of each; without a folder all of them, and none.

    Raises:
        SettingsError: two recordings would share a file; one is there already, perhaps made by hand; the folder is a
            file, or there is none to overwrite files in.
        AudiornnError: the folder cannot be written to.
    """
    if folder is None and existing != "refuse":
        raise SettingsError("--overwrite and --missing are for files in a folder: name it, --output-dir DIR")
    if folder is None:
        return list(recordings), []
    files = [folder / recording.name.with_suffix(suffix) for recording in recordings]
    taken: dict[str, Recording] = {}
    for file, recording in zip(files, recordings, strict=True):
        name = str(file).casefold() if _IGNORES_CASE else str(file)
        other = taken.setdefault(name, recording)
        if other is not recording:
            raise SettingsError(
                f"{file}: would be written for both {other.path} and {recording.path}; {_apart(other, recording)}"
            )
    if (there := [file for file in files if file.exists()]) and existing == "refuse":
        more = f" and {len(there) - 1:,} more" if len(there) > 1 else ""
        raise SettingsError(
            f"{there[0]}{more}: already there, and perhaps made by hand; --missing keeps it and hears the "
            "rest, --overwrite replaces it, another --output-dir leaves it"
        )
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"{folder}: is a file; --output-dir names a folder")
    with write_atomically(folder / ".audiornn"):  # better now than after an hour's listening
        pass
    (folder / ".audiornn").unlink(missing_ok=True)  # another process may have asked the same
    kept = set(there) if existing == "keep" else set()
    left = [(recording, file) for recording, file in zip(recordings, files, strict=True) if file not in kept]
    return [recording for recording, _ in left], [file for _, file in left]


def _apart(one: Recording, other: Recording) -> str:
    """How two recordings of one name get files of their own."""
    if one.path == other.path:
        return "it is named twice"
    if one.name.parent != PurePath() or Path(one.path).parent == Path(other.path).parent:
        return "rename one of them"
    return "name the folder that holds both, which keeps their folders apart, or rename one of them"


def refuse_same_names(recordings: Sequence[Recording], form: str) -> None:
    """Refuse recordings of one name in a format that knows them by it.

    Raises:
        SettingsError: as said.
    """
    seen: dict[str, Recording] = {}
    for recording in recordings:
        stem = recording.name.stem
        other = seen.setdefault(stem, recording)
        if other.path != recording.path:
            remedy = _apart(other, recording)
            if other.name.with_suffix("") != recording.name.with_suffix(""):
                remedy = "--output-dir DIR writes a file for each"
            raise SettingsError(f"{other.path} and {recording.path}: are both {stem!r} in {form.upper()}; {remedy}")


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
