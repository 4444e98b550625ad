"""Puts a question to a model that advises, and is not measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from selfopt.reading.json_within import object_within
from selfopt.records import (
    Blob,
    ChatRequest,
    Constraint,
    Endpoint,
    Exchange,
    Message,
    Residency,
    Sampling,
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
        cost_of: what a reply costs; None when unknown.
    """

    model: str
    server_model: str
    endpoint: Endpoint
    residency: Residency
    takes_schema: bool
    cost_of: Callable[[Usage], float | None]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        step: its name among the exchanges that are kept.
        schema: the form of the answer, for a server that takes one; None: any.
    """

    step: str
    messages: Sequence[Message]
    sampling: Sampling
    timeout_s: float
    retries: int
    schema: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class QuestionAnswer:
    """What came back.

    Attributes:
        exchange: the request and its attempts, to be kept with `blobs`.
        text: the answer without thinking; "" where none came.
        unanswered: why none came; None where one did.
    """

    exchange: Exchange
    blobs: tuple[Blob, ...]
    text: str
    unanswered: Unanswered | None

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
        watch = ResidencyWatch(adviser.residency, adviser.server_model, desk.context.clock, desk.context.idle_s)
        schema = question.schema if adviser.takes_schema else None
        request = ChatRequest(
            model=adviser.server_model,
            messages=tuple(question.messages),
            sampling=question.sampling,
            constraint=Constraint(kind="json_schema", json_schema=schema) if schema is not None else None,
            timeout_s=question.timeout_s,
        )
        channel = Channel(adviser.endpoint, watch, desk.context)
        async with desk.board.alive():
            result = await exchange(channel, question.step, request, question.retries)
        usage = result.exchange.attempts[-1].usage
        desk.meter.charge(usage, adviser.cost_of(usage), adviser.model)
        desk.meter.commit()
        committed = True
    finally:
        if not committed:
            desk.meter.release()
    text = result.content.text if result.content is not None else ""
    return QuestionAnswer(result.exchange, result.blobs, text, _unanswered(result.fault) if result.content is None else None)


def _unanswered(fault: str | None) -> Unanswered:
    return "timeout" if fault == "timeout" else "loading" if fault == "loading" else "error"
