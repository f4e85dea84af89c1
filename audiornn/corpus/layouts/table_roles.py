"""Which column of a table holds what: recordings, texts, speakers, times, splits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audiornn.audio import audio_info
from audiornn.corpus.label_files.tables import time_columns
from audiornn.corpus.label_files.timed import seconds
from audiornn.corpus.layouts.survey import Choices, Survey, named
from audiornn.corpus.layouts.table_rows import (
    AUDIO_COLUMNS,
    LOOKED_AT,
    SPEAKER_COLUMNS,
    SPLIT_COLUMNS,
    TEXT_COLUMNS,
    Table,
    plain_name,
)
from audiornn.errors import AudioError, CorpusError, nearest

__all__ = ["Roles", "audio_column", "find_roles"]

_START_COLUMNS = ("start", "offset", "begin", "start_time", "onset", "tmin")
_END_COLUMNS = ("end", "stop", "end_time", "tmax")
_THE_SAME = 0.05  # seconds
_MUCH_THE_SAME = 0.2  # of a duration, by which a cut may differ from what was asked for
_FITTED = 200  # rows whose times are compared with their recordings


@dataclass(frozen=True)
class Roles:
    """Which column (by its position) holds what; None is none. Of times also the unit, in seconds."""

    audio: int
    text: int
    speaker: int | None
    start: int | None
    end: int | None
    duration: int | None
    split: int | None
    guessed: tuple[str, ...] = ()
    units: Mapping[int, float] = field(default_factory=dict)


def find_roles(table: Table, survey: Survey, choices: Choices) -> Roles | str:
    """Which column holds what, or why this is no table of recordings."""
    plain = [plain_name(column) for column in table.columns]
    if not table.rows:
        return "holds no rows"
    if choices.audio and choices.audio not in table.columns:
        return f"has no column {choices.audio!r}{nearest(choices.audio, table.columns)}"
    if choices.audio:
        audio: int | None = table.columns.index(choices.audio)
    else:
        audio = audio_column(table, survey, plain)
    if audio is None:
        return "has no column of paths of recordings that are there; name it with --audio COLUMN"
    text, guessed = _text_column(table, plain, audio, choices)
    if text is None:
        return guessed
    if any(cells[text].startswith(('[{"', '{"')) for _, cells in table.rows[:LOOKED_AT]):
        return f"has JSON in its column {table.columns[text]!r}, no text; --label COLUMN takes another"
    if all(re.match(r"\w+://", cells[text]) for _, cells in table.rows[:LOOKED_AT]):
        return f"has addresses in its column {table.columns[text]!r}, no text; --label COLUMN takes another"
    speaker = _first(plain, SPEAKER_COLUMNS)
    if choices.speaker.startswith("column:"):
        name = choices.speaker.removeprefix("column:")
        if name not in table.columns:
            return f"has no column {name!r}{nearest(name, table.columns)}"
        speaker = table.columns.index(name)
    start, end, duration = _time_roles(table, plain, audio, survey)
    notes = [guessed] if guessed else []
    if (at := time_columns(table.columns)) and _are_of_others(table, at, audio, survey):
        start = end = duration = None
        names = named(table.columns[i] for i, _ in at.values())
        notes.append(f"{names} go beyond the recordings, as of others that they were cut from, and are not used")
    return Roles(
        audio=audio,
        text=text,
        speaker=speaker if speaker not in (audio, text) or choices.speaker.startswith("column:") else None,
        start=start,
        end=end,
        duration=duration,
        split=_first(plain, SPLIT_COLUMNS),
        guessed=tuple(notes),
        units=dict(time_columns(table.columns).values()),
    )


def _time_roles(
    table: Table, plain: Sequence[str], audio: int, survey: Survey
) -> tuple[int | None, int | None, int | None]:
    """Columns of start, end and duration: of the usual names, or as label files call them where their times fit."""
    end = _first(plain, _END_COLUMNS)
    if end is None and "onset" in plain and "offset" in plain:
        end = plain.index("offset")
    start = plain.index("onset") if "onset" in plain else _first(plain, _START_COLUMNS)
    duration = _first(plain, ("duration", "length", "dur"))
    found = time_columns(table.columns)
    given = {"start": start, "end": end, "duration": duration}
    if not found or all(given.get(name) == i for name, (i, _) in found.items()):
        return start, end, duration
    rows = [cells for _, cells in table.rows[:_FITTED]]
    if not all(_fits(cells, found, survey.resolve(cells[audio], table.path.parent)) for cells in rows):
        return start, end, duration
    given |= {name: i for name, (i, _) in found.items()}
    return given["start"], given["end"], given["duration"]


def _are_of_others(table: Table, columns: Mapping[str, tuple[int, float]], audio: int, survey: Survey) -> bool:
    """Whether each row is a recording of its own, as long as from start to end, and yet some go beyond them.

    Where lengths are much the same, some begin after their ends; where most are the same, one of these later than at 0.
    """
    if not {"start", "end"} <= columns.keys() or len({cells[audio] for _, cells in table.rows}) < len(table.rows):
        return False
    rows = [cells for _, cells in table.rows[:: max(1, len(table.rows) // LOOKED_AT)][:LOOKED_AT]]
    is_after, exact = [], []
    for cells in rows:
        recording = survey.resolve(cells[audio], table.path.parent)
        try:
            start, end = (seconds(cells[i], "") * unit for i, unit in (columns["start"], columns["end"]))
            if recording is None:
                continue
            duration = audio_info(recording).duration
        except (CorpusError, AudioError):
            return False
        if abs(end - start - duration) > _MUCH_THE_SAME * duration:
            return False
        is_after.append(start >= duration)
        if abs(end - start - duration) <= _THE_SAME:
            exact.append(start)
    return any(is_after) or (2 * len(exact) > len(is_after) and max(exact) > _THE_SAME)


def _fits(cells: Sequence[str], columns: Mapping[str, tuple[int, float]], audio: Path | None) -> bool:
    """Whether a row's times are some, and lie within its recording, if that can be read."""
    try:
        times = {name: seconds(cells[i], "") * unit for name, (i, unit) in columns.items() if cells[i]}
        duration = audio_info(audio).duration if audio is not None and times else 0.0
    except CorpusError:
        return False
    except AudioError:
        return True  # prep names it
    start = times.get("start", 0.0)
    end = times.get("end", start + times.get("duration", 0.0))
    return not times or audio is None or (0 <= start < duration and start <= end <= duration + 1)


def _first(plain: Sequence[str], known: Sequence[str]) -> int | None:
    return next((plain.index(name) for name in known if name in plain), None)


def audio_column(table: Table, survey: Survey, plain: Sequence[str]) -> int | None:
    """By its content, and among several by its name; by its name alone where nothing is there."""
    rows = table.rows[:: max(1, len(table.rows) // LOOKED_AT)][:LOOKED_AT]
    rank = {name: i for i, name in enumerate(AUDIO_COLUMNS)}
    found = []
    for i, name in enumerate(plain):
        n = sum(survey.resolve(cells[i], table.path.parent) is not None for _, cells in rows if cells[i])
        if n and (name in rank or 2 * n >= len(rows)):
            found.append((rank.get(name, len(rank)), -n, i))
    if found:
        return min(found)[2]
    return _first(plain, [name for name in AUDIO_COLUMNS if name != "id"]) if table.headed else None


def _text_column(table: Table, plain: Sequence[str], audio: int, choices: Choices) -> tuple[int | None, str]:
    """The text's column and what was guessed about it, or None and why there is none."""
    others = [i for i in range(len(plain)) if i != audio]
    if choices.text:
        if choices.text in table.columns:
            return table.columns.index(choices.text), ""
        return None, f"has no column {choices.text!r}{nearest(choices.text, table.columns)}"
    if table.headed:
        found = [i for name in TEXT_COLUMNS for i in others if plain[i] == name]
        if found and plain[found[0]] == "words" and all(cells[found[0]].isdecimal() for _, cells in table.rows):
            found.clear()  # how many there are
        if found:
            chosen, rest = repr(table.columns[found[0]]), named(repr(table.columns[i]) for i in found[1:])
            return found[0], f"the text is column {chosen}, not {rest}; --label NAME takes another" if rest else ""
        if len(others) == 1:
            return others[0], f"the text is column {table.columns[others[0]]!r}"
        return None, "has no column of texts or labels; name it with --label COLUMN"
    if not others:
        return None, "has one column only; a table needs one of recordings and one of texts"
    first = [cells for _, cells in table.rows[:LOOKED_AT]]
    if (
        len(plain) == 3
        and audio == 0
        and all(cells[2] for cells in first)
        and _are_sentences(cells[1:3] for cells in first)
    ):
        return 2, "no header: the text is column 3, as in LJSpeech; --label 2 takes the text before normalisation"
    text = max(others, key=lambda i: (sum(len(cells[i]) for _, cells in table.rows[:LOOKED_AT]), -i))
    return text, f"no header: the audio is column {audio + 1}, the text column {text + 1}; --label N takes another"


def _are_sentences(pairs: Iterable[Sequence[str]]) -> bool:
    """Whether most pairs may be a sentence before and after its numbers were spelled out."""
    are_sentences = [" " in raw and " " in normal for raw, normal in pairs]
    return 2 * sum(are_sentences) > len(are_sentences)
