"""The held-out gate: deterministic specs prompt by prompt, stochastic ones by another race."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest

from selfopt.errors import EvidenceError
from selfopt.policy import (
    AlphaPlan,
    AlphaShare,
    Race,
    heldout_claim,
    heldout_settings,
    next_share,
    prompt_steps,
    prompt_test,
)
from selfopt.records import PromptTest, RaceSettings
from selfopt.simulate import Bench
from tests.ledger.race_samples import KEY

from .race_kit import AT, advance, start_of, world

SHARE = next_share(AlphaPlan(0.05, horizon=1), "heldout", [])


def outcome_of(wins: int, losses: int, ties: int, *, seed: str = "order", share: AlphaShare = SHARE) -> PromptTest:
    """So many prompts won, lost and tied."""
    d = [1] * wins + [-1] * losses + [0] * ties
    ours = {f"p{i}": x >= 0 for i, x in enumerate(d)}
    theirs = {f"p{i}": x <= 0 for i, x in enumerate(d)}
    return prompt_test(
        KEY, (ours, theirs), clusters={f"p{i}": f"set {i % 15}" for i in range(len(d))}, share=share, order_seed=seed, at=AT
    )


def test_a_clear_gain_on_150_prompts_passes_and_a_small_one_does_not() -> None:
    """25 wins to 5; 12 to 8."""
    clear, unclear = outcome_of(25, 5, 120), outcome_of(12, 8, 130)
    assert (clear.passed, unclear.passed) == (True, False)
    assert clear.log_e >= clear.log_e_needed == pytest.approx(math.log(20))
    assert clear.p_mcnemar < 0.001
    assert clear.interval[0] >= 0 > unclear.interval[0]
    assert (clear.clusters, clear.n, clear.wins, clear.losses) == (15, 150, 25, 5)
    assert clear.clustered is not None
    assert clear.clustered[0] < clear.estimate < clear.clustered[1]


def test_nothing_passes_by_luck_more_often_than_alpha() -> None:
    """As many wins as losses by nature, looked at after each prompt."""
    rng = random.Random("luck")
    passed = 0
    for case in range(400):
        d = [rng.choice((1, -1, 0, 0)) for _ in range(100)]
        passed += outcome_of(d.count(1), d.count(-1), d.count(0), seed=str(case)).passed
    assert passed / 400 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


@pytest.mark.parametrize(("wins", "losses"), [(25, 5), (12, 8), (0, 0), (0, 9)])
def test_a_test_can_be_gone_through_again_prompt_by_prompt(wins: int, losses: int) -> None:
    """The same evidence, from nothing to all prompts: largest where a prompt was won, or at the end. Other outcomes than the test had are
    refused."""
    d = [1] * wins + [-1] * losses + [0] * (60 - wins - losses)
    outcomes = {f"p{i}": x >= 0 for i, x in enumerate(d)}, {f"p{i}": x <= 0 for i, x in enumerate(d)}
    test = outcome_of(wins, losses, 60 - wins - losses)
    steps = list(prompt_steps(test, outcomes))
    assert [pairs.n for pairs, _ in steps] == list(range(61))
    won = [log_e for (before, _), (after, log_e) in pairwise(steps) if after.wins > before.wins]
    assert max([*won, steps[-1][1]]) == pytest.approx(test.log_e)
    assert steps[-1][0].gain == test.estimate
    with pytest.raises(EvidenceError, match="held-out outcomes"):
        list(prompt_steps(test, (outcomes[0], outcomes[0] | {"p0": not outcomes[1]["p0"]})))


def test_missing_outcomes_and_a_used_up_alpha_are_refused() -> None:
    """A prompt that only one side answered; no prompts; nothing left to spend."""
    for outcomes in (({"p1": True}, {"p1": True, "p2": False}), ({}, {})):
        with pytest.raises(EvidenceError, match="missing"):
            prompt_test(KEY, outcomes, clusters={}, share=SHARE, order_seed="s", at=AT)
    used = next_share(AlphaPlan(0.05, horizon=1), "heldout", [outcome_of(1, 0, 9)])
    assert outcome_of(1, 0, 9).family == "heldout"
    with pytest.raises(EvidenceError, match="used up"):
        outcome_of(25, 5, 120, share=used)


def test_under_a_hundred_held_out_prompts_the_claim_is_this_suite_only() -> None:
    """As for a suite that is the whole work."""
    assert heldout_claim("sample", 100) == "prompts_like_these"
    assert heldout_claim("sample", 99) == heldout_claim("whole", 500) == "this_suite"


def test_the_winner_races_alone_to_show_that_it_is_not_worse() -> None:
    """Alike: passes the margin of three points. Ten points worse: dropped. `better` asks for more."""
    for gain, state in ((0.02, "promoted"), (-0.1, "dropped")):
        made = world("heldout", prompts=120, candidates=1, gain=gain, churn=0.02, flaky=0.2)
        start = start_of(made).model_copy(update={"settings": heldout_settings(RaceSettings(), 0.03), "purpose": "heldout"})
        race = Race(start)
        advance(race, Bench(made, random.Random(1)), 400)
        standing = race.standings()[0]
        assert (standing.state, standing.null_mean) == (state, -0.03)
    assert heldout_settings(RaceSettings(), 0.03, better=True) == RaceSettings()
    with pytest.raises(EvidenceError, match="margin"):
        heldout_settings(RaceSettings(), 0.0)
