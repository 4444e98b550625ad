"""Does a client that speaks plain OpenAI tools get the promoted variant's accuracy through the gateway?

Run with `python perf/gateway_end_to_end.py [--model local/qwen2.5-coder-0.5b] [--variant fitted] [--suite atomic-300] [--split heldout]
[--limit N]`. The model has to be pulled (`selfopt models pull`), and the official client installed (`pip install openai`; the
development requirements have it). First the benchmark: native_api and the variant on the split's prompts. Then a rule with the variant,
`selfopt serve` as a process, and for each prompt three requests of the official client, judged as the suite judges: without the variant
(the header x-selfopt-variant: off), with it, and with it as a stream. Prints a table and one JSON object. About 20 minutes on two cores for 150
prompts of a model of 0.5 billion parameters; `make perf` asks twelve.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from selfopt.records import Outcome, ParsedReply, Prompt, Rule, Suite, ToolCall, ToolDefinition, Verdict
from selfopt.routing import rule_id_of
from selfopt.scoring import scorer_of
from selfopt.stats import wilson_interval
from selfopt.verbs.comparing import CompareRequest, compare_models
from selfopt.wiring.app import App

WAYS = ("direct", "gateway", "gateway, streamed")
MAX_TOKENS = 160
TIMEOUT_S = 180.0


@dataclass(frozen=True, slots=True)
class Line:
    """Right of those that need a call, and of those that must get none."""

    name: str
    called: tuple[int, int]
    silent: tuple[int, int]

    @classmethod
    def of(cls, name: str, passed: Mapping[str, bool], prompts: Sequence[Prompt]) -> Line:
        needs = [passed[prompt.id] for prompt in prompts if prompt.needs_call]
        silent = [passed[prompt.id] for prompt in prompts if not prompt.needs_call]
        return cls(name, (sum(needs), len(needs)), (sum(silent), len(silent)))

    def __str__(self) -> str:
        return f"{self.name:24} call accuracy {_share(*self.called)}   restraint {_share(*self.silent)}"

    def as_json(self) -> dict[str, Any]:
        """Counts, with the 95 % interval of the share (Wilson)."""
        return {
            key: {"right": right, "of": of, "interval": _interval(right, of)}
            for key, (right, of) in (("call_accuracy", self.called), ("restraint", self.silent))
        }


def _interval(right: int, of: int) -> tuple[float, float] | None:
    found = wilson_interval(right, of) if of else None
    return None if found is None else (found.low, found.high)


def _share(right: int, of: int) -> str:
    if of == 0:
        return "-"
    interval = wilson_interval(right, of)
    return f"{right / of:.2f} ({interval.low:.2f} to {interval.high:.2f}; {right}/{of})"


async def benchmark(home: Path, options: argparse.Namespace) -> tuple[dict[str, dict[str, bool]], Suite, tuple[Prompt, ...]]:
    """By variant and prompt whether the benchmark's reply was right; and a rule with the variant is put in force."""
    async with App.open(home) as app:
        variants = ("native_api", options.variant)
        request = CompareRequest((options.model,), (options.suite,), variants, split=options.split, limit=options.limit)
        found = await compare_models(app, request)
        suite = app.suite(options.suite)
        passed: dict[str, dict[str, bool]] = {}
        for row in found.rows:
            parser_hash = app.variant(row.variant).parser_hash
            verdicts = [
                v for run in row.run_ids for v in app.ledger.read(Verdict, {"run_id": run}) if v.parser_hash == parser_hash
            ]
            passed[row.variant] = {v.prompt_id: v.outcome is Outcome.PASS for v in verdicts}
        model = app.resolve_model(options.model)
        rule = Rule(
            rule_id=rule_id_of(model, suite.phase),
            model=model,
            phase=suite.phase,
            allow=True,
            variant=app.variant(options.variant),
        )
        app.enforcer.apply([rule], event="measured", reason="measured by perf/gateway_end_to_end.py")
        prompts = suite.select(options.split)[: options.limit]
        return passed, suite, tuple(prompts)


@contextmanager
def gateway(home: Path) -> Iterator[str]:
    """`selfopt serve` as a process; its base URL."""
    command = [sys.executable, "-m", "selfopt", "serve", "--port", "0", "--json"]
    environ = {**os.environ, "SELFOPT_HOME": str(home), "SELFOPT_GATEWAY__ACCESS_LOG": "false"}
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield _address(process.stdout)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _address(stdout: IO[str]) -> str:
    """The base URL from the JSON object, of several lines, that the process prints once it listens."""
    text = ""
    for line in stdout:
        text += line
        try:
            return str(json.loads(text)["base_url"])
        except ValueError:
            continue
    sys.exit("the gateway did not start")


def spoken(prompt: Prompt) -> list[dict[str, Any]]:
    """The conversation as the official client takes it."""
    return [{"role": message.role, "content": message.content} for message in prompt.messages]


def offered(tools: Sequence[ToolDefinition]) -> list[dict[str, Any]]:
    """The tools likewise."""
    return [
        {"type": "function", "function": {"name": t.name, "description": t.description, "parameters": t.parameters}}
        for t in tools
    ]


def calls_of(answer: Any) -> tuple[ToolCall, ...]:
    """The calls of a whole answer. Arguments that are no JSON object count as none."""
    found = []
    for call in answer.choices[0].message.tool_calls or ():
        found.append(_call(call.function.name, call.function.arguments))
    return tuple(found)


def calls_of_stream(stream: Any) -> tuple[ToolCall, ...]:
    """The calls of a stream, put together as clients do."""
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    for chunk in stream:
        for choice in chunk.choices:
            for piece in choice.delta.tool_calls or ():
                names[piece.index] = names.get(piece.index, "") + (piece.function.name or "")
                arguments[piece.index] = arguments.get(piece.index, "") + (piece.function.arguments or "")
    return tuple(_call(names[index], arguments[index]) for index in sorted(names))


def _call(name: str, arguments: str) -> ToolCall:
    try:
        value = json.loads(arguments or "{}")
    except ValueError:
        value = {}
    return ToolCall(name=name, arguments=value if isinstance(value, dict) else {})


def ask(client: Any, options: argparse.Namespace, suite: Suite, prompts: Sequence[Prompt]) -> dict[str, dict[str, bool]]:
    """By way and prompt whether the answer's calls were right."""
    judge = scorer_of(suite.judging).judge
    passed: dict[str, dict[str, bool]] = {way: {} for way in WAYS}
    for number, prompt in enumerate(prompts, start=1):
        tools = suite.tools_of(prompt)
        request = {
            "model": options.model,
            "messages": spoken(prompt),
            "tools": offered(tools),
            "temperature": 0,
            "max_tokens": MAX_TOKENS,
        }
        create = client.chat.completions.create
        answers = {
            WAYS[0]: calls_of(create(**request, extra_headers={"x-selfopt-variant": "off"})),
            WAYS[1]: calls_of(create(**request)),
            WAYS[2]: calls_of_stream(create(**request, stream=True)),
        }
        for way, calls in answers.items():
            parsed = ParsedReply(recognised="native" if calls else "text", tool_calls=calls)
            passed[way][prompt.id] = judge(prompt, tools, parsed, None).outcome is Outcome.PASS
        print(f"\r{number}/{len(prompts)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return passed


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="local/qwen2.5-coder-0.5b")
    parser.add_argument("--variant", default="fitted")
    parser.add_argument("--suite", default="atomic-300")
    parser.add_argument("--split", default="heldout", choices=("search", "heldout", "all"))
    parser.add_argument("--limit", type=int, default=12, help="only the first so many prompts; 0: all (default 12)")
    options = parser.parse_args()
    options.limit = options.limit or None
    if importlib.util.find_spec("openai") is None:
        print("left out: the official client is not here; pip install openai")
        return
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        measured, suite, prompts = asyncio.run(benchmark(home, options))
        with gateway(home) as base_url:
            client = importlib.import_module("openai").OpenAI(base_url=base_url, api_key="none", max_retries=0, timeout=TIMEOUT_S)
            asked = ask(client, options, suite, prompts)
    lines = [Line.of(f"benchmark {name}", passed, prompts) for name, passed in measured.items()]
    lines += [Line.of(way, passed, prompts) for way, passed in asked.items()]
    for line in lines:
        print(line)
    differing = {way: sum(asked[way][p.id] != measured[options.variant][p.id] for p in prompts) for way in WAYS[1:]}
    print(json.dumps({"prompts": len(prompts), "lines": {line.name: line.as_json() for line in lines}, "differing": differing}))


if __name__ == "__main__":
    main()
