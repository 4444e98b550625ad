"""A decision accounted for: what was claimed, how sure that is, and what would change the verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from selfopt.records import Decision, GateResult

from .heldout import CLAIM_LIKE_THESE, CLAIM_THIS_SUITE
from .reasons import REASONS

__all__ = ["REMEDIES", "Account", "account"]

Figures = Mapping[str, float | int | str]
Claim = Literal["a", "b"]

REMEDIES = MappingProxyType(
    {
        "no_data": "a measurement: selfopt supervise MODEL PHASE VARIANT",
        "mostly_errors": "a server that answers: see the errors with selfopt show, then measure again",
        "not_enough_runs": "more runs of the candidate, or a finding that its repeats are copies",
        "baseline_not_enough_runs": "more runs of the baseline, or a finding that its repeats are copies",
        "not_comparable": "both measured on the same suite, split, scorer and server: measure the one that is older again",
        "ceiling": "harder prompts: on these nothing can be better than the baseline",
        "below_margin": "a larger gain, or a smaller policy.promote_margin",
        "not_enough_evidence": "more trials of both: what was gathered is kept and the next cycle goes on from it",
        "not_shown_on_heldout": "a larger gain on prompts that nothing was tuned on, or more held-out prompts",
        "not_tried_on_heldout": "a look at the held-out prompts, in a cycle in which it is the best candidate and alpha is left",
        "no_alpha_left": "a suite with fresh prompts: its looks have an alpha of their own",
        "high_variance": "steadier replies (a lower temperature, a fixed seed)",
        "futile": "another candidate: against this baseline it is not tried again; a changed model, suite or scorer starts anew",
        "behind": "a cycle without the candidate that was ahead of it",
        "worse_on_heldout": "another candidate: what it gains on the search split does not carry over",
        "restraint_worse": "a candidate that keeps quiet where nothing should be called, such as one with a restraint sentence",
        "regression": "an accuracy above the baseline's",
        "low_restraint": "fewer calls where nothing should be called, or a lower policy.restraint_min",
        "extended_minimum": "a stronger model for the extended phase, or a lower policy.extended_phase_min_accuracy",
        "not_above_silent": "more right calls than a model that never calls gets by keeping quiet",
        "not_above_always_calling": "more right answers than calling the first tool each time gets",
    }
)
"""What would change a verdict that rests on a reason code, in plain words."""

_STANDS = (
    "a change of the model, its chat template, the engine, the prompts, the scorer or either spec: the evidence is void then, and the "
    "baseline is measured anew in the next cycle",
    "a later candidate that is promoted over it, or a roll-back (selfopt routes rollback)",
)


@dataclass(frozen=True, slots=True)
class Account:
    """claim: (a) on this suite, or (b) on prompts like these; None: by plain gates alone, which bound nothing. claimed: what it says;
    sure: how sure that is; would_change: what would change the verdict. Sentences for people, without a full stop."""

    claim: Claim | None
    claimed: str
    sure: tuple[str, ...]
    would_change: tuple[str, ...]


def account(decision: Decision) -> Account:
    """Account for a decision, from its own record alone."""
    figures = decision.evidence.figures
    claim = _claim(decision)
    return Account(claim, _claimed(decision, claim), tuple(_sure(decision, figures)), tuple(_would_change(decision)))


def _claim(decision: Decision) -> Claim | None:
    if decision.claim.startswith(CLAIM_THIS_SUITE):
        return "a"
    return "b" if decision.claim == CLAIM_LIKE_THESE else None


def _claimed(decision: Decision, claim: Claim | None) -> str:
    about = {
        "a": "(a) on this suite, and on no other prompts",
        "b": "(b) on prompts like these, judged on prompts that nothing was tuned on",
        None: "by the plain gates alone",
    }[claim]
    if decision.verdict == "hold":
        return f"nothing yet: whether the candidate is better than the baseline is open; asked {about}"
    if decision.verdict == "reject":
        return f"the candidate does not replace the baseline, {about}"
    margin = -float(decision.evidence.figures.get("heldout_null_mean", 0.0))
    if claim == "b" and margin > 0:
        return f"the candidate is better than the baseline on the search prompts, and {about}, not worse by {margin * 100:g} points or more"
    return f"the candidate is better than the baseline, {about}"


def _sure(decision: Decision, figures: Figures) -> list[str]:
    if decision.claim.endswith("exact"):
        return [
            f"exactly: repeats of both are copies, so the difference of {_points(decision.estimate)} is known; it says nothing about other prompts"
        ]
    lines = []
    for prefix, where in (
        ("", "on the search prompts" if "heldout_log_e" in figures else "on these prompts"),
        ("heldout_", "held out"),
    ):
        if f"{prefix}log_e" in figures:
            lines += _bet(figures, prefix, where)
    if not lines and figures.get("heldout_why"):
        lines.append(f"not at all yet: {figures['heldout_why']}")
    if not lines and figures.get("why"):
        lines.append(f"not at all: there was no race ({figures['why']})")
    if not lines:
        lines.append(
            "unknown: the plain gates bound no chance of a false promotion; a cycle (selfopt loop) gathers evidence that does"
        )
    return lines


def _bet(figures: Figures, prefix: str, where: str) -> list[str]:
    """What one e-process says."""

    def get(name: str) -> float:
        return float(figures.get(prefix + name, math.nan))

    null = get("null_mean")
    margin = f"{-null * 100:g} points"
    better, otherwise = ("better", "is not") if null >= 0 else (f"not worse by {margin} or more", f"is worse by {margin} or more")
    border = math.exp(get("log_e_needed"))
    candidates = figures.get(f"{prefix}candidates")
    among = (
        f" (alpha {get('alpha'):.3g} shared by {candidates} candidates)" if isinstance(candidates, int) and candidates > 1 else ""
    )
    reached = "reached" if get("log_e") >= get("log_e_needed") else "did not reach"
    lines = [
        f"{where}: the evidence that it is {better} is E = {math.exp(min(get('log_e'), 700.0)):.3g} after {figures[prefix + 'n_pairs']} pairs and "
        f"{reached} {border:.3g}; the chance that a candidate which {otherwise} ever gets there is at most {get('level'):.3g}{among}, "
        "however often one looks"
    ]
    if f"{prefix}wins" in figures:
        lines.append(f"{where}: {figures[prefix + 'wins']} prompts won, {figures[prefix + 'losses']} lost")
    if f"{prefix}interval_low" in figures:
        lines.append(
            f"{where}: the gain is {_points(get('estimate'))}, and with {get('confidence'):.0%} confidence between "
            f"{_points(get('interval_low'))} and {_points(get('interval_high'))}, at all looks together"
        )
    return lines


def _points(value: float | None) -> str:
    return "unknown" if value is None else f"{value * 100:+.1f} points"


def _would_change(decision: Decision) -> list[str]:
    if decision.verdict == "promote":
        return list(_STANDS)
    return [_remedy(code, decision) for code in decision.reason_codes]


def _remedy(code: str, decision: Decision) -> str:
    """In words, with the gate's figures where it has some."""
    remedy = REMEDIES.get(code, REASONS.get(code, code))
    figures = decision.evidence.figures
    more = figures.get({"not_enough_evidence": "more_trials", "not_shown_on_heldout": "heldout_more_trials"}.get(code, ""))
    gate = next((g for g in decision.gates if g.reason_code == code and g.binding and g.passed is not True), None)
    if more is not None:
        remedy += f" (about {more} more trials, if things go on as they went)"
    elif gate is not None and gate.threshold is not None:
        remedy += f" ({_needs(gate)})"
    return remedy


def _needs(gate: GateResult) -> str:
    def shown(value: float | str | None) -> str:
        return "no data" if value is None else value if isinstance(value, str) else f"{value:.4g}"

    return f"the gate {gate.name} saw {shown(gate.observed)} and needs {shown(gate.threshold)}"
