"""A command line that is killed at a commit; called by test_delivery.py in a process of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from selfopt.cli.main import run
from selfopt.ledger import SqliteLedger
from selfopt.records import Record


def dying(die: str, *arguments: str) -> int:
    """Run a command line. die: `before` or `after`, and the number of an append or the name of a record's type."""
    when, what = die.split()
    appends = 0
    append = SqliteLedger.append

    async def watched(ledger: SqliteLedger, records: Sequence[Record]) -> None:
        nonlocal appends
        appends += 1
        here = what in (str(appends), *(type(r).__name__ for r in records))
        if not here or when == "after":
            await append(ledger, records)
        if here:
            os.kill(os.getpid(), signal.SIGKILL)

    SqliteLedger.append = watched  # type: ignore[method-assign, assignment]
    return run(arguments)
