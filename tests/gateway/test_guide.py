"""docs/GATEWAY.md shows the real defaults and names all metrics."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from selfopt.settings.otel import OtelSettings
from selfopt.settings.serve import GatewaySettings
from selfopt.wiring.otel_facts import INSTRUMENTS

from .kit import gateway_world

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDE = (DOCS / "GATEWAY.md").read_text("utf-8")
WATCHING = (DOCS / "OBSERVE.md").read_text("utf-8")


def test_the_defaults_are_the_settings() -> None:
    """The guide shows every key of [gateway] with its default."""
    block = max(re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL), key=len)
    shown = tomllib.loads(block)["gateway"]
    assert set(shown) == set(GatewaySettings.model_fields)
    assert GatewaySettings.model_validate(shown) == GatewaySettings()


WHERE_SPANS_ARE_SENT = {"selfopt_traced_requests_total"}


async def test_every_metric_is_named(tmp_path: Path) -> None:
    """The guide names all metrics and no others."""
    async with gateway_world(tmp_path) as world:
        told = re.findall(r"^# TYPE (\S+)", (await world.get("/metrics")).text, re.MULTILINE)
    section = GUIDE.partition("## Metrics")[2].partition("\n## ")[0]
    assert len(told) == len(set(told))
    assert {*told, *WHERE_SPANS_ARE_SENT} == {*re.findall(r"`(selfopt_\w+)`", section)}


def test_the_settings_of_traces_are_named_with_their_defaults() -> None:
    """All keys of [otel], as the page says it. The guide's block has some of them."""
    section = WATCHING.partition("| setting | usual |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \|", section, re.MULTILINE)
    shown = {key: tomllib.loads(f"value = {value.strip('`')}")["value"] for key, value in rows if value != "none"}
    assert {key for key, _ in rows} == set(OtelSettings.model_fields)
    assert OtelSettings.model_validate(shown) == OtelSettings()
    block = max(re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL), key=len)
    assert OtelSettings.model_validate(tomllib.loads(block)["otel"]) == OtelSettings()


def test_the_metrics_that_a_collector_gets_are_named() -> None:
    """All of them and no others."""
    section = WATCHING.partition("### Metrics")[2]
    assert set(re.findall(r"`(gen_ai\.[\w.]+)`", section)) == set(INSTRUMENTS)
