"""A question is asked within the caps, kept as it was sent, and never fails a search."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from selfopt.cli.live import LiveLine
from selfopt.errors import ConsentError, EndpointError
from selfopt.measure.budget import Budget, BudgetMeter
from selfopt.measure.context import Desk
from selfopt.measure.question import Adviser, Question, put_question
from selfopt.records import ChatReply, ChatRequest, Constraint, Message, ReplyContent, Sampling, Usage

from .kit import Bench, FakeEndpoint

SCHEMA = {"type": "object"}


def desk_of(bench: Bench, **caps: Any) -> Desk:
    """A desk with these caps."""
    return Desk.of(bench.context(), BudgetMeter(Budget(**caps), bench.time.clock))


def adviser(bench: Bench, *, takes_schema: bool = True, cost: float | None = 0.5) -> Adviser:
    """The model of the bench, as one that is asked."""
    return Adviser("far/r", "r", bench.endpoint, bench.residency, takes_schema, lambda usage, busy_s: cost)


def question(retries: int = 0) -> Question:
    """What would help?"""
    limit = Constraint(kind="json_schema", json_schema=SCHEMA)
    return Question("reflection", (Message(role="user", content="What would help?"),), Sampling(), 9.0, retries, constraint=limit)


def answering(text: str) -> FakeEndpoint:
    """A model that answers so."""
    return FakeEndpoint(answer=lambda request: ReplyContent(text=text))


async def test_an_answer_is_kept_with_what_was_sent_and_counts_against_the_caps(bench: Bench) -> None:
    """As a trial, with its tokens and its price."""
    bench.endpoint = answering('Sure: {"edits": [1]}')
    desk = desk_of(bench, max_trials=1)
    answer = await put_question(desk, adviser(bench), question())
    assert answer is not None
    assert answer.json("edits") == {"edits": [1]}
    assert answer.unanswered is None
    (attempt,) = answer.exchange.attempts
    assert {attempt.request, attempt.reply} <= {blob.blob_hash for blob in answer.blobs}
    assert (desk.meter.trials, desk.meter.tokens, desk.meter.cost) == (1, 25, 0.5)
    (request,) = bench.endpoint.asked
    assert (request.model, request.timeout_s, request.constraint.json_schema) == ("r", 9.0, SCHEMA)
    assert await put_question(desk, adviser(bench), question()) is None, "the cap is reached"
    assert len(bench.endpoint.asked) == 1


async def test_who_waits_for_an_answer_sees_who_is_asked(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """On the line that shows what goes on."""
    shown = LiveLine(plain=True)
    desk: Desk

    def answer(request: ChatRequest) -> ReplyContent:
        desk.board.tell("heartbeat")
        return ReplyContent(text="No.")

    bench.endpoint = FakeEndpoint(answer=answer)
    desk = Desk.of(replace(bench.context(), progress=shown), BudgetMeter(Budget(), bench.time.clock))
    await put_question(desk, adviser(bench), question())
    assert capsys.readouterr().err == "  far/r: reflection\n"


async def test_a_server_that_takes_no_schema_gets_none(bench: Bench) -> None:
    """The form stands in the question, too."""
    await put_question(desk_of(bench), adviser(bench, takes_schema=False), question())
    assert bench.endpoint.asked[0].constraint is None


@pytest.mark.parametrize(
    ("kind", "unanswered"), [("timeout", "timeout"), ("connect", "error"), ("server", "error"), ("loading", "loading")]
)
async def test_a_fault_is_an_answer_that_did_not_come(bench: Bench, kind: Any, unanswered: str) -> None:
    """It is kept, with its retries, and counts."""
    bench.endpoint = FakeEndpoint(answer=lambda request: EndpointError("no", kind=kind))
    desk = desk_of(bench, max_trials=5)
    answer = await put_question(desk, adviser(bench), question(retries=1))
    assert answer is not None
    assert (answer.unanswered, answer.text, len(answer.exchange.attempts)) == (unanswered, "", 2)
    assert answer.json("edits") is None
    assert desk.meter.trials == 1


class Barred(FakeEndpoint):
    """What may not be sent."""

    async def chat(self, request: ChatRequest) -> ChatReply:
        raise ConsentError("not sent")


class Slow(FakeEndpoint):
    """An answer that does not come before the command is ended."""

    async def chat(self, request: ChatRequest) -> ChatReply:
        raise asyncio.CancelledError


@pytest.mark.parametrize(("endpoint", "raised"), [(Barred(), ConsentError), (Slow(), asyncio.CancelledError)])
async def test_what_was_not_answered_holds_no_place(bench: Bench, endpoint: FakeEndpoint, raised: type[BaseException]) -> None:
    """The caps are as before."""
    bench.endpoint = endpoint
    desk = desk_of(bench, max_trials=1)
    with pytest.raises(raised):
        await put_question(desk, adviser(bench), question())
    assert desk.meter.trials == 0
    assert desk.meter.stop_reason is None


async def test_an_unknown_price_is_told_where_there_is_a_cap(bench: Bench) -> None:
    """As for a trial."""
    desk = desk_of(bench, max_cost=1.0)
    await put_question(desk, adviser(bench, cost=None), question())
    assert "what far/r costs is unknown" in (desk.meter.stop_reason or "")
    assert desk.meter.tokens == Usage(input_tokens=20, output_tokens=5).input_tokens + 5  # type: ignore[operator]
