"""The scripts in processes that need not import everything again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forker import forker

from .kit import BENCH, Bench, clean_environment

USED = (
    "selfopt.cli.audit",
    "selfopt.cli.config",
    "selfopt.cli.decide",
    "selfopt.cli.enforce",
    "selfopt.cli.feedback",
    "selfopt.cli.loop",
    "selfopt.cli.report",
    "selfopt.cli.routes",
    "selfopt.cli.run",
    "selfopt.cli.supervise",
    "selfopt.verbs.diagnosing",
    "selfopt.verbs.looping",
    "selfopt.verbs.routing",
    "selfopt.verbs.specification",
    "tests.loaded",
)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """Each script is the main module of a process of its own."""
    with forker(*USED) as opened:

        def run(home: Path, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
            return opened.run("tests.forker:script", *words, cwd=BENCH, environ=clean_environment(home, extra))

        yield run
