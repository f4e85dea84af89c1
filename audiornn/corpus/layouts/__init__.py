"""The layouts in which strangers keep their recordings: a reader each, in the order in which they are tried."""

from __future__ import annotations

from typing import Protocol

from audiornn.corpus.layouts import folders, huggingface, kaldi, labels, lhotse, table, tracks, transcripts
from audiornn.corpus.layouts.splits import add_splits
from audiornn.corpus.layouts.survey import Choices, Entry, Reading, Survey, named
from audiornn.errors import CorpusError, SettingsError, nearest

__all__ = ["LAYOUTS", "Choices", "Entry", "Reading", "Survey", "read_layout"]


class Reader(Protocol):
    """Reads a layout; gives None where the folder has another and nobody asked for this one."""

    def __call__(self, survey: Survey, choices: Choices, *, forced: bool = True) -> Reading | None: ...


#: The particular before the general: a Kaldi folder holds tables, and a table lies above folders.
LAYOUTS: dict[str, Reader] = {
    "huggingface": huggingface.read,
    "lhotse": lhotse.read,
    "kaldi": kaldi.read,
    "cmu": transcripts.read_cmu,
    "labels": labels.read,
    "tracks": tracks.read,
    "table": table.read,
    "transcripts": transcripts.read,
    "stretches": labels.read_stretches,
    "folders": folders.read,
    "names": folders.read_names,
}


def read_layout(survey: Survey, layout: str, choices: Choices) -> tuple[str, Reading]:
    """Read a folder in the layout asked for, or in the first that fits.

    Returns:
        The layout's name, and what was read.

    Raises:
        SettingsError: there is no layout of that name.
        CorpusError: nothing is labelled, or what is there contradicts itself.
    """
    if layout != "auto":
        if layout not in LAYOUTS:
            raise SettingsError(
                f"layout {layout!r} is none of auto, {', '.join(LAYOUTS)}{nearest(layout, [*LAYOUTS, 'auto'])}"
            )
        reading = LAYOUTS[layout](survey, choices)
        assert reading is not None, "a reader that is asked for reads, or raises"
        return layout, _with_notes(reading, survey, choices)
    if survey.only is not None:
        return _read_file(survey, choices)
    for name, reader in _candidates(choices).items():
        is_asked = choices.task == "transcribe" or choices.text or choices.audio
        if name in ("folders", "names") and survey.last_resort and is_asked:
            return _read_few(survey, choices)
        if name in ("folders", "names") and choices.task == "transcribe" and not choices.text:
            _refuse_unread(survey, choices)  # names of folders are hardly what was to be transcribed
        survey.how.clear()  # what the readers before it tried
        reading = reader(survey, choices, forced=False)
        if reading is not None:
            return name, _with_notes(reading, survey, choices)
    if survey.last_resort:
        return _read_few(survey, choices)
    if survey.complaints and survey.audio:  # a table that cannot be read says more than "one label"
        raise CorpusError("; ".join(survey.complaints[:2]))
    if choices.task == "transcribe" and not choices.text and not any("/" in key for key in survey.audio):
        there = f" (there are {named(survey.others, 3)})" if survey.others else ""
        raise CorpusError(
            f"{survey.folder}: no transcripts were found{there}; lay each beside its recording under its name (.txt, "
            f".TextGrid, .eaf, .srt …), or name the layout: --layout {', '.join(LAYOUTS)}"
        )
    reading = folders.read(survey, choices)
    assert reading is not None
    is_one = not choices.text and len({entry.text for entry in reading.entries}) == 1
    if is_one and (beside := labels.may_be_labels(survey)):
        raise CorpusError(
            f"{survey.folder}: nothing says which label each recording has; {named(beside, 3)} may say what holds "
            "when: --task label learns that, --task transcribe what is said, --layout folders takes all as of one label"
        )
    if is_one and (texts := transcripts.unread(survey, choices)):
        reading.guessed.append(
            f"{named(texts, 3)} may say what is heard, which is not learnt: --task transcribe looks for what is said, "
            "--task label for what holds from when to when"
        )
    return "folders", _with_notes(reading, survey, choices)


def _refuse_unread(survey: Survey, choices: Choices) -> None:
    """Refuse to take folders' names for what is said where a text that is not read says more of the recordings.

    Raises:
        CorpusError: there is one.
    """
    if survey.audio and (texts := transcripts.unread(survey, choices)):
        raise CorpusError(
            f"{survey.folder}: {named(texts, 3)} may say what is heard, but not as it is read: lay a transcript beside "
            "each recording under its name (.txt), or write a table of path and text; --layout folders takes the "
            "folders' names"
        )


def _read_few(survey: Survey, choices: Choices) -> tuple[str, Reading]:
    """What speaks of fewer than half of the recordings, where nothing speaks of more."""
    layout = max(survey.last_resort, key=survey.last_resort.__getitem__)
    del survey.passed_over[layout]
    survey.how.clear()
    reading = LAYOUTS[layout](survey, choices)
    assert reading is not None, "a reader that is asked for reads, or raises"
    if not survey.passed_over:
        reading.guessed.append("nothing else says what is in the other recordings, so they are left out")
    return layout, _with_notes(reading, survey, choices)


def _candidates(choices: Choices) -> dict[str, Reader]:
    """The layouts that a choice already made leaves open.

    Labelled stretches come last where nobody asks for transcripts: words in folders may have been aligned, too.
    """
    if choices.text.startswith("folder"):
        return {"folders": folders.read}
    if "(?P<text>" in choices.text:
        return {"names": folders.read_names}
    if choices.task == "transcribe":
        return LAYOUTS
    return dict(sorted(LAYOUTS.items(), key=lambda item: item[0] == "stretches"))


def _read_file(survey: Survey, choices: Choices) -> tuple[str, Reading]:
    """A list that the user named."""
    assert survey.only is not None
    if huggingface.is_dataset(survey):
        name = "huggingface"
    elif (
        any(word in survey.only.name for word in ("cuts", "supervisions", "recordings"))
        and ".jsonl" in survey.only.name
    ):
        name = "lhotse"
    else:
        name = "table"
    reading = LAYOUTS[name](survey, choices)
    assert reading is not None
    return name, _with_notes(reading, survey, choices)


def _with_notes(reading: Reading, survey: Survey, choices: Choices) -> Reading:
    reading.understood += [f"{n:,} recordings lie {how}" for how, n in survey.how.items()]
    add_splits(survey, choices, reading)
    reading.guessed += survey.passed_over.values()
    reading.left_out += survey.unusable
    return reading
