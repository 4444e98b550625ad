"""The answer in one piece that the embedded engine gives as a stream."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.dialects.chat_body import ChatBody
from selfopt.errors import EndpointError
from selfopt.gateway.cutting import LONG_RUN
from selfopt.gateway.joined import JoinedAnswer, can_be_joined
from tests.dialects.wild import CUTS, OPENAI, Habits, Lines, Server, cut


def joined(data: list[bytes]) -> JoinedAnswer:
    """A stream, put together."""
    answer = JoinedAnswer()
    for piece in data:
        answer.take(piece)
    return answer


@settings(deadline=None)
@given(server=OPENAI, split=st.sampled_from([0, 1, 7]), together=st.booleans(), cuts=CUTS)
def test_a_stream_adds_up_to_the_answer_in_one_piece(server: Server, split: int, together: bool, cuts: tuple[int, ...]) -> None:
    """Every field of it, calls with their ids, token counts."""
    lawful = Server(server.reply, Habits(split=split, together=together, case=server.habits.case), Lines())
    got, wanted = json.loads(joined(cut(lawful.stream(), cuts)).whole()), lawful.whole()
    assert got.pop("object") == "chat.completion"
    message = got["choices"][0]["message"]
    message["content"] = message["content"] or None
    assert got == wanted


def test_fields_that_nobody_knows_stay() -> None:
    """Timings, a fingerprint, and what stands in a delta."""
    events: list[dict[str, Any]] = [
        {
            "id": "x",
            "system_fingerprint": "b1",
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": "a", "z": [1]}}],
        },
        {"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"id": "x", "choices": [], "usage": {"completion_tokens": 3}, "timings": {"predicted_ms": 1.5}},
    ]
    got = json.loads(joined([b"data: %s\n\n" % json.dumps(one).encode() for one in events]).whole())
    assert got["choices"] == [{"index": 0, "message": {"role": "assistant", "content": "a", "z": [1]}, "finish_reason": "stop"}]
    assert (got["system_fingerprint"], got["timings"], got["usage"]) == ("b1", {"predicted_ms": 1.5}, {"completion_tokens": 3})


@pytest.mark.parametrize("stream", [b"", b"data: [DONE]\n\n", b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n', b"{}"])
def test_a_stream_without_an_end_is_a_fault(stream: bytes) -> None:
    """It is not told as an answer."""
    with pytest.raises(EndpointError):
        joined([stream]).whole()


def test_an_error_in_the_stream_is_one() -> None:
    """With what the server says."""
    with pytest.raises(EndpointError, match="out of slots"):
        joined([b'data: {"error": {"message": "out of slots", "code": 500}}\n\n'])


def test_nothing_is_taken_once_it_is_cut() -> None:
    """What came until then is the answer."""
    event = b'data: {"choices": [{"delta": {"content": "%s"}}]}\n\n' % (b"on and on, " * 20)
    answer = joined([event] * 1000)
    assert answer.cut
    choice = json.loads(answer.whole())["choices"][0]
    assert choice["finish_reason"] == "length"
    assert LONG_RUN <= len(choice["message"]["content"]) < LONG_RUN + 500


@pytest.mark.parametrize("field", ["n", "logprobs", "stream_options", "timings_per_token", "something_new"])
def test_what_a_stream_may_not_hold_is_asked_for_whole(field: str) -> None:
    """Fields that nobody knows, too."""
    fields = {key: msgspec.Raw(b"1") for key in ("model", "messages", "tools", "temperature")}
    plain = ChatBody(fields, "m", stream=False, n_tools=1, phase="atomic", size=1)
    assert can_be_joined(plain)
    assert not can_be_joined(ChatBody({**fields, field: msgspec.Raw(b"1")}, "m", stream=False, n_tools=1, phase="atomic", size=1))
