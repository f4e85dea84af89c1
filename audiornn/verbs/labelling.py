"""label: which label holds when, in files and live."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from audiornn.cores import n_cores
from audiornn.errors import ModelFileError
from audiornn.files import json_line
from audiornn.verbs.listening import write_results
from audiornn.verbs.models import load
from audiornn.verbs.terminal import tell_live

if TYPE_CHECKING:
    from audiornn.listen.folders import Recording
    from audiornn.listen.recognizer import Recognizer
    from audiornn.listen.results import Result, TimedLabel
    from audiornn.listen.segments import SegmentSettings
    from audiornn.verbs.options import Listening

__all__ = ["label"]


def label(files: list[str], asked: Listening, **rule: float | None) -> int:
    """`audiornn label`: recordings become segments, each with its label."""
    from audiornn.listen.segments import settings_of
    from audiornn.listen.streaming import streams

    recognizer, path = load(asked.model, asked.runs, threads=asked.threads or n_cores())
    if recognizer.card.task != "label":
        raise ModelFileError(
            f"{path}: its task is {recognizer.card.task!r}, it gives no label a frame; "
            f"`audiornn {'track' if recognizer.card.task == 'regress' else 'transcribe'}` listens with it"
        )
    settings = settings_of(recognizer.card).changed(**rule)
    if asked.is_live(files) and streams(recognizer.card):
        return _label_live(recognizer, path, settings, asked)

    def listen(recording: Recording, progress: Callable[[float], None]) -> Result:
        return recognizer.label(
            recording.path, settings=settings, channel=asked.channel, look_ahead=asked.look_ahead, progress=progress
        )

    return write_results(listen, "labelled", files, recognizer, path, asked)


def _label_live(recognizer: Recognizer, model: Path, settings: SegmentSettings, asked: Listening) -> int:
    """Standard input, which may never end: each segment is printed as soon as it is over."""
    from dataclasses import asdict

    from audiornn.audio import audio_blocks
    from audiornn.listen.formats import to_text
    from audiornn.listen.live import live_findings
    from audiornn.listen.results import Labelling

    def tell(segment: TimedLabel) -> None:
        if asked.output_format == "json":
            print(json_line({"audio": "-", "task": "label", **asdict(segment), "model": str(model)}), flush=True)
        else:
            print(to_text(Labelling((segment,), segment.end)), flush=True)

    stream = recognizer.stream(look_ahead=asked.look_ahead, segments=settings)
    blocks = audio_blocks("-", recognizer.card.features.sample_rate, channel=asked.channel)
    found = live_findings(stream, blocks, name="standard input")
    return tell_live(found, tell)
