"""Google Speech Commands: one-second recordings of words, in a folder a word, split by speaker in two lists.

Warden 2018, "Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition" (arXiv 1804.03209).
"""

import math
import random
from pathlib import Path

from audiornn.audio import audio_info
from audiornn.corpus.manifest import Utterance
from audiornn.errors import CorpusError

COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
UNKNOWN = "_unknown_"
SILENCE = "_silence_"
NOISE_FOLDER = "_background_noise_"
SHARE = 0.1  # of _unknown_ and of _silence_, against the commands (§ 7 of the paper)
SEED = 59185  # which recordings stand for _unknown_ never changes
NOISE_PARTS = {"train": (0.0, 0.8), "dev": (0.8, 0.9), "test": (0.9, 1.0)}  # of each noise file


def prepare(corpus_dir: Path, *, words: str = "commands") -> dict[str, list[Utterance]]:
    """The twelve labels of the paper, or every word.

    Args:
        corpus_dir: v0.01 or v0.02, or any subset with its layout and lists.
        words: "commands" for the ten commands, `_unknown_` (other words) and `_silence_` (stretches of the background
            noise), each a tenth as many as the commands; "all" for every word as its own label.

    `dev` is `validation_list.txt`, `test` is `testing_list.txt`, `train` all else. Noise is split in time, so that no
    second of it serves two splits.
    """
    if words not in ("commands", "all"):
        raise CorpusError(f"corpus.words = {words!r} must be 'commands' or 'all'")
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
    rng = random.Random(SEED)
    return {split: _twelve_labels(utterances, corpus_dir, split, rng) for split, utterances in splits.items()}


def _twelve_labels(utterances: list[Utterance], corpus_dir: Path, split: str, rng: random.Random) -> list[Utterance]:
    commands = [u for u in utterances if u.text in COMMANDS]
    others = [u for u in utterances if u.text not in COMMANDS]
    n = math.ceil(len(commands) * SHARE)
    unknown = [Utterance(u.id, u.audio, UNKNOWN, u.speaker) for u in rng.sample(others, min(n, len(others)))]
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
        return set(file.read_text().split())
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
