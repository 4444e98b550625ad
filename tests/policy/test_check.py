"""A check as pure logic: what it asks, when it is sure, and what it refuses."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from selfopt.errors import EvidenceError
from selfopt.policy import CheckPlan, CheckRace
from selfopt.policy.check_outlook import DrawCounts, outlook
from selfopt.policy.check_plan import drawn, within
from selfopt.records import CheckBlock, CheckSettings, CheckStart, Outcome
from tests.ledger.check_samples import AT, check_side, check_start

P, F = Outcome.PASS, Outcome.MISSED


def answered(plan: CheckPlan, now: Sequence[float], before: Sequence[float], rng: random.Random) -> CheckBlock:
    """The block of a plan, answered by these pass rates."""

    def draw(rates: Sequence[float], places: Sequence[int]) -> list[Outcome]:
        return [P if rng.random() < rates[j] else F for j in places]

    places = plan.draws.positions
    return plan.block(draw(now, (*places, *plan.again)), draw(before, places) if plan.ask_before else (), at=AT)


def run(
    start: CheckStart, now: Sequence[float], before: Sequence[float] = (), seed: str = "0"
) -> tuple[CheckRace, list[CheckBlock]]:
    """A check to its end."""
    race, blocks, rng = CheckRace(start), list[CheckBlock](), random.Random(seed)
    while (plan := race.plan_block()) is not None:
        blocks.append(answered(plan, now, before, rng))
        race.absorb(blocks[-1])
    return race, blocks


def known(outcomes: str) -> Mapping[str, Outcome]:
    """Outcomes by prompt id, from letters."""
    return {f"p{j}": P if letter == "P" else F for j, letter in enumerate(outcomes)}


def test_the_first_block_is_the_whole_split_and_asks_both() -> None:
    """Each prompt once, both sides shuffled together, the same order again."""
    plan = CheckRace(check_start(5)).plan_block()
    assert plan is not None
    assert plan.prompt_ids == ("p0", "p1", "p2", "p3", "p4")
    assert plan.trials == 10
    asks = plan.asks()
    assert asks == plan.asks()
    assert {ask.place for ask in asks} == {(arm, place) for arm in ("req-now", "req-before") for place in range(5)}


def test_a_broken_build_fails_and_an_unchanged_one_passes() -> None:
    """With flaky prompts in both."""
    flaky = [0.5] * 20 + [1.0] * 40
    broken, _ = run(check_start(60), [0.5] * 20 + [0.0] * 12 + [1.0] * 28, flaky)
    same, _ = run(check_start(60), flaky, flaky)
    assert (broken.verdict, same.verdict) == ("fail", "pass")
    assert (broken.held, same.held) == (None, None)


def test_later_blocks_ask_flaky_prompts_more_often_and_stable_ones_still() -> None:
    """A stable prompt keeps a floor, so that it can't hide a loss."""
    rates = [0.5] * 20 + [1.0] * 40
    race, blocks = run(check_start(60, settings=CheckSettings(max_regression=0.02)), rates, rates, seed="1")
    later = [name for block in blocks[2:] for name in block.prompts]
    flaky = sum(int(name[1:]) < 20 for name in later) / 20
    stable = sum(int(name[1:]) >= 20 for name in later) / 40
    assert flaky > 2 * stable > 0
    assert race.trials == sum(len(block.now) + len(block.before) for block in blocks)


def test_replaying_the_blocks_gives_the_same_check() -> None:
    """At any moment: the plan after a restart is the plan before it."""
    rates = [0.5] * 20 + [1.0] * 20
    start = check_start(40, must_pass=("p0", "p30"), thresholds={"accuracy": 0.6})
    race, blocks = run(start, rates, rates)
    for n in range(len(blocks)):
        plan = CheckRace.replay(start, blocks[:n]).plan_block()
        assert plan is not None
        assert (plan.prompt_ids, plan.number) == (blocks[n].prompts, n)
    again = CheckRace.replay(start, blocks)
    assert (again.verdict, [t.fail.log_e for t in again.tracks]) == (race.verdict, [t.fail.log_e for t in race.tracks])


def test_a_block_of_another_plan_is_refused_and_changes_nothing() -> None:
    """Another prompt, a missing outcome, a block too many."""
    race = CheckRace(check_start(3))
    plan = race.plan_block()
    assert plan is not None
    block = plan.block([P] * 3, [P] * 3, at=AT)
    with pytest.raises(EvidenceError, match="not the planned block"):
        race.absorb(block.model_copy(update={"prompts": ("p0", "p0", "p2")}))
    with pytest.raises(EvidenceError, match="repeat the block"):
        race.absorb(block.model_copy(update={"now": (P, P)}))
    assert race.blocks == 0
    over = CheckRace(check_start(3, now=check_side("now", known=known("PPP")), before=None, thresholds={"accuracy": 0.5}))
    with pytest.raises(EvidenceError, match="is over"):
        over.absorb(block)


@pytest.mark.parametrize(("now", "verdict"), [("PPPP", "pass"), ("PPPF", "fail"), ("FPPP", "fail")])
def test_exact_sides_are_compared_without_a_question(now: str, verdict: str) -> None:
    """One of four prompts is a loss of 25 points."""
    start = check_start(
        4, now=check_side("now", known=known(now)), before=check_side("before", known=known("PPPP")), must_pass=("p0",)
    )
    race = CheckRace(start)
    assert (race.verdict, race.plan_block(), race.trials) == (verdict, None, 0)
    assert race.method(race.tracks[0]) == "exact"


def test_an_exact_loss_of_just_what_is_allowed_passes() -> None:
    """And one prompt more fails."""
    settings = CheckSettings(max_regression=0.25)
    for now, verdict in (("PPPF", "pass"), ("PPFF", "fail")):
        sides: dict[str, Any] = {"now": check_side("now", known=known(now)), "before": check_side("b", known=known("PPPP"))}
        assert CheckRace(check_start(4, settings=settings, **sides)).verdict == verdict


def test_one_run_of_what_was_exact_decides_nothing_about_what_varies() -> None:
    """Other criteria are decided all the same."""
    once = check_side("before", known=known("P" * 40))
    race, _ = run(check_start(40, before=once, thresholds={"accuracy": 0.5}), [0.9] * 40)
    assert (race.verdict, race.held) == ("undecided", ("recorded_once", ""))
    assert (race.criterion("accuracy"), race.criterion("regression")) == ("pass", "undecided")
    lost, _ = run(check_start(40, before=once, thresholds={"accuracy": 0.5}), [0.1] * 40)
    assert lost.verdict == "fail"


def test_draws_for_one_criterion_do_not_bias_another_that_is_decided() -> None:
    """Later blocks leave prompts of the decided one out."""
    start = check_start(
        112, needs_call=tuple(f"p{j}" for j in range(100)), before=None, thresholds={"accuracy": 0.8, "restraint": 0.5}
    )
    race, blocks = run(start, [0.95] * 100 + [0.52] * 12)
    accuracy = next(track for track in race.tracks if track.criterion == "accuracy")
    assert len(blocks) > 3
    assert accuracy.estimate == pytest.approx(0.904, abs=0.08)
    interval, estimate = accuracy.interval(), accuracy.estimate
    assert interval is not None
    assert estimate is not None
    assert interval.low <= estimate <= interval.high


def test_neither_luck_nor_a_flake_decides_about_a_prompt_that_must_pass() -> None:
    """Each is asked until its side is shown; a broken one fails, and is asked no more than it takes."""
    start = check_start(10, before=None, must_pass=tuple(f"p{j}" for j in range(10)))
    race = CheckRace(start)
    plan = race.plan_block()
    assert plan is not None
    race.absorb(plan.block([F] + [P] * 9, (), at=AT))
    assert {race.prompts[j].verdict for j in range(10)} == {"undecided"}
    while (plan := race.plan_block()) is not None:
        assert plan.prompt_ids == ()
        race.absorb(plan.block([P] * len(plan.again), (), at=AT))
    assert race.verdict == "pass"
    assert race.prompts[1].asked < race.prompts[0].asked
    lucky = sum(
        run(start.model_copy(update={"check_id": f"c{n}"}), [0.3] + [1.0] * 9, seed=str(n))[0].verdict == "pass"
        for n in range(200)
    )
    assert lucky <= 20
    broken, _ = run(start, [0.0] + [1.0] * 9)
    assert (broken.verdict, broken.prompts[0].verdict) == ("fail", "fail")
    assert broken.prompts[0].asked <= 20


def test_a_prompt_on_its_floor_stays_undecided_at_the_limit() -> None:
    """Nothing is claimed that is not shown."""
    start = check_start(1, needs_call=(), before=None, must_pass=("p0",), settings=CheckSettings(must_pass_asks=6))
    race = CheckRace(start)
    outcomes = [F, P] * 3
    while (plan := race.plan_block()) is not None:
        n = len(plan.draws.positions) + len(plan.again)
        race.absorb(plan.block(outcomes[:n], (), at=AT))
        outcomes = outcomes[n:]
    assert (race.verdict, race.held) == ("undecided", ("asks_used_up", ""))
    assert race.prompts[0].asked == 6


@pytest.mark.parametrize(("rate", "verdict"), [(0.95, "pass"), (0.4, "fail")])
def test_thresholds_are_decided_by_what_is_asked(rate: float, verdict: str) -> None:
    """Accuracy, and restraint over its own prompts alone."""
    start = check_start(30, needs_call=tuple(f"p{j}" for j in range(20)), before=None, thresholds={"restraint": 0.7})
    race, blocks = run(start, [0.5] * 20 + [rate] * 10)
    assert race.verdict == verdict
    assert all(int(name[1:]) >= 20 for block in blocks[1:] for name in block.prompts)


def test_draws_of_a_part_have_the_weights_of_that_part() -> None:
    """On average each of its prompts weighs the same, whatever else was drawn."""
    rng, members = random.Random("part"), frozenset({0, 3, 4})
    noise = [rng.uniform(0.05, 0.5) for _ in range(6)]
    sums, total = dict.fromkeys(sorted(members), 0.0), 0
    for n in range(4000):
        found = within(drawn(range(6), noise, CheckSettings(block_draws=5), f"{n}"), members)
        if found is not None:
            total += found.mass
            for j, weight in zip(found.positions, found.weights, strict=True):
                assert weight <= found.max_weight + 1e-9
                sums[j] += weight
    assert all(math.isclose(value / total, 1 / 3, rel_tol=0.06) for value in sums.values())


def test_recorded_runs_stand_for_what_is_gone() -> None:
    """A broken build fails after a pass or two, an unchanged one passes, and nobody asks the other side."""
    rng = random.Random("recorded")
    rates = [0.5] * 10 + [1.0] * 30
    rows = {f"p{j}": tuple(P if rng.random() < rate else F for _ in range(7)) for j, rate in enumerate(rates)}
    start = check_start(40, before=check_side("before", recorded=rows), settings=CheckSettings(max_regression=0.15))
    broken, blocks = run(start, [0.5] * 10 + [0.0] * 10 + [1.0] * 20)
    same, _ = run(start, rates)
    assert (broken.verdict, same.verdict) == ("fail", "pass")
    assert broken.method(broken.tracks[0]) == "recorded"
    assert not any(block.before for block in blocks)
    assert broken.closest is not None
    assert broken.closest[0] <= broken.closest[1]


def test_recorded_runs_can_be_used_up() -> None:
    """Then it is undecided, and says so."""
    rows = {f"p{j}": (P, F) * 4 for j in range(4)}
    race, blocks = run(check_start(4, before=check_side("before", recorded=rows)), [0.5] * 4)
    assert (race.verdict, race.held, len(blocks)) == ("undecided", ("runs_used_up", ""), 8)


def test_sides_that_share_requests_share_their_answers() -> None:
    """A variant that only reads differently costs nothing."""
    start = check_start(4, now=check_side("now", request_id="req"), before=check_side("before", request_id="req"))
    plan = CheckRace(start).plan_block()
    assert plan is not None
    assert plan.trials == 4


def test_expectations_follow_the_outcomes() -> None:
    """Near 1 for what always passes, one half for what varies, and apart where the sides differ for sure."""
    assert outlook(DrawCounts(5, 5, 5, 5), 0.6).now > 0.95
    assert outlook(DrawCounts(3, 6, 3, 6), 0.6).now == pytest.approx(0.5, abs=0.05)
    apart = outlook(DrawCounts(0, 6, 6, 6), 0.6)
    assert apart.now < 0.1
    assert apart.before > 0.9
    assert outlook(DrawCounts(5000, 10_000, 1, 9_999), 0.6).before_noise > 0
