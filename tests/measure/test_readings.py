"""Many chains judge the same replies as each would alone, and each differing reading is made once."""

from __future__ import annotations

from typing import Any

import pytest

import selfopt.measure.readings as readings_module
from selfopt.ledger import MemoryLedger
from selfopt.measure.readings import read_by_each
from selfopt.measure.rescore import ensure_verdicts
from selfopt.reading import read_calls
from selfopt.records import (
    Blob,
    ChatReply,
    ChatRequest,
    Ledger,
    LogProbs,
    Outcome,
    ParsedReply,
    Record,
    ReplyContent,
    Run,
    ToolCall,
    Trial,
    Variant,
    Verdict,
)
from selfopt.variants.space import composed, point_text, readings_of

from .kit import Bench, FakeEndpoint, make_spec, make_suite, right_answer, run_once


def _said(request: ChatRequest) -> ReplyContent:
    """Right for some cities, wrong for others, a call too many where none is needed."""
    said = right_answer(request)
    if said.text:
        return ReplyContent(text="", tool_calls=(ToolCall(name="get_weather", arguments={"city": "Rome"}),))
    city = str(said.tool_calls[0].arguments["city"])
    return said if len(city) % 2 else ReplyContent(tool_calls=(ToolCall(name="get_wether", arguments={"city": city, "x": 1}),))


class Surely(FakeEndpoint):
    """Gives each reply a sum of its own; every fifth has none."""

    async def chat(self, request: ChatRequest) -> ChatReply:
        reply, place = await super().chat(request), len(self.asked)
        if request.logprobs is None or place % 5 == 0:
            return reply
        values = (-0.37 * (place % 20), -0.1)
        columns: dict[str, Any] = {"tokens": ("a", "b"), "logprobs": values, "top_tokens": ((), ()), "top_logprobs": ((), ())}
        return reply.model_copy(update={"logprobs": LogProbs(**columns)})


async def _measured(bench: Bench, ledger: Ledger) -> tuple[Any, list[Trial]]:
    bench.ledger, bench.endpoint, bench.suite = ledger, Surely(_said), make_suite(12, 4)
    spec = make_spec(bench.suite, variant=Variant(name="x", parsers=("all@2",)))
    result = await run_once(spec, context=bench.context(logprobs_for=lambda spec: 5))
    return spec, [trial for run_id in result.run_ids for trial in ledger.read(Trial, {"run_id": run_id})]


async def test_each_chain_gives_the_verdicts_that_it_gives_alone(bench: Bench, ledger: Ledger) -> None:
    """To the last word, for every reading of the space, with and without log probabilities."""
    spec, trials = await _measured(bench, ledger)
    chains = {point_text(point): composed(point).parsers for point in readings_of({}, ("logprobs",))}
    assert len(chains) > 100
    found = read_by_each(ledger, spec, bench.suite, trials, chains)
    kinds = set()
    measured: list[Record] = [*ledger.read(Run), *ledger.read(Blob)]
    for key, chain in chains.items():
        # In a ledger of its own: in one that keeps the verdicts of all chains, each would read those of the chains before it.
        own = MemoryLedger()
        await own.append(measured)
        alone = await ensure_verdicts(own, spec, bench.suite, trials, chain)
        assert found[key] == [item.verdict for item in alone.trials]
        kinds |= {made.kind for verdict in found[key] for made in verdict.parsed.corrections}
    assert {"unsure", "unsure_unknown"} <= kinds


async def test_thresholds_cost_no_reading(bench: Bench, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as there are chains without them."""
    spec, trials = await _measured(bench, ledger)
    reads: list[object] = []

    def counted(*given: Any) -> ParsedReply:
        reads.append(given)
        return read_calls(*given)

    monkeypatch.setattr(readings_module, "read_calls", counted)
    chains = {name: ("all@2", *name.split()) for name in ("fit@2", "fit@2 sure-1", "fit@2 sure-4", "sure-1", "sure-4 fit@2")}
    read_by_each(ledger, spec, bench.suite, trials, chains)
    assert len(reads) == 3 * len(trials)


async def test_a_chain_that_needs_them_judges_stored_replies_by_their_own(bench: Bench, ledger: Ledger) -> None:
    """A spec is measured, judged again and shown with the same verdicts."""
    bench.ledger, bench.endpoint, bench.suite = ledger, Surely(_said), make_suite(12, 4)
    spec = make_spec(bench.suite, variant=Variant(name="x", parsers=("all@2", "fit@2", "sure-2")))
    result = await run_once(spec, context=bench.context(logprobs_for=lambda spec: 5))
    trials = [trial for run_id in result.run_ids for trial in ledger.read(Trial, {"run_id": run_id})]
    first = {verdict.trial_id: verdict for verdict in ledger.read(Verdict)}
    other = Variant(name="y", parsers=("all@2", "sure-2"))
    await ensure_verdicts(ledger, spec, bench.suite, trials, other.parsers)
    again = read_by_each(ledger, spec, bench.suite, trials, {"same": spec.variant.parsers})["same"]
    assert again == [first[trial.trial_id] for trial in trials]
    assert {verdict.outcome for verdict in again} >= {Outcome.PASS, Outcome.MISSED}
