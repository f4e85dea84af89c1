"""Voices whose pitch is known because it was drawn: speech-like recordings by the source-filter model.

Nothing is fetched: `obtain` makes them, the same every time. Every recording is another voice.
"""

from pathlib import Path

from audiornn.corpus.manifest import Utterance
from audiornn.corpus.source_filter import VoiceJob, render_voices
from audiornn.errors import CorpusError

SEEDS = {"train": 100_000, "dev": 200_000, "test": 300_000}  # of the first voice of each split


def obtain(corpus_dir: Path, *, jobs: int, voices: int = 8000) -> None:
    """Make the recordings and the tracks of their pitch, or what is missing of them."""
    planned = _plan(corpus_dir, voices)
    render_voices([VoiceJob(file, seed) for split in planned.values() for file, seed in split], jobs)


def prepare(corpus_dir: Path, *, voices: int = 8000) -> dict[str, list[Utterance]]:
    """The recordings that `obtain` made, each with a table of its pitch every 10 ms.

    Args:
        corpus_dir: where they lie.
        voices: for training; a sixteenth of that for dev, a twelfth for test.

    Expected output of prep: 8,000 train, 500 dev, 666 test utterances, 2 tracks.
    """
    splits = {}
    for split, planned in _plan(corpus_dir, voices).items():
        files = [file for file, _ in planned]
        missing = [f for audio in files for f in (audio, audio.with_suffix(".csv")) if not f.is_file()]
        if missing:
            raise CorpusError(
                f"{missing[0]}: is missing, and {len(missing) - 1} more; prepare without --corpus to make them"
            )
        splits[split] = [Utterance(f"{split}/{f.stem}", f, speaker=f.stem, track=f.with_suffix(".csv")) for f in files]
    return splits


def _plan(corpus_dir: Path, voices: int) -> dict[str, list[tuple[Path, int]]]:
    """The file and the seed of each voice of each split."""
    if voices < 16:
        raise CorpusError(f"corpus.voices = {voices} must be at least 16")
    counts = {"train": voices, "dev": voices // 16, "test": voices // 12}
    return {
        split: [(corpus_dir / split / f"voice_{seed}.flac", seed) for seed in range(first, first + counts[split])]
        for split, first in SEEDS.items()
    }
