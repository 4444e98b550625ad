"""Numbers that JSON has no value for, such as NaN and 1e400: they stay the text that was written, and that is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from selfopt.reading.schema import Fitter, arguments_of, part_of
from selfopt.records import Correction, ToolCall, ToolDefinition

from .base import Found
from .loose import NoNumber


def lost_numbers(call: ToolCall, tools: Sequence[ToolDefinition]) -> list[str]:
    """The arguments of a call in which such a text stands for a number that the schema asks for.

    Nobody knows the schema of a tool that was not offered: then these are all that hold such a text.
    """
    held = [key for key, value in call.arguments.items() if _holds(value)]
    tool = next((tool for tool in tools if tool.name == call.name), None) if held else None
    if tool is None:
        return held
    schema, fitter = arguments_of(tool.parameters), Fitter(tool.parameters)
    return [key for key in held if not fitter.fits(call.arguments[key], part_of(schema, key))]


def with_plain_texts(found: Found, tools: Sequence[ToolDefinition]) -> Found:
    """The same with plain texts for such numbers, and a correction where the schema allows no text."""
    if not any(_holds(call.arguments) for call in found.calls):
        return found
    told = tuple(
        Correction(kind="not_fitted", tool=call.name, argument=key) for call in found.calls for key in lost_numbers(call, tools)
    )
    calls = [call.model_copy(update={"arguments": _plain(call.arguments)}) for call in found.calls]
    return replace(found, calls=calls, corrections=(*found.corrections, *told))


def _holds(value: Any) -> bool:
    if isinstance(value, (dict, list)):
        return any(map(_holds, value.values() if isinstance(value, dict) else value))
    return isinstance(value, NoNumber)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, NoNumber) else value
