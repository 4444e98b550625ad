"""`pytest --selfopt-suite FILE`: each prompt is a test of pytest."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from selfopt.home import Home, ProcessLock
from selfopt.ledger import open_ledger
from selfopt.records import Run, Trial
from selfopt.scripted.script import Script
from tests.cli.conftest import project
from tests.cli.servers import scripted_server
from tests.cli.world import ATOMIC, SETTINGS, Project

from .kit import ROOT, run_pytest

__all__ = ["project"]

SUITE = ("--selfopt-suite", "atomic.yaml")


def trials_of(project: Project) -> list[Trial]:
    """Every trial in the home."""
    ledger = open_ledger(project.home / "ledger.sqlite3")
    found = list(ledger.read(Trial))
    ledger.close()
    return found


def test_each_prompt_is_a_test(project: Project) -> None:
    """A model that is always right: three tests, three trials in the ledger, exit code 0."""
    said = run_pytest(project, *SUITE, "--selfopt-model", "good", "-v")
    assert said.code == 0, said.out + said.err
    assert "3 passed" in said.summary
    for name in ("A1", "A2", "A3"):
        assert f"atomic.yaml::{name} PASSED" in said.out
    assert sorted(t.prompt_id for t in trials_of(project)) == ["A1", "A2", "A3"]
    assert "prompts of small: scripted/good atomic native_api" in said.out
