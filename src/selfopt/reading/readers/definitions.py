"""Tells definitions of tools, which models repeat, from calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KINDS = frozenset(
    {"string", "integer", "number", "boolean", "object", "array", "null", "float", "int", "str", "bool", "dict", "list"}
)
# In the place of every argument, these are no values.
_WRITTEN_KINDS = _KINDS - {"null", "list", "object"}
_OF_SCHEMAS = frozenset(
    {
        *("type", "properties", "required", "additionalProperties", "description", "title", "default", "enum", "items", "anyOf"),
        *("oneOf", "allOf", "const", "format", "minimum", "maximum", "minLength", "maxLength", "pattern", "examples", "example"),
        *("$ref", "$schema", "$defs", "definitions", "nullable", "strict", "optional", "minItems", "maxItems", "uniqueItems"),
    }
)
_OF_LISTED = _OF_SCHEMAS | {"name", "in", "schema"}
_OF_DEFINITIONS = ("input_schema", "inputSchema", "parametersJsonSchema", "returns")


def is_definition(value: Mapping[str, Any], arguments: Any, properties: Mapping[str, Any]) -> bool:
    """Whether an object defines a tool instead of calling it.

    Args:
        value: the object that names the tool.
        arguments: what stands in it in the place of arguments.
        properties: the properties of the tool that it names.
    """
    if isinstance(arguments, Mapping) and _tells(arguments, properties):
        return True
    if any(key in value and key not in properties for key in _OF_DEFINITIONS):
        return True
    if isinstance(arguments, list) and arguments and all(isinstance(one, Mapping) for one in arguments):
        return all({"name", "type"} <= one.keys() and one.keys() <= _OF_LISTED for one in arguments)
    described = isinstance(value.get("description"), str) and "description" not in properties
    return (described and not arguments) or is_schema(arguments, properties)


def _tells(arguments: Mapping[str, Any], properties: Mapping[str, Any]) -> bool:
    """Whether an object tells what a tool is: {"description": "...", "parameters": {...}}."""
    foreign = not any(key in properties for key in arguments)
    return foreign and isinstance(arguments.get("description"), str) and "parameters" in arguments


def is_schema(arguments: Any, properties: Mapping[str, Any]) -> bool:
    """Whether what should be arguments is a JSON Schema, or describes each argument by one.

    Args:
        arguments: what stands in the place of arguments.
        properties: the properties of the tool. Its own arguments are no words of schemas.
    """
    if not isinstance(arguments, Mapping) or not arguments:
        return False
    words = [key for key in arguments if key not in properties]
    if "$ref" in words or ("properties" in words and isinstance(arguments["properties"], Mapping)):
        return True
    if "type" in words and arguments["type"] == "object" and all(word in _OF_SCHEMAS for word in words):
        return True
    if all(isinstance(value, str) and value in _WRITTEN_KINDS for value in arguments.values()):
        return True
    return all(_describes(value, properties.get(key)) for key, value in arguments.items())


def _describes(value: Any, schema: Any) -> bool:
    """Whether a value is the schema of an argument, not a value of it."""
    if not isinstance(value, Mapping) or not value or not all(key in _OF_SCHEMAS for key in value):
        return False
    if isinstance(schema, Mapping) and schema.get("type") == "object":
        return "description" in value and value.get("type") in _KINDS
    kind = value.get("type")
    return (
        (isinstance(kind, str) and kind in _KINDS)
        or isinstance(kind, list)
        or any(key in value for key in ("description", "enum", "anyOf", "oneOf", "$ref", "properties"))
    )
