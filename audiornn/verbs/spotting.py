"""spot: keywords as they are said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from audiornn.cores import n_cores
from audiornn.errors import AudioError, SettingsError
from audiornn.files import json_line
from audiornn.verbs.models import load, recordings_of
from audiornn.verbs.terminal import SecondsHeard, check_drawable, exit_code, say, tell_live

if TYPE_CHECKING:
    from audiornn.audio import Waveform
    from audiornn.listen.keywords import SpotSettings
    from audiornn.listen.recognizer import Recognizer
    from audiornn.listen.results import KeywordSpot
    from audiornn.listen.sample_streams import SpotStream
    from audiornn.verbs.options import Spotting

__all__ = ["spot"]


def spot(files: list[str], asked: Spotting) -> int:
    """`audiornn spot`: keywords as they are said, in files, a pipe, or a microphone."""
    from dataclasses import asdict

    from audiornn.listen.hit_command import HitCommand
    from audiornn.listen.keywords import check_keywords, default_keywords, settings_of
    from audiornn.listen.streaming import streams

    _check_source(files, asked)
    recognizer, path = load(asked.model, asked.runs, threads=n_cores())
    card = recognizer.card
    keywords = check_keywords(card, default_keywords(card) if asked.keywords is None else asked.keywords)
    if asked.inside_words and card.task != "transcribe":
        raise SettingsError("--inside-words is for models that spell; the labels of this one are whole already")
    settings = settings_of(card)
    if asked.threshold is not None:
        settings = settings.with_onset(asked.threshold, keywords)
    run = HitCommand(asked.command, lambda line: say(f"audiornn: {line}")) if asked.command is not None else None
    several = len(files) > 1 or any(Path(file).is_dir() for file in files)

    def tell(found: KeywordSpot, audio: str) -> None:
        if asked.output_format == "json":
            print(json_line({"audio": audio, **asdict(found), "model": str(path)}), flush=True)
        else:
            line = f"{found.start:.2f}\t{found.end:.2f}\t{found.keyword}\t{found.score:.3f}"
            print(f"{audio}\t{line}" if several else line, flush=True)
        if run is not None:
            run(found)

    try:
        if asked.microphone or (files == ["-"] and (card.task == "classify" or streams(card))):
            stream = recognizer.spotter(
                keywords, settings=settings, inside_words=asked.inside_words, look_ahead=asked.look_ahead
            )
            check = (lambda: None) if run is None else run.check
            return _spot_live(stream, card.features.sample_rate, asked, tell, check)
        recordings, n_empty = recordings_of(files)
        n_bad = n_empty
        progress = SecondsHeard()
        for recording in recordings:
            spots = []
            try:
                for found in recognizer.spots(
                    recording.path,
                    keywords,
                    settings=settings,
                    inside_words=asked.inside_words,
                    channel=asked.channel,
                    look_ahead=asked.look_ahead,
                    progress=progress if len(recordings) == 1 else lambda seconds: None,
                ):
                    progress.clear()
                    tell(found, recording.path)
                    spots.append(found)
            except AudioError as error:
                n_bad += 1
                progress.clear()
                say(f"audiornn: {error}")
        progress.clear()
        if asked.explain is not None and not n_bad:
            _explain(recognizer, files[0], keywords, settings, spots, asked)
        return exit_code(n_bad, len(recordings) + n_empty)
    finally:
        if run is not None:
            run.check(wait=True)


def _check_source(files: list[str], asked: Spotting) -> None:
    """Whether what is to be listened to goes together.

    Raises:
        SettingsError: recordings and a microphone, or neither; an option that would do nothing.
    """
    if asked.microphone == bool(files):
        raise SettingsError("name recordings, - for standard input, or --microphone" + " alone" * asked.microphone)
    if asked.device is not None and not asked.microphone:
        raise SettingsError("--device names a microphone: add --microphone")
    if asked.microphone and asked.channel is not None:
        raise SettingsError("--channel is of recordings; a microphone is heard in mono")
    if asked.explain is not None:
        if asked.microphone or len(files) != 1 or files == ["-"] or Path(files[0]).is_dir():
            raise SettingsError("--explain draws one recording: audiornn spot FILE --explain PNG")
        check_drawable(asked.explain)


def _spot_live(
    stream: SpotStream,
    sample_rate: int,
    asked: Spotting,
    tell: Callable[[KeywordSpot, str], None],
    check: Callable[[], None],
) -> int:
    """A microphone or standard input, which may never end; Ctrl-C is the way to end it. `check` is called meanwhile."""
    from audiornn.audio import audio_blocks
    from audiornn.listen.live import live_findings
    from audiornn.listen.microphone import microphone_blocks

    if asked.microphone:
        is_number = asked.device is not None and asked.device.isdecimal()
        blocks = microphone_blocks(
            sample_rate,
            device=int(asked.device) if is_number and asked.device else asked.device,
            opened=lambda: say("listening; Ctrl-C ends it"),
            report=lambda line: say(f"audiornn: {line}"),
        )
        name, audio = "the microphone", "microphone"
    else:
        blocks, name, audio = audio_blocks("-", sample_rate, channel=asked.channel), "standard input", "-"

    def checked() -> Iterator[Waveform]:
        for block in blocks:
            check()
            yield block

    hits = live_findings(stream, checked(), name=name)
    return tell_live(hits, lambda hit: tell(hit, audio))


def _explain(
    recognizer: Recognizer,
    file: str,
    keywords: Sequence[str],
    settings: SpotSettings,
    spots: Sequence[KeywordSpot],
    asked: Spotting,
) -> None:
    """Why a recording gave its hits, as a picture."""
    from audiornn.audio import load_audio
    from audiornn.evaluate.explain import draw_spots

    assert asked.explain is not None, "asked for by the caller"
    rate = recognizer.card.features.sample_rate
    waveform = load_audio(file, rate, channel=asked.channel)
    scores, _ = recognizer.keyword_scores(
        waveform, keywords, rate, inside_words=asked.inside_words, look_ahead=asked.look_ahead
    )
    draw_spots(
        asked.explain,
        waveform,
        rate,
        scores,
        keywords,
        settings,
        spots,
        recognizer.card.output_seconds,
        title=Path(file).name,
    )
    say(f"{asked.explain}: the recording, each keyword's score and thresholds, and the hits")
