"""Gateways as processes of their own, each with a home of its own, under the rules of one database."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SCRIPT = "models:\n  {one: {default: {text: One.}}, other: {default: {text: Other.}}}\n"
SETTINGS = '[endpoints.scripted]\nkind = "scripted"\nscript = "{script}"\nlocal = true\n[warm_up]\nenabled = false\n'


@dataclass(slots=True)
class Node:
    """One gateway."""

    folder: Path
    process: subprocess.Popen[str]
    base_url: str = ""

    @property
    def home(self) -> Path:
        """Its home folder."""
        return self.folder / "home"

    def model_of(self, asked: str) -> str:
        """Who answers a request for a model."""
        body = f'{{"model": "{asked}", "messages": [{{"role": "user", "content": "x"}}], "tools": [{_TOOL}]}}'.encode()
        request = urllib.request.Request(f"{self.base_url}/chat/completions", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            return bytes(reply.read()).decode()


_TOOL = '{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}'


def environment(folder: Path, url: str) -> dict[str, str]:
    """What a node's processes get: settings, a home and folders of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "script.yaml").write_text(SCRIPT)
    settings = folder / "user.toml"
    settings.write_text(f'ledger = "{url}"\n' + SETTINGS.format(script=folder / "script.yaml"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SELFOPT_", "XDG_"))}
    own = {"SELFOPT_HOME": str(folder / "home"), "SELFOPT_CONFIG": str(settings), "SELFOPT_CACHE": str(folder / "cache")}
    return kept | own | {"XDG_DATA_HOME": str(folder / "xdg"), "XDG_CONFIG_HOME": str(folder / "xdg")}


def command(folder: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one command of a node to its end."""
    return subprocess.run(
        [sys.executable, "-m", "selfopt", *arguments],
        env=environment(folder, url),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@contextmanager
def gateways(root: Path, url: str, count: int) -> Iterator[list[Node]]:
    """So many gateways that listen."""
    nodes: list[Node] = []
    try:
        for number in range(count):
            folder = root / f"node{number}"
            environ = environment(folder, url)
            with (folder / "log").open("w") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "selfopt", "serve", "--port", "0"],
                    env=environ,
                    cwd=folder,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
            nodes.append(Node(folder, process))
        for node in nodes:
            assert node.process.stdout is not None
            line = node.process.stdout.readline()
            assert "gateway at " in line, (node.folder / "log").read_text()
            node.base_url = line.split()[2]
        yield nodes
    finally:
        for node in nodes:
            node.process.terminate()
        for node in nodes:
            node.process.communicate(timeout=60)
