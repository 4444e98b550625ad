"""A check of a build: its verdict, what showed it, and the prompts that matter with their trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from selfopt.errors import UsageError
from selfopt.ui.ages import age
from selfopt.ui.asked import Asked, PageAnswer, PageError

if TYPE_CHECKING:
    from selfopt.records import Check
    from selfopt.verbs.opening import App

MOST_PROMPTS = 100


def tone_of(check: Check) -> str:
    """How a verdict is shown."""
    return "good" if check.verdict == "pass" else "attention" if check.passes else "bad"


def listed(app: App) -> dict[str, Any]:
    """What the list of checks needs."""
    from selfopt.verbs.check_listing import newest_checks
    from selfopt.words.checks import CHECK_VERDICTS

    return {"checks": newest_checks(app), "check_verdicts": CHECK_VERDICTS, "check_tone": tone_of}


async def show_past_check(asked: Asked) -> PageAnswer:
    """Draw one check."""
    return asked.site.page(asked, "check.html", **await asked.site.in_thread(_past_check, asked.site.app, asked.parts["id"]))


def _past_check(app: App, check_id: str) -> dict[str, Any]:
    from selfopt.report.check_page import telling_rows
    from selfopt.verbs.showing import shown_check
    from selfopt.words import checks as words
    from selfopt.words.check_outputs import prompt_text

    try:
        check = shown_check(app, check_id)
    except UsageError as error:
        raise PageError(404, "There is no such check", str(error)) from None
    telling = telling_rows(check)
    rows = [*telling, *(row for row in check.rows if row not in telling)]
    return {
        "title": f"Check of {check.model}",
        "active": "experiments",
        "check": check,
        "rows": rows[:MOST_PROMPTS],
        "left_out": max(0, len(rows) - MOST_PROMPTS),
        "tone": tone_of(check),
        "words": words,
        "prompt_text": prompt_text,
        "age": age,
    }
