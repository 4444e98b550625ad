"""Work on the loop is bounded: large bodies are read in steps, or refused before decoding."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

import selfopt.dialects.chat_body as body_module
import selfopt.gateway.work as work_module
from selfopt.dialects.chat_body import STEP_BYTES, BodyLimits, at_once, reading_body
from selfopt.dialects.clients import NoWordsError
from selfopt.dialects.openai_client import reading_request
from selfopt.dialects.refusal import Refusal
from selfopt.reading import read_calls

from .kit import USER, chat, gateway_world
from .test_harness import CALL, MODELS, WEATHER, asking, promote

OPTIONS = BodyLimits()
HEAD = json.dumps(chat()).encode()[:-1]


def _with(field: bytes) -> bytes:
    return HEAD + b', "x": ' + field + b"}"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (_with(b"[" * 19_000_000), "nested more than 64"),
        (_with(b'{"a":' * 3_000_000), "nested more than 64"),
        (_with(b"[" + b"[]," * 6_000_000 + b"1]"), "250000 lists and objects"),
        (_with(b"[" + b"1," * 9_000_000 + b"1]"), "1000000 values"),
        (HEAD + b"".join(b',"%d":1' % i for i in range(1_000_000)) + b"}", "1000 keys at the top"),
    ],
)
def test_what_is_too_full_is_refused_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch, body: bytes, said: str) -> None:
    """No decoder sees the body, and most of it is not read."""
    monkeypatch.setattr(body_module, "_decode_body", lambda body: pytest.fail("decoded"))
    seen: list[None] = []
    with pytest.raises(Refusal, match=said):
        seen.extend(reading_body(body, OPTIONS))
    assert len(seen) < len(body) / STEP_BYTES / 2


@pytest.mark.parametrize(
    "field",
    [
        b'"' + b"a" * 15_000_000 + b'"',
        b'"' + b"[{" * 5_000_000 + b'"',
        b'"' + b'\\"' * 5_000_000 + b'"',
        b'"' + b"\\u0000" * 2_000_000 + b'"',
        b"1" * 10_000_000,
        b"[" + b"1," * 900_000 + b"1]",
        b" " * 10_000_000 + b"1",
    ],
)
def test_what_is_large_but_lawful_passes_in_steps(field: bytes) -> None:
    """The loop runs between the steps, and no byte changes."""
    body = _with(field)
    steps = list(reading_body(body, OPTIONS))
    assert len(steps) >= len(body) // STEP_BYTES
    read = at_once(reading_body(body, OPTIONS))
    assert bytes(read.fields["x"]) == field.strip()


@pytest.mark.parametrize("field", ["messages", "tools"])
def test_a_list_of_too_many_is_counted_before_it_is_kept(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    """A message takes more memory than its two brackets."""
    monkeypatch.setattr(body_module, "_decode_messages", lambda raw: pytest.fail("kept") if len(raw) > 1_000_000 else [])
    body = json.dumps({**chat(), field: [{"role": "user"}] * 200_000}).encode()
    with pytest.raises(Refusal):
        list(reading_body(body, OPTIONS))


def test_a_body_with_many_fields_is_refused() -> None:
    """Even with small fields; a thousand are accepted."""
    assert at_once(reading_body(json.dumps({**chat(), **{str(i): 1 for i in range(990)}}).encode(), OPTIONS)).model == "up/good"
    with pytest.raises(Refusal, match="1003 keys"):
        at_once(reading_body(json.dumps({**chat(), **{str(i): 1 for i in range(1001)}}).encode(), OPTIONS))


def test_a_large_message_is_read_in_steps() -> None:
    """Servers of other dialects need every message decoded."""
    body = json.dumps(chat(messages=[*USER, {"role": "user", "content": "a\n" * 1_000_000}] * 3)).encode()
    read = at_once(reading_body(body, OPTIONS))
    assert len(list(reading_request(read))) >= 9


@pytest.mark.parametrize(
    ("key", "value"),
    [("temperature", [1] * 500_000), ("tool_choice", [1] * 500_000), ("max_tokens", {"a": [1] * 500_000})],
)
def test_a_list_in_place_of_a_number_is_never_built(key: str, value: Any) -> None:
    """Its type is wrong from the first element, and the server judges it."""
    read = at_once(reading_body(json.dumps(chat(**{key: value})).encode(), OPTIONS))
    if key == "tool_choice":
        with pytest.raises(NoWordsError, match="bytes"):
            at_once(reading_request(read))
    else:
        assert at_once(reading_request(read)).beyond == "sampling"


@pytest.mark.parametrize("fields", [{"messages": [{"role": "user", "content": "weather? " * 112_000}]}, {"n_tools": 300}])
async def test_a_chat_too_large_for_a_variant_passes_untouched(tmp_path: Path, fields: dict[str, Any]) -> None:
    """The server gets such a chat as the client sent it."""
    tools = [{**WEATHER, "function": {**WEATHER["function"], "name": f"t{i}"}} for i in range(fields.pop("n_tools", 1))]
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, "native_parsed")
        answer = await world.post(chat("up/writer", tools=tools, **fields))
        assert answer.status == 200
        assert "x-selfopt-variant" not in answer.headers
        assert answer.body["choices"][0]["message"]["content"] in (CALL, "Just text.")


@pytest.mark.parametrize(("text", "beside"), [("weather?", False), ("weather? " * 2000, True)])
async def test_large_texts_are_parsed_beside_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, beside: bool
) -> None:
    """Large texts go to a thread; for small ones a thread costs too much."""
    threads: list[threading.Thread] = []

    def noting(*args: Any) -> Any:
        threads.append(threading.current_thread())
        return read_calls(*args)

    monkeypatch.setattr(work_module, "read_calls", noting)
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, "native_parsed")
        answer = await world.post(asking(text))
        assert answer.body["choices"][0]["finish_reason"] == "tool_calls"
    assert [thread is not threading.main_thread() for thread in threads] == [beside]


async def test_what_a_client_is_told_of_its_mistake_is_short(tmp_path: Path) -> None:
    """However long the unknown field's name is."""
    async with gateway_world(tmp_path, MODELS) as world:
        answer = await world.post({"id": "x", "k" * 900_000: 1}, path="/v1/feedback")
        assert answer.status == 400
        assert len(answer.text) < 6000


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"messages": [{"role": "user", "content": "x", "zzz": [[1]] * 100_000}]}, "size"),
        ({"messages": [{"role": "user", "content": [{"type": "x"}] * 5_000}]}, "content"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "a", "arguments": "{}"}}] * 9_000}]}, "size"),
        ({"tools": [WEATHER], "tool_choice": {"type": "allowed_tools", "tools": [WEATHER] * 1_000}}, "size"),
    ],
)
def test_what_would_take_long_to_read_goes_past(fields: dict[str, Any], reason: str) -> None:
    """It is counted before it is built."""
    read = at_once(reading_body(json.dumps(chat(**fields)).encode(), OPTIONS))
    with pytest.raises(NoWordsError) as caught:
        at_once(reading_request(read))
    assert caught.value.reason == reason
