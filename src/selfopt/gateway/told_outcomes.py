"""POST /v1/feedback: a client says what became of an earlier request."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable
from typing import Annotated

import msgspec

from selfopt.dialects.refusal import Refusal, bad_request
from selfopt.web import HttpRequest, Reply

from .keys import Caller
from .refusal import JSON
from .seams import RequestJournal
from .ticket import FeedbackRecord, given_here

RECORD_PAUSES_S = (0.05, 0.15, 0.8)  # between looks for the record of a request; it is written within 100 ms on a healthy disk
_ID = re.compile(r"req-([0-9a-f]{10})[0-9a-f]{14}")
_encode = msgspec.json.Encoder().encode


class _Feedback(msgspec.Struct, forbid_unknown_fields=True):
    id: Annotated[str, msgspec.Meta(max_length=100)]
    success: bool | None = None
    score: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    comment: Annotated[str, msgspec.Meta(max_length=2000)] | None = None


_decode = msgspec.json.Decoder(_Feedback).decode


class FeedbackService:
    """Takes feedback into the journal."""

    def __init__(
        self,
        journal: RequestJournal,
        clock: Callable[[], str],
        served_before: Callable[[str], bool],
        told: Callable[[str, bool], str | None] = lambda request_id, right: None,
    ) -> None:
        """Keep the parts.

        Args:
            served_before: whether a process of that name has recorded requests in this home.
            told: gets the id of a request, and whether its answer was right; returns the rule for whose
                threshold that counts.
        """
        self._journal = journal
        self._clock = clock
        self._served_before = served_before
        self._told = told

    async def answer(self, request: HttpRequest, reply: Reply, caller: Caller) -> None:
        """Take one outcome. Raises Refusal, and AuditError if it cannot be recorded.

        Needs the scope `feedback`. A request that this home never served is not found (404).
        """
        caller.require("feedback", "give feedback")
        try:
            body = _decode(request.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise bad_request(f"the body is not valid feedback: {error}", code="invalid_json") from None
        if body.success is None and body.score is None and not body.comment:
            raise bad_request("give success (true or false), score (0 to 1) or comment", "success", "missing_required_parameter")
        if body.score is not None and not math.isfinite(body.score):
            raise bad_request("score must be a number from 0 to 1", "score")
        match = _ID.fullmatch(body.id)
        if match is None or not (given_here(body.id) or await self._known(match[1])):
            raise Refusal(
                404, "no request with this id was served; give the answer's x-request-id", code="request_not_found", param="id"
            )
        self._journal.check()
        rule = None if body.success is None else self._told(body.id, body.success)
        record = FeedbackRecord(self._clock(), body.id, body.success, body.score, body.comment or "", caller.key, rule)
        self._journal.add(record)
        reply.send(200, [JSON], _encode({"object": "feedback", "id": body.id}))

    async def _known(self, writer: str) -> bool:
        """Say whether a process of that name has recorded requests in this home, or does so now.

        The first record of another worker may be on its way to the disk when the client tells the outcome.
        """
        for pause_s in RECORD_PAUSES_S:
            if self._served_before(writer):
                return True
            await asyncio.sleep(pause_s)
        return self._served_before(writer)
