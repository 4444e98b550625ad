"""The evidence gate among the plain ones."""

from __future__ import annotations

from typing import Any

import pytest

from selfopt.policy import decide
from selfopt.records import Decision, Evaluation, EvidenceState, PolicyThresholds, PromptEvidence, PromptTest, RaceEvidence
from selfopt.words.decisions import REASONS, explain
from tests.feedback.world import NOW, evaluation
from tests.ledger.race_samples import race_records, race_standing

PLAIN = PolicyThresholds()
BETTER, BASE = ["P" * 7] * 11 + ["PPPWPPP"], ["P" * 7] * 8 + ["WPWPWPW"] * 4


def standing(state: str, why: str = "", **changes: Any) -> RaceEvidence:
    """Of the candidate, with an interval and an estimate of its own."""
    update = {"state": state, "why": why, "estimate": 0.21, "interval": (0.04, 0.33), **changes}
    return race_standing().evidence().model_copy(update=update)


def judged(evidence: EvidenceState, rows: list[str] = BETTER, base: list[str] = BASE, **changes: Any) -> Decision:
    candidate: Evaluation = evaluation(rows, spec_id="spec-b", **changes)
    return decide(candidate, evaluation(base, spec_id="spec-a", **changes), PLAIN, evidence=evidence, now=NOW)


def held_out(*, passed: bool) -> PromptEvidence:
    """A held-out test that passed or did not."""
    (made,) = [r for r in race_records() if isinstance(r, PromptTest)]
    return made.evidence().model_copy(update={"passed": passed})


def test_a_race_that_was_won_promotes_with_its_estimate_and_interval() -> None:
    """The decision carries the race's figures, not those of the evaluations, and can be read back."""
    decision = judged(EvidenceState(race=standing("promoted", "decided")))
    assert decision.verdict == "promote"
    assert (decision.estimate, decision.interval) == (0.21, (0.04, 0.33))
    race = decision.evidence.race
    assert race is not None
    assert (race.log_e, race.log_f, race.n_pairs, race.level) == (1.5, -0.5, 4, 0.05)
    assert Decision.model_validate_json(decision.model_dump_json()) == decision


def test_variance_and_the_number_of_runs_are_advice_under_evidence() -> None:
    """Flaky prompts and two runs stop a plain decision, not one by evidence."""
    rows, base = ["PW", "WP"] * 3 + ["PP"] * 6, ["WW"] * 6 + ["PP"] * 6
    decision = judged(EvidenceState(race=standing("promoted", "decided")), rows, base, no_call=6)
    assert decision.verdict == "promote"
    advice = {g.name for g in decision.gates if not g.binding}
    assert {"variance", "min_runs", "baseline_min_runs"} <= advice
    assert any("advice only" in line for line in explain(decision))


@pytest.mark.parametrize(
    ("state", "why", "verdict", "code"),
    [
        ("held", "cap", "hold", "not_enough_evidence"),
        ("racing", "", "hold", "not_enough_evidence"),
        ("dropped", "futile", "reject", "futile"),
        ("dropped", "behind", "reject", "behind"),
    ],
)
def test_a_race_that_was_not_won_does_not_promote(state: str, why: str, verdict: str, code: str) -> None:
    """However good the evaluations look; and it says what is missing."""
    decision = judged(EvidenceState(race=standing(state, why)))
    assert (decision.verdict, decision.reason_codes) == (verdict, (code,))
    assert code in REASONS
    (gate,) = [g for g in decision.gates if g.name == "evidence"]
    assert "log E 1.50 of 3.00 needed, after 4 pairs" in gate.detail
    assert ("about 40 more trials would decide" in gate.detail) == (state != "dropped")


def test_without_any_evidence_nothing_stochastic_is_promoted() -> None:
    """Not measured is not fine."""
    decision = judged(EvidenceState())
    assert (decision.verdict, decision.reason_codes) == ("hold", ("not_enough_evidence",))


def test_two_deterministic_specs_need_no_race() -> None:
    """Four of twelve more, exactly; and four less are rejected by the plain gates."""
    better, base = ["P"] * 11 + ["W"], ["P"] * 7 + ["W"] * 5
    decision = judged(EvidenceState(), better, base, determinism="complete")
    assert (decision.verdict, decision.claim) == ("promote", "this_suite_exact")
    assert decision.interval == pytest.approx((4 / 12, 4 / 12))
    assert judged(EvidenceState(), base, better, determinism="complete").verdict == "reject"
    sample = judged(EvidenceState(claim="this_suite"), better, base, determinism="complete", scope="sample")
    assert (sample.verdict, sample.claim) == ("promote", "this_suite_exact")


def test_a_claim_about_other_prompts_needs_a_held_out_test_that_passed() -> None:
    """Missing: hold. Not passed: hold. A held-out race that shows it to be worse: reject. Passed: promote, and says what it is about."""
    won = standing("promoted", "decided")

    def about_others(heldout: RaceEvidence | PromptEvidence | None) -> Decision:
        return judged(EvidenceState(race=won, heldout=heldout, claim="prompts_like_these"))

    missing = about_others(None)
    assert (missing.verdict, missing.reason_codes) == ("hold", ("not_shown_on_heldout",))
    failed = about_others(held_out(passed=False))
    assert failed.verdict == "hold"
    worse = about_others(standing("dropped", "futile"))
    assert (worse.verdict, worse.reason_codes) == ("reject", ("worse_on_heldout",))
    passed = about_others(held_out(passed=True))
    assert (passed.verdict, passed.claim) == ("promote", "prompts_like_these")
    assert isinstance(passed.evidence.heldout, PromptEvidence)
    assert passed.evidence.heldout.wins == 20
    assert (passed.estimate, passed.interval) == (0.13, (0.01, 0.3))  # of the held-out prompts, not of those it was chosen on
    assert passed.evidence.race is not None
    assert passed.evidence.race.estimate == 0.21


def test_the_first_baseline_needs_no_evidence() -> None:
    """There is nothing that it could be worse than."""
    decision = decide(evaluation(BETTER, spec_id="spec-b"), None, PLAIN, evidence=EvidenceState(), now=NOW)
    assert decision.verdict == "promote"
