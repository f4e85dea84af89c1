"""Voices whose pitch is known because it was drawn: speech-like recordings by the source-filter model.

Nothing is fetched: `obtain` makes them, the same every time. Every recording is another voice.
"""

from pathlib import Path

from audiornn.corpus.manifest import Utterance
from audiornn.corpus.source_filter import VoiceJob, render_voices
from audiornn.errors import CorpusError

COUNTS = {"train": 2400, "dev": 150, "test": 200}
SEEDS = {"train": 100_000, "dev": 200_000, "test": 300_000}  # of the first voice of each split


def obtain(corpus_dir: Path, *, jobs: int) -> None:
    """Make the recordings and the tracks of their pitch, or what is missing of them."""
    render_voices([VoiceJob(file, seed) for split in COUNTS for file, seed in _voices(corpus_dir, split)], jobs)


def prepare(corpus_dir: Path) -> dict[str, list[Utterance]]:
    """The recordings that `obtain` made, each with a table of its pitch every 10 ms.

    Expected output of prep: 2,400 train, 150 dev, 200 test utterances, 2 tracks.
    """
    splits = {}
    for split in COUNTS:
        files = [file for file, _ in _voices(corpus_dir, split)]
        missing = [f for audio in files for f in (audio, audio.with_suffix(".csv")) if not f.is_file()]
        if missing:
            raise CorpusError(
                f"{missing[0]}: is missing, and {len(missing) - 1} more; prepare without --corpus to make them"
            )
        splits[split] = [Utterance(f"{split}/{f.stem}", f, speaker=f.stem, track=f.with_suffix(".csv")) for f in files]
    return splits


def _voices(corpus_dir: Path, split: str) -> list[tuple[Path, int]]:
    """The file and the seed of each voice of a split."""
    first = SEEDS[split]
    return [(corpus_dir / split / f"voice_{seed}.flac", seed) for seed in range(first, first + COUNTS[split])]
