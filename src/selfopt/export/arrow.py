"""Tables in Arrow's memory, and in parquet. Needs pyarrow, the extra `parquet`."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, BinaryIO

from .columns import Column, Lines, Repeated, Sort, Values, uncollected
from .missing import required

ROWS_TOGETHER = 32_768
"""Rows of one row group. What is held in memory grows with it, and with nothing else."""


_FEW = 32
"""Rows that a value has to fill before copying it costs less than looking at each."""

_MANY, _BLOCK, _BLOCKS, _SHORT = 2048, 8192, 64, 64
"""Rows that one value fills where a block of it is kept, rows of a block, how many are kept, and the longest text of one."""


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


class ArrowRows:
    """Gathers rows in Arrow's memory. What many rows repeat is counted, and made when it is wanted."""

    def __init__(self, columns: Sequence[Column]) -> None:
        """Raises UsageError without pyarrow."""
        self._arrow = required("pyarrow", "parquet", "parquet")
        self.schema = schema_of(columns)
        blocks = _Blocks(self._arrow)
        self._columns = [_Cells(blocks, c, self.schema.field(c.name).type) for c in columns]
        self.held = 0

    def add(self, values: Values) -> None:
        """Adds some rows."""
        for cells in self._columns:
            cells.add(values[cells.name])
        self.held += len(values[self._columns[0].name])

    def table(self) -> Any:
        """Returns the rows since the last time."""
        self.held = 0
        return self._arrow.Table.from_arrays([cells.take() for cells in self._columns], schema=self.schema)


class _Cells:
    """The cells of one column."""

    def __init__(self, blocks: _Blocks, column: Column, wanted: Any) -> None:
        self.name = column.name
        self._sort, self._wanted, self._blocks = column.sort, wanted, blocks
        self._chunks: list[Any] = []
        self._value: Any = None
        self._count = 0

    def add(self, cells: Sequence[Any]) -> None:
        if isinstance(cells, Repeated) and len(cells.values) * _FEW <= len(cells):
            for value, count in zip(cells.values, cells.counts, strict=True):
                self._repeat(value, count)
        elif isinstance(cells, Lines):
            self._end_value()
            self._chunks.append(self._blocks.lines(cells))
        elif _alike(values := list(cells)):
            self._repeat(values[0], len(values))
        else:
            self._end_value()
            self._chunks.append(self._blocks.each(values, self._sort, self._wanted))

    def _repeat(self, value: Any, count: int) -> None:
        if value != self._value or isinstance(value, float):  # zeros have signs
            self._end_value()
            self._value = value
        self._count += count

    def _end_value(self) -> None:
        if self._count:
            self._chunks += self._blocks.copies(self._value, self._count, self._sort, self._wanted)
            self._count = 0

    def take(self) -> Any:
        self._end_value()
        chunks, self._chunks = self._chunks, []
        return self._blocks.arrow.chunked_array(chunks, self._wanted)


class _Blocks:
    """Makes arrays of cells, and keeps blocks of one value each."""

    def __init__(self, arrow: Any) -> None:
        self.arrow = arrow
        self._split = required("pyarrow.compute", "parquet", "parquet").split_pattern
        self._kept: dict[tuple[Sort, Any], Any] = {}

    def each(self, values: Sequence[Any], sort: Sort, wanted: Any) -> Any:
        """Returns these values. What Arrow does not take is replaced."""
        arrow = self.arrow
        try:
            if sort == "time":
                return arrow.array(values, arrow.string()).cast(wanted)
            return arrow.array(values, wanted)
        except (arrow.ArrowException, UnicodeError, OverflowError):
            return arrow.array([_fitting(arrow, value, sort, wanted) for value in values], wanted)

    def copies(self, value: Any, count: int, sort: Sort, wanted: Any) -> Iterator[Any]:
        """Yields arrays with one value so many times together."""
        if count < _MANY or isinstance(value, float) or (isinstance(value, str) and len(value) > _SHORT):
            yield self.arrow.repeat(self.each([value], sort, wanted)[0], count)
            return
        if (block := self._kept.get((sort, value))) is None:
            if len(self._kept) >= _BLOCKS:
                self._kept.clear()
            block = self._kept[sort, value] = self.arrow.repeat(self.each([value], sort, wanted)[0], _BLOCK)
        for first in range(0, count, _BLOCK):
            yield block[: count - first]

    def lines(self, lines: Lines) -> Any:
        """Returns texts that stand together."""
        ends = self.arrow.py_buffer(array("i", (0, len(lines.joined))))
        whole = self.arrow.StringArray.from_buffers(1, ends, self.arrow.py_buffer(lines.joined))
        return self._split(whole, "\n").values[: lines.number]


def _alike(values: list[Any]) -> bool:
    """Whether all are the same. Numbers are not, because zeros have signs."""
    if not values or isinstance(first := values[0], float):
        return False
    return bool(first == values[-1]) and values.count(first) == len(values)


def arrow_table(batches: Iterable[Values], columns: Sequence[Column]) -> Any:
    """Returns all rows as an Arrow table."""
    rows = ArrowRows(columns)
    with uncollected():
        for values in batches:
            rows.add(values)
        return rows.table()


def _fitting(arrow: Any, value: Any, sort: Sort, wanted: Any) -> Any:
    """Returns a value that Arrow takes: odd characters are replaced, and what fits nowhere is left empty."""
    if isinstance(value, str) and sort in ("text", "json"):
        return value.encode("utf-8", "replace").decode()
    try:
        return (arrow.scalar(value).cast(wanted) if sort == "time" else arrow.scalar(value, wanted)).as_py()
    except (arrow.ArrowException, UnicodeError, OverflowError):
        return None


def pack_options() -> dict[str, Any]:
    """Returns how parquet is packed."""
    return {"compression": "zstd", "compression_level": 1}


class ParquetWriter:
    """Writes a parquet file. A thread packs one row group while the next is read."""

    def __init__(self, file: BinaryIO, columns: Sequence[Column]) -> None:
        parquet = required("pyarrow.parquet", "parquet", "parquet")
        self._held = ArrowRows(columns)
        self._writer = parquet.ParquetWriter(file, self._held.schema, **pack_options())
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="parquet")
        self._packing: Future[None] | None = None

    def add(self, values: Values) -> None:
        """See `TableWriter.add`."""
        self._held.add(values)
        if self._held.held >= ROWS_TOGETHER:
            self._pack()

    def _pack(self) -> None:
        if self._packing is not None:
            self._packing.result()
        table = self._held.table()
        self._packing = self._thread.submit(self._writer.write_table, table, row_group_size=ROWS_TOGETHER * 2)

    def end(self) -> None:
        """See `TableWriter.end`."""
        try:
            if self._held.held:
                self._pack()
            if self._packing is not None:
                self._packing.result()
            self._writer.close()
        finally:
            self._thread.shutdown()

    def drop(self) -> None:
        """See `TableWriter.drop`."""
        self._thread.shutdown()
        with suppress(OSError, ValueError, required("pyarrow", "parquet", "parquet").ArrowException):
            self._writer.close()
