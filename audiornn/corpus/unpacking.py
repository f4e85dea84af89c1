"""Unpacking an archive that nobody vouches for: nothing is written outside its folder, and nothing without end.

`tarfile` has filters for some of this since Python 3.12 (PEP 706); these checks hold for every version, and for zip.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from audiornn.errors import CorpusError
from audiornn.files import explain_write_error

__all__ = ["BadArchiveError", "least_contents", "unpack"]

_BLOCK = 1 << 20
_MAX_MEMBERS = 1_000_000  # of an archive; the largest part of LibriSpeech has some 150,000
_EXPANSION = 20  # speech shrinks to a half; what grows by more than this is no recording
_SMALL = 100_000_000  # bytes that an archive may always unpack to, however small it is
_LONGEST_LINK = 4096
_LONGEST_SHOWN = 200  # characters of a name in a message
_DEEPEST = 100  # folders in folders
_WINDOWS_NAMES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?|.*[. ]|.*[<>:\"|?*].*")

#: What Python's readers raise on a damaged archive; an OSError with no number is gzip's and bzip2's.
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    OverflowError,
)


class BadArchiveError(CorpusError):
    """An archive that is damaged, or that would do harm."""


def least_contents(file: Path) -> int:
    """Bytes that an archive unpacks to, at least."""
    if _is_zip(file):
        with contextlib.suppress(zipfile.BadZipFile, ValueError), zipfile.ZipFile(file) as opened:
            return sum(member.file_size for member in opened.infolist())
    return file.stat().st_size


def _is_zip(file: Path) -> bool:
    # zipfile.is_zipfile looks at the end, and takes a tar that ends in a zip for one.
    with open(file, "rb") as raw:
        return raw.read(4) in (b"PK\3\4", b"PK\5\6")


@dataclass(frozen=True)
class _Member:
    """One entry of an archive: a file (`open`), a folder, a link (`target`), or something that is refused."""

    name: str
    kind: str
    size: int = 0
    target: str = ""
    open: Callable[[], IO[bytes] | None] = field(default=lambda: None, repr=False)


def unpack(archive_file: Path, folder: Path, *, root: str = "", limit: int = 0, max_members: int = _MAX_MEMBERS) -> int:
    """Unpack a tar (plain, gzip, bzip2 or xz) or a zip into a new folder, all or nothing.

    Nothing is written outside `folder`, through a link, or with another's permissions: files get those of any new
    file. Symbolic links may stay inside the folder; a hard link becomes a copy.

    Args:
        archive_file: of either kind, whatever its name.
        folder: is created; may exist if it is empty.
        root: the folder inside the archive whose contents are wanted.
        limit: bytes of contents at most; 0 is 20 times the archive, or 100 MB where that is more.
        max_members: entries at most.

    Returns:
        How many files were written.

    Raises:
        CorpusError: it is damaged or would do harm, or the folder cannot be written. `folder` is gone then.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CorpusError(f"{folder}: is not an empty folder; an archive is unpacked into a new one")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        limit = limit or max(_EXPANSION * archive_file.stat().st_size, _SMALL)
        return _Unpacker(archive_file, folder, root, limit, max_members).run()
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError) and error.errno is not None:
            raise CorpusError(str(explain_write_error(error, Path(error.filename or folder)))) from error
        if isinstance(error, _DAMAGE):
            words = " ".join(str(error).split()) or type(error).__name__
            raise BadArchiveError(f"{archive_file}: is damaged or cut short ({words})") from error
        raise


class _Unpacker:
    """One archive on its way into one folder."""

    def __init__(self, file: Path, folder: Path, root: str, limit: int, max_members: int) -> None:
        self.file, self.folder, self.limit, self.max_members = file, folder, limit, max_members
        self.root = tuple(part for part in root.split("/") if part)
        self.real_folder = os.path.realpath(folder)
        self.n_bytes = 0
        self.folders = {folder}  # made by us, so no link
        self.links: list[Path] = []

    def run(self) -> int:
        members = _zip_members(self.file) if _is_zip(self.file) else _tar_members(self.file)
        with contextlib.closing(members):  # an error would keep the archive open, and Windows removes no open file
            for number, member in enumerate(members, start=1):
                if number > self.max_members:
                    raise self.refusal(member, f"is one more than the {self.max_members:,} members allowed")
                parts = self.parts(member, member.name)
                if parts[: len(self.root)] == self.root:
                    self.write(member, self.folder.joinpath(*parts[len(self.root) :]))
                else:
                    self.count(member, member.size)
        for link in self.links:  # only now: a chain of links goes where the last of them goes
            if not self.is_inside(os.path.realpath(link)):
                raise BadArchiveError(f"{self.file}: the link {link.relative_to(self.folder)} leads out of the folder")
        n_files = sum(len(names) for _, _, names in os.walk(self.folder))
        if not n_files:
            below = f" below {'/'.join(self.root)}/" if self.root else ""
            raise BadArchiveError(f"{self.file}: holds no files{below}; another version of the archive?")
        return n_files

    def refusal(self, member: _Member, problem: str) -> BadArchiveError:
        name = member.name if len(member.name) <= _LONGEST_SHOWN else f"{member.name[:_LONGEST_SHOWN]}…"
        return BadArchiveError(f"{self.file}: its member {name!r} {problem}; nothing of it was kept")

    def parts(self, member: _Member, name: str) -> tuple[str, ...]:
        """A member's path, if it can be one."""
        try:
            name.encode()
        except UnicodeEncodeError:
            raise self.refusal(member, "has a name that is not UTF-8") from None
        if name.startswith("/") or re.match(r"[A-Za-z]:[/\\]", name):
            raise self.refusal(member, "has an absolute path")
        if "\\" in name or any(ord(character) < 32 for character in name):
            raise self.refusal(member, "has a backslash or a control character in its name")
        parts = tuple(part for part in name.split("/") if part not in ("", "."))
        if ".." in parts:
            raise self.refusal(member, "leaves the folder by '..'")
        if len(parts) > _DEEPEST:
            raise self.refusal(member, f"lies more than {_DEEPEST} folders deep")
        if os.name == "nt" and any(_WINDOWS_NAMES.fullmatch(part) for part in parts):
            raise self.refusal(member, "has a name that Windows keeps for itself")
        return parts

    def write(self, member: _Member, target: Path) -> None:
        if member.kind == "folder":
            self.make_folder(member, target)
            return
        if target == self.folder:
            raise self.refusal(member, "has the name of the folder itself")
        self.make_folder(member, target.parent)
        before = _kind_on_disk(target)
        if before in ("folder", "link"):
            raise self.refusal(member, f"stands where the archive has put a {before}")
        if member.kind == "link":
            self.make_link(member, target, before)
        elif member.kind in ("file", "hard link"):
            # The source first: a link to its own name must not lose it.
            source = self.linked_file(member, target) if member.kind == "hard link" else None
            if before:
                target.unlink()  # as tar does: the later of two members counts
            with source or member.open() or contextlib.nullcontext() as opened, open(target, "xb") as out:
                self.copy(member, opened, out)
        else:
            raise self.refusal(member, f"is a {member.kind}, neither file, folder nor link")

    def make_folder(self, member: _Member, path: Path) -> None:
        """Make a folder and those above it; none may be a link, or all below would go where it points."""
        if path in self.folders:
            return
        self.make_folder(member, path.parent)
        before = _kind_on_disk(path)
        if before in ("link", "file"):
            raise self.refusal(member, f"goes through {path.relative_to(self.folder)}, which is a {before}")
        if not before:
            path.mkdir()
        self.folders.add(path)

    def make_link(self, member: _Member, target: Path, before: str) -> None:
        to = os.path.normpath(f"{os.path.realpath(target.parent)}/{member.target}")
        if not member.target or re.match(r"/|[A-Za-z]:", member.target) or not self.is_inside(to):
            raise self.refusal(member, f"is a link out of the folder, to {member.target!r}")
        if before:
            target.unlink()
        target.symlink_to(member.target)
        self.links.append(target)

    def linked_file(self, member: _Member, target: Path) -> IO[bytes]:
        """The file that a hard link names, by its path from the archive's top."""
        parts = self.parts(member, member.target)
        source = self.folder.joinpath(*parts[len(self.root) :])
        if parts[: len(self.root)] != self.root or source == target or source.parent not in self.folders:
            raise self.refusal(member, f"is a hard link to {member.target!r}, which is not in the folder")
        if _kind_on_disk(source) != "file":
            raise self.refusal(member, f"is a hard link to {member.target!r}, which is no file in the folder")
        return open(source, "rb")

    def is_inside(self, path: str) -> bool:
        return os.path.commonpath([self.real_folder, path]) == self.real_folder

    def copy(self, member: _Member, source: IO[bytes] | None, out: IO[bytes]) -> None:
        n_bytes = 0
        while source is not None and (block := source.read(_BLOCK)):
            n_bytes += len(block)
            self.count(member, len(block))
            out.write(block)
        if member.kind == "file" and n_bytes != member.size:
            raise EOFError(f"{member.name} has {n_bytes:,} of its {member.size:,} bytes")

    def count(self, member: _Member, n_bytes: int) -> None:
        self.n_bytes += n_bytes
        if self.n_bytes > self.limit:
            raise self.refusal(member, f"brings the contents above {self.limit:,} bytes, too much for this archive")


def _kind_on_disk(path: Path) -> str:
    """What is there, links not followed: "file", "folder", "link", or "" for nothing."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return ""
    return "link" if stat.S_ISLNK(mode) else "folder" if stat.S_ISDIR(mode) else "file"


class _StrictInfo(tarfile.TarInfo):
    """A header that is none is damage; tarfile itself would take it for the archive's end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _StrictInfo:
        try:
            return super().frombuf(buf, encoding, errors)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(str(error)) from error


def _tar_members(file: Path) -> Generator[_Member, None, None]:
    with (
        _decompressed(file) as stream,
        tarfile.open(
            fileobj=stream, mode="r:", tarinfo=_StrictInfo, encoding="utf-8", errors="surrogateescape"
        ) as archive,
    ):
        opened: Any = archive
        while (entry := opened.next()) is not None:
            opened.members.clear()  # it would remember them all
            kind = next((kind for test, kind in _TAR_KINDS.items() if getattr(entry, test)()), "special file")

            def contents(entry: tarfile.TarInfo = entry) -> IO[bytes] | None:
                found: IO[bytes] | None = opened.extractfile(entry)
                return found

            yield _Member(entry.name, kind, entry.size if kind == "file" else 0, entry.linkname, contents)
        n_left = 0  # tarfile stops before the checksum of gzip, which comes last
        while block := stream.read(_BLOCK):
            n_left += len(block)
            if n_left > _SMALL:
                raise tarfile.ReadError("something else follows its end")


_TAR_KINDS = {"isfile": "file", "isdir": "folder", "issym": "link", "islnk": "hard link", "isdev": "device or pipe"}


def _decompressed(file: Path) -> Any:
    with open(file, "rb") as raw:
        start = raw.read(6)
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(file)
    if start.startswith(b"BZh"):
        return bz2.open(file)
    if start == b"\xfd7zXZ\0":
        return lzma.open(file)
    return open(file, "rb")


def _zip_members(file: Path) -> Generator[_Member, None, None]:
    with zipfile.ZipFile(file) as opened:
        for entry in opened.infolist():
            mode = entry.external_attr >> 16
            kind, target = "folder" if entry.filename.endswith("/") else "file", ""
            if entry.flag_bits & 1:
                raise BadArchiveError(f"{file}: its member {entry.filename!r} is encrypted")
            if stat.S_ISLNK(mode):
                with opened.open(entry) as contents:
                    kind, target = "link", contents.read(_LONGEST_LINK).decode()
            elif stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                kind = "special file"

            def open_member(entry: zipfile.ZipInfo = entry) -> IO[bytes]:
                return opened.open(entry)

            yield _Member(entry.filename, kind, 0 if kind == "folder" else entry.file_size, target, open_member)
