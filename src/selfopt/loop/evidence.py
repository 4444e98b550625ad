"""What is known about each candidate: exactly, by a race, or by a test on held-out prompts.

There are two claims. *On this suite* is the claim when the suite is the whole work or has no useful
held-out split. Deterministic specs are then known exactly, and the others race over the suite's
prompts. *On prompts like these* is the claim otherwise. The search split then only proposes, and
the best proposal has to pass on held-out prompts that nothing was tuned on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from selfopt.errors import BudgetError
from selfopt.measure.evaluate import evaluate_race
from selfopt.policy import restraint_evidence
from selfopt.records import (
    Decision,
    Evaluation,
    EvidenceState,
    NotRaced,
    RestraintEvidence,
    Spec,
)
from selfopt.words.evidence import ended_text

from .contest import Contest, environments_of, outcomes_of
from .entry import RaceField
from .heldout import HeldoutFound, on_heldout
from .racing import Raced, race_id_of, run_race
from .spending import costs_of


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a candidate is decided on. evidence None: the plain gates alone decide."""

    measured: Evaluation
    baseline: Evaluation
    evidence: EvidenceState | None = None

    def with_heldout(self, found: HeldoutFound) -> Candidate:
        """The same case under the claim about other prompts."""
        known = self.evidence or EvidenceState()
        update = {
            "claim": "prompts_like_these",
            "heldout": found.seen and found.seen.evidence(),
            "not_tried": found.not_tried,
            "costs": (*known.costs, *found.costs),
        }
        return replace(self, evidence=known.model_copy(update=update))


async def gather_evidence(contest: Contest) -> dict[str, Candidate]:
    """What every candidate is decided on, by spec id.

    Raises what `run_race` and `on_heldout` raise.
    """
    context = contest.context
    cases: dict[str, Candidate] = {}
    for spec in contest.candidates:
        evaluation = contest.evaluations.get(spec.spec_id)
        if evaluation is not None:
            labelled = context.settings.policy.evidence and not contest.whole and contest.known_exactly(spec)
            known = EvidenceState(claim="this_suite") if labelled else None
            cases[spec.spec_id] = Candidate(evaluation, contest.measured, known)
    racing = contest.racing()
    if racing:
        cases |= await _raced(contest, racing)
    return await _tried_on_heldout(contest, cases) if contest.claim == "prompts_like_these" else cases


async def _raced(contest: Contest, racing: tuple[Spec, ...]) -> dict[str, Candidate]:
    """The cases of the candidates that race."""
    context = contest.context
    copies = contest.copies((contest.baseline, *racing))
    race = await run_race(
        context,
        RaceField(
            race_id=race_id_of(contest.start.number, contest.baseline.spec_id, "search"),
            cycle_id=contest.start.cycle_id,
            purpose="search",
            suite=contest.suite,
            baseline=contest.baseline,
            candidates=racing,
            settings=context.race,
            known={evaluation.spec_id: outcomes_of(evaluation) for evaluation in copies},
            environments=environments_of(context, copies),
            screened=contest.target.screened,
        ),
    )
    results = _Results(contest, race)
    cases = {}
    for spec in racing:
        case = await results.case(spec)
        cases[spec.spec_id] = case if case is not None else await _without_blocks(contest, spec, race)
    return cases


@dataclass(slots=True)
class _Results:
    """The results of a race. race None: there was no race."""

    contest: Contest
    race: Raced | None
    made: dict[str, Evaluation | None] = field(default_factory=dict)

    async def evaluation(self, spec: Spec) -> Evaluation | None:
        """The evaluation of a spec over its blocks, or of its pass when it was not asked."""
        if spec.spec_id not in self.made:
            contest = self.contest
            found = None
            if self.race is not None:
                found = await evaluate_race(
                    contest.context.ledger,
                    self.race.start.race_id,
                    spec,
                    contest.suite,
                    self.race.blocks,
                    cycle_id=contest.start.cycle_id,
                    now=contest.context.now,
                )
            if found is not None:
                await contest.context.ledger.append([found])
            self.made[spec.spec_id] = found if found is not None else contest.evaluations.get(spec.spec_id)
        return self.made[spec.spec_id]

    async def case(self, spec: Spec) -> Candidate | None:
        """The case of a candidate; None when the race says nothing about it."""
        standing = self.race.standing(spec.spec_id) if self.race is not None else None
        candidate, baseline = await self.evaluation(spec), await self.evaluation(self.contest.baseline)
        if standing is None or candidate is None or baseline is None or standing.blocks == 0:
            return None
        known = EvidenceState(
            claim="this_suite",
            race=standing.evidence(),
            restraint=self._restraint(spec, baseline),
            costs=costs_of(self.contest.context, self.race.look_ids(spec.spec_id) if self.race is not None else ()),
        )
        return Candidate(candidate, baseline, known)

    def _restraint(self, spec: Spec, baseline: Evaluation) -> RestraintEvidence | None:
        policy = self.contest.context.settings.policy
        assert self.race is not None
        quiet = {prompt.id for prompt in self.contest.suite.prompts if not prompt.needs_call}
        return restraint_evidence(
            self.race.start,
            self.race.blocks,
            spec.spec_id,
            quiet,
            margin=policy.restraint_margin,
            alpha=policy.alpha,
            baseline_call_accuracy=baseline.metrics.call_accuracy,
        )


async def _without_blocks(contest: Contest, spec: Spec, race: Raced | None) -> Candidate:
    """The case of a candidate without evidence. It will be held; one pass gives figures to show."""
    evaluation = contest.evaluations.get(spec.spec_id)
    if evaluation is None:
        measurement = await contest.context.measure([spec], contest.start.cycle_id, "once")
        evaluation = measurement.evaluations.get(spec.spec_id)
    if evaluation is None:
        raise BudgetError(f"cycle {contest.start.number} stopped: {measurement.stopped}; the same command continues it")
    # When alpha is used up, there is no race, or one of the candidates that bring a share of their own.
    missing = NotRaced(code="no_alpha_left", detail="alpha is used up")
    if race is not None and race.standing(spec.spec_id) is not None:
        missing = NotRaced(code="not_enough_evidence", detail=ended_text(race.end.ended_by, race.end.detail))
    return Candidate(evaluation, contest.measured, EvidenceState(claim="this_suite", not_raced=missing))


async def _tried_on_heldout(contest: Contest, cases: Mapping[str, Candidate]) -> dict[str, Candidate]:
    """Try the best candidate that the search split would promote on held-out prompts.

    The others wait for a later cycle.
    """
    proposed = {spec_id: decision for spec_id, case in cases.items() if (decision := _would_be(contest, case)) is not None}
    if not proposed:
        return dict(cases)
    best = max(proposed, key=lambda spec_id: proposed[spec_id].estimate or 0.0)
    spec = next(spec for spec in contest.candidates if spec.spec_id == best)
    found = await on_heldout(contest, spec)
    behind = HeldoutFound(None, "another candidate did better on the search split, and only one a cycle is tried")
    waiting = {spec_id: cases[spec_id].with_heldout(behind) for spec_id in proposed}
    return {**cases, **waiting, best: cases[best].with_heldout(found)}


def _would_be(contest: Contest, case: Candidate) -> Decision | None:
    """The decision by which the search split alone would promote.

    None when it would not, or when no evidence is asked for.
    """
    if case.evidence is None:
        return None
    decision = contest.context.decide(case.measured, case.baseline, contest.start.cycle_id, case.evidence)
    return decision if decision.verdict == "promote" else None
