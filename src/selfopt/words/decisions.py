"""Decisions in plain words: their reasons, what every gate saw, and an account of each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from selfopt.home import counted
from selfopt.records import Decision, GateResult, PromptEvidence, RaceEvidence

from .evidence import CLAIMS, on_prompts, points
from .spending import cost_text

GATES: Mapping[str, str] = {
    "data": "something was measured",
    "comparable": "comparable with the baseline",
    "errors": "few errors",
    "min_runs": "enough runs",
    "baseline_min_runs": "enough runs of the baseline",
    "no_regression": "no loss against the baseline",
    "beats_silent": "better than never calling",
    "beats_always_calling": "better than always calling",
    "variance": "little variance",
    "promote_margin": "a large enough gain",
}
"""What a gate asks for, by its name. A name that is not here is plain enough."""
REASONS: Mapping[str, str] = {
    "gate_failed": "a gate of an installed package failed, so it can't tell",
    # Promote.
    "improved": "every gate passed and the accuracy rose by at least the margin",
    "first_baseline": "every gate passed and there was no baseline yet",
    # Hold, because there is too little or nothing to compare.
    "no_data": "no trial was judged",
    "mostly_errors": "half of the trials or more never reached the model, so nothing was measured about it",
    "not_enough_runs": "too few runs, and the spec is not known to be deterministic",
    "baseline_not_enough_runs": "the baseline has too few runs, and it is not known to be deterministic",
    "not_comparable": "candidate and baseline were not measured alike",
    # Hold, because it is not better.
    "ceiling": "the baseline passes everything, so nothing can be better",
    "below_margin": "the gain is smaller than the margin, and ties keep the baseline",
    "not_enough_evidence": "the evidence that it is better does not suffice yet",
    "not_shown_on_heldout": "on held-out prompts the evidence does not suffice",
    "not_tried_on_heldout": "it was not tried on held-out prompts in this cycle",
    "no_alpha_left": "the chance of error that all decisions on this suite share is used up",
    "high_variance": "the accuracy differs too much from run to run",
    # Reject.
    "futile": "the evidence says that it is not better by as much as is worth finding",
    "behind": "it lies clearly behind another candidate",
    "worse_on_heldout": "on held-out prompts it is worse than the baseline",
    "restraint_worse": "the evidence says that it calls more often where nothing should be called than the baseline does",
    "regression": "the accuracy is below the baseline's, in the median run or in the mean",
    "low_restraint": "tools are called too often where nothing should be called",
    "extended_minimum": "too weak for the extended phase",
    "not_above_silent": "not better than a policy that never calls a tool",
    "not_above_always_calling": "not better than a policy that always calls the first tool",
}

REMEDIES: Mapping[str, str] = {
    "gate_failed": "a newer version of the gate's package, or the package removed",
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
"""What would change a verdict, by its reason code."""


def deciding_gate(decision: Decision) -> GateResult | None:
    """The gate that gave the first reason of a decision; None for a promotion."""
    if decision.verdict == "promote":
        return None
    wanted = decision.reason_codes[0] if decision.reason_codes else None
    return next((g for g in decision.gates if g.reason_code == wanted and g.binding and g.passed is not True), None)


def best_hold_text(decision: Decision) -> str:
    """Names the candidate that came closest, and the gate that stopped it."""
    name, gate = decision.candidate_variant or decision.candidate_spec_id, deciding_gate(decision)
    if gate is None:
        return f"Best candidate: {name}; it was not judged by any gate."
    return (
        f"{on_prompts(f'Best candidate: {name}; stopped by the gate {gate.name}: {gate.detail}', synthetic=decision.synthetic)}."
    )


def explain(decision: Decision) -> list[str]:
    """The decision line by line: the verdict, its reasons, the claim, and what every gate saw."""
    name = decision.candidate_variant or decision.candidate_spec_id
    against = "no baseline yet" if decision.baseline_spec_id is None else f"baseline {decision.baseline_spec_id}"
    lines = [f"{decision.verdict.upper()} {name} for {decision.model} {decision.phase} ({against})"]
    lines += [f"  because {REASONS.get(code, code)} [{code}]" for code in decision.reason_codes]
    if decision.estimate is not None:
        lines.append(f"  accuracy against the baseline: {decision.estimate:+.3f}")
    lines.append(f"  claim: {on_prompts(CLAIMS[decision.claim], synthetic=decision.synthetic)}")
    return lines + [_gate_line(gate) for gate in decision.gates]


def _gate_line(gate: GateResult) -> str:
    word = {True: "pass", False: "FAIL", None: "unknown"}[gate.passed]
    return f"  {word:<7} {gate.name}: {gate.detail}{'' if gate.binding else ' (advice only)'}"


def decision_lines(decision: Decision, *, every_gate: bool = False) -> list[str]:
    """Why a decision was made. Gates that did not pass are explained; the others are only named.

    Args:
        every_gate: explain all gates.
    """
    lines = explain(decision)
    if every_gate:
        return lines[1:]
    split = len(lines) - len(decision.gates)
    opened = [line for line, gate in zip(lines[split:], decision.gates, strict=True) if gate.passed is not True]
    passed = [gate.name for gate in decision.gates if gate.passed is True]
    more = f"more: selfopt decide --explain {decision.decision_id}"
    return [*lines[1:split], *opened, *([f"passed: {', '.join(passed)}"] if passed else []), more]


_STANDS = (
    "a change of the model, its chat template, the engine, the prompts, the scorer or either spec: the evidence is void then, and the "
    "baseline is measured anew in the next cycle",
    "a later candidate that is promoted over it, or a roll-back (selfopt routes rollback)",
)


@dataclass(frozen=True, slots=True)
class Account:
    """A decision accounted for, in sentences without a full stop.

    Attributes:
        claim: `a` is about this suite, `b` about prompts like these. None: by the plain gates
            alone, which bound nothing.
        claimed: what the decision claims.
        sure: how sure that is.
        would_change: what would change the verdict.
        costs: what the looks that it rests on spent, and for which comparisons.
    """

    claim: Literal["a", "b"] | None
    claimed: str
    sure: tuple[str, ...]
    would_change: tuple[str, ...]
    costs: tuple[str, ...] = ()


def account(decision: Decision) -> Account:
    """Accounts for a decision, from its record alone."""
    claim: Literal["a", "b"] | None = None
    if decision.claim != "plain_gates":
        claim = "b" if decision.claim == "prompts_like_these" else "a"
    would_change = _STANDS if decision.verdict == "promote" else tuple(_remedy(code, decision) for code in decision.reason_codes)
    claimed = on_prompts(_claimed(decision, claim), synthetic=decision.synthetic)
    return Account(claim, claimed, tuple(_sure(decision)), would_change, tuple(_costs(decision)))


def _costs(decision: Decision) -> list[str]:
    if decision.claim == "this_suite_exact" and not decision.evidence.costs:
        return [
            "nothing: a known difference on these prompts leaves no chance of error about them, and claims nothing about others"
        ]
    return [line for cost in decision.evidence.costs for line in cost_text(cost)]


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
    """The sentences about one e-process."""
    margin = f"{-seen.null_mean * 100:g} points"
    better, otherwise = (
        ("better", "is not") if seen.null_mean >= 0 else (f"not worse by {margin} or more", f"is worse by {margin} or more")
    )
    if isinstance(seen, PromptEvidence):
        pairs, level, candidates = seen.n, seen.alpha, 1
    else:
        pairs, level, candidates = seen.n_pairs, seen.level, seen.entered_with
    among = f" (alpha {seen.alpha:.3g} shared by {counted(candidates, 'candidate')})" if candidates > 1 else ""
    reached = "reached" if seen.log_e >= seen.log_e_needed else "did not reach"
    lines = [
        f"{where}: the evidence that it is {better} is E = {math.exp(min(seen.log_e, 700.0)):.3g} after {pairs} pairs and "
        f"{reached} {math.exp(seen.log_e_needed):.3g}; the chance that a candidate which {otherwise} ever gets there is at most {level:.3g}{among}, "
        "however often one looks"
    ]
    if isinstance(seen, PromptEvidence):
        each = f", by {seen.repeats} answers of each to every prompt" if seen.repeats > 1 else ""
        lines.append(f"{where}: {counted(seen.wins, 'prompt')} won, {seen.losses} lost{each}")
    if seen.interval is not None:
        lines.append(
            f"{where}: the gain is {points(seen.estimate)}, and with {seen.confidence:.0%} confidence between "
            f"{points(seen.interval[0])} and {points(seen.interval[1])}, at all looks together"
        )
    return lines


def _remedy(code: str, decision: Decision) -> str:
    """What would change a verdict with this reason, with the figures of the gate if it has any."""
    remedy = REMEDIES.get(code, REASONS.get(code, code))
    known = decision.evidence
    part = {"not_enough_evidence": known.race, "not_shown_on_heldout": known.heldout}.get(code)
    more = part.more_trials if isinstance(part, RaceEvidence) else None
    gate = next((g for g in decision.gates if g.reason_code == code and g.binding and g.passed is not True), None)
    if more is not None:
        remedy += f" (about {more} more trials, if things go on as they went)"
    elif gate is not None and gate.threshold is not None:
        remedy += f" (the gate {gate.name} saw {_shown(gate.observed)} and needs {_shown(gate.threshold)})"
    return remedy


def _shown(value: float | str | None) -> str:
    return "no data" if value is None else value if isinstance(value, str) else f"{value:.4g}"
