"""The bench's models in process, on a clock that nobody has to wait for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from selfopt.scripted.endpoint import engine_for
from selfopt.scripted.player import ScriptEngine
from selfopt.wiring.app import App
from tests.scripted.clock import ManualClock

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "bench"
LFM, HAIKU = "scripted/lfm2.5-thinking:1.2b", "scripted/haiku"


@contextmanager
def bench_app(home: Path, **environ: str) -> Iterator[tuple[App, ScriptEngine]]:
    """An app over the specification's settings, as in a new process: nothing is loaded. Timeouts and loads pass on a clock of
    their own."""
    # A copy of the script is another endpoint: state of earlier ones can't be met again.
    script = next(p for n in range(1000) if not (p := home.parent / f"script-{n}.yaml").exists())
    shutil.copyfile(BENCH / "specification.yaml", script)
    variables = {
        "SELFOPT_CONFIG": str(BENCH / "specification.toml"),
        "SELFOPT_DOTENV": "off",
        "SELFOPT_ENDPOINTS__SCRIPTED__SCRIPT": str(script),
        **environ,
    }
    app = App.open(home, environ=variables, cwd=home.parent)
    engine = engine_for(app.settings.endpoint_config("scripted", variables), ManualClock())
    yield app, engine


def clean_environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a person who has set nothing but where the bench keeps its files."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SELFOPT_")}
    return {**kept, "SELFOPT_HOME": str(home), **(extra or {})}


class Bench(Protocol):
    """Runs `python3 WORDS` in bench/, as the specification writes it."""

    def __call__(self, home: Path, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """Where it keeps its files, what is typed, and variables."""


def by_python(home: Path, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """A `Bench` with an interpreter for each."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=BENCH,
        env=clean_environment(home, extra),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
