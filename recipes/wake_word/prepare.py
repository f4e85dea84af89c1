"""A wake word: recordings of "computer", some words that are not it, and read speech to count false alarms on.

    corpus/
      computer/                   411 recordings by people nobody knows, 99 of them copies of others (Picovoice)
      not_the_wake_word/          40 other words (Mycroft Precise)
      background_speech/669/      read speech, a folder a speaker (LibriSpeech)
      background_speech/7312/

Other corpora may serve as background, each speaker of theirs in one split.
"""

from collections.abc import Sequence
from pathlib import Path

from audiornn.corpus.collection import Collection
from audiornn.corpus.copies import find_copies
from audiornn.corpus.manifest import SPLITS, Utterance
from audiornn.corpus.splitting import divide
from audiornn.corpus.spotter import as_background, with_synthetic_speech
from audiornn.corpus.spotter_folder import read_folder
from audiornn.corpus.word_bounds import with_word_bounds
from audiornn.errors import CorpusError

WORD = "computer"
READERS = {"669": "dev", "7312": "test"}
EXPECTED = {"computer": 411, "not_the_wake_word": 40, "background_speech": 58}


def prepare(
    corpus_dir: Path,
    *,
    speech_commands: str = "",
    an4: str = "",
    synthetic_words: int = 100,
    talk_minutes: float = 120.0,
    seed: int = 1,
    made_dir: Path | None = None,
    jobs: int = 1,
) -> dict[str, list[Utterance]]:
    """Recordings of the word split so that none, nor a copy of one, serves two splits; background split by speaker.

    Args:
        corpus_dir: as above.
        speech_commands: the folder of Speech Commands; its words are background.
        an4: the folder of AN4; its spelling and digits are background.
        synthetic_words: recordings of the word by synthetic voices, in train.
        talk_minutes: of synthetic talk in train.
        seed: another seed draws other splits.
        made_dir: where synthetic speech is written.
        jobs: recordings read at a time.

    Raises:
        CorpusError: recordings are missing.
    """
    found = read_folder(corpus_dir, word=WORD)
    if not found.keywords or made_dir is None:
        raise CorpusError(f"{corpus_dir}: holds no recordings of {WORD!r}")
    counts = {name: len(_below(found.keywords + found.background, corpus_dir / name)) for name in EXPECTED}
    if counts != EXPECTED:
        raise CorpusError(f"{corpus_dir}: holds {counts}, and not {EXPECTED}; is the corpus complete?")
    others = _below(found.background, corpus_dir / "not_the_wake_word")
    splits: dict[str, list[Utterance]] = {name: [] for name in SPLITS}
    for recordings in (found.keywords, others):
        collection = Collection(corpus_dir, "folders", "classify", tuple(recordings))
        copies = find_copies(collection, jobs=jobs)
        for name, own in divide(collection, dev=0.2, test=0.25, seed=seed, together=copies).splits.items():
            splits[name] += own
    splits = {
        name: [*with_word_bounds([u for u in own if u.text], jobs=jobs), *(u for u in own if not u.text)]
        for name, own in splits.items()
    }
    for reader, name in READERS.items():
        splits[name] += _below(found.background, corpus_dir / "background_speech" / reader)
    for folder, read in ((speech_commands, _speech_commands), (an4, _an4)):
        if folder:
            for name, own in read((corpus_dir / folder).resolve()).items():
                splits[name] += as_background(own)
    return with_synthetic_speech(
        splits, {WORD: WORD}, made_dir, n_words=synthetic_words, talk_minutes=talk_minutes, seed=seed, jobs=jobs
    )


def _below(utterances: Sequence[Utterance], folder: Path) -> list[Utterance]:
    return [u for u in utterances if folder in u.audio.parents]


def _speech_commands(folder: Path) -> dict[str, list[Utterance]]:
    """All its words, by its own lists of dev and test."""
    listed: dict[str, str] = {}
    for name, split in (("validation_list.txt", "dev"), ("testing_list.txt", "test")):
        if not (folder / name).is_file():
            raise CorpusError(f"{folder}: holds no {name}; corpus.speech_commands names the folder of Speech Commands")
        listed |= dict.fromkeys((folder / name).read_text(encoding="utf-8").split(), split)
    splits: dict[str, list[Utterance]] = {name: [] for name in SPLITS}
    for file in sorted(folder.glob("[!_]*/*.wav")):
        key = f"{file.parent.name}/{file.name}"
        speaker = f"speech_commands/{file.name.partition('_')[0]}"
        splits[listed.get(key, "train")].append(Utterance(f"speech_commands/{key}", file, "", speaker))
    return splits


def _an4(folder: Path) -> dict[str, list[Utterance]]:
    """Half of its speakers for train, a quarter each for dev and test."""
    files = sorted(folder.rglob("*.sph"))
    if not files:
        raise CorpusError(f"{folder}: holds no .sph recordings; corpus.an4 names the folder of AN4")
    speakers = sorted({file.parent.name for file in files})
    quarter = {speaker: ("train", "dev", "train", "test")[i % 4] for i, speaker in enumerate(speakers)}
    splits: dict[str, list[Utterance]] = {name: [] for name in SPLITS}
    for file in files:
        splits[quarter[file.parent.name]].append(Utterance(f"an4/{file.stem}", file, "", f"an4/{file.parent.name}"))
    return splits
