"""A small suite, a scripted endpoint and a context, ready to measure."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from selfopt.errors import EndpointError
from selfopt.measure.context import MeasureContext
from selfopt.measure.options import MeasureOptions
from selfopt.measure.progress import Progress
from selfopt.measure.supervisor import SuperviseResult, supervise
from selfopt.records import (
    Blob,
    ChatChunk,
    ChatReply,
    ChatRequest,
    Endpoint,
    EndpointConfig,
    ExpectedCall,
    Ledger,
    Message,
    ModelStatus,
    Prompt,
    ReplyContent,
    Residency,
    Spec,
    Suite,
    ToolCall,
    ToolDefinition,
    Usage,
    Variant,
    WarmUp,
    WarmUpResult,
)

WEATHER = ToolDefinition(
    name="get_weather",
    description="Weather of a city",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


def make_suite(n_calls: int = 4, n_silent: int = 2) -> Suite:
    """Prompts c0, c1 ... ask for the weather of City0, City1 ...; s0, s1 ... ask for nothing."""
    prompts = [
        Prompt(
            id=f"c{i}",
            kind="direct",
            tool_set="t",
            messages=(Message(role="user", content=f"weather of City{i}?"),),
            expected=((ExpectedCall(name="get_weather", arguments={"city": [f"City{i}"]}),),),
        )
        for i in range(n_calls)
    ]
    prompts += [
        Prompt(id=f"s{i}", kind="silent", tool_set="t", messages=(Message(role="user", content=f"hello {i}"),), expected=((),))
        for i in range(n_silent)
    ]
    return Suite(name="small", phase="atomic", scope="whole", tool_sets={"t": (WEATHER,)}, prompts=tuple(prompts))


def make_spec(suite: Suite, **changes: Any) -> Spec:
    """A spec of the native variant on the scripted endpoint."""
    base: dict[str, Any] = {
        "endpoint": "scripted",
        "model": "scripted/m",
        "phase": "atomic",
        "suite": suite.name,
        "suite_hash": suite.content_id(),
        "variant": Variant(name="native_api"),
    }
    return Spec(**{**base, **changes})


def call_reply(city: str) -> ReplyContent:
    """A native call."""
    call = ToolCall(name="get_weather", arguments={"city": city})
    return ReplyContent(tool_calls=(call,), finish_reason="tool_calls")


def right_answer(request: ChatRequest) -> ReplyContent:
    """What a perfect model says."""
    text = request.messages[-1].content
    if "weather of " in text:
        return call_reply(text.removeprefix("weather of ").removesuffix("?"))
    return ReplyContent(text="Hello.", finish_reason="stop")


Answer = Callable[[ChatRequest], ReplyContent | EndpointError]


@dataclass
class FakeEndpoint:
    """Answers by a function; keeps what it was asked. before: awaited before each answer."""

    answer: Answer = right_answer
    asked: list[ChatRequest] = field(default_factory=list)
    before: Callable[[], Awaitable[None]] | None = None
    latency_ms: float = 10.0

    async def chat(self, request: ChatRequest) -> ChatReply:
        self.asked.append(request)
        if self.before is not None:
            await self.before()
        content = self.answer(request)
        if isinstance(content, EndpointError):
            raise content
        return ChatReply(
            content=content,
            usage=Usage(input_tokens=20, output_tokens=5),
            latency_ms=self.latency_ms,
            request_body=f"sent {len(self.asked)}",
            reply_body=content.model_dump_json(),
        )

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        yield ChatChunk(final=await self.chat(request))

    async def close(self) -> None:
        """Nothing to give back."""


@dataclass
class FakeResidency:
    """Answers states one after another, the last for good."""

    states: list[str] = field(default_factory=lambda: ["loaded"])
    asked: int = 0
    unloads: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    async def status(self, model: str) -> ModelStatus:
        state = self.states[min(self.asked, len(self.states) - 1)]
        self.asked += 1
        return ModelStatus.model_validate({"state": state, **self.extra})

    async def load(self, model: str, timeout_s: float) -> float:
        return 1.0

    async def unload(self, model: str) -> bool:
        self.unloads += 1
        return True


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.sleeps: list[float] = []

    def clock(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now_s += seconds


@dataclass
class WarmUps:
    """Counts warm-ups and answers "complete"."""

    requests: list[ChatRequest] = field(default_factory=list)
    then: Callable[[], None] | None = None

    async def __call__(
        self,
        endpoint: Endpoint,
        residency: Residency,
        model: str,
        requests: Sequence[ChatRequest],
        policy: WarmUp,
        clock: Callable[[], float],
        /,
    ) -> tuple[WarmUpResult, list[Blob]]:
        self.requests += requests
        if self.then is not None:
            self.then()
        blob = Blob.of("warm-up request")
        return WarmUpResult(status="complete", load_ms=5.0, requests=(blob.blob_hash,)), [blob]


@dataclass
class Bench:
    """A context with everything that a test may want to look at."""

    ledger: Ledger
    suite: Suite
    endpoint: Any = field(default_factory=FakeEndpoint)
    residency: Any = field(default_factory=FakeResidency)
    time: FakeTime = field(default_factory=FakeTime)
    warm_ups: WarmUps = field(default_factory=WarmUps)
    events: list[Progress] = field(default_factory=list)
    slots: int = 1
    price: float | None = None

    def context(self, **changes: Any) -> MeasureContext:
        base: dict[str, Any] = {
            "ledger": self.ledger,
            "endpoint_for": lambda spec: self.endpoint,
            "residency_for": lambda spec: self.residency,
            "model_name_for": lambda spec: spec.model.split("/", 1)[1],
            "suite_for": lambda spec: self.suite,
            "warm_up": self.warm_ups,
            "slots_for": lambda spec: self.slots,
            "price_for": lambda spec, usage, busy_s: self.price,
            "clock": self.time.clock,
            "sleep": self.time.sleep,
            "rng": random.Random(1),
            "progress": self.events.append,
        }
        return MeasureContext(**{**base, **changes})


SCRIPTED = EndpointConfig(name="scripted", kind="scripted", script="unused", local=True)


async def run_once(spec: Spec, context: MeasureContext, options: MeasureOptions | None = None) -> SuperviseResult:
    """One pass over the suite; continues one that was cut off."""
    return await supervise(spec, context=context, options=replace(options or MeasureOptions(), n_runs=1))
