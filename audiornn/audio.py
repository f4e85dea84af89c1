"""Recordings in: any file libsndfile reads, as a mono float32 waveform at the rate the model wants.

`audio_blocks` reads in blocks of bounded memory; `load_audio` is those blocks joined, so both give the same samples.
"""

from __future__ import annotations

import contextlib
import io
import math
import numbers
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiornn.containers import (
    check_length,
    found_short,
    holds_more_samples,
    length_of_mp3,
    refuse_joined,
    write_mp3_with_length,
)
from audiornn.errors import AudioError
from audiornn.files import writing_temporary_file
from audiornn.wav_stream import WavStream, read_bytes, read_wav_header

__all__ = [
    "EXTENSIONS",
    "FOREIGN",
    "AudioInfo",
    "AudioSource",
    "Resampler",
    "Waveform",
    "audio_blocks",
    "audio_info",
    "check_rate",
    "is_file",
    "is_one_array",
    "load_audio",
    "source_name",
    "to_mono",
    "to_waveform",
]

Waveform = NDArray[np.float32]
AudioSource = str | os.PathLike[str] | IO[bytes]
_Source = str | Path | IO[bytes]
_LOUDEST = 100.0  # of floats in memory: louder than any recording, and less than integers that were not scaled
_MOST_CHANNELS = 64  # more than these, and than there are samples, are samples
_RATES = (100, 10_000_000)  # Hz; outside is no recording, but a mistake that would take for ever
Observer = Callable[[NDArray[np.float32], int], None]

#: The suffixes that a folder is searched for.
EXTENSIONS = frozenset(
    {
        ".wav",
        ".flac",
        ".ogg",
        ".oga",
        ".opus",
        ".mp3",
        ".sph",
        ".aif",
        ".aiff",
        ".aifc",
        ".au",
        ".snd",
        ".caf",
        ".w64",
        ".rf64",
    }
)
#: What else recordings are called, which libsndfile does not read.
FOREIGN = frozenset({".m4a", ".aac", ".wma", ".amr", ".mp4", ".webm", ".3gp", ".mka", ".raw", ".pcm"})


@dataclass(frozen=True)
class AudioInfo:
    """What a recording's header says: Hz, channels, samples a channel, and the container's name."""

    sample_rate: int
    n_channels: int
    n_samples: int
    container: str

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.n_samples / self.sample_rate


def audio_info(source: AudioSource) -> AudioInfo:
    """Read a recording's header.

    Raises:
        AudioError: missing, empty, or no audio.
    """
    with _opened(_as_source(source)) as (file, _):
        return AudioInfo(file.samplerate, file.channels, file.frames, file.format)


def load_audio(
    source: AudioSource,
    sample_rate: int | None = None,
    *,
    channel: int | None = None,
    start: float = 0.0,
    duration: float | None = None,
    observe: Observer | None = None,
) -> Waveform:
    """Read a recording, or a part of one.

    Args:
        source: a path, `-` for standard input, or a binary file object.
        sample_rate: Hz to resample to (soxr, high quality); None keeps the recording's own.
        channel: the channel to take, from 1; None mixes all of them down.
        start: where to begin, in seconds.
        duration: how much to read, in seconds; None reads to the end.
        observe: called with each block as it was recorded, (samples, channels), and its rate in Hz.

    Returns:
        float32 samples in −1…1, shape (samples,).

    Raises:
        AudioError: missing, empty, truncated or damaged, no audio, not finite, or shorter than `start + duration`.
    """
    blocks = list(audio_blocks(source, sample_rate, channel=channel, start=start, duration=duration, observe=observe))
    waveform = np.concatenate(blocks) if len(blocks) != 1 else blocks[0]
    if not len(waveform):
        raise AudioError(f"{source_name(source)}: too short: less than one sample at {sample_rate:,} Hz")
    return waveform


def audio_blocks(
    source: AudioSource,
    sample_rate: int | None = None,
    *,
    channel: int | None = None,
    start: float = 0.0,
    duration: float | None = None,
    block_seconds: float = 10.0,
    observe: Observer | None = None,
) -> Iterator[Waveform]:
    """Read a recording block by block; memory does not grow with its length.

    Arguments and errors are those of `load_audio`; a block holds about `block_seconds` seconds. A WAV that comes
    through a pipe is read while it comes, in smaller blocks; anything else must have come first.
    """
    opened = _as_source(source)
    with contextlib.ExitStack() as stack:
        if isinstance(opened, (str, Path)) and Path(opened).is_fifo():
            opened = stack.enter_context(open(opened, "rb"))
        head = b""
        if not start and duration is None and (pipe := _pipe(opened)) is not None:
            found = read_wav_header(pipe, source_name(opened))
            if isinstance(found, WavStream):
                yield from _live_blocks(found, sample_rate, channel, observe)
                return
            head = found
        file, name = stack.enter_context(_opened(opened, head))
        _check_channel(channel, file.channels, name)
        first, n_wanted = _range(file, name, start, duration)
        if first:
            file.seek(first)
        to_rate = Resampler(file.samplerate, sample_rate, name=name)
        block_length = max(1, round(block_seconds * file.samplerate))
        n_read = 0
        while n_read < n_wanted:
            samples = _read(file, name, min(block_length, n_wanted - n_read), first + n_read)
            n_read += len(samples)
            if not len(samples):
                break
            waveform = samples.mean(axis=1) if channel is None else samples[:, channel - 1]
            _check_samples(waveform, name, of_file=True)
            if observe is not None:
                observe(samples, file.samplerate)
            yield to_rate(waveform, last=n_read >= n_wanted)
        if n_read < n_wanted:
            raise _truncated(file, name, first + n_read, first + n_read)


def _live_blocks(
    live: WavStream, sample_rate: int | None, channel: int | None, observe: Observer | None
) -> Iterator[Waveform]:
    """The samples of a pipe as they come, mono, at the wanted rate."""
    _check_channel(channel, live.n_channels, live.name)
    to_rate = Resampler(live.sample_rate, sample_rate, name=live.name)
    empty = True
    for samples in live.blocks():
        empty = False
        if observe is not None:
            observe(samples, live.sample_rate)
        yield to_rate(to_mono(samples, channel=channel, name=live.name), last=False)
    if empty:
        raise AudioError(f"{live.name}: holds no samples; was the recording cut off?")
    yield to_rate(np.empty(0, np.float32), last=True)


def _check_channel(channel: int | None, n_channels: int, name: str) -> None:
    if channel is None:
        return
    if isinstance(channel, bool) or not isinstance(channel, (int, np.integer)):
        raise AudioError(f"{name}: channel {channel!r} is none; they are counted from 1")
    if not 1 <= channel <= n_channels:
        raise AudioError(f"{name}: has no channel {channel}, only {n_channels}")


def to_waveform(
    samples: NDArray[Any],
    sample_rate: int,
    target_rate: int,
    *,
    channel: int | None = None,
    name: str = "the waveform",
) -> Waveform:
    """Make samples already in memory what the model takes: mono, float32, at its own rate.

    Args:
        samples: (samples,) or (samples, channels); integers are scaled by their full range.
        sample_rate: Hz of `samples`.
        target_rate: Hz of the result.
        channel: the channel to take, from 1; None mixes all of them down.
        name: what to call it in an error.

    Raises:
        AudioError: empty, of another shape, not finite, or integers that are far from full scale.
    """
    samples = _as_array(samples, name)
    _check_scale(samples, name, bits=32)  # here, for a block of a longer recording may be as quiet as that
    return Resampler(sample_rate, target_rate, name=name)(to_mono(samples, channel=channel, name=name), last=True)


def to_mono(samples: NDArray[Any], *, channel: int | None = None, name: str = "the waveform") -> Waveform:
    """Samples in memory as float32 in −1…1, (samples,); arguments and errors are those of `to_waveform`."""
    samples = _as_array(samples, name)
    if samples.dtype.kind not in "iuf":
        raise AudioError(f"{name}: samples are numbers, integers or floats, not {samples.dtype}")
    if samples.ndim not in (1, 2) or not samples.size:
        raise AudioError(f"{name}: expected samples of shape (samples,) or (samples, channels), got {samples.shape}")
    if samples.ndim == 2 and samples.shape[1] > max(_MOST_CHANNELS, samples.shape[0]):
        raise AudioError(f"{name}: {samples.shape[1]:,} channels? channels come second: transpose it, samples.T")
    _check_scale(samples, name, bits=64)
    if channel is not None:
        _check_channel(channel, samples[:1].size, name)
    if samples.dtype.kind in "iu":
        limits = np.iinfo(samples.dtype)
        middle = 0 if limits.min else limits.max // 2 + 1  # unsigned PCM is silent in the middle of its range
        samples = (samples.astype(np.float64) - middle) / (limits.max // 2 + 1 if middle else -float(limits.min))
    waveform = samples.astype(np.float32, copy=False)
    if waveform.ndim == 2:
        waveform = waveform.mean(axis=1) if channel is None else waveform[:, channel - 1]
    _check_samples(waveform, name)
    return waveform


def _check_samples(waveform: Waveform, name: str, *, of_file: bool = False) -> None:
    """Raise an AudioError for floats that can be no sound."""
    if not np.isfinite(waveform).all():
        remedy = "; write the file anew" if of_file else ""
        raise AudioError(f"{name}: holds samples that are not finite (NaN or infinity){remedy}")
    if len(waveform) and (peak := max(float(waveform.max()), -float(waveform.min()))) > _LOUDEST:
        raise AudioError(
            f"{name}: its samples reach {peak:,.0f}, and floats are in −1…1: are they integers made floats? "
            "divide by 32768, or give them as integers"
        )


def _as_array(samples: Any, name: str) -> NDArray[Any]:
    try:
        array = np.asarray(samples)
        return array.astype(np.float64) if array.dtype == object else array
    except (TypeError, ValueError, RuntimeError) as error:
        raise AudioError(f"{name}: no samples that NumPy can take: {error}") from None


def _check_scale(samples: NDArray[Any], name: str, *, bits: int) -> None:
    """Integers of so many bits, as Python and NumPy make them of others, that leave the upper half of them unused."""
    if samples.dtype.kind != "i" or samples.dtype.itemsize * 8 != bits or not samples.size:
        return
    peak = max(int(samples.max()), -int(samples.min()))
    if 0 < peak <= 2 ** (bits // 2 - 1):
        as_what = "samples / 2**23 if they were of 24 bits, samples / 2**31 if of 32"
        remedy = "are they 16-bit? samples.astype('int16')" if peak <= 2**15 else as_what
        raise AudioError(f"{name}: its {samples.dtype} samples reach {peak:,}, far from full scale: {remedy}")


class Resampler:
    """Blocks at one rate in, blocks at another out; Hz."""

    def __init__(self, sample_rate: int, target_rate: int | None, *, name: str = "the waveform") -> None:
        check_rate(sample_rate, name)
        if target_rate is not None:
            check_rate(target_rate, name)
        self._stream = None
        if target_rate is not None and target_rate != sample_rate:
            import soxr  # only here: most recordings are at the model's rate already

            self._stream = soxr.ResampleStream(sample_rate, target_rate, 1, dtype="float32")

    def __call__(self, waveform: Waveform, *, last: bool) -> Waveform:
        """The samples now known, (samples,); the rest comes with the `last` block."""
        if self._stream is None:
            return np.ascontiguousarray(waveform)
        resampled: Waveform = self._stream.resample_chunk(np.ascontiguousarray(waveform), last=last)
        return resampled


def check_rate(sample_rate: float, name: str = "the waveform") -> None:
    """A sample rate is a number of Hz that recordings have.

    Raises:
        AudioError: it is none.
    """
    is_number = isinstance(sample_rate, numbers.Real) or getattr(sample_rate, "ndim", None) == 0
    if not is_number or isinstance(sample_rate, bool) or not _RATES[0] <= float(sample_rate) <= _RATES[1]:
        low, high = _RATES
        raise AudioError(f"{name}: a sample rate of {sample_rate!r} Hz is none; recordings have {low:,} to {high:,}")


def is_file(source: object) -> bool:
    """Whether a source is a path or an open file, and not samples."""
    return isinstance(source, (str, os.PathLike)) or hasattr(source, "read")


def is_one_array(samples: object) -> bool:
    """Whether these are the samples of one recording, as an array, a tensor or numbers, and not blocks of them."""
    if isinstance(samples, (list, tuple)):
        return bool(samples) and isinstance(samples[0], numbers.Real)
    return hasattr(samples, "__array__") or hasattr(samples, "typecode")


def _pipe(source: _Source) -> IO[bytes] | None:
    """The stream of a source that cannot be read twice."""
    if source == "-":
        return _standard_input()
    return None if isinstance(source, (str, Path)) or _can_seek(source) else source


@contextlib.contextmanager
def _opened(source: _Source, head: bytes = b"") -> Iterator[tuple[Any, str]]:
    """The open sound file, and the name to call it in a message; `head` was read from a pipe already."""
    name = source_name(source)
    with contextlib.ExitStack() as stack:
        if isinstance(source, (str, Path)) and source != "-":
            source = _checked_path(Path(source))
            stream: IO[bytes] = stack.enter_context(open(source, "rb"))
        else:
            stream = _standard_input() if isinstance(source, (str, Path)) else source
        if source == "-" or not _can_seek(stream):
            # libsndfile must seek; a file on disk lets it, and keeps memory flat whatever comes.
            spool = stack.enter_context(tempfile.NamedTemporaryFile())
            head = head or read_bytes(stream, 12)
            if head and not _BEGINS.match(head):  # what is no audio may never end
                raise AudioError(
                    f"{name}: not audio that can be read, it begins {head[:8]!r}; {_CONTAINERS}, and raw samples need "
                    "a WAV's header (arecord -t wav, ffmpeg -f wav)"
                )
            with writing_temporary_file():
                spool.write(head)
                shutil.copyfileobj(stream, spool)
                spool.seek(0)
            is_mp3 = head[:1] == b"\xff" and os.name != "nt"  # without a tag libsndfile finds none but by a name
            source, stream = Path(spool.name) if is_mp3 else spool, spool
        # A long recording is opened for each of its stretches, and looked through once.
        known = _identity(stream) if isinstance(source, Path) else None
        if known is None or known not in _HEALTHY:
            mended = _mended(stream, name, stack)
            if mended is not None:
                source = mended if os.name == "nt" else Path(mended.name)  # by name, for MP3 as above
                stream = mended
            else:
                check_length(stream, name)
                if known is not None:
                    _HEALTHY.add(known)
        try:
            file = stack.enter_context(soundfile.SoundFile(_path_name(source) if isinstance(source, Path) else stream))
        except (soundfile.LibsndfileError, TypeError) as error:
            raise AudioError(f"{name}: not audio that can be read ({_reason(error)}); {_CONTAINERS}") from None
        if found_short(file.extra_info):
            raise AudioError(f"{name}: is truncated: its header promises more than is there; copy or record it again")
        if file.frames == 0:
            raise AudioError(f"{name}: holds no samples; was the recording cut off?")
        yield file, name


#: Files that were looked through and need no mending, by all that changes when they do.
_HEALTHY: set[tuple[int, ...]] = set()


def _identity(stream: IO[bytes]) -> tuple[int, ...]:
    about = os.fstat(stream.fileno())
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def _standard_input() -> IO[bytes]:
    if sys.stdin is None:
        raise AudioError("standard input: is closed")
    if sys.stdin.isatty():
        raise AudioError("standard input: is a terminal; give it a recording, as in `arecord -t wav | audiornn …`")
    return sys.stdin.buffer


def _mended(stream: IO[bytes], name: str, stack: contextlib.ExitStack) -> IO[bytes] | None:
    """A file of which libsndfile would hear too little, written anew; None of any other.

    A WAV whose header says too few bytes, for the program that wrote it was killed, or whose 24 bits lie in four bytes
    each; an MP3 whose length is a guess.

    Raises:
        AudioError: files were joined of which only the first can be heard.
    """
    begin = stream.tell()
    found = read_wav_header(stream, name)
    n_bytes = stream.seek(0, 2) - begin
    stream.seek(begin)
    anew: IO[bytes] | None = None
    if isinstance(found, WavStream):
        is_live = found.n_bytes is None and not found.promises_nothing
        goes_on = not is_live and holds_more_samples(stream, begin, found.header_bytes, found.n_bytes or 0)
        if n_bytes > found.header_bytes and (goes_on or found.coding == "p4"):
            stream.seek(begin + found.header_bytes)
            whole = replace(found, n_bytes=None) if goes_on else found
            form = {"samplerate": found.sample_rate, "channels": found.n_channels, "subtype": "FLOAT", "format": "W64"}
            anew = stack.enter_context(_temporary_file())
            with writing_temporary_file(), soundfile.SoundFile(anew, "w", **form) as out:
                for samples in whole.blocks():
                    out.write(samples)
    else:
        refuse_joined(stream, name)
        may_be_mp3 = found[:3] == b"ID3" or found[:1] == b"\xff"
        if may_be_mp3 and (length := length_of_mp3(stream, name)) is not None:
            anew = stack.enter_context(_temporary_file())
            with writing_temporary_file():
                write_mp3_with_length(stream, anew, length)
    stream.seek(begin)
    if anew is not None:
        anew.flush()
        anew.seek(0)
    return anew


def _temporary_file() -> contextlib.AbstractContextManager[IO[bytes]]:
    return cast("contextlib.AbstractContextManager[IO[bytes]]", tempfile.NamedTemporaryFile())


def _as_source(source: AudioSource) -> _Source:
    """A path of any kind, or a file opened for bytes.

    Raises:
        AudioError: it is something else.
    """
    if isinstance(source, (str, os.PathLike)):
        return source if isinstance(source, str) else Path(source)
    if isinstance(source, soundfile.SoundFile):
        raise AudioError("an open SoundFile: give its path, or file.read() and file.samplerate")
    if isinstance(source, io.TextIOBase):
        raise AudioError(f"{source_name(source)}: is open as text; open it with open(path, 'rb')")
    if not hasattr(source, "read"):
        raise AudioError(f"expected a path or a file opened for bytes, not {type(source).__name__}")
    return source


def source_name(source: AudioSource) -> str:
    """What to call a recording's source in a message."""
    if isinstance(source, (str, os.PathLike)):
        return "standard input" if source == "-" else os.fspath(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "the recording"


def _path_name(path: Path) -> str | bytes:
    return str(path) if os.name == "nt" else os.fsencode(path)  # a name may be no Unicode


def _can_seek(stream: IO[bytes]) -> bool:
    return hasattr(stream, "seekable") and stream.seekable()


#: How files of sorts that libsndfile reads begin; MP3 may do so with a tag or a frame.
_BEGINS = re.compile(
    rb"RIFF|RIFX|RF64|riff|fLaC|OggS|ID3|\xff[\xe0-\xff]|FORM|\.snd|dns\.|caff|NIST_1A|Creative|2BIT| paf|fap |PVF1"
    rb"|MATLAB|ALawSound|\x64\xa3|[\x00-\xff]{2}\xa3\x64|\xf0\x7e|\x01MPC|\x01\x04"
)
_CONTAINERS = "WAV, FLAC, OGG, Opus, MP3 and NIST SPHERE are"


def _checked_path(path: Path) -> Path:
    if not path.exists():
        raise AudioError(f"{path}: no such file")
    if path.is_dir():
        raise AudioError(f"{path}: is a folder, not a recording")
    try:
        empty = path.is_file() and path.stat().st_size == 0  # a pipe has no size
        if path.is_file():
            with open(path, "rb"):
                pass
    except OSError as error:
        raise AudioError(f"{path}: cannot be opened ({error.strerror or error})") from None
    if empty:
        raise AudioError(f"{path}: the file is empty")
    return path


def _range(file: Any, name: str, start: float, duration: float | None) -> tuple[int, int]:
    """First sample and number of samples of a stretch given in seconds."""
    if not math.isfinite(start) or not (duration is None or (math.isfinite(duration) and duration >= 0)):
        raise AudioError(f"{name}: a start of {start} s and a duration of {duration} s are none")
    first = round(start * file.samplerate)
    available = file.frames - first
    if start < 0 or available <= 0:
        raise AudioError(
            f"{name}: a start at {start:g} s lies outside its {file.frames / file.samplerate:.2f} s; is the list for "
            "another version of the file, or in milliseconds?"
        )
    if duration is None:
        return first, available
    n_wanted = max(1, round(duration * file.samplerate))
    # Seconds in a manifest are rounded: a hundredth more than there is means "to the end".
    if n_wanted > available + max(1, file.samplerate // 100):
        raise AudioError(
            f"{name}: {start:g} to {start + duration:g} s was asked for, but it ends at "
            f"{file.frames / file.samplerate:.2f} s; is the manifest for another version of the file, or in "
            "milliseconds?"
        )
    return first, min(n_wanted, available)


def _read(file: Any, name: str, n_samples: int, position: int) -> NDArray[np.float32]:
    try:
        samples: NDArray[np.float32] = file.read(n_samples, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        raise _truncated(file, name, position, position + n_samples) from None
    return samples


def _truncated(file: Any, name: str, first: int, last: int) -> AudioError:
    """What cannot be decoded from some sample on, which lies between these two."""
    seconds = [f"{n / file.samplerate:.2f}" for n in (file.frames, first, min(last, file.frames))]
    where = f"past {seconds[1]}" if first == last else f"past some point from {seconds[1]} to {seconds[2]}"
    return AudioError(
        f"{name}: is damaged or truncated: its header promises {seconds[0]} s, but it cannot be decoded {where} s; "
        "fetch or record it again"
    )


def _reason(error: Exception) -> str:
    text = str(getattr(error, "error_string", error)).strip().rstrip(".")
    return text[:1].lower() + text[1:] if text else type(error).__name__
