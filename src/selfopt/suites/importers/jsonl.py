"""Imports JSON lines with one prompt a line: `{messages, tools, expected}`."""

from __future__ import annotations

from typing import Any

from selfopt.errors import SuiteError
from selfopt.home import InputFileError, read_input
from selfopt.records import ToolDefinition
from selfopt.suites.check import printable
from selfopt.suites.load import data_of

from .assemble import SuiteParts, suite_of
from .chat import call_data, exactly, message_data
from .seam import Imported, ImportOption, ImportRequest
from .tools import tools_from

MAX_BYTES = 32_000_000
MAX_LINES = 20_000
_KEYS = ("messages", "tools", "expected", "id", "kind", "split", "reason", "tool_set")
# Keys of files for fine-tuning that say nothing about the prompt.
_PASSED_OVER = ("parallel_tool_calls", "metadata")


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
        return Imported((suite_of(read_jsonl(text, printable(str(asked.source)), asked.tools), asked),))


IMPORTER = JsonLines()


def read_jsonl(text: str, source: str, tools: tuple[ToolDefinition, ...] | None = None) -> SuiteParts:
    """Read the prompts of a file.

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
    parts = SuiteParts()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        if len(parts.prompts) >= MAX_LINES:
            raise SuiteError(f"{source}: more than {MAX_LINES} prompts; import it in parts")
        where = f"{source}: line {number}"
        parts.add(*_prompt(data_of(line, where, as_json=True), where, tools))
    if not parts.prompts:
        raise SuiteError(f"{source}: has no lines; write one JSON object a line with messages, tools and expected")
    return parts


def _prompt(body: Any, where: str, tools: tuple[ToolDefinition, ...] | None) -> tuple[dict[str, Any], tuple[ToolDefinition, ...]]:
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
        raise SuiteError(f"{where}: is no object with a list of messages; write {{messages, tools, expected}}")
    unknown = sorted(set(body) - {*_KEYS, *_PASSED_OVER})
    if unknown:
        raise SuiteError(f"{where}: unknown key {printable(unknown[0])!r}; known are {', '.join(_KEYS)}")
    own = tools_from(body["tools"], where) if body.get("tools") is not None else tools
    if own is None:
        raise SuiteError(f"{where}: offers no tools; give the line tools, or all lines with --tools")
    messages = [message_data(item, f"{where}: messages[{i}]") for i, item in enumerate(body["messages"])]
    if "expected" in body:
        expected = _expected(body["expected"], f"{where}: expected")
    elif messages and messages[-1]["role"] == "assistant":
        expected = [[exactly(call) for call in messages.pop().get("tool_calls", [])]]
    else:
        raise SuiteError(f"{where}: does not say what is expected; add expected, or end with the assistant's message")
    prompt = {key: body[key] for key in ("id", "kind", "split", "reason", "tool_set") if body.get(key) is not None}
    if "id" in prompt:
        prompt["id"] = str(prompt["id"])
    return {**prompt, "messages": messages, "expected": expected}, own


def _expected(value: Any, where: str) -> Any:
    if value == "any":
        return "any"
    if value is None or value == []:
        return [[]]
    if not isinstance(value, list):
        raise SuiteError(f'{where}: is {printable(repr(value))}; write a list of calls, a list of accepted sets, [] or "any"')
    if all(isinstance(item, list) for item in value):
        return value
    return [[exactly(call_data(item, f"{where}[{i}]")) for i, item in enumerate(value)]]
