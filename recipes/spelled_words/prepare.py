"""English words and letters by some seven hundred speakers, spelled: AN4 and Speech Commands, to start others from."""

import dataclasses
from pathlib import Path

from audiornn.corpus.made_recordings import corpora_in
from audiornn.corpus.manifest import SPLITS, Utterance
from audiornn.recipe import load_recipe, packaged_recipes

#: The recipes that the corpora are of, and what these are to give.
CORPORA = {"speechcommands": ["corpus.words=all"], "an4": []}


def prepare(corpus_dir: Path, *, without: str = "") -> dict[str, list[Utterance]]:
    """The splits of both corpora's own recipes together; no speaker is in two.

    Args:
        corpus_dir: holds both folders.
        without: words with spaces between; what says any of them is left out, for others to be measured on it.

    Expected output of prep, with the whole of AN4 and a subset of Speech Commands of 7,116 recordings: 6,373 train, 925
    dev, 896 test utterances, 27 labels.
    """
    left_out = set(without.upper().split())
    folders = corpora_in(corpus_dir, tuple(CORPORA))
    splits: dict[str, list[Utterance]] = {split: [] for split in SPLITS}
    for recipe, overrides in CORPORA.items():
        found = load_recipe(packaged_recipes() / recipe, overrides).prepare(folders[recipe])
        for split in SPLITS:
            splits[split] += [
                dataclasses.replace(u, id=f"{recipe}/{u.id}", text=u.text.upper(), speaker=f"{recipe}/{u.speaker}")
                for u in found[split]
                if not left_out & set(u.text.upper().split())
            ]
    return splits
