"""Unpacking: every kind of archive, and every attack that one may hold."""

import gzip
import io
import os
import stat
import tarfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from audiornn.corpus.unpacking import least_contents, unpack
from audiornn.errors import CorpusError

FILES = {"a/b/one.wav": b"one" * 1000, "a/two.wav": b"two", "three.txt": b""}


def entry(name, content=b"", *, kind=tarfile.REGTYPE, target="", mode=0o644, size=None):
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode = kind, target, mode
    made.size = len(content) if size is None else size
    return made, content


def folder(name):
    return entry(name, kind=tarfile.DIRTYPE, mode=0o755)


def symlink(name, target):
    return entry(name, kind=tarfile.SYMTYPE, target=target)


def hard_link(name, target):
    return entry(name, kind=tarfile.LNKTYPE, target=target)


def write_tar(path, *entries, compression="gz", **options):
    with tarfile.open(path, f"w:{compression}", **options) as archive:
        for made, content in entries:
            archive.addfile(made, io.BytesIO(content))
    return path


def write_zip(path, *entries):
    """Entries are (name or ZipInfo, content)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that occur twice
        for name, content in entries:
            archive.writestr(name, content)
    return path


def contents(where):
    return {p.relative_to(where).as_posix(): p.read_bytes() for p in where.rglob("*") if p.is_file()}


def is_open(path):
    """Whether this process has a file open; only Linux can be asked."""
    descriptors = Path("/proc/self/fd")
    return descriptors.is_dir() and any(os.path.realpath(fd) == os.path.realpath(path) for fd in descriptors.iterdir())


def refused(path, tmp_path, said, **options):
    """The archive is refused in one line, and nothing is left or has changed beside its folder."""
    into = tmp_path / "deep" / "into"
    into.parent.mkdir(exist_ok=True)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CorpusError) as caught:
        unpack(path, into, **options)
    line = str(caught.value)
    assert "\n" not in line
    assert said in line, line
    assert not is_open(path)  # while the error is there: Windows removes no open file
    assert str(path) in line
    assert sorted(tmp_path.rglob("*")) == before
    return line


# --- what works ---


@pytest.mark.parametrize("kind", ["", "gz", "bz2", "xz", "zip"])
def test_every_kind_whatever_its_name(tmp_path, kind):
    path = tmp_path / "archive"
    if kind == "zip":
        write_zip(path, *FILES.items())
    else:
        write_tar(path, *(entry(*file) for file in FILES.items()), compression=kind)
    assert unpack(path, tmp_path / "into") == 3
    assert contents(tmp_path / "into") == FILES
    assert least_contents(path) == (3003 if kind == "zip" else path.stat().st_size)


@pytest.mark.parametrize("dialect", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_the_formats_of_tar(tmp_path, dialect):
    name = f"{'long' * 20}/Sprecherin_ä_話者/{'x' * 60}.wav"
    path = write_tar(tmp_path / "a", entry(name, b"1"), format=dialect)
    unpack(path, tmp_path / "into")
    assert contents(tmp_path / "into") == {name: b"1"}


def test_the_root_is_stripped_and_what_lies_beside_it_left_out(tmp_path):
    path = write_tar(
        tmp_path / "a",
        entry("./a/b/one.wav", b"1"),
        entry("a/two.wav", b"2"),
        entry("README", b"3"),
        entry("ab/c", b"4"),
    )
    assert unpack(path, tmp_path / "into", root="a") == 2
    assert contents(tmp_path / "into") == {"b/one.wav": b"1", "two.wav": b"2"}
    assert unpack(path, tmp_path / "deeper", root="a/b") == 1
    refused(path, tmp_path, "holds no files below c/", root="c")


def test_links_that_stay_inside(tmp_path):
    path = write_tar(
        tmp_path / "a",
        entry("top/a/one.wav", b"1"),
        symlink("top/b.wav", "a/one.wav"),
        symlink("top/a/up", "../b.wav"),
        hard_link("top/c.wav", "top/a/one.wav"),
    )
    assert unpack(path, tmp_path / "into", root="top") == 4
    assert (tmp_path / "into/a/up").read_bytes() == (tmp_path / "into/c.wav").read_bytes() == b"1"
    assert (tmp_path / "into/c.wav").stat().st_nlink == 1, "a copy: changing one does not change the other"


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
def test_permissions_are_those_of_any_new_file(tmp_path):
    path = write_tar(
        tmp_path / "a",
        entry("set", b"1", mode=0o6777),
        entry("none", b"2", mode=0),
        entry("d", kind=tarfile.DIRTYPE, mode=0),
    )
    unpack(path, tmp_path / "into")
    (tmp_path / "ours").touch()
    for name in ("set", "none"):
        assert stat.S_IMODE((tmp_path / "into" / name).stat().st_mode) == stat.S_IMODE(
            (tmp_path / "ours").stat().st_mode
        )
    assert os.access(tmp_path / "into/d", os.R_OK | os.X_OK)


def test_a_tar_that_ends_in_a_zip_is_a_tar(tmp_path):
    inner = write_zip(tmp_path / "inner", ("x", b"1")).read_bytes()
    unpack(write_tar(tmp_path / "a", entry("inner.zip", inner), compression=""), tmp_path / "into")
    assert contents(tmp_path / "into") == {"inner.zip": inner}


def test_the_later_of_two_files_counts(tmp_path):
    unpack(write_tar(tmp_path / "a", entry("x", b"1"), entry("x", b"22")), tmp_path / "tar")
    unpack(write_zip(tmp_path / "b", ("x", b"1"), ("x", b"22")), tmp_path / "zip")
    assert contents(tmp_path / "tar") == contents(tmp_path / "zip") == {"x": b"22"}


def test_only_a_new_folder_is_unpacked_into(tmp_path):
    path = write_tar(tmp_path / "a", entry("x", b"1"))
    (tmp_path / "into").mkdir()
    unpack(path, tmp_path / "into")
    with pytest.raises(CorpusError, match="not an empty folder"):
        unpack(path, tmp_path / "into")
    assert contents(tmp_path / "into") == {"x": b"1"}


# --- attacks ---

ESCAPES = {
    "absolute": ([entry("/tmp/audiornn_escaped", b"x")], "has an absolute path"),
    "drive": ([entry("C:/escaped", b"x")], "has an absolute path"),
    "up": ([entry("../escaped", b"x")], "leaves the folder by '..'"),
    "up inside": ([entry("a/../../escaped", b"x")], "leaves the folder by '..'"),
    "backslash": ([entry("..\\escaped", b"x")], "has a backslash"),
    "newline": ([entry("a\nb", b"x")], "control character"),
    "folder up": ([folder("../escaped")], "leaves the folder"),
    "absolute link": ([symlink("a", "/etc/passwd")], "link out of the folder"),
    "link up": ([symlink("a", "../escaped")], "link out of the folder"),
    "link to nothing": ([symlink("a", "")], "link out of the folder"),
    "through a link": ([symlink("a", "."), entry("a/x", b"x")], "goes through a, which is a link"),
    "over a link": ([symlink("a", "b"), entry("a", b"x")], "stands where the archive has put a link"),
    "link over a folder": ([folder("a"), symlink("a", "b")], "has put a folder"),
    "folder over a link": ([symlink("a", "."), folder("a")], "goes through a, which is a link"),
    "link over a folder of links": ([entry("d/x", b"1"), symlink("d", "e")], "has put a folder"),
    # Seen alone each of these stays inside; together they do not (as in CVE-2025-4517).
    "chain": ([folder("a/b"), symlink("a/b/l", "../.."), symlink("m", "a/b/l/../escaped")], "leads out of the folder"),
    "hard link out": ([hard_link("a", "../escaped")], "leaves the folder"),
    "absolute hard link": ([hard_link("a", "/etc/passwd")], "has an absolute path"),
    "hard link to nothing": ([hard_link("a", "b")], "is no file in the folder"),
    "hard link to itself": ([entry("a", b"1"), hard_link("a", "a")], "not in the folder"),
    "hard link through a link": ([symlink("l", "."), entry("x", b"1"), hard_link("a", "l/x")], "not in the folder"),
    "hard link to a link": ([symlink("l", "x"), entry("x", b"1"), hard_link("a", "l")], "is no file in the folder"),
    "fifo": ([entry("a", kind=tarfile.FIFOTYPE)], "is a device or pipe"),
    "device": ([entry("a", kind=tarfile.CHRTYPE)], "is a device or pipe"),
    "block device": ([entry("a", kind=tarfile.BLKTYPE)], "is a device or pipe"),
    "file under a file": ([entry("a", b"1"), entry("a/b", b"2")], "goes through a, which is a file"),
    "the folder itself": ([entry(".", b"1")], "name of the folder itself"),
    "too deep": ([entry("a/" * 5000 + "x", b"1")], "lies more than 100 folders deep"),
    "no files": ([folder("a")], "holds no files"),
    "not UTF-8": ([entry("caf\udce9.wav", b"1")], "name that is not UTF-8"),
}


@pytest.mark.parametrize("name", ESCAPES)
def test_an_attack_by_tar(tmp_path, name):
    entries, said = ESCAPES[name]
    path = write_tar(tmp_path / "a.tar.gz", *entries, format=tarfile.GNU_FORMAT, errors="surrogateescape")
    refused(path, tmp_path, said)
    assert not (tmp_path / "escaped").exists()
    assert not os.path.lexists("/tmp/audiornn_escaped")


def zip_entry(name, mode):
    made = zipfile.ZipInfo(name)
    made.create_system, made.external_attr = 3, mode << 16
    return made


ZIP_ESCAPES = {
    "absolute": ([("/tmp/audiornn_escaped", b"x")], "has an absolute path"),
    "up": ([("../escaped", b"x")], "leaves the folder by '..'"),
    "backslash": ([("..\\escaped", b"x")], "backslash" if os.sep == "/" else "leaves the folder"),
    "link": ([(zip_entry("a", stat.S_IFLNK | 0o777), b"../../escaped")], "link out of the folder"),
    "through a link": ([(zip_entry("a", stat.S_IFLNK), b"."), ("a/x", b"1")], "goes through a, which is a link"),
    "over a link": ([(zip_entry("a", stat.S_IFLNK), b"b"), ("a", b"1")], "has put a link"),
    "device": ([(zip_entry("a", stat.S_IFCHR), b"")], "is a special file"),
    "fifo": ([(zip_entry("a", stat.S_IFIFO), b"")], "is a special file"),
}


@pytest.mark.parametrize("name", ZIP_ESCAPES)
def test_an_attack_by_zip(tmp_path, name):
    entries, said = ZIP_ESCAPES[name]
    refused(write_zip(tmp_path / "a.zip", *entries), tmp_path, said)
    assert not (tmp_path / "escaped").exists()


def test_an_encrypted_zip(tmp_path):
    path = write_zip(tmp_path / "a.zip", ("x", b"1"))
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    refused(path, tmp_path, "is encrypted")


# --- bombs ---


def test_more_bytes_than_allowed(tmp_path):
    tar = write_tar(tmp_path / "a", entry("x", bytes(600)), entry("y", bytes(600)))
    for path in (tar, write_zip(tmp_path / "b", ("x", bytes(600)), ("y", bytes(600)))):
        assert unpack(path, tmp_path / f"into_{path.name}", limit=1200) == 2
        refused(path, tmp_path, "above 1,199 bytes", limit=1199)


def test_copies_of_links_and_what_is_left_out_count_too(tmp_path):
    path = write_tar(tmp_path / "a", entry("x", bytes(600)), *(hard_link(str(n), "x") for n in range(10)))
    refused(path, tmp_path, "above 3,000 bytes", limit=3000)
    path = write_tar(tmp_path / "b", entry("beside", bytes(6000)), entry("top/x", b"1"))
    refused(path, tmp_path, "above 3,000 bytes", limit=3000, root="top")


def test_a_small_archive_of_endless_zeros(tmp_path):
    """150 MB in 150 kB: by the default limit."""
    path = tmp_path / "bomb.tar.gz"
    made, _ = entry("x", size=150_000_000)
    with gzip.open(path, "wb", compresslevel=1) as out:
        out.write(made.tobuf())
        for _ in range(15):
            out.write(bytes(10_000_000))
        out.write(bytes(10_240))
    assert path.stat().st_size < 1_000_000
    refused(path, tmp_path, "above 100,000,000 bytes")


def test_a_sparse_file_is_as_large_as_it_becomes(tmp_path):
    made, _ = entry("x", size=0)
    made.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": "500000000", "GNU.sparse.name": "x"}
    path = write_tar(tmp_path / "a", (made, b""), format=tarfile.PAX_FORMAT)
    with pytest.raises(CorpusError):
        unpack(path, tmp_path / "into", limit=1000)


def test_too_many_members(tmp_path):
    path = write_tar(tmp_path / "a", *(entry(str(n)) for n in range(11)))
    assert unpack(path, tmp_path / "into", max_members=11) == 11
    refused(path, tmp_path, "one more than the 10 members allowed", max_members=10)


# --- damage ---


def unpacked_or_refused(path, into):
    """How many files came out; None if it was refused, in one line that leaves nothing."""
    try:
        return unpack(path, into, limit=1_000_000)
    except CorpusError as error:
        line = str(error)
    assert "\n" not in line
    assert not into.exists()
    return None


@pytest.mark.parametrize("kind", ["", "gz", "bz2", "xz", "zip"])
def test_an_archive_cut_short_anywhere(tmp_path, kind):
    files = {f"{n}.wav": np.random.default_rng(n).bytes(3000) for n in range(5)}
    whole = tmp_path / "whole"
    if kind == "zip":
        write_zip(whole, *files.items())
    else:
        write_tar(whole, *(entry(*file) for file in files.items()), compression=kind)
    data = whole.read_bytes()
    padding = 9000 if not kind else 0  # of a plain tar, nothing but zeros; none of it is missed
    for end in range(1, len(data) - padding, 797):
        path = tmp_path / "cut"
        path.write_bytes(data[:end])
        n_files = unpacked_or_refused(path, tmp_path / str(end))
        assert n_files is None or (kind, n_files) == ("", end // 3584), "a plain tar cut between members looks whole"


@pytest.mark.parametrize("kind", ["", "gz", "zip"])
def test_a_damaged_archive_never_ends_in_a_traceback(tmp_path, kind):
    whole = tmp_path / "whole"
    links = [symlink("l", "a/two.wav"), hard_link("h", "three.txt")]
    if kind == "zip":
        write_zip(whole, *FILES.items(), (zip_entry("l", stat.S_IFLNK), b"three.txt"))
    else:
        write_tar(whole, *(entry(*file) for file in FILES.items()), *links, compression=kind)
    data = whole.read_bytes()
    rng = np.random.default_rng(5)
    path = tmp_path / "damaged"
    for trial in range(300):
        damaged = bytearray(data)
        for _ in range(rng.integers(1, 4)):
            damaged[rng.integers(0, min(len(data), 5120))] = rng.integers(0, 256)
        path.write_bytes(damaged)
        unpacked_or_refused(path, tmp_path / str(trial))


@pytest.mark.parametrize("content", [b"", b"x", b"<html>", bytes(10_240), b"\x1f\x8b", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_archive(tmp_path, content):
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(CorpusError):
        unpack(path, tmp_path / "into")
    assert not (tmp_path / "into").exists()


def test_a_disk_that_is_full_is_not_called_damage(tmp_path, monkeypatch):
    path = write_tar(tmp_path / "a", entry("x", b"1"))

    def full(*arguments):
        raise OSError(28, "No space left on device", str(tmp_path / "into/x"))

    monkeypatch.setattr("audiornn.corpus.unpacking._Unpacker.copy", full)
    with pytest.raises(CorpusError, match="the disk is full"):
        unpack(path, tmp_path / "into")
    assert not (tmp_path / "into").exists()
