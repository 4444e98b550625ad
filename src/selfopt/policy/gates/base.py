"""What a gate is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, runtime_checkable

from selfopt.records import Environment, Evaluation, EvidenceState, PolicyThresholds

ROUNDING = 1e-9
"""Shares of the same trials that are reached by different sums may differ in the last bits."""


@dataclass(frozen=True, slots=True)
class GateCase:
    """What is to be decided.

    Attributes:
        candidate, baseline: what was measured of both; no baseline: the candidate becomes the first.
        thresholds: the settings' policy.
        evidence: what races and tests say; None under the plain policy, which asks for no evidence.
        environments: the observed ones that are known, by id.
    """

    candidate: Evaluation
    baseline: Evaluation | None
    thresholds: PolicyThresholds
    evidence: EvidenceState | None = None
    environments: Mapping[str, Environment] = field(default_factory=dict)

    @property
    def sides(self) -> tuple[Evaluation, ...]:
        """The candidate and, where there is one, the baseline."""
        return (self.candidate,) if self.baseline is None else (self.candidate, self.baseline)

    @property
    def raced(self) -> bool:
        """Whether candidate and baseline met in a race."""
        return self.evidence is not None and self.evidence.race is not None


@dataclass(frozen=True, slots=True)
class Look:
    """What a gate saw, under the fields of `GateResult`. passed None: not enough data.

    precondition: while this stands in the way, the verdict is hold whatever other gates say.
    """

    observed: float | str | None
    threshold: float | str | None
    passed: bool | None
    detail: str
    binding: bool = True
    reason_code: str = ""
    on_fail: Literal["hold", "reject"] = "hold"
    precondition: bool = False

    @property
    def open(self) -> bool:
        """Whether it stands in the way: failed, or not known to have passed."""
        return self.binding and self.passed is not True


@runtime_checkable
class Gate(Protocol):
    """One question about a candidate."""

    @property
    def name(self) -> str:
        """Its name in decisions."""
        ...

    def look(self, case: GateCase) -> Look | None:
        """What it sees; None where the question does not arise. The same case gives the same answer."""
        ...


@dataclass(frozen=True, slots=True)
class PlainGate:
    """A gate made of one function. advises: under evidence it is shown and does not decide."""

    name: str
    reason_code: str
    on_fail: Literal["hold", "reject"]
    see: Callable[[GateCase], Look | None]
    precondition: bool = False
    advises: bool = False

    def look(self, case: GateCase) -> Look | None:
        """What the function sees, with what this gate makes of it."""
        seen = self.see(case)
        if seen is None:
            return None
        return replace(
            seen,
            reason_code=self.reason_code,
            on_fail=self.on_fail,
            precondition=self.precondition,
            binding=seen.binding and not (self.advises and case.evidence is not None),
        )
