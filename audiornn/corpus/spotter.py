"""What a spotter is trained on: recordings of its word, and of all that is not it, from a folder of the user's.

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
import warnings
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from audiornn.audio import audio_info
from audiornn.corpus.altered_voices import in_other_voices
from audiornn.corpus.collection import Collection as Recordings
from audiornn.corpus.copies import find_copies
from audiornn.corpus.label_files import ENDINGS, holds_times, read_label_file
from audiornn.corpus.label_files.elan import media_of
from audiornn.corpus.layouts.folders import that_cannot_be_read
from audiornn.corpus.layouts.label_files_beside import stem_of
from audiornn.corpus.layouts.survey import Survey, level, named
from audiornn.corpus.manifest import SPLITS, Utterance, read_manifest
from audiornn.corpus.speakers import find_speakers
from audiornn.corpus.splitting import FEW_RECORDINGS, by_time, divide
from audiornn.corpus.stretches import LONGEST, STRETCH, equal_parts
from audiornn.corpus.synthetic_speech import near_misses, speak_talk, speak_words
from audiornn.corpus.word_bounds import with_word_bounds
from audiornn.errors import AudioError, CorpusError, CorpusWarning, nearest
from audiornn.text import plain_words
from audiornn.vocabulary import is_background

__all__ = [
    "FEWEST",
    "Splits",
    "SpotterFolder",
    "as_background",
    "label_files_of",
    "prepare_spotter",
    "read_folder",
    "split_folder",
]

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
#: Folders in which nobody speaks.
_NOISE = re.compile(r"_?(background[_\- ]?)?(noises?|ambien(t|ce)|silence|rauschen)([_\- ]?(only|files?))?_?", re.I)
_SPLIT_NAMES = re.compile(r"train(ing)?|dev|valid(ation)?|val|eval|test(ing)?", re.I)
_MUCH = 0.05  # hours of the user's own background in dev, beside which synthetic talk would only flatter
FEWEST = 10  # recordings of the word, one or two for each of dev and test among them

Splits = dict[str, list[Utterance]]


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


def split_folder(
    found: SpotterFolder,
    *,
    dev: float = 0.15,
    test: float = 0.1,
    seed: int = 1,
    copies: Mapping[str, str] | None = None,
    skip_bad: bool = False,
    jobs: int = 1,
) -> Splits:
    """Keywords, with the segment of the word still to be found, and background, by split.

    Neither a recording, a copy of one, nor a known speaker serves two splits; but fewer than eight recordings of
    background, of fewer than three known speakers, are divided by time.

    Args:
        found: of `read_folder`.
        dev: share for dev.
        test: share for test.
        seed: another seed draws others.
        copies: a common name by id of recordings that are copies of each other; None looks for them.
        skip_bad: leave out background that is a copy of a recording of the word.
        jobs: recordings read at a time for that.

    Raises:
        CorpusError: fewer than three recordings of a word; or background that is a copy of one.
    """
    for label, n in found.labels.items():
        if n < len(SPLITS):
            raise CorpusError(
                f"{found.folder}: {n} recordings of {label!r} are too few to train, choose a threshold and test; "
                f"record at least {FEWEST}, better 50, by as many people as you can"
            )
    background = [part for u in found.background for part in equal_parts(u, STRETCH, longest=LONGEST)]
    whole = Recordings(found.folder, "folders", "classify", (*found.keywords, *background))
    if copies is None:
        copies = find_copies(whole, jobs=jobs)
    background = _without_the_word(found.keywords, background, copies, skip_bad)
    splits: Splits = {name: [] for name in SPLITS}
    speakers = [{u.speaker for u in own} - {None} for own in (found.keywords, background)]
    groups = [[*found.keywords, *background]] if speakers[0] & speakers[1] else [found.keywords, background]
    for group in groups:
        if not group:
            continue
        is_few = len({u.audio for u in group}) < FEW_RECORDINGS and len(speakers[1]) < len(SPLITS)
        if group is background and is_few:
            recordings: dict[Path, list[Utterance]] = defaultdict(list)
            for utterance in group:
                recordings[utterance.audio].append(utterance)
            for name, own in by_time(recordings.values(), dev, test).items():
                splits[name] += own
            continue
        collection = replace(whole, utterances=tuple(group))
        drawn = divide(collection, dev=dev, test=test, seed=seed, together=copies).splits
        for name, own in drawn.items():
            splits[name] += own
    return splits


def _without_the_word(
    keywords: Sequence[Utterance], background: Sequence[Utterance], copies: Mapping[str, str], skip_bad: bool
) -> list[Utterance]:
    """The background without copies of the word's recordings.

    Raises:
        CorpusError: there are some, and nobody asked to leave them out.
    """
    of_words = {copies[u.id]: u for u in keywords if u.id in copies}
    same = [u for u in background if copies.get(u.id) in of_words]
    if same and not skip_bad:
        word = of_words[copies[same[0].id]]
        raise CorpusError(
            f"{same[0].audio}: is a copy of {word.audio}, which says the word, and lies among what is not the word "
            f"({len(same)} in all); delete one of the two, or leave such background out with --skip-bad"
        )
    if same:
        warnings.warn(
            f"{len(same)} recordings of what is not the word are copies of the word's and left out ({same[0].audio})",
            CorpusWarning,
            stacklevel=2,
        )
    return [u for u in background if copies.get(u.id) not in of_words]


def as_background(utterances: Sequence[Utterance]) -> list[Utterance]:
    """Utterances as examples of what is not meant, whatever is said in them."""
    return [replace(utterance, text="", segments=()) for utterance in utterances]


def prepare_spotter(
    corpus_dir: Path,
    *,
    word: str = "",
    speaker: str = "auto",
    more_background: str = "",
    synthetic: bool = True,
    synthetic_words: int = 200,
    talk_minutes: float = 120.0,
    other_voices: int = 0,
    skip_bad: bool = False,
    dev: float = 0.15,
    test: float = 0.1,
    seed: int = 1,
    made_dir: Path | None = None,
    jobs: int = 1,
) -> Splits:
    """The splits of a spotter: its word, where in each recording it is said, and all else.

    Args:
        corpus_dir: the folder, as of this module.
        word: the spelling.
        speaker: as of `read_folder`.
        more_background: another folder of recordings in which the word is not said.
        synthetic: whether synthetic voices say the word and words that are nearly it (in train), and talk.
        synthetic_words: recordings of the word by synthetic voices in train, where its spelling is known.
        talk_minutes: of synthetic talk in train; dev and test get a third of it each where they lack background.
        other_voices: recordings of each word in train that are altered into other voices, besides.
        skip_bad: leave out recordings of the word that hold nothing but silence, and copies of them elsewhere.
        dev: share for dev.
        test: share for test.
        seed: another seed draws others.
        made_dir: where altered and synthetic speech is written.
        jobs: processes.

    Warns:
        CorpusWarning: label files that are not read.

    Raises:
        CorpusError: as of `read_folder` and `split_folder`; or there is no background at all.
    """
    found = read_folder(corpus_dir, word=word, speaker=speaker)
    if more_background:
        other = corpus_dir / more_background
        survey = Survey(other) if other.is_dir() else None
        if survey is None or not survey.audio:
            raise CorpusError(f"{other}: holds no recordings; corpus.more_background names a folder of background")
        names = find_speakers(list(survey.audio), [], [None] * len(survey.audio), "auto").names
        known = {u.audio.resolve() for u in (*found.keywords, *found.background)}  # a folder may hold the other
        more = [
            Utterance(f"background/{key}", path, "", name)
            for (key, path), name in zip(survey.audio.items(), names, strict=True)
            if path.resolve() not in known
        ]
        label_files = (*found.label_files, *(f"{other / key}" for key in label_files_of(survey)))
        found = replace(found, background=(*found.background, *more), label_files=label_files)
    if found.unread:
        warnings.warn(found.unread, CorpusWarning, stacklevel=2)
    n_words = {label: _n_words(found.spellings.get(label, label)) for label in found.labels}
    bounded = with_word_bounds(found.keywords, jobs=jobs, skip_bad=skip_bad, n_words=n_words)
    placed = {u.id: u for u in bounded}
    # What cannot be listened to serves no split but that in which `prep` names it.
    usable = tuple(u for u in found.keywords if u.id in placed and _duration(u))
    splits = split_folder(replace(found, keywords=usable), dev=dev, test=test, seed=seed, skip_bad=skip_bad, jobs=jobs)
    for name, own in splits.items():
        splits[name] = [*(placed[u.id] for u in own if u.text), *(u for u in own if not u.text)]
    splits["train"] += [placed[u.id] for u in found.keywords if u.id in placed and not _duration(u)]
    if made_dir is None and (synthetic or other_voices):
        raise CorpusError("recordings are made by `audiornn prep`, which gives the folder for them")
    if made_dir is not None and other_voices:
        for label in found.labels:
            said = [u for u in splits["train"] if u.segments and u.segments[0].label == label and _duration(u)]
            splits["train"] += in_other_voices(said, other_voices, made_dir / "voices", seed=seed, jobs=jobs)
    if not synthetic:
        if not found.background:
            raise CorpusError(f"{corpus_dir}: holds no background, and corpus.synthetic = false makes none")
        return splits
    assert made_dir is not None, "asked for above"
    return with_synthetic_speech(
        splits, found.spellings, made_dir, n_words=synthetic_words, talk_minutes=talk_minutes, seed=seed, jobs=jobs
    )


def with_synthetic_speech(
    splits: Mapping[str, Sequence[Utterance]],
    spellings: Mapping[str, str],
    made_dir: Path,
    *,
    n_words: int,
    talk_minutes: float,
    seed: int = 1,
    jobs: int = 1,
) -> Splits:
    """The splits with what synthetic voices say: the word and near misses in train, talk where it is wanted."""
    joined = {name: list(own) for name, own in splits.items()}
    phrases = list(spellings.values())
    nearly = [near for phrase in phrases for near in near_misses(phrase, apart_from=phrases)]
    for label, phrase in spellings.items():
        spoken = speak_words([phrase], n_words, made_dir / "words", split="train", seed=seed, jobs=jobs, text=label)
        joined["train"] += with_word_bounds(spoken, jobs=jobs, n_words={label: _n_words(phrase)})
    for name in SPLITS:
        hours = sum(_duration(u) for u in joined[name] if not u.segments and not _is_noise(u)) / 3600
        if name != "train" and hours >= _MUCH:
            continue
        share = 1.0 if name == "train" else 1 / 3
        talk = speak_talk(share * talk_minutes, made_dir / "talk", split=name, without=phrases, seed=seed, jobs=jobs)
        joined[name] += talk
    # Nobody says near misses all day: where false alarms are counted by the hour there are none.
    joined["train"] += speak_words(nearly, n_words, made_dir / "near", split="train", seed=seed, jobs=jobs, text="")
    return joined


def _is_noise(utterance: Utterance) -> bool:
    return any(map(_NOISE.fullmatch, utterance.id.split("/")[:-1]))


def _n_words(phrase: str) -> int:
    return len(plain_words(phrase).split())


def _duration(utterance: Utterance) -> float:
    if utterance.duration is not None:
        return utterance.duration
    try:
        return audio_info(utterance.audio).duration
    except AudioError:
        return 0.0
