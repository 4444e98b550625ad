"""Where each model stands in each phase: may it serve, and how well does it do, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfopt.records import Evaluation, Phase, Rule, whole_evaluations
from selfopt.stats import Interval, wilson_interval
from selfopt.words.first_run import KINDS
from selfopt.words.serving import (
    ServingState,
    before_text,
    headline_text,
    right_text,
    serving_text,
    silent_text,
    undecided_text,
)

from .gather import ReportData


@dataclass(frozen=True, slots=True)
class ServingStanding:
    """Where one model stands in one phase.

    Attributes:
        rule: the one about all of its requests; None if there is none.
        finer: the rules about some of its requests, by their tools.
        before: of the first baseline, on the same prompts and judged alike; None if it is the present one.
        after: of what serves now; None if that was never measured.
    """

    model: str
    phase: Phase
    state: ServingState
    rule: Rule | None = None
    finer: tuple[Rule, ...] = ()
    before: Evaluation | None = None
    after: Evaluation | None = None

    @property
    def name(self) -> str:
        """The model and what it is asked, in words. Not escaped."""
        return f"{self.model}, {KINDS[self.phase]}"

    @property
    def sentence(self) -> str:
        """Whether it may serve. Names are not escaped; there is no full stop."""
        return serving_text(self.model, self.phase, self.state, self.rule.fallback if self.rule else None)

    @property
    def details(self) -> list[str]:
        """What that rests on, sentence by sentence, with their full stops."""
        told = [] if self.state != "undecided" else [undecided_text(self.model, self.phase, measured=self.after is not None)]
        if self.after is not None:
            told.append(right_text(self.after, interval_of(self.after), answered(self.after)))
            told += [before_text(self.before, self.after)] if self.before is not None else []
            told.append(silent_text(self.after))
        elif self.state != "undecided":
            told.append(undecided_text(self.model, self.phase, measured=False))
        return [f"{one}." for one in told]


def standings(data: ReportData) -> tuple[ServingStanding, ...]:
    """Every model and phase that was measured or has a rule, in the order of their names."""
    rules = data.config.rules if data.config is not None else ()
    known = {(e.model, e.phase) for e in data.evaluations.values()} | {(rule.model, rule.phase) for rule in rules}
    return tuple(_standing(data, *key, rules) for key in sorted(known))


def headline(found: Sequence[ServingStanding]) -> str:
    """The one sentence about all of them, with its full stop."""
    if len(found) == 1:
        return f"{found[0].sentence}."
    return f"{headline_text([(one.model, one.phase, one.state) for one in found])}."


def _standing(data: ReportData, model: str, phase: Phase, rules: Sequence[Rule]) -> ServingStanding:
    mine = [rule for rule in rules if (rule.model, rule.phase) == (model, phase)]
    rule = next((rule for rule in mine if rule.when is None), None)
    after = _serving(data, model, phase, rule)
    finer = tuple(rule for rule in mine if rule.when is not None)
    return ServingStanding(model, phase, _state(rule), rule, finer, after and _first(data, after), after)


def _state(rule: Rule | None) -> ServingState:
    if rule is None:
        return "undecided"
    if rule.allow and rule.voided is None:
        return "serves" if rule.serve_when is None else "when_sure"
    return "refused" if rule.fallback is None else "replaced"


def _serving(data: ReportData, model: str, phase: Phase, rule: Rule | None) -> Evaluation | None:
    """The evaluation of what serves: on held-out prompts where there is one, or else the newest."""
    standing = data.standing(model, phase)
    spec_id = (rule.spec_id if rule is not None else None) or (standing.spec_id if standing is not None else None)
    mine = [e for e in data.evaluations.values() if (e.model, e.phase, e.spec_id) == (model, phase, spec_id)]
    return max(whole_evaluations(mine), key=lambda e: (e.split == "heldout", e.at), default=standing)


def _first(data: ReportData, after: Evaluation) -> Evaluation | None:
    """The evaluation of the first baseline on the same prompts, judged alike."""
    first = next(
        (t.baseline_spec_id for c in data.cycles for t in c.targets if (t.model, t.phase) == (after.model, after.phase)), None
    )
    if first in (None, after.spec_id):
        return None
    alike = [
        e
        for e in data.evaluations.values()
        if (e.model, e.phase, e.spec_id) == (after.model, after.phase, first)
        and (e.suite_hash, e.split, e.scorer_hash) == (after.suite_hash, after.split, after.scorer_hash)
    ]
    return min(alike, key=lambda e: e.at, default=None)


def answered(evaluation: Evaluation) -> int:
    """How many prompts were asked."""
    return sum(bool(row.outcomes) for row in evaluation.rows)


def interval_of(evaluation: Evaluation) -> Interval | None:
    """The Wilson interval of the accuracy at 95 % confidence, with the prompt as its unit: repeats make it no narrower.

    None where the suite is all of the work and repeats are copies, so that the share is exact.
    """
    if evaluation.scope == "whole" and evaluation.has_copies:
        return None
    n = answered(evaluation)
    return wilson_interval(min(n, round(evaluation.metrics.accuracy * n)), n)
