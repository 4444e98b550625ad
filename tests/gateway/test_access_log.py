"""The access log has one line a request: who asked, who served, what became of it; no content."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import msgspec

from selfopt.gateway import AccessLog
from selfopt.gateway.ticket import RequestRecord, Ticket
from selfopt.home import ChainedFile, KeyFile

from .kit import chat, gateway_world, until
from .test_harness import CALL, MODELS, asking, promote

SECRET = "sk-selfopt-nobody-may-see-this"


def record(place: int = 0, **fields: Any) -> RequestRecord:
    """Return a request's record."""
    made = Ticket(0.0).record("2026-01-02T03:04:05Z", 0.01, 200)
    return msgspec.structs.replace(made, id=f"req-{place}", **fields)


async def test_every_request_has_one_line_that_says_what_became_of_it(tmp_path: Path) -> None:
    """As JSON, with the decision, the outcome and the latency."""
    lines: list[str] = []
    async with gateway_world(tmp_path, MODELS, settings='[gateway]\nlog_format = "json"', log=lines.append) as world:
        await promote(world, "native_parsed")
        await world.post(asking("weather? " + SECRET))
        await world.post(chat("up/nobody"))
        await world.post(b"[]")
        await world.post(chat(), {"Origin": "https://example.org"})
        await world.get("/nothing/here?key=" + SECRET, {"Authorization": f"Bearer {SECRET}"})
        await world.get("/health")
    text = "".join(lines)
    told = [json.loads(line) for line in text.splitlines()]
    assert [(one.get("outcome"), one["status"]) for one in told] == [
        ("served", 200), ("rejected", 404), ("rejected", 400), (None, 403), (None, 404),
    ]  # fmt: skip
    first = told[0]
    assert first["level"] == "info"
    assert first["id"] == world.records[0].id
    for key in ("model", "served", "phase", "rule", "version", "variant", "latency_ms", "attempts", "at"):
        assert first[key], key
    assert first["variant"] == "native_parsed"
    assert SECRET not in text
    assert "Oslo" not in text
    assert CALL not in text


async def test_text_lines_stay_one_line_whatever_a_client_sends(tmp_path: Path) -> None:
    """Control characters are escaped, and long names are cut."""
    lines: list[str] = []
    async with gateway_world(tmp_path, log=lines.append) as world:
        await world.post(chat())
        await world.post(chat("up/a\nGET 200 forged\x1b[31m"))
        await world.post(chat("up/" + "x" * 5000))
        await world.post(chat("up/\ud800"))
    text = "".join(lines)
    assert text.count("\n") == 4
    assert "served 200 up/good atomic" in text
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) < 2000


async def test_it_can_be_switched_off(tmp_path: Path) -> None:
    """`access_log = false`."""
    lines: list[str] = []
    async with gateway_world(tmp_path, settings="[gateway]\naccess_log = false", log=lines.append) as world:
        await world.post(chat())
        assert world.gateway.parts.chat.access_log is None
    assert lines == []


async def test_a_request_with_a_key_names_the_key_and_never_shows_it(tmp_path: Path) -> None:
    """An unknown key is not shown either."""
    lines: list[str] = []
    home = tmp_path / "home"
    home.mkdir()
    key, entry = KeyFile(home / "gateway_keys.json", ChainedFile(home / "routing_decisions.jsonl")).add("laptop")
    async with gateway_world(tmp_path, settings='[gateway]\nlog_format = "json"', log=lines.append) as world:
        await world.post(chat(), {"Authorization": f"Bearer {key}"})
        await world.post(chat(), {"Authorization": f"Bearer {SECRET}"})
    text = "".join(lines)
    assert [json.loads(line).get("key") for line in lines[0].splitlines()] == [entry.id, None]
    assert key not in text
    assert SECRET not in text


async def test_a_log_that_nobody_reads_holds_up_nothing_and_says_what_is_missing() -> None:
    """Lines beyond the limit are dropped and counted."""
    go_on = threading.Event()
    got: list[str] = []

    def slow(lines: str) -> None:
        go_on.wait(120)
        got.append(lines)

    log = AccessLog(slow, as_json=False, pause_s=0.0, limit=3)
    log.add(record(0))
    await until(lambda: not log._waiting)
    for place in range(1, 6):
        log.add(record(place))
    go_on.set()
    await log.close()
    await log.close()
    text = "".join(got)
    assert [f"req-{place} " in text for place in range(6)] == [True, True, True, True, False, False]
    assert "2 lines of the access log were dropped" in text


async def test_a_reader_that_went_away_ends_no_request() -> None:
    """Lines that cannot be written are lost."""

    def broken(lines: str) -> None:
        raise BrokenPipeError

    log = AccessLog(broken, as_json=True, pause_s=0.0)
    log.add(record(0))
    await until(lambda: not log._waiting)
    log.add(record(1))
    await log.close()


async def test_a_reader_that_stopped_reading_does_not_keep_the_gateway() -> None:
    """Closing ends although a write never does, and no thread is left that the process would wait for."""
    never = threading.Event()

    def stuck(lines: str) -> None:
        never.wait()

    log = AccessLog(stuck, as_json=False, pause_s=0.0)
    log.add(record(0))
    await until(lambda: not log._waiting)
    log.add(record(1))
    await log.close(patience_s=0.0)
    assert log._thread.is_alive()
    assert log._thread.daemon
    never.set()
    log._thread.join(60)
    assert not log._thread.is_alive()
