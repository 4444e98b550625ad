"""Reading and replacing files, and a short lock between processes."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from selfopt.errors import CorruptError, LockedError, NewerSchemaError, StoreError

from .temporary import hold_temporary, temporary_name
from .text import escape_control

M = TypeVar("M", bound=BaseModel)

MAX_JSON_BYTES = 64_000_000
LOCK_WAIT_S = 10.0
_FIRST_PAUSE_S = 0.0005
_LONGEST_PAUSE_S = 0.02
_BLOCK_BYTES = 1 << 16


_FIXES: dict[int | None, str] = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free some space and repeat the command"),
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS), "check the owner and mode of the folder, or choose another with --home"
    ),
    **dict.fromkeys((errno.EISDIR, errno.ENOTDIR, errno.ESPIPE), "move aside what stands in its place"),
    **dict.fromkeys(
        (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS),
        "the file system of this folder has no locks: choose a folder on a local disk with --home",
    ),
}

_LEFT = "it is left as it is: restore it or move it aside"


def reason_of(error: OSError) -> str:
    """Returns the system's message, with the fix for the common causes."""
    if error.errno == errno.ELOOP:
        return "it is a symbolic link, and those are not followed for writing; replace it by a regular file"
    return "; ".join(filter(None, (error.strerror or type(error).__name__, _FIXES.get(error.errno))))


def is_regular(descriptor: int) -> bool:
    """Returns whether an open file is a regular one.

    A pipe or a device keeps nothing that is written to it.
    """
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


@contextlib.contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    """Open a file like `open_private` and close it after the block. Yields the descriptor."""
    descriptor = open_private(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def fsync_directory(folder: Path) -> None:
    """Make new names in this folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_private(path: Path, flags: int) -> int:
    """Open a file and return its descriptor, close-on-exec. A new file gets mode 0600.

    Does not follow a symbolic link (OSError with ELOOP), and does not wait for the other end of a
    pipe.
    """
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte, in as many writes as the system needs."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def atomic_write_text(path: Path, text: str, *, within: Path | None = None, replace: bool = True, mode: int = 0o600) -> None:
    """Replace a whole file, durably. Readers see either the old or the new text, even after a
    crash.

    Writes UTF-8. Replaces a symbolic link at `path` instead of following it.

    Args:
        within: the folder that must contain the file once symbolic links of parent folders are
            resolved.
        replace: False to raise FileExistsError when something already exists at `path`.

    Raises StoreError; the old file is then untouched, and no temporary file is left.
    """
    if within is not None and not path.parent.resolve().is_relative_to(within.resolve()):
        raise StoreError(
            f"not written: {path} leads outside {within} through a symbolic link; replace the link by a regular folder"
        )
    with _taking_the_name(path, replace=replace, mode=mode) as descriptor:
        write_all(descriptor, text.encode("utf-8", "replace"))


@contextlib.contextmanager
def replacing(path: Path, *, replace: bool = True, mode: int = 0o600) -> Iterator[BinaryIO]:
    """Write a whole file in pieces. It gets its name, durably, when the block ends without an error.

    Replaces a symbolic link at `path` instead of following it.

    Args:
        replace: False to raise FileExistsError when something already exists at `path`.

    Raises StoreError; the old file is then untouched, and no temporary file is left.
    """
    if not replace and os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    with (
        _taking_the_name(path, replace=replace, mode=mode) as descriptor,
        open(descriptor, "wb", buffering=_BLOCK_BYTES, closefd=False) as file,
    ):
        yield file


@contextlib.contextmanager
def _taking_the_name(path: Path, *, replace: bool, mode: int) -> Iterator[int]:
    """Open a temporary file. It takes the name at the end of the block."""
    temporary = temporary_name(path)
    try:
        with opened(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as descriptor:
            hold_temporary(descriptor)
            os.fchmod(descriptor, mode)
            yield descriptor
            os.fsync(descriptor)
            (os.replace if replace else os.link)(temporary, path)
        fsync_directory(path.parent)
    except FileExistsError:
        raise
    except OSError as error:
        raise StoreError(f"could not write {path}: {reason_of(error)}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def read_text_bounded(path: Path, what: str, max_bytes: int = MAX_JSON_BYTES) -> str:
    """Returns the text of a regular file.

    Raises FileNotFoundError, StoreError when the file cannot be read, and CorruptError when it is
    not a regular file, is not UTF-8 or has more than max_bytes.
    """
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not is_regular(file.fileno()):
                raise CorruptError(f"{what} {path} is not a regular file; move it aside and repeat the command")
            data = file.read(max_bytes + 1)
    except FileNotFoundError:
        raise
    except IsADirectoryError as error:
        raise CorruptError(f"{what} {path} is a folder; move it aside and repeat the command") from error
    except OSError as error:
        raise StoreError(f"could not read {what} {path}: {reason_of(error)}") from error
    if len(data) > max_bytes:
        raise CorruptError(f"{what} {path} is larger than {max_bytes} bytes; it is left as it is: move it aside or restore it")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorruptError(f"{what} {path} is not UTF-8 (byte {error.start}); {_LEFT}") from error


class InputFileError(ValueError):
    """A file that the user named cannot be used; the message says why and how to fix it."""


def read_input(path: Path, max_bytes: int) -> str:
    """Returns the text of a file that the user named, without a byte order mark.

    Raises InputFileError unless it is a regular file of at most max_bytes in UTF-8. (A pipe would
    block, and a device might never end.)
    """
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not is_regular(file.fileno()):
                raise InputFileError("not a regular file; name one")
            data = file.read(max_bytes + 1)
    except FileNotFoundError:
        raise InputFileError("no such file; check the path") from None
    except IsADirectoryError:
        raise InputFileError("a folder; name a file") from None
    except OSError as error:
        raise InputFileError(f"cannot be read ({error.strerror}); check the path and its permissions") from None
    if len(data) > max_bytes:
        raise InputFileError(f"larger than {max_bytes} bytes; shorten or split it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputFileError(f"byte {error.start} is not UTF-8; save the file as UTF-8") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) != len(pairs):
        twice = next(key for i, (key, _) in enumerate(pairs) if any(key == other for other, _ in pairs[:i]))
        raise ValueError(f'the key "{twice}" occurs twice')
    return body


def parse_json_object(text: str, *, what: str, path: Path, advice: str = _LEFT) -> dict[str, Any]:
    """Returns the JSON object that a text holds.

    Raises CorruptError for anything else, including duplicate keys, NaN and nesting that is too
    deep.

    Args:
        advice: what the message says to do about it.
    """
    try:
        body = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
    except RecursionError:
        raise CorruptError(f"{what} {path} is nested too deeply; {advice}") from None
    except ValueError as error:
        raise CorruptError(f"{what} {path} is not valid JSON ({escape_control(str(error), 200)}); {advice}") from None
    if not isinstance(body, dict):
        raise CorruptError(f"{what} {path} holds a JSON {type(body).__name__}, not an object; {advice}")
    return body


def read_model(path: Path, *, what: str, model: type[M], schema_version: int = 1) -> M:
    """Returns the content of a JSON file as a model. schema_version: the newest that is read.

    Raises like `read_json_file`.
    """
    body = read_json_file(path, what=what, schema_version=schema_version)
    try:
        return model.model_validate_json(json.dumps(body))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise CorruptError(f"{what} {path} is damaged ({place}: {first['msg']}); {_LEFT}") from None


def read_json_file(path: Path, *, what: str, schema_version: int) -> dict[str, Any]:
    """Returns the JSON object of a file that has a `schema_version`.

    Args:
        what: the file's name for people, such as "the routing configuration".
        schema_version: the newest version that this selfopt reads.

    Raises:
        FileNotFoundError: there is no such file.
        CorruptError: the file is damaged.
        NewerSchemaError: a newer selfopt wrote the file.
        StoreError: the file cannot be read.
    """
    body = parse_json_object(read_text_bounded(path, what), what=what, path=path)
    found = body.get("schema_version")
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise CorruptError(f"{what} {path} has no valid schema_version (a whole number from 1); {_LEFT}")
    if found > schema_version:
        raise NewerSchemaError(
            f"{what} {path} has schema version {found}, this selfopt reads up to {schema_version}; "
            "it is left as it is: update selfopt, or use another home"
        )
    return body


def flock_wait(descriptor: int, *, exclusive: bool, what: str, timeout_s: float = LOCK_WAIT_S) -> None:
    """Take the file's advisory lock, and wait for it up to timeout_s seconds.

    Raises LockedError when another process keeps it, StoreError when the file system has no locks.
    """
    mode = (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB
    until = time.monotonic() + timeout_s
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            fcntl.flock(descriptor, mode)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                raise LockedError(
                    f"{what} is in use by another process for more than {timeout_s:g} s; end that process and repeat the command"
                ) from None
        except OSError as error:
            raise StoreError(f"could not lock {what}: {reason_of(error)}") from error
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


@contextlib.contextmanager
def guarded(path: Path, *, what: str, timeout_s: float = LOCK_WAIT_S) -> Iterator[None]:
    """Hold a lock between processes and threads while the block runs. The kernel frees it when the
    process dies.

    The empty lock file stays. Raises LockedError after timeout_s seconds, StoreError when the file
    cannot be created.
    """
    try:
        descriptor = open_private(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise StoreError(f"could not lock {what} ({path}): {reason_of(error)}") from error
    try:
        flock_wait(descriptor, exclusive=True, what=what, timeout_s=timeout_s)
        yield
    finally:
        os.close(descriptor)


def lines_backwards(descriptor: int, size: int, max_line_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Yields (offset, line without its newline) of the first `size` bytes of a file, the last line
    first.

    Skips what follows the last newline. Yields only the end of a line longer than max_line_bytes,
    and stops there.
    """
    start, rest, end_seen = size, b"", False
    while start > 0:
        step = min(_BLOCK_BYTES, start)
        start -= step
        block = os.pread(descriptor, step, start)
        if not end_seen:
            cut = block.rfind(b"\n")
            if cut < 0:
                continue
            block, end_seen = block[:cut], True
        block += rest
        parts = block.split(b"\n")
        offset = start + len(block)
        for line in reversed(parts[1:]):
            offset -= len(line)
            yield offset, line
            offset -= 1
        rest = parts[0]
        if len(rest) > max_line_bytes:
            yield start, rest
            return
    if end_seen:
        yield 0, rest
