"""Learns which requests a server refuses because they ask for log probabilities."""

from __future__ import annotations

from selfopt.dialects.logprobs import BYTES_PER_TOKEN, LONGEST_ASKED
from selfopt.errors import EndpointError
from selfopt.records import ChatRequest

MAX_SUSPECTED = 3
"""So many requests of a form are sent again after a refusal that does not name log probabilities."""

_MAY_MEAN_IT = (400, 404, 422)

Form = tuple[object, ...]


class AskedLogProbs:
    """What one server said to requests of each form: model, streamed or not, tools, constraint.

    llama.cpp, for example, has no log probabilities for a streamed reply with tools.
    """

    def __init__(self, max_reply_bytes: int) -> None:
        self._longest = min(LONGEST_ASKED, max_reply_bytes // BYTES_PER_TOKEN)
        self._refused: set[Form] = set()
        self._taken: set[Form] = set()
        self._suspected: dict[Form, int] = {}

    def allowed(self, request: ChatRequest, *, streamed: bool) -> ChatRequest:
        """The request as it should be sent: without the question where the server refused it before,
        or where the reply could become too large.
        """
        if request.logprobs is None:
            return request
        sampling = request.sampling
        longer = sampling.max_tokens + sampling.thinking_tokens > self._longest
        return _plain(request) if longer or _form(request, streamed) in self._refused else request

    def blamed(self, sent: ChatRequest, error: EndpointError, *, streamed: bool) -> ChatRequest | None:
        """The refused request without the question; None when the question can't be what was refused.

        A server that gave log probabilities for this form before, or says why it refused, is only
        suspected if it names them.
        """
        if sent.logprobs is None or error.status is None or error.status < 400:
            return None
        if "logprob" not in error.reply_body.lower():
            form = _form(sent, streamed)
            tries = self._suspected.get(form, 0)
            known = form in self._taken or error.cause is not None or tries >= MAX_SUSPECTED
            if known or error.status not in _MAY_MEAN_IT:
                return None
            self._suspected[form] = tries + 1
        return _plain(sent)

    def answered(self, first: ChatRequest, last: ChatRequest, *, streamed: bool) -> None:
        """Take note that a request had a reply.

        Args:
            first: as it was sent first.
            last: as it was sent when the reply came. Without the question, that was to blame.
        """
        if first.logprobs is not None:
            (self._refused if last.logprobs is None else self._taken).add(_form(first, streamed))


def _plain(request: ChatRequest) -> ChatRequest:
    return request.model_copy(update={"logprobs": None})


def _form(request: ChatRequest, streamed: bool) -> Form:
    constraint = request.constraint.kind if request.constraint is not None else None
    return request.model, streamed, bool(request.tools), constraint
