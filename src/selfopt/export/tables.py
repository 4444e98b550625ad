"""The tables by name, and where their rows come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from selfopt.gateway.ticket import JournalRecord
from selfopt.ledger import open_bodies
from selfopt.records import Ledger

from .checks import CHECKS, check_rows
from .columns import DataTable, Selection, TableKind, Values
from .conclusions import DECISIONS, EVALUATIONS, decision_rows, evaluation_rows
from .requests import FEEDBACK, REQUESTS, feedback_rows, request_rows
from .trials import TRIALS, trial_rows
from .verdicts import VERDICTS, verdict_rows

TABLES: dict[TableKind, DataTable] = {
    table.kind: table for table in (TRIALS, VERDICTS, EVALUATIONS, DECISIONS, CHECKS, REQUESTS, FEEDBACK)
}
LIVE: frozenset[TableKind] = frozenset({"requests", "feedback"})
"""Tables of what gateways recorded. The others are the ledger's."""

_RECORDS: dict[TableKind, Callable[[Ledger, Selection], Iterator[Values]]] = {
    "evaluations": evaluation_rows,
    "decisions": decision_rows,
    "checks": check_rows,
}


def table_rows(
    kind: TableKind, selection: Selection, ledger: Ledger | None, requests: Iterable[JournalRecord] = ()
) -> Iterator[Values]:
    """Yields the rows of a table, a bounded number at a time.

    Args:
        ledger: None where nothing was ever measured.
        requests: the records of live requests, and what clients told of them.

    Raises:
        CorruptError: what is stored is damaged.
        StoreError: it cannot be read.
    """
    if kind in LIVE:
        yield from (request_rows if kind == "requests" else feedback_rows)(requests, selection)
    elif ledger is not None and kind in _RECORDS:
        yield from _RECORDS[kind](ledger, selection)
    elif ledger is not None:
        with open_bodies(ledger) as bodies:
            yield from (trial_rows if kind == "trials" else verdict_rows)(bodies, selection)
