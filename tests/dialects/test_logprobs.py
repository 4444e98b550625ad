"""Log probabilities as servers write them: what can be read is read, and nothing else harms a reply."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.dialects.anthropic import Anthropic
from selfopt.dialects.logprobs import add_entries, read_logprobs, without_logprobs
from selfopt.dialects.ollama import Ollama
from selfopt.dialects.openai_chat import OpenAIChat
from selfopt.dialects.parts import Parts, StreamDecoder, Travelled, reply_of
from selfopt.records import IMPOSSIBLE
from tests.endpoints.kit import ask, config_for

OPENAI = OpenAIChat(config_for("openai_compatible", "http://127.0.0.1:8080"))
OLLAMA = Ollama(config_for("ollama", "http://127.0.0.1:11434"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["token", "logprob", "bytes", "top_logprobs", "content", "logprobs"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


def entry(token: str, logprob: Any, *top: tuple[str, float], data: bytes | None = None) -> dict[str, Any]:
    """The entry of a token."""
    known = list(token.encode() if data is None else data)
    return {
        "token": token,
        "bytes": known,
        "logprob": logprob,
        "top_logprobs": [{"token": other, "bytes": list(other.encode()), "logprob": value} for other, value in top],
    }


SAID = [
    entry("Z", -0.5, ("Z", -0.5), ("The", -2.0)),
    entry("�", -0.25, data=b"\xc3"),
    entry("�", -0.125, data=b"\xbc"),
    entry("", -1.0),
]


def logprobs_in(parts: Parts) -> Any:
    """Those of the reply with these parts."""
    return reply_of(parts, "", Travelled("")).logprobs


def streamed(decoder: StreamDecoder, values: list[Any]) -> Parts:
    """The reply of a stream."""
    for value in values:
        decoder.add(value)
    assert decoder.finished
    return decoder.done()


def test_a_whole_reply_has_one_for_each_token() -> None:
    """In order, with split characters put together, and the sum in nats."""
    choice = {"index": 0, "message": {"content": "Zü"}, "finish_reason": "stop", "logprobs": {"content": SAID}}
    found = logprobs_in(OPENAI.decode_reply({"choices": [choice]}))
    assert (found.text, found.total, len(found)) == ("Zü", -0.875, 4)  # the end counts in no sum
    assert found.listed[0].top == (("Z", -0.5), ("The", -2.0))
    assert [token.data for token in found.listed] == [b"Z", b"\xc3", b"\xbc", b""]


def test_a_call_that_the_server_read_keeps_the_text_that_it_was_read_from() -> None:
    """llama.cpp gives null for the content then, and the tokens of the whole reply."""
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    tokens = [entry(text, -0.1) for text in ("<tool_call>", '{"name": "f"}', "</tool_call>", "")]
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    parts = OPENAI.decode_reply(
        {"choices": [{"message": message, "finish_reason": "tool_calls", "logprobs": {"content": tokens}}]}
    )
    assert parts.content().text == ""
    assert logprobs_in(parts).text == '<tool_call>{"name": "f"}</tool_call>'


def test_a_stream_has_the_same_as_the_whole_reply() -> None:
    """In both dialects, however the entries are spread over the pieces."""
    whole = read_logprobs(SAID)
    chunks = [
        {"choices": [{"index": 0, "delta": {"content": "x"}, "logprobs": {"content": part}}]} for part in (SAID[:1], SAID[1:3])
    ]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "logprobs": {"content": SAID[3:]}}]}
    assert logprobs_in(streamed(OPENAI.decoder(), [*chunks, end])) == whole
    lines = [{"message": {"content": "x"}, "logprobs": part, "done": False} for part in (SAID[:3], SAID[3:])]
    assert logprobs_in(streamed(OLLAMA.decoder(), [*lines, {"message": {"content": ""}, "done": True}])) == whole
    assert logprobs_in(OLLAMA.decode_reply({"message": {"content": "x"}, "logprobs": SAID, "done": True})) == whole


def test_only_a_request_that_wants_them_asks() -> None:
    """And the body of any other is what it was. Anthropic's API has no field for it."""
    for dialect in (OPENAI, OLLAMA):
        asked, plain = dialect.write_request(ask("x", logprobs=5)), dialect.write_request(ask("x"))
        assert {key: asked[key] for key in asked.keys() - plain.keys()} == {"logprobs": True, "top_logprobs": 5}
        assert {key: asked[key] for key in plain} == plain
    anthropic = Anthropic(config_for("anthropic", "http://127.0.0.1:1"))
    assert anthropic.write_request(ask("x", logprobs=5)) == anthropic.write_request(ask("x"))


@pytest.mark.parametrize(
    "wrong",
    [
        entry("a", math.nan),
        entry("a", math.inf),
        entry("a", 0.5),
        entry("a", None),
        entry("a", "-1"),
        entry("a", 10**400),
        entry("a", True),
        {"logprob": -1.0},
        {"token": "a" * 100_000, "logprob": -1.0},
        "a",
        None,
    ],
)
def test_one_entry_that_cannot_be_read_leaves_none(wrong: Any) -> None:
    """Without it, the sum would be another reply's. The reply itself is not touched."""
    assert read_logprobs([entry("b", -1.0)]) is not None
    assert read_logprobs([entry("b", -1.0), wrong]) is None
    choice = {"message": {"content": "b"}, "finish_reason": "stop", "logprobs": {"content": [entry("b", -1.0), wrong]}}
    parts = OPENAI.decode_reply({"choices": [choice]})
    assert (parts.content().text, logprobs_in(parts)) == ("b", None)


def test_a_token_out_of_a_draft_is_not_taken_for_certain() -> None:
    """llama.cpp writes 0 without alternatives for it. A server that never names alternatives may mean it."""
    drafted, sure, known = entry("a", 0.0), entry("a", 0.0, ("a", 0.0)), entry("b", -1.0, ("b", -1.0))
    assert read_logprobs([known, drafted]) is None
    for kept in ([known, sure], [entry("b", -1.0), drafted], [known, entry("b", -1.0)]):
        assert read_logprobs(kept) is not None


def test_impossible_and_rounded_values_are_kept_within_bounds() -> None:
    """Minus infinity, the lowest number of a server, and a little more than 0."""
    found = read_logprobs([entry("a", value) for value in (-math.inf, -3.4e38, -(10**400), 1e-7, -0.0, 0)])
    assert found is not None
    assert found.logprobs == (IMPOSSIBLE, IMPOSSIBLE, IMPOSSIBLE, 0.0, 0.0, 0.0)


def test_endless_entries_are_not_kept() -> None:
    """A stream of them takes bounded memory, and leaves none."""
    known: list[Any] = []
    for _ in range(100):
        add_entries(known, [entry("a", -1.0)] * 1000)
    assert len(known) < 10_000
    assert read_logprobs(known) is None


@given(st.lists(JSON, max_size=4))
def test_whatever_a_server_sends_is_read_or_left(entries: list[Any]) -> None:
    """Without an error, and what is read is finite."""
    found = read_logprobs(entries)
    assert found is None or (len(found) == len(entries) and math.isfinite(found.total))
    parts = OPENAI.decode_reply({"choices": [{"message": {"content": "x"}, "logprobs": entries}]})
    assert parts.content().text == "x"


@given(st.dictionaries(st.sampled_from(["id", "choices", "logprobs", "usage"]), JSON, max_size=4))
def test_a_body_loses_its_log_probabilities_and_nothing_else(body: dict[str, Any]) -> None:
    """Whatever its shape; a body with NaN, which is no JSON, stays as it is."""
    choices = body.get("choices")
    cut = json.loads(json.dumps(body))
    whole = isinstance(choices, list) and all(isinstance(choice, dict) for choice in choices)
    if whole or "choices" not in body:
        for place in (cut, *cut.get("choices", ())):
            if "logprobs" in place:
                place["logprobs"] = None
    text = json.dumps(body)
    found = without_logprobs(text)
    strict = not any(word in text for word in ("NaN", "Infinity"))
    assert found == text or json.loads(found) == (cut if strict else json.loads(text))
    if strict and (whole or "choices" not in body):
        assert json.loads(found) == cut


def test_what_stays_of_a_body_keeps_its_own_writing() -> None:
    """Numbers and escapes are those of the server."""
    body = '{"id": "a\\u00e9", "n": 1.50, "choices": [{"message": {"content": "\\u00fc"}, "logprobs": {"content": []}}]}'
    assert without_logprobs(body) == '{"id":"a\\u00e9","n":1.50,"choices":[{"message":{"content": "\\u00fc"},"logprobs":null}]}'
