"""Sentences about answers that are not served, because they are not sure enough."""

from __future__ import annotations

from selfopt.home import escape_control
from selfopt.records import VoidedBy

from .thresholds import VOIDED_BY

_WHY = {
    "unsure": "is not sure enough",
    "invalid": "made a call that its tool does not take",
    "unread": "wrote a call that its variant does not read",
    "cut": "ran into its limit of tokens",
    "no_logprobs": "gave no log probabilities, on which its confidence rests",
    "unmeasured": "was not measured on such requests",
    "voided": "has a threshold that does not hold any more",
    "sticky": "did not answer this conversation before",
    "failed": "failed",
}


def not_served_text(
    model: str, reason: str, confidence: float | None, least: float | None, voided: VoidedBy | None = None
) -> str:
    """Why an answer is not served.

    Args:
        reason: one of `EscalationReason`.
        least: the confidence that is asked for.
        voided: why the threshold does not hold, where it does not.
    """
    if reason == "voided" and voided is not None:
        return f"{escape_control(model, 200)} {_WHY[reason]} ({VOIDED_BY[voided]})"
    figures = f" (confidence {confidence:.3f}, {least:.3f} is asked for)" if confidence is not None and least is not None else ""
    return f"{escape_control(model, 200)} {_WHY[reason]}{figures if reason in ('unsure', 'invalid') else ''}"


def nobody_surer_text(why: str) -> str:
    """That nobody answers, for a client. why: as `not_served_text` says it."""
    return f"{why}, and no other model may answer in its place"
