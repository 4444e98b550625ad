"""Log probabilities of the embedded engine with real models (`pytest -m model`)."""

from __future__ import annotations

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
    limits = {"sampling": Sampling(max_tokens=24), "timeout_s": 300.0, "isolate": True}
    return ChatRequest(model=model, messages=question, **{**limits, **form, **changes})


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


@pytest.mark.parametrize("model", [SMALL, LARGER])
async def test_cached_prompts_have_the_same_log_probabilities(endpoint: EmbeddedEndpoint, model: str) -> None:
    """A threshold on them means the same whether the server knew the prompt or not."""
    asking = request(model, FORMS["native"], logprobs=TOP, isolate=False)
    first, again = await endpoint.chat(asking), await endpoint.chat(asking)
    alone = await endpoint.chat(asking.model_copy(update={"isolate": True}))
    assert first.logprobs is not None
    assert first.logprobs == again.logprobs == alone.logprobs
    assert (again.usage.cached_tokens or 0) > 0
