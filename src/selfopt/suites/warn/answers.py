"""Warns of expectations that no reply can meet, and of values that a schema forbids."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from selfopt.records import ExpectedCall, Prompt, Suite, ToolCall, ToolDefinition, canonical_json
from selfopt.suites.bfcl_types import bfcl_value
from selfopt.suites.values import shown, value_problem

from .base import Passes, SuiteWarning, accepted_sets, listed, quoted
from .json_schema import schema_problem

# How many problems of one prompt are listed.
MAX_SHOWN = 3
_Form = Callable[[Any], Any]


def to_review(suite: Suite) -> Iterator[SuiteWarning]:
    """Warns of prompts that were made from failed trials and are still marked for review."""
    ids = tuple(p.id for p in suite.prompts if p.reason.startswith("review:"))
    if ids:
        what = f"prompt {ids[0]} waits" if len(ids) == 1 else f"prompts {listed(ids)} wait"
        yield SuiteWarning(
            "to-review", ids, f'{what} for review; look at what is expected, then remove "review:" from the reason'
        )


def unreachable(suite: Suite, passes: Passes) -> Iterator[SuiteWarning]:
    """Warns of accepted sets and values that don't pass themselves, and of repeated sets."""
    for prompt in suite.prompts:
        tools = suite.tools_of(prompt)
        problems = [*_repeated(prompt), *_not_passing(prompt, tools, passes, _form_of(suite))]
        if problems:
            yield SuiteWarning(
                "unreachable", (prompt.id,), f"prompt {prompt.id}: {listed(problems, MAX_SHOWN)}; correct or drop it"
            )


def _repeated(prompt: Prompt) -> Iterator[str]:
    first: dict[str, int] = {}
    for index, calls in enumerate(accepted_sets(prompt)):
        key = canonical_json(sorted(canonical_json(call.model_dump(mode="json")) for call in calls))
        if key in first:
            yield f"expected[{index}] repeats expected[{first[key]}]"
        first.setdefault(key, index)


def _not_passing(prompt: Prompt, tools: tuple[ToolDefinition, ...], passes: Passes, form: _Form) -> Iterator[str]:
    for index, calls in enumerate(accepted_sets(prompt)):
        plain = tuple(_as_given(call, form) for call in calls)
        if any(call.any_arguments for call in calls):
            continue
        if not passes(prompt, tools, plain):
            yield f"expected[{index}] does not pass when a reply has exactly its calls"
            continue
        for place, call in enumerate(calls):
            for name, accepted in call.arguments.items():
                for value in accepted:
                    if value == "" or form(value) == plain[place].arguments.get(name):
                        continue
                    changed = ToolCall(name=call.name, arguments={**plain[place].arguments, name: form(value)})
                    if not passes(prompt, tools, (*plain[:place], changed, *plain[place + 1 :])):
                        yield f"expected[{index}]: {call.name}: {name}: {shown(value)} does not pass when a reply has exactly this value"


def _as_given(call: ExpectedCall, form: _Form) -> ToolCall:
    """The call with the first accepted value of each argument.

    Leaves out arguments that have none.
    """
    values = {name: next((v for v in accepted if v != ""), None) for name, accepted in call.arguments.items()}
    return ToolCall(name=call.name, arguments={name: form(v) for name, v in values.items() if v is not None})


def _form_of(suite: Suite) -> _Form:
    """The function that writes an accepted value of this suite as a reply would."""
    return bfcl_value if suite.judging == "bfcl" else _plain


def _plain(value: Any) -> Any:
    return value["any_order"] if isinstance(value, dict) and set(value) == {"any_order"} else value


def outside_schema(suite: Suite) -> Iterator[SuiteWarning]:
    """Warns of accepted values and of calls in the history that the schema does not allow."""
    for prompt in suite.prompts:
        tools = {tool.name: tool for tool in suite.tools_of(prompt)}
        problems = [*_expected_problems(prompt, tools, _form_of(suite)), *_history_problems(prompt, tools)]
        if problems:
            text = f"prompt {prompt.id}: {listed(problems, MAX_SHOWN)}; correct the value or the schema"
            yield SuiteWarning("outside-schema", (prompt.id,), text)


def _expected_problems(prompt: Prompt, tools: dict[str, ToolDefinition], form: _Form) -> Iterator[str]:
    for index, calls in enumerate(accepted_sets(prompt)):
        for call in calls:
            tool = tools[call.name]
            properties = tool.parameters.get("properties")
            known = properties if isinstance(properties, dict) else {}
            for name, accepted in call.arguments.items():
                for value in accepted:
                    # A value of a forbidden type or outside an enum is an error, which check.py reports.
                    if value == "" or name not in known or value_problem(value, known[name]) is not None:
                        continue
                    if (problem := schema_problem(form(value), known[name], tool.parameters)) is not None:
                        yield f"expected[{index}]: {call.name}: {quoted(name)}: {problem}"


def _history_problems(prompt: Prompt, tools: dict[str, ToolDefinition]) -> Iterator[str]:
    for index, message in enumerate(prompt.messages):
        for call in message.tool_calls:
            tool = tools[call.name]
            schema = {"additionalProperties": False, **tool.parameters}
            if (problem := schema_problem(call.arguments, schema, tool.parameters)) is not None:
                yield f"messages[{index}]: {call.name}: {problem}"
