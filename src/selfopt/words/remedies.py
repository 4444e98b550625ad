"""The sentences of remedies in force: what they claimed, what was measured, what is withdrawn."""

from __future__ import annotations

from selfopt.records import Evaluation, RemedyCheck, Run, WarmUpExperiment

from .findings import experiment_text

HELPED = {True: "helped", False: "did not help", None: "not decided"}


def check_text(check: RemedyCheck) -> str:
    """What came of a remedy, for somebody who watches the loop."""
    what = "" if check.helped is not False else ", withdrawn" if check.withdrawn else ", it stays"
    return f"{check.model} {check.phase}: {check.claim}: {HELPED[check.helped]}{what} ({check.detail})"


def withdrawn_text(check: RemedyCheck) -> str:
    """Why a rule is to do without a warm-up."""
    return f"{check.model} on {check.phase}: {check.claim} did not help ({check.detail}); withdrawn, no warm-up"


def _accuracy(then: Evaluation, now: Evaluation) -> str:
    return f"accuracy {then.metrics.accuracy:.0%} -> {now.metrics.accuracy:.0%}"


def variant_checked(then: Evaluation, now: Evaluation, *, alike: bool) -> str:
    """A promoted variant against what it replaced. alike: on the same prompts, by the same scorer."""
    warm = " and warm-up" if now.warm_up and not then.warm_up else ""
    changed = "" if alike else "; the suite or the scorer has changed in between"
    return f"{_accuracy(then, now)} with {now.variant}{warm}{changed}"


def fallback_checked(then: Evaluation, now: Evaluation) -> str:
    """A fallback (now) against the model that it stands in for."""
    return f"{_accuracy(then, now)} served by {now.model}"


def idle_text(run: Run | None) -> str:
    """Why a warm-up shows nothing about itself: it was not made to the end, or had nothing to do."""
    if run is not None and run.warm_up.status == "complete":
        return "the model was loaded already, so the warm-up had nothing to do"
    return f"the warm-up was {run.warm_up.status if run else 'not recorded'}"


def warm_up_checked(
    cold: Evaluation,
    now: Evaluation,
    wait_ms: tuple[float, float],
    problem: str | None,
    experiment: WarmUpExperiment | None,
    *,
    by_hand: bool,
) -> str:
    """A warm-up against a cold measurement.

    wait_ms: for the first call before and after, over the median where the variants differ. problem: why it shows nothing; None:
    it did its work. by_hand: the rule was set by a person and stays, although it did not help.
    """
    parts = [f"first call {wait_ms[0]:.0f} -> {wait_ms[1]:.0f} ms"]
    if cold.variant != now.variant:
        parts = [f"{parts[0]} over the median", f"the cold one was {cold.variant}'s"]
    elif now.metrics.accuracy > cold.metrics.accuracy:
        parts = [f"{parts[0]}, {_accuracy(cold, now)}"]
    parts += [] if problem is None else [problem]
    parts += [] if experiment is None else [f"the experiment: {experiment_text(experiment)}"]
    return "; ".join([*parts, *(["the rule was set by hand and stays"] if by_hand else [])])
