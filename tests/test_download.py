"""Fetching, against a server in a thread that misbehaves on request."""

import contextlib
import hashlib
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from audiornn.corpus import download
from audiornn.corpus.download import Archive, cache_folder, fetch
from audiornn.errors import CorpusError

PAGE = b"<!DOCTYPE html><html><body>Please accept our terms</body></html>"


def tar_of(files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


FILES = {f"top/{n}/{n}.wav": np.random.default_rng(n).bytes(100_000) for n in range(6)}
BODY = tar_of(FILES)
OTHER_BODY = tar_of({**FILES, "top/0/0.wav": np.random.default_rng(99).bytes(100_000)})
SHA256 = f"sha256:{hashlib.sha256(BODY).hexdigest()}"


@dataclass
class Behaviour:
    """What the server does with one request; the last of a list is for all further ones."""

    body: bytes = BODY
    status: int = 200
    etag: str | None = '"one"'
    ranges: bool = True
    cut: int | None = None  # bytes of the answer after which the connection ends
    stall: int | None = None  # bytes of the answer after which nothing comes any more
    length: int | None = None  # a lie
    location: str = ""
    headers: dict = field(default_factory=dict)
    slow: float = 0.0  # seconds between blocks


class Server:
    """Serves `self.behaviours[path]`, and remembers the requests and the bytes of bodies sent."""

    def __init__(self):
        outer = self
        self.behaviours: dict[str, list[Behaviour]] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.n_sent = 0
        self.over = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                waiting = outer.behaviours.get(self.path, [Behaviour(status=404, body=b"none")])
                behaviour = waiting.pop(0) if len(waiting) > 1 else waiting[0]
                outer.requests.append((self.path, self.headers["Range"]))
                with contextlib.suppress(ConnectionError):
                    outer.answer(self, behaviour)

            def log_message(self, *arguments):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def url(self, path="/a.tar.gz"):
        return f"http://127.0.0.1:{self.http.server_address[1]}{path}"

    def serve(self, *behaviours, path="/a.tar.gz"):
        self.behaviours[path] = list(behaviours)
        return self.url(path)

    def answer(self, handler, behaviour):
        body, status, headers = behaviour.body, behaviour.status, dict(behaviour.headers)
        place = re.fullmatch(r"bytes=(\d+)-", handler.headers["Range"] or "")
        same = handler.headers["If-Range"] in (None, behaviour.etag)
        if status == 200 and place and behaviour.ranges and same:
            start = int(place[1])
            status = 206 if start < len(body) else 416
            headers["Content-Range"] = (
                f"bytes {start}-{len(body) - 1}/{len(body)}" if status == 206 else f"bytes */{len(body)}"
            )
            body = body[start:]
        if behaviour.location:
            headers["Location"] = behaviour.location
        if behaviour.etag:
            headers["ETag"] = behaviour.etag
        if behaviour.length != -1:
            headers["Content-Length"] = str(len(body) if behaviour.length is None else behaviour.length)
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        end = min(len(body), *(n for n in (behaviour.cut, behaviour.stall) if n is not None), len(body))
        for start in range(0, end, 20_000):
            handler.wfile.write(body[start : min(start + 20_000, end)])
            self.n_sent += min(start + 20_000, end) - start
            time.sleep(behaviour.slow)
        if behaviour.stall is not None:
            self.over.wait(5)
        handler.close_connection = True


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    running = Server()
    yield running
    running.over.set()
    running.http.shutdown()
    running.http.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIORNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "_PAUSE", 0.001)
    monkeypatch.setattr(download, "_LONGEST_PAUSE", 0.05)
    return tmp_path / "cache"


def archive(url, **changes):
    return Archive(**{"name": "demo", "url": url, "checksum": SHA256, "root": "top", **changes})


def quiet(line):
    pass


def assert_whole(folder, files=FILES):
    found = {f"top/{p.relative_to(folder).as_posix()}": p.read_bytes() for p in folder.rglob("*.wav")}
    assert found == files


def fails(wanted, *, said, not_said=()):
    """The one line of the failure, of which `said` are parts."""
    with pytest.raises(CorpusError) as caught:
        fetch(wanted, report=quiet)
    line = str(caught.value)
    assert "\n" not in line
    for part in [said] if isinstance(said, str) else said:
        assert part in line, line
    for part in not_said:
        assert part not in line, line
    return line


# --- the common road ---


def test_an_archive_becomes_a_folder_and_is_fetched_once(server, cache):
    wanted, lines = archive(server.serve(Behaviour()), size=len(BODY)), []
    folder = fetch(wanted, report=lines.append)
    assert folder == cache / "corpora" / "demo"
    assert_whole(folder)
    assert [line.split(":")[0] for line in lines] == ["demo", "demo"]
    assert fetch(wanted, report=lines.append) == folder
    assert len(server.requests) == 1
    assert len(lines) == 2, "nothing to say where nothing is done"
    assert sorted(p.name for p in (cache / "downloads").iterdir()) == ["demo.lock"], "the archive is not kept twice"
    assert [p.name for p in (cache / "corpora").iterdir()] == ["demo"]


def test_several_archives_share_a_folder(server, cache):
    for part in ("a", "b"):
        assert (
            fetch(archive(server.serve(Behaviour()), name=f"Libri/{part}"), report=quiet)
            == cache / f"corpora/Libri/{part}"
        )
    assert sorted(p.name for p in (cache / "corpora/Libri").iterdir()) == ["a", "b"]


def test_without_checksum_and_length(server, cache):
    assert_whole(fetch(archive(server.serve(Behaviour(length=-1)), checksum=""), report=quiet))
    fetch(archive(server.url(), checksum=""), report=quiet)
    assert len(server.requests) == 1


def test_md5_is_a_checksum_too(server, cache):
    assert_whole(
        fetch(archive(server.serve(Behaviour()), checksum=f"md5:{hashlib.md5(BODY).hexdigest()}"), report=quiet)
    )


def test_a_redirect_is_followed(server, cache):
    there = server.serve(Behaviour(), path="/there")
    assert_whole(fetch(archive(server.serve(Behaviour(status=302, location=there, body=b""))), report=quiet))


def test_another_version_replaces_the_one_that_is_there(server, cache):
    fetch(archive(server.serve(Behaviour())), report=quiet)
    new = archive(server.serve(Behaviour(body=OTHER_BODY)), checksum=f"sha256:{hashlib.sha256(OTHER_BODY).hexdigest()}")
    assert (fetch(new, report=quiet) / "0/0.wav").read_bytes() != FILES["top/0/0.wav"]
    assert [p.name for p in (cache / "corpora").iterdir()] == ["demo"]


def test_a_folder_that_has_lost_files_is_fetched_again(server, cache):
    folder = fetch(archive(server.serve(Behaviour())), report=quiet)
    (folder / "3/3.wav").unlink()
    assert_whole(fetch(archive(server.url()), report=quiet))


def test_a_folder_of_the_users_own_is_left_alone(server, cache):
    (cache / "corpora/demo").mkdir(parents=True)
    (cache / "corpora/demo/mine.wav").write_bytes(b"mine")
    fails(archive(server.serve(Behaviour())), said=["is in the way", "--corpus"])
    assert (cache / "corpora/demo/mine.wav").read_bytes() == b"mine"


# --- resuming ---


def test_a_cut_is_gone_on_with(server, cache):
    url = server.serve(Behaviour(cut=250_000), Behaviour(cut=100_000), Behaviour())
    assert_whole(fetch(archive(url), report=quiet))
    assert [wanted for _, wanted in server.requests] == [None, "bytes=250000-", "bytes=350000-"]
    assert server.n_sent == len(BODY), "no byte came twice"


def test_a_cut_of_the_first_process_is_gone_on_with_by_the_next(server, cache, monkeypatch):
    monkeypatch.setattr(download, "_RETRIES", 0)
    url = server.serve(Behaviour(cut=250_000), Behaviour())
    fails(archive(url), said=[f"broke off at 250,000 of {len(BODY):,} bytes", "--corpus DIR", url])
    assert (cache / "downloads/demo.partial").stat().st_size == 250_000
    assert_whole(fetch(archive(url), report=quiet))
    assert server.n_sent == len(BODY)


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_version_only_a_checksum_allows_to_go_on(server, cache, etag):
    for checksum, n_sent in ((SHA256, len(BODY)), ("", len(BODY) + 250_000)):
        server.n_sent = 0
        url = server.serve(Behaviour(cut=250_000, etag=etag), Behaviour(etag=etag))
        assert_whole(fetch(archive(url, checksum=checksum, name=f"demo{len(checksum)}"), report=quiet))
        assert server.n_sent == n_sent


def test_a_date_is_a_version(server, cache):
    date = {"Last-Modified": "Tue, 01 Jan 2030 00:00:00 GMT"}
    first = Behaviour(cut=250_000, etag=None, headers=date)
    # The server compares If-Range with its ETag; here the date stands for it.
    url = server.serve(first, Behaviour(etag=date["Last-Modified"]))
    assert_whole(fetch(archive(url, checksum=""), report=quiet))
    assert server.n_sent == len(BODY)


def test_a_server_that_ignores_range_starts_anew(server, cache):
    url = server.serve(Behaviour(cut=250_000), Behaviour(ranges=False))
    assert_whole(fetch(archive(url), report=quiet))
    assert server.n_sent == len(BODY) + 250_000


def test_a_file_that_changes_between_the_halves_is_not_glued(server, cache):
    url = server.serve(Behaviour(body=OTHER_BODY, cut=250_000), Behaviour(etag='"two"'))
    assert_whole(fetch(archive(url, checksum=""), report=quiet))


def test_halves_that_do_not_fit_are_fetched_once_more(server, cache):
    url = server.serve(Behaviour(body=OTHER_BODY, cut=250_000), Behaviour())  # another file, the same ETag
    other = OTHER_BODY[:250_000]
    assert other != BODY[:250_000]
    same_length = Behaviour(body=other + BODY[250_000:], cut=250_000)
    server.behaviours["/a.tar.gz"][0] = same_length
    assert_whole(fetch(archive(url), report=quiet))
    assert [wanted for _, wanted in server.requests] == [None, "bytes=250000-", None]


@pytest.mark.parametrize("known", [True, False])
def test_a_part_that_is_complete_needs_no_more_of_it(server, cache, monkeypatch, known):
    """Killed between the last byte and the checksum."""
    url = server.serve(Behaviour(length=None if known else -1), Behaviour())
    with monkeypatch.context() as patch:
        patch.setattr(download, "_install", lambda *arguments: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            fetch(archive(url), report=quiet)
    assert_whole(fetch(archive(url), report=quiet))
    assert [wanted for _, wanted in server.requests] == ([None] if known else [None, f"bytes={len(BODY)}-"])


def test_a_part_longer_than_the_file_is_thrown_away(server, cache):
    url = server.serve(Behaviour(body=BODY + bytes(9), cut=len(BODY) + 5), Behaviour())
    assert_whole(fetch(archive(url), report=quiet))


# --- what servers do ---


def test_a_stall_is_ended_and_gone_on_with(server, cache, monkeypatch):
    monkeypatch.setattr(download, "_TIMEOUT", 0.2)
    assert_whole(fetch(archive(server.serve(Behaviour(stall=100_000), Behaviour())), report=quiet))
    assert server.n_sent == len(BODY)


def test_a_server_that_never_gets_further_is_given_up(server, cache, monkeypatch):
    monkeypatch.setattr(download, "_TIMEOUT", 0.05)
    fails(archive(server.serve(Behaviour(stall=0))), said=["nothing came for 0.05 seconds (6 tries)"])
    fails(archive(server.serve(Behaviour(cut=100_000, ranges=False))), said=["broke off at 100,000", "(6 tries)"])


def test_a_length_too_long_is_a_cut_that_the_range_clears_up(server, cache):
    assert_whole(fetch(archive(server.serve(Behaviour(length=len(BODY) + 1000), Behaviour())), report=quiet))


def test_a_length_too_short_is_a_wrong_file(server, cache):
    fails(archive(server.serve(Behaviour(length=1000))), said=["expected sha256:", "it was deleted"])
    assert not (cache / "downloads/demo.partial").exists()


def test_a_length_that_is_not_the_published_one_is_refused_before_it_comes(server, cache):
    fails(archive(server.serve(Behaviour()), size=5), said=f"has {len(BODY):,} bytes, expected 5")
    assert not (cache / "downloads/demo.partial").exists()


def test_a_wrong_file(server, cache):
    got = f"sha256:{hashlib.sha256(OTHER_BODY).hexdigest()}"
    url = server.serve(Behaviour(body=OTHER_BODY))
    fails(archive(url), said=[url, got, f"expected {SHA256}", "damaged on its way", "deleted"])
    assert not (cache / "downloads/demo.partial").exists()
    assert not (cache / "corpora/demo").exists(), "nothing is unpacked before the checksum is right"
    assert len(server.requests) == 1


@pytest.mark.parametrize("changes", [{}, {"checksum": ""}, {"size": len(BODY)}, {"size": len(BODY), "checksum": ""}])
def test_a_login_page_is_known_as_one(server, cache, changes):
    fails(archive(server.serve(Behaviour(body=b"\n" + PAGE)), **changes), said=["web page", "login"])


def test_a_login_page_does_not_cost_the_half_that_is_there(server, cache, monkeypatch):
    monkeypatch.setattr(download, "_RETRIES", 0)
    url = server.serve(Behaviour(cut=250_000), Behaviour(body=PAGE, etag=None, ranges=False), Behaviour())
    fails(archive(url), said="broke off")
    fails(archive(url), said="web page")
    assert_whole(fetch(archive(url), report=quiet))
    assert server.n_sent == len(BODY) + len(PAGE)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_busy_server_is_asked_again(server, cache, status):
    busy = Behaviour(status=status, body=b"", headers={"Retry-After": "1"})
    assert_whole(fetch(archive(server.serve(busy, busy, Behaviour())), report=quiet))


def test_a_missing_file_is_not_asked_for_again(server, cache):
    fails(archive(server.serve(Behaviour(status=404, body=b"none"))), said=["answers 404", "has moved"])
    assert len(server.requests) == 1
    fails(archive(server.serve(Behaviour(status=403, body=b"none"))), said=["answers 403", "not allowed from here"])


def test_no_network(cache, monkeypatch):
    gone = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    port = gone.server_address[1]
    gone.server_close()
    line = fails(archive(f"http://127.0.0.1:{port}/a.tar.gz"), said=["no connection", "Connection refused", "by hand"])
    assert "tries" not in line
    unknown = socket.gaierror(-2, "Name or service not known")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **keywords: (_ for _ in ()).throw(unknown))
    fails(archive("http://no-such-host/a.tar.gz"), said=["no-such-host is not known here", "--corpus DIR"])


# --- mirrors ---


def test_mirrors_are_tried_in_their_order(server, cache):
    wrong = server.serve(Behaviour(body=OTHER_BODY), path="/wrong")
    right = server.serve(Behaviour(), path="/right")
    lines = []
    assert_whole(fetch(archive(server.url("/none"), mirrors=(wrong, right)), report=lines.append))
    assert [path for path, _ in server.requests] == ["/none", "/wrong", "/right"]
    assert sum("trying another address" in line for line in lines) == 2
    line = fails(
        archive(server.url("/none"), mirrors=(wrong,), name="two"), said=["/none: answers 404", "/wrong: what came is"]
    )
    assert line.count("by hand") == 1


def test_a_mirror_goes_on_where_the_first_broke_off(server, cache):
    first = server.serve(Behaviour(cut=250_000), Behaviour(status=404, body=b""), path="/first")
    second = server.serve(Behaviour(etag='"of the mirror"'), path="/second")
    assert_whole(fetch(archive(first, mirrors=(second,)), report=quiet))
    assert server.requests[-1] == ("/second", "bytes=250000-")
    assert_whole(fetch(archive(first, mirrors=(second,), checksum="", name="unchecked"), report=quiet))
    assert server.requests[-1] == ("/second", None), "without a checksum nobody would know whether the halves fit"


# --- disks, damage, processes ---


def test_a_full_disk_is_said_before_anything_comes(server, cache, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: usage._replace(free=1_000_000))
    fails(archive(server.serve(Behaviour())), said=["1.0 MB are free", "demo needs about 1.2 MB", "AUDIORNN_CACHE"])
    assert (cache / "downloads/demo.partial").stat().st_size == 0


def test_a_full_disk_is_said_before_unpacking(server, cache, monkeypatch):
    monkeypatch.setattr(download, "least_contents", lambda file: 10**18)
    fails(archive(server.serve(Behaviour())), said="demo needs about 1,000,000,000.0 GB")
    monkeypatch.undo()


def test_a_folder_that_cannot_be_written(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("AUDIORNN_CACHE", str(tmp_path / "file"))
    fails(archive(server.serve(Behaviour())), said=["file", "cannot be written"])


def test_a_damaged_archive_without_checksum_is_deleted(server, cache):
    damaged = BODY[:300_000] + bytes(100) + BODY[300_100:]
    url = server.serve(Behaviour(body=damaged), Behaviour())
    fails(archive(url, checksum=""), said=[url, "damaged", "fetch it anew"])
    assert_whole(fetch(archive(url, checksum=""), report=quiet))
    fails(archive(url, root="another", name="else"), said=["holds no files below another/"])


def test_two_at_once_fetch_it_once(server, cache):
    wanted = archive(server.serve(Behaviour(slow=0.005)))
    folders, lines = [], []
    threads = [threading.Thread(target=lambda: folders.append(fetch(wanted, report=lines.append))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert folders == [cache / "corpora/demo"] * 3
    assert_whole(folders[0])
    assert len(server.requests) == 1
    assert sum("waiting" in line for line in lines) == 2


FETCH = """
import sys
from audiornn.corpus.download import Archive, fetch
fetch(Archive("demo", sys.argv[1], checksum=sys.argv[2], root="top"))
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_killed_in_the_middle_and_run_again(server, cache):
    url = server.serve(Behaviour(slow=0.03), Behaviour())
    process = subprocess.Popen([sys.executable, "-c", FETCH, url, SHA256], stderr=subprocess.DEVNULL)
    partial, deadline = cache / "downloads/demo.partial", time.time() + 20
    while not (partial.exists() and partial.stat().st_size > 200_000) and time.time() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    n_there = partial.stat().st_size
    assert 200_000 < n_there < len(BODY)
    assert_whole(fetch(archive(url), report=quiet))
    assert server.requests[-1] == ("/a.tar.gz", f"bytes={n_there}-")


@pytest.mark.parametrize("step", ["unpack", "mark", "rename", "delete"])
def test_stopped_at_any_later_step_and_run_again(server, cache, monkeypatch, step):
    """A kill leaves what was done before it, and no cleaning up; so does this."""

    class KilledError(BaseException):
        pass

    def kill(*arguments, **keywords):
        raise KilledError

    def kill_while_unpacking(file, folder, root):
        folder.mkdir()
        (folder / "half.wav").touch()
        kill()

    rename = Path.replace
    checksum = "" if step == "mark" else SHA256  # without one, the digest is taken after unpacking
    with monkeypatch.context() as patch:
        if step == "unpack":
            patch.setattr(download, "unpack", kill_while_unpacking)
        elif step == "mark":
            patch.setattr(download, "_digest", kill)
        elif step == "rename":
            patch.setattr(Path, "replace", lambda old, new: (kill if old.suffix == ".unpacking" else rename)(old, new))
        else:
            patch.setattr(download._Partial, "delete", kill)
        with pytest.raises(KilledError):
            fetch(archive(server.serve(Behaviour()), checksum=checksum), report=quiet)
    assert_whole(fetch(archive(server.url(), checksum=checksum), report=quiet))
    assert len(server.requests) == 1, "what had come did not come again"
    assert [p.name for p in (cache / "corpora").iterdir()] == ["demo"]
    assert [p.name for p in (cache / "downloads").iterdir()] == ["demo.lock"]


# --- the bar, the cache, the description ---


def test_a_bar_on_a_terminal_only(server, cache, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    fetch(archive(server.serve(Behaviour(cut=250_000), Behaviour())))
    shown = capsys.readouterr().err
    assert "demo:" in shown
    assert "B/s" in shown
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    fetch(archive(server.url(), name="quiet"))
    assert "B/s" not in capsys.readouterr().err


def test_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AUDIORNN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    if sys.platform.startswith("linux"):
        assert cache_folder() == tmp_path / ".cache/audiornn"
        monkeypatch.setenv("XDG_CACHE_HOME", "relative")
        assert cache_folder() == tmp_path / ".cache/audiornn"
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        assert cache_folder() == tmp_path / "xdg/audiornn"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_folder() == tmp_path / "Library/Caches/audiornn"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_folder() == tmp_path / "local/audiornn"
    monkeypatch.setenv("AUDIORNN_CACHE", "~/mine")
    assert cache_folder() == tmp_path / "mine"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "../up"}, "plain folder name"),
        ({"name": "/abs"}, "plain folder name"),
        ({"name": "a/../b"}, "plain folder name"),
        ({"url": "file:///etc/passwd"}, "no http or https"),
        ({"mirrors": ("ftp://host/a",)}, "no http or https"),
        ({"checksum": "abc"}, "sha256:… or md5:…"),
        ({"checksum": "sha256:abc"}, "sha256:… or md5:…"),
        ({"checksum": "sha1:" + 40 * "0"}, "sha256:… or md5:…"),
    ],
)
def test_a_description_that_cannot_be(changes, said):
    with pytest.raises(CorpusError, match=re.escape(said)):
        archive(**{"url": "https://host/a.tar.gz", **changes})
