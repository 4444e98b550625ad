"""From what the gates saw to a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from selfopt.records import (
    Decision,
    Environment,
    Evaluation,
    GateResult,
    PolicyThresholds,
    VerdictName,
    content_hash,
    utc_now,
)

from .gates import PLAIN_POLICY, Case, Policy, is_exact
from .heldout import CLAIM_LIKE_THESE, CLAIM_THIS_SUITE

__all__ = ["decide"]

CLAIM_EXACT = "this suite only, exact"
CLAIM_SAMPLE = "prompts like these, by plain gates only (no bound on the chance of a false promotion)"


@dataclass(frozen=True, slots=True)
class _Seen:
    result: GateResult
    precondition: bool

    @property
    def open(self) -> bool:
        """Whether it stands in the way: failed, or not known to have passed."""
        return self.result.binding and self.result.passed is not True


def decide(
    candidate: Evaluation,
    baseline: Evaluation | None,
    thresholds: PolicyThresholds,
    *,
    policy: Policy = PLAIN_POLICY,
    environments: Iterable[Environment] = (),
    cycle_id: str | None = None,
    now: str | None = None,
) -> Decision:
    """Promote, hold or reject a candidate against the baseline (None: the first baseline).

    Hold while a gate that asks for enough comparable data has not passed; else reject when a binding gate that rejects has
    failed; else hold when any binding gate failed or could not tell; else promote. Every gate's observation is kept.
    environments: the observed ones behind the evaluations; without them, only equal environment ids are comparable.
    now: RFC 3339 in UTC (default: the clock). The same inputs give the same decision_id.
    """
    case = Case(candidate, baseline, thresholds, policy.evidence, {e.environment_id: e for e in environments})
    seen = [_Seen(result, gate.precondition) for gate in policy.gates if (result := gate.check(case)) is not None]
    verdict = _verdict(seen)
    comparable = all(not s.open for s in seen if s.precondition)
    figures = policy.evidence.figures
    claimed = figures.get("claim")
    # A claim about other prompts is told in the figures of the held-out ones: those of the search flatter the winner.
    told = "heldout_" if claimed == CLAIM_LIKE_THESE and "heldout_estimate" in figures else ""
    estimate = candidate.metrics.accuracy - baseline.metrics.accuracy if baseline is not None else None
    here = candidate.scope == "whole" or claimed == CLAIM_THIS_SUITE
    exact = here and is_exact(candidate) and (baseline is None or is_exact(baseline))
    sides = (candidate,) if baseline is None else (candidate, baseline)
    draft = Decision(
        decision_id="",
        verdict=verdict,
        model=candidate.model,
        phase=candidate.phase,
        candidate_spec_id=candidate.spec_id,
        baseline_spec_id=baseline.spec_id if baseline is not None else None,
        candidate_variant=candidate.variant,
        claim=CLAIM_LIKE_THESE if claimed == CLAIM_LIKE_THESE else _claim(here=here, exact=exact),
        estimate=_figure(figures, f"{told}estimate", estimate if comparable else None),
        interval=_interval(figures, told, estimate if exact and comparable else None),
        gates=tuple(s.result for s in seen),
        reason_codes=_codes(seen, verdict, baseline is None),
        evidence=policy.evidence,
        evaluation_ids=tuple(dict.fromkeys(side.evaluation_id for side in sides)),
        run_ids=tuple(dict.fromkeys(run_id for side in sides for run_id in side.run_ids)),
        cycle_id=cycle_id,
        at=now if now is not None else utc_now(),
    )
    return draft.model_copy(update={"decision_id": content_hash("decision", draft)})


def _figure(figures: Mapping[str, float | int | str], name: str, otherwise: float | None) -> float | None:
    """A figure of the evidence; without evidence, what the evaluations say."""
    value = figures.get(name)
    return float(value) if isinstance(value, float | int) else otherwise


def _interval(figures: Mapping[str, float | int | str], told: str, exact: float | None) -> tuple[float, float] | None:
    low, high = (_figure(figures, f"{told}interval_{end}", exact) for end in ("low", "high"))
    return None if low is None or high is None else (low, high)


def _verdict(seen: Sequence[_Seen]) -> VerdictName:
    if any(s.open for s in seen if s.precondition):
        return "hold"
    if any(s.open and s.result.passed is False and s.result.on_fail == "reject" for s in seen):
        return "reject"
    # No gate at all is no evidence, and never promotes.
    return "hold" if not seen or any(s.open for s in seen) else "promote"


def _codes(seen: Sequence[_Seen], verdict: VerdictName, first: bool) -> tuple[str, ...]:
    """The reasons that decided, most decisive first."""
    if verdict == "promote":
        return ("first_baseline" if first else "improved",)
    in_the_way = [s for s in seen if s.open]
    if any(s.precondition for s in in_the_way):
        # Without comparable data the other gates' figures mean nothing yet.
        in_the_way = [s for s in in_the_way if s.precondition]
    elif verdict == "reject":
        in_the_way.sort(key=lambda s: not (s.result.passed is False and s.result.on_fail == "reject"))
    codes = list(dict.fromkeys(s.result.reason_code for s in in_the_way))
    if "ceiling" in codes and "below_margin" in codes:
        codes.remove("below_margin")
    return tuple(codes) or ("no_data",)


def _claim(*, here: bool, exact: bool) -> str:
    if not here:
        return CLAIM_SAMPLE
    return CLAIM_EXACT if exact else CLAIM_THIS_SUITE
