"""The requests that one attempt sends through a variant or an adapter, and what is made of the replies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from selfopt.dialects.clients import ClientRequest
from selfopt.errors import EndpointError
from selfopt.reading import HeldText, calls_within, read_calls
from selfopt.reading.agreement import OtherCalls
from selfopt.reading.chain import NATIVE
from selfopt.reading.repeats import SPAN
from selfopt.records import (
    ChatChunk,
    ChatReply,
    ChatRequest,
    Endpoint,
    LogProbs,
    ParsedReply,
    ReplyContent,
    Sampling,
    ServeWhen,
    ToolCall,
    Variant,
)
from selfopt.variants import RenderedStep, options_of, render

from .adding import NO_USAGE, added
from .behind import TEXT_TOKENS, beside_answer, beside_step, limited, step_sampling
from .bounded import beside, next_step
from .cutting import LONG_RUN, SLACK, Cutter, each_once
from .early import EarlyCalls, asked_once, may_flow
from .escalation import Escalating, HeldAnswer
from .flow import Flow, before_a_call
from .leanings import question_key
from .live_request import LiveRequest
from .observing import Observing
from .offered import wants_other_form
from .options import GatewayOptions
from .passing import uncalled, unfit
from .plain_step import plain_step
from .reported import FoundCalls, found_calls, lasting_calls, wanted_calls, with_damaged, without_text
from .seams import Upstream
from .second_way import SecondAsking, cut_short
from .similar import similar_to
from .sureness import Sureness, sureness_of

# Whatever is put into these was read or decided here, and needs no validation.
_BLANK, _SAID = ChatRequest(model="", messages=()), ReplyContent()
Taker = Callable[[ChatChunk], Awaitable[None]]


class AttemptWork:
    """The requests that one attempt sends."""

    def __init__(
        self, options: GatewayOptions, exchange: LiveRequest, upstream: Upstream, flow: Flow | None, limit: asyncio.Timeout
    ) -> None:
        self._options = options
        self._exchange = exchange
        self._upstream = upstream
        self._flow = flow
        self._limit_of_time = limit
        self._most_tokens: int | None = None
        self._asked_last: RenderedStep | None = None
        self._other: OtherCalls | None = None  # what the second way of asking called
        self.usage = NO_USAGE
        self.thinking = ""
        self.thoughts: tuple[dict[str, Any], ...] = ()
        self.logprobs: LogProbs | None = None

    async def through(self, variant: Variant, asked: ClientRequest, observing: Observing) -> ReplyContent:
        """Ask as the variant does, or serve an answer that was held.

        Raises EndpointError for a reply that cannot be served, and Escalating for one that is not
        sure enough.
        """
        if wants_other_form(self._exchange.chat):  # what comes in it is no call
            variant = asked_once(variant).model_copy(update={"parsers": without_text(variant.parsers)})
        flow, talks = self._flow, may_flow(variant, asked)
        content = self._held() or await self._steps(variant, asked, observing, talks=talks)
        if content is None:
            return await self._past(asked, observing)
        family, size = self._upstream.family(), asked.size + len(content.text)
        parsed = await beside(size, read_calls, variant.parsers, content, asked.request.tools, asked.request.messages, family)
        if observing.fails(parsed, content):
            return await self._past(asked, observing)
        if self._exchange.serve_when is not None:
            if cut_short(variant, asked, content):
                raise Escalating("unmeasured", HeldAnswer(content, self.usage, self.thinking))  # a piece looks surer than it all
            content, parsed = await self._sure(self._exchange.serve_when, variant, asked, observing, content, parsed)
        found = await self._found(parsed, content, asked, variant.parsers)
        calls, begun = found.calls, flow is not None and flow.sent
        if self._exchange.ticket.cut and not (flow is not None and flow.calls):
            calls = each_once(calls)
        if content.refused and not calls:
            return content
        required, rule = asked.request.tool_choice == "required", self._exchange.rule
        if self._exchange.helped and not begun:
            if required and not calls:
                raise uncalled()
            unread = found.unread and (calls or parsed.unread is not None)
            if unread and rule is not None and rule.fallback_on_unparsed:
                raise unfit("the reply holds a call that no parser of the variant reads")
        spoken = before_a_call(content.text) if talks else ""
        if calls:
            text = content.text if await self._only_talks(variant, content, asked) else spoken
            return _SAID.model_copy(update={"text": text, "tool_calls": calls, "finish_reason": content.finish_reason})
        if required:
            self._exchange.ticket.unmet = "tool_choice"
        if spoken or (flow is not None and flow.sent):  # the client has its beginning, or would have
            return _text_of(content)
        answers = variant.steps == "choose_then_answer"  # its last step asks for text
        if (
            parsed.status == "explicit_none"
            or parsed.dropped
            or (not answers and (variant.constraint != "none" or variant.steps != "single"))
        ):
            return await self.plainly(asked, with_tools=False)
        return _text_of(content)

    async def _steps(self, variant: Variant, asked: ClientRequest, observing: Observing, *, talks: bool) -> ReplyContent | None:
        """Return what the parsers read; None where a step's answer lacks the log probabilities that it reads."""
        # `render` does not cache a list: no conversation comes twice, so the cache would fill up.
        tools = asked.request.tools if asked.tools_kept else list(asked.request.tools)
        embeds, required = self._upstream.embeds is not None, asked.request.tool_choice == "required"
        steps = render(variant, list(asked.request.messages), tools, required=required, embeds=embeds)
        step = await beside(asked.size, next, steps)
        sampling = variant.sampling
        self._most_tokens = max((sampling.max_tokens + sampling.thinking_tokens) * SLACK, TEXT_TOKENS)
        flow = self._flow if self._exchange.serve_when is None else None  # else all of it waits for the confidence
        early = EarlyCalls(variant, asked, flow, talks=talks) if flow is not None else None
        while True:
            if early is not None:
                await early.settled(step.settled)
                self._go_on()
            take = early.take if early is not None and early.wants_pieces and step.logprobs is None else None
            if step.embedding:
                step = await beside(asked.size, steps.send, await similar_to(self._upstream, self._exchange, step))
                continue
            content = await self._observed(step, variant, asked, observing, take)
            if observing.misses(step, content):
                return None
            size = asked.size + len(content.text)
            following = await beside(size, next_step, steps, content)
            if isinstance(following, ReplyContent):
                return with_damaged(following, content, asked, variant, step)
            step = following

    async def _observed(
        self, step: RenderedStep, variant: Variant, asked: ClientRequest, observing: Observing, take: Taker | None = None
    ) -> ReplyContent:
        """Send a step of the variant, and ask for the log probabilities that are read."""
        self._asked_last = step
        top, judged = step.logprobs or observing.top, self._exchange.serve_when is not None
        sampling = observing.shortened(step_sampling(asked, step, judged=judged))
        more = beside_step(variant, asked, step, observed=observing.top is not None, judged=judged)
        ask = partial(self._ask, step, sampling, take, beside=more, logprobs=top)
        if step.blank:
            return await observing.leaning(await beside(asked.size, question_key, step, more), ask)
        return observing.seen(step, await ask())

    def _held(self) -> ReplyContent | None:
        """An answer of before that is to be served."""
        held = self._exchange.held
        if held is None:
            return None
        self.usage, self.thinking, self.thoughts = held.usage, held.thinking, held.content.thoughts
        return held.content

    async def _sure(
        self,
        when: ServeWhen,
        variant: Variant,
        asked: ClientRequest,
        observing: Observing,
        content: ReplyContent,
        parsed: ParsedReply,
    ) -> tuple[ReplyContent, ParsedReply]:
        """Return the answer if it is sure enough, if need be after one complaint. Raises Escalating."""
        found = await self._judged(when, content, parsed, asked, observing)
        if found.doubt == "invalid" and when.retry and not options_of(variant).asks_again:
            second = await self._corrected(variant, asked, observing, content)
            if second is not None:
                content, parsed = second
                found = await self._judged(when, content, parsed, asked, observing)
        if found.confidence is not None:
            self._exchange.judged(found.doubt is None)
        if found.doubt is not None:
            raise Escalating(found.doubt, HeldAnswer(content, self.usage, self.thinking))
        self._exchange.certain()
        return content, parsed

    async def _judged(
        self, when: ServeWhen, content: ReplyContent, parsed: ParsedReply, asked: ClientRequest, observing: Observing
    ) -> Sureness:
        size = asked.size + len(content.text)
        found = await beside(size, sureness_of, when, content, parsed, asked, self._other)
        if found.open:
            self._other = await self._second(when, asked, observing, parsed)
            if self._other is None:
                raise Escalating("unmeasured", HeldAnswer(content, self.usage, self.thinking))
            found = await beside(size, sureness_of, when, content, parsed, asked, self._other)
        self._exchange.ticket.judge(found.confidence, when.least)
        return found

    async def _second(
        self, when: ServeWhen, asked: ClientRequest, observing: Observing, parsed: ParsedReply
    ) -> OtherCalls | None:
        """Ask in the rule's second way; see `SecondAsking.ask`. Without one, nothing is known of its calls."""
        until = self._limit_of_time.when()
        if when.second is None or until is None:
            return OtherCalls()
        return await SecondAsking(when.second.variant, self._exchange, until).ask(asked, observing, parsed, self._apart)

    def _apart(self, exchange: LiveRequest) -> AttemptWork:
        """What asks without touching this answer."""
        return AttemptWork(self._options, exchange, self._upstream, None, self._limit_of_time)

    async def reply(self, variant: Variant, asked: ClientRequest, observing: Observing) -> ReplyContent | None:
        """Ask as the variant does, and return what its parsers read. See `_steps`."""
        try:
            return await self._steps(variant, asked, observing, talks=False)
        except Escalating:  # it was not asked as it was measured
            return None

    async def _corrected(
        self, variant: Variant, asked: ClientRequest, observing: Observing, content: ReplyContent
    ) -> tuple[ReplyContent, ParsedReply] | None:
        """Ask once more, with what is wrong; None if the second reply is not taken."""
        from selfopt.variants.again import corrected  # only loaded for who asks again
        from selfopt.variants.step import Request

        opening, request = self._asked_last, asked.request
        if opening is None:
            return None
        messages, tools = request.messages, request.tools
        steps = corrected(Request(variant, messages, messages, tools, tools), opening, content, required=False)
        size = asked.size + len(content.text)
        step = await beside(size, next_step, steps, None)
        if isinstance(step, ReplyContent):
            return None
        second = await self._observed(step, variant, asked, observing)
        family = self._upstream.family()
        second = second.model_copy(update={"picked": content.picked})  # which tool it was is no new question
        parsed = await beside(size, read_calls, variant.parsers, second, tools, messages, family)
        return None if observing.fails(parsed, second) else (second, parsed)

    async def _past(self, asked: ClientRequest, observing: Observing) -> ReplyContent:
        """Ask without the variant whose log probabilities did not come. Raises EndpointError if another model is left."""
        observing.give_up()
        self._most_tokens = None
        return await self.plainly(asked)

    async def _only_talks(self, variant: Variant, content: ReplyContent, asked: ClientRequest) -> bool:
        """Say whether the text beside calls that the server reported is what the model says, and holds no call."""
        if limited(variant) or not content.text.strip() or not (content.tool_calls or content.broken_tool_calls):
            return False
        tools, family = asked.request.tools, self._upstream.family()
        return not (await beside(len(content.text), calls_within, content.text, tools, family)).calls

    async def plainly(self, asked: ClientRequest, *, with_tools: bool = True) -> ReplyContent:
        """Ask without a variant."""
        step = plain_step(self._exchange, asked, with_tools=with_tools)
        flow, reads = self._flow, with_tools and self._reads(asked)
        if flow is not None:
            flow.restart(watch=HeldText(asked.request.tools, self._upstream.family()) if reads else None)

        reported: list[ToolCall] = []

        async def take(chunk: ChatChunk) -> None:
            assert flow is not None
            await flow.feed(chunk.text)
            if with_tools and chunk.tool_calls:
                reported.extend(chunk.tool_calls)
                await flow.say_calls(lasting_calls(reported, asked))

        content = await self._ask(
            step,
            asked.request.sampling,
            take if flow is not None else None,
            beside=beside_answer(asked, with_tools=with_tools),
            as_said=True,
            watched=reads,
        )
        if not with_tools:
            return content.model_copy(update={"tool_calls": ()})
        plain = ParsedReply(tool_calls=content.tool_calls, parser=NATIVE if content.tool_calls else None)
        found = await self._found(plain, content, asked, ())
        return await self._called(content.model_copy(update={"tool_calls": found.calls}), content, asked)

    async def _called(self, answer: ReplyContent, content: ReplyContent, asked: ClientRequest) -> ReplyContent:
        """Return an answer with the calls in its text, unless the server reported any. content: what came."""
        tools, ticket = asked.request.tools, self._exchange.ticket
        if self._reads(asked) and not answer.tool_calls and not content.broken_tool_calls:
            cut, family = content.finish_reason == "length", self._upstream.family()
            within = await beside(len(content.text), calls_within, content.text, tools, family, cut=cut)
            calls = wanted_calls(each_once(within.calls) if ticket.cut else within.calls, asked)
            ticket.read_calls = len(calls)
            if calls:
                answer = answer.model_copy(update={"text": within.before, "tool_calls": calls, "finish_reason": "tool_calls"})
        if asked.request.tool_choice == "required":
            ticket.unmet = None if answer.tool_calls else "tool_choice"
            if ticket.unmet and self._exchange.helped and not (self._flow is not None and self._flow.sent):
                raise uncalled()
        return answer

    def _reads(self, asked: ClientRequest) -> bool:
        """Say whether calls are read from the text of a reply that no variant asked for."""
        on = self._options.own.read_calls != "off" and not self._exchange.plain
        wanted = bool(asked.request.tools) and asked.request.tool_choice != "none"
        return on and wanted and not wants_other_form(self._exchange.chat)

    async def _found(
        self, parsed: ParsedReply, content: ReplyContent, asked: ClientRequest, parsers: Sequence[str]
    ) -> FoundCalls:
        """Return the calls of a reply, and count those that were damaged."""
        sent = self._flow.calls if self._flow is not None else ()
        found = await beside(asked.size + len(content.text), found_calls, parsed, content, asked, parsers, sent)
        ticket = self._exchange.ticket
        ticket.mended_calls, ticket.passed_calls = found.mended, found.passed
        return found

    async def _ask(
        self,
        step: RenderedStep,
        sampling: Sampling,
        take: Taker | None,
        *,
        beside: dict[str, dict[str, Any]],
        as_said: bool = False,
        watched: bool = False,
        logprobs: int | None = None,
    ) -> ReplyContent:
        limits = self._exchange.rule.limits if self._exchange.rule is not None else None
        request = _BLANK.model_copy(
            update={
                "model": self._upstream.server_model,
                "messages": step.messages,
                "tools": step.tools,
                "tool_choice": step.tool_choice,
                "constraint": step.constraint,
                "sampling": sampling,
                "timeout_s": self._exchange.timeout_s,
                "connect_timeout_s": self._options.limits.connect_timeout_s,
                "context_size": limits.context_size if limits is not None else None,
                "beside": beside,
                "as_said": as_said,
                "logprobs": logprobs,
            }
        )
        endpoint: Endpoint = self._upstream.adapter()
        # llama.cpp gives no log probabilities with a stream of calls.
        flows = self._upstream.streamed and self._most_tokens is not None and not (logprobs and step.tools)
        whole = take is None and not flows
        reply = await (endpoint.chat(request) if whole else self._flowing(endpoint, request, take, watched=watched))
        self.usage, self.thinking = added(self.usage, reply.usage), reply.content.thinking
        self.logprobs, self.thoughts = reply.logprobs, reply.content.thoughts
        return reply.content if logprobs is None else reply.content.model_copy(update={"logprobs": reply.logprobs})

    async def _flowing(self, endpoint: Endpoint, request: ChatRequest, take: Taker | None, *, watched: bool) -> ChatReply:
        """Ask for a stream, and hand each piece to `take`. A variant's reply may be ended early, and one that is watched."""
        chunks = endpoint.stream(request)
        most_tokens = self._most_tokens if self._upstream.streamed else None
        span = SPAN if self._most_tokens is not None else LONG_RUN
        cutter = Cutter(most_tokens, self._exchange.crowded, span) if self._most_tokens is not None or watched else None
        try:
            async for chunk in chunks:
                if chunk.thinking and self._flow is not None:
                    await self._flow.think(chunk.thinking)
                if chunk.thought is not None and self._flow is not None:
                    await self._flow.think(chunk.thought)
                if take is not None and (chunk.text or chunk.tool_calls):
                    await take(chunk)
                if chunk.final is not None:
                    return chunk.final
                if cutter is not None and cutter.take(chunk):
                    self._exchange.ticket.cut = cutter.cut
                    return await cutter.reply(chunks)
                self._go_on()
        finally:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()
        raise EndpointError("the stream ended in mid-reply", kind="protocol")

    def _go_on(self) -> None:
        """Once the client has a part of the answer, bound each pause instead of the whole reply."""
        if self._flow is not None and self._flow.sent:
            now = asyncio.get_running_loop().time()
            self._limit_of_time.reschedule(min(now + self._exchange.timeout_s, self._exchange.deadline))


def _text_of(content: ReplyContent) -> ReplyContent:
    """The text of a reply, and how it ended."""
    return ReplyContent(text=content.text, finish_reason=content.finish_reason, stop_sequence=content.stop_sequence)
