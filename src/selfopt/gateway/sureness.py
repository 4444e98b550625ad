"""Judges how sure a held answer is, before any of it is sent."""

from __future__ import annotations

import math
from dataclasses import dataclass

from selfopt.dialects.clients import ClientRequest
from selfopt.reading.signals import signals_of
from selfopt.records import ParsedReply, ReplyContent, ServeWhen

from .escalation import EscalationReason

_MISFITS = ("unknown_tool", "missing", "unfit")


@dataclass(frozen=True, slots=True)
class Sureness:
    """What is known about an answer.

    Attributes:
        confidence: in [0, 1]; None where it can't be told.
        doubt: why the answer is not served; None if it is.
    """

    confidence: float | None
    doubt: EscalationReason | None


def sureness_of(when: ServeWhen, content: ReplyContent, parsed: ParsedReply, asked: ClientRequest) -> Sureness:
    """Say how sure an answer is, and whether a rule serves it.

    Args:
        when: the rule's part.
        content: the reply, with its log probabilities.
        parsed: what the rule's variant read in it.
        asked: the request.
    """
    request = asked.request
    if not parsed.tool_calls and (parsed.unread is not None or content.broken_tool_calls):
        return Sureness(None, "unread")
    if when.model.needs_logprobs and not content.logprobs:
        return Sureness(None, "no_logprobs")
    confidence = when.model.confidence(signals_of(content, parsed, request.tools, request.messages, wanted=when.model.signals))
    if math.isnan(confidence):
        return Sureness(None, "no_logprobs")
    if confidence >= when.least:
        return Sureness(confidence, None)
    return Sureness(confidence, "invalid" if _misfits(parsed, asked) else "unsure")


def _misfits(parsed: ParsedReply, asked: ClientRequest) -> bool:
    """Whether a call can't be right, whatever was meant."""
    if not parsed.tool_calls:
        return False
    from selfopt.variants.complaints import complaint_about  # only loaded for who doubts

    wrong = complaint_about(parsed.tool_calls, asked.request.messages, asked.request.tools)
    return wrong is not None and wrong.kind in _MISFITS
