"""Judging stored trials again, and showing them."""

from __future__ import annotations

from typing import Any

import pytest

import selfopt.measure.trial as trial_module
from selfopt.errors import CorruptError, SuiteError, UsageError
from selfopt.measure.rescore import rescore
from selfopt.measure.show import show_trial
from selfopt.reading import read_calls
from selfopt.records import (
    ChatRequest,
    Environment,
    Ledger,
    Outcome,
    ParsedReply,
    ReplyContent,
    Run,
    Trial,
    Variant,
    Verdict,
)
from selfopt.suites import load_suite
from selfopt.variants import load_variants

from .kit import Bench, FakeEndpoint, make_spec, make_suite, run_once

JSON_CALL = '{"name": "get_weather", "arguments": {"city": "City0"}}'


class NoVerdicts:
    """A ledger that has forgotten its verdicts."""

    def __init__(self, inner: Ledger) -> None:
        self._inner = inner
        self.fresh: list[Verdict] = []

    async def append(self, records: object) -> None:
        assert isinstance(records, list)
        self.fresh += records

    def read(self, record_type: type, *args: object, **kwargs: object) -> object:
        return iter(()) if record_type is Verdict else self._inner.read(record_type, *args, **kwargs)  # type: ignore[arg-type]

    def close(self) -> None:
        """Nothing."""


@pytest.mark.parametrize("name", sorted(load_variants()))
async def test_rescoring_gives_the_original_verdicts(name: str) -> None:
    """Replaying render with the stored contents reads what was read when the replies came, for every variant."""
    from selfopt.ledger import MemoryLedger

    suite = load_suite("atomic")
    bench = Bench(ledger=MemoryLedger(), suite=suite)
    replies = [
        ReplyContent(text='[{"name": "get_weather", "arguments": {"city": "Oslo"}}]', finish_reason="stop"),
        ReplyContent(text='{"tools": ["get_weather"]}', finish_reason="stop"),
        ReplyContent(text="no idea", finish_reason="length"),
        ReplyContent(text="none", finish_reason="stop"),
        ReplyContent(text='{"city": "Oslo"}', finish_reason="stop"),
    ]

    def answer(request: ChatRequest) -> ReplyContent:
        return replies[len(bench.endpoint.asked) % len(replies)]

    bench.endpoint = FakeEndpoint(answer)
    spec = make_spec(suite, variant=load_variants()[name])
    result = await run_once(spec, context=bench.context())
    forgetful = NoVerdicts(bench.ledger)
    again = await rescore(forgetful, result.run_ids, suite)  # type: ignore[arg-type]
    assert again.skipped == ()
    assert again.fresh == len(suite.prompts)
    assert forgetful.fresh == list(bench.ledger.read(Verdict))


async def test_another_parser_chain_is_judged_for_free_and_kept_beside_the_old(bench: Bench) -> None:
    """New verdicts are appended, the old ones stay, and no request is made."""
    bench.endpoint = FakeEndpoint(lambda request: ReplyContent(text=JSON_CALL, finish_reason="stop"))
    result = await run_once(make_spec(bench.suite), context=bench.context())
    asked = len(bench.endpoint.asked)
    rescored = await rescore(bench.ledger, result.run_ids, bench.suite, ("native", "json"))
    assert (rescored.fresh, rescored.changed, len(bench.endpoint.asked)) == (6, 6, asked)
    assert [i.verdict.outcome for i in rescored.trials][:2] == [Outcome.PASS, Outcome.WRONG]
    assert len(list(bench.ledger.read(Verdict))) == 12
    again = await rescore(bench.ledger, result.run_ids, bench.suite, ("native", "json"))
    assert (again.fresh, len(list(bench.ledger.read(Verdict)))) == (0, 12)


async def test_a_changed_suite_is_refused(bench: Bench) -> None:
    """Verdicts of one suite must not be mixed with another's."""
    result = await run_once(make_spec(bench.suite), context=bench.context())
    with pytest.raises(SuiteError, match="measure again"):
        await rescore(bench.ledger, result.run_ids, make_suite(5, 2))


async def test_an_unknown_run_is_a_clear_error(bench: Bench) -> None:
    """Nothing to rescore."""
    with pytest.raises(CorruptError, match="run-x"):
        await rescore(bench.ledger, ["run-x"], bench.suite)


async def test_a_trial_is_shown_with_everything_behind_it(bench: Bench) -> None:
    """Exact request, raw reply, content, calls, verdict, why, and what the suite expected."""
    await run_once(make_spec(bench.suite), context=bench.context())
    trial = next(iter(bench.ledger.read(Trial)))
    shown = show_trial(bench.ledger, trial.trial_id, [make_suite(1, 0), bench.suite])
    assert shown.exchanges[0].attempts[0].request == "sent 1"
    assert "get_weather" in (shown.exchanges[0].attempts[0].reply or "")
    assert shown.exchanges[0].content is not None
    assert shown.verdicts[0].outcome is Outcome.PASS
    assert shown.verdicts[0].why
    assert shown.messages[-1].content == "weather of City0?"
    assert shown.expected == bench.suite.prompts[0].expected
    assert shown.model_dump_json()
    assert show_trial(bench.ledger, trial.trial_id).messages == ()


def test_an_unknown_trial_is_a_usage_error(bench: Bench) -> None:
    """The message says where ids are found."""
    with pytest.raises(UsageError, match="trial-x"):
        show_trial(bench.ledger, "trial-x")


def test_variants_of_the_catalogue_are_known() -> None:
    """The parametrisation above is not empty."""
    assert isinstance(load_variants()["native_api"], Variant)


async def test_the_family_that_the_template_showed_is_kept_for_later_judges(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the run, and not in the environment, whose id stays as it is."""
    told: list[object] = []

    def noting(*given: Any) -> ParsedReply:
        told.append(given[4])
        return read_calls(*given)

    monkeypatch.setattr(trial_module, "read_calls", noting)
    bench.residency.extra = {"family": "glm45"}
    result = await run_once(make_spec(bench.suite), context=bench.context())
    (run,), (environment,) = bench.ledger.read(Run), bench.ledger.read(Environment)
    assert run.family == "glm45"
    assert "glm45" not in environment.model_dump_json()
    bench.residency.extra = {}
    await rescore(bench.ledger, result.run_ids, bench.suite, ("all@2",))
    assert told == ["glm45"] * 12
    assert "family" not in run.model_copy(update={"family": "unknown"}).model_dump_json(), "stored as before there were families"
