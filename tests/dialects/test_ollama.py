"""Bodies and replies of Ollama's native dialect, shaped as its API documentation shows them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.dialects.ollama import Ollama, load_evidence, one_name
from selfopt.endpoints.factory import create_endpoint
from selfopt.errors import EndpointError, SettingsError
from selfopt.records import Constraint, Message, Sampling, ToolCall
from tests.endpoints.kit import WEATHER, ask, config_for

OLLAMA = Ollama(config_for("ollama", "http://127.0.0.1:11434"))

CALL_REPLY: dict[str, Any] = {
    "model": "qwen3:0.6b",
    "created_at": "2026-02-01T10:00:00.123456Z",
    "message": {
        "role": "assistant",
        "content": "",
        "thinking": "A city is named.",
        "tool_calls": [{"function": {"name": "get_weather", "arguments": {"city": "Lima"}}}],
    },
    "done_reason": "stop",
    "done": True,
    "total_duration": 1885095291,
    "load_duration": 1203753500,
    "prompt_eval_count": 122,
    "prompt_eval_duration": 328493000,
    "eval_count": 33,
    "eval_duration": 352222000,
}
LINES: list[dict[str, Any]] = [
    {"model": "qwen3:0.6b", "message": {"role": "assistant", "content": "", "thinking": "Hm"}, "done": False},
    {"model": "qwen3:0.6b", "message": {"role": "assistant", "content": "Rain"}, "done": False},
    {"model": "qwen3:0.6b", "message": {"role": "assistant", "content": "y."}, "done": False},
    {
        "model": "qwen3:0.6b",
        "message": {"role": "assistant", "content": ""},
        "done_reason": "length",
        "done": True,
        "load_duration": 1334875,
        "prompt_eval_count": 26,
        "eval_count": 282,
        "eval_duration": 4535599000,
        "total_duration": 4883583458,
    },
]


def test_a_documented_reply_is_read() -> None:
    """Call, thinking, tokens, nanoseconds as milliseconds, and the load."""
    parts = OLLAMA.decode_reply(CALL_REPLY)
    content = parts.content()
    assert content.tool_calls == (ToolCall(name="get_weather", arguments={"city": "Lima"}),)
    assert (content.thinking, content.finish_reason, parts.model) == ("A city is named.", "tool_calls", "qwen3:0.6b")
    assert (parts.usage.input_tokens, parts.usage.output_tokens) == (122, 33)
    assert parts.timings.prompt_ms == pytest.approx(328.493)
    assert parts.timings.total_ms == pytest.approx(1885.095291)
    assert parts.load.loaded is True
    assert parts.load.load_ms == pytest.approx(1203.7535)


def test_documented_lines_are_put_together() -> None:
    """The last one has the figures."""
    whole = OLLAMA.decoder()
    added = [whole.add(line) for line in LINES]
    assert added == [("", "Hm"), ("Rain", ""), ("y.", ""), ("", "")]
    assert whole.finished
    content = whole.done().content()
    assert (content.text, content.thinking, content.finish_reason) == ("Rainy.", "Hm", "length")
    assert whole.done().load.loaded is False


@pytest.mark.parametrize(("load_ms", "loaded"), [(0.0, False), (575.0, False), (800.0, None), (1000.0, True), (None, None)])
def test_a_load_duration_is_evidence_only_beyond_what_a_warm_model_reports(load_ms: float | None, loaded: bool | None) -> None:
    """It is never zero on a warm one."""
    assert load_evidence(load_ms).loaded is loaded


def test_a_reply_to_a_load_request_says_load() -> None:
    """So that it is not taken for an answer."""
    assert (
        OLLAMA.decode_reply({"message": {"role": "assistant", "content": ""}, "done_reason": "load", "done": True}).finish
        == "load"
    )
    with pytest.raises(ValueError, match="message"):
        OLLAMA.decode_reply({"response": "x"})


def test_a_request_has_what_was_chosen() -> None:
    """Options, keep_alive, think, format; results carry the tool's name."""
    messages = (
        Message(role="user", content="x"),
        Message(role="assistant", tool_calls=(ToolCall(name="get_weather", arguments={"city": "Lima"}),)),
        Message(role="tool", content="rain"),
    )
    request = ask(
        "x",
        messages=messages,
        tools=(WEATHER,),
        sampling=Sampling(max_tokens=10, thinking_tokens=20, seed=3, top_p=0.9),
        context_size=4096,
        keep_alive_s=-1,
        constraint=Constraint(kind="json_schema", json_schema={"type": "object"}),
    )
    body = OLLAMA.write_request(request, streamed=True)
    assert body["options"] == {"temperature": 0.0, "num_predict": 30, "top_p": 0.9, "seed": 3, "num_ctx": 4096}
    assert (body["think"], body["keep_alive"], body["format"], body["stream"]) == (True, -1, {"type": "object"}, True)
    assert body["messages"][1]["tool_calls"] == [{"function": {"name": "get_weather", "arguments": {"city": "Lima"}}}]
    assert body["messages"][2] == {"role": "tool", "content": "rain", "tool_name": "get_weather"}
    assert OLLAMA.write_request(request.model_copy(update={"keep_alive_s": 1.5}), streamed=False)["keep_alive"] == "1.5s"


def test_no_tool_choice_means_no_tools() -> None:
    """This API has no other word for it."""
    assert "tools" not in OLLAMA.write_request(ask("x", tools=(WEATHER,), tool_choice="none"), streamed=False)
    assert OLLAMA.write_request(ask("x"), streamed=False)["think"] is False


@pytest.mark.parametrize("kind", ["ollama", "anthropic"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_grammar_is_refused_before_anything_is_sent(kind: str, streamed: bool) -> None:
    """Rather than being dropped silently."""
    endpoint = create_endpoint(config_for(kind, "http://127.0.0.1:9"))
    request = ask("x", constraint=Constraint(kind="grammar", grammar="root ::= [a]"))
    with pytest.raises(EndpointError, match="grammar") as caught:
        await (anext(aiter(endpoint.stream(request))) if streamed else endpoint.chat(request))
    assert (caught.value.kind, caught.value.retryable) == ("bad_request", False)
    await endpoint.close()


def test_a_base_url_is_needed() -> None:
    """And OLLAMA_HOST's forms are understood."""
    with pytest.raises(SettingsError, match="base_url"):
        Ollama(config_for("ollama"))
    assert Ollama(config_for("ollama", "0.0.0.0")).root == "http://127.0.0.1:11434"
    assert Ollama(config_for("ollama", "http://h:1/v1")).root == "http://h:1"


SPELLINGS = {
    "qwen2.5": (
        "qwen2.5:latest",
        "Qwen2.5",
        "library/qwen2.5",
        "registry.ollama.ai/library/QWEN2.5:LATEST",
        "qwen2.5@sha256:ab12",
    ),
    "qwen2.5:3b": ("QWEN2.5:3B", "https://registry.ollama.ai/library/qwen2.5:3b"),
    "ann/mine": ("ann/mine:latest", "registry.ollama.ai/ann/Mine"),
    "hf.co/bartowski/llama-3.2-3b-instruct-gguf:q4_k_m": (
        "hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M",
        "huggingface.co/bartowski/Llama-3.2-3B-Instruct-GGUF:q4_k_m",
    ),
    "127.0.0.1:5000/a/b": ("127.0.0.1:5000/A/b:latest",),
}


def test_all_that_ollama_takes_as_one_model_has_one_name() -> None:
    """Tags, case, hosts, namespaces and digests; other tags and namespaces are other models."""
    assert len({one_name(name) for name in SPELLINGS}) == len(SPELLINGS)
    for name, others in SPELLINGS.items():
        assert {one_name(other) for other in (name, *others)} == {one_name(name)}
    assert one_name("qwen2.5:latest2") != one_name("qwen2.5")


@given(st.text(alphabet="aB:/@.-", max_size=40) | st.text(max_size=20))
def test_the_one_name_of_a_name_is_its_own(name: str) -> None:
    """Whatever somebody types, nothing is raised and a second time changes nothing."""
    assert one_name(one_name(name)) == one_name(name)
    assert one_name(f"{name}:latest") == one_name(name) or "@" in name
