"""Tables in Arrow's memory, and in parquet. Needs pyarrow, the extra `parquet`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, BinaryIO

from .columns import Column, Repeated, Sort, Values, uncollected
from .missing import required

ROWS_TOGETHER = 32_768
"""Rows of one row group. What is held in memory grows with it, and with nothing else."""


_FEW = 32
"""Rows that a value has to repeat before copying it costs less than looking at each."""


def schema_of(columns: Sequence[Column]) -> Any:
    """Returns the Arrow schema of these columns. Raises UsageError without pyarrow."""
    arrow = required("pyarrow", "parquet", "parquet")
    sorts: dict[Sort, Any] = {
        "text": arrow.string(),
        "json": arrow.string(),
        "integer": arrow.int64(),
        "number": arrow.float64(),
        "flag": arrow.bool_(),
        "time": arrow.timestamp("ms", "UTC"),
    }
    return arrow.schema([arrow.field(c.name, sorts[c.sort], metadata={"description": c.meaning}) for c in columns])


def arrow_batch(values: Values, columns: Sequence[Column], schema: Any) -> Any:
    """Returns some rows as a record batch."""
    arrow = required("pyarrow", "parquet", "parquet")
    arrays = [_array(arrow, values[c.name], c.sort, schema.field(c.name).type) for c in columns]
    return arrow.RecordBatch.from_arrays(arrays, schema=schema)


def arrow_table(batches: Iterable[Values], columns: Sequence[Column]) -> Any:
    """Returns all rows as an Arrow table."""
    arrow = required("pyarrow", "parquet", "this table")
    schema = schema_of(columns)
    with uncollected():
        return arrow.Table.from_batches([arrow_batch(values, columns, schema) for values in batches], schema=schema)


def _array(arrow: Any, values: Sequence[Any], sort: Sort, wanted: Any) -> Any:
    if isinstance(values, Repeated):
        return _repeated(arrow, values, sort, wanted)
    if _alike(values, sort):
        return _copies(arrow, values[0], len(values), sort, wanted)
    return _each(arrow, values, sort, wanted)


def _each(arrow: Any, values: Sequence[Any], sort: Sort, wanted: Any) -> Any:
    try:
        if sort == "time":
            return arrow.array(values, arrow.string()).cast(wanted)
        return arrow.array(values, wanted)
    except (arrow.ArrowException, UnicodeError, OverflowError):
        return arrow.array([_fitting(arrow, value, sort, wanted) for value in values], wanted)


def _alike(values: Sequence[Any], sort: Sort) -> bool:
    """Whether all are the same, down to the sign of a zero."""
    return bool(values) and (sort != "number" or values[0] is None) and values.count(values[0]) == len(values)


def _copies(arrow: Any, value: Any, count: int, sort: Sort, wanted: Any) -> Any:
    return arrow.nulls(count, wanted) if value is None else arrow.repeat(_each(arrow, [value], sort, wanted)[0], count)


def _repeated(arrow: Any, cells: Repeated, sort: Sort, wanted: Any) -> Any:
    if _alike(cells.values, sort):
        return _copies(arrow, cells.values[0], len(cells), sort, wanted)
    if len(cells.values) * _FEW > len(cells):
        return _each(arrow, list(cells), sort, wanted)
    pairs = zip(cells.values, cells.counts, strict=True)
    return arrow.concat_arrays([_copies(arrow, value, count, sort, wanted) for value, count in pairs])


def _fitting(arrow: Any, value: Any, sort: Sort, wanted: Any) -> Any:
    """Returns a value that Arrow takes: odd characters are replaced, and what fits nowhere is left empty."""
    if isinstance(value, str) and sort in ("text", "json"):
        return value.encode("utf-8", "replace").decode()
    try:
        return (arrow.scalar(value).cast(wanted) if sort == "time" else arrow.scalar(value, wanted)).as_py()
    except (arrow.ArrowException, UnicodeError, OverflowError):
        return None


def pack_options(schema: Any) -> dict[str, Any]:
    """Returns how parquet is packed."""
    return {"compression": "zstd", "compression_level": 1}


class ParquetWriter:
    """Writes a parquet file. A thread packs one row group while the next is read."""

    def __init__(self, file: BinaryIO, columns: Sequence[Column]) -> None:
        parquet = required("pyarrow.parquet", "parquet", "parquet")
        self._arrow = required("pyarrow", "parquet", "parquet")
        self._columns = columns
        self._schema = schema_of(columns)
        self._writer = parquet.ParquetWriter(file, self._schema, **pack_options(self._schema))
        self._held: list[Any] = []
        self._rows = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="parquet")
        self._packing: Future[None] | None = None

    def add(self, values: Values) -> None:
        """See `TableWriter.add`."""
        batch = arrow_batch(values, self._columns, self._schema)
        self._held.append(batch)
        self._rows += batch.num_rows
        if self._rows >= ROWS_TOGETHER:
            self._pack()

    def _pack(self) -> None:
        if self._packing is not None:
            self._packing.result()
        table = self._arrow.Table.from_batches(self._held, schema=self._schema)
        self._held, self._rows = [], 0
        self._packing = self._thread.submit(self._writer.write_table, table, row_group_size=ROWS_TOGETHER * 2)

    def end(self) -> None:
        """See `TableWriter.end`."""
        try:
            if self._held:
                self._pack()
            if self._packing is not None:
                self._packing.result()
            self._writer.close()
        finally:
            self._thread.shutdown()

    def drop(self) -> None:
        """See `TableWriter.drop`."""
        self._thread.shutdown()
        with suppress(OSError, ValueError, self._arrow.ArrowException):
            self._writer.close()
