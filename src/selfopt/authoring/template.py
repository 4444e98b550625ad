"""Writes plain prompts from the schemas alone: for those who have no model that writes. Always the same ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import combinations, islice
from typing import Any

from selfopt.reading.schema import arguments_of, choices_of, items_of, options, properties_of, required_of
from selfopt.records import ToolCall, ToolDefinition

from .drafts import Draft

BY_TEMPLATE = "template"
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_ASKS = (
    "{what} with {facts}, please.",
    "I need this now: {facts}. So {what}.",
    "Could you {what}? It is about {facts}.",
    "Hello, my request is {facts}; {what} for me.",
    "{facts} - {what} as soon as you can.",
    "Go ahead and {what}: {facts}.",
)
_NEAR = (
    "What does it mean to {what}, in one sentence?",
    "Thank you, that was all I wanted when I asked to {what}.",
    "My neighbour says nobody should {what} on a Sunday. Funny, isn't it?",
    "Don't {what} yet, I am still thinking about it.",
    "How did people {what} a hundred years ago?",
    "I have just read a long article about how to {what}.",
    "Is it hard to learn to {what} without any help?",
    "Yesterday somebody else had to {what} for me, and it went well.",
    "Forget it, there is no need to {what} any more.",
    "Whose idea was it, anyway, to {what} at all?",
    "My sister writes a poem about how machines {what}.",
    "You can {what}, can't you? Good to know for later.",
    "When you {what}, what do you do first, as a rule?",
    "In the film last night the hero could {what} blindfolded.",
    "If I never {what} again, I will be happy.",
    "People who {what} for a living must be patient.",
)
_MISSING = (
    "Please {what}.",
    "Could you {what} for me? You know how I like it.",
    "I would like you to {what} today.",
    "Time to {what} again, go on.",
    "Hi there, {what}, and be quick about it.",
    "Once more: {what}. You will find the details yourself.",
    "It would help me a lot if you could {what} straight away.",
    "{what}, as we said last week.",
)
_TEXTS: Mapping[str, tuple[str, ...]] = {
    "city": ("Oslo", "Lisbon", "Nairobi", "Kyoto", "Quito", "Dublin", "Hanoi", "Prague", "Denver", "Tunis", "Riga", "Perth"),
    "name": ("Amara Okafor", "Jonas Lind", "Mei Tanaka", "Luis Ortega", "Priya Nair", "Tomas Novak", "Elif Demir", "Hana Kim"),
    "email": ("amara@example.org", "jonas@example.org", "mei@example.org", "luis@example.org", "priya@example.org"),
    "url": ("https://example.org/news", "https://example.org/shop", "https://example.org/help", "https://example.org/team"),
    "date": ("2026-03-14", "2026-05-02", "2026-07-21", "2026-09-30", "2026-11-08", "2027-01-19", "2027-04-25", "2027-08-06"),
    "time": ("07:15", "09:40", "11:05", "13:30", "15:55", "18:20", "20:45", "22:10"),
    "": (
        *("blue lantern", "garden gate", "winter plan", "silver spoon", "green harbour", "paper boat", "old bridge"),
        *("red kettle", "stone path", "summer list", "wooden chair", "morning train", "glass bottle", "quiet river"),
        *("yellow door", "north tower", "copper coin", "spring market", "velvet curtain", "mountain hut"),
    ),
}
_FAMILIES = 40
_MOST_LACKING = 24
_OPTIONAL = 3  # of every so many requests one names an optional argument too
_DEPTH, _ALTERNATIVES = 4, 8  # lists in lists, and alternatives of each, that are looked at: a schema may name itself


def template_drafts(tool: ToolDefinition) -> Iterator[Draft]:
    """Requests for one tool, near misses, and requests that lack a detail. Fewer where a schema allows few values.

    Nothing for a tool whose required arguments have no plain values, such as objects.
    """
    what, needed = _what(tool), _plain_parts(tool)
    if needed is None:
        return
    for place in range(_FAMILIES):
        arguments = _arguments(tool, needed, place)
        for turn in range(2):
            ask = _ASKS[(place * 2 + turn) % len(_ASKS)]
            yield Draft("direct", _sentence(ask, what, arguments), (ToolCall(name=tool.name, arguments=arguments),), tool.name)
    for form in _NEAR:
        yield Draft("near miss", _sentence(form, what, {}), (), tool.name)
    # A generator: of many required arguments there are more choices than anybody can hold.
    lacking = (dict(some) for size in range(len(needed)) for some in combinations(_arguments(tool, needed, 1).items(), size))
    told: list[tuple[str, dict[str, Any]]] = [(form, {}) for form in _MISSING] if needed else []
    told += [
        (_ASKS[place % len(_ASKS)], arguments) for place, arguments in enumerate(islice(lacking, _MOST_LACKING)) if arguments
    ]
    for form, arguments in told:
        text = _sentence(form, what, {name: value for name, value in arguments.items() if name in needed})
        yield Draft("needed detail missing", text, (), tool.name)


def template_pairs(tools: tuple[ToolDefinition, ...]) -> Iterator[Draft]:
    """Requests for two things at once."""
    able = [(tool, needed) for tool in tools if (needed := _plain_parts(tool)) is not None]
    for place, ((one, ones), (two, twos)) in enumerate(islice(combinations(able, 2), _FAMILIES)):
        calls = (
            ToolCall(name=one.name, arguments=_arguments(one, ones, place * 3 + 1)),
            ToolCall(name=two.name, arguments=_arguments(two, twos, place * 3 + 2)),
        )
        halves = [_sentence(_ASKS[5], _what(t), c.arguments).rstrip(".") for t, c in zip((one, two), calls, strict=True)]
        text = f"{halves[0]}. And {halves[1][0].lower()}{halves[1][1:]}."
        yield Draft("two at once", text, calls, one.name)


def _what(tool: ToolDefinition) -> str:
    """What a tool does in the words of its name, which are short and say it in most cases."""
    return _spoken(tool.name) or "do it"


def _spoken(name: str) -> str:
    return " ".join(_WORDS.findall(name[:80])).lower()


def _plain_parts(tool: ToolDefinition) -> dict[str, Any] | None:
    """The required arguments with the plain alternative of each. None where one has none."""
    schema, root = arguments_of(tool.parameters), tool.parameters
    found: dict[str, Any] = {}
    for name in required_of(schema):
        plain = _plain(properties_of(schema).get(name), root)
        if plain is None:
            return None
        found[name] = plain
    return found


def _plain(part: Any, root: Mapping[str, Any], depth: int = 0) -> Mapping[str, Any] | None:
    """The plain alternative of a part. depth: in how many lists it is."""
    for option in islice(options(part, root), _ALTERNATIVES) if depth <= _DEPTH else ():
        kind = option.get("type", "string")
        if choices_of(option) is not None or kind in ("string", "integer", "number"):
            return option
        if kind == "array" and _plain(next(iter(items_of(option, 1)), None), root, depth + 1) is not None:
            return option
    return None


def _arguments(tool: ToolDefinition, needed: Mapping[str, Any], place: int) -> dict[str, Any]:
    arguments = {name: _value(name, part, place + 7 * turn, tool.parameters) for turn, (name, part) in enumerate(needed.items())}
    if place % _OPTIONAL == _OPTIONAL - 1 or (place and not needed):
        parts = properties_of(arguments_of(tool.parameters))
        spare = [
            (name, plain) for name in parts if name not in needed and (plain := _plain(parts[name], tool.parameters)) is not None
        ]
        if spare:
            name, part = spare[place % len(spare)]
            arguments[name] = _value(name, part, place + 3, tool.parameters)
    return arguments


def _value(name: str, part: Mapping[str, Any], place: int, root: Mapping[str, Any], depth: int = 0) -> Any:
    choices = choices_of(part)
    if choices:
        return choices[place % len(choices)]
    kind = part.get("type", "string")
    if kind == "array":
        item = _plain(next(iter(items_of(part, 1)), None), root, depth + 1) or {}
        return [_value(name, item, place, root, depth + 1)]
    if kind in ("integer", "number"):
        low, high = _bound(part, "minimum", 1), _bound(part, "maximum", None)
        return low + place if high is None else low + place % max(1, high - low + 1)
    pool = _TEXTS[_sort_of(name, part)]
    return pool[place % len(pool)]


def _bound(part: Mapping[str, Any], name: str, otherwise: Any) -> Any:
    bound = part.get(name)
    return int(bound) if isinstance(bound, int | float) and not isinstance(bound, bool) and abs(bound) < 1e12 else otherwise


def _sort_of(name: str, part: Mapping[str, Any]) -> str:
    told = f"{part.get('format', '')} {_spoken(name)}".split()
    by_word = {"uri": "url", "link": "url", "day": "date", "mail": "email", "town": "city", "place": "city", "location": "city"}
    by_word |= {"person": "name", "customer": "name", "user": "name", "author": "name", "recipient": "name", "contact": "name"}
    return next((sort for word in told if (sort := by_word.get(word, word)) in _TEXTS), "")


def _sentence(form: str, what: str, arguments: Mapping[str, Any]) -> str:
    facts = ", ".join(f"{_spoken(name)} {_said(value)}" for name, value in arguments.items())
    text = form.format(what=what, facts=facts or "nothing more to say")
    return text[0].upper() + text[1:]


def _said(value: Any) -> str:
    if isinstance(value, list):
        return " and ".join(map(_said, value))
    text = str(value)
    return text.replace("_", " ") if text.islower() else text
