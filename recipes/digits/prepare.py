"""The Free Spoken Digit Dataset: 3,000 recordings of ten digits by six speakers, `<digit>_<speaker>_<take>.wav`."""

import dataclasses
from pathlib import Path

from audiornn.corpus.download import Archive, fetch
from audiornn.corpus.made_recordings import FOLDERS, some_corpora_in
from audiornn.corpus.manifest import Utterance
from audiornn.errors import CorpusError, nearest
from audiornn.recipe import load_recipe, packaged_recipes

TEST_TAKES = range(5)  # the corpus' own split
DEV_TAKES = range(5, 8)

N_RECORDINGS = 3000
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

#: Recipes of other corpora in which digits are said, and what these are to give.
OTHERS = {"speechcommands": "corpus.words=all", "an4": "corpus.digits=true"}

# Without a checksum: GitHub makes this file anew whenever it is asked for, and promises its contents but not its bytes
# (docs.github.com, "Downloading source code archives"). Zip has a checksum a file, and `obtain` counts them.
ARCHIVE = Archive(
    name="free-spoken-digit-dataset-1.0.10",
    url="https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip",
    root="free-spoken-digit-dataset-1.0.10",
)


def obtain(corpus_dir: Path, *, jobs: int) -> Path:
    """Fetch the release of 3,000 recordings from GitHub into the cache.

    Returns:
        The folder that holds `recordings/`.
    """
    folder = fetch(ARCHIVE)
    found = len(list((folder / "recordings").glob("*.wav")))
    if found != N_RECORDINGS:
        raise CorpusError(
            f"{folder}: {ARCHIVE.url} has {found} recordings, expected {N_RECORDINGS}; delete this folder and try again"
        )
    return folder


def prepare(corpus_dir: Path, *, held_out: str = "", others: str = "") -> dict[str, list[Utterance]]:
    """The official split, or all recordings of one speaker as the test.

    Args:
        corpus_dir: holds `recordings/`.
        held_out: the speaker to hold out; none gives the official split, takes 0 to 4, which shares its speakers with
            training.
        others: a folder with `speech_commands/`, `an4/` or both, whose speakers' digits training learns from, too. With
            a speaker held out dev is then made of their dev speakers alone: it tells how strangers fare.

    Expected output of prep, official split: 2,520 train, 180 dev, 300 test utterances by 6 speakers, 10 labels.
    """
    folder = corpus_dir / "recordings"
    utterances = [_utterance(file) for file in sorted((folder if folder.is_dir() else corpus_dir).glob("*.wav"))]
    speakers = sorted({str(utterance.speaker) for utterance in utterances})
    if len(utterances) < 100 or len({utterance.text for utterance in utterances}) != 10:
        raise CorpusError(
            f"{corpus_dir}: {len(utterances)} recordings named <digit>_<speaker>_<take>.wav, expected 3,000"
        )
    if held_out and held_out not in speakers:
        raise CorpusError(
            f"corpus.held_out = {held_out!r} is no speaker of {', '.join(speakers)}{nearest(held_out, speakers)}"
        )
    splits: dict[str, list[Utterance]] = {"train": [], "dev": [], "test": []}
    for utterance in utterances:
        take = int(utterance.id.rsplit("_", 1)[1])
        is_test = utterance.speaker == held_out if held_out else take in TEST_TAKES
        splits["test" if is_test else "dev" if take in DEV_TAKES else "train"].append(utterance)
    if others:
        more = _digits_of_others(Path(others).expanduser())
        splits["train"] += more["train"]
        if held_out and more["dev"]:
            splits["train"] += splits["dev"]
            splits["dev"] = more["dev"]
    return splits


def _digits_of_others(folder: Path) -> dict[str, list[Utterance]]:
    """Digits that speakers of other corpora say, for train and dev: single words, and words cut out of sentences."""
    found: dict[str, list[Utterance]] = {"train": [], "dev": []}
    for recipe, corpus_dir in some_corpora_in(folder, tuple(OTHERS)).items():
        splits = load_recipe(packaged_recipes() / recipe, [OTHERS[recipe]]).prepare(corpus_dir)
        for split, utterances in found.items():
            for utterance in splits[split]:
                if (word := utterance.text.lower()) in WORDS:
                    new = {"id": f"{recipe}/{utterance.id}", "speaker": f"{recipe}/{utterance.speaker}"}
                    utterances.append(dataclasses.replace(utterance, text=str(WORDS.index(word)), **new))
    if not found["train"]:
        known = ", ".join(name for recipe in OTHERS for name in FOLDERS[recipe][:2])
        raise CorpusError(f"corpus.others = {str(folder)!r} holds none of {known}")
    return found


def _utterance(file: Path) -> Utterance:
    parts = file.stem.split("_")
    if len(parts) != 3 or not parts[0].isdigit() or not parts[2].isdigit():
        raise CorpusError(f"{file}: not named <digit>_<speaker>_<take>.wav")
    return Utterance(id=file.stem, audio=file, text=parts[0], speaker=parts[1])
