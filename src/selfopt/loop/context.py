"""What the loop is handed: the stages behind plain callables, the ledger, and what the user chose."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from selfopt.home import Home
from selfopt.records import (
    Decision,
    Evaluation,
    Feedback,
    Finding,
    Ledger,
    Phase,
    Record,
    Spec,
)
from selfopt.routing import Enforcer, RuleOptions

__all__ = ["LoopContext", "LoopEvent", "Measure", "Target"]


@dataclass(frozen=True, slots=True)
class LoopEvent:
    """Something worth telling the user. kind names the stage; text is plain words; record the fact behind it, if any."""

    kind: str
    text: str
    record: Record | None = None


class Measure(Protocol):
    """Measures specs interleaved and returns an evaluation of each, by spec_id."""

    async def __call__(self, specs: Sequence[Spec], cycle_id: str, label: str) -> Mapping[str, Evaluation]:
        """Continues what an interrupted call with the same cycle_id began. Specs that the budget left unmeasured are absent."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """One model and phase to work on. baseline: what the user names; None: the ledger's, else the settings' default.
    candidates: what to try; None: let the proposer choose."""

    model: str
    phase: Phase
    baseline: Spec | None = None
    candidates: tuple[Spec, ...] | None = None


@dataclass(frozen=True)
class LoopContext:
    """Everything one cycle needs.

    default_baseline: the spec to start from where neither ledger nor user names one; propose: candidates for a baseline
    and its findings (spec and what was changed), those in the given set of spec ids left out; diagnose: feedback from
    evaluations, baselines and withdrawn remedies; decide: the gates (candidate, baseline, cycle_id); unload: drop a model from memory, so that a warm-up has something to do.
    """

    ledger: Ledger
    home: Home
    enforcer: Enforcer
    measure: Measure
    default_baseline: Callable[[str, Phase], Spec]
    propose: Callable[[Spec, Sequence[Finding], set[str], int], Sequence[tuple[Spec, str]]]
    diagnose: Callable[[Sequence[Evaluation], Mapping[tuple[str, Phase], str], frozenset[tuple[str, str, str]]], Feedback]
    decide: Callable[[Evaluation, Evaluation | None, str], Decision]
    rule_options: RuleOptions
    with_warm_up: Callable[[Spec], Spec]
    unload: Callable[[Spec], Awaitable[bool]]
    now: Callable[[], str]
    say: Callable[[LoopEvent], None] = field(default=lambda event: None)
    write_artefacts: Callable[[], None] = field(default=lambda: None)
    on_step: Callable[[str], None] = field(default=lambda step: None)
    enforce: bool = True
    max_candidates: int = 3
