"""What a recording's container says of its length, and where it says too little or too much.

libsndfile believes headers. Where one promises more than is there the recording was cut off; where it promises less, a
program died before it wrote the length, or files were joined by their bytes: the rest would be heard by nobody.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import IO

from audiornn.errors import AudioError
from audiornn.wav_stream import UNKNOWN_LENGTH

__all__ = ["check_length", "found_short", "is_followed_by_samples", "write_mp3_with_length"]

_HEAD = 1 << 16  # bytes in which an Ogg file's streams begin
_PIECE = 1 << 20
_REMEDY = "write it anew, e.g. ffmpeg -i FILE whole.wav"


def check_length(stream: IO[bytes], name: str) -> None:
    """Raise an AudioError for a file that is shorter than its header says, or longer than libsndfile will read."""
    begin = stream.tell()
    head = stream.read(_HEAD)
    size = stream.seek(0, 2) - begin
    if not size:
        raise AudioError(f"{name}: is empty" + (", or was read to its end: file.seek(0)" if begin else ""))
    promised = 0
    if head[:4] == b"RIFF":
        promised = _wav_length(stream, begin)
    elif head[:4] == b"NIST":
        promised = _sphere_length(head[:1024])
    elif head[:4] == b"OggS" and _is_chained(stream, begin, head, size):
        raise AudioError(f"{name}: is several Ogg recordings joined, of which only the first would be read; {_REMEDY}")
    elif head[:4] == b"fLaC" and _holds(stream, begin + 4, b"fLaC\x00\x00\x00\x22"):
        raise AudioError(f"{name}: is several FLAC files joined, of which only the first would be read; {_REMEDY}")
    stream.seek(begin)
    if promised > size:
        raise AudioError(
            f"{name}: is truncated: its header promises {promised:,} bytes, {size:,} are there; copy or record it again"
        )


def found_short(log: str) -> bool:
    """Whether libsndfile, which reads what there is and says nothing, noted that there should be more."""
    for promised, found in re.findall(r"(?:data|SSND|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)\)", log):
        if int(found) < int(promised) < UNKNOWN_LENGTH:
            return True
    return "Junk after the last page" in log  # half a page of Ogg


def is_followed_by_samples(stream: IO[bytes], end: int, size: int) -> bool:
    """Whether what follows a WAV's samples, from `end` to `size`, is no chain of chunks: the length is out of date.

    Programs write a length when they begin, and the true one when they are done, unless they are killed.
    """
    position = end + end % 2
    while position + 8 <= size:
        stream.seek(position)
        identifier, length = struct.unpack("<4sI", stream.read(8))
        if not re.fullmatch(rb"[ -~]{4}", identifier) or position + 8 + length > size:
            return True
        position += 8 + length + length % 2
    return False


def _wav_length(stream: IO[bytes], begin: int) -> int:
    """Bytes up to the end of the data chunk, or 0 where the header does not say (a stream's header)."""
    position = 12
    while True:
        stream.seek(begin + position)
        header = stream.read(8)
        if len(header) < 8:
            return 0
        identifier, length = struct.unpack("<4sI", header)
        if identifier == b"data":
            return 0 if length >= UNKNOWN_LENGTH else position + 8 + int(length)
        position += 8 + length + length % 2


def _sphere_length(head: bytes) -> int:
    """Bytes of header and samples that a NIST SPHERE header promises, or 0 where it does not say."""
    fields: dict[str, str] = {}
    lines = head.decode("ascii", errors="replace").splitlines()
    for line in lines[2:]:
        parts = line.split(None, 2)
        if parts[:1] == ["end_head"]:
            break
        if len(parts) == 3:
            fields[parts[0]] = parts[2]
    try:
        header = int(lines[1])
        count, width = int(fields["sample_count"]), int(fields["sample_n_bytes"])
        coding = fields.get("sample_coding", "pcm")
        return 0 if "embedded" in coding else header + count * width * int(fields.get("channel_count", "1"))
    except (KeyError, ValueError, IndexError):
        return 0


def _is_chained(stream: IO[bytes], begin: int, head: bytes, size: int) -> bool:
    """Whether an Ogg file ends with a stream that did not begin where the file does (RFC 3533, chaining)."""
    serials = re.findall(rb"OggS\x00[\x02\x06].{8}(.{4})", head, re.DOTALL)
    stream.seek(begin + max(0, size - _HEAD))
    pages = re.findall(rb"OggS\x00[\x00-\x07].{8}(.{4})", stream.read(), re.DOTALL)
    # What begins further on is another recording, though short ones may all lie in the head.
    first_page_of_another = [s for s in serials if s not in serials[:1]] and _begins_late(head)
    return bool(pages) and (pages[-1] not in serials or bool(first_page_of_another))


def _begins_late(head: bytes) -> bool:
    """Whether an Ogg stream begins after a page of another that is not its first."""
    begins = [bool(flags[0] & 2) for flags in re.findall(rb"OggS\x00([\x00-\x07])", head)]
    return any(b and not all(begins[:i]) for i, b in enumerate(begins))


def _holds(stream: IO[bytes], begin: int, wanted: bytes) -> bool:
    """Whether some bytes stand anywhere from a place on."""
    stream.seek(begin)
    tail = b""
    while piece := stream.read(_PIECE):
        if wanted in tail + piece:
            return True
        tail = piece[-len(wanted) :]
    return False


# --- MP3 (ISO 11172-3 and 13818-3, layer III) ---

_KILOBITS = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_HERTZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # MPEG 1, 2, 2.5


@dataclass(frozen=True)
class _Frame:
    """A frame of MP3: where it begins, its bytes, its four bytes of header, and where a count of frames would stand."""

    begin: int
    n_bytes: int
    header: bytes
    side: int


def write_mp3_with_length(stream: IO[bytes], out: IO[bytes]) -> bool:
    """Write an MP3 anew whose length is not said or only of its beginning, with a frame in front that says it.

    The length of an MP3 without such a frame is estimated from its first frame: with a variable bit rate by far too
    little or too much. Of files joined by their bytes the first one's is believed.

    Returns:
        Whether anything was written; nothing is where the length is right, or this is no MP3.
    """
    begin = stream.tell()
    head = stream.read(_PIECE)
    first = _first_frame(head)
    said = 0 if first is None else _said_bytes(head, first)
    rest = b""
    if first is not None and said:
        stream.seek(begin + first.begin + said)
        rest = stream.read(_PIECE)
    stream.seek(begin)
    if first is None or (said and _first_frame(rest) is None):
        return False
    content = stream.read()
    stream.seek(begin)
    frames = [frame for frame in _frames(content, first) if not _said_bytes(content, frame)]
    steady = len({(frame.header[1], frame.header[2] & 0xFC) for frame in frames}) == 1
    if not frames or (not said and steady):
        return False
    n_bytes = sum(frame.n_bytes for frame in frames)
    out.write(_length_frame(frames[0], len(frames), n_bytes))
    for frame in frames:
        out.write(content[frame.begin : frame.begin + frame.n_bytes])
    return True


def _first_frame(content: bytes) -> _Frame | None:
    """The first of two frames that follow each other, after a tag or none."""
    position = 0
    while content[position : position + 3] == b"ID3":
        position += _tag_bytes(content, position)
    for begin in range(position, min(len(content), position + 4096)):
        frame = _frame_at(content, begin)
        if frame is not None and _frame_at(content, begin + frame.n_bytes) is not None:
            return frame
    return None


def _tag_bytes(content: bytes, position: int) -> int:
    size = content[position + 6 : position + 10]
    return 10 + sum(byte << 7 * (3 - i) for i, byte in enumerate(size)) if len(size) == 4 else len(content)


def _frame_at(content: bytes, begin: int) -> _Frame | None:
    header = content[begin : begin + 4]
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:  # in step, and layer III
        return None
    version, bits, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or bits in (0, 15) or rate == 3:
        return None
    first = version == 3
    kilobits, hertz = _KILOBITS[1 if first else 2][bits], _HERTZ[version][rate]
    n_bytes = (144_000 if first else 72_000) * kilobits // hertz + (header[2] >> 1 & 1)
    is_mono = header[3] >> 6 == 3
    return _Frame(begin, n_bytes, header, 4 + ((17 if is_mono else 32) if first else (9 if is_mono else 17)))


def _frames(content: bytes, first: _Frame) -> list[_Frame]:
    """All frames from the first on; what is none of them, tags and damage, is passed over."""
    frames, position = [], first.begin
    while position + 4 <= len(content):
        frame = _frame_at(content, position)
        if frame is not None and position + frame.n_bytes <= len(content):
            frames.append(frame)
            position += frame.n_bytes
        elif content[position : position + 3] == b"ID3":
            position += _tag_bytes(content, position)
        else:
            position = content.find(b"\xff", position + 1)
            if position < 0:
                break
    return frames


def _said_bytes(content: bytes, frame: _Frame) -> int:
    """The bytes that a frame says follow, itself among them, where it is one that holds no sound but the length."""
    at = frame.begin + frame.side
    if content[at : at + 4] in (b"Xing", b"Info"):
        (flags,) = struct.unpack(">I", content[at + 4 : at + 8].rjust(4, b"\0"))
        place = at + 8 + 4 * (flags & 1)
        return int.from_bytes(content[place : place + 4], "big") if flags & 2 else frame.n_bytes
    if content[frame.begin + 36 : frame.begin + 40] == b"VBRI":
        return int.from_bytes(content[frame.begin + 46 : frame.begin + 50], "big")
    return 0


def _length_frame(like: _Frame, n_frames: int, n_bytes: int) -> bytes:
    """A frame without sound that says how many frames follow (Xing's header), as libmpg123 reads it."""
    for bits in range(1, 15):
        header = bytes([0xFF, like.header[1] | 1, bits << 4 | like.header[2] & 0x0C, like.header[3]])
        frame = _frame_at(header, 0)
        if frame is not None and frame.n_bytes >= frame.side + 16:
            said = struct.pack(">4sIII", b"Xing", 3, n_frames, n_bytes + frame.n_bytes)
            return (header + bytes(frame.side - 4) + said).ljust(frame.n_bytes, b"\0")
    raise AssertionError("every rate has a frame of so many bytes")
