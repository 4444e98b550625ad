"""A chat through the variant that won: rendered for the model, its reply read back into tool calls."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import msgspec

from selfopt.errors import EndpointError
from selfopt.records import ChatRequest, Endpoint, ReplyContent, Sampling, ToolCall, Usage, Variant
from selfopt.variants import RenderedStep, read_reply, render

from .dialogue import Completion, Dialogue, read_dialogue
from .exchange import Exchange
from .options import GatewayOptions
from .passing import Passing
from .refusal import JSON, Refusal
from .seams import Upstream

__all__ = ["Harness"]

STREAM = b"Content-Type: text/event-stream"
TEXT_TOKENS = 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a model answered. explicit_none: it said that no tool is needed, and nothing else."""

    text: str
    calls: tuple[ToolCall, ...]
    finish: str
    explicit_none: bool = False


class Harness:
    """An `Answerer`: through the rule's variant where the request has tools, through the endpoint's adapter where its server
    speaks another dialect, and untouched everywhere else."""

    def __init__(self, options: GatewayOptions, passing: Passing) -> None:
        self._options = options
        self._passing = passing

    async def answer(self, exchange: Exchange) -> None:
        """One attempt. EndpointError while nothing went out."""
        upstream = exchange.upstream
        assert upstream is not None
        variant = self._variant(exchange)
        direct = upstream.speaks_openai
        dialogue = read_dialogue(exchange.chat) if variant is not None or not direct else None
        if dialogue is not None and dialogue.choice == "none":
            variant = None
        if dialogue is None or (variant is None and direct):
            if not direct:
                raise Refusal(400, f"endpoint {upstream.name} takes text only", code="unsupported_content", param="messages")
            exchange.ticket.variant = None
            await self._passing.answer(exchange)
            return
        exchange.ticket.variant = variant.name if variant is not None else None
        work = _Work(self._options, exchange, upstream)
        try:
            async with asyncio.timeout(exchange.timeout_s):
                outcome = await (work.through(variant, dialogue) if variant is not None else work.plainly(dialogue))
        except TimeoutError:
            raise EndpointError(f"no complete reply within {exchange.timeout_s:g} s", kind="timeout") from None
        await self._send(exchange, outcome, work.usage)

    def _variant(self, exchange: Exchange) -> Variant | None:
        rule = exchange.rule
        return rule.variant if rule is not None and exchange.chat.n_tools and not exchange.plain else None

    async def _send(self, exchange: Exchange, outcome: Outcome, usage: Usage) -> None:
        await exchange.settle()
        ticket, reply = exchange.ticket, exchange.reply
        ticket.input_tokens, ticket.output_tokens = usage.input_tokens, usage.output_tokens
        done = Completion(ticket.id, ticket.served or "", outcome.text, outcome.calls, outcome.finish, usage)
        if not exchange.chat.stream:
            reply.send(200, [JSON, *exchange.headers()], done.whole())
            return
        reply.begin(200, [STREAM, *exchange.headers()])
        reply.write(done.pieces(with_usage=_wants_usage(exchange)))
        reply.end()


class _Work:
    """The requests of one attempt."""

    def __init__(self, options: GatewayOptions, exchange: Exchange, upstream: Upstream) -> None:
        self._options = options
        self._exchange = exchange
        self._upstream = upstream
        self.usage = Usage()

    async def through(self, variant: Variant, dialogue: Dialogue) -> Outcome:
        """By the variant. EndpointError `protocol` when a call is required and none came."""
        steps = render(variant, dialogue.messages, dialogue.tools, required=dialogue.choice == "required")
        step, content = next(steps), ReplyContent()
        while True:
            content = await self._ask(step, self._limit(variant, dialogue, step))
            try:
                step = steps.send(content)
            except StopIteration as end:
                content = end.value
                break
        parsed = read_reply(variant.parsers, content, dialogue.tools)
        offered = {tool.name for tool in dialogue.tools}
        calls = tuple(call for call in parsed.tool_calls if call.name in offered)
        if not dialogue.parallel:
            calls = calls[:1]
        if calls:
            return Outcome("", calls, "tool_calls")
        if dialogue.choice == "required":
            raise EndpointError("a call of a tool was required, and the model made none", kind="protocol")
        if parsed.recognised == "explicit none" or variant.constraint != "none" or variant.steps == "choose_then_fill":
            return await self.plainly(dialogue, with_tools=False)
        return Outcome(content.text, (), content.finish_reason)

    async def plainly(self, dialogue: Dialogue, *, with_tools: bool = True) -> Outcome:
        """As it is, without a variant."""
        step = RenderedStep(
            step="answer",
            messages=dialogue.messages,
            tools=dialogue.tools if with_tools else (),
            tool_choice=dialogue.choice if with_tools else "auto",
            sampling=dialogue.sampling,
        )
        content = await self._ask(step, dialogue.sampling)
        calls = content.tool_calls if dialogue.parallel else content.tool_calls[:1]
        return Outcome(content.text, calls if with_tools else (), content.finish_reason)

    def _limit(self, variant: Variant, dialogue: Dialogue, step: RenderedStep) -> Sampling:
        """The variant's sampling; an answer that may be text gets the room for it that the client grants."""
        free = step.constraint is None
        wanted = dialogue.max_tokens or (max(step.sampling.max_tokens, TEXT_TOKENS) if free else step.sampling.max_tokens)
        return step.sampling.model_copy(update={"max_tokens": min(wanted, 32768)})

    async def _ask(self, step: RenderedStep, sampling: Sampling) -> ReplyContent:
        limits = self._exchange.rule.limits if self._exchange.rule is not None else None
        request = ChatRequest(
            model=self._upstream.server_model,
            messages=step.messages,
            tools=step.tools,
            tool_choice=step.tool_choice,
            constraint=step.constraint,
            sampling=sampling,
            timeout_s=self._exchange.timeout_s,
            connect_timeout_s=self._options.connect_timeout_s,
            context_size=limits.context_size if limits is not None else None,
        )
        endpoint: Endpoint = self._upstream.adapter()
        reply = await endpoint.chat(request)
        self.usage = Usage(
            input_tokens=(self.usage.input_tokens or 0) + (reply.usage.input_tokens or 0),
            output_tokens=(self.usage.output_tokens or 0) + (reply.usage.output_tokens or 0),
        )
        return reply.content


def _wants_usage(exchange: Exchange) -> bool:
    raw = exchange.chat.fields.get("stream_options")
    try:
        options = msgspec.json.decode(raw) if raw is not None else None
    except msgspec.DecodeError:
        return False
    return isinstance(options, dict) and options.get("include_usage") is True
