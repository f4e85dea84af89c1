"""Why a command failed, in the one line that a user gets; what no line explains is a bug, and keeps its traceback."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from audiornn.errors import AudiornnError
from audiornn.files import explain_write_error

__all__ = ["explained", "is_reader_gone"]

_WINDOWS = os.name == "nt"
_OF_EVALUATING = ("jiwer", "scipy", "mir_eval", "pyannote", "matplotlib")
#: Failures that no code can help.
_OF_THE_MACHINE = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO),
    *(errno.EMFILE, errno.ENFILE, errno.ESTALE),
)


def is_reader_gone(error: Exception) -> bool:
    """Whether the reader of our output has seen enough; Windows has another word for it."""
    return isinstance(error, BrokenPipeError) or (
        os.name == "nt" and isinstance(error, OSError) and error.errno == errno.EINVAL
    )


def explained(error: Exception) -> str | None:
    """What failed, and the remedy; None is a bug."""
    if isinstance(error, AudiornnError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        return _what_is_missing(error)
    if isinstance(error, OSError):
        return _what_the_system_refuses(error)
    if isinstance(error, (RuntimeError, MemoryError)):
        return _what_the_machine_lacks(error)
    return None


def _what_is_missing(error: ModuleNotFoundError) -> str | None:
    missing = (error.name or "").partition(".")[0]
    if missing == "audiornn":
        return None
    extra = "evaluate" if missing in _OF_EVALUATING else "train"
    return f"this needs {error.name}, which is not installed: pip install 'audiornn[{extra}]'"


def _what_the_system_refuses(error: OSError) -> str | None:
    if error.errno not in _OF_THE_MACHINE:
        return None
    name = error.filename
    place = Path(os.fsdecode(name) if isinstance(name, (str, bytes)) else "standard output")
    if error.errno in (errno.EACCES, errno.EPERM):  # it may be for reading, too
        or_open = ", or it is open in another program" if _WINDOWS else ""
        return f"{place}: permission denied; it is another user's, or its folder is read-only{or_open}"
    return str(explain_write_error(error, place))


def _what_the_machine_lacks(error: RuntimeError | MemoryError) -> str | None:
    """Of libraries' errors that may mean anything, those that say what is lacking."""
    if isinstance(error, MemoryError) or re.search("out of memory|can't allocate memory", str(error)):
        return (
            "out of memory; while a network learns, a smaller training.batch_size or model.n_units takes less, "
            "while recordings are heard, --jobs 1 or --threads 1"
        )
    if "no locator available" in str(error):
        return "numba, which librosa needs, may write nowhere; NUMBA_CACHE_DIR names a folder for what it compiles"
    return None
