"""Turns what the gates saw into a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from selfopt.records import (
    Claim,
    Decision,
    Environment,
    Evaluation,
    EvidenceState,
    ExactDifference,
    GateResult,
    PolicyThresholds,
    VerdictName,
    content_hash,
    utc_now,
)

from .gates import GATES, Gate, GateCase, Look

_FAILED: Look | None = Look(None, None, None, "the gate failed; update its package, or remove it", reason_code="gate_failed")


def decide(
    candidate: Evaluation,
    baseline: Evaluation | None,
    thresholds: PolicyThresholds,
    *,
    evidence: EvidenceState | None = None,
    gates: Iterable[Gate] | None = None,
    environments: Iterable[Environment] = (),
    cycle_id: str | None = None,
    now: str | None = None,
) -> Decision:
    """Promotes, holds or rejects a candidate against the baseline.

    The verdict is hold until every precondition has passed. Then a failed binding gate that rejects
    makes it reject, and any other binding gate that did not pass makes it hold. Otherwise the
    candidate is promoted. The decision keeps what every gate saw. Equal inputs give the same
    decision_id.

    Args:
        baseline: None if the candidate may become the first baseline.
        evidence: what races and tests say. None selects the plain policy: the figures alone decide,
            and nothing bounds the chance of a false promotion.
        gates: the gates to ask, in order. Default: all of `GATES`.
        environments: the environments of the evaluations. Without them, only evaluations with equal
            environment ids are comparable.
        now: RFC 3339 in UTC. Default: the clock.
    """
    case = GateCase(candidate, baseline, thresholds, evidence, {e.environment_id: e for e in environments})
    asked = GATES.ask(lambda gate: _looked(gate, case), _FAILED) if gates is None else ((g.name, g.look(case)) for g in gates)
    seen = [(name, look) for name, look in asked if look is not None]
    looks = [look for _, look in seen]
    verdict = _verdict(looks)
    comparable = all(not look.open for look in looks if look.precondition)
    gain = candidate.metrics.accuracy - baseline.metrics.accuracy if baseline is not None else None
    claim = _claim(case)
    known = gain if claim == "this_suite_exact" and comparable else None
    told, state = _told(evidence), evidence or EvidenceState()
    if known is not None:
        state = state.model_copy(update={"exact": ExactDifference(gain=known, prompts=len(candidate.rows))})
    draft = Decision(
        decision_id="",
        verdict=verdict,
        model=candidate.model,
        phase=candidate.phase,
        candidate_spec_id=candidate.spec_id,
        baseline_spec_id=baseline.spec_id if baseline is not None else None,
        candidate_variant=candidate.variant,
        claim=claim,
        estimate=told[0] if told is not None else gain if comparable else None,
        interval=told[1] if told is not None else None if known is None else (known, known),
        gates=tuple(_result(name, look) for name, look in seen),
        reason_codes=_codes(looks, verdict, baseline is None),
        evidence=state,
        evaluation_ids=tuple(dict.fromkeys(side.evaluation_id for side in case.sides)),
        run_ids=tuple(dict.fromkeys(run_id for side in case.sides for run_id in side.run_ids)),
        cycle_id=cycle_id,
        synthetic=all(side.synthetic for side in case.sides),
        at=now if now is not None else utc_now(),
    )
    return draft.model_copy(update={"decision_id": content_hash("decision", draft)})


def _result(name: str, look: Look) -> GateResult:
    return GateResult(
        name=name,
        observed=look.observed,
        threshold=look.threshold,
        passed=look.passed,
        binding=look.binding,
        on_fail=look.on_fail,
        reason_code=look.reason_code,
        detail=look.detail,
    )


def _told(evidence: EvidenceState | None) -> tuple[float, tuple[float, float] | None] | None:
    """The estimate and interval of the evidence; None if it has no estimate.

    A claim about other prompts uses the held-out figures, because those of the search flatter the
    winner.
    """
    if evidence is None:
        return None
    parts = (evidence.heldout if evidence.claim == "prompts_like_these" else None, evidence.race)
    found = next((part for part in parts if part is not None and part.estimate is not None), None)
    return None if found is None or found.estimate is None else (found.estimate, found.interval)


def _claim(case: GateCase) -> Claim:
    claimed = case.evidence.claim if case.evidence is not None else None
    if claimed == "prompts_like_these":
        return claimed
    if case.candidate.scope != "whole" and claimed != "this_suite":
        return "plain_gates"
    return "this_suite_exact" if all(side.has_copies for side in case.sides) else "this_suite"


def _looked(gate: Gate, case: GateCase) -> Look | None:
    look = gate.look(case)
    if not isinstance(look, Look | None):
        raise TypeError("a gate returns a Look or None")
    return look


def _verdict(looks: Sequence[Look]) -> VerdictName:
    if any(look.open for look in looks if look.precondition):
        return "hold"
    if any(look.open and look.passed is False and look.on_fail == "reject" for look in looks):
        return "reject"
    # Without any gate there is no evidence, so nothing is promoted.
    return "hold" if not looks or any(look.open for look in looks) else "promote"


def _codes(looks: Sequence[Look], verdict: VerdictName, first: bool) -> tuple[str, ...]:
    """The reasons that decided, most decisive first."""
    if verdict == "promote":
        return ("first_baseline" if first else "improved",)
    in_the_way = [look for look in looks if look.open]
    if any(look.precondition for look in in_the_way):
        # Without comparable data, the figures of the other gates mean nothing.
        in_the_way = [look for look in in_the_way if look.precondition]
    elif verdict == "reject":
        in_the_way.sort(key=lambda look: not (look.passed is False and look.on_fail == "reject"))
    codes = list(dict.fromkeys(look.reason_code for look in in_the_way))
    if "ceiling" in codes and "below_margin" in codes:
        codes.remove("below_margin")
    return tuple(codes) or ("no_data",)


def best_hold(decisions: Sequence[Decision]) -> Decision | None:
    """The candidate that came closest to a promotion; None if every one was promoted.

    The largest gain wins. Ties go to a hold before a reject, then to the fewest open gates.
    """

    def rank(decision: Decision) -> tuple[float, bool, int]:
        gates_open = sum(g.binding and g.passed is not True for g in decision.gates)
        gain = decision.estimate if decision.estimate is not None else -2.0
        return gain, decision.verdict == "hold", -gates_open

    return max((d for d in decisions if d.verdict != "promote"), key=rank, default=None)
