"""Schemas of tools' arguments, drawn at random, and how a limit has their instances written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from selfopt.variants.schema_shapes import ArgumentShapes
from selfopt.variants.shapes import ANY, Either, Listing, Members, Named, ValueShape, allows

KEYS = st.sampled_from(["a", "ab", "b", "day", 'q"x', "naïve", "two words", "c"])
LITERALS = st.none() | st.booleans() | st.integers(-99, 99) | st.text('ab é"\\\n', max_size=4)


def _bounds(least: str, most: str, largest: int) -> st.SearchStrategy[dict[str, int]]:
    pairs = st.tuples(st.integers(0, largest), st.integers(0, largest)).map(sorted)
    both = pairs.map(lambda pair: {least: pair[0], most: pair[1]})
    return st.just({}) | both | both.map(lambda body: {least: body[least]}) | both.map(lambda body: {most: body[most]})


_PLAIN = st.one_of(
    st.sampled_from([{"type": kind} for kind in ("string", "integer", "number", "boolean", "null")]),
    st.sampled_from([{"type": "string", "format": form} for form in ("date", "time", "date-time")]),
    st.just({}),
    _bounds("minLength", "maxLength", 6).map(lambda body: {"type": "string", **body}),
    _bounds("minimum", "maximum", 1200).map(lambda body: {"type": "integer", **body}),
    st.integers(-30, 30).map(lambda edge: {"type": "integer", "exclusiveMinimum": edge}),
    st.lists(LITERALS, min_size=1, max_size=40, unique_by=json.dumps).map(lambda values: {"enum": values}),
    LITERALS.map(lambda value: {"const": value}),
    st.just({"type": ["string", "null"], "description": "Day as YYYY-MM-DD, or 'today'"}),
    st.sampled_from([{"$ref": "#/$defs/Size"}, {"allOf": [{"$ref": "#/$defs/Place"}], "description": "Where."}]),
)


def _nested(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    few = st.lists(inner, min_size=1, max_size=3)
    lists = st.builds(lambda item, body: {"type": "array", "items": item, **body}, inner, _bounds("minItems", "maxItems", 4))
    places = st.builds(
        lambda first, rest: {"type": "array", "items": first, "additionalItems": rest}, few, inner | st.just(False)
    )
    unions = st.builds(lambda word, parts: {word: parts}, st.just("anyOf"), few)
    maps = inner.map(lambda part: {"type": "object", "additionalProperties": part})
    both = st.builds(lambda one, other: {"allOf": [one, other]}, objects(inner), objects(inner))
    return lists | places | unions | maps | objects(inner) | both


def objects(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that list members, with or without others."""

    def made(properties: dict[str, Any], required: list[str], others: Any) -> dict[str, Any]:
        body = {"type": "object", "properties": properties, "required": [key for key in required if key in properties]}
        return body if others is None else {**body, "additionalProperties": others}

    others = st.none() | st.booleans() | inner
    return st.builds(made, st.dictionaries(KEYS, inner, min_size=1, max_size=4), st.lists(KEYS, max_size=3, unique=True), others)


PARTS = st.recursive(_PLAIN, _nested, max_leaves=8)
DEFINITIONS = {
    "Size": {"type": "string", "enum": ["small", "large"]},
    "Place": {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "integer"}}, "required": ["city"]},
}
PARAMETERS = objects(PARTS).map(lambda body: {**body, "$defs": DEFINITIONS})


def closed(schema: Any) -> Any:
    """A schema with what limits take for granted: objects that list members have no others unless it says so."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    body = {key: part if key in ("enum", "const") else closed(part) for key, part in schema.items()}
    if "allOf" in body and all(isinstance(part, dict) and "properties" in part for part in body["allOf"]):
        parts = [
            {key: part[key] for key in part if key != "additionalProperties" or schema["allOf"][place].get(key) is not None}
            for place, part in enumerate(body["allOf"])
        ]
        listed: dict[str, Any] = {key: {} for part in parts for key in part["properties"]}
        # Members that another part lists are allowed by a part that says nothing of others.
        said = any("additionalProperties" in part for part in parts)
        return {**body, "allOf": parts if said else [*parts, {"properties": listed, "additionalProperties": False}]}
    if "properties" in body and not isinstance(body.get("type"), dict) and body.get("type") == "object":
        body.setdefault("additionalProperties", False)
    return body


def texts(shapes: ArgumentShapes, value: Any) -> Iterator[str]:
    """How a value may be written: members in the order of its shape."""
    return _texts(shapes, shapes.root, value)


def _texts(shapes: ArgumentShapes, shape: ValueShape, value: Any) -> Iterator[str]:
    def follow(named: Named) -> ValueShape | None:
        return shapes.definitions.get(named.name)

    if isinstance(shape, Named):
        shape = follow(shape) or ANY
    if isinstance(shape, Either):
        for part in shape.parts:
            if allows(part, value, follow):
                yield from _texts(shapes, part, value)
        return
    match shape, value:
        case Listing(), list():
            places = [shape.first[i] if i < len(shape.first) else shape.rest for i in range(len(value))]
            yield from _joined("[]", [list(_texts(shapes, part, one)) for part, one in zip(places, value, strict=True)])
        case Members(), dict():
            order = [key for key in shape.listed if key in shape.required] + [k for k in shape.listed if k not in shape.required]
            keys = [key for key in order if key in value] + [key for key in value if key not in shape.listed]
            parts = [
                [
                    f"{json.dumps(key, ensure_ascii=False)}: {text}"
                    for text in _texts(shapes, shape.listed.get(key, shape.extra), value[key])
                ]
                for key in keys
            ]
            yield from _joined("{}", parts)
        case _:
            yield json.dumps(value, ensure_ascii=False)


def _joined(marks: str, parts: list[list[str]]) -> Iterator[str]:
    """The first and the last way to write each part are enough."""
    if any(not ways for ways in parts):
        return
    yield marks[0] + ", ".join(ways[0] for ways in parts) + marks[1]
    if any(len(ways) > 1 for ways in parts):
        yield marks[0] + ", ".join(ways[-1] for ways in parts) + marks[1]
