"""What is sent to an OpenTelemetry collector follows the published conventions, and is never content."""

from __future__ import annotations

import importlib
import json
import threading
import warnings
from pathlib import Path
from typing import ClassVar

import pytest

from selfopt.errors import SettingsError
from selfopt.wiring import otel_facts, otel_spans

from .collector import Collector, Span, collecting, published_names
from .heard import hear
from .kit import World, chat, gateway_world, tool_chat
from .test_harness import MODELS, asking, promote

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECRET = "sk-selfopt-nobody-may-see-this"


def settings(collector: Collector, more: str = "") -> str:
    return f'[otel]\nenabled = true\nendpoint = "{collector.url}"\n{more}\n'


def published_metrics() -> dict[str, str]:
    """The names of the published GenAI metrics, with their units."""

    class Meter:
        units: ClassVar[dict[str, str]] = {}

        def create_histogram(self, name: str, description: str, unit: str) -> None:
            self.units[name] = unit

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = importlib.import_module("opentelemetry.semconv._incubating.metrics.gen_ai_metrics")
        for name, make in vars(module).items():
            if name.startswith("create_"):
                make(Meter())
    return Meter.units


async def spans(world: World, collector: Collector) -> tuple[list[Span], list[Span]]:
    """Close the gateway; return the spans of requests and those of attempts, in order."""
    await world.gateway.close()
    found = sorted(collector.spans, key=lambda span: span.began)
    return [s for s in found if s.kind == "server"], [s for s in found if s.kind == "client"]


async def test_a_request_and_its_attempt_are_spans_of_the_clients_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids, times, names and attributes. The server hears the attempt's span as its parent."""
    sent = hear(monkeypatch)
    with collecting() as collector:
        async with gateway_world(tmp_path, MODELS, settings=settings(collector)) as world:
            await promote(world, "native_parsed")
            answer = await world.post(asking("weather? " + SECRET), {"traceparent": PARENT, "tracestate": "vendor=1"})
            assert answer.status == 200
            served, attempts = await spans(world, collector)
            record = world.records[0]
    assert len(served) == len(attempts) == 1
    mine, its = served[0], attempts[0]
    assert mine.trace_id == its.trace_id == record.trace_id == PARENT[3:35]
    assert (mine.parent, its.parent, mine.span_id) == (PARENT[36:52], mine.span_id, record.span_id)
    assert mine.state == its.state == "vendor=1"
    assert mine.began <= its.began <= its.ended <= mine.ended
    assert abs((mine.ended - mine.began) / 1e6 - record.latency_ms) < 0.01
    assert sent[-1]["traceparent"] == f"00-{mine.trace_id}-{its.span_id}-01"
    assert sent[-1]["tracestate"] == "vendor=1"
    assert mine.name == f"chat {record.served}"
    model = str(record.served).partition("/")[2]
    assert mine.facts == {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "selfopt", "gen_ai.request.model": record.served,
        "gen_ai.request.stream": False, "gen_ai.response.model": record.served, "gen_ai.response.finish_reasons": ["tool_calls"],
        "gen_ai.usage.input_tokens": record.input_tokens, "gen_ai.usage.output_tokens": record.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": 0, "server.address": "127.0.0.1", "http.response.status_code": 200, "selfopt.request.id": record.id,
        "selfopt.outcome": "served", "selfopt.phase": "atomic", "selfopt.rule": record.rule, "selfopt.rules.version": record.version,
        "selfopt.variant": "native_parsed", "selfopt.cost": 0.0,
    }  # fmt: skip
    assert its.facts == {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": model,
        "gen_ai.usage.input_tokens": record.input_tokens, "gen_ai.usage.output_tokens": record.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": 0, "server.address": "127.0.0.1", "server.port": its.facts["server.port"], "selfopt.endpoint": "up", "selfopt.model": record.served,
    }  # fmt: skip
    assert collector.resources[0]["service.name"] == "selfopt"
    assert not mine.error
    assert not its.error


async def test_whatever_is_sent_has_a_published_name_and_no_content(tmp_path: Path) -> None:
    """Of answered, diverted, refused, failed, streamed and rejected requests, as spans and as metrics."""
    broken = {"default": {"text": "x", "fault": {"kind": "status", "status": 500}}}
    names, metrics = published_names(), published_metrics()
    with collecting() as collector:
        world_settings = settings(collector)
        async with gateway_world(
            tmp_path, {**MODELS, "broken": broken}, settings=world_settings, options={"retries": 0}
        ) as world:
            await promote(world, "native_parsed")
            world.enforcer.set_rule("up/broken", "atomic", allow=True, fallback="up/good")
            world.enforcer.set_rule("up/other", "atomic", allow=False)
            await world.reload()
            for body in (
                asking("weather? " + SECRET, stream=True), asking("weather? " + SECRET), chat(stream=True), tool_chat("up/broken"), tool_chat("up/other"),
                chat("beside/broken"), chat("nobody"), chat("up/" + "\ud800\n" + SECRET[:2] * 300), b"[]",
            ):  # fmt: skip
                await world.post(body)
            text = (await world.get("/metrics")).text
            assert 'selfopt_traced_requests_total{outcome="dropped"} 0' in text
            served, attempts = await spans(world, collector)
    assert len(served) == 9
    assert {"served", "diverted", "refused", "rejected", "failed"} == {span.facts["selfopt.outcome"] for span in served}
    used = {name for span in served + attempts for name in span.facts}
    used |= {name for _, _, facts, _, _ in collector.points for name in facts}
    assert {name for name in used if not name.startswith("selfopt.")} <= names
    assert {(name, unit) for name, unit, *_ in collector.points} <= set(metrics.items())
    assert {name for name, *_ in collector.points} | {"gen_ai.server.time_per_output_token"} == set(otel_facts.INSTRUMENTS)
    reasons = {reason for span in served for reason in span.facts.get("gen_ai.response.finish_reasons", ())}
    assert {"stop", "tool_calls"} <= reasons
    sent = b"".join(collector.bodies)
    for content in (SECRET, "Oslo", "Hello.", "sk-upstream"):
        assert content.encode() not in sent
    failed = [span for span in attempts if span.error]
    assert {span.facts["error.type"] for span in failed} == {"server"}
    assert all(len(span.name) < 100 for span in served)
    models = {str(facts["gen_ai.request.model"]) for _, _, facts, _, _ in collector.points if "gen_ai.request.model" in facts}
    own = {"good", "other", "broken", *MODELS}
    assert models <= own | {f"up/{name}" for name in own} | {f"beside/{name}" for name in own}
    assert {"other", "up/good", "good"} <= models


async def test_a_diverted_request_has_a_span_for_each_attempt(tmp_path: Path) -> None:
    """Each below the request's, and the one that failed says how."""
    broken = {"default": {"text": "x", "fault": {"kind": "status", "status": 500}}}
    with collecting() as collector:
        async with gateway_world(tmp_path, {"broken": broken}, settings=settings(collector), options={"retries": 1}) as world:
            world.enforcer.set_rule("up/broken", "atomic", allow=True, fallback="up/good")
            await world.reload()
            await world.post(tool_chat("up/broken"))
            served, attempts = await spans(world, collector)
    assert [span.parent for span in attempts] == [served[0].span_id] * 3
    assert [span.facts.get("error.type") for span in attempts] == ["server", "server", None]
    assert [span.name for span in attempts] == ["chat up/broken", "chat up/broken", "chat up/good"]
    assert served[0].facts["selfopt.fallback"] == "server"
    assert served[0].parent == ""
    assert len({span.span_id for span in served + attempts}) == 4


@pytest.mark.parametrize(
    ("path", "fields", "operation", "finish"),
    [
        ("/v1/embeddings", {"input": "hi"}, "embeddings", None),
        ("/v1/messages", {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}, "chat", ["stop"]),
        ("/v1/responses", {"input": "hi"}, "chat", ["stop"]),
    ],
)
async def test_every_route_has_its_operation(
    tmp_path: Path, path: str, fields: dict[str, object], operation: str, finish: list[str] | None
) -> None:
    """Whatever the client speaks, one span of the request and one of its attempt."""
    with collecting() as collector:
        async with gateway_world(tmp_path, settings=settings(collector)) as world:
            learning = world.gateway._learning
            assert learning is not None
            await learning
            answer = await world.post({"model": "up/good", **fields}, {"anthropic-version": "2023-06-01"}, path=path)
            assert answer.status == 200, answer.text
            served, attempts = await spans(world, collector)
    assert [span.facts["gen_ai.operation.name"] for span in served + attempts] == [operation] * 2
    assert served[0].name == f"{operation} up/good"
    assert served[0].facts.get("gen_ai.response.finish_reasons") == finish


async def test_a_client_that_wants_no_spans_gets_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its trace goes on, unsampled. Of those that begin here, the settings' share is sampled. Metrics count all."""
    heard = hear(monkeypatch)
    with collecting() as collector:
        async with gateway_world(tmp_path, settings=settings(collector, "sample = 0.0")) as world:
            await world.post(chat(), {"traceparent": PARENT[:-1] + "0"})
            await world.post(chat())
            sent = [headers["traceparent"] for headers in heard]
            served, attempts = await spans(world, collector)
            assert world.records[0].trace_id == PARENT[3:35]
    assert (served, attempts) == ([], [])
    assert sum(count for name, _, _, count, _ in collector.points if name == "gen_ai.server.request.duration") == 2
    assert sent[0].startswith(PARENT[:36])
    assert all(parent.endswith("-00") for parent in sent)


async def test_a_collector_that_is_not_there_holds_nothing_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Requests are answered, what is lost is counted and said once, and closing takes seconds."""
    with collecting(400) as collector:
        async with gateway_world(tmp_path, settings=settings(collector, "queue = 2\nmetrics = false")) as world:
            sink = world.gateway.parts.chat.tracing.sink
            assert sink is not None
            for _ in range(5):
                assert (await world.post(chat())).status == 200
            await world.gateway.close()
            counts = {line.partition(" ")[0]: int(line.rpartition(" ")[2]) for line in sink.lines() if not line.startswith("#")}
    assert sum(counts.values()) == 5
    assert counts['selfopt_traced_requests_total{outcome="sent"}'] == 0
    assert counts['selfopt_traced_requests_total{outcome="failed"}'] >= 2
    assert sum("does not take spans" in record.getMessage() for record in caplog.records) == 1


async def test_without_the_setting_nothing_is_sent_or_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the variables of OpenTelemetry say. OTEL_SDK_DISABLED counts where it is on."""
    heard = hear(monkeypatch)
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        async with gateway_world(tmp_path) as world:
            assert world.gateway.parts.chat.tracing.sink is None
            await world.post(chat())
            assert world.records[0].trace_id is None
            assert "traceparent" not in heard[0]
        environ = {"OTEL_SDK_DISABLED": "true"}
        async with gateway_world(tmp_path, settings="[otel]\nenabled = true", environ=environ) as world:
            assert world.gateway.parts.chat.tracing.sink is None
        assert not any(thread.name == "otel" for thread in threading.enumerate())
    assert collector.headers == []


async def test_the_variables_of_opentelemetry_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the settings name no collector: endpoint, headers, compression and resource."""
    with collecting() as collector:
        for name, value in {
            "ENDPOINT": collector.url, "HEADERS": "x-team=tools", "COMPRESSION": "gzip",
        }.items():  # fmt: skip
            monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "our-gateway")
        async with gateway_world(tmp_path, settings="[otel]\nenabled = true") as world:
            await world.post(chat())
            await spans(world, collector)
    assert collector.resources[0]["service.name"] == "our-gateway"
    assert collector.headers[0]["x-team"] == "tools"
    assert collector.headers[0]["content-encoding"] == "gzip"


async def test_where_the_extra_is_missing_it_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, before anything listens."""
    monkeypatch.setattr(otel_spans, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"pip install '\.\[otel\]'"):
        async with gateway_world(tmp_path, settings="[otel]\nenabled = true"):
            pass


@pytest.mark.parametrize(
    "url", ["ftp://x", "127.0.0.1:4318", "http://", "http://user:pw@x:1", "http://x:99999", "http://x/?a=1", "http://x/#a", ""]
)
async def test_an_endpoint_that_is_no_base_url_is_refused(tmp_path: Path, url: str) -> None:
    """The message says what is allowed."""
    with pytest.raises(SettingsError, match=r"http://127\.0\.0\.1:4318"):
        async with gateway_world(tmp_path, settings=f"[otel]\nendpoint = {json.dumps(url)}"):
            pass
