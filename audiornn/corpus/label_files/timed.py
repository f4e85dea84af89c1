"""What every reader of label files gives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audiornn.errors import CorpusError

__all__ = ["ALL_TIERS", "TIER_NAMES", "Timed", "refuse_nameless", "seconds"]

#: Names of all tiers together.
ALL_TIERS = "*"
#: Before names of tiers: these names are the labels, whatever is written in the tiers.
TIER_NAMES = "tiers:"

_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:\.\d*)?)")


@dataclass(frozen=True)
class Timed:
    """A label as a file has it.

    Attributes:
        start: seconds.
        end: seconds; the start itself for a point.
        label: may be empty.
        tier: that it stands in; empty where the format has none.
        recording: whose it is; empty where the file is for the recording beside it.
        where: its line.
        speaker: who says it, where the label does not say that itself.
    """

    start: float
    end: float
    label: str
    tier: str = ""
    recording: str = ""
    where: str = ""
    speaker: str = ""


def seconds(text: str, where: str) -> float:
    """A time: seconds with a point or a comma, or `h:mm:ss.s`.

    Raises:
        CorpusError: it is none.
    """
    text = text.strip().replace(",", ".")
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, rest = clock.groups()
        return 3600 * int(hours or 0) + 60 * int(minutes) + float(rest)
    try:
        return float(text)
    except ValueError:
        raise CorpusError(f"{where}: {text!r} is no time in seconds") from None


def refuse_nameless(labels: Sequence[Timed], path: Path) -> None:
    """Refuse a file whose labels are all empty: they were marked for something, and an empty label is none.

    Raises:
        CorpusError: as said.
    """
    if labels and not any(label.label.strip() for label in labels):
        raise CorpusError(f"{path}: none of its labels ({len(labels):,}) has a name; write them, or delete the lines")
