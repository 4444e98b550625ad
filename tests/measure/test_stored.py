"""Log probabilities are observed: kept beside the reply, read when wanted, and part of no id and no verdict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import pytest

from selfopt.errors import CorruptError
from selfopt.measure.rescore import rescore, stored_contents
from selfopt.measure.show import show_trial
from selfopt.measure.stored import stored_replies
from selfopt.records import Blob, ChatReply, ChatRequest, Ledger, LogProbs, Record, Run, Trial, Variant, Verdict
from selfopt.variants import load_variants
from selfopt.wiring.evidence import ids_of

from .kit import Bench, FakeEndpoint, make_spec, run_once

R = TypeVar("R", bound=Record)


class Observed(FakeEndpoint):
    """Gives a log probability for each letter of a reply, where it is asked for them."""

    async def chat(self, request: ChatRequest) -> ChatReply:
        reply = await super().chat(request)
        if request.logprobs is None:
            return reply
        said = (reply.content.text or "call",)
        columns: dict[str, Any] = {"tokens": said, "logprobs": (-1.5,), "top_tokens": (said,), "top_logprobs": ((-1.5,),)}
        return reply.model_copy(update={"logprobs": LogProbs(**columns)})


class Counting:
    """A ledger that counts what is read."""

    def __init__(self, inner: Ledger) -> None:
        self._inner = inner
        self.read_ids: list[object] = []

    async def append(self, records: Any) -> None:
        await self._inner.append(records)

    def read(self, record_type: type[R], where: Any = None, **options: Any) -> Iterator[R]:
        self.read_ids.append(where)
        return self._inner.read(record_type, where, **options)

    def close(self) -> None:
        """Nothing."""


async def measured(bench: Bench, ledger: Ledger, top: int | None, variant: str = "native_api") -> list[Trial]:
    """The trials of one pass that asks for so many of the likeliest tokens, or for nothing."""
    bench.ledger, bench.endpoint = ledger, Observed()
    spec = make_spec(bench.suite, variant=load_variants()[variant])
    result = await run_once(spec, context=bench.context(logprobs_for=lambda spec: top))
    assert {request.logprobs for request in bench.endpoint.asked} == {top}
    return [trial for run_id in result.run_ids for trial in ledger.read(Trial, {"run_id": run_id})]


@pytest.mark.parametrize("variant", ["native_api", "constrained"])
async def test_each_reply_of_a_trial_has_its_own(bench: Bench, ledger: Ledger, variant: str) -> None:
    """As many as there are successful requests, in their order, with the text that they belong to."""
    trials = await measured(bench, ledger, 5, variant)
    assert trials
    for trial in trials:
        replies = stored_replies(ledger, trial)
        assert [reply.content() for reply in replies] == stored_contents(ledger, trial)
        assert [reply.step for reply in replies] == [item.step for item in trial.exchanges]
        for reply in replies:
            found = reply.logprobs()
            assert found is not None
            assert reply.counted_tokens == 5
            assert (found.text, found.total) == (reply.content().text or "call", -1.5)


async def test_asking_for_them_changes_no_id_and_no_verdict(bench: Bench) -> None:
    """Trials with and without stand under one request_id, and are judged alike."""
    from selfopt.ledger import MemoryLedger

    with_them, without = MemoryLedger(), MemoryLedger()
    pairs = list(zip(await measured(bench, with_them, 5), await measured(bench, without, None), strict=True))
    assert pairs
    for one, other in pairs:
        assert one.request_id == other.request_id
        assert [item.content for item in one.exchanges] == [item.content for item in other.exchanges]
        assert "logprobs" not in other.model_dump()["exchanges"][0]
        assert stored_replies(without, other)[0].logprobs() is None
    runs = [next(ledger.read(Run)) for ledger in (with_them, without)]
    assert runs[0].spec_id == runs[1].spec_id
    judged = [[(v.prompt_id, v.outcome, v.parsed) for v in ledger.read(Verdict)] for ledger in (with_them, without)]
    assert judged[0] == judged[1]


async def test_they_are_read_only_when_wanted(bench: Bench, ledger: Ledger) -> None:
    """Judging again reads the contents alone, and a score one blob a reply."""
    trial = (await measured(bench, ledger, 5))[0]
    counting = Counting(ledger)
    replies = stored_replies(counting, trial)
    assert counting.read_ids == []
    replies[0].content()
    assert counting.read_ids == [{"id": trial.exchanges[0].content}]
    replies[0].logprobs()
    assert counting.read_ids[1:] == [{"id": trial.exchanges[0].logprobs}]
    run = next(ledger.read(Run))
    again = await rescore(counting, [run.run_id], bench.suite, Variant(name="x", parsers=("all@2",)).parsers)
    assert again.fresh == len(bench.suite.prompts)
    assert {"id": trial.exchanges[0].logprobs} not in counting.read_ids[2:]


async def test_a_trial_names_them_as_what_it_rests_on(bench: Bench, ledger: Ledger) -> None:
    """So a check of the evidence finds them missing."""
    trial = (await measured(bench, ledger, 5))[0]
    assert ("blob", trial.exchanges[0].logprobs) in set(ids_of(trial))


async def test_a_shown_trial_tells_how_many_tokens_have_one(bench: Bench, ledger: Ledger) -> None:
    """0 where none were asked for."""
    for top, tokens in ((5, 1), (None, 0)):
        trial = (await measured(bench, ledger, top))[0]
        shown = show_trial(ledger, trial.trial_id)
        assert [step.tokens_with_logprobs for step in shown.exchanges] == [tokens]


async def test_missing_or_foreign_ones_are_named_as_damage(bench: Bench, ledger: Ledger) -> None:
    """Not taken for a reply without them."""
    trial = (await measured(bench, ledger, 5))[0]
    other = Blob.of("{}")
    await ledger.append([other])
    for kept, words in (("0" * 64, "does not hold it"), (other.blob_hash, "holds no log probabilities")):
        exchange = trial.exchanges[0].model_copy(update={"logprobs": kept})
        with pytest.raises(CorruptError, match=words):
            stored_replies(ledger, trial.model_copy(update={"exchanges": (exchange,)}))[0].logprobs()
