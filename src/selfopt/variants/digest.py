"""Sums up a conversation: standing instructions, results, and numbers of calls."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from selfopt.reading.families import write_calls
from selfopt.records import Message

_STANDING = re.compile(
    r"\b(always|never|from now on|until|unless|remember|don'?t|do not|no more|stop|only|before you|ask (me )?(first|before)"
    r"|keep|instead|cancel|forget|prefer|at most|no longer|whenever|every time|without asking)\b",
    re.I,
)
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")
_SENTENCE_LIMIT = 12
_RESULT_LIMIT = 8
_TEXT_LIMIT = 240


def state_digest(messages: Sequence[Message], *, talk: bool = False) -> str:
    """Sum up the earlier turns in lines of text; "" if they left nothing to keep in mind.

    The last user message is not part of it, since the request has it in full.

    talk: tell everything that the user said, and not only what is to be kept in mind, and the last
        answer.
    """
    last = max((i for i, message in enumerate(messages) if message.role == "user"), default=len(messages))
    earlier = messages[:last]
    said = _asked(earlier) if talk else _standing(earlier)
    lines = [*(f'- The user said: "{sentence}"' for sentence in said), *_results(earlier)]
    counts = Counter(call.name for message in earlier for call in message.tool_calls)
    if counts:
        lines.append("- Calls made so far: " + ", ".join(f"{name} {count}x" for name, count in sorted(counts.items())))
    if talk and earlier and earlier[-1].role == "assistant" and earlier[-1].content.strip():
        lines.append(f'- The last answer was: "{_short(earlier[-1].content)}"')
    return "State of the conversation:\n" + "\n".join(lines) if lines else ""


def _asked(messages: Sequence[Message]) -> list[str]:
    """What the user said, message by message. Instructions of the system are told as they are."""
    return [_short(message.content) for message in messages if message.role == "user"][-_SENTENCE_LIMIT:]


def _short(text: str) -> str:
    return " ".join(text[:20_000].split())[:_TEXT_LIMIT]


def _standing(messages: Sequence[Message]) -> list[str]:
    sentences = [
        " ".join(sentence.split())[:_TEXT_LIMIT]
        for message in messages
        if message.role in ("user", "system")
        for sentence in _SENTENCE.findall(message.content[:20_000])
        if _STANDING.search(sentence)
    ]
    return sentences[-_SENTENCE_LIMIT:]


def _results(messages: Sequence[Message]) -> list[str]:
    calls = {call.id: call for message in messages for call in message.tool_calls if call.id}
    lines = []
    for message in messages:
        if message.role == "tool":
            call = calls.get(message.tool_call_id or "")
            asked = write_calls([call], "python_call") if call else (message.name or "a tool")
            lines.append(f"- {asked[:_TEXT_LIMIT]} returned: {' '.join(message.content.split())[:_TEXT_LIMIT]}")
    return lines[-_RESULT_LIMIT:]
