"""Serves a chat through the promoted variant: renders it, and reads tool calls from the reply."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from selfopt.dialects.client_tools import MAX_TOOLS, MAX_TOOLS_BYTES
from selfopt.dialects.clients import ClientRequest, NoWordsError, PassReason
from selfopt.dialects.refusal import Refusal
from selfopt.dialects.routes import Route
from selfopt.errors import EndpointError
from selfopt.home import escape_control
from selfopt.records import LogProbs, ReplyContent, ServeWhen, Variant, tool_set_name

from .behind import demanding, kept_by, swayed, unsent, why_past
from .bounded import by_steps
from .escalation import Escalating
from .flow import Flow
from .leanings import Leanings
from .live_request import LiveRequest
from .observing import BlindModels, Observing
from .offered import offered_by, wants_logprobs, wants_other_form
from .options import GatewayOptions
from .passing import Passing
from .refusal import JSON, from_endpoint_error
from .seams import Upstream
from .second_way import second_measured
from .tool_offer import tools_offered
from .work import AttemptWork

# A larger chat fills the context of any model that a variant was measured for.
MAX_VARIANT_BYTES = MAX_TOOLS_BYTES


class Harness:
    """Chooses how one attempt reaches the model.

    A chat with tools goes through the rule's variant. A chat to a server of another dialect goes
    through the endpoint's adapter. Every other one is passed on unchanged, and so are requests of other
    routes, to servers that have them.
    """

    def __init__(self, options: GatewayOptions, passing: Passing) -> None:
        self._options = options
        self._passing = passing
        self._blind, self._leanings = BlindModels(time.monotonic), Leanings(time.monotonic)
        self._untold = BlindModels(time.monotonic)  # models that gave none to clients who asked for log probabilities

    def answer(self, exchange: LiveRequest) -> Coroutine[Any, Any, None]:
        """Make one attempt, and answer the client.

        Raises:
            EndpointError: it failed before anything was sent; another attempt may follow.
            Escalating: the answer has to be sure and is not, or nothing says how sure it is.
            Refusal: it failed for good.
        """
        return self._chat(exchange) if exchange.route is None else self._beside(exchange, exchange.route)

    async def _beside(self, exchange: LiveRequest, route: Route) -> None:
        exchange.ticket.begin_attempt()
        if exchange.dialect.name not in exchange.upstream.speaks:
            exchange.ticket.outcome = "rejected"
            raise _no_route(route, exchange.upstream)
        await self._passing.answer(exchange)

    async def _chat(self, exchange: LiveRequest) -> None:
        upstream, ticket = exchange.upstream, exchange.ticket
        passes, direct = self._passes(exchange)
        ticket.begin_attempt()
        variant, ticket.passed = self._variant(exchange)
        asked = await self._read(exchange, passes=passes) if variant is not None or not direct else None
        if asked is not None and variant is not None:
            if asked.request.tool_choice == "none":
                variant = None
            else:
                variant = demanding(variant, asked, upstream)
                ticket.passed = why_past(variant, asked) or self._unsent(variant, asked, exchange)
        when = exchange.serve_when
        if when is not None and not _is_measured(variant, asked, exchange, when):
            raise Escalating("unmeasured")
        if asked is None or (direct and (variant is None or ticket.passed is not None)):
            await self._passing.answer(exchange)
            return
        if variant is not None and ticket.passed is None:
            ticket.variant, ticket.kept = variant.name, kept_by(variant, asked, judged=when is not None)
        else:
            variant = None
        ticket.unmet = "store" if asked.unkept else None
        completion = exchange.dialect.reply(exchange.ticket.id, exchange.ticket.served or "", exchange.chat)
        flow = Flow(exchange, completion) if exchange.chat.stream else None
        self._foretell(exchange)
        try:
            async with asyncio.timeout(exchange.timeout_s) as limit:
                work = AttemptWork(self._options, exchange, upstream, flow, limit)
                ticket.bill.follow(work)
                observing = Observing(variant, exchange, self._blind, self._leanings) if variant is not None else None
                outcome = await (work.through(variant, asked, observing) if variant and observing else work.plainly(asked))
                if flow is not None:
                    flow.check(outcome.tool_calls)
        except TimeoutError:
            what = "pause of more than" if flow is not None and flow.sent else "no complete reply within"
            error = EndpointError(f"{what} {exchange.timeout_s:g} s", kind="timeout")
            raise _final(error, upstream, flow) from None
        except EndpointError as error:
            raise _final(error, upstream, flow) from error
        completion.thinking, completion.thoughts = work.thinking, work.thoughts
        completion.settle(outcome, work.usage)
        completion.logprobs = self._wanted_logprobs(exchange, work.logprobs, outcome)
        ticket.finish = "tool_calls" if outcome.tool_calls else outcome.finish_reason
        exchange.ticket.input_tokens, exchange.ticket.output_tokens = work.usage.input_tokens, work.usage.output_tokens
        if flow is not None:
            await flow.end(with_usage=asked.wants_usage)
            return
        await exchange.settle()
        await exchange.keep(completion)
        exchange.reply.send(200, [JSON, *exchange.ticket.headers()], completion.whole())

    def _passes(self, exchange: LiveRequest) -> tuple[bool, bool]:
        """Say whether a request can be passed on unchanged, and whether it can without a loss.

        A call in the text of the reply is not read where a server speaks the client's dialect beside
        its own. Where it has to be read, the request is translated, as far as it can be.
        """
        name, upstream = exchange.dialect.name, exchange.upstream
        if name in upstream.speaks:
            return True, True
        if name not in upstream.also:
            return False, False
        return True, offered_by(exchange, self._options) is None

    def _foretell(self, exchange: LiveRequest) -> None:
        """Say in the headers of a stream what its model did not give just before."""
        if wants_logprobs(exchange.chat) and exchange.upstream.known_as in self._untold:
            exchange.ticket.unmet = "logprobs"

    def _wanted_logprobs(self, exchange: LiveRequest, found: LogProbs | None, answer: ReplyContent) -> LogProbs | None:
        """Return the log probabilities for a client that asked, and note if none came: old servers ignore the question."""
        if not wants_logprobs(exchange.chat):
            return None
        ticket = exchange.ticket
        if found is not None and ticket.unmet == "logprobs":
            ticket.unmet = None
        elif found is None and answer.text:
            self._untold.add(exchange.upstream.known_as)
            ticket.unmet = ticket.unmet or "logprobs"
        return found

    async def _read(self, exchange: LiveRequest, *, passes: bool) -> ClientRequest | None:
        """Read the request; None if it cannot be read, and the server is to judge it. passes: whether it can get there.

        Raises Refusal where only a request that is read can reach the server.
        """
        try:
            return await by_steps(exchange.dialect.reading_request(exchange.chat, exchange.upstream.dialect))
        except NoWordsError as odd:
            if not passes and exchange.serve_when is not None:
                raise Escalating("unmeasured") from None
            if not passes:
                said = f"endpoint {exchange.upstream.name} cannot be asked so: {odd}"
                raise Refusal(400, escape_control(said, 1000), code=odd.code, param=odd.param) from None
            if exchange.rule is not None and exchange.rule.variant is not None:
                exchange.ticket.passed = odd.reason
            return None

    def _unsent(self, variant: Variant, asked: ClientRequest, exchange: LiveRequest) -> PassReason | None:
        """Say what of the variant's requests the server would not take, hear or answer; None if there is nothing.

        Raises EndpointError where the rule rests on log probabilities that do not come, and another
        model is left.
        """
        observing = Observing(variant, exchange, self._blind, self._leanings)
        reason = unsent(variant, asked, exchange.upstream) or ("no_logprobs" if observing.in_vain else None)
        if reason == "no_logprobs":
            observing.give_up()
        return reason

    def _variant(self, exchange: LiveRequest) -> tuple[Variant | None, PassReason | None]:
        """Return the rule's variant if the request has tools, or why it is too large for one."""
        rule, chat = exchange.rule, exchange.chat
        if rule is None or rule.variant is None or not chat.n_tools or exchange.plain:
            return None, None
        if chat.size > MAX_VARIANT_BYTES or chat.n_tools > MAX_TOOLS:
            return None, "size"
        return rule.variant, None


def _is_measured(variant: Variant | None, asked: ClientRequest | None, exchange: LiveRequest, when: ServeWhen) -> bool:
    """Whether a request is asked as those were that a confidence was learnt on."""
    if variant is None or asked is None or exchange.ticket.passed is not None:
        return False
    if asked.request.tool_choice == "required" or wants_other_form(exchange.chat) or swayed(variant, asked):
        return False
    if when.compares and not (when.second and second_measured(when.second.variant, asked, exchange.upstream)):
        return False
    return not when.only_sets or _tool_set(asked, exchange) in when.only_sets


def _tool_set(asked: ClientRequest, exchange: LiveRequest) -> str:
    """The content name of the tools that the model may call; "" where it is not known."""
    if len(asked.request.tools) != exchange.chat.n_tools:  # the client's choice leaves some out
        return tool_set_name(asked.request.tools)
    return exchange.tools.tool_set or tools_offered(exchange.chat).tool_set


def _no_route(route: Route, upstream: Upstream) -> Refusal:
    message = f"endpoint {upstream.name} has no /v1/{route}: ask for a model of a server that has it"
    return Refusal(404, message, code="route_not_served", param="model")


def _final(error: EndpointError, upstream: Upstream, flow: Flow | None) -> Exception:
    """Return the error to raise: a Refusal once the client has a part of the answer."""
    if flow is None or not flow.sent:
        return error
    return flow.closed(from_endpoint_error(error, f"endpoint {upstream.name}"))
