"""One table: what was aimed at beside what was measured, ours and the peers'."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Row", "Table"]


@dataclass(slots=True)
class Row:
    """One figure. aim: in words; met: None where it is not judged; peers: the same figure of others; note: what has to be said of it."""

    figure: str
    measured: str
    aim: str = ""
    met: bool | None = None
    peers: dict[str, str] = field(default_factory=dict)
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """For other programs."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Table:
    """All figures; open: those that could not be measured, with the reason."""

    rows: list[Row] = field(default_factory=list)
    open: dict[str, str] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """One more."""
        self.rows.append(row)

    def text(self, names: list[str]) -> str:
        """For people. names: of the peers, as columns."""
        head = ["figure", "selfopt", *names, "aim", ""]
        words = {True: "met", False: "MISSED", None: ""}
        cells = [[r.figure, r.measured, *(r.peers.get(n, "-") for n in names), r.aim, words[r.met]] for r in self.rows]
        widths = [max(len(row[i]) for row in [head, *cells]) for i in range(len(head))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *cells]]
        notes = [f"{row.figure}: {row.note}" for row in self.rows if row.note]
        return "\n".join([*lines, *notes, *(f"open: {what}: {why}" for what, why in self.open.items())])
