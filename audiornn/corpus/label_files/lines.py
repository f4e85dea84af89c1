"""Formats of a line a label: Audacity's, and NIST's RTTM and CTM."""

from __future__ import annotations

from pathlib import Path

from audiornn.corpus.label_files.timed import Timed, seconds
from audiornn.errors import CorpusError

__all__ = ["read_audacity", "read_ctm", "read_rttm"]


def read_audacity(text: str, path: Path) -> list[Timed]:
    r"""Audacity's labels: start, end and label with tabs between; a line that begins with `\` is a frequency range.

    Some programs write spaces for the tabs, some locales commas for the points.

    Raises:
        CorpusError: a line is none of those.
    """
    labels = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.startswith("\\"):
            continue
        cells = line.split("\t", 2) if "\t" in line else line.split(None, 2)
        where = f"{path}, line {number}"
        if len(cells) < 2:
            raise CorpusError(f"{where}: {line!r} is not a start, an end and a label with tabs between")
        label = cells[2].strip() if len(cells) > 2 else ""
        labels.append(Timed(seconds(cells[0], where), seconds(cells[1], where), label, where=f"line {number}"))
    return labels


def read_rttm(text: str, path: Path) -> list[Timed]:
    """NIST's rich transcription time marks; a line's type is its tier, and SPEAKER's label the speaker's name.

    `type file channel start duration orthography subtype name confidence [look-ahead]`; `;;` begins a remark.

    Raises:
        CorpusError: a line has too few fields, or no times.
    """
    labels = []
    for number, line in enumerate(text.split("\n"), start=1):
        fields = line.split()
        if not fields or line.startswith(";;"):
            continue
        where = f"{path}, line {number}"
        if len(fields) < 8:
            raise CorpusError(f"{where}: {len(fields)} fields, RTTM has 9 or 10: {line!r}")
        if fields[3] == "<NA>":
            continue  # SPKR-INFO has no time
        start = seconds(fields[3], where)
        end = start + (0.0 if fields[4] == "<NA>" else seconds(fields[4], where))
        named = (fields[7], fields[5], fields[6]) if fields[0] == "SPEAKER" else (fields[5], fields[6], fields[7])
        label = next((name for name in named if name != "<NA>"), fields[0].lower())
        labels.append(Timed(start, round(end, 6), label, fields[0], fields[1], f"line {number}"))
    return labels


def read_ctm(text: str, path: Path) -> list[Timed]:
    """NIST's time-marked conversations: `file channel start duration word [confidence …]`; `;;` begins a remark.

    Of alternatives the first is taken; `<eps>`, Kaldi's word for nothing, is none.

    Raises:
        CorpusError: a line has too few fields, or no times.
    """
    labels = []
    skipping = False
    for number, line in enumerate(text.split("\n"), start=1):
        fields = line.split()
        if not fields or line.startswith(";;"):
            continue
        where = f"{path}, line {number}"
        if len(fields) < 5:
            raise CorpusError(f"{where}: {len(fields)} fields, CTM has at least 5: {line!r}")
        if fields[4].upper().startswith("<ALT"):
            skipping = fields[4].upper() == "<ALT>"
        elif not skipping and fields[4] != "<eps>":
            start = seconds(fields[2], where)
            end = round(start + seconds(fields[3], where), 6)
            labels.append(Timed(start, end, fields[4], "", fields[0], f"line {number}"))
    return labels
