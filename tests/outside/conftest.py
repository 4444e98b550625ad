"""A server with oddities, a folder with settings for it, and gateways started as a user would."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.forker import Forker, forker

from .kit import DATA
from .odd_server import REPLIES, OddServer

SETTINGS = """\
[endpoints.lab]
kind = "openai_compatible"
base_url = "{url}/v1"
[endpoints.held]
kind = "openai_compatible"
base_url = "{url}/v1"
[endpoints.oll]
kind = "ollama"
base_url = "{url}"
[endpoints.un]
kind = "scripted"
script = "{data}/unread.yaml"
[limits]
timeout_s = 60.0
retries = 0
"""
Gateway = Callable[..., int]


@pytest.fixture(scope="session")
def odd_server() -> Iterator[OddServer]:
    """One for all tests."""
    server = OddServer()
    yield server
    server.close()


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Variables that keep everything within a folder."""
    kept = {
        k: v for k, v in os.environ.items() if not k.upper().startswith(("SELFOPT_", "XDG_", "HTTP", "NO_PROXY", "ALL_PROXY"))
    }
    own = {"SELFOPT_HOME": "home", "SELFOPT_CONFIG": "user.toml", "SELFOPT_CACHE": "cache"}
    return kept | {name: str(folder / value) for name, value in own.items()} | {"XDG_DATA_HOME": str(folder / "data"), **more}


def settle(folder: Path, server: OddServer, more: str = "") -> Path:
    """Write the settings into a folder."""
    folder.mkdir(exist_ok=True)
    (folder / "user.toml").write_text(SETTINGS.format(url=server.url, data=DATA) + more, "utf-8")
    return folder


@pytest.fixture
def project(tmp_path: Path, odd_server: OddServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with settings; commands that are run in this process are at home there."""
    settle(tmp_path, odd_server)
    wanted = environment(tmp_path)
    for name in [name for name in os.environ if name not in wanted]:
        monkeypatch.delenv(name)
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def by_python(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """One command by an interpreter of its own."""
    return subprocess.run(
        [sys.executable, "-m", "selfopt", *arguments],
        cwd=folder,
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


OPENED = contextlib.ExitStack()


@pytest.fixture(scope="session", autouse=True)
def nothing_left_open() -> Iterator[None]:
    """What commands are forked from ends with the tests."""
    with OPENED:
        yield
    forked.cache_clear()


@functools.cache
def forked(*through: str) -> Forker:
    """One for all tests, which has imported what commands need. through: see `forker`."""
    commands = (
        "compare",
        "enforce",
        "feedback",
        "loop",
        "report",
        "routes",
        "run",
        "suites",
        "suites_import",
        "try_",
        "variants",
    )
    return OPENED.enter_context(forker(*(f"selfopt.cli.{name}" for name in commands), "tests.loaded", through=through))


def selfopt(folder: Path, *arguments: str, through: tuple[str, ...] = (), **more: str) -> subprocess.CompletedProcess[str]:
    """One command as a process of its own."""
    return forked(*through).run("tests.forker:command", *arguments, cwd=folder, environ=environment(folder, **more))


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[int]:
    """`selfopt serve` on a free port, which is given once it answers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "selfopt", "serve", "--port", "0"],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    reader = threading.Thread(target=process.stdout.read, daemon=True)
    try:
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            if found:
                break
        else:
            raise AssertionError("".join(lines))
        # Whoever does not read on blocks the gateway once the pipe is full.
        reader.start()
        yield int(found[1])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)
        if reader.is_alive():
            reader.join(120)
        process.stdout.close()


def rules_file(folder: Path, variants: dict[str, str]) -> Path:
    """Rules that allow every model of the data with one variant for each endpoint, as a file to import."""
    rules = []
    for endpoint, name in variants.items():
        variant = json.loads(selfopt(folder, "variants", "show", name, "--json").stdout)
        side = "ollama" if endpoint == "oll" else "openai"
        for model in [*REPLIES[side], *REPLIES[f"{side}_errors"]]:
            for phase in ("atomic", "extended"):
                rule = {"rule_id": "r", "model": f"{endpoint}/{model}", "phase": phase, "allow": True, "variant": variant}
                rules.append({**rule, "reason": "t", "source": "manual"})
    path = folder / "rules.json"
    path.write_text(json.dumps({"schema_version": 1, "rules": rules}), "utf-8")
    return path


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory, odd_server: OddServer) -> Iterator[int]:
    """A gateway whose rules serve `lab/` through native_parsed, `held/` through restrained and `oll/` through native_api. It never leaves
    an endpoint alone, so that a test of a failing server concerns no other test."""
    folder = settle(tmp_path_factory.mktemp("gateway"), odd_server, "[gateway]\nbreaker_faults = 1000\n")
    rules = rules_file(folder, {"lab": "native_parsed", "held": "restrained", "oll": "native_api"})
    done = selfopt(folder, "routes", "import", str(rules))
    assert done.returncode == 0, done.stderr
    with serving(folder) as port:
        yield port
