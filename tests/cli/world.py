"""A project with a scripted endpoint, small suites and a home of its own, and the command line run in it."""

from __future__ import annotations

import contextlib
import io
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from selfopt.cli.main import run
from selfopt.errors import SelfoptError
from selfopt.verbs.trusting import accept_trust, propose_trust

__all__ = ["Project", "Result"]

TOOLS = """\
tool_sets:
  t:
    - name: get_weather
      description: Weather of a city.
      parameters:
        type: object
        properties: {city: {type: string}}
        required: [city]
    - name: play
      description: Play a song.
      parameters:
        type: object
        properties: {title: {type: string}}
        required: [title]
"""

ATOMIC = f"""\
name: small
title: A small suite
phase: atomic
scope: whole
{TOOLS}prompts:
  - {{id: A1, kind: direct, tool_set: t, messages: [{{role: user, content: "weather in Oslo?"}}],
     expected: [[{{name: get_weather, arguments: {{city: [Oslo, "Oslo, Norway"]}}}}]], reason: It is asked for.}}
  - {{id: A2, kind: direct, tool_set: t, messages: [{{role: user, content: "weather in Rome?"}}],
     expected: [[{{name: get_weather, arguments: {{city: [Rome]}}}}]]}}
  - {{id: A3, kind: greeting, tool_set: t, messages: [{{role: user, content: "hello there"}}], expected: [[]]}}
"""

EXTENDED = f"""\
name: small_extended
phase: extended
scope: whole
{TOOLS}prompts:
  - {{id: E1, kind: recall, tool_set: t, messages: [{{role: user, content: "hi"}}, {{role: assistant, content: "hello"}},
     {{role: user, content: "weather in Oslo?"}}], expected: [[{{name: get_weather, arguments: {{city: [Oslo]}}}}]]}}
  - {{id: E2, kind: recall, tool_set: t, messages: [{{role: user, content: "hi"}}, {{role: assistant, content: "hello"}},
     {{role: user, content: "weather in Rome?"}}], expected: [[{{name: get_weather, arguments: {{city: [Rome]}}}}]]}}
  - {{id: E3, kind: context, tool_set: t, messages: [{{role: user, content: "hi"}}, {{role: assistant, content: "hello"}},
     {{role: user, content: "hello there"}}], expected: [[]]}}
"""

RIGHT = """\
      - match: {contains: oslo}
        tool_calls: [{name: get_weather, arguments: {city: Oslo}}]
      - match: {contains: rome}
        tool_calls: [{name: get_weather, arguments: {city: Rome}}]
"""

ESCAPES = '"\\e[2J\\e]0;owned\\a<script>alert(1)</script>\\u202e[bold]x[/bold] | cell"'

SCRIPT = f"""\
models:
  good:
    digest: good-1
    replies:
{RIGHT}    default: {{text: "Hello."}}
  mute:
    digest: mute-1
    default: {{text: "I would rather not."}}
  writer:
    digest: writer-1
    replies:
      - match: {{contains: oslo}}
        text: '{{"name": "get_weather", "arguments": {{"city": "Oslo"}}}}'
      - match: {{contains: rome}}
        text: '{{"name": "get_weather", "arguments": {{"city": "Rome"}}}}'
    default: {{text: "Hello."}}
  cold:
    digest: cold-1
    load_ms: 300
    load_after_aborts: 6
    replies:
{RIGHT}    default: {{text: "Hello."}}
  evil:
    default: {{text: {ESCAPES}}}
  evil_tool:
    default: {{tool_calls: [{{name: {ESCAPES}, arguments: {{city: {ESCAPES}}}}}]}}
  hang: {{default: {{fault: {{kind: hang}}}}}}
  close: {{default: {{fault: {{kind: close}}}}}}
  garbage: {{default: {{fault: {{kind: garbage, body: "\\x01\\x1b[31mgarbage"}}}}}}
  huge: {{default: {{fault: {{kind: huge}}}}}}
  deep: {{default: {{fault: {{kind: deep}}}}}}
  invalid_utf8: {{default: {{fault: {{kind: invalid_utf8}}}}}}
  html: {{default: {{fault: {{kind: html}}}}}}
  broken: {{default: {{fault: {{kind: status, status: 500, body: "\\x1b[31mno\\n"}}}}}}
  toolless:
    replies: [{{match: {{tools: true}}, fault: {{kind: status, status: 400, body: "m:latest does not support tools"}}}}]
    default: {{text: "Hello."}}
"""

SETTINGS = """\
[models.aliases]
good = "scripted/good"
mute = "scripted/mute"

[endpoints.scripted]
kind = "scripted"
script = "script.yaml"
local = true

[suites]
atomic = "atomic.yaml"
extended = "extended.yaml"

[fallbacks]
extended = ["good"]
atomic = ["good"]

[limits]
timeout_s = 90.0
retries = 0

[loop]
n_runs = 3
determinism_sample = 2
max_candidates = 2
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What one command line gave."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Standard output as one JSON document."""
        return json.loads(self.out)

    def assert_refused(self, code: int, *words: str) -> None:
        """One clear line on standard error with these words, nothing that looks like a traceback, and this exit code."""
        lines = [line for line in self.err.splitlines() if line.startswith("selfopt: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        assert "this is a bug" not in self.err
        assert self.code == code, (self.code, self.err)
        assert len(lines[0]) > len("selfopt: ") + 10
        for word in words:
            assert word in lines[0], (word, lines[0])


@dataclass(slots=True)
class Project:
    """A folder with settings, suites, a script and tools; home, cache and user settings beside it."""

    root: Path
    home: Path = field(init=False)
    user_config: Path = field(init=False)

    def __post_init__(self) -> None:
        self.home = self.root / "home"
        self.user_config = self.root / "user.toml"
        tools = [{"name": "get_weather", "description": "w", "parameters": {"type": "object", "properties": {"city": {}}}}]
        (self.root / "script.yaml").write_text(SCRIPT, "utf-8")
        (self.root / "atomic.yaml").write_text(ATOMIC, "utf-8")
        (self.root / "extended.yaml").write_text(EXTENDED, "utf-8")
        (self.root / "tools.json").write_text(json.dumps(tools), "utf-8")
        self.write("selfopt.toml", SETTINGS)  # the last one: what is trusted is the folder with all of them

    def environ(self) -> dict[str, str]:
        """Variables that keep everything within the folder."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SELFOPT_", "XDG_", "COLUMNS", "OLLAMA_", "OPENAI_"))}
        return kept | {
            "SELFOPT_HOME": str(self.home),
            "SELFOPT_CACHE": str(self.root / "cache"),
            "XDG_CONFIG_HOME": str(self.root / "xdg"),
            "XDG_DATA_HOME": str(self.root / "xdg"),
            "SELFOPT_TRACEBACK": "1",
        }

    def write(self, name: str, text: str) -> Path:
        """Put a file into the project."""
        path = self.root / name
        path.write_text(text, "utf-8")
        if path.suffix in (".toml", ".yaml", ".env") or name == ".env":
            self.trust()
        return path

    def trust(self) -> None:
        """Trust the folder as it is now, as its user would with `selfopt trust`. What cannot be trusted is left to the test."""
        with pytest.MonkeyPatch.context() as patch:
            for name in [n for n in os.environ if n.startswith("SELFOPT_")]:
                patch.delenv(name)
            for name, value in self.environ().items():
                patch.setenv(name, value)
            with contextlib.suppress(SelfoptError):
                accept_trust(propose_trust(self.root, cwd=self.root))

    def settings(self, text: str) -> None:
        """Add to the project's settings."""
        self.write("selfopt.toml", SETTINGS + "\n" + text)

    def run(self, *arguments: str) -> Result:
        """Run one command line in this process."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(arguments)
        return Result(code, out.getvalue(), err.getvalue())

    def ok(self, *arguments: str) -> Result:
        """Run one command line that has to succeed."""
        result = self.run(*arguments)
        assert result.code == 0, (arguments, result.out, result.err)
        return result

    def said_no(self, *arguments: str) -> Result:
        """Run one command line whose verdict has to be no."""
        result = self.run(*arguments)
        assert result.code == 100, (arguments, result.out, result.err)
        return result

    def files(self) -> dict[str, bytes]:
        """Every file of the home with its content (sqlite's own side files left out)."""
        if not self.home.exists():
            return {}
        return {
            str(path.relative_to(self.home)): path.read_bytes()
            for path in sorted(self.home.rglob("*"))
            if path.is_file() and not path.name.endswith(("-wal", "-shm", ".lock"))
        }
