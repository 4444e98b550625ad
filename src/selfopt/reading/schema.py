"""Follows the JSON Schema of an argument, and gives values the types that it asks for.

Schemas come from clients: references may lead nowhere or in circles, and unions may be nested. All
work is bounded, and no schema makes anything raise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import unquote

from .conversions import alike, as_kind, as_number, is_kind, parsed, same, spelling

Schema = Mapping[str, Any]

_ANY: Schema = {}
_JOINING = frozenset({"$ref", "allOf", "anyOf", "oneOf"})
_LOOKS = 128  # schemas that are looked at to follow one
_PATH = 16  # steps of a reference
_OPTIONS = 32  # alternatives of one schema
_DEPTH = 32  # levels of nesting in a value
_STEPS = 2_000  # comparisons for a small value; a larger one has more
_STEPS_EACH = 16  # comparisons more for each item of a value
_FEW = 32  # choices that are compared one by one
_NAME = 128  # characters of an argument's name
_COSTLY = re.compile(r"[(]|[*+{].*[*+{].*[*+{]")
_KINDS = frozenset({"string", "integer", "number", "boolean", "object", "array", "null"})


def resolved(schema: Any, root: Schema) -> Schema:
    """The schema with its references followed and its `allOf` merged.

    A union with one member is merged, too. Longer unions stay as they are.

    Args:
        schema: a schema; anything else allows any value.
        root: the schema that references are looked up in: the parameters of the tool.
    """
    return schema if _is_single_schema(schema) else _Resolver(root).merged(schema)


def options(schema: Any, root: Schema) -> tuple[Schema, ...]:
    """The alternatives of a schema, at most 32, each with one type or none and without unions."""
    if not _is_single_schema(schema):
        return tuple(islice(_Resolver(root).options(schema), _OPTIONS))
    kind = schema.get("type")
    # Most schemas have one type by itself, and are their own only alternative.
    alone = isinstance(kind, str) and kind in _KINDS and "nullable" not in schema
    return (schema,) if alone else tuple(islice(_by_type(schema), _OPTIONS))


def _is_single_schema(schema: Any) -> bool:
    """Whether a schema is one by itself, as most are: no reference, nothing to merge, no union."""
    return isinstance(schema, dict) and _JOINING.isdisjoint(schema)


def allows_string(schema: Any, root: Schema) -> bool:
    """Whether a text may be a value: also a schema without a type allows it."""
    for option in options(schema, root):
        choices = choices_of(option)
        if option.get("type", "string") == "string" and (choices is None or any(isinstance(one, str) for one in choices)):
            return True
    return False


def choices_of(option: Schema) -> Sequence[Any] | None:
    """The values that an alternative lists; None if it lists none."""
    if "const" in option:
        return (option["const"],)
    choices = option.get("enum")
    return choices if isinstance(choices, list) else None


def typed_text(raw: str, schema: Any, root: Schema) -> Any:
    """The value of an argument that was written as bare text.

    The text stays exactly as it is where the schema allows it. The text `null` is None if the
    schema allows both null and any text. Else the text is read as the type that the schema asks
    for; it stays as it is if that is impossible.

    Example:
        >>> typed_text("3.0", {"type": "integer"}, {})
        3
        >>> typed_text("10001", {"type": ["string", "null"]}, {})
        '10001'
    """
    fitter, kinds = Fitter(root), {option.get("type") for option in options(schema, root)}
    if fitter.fits(raw, schema):
        return None if raw == "null" and "null" in kinds else raw
    # What a list or an object holds is not changed here.
    for kind in ("array", "object"):
        value = parsed(raw, kind) if kind in kinds else raw
        if value is not raw:
            return value
    value, whole = fitter.fit(raw, schema, wraps=False)
    # A choice in another spelling is a repair, which is not the reader's.
    return raw if isinstance(value, str) or not whole else value


@dataclass(slots=True)
class Fitter:
    """Gives values the types of schemas within `root`, unless that would lose or guess anything."""

    root: Schema
    _steps: int = 0
    # The schema is kept beside its alternatives, so that its identity is not given away again.
    _known: dict[int, tuple[Any, tuple[Schema, ...]]] = field(default_factory=dict)
    _spelled: dict[int, tuple[Any, dict[str, list[Any]]]] = field(default_factory=dict)

    def fits(self, value: Any, schema: Any) -> bool:
        """Whether a value is of the types and choices of a schema. Other limits are not checked."""
        self._steps = _STEPS + _STEPS_EACH * _size(value)
        return self._fits(value, schema, _DEPTH)

    def fit(self, value: Any, schema: Any, *, wraps: bool = True) -> tuple[Any, bool]:
        """Convert a value to the type of its schema.

        A value that fits stays. Among alternatives the first that the value fits counts. What
        can't be converted stays as it is.

        Args:
            value: any value of JSON.
            schema: its schema.
            wraps: whether a single value may become a list of it.

        Returns:
            The value, and whether it fits the schema now.
        """
        if self.fits(value, schema):
            return value, True
        return self._fit(value, schema, _DEPTH, wraps)

    def _options(self, schema: Any) -> tuple[Schema, ...]:
        known = self._known.get(id(schema))
        if known is None:
            known = self._known[id(schema)] = (schema, options(schema, self.root))
        return known[1]

    def _alike(self, value: Any, choices: Sequence[Any]) -> list[Any]:
        """The choices that a value may be. They are looked up, since there may be thousands of both."""
        known = self._spelled.get(id(choices))
        if known is None:
            known = self._spelled[id(choices)] = (choices, {})
            for choice in choices:
                known[1].setdefault(spelling(choice), []).append(choice)
        number = as_number(value) if isinstance(value, str) else None
        names = dict.fromkeys((spelling(value), *([] if number is None else [spelling(number)])))
        return [choice for name in names for choice in known[1].get(name, ()) if alike(value, choice)]

    def _fits(self, value: Any, schema: Any, depth: int) -> bool:
        self._steps -= 1
        if depth == 0 or self._steps < 0:
            return True  # too deep or too large to tell
        return any(self._fits_option(value, option, depth) for option in self._options(schema))

    def _fits_option(self, value: Any, option: Schema, depth: int) -> bool:
        choices = choices_of(option)
        if choices is not None:
            if isinstance(value, str) and len(choices) <= _FEW:  # to spell them out would cost more
                return value in choices
            return any(same(value, choice) for choice in self._alike(value, choices))
        if not is_kind(value, option.get("type")):
            return False
        if isinstance(value, list):
            return all(self._fits(item, part, depth - 1) for item, part in zip(value, items_of(option, len(value)), strict=False))
        if isinstance(value, dict):
            parts = properties_of(option)
            closed = option.get("additionalProperties") is False and not option.get("patternProperties")
            if (closed and not parts.keys() >= value.keys()) or not value.keys() >= set(required_of(option)):
                return False
            return all(self._fits(item, part_of(option, key), depth - 1) for key, item in value.items())
        return True

    def _fit(self, value: Any, schema: Any, depth: int, wraps: bool) -> tuple[Any, bool]:
        if depth == 0 or self._fits(value, schema, depth):
            return value, True
        partly = []
        for option in self._options(schema):
            fitted, whole = self._fit_option(value, option, depth)
            if whole:
                return fitted, True
            partly += [fitted] if fitted is not value else []
        if wraps and self._steps >= 0 and _is_single(value):
            for option in self._options(schema):
                if option.get("type") == "array" and choices_of(option) is None:
                    item, whole = self._fit(value, next(iter(items_of(option, 1)), _ANY), depth - 1, False)
                    if whole:
                        return [item], True
        # Within a union nobody can tell which alternative was meant.
        return (partly[0] if len(partly) == 1 else value), False

    def _fit_option(self, value: Any, option: Schema, depth: int) -> tuple[Any, bool]:
        """Convert to one alternative, without making a list of a value."""
        self._steps -= 1
        if self._steps < 0:
            return value, False
        choices = choices_of(option)
        if choices is not None:
            fitting = self._alike(value, choices)
            return (fitting[0], True) if len(fitting) == 1 else (value, False)
        kind = option.get("type")
        if isinstance(value, str) and kind in ("array", "object"):
            value = parsed(value, kind)
        if isinstance(value, list) and kind == "array":
            parts = items_of(option, len(value))
            fitted = [self._fit(item, part, depth - 1, False) for item, part in zip(value, parts, strict=False)]
            changed = any(now is not item for (now, _), item in zip(fitted, value, strict=True))
            return [now for now, _ in fitted] if changed else value, all(whole for _, whole in fitted)
        if isinstance(value, dict) and kind in ("object", None):
            return self._fit_object(value, option, depth)
        return as_kind(value, kind)

    def _fit_object(self, value: dict[str, Any], option: Schema, depth: int) -> tuple[Any, bool]:
        parts = {key: self._fit(item, part_of(option, key), depth - 1, True) for key, item in value.items()}
        changed = any(now is not value[key] for key, (now, _) in parts.items())
        fitted = {key: now for key, (now, _) in parts.items()} if changed else value
        return fitted, all(whole for _, whole in parts.values()) and self._fits_option(fitted, option, depth)


def properties_of(schema: Schema) -> Mapping[str, Any]:
    """The properties that a resolved schema lists; empty if it lists none."""
    properties = schema.get("properties")
    return properties if isinstance(properties, dict | Mapping) else {}


def required_of(schema: Schema) -> tuple[str, ...]:
    """The names that a resolved schema requires."""
    required = schema.get("required")
    return tuple(key for key in required if isinstance(key, str)) if isinstance(required, list) else ()


def part_of(schema: Schema, key: str) -> Any:
    """The schema of a property of a resolved schema, also of one that it does not list."""
    parts = properties_of(schema)
    if key in parts:
        return parts[key]
    more = schema.get("additionalProperties")
    return more if isinstance(more, Mapping) else _ANY


def arguments_of(parameters: Schema) -> Schema:
    """The schema of all arguments that any alternative of a tool's parameters has.

    Only what every alternative requires is required.
    """
    first, *others = options(parameters, parameters) or (_ANY,)
    if not others:
        return first
    parts: dict[str, list[Any]] = {}
    for one in (first, *others):
        for key, part in properties_of(one).items():
            if not any(part is known for known in parts.setdefault(key, [])):
                parts[key].append(part)
    needed = [key for key in required_of(first) if all(key in required_of(one) for one in others)]
    properties = {key: some[0] if len(some) == 1 else {"anyOf": some} for key, some in parts.items()}
    opens = next((one for one in (first, *others) if one.get("additionalProperties") is not False), first)
    return {**opens, "properties": properties, "required": needed}


def knows(schema: Schema, key: str) -> bool:
    """Whether arguments of a resolved schema may have this name.

    A schema that lists names and says nothing about others means only those.
    """
    parts, more, patterns = properties_of(schema), schema.get("additionalProperties"), schema.get("patternProperties")
    if key in parts or more is True or isinstance(more, Mapping) or (not parts and more is not False):
        return True
    return isinstance(patterns, Mapping) and any(_matches(str(pattern), key) for pattern in patterns)


def items_of(schema: Schema, count: int) -> list[Any]:
    """The schemas of the first `count` items of an array."""
    rest = schema.get("items", _ANY)
    first = schema.get("prefixItems")
    if isinstance(rest, list):  # how older drafts write prefixItems
        first, rest = rest, schema.get("additionalItems", _ANY)
    start = first[:count] if isinstance(first, list) else []
    return [*start, *([rest] * (count - len(start)))]


def _matches(pattern: str, key: str) -> bool:
    """Whether a name matches a pattern. Patterns that may take long are believed."""
    if len(key) > _NAME or _COSTLY.search(pattern):
        return True
    try:
        return re.search(pattern, key) is not None
    except re.error:
        return True


def _size(value: Any) -> int:
    """How many values a value holds."""
    count, left = 0, [value]
    while left:
        one = left.pop()
        count += 1
        left += one if isinstance(one, list) else one.values() if isinstance(one, dict) else ()
    return count


def _is_single(value: Any) -> bool:
    """Whether a list of a value means the same: a text may be a list in words, a broken or an empty one."""
    if isinstance(value, str):
        return bool(value.strip()) and not any(mark in value for mark in ",;\n") and not value.lstrip().startswith("[")
    return value is not None and not isinstance(value, list)


@dataclass(slots=True)
class _Resolver:
    """Follows references. `left` limits how many schemas it looks at: unions of circles grow without end."""

    root: Schema
    left: int = _LOOKS

    def merged(self, schema: Any, followed: frozenset[int] = frozenset()) -> Schema:
        """`followed`: the schemas that enclose this one by reference. Once more they say nothing new."""
        self.left -= 1
        if not isinstance(schema, Mapping) or self.left < 0:
            return _ANY
        base = dict(schema)
        parts: list[Any] = []
        reference = base.pop("$ref", None)
        if isinstance(reference, str) and id(target := _at(reference, self.root)) not in followed:
            parts.append(target)
            followed |= {id(target)}
        for key in ("allOf", "anyOf", "oneOf"):
            members = base.get(key)
            if isinstance(members, list) and (key == "allOf" or len(members) == 1):
                del base[key]
                parts += members[:_OPTIONS]
        for part in parts:
            base = _joined(base, self.merged(part, followed))
        return base

    def options(self, schema: Any) -> Iterator[Schema]:
        whole = self.merged(schema)
        union = next((key for key in ("anyOf", "oneOf") if isinstance(whole.get(key), list) and whole[key]), None)
        if union is None or self.left < 0:
            yield from _by_type(whole)
            return
        base = {key: value for key, value in whole.items() if key != union}
        for member in whole[union][:_OPTIONS]:
            yield from self.options(_joined(base, self.merged(member)))


def _by_type(schema: Schema) -> Iterator[Schema]:
    kinds = _types(schema)
    for kind in kinds:
        yield schema if schema["type"] == kind else {**schema, "type": kind}
    if not kinds:  # also a type that JSON Schema doesn't know
        yield {key: value for key, value in schema.items() if key != "type"}
    elif schema.get("nullable") is True and "null" not in kinds:
        yield {"type": "null"}


def _joined(one: Schema, other: Schema) -> dict[str, Any]:
    """A schema of what both allow, as far as it matters here."""
    joined = {**other, **one}
    ones, others = properties_of(one), properties_of(other)
    if ones and others:
        both = {key: {"allOf": [ones[key], others[key]]} for key in ones.keys() & others.keys()}
        joined["properties"] = {**others, **ones, **both}
    if "required" in one and "required" in other:
        joined["required"] = [*required_of(one), *required_of(other)]
    if isinstance(one.get("enum"), list) and isinstance(other.get("enum"), list):
        joined["enum"] = [choice for choice in one["enum"] if any(same(choice, kept) for kept in other["enum"])]
    kinds = [kind for kind in _types(one) if kind in _types(other)]
    if "type" in one and "type" in other and kinds:
        joined["type"] = kinds
    return joined


def _types(schema: Schema) -> list[str]:
    written = schema.get("type")
    names = written if isinstance(written, list) else [written]
    return [name for name in names if isinstance(name, str) and name in _KINDS]


def _at(reference: str, root: Schema) -> Any:
    """What a reference within `root` points to; a schema that allows everything if nothing."""
    path = [unquote(step).replace("~1", "/").replace("~0", "~") for step in reference.removeprefix("#").split("/")]
    for steps in (path[1:] if path[0] == "" else path, ["$defs", path[-1]], ["definitions", path[-1]]):
        found: Any = root
        for step in steps[:_PATH]:
            if isinstance(found, list) and step.isdecimal() and len(step) < 4 and int(step) < len(found):
                found = found[int(step)]
            else:
                found = found.get(step) if isinstance(found, Mapping) else None
        if isinstance(found, Mapping):
            return found
    return _ANY
