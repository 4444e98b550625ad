"""A ledger in PostgreSQL without the package that speaks to it."""

from __future__ import annotations

import sys

import pytest

from selfopt.errors import SettingsError
from selfopt.ledger.postgres_session import driver


def test_a_missing_package_is_one_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that cannot work, so the exit code is that of usage, as with every other extra."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SettingsError, match=r"needs the extra 'postgres': pip install '\.\[postgres\]'") as refused:
        driver()
    assert refused.value.exit_code == 2
    assert "\n" not in str(refused.value)
