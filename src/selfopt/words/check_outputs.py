"""A check's prompts in words, for those who read them in a build's report."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.home import counted
from selfopt.records import Check, CheckedPrompt, CheckReason, Outcome

from .checks import reason_text
from .kinds import OUTCOMES

_NAMED = 20


def reason_with_prompts(reason: CheckReason, check: Check) -> str:
    """Why a check did not pass, with the prompts that the reason names."""
    named = ", ".join(reason.prompt_ids[:_NAMED])
    more = f" and {len(reason.prompt_ids) - _NAMED} more" if len(reason.prompt_ids) > _NAMED else ""
    return reason_text(reason, check) + (f"; see {named}{more}" if named else "")


def prompt_text(row: CheckedPrompt) -> str:
    """How often a prompt was answered right, now and before."""
    return f"now {_right(row.now)}" + (f", before {_right(row.before)}" if row.before else "")


def _right(outcomes: Sequence[Outcome]) -> str:
    if not outcomes:
        return "not asked"
    wrong = ", ".join(dict.fromkeys(OUTCOMES[outcome] for outcome in outcomes if outcome is not Outcome.PASS))
    told = f"right in {outcomes.count(Outcome.PASS)} of {counted(len(outcomes), 'run')}"
    return f"{told} ({wrong})" if wrong else told
