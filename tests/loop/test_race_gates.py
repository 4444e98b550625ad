"""What a race's decision rests on besides the race: held-out prompts, the alpha that looks share, caps."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selfopt.errors import BudgetError, SuiteError, UsageError
from selfopt.records import AlphaSpent, Cycle, Decision, PromptTest, RaceStart, Run, Trial

from .kit import World
from .race_kit import ATOMIC, candidates, sample_suite, sometimes, steady, towns, with_suite

Make = Callable[..., World]
TOWNS = towns(140)


def decision_of(world: World) -> Decision:
    """The newest one."""
    with world.ledger() as ledger:
        return list(ledger.read(Decision))[-1]


async def raced(world: World, folder: Path, **more: Any) -> Cycle:
    """One cycle with the one candidate."""
    (cycle,) = await world.loop(ATOMIC, candidates=candidates(folder), **more)
    return cycle


async def test_a_stochastic_winner_passes_on_heldout_prompts_with_fresh_trials(world: Make, tmp_path: Path) -> None:
    """The claim is about other prompts, in the figures of the held-out race; none of its trials served before; its alpha is on record."""
    w = with_suite(world(m=sometimes(0.3, 0.9, TOWNS)), sample_suite(40, 100))
    cycle = await raced(w, tmp_path)
    decision = decision_of(w)
    assert (decision.verdict, decision.claim) == ("promote", "prompts_like_these")
    known = decision.evidence
    assert known.heldout is not None
    assert known.race is not None
    assert decision.estimate == known.heldout.estimate
    assert decision.estimate != known.race.estimate
    with w.ledger() as ledger:
        search, heldout = ledger.read(RaceStart)
        assert (search.split, heldout.split, heldout.purpose) == ("search", "heldout", "heldout")
        assert not set(search.prompt_ids) & set(heldout.prompt_ids)
        assert (heldout.family, heldout.number, heldout.alpha) == (f"heldout scripted/m atomic {heldout.suite_hash}", 1, 0.025)
        runs = {run.run_id: run for run in ledger.read(Run)}
        fresh = [trial for trial in ledger.read(Trial) if trial.prompt_id in heldout.prompt_ids]
        assert fresh
        assert {runs[trial.run_id].purpose for trial in fresh} == {"race"}
    assert any(
        "100 held-out prompts; look 1 at these held-out prompts, with a chance of error of 0.025" in t for t in w.said("race")
    )
    assert cycle.targets[0].winner_variant == "restrained"


async def test_what_was_only_tuned_to_the_search_split_is_held(world: Make, tmp_path: Path) -> None:
    """All gained on the prompts it was tuned on, nothing on the others: the held-out gate holds it."""
    w = with_suite(world(m=steady(TOWNS[:10], TOWNS[:40])), sample_suite(40, 100))
    await raced(w, tmp_path)
    decision = decision_of(w)
    assert (decision.verdict, decision.reason_codes) == ("hold", ("not_shown_on_heldout",))
    assert decision.estimate == 0.0
    with w.ledger() as ledger:
        (test,) = ledger.read(PromptTest)
        assert (test.n, test.wins, test.losses, test.passed, test.number, test.alpha) == (100, 0, 0, False, 1, 0.025)


async def test_looks_at_heldout_prompts_share_one_alpha_and_a_used_up_split_says_what_to_do(world: Make, tmp_path: Path) -> None:
    """With a horizon of one look the second is refused: nothing is measured there, the decision holds and names the way out."""
    w = with_suite(world({"policy": {"horizon": 1}}, m=steady(TOWNS[:10], TOWNS[:40])), sample_suite(40, 100))
    await raced(w, tmp_path)
    assert "0.05 of 0.05, 0 spent before" in w.said("race")[-1]
    await raced(w, tmp_path)
    decision = decision_of(w)
    assert (decision.verdict, decision.reason_codes) == ("hold", ("not_tried_on_heldout",))
    (said,) = w.said("evidence")
    assert "used up by 1 look" in said
    assert "fresh held-out prompts" in said
    assert any(said in gate.detail for gate in decision.gates)
    with w.ledger() as ledger:
        assert sum(test.alpha for test in ledger.read(PromptTest)) == 0.05


async def test_later_looks_get_less(world: Make, tmp_path: Path) -> None:
    """Without a horizon, alpha / (t (t + 1)), of which a history without a pass has 0.8 and then 0.71: all of them together never
    spend more than alpha."""
    w = with_suite(world(m=steady(TOWNS[:10], TOWNS[:40])), sample_suite(40, 100))
    for _ in range(3):
        await raced(w, tmp_path)
    with w.ledger() as ledger:
        spent = list(ledger.read(AlphaSpent))
        assert [(one.number, one.alpha) for one in spent] == [(1, 0.025), (2, 0.05 / 6), (3, 0.05 / 12)]
        assert [(one.earlier_looks, one.earlier_passes) for one in spent] == [(0, 0), (1, 0), (2, 0)]
        levels = [t.alpha for t in ledger.read(PromptTest)]
        assert levels == pytest.approx([0.025, 0.05 / 6 * 0.8, 0.05 / 12 * 0.8 * 2 / 2.25])


async def test_under_a_hundred_heldout_prompts_the_decision_is_about_this_suite_only(world: Make, tmp_path: Path) -> None:
    """They tell too little about others: what is known about the search split decides, and the label says so."""
    w = with_suite(world(m=steady(TOWNS[:10], TOWNS[:90])), sample_suite(40, 99))
    await raced(w, tmp_path)
    decision = decision_of(w)
    assert decision.verdict == "promote"
    assert decision.claim in ("this_suite", "this_suite_exact")
    with w.ledger() as ledger:
        assert not list(ledger.read(PromptTest))


@pytest.mark.parametrize("cap", [{"max_trials": 300}, {"max_tokens": 2500}])
async def test_a_cap_that_ends_a_race_holds_and_says_how_much_more_would_decide(
    world: Make, tmp_path: Path, cap: dict[str, int]
) -> None:
    """The next cycle goes on with the evidence; the cap of trials is never exceeded."""
    w = world(m=sometimes(0.5, 0.58))
    caps = {"limits": {"retries": 0, **cap}}
    await raced(w, tmp_path, settings=caps)
    decision = decision_of(w)
    assert (decision.verdict, decision.reason_codes[0]) == ("hold", "not_enough_evidence")
    (gate,) = [gate for gate in decision.gates if gate.name == "evidence"]
    assert re.search(rf"{next(iter(cap))} = .*; raise .*; about \d+ more trials would decide", gate.detail)
    with w.ledger() as ledger:
        assert len(list(ledger.read(Trial))) <= cap.get("max_trials", 10_000)
    first = decision.evidence.race
    await raced(w, tmp_path, settings=caps)
    second = decision_of(w).evidence.race
    assert first is not None
    assert second is not None
    assert second.n_pairs > first.n_pairs
    with w.ledger() as ledger:
        assert [start.alpha for start in ledger.read(RaceStart)] == [0.025, 0.0]


async def test_a_race_stopped_before_its_first_trial_says_what_it_takes(world: Make, tmp_path: Path) -> None:
    """Nothing is decided; how many trials are needed stands there; asked for again with more, it goes on."""
    w = world(m=sometimes(0.3, 0.9))
    with pytest.raises(BudgetError, match=r"baselines were measured: max_trials = 1 reached by this command; raise max_trials"):
        await raced(w, tmp_path, settings={"limits": {"retries": 0, "max_trials": 1}})
    with pytest.raises(BudgetError, match=r"max_trials = 60: \d+ are left, the next block takes 28; raise it to \d+ or more"):
        await raced(w, tmp_path, settings={"limits": {"retries": 0, "max_trials": 60}})
    assert (await raced(w, tmp_path)).targets[0].winner_variant == "restrained"


async def test_a_suite_without_search_prompts_is_refused_before_anything_is_measured(world: Make, tmp_path: Path) -> None:
    """One line that says what is missing."""
    body = sample_suite(2, 10)
    for prompt in body["prompts"]:
        prompt["split"] = "heldout"
    w = with_suite(world(m=steady([], [])), body)
    with pytest.raises((SuiteError, UsageError), match="search"):
        await raced(w, tmp_path)
    assert not (w.home / "ledger.sqlite3").exists()


async def test_a_search_whose_alpha_is_used_up_races_no_newcomer_and_lets_the_held_go_on(world: Make, tmp_path: Path) -> None:
    """With a horizon of one race: a held candidate goes on with its own share, a new one is held without a trial of a race."""
    w = world({"policy": {"horizon": 1, "race_trials": 100}}, m=sometimes(0.5, 0.58))
    await raced(w, tmp_path)
    assert decision_of(w).reason_codes[0] == "not_enough_evidence"
    both = candidates(tmp_path, {"variant": "restrained"}, {"timeout_s": 50})
    (cycle,) = await w.loop(ATOMIC, candidates=both)
    held, new = cycle.targets[0].candidates
    assert held.reason_codes[0] == "not_enough_evidence"
    assert (new.verdict, new.reason_codes[0]) == ("hold", "no_alpha_left")
    assert any("fresh prompts to the suite" in said for said in w.said("evidence"))
    with w.ledger() as ledger:
        assert [(len(start.entrants), start.alpha) for start in ledger.read(RaceStart)] == [(1, 0.05), (1, 0.0)]
