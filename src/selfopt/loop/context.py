"""What the loop is handed: the stages behind plain callables, the ledger, and what the user chose."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from selfopt.home import Home
from selfopt.measure import Arena
from selfopt.policy import EvidenceOptions
from selfopt.records import (
    Cycle,
    Decision,
    Evaluation,
    EvidenceState,
    Feedback,
    Finding,
    Ledger,
    Phase,
    Record,
    Remedy,
    RoutingConfig,
    Spec,
    Suite,
)
from selfopt.routing import Enforcer, RuleOptions

__all__ = ["Decide", "Depth", "Key", "LoopContext", "LoopEvent", "Measure", "Measurement", "Target"]

Key = tuple[str, Phase]


@dataclass(frozen=True, slots=True)
class LoopEvent:
    """Something worth telling the user. kind names the stage; text is plain words; record the fact behind it, if any."""

    kind: str
    text: str
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """Evaluations by spec_id. stopped: the cap that ended the measurement before every spec was through; None when all are."""

    evaluations: Mapping[str, Evaluation]
    stopped: str | None = None


Depth = Literal["runs", "once", "pass"]
"""How often specs are measured: in as many runs as it takes; in one pass and the sample that tells whether repeats are copies; in
one pass alone."""


class Measure(Protocol):
    """Measures specs interleaved."""

    async def __call__(self, specs: Sequence[Spec], cycle_id: str, label: str, depth: Depth = "runs") -> Measurement:
        """Continues what an interrupted call with the same cycle_id began."""
        ...


class Decide(Protocol):
    """Puts a candidate through the gates."""

    def __call__(
        self, candidate: Evaluation, baseline: Evaluation, cycle_id: str, evidence: EvidenceState | None = None
    ) -> Decision:
        """evidence: of a race or a held-out test; None: the plain gates alone."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """One model and phase to work on. baseline: what the user names; None: the ledger's, else the settings' default.
    candidates: what to try with a given baseline; None: let the proposer choose."""

    model: str
    phase: Phase
    baseline: Spec | None = None
    candidates: Callable[[Spec], Sequence[Spec]] | None = None

    @property
    def key(self) -> Key:
        """Model and phase."""
        return self.model, self.phase


@dataclass(frozen=True)
class LoopContext:
    """Everything one cycle needs.

    default_baseline: the spec to start from where neither ledger nor user names one; present: a spec as suite and settings
    are now (a suite that was edited, a warm-up that is switched off); with_warm_up: a spec with the settings' warm-up.
    propose: candidates for a baseline and its findings (spec and what was changed), those in the given set of spec ids left
    out; diagnose: feedback from evaluations, baselines and withdrawn remedies; unload: drop a model from memory, so that a warm-up
    has something to do. arena: where races are measured; suite_for: the suite of a spec; evidence: what the user chose about it,
    None: the plain gates decide alone. tell: hands the cycles of a loop over to whoever asked for them. check_evidence: raises when evaluations, or records with these ids, or what they rest on, are not
    what was committed to the ledger.
    enforce: False leaves the rules alone. read_only: nothing may be written, not even a repair.
    """

    ledger: Ledger
    home: Home
    enforcer: Enforcer
    measure: Measure
    default_baseline: Callable[[str, Phase], Spec]
    present: Callable[[Spec], Spec]
    with_warm_up: Callable[[Spec], Spec]
    propose: Callable[[Spec, Sequence[Finding], set[str], int], Sequence[tuple[Spec, str]]]
    diagnose: Callable[[Sequence[Evaluation], Mapping[Key, str], frozenset[Remedy]], Feedback]
    decide: Decide
    rule_options: RuleOptions
    unload: Callable[[Spec], Awaitable[bool]]
    suite_for: Callable[[Spec], Suite]
    arena: Callable[[], Arena]
    now: Callable[[], str]
    say: Callable[[LoopEvent], None] = field(default=lambda event: None)
    write_artefacts: Callable[[], None] = field(default=lambda: None)
    on_step: Callable[[str], None] = field(default=lambda step: None)
    tell: Callable[[Sequence[Cycle]], None] = field(default=lambda cycles: None)
    check_evidence: Callable[[Sequence[Evaluation], Sequence[str]], None] = field(default=lambda found, names: None)
    evidence: EvidenceOptions | None = None
    enforce: bool = True
    max_candidates: int = 3
    read_only: bool = False

    def rules(self) -> RoutingConfig:
        """The rules in force."""
        return self.enforcer.load(repair_pending=not self.read_only)
