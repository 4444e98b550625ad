"""A small model that knows when it is right, a stronger one, a suite for both, and the commands by which a person puts them into service."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "CALIBRATED",
    "FALLBACK",
    "SMALL",
    "SUITE",
    "VARIANT",
    "Prompt",
    "World",
    "ended",
    "prompts",
    "script",
    "suite",
    "tools_of",
]

SMALL, FALLBACK, SUITE, VARIANT = "lab/small", "lab/large", "s.json", "fitted@2"
TEXT = {"type": "string"}
SETS: dict[str, list[dict[str, Any]]] = {
    name: [{"name": tool, "description": about, "parameters": {"type": "object", "properties": given, "required": [*given]}}]
    for name, tool, about, given in (
        ("weather", "get_weather", "The weather of a city.", {"city": TEXT}),
        ("calendar", "add_event", "Add an event to the calendar.", {"title": TEXT, "hour": {"type": "integer"}}),
        ("music", "play_song", "Play a song.", {"title": TEXT}),
        ("tides", "get_tide", "The tide at a place.", {"place": TEXT}),
    )
}
SETS["weather"].append({"name": "get_time", "description": "The time in a city.", "parameters": SETS["weather"][0]["parameters"]})
CALIBRATED = ("weather", "calendar", "music")
SETTINGS = """\
[endpoints.lab]
kind = "{kind}"
base_url = "{url}"
local = true
[serve]
max_bad_share = 0.25
[gateway]
keep_warm_s = 1
[limits]
timeout_s = 120
retries = 0
"""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt, and what each model says to it."""

    id: str
    split: str
    tool_set: str
    said: str
    expected: list[dict[str, Any]]
    small: Mapping[str, Any]
    large: Mapping[str, Any]


def _answers(number: int, name: str, given: dict[str, Any], word: str) -> list[tuple[bool, dict[str, Any]]]:
    """What the small model may say, and whether a call was asked for when it does."""
    level = (number * 37 % 50 + 1) / 1000  # of 50 levels, so that thresholds have something to choose among
    sure, unsure = {"logprob": -level}, {"logprob": -0.25 - 6 * level}

    def call(arguments: Any, tool: str = name) -> dict[str, Any]:
        return {"name": tool, "arguments": arguments}

    right, wrong = call(given), call({**given, next(iter(given)): "Elsewhere"})
    written = f"Let me see.\n{json.dumps(right)}"
    thanks = f"Gern geschehen, {word}! 🌤"
    return [
        *[(True, {"tool_calls": [right], **sure})] * 3,
        (True, {"tool_calls": [right], **unsure}),
        (True, {"tool_calls": [wrong], **unsure}),
        (True, {"tool_calls": [wrong], **(sure if number % 3 else unsure)}),
        (True, {"tool_calls": [call({})], **unsure}),  # lacks what is required
        (True, {"text": written, **sure}),
        (True, {"tool_calls": [call({key: str(value) for key, value in given.items()})], **sure}),  # a number as text
        (True, {"text": "I would rather not.", **unsure}),
        (True, {"text": "I would rather not.", **(sure if number % 3 else unsure)}),
        (True, {"tool_calls": [call(f"{word}?")], **sure}),  # that is no JSON
        (True, {"tool_calls": [call(given, "make_coffee")], **sure}),  # nobody offered it
        (True, {"tool_calls": [right, wrong], **unsure}),
        *[(False, {"text": thanks, **sure})] * 3,
        (False, {"text": thanks, "thinking": f"Is {name} needed? No.", **sure}),
        (False, {"text": thanks, **unsure}),
        (False, {"tool_calls": [right], **unsure}),
    ]


def _prompt(number: int, split: str, tool_set: str) -> Prompt:
    """Prompts of one tool set differ in what is asked for, in how the small model answers, and in how sure it is."""
    name, word = SETS[tool_set][0]["name"], f"Blå{number:03}"
    given = {key: number % 12 + 8 if key == "hour" else word for key in SETS[tool_set][0]["parameters"]["properties"]}
    answers = _answers(number, name, given, word)
    needed, small = answers[number * 7 % len(answers)]
    if not needed:
        return Prompt(f"p{number}", split, tool_set, f"Thanks for {word}!", [], small, {"text": "You are welcome."})
    expected = [{"name": name, "arguments": {key: [value] for key, value in given.items()}}]
    large = {"text": "I am not in the mood."} if number % 24 == 4 else {"tool_calls": [{"name": name, "arguments": given}]}
    hour = f" at {given['hour']}" if "hour" in given else ""
    return Prompt(f"p{number}", split, tool_set, f"Do {name} for {word}{hour}, please.", expected, small, large)


def prompts() -> list[Prompt]:
    """Prompts to fit on, to calibrate on, and some with tools that the calibration does not know."""
    numbers = iter(range(1000))
    return [
        _prompt(next(numbers), split, sets[n % len(sets)])
        for split, count, sets in (("search", 60, CALIBRATED), ("heldout", 60, CALIBRATED), ("canary", 12, ("tides",)))
        for n in range(count)
    ]


def suite() -> str:
    """All prompts as a suite."""
    listed = [
        {
            "id": one.id,
            "kind": "direct" if one.expected else "greeting",
            "split": one.split,
            "tool_set": one.tool_set,
            "messages": [{"role": "user", "content": one.said}],
            "expected": [one.expected],
        }
        for one in prompts()
    ]
    return json.dumps({"name": "s", "phase": "atomic", "scope": "whole", "tool_sets": SETS, "prompts": listed})


def tools_of(prompt: Prompt) -> list[dict[str, Any]]:
    """The tools of a prompt as a client offers them."""
    return [{"type": "function", "function": tool} for tool in SETS[prompt.tool_set]]


def script(small_digest: str = "sha256:small") -> str:
    """Both models."""
    models = {
        name: {
            "digest": digest,
            "initially_loaded": True,
            "replies": [{"match": {"contains": one.said}, **getattr(one, name)} for one in prompts()],
        }
        for name, digest in (("small", small_digest), ("large", "sha256:large"))
    }
    return json.dumps({"models": models}, ensure_ascii=False)  # YAML has no surrogates


def ended(process: subprocess.Popen[str]) -> None:
    """Ask a process to end, and wait for it."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(300)
    finally:
        process.kill()
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()


@dataclass(slots=True)
class World:
    """A folder with settings and a home, and the commands that are run in it."""

    root: Path

    def __post_init__(self) -> None:
        (self.root / SUITE).write_text(suite(), "utf-8")
        (self.root / "user.toml").write_text("", "utf-8")

    @property
    def home(self) -> Path:
        """Its home."""
        return self.root / "home"

    def settle(self, url: str, kind: str = "openai_compatible", more: str = "") -> None:
        """Write the settings."""
        (self.root / "user.toml").write_text(SETTINGS.format(url=url, kind=kind) + more, "utf-8")

    def environ(self) -> dict[str, str]:
        """Variables that keep everything within the folder."""
        kept = {k: v for k, v in os.environ.items() if not k.upper().startswith(("SELFOPT_", "XDG_", "HTTP", "NO_PROXY", "ALL_"))}
        own = {"SELFOPT_HOME": "home", "SELFOPT_CONFIG": "user.toml", "SELFOPT_CACHE": "cache", "XDG_DATA_HOME": "data"}
        return kept | {name: str(self.root / value) for name, value in own.items()}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One command as a process of its own."""
        command = [sys.executable, "-m", "selfopt", *arguments]
        return subprocess.run(
            command, cwd=self.root, env=self.environ(), capture_output=True, text=True, check=False, timeout=300
        )

    def ok(self, *arguments: str) -> str:
        """What a command printed, which has to succeed."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refused(self, code: int, *words: str, by: tuple[str, ...]) -> None:
        """One clear line on standard error with these words, and this exit code."""
        done = self.run(*by)
        lines = [line for line in done.stderr.splitlines() if line.startswith("selfopt: ")]
        assert (done.returncode, len(lines)) == (code, 1), done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        for word in words:
            assert word in lines[0], (word, lines[0])

    def measure(self) -> None:
        """Ask both models every prompt, once."""
        for model, variant in ((SMALL, VARIANT), (FALLBACK, "native_api@2")):
            self.ok("run", model, "atomic", variant, "--suite", SUITE, "--split", "all", "--force-model")

    def calibrate(self) -> Any:
        """Look from which confidence on the small model may serve."""
        parts = ("--fit", f"{SUITE}:search", "--calibrate", f"{SUITE}:heldout", "--verify", f"{SUITE}:canary")
        larger = ("--to", FALLBACK, "--to-variant", "native_api@2")
        return json.loads(self.ok("escalation", SMALL, "atomic", *parts, "--variant", VARIANT, *larger, "--json"))

    def rule(self, calibration_id: str) -> Any:
        """Let the small model serve by that threshold; the rule."""
        more = ("--allow", "--fallback", FALLBACK, "--serve-when", calibration_id, "--json")
        (made,) = json.loads(self.ok("routes", "set", SMALL, "atomic", *more))["rules"]
        return made

    @contextlib.contextmanager
    def process(self, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
        """A command that serves until it is ended, its base URL, and the lines of its log so far."""
        command = [sys.executable, "-m", "selfopt", *arguments, "--json"]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, cwd=self.root, env=self.environ(), stdout=pipe, stderr=pipe, text=True)
        assert process.stdout is not None
        assert process.stderr is not None
        log: list[str] = []
        reader = threading.Thread(target=log.extend, args=(process.stderr,), daemon=True)
        reader.start()
        try:
            body = ""
            while not body.endswith("}\n"):
                line = process.stdout.readline()
                assert line, "".join(log)
                body += line
            yield process, json.loads(body)["base_url"], log
        finally:
            ended(process)
            reader.join(60)
            process.stderr.close()

    def records(self) -> list[dict[str, Any]]:
        """The records of requests."""
        texts = [path.read_text("utf-8") for path in (self.home / "requests").glob("*.jsonl")]
        return [found for text in texts for line in text.splitlines() if "outcome" in (found := json.loads(line))]

    def trail(self) -> list[dict[str, Any]]:
        """The records of the audit trail."""
        return [json.loads(line) for line in (self.home / "routing_decisions.jsonl").read_text("utf-8").splitlines()]
