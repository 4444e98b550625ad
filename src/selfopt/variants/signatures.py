"""Tells a model of a tool in one line, in words such as those of TypeScript.

What the schema says is told as it is: references are followed, unions, constants and choices are
written out, and `?` marks what is optional.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from selfopt.records import ToolDefinition

from .references import definition_name, target_of

_DEPTH_LIMIT = 8
_TEXT_LIMIT = 600
_ENUM_LIMIT = 200
_LITERAL_LIMIT = 300
_ROOM = 60_000  # characters of the arguments of one tool
_MERGED = 16  # schemas that apply to one value


def signature(tool: ToolDefinition, *, brief: bool) -> str:
    """The name of a tool, its arguments with their types, and its description.

    brief: without the types.
    """
    writer = _Writer(tool.parameters)
    text = f"{tool.name}({writer.arguments(brief=brief)})"
    return f"{text} - {one_line(tool.description)}" if tool.description else text


def one_line(text: str) -> str:
    """The beginning of a text, without line ends."""
    return " ".join(text[:_TEXT_LIMIT].split())


def _strings(words: Any) -> list[str]:
    return [word for word in words if isinstance(word, str)] if isinstance(words, list) else []


@dataclass(slots=True)
class _Writer:
    root: Any
    room: int = _ROOM
    inside: list[Any] = field(default_factory=list)
    again: set[str] = field(default_factory=set)

    def arguments(self, *, brief: bool) -> str:
        """The arguments of the tool."""
        schema = self._whole(self.root)
        parts = _union_of(schema)
        if parts and not schema.get("properties"):
            forms = [self._whole(part) for part in parts]
            if all(isinstance(form.get("properties"), Mapping) for form in forms):
                return " | ".join(dict.fromkeys(", ".join(self._members(form, 0, brief=brief)) for form in forms))
        return ", ".join(self._members(schema, 0, brief=brief))

    def _members(self, schema: Mapping[str, Any], depth: int, *, brief: bool = False) -> Iterator[str]:
        properties = schema.get("properties")
        required = _strings(schema.get("required"))
        listed = {str(key): part for key, part in properties.items()} if isinstance(properties, Mapping) else {}
        for key, part in [*listed.items(), *((key, True) for key in required if key not in listed)]:
            mark = "" if key in required else "?"
            self.room -= len(key)
            if self.room <= 0:
                yield "..."
                return
            name = key if key.isprintable() else json.dumps(key)
            yield f"{name}{mark}" if brief else f"{name}{mark}: {self.type_of(part, depth, default=bool(mark))}"
        others = schema.get("additionalProperties")
        if not brief and listed and (others is True or isinstance(others, Mapping)):
            kind = self.type_of(others, depth + 1) if isinstance(others, Mapping) and others else ""
            yield f"...: {kind}" if kind else "..."

    def _whole(self, schema: Any) -> Mapping[str, Any]:
        """A schema with everything that applies to the same value: what it refers to, and all of `allOf`."""
        if not isinstance(schema, Mapping):
            return {}
        if "$ref" not in schema and "allOf" not in schema:
            return schema
        merged: dict[str, Any] = {}
        for part in self._applying(schema):
            properties, required = merged.get("properties"), merged.get("required")
            merged |= part
            if isinstance(properties, Mapping) and isinstance(part.get("properties"), Mapping):
                merged["properties"] = {**properties, **part["properties"]}
            if isinstance(required, list) and isinstance(part.get("required"), list):
                merged["required"] = [*required, *part["required"]]
        return merged

    def _applying(self, schema: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The schemas that apply to a value, the outermost last."""
        found: list[dict[str, Any]] = []
        todo: list[Any] = [schema]
        while todo and len(found) < _MERGED:
            one = todo.pop(0)
            if not isinstance(one, Mapping):
                continue
            found.append({word: said for word, said in one.items() if word not in ("$ref", "allOf")})
            if "$ref" in one:
                todo.append(target_of(self.root, one["$ref"]))
            more = one.get("allOf")
            todo += more[:_MERGED] if isinstance(more, list) else []
        return found[::-1]

    def type_of(self, schema: Any, depth: int, *, default: bool = False) -> str:
        """The type of a value, with its description. default: whether to tell the default."""
        text = self._type_of(schema, depth, default=default)
        self.room -= 8
        return text

    def _type_of(self, schema: Any, depth: int, *, default: bool) -> str:
        if not isinstance(schema, Mapping) or depth > _DEPTH_LIMIT or self.room <= 0:
            return "any"
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference in self.inside:
            self.again.add(reference)
            return one_line(definition_name(reference)) or "the same"
        if isinstance(reference, str):
            self.inside.append(reference)
        whole = self._whole(schema)
        name = self._named(whole, depth)
        if isinstance(reference, str):
            self.inside.pop()
            if reference in self.again and name.startswith("{"):
                name = f"{one_line(definition_name(reference))} {name}".strip()
        more = f"{_default(whole) if default else ''}{_note(whole)}"
        self.room -= len(more)
        return name + more

    def _named(self, schema: Mapping[str, Any], depth: int) -> str:
        name = self._kind(schema, depth)
        if schema.get("nullable") is True and "null" not in name.split("|"):
            return f"{name}|null"
        return name

    def _kind(self, schema: Mapping[str, Any], depth: int) -> str:
        if "const" in schema:
            return _literal(schema["const"])
        values = schema.get("enum")
        if isinstance(values, list) and values:
            return self._choices(values)
        parts = _union_of(schema)
        if parts and not ("properties" in schema and "type" in schema):
            return self._union(parts, depth)
        kind = schema.get("type")
        if isinstance(kind, list):
            return "|".join(self._typed(str(one), schema, depth) for one in kind[:8]) or "any"
        if kind is None:
            kind = "object" if "properties" in schema else "array" if "items" in schema or "prefixItems" in schema else "any"
        return self._typed(str(kind), schema, depth)

    def _choices(self, values: Sequence[Any]) -> str:
        shown = []
        for value in values[:_ENUM_LIMIT]:
            shown.append(_literal(value))
            self.room -= len(shown[-1])
            if self.room <= 0:
                break
        more = len(values) - len(shown)
        return "|".join([*shown, f"(and {more} more)"] if more else shown)

    def _union(self, parts: Sequence[Any], depth: int) -> str:
        names = dict.fromkeys(self.type_of(part, depth + 1) for part in parts[:_ENUM_LIMIT])
        if len(names) == 1:
            return next(iter(names))
        return "|".join(f"({name})" if name.startswith(("list of ", "map of ")) else name for name in names)

    def _typed(self, kind: str, schema: Mapping[str, Any], depth: int) -> str:
        if kind == "array":
            first = schema.get("prefixItems", schema.get("items"))
            if isinstance(first, list):
                return f"[{', '.join(self.type_of(part, depth + 1) for part in first[:_MERGED])}]"
            return f"list of {self.type_of(schema.get('items'), depth + 1)}"
        if kind == "object" and isinstance(schema.get("properties"), Mapping):
            return f"{{{', '.join(self._members(schema, depth + 1))}}}"
        others = schema.get("additionalProperties")
        if kind == "object" and isinstance(others, Mapping) and others:
            return f"map of {self.type_of(others, depth + 1)}"
        form = schema.get("format")
        if kind == "string" and isinstance(form, str) and form:
            return f"{one_line(form)[:40]} string"
        return one_line(kind) or "any"


def _union_of(schema: Mapping[str, Any]) -> list[Any]:
    for word in ("anyOf", "oneOf"):
        parts = schema.get(word)
        if isinstance(parts, list) and parts:
            return parts
    return []


def _note(schema: Mapping[str, Any]) -> str:
    told = schema.get("description")
    return f" ({one_line(told)})" if isinstance(told, str) and told else ""


def _default(schema: Mapping[str, Any]) -> str:
    told = schema.get("default")
    text = _literal(told) if told is not None else ""
    return f" = {text}" if text and len(text) < _LITERAL_LIMIT else ""


def _literal(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        return "any"
    return text if len(text) <= _LITERAL_LIMIT else f"{text[:_LITERAL_LIMIT]}…"
