"""Fits calls to the tools they are meant for: names, types, and arguments that don't belong there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from selfopt.records import Correction, CorrectionKind, Message, ToolCall, ToolDefinition

from .backing import Backing, Talk
from .said import words_of
from .schema import Fitter, Schema, arguments_of, knows, part_of, properties_of, required_of

_MARKS = re.compile(r"[\W_]+")


def fitted(
    calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]
) -> tuple[list[ToolCall], list[Correction]]:
    """Fit each call to its tool in four ways. Keeps the number and the order of the calls.

    1. An unknown name becomes the name of the one tool that takes these arguments: it requires no
       others and knows all of them. If several tools do, the name stays.
    2. An argument that the schema does not know takes the name of the one missing argument that is
       spelled alike, but for case and marks between words. Otherwise it is dropped.
    3. A value takes the type of its schema if nothing is lost or guessed: "5" and 5, 5.0 and 5,
       "true" and true, a value and a list of it, an object and a text that holds it, a choice in
       another case. What fits is never changed, and what can't be fitted stays as it came.
    4. Optional arguments that nobody asked for are left out (see `Backing.asks_for`).

    Each call is looked at by itself.

    Returns:
        The calls, and what was changed in them or does not fit.
    """
    talk = Talk.of(messages, tools)
    by_name = {tool.name: tool for tool in reversed(tools)}
    done: list[ToolCall] = []
    corrections: list[Correction] = []
    for call in calls:
        tool = by_name.get(call.name) or _only_taker(call, tools)
        if tool is None:
            done.append(call)
            continue
        if tool.name != call.name:
            corrections.append(Correction(kind="name", tool=tool.name))
        arguments, made = _arguments(call.arguments, tool, talk)
        corrections += [Correction(kind=kind, tool=tool.name, argument=key) for kind, key in made]
        done.append(call.model_copy(update={"name": tool.name, "arguments": arguments}))
    return done, corrections


def fit_calls(calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> list[ToolCall]:
    """Fit each call to its tool. See `fitted`, which also says what it changed."""
    return fitted(calls, messages, tools)[0]


def _arguments(
    given: Mapping[str, Any], tool: ToolDefinition, talk: Talk
) -> tuple[dict[str, Any], list[tuple[CorrectionKind, str]]]:
    root = tool.parameters
    schema = arguments_of(root)
    parts, needed = properties_of(schema), required_of(schema)
    made: list[tuple[CorrectionKind, str]] = []
    named: dict[str, Any] = {}
    meant = _meant(given, schema)
    for key, value in given.items():
        if key in meant:
            made.append(("name", meant[key]))
        if key in meant or knows(schema, key):
            named[meant.get(key, key)] = value
        else:
            made.append(("unknown_argument", key))
    fitter, backing = Fitter(root), Backing(talk, root)
    taken = frozenset(word for key in needed for word in words_of(named.get(key, "")))
    kept = {}
    for key, value in named.items():
        part = part_of(schema, key)
        now, whole = fitter.fit(value, part)
        if key in parts and key not in needed and not backing.asks_for(key, now, part, taken):
            made.append(("not_asked_for", key))
            continue
        kept[key] = backing.only_chosen(now, part)
        if kept and kept[key] is not now:
            made.append(("not_asked_for", key))
        if now is not value:
            made.append(("choice" if isinstance(now, str) and isinstance(value, str) else "type", key))
        if not whole:
            made.append(("not_fitted", key))
    return kept, made


def _meant(given: Mapping[str, Any], schema: Schema) -> dict[str, str]:
    """The unknown arguments that are spelled like one missing argument, and its name."""
    missing = [key for key in properties_of(schema) if key not in given]
    unknown = [key for key in given if not knows(schema, key)]
    meant = {}
    for key in unknown:
        alike = [name for name in missing if _plain(name) == _plain(key)]
        if len(alike) == 1 and sum(_plain(other) == _plain(key) for other in unknown) == 1:
            meant[key] = alike[0]
    return meant


def _plain(name: str) -> str:
    return _MARKS.sub("", name).casefold()


def _only_taker(call: ToolCall, tools: Sequence[ToolDefinition]) -> ToolDefinition | None:
    """The only tool that takes the arguments of a call.

    None if no tool or several do, or if the call has no arguments.
    """
    given = set(call.arguments)
    takers = [tool for tool in tools if given and _takes(arguments_of(tool.parameters), given)]
    return takers[0] if len(takers) == 1 else None


def _takes(schema: Schema, given: set[str]) -> bool:
    return given <= set(properties_of(schema)) and set(required_of(schema)) <= given
