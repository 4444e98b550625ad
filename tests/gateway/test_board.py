"""The board and the scrape example in deploy/ fit what the gateway tells."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from selfopt.gateway import LiveCounters
from selfopt.gateway.ticket import LiveAttempt, Ticket

from .kit import chat, gateway_world, tool_chat

DEPLOY = Path(__file__).parents[2] / "deploy"
BOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "selfopt.json").read_text("utf-8"))
PANELS: list[dict[str, Any]] = BOARD["panels"]
QUERIES = [target["expr"] for panel in PANELS for target in panel.get("targets", ())]
VARIABLES = {one["name"]: one for one in BOARD["templating"]["list"]}
NAME = re.compile(r"\bselfopt_[a-z_]+")
SELECTED = re.compile(r"(selfopt_[a-z_]+)\{([^}]*)\}")
GROUPED = re.compile(r"\bby \(([^)]*)\)")
OF_PROMETHEUS = {"instance", "job"}
# Series of these come with thresholds in force or with budgets only; their labels are those that the gateway's code names.
SOMETIMES = {
    "selfopt_void_thresholds": {"reason"},
    "selfopt_drift_level": {"watched"},
    "selfopt_budget_used_share": {"key", "span"},
    "selfopt_allowance_refusals_total": {"limit"},
    "selfopt_budget_warnings_total": {"span"},
}


def crafted() -> str:
    """Return figures of requests of every kind."""
    ticket = Ticket(
        0.0, least=0.5, confidence=0.4, judged=True, escalated=["unsure"], attempts=[LiveAttempt("a/b", 1.0, "server")]
    )
    record = ticket.record("2026-01-02T03:04:05Z", 0.01, 200)
    told = msgspec.structs.replace(
        record, served="a/b", stream=True, first_byte_ms=1.0, outcome="diverted", cost=1.0, cost_alone=2.0
    )
    counters = LiveCounters()
    counters.add(told, ticket)
    counters.turned_away(401)
    return counters.text([], {}).decode()


@pytest.fixture
async def told(tmp_path: Path) -> dict[str, set[str]]:
    """Names of series and the labels that they have, of a gateway that served, failed and refused."""
    down = {"default": {"text": "x", "fault": {"kind": "status", "status": 500}}}
    async with gateway_world(tmp_path, {"failing": down}, options={"retries": 0, "breaker_faults": 1}) as world:
        world.enforcer.set_rule("up/other", "atomic", allow=False, fallback="up/good")
        await world.reload()
        for body in (chat(), chat(stream=True), tool_chat("up/other"), chat("up/failing"), b"[]"):
            await world.post(body)
        text = (await world.get("/metrics")).text
    found: dict[str, set[str]] = {}
    for part in (text, crafted()):
        for family in text_string_to_metric_families(part):
            found.setdefault(f"{family.name}_total" if family.type == "counter" else family.name, set())
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
    return found


async def test_every_figure_that_the_board_asks_for_is_told(told: dict[str, set[str]]) -> None:
    """With every label that it selects or groups by."""
    assert len(QUERIES) > 20
    for query in QUERIES:
        names = set(NAME.findall(query))
        assert names, query
        assert names <= set(told), query
        labels = set().union(*(told[name] | SOMETIMES.get(name, set()) for name in names))
        for name, selectors in SELECTED.findall(query):
            selected = {one.partition("=")[0] for one in selectors.split(",")}
            assert selected - OF_PROMETHEUS <= told[name], query
        for grouped in GROUPED.findall(query):
            assert {one.strip() for one in grouped.split(",")} <= labels, query
    assert NAME.findall(VARIABLES["served"]["definition"])[0] in told


def test_legends_name_labels_that_the_query_keeps() -> None:
    """A legend with a label that is not there shows nothing."""
    for target in (target for panel in PANELS for target in panel.get("targets", ())):
        kept = {one.strip() for grouped in GROUPED.findall(target["expr"]) for one in grouped.split(",")}
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept, target


def test_the_board_has_all_its_parts_and_names_no_data_source_of_ours() -> None:
    """Each panel has an id, a place and a unit of its own; what queries refer to is there."""
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        mine = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not mine & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= mine
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert panel["targets"]
            assert panel["fieldConfig"]["defaults"]["unit"]
    for query in QUERIES:
        assert set(re.findall(r"\$(\w+)", query)) <= {*VARIABLES, "__rate_interval", "__range"}, query
        assert query.count("(") == query.count(")")
    assert VARIABLES["datasource"]["type"] == "datasource"
    told = {word for panel in PANELS for word in panel["title"].casefold().split()}
    assert {"requests", "share", "time", "tokens", "cost", "saved", "breakers", "queue", "void", "errors"} <= told


async def test_the_scrape_example_reads_a_gateway(tmp_path: Path) -> None:
    """Its path is there, and the gateway's usual port."""
    jobs = yaml.safe_load((DEPLOY / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    assert jobs[0]["static_configs"][0]["targets"] == ["127.0.0.1:8484"]
    async with gateway_world(tmp_path) as world:
        assert world.app.settings.gateway.port == 8484
        assert (await world.get(jobs[0]["metrics_path"])).status == 200
