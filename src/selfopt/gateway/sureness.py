"""Judges how sure a held answer is, before any of it is sent."""

from __future__ import annotations

import math
from dataclasses import dataclass

from selfopt.dialects.clients import ClientRequest
from selfopt.reading.agreement import OtherCalls
from selfopt.reading.signals import signals_of
from selfopt.records import ParsedReply, ReplyContent, ServeWhen

from .escalation import EscalationReason


@dataclass(frozen=True, slots=True)
class Sureness:
    """What is known about an answer.

    Attributes:
        confidence: in [0, 1]; None where it can't be told.
        doubt: why the answer is not served; None if it is, or if that is open.
        open: whether only a second way of asking tells if it is served.
    """

    confidence: float | None
    doubt: EscalationReason | None
    open: bool = False


def sureness_of(
    when: ServeWhen, content: ReplyContent, parsed: ParsedReply, asked: ClientRequest, other: OtherCalls | None = None
) -> Sureness:
    """Say how sure an answer is, and whether a rule serves it.

    Where a second way of asking was not asked yet, and would change nothing, the confidence is the least
    that an answer can have which is served in any case, and the greatest of one which is not.

    Args:
        when: the rule's part.
        content: the reply, with its log probabilities.
        parsed: what the rule's variant read in it.
        asked: the request.
        other: what the second way of asking called; None if it was not asked.
    """
    request = asked.request
    agrees = None if other is None else other.agrees(parsed.tool_calls)
    signals = signals_of(content, parsed, request.tools, request.messages, agrees=agrees, wanted=when.model.signals)
    if not when.model.tells(signals):
        return Sureness(None, "unread" if signals.unread else "cut" if signals.cut else "no_logprobs")
    if when.compares and other is None:
        least, most = when.model.confidences(signals)
        if least < when.least <= most:
            return Sureness(None, None, open=True)
        confidence = least if least >= when.least else most
    else:
        confidence = when.model.confidence(signals)
    if math.isnan(confidence):
        return Sureness(None, "no_logprobs")
    if confidence >= when.least:
        return Sureness(confidence, None)
    return Sureness(confidence, "invalid" if _misfits(parsed, asked) else "unsure")


def _misfits(parsed: ParsedReply, asked: ClientRequest) -> bool:
    """Whether a call can't be right, whatever was meant."""
    if not parsed.tool_calls:
        return False
    from selfopt.variants.complaints import is_misfit  # only loaded for who doubts

    return is_misfit(parsed.tool_calls, asked.request.messages, asked.request.tools)
