"""Whatever is sent, the gateway answers as its document says."""

from __future__ import annotations

import asyncio
import copy
import os
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.engine import events, from_schema

from .kit import Answer, chat, gateway_world
from .test_harness import MODELS, promote

MESSAGES, COUNTS = "/v1/messages", "/v1/messages/count_tokens"
FEEDBACK = "/v1/feedback"
EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "15"))
"""Of each operation and phase. A longer run: SCHEMATHESIS_EXAMPLES=400."""


def conforms(document: dict[str, Any], method: str, path: str, answer: Answer) -> None:
    """Check that the answer has the shape of the document."""
    responses = document["paths"][path][method]["responses"]
    content = (responses.get(str(answer.status)) or responses[f"{str(answer.status)[0]}XX"])["content"]
    media = answer.headers["content-type"].partition(";")[0]
    told = content[media]
    if media == "application/json":
        jsonschema.validate(answer.body, {**told["schema"], "components": document["components"]})


async def test_every_path_answers_as_its_document_says(tmp_path: Path) -> None:
    """For good and bad requests; other paths do not exist."""
    async with gateway_world(tmp_path) as world:
        world.enforcer.set_rule("up/good", "atomic", allow=True)
        await world.reload()
        document = (await world.get("/openapi.json")).body
        assert document["openapi"].startswith("3.1")
        for path in ("/v1/models", "/health", "/ready", "/metrics", "/openapi.json"):
            conforms(document, "get", path, await world.get(path))
        for name in ("up%2Fgood", "nobody"):
            conforms(document, "get", "/v1/models/{id}", await world.get(f"/v1/models/{name}"))
        request_id = (await world.post(chat())).headers["x-request-id"]
        bodies: list[Any] = [chat(), chat(stream=True), chat("nobody"), [], {}, chat(messages=[])]
        for body in bodies:
            conforms(document, "post", "/v1/chat/completions", await world.post(body))
        for body in [*bodies, chat(max_tokens=5, messages=[{"role": "user", "content": [{"type": "document"}]}])]:
            conforms(document, "post", MESSAGES, await world.post(body, path=MESSAGES))
            conforms(document, "post", COUNTS, await world.post(body, path=COUNTS))
        inputs = {"input": ["a"], "prompt": "a", "query": "a", "documents": ["a"]}
        bodies = [{"model": "up/good", **inputs}, {"model": "up/good"}, {"model": "nobody", **inputs}, [], {}]
        for path in PASSED:
            for body in bodies:
                conforms(document, "post", path, await world.post(body, path=path))
        conforms(document, "post", PASSED[1], await world.post({"model": "up/good", "stream": True}, path=PASSED[1]))
        bodies = [{"id": request_id, "score": 1}, {"id": "x", "score": 1}, {}, 7]
        for body in bodies:
            conforms(document, "post", FEEDBACK, await world.post(body, path=FEEDBACK))
        for path, methods in document["paths"].items():
            wanted = await world.post({}, path=path) if "post" not in methods else await world.get(path)
            assert wanted.status == 405


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
PASSED = ["/v1/responses", "/v1/embeddings", "/v1/completions", "/v1/rerank"]
FIELDS = st.sampled_from(
    ["input", "prompt", "documents", "id", "success", "score", "comment", "model", "messages", "tools", "stream", "tool_choice"]
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.dictionaries(FIELDS, JSON_VALUES, max_size=5) | JSON_VALUES,
    path=st.sampled_from([FEEDBACK, "/v1/chat/completions", MESSAGES, COUNTS, *PASSED]),
)
async def test_any_json_gets_an_answer_of_the_documents_shape(tmp_path: Path, body: Any, path: str) -> None:
    """Never a 500."""
    async with gateway_world(tmp_path) as world:
        answer = await world.post(body, path=path)
        assert answer.status in (400, 404)
        conforms((await world.get("/openapi.json")).body, "post", path, answer)


def fuzzed(url: str, document: dict[str, Any], examples: int) -> tuple[list[str], Counter[str], str]:
    """Return the faults found, the number of requests by operation, and all texts and headers."""
    generation = GenerationConfig(max_examples=examples, deterministic=True, database="none", no_shrink=True)
    project = ProjectConfig(base_url=url, request_timeout=120, generation=generation, continue_on_failure=True)
    config = SchemathesisConfig(projects=ProjectsConfig(default=project), seed=1)
    wrong: list[str] = []
    asked: Counter[str] = Counter()
    said: list[str] = []
    for event in from_schema(schemathesis.openapi.from_dict(document, config=config)).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            wrong.append(str(event))
        elif isinstance(event, events.ScenarioFinished):
            asked[event.label or ""] += len(event.recorder.interactions)
            for interaction in event.recorder.interactions.values():
                if interaction.response is not None:
                    said.append(f"{interaction.response.headers}{interaction.response.content!r}")
            for checks in event.recorder.checks.values():
                wrong += [
                    f"{event.label}: {check.name}: {check.failure_info.failure.message}: {check.failure_info.code_sample}"
                    for check in checks
                    if check.failure_info is not None
                ]
    return wrong, asked, "\n".join(said)


@pytest.mark.parametrize("model", ["up/good", "up/writer"])
async def test_schemathesis_finds_no_answer_that_the_document_does_not_foresee(tmp_path: Path, model: str) -> None:
    """Statuses, content types, headers and shapes, with and without a variant."""
    async with gateway_world(tmp_path, MODELS, options={"retries": 0}) as world:
        await promote(world, "native_parsed")
        document = copy.deepcopy((await world.get("/openapi.json")).body)
        for schema in (
            "ChatRequest",
            "MessagesRequest",
            "CountRequest",
            "ResponsesRequest",
            "EmbeddingsRequest",
            "CompletionRequest",
            "RerankRequest",
        ):
            document["components"]["schemas"][schema]["properties"]["model"] = {"const": model}
        # The server of the tests speaks no Responses API, and its gateway keeps no answers. Arguments are JSON in a text.
        responses = document["components"]["schemas"]["ResponsesRequest"]["properties"]
        responses["previous_response_id"] = {"type": "null"}
        calls = responses["input"]["anyOf"][1]["items"]["anyOf"][1]
        calls["properties"]["arguments"] = {"enum": ["{}", '{"x": 1}']}
        wrong, asked, said = await asyncio.to_thread(fuzzed, world.url.removesuffix("/v1"), document, EXAMPLES)
        assert wrong == []
        assert set(asked) >= {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
        assert "sk-upstream" not in said
