"""What it costs to load and validate suites, in seconds of CPU and as a ratio to a bare parse of the same YAML.

    python perf/suite_loading.py [--rounds 9] [--json]

`built in`: all suites that are shipped. `synthetic`: two made-up ones of 300 prompts with 18 tool sets and 160 conversations with
16, some 600 KB together. load: text to usable suite, every error looked for; warnings: what `selfopt suites validate` looks for
beyond that; bare: PyYAML's C parser and safe constructor on the same text, which checks nothing. All three are taken in turn, so
that what else the machine does meets them alike; figures are medians. Target: load and warnings of all built-in suites in less
than 0.5 s, and of the synthetic ones as well; missing it is said, not failed.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

import yaml

from selfopt.records import Outcome, ParsedReply, Prompt, Suite, ToolCall, ToolDefinition
from selfopt.scoring import scorer_of
from selfopt.suites import find_warnings, list_suites, parse_suite, suite_yaml

TARGET_S = 0.5
WORDS = 4000


def synthetic(name: str, prompts: int, tool_sets: int, turns: int) -> str:
    """The text of a suite with random words: three tools a set, so many user turns a prompt, two accepted sets each."""
    chosen = random.Random(name)
    words = ["".join(chosen.choices("abcdefghijklmnopqrstuvwxyz", k=chosen.randint(3, 9))) for _ in range(WORDS)]

    def text(count: int) -> str:
        return " ".join(chosen.choices(words, k=count))

    sets = {f"set_{n}": [_tool(f"tool_{n}_{i}", text) for i in range(3)] for n in range(tool_sets)}
    made: list[dict[str, Any]] = []
    for n in range(prompts):
        tool_set = f"set_{n % tool_sets}"
        tool = sets[tool_set][n % 3]["name"]
        made.append(
            {
                "id": f"{name}-{n}",
                "kind": f"kind {n % 12}",
                "reason": text(14),
                "tool_set": tool_set,
                "split": ("search", "heldout")[n % tool_sets % 2],
                "messages": _conversation(tool, turns, text),
                "expected": [[]]
                if n % 4 == 0
                else [[_expected(tool, text(2))], [_expected(tool, text(2)), _expected(tool, text(3))]],
            }
        )
    body = {"name": name, "phase": "atomic" if turns == 1 else "extended", "tool_sets": sets, "prompts": made}
    return suite_yaml(Suite.model_validate(body))


def _tool(name: str, text: Callable[[int], str]) -> dict[str, Any]:
    properties = {
        "query": {"type": "string", "description": text(8)},
        "count": {"type": "integer", "minimum": 1, "maximum": 50, "description": text(6)},
        "order": {"type": "string", "enum": ["first", "last", "newest"], "description": text(6)},
        "names": {"type": "array", "items": {"type": "string"}, "description": text(6)},
    }
    return {
        "name": name,
        "description": text(12),
        "parameters": {"type": "object", "properties": properties, "required": ["query", "count"]},
    }


def _conversation(tool: str, turns: int, text: Callable[[int], str]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for turn in range(turns - 1):
        call = {"id": f"c{turn}", "name": tool, "arguments": {"query": text(2), "count": 3}}
        result = json.dumps({"found": [{"name": text(2), "note": text(6)} for _ in range(3)]})
        messages += [
            {"role": "user", "content": text(18)},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"c{turn}", "name": tool, "content": result},
            {"role": "assistant", "content": text(16)},
        ]
    return [*messages, {"role": "user", "content": text(24)}]


def _expected(tool: str, query: str) -> dict[str, Any]:
    return {
        "name": tool,
        "arguments": {
            "query": [query, query.title(), f"{query}."],
            "count": [3, 4],
            "order": ["", "first"],
            "names": ["", [query]],
        },
    }


def passes_of(suite: Suite) -> Callable[[Prompt, tuple[ToolDefinition, ...], tuple[ToolCall, ...]], bool]:
    """The scorer's word on calls."""
    judge = scorer_of(suite.judging).judge
    return lambda prompt, tools, calls: judge(prompt, tools, ParsedReply(tool_calls=calls), None).outcome is Outcome.PASS


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def measure(texts: dict[str, str], rounds: int) -> dict[str, Any]:
    """Medians over the rounds, of all these texts together."""
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    suites = {name: parse_suite(text, source=name) for name, text in texts.items()}

    def load() -> None:
        for name, text in texts.items():
            parse_suite(text, source=name)

    def warn() -> None:
        for suite in suites.values():
            find_warnings(suite, passes_of(suite))

    def bare() -> None:
        for text in texts.values():
            yaml.load(text, Loader=loader)

    taken = [(cpu_s(load), cpu_s(warn), cpu_s(bare)) for _ in range(max(1, rounds))]
    load_s, warn_s, bare_s = (statistics.median(column) for column in zip(*taken, strict=True))
    return {
        "suites": len(texts),
        "prompts": sum(len(suite.prompts) for suite in suites.values()),
        "kilobytes": round(sum(len(text.encode()) for text in texts.values()) / 1000),
        "load_s": round(load_s, 4),
        "warnings_s": round(warn_s, 4),
        "total_s": round(load_s + warn_s, 4),
        "bare_parse_s": round(bare_s, 4),
        "load_to_bare": round(load_s / bare_s, 2),
        "total_to_bare": round((load_s + warn_s) / bare_s, 2),
        "target_s": TARGET_S,
        "reached": load_s + warn_s < TARGET_S,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="CPU of loading and validating suites")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true", help="only the figures, as JSON")
    options = parser.parse_args(argv)
    folder = resources.files("selfopt.suites") / "data"
    cases = {
        "built in": {name: (folder / f"{name}.yaml").read_text("utf-8") for name in list_suites()},
        "synthetic": {"one_turn": synthetic("one_turn", 300, 18, 1), "turns": synthetic("turns", 160, 16, 2)},
    }
    figures = {name: measure(texts, options.rounds) for name, texts in cases.items()}
    print(json.dumps(figures, indent=None if not options.json else 2))
    if not options.json:
        for name, row in figures.items():
            verdict = "reached" if row["reached"] else "NOT reached"
            print(
                f"{name}: {row['prompts']} prompts, {row['kilobytes']} KB: load {row['load_s']:.3f} s, warnings {row['warnings_s']:.3f} s,"
                f" together {row['total_s']:.3f} s (target {TARGET_S} s: {verdict}); load is {row['load_to_bare']:.2f} of a bare parse"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
