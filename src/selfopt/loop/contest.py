"""One model and phase of a cycle as evidence sees it: who is known exactly, who has to race, and what a decision can be about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from selfopt.policy import heldout_claim, is_exact
from selfopt.records import CycleStart, CycleTarget, Environment, Evaluation, Outcome, Spec, Suite

from .context import LoopContext
from .store import spec_by_id

Kind = Literal["fixed", "once", "race"]
"""`fixed`: a fixed number of runs and the plain gates; `once`: one pass, which is all there is to know if repeats are copies; `race`: no
pass of its own, a race asks for what it needs."""

_ROUNDING = 1e-9
_INFRASTRUCTURE = frozenset({Outcome.TIMEOUT, Outcome.LOADING, Outcome.ERROR})


def outcomes_of(evaluation: Evaluation) -> dict[str, bool]:
    """Whether each prompt passes, of a spec whose repeats are copies."""
    return {row.prompt_id: bool(row.outcomes) and row.outcomes[0] is Outcome.PASS for row in evaluation.rows}


def environments_of(context: LoopContext, evaluations: Iterable[Evaluation]) -> dict[str, Environment]:
    """What specs were measured in, by spec id."""
    return {
        evaluation.spec_id: environment
        for evaluation in evaluations
        for environment in context.ledger.read(Environment, {"id": evaluation.environment_id}, limit=1)
    }


def _differed(evaluation: Evaluation) -> bool:
    """Whether repeats were seen to differ, and no server or network had a hand in it."""
    outcomes = {outcome for row in evaluation.rows for outcome in row.outcomes}
    return evaluation.determinism == "stochastic" and outcomes.isdisjoint(_INFRASTRUCTURE)


def draws_at_random(spec: Spec) -> bool:
    """Whether its sampling is different each time it is asked."""
    sampling = spec.variant.sampling
    return sampling.temperature > 0 and sampling.seed is None


def is_at_ceiling(baseline: Evaluation) -> bool:
    """Whether the baseline passes everything, so that nothing can be better."""
    return baseline.metrics.accuracy >= 1 - _ROUNDING


def kind_of(context: LoopContext, baseline: Spec, measured: Evaluation, candidate: Spec) -> Kind:
    """How a candidate is measured. measured: the baseline's evaluation.

    A candidate that differs in the warm-up alone makes the same requests of the same model: a race, which warms everybody up, cannot
    see what it is worth. Where the baseline was found stochastic although its sampling draws nothing, so is the candidate, presumably:
    a race is valid for it either way. At a ceiling there is nothing to win, and one pass tells enough.
    """
    if not context.settings.policy.evidence or _differs_in_warm_up_alone(baseline, candidate):
        return "fixed"
    if is_at_ceiling(measured):
        return "once"
    if draws_at_random(candidate):
        return "race"
    return "once" if is_exact(measured) or draws_at_random(baseline) else "race"


def _differs_in_warm_up_alone(baseline: Spec, candidate: Spec) -> bool:
    return baseline.model_copy(update={"warm_up": candidate.warm_up}).spec_id == candidate.spec_id


@dataclass(slots=True)
class Contest:
    """A baseline and its candidates. evaluations: by spec id, of those that were measured in passes."""

    context: LoopContext
    start: CycleStart
    target: CycleTarget
    evaluations: Mapping[str, Evaluation]
    baseline: Spec = field(init=False)
    suite: Suite = field(init=False)
    candidates: tuple[Spec, ...] = field(init=False)

    def __post_init__(self) -> None:
        ledger = self.context.ledger
        self.baseline = spec_by_id(ledger, self.target.baseline_spec_id)
        self.suite = self.context.suite_for(self.baseline)
        self.candidates = tuple(spec_by_id(ledger, spec_id) for spec_id in self.target.candidate_spec_ids)

    @property
    def measured(self) -> Evaluation:
        """The baseline's evaluation."""
        return self.evaluations[self.baseline.spec_id]

    @property
    def whole(self) -> bool:
        """Whether the suite is the complete work, so that there are no other prompts to speak of."""
        return self.suite.scope == "whole"

    @property
    def claim(self) -> str:
        """What a promotion here is a claim about."""
        return heldout_claim(self.suite.scope, len(self.suite.select("heldout")))

    @property
    def doubtful(self) -> bool:
        """Whether one of these specs answered the same prompt in two ways although its sampling draws nothing. Then that a few prompts
        repeated themselves for another one was luck: what serves them is the same."""
        return any(
            spec.spec_id in self.evaluations and not draws_at_random(spec) and _differed(self.evaluations[spec.spec_id])
            for spec in (self.baseline, *self.candidates)
        )

    def exact(self, spec: Spec) -> bool:
        """Whether a spec's repeats are known to be copies."""
        evaluation = self.evaluations.get(spec.spec_id)
        return evaluation is not None and is_exact(evaluation) and not self.doubtful

    def known_exactly(self, spec: Spec) -> bool:
        """Whether the difference to the baseline on this suite is known without a race."""
        return self.exact(spec) and self.exact(self.baseline)

    def racing(self) -> tuple[Spec, ...]:
        """The candidates that a race has to judge."""
        if is_at_ceiling(self.measured):
            return ()
        kinds = ((spec, kind_of(self.context, self.baseline, self.measured, spec)) for spec in self.candidates)
        return tuple(spec for spec, kind in kinds if kind != "fixed" and not self.known_exactly(spec))

    def copies(self, specs: Iterable[Spec]) -> list[Evaluation]:
        """The evaluations of those among these specs whose repeats are copies."""
        return [self.evaluations[spec.spec_id] for spec in specs if self.exact(spec)]
