"""A baseline and its candidates: who is known exactly, who races, and what a decision claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from selfopt.policy import heldout_claim
from selfopt.records import CycleStart, CycleTarget, Environment, Evaluation, Outcome, Spec, Suite

from .context import LoopContext
from .store import spec_by_id

Kind = Literal["fixed", "once", "race"]
"""How a candidate is measured.

fixed: in a fixed number of runs, and judged by the plain gates. once: in one pass, which tells
everything when repeats are copies. race: a race asks for what it needs, so there is no pass.
"""

_ROUNDING = 1e-9
_INFRASTRUCTURE = frozenset({Outcome.TIMEOUT, Outcome.LOADING, Outcome.ERROR})


def outcomes_of(evaluation: Evaluation) -> dict[str, bool]:
    """Whether each prompt passes, by prompt id. Meant for a spec whose repeats are copies."""
    return {row.prompt_id: bool(row.outcomes) and row.outcomes[0] is Outcome.PASS for row in evaluation.rows}


def shares_of(evaluation: Evaluation) -> dict[str, float]:
    """The share of its answers that pass each prompt, by prompt id."""
    return {
        row.prompt_id: sum(one is Outcome.PASS for one in row.outcomes) / max(1, len(row.outcomes)) for row in evaluation.rows
    }


def environments_of(context: LoopContext, evaluations: Iterable[Evaluation]) -> dict[str, Environment]:
    """The environment that each evaluation was measured in, by spec id."""
    return {
        evaluation.spec_id: environment
        for evaluation in evaluations
        for environment in context.ledger.read(Environment, {"id": evaluation.environment_id}, limit=1)
    }


def _differed(evaluation: Evaluation) -> bool:
    """Whether repeats differed without a fault of the server or the network."""
    outcomes = {outcome for row in evaluation.rows for outcome in row.outcomes}
    return evaluation.determinism == "stochastic" and outcomes.isdisjoint(_INFRASTRUCTURE)


def is_at_ceiling(baseline: Evaluation) -> bool:
    """Whether the baseline passes every prompt, so that nothing can be better."""
    return baseline.metrics.accuracy >= 1 - _ROUNDING


def kind_of(context: LoopContext, baseline: Spec, measured: Evaluation, candidate: Spec) -> Kind:
    """How a candidate is measured. measured: the baseline's evaluation.

    - A candidate that differs in its warm-up alone makes the same requests of the same model. A
      race warms everybody up, so it cannot see what that candidate is worth.
    - At a ceiling there is nothing to win, and one pass tells enough.
    - When the baseline was found stochastic without drawing at random, the candidate presumably is
      too. A race is valid for it either way.
    """
    if not context.settings.policy.evidence or _differs_in_warm_up_alone(baseline, candidate):
        return "fixed"
    if is_at_ceiling(measured):
        return "once"
    if candidate.variant.sampling.draws_anew:
        return "race"
    return "once" if measured.has_copies or baseline.variant.sampling.draws_anew else "race"


def _differs_in_warm_up_alone(baseline: Spec, candidate: Spec) -> bool:
    return baseline.model_copy(update={"warm_up": candidate.warm_up}).spec_id == candidate.spec_id


@dataclass(slots=True)
class Contest:
    """A baseline and its candidates in one cycle.

    Attributes:
        evaluations: by spec id, for the specs that were measured in passes.
    """

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
        """Whether the suite is the complete work, so that there are no other prompts."""
        return self.suite.scope == "whole"

    @property
    def claim(self) -> str:
        """What a promotion claims: `this_suite` or `prompts_like_these`."""
        return heldout_claim(self.suite.scope, len(self.suite.select("heldout")))

    @property
    def doubtful(self) -> bool:
        """Whether a spec answered a prompt in two ways although it draws nothing at random.

        The same server serves all of them. When another spec repeated itself on a few prompts, that
        was then luck.
        """
        return any(
            spec.spec_id in self.evaluations
            and not spec.variant.sampling.draws_anew
            and _differed(self.evaluations[spec.spec_id])
            for spec in (self.baseline, *self.candidates)
        )

    def exact(self, spec: Spec) -> bool:
        """Whether the repeats of a spec are known to be copies."""
        evaluation = self.evaluations.get(spec.spec_id)
        return evaluation is not None and evaluation.has_copies and not self.doubtful

    def known_exactly(self, spec: Spec) -> bool:
        """Whether the difference to the baseline on this suite is known without a race."""
        return self.exact(spec) and self.exact(self.baseline)

    def racing(self) -> tuple[Spec, ...]:
        """The candidates that a race has to judge."""
        if is_at_ceiling(self.measured):
            return ()
        kinds = ((spec, kind_of(self.context, self.baseline, self.measured, spec)) for spec in self.candidates)
        return tuple(spec for spec, kind in kinds if kind != "fixed" and not self.known_exactly(spec) and not self._refused(spec))

    def _refused(self, spec: Spec) -> bool:
        """Whether the server failed at a candidate's pass, so that a race would meet the same."""
        evaluation = self.evaluations.get(spec.spec_id)
        return evaluation is not None and evaluation.determinism == "refused"

    def copies(self, specs: Iterable[Spec]) -> list[Evaluation]:
        """The evaluations of the specs whose repeats are copies."""
        return [self.evaluations[spec.spec_id] for spec in specs if self.exact(spec)]
