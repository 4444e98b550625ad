"""Evaluations without their rows: what was measured, how much and when, for lists of many."""

from __future__ import annotations

from dataclasses import dataclass

from selfopt.records import Determinism, Evaluation, Metrics, Phase, Split
from selfopt.wiring.app import App

from .kept_facts import KeptFacts


@dataclass(frozen=True, slots=True)
class MeasuredFacts:
    """An evaluation without its rows.

    Attributes:
        prompts: how many it saw.
        race_id: of the race whose answers it holds, if it does.
    """

    evaluation_id: str
    spec_id: str
    model: str
    phase: Phase
    suite: str
    suite_hash: str
    split: Split
    variant: str
    n_runs: int
    determinism: Determinism
    warm_up: bool
    prompts: int
    metrics: Metrics
    synthetic: bool
    cycle_id: str | None
    race_id: str | None
    at: str


def _told(one: Evaluation) -> MeasuredFacts:
    return MeasuredFacts(
        evaluation_id=one.evaluation_id,
        spec_id=one.spec_id,
        model=one.model,
        phase=one.phase,
        suite=one.suite,
        suite_hash=one.suite_hash,
        split=one.split,
        variant=one.variant,
        n_runs=one.n_runs,
        determinism=one.determinism,
        warm_up=one.warm_up,
        prompts=len(one.rows),
        metrics=one.metrics,
        synthetic=one.synthetic,
        cycle_id=one.cycle_id,
        race_id=one.race_id,
        at=one.at,
    )


_KEPT: KeptFacts[Evaluation, MeasuredFacts] = KeptFacts(Evaluation, _told)


def every_measured(app: App) -> tuple[MeasuredFacts, ...]:
    """All evaluations, oldest first. A second look reads only what came since."""
    return tuple(_KEPT.of(app.ledger).values()) if app.has_ledger else ()
