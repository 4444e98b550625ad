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
from typing import Any, NoReturn, TypeVar

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
        (errno.ENOLCK, errno.EOPNOTSUPP),
        "the file system of this folder has no locks: choose a folder on a local disk with --home",
    ),
}


def reason_of(error: OSError) -> str:
    """What the system said, with what to do about the common cases."""
    if error.errno == errno.ELOOP:
        return "it is a symbolic link, and those are not followed for writing; replace it by a regular file"
    return "; ".join(filter(None, (error.strerror or type(error).__name__, _FIXES.get(error.errno))))


def is_regular(descriptor: int) -> bool:
    """Whether an open file is a regular one: what is written to a pipe or a device is not kept."""
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


@contextlib.contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    """The descriptor of `open_private` for as long as the block runs."""
    descriptor = open_private(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def fsync_directory(folder: Path) -> None:
    """Make a rename or a new name in this folder durable. OSError when that fails."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_private(path: Path, flags: int) -> int:
    """Open without following a symbolic link, close-on-exec, new files with mode 0600, a pipe without waiting for its other
    end. OSError; ELOOP for a link."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte, whatever the system takes at a time."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def atomic_write_text(path: Path, text: str, *, within: Path | None = None, replace: bool = True, mode: int = 0o600) -> None:
    """Replace the file whole, durably: a reader sees the old or the new text, also after a crash. UTF-8.

    A symbolic link at `path` is replaced, not followed. within: the folder that the file must really be in, with symbolic
    links of parent folders resolved. replace=False: FileExistsError where anything stands at `path`. Raises StoreError; the
    old file is then untouched and no temporary file is left.
    """
    if within is not None and not path.parent.resolve().is_relative_to(within.resolve()):
        raise StoreError(
            f"not written: {path} leads outside {within} through a symbolic link; replace the link by a regular folder"
        )
    temporary = temporary_name(path)
    try:
        with opened(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as descriptor:
            hold_temporary(descriptor)
            os.fchmod(descriptor, mode)
            write_all(descriptor, text.encode("utf-8", "replace"))
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
    """The text of a regular file of at most max_bytes. FileNotFoundError; CorruptError for anything that is not UTF-8 or
    too large; StoreError when it cannot be read."""
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
        raise CorruptError(
            f"{what} {path} is not UTF-8 (byte {error.start}); it is left as it is: restore it or move it aside"
        ) from error


class InputFileError(ValueError):
    """A file that the user named cannot be used; the message says why and what to do."""


def read_input(path: Path, max_bytes: int) -> str:
    """The text of a file that the user names: a regular one (a pipe would block, a device never end) of at most max_bytes,
    UTF-8 with or without a byte order mark. InputFileError otherwise."""
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


def parse_json_object(text: str, *, what: str, path: Path) -> dict[str, Any]:
    """A JSON object; CorruptError for anything else (also duplicate keys, NaN, nesting too deep)."""
    try:
        body = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
    except RecursionError:
        raise CorruptError(f"{what} {path} is nested too deeply; it is left as it is: restore it or move it aside") from None
    except ValueError as error:
        said = escape_control(str(error), 200)
        raise CorruptError(
            f"{what} {path} is not valid JSON ({said}); it is left as it is: restore it or move it aside"
        ) from None
    if not isinstance(body, dict):
        raise CorruptError(
            f"{what} {path} holds a JSON {type(body).__name__}, not an object; it is left as it is: restore it or move it aside"
        )
    return body


def read_model(path: Path, *, what: str, model: type[M]) -> M:
    """The content of a file that `read_json_file` reads, in version 1, as a model. Raises as that does."""
    body = read_json_file(path, what=what, schema_version=1)
    try:
        return model.model_validate_json(json.dumps(body))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise CorruptError(
            f"{what} {path} is damaged ({place}: {first['msg']}); it is left as it is: restore it or move it aside"
        ) from None


def read_json_file(path: Path, *, what: str, schema_version: int) -> dict[str, Any]:
    """The JSON object in a file that carries `schema_version`.

    what: the file's name for people ("the routing configuration"); schema_version: the newest that this program reads.
    Raises FileNotFoundError when it is missing, CorruptError when it is damaged, NewerSchemaError when it was written by a
    newer selfopt, StoreError when it cannot be read. Never writes.
    """
    body = parse_json_object(read_text_bounded(path, what), what=what, path=path)
    found = body.get("schema_version")
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise CorruptError(
            f"{what} {path} has no valid schema_version (a whole number from 1); it is left as it is: restore it or move it aside"
        )
    if found > schema_version:
        raise NewerSchemaError(
            f"{what} {path} has schema version {found}, this selfopt reads up to {schema_version}; "
            "it is left as it is: update selfopt, or use another home"
        )
    return body


def flock_wait(descriptor: int, *, exclusive: bool, what: str, timeout_s: float = LOCK_WAIT_S) -> None:
    """Take the file's advisory lock, waiting at most timeout_s seconds. LockedError when it stays taken, StoreError where
    there are no locks."""
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
    """Hold a short lock between processes (and threads) while the block runs; the kernel frees it when the process dies.

    The lock file stays, empty. Raises LockedError after timeout_s seconds, StoreError when it cannot be created.
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
    """(offset, line without its newline) of the complete lines among the first `size` bytes, the last line first.

    What follows the last newline is left out. A line of more than max_line_bytes is yielded cut (its end), and is the last.
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
