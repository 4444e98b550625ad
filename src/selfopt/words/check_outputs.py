"""What a check says where others read it: in a build's test report, on a pull request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from selfopt.home import counted
from selfopt.records import Check, CheckedPrompt, CheckFigure, CheckReason, Criterion, Outcome, UndecidedCause

from .kinds import OUTCOMES

CRITERIA: Mapping[Criterion, str] = {
    "regression": "no regression",
    "accuracy": "accuracy",
    "call_accuracy": "call accuracy",
    "restraint": "restraint",
    "must_pass": "prompts that must pass",
}
"""What a check asks for."""

CAUSES: Mapping[UndecidedCause, str] = {
    "cap": "a cap ended it",
    "server_faults": "the server failed too often",
    "server_changed": "the server changed while it was asked",
    "runs_used_up": "all recorded runs are used up",
    "asks_used_up": "the prompts were asked as often as a check asks them",
}
"""Why a check is undecided."""

_VERDICTS = {"pass": "passed", "fail": "failed", "undecided": "is undecided"}


def check_sentence(check: Check) -> str:
    """Which check it was, and how it ended."""
    counts = "" if check.verdict != "undecided" else f", which counts as {check.on_undecided}"
    return f"The check of {check.model} {check.variant} on {check.suite} {_VERDICTS[check.verdict]}{counts}."


def figure_text(figure: CheckFigure) -> str:
    """What a figure is, and what it is held against."""
    value = "not measured" if figure.value is None else f"{figure.value:.3f}"
    if figure.criterion == "regression":
        change = "" if figure.change is None else f", a change of {figure.change:+.3f}{_interval(figure)}"
        before = "" if figure.before is None else f", before {figure.before:.3f}"
        return f"accuracy {value}{before}{change}; a loss of {figure.threshold:.3f} has to be ruled out"
    if figure.criterion == "must_pass":
        return f"{value} of them pass"
    return f"{CRITERIA[figure.criterion]} {value}{_interval(figure)}, at least {figure.threshold:.3f} is asked for"


def _interval(figure: CheckFigure) -> str:
    return "" if figure.low is None or figure.high is None else f" ({figure.low:+.3f} to {figure.high:+.3f})"


def reason_text(reason: CheckReason) -> str:
    """Why a check did not pass."""
    verdict = "failed" if reason.cause is None else f"undecided, because {CAUSES[reason.cause]}"
    named = f": {', '.join(reason.prompt_ids[:20])}" if reason.prompt_ids else ""
    more = f" and {len(reason.prompt_ids) - 20} more" if len(reason.prompt_ids) > 20 else ""
    return f"{CRITERIA[reason.criterion]} {verdict}{named}{more}{f' ({reason.detail})' if reason.detail else ''}"


def prompt_text(row: CheckedPrompt) -> str:
    """How often a prompt was answered right, now and before."""
    return f"now {_right(row.now)}" + (f", before {_right(row.before)}" if row.before else "")


def _right(outcomes: Sequence[Outcome]) -> str:
    if not outcomes:
        return "not asked"
    wrong = ", ".join(dict.fromkeys(OUTCOMES[outcome] for outcome in outcomes if outcome is not Outcome.PASS))
    told = f"right in {outcomes.count(Outcome.PASS)} of {counted(len(outcomes), 'run')}"
    return f"{told} ({wrong})" if wrong else told
