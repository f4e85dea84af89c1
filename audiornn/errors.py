"""The one root of all errors a user can mend, and the few kinds below it.

A message says what is wrong, where (the file), the likely cause and the remedy, in one line. The command line prints
it and exits with 2; anything that is not an `AudiornnError` is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "AudioError",
    "AudiornnError",
    "CorpusError",
    "CorpusWarning",
    "ModelFileError",
    "SettingsError",
    "TrainingError",
    "check_choices",
    "nearest",
]


class AudiornnError(Exception):
    """Something the user can mend; the message says how."""


class AudioError(AudiornnError):
    """A recording that cannot be used as it is."""


class CorpusError(AudiornnError):
    """A corpus, manifest or feature store that is incomplete or contradicts itself."""


class CorpusWarning(UserWarning):
    """What a recipe's `prepare` found doubtful; `prep` prints it with its summary."""


class SettingsError(AudiornnError):
    """An unknown, mistyped or contradictory setting of a recipe or a command."""


class ModelFileError(AudiornnError):
    """A model file that is missing, damaged, or not one of ours."""


class TrainingError(AudiornnError):
    """Training that cannot start or go on."""


def check_choices(section: str, settings: object) -> None:
    """Raise a SettingsError where a field of a dataclass that is one of a few words is another one."""
    for key, choices in _choices(type(settings)).items():
        value = getattr(settings, key)
        if value not in choices:
            known = ", ".join(map(repr, choices))
            place = f"{section}.{key}" if section else key
            raise SettingsError(f"{place} = {value!r} must be one of {known}{nearest(str(value), choices)}")


_CHOICES: dict[type, dict[str, tuple[str, ...]]] = {}


def _choices(kind: type) -> dict[str, tuple[str, ...]]:
    """The words that each field of a dataclass may be, of those that are one of a few."""
    if kind not in _CHOICES:
        import typing

        hints = typing.get_type_hints(kind)
        _CHOICES[kind] = {
            key: typing.get_args(hint) for key, hint in hints.items() if typing.get_origin(hint) is typing.Literal
        }
    return _CHOICES[kind]


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint naming the known word closest to `word`, e.g. ``; did you mean 'n_mfcc'?``, or an empty string."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else ""
