"""Labels in the names: a folder a label, also with speakers or splits as folders, or a label in each file's name."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from audiornn.corpus.layouts.survey import Choices, Entry, Reading, Survey, named, read_text, split_in_name
from audiornn.errors import CorpusError
from audiornn.vocabulary import is_background

__all__ = [
    "KNOWN_WORDS",
    "compiled",
    "find_in_path",
    "level",
    "read",
    "read_names",
    "split_folders",
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
    r"(speaker|spk|spkr|user|person|subject|participant|voice|female|male|p|s|f|m|id)[_\-]?\d+", re.I
)
_LISTS = {"validation_list.txt": "dev", "testing_list.txt": "test"}


def level(key: str, n: int) -> str:
    """The n-th folder of a relative path, from 1; empty where the path has fewer."""
    folders = key.split("/")[:-1]
    return folders[n - 1] if 1 <= n <= len(folders) else ""


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

    Splits are those of Speech Commands' lists, or of folders named train, dev and test above the labels. Without any
    folder, the label of all is the surveyed folder's own name.

    Raises:
        CorpusError: there is no audio, or no folder at the level asked for.
    """
    if not survey.audio:
        raise CorpusError(f"{survey.folder}: holds no recordings{that_cannot_be_read(survey)}")
    reading = Reading(task="classify")
    splits = split_folders(survey)
    keys = [key for key in survey.audio if len(key.split("/")) > 1]
    first = 2 if splits else 1
    if choices.text:
        n = _asked_level(choices.text, survey)
    else:
        if len({level(key, first) for key in keys} - {""}) < 2 and not forced:
            return None
        n = _label_level(keys, first, reading) if keys else 0
    labelled = {key: level(key, n) if n else survey.folder.resolve().name for key in survey.audio}
    if not any(labelled.values()):
        raise CorpusError(f"{survey.folder}: no recording lies {n} folders deep, where --label folder:{n} looks")
    labels = Counter(label for label in labelled.values() if label)
    for key, path in survey.audio.items():
        if labelled[key]:
            reading.entries.append(Entry(path, labelled[key], split=splits.get(level(key, 1)), where=key))
        else:
            reading.left_out.append((key, "lies above the folders of the labels, so that it has none"))
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
    if n != first and n:
        reading.settings["text"] = f"folder:{n}"
    background = [label for label in labels if is_background(label)]
    if background and len(labels) > 1:
        reading.understood.append(f"labels like the others, by their names all that is not meant: {named(background)}")
    return reading


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


def split_folders(survey: Survey) -> dict[str, str]:
    """Splits by folder where all folders at the top are named after one, train among them."""
    top = {level(key, 1) for key in survey.audio}
    splits = {name: split_in_name(name) for name in top}
    exact = {name: split for name, split in splits.items() if split}
    return exact if len(exact) == len(top) and len(set(exact.values())) >= 2 and "train" in exact.values() else {}


def _label_level(keys: Sequence[str], first: int, reading: Reading) -> int:
    """Which of two levels of folders is the label, where the other is a speaker, a session or a place."""
    outer: dict[str, set[str]] = defaultdict(set)
    inner: dict[str, set[str]] = defaultdict(set)
    n_deep = 0
    for key in keys:
        a, b = level(key, first), level(key, first + 1)
        if b:
            n_deep += 1
            outer[a].add(b)
            inner[b].add(a)
    if 2 * n_deep <= len(keys) or len(inner) < 2:
        return first
    change = f"--label folder:{first} or folder:{first + 1} changes it"
    if len(outer) < 2:
        reading.guessed.append(f"the label is the inner folder ({named(inner)}), there is one outer folder; {change}")
        return first + 1
    repeats = sum(len(places) > 1 for places in inner.values()) / len(inner)
    labels_inside = _looks_like_labels(inner, outer, repeats)
    chosen = inner if labels_inside else outer
    other = outer if labels_inside else inner
    reading.guessed.append(
        f"the label is the {'inner' if labels_inside else 'outer'} folder ({named(sorted(chosen), 4)}), "
        f"the other ({named(sorted(other), 4)}) a speaker or a session; {change}"
    )
    return first + labels_inside


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
    found = {}
    for name, split in _LISTS.items():
        if name in survey.others:
            for line in read_text(survey.others[name]).split("\n"):
                audio = survey.resolve(line) if line.strip() else None
                if audio is not None:
                    found[survey.key(audio)] = split
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
