"""Shapes: which JSON values an argument may have, in the few forms that every limit can express.

`schema_shapes` reads them from a tool's schema. `grammar` and `call_schema` write them, so both
limits allow the same values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Form = Literal["", "date", "time", "date-time"]


@dataclass(frozen=True, slots=True)
class ValueShape:
    """A set of JSON values. note: the schema's description, which limits nothing."""

    note: str = field(default="", compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class AnyValue(ValueShape):
    """Every JSON value."""


@dataclass(frozen=True, slots=True)
class NoValue(ValueShape):
    """No value at all."""


@dataclass(frozen=True, slots=True)
class Plain(ValueShape):
    """Every value of one kind."""

    kind: Literal["number", "boolean", "null"]


@dataclass(frozen=True, slots=True)
class WholeNumber(ValueShape):
    """WholeNumber numbers from `low` to `high`, both included; None: without bound."""

    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Text(ValueShape):
    """Strings of `least` to `most` characters; None: of any length.

    Attributes:
        form: a form of RFC 3339, which then alone decides.
        hint: the form that the description names. It limits nothing by itself.
    """

    least: int = 0
    most: int | None = None
    form: Form = ""
    hint: Form = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Choice(ValueShape):
    """One of these values, each as JSON text."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Either(ValueShape):
    """What any of these allows."""

    parts: tuple[ValueShape, ...]


@dataclass(frozen=True, slots=True)
class Listing(ValueShape):
    """Lists of `least` to `most` items.

    Attributes:
        rest: what each item is, if the items have no places.
        first: the items by their place. A list then has no others.
    """

    rest: ValueShape
    first: tuple[ValueShape, ...] = ()
    least: int = 0
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Members(ValueShape):
    """Objects.

    Attributes:
        listed: the members by key.
        required: the keys that an object must have. All are listed.
        extra: members that are not listed. NoValue: there are none.
        said: whether the schema says so of `extra`. Otherwise an object that lists members has no
            others, unless a schema that applies to the same object lists them.
    """

    listed: Mapping[str, ValueShape]
    required: frozenset[str]
    extra: ValueShape
    said: bool = False

    def __hash__(self) -> int:
        return hash((tuple(self.listed), self.required))

    def of(self, key: str) -> ValueShape:
        """What the value of this member may be, as far as this shape says anything about it."""
        found = self.listed.get(key)
        if found is not None:
            return found
        return self.extra if self.said else ANY


@dataclass(frozen=True, slots=True)
class Named(ValueShape):
    """The definition of this name. It stands for shapes that hold themselves."""

    name: str


ANY, NOTHING = AnyValue(), NoValue()
NULL, BOOLEAN, NUMBER = Plain("null"), Plain("boolean"), Plain("number")
OBJECT = Members({}, frozenset(), ANY)

Follow = Callable[[Named], ValueShape | None]
"""Gives the definition of a name; None while it is being read."""


@dataclass(slots=True)
class Meeting:
    """What it takes to say what several shapes allow.

    Attributes:
        follow: gives the definition of a name.
        room: how many pairs may still be looked at, since unions of unions multiply.
    """

    follow: Follow
    room: int = 1_500


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def written(value: Any) -> str | None:
    """A value as JSON text; None if JSON has no such value."""
    try:
        text = _encode(value)
        if not text.isascii():
            text.encode("utf-8")
    except (TypeError, ValueError, RecursionError):
        return None
    return text


def either(parts: Iterable[ValueShape]) -> ValueShape:
    """What any of these shapes allows, without parts that others contain."""
    flat = dict.fromkeys(one for part in parts for one in (part.parts if isinstance(part, Either) else (part,)))
    if any(isinstance(one, AnyValue) for one in flat):
        return ANY
    broad = [one for one in flat if isinstance(one, Plain) or one in (WholeNumber(), Text())]
    texts = dict.fromkeys(text for one in flat if isinstance(one, Choice) for text in one.values)
    choices = tuple(text for text in texts if not any(allows(wide, json.loads(text)) for wide in broad))
    kept: dict[ValueShape, None] = {}
    for one in flat:
        if isinstance(one, Choice):
            kept |= {Choice(choices): None} if choices else {}
        elif not isinstance(one, NoValue) and not _contained(one, broad):
            kept[one] = None
    if not kept:
        return NOTHING
    return next(iter(kept)) if len(kept) == 1 else Either(tuple(kept))


def _contained(one: ValueShape, broad: Sequence[ValueShape]) -> bool:
    """Whether one of the broad shapes is another one, and contains this one."""
    if isinstance(one, Text):
        return one != Text() and Text() in broad
    return isinstance(one, WholeNumber) and (NUMBER in broad or (one != WholeNumber() and WholeNumber() in broad))


def meet(one: ValueShape, other: ValueShape, at: Meeting) -> ValueShape:
    """What both shapes allow. Where that can't be said, what one of them allows."""
    at.room -= 1
    if at.room < 0:
        return one
    if isinstance(one, Named | AnyValue) or isinstance(other, Named | AnyValue):
        return _meet_open(one, other, at)
    if one == other:
        return one
    if isinstance(one, NoValue) or isinstance(other, NoValue):
        return NOTHING
    if isinstance(one, Either):
        return either(meet(part, other, at) for part in one.parts)
    if isinstance(other, Either):
        return either(meet(one, part, at) for part in other.parts)
    if isinstance(one, Choice) or isinstance(other, Choice):
        choice, wide = (one, other) if isinstance(one, Choice) else (other, one)
        assert isinstance(choice, Choice)
        if wide == Text() and all(text[0] == '"' for text in choice.values):
            return choice
        left = tuple(text for text in choice.values if allows(wide, json.loads(text), at.follow))
        return Choice(left) if left else NOTHING
    return _meet_alike(one, other, at)


def _meet_open(one: ValueShape, other: ValueShape, at: Meeting) -> ValueShape:
    if isinstance(one, AnyValue) or one == other:
        return other
    if isinstance(other, AnyValue):
        return one
    left = at.follow(one) if isinstance(one, Named) else one
    right = at.follow(other) if isinstance(other, Named) else other
    if left is None or right is None:
        return one if left is not None else other
    if isinstance(left, Named) or isinstance(right, Named):
        return one
    return meet(left, right, at)


def _meet_alike(one: ValueShape, other: ValueShape, at: Meeting) -> ValueShape:
    match one, other:
        case WholeNumber(), Plain(kind="number"):
            return one
        case Plain(kind="number"), WholeNumber():
            return other
        case WholeNumber(), WholeNumber():
            low, high = _highest(one.low, other.low), _lowest(one.high, other.high)
            return NOTHING if low is not None and high is not None and low > high else WholeNumber(low, high)
        case Text(), Text():
            least, most = max(one.least, other.least), _lowest(one.most, other.most)
            if (one.form and other.form and one.form != other.form) or (most is not None and least > most):
                return NOTHING
            return Text(least, most, one.form or other.form, one.hint or other.hint)
        case Listing(), Listing():
            return _meet_lists(one, other, at)
        case Members(), Members():
            return _meet_objects(one, other, at)
    return NOTHING


def _meet_lists(one: Listing, other: Listing, at: Meeting) -> ValueShape:
    places = max(len(one.first), len(other.first))
    pairs = ((_item(one, place), _item(other, place)) for place in range(places))
    first = tuple(meet(left, right, at) for left, right in pairs)
    least, most = max(one.least, other.least), _lowest(one.most, other.most)
    if most is not None and least > most:
        return NOTHING
    return listing(meet(one.rest, other.rest, at), first, least, most)


def _item(shape: Listing, place: int) -> ValueShape:
    return shape.first[place] if place < len(shape.first) else shape.rest


def listing(rest: ValueShape, first: Sequence[ValueShape], least: int, most: int | None) -> ValueShape:
    """Lists of these items. A list ends before an item that can't be.

    Only a list of a fixed length keeps its places: servers understand no other.
    """
    items = list(first)
    for place, shape in enumerate(items):
        if isinstance(shape, NoValue):
            items, rest = items[:place], NOTHING
            break
    if isinstance(rest, NoValue):
        most = _lowest(most, len(items))
    if most is not None and least > most:
        return NOTHING
    if items and least == most and least <= len(items):
        return Listing(NOTHING, tuple(items[:least]), least, most)
    return Listing(either([*items, rest]), (), least, most)


def _meet_objects(one: Members, other: Members, at: Meeting) -> ValueShape:
    if one.said == other.said:
        closed = isinstance(one.extra, NoValue) or isinstance(other.extra, NoValue)
        extra = NOTHING if closed else meet(one.extra, other.extra, at)
    else:
        extra = one.extra if one.said else other.extra
    both = {key: meet(one.of(key), other.of(key), at) for key in {**one.listed, **other.listed}}
    required = one.required | other.required
    if any(isinstance(both[key], NoValue) for key in required):
        return NOTHING
    listed = {key: shape for key, shape in both.items() if not isinstance(shape, NoValue)}
    return Members(listed, required, extra, one.said or other.said)


def _lowest(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)


def _highest(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else max(one, other)


def allows(shape: ValueShape, value: Any, follow: Follow = lambda named: None) -> bool:
    """Say whether a shape has room for a value. A name that can't be followed has room for any.

    The form of a text is not looked at.
    """
    match shape:
        case AnyValue():
            return True
        case Named():
            found = follow(shape)
            return found is None or isinstance(found, Named) or allows(found, value, follow)
        case Either():
            return any(allows(part, value, follow) for part in shape.parts)
        case Choice():
            return any(_same(json.loads(text), value) for text in shape.values)
        case Text():
            return isinstance(value, str) and shape.least <= len(value) and (shape.most is None or len(value) <= shape.most)
        case Plain() | WholeNumber():
            return _allows_plain(shape, value)
        case Listing():
            if not isinstance(value, list) or len(value) < shape.least or (shape.most is not None and len(value) > shape.most):
                return False
            return all(allows(_item(shape, place), one, follow) for place, one in enumerate(value))
        case Members():
            if not isinstance(value, dict) or not shape.required <= set(value):
                return False
            return all(allows(shape.listed.get(key, shape.extra), one, follow) for key, one in value.items())
    return False


def _allows_plain(shape: Plain | WholeNumber, value: Any) -> bool:
    if isinstance(shape, Plain) and shape.kind != "number":
        return value is None if shape.kind == "null" else isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if isinstance(shape, Plain):
        return True
    whole = isinstance(value, int) or value.is_integer()
    return whole and (shape.low is None or value >= shape.low) and (shape.high is None or value <= shape.high)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)
