"""Learns which requests a server refuses because they ask for log probabilities."""

from __future__ import annotations

from selfopt.errors import EndpointError
from selfopt.records import ChatRequest

from .logprobs import longest_asked

MAX_SUSPECTED = 3
"""So many requests of a form are sent again in vain."""

_MAY_MEAN_IT = (400, 404, 422)
_BUSY = (408, 429, 503)

Form = tuple[object, ...]


class AskedLogProbs:
    """What one server said to requests of each form: model, streamed or not, tools, constraint.

    llama.cpp, for example, has no log probabilities for a streamed reply with tools.
    """

    def __init__(self, max_reply_bytes: int) -> None:
        self._max_reply_bytes = max_reply_bytes
        self._refused: set[Form] = set()
        self._taken: set[Form] = set()
        self._in_vain: dict[Form, int] = {}

    def allowed(self, request: ChatRequest, *, streamed: bool) -> ChatRequest:
        """The request as it should be sent: without the question where the server refused it before,
        or where the reply could become too large.
        """
        if request.logprobs is None:
            return request
        sampling = request.sampling
        longest = longest_asked(request.logprobs, self._max_reply_bytes)
        longer = sampling.max_tokens + sampling.thinking_tokens > longest
        return _plain(request) if longer or _form(request, streamed) in self._refused else request

    def blamed(self, first: ChatRequest, sent: ChatRequest, error: EndpointError, *, streamed: bool) -> ChatRequest | None:
        """The refused request without the question; None when the question can't be what was refused.

        A server that gave log probabilities for this form before, or says why it refused, is only
        suspected if it names them.

        Args:
            first: the request as it was sent first.
            sent: as it was sent when it was refused.
            error: the refusal.
            streamed: whether a streamed reply was wanted.
        """
        if first.logprobs is None or error.status is None or error.status < 400:
            return None
        form, may_mean_it = _form(first, streamed), error.status in _MAY_MEAN_IT
        tries = self._in_vain.get(form, 0)
        if sent.logprobs is None:
            self._in_vain[form] = tries + may_mean_it
            return None
        named = "logprob" in error.reply_body.lower() and error.status not in _BUSY
        known = form in self._taken or error.cause is not None
        suspected = named or (may_mean_it and not known)
        return _plain(sent) if suspected and tries < MAX_SUSPECTED else None

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
    return request.model, request.logprobs, streamed, bool(request.tools), constraint
