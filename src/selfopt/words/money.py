"""When it pays to ask a small model first, in words."""

from __future__ import annotations

from selfopt.home import escape_control

from .thresholds import share_text


def pays_text(
    larger: str, cost: float | None, time: float | None, escalated: float | None = None, where: str = "here"
) -> str | None:
    """Below which share of escalations both in turn cost less, and take less time, than the larger model alone.

    A sentence without a full stop; None where neither is known.

    Args:
        larger: the larger model's name.
        cost, time: the break-even shares (`stats.break_even`).
        escalated: the share that is escalated. None: nothing is served yet.
        where: on which prompts.
    """
    told: list[str] = []
    again = False
    for verb, share in (("cost less", cost), ("take less time", time)):
        if share is not None:
            told.append(f"{verb} {_while(share, again=again)}" if share else f"never {verb}")
            again = again or 0 < share < 1
    if not told:
        return None
    here = "" if escalated is None else f"; {where} {share_text(escalated)} are escalated"
    return f"Beside {escape_control(larger, 200)} alone, both in turn {', and '.join(told)}{here}"


def _while(share: float, *, again: bool) -> str:
    if share == 1:
        return "whenever any answer is served"
    return f"while fewer than {share_text(share)} are{'' if again else ' escalated'}"
