"""What looks cost: spent before they are taken, for one model on one suite, and counted by the next search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selfopt.loop import Listener
from selfopt.records import AlphaSpent, Decision, PromptEvidence, PromptTest, RaceStart, Run, Trial
from selfopt.verbs.deciding import explained_decision
from selfopt.verbs.looping import parse_target, run_loop
from tests.ledger.race_samples import race_records

from .kit import World
from .race_kit import ATOMIC, M, candidates, sample_suite, sometimes, steady, towns, with_suite
from .test_continue import Stopped, stop_at

Make = Callable[..., World]
TOWNS = towns(140)
FLAKY = {"loop": {"n_runs": 3}}


def spent(world: World) -> list[AlphaSpent]:
    """Every look."""
    with world.ledger() as ledger:
        return list(ledger.read(AlphaSpent))


async def searched(world: World, screened: int, **more: Any) -> Decision:
    """A cycle with the one candidate that a screening of so many chose; its decision."""
    with world.app(**more.pop("settings", {})) as app:
        app.on_step = more.pop("on_step", app.on_step)
        best = app.standing_spec(M, "atomic", "restrained")
        target = replace(parse_target(app, ATOMIC), candidates=lambda _: [best], screened=screened)
        await run_loop(app, [target], listener=Listener(world.events.append))
    with world.ledger() as ledger:
        return list(ledger.read(Decision))[-1]


@pytest.mark.parametrize("screened", [0, 200])
async def test_a_look_is_on_record_before_it_is_taken_and_is_not_given_back(world: Make, tmp_path: Path, screened: int) -> None:
    """Killed before its first prompt, it has spent its alpha; the same command takes the same look and spends nothing more."""
    w = with_suite(world(m=steady(TOWNS[:10], TOWNS)), sample_suite(40, 100))
    with pytest.raises(Stopped):
        await searched(w, screened, on_step=stop_at("alpha_spent"))
    (look,) = spent(w)
    with w.ledger() as ledger:
        runs = {run.run_id: run for run in ledger.read(Run)}
        assert all(runs[trial.run_id].split == "search" for trial in ledger.read(Trial))
        assert not list(ledger.read(PromptTest))
    assert (look.purpose, look.number, look.alpha, look.total, look.screened) == ("heldout", 1, 0.025, 0.05, screened)
    assert (await searched(w, screened)).verdict == "promote"
    assert spent(w) == [look]
    with w.ledger() as ledger:
        (test,) = ledger.read(PromptTest)
    assert (test.family, test.number, test.alpha) == (look.family, look.number, look.alpha)


async def test_another_search_on_the_same_suite_and_model_has_what_is_left(world: Make, tmp_path: Path) -> None:
    """A look that a crash cut off counts as well; another model's looks do not, but its verdicts make the next test's share smaller."""
    w = with_suite(world(m=steady(TOWNS[:10], TOWNS[:40]), n=steady(TOWNS[:10], TOWNS[:40])), sample_suite(40, 100))
    with pytest.raises(Stopped):
        await searched(w, 200, on_step=stop_at("alpha_spent"))
    file = candidates(tmp_path)
    await w.loop("scripted/n atomic native_api", candidates=file)
    await w.loop(ATOMIC, candidates=file)
    looks = [(one.model, one.number, one.alpha, one.spent_before, one.earlier_looks) for one in spent(w)]
    assert looks == [
        ("scripted/m", 1, 0.025, 0, 0),
        ("scripted/n", 1, 0.025, 0, 1),
        ("scripted/m", 2, pytest.approx(0.05 / 6), 0.025, 2),
    ]
    with w.ledger() as ledger:
        assert [test.alpha for test in ledger.read(PromptTest)] == pytest.approx([0.025 * 0.8, 0.05 / 6 * 0.8 * 2 / 2.25])


async def test_what_earlier_versions_spent_counts_for_every_model(world: Make) -> None:
    """Then all models shared one family of held-out looks; the old test keeps its level, and the next look gets less."""
    w = with_suite(world(m=steady(TOWNS[:10], TOWNS)), sample_suite(40, 100))
    with w.app() as app:
        suite_hash = app.standing_spec(M, "atomic", "restrained").suite_hash
        (old,) = (record for record in race_records() if isinstance(record, PromptTest))
        old = old.model_copy(update={"family": f"heldout {suite_hash}", "number": 1, "alpha": 0.025, "passed": False})
        await app.ledger.append([old])
    assert (await searched(w, 200)).verdict == "promote"
    (look,) = spent(w)
    assert (look.number, look.spent_before, look.earlier_looks, look.earlier_passes) == (2, 0.025, 1, 0)
    assert look.alpha == pytest.approx(0.05 / 6)
    with w.ledger() as ledger:
        assert [test.alpha for test in ledger.read(PromptTest)] == pytest.approx([0.025, 0.05 / 6 * 0.8])


async def test_after_a_screening_held_out_prompts_count_once_and_must_show_a_gain(world: Make) -> None:
    """Stochastic specs answer each of them a planned number of times; the test says so, and which comparisons it answers for."""
    w = with_suite(world(FLAKY, m=sometimes(0.3, 0.9, TOWNS)), sample_suite(40, 100))
    decision = await searched(w, 200)
    assert (decision.verdict, decision.claim) == ("promote", "prompts_like_these")
    seen = decision.evidence.heldout
    assert isinstance(seen, PromptEvidence)
    assert (seen.n, seen.repeats, seen.null_mean, seen.alpha) == (100, 3, 0.0, 0.025)
    search, heldout = decision.evidence.costs
    assert (search.purpose, search.screened, search.candidates, search.alpha) == ("search", 200, 1, 0.025)
    assert (heldout.purpose, heldout.screened, heldout.compared) == ("heldout", 200, 200)
    with w.ledger() as ledger:
        assert [start.purpose for start in ledger.read(RaceStart)] == ["search"]
    with w.app() as app:
        _, account, _ = explained_decision(app, decision.decision_id)
    told = " ".join((account.claimed, *account.sure, *account.costs))
    for words in (
        "(b) on prompts like these",
        "by 3 answers of each to every prompt",
        "of 200 candidates raced on fresh replies",
    ):
        assert words in told
    assert "0.025 was spent" not in told


async def test_what_only_suits_the_search_prompts_is_not_promoted_after_a_screening(world: Make) -> None:
    """Not worse elsewhere is not enough: among many candidates one always suits the prompts that they were ranked on."""
    w = with_suite(world(FLAKY, m=sometimes(0.3, 0.9, TOWNS[:40])), sample_suite(40, 100))
    decision = await searched(w, 200)
    assert (decision.verdict, decision.reason_codes) == ("hold", ("not_shown_on_heldout",))
