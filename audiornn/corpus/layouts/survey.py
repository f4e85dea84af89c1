"""What lies in a folder of recordings: the audio, the lists beside it, and where a name in a list is on the disk."""

from __future__ import annotations

import os
import posixpath
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from audiornn.audio import EXTENSIONS, FOREIGN
from audiornn.corpus.manifest import Segment
from audiornn.corpus.text_files import read_text
from audiornn.errors import CorpusError
from audiornn.files import files_below, is_unicode, relative_to

__all__ = [
    "Choices",
    "Entry",
    "Reading",
    "Survey",
    "level",
    "named",
    "nfc",
    "read_text",
]

#: Folders in which the audio of a table often lies.
AUDIO_FOLDERS = ("clips", "wavs", "wav", "audio", "recordings", "data", "flac", "mp3", "sph")

_NOT_UNICODE = (
    "its name is not UTF-8; rename it"
    if sys.getfilesystemencoding() == "utf-8"
    else f"its name is not {sys.getfilesystemencoding().upper()}, which the locale asks for; set PYTHONUTF8=1"
)
#: What stands for a folder in paths of SpeechBrain's lists, and of shells.
_VARIABLE = re.compile(r"(\$\w+|\$?\{\w+\})/")


@dataclass(frozen=True)
class Choices:
    """What the user says of a source that would otherwise be found or guessed; empty is "find it".

    Attributes:
        text: the column of texts or labels, `folder:N`, or a regular expression with a group `text`.
        audio: the column of paths.
        speaker: auto, none, folder, folder:N, column:NAME, or a regular expression with a group `speaker`.
        encoding: of its tables and transcripts.
        skip_bad: leave out lines whose audio is missing, and lists that cannot be read beside others that are.
        track_hop: seconds from row to row of arrays of values over time; 0 finds out.
        task: what it is to be used for, or "auto".
    """

    text: str = ""
    audio: str = ""
    speaker: str = "auto"
    encoding: str = ""
    skip_bad: bool = False
    track_hop: float = 0.0
    task: str = "auto"


@dataclass(frozen=True)
class Entry:
    """One labelled recording, or stretch of one, as a source names it.

    Attributes:
        audio: the recording.
        text: what is said, or its label.
        speaker: None where the source does not say.
        start: in seconds.
        duration: in seconds; None is to the end.
        split: train, dev or test; None where the source does not say, and "" where it means others only.
        id: the source's own name of it; empty where it has none.
        where: the list and line that name it.
        segments: labelled stretches, where the source has them.
        track: a file of values over time, likewise.
        track_hop: seconds from one of its rows to the next, of a file that does not say.
        track_start: where its time is zero, in seconds of the recording; None: at `start`.
        voices: of segments, where the source says who speaks in one: start, end and speaker.
    """

    audio: Path
    text: str
    speaker: str | None = None
    start: float = 0.0
    duration: float | None = None
    split: str | None = None
    id: str = ""
    where: str = ""
    segments: tuple[Segment, ...] = ()
    track: Path | None = None
    track_hop: float | None = None
    track_start: float | None = None
    voices: tuple[tuple[float, float, str], ...] = ()


@dataclass
class Reading:
    """What a layout's reader found.

    Attributes:
        entries: the labelled recordings.
        task: classify, transcribe, label or regress where the layout itself says so; None leaves it to the texts.
        understood: lines that say what was read.
        guessed: lines that say what was guessed, each with how to change it.
        left_out: files and stretches that are not used, and why.
        without_text: recordings that a source names and gives no text; none of several labels may hold in them.
        settings: choices worth writing down, so that a guess does not change when recordings are added.
        embedded: the audio lies inside the source's own files and must be written out first.
        tracks: names of the values over time.
        several: each text is any number of labels, parted by commas; otherwise that is found out.
        bands: the lowest and the highest Hz of the labels of each label file that says so.
        nameable: label files by path, each with whether it has tiers or columns with names, for `Choices.text` to name.
        n_lines: of those that name a recording, how many there are.
        missing: of these the recordings that are not there: the place that names one, and its name.
    """

    entries: list[Entry] = field(default_factory=list)
    task: Literal["classify", "transcribe", "label", "regress"] | None = None
    understood: list[str] = field(default_factory=list)
    guessed: list[str] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    without_text: list[Entry] = field(default_factory=list)
    settings: dict[str, str | float] = field(default_factory=dict)
    embedded: bool = False
    tracks: tuple[str, ...] = ()
    several: bool = False
    bands: list[tuple[float, float]] = field(default_factory=list)
    nameable: dict[Path, bool] = field(default_factory=dict)
    n_lines: int = 0
    missing: list[tuple[str, str]] = field(default_factory=list)

    def refuse_missing(self, choices: Choices) -> None:
        """Leave out the lines whose audio is not there, if that was asked for.

        Raises:
            CorpusError: nobody asked; or all are missing.
        """
        n_missing = len(self.missing)
        if not n_missing:
            return
        if choices.skip_bad and n_missing < self.n_lines:
            self.left_out += [(where, f"its audio is missing: {name}") for where, name in self.missing]
            return
        listed = "; ".join(f"{where}: {name}" for where, name in self.missing[:3])
        more = f"; and {n_missing - 3} more" if n_missing > 3 else ""
        remedy = (
            "is the folder complete, and the right one?"
            if n_missing == self.n_lines
            else "add them, or leave these lines out with --skip-bad"
        )
        if variable := _VARIABLE.match(self.missing[0][1]):
            remedy = (
                f"{variable[1]} stands for a folder that is not below this one: write its path instead, or {remedy}"
            )
        raise CorpusError(f"the audio of {n_missing:,} of {self.n_lines:,} lines is missing ({listed}{more}); {remedy}")


#: What `prep` writes beside its prepared.json, which tells nothing of recordings that lie there, too.
_OF_PREP = ("train.jsonl", "dev.jsonl", "test.jsonl", "features/", "listen/", "made/")


class Survey:
    """A folder's files, walked once; links are followed, and circles of links end."""

    def __init__(self, folder: Path, only: Path | None = None) -> None:
        self.folder = folder
        self.only = only
        self.how: Counter[str] = Counter()  # how names were resolved that are not on the disk as they are written
        self.complaints: list[str] = []  # of lists that look like tables and are none
        self.passed_over: dict[str, str] = {}  # by layout, what speaks of fewer than half of the recordings
        self.last_resort: dict[str, int] = {}  # and of how many, where that is better than a folder's name

    @cached_property
    def _walked(self) -> tuple[dict[str, Path], dict[str, Path], list[tuple[str, str]]]:
        audio: dict[str, Path] = {}
        others: dict[str, Path] = {}
        unusable: list[tuple[str, str]] = []

        def leave_out(folder: Path, why: str) -> None:
            unusable.append((self.key(folder), why))

        for parent, name in files_below(self.folder, leave_out):
            path = Path(parent, name)
            relative = path.relative_to(self.folder).as_posix()
            key = nfc(relative)
            suffix = path.suffix.lower()
            if suffix not in EXTENSIONS and suffix not in FOREIGN:
                others[key] = path
            elif not is_unicode(relative):
                unusable.append((ascii(relative)[1:-1], _NOT_UNICODE))
            elif suffix in FOREIGN:
                unusable.append((key, f"{suffix} is not read; convert it: ffmpeg -i {name} {path.stem}.flac"))
            elif not path.exists():
                unusable.append((key, "a link to nowhere"))
            else:
                audio[key] = path
        for made in [posixpath.dirname(key) for key in others if posixpath.basename(key) == "prepared.json"]:
            ours = tuple(posixpath.join(made, name) for name in _OF_PREP)
            audio, others = (
                {key: path for key, path in found.items() if not key.startswith(ours)} for found in (audio, others)
            )
        return audio, others, unusable

    @property
    def audio(self) -> dict[str, Path]:
        """Every recording below the folder, by its path relative to it (composed Unicode, `/`), in order."""
        return self._walked[0]

    @property
    def others(self) -> dict[str, Path]:
        """Every other file, likewise."""
        return self._walked[1]

    @property
    def unusable(self) -> list[tuple[str, str]]:
        """Recordings in a container or under a name that cannot be used, and why."""
        return self._walked[2]

    def lists(self, *endings: str) -> dict[str, Path]:
        """Files whose names end so: the one that the user named, or all below the folder."""
        if self.only is not None:
            return {self.only.name: self.only} if self.only.name.lower().endswith(endings) else {}
        return {key: path for key, path in self.others.items() if key.lower().endswith(endings)}

    def key(self, path: Path) -> str:
        """A path as this survey names it: relative to the folder, composed Unicode, `/`."""
        try:
            return nfc(path.relative_to(self.folder).as_posix())
        except ValueError:
            relative = relative_to(path, self.folder)
            real = Path(os.path.realpath(path)), Path(os.path.realpath(self.folder))
            is_inside = relative.startswith("../") and real[0].is_relative_to(real[1])  # the folder was a link's
            return nfc(relative_to(*real) if is_inside else relative)

    def resolve(self, name: str, base: Path | None = None, *, moved: bool = True) -> Path | None:
        """The recording that a list means by `name`, or None.

        Tried in turn: the name as it stands, from the list's folder and from folders that usually hold audio; the same
        with another extension, or one added; and a single recording anywhere below the folder whose path ends so.
        Whatever was needed beyond the name as it stands is counted in `how`.

        Args:
            name: absolute or relative, with or without an extension.
            base: the folder that relative names start from; the surveyed folder where it is None.
            moved: whether its folder may be called otherwise than the name says.
        """
        for form in _forms(name):
            variable = _VARIABLE.match(form)
            if variable and (found := self.as_written(form[variable.end() :])):
                self.how[f"in the folder that the list calls {variable[1]}"] += 1
                return found
            if found := self.as_written(form, base) or self._elsewhere(form, moved):
                return found
        return None

    def resolve_all(self, names: Iterable[str], base: Path | None = None) -> dict[str, Path | None]:
        """The recordings that one list means.

        Where some lie where the list says, or would but for the beginning of their paths, the others do so, too, and
        none in a folder of another name: what is missing would else be another speaker's recording of the same number.
        """
        found = {name: self.resolve(name, base, moved=False) for name in dict.fromkeys(names)}
        if not any(audio is not None and re.search(r"[/\\]", name) for name, audio in found.items()):
            return {name: audio or self.resolve(name, base) for name, audio in found.items()}
        beginnings = {self._beginning(name, audio) for name, audio in found.items() if audio is not None} - {""}
        for name in [name for name, audio in found.items() if audio is None]:
            path = name.replace("\\", "/")
            rests = (path[len(beginning) :] for beginning in beginnings if path.startswith(beginning))
            found[name] = next((audio for rest in rests if (audio := self.as_written(rest))), None)
        return found

    def _beginning(self, name: str, audio: Path) -> str:
        """What stands in a list before a recording's own path, as `/home/somebody/`; empty if that is another."""
        path, own = name.replace("\\", "/"), _stem(self.key(audio))
        return path[: -len(own)] if (path := _stem(path)).casefold().endswith(f"/{own}".casefold()) else ""

    def as_written(self, name: str, base: Path | None = None) -> Path | None:
        """The recording at a path, or in a folder there that usually holds audio, perhaps with another extension."""
        base = base or self.folder
        try:
            direct = base / name
            if direct.is_file() and (direct.suffix.lower() in EXTENSIONS or (direct.is_absolute() and "." in name)):
                key = self.key(Path(os.path.normpath(direct)))
                return self.audio.get(key, direct)
        except OSError:  # a text of hundreds of characters is no file name
            return None
        if Path(name).is_absolute():
            return None
        below = self.key(base)
        places = dict.fromkeys((below, *(f"{below}/{f}" for f in AUDIO_FOLDERS), "", *AUDIO_FOLDERS))
        keys = [nfc(posixpath.normpath(posixpath.join(place, name))) for place in places]
        for key in keys:
            if key in self.audio:
                return self.audio[key]
        for key in keys:
            if found := self._by_stem.get(_stem(key)):
                if _stem(key) != key:
                    self.how["with another extension than the list says"] += 1
                return found[0]
        return None

    def _elsewhere(self, name: str, moved: bool) -> Path | None:
        """The one recording whose path ends like the name: the corpus was moved, or its folders renamed.

        Its last folder must be the same, unless it is a folder that is nowhere here, and `moved`.
        """
        wanted = [part for part in _stem(nfc(name)).casefold().split("/") if part not in ("", ".", "..")]
        found = self._by_last_part.get(wanted[-1], []) if wanted else []
        fitting = [key for key in found if _stem(key).casefold().split("/")[-2:] == wanted[-2:]]
        if len(wanted) > 1 and (fitting or not moved or wanted[-2] in self._folders):
            found = fitting
        for n in range(2, len(wanted) + 1):
            if len(found) <= 1:
                break
            found = [key for key in found if _stem(key).casefold().split("/")[-n:] == wanted[-n:]]
        if len({_stem(key) for key in found}) != 1:
            return None
        self.how["in another folder than the list says"] += 1
        return self.audio[found[0]]

    @cached_property
    def _folders(self) -> set[str]:
        """The names of the folders in which recordings lie."""
        return {posixpath.basename(posixpath.dirname(key)).casefold() for key in self.audio}

    @cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = defaultdict(list)
        for key, path in self.audio.items():
            found[_stem(key)].append(path)
        return found

    @cached_property
    def _by_last_part(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for key in self.audio:
            found[posixpath.basename(_stem(key)).casefold()].append(key)
        return found

    def unlabelled(self, used: Iterable[Path], why: str) -> list[tuple[str, str]]:
        """The recordings below the folder that no entry uses."""
        taken = {self.key(path) for path in used}
        return [(key, why) for key in self.audio if key not in taken]


def nfc(name: str) -> str:
    """Composed Unicode: a Mac writes é as two characters on the disk, and a table as one."""
    return unicodedata.normalize("NFC", name)


def level(key: str, n: int) -> str:
    """The n-th folder of a relative path, from 1; empty where the path has fewer."""
    folders = key.split("/")[:-1]
    return folders[n - 1] if 1 <= n <= len(folders) else ""


def _forms(name: str) -> tuple[str, ...]:
    """A name of a list as a path, and where it may be one of Windows' also as such."""
    name = name.strip().strip('"')
    if name.startswith("file://"):
        name = unquote(name[len("file://") :])
    if not name or "\0" in name:
        return ()
    return (name, name.replace("\\", "/")) if "\\" in name else (name,)


def _stem(key: str) -> str:
    stem, suffix = posixpath.splitext(key)
    return stem if suffix.lower() in EXTENSIONS or suffix.lower() in FOREIGN else key


def named(names: Iterable[str], n: int = 6) -> str:
    """A few names of many, for one line."""
    names = list(names)
    return ", ".join(names[:n]) + (f", … ({len(names):,} in all)" if len(names) > n else "")
