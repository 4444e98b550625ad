"""The evidence gate among the gates: what a race and a held-out test say, as figures of a decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfopt.records import EvidenceState, GateResult, PromptTest, RaceStanding

from .gates import PLAIN_GATES, Case, Gate, Policy, is_exact
from .heldout import CLAIM_LIKE_THESE, CLAIM_THIS_SUITE
from .restraint import RestraintEvidence

__all__ = [
    "ADVISORY_UNDER_EVIDENCE",
    "Advised",
    "EvidenceGate",
    "HeldoutGate",
    "RestraintGate",
    "evidence_figures",
    "evidence_policy",
]

# The number of pairs is the evidence gate's business, and a spec's flaky prompts are no fault of it.
ADVISORY_UNDER_EVIDENCE = frozenset({"variance", "min_runs", "baseline_min_runs"})


def evidence_figures(
    race: RaceStanding | None = None,
    heldout: RaceStanding | PromptTest | None = None,
    *,
    claim: str | None = None,
    restraint: RestraintEvidence | None = None,
    not_tried: str | None = None,
    not_raced: tuple[str, str] | None = None,
) -> EvidenceState:
    """The figures that a decision keeps: of the race under their own names, of the held-out test as heldout_*, of restraint in the race
    as restraint_*. claim: what the decision is about (`heldout_claim`); one about other prompts needs a held-out test that passed.
    not_tried: why there was no such test, in plain words; not_raced: why there was no race, as a reason code and in words."""
    figures: dict[str, float | int | str] = {}
    if race is not None:
        figures |= _standing_figures(race, "")
    if isinstance(heldout, RaceStanding):
        figures |= _standing_figures(heldout, "heldout_")
    elif heldout is not None:
        figures |= _test_figures(heldout)
    if claim is not None:
        figures["claim"] = claim
    if restraint is not None and restraint.log_e is not None:
        figures |= {
            "restraint_log_e": restraint.log_e,
            "restraint_log_worse": restraint.log_worse,
            "restraint_log_e_needed": restraint.log_e_needed,
            "restraint_margin": restraint.margin,
            "restraint_n_pairs": restraint.n_pairs,
        }
    if not_raced is not None:
        figures |= {"reason": not_raced[0], "why": not_raced[1]}
    if not_tried is not None:
        figures |= {"heldout_state": "not tried", "heldout_why": not_tried}
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
    difference on the suite is known, and that it is a gain is for the other gates to say.

    precondition: whether other gates may not reject without it. They may after a race; where there was none, all that they see is a pass
    of a spec whose repeats differ, and what chance did there is no merit of the candidate.
    """

    precondition: bool = False

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
        return _look("evidence", figures, "", str(figures.get("reason", "not_enough_evidence")))


@dataclass(frozen=True, slots=True)
class HeldoutGate:
    """A decision about other prompts than the suite's asks for a held-out test that passed."""

    @property
    def precondition(self) -> bool:
        """Other gates may reject without it."""
        return False

    def check(self, case: Case) -> GateResult | None:
        """None where the decision is about this suite only."""
        figures = case.evidence.figures
        if case.baseline is None or figures.get("claim", CLAIM_THIS_SUITE) != CLAIM_LIKE_THESE:
            return None
        if figures.get("heldout_state") == "not tried":
            return _seen("heldout", None, None, None, "hold", "not_tried_on_heldout", str(figures["heldout_why"]))
        return _look("heldout", figures, "heldout_", "not_shown_on_heldout")


@dataclass(frozen=True, slots=True)
class RestraintGate:
    """Keeps out what is shown to be worse at keeping quiet than the baseline, by the margin or more.

    That it is shown *not* to be worse is told, and not asked for: a quarter of a suite's prompts takes a multiple of the race's trials to
    show it, while what a worse restraint costs is part of the accuracy that the race is about."""

    @property
    def precondition(self) -> bool:
        """Other gates may reject without it."""
        return False

    def check(self, case: Case) -> GateResult | None:
        """None where the question does not arise: no prompt that needs no call, or a baseline that calls nothing right, whose
        perfect restraint would block every useful candidate."""
        figures = case.evidence.figures
        better, worse, needed = (figures.get(f"restraint_{name}") for name in ("log_e", "log_worse", "log_e_needed"))
        if not (isinstance(better, float) and isinstance(worse, float) and isinstance(needed, float)):
            return None
        lost, shown = worse >= needed, better >= needed
        margin = float(figures["restraint_margin"]) * 100
        says = "worse" if lost else "not worse" if shown else "not enough pairs to tell whether it is worse"
        detail = f"{says} by {margin:g} points on {figures['restraint_n_pairs']} pairs of prompts that need no call"
        passed = False if lost else True if shown else None
        seen = _seen("restraint_evidence", better, needed, passed, "reject", "restraint_worse", detail)
        return seen if lost else seen.model_copy(update={"binding": False})


def _look(name: str, figures: dict[str, float | int | str], prefix: str, open_code: str) -> GateResult:
    log_e, needed = figures.get(f"{prefix}log_e"), figures.get(f"{prefix}log_e_needed")
    if log_e is None or needed is None:
        why = figures.get(f"{prefix}why")
        return _seen(name, None, None, None, "hold", open_code, f"no evidence was gathered{f': {why}' if why else ''}")
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
    """The policy that carries "never worse": the plain gates with those about runs and variance as advice, and the gates of restraint,
    evidence and held-out prompts."""
    plain = [Advised(g) if getattr(g, "name", None) in ADVISORY_UNDER_EVIDENCE else g for g in gates]
    first = [gate for gate in plain if gate.precondition]
    rest = [gate for gate in plain if not gate.precondition]
    # In the order in which reasons are given: what the race says comes before what its figures look like.
    return Policy(
        (*first, EvidenceGate(precondition="reason" in evidence.figures), HeldoutGate(), RestraintGate(), *rest), evidence
    )
