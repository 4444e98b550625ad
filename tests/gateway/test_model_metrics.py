"""Figures by model are bounded whatever clients ask for, never fall, and lose no request."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from selfopt.gateway import LiveCounters, ModelCounters
from selfopt.gateway.ticket import RequestRecord, Ticket

from .kit import chat, gateway_world, tool_chat
from .test_harness import MODELS, asking, promote

BLANK = Ticket(0.0).record("2026-01-02T03:04:05Z", 0.01, 200)


def record(model: str, served: str | None = None, **fields: object) -> RequestRecord:
    return msgspec.structs.replace(BLANK, model=model, served=model if served is None else served, outcome="served", **fields)


def series(text: str, name: str) -> dict[tuple[str, ...], float]:
    """Return the samples of a metric by the values of their labels, as the official parser reads them."""
    families = text_string_to_metric_families(text)
    return {tuple(s.labels.values()): s.value for family in families for s in family.samples if s.name == name}


def counted(counters: ModelCounters) -> dict[tuple[str, ...], float]:
    return series("\n".join(counters.lines()) + "\n", "selfopt_model_requests_total")


async def test_requests_are_told_apart_by_model_and_variant(tmp_path: Path) -> None:
    """A name that settings, rules or a server have is a label, and one that only a client has is not."""
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, "native_parsed")
        await world.post(asking("weather?"))
        world.enforcer.set_rule("up/other", "atomic", allow=False, fallback="up/good")
        await world.reload()
        await world.post(tool_chat("up/other"))
        await world.post(chat("up/made-up-by-a-client"))
        await world.post(chat("made-up"))
        await world.post(b"[]")
        text = (await world.get("/metrics")).text
        ruled = asking("weather?")["model"]
        assert series(text, "selfopt_model_requests_total") == {
            (ruled, ruled, "atomic", "native_parsed", "served"): 1,
            ("up/other", "up/good", "atomic", "none", "diverted"): 1,
            ("other", "other", "atomic", "none", "rejected"): 1,
            ("other", "none", "none", "none", "rejected"): 2,
        }
        assert "made-up" not in text
        assert ("up/good", "input") in series(text, "selfopt_model_tokens_total")
        assert series(text, "selfopt_model_request_seconds_count")[("up/good",)] == 1


async def test_a_model_that_a_server_lists_is_named(tmp_path: Path) -> None:
    """Nobody has to make a rule for it, or to ask for the list first."""
    async with gateway_world(tmp_path) as world:
        await world.post(chat("up/good"))
        found = series((await world.get("/metrics")).text, "selfopt_model_requests_total")
        assert found == {("up/good", "up/good", "atomic", "none", "served"): 1}


NAMES = st.sampled_from(["up/a", "up/b", "other", "none", "up/c", 'x"\\\n', ""])
ASKED = st.tuples(NAMES, NAMES | st.none(), st.sampled_from(["atomic", None]), st.sampled_from(["v", None]))


@given(
    batches=st.lists(st.lists(ASKED, max_size=8), max_size=6),
    known=st.lists(st.sets(NAMES), min_size=6, max_size=6),
    most=st.integers(0, 4),
)
def test_no_figure_falls_and_no_request_is_lost(
    batches: Sequence[Sequence[tuple[str, str | None, str | None, str | None]]], known: Sequence[Collection[str]], most: int
) -> None:
    """Whichever names become known in between, and however few series there may be."""
    now: list[Collection[str]] = [()]
    counters = ModelCounters(lambda: now[0], most_rows=most)
    before: dict[tuple[str, ...], float] = {}
    total = 0
    for names, batch in zip(known, batches, strict=False):
        now[0] = names
        for model, served, phase, variant in batch:
            counters.add(msgspec.structs.replace(BLANK, model=model, served=served, phase=phase, variant=variant))
        total += len(batch)
        after = counted(counters)
        assert sum(after.values()) == total
        assert all(after.get(key, 0) >= value for key, value in before.items())
        assert sum(key[0] != "other" or key[3] != "other" for key in after) <= most
        before = after


def test_the_names_that_clients_make_up_fill_no_memory() -> None:
    """Twenty thousand of them are one series, and what is known stays apart."""
    counters = ModelCounters(lambda: ("up/good",))
    for place in range(20_000):
        counters.add(record(f"up/{place}"))
        if place % 1000 == 0:
            counters.add(record("up/good"))
    assert len(counters._rows) <= 1000
    assert counted(counters) == {
        ("other", "other", "none", "none", "served"): 20_000,
        ("up/good", "up/good", "none", "none", "served"): 20,
    }


def test_models_without_number_have_a_bounded_number_of_series() -> None:
    """Also where rules name all of them: the first two hundred, and three dozen of histograms."""
    names = [f"up/{place}" for place in range(1000)]
    counters = ModelCounters(lambda: names)
    for name in names:
        counters.add(record(name))
    text = "\n".join(counters.lines()) + "\n"
    assert len(series(text, "selfopt_model_requests_total")) == 201
    assert sum(series(text, "selfopt_model_requests_total").values()) == 1000
    assert len(series(text, "selfopt_model_request_seconds_count")) == 33
    assert sum(series(text, "selfopt_model_request_seconds_count").values()) == 1000


def test_counting_by_model_takes_microseconds() -> None:
    """Far below a tenth of a millisecond on a busy machine; about one microsecond on a quiet one."""
    counters, one = ModelCounters(lambda: ("up/good",)), record("up/good", phase="atomic", variant="v")
    best = min(_timed(counters, one) for _ in range(5))
    assert best < 30e-6


def _timed(counters: ModelCounters, one: RequestRecord) -> float:
    began = time.process_time()
    for _ in range(2000):
        counters.add(one)
    return (time.process_time() - began) / 2000


@pytest.mark.parametrize("worker", ["", "3"])
def test_the_official_parser_reads_every_figure(worker: str) -> None:
    """Each family comes once, with its type, and a histogram's buckets add up."""
    counters = LiveCounters(ModelCounters(lambda: ("up/good", 'odd "name"\\')))
    ticket = Ticket(0.0)
    for name in ("up/good", 'odd "name"\\', "nobody"):
        counters.add(record(name, phase="atomic", stream=True, first_byte_ms=3.0, input_tokens=3, output_tokens=4), ticket)
    counters.turned_away(401)
    families = list(text_string_to_metric_families(counters.text([], {"selfopt_connections": ("Open.", 2.0)}, worker).decode()))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    assert all(family.documentation and family.type in ("counter", "gauge", "histogram") for family in families)
    for family in families:
        assert all((sample.labels.get("worker", "") == worker) for sample in family.samples)
        seen = [(s.name, *sorted(s.labels.items())) for s in family.samples]
        assert len(seen) == len(set(seen)), family.name
    found = {family.name: family for family in families}
    assert 'odd "name"\\' in {sample.labels["served"] for sample in found["selfopt_model_tokens"].samples}
    build = found["selfopt_build_info"].samples[0]
    assert build.value == 1
    assert {"version", "python"} <= set(build.labels)
