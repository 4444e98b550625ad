"""Objects outside of the database: files of a folder, or what fsspec reaches (the extra 'blobs').

Several are asked for at once, and a store that is away is waited for with bounded patience.
"""

from __future__ import annotations

import errno
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from selfopt.errors import SelfoptError, SettingsError, StoreError
from selfopt.home import escape_control
from selfopt.home.files import fsync_directory, replacing
from selfopt.home.places import PACKAGES, check_place

T = TypeVar("T")
logger = logging.getLogger("selfopt.ledger")

AT_ONCE = 32
"""How many objects are asked for at the same time."""

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 2.0
_TOLD_CHARS = 300
_PASSING = frozenset({errno.EBUSY, errno.EAGAIN, errno.EIO, errno.EREMOTEIO, errno.ENETUNREACH, errno.EHOSTUNREACH, None})
# Errors of the packages below fsspec that are no OSError.
_PASSING_NAMES = ("Connect", "Timeout", "Transport", "HTTPClient", "ServerDisconnected", "ServiceRequest", "ServiceResponse")
# Of URLs in messages: who asks, and options, which may hold a signature.
_SECRETS = re.compile(r"(?<=://)[^/\s@]*@|\?\S*=\S*")
# By default botocore asks often and waits long, and what waits here is bounded by a setting.
_S3 = {"connect_timeout": 10, "read_timeout": 30, "retries": {"max_attempts": 1}}


class Objects(Protocol):
    """A place for objects. Calls come from several threads."""

    def put(self, name: str, data: bytes) -> None:
        """Store an object under its name, in place of an earlier one. It is durable when this returns."""
        ...

    def get(self, name: str, most: int) -> bytes:
        """Returns the first bytes of an object. Raises FileNotFoundError where there is none."""
        ...

    def is_passing(self, error: Exception) -> bool:
        """Returns whether another try may succeed."""
        ...


class _Folder:
    """Files below a folder, which only their owner reads. The folder must be there: one that is not mounted is not made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, data: bytes) -> None:
        path = self._folder / name
        if not path.parent.is_dir():
            self._check_there()
            path.parent.mkdir(exist_ok=True, mode=0o700)
            fsync_directory(self._folder)
        with replacing(path) as file:
            file.write(data)

    def get(self, name: str, most: int) -> bytes:
        try:
            with (self._folder / name).open("rb") as file:
                return file.read(most)
        except FileNotFoundError:
            self._check_there()
            raise

    def is_passing(self, error: Exception) -> bool:
        return False

    def _check_there(self) -> None:
        if not self._folder.is_dir():
            raise _no_place(f"file://{self._folder}", "No such folder")


class _Fsspec:
    """What fsspec reaches, by its own settings and environment variables."""

    def __init__(self, place: str) -> None:
        kind = urlsplit(place).scheme
        self._place = place
        try:
            import fsspec
        except ImportError:
            from selfopt.home.extras import extra_needed

            raise SettingsError(f"{place} needs {extra_needed('blobs')}") from None
        options: dict[str, Any] = {}
        if PACKAGES[kind] == "s3fs":
            options["config_kwargs"] = {**_S3, **fsspec.config.conf.get("s3", {}).get("config_kwargs", {})}
        try:
            self._files, self._root = fsspec.url_to_fs(place, **options)
        except ImportError:
            raise SettingsError(f"{place} needs the package {PACKAGES[kind]}: pip install {PACKAGES[kind]}") from None
        if PACKAGES[kind] == "s3fs":
            self._files.retries = 1

    def put(self, name: str, data: bytes) -> None:
        path = f"{self._root}/{name}"
        if not self._files.async_impl:  # a file system with folders
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._files.pipe_file(path, data)

    def get(self, name: str, most: int) -> bytes:
        try:
            return bytes(self._files.cat_file(f"{self._root}/{name}", start=0, end=most))
        except FileNotFoundError as error:
            told = getattr(error.__cause__, "response", {}).get("Error", {})
            if told.get("Code") == "NoSuchBucket":
                raise _no_place(self._place, _line(error)) from error
            raise
        except OSError as error:
            if error.errno == errno.EINVAL and "range" in str(error).lower():
                return b""  # an empty object has no first byte
            raise

    def is_passing(self, error: Exception) -> bool:
        if isinstance(error, ConnectionError | TimeoutError):
            return True
        if isinstance(error, OSError):
            return error.errno in _PASSING and not isinstance(error, FileNotFoundError | PermissionError)
        return any(word in base.__name__ for base in type(error).__mro__ for word in _PASSING_NAMES)


@lru_cache(maxsize=16)
def open_objects(place: str) -> Objects:
    """Returns what asks a place. Contacts nobody.

    Raises:
        SettingsError: a package is missing.
        StoreError: the place cannot be used.
    """
    try:
        place = check_place(place)
    except ValueError as error:
        raise StoreError(f"texts cannot be read from {escape_control(place, 80)!r}: {error}") from None
    if place.startswith("file://"):
        return _Folder(Path(place.removeprefix("file://")))
    try:
        return _Fsspec(place)
    except SelfoptError:
        raise
    except Exception as error:
        raise StoreError(f"{place} cannot be used: {_line(error)}; check the setting blobs") from error


class ObjectCalls:
    """Asks for many objects at once, and waits for a store that is away.

    Args:
        patience_s: how long. A store that this process has not reached yet is not waited for.
    """

    def __init__(self, patience_s: float = 0.0) -> None:
        self._patience_s = patience_s
        self._hurry = threading.Event()
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._reached: set[str] = set()
        self._away: set[str] = set()

    def put(self, place: str, objects: Mapping[str, bytes]) -> None:
        """Store objects, side by side. They are durable when this returns. StoreError when one cannot be stored."""
        there = open_objects(place)

        def put(name: str) -> None:
            try:
                self._patient(place, there, lambda: there.put(name, objects[name]))
            except FileNotFoundError as error:
                raise _no_place(place, _line(error)) from error

        self._each(put, list(objects))

    def get(self, wanted: Sequence[tuple[str, str, int]]) -> list[bytes | None]:
        """Returns the first bytes of objects: of each (place, name, how many). None: there is no such object.

        Raises StoreError when a store cannot be asked.
        """

        def get(one: tuple[str, str, int]) -> bytes | None:
            place, name, most = one
            there = open_objects(place)
            try:
                return self._patient(place, there, lambda: there.get(name, most))
            except FileNotFoundError:
                return None

        return self._each(get, wanted)

    def hurry(self) -> None:
        """Stop waiting for a store that is away, now and from now on. Does nothing while it is there."""
        if self._away:
            self._hurry.set()

    def close(self) -> None:
        """End the threads. May be called twice."""
        self._hurry.set()
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()

    def _each(self, work: Callable[[Any], T], items: Sequence[Any]) -> list[T]:
        if len(items) < 2:
            return [work(item) for item in items]
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(AT_ONCE, "selfopt-objects")
            futures = [self._pool.submit(work, item) for item in items]
        try:
            failed = [error for future in futures if (error := future.exception()) is not None]
        except BaseException:  # an interrupt: who leaves does not wait for a store that is away
            self._hurry.set()
            raise
        if failed:
            raise failed[0]
        return [future.result() for future in futures]

    def _patient(self, place: str, there: Objects, work: Callable[[], T]) -> T:
        until: float | None = None
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                done = work()
            except (FileNotFoundError, StoreError):
                raise
            except Exception as error:
                if not there.is_passing(error):
                    raise _refused(place, error) from error
                patience_s = self._patience_s if place in self._reached else 0.0
                until = time.monotonic() + patience_s if until is None else until
                if time.monotonic() + wait_s > until or self._hurry.is_set():
                    raise _gone(place, error, patience_s) from error
                self._note_away(place, error)
                self._hurry.wait(wait_s)
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
            else:
                self._reached.add(place)
                self._note_back(place)
                return done

    def _note_away(self, place: str, error: Exception) -> None:
        with self._lock:
            if place not in self._away:
                logger.warning("%s is away (%s); waiting for it up to %g s", place, _line(error), self._patience_s)
            self._away.add(place)

    def _note_back(self, place: str) -> None:
        if place in self._away:
            with self._lock:
                if place in self._away:
                    logger.warning("%s is back", place)
                self._away.discard(place)


def _no_place(place: str, why: str) -> StoreError:
    return StoreError(f"{place} does not exist ({why}); make it or mount it, or change the setting blobs")


def _refused(place: str, error: Exception) -> StoreError:
    if isinstance(error, PermissionError):
        return StoreError(
            f"{place} refuses: {_line(error)}; check the keys and the rights: it takes reading and writing of objects"
        )
    return StoreError(f"{place} cannot be used: {_line(error)}; nothing was half written; check the setting blobs and its keys")


def _gone(place: str, error: Exception, patience_s: float) -> StoreError:
    if patience_s:
        return StoreError(
            f"{place} did not return within {patience_s:g} s ({_line(error)}); what was stored is kept: repeat the command "
            "once it is back"
        )
    return StoreError(f"{place} cannot be reached: {_line(error)}; check that it runs, and the setting blobs")


def _line(error: Exception) -> str:
    text = str(error.strerror or error) if isinstance(error, OSError) else str(error)
    text = _SECRETS.sub("", " ".join(text.split()))
    return escape_control(text or type(error).__name__, _TOLD_CHARS)
