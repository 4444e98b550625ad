"""Makes one trial: sends the variant's requests for a prompt, reads the reply and judges it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from selfopt.errors import EndpointError
from selfopt.reading import read_calls
from selfopt.records import (
    Ask,
    Attempt,
    Blob,
    ChainName,
    ChatRequest,
    Environment,
    Exchange,
    Fault,
    LoadEvidence,
    ModelStatus,
    ParsedReply,
    Prompt,
    Record,
    ReplyContent,
    Run,
    Spec,
    ToolDefinition,
    Trial,
    Usage,
    Verdict,
    remembered,
)
from selfopt.scoring import Scorer
from selfopt.variants import RenderedStep, render

from .attempt import Channel, exchange

_KEEP_ALIVE_S = 600.0
_NOT_ASKED = "not asked, because the server refused requests of this form just before"


@dataclass(frozen=True, slots=True)
class JudgedTrial:
    """A trial and one verdict on it."""

    trial: Trial
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Judge:
    """Reads replies with a parser chain and judges them with a scorer.

    Attributes:
        parser_hash: of the chain.
        family: that of the run (see `Run.family`).
    """

    scorer: Scorer
    parsers: Sequence[ChainName]
    parser_hash: str
    family: str = "unknown"

    def judged(self, trial: Trial, prompt: Prompt, tools: Sequence[ToolDefinition], content: ReplyContent | None) -> JudgedTrial:
        """A trial with its verdict. content: the final reply; None when none came."""
        parsed = ParsedReply(recognised="nothing")
        if content is not None:
            parsed = read_calls(self.parsers, content, tools, prompt.messages, self.family)
        return self.of(trial, prompt, tools, parsed)

    def of(self, trial: Trial, prompt: Prompt, tools: Sequence[ToolDefinition], parsed: ParsedReply) -> JudgedTrial:
        """A trial with its verdict, given what the chain read."""
        judgment = self.scorer.judge(prompt, tools, parsed, trial.fault)
        verdict = Verdict(
            verdict_id=Verdict.make_id(trial.trial_id, self.parser_hash, self.scorer.scorer_hash),
            trial_id=trial.trial_id,
            run_id=trial.run_id,
            prompt_id=trial.prompt_id,
            parser_hash=self.parser_hash,
            scorer_hash=self.scorer.scorer_hash,
            outcome=judgment.outcome,
            needs_call=prompt.needs_call,
            parsed=parsed,
            why=judgment.why if trial.asked else _NOT_ASKED,
        )
        return JudgedTrial(trial, verdict)

    def as_own(self, verdict: Verdict) -> Verdict:
        """Another judge's verdict on a reply that both read alike, as this one's."""
        if verdict.parser_hash == self.parser_hash:
            return verdict
        made = Verdict.make_id(verdict.trial_id, self.parser_hash, verdict.scorer_hash)
        return verdict.model_copy(update={"verdict_id": made, "parser_hash": self.parser_hash})


@dataclass(frozen=True, slots=True)
class Embeds:
    """How trials reach an embedding model. model: the name by which its server knows it."""

    channel: Channel
    model: str


@dataclass(frozen=True, slots=True)
class OpenArm:
    """A spec with an open run: what all trials of the run have in common.

    Attributes:
        judge: judges the trials.
        model: the name by which the server knows the model.
        isolate: whether requests are made in isolation.
        environment: what serves the spec, as `status` describes it.
        status: of the model, after the warm-up.
        prologue: records that have to be durable before the first trial, the run among them.
        logprobs: as in `ChatRequest`.
        embeds: who answers the steps of the embedding model; None where the variant needs none.
    """

    spec: Spec
    run: Run
    judge: Judge
    model: str
    isolate: bool
    channel: Channel
    environment: Environment
    status: ModelStatus
    prologue: tuple[Record, ...]
    logprobs: int | None = None
    embeds: Embeds | None = None

    def asking(self, step: RenderedStep, *, first: bool = False) -> tuple[Channel, ChatRequest]:
        """Who answers a step, and the request for it. first: it is the first one for its prompt."""
        if step.embedding and self.embeds is not None:
            return self.embeds.channel, make_request(self.spec, self.embeds.model, step, isolate=False)
        if first:
            return self.channel, _first_request(self.spec, self.model, step, self.isolate, self.logprobs)
        return self.channel, make_request(self.spec, self.model, step, isolate=self.isolate, logprobs=self.logprobs)


@dataclass(frozen=True, slots=True)
class TrialJob:
    """One trial to make.

    Attributes:
        index: of its ask among all asks of the batch.
        make: makes it where the executor wants it; None: `run_trial`, in this process.
    """

    trial_id: str
    arm: OpenArm
    ask: Ask
    prompt: Prompt
    tools: tuple[ToolDefinition, ...]
    index: int
    make: Callable[[TrialJob, int], Awaitable[TrialResult]] | None = None


@dataclass(frozen=True, slots=True)
class TrialResult:
    """A finished trial that is not committed yet. error: the last error, when no reply came."""

    judged: JudgedTrial
    blobs: tuple[Blob, ...]
    error: EndpointError | None


def make_request(spec: Spec, model: str, step: RenderedStep, *, isolate: bool, logprobs: int | None = None) -> ChatRequest:
    """The request of one step under the spec's limits.

    A spec with warm-up also asks the server to keep the model loaded. logprobs: as in
    `ChatRequest`; it is observed, and no part of the spec. A step that needs some asks for its own.
    """
    return ChatRequest(
        model=model,
        messages=tuple(step.messages),
        tools=tuple(step.tools),
        tool_choice=step.tool_choice,
        sampling=step.sampling,
        constraint=step.constraint,
        timeout_s=spec.timeout_s,
        connect_timeout_s=spec.connect_timeout_s,
        isolate=isolate,
        context_size=spec.context_size,
        keep_alive_s=_KEEP_ALIVE_S if spec.warm_up.enabled else None,
        logprobs=step.logprobs or logprobs,
    )


@remembered
def _first_request(spec: Spec, model: str, step: RenderedStep, isolate: bool, logprobs: int | None) -> ChatRequest:
    """The first request for a prompt.

    It is the same in every pass, so the endpoint has to write it only once.
    """
    return make_request(spec, model, step, isolate=isolate, logprobs=logprobs)


async def run_trial(job: TrialJob, slot: int) -> TrialResult:
    """Send all requests that the variant makes for a prompt, and judge the reply.

    `Trial.fault` is "truncated" when any reply was cut at the token limit, even if a parser can
    read it. A reply of which only the log probabilities are read is not meant.
    """
    arm, spec = job.arm, job.arm.spec
    exchanges: list[Exchange] = []
    blobs: list[Blob] = []
    fault: Fault | None = None
    error: EndpointError | None = None
    final: ReplyContent | None = None
    steps = render(spec.variant, job.prompt.messages, job.tools, embeds=arm.embeds is not None)
    step = next(steps)
    channel, request = arm.asking(step, first=True)
    while True:
        result = await exchange(channel, step.step, request, spec.retries)
        exchanges.append(result.exchange)
        blobs += result.blobs
        if result.content is None:
            fault, error = result.fault, result.error
            steps.close()
            break
        if result.content.finish_reason == "length" and step.logprobs is None:
            fault = "truncated"
        try:
            step = steps.send(result.content)
        except StopIteration as stop:
            final = stop.value
            break
        channel, request = arm.asking(step)
    attempts = [attempt for item in exchanges for attempt in item.attempts]
    only = attempts[0] if len(attempts) == 1 else None
    trial = Trial(
        trial_id=job.trial_id,
        run_id=arm.run.run_id,
        request_id=arm.run.request_id,
        environment_id=arm.run.environment_id,
        prompt_id=job.prompt.id,
        run_index=arm.run.run_index,
        position=job.ask.position,
        slot=slot,
        started_at=attempts[0].started_at,
        exchanges=tuple(exchanges),
        fault=fault,
        latency_ms=only.latency_ms if only else sum(a.latency_ms + a.wait_before_ms for a in attempts),
        usage=only.usage if only else _sum_usage(attempts),
        load=only.load if only else _sum_load(attempts),
        cause=attempts[-1].cause if error is not None else None,
        said=attempts[-1].said if error is not None else "",
    )
    return TrialResult(arm.judge.judged(trial, job.prompt, job.tools, final), tuple(blobs), error)


def _sum_usage(attempts: Sequence[Attempt]) -> Usage:
    """The tokens of all attempts. A figure is None when no attempt tells it."""
    usages = [a.usage for a in attempts]

    def total(values: list[int | None]) -> int | None:
        known = [v for v in values if v is not None]
        return sum(known) if known else None

    return Usage(
        input_tokens=total([u.input_tokens for u in usages]),
        output_tokens=total([u.output_tokens for u in usages]),
        cached_tokens=total([u.cached_tokens for u in usages]),
        thinking_tokens=total([u.thinking_tokens for u in usages]),
    )


def _sum_load(attempts: Sequence[Attempt]) -> LoadEvidence:
    """The residency before the first attempt, and whether any attempt waited for a load."""
    loads = [a.load for a in attempts]
    said = [x.loaded for x in loads if x.loaded is not None]
    timed = [x.load_ms for x in loads if x.load_ms is not None]
    return LoadEvidence(
        before=loads[0].before,
        load_ms=sum(timed) if timed else None,
        loaded=any(said) if said else None,
    )
