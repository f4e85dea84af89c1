"""Kaldi's yesno: one speaker, 60 recordings of eight words each, Hebrew for yes and no, encoded in the file's name."""

from pathlib import Path

from audiornn.corpus.download import Archive, fetch
from audiornn.corpus.manifest import Utterance
from audiornn.errors import CorpusError

N_RECORDINGS = 60

ARCHIVE = Archive(
    name="yesno",
    url="https://www.openslr.org/resources/1/waves_yesno.tar.gz",
    checksum="sha256:c3f49e0cca421f96b75b41640749167b52118f232498667ca7a5f9416aef8e73",  # torchaudio 2.11
    mirrors=(
        "https://us.openslr.org/resources/1/waves_yesno.tar.gz",
        "https://openslr.elda.org/resources/1/waves_yesno.tar.gz",
    ),
    root="waves_yesno",
)


def obtain(corpus_dir: Path, *, jobs: int) -> Path:
    """Fetch the corpus from OpenSLR into the cache.

    Returns:
        The folder of the recordings.
    """
    return fetch(ARCHIVE)


def prepare(corpus_dir: Path) -> dict[str, list[Utterance]]:
    """Every second recording is for training, the others for testing, as in lhotse and icefall.

    There is no dev split: thirty utterances are too few to spare any, and the last weights are kept.

    Expected output of prep: 30 train utterances of 0.050 h, 30 test utterances, 2 labels.
    """
    folder = corpus_dir / "waves_yesno"
    files = sorted((folder if folder.is_dir() else corpus_dir).glob("*_*_*_*_*_*_*_*.wav"))
    if len(files) != N_RECORDINGS:
        raise CorpusError(
            f"{corpus_dir}: {len(files)} recordings named like 0_1_1_0_1_0_0_1.wav, expected {N_RECORDINGS}"
        )
    utterances = [
        Utterance(
            id=file.stem,
            audio=file,
            text=" ".join("YES" if digit == "1" else "NO" for digit in file.stem.split("_")),
            speaker="the speaker",
        )
        for file in files
    ]
    return {"train": utterances[::2], "dev": [], "test": utterances[1::2]}
