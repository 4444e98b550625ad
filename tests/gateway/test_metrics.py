"""The metrics are valid for Prometheus, and hold neither content nor keys."""

from __future__ import annotations

from pathlib import Path

from selfopt.gateway.metrics import LiveCounters

from .kit import chat, gateway_world, tool_chat


def figures(text: str) -> dict[str, float]:
    """Return the series by name and labels. Every line is a comment or a series."""
    lines = [line for line in text.splitlines() if not line.startswith("# ")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def test_requests_fallbacks_and_refusals_are_counted(tmp_path: Path) -> None:
    """One served, one diverted, one refused, one to an unknown path."""
    async with gateway_world(tmp_path) as world:
        world.enforcer.set_rule("up/other", "atomic", allow=False, fallback="up/good")
        world.enforcer.set_rule("beside/good", "atomic", allow=False)
        await world.reload()
        for model in ("up/good", "up/other", "beside/good"):
            await world.post(tool_chat(model))
        await world.get("/nowhere")
        answer = await world.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        found = figures(answer.text)
        assert found['selfopt_requests_total{outcome="served",status="200",stream="false"}'] == 1
        assert found['selfopt_requests_total{outcome="diverted",status="200",stream="false"}'] == 1
        assert found['selfopt_requests_total{outcome="refused",status="403",stream="false"}'] == 1
        assert found['selfopt_fallbacks_total{reason="rule"}'] == 1
        assert found["selfopt_refusals_total"] == 1
        assert found['selfopt_turned_away_total{status="404"}'] == 1
        assert found["selfopt_rules_version"] == 2
        assert "selfopt_audit_lag_seconds" in found
        assert found['selfopt_breaker_state{endpoint="up"}'] == 0
        assert found['selfopt_queue_waiting{endpoint="up"}'] == 0
        assert "sk-upstream" not in answer.text


async def test_the_histogram_adds_up(tmp_path: Path) -> None:
    """The last bucket is the count; streams also count their first byte."""
    async with gateway_world(tmp_path) as world:
        await world.post(chat())
        await world.post(chat(stream=True))
        found = figures((await world.get("/metrics")).text)
        buckets = [value for name, value in found.items() if name.startswith("selfopt_request_seconds_bucket")]
        assert buckets == sorted(buckets)
        assert buckets[-1] == found["selfopt_request_seconds_count"] == 2
        assert found["selfopt_first_byte_seconds_count"] == 1
        assert found["selfopt_request_seconds_sum"] > 0


async def test_an_open_breaker_shows(tmp_path: Path) -> None:
    """Its state is 2, and the faults are counted. Models without a rule have no name there."""
    down = {"default": {"text": "x", "fault": {"kind": "status", "status": 500}}}
    options = {"retries": 0, "breaker_faults": 1, "breaker_s": 60.0}
    async with gateway_world(tmp_path, {"failing": down, "stranger": down}, options=options) as world:
        world.enforcer.set_rule("up/failing", "atomic", allow=True)
        await world.reload()
        await world.post(chat("up/failing"))
        await world.post(chat("up/good"))
        await world.post(chat("up/stranger"))
        found = figures((await world.get("/metrics")).text)
        assert found['selfopt_breaker_state{endpoint="up"}'] == 0
        assert found['selfopt_model_breaker_state{endpoint="up",model="up/failing"}'] == 2
        assert found['selfopt_model_breaker_state{endpoint="up",model="other"}'] == 2
        assert found['selfopt_attempt_faults_total{fault="server"}'] == 2


def test_several_processes_tell_apart_what_they_count() -> None:
    """Every figure has a label, unless one process serves."""
    alone, third = LiveCounters(), LiveCounters()
    gauges = {"selfopt_connections": ("Open connections of clients.", 2.0)}
    for each in (alone, third):
        each.turned_away(401)
    plain, labelled = alone.text([], gauges).decode(), third.text([], gauges, "3").decode()
    assert 'selfopt_turned_away_total{status="401",worker="3"} 1\n' in labelled
    assert 'selfopt_connections{worker="3"} 2\n' in labelled
    assert 'selfopt_request_seconds_bucket{le="+Inf",worker="3"} 0\n' in labelled
    assert all('worker="3"' in line for line in labelled.splitlines() if not line.startswith("#"))
    assert "worker" not in plain
