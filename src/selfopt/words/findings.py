"""The sentences about findings, experiments and remedies."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Literal

from selfopt.home import counted
from selfopt.records import (
    UNKNOWN_FORMAT,
    CallInThinkingFigures,
    CapabilityLimitFigures,
    CeilingFigures,
    ColdFailuresFigures,
    Confirmation,
    DriftFigures,
    Evaluation,
    Figures,
    Finding,
    FlakyFigures,
    InfrastructureFigures,
    MixedCapabilityFigures,
    OtherFigures,
    Phase,
    RefusedFigures,
    RemedyCheck,
    Run,
    SlowFirstCallFigures,
    TruncationFigures,
    UnreadFormatFigures,
    WarmUpExperiment,
)

from .causes import REMEDIES, TITLES
from .thresholds import share_text

Advice = Literal[
    "warm_up",
    "proven_warm_up",
    "no_cold_start",
    "warm_already",
    "unread_format",
    "call_in_thinking",
    "truncation",
    "flaky",
    "drift",
    "infrastructure",
    "refused",
    "other",
]
_SHORT_ID = 8  # characters at the end of an id by which commands find it
_EXAMPLE = 100  # characters of an unread call that a sentence shows
_SAID = 160  # characters of a server's words that a sentence shows
_ADVICE: dict[Advice, str] = {
    "warm_up": "warm the model up before the first request",
    "proven_warm_up": "warm-up was tried, cold and warm runs in turn; warm the model up before the first request",
    "no_cold_start": "look for another cause than a cold start",
    "warm_already": "warm-up is on already and does not prevent it",
    "unread_format": "use a variant whose parsers read it",
    "call_in_thinking": "raise the budget of thinking and of the answer, or check the server's chat template",
    "truncation": "raise the token budget",
    "flaky": "measure more runs, or isolate requests and lower the temperature",
    "drift": "look for what has changed, and measure again",
    "infrastructure": "look at the server and the network, or allow retries",
    "refused": "see what the server says",
    "other": "look into it, and measure again",
}


def summary(figures: Figures) -> str:
    """What was found, no stronger than its figures."""
    match figures:
        case ColdFailuresFigures():
            return _cold_failures(figures)
        case SlowFirstCallFigures() as f:
            slow = f"the first call after a load takes {f.first_call_ms:.0f} ms against a median of {f.p50_ms:.0f} ms"
            return f"{slow}: about {f.load_ms:.0f} ms of it is the load"
        case CapabilityLimitFigures():
            return _capability_limit(figures)
        case MixedCapabilityFigures() as f:
            where = f"; {counted(f.unserved, 'tool set')} of {f.tool_sets} has no answer among these" if f.unserved else ""
            sure = f"{f.served} of {f.n} answers are as sure as it takes, and {f.bad} of these are wrong"
            return (
                f"right when it is sure: {sure} (at most {share_text(f.upper)}, {share_text(f.max_bad_share)} is allowed){where}"
            )
        case FlakyFigures() as f:
            return f"{f.prompts} of {f.of} prompts {'passes and fails' if f.prompts == 1 else 'pass and fail'} from run to run (such as {f.example})"
        case UnreadFormatFigures() as f:
            unknown = "format not recorded" if f.example is None else "of no family that is known"
            seen = unknown if f.format == UNKNOWN_FORMAT else f"mostly {_family(f)}"
            such = f"; such as {f.example[:_EXAMPLE]!r}" if f.example else ""
            return f"{f.unparsed} of {f.of} replies {'holds' if f.unparsed == 1 else 'hold'} a tool call in a format that this variant does not read ({seen}{such})"
        case CallInThinkingFigures() as f:
            return f"{f.thought} of {f.of} replies that need a tool call {'holds' if f.thought == 1 else 'hold'} it in their thinking alone"
        case TruncationFigures() as f:
            mute = " and no call was right: the budget went into text" if f.calls_right == 0 else ""
            return f"{f.truncated} of {f.of} replies {'was' if f.truncated == 1 else 'were'} cut off at the token budget{mute}"
        case DriftFigures():
            return _drift(figures)
        case CeilingFigures() as f:
            every = "the only trial passes" if f.n == 1 else f"all {f.n} trials pass"
            return f"{every}: this suite cannot show an improvement"
        case InfrastructureFigures() as f:
            return f"{counted(f.errors, 'error')} and {counted(f.timeouts, 'timeout')} in {counted(f.of, 'trial')}, with no load of the model to explain them"
        case RefusedFigures() as f:
            said = f' (the server says "{f.said[:_SAID]}")' if f.said else ""
            return f"{f.refused} of {f.of} prompts got no reply because {TITLES[f.cause]}{said}"
        case OtherFigures() as f:
            shown = (f"{name} {value}" if isinstance(value, str) else f"{name} {value:.4g}" for name, value in f.values.items())
            return f"{f.cause or 'another cause'} ({', '.join(shown) or 'no figures'})"


def _family(f: UnreadFormatFigures) -> str:
    return f.format if f.title is None or f.title == f.format else f"{f.format}: {f.title}"


_READ_BY: dict[str, str] = {
    UNKNOWN_FORMAT: "such",
    "native": "damaged native",
    "json": "JSON",
    "xml": "tagged",
    "bracket": "bracketed",
    "python_call": "Python",
    "react": "ReAct",
}
"""What calls are called that no family of the table writes."""


def unread_advice(model: str, phase: Phase, variant: str, f: UnreadFormatFigures, runs: Sequence[str]) -> str:
    """What helps against calls that a variant does not read. runs: the ids of the runs that have them."""
    name = f.title or _READ_BY.get(f.format, f.format)
    own = f"use the server's own parser ({f.server_parser})" if f.server_parser else "use the server's own parser, if it has one"
    if f.read_by is not None:
        command = f"selfopt rescore {' '.join(run[-_SHORT_ID:] for run in runs) or 'RUN'} --parser {f.read_by}"
        return f"no parser of {variant} reads {name} calls: read them with the chain {f.read_by} (`{command}`), or {own}"
    # The variants that are named like the phases tell the model how to write calls.
    return f"no parser reads {name} calls: {own}, or ask for another format (`selfopt run {model} {phase} {phase}@2`)"


def _cold_failures(f: ColdFailuresFigures) -> str:
    who, such = f"{f.prompts} of {f.of} prompts", f"(such as {f.example})"
    if f.load_seen:
        what = f"fail while the model is being loaded and not afterwards {such}"
        return f"{who} {what}: {f.failures} failures are a cold start"
    told = "although no load was seen" if f.no_load_in_cold_runs else "nothing is known of loads"
    what = f"fail in their first runs and not afterwards {such}, more than chance explains (p = {f.p_value:.2g})"
    return f"{who} {what}; {told}: {f.failures} failures look like a cold start"


def _capability_limit(f: CapabilityLimitFigures) -> str:
    mute = "it never calls a tool: " if f.mute else ""
    calls = "unknown" if f.call_accuracy is None else f"{f.call_accuracy:.3f}"
    return (
        f"with this variant {mute}accuracy {f.accuracy:.3f}, call accuracy {calls} over {f.n} whole, readable replies; "
        f"at most {f.upper_bound:.3f} is plausible where {f.minimum:.3f} is asked"
    )


def _drift(f: DriftFigures) -> str:
    if f.runs is None:
        fell = f"accuracy fell from {f.before:.3f} to {f.after:.3f} although this spec is deterministic"
        return f"{fell}: something that is not observed has changed"
    halves = f"accuracy {f.before:.3f} in the first half of {f.runs} runs, {f.after:.3f} in the second"
    return f"later runs are worse: {halves} (p = {f.p_value:.2g})"


def remedy_text(
    model: str,
    phase: Phase,
    advice: Advice,
    findings: Sequence[Finding],
    confirmation: Confirmation | None = None,
    *,
    variant: str = "this variant",
) -> str:
    """Why a remedy is recommended, what it is, and how sure it is to help. variant: the measured one."""
    sure = () if confirmation is None else (confirmation.told,)
    helps = _ADVICE[advice]
    # The rows of an earlier version have no example: what was advised because of them stays.
    for found in findings if advice == "unread_format" else ():
        if isinstance(found.figures, UnreadFormatFigures) and found.figures.example is not None:
            helps = unread_advice(model, phase, variant, found.figures, found.run_ids)
            break
    causes = [found.figures.cause for found in findings if isinstance(found.figures, RefusedFigures)]
    if advice == "refused" and causes:
        helps = REMEDIES[causes[0]]
    if advice == "call_in_thinking" and (trial := next((id_ for found in findings for id_ in found.trial_ids), "")):
        helps = f"{helps}; `selfopt show {trial[-_SHORT_ID:]}` shows one of them"
    return f"{model} on {phase}: {'; '.join((*(f.summary for f in findings), helps, *sure))}"


def not_confirmed_yet(model: str, phase: Phase) -> str:
    """What to say about a warm-up without an experiment."""
    return f"not confirmed yet: run selfopt supervise {model} {phase} --validate-warm-up --runs 4"


def experiment_text(seen: WarmUpExperiment) -> str:
    """What an experiment says about a warm-up, with its figures."""
    count = counted(len(seen.tested), "prompt")
    runs = f"{seen.cold_runs} cold and {seen.warm_runs} warm runs"
    calls = f"first call {median(seen.first_call_cold_ms):.0f} -> {median(seen.first_call_warm_ms):.0f} ms"
    if seen.outcomes_confirmed:
        return f"confirmed (Bayes factor {seen.bayes_factor}, {count}, {runs})"
    if seen.latency_confirmed:
        return f"confirmed for latency ({calls}, {runs}, p = {seen.first_call_p:.2g})"
    if seen.harmed:
        return f"not confirmed (outcomes are worse when warm, {calls}, {runs})"
    if seen.conclusive:
        return f"not confirmed (Bayes factor {seen.bayes_factor}, {count}, {calls}, {runs})"
    if seen.unloads < seen.cold_runs:
        unloads = f"before {seen.unloads} of {seen.cold_runs} cold runs only"
        return f"not confirmed yet: the model is known to have been unloaded {unloads}"
    return f"{not_confirmed_yet(seen.model, seen.phase)} ({runs} are too few)"


HELPED = {True: "helped", False: "did not help", None: "not decided"}


def check_text(check: RemedyCheck) -> str:
    """What came of a remedy, for people who watch the loop."""
    what = "" if check.helped is not False else ", withdrawn" if check.withdrawn else ", it stays"
    return f"{check.model} {check.phase}: {check.claim}: {HELPED[check.helped]}{what} ({check.detail})"


def withdrawn_text(check: RemedyCheck) -> str:
    """Why a rule loses its warm-up."""
    return f"{check.model} on {check.phase}: {check.claim} did not help ({check.detail}); withdrawn, no warm-up"


def _accuracy(then: Evaluation, now: Evaluation) -> str:
    return f"accuracy {then.metrics.accuracy:.0%} -> {now.metrics.accuracy:.0%}"


def variant_checked(then: Evaluation, now: Evaluation, *, alike: bool) -> str:
    """A promoted variant against the one it replaced. alike: same prompts and scorer."""
    warm = " and warm-up" if now.warm_up and not then.warm_up else ""
    changed = "" if alike else "; the suite or the scorer has changed in between"
    return f"{_accuracy(then, now)} with {now.variant}{warm}{changed}"


def fallback_checked(then: Evaluation, now: Evaluation) -> str:
    """A fallback (now) against the model that it replaces (then)."""
    return f"{_accuracy(then, now)} served by {now.model}"


def escalation_checked(served: int, bad: int, n: int, allowed: float, *, others: int = 0) -> str:
    """What came of serving when sure, on fresh replies.

    Args:
        n: how many there are to tools that the threshold is about.
        others: how many there are to others, which escalate.
    """
    beside = f"{counted(others, 'fresh answer')} to tools that the calibration does not have, which escalate" if others else ""
    if not n:
        return f"there are only {beside}; they say nothing of what is served"
    told = f"{served} of {counted(n, 'fresh answer')} are served, {bad} of these are wrong; {share_text(allowed)} is allowed"
    return f"{told}; beside these {beside}" if beside else told


def idle_text(run: Run | None) -> str:
    """Why a warm-up proves nothing: it was not completed, or it had nothing to do."""
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
    """A warm-up (now) against a cold measurement.

    Args:
        wait_ms: the wait for the first call, before and after. If the variants differ, it is the
            wait beyond the median.
        problem: why the warm-up proves nothing; None if it did its work.
        by_hand: a person set the rule, so it stays although it did not help.
    """
    parts = [f"first call {wait_ms[0]:.0f} -> {wait_ms[1]:.0f} ms"]
    if cold.variant != now.variant:
        parts = [f"{parts[0]} over the median", f"the cold one was {cold.variant}'s"]
    elif now.metrics.accuracy > cold.metrics.accuracy:
        parts = [f"{parts[0]}, {_accuracy(cold, now)}"]
    parts += [] if problem is None else [problem]
    parts += [] if experiment is None else [f"the experiment: {experiment_text(experiment)}"]
    return "; ".join([*parts, *(["the rule was set by hand and stays"] if by_hand else [])])
