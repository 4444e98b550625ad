"""Where tests write."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from .memory import memory_for_tests

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux is known to have a file system in memory")


@dataclass(frozen=True, slots=True)
class Mounted:
    """What a file system says of itself."""

    f_flag: int = 0
    f_bavail: int = 10
    f_frsize: int = 100


def test_what_is_missing_or_too_small_is_not_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the 64 MB that a container has."""
    monkeypatch.setattr(os, "statvfs", lambda _: Mounted())
    assert memory_for_tests(tmp_path / "gone", 0) is None
    assert memory_for_tests(tmp_path, 1001) is None
    assert memory_for_tests(tmp_path, 1000) == tmp_path


def test_where_nothing_may_be_started_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests start what they write."""
    monkeypatch.setattr(os, "statvfs", lambda _: Mounted(os.ST_NOEXEC))
    assert memory_for_tests(tmp_path, 0) is None
