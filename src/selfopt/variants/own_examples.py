"""Makes worked examples from the tools of a request alone.

Nothing else goes into them: no prompt, no suite, no chance. The same tools give the same examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selfopt.reading.schema import Fitter, arguments_of, choices_of, items_of, options, properties_of, required_of, resolved
from selfopt.reading.telling import name_words
from selfopt.records import Example, Message, ToolCall, ToolDefinition, remembered

from .signatures import one_line

_WITH_CALL = 2  # examples that call something
_LOOKED_AT = 64  # tools that are looked at for these
_ARGUMENTS = 4  # of a call in an example, at most
_LONGEST = 60  # characters of a value, and of a name
_PHRASE = 100  # characters of what a tool does
_DEPTH = 3
_SCHEMAS = 4_096  # parts of a tool's parameters that are looked at
_FORMS: Mapping[str, str] = {
    "date": "2031-06-09",
    "time": "19:45",
    "date-time": "2031-06-09T19:45:00Z",
    "duration": "PT30M",
    "email": "ingrid@example.com",
    "uri": "https://example.com/notes",
    "url": "https://example.com/notes",
    "hostname": "example.com",
    "ipv4": "192.0.2.7",
    "uuid": "3f2b8c1e-5a4d-4e6f-9b7a-0c1d2e3f4a5b",
}
# A text by a word of its argument's name. The first that fits counts.
_NAMED: Mapping[str, str] = {
    "date": "2031-06-09", "day": "2031-06-09", "time": "19:45", "email": "ingrid@example.com", "mail": "ingrid@example.com",
    "url": "https://example.com/notes", "link": "https://example.com/notes", "path": "notes/plan.txt", "file": "plan.txt",
    "city": "Graz", "location": "Graz", "place": "Graz", "destination": "Graz", "origin": "Turku", "country": "Norway",
    "address": "Mill Lane 4", "currency": "NOK", "language": "Welsh", "name": "Ingrid", "recipient": "Ingrid",
    "contact": "Ingrid", "user": "Ingrid", "person": "Ingrid", "title": "Clair de Lune", "song": "Clair de Lune",
    "id": "K-2047", "number": "88213", "code": "K-2047", "query": "medieval bridges", "topic": "medieval bridges",
    "subject": "medieval bridges", "message": "the train is late", "text": "the train is late", "body": "the train is late",
    "room": "kitchen", "color": "blue", "colour": "blue",
}  # fmt: skip
_PLAIN_TEXT = "blue harbour"


class _NoValueError(Exception):
    """No value can be made that the schema is sure to allow."""


@remembered
def own_examples(tools: Sequence[ToolDefinition], shown: bool) -> Sequence[Example]:
    """Worked examples with these tools: one in which nothing is called, as the request leaves a
    required detail out, then up to two with a call.

    Args:
        tools: the tools of the request.
        shown: whether each example shows the tools anew, as a turn of its own does.

    Returns:
        The examples; none where no tool can be called with values made from its schema. Where the
        tools are a list, the examples are one, and so are their tools: none of them is remembered.
    """
    calls: list[tuple[ToolDefinition, Mapping[str, Any]]] = []
    # Tools that need arguments show more than those that need none.
    for tool in sorted(tools[:_LOOKED_AT], key=lambda one: not _needed(one)):
        made = _arguments(tool) if len(tool.name) <= _LONGEST else None
        if made is not None and all(tool.name != other.name for other, _ in calls):
            calls.append((tool, made))
        if len(calls) == _WITH_CALL:
            break
    kept = tuple(tools) if shown else ()
    examples = [_without_call(calls[0][0], kept)] if calls and calls[0][1] else []
    for tool, arguments in reversed(calls):
        asked = Message(role="user", content=_request(tool, arguments))
        examples.append(Example(tools=kept, messages=(asked,), tool_calls=(ToolCall(name=tool.name, arguments=dict(arguments)),)))
    if isinstance(tools, list):
        return [one.model_copy(update={"tools": tools}) for one in examples] if shown else examples
    return tuple(examples)


def _without_call(tool: ToolDefinition, kept: tuple[ToolDefinition, ...]) -> Example:
    return Example(tools=kept, messages=(Message(role="user", content=f"{_phrase(tool)}, please."),))


def _request(tool: ToolDefinition, arguments: Mapping[str, Any]) -> str:
    """A request for a call, in which each value is said."""
    said = [f"{' '.join(name_words(key)) or key} {_spoken(value)}" for key, value in arguments.items()]
    return f"{_phrase(tool)}, please{': ' if said else ''}{', '.join(said)}."


def _phrase(tool: ToolDefinition) -> str:
    """What a tool does in a few words: by its description where that is short, else by its name."""
    told = one_line(tool.description).split(". ")[0].strip(" .")
    if not told or len(told) > _PHRASE:
        told = " ".join(name_words(tool.name)) or tool.name
    return told[:1].upper() + told[1:]


def _spoken(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " and ".join(map(_spoken, value))
    if isinstance(value, dict):
        return ", ".join(f"{' '.join(name_words(key)) or key} {_spoken(part)}" for key, part in value.items())
    return "none" if value is None else str(value)


def _needed(tool: ToolDefinition) -> tuple[str, ...]:
    return required_of(arguments_of(tool.parameters))


def _arguments(tool: ToolDefinition) -> Mapping[str, Any] | None:
    """The required arguments of a tool with a value each. None where that can't be made."""
    schema, needed = arguments_of(tool.parameters), _needed(tool)
    if len(needed) > _ARGUMENTS or any(len(key) > _LONGEST for key in needed) or _closes_parts(tool.parameters):
        return None
    try:
        made = {key: _value(properties_of(schema).get(key), key, tool.parameters, _DEPTH) for key in needed}
    except _NoValueError:
        return None
    return made if Fitter(tool.parameters).fits(made, tool.parameters) else None


def _closes_parts(parameters: Mapping[str, Any]) -> bool:
    """Whether a schema limits unlisted properties and joins several lists of properties.

    Readers take such lists as one, which is what their authors mean. By the letter each part
    forbids what only another part lists, so no example is sure to be right.
    """
    closes = joins = False
    left: list[Any] = [parameters]
    for _ in range(_SCHEMAS):
        if not left:
            return closes and joins
        one = left.pop()
        if isinstance(one, Mapping):
            closes = closes or one.get("additionalProperties", True) is not True
            members = [one[word] for word in ("allOf", "anyOf", "oneOf", "$ref") if word in one]
            listed = "properties" in one or (isinstance(parts := one.get("allOf"), list) and len(parts) > 1)
            joins = joins or bool(members and (listed or len(members) > 1))
        left += one.values() if isinstance(one, Mapping) else one if isinstance(one, list) else ()
    return True  # too large to tell


def _value(schema: Any, key: str, root: Mapping[str, Any], depth: int) -> Any:
    """A value that a schema allows. Raises _NoValueError."""
    whole = resolved(schema, root)
    given = whole.get("examples")
    for offered in (*(given[:1] if isinstance(given, list) else ()), *([whole["default"]] if "default" in whole else ())):
        if _short(offered) and Fitter(root).fits(offered, schema):
            return offered
    for option in options(schema, root)[:1]:
        choices = choices_of(option)
        if choices is not None:
            found = next((choice for choice in choices if choice is not None and _short(choice)), None)
            if found is None:
                raise _NoValueError
            return found
        return _of_kind(option, key, root, depth)
    return _text({}, key)


def _of_kind(option: Mapping[str, Any], key: str, root: Mapping[str, Any], depth: int) -> Any:
    kind = option.get("type", "string")
    if kind == "string":
        return _text(option, key)
    if kind == "boolean":
        return True
    if kind in ("integer", "number"):
        return _number(option)
    if depth and kind == "array":
        least = option.get("minItems", 1)
        if option.get("maxItems", 1) == 0 or not isinstance(least, int) or least > 1:
            raise _NoValueError
        return [_value(part, key, root, depth - 1) for part in items_of(option, 1)[:1] or [{}]]
    if depth and kind == "object":
        needed = required_of(option)
        if len(needed) > _ARGUMENTS or not needed:
            raise _NoValueError
        return {one: _value(properties_of(option).get(one), one, root, depth - 1) for one in needed}
    raise _NoValueError


def _text(option: Mapping[str, Any], key: str) -> str:
    if "pattern" in option:
        raise _NoValueError
    words = [word.casefold() for word in name_words(key)]
    named = next((_NAMED[word] for word in reversed(words) if word in _NAMED), _PLAIN_TEXT)
    text = _FORMS.get(str(option.get("format")), named)
    least, most = option.get("minLength", 0), option.get("maxLength", _LONGEST)
    if not (isinstance(least, int) and isinstance(most, int) and least <= len(text) <= most):
        raise _NoValueError
    return text


def _number(option: Mapping[str, Any]) -> int:
    """A small whole number within the limits."""
    tried = [3, *(round(edge) + by for edge in _edges(option) for by in (0, 1, -1))]
    found = next((value for value in tried if _is_within(value, option)), None)
    if found is None:
        raise _NoValueError
    return found


_LARGEST = 10**9


def _edges(option: Mapping[str, Any]) -> list[float]:
    words = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf")
    told = [option[word] for word in words if word in option]
    return [edge for edge in told if _is_number(edge) and abs(edge) <= _LARGEST]


def _is_within(value: int, option: Mapping[str, Any]) -> bool:
    low, over, high, under, step = (
        option.get(word, none)
        for word, none in (
            ("minimum", value),
            ("exclusiveMinimum", value - 1),
            ("maximum", value),
            ("exclusiveMaximum", value + 1),
            ("multipleOf", 1),
        )
    )
    if not all(map(_is_number, (low, over, high, under, step))) or step <= 0:
        return False
    return bool(low <= value <= high and over < value < under and value % step == 0)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: Any) -> bool:
    """Whether a value from a schema may stand in an example."""
    if isinstance(value, str):
        return 0 < len(value) <= _LONGEST
    return isinstance(value, bool) or (_is_number(value) and abs(value) <= _LARGEST)
