"""docs/GATEWAY.md shows the real defaults and names all metrics."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from selfopt.settings.serve import GatewaySettings

from .kit import gateway_world

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "GATEWAY.md").read_text("utf-8")


def test_the_defaults_are_the_settings() -> None:
    """The guide shows every key of [gateway] with its default."""
    (block,) = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
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
