"""`report`: everything that people read, written from the ledger."""

from __future__ import annotations

from pathlib import Path

from selfopt.report import write_reports

from .app import App
from .courses import newest_courses

__all__ = ["write_artefacts"]


def write_artefacts(app: App) -> list[Path]:
    """Write all reports and artefacts of the home; returns their paths."""
    return write_reports(app.ledger, app.home, app.enforcer.load(), newest_courses(app.ledger))
