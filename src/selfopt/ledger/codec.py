"""Turns records into rows and back: the record types, their JSON bodies, their index entries, and
packed blobs.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from selfopt import records
from selfopt.errors import CorruptError, StoreError
from selfopt.records import Blob, Record, sha256_hex

R = TypeVar("R", bound=Record)
IndexEntry = tuple[str, str | int]

ENCODED_BY_ID = frozenset({"spec", "environment"})
"""Kinds whose id is the hash of their content.

Equal ids mean equal content, although a variant in it may have another name.
"""

_RAW, _ZLIB = 0, 1
ELSEWHERE = 2
"""The codec of a blob whose text is kept elsewhere. The data says where: the text's size in bytes, a space, and the place."""

_PACK_FROM_BYTES = 1000
_SMALL_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Row:
    """One record as it is stored."""

    kind: str
    id: str
    body: str  # JSON
    index: tuple[IndexEntry, ...]  # (field, value) pairs by which `read` finds it; one pair per element of a tuple


@cache
def record_types() -> Mapping[str, type[Record]]:
    """Returns the record types that a ledger keeps, by `ledger_kind`."""
    found: dict[str, type[Record]] = {}
    for name in records.__all__:
        item = getattr(records, name)
        if isinstance(item, type) and issubclass(item, Record) and item.ledger_kind:
            found[item.ledger_kind] = item
    return found


@cache
def kind_of(record_type: type[Record]) -> str:
    """Returns the `ledger_kind` of a record type.

    TypeError when a ledger does not keep this type.
    """
    kind = record_type.ledger_kind
    if record_types().get(kind) is not record_type:
        raise TypeError(f"{record_type.__name__} is not kept in the ledger; kinds: {', '.join(sorted(record_types()))}")
    return kind


def check_where(record_type: type[Record], where: Mapping[str, str | int] | None) -> list[IndexEntry]:
    """Returns the conditions in a fixed order. ValueError when a field is not indexed."""
    allowed = ("id", *record_type.index_fields)
    for name in where or {}:
        if name not in allowed:
            raise ValueError(f"{record_type.__name__} cannot be read by {name!r}; allowed: {', '.join(allowed)}")
    return sorted((where or {}).items())


def encode(record: Record) -> Row:
    """Returns the row of a record. StoreError when the record cannot be written as JSON."""
    record_type = type(record)
    kind = kind_of(record_type)
    record_id = str(getattr(record, record_type.id_field))
    entries: list[IndexEntry] = []
    for name in record_type.index_fields:
        value = getattr(record, name)
        if isinstance(value, (str, int)):
            entries.append((name, value))
        elif value is not None:
            entries.extend((name, element) for element in dict.fromkeys(value))
    return Row(kind, record_id, _body(record), tuple(entries))


def _body(record: Record) -> str:
    try:
        # This is what model_dump_json does, without its two dozen options.
        return record.__pydantic_serializer__.to_json(record).decode()
    except (PydanticSerializationError, ValueError, RecursionError):
        pass
    try:
        # A model may write lone surrogates, which UTF-8 cannot carry. They become question marks, as they do in blobs.
        text = json.dumps(record.model_dump(), ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise StoreError(f"{type(record).__name__} {record.record_id} cannot be stored as JSON: {error}") from error
    return text.encode("utf-8", "replace").decode("utf-8")


def decode(record_type: type[R], body: str, *, where: str) -> R:
    """Returns the record of a JSON body.

    CorruptError, which names `where`, when the body is not of this type.
    """
    try:
        return record_type.model_validate_json(body)
    except ValidationError:
        # The fast reader refuses nesting that the writer allows: read once more before calling the body damaged.
        try:
            return record_type.model_validate(json.loads(body), context=None)
        except (ValidationError, ValueError, TypeError, RecursionError) as error:
            reason = str(error).splitlines()[0]
            raise CorruptError(
                f"{where} is damaged: {reason}; it was left as it is, move the file away or restore a copy"
            ) from error


def same_content(record_type: type[Record], stored: str, body: str, *, where: str) -> bool:
    """Returns whether two bodies mean the same.

    The order of keys and omitted defaults do not matter.
    """
    if stored == body or record_type.ledger_kind in ENCODED_BY_ID:
        return True
    return bool(json.loads(_body(decode(record_type, stored, where=where))) == json.loads(body))


def check_blob(blob: Blob) -> None:
    """Raises CorruptError when a blob's text does not have its hash."""
    if sha256(blob.text.encode("utf-8", "surrogatepass")).hexdigest() != blob.blob_hash:
        raise CorruptError(f"blob {blob.blob_hash[:80]!r} does not have that hash; make blobs with Blob.of(text)")


def pack_text(text: str) -> tuple[int, bytes]:
    """Returns (codec, bytes) of a text.

    Short texts stay raw: packing them would cost time in every trial and save a few hundred bytes.
    Small ones get a small window, which takes a tenth of the time, since zlib has no large tables
    to clear.
    """
    raw = text.encode("utf-8")
    if len(raw) < _PACK_FROM_BYTES:
        return _RAW, raw
    packer = zlib.compressobj(1, zlib.DEFLATED, 12, 4) if len(raw) < _SMALL_BYTES else zlib.compressobj(1)
    return _ZLIB, packer.compress(raw) + packer.flush()


def unpack_text(codec: int, data: bytes, blob_hash: str, *, where: str) -> str:
    """Returns the text. CorruptError when it cannot be unpacked or does not have its hash."""
    if codec not in (_RAW, _ZLIB):
        raise CorruptError(f"{where} is damaged: the row of blob {blob_hash} does not say where its text is")
    try:
        text = (zlib.decompress(data) if codec == _ZLIB else data).decode("utf-8")
    except (zlib.error, UnicodeDecodeError) as error:
        raise CorruptError(f"{where} is damaged: blob {blob_hash} cannot be unpacked ({error})") from error
    if sha256_hex(text) != blob_hash:
        raise CorruptError(f"{where} is damaged: blob {blob_hash} has another content than its hash says")
    return text
