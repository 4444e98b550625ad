"""The names of claims and metrics, and the sentences about races and their evidence."""

from __future__ import annotations

from collections.abc import Mapping

from selfopt.home import counted
from selfopt.records import Claim, MetricName, RaceEvidence, RaceStanding, RaceStart

CLAIMS: Mapping[Claim, str] = {
    "this_suite": "this suite only",
    "this_suite_exact": "this suite only, exact",
    "prompts_like_these": "prompts like these",
    "plain_gates": "prompts like these, by plain gates only (no bound on the chance of a false promotion)",
}
"""What a decision is about."""

METRICS: Mapping[MetricName, str] = {
    "accuracy": "accuracy",
    "call_accuracy": "call accuracy",
    "restraint": "restraint",
    "capability": "capability",
    "variance": "variance between runs",
    "p50_ms": "p50",
    "p95_ms": "p95",
    "first_call_ms": "first call",
}
"""What people call the metrics."""

SYNTHETIC = "on synthetic prompts"
"""What is said beside every figure that rests on prompts which a model or a template wrote."""

_ENDED = {
    "all_dropped": "all dropped",
    "another_promoted": "another was promoted",
    "server_changed": "what serves has changed",
    "given_up": "its cycle was given up",
}


def on_prompts(text: str, *, synthetic: bool) -> str:
    """A text, which says so where it rests on synthetic prompts."""
    return f"{text}, {SYNTHETIC}" if synthetic else text


def ended_text(kind: str, detail: str = "") -> str:
    """Why a race ended, or a candidate stands as it does. kind: a `RaceEnding` or `StandingReason`."""
    if kind == "server_faults":
        return f"faults of the server: {detail}"
    return detail or _ENDED.get(kind, kind)


def standing_text(race: RaceEvidence) -> str:
    """Why a candidate stands as it does."""
    return ended_text(race.why, race.detail)


def points(value: float | None) -> str:
    """A gain in [-1, 1] as points, such as `+4.5 points`."""
    return "unknown" if value is None else f"{value * 100:+.1f} points"


def race_started(start: RaceStart, blocks: int) -> str:
    """Says that a race begins, or goes on after some blocks."""
    heldout = "held-out " if start.purpose == "heldout" else ""
    level = (
        f"look {start.number} at these {heldout}prompts, with a chance of error of {start.alpha:.3g}"
        if any(not entrant.resumes for entrant in start.entrants)
        else "all resume with their earlier evidence"
    )
    racing = "1 candidate races" if len(start.entrants) == 1 else f"{len(start.entrants)} candidates race"
    again = f"; resumed after {counted(blocks, 'block')}" if blocks else ""
    return f"{start.model} {start.phase}: {racing} over {len(start.prompt_ids)} {heldout}prompts; {level}{again}"


def race_dropped(name: str, standing: RaceStanding, blocks: int) -> str:
    """Says that a candidate is dropped."""
    gain = "" if standing.estimate is None else f" at {points(standing.estimate)}"
    return f"{name} is dropped after {counted(blocks, 'block')}{gain}: {standing_text(standing)}"


def race_over(name: str, best: RaceStanding | None, ended: str, blocks: int, trials: int) -> str:
    """Says how a race ended.

    Args:
        name: the variant of the best candidate.
        best: the winner, or else the held candidate that came closest.
        ended: why, in a few words.
    """
    after = f"after {counted(blocks, 'block')}, {counted(trials, 'trial')}"
    if best is None:
        return f"no candidate is left {after}"
    log_e = f"log E {best.log_e:.2f} of {best.log_e_needed:.2f}"
    if best.state == "promoted":
        return f"{name} wins {after}: {points(best.estimate or 0.0)}, {log_e}"
    more = f"; about {best.more_trials} more trials would decide" if best.more_trials is not None else ""
    return f"held {after}: {ended}; {name} leads with {log_e}{more}"


def block_dropped(number: int, fault: str, discards: int, *, again: bool) -> str:
    """Says that a block is dropped. number and discards count from 0."""
    then = "measured again" if again else f"this happened {discards + 1} times, so the race is held"
    return f"block {number + 1} is dropped for all specs ({fault}); {then}"


def void_text(whose: str, since: str, changed: tuple[str, ...]) -> str:
    """Says that evidence is void. since: completes "changed since"."""
    return f"the evidence {whose} is void and is gathered anew, because this has changed since {since}: {', '.join(changed)}"
