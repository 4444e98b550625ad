"""The figures of the campaign stand at the end of its output."""

from __future__ import annotations

import pytest

TABLES = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One table for each gateway that was attacked."""
    for table in terminalreporter.config.stash.get(TABLES, []):
        terminalreporter.write_line(f"\n{table}")
