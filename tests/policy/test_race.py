"""The race as a fold: what it plans, absorbs, refuses and remembers."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from selfopt.errors import EvidenceError
from selfopt.policy import BlockPlan, Race
from selfopt.records import RaceBlock, RaceSettings, RaceStart
from selfopt.simulate import BASELINE, Bench, candidate_name

from .race_kit import AT, advance, start_of, world

FIRST = candidate_name(1)


def all_pass(plan: BlockPlan, winner: str | None = None) -> dict[str, tuple[int, ...]]:
    """Every answer passes; with a winner, only its answers."""
    n = len(plan.prompt_ids)
    return {spec: (times if winner in (None, spec) else 0,) * n for spec, times in plan.asked.items()}


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([5, 60]), st.integers(1, 8), st.integers(0, 8))
def test_a_race_rebuilt_from_its_blocks_is_the_race_itself(seed: int, prompts: int, candidates: int, cut: int) -> None:
    """State, next plan and end are the same when the process was stopped after any block and went on from the ledger's text."""
    made = world(f"{seed}", prompts=prompts, candidates=candidates, gain=0.05)
    start = start_of(made, f"race-{seed}")
    race = Race(start)
    blocks = advance(race, Bench(made, random.Random(seed)), 12)
    kept = [RaceBlock.model_validate_json(b.model_dump_json()) for b in blocks[:cut]]
    again = Race.replay(RaceStart.model_validate_json(start.model_dump_json()), kept)
    for block in blocks[cut:]:
        assert again.plan_block() is not None
        again.absorb(block)
    assert again.standings(interval=False) == race.standings(interval=False)
    assert (again.plan_block(), again.winner, again.ended, again.trials) == (
        race.plan_block(),
        race.winner,
        race.ended,
        race.trials,
    )


def test_a_discarded_block_leaves_no_trace_and_promotes_nothing() -> None:
    """Twenty blocks in which only the candidate passes are planned, answered and dropped: the race stands where it stood."""
    made = world(prompts=12, candidates=2)
    race, untouched = Race(start_of(made)), Race(start_of(made))
    plan = race.plan_block()
    for _ in range(20):
        assert plan is not None
        plan.block(all_pass(plan, FIRST), at=AT)
        assert race.plan_block() == plan
    assert (race.winner, race.trials, race.blocks) == (None, 0, 0)
    one, other = (advance(r, Bench(made, random.Random(1)), 5) for r in (race, untouched))
    assert one == other
    assert race.standings() == untouched.standings()


def test_the_same_win_absorbed_promotes() -> None:
    """So that the test above means something."""
    race = Race(start_of(world(prompts=12, candidates=2)))
    while (plan := race.plan_block()) is not None:
        race.absorb(plan.block(all_pass(plan, FIRST), at=AT))
    assert (race.winner, race.ended, race.blocks) == (FIRST, "promoted", 1)
    first, second = race.standings()
    assert (first.state, first.why, second.state, second.why) == ("promoted", "decided", "held", "another_promoted")
    assert first.interval is not None
    assert first.interval[0] >= 0
    with pytest.raises(EvidenceError, match="is over"):
        race.absorb(plan_block_of(race))


def plan_block_of(race: Race) -> RaceBlock:
    """The first block of the same race, once more."""
    plan = Race(race.start).plan_block()
    assert plan is not None
    return plan.block(all_pass(plan), at=AT)


@pytest.mark.parametrize(
    "change",
    [
        {"number": 1},
        {"race_id": "race-2"},
        {"weights": (1.0,) * 12},
        {"asked": {BASELINE: 1, FIRST: 2}},
        {"passes": {BASELINE: (0,) * 24}},
        {"passes": {BASELINE: (0,) * 24, FIRST: (0,) * 23}},
        {"passes": {BASELINE: (0,) * 24, FIRST: (2,) * 24}},
        {"passes": {BASELINE: (0,) * 24, FIRST: (-1,) * 24}},
    ],
)
def test_blocks_that_are_not_the_planned_one_or_not_whole_are_refused(change: dict[str, Any]) -> None:
    """Another number, race or weight, an outcome missing or impossible; and the race is as it was before."""
    race = Race(start_of(world(prompts=12, candidates=1)))
    plan = race.plan_block()
    assert plan is not None
    block = plan.block(all_pass(plan), at=AT)
    before = race.standings()
    with pytest.raises(EvidenceError, match=r"not the planned|missing or impossible"):
        race.absorb(block.model_copy(update=change))
    assert race.standings() == before
    race.absorb(block)


def test_outcomes_of_fewer_or_more_specs_make_no_block() -> None:
    """A spec that was not asked, and one without outcomes; NaN and None are no counts."""
    plan = Race(start_of(world(prompts=5, candidates=2))).plan_block()
    assert plan is not None
    whole = all_pass(plan)
    for bad in ({}, {BASELINE: whole[BASELINE]}, whole | {"stranger": (1,)}):
        with pytest.raises(EvidenceError, match="only complete blocks count"):
            plan.block(bad, at=AT)
    for missing in (float("nan"), None):
        with pytest.raises(ValidationError):
            plan.block(whole | {FIRST: (missing,) * len(plan.prompt_ids)}, at=AT)  # type: ignore[dict-item]


def test_every_prompt_of_a_small_suite_weighs_the_same() -> None:
    """Noisy prompts are asked twice at half the weight, the others once."""
    made = world("noisy", prompts=12, candidates=3)
    race, bench = Race(start_of(made)), Bench(made, random.Random(0))
    repeated = set()
    for _ in range(8):
        plan = race.plan_block()
        if plan is None:
            break
        total: Counter[int] = Counter()
        for j, weight in zip(plan.draws.positions, plan.draws.weights, strict=True):
            total[j] += round(weight * 100)
        assert set(total) == set(range(12))
        assert set(total.values()) == {100}
        repeated.add(len(plan.prompt_ids) - 12)
        advance(race, bench, 1)
    assert len(repeated) > 1  # not always all, not always none


def test_the_draws_of_a_large_suite_weigh_one_on_average() -> None:
    """Weight times probability is 1/m whatever the noise, so the mean weight of many draws is 1; no weight is above the announced."""
    made = world("large", prompts=100, candidates=2)
    race, bench = Race(start_of(made, block_draws=400)), Bench(made, random.Random(0))
    means, weights = [], set[float]()
    for _ in range(6):
        plan = race.plan_block()
        if plan is None:
            break
        means.append(sum(plan.draws.weights) / 400)
        weights.update(plan.draws.weights)
        assert max(plan.draws.weights) <= plan.draws.max_weight + 1e-12
        advance(race, bench, 1)
    assert sum(means) / len(means) == pytest.approx(1, abs=0.05)
    assert len(weights) > 1


def test_the_order_of_trials_is_shuffled_whole_and_the_same_each_time() -> None:
    """Every spec and prompt, mixed; what a resumed process asks next is what it would have asked."""
    start = start_of(world(prompts=12, candidates=4))
    plan, again = Race(start).plan_block(), Race(start).plan_block()
    assert plan is not None
    assert again is not None
    asks = plan.asks()
    assert asks == again.asks()
    assert len(asks) == len(set(asks)) == plan.trials
    first = [a.arm for a in asks[: plan.trials // 2]]
    assert set(first) == {BASELINE, *map(candidate_name, range(1, 5))}


@pytest.mark.parametrize(("candidates", "times"), [(1, 1), (3, 1), (4, 2), (9, 2)])
def test_the_baseline_answers_twice_for_four_or_more(candidates: int, times: int) -> None:
    """All of them are compared with it."""
    plan = Race(start_of(world(prompts=5, candidates=candidates))).plan_block()
    assert plan is not None
    assert plan.asked[BASELINE] == times
    assert plan.trials == len(plan.prompt_ids) * (candidates + times)


def with_known(start: RaceStart, *, baseline: bool, candidate: bool, passes: bool = False) -> RaceStart:
    """The same race with deterministic specs that pass every prompt, or none."""
    known = dict.fromkeys(start.prompt_ids, passes)
    entrants = tuple(e.model_copy(update={"known": known}) if candidate else e for e in start.entrants)
    return start.model_copy(update={"entrants": entrants, "baseline_known": known if baseline else None})


def test_only_the_stochastic_side_of_a_mixed_pair_is_asked() -> None:
    """A deterministic baseline that fails everywhere against a stochastic candidate, and a deterministic candidate."""
    start = start_of(world(prompts=6, candidates=2, gain=0.2))
    race = Race(with_known(start, baseline=True, candidate=False))
    plan = race.plan_block()
    assert plan is not None
    assert set(plan.asked) == {FIRST, candidate_name(2)}
    race.absorb(plan.block(all_pass(plan, FIRST), at=AT))
    assert race.standings()[0].estimate == 1.0
    turned = Race(with_known(start, baseline=False, candidate=True))
    plan = turned.plan_block()
    assert plan is not None
    assert set(plan.asked) == {BASELINE}
    turned.absorb(plan.block(all_pass(plan), at=AT))
    assert [s.estimate for s in turned.standings()] == [-1.0, -1.0]


def test_two_deterministic_specs_do_not_race_and_a_perfect_baseline_is_a_ceiling() -> None:
    """The difference is known; and nothing can be better than all."""
    start = start_of(world(prompts=6, candidates=1))
    with pytest.raises(EvidenceError, match="both deterministic"):
        Race(with_known(start, baseline=True, candidate=True))
    perfect = Race(with_known(start, baseline=True, candidate=False, passes=True))
    assert (perfect.ended, perfect.plan_block(), perfect.standings()[0].state) == ("ceiling", None, "held")


def test_a_candidate_that_differs_in_the_parser_races_for_free() -> None:
    """It is judged on the baseline's replies, as often as those are asked for."""
    start = start_of(world(prompts=6, candidates=4))
    rider = start.entrants[0].model_copy(update={"request_id": start.baseline_request_id})
    plan = Race(start.model_copy(update={"entrants": (rider, *start.entrants[1:])})).plan_block()
    assert plan is not None
    assert plan.asked[rider.spec_id] == plan.asked[BASELINE] == 2
    assert plan.trials == len(plan.prompt_ids) * (2 + 3)
    assert rider.request_id not in {a.arm for a in plan.asks()} - {BASELINE}


def test_a_held_race_says_about_how_many_more_trials_would_decide() -> None:
    """A cap is no verdict; the record of the end has every figure."""
    made = world("held", prompts=12, candidates=2, gain=0.08)
    race = Race(start_of(made, alpha=0.001))
    with pytest.raises(EvidenceError, match="goes on"):
        race.end(AT)
    advance(race, Bench(made, random.Random(3)), 3)
    assert race.ended is None
    race.hold("cap", "max_trials = 9")
    race.hold("given_up")
    end = race.end(AT)
    assert (end.ended_by, end.detail, end.winner_spec_id) == ("cap", "max_trials = 9", None)
    assert (end.trials, end.blocks) == (race.trials, 3)
    for standing in end.standings:
        assert (standing.state, standing.why, standing.detail) == ("held", "cap", "max_trials = 9")
        assert standing.more_trials is not None
        assert standing.more_trials > 0
        assert standing.interval is not None
        assert standing.interval[0] < (standing.estimate or 0) < standing.interval[1]
        assert (standing.level, standing.confidence) == pytest.approx((0.0005, 0.998))


def test_the_better_is_promoted_the_worse_are_dropped() -> None:
    """Twenty points better, and twenty worse."""
    made = world("clear", prompts=20, candidates=3, gain=0.2, others=-0.2)
    race = Race(start_of(made))
    advance(race, Bench(made, random.Random(5)), 400)
    assert race.winner == FIRST
    worse = Race(start_of(world("clear", prompts=20, candidates=2, gain=-0.2, others=-0.2)))
    made = world("clear", prompts=20, candidates=2, gain=-0.2, others=-0.2)
    advance(worse, Bench(made, random.Random(6)), 400)
    assert (worse.winner, worse.ended) == (None, "all_dropped")
    assert {s.why for s in worse.standings()} <= {"futile", "behind"}


@pytest.mark.parametrize(
    "change",
    [
        {"smallest_gain": 0.0}, {"smallest_gain": -0.05}, {"beta": 0.0}, {"beta": 1.0}, {"beta": float("nan")}, {"null_mean": 1.0},
        {"clip": 1.0}, {"repeats": 0}, {"block_draws": 0}, {"importance": 0.5}, {"drop_z": 0.0}, {"noise_prior": float("nan")},
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(change: dict[str, Any]) -> None:
    """With the field and its bound named."""
    with pytest.raises(ValidationError, match=next(iter(change))):
        start_of(world(prompts=3, candidates=1), **change)


@pytest.mark.parametrize("alpha", [0.0, -0.1, 0.51, float("nan")])
def test_an_alpha_out_of_range_is_refused(alpha: float) -> None:
    """More than a half is no test."""
    with pytest.raises(ValidationError, match="alpha"):
        start_of(world(prompts=3, candidates=1), alpha=alpha)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prior_small": (0.5,) * 5}, "sum to 1"),
        ({"bets_large": (0.5, 0.4, 0.3, 0.2, 0.1)}, "ascending"),
        ({"null_mean": 0.97}, "give smaller ones"),
    ],
)
def test_settings_that_no_race_can_have_are_refused(change: dict[str, Any], words: str) -> None:
    """With what is allowed."""
    with pytest.raises(ValidationError, match=words):
        RaceSettings.model_validate(change)


def test_bets_that_are_none_and_races_without_prompts_are_refused() -> None:
    """Shares that do not sum to 1; no search prompts; a spec against itself; outcomes that do not cover the split."""
    start = start_of(world(prompts=3, candidates=1))
    broken = start.model_copy(update={"settings": start.settings.model_copy(update={"prior_small": (0.5,) * 5})})
    with pytest.raises(ValueError, match="sum to 1"):
        Race(broken)
    body = start.model_dump()
    for change, words in (
        ({"prompt_ids": ()}, "prompt_ids"),
        ({"prompt_ids": ("p0", "p0", "p1")}, "twice"),
        ({"baseline_spec_id": FIRST}, "twice"),
        ({"baseline_known": {"p0": True}}, "missing"),
        ({"entrants": ()}, "entrants"),
    ):
        with pytest.raises(ValidationError, match=words):
            RaceStart.model_validate(body | change)
