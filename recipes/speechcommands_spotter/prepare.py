"""Google Speech Commands as a spotter: ten words, found in long recordings made of clips that nobody in training said.

Warden 2018, "Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition" (arXiv 1804.03209).
"""

from pathlib import Path

from audiornn.audio import audio_info
from audiornn.corpus.manifest import SPLITS, Utterance
from audiornn.corpus.placed_recordings import place_words
from audiornn.corpus.word_bounds import with_word_bounds
from audiornn.errors import CorpusError

COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
NOISE_FOLDER = "_background_noise_"
NOISE_PARTS = {"train": (0.0, 0.8), "dev": (0.8, 0.9), "test": (0.9, 1.0)}  # of each noise file
LISTS = {"validation_list.txt": "dev", "testing_list.txt": "test"}
STRETCH = 10.0  # seconds of noise


def prepare(
    corpus_dir: Path,
    *,
    minutes: float = 30.0,
    snr: float = 10.0,
    seed: int = 1,
    made_dir: Path | None = None,
    jobs: int = 1,
) -> dict[str, list[Utterance]]:
    """In train the ten words' clips, and as background the other words and noise; dev and test are made of theirs.

    Args:
        corpus_dir: v0.01 or v0.02, or any subset with its layout and lists.
        minutes: of dev, and of test: all clips of the list, other words among them, placed in noise at known times.
        snr: dB from the noise up to each word there.
        seed: of what is placed where.
        made_dir: where those recordings are written.
        jobs: recordings read at a time.

    Raises:
        CorpusError: a list or the noise is missing.
    """
    if made_dir is None:
        raise CorpusError("the recordings of dev and test are made by `audiornn prep`, which gives the folder for them")
    listed: dict[str, str] = {}
    for name, split in LISTS.items():
        if not (corpus_dir / name).is_file():
            raise CorpusError(f"{corpus_dir / name}: missing; is this the folder of Speech Commands?")
        listed |= dict.fromkeys((corpus_dir / name).read_text(encoding="utf-8").split(), split)
    words: dict[str, list[Utterance]] = {split: [] for split in SPLITS}
    for file in sorted(corpus_dir.glob("[!_]*/*.wav")):
        word, key = file.parent.name, f"{file.parent.name}/{file.name}"
        label = word if word in COMMANDS else ""
        utterance = Utterance(f"{word}/{file.stem}", file, label, file.name.partition("_")[0])
        words[listed.get(key, "train")].append(utterance)
    if missing := [split for split in SPLITS if not words[split]]:
        raise CorpusError(f"{corpus_dir}: holds no clips for {', '.join(missing)}")
    noise = _noise(corpus_dir)
    splits = {}
    for split, own in words.items():
        clips = [*with_word_bounds([u for u in own if u.text], jobs=jobs), *(u for u in own if not u.text)]
        if split == "train":
            splits[split] = [*clips, *noise[split]]
        else:
            splits[split] = place_words(clips, noise[split], made_dir / split, minutes=minutes, snr=snr, seed=seed)
    return splits


def _noise(corpus_dir: Path) -> dict[str, list[Utterance]]:
    """Each split's own part of each noise file, in stretches."""
    stretches: dict[str, list[Utterance]] = {split: [] for split in SPLITS}
    for file in sorted((corpus_dir / NOISE_FOLDER).glob("*.wav")):
        duration = audio_info(file).duration
        for split, (first, last) in NOISE_PARTS.items():
            n = max(1, round((last - first) * duration / STRETCH))
            length = int(1000 * (last - first) * duration / n) / 1000
            for i in range(n):
                start = round(first * duration + i * length, 3)
                identifier = f"{NOISE_FOLDER}/{file.stem}@{start:.3f}"
                stretches[split].append(Utterance(identifier, file, NOISE_FOLDER, None, start, length))
    if not stretches["train"]:
        raise CorpusError(f"{corpus_dir / NOISE_FOLDER}: holds no noise to place words in")
    return stretches
