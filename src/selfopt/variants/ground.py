"""Is an argument something that the conversation says, or made up?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfopt.records import Message, ReplyContent, ToolCall, ToolDefinition

from .parsers import PARSERS
from .present import CallFormat, write_calls
from .read import read_reply

__all__ = ["ground_calls", "ground_reply"]

_TOKEN = re.compile(r"[^\W_]+")
_STEM = 4
_TEXT_LIMIT = 200_000
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{1,2}(-[0-9]{1,2}.*)?|[0-9]{1,2}:[0-9]{2}.*|[0-9]{1,2}/[0-9]{1,2}.*")
_TIME_WORDS = frozenset(
    [
        "today",
        "tonight",
        "tomorrow",
        "yesterday",
        "now",
        "next",
        "week",
        "weekend",
        "month",
        "year",
        "morning",
        "noon",
        "midday",
        "afternoon",
        "evening",
        "midnight",
        "hour",
        "day",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "january",
        "february",
        "march",
        "april",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ]
)
_NUMBER_WORDS = frozenset(
    [
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "fifteen",
        "twenty",
        "thirty",
        "forty",
        "fifty",
        "sixty",
        "ninety",
        "hundred",
        "thousand",
        "dozen",
        "couple",
        "half",
        "quarter",
        "hour",
        "single",
        "twice",
        "double",
    ]
)


@dataclass(frozen=True, slots=True)
class _Said:
    stems: frozenset[str]
    words: frozenset[str]
    digits: bool

    @classmethod
    def of(cls, messages: Sequence[Message]) -> _Said:
        texts = [message.content for message in messages]
        texts += [str(value) for message in messages for call in message.tool_calls for value in call.arguments.values()]
        tokens = [token.lower() for token in _TOKEN.findall(" ".join(texts)[-_TEXT_LIMIT:])]
        digits = any(any(char.isdigit() for char in token) for token in tokens)
        singular = {token.removesuffix("s") for token in tokens}
        return cls(frozenset(token[:_STEM] for token in tokens), frozenset(tokens) | singular, digits)

    def backs(self, value: Any) -> bool:
        """Whether something that was said can stand behind a required value. Text needs a word in common (its first four
        letters); dates and times any number or word of time; numbers any number or number word. Anything else is believed.
        """
        if isinstance(value, bool | dict):
            return True
        if isinstance(value, int | float):
            return self.digits or bool(self.words & _NUMBER_WORDS)
        if isinstance(value, list):
            return not value or any(self.backs(item) for item in value)
        if not isinstance(value, str):
            return value is not None
        if _MOMENT.fullmatch(value.strip()):
            return self.digits or bool(self.words & _TIME_WORDS)
        stems = {token[:_STEM].lower() for token in _TOKEN.findall(value)}
        return bool(stems & self.stems)

    def only_said(self, value: Any) -> Any:
        """A list of texts without repeated items and without those that nothing backs; any other value as it is."""
        if not _is_texts(value):
            return value
        kept: list[Any] = []
        for item in value:
            if item not in kept and self.backs(item):
                kept.append(item)
        return kept

    def asks_for(self, value: Any, used: frozenset[str]) -> bool:
        """Whether an optional value was asked for: each of its words was said as such, and not all of them stand in the
        required arguments already (`used`); a number was said, or a number word was. Other values as in `backs`."""
        if isinstance(value, str) and not _MOMENT.fullmatch(value.strip()):
            words = {token.lower() for token in _TOKEN.findall(value)}
            return bool(words) and words <= self.words and not words <= used
        if isinstance(value, int | float) and not isinstance(value, bool):
            return f"{value:g}" in self.words or bool(self.words & _NUMBER_WORDS)
        return self.backs(value)


def ground_reply(
    reply: ReplyContent, messages: Sequence[Message], tools: Sequence[ToolDefinition], call_format: CallFormat
) -> ReplyContent:
    """A reply whose calls keep only what the conversation backs; the reply itself where nothing has to go."""
    calls = read_reply(tuple(PARSERS), reply, tools).tool_calls
    kept = ground_calls(calls, messages, tools)
    if kept == list(calls):
        return reply
    return ReplyContent(text=write_calls(kept, call_format), thinking=reply.thinking, finish_reason=reply.finish_reason)


def ground_calls(calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> list[ToolCall]:
    """Without optional arguments that nobody asked for, and without calls whose required arguments nothing in the
    conversation backs: what the tool requires was never given, so there is nothing to call it with. A required choice (enum) is believed, since
    it is derived and not copied. Calls to tools that are not offered stay as they are."""
    said = _Said.of(messages)
    schemas = {tool.name: tool.parameters for tool in reversed(tools)}
    kept = []
    for call in calls:
        grounded = _grounded(call, schemas[call.name], said) if call.name in schemas else call
        if grounded is not None:
            kept.append(grounded)
    return kept


def _grounded(call: ToolCall, schema: Mapping[str, Any], said: _Said) -> ToolCall | None:
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, Mapping):
        return call
    needed = [key for key in required if isinstance(key, str)] if isinstance(required, list) else []
    for key in needed:
        part = properties.get(key)
        derived = isinstance(part, Mapping) and ("enum" in part or "const" in part)
        if not derived and (key not in call.arguments or not said.backs(call.arguments[key])):
            return None
    taken = frozenset(token.lower() for key in needed for token in _TOKEN.findall(str(call.arguments.get(key, ""))))
    arguments = {
        key: said.only_said(value)
        for key, value in call.arguments.items()
        if key in needed or key not in properties or said.asks_for(value, taken)
    }
    others = {value for value in arguments.values() if isinstance(value, str)}
    arguments = {
        key: [item for item in value if item not in others] if _is_texts(value) else value for key, value in arguments.items()
    }
    return call if arguments == call.arguments else call.model_copy(update={"arguments": arguments})


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 1 and all(isinstance(item, str) for item in value)
