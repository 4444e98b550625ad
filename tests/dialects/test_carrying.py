"""Nothing that a client sends vanishes: it is at the server, says nothing, or the request is refused by its name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.dialects.carrying import SAYS_NOTHING, TABLES, carried, says_nothing
from selfopt.dialects.chat_body import BodyLimits, at_once, reading_body
from selfopt.dialects.clients import ClientDialect
from selfopt.dialects.kinds import ENDPOINT_KINDS, Dialect
from selfopt.dialects.openai_chat import OpenAIChat
from selfopt.dialects.openai_client import OPENAI_CLIENT, UNDERSTOOD
from selfopt.errors import EndpointError
from selfopt.records import ChatRequest, EndpointConfig, Message, Sampling

CLIENTS: dict[str, ClientDialect] = {OPENAI_CLIENT.name: OPENAI_CLIENT}
SERVERS: dict[str, Dialect] = {
    kind.speaks: kind.dialect(EndpointConfig(name="it", kind="any", base_url="http://127.0.0.1:1", server="other"))
    for kind in ENDPOINT_KINDS.all().values()
}
# One value of each field that a client can send, and where and how it is to be found at the servers. "same": as it was
# sent. None: refused. A pair: the place and the value.
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
FIELDS: dict[str, tuple[Any, Any, Any]] = {
    # field: value, at Ollama, at Anthropic
    "temperature": (0.3, ("options.temperature", 0.3), "same"),
    "top_p": (0.9, ("options.top_p", 0.9), "same"),
    "seed": (7, ("options.seed", 7), None),
    "max_tokens": (50, ("options.num_predict", 50), "same"),
    "max_completion_tokens": (50, ("options.num_predict", 50), ("max_tokens", 50)),
    "stop": ("END", ("options.stop", ["END"]), ("stop_sequences", ["END"])),
    "presence_penalty": (0.5, ("options.presence_penalty", 0.5), None),
    "frequency_penalty": (0.5, ("options.frequency_penalty", 0.5), None),
    "repeat_penalty": (1.1, ("options.repeat_penalty", 1.1), None),
    "repetition_penalty": (1.1, ("options.repeat_penalty", 1.1), None),
    "top_k": (40, ("options.top_k", 40), "same"),
    "min_p": (0.1, ("options.min_p", 0.1), None),
    "typical_p": (0.8, ("options.typical_p", 0.8), None),
    "num_ctx": (8192, ("options.num_ctx", 8192), None),
    "n_ctx": (8192, ("options.num_ctx", 8192), None),
    "n_predict": (64, ("options.num_predict", 64), None),
    "n_keep": (5, ("options.num_keep", 5), None),
    "typ_p": (0.8, ("options.typical_p", 0.8), None),
    "use_mlock": (True, ("options.use_mlock", True), None),
    "dry_multiplier": (0.8, "same", None),
    "options": ({"num_ctx": 8192, "mirostat": 1}, ("options.mirostat", 1), None),
    "keep_alive": ("10m", "same", None),
    "think": (True, "same", None),
    "thinking": ({"type": "enabled", "budget_tokens": 2000}, ("think", True), "same"),
    "reasoning_effort": ("low", ("think", "low"), ("thinking", {"type": "enabled", "budget_tokens": 1024})),
    "reasoning": ({"effort": "high"}, ("think", "high"), ("thinking", {"type": "enabled", "budget_tokens": 16384})),
    "enable_thinking": (True, ("think", True), None),
    "chat_template_kwargs": ({"enable_thinking": True}, ("think", True), None),
    "response_format": (
        {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}},
        ("format", SCHEMA),
        ("output_config.format", {"type": "json_schema", "schema": SCHEMA}),
    ),
    "format": ("json", "same", None),
    "n": (2, None, None),
    "logprobs": (True, "same", None),
    "top_logprobs": (2, "same", None),
    "logit_bias": ({"5": -100}, None, None),
    "modalities": (["text", "audio"], None, None),
    "audio": ({"voice": "alloy"}, None, None),
    "prediction": ({"type": "content", "content": "x"}, None, None),
    "web_search_options": ({"a": 1}, None, None),
    "functions": ([{"name": "f"}], None, None),
    "function_call": ("auto", None, None),
    "user": ("ann", "same", ("metadata.user_id", "ann")),
    "metadata": ({"user_id": "u"}, "same", "same"),
    "store": (True, "same", None),
    "service_tier": ("default", "same", ("service_tier", "standard_only")),
    "verbosity": ("low", "same", None),
    "parallel_tool_calls": (False, "same", ("tool_choice.disable_parallel_tool_use", True)),
    "x_new": ({"b": 1}, "same", None),
}
TOOL = {"type": "function", "function": {"name": "t", "parameters": {"type": "object", "properties": {}}}}


def asked_by(client: str, **fields: Any) -> ChatRequest:
    """What a client's body is read as."""
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": [TOOL], **fields}
    read = at_once(
        CLIENTS[client].reading_request(at_once(reading_body(json.dumps(body).encode(), BodyLimits())), OpenAIChat.name)
    )
    return read.request


def at(body: Any, place: str) -> Any:
    """What is at a place with dots."""
    for key in place.split("."):
        body = body.get(key) if isinstance(body, dict) else None
    return body


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("client", CLIENTS)
def test_no_field_vanishes(client: str, server: str, field: str) -> None:
    """From each dialect of clients to each of servers."""
    value, ollama, anthropic = FIELDS[field]
    wanted = {"ollama": ollama, "anthropic": anthropic}.get(server, "same")
    request = asked_by(client, **{field: value})
    if wanted is None:
        with pytest.raises(EndpointError, match=repr(field)) as caught:
            SERVERS[server].write_request(request)
        assert caught.value.kind == "bad_request"
        return
    place, there = (field, value) if wanted == "same" else wanted
    assert at(SERVERS[server].write_request(request), place) == there


@pytest.mark.parametrize("server", SERVERS)
@given(
    name=st.text(st.characters(categories=["Ll"], max_codepoint=127) | st.just("_"), min_size=1, max_size=12),
    value=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=5,
    ),
)
def test_no_field_of_any_name_and_value_vanishes(server: str, name: str, value: Any) -> None:
    """Whoever does not know the table learns from the body, or from the refusal."""
    if name in UNDERSTOOD or name in FIELDS:
        return
    request = asked_by("openai_chat", **{name: value})
    try:
        body = SERVERS[server].write_request(request)
    except EndpointError as refused:
        assert repr(name) in str(refused)  # noqa: PT017  either is right
        return
    assert says_nothing(name, value) or name in TABLES[server].goes if name not in body else body[name] == value


@pytest.mark.parametrize("server", SERVERS)
@given(
    fields=st.dictionaries(
        st.sampled_from(sorted(FIELDS)),
        st.recursive(
            st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["none", "low", "max", "x"]),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(
                    st.sampled_from(["type", "effort", "enabled", "json_schema", "budget_tokens"]), inner, max_size=3
                )
            ),
            max_leaves=4,
        ),
        max_size=4,
    ),
    model=st.sampled_from(["m", "claude-haiku-4-5", "claude-opus-4-8", "claude-sonnet-5"]),
)
def test_whatever_the_values_a_body_is_written_or_refused(server: str, fields: dict[str, Any], model: str) -> None:
    """By the name of a field."""
    try:
        json.dumps(SERVERS[server].write_request(asked_by("openai_chat", **fields, model=model)))
    except EndpointError as refused:
        assert any(repr(name) in str(refused) for name in fields)  # noqa: PT017  either is right


@pytest.mark.parametrize("server", TABLES)
def test_what_asks_for_nothing_is_never_refused(server: str) -> None:
    """null, and the values that OpenAI documents as defaults."""
    fields = {key: values[0] for key, values in SAYS_NOTHING.items()} | dict.fromkeys(["logit_bias", "seed", "x"])
    assert SERVERS[server].write_request(asked_by("openai_chat", **fields))["model"] == "m"
    with pytest.raises(EndpointError, match="'n'"):
        SERVERS[server].write_request(asked_by("openai_chat", n=True))


def test_a_client_that_says_nothing_gets_the_servers_defaults() -> None:
    """No temperature, no limit, and thinking as the model does by default."""
    assert SERVERS["ollama"].write_request(asked_by("openai_chat"))["options"] == {}
    assert "think" not in SERVERS["ollama"].write_request(asked_by("openai_chat"))
    assert not {"temperature", "thinking"} & set(SERVERS["anthropic"].write_request(asked_by("openai_chat")))
    assert not {"temperature", "max_tokens", "seed"} & set(SERVERS["openai_chat"].write_request(asked_by("openai_chat")))


def test_fields_of_a_client_win_over_those_of_a_measured_request() -> None:
    """And what the client does not say stays as measured."""
    request = ChatRequest(
        model="m",
        messages=(Message(role="user", content="x"),),
        sampling=Sampling(seed=3),
        beside={"openai_chat": {"temperature": 0.7, "reasoning_effort": "none", "chat_template_kwargs": {"a": 1}}},
    )
    body = SERVERS["openai_chat"].write_request(request)
    assert (body["temperature"], body["seed"], body["reasoning_effort"]) == (0.7, 3, "none")
    without = request.model_copy(update={"beside": {"openai_chat": {"temperature": 0.7, "reasoning_effort": "none"}}})
    body = SERVERS["ollama"].write_request(without)
    assert body["options"] == {"temperature": 0.7, "num_predict": 256, "seed": 3}
    assert body["think"] is False


@pytest.mark.parametrize(
    ("server", "fields", "said"),
    [
        ("ollama", {"response_format": {"type": "grammar"}}, "json_schema"),
        ("ollama", {"chat_template_kwargs": {"documents": []}}, "enable_thinking"),
        ("ollama", {"reasoning": 5}, "effort"),
        ("anthropic", {"response_format": {"type": "json_object"}}, "json_schema"),
        ("anthropic", {"reasoning_effort": "huge"}, "xhigh"),
        ("anthropic", {"user": "ann", "metadata": 5}, "no object"),
        ("ollama", {"x_long": "a" * 1_000_001}, "1000000"),
    ],
)
def test_a_value_without_words_is_refused_by_the_name_of_its_field(server: str, fields: dict[str, Any], said: str) -> None:
    """With what would be right."""
    with pytest.raises(EndpointError, match=said) as caught:
        SERVERS[server].write_request(asked_by("openai_chat", **fields))
    assert any(repr(field) in str(caught.value) for field in fields)


def test_pictures_go_where_the_server_looks_for_them() -> None:
    """Ollama takes the picture itself, Anthropic also its address."""
    parts = [{"type": "text", "text": "what"}, {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AAAA"}}]
    request = asked_by("openai_chat", messages=[{"role": "user", "content": parts}])
    assert SERVERS["ollama"].write_request(request)["messages"] == [{"role": "user", "content": "what", "images": ["AAAA"]}]
    (turn,) = SERVERS["anthropic"].write_request(request)["messages"]
    source = {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}
    assert turn["content"] == [{"type": "image", "source": source}, {"type": "text", "text": "what"}]
    assert SERVERS["openai_chat"].write_request(request)["messages"] == [{"role": "user", "content": parts}]
    far = [{"type": "image_url", "image_url": {"url": "https://far.example/a.png"}}]
    request = asked_by("openai_chat", messages=[{"role": "user", "content": far}])
    (turn,) = SERVERS["anthropic"].write_request(request)["messages"]
    assert turn["content"] == [{"type": "image", "source": {"type": "url", "url": "https://far.example/a.png"}}]
    with pytest.raises(EndpointError, match="image_url"):
        SERVERS["ollama"].write_request(request)


def test_options_of_the_servers_own_are_the_most_explicit() -> None:
    """Whatever comes first."""
    fields = {"options": {"num_predict": 9, "top_k": 3}, "max_tokens": 50, "temperature": 0.1}
    assert carried("it", "ollama", asked_by("openai_chat", **fields))["options"] == {
        "num_predict": 9,
        "top_k": 3,
        "temperature": 0.1,
    }


@pytest.mark.parametrize(
    ("model", "fields", "body"),
    [
        (
            "claude-haiku-4-5",
            {"reasoning_effort": "medium"},
            {"thinking": {"type": "enabled", "budget_tokens": 4096}, "max_tokens": 8192},
        ),
        ("claude-haiku-4-5", {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}, "max_tokens": 4096}),
        ("claude-opus-4-8", {"reasoning": {"enabled": True}}, {"thinking": {"type": "adaptive"}, "output_config": None}),
        ("claude-opus-4-8", {"reasoning_effort": "low"}, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}),
        (
            "claude-haiku-4-5",
            {"thinking": {"type": "enabled", "budget_tokens": 2000}, "reasoning_effort": "low", "max_tokens": 100},
            {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 2100},
        ),
        ("claude-haiku-4-5", {"temperature": 1.5, "max_tokens": -1}, {"temperature": 1.5, "max_tokens": -1}),
        ("claude-sonnet-5", {}, {"thinking": None, "temperature": None}),
        ("claude-haiku-4-5", {"parallel_tool_calls": True}, {"tool_choice": {"type": "auto"}}),
    ],
)
def test_thinking_and_limits_are_written_as_the_model_wants_them(
    model: str, fields: dict[str, Any], body: dict[str, Any]
) -> None:
    """A budget, an effort, or the client's own words; a number that is odd is the server's to refuse."""
    written = SERVERS["anthropic"].write_request(asked_by("openai_chat", model=model, **fields))
    assert {key: written.get(key) for key in body} == body


def test_a_measured_temperature_gives_way_to_a_clients_thinking() -> None:
    """The API takes only one of them."""
    thinking = {"type": "enabled", "budget_tokens": 2000}
    request = ChatRequest(model="claude-haiku-4-5", messages=(Message(role="user", content="x"),))
    written = SERVERS["anthropic"].write_request(request.model_copy(update={"beside": {"openai_chat": {"thinking": thinking}}}))
    assert (written["thinking"], "temperature" in written, written["max_tokens"]) == (thinking, False, 2256)


def test_a_dialect_that_is_almost_openais_takes_its_fields() -> None:
    """Under a name of its own."""

    class Acme(OpenAIChat):
        name = "acme_chat"

    body = Acme(EndpointConfig(name="it", kind="any", base_url="http://127.0.0.1:1")).write_request(
        asked_by("openai_chat", temperature=0.3, x_new=1)
    )
    assert (body["temperature"], body["x_new"]) == (0.3, 1)


SIGNED = {"type": "thinking", "thinking": "hm", "signature": "sig"}
HIDDEN = {"type": "redacted_thinking", "data": "b64"}


def _earlier(beside: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    """What Anthropic's servers get of an earlier turn."""
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", **beside}, {"role": "user", "content": "c"}]
    body = SERVERS["anthropic"].write_request(asked_by("openai_chat", messages=turns, **fields))
    found: list[dict[str, Any]] = body["messages"][1]["content"]
    return found


@pytest.mark.parametrize(
    "beside",
    [
        {"thinking_blocks": [SIGNED, HIDDEN]},
        {
            "reasoning_details": [
                {"type": "reasoning.text", "text": "hm", "signature": "sig"},
                {"type": "reasoning.encrypted", "data": "b64"},
            ]
        },
    ],
)
def test_thinking_that_a_server_signed_goes_back_to_it(beside: dict[str, Any]) -> None:
    """Before the text, and only where the request asks for thinking."""
    assert _earlier(beside, reasoning_effort="low") == [SIGNED, HIDDEN, {"type": "text", "text": "b"}]
    assert _earlier(beside) == [{"type": "text", "text": "b"}]


def test_what_other_servers_signed_is_not_sent_to_anthropic() -> None:
    """They would refuse the request for it, and a block that comes twice."""
    own = {"type": "reasoning.text", "text": "hm", "signature": "sig", "format": "anthropic-claude-v1"}
    others = [
        {"type": "reasoning.encrypted", "data": "x", "format": f} for f in ("openai-responses-v1", "google-gemini-v1", "unknown")
    ]
    assert _earlier({"reasoning_details": [*others, own]}, reasoning_effort="low") == [SIGNED, {"type": "text", "text": "b"}]
    both = {"thinking_blocks": [SIGNED], "reasoning_details": [own]}
    assert _earlier(both, reasoning_effort="low") == [SIGNED, {"type": "text", "text": "b"}]


@given(
    blocks=st.recursive(
        st.none() | st.text(max_size=3) | st.integers(),
        lambda i: (
            st.lists(i, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "thinking", "signature", "data", "text"]),
                i | st.sampled_from(["thinking", "reasoning.text"]),
                max_size=4,
            )
        ),
        max_leaves=8,
    )
)
def test_thinking_without_a_signature_goes_nowhere(blocks: Any) -> None:
    """Anthropic's servers refuse it, and no odd form of it breaks the request."""
    for block in _earlier({"reasoning_content": "hm", "thinking_blocks": blocks}, reasoning_effort="low"):
        assert block["type"] == "text" or (block["type"] == "thinking" and block["signature"]) or block.get("data")
