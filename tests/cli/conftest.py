"""The project that the tests of the command line work in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .world import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A fresh project; the working folder and the environment are its own."""
    made = Project(tmp_path)
    for name in list(os.environ):
        if name not in made.environ():
            monkeypatch.delenv(name)
    for name, value in made.environ().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return made
