"""ELAN's annotation files (EAF): tiers with times of their own, and tiers that hang on others.

A slot without a time lies between its neighbours that have one, all such gaps alike wide, as ELAN draws it. Annotations
that refer to another share its time: one has all of it (symbolic association), several each a part (subdivision).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote
from xml.etree import ElementTree

from audiornn.corpus.label_files.timed import Timed
from audiornn.errors import CorpusError

__all__ = ["media_of", "read_elan"]


def read_elan(path: Path) -> list[Timed]:
    """All annotations of all tiers; a tier's participant is who speaks.

    Raises:
        CorpusError: no EAF, damaged, times that are no numbers of milliseconds, or annotations that refer to none.
    """
    root = _root(path)
    header = root.find("HEADER")
    units = "milliseconds" if header is None else header.get("TIME_UNITS", "milliseconds")
    if units != "milliseconds":
        raise CorpusError(f"{path}: its times are {units}; milliseconds are read, as ELAN writes today")
    media = _descriptor(root, path.stem)
    origin = 0.0 if media is None else (_milliseconds(media, "TIME_ORIGIN", path) or 0.0) / 1000
    slots = {
        str(slot.get("TIME_SLOT_ID")): _milliseconds(slot, "TIME_VALUE", path)
        for slot in root.iterfind("TIME_ORDER/TIME_SLOT")
    }
    try:
        spans = _spans(root, slots)
    except KeyError as error:
        raise CorpusError(f"{path}: refers to {error}, which it does not hold; save it again with ELAN") from None
    labels = []
    for tier in root.iterfind("TIER"):
        name, speaker = str(tier.get("TIER_ID")), tier.get("PARTICIPANT", "").strip()
        own = [
            Timed(start / 1000 + origin, end / 1000 + origin, " ".join(value.split()), name, "", identifier, speaker)
            for identifier, value in _annotations(tier)
            for start, end in [spans[identifier]]
        ]
        labels += own or [Timed(0.0, 0.0, "", name)]
    return labels


def media_of(path: Path) -> list[str]:
    """The names of the media files that it is linked to, without their folders.

    Raises:
        CorpusError: no EAF, or damaged.
    """
    return [
        PurePosixPath(unquote(url).replace("\\", "/")).name
        for media in _root(path).findall("HEADER/MEDIA_DESCRIPTOR")
        if (url := media.get("MEDIA_URL") or media.get("RELATIVE_MEDIA_URL", ""))
    ]


def _root(path: Path) -> ElementTree.Element:
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # an encoding it cannot read
        if not path.stat().st_size:
            raise CorpusError(
                f"{path}: is empty, which no file of ELAN is; save it again with ELAN, or delete it"
            ) from None
        raise CorpusError(f"{path}: not well-formed XML ({error}); save it again with ELAN") from None
    if root.tag != "ANNOTATION_DOCUMENT":
        raise CorpusError(f"{path}: no file of ELAN, its root is <{root.tag}>")
    return root


def _descriptor(root: ElementTree.Element, stem: str) -> ElementTree.Element | None:
    """What describes the recording of this name, an audio file before a video; else the first; None of none."""
    media = root.findall("HEADER/MEDIA_DESCRIPTOR")
    named = [m for m in media if stem.casefold() in (_stem(m, "MEDIA_URL"), _stem(m, "RELATIVE_MEDIA_URL"))]
    return next((m for m in named if m.get("MIME_TYPE", "").startswith("audio/")), next(iter([*named, *media]), None))


def _stem(media: ElementTree.Element, attribute: str) -> str:
    return PurePosixPath(unquote(media.get(attribute, "")).replace("\\", "/")).stem.casefold()


def _milliseconds(element: ElementTree.Element, attribute: str, path: Path) -> float | None:
    """A time of an element; None where it has none.

    Raises:
        CorpusError: it is no number.
    """
    value = element.get(attribute)
    try:
        return None if value is None else float(value)
    except ValueError:
        what = element.get("TIME_SLOT_ID") or element.get("MEDIA_URL")
        raise CorpusError(
            f"{path}: {attribute} of {what!r} is {value!r}, no number of milliseconds; save it again with ELAN"
        ) from None


def _annotations(tier: ElementTree.Element) -> list[tuple[str, str]]:
    """Ids and values of a tier's annotations."""
    return [(str(a.get("ANNOTATION_ID")), a.findtext("ANNOTATION_VALUE") or "") for a in tier.iterfind("ANNOTATION/*")]


def _spans(root: ElementTree.Element, slots: Mapping[str, float | None]) -> dict[str, tuple[float, float]]:
    """Start and end of every annotation by its id, in milliseconds."""
    spans: dict[str, tuple[float, float]] = {}
    children: dict[tuple[str, str], list[ElementTree.Element]] = defaultdict(list)
    for tier in root.iterfind("TIER"):
        aligned = [
            (str(a.get("ANNOTATION_ID")), str(a.get("TIME_SLOT_REF1")), str(a.get("TIME_SLOT_REF2")))
            for a in tier.iterfind("ANNOTATION/ALIGNABLE_ANNOTATION")
        ]
        times = _times(aligned, slots)
        spans |= {identifier: (times[first], times[last]) for identifier, first, last in aligned}
        for a in tier.iterfind("ANNOTATION/REF_ANNOTATION"):
            children[str(tier.get("TIER_ID")), str(a.get("ANNOTATION_REF"))].append(a)
    waiting = dict(children)
    while waiting:  # those that hang on annotations that hang on others come in a later round
        ready = [key for key in waiting if key[1] in spans]
        if not ready:
            raise KeyError(next(iter(waiting))[1])
        for key in ready:
            start, end = spans[key[1]]
            ordered = _ordered(waiting.pop(key))
            step = (end - start) / len(ordered)
            spans |= {name: (start + i * step, start + (i + 1) * step) for i, name in enumerate(ordered)}
    return spans


def _ordered(siblings: Sequence[ElementTree.Element]) -> list[str]:
    """Ids in the order that PREVIOUS_ANNOTATION says; in the file's where it says nothing."""
    names = [str(a.get("ANNOTATION_ID")) for a in siblings]
    after = {a.get("PREVIOUS_ANNOTATION"): str(a.get("ANNOTATION_ID")) for a in siblings}
    ordered = [name for name, a in zip(names, siblings, strict=True) if a.get("PREVIOUS_ANNOTATION") not in names]
    while ordered and (following := after.get(ordered[-1])) and following not in ordered:
        ordered.append(following)
    return ordered if len(ordered) == len(names) else names


def _times(aligned: Sequence[tuple[str, str, str]], slots: Mapping[str, float | None]) -> dict[str, float]:
    """The time of every slot that a tier's annotations use; those without one are spread over their chain."""
    times = {name: time for _, *ends in aligned for name in ends if (time := slots[name]) is not None}
    following = {first: last for _, first, last in aligned}
    lasts = set(following.values())
    order = list(slots)
    for begin in [first for first in following if first not in lasts or slots[first] is not None]:
        chain = [begin]
        while chain[-1] in following and (len(chain) == 1 or slots[chain[-1]] is None):
            chain.append(following[chain[-1]])
        if all(name in times for name in chain):
            continue
        low = times[chain[0]] if chain[0] in times else _neighbour(chain[0], order[::-1], slots)
        high = times[chain[-1]] if chain[-1] in times else _neighbour(chain[-1], order, slots)
        for i, name in enumerate(chain):
            times.setdefault(name, low + (high - low) * i / (len(chain) - 1))
    return times


def _neighbour(name: str, order: Sequence[str], slots: Mapping[str, float | None]) -> float:
    """The time of the next slot in an order that has one."""
    for other in order[order.index(name) :]:
        if (time := slots[other]) is not None:
            return time
    return 0.0
