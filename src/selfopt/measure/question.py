"""Puts a question to a model that advises, and is not measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from selfopt.errors import EndpointError
from selfopt.reading.json_within import object_within
from selfopt.records import (
    Blob,
    ChatRequest,
    Constraint,
    Endpoint,
    Exchange,
    Message,
    ReplyContent,
    Residency,
    Sampling,
    ToolDefinition,
    Unanswered,
    Usage,
)

from .attempt import Channel, ResidencyWatch, exchange
from .context import Desk


@dataclass(frozen=True, slots=True)
class Adviser:
    """A model that is asked for advice.

    Attributes:
        model: its full name.
        server_model: the name by which its server knows it.
        endpoint: sends a request only if it may leave for this model.
        residency: of its server.
        takes_schema: whether a JSON Schema can limit its answer.
        cost_of: what a reply costs, by its tokens and the seconds it took; None when unknown.
        context_size: tokens that the server is to make room for; None: as it does anyway.
    """

    model: str
    server_model: str
    endpoint: Endpoint
    residency: Residency
    takes_schema: bool
    cost_of: Callable[[Usage, float], float | None]
    context_size: int | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        step: its name among the exchanges that are kept.
        timeout_s: for each attempt, in seconds.
        retries: further attempts after a fault that may pass.
        constraint: on the answer. A JSON Schema is left out where the server takes none.
    """

    step: str
    messages: tuple[Message, ...]
    sampling: Sampling
    timeout_s: float
    retries: int
    tools: tuple[ToolDefinition, ...] = ()
    tool_choice: Literal["auto", "none", "required"] = "auto"
    constraint: Constraint | None = None


@dataclass(frozen=True, slots=True)
class QuestionAnswer:
    """What came back.

    Attributes:
        exchange: the request and its attempts, to be kept with `blobs`.
        content: the answer; None where none came.
        error: the last error where none came.
    """

    exchange: Exchange
    blobs: tuple[Blob, ...]
    content: ReplyContent | None
    error: EndpointError | None

    @property
    def text(self) -> str:
        """The answer without thinking; "" where none came."""
        return self.content.text if self.content is not None else ""

    @property
    def unanswered(self) -> Unanswered | None:
        """Why no answer came; None where one did."""
        if self.content is not None:
            return None
        kind = self.error.kind if self.error is not None else None
        return kind if kind in ("timeout", "loading") else "error"

    def json(self, key: str) -> dict[str, Any] | None:
        """The JSON object with this key in the answer. None where there is none."""
        return object_within(self.text, key)


async def put_question(desk: Desk, adviser: Adviser, question: Question) -> QuestionAnswer | None:
    """Ask once, with retries where these help. It counts as a trial against the caps.

    Returns:
        What came, a fault of the server included. None where a cap is reached: nothing was sent.

    Raises:
        ConsentError: the question may not leave this machine. Nothing was sent.
    """
    if not desk.meter.reserve():
        return None
    committed = False
    try:
        watch = ResidencyWatch(adviser.residency, adviser.server_model, desk.context.clock, desk.context.idle_s, first="unknown")
        limited = question.constraint is not None and (question.constraint.kind != "json_schema" or adviser.takes_schema)
        request = ChatRequest(
            model=adviser.server_model,
            messages=question.messages,
            tools=question.tools,
            tool_choice=question.tool_choice,
            sampling=question.sampling,
            constraint=question.constraint if limited else None,
            timeout_s=question.timeout_s,
            context_size=adviser.context_size,
        )
        channel = Channel(adviser.endpoint, watch, desk.context)
        desk.board.at(f"{adviser.model}: {question.step}", 0)
        async with desk.board.alive():
            result = await exchange(channel, question.step, request, question.retries)
        for attempt in result.exchange.attempts:
            cost = adviser.cost_of(attempt.usage, attempt.latency_ms / 1000)
            desk.meter.charge(attempt.usage, cost, adviser.model, replied=attempt.fault is None)
        desk.meter.commit()
        committed = True
    finally:
        if not committed:
            desk.meter.release()
    return QuestionAnswer(result.exchange, result.blobs, result.content, result.error)
