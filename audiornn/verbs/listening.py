"""transcribe, align, track: recordings become text, labels and times, or values over time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiornn.cores import n_cores
from audiornn.errors import AudioError, AudiornnError, SettingsError
from audiornn.files import json_line
from audiornn.verbs.models import decoding_with, load, recordings_of
from audiornn.verbs.terminal import SecondsHeard, check_drawable, exit_code, say, tell_live

if TYPE_CHECKING:
    from audiornn.corpus.manifest import Utterance
    from audiornn.listen.folders import Recording
    from audiornn.listen.formats import Phrase
    from audiornn.listen.recognizer import Recognizer
    from audiornn.listen.results import Alignment, Result
    from audiornn.verbs.options import Listening

__all__ = ["align", "track", "transcribe", "write_results"]

_MOST_DRAWN = 60  # seconds of a recording in one picture
_ROUNDED = 0.1  # seconds by which a manifest may say less than there is
#: What would part a name in a line of text.
_IN_A_LINE = str.maketrans({"\n": "\\n", "\t": "\\t", "\r": "\\r"})


def transcribe(files: list[str], asked: Listening, decoding: Mapping[str, Any]) -> int:
    """`audiornn transcribe`: recordings become text or labels."""
    from audiornn.listen.streaming import streams

    recognizer, path = load(asked.model, asked.runs, threads=asked.threads or n_cores())
    recognizer = decoding_with(recognizer, decoding)
    if recognizer.card.task == "regress":
        raise SettingsError(f"{path}: gives values over time, not text; `audiornn track FILE` writes them")
    n_best = decoding.get("n_best", 1)
    if n_best > 1 and asked.output_format not in ("text", "json"):
        raise SettingsError(f"--n-best {n_best}: {asked.output_format} holds one text a recording; take text or json")
    if asked.is_live(files) and recognizer.card.task == "transcribe" and streams(recognizer.card) and n_best == 1:
        return _transcribe_live(recognizer, path, asked)

    def listen(recording: Recording, progress: Callable[[float], None]) -> Result:
        return recognizer.transcribe(
            recording.path, channel=asked.channel, look_ahead=asked.look_ahead, progress=progress
        )

    return write_results(listen, "read", files, recognizer, path, asked)


def align(files: list[str], text: str | None, manifest: Path | None, explain: Path | None, asked: Listening) -> int:
    """`audiornn align`: when each word of a known text is said."""
    from audiornn.audio import audio_info

    if manifest is not None and explain is not None:
        raise SettingsError("--explain draws one recording: name it and its --text")
    if manifest is not None:
        if files or text is not None:
            raise SettingsError("a --manifest names its own recordings and texts; leave out FILE and --text")
        utterances = _texts_of_manifest(manifest)
        texts = {utterance[0]: utterance[1] for utterance in utterances}
        files = list(texts)
        if len(texts) < len(utterances):
            raise SettingsError(f"{manifest}: names a recording twice; align its parts one by one, with --text")
    elif len(files) != 1 or text is None:
        raise SettingsError("name a recording and its text, audiornn align FILE --text '…', or a --manifest")
    elif Path(files[0]).is_dir():
        raise SettingsError(f"{files[0]}: is a folder; --text is what one recording says, a --manifest names several")
    elif explain is not None and files == ["-"]:
        raise SettingsError("--explain draws a file: standard input can be read once only")
    else:
        texts = {files[0]: text}
    if explain is not None:
        check_drawable(explain)
        if (seconds := audio_info(files[0]).duration) > _MOST_DRAWN:
            raise SettingsError(
                f"{files[0]}: lasts {seconds:.0f} s, and --explain draws up to {_MOST_DRAWN}; --format textgrid or "
                "elan shows longer ones in Praat or ELAN"
            )
    recognizer, path = load(asked.model, asked.runs)

    def listen(recording: Recording, progress: Callable[[float], None]) -> Result:
        aligned.append(recognizer.align(recording.path, texts[recording.path], channel=asked.channel))
        return aligned[-1]

    aligned: list[Alignment] = []
    code = write_results(listen, "aligned", files, recognizer, path, asked)
    if explain is not None and aligned:
        _draw_alignment(recognizer, files[0], aligned[0], explain, asked.channel)
    return code


def track(files: list[str], asked: Listening) -> int:
    """`audiornn track`: values over time, a table a recording, written as they come."""
    from audiornn.files import write_atomically
    from audiornn.listen.formats import format_result
    from audiornn.listen.results import TrackPoint
    from audiornn.listen.streaming import streams
    from audiornn.listen.tracks import track_lines

    recognizer, path = load(asked.model, asked.runs, threads=asked.threads or n_cores())
    names = recognizer.card.vocabulary.symbols
    recordings, n_empty = recordings_of(files)
    if len(recordings) > 1 and asked.output_dir is None and asked.output_format == "csv":
        raise SettingsError("--format csv is a table a recording: name a folder for them, --output-dir DIR")
    recordings, outputs = _to_write(recordings, asked, f".{asked.output_format}")

    # Standard input may never end: it is heard as it comes.
    if asked.is_live(files, "csv") and streams(recognizer.card):
        return _track_live(recognizer, asked)

    def lines(recording: str) -> Iterator[str]:
        if asked.output_format == "json":
            result = recognizer.track(recording, channel=asked.channel, look_ahead=asked.look_ahead)
            yield format_result(result, "json", audio=recording, task=recognizer.card.task, model=path)
            return
        points: Iterator[TrackPoint] = recognizer.track_points(
            recording, channel=asked.channel, look_ahead=asked.look_ahead
        )
        yield from track_lines(names, chain([next(points)], points))  # what cannot be read has no heading either

    n_failed = 0
    for i, recording in enumerate(recordings):
        try:
            if outputs:
                with write_atomically(outputs[i]) as out:
                    out.writelines(line.encode() for line in lines(recording.path))
            else:
                for line in lines(recording.path):
                    print(line, end="")
        except AudioError as error:
            n_failed += 1
            where = "" if recording.path in str(error) or recording.path == "-" else f"{recording.path}: "
            say(f"audiornn: {where}{error}")
    if outputs and n_failed < len(recordings):
        say(f"{asked.output_dir}: {len(recordings) - n_failed:,} files written")
    return exit_code(n_failed + n_empty, len(recordings) + n_empty)


def _track_live(recognizer: Recognizer, asked: Listening) -> int:
    """Standard input, which may never end: each point is printed as soon as it is known."""
    from audiornn.audio import audio_blocks
    from audiornn.listen.live import live_findings
    from audiornn.listen.results import TrackPoint
    from audiornn.listen.tracks import track_lines

    names = recognizer.card.vocabulary.symbols
    is_begun = False

    def tell(point: TrackPoint) -> None:
        nonlocal is_begun
        heading, row = track_lines(names, [point])
        print(row if is_begun else heading + row, end="", flush=True)  # what cannot be read has no heading either
        is_begun = True

    blocks = audio_blocks("-", recognizer.card.features.sample_rate, channel=asked.channel)
    found = live_findings(recognizer.tracker(look_ahead=asked.look_ahead), blocks, name="standard input")
    return tell_live(found, tell)


def _draw_alignment(
    recognizer: Recognizer, file: str, alignment: Alignment, picture: Path, channel: int | None
) -> None:
    from audiornn.audio import load_audio
    from audiornn.evaluate.alignment_picture import draw_alignment

    settings = recognizer.card.features
    waveform = load_audio(file, settings.sample_rate, channel=channel)
    draw_alignment(picture, waveform, settings, alignment, title=f"{Path(file).name}: {alignment.text}")
    say(f"{picture}: the recording's spectrum, its words and their symbols")


def write_results(
    listen: Callable[[Recording, Callable[[float], None]], Result],
    done: str,
    files: list[str],
    recognizer: Recognizer,
    model: Path,
    asked: Listening,
) -> int:
    """Listen to recordings side by side and print what was heard in their order, or write each to a file of its own."""
    from audiornn.errors import CorpusError
    from audiornn.files import write_atomically
    from audiornn.listen.folders import in_order, refuse_same_names
    from audiornn.listen.formats import FORMATS, format_result

    recordings, n_empty = recordings_of(files)
    several = len(recordings) > 1 or files != [recording.path for recording in recordings]
    output_format, printed = asked.output_format, asked.output_dir is None
    if several and printed and output_format not in ("text", "json", "ctm", "rttm"):
        raise SettingsError(f"--format {output_format} is a file a recording: name a folder for them, --output-dir DIR")
    if printed and output_format in ("ctm", "rttm"):
        refuse_same_names(recordings, output_format)
    recordings, outputs = _to_write(recordings, asked, FORMATS[output_format])
    progress = SecondsHeard()
    stopping = threading.Event()

    def show_progress(seconds: float) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt  # in a thread of its own, which so ends
        if len(recordings) == 1:
            progress(seconds)

    def heard(recording: Recording) -> Result | AudiornnError:
        try:
            return listen(recording, show_progress)
        except (AudioError, CorpusError) as error:
            return error

    n_threads = min(len(recordings) or 1, asked.threads or n_cores())
    n_failed = 0
    for i, result in enumerate(in_order(heard, recordings, n_threads, stopping)):
        progress.clear()
        recording = recordings[i].path
        if isinstance(result, AudiornnError):
            n_failed += 1
            where = "" if recording in str(result) or recording == "-" else f"{recording}: "
            say(f"audiornn: {where}{result}")
            continue
        folder = outputs[i].parent if outputs else Path()
        shown = format_result(
            result,
            output_format,
            audio=recording,
            task=recognizer.card.task,
            model=model,
            folder=folder,
            channel=asked.channel or 1,
            highest=recognizer.card.features.sample_rate / 2,
        )
        if output_format == "text" and several and not outputs:
            named = recording.translate(_IN_A_LINE)
            shown = "".join(f"{named}\t{line}\n" for line in shown.removesuffix("\n").split("\n"))
        if outputs:
            with write_atomically(outputs[i]) as out:
                out.write(shown.encode(errors="surrogateescape"))
        else:
            print(shown, end="", flush=True)
    if n_failed and len(recordings) > 1:
        say(f"audiornn: {n_failed} of {len(recordings):,} recordings could not be {done}")
    if outputs and n_failed < len(recordings):
        say(f"{asked.output_dir}: {len(recordings) - n_failed:,} files written")
    return exit_code(n_failed + n_empty, len(recordings) + n_empty)


def _to_write(recordings: list[Recording], asked: Listening, suffix: str) -> tuple[list[Recording], list[Path]]:
    """The recordings whose files are to be written, and these; says how many are kept instead."""
    from audiornn.listen.folders import output_files

    left, files = output_files(recordings, asked.output_dir, suffix, existing=asked.existing)
    if len(left) < len(recordings):
        say(f"{asked.output_dir}: of {len(recordings):,} files {len(recordings) - len(left):,} were there and are kept")
    return left, files


def _transcribe_live(recognizer: Recognizer, model: Path, asked: Listening) -> int:
    """Standard input, which may never end: each phrase is printed as soon as it is over."""
    from dataclasses import asdict

    from audiornn.audio import audio_blocks
    from audiornn.listen.live import live_phrases

    def tell(phrase: Phrase) -> None:
        if asked.output_format == "json":
            entry = {"audio": "-", "task": recognizer.card.task, **asdict(phrase), "model": str(model)}
            print(json_line(entry), flush=True)
        else:
            print(phrase.text, flush=True)

    blocks = audio_blocks("-", recognizer.card.features.sample_rate, channel=asked.channel)
    stream = recognizer.stream(look_ahead=asked.look_ahead)
    found = live_phrases(stream, blocks, name="standard input")
    return tell_live(found, tell)


def _texts_of_manifest(manifest: Path) -> list[tuple[str, str]]:
    """The recordings and texts of a manifest; read here, since the light install has the corpus' reader too."""
    from audiornn.corpus.manifest import read_manifest

    utterances = read_manifest(manifest)
    parts = [u.id for u in utterances if u.start or _ends_early(u)]
    if parts:
        raise SettingsError(f"{manifest}: {parts[0]} is a part of its recording; align takes whole recordings")
    return [(str(utterance.audio), utterance.text) for utterance in utterances]


def _ends_early(utterance: Utterance) -> bool:
    """Whether a manifest means the beginning of a longer recording; what cannot be read is told later."""
    from audiornn.audio import audio_info

    if utterance.duration is None:
        return False
    try:
        return audio_info(utterance.audio).duration > utterance.duration + _ROUNDED
    except AudioError:
        return False
