"""A recipe: `prepare.py`, which knows the corpus, and `recipe.toml`, which holds only what differs from the defaults.

    recipes/digits/
      prepare.py     prepare(corpus_dir, **corpus) -> {"train": [Utterance, …], "dev": […], "test": […]}
      recipe.toml    task, licence, [corpus], [features], [vocabulary], [model], [augment], [spotting],
                     [training]

The keys of `[corpus]` are the keyword arguments of `prepare`. A `prepare.py` may also define
`obtain(corpus_dir, *, jobs, **corpus)`, which makes the corpus in `corpus_dir` where the user has none, or
fetches it and returns its folder; it gets those keys of `[corpus]` that it names, and may name some of its own.
A `prepare` that must write recordings of its own (strings pasted from a corpus' words) names `made_dir`, a folder of
the recipe's under `data/` that is its to fill, and `jobs`, the processes it may use; the corpus is never written to.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from audiornn.errors import AudiornnError, CorpusError, SettingsError, check_choices, nearest
from audiornn.features import FeatureSettings
from audiornn.settings import AugmentSettings, NetworkSettings, SpottingSettings, TrainingSettings
from audiornn.vocabulary import VocabularySettings

__all__ = [
    "OutputKind",
    "Recipe",
    "Task",
    "expand_overrides",
    "find_packaged",
    "find_recipe",
    "load_recipe",
    "packaged_recipes",
    "recipe_fingerprint",
]

#: transcribe: symbols in their order, by CTC. classify: labels of a recording. label: labels of each frame.
#: regress: values of each frame. spot: like label, of keywords that training places in background; the model it gives
#: labels frames and has thresholds. Labels are one at a time, or several where `vocabulary.several` says so.
Task = Literal["transcribe", "classify", "label", "regress", "spot"]

#: What a network's outputs are: probabilities that share one, a probability each, or values.
OutputKind = Literal["softmax", "sigmoid", "linear"]

_SECTIONS: dict[str, type[Any]] = {
    "features": FeatureSettings,
    "vocabulary": VocabularySettings,
    "model": NetworkSettings,
    "augment": AugmentSettings,
    "spotting": SpottingSettings,
    "training": TrainingSettings,
}

#: Settings that serve some tasks alone: elsewhere they would silently do nothing, and are refused.
_SETTINGS_OF_TASKS: dict[tuple[str, str], tuple[Task, ...]] = {
    ("training", "label_smoothing"): ("classify",),
    ("training", "balanced"): ("classify", "label"),
    ("training", "consistency"): ("transcribe", "classify", "label", "spot"),
    ("augment", "mixup"): ("classify",),
    ("augment", "trim"): ("classify", "label", "regress"),
    ("model", "pooling"): ("classify",),
    ("model", "bins"): ("regress",),
    **{("spotting", entry.name): ("spot",) for entry in dataclasses.fields(SpottingSettings)},
}

#: Settings that serve some choice of the same section alone. They may stand there for another day, and are told.
_SETTINGS_OF_CHOICES: dict[tuple[str, str], tuple[str, str]] = {
    ("features", "n_mfcc"): ("kind", "mfcc"),
    **{("features", key): ("kind", "autocorrelation") for key in ("n_lags", "lowest_pitch", "highest_pitch")},
    ("model", "activation"): ("cell", "rnn"),
    ("model", "front_layers"): ("front", "conv2d"),
    ("model", "front_channels"): ("front", "conv2d"),
    ("model", "pooling_heads"): ("pooling", "multihead"),
}

#: What a recipe's functions are given by the command, never by `[corpus]`.
_NOT_SETTINGS = ("jobs", "made_dir")


@dataclass(frozen=True)
class Recipe:
    """All settings of a corpus and what is learnt from it.

    Attributes:
        name: the recipe folder's name.
        task: what the network gives.
        licence: of the recordings; the model file carries it.
        shared_speakers: whether a speaker may stand in two splits, as some official splits have it.
        corpus_dir: where the recordings lie if `--corpus` does not say; relative to the recipe's folder.
        corpus: keyword arguments of `prepare` and `obtain`.
        folder: where it was read; None for a recipe rebuilt from a run.
    """

    name: str
    task: Task = "transcribe"
    licence: str = ""
    shared_speakers: bool = False
    corpus_dir: str = ""
    corpus: Mapping[str, Any] = field(default_factory=dict)
    features: FeatureSettings = field(default_factory=FeatureSettings)
    vocabulary: VocabularySettings = field(default_factory=VocabularySettings)
    model: NetworkSettings = field(default_factory=NetworkSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    spotting: SpottingSettings = field(default_factory=SpottingSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    folder: Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        check_choices("", self)
        if self.vocabulary.several and self.task not in ("classify", "label"):
            raise SettingsError(
                f"vocabulary.several = true is for labels, task = 'classify' or 'label', not {self.task!r}"
            )
        if self.training.middle_ctc and (self.task != "transcribe" or self.model.n_layers < 2):
            raise SettingsError(
                f"training.middle_ctc = {self.training.middle_ctc} needs task = 'transcribe' and two layers, "
                f"not {self.task!r} and model.n_layers = {self.model.n_layers}"
            )
        if self.training.balanced and self.task == "label" and self.vocabulary.several:
            raise SettingsError(
                "training.balanced = true is for labels one at a time, not vocabulary.several = true; leave it out; "
                "`audiornn evaluate --tune` chooses a threshold for each label"
            )
        for (section, key), tasks in _SETTINGS_OF_TASKS.items():
            value = getattr(getattr(self, section), key)
            if self.task not in tasks and value != getattr(_SECTIONS[section](), key):
                wanted = " or ".join(map(repr, tasks))
                raise SettingsError(
                    f"{section}.{key} = {value!r} would do nothing with task = {self.task!r}; it needs {wanted}"
                )

    @property
    def output_kind(self) -> OutputKind:
        """What the network's outputs are."""
        if self.task == "regress":
            return "linear"
        return "sigmoid" if self.vocabulary.several else "softmax"

    @property
    def idle_settings(self) -> tuple[str, ...]:
        """Settings that are not the default and do nothing with what else is chosen, a line each."""
        lines = []
        for (section, key), (choice, wanted) in _SETTINGS_OF_CHOICES.items():
            own = getattr(self, section)
            value, chosen = getattr(own, key), getattr(own, choice)
            if chosen != wanted and value != getattr(_SECTIONS[section](), key):
                lines.append(
                    f"{section}.{key} = {value!r} does nothing with {section}.{choice} = {chosen!r}; "
                    f"it is of {wanted!r}"
                )
        return tuple(lines)

    @property
    def labels_frames(self) -> bool:
        """Whether what is learnt of a recording stands in its segments, not in its text."""
        return self.task in ("label", "spot")

    def to_json(self) -> dict[str, Any]:
        """Plain types, for `prepared.json` and a run's `recipe.json`."""
        settings = dataclasses.asdict(dataclasses.replace(self, folder=None))
        del settings["folder"]
        return settings

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Recipe:
        """The inverse of `to_json`.

        Raises:
            SettingsError: a key that this version does not know.
        """
        top = dict(entry)
        return _build(top.pop("name"), top, where="recipe.json", folder=None)

    def prepare(
        self, corpus_dir: Path, *, made_dir: Path | None = None, jobs: int = 1, skip_bad: bool = False
    ) -> dict[str, list[Any]]:
        """Run the recipe's `prepare` on a corpus: lists of `Utterance` by split.

        Args:
            corpus_dir: the corpus.
            made_dir: for recordings that `prepare` makes itself, if it names this argument.
            jobs: processes it may use, if it names this argument.
            skip_bad: whether it leaves out what it would otherwise raise for, where it can (lines whose recording is
                missing; a wake word's that are silent); likewise.

        Raises:
            CorpusError: whatever `prepare` raises, with the line it came from.
        """
        function = self._function("prepare")
        offered = {"made_dir": made_dir, "jobs": jobs} | ({"skip_bad": True} if skip_bad else {})
        named = {key: value for key, value in offered.items() if key in inspect.signature(function).parameters}

        def made() -> Any:
            splits = function(corpus_dir, **(self._arguments("prepare") | named))
            if not isinstance(splits, dict):
                return splits
            return {name: None if own is None else list(own) for name, own in splits.items()}  # some are generators

        return _call(made, self._prepare_file)

    @property
    def makes_corpus(self) -> bool:
        """Whether the recipe can make or fetch its corpus itself."""
        return self._function("obtain", optional=True) is not None

    def obtain(self, corpus_dir: Path, *, jobs: int) -> Path:
        """Make or fetch the corpus; quick where all is there.

        Args:
            corpus_dir: a folder of the recipe's own, for what it makes itself; what it fetches lies in the cache.
            jobs: processes it may use.

        Returns:
            The folder that `prepare` takes.
        """
        made = _call(self._function("obtain"), self._prepare_file, corpus_dir, jobs=jobs, **self._arguments("obtain"))
        return corpus_dir if made is None else Path(made)

    def _arguments(self, function: str) -> dict[str, Any]:
        """The keys of `[corpus]` that a function of `prepare.py` takes."""
        names = inspect.signature(self._function(function)).parameters
        return {key: value for key, value in self.corpus.items() if key in names}

    @property
    def _prepare_file(self) -> Path:
        if self.folder is None:
            raise SettingsError(f"recipe {self.name}: its folder is not known; name it")
        return self.folder / "prepare.py"

    def _function(self, name: str, *, optional: bool = False) -> Any:
        function = getattr(_load_module(self._prepare_file), name, None)
        if function is None and not optional:
            raise SettingsError(f"{self._prepare_file}: defines no function {name}(corpus_dir)")
        return function


def packaged_recipes() -> Path:
    """The recipes that come with audiornn: inside an installed wheel, or beside the package in its repository."""
    inside = Path(__file__).parent / "recipes"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "recipes"


def find_recipe(name: str) -> tuple[Path, bool]:
    """The folder of a recipe given as a path, or by a packaged recipe's name; and whether it is the packaged one.

    Raises:
        SettingsError: there is neither.
    """
    folder = Path(name)
    if folder.is_dir():
        return folder, False
    known = sorted(path.parent.name for path in packaged_recipes().glob("*/recipe.toml"))
    if folder.name in known and not folder.is_absolute() and len(folder.parts) <= 2:
        return packaged_recipes() / folder.name, True
    raise SettingsError(
        f"{name}: no such recipe folder{nearest(folder.name, known)}; audiornn brings {', '.join(known) or 'none'}"
    )


def load_recipe(folder: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe folder, `key=value` overrides last.

    Args:
        folder: holds `prepare.py` and `recipe.toml`.
        overrides: such as `"training.epochs=5"`; the value is TOML, or a bare word. Or the name of a TOML file with
            more of them, laid out as `recipe.toml` is; one of a packaged recipe's is found anywhere.

    Raises:
        SettingsError: a file is missing or malformed, or a key is unknown, mistyped or out of range.
    """
    toml_file = folder / "recipe.toml"
    for file in (folder / "prepare.py", toml_file):
        if not file.is_file():
            raise SettingsError(f"{file}: missing; a recipe is a folder with prepare.py and recipe.toml")
    entry = _read_toml(toml_file)
    accepted = _corpus_arguments(_load_module(folder / "prepare.py"), folder / "prepare.py")
    _check_corpus(entry.get("corpus", {}), accepted, str(toml_file))
    for override in expand_overrides(overrides):
        _override(entry, override, accepted)
    return _build(folder.resolve().name, entry, where=str(toml_file), folder=folder)


def expand_overrides(overrides: Sequence[str]) -> list[str]:
    """Overrides as `key=value`; in the place of a TOML file, all that it sets.

    Raises:
        SettingsError: the file is missing or malformed.
    """
    expanded = []
    for override in overrides:
        if "=" in override or not override.endswith(".toml"):
            expanded.append(override)
            continue
        for section, values in _read_toml(_find_settings(Path(override))).items():
            pairs = values.items() if isinstance(values, dict) else [("", values)]
            expanded += [f"{section}.{key}".rstrip(".") + f"={_toml_value(value)}" for key, value in pairs]
    return expanded


def find_packaged(path: Path) -> Path:
    """The path, or where nothing is there the packaged recipe's file that is named so, `recipes/NAME/FILE`."""
    packaged = packaged_recipes() / path.parent.name / path.name
    is_named_so = path in (Path(*packaged.parts[-2:]), Path("recipes", *packaged.parts[-2:]))
    return packaged if not path.exists() and is_named_so and packaged.is_file() else path


def _find_settings(path: Path) -> Path:
    """A file of settings, as it is named or, as recipes are, among the packaged recipes."""
    found = find_packaged(path)
    if not found.is_file():
        raise SettingsError(f"--set {path}: no such file; a setting is key=value, such as training.epochs=5")
    return found


def _toml_value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool | list) else repr(value)


def _build(name: str, entry: dict[str, Any], *, where: str, folder: Path | None) -> Recipe:
    own = {f.name: f.type for f in dataclasses.fields(Recipe)}
    values: dict[str, Any] = {"corpus": dict(entry.pop("corpus", {}))}
    for section, kind in _SECTIONS.items():
        given = entry.pop(section, {})
        if not isinstance(given, dict):
            raise SettingsError(f"{where}: [{section}] is a table, not {given!r}")
        values[section] = _section(kind, given, section, where)
    hints = typing.get_type_hints(Recipe)
    for key, value in entry.items():
        if key not in own or key in ("name", "folder"):
            raise SettingsError(f"{where}: unknown key {key!r}{nearest(key, [*own, *_SECTIONS])}")
        values[key] = _checked(value, hints[key], key, where)
    try:
        return Recipe(name=name, folder=folder, **values)
    except SettingsError as error:
        raise SettingsError(f"{where}: {error}") from None


def _section(kind: type[Any], given: Mapping[str, Any], section: str, where: str) -> Any:
    hints = typing.get_type_hints(kind)
    for key in given:
        if key not in hints:
            raise SettingsError(f"{where}: unknown key '{section}.{key}'{nearest(key, hints)}")
    try:
        return kind(**{key: _checked(value, hints[key], f"{section}.{key}", where) for key, value in given.items()})
    except SettingsError as error:
        raise error if str(error).startswith(where) else SettingsError(f"{where}: {error}") from None


def _checked(value: Any, hint: Any, key: str, where: str) -> Any:
    """`value` as the type of its field; whole numbers serve as floats, nothing else is converted."""
    choices = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        return value  # which its dataclass checks
    if typing.get_origin(hint) is types.UnionType:
        if value is None and type(None) in choices:
            return None
        hint = next(choice for choice in choices if choice is not type(None))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise SettingsError(f"{where}: {key} = {value!r} must be of type {hint.__name__}, not {type(value).__name__}")
    return value


def _override(entry: dict[str, Any], override: str, corpus_arguments: Mapping[str, Any]) -> None:
    key, equals, text = override.partition("=")
    section, dot, name = key.strip().partition(".")
    if not equals or not section or (dot and not name):
        raise SettingsError(f"--set {override}: expected key=value, such as training.epochs=5")
    value = _parse_value(text.strip())
    if dot and not isinstance(entry.get(section, {}), dict):
        raise SettingsError(f"--set {override}: [{section}] of recipe.toml is a table, not {entry[section]!r}")
    if section == "corpus":
        if isinstance(corpus_arguments.get(name), str) and not (isinstance(value, str) and text.strip()[:1] in "\"'"):
            value = text.strip()  # a word, whatever else it looks like
        _check_corpus({name: value}, corpus_arguments, "--set")
    elif dot:
        if section not in _SECTIONS:
            raise SettingsError(
                f"--set {override}: unknown section {section!r}{nearest(section, [*_SECTIONS, 'corpus'])}"
            )
        _section_key(section, name, override)
    if dot:
        entry.setdefault(section, {})[name] = value
    else:
        entry[section] = value


def _section_key(section: str, name: str, override: str) -> None:
    known = typing.get_type_hints(_SECTIONS[section])
    if name not in known:
        raise SettingsError(f"--set {override}: unknown key '{section}.{name}'{nearest(name, known)}")


def _parse_value(text: str) -> Any:
    tomllib = _tomllib()
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return value if isinstance(value, (str, bool, int, float, list)) else text  # a date is a word


def _corpus_arguments(module: types.ModuleType, file: Path) -> dict[str, Any]:
    """The keyword arguments of `prepare` and of `obtain` with their defaults."""
    if not callable(getattr(module, "prepare", None)):
        raise SettingsError(f"{file}: defines no function prepare(corpus_dir)")
    functions = filter(callable, (getattr(module, name, None) for name in ("obtain", "prepare")))
    arguments = [a for function in functions for a in list(inspect.signature(function).parameters.values())[1:]]
    return {argument.name: argument.default for argument in arguments if argument.name not in _NOT_SETTINGS}


def _check_corpus(given: Any, accepted: Mapping[str, Any], where: str) -> None:
    if not isinstance(given, dict):
        raise SettingsError(f"{where}: [corpus] is a table, not {given!r}")
    for key, value in given.items():
        if key not in accepted:
            raise SettingsError(
                f"{where}: unknown key 'corpus.{key}'{nearest(key, accepted)} "
                f"(prepare takes {', '.join(accepted) or 'none'})"
            )
        default = accepted[key]
        if default is not inspect.Parameter.empty and default is not None:
            _checked(value, type(default), f"corpus.{key}", where)


def _read_toml(file: Path) -> dict[str, Any]:
    tomllib = _tomllib()
    try:
        entry: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: not valid TOML ({error})") from None
    return entry


def _tomllib() -> Any:
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib
    return tomllib


def _load_module(file: Path) -> types.ModuleType:
    if not file.is_file():
        raise SettingsError(f"{file}: missing; a recipe is a folder with prepare.py and recipe.toml")
    # Compiled here and not by importlib, which leaves a __pycache__ and may take a stale one.
    folder, source = file.resolve().parent, file.read_bytes()
    name = f"audiornn_recipe_{folder.name}"
    # What it may have read as it was loaded is in its folder.
    state = (
        str(folder),
        sorted((p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in folder.iterdir() if p.is_file()),
    )
    loaded = sys.modules.get(name)
    if loaded is not None and loaded.__dict__.get("__loaded_from__") == state:
        return loaded  # its functions and classes stay what they are, as pickle wants
    module = types.ModuleType(name)
    module.__dict__.update(__file__=str(file), __loaded_from__=state)
    sys.modules[name] = module  # dataclasses and pickle look there
    try:
        code = _call(compile, file, source, str(file), "exec", dont_inherit=True)
        _call(exec, file, code, module.__dict__)
    except AudiornnError:
        del sys.modules[name]
        raise
    return module


def _call(function: Callable[..., Any], file: Path, /, *arguments: Any, **keywords: Any) -> Any:
    """Call into a recipe's code; what it raises becomes one line that names its place."""
    try:
        return function(*arguments, **keywords)
    except AudiornnError:
        raise
    except Exception as error:
        trace, line = error.__traceback__, None
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == str(file):
                line = trace.tb_lineno
            trace = trace.tb_next
        if isinstance(error, SyntaxError):
            line = error.lineno
        place = f"{file}, line {line}" if line else str(file)
        raise CorpusError(f"{place}: {type(error).__name__}: {' '.join(str(error).split())}") from error


def recipe_fingerprint(recipe: Recipe) -> str:
    """The part of a recipe that decides what `prep` makes, as one string."""
    parts = recipe.to_json()
    for section in ("augment", "spotting", "training", "licence", "corpus_dir"):
        del parts[section]
    parts["model"] = recipe.model.stride  # it decides which utterances CTC can learn
    return json.dumps(parts, sort_keys=True)
