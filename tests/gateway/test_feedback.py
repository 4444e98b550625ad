"""The outcome of an earlier request by its id, and the document that describes every path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfopt.app import verify_requests
from selfopt.gateway import MemoryJournal
from selfopt.gateway.ticket import FeedbackRecord
from selfopt.home import KeyFile

from .kit import Answer, World, chat, gateway_world

PATH = "/v1/feedback"


def feedback_of(world: World) -> list[FeedbackRecord]:
    journal = world.gateway.parts.chat.journal
    assert isinstance(journal, MemoryJournal)
    return [record for record in journal.records if isinstance(record, FeedbackRecord)]


async def test_an_outcome_is_kept_with_the_id_of_its_request(tmp_path: Path) -> None:
    """Success, score or comment, or all of them."""
    async with gateway_world(tmp_path) as world:
        request_id = (await world.post(chat())).headers["x-request-id"]
        answer = await world.post({"id": request_id, "success": True, "score": 0.5, "comment": "it's raining"}, path=PATH)
        assert (answer.status, answer.body) == (200, {"object": "feedback", "id": request_id})
        assert (await world.post({"id": request_id, "success": False}, path=PATH)).status == 200
        first, second = feedback_of(world)
        assert (first.id, first.success, first.score, first.comment) == (request_id, True, 0.5, "it's raining")
        assert (second.success, second.score, second.comment) == (False, None, "")


async def test_feedback_on_what_was_never_served_is_refused(tmp_path: Path) -> None:
    """404, and nothing is kept; so is an id of this process that no request has yet."""
    async with gateway_world(tmp_path) as world:
        request_id = (await world.post(chat())).headers["x-request-id"]
        later = f"{request_id[:-14]}{int(request_id[-14:], 16) + 1000:014x}"
        for wrong in ("", "x", "req-../../../../etc/passwd00", "req-" + "0" * 24, later, request_id.upper()):
            answer = await world.post({"id": wrong, "success": True}, path=PATH)
            assert (answer.status, answer.error["code"]) == (404, "request_not_found")
        assert feedback_of(world) == []


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"success": true}', b"\xff", b'{"id": 5, "success": true}', b"[" * 10_000]
    + [json.dumps({"id": "ID", **rest}).encode() for rest in (
        {}, {"success": "yes"}, {"score": 2}, {"score": -0.1}, {"score": "high"}, {"comment": ""}, {"comment": "x" * 2001},
        {"success": True, "other": 1},
    )],
)  # fmt: skip
async def test_what_is_no_feedback_is_named(tmp_path: Path, body: bytes) -> None:
    """400 in OpenAI's shape."""
    async with gateway_world(tmp_path) as world:
        request_id = (await world.post(chat())).headers["x-request-id"]
        answer = await world.post(body.replace(b'"ID"', json.dumps(request_id).encode()), path=PATH)
        assert answer.status == 400, answer.text
        assert answer.error["message"]
        assert feedback_of(world) == []


async def test_feedback_needs_its_scope(tmp_path: Path) -> None:
    """Where there are keys."""
    home = tmp_path / "home"
    home.mkdir()
    keys = KeyFile(home / "gateway_keys.json")
    plain, _ = keys.add("plain")
    judge, entry = keys.add("judge", scopes=["feedback"])
    async with gateway_world(tmp_path) as world:
        request_id = (await world.post(chat(), {"Authorization": f"Bearer {plain}"})).headers["x-request-id"]
        body = {"id": request_id, "success": True}
        assert (await world.post(body, path=PATH)).status == 401
        answer = await world.post(body, {"Authorization": f"Bearer {plain}"}, PATH)
        assert (answer.status, answer.error["code"]) == (403, "insufficient_scope")
        assert (await world.post(body, {"Authorization": f"Bearer {judge}"}, PATH)).status == 200
        assert feedback_of(world)[0].key == entry.id


async def test_feedback_is_chained_like_the_requests_and_an_earlier_gateways_are_known(tmp_path: Path) -> None:
    """By the files that it left."""
    earlier = "feedbeef00"
    async with gateway_world(tmp_path, on_disk=True) as world:
        request_id = (await world.post(chat())).headers["x-request-id"]
        other = f"req-{earlier}{1:014x}"
        assert (await world.post({"id": other, "success": True}, path=PATH)).status == 404
        (world.app.home.requests / f"{earlier}-1.jsonl").write_bytes(b"")
        for known in (request_id, other):
            assert (await world.post({"id": known, "success": True}, path=PATH)).status == 200
    report = verify_requests(world.app)
    assert (report.ok, report.n) == (True, 3)


def conforms(document: dict[str, Any], method: str, path: str, answer: Answer) -> None:
    """What came back has the shape that the document says."""
    responses = document["paths"][path][method]["responses"]
    content = responses.get(str(answer.status), responses["default"])["content"]
    media = answer.headers["content-type"].partition(";")[0]
    schema = content[media]["schema"]
    if media == "application/json":
        jsonschema.validate(answer.body, {**schema, "components": document["components"]})


async def test_every_path_answers_as_its_document_says(tmp_path: Path) -> None:
    """Good requests and bad ones; what the document does not name is not there."""
    async with gateway_world(tmp_path) as world:
        world.enforcer.set_rule("up/good", "atomic", allow=True)
        await world.reload()
        document = (await world.get("/openapi.json")).body
        assert document["openapi"].startswith("3.1")
        for path in ("/v1/models", "/health", "/ready"):
            conforms(document, "get", path, await world.get(path))
        for name in ("up%2Fgood", "nobody"):
            conforms(document, "get", "/v1/models/{id}", await world.get(f"/v1/models/{name}"))
        request_id = (await world.post(chat())).headers["x-request-id"]
        bodies: list[Any] = [chat(), chat(stream=True), chat("nobody"), [], {}, chat(messages=[])]
        for body in bodies:
            conforms(document, "post", "/v1/chat/completions", await world.post(body))
        bodies = [{"id": request_id, "score": 1}, {"id": "x", "score": 1}, {}, 7]
        for body in bodies:
            conforms(document, "post", PATH, await world.post(body, path=PATH))
        for path, methods in document["paths"].items():
            wanted = await world.post({}, path=path) if "post" not in methods else await world.get(path)
            assert wanted.status == 405


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["id", "success", "score", "comment", "model", "messages", "tools", "stream", "tool_choice"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.dictionaries(FIELDS, JSON_VALUES, max_size=5) | JSON_VALUES, path=st.sampled_from([PATH, "/v1/chat/completions"]))
async def test_any_json_gets_an_answer_of_the_documents_shape(tmp_path: Path, body: Any, path: str) -> None:
    """Never 500."""
    async with gateway_world(tmp_path) as world:
        answer = await world.post(body, path=path)
        assert answer.status in (400, 404)
        conforms((await world.get("/openapi.json")).body, "post", path, answer)
