"""Whether the log probabilities of a reply are those of what it says."""

from __future__ import annotations

from selfopt.records import LogProbs, ReplyContent

_WINDOW = 24


def covering(observed: LogProbs | None, content: ReplyContent) -> LogProbs | None:
    """The log probabilities of a reply; None if there are none, or too few for what it says, or those of another text.

    A character may be split over tokens, whose texts then don't tell it; their bytes do. A call is
    not always written with the name that the client gives its tool, so half of it has to do. Servers
    trim a text and leave out marks, so one of three pieces of it has to stand in the tokens.
    """
    if observed is None:
        return None
    written = _written(observed)
    least = len(content.text) + sum(len(call.name) for call in content.tool_calls) // 2
    return observed if len(written) >= least and _holds(written, content.text) else None


def covered(content: ReplyContent) -> ReplyContent:
    """The reply without log probabilities that are too few, or those of another text."""
    kept = covering(content.logprobs, content)
    return content if kept is content.logprobs else content.model_copy(update={"logprobs": kept})


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
