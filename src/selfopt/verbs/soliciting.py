"""Asks writers and solvers, and keeps what they answer, so that a command that was cut off asks nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from selfopt.authoring.written import MAX_REPLY
from selfopt.errors import BudgetError
from selfopt.measure.attempt import Channel, ExchangeResult, ResidencyWatch, exchange
from selfopt.measure.budget import BudgetMeter
from selfopt.measure.lookup import find
from selfopt.records import AuthoredReply, ChatRequest, Constraint, Message, ReplyContent, Sampling, ToolDefinition, content_hash
from selfopt.wiring.app import App

_IN_A_ROW = 3
_WRITING = 10  # times the limit for one reply: a writer writes much more than a model that calls


@dataclass(frozen=True, slots=True)
class WriterQuestion:
    """One request to a writer or a solver, before endpoint and limits are known."""

    messages: tuple[Message, ...]
    tools: tuple[ToolDefinition, ...] = ()
    tool_choice: Literal["auto", "none", "required"] = "auto"
    sampling: Sampling = field(default_factory=Sampling)
    constraint: Constraint | None = None


class Solicitor:
    """Asks models on behalf of one command.

    Args:
        app: the open home.
        asked: for each model its own name, if the user named it; else the name of the model that is
            tuned, whose prompts may leave this machine only by consent.
        meter: what the command has spent. Each request counts as a trial.
        show: is told how far it is.
    """

    def __init__(self, app: App, asked: Mapping[str, str], meter: BudgetMeter, show: Callable[[str], None]) -> None:
        self._app = app
        self._asked = asked
        self._meter = meter
        self._show = show
        self._failed = 0
        self._context = app.measure_context()

    async def ask(
        self, model: str, purpose: Literal["write", "solve"], questions: Sequence[WriterQuestion], label: str
    ) -> list[ReplyContent | None]:
        """Ask a model, as many questions at once as its endpoint takes. None: it did not answer.

        Raises:
            EndpointError: it did not answer several times in a row.
            BudgetError: a cap is reached. The same command goes on.
            ConsentError: the model is remote, and the user did not allow that. Nothing is sent.
        """
        self._app.sender.require(self._asked[model], model)
        slots = self._app.settings.concurrency_of(self._app.settings.endpoint_of(model)[0])
        found: list[ReplyContent | None] = []
        for start in range(0, len(questions), slots):
            batch = questions[start : start + slots]
            asked = (self._one(model, purpose, question) for question in batch)
            for reply in await asyncio.gather(*asked, return_exceptions=True):  # what the others answered is kept first
                if isinstance(reply, BaseException):
                    raise reply
                found.append(reply)
            self._show(f"  {label}: {len(found)}/{len(questions)}")
            self._app.on_step(f"{purpose}_asked")
        return found

    async def _one(self, model: str, purpose: Literal["write", "solve"], question: WriterQuestion) -> ReplyContent | None:
        reply_id = content_hash(
            "reply", [model, purpose, *(_plain(getattr(question, name)) for name in WriterQuestion.__slots__)]
        )
        known = find(self._app.ledger, AuthoredReply, reply_id)
        if known is not None:
            return known.content
        if not self._meter.reserve():
            raise BudgetError(f"stopped while prompts were made: {self._meter.stop_reason}; the same command goes on")
        try:
            result = await self._exchanged(model, purpose, question)
        except BaseException:
            self._meter.release()
            raise
        self._meter.commit()
        self._charge(model, result)
        if result.content is None:
            self._failed += 1
            if result.error is not None and self._failed >= _IN_A_ROW:
                raise result.error
            return None
        self._failed = 0
        content = _cut(result.content)
        record = AuthoredReply(reply_id=reply_id, model=model, purpose=purpose, content=content, at=self._context.now())
        if find(self._app.ledger, AuthoredReply, reply_id) is None:
            await self._app.ledger.append([record])
        return content

    async def _exchanged(self, model: str, purpose: str, question: WriterQuestion) -> ExchangeResult:
        app, asked = self._app, self._asked[model]
        limits, entry = app.settings.limits, app.settings.endpoint_of(model)[1]
        name = app.sender.server_model(model)
        timeout_s = min(3600.0, limits.timeout_s * (_WRITING if purpose == "write" else 1))
        request = ChatRequest(
            model=name,
            messages=question.messages,
            tools=question.tools,
            tool_choice=question.tool_choice,
            sampling=question.sampling,
            constraint=question.constraint,
            timeout_s=timeout_s,
            connect_timeout_s=limits.connect_timeout_s,
            context_size=app.settings.engine.context_size if entry.traits.engine else None,
        )
        context = self._context
        watch = ResidencyWatch(app.sender.residency(model, asked=asked), name, context.clock, context.idle_s, first="unknown")
        channel = Channel(app.sender.endpoint(model, asked=asked), watch, context)
        return await exchange(channel, purpose, request, limits.retries)

    def _charge(self, model: str, result: ExchangeResult) -> None:
        for attempt in result.exchange.attempts:
            self._meter.charge(attempt.usage, self._app.settings.cost_of(model, attempt.usage), model)


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


def _cut(content: ReplyContent) -> ReplyContent:
    """A content that is kept: no longer than what is read of it."""
    kept = MAX_REPLY + 1
    return content.model_copy(update={"text": content.text[:kept], "thinking": content.thinking[:kept]})
