"""The evidence gate among the gates: what a race and a held-out test say, as figures of a decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfopt.records import EvidenceState, GateResult, PromptTest, RaceStanding

from .gates import PLAIN_GATES, Case, Gate, Policy, is_exact
from .heldout import CLAIM_LIKE_THESE, CLAIM_THIS_SUITE

__all__ = ["ADVISORY_UNDER_EVIDENCE", "Advised", "EvidenceGate", "HeldoutGate", "evidence_figures", "evidence_policy"]

# The number of pairs is the evidence gate's business, and a spec's flaky prompts are no fault of it.
ADVISORY_UNDER_EVIDENCE = frozenset({"variance", "min_runs", "baseline_min_runs"})


def evidence_figures(
    race: RaceStanding | None = None, heldout: RaceStanding | PromptTest | None = None, *, claim: str | None = None
) -> EvidenceState:
    """The figures that a decision keeps: of the race under their own names, of the held-out test as heldout_*. claim: what the
    decision is about (`heldout_claim`); one about other prompts needs a held-out test that passed."""
    figures: dict[str, float | int | str] = {}
    if race is not None:
        figures |= _standing_figures(race, "")
    if isinstance(heldout, RaceStanding):
        figures |= _standing_figures(heldout, "heldout_")
    elif heldout is not None:
        figures |= _test_figures(heldout)
    if claim is not None:
        figures["claim"] = claim
    return EvidenceState(figures=figures)


def _standing_figures(standing: RaceStanding, prefix: str) -> dict[str, float | int | str]:
    figures: dict[str, float | int | str] = {
        "state": standing.state,
        "why": standing.why,
        "log_e": standing.log_e,
        "log_e_needed": standing.log_e_needed,
        "log_f": standing.log_f,
        "log_f_needed": standing.log_f_needed,
        "null_mean": standing.null_mean,
        "n_pairs": standing.n_pairs,
        "trials": standing.trials,
        "candidates": standing.entered_with,
        "alpha": standing.alpha,
        "level": standing.level,
        "confidence": standing.confidence,
        "key": standing.key_id,
    }
    if standing.estimate is not None:
        figures["estimate"] = standing.estimate
    if standing.interval is not None:
        figures |= {"interval_low": standing.interval[0], "interval_high": standing.interval[1]}
    if standing.more_trials is not None:
        figures["more_trials"] = standing.more_trials
    return {prefix + name: value for name, value in figures.items()}


def _test_figures(test: PromptTest) -> dict[str, float | int | str]:
    figures: dict[str, float | int | str] = {
        "state": "promoted" if test.passed else "held",
        "why": "decided" if test.passed else "not enough prompts",
        "log_e": test.log_e,
        "log_e_needed": test.log_e_needed,
        "null_mean": test.null_mean,
        "n_pairs": test.n,
        "wins": test.wins,
        "losses": test.losses,
        "p_mcnemar": test.p_mcnemar,
        "alpha": test.alpha,
        "level": test.alpha,
        "estimate": test.estimate,
        "interval_low": test.interval[0],
        "interval_high": test.interval[1],
        "confidence": test.confidence,
        "key": test.key.key_id,
    }
    return {"heldout_" + name: value for name, value in figures.items()}


@dataclass(frozen=True, slots=True)
class EvidenceGate:
    """Promotes on a race that was won, rejects on one that was lost, holds otherwise. Where both specs are deterministic, the
    difference on the suite is known, and that it is a gain is for the other gates to say."""

    @property
    def precondition(self) -> bool:
        """Other gates may reject without it."""
        return False

    def check(self, case: Case) -> GateResult | None:
        """None for the first baseline, which replaces nothing."""
        if case.baseline is None:
            return None
        figures = case.evidence.figures
        if "log_e" not in figures and is_exact(case.candidate) and is_exact(case.baseline):
            return _seen(
                "evidence",
                "exact",
                "exact",
                True,
                "hold",
                "not_enough_evidence",
                "both are deterministic: the difference on this suite is known",
            )
        return _look("evidence", figures, "", "not_enough_evidence")


@dataclass(frozen=True, slots=True)
class HeldoutGate:
    """A decision about other prompts than the suite's asks for a held-out test that passed."""

    @property
    def precondition(self) -> bool:
        """Other gates may reject without it."""
        return False

    def check(self, case: Case) -> GateResult | None:
        """None where the decision is about this suite only."""
        if case.baseline is None or case.evidence.figures.get("claim", CLAIM_THIS_SUITE) != CLAIM_LIKE_THESE:
            return None
        return _look("heldout", case.evidence.figures, "heldout_", "not_shown_on_heldout")


def _look(name: str, figures: dict[str, float | int | str], prefix: str, open_code: str) -> GateResult:
    log_e, needed = figures.get(f"{prefix}log_e"), figures.get(f"{prefix}log_e_needed")
    if log_e is None or needed is None:
        return _seen(name, None, None, None, "hold", open_code, "no evidence was gathered")
    state, why = figures.get(f"{prefix}state"), str(figures.get(f"{prefix}why", ""))
    detail = f"log E {log_e:.2f} of {needed:.2f} needed, after {figures[f'{prefix}n_pairs']} pairs"
    if state == "dropped":
        code = {"futile": "futile", "behind": "behind"}.get(why, open_code) if not prefix else "worse_on_heldout"
        return _seen(name, log_e, needed, False, "reject", code, f"{detail}; dropped: {why}")
    more = figures.get(f"{prefix}more_trials")
    return _seen(
        name, log_e, needed, True if state == "promoted" else None, "hold", open_code,
        detail + (f"; {why}" if state == "held" and why else "") + (f"; about {more} more trials would decide" if more is not None else ""),
    )  # fmt: skip


def _seen(
    name: str,
    observed: float | str | None,
    threshold: float | str | None,
    passed: bool | None,
    on_fail: str,
    code: str,
    detail: str,
) -> GateResult:
    return GateResult(
        name=name,
        observed=observed,
        threshold=threshold,
        passed=passed,
        on_fail="reject" if on_fail == "reject" else "hold",
        reason_code=code,
        detail=detail,
    )


@dataclass(frozen=True, slots=True)
class Advised:
    """A gate that is shown and does not decide."""

    gate: Gate

    @property
    def precondition(self) -> bool:
        """What only advises stands in no other gate's way."""
        return False

    def check(self, case: Case) -> GateResult | None:
        """What the gate saw, not binding."""
        result = self.gate.check(case)
        return result.model_copy(update={"binding": False}) if result is not None else None


def evidence_policy(evidence: EvidenceState, gates: Sequence[Gate] = PLAIN_GATES) -> Policy:
    """The policy that carries "never worse": the plain gates with those about runs and variance as advice, the evidence gate, and
    the held-out gate."""
    plain = tuple(Advised(g) if getattr(g, "name", None) in ADVISORY_UNDER_EVIDENCE else g for g in gates)
    return Policy((*plain, EvidenceGate(), HeldoutGate()), evidence)
