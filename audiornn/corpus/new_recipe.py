"""`audiornn new`: a recipe for a user's own recordings, that `prep` and `train` run as it is.

What was guessed stands in its recipe.toml, each with the reason, so that all of it is changed there or by `--set`.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from audiornn.audio import EXTENSIONS, AudioInfo, audio_info
from audiornn.corpus.collection import LAYOUTS, Collection, embedded_headers, read_collection
from audiornn.corpus.contrast import N_CONTRASTS, OTHER, cut_background, other_recordings
from audiornn.corpus.copies import MOST
from audiornn.corpus.layouts.survey import named
from audiornn.corpus.manifest import SPLITS, Utterance
from audiornn.corpus.recipe_settings import LEFT_OUT, Setting, heard_seconds, model_settings, unlearnable
from audiornn.corpus.splitting import Division, divide
from audiornn.corpus.spotter_recipe import NewSpotter, read_spotter, spotter_prepare, spotter_readme
from audiornn.corpus.stretches import LONGEST, STRETCH, cut_few, cut_long
from audiornn.errors import AudioError, CorpusError, SettingsError
from audiornn.files import write_atomically
from audiornn.vocabulary import is_background

__all__ = ["NewRecipe", "write_recipe"]

_HELD_OUT_FROM, _TOLD_FROM = 8, 60  # recordings of a label, and of all; fewer are all learnt from
_FEW = 10  # recordings of a label
_FEW_IN_ALL = 500  # recordings to learn words from
#: Settings that let training start from a network that has heard words.
_START = "recipes/spelled_words/words.toml"
_RATES = (100, 384_000)  # Hz
_HEADERS = 200  # recordings whose header is read
_SHARE = 0.1  # of dev and of test, as `divide` has them
_LONG = 2.0  # background this many times as long as the words is cut


@dataclass(frozen=True)
class NewRecipe:
    """What `new` wrote, and why.

    Attributes:
        folder: the recipe's.
        collection: what was read.
        splits: utterances by split, with those that the recipe makes of them.
        understood: lines that say what was read.
        guessed: lines that say what was guessed, each with how to change it.
        warnings: lines that say what the model will not be good at, and the remedy.
        by_recording: whether the splits are drawn by recording, so that `prep` looks for copies first.
        commands: what to run next.
    """

    folder: Path
    collection: Collection
    splits: Mapping[str, Sequence[Utterance]]
    understood: tuple[str, ...]
    guessed: tuple[str, ...]
    warnings: tuple[str, ...]
    by_recording: bool
    commands: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """What the command line prints, as plain types."""
        return {
            "recipe": str(self.folder),
            "source": str(self.collection.folder),
            "layout": self.collection.layout,
            "task": self.collection.task,
            "understood": list(self.understood),
            "guessed": list(self.guessed),
            "warnings": list(self.warnings),
            "left_out": [{"file": file, "why": why} for file, why in self.collection.left_out],
            "splits": self.counts(),
            "next": list(self.commands),
        }

    def counts(self) -> dict[str, dict[str, int]]:
        """Utterances, speakers and labels (or different transcripts, or tracks) by split."""

        def labels(utterances: Sequence[Utterance]) -> set[str]:
            if self.collection.task == "regress":
                return set(self.collection.tracks if utterances else ())
            texts = {u.text for u in utterances}
            if self.collection.several:
                texts = {label.strip() for text in texts for label in text.split(",")}
            return {s.label for u in utterances for s in u.segments} or texts - {""}

        return {
            name: {
                "utterances": len(utterances),
                "speakers": len({u.speaker for u in utterances} - {None}),
                "labels": len(labels(utterances)),
            }
            for name, utterances in self.splits.items()
        }


def write_recipe(
    name: str,
    source: Path,
    *,
    recipes: Path = Path("recipes"),
    layout: str = "auto",
    text: str = "",
    audio: str = "",
    speaker: str = "auto",
    task: str = "auto",
    encoding: str = "",
    skip_bad: bool = False,
    other: Path | None = None,
    word: str = "",
    sample_rate: int | None = None,
) -> NewRecipe:
    """Write `recipes/NAME` for a folder of recordings, or for a table of them.

    Args:
        name: letters, digits, - and _.
        source: as of `read_collection`, and the arguments up to `skip_bad`, too.
        recipes: the folder of recipes.
        layout: one of `LAYOUTS`, or "auto".
        text: the column of texts or labels; the tier; `folder:N`; or a regular expression with a group `text`.
        audio: the column of paths.
        speaker: auto, none, folder, folder:N, column:NAME, or a regular expression with a group `speaker`.
        task: classify, transcribe, label, regress, spot, or "auto".
        encoding: of tables and transcripts.
        skip_bad: leave out lines whose audio is missing.
        other: recordings in which none of the labels is said.
        word: of a spotter, the spelling of its word.
        sample_rate: Hz at which all is heard; None finds one.

    Raises:
        SettingsError: the name will not do, or is taken; arguments that contradict each other.
        CorpusError: as of `read_collection`.
    """
    folder = recipes / _checked_name(name, recipes)
    asked: dict[str, Any] = {"layout": layout, "text": text, "audio": audio, "speaker": speaker, "encoding": encoding}
    if task == "spot":
        if sample_rate is not None:
            raise SettingsError("--sample-rate is not for --task spot: words are heard at 16,000 Hz or less")
        for option, value in asked.items():
            if option != "speaker" and value not in ("", "auto"):
                named_so = "label" if option == "text" else option
                raise SettingsError(
                    f"--{named_so} is not for --task spot, which reads a folder a label; see new --help"
                )
        return _write_spotter(
            folder,
            source,
            read_spotter(source, name=folder.name, word=word, speaker=speaker, background=other, skip_bad=skip_bad),
        )
    if word:
        raise SettingsError("--word spells the word of a spotter: add --task spot")
    if sample_rate is not None and not _RATES[0] <= sample_rate <= _RATES[1]:
        low, high = _RATES
        raise SettingsError(f"--sample-rate {sample_rate}: recordings are heard at {low:,} to {high:,} Hz")
    collection = read_collection(source, task=task, skip_bad=skip_bad, yes_or_no=None, **asked)
    stretches = cut_few(collection)
    are_all_needed = _are_all_needed(collection)
    share = 0.0 if are_all_needed else _SHARE
    division = divide(stretches, dev=share, test=share)
    by_recording = division.by_recording and len(collection.utterances) <= MOST
    lines = ["prep looks for copies and keeps them in one split, so its counts may differ"] if by_recording else []
    is_lonely = collection.task == "classify" and len(collection.labels) == 1 and not collection.several
    if other is not None and collection.task != "classify":
        has = {"transcribe": "a transcript", "label": "stretches with labels", "regress": "values over time"}
        raise SettingsError(f"--other is for recordings with labels; here each has {has[collection.task]}")
    headers = _headers(stretches, source, text, audio)
    corpus = _corpus_settings(collection, source, asked, skip_bad)
    if are_all_needed:
        reason = (
            f"fewer than {_HELD_OUT_FROM} recordings a label are all for training: a few held out would tell nothing"
        )
        corpus += [Setting("corpus", "dev", 0.0, reason), Setting("corpus", "test", 0.0, "likewise")]
    splits, contrast_settings, warnings = _with_others(stretches, division, headers, other, is_lonely, source, share)
    task_settings, guessed = model_settings(collection, splits, headers, sample_rate=sample_rate)
    top = [
        Setting("", "task", collection.task),
        Setting("", "licence", "", "of the recordings; the model file carries it"),
        Setting("", "corpus_dir", str(collection.folder.resolve())),
    ]
    if division.shared_speakers:
        top.append(Setting("", "shared_speakers", True, "the splits share speakers; strangers may fare worse"))
    settings = [*top, *corpus, *contrast_settings, *task_settings]
    warnings += [
        *unlearnable(splits, settings),
        *_too_few(collection, splits),
        *_start(collection, splits, settings, folder),
    ]
    prep = f"audiornn prep {folder.as_posix()}"
    if any(LEFT_OUT in line for line in (*warnings, *guessed)):
        prep += " --skip-bad"
    made = NewRecipe(
        folder=folder,
        collection=collection,
        splits=splits,
        understood=(*collection.understood, *division.lines, *lines),
        guessed=(*collection.guessed, *_stretch_line(collection.task, contrast_settings), *guessed),
        warnings=tuple(warnings),
        by_recording=by_recording,
        commands=(prep, "audiornn train", "audiornn evaluate"),
    )
    _write(made, settings, source, "contrast" if is_lonely and not other else "other" if other else "")
    return made


def _write_spotter(folder: Path, source: Path, spotter: NewSpotter) -> NewRecipe:
    found = spotter.found
    commands = (f"audiornn prep {folder.as_posix()}", "audiornn train", "audiornn evaluate", "audiornn spot FILE")
    made = NewRecipe(
        folder=folder,
        collection=Collection(source, "folders", "spot", (*found.keywords, *found.background)),
        splits=spotter.splits,
        understood=spotter.understood,
        guessed=spotter.guessed,
        warnings=spotter.warnings,
        by_recording=True,
        commands=commands,
    )
    _write_files(
        folder, spotter_readme(folder.name, spotter, commands), spotter_prepare(found), _toml(spotter.settings)
    )
    return made


def _checked_name(name: str, recipes: Path) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_\-]*", name):
        meant = re.sub(r"[^A-Za-z0-9_\-]+", "_", Path(name).name).strip("_-") or "my_words"
        raise SettingsError(
            f"{name!r}: a recipe's name is of letters, digits, - and _ only, for instance {meant!r}; "
            "the folder of recipes is named with --recipes, that of the recordings with --from"
        )
    if (recipes / name).exists():
        raise SettingsError(f"{recipes / name}: is there already; choose another name, or delete it first")
    return name


def _headers(collection: Collection, source: Path, text: str, audio: str) -> list[tuple[Utterance, AudioInfo]]:
    """Headers of some utterances, spread over all, and rather of those that are not background."""
    if collection.embedded:
        return embedded_headers(collection, source, _HEADERS, text=text, audio=audio)
    all_of_them = collection.utterances
    found = []
    for i in range(min(_HEADERS, len(all_of_them))):
        utterance = all_of_them[i * len(all_of_them) // min(_HEADERS, len(all_of_them))]
        try:
            found.append((utterance, audio_info(utterance.audio)))
        except AudioError:
            continue  # prep names it
    return found


def _corpus_settings(collection: Collection, source: Path, asked: Mapping[str, Any], skip_bad: bool) -> list[Setting]:
    """The arguments of `prepare` that write down what was guessed or asked for."""
    found: dict[str, tuple[Any, str]] = {"layout": (collection.layout, "guessed; README.md names the others")}
    if not source.is_dir():
        found["list_file"] = (source.name, "of all below corpus_dir only what it lists")
    for key, value in asked.items():
        if value not in ("", "auto"):
            found[key] = (value, "as asked for")
    reasons = {
        "text": "where the label stands",
        "speaker": "none, folder:N, column:NAME or a regular expression",
        "track_hop": "seconds from row to row of .npy files",
        "yes_or_no": "an empty text says that the one label does not hold",
    }
    for key, value in collection.settings.items():
        found.setdefault(key, (value, f"guessed: {reasons[key]}"))
    if skip_bad:
        found["skip_bad"] = (True, "some lines name recordings that are not there, or some lists cannot be read")
    return [Setting("corpus", key, value, reason) for key, (value, reason) in found.items()]


def _with_others(
    collection: Collection,
    division: Division,
    headers: Sequence[tuple[Utterance, AudioInfo]],
    other: Path | None,
    is_lonely: bool,
    source: Path,
    share: float,
) -> tuple[dict[str, list[Utterance]], list[Setting], list[str]]:
    """The splits with what the labels are told from; the settings for it, and what to say of it."""
    splits = {name: list(utterances) for name, utterances in division.splits.items()}
    if collection.task in ("label", "regress"):
        if all(heard_seconds(u, header) <= LONGEST for u, header in headers):
            return splits, [], []
        reason = "seconds: longer recordings are cut for training and dev, tested whole; 0 leaves them whole"
        return cut_long(splits, STRETCH), [Setting("corpus", "stretch", STRETCH, reason)], []
    if collection.task != "classify":
        return splits, [], []
    words = [heard_seconds(u, header) for u, header in headers if is_lonely or not is_background(u.text)]
    seconds = round(median(words), 2) if words else 1.0
    if other is not None:
        splits = other_recordings(splits, other, seconds, dev=share, test=share)
        where = Setting("corpus", "other", str(other.resolve()), f"recordings that become {OTHER}")
        return splits, [where, Setting("corpus", "stretch", seconds, "seconds, as long as a labelled recording")], []
    if is_lonely:
        label = next(iter(collection.labels))
        made = {
            name: own + [replace(u, text=OTHER) for u in own for _ in range(N_CONTRASTS)]
            for name, own in splits.items()
        }
        return made, [], [_lonely_line(collection, label, source)]
    long = [heard_seconds(u, header) for u, header in headers if is_background(u.text)]
    if not any(length >= _LONG * seconds for length in long):
        return splits, [], []
    reason = "seconds: longer recordings of what is not meant are cut so, or their length would tell them"
    share = 0.0 if collection.splits else share
    return cut_background(splits, seconds, dev=share, test=share), [Setting("corpus", "stretch", seconds, reason)], []


def _stretch_line(task: str, settings: Sequence[Setting]) -> list[str]:
    seconds = next((setting.value for setting in settings if setting.key == "stretch"), None)
    if seconds is None:
        return []
    if task != "classify":
        return [f"recordings are trained on in stretches of {seconds} s; corpus.stretch changes it"]
    return [
        f"longer recordings of what is not meant are cut into stretches of {seconds} s, as long as the words are; "
        "corpus.stretch changes it, 0 leaves them whole"
    ]


def _are_all_needed(collection: Collection) -> bool:
    """Whether recordings are too few to hold any out: of five of a word three would be left, and one be the test."""
    if collection.task != "classify" or collection.splits:
        return False
    labels = collection.labels
    counts = [n for label, n in labels.items() if not is_background(label)] or list(labels.values())
    return max(counts, default=0) < _HELD_OUT_FROM and sum(counts) < _TOLD_FROM


def _too_few(collection: Collection, splits: Mapping[str, Sequence[Utterance]]) -> list[str]:
    """What small numbers will not do."""
    lines = []
    labels = collection.labels.most_common() if collection.task == "classify" else []
    if few := [label for label, n in labels if n < _FEW and not is_background(label)]:
        lines.append(
            f"fewer than {_FEW} recordings of {named(map(repr, few))}: expect strangers to be mistaken; 50 by ten "
            "people are a good start, and `train --from` one that knows other words does with fewer"
        )
    if empty := [name for name in SPLITS[1:] if not splits[name]]:
        lines.append(
            f"{' and '.join(empty)} hold{'s' * (len(empty) == 1)} nothing, so how well it hears cannot be told: record "
            "more, or others for `evaluate --manifest`"
        )
    return lines


def _start(
    collection: Collection, splits: Mapping[str, Sequence[Utterance]], settings: Sequence[Setting], folder: Path
) -> list[str]:
    """Of a classifier of few recordings, at the rate of the network that we bring: that it may start from it."""
    has_own_rate = any((setting.section, setting.key) == ("features", "sample_rate") for setting in settings)
    if collection.task != "classify" or has_own_rate or not 0 < len(splits["train"]) < _FEW_IN_ALL:
        return []
    return [
        f"if these are words that people say, `audiornn prep {folder.as_posix()} --set {_START}` lets training start "
        "from what 593 people say: of words that none of them said 96 % are right with 50 recordings each, and 88 % "
        "without it (docs/transfer.md); for all other sounds it is worse"
    ]


def _lonely_line(collection: Collection, label: str, source: Path) -> str:
    parent = source.resolve().parent
    beside = sorted(p.name for p in parent.iterdir() if p.is_dir() and p != source.resolve() and _holds_audio(p))
    hint = f", or give the parent folder, which holds {named(beside, 3)}, too: --from {parent}" if beside else ""
    return (
        f"one label only, {label!r}: as {OTHER}, prep makes recordings of yours played backwards, in shuffled pieces "
        f"and as noise; the model will take much other speech for {label!r}. Better is other speech by other people: "
        f"--other DIR{hint}"
    )


def _holds_audio(folder: Path) -> bool:
    """A look at the first files only: the parent may be a whole disk."""
    files = itertools.islice(itertools.chain(folder.glob("*"), folder.glob("*/*")), 500)
    return not folder.name.startswith(".") and any(file.suffix.lower() in EXTENSIONS for file in files)


def _write(made: NewRecipe, settings: Sequence[Setting], source: Path, others: str) -> None:
    _write_files(made.folder, _readme(made, source), _prepare(made, others), _toml(settings))


def _write_files(folder: Path, readme: str, prepare: str, toml: str) -> None:
    """The three files; recipe.toml last, which makes the folder a recipe."""
    files = {"README.md": readme, "prepare.py": prepare, "recipe.toml": toml}
    try:
        encoded = {name: content.encode() for name, content in files.items()}
    except UnicodeEncodeError as error:
        near = ascii(str(error.object)[max(0, error.start - 10) : error.end])
        raise CorpusError(
            f"a name in the source is not UTF-8, and a recipe cannot say it ({near}); rename it"
        ) from None
    for name, content in encoded.items():
        with write_atomically(folder / name) as out:
            out.write(content)


def _toml(settings: Sequence[Setting]) -> str:
    lines: list[str] = []
    for section in dict.fromkeys(setting.section for setting in settings):
        lines += ["", f"[{section}]"] if section else []
        for setting in settings:
            if setting.section == section:
                reason = f"  # {' '.join(setting.reason.split())}" if setting.reason else ""
                lines.append(f"{setting.key} = {_toml_value(setting.value)}{reason}")
    return "\n".join(lines) + "\n"


def _toml_value(value: object) -> str:
    if isinstance(value, str) and "\\" in value and "'" not in value and value.isprintable():
        return f"'{value}'"  # a regular expression reads better as it is
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


#: Keyword arguments of a written `prepare`: type and default, and what they are.
_ARGUMENTS = {
    "list_file": ('str = ""', "the one list below `corpus_dir` that is read; empty: the folder."),
    "layout": (
        'str = "auto"',
        "how the recordings lie there: auto, or a name of `audiornn.corpus.collection.LAYOUTS`.",
    ),
    "text": ('str = ""', "the column of texts or labels, folder:N, or a regular expression with a group `text`."),
    "audio": ('str = ""', "the column of paths."),
    "speaker": ('str = "auto"', "auto, none, folder:N, column:NAME, or a regular expression with a group `speaker`."),
    "encoding": ('str = ""', "of tables and transcripts, where they are not UTF-8."),
    "skip_bad": ("bool = False", "leave out lines whose recording is missing, and lists that cannot be read."),
    "track_hop": ("float = 0.0", "seconds from row to row of .npy files; 0 finds out."),
    "yes_or_no": ("bool = False", "whether an empty text says that the one label does not hold; else it is left out."),
    "other": ("str", "a folder of recordings in which no label is said."),
    "stretch": (
        "float = 0.0",
        "seconds to which recordings are cut that are longer than is good; 0 leaves them whole.",
    ),
    "dev": ("float = 0.1", "share for dev, where the source has none."),
    "test": ("float = 0.1", "share for test, likewise."),
    "seed": ("int = 1", "another seed draws other splits."),
    "made_dir": ("Path | None = None", "where the recordings that are made are written."),
    "jobs": ("int = 1", "recordings read or made at a time."),
}
_ALWAYS = ("list_file", "layout", "text", "audio", "speaker", "encoding", "skip_bad", "dev", "test", "seed")


def _prepare(made: NewRecipe, others: str) -> str:
    """prepare.py: a call of the package with what recipe.toml may set."""
    is_embedded, is_classified = made.collection.embedded, made.collection.task == "classify"
    names = set(_ALWAYS)
    if made.collection.task == "regress":
        names = names - {"text", "audio", "encoding"} | {"track_hop"}
    if "yes_or_no" in made.collection.settings:
        names.add("yes_or_no")
    steps = ["splits = split(collection, dev=dev, test=test, seed=seed)"]
    imports = ["from audiornn.corpus.manifest import Utterance", "from audiornn.corpus.splitting import split"]
    reader = "read_collection"
    if made.by_recording:
        imports.append("from audiornn.corpus.copies import find_copies")
        steps = [
            "copies = find_copies(collection, jobs=jobs)  # they stay in one split",
            "splits = split(collection, dev=dev, test=test, seed=seed, together=copies)",
        ]
        names.add("jobs")
    if is_embedded:
        reader += ", written_out"
        names.add("made_dir")
        steps.insert(
            0, "collection = written_out(collection, corpus_dir / list_file, made_dir, text=text, audio=audio)"
        )
    if others == "contrast":
        imports.append("from audiornn.corpus.contrast import contrast")
        steps.append("return contrast(splits, made_dir, jobs=jobs)")
        names |= {"made_dir", "jobs"}
    elif others == "other":
        imports.append("from audiornn.corpus.contrast import other_recordings")
        steps.append("return other_recordings(splits, Path(other), stretch, dev=dev, test=test, seed=seed)")
        names |= {"other", "stretch"}
    elif made.collection.task in ("label", "regress"):
        imports.append("from audiornn.corpus.stretches import cut_few, cut_long")
        steps = ["collection = cut_few(collection)", *steps, "return cut_long(splits, stretch)"]
        names.add("stretch")
    elif is_classified:
        imports.append("from audiornn.corpus.contrast import cut_background")
        shares = "" if made.collection.splits else ", dev=dev, test=test"
        steps.append(f"return cut_background(splits, stretch{shares})")
        names.add("stretch")
    else:
        steps[-1] = steps[-1].replace("splits =", "return")
    imports.append(f"from audiornn.corpus.collection import {reader}")
    arguments = [name for name in _ARGUMENTS if name in names]
    read = ["list_file", "dev", "test", "seed", "other", "stretch", "made_dir", "jobs"]
    lines = [
        f'"""{_title(made)}: written by `audiornn new`, and yours to change."""',
        "",
        "from pathlib import Path",
        "",
        *sorted(imports),
        "",
        "",
        "def prepare(",
        "    corpus_dir: Path,",
        "    *,",
        *(f"    {name}: {_ARGUMENTS[name][0]}," for name in arguments),
        ") -> dict[str, list[Utterance]]:",
        '    """Read the recordings and split them.',
        "",
        "    Args:",
        "        corpus_dir: where they lie.",
        *(f"        {name}: {_ARGUMENTS[name][1]}" for name in arguments),
        '    """',
        "    collection = read_collection(",
        "        corpus_dir / list_file,",
        f'        task="{made.collection.task}",',
        *(f"        {name}={name}," for name in arguments if name not in read),
        "    )",
        *(f"    {step}" for step in steps),
    ]
    return "\n".join(lines) + "\n"


def _title(made: NewRecipe) -> str:
    collection = made.collection
    if collection.task == "regress":
        return f"{len(collection.utterances):,} recordings with values over time"
    if collection.task == "label":
        return f"{len(collection.utterances):,} recordings with segments of {len(collection.labels):,} labels"
    if collection.task == "classify":
        n = len(collection.labels)
        return f"{len(collection.utterances):,} recordings of {f'{n:,} labels' if n > 1 else 'one label'}"
    return f"{len(collection.utterances):,} recordings and their transcripts"


def _readme(made: NewRecipe, source: Path) -> str:
    def listed(lines: Iterable[str]) -> list[str]:
        return [f"- {line}" for line in lines]

    collection = made.collection
    options = "`layout`, `text` (--label), `audio`, `speaker`, `encoding`"
    if collection.task == "regress":
        options = "`layout`, `speaker`, `track_hop`"
    left_out = Counter(why.partition(":")[0] for _, why in collection.left_out)
    parts = [
        f"# {made.folder.name}",
        "",
        f"{_title(made)}, from `{source.resolve()}`.",
        "",
        *(f"    {command}" for command in made.commands),
        "",
        "## Understood",
        "",
        *listed([f"layout `{collection.layout}`", *made.understood]),
        "",
        "## Guessed",
        "",
        f"The options are those of `audiornn new`. In `[corpus]` of recipe.toml they are {options};",
        "`--set corpus.speaker=none` changes one for a single `prep`. The layouts are",
        f"{', '.join(LAYOUTS)}; `auto` finds out.",
        "",
        *listed(made.guessed),
    ]
    if made.warnings:
        parts += ["", "## Know", "", *listed(made.warnings)]
    if left_out:
        parts += ["", "## Left out", ""]
        for why, n in left_out.most_common():
            files = [file for file, reason in collection.left_out if reason.partition(":")[0] == why]
            parts.append(f"- {n:,} × {why}: {named(files)}")
    return "\n".join(parts) + "\n"
