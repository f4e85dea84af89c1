"""Files that go with recordings because they are called alike: labels, and values over time."""

from __future__ import annotations

import itertools
import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from audiornn.errors import CorpusError

__all__ = ["own_files"]


def own_files(recordings: Iterable[str], files: Iterable[str], stem_of: Callable[[str], str]) -> dict[str, list[str]]:
    """The files of each recording's name: in its own folder, else in one that lies as its own does.

    `wav/s1/u0.wav` has `lab/s1/u0.TextGrid`, and not `lab/s2/u0.TextGrid`, though its name is the same.

    Args:
        recordings: their paths, relative to one folder.
        files: those of the files.
        stem_of: what a file's name says that its recording is called, without an extension.

    Returns:
        Of each recording that has any its files, in the order of the recordings.

    Raises:
        CorpusError: a file may be of several recordings.
    """
    recordings_of: dict[str, list[str]] = defaultdict(list)
    files_of: dict[str, list[str]] = defaultdict(list)
    for key in recordings:
        recordings_of[posixpath.splitext(posixpath.basename(key))[0].casefold()].append(key)
    for key in files:
        files_of[stem_of(posixpath.basename(key)).casefold()].append(key)
    own: dict[str, list[str]] = {}
    for stem, keys in recordings_of.items():
        own |= _of_one_name(keys, files_of[stem], stem_of)
    return {key: own[key] for key in recordings if own.get(key)}


def _of_one_name(
    recordings: Sequence[str], files: Sequence[str], stem_of: Callable[[str], str]
) -> dict[str, list[str]]:
    """The files of each of some recordings that are called alike, but perhaps for their case."""
    by_folder: dict[str, list[str]] = defaultdict(list)  # a corpus may have a thousand speakers' 0.wav
    for file in files:
        by_folder[posixpath.dirname(file)].append(file)
    beside = {key: _of_exact_name(key, by_folder[posixpath.dirname(key)], stem_of) for key in recordings}
    taken = {file for found in beside.values() for file in found}
    alone = [key for key in recordings if not beside[key]]
    chosen: dict[str, list[tuple[int, str]]] = defaultdict(list)
    strays = []  # files in folders that share nothing with any recording's
    for file in files:
        if file in taken or not alone:
            continue
        nearness = [(_n_shared(key, file), key) for key in alone]
        most = max(nearness)[0]
        nearest = [key for n, key in nearness if n == most]
        if not most and len(recordings) > 1:
            strays.append((file, nearest))
        elif len(nearest) > 1:
            raise _ambiguous(file, nearest)
        else:
            chosen[nearest[0]].append((most, file))
    if strays and not chosen and not taken:
        raise _ambiguous(*strays[0])
    best = {key: max((n for n, _ in chosen[key]), default=0) for key in alone}
    return beside | {key: [file for n, file in chosen[key] if n == best[key]] for key in alone}


def _of_exact_name(recording: str, files: list[str], stem_of: Callable[[str], str]) -> list[str]:
    """Of files those that are spelled as the recording is, if any are: where a.wav and A.wav lie side by side."""
    stem = posixpath.splitext(posixpath.basename(recording))[0]
    return [file for file in files if stem_of(posixpath.basename(file)) == stem] or files


def _ambiguous(file: str, recordings: Sequence[str]) -> CorpusError:
    return CorpusError(
        f"{file}: {len(recordings)} recordings have its name, {', '.join(recordings[:3])}: which one it is of "
        "cannot be told; put it beside its own, or into a folder of the same name"
    )


def _n_shared(a: str, b: str) -> int:
    """Folders of two paths that have the same names, counted from the innermost and from the outermost on."""
    folders = [posixpath.dirname(path).split("/") for path in (a, b)]
    both = (zip(*map(reversed, folders), strict=False), zip(*folders, strict=False))
    return sum(sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)) for pairs in both)
