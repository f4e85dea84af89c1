"""Checks of what makes a result untrue: a voice or a sound that stands in two splits, and copies within one."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from audiornn.corpus.duplicates import Duplicate, find_duplicates
from audiornn.corpus.findings import Finding, Inspected, place
from audiornn.corpus.manifest import SPLITS, Utterance

__all__ = ["same_audio", "speaker_leaks"]


def speaker_leaks(seen: Inspected) -> Iterator[Finding]:
    """Speakers who stand in more than one split."""
    if seen.corpus.shared_speakers:
        return
    of_speaker: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, utterance in enumerate(seen.utterances):
        if utterance.speaker is not None:
            of_speaker[utterance.speaker][seen.splits[i]].append(i)
    leaking = {speaker: found for speaker, found in of_speaker.items() if len(found) > 1}
    if not leaking:
        return
    cases, dropped = [], []
    for speaker, found in sorted(leaking.items()):
        counts = " and ".join(f"{len(found[split]):,} utterances in {split}" for split in SPLITS if split in found)
        last = max(found, key=SPLITS.index)
        for split, members in found.items():
            if split != last:
                dropped += [seen.utterances[i].id for i in members]
                cases += [seen.case(i, f"speaker {speaker!r} has {counts}") for i in members[:1]]
    yield Finding(
        "speaker leak",
        "error",
        f"{len(leaking):,} × a speaker in more than one split: the test would not show how strangers fare",
        "split by speaker; --skip-bad leaves their utterances out of the earlier split; "
        "or write shared_speakers = true into recipe.toml if that is meant",
        tuple(cases),
        tuple(dropped),
    )


def same_audio(seen: Inspected) -> Iterator[Finding]:
    """The same stretch of a file, the same samples in another file, or nearly the same ones."""
    measured = seen.corpus.measured
    identities = np.where(seen.heard, measured.rows["identity"], 0)
    overlaps = _overlaps(seen.utterances)
    told = {(d.first, d.second) for d in overlaps}
    alike = find_duplicates(seen.utterances, identities, measured.keys, measured.owners)
    pairs = overlaps + [d for d in alike if (d.first, d.second) not in told]
    leaks = [d for d in pairs if seen.splits[d.first] != seen.splits[d.second]]
    within = _once([d for d in pairs if seen.splits[d.first] == seen.splits[d.second] and _is_copy(seen, d)])
    if leaks:
        cases, dropped = [], []
        for d in leaks:
            kept, lost = sorted((d.first, d.second), key=lambda i: -SPLITS.index(seen.splits[i]))
            cases.append(seen.case(lost, _alike(seen, d, kept), seen.utterances[kept].id))
            dropped.append(seen.utterances[lost].id)
        yield Finding(
            "audio leak",
            "error",
            f"{len(leaks):,} × the same sound, or nearly, in two splits: the test asks for what was learnt by heart",
            "keep one copy; --skip-bad leaves out the one in the earlier split",
            tuple(cases),
            tuple(dict.fromkeys(dropped)),
        )
    has_one_text = seen.corpus.task not in ("label", "regress")  # labels of stretches lie anywhere in them
    contradictory = [d for d in within if has_one_text and seen.texts[d.first] != seen.texts[d.second]]
    for kind, found, what, remedy in (
        (
            "contradiction",
            contradictory,
            "have the sound of another with another label",
            "listen, and keep the one whose label is right",
        ),
        (
            "duplicate",
            [d for d in within if d not in contradictory],
            "are copies of another of the same split",
            "keep one of each: copies count twice in training and in the error rate",
        ),
    ):
        if found:
            cases_ = tuple(seen.case(d.second, _alike(seen, d, d.first), seen.utterances[d.first].id) for d in found)
            yield Finding(kind, "warning", f"{seen.share(len(found))} {what}", remedy, cases_)


def _once(pairs: Sequence[Duplicate]) -> list[Duplicate]:
    """Of a group of copies each but the first once, with the one it is most like."""
    best: dict[int, Duplicate] = {}
    for d in pairs:
        if d.second not in best or d.similarity > best[d.second].similarity:
            best[d.second] = d
    return [best[second] for second in sorted(best)]


def _is_copy(seen: Inspected, d: Duplicate) -> bool:
    """Within a split, stretches of one file may overlap: windows over a noise. Copies are more."""
    a, b = seen.utterances[d.first], seen.utterances[d.second]
    if seen.made[d.first] or seen.made[d.second]:
        return False
    return a.audio != b.audio or (a.start, a.duration) == (b.start, b.duration)


def _alike(seen: Inspected, d: Duplicate, other: int) -> str:
    utterance = seen.utterances[other]
    where = f"{place(str(utterance.audio), utterance.start)} ({seen.splits[other]}, {seen.texts[other]!r})"
    if d.similarity == 1 and np.isnan(d.overlap):
        return f"the samples of {where}"
    if d.similarity == 1 and not np.isnan(d.overlap):
        return f"shares {d.overlap:.2f} s with {utterance.id} ({seen.splits[other]})"
    return f"{d.similarity:.0%} alike over {d.overlap:.1f} s with {where}"


def _overlaps(utterances: Sequence[Utterance]) -> list[Duplicate]:
    """Stretches of one file that overlap."""
    of_file: dict[str, list[int]] = defaultdict(list)
    for i, utterance in enumerate(utterances):
        of_file[str(utterance.audio)].append(i)
    real: dict[str, list[int]] = defaultdict(list)
    for path, members in of_file.items():
        real[os.path.realpath(path)] += members
    found = []
    for members in real.values():
        if len(members) < 2:
            continue
        spans = sorted((utterances[i].start, _end(utterances[i]), i) for i in members)
        open_: list[tuple[float, int]] = []
        for start, end, i in spans:
            open_ = [(e, j) for e, j in open_ if e > start + 1e-3]
            found += [Duplicate(min(i, j), max(i, j), 1.0, min(e, end) - start) for e, j in open_]
            open_ = sorted([*open_, (end, i)])[-8:]
    return found


def _end(utterance: Utterance) -> float:
    return float("inf") if utterance.duration is None else utterance.start + utterance.duration
