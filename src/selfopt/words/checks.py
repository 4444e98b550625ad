"""What a check says: its verdict, its figures and its reasons, as sentences."""

from __future__ import annotations

from collections.abc import Mapping

from selfopt.home import counted
from selfopt.records import Check, CheckFigure, CheckMethod, CheckReason, CheckVerdict, Criterion, UndecidedCause

from .evidence import on_prompts

CHECK_VERDICTS: Mapping[CheckVerdict, str] = {"pass": "passes", "fail": "fails", "undecided": "undecided"}
"""What people call a verdict."""

CRITERIA: Mapping[Criterion, str] = {
    "regression": "no regression",
    "accuracy": "accuracy",
    "call_accuracy": "call accuracy",
    "restraint": "restraint",
    "must_pass": "must pass",
}
"""What people call a criterion."""

CAUSES: Mapping[UndecidedCause, str] = {
    "cap": "a cap was reached",
    "server_faults": "faults of the server",
    "server_changed": "what serves changed during the check",
    "runs_used_up": "the recorded runs are used up; record more of them: selfopt check --record FILE --runs N",
    "recorded_once": "the state holds one run of each prompt, and now the same prompt gets different answers; record it again",
    "asks_used_up": "no prompt is asked more often",
}

METHODS: Mapping[CheckMethod, str] = {
    "exact": "exact: repeats are copies",
    "paired": "evidence by betting on the differences of both, asked in the same blocks",
    "recorded": "exact two-sample test against the recorded runs, stratified by prompt",
    "one_arm": "evidence by betting on the answers",
}
"""Which test decided."""


def percent(share: float | None) -> str:
    """A share such as `91.3 %`."""
    return "-" if share is None else f"{share * 100:.1f} %"


def points_of(value: float) -> str:
    """A difference in points, such as `-4.2 points`."""
    return f"{round(value * 100, 1) + 0.0:+.1f} points"


def verdict_text(check: Check) -> str:
    """The verdict in one line, with what it is about."""
    counts = ""
    if check.verdict == "undecided":
        counts = f", which counts as {check.on_undecided}"
    prompts = counted(len(check.rows), "prompt") + ("" if check.split == "all" else f" of the split {check.split}")
    what = on_prompts(f"{check.suite}, {prompts}", synthetic=check.synthetic)
    return f"{check.model} {check.variant} {CHECK_VERDICTS[check.verdict]}{counts} ({what})"


def compared_text(check: Check) -> str | None:
    """What it was compared with, and how; None where nothing was compared."""
    other = check.compared_with
    if other is None:
        return None
    name = f"{other.model} {other.variant}"
    state = f" of {other.file}, recorded {(other.recorded_at or '')[:10]}" if other.file else ""
    how = "asked again in the same blocks" if other.asked_again else "not asked again: its recorded runs stand for it"
    method = next((figure.method for figure in check.figures if figure.criterion == "regression"), None)
    if method == "exact":
        how = "both are exact, so one pass tells all" if other.asked_again else "its recorded outcomes are exact"
    if other.recorded_accuracy is not None:
        how += f"; it passes less often now than when it was recorded, {percent(other.recorded_accuracy)} then: what serves it has changed"
    return f"compared with {name}{state}; {how}"


def figure_text(figure: CheckFigure) -> str:
    """What was found about one criterion."""
    if figure.criterion == "must_pass":
        return f"{percent(figure.value)} of these prompts are shown to pass; one that passes less often than {percent(figure.threshold)} fails"
    if figure.criterion == "regression":
        change = "unknown" if figure.change is None else points_of(figure.change)
        between = _between(figure.low, figure.high, points=True)
        return f"{percent(figure.before)} before, {percent(figure.value)} now: {change}{between}"
    return f"{percent(figure.value)}{_between(figure.low, figure.high, points=False)}; at least {percent(figure.threshold)} is asked for"


def _between(low: float | None, high: float | None, *, points: bool) -> str:
    if low is None or high is None:
        return ""
    return (
        f" ({points_of(low).removesuffix(' points')} to {points_of(high)})" if points else f" ({percent(low)} to {percent(high)})"
    )


def reason_text(reason: CheckReason, check: Check) -> str:
    """Why it did not pass."""
    figure = next(one for one in check.figures if one.criterion == reason.criterion)
    if reason.verdict == "undecided":
        why = CAUSES[reason.cause] if reason.cause is not None else "it ended early"
        return f"{CRITERIA[reason.criterion]} is undecided: {why}{f': {reason.detail}' if reason.detail else ''}"
    sure = _sure(figure)
    if reason.criterion == "must_pass":
        return f"{counted(len(reason.prompt_ids), 'prompt')} that must pass: too seldom right ({sure})"
    if reason.criterion == "regression":
        return f"it passes less often than before: {points_of(figure.change or 0.0)} ({sure})"
    return f"{CRITERIA[reason.criterion]} {percent(figure.value)} is below {percent(figure.threshold)} ({sure})"


def _sure(figure: CheckFigure) -> str:
    """How sure a failure is."""
    return "exact" if figure.method == "exact" else f"chance of error at most {figure.alpha:.2g}"


def cost_text(check: Check) -> str:
    """What the check took."""
    cost = "" if check.cost is None or not check.cost else f", {check.cost:.4f} {check.currency}".rstrip()
    blocks = f" in {counted(check.blocks, 'block')}" if check.blocks else ""
    return f"{counted(check.trials, 'trial')}{blocks}{cost}; {check.check_id}"
