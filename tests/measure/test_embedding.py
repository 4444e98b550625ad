"""A variant that asks an embedding model is measured with it, and with nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from selfopt.errors import EndpointError
from selfopt.ledger import MemoryLedger
from selfopt.measure.budget import Budget, BudgetMeter
from selfopt.measure.context import Desk, MeasureContext
from selfopt.measure.earlier import earlier_trials
from selfopt.measure.observing import is_observed
from selfopt.measure.rescore import rescore
from selfopt.records import (
    ChatRequest,
    Environment,
    Outcome,
    ReplyContent,
    Run,
    Suite,
    ToolDefinition,
    Trial,
    Variant,
    Verdict,
)
from selfopt.records.seams import EmbeddingSource
from selfopt.variants.options import embedded_by
from selfopt.variants.space import composed, point_from

from .kit import Bench, FakeEndpoint, FakeResidency, make_spec, make_suite, run_once

OTHERS = tuple(ToolDefinition(name=name, description="Something else.") for name in ("play", "send", "buy"))


def wide_suite() -> Suite:
    """The small suite with four tools, of which words would choose `get_weather`."""
    small = make_suite()
    return small.model_copy(update={"tool_sets": {"t": (*small.tool_sets["t"], *OTHERS)}})


def embeds(request: ChatRequest) -> ReplyContent:
    """Say that the last tool is the most similar one."""
    return ReplyContent(text=json.dumps([0.1] * (len(request.messages) - 2) + [0.9]), finish_reason="stop")


def variant(by: str = "meaning", model: str = "e/m") -> Variant:
    """Shows one tool."""
    return embedded_by(composed(point_from(f"keep_tools=one tools_by={by}")), model)


def context(bench: Bench, endpoint: FakeEndpoint, digest: str = "d1") -> MeasureContext:
    """A context with an embedding model."""
    source = EmbeddingSource(endpoint, FakeResidency(extra={"digest": digest}), "m")
    return bench.context(embedding_for=lambda spec: source)


@pytest.fixture
def bench() -> Bench:
    """Four tools and a perfect model."""
    return Bench(ledger=MemoryLedger(), suite=wide_suite())


async def test_the_model_is_shown_what_the_embedding_model_chose(bench: Bench) -> None:
    """Both requests of each prompt are kept, and the first says nothing of the model's log probabilities."""
    endpoint = FakeEndpoint(embeds)
    await run_once(make_spec(bench.suite, variant=variant()), context(bench, endpoint))
    asked = list(bench.endpoint.asked)
    assert {tuple(tool.name for tool in request.tools) for request in asked} == {("buy",)}
    assert {len(request.messages) for request in endpoint.asked} == {5}
    trials = list(bench.ledger.read(Trial))
    assert len(trials) == len(bench.suite.prompts)
    for trial in trials:
        assert [exchange.step for exchange in trial.exchanges] == ["embed", "answer"]
        assert is_observed(trial.model_copy(update={"exchanges": trial.exchanges[:1]}))
        assert trial.fault is None


async def test_an_embedding_that_fails_is_a_fault_and_never_a_choice_of_words(bench: Bench) -> None:
    """The model is not asked, and the trial says how it failed."""

    def fails(_request: ChatRequest) -> EndpointError:
        return EndpointError("no embeddings: a vector is zero", kind="protocol")

    with pytest.raises(EndpointError, match="the server only fails: no embeddings"):
        await run_once(make_spec(bench.suite, variant=variant()), context(bench, FakeEndpoint(fails)))
    assert bench.endpoint.asked == []
    trials = [trial for trial in bench.ledger.read(Trial) if trial.asked]
    assert trials
    for trial in trials:
        assert (trial.fault, [exchange.step for exchange in trial.exchanges]) == ("error", ["embed"])
        assert trial.exchanges[0].attempts[-1].fault == "protocol"
        assert "a vector is zero" in trial.exchanges[0].attempts[-1].error
    assert {verdict.outcome for verdict in bench.ledger.read(Verdict)} == {Outcome.ERROR}


async def test_a_failed_embedding_is_asked_for_again(bench: Bench) -> None:
    """As often as any other request."""
    failed: list[ChatRequest] = []

    def once(request: ChatRequest) -> Any:
        if len(failed) < 1:
            failed.append(request)
            return EndpointError("busy", kind="server")
        return embeds(request)

    await run_once(make_spec(bench.suite, variant=variant(), retries=1), context(bench, FakeEndpoint(once)))
    first = next(iter(bench.ledger.read(Trial)))
    assert [len(exchange.attempts) for exchange in first.exchanges] == [2, 1]
    assert first.fault is None


async def test_stored_trials_are_judged_again_without_the_embedding_model(bench: Bench) -> None:
    """What it said is stored like any reply."""
    endpoint = FakeEndpoint(embeds)
    await run_once(make_spec(bench.suite, variant=variant()), context(bench, endpoint))
    runs, asked = [run.run_id for run in bench.ledger.read(Run)], len(endpoint.asked)
    found = await rescore(bench.ledger, runs, bench.suite, ("native",))
    assert (len(found.trials), found.skipped) == (len(bench.suite.prompts), ())
    assert len(endpoint.asked) == asked
    assert {one.verdict.outcome for one in found.trials} == {Outcome.PASS}


async def test_the_digest_of_the_embedding_model_is_a_part_of_the_environment(bench: Bench) -> None:
    """Replies that were chosen by another one don't stand for those of now."""
    bench.residency.extra = {"digest": "of the model"}
    spec = make_spec(bench.suite, variant=variant())
    await run_once(spec, context(bench, FakeEndpoint(embeds)))
    (environment,) = bench.ledger.read(Environment)
    assert environment.embedding_digest == "d1"
    assert not environment.compatible_with(environment.model_copy(update={"embedding_digest": "d2"}))
    prompts = [prompt.id for prompt in bench.suite.prompts]
    for digest, found in (("d1", len(prompts)), ("d2", 0)):
        desk = Desk.of(context(bench, FakeEndpoint(embeds), digest), BudgetMeter(Budget(), bench.time.clock))
        assert len(await earlier_trials(desk, spec, prompts, before="9999-01-01T00:00:00.000Z")) == found


def test_another_embedding_model_is_another_spec_and_none_is_as_before() -> None:
    """So no verdict is carried over; a spec and an environment without one are what they were."""
    suite = wide_suite()
    specs = [make_spec(suite, variant=variant(model=name)) for name in ("e/m", "e/n")]
    assert specs[0].request_id != specs[1].request_id
    plain = Environment(endpoint="e", model="e/m")
    assert "embedding_digest" not in plain.model_dump(mode="json")
