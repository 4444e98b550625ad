"""The figures behind each kind of finding. Shares and probabilities lie in [0, 1]; a field that is None is not stored."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar, Literal, get_args

from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from .base import Record

UNKNOWN_FORMAT = "unknown"
"""The format of an unread call where no verdict tells which it is."""

FindingKind = Literal[
    "cold_start", "capability_limit", "flaky", "unread_format", "truncation", "drift", "ceiling", "infrastructure", "other"
]


class _Base(Record):
    kind: ClassVar[FindingKind]

    @model_serializer(mode="wrap")
    def _what_is_known(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}


class _RowClasses(_Base):
    """What the classifier (`stats.classify`) said of the rows: how many it called what, the share of each class among the
    prompts, the smallest posterior of the rows called as this finding says, and the p-value of the test over their order."""

    rows_stable: int | None = None
    rows_incapable: int | None = None
    rows_flaky: int | None = None
    rows_cold_start: int | None = None
    rows_drift: int | None = None
    rows_abstained: int | None = None
    rows: int | None = None
    weight_stable: float | None = None
    weight_incapable: float | None = None
    weight_flaky: float | None = None
    weight_cold_start: float | None = None
    weight_drift: float | None = None
    posterior: float | None = None
    order_p: float | None = None


class _ColdStart(_Base):
    """experiment, bayes_factor, cold_runs, warm_runs, first_call_p: of the `WarmUpExperiment` that looked at it."""

    kind: ClassVar[FindingKind] = "cold_start"

    experiment: str | None = None
    bayes_factor: str | None = None
    cold_runs: int | None = None
    warm_runs: int | None = None
    first_call_p: float | None = None


class ColdFailuresFigures(_ColdStart, _RowClasses):
    """Prompts that fail in their first runs and pass from then on.

    prompts, of: how many prompts, of how many; failures: their failures that are a cold start's. p_value: that failures gather
    in the first runs by chance. example: a row of such a prompt. loads: trials that show a load of the model. waited: failures
    that waited for a load; called: those that the classifier takes for a cold start's. loads_in_cold_runs, no_load_in_cold_runs:
    the failures in which a load was seen, and in which it is known that there was none.
    """

    case: Literal["accuracy"] = "accuracy"
    prompts: int
    of: int
    failures: int
    p_value: float
    example: str
    loads: int
    load_ms: float | None = None
    waited: int
    called: int
    loads_in_cold_runs: int
    no_load_in_cold_runs: int

    @property
    def load_seen(self) -> bool:
        """Whether a load shows behind the failures, and not their order alone."""
        return bool(self.waited or self.loads_in_cold_runs)


class SlowFirstCallFigures(_ColdStart):
    """Everything passes, but the first call after a load takes long. Medians over this many evaluations."""

    case: Literal["latency"] = "latency"
    first_call_ms: float
    p50_ms: float
    load_ms: float
    evaluations: int


class CapabilityLimitFigures(_Base):
    """upper_bound: the largest share that is plausible, with this confidence; minimum: what the phase asks for. mute: 1 where no
    tool was ever called. faults, cold_start_failures: trials that count as passes for the bound. *_share: of all trials."""

    kind: ClassVar[FindingKind] = "capability_limit"

    accuracy: float
    upper_bound: float
    confidence: float
    minimum: float
    n: int
    faults: int
    cold_start_failures: int
    mute: Literal[0, 1]
    wrong_share: float
    uncalled_for_share: float
    missed_share: float
    call_accuracy: float | None = None


class FlakyFigures(_RowClasses):
    """prompts, of: how many prompts pass and fail, of how many. variance: of the accuracies of the runs."""

    kind: ClassVar[FindingKind] = "flaky"

    prompts: int
    of: int
    variance: float
    example: str


class UnreadFormatFigures(_Base):
    """format: the one seen most often, or `UNKNOWN_FORMAT`."""

    kind: ClassVar[FindingKind] = "unread_format"

    unparsed: int
    of: int
    share: float
    format: str


class TruncationFigures(_Base):
    """calls_right: trials with a right call beside the truncated ones."""

    kind: ClassVar[FindingKind] = "truncation"

    truncated: int
    of: int
    share: float
    calls_right: int


class DriftFigures(_RowClasses):
    """Accuracy before and after, and the fall. p_value, runs: of a test over runs; None where a deterministic spec changed."""

    kind: ClassVar[FindingKind] = "drift"

    before: float
    after: float
    drop: float
    p_value: float | None = None
    runs: int | None = None


class CeilingFigures(_Base):
    """Trials, all of which pass, and their runs."""

    kind: ClassVar[FindingKind] = "ceiling"

    n: int
    runs: int


class InfrastructureFigures(_Base):
    """Trials that ended in an error or a timeout, of how many, and their share."""

    kind: ClassVar[FindingKind] = "infrastructure"

    errors: int
    timeouts: int
    of: int
    share: float


class OtherFigures(_Base):
    """Figures by name, stored flat, units in their names.

    cause: what a detector of an installed package found, in a few words; None for figures of an earlier version that no kind of
    today has.
    """

    kind: ClassVar[FindingKind] = "other"

    cause: str | None = Field(default=None, min_length=1, max_length=60)
    values: dict[str, float | int | str] = Field(default_factory=dict, max_length=40)

    @model_serializer(mode="plain")
    def _flat(self) -> dict[str, Any]:
        return {"cause": self.cause, **self.values} if self.cause is not None else dict(self.values)


Figures = (
    SlowFirstCallFigures
    | ColdFailuresFigures
    | CapabilityLimitFigures
    | FlakyFigures
    | UnreadFormatFigures
    | TruncationFigures
    | DriftFigures
    | CeilingFigures
    | InfrastructureFigures
    | OtherFigures
)


_BY_KIND: Mapping[str, type[Figures]] = {figures.kind: figures for figures in get_args(Figures)}


def read_figures(kind: FindingKind, stored: Mapping[str, Any]) -> Figures:
    """The figures of a finding of this kind, from their stored form."""
    slow = kind == "cold_start" and stored.get("case") == "latency"
    figures = SlowFirstCallFigures if slow else _BY_KIND[kind]
    with suppress(ValidationError):
        if kind != "other":
            return figures.model_validate(stored)
    return OtherFigures(cause=stored.get("cause"), values={name: value for name, value in stored.items() if name != "cause"})
