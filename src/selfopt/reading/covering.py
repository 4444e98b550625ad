"""Whether the log probabilities of a reply are those of what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from selfopt.records import LogProbs, ReplyContent, ToolCall

_WINDOW = 24
_WORD = re.compile("[A-Za-z0-9]+")


def covering(observed: LogProbs | None, content: ReplyContent) -> LogProbs | None:
    """The log probabilities of a reply; None if there are none, or too few for what it says, or those of another text.

    A character may be split over tokens, whose texts then don't tell it; their bytes do. A call may
    be written in any format, and not always with the name that the client gives its tool, so half of
    it has to do, and one word of the name has to stand in the tokens. Servers trim a text and leave
    out marks, so one of three pieces of it has to.
    """
    if observed is None:
        return None
    written = _written(observed)
    least = len(content.text) + sum(map(_length, content.tool_calls)) // 2
    its_own = len(written) >= least and _holds(written, content.text) and _names(written, content.tool_calls)
    return observed if its_own else None


def covered(content: ReplyContent) -> ReplyContent:
    """The reply without log probabilities that are too few, or those of another text."""
    kept = covering(content.logprobs, content)
    return content if kept is content.logprobs else content.model_copy(update={"logprobs": kept})


def _length(call: ToolCall) -> int:
    return len(call.name) + len(json.dumps(call.arguments, ensure_ascii=False, separators=(",", ":")))


def _written(observed: LogProbs) -> str:
    """What the tokens say together."""
    if not observed.raw:
        return "".join(observed.tokens)
    parts = [token.encode("utf-8", "replace") for token in observed.tokens]
    for place, data in observed.raw.items():
        if 0 <= place < len(parts):
            parts[place] = bytes.fromhex(data)
    return b"".join(parts).decode("utf-8", "replace")


def _holds(written: str, text: str) -> bool:
    """Whether the beginning, the middle or the end of a text stands in what was written, whatever its spaces."""
    said, found = "".join(text.split()), "".join(written.split())
    middle = max(0, len(said) - _WINDOW) // 2
    return any(piece in found for piece in (said[:_WINDOW], said[middle : middle + _WINDOW], said[-_WINDOW:]))


def _names(written: str, calls: Sequence[ToolCall]) -> bool:
    """Whether a word of a tool's name stands in what was written; also where there are no calls, or no such words."""
    words = [word for call in calls for word in _WORD.findall(call.name)]
    return not words or any(word in written for word in words)
