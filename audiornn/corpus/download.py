"""Corpora that arrive by themselves: an archive is fetched, checked, and unpacked into the cache.

    CACHE/downloads/<name>.partial    what has arrived; a run after a kill goes on where it stops
    CACHE/downloads/<name>.json       of which address and which version it is
    CACHE/corpora/<name>/             the unpacked archive; it gets this name once it is whole

Nothing is unpacked before its length and checksum are right, and no member of an archive is written outside its folder.
Resuming follows RFC 9110 (Range, If-Range). Proxies are those of the environment (`https_proxy`).
"""

from __future__ import annotations

import contextlib
import email.message
import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiornn import __version__
from audiornn.corpus.unpacking import BadArchiveError, least_contents, unpack
from audiornn.errors import CorpusError
from audiornn.files import explain_write_error, locked, write_atomically

__all__ = ["Archive", "cache_folder", "fetch", "unpack"]

Report = Callable[[str], None]
Progress = Callable[[int, int], None]

_TIMEOUT = 30.0  # seconds without a byte
_PAUSE = 1.0  # seconds before the first retry; each further one waits twice as long
_LONGEST_PAUSE = 60.0
_RETRIES = 5  # in a row that bring nothing new
_BLOCK = 1 << 20

_MARKER = ".audiornn.json"

_DIGEST_LENGTHS = {"sha256": 64, "md5": 32}


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


@dataclass(frozen=True)
class Archive:
    """A file to fetch, and the folder it becomes.

    Attributes:
        name: the folder's name below the cache's `corpora`; may have parts, ``LibriSpeech/dev-clean``.
        url: where it is; http or https.
        checksum: ``sha256:…`` or ``md5:…``, as published; empty where nobody has published one.
        size: its length in bytes; 0 where it is not known.
        mirrors: further addresses of the same file, tried in this order.
        root: the folder inside the archive that becomes the corpus' folder; what lies beside it is left out.

    Raises:
        CorpusError: a name that leaves the cache, an address or a checksum of another kind.
    """

    name: str
    url: str
    checksum: str = ""
    size: int = 0
    mirrors: tuple[str, ...] = ()
    root: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w.+-]*(/\w[\w.+-]*)*", self.name):
            raise CorpusError(f"archive {self.name!r}: its name must be a plain folder name")
        for url in self.urls:
            parts = urllib.parse.urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise CorpusError(f"archive {self.name}: {url} is no http or https address")
        algorithm, _, digest = self.checksum.partition(":")
        if self.checksum and not re.fullmatch(f"[0-9a-f]{{{_DIGEST_LENGTHS.get(algorithm, 0)}}}", digest or "-"):
            raise CorpusError(
                f"archive {self.name}: checksum {self.checksum!r} must be sha256:… or md5:… in hexadecimal"
            )

    @property
    def urls(self) -> tuple[str, ...]:
        """All its addresses."""
        return (self.url, *self.mirrors)

    @property
    def file_name(self) -> str:
        """Its name as one word, for files about it."""
        return self.name.replace("/", "-")


def cache_folder() -> Path:
    """Where fetched corpora lie: `AUDIORNN_CACHE`, or `audiornn` in the platform's own cache folder.

    Raises:
        CorpusError: this user has no home folder.
    """
    if own := os.environ.get("AUDIORNN_CACHE"):
        return Path(own).expanduser().absolute()
    try:
        if sys.platform == "win32":
            base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        elif sys.platform == "darwin":
            base = Path.home() / "Library" / "Caches"
        else:
            base = Path(os.environ.get("XDG_CACHE_HOME") or "")
            base = base if base.is_absolute() else Path.home() / ".cache"  # the XDG standard: ignore a relative one
    except RuntimeError:
        raise CorpusError("no home folder to keep corpora in; set AUDIORNN_CACHE to a folder for them") from None
    return base / "audiornn"


def fetch(archive: Archive, *, report: Report = _say) -> Path:
    """Fetch and unpack an archive, or find it done; a call after a kill goes on where that one stopped.

    Args:
        archive: what to fetch.
        report: gets a line on what begins or goes wrong; on a terminal there is a progress bar besides.

    Returns:
        The unpacked folder, whole.

    Raises:
        CorpusError: no address has it, it is not what its checksum says, it cannot be unpacked, or the disk is full.
    """
    cache = cache_folder()
    goal = cache / "corpora" / archive.name
    partial = _Partial(cache / "downloads" / archive.file_name)
    try:
        if _is_whole(goal, archive):
            with contextlib.suppress(OSError):  # a cache shared by many may not be ours to tidy
                partial.delete()  # of a run killed between its last two steps
            return goal
        for folder in (goal.parent, partial.path.parent):
            folder.mkdir(parents=True, exist_ok=True)
        lock = partial.path.with_name(f"{archive.file_name}.lock")
        with locked(lock, lambda: report(f"{archive.name}: another process is fetching it; waiting")):
            if not _is_whole(goal, archive):  # it may be, after waiting for another process
                if goal.exists() and _read_json(goal / _MARKER) is None:
                    raise CorpusError(
                        f"{goal}: is in the way, and not a folder that audiornn has made; move it, "
                        f"or give it as it is: --corpus {goal}"
                    )
                _download(archive, partial, report)
                _install(archive, partial, cache / "corpora", report)
                partial.delete()
    except OSError as error:
        raise _write_problem(error, cache) from error
    return goal


# --- what is there ---


def _is_whole(goal: Path, archive: Archive) -> bool:
    """Whether the folder was unpacked to its end from this version of the archive, and has not lost files since."""
    marker = _read_json(goal / _MARKER)
    if marker is None:
        return False
    same = marker.get("checksum") == archive.checksum if archive.checksum else marker.get("url") in archive.urls
    return same and sum(len(names) for _, _, names in os.walk(goal)) > marker.get("files", 0)  # the marker is one


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return entry if isinstance(entry, dict) else None


def _write_problem(error: OSError, path: Path) -> CorpusError:
    problem = explain_write_error(error, Path(error.filename or path))
    return CorpusError(f"{problem}; AUDIORNN_CACHE names another folder for corpora")


class _Partial:
    """A file that is arriving, and what is known of it.

    Attributes:
        path: the bytes so far.
        received: bytes that came in this process.
        resumed: whether it is made of more than one answer, so that its halves may not belong together.
    """

    def __init__(self, stem: Path) -> None:
        self.path = stem.with_name(f"{stem.name}.partial")
        self._state = stem.with_name(f"{stem.name}.json")
        self.received = 0
        self.resumed = self.size > 0

    @property
    def size(self) -> int:
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    @property
    def state(self) -> dict[str, Any]:
        """`url`, `etag`, `last_modified`, `total`: what the server said when it began."""
        return _read_json(self._state) or {}

    def restart(self, url: str, headers: email.message.Message, total: int) -> None:
        """Forget the bytes, then note what comes now: in this order a kill never leaves old bytes under a new note."""
        with open(self.path, "wb"):
            pass
        self.resumed = False
        entry = {"url": url, "etag": headers["ETag"], "last_modified": headers["Last-Modified"], "total": total}
        with write_atomically(self._state) as out:
            out.write(json.dumps(entry).encode())

    def delete(self) -> None:
        for path in (self.path, self._state):
            path.unlink(missing_ok=True)
        self.resumed = False


def _check_space(folder: Path, needed: int, name: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise CorpusError(
            f"{folder}: {_amount(free)} are free and {name} needs about {_amount(needed)}; "
            "free some space, or set AUDIORNN_CACHE to a folder on a larger disk"
        )


def _amount(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.1f} MB"


# --- downloading ---


class _RefusedError(Exception):
    """This address will not give the file; another may."""


class _WrongFileError(_RefusedError):
    """What arrived is not the file."""


class _BrokenOffError(Exception):
    """The connection broke or the server is busy; the same address may go on.

    Attributes:
        pause: seconds the server asks to wait.
        unreachable: whether there was no connection at all.
    """

    def __init__(self, problem: str, *, pause: float = 0.0, unreachable: bool = False) -> None:
        super().__init__(problem)
        self.pause = pause
        self.unreachable = unreachable


def _download(archive: Archive, partial: _Partial, report: Report) -> None:
    """Bring the whole file into `partial` and check it, from the first address that has it.

    Raises:
        CorpusError: none has; the line names each with its reason.
    """
    problems: dict[str, str] = {}
    begun = str(partial.state.get("url"))
    for url in sorted(archive.urls, key=lambda url: url != begun):  # the half that is there wants its other half
        try:
            _download_and_check(url, archive, partial, report)
        except _RefusedError as problem:
            problems[url] = str(problem)
            if len(problems) < len(archive.urls):
                report(f"{url}: {problem}; trying another address")
        else:
            return
    raise CorpusError(
        "; ".join(f"{url}: {problem}" for url, problem in problems.items())
        + f". Try again later; where there is no network, fetch {archive.url} by hand, unpack it, "
        "and give its folder: --corpus DIR"
    )


def _download_and_check(url: str, archive: Archive, partial: _Partial, report: Report) -> None:
    for last in (False, True):
        if not _has_all(archive, partial):
            size = f" ({_amount(archive.size)})" if archive.size else ""
            begun = f", from {_amount(partial.size)} on" if partial.size else ""
            report(f"{archive.name}: fetching {url}{size}{begun} into {partial.path.parent}")
            with _progress(archive.name) as progress:
                _download_persistently(url, archive, partial, progress)
        try:
            _check(archive, partial)
        except _WrongFileError:
            resumed = partial.resumed
            partial.delete()
            if last or not resumed:
                raise
            report(f"{archive.name}: its parts do not fit together; fetching it from its beginning")
        else:
            return


def _has_all(archive: Archive, partial: _Partial) -> bool:
    total = archive.size or partial.state.get("total")
    return bool(total) and partial.size == total


def _download_persistently(url: str, archive: Archive, partial: _Partial, progress: Progress) -> None:
    """Go on after cuts and stalls, as long as each few tries bring it further than it ever was."""
    furthest, failures = partial.size, 0
    while True:
        try:
            return _transfer(url, archive, partial, progress)
        except _BrokenOffError as problem:
            if partial.size > furthest:
                furthest, failures = partial.size, 0
            failures += 1
            if failures > _RETRIES or (problem.unreachable and not partial.received):
                tries = f" ({failures} tries)" if failures > 1 else ""
                raise _RefusedError(f"{problem}{tries}") from problem
            time.sleep(min(max(problem.pause, _PAUSE * 2 ** (failures - 1)), _LONGEST_PAUSE))


def _transfer(url: str, archive: Archive, partial: _Partial, progress: Progress) -> None:
    """One request, and what comes of it."""
    have, headers = _resume_headers(url, archive, partial)
    with _open(url, headers) as response:
        if response.status == 416:  # asked for more than there is
            if have and response.headers["Content-Range"] == f"bytes */{have}":
                return
            partial.delete()
            raise _BrokenOffError("the file has become shorter than the part that is here")
        goes_on = response.status == 206 and have > 0
        total = _length_if_fitting(response, url, partial) if goes_on else _length_of_whole(response)
        if archive.size and total and total != archive.size:
            raise _RefusedError(_page_hint(_read(response, url)) or f"has {total:,} bytes, expected {archive.size:,}")
        total = total or archive.size
        block = _read(response, url)
        if goes_on:
            partial.resumed = True
        elif page := _page_hint(block):
            raise _RefusedError(page)
        else:
            partial.restart(url, response.headers, total)
        # Its contents will lie beside it for a while, and are at least as large.
        _check_space(partial.path.parent, 2 * total - partial.size, archive.name)
        with open(partial.path, "ab", buffering=0) as out:
            while block:
                out.write(block)
                partial.received += len(block)
                progress(out.tell(), total)
                if total and out.tell() > total:
                    break  # the check says the rest
                block = _read(response, url)
    if partial.size < total:
        raise _BrokenOffError(f"the connection broke off at {partial.size:,} of {total:,} bytes")


def _resume_headers(url: str, archive: Archive, partial: _Partial) -> tuple[int, dict[str, str]]:
    """How many bytes need not come again, and the request's headers.

    A file is gone on with if the server can be asked for the same version of it, by a strong ETag or by its date; or,
    from a mirror, if a checksum will tell whether the halves belong together.
    """
    headers = {"User-Agent": f"audiornn/{__version__}", "Accept": "*/*"}
    state, have = partial.state, partial.size
    etag = str(state.get("etag") or "")
    version = etag if etag.startswith('"') else state.get("last_modified")
    if have and version and state.get("url") == url:
        return have, {**headers, "Range": f"bytes={have}-", "If-Range": str(version)}
    if have and archive.checksum and state.get("total"):
        return have, {**headers, "Range": f"bytes={have}-"}
    return 0, headers


def _length_if_fitting(response: Any, url: str, partial: _Partial) -> int:
    """The whole file's length, from an answer that goes on where `partial` ends; 0 if the server does not say."""
    place = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", (response.headers["Content-Range"] or "").strip())
    total = 0 if place is None or place[2] == "*" else int(place[2])
    state = partial.state
    begun, etag = state.get("total"), state.get("etag")
    changed = state.get("url") == url and etag and response.headers["ETag"] not in (None, etag)
    if place is None or int(place[1]) != partial.size or changed or (total and begun and total != begun):
        partial.delete()
        raise _BrokenOffError("another part came than was asked for")
    return total or int(begun or 0)


def _length_of_whole(response: Any) -> int:
    if response.status != 200:
        raise _RefusedError(f"answers {response.status} {response.reason}")
    length = response.headers["Content-Length"] or ""
    return int(length) if length.isascii() and length.isdigit() else 0


def _page_hint(start: bytes) -> str:
    """Why a file that begins like this is no archive; empty if it may be one."""
    if not start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return ""
    return "what came is a web page, likely a proxy's or a hotspot's login: open the address in a browser first"


def _read(response: Any, url: str) -> bytes:
    with _translated(url):
        block: bytes = response.read1(_BLOCK)
    return block


def _open(url: str, headers: dict[str, str]) -> Any:
    """The response, for 200, 206 and 416."""
    opener = urllib.request.build_opener()  # afresh: the environment's proxies as they are now
    try:
        with _translated(url):
            return opener.open(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            return error
        error.close()
        answer = f"answers {error.code} {error.reason}"
        if error.code in (408, 425, 429) or error.code >= 500:
            wait = error.headers["Retry-After"] or ""
            raise _BrokenOffError(answer, pause=float(wait) if wait.isascii() and wait.isdigit() else 0.0) from error
        hints = {404: "the file has moved", 410: "the file is gone", 407: "the proxy wants a name and a password"}
        raise _RefusedError(f"{answer} ({hints.get(error.code, 'not allowed from here')})") from error


@contextlib.contextmanager
def _translated(url: str) -> Iterator[None]:
    """What goes wrong on the network becomes one of our two kinds."""
    try:
        yield
    except urllib.error.HTTPError:
        raise
    except urllib.error.URLError as error:
        raise _network_problem(error.reason, url) from error
    except (http.client.HTTPException, OSError) as error:
        raise _network_problem(error, url) from error


def _network_problem(reason: object, url: str) -> Exception:
    host = urllib.parse.urlsplit(url).hostname
    if isinstance(reason, ssl.SSLCertVerificationError):
        return _RefusedError(
            f"its certificate is not trusted ({reason.verify_message}): "
            "a proxy that reads along, or this machine's clock is wrong"
        )
    if isinstance(reason, TimeoutError):
        return _BrokenOffError(f"nothing came for {_TIMEOUT:g} seconds")
    if isinstance(reason, socket.gaierror):
        return _BrokenOffError(f"the name {host} is not known here: no network, or a proxy is needed", unreachable=True)
    if isinstance(reason, http.client.IncompleteRead):
        return _BrokenOffError("the connection broke off")
    words = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    unreachable = isinstance(reason, OSError) and not isinstance(reason, ConnectionResetError | BrokenPipeError)
    return _BrokenOffError(f"no connection ({words})", unreachable=unreachable)


def _check(archive: Archive, partial: _Partial) -> None:
    """Compare length and checksum.

    Raises:
        _WrongFileError: one is off.
    """
    with open(partial.path, "rb") as file:
        cause = _page_hint(file.read(512)) or "damaged on its way, or its publisher has changed it"
    if archive.size not in (0, partial.size):
        raise _WrongFileError(f"{partial.size:,} bytes came, expected {archive.size:,}: {cause}; it was deleted")
    if archive.checksum:
        got = _digest(partial.path, archive.checksum.partition(":")[0])
        if got != archive.checksum:
            raise _WrongFileError(f"what came is {got}, expected {archive.checksum}: {cause}; it was deleted")


def _digest(path: Path, algorithm: str) -> str:
    state = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            state.update(block)
    return f"{algorithm}:{state.hexdigest()}"


@contextlib.contextmanager
def _progress(name: str) -> Iterator[Progress]:
    """A bar of bytes, rate and time left, on a terminal where tqdm is installed; nothing elsewhere."""
    try:
        from tqdm import tqdm
    except ImportError:
        tqdm = None
    if tqdm is None or not sys.stderr.isatty():
        yield lambda n_done, n_all: None
        return
    with tqdm(desc=name, unit="B", unit_scale=True, leave=False) as bar:

        def advance(n_done: int, n_all: int) -> None:
            if not bar.total:
                bar.initial = bar.n = n_done  # what was there before says nothing of the rate
            bar.total = n_all or None
            bar.update(n_done - bar.n)

        yield advance


# --- unpacking ---


def _install(archive: Archive, partial: _Partial, corpora: Path, report: Report) -> None:
    """Unpack beside the goal, mark as whole, and give it its name."""
    goal = corpora / archive.name
    for old in corpora.glob(f".{archive.file_name}.*.unpacking"):  # of a run that was killed; we hold the lock
        shutil.rmtree(old, ignore_errors=True)
    scratch = corpora / f".{archive.file_name}.{os.getpid()}.unpacking"
    url = str(partial.state.get("url") or archive.url)
    report(f"{archive.name}: unpacking into {goal}")
    _check_space(corpora, least_contents(partial.path), archive.name)
    try:
        n_files = unpack(partial.path, scratch, root=archive.root)
    except BadArchiveError as error:
        partial.delete()
        reason = str(error).removeprefix(f"{partial.path}: ")
        raise CorpusError(f"{url}: {reason}; it was deleted, run the same command again to fetch it anew") from error
    checksum = archive.checksum or _digest(partial.path, "sha256")
    with write_atomically(scratch / _MARKER) as out:
        out.write(json.dumps({"url": url, "checksum": checksum, "files": n_files}).encode())
    if goal.exists():  # another version of it, or one that has lost files
        aside = corpora / f".{archive.file_name}.{os.getpid()}.old.unpacking"
        goal.replace(aside)
        shutil.rmtree(aside, ignore_errors=True)
    scratch.replace(goal)
