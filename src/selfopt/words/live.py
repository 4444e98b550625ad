"""Sentences about live requests, for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from .unsure import not_served_text

Tone = Literal["good", "attention", "bad", "calm"]
TroubleKind = Literal[
    "failing",
    "unrecorded",
    "unreadable",
    "left_alone",
    "rules_refused",
    "rejected",
    "refused",
    "voided",
    "no_rules_read",
    "away",
    "no_endpoint",
]

_FAULTS = {
    "timeout": "gave no whole answer in time",
    "connect": "could not be reached",
    "loading": "was still loading its model",
    "rate_limited": "had too many requests",
    "server": "reported an error of its own",
    "auth": "refused the key",
    "not_found": "does not have the model",
    "bad_request": "refused the request",
    "protocol": "sent an answer that cannot be read",
    "broken_off": "broke off its answer",
    "outrun": "was not needed: another model that was asked at the same time was sure",
}

_ABOUT: Mapping[TroubleKind, tuple[str, str]] = {
    "left_alone": (
        "{} is left alone for some seconds, because it failed several times in a row.",
        "It is tried again by itself. See its server's log if it goes on.",
    ),
    "voided": (
        "The threshold of {} does not hold any more, so every request goes to a stronger model.",
        "Calibrate it anew: a cycle does, where [serve] calibrate is on, and so does selfopt escalation.",
    ),
    "away": (
        "{} is named by a rule, and its server does not answer.",
        "Start the server, or see what selfopt doctor says about the endpoint.",
    ),
    "no_endpoint": (
        "{} is named by a rule, and no endpoint of the settings has it.",
        "Add its endpoint to your settings, or change the rule with selfopt routes set.",
    ),
}
"""What is wrong with a model or an endpoint, and what to do about it."""


def fault_text(fault: str) -> str:
    """What became of an attempt that did not serve. fault: empty for an answer that was not sure enough."""
    return _FAULTS.get(fault, fault) if fault else "was not sure enough"


def all_right_text(n: int, failed: int, minutes: int) -> str:
    """That nothing needs anybody. n: requests within the time."""
    if not n:
        return f"Everything is quiet: no request came in the last {minutes} minutes."
    fine = "none failed" if not failed else f"{failed} failed, which is few"
    return f"Everything is all right: of {n:,} request{'s' if n != 1 else ''} in the last {minutes} minutes, {fine}."


def troubles_text(texts: Sequence[str]) -> str:
    """One sentence for all that is wrong. texts: sentences, the worst first."""
    return texts[0] if len(texts) == 1 else f"{len(texts)} things need you. {texts[0]}"


def trouble_text(kind: TroubleKind, what: str, n: int = 0, of: int = 0) -> tuple[str, str]:
    """Return what is wrong, and what to do about it.

    Args:
        what: a model, an endpoint, or what an error said.
        n, of: how many, of how many.
    """
    match kind:
        case "failing":
            return (
                f"{n:,} of {of:,} requests failed in the last 10 minutes, most at {what}.",
                "Look whether its server runs: selfopt doctor checks every endpoint.",
            )
        case "unrecorded":
            return (
                f"The gateway serves nothing, because it cannot record: {what}.",
                "Make room on the disk, or mend its permissions.",
            )
        case "unreadable":
            return (
                f"{n:,} line{'s' if n != 1 else ''} of the recorded requests cannot be read.",
                "selfopt audit verify says which, and whether anything was changed.",
            )
        case "rules_refused":
            return (
                f"The gateway refused {n} change{'s' if n != 1 else ''} of the rules, and serves under the ones before.",
                "The log of selfopt serve says why.",
            )
        case "rejected":
            return (
                f"{n:,} of {of:,} requests were at fault themselves.",
                "Their reason names the field that the client has to change.",
            )
        case "refused":
            return (
                f"The rules refuse most requests: {n:,} of {of:,}.",
                "Allow the model where it is good enough, or name a fallback.",
            )
        case "no_rules_read":
            return (
                f"The rules cannot be read: {what}.",
                "selfopt audit verify says what is wrong, and selfopt routes rollback brings back an earlier version.",
            )
        case _:
            said, advice = _ABOUT[kind]
            return said.format(what), advice


def request_text(
    outcome: str, model: str, served: str | None, reason: str, escalated: Sequence[str], judged: tuple[float | None, float | None]
) -> str:
    """What became of a request, in a sentence.

    Args:
        reason: what the gateway noted.
        escalated: why a stronger model had to answer, the first reason first.
        judged: confidence and threshold of the attempt that was judged last.
    """
    confidence, least = judged
    end = f": {reason}." if reason else "."
    if outcome == "served":
        sure = (
            f" It was sure enough: its confidence was {confidence:.3f}, and {least:.3f} is asked for."
            if confidence is not None and least is not None
            else ""
        )
        return f"{served or model} answered.{sure}"
    if outcome == "diverted" and escalated:
        return f"{served} answered in place of {model}, which {not_served_text('', escalated[0], confidence, least).strip()}."
    texts = {
        "diverted": f"{served} answered in place of {model}{end}",
        "refused": f"The rules refused the request{end}",
        "rejected": f"The request itself was at fault{end}",
        "failed": f"Nobody answered{end}",
        "cancelled": "The client left before the answer was complete.",
    }
    return texts.get(outcome, f"{outcome}{end}")
