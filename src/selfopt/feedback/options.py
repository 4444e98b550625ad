"""What `analyze` is told besides the evaluations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from selfopt.records import Environment, Phase, PolicyThresholds, Remedy, WarmUpExperiment


@dataclass(frozen=True, slots=True)
class ReferenceSuite:
    """The suite that a phase is judged on.

    suite_hash: its content now (None: any content); prompts: how many it has (None: as many as the largest evaluation of
    that content saw), so that an evaluation of a part of it is not taken for the whole.
    """

    name: str
    suite_hash: str | None = None
    prompts: int | None = None


@dataclass(frozen=True, slots=True)
class FeedbackOptions:
    """How evaluations are turned into recommendations.

    is_local: whether requests to a model stay on this machine; a local model gets a remote fallback only with allow_remote.
    references: the suite of each phase; a phase without one is not judged.
    fallbacks: candidate fallbacks per phase, in the order of preference.
    baselines: (model, phase) -> spec_id; where missing, the first of `served` that was measured on the reference suite stands
    in (the specs that the rule in force serves with), else the newest measured one: to try another variant once is no change
    of what is served.
    withdrawn: remedies that were tried and did not help; they are not recommended again.
    window: how many evaluations of a model and phase are looked at. now: RFC 3339 in UTC.
    environments: the observed ones by id; without them, only evaluations with equal environment ids are read together.
    experiments: the reload experiments made so far, oldest first.
    """

    now: str
    is_local: Callable[[str], bool]
    references: Mapping[Phase, ReferenceSuite]
    thresholds: PolicyThresholds = field(default_factory=PolicyThresholds)
    fallbacks: Mapping[Phase, Sequence[str]] = field(default_factory=dict)
    baselines: Mapping[tuple[str, Phase], str] = field(default_factory=dict)
    served: Mapping[tuple[str, Phase], Sequence[str]] = field(default_factory=dict)
    allow_remote: bool = False
    withdrawn: frozenset[Remedy] = frozenset()
    window: int = 8
    cycle_id: str | None = None
    environments: Mapping[str, Environment] = field(default_factory=dict)
    experiments: Sequence[WarmUpExperiment] = ()
