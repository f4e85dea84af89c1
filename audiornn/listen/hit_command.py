"""A program that runs at each hit."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable

from audiornn.errors import SettingsError
from audiornn.listen.results import KeywordSpot

__all__ = ["HitCommand"]

_WINDOWS = os.name == "nt"


class HitCommand:
    """Runs a program at a hit, without a shell, and listening goes on meanwhile.

    The program finds the hit in its environment: AUDIORNN_KEYWORD, and in seconds and 0…1 AUDIORNN_START, AUDIORNN_END
    and AUDIORNN_SCORE. Its input is empty, what it prints goes to standard error.

    Args:
        command: the program and its arguments, quoted as in a shell; `$`, `|` and `>` have no meaning.
        report: told in one line of a program that cannot be started or that fails.

    Raises:
        SettingsError: no program, or quotes that do not end.
    """

    def __init__(self, command: str, report: Callable[[str], None]) -> None:
        try:
            # On Windows a backslash parts folders, and escapes nothing.
            self._words = [word.strip('"') if _WINDOWS else word for word in shlex.split(command, posix=not _WINDOWS)]
        except ValueError as error:
            raise SettingsError(f"--exec {command!r} cannot be split into words ({error})") from None
        if not self._words:
            raise SettingsError("--exec names no program")
        self._report = report
        self._running: list[tuple[subprocess.Popen[bytes], KeywordSpot]] = []

    def __call__(self, spot: KeywordSpot) -> None:
        """Start the program for a hit."""
        self.check()
        environment = {
            **os.environ,
            "AUDIORNN_KEYWORD": spot.keyword,
            "AUDIORNN_START": f"{spot.start:.3f}",
            "AUDIORNN_END": f"{spot.end:.3f}",
            "AUDIORNN_SCORE": f"{spot.score:.4f}",
        }
        try:
            process = subprocess.Popen(
                self._words, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno()
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            self._report(f"{self._words[0]}: cannot be run at {spot.keyword!r} ({reason}); listening goes on")
            return
        self._running.append((process, spot))

    def check(self, *, wait: bool = False) -> None:
        """Tell of programs that have failed since; `wait` until all have ended."""
        still = []
        for process, spot in self._running:
            code = process.wait() if wait else process.poll()
            if code is None:
                still.append((process, spot))
            elif code:
                what = f"exit code {code}" if code > 0 else f"signal {-code}"
                self._report(f"{self._words[0]}: failed at {spot.keyword!r}, {spot.start:.2f} s ({what})")
        self._running = still
