"""The checks of builds that were made in this home."""

from __future__ import annotations

from selfopt.records import Check
from selfopt.wiring.app import App
from selfopt.wiring.evidence import ledger_or_none

MOST = 20


def newest_checks(app: App, most: int = MOST) -> tuple[Check, ...]:
    """At most so many finished checks, the newest first."""
    return tuple(ledger_or_none(app).read(Check, newest_first=True, limit=most)) if app.has_ledger else ()
