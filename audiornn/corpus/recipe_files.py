"""What `audiornn new` wrote: the three files of a recipe, and all that is to be said of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiornn.corpus.collection import LAYOUTS, Collection
from audiornn.corpus.layouts.survey import named
from audiornn.corpus.manifest import Utterance
from audiornn.corpus.recipe_settings import Setting
from audiornn.errors import CorpusError
from audiornn.files import write_atomically

__all__ = ["NewRecipe", "recipe_prepare", "recipe_readme", "write_files"]


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


def write_files(folder: Path, *, readme: str, prepare: str, settings: Sequence[Setting]) -> None:
    """Write a recipe's three files; recipe.toml last, which makes the folder a recipe.

    Raises:
        CorpusError: a name in them that is no UTF-8.
    """
    files = {"README.md": readme, "prepare.py": prepare, "recipe.toml": _toml(settings)}
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


def recipe_prepare(made: NewRecipe, others: str) -> str:
    """prepare.py: a call of the package with what recipe.toml may set.

    Args:
        made: the recipe.
        others: where what is not the label comes from: "contrast" makes it of the recordings, "other" reads a folder,
            and empty is for recipes that need none.
    """
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


def recipe_readme(made: NewRecipe, source: Path) -> str:
    """README.md: what was understood and guessed, and what the model will not be good at."""

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
