"""Recordings that are copies of each other, so that a split drawn by recording keeps them together.

Folders of strangers hold them more often than not: the same word at another level, cut, or with noise on it. In two
splits they make a test ask for what was learnt by heart; `prep` would refuse them.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiornn.audio import audio_blocks
from audiornn.corpus.collection import Collection
from audiornn.corpus.duplicates import find_duplicates
from audiornn.corpus.manifest import Utterance
from audiornn.corpus.measure import Meter
from audiornn.errors import AudioError

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
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        measured = list(pool.map(_measured, utterances))
    group = list(range(len(utterances)))
    # Of what many recordings hold, the search keeps no track; with one of each group left, it finds the rest.
    for _ in range(_ROUNDS):
        first = [i for i in range(len(group)) if group[i] == i and measured[i] is not None]
        pairs = _pairs([utterances[i] for i in first], [measured[i] for i in first])
        if not pairs:
            break
        for a, b in pairs:
            one, other = sorted((_root(group, first[a]), _root(group, first[b])))
            group[other] = one
        group = [_root(group, i) for i in range(len(group))]
    sizes = np.bincount(group, minlength=1)
    return {utterances[i].id: utterances[root].id for i, root in enumerate(group) if sizes[root] > 1}


def _root(group: Sequence[int], i: int) -> int:
    while group[i] != i:
        i = group[i]
    return i


def _measured(utterance: Utterance) -> tuple[int, NDArray[np.uint32]] | None:
    """A hash of the samples and the fingerprint; None where the recording cannot be read, which `prep` says."""
    meter = Meter()
    read = partial(audio_blocks, utterance.audio, start=utterance.start, duration=utterance.duration)
    try:
        for _ in read(observe=meter.add):
            pass
        row, keys = meter.finish()
    except AudioError:
        return None
    return int(row["identity"]), keys


def _pairs(utterances: Sequence[Utterance], measured: Sequence[Any]) -> list[tuple[int, int]]:
    if len(utterances) < 2:
        return []
    identities = np.array([identity for identity, _ in measured], np.uint64)
    keys = np.concatenate([own for _, own in measured])
    owners = np.repeat(np.arange(len(measured)), [len(own) for _, own in measured])
    return [(d.first, d.second) for d in find_duplicates(utterances, identities, keys, owners)]
