"""A decision accounted for: what was claimed, how sure that is, and what would change the verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from selfopt.records import Decision, GateResult, PromptEvidence, RaceEvidence

from .evidence import points
from .reasons import REASONS, REMEDIES

_STANDS = (
    "a change of the model, its chat template, the engine, the prompts, the scorer or either spec: the evidence is void then, and the "
    "baseline is measured anew in the next cycle",
    "a later candidate that is promoted over it, or a roll-back (selfopt routes rollback)",
)


@dataclass(frozen=True, slots=True)
class Account:
    """claim: (a) on this suite, or (b) on prompts like these; None: by plain gates alone, which bound nothing. claimed: what it says;
    sure: how sure that is; would_change: what would change the verdict. Sentences for people, without a full stop."""

    claim: Literal["a", "b"] | None
    claimed: str
    sure: tuple[str, ...]
    would_change: tuple[str, ...]


def account(decision: Decision) -> Account:
    """Account for a decision, from its own record alone."""
    claim: Literal["a", "b"] | None = None
    if decision.claim != "plain_gates":
        claim = "b" if decision.claim == "prompts_like_these" else "a"
    return Account(claim, _claimed(decision, claim), tuple(_sure(decision)), tuple(_would_change(decision)))


def _claimed(decision: Decision, claim: Literal["a", "b"] | None) -> str:
    about = {
        "a": "(a) on this suite, and on no other prompts",
        "b": "(b) on prompts like these, judged on prompts that nothing was tuned on",
        None: "by the plain gates alone",
    }[claim]
    if decision.verdict == "hold":
        return f"nothing yet: whether the candidate is better than the baseline is open; asked {about}"
    if decision.verdict == "reject":
        return f"the candidate does not replace the baseline, {about}"
    heldout = decision.evidence.heldout
    margin = -heldout.null_mean if heldout is not None else 0.0
    if claim == "b" and margin > 0:
        return f"the candidate is better than the baseline on the search prompts, and {about}, not worse by {margin * 100:g} points or more"
    return f"the candidate is better than the baseline, {about}"


def _sure(decision: Decision) -> list[str]:
    known = decision.evidence
    if decision.claim == "this_suite_exact":
        return [
            f"exactly: repeats of both are copies, so the difference of {points(decision.estimate)} is known; it says nothing about other prompts"
        ]
    lines = []
    if known.race is not None:
        lines += _bet(known.race, "on the search prompts" if known.heldout is not None else "on these prompts")
    if known.heldout is not None:
        lines += _bet(known.heldout, "held out")
    if lines:
        return lines
    if known.not_tried is not None:
        return [f"not at all yet: {known.not_tried}"]
    if known.not_raced is not None:
        return [f"not at all: there was no race ({known.not_raced.detail})"]
    return ["unknown: the plain gates bound no chance of a false promotion; a cycle (selfopt loop) gathers evidence that does"]


def _bet(seen: RaceEvidence | PromptEvidence, where: str) -> list[str]:
    """What one e-process says."""
    margin = f"{-seen.null_mean * 100:g} points"
    better, otherwise = (
        ("better", "is not") if seen.null_mean >= 0 else (f"not worse by {margin} or more", f"is worse by {margin} or more")
    )
    if isinstance(seen, PromptEvidence):
        pairs, level, candidates = seen.n, seen.alpha, 1
    else:
        pairs, level, candidates = seen.n_pairs, seen.level, seen.entered_with
    among = f" (alpha {seen.alpha:.3g} shared by {candidates} candidates)" if candidates > 1 else ""
    reached = "reached" if seen.log_e >= seen.log_e_needed else "did not reach"
    lines = [
        f"{where}: the evidence that it is {better} is E = {math.exp(min(seen.log_e, 700.0)):.3g} after {pairs} pairs and "
        f"{reached} {math.exp(seen.log_e_needed):.3g}; the chance that a candidate which {otherwise} ever gets there is at most {level:.3g}{among}, "
        "however often one looks"
    ]
    if isinstance(seen, PromptEvidence):
        lines.append(f"{where}: {seen.wins} prompts won, {seen.losses} lost")
    if seen.interval is not None:
        lines.append(
            f"{where}: the gain is {points(seen.estimate)}, and with {seen.confidence:.0%} confidence between "
            f"{points(seen.interval[0])} and {points(seen.interval[1])}, at all looks together"
        )
    return lines


def _would_change(decision: Decision) -> list[str]:
    if decision.verdict == "promote":
        return list(_STANDS)
    return [_remedy(code, decision) for code in decision.reason_codes]


def _remedy(code: str, decision: Decision) -> str:
    """In words, with the gate's figures where it has some."""
    remedy = REMEDIES.get(code, REASONS.get(code, code))
    known = decision.evidence
    part = {"not_enough_evidence": known.race, "not_shown_on_heldout": known.heldout}.get(code)
    more = part.more_trials if isinstance(part, RaceEvidence) else None
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
