"""A WAV that comes through a pipe, read while it comes: from a recorder, or from a converter such as ffmpeg or sox.

libsndfile must seek, so it can only read a pipe that has ended. A WAV's samples follow its header in plain order, and
programs that write one into a pipe put a length there that they cannot know; so this reads until the pipe ends.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from audiornn.errors import AudioError

__all__ = ["UNKNOWN_LENGTH", "WavStream", "read_bytes", "read_wav_header"]

#: Programs that cannot seek back write a length near a limit: sox 0x7FFFF000, arecord 0x7FFFFF00, ffmpeg 0xFFFFFFFF;
#: or none at all, 0.
UNKNOWN_LENGTH = 0x7FFF0000

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_LONGEST_CHUNK = 1 << 20  # bytes of notes before the samples; more is no header
_BLOCK_BYTES = 1 << 16  # a read of a pipe gives no more


@dataclass(frozen=True)
class WavStream:
    """A WAV whose header was read.

    Attributes:
        stream: where its samples come from.
        name: what to call it in an error.
        sample_rate: Hz.
        n_channels: interleaved.
        coding: numpy's type of one sample; "i3" is 24 bits, which numpy lacks, "p4" the same in the lower part of four
            bytes, as ALSA's S24_LE.
        n_bytes: of samples that the header promises; None where it cannot know.
        header_bytes: before the samples.
        promises_nothing: the header says that 0 bytes of samples follow.
    """

    stream: IO[bytes]
    name: str
    sample_rate: int
    n_channels: int
    coding: str
    n_bytes: int | None
    header_bytes: int = 0
    promises_nothing: bool = False

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Samples as they come, float32 (samples, channels), until the pipe ends.

        Raises:
            AudioError: it ended before the length that the header promises.
        """
        frame_bytes = int(self.coding[1]) * self.n_channels
        read = getattr(self.stream, "read1", self.stream.read)
        held, n_read = b"", 0
        while self.n_bytes is None or n_read < self.n_bytes:
            wanted = _BLOCK_BYTES if self.n_bytes is None else min(_BLOCK_BYTES, self.n_bytes - n_read)
            piece = read(wanted)
            if not piece:
                break
            n_read += len(piece)
            held += piece
            n_whole = len(held) // frame_bytes * frame_bytes
            if n_whole:
                yield self._samples(held[:n_whole]).reshape(-1, self.n_channels)
                held = held[n_whole:]
        if self.n_bytes is not None and n_read < self.n_bytes:
            per_second = frame_bytes * self.sample_rate
            raise AudioError(
                f"{self.name}: is truncated: its header promises {self.n_bytes / per_second:.2f} s, it ended after "
                f"{n_read / per_second:.2f} s; did the program that wrote it stop?"
            )

    def _samples(self, content: bytes) -> NDArray[np.float32]:
        if self.coding == "u1":
            return (np.frombuffer(content, np.uint8).astype(np.float32) - np.float32(128)) / np.float32(128)
        if self.coding == "i3":
            padded = np.zeros((len(content) // 3, 4), np.uint8)
            padded[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
            return (padded.view("<i4")[:, 0] / 2**31).astype(np.float32)
        if self.coding == "p4":
            return ((np.frombuffer(content, "<i4") << 8) / 2**31).astype(np.float32)
        samples = np.frombuffer(content, "<" + self.coding)
        return (samples / (2 ** (8 * samples.itemsize - 1) if self.coding[0] == "i" else 1)).astype(np.float32)


def read_wav_header(stream: IO[bytes], name: str) -> WavStream | bytes:
    """Read a WAV's header from a pipe; or give back the bytes read, if what comes is something else."""
    head = read_bytes(stream, 12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return head
    coding, n_channels, sample_rate = "", 0, 0
    while True:
        chunk = read_bytes(stream, 8)
        head += chunk
        if len(chunk) < 8:
            return head
        identifier, n_bytes = struct.unpack("<4sI", chunk)
        if identifier == b"data":
            break
        if n_bytes > _LONGEST_CHUNK:
            return head
        content = read_bytes(stream, n_bytes + n_bytes % 2)
        head += content
        if identifier == b"fmt " and len(content) >= 16:
            tag, n_channels, sample_rate, _, n_aligned, n_bits = struct.unpack("<HHIIHH", content[:16])
            if tag == _EXTENSIBLE and len(content) >= 26:
                (tag,) = struct.unpack("<H", content[24:26])
            coding = {
                (_PCM, 8): "u1",
                (_PCM, 16): "i2",
                (_PCM, 24): "i3",
                (_PCM, 32): "i4",
                (_FLOAT, 32): "f4",
                (_FLOAT, 64): "f8",
            }.get((tag, n_bits), "")
            if coding == "i3" and n_aligned == 4 * n_channels:
                coding = "p4"
    if not coding or not n_channels or not sample_rate:
        return head  # compressed, or damaged: libsndfile knows what to say of it
    promised = n_bytes if 0 < n_bytes < UNKNOWN_LENGTH else None
    return WavStream(stream, name, sample_rate, n_channels, coding, promised, len(head), n_bytes == 0)


def read_bytes(stream: IO[bytes], n_bytes: int) -> bytes:
    """So many bytes, or fewer where the stream ends."""
    parts = []
    while n_bytes and (part := stream.read(n_bytes)):
        parts.append(part)
        n_bytes -= len(part)
    return b"".join(parts)
