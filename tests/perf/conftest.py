"""Scripts of perf/, in processes that need not import everything again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.forker import forker

PERF = Path(__file__).resolve().parents[2] / "perf"


class Run(Protocol):
    """One script, where pip finds nothing and the cache is empty."""

    def __call__(self, tmp_path: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The cache, the script's name, and what is typed after it."""


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Each script is the main module of a process of its own."""
    with forker("tests.loaded") as opened:

        def script(tmp_path: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
            environ = {**os.environ, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "SELFOPT_CACHE": str(tmp_path)}
            environ.pop("PIP_FIND_LINKS", None)
            return opened.run("tests.forker:script", str(PERF / script), *arguments, environ=environ)

        yield script
