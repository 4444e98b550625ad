"""Trials and runs: what was asked of a model and what came back, before it is judged."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from selfopt.errors import Cause, EndpointFault

from .base import Record
from .chat import FinishReason, LoadEvidence, Timings, Usage
from .suite import Phase, Split

EMBED_STEP = "embed"
"""The step that an embedding model answers. It says nothing of the model that is measured."""

Fault = Literal["truncated", "timeout", "loading", "error"]
Purpose = Literal["measure", "determinism", "warm_up_cold", "warm_up_warm", "try", "race", "search"]


class Attempt(Record):
    """One HTTP request and its outcome. Times are in milliseconds."""

    number: int
    started_at: str
    request: str  # hash of the blob with the exact text
    reply: str | None = None  # likewise
    status: int | None = None
    fault: EndpointFault | None = None
    error: str = ""
    finish_reason: FinishReason = "unknown"
    latency_ms: float
    wait_before_ms: float = 0.0
    usage: Usage = Usage()
    timings: Timings = Timings()
    load: LoadEvidence = LoadEvidence()
    # Why the server refused, as far as it says so, and its own words. Attempts without them are stored as before.
    cause: Cause | None = Field(default=None, exclude_if=lambda cause: cause is None)
    said: str = Field(default="", exclude_if=lambda said: not said)


class Exchange(Record):
    """One request of a trial (a step, a turn or a vote) with its attempts.

    Attributes:
        content: hash of the blob with the `ReplyContent` as JSON; None when no attempt succeeded.
        logprobs: hash of the blob with the `LogProbs` of that reply as JSON. They were observed, and
            are part of no id: two trials under one request_id may differ in whether they have them.
    """

    step: str = "answer"
    attempts: tuple[Attempt, ...]
    content: str | None = None
    logprobs: str | None = Field(default=None, exclude_if=lambda logprobs: logprobs is None)


class Trial(Record, ledger_kind="trial", id_field="trial_id", index_fields=("run_id",)):
    """One prompt, once, under one request_id.

    A trial without exchanges was not asked, because the server had refused requests of its form
    for `cause` just before.
    """

    trial_id: str
    run_id: str
    request_id: str
    environment_id: str
    prompt_id: str
    run_index: int  # number of the pass over the suite, from 0
    position: int  # place within the pass
    slot: int
    started_at: str
    exchanges: tuple[Exchange, ...]
    fault: Fault | None = None  # of infrastructure or harness; None when a whole reply was read
    latency_ms: float  # from the first byte sent to the last byte received, with retries and waits
    usage: Usage = Usage()
    load: LoadEvidence = LoadEvidence()
    # Those of the last attempt.
    cause: Cause | None = Field(default=None, exclude_if=lambda cause: cause is None)
    said: str = Field(default="", exclude_if=lambda said: not said)

    @property
    def asked(self) -> bool:
        """Whether anything was sent."""
        return bool(self.exchanges)

    @property
    def busy_ms(self) -> float:
        """How long its attempts took together, without the waits between them, in milliseconds."""
        return sum(attempt.latency_ms for exchange in self.exchanges for attempt in exchange.attempts)


class TrialStart(Record, ledger_kind="trial_start", id_field="trial_id", index_fields=("run_id",)):
    """A trial is about to use its slot. Without a `Trial` of the same id it was never committed."""

    trial_id: str
    run_id: str
    prompt_id: str
    run_index: int
    slot: int
    at: str


class TrialAbandoned(Record, ledger_kind="trial_abandoned", id_field="trial_id", index_fields=("run_id",)):
    """A started trial whose process died before committing it.

    Its prompt is measured again, under a new id.
    """

    trial_id: str
    run_id: str
    at: str
    reason: str


class WarmUpResult(Record):
    """What a warm-up did. It is recorded and never scored. Times are in milliseconds."""

    status: Literal["complete", "failed", "skipped", "off"]
    reason: str = ""
    load_ms: float | None = None
    prompt_ms: float | None = None
    chat_ms: float | None = None
    resident: bool | None = None
    requests: tuple[str, ...] = ()  # hashes of blobs
    replies: tuple[str, ...] = ()  # likewise


class Run(
    Record,
    ledger_kind="run",
    id_field="run_id",
    index_fields=("spec_id", "request_id", "environment_id", "group_id", "cycle_id", "model", "phase"),
):
    """One pass over a suite under one request_id.

    With purpose `race` it is what one block of a race asks of one request_id. Prompts may then
    repeat, and the positions of the trials tell them apart.
    """

    run_id: str
    spec_id: str
    request_id: str
    environment_id: str
    requested_model: str  # what the user asked for
    model: str  # what serves
    phase: Phase
    suite: str
    split: Split
    run_index: int
    purpose: Purpose = "measure"
    prompt_ids: tuple[str, ...]  # what is asked, in this order
    group_id: str | None = None  # shared by the runs of one supervision or one cycle
    cycle_id: str | None = None
    rule_id: str | None = None
    forced: bool = False
    overrides: tuple[str, ...] = ()
    warm_up: WarmUpResult = WarmUpResult(status="off")
    # How many requests were made at the same time at most; None where that was not recorded. Latencies depend on it.
    concurrency: int | None = Field(default=None, exclude_if=lambda slots: slots is None)
    # The family that the model's chat template showed. Readers look for its marks first.
    family: str = Field(default="unknown", exclude_if=lambda family: family == "unknown")
    at: str


class RunEnd(Record, ledger_kind="run_end", id_field="run_id", index_fields=("status",)):
    """How a run ended.

    A later run with the same group_id and run_index can resume an `interrupted` one.

    Attributes:
        fault, cause, said: how the server failed at every request of the run, so that it was given
            up. What failed then counts for no measurement. None where the run ended otherwise.
    """

    run_id: str
    status: Literal["complete", "interrupted"]
    trials: int
    at: str
    fault: EndpointFault | None = Field(default=None, exclude_if=lambda fault: fault is None)
    cause: Cause | None = Field(default=None, exclude_if=lambda cause: cause is None)
    said: str = Field(default="", exclude_if=lambda said: not said)


class Conclusion(Record, ledger_kind="conclusion", id_field="group_id", index_fields=("request",)):
    """A requested measurement is finished. It is stored together with its evaluation.

    Without a `Delivery` of the same group its result reached nobody: the next equal request gets
    this result instead of a new measurement.
    """

    group_id: str
    request: str  # hash of what was asked
    at: str


class Delivery(Record, ledger_kind="delivery", id_field="group_id"):
    """The result of a group was handed to the caller who asked for it."""

    group_id: str
    at: str
