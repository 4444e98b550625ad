"""Rows for Python programs: as dictionaries, in Arrow's memory, as data frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .columns import Column, Values
from .missing import required


@dataclass(frozen=True, slots=True, repr=False)
class TableRows:
    """The rows of a table. They are read anew whenever they are asked for.

    Attributes:
        columns: what stands in them, in this order.
        batches: gives the rows, a bounded number at a time.
    """

    columns: tuple[Column, ...]
    batches: Callable[[], Iterator[Values]]

    def __repr__(self) -> str:
        """Says what there is to do with it, not all of its columns."""
        return f"<TableRows: {len(self.columns)} columns; iterate over it, or call .to_pandas(), .to_polars() or .to_arrow()>"

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yields a dictionary for each row. Holds a bounded number in memory."""
        names: Sequence[str] = [column.name for column in self.columns]
        for values in self.batches():
            for row in zip(*(values[name] for name in names), strict=True):
                yield dict(zip(names, row, strict=True))

    def to_arrow(self) -> Any:
        """Returns a `pyarrow.Table`. Raises UsageError without pyarrow (the extra `parquet`)."""
        from .arrow import arrow_table

        return arrow_table(self.batches(), self.columns)

    def to_pandas(self) -> Any:
        """Returns a `pandas.DataFrame` over Arrow's memory: nothing is rounded, and what is missing is `NA`.

        Raises UsageError without pandas and pyarrow (the extra `pandas`).
        """
        pandas = required("pandas", "pandas", "a pandas data frame")
        return self.to_arrow().to_pandas(types_mapper=pandas.ArrowDtype)

    def to_polars(self) -> Any:
        """Returns a `polars.DataFrame`. Raises UsageError without polars and pyarrow (the extra `polars`)."""
        polars = required("polars", "polars", "a polars data frame")
        return polars.from_arrow(self.to_arrow())
