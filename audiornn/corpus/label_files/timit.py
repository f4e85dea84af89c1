"""TIMIT's labels: phones in a .phn, words in a .wrd, from sample to sample."""

from __future__ import annotations

from pathlib import Path

from audiornn.audio import EXTENSIONS, audio_info
from audiornn.corpus.label_files.timed import Timed
from audiornn.errors import AudioError, CorpusError

__all__ = ["TIMIT", "read_timit"]

#: Endings, each of which is a tier without its point.
TIMIT = (".phn", ".wrd")


def read_timit(text: str, path: Path, recording: Path | None = None) -> list[Timed]:
    """Lines of first sample, last sample and label, by the rate of the recording; None looks beside the file.

    Raises:
        CorpusError: a line is none of those, or there is no recording that can be read.
    """
    lines = [(number, line.split(None, 2)) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not lines:
        return []
    endings = [cased for ending in sorted(EXTENSIONS) for cased in (ending, ending.upper())]
    beside = recording or next((p for ending in endings if (p := path.with_suffix(ending)).exists()), None)
    if beside is None:
        raise CorpusError(
            f"{path}: its times are samples, and no recording of its name lies beside it to tell the rate"
        )
    try:
        rate = audio_info(beside).sample_rate
    except AudioError as error:
        raise CorpusError(f"{path}: its times are samples, and the rate is not known: {error}") from None
    labels = []
    for number, cells in lines:
        if len(cells) < 3 or not (cells[0].isdigit() and cells[1].isdigit()):
            raise CorpusError(f"{path}, line {number}: not a first sample, a last one and a label: {' '.join(cells)!r}")
        start, end = (round(int(cell) / rate, 6) for cell in cells[:2])
        labels.append(Timed(start, end, cells[2].strip(), path.suffix.lower()[1:], where=f"line {number}"))
    return labels
