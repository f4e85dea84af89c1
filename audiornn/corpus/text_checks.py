"""Checks of what a corpus says: texts that do not fit their audio, labels that are nearly the same, rare or odd."""

from __future__ import annotations

import re
import statistics
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np

from audiornn.corpus.findings import BETWEEN_LABELS, Finding, Inspected
from audiornn.corpus.manifest import SPLITS

__all__ = ["labels", "paces"]

# Each well outside what AN4, FSDD, Speech Commands and speechocean762 hold where they are sound.
_PACE = 4.0  # times faster or slower than the corpus' median
_RARE_LABEL = 5  # training recordings of a class


def labels(seen: Inspected) -> Iterator[Finding]:
    """Texts and labels that are empty, nearly the same, odd, rare, or missing in a split."""
    problems = seen.corpus.problems
    if seen.corpus.task == "transcribe":
        empty = [i for i, text in enumerate(seen.texts) if not text.strip() and seen.utterances[i].id not in problems]
        yield from seen.finding(
            "empty text",
            empty,
            "have no transcript",
            lambda row: f"{float(row['duration']):.2f} s, nothing said",
            "right for recordings in which nobody speaks; else write what is said",
        )
    units: dict[str, list[int]] = defaultdict(list)
    for i, text in enumerate(seen.texts):
        if seen.corpus.task == "transcribe":
            parts = seen.corpus.normalise(text).split()
        else:
            parts = [seen.corpus.normalise(label) for label in text.split(BETWEEN_LABELS)]
        for unit in dict.fromkeys(parts):
            if unit.strip():
                units[unit].append(i)
    yield from _nearly_same(seen, units)
    yield from _odd(seen)
    if seen.corpus.task in ("classify", "label"):
        yield from _classes(seen, units)
    elif seen.corpus.task == "transcribe":
        yield from _rare_symbols(seen)


def _nearly_same(seen: Inspected, units: Mapping[str, list[int]]) -> Iterator[Finding]:
    """Labels or words that differ only in case, marks or Unicode; and labels a letter away from a common one."""
    of_key: dict[str, list[str]] = defaultdict(list)
    for unit in units:
        of_key[_loose(unit)].append(unit)
    groups = [sorted(group, key=lambda u: -len(units[u])) for key, group in of_key.items() if len(group) > 1 and key]
    if seen.corpus.task == "classify" and len(units) < 500:
        groups += [[common, rare] for rare, common in _misspelt(units)]
    if not groups:
        return
    cases = [
        seen.case(
            units[odd][0], f"{odd!r} ({len(units[odd]):,} times) beside {group[0]!r} ({len(units[group[0]]):,} times)"
        )
        for group in groups
        for odd in group[1:]
    ]
    what = "labels" if seen.corpus.task == "classify" else "words"
    yield Finding(
        "nearly the same",
        "warning",
        f"{len(cases):,} {what} differ from another by case, marks or a letter only: they are learnt as two",
        'spell them alike; vocabulary.lower_case = true and vocabulary.punctuation = "remove" do much of it',
        tuple(cases),
    )


def _loose(text: str) -> str:
    text = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in text if unicodedata.category(c)[0] in "LN")


def _misspelt(units: Mapping[str, list[int]]) -> Iterator[tuple[str, str]]:
    for rare in units:
        for common in units:
            if (
                len(rare) >= 4
                and len(units[rare]) * 10 <= len(units[common])
                and _loose(rare) != _loose(common)
                and _one_edit(rare.casefold(), common.casefold())
            ):
                yield rare, common


def _one_edit(a: str, b: str) -> bool:
    if abs(len(a) - len(b)) > 1:
        return False
    if len(a) > len(b):
        a, b = b, a
    i = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), len(a))
    if a[i:] == b[i + 1 :] or a[i + 1 :] == b[i + 1 :]:
        return True
    return a[i : i + 2] == b[i : i + 2][::-1] and a[i + 2 :] == b[i + 2 :]  # two letters changed places


def _odd(seen: Inspected) -> Iterator[Finding]:
    """Texts with what nobody says: markup, control characters, letters of another script, broken encodings."""
    marks = Counter(mark for text in seen.texts for mark in set(text))
    scripts: Counter[str] = Counter()
    for mark, n in marks.items():
        scripts[_script(mark)] += n
    del scripts[""]
    total = max(1, len(seen.texts))
    foreign = {script for script, n in scripts.items() if n <= max(2, 0.02 * total) and len(scripts) > 1} - {"LATIN"}
    if len(scripts) > 1 and scripts["LATIN"] <= max(2, 0.02 * total):
        foreign.add("LATIN")
    found = []
    for i, text in enumerate(seen.texts):
        reason = _oddity(text, foreign)
        if reason:
            found.append(seen.case(i, f"{reason} in {_short(text)!r}"))
    if found:
        yield Finding(
            "odd text",
            "warning",
            f"{len(found):,} of {len(seen.texts):,} texts hold what nobody says",
            "spell out what is heard, or take the mark out; an encoding that went wrong is read again by --encoding",
            tuple(found),
        )


#: What transcribers write for words that they did not understand (CHAT's xxx, yyy), and beside any.
_UNCLEAR = re.compile(r"(?<!\S)(xxx|yyy|\*{3}|\?{3})(?![^\s.,!?])", re.IGNORECASE)
_REMARK = re.compile(r"\([^()]+\)[.]?|\(\(.+\)\)")


def _oddity(text: str, foreign: set[str]) -> str:
    for mark in "" if text.isascii() and text.isprintable() and not foreign else text:
        category = unicodedata.category(mark)
        if mark == "\ufffd" or category in ("Co", "Cn"):
            return f"a character that is none, U+{ord(mark):04X},"
        if category == "Cc" and mark not in "\t\n\r":
            return f"the control character U+{ord(mark):04X}"
        if (script := _script(mark)) in foreign:
            return f"{script.title()} {mark!r}"
    for broken in ("Ã¤", "Ã¶", "Ã¼", "Ã©", "Ã¨", "â€", "Ã±", "ÃŸ"):
        if broken in text:
            return f"broken encoding, {broken!r},"
    if any(a in text and b in text.split(a, 1)[1] for a, b in (("<", ">"), ("[", "]"), ("{", "}"))):
        return "markup"
    if unclear := _UNCLEAR.search(text):
        return f"{unclear[0]!r}, as of what was not understood,"
    return "a remark" if _REMARK.fullmatch(text.strip()) else ""


@lru_cache(maxsize=4096)
def _script(mark: str) -> str:
    """The script of a letter by its Unicode name, e.g. LATIN; empty for all else."""
    if mark.isascii():
        return "LATIN" if mark.isalpha() else ""
    if unicodedata.category(mark)[0] != "L":
        return ""
    script = unicodedata.name(mark, "").split(" ")[0]
    # Japanese is written in three, and the marks of length and repetition belong to all of them
    return (
        "CJK"
        if script in ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "IDEOGRAPHIC")
        else script.replace("MODIFIER", "")
    )


def _classes(seen: Inspected, units: Mapping[str, list[int]]) -> Iterator[Finding]:
    present = [split for split in SPLITS if seen.corpus.splits.get(split)]
    for split in present:
        lacking = [label for label, members in units.items() if not any(seen.splits[i] == split for i in members)]
        if split == "train":  # prep calls them impossible targets
            lacking = [
                label
                for label in lacking
                if not any(seen.utterances[i].id in seen.corpus.problems for i in units[label])
            ]
        if lacking:
            cases = tuple(seen.case(units[label][0], f"{label!r} has none in {split}") for label in sorted(lacking))
            yield Finding(
                "missing class",
                "warning",
                f"{split} lacks {len(lacking):,} of {len(units):,} classes: {_listed(sorted(lacking))}",
                "record more of them, or split so that each class stands in every split",
                cases,
            )
    in_train = {label: sum(seen.splits[i] == "train" for i in members) for label, members in units.items()}
    usual = statistics.median(in_train.values()) if in_train else 0
    rare = sorted((n, label) for label, n in in_train.items() if 0 < n < _RARE_LABEL and 2 * n <= usual)
    if rare:
        yield Finding(
            "rare label",
            "warning",
            f"{len(rare):,} of {len(units):,} classes have fewer than {_RARE_LABEL} training recordings",
            "record more, or join them to another class",
            tuple(seen.case(units[label][0], f"{label!r}: {n} in train, {usual:g} are usual") for n, label in rare),
        )


def _rare_symbols(seen: Inspected) -> Iterator[Finding]:
    """Symbols that are met too seldom to be learnt, where most are met often."""
    holders: dict[str, list[int]] = defaultdict(list)
    for i, utterance in enumerate(seen.utterances):
        if seen.splits[i] == "train" and utterance.id not in seen.corpus.problems:
            for symbol in set(seen.corpus.symbols(utterance.text)):
                holders[symbol].append(i)
    counts = sorted(map(len, holders.values()))
    if len(counts) < 3 or len(counts) > 400 or statistics.median(counts) < 20:
        return  # words of a large vocabulary are rare by nature
    rare = sorted((len(members), symbol) for symbol, members in holders.items() if len(members) < 3)
    if rare:
        yield Finding(
            "rare symbol",
            "warning",
            f"{len(rare):,} of {len(holders):,} symbols stand in one or two training utterances",
            "a slip of the pen? else record more of them, or leave the symbol out by the rules of [vocabulary]",
            tuple(seen.case(holders[s][0], f"{s!r} in {n}: {_short(seen.texts[holders[s][0]])!r}") for n, s in rare),
        )


def paces(seen: Inspected) -> Iterator[Finding]:
    """Transcripts too long or too short for their audio, by letters a second of sound."""
    if seen.corpus.task != "transcribe":
        return
    letters = [len(text.replace(" ", "")) for text in seen.texts]
    # A spelled letter is a word of its own, and takes as long as three.
    lengths = np.array([max(n, 3 * len(t.split())) for n, t in zip(letters, seen.texts, strict=True)], np.float64)
    rows = seen.rows
    sound = rows["duration"] - np.minimum(rows["leading"] + rows["trailing"], rows["duration"])
    sound = np.maximum(sound, np.maximum(rows["duration"] / 2, 0.05))  # a bang may hide the quieter speech around it
    known = seen.sounding & (lengths > 0)
    if known.sum() < 10:
        return
    pace = lengths / sound
    median = float(np.median(pace[known]))
    problems = seen.corpus.problems
    for kind, flags, what in (
        ("text too long", pace > _PACE * median, "faster"),
        ("text too short", (pace < median / _PACE) & (sound > 1.0), "slower"),
    ):
        chosen = [i for i in seen.select(flags & known) if seen.utterances[i].id not in problems]
        if chosen:
            chosen.sort(key=lambda i: -abs(np.log(pace[i] / median)))
            cases = tuple(
                seen.case(
                    i,
                    f"{letters[i]} letters in {sound[i]:.1f} s of sound: {_short(seen.texts[i])!r}",
                )
                for i in chosen
            )
            yield Finding(
                kind,
                "warning",
                f"{len(chosen):,} of {len(seen.utterances):,} transcripts are {_PACE:.0f} times {what} than the usual "
                f"{median:.1f} letters a second",
                "does the text belong to this recording, and is it all of it?",
                cases,
            )


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
