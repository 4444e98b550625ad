"""Whether what a ledger holds is what was committed to it: what differs, and the sum of it."""

from __future__ import annotations

from typing import Literal

from .base import Record


class LedgerFault(Record):
    """One thing that is not as it was committed.

    kind: a kind of record, `blob`, `commit` (id: writer/number), `index` (id: kind and id of the record), `table`, or `ledger`
    (the file itself). what: `added` was never committed by any writer.
    """

    kind: str
    id: str
    what: Literal["changed", "missing", "added", "damaged"]
    detail: str = ""

    def sentence(self) -> str:
        """For people: "verdict verdict-01 changed"."""
        name = f"{self.kind.replace('_', ' ')} {self.id} {self.what}"
        return f"{name}: {self.detail}" if self.detail else name


class LedgerReport(Record):
    """What a verification of a ledger saw. commits, records, blobs: how many were looked at; unsealed: commits that the audit
    trail does not vouch for yet. older: the file is of an older selfopt and was not looked at: it lists nothing yet.
    faults: the first ones; n_faults: all of them."""

    ok: bool
    commits: int = 0
    records: int = 0
    blobs: int = 0
    unsealed: int = 0
    older: bool = False
    faults: tuple[LedgerFault, ...] = ()
    n_faults: int = 0
