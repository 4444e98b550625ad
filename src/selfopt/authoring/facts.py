"""What a prompt is to say: the arguments of its call, drawn from the schema. Always the same ones."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from selfopt.reading.schema import Fitter, arguments_of, choices_of, items_of, options, properties_of, required_of
from selfopt.records import ToolDefinition

Texts = Mapping[str, Sequence[str]]
"""Values for arguments that hold free text, by the name of the argument."""

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_POOLS: Mapping[str, tuple[str, ...]] = {
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
_OPTIONAL = 3  # of every so many requests one names an optional argument too
_DEPTH, _ALTERNATIVES = 4, 8  # lists in each other, and alternatives of each, that are looked at
_OBJECTS, _MAX_PARTS = 2, 8  # objects in each other, and required arguments of each
_LOOKS = 400  # parts that are looked at to find whether one is plain: a schema may name itself
_MAX_EXAMPLE = 80


def plain_parts(tool: ToolDefinition) -> dict[str, Mapping[str, Any]] | None:
    """The required arguments with the plain alternative of each. None where one has none, such as an object of any form."""
    return _Plain(tool.parameters).needed(arguments_of(tool.parameters), 0)


def facts(tool: ToolDefinition, needed: Mapping[str, Any], place: int, texts: Texts | None = None) -> dict[str, Any]:
    """The arguments of the request with this number: all that is required, and now and then one that is not.

    Args:
        needed: what `plain_parts` found.
        texts: values of free text; for other arguments plain words serve.
    """
    draw, drawn = _Draw(tool.parameters, texts or {}), dict[str, Any]()
    for turn, (name, part) in enumerate(needed.items()):
        value = draw.value(name, part, place + 7 * turn)
        # From one unit to the same one is nothing that anybody asks for.
        drawn[name] = draw.value(name, part, place + 7 * turn + 1) if value in drawn.values() else value
    if place % _OPTIONAL == _OPTIONAL - 1 or (place and not needed):
        parts = properties_of(arguments_of(tool.parameters))
        plain = _Plain(tool.parameters)
        spare = [(name, part) for name in parts if name not in needed and (part := plain.of(parts[name])) is not None]
        if spare:
            name, part = spare[place % len(spare)]
            drawn[name] = draw.value(name, part, place + 3)
    return drawn


def wordy_parts(tool: ToolDefinition) -> dict[str, str]:
    """The arguments of free text for which nothing here knows real values, with the description of each.

    The required ones come first.
    """
    schema = arguments_of(tool.parameters)
    parts, needed = properties_of(schema), required_of(schema)
    found: dict[str, str] = {}
    for name in sorted(parts, key=lambda name: name not in needed):
        part = _Plain(tool.parameters).of(parts[name])
        if part is not None and part.get("type") == "array":
            part = _Plain(tool.parameters).of(next(iter(items_of(part, 1)), None), 1)
        if part is None or choices_of(part) is not None or part.get("type", "string") != "string":
            continue
        if not _examples(part, tool.parameters) and not _sort_of(name, part):
            found[name] = str(part.get("description", ""))
    return found


def fits(tool: ToolDefinition, name: str, text: str) -> bool:
    """Whether the schema takes a text for an argument, or for an item of its list."""
    part = properties_of(arguments_of(tool.parameters)).get(name)
    return any(Fitter(tool.parameters).fits(value, part) for value in (text, [text]))


def spoken(name: str) -> str:
    """A name in words."""
    return " ".join(_WORDS.findall(name[:80])).lower() or name[:80]


def said(value: Any) -> str:
    """A value as people write it."""
    if isinstance(value, list):
        return " and ".join(map(said, value))
    if isinstance(value, Mapping):
        return " and ".join(f"{spoken(name)} {said(one)}" for name, one in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    return text.replace("_", " ") if text.islower() else text


class _Plain:
    """Finds the plain alternatives of parts within `root`."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root, self._left = root, _LOOKS

    def needed(self, schema: Mapping[str, Any], depth: int) -> dict[str, Mapping[str, Any]] | None:
        """What a schema requires, by name. None where a part is not plain."""
        found: dict[str, Mapping[str, Any]] = {}
        for name in required_of(schema):
            plain = self.of(properties_of(schema).get(name), depth)
            if plain is None:
                return None
            found[name] = plain
        return found

    def of(self, part: Any, depth: int = 0) -> Mapping[str, Any] | None:
        """The plain alternative of a part. depth: in how many lists and objects it is."""
        self._left -= 1
        for option in islice(options(part, self._root), _ALTERNATIVES) if depth <= _DEPTH and self._left >= 0 else ():
            kind = option.get("type", "string")
            if choices_of(option) is not None or kind in ("string", "integer", "number", "boolean"):
                return option
            if kind == "array" and self.of(next(iter(items_of(option, 1)), None), depth + 1) is not None:
                return option
            few = depth < _OBJECTS and 0 < len(required_of(option)) <= _MAX_PARTS
            if kind == "object" and few and self.needed(option, depth + 1) is not None:
                return option
        return None


class _Draw:
    """Draws values of the schemas within `root`."""

    def __init__(self, root: Mapping[str, Any], texts: Texts) -> None:
        self._root, self._texts = root, texts

    def value(self, name: str, part: Mapping[str, Any], place: int, depth: int = 0) -> Any:
        """The value of a plain part for the request with this number."""
        if choices := choices_of(part):
            return choices[place % len(choices)]
        kind = part.get("type", "string")
        if examples := _examples(part, self._root):
            return examples[place % len(examples)]
        if kind == "array":
            item = _Plain(self._root).of(next(iter(items_of(part, 1)), None), depth + 1) or {}
            return [self.value(name, item, place, depth + 1)]
        if kind == "object":
            needed = _Plain(self._root).needed(part, depth + 1) or {}
            return {key: self.value(key, inner, place + 7 * turn, depth + 1) for turn, (key, inner) in enumerate(needed.items())}
        if kind == "boolean":
            return place % 2 == 0
        if kind in ("integer", "number"):
            high = _bound(part, "maximum", None)
            low = _bound(part, "minimum", 1 if high is None else min(1, high))
            return low + place if high is None else low + place % max(1, high - low + 1)
        pool = self._texts.get(name) or _POOLS[_sort_of(name, part)]
        return pool[place % len(pool)]


def _examples(part: Mapping[str, Any], root: Mapping[str, Any]) -> list[Any]:
    """The values that a schema gives as examples, as far as they are ones."""
    told = part.get("examples")
    return (
        [one for one in told[:40] if len(str(one)) <= _MAX_EXAMPLE and Fitter(root).fits(one, part)]
        if isinstance(told, list)
        else []
    )


def _bound(part: Mapping[str, Any], name: str, otherwise: Any) -> Any:
    bound = part.get(name)
    return int(bound) if isinstance(bound, int | float) and not isinstance(bound, bool) and abs(bound) < 1e12 else otherwise


def _sort_of(name: str, part: Mapping[str, Any]) -> str:
    told = f"{part.get('format', '')} {spoken(name)}".split()
    by_word = {"uri": "url", "link": "url", "day": "date", "mail": "email", "town": "city", "place": "city", "location": "city"}
    by_word |= {"person": "name", "customer": "name", "user": "name", "author": "name", "recipient": "name", "contact": "name"}
    return next((sort for word in told if (sort := by_word.get(word, word)) in _POOLS), "")
