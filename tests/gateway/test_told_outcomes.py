"""Feedback about an earlier request, by its id."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from selfopt.gateway import told_outcomes
from selfopt.gateway.ticket import FeedbackRecord
from selfopt.home import ChainedFile, KeyFile
from selfopt.verbs.verifying import verify_requests

from .kit import MemoryJournal, World, chat, gateway_world

PATH = "/v1/feedback"


def feedback_of(world: World) -> list[FeedbackRecord]:
    journal = world.gateway.parts.chat.journal
    assert isinstance(journal, MemoryJournal)
    return [record for record in journal.records if isinstance(record, FeedbackRecord)]


async def test_an_outcome_is_kept_with_the_id_of_its_request(tmp_path: Path) -> None:
    """Success, score, comment, or all of them."""
    async with gateway_world(tmp_path) as world:
        request_id = (await world.post(chat())).headers["x-request-id"]
        answer = await world.post({"id": request_id, "success": True, "score": 0.5, "comment": "it's raining"}, path=PATH)
        assert (answer.status, answer.body) == (200, {"object": "feedback", "id": request_id})
        assert (await world.post({"id": request_id, "success": False}, path=PATH)).status == 200
        first, second = feedback_of(world)
        assert (first.id, first.success, first.score, first.comment) == (request_id, True, 0.5, "it's raining")
        assert (second.success, second.score, second.comment) == (False, None, "")


async def test_feedback_on_what_was_never_served_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """404 for an unknown id, and for one that this process has yet to give out."""
    monkeypatch.setattr(told_outcomes, "RECORD_PAUSES_S", (0.0,))
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
    """Where keys are required."""
    home = tmp_path / "home"
    home.mkdir()
    keys = KeyFile(home / "gateway_keys.json", ChainedFile(home / "routing_decisions.jsonl"))
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


async def test_feedback_finds_a_record_that_another_worker_is_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client may have the answer before its record is on the disk."""
    other = "feedbeef00"
    async with gateway_world(tmp_path, on_disk=True) as world:

        def pauses() -> Iterator[float]:
            yield 0.0
            world.app.home.requests.mkdir(exist_ok=True)
            (world.app.home.requests / f"{other}-1.jsonl").write_bytes(b"")
            yield 0.0

        monkeypatch.setattr(told_outcomes, "RECORD_PAUSES_S", pauses())
        answer = await world.post({"id": f"req-{other}{1:014x}", "success": True}, path=PATH)
        assert answer.status == 200, answer.text


async def test_feedback_is_chained_like_the_requests_and_an_earlier_gateways_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier gateway is known by its files."""
    monkeypatch.setattr(told_outcomes, "RECORD_PAUSES_S", (0.0,))
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
