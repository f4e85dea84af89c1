"""Which digit when: strings pasted from the Free Spoken Digit Dataset, with the times at which each digit was put."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from audiornn.corpus.composition import VERSION, Word, compose_files, plan_strings, word_bounds
from audiornn.corpus.made_recordings import folder_of_plan
from audiornn.corpus.manifest import Segment, Utterance
from audiornn.errors import CorpusError
from audiornn.recipe import load_recipe, packaged_recipes

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SAMPLE_RATE = 8000  # FSDD's


def prepare(
    corpus_dir: Path,
    *,
    strings: int = 1200,
    dev_strings: int = 100,
    test_strings: int = 150,
    dev_speaker: str = "lucas",
    test_speaker: str = "nicolas",
    made_dir: Path | None = None,
    jobs: int = 1,
) -> dict[str, list[Utterance]]:
    """Strings of 2 to 7 digits, each of one speaker; none of them stands in two splits.

    Args:
        corpus_dir: FSDD: `recordings/`, or the folder above it.
        strings: how many are pasted for training, of four speakers.
        dev_strings: how many for dev, of `dev_speaker`.
        test_strings: how many for test, of `test_speaker`.
        dev_speaker: who is kept for dev.
        test_speaker: who is kept for test.
        made_dir: gets the strings.
        jobs: processes that paste.

    Expected output of prep: 1,200 train, 100 dev, 150 test utterances, 10 labels.
    """
    splits = load_recipe(packaged_recipes() / "digits").prepare(corpus_dir)
    words: dict[str, list[Word]] = defaultdict(list)
    for utterance in (u for split in splits.values() for u in split):
        words[str(utterance.speaker)].append(Word(utterance.audio, DIGITS[int(utterance.text)]))
    held_out = {"dev": dev_speaker, "test": test_speaker}
    if dev_speaker == test_speaker or not set(held_out.values()) < set(words):
        raise CorpusError(
            f"corpus.dev_speaker = {dev_speaker!r} and corpus.test_speaker = {test_speaker!r} must be two of "
            f"{', '.join(sorted(words))}, and not all of them"
        )
    planned = []
    for split, n in (("train", strings), ("dev", dev_strings), ("test", test_strings)):
        own = {
            s: w
            for s, w in words.items()
            if s == held_out.get(split, s) and (split != "train" or s not in held_out.values())
        }
        planned += plan_strings(
            own,
            n,
            folder=Path(split),
            name=f"spoken_segments, {split}",
            lengths=(2, 7),
            sample_rate=SAMPLE_RATE,
            snrs=(10.0, 35.0),
        )
    plan = f"{VERSION}\n" + "\n".join(repr(job).replace(str(corpus_dir), "") for job in planned)
    folder = folder_of_plan(made_dir, plan, "spoken_segments")
    located = [replace(job, path=folder / job.path) for job in planned]
    compose_files(located, jobs)
    splits = {"train": [], "dev": [], "test": []}
    for job, where in zip(planned, located, strict=True):
        bounds = word_bounds(where)
        ends = [*(start for start, _ in bounds[1:]), float("inf")]  # a word that runs into the next ends there
        segments = tuple(
            Segment(round(start, 6), round(min(end, following), 6), word.text)
            for (start, end), following, word in zip(bounds, ends, job.words, strict=True)
        )
        splits[job.path.parent.name].append(
            Utterance(job.path.with_suffix("").as_posix(), where.path, "", job.speaker, segments=segments)
        )
    return splits
