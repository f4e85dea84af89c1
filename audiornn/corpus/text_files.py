"""Text files of strangers: their encodings and line ends."""

from __future__ import annotations

from pathlib import Path

from audiornn.errors import CorpusError

__all__ = ["read_text"]


def read_text(path: Path, encoding: str = "") -> str:
    r"""A text file, by its byte-order mark, else in `encoding`, else UTF-8 or UTF-16; lines end with `\n`.

    Raises:
        CorpusError: it cannot be read, or is in another encoding; the first bad line is named.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read ({error.strerror or error})") from None
    # Praat's files of one folder may be UTF-16 with a mark, and Latin-1: the mark goes before what was asked for.
    marks = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe\0\0": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
    encoding = next((code for mark, code in marks.items() if raw.startswith(mark)), encoding or _without_mark(raw))
    try:
        text = raw.decode(encoding)
    except LookupError:
        raise CorpusError(
            f"{path}: no such encoding: {encoding!r}; utf-8, utf-16, latin-1 and cp1252 are some"
        ) from None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise CorpusError(
            f"{path}, line {line}: is not {encoding.upper()} (byte 0x{raw[error.start]:02X}); save it as UTF-8, or "
            "name its encoding, which may be --encoding cp1252 or latin-1"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise CorpusError(f"{path}, line {line}: holds zero bytes; if it is UTF-16, say --encoding utf-16")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _without_mark(raw: bytes) -> str:
    """UTF-8, unless it begins as UTF-16 does: two Latin letters, of which every other byte is zero."""
    zeros = [byte == 0 for byte in raw[:4]]
    if zeros == [True, False, True, False]:
        return "utf-16-be"
    return "utf-16-le" if zeros == [False, True, False, True] else "utf-8"
