"""Replies to a leaderboard prompt, right and wrong in every way that its checker tells apart, made from the ground truth."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from selfopt.records import ExpectedCall, Prompt, ToolDefinition

__all__ = ["Calls", "replies"]

Calls = list[tuple[str, dict[str, Any]]]
Labelled = Iterator[tuple[str, Any]]
_ITEMS = 3  # how many items of a long list are altered one by one


def replies(prompt: Prompt, tools: Sequence[ToolDefinition], seed: str) -> list[tuple[str, Calls]]:
    """Labelled replies, the same for the same seed."""
    rng = random.Random(f"{seed} {prompt.id}")
    if prompt.expected == "any" or not prompt.needs_call:
        return list(_for_no_truth(tools))
    (expected,) = prompt.expected
    return [*_right(expected, rng), *_wrong(expected, tools, rng)]


def _for_no_truth(tools: Sequence[ToolDefinition]) -> Iterator[tuple[str, Calls]]:
    yield "no call", []
    yield "unknown function", [("unheard_of", {})]
    for tool in tools:
        yield "offered function", [(tool.name, {})]
        yield "two calls", [(tool.name, {}), (tool.name, {"a": 1})]


# ---- right ones


def _forms(accepted: Any) -> list[Any]:
    """Every way to give one accepted value: objects list the values of each key, "" meaning that it may be left out."""
    if isinstance(accepted, dict) and all(isinstance(values, list) for values in accepted.values()):
        first = {key: _forms(_given(values)[0])[0] for key, values in accepted.items() if _given(values)}
        forms = [first]
        for key, values in accepted.items():
            forms += [{**first, key: form} for value in _given(values) for form in _forms(value)]
            if "" in values:
                forms.append({k: v for k, v in first.items() if k != key})
        return forms
    if isinstance(accepted, list) and any(isinstance(item, dict) for item in accepted):
        parts = [_forms(item) for item in accepted]
        items = [part[0] for part in parts]
        return [items, *([*items[:i], form, *items[i + 1 :]] for i, part in enumerate(parts) for form in part[1:])]
    return [accepted]


def _given(values: Any) -> list[Any]:
    return [value for value in values if value != ""] if isinstance(values, list) else []


def _base(call: ExpectedCall, *, full: bool = True) -> dict[str, Any]:
    """The first accepted value of each argument; without the optional ones unless `full`."""
    return {
        name: _forms(_given(values)[0])[0]
        for name, values in call.arguments.items()
        if _given(values) and (full or "" not in values)
    }


def _right(expected: Sequence[ExpectedCall], rng: random.Random) -> Iterator[tuple[str, Calls]]:
    full: Calls = [(call.name, _base(call)) for call in expected]
    least: Calls = [(call.name, _base(call, full=False)) for call in expected]
    yield "as accepted", full
    yield "optional left out", least
    for index, call in enumerate(expected):
        for name, values in call.arguments.items():
            for value in _given(values):
                for form in _forms(value):
                    for calls in (full, least):
                        yield "accepted alternative", _with(calls, index, {**calls[index][1], name: form})
            if "" in values:
                yield "one optional left out", _with(full, index, {k: v for k, v in full[index][1].items() if k != name})
                yield "optional given empty", _with(full, index, {**full[index][1], name: ""})
    for _ in range(4):
        mixed = [
            (call.name, {n: rng.choice(_forms(rng.choice(_given(v)))) for n, v in call.arguments.items() if _given(v)})
            for call in expected
        ]
        rng.shuffle(mixed)
        yield "mixed and shuffled", mixed
    if len(expected) > 1:
        yield "reversed", full[::-1]
        for _ in range(4):
            yield "shuffled", rng.sample(full, len(full))


def _with(calls: Calls, index: int, arguments: dict[str, Any]) -> Calls:
    return [*calls[:index], (calls[index][0], arguments), *calls[index + 1 :]]


# ---- wrong ones (some of them right all the same: the two checkers are compared, not these labels)


def _wrong(expected: Sequence[ExpectedCall], tools: Sequence[ToolDefinition], rng: random.Random) -> Iterator[tuple[str, Calls]]:
    full: Calls = [(call.name, _base(call)) for call in expected]
    yield from _wrong_calls(full, tools)
    altered: list[tuple[int, str, str, Any]] = []
    for index, (_, arguments) in enumerate(full):
        for label, changed in _wrong_arguments(arguments, tools, full[index][0]):
            yield label, _with(full, index, changed)
        for name, value in arguments.items():
            anything = [("anything", _anything(rng)) for _ in range(3)]
            for label, other in [*_altered(value), *anything]:
                altered.append((index, name, label, other))
                yield label, _with(full, index, {**arguments, name: other})
    for _ in range(8 if altered else 0):
        calls = full
        for index, name, _, other in rng.sample(altered, min(len(altered), rng.randint(2, 3))):
            calls = _with(calls, index, {**calls[index][1], name: other})
        yield "several things", rng.sample(calls, len(calls))


def _anything(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(9 if depth < 3 else 6)
    if kind > 6:
        return {rng.choice("abc"): _anything(rng, depth + 1) for _ in range(rng.randint(0, 3))}
    if kind == 6:
        return [_anything(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return [None, rng.random() < 0.5, rng.randint(-3, 3), rng.uniform(-2, 2), rng.choice(["", " ", "a", "A.", "1"]), ()][kind]


def _wrong_calls(full: Calls, tools: Sequence[ToolDefinition]) -> Iterator[tuple[str, Calls]]:
    yield "no call", []
    yield "one call too few", full[:-1]
    yield "one call twice", [*full, full[0]]
    yield "all calls twice", full + full
    yield "one call too many", [*full, (tools[-1].name, {})]
    yield "one call instead of all", [full[0]] * len(full)
    for index, (name, arguments) in enumerate(full):
        others = [tool.name for tool in tools if tool.name != name][:3]
        spelt = [
            name.upper(),
            name.replace(".", "_"),
            name.replace("_", "."),
            f"functions.{name}",
            name.split(".")[-1],
            f" {name}",
            "",
        ]
        for other in [*others, *spelt, "unheard_of"]:
            if other != name:
                yield "wrong function", [*full[:index], (other, arguments), *full[index + 1 :]]
    if len(full) > 1:
        swapped = [(name, full[(i + 1) % len(full)][1]) for i, (name, _) in enumerate(full)]
        yield "arguments swapped between calls", swapped


def _wrong_arguments(
    arguments: dict[str, Any], tools: Sequence[ToolDefinition], function: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "no arguments", {}
    yield "arguments nested", {"arguments": arguments}
    yield "unknown argument", {**arguments, "unheard_of": 1}
    schema: dict[str, Any] = next((tool.parameters["properties"] for tool in tools if tool.name == function), {})
    for name in list(schema)[:12]:
        if name not in arguments:
            yield "argument not in the answer", {**arguments, name: schema[name].get("default", "x")}
    for name, value in arguments.items():
        rest = {k: v for k, v in arguments.items() if k != name}
        yield "missing argument", rest
        yield "argument renamed", {**rest, name.upper() + "_": value}
    names, values = list(arguments), list(arguments.values())
    yield "values swapped between arguments", dict(zip(names, values[1:] + values[:1], strict=True))
    yield "arguments in another order", dict(zip(names[::-1], values[::-1], strict=True))


def _altered(value: Any, depth: int = 0) -> Labelled:
    """Other values and other spellings of one value."""
    yield "null", None
    yield "empty text", ""
    yield "in a list", [value]
    yield "in an object", {"value": value}
    if isinstance(value, bool):
        yield from _altered_bool(value)
    elif isinstance(value, (int, float)):
        yield from _altered_number(value)
    elif isinstance(value, str):
        yield from _altered_text(value)
    elif isinstance(value, list):
        yield from _altered_list(value, depth)
    elif isinstance(value, dict):
        yield from _altered_object(value, depth)


def _altered_bool(value: bool) -> Labelled:
    yield "other truth value", not value
    yield "truth value as number", int(value)
    yield "truth value as number", float(value)
    for text in (str(value), str(value).lower(), "yes", "1"):
        yield "truth value as text", text


def _altered_number(value: int | float) -> Labelled:
    for other in (value + 1, value - 1, -value, 0, value + 0.5, value * 10, value * (1 + 1e-15)):
        yield "other number", other
    yield "integer or float", float(value)
    if float(value).is_integer():
        yield "integer or float", int(value)
        yield "integer or float", bool(value)
    for text in (str(value), f"{value}.0", f" {value}", f"{value:,}", f"{value:e}"):
        yield "number as text", text
    yield "huge number", 10**400
    yield "number as tuple", (value,)


def _altered_text(value: str) -> Labelled:
    for other in (value.upper(), value.lower(), value.title(), value.swapcase()):
        yield "case", other
    stripped = "".join(c for c in value if c.isalnum())
    spaced = " ".join(value)
    for other in (
        value + ".",
        value.replace(" ", "_"),
        value.replace(" ", "-"),
        value.replace(",", ""),
        stripped,
        spaced,
        f"*{value}*",
    ):
        yield "punctuation and spaces", other
    for other in (f" {value} ", value.replace(" ", "  "), value + "\n", value + "\t", value.replace(" ", "\xa0")):
        yield "white space", other
    for other in (
        value + "!",
        value + "?",
        f"({value})",
        value.replace("-", "–"),
        f'"{value}"',
        f"'{value}'",
        value.replace("'", '"'),
    ):
        yield "other punctuation and quotes", other
    for other in (value + "x", value[:-1], value[::-1], "other", value + value, "é" + value, value + ", " + value):
        yield "other text", other
    others: tuple[Any, ...] = (5, 1.5, True, [], {}, list(value), (value,))
    for item in others:
        yield "text as another type", item
    if value.lstrip("-").isdigit() and len(value) < 16:
        yield "text as number", int(value)
        yield "text as number", float(value)


def _altered_list(value: list[Any], depth: int) -> Labelled:
    yield "order of a list", value[::-1]
    yield "shorter list", value[:-1]
    yield "shorter list", value[1:]
    yield "longer list", value + value[:1]
    yield "longer list", value + value
    yield "longer list", [*value, None]
    yield "empty list", []
    yield "list as tuple", tuple(value)
    yield "list as tuple", (*value[:-1],)
    yield "list as text", str(value)
    yield "list as text", ", ".join(map(str, value))
    yield "list as object", {str(i): item for i, item in enumerate(value)}
    yield "items as text", [str(item) for item in value]
    yield "items as lists", [[item] for item in value]
    if all(type(item) in (int, float) for item in value):
        yield "items as floats", [float(item) for item in value]
        yield "items as integers", [int(item) for item in value]
        yield "one item as float", [float(item) if i == 0 else item for i, item in enumerate(value)]
    for index in range(min(len(value), _ITEMS) if depth < 2 else 0):
        for label, other in _altered(value[index], depth + 1):
            yield f"item: {label}", [*value[:index], other, *value[index + 1 :]]


def _altered_object(value: dict[str, Any], depth: int) -> Labelled:
    yield "empty object", {}
    yield "object as text", str(value)
    yield "object as list", list(value.items())
    yield "object as list", list(value.values())
    yield "unknown key", {**value, "unheard_of": 1}
    yield "keys in another order", dict(reversed(value.items()))
    for key, item in value.items():
        rest = {k: v for k, v in value.items() if k != key}
        yield "missing key", rest
        yield "key renamed", {**rest, key.upper(): item}
        if depth < 2:
            for label, other in _altered(item, depth + 1):
                yield f"key: {label}", {**value, key: other}
