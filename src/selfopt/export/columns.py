"""What a table is: columns with fixed names, types and meanings, filled a batch at a time."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import chain, repeat
from typing import Any, Literal, TypeVar, overload

import msgspec
from msgspec.structs import astuple

from selfopt.errors import CorruptError, UsageError
from selfopt.ledger import BodyPage, StoredBody

Sort = Literal["text", "integer", "number", "flag", "time", "json"]
"""What a column holds. `time`: RFC 3339 in UTC, in parquet a timestamp in milliseconds. `json`: JSON as text."""

Values = dict[str, Sequence[Any]]
"""Some rows of a table, column by column; each column has one value a row, None where there is none."""

TableKind = Literal["trials", "verdicts", "evaluations", "decisions", "checks", "requests", "feedback"]
T = TypeVar("T")


class Packed(Sequence[Any]):
    """Cells of a column in a form that Arrow takes whole. Others get them one by one."""

    __slots__ = ()

    @overload
    def __getitem__(self, place: int) -> Any: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Any]: ...

    def __getitem__(self, place: int | slice) -> Any:
        return list(self)[place]


@dataclass(frozen=True, slots=True)
class Repeated(Packed):
    """Cells of which many neighbours are the same: each value, and how often it follows itself."""

    values: Sequence[Any]
    counts: Sequence[int]

    def __len__(self) -> int:
        return sum(self.counts)

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(map(repeat, self.values, self.counts))


@dataclass(frozen=True, slots=True)
class Lines(Packed):
    """So many texts without ends of lines, in UTF-8, each with one behind it."""

    joined: bytes
    number: int

    def __len__(self) -> int:
        return self.number

    def __iter__(self) -> Iterator[str]:
        return iter(self.joined.decode().split("\n")[:-1])


@dataclass(frozen=True, slots=True)
class Column:
    """One column. content: it may hold what people asked or models said, and is only written when that is wanted."""

    name: str
    sort: Sort
    meaning: str
    content: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows are wanted.

    Attributes:
        since, until: RFC 3339 in UTC with milliseconds; from the first on, before the second. Empty: no limit.
        model: only rows of this model; None for all.
        one_name: gives one name for all of a model.
        content: whether columns of content are wanted.
    """

    since: str = ""
    until: str = ""
    model: str | None = None
    one_name: Callable[[str], str] = field(default=str)
    content: bool = False

    def has_time(self, at: str) -> bool:
        """Whether a row of this time is wanted."""
        return self.since <= at and (not self.until or at < self.until)

    def has_model(self, *names: str | None) -> bool:
        """Whether a row that has one of these names of a model is wanted."""
        return self.model is None or any(name is not None and self.one_name(name) == self.model for name in names)


@dataclass(frozen=True, slots=True)
class DataTable:
    """One kind of table, and how its rows are found.

    about: one sentence for the documentation.
    """

    kind: TableKind
    about: str
    columns: tuple[Column, ...]

    def chosen(self, selection: Selection) -> tuple[Column, ...]:
        """The columns that are written."""
        return tuple(column for column in self.columns if selection.content or not column.content)


def moment_of(text: str | None, *, end: bool = False) -> str:
    """Returns a day or a moment that a person typed as the ledger writes times; empty for None.

    Args:
        end: the first moment after a day is meant, not the day's first.

    Raises:
        UsageError: it is neither a day nor a moment.
    """
    if text is None:
        return ""
    try:
        day = date.fromisoformat(text)
        moment = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=int(end))
    except (ValueError, OverflowError):
        try:
            moment = datetime.fromisoformat(text)
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            raise UsageError(
                f"{text!r:.100} is neither a day nor a moment: write YYYY-MM-DD, or 2026-01-31T12:00:00Z (UTC where no zone is named)"
            ) from None
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z" if moment.year >= 1000 else ""


def decode_all(decoder: msgspec.json.Decoder[list[T]], one: msgspec.json.Decoder[T], page: BodyPage) -> list[T]:
    """Decodes all records of a page, at once where that can be.

    Raises:
        CorruptError: one is damaged; it is named.
    """
    if page.joined is not None:
        with suppress(msgspec.MsgspecError, UnicodeError, RecursionError):
            found = decoder.decode(page.joined)
            if len(found) == page.count:
                return found
    return list(_one_by_one(one, page.each()))


@contextmanager
def uncollected() -> Iterator[None]:
    """Looks for no garbage in the block, which makes thousands of objects that stay, and takes a fifth longer otherwise."""
    looks = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if looks:
            gc.enable()


def fields_of(sort: type[msgspec.Struct], rows: Iterable[msgspec.Struct]) -> Values:
    """Returns the fields of some structs of one type as columns."""
    return dict(zip(sort.__struct_fields__, zip(*map(astuple, rows), strict=True), strict=True))


def _one_by_one(one: msgspec.json.Decoder[T], bodies: list[StoredBody]) -> Iterator[T]:
    for name, text in bodies:
        try:
            yield one.decode(text)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise CorruptError(f"the ledger's {name} is damaged ({error}); see `selfopt audit verify`") from None
