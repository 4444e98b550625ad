"""A scripted server in a process of its own, for what asks it from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SCRIPT = """
models:
  m:
    latency_ms: 1
    initially_loaded: true
    default: {text: "No tool is needed."}
"""


@dataclass(slots=True)
class ScriptedServer:
    """A running server."""

    base_url: str
    process: subprocess.Popen[str]

    @classmethod
    def start(cls, folder: Path, text: str = SCRIPT) -> ScriptedServer:
        """Start one, and wait until it listens."""
        path = folder / "script.yaml"
        path.write_text(text, "utf-8")
        command = [sys.executable, "-P", "-m", "selfopt", "scripted", str(path), "--port", "0"]
        process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE)
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:[0-9]+", process.stdout.readline())
        if found is None:
            process.kill()
            raise AssertionError(process.communicate()[0])
        return cls(found.group(), process)

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()
