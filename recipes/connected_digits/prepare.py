"""Strings of digits: pasted from recordings of single ones to learn from, really said in one breath to be tested on.

The corpora lie side by side in one folder: Speech Commands, AN4 and FSDD give the words, AN4 also the strings of digits
its speakers happened to say, `connected_digits` the test.
"""

import csv
import dataclasses
import hashlib
import json
import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from audiornn.corpus.composition import VERSION, Composition, Word, compose_files, plan_strings
from audiornn.corpus.made_recordings import corpora_in
from audiornn.corpus.manifest import Utterance
from audiornn.errors import CorpusError
from audiornn.files import write_atomically
from audiornn.recipe import Recipe, load_recipe, packaged_recipes

DIGITS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")

#: The utterances of speechocean762 (openslr.org/101, its training and test lists together) that are the test.
STRINGS = Path(__file__).parent / "strings.tsv"

CORPORA = ("speechcommands", "digits", "an4", "connected_digits")  # the recipes that they are of
LONGEST_EDGE = 1.5  # seconds before and after a string: who records speech seldom begins at once
PAUSES = (0.08, 0.4)  # seconds between words, in the median: some speak fluently, others word by word
VOICES = (0.9, 1.4)  # by which pitch and formants are multiplied: half of those who are to be understood are children
SLOWNESS = (0.85, 1.5)  # by which durations are: who speaks a foreign language takes time
SOUNDS = 0.4  # of the pauses hold what is no digit: people breathe, smack their lips, hesitate and begin again
SAMPLE_RATE = 16_000  # children's fricatives lie mostly above 4 kHz


def prepare(
    corpus_dir: Path,
    *,
    strings: int = 8000,
    dev_strings: int = 120,
    fsdd_share: float = 0.3,
    an4_share: float = 0.4,
    held_out: str = "nicolas",
    made_dir: Path | None = None,
    jobs: int = 1,
) -> dict[str, list[Utterance]]:
    """Strings of 3 to 7 digits: pasted ones to learn from, real ones to be tested on.

    Args:
        corpus_dir: holds the four corpora's folders.
        strings: how many are pasted for training.
        dev_strings: how many for dev, one half from FSDD.
        fsdd_share: of those for training, how many from FSDD.
        an4_share: and how many from AN4; the rest is from Speech Commands.
        held_out: FSDD's speaker who is kept for dev.
        made_dir: gets what is pasted.
        jobs: processes that paste.

    Train: words of AN4's and Speech Commands' training speakers and of FSDD's other five, pasted, and the strings of
    digits among AN4's training utterances as they are (without those that say OH, which the test never does). Dev:
    pasted strings of Speech Commands' validation speakers and of `held_out`, and AN4's test speakers' own. No speaker
    is in two splits.

    Expected output of prep: 8,137 train, 138 dev, 77 test utterances, 10 labels.
    """
    if made_dir is None:
        raise CorpusError("connected_digits: its strings must be written somewhere; call prepare with a made_dir")
    if strings < 1 or dev_strings < 0 or min(fsdd_share, an4_share, 1 - fsdd_share - an4_share) < 0:
        raise CorpusError(
            f"corpus.strings = {strings} must be at least 1, corpus.dev_strings = {dev_strings} not below 0, "
            f"corpus.fsdd_share = {fsdd_share} and corpus.an4_share = {an4_share} in 0…1, and together at most 1"
        )
    folders = corpora_in(corpus_dir, CORPORA)
    test = _read_strings(folders["connected_digits"])
    commands = _recipe("speechcommands", "corpus.words=all").prepare(folders["speechcommands"])
    fsdd = _recipe("digits", f"corpus.held_out={held_out}").prepare(folders["digits"])
    an4 = _recipe("an4").prepare(folders["an4"])
    cut = _recipe("an4", "corpus.digits=true").prepare(folders["an4"])
    words = {
        "train/an4": cut["train"] + cut["dev"],
        "train/fsdd": fsdd["train"] + fsdd["dev"],  # that recipe's own dev takes are of its training speakers
        "train/speech_commands": commands["train"],
        "dev/fsdd": fsdd["test"],
        "dev/speech_commands": commands["dev"],
    }
    n_an4, n_fsdd, n_dev_fsdd = round(strings * an4_share), round(strings * fsdd_share), dev_strings // 2
    n_strings = {
        "train/an4": n_an4,
        "train/fsdd": n_fsdd,
        "train/speech_commands": strings - n_an4 - n_fsdd,
        "dev/fsdd": n_dev_fsdd,
        "dev/speech_commands": dev_strings - n_dev_fsdd,
    }
    noises = sorted((folders["speechcommands"] / "_background_noise_").glob("*.wav"))
    behind = {"train": noises[:-1], "dev": noises[-1:]}  # a long edge is noise alone: dev's must be another
    planned = [
        job
        for part, utterances in words.items()
        if n_strings[part]
        for job in plan_strings(
            _by_speaker(utterances, part.split("/")[1]),
            n_strings[part],
            folder=Path(part),
            name=f"connected_digits, {part}",
            sample_rate=SAMPLE_RATE,
            noises=behind[part.split("/")[0]],
            longest_edge=LONGEST_EDGE,
            pauses=PAUSES,
            voices=VOICES,
            slowness=SLOWNESS,
            sounds=SOUNDS,
        )
    ]
    pasted = _paste(planned, corpus_dir, made_dir, jobs)
    return {
        "train": [u for u in pasted if u.id.startswith("train/")] + _said(an4["train"] + an4["dev"]),
        "dev": [u for u in pasted if u.id.startswith("dev/")] + _said(an4["test"]),
        "test": test,
    }


def _recipe(name: str, *overrides: str) -> Recipe:
    """A corpus' own recipe, which knows its layout and its splits."""
    return load_recipe(packaged_recipes() / name, overrides)


def _by_speaker(utterances: Iterable[Utterance], corpus: str) -> dict[str, list[Word]]:
    """What holds a single digit, whether its text is a word or a figure."""
    words = defaultdict(list)
    for utterance in utterances:
        text = DIGITS[int(utterance.text)] if utterance.text.isdigit() else utterance.text.upper()
        if text in DIGITS:
            word = Word(utterance.audio, text, start=utterance.start, duration=utterance.duration)
            words[f"{corpus}/{utterance.speaker}"].append(word)
    return words


def _said(utterances: Iterable[Utterance]) -> list[Utterance]:
    """AN4's utterances that are nothing but digits."""
    return [
        dataclasses.replace(u, id=f"an4/{u.id}", speaker=f"an4/{u.speaker}")
        for u in utterances
        if set(u.text.split()) <= set(DIGITS) and " " in u.text
    ]


def _read_strings(folder: Path) -> list[Utterance]:
    """The test: speechocean762 as published, or a table of audio, speaker and transcript beside the recordings."""
    published = folder / "WAVE"
    table = STRINGS if published.is_dir() else folder / "transcripts.tsv"
    try:
        rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines(), delimiter="\t"))
        if published.is_dir():
            rows = [
                {
                    "audio": f"WAVE/SPEAKER{row['speaker']}/{row['utterance']}.WAV",
                    "speaker": f"so{row['speaker']}",
                    "transcript": row["transcript"],
                }
                for row in rows
            ]
        named = [(Path(row["audio"]), row["speaker"], " ".join(row["transcript"].split())) for row in rows]
    except OSError:
        raise CorpusError(
            f"{table}: missing; is this the folder of connected_digits, or speechocean762 with its WAVE?"
        ) from None
    except (KeyError, AttributeError):
        raise CorpusError(f"{table}: not a table of audio, speaker and transcript") from None
    utterances, missing = [], []
    for audio, speaker, transcript in named:
        if unknown := set(transcript.split()) - set(DIGITS):
            raise CorpusError(f"{table}: {min(unknown)!r} of {audio} is none of {', '.join(DIGITS)}")
        files = (folder / audio.with_suffix(ending) for ending in (".wav", ".flac", ".WAV"))
        file = next((f for f in files if f.is_file()), None)
        if file is None:
            missing.append(audio)
        else:
            identifier = f"{speaker}/{audio.stem}" if published.is_dir() else audio.with_suffix("").as_posix()
            utterances.append(Utterance(identifier, file, transcript, speaker))
    if missing or not utterances:
        raise CorpusError(
            f"{folder}: {len(missing)} of the {len(named)} recordings in {table.name} are missing"
            + (f", the first is {missing[0]}" if missing else "")
        )
    return utterances


def _paste(planned: Sequence[Composition], corpus_dir: Path, made_dir: Path, jobs: int) -> list[Utterance]:
    """Write what is planned into a folder of its own, named after the plan, and drop the one of an older plan."""
    lines = "".join(json.dumps(_entry(job, corpus_dir)) + "\n" for job in planned)
    folder = made_dir / hashlib.sha256(f"{VERSION}\n{lines}".encode()).hexdigest()[:12]
    located = [dataclasses.replace(job, path=folder / job.path) for job in planned]
    compose_files(located, jobs)
    with write_atomically(folder / "corpus.jsonl") as out:
        out.write(lines.encode())
    for other in made_dir.iterdir():
        if other.is_dir() and other != folder:
            shutil.rmtree(other)
    return [
        Utterance(made.with_suffix("").as_posix(), job.path, job.text, job.speaker)
        for made, job in zip((job.path for job in planned), located, strict=True)
    ]


def _entry(job: Composition, corpus_dir: Path) -> dict[str, object]:
    """A string's line of the index: a manifest's keys, and all it is made of, the same wherever the corpus lies."""
    made = vars(job) | {
        "words": [
            (w.audio.relative_to(corpus_dir).as_posix(), w.audio.stat().st_size, w.level, w.start, w.duration)
            for w in job.words
        ],
        "noise": job.noise and job.noise.relative_to(corpus_dir).as_posix(),
    }
    del made["path"]
    return {"audio_filepath": job.path.as_posix(), "text": job.text, **made}
