"""LibriSpeech: read audiobooks, 16 kHz, in parts whose speakers are all different.

Panayotov et al. 2015, "LibriSpeech: an ASR corpus based on public domain audio books" (ICASSP).

    <part>/<speaker>/<chapter>/<speaker>-<chapter>-<number>.flac
    <part>/<speaker>/<chapter>/<speaker>-<chapter>.trans.txt        a line an utterance: its name, its text
"""

from pathlib import Path

from audiornn.corpus.download import Archive, fetch
from audiornn.corpus.manifest import Utterance
from audiornn.errors import CorpusError, nearest

# What OpenSLR 31 and 12 publish: resource, bytes, checksum.
# 31: its md5sum.txt; the sizes are those of Kaldi's mini_librispeech/s5/local/download_and_untar.sh.
# 12: torchaudio 2.11 (datasets/librispeech.py) and tensorflow_datasets (url_checksums/librispeech.txt).
PARTS = {
    "train-clean-5": (31, 332_954_390, "md5:5df7d4e78065366204ca6845bb08f490"),
    "dev-clean-2": (31, 126_046_265, "md5:6d7ab67ac6a1d2c993d050e16d61080d"),
    "train-clean-100": (
        12,
        6_387_309_499,
        "sha256:d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
    ),
    "train-clean-360": (
        12,
        23_049_477_885,
        "sha256:146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf",
    ),
    "train-other-500": (
        12,
        30_593_501_606,
        "sha256:ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2",
    ),
    "dev-clean": (12, 337_926_286, "sha256:76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3"),
    "dev-other": (12, 314_305_928, "sha256:12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365"),
    "test-clean": (12, 346_663_984, "sha256:39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23"),
    "test-other": (12, 328_757_843, "sha256:d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29"),
}
HOSTS = ("https://www.openslr.org", "https://us.openslr.org", "https://openslr.elda.org")
WITHIN = {"train-clean-5": "train-clean-100", "dev-clean-2": "dev-clean"}  # the mini corpus is taken from the large one


def obtain(
    corpus_dir: Path,
    *,
    jobs: int,
    train: str = "train-clean-5",
    dev: str = "dev-clean-2",
    test: str = "test-clean",
) -> Path:
    """Fetch the parts that are asked for from OpenSLR into the cache.

    Returns:
        The folder that holds them, and any fetched before.
    """
    folders = [fetch(_archive(part)) for parts in _chosen(train, dev, test).values() for part in parts]
    return folders[-1].parent


def prepare(
    corpus_dir: Path, *, train: str = "train-clean-5", dev: str = "dev-clean-2", test: str = "test-clean"
) -> dict[str, list[Utterance]]:
    """Utterances of the parts, a speaker being a reader.

    Args:
        corpus_dir: the folder `LibriSpeech`, which holds the parts, or the one that holds it.
        train: the parts to learn from, joined by "+", such as "train-clean-100+train-clean-360".
        dev: the parts to choose the weights by; empty for none.
        test: the parts to test on; empty for none.

    Expected output of prep: dev-clean-2 has 1,089 utterances, dev-clean 2,703, dev-other 2,864, test-clean 2,620,
    test-other 2,939, train-clean-100 28,539, train-clean-360 104,014, train-other-500 148,688.
    """
    chosen = _chosen(train, dev, test)
    folder = corpus_dir / "LibriSpeech"
    folder = folder if folder.is_dir() else corpus_dir
    return {split: [u for part in parts for u in _part(folder / part)] for split, parts in chosen.items()}


def _archive(part: str) -> Archive:
    resource, size, checksum = PARTS[part]
    url, *mirrors = [f"{host}/resources/{resource}/{part}.tar.gz" for host in HOSTS]
    return Archive(f"LibriSpeech/{part}", url, checksum, size, tuple(mirrors), root=f"LibriSpeech/{part}")


def _chosen(train: str, dev: str, test: str) -> dict[str, list[str]]:
    """The parts of each split.

    Raises:
        CorpusError: a part there is not, or one that is asked for twice.
    """
    given = {"train": train, "dev": dev, "test": test}
    chosen = {split: [part.strip() for part in text.split("+") if part.strip()] for split, text in given.items()}
    if not chosen["train"]:
        raise CorpusError("corpus.train names no part to learn from")
    seen: set[str] = set()
    for split, parts in chosen.items():
        for part in parts:
            if part not in PARTS:
                raise CorpusError(
                    f"corpus.{split}: LibriSpeech has no part {part!r}{nearest(part, PARTS)}; it has {', '.join(PARTS)}"
                )
            if part in seen:
                raise CorpusError(f"corpus.{split}: {part} is asked for twice")
            seen.add(part)
    for part, whole in WITHIN.items():
        if {part, whole} <= seen:
            raise CorpusError(f"{part} is a piece of {whole}; take one of the two")
    return chosen


def _part(folder: Path) -> list[Utterance]:
    """A part's utterances by name; every recording has its line and every line its recording."""
    transcripts = sorted(folder.glob("*/*/*.trans.txt"))
    if not transcripts:
        raise CorpusError(
            f"{folder}: no <speaker>/<chapter>/*.trans.txt in it; is the folder given the one that holds the parts?"
        )
    texts = {file.parent / name: text for file in transcripts for name, text in _lines(file)}
    recordings = {file.with_suffix(""): file for file in sorted(folder.glob("*/*/*.flac"))}
    for these, those, problem in (
        (texts, recordings, "transcripts have no recording"),
        (recordings, texts, "recordings have no transcript"),
    ):
        if lone := sorted(set(these) - set(those)):
            raise CorpusError(f"{folder}: {len(lone)} {problem}, the first is {lone[0].name}; unpack the part again")
    return [Utterance(stem.name, file, texts[stem], stem.parent.parent.name) for stem, file in recordings.items()]


def _lines(file: Path) -> list[tuple[str, str]]:
    """Names and texts of a chapter."""
    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        name, _, text = line.strip().partition(" ")
        if not text:
            raise CorpusError(f"{file}, line {number}: not a name and a text: {line!r}")
        found.append((name, text))
    return found
