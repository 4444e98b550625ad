"""Limits on output with a real llama.cpp: it takes what is written for any schema (`pytest -m model`)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from selfopt.engine.catalogue import load_catalogue
from selfopt.engine.embedded import EmbeddedEngine, EngineAddress, EngineOptions
from selfopt.engine.store import ModelStore
from selfopt.records import ToolDefinition
from selfopt.variants.call_schema import calls_schema
from selfopt.variants.grammar import calls_grammar

pytestmark = pytest.mark.model

MODEL = "local/smollm2-135m"
NODE = {
    "type": "object",
    "properties": {"v": {"type": "integer"}, "kids": {"type": "array", "items": {"$ref": "#/$defs/Node"}}},
    "required": ["v"],
}
LAUGHS = {f"d{i}": {"type": "object", "properties": {k: {"$ref": f"#/$defs/d{i + 1}"} for k in "abcdefgh"}} for i in range(40)}
ARGUMENTS: dict[str, Any] = {
    "text": {"type": "string", "minLength": 2, "maxLength": 256},
    "numbers": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 256},
    "range": {"type": "integer", "minimum": -123_456_789, "maximum": 987_654_321},
    "day": {"type": "string", "format": "date"},
    "clock": {"type": "string", "format": "time"},
    "moment": {"type": "string", "format": "date-time"},
    "itself": {"$ref": "#/$defs/Node"},
    "map": {"type": "object", "additionalProperties": {"type": "integer"}},
    "open": {"type": "object", "properties": {"a-b": {"type": "string"}, 'q"^[': {"type": "null"}}, "additionalProperties": True},
    "closed by key": {"type": "object", "properties": {"a]b": {"type": "string"}}, "additionalProperties": True},
    "pair": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2, "maxItems": 2},
    "choice": {"enum": [f"value number {i}" for i in range(300)]},
    "too many": {"enum": [f"value number {i}" for i in range(3_000)]},
    "union": {"anyOf": [{"type": "object", "properties": {"naïve ключ": {"const": "\n\x7f"}}}, {"type": "null"}]},
    "free": {},
    "optional": {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(120)}},
    "hostile": {"$ref": "#/$defs/d0"},
}


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[EngineAddress]:
    """A small model that is served."""
    store, catalogue = ModelStore.default(), load_catalogue()
    store.pull(catalogue[MODEL], lambda _: None)
    async with EmbeddedEngine(store, catalogue, EngineOptions(sleep_idle_s=60, log_dir=tmp_path / "logs")) as engine:
        yield await engine.connect(MODEL)


async def test_the_server_takes_the_limits_of_any_schema(engine: EngineAddress) -> None:
    """As a grammar and as a JSON Schema: none is refused."""
    refused = []
    headers = {"Authorization": f"Bearer {engine.api_key.get_secret_value()}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for name, schema in ARGUMENTS.items():
            body = {"type": "object", "properties": {"v": schema}, "required": ["v"], "$defs": {"Node": NODE, **LAUGHS}}
            tools = (ToolDefinition(name="op", parameters=body), ToolDefinition(name="ping"))
            schema_sent = {"name": "reply", "strict": True, "schema": calls_schema(tools, 2, True)}
            for limit in (
                {"grammar": calls_grammar(tools, "json", 2, True)},
                {"grammar": calls_grammar(tools, "python_call", 2, True)},
                {"response_format": {"type": "json_schema", "json_schema": schema_sent}},
            ):
                asked = {"model": engine.alias, "messages": [{"role": "user", "content": "Call op."}], "max_tokens": 1, **limit}
                async with session.post(f"{engine.base_url}/v1/chat/completions", json=asked) as reply:
                    if reply.status != 200:
                        refused.append((name, *limit, (await reply.text())[:200]))
    assert refused == []
