"""CMU AN4, the census database: spelled words, digits, dates and commands, one utterance a SPHERE file.

Acero 1990, "Acoustical and Environmental Robustness in Automatic Speech Recognition". An utterance's file is named
`<utterance>-<speaker>-<take>`, its folder after the speaker.
"""

import csv
import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from audiornn.corpus.download import Archive, fetch
from audiornn.corpus.manifest import Utterance
from audiornn.errors import CorpusError

LISTS = ("train", "test")
EXTENSIONS = (".sph", ".wav", ".flac")  # the published one, then what others convert it to
EVERY = 9  # each ninth training speaker is for dev

#: Where digits are said, as this recipe's own network finds them; README.md tells how.
TIMES = Path(__file__).parent / "digits.tsv"
MARGIN = 0.06  # seconds around a digit that are kept, where nothing else is said

_TRANSCRIPT = re.compile(r"(?:<s>)?(?P<text>[^<>()]*)(?:</s>)?\s*\((?P<name>[^()\s]+)\)")

# Carnegie Mellon's own address is plain http and often down; NeMo's tutorials take this copy of it. Nobody publishes a
# checksum: the lists of the corpus say which recordings there must be.
ARCHIVE = Archive(
    name="an4",
    url="https://dldata-public.s3.us-east-2.amazonaws.com/an4_sphere.tar.gz",
    mirrors=("http://www.speech.cs.cmu.edu/databases/an4/an4_sphere.tar.gz",),
    root="an4",
)


def obtain(corpus_dir: Path, *, jobs: int) -> Path:
    """Fetch the corpus into the cache.

    Returns:
        The folder that holds `etc/` and `wav/`.
    """
    return fetch(ARCHIVE)


def prepare(corpus_dir: Path, *, digits: bool = False) -> dict[str, list[Utterance]]:
    """The published test, and each ninth of the training speakers, by name, as the dev split.

    Args:
        corpus_dir: holds `etc/` and `wav/`, or `an4/` that does.
        digits: whether each digit that is said becomes an utterance, cut out of what stands around it, and all else is
            left out.

    Expected output of prep: 848 train utterances by 66 speakers, 100 dev by 8, 130 test by 10; 0.8 h.
    """
    folder = next((d for d in (corpus_dir, corpus_dir / "an4") if (d / "etc").is_dir()), None)
    if folder is None:
        raise CorpusError(f"{corpus_dir}: holds no etc/ with the lists of AN4; is this the folder of AN4?")
    listed = {split: _listed(folder, split) for split in LISTS}
    speakers = sorted({str(utterance.speaker) for utterance in listed["train"]})
    held_out = set(speakers[EVERY // 2 :: EVERY])
    if digits:
        times = _times()
        listed = {
            split: [cut for u in utterances for cut in _cut(u, times[u.id])] for split, utterances in listed.items()
        }
    return {
        "train": [u for u in listed["train"] if u.speaker not in held_out],
        "dev": [u for u in listed["train"] if u.speaker in held_out],
        "test": listed["test"],
    }


def _listed(folder: Path, split: str) -> list[Utterance]:
    """A published split, in its list's order.

    Raises:
        CorpusError: a list or a recording is missing, or the two lists contradict each other.
    """
    names = _read(folder / "etc" / f"an4_{split}.fileids").split()
    texts = _transcripts(folder / "etc" / f"an4_{split}.transcription")
    if not names or [Path(name).name for name in names] != list(texts):
        raise CorpusError(
            f"{folder / 'etc'}: an4_{split}.fileids lists {len(names)} utterances and an4_{split}.transcription "
            f"{len(texts)}, and not the same ones in the same order; unpack the corpus again"
        )
    files = {name: _recording(folder / "wav" / name) for name in names}
    if missing := [name for name, file in files.items() if file is None]:
        raise CorpusError(
            f"{folder / 'wav'}: {len(missing)} of the {len(names)} recordings listed for {split} are missing, "
            f"the first is {missing[0]}.sph"
        )
    return [
        Utterance(id=name, audio=file, text=texts[Path(name).name], speaker=Path(name).parent.name)
        for name, file in files.items()
        if file is not None
    ]


@dataclasses.dataclass(frozen=True)
class _Digit:
    """A digit of an utterance: its place among the words, its seconds, those around it without speech, the word."""

    position: int
    start: float
    end: float
    before: float
    after: float
    word: str


def _times() -> dict[str, list[_Digit]]:
    """The digits of each utterance, in their order."""
    times = defaultdict(list)
    for row in csv.DictReader(_read(TIMES).splitlines(), delimiter="\t"):
        start, end, before, after = (float(row[key]) for key in ("start", "end", "before", "after"))
        times[row["utterance"]].append(_Digit(int(row["position"]), start, end, before, after, row["word"]))
    return times


def _cut(utterance: Utterance, digits: Sequence[_Digit]) -> Iterator[Utterance]:
    """The digits of an utterance, each by itself."""
    for digit in digits:
        start = digit.start - min(MARGIN, digit.before / 2)
        end = digit.end + min(MARGIN, digit.after / 2)
        yield dataclasses.replace(
            utterance,
            id=f"{utterance.id}@{digit.position}",
            text=digit.word,
            start=round(start, 3),
            duration=round(end - start, 3),
        )


def _transcripts(file: Path) -> dict[str, str]:
    """Texts by utterance: of `<s> YES </s> (an251-fash-b)` or `YES (an251-fash-b)`, the word."""
    texts: dict[str, str] = {}
    for number, line in enumerate(_read(file).splitlines(), start=1):
        if not line.strip():
            continue
        parts = _TRANSCRIPT.fullmatch(line.strip())
        if parts is None or parts["name"] in texts:
            raise CorpusError(f"{file}, line {number}: not a text and an utterance of its own in brackets: {line!r}")
        texts[parts["name"]] = " ".join(parts["text"].split())
    return texts


def _recording(stem: Path) -> Path | None:
    return next((file for file in (stem.parent / (stem.name + end) for end in EXTENSIONS) if file.is_file()), None)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        raise CorpusError(f"{file}: missing; is this the folder of AN4?") from None
