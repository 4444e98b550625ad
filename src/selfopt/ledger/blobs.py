"""Where a ledger keeps the texts of blobs: packed in its database, or as objects elsewhere.

The database lists every blob by its hash. The row of one whose text is elsewhere says where, so a
changed setting loses nothing. An object is stored before the transaction that names it, and holds
the text packed with zlib, under a name that is its hash.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any, NamedTuple, Protocol, TypeVar

from selfopt.errors import CorruptError, StoreError
from selfopt.home.places import check_place
from selfopt.records import Blob

from .codec import ELSEWHERE, pack_text, unpack_text
from .objects import ObjectCalls

INSIDE_BELOW = 8192
"""Texts that pack to fewer bytes stay in the database: an object costs a round trip, and a row does not."""

PROBE = "selfopt-probe"
_PROBED = b"selfopt writes this to see whether it may\n"
_MOST_BYTES = 1 << 30
_WINDOW_OBJECTS = 128
_WINDOW_BYTES = 64 << 20
_POINTER = re.compile(rb"([1-9][0-9]{0,9}) (\S{1,500})")
_HASH = re.compile(r"[0-9a-f]{64}")

PackedRow = tuple[int, bytes]  # codec and data, as the table of blobs has them
Row = TypeVar("Row", bound=tuple[Any, ...])


class LostTextError(CorruptError):
    """The object that holds the text of a blob is missing, or holds something else.

    Attributes:
        detail: which object.
        is_missing: there is no such object.
    """

    def __init__(self, where: str, blob_hash: str, place: str, *, is_missing: bool) -> None:
        what = "is not there" if is_missing else "has another content than its hash says"
        super().__init__(f"{where} is damaged: the text of blob {blob_hash} {what} in {place}; restore it there from a copy")
        self.detail = f"its text in {place}"
        self.is_missing = is_missing


class BlobStore(Protocol):
    """Keeps the texts of blobs. Calls come from several threads.

    Attributes:
        is_far: keeping waits for a network or a disk.
    """

    is_far: bool

    def keep(self, blobs: Iterable[Blob], stored: Callable[[list[str]], Container[str]]) -> Callable[[Blob], PackedRow]:
        """Store what is kept outside of the database. Then returns what makes the rows of blobs.

        Args:
            stored: tells which of these hashes the database has already.

        Raises StoreError when something cannot be stored.
        """
        ...

    def texts(self, rows: Iterable[Row], where: str) -> Iterator[tuple[Row, str | CorruptError]]:
        """Yields each row with its text, checked against its hash; or with what is wrong with it.

        Args:
            rows: each ends with hash, codec and data.
            where: the ledger, for people.

        Raises StoreError when a store cannot be asked.
        """
        ...

    def check(self) -> str:
        """Returns where new texts go, for people; writes and reads there. StoreError says why that does not work."""
        ...

    def hurry(self) -> None:
        """Stop waiting for a store that is away."""
        ...

    def close(self) -> None:
        """End its threads. May be called twice."""
        ...


class InsideBlobs:
    """Keeps texts in the database. Reads also those that an earlier setting put elsewhere.

    Args:
        patience_s: how long a store that goes away is waited for.
    """

    is_far = False

    def __init__(self, patience_s: float = 0.0) -> None:
        self._calls = ObjectCalls(patience_s)

    def keep(self, blobs: Iterable[Blob], stored: Callable[[list[str]], Container[str]]) -> Callable[[Blob], PackedRow]:
        """See `BlobStore.keep`."""
        return _packed

    def texts(self, rows: Iterable[Row], where: str) -> Iterator[tuple[Row, str | CorruptError]]:
        """See `BlobStore.texts`. Asks for many objects at once, and holds a bounded number of bytes."""
        window: list[tuple[Row, _Pointer | None]] = []
        n_objects = n_bytes = 0
        for row in rows:
            pointer = _pointer(row[-3:]) if row[-2] == ELSEWHERE else None
            if pointer is None and not window:
                yield row, _inside(row[-3:], where)
                continue
            window.append((row, pointer))
            n_objects += pointer is not None
            n_bytes += pointer.size if pointer else len(row[-1])
            if n_objects >= _WINDOW_OBJECTS or n_bytes >= _WINDOW_BYTES:
                yield from self._window(window, where)
                window, n_objects, n_bytes = [], 0, 0
        yield from self._window(window, where)

    def check(self) -> str:
        """See `BlobStore.check`."""
        return "in the ledger"

    def hurry(self) -> None:
        """See `BlobStore.hurry`."""
        self._calls.hurry()

    def close(self) -> None:
        """See `BlobStore.close`."""
        self._calls.close()

    def _window(self, window: Sequence[tuple[Row, _Pointer | None]], where: str) -> Iterator[tuple[Row, str | CorruptError]]:
        objects = iter(self._calls.get([(one.place, one.name, one.most) for _, one in window if one is not None]))
        for row, pointer in window:
            yield row, _inside(row[-3:], where) if pointer is None else pointer.text(next(objects), where)


class ObjectBlobs(InsideBlobs):
    """Keeps large texts as objects of a store, small ones in the database.

    Args:
        place: the store, as a URL (see `check_place`).
        inside_below: texts that pack to fewer bytes stay in the database.
    """

    is_far = True

    def __init__(self, place: str, patience_s: float = 0.0, inside_below: int = INSIDE_BELOW) -> None:
        super().__init__(patience_s)
        self._place = check_place(place)
        self._inside_below = inside_below

    def keep(self, blobs: Iterable[Blob], stored: Callable[[list[str]], Container[str]]) -> Callable[[Blob], PackedRow]:
        """See `BlobStore.keep`. Stores the objects of all these blobs side by side."""
        rows: dict[str, PackedRow] = {}
        large: dict[str, tuple[int, bytes]] = {}
        for blob in blobs:
            if blob.blob_hash in rows or 4 * len(blob.text) < self._inside_below:
                continue
            rows[blob.blob_hash] = codec, data = pack_text(blob.text)
            if len(data) >= self._inside_below:
                raw = blob.text.encode() if codec else data
                if 0 < len(raw) <= _MOST_BYTES:
                    large[blob.blob_hash] = len(raw), data if codec else zlib.compress(data, 1)
        if large:
            known = stored(list(large))
            new = {name: one for name, one in large.items() if name not in known}
            # A name is always written: what stands there may be damaged, and any other packing of the text does as well.
            self._calls.put(self._place, {_object_name(name): data for name, (_, data) in new.items()})
            rows |= {name: (ELSEWHERE, f"{size} {self._place}".encode()) for name, (size, _) in new.items()}
        return lambda blob: rows.get(blob.blob_hash) or pack_text(blob.text)

    def check(self) -> str:
        """See `BlobStore.check`."""
        self._calls.put(self._place, {PROBE: _PROBED})
        [found] = self._calls.get([(self._place, PROBE, len(_PROBED) + 1)])
        if found != _PROBED:
            raise StoreError(f"{self._place} does not give back what was written there; check the setting blobs")
        return self._place


class _Pointer(NamedTuple):
    """The row of a blob whose text is elsewhere. size: of the text, in bytes."""

    blob_hash: str
    size: int
    place: str

    @property
    def name(self) -> str:
        return _object_name(self.blob_hash)

    @property
    def most(self) -> int:
        """More bytes than any packing of the text has: what is longer is not it, and is not taken into memory."""
        return self.size + self.size // 1000 + 64

    def text(self, data: bytes | None, where: str) -> str | CorruptError:
        """Returns the text that an object holds."""
        if data is None:
            return LostTextError(where, self.blob_hash, self.place, is_missing=True)
        unpacker = zlib.decompressobj()
        try:
            raw = unpacker.decompress(data, self.size + 1)
        except zlib.error:
            raw = b""
        if not unpacker.eof or unpacker.unused_data or sha256(raw).hexdigest() != self.blob_hash:
            return LostTextError(where, self.blob_hash, self.place, is_missing=False)
        return raw.decode("utf-8", "replace")


def _pointer(row: Sequence[Any]) -> _Pointer | None:
    """Returns where the text of a row is; None where the row is damaged."""
    blob_hash, _, data = row
    match = _POINTER.fullmatch(data) if isinstance(data, bytes) else None
    if match is None or not isinstance(blob_hash, str) or not _HASH.fullmatch(blob_hash) or int(match[1]) > _MOST_BYTES:
        return None
    try:
        return _Pointer(blob_hash, int(match[1]), check_place(match[2].decode()))
    except ValueError:
        return None


def _inside(row: Sequence[Any], where: str) -> str | CorruptError:
    blob_hash, codec, data = row
    try:
        return unpack_text(codec, data, blob_hash, where=where)
    except CorruptError as error:
        return error
    except (AttributeError, TypeError):  # a damaged page has values of any type
        return CorruptError(f"{where} is damaged: blob {str(blob_hash)[:80]} cannot be read")


def _packed(blob: Blob) -> PackedRow:
    return pack_text(blob.text)


def _object_name(blob_hash: str) -> str:
    return f"{blob_hash[:2]}/{blob_hash}.z"


def whole(found: str | CorruptError) -> str:
    """Returns a text that was read. Raises what is wrong with it."""
    if isinstance(found, CorruptError):
        raise found
    return found
