"""Pulls, verifies and removes model files in the user's cache folder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import platformdirs
from pydantic import ValidationError

from selfopt.errors import LockedError, ModelStoreError, StoreError
from selfopt.home import atomic_write_text, escape_json
from selfopt.home.files import fsync_directory
from selfopt.records import Record, utc_now

from .assembly import Assembly
from .catalogue import ModelEntry
from .meter import Meter, PullProgress, SourceError
from .sources import append_part

_SCHEMA_VERSION = 1
_TICK_S = 0.2
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_SPARE_BYTES = 1 << 20


class InstalledModel(Record):
    """The note about a model that the store keeps beside its file."""

    schema_version: int = _SCHEMA_VERSION
    name: str
    file: str
    sha256: str
    size_bytes: int
    source: str
    pulled_at: str


class ModelStore:
    """Model files under `root`:

    models/<model>/model.gguf, model.json   a complete, verified model; both files must exist
    partial/<model>/                        the files of an unfinished pull
    locks/<model>.lock                      held by the process that pulls or removes the model
    logs/                                   logs of the engine

    For other data, `folder` and `file` replace `models` and `model.gguf`.
    """

    def __init__(self, root: Path, *, folder: str = "models", file: str = "model.gguf") -> None:
        self.root = root
        self._kept = root / folder
        self._file = file

    @classmethod
    def default(cls, environ: Mapping[str, str] | None = None) -> ModelStore:
        """The store of this user, in SELFOPT_CACHE or else in the platform's cache folder."""
        chosen = (os.environ if environ is None else environ).get("SELFOPT_CACHE")
        return cls(Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("selfopt", appauthor=False))

    def path_of(self, name: str) -> Path | None:
        """The model's file; None if it is not pulled."""
        return self.file_of(name) if self.find(name) is not None else None

    def find(self, name: str) -> InstalledModel | None:
        """The note about a complete model that is unchanged since it was verified, else None.

        If the file was written after its note, a pull verifies it again.
        """
        try:
            note = self._folder(name) / "model.json"
            noted = InstalledModel.model_validate_json(note.read_bytes())
            file = self.file_of(name).stat()
            whole = file.st_size == noted.size_bytes and file.st_mtime_ns <= note.stat().st_mtime_ns
        except (OSError, ValidationError):
            return None
        return noted if whole and noted.name == name and noted.schema_version == _SCHEMA_VERSION else None

    def installed(self) -> tuple[InstalledModel, ...]:
        """All complete models, in order of their names."""
        names = (folder.name.replace("@", "/").replace("+", ":") for folder in sorted(self._kept.glob("*")))
        return tuple(model for model in map(self.find, names) if model is not None)

    def file_of(self, name: str) -> Path:
        """The path of the model's file, whether or not it exists."""
        return self._folder(name) / self._file

    def pull(self, entry: ModelEntry, progress: Callable[[PullProgress], None]) -> Path:
        """Fetch and verify a model, unless the store has it already.

        This blocks. Use `asyncio.to_thread` in a coroutine.

        Args:
            entry: the model.
            progress: called in this thread at least five times a second. If it raises, the pull
                stops; the next one resumes it.

        Returns:
            The path of the model's file.

        Raises:
            ModelStoreError: no source works, a checksum is wrong, or the disk is full.
        """
        meter = Meter(entry.name, entry.size_bytes)
        result: list[Path | BaseException] = []

        def work() -> None:
            try:
                result.append(self._pull(entry, meter))
            except BaseException as error:  # carried over to the calling thread
                result.append(error)

        worker = threading.Thread(target=work, name=f"pull {entry.name}", daemon=True)
        worker.start()
        try:
            ended = False
            while not ended:
                worker.join(_TICK_S)
                ended = not worker.is_alive()  # looked at before the snapshot, so that the last one shows the end
                progress(meter.progress)
        finally:
            meter.cancel()
            worker.join()
        outcome = result[0]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def remove(self, name: str) -> bool:
        """Remove a model, and what an unfinished pull has left.

        Returns:
            Whether there was anything to remove.

        Raises:
            LockedError: another process is pulling the model.
        """
        if not self._folder(name).exists() and not self._partial(name).exists():
            return False
        lock = try_lock(self._lock_path(name))
        if lock is None:
            raise LockedError(f"{name} is being pulled by another process; wait for it, or end it")
        try:
            (self._folder(name) / "model.json").unlink(missing_ok=True)
            shutil.rmtree(self._folder(name), ignore_errors=True)
            shutil.rmtree(self._partial(name), ignore_errors=True)
        finally:
            os.close(lock)
        return True

    def _pull(self, entry: ModelEntry, meter: Meter) -> Path:
        try:
            with self._locked(entry.name, meter):
                noted = self.find(entry.name)
                if (noted is None or noted.sha256 != entry.sha256) and not self._verified_again(entry, meter):
                    self._fetch(entry, meter)
        except OSError as error:
            raise self._disk_error(entry, error) from error
        except StoreError as error:  # of a note written beside the file
            if isinstance(error.__cause__, OSError):
                raise self._disk_error(entry, error.__cause__) from error
            raise
        meter.reached(entry.size_bytes)
        meter.stage("done")
        return self.file_of(entry.name)

    @contextlib.contextmanager
    def _locked(self, name: str, meter: Meter) -> Iterator[None]:
        while (lock := try_lock(self._lock_path(name))) is None:
            meter.check()
            time.sleep(_TICK_S)
        try:
            yield
        finally:
            os.close(lock)

    def _verified_again(self, entry: ModelEntry, meter: Meter) -> bool:
        """Verify the file that exists already. If it is the entry's, note that, and return True."""
        file = self.file_of(entry.name)
        if not file.is_file() or file.stat().st_size != entry.size_bytes:
            return False
        meter.stage("verifying", "what is here already")
        with file.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != entry.sha256:
                return False
        os.utime(file)  # a time to come would be later than any note
        self._note(entry, f"file:{file}")
        return True

    def _fetch(self, entry: ModelEntry, meter: Meter) -> None:
        reasons = []
        for parts in entry.sources:
            meter.restart(parts[0])
            try:
                self._fetch_from(entry, parts, meter)
                return
            except SourceError as error:
                reasons.append(f"{meter.progress.source or parts[0]}: {error}")
        tried = "its source" if len(reasons) == 1 else f"any of its {len(reasons)} sources"
        raise ModelStoreError(
            f"{entry.name} could not be pulled from {tried}: {'; '.join(reasons)}; check the connection, or the entry's sources and "
            "sha256 in the model catalogue"
        )

    def _fetch_from(self, entry: ModelEntry, parts: tuple[str, ...], meter: Meter) -> None:
        folder = self._partial(entry.name)
        assembly = Assembly(folder, entry, parts, meter)
        for attempt in range(2):
            with assembly:
                if shutil.disk_usage(self.root).free < assembly.room + _SPARE_BYTES:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                resumed = assembly.size > 0
                while assembly.parts_done < len(parts):
                    append_part(parts[assembly.parts_done], assembly, folder / "scratch", meter)
                    assembly.end_part()
                meter.stage("verifying", " + ".join(parts))
                size, digest = assembly.size, assembly.digest()
            if size == entry.size_bytes and digest == entry.sha256:
                self._move_into_place(entry, assembly.path, parts[0])
                return
            assembly.discard()
            if not resumed or attempt == 1:  # if the pull resumed another one, try once more from the start
                raise SourceError(
                    f"got {size} bytes with sha256 {digest}, allowed are {entry.size_bytes} bytes with {entry.sha256}; removed"
                )

    def _move_into_place(self, entry: ModelEntry, path: Path, source: str) -> None:
        folder = self._folder(entry.name)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.json").unlink(missing_ok=True)  # of another version of the file
        os.replace(path, self.file_of(entry.name))
        fsync_directory(folder)
        self._note(entry, source)
        shutil.rmtree(self._partial(entry.name), ignore_errors=True)

    def _note(self, entry: ModelEntry, source: str) -> None:
        noted = InstalledModel(
            name=entry.name,
            file=entry.file,
            sha256=entry.sha256,
            size_bytes=entry.size_bytes,
            source=source,
            pulled_at=utc_now(),
        )
        atomic_write_text(self._folder(entry.name) / "model.json", escape_json(noted.model_dump_json(indent=2)) + "\n")

    def _disk_error(self, entry: ModelEntry, error: OSError) -> ModelStoreError:
        if error.errno not in _NO_ROOM:
            return ModelStoreError(f"{entry.name}: the cache folder {self.root} cannot be used: {error}; or set SELFOPT_CACHE")
        shutil.rmtree(self._partial(entry.name), ignore_errors=True)
        return ModelStoreError(
            f"{entry.name}: the disk is full; {2 * entry.size_bytes / 1e6:,.0f} MB have to be free in {self.root} while it is "
            "pulled (what had come was removed); make room or set SELFOPT_CACHE to another folder"
        )

    def _folder(self, name: str) -> Path:
        return self._kept / slug(name)

    def _partial(self, name: str) -> Path:
        return self.root / "partial" / slug(name)

    def _lock_path(self, name: str) -> Path:
        return self.root / "locks" / f"{slug(name)}.lock"


def slug(name: str) -> str:
    """A model's name as a file name. It is unique, because names contain neither @ nor +."""
    return name.replace("/", "@").replace(":", "+")


def try_lock(path: Path) -> int | None:
    """Take an exclusive lock on a file if it is free.

    Never remove the file: two processes could then lock two files of one name.

    Returns:
        A descriptor. Closing it, or the end of the process, gives the lock back. None when another
        process holds the lock.

    Raises:
        OSError: the file cannot be made or locked.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            return None
        raise
    return descriptor
