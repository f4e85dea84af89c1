"""What a recording's container says of its length, and where it says too little or too much.

libsndfile believes headers. Where one promises more than is there the recording was cut off; where it promises less, a
program died before it wrote the length, or files were joined by their bytes: the rest would be heard by nobody.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from audiornn.errors import AudioError
from audiornn.wav_stream import UNKNOWN_LENGTH

__all__ = [
    "Mp3Length",
    "check_length",
    "found_short",
    "holds_more_samples",
    "length_of_mp3",
    "refuse_joined",
    "write_mp3_with_length",
]

_PIECE = 1 << 20
_ID3V1_BYTES = 128
_LEAST_REST = 1024  # bytes after a WAV's samples that are hardly notes or padding
_REMEDY = "write it anew, e.g. ffmpeg -i FILE whole.wav"
_FLAC = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")  # and the first block's kind and length, which never differ
_FLAC_BYTES = 8


def check_length(stream: IO[bytes], name: str) -> None:
    """Raise an AudioError for a WAV or SPHERE that is shorter than its header says; libsndfile would say nothing."""
    begin = stream.tell()
    head = stream.read(1024)
    size = stream.seek(0, 2) - begin
    promised = 0
    if head[:4] == b"RIFF":
        promised = _wav_length(stream, begin)
    elif head[:4] == b"NIST":
        promised = _sphere_length(head)
    stream.seek(begin)
    if not size:
        raise AudioError(f"{name}: is empty" + (", or was read to its end: file.seek(0)" if begin else ""))
    if promised > size:
        raise AudioError(
            f"{name}: is truncated: its header promises {promised:,} bytes, {size:,} are there; copy or record it again"
        )


def refuse_joined(stream: IO[bytes], name: str) -> None:
    """Raise an AudioError for Ogg or FLAC files joined by their bytes, of which only the first would be heard.

    All of the file is looked through.
    """
    begin = stream.tell()
    head = stream.read(10)
    at = begin + (_tag_bytes(head, 0) if head[:3] == b"ID3" else 0)
    stream.seek(at)
    magic = stream.read(4)
    is_joined = (magic == b"OggS" and _is_chained(stream, at)) or (magic == b"fLaC" and _holds_flac(stream, at + 4))
    stream.seek(begin)
    if is_joined:
        kind = "Ogg recordings" if magic == b"OggS" else "FLAC files"
        raise AudioError(f"{name}: is several {kind} joined, of which only the first would be read; {_REMEDY}")


def found_short(log: str) -> bool:
    """Whether libsndfile, which reads what there is and says nothing, noted that there should be more."""
    for promised, found in re.findall(r"(?:data|SSND|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)\)", log):
        if int(found) < int(promised) < UNKNOWN_LENGTH:
            return True
    return "Junk after the last page" in log  # half a page of Ogg


def holds_more_samples(stream: IO[bytes], begin: int, header_bytes: int, n_bytes: int) -> bool:
    """Whether a WAV goes on after the samples that its header promises, which is out of date then.

    Programs write a length when they begin, and the true one when they are done, unless they are killed. What follows
    the samples may be notes, well written or not, and padding; samples are what is as long as all before, or what the
    length of the whole file, which is written last, does not know of either. After no samples at all, zeros are some.

    Args:
        stream: of the file.
        begin: where in it the WAV begins.
        header_bytes: before the samples.
        n_bytes: of samples that are promised.
    """
    end = header_bytes + n_bytes
    size = stream.seek(0, 2) - begin
    stream.seek(begin + 4)
    (riff_bytes,) = struct.unpack("<I", stream.read(4))
    knows_of_rest = riff_bytes + 8 > end + 1
    if size - end <= (max(_LEAST_REST, end) if n_bytes and knows_of_rest else 0):
        return False
    if n_bytes and _is_padding(stream, begin + end):
        return False
    return not any(_are_notes(stream, begin + place, begin + size) for place in {end, end + end % 2})


def _is_padding(stream: IO[bytes], position: int) -> bool:
    """Whether a file ends with nothing but zeros and ends of lines."""
    stream.seek(position)
    while piece := stream.read(_PIECE):
        if piece.strip(b"\0\r\n"):
            return False
    return True


def _are_notes(stream: IO[bytes], position: int, end: int) -> bool:
    """Whether a file ends with a tag or chunks."""
    stream.seek(position)
    if stream.read(3) in (b"TAG", b"ID3"):
        return True
    while position + 8 <= end:
        stream.seek(position)
        identifier, length = struct.unpack("<4sI", stream.read(8))
        if not re.fullmatch(rb"[ -~]{4}", identifier) or position + 8 + length > end + 1:
            return False
        position += 8 + length + length % 2
    return True


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


def _is_chained(stream: IO[bytes], begin: int) -> bool:
    """Whether an Ogg stream begins after another's pages have begun to come (RFC 3533, chaining)."""
    position, only_begun = begin, True
    while True:
        stream.seek(position)
        page = stream.read(27)
        if len(page) < 27 or page[:4] != b"OggS":
            return False
        begins = bool(page[5] & 2)
        if begins and not only_begun:
            return True
        only_begun &= begins
        position += 27 + page[26] + sum(stream.read(page[26]))


def _holds_flac(stream: IO[bytes], begin: int) -> bool:
    """Whether a FLAC file begins anywhere from a place on."""
    stream.seek(begin)
    tail = b""
    while piece := stream.read(_PIECE):
        if _FLAC.search(tail + piece):
            return True
        tail = piece[-_FLAC_BYTES:]
    return False


# --- MP3 (ISO 11172-3 and 13818-3, layer III) ---

_KILOBITS = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_HERTZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # MPEG 1, 2, 2.5


@dataclass(frozen=True)
class Mp3Length:
    """The length of an MP3 that does not say it: where its frames begin, how many, their bytes, the first's header."""

    begin: int
    n_frames: int
    n_bytes: int
    header: bytes


@dataclass(frozen=True)
class _Frame:
    """A frame of MP3: where it begins, its bytes, its four bytes of header, and where a count of frames would stand."""

    begin: int
    n_bytes: int
    header: bytes
    side: int

    @property
    def form(self) -> tuple[int, int, bool]:
        """What a decoder cannot change on the way: MPEG's version, the rate, and whether it is mono."""
        return self.header[1] & 0x18, self.header[2] & 0x0C, self.header[3] >> 6 == 3


def length_of_mp3(stream: IO[bytes], name: str) -> Mp3Length | None:
    """The length of an MP3 that says none or only that of its beginning; None where it is right, or this is no MP3.

    The length of an MP3 without a frame that says it is estimated from its first frame: with a variable bit rate by far
    too little or too much. Of files joined by their bytes the first one's is believed.

    Raises:
        AudioError: MP3s of different forms are joined.
    """
    begin = stream.tell()
    at = _after_tags(stream, begin)
    head = stream.read(_PIECE)
    first = _first_chain(head, 0)
    said = 0 if first is None else _said_bytes(head, first)
    rest = b""
    if first is not None and said:
        stream.seek(_after_tags(stream, at + first.begin + said))
        rest = stream.read(_PIECE)
    size = stream.seek(0, 2)
    stream.seek(begin)
    if first is None or (said and _first_chain(rest, 0, may_end=False) is None):
        return None
    n_frames, n_bytes, forms, header = 0, 0, set[tuple[int, int, bool]](), first.header
    with _contents(stream) as content:
        for frame in _frames(content, at + first.begin):
            if not _said_bytes(content, frame):
                header = frame.header if not n_frames else header
                n_frames, n_bytes = n_frames + 1, n_bytes + frame.n_bytes
                forms.add(frame.form)
    stream.seek(begin)
    # Only where all frames are of one length, and nothing stands before or after them, is the estimate right.
    is_estimable = n_bytes == n_frames * first.n_bytes and at + first.begin == begin
    if not n_frames or (not said and is_estimable and size - begin - n_bytes in (0, _ID3V1_BYTES)):
        return None
    if len(forms) > 1:
        raise AudioError(f"{name}: is several MP3s of different rates or channels joined; {_REMEDY}")
    return Mp3Length(at + first.begin, n_frames, n_bytes, header)


def write_mp3_with_length(stream: IO[bytes], out: IO[bytes], length: Mp3Length) -> None:
    """Write an MP3 anew with a frame in front that says its length.

    What players cut off at the beginning, some hundredths of a second of the encoder's delay, is heard then.
    """
    begin = stream.tell()
    out.write(_length_frame(length))
    with _contents(stream) as content:
        for frame in _frames(content, length.begin):
            if not _said_bytes(content, frame):
                out.write(content[frame.begin : frame.begin + frame.n_bytes])
    stream.seek(begin)


@contextlib.contextmanager
def _contents(stream: IO[bytes]) -> Iterator[bytes | mmap.mmap]:
    """All bytes of a file, in memory only where it is no file on disk; what unpacks another has that one's number."""
    raw = getattr(getattr(stream, "file", stream), "raw", stream)
    if not isinstance(raw, io.FileIO):
        stream.seek(0)
        yield stream.read()
        return
    with mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        yield mapped


def _after_tags(stream: IO[bytes], position: int) -> int:
    """Where a file goes on after ID3 tags, which pictures make long; the stream stands there."""
    stream.seek(position)
    while (head := stream.read(10))[:3] == b"ID3":
        position += _tag_bytes(head, 0)
        stream.seek(position)
    stream.seek(position)
    return position


def _first_chain(content: bytes | mmap.mmap, position: int, *, may_end: bool = True) -> _Frame | None:
    """The first of three frames that follow each other from a place on; or of fewer at the very end."""
    while (position := content.find(b"\xff", position)) >= 0:
        first = frame = _frame_at(content, position)
        for _ in range(2):
            end = None if frame is None else frame.begin + frame.n_bytes
            if end is None or end > len(content) or (may_end and end == len(content)):
                break
            frame = _frame_at(content, end)
        if first is not None and frame is not None and frame.begin + frame.n_bytes <= len(content):
            return first
        position += 1
    return None


def _tag_bytes(content: bytes | mmap.mmap, position: int) -> int:
    size = content[position + 6 : position + 10]
    return 10 + sum(byte << 7 * (3 - i) for i, byte in enumerate(size)) if len(size) == 4 else len(content)


def _frame_at(content: bytes | mmap.mmap, begin: int) -> _Frame | None:
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


def _frames(content: bytes | mmap.mmap, begin: int) -> Iterator[_Frame]:
    """All frames from the first on; what is none of them, tags and damage, is passed over to the next three."""
    position = begin
    while position + 4 <= len(content):
        frame = _frame_at(content, position)
        if frame is None or position + frame.n_bytes > len(content):
            if content[position : position + 3] == b"ID3":
                position += _tag_bytes(content, position)
                continue
            frame = _first_chain(content, position + 1, may_end=False)
            if frame is None:
                return
        yield frame
        position = frame.begin + frame.n_bytes


def _said_bytes(content: bytes | mmap.mmap, frame: _Frame) -> int:
    """The bytes that a frame says follow, itself among them, where it is one that holds no sound but the length."""
    at = frame.begin + frame.side
    if content[at : at + 4] in (b"Xing", b"Info"):
        (flags,) = struct.unpack(">I", content[at + 4 : at + 8].rjust(4, b"\0"))
        place = at + 8 + 4 * (flags & 1)
        return int.from_bytes(content[place : place + 4], "big") if flags & 2 else len(content)
    if content[frame.begin + 36 : frame.begin + 40] == b"VBRI":
        return int.from_bytes(content[frame.begin + 46 : frame.begin + 50], "big")
    return 0


def _length_frame(length: Mp3Length) -> bytes:
    """A frame without sound that says how many frames follow (Xing's header), as libmpg123 reads it."""
    like = length.header
    for bits in range(1, 15):
        header = bytes([0xFF, like[1] | 1, bits << 4 | like[2] & 0x0C, like[3]])
        frame = _frame_at(header, 0)
        if frame is not None and frame.n_bytes >= frame.side + 16:
            said = struct.pack(">4sIII", b"Xing", 3, length.n_frames, length.n_bytes + frame.n_bytes)
            return (header + bytes(frame.side - 4) + said).ljust(frame.n_bytes, b"\0")
    raise AssertionError("every rate has a frame of so many bytes")
