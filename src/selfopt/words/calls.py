"""Tool calls, expectations and variants in words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from selfopt.records import (
    UNKNOWN_FORMAT,
    CorrectionKind,
    ExpectedCall,
    ParsedReply,
    Sampling,
    ToolCall,
    ToolDefinition,
    Variant,
)


def call_text(call: ToolCall) -> str:
    """A tool call, such as `get_weather(city="Oslo")`."""
    return f"{call.name}({', '.join(f'{name}={_value(value)}' for name, value in call.arguments.items())})"


def _value(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} that is too deep to show"


def _accepted(value: Any) -> str:
    if isinstance(value, dict) and set(value) == {"any_order"}:
        return f"{_value(value['any_order'])} in any order"
    return _value(value)


def tool_text(tool: ToolDefinition) -> str:
    """A tool, such as `get_weather(city, unit?): Look up the weather.` A `?` marks what is
    optional.
    """
    properties, required = tool.parameters.get("properties"), tool.parameters.get("required")
    needed = required if isinstance(required, list) else []
    names = [name if name in needed else f"{name}?" for name in properties] if isinstance(properties, dict) else []
    return f"{tool.name}({', '.join(names)}){f': {tool.description}' if tool.description else ''}"


def expected_text(expected: Sequence[Sequence[ExpectedCall]] | str) -> list[str]:
    """The accepted sets of calls, one per line: `get_weather(city="Oslo" or "Norway"; unit, or left
    out)`.
    """
    if isinstance(expected, str):
        return ["any call"]
    sets = [" and ".join(_expected_call(call) for call in calls) or "no call" for calls in expected]
    return [sets[0], *(f"or {text}" for text in sets[1:])] if sets else []


def _expected_call(call: ExpectedCall) -> str:
    if call.any_arguments:
        return f"{call.name}(any arguments)"
    arguments = []
    for name, accepted in call.arguments.items():
        values = [_accepted(value) for value in accepted if value != ""]
        shown = f"{name}={' or '.join(values)}" if values else name
        arguments.append(f"{shown}, or left out" if len(values) < len(accepted) else shown)
    return f"{call.name}({'; '.join(arguments)})"


def sampling_text(sampling: Sampling) -> str:
    """How tokens are drawn: `temperature 0.7 without a seed, at most 160 tokens after at most 256 of
    thinking`.
    """
    seed = "" if not sampling.temperature else " without a seed" if sampling.seed is None else f" with seed {sampling.seed}"
    top_p = "" if sampling.top_p is None else f", top_p {sampling.top_p:g}"
    thinking = f" after at most {sampling.thinking_tokens} of thinking" if sampling.thinking_tokens else ""
    return f"temperature {sampling.temperature:g}{seed}{top_p}, at most {sampling.max_tokens} tokens{thinking}"


def variant_lines(variant: Variant) -> list[str]:
    """Every field that is set, one per line, with the examples shortened."""
    lines = []
    for field, value in variant.model_dump(mode="json").items():
        if field == "examples":
            lines += [f"example: {e.messages[-1].content} -> {_answer(e.tool_calls, e.text)}" for e in variant.examples]
        elif isinstance(value, dict):
            lines += [f"{field}.{key}: {inner}" for key, inner in value.items() if inner is not None]
        elif isinstance(value, list):
            lines.append(f"{field}: {', '.join(map(str, value))}")
        elif value not in ("", None, False):
            lines.append(f"{field}: {value}")
    return [*lines, f"variant_hash: {variant.variant_hash}"]


def _answer(calls: Sequence[ToolCall], text: str) -> str:
    return " and ".join(call_text(call) for call in calls) or text or "no call"


_CORRECTED: dict[CorrectionKind, str] = {
    "name": "the name was mended",
    "syntax": "broken notation was mended",
    "type": "the value took the type of its schema",
    "choice": "the value took the spelling of its choice",
    "unknown_argument": "dropped, since the tool does not know it",
    "not_asked_for": "dropped, since nobody asked for it",
    "not_backed": "dropped, since nothing in the conversation backs it",
    "call_not_backed": "the call was dropped, since nothing in the conversation backs it",
    "not_fitted": "does not fit its schema, and was kept as it came",
    "not_offered": "the call was dropped, since the tool is not offered",
    "written_twice": "the same call again was dropped",
    "as_said": "a misspelt text was replaced by what somebody said",
    "unsure": "the call was dropped, since the model was not as sure of its reply as the variant asks",
    "unsure_unknown": "the call was dropped, since the variant asks how sure the model was and the reply has no log probabilities",
    "made_before": "the call was dropped, since its result is there already",
}


def _written_as(family: str) -> str:
    return "in a format of no known family" if family == UNKNOWN_FORMAT else f"as {family}"


def unread_note(parsed: ParsedReply, variant: str) -> str:
    """What to say of a call that a variant does not read, and of the chain that does."""
    reads = f"; the chain {parsed.read_by} does" if parsed.read_by is not None else ""
    return f"the reply seems to hold a call {_written_as(parsed.unread or '')}, which variant {variant} does not read{reads}"


def reading_notes(parsed: ParsedReply) -> list[str]:
    """What else there is to say of a reply that was read, one note a line: what was not read, and what was changed."""
    notes = []
    if parsed.unread is not None:
        reads = f"; {parsed.read_by} reads it" if parsed.read_by is not None else ""
        notes.append(f"seems to hold a call {_written_as(parsed.unread)}, which is not read{reads}")
    if parsed.call_in_thinking:
        notes.append("a call stands in the thinking alone, which is no call")
    for made in parsed.corrections:
        where = made.tool if made.argument is None else f"{made.tool}({made.argument})"
        notes.append(f"{where}: {_CORRECTED[made.kind]}")
    return notes
