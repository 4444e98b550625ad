"""The file into which a model is pulled, part by part. It lets a killed pull resume."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import IO, Any

from selfopt.home import atomic_write_text
from selfopt.records import content_hash

from .catalogue import ModelEntry
from .meter import Meter, SourceError

_CHUNK_BYTES = 1 << 20


class Assembly:
    """Collects the bytes of one source in `<folder>/<id of the source>.part`.

    A journal beside the file notes the complete parts. The file never exceeds the size in the
    catalogue. Disk errors are raised as OSError.
    """

    def __init__(self, folder: Path, entry: ModelEntry, parts: tuple[str, ...], meter: Meter) -> None:
        stem = content_hash("source", [entry.sha256, list(parts)])
        self.path = folder / f"{stem}.part"
        self._journal = folder / f"{stem}.json"
        self._limit = entry.size_bytes
        self._meter = meter
        self._file: IO[bytes] | None = None
        self._hash = hashlib.sha256()
        self._size = 0
        self._part_start = 0
        self.parts_done = 0

    def __enter__(self) -> Assembly:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a+b", buffering=0)
        self.parts_done, self._part_start = self._read_journal()
        present = os.fstat(self._file.fileno()).st_size
        if not self._part_start <= present <= self._limit:
            self.parts_done, self._part_start, present = 0, 0, 0
        self._truncate(present)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def size(self) -> int:
        """The bytes in the file."""
        return self._size

    @property
    def part_offset(self) -> int:
        """The bytes of the current part that are in the file, from an interrupted pull."""
        return self._size - self._part_start

    @property
    def room(self) -> int:
        """The bytes that the model may still grow by."""
        return self._limit - self._size

    def write(self, chunk: bytes) -> None:
        """Append a chunk. Raises SourceError if the file would exceed the size in the catalogue."""
        if len(chunk) > self.room:
            raise SourceError(f"it is larger than the {self._limit} bytes in the catalogue")
        view = memoryview(chunk)
        while view:
            view = view[self._open.write(view) :]
        self._count(chunk)

    def restart_part(self) -> None:
        """Drop the bytes of the current part."""
        if self.part_offset:
            self._truncate(self._part_start)

    def end_part(self) -> None:
        """Sync the current part to disk and note it as complete."""
        os.fsync(self._open.fileno())
        self.parts_done += 1
        self._part_start = self._size
        atomic_write_text(self._journal, json.dumps({"parts_done": self.parts_done, "bytes": self._size}))

    def digest(self) -> str:
        """The SHA-256 of all bytes in the file."""
        return self._hash.hexdigest()

    def discard(self) -> None:
        """Remove the file and its journal."""
        self.__exit__()
        self._journal.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    @property
    def _open(self) -> IO[bytes]:
        assert self._file is not None, "use within `with`"
        return self._file

    def _read_journal(self) -> tuple[int, int]:
        try:
            noted: Any = json.loads(self._journal.read_text(encoding="utf-8"))
            return max(0, int(noted["parts_done"])), max(0, int(noted["bytes"]))
        except (OSError, ValueError, KeyError, TypeError):
            return 0, 0

    def _count(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self._size += len(chunk)
        self._meter.reached(self._size)

    def _truncate(self, size: int) -> None:
        """Cut the file to `size` bytes and hash the rest again."""
        self._open.truncate(size)
        self._hash = hashlib.sha256()
        self._size = 0
        self._open.seek(0)
        while self._size < size and (chunk := self._open.read(_CHUNK_BYTES)):
            self._count(chunk)
