"""Tries the best proposal of the search split on prompts that nothing was tuned on."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.policy import AlphaShare, heldout_family, prompt_test
from selfopt.records import Evaluation, Outcome, PromptTest, RaceStanding, Spec

from .contest import Contest, environments_of, outcomes_of
from .context import LoopEvent
from .entry import RaceField, keys_of, share_of
from .racing import race_id_of, run_race

# A trial with such an outcome says nothing about the spec, and no other trial takes its place.
_LOST = frozenset({Outcome.ERROR, Outcome.LOADING})

Found = tuple[RaceStanding | PromptTest | None, str | None]


async def on_heldout(contest: Contest, spec: Spec) -> Found:
    """Try a candidate on held-out prompts, with fresh trials.

    It spends a share of the alpha that all looks at this split have in common.

    Returns:
        How the candidate did, or None and the reason why it could not be tried.

    Raises:
        BudgetError: a cap ended the measurement. `run_race` may raise more.
    """
    baseline, candidate = (one.model_copy(update={"split": "heldout"}) for one in (contest.baseline, spec))
    copies = [one for one, known in ((baseline, contest.baseline), (candidate, spec)) if contest.exact(known)]
    if len(copies) == 2:
        return await _by_prompts(contest, baseline, candidate)
    return await _by_race(contest, baseline, candidate, copies)


async def _by_race(contest: Contest, baseline: Spec, candidate: Spec, copies: Sequence[Spec]) -> Found:
    context = contest.context
    known = await _pass(contest, copies)
    lost = _lost(known)
    if lost is not None:
        return None, lost
    race = await run_race(
        context,
        RaceField(
            race_id=race_id_of(contest.start.number, candidate.spec_id, "heldout"),
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
        return None, share_of(context, heldout_family(candidate.suite_hash)).detail
    return race.standing(candidate.spec_id), None


async def _by_prompts(contest: Contest, baseline: Spec, candidate: Spec) -> Found:
    """Test two deterministic specs by one paired outcome for each prompt."""
    context = contest.context
    tests = context.ledger.read(PromptTest, {"cycle_id": contest.start.cycle_id})
    made = next((test for test in tests if test.key.candidate_spec_id == candidate.spec_id), None)
    if made is not None:
        return made, None
    share = share_of(context, heldout_family(candidate.suite_hash))
    if share.used_up:
        context.say(LoopEvent("evidence", share.detail))
        return None, share.detail
    evaluations = await _pass(contest, (baseline, candidate))
    lost = _lost(evaluations)
    if lost is not None:
        return None, lost
    test = _test(contest, baseline, candidate, evaluations, share)
    await context.ledger.append([test])
    context.on_step("prompt_test")
    says = "passes" if test.passed else "does not pass"
    context.say(
        LoopEvent(
            "race",
            f"{candidate.variant.name} {says} on {test.n} held-out prompts: {test.wins} won, {test.losses} lost, log E {test.log_e:.2f} of "
            f"{test.log_e_needed:.2f} ({share.detail})",
            test,
        )
    )
    return test, None


def _test(contest: Contest, baseline: Spec, candidate: Spec, evaluations: Sequence[Evaluation], share: AlphaShare) -> PromptTest:
    context = contest.context
    outcomes = {evaluation.spec_id: outcomes_of(evaluation) for evaluation in evaluations}
    field = RaceField(
        race_id="",
        cycle_id=contest.start.cycle_id,
        purpose="heldout",
        suite=contest.suite,
        baseline=baseline,
        candidates=(candidate,),
        settings=context.race,
        known=outcomes,
        environments=environments_of(context, evaluations),
    )
    return prompt_test(
        keys_of(field, {})[candidate.spec_id],
        (outcomes[candidate.spec_id], outcomes[baseline.spec_id]),
        clusters={prompt.id: prompt.tool_set for prompt in contest.suite.prompts},
        share=share,
        order_seed=race_id_of(contest.start.number, candidate.spec_id, "order"),
        at=context.now(),
        cycle_id=contest.start.cycle_id,
    )


async def _pass(contest: Contest, specs: Sequence[Spec]) -> list[Evaluation]:
    """Measure specs in one fresh pass each over the held-out split."""
    found = await contest.context.measured(contest.start, specs, "on the held-out prompts", "pass")
    return list(found.values())


def _lost(evaluations: Sequence[Evaluation]) -> str | None:
    """Why passes cannot be used; None when every request reached the model, or was refused for good."""
    faults = sum(outcome in _LOST for evaluation in evaluations for row in evaluation.rows for outcome in row.outcomes)
    lost = faults - sum(evaluation.refused for evaluation in evaluations)
    return f"{lost} of the held-out trials never reached the model (error or loading); measure again" if lost else None
