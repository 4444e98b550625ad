"""Reads the calls that the values of asserts write out: as they are, as a JSON Schema, or in part."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from selfopt.errors import SuiteError
from selfopt.home.plain_json import PlainJsonError, read_plain_json
from selfopt.suites.check import printable

from .chat import call_data, exactly

_SCHEMA_WORDS = frozenset({"type", "properties", "items", "anyOf", "oneOf", "allOf", "$ref", "prefixItems", "contains"})


class UnknownAssertError(Exception):
    """An assert that states no tool calls. The message is its type and the reason."""


def calls_of(kind: str, value: Any, where: str, *, schemas: bool) -> list[dict[str, Any]]:
    """The calls that a value writes out.

    Args:
        kind: the type of the assert.
        value: a call, a list of calls, the message that holds them, or their JSON text.
        where: what messages call the place.
        schemas: whether the value may be a JSON Schema of a call.

    Raises:
        UnknownAssertError: it writes out no calls.
    """
    if isinstance(value, str):
        try:
            value = read_plain_json(value)
        except PlainJsonError:
            raise UnknownAssertError(f"{kind} of text that is no tool call") from None
    if schemas and isinstance(value, dict) and set(value) & _SCHEMA_WORDS and "name" not in value:
        return _calls_of_schema(kind, value)
    listed = value.get("tool_calls", [value]) if isinstance(value, dict) else value
    if not isinstance(listed, list):
        raise UnknownAssertError(f"{kind} without a value that is tool calls")
    try:
        return [exactly(call_data(call, f"{where}: value[{i}]")) for i, call in enumerate(listed)]
    except SuiteError:
        raise UnknownAssertError(f"{kind} of a value that is no tool call") from None


def args_match_call(value: Any, tools: Sequence[str], where: str) -> dict[str, Any]:
    """The call that `trajectory:tool-args-match` states.

    Arguments with a default may be left out. What the assert does not name has to be left out too:
    an accepted set knows no argument of any value.
    """
    kind = "trajectory:tool-args-match"
    body = value if isinstance(value, dict) else {}
    arguments, name, pattern = body.get("args", body.get("arguments", {})), body.get("name"), body.get("pattern")
    if not isinstance(arguments, dict) or not isinstance(name if name is not None else pattern, str):
        raise SuiteError(f"{where}: value is {printable(repr(value))}; write {{name, args}}")
    if name is None:
        found = [tool for tool in tools if fnmatchcase(tool.lower(), str(pattern)[:200].lower())]
        if len(found) != 1:
            raise UnknownAssertError(f"{kind} with a pattern that fits {len(found)} tools")
        name = found[0]
    if body.get("ignore"):
        raise UnknownAssertError(f"{kind} with ignore (an accepted set knows no argument of any value)")
    if not arguments and body.get("mode") != "exact":
        return {"name": name, "any_arguments": True}
    defaults = body.get("defaults")
    free = {k: ["", v] for k, v in defaults.items() if k not in arguments} if isinstance(defaults, dict) else {}
    return {"name": name, "arguments": {**{key: [accepted] for key, accepted in arguments.items()}, **free}}


def _calls_of_schema(kind: str, schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Read the one call that a JSON Schema describes with const and enum.

    The schema is that of a call, or of a list of one.
    """
    items = schema.get("items", schema)
    inner = _properties(items)
    function = _properties(inner.get("function")) or inner
    names = _values(function.get("name"))
    if len(names) != 1 or not isinstance(names[0], str):
        raise UnknownAssertError(f"{kind} with a schema that states no tool's name")
    if "arguments" not in function:
        return [{"name": names[0], "any_arguments": True}]
    arguments = function["arguments"]
    required = arguments.get("required", []) if isinstance(arguments, dict) else []
    accepted = {name: _values(inner) for name, inner in _properties(arguments).items()}
    if not all(accepted.values()):
        raise UnknownAssertError(f"{kind} with a schema that states no values (const or enum) for an argument")
    return [{"name": names[0], "arguments": {n: v if n in required else ["", *v] for n, v in accepted.items()}}]


def _properties(schema: Any) -> dict[str, Any]:
    found = schema.get("properties") if isinstance(schema, dict) else None
    return found if isinstance(found, dict) else {}


def _values(schema: Any) -> list[Any]:
    if not isinstance(schema, dict):
        return []
    if "const" in schema:
        return [schema["const"]]
    enum = schema.get("enum")
    return list(enum) if isinstance(enum, list) else []
