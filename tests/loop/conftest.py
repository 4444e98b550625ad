"""Fixtures of the loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .kit import Script, World


@pytest.fixture
def world(tmp_path: Path) -> Callable[..., World]:
    """Makes a world of scripted models, given by name."""

    def make(settings: dict[str, Any] | None = None, **models: Script) -> World:
        return World(tmp_path / "world", models, settings or {})

    return make
