"""Writes names, codes and titles as somebody said them: small models misspell what they copy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from selfopt.records import Correction, Message, ToolCall, ToolDefinition

from .backing import Talk
from .conversions import as_number
from .moments import moment_of
from .schema import arguments_of, choices_of, part_of, resolved
from .spoken import fold

_ALIKE = 0.8  # the share of letters in common from which a text is a misspelt one
_SHORTEST = 4  # letters of a text that is looked for
_LONGEST = 200
_MANY = 64  # values of a call that are looked at
_SPANS = 4_000  # places of a conversation that are compared
_TEXT = 20_000  # characters of a conversation that are compared, its last ones
_WORD = re.compile(r"\S+")
_EDGES = " \t\r\n\"'`“”‘’«»()[]{}<>,;:!?."
_CODE = re.compile(r"([A-Za-z]{1,5})([ \-_/]?)(\d{2,12})")


def as_said(
    calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]
) -> tuple[list[ToolCall], list[Correction]]:
    """Replace texts that nobody said by the one that somebody said and that is spelt almost alike.

    A code of letters and figures takes the letters of the one code that has the same figures. Any
    other text takes the spelling of the one place of as many words that has four letters of five in
    common with it. Where two places are as near, the text stays, and so do choices, dates, times,
    numbers and texts that are said. Each call is looked at by itself.

    Returns:
        The calls, and what was changed in them.
    """
    talk, told = Talk.of(messages, tools), _told(messages)
    by_name = {tool.name: tool.parameters for tool in reversed(tools)}
    done: list[ToolCall] = []
    corrections: list[Correction] = []
    for call in calls:
        root = by_name.get(call.name)
        if root is None:
            done.append(call)
            continue
        schema, arguments = arguments_of(root), dict(call.arguments)
        for key, value in list(arguments.items())[:_MANY]:
            now = _spelt(value, resolved(part_of(schema, key), root), root, talk, told)
            if now != value:
                arguments[key] = now
                corrections.append(Correction(kind="as_said", tool=call.name, argument=key))
        done.append(call.model_copy(update={"arguments": arguments}) if arguments != call.arguments else call)
    return done, corrections


def _told(messages: Sequence[Message]) -> str:
    return "\n".join(message.content for message in messages if message.role in ("user", "tool"))[-_TEXT:]


def _spelt(value: Any, part: Mapping[str, Any], root: Mapping[str, Any], talk: Talk, told: str) -> Any:
    if choices_of(part) is not None:
        return value
    if isinstance(value, list):
        item = resolved(part.get("items"), root)
        return [_spelt(one, item, root, talk, told) if isinstance(one, str) else one for one in value[:_MANY]] + value[_MANY:]
    if not isinstance(value, str) or not _SHORTEST <= len(value) <= _LONGEST or talk.said.says_together(value):
        return value
    code = _CODE.fullmatch(value.strip())
    if code is not None:
        return _code_said(code, told) or value
    if moment_of(fold(value)) is not None or as_number(fold(value)) is not None:
        return value
    return _nearest(value, told) or value


def _code_said(code: re.Match[str], told: str) -> str | None:
    """The one code with the same figures."""
    found = {said.group() for said in re.finditer(rf"\b[A-Za-z]{{1,5}}[ \-_/]?{code[3]}\b", told)}
    return found.pop() if len(found) == 1 else None


def _nearest(value: str, told: str) -> str | None:
    """The one place that is spelt almost like a text."""
    wanted = fold(value)
    best, nearest, tied = _ALIKE, None, False
    matcher = SequenceMatcher(None, autojunk=False)
    matcher.set_seq2(wanted)
    for span in _spans(told, len(wanted.split())):
        folded = fold(span)
        # German and Germany, detail and detailed: one word in two forms, and not misspelt.
        if folded.startswith(wanted) or wanted.startswith(folded):
            continue
        if abs(len(folded) - len(wanted)) > (1 - _ALIKE) * len(wanted) + 1:
            continue
        matcher.set_seq1(folded)
        if matcher.real_quick_ratio() < best or matcher.quick_ratio() < best:
            continue
        ratio = matcher.ratio()
        if ratio > best:
            best, nearest, tied = ratio, span, False
        elif ratio == best and nearest is not None and fold(nearest) != folded:
            tied = True
    return None if tied else nearest


def _spans(told: str, words: int) -> Iterator[str]:
    """The places of so many words, without the marks around them."""
    places = [(found.start(), found.end()) for found in _WORD.finditer(told)][-_SPANS:]
    for first in range(len(places) - words + 1):
        span = told[places[first][0] : places[first + words - 1][1]].strip(_EDGES)
        if len(span) >= _SHORTEST:
            yield span
