"""Believes a call only if somebody said what each of its required arguments holds.

Stricter than `ground`: choices have to be mentioned, texts have to be said for the most part, and
one text can't back two arguments. It costs some right calls and saves many wrong ones, so only a
measurement can say whether a model gains by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from selfopt.records import Correction, Message, ToolCall, ToolDefinition

from .backing import CODE, Backing, Talk
from .moments import moment_of
from .said import words_of
from .schema import arguments_of, choices_of, properties_of, required_of, resolved
from .spoken import fold

_SHARE = 0.5  # of the words of a text that somebody has to say
_OPENING = 4  # letters that a choice and what people call it must have in common
_SHORT = 3  # letters of a word that says little beside longer ones


def strictly_backed(
    calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]
) -> tuple[list[ToolCall], list[Correction]]:
    """Drop each call with a required argument that nobody said.

    An argument is said if `ground` believes it, and

    - for a choice: a word of it is mentioned by its first four letters, or it is a code, such as
      EUR. Conversations in another language than the tools are not asked for that, and neither are
      switches.
    - for a text: half of its longer words are said. Dates, times and numbers are as in `ground`.
    - for two texts of one call: they differ.

    Calls of tools that are not offered stay. Each call is looked at by itself.

    Returns:
        The calls that are left, and what was dropped.
    """
    talk = Talk.of(messages, tools)
    by_name = {tool.name: tool.parameters for tool in reversed(tools)}
    kept: list[ToolCall] = []
    corrections: list[Correction] = []
    for call in calls:
        root = by_name.get(call.name)
        unsaid = _unsaid(call, root, talk) if root is not None else None
        if unsaid is None:
            kept.append(call)
        else:
            corrections.append(Correction(kind="call_not_backed", tool=call.name, argument=unsaid))
    return kept, corrections


def said_share(calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> float | None:
    """The share of the required arguments of all calls that somebody said.

    An argument that is left out and has a default counts as said. None where nothing is required.
    """
    talk = Talk.of(messages, tools)
    by_name = {tool.name: tool.parameters for tool in reversed(tools)}
    said = [one for call in calls if call.name in by_name for _, one in _required(call, by_name[call.name], talk)]
    return sum(said) / len(said) if said else None


def _unsaid(call: ToolCall, root: Mapping[str, Any], talk: Talk) -> str | None:
    """The first required argument that nobody said."""
    return next((key for key, said in _required(call, root, talk) if not said), None)


def _required(call: ToolCall, root: Mapping[str, Any], talk: Talk) -> Iterator[tuple[str, bool]]:
    """The required arguments of a call, and whether somebody said them."""
    schema = arguments_of(root)
    parts, backing = properties_of(schema), Backing(talk, root)
    texts: set[str] = set()
    for key in required_of(schema):
        part = resolved(parts.get(key), root)
        if key not in call.arguments:
            yield key, "default" in part
            continue
        value = call.arguments[key]
        said = backing.backs(value, parts.get(key)) and _says(value, part, talk)
        if isinstance(value, str) and choices_of(part) is None:
            said = said and value not in texts
            texts.add(value)
        yield key, said


def _says(value: Any, part: Mapping[str, Any], talk: Talk) -> bool:
    if not isinstance(value, str) or talk.translates or ("default" in part and part["default"] == value):
        return True
    if CODE.fullmatch(value.strip()):
        return True
    words = words_of(value)
    if choices_of(part) is not None:
        openings = talk.said.openings(_OPENING)
        return any(word[:_OPENING] in openings for word in words)
    if moment_of(fold(value)) is not None or talk.said.says_together(value):
        return True
    telling = [word for word in words if len(word) > _SHORT] or words
    return sum(talk.said.says_word(word) for word in telling) >= _SHARE * len(telling)
