"""Every-byte campaigns over what the home keeps. Each room has its own; this is where the long form calls them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .world import LONG

pytestmark = [pytest.mark.attacks, pytest.mark.timeout(1500)]

# One line each: what it is about, and a function that takes an empty folder and raises AssertionError. Trail, rules, versions and segments; the ledger.
CAMPAIGNS: dict[str, Callable[[Path], None]] = {}


@pytest.mark.skipif(not LONG, reason="ATTACKS=long")
@pytest.mark.parametrize("name", list(CAMPAIGNS) or [pytest.param("", marks=pytest.mark.skip(reason="none is named yet"))])
def test_every_change_of_a_byte_is_found_or_changes_nothing(tmp_path: Path, name: str) -> None:
    """Whatever is changed, cut or removed."""
    CAMPAIGNS[name](tmp_path)
