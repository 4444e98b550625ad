"""The question that a gate gets, and its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, runtime_checkable

from selfopt.records import Environment, Evaluation, EvidenceState, PolicyThresholds

ROUNDING = 1e-9
"""Tolerance: two ways to sum up the same trials may differ in the last bits."""


@dataclass(frozen=True, slots=True)
class GateCase:
    """What a decision is about.

    Attributes:
        baseline: None if the candidate may become the first baseline.
        thresholds: the policy in the settings.
        evidence: what races and tests say. None under the plain policy, which asks for none.
        environments: the known environments, by id.
    """

    candidate: Evaluation
    baseline: Evaluation | None
    thresholds: PolicyThresholds
    evidence: EvidenceState | None = None
    environments: Mapping[str, Environment] = field(default_factory=dict)

    @property
    def sides(self) -> tuple[Evaluation, ...]:
        """The candidate and, if there is one, the baseline."""
        return (self.candidate,) if self.baseline is None else (self.candidate, self.baseline)

    @property
    def raced(self) -> bool:
        """Whether the candidate raced against the baseline."""
        return self.evidence is not None and self.evidence.race is not None


@dataclass(frozen=True, slots=True)
class Look:
    """What a gate saw. The fields are those of `GateResult`.

    Attributes:
        passed: None if there is not enough data.
        precondition: until this gate passes, the verdict is hold, whatever other gates say.
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
        """Whether it keeps the candidate from promotion: it is binding and did not pass."""
        return self.binding and self.passed is not True


@runtime_checkable
class Gate(Protocol):
    """One question about a candidate."""

    @property
    def name(self) -> str:
        """The name of the gate in decisions."""
        ...

    def look(self, case: GateCase) -> Look | None:
        """What the gate sees; None if its question does not arise. Must be deterministic."""
        ...


@dataclass(frozen=True, slots=True)
class PlainGate:
    """A gate made of one function.

    Attributes:
        see: looks at the case; None if the question does not arise.
        advises: if there is evidence, the gate is shown but does not decide.
    """

    name: str
    reason_code: str
    on_fail: Literal["hold", "reject"]
    see: Callable[[GateCase], Look | None]
    precondition: bool = False
    advises: bool = False

    def look(self, case: GateCase) -> Look | None:
        """What the function sees, completed with the fields of this gate."""
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
