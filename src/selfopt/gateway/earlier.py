"""Requests of the Responses API that go on from an earlier answer, and those that ask for one."""

from __future__ import annotations

from functools import partial

import msgspec

from selfopt.dialects.chat_body import STEP_BYTES, BodyLimits, ChatBody, at_once
from selfopt.dialects.clients import NoWordsError, ReplyWriter
from selfopt.dialects.refusal import Refusal, bad_request
from selfopt.dialects.responses_body import ResponsesBody, going_on
from selfopt.dialects.responses_reply import ResponseWriter
from selfopt.home import escape_control
from selfopt.web import HttpRequest, Reply

from .bounded import by_steps
from .kept_responses import KeptResponse, KeptResponses
from .keys import Caller
from .live_request import LiveRequest
from .refusal import JSON

PATH = b"/v1/responses/"
MAX_NAMED = 256
"""So many earlier answers may the items of one request be in."""
_KINDS = frozenset({"msg", "fc", "rs"})


class _Item(msgspec.Struct, gc=False):
    id: str


class _Output(msgspec.Struct):
    output: list[msgspec.Raw]


_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_output = msgspec.json.Decoder(_Output).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_item = msgspec.json.Decoder(_Item).decode
_encode = msgspec.json.Encoder().encode


class EarlierResponses:
    """Keeps answers, and finds what requests go on from."""

    def __init__(self, kept: KeptResponses, limits: BodyLimits, max_bytes: int) -> None:
        """limits, max_bytes: of a request with all that it goes on from."""
        self._kept = kept
        self._limits = limits
        self._max_bytes = max_bytes

    async def recalled(self, chat: ChatBody, key: str | None) -> ChatBody:
        """Return a request with all that it goes on from.

        One that names what is not kept here stays as it is: its server may know it.
        """
        if not isinstance(chat, ResponsesBody):
            return chat
        chat.keeps = chat.wants_keeping is not False
        previous, names = chat.previous(), chat.named_items()
        if previous is None and not names:
            return chat
        before: list[msgspec.Raw] = []
        if previous is not None:
            found = await self._kept.find(previous, key)
            if found is None:
                said = f"previous response with id {previous[:80]!r} not found"
                chat.odd = NoWordsError("history", said, "previous_response_id", "previous_response_not_found")
                return chat
            before = [*_decode_items(found.items), *map(_sent_back, _decode_output(found.response).output)]
        named = await self._named(names, key)
        size = chat.size + sum(map(len, before)) + sum(map(len, named.values()))
        if size > self._max_bytes:
            said = f"with all that it goes on from, the request has {size} bytes, at most {self._max_bytes} are allowed"
            raise bad_request(said, "input")
        steps = going_on(chat, before, named, self._limits)
        return at_once(steps) if size <= STEP_BYTES else await by_steps(steps)

    async def _named(self, names: tuple[str, ...], key: str | None) -> dict[str, msgspec.Raw]:
        """The items of earlier answers by their ids, as far as they are kept."""
        wanted = {_response_of(name) for name in names} - {None}
        if len(wanted) > MAX_NAMED:
            raise bad_request(f"input names items of {len(wanted)} responses, at most {MAX_NAMED} are allowed", "input")
        items: dict[str, msgspec.Raw] = {}
        for response_id in wanted:
            found = await self._kept.response(response_id or "", key)
            if found is not None:
                items.update({_decode_item(raw).id: _sent_back(raw) for raw in _decode_output(found).output})
        return {name: items[name] for name in names if name in items}

    def keep_for(self, exchange: LiveRequest) -> None:
        """Have the answer to a request kept, if that is wanted."""
        if isinstance(exchange.chat, ResponsesBody) and exchange.chat.keeps:
            exchange.keep = partial(self._keep, exchange.chat, exchange.ticket.key)

    async def _keep(self, chat: ResponsesBody, key: str | None, answer: ReplyWriter) -> None:
        if isinstance(answer, ResponseWriter):
            kept = KeptResponse(_encode(chat.items()), answer.to_keep())
            answer.stored = await self._kept.keep(answer.id, key, kept)

    async def answer(self, request: HttpRequest, reply: Reply, caller: Caller) -> None:
        """Give an answer that is kept. Raises Refusal: 404, and 400 for an answer as a stream."""
        if b"stream=true" in request.query.lower():
            raise bad_request("an answer that is kept comes whole: leave stream out", "stream", "unsupported_value")
        name = _name_in(request)
        found = await self._kept.response(name, caller.key)
        if found is None:
            raise _not_found(name)
        reply.send(200, [JSON], found)

    async def forget(self, request: HttpRequest, reply: Reply, caller: Caller) -> None:
        """Forget an answer. Raises Refusal: 404."""
        name = _name_in(request)
        if not await self._kept.forget(name, caller.key):
            raise _not_found(name)
        reply.send(200, [JSON], _encode({"id": name, "object": "response", "deleted": True}))

    async def close(self) -> None:
        """Close the database. May be called twice."""
        await self._kept.close()


def _sent_back(raw: msgspec.Raw) -> msgspec.Raw:
    """An item of an answer as a client may say it itself: a server that speaks the API knows none of our ids."""
    item = _decode_fields(raw)
    if bytes(item.get("type", b"")) not in (b'"message"', b'"function_call"'):
        return raw
    return msgspec.Raw(_encode({key: value for key, value in item.items() if key not in ("id", "status")}))


def _response_of(item_id: str) -> str | None:
    """The id of the answer that an item is of; None for an item that no answer of the gateway has."""
    kind, _, rest = item_id.partition("_")
    own, _, place = rest.rpartition("_")
    return f"resp_{own}" if kind in _KINDS and own and place.isdigit() else None


def _name_in(request: HttpRequest) -> str:
    return request.path.removeprefix(PATH).decode("latin-1")


def _not_found(name: str) -> Refusal:
    return Refusal(404, escape_control(f"response with id {name[:80]!r} not found", 500), code="not_found", param="response_id")
