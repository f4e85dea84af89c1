"""Kaldi's data folders: `wav.scp`, `text`, `utt2spk` and `segments`. No command in them is ever run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from audiornn.audio import audio_info
from audiornn.corpus.layouts.splits import splits_in_names
from audiornn.corpus.layouts.survey import Choices, Entry, Reading, Survey, named, read_text
from audiornn.errors import AudioError, CorpusError

__all__ = ["audio_of_command", "read"]

#: By program, the effects and options that change what is where in the audio, or what it is.
_CHANGES = {
    "sox": {
        *("speed", "tempo", "stretch", "trim", "reverb", "pitch", "bend", "reverse", "pad", "silence", "vad", "repeat"),
        *("delay", "fade", "splice", "echo", "echos"),
    },
    "ffmpeg": {
        *("-ss", "-sseof", "-t", "-to", "-itsoffset", "-af", "-filter", "-filter_complex", "-filter_script", "-lavfi"),
    },
    "sph2pipe": {"-t"},
    "flac": {"--skip", "--until"},
    "wav-reverberate": {"wav-reverberate"},  # itself
}
_HARMLESS = re.compile(r"((aresample|aformat|volume|anull)\b[^,;\[]*,?)+")  # ffmpeg's filters


def read(survey: Survey, choices: Choices, *, forced: bool = True) -> Reading | None:
    """A data folder, or a folder of several, whose names (train, dev, test) are the splits.

    Raises:
        CorpusError: forced and there is none; a file is missing; an entry is an archive, or a command whose audio is
            not plain; recordings are missing.
    """
    all_folders = [path.parent for key, path in survey.others.items() if key.rpartition("/")[2] == "wav.scp"]
    folders = [folder for folder in all_folders if (forced and len(all_folders) == 1) or (folder / "text").is_file()]
    if not folders:
        if forced:
            raise CorpusError(f"{survey.folder}: holds no wav.scp with a file `text` beside it")
        return None
    reading = Reading()
    reading.left_out += [(survey.key(f), "a data folder without `text`") for f in all_folders if f not in folders]
    splits = _splits(folders, survey, choices, reading)
    folders = list(splits)
    n_commands = sum(_read_folder(folder, split, survey, choices, reading) for folder, split in splits.items())
    reading.refuse_missing(choices)
    names = named((survey.key(folder) for folder in folders), 20)
    reading.understood.append(f"Kaldi data folder{'s' * (len(folders) > 1)}: {names}")
    if n_commands:
        reading.understood.append(
            f"{n_commands:,} entries of wav.scp are commands: nothing is run, their audio is read"
        )
    reading.left_out += survey.unlabelled((e.audio for e in reading.entries), "wav.scp and text do not name it")
    if not reading.entries:
        raise CorpusError(f"{folders[0]}: no line of text belongs to a recording of wav.scp or to a segment")
    return reading


def _splits(folders: list[Path], survey: Survey, choices: Choices, reading: Reading) -> dict[Path, str | None]:
    """The data folders that are read, each with the split that it is named after; none of them where no train is."""
    folders = _not_made_of_others(folders, survey, choices, reading)
    by_name = splits_in_names(folder.name for folder in folders)
    if not {"train"} < set(by_name.values()):
        return dict.fromkeys(folders)
    splits = {folder: by_name.get(folder.name) for folder in folders}
    reading.left_out += [
        (survey.key(folder), "a data folder named after no split, beside some that are")
        for folder, split in splits.items()
        if not split
    ]
    kept = _without_repeats([folder for folder in folders if splits[folder]], splits, survey, choices, reading)
    return {folder: splits[folder] for folder in kept}


def _read_folder(folder: Path, split: str | None, survey: Survey, choices: Choices, reading: Reading) -> int:
    """Read a data folder's utterances; returns how many of its recordings are given as commands."""
    texts, speakers, segments = _data_folder(folder, choices)
    recordings: dict[str, Path] = {}
    absent: set[str] = set()
    n_commands = 0
    reading.n_lines += len(texts)
    sources = _pairs(folder / "wav.scp", choices)
    resolved = survey.resolve_all((source for _, (_, source) in sources if not source.endswith("|")), folder)
    for number, (name, source) in sources:
        reading.n_lines += 1
        audio, is_command = _audio_of(source, survey, folder, f"{folder / 'wav.scp'}, line {number}", resolved)
        n_commands += is_command
        if audio is None:
            reading.missing.append((f"{survey.key(folder / 'wav.scp')}, line {number}", source))
            absent.add(name)
        else:
            recordings[name] = audio
    utterances = segments or {name: (name, 0.0, None) for name in recordings}
    for name, text in texts.items():
        where = f"{survey.key(folder / 'text')}: {name}"
        recording, start, duration = utterances.get(name, (name, 0.0, None))
        if recording not in recordings:
            if recording not in absent:  # which is said already
                reading.missing.append((where, recording))
        elif not text:
            reading.left_out.append((name, "its text is empty"))
        else:
            # Without real speakers Kaldi's scripts write every utterance as its own.
            speaker = None if speakers.get(name) == name else speakers.get(name)
            audio = recordings[recording]
            reading.entries.append(Entry(audio, text, speaker, start, duration, split, name, where))
    reading.left_out += [(name, "text has no line for it") for name in utterances if name not in texts]
    return n_commands


def _not_made_of_others(folders: list[Path], survey: Survey, choices: Choices, reading: Reading) -> list[Path]:
    """Data folders but for those (`train_sp`) whose recordings are another one's (`train`) at other speeds."""
    kept = []
    for folder in folders:
        first = next((f for f in folders if f.parent == folder.parent and folder.name.startswith(f"{f.name}_")), None)
        if first is not None and " speed " in read_text(folder / "wav.scp", choices.encoding):
            reading.left_out.append((survey.key(folder), f"the recordings of {first.name} at other speeds"))
        else:
            kept.append(folder)
    return kept


def _without_repeats(
    folders: list[Path], splits: Mapping[Path, str | None], survey: Survey, choices: Choices, reading: Reading
) -> list[Path]:
    """Data folders but for those (ESPnet's `org/train`) whose utterances another one of their split has, too."""
    ids: dict[Path, set[str]] = {}
    for folder in sorted(folders, key=lambda folder: (len(folder.parts), folder)):
        own = {name for _, (name, _) in _pairs(folder / "text", choices)}
        same = next((f for f, others in ids.items() if own and splits[f] == splits[folder] and own <= others), None)
        if same is None:
            ids[folder] = own
        else:
            reading.left_out.append((survey.key(folder), f"the same utterances as {survey.key(same)}"))
    return [folder for folder in folders if folder in ids]


def _data_folder(
    folder: Path, choices: Choices
) -> tuple[dict[str, str], dict[str, str], dict[str, tuple[str, float, float | None]]]:
    """Texts, speakers and segments by utterance."""
    if not (folder / "text").is_file():
        raise CorpusError(f"{folder}: has a wav.scp but no file `text` with the transcripts")
    texts = {name: text for _, (name, text) in _unlike(folder / "text", choices, str.split)}
    speakers: dict[str, str] = {}
    if (folder / "utt2spk").is_file():
        speakers = dict(pair for _, pair in _unlike(folder / "utt2spk", choices, str.split))
    elif (folder / "spk2utt").is_file():
        for _, (speaker, names) in _pairs(folder / "spk2utt", choices):
            speakers |= dict.fromkeys(names.split(), speaker)
    segments: dict[str, tuple[str, float, float | None]] = {}
    if (folder / "segments").is_file():
        for number, (name, rest) in _unlike(folder / "segments", choices, _stretch):
            try:
                recording, start, end = rest.split()[:3]
                times = float(start), float(end)
            except ValueError:
                raise CorpusError(
                    f"{folder / 'segments'}, line {number}: not `utterance recording start end`: {name} {rest}"
                ) from None
            if not 0 <= times[0] < times[1] and times[1] >= 0:
                raise CorpusError(f"{folder / 'segments'}, line {number}: {start} to {end} s is no stretch of time")
            # An end of -1 is the recording's.
            segments[name] = (recording, times[0], round(times[1] - times[0], 6) if times[1] >= 0 else None)
    return texts, speakers, segments


def _pairs(path: Path, choices: Choices) -> list[tuple[int, tuple[str, str]]]:
    lines = enumerate(read_text(path, choices.encoding).split("\n"), start=1)
    parted = ((number, line.split(maxsplit=1)) for number, line in lines if line.strip())
    return [(number, (parts[0], parts[1].strip() if len(parts) > 1 else "")) for number, parts in parted]


def _unlike(path: Path, choices: Choices, read: Callable[[str], object]) -> list[tuple[int, tuple[str, str]]]:
    """The pairs of a file in which no name may stand with two contents, which `read` makes alike if they say the same.

    Raises:
        CorpusError: one does.
    """
    pairs, first = _pairs(path, choices), dict[str, tuple[int, str]]()
    for number, (name, content) in pairs:
        before, other = first.setdefault(name, (number, content))
        if read(other) != read(content):
            raise CorpusError(
                f"{path}, lines {before} and {number}: {name} is {other[:60]!r} and {content[:60]!r}; delete one"
            )
    return pairs


def _stretch(content: str) -> list[object]:
    """A recording and two times, as far as they are numbers."""
    return [float(word) if re.fullmatch(r"-?\d+\.?\d*", word) else word for word in content.split()]


def _audio_of(
    source: str, survey: Survey, folder: Path, place: str, resolved: Mapping[str, Path | None]
) -> tuple[Path | None, bool]:
    """The recording that an entry of wav.scp stands for, and whether it is a command."""
    if source.endswith("|"):
        return audio_of_command(source[:-1], survey, folder, place), True
    path, colon, offset = source.rpartition(":")
    if (colon and offset.isdigit() and path.endswith(".ark")) or source.endswith(".ark"):
        raise CorpusError(f"{place}: {source} lies in a Kaldi archive, which is not read; write it out as WAV or FLAC")
    return _as_written(source, folder) or resolved[source], False


def _as_written(name: str, folder: Path) -> Path | None:
    """Kaldi's relative paths start wherever its script ran: the data folder, or some folder above it."""
    return next((p for base in (folder, *list(folder.resolve().parents)[:3]) if (p := base / name).is_file()), None)


def audio_of_command(command: str, survey: Survey, folder: Path, place: str) -> Path:
    """The one recording that a command reads, e.g. `sph2pipe -f wav a.sph`; the command is not run.

    Raises:
        CorpusError: it names no or several recordings that exist, or changes what it reads.
    """
    words = _words(command)
    changes = _changes(words)
    if changes:
        raise CorpusError(
            f"{place}: the command changes its audio ({', '.join(sorted(changes))}); write the result out"
        )
    found = {
        path
        for word in words[1:]
        if "." in word and (path := _as_written(word, folder) or survey.resolve(word, folder))
    }
    if len(found) != 1:
        what = "no recording that is there" if not found else f"{len(found)} recordings"
        raise CorpusError(
            f"{place}: is a command, which is not run, and it names {what} ({command.strip()[:80]}); "
            "write its output as a file and name that"
        )
    audio = found.pop()
    picks = "-c" in words or "-map_channel" in words or any(a == "remix" and b != "-" for a, b in pairwise(words))
    if picks and _n_channels(audio) > 1:
        raise CorpusError(f"{place}: takes one channel of {audio}, which is not done here; write it out as a file")
    return audio


def _words(command: str) -> list[str]:
    """A shell's words, and what joins commands as words of their own."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|;&()")
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        return command.split()


def _changes(words: Sequence[str]) -> set[str]:
    """What in a command, or in those that it joins, changes the audio."""
    found: set[str] = set()
    program = ""
    for word, after in pairwise([*words, ""]):
        name = Path(word).name
        program = name if name in _CHANGES else program  # env, nice and the like may stand before it
        option = re.split("[=:]", word)[0] if word.startswith("-") else name
        is_harmless = option in ("-af", "-filter") and _HARMLESS.fullmatch(after)
        if option in _CHANGES["sox"] | _CHANGES.get(program, set()) and not is_harmless:
            found.add(option)
    return found


def _n_channels(audio: Path) -> int:
    try:
        return audio_info(audio).n_channels
    except AudioError:
        return 1  # prep names it
