"""Reads the tool calls that promptfoo's asserts state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from selfopt.errors import SuiteError
from selfopt.home.plain_json import PlainJsonError, read_plain_json
from selfopt.suites.check import printable

from .chat import call_data, exactly

_VALID = ("is-valid-openai-tools-call", "is-valid-openai-function-call", "is-valid-function-call")
_JSON = ("contains-json", "is-json")
KNOWN_ASSERTS = ("is-valid-openai-tools-call", "tool-call-f1", "equals", *_JSON)
_SCHEMA_WORDS = frozenset({"type", "properties", "items", "anyOf", "oneOf", "allOf", "$ref", "prefixItems", "contains"})


class UnknownAssertError(Exception):
    """An assert that states no tool calls. The message is its type and the reason."""


@dataclass(slots=True)
class Stated:
    """What the asserts of one test state.

    Attributes:
        calls: one accepted set.
        names: the tools that are called, whatever the arguments.
        valid: whether any call is right.
        silent: whether nothing should be called.
        unknown: the asserts that state no tool calls.
    """

    calls: list[dict[str, Any]] | None = None
    names: list[str] | None = None
    valid: bool = False
    silent: bool = False
    unknown: list[str] = field(default_factory=list)

    def expected(self, where: str) -> Any:
        """The accepted sets, or "any".

        Raises SuiteError if the asserts state nothing or contradict each other.
        """
        if self.calls is not None and self.names is not None and {call["name"] for call in self.calls} != set(self.names):
            raise SuiteError(f"{where}: its asserts name different tools; correct one of them")
        if self.silent and (self.names is not None or self.valid if self.calls is None else self.calls):
            raise SuiteError(f"{where}: its asserts say that a tool is called and that none is; correct one of them")
        if self.calls is not None:
            return [self.calls]
        if self.names is not None:
            return [[{"name": name, "any_arguments": True} for name in self.names]]
        if self.valid:
            return "any"
        if self.silent:
            return [[]]
        raise SuiteError(f"{where}: no assert states a tool call; add one of {', '.join(KNOWN_ASSERTS)}")


def read_asserts(asserts: Any, where: str) -> Stated:
    """Read what a list of asserts states together."""
    stated = Stated()
    if not isinstance(asserts, list):
        raise SuiteError(f"{where}: assert is {printable(repr(asserts))}; write a list of asserts with their types")
    for index, item in enumerate(asserts):
        try:
            _take(stated, item, f"{where}: assert[{index}]")
        except UnknownAssertError as error:
            stated.unknown.append(str(error))
    return stated


def _take(stated: Stated, item: Any, where: str) -> None:
    if not isinstance(item, dict) or not isinstance(item.get("type"), str):
        raise SuiteError(f"{where}: is {printable(repr(item))}; write a mapping with a type")
    kind = item["type"]
    for code in ("transform", "contextTransform"):
        if code in item:
            raise UnknownAssertError(f"{printable(kind)} with {code} (code, which is not executed)")
    if kind in _VALID:
        stated.valid = True
    elif kind.removeprefix("not-") in _VALID:
        stated.silent = True
    elif kind == "tool-call-f1":
        stated.names = _names(item, where)
    elif kind in ("equals", *_JSON):
        calls = _calls_of(kind, item.get("value"), where)
        if stated.calls is not None and stated.calls != calls:
            raise SuiteError(f"{where}: states other calls than an assert before it; keep one")
        stated.calls = calls
    else:
        raise UnknownAssertError(printable(kind))


def _names(item: dict[str, Any], where: str) -> list[str]:
    if item.get("threshold", 1) != 1:
        raise UnknownAssertError("tool-call-f1 with a threshold (a set of calls is right or it is not)")
    value = item.get("value")
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise SuiteError(f"{where}: value is {printable(repr(value))}; write a list of tools' names")
    return list(dict.fromkeys(name.strip() for name in names))


def _calls_of(kind: str, value: Any, where: str) -> list[dict[str, Any]]:
    if isinstance(value, str):
        try:
            value = read_plain_json(value)
        except PlainJsonError:
            raise UnknownAssertError(f"{kind} of text that is no tool call") from None
    if kind in _JSON and isinstance(value, dict) and set(value) & _SCHEMA_WORDS and "name" not in value:
        return _calls_of_schema(kind, value, where)
    listed = value.get("tool_calls", [value]) if isinstance(value, dict) else value
    if not isinstance(listed, list):
        raise UnknownAssertError(f"{kind} without a value that is tool calls")
    try:
        return [exactly(call_data(call, f"{where}: value[{i}]")) for i, call in enumerate(listed)]
    except SuiteError:
        raise UnknownAssertError(f"{kind} of a value that is no tool call") from None


def _calls_of_schema(kind: str, schema: dict[str, Any], where: str) -> list[dict[str, Any]]:
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
