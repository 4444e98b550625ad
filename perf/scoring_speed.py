"""How many verdicts a second the scorer gives, for standard suites and for the leaderboard's. Target: at least 20,000; missing it
is said, not failed.

    python perf/scoring_speed.py [--seconds 1.0] [--json]

One process, one core. Each prompt gets a right reply, a wrong one and silence, already parsed: plans are warm, as they are from
the second pass of a suite on. `first pass` includes making them. The leaderboard's suites are taken from the wheel in the cache
when `selfopt suites pull bfcl` put it there; else the built-in prompts are judged by its rules.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence

from selfopt.engine.store import ModelStore
from selfopt.records import ExpectedCall, ParsedReply, Prompt, Suite, ToolCall, ToolDefinition
from selfopt.scoring import scorer_of
from selfopt.suites import list_suites, load_suite
from selfopt.suites.importers.bfcl import import_bfcl
from selfopt.verbs.bfcl import BFCL_WHEEL

TARGET = 20_000
Case = tuple[Prompt, tuple[ToolDefinition, ...], ParsedReply]


def first_value(values: Sequence[object]) -> object:
    """An accepted value, as a reply gives it."""
    value = next((one for one in values if one != ""), "")
    if isinstance(value, dict):
        if set(value) == {"any_order"}:
            return value["any_order"]
        return {key: first_value(inner) if isinstance(inner, list) else inner for key, inner in value.items()}
    return value


def right_calls(expected: Sequence[ExpectedCall]) -> tuple[ToolCall, ...]:
    """Calls as accepted."""
    return tuple(ToolCall(name=c.name, arguments={n: first_value(v) for n, v in c.arguments.items()}) for c in expected)


def cases_of(suite: Suite) -> list[Case]:
    """Three replies a prompt."""
    cases: list[Case] = []
    for prompt in suite.prompts:
        tools = suite.tools_of(prompt)
        right = () if prompt.expected == "any" else right_calls(prompt.expected[0])
        wrong = tuple(call.model_copy(update={"arguments": {**call.arguments, "unheard_of": 1}}) for call in right)
        wrong = wrong or tuple(ToolCall(name=tool.name) for tool in tools[:1])
        cases += [(prompt, tools, ParsedReply(tool_calls=calls)) for calls in (right, wrong, ())]
    return cases


def measure(suites: Sequence[Suite], seconds: float) -> dict[str, object]:
    """Verdicts a second over all prompts of these suites, which are judged alike."""
    judge = scorer_of(suites[0].judging).judge
    cases = [case for suite in suites for case in cases_of(suite)]
    started = time.perf_counter()
    for prompt, tools, parsed in cases:
        judge(prompt, tools, parsed, None)
    first = len(cases) / (time.perf_counter() - started)
    count, started = 0, time.perf_counter()
    while (spent := time.perf_counter() - started) < seconds:
        for prompt, tools, parsed in cases:
            judge(prompt, tools, parsed, None)
        count += len(cases)
    figures = {"prompts": sum(len(suite.prompts) for suite in suites), "verdicts_per_s": round(count / spent)}
    return {**figures, "first_pass_per_s": round(first), "within_target": count / spent >= TARGET}


def bfcl_suites() -> tuple[list[Suite], str]:
    """The leaderboard's suites, or what stands in for them, and which it is."""
    wheel = ModelStore(ModelStore.default().root, folder="data", file="data.whl").path_of(BFCL_WHEEL.name)
    if wheel is not None:
        return import_bfcl(wheel), BFCL_WHEEL.name
    return [load_suite(name).model_copy(update={"judging": "bfcl"}) for name in list_suites()], "built-in prompts, bfcl rules"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="verdicts a second")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--json", action="store_true", help="only the JSON object")
    options = parser.parse_args()
    leaderboard, which = bfcl_suites()
    figures = {
        "standard": {"suites": "built in", **measure([load_suite(name) for name in list_suites()], options.seconds)},
        "bfcl": {"suites": which, **measure(leaderboard, options.seconds)},
        "target_per_s": TARGET,
    }
    print(json.dumps(figures))
    for name in () if options.json else ("standard", "bfcl"):
        row = figures[name]
        assert isinstance(row, dict)
        verdict = "within target" if row["within_target"] else "below target"
        print(
            f"{name}: {row['verdicts_per_s']} verdicts/s over {row['prompts']} prompts ({row['suites']}), {verdict} of {TARGET}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
