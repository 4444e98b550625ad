"""The figures behind each kind of finding.

Shares and probabilities are in [0, 1]. A field that is None is not stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar, Literal, get_args

from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from selfopt.errors import Cause

from .base import Record

UNKNOWN_FORMAT = "unknown"
"""The format of an unread tool call when no verdict says which it is."""

FindingKind = Literal[
    "cold_start",
    "capability_limit",
    "mixed_capability",
    "flaky",
    "unread_format",
    "call_in_thinking",
    "truncation",
    "drift",
    "ceiling",
    "infrastructure",
    "refused",
    "other",
]


class _Base(Record):
    kind: ClassVar[FindingKind]

    @model_serializer(mode="wrap")
    def _what_is_known(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}


class _RowClasses(_Base):
    """What the classifier (`stats.classify`) said of the rows.

    Attributes:
        rows_*: how many rows it put in each class. rows: all rows.
        weight_*: the estimated share of each class among the prompts.
        posterior: the smallest one among the rows of this finding's class.
        order_p: the p-value of the test over the order of outcomes.
    """

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
    """Figures of the `WarmUpExperiment` that examined the finding, if there is one."""

    kind: ClassVar[FindingKind] = "cold_start"

    experiment: str | None = None
    bayes_factor: str | None = None
    cold_runs: int | None = None
    warm_runs: int | None = None
    first_call_p: float | None = None


class ColdFailuresFigures(_ColdStart, _RowClasses):
    """Prompts that fail in their first runs and pass afterwards."""

    case: Literal["accuracy"] = "accuracy"
    prompts: int  # how many such prompts
    of: int  # among how many
    failures: int  # of these prompts, as far as a cold start explains them
    p_value: float  # of the failures falling into the first runs by chance
    example: str  # the row of such a prompt
    loads: int  # trials that show a load of the model
    load_ms: float | None = None
    waited: int  # failures that waited for a load
    called: int  # failures that the classifier attributes to a cold start
    loads_in_cold_runs: int  # failures in which a load was seen
    no_load_in_cold_runs: int  # failures in which there was certainly no load

    @property
    def load_seen(self) -> bool:
        """Whether a load was seen behind the failures, and not only their order."""
        return bool(self.waited or self.loads_in_cold_runs)


class SlowFirstCallFigures(_ColdStart):
    """Everything passes, but the first request after a load takes long.

    Times are medians over the evaluations.
    """

    case: Literal["latency"] = "latency"
    first_call_ms: float
    p50_ms: float
    load_ms: float
    evaluations: int


class CapabilityLimitFigures(_Base):
    """A model that cannot do the work of a phase."""

    kind: ClassVar[FindingKind] = "capability_limit"

    accuracy: float
    upper_bound: float  # the largest plausible accuracy, at this confidence
    confidence: float
    minimum: float  # what the phase requires
    n: int
    faults: int  # trials that the bound counts as passes
    cold_start_failures: int  # likewise
    mute: Literal[0, 1]  # 1 when the model never called a tool
    wrong_share: float  # of all trials, like the other two
    uncalled_for_share: float
    missed_share: float
    call_accuracy: float | None = None


class MixedCapabilityFigures(_Base):
    """A model that is right where it is sure, or with some tools, and not elsewhere.

    Attributes:
        calibration_id: the record with the trials behind it.
        n: answers of the calibration.
        served, bad: the answers among them that are as sure as the threshold, and the wrong ones of these.
        upper: the largest plausible share of wrong answers among the served, at this confidence.
        max_bad_share: what is allowed.
        tool_sets: tool sets of the calibration. unserved: how many of these have no answer that is served.
    """

    kind: ClassVar[FindingKind] = "mixed_capability"

    calibration_id: str
    n: int
    served: int
    bad: int
    upper: float
    confidence: float
    max_bad_share: float
    tool_sets: int
    unserved: int


class FlakyFigures(_RowClasses):
    """Prompts that sometimes pass and sometimes fail."""

    kind: ClassVar[FindingKind] = "flaky"

    prompts: int  # how many such prompts
    of: int  # among how many
    variance: float  # of the accuracies of the runs
    example: str  # the row of such a prompt


class UnreadFormatFigures(_Base):
    """Replies with a tool call in a format that no parser of the variant reads.

    Attributes:
        format: the most frequent family or reader, or `UNKNOWN_FORMAT`.
        title: the name of this family for people.
        server_parser: what a server calls its own parser of this family.
        read_by: a chain that reads the calls; None when none is known to.
        example: the beginning of such a call.
        trial: the id of its trial.
    """

    kind: ClassVar[FindingKind] = "unread_format"

    unparsed: int
    of: int
    share: float
    format: str
    title: str | None = None
    server_parser: str | None = None
    read_by: str | None = None
    example: str | None = None
    trial: str | None = None


class CallInThinkingFigures(_Base):
    """Replies that needed a tool call and have one in their thinking alone."""

    kind: ClassVar[FindingKind] = "call_in_thinking"

    thought: int
    of: int  # trials that need a call
    share: float


class TruncationFigures(_Base):
    """Replies that were cut off at the token limit."""

    kind: ClassVar[FindingKind] = "truncation"

    truncated: int
    of: int
    share: float
    calls_right: int  # trials with a right tool call, next to the truncated ones


class DriftFigures(_RowClasses):
    """A fall of the accuracy."""

    kind: ClassVar[FindingKind] = "drift"

    before: float
    after: float
    drop: float
    p_value: float | None = None  # of a test over the runs; None when a deterministic spec changed
    runs: int | None = None  # likewise


class CeilingFigures(_Base):
    """Every trial passes."""

    kind: ClassVar[FindingKind] = "ceiling"

    n: int  # trials
    runs: int


class InfrastructureFigures(_Base):
    """Trials that ended in an error or a timeout."""

    kind: ClassVar[FindingKind] = "infrastructure"

    errors: int
    timeouts: int
    of: int  # among how many trials
    share: float


class RefusedFigures(_Base):
    """Trials that the server refused, naming the cause. said: the server's words, one line."""

    kind: ClassVar[FindingKind] = "refused"

    cause: Cause
    refused: int
    of: int  # among how many trials
    share: float
    said: str


class OtherFigures(_Base):
    """Figures by name, stored flat. Names contain the units.

    cause: what a detector of an installed package found, in a few words. None for figures of an
    earlier version that fit no kind of today.
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
    | MixedCapabilityFigures
    | FlakyFigures
    | UnreadFormatFigures
    | CallInThinkingFigures
    | TruncationFigures
    | DriftFigures
    | CeilingFigures
    | InfrastructureFigures
    | RefusedFigures
    | OtherFigures
)


_BY_KIND: Mapping[str, type[Figures]] = {figures.kind: figures for figures in get_args(Figures)}


def read_figures(kind: FindingKind, stored: Mapping[str, Any]) -> Figures:
    """Returns the figures of a finding of this kind from their stored form."""
    slow = kind == "cold_start" and stored.get("case") == "latency"
    figures = SlowFirstCallFigures if slow else _BY_KIND[kind]
    with suppress(ValidationError):
        if kind != "other":
            return figures.model_validate(stored)
    return OtherFigures(cause=stored.get("cause"), values={name: value for name, value in stored.items() if name != "cause"})
