"""Strings of one to six spoken digits, said by some four hundred voices of espeak-ng: the corpus of `audiornn demo`.

Nothing is fetched: `obtain` synthesises it, the same recordings every time.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from audiornn.corpus.manifest import Utterance, read_manifest
from audiornn.corpus.synthesis import SynthesisJob, Voice, synthesise_files
from audiornn.errors import CorpusError
from audiornn.files import write_atomically

COUNTS = {"train": 1400, "dev": 120, "test": 180}

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

ACCENTS = (
    "en-029",  # Caribbean
    "en-gb",
    "en-gb-scotland",
    "en-gb-x-gbclan",  # Lancaster
    "en-gb-x-gbcwmd",  # West Midlands
    "en-gb-x-rp",  # Received Pronunciation
    "en-us",
    "en-us-nyc",
)

# A variant is a vocal tract and a way to use it. Left out are the whispers, robots and echoes, those that a template
# matcher takes for another digit, and near copies of a variant in another split.
VARIANTS = {
    split: names.split()
    for split, names in {
        "train": """Alex Andrea Andy Annie Denis Diogo Gene Hugo Mario Mike Storm anika antonio belinda boris edward
            f1 f4 f5 grandma gustave iven3 john klatt3 klatt5 klatt6 linda m1 m3 m4 m6 max miguel pedro quincy robert
            sandro steph""",
        "dev": "f2 grandpa m8 mike2 victor",
        "test": "aunty ed f3 klatt4 m2 m5 m7 paul",
    }.items()
}

INDEX = "corpus.jsonl"


def obtain(corpus_dir: Path, *, jobs: int) -> None:
    """Synthesise the corpus into `corpus_dir`, or what is missing of it.

    The index is written first, so that a run after a kill goes on with the very same recordings.

    Args:
        corpus_dir: the folder to make.
        jobs: how many processes synthesise.

    Raises:
        CorpusError: the folder holds a corpus of another version of this recipe.
        AudiornnError: espeak-ng is missing, or the folder cannot be written.
    """
    planned = plan(corpus_dir)
    lines = "".join(json.dumps(_entry(corpus_dir, job)) + "\n" for job in planned)
    index = corpus_dir / INDEX
    if not index.exists():
        with write_atomically(index) as out:
            out.write(lines.encode())
    elif index.read_text(encoding="utf-8") != lines:
        raise CorpusError(f"{index}: is of another version of this recipe; delete {corpus_dir} and run it again")
    synthesise_files(planned, jobs)


def prepare(corpus_dir: Path) -> dict[str, list[Utterance]]:
    """Read the corpus that `obtain` made.

    Returns:
        The utterances of ``train``, ``dev`` and ``test``. No variant speaks in two of them, and no string of two digits
        or more is said in two of them.

    Raises:
        CorpusError: an utterance or its recording is missing, or the splits are not what they promise to be.
    """
    index = corpus_dir / INDEX
    splits: dict[str, list[Utterance]] = {split: [] for split in COUNTS}
    for utterance in read_manifest(index):
        splits.setdefault(utterance.id.split("/")[0], []).append(utterance)

    found = {split: len(utterances) for split, utterances in splits.items()}
    if found != COUNTS:
        raise CorpusError(f"{index}: lists {found}, but the corpus has {COUNTS}; delete {corpus_dir} and run it again")
    missing = [u.audio for utterances in splits.values() for u in utterances if not u.audio.is_file()]
    if missing:
        raise CorpusError(
            f"{missing[0]}: is missing, and {len(missing) - 1} more; prepare this recipe without --corpus to make them"
        )
    for what, key in (("variant", _variant), ("string", _string)):
        owner: dict[str, str] = {}
        for split, utterances in splits.items():
            for utterance in utterances:
                name = key(utterance)
                if name and owner.setdefault(name, split) != split:
                    raise CorpusError(f"{index}: the {what} {name!r} is in both {owner[name]} and {split}")
    return splits


def plan(corpus_dir: Path) -> list[SynthesisJob]:
    """Every recording of the corpus, with all that is drawn for it: a function of nothing but this file."""
    planned = []
    taken: set[str] = set()
    # Train last: it is large enough to do without the strings that dev and test have taken.
    for split in ("test", "dev", "train"):
        draw = random.Random(f"spoken_digits, {split}")
        names = [f"{accent}+{variant}" for accent in ACCENTS for variant in VARIANTS[split]]
        draw.shuffle(names)
        strings = _draw_strings(draw, COUNTS[split], taken)
        taken.update(string for string in strings if len(string) > 1)
        for number, string in enumerate(strings):
            voice = Voice(
                names[number % len(names)],
                rate=draw.randint(120, 220),
                pitch=draw.randint(30, 75),
                pitch_range=draw.randint(30, 70),
                word_gap=draw.choice((0, 0, 0, 2, 5, 10)),
            )
            job = SynthesisJob(
                " ".join(DIGITS[int(digit)] for digit in string),
                voice,
                corpus_dir / split / f"{number:04d}_{string}.flac",
                leading_silence=round(draw.uniform(0.05, 0.3), 3),
                trailing_silence=round(draw.uniform(0.05, 0.3), 3),
                peak=round(0.9 * 10 ** (draw.uniform(-12, 0) / 20), 3),
                snr=round(draw.uniform(15, 40), 1),
                noise=draw.choice(("white", "pink")),
                seed=draw.getrandbits(32),
            )
            planned.append(job)
    return planned


def _draw_strings(draw: random.Random, count: int, taken: set[str]) -> list[str]:
    """Strings of 1 to 6 digits, all lengths alike often, none of them in `taken`."""
    strings: list[str] = []
    while len(strings) < count:
        length = len(strings) % 6 + 1
        string = "".join(draw.choices("0123456789", k=length))
        if string not in taken:
            strings.append(string)
    draw.shuffle(strings)
    return strings


def _entry(corpus_dir: Path, job: SynthesisJob) -> dict[str, object]:
    """A job's line of the index: the keys of a manifest, then how it was made."""
    made = vars(job) | vars(job.voice)
    text, speaker = made.pop("text"), made.pop("name")
    audio = made.pop("path").relative_to(corpus_dir)
    del made["voice"]
    return {
        "id": audio.with_suffix("").as_posix(),
        "audio_filepath": audio.as_posix(),
        "text": text,
        "speaker": speaker,
        **made,
    }


def _variant(utterance: Utterance) -> str:
    return (utterance.speaker or "").partition("+")[2]


def _string(utterance: Utterance) -> str:
    """What is said, if it is long enough to belong to one split: there are but ten strings of one digit."""
    return utterance.text if " " in utterance.text else ""
