"""Recordings that are copies of each other, so that a split drawn by recording keeps them together.

Folders of strangers hold them more often than not: the same word at another level, cut, or with noise on it. In two
splits they make a test ask for what was learnt by heart; `prep` would refuse them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audiornn.corpus.collection import Collection
from audiornn.corpus.duplicates import find_duplicates
from audiornn.corpus.measure import measure_recordings

__all__ = ["MOST", "find_copies"]

#: Recordings up to which copies are looked for; each is read once more for it.
MOST = 20_000

_ROUNDS = 5


def find_copies(collection: Collection, *, jobs: int = 1) -> dict[str, str]:
    """Utterances of which one is a copy of another, by a common name: the first one's id.

    Every recording is read once. A collection of more than `MOST` utterances is not looked through.

    Args:
        collection: what was read; its audio must be there.
        jobs: recordings at a time.

    Returns:
        The group's name by utterance id, of those that have a copy.
    """
    utterances = collection.utterances
    if len(utterances) > MOST:
        return {}
    measured, unreadable = measure_recordings(utterances, n_jobs=jobs)
    readable = np.array([utterance.id not in unreadable for utterance in utterances], bool)
    group = list(range(len(utterances)))
    # Of what many recordings hold, the search keeps no track; with one of each group left, it finds the rest.
    for _ in range(_ROUNDS):
        first = readable & (np.array(group) == np.arange(len(group)))
        found = find_duplicates(
            utterances,
            np.where(first, measured.rows["identity"], 0),
            measured.keys[first[measured.owners]],
            measured.owners[first[measured.owners]],
        )
        if not found:
            break
        for pair in found:
            one, other = sorted((_root(group, pair.first), _root(group, pair.second)))
            group[other] = one
        group = [_root(group, i) for i in range(len(group))]
    sizes = np.bincount(group, minlength=1)
    return {utterances[i].id: utterances[root].id for i, root in enumerate(group) if sizes[root] > 1}


def _root(group: Sequence[int], i: int) -> int:
    while group[i] != i:
        i = group[i]
    return i
