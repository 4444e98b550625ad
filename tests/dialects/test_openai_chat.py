"""Bodies and replies of the OpenAI-compatible dialect."""

from __future__ import annotations

import pytest

from selfopt.dialects.openai_chat import OpenAIChat
from selfopt.errors import SettingsError
from selfopt.records import Constraint, Message, Sampling, ToolCall
from tests.endpoints.kit import WEATHER, ask, config_for

HERE = OpenAIChat(config_for("openai_compatible", "http://127.0.0.1"))
AWAY = OpenAIChat(config_for("openai_compatible", "https://far.example/v1"))


def test_a_request_has_what_was_chosen() -> None:
    """Tools, choice, sampling, both budgets in one limit, no cache when isolated."""
    sampling = Sampling(max_tokens=100, thinking_tokens=400, top_p=0.5, seed=None, temperature=0.2)
    body = HERE.write_request(ask("x", tools=(WEATHER,), tool_choice="required", sampling=sampling, isolate=True))
    assert body["tools"][0]["function"]["name"] == "get_weather"
    assert (body["tool_choice"], body["max_tokens"], body["top_p"], body["temperature"]) == ("required", 500, 0.5, 0.2)
    assert body["cache_prompt"] is False
    assert "seed" not in body
    assert "chat_template_kwargs" not in body, "thinking is wanted"


def test_remote_servers_get_no_key_that_they_would_refuse() -> None:
    """Only llama.cpp's kin know these."""
    body = AWAY.write_request(ask("x", isolate=True))
    assert not {"cache_prompt", "chat_template_kwargs", "tools", "tool_choice"} & set(body)
    assert body["seed"] == 0


def test_constraints_have_their_words() -> None:
    """A grammar for llama.cpp, a schema for all."""
    grammar = HERE.write_request(ask("x", constraint=Constraint(kind="grammar", grammar='root ::= "a"')))
    schema = HERE.write_request(ask("x", constraint=Constraint(kind="json_schema", json_schema={"type": "object"})))
    assert grammar["grammar"] == 'root ::= "a"'
    assert schema["response_format"]["json_schema"]["schema"] == {"type": "object"}


def test_calls_and_results_are_paired_by_ids() -> None:
    """Where the conversation has none, they are made, the same each time."""
    messages = (
        Message(role="assistant", tool_calls=(ToolCall(name="a"), ToolCall(name="b"), ToolCall(name="a", id="given"))),
        Message(role="tool", name="b", content="of b"),
        Message(role="tool", content="of a"),
        Message(role="tool", tool_call_id="given", content="of given"),
        Message(role="tool", content="of nobody"),
    )
    sent = HERE.write_request(ask("x", messages=messages))["messages"]
    ids = [call["id"] for call in sent[0]["tool_calls"]]
    assert len(set(ids)) == 3
    assert [m["tool_call_id"] for m in sent[1:4]] == [ids[1], ids[0], "given"]
    assert sent[4]["tool_call_id"]
    assert sent == HERE.write_request(ask("x", messages=messages))["messages"]


def test_figures_of_openai_and_of_llama_cpp_are_read() -> None:
    """Cached and reasoning tokens, and llama.cpp's timings."""
    message = {"choices": [{"message": {"content": "x"}, "finish_reason": "content_filter"}]}
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    cloud = HERE.decode_reply({**message, "usage": usage})
    assert cloud.usage.model_dump() == {"input_tokens": 9, "output_tokens": 3, "cached_tokens": 4, "thinking_tokens": 2}
    assert cloud.finish == "content_filter"
    llama = HERE.decode_reply({**message, "timings": {"cache_n": 7, "prompt_ms": 1.5, "predicted_ms": 20}})
    assert (llama.usage.cached_tokens, llama.timings.prompt_ms, llama.timings.output_ms) == (7, 1.5, 20)


def test_pieces_of_calls_without_an_index_are_put_together() -> None:
    """Some servers leave the index out."""
    whole = HERE.decoder()
    whole.add({"choices": [{"delta": {"tool_calls": [{"id": "1", "function": {"name": "a", "arguments": '{"x"'}}]}}]})
    whole.add({"choices": [{"delta": {"tool_calls": [{"function": {"arguments": ": 1}"}}]}}]})
    whole.add({"choices": [{"delta": {"reasoning": "hm"}, "finish_reason": "tool_calls"}]})
    parts = whole.done()
    assert parts.tool_calls == [ToolCall(name="a", arguments={"x": 1}, id="1")]
    assert parts.content().thinking == "hm"


def test_the_api_root_is_the_path_or_v1() -> None:
    """As the field writes base URLs."""
    assert OpenAIChat(config_for("openai_compatible", "http://127.0.0.1:8080/")).root == "http://127.0.0.1:8080/v1"
    assert OpenAIChat(config_for("openai_compatible", "https://openrouter.ai/api/v1")).root == "https://openrouter.ai/api/v1"
    with pytest.raises(SettingsError, match="base_url"):
        OpenAIChat(config_for("openai_compatible"))
