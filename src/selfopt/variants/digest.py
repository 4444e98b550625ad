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


def state_digest(messages: Sequence[Message]) -> str:
    """Sum up the earlier turns in lines of text; "" if they left nothing to keep in mind.

    The last user message is not part of it, since the request has it in full.
    """
    last = max((i for i, message in enumerate(messages) if message.role == "user"), default=len(messages))
    earlier = messages[:last]
    lines = [*(f'- The user said: "{sentence}"' for sentence in _standing(earlier)), *_results(earlier)]
    counts = Counter(call.name for message in earlier for call in message.tool_calls)
    if counts:
        lines.append("- Calls made so far: " + ", ".join(f"{name} {count}x" for name, count in sorted(counts.items())))
    return "State of the conversation:\n" + "\n".join(lines) if lines else ""


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
