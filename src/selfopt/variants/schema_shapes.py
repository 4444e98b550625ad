"""Reads the shapes of a tool's arguments from its JSON Schema.

Every schema is accepted. What the shapes can't express, or what exceeds the limits, is left free
and reported, so a hostile schema costs no more than an honest one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from selfopt.records import FreeReason, LeftFree, ToolDefinition

from .references import target_of
from .schema_bounds import count_of, named_form, whole_bounds
from .shapes import (
    ANY,
    BOOLEAN,
    NOTHING,
    NULL,
    NUMBER,
    OBJECT,
    AnyValue,
    Choice,
    Either,
    Form,
    Listing,
    Meeting,
    Members,
    Named,
    NoValue,
    Text,
    ValueShape,
    WholeNumber,
    either,
    listing,
    meet,
    written,
)

_DEPTH_LIMIT = 24
_SCHEMA_LIMIT = 2_000  # schemas of one tool
_TOOLS_LIMIT = 8_000  # schemas of all tools of a request
_CHARACTERS = 60_000  # of the keys and choices of one tool
_INLINE = 48  # a definition with more schemas than this is written once
_MEMBERS_LIMIT = 120
_CHOICES_LIMIT = 500  # each costs a server time at every token
_COUNT_LIMIT = 256  # of items and characters
_FREE_LIMIT = 200  # entries of the report
_EXACT = 10**15

_FORMS: Mapping[str, Form] = {"date": "date", "time": "time", "date-time": "date-time"}
_NAMES: Mapping[str, Form] = {"YYYY-MM-DD": "date", "HH:MM": "time"}  # where a description is nothing else
_UNSAID: Mapping[str, frozenset[str]] = {
    "string": frozenset({"pattern"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
    "integer": frozenset({"multipleOf"}),
    "array": frozenset({"uniqueItems", "contains", "minContains", "maxContains", "unevaluatedItems"}),
    "object": frozenset(
        ["minProperties", "maxProperties", "dependentRequired", "dependentSchemas", "dependencies", "unevaluatedProperties"]
    ),
}
_UNSAID_ANYWHERE = ("not", "if", "$dynamicRef", "$recursiveRef")
_COMPOSED = frozenset({"$ref", "const", "enum", "allOf", "anyOf", "oneOf", "nullable", *_UNSAID_ANYWHERE})
_OF_OBJECTS = ("properties", "required", "additionalProperties", "patternProperties", "propertyNames")
_OF_LISTS = ("items", "prefixItems", "additionalItems", "minItems", "maxItems")


@dataclass(frozen=True, slots=True)
class ArgumentShapes:
    """The shapes of a tool's arguments.

    Attributes:
        root: always of objects.
        definitions: of the names that are used.
        free: what is left freer than the schema.
    """

    root: ValueShape
    definitions: Mapping[str, ValueShape] = field(default_factory=dict)
    free: tuple[LeftFree, ...] = ()

    def objects(self) -> tuple[Members, ...]:
        """The forms of the arguments, one of which an object has."""
        found = self.definitions.get(self.root.name) if isinstance(self.root, Named) else self.root
        parts = found.parts if isinstance(found, Either) else (found,)
        known = (self.definitions.get(part.name) if isinstance(part, Named) else part for part in parts)
        members = tuple(part for part in known if isinstance(part, Members))
        return members or (OBJECT,)


def argument_shapes(tool: ToolDefinition, among: int = 1) -> ArgumentShapes:
    """Read the shapes of a tool's arguments. among: the number of tools in the request."""
    reader = _Reader(tool.name, tool.parameters, max(100, min(_SCHEMA_LIMIT, _TOOLS_LIMIT // max(among, 1))))
    root = reader.read(tool.parameters, "", 0)
    if isinstance(root, Choice):
        root = ANY  # arguments as constants are not worth a form of their own
    root = root if isinstance(root, Members) else meet(OBJECT, root, Meeting(reader.follow))
    if isinstance(root, NoValue | AnyValue):
        root = OBJECT
    if reader.meeting.room < 0:
        reader.leave("", "size", "allOf")
    free = reader.without_endless()
    return ArgumentShapes(root, reader.definitions, free)


@dataclass(slots=True)
class _Reader:
    tool: str
    schema: Any
    most: int
    spent: int = 0
    characters: int = 0
    definitions: dict[str, ValueShape] = field(default_factory=dict)
    free: list[LeftFree] = field(default_factory=list)
    open: dict[str, str] = field(default_factory=dict)
    again: set[str] = field(default_factory=set)
    known: dict[str, tuple[ValueShape, int]] = field(default_factory=dict)
    meeting: Meeting = field(init=False)

    def __post_init__(self) -> None:
        self.meeting = Meeting(self.follow)

    def follow(self, named: Named) -> ValueShape | None:
        return self.definitions.get(named.name)

    def leave(self, where: str, why: FreeReason, keyword: str = "") -> ValueShape:
        """Report a part that is left free."""
        if len(self.free) < _FREE_LIMIT:
            entry = LeftFree(tool=self.tool, where=where[:200], why=why, keyword=keyword[:80])
            if entry not in self.free:
                self.free.append(entry)
        return ANY

    def read(self, schema: Any, where: str, depth: int) -> ValueShape:
        """The shape of one schema."""
        if schema is True:
            return ANY
        if schema is False:
            return NOTHING
        if not isinstance(schema, Mapping):
            return self.leave(where, "no_schema")
        self.spent += 1
        if self.spent > self.most:
            return self.leave(where, "size")
        if depth > _DEPTH_LIMIT:
            return self.leave(where, "depth")
        if _COMPOSED.isdisjoint(schema):
            return self._noted(self._typed(schema, where, depth), schema)
        shape: ValueShape = ANY
        for part in self._parts(schema, where, depth):
            met = part if shape is ANY else meet(shape, part, self.meeting)
            if isinstance(met, NoValue):
                # People mean the last that they say: the choices of a type that has none of them.
                self.leave(where, "contradiction")
                met = part if not isinstance(part, NoValue) else ANY
            shape = met
        if schema.get("nullable") is True:
            shape = either([shape, NULL])
        for word in _UNSAID_ANYWHERE:
            if word in schema:
                self.leave(where, "keyword", word)
        return self._noted(shape, schema)

    def _noted(self, shape: ValueShape, schema: Mapping[str, Any]) -> ValueShape:
        told = schema.get("description")
        if not isinstance(told, str) or not told or isinstance(shape, AnyValue | NoValue | Named):
            return shape
        return _with_note(shape, told)

    def _parts(self, schema: Mapping[str, Any], where: str, depth: int) -> Iterator[ValueShape]:
        """What a schema demands, part by part. All of them hold."""
        if "$ref" in schema:
            yield self._reference(schema["$ref"], where, depth)
        yield self._typed(schema, where, depth)
        if "const" in schema:
            yield self._choice([schema["const"]], where)
        elif isinstance(schema.get("enum"), list):
            yield self._choice(schema["enum"], where)
        for part in self._all(schema.get("allOf"), where, "allOf"):
            yield self.read(part, where, depth + 1)
        for word in ("anyOf", "oneOf"):
            if parts := self._all(schema.get(word), where, word):
                shapes = [self.read(part, where, depth + 1) for part in parts]
                if word == "oneOf" and self._overlap(shapes):
                    self.leave(where, "keyword", word)
                yield either(shapes)

    def _all(self, parts: Any, where: str, word: str) -> list[Any]:
        """The schemas in a list; none if they are too many."""
        if isinstance(parts, list) and len(parts) > _CHOICES_LIMIT:
            self.leave(where, "size", word)
            return []
        return parts if isinstance(parts, list) else []

    def _overlap(self, shapes: Sequence[ValueShape]) -> bool:
        """Whether a value may have two of these shapes, as far as that is looked into."""
        if len(shapes) > 16:
            return True
        pairs = ((one, other) for place, one in enumerate(shapes) for other in shapes[:place])
        return not all(isinstance(meet(one, other, self.meeting), NoValue) for one, other in pairs)

    def _reference(self, reference: Any, where: str, depth: int) -> ValueShape:
        """The shape of a definition: read once, and written by its name if it is large or holds itself."""
        target = target_of(self.schema, reference)
        if target is None or isinstance(target, list):
            return self.leave(where, "reference", str(reference))
        if reference in self.known:
            shape, weight = self.known[reference]
            self.spent += weight
            return shape
        if reference in self.open:
            self.again.add(reference)
            return Named(self.open[reference])
        name = self.open[reference] = f"def{len(self.known) + len(self.open)}"
        before = self.spent
        shape = self.read(target, where, depth + 1)
        del self.open[reference]
        weight = self.spent - before
        if reference in self.again or weight > _INLINE:
            self.definitions[name] = shape
            shape, weight = Named(name), 1
        self.known[reference] = shape, weight
        return shape

    def _choice(self, values: Sequence[Any], where: str) -> ValueShape:
        if len(values) <= _CHOICES_LIMIT:
            texts = tuple(dict.fromkeys(text for value in values if (text := written(value)) is not None))
            self.characters += sum(map(len, texts))
            if texts and self.characters <= _CHARACTERS:
                return Choice(texts)
        if not values:
            return ANY
        self.leave(where, "size", "enum")
        return Text() if all(isinstance(value, str) for value in values) else ANY

    def _typed(self, schema: Mapping[str, Any], where: str, depth: int) -> ValueShape:
        wanted = schema.get("type")
        if isinstance(wanted, str):
            return self._of_kind(wanted, schema, where, depth)
        kinds: Sequence[Any] = wanted if isinstance(wanted, list) else [wanted]
        if wanted is None:
            if any(word in schema for word in _OF_OBJECTS):
                kinds = ["object"]
            elif any(word in schema for word in _OF_LISTS):
                kinds = ["array"]
            else:
                return ANY
        if len(kinds) > 20:
            return self.leave(where, "size", "type")
        return either([self._of_kind(kind, schema, where, depth) for kind in kinds])

    def _of_kind(self, kind: Any, schema: Mapping[str, Any], where: str, depth: int) -> ValueShape:
        unsaid = _UNSAID.get(kind) if isinstance(kind, str) else None
        for word in sorted(unsaid) if unsaid is not None and not unsaid.isdisjoint(schema) else ():
            if schema.get(word, False) is not False:
                self.leave(where, "keyword", word)
        match kind:
            case "string":
                return self._text(schema, where)
            case "integer":
                return self._whole(schema, where)
            case "number":
                return NUMBER
            case "boolean":
                return BOOLEAN
            case "null":
                return NULL
            case "array":
                return self._list(schema, where, depth)
            case "object":
                return self._object(schema, where, depth)
        return self.leave(where, "type", kind if isinstance(kind, str) else "")

    def _text(self, schema: Mapping[str, Any], where: str) -> ValueShape:
        wanted = schema.get("format")
        form = _FORMS.get(wanted, "") if isinstance(wanted, str) else ""
        if "format" in schema and not form:
            self.leave(where, "keyword", "format")
        least, most = self._counts(schema, "minLength", "maxLength", where)
        told = schema.get("description")
        form = form or (_NAMES.get(told.strip(" ."), "") if isinstance(told, str) else "")
        return Text(0 if form else least, None if form else most, form, named_form(told))

    def _whole(self, schema: Mapping[str, Any], where: str) -> ValueShape:
        low, high = whole_bounds(schema)
        if any(edge is not None and abs(edge) > _EXACT for edge in (low, high)):
            self.leave(where, "keyword", "minimum")
            return WholeNumber()
        return WholeNumber(low, high) if low is None or high is None or low <= high else NOTHING

    def _counts(self, schema: Mapping[str, Any], least: str, most: str, where: str) -> tuple[int, int | None]:
        """The bounds of a length, as far as a limit can hold them."""
        if least not in schema and most not in schema:
            return 0, None
        low, high = count_of(schema.get(least)) or 0, count_of(schema.get(most))
        if low > _COUNT_LIMIT:
            self.leave(where, "size", least)
            low = _COUNT_LIMIT
        if high is not None and high > _COUNT_LIMIT:
            self.leave(where, "size", most)
            high = None
        if high is not None and high < low:
            self.leave(where, "contradiction", most)
            high = None
        return low, high

    def _list(self, schema: Mapping[str, Any], where: str, depth: int) -> ValueShape:
        inside, items = f"{where}[]", schema.get("items", True)
        first = schema.get("prefixItems")
        if isinstance(items, list):
            first, items = items, schema.get("additionalItems", True)
        places = [self.read(part, inside, depth + 1) for part in first[:_COUNT_LIMIT]] if isinstance(first, list) else []
        least, most = self._counts(schema, "minItems", "maxItems", where)
        found = listing(self.read(items, inside, depth + 1), places, least, most)
        if isinstance(found, Listing) and places and not found.first:
            self.leave(where, "keyword", "prefixItems")
        if isinstance(found, NoValue):
            self.leave(where, "contradiction", "minItems")
            return Listing(ANY)
        return found

    def _object(self, schema: Mapping[str, Any], where: str, depth: int) -> ValueShape:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        wanted = schema.get("required")
        required = [key for key in wanted if isinstance(key, str)] if isinstance(wanted, list) else []
        self.characters += sum(len(str(key)) for key in properties)
        if len(properties) > _MEMBERS_LIMIT or self.characters > _CHARACTERS or len(required) > _MEMBERS_LIMIT:
            self.leave(where, "size", "properties")
            return OBJECT
        extra, said = self._extra(schema, where, depth)
        if not isinstance(extra, NoValue) and any("]" in str(key) for key in properties):
            # llama.cpp can't tell such a key from others in a JSON Schema, and refuses the request.
            self.leave(where, "keyword", "additionalProperties")
            return OBJECT
        listed: dict[str, ValueShape] = {}
        for key, part in properties.items():
            if written(key) is None:
                continue
            shape = self.read(part, f"{where}.{key}" if where else str(key), depth + 1)
            if not isinstance(shape, NoValue):
                listed[str(key)] = shape
            elif not isinstance(extra, NoValue):
                self.leave(where, "keyword", "properties")
        names = schema.get("propertyNames")
        if isinstance(names, Mapping) and isinstance(names.get("enum"), list) and len(names["enum"]) <= _MEMBERS_LIMIT:
            listed |= {key: extra for key in names["enum"] if isinstance(key, str) and key not in listed}
            extra, said = NOTHING, True
        elif names is not None:
            self.leave(where, "keyword", "propertyNames")
        for key in required:
            if key not in listed and isinstance(extra, NoValue) and said:
                self.leave(where, "contradiction", "required")
            elif key not in listed and written(key) is not None:
                listed[key] = extra if said else ANY
        return Members(listed, frozenset(required) & set(listed), extra, said)

    def _extra(self, schema: Mapping[str, Any], where: str, depth: int) -> tuple[ValueShape, bool]:
        """What members may be that are not listed, and whether the schema says so."""
        inside, others = f"{where}.*" if where else "*", schema.get("additionalProperties")
        patterns = schema.get("patternProperties")
        if isinstance(patterns, Mapping) and patterns:
            self.leave(where, "keyword", "patternProperties")
            parts = [self.read(part, inside, depth + 1) for part in list(patterns.values())[:20]]
            open_too = others is not None or not schema.get("properties")
            also = self.read(True if others is None else others, inside, depth + 1) if open_too else NOTHING
            return either([*parts, also]) if len(patterns) <= 20 else ANY, True
        if others is None:
            # At the top, `properties: {}` says that a tool has no arguments.
            listing_none = not schema.get("properties") and ("properties" not in schema or bool(where))
            return (ANY if listing_none else NOTHING), False
        return self.read(others, inside, depth + 1), True

    def without_endless(self) -> tuple[LeftFree, ...]:
        """Free the definitions that can begin with themselves, which no grammar can read."""
        for name in list(self.definitions):
            if self._begins_with(self.definitions[name], name, set()):
                self.definitions[name] = self.leave("", "endless", "$ref")
        return tuple(self.free)

    def _begins_with(self, shape: ValueShape, name: str, seen: set[str]) -> bool:
        if isinstance(shape, Either):
            return any(self._begins_with(part, name, seen) for part in shape.parts)
        if not isinstance(shape, Named) or shape.name in seen:
            return False
        seen.add(shape.name)
        return shape.name == name or self._begins_with(self.definitions.get(shape.name, ANY), name, seen)


def _with_note(shape: ValueShape, note: str) -> ValueShape:
    return replace(shape, note=note)
