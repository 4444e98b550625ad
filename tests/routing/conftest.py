"""A home, an enforcer with a fixed clock, and short ways to make rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfopt.home import Home
from selfopt.routing import Enforcer


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def enforcer(home: Home) -> Enforcer:
    return Enforcer(home, clock=lambda: "2026-01-01T00:00:00.000Z")
