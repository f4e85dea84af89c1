"""Who speaks: from what the source says, from a folder, or from a pattern in the files' names.

A wrong guess is worse than none: it claims that a test shows how strangers fare. So numbers, dates and identifiers are
never speakers, and a guess must make at least three speakers of two recordings each.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audiornn.corpus.layouts.folders import KNOWN_WORDS, compiled, find_in_path
from audiornn.corpus.layouts.splits import split_in_name
from audiornn.corpus.layouts.survey import level, named
from audiornn.errors import CorpusError

__all__ = ["Speakers", "find_speakers"]

_CHANGE = "--speaker none, folder, folder:N, column:NAME or a REGEX with a group (?P<speaker>…) changes it"
_LEAST, _LEAST_EACH = 3, 2
_COVERED = 0.8  # of the recordings must have a speaker by the guess

#: Names that corpora are known for, each with where it comes from.
_PATTERNS = (
    (r"^(?P<speaker>[0-9a-f]+)_nohash_\d+$", "as in Speech Commands"),
    (r"^(?P<speaker>\d+)-\d+-\d{4,}$", "as in LibriSpeech"),
    (r"^(?P<speaker>\d+)_\d+_\d{6}_\d{6}$", "as in LibriTTS"),
    (
        r"(?:^|[_\-])(?P<speaker>(?:spk|spkr|speaker|user|subject|participant)[_\-]?[A-Za-z]*\d+)(?=[_\-]|$)",
        "by its name",
    ),
    (r"^(?P<speaker>[psPSFMfm]\d{2,4})(?=[_\-])", "by its look"),
)
#: A recorder's name for a recording, of which clips were cut: they share its animals, its wind and its microphone.
_OF_RECORDER = r"^(?P<speaker>(?:.*[_\-])?(?:19|20)\d{6}[_T]\d{6})[_\-. ]"
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
#: Folders and parts of names that group recordings by something else.
_NO_SPEAKER = re.compile(
    r"[0-9a-f]{1,2}|\d{4}[-_.]?\d\d[-_.]?\d\d.*|\d+|(part|batch|chunk|shard|set|disc|cd|vol|volume|chapter|book|ch|mic|"
    r"channel|take|session|day|week|room|group|folder|dir|page|track|clip|rec|recording|sample|audio|file|data|wavs?|clips|"
    r"snr|db|fold|test|train|dev|noise|noisy|clean|quiet|loud|near|far|close|left|right|male|female)[-_ ]?\d*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Speakers:
    """A speaker a recording, None where nobody knows.

    Attributes:
        names: in the order of the recordings.
        rule: what found them, in the words of `--speaker`; empty where the source itself says.
        understood: a line on what was read, or empty.
        guessed: a line on what was guessed, or empty.
    """

    names: tuple[str | None, ...]
    rule: str = ""
    understood: str = ""
    guessed: str = ""


def find_speakers(keys: Sequence[str], labels: Sequence[str], given: Sequence[str | None], rule: str) -> Speakers:
    """The speakers of recordings.

    Args:
        keys: their paths relative to the folder.
        labels: their labels; or empty where texts are transcripts.
        given: what the source says.
        rule: auto, none, folder, folder:N, column:NAME, or a regular expression with a group `speaker`.

    Raises:
        CorpusError: a rule that finds none.
    """
    unknown: tuple[str | None, ...] = (None,) * len(keys)
    if rule == "none":
        return Speakers(unknown, "none")
    if rule == "auto":
        if any(given):
            return Speakers(tuple(given), "", f"{len(set(given) - {None}):,} speakers, as the source names them")
        return _guess(keys, labels) or Speakers(unknown, "none", guessed=f"no speakers are known; {_CHANGE}")
    if rule.startswith("column:"):
        if not any(given):
            raise CorpusError(f"--speaker {rule}: this layout has no such column, or it is empty")
        names = tuple(given)
    elif match := re.fullmatch(r"folder(?::(\d+))?", rule):
        names = tuple(_folder(key, int(match[1] or 0)) or None for key in keys)
    elif "(?P<speaker>" in rule:
        pattern = compiled(rule, "speaker", "--speaker")
        names = tuple(find_in_path(pattern, key, "speaker") or None for key in keys)
    else:
        raise CorpusError(
            f"--speaker {rule}: must be auto, none, folder, folder:N, column:NAME, or a regular expression with a "
            "group (?P<speaker>…)"
        )
    if not any(names):
        raise CorpusError(f"--speaker {rule}: finds no speaker in any path; the first is {keys[0]}")
    n_without = sum(name is None for name in names)
    rest = f", {n_without:,} recordings without" if n_without else ""
    return Speakers(names, rule, f"{len(set(names) - {None}):,} speakers by {rule!r}{rest}")


def _folder(key: str, n: int) -> str:
    return level(key, n) if n else ("" if "/" not in key else key.split("/")[-2])


def _guess(keys: Sequence[str], labels: Sequence[str]) -> Speakers | None:
    for pattern, known in _PATTERNS:
        names = [find_in_path(re.compile(pattern), key, "speaker") or None for key in keys]
        is_known = known.startswith("as in")
        if _is_plausible(names, few_each="_nohash_" in pattern) and (is_known or _is_crossed(names, labels)):
            return _guessed(names, pattern, f"a part of the file's name, {known}")
    depth = max(key.count("/") for key in keys)
    for n in range(1, depth + 1):
        names = [level(key, n) or None for key in keys]
        if _is_plausible(names) and not _is_something_else(names, labels) and _is_crossed(names, labels, strict=False):
            return _guessed(names, f"folder:{n}", f"folder {n} of the path")
    if len(set(labels)) > 1 and (found := _guess_part(keys, labels)):
        return found
    names = [find_in_path(re.compile(_OF_RECORDER), key, "speaker") or None for key in keys]
    what = "the date and time in the file's name, so that clips of one recording stay together"
    return _guessed(names, _OF_RECORDER, what) if _is_plausible(names) else None


def _guess_part(keys: Sequence[str], labels: Sequence[str]) -> Speakers | None:
    """A part of the files' names that several labels share: who said them. Transcripts give no such proof."""
    if any(_UUID.search(key) for key in keys[:20]):
        return None
    for pattern in (
        r"^(?P<speaker>[^_\-]+)[_\-]",
        r"^[^_\-]+[_\-](?P<speaker>[^_\-]+)[_\-]",
        r"[_\-](?P<speaker>[^_\-]+)[_\-][^_\-]+$",
        r"[_\-](?P<speaker>[^_\-]+)$",
    ):
        names = [find_in_path(re.compile(pattern), key, "speaker") or None for key in keys]
        if _is_plausible(names) and not _is_something_else(names, labels) and _is_crossed(names, labels):
            return _guessed(names, pattern, "a part of the file's name")
    return None


def _guessed(names: Sequence[str | None], rule: str, what: str) -> Speakers:
    counts = Counter(name for name in names if name)
    n_without = len(names) - sum(counts.values())
    rest = f"; {n_without:,} recordings without one" if n_without else ""
    line = f"{len(counts):,} speakers from {what} ({named(sorted(counts), 4)}){rest}; {_CHANGE}"
    return Speakers(tuple(names), rule, guessed=line)


def _is_plausible(names: Sequence[str | None], *, few_each: bool = False) -> bool:
    """Whether names are as many as speakers may be; with two recordings each at least, unless few are no surprise."""
    counts = Counter(name for name in names if name)
    n = sum(counts.values())
    return (
        n >= _COVERED * len(names)
        and sum(count >= _LEAST_EACH for count in counts.values()) >= _LEAST
        and (few_each or len(counts) <= n / 2)
        and max(counts.values()) < 0.9 * n
    )


def _is_something_else(names: Sequence[str | None], labels: Sequence[str]) -> bool:
    """Whether most values are numbers, dates, splits, batches, or labels."""
    values = {name for name in names if name}
    known = {label.lower() for label in labels} | KNOWN_WORDS
    others = [v for v in values if _NO_SPEAKER.fullmatch(v) or split_in_name(v) == v.lower() or v.lower() in known]
    return len(others) > 0.2 * len(values)


def _is_crossed(names: Sequence[str | None], labels: Sequence[str], *, strict: bool = True) -> bool:
    """Whether speakers say several labels and labels have several speakers; without labels there is nothing to cross.

    Args:
        names: speakers.
        labels: in the same order.
        strict: half of the speakers must say several labels; else it is enough that labels have several speakers.
    """
    if len(set(labels)) < 2:
        return True
    said: Mapping[str, set[str]] = defaultdict(set)
    by: Mapping[str, set[str]] = defaultdict(set)
    for name, label in zip(names, labels, strict=True):
        if name:
            said[name].add(label)
            by[label].add(name)
    several = sum(len(own) > 1 for own in said.values())
    return sum(len(own) > 1 for own in by.values()) >= len(set(labels)) / 2 and (not strict or 2 * several >= len(said))
