"""Train, dev and test: the source's own, else by speaker, else by recording; the same every time.

What is drawn is drawn by a hash of a speaker's or recording's name, so that recordings added later move few others.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from statistics import median

from audiornn.corpus.collection import Collection, speakers_in_several
from audiornn.corpus.manifest import SPLITS, Utterance
from audiornn.errors import SettingsError

__all__ = ["FEW_RECORDINGS", "SOME_STRETCHES", "Division", "are_of_few", "by_time", "divide", "split"]

_LEAST_SPEAKERS = 3  # one a split
_LEAST_SHARE = 0.8  # of its share, that a split has at least; hashes alone may give it less, and often more
_FEW_ALONE = 0.05  # of all, drawn by recording: not worth a search for copies
FEW_RECORDINGS, SOME_STRETCHES = 8, 30  # fewer of as many: one tape cannot be train, dev and test
_TWO_EACH = 16  # recordings, from which on dev and test have two at least: one has no interval
_SWOLLEN = 1.5  # times its share that a split may become for labels that it lacks
_MOST_COPIES = 0.03  # of a label's recordings; where more are copies of one, they are for training


@dataclass(frozen=True)
class _Rules:
    """What is drawn: shares by split, what train must not lack by utterance id, whether texts are classes, the seed.

    And whether labels hold at their times, which utterances stay together, with a common name by id, and whether
    stretches of one recording need not.
    """

    wanted: Mapping[str, float]
    symbols: Mapping[str, frozenset[str]]
    classes: bool
    seed: int
    together: Mapping[str, str]
    timed: bool = False
    apart: bool = False


@dataclass(frozen=True)
class Division:
    """Splits and how they came about.

    Attributes:
        splits: utterances by split.
        shared_speakers: whether a speaker stands in two of them.
        by_recording: whether more than a few recordings were drawn one by one, so that copies of each other may part.
        lines: what was done, a sentence each.
    """

    splits: Mapping[str, list[Utterance]]
    shared_speakers: bool
    by_recording: bool
    lines: tuple[str, ...]


def split(
    collection: Collection,
    *,
    dev: float = 0.1,
    test: float = 0.1,
    seed: int = 1,
    together: Mapping[str, str] | None = None,
) -> dict[str, list[Utterance]]:
    """The splits that a recipe's `prepare` returns; see `divide`."""
    return dict(divide(collection, dev=dev, test=test, seed=seed, together=together).splits)


def divide(
    collection: Collection,
    *,
    dev: float = 0.1,
    test: float = 0.1,
    seed: int = 1,
    together: Mapping[str, str] | None = None,
) -> Division:
    """Split a collection: as its source does, else by speaker, else by recording.

    A source that lacks dev or test gets it from its train. By speaker, none stands in two splits, and train keeps every
    class where that can be; with fewer than three speakers they are shared. By recording, every class with three
    recordings stands in every split, and so do labels of stretches as far as they come apart; stretches of one
    recording, and copies, stay together, unless there are too few recordings to hold any out.

    Args:
        collection: what was read.
        dev: share of the utterances, about.
        test: likewise.
        seed: another seed draws others.
        together: a name by utterance id, for those that stay together where recordings are drawn: `find_copies`.

    Raises:
        SettingsError: shares that leave nothing to train on.
    """
    for name, share in (("dev", dev), ("test", test)):
        if not 0 <= share < 1:
            raise SettingsError(f"corpus.{name} = {share} must be a share in 0…1")
    if dev + test > 0.8:
        raise SettingsError(f"corpus.dev + corpus.test = {dev + test:g} leave too little to train on")
    given = collection.splits
    taken = {u.id: s for u in collection.utterances if (s := given.get(u.id))}
    wanted = {"dev": dev, "test": test}
    lines: list[str] = []
    if given:
        wanted = {name: share for name, share in wanted.items() if name not in taken.values()}
        if wanted:
            lines.append(f"{' and '.join(wanted)}: the source has none, taken from its train")
    rest = [u for u in collection.utterances if given.get(u.id) == "train" or not given]
    wanted = {name: share for name, share in wanted.items() if share > 0}
    classes = collection.task == "classify"
    rules = _Rules(wanted, _symbols(rest, collection.task), classes, seed, together or {}, collection.task == "label")
    drawn, shared, n_alone = _draw(rest, rules, lines, blocked=_elsewhere(collection))
    taken |= drawn
    undrawn = [u for u in collection.utterances if given and u.id not in given]
    if undrawn:  # what the source's lists do not speak of
        shares = {"dev": dev, "test": test}
        shares = {name: share for name, share in shares.items() if share > 0}
        taken |= _by_recording(undrawn, replace(rules, wanted=shares, symbols=_symbols(undrawn, collection.task)))
    splits = {name: [u for u in collection.utterances if taken[u.id] == name] for name in SPLITS}
    if not shared and not collection.shared_speakers and (both := speakers_in_several(collection.utterances, taken)):
        shared = True
        lines.append(f"{len(both):,} speakers are in several of the splits, which the source gives in part")
    if collection.shared_speakers:
        shared = True
        lines.append(
            f"the source's splits share {len(collection.shared_speakers):,} speakers: the test will not show how "
            "strangers fare"
        )
    return Division(splits, shared, n_alone + len(undrawn) > _FEW_ALONE * len(taken), tuple(lines))


def are_of_few(utterances: Sequence[Utterance]) -> bool:
    """Whether labelled utterances are by too few known speakers, and of recordings of which none can be held out."""
    speakers = [u.speaker for u in utterances if u.speaker is not None]
    if len(set(speakers)) >= _LEAST_SPEAKERS and 2 * len(speakers) >= len(utterances):
        return False
    return not _can_spare(utterances, _symbols(utterances, "label"))


def _can_spare(utterances: Sequence[Utterance], symbols: Mapping[str, frozenset[str]]) -> bool:
    """Whether recordings are not few, and some of them have no symbol that no other has."""
    held: dict[str, set[str]] = defaultdict(set)
    for u in utterances:
        held[os.path.realpath(u.audio)] |= symbols[u.id]
    n_holding = Counter(symbol for own in held.values() for symbol in own)
    n_spare = sum(all(n_holding[symbol] > 1 for symbol in own) for own in held.values())
    return len(held) >= FEW_RECORDINGS and n_spare > 1


def by_time(recordings: Iterable[Sequence[Utterance]], dev: float, test: float) -> dict[str, list[Utterance]]:
    """Stretches by split: the beginning of each recording for train, then dev, then test.

    Who speaks in them cannot be kept apart so, and is not claimed to be.
    """
    splits: dict[str, list[Utterance]] = {name: [] for name in SPLITS}
    for stretches in recordings:
        n_dev, n_test = round(dev * len(stretches)), round(test * len(stretches))
        last = len(stretches) - n_test
        for name, first, end in (("train", 0, last - n_dev), ("dev", last - n_dev, last), ("test", last, None)):
            splits[name] += [replace(u, speaker=None) for u in stretches[first:end]]
    return splits


def _elsewhere(collection: Collection) -> set[str]:
    """Speakers that the source has in dev or test; drawing from the others keeps them there."""
    return {
        u.speaker
        for u in collection.utterances
        if u.speaker is not None and collection.splits.get(u.id) in ("dev", "test")
    }


def _symbols(utterances: Sequence[Utterance], task: str) -> dict[str, frozenset[str]]:
    """What train must not lack, by utterance id: labels; or characters, and words where few come again and again."""
    if task == "regress":
        return {u.id: frozenset() for u in utterances}
    if task == "label":
        return {u.id: frozenset(segment.label for segment in u.segments) for u in utterances}
    if task == "classify":
        return {u.id: frozenset((u.text,)) for u in utterances}
    words = Counter(word for u in utterances for word in u.text.lower().split())
    few = len(words) <= 200 and words.total() >= 5 * len(words)
    return {u.id: frozenset((*u.text, *(u.text.lower().split() if few else ()))) - {" "} for u in utterances}


def _draw(
    utterances: Sequence[Utterance], rules: _Rules, lines: list[str], blocked: set[str]
) -> tuple[dict[str, str], bool, int]:
    """A split for each utterance; whether a speaker stands in two, and how many were drawn by recording."""
    speakers = {u.speaker for u in utterances if u.speaker is not None} - blocked
    if not rules.wanted:
        return {u.id: "train" for u in utterances}, False, 0
    known = [u for u in utterances if u.speaker is not None]
    if len(speakers) < _LEAST_SPEAKERS - (2 - len(rules.wanted)) or 2 * len(known) < len(utterances):
        lines.append(_by_recording_line(len(speakers)))
        if names := _stretches_of_few(utterances, rules):
            drawn = _by_recording(utterances, replace(rules, together=names, apart=True))
            lines[-1] = _stretches_line(len({os.path.realpath(u.audio) for u in utterances}), drawn.values())
            return drawn, True, 0
        drawn = _by_recording(utterances, rules)
        where: dict[str, set[str]] = defaultdict(set)
        for u in known:
            where[str(u.speaker)].add(drawn[u.id])
        return drawn, any(len(found) > 1 for found in where.values()), len(utterances)
    drawn = _by_speaker([u for u in known if u.speaker not in blocked], rules)
    drawn |= {u.id: "train" for u in known if u.speaker in blocked}
    drawn |= _by_recording([u for u in utterances if u.speaker is None], rules)
    lines.append(f"split by speaker: none of the {len(speakers):,} stands in two splits")
    if len(speakers) < 6:
        lines.append(f"{len(speakers)} speakers are few: the test says how one or two strangers fare, not all")
    return drawn, False, len(utterances) - len(known)


def _by_recording_line(n_speakers: int) -> str:
    if not n_speakers:
        return "split by recording: nobody knows who speaks, so the test may not show how strangers fare"
    which = "one speaker" if n_speakers == 1 else f"{n_speakers} speakers"
    return f"split by recording, with {which} too few to hold any out: the test will not show how strangers fare"


def _stretches_of_few(utterances: Sequence[Utterance], rules: _Rules) -> dict[str, str]:
    """A name by utterance id for stretches of long recordings of which none can be held out; else empty.

    Copies have one name, and so has a stretch with the one before it if they share more than half of the shorter: two
    who speak at once. Where one only interrupts the other, a moment is heard in both, no reason to keep a whole talk
    together.
    """
    copies = rules.together
    recordings: dict[str, list[Utterance]] = defaultdict(list)
    for u in utterances:
        recordings[os.path.realpath(u.audio)].append(u)
    are_whole = len(recordings) == len(utterances)
    if are_whole or len(utterances) < SOME_STRETCHES or _can_spare(utterances, rules.symbols):
        return {}
    names: dict[str, str] = {}
    alike: dict[str, str] = {}  # names that have become another one

    def named(name: str) -> str:
        while name in alike:
            name = alike[name]
        return name

    of_copies: dict[str, str] = {}
    for own in recordings.values():
        before: Utterance | None = None
        for u in sorted(own, key=lambda u: (u.start, u.id)):
            at_once = before is not None and _shared(before, u) > 0.5
            names[u.id] = names[before.id] if before is not None and at_once else u.id
            before = u
            if u.id in copies:
                first, name = named(of_copies.setdefault(copies[u.id], names[u.id])), named(names[u.id])
                if name != first:
                    alike[name] = first
    return {identifier: named(name) for identifier, name in names.items()}


def _shared(a: Utterance, b: Utterance) -> float:
    """The share that both have of the shorter of two stretches, of which `a` does not begin later."""
    ends = [math.inf if u.duration is None else u.start + u.duration for u in (a, b)]
    shorter = min(ends[0] - a.start, ends[1] - b.start)
    common = min(ends) - b.start
    return 1.0 if math.isinf(common) else common / max(shorter, 1e-9)


def _stretches_line(n_recordings: int, splits: Iterable[str]) -> str:
    which = "one recording is too few" if n_recordings == 1 else f"{n_recordings} recordings are too few"
    if n_recordings >= FEW_RECORDINGS:
        which = f"of {n_recordings} recordings nearly each has what no other has, too much"
    if set(splits) == {"train"}:
        return f"{which} to hold any out, and what any stretch says no other does: all are for training"
    return (
        f"{which} to hold any out: their stretches are divided, so the splits share speakers, and the test will not "
        "show how strangers fare"
    )


def _position(name: str, seed: int) -> float:
    """Where a name lies in 0…1; evenly spread, and the same on every machine."""
    return int.from_bytes(hashlib.sha256(f"{seed} ".encode() + os.fsencode(name)).digest()[:8], "big") / 2**64


def _by_recording(utterances: Sequence[Utterance], rules: _Rules) -> dict[str, str]:
    """By the recordings' hashes alone, but for the few that are moved to give every split its least."""
    stretches: dict[str, list[Utterance]] = defaultdict(list)
    for u in utterances:
        stretches[rules.together.get(u.id, os.path.realpath(u.audio))].append(u)
    n_of_label = Counter(u.text if rules.classes else "" for u in utterances)
    strata: dict[str, list[tuple[float, str]]] = defaultdict(list)
    drawn: dict[str, str] = {}
    copied = set()
    for audio, own in stretches.items():
        # The id, not the path: the split is the same wherever the corpus lies.
        label = Counter(u.text for u in own).most_common(1)[0][0] if rules.classes else ""
        if len({os.path.realpath(u.audio) for u in own}) > max(3, _MOST_COPIES * n_of_label[label]):
            drawn[audio] = "train"  # a test of copies of one recording tells little
            copied.add(audio)
            continue
        name = min(u.id for u in own)
        strata[label].append((_position(name if rules.apart else name.partition("@")[0], rules.seed), audio))
    for members in strata.values():
        least = 2 if len(members) >= _TWO_EACH and not rules.classes else 1
        drawn |= _stratum(sorted(members), rules.wanted, least)
    _keep_in_train(drawn, stretches, copied, rules)
    if rules.timed:
        _give_labels(drawn, {audio: own for audio, own in stretches.items() if audio not in copied}, rules)
    return {u.id: drawn[audio] for audio, own in stretches.items() for u in own}


def _keep_in_train(
    drawn: dict[str, str], stretches: Mapping[str, Sequence[Utterance]], copied: Set[str], rules: _Rules
) -> None:
    """Move to train recordings with what it would lack, and to a split that this has emptied one that train can spare.

    Args:
        drawn: the split of each recording, which is changed.
        stretches: of each recording.
        copied: recordings that are for train in any case.
        rules: what is drawn.
    """
    left = Counter(
        s for audio, own in stretches.items() if drawn[audio] == "train" for u in own for s in rules.symbols[u.id]
    )
    filled = set(drawn.values())
    for audio, own in sorted(stretches.items(), key=lambda item: item[1][0].id):
        held = {s for u in own for s in rules.symbols[u.id]}
        if drawn[audio] != "train" and not all(left[s] for s in held):  # a listener cannot know what it never heard
            drawn[audio] = "train"
            left.update(held)
    for name in sorted(filled - set(drawn.values())):  # what was moved was all there was
        for audio, own in sorted(stretches.items(), key=lambda item: _position(item[1][0].id, rules.seed)):
            held_here = Counter(s for u in own for s in rules.symbols[u.id])
            if drawn[audio] == "train" and audio not in copied and all(left[s] > n for s, n in held_here.items()):
                drawn[audio] = name
                left.subtract(held_here)
                break


def _give_labels(drawn: dict[str, str], stretches: Mapping[str, Sequence[Utterance]], rules: _Rules) -> None:
    """Move to each split recordings with labels that it lacks, while others can spare them and it is not far too large.

    Args:
        drawn: the split of each recording that may be moved, which is changed.
        stretches: of each of these recordings.
        rules: what is drawn.
    """
    held = {audio: Counter(s for u in own for s in rules.symbols[u.id]) for audio, own in stretches.items()}
    has: dict[str, Counter[str]] = {name: Counter() for name in SPLITS}  # how often each label stands in each split
    sizes: Counter[str] = Counter()  # utterances
    holding: dict[str, list[str]] = defaultdict(list)
    for audio in sorted(stretches, key=lambda audio: _position(stretches[audio][0].id, rules.seed)):
        has[drawn[audio]].update(held[audio])
        sizes[drawn[audio]] += len(stretches[audio])
        for label in held[audio]:
            holding[label].append(audio)
    usual = median(map(len, stretches.values())) if stretches else 0
    for name, share in rules.wanted.items():
        if not sizes[name]:  # there was nothing to spare
            continue
        most = max(_SWOLLEN * share * sizes.total(), sizes[name] + usual)
        for label in sorted(holding, key=lambda label: (len(holding[label]), label)):
            if has[name][label]:
                continue
            can = [
                audio
                for audio in holding[label]
                if sizes[name] + len(stretches[audio]) <= most
                and all(has[drawn[audio]][s] > n for s, n in held[audio].items())
            ]
            if not can:
                continue
            best = min(can, key=lambda audio: (drawn[audio] != "train", len(stretches[audio])))
            has[drawn[best]].subtract(held[best])
            has[name].update(held[best])
            sizes[drawn[best]] -= len(stretches[best])
            sizes[name] += len(stretches[best])
            drawn[best] = name


def _stratum(members: Sequence[tuple[float, str]], wanted: Mapping[str, float], at_least: int) -> dict[str, str]:
    n = len(members)
    drawn: dict[str, str] = {}
    first = 0.0
    for name, share in wanted.items():
        drawn |= {audio: name for position, audio in members if first <= position < first + share}
        first += share
    drawn |= {audio: "train" for _, audio in members if audio not in drawn}
    counts = Counter(drawn.values())
    if n <= len(wanted):
        return dict.fromkeys(drawn, "train")
    shares = {**wanted, "train": 1 - first}
    least = {name: max(at_least, int(share * n * _LEAST_SHARE)) for name, share in shares.items()}
    for name in shares:
        for _, audio in members:  # in the order of their hashes: one more recording moves one other at most
            if counts[name] >= least[name]:
                break
            source = drawn[audio]
            if source != name and counts[source] > least[source]:
                counts[source] -= 1
                counts[name] += 1
                drawn[audio] = name
    return drawn


def _by_speaker(utterances: Sequence[Utterance], rules: _Rules) -> dict[str, str]:
    """Speakers in the order of their hashes, into each split while that brings it nearer to its share."""
    own: dict[str, list[Utterance]] = defaultdict(list)
    for u in utterances:
        own[str(u.speaker)].append(u)
    said = {name: Counter(s for u in us for s in rules.symbols[u.id]) for name, us in own.items()}
    order = sorted(own, key=lambda name: (_position(name, rules.seed), name))
    train = dict.fromkeys(order)  # in order
    left = Counter(s for u in utterances for s in rules.symbols[u.id])  # what train still has of each
    where: dict[str, str] = {}

    def spares(name: str) -> bool:
        return all(left[text] > count for text, count in said[name].items())

    def take(name: str, split: str) -> None:
        where[name] = split
        left.subtract(said[name])
        del train[name]

    for i, (split, share) in enumerate(rules.wanted.items(), start=1):
        n_least = len(rules.wanted) - i + 1  # speakers that train and the splits to come must have
        target, n = share * len(utterances), 0
        for name in list(train):
            if abs(n + len(own[name]) - target) < abs(n - target) and spares(name) and len(train) > n_least:
                take(name, split)
                n += len(own[name])
        if not n:  # each says too much, or a class of its own: the one that train misses least
            take(min(train, key=lambda name: (not spares(name), len(own[name]))), split)
        for text in sorted(left) if rules.classes or rules.timed else ():
            # a split without a class says nothing of it
            if any(said[name][text] for name in where if where[name] == split):
                continue
            can = [name for name in train if said[name][text] and spares(name)]
            if len(can) > n_least:
                fewest = min(can, key=lambda name: len(own[name]))
                if not rules.timed or n + len(own[fewest]) <= _SWOLLEN * target:
                    n += len(own[fewest])
                    take(fewest, split)
    return {u.id: where.get(str(u.speaker), "train") for u in utterances}
