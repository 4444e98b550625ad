"""Reads the tools of a client of OpenAI's chat completions, and which of them it wants called."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import msgspec
from pydantic import ValidationError

from selfopt.records import ToolDefinition

from .clients import NoWordsError, PassReason
from .refusal import bad_request

MAX_TOOLS = 128
"""The most tools that a variant gets."""

MAX_TOOLS_BYTES = 1_000_000
KEPT_TOOLS_BYTES = 65_536
Choice = Literal["auto", "none", "required"]
Offered = tuple[tuple[ToolDefinition, ...], PassReason | None]
_decode = msgspec.json.Decoder().decode


class _Named(msgspec.Struct):
    name: str


class _Wanted(msgspec.Struct):
    """A tool in a choice, as chat completions name it, or as the Responses API does."""

    type: Literal["function"]
    function: _Named | None = None
    name: str | None = None


class _Allowed(msgspec.Struct):
    tools: list[_Wanted]
    mode: Literal["auto", "required"] = "auto"


class _Chosen(msgspec.Struct):
    type: Literal["function", "allowed_tools"]
    function: _Named | None = None
    name: str | None = None
    allowed_tools: _Allowed | None = None
    mode: Literal["auto", "required"] | None = None
    tools: list[_Wanted] | None = None


_decode_choice = msgspec.json.Decoder(_Chosen | Literal["auto", "none", "required", "any"] | None).decode


def offered(raw: msgspec.Raw) -> Offered:
    """The tools that a client offers, and what no variant has words for in them.

    Clients send the same tools with every chat. Their records are cached, so that the variant can
    cache by identity what it derives from them.

    Raises:
        NoWordsError: one of them is not a function.
        Refusal: they are too large to be decoded.
    """
    if len(raw) > MAX_TOOLS_BYTES:
        raise bad_request(f"tools of {len(raw)} bytes, at most {MAX_TOOLS_BYTES} are allowed", "tools", "array_above_max_length")
    text = bytes(raw)
    return _known_tools(text) if len(text) <= KEPT_TOOLS_BYTES else _tools(text)


def _tools(text: bytes) -> Offered:
    tools: list[ToolDefinition] = []
    beyond: PassReason | None = None
    for place, entry in enumerate(_decode(text) or ()):
        function, around = entry.get("function"), {key: entry[key] for key in entry if key not in ("type", "function")}
        if entry.get("type", "function") == "function" and function is None:
            function, around, beyond = around, {}, "tools"  # as the Responses API writes it
        elif "type" not in entry:
            beyond = "tools"
        if not isinstance(function, dict) or entry.get("type", "function") != "function":
            raise NoWordsError("tools", f'tools[{place}] must be {{"type": "function", "function": ...}}', "tools")
        tool = _tool(function, around, place)
        if any(tool.name == other.name for other in tools):
            beyond = "tools"
        tools.append(tool)
    return tuple(tools), beyond


_known_tools = lru_cache(maxsize=64)(_tools)


def _tool(function: dict[str, Any], around: dict[str, Any], place: int) -> ToolDefinition:
    known = {"name": function.get("name"), "description": function.get("description") or ""}
    if function.get("parameters") is not None:
        known["parameters"] = function["parameters"]
    others = {key: value for key, value in function.items() if key not in ("name", "description", "parameters")}
    beside = {key: value for key, value in (("function", others), ("tool", around)) if value}
    try:
        tool = ToolDefinition.model_validate({**known, "beside": beside})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise NoWordsError("tools", f"tools[{place}].{'.'.join(map(str, first['loc']))}: {first['msg']}", "tools") from None
    if not tool.name:
        raise NoWordsError("tools", f"tools[{place}]: its name is empty", "tools")
    return tool


def chosen(
    raw: msgspec.Raw | None, tools: Sequence[ToolDefinition]
) -> tuple[Choice, tuple[ToolDefinition, ...] | None, PassReason | None]:
    """Read a `tool_choice`.

    Returns:
        Whether to call a tool, the tools that may be called (None: all), and what no variant has
        words for.

    Raises:
        NoWordsError: it is none of the known choices, or names a tool that is not offered.
    """
    try:
        if raw is not None and len(raw) > KEPT_TOOLS_BYTES:
            raise NoWordsError("size", f"tool_choice has {len(raw)} bytes", "tool_choice")
        choice = _decode_choice(raw) if raw is not None else None
    except msgspec.DecodeError:
        said = "tool_choice must be none, auto, required, or name functions"
        raise NoWordsError("tool_choice", said, "tool_choice") from None
    if not isinstance(choice, _Chosen):
        return ("required" if choice == "any" else choice or "auto"), None, None
    if choice.type == "function":
        flat = choice.function is None
        names = [choice.name if choice.function is None else choice.function.name]
        mode: Choice = "required"
    else:
        allowed = choice.allowed_tools or _Allowed(choice.tools or [], choice.mode or "auto")
        flat = choice.allowed_tools is None
        names = [one.name if one.function is None else one.function.name for one in allowed.tools]
        mode = allowed.mode
    known, wanted = {tool.name for tool in tools}, set(names)
    kept = tuple(tool for tool in tools if tool.name in wanted)
    missing = next((name for name in names if name not in known), None)
    if not names or missing is not None:
        said = (
            f"tool_choice names {(missing or '')[:80]!r}, which is not among the tools" if names else "tool_choice allows no tool"
        )
        raise NoWordsError("tool_choice", said, "tool_choice")
    return mode, kept, "tool_choice" if flat else None
