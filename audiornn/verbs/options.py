"""What a verb is asked for, where it is asked for much: the command line gathers it, and verbs hand it on whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiornn.listen.folders import Existing

__all__ = ["Evaluating", "Keywords", "Listening", "Spotting"]


@dataclass(frozen=True)
class Listening:
    """Of transcribe, label, align and track: what listens, how, and where what was heard goes.

    Attributes:
        model: a model file or a run; None takes the one trained last.
        runs: where that is looked for.
        channel: the only one that is heard, from 1; None mixes all down.
        threads: recordings at a time; None takes one a core.
        output_dir: a folder for a file a recording; None prints.
        existing: what becomes of files that are there.
        output_format: of what is printed or written.
        look_ahead: seconds of what follows that are seen; None is all that the model needs.
    """

    model: Path | None
    runs: Path
    channel: int | None
    threads: int | None
    output_dir: Path | None
    existing: Existing
    output_format: str
    look_ahead: float | None = None

    def is_live(self, files: Sequence[str], *formats: str) -> bool:
        """Whether standard input, which may never end, is to be told of as it comes; of text or JSON, or `formats`."""
        return list(files) == ["-"] and self.output_dir is None and self.output_format in (formats or ("text", "json"))


@dataclass(frozen=True)
class Spotting:
    """Of spot: what listens, what to, for which words, and what is done with hits.

    Attributes:
        model: as `Listening` has it, and `runs`, `channel`, `look_ahead` and `output_format`, too.
        microphone: whether it is heard.
        device: which microphone, by its number or a part of its name.
        keywords: None takes those that the model was trained or tuned for.
        threshold: the score of a hit; None takes the model's own.
        inside_words: whether a keyword may be a part of a longer word.
        command: to run at each hit.
        explain: a picture to draw.
    """

    model: Path | None
    runs: Path
    channel: int | None
    look_ahead: float | None
    output_format: str
    microphone: bool
    device: str | None
    keywords: Sequence[str] | None
    threshold: float | None
    inside_words: bool
    command: str | None
    explain: Path | None


@dataclass(frozen=True)
class Keywords:
    """Of evaluate: how misses and false alarms are counted.

    Attributes:
        keywords: as of `Spotting`.
        false_alarms_per_hour: for which thresholds are chosen on dev; None takes the model's own thresholds.
        tune_manifest: recordings on which they are chosen instead.
        inside_words: as of `Spotting`.
        tolerance: seconds by which a hit may lie beside its word; None is the default.
        det: a picture of misses against false alarms.
    """

    keywords: Sequence[str] | None = None
    false_alarms_per_hour: float | None = None
    tune_manifest: Path | None = None
    inside_words: bool = False
    tolerance: float | None = None
    det: Path | None = None


@dataclass(frozen=True)
class Evaluating:
    """Of evaluate: what is measured, on what, and what else is done.

    Attributes:
        model: a model file or a run; None takes the one trained last; with `folds` a recipe.
        data: where prepared corpora lie.
        runs: where runs lie.
        split: of the model's own recipe; None is test.
        manifest: recordings instead.
        look_aheads: seconds, each a row of a table besides; of keywords one, which is used.
        skip_bad: count recordings that cannot be read, and go on.
        output_format: of what is printed.
        against: another model, compared recording by recording.
        rows: a file for a line of JSON a recording.
        folds: "speaker" trains and scores a model for each, or "recording".
        seeds: of those trainings.
        overrides: of their recipe's settings.
        tune: choose on dev, and keep what was chosen in the model file.
        decoding: options of `choose_decoding`, instead of the model's own.
        spotting: how keywords are counted; None where nobody asks for them.
    """

    model: Path | None
    data: Path
    runs: Path
    split: str | None = None
    manifest: Path | None = None
    look_aheads: Sequence[float] | None = None
    skip_bad: bool = False
    output_format: str = "text"
    against: Path | None = None
    rows: Path | None = None
    folds: str | None = None
    seeds: Sequence[int] | None = None
    overrides: Sequence[str] = ()
    tune: bool = False
    decoding: Mapping[str, Any] = field(default_factory=dict)
    spotting: Keywords | None = None
