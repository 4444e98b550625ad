"""Finds problems that make a suite unusable although it has the right shape."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from selfopt.records import ExpectedCall, Message, Prompt, Suite, ToolDefinition

from .bfcl_types import bfcl_problems
from .values import type_problems, value_problem

MAX_CALLS_PER_SET = 32
MAX_SETS = 64
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,63}")
# Names of tools as MCP allows them. Those that a server of models refuses are sent under another name (reading/wire_names.py).
TOOL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-/]{0,127}")
_MAX_SHOWN = 80
_OfCall = Callable[[ExpectedCall, ToolDefinition], Iterator[str]]


def printable(text: str) -> str:
    """Make a text safe for one line in a terminal.

    Keeps at most 200 characters. Escapes control and bidirectional characters.
    """
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text[:200])
    return shown if len(text) <= 200 else shown + "..."


def validate_suite(suite: Suite) -> list[str]:
    """List the problems of a suite: one line each, with the prompt and the fix.

    Empty if it is usable.

    A prompt whose expectation no reply can meet is a problem, because it counts against every
    model.
    """
    problems = [*_suite_problems(suite), *_split_problems(suite)]
    for name, tools in suite.tool_sets.items():
        # Prompts of the leaderboard may offer no tools.
        if not tools and suite.judging == "standard":
            problems.append(f"tool set {_quoted(name)}: holds no tool; add one")
        problems += [f"tool set {_quoted(name)}: {p}" for p in _tool_problems(tools)]
        if suite.judging == "standard":  # bfcl_problems checks the leaderboard's own types
            problems += [
                f"tool set {_quoted(name)}: tool {_quoted(t.name)}: {p}" for t in tools for p in type_problems(t.parameters)
            ]
    for prompt in suite.prompts:
        problems += [f"prompt {printable(prompt.id)}: {p}" for p in _prompt_problems(suite, prompt)]
    return problems


def tool_problems(tool: ToolDefinition) -> list[str]:
    """List what makes a tool unusable in a suite of the standard judging. Empty if nothing does."""
    return [*_tool_problems((tool,)), *type_problems(tool.parameters)]


def _quoted(text: str) -> str:
    return repr(printable(text[:_MAX_SHOWN]))


def _suite_problems(suite: Suite) -> Iterator[str]:
    if not NAME.fullmatch(suite.name):
        yield f"name {_quoted(suite.name)} is not allowed; use up to 64 letters, digits, '_', '-', '.'"
    if not suite.prompts:
        yield "prompts: there are none; add at least one"
    for prompt_id, count in Counter(p.id for p in suite.prompts).items():
        if count > 1:
            yield f"prompt {printable(prompt_id)}: the id is used {count} times; give each prompt its own id"
        if not NAME.fullmatch(prompt_id):
            yield f"prompt {printable(prompt_id)}: the id is not allowed; use up to 64 letters, digits, '_', '-', '.'"


def _split_problems(suite: Suite) -> Iterator[str]:
    """Held-out prompts stand for new tools, so search must not have seen their tool sets.

    Prompts that were written for a user's own tools stand for other requests for the same tools.
    """
    if suite.synthetic is not None and suite.synthetic.held_out == "prompts":
        return
    if suite.scope != "sample" or not suite.select("heldout"):
        return
    splits: dict[str, list[str]] = {}
    for prompt in suite.prompts:
        used = splits.setdefault(prompt.tool_set, [])
        if prompt.split not in used:
            used.append(prompt.split)
    for name, used in splits.items():
        if len(used) > 1:
            yield (
                f"tool set {_quoted(name)}: is used in the splits {' and '.join(used)}; with scope: sample each split needs its own "
                "tool sets: move its prompts into one split, or set scope: whole"
            )


def _tool_problems(tools: Sequence[ToolDefinition]) -> Iterator[str]:
    for name, count in Counter(t.name for t in tools).items():
        if count > 1:
            yield f"tool {_quoted(name)} is defined {count} times; rename or remove one"
        if not TOOL_NAME.fullmatch(name):
            yield f"tool name {_quoted(name)} is not allowed; use up to 128 letters, digits, '_', '-', '.', '/'"
    for tool in tools:
        schema = tool.parameters
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        if schema.get("type") != "object" or not isinstance(properties, dict):
            yield f"tool {_quoted(tool.name)}: parameters has to be a JSON Schema with type: object and properties; correct it"
        elif any(not isinstance(p, dict) for p in properties.values()):
            yield f"tool {_quoted(tool.name)}: every property needs a mapping such as {{type: string}}; correct it"
        elif not isinstance(required, list) or any(not isinstance(r, str) or r not in properties for r in required):
            yield f"tool {_quoted(tool.name)}: required may only name properties; correct it or add the property"


def _prompt_problems(suite: Suite, prompt: Prompt) -> Iterator[str]:
    tools = suite.tool_sets.get(prompt.tool_set)
    if tools is None:
        known = ", ".join(_quoted(n) for n in list(suite.tool_sets)[:8]) or "none"
        yield f"tool set {_quoted(prompt.tool_set)} is not defined; defined are {known}; correct tool_set or define it"
        return
    by_name = {t.name: t for t in tools}
    yield from _conversation_problems(prompt.messages, by_name)
    yield from _expected_problems(prompt, by_name, bfcl_problems if suite.judging == "bfcl" else _call_problems)


def _conversation_problems(messages: Sequence[Message], tools: dict[str, ToolDefinition]) -> Iterator[str]:
    if not messages or messages[-1].role not in ("user", "tool"):
        yield "messages: the last one has to be from the user or a tool result (it is what gets answered); add it"
    if not any(m.role == "user" for m in messages):
        yield "messages: no message is from the user; add one"
    pending: set[str] = set()
    used: set[str] = set()
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if message.role == "tool":
            call_id = message.tool_call_id or ""
            if call_id not in pending:
                yield f"{where}: a tool result answers call {_quoted(call_id)}, but no call just before it has this id; set tool_call_id"
            pending.discard(call_id)
            continue
        if pending:
            waiting = ", ".join(_quoted(p) for p in sorted(pending))
            yield f"{where}: tool calls without a result before it: {waiting}; add a message of role tool for each"
            pending = set()
        if message.role == "system" and index > 0:
            yield f"{where}: a system message may only come first; move it"
        if message.role != "assistant" and message.tool_calls:
            yield f"{where}: only the assistant calls tools; remove tool_calls or correct the role"
            continue
        if not message.content.strip() and not message.tool_calls:
            yield f"{where}: holds neither text nor tool calls; write one"
        for call in message.tool_calls:
            if call.name not in tools:
                yield f"{where}: calls {_quoted(call.name)}, which is not in the tool set; {_offer(tools)}"
            if not call.id or call.id in used:
                yield f"{where}: the call of {_quoted(call.name)} needs an id that no other call has; set id"
                continue
            used.add(call.id)
            pending.add(call.id)
    if pending:
        yield "messages: the conversation ends with tool calls that have no result; add their results"


def _expected_problems(prompt: Prompt, tools: dict[str, ToolDefinition], of_call: _OfCall) -> Iterator[str]:
    if prompt.expected == "any":
        return
    if not prompt.expected:
        yield 'expected: no accepted set, so nothing could be right; write [[]] for "nothing may be called"'
    if len(prompt.expected) > MAX_SETS:
        yield f"expected: {len(prompt.expected)} accepted sets, allowed are {MAX_SETS}; merge some"
    for index, calls in enumerate(prompt.expected):
        if len(calls) > MAX_CALLS_PER_SET:
            yield f"expected[{index}]: {len(calls)} calls, allowed are {MAX_CALLS_PER_SET}; shorten it"
        for call in calls:
            tool = tools.get(call.name)
            if tool is None:
                yield f"expected[{index}]: {_quoted(call.name)} is not in the tool set; {_offer(tools)}"
                continue
            yield from (f"expected[{index}]: {printable(call.name)}: {p}" for p in of_call(call, tool))


def _call_problems(call: ExpectedCall, tool: ToolDefinition) -> Iterator[str]:
    if call.any_arguments:
        if call.arguments:
            yield "any_arguments says that all arguments are right, but some are named; remove either"
        return
    properties = tool.parameters.get("properties", {})
    required = tool.parameters.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list):
        return  # reported for the tool itself
    open_ended = tool.parameters.get("additionalProperties", False) is not False
    for name, accepted in call.arguments.items():
        schema = properties.get(name)
        if schema is None and not open_ended:
            known = ", ".join(_quoted(p) for p in list(properties)[:12]) or "none"
            yield f"argument {_quoted(name)} is not in the tool's schema; known are {known}; correct or remove it"
            continue
        if not accepted:
            yield f"argument {_quoted(name)} has no accepted value, so nothing could be right; list at least one"
        elif name in required and all(v == "" for v in accepted):
            yield f'argument {_quoted(name)} is required but only "" (left out) is accepted; list a value'
        for value in accepted:
            problem = value_problem(value, schema) if isinstance(schema, dict) and value != "" else None
            if problem is not None:
                yield f"argument {_quoted(name)}: accepted value {problem}"
    for name in required:
        schema = properties.get(name)
        if name not in call.arguments and not (isinstance(schema, dict) and "default" in schema):
            yield f"required argument {_quoted(str(name))} has no accepted values, so nothing could be right; list them"


def _offer(tools: dict[str, Any]) -> str:
    return f"offered are {', '.join(_quoted(n) for n in list(tools)[:12]) or 'none'}; correct the name or add the tool"
