"""What a reply shows of whether its answer is right: the signals of a confidence."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.records import Message, ParsedReply, ReplyContent, Signals, ToolDefinition


def signals_of(
    content: ReplyContent,
    parsed: ParsedReply,
    tools: Sequence[ToolDefinition],
    messages: Sequence[Message],
    *,
    agrees: bool | None = None,
) -> Signals:
    """The signals of one reply, computed without a request.

    Args:
        content: the reply as it came, with its log probabilities where the server gave them.
        parsed: what the chain read in it.
        tools, messages: of the request.
        agrees: whether a second way of asking gives the same calls; None where there is none.
    """
    observed = content.logprobs
    return Signals(
        calls=bool(parsed.tool_calls),
        reply=observed.total if observed is not None else None,
        agrees=None if agrees is None else float(agrees),
        unrepaired=float(not parsed.corrections),
    )
