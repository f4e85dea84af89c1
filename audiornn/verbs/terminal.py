"""What a person at a terminal sees of a command: lines, bars, and exit codes."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from audiornn.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from audiornn.listen.live import Found, Stopped

__all__ = [
    "FAILURE",
    "INTERRUPTED",
    "PARTIAL_FAILURE",
    "SecondsHeard",
    "check_drawable",
    "exit_code",
    "printing_any_letter",
    "progress_bar",
    "say",
    "tell_live",
]

PARTIAL_FAILURE = 1
FAILURE = 2
INTERRUPTED = 130
_NO_PNG = (".bmp", ".eps", ".gif", ".jpeg", ".jpg", ".pdf", ".ps", ".svg", ".tif", ".tiff", ".webp")


def exit_code(n_bad: int, n_all: int) -> int:
    """What a command returns that could not do so many of all."""
    return 0 if not n_bad else FAILURE if n_bad == n_all else PARTIAL_FAILURE


def check_drawable(picture: Path) -> None:
    """That a picture can be drawn there, asked before an hour is heard.

    Raises:
        SettingsError: there is no such folder, or the name is that of a picture of another kind.
        ModuleNotFoundError: matplotlib is not installed.
    """
    from importlib.util import find_spec

    if not picture.parent.is_dir():
        raise SettingsError(f"{picture}: there is no folder {picture.parent} to draw it in")
    if picture.suffix.lower() in _NO_PNG:
        raise SettingsError(f"{picture}: pictures are written as PNG; call it {picture.with_suffix('.png').name}")
    if find_spec("matplotlib") is None:
        raise ModuleNotFoundError("no module to draw with", name="matplotlib")


class SecondsHeard:
    """On a terminal, how much of a long recording was heard; tqdm is not part of the base install."""

    def __init__(self) -> None:
        import time

        self._now = time.monotonic
        self._began = self._shown = self._now()
        self._width = 0

    def __call__(self, seconds: float) -> None:
        """So many seconds were heard."""
        now = self._now()
        if now - self._shown > 0.5 and sys.stderr.isatty():
            self._shown = now
            clock = f"{int(seconds // 3600)}:{int(seconds // 60 % 60):02}:{int(seconds % 60):02}"
            line = f"{clock} heard, {seconds / (now - self._began):.0f} times real time"
            self._width = max(self._width, len(line))
            print(f"\r{line:{self._width}}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Leave the line as it was, for what comes next."""
        if self._width:
            print(f"\r{'':{self._width}}\r", end="", file=sys.stderr, flush=True)
            self._width = 0


@contextmanager
def printing_any_letter() -> Iterator[None]:
    """Letters that the encodings of standard output and error lack are printed as escapes, and that is told at last."""
    escaped: list[str] = []

    def escape(error: UnicodeError) -> tuple[str | bytes, int]:
        if isinstance(error, UnicodeEncodeError):
            escaped.append(error.object[error.start : error.end])
        return codecs.backslashreplace_errors(error)

    if sys.stderr is None:  # closed, or there is no console
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - as long as the process
    codecs.register_error("escaped", escape)
    for stream, errors in ((sys.stdout, "escaped"), (sys.stderr, "backslashreplace")):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=errors)  # a file name in no Unicode, an arrow in a Latin-1 log
    try:
        yield
    finally:
        if any(letters.isalpha() for letters in escaped):
            say(
                f"audiornn: standard output is {sys.stdout.encoding.upper()}, which lacks letters of what was printed: "
                "they are written as \\u and a number; PYTHONUTF8=1 in the environment gives UTF-8"
            )


def say(line: str) -> None:
    """A line to standard error, where all goes that is no answer; that nobody reads it stops no work."""
    with suppress(OSError):  # closed, or a log on a full disk
        print(line, file=sys.stderr, flush=True)


def tell_live(found: Iterable[Found | Stopped], tell: Callable[[Found], None]) -> int:
    """Tell what is found in a recording that may never end, each thing as soon as it is.

    Args:
        found: as `live_phrases` and `live_findings` give it.
        tell: prints one.

    Returns:
        The exit code: where the recording broke off, whether anything had been heard.
    """
    from audiornn.listen.live import Stopped

    for each in found:
        if isinstance(each, Stopped):
            say(f"audiornn: {each.reason}")
            return PARTIAL_FAILURE if each.heard else FAILURE
        tell(each)
    return 0


@contextmanager
def progress_bar(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal, nothing elsewhere; called with what is done and what is to be done."""
    if not sys.stderr.isatty():
        yield lambda n_done, n_all: None
        return
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:  # not part of the base install
        yield lambda n_done, n_all: None
        return

    with tqdm(desc=what, unit=f" {unit}s", leave=False) as bar:

        def advance(n_done: int, n_all: int) -> None:
            bar.total = n_all
            bar.update(n_done - bar.n)

        yield advance
