"""Labels in the names: a folder a label, also with speakers or splits as folders, or a label in each file's name."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from audiornn.corpus.layouts.splits import split_folders
from audiornn.corpus.layouts.survey import Choices, Entry, Reading, Survey, level, named, read_text
from audiornn.errors import CorpusError
from audiornn.vocabulary import is_background

__all__ = [
    "KNOWN_WORDS",
    "compiled",
    "find_in_path",
    "read",
    "read_names",
    "that_cannot_be_read",
]

#: Words that are said to a machine far more often than they are anybody's name.
KNOWN_WORDS = frozenset(
    [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "0",
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "7",
        "8",
        "9",
        "10",
        "yes",
        "no",
        "on",
        "off",
        "up",
        "down",
        "left",
        "right",
        "stop",
        "go",
        "start",
        "forward",
        "backward",
        "follow",
        "learn",
        "house",
        "happy",
        "bed",
        "bird",
        "cat",
        "dog",
        "tree",
        "wow",
        "sheila",
        "marvin",
        "visual",
        "background",
        "noise",
        "silence",
        "unknown",
        "other",
        "open",
        "close",
        "play",
        "pause",
        "next",
        "previous",
        "volume",
        "light",
        "lights",
        "wake",
        "hello",
        "hey",
        "ok",
        "okay",
        "positive",
        "negative",
        "keyword",
        "command",
        "commands",
        "target",
        "true",
        "false",
        "music",
        "speech",
    ]
)
_SPEAKER_LIKE = re.compile(
    r"(speaker|spk|spkr|actor|singer|user|person|subject|participant|voice|female|male|p|s|f|m|id)[_\-]?\d+", re.I
)
_LISTS = {"validation_list.txt": "dev", "testing_list.txt": "test"}


def compiled(pattern: str, group: str, option: str) -> re.Pattern[str]:
    """A regular expression of the user's that must have a group of this name.

    Raises:
        CorpusError: it is none, or lacks the group.
    """
    try:
        found = re.compile(pattern)
    except re.error as error:
        raise CorpusError(f"{option} {pattern}: is no regular expression ({error})") from None
    if group not in found.groupindex:
        raise CorpusError(f"{option} {pattern}: has no group (?P<{group}>…)")
    return found


def find_in_path(pattern: re.Pattern[str], key: str, group: str) -> str:
    """What a pattern finds in a recording's name without its extension, or, if it holds a `/`, in its relative path."""
    path = PurePosixPath(key).with_suffix("")
    match = pattern.search(str(path) if "/" in pattern.pattern else path.name)
    return (match[group] or "") if match else ""


def read(survey: Survey, choices: Choices, *, forced: bool = True) -> Reading | None:
    """A folder a label; `--label folder:N` says which level.

    Splits are those of Speech Commands' lists, or of folders named train, dev and test at any level, which then are no
    labels. Without any folder, the label of all is the surveyed folder's own name.

    Raises:
        CorpusError: there is no audio, or no folder at the level asked for.
    """
    if not survey.audio:
        raise CorpusError(f"{survey.folder}: holds no recordings{that_cannot_be_read(survey)}")
    reading = Reading(task="classify")
    n_split, splits = split_folders(survey.audio)
    levels = _levels(survey.audio, n_split)
    keys = [key for key in survey.audio if not splits or level(key, n_split) in splits]
    if choices.text:
        n = _asked_level(choices.text, survey)
        n_split, splits = (0, {}) if n == n_split else (n_split, splits)  # as asked for: a word called test
    else:
        if (not levels or len({level(key, levels[0]) for key in keys} - {""}) < 2) and not forced:
            return None
        n = _label_level(keys, levels, reading) if levels else 0
        if n and (above := [i for i in range(1, levels[0]) if i != n_split]):
            reading.guessed.append(
                f"the label is folder {n} of the path; the one above, of all of them, is --label folder:{above[-1]}"
            )
    labelled = {key: level(key, n) if n else survey.folder.resolve().name for key in survey.audio}
    if not any(labelled.values()):
        raise CorpusError(f"{survey.folder}: no recording lies {n} folders deep, where --label folder:{n} looks")
    _add_entries(survey, labelled, n_split, splits, reading)
    labels = Counter(entry.text for entry in reading.entries)
    lists = _listed(survey) if not splits else {}
    if lists:
        # The lists speak of words; noise stands in none of them, and all of it in train would be none in the others.
        reading.entries = [
            replace(entry, split=lists.get(entry.where, "" if entry.text.startswith("_") else "train"))
            for entry in reading.entries
        ]
        reading.understood.append("splits: validation_list.txt and testing_list.txt, as in Speech Commands")
    elif splits:
        reading.understood.append(f"splits: the folders {named(splits)}")
    what = f"folder {n} of the path is the label" if n > 1 else "a folder a label" if n else "no folders: one label"
    reading.understood.append(f"{what}: {named(f'{label} ({count:,})' for label, count in labels.most_common())}")
    if n and n != (2 if n_split == 1 else 1):
        reading.settings["text"] = f"folder:{n}"
    background = [label for label in labels if is_background(label)]
    if background and len(labels) > 1:
        reading.understood.append(f"labels like the others, by their names all that is not meant: {named(background)}")
    if not choices.text and all(map(_SPEAKER_LIKE.fullmatch, labels)):
        reading.guessed.append(f"the labels look like speakers{_in_names(survey)}")
    elif not choices.text and len(labels) == 1 and (others := _in_names(survey)):
        reading.guessed.append(f"one folder is one label{others}")
    return reading


def _add_entries(
    survey: Survey, labelled: Mapping[str, str], n_split: int, splits: Mapping[str, str], reading: Reading
) -> None:
    """An entry of each recording that has a label, in the split of its folder; background beside these is of all."""
    for key, path in survey.audio.items():
        outside = level(key, n_split) if splits and level(key, n_split) not in splits else ""
        if is_background(outside):
            reading.entries.append(Entry(path, outside, split="", where=key))
        elif outside:
            reading.left_out.append((key, f"lies in {outside}, beside the splits {named(sorted(splits))}"))
        elif labelled[key]:
            reading.entries.append(Entry(path, labelled[key], split=splits.get(level(key, n_split)), where=key))
        else:
            reading.left_out.append((key, "lies above the folders of the labels, so that it has none"))


def _in_names(survey: Survey) -> str:
    """The end of a line about folders that may be no labels: how these may be taken from the files' names; or nothing.

    The example takes the part with the most values that come again and again, rather of letters than of digits.
    """
    stems = [PurePosixPath(key).stem for key in survey.audio]
    parts = [re.split(r"[_\-]", stem) for stem in stems]
    are_joined = any(len(own) > 1 for own in parts)
    columns = [Counter(values) for values in zip(*(parts if are_joined else stems), strict=False)]
    fitting = [
        (sum(map(str.isalpha, column)) * 2 > len(column), len(column), -i)
        for i, column in enumerate(columns)
        if 2 <= len(column) <= len(stems) / 8
        and min(column.values()) > 1
        and (are_joined or all(map(str.isalpha, column)))
    ]
    if not fitting:
        return ""
    i = -max(fitting)[2]
    pattern = "^" + r"[^_\-]+[_\-]" * i + r"(?P<text>[^_\-]+)" if are_joined else f"^.{{{i}}}(?P<text>.)"
    return f"; a part of the files' names may be meant: --label '{pattern}' takes {named(sorted(columns[i]), 4)}"


def that_cannot_be_read(survey: Survey) -> str:
    """The end of an error about a folder without recordings: what there is that cannot be read, and why."""
    if not survey.unusable:
        return ""
    name, why = survey.unusable[0]
    return f" that can be read; {len(survey.unusable):,} cannot: {name}: {why}"


def _asked_level(text: str, survey: Survey) -> int:
    match = re.fullmatch(r"folder(?::(\d+))?", text)
    if not match and survey.complaints:
        raise CorpusError(survey.complaints[0])  # a table's, which is likelier to be meant
    if not match:
        raise CorpusError(
            f"--label {text}: for recordings in folders it is folder:N, the N-th folder of the path, from 1"
        )
    return int(match[1] or 1)


def _levels(keys: Iterable[str], n_split: int) -> list[int]:
    """The levels of folders that may be labels: not that of the splits, nor those above all that differs."""
    keys = list(keys)
    levels = [n for n in range(1, 1 + max(key.count("/") for key in keys)) if n != n_split]
    while len(levels) > 1 and len({level(key, levels[0]) for key in keys}) == 1:
        levels.pop(0)
    return levels


def _label_level(keys: Sequence[str], levels: Sequence[int], reading: Reading) -> int:
    """Which of two levels of folders is the label, where the other is a speaker, a session or a place."""
    first, second = [*levels, 0][:2]
    outer: dict[str, set[str]] = defaultdict(set)
    inner: dict[str, set[str]] = defaultdict(set)
    n_deep = 0
    for key in keys:
        a, b = level(key, first), level(key, second)
        if b:
            n_deep += 1
            outer[a].add(b)
            inner[b].add(a)
    if 2 * n_deep <= len(keys) or len(inner) < 2:
        return first
    change = f"--label folder:{first} or folder:{second} changes it"
    repeats = sum(len(places) > 1 for places in inner.values()) / len(inner)
    labels_inside = _looks_like_labels(inner, outer, repeats)
    chosen = inner if labels_inside else outer
    other = outer if labels_inside else inner
    reading.guessed.append(
        f"the label is the {'inner' if labels_inside else 'outer'} folder ({named(sorted(chosen), 4)}), "
        f"the other ({named(sorted(other), 4)}) a speaker or a session; {change}"
    )
    return second if labels_inside else first


def _looks_like_labels(inner: Mapping[str, set[str]], outer: Mapping[str, set[str]], repeats: float) -> bool:
    """Whether the inner folders are the labels. Names tell most; then the level that repeats, if it is the smaller."""

    def share(names: Mapping[str, set[str]], known: bool) -> float:
        is_one = (lambda n: n.lower() in KNOWN_WORDS) if known else (lambda n: bool(_SPEAKER_LIKE.fullmatch(n)))
        return sum(map(is_one, names)) / len(names)

    for known in (False, True):
        a, b = share(outer, known), share(inner, known)
        if abs(a - b) >= 0.5:
            return (a > b) is not known
    if repeats < 0.5:  # labels repeat under every speaker; what does not repeat is a session or a speaker
        return False
    return len(inner) <= len(outer)


def _listed(survey: Survey) -> dict[str, str]:
    """Splits by path of Speech Commands' two lists."""
    found: dict[str, str] = {}
    for path in survey.others.values():
        if split := _LISTS.get(path.name):
            names = filter(str.strip, read_text(path).split("\n"))
            recordings = survey.resolve_all(names, path.parent).values()
            found |= {survey.key(audio): split for audio in recordings if audio is not None}
    return found


def read_names(survey: Survey, choices: Choices, *, forced: bool = True) -> Reading | None:
    """A label, or a transcript, in each file's name; `--label REGEX` with a group `text` says where.

    Guessed are `<label>_<speaker>_<take>`, `<speaker>_<label>_<take>`, `<label>_<take>`, and names that are strings of
    a few symbols (`0_1_1_0`), which are the transcript.

    Raises:
        CorpusError: forced, and no pattern fits.
    """
    if choices.text:
        pattern = compiled(choices.text, "text", "--label")
        reading = Reading(understood=["the label stands in the file's name"])
    else:
        guess = _guess_pattern(survey)
        if guess is None:
            if forced:
                raise CorpusError(
                    f"{survey.folder}: finds no label in the files' names; say where with --label 'REGEX', e.g. "
                    "--label '(?P<text>[^_/]+)_'"
                )
            return None
        pattern, reading = guess
    for key, path in survey.audio.items():
        text = find_in_path(pattern, key, "text").replace("_", " ").strip()
        if text:
            reading.entries.append(Entry(path, text, where=key))
        else:
            reading.left_out.append((key, "its name does not fit the pattern of the others"))
    if not reading.entries:
        raise CorpusError(f"{survey.folder}: no file's name fits --label '{choices.text}'")
    reading.settings["text"] = pattern.pattern
    return reading


#: What recorders put into names: 20240512 and 053000.
_DAY_OR_HOUR = re.compile(r"\d{6}|\d{8}")


def _guess_pattern(survey: Survey) -> tuple[re.Pattern[str], Reading] | None:
    stems = [PurePosixPath(key).stem for key in survey.audio]
    parent = {str(Path(key).parent) for key in survey.audio}
    if len(stems) < 8 or len(parent) > 1:
        return None
    parts = [re.split(r"[_\-]", stem) for stem in stems]
    n_fitting = Counter(map(len, parts)).most_common(1)[0]
    change = "change it with --label 'REGEX' (a group (?P<text>…)), or --layout folders for none"
    strings = {part for row in parts for part in row}
    in_column = [{row[i] for row in parts if len(row) > i} for i in range(n_fitting[0])]
    if n_fitting[0] >= 3 and 2 <= len(strings) <= 20 and all(2 * len(own) >= len(strings) for own in in_column):
        reading = Reading(
            task="transcribe",
            guessed=[f"each file's name is its transcript, of the symbols {named(sorted(strings))}; {change}"],
        )
        return re.compile(r"(?P<text>.+)"), reading
    if n_fitting[0] not in (2, 3) or n_fitting[1] < 0.9 * len(stems):
        return None
    rows = [row for row in parts if len(row) == n_fitting[0]]
    if not all(row[-1].isdigit() for row in rows):
        return None
    columns = [Counter(row[i] for row in rows) for i in range(n_fitting[0] - 1)]
    fitting = [
        i
        for i, column in enumerate(columns)
        if 2 <= len(column) <= len(rows) / 4
        and min(column.values()) >= 2
        and not all(map(_DAY_OR_HOUR.fullmatch, column))
    ]
    if not fitting:
        return None
    known = [i for i in fitting if all(value.lower() in KNOWN_WORDS for value in columns[i])]
    label = (known or fitting)[0]
    if n_fitting[0] == 2 and any(_SPEAKER_LIKE.fullmatch(value) for value in columns[0]):
        return None
    pattern = "^" + r"[^_\-]+[_\-]" * label + r"(?P<text>[^_\-]+)[_\-]"
    shape = ["<speaker?>"] * (n_fitting[0] - 1) + ["<number>"]
    shape[label] = "<label>"
    reading = Reading(
        task="classify",
        guessed=[f"files are named {'_'.join(shape)}: the labels are {named(sorted(columns[label]), 12)}; {change}"],
    )
    return re.compile(pattern), reading
