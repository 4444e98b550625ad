"""A client's trace goes on to model servers that may know, and is named in records and logs."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from selfopt.cli.log_lines import LogLines
from selfopt.gateway import Tracing
from selfopt.gateway.tracing import TracedRequest
from selfopt.records.trace import onward_trace, present_trace
from selfopt.web import HttpRequest

from .heard import hear
from .kit import chat, gateway_world, tool_chat
from .test_harness import MODELS, asking, promote

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CAME = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=1"}
REMOTE = "allow_remote = true\n"


async def test_a_clients_trace_reaches_servers_on_this_machine_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passed on, through a variant, whole and streamed. The next request has no part in it."""
    heard = hear(monkeypatch)
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, "native_parsed")
        for body in (chat(), chat(stream=True), asking("weather?"), asking("weather?", stream=True)):
            heard.clear()
            assert (await world.post(body, CAME)).status == 200
            assert heard
            assert all({name: one.get(name) for name in CAME} == CAME for one in heard)
            heard.clear()
            assert (await world.post(body)).status == 200
            assert not any(set(CAME) & set(one) for one in heard)
        traced = [record for record in world.records if record.trace_id is not None]
        assert len(traced) == 4
        assert {(record.trace_id, record.span_id) for record in traced} == {(TRACE, SPAN)}
    assert onward_trace.get() is present_trace.get() is None


@pytest.mark.parametrize(
    ("wanted", "told"),
    [("", {"up/good"}), ('[otel]\nupstream = "all"', {"up/good", "away/good"}), ('[otel]\nupstream = "off"', set())],
)
async def test_a_server_elsewhere_hears_of_no_trace_unless_the_settings_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str, told: set[str]
) -> None:
    """The fallback of a traced request is such a server too."""
    heard = hear(monkeypatch)
    async with gateway_world(tmp_path, settings=REMOTE + wanted) as world:
        for model in ("up/good", "away/good"):
            heard.clear()
            assert (await world.post(chat(model), CAME)).status == 200
            assert ("traceparent" in heard[0]) == (model in told)


async def test_a_fallback_elsewhere_does_not_hear_of_the_trace_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first attempt's server does."""
    heard = hear(monkeypatch)
    broken = {"default": {"text": "x", "fault": {"kind": "status", "status": 500}}}
    async with gateway_world(tmp_path, {"broken": broken}, settings=REMOTE, options={"retries": 0}) as world:
        world.enforcer.set_rule("up/broken", "atomic", allow=True, fallback="away/good")
        await world.reload()
        assert (await world.post(tool_chat("up/broken"), CAME)).status == 200
    assert ["traceparent" in one for one in heard] == [True, False]


@pytest.mark.parametrize("parent", ["", "nonsense", f"00-{TRACE}-{SPAN}-01, 00-{TRACE}-{SPAN}-01"])
async def test_a_header_that_is_no_trace_is_as_if_it_had_not_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parent: str
) -> None:
    """The request is served."""
    heard = hear(monkeypatch)
    async with gateway_world(tmp_path) as world:
        assert (await world.post(chat(), {"traceparent": parent})).status == 200
        assert "traceparent" not in heard[0]
        assert world.records[0].trace_id is None


async def test_json_lines_name_the_trace(tmp_path: Path) -> None:
    """Of chats, and of requests that are turned away; lines without a trace have no such keys."""
    lines: list[str] = []
    async with gateway_world(tmp_path, settings='[gateway]\nlog_format = "json"', log=lines.append) as world:
        await world.post(chat(), CAME)
        await world.post(chat())
        await world.get("/nowhere", CAME)
        await world.get("/nowhere")
    told = [json.loads(line) for line in "".join(lines).splitlines()]
    assert [(one.get("trace_id"), one.get("span_id")) for one in told] == [(TRACE, SPAN), (None, None)] * 2
    assert not any("trace_id" in one for one in told[1::2])


async def test_the_gateways_own_messages_name_the_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where a request brings them about."""
    broken = {"default": {"text": "x", "fault": {"kind": "status", "status": 500}}}
    handler = LogLines()
    handler.as_json = True
    handler.attach(logging.INFO)
    try:
        options = {"retries": 0, "breaker_faults": 1}
        async with gateway_world(tmp_path, {"broken": broken}, options=options) as world:
            await world.post(chat("up/broken"), CAME)
        logging.getLogger("selfopt.gateway").warning("later")
    finally:
        handler.detach()
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (told[0]["trace_id"], told[0]["span_id"]) == (TRACE, SPAN), told
    assert told[-1]["message"] == "later"
    assert "trace_id" not in told[-1]


def test_a_request_without_a_trace_costs_one_look() -> None:
    """Nothing is made for it while no spans are wanted."""
    assert Tracing().begin(HttpRequest(0.0)) is None


def test_the_share_of_the_settings_is_sampled_of_traces_that_begin_here() -> None:
    """Each has an id of its own."""

    class Sink:
        def add(self, request: TracedRequest) -> None:
            """Take it."""

        def lines(self) -> list[str]:
            return []

        async def close(self) -> None:
            """Nothing waits."""

    tracing = Tracing(Sink(), share=0.5)
    own = [trace.own for trace in (tracing.begin(HttpRequest(0.0)) for _ in range(400)) if trace is not None]
    assert 100 < sum(trace is not None and trace.sampled for trace in own) < 300
    assert len({trace.trace_id for trace in own if trace is not None}) == 400
