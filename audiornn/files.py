"""Files: written so that a reader never meets a half of one, and found below a folder."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from audiornn.errors import AudiornnError

__all__ = [
    "check_writable",
    "encode_json",
    "explain_write_error",
    "files_below",
    "is_systems_own",
    "is_unicode",
    "json_line",
    "locked",
    "relative_to",
    "remove_partials",
    "write_atomically",
    "writing_temporary_file",
]

#: What Python, JavaScript and editors take for the end of a line, and JSON may write as it is.
_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}

_WINDOWS = os.name == "nt"
_SYSTEMS_OWN = {
    *("thumbs.db", "desktop.ini", "system volume information", "$recycle.bin"),
    *("lost+found", "__macosx", "__pycache__"),
}


@contextlib.contextmanager
def write_atomically(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path`, and give it that name once all is written and flushed.

    Whatever interrupts the writing (a kill, a full disk), `path` holds either what it held before or all of the new.

    Raises:
        AudiornnError: the folder cannot be written to, or the disk is full.
    """
    # A name may be as long as a disk allows, and this one must not be longer.
    short = f"{path.name[:16]}.{zlib.crc32(os.fsencode(path.name)):08x}"
    partial = path.with_name(f".{short}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        partial.replace(path)
    except OSError as error:
        raise explain_write_error(error, path) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def encode_json(entry: Any, *, indent: int | None = None) -> bytes:
    """JSON as people read it, in UTF-8; a file name that is no Unicode is escaped, and reads back as it was.

    What is not finite is null: JSON has no word for it, and other readers stumble over Python's.
    """
    try:
        text = json.dumps(entry, ensure_ascii=False, allow_nan=False, indent=indent)
    except ValueError:
        return encode_json(_finite(entry), indent=indent)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(entry, indent=indent).encode()


def _finite(entry: Any) -> Any:
    if isinstance(entry, Mapping):
        return {key: _finite(value) for key, value in entry.items()}
    if isinstance(entry, (list, tuple)):
        return [_finite(value) for value in entry]
    return None if isinstance(entry, float) and not math.isfinite(entry) else entry


def json_line(entry: Any) -> str:
    """JSON in one line, whatever takes for the end of one what JSON may write as it is; without the line's end."""
    return encode_json(entry).decode().translate(_LINE_ENDS)


def relative_to(path: Path, folder: Path) -> str:
    """Where a file lies from a folder, with `/` on every system; on another drive there is no such way."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return path.as_posix()


def is_systems_own(name: str) -> bool:
    """Whether a file or folder is hidden, or one that systems leave behind, and so none of a user's."""
    return name.startswith(".") or name.lower() in _SYSTEMS_OWN


def files_below(folder: Path, cannot_enter: Callable[[Path, str], object]) -> Iterator[tuple[str, str]]:
    """Folder and name of every file below a folder, in order; a folder that links show again is not walked again.

    What systems leave behind is not looked at.

    Args:
        folder: the uppermost.
        cannot_enter: told of a folder that this user may not look into, and why.
    """

    def tell(error: OSError) -> None:
        cannot_enter(Path(error.filename), f"the folder cannot be looked into ({error.strerror or error})")

    seen = set()
    for parent, folders, names in os.walk(folder, onerror=tell, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        shown = [name for name in folders if not is_systems_own(name)]
        # What lies there itself comes before what is only linked, and keeps its own place.
        folders[:] = sorted(shown, key=lambda name: ((Path(parent) / name).is_symlink(), name))
        yield from ((parent, name) for name in sorted(names) if not is_systems_own(name))


def is_unicode(name: str) -> bool:
    """Whether a file's name is text; disks take any bytes, which Python keeps as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def remove_partials(folder: Path) -> None:
    """Remove what `write_atomically` had begun in a folder when its process was killed."""
    for partial in folder.glob(".*.partial"):
        with contextlib.suppress(OSError):
            partial.unlink()


@contextlib.contextmanager
def locked(file: Path, is_busy: Callable[[], object]) -> Iterator[None]:
    """Hold the lock of a file, so that no other process does; the system frees it when this one ends, however it ends.

    Args:
        file: is made, with its folder, and stays there empty.
        is_busy: called once where another process holds it; it may raise, or else that one is waited for.

    Raises:
        AudiornnError: the folder cannot be written to.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDONLY | os.O_CREAT, 0o666)  # in a shared folder it may be another user's
    except OSError as error:
        raise explain_write_error(error, file.parent) from error
    try:
        if not _try_lock(descriptor):
            is_busy()
            while not _try_lock(descriptor):
                time.sleep(0.2)
        yield
    finally:
        _unlock(descriptor)
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # Some network file systems have no locks; alone on the machine, one does without.
        return error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
    return True


def _unlock(descriptor: int) -> None:
    """Closing a file is enough, unless a process that was forked meanwhile has it open, too; Windows forks none."""
    if sys.platform != "win32":
        import fcntl

        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_UN)


def check_writable(folder: Path) -> None:
    """That a folder can be written, or made, asked before long work whose result goes there.

    Raises:
        AudiornnError: it cannot.
    """
    nearest = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise explain_write_error(error, folder) from None


@contextlib.contextmanager
def writing_temporary_file() -> Iterator[None]:
    """Around what writes to a temporary file, which has no name that an error could tell.

    Raises:
        AudiornnError: the disk is full.
    """
    try:
        yield
    except OSError as error:
        folder = Path(tempfile.gettempdir())
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise AudiornnError(f"{folder}: the disk of temporary files is full; TMPDIR names another folder") from None
        raise explain_write_error(error, folder) from None


def explain_write_error(error: OSError, path: Path) -> AudiornnError:
    """The same failure in words: the disk is full, the folder is read-only, or what the system says."""
    short = error.errno is None and "requested and" in str(error)  # numpy's words for a write that was cut short
    if short or error.errno in (errno.ENOSPC, errno.EDQUOT):
        return AudiornnError(f"{path}: the disk is full; free some space and run the same command again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        or_open = ", or open in another program" if _WINDOWS else ""
        return AudiornnError(f"{path}: may not be written here (read-only folder{or_open}); choose another place")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return AudiornnError(f"{path}: more files than may be open at once; `ulimit -n` raises how many")
    return AudiornnError(f"{path}: cannot be written ({error.strerror or error})")
