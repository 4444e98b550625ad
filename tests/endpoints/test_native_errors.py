"""Errors that come inside a good reply, and what servers of other makers tell about residency."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from selfopt.endpoints.factory import create_endpoint
from selfopt.endpoints.ollama_residency import OllamaResidency
from selfopt.endpoints.openai_residency import OpenAIResidency
from selfopt.errors import EndpointError, EndpointFault
from tests.endpoints.kit import ask, config_for

Serve = Callable[[dict[str, Any]], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serves fixed answers by path: a status, a text, or a value as JSON; gives the URL."""
    runners: list[web.AppRunner] = []

    async def start(answers: dict[str, Any]) -> str:
        async def answer(request: web.Request) -> web.Response:
            given = answers.get(request.path, 404)
            if isinstance(given, int):
                return web.Response(status=given, text="Loading model")
            return web.Response(text=given if isinstance(given, str) else json.dumps(given))

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        runners.append(runner)
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
LIMITED = {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down"}}
INSIDE: list[tuple[str, str, str, EndpointFault]] = [
    ("ollama", "/api/chat", json.dumps({"error": "model runner has stopped"}), "server"),
    ("ollama", "/api/chat", json.dumps({"done": True}), "protocol"),
    ("ollama", "/api/chat", json.dumps({"message": {"content": 7}, "done": True}), "protocol"),
    ("anthropic", "/v1/messages", json.dumps({"content": [{"type": "text", "text": ["x"]}]}), "protocol"),
    ("anthropic", "/v1/messages", json.dumps(OVERLOADED), "server"),
    ("anthropic", "/v1/messages", json.dumps({"type": "message"}), "protocol"),
]
STREAMED: list[tuple[str, str, str, EndpointFault]] = [
    ("ollama", "/api/chat", '\n{"message":{"content":"a"},"done":false}\n{"error":"out of memory"}\n', "server"),
    ("ollama", "/api/chat", '{"message":{"content":"a"},"done":false}\n', "protocol"),
    ("anthropic", "/v1/messages", f"event: error\ndata: {json.dumps(LIMITED)}\n\n", "rate_limited"),
    ("anthropic", "/v1/messages", 'event: message_start\ndata: {"type":"message_start","message":{}}\n\n', "protocol"),
]


@pytest.mark.parametrize(("kind", "path", "text", "fault"), INSIDE)
async def test_an_error_inside_a_good_reply_is_an_error(serve: Serve, kind: str, path: str, text: str, fault: str) -> None:
    """Of the kind that it names."""
    endpoint = create_endpoint(config_for(kind, await serve({path: text})))
    with pytest.raises(EndpointError) as caught:
        await endpoint.chat(ask("x"))
    await endpoint.close()
    assert (caught.value.kind, caught.value.reply_body) == (fault, text)


@pytest.mark.parametrize(("kind", "path", "text", "fault"), STREAMED)
async def test_an_error_or_an_end_in_mid_stream_is_an_error(serve: Serve, kind: str, path: str, text: str, fault: str) -> None:
    """Also after good pieces."""
    endpoint = create_endpoint(config_for(kind, await serve({path: text})))
    with pytest.raises(EndpointError) as caught:
        _ = [chunk async for chunk in endpoint.stream(ask("x"))]
    await endpoint.close()
    assert caught.value.kind == fault


def listed(**entry: Any) -> dict[str, Any]:
    """A list of models with one."""
    return {"object": "list", "data": [{"id": "m", **entry}]}


PROPS = {
    "is_sleeping": True,
    "build_info": "b7000",
    "total_slots": 2,
    "chat_template": "t",
    "default_generation_settings": {"n_ctx": 4096},
}


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ({"/health": 503}, "loading"),
        ({"/health": {}, "/v1/models": listed(owned_by="llamacpp")}, "loaded"),
        ({"/health": {}, "/v1/models": listed(owned_by="llamacpp"), "/props": PROPS}, "sleeping"),
        ({"/health": {}, "/v1/models": listed(owned_by="llamacpp", status={"value": "unloaded"})}, "unloaded"),
        ({"/health": "", "/v1/models": listed(owned_by="vllm")}, "loaded"),
        ({"/v1/models": listed(owned_by="organization_owner"), "/api/v0/models": listed(state="not-loaded")}, "unloaded"),
        ({"/v1/models": listed(owned_by="organization_owner"), "/api/v0/models": listed(state="loaded")}, "loaded"),
        ({"/v1/models": listed(owned_by="organization_owner")}, "unknown"),
        ({"/v1/models": "<html>"}, "unknown"),
        ({}, "unknown"),
    ],
)
async def test_each_server_is_understood_as_far_as_it_tells(serve: Serve, answers: dict[str, Any], state: str) -> None:
    """Nothing is guessed."""
    residency = OpenAIResidency(config_for("openai_compatible", await serve(answers)))
    status = await residency.status("m")
    assert status.state == state
    if state == "sleeping":
        assert (status.engine_build, status.slots, status.context_size) == ("b7000", 2, 4096)


async def test_the_family_is_recognised_from_the_template_that_a_server_shows(serve: Serve) -> None:
    """llama.cpp has two of them, Ollama one in a language of its own; without any nothing is guessed."""
    models = {"/health": {}, "/v1/models": listed(owned_by="llamacpp")}
    for props, family in (
        ({"chat_template": "<tool_call>{{ name }}<arg_key>"}, "glm47"),
        ({"chat_template": "t", "chat_template_tool_use": "<tool_call>{{ name }}<arg_key>"}, "glm47"),
        ({"chat_template": "t"}, "unknown"),
        ({}, "unknown"),
    ):
        residency = OpenAIResidency(config_for("openai_compatible", await serve({**models, "/props": props})))
        assert (await residency.status("m")).family == family
    shown = {"/api/ps": {"models": []}, "/api/tags": {"models": [{"name": "m:latest"}]}}
    shown |= {"/api/show": {"template": "{{ range .ToolCalls }}<|tool_calls_section_begin|>"}, "/api/version": {}}
    assert (await OllamaResidency(config_for("ollama", await serve(shown))).status("m")).family == "kimi_k2"


@pytest.mark.parametrize("path", ["/api/ps", "/api/tags"])
async def test_a_list_of_no_models_is_an_answer(serve: Serve, path: str) -> None:
    """However a version writes it. Who says nothing of models has not answered."""
    shown: dict[str, Any] = {"/api/ps": {"models": []}, "/api/tags": {"models": []}, "/api/version": {}}
    for told, answers in (({"models": []}, True), ({"models": None}, True), ({}, False), ({"models": "x"}, False)):
        residency = OllamaResidency(config_for("ollama", await serve({**shown, path: told})))
        status = await residency.status("m")
        if path == "/api/ps":
            assert (status.state, status.answers) == (("unloaded", True) if answers else ("unknown", False))
        else:
            assert await residency.installed() == ([] if answers else None)


@pytest.mark.parametrize(
    ("card", "tools"),
    [
        ({"capabilities": ["completion"]}, False),
        ({"capabilities": ["completion", "tools"]}, True),
        ({"capabilities": []}, None),
        ({"capabilities": "tools"}, None),
        ({}, None),
    ],
)
async def test_a_models_card_says_whether_it_has_tools(serve: Serve, card: dict[str, Any], tools: bool | None) -> None:
    """An earlier Ollama says nothing of it."""
    shown = {"/api/ps": {"models": []}, "/api/tags": {"models": [{"name": "m:latest"}]}, "/api/show": card, "/api/version": {}}
    assert (await OllamaResidency(config_for("ollama", await serve(shown))).status("m")).tools is tools


async def test_what_lm_studio_and_vllm_tell_of_themselves_is_kept(serve: Serve) -> None:
    """Quantisation and context of the one, version and context of the other."""
    lm_studio = {
        "/v1/models": listed(owned_by="organization_owner"),
        "/api/v0/models": listed(state="loaded", quantization="Q4_K_M", max_context_length=131072, loaded_context_length=8192),
    }
    status = await OpenAIResidency(config_for("openai_compatible", await serve(lm_studio))).status("m")
    assert (status.engine, status.quantization, status.context_size) == ("lm studio", "Q4_K_M", 8192)
    vllm = {"/v1/models": listed(owned_by="vllm", max_model_len=4096), "/version": {"version": "0.9.2"}}
    status = await OpenAIResidency(config_for("openai_compatible", await serve(vllm))).status("m")
    assert (status.engine, status.engine_build, status.context_size) == ("vllm", "0.9.2", 4096)


async def test_a_server_that_does_not_list_states_is_loaded_by_one_token(serve: Serve) -> None:
    """And cannot be unloaded."""
    answer = {"choices": [{"message": {"content": "H"}, "finish_reason": "length"}]}
    residency = OpenAIResidency(config_for("openai_compatible", await serve({"/health": {}, "/v1/chat/completions": answer})))
    assert await residency.load("m", 5.0) > 0
    assert await residency.unload("m") is False


async def test_a_load_is_waited_for_while_the_server_says_loading(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """By 503, until the time is up."""
    monkeypatch.setattr("selfopt.endpoints.openai_residency.POLL_S", 0.01)
    residency = OpenAIResidency(config_for("openai_compatible", await serve({"/health": 503, "/v1/chat/completions": 503})))
    with pytest.raises(EndpointError) as caught:
        await residency.load("m", 0.1)
    assert caught.value.kind in ("loading", "timeout"), "the last question may itself run out of time"
    answers = {"/health": 503, "/v1/chat/completions": {"choices": [{"message": {"content": "H"}}]}}
    residency = OpenAIResidency(config_for("openai_compatible", await serve(answers)))
    with pytest.raises(EndpointError, match="still being loaded"):
        await residency.load("m", 0.6)
