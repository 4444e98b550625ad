"""A decision accounted for: claim, certainty, and what would change it."""

from __future__ import annotations

from typing import get_args

import pytest

from selfopt.policy import decide
from selfopt.records import Decision, EvidenceState, PolicyThresholds, RaceEvidence, ReasonCode
from selfopt.words.decisions import REASONS, REMEDIES, account
from tests.feedback.world import NOW, evaluation
from tests.ledger.race_samples import race_standing

PLAIN = PolicyThresholds()
BASE = evaluation(["PPPP", *["WWWW"] * 8, *["PPPP"] * 3], no_call=3, spec_id="spec-a", determinism="stochastic")
BETTER = evaluation(["PPPP"] * 12, no_call=3, spec_id="spec-b", determinism="stochastic")


def standing(state: str, **changes: object) -> RaceEvidence:
    """Of a race in which two candidates shared 0.05."""
    figures = {"log_e": 4.5, "log_e_needed": 3.7, "n_pairs": 80, "entered_with": 2, "alpha": 0.05, "level": 0.025}
    update = {"state": state, "why": "", "estimate": 0.2, "interval": (0.04, 0.33), "null_mean": 0.0, **figures, **changes}
    return race_standing().evidence().model_copy(update=update)


def decided(evidence: EvidenceState) -> Decision:
    """The better candidate with this evidence."""
    return decide(BETTER, BASE, PLAIN, evidence=evidence, now=NOW)


def test_every_reason_against_a_candidate_has_a_remedy() -> None:
    """No code without words."""
    assert set(REASONS) == set(get_args(ReasonCode))
    assert set(REMEDIES) == set(REASONS) - {"improved", "first_baseline"}


def test_a_race_on_the_suite_is_claim_a_with_its_level() -> None:
    """E, its border, the chance of error that the candidates share, and the interval."""
    found = account(decided(EvidenceState(race=standing("promoted"), claim="this_suite")))
    assert found.claim == "a"
    assert found.claimed == "the candidate is better than the baseline, (a) on this suite, and on no other prompts"
    bet, gain = found.sure
    assert "E = 90 after 80 pairs and reached 40.4" in bet
    assert "at most 0.025 (alpha 0.05 shared by 2 candidates), however often one looks" in bet
    assert "+20.0 points" in gain
    assert "between +4.0 points and +33.0 points" in gain
    assert any("roll-back" in line for line in found.would_change)


def test_a_heldout_race_is_claim_b_and_promises_no_more_than_was_tested() -> None:
    """Better on the search prompts; on others, not worse by the margin."""
    heldout = standing("promoted", null_mean=-0.03)
    found = account(decided(EvidenceState(race=standing("promoted"), heldout=heldout, claim="prompts_like_these")))
    assert found.claim == "b"
    assert "better than the baseline on the search prompts" in found.claimed
    assert "not worse by 3 points or more" in found.claimed
    assert any(line.startswith("held out: ") and "which is worse by 3 points or more" in line for line in found.sure)


@pytest.mark.parametrize(("more", "words"), [(612, "about 612 more trials"), (None, "more trials of both")])
def test_a_hold_for_want_of_evidence_says_how_much_more(more: int | None, words: str) -> None:
    """What was gathered is kept."""
    open_race = standing("held", why="cap", log_e=1.0, more_trials=more)
    found = account(decided(EvidenceState(race=open_race, claim="this_suite")))
    assert found.claimed.startswith("nothing yet: ")
    assert "did not reach" in found.sure[0]
    assert words in found.would_change[0]


def test_a_candidate_that_was_not_tried_on_heldout_prompts_says_why() -> None:
    """With the reason that was given."""
    found = account(decided(EvidenceState(race=standing("promoted"), claim="prompts_like_these", not_tried="another did better")))
    assert found.claim == "b"
    assert "look at the held-out prompts" in found.would_change[0]


def test_what_is_known_exactly_says_so_and_plain_gates_promise_nothing() -> None:
    """Copies leave no chance of error on this suite; without evidence nothing is bounded."""
    same = ["PPPP"] * 12
    exact = evaluation(same, no_call=3, spec_id="spec-b", determinism="sampled")
    base = evaluation(["WWWW"] * 4 + same[4:], no_call=3, spec_id="spec-a", determinism="sampled")
    found = account(decide(exact, base, PLAIN, now=NOW))
    assert (found.claim, found.sure[0].partition(":")[0]) == ("a", "exactly")
    plain = account(decided(EvidenceState()).model_copy(update={"claim": "plain_gates"}))
    assert plain.claim is None
    assert "bound no chance" in plain.sure[0]


def test_a_failed_plain_gate_is_named_with_what_it_saw_and_needs() -> None:
    """The figures of the gate that decided."""
    worse = evaluation(["WWWW"] * 9 + ["PPPP"] * 3, no_call=3, spec_id="spec-b", determinism="sampled")
    base = evaluation(["PPPP"] * 12, no_call=3, spec_id="spec-a", determinism="sampled")
    found = account(decide(worse, base, PLAIN, now=NOW))
    assert any("no_regression saw" in line for line in found.would_change)
