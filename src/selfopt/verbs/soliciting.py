"""Asks writers and solvers, and keeps what they answer, so that a command that was cut off asks nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from selfopt.authoring.written import MAX_REPLY
from selfopt.errors import BudgetError
from selfopt.measure.budget import BudgetMeter
from selfopt.measure.context import Desk
from selfopt.measure.lookup import find
from selfopt.measure.question import Question, put_question
from selfopt.records import AuthoredReply, Message, ReplyContent, Sampling, content_hash
from selfopt.wiring.advising import adviser_of
from selfopt.wiring.app import App

AuthorPurpose = Literal["write", "solve"]

_IN_A_ROW = 3
_WRITING = 10  # times the limit for one reply: a writer may be a much larger model, on a machine that is busy
_SHAPES = ("messages", "tools", "tool_choice", "sampling", "constraint")  # what an answer depends on


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
        self._desk = Desk.of(app.measure_context(), meter)
        self.show = show
        self._failed = 0

    def question(self, purpose: AuthorPurpose, messages: tuple[Message, ...], sampling: Sampling, **more: Any) -> Question:
        """What to ask a model for this purpose, within the limits of the settings. more: as for `Question`."""
        limits = self._app.settings.limits
        timeout_s = min(3600.0, limits.timeout_s * (_WRITING if purpose == "write" else 1))
        return Question(purpose, messages, sampling, timeout_s, limits.retries, **more)

    async def ask(
        self, model: str, purpose: AuthorPurpose, questions: Sequence[Question], label: str
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
            self.show(f"  {label}: {len(found)}/{len(questions)}")
            self._app.on_step(f"{purpose}_asked")
        return found

    async def _one(self, model: str, purpose: AuthorPurpose, question: Question) -> ReplyContent | None:
        reply_id = content_hash("reply", [model, purpose, *(_plain(getattr(question, name)) for name in _SHAPES)])
        known = find(self._app.ledger, AuthoredReply, reply_id)
        if known is not None:
            return known.content
        answer = await put_question(self._desk, adviser_of(self._app, model, self._asked[model]), question)
        if answer is None:
            raise BudgetError(f"stopped while prompts were made: {self._desk.meter.stop_reason}; the same command goes on")
        if answer.content is None:
            self._failed += 1
            if answer.error is not None and self._failed >= _IN_A_ROW:
                raise answer.error
            return None
        self._failed = 0
        content = _cut(answer.content)
        at = self._desk.context.now()
        record = AuthoredReply(reply_id=reply_id, model=model, purpose=purpose, content=content, at=at)
        if find(self._app.ledger, AuthoredReply, reply_id) is None:
            await self._app.ledger.append([record])
        return content


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


def _cut(content: ReplyContent) -> ReplyContent:
    """A content that is kept: no longer than what is read of it."""
    kept = MAX_REPLY + 1
    return content.model_copy(update={"text": content.text[:kept], "thinking": content.thinking[:kept]})
