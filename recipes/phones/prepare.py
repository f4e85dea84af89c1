"""AN4's phones: the utterances and splits of the recipe `an4`, spelled by the corpus' own pronunciation dictionary."""

from pathlib import Path

from audiornn.corpus.manifest import Utterance
from audiornn.recipe import load_recipe, packaged_recipes


def obtain(corpus_dir: Path, *, jobs: int) -> Path:
    """Fetch AN4 into the cache, as `an4` does; `etc/an4.dic` comes with it."""
    return load_recipe(packaged_recipes() / "an4").obtain(corpus_dir, jobs=jobs)


def prepare(corpus_dir: Path) -> dict[str, list[Utterance]]:
    """The splits of `an4`; `vocabulary.lexicon` makes phones of their words.

    Args:
        corpus_dir: holds `etc/` and `wav/`.

    Expected output of prep: 848 train utterances by 66 speakers, 100 dev by 8, 130 test by 10; 0.8 h, 33 phones.
    """
    return load_recipe(packaged_recipes() / "an4").prepare(corpus_dir)
