"""Imports JSON lines with one prompt a line: `{messages, tools, expected}`."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from selfopt.errors import SuiteError
from selfopt.home import InputFileError, read_input
from selfopt.records import ToolDefinition
from selfopt.suites.check import printable
from selfopt.suites.load import data_of
from selfopt.suites.warn.base import listed

from .assemble import SuiteParts, suite_of
from .chat import call_data, conversation_data, exactly
from .seam import Imported, ImportOption, ImportRequest
from .tools import tools_from

MAX_BYTES = 32_000_000
MAX_LINES = 20_000
# The longest that is kept of the keys of one line that suites have no word for, as JSON.
MAX_BESIDE = 4_000
_KEYS = ("messages", "tools", "expected", "id", "kind", "split", "reason", "tool_set")
# Keys of requests and of files for fine-tuning that are read as another, or say nothing about a prompt.
_UNDERSTOOD = frozenset({*_KEYS, "functions", "parallel_tool_calls", "weight"})


@dataclass(slots=True)
class _Beside:
    """What lines say that suites have no word for: how many lines, by key."""

    kept: Counter[str] = field(default_factory=Counter)
    too_long: Counter[str] = field(default_factory=Counter)
    of_messages: Counter[str] = field(default_factory=Counter)

    def warnings(self) -> tuple[str, ...]:
        """One line, or none."""
        told = (("kept as they are", self.kept), ("too long to keep", self.too_long), ("left out of messages", self.of_messages))
        said = [f"{what}: {listed(f'{printable(k[:60])} ({n})' for k, n in found.items())}" for what, found in told if found]
        return (f"keys that say nothing about a call; {'; '.join(said)}",) if said else ()


class JsonLines:
    """The importer of JSON lines."""

    about = (
        "JSON lines, one prompt a line: {messages, tools, expected}. OpenAI's messages, tools and tool calls are understood.\n\n"
        "--tools gives the tools of lines that have none."
    )
    takes = "A file with one JSON object a line."
    many = False
    options: tuple[ImportOption, ...] = ()

    def read(self, asked: ImportRequest) -> Imported:
        """Read the suite in a file."""
        try:
            text = read_input(asked.source, MAX_BYTES)
        except InputFileError as error:
            raise SuiteError(f"{printable(str(asked.source))}: {error}") from None
        parts, warnings = read_jsonl(text, printable(str(asked.source)), asked.tools)
        return Imported((suite_of(parts, asked),), warnings)


IMPORTER = JsonLines()


def read_jsonl(text: str, source: str, tools: tuple[ToolDefinition, ...] | None = None) -> tuple[SuiteParts, tuple[str, ...]]:
    """Read the prompts of a file, and what to say about it.

    A line ends at a line feed, with or without a carriage return before it. What else some programs
    take for the end of a line is text.

    `expected` has one of four forms:

    - accepted sets as in a suite: a list of lists of calls, whose arguments list their accepted
      values
    - one accepted set: a list of calls with plain arguments, also in OpenAI's form
    - `[]` or null: nothing may be called
    - "any"

    Without it, the last message has to be the assistant's, as in files for fine-tuning. The prompt
    then expects the calls of that message.

    Args:
        text: the text of the file.
        source: what messages call it.
        tools: the tools of lines that have none.

    Raises:
        SuiteError: a line can't be used. The message names the line and the fix.
    """
    parts, beside = SuiteParts(), _Beside()
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        if not line.strip():
            continue
        if len(parts.prompts) >= MAX_LINES:
            raise SuiteError(f"{source}: more than {MAX_LINES} prompts; import it in parts")
        where = f"{source}: line {number}"
        parts.add(*_prompt(data_of(line, where, as_json=True), where, tools, beside))
    if not parts.prompts:
        raise SuiteError(f"{source}: has no lines; write one JSON object a line with messages, tools and expected")
    return parts, beside.warnings()


def _prompt(
    body: Any, where: str, tools: tuple[ToolDefinition, ...] | None, beside: _Beside
) -> tuple[dict[str, Any], tuple[ToolDefinition, ...]]:
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
        raise SuiteError(f"{where}: is no object with a list of messages; write {{messages, tools, expected}}")
    given = body.get("tools") if body.get("tools") is not None else body.get("functions")
    own = tools_from(given, where) if given is not None else tools
    if own is None:
        raise SuiteError(f"{where}: offers no tools; give the line tools, or all lines with --tools")
    messages = conversation_data(body["messages"], where, beside.of_messages)
    if "expected" in body:
        expected = expected_data(body["expected"], f"{where}: expected")
    elif messages and messages[-1]["role"] == "assistant":
        if body["messages"][-1].get("weight") == 0:
            raise SuiteError(f"{where}: its last message has weight 0, so it is no example of what is right; add expected")
        expected = [[exactly(call) for call in messages.pop().get("tool_calls", [])]]
    else:
        raise SuiteError(f"{where}: does not say what is expected; add expected, or end with the assistant's message")
    prompt = {key: body[key] for key in ("id", "kind", "split", "reason", "tool_set") if body.get(key) is not None}
    if "id" in prompt:
        prompt["id"] = str(prompt["id"])
    kept = _kept({key: value for key, value in body.items() if key not in _UNDERSTOOD}, beside)
    return {**prompt, "messages": messages, "expected": expected, **({"beside": kept} if kept else {})}, own


def _kept(extra: dict[str, Any], beside: _Beside) -> dict[str, Any]:
    """What stays with a prompt of the keys that suites have no word for: all of it, or nothing."""
    if not extra:
        return {}
    fits = len(json.dumps(extra, ensure_ascii=False)) <= MAX_BESIDE
    (beside.kept if fits else beside.too_long).update(extra.keys())
    return extra if fits else {}


def expected_data(value: Any, where: str) -> Any:
    """Convert what is expected, in one of the forms that `read_jsonl` lists. Raises SuiteError."""
    if value == "any":
        return "any"
    if value is None or value == []:
        return [[]]
    if not isinstance(value, list):
        raise SuiteError(f'{where}: is {printable(repr(value))}; write a list of calls, a list of accepted sets, [] or "any"')
    if all(isinstance(item, list) for item in value):
        return value
    return [[exactly(call_data(item, f"{where}[{i}]")) for i, item in enumerate(value)]]
