"""The result of verifying a ledger: whether it holds what was committed to it."""

from __future__ import annotations

from typing import Literal

from .base import Record


class LedgerFault(Record):
    """One thing that differs from what was committed.

    Attributes:
        kind: a kind of record, `blob`, `commit` (the id is writer/number), `index` (the id is kind
            and id of the record), `table`, or `ledger` (the file itself).
        what: `added` means that no writer committed it.
    """

    kind: str
    id: str
    what: Literal["changed", "missing", "added", "damaged"]
    detail: str = ""

    def sentence(self) -> str:
        """Returns the fault for people, such as "verdict verdict-01 changed"."""
        name = f"{self.kind.replace('_', ' ')} {self.id} {self.what}"
        return f"{name}: {self.detail}" if self.detail else name


class LedgerReport(Record):
    """What a verification of a ledger found."""

    ok: bool
    commits: int = 0  # how many were checked
    records: int = 0  # likewise
    blobs: int = 0  # likewise
    unsealed: int = 0  # commits that the audit trail has not sealed yet
    older: bool = False  # an older selfopt wrote the file without commits, so it was not checked
    faults: tuple[LedgerFault, ...] = ()  # the first ones
    n_faults: int = 0  # all of them
