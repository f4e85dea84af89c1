"""Files that go with recordings because they are called alike: labels, and values over time."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterable

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
        beside = {key: [f for f in files_of[stem] if _n_shared(key, f) is None] for key in keys}
        taken = {file for found in beside.values() for file in found}
        alone = [key for key in keys if not beside[key]]
        chosen: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for file in files_of[stem]:
            nearness = [(_n_shared(key, file) or 0, key) for key in alone]
            nearest = [key for n, key in nearness if n == max(nearness)[0]]
            if file in taken or not nearest:
                continue
            if len(nearest) > 1:
                raise CorpusError(
                    f"{file}: {len(nearest)} recordings have its name, {', '.join(nearest[:3])}: which one it is of "
                    "cannot be told; put it beside its own, or into a folder of the same name"
                )
            chosen[nearest[0]].append((max(nearness)[0], file))
        for key in keys:
            best = max((n for n, _ in chosen[key]), default=0)
            own[key] = beside[key] or [file for n, file in chosen[key] if n == best]
    return {key: own[key] for key in recordings if own.get(key)}


def _n_shared(a: str, b: str) -> int | None:
    """The innermost folders of two paths that have the same names; None where both lie in the same one."""
    folders = [posixpath.dirname(path).split("/") for path in (a, b)]
    if folders[0] == folders[1]:
        return None
    n = 0
    for one, other in zip(reversed(folders[0]), reversed(folders[1]), strict=False):
        if one != other:
            break
        n += 1
    return n
