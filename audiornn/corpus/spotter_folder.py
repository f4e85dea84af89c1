"""A folder of a user's for a spotter: which of its recordings say the word, and which all else.

    my recordings/
      computer/            the word: a folder named after it, or positive, keyword, wake_word; or no folder at all
      not_computer/        not the word: not_…, negative…, other…, unknown…
      background/          long recordings, in which it is not said: background…, noise…, speech, music, or a name that
                           begins with _

The label's folder lies at the top, or below those of speakers or rooms, where only there one is named after the word,
or with `speaker = "folder:1"`. Below it lies what may. A folder of any other name is a keyword of its own, unless the
word is named (`word`): then it is one of the words that are not meant.
"""

from __future__ import annotations

import contextlib
import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from audiornn.corpus.label_files import ENDINGS, holds_times, read_label_file
from audiornn.corpus.label_files.elan import media_of
from audiornn.corpus.layouts.folders import that_cannot_be_read
from audiornn.corpus.layouts.label_files_beside import stem_of
from audiornn.corpus.layouts.survey import Survey, level, named
from audiornn.corpus.manifest import SPLITS, Utterance, read_manifest
from audiornn.corpus.speakers import find_speakers
from audiornn.errors import CorpusError, nearest
from audiornn.text import plain_words
from audiornn.vocabulary import is_background

__all__ = ["SpotterFolder", "label_files_of", "read_folder"]

#: Folders that hold the word and say nothing of which word it is.
_UNNAMED = re.compile(r"(positives?|keywords?|wake[_\- ]?words?|hot[_\- ]?words?|wake|target)", re.I)
#: Folders of what is not the word, besides those that are no label of anything's.
_NOT_IT = re.compile(
    r"(hard[_\- ]?)?negatives?([_\- ].*)?|others?[_\- ].*|"
    r"bg|ambien(t|ce)|babble|chatter|filler|garbage|hintergrund|misc|music|rest|speech|talk|"
    r"(other|no[nt]?)[_\- ]?(words?|keywords?|targets?|speech)",
    re.I,
)
#: Of these, folders below which nothing is the word, whatever it is called.
_NEVER_IT = re.compile(r"background|negatives?([_\- ].*)?|not[_\- ].*", re.I)
_SPLIT_NAMES = re.compile(r"train(ing)?|dev|valid(ation)?|val|eval|test(ing)?", re.I)


@dataclass(frozen=True)
class SpotterFolder:
    """A folder of recordings for a spotter.

    Attributes:
        folder: it.
        keywords: recordings of the words; each one's text is its label.
        background: recordings of all else; their text is empty.
        spellings: of the labels, as far as they can be told.
        word: the keyword's spelling, as it was asked for or as the recipe is called; empty takes the folders' names.
        beside: how many recordings lie at the top beside the word's own folder, and count as background.
        unusable: files that are recordings and cannot be read as they are, and why.
        speakers: lines that say who speaks.
        label_files: that say when something is heard, and are not read.
        depth: at which level of the paths the folders lie that say what is said.
    """

    folder: Path
    keywords: tuple[Utterance, ...]
    background: tuple[Utterance, ...]
    spellings: Mapping[str, str]
    word: str = ""
    beside: int = 0
    unusable: tuple[tuple[str, str], ...] = ()
    speakers: tuple[str, ...] = ()
    label_files: tuple[str, ...] = ()
    depth: int = 1

    @property
    def unread(self) -> str:
        """What is to be said of the label files; empty where there are none."""
        if not self.label_files:
            return ""
        return (
            f"label files beside the recordings are not read ({named(self.label_files, 3)}): where they say the word "
            "in a recording of what is not meant, it passes for that; cut it out of there. A recipe with --task label "
            "learns from such files"
        )

    @property
    def labels(self) -> Counter[str]:
        """Recordings by label."""
        return Counter(utterance.text for utterance in self.keywords)


def read_folder(folder: Path, *, word: str = "", speaker: str = "auto", recipe: str = "") -> SpotterFolder:
    """Understand a folder: nothing is decoded.

    Args:
        folder: as above.
        word: the keyword's spelling, which is its label, too; empty takes the folders' names.
        speaker: auto, none, folder:N or a regular expression with a group `speaker`.
        recipe: the name of a new recipe, after which the word is called where no folder says it.

    Raises:
        CorpusError: there is no recording of the word.
    """
    if not folder.is_dir():
        raise CorpusError(f"{folder}: no such folder")
    survey = Survey(folder)
    keys = list(survey.audio)
    if not keys:
        raise CorpusError(f"{folder}: holds no recordings{that_cannot_be_read(survey)}")
    # All else follows from the word, so that `prep`, which reads it in recipe.toml, finds what `new` did.
    word = word or (_named_after(recipe, keys, speaker) if recipe else "")
    depth = _depth_of(word, keys, speaker)
    folders = _label_folders(keys, depth)
    labels = _labels(set(folders), folder, word, speaker)
    texts = [labels[name] for name in folders]
    names, said = _speakers(dict(zip(keys, texts, strict=True)), speaker)
    everything = [
        Utterance(posixpath.splitext(key)[0], survey.audio[key], text, names[key])
        for key, text in zip(keys, texts, strict=True)
    ]
    counts = Counter(u.id for u in everything)
    everything = [u if counts[u.id] == 1 else replace(u, id=survey.key(u.audio)) for u in everything]
    spellings = {label: word or re.sub(r"[_\-]+", " ", label) for label in set(labels.values()) - {""}}
    return SpotterFolder(
        folder,
        tuple(u for u in everything if u.text),
        tuple(u for u in everything if not u.text),
        {label: spelling for label, spelling in spellings.items() if _can_be_said(spelling)},
        word,
        0 if labels.get("") else sum(not level(key, 1) for key in keys),
        tuple(survey.unusable),
        said,
        label_files_of(survey),
        depth,
    )


def label_files_of(survey: Survey) -> tuple[str, ...]:
    """Files that say what is heard when in a folder's recordings: of their names, linked to them, or lists of them."""
    stem = stem_of(survey)
    stems = {posixpath.splitext(posixpath.basename(key))[0].casefold() for key in survey.audio}
    found = []
    for key, path in survey.lists(*ENDINGS, ".jsonl").items():
        name = key.lower()
        with contextlib.suppress(CorpusError):  # something else
            if name.endswith(".jsonl"):
                holds_labels = any(utterance.segments for utterance in read_manifest(path))
            elif name.endswith(".txt") and not holds_times(path):  # a transcript
                holds_labels = False
            else:
                labels = read_label_file(path)
                linked = media_of(path) if name.endswith(".eaf") else ()
                recordings = (posixpath.basename(one.replace("\\", "/")) for one in (*labels.recordings, *linked))
                named_here = {stem(posixpath.basename(key)), *(part for one in recordings for part in (one, stem(one)))}
                holds_labels = bool(labels.labels) and not stems.isdisjoint(map(str.casefold, named_here))
            if holds_labels:
                found.append(key)
    return tuple(found)


def _speakers(texts: Mapping[str, str], rule: str) -> tuple[dict[str, str | None], tuple[str, ...]]:
    """Who speaks in each recording, and what is to be said of that: of the word and of all else, each in its own way.

    Raises:
        CorpusError: a rule that finds nobody in either.
    """
    names: dict[str, str | None] = dict.fromkeys(texts)
    lines, errors = [], []
    # A folder of background is nobody's, though it lies where speakers' do.
    others = [key for key in texts if not (texts[key] or (rule == "folder:1" and _is_of_all_else(level(key, 1))))]
    sides = {"the word": [key for key in texts if texts[key]], "not the word": others}
    for side, own in sides.items():
        if not own:
            continue
        try:
            found = find_speakers(own, [texts[key] for key in own], [None] * len(own), rule)
        except CorpusError as error:
            errors.append(error)
            lines.append(f"{side}: {rule!r} finds no speaker")
            continue
        names |= dict(zip(own, found.names, strict=True))
        if line := found.guessed or found.understood:
            lines.append(f"{side}: {line}")
        if 0 < len(known := set(found.names) - {None}) < len(SPLITS):
            lines.append(f"{side}: {len(known)} speakers are too few to hold any out: each may be in every split")
    if len(errors) == sum(map(bool, sides.values())):
        raise errors[0]
    return names, tuple(lines)


def _depth_of(word: str, keys: Sequence[str], speaker: str) -> int:
    """At which level of the paths the folders lie that say what is said: 1, or deeper, below those of speakers.

    Deeper, it is the first level at which a folder is named after the word, and none is at the top. Where there is no
    word, or no folder of its name, it is the second for `folder:1`, unless that would leave out a speaker's recordings.
    """
    wanted, top = plain_words(word), {level(key, 1) for key in keys}
    is_speakers = speaker == "folder:1"
    if any(_UNNAMED.fullmatch(name) or (word and plain_words(name) == wanted) for name in top):
        return 1
    if not is_speakers and (not word or "" in top):
        return 1
    folders = [key.split("/")[:-1] for key in keys if not _is_of_all_else(level(key, 1))]
    if found := [n for own in folders for n, name in enumerate(own, 1) if word and plain_words(name) == wanted]:
        return min(found)
    below = {"/".join(own[1:2]) for own in folders if own}
    is_parted = any(map(_NEVER_IT.fullmatch, below)) or ("" not in below and any(map(_UNNAMED.fullmatch, below)))
    return 2 if is_speakers and (not word or is_parted) else 1


def _label_folders(keys: Sequence[str], depth: int) -> list[str]:
    """Of each recording the folder that says what it is.

    Where that would lie below one of background, it is the latter; unless its name is that of a folder beside it, too:
    `with_noise/computer` is as good as `clean/computer`.
    """
    said = {plain_words(level(key, depth)) for key in keys if not _is_of_all_else(level(key, 1))} - {""}
    folders = []
    for key in keys:
        top, own = level(key, 1), level(key, depth)
        is_not_it = _NEVER_IT.fullmatch(top) or (_is_of_all_else(top) and plain_words(own) not in said)
        folders.append(top if is_not_it else own)
    return folders


def _is_of_all_else(name: str) -> bool:
    """Whether a folder is named like what is not meant."""
    return is_background(name) or _NOT_IT.fullmatch(name) is not None


def _can_be_said(spelling: str) -> bool:
    """Whether English voices can: letters, all of them Latin; of another script they would say the letters' names."""
    letters = [char for char in spelling if char.isalpha()]
    return len(letters) > 1 and all(unicodedata.name(char, "").startswith("LATIN ") for char in letters)


def _keyword_folders(names: Collection[str], wanted: str = "") -> list[str]:
    """Those of some folders that may hold a keyword: none that is named like all else, unless the word is just so."""
    return [name for name in sorted(names) if name and (not _is_of_all_else(name) or plain_words(name) == wanted)]


def _named_after(recipe: str, keys: Sequence[str], speaker: str) -> str:
    """The word that a folder's own folders do not say, or not which of them: of the recipe's name; else empty.

    Below the top a folder of that name counts only where each of two or more at the top holds one, as speakers' do.
    """
    wanted = plain_words(recipe)
    at_top = _keyword_folders({level(key, 1) for key in keys})
    depth = 1 if wanted in map(plain_words, at_top) else _depth_of("", keys, speaker)
    names = set(_label_folders(keys, depth))
    candidates = _keyword_folders(names)
    same = [name for name in candidates or names if name and plain_words(name) == wanted]
    if same:
        says_it = candidates == same and "" not in names and speaker != "folder:1"
        return "" if says_it else wanted
    if "" in names or any(map(_UNNAMED.fullmatch, candidates)):
        return wanted
    below: dict[str, set[str]] = {name: set() for name in at_top}
    for key in keys:
        if (top := level(key, 1)) in below:
            below[top].update(map(plain_words, key.split("/")[1:-1]))
    is_below = len(below) > 1 and all(wanted in own for own in below.values())
    return wanted if is_below and not _SPLIT_NAMES.fullmatch(wanted) else ""


def _labels(names: set[str], folder: Path, word: str, speaker: str) -> dict[str, str]:
    """The label of each folder at the top; empty for what is not meant. The name "" is the top itself."""
    wanted = plain_words(word)
    candidates = _keyword_folders(names, wanted)
    unnamed = [name for name in candidates if _UNNAMED.fullmatch(name) and plain_words(name) != wanted]
    label = word or re.sub(r"[\W_]+", "_", folder.resolve().name).strip("_") or "keyword"
    if candidates and all(map(_SPLIT_NAMES.fullmatch, candidates)) and wanted not in map(plain_words, candidates):
        raise CorpusError(
            f"{folder}: {', '.join(candidates)} look like splits, not like words: put all recordings of the word into "
            "one folder named after it; the splits are drawn from there"
        )
    if word and (same := [name for name in candidates if plain_words(name) == wanted]):
        chosen = dict.fromkeys(same, word)
    elif unnamed:
        chosen = dict.fromkeys(unnamed, label)
    elif "" in names:  # the word lies at the top, whatever is beside it
        chosen = {"": label}
    elif word and len(candidates) > 1 and speaker != "folder:1":
        raise CorpusError(
            f"{folder}: has no folder of the word {word!r}{nearest(word, candidates)}; "
            f"there are {', '.join(candidates)}; if these are its speakers, add --speaker folder:1"
        )
    else:
        chosen = {name: word or name for name in candidates}
    if not chosen:
        raise CorpusError(
            f"{folder}: no recordings of the word: all of its folders ({', '.join(sorted(names))}) are named like what "
            "is not meant; put the word's recordings into a folder named after it, or `positive`; or if one of these "
            "holds them, name it with --word"
        )
    return {name: chosen.get(name, "") for name in names}
