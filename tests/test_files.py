"""Writing: all or nothing, and a clear line where it cannot be."""

import errno
import os
from pathlib import Path

import pytest

from audiornn.errors import AudiornnError
from audiornn.files import (
    check_writable,
    explain_write_error,
    locked,
    relative_to,
    write_atomically,
    writing_temporary_file,
)


def write(path, content=b"new"):
    with write_atomically(path) as out:
        out.write(content)


def test_a_file_is_written_and_nothing_else(tmp_path):
    write(tmp_path / "deep" / "er" / "a.bin")
    assert (tmp_path / "deep" / "er" / "a.bin").read_bytes() == b"new"
    assert [path.name for path in (tmp_path / "deep" / "er").iterdir()] == ["a.bin"]


def test_a_file_is_written_over(tmp_path):
    (tmp_path / "a").write_bytes(b"old and longer")
    write(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"new"


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt, OSError])
def test_whatever_interrupts_the_old_file_stays(tmp_path, stop):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises((stop, AudiornnError)), write_atomically(tmp_path / "a") as out:  # noqa: PT012
        out.write(b"ne")
        raise stop
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_reader_meets_the_old_or_the_new_file(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with write_atomically(tmp_path / "a") as out:
        out.write(b"new")
        out.flush()
        assert (tmp_path / "a").read_bytes() == b"old"
    assert (tmp_path / "a").read_bytes() == b"new"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_called_so(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(Path, "with_name", lambda self, name: Path("/dev/full"))
    monkeypatch.setattr(Path, "unlink", lambda self, missing_ok=False: None)
    with pytest.raises(AudiornnError, match=r"a: the disk is full; free some space"):
        write(tmp_path / "a", b"x" * 100_000)
    monkeypatch.undo()
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_disk_that_fills_up_at_the_last_moment(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AudiornnError, match="the disk is full"):
        write(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_called_so(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(AudiornnError, match=r"a: may not be written here"):
            write(tmp_path / "a")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "read-only"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
def test_each_failure_in_words(tmp_path, number, said):
    error = explain_write_error(OSError(number, os.strerror(number)), tmp_path / "a.onnx")
    assert said in str(error)
    assert str(tmp_path / "a.onnx") in str(error)
    assert "\n" not in str(error)


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(AudiornnError, match="a: cannot be written"):
        write(tmp_path / "file" / "a")


def test_a_folder_where_a_file_should_be(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(AudiornnError, match="a: cannot be written"):
        write(tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_write_of_numpys_that_was_cut_short_is_a_full_disk():
    assert "the disk is full" in str(explain_write_error(OSError("876680 requested and 786400 written"), Path("a.npy")))


def test_whether_a_folder_can_be_made_is_known_before_the_work(tmp_path):
    check_writable(tmp_path / "not" / "yet")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(AudiornnError, match="below: cannot be written"):
        check_writable(tmp_path / "file" / "below")


def test_another_drive_is_named_in_full(monkeypatch):
    def refuse(path, start):
        raise ValueError("path is on mount 'C:', start on mount 'D:'")

    assert relative_to(Path("/a/b/c.wav"), Path("/a/d")) == "../b/c.wav"
    monkeypatch.setattr(os.path, "relpath", refuse)
    assert relative_to(Path("/a/b/c.wav"), Path("/a/d")) == "/a/b/c.wav"


def test_the_disk_of_temporary_files_is_named(monkeypatch):
    with pytest.raises(AudiornnError, match="disk of temporary files is full; TMPDIR"), writing_temporary_file():
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_lock_is_held_by_one_at_a_time_and_freed_whatever_happens(tmp_path):
    def refuse():
        raise AudiornnError("busy")

    with pytest.raises(RuntimeError), locked(tmp_path / "a" / ".lock", refuse):  # noqa: PT012
        with pytest.raises(AudiornnError, match="busy"), locked(tmp_path / "a" / ".lock", refuse):
            pass
        raise RuntimeError
    (tmp_path / "a" / ".lock").chmod(0o444)  # another user's
    with locked(tmp_path / "a" / ".lock", refuse):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_lock_is_freed_though_a_process_forked_meanwhile_lives_on(tmp_path):
    def refuse():
        raise AudiornnError("busy")

    ending, end = os.pipe()
    with locked(tmp_path / ".lock", refuse):
        child = os.fork()
        if child == 0:
            os.close(end)
            os.read(ending, 1)
            os._exit(0)
    try:
        with locked(tmp_path / ".lock", refuse):
            pass
    finally:
        os.close(end)
        os.close(ending)
        os.waitpid(child, 0)


def test_a_lock_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(AudiornnError, match=r"file: cannot be written"), locked(tmp_path / "file" / ".lock", int):
        pass
