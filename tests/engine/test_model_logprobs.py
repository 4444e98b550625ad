"""Log probabilities of the embedded engine with real models (`pytest -m model`)."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from selfopt.dialects.logprobs import TOP
from selfopt.engine.catalogue import load_catalogue
from selfopt.engine.embedded import EmbeddedEngine, EngineOptions
from selfopt.engine.store import ModelStore
from selfopt.records import ChatReply, ChatRequest, Constraint, EndpointConfig, Message, Sampling, ToolDefinition
from selfopt.wiring.embedded import EmbeddedEndpoint

pytestmark = pytest.mark.model

SMALL, LARGER = "local/smollm2-135m", "local/qwen2.5-coder-0.5b"
WEATHER = ToolDefinition(
    name="get_weather",
    description="The weather of a city",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "native": {"tools": (WEATHER,)},
    "required": {"tools": (WEATHER,), "tool_choice": "required"},
    "grammar": {"constraint": Constraint(kind="grammar", grammar='root ::= "Zürich" | "no city at all"')},
    "schema": {"constraint": Constraint(kind="json_schema", json_schema=SCHEMA)},
}


@pytest.fixture
async def endpoint(tmp_path: Path) -> AsyncIterator[EmbeddedEndpoint]:
    """The embedded engine with the user's own store."""
    store, catalogue = ModelStore.default(), load_catalogue()
    for name in (SMALL, LARGER):
        store.pull(catalogue[name], lambda _: None)
    async with EmbeddedEngine(store, catalogue, EngineOptions(log_dir=tmp_path / "logs")) as engine:
        made = EmbeddedEndpoint(engine, EndpointConfig(name="local", kind="embedded", local=True))
        yield made
        await made.close()


def request(model: str, form: dict[str, Any], **changes: Any) -> ChatRequest:
    """A question that a tool could answer, isolated from all others."""
    question = (Message(role="user", content="What is the weather in Zürich?"),)
    usual = {"messages": question, "sampling": Sampling(max_tokens=24), "timeout_s": 300.0, "isolate": True}
    return ChatRequest(model=model, **{**usual, **form, **changes})


async def streamed(endpoint: EmbeddedEndpoint, asked: ChatRequest) -> ChatReply:
    """The reply to a streamed request."""
    chunks = [chunk async for chunk in endpoint.stream(asked)]
    assert chunks[-1].final is not None
    return chunks[-1].final


def told(replies: Sequence[ChatReply]) -> list[dict[str, Any]]:
    """What was said, without the ids of calls, which are drawn."""
    said = [reply.content.model_dump() for reply in replies]
    for one in said:
        one["tool_calls"] = [{**call, "id": None} for call in one["tool_calls"]]
    return said


@pytest.mark.parametrize("model", [SMALL, LARGER])
@pytest.mark.parametrize("form", sorted(FORMS))
async def test_replies_are_the_same_with_and_without(endpoint: EmbeddedEndpoint, model: str, form: str) -> None:
    """Whole and streamed, free, with tools, and under a grammar or a schema. The sum is finite."""
    plain, asking = (request(model, FORMS[form], logprobs=top) for top in (None, TOP))
    replies = [await endpoint.chat(plain), await endpoint.chat(asking), await endpoint.chat(plain)]
    replies += [await streamed(endpoint, plain), await streamed(endpoint, asking)]
    assert told(replies[1:3]) == told(replies[:1]) * 2
    assert told(replies[4:]) == told(replies[3:4])
    found = replies[1].logprobs
    assert found is not None
    assert replies[1].usage.output_tokens == replies[0].usage.output_tokens == len(found)
    assert math.isfinite(found.total)
    assert found.total < 0
    assert all(len(token.top) == TOP for token in found.listed)
    if not replies[1].content.tool_calls:  # else the text is the one that the calls were read from
        assert found.text.strip() == replies[1].content.text.strip()
    # llama.cpp refuses the question for a stream with tools; any other stream has all but the end of the reply
    assert (replies[4].logprobs is None) == ("tools" in FORMS[form])
    if replies[4].logprobs is not None:
        assert found.text.startswith(replies[4].logprobs.text)
    assert all(reply.logprobs is None for reply in (replies[0], replies[2], replies[3]))


async def test_a_call_that_the_server_reads_keeps_the_log_probabilities_of_its_text(endpoint: EmbeddedEndpoint) -> None:
    """The content is empty then, and the tokens are those of the whole reply, in order."""
    begun = (Message(role="user", content="Weather in Oslo?"), Message(role="assistant", content="<tool_call>\n"))
    reply = await endpoint.chat(request(LARGER, FORMS["native"], logprobs=TOP, messages=begun))
    assert (reply.content.text, [call.name for call in reply.content.tool_calls]) == ("", ["get_weather"])
    found = reply.logprobs
    assert found is not None
    assert len(found) == reply.usage.output_tokens
    assert math.isfinite(found.total)
    assert json.loads(found.text) == {"name": "get_weather", "arguments": {"city": "Oslo"}}


@pytest.mark.parametrize("model", [SMALL, LARGER])
async def test_log_probabilities_hardly_depend_on_the_prompt_cache(endpoint: EmbeddedEndpoint, model: str) -> None:
    """The reply is the same. A last token of the prompt that is computed alone moves them by up to a few
    hundredths of a nat.
    """
    asking = request(model, FORMS["native"], logprobs=TOP, isolate=False)
    first, again = await endpoint.chat(asking), await endpoint.chat(asking)
    alone = [await endpoint.chat(asking.model_copy(update={"isolate": True})) for _ in range(2)]
    assert (again.usage.cached_tokens or 0) > 0
    assert alone[0].logprobs == alone[1].logprobs
    assert alone[0].logprobs is not None
    for other in (first, again):
        assert other.logprobs is not None
        assert other.logprobs.tokens == alone[0].logprobs.tokens
        assert other.logprobs.logprobs == pytest.approx(alone[0].logprobs.logprobs, abs=0.1)
