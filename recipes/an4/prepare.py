"""CMU AN4, the census database: spelled words, digits, dates and commands, one utterance a SPHERE file.

Acero 1990, "Acoustical and Environmental Robustness in Automatic Speech Recognition". An utterance's file is named
`<utterance>-<speaker>-<take>`, its folder after the speaker.
"""

import re
from pathlib import Path

from audiornn.corpus.download import Archive, fetch
from audiornn.corpus.manifest import Utterance
from audiornn.errors import CorpusError

LISTS = ("train", "test")
EXTENSIONS = (".sph", ".wav", ".flac")  # the published one, then what others convert it to
EVERY = 9  # each ninth training speaker is for dev

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


def prepare(corpus_dir: Path) -> dict[str, list[Utterance]]:
    """The published test, and each ninth of the training speakers, by name, as the dev split.

    Args:
        corpus_dir: holds `etc/` and `wav/`, or `an4/` that does.

    Expected output of prep: 848 train utterances by 66 speakers, 100 dev by 8, 130 test by 10; 0.8 h.
    """
    folder = next((d for d in (corpus_dir, corpus_dir / "an4") if (d / "etc").is_dir()), None)
    if folder is None:
        raise CorpusError(f"{corpus_dir}: holds no etc/ with the lists of AN4; is this the folder of AN4?")
    listed = {split: _listed(folder, split) for split in LISTS}
    speakers = sorted({str(utterance.speaker) for utterance in listed["train"]})
    held_out = set(speakers[EVERY // 2 :: EVERY])
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
