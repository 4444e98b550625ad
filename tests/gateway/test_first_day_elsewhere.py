"""Servers of other dialects: calls in text are read, and a required call is demanded where the server ignores the choice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from selfopt.scripted.script import Script
from selfopt.scripted.server import ScriptedServer, serve_scripted

from .kit import World, chat, gateway_world
from .test_first_day import CALL, GRAZ, MODELS, TOOLS, WRITTEN, said
from .test_harness import promote
from .test_watched_stream import added_up

DEMANDED = f'{{"tool_calls": [{CALL}]}}'


@asynccontextmanager
async def elsewhere(tmp_path: Path, kind: str, settings: str = "") -> AsyncIterator[tuple[World, ScriptedServer]]:
    """A gateway in front of a scripted server of that kind."""
    obeys = {"replies": [{"match": {"constraint": "json_schema"}, "text": DEMANDED}], "default": {"text": "No."}}
    server = await serve_scripted(Script.model_validate({"models": {**MODELS, "obeys": obeys}}))
    entry = f'[endpoints.there]\nkind = "{kind}"\nbase_url = "{server.base_url}"\napi_key = "sk-0123456789"\nlocal = true\n'
    try:
        async with gateway_world(tmp_path, settings=f"{settings}{entry}") as world:
            yield world, server
    finally:
        await server.close()


def asked(model: str, **fields: Any) -> dict[str, Any]:
    """A chat with tools."""
    return {**chat(**{"tools": TOOLS, **fields}), "model": f"there/{model}"}


@pytest.mark.parametrize("kind", ["ollama", "anthropic"])
@pytest.mark.parametrize(
    ("model", "text", "calls"),
    [
        ("writes", "I will look. ", GRAZ),
        ("thinks", "I will look. ", GRAZ),
        ("rehearses", "No.", []),
        ("explains", f"You would write `{CALL}` for Graz.", []),
        ("reports", "", GRAZ),
    ],
)
async def test_calls_in_text_become_calls(tmp_path: Path, kind: str, model: str, text: str, calls: list[Any]) -> None:
    """Whole and streamed alike."""
    async with elsewhere(tmp_path, kind) as (world, _):
        answer = await world.post(asked(model))
        content, found, finish = said(answer.body)
        assert ((content or "").strip(), found, finish) == (text.strip(), calls, "tool_calls" if calls else "stop")
        assert answer.headers.get("x-selfopt-read") == ("text" if calls and model != "reports" else None)
        (streamed,) = added_up((await world.post(asked(model, stream=True))).text.encode())
        assert (streamed["text"], len(streamed["calls"]), streamed["finish"]) == (content or "", len(calls), finish)


@pytest.mark.parametrize("switched", ["settings", "client", "none", "form"])
async def test_reading_can_be_switched_off(tmp_path: Path, switched: str) -> None:
    """In the settings, by the client; and it is off where calls are forbidden, or the answer has another form."""
    settings = '[gateway]\nread_calls = "off"\n' if switched == "settings" else ""
    async with elsewhere(tmp_path, "ollama", settings) as (world, _):
        headers = {"x-selfopt-variant": "off"} if switched == "client" else None
        fields: dict[str, Any] = {"tool_choice": "none"} if switched == "none" else {}
        fields |= {"response_format": {"type": "json_object"}} if switched == "form" else {}
        assert said((await world.post(asked("writes", **fields), headers)).body) == (WRITTEN, [], "stop")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "city_weather"}}])
async def test_a_required_call_is_demanded_by_a_schema(tmp_path: Path, choice: Any, stream: bool) -> None:
    """Ollama has no such choice, but limits its output."""
    async with elsewhere(tmp_path, "ollama") as (world, server):
        answer = await world.post(asked("obeys", tool_choice=choice, stream=stream))
        if stream:
            (found,) = added_up(answer.text.encode())
            assert (found["text"], len(found["calls"]), found["finish"]) == ("", 1, "tool_calls")
        else:
            assert said(answer.body)[1:] == (GRAZ, "tool_calls")
        body = server.journal[-1].body
        assert body is not None
        names = [item["properties"]["name"]["const"] for item in body["format"]["properties"]["tool_calls"]["items"]["anyOf"]]
        assert names == (["city_weather", "list_alarms"] if choice == "required" else ["city_weather"])
        assert body["format"]["properties"]["tool_calls"]["minItems"] == 1
        assert "tools" in body
        assert (await world.post(asked("obeys"))).body["choices"][0]["message"]["content"] == "No."
        assert "format" not in (server.journal[-1].body or {})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("variant", ["native_api", "native_parsed", "restrained"])
async def test_a_required_call_is_demanded_behind_a_variant_as_well(tmp_path: Path, variant: str, stream: bool) -> None:
    """One that limits no output goes by; any other request goes through it."""
    async with elsewhere(tmp_path, "ollama") as (world, server):
        await promote(world, variant, "there/obeys")
        answer = await world.post(asked("obeys", tool_choice="required", stream=stream))
        assert answer.headers["x-selfopt-passed"] == "tool_choice"
        if stream:
            assert len(added_up(answer.text.encode())[0]["calls"]) == 1
        else:
            assert said(answer.body)[1:] == (GRAZ, "tool_calls")
        assert "format" in (server.journal[-1].body or {})
        assert (await world.post(asked("obeys"))).headers["x-selfopt-variant"] == variant


@pytest.mark.parametrize("kind", ["ollama", "anthropic"])
@pytest.mark.parametrize("variant", ["constrained@2", "few_shot_constrained@2", "gated@2"])
async def test_a_variant_that_needs_a_grammar_is_passed_by(tmp_path: Path, kind: str, variant: str) -> None:
    """The server has no words for it, which is no reason to refuse the client; header and counter tell."""
    async with elsewhere(tmp_path, kind) as (world, _):
        await promote(world, variant, "there/reports")
        answer = await world.post(asked("reports"))
        assert (answer.status, answer.headers["x-selfopt-passed"]) == (200, "grammar")
        assert "x-selfopt-variant" not in answer.headers
        assert said(answer.body)[1:] == (GRAZ, "tool_calls")
        counted = (await world.get("/metrics")).text
        assert any(
            "selfopt_passed_total" in line and '"grammar"' in line and line.endswith(" 1") for line in counted.splitlines()
        )


@pytest.mark.parametrize("stream", [False, True])
async def test_a_required_call_is_demanded_of_a_variant_in_the_prompt(tmp_path: Path, stream: bool) -> None:
    """Its calls are JSON, so a schema limits its reply to them; any other request stays as it was measured."""
    async with elsewhere(tmp_path, "ollama") as (world, server):
        await promote(world, "atomic@2", "there/obeys")
        about = [{"role": "user", "content": "The weather in Graz, please."}]
        answer = await world.post(asked("obeys", messages=about, tool_choice="required", stream=stream))
        assert answer.headers["x-selfopt-variant"] == "atomic@2"
        assert "x-selfopt-unmet" not in answer.headers
        if stream:
            assert len(added_up(answer.text.encode())[0]["calls"]) == 1
        else:
            assert said(answer.body)[1:] == (GRAZ, "tool_calls")
        body = server.journal[-1].body or {}
        assert body["format"]["properties"]["tool_calls"]["minItems"] == 1
        assert "tools" not in body
        await world.post(asked("obeys"))
        assert "format" not in (server.journal[-1].body or {})


async def test_one_answer_cannot_have_two_forms(tmp_path: Path) -> None:
    """A call and JSON of the client's own: the client hears which to leave out."""
    async with elsewhere(tmp_path, "ollama") as (world, server):
        answer = await world.post(asked("obeys", tool_choice="required", response_format={"type": "json_object"}))
        assert answer.status == 400
        assert answer.error["param"] == "tool_choice"
        assert "leave out one of the two" in answer.error["message"]
        assert not server.journal


async def test_a_required_call_that_did_not_come_is_told(tmp_path: Path) -> None:
    """The reply reaches the client, and is not asked for again."""
    async with elsewhere(tmp_path, "ollama") as (world, server):
        answer = await world.post(asked("explains", tool_choice="required"))
        assert (answer.status, answer.headers["x-selfopt-unmet"]) == (200, "tool_choice")
        assert len(server.journal) == 1


async def test_other_dialects_have_the_choice(tmp_path: Path) -> None:
    """Anthropic's servers are told in their own words."""
    async with elsewhere(tmp_path, "anthropic") as (world, server):
        named = {"type": "function", "function": {"name": "city_weather"}}
        for choice, told in (("required", "any"), (named, "any"), ("none", "none"), ("auto", "auto")):
            await world.post(asked("reports", tool_choice=choice))
            body = server.journal[-1].body
            assert body is not None
            assert body["tool_choice"]["type"] == told
