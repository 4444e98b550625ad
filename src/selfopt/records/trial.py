"""Trials and runs: what was asked of a model and what came back, before anybody judges it."""

from __future__ import annotations

from typing import Literal

from selfopt.errors import EndpointFault

from .base import Record
from .chat import FinishReason, LoadEvidence, Timings, Usage
from .suite import Phase, Split

Fault = Literal["truncated", "timeout", "loading", "error"]
Purpose = Literal["measure", "determinism", "warm_up_cold", "warm_up_warm", "try", "race"]


class Attempt(Record):
    """One HTTP request and what came of it. request / reply: hashes of the blobs with the exact texts."""

    number: int
    started_at: str
    request: str
    reply: str | None = None
    status: int | None = None
    fault: EndpointFault | None = None
    error: str = ""
    finish_reason: FinishReason = "unknown"
    latency_ms: float
    wait_before_ms: float = 0.0
    usage: Usage = Usage()
    timings: Timings = Timings()
    load: LoadEvidence = LoadEvidence()


class Exchange(Record):
    """One request of a trial (a step, a turn, a vote) with its attempts. content: hash of the blob with the
    `ReplyContent` as JSON; None when no attempt succeeded."""

    step: str = "answer"
    attempts: tuple[Attempt, ...]
    content: str | None = None


class Trial(Record, ledger_kind="trial", id_field="trial_id", index_fields=("run_id",)):
    """One prompt, once, under one request_id. run_index counts passes from 0; position is the place within the pass.

    fault: what infrastructure or harness did to it, if anything; None means that a whole reply was read.
    latency_ms: from the first byte sent to the last received, retries and waits included.
    """

    trial_id: str
    run_id: str
    request_id: str
    environment_id: str
    prompt_id: str
    run_index: int
    position: int
    slot: int
    started_at: str
    exchanges: tuple[Exchange, ...]
    fault: Fault | None = None
    latency_ms: float
    usage: Usage = Usage()
    load: LoadEvidence = LoadEvidence()


class TrialStart(Record, ledger_kind="trial_start", id_field="trial_id", index_fields=("run_id",)):
    """A trial is about to use its slot. Without a `Trial` of the same id it was not committed."""

    trial_id: str
    run_id: str
    prompt_id: str
    run_index: int
    slot: int
    at: str


class TrialAbandoned(Record, ledger_kind="trial_abandoned", id_field="trial_id", index_fields=("run_id",)):
    """A started trial whose process died before it was committed; its prompt is measured again under a new id."""

    trial_id: str
    run_id: str
    at: str
    reason: str


class WarmUpResult(Record):
    """What a warm-up did. Recorded, never scored. Times in milliseconds. requests / replies: blob hashes."""

    status: Literal["complete", "failed", "skipped", "off"]
    reason: str = ""
    load_ms: float | None = None
    prompt_ms: float | None = None
    chat_ms: float | None = None
    resident: bool | None = None
    requests: tuple[str, ...] = ()
    replies: tuple[str, ...] = ()


class Run(
    Record,
    ledger_kind="run",
    id_field="run_id",
    index_fields=("spec_id", "request_id", "environment_id", "group_id", "cycle_id", "model", "phase"),
):
    """One pass over a suite under one request_id. requested_model is what the user asked for; the spec is what serves.

    limit: only the first so many prompts (None: all); prompt_ids: exactly these prompts, in this order.
    group_id ties runs of one supervision or one cycle together. Of purpose `race`: what one block of a race asks of one
    request_id, its prompts with repetition; the trials' positions tell them apart.
    """

    run_id: str
    spec_id: str
    request_id: str
    environment_id: str
    requested_model: str
    model: str
    phase: Phase
    suite: str
    split: Split
    run_index: int
    purpose: Purpose = "measure"
    prompt_ids: tuple[str, ...]
    group_id: str | None = None
    cycle_id: str | None = None
    rule_id: str | None = None
    forced: bool = False
    overrides: tuple[str, ...] = ()
    warm_up: WarmUpResult = WarmUpResult(status="off")
    at: str


class RunEnd(Record, ledger_kind="run_end", id_field="run_id", index_fields=("status",)):
    """How a run ended. `interrupted` ones can be resumed by a later run that shares group_id and run_index."""

    run_id: str
    status: Literal["complete", "interrupted"]
    trials: int
    at: str


class Conclusion(Record, ledger_kind="conclusion", id_field="group_id", index_fields=("request",)):
    """A measurement that somebody asked for is through; kept together with its evaluation. request: hash of what was asked. With no
    `Delivery` of the same group its result reached nobody, and the same request takes it over instead of asking anew."""

    group_id: str
    request: str
    at: str


class Delivery(Record, ledger_kind="delivery", id_field="group_id"):
    """The result of a group was handed over to whoever asked for it."""

    group_id: str
    at: str
