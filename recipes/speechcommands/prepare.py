"""Google Speech Commands: one-second recordings of words, in a folder a word, split by speaker in two lists.

Warden 2018, "Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition" (arXiv 1804.03209).
"""

import math
import random
import re
from pathlib import Path

from audiornn.audio import audio_info
from audiornn.corpus.download import Archive, fetch
from audiornn.corpus.manifest import Utterance
from audiornn.errors import CorpusError

COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
UNKNOWN = "_unknown_"
SILENCE = "_silence_"
NOISE_FOLDER = "_background_noise_"
SHARE = 0.1  # of _unknown_ and of _silence_, against the commands (§ 7 of the paper)
SEED = 59185  # which recordings stand for _unknown_ never changes
NOISE_PARTS = {"train": (0.0, 0.8), "dev": (0.8, 0.9), "test": (0.9, 1.0)}  # of each noise file


_HOST = "https://storage.googleapis.com/download.tensorflow.org/data"
_OTHER_HOST = "http://download.tensorflow.org/data"


def _archive(name: str, checksum: str = "", size: int = 0) -> Archive:
    return Archive(name, f"{_HOST}/{name}.tar.gz", checksum, size, mirrors=(f"{_OTHER_HOST}/{name}.tar.gz",))


# Checksums: torchaudio 2.11 (datasets/speechcommands.py) for the two versions, and tensorflow_datasets
# (url_checksums/speech_commands.txt) for the test set of 0.02. Nobody publishes one for the test set of 0.01.
ARCHIVES = {
    "0.01": _archive(
        "speech_commands_v0.01",
        "sha256:743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
        1_489_096_277,
    ),
    "0.02": _archive(
        "speech_commands_v0.02",
        "sha256:af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
        2_428_923_189,
    ),
}
TEST_ARCHIVES = {
    "0.01": _archive("speech_commands_test_set_v0.01"),
    "0.02": _archive(
        "speech_commands_test_set_v0.02",
        "sha256:cc2a00c1147c2254e9be3fa0f779d8c17421dc349b86366567a8edfa9acd51df",
        112_563_277,
    ),
}
N_TEST_RECORDINGS = {"0.01": 3081, "0.02": 4890}


def obtain(corpus_dir: Path, *, jobs: int, words: str = "commands", version: str = "0.02", test: str = "lists") -> Path:
    """Fetch a version of the corpus into the cache, and its official test set where that is asked for.

    Returns:
        The folder of the corpus; the test set lies beside it.
    """
    _check_choices(words, version, test)
    if test == "official":
        folder = fetch(TEST_ARCHIVES[version])
        found = len(list(folder.glob("*/*.wav")))
        if found != N_TEST_RECORDINGS[version]:
            raise CorpusError(
                f"{folder}: {found} recordings, expected {N_TEST_RECORDINGS[version]}; delete this folder and try again"
            )
    return fetch(ARCHIVES[version])


def prepare(
    corpus_dir: Path, *, words: str = "commands", version: str = "0.02", test: str = "lists"
) -> dict[str, list[Utterance]]:
    """The twelve labels of the paper, or every word.

    Args:
        corpus_dir: v0.01 or v0.02, or any subset with its layout and lists.
        words: "commands" for the ten commands, `_unknown_` (other words) and `_silence_` (stretches of the background
            noise), each a tenth as many as the commands; "all" for every word as its own label. In training
            `_unknown_` is all other words there are, of which each epoch takes its share (`training.balanced`).
        version: "0.01" or "0.02": which one to fetch, and whose official test set to look for.
        test: "lists" for the recordings of `testing_list.txt`; "official" for the test set published by itself, a
            folder a label, in `speech_commands_test_set_v<version>` beside `corpus_dir`.

    `dev` is `validation_list.txt`, `train` all that is in neither list. Noise is split in time, so that no second of it
    serves two splits.

    Expected output of prep, version 0.02, test = "official": 4,890 test utterances.
    """
    _check_choices(words, version, test)
    listed = {"dev": _listed(corpus_dir / "validation_list.txt"), "test": _listed(corpus_dir / "testing_list.txt")}
    splits: dict[str, list[Utterance]] = {"train": [], "dev": [], "test": []}
    for file in sorted(corpus_dir.glob("*/*.wav")):
        word = file.parent.name
        if not word.startswith("_"):
            name = f"{word}/{file.name}"
            split = next((split for split, names in listed.items() if name in names), "train")
            splits[split].append(Utterance(f"{word}/{file.stem}", file, word, file.name.split("_")[0]))
    _check(splits, listed, corpus_dir)
    if words == "all":
        return splits
    official = _official_test(corpus_dir, version, splits) if test == "official" else None
    rng = random.Random(SEED)
    labelled = {split: _twelve_labels(utterances, corpus_dir, split, rng) for split, utterances in splits.items()}
    return labelled if official is None else {**labelled, "test": official}


def _check_choices(words: str, version: str, test: str) -> None:
    for key, value, known in (
        ("words", words, ("commands", "all")),
        ("version", version, tuple(ARCHIVES)),
        ("test", test, ("lists", "official")),
    ):
        if value not in known:
            raise CorpusError(f"corpus.{key} = {value!r} must be {known[0]!r} or {known[1]!r}")
    if test == "official" and words == "all":
        raise CorpusError('corpus.test = "official" has the twelve labels only; corpus.words must be "commands"')


def _official_test(corpus_dir: Path, version: str, splits: dict[str, list[Utterance]]) -> list[Utterance]:
    """The test set published by itself; nobody who speaks in it may be heard in training or dev."""
    folder = corpus_dir.resolve().parent / TEST_ARCHIVES[version].name
    found = []
    for label in (*COMMANDS, UNKNOWN, SILENCE):
        files = sorted((folder / label).glob("*.wav"))
        if not files:
            raise CorpusError(
                f"{folder / label}: no recordings; the official test set belongs beside {corpus_dir}, "
                f"from {TEST_ARCHIVES[version].url}"
            )
        for file in files:  # go/<speaker>_nohash_0.wav, _unknown_/<word>_<speaker>_nohash_0.wav, _silence_/<n>.wav
            speaker = re.search(r"([0-9a-f]{8})_nohash_", file.name)
            found.append(Utterance(f"official/{label}/{file.stem}", file, label, speaker[1] if speaker else None))
    heard = {u.speaker for split in ("train", "dev") for u in splits[split]}
    if leaks := sorted({str(u.speaker) for u in found if u.speaker in heard}):
        raise CorpusError(
            f"{folder}: {len(leaks)} of its speakers are not in testing_list.txt but in training or dev, the first is "
            f"{leaks[0]}; is it the test set of the version in {corpus_dir}? (corpus.version = {version!r})"
        )
    return found


def _twelve_labels(utterances: list[Utterance], corpus_dir: Path, split: str, rng: random.Random) -> list[Utterance]:
    commands = [u for u in utterances if u.text in COMMANDS]
    others = [u for u in utterances if u.text not in COMMANDS]
    n = math.ceil(len(commands) * SHARE)
    drawn = rng.sample(others, min(n, len(others)))
    unknown = [Utterance(u.id, u.audio, UNKNOWN, u.speaker) for u in (others if split == "train" else drawn)]
    return sorted(commands + unknown, key=lambda u: u.id) + _silence(corpus_dir, split, n, rng)


def _silence(corpus_dir: Path, split: str, n: int, rng: random.Random) -> list[Utterance]:
    """`n` seconds of background noise, from the split's own part of the files."""
    files = sorted((corpus_dir / NOISE_FOLDER).glob("*.wav"))
    if not files:
        raise CorpusError(
            f"{corpus_dir / NOISE_FOLDER}: holds no noise to make {SILENCE} of; --set corpus.words=all needs none"
        )
    first, last = NOISE_PARTS[split]
    durations = {file: audio_info(file).duration for file in files}
    stretches = []
    for i in range(n):
        file = files[i % len(files)]
        start = round(rng.uniform(first * durations[file], last * durations[file] - 1.0), 3)
        stretches.append(Utterance(f"{NOISE_FOLDER}/{file.stem}@{start:.3f}#{i}", file, SILENCE, None, start, 1.0))
    return stretches


def _listed(file: Path) -> set[str]:
    try:
        return set(file.read_text(encoding="utf-8").split())
    except OSError:
        raise CorpusError(f"{file}: missing; is this the folder of Speech Commands?") from None


def _check(splits: dict[str, list[Utterance]], listed: dict[str, set[str]], corpus_dir: Path) -> None:
    for split, names in listed.items():
        found = {f"{u.text}/{u.audio.name}" for u in splits[split]}
        if missing := sorted(names - found):
            raise CorpusError(
                f"{corpus_dir}: {len(missing)} of the {len(names)} recordings listed for {split} are missing, "
                f"the first is {missing[0]}"
            )
    if absent := [word for word in COMMANDS if not any(u.text == word for u in splits["train"])]:
        raise CorpusError(f"{corpus_dir}: no training recordings of {', '.join(absent)}")
