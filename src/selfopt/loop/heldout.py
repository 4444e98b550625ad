"""Tries the best proposal of the search split on prompts that nothing was tuned on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selfopt.measure.lookup import find
from selfopt.policy import prompt_test
from selfopt.records import AlphaSpent, Evaluation, LookCost, Outcome, PromptTest, RaceStanding, RaceStart, Spec
from selfopt.stats import history_share

from .contest import Contest, environments_of, outcomes_of, shares_of
from .context import LoopEvent
from .entry import RaceField, keys_of
from .racing import race_id_of, run_race
from .spending import charged_by_hand, costs_of, families_of, share_of, share_spent, spending

# A trial with such an outcome says nothing about the spec, and no other trial takes its place.
_LOST = frozenset({Outcome.ERROR, Outcome.LOADING})


@dataclass(frozen=True, slots=True)
class HeldoutFound:
    """What held-out prompts say about a candidate.

    Attributes:
        seen: how it did on them.
        not_tried: why it was not tried on them.
        costs: what the look cost.
    """

    seen: RaceStanding | PromptTest | None
    not_tried: str | None = None
    costs: tuple[LookCost, ...] = ()


async def on_heldout(contest: Contest, spec: Spec) -> HeldoutFound:
    """Try a candidate on held-out prompts, with fresh trials.

    It spends a share of the alpha that all looks of this model at this split have in common, before
    the first prompt is asked. Where nothing is random, or where a screening chose the candidates, a
    prompt counts once, and the candidate must be better: that many candidates were ranked on the
    search prompts makes it likely that the best of them suits these prompts alone.

    Raises:
        BudgetError: a cap ended the measurement. `run_race` may raise more.
    """
    baseline, candidate = (one.model_copy(update={"split": "heldout"}) for one in (contest.baseline, spec))
    copies = [one for one, known in ((baseline, contest.baseline), (candidate, spec)) if contest.exact(known)]
    if len(copies) == 2 or contest.target.screened:
        return await _by_prompts(contest, baseline, candidate, copies)
    return await _by_race(contest, baseline, candidate, copies)


async def _by_race(contest: Contest, baseline: Spec, candidate: Spec, copies: Sequence[Spec]) -> HeldoutFound:
    context = contest.context
    race_id = race_id_of(contest.start.number, candidate.spec_id, "heldout")
    if copies and not _raced_before(contest, candidate) and await _spent(contest, candidate, race_id, fresh=True) is None:
        return HeldoutFound(None, share_of(context, candidate, "heldout").detail)
    known = await _pass(contest, copies)
    lost = _lost(known)
    if lost is not None:
        return HeldoutFound(None, lost, costs_of(context, [race_id]))
    race = await run_race(
        context,
        RaceField(
            race_id=race_id,
            cycle_id=contest.start.cycle_id,
            purpose="heldout",
            suite=contest.suite,
            baseline=baseline,
            candidates=(candidate,),
            settings=context.heldout_race,
            known={evaluation.spec_id: outcomes_of(evaluation) for evaluation in known},
            environments=environments_of(context, known),
        ),
    )
    if race is None:
        return HeldoutFound(None, share_of(context, candidate, "heldout").detail)
    return HeldoutFound(race.standing(candidate.spec_id), None, costs_of(context, race.look_ids(candidate.spec_id)))


def _raced_before(contest: Contest, candidate: Spec) -> bool:
    """Whether an earlier race on these prompts, or this one, has spent alpha on the candidate."""
    context = contest.context
    starts = (
        start for name in families_of(context, candidate, "heldout") for start in context.ledger.read(RaceStart, {"family": name})
    )
    return any(entrant.spec_id == candidate.spec_id for start in starts for entrant in start.entrants)


async def _spent(contest: Contest, candidate: Spec, look_id: str, *, fresh: bool) -> AlphaSpent | None:
    """The alpha of a look, spent before the look is taken; None when it is used up.

    fresh: the look rests on fresh replies alone, whatever the prompts have shown before.
    """
    context, start, target = contest.context, contest.start, contest.target
    spent = spending(context, candidate, "heldout", look_id, start.cycle_id, (candidate.spec_id,), target.screened)
    if spent is None or find(context.ledger, AlphaSpent, spent.spending_id) is not None:
        return spent
    if not fresh:
        spent = spent.model_copy(update={"history": history_share(spent.earlier_looks, spent.earlier_passes)})
    await context.ledger.append([*charged_by_hand(context, candidate, "heldout"), spent])
    context.on_step("alpha_spent")
    return spent


async def _by_prompts(contest: Contest, baseline: Spec, candidate: Spec, copies: Sequence[Spec]) -> HeldoutFound:
    """Test two specs by one paired outcome for each prompt."""
    context = contest.context
    look_id = race_id_of(contest.start.number, candidate.spec_id, "test")
    tests = context.ledger.read(PromptTest, {"cycle_id": contest.start.cycle_id})
    made = next((test for test in tests if test.key.candidate_spec_id == candidate.spec_id), None)
    if made is not None:
        return HeldoutFound(made, None, costs_of(context, [look_id]))
    spent = await _spent(contest, candidate, look_id, fresh=False)
    if spent is None:
        detail = share_of(context, candidate, "heldout").detail
        context.say(LoopEvent("evidence", detail))
        return HeldoutFound(None, detail)
    asked = [spec for spec in (baseline, candidate) if spec not in copies]
    evaluations = [*await _pass(contest, copies), *await _pass(contest, asked, repeats=True)]
    lost = _lost(evaluations)
    if lost is not None:
        return HeldoutFound(None, lost, (spent.cost(),))
    test = _test(contest, baseline, candidate, evaluations, spent, repeats=context.settings.loop.n_runs if asked else 1)
    await context.ledger.append([test])
    context.on_step("prompt_test")
    says = "passes" if test.passed else "does not pass"
    context.say(
        LoopEvent(
            "race",
            f"{candidate.variant.name} {says} on {test.n} held-out prompts: {test.wins} won, {test.losses} lost, log E {test.log_e:.2f} of "
            f"{test.log_e_needed:.2f} (look {spent.number}: {spent.alpha:.3g} of {spent.total:g}, {spent.spent_before:.3g} spent before)",
            test,
        )
    )
    return HeldoutFound(test, None, (spent.cost(),))


def _test(
    contest: Contest, baseline: Spec, candidate: Spec, evaluations: Sequence[Evaluation], spent: AlphaSpent, *, repeats: int
) -> PromptTest:
    context = contest.context
    passes = outcomes_of if repeats == 1 else shares_of
    outcomes: dict[str, Mapping[str, float]] = {evaluation.spec_id: passes(evaluation) for evaluation in evaluations}
    field = RaceField(
        race_id="",
        cycle_id=contest.start.cycle_id,
        purpose="heldout",
        suite=contest.suite,
        baseline=baseline,
        candidates=(candidate,),
        settings=context.race,
        known={},
        environments=environments_of(context, evaluations),
    )
    return prompt_test(
        keys_of(field, {})[candidate.spec_id],
        (outcomes[candidate.spec_id], outcomes[baseline.spec_id]),
        clusters={prompt.id: prompt.tool_set for prompt in contest.suite.prompts},
        share=share_spent(spent),
        order_seed=race_id_of(contest.start.number, candidate.spec_id, "order"),
        repeats=repeats,
        at=context.now(),
        cycle_id=contest.start.cycle_id,
    )


async def _pass(contest: Contest, specs: Sequence[Spec], *, repeats: bool = False) -> list[Evaluation]:
    """Measure specs over the held-out split, in one fresh pass each or in the planned number of them."""
    found = await contest.context.measured(contest.start, specs, "on the held-out prompts", "repeats" if repeats else "pass")
    return list(found.values())


def _lost(evaluations: Sequence[Evaluation]) -> str | None:
    """Why passes cannot be used; None when every request reached the model, or was refused for good."""
    faults = sum(outcome in _LOST for evaluation in evaluations for row in evaluation.rows for outcome in row.outcomes)
    lost = faults - sum(evaluation.refused for evaluation in evaluations)
    return f"{lost} of the held-out trials never reached the model (error or loading); measure again" if lost else None
