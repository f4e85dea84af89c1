"""Formats of a line a label: Audacity's, HTK's, and NIST's RTTM and CTM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from audiornn.corpus.label_files.timed import Timed, refuse_nameless, seconds
from audiornn.errors import CorpusError

__all__ = ["band_of_audacity", "read_audacity", "read_ctm", "read_rttm"]

#: Seconds that no recording lasts, more than a day: whole numbers beyond are in other units.
_NO_SECONDS = 100_000
#: HTK's unit of time in seconds, and a millisecond in it.
_HTK, _HTK_MS = 1e-7, 10_000
#: What a confidence may be that is no number.
_UNKNOWN = ("<NA>", "NA")


def read_audacity(text: str, path: Path, *, is_htk: bool = False) -> list[Timed]:
    r"""Audacity's labels: start, end and label with tabs between; a line that begins with `\` is a frequency range.

    Some programs write spaces for the tabs, some locales commas for the points; HTK whole numbers of 100 ns, in a
    `.lab`, or wherever it surely is HTK (`is_htk`).

    Raises:
        CorpusError: a line is none of those, no label has a name, or whole numbers can be no seconds.
    """
    labels = []
    are_whole = True
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.startswith("\\"):
            continue
        cells = line.split("\t", 2) if "\t" in line else line.split(None, 2)
        where = f"{path}, line {number}"
        if len(cells) < 2:
            raise CorpusError(f"{where}: {line!r} is not a start, an end and a label with tabs between")
        are_whole = are_whole and cells[0].isdigit() and cells[1].isdigit()
        label = cells[2].strip() if len(cells) > 2 else ""
        labels.append(Timed(seconds(cells[0], where), seconds(cells[1], where), label, where=f"line {number}"))
    refuse_nameless(labels, path)
    if are_whole and labels and max(label.end for label in labels) > _NO_SECONDS:
        return _of_htk(labels, path, is_htk or path.suffix.lower() == ".lab")
    return labels


def band_of_audacity(text: str) -> tuple[float, float] | None:
    """The lowest and the highest Hz of Audacity's labels; None unless each has its line of them."""
    lines = [line for line in text.split("\n") if line.strip()]
    cells = [line.replace(",", ".").split("\t") for line in lines if line.startswith("\\")]
    try:
        bounds = [(float(low), float(high)) for _, low, high in cells]
    except ValueError:
        return None
    # A bound that was not set is -1.
    if not bounds or 2 * len(bounds) < len(lines) or any(min(pair) < 0 for pair in bounds):
        return None
    return min(low for low, _ in bounds), max(high for _, high in bounds)


def _of_htk(labels: Sequence[Timed], path: Path, may_be: bool) -> list[Timed]:
    """Labels in 100 ns, in seconds.

    Raises:
        CorpusError: they may be samples: not in a `.lab`, not of whole milliseconds, or with more than a word a line.
    """
    if all(len(words := label.label.split()) > 1 and _is_number(words[1]) for label in labels):  # scores, and words
        labels = [replace(label, label=label.label.split()[0]) for label in labels]
    # A float that was cut off is one less than whole milliseconds.
    whole = all((time + 1) % _HTK_MS <= 1 for label in labels for time in (label.start, label.end))
    if not may_be or not whole or any(" " in label.label for label in labels):
        raise CorpusError(
            f"{path}: its times are whole numbers up to {max(label.end for label in labels):.0f}, so samples or HTK's "
            "100 ns; write seconds (HTK's are read from a .lab of start, end and label, in whole milliseconds)"
        )
    return [replace(label, start=round(label.start * _HTK, 6), end=round(label.end * _HTK, 6)) for label in labels]


def read_rttm(text: str, path: Path) -> list[Timed]:
    """NIST's rich transcription time marks; a line's type is its tier, and SPEAKER's label the speaker's name.

    `type file channel start duration orthography subtype name confidence [look-ahead]`; `;;` begins a remark. Channels
    are not told apart.

    Raises:
        CorpusError: a line has too few fields or too many, or no times.
    """
    labels = []
    for number, line in enumerate(text.split("\n"), start=1):
        fields = line.split()
        if not fields or line.startswith(";;"):
            continue
        where = f"{path}, line {number}"
        if len(fields) < 8:
            raise CorpusError(f"{where}: {len(fields)} fields, RTTM has 9 or 10: {line!r}")
        # Of 9 fields a name with a space makes 10; what stood before the confidence then stands in its place.
        if len(fields) > 10 or not _is_confidence(fields[8:9]) or (fields[0] == "SPEAKER" and _is_number(fields[5])):
            raise _spaces("RTTM", "9 or 10", fields, line, where)
        if fields[3] == "<NA>":
            continue  # SPKR-INFO has no time
        start = seconds(fields[3], where)
        end = start + (0.0 if fields[4] == "<NA>" else seconds(fields[4], where))
        named = (fields[7], fields[5], fields[6]) if fields[0] == "SPEAKER" else (fields[5], fields[6], fields[7])
        label = next((name for name in named if name != "<NA>"), fields[0].lower())
        labels.append(Timed(start, round(end, 6), label, fields[0], _recording(fields[1]), f"line {number}"))
    return labels


def read_ctm(text: str, path: Path) -> list[Timed]:
    """NIST's time-marked conversations: `file channel start duration word [confidence …]`; `;;` begins a remark.

    Of alternatives the first is taken; `<eps>`, Kaldi's word for nothing, is none. Channels are not told apart.

    Raises:
        CorpusError: a line has too few fields or too many, or no times.
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
        times_later = _is_number(fields[4]) and not _is_number(fields[2])
        if len(fields) > 8 or not _is_confidence(fields[5:6]) or times_later:
            raise _spaces("CTM", "5 to 8", fields, line, where)
        if fields[4].upper().startswith("<ALT"):
            skipping = fields[4].upper() == "<ALT>"
        elif not skipping and fields[4] != "<eps>":
            start = seconds(fields[2], where)
            end = round(start + seconds(fields[3], where), 6)
            labels.append(Timed(start, end, fields[4], "", _recording(fields[0]), f"line {number}"))
    return labels


def _recording(field: str) -> str:
    """A recording's name as its file has it: we write its spaces as `%20`, and so do others."""
    try:
        return unquote(field, errors="surrogatepass")
    except UnicodeDecodeError:
        return field


def _spaces(form: str, wanted: str, fields: Sequence[str], line: str, where: str) -> CorpusError:
    return CorpusError(
        f"{where}: {len(fields)} fields where {form} has {wanted}, or a name in another's place; is there a space in a "
        f"name? write %20 in a recording's, _ in a label: {line!r}"
    )


def _is_confidence(field: Sequence[str]) -> bool:
    """Whether a line's field may be a confidence: it is not there, unknown, or a number."""
    return not field or field[0] in _UNKNOWN or _is_number(field[0])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
