"""Requests that are made again."""

from __future__ import annotations

import gc

from selfopt.endpoints.endpoint import Prepared
from selfopt.endpoints.http_stream import Call
from selfopt.records import ChatRequest
from tests.endpoints.kit import ask


def test_a_request_is_prepared_once_and_forgotten_with_it() -> None:
    """The same object gives the same call, an equal one its own; nothing stays when the requests are gone."""
    prepared: list[str] = []

    def prepare(request: ChatRequest) -> Call:
        prepared.append(request.messages[0].content)
        return Call("http://127.0.0.1/", {"said": request.messages[0].content})

    calls = Prepared(prepare)
    one, other = ask("a"), ask("a")
    assert calls.of(one) is calls.of(one)
    assert calls.of(other) is not calls.of(one)
    assert prepared == ["a", "a"]
    del one, other
    gc.collect()
    for text in "bcd":
        assert calls.of(ask(text)).text == f'{{"said":"{text}"}}'
    gc.collect()
    assert len(calls) == 0


def test_what_a_call_sends_is_written_once() -> None:
    """As JSON in UTF-8; a call without a body sends nothing."""
    call = Call("http://127.0.0.1/", {"city": "Zürich"})
    assert call.text == '{"city":"Zürich"}'
    assert call.payload is call.payload
    assert call.payload is not None
    assert call.payload.content_type == "application/json"
    empty = Call("http://127.0.0.1/")
    assert (empty.payload, empty.text) == (None, "")
