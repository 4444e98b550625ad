"""Reads tool definitions in the common forms."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pydantic import ValidationError

from selfopt.errors import SuiteError
from selfopt.records import ToolDefinition
from selfopt.suites.check import printable

MAX_TOOLS = 1000
# The keys of the parameters' schema: in suites and at OpenAI, in MCP, at Anthropic, and at Gemini.
_SCHEMA_KEYS = ("parameters", "inputSchema", "input_schema", "parametersJsonSchema")
# The keys under which Gemini lists its functions.
_DECLARATIONS = ("functionDeclarations", "function_declarations")


def tools_from(items: Any, source: str) -> tuple[ToolDefinition, ...]:
    """Read tools from a list, from an object with a list under `tools`, or from a single one.

    Accepts `{name, description, parameters}`, OpenAI's `{type: function, function: {...}}`, MCP's
    `{name, inputSchema}`, Anthropic's `{name, input_schema}`, Gemini's
    `{functionDeclarations: [...]}` and Bedrock's `{toolSpec: {...}}`. Ignores keys that say nothing
    about a call: strict, annotations, title, outputSchema.

    Raises:
        SuiteError: a tool can't be read. The message names the tool.
    """
    listed = items.get("tools", [items] if _is_tool(items) else None) if isinstance(items, dict) else items
    if not isinstance(listed, list):
        raise SuiteError(f"{source}: expected a list of tools, or an object with a list under 'tools'")
    if len(listed) > MAX_TOOLS:
        raise SuiteError(f"{source}: {len(listed)} tools, allowed are {MAX_TOOLS}; give fewer")
    listed = [one for item in listed for one in _declared(item)]
    if len(listed) > MAX_TOOLS:
        raise SuiteError(f"{source}: {len(listed)} tools, allowed are {MAX_TOOLS}; give fewer")
    tools = tuple(_tool(item, f"{source}: tool {number}") for number, item in enumerate(listed, 1))
    twice = next((name for name, count in Counter(t.name for t in tools).items() if count > 1), None)
    if twice is not None:
        raise SuiteError(f"{source}: tool {printable(twice)!r} is defined twice; names must differ")
    return tools


def _is_tool(item: dict[str, Any]) -> bool:
    return any(key in item for key in ("function", "name", "toolSpec", *_DECLARATIONS))


def _declared(item: Any) -> list[Any]:
    """The tools in an entry of a list. Gemini puts many into one, and writes types in capitals; Bedrock wraps each."""
    if not isinstance(item, dict):
        return [item]
    for key in _DECLARATIONS:
        if isinstance(item.get(key), list):
            return [_lower_types(one) for one in item[key]]
    spec = item.get("toolSpec")
    if isinstance(spec, dict):
        schema = spec.get("inputSchema")
        return [{**spec, "inputSchema": schema["json"]} if isinstance(schema, dict) and "json" in schema else spec]
    return [item]


def _lower_types(data: Any) -> Any:
    if isinstance(data, list):
        return [_lower_types(item) for item in data]
    if isinstance(data, dict):
        return {k: v.lower() if k == "type" and isinstance(v, str) and v.isupper() else _lower_types(v) for k, v in data.items()}
    return data


def _tool(item: Any, where: str) -> ToolDefinition:
    if not isinstance(item, dict):
        raise SuiteError(f"{where}: is {printable(repr(item))}; write a mapping with name, description and parameters")
    kind = item.get("type", "function")
    if kind != "function" and "name" not in item:
        raise SuiteError(f"{where}: of type {printable(repr(kind))}; only functions can be offered, remove it")
    inner = item.get("function", item)
    if not isinstance(inner, dict):
        raise SuiteError(f"{where}: function is {printable(repr(inner))}; write a mapping with a name")
    body = {key: inner[key] for key in ("name", "description") if inner.get(key) is not None}
    schema = next((inner[key] for key in _SCHEMA_KEYS if inner.get(key) is not None), None)
    if schema is not None:
        body["parameters"] = _with_all_properties(schema)
    try:
        return ToolDefinition.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise SuiteError(f"{where}: {printable(place)}: {first['msg']}; correct it") from None


def _with_all_properties(schema: Any) -> Any:
    """The parameters with what they leave out: the type object, and the properties that are only required.

    A property that is true may have any value, as one without any keyword. One that is false may
    have none, and is left out. Many servers of models refuse both.
    """
    if not isinstance(schema, dict):
        return schema
    whole = schema if "type" in schema else {"type": "object", "properties": {}, **schema}
    properties, required = whole.get("properties", {}), whole.get("required")
    if not isinstance(properties, dict) or whole["type"] != "object":
        return whole
    named = {name: {} if part is True else part for name, part in properties.items() if part is not False}
    for name in required if isinstance(required, list) else ():
        if isinstance(name, str) and name not in properties:
            named[name] = {}
    return {**whole, "properties": named} if named != properties or "properties" in whole else whole
