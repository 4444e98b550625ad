"""The base of every record: frozen, without unknown keys, with one canonical form and one hash."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = tuple(high + low for high in _CROCKFORD for low in _CROCKFORD)

Prose = Annotated[str, "prose"]
"""A field for people.

Code may show and hash it, but never branches on it (`tests/test_facts.py`).
"""


class Record(BaseModel):
    """A fact that one stage hands to another, or that the ledger keeps.

    A record that the ledger keeps says how in the head of its class:

        class Run(Record, ledger_kind="run", id_field="run_id", index_fields=("model", "phase")):

    Attributes:
        ledger_kind: the name of this kind of record in the ledger; "" for what the ledger does not
            keep.
        id_field: the field that identifies a record of this kind.
        index_fields: the fields that `Ledger.read` can filter by. Their values are strings,
            integers or tuples of strings; None is not indexed.
    """

    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid", allow_inf_nan=False)

    ledger_kind: ClassVar[str] = ""
    id_field: ClassVar[str] = ""
    index_fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, *, ledger_kind: str = "", id_field: str = "", index_fields: tuple[str, ...] = ()) -> None:
        super().__init_subclass__()
        if ledger_kind:
            cls.ledger_kind, cls.id_field, cls.index_fields = ledger_kind, id_field, index_fields

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Returns a copy with some fields changed, without validation.

        Cached hashes are dropped, and computed anew when needed. Pydantic alone would copy the old
        ones, and take fifteen times as long: live traffic makes several copies a request.
        """
        cls = type(self)
        values = (super().model_copy(deep=True) if deep else self).__dict__
        if len(values) > len(cls.__pydantic_fields__):  # with cached hashes
            values = {name: value for name, value in values.items() if name in cls.__pydantic_fields__}
        copied = cls.__new__(cls)
        set_attribute = object.__setattr__  # a record is frozen
        set_attribute(copied, "__dict__", {**values, **update} if update else values.copy())
        set_attribute(copied, "__pydantic_fields_set__", {*self.__pydantic_fields_set__, *(update or ())})
        set_attribute(copied, "__pydantic_extra__", None)
        set_attribute(copied, "__pydantic_private__", None)
        return copied

    @property
    def record_id(self) -> str:
        """The value of `id_field`."""
        return str(getattr(self, self.id_field))


def canonical_json(value: Any) -> str:
    """Returns the text that is hashed: sorted keys, no spaces, no ASCII escapes.

    ValueError for NaN and infinity.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_hex(text: str) -> str:
    """Returns the SHA-256 of a text in UTF-8, lone surrogates included, as 64 hex digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def content_hash(prefix: str, value: Any) -> str:
    """Returns `prefix-` and the first 96 bits of the SHA-256 of the canonical JSON. value: JSON, or
    a record.
    """
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return f"{prefix}-{sha256_hex(canonical_json(value))[:24]}"


def new_id(prefix: str) -> str:
    """Returns a new id that sorts by time: `prefix-`, 48 bits of milliseconds, 50 random bits, in
    Crockford's base 32.
    """
    n, two = (int(time.time() * 1000) << 50) | (int.from_bytes(os.urandom(7)) & ((1 << 50) - 1)), _PAIRS
    return (
        f"{prefix}-{two[n >> 90 & 1023]}{two[n >> 80 & 1023]}{two[n >> 70 & 1023]}{two[n >> 60 & 1023]}{two[n >> 50 & 1023]}"
        f"{two[n >> 40 & 1023]}{two[n >> 30 & 1023]}{two[n >> 20 & 1023]}{two[n >> 10 & 1023]}{two[n & 1023]}"
    )


def utc_now() -> str:
    """Returns the time as RFC 3339, in UTC with milliseconds."""
    # Takes a quarter of the time of isoformat(timespec=...). Every trial needs three of these.
    now = time.time_ns() // 1_000_000
    return f"{_second(now // 1000)}.{now % 1000:03d}Z"


@lru_cache(maxsize=4)
def _second(since_epoch_s: int) -> str:
    return datetime.fromtimestamp(since_epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class Blob(Record, ledger_kind="blob", id_field="blob_hash"):
    """A text that is kept once, under its hash: an exact request or a raw reply.

    Ledgers store blobs compressed. Appending a blob again is not an error, and costs nothing.
    """

    blob_hash: str = Field(description="sha256 of the text, 64 hex digits")
    text: str

    @classmethod
    def of(cls, text: str) -> Blob:
        """Returns the blob of a text.

        Replaces lone surrogates, since what is stored must be valid UTF-8.
        """
        try:
            raw = text.encode("utf-8")
        except UnicodeEncodeError:
            raw = text.encode("utf-8", "replace")
            text = raw.decode("utf-8")
        return cls(blob_hash=hashlib.sha256(raw).hexdigest(), text=text)
